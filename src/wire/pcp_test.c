/* pcp_test.c - requests byte by byte, answers of routers, and what is no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "wire/pcp.h"

#include <stdlib.h>
#include <string.h>

static struct netaddr ip_of(const char *text, uint16_t port)
{
    struct netaddr a = {.port = port};

    assert_int_equal(netaddr_parse_ip(&a, text), QUDAG_OK);
    return a;
}

static size_t bytes_of(uint8_t *dst, const char *hex)
{
    size_t n = 0;

    for (; hex[0] != '\0'; hex += hex[0] == ' ' ? 1 : 2) {
        if (hex[0] != ' ') {
            char two[3] = {hex[0], hex[1], '\0'};
            dst[n++] = (uint8_t)strtoul(two, NULL, 16);
        }
    }
    return n;
}

/* Written by hand from RFC 6887 7.1, 11.1, 13.2 and RFC 6886 3.2, 3.3. */
static void requests_are_as_the_rfcs_say(void **state)
{
    const struct netaddr v4 = ip_of("192.168.1.2", 0), v6 = ip_of("2a00:1::2", 0),
                         ext = ip_of("25.1.2.3", 9);
    struct {
        struct pcp_request q;
        const char *hex;
    } t[] = {
        {{.kind = PCP_MAP,
          .protocol = PCP_UDP,
          .client = v4,
          .nonce = {1, 2, 3},
          .internal = 4001,
          .external = 4001,
          .life_s = 7200},
         "02010000 00001c20 00000000000000000000ffffc0a80102 010203000000000000000000 11000000 "
         "0fa1 0fa1 00000000000000000000ffff00000000"},
        {{.kind = PCP_MAP,
          .protocol = PCP_TCP,
          .client = v4,
          .internal = 1,
          .external = 2,
          .suggested = ext,
          .life_s = 0,
          .prefer_failure = true},
         "02010000 00000000 00000000000000000000ffffc0a80102 000000000000000000000000 06000000 "
         "0001 0002 00000000000000000000ffff19010203 02000000"},
        {{.kind = PCP_MAP,
          .protocol = PCP_UDP,
          .client = v6,
          .internal = 1,
          .external = 1,
          .suggested = ext,
          .life_s = 1},
         "02010000 00000001 2a000001000000000000000000000002 000000000000000000000000 11000000 "
         "0001 0001 00000000000000000000000000000000"},
        {{.kind = PCP_ANNOUNCE, .client = v4, .life_s = 9},
         "02000000 00000000 00000000000000000000ffffc0a80102"},
        {{.kind = PCP_NATPMP_ADDR, .client = v4}, "0000"},
        {{.kind = PCP_NATPMP_MAP,
          .protocol = PCP_UDP,
          .internal = 4001,
          .external = 4002,
          .life_s = 7200},
         "0001 0000 0fa1 0fa2 00001c20"},
        {{.kind = PCP_NATPMP_MAP, .protocol = PCP_TCP, .internal = 4001},
         "0002 0000 0fa1 0000 00000000"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        uint8_t want[PCP_WRITE_MAX + 1], got[PCP_WRITE_MAX];
        size_t len = bytes_of(want, t[i].hex);
        assert_int_equal(pcp_write(got, sizeof(got), &t[i].q), len);
        assert_memory_equal(got, want, len);
        assert_int_equal(pcp_write(got, len - 1, &t[i].q), 0);
    }
}

static const struct {
    const char *hex;
    struct pcp_answer a;
    const char *external;
    uint16_t port;
} answers[] = {
    {"02810000 00001c20 00000064 000000000000000000000000 0102030405060708090a0b0c 11000000 "
     "0fa1 0fa2 00000000000000000000ffff19010203",
     {.kind = PCP_MAP,
      .pcp = true,
      .life_s = 7200,
      .epoch = 100,
      .protocol = PCP_UDP,
      .internal = 4001},
     "25.1.2.3",
     4002},
    /* of IPv6, with two options, the second padded */
    {"02810000 00000001 00000002 000000000000000000000000 0102030405060708090a0b0c 06000000 "
     "0001 0002 2a000001000000000000000000000002 02000000 80000001 61000000",
     {.kind = PCP_MAP, .pcp = true, .life_s = 1, .epoch = 2, .protocol = PCP_TCP, .internal = 1},
     "2a00:1::2",
     2},
    /* another protocol */
    {"02810000 00000001 00000002 000000000000000000000000 000000000000000000000000 84000000 "
     "0001 0002 00000000000000000000ffff19010203",
     {.kind = PCP_MAP, .pcp = true, .life_s = 1, .epoch = 2, .internal = 1},
     "25.1.2.3",
     2},
    {"02810002 0000001e 00000064 000000000000000000000000",
     {.kind = PCP_MAP, .pcp = true, .result = PCP_NOT_AUTHORIZED, .life_s = 30, .epoch = 100},
     NULL,
     0},
    {"028100ff 0000001e 00000064 000000000000000000000000",
     {.kind = PCP_MAP, .pcp = true, .result = PCP_RESULTS, .life_s = 30, .epoch = 100},
     NULL,
     0},
    {"02800000 00000000 00000007 000000000000000000000000",
     {.kind = PCP_ANNOUNCE, .pcp = true, .epoch = 7},
     NULL,
     0},
    {"02820001 00000000 00000007 000000000000000000000000",
     {.kind = PCP_OTHER, .pcp = true, .result = PCP_UNSUPP_VERSION, .epoch = 7},
     NULL,
     0},
    {"00800000 00000005 19010203", {.kind = PCP_NATPMP_ADDR, .epoch = 5}, "25.1.2.3", 0},
    {"00800003 00000005",
     {.kind = PCP_NATPMP_ADDR, .result = PCP_NETWORK_FAILURE, .epoch = 5},
     NULL,
     0},
    {"00820000 00000005 0fa1 0fa2 00001c20",
     {.kind = PCP_NATPMP_MAP, .protocol = PCP_TCP, .life_s = 7200, .epoch = 5, .internal = 4001},
     NULL,
     4002},
    {"00810001 00000005",
     {.kind = PCP_NATPMP_MAP, .protocol = PCP_UDP, .result = PCP_UNSUPP_VERSION, .epoch = 5},
     NULL,
     0},
    {"00810063 00000005",
     {.kind = PCP_NATPMP_MAP, .protocol = PCP_UDP, .result = PCP_RESULTS, .epoch = 5},
     NULL,
     0},
    {"00850001 00000005", {.kind = PCP_OTHER, .result = PCP_UNSUPP_VERSION, .epoch = 5}, NULL, 0},
};

static void answers_are_read(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        uint8_t b[128];
        struct pcp_answer a;
        size_t len = bytes_of(b, answers[i].hex);
        struct netaddr ext = {.family = 0, .port = answers[i].port};
        if (answers[i].external != NULL) {
            ext = ip_of(answers[i].external, answers[i].port);
        }
        assert_int_equal(pcp_parse(&a, (struct slice){b, len}), QUDAG_OK);
        assert_int_equal(a.kind, answers[i].a.kind);
        assert_int_equal(a.pcp, answers[i].a.pcp);
        assert_int_equal(a.result, answers[i].a.result);
        assert_int_equal(a.life_s, answers[i].a.life_s);
        assert_int_equal(a.epoch, answers[i].a.epoch);
        assert_int_equal(a.protocol, answers[i].a.protocol);
        assert_int_equal(a.internal, answers[i].a.internal);
        assert_true(netaddr_eq(&a.external, &ext));
    }
}

