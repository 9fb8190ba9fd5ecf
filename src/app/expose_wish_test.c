/* expose_wish_test.c - what a service may be, as it is kept on disk, and who gets a place. */
#include "app/expose_int.h"

#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static qudag_expose_options base(const char *const *ports, uint32_t n)
{
    return (qudag_expose_options){
        .size = sizeof(qudag_expose_options), .ports = ports, .ports_n = n, .name = "blog"};
}

static void check(qudag_expose_options o, qudag_err want, const char *says)
{
    char why[QUDAG_EXPOSE_WHY_MAX], cut[] = "untouched";

    assert_int_equal(qudag_expose_check(&o, NULL, 0), want); /* nobody asks why */
    assert_int_equal(qudag_expose_check(&o, NULL, sizeof(why)), want);
    assert_int_equal(qudag_expose_check(&o, cut, 0), want);
    assert_string_equal(cut, "untouched");
    assert_int_equal(qudag_expose_check(&o, why, sizeof(why)), want);
    assert_int_equal(qudag_expose_check(&o, cut, 3), want);
    assert_true(strncmp(cut, why, 2) == 0 && memcmp(cut + 3, "ouched", 7) == 0);
    assert_true(memchr(cut, 0, 3) != NULL);
    if (says != NULL) {
        assert_non_null(strstr(why, says));
    } else {
        assert_string_equal(why, "");
    }
}

static void what_a_service_may_be(void **state)
{
    static const char *const good[] = {"80:127.0.0.1:8080", "443:unix:/run/tls"};
    static const char *const twice[] = {"80", "80:81"};
    static const char *const away[] = {"80:192.168.1.7:80"};
    static const char *const bad[] = {"80", "http"};
    static const char *const none[] = {NULL};
    static const char *many[TARGET_PORTS_MAX + 1];
    char text[TARGET_PORTS_MAX + 1][8], name[QUDAG_DARK_LABEL_MAX + 2];
    (void)state;

    check(base(good, 2), QUDAG_OK, NULL);
    check(base(good, 0), QUDAG_EINVAL, "1 to 16 ports");
    check(base(twice, 2), QUDAG_EINVAL, "given twice");
    check(base(bad, 2), QUDAG_EINVAL, "http: ");
    check(base(none, 1), QUDAG_EINVAL, "missing");
    check(base(away, 1), QUDAG_EPOLICY, "another machine");
    qudag_expose_options o = base(away, 1);
    o.force = true;
    check(o, QUDAG_OK, NULL);
    for (size_t i = 0; i <= TARGET_PORTS_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "%zu", i + 1);
        many[i] = text[i];
    }
    check(base(many, TARGET_PORTS_MAX), QUDAG_OK, NULL);
    check(base(many, TARGET_PORTS_MAX + 1), QUDAG_EINVAL, "1 to 16 ports");
    memset(name, 'a', sizeof(name));
    name[QUDAG_DARK_LABEL_MAX + 1] = '\0';
    o = base(good, 1);
    o.name = name;
    check(o, QUDAG_EINVAL, "name of 1 to 32");
    o.name = "";
    check(o, QUDAG_EINVAL, "name of 1 to 32");
    o = base(good, 1);
    o.connections_max = QUDAG_EXPOSE_CONNECTIONS + 1;
    check(o, QUDAG_EINVAL, "1024");
    o.size = 4;
    check(o, QUDAG_EINVAL, "size");
    assert_int_equal(qudag_expose_check(NULL, NULL, 0), QUDAG_EINVAL);
}

static void what_is_kept_reads_the_same_and_nothing_shorter_or_longer_does(void **state)
{
    static const char *const ports[] = {"80:127.0.0.1:8080", "443:unix:/run/tls"};
    struct expose_wish w, back;
    uint8_t bytes[EXPOSE_SAVED_MAX + 1] = {0};
    char addr[QUDAG_DARK_TEXT_MAX];
    qudag_expose_options o = base(ports, 2);
    (void)state;

    o.keep = true;
    o.connections_max = 7;
    assert_int_equal(expose_wish_read(&w, &o, NULL, 0), QUDAG_OK);
    w.ours = true;
    size_t len = expose_wish_put(bytes, &w, "abc.dark");
    assert_true(len > 0);
    assert_int_equal(expose_wish_get(&back, addr, (struct slice){bytes, len}), QUDAG_OK);
    assert_string_equal(addr, "abc.dark");
    assert_memory_equal(&w, &back, sizeof(w));
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(expose_wish_get(&back, addr, (struct slice){bytes, n}), QUDAG_EMALFORMED);
    }
    assert_int_equal(expose_wish_get(&back, addr, (struct slice){bytes, len + 1}),
                     QUDAG_EMALFORMED);
    bytes[0]++; /* another version */
    assert_int_equal(expose_wish_get(&back, addr, (struct slice){bytes, len}), QUDAG_EMALFORMED);
    bytes[0]--;
    bytes[1] = 0; /* what is not to be resumed, and not ours */
    assert_int_equal(expose_wish_get(&back, addr, (struct slice){bytes, len}), QUDAG_OK);
    assert_false(back.keep || back.ours || back.force);
    bytes[1] = 8; /* a flag that is not known */
    assert_int_equal(expose_wish_get(&back, addr, (struct slice){bytes, len}), QUDAG_EMALFORMED);
}

