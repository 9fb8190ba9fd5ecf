/* target_test.c - where a virtual port may lead. */
#include "app/target.h"

#include <string.h>
#include <cmocka.h>

static void what_is_a_target_and_what_not(void **state)
{
    static const struct {
        const char *text, *reads; /* NULL: refused */
        bool local;
    } rows[] = {
        {"127.0.0.1:8080", "tcp:127.0.0.1:8080", true},
        {"tcp:127.0.0.1:8080", "tcp:127.0.0.1:8080", true},
        {"127.9.9.9:1", "tcp:127.9.9.9:1", true},
        {"localhost:80", "tcp:127.0.0.1:80", true},
        {"8080", "tcp:127.0.0.1:8080", true},
        {"tcp:8080", "tcp:127.0.0.1:8080", true},
        {"[::1]:80", "tcp:[::1]:80", true},
        {"unix:/run/a b.sock", "unix:/run/a b.sock", true},
        {"192.168.1.5:80", "tcp:192.168.1.5:80", false},
        {"0.0.0.0:80", "tcp:0.0.0.0:80", false},
        {"[2001:db8::1]:80", "tcp:[2001:db8::1]:80", false},
        {"::1:80", NULL, false}, /* is it a port or a part of the address? */
        {"[127.0.0.1]:80", NULL, false},
        {"example.com:80", NULL, false},
        {"127.0.0.1", NULL, false},
        {"127.0.0.1:", NULL, false},
        {"127.0.0.1:0", NULL, false},
        {"127.0.0.1:65536", NULL, false},
        {"127.0.0.1:080000", NULL, false},
        {"127.0.0.1:8o", NULL, false},
        {"127.0.0.1: 80", NULL, false},
        {":80", NULL, false},
        {"", NULL, false},
        {"tcp:", NULL, false},
        {"unix:", NULL, false},
        {"unix:run/a", NULL, false},
        {"http://127.0.0.1:80", NULL, false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct target t;
        char why[TARGET_WHY_LEN], text[TARGET_TEXT_MAX];
        qudag_err err = target_parse(&t, rows[i].text, why);
        assert_int_equal(err, rows[i].reads != NULL ? QUDAG_OK : QUDAG_EINVAL);
        assert_int_equal(strlen(why) > 0, rows[i].reads == NULL);
        if (err == QUDAG_OK) {
            assert_true(target_text(text, sizeof(text), &t) > 0);
            assert_string_equal(text, rows[i].reads);
            assert_int_equal(target_is_local(&t), rows[i].local);
        }
    }
}

static void a_path_has_room_in_a_socket_address(void **state)
{
    char text[200] = "unix:/", why[TARGET_WHY_LEN];
    struct target t;
    (void)state;

    memset(text + 6, 'a', TARGET_PATH_MAX - 1);
    assert_int_equal(target_parse(&t, text, why), QUDAG_OK);
    text[5 + TARGET_PATH_MAX] = 'a';
    assert_int_equal(target_parse(&t, text, why), QUDAG_EINVAL);
    memset(text + 6, 'a', sizeof(text) - 7);
    assert_int_equal(target_parse(&t, text, why), QUDAG_EINVAL);
    assert_true(strlen(why) < TARGET_WHY_LEN);
}

static void a_virtual_port_with_and_without_a_target(void **state)
{
    static const struct {
        const char *text, *reads;
    } rows[] = {
        {"80:127.0.0.1:8080", "80:tcp:127.0.0.1:8080"},
        {"80", "80:tcp:127.0.0.1:80"},
        {"80:8080", "80:tcp:127.0.0.1:8080"},
        {"22:unix:/run/ssh", "22:unix:/run/ssh"},
        {"443:[::1]:8443", "443:tcp:[::1]:8443"},
        {"0", NULL},
        {"65536:80", NULL},
        {"", NULL},
        {":80", NULL},
        {"web:80", NULL},
        {"80:", NULL},
        {"80:web", NULL},
        {"-80", NULL},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct target_port p;
        char why[TARGET_WHY_LEN], text[TARGET_SPEC_MAX];
        qudag_err err = target_port_parse(&p, rows[i].text, why);
        assert_int_equal(err, rows[i].reads != NULL ? QUDAG_OK : QUDAG_EINVAL);
        if (err == QUDAG_OK) {
            assert_true(target_port_text(text, sizeof(text), &p) > 0);
            assert_string_equal(text, rows[i].reads);
            assert_int_equal(target_port_text(text, 5, &p), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_target_and_what_not),
        cmocka_unit_test(a_path_has_room_in_a_socket_address),
        cmocka_unit_test(a_virtual_port_with_and_without_a_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