static void the_nonce_is_that_of_the_answer(void **state)
{
    uint8_t b[128];
    struct pcp_answer a;
    size_t len =
        bytes_of(b, "02810000 00001c20 00000064 000000000000000000000000 0102030405060708090a0b0c "
                    "11000000 0fa1 0fa2 00000000000000000000ffff19010203");
    (void)state;

    assert_int_equal(pcp_parse(&a, (struct slice){b, len}), QUDAG_OK);
    assert_memory_equal(a.nonce, b + 24, PCP_NONCE_LEN);
}

static void what_is_cut_short_is_malformed(void **state)
{
#define MAP                                                                                        \
    "02810000 00001c20 00000064 000000000000000000000000 0102030405060708090a0b0c 11000000 "       \
    "0fa1 0fa2 00000000000000000000ffff19010203"
    static const char *const whole[] = {MAP, "02800000 00000000 00000007 000000000000000000000000",
                                        "00800000 00000005 19010203",
                                        "00820000 00000005 0fa1 0fa2 00001c20"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        uint8_t b[128];
        struct pcp_answer a;
        size_t len = bytes_of(b, whole[i]);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *exact = malloc(cut + 1); /* what is read beyond is seen by the sanitizer */
            memcpy(exact, b, cut);
            assert_int_equal(pcp_parse(&a, (struct slice){exact, cut}), QUDAG_EMALFORMED);
            free(exact);
        }
    }
}