static void the_largest_service_fits_on_disk(void **state)
{
    struct expose_wish w = {.max = 1, .n_ports = TARGET_PORTS_MAX};
    uint8_t bytes[EXPOSE_SAVED_MAX];
    char addr[QUDAG_DARK_TEXT_MAX];
    (void)state;

    memset(w.name, 'n', QUDAG_DARK_LABEL_MAX);
    memset(addr, 'a', sizeof(addr));
    addr[sizeof(addr) - 1] = '\0';
    for (size_t i = 0; i < TARGET_PORTS_MAX; i++) {
        w.port[i].port = (uint16_t)(65000 + i);
        memset(w.port[i].to.path, 'p', TARGET_PATH_MAX);
        w.port[i].to.path[0] = '/';
    }
    assert_true(expose_wish_put(bytes, &w, addr) > 0);
}

static void who_gets_a_place(void **state)
{
    enum { C = QUDAG_EXPOSE_CONNECTIONS_CIRCUIT };
    static const struct {
        uint32_t of_circuit, of_service, max, most;
        enum expose_place place;
    } rows[] = {
        {0, 0, 10, 0, EXPOSE_TAKE},
        {0, 9, 10, 9, EXPOSE_TAKE},
        {C - 1, C - 1, 1024, C - 1, EXPOSE_TAKE},
        {C, C, 1024, C, EXPOSE_FULL}, /* its share, however much room there is */
        {0, 10, 10, 10, EXPOSE_REPLACE},
        {0, 10, 10, 2, EXPOSE_REPLACE},
        {0, 10, 10, 1, EXPOSE_FULL}, /* all have one */
        {1, 10, 10, 2, EXPOSE_FULL}, /* two of equal size do not take from each other */
        {1, 10, 10, 3, EXPOSE_REPLACE},
        {5, 10, 10, 5, EXPOSE_FULL},
        {0, 15, 10, 5, EXPOSE_REPLACE}, /* its share became smaller */
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct expose_room r = {
            .of_circuit = rows[i].of_circuit,
            .of_service = rows[i].of_service,
            .service_max = rows[i].max,
            .most = {.net = 1, .source = 1, .net_n = rows[i].of_service, .source_n = rows[i].most},
            .newcomer = {.net = 1,
                         .source = 2,
                         .net_n = rows[i].of_service,
                         .source_n = rows[i].of_circuit}};
        assert_int_equal(expose_place(&r), rows[i].place);
    }
}

/* SPEC: TU-12. */
static void services_have_equal_shares_whatever_others_hold(void **state)
{
    static const struct {
        uint32_t max;
        size_t services;
        uint64_t files;
        uint32_t share;
    } rows[] = {
        {1024, 1, 0, 1024},   {1024, 4, 65536, 1024}, {1024, 5, 65536, 819}, {1024, 64, 0, 64},
        {10, 64, 0, 10},      {1, 1, 0, 1},           {1024, 1, 1024, 768},  {1024, 2, 1024, 384},
        {1024, 64, 1024, 12}, {1024, 4, 4352, 1024},  {1024, 4, 4351, 1023}, {1024, 64, 3, 1},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(expose_connections_max(rows[i].max, rows[i].services, rows[i].files),
                         rows[i].share);
    }
}

/* SPEC: TU-11. */
static void who_holds_most_gives_way_and_nobody_who_holds_less(void **state)
{
    static const int one, two;
    const struct expose_waiting holder = {&one, 1, 100, 50, 30};
    struct expose_waiting n = {&two, 1, 89, 99, 99};
    (void)state;

    assert_true(expose_gives_way(&holder, &n, 10)); /* another service: what it holds counts */
    assert_false(expose_gives_way(&holder, &n, 11));
    n = (struct expose_waiting){&one, 2, 100, 39, 99}; /* another circuit */
    assert_true(expose_gives_way(&holder, &n, 10));
    assert_false(expose_gives_way(&holder, &n, 11));
    n = (struct expose_waiting){&one, 1, 100, 50, 19}; /* another connection */
    assert_true(expose_gives_way(&holder, &n, 10));
    assert_false(expose_gives_way(&holder, &n, 11));
    assert_false(expose_gives_way(&holder, &holder, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_service_may_be),
        cmocka_unit_test(what_is_kept_reads_the_same_and_nothing_shorter_or_longer_does),
        cmocka_unit_test(the_largest_service_fits_on_disk),
        cmocka_unit_test(who_gets_a_place),
        cmocka_unit_test(services_have_equal_shares_whatever_others_hold),
        cmocka_unit_test(who_holds_most_gives_way_and_nobody_who_holds_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
