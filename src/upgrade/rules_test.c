/* The table of what may secure a link, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upgrade/rules.h"

#include <string.h>

#define T "/tls/1.0.0"
#define H "/noise-mlkem768-hfs/0.1.0"
#define N "/noise"

static void what_is_proposed_and_taken(void **state)
{
    static const struct {
        struct upgrade_wish w;
        const char *want[UPGRADE_PROTOS];
    } row[] = {
        {{PQ_REQUIRE, 0, false}, {T}},
        {{PQ_REQUIRE, LINK_PQ_KEX, true}, {T}},
        {{PQ_PREFER, 0, false}, {T, H, N}},
        {{PQ_PREFER, LINK_PQ_KEX, false}, {T, H}},
        {{PQ_PREFER, LINK_PQ_AUTH, false}, {T}},
        {{PQ_PREFER, LINK_PQ_KEX | LINK_PQ_AUTH, false}, {T}},
        {{PQ_PREFER, 0, true}, {T}},
        {{PQ_PREFER, LINK_RELAYED | LINK_LIMITED, false}, {T, H, N}},
        {{PQ_OFF, 0, false}, {T, N}},
        {{PQ_OFF, LINK_PQ_KEX, false}, {T}},
        {{PQ_OFF, 0, true}, {T}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        enum upgrade_proto got[UPGRADE_PROTOS];
        size_t n = upgrade_rule_protos(&row[i].w, got);
        for (size_t k = 0; k < n; k++) {
            assert_non_null(row[i].want[k]);
            assert_string_equal(upgrade_proto_id(got[k]), row[i].want[k]);
        }
        assert_true(n == UPGRADE_PROTOS || row[i].want[n] == NULL);
    }
}

static void what_is_admitted(void **state)
{
    static const uint8_t both = LINK_PQ_KEX | LINK_PQ_AUTH;
    static const struct {
        struct upgrade_wish w;
        uint8_t props;
        bool has_hash;
        qudag_err err;
    } row[] = {
        {{PQ_REQUIRE, 0, false}, LINK_PQ_KEX | LINK_PQ_AUTH, true, QUDAG_OK},
        {{PQ_REQUIRE, 0, false}, LINK_PQ_KEX, false, QUDAG_EPOLICY},
        {{PQ_REQUIRE, 0, false}, LINK_PQ_AUTH, true, QUDAG_EPOLICY},
        {{PQ_REQUIRE, 0, false}, 0, false, QUDAG_EPOLICY},
        {{PQ_PREFER, 0, false}, 0, false, QUDAG_OK},
        {{PQ_PREFER, LINK_PQ_KEX, false}, LINK_PQ_AUTH, true, QUDAG_EPOLICY},
        {{PQ_PREFER, LINK_PQ_KEX, false}, LINK_PQ_KEX, false, QUDAG_OK},
        {{PQ_PREFER, LINK_PQ_AUTH, false}, LINK_PQ_KEX, false, QUDAG_EPOLICY},
        {{PQ_PREFER, LINK_PQ_KEX | LINK_PQ_AUTH, false},
         LINK_PQ_KEX | LINK_PQ_AUTH,
         true,
         QUDAG_OK},
        {{PQ_PREFER, 0, true}, LINK_PQ_KEX, false, QUDAG_EAUTH},
        {{PQ_PREFER, 0, true}, 0, true, QUDAG_OK},
        {{PQ_PREFER, LINK_RELAYED, false}, 0, false, QUDAG_OK},
        {{PQ_OFF, 0, false}, 0, false, QUDAG_OK},
        {{PQ_OFF, LINK_PQ_KEX, false}, 0, false, QUDAG_EPOLICY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const char *text = "";
        uint8_t props = row[i].props | (row[i].props == both ? LINK_QUDAG : 0);
        assert_int_equal(upgrade_rule_admit(&row[i].w, props, row[i].has_hash, &text), row[i].err);
        assert_true((text == NULL) == (row[i].err == QUDAG_OK));
        if (text != NULL && !row[i].w.pinned) { /* what is lacking is named, the weightier first */
            assert_int_equal(strstr(text, "key exchange") != NULL, (props & LINK_PQ_KEX) == 0);
        }
    }
}

/* Whatever the wish, what is proposed could fulfil it, and under require it is TLS alone. */
static void nothing_is_proposed_in_vain(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3 * 4 * 2; i++) {
        struct upgrade_wish w = {(enum pq_policy)(i % 3), (uint8_t)(i / 3 % 4), i / 12 != 0};
        enum upgrade_proto got[UPGRADE_PROTOS];
        const char *text;
        size_t n = upgrade_rule_protos(&w, got);
        assert_true(n >= 1 && got[0] == UPGRADE_TLS);
        assert_true(w.pq != PQ_REQUIRE || n == 1);
        for (size_t k = 1; k < n; k++) {
            uint8_t props = got[k] == UPGRADE_NOISE_HYBRID ? LINK_PQ_KEX : 0;
            assert_int_equal(upgrade_rule_admit(&w, props, false, &text), QUDAG_OK);
        }
    }
}

static void who_gives_way(void **state)
{
    const struct {
        struct upgrade_rivals r;
        bool gives;
    } row[] = {
        {{2, 0, 0, false}, true},
        {{2, 1, 0, false}, false}, /* or the two would take it from each other */
        {{1, 0, 0, false}, false},
        {{1, 0, UPGRADE_PATIENCE - 1, false}, false},
        {{1, 0, UPGRADE_PATIENCE, false}, true},
        {{3, 3, UPGRADE_PATIENCE, false}, true},
        {{2, 3, UPGRADE_PATIENCE, false}, false},
        {{1, 3, UPGRADE_SILENCE, true}, true},
        {{1, 3, UPGRADE_SILENCE - 1, true}, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(upgrade_rule_gives_way(&row[i].r), row[i].gives);
    }
}

static void what_little_was_said_through_a_relay_is_to_be_answered(void **state)
{
    const tstamp at = 7 * NS_PER_S;
    (void)state;

    assert_int_equal(upgrade_rule_quiet(0, 1, at), UPGRADE_QUIET_WAIT);
    assert_int_equal(upgrade_rule_quiet(at, 1, at + UPGRADE_QUIET_PING - 1), UPGRADE_QUIET_WAIT);
    assert_int_equal(upgrade_rule_quiet(at, 1, at + UPGRADE_QUIET_PING), UPGRADE_QUIET_ASK);
    assert_int_equal(upgrade_rule_quiet(at, 1, at + UPGRADE_QUIET_AFTER - 1), UPGRADE_QUIET_ASK);
    assert_int_equal(upgrade_rule_quiet(at, UPGRADE_QUIET_BYTES, at + UPGRADE_QUIET_AFTER),
                     UPGRADE_QUIET_TELL);
    assert_int_equal(upgrade_rule_quiet(at, UPGRADE_QUIET_BYTES + 1, at + UPGRADE_QUIET_AFTER),
                     UPGRADE_QUIET_WAIT); /* a relay may hold it back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_proposed_and_taken),
        cmocka_unit_test(what_is_admitted),
        cmocka_unit_test(nothing_is_proposed_in_vain),
        cmocka_unit_test(what_little_was_said_through_a_relay_is_to_be_answered),
        cmocka_unit_test(who_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