static void what_is_no_answer_is_refused(void **state)
{
    static const struct {
        const char *hex;
        qudag_err err;
    } t[] = {
        {"02010000 00001c20 00000000000000000000ffffc0a80102", QUDAG_EMALFORMED}, /* a request */
        {"0000", QUDAG_EMALFORMED},
        {"01810000 00001c20 00000064 000000000000000000000000", QUDAG_EUNSUPPORTED},
        {"03810000 00001c20 00000064 000000000000000000000000", QUDAG_EUNSUPPORTED},
        /* an option longer than what there is, and one without its padding */
        {"02800000 00000000 00000007 000000000000000000000000 02000008 00000000", QUDAG_EMALFORMED},
        {"02800000 00000000 00000007 000000000000000000000000 02000001 00", QUDAG_EMALFORMED},
        {"02800000 00000000 00000007 000000000000000000000000 0200", QUDAG_EMALFORMED},
    };
    static uint8_t big[PCP_MSG_MAX + 4];
    const enum pcp_kind kinds[] = {PCP_ANNOUNCE, PCP_MAP, PCP_NATPMP_ADDR, PCP_NATPMP_MAP};
    struct pcp_answer a;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        uint8_t b[128];
        size_t len = bytes_of(b, t[i].hex);
        assert_int_equal(pcp_parse(&a, (struct slice){b, len}), t[i].err);
        assert_int_equal(a.external.family, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds);
         i++) { /* our own requests, sent back; and as long as an answer */
        struct pcp_request q = {.kind = kinds[i], .protocol = PCP_UDP, .client = {.family = 4}};
        uint8_t b[PCP_WRITE_MAX] = {0};
        size_t len = pcp_write(b, sizeof(b), &q);
        assert_int_equal(pcp_parse(&a, (struct slice){b, len}), QUDAG_EMALFORMED);
        assert_int_equal(pcp_parse(&a, (struct slice){b, len < 60 ? 24 : 60}), QUDAG_EMALFORMED);
    }
    big[0] = 2;
    big[1] = 0x80;
    assert_int_equal(pcp_parse(&a, (struct slice){big, PCP_MSG_MAX}),
                     QUDAG_OK); /* options of no length */
    assert_int_equal(pcp_parse(&a, (struct slice){big, sizeof(big)}), QUDAG_EMALFORMED);
}

static void each_result_has_a_text(void **state)
{
    (void)state;
    for (unsigned r = 0; r <= PCP_RESULTS; r++) {
        assert_true(strlen(pcp_result_text((enum pcp_result)r)) > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_as_the_rfcs_say),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(the_nonce_is_that_of_the_answer),
        cmocka_unit_test(what_is_cut_short_is_malformed),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(each_result_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
