/* meet_msg_test.c - messages of a meeting: there and back, cut short, too long, of another version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "wire/meet_msg.h"

static const struct meet_candidate v[] = {
    {{.family = 6, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 4001}, MEET_HOST, 0},
    {{.family = 4, .ip = {198, 18, 0, 1}, .port = 65535}, MEET_MAPPED, 1},
    {{.family = 4, .ip = {198, 18, 0, 2}, .port = 1}, MEET_OBSERVED, 15},
    {{.family = 4, .ip = {198, 18, 0, 2}, .port = 2}, MEET_PREDICTED, 0},
};

static struct meet_msg full(enum meet_msg_type type)
{
    struct meet_msg m = {.type = type};

    if (type == MEET_HELLO) {
        memset(m.secret, 0xa5, sizeof(m.secret));
        m.nat = MEET_NAT_DEPENDENT;
        m.step = -3;
        m.held = 1234;
    }
    if (type == MEET_ROUND) {
        m.round = MEET_BIRTHDAY;
        m.flags = MEET_FLAG_NO_BIRTHDAY;
    }
    if (type == MEET_START) {
        m.round = MEET_PREDICT;
    }
    if (type == MEET_END) {
        m.end = MEET_END_BUSY;
    }
    if (type == MEET_HELLO || type == MEET_ROUND) {
        m.n = ARRAY_LEN(v);
        memcpy(m.v, v, sizeof(v));
    }
    return m;
}

static size_t written(uint8_t *dst, size_t cap, const struct meet_msg *m)
{
    struct wr w = wr_init(dst, cap);

    meet_msg_write(&w, m);
    return wr_done(&w).len;
}

static void each_message_comes_back_and_none_that_is_cut(void **state)
{
    (void)state;
    for (enum meet_msg_type type = MEET_HELLO; type <= MEET_END; type++) {
        struct meet_msg m = full(type), got;
        uint8_t bytes[MEET_MSG_MAX + 2];
        size_t used, len = written(bytes, sizeof(bytes), &m);
        assert_true(len > 0);
        assert_int_equal(meet_msg_read(&got, (struct slice){bytes, len}, &used), QUDAG_OK);
        assert_int_equal(used, len);
        assert_memory_equal(&got, &m, sizeof(m));
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_equal(meet_msg_read(&got, (struct slice){bytes, cut}, &used), QUDAG_OK);
            assert_int_equal(used, 0);
        }
        for (size_t cap = 0; cap < len; cap++) {
            assert_int_equal(written(bytes, cap, &m), 0);
        }
    }
}

static void the_longest_message_fits(void **state)
{
    struct meet_msg m = full(MEET_HELLO);
    uint8_t bytes[MEET_MSG_MAX + 2];
    (void)state;

    for (m.n = 0; m.n < MEET_CANDIDATES_MAX; m.n++) {
        m.v[m.n] = v[0];
    }
    assert_true(written(bytes, sizeof(bytes), &m) > 0);
}

static void what_is_not_one_is_refused(void **state)
{
    static const struct {
        uint8_t len, b[25];
        qudag_err err;
    } cases[] = {
        {1, {0}, QUDAG_EMALFORMED},                               /* no length */
        {2, {0x80, 0x80}, QUDAG_ETOOBIG},                         /* a length of three bytes */
        {2, {0x81, 0x04}, QUDAG_ETOOBIG},                         /* 513 */
        {2, {0x82, 0x00}, QUDAG_EMALFORMED},                      /* not the shortest form */
        {2, {1, 4}, QUDAG_EMALFORMED},                            /* END without a reason */
        {3, {2, 4, 0}, QUDAG_EMALFORMED},                         /* reasons begin with 1 */
        {3, {2, 4, 6}, QUDAG_EMALFORMED},                         /* and end with 5 */
        {3, {2, 3, 4}, QUDAG_EMALFORMED},                         /* no such round */
        {3, {2, 5, 0}, QUDAG_EMALFORMED},                         /* no such message */
        {3, {2, 0, 0}, QUDAG_EMALFORMED},                         /* likewise */
        {4, {3, 3, 0, 0}, QUDAG_EMALFORMED},                      /* more than a START */
        {3, {2, 1, 2}, QUDAG_EUNSUPPORTED},                       /* another version */
        {3, {2, 1, 1}, QUDAG_EMALFORMED},                         /* HELLO cut short */
        {5, {4, 2, 1, 0, 17}, QUDAG_EMALFORMED},                  /* 17 candidates */
        {5, {4, 2, 1, 0, 1}, QUDAG_EMALFORMED},                   /* one, that is not there */
        {7, {6, 2, 1, 0, 1, 0, 5}, QUDAG_EMALFORMED},             /* of family 5 */
        {25, {24, 2, 1, 0, 1, 0, 5, [23] = 1}, QUDAG_EMALFORMED}, /* whole */
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct meet_msg m;
        size_t used;
        assert_int_equal(meet_msg_read(&m, (struct slice){cases[i].b, cases[i].len}, &used),
                         cases[i].err);
    }
}

static void candidates_of_unknown_kinds_and_later_fields_are_passed_over(void **state)
{
    uint8_t bytes[128];
    struct meet_msg m = full(MEET_HELLO), got;
    size_t used, len = written(bytes, sizeof(bytes), &m);
    (void)state;

    bytes[0] = (uint8_t)(bytes[0] + 3); /* a later version's */
    memset(bytes + len, 0xee, 3);
    static const uint8_t none[] = {MEET_PEER_REFLEXIVE, MEET_PREDICTED + 1, 15};
    for (size_t i = 0; i < sizeof(none); i++) { /* peer-reflexive is nothing that is told */
        bytes[1 + 1 + 1 + 32 + 1 + 2 + 2 + 1] = (uint8_t)(none[i] << 4);
        assert_int_equal(meet_msg_read(&got, (struct slice){bytes, len + 3}, &used), QUDAG_OK);
        assert_int_equal(used, len + 3);
        assert_int_equal(got.n, ARRAY_LEN(v) - 1);
        assert_memory_equal(&got.v[0], &v[1], sizeof(v[1]));
    }
    size_t port = 1 + 1 + 1 + 32 + 1 + 2 + 2 + 1 + 2 + 16;
    bytes[port - 18] = MEET_HOST << 4;
    bytes[port] = bytes[port + 1] = 0; /* nothing can be sent there */
    assert_int_equal(meet_msg_read(&got, (struct slice){bytes, len + 3}, &used), QUDAG_OK);
    assert_int_equal(got.n, ARRAY_LEN(v) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_comes_back_and_none_that_is_cut),
        cmocka_unit_test(the_longest_message_fits),
        cmocka_unit_test(what_is_not_one_is_refused),
        cmocka_unit_test(candidates_of_unknown_kinds_and_later_fields_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
