/* What may be stored, and by whom: each rule with what it accepts and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/common/rules.h"

#define S(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})
#define NOW 1000

/* "o<life>": valid so long; x: expired, n: not valid yet, else forged.  The life is a letter: 'a' none, 'b' 1 s, ... */
static qudag_err check(void *ctx, struct slice key, struct slice value, walltime now,
                       walltime *expires)
{
    (void)ctx;
    (void)key;
    switch (value.len == 0 ? 0 : value.base[0]) {
    case 'o':
        *expires = now + (value.base[1] == 'Z' ? 10 * KAD_RECORD_LIFE : value.base[1] - 'a');
        return QUDAG_OK;
    case 'x':
        return QUDAG_EEXPIRED;
    case 'n':
        return QUDAG_ECLOCK;
    default:
        return QUDAG_EAUTH;
    }
}

static int longer(void *ctx, struct slice key, struct slice a, struct slice b)
{
    (void)ctx;
    (void)key;
    return (a.len > b.len) - (a.len < b.len);
}

static const struct kad_validator plain = {.ns = "v", .value_max = 10, .check = check};
static const struct kad_validator choosing = {
    .ns = "m", .value_max = 10, .check = check, .select = longer};

static void a_value_is_validated_by_size_then_rule_then_life(void **state)
{
    (void)state;
    static const struct {
        struct slice value;
        qudag_err err;
        walltime expires;
    } rows[] = {
        {{(const uint8_t *)"ob", 2}, QUDAG_OK, NOW + 1},
        {{(const uint8_t *)"obcdefghij", 10}, QUDAG_OK, NOW + 1},
        {{(const uint8_t *)"obcdefghijk", 11}, QUDAG_ETOOBIG, 0},
        {{(const uint8_t *)"oZ", 2}, QUDAG_OK, NOW + KAD_RECORD_LIFE}, /* never longer than this */
        {{(const uint8_t *)"oa", 2}, QUDAG_EEXPIRED, 0},               /* valid for 0 s */
        {{(const uint8_t *)"x", 1}, QUDAG_EEXPIRED, 0},
        {{(const uint8_t *)"n", 1}, QUDAG_ECLOCK, 0},
        {{(const uint8_t *)"forged", 6}, QUDAG_EAUTH, 0},
        {{NULL, 0}, QUDAG_EAUTH, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        walltime expires;
        assert_int_equal(kad_validate(&plain, S("/v/a"), rows[i].value, NOW, &expires),
                         rows[i].err);
        assert_true(rows[i].err != QUDAG_OK || expires == rows[i].expires);
    }
    static const uint8_t big[KAD_VALUE_MAX + 1] = {'o', 'b'};
    struct kad_validator any = plain;
    walltime expires;
    any.value_max = UINT32_MAX;
    assert_int_equal(
        kad_validate(&any, S("/v/a"), (struct slice){big, KAD_VALUE_MAX}, NOW, &expires), QUDAG_OK);
    assert_int_equal(
        kad_validate(&any, S("/v/a"), (struct slice){big, KAD_VALUE_MAX + 1}, NOW, &expires),
        QUDAG_ETOOBIG);
}

static void a_key_belongs_to_the_longest_namespace_it_is_in(void **state)
{
    (void)state;
    struct kad_rules r = {0};
    struct kad_validator v = plain;
    static const char *const ns[] = {"v", "qudag/relay", "qudag"}; /* the longest is not the last */
    static const struct {
        struct slice key;
        int ns; /* -1: none */
    } rows[] = {
        {{(const uint8_t *)"/v/a", 4}, 0},
        {{(const uint8_t *)"/v/", 3}, -1}, /* nothing behind it */
        {{(const uint8_t *)"/v", 2}, -1},
        {{(const uint8_t *)"v/a", 3}, -1},
        {{(const uint8_t *)"/va/a", 5}, -1},
        {{(const uint8_t *)"/w/a", 4}, -1},
        {{(const uint8_t *)"/qudag/x", 8}, 2},
        {{(const uint8_t *)"/qudag/relays/x", 15}, 2},
        {{(const uint8_t *)"/qudag/relay/x", 14}, 1},
        {{(const uint8_t *)"/qudag/relay/", 13}, 2}, /* nothing behind the longer one */
        {{NULL, 0}, -1},
    };

    for (size_t i = 0; i < ARRAY_LEN(ns); i++) {
        v.ns = ns[i];
        assert_int_equal(kad_rules_add(&r, &v), QUDAG_OK);
        assert_int_equal(kad_rules_add(&r, &v), QUDAG_EEXISTS);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct kad_validator *got = kad_rules_find(&r, rows[i].key);
        assert_ptr_equal(got, rows[i].ns < 0 ? NULL : &r.v[rows[i].ns]);
    }
    v.ns = "";
    assert_int_equal(kad_rules_add(&r, &v), QUDAG_EINVAL);
    v.ns = NULL;
    assert_int_equal(kad_rules_add(&r, &v), QUDAG_EINVAL);
    v = (struct kad_validator){.ns = "w"};
    assert_int_equal(kad_rules_add(&r, &v), QUDAG_EINVAL); /* nothing checks its values */
    static char names[KAD_VALIDATORS_MAX][3];
    for (size_t i = r.n; i < KAD_VALIDATORS_MAX; i++) {
        names[i][0] = 'n';
        names[i][1] = (char)('a' + i);
        v = plain;
        v.ns = names[i];
        assert_int_equal(kad_rules_add(&r, &v), QUDAG_OK);
    }
    v.ns = "more";
    assert_int_equal(kad_rules_add(&r, &v), QUDAG_ELIMIT);
}

static void a_put_is_refused_for_the_first_thing_wrong_with_it(void **state)
{
    (void)state;
    struct kad_msg good = {.type = KAD_PUT_VALUE,
                           .key = S("/v/a"),
                           .has_record = true,
                           .rec_key = S("/v/a"),
                           .rec_value = S("obcdefghij")};
    enum kad_refusal why;

    assert_true(kad_put_acceptable(&good, &plain, &why));
    struct kad_msg m = good;
    m.rec_value = S("obcdefghijk");
    assert_false(kad_put_acceptable(&m, &plain, &why));
    assert_int_equal(why, KAD_REFUSED_VALUE_SIZE);
    assert_false(kad_put_acceptable(&m, NULL, &why));
    assert_int_equal(why, KAD_REFUSED_NAMESPACE);
    m.rec_key = S("/v/b");
    assert_false(kad_put_acceptable(&m, NULL, &why));
    assert_int_equal(why, KAD_REFUSED_OTHER_KEY);
    m.rec_key = S("/v/");
    assert_false(kad_put_acceptable(&m, &plain, &why));
    assert_int_equal(why, KAD_REFUSED_OTHER_KEY);
    m.has_record = false;
    assert_false(kad_put_acceptable(&m, NULL, &why));
    assert_int_equal(why, KAD_REFUSED_NO_RECORD);
}

static void only_the_sender_itself_may_be_the_provider(void **state)
{
    (void)state;
    enum kad_refusal why;

    assert_true(kad_provider_acceptable(1, true, &why));
    assert_true(kad_provider_acceptable(3, true, &why));
    assert_false(kad_provider_acceptable(1, false, &why));
    assert_int_equal(why, KAD_REFUSED_PROVIDER_OTHER);
    assert_false(kad_provider_acceptable(0, false, &why));
    assert_int_equal(why, KAD_REFUSED_NO_RECORD);
}

static void more_than_three_of_one_network_in_an_answer_are_all_left_out(void **state)
{
    (void)state;
    static const uint32_t group[] = {7, 8, 7, 0, 7, 8, 0, 0, 0, 7, 8};

    for (size_t n = 0; n < ARRAY_LEN(group); n++) {
        for (size_t ix = 0; ix < n; ix++) {
            /* the fourth 7 stands at 9; networks that are not known are none */
            assert_int_equal(kad_answer_crowded(group, n, ix), group[ix] == 7 && n > 9);
        }
    }
}

static void a_read_is_as_sure_as_asked_else_as_its_namespace_says(void **state)
{
    (void)state;
    struct kad_validator says = plain;

    says.read = KAD_READ_QUORUM;
    assert_int_equal(kad_read_mode(NULL, KAD_READ_PATHS), KAD_READ_DEFAULT);
    assert_int_equal(kad_read_mode(&plain, KAD_READ_DEFAULT), KAD_READ_FIRST);
    assert_int_equal(kad_read_mode(&choosing, KAD_READ_DEFAULT), KAD_READ_CONFIRMED);
    assert_int_equal(kad_read_mode(&says, KAD_READ_DEFAULT), KAD_READ_QUORUM);
    assert_int_equal(kad_read_mode(&says, KAD_READ_PATHS), KAD_READ_PATHS);
    assert_int_equal(kad_prefer(&plain, S("/v/a"), S("long"), S("s")), 0);
    assert_true(kad_prefer(&choosing, S("/m/a"), S("long"), S("s")) > 0);
    assert_true(kad_prefer(&choosing, S("/m/a"), S("s"), S("long")) < 0);
}

static void every_error_of_a_value_or_message_has_its_reason(void **state)
{
    (void)state;
    static const struct {
        qudag_err err;
        enum kad_refusal value, msg;
    } rows[] = {
        {QUDAG_ETOOBIG, KAD_REFUSED_VALUE_SIZE, KAD_REFUSED_FIELD_SIZE},
        {QUDAG_EEXPIRED, KAD_REFUSED_EXPIRED, KAD_REFUSED_MALFORMED},
        {QUDAG_ECLOCK, KAD_REFUSED_CLOCK, KAD_REFUSED_MALFORMED},
        {QUDAG_ESTALE, KAD_REFUSED_STALE, KAD_REFUSED_MALFORMED},
        {QUDAG_ELIMIT, KAD_REFUSED_FULL, KAD_REFUSED_MALFORMED},
        {QUDAG_ENOMEM, KAD_REFUSED_NO_MEMORY, KAD_REFUSED_MALFORMED},
        {QUDAG_EAUTH, KAD_REFUSED_INVALID, KAD_REFUSED_MALFORMED},
        {QUDAG_EMALFORMED, KAD_REFUSED_INVALID, KAD_REFUSED_MALFORMED},
        {QUDAG_EUNSUPPORTED, KAD_REFUSED_INVALID, KAD_REFUSED_UNKNOWN_TYPE},
    };
    struct kad_stats s = {0};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(kad_refusal_of(rows[i].err), rows[i].value);
        assert_int_equal(kad_refusal_of_msg(rows[i].err), rows[i].msg);
    }
    kad_refusal_count(&s, KAD_REFUSED_OTHER_KEY, 3);
    kad_refusal_count(&s, KAD_REFUSED_PEER_ADDR, 2);
    kad_refusal_count(&s, KAD_REFUSED_OVERSIZED, 1);
    assert_int_equal(s.refused[KAD_REFUSED_OTHER_KEY], 3);
    assert_int_equal(s.refused_records, 3);
    assert_int_equal(s.dropped_peers, 2);
    assert_int_equal(s.bad_messages, 1);
}

