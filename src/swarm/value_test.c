/* value_test.c - what a link is worth and which gives way, as tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "swarm/value.h"

#define MIB (UINT64_C(1) << 20)

/* In the order of the table of value.h; each row is worth more than the one before. */
static void what_others_cannot_claim_weighs_most(void **state)
{
    static const struct {
        struct swarm_worth w;
        int32_t value;
    } rows[] = {
        {{.class = RES_STRANGER, .tags = -99999}, -SWARM_TAGS_SUM_MAX},
        {{.class = RES_STRANGER}, 0},
        {{.class = RES_STRANGER, .age_ns = 60 * NS_PER_S}, 2},
        {{.class = RES_STRANGER, .theirs = 1024, .age_ns = 60 * NS_PER_S}, 3},
        {{.class = RES_STRANGER, .theirs = UINT64_MAX, .age_ns = TSTAMP_NEVER}, 32},
        {{.class = RES_STRANGER, .ours = MIB}, 33},
        {{.class = RES_STRANGER, .ours = UINT64_MAX}, 48},
        {{.class = RES_NAMED, .theirs = UINT64_MAX, .age_ns = TSTAMP_NEVER}, 52},
        {{.class = RES_CHOSEN}, 150},
        {{.class = RES_CHOSEN, .tags = 50}, 200},
        {{.class = RES_BOOTSTRAP}, 400},
        {{.class = RES_NEAR}, 600},
        {{.class = RES_STRANGER, .cells = true}, 1000},
        {{.class = RES_GUARD}, 1200},
        {{.class = RES_PROTECTED}, 1500},
        {{.class = RES_GUARD, .cells = true}, 2200},
        {{.class = RES_GUARD, .cells = true, .tags = 99999}, 4200},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(swarm_value(&rows[i].w), rows[i].value);
        assert_true(i == 0 || rows[i].value > rows[i - 1].value);
    }
}

static void what_a_stranger_earns_by_itself_does_not_keep_newcomers_out(void **state)
{
    struct swarm_worth w = {.theirs = UINT64_MAX, .age_ns = TSTAMP_NEVER};
    (void)state;

    assert_true(swarm_value(&w) < SWARM_VALUE_NEWCOMER);
    assert_true(swarm_value_gives(&w, RES_STRANGER));
    w.tags = SWARM_VALUE_NEWCOMER;
    assert_false(swarm_value_gives(&w, RES_STRANGER));
}

static void a_stream_is_under_way_by_who_opened_it_and_by_what_moves(void **state)
{
    tstamp now = 3600 * NS_PER_S;
    (void)state;

    assert_false(swarm_value_under_way(0, false, 0, now, now));
    assert_true(swarm_value_under_way(1, false, 1, 0, now));
    assert_true(swarm_value_under_way(0, true, 0, 0, now));
    assert_true(swarm_value_under_way(0, false, 1, now - SWARM_MOVING + 1, now));
    assert_false(swarm_value_under_way(0, false, 1, now - SWARM_MOVING, now)); /* kept open only */
}

static void neither_protected_nor_busy_nor_young_links_are_trimmed(void **state)
{
    struct swarm_worth w = {.class = RES_STRANGER};
    (void)state;

    assert_true(swarm_value_trimmable(&w));
    w.young = true;
    assert_false(swarm_value_trimmable(&w));
    w = (struct swarm_worth){.under_way = true};
    assert_false(swarm_value_trimmable(&w));
    for (unsigned c = RES_STRANGER; c < RES_CLASSES; c++) {
        w = (struct swarm_worth){.class = (enum res_class)c};
        assert_int_equal(swarm_value_trimmable(&w), c != RES_PROTECTED);
    }
}

static void a_place_goes_to_whom_it_matters_more(void **state)
{
    static const struct {
        struct swarm_worth w;
        enum res_class newcomer;
        bool gives;
    } rows[] = {
        {{.class = RES_STRANGER}, RES_STRANGER, true},
        {{.class = RES_STRANGER}, RES_NAMED, true},
        {{.class = RES_STRANGER, .young = true}, RES_STRANGER, false},
        {{.class = RES_STRANGER, .young = true}, RES_NAMED, false},
        {{.class = RES_STRANGER, .young = true}, RES_CHOSEN, true},
        {{.class = RES_STRANGER, .under_way = true}, RES_STRANGER, false},
        {{.class = RES_STRANGER, .under_way = true}, RES_PROTECTED, false},
        {{.class = RES_STRANGER, .cells = true}, RES_STRANGER, false},
        {{.class = RES_STRANGER, .cells = true}, RES_CHOSEN, false},
        {{.class = RES_STRANGER, .cells = true}, RES_GUARD, true},
        {{.class = RES_CHOSEN}, RES_STRANGER, false},
        {{.class = RES_CHOSEN}, RES_CHOSEN, false},
        {{.class = RES_CHOSEN, .tags = -200}, RES_CHOSEN, true},
        {{.class = RES_CHOSEN}, RES_GUARD, true},
        {{.class = RES_NEAR}, RES_BOOTSTRAP, false},
        {{.class = RES_PROTECTED, .tags = -9999}, RES_STRANGER, false},
        {{.class = RES_PROTECTED, .tags = -9999}, RES_PROTECTED, false},
        {{.class = RES_GUARD}, RES_GUARD, false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(swarm_value_gives(&rows[i].w, rows[i].newcomer), rows[i].gives);
    }
}

static void reasons_have_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SWARM_TRIMS; i++) {
        assert_true(swarm_trim_name((enum swarm_trim)i)[0] != 0);
    }
    assert_string_equal(swarm_trim_name(SWARM_TRIMS), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_cannot_claim_weighs_most),
        cmocka_unit_test(what_a_stranger_earns_by_itself_does_not_keep_newcomers_out),
        cmocka_unit_test(a_stream_is_under_way_by_who_opened_it_and_by_what_moves),
        cmocka_unit_test(neither_protected_nor_busy_nor_young_links_are_trimmed),
        cmocka_unit_test(a_place_goes_to_whom_it_matters_more),
        cmocka_unit_test(reasons_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