static void silence_is_held_against_a_peer_only_while_others_are_heard(void **state)
{
    (void)state;
    static const struct {
        struct kad_silence s; /* s: now, asked, last answer; run */
        bool counts;
    } rows[] = {
        {{100, 95, 0, 0}, false},    {{100, 95, 94, 0}, true},    {{100, 95, 94, 1}, true},
        {{100, 95, 94, 2}, false},   {{100, 95, 94, 900}, false}, {{100, 95, 95, 900}, true},
        {{100, 95, 97, 900}, true},  {{100, 95, 41, 0}, true},    {{100, 95, 40, 0}, false},
        {{200, 100, 140, 0}, false}, {{200, 100, 141, 9}, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kad_silence s = rows[i].s;
        s.now *= NS_PER_S;
        s.asked *= NS_PER_S;
        s.last_answer *= NS_PER_S;
        if (kad_silence_counts(&s) != rows[i].counts) {
            fail_msg("row %zu", i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_validated_by_size_then_rule_then_life),
        cmocka_unit_test(a_key_belongs_to_the_longest_namespace_it_is_in),
        cmocka_unit_test(a_put_is_refused_for_the_first_thing_wrong_with_it),
        cmocka_unit_test(only_the_sender_itself_may_be_the_provider),
        cmocka_unit_test(more_than_three_of_one_network_in_an_answer_are_all_left_out),
        cmocka_unit_test(a_read_is_as_sure_as_asked_else_as_its_namespace_says),
        cmocka_unit_test(every_error_of_a_value_or_message_has_its_reason),
        cmocka_unit_test(silence_is_held_against_a_peer_only_while_others_are_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
