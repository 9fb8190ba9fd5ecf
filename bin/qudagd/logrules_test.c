/* logrules_test.c - levels by area, and events that repeat themselves. */
#include "logrules.h"

#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void an_area_has_its_own_level_until_it_is_cleared(void **state)
{
    static struct log_areas a;
    (void)state;

    assert_int_equal(log_areas_level(&a, "kad.query", QUDAG_LOG_INFO), QUDAG_LOG_INFO);
    assert_true(log_areas_set(&a, "kad", QUDAG_LOG_DEBUG));
    assert_true(log_areas_set(&a, "link", QUDAG_LOG_ERROR));
    assert_int_equal(log_areas_level(&a, "kad.query", QUDAG_LOG_INFO), QUDAG_LOG_DEBUG);
    assert_int_equal(log_areas_level(&a, "kad", QUDAG_LOG_INFO), QUDAG_LOG_DEBUG);
    assert_int_equal(log_areas_level(&a, "kadx.query", QUDAG_LOG_INFO), QUDAG_LOG_INFO);
    assert_int_equal(log_areas_level(&a, "ka.d", QUDAG_LOG_INFO), QUDAG_LOG_INFO);
    assert_int_equal(log_areas_level(&a, "link.up", QUDAG_LOG_INFO), QUDAG_LOG_ERROR);
    assert_true(log_areas_set(&a, "kad", QUDAG_LOG_WARN)); /* again */
    assert_int_equal(a.n, 2);
    log_areas_clear(&a, "kad");
    log_areas_clear(&a, "nobody");
    assert_int_equal(a.n, 1);
    assert_int_equal(log_areas_level(&a, "kad.query", QUDAG_LOG_INFO), QUDAG_LOG_INFO);
    assert_int_equal(log_areas_level(&a, "link.up", QUDAG_LOG_INFO), QUDAG_LOG_ERROR);
    assert_false(log_areas_set(&a, "", QUDAG_LOG_INFO));
    assert_false(log_areas_set(&a, "Kad", QUDAG_LOG_INFO));
    assert_false(log_areas_set(&a, "a.b", QUDAG_LOG_INFO));
    assert_false(log_areas_set(&a, "nobody", QUDAG_LOG_INFO)); /* nothing would be logged so */
    assert_int_equal(a.n, 1);
    assert_true(log_areas_set(&a, "link", QUDAG_LOG_WARN));
}

static void what_is_configured_is_an_area_with_a_level(void **state)
{
    static const char *const bad[] = {
        "kad",           "kad=", "=debug", "kad=loud", "kad:debug", "", "rendezvouses_of_all=debug",
        "kad=debug=info"};
    char area[LOG_AREA_LEN] = "", why[LOG_WHY_LEN] = "";
    qudag_log_level level = QUDAG_LOG_INFO;
    (void)state;

    assert_true(log_area_parse("kad=debug", area, &level, why, sizeof(why)));
    assert_string_equal(area, "kad");
    assert_int_equal(level, QUDAG_LOG_DEBUG);
    assert_true(log_area_parse("rendezvous=error", area, &level, why, sizeof(why)));
    assert_int_equal(level, QUDAG_LOG_ERROR);
    for (size_t ix = 0; ix < sizeof(bad) / sizeof(bad[0]); ix++) {
        assert_false(log_area_parse(bad[ix], area, &level, why, sizeof(why)));
        assert_non_null(strstr(why, "AREA=error"));
    }
    assert_false(log_area_parse("lnk=debug", area, &level, why, sizeof(why)));
    assert_non_null(strstr(why, "lnk is no area of the log, did you mean link?"));
    assert_non_null(strstr(why, " boot, bytes, circuit,"));
    assert_non_null(strstr(why, ", transfer")); /* the list is complete */
    assert_int_equal(strlen(strstr(why, ", transfer")), strlen(", transfer"));
    for (unsigned i = 0; i < 4; i++) {
        assert_true(log_level_parse(log_level_name((qudag_log_level)i), &level));
        assert_int_equal(level, i);
    }
}

static void what_repeats_itself_is_held_back_and_counted(void **state)
{
    static struct log_repeats r;
    char event[48];
    uint32_t held = 0;
    (void)state;

    for (unsigned i = 0; i < LOG_REPEATS_LINES; i++) {
        assert_true(log_repeats_admit(&r, "a.b", 1000));
    }
    assert_false(log_repeats_admit(&r, "a.b", 1000));
    assert_false(log_repeats_admit(&r, "a.b", 1000 + LOG_REPEATS_NS - 1));
    assert_true(log_repeats_admit(&r, "a.c", 1000)); /* another one is not */
    assert_false(log_repeats_next(&r, 1000 + LOG_REPEATS_NS - 1, event, &held));
    assert_true(log_repeats_next(&r, 1000 + LOG_REPEATS_NS, event, &held));
    assert_string_equal(event, "a.b");
    assert_int_equal(held, 2);
    assert_false(log_repeats_next(&r, 1000 + LOG_REPEATS_NS, event, &held));
    assert_true(log_repeats_admit(&r, "a.b", 1000 + LOG_REPEATS_NS));
}

/* An event that comes now and then, for ever, is never held back; what was held is told before it begins anew. */
static void each_time_begins_afresh_once_all_is_told(void **state)
{
    static struct log_repeats r;
    char event[48];
    uint32_t held = 0;
    uint64_t now = 1000;
    (void)state;

    for (unsigned i = 0; i < 5 * LOG_REPEATS_LINES; i++, now += LOG_REPEATS_NS) {
        assert_true(log_repeats_admit(&r, "a.b", now));
    }
    for (unsigned i = 0; i <= LOG_REPEATS_LINES; i++) {
        (void)log_repeats_admit(&r, "a.b", now);
    }
    now += LOG_REPEATS_NS;
    assert_false(log_repeats_admit(&r, "a.b", now)); /* it is not told yet, and still counted */
    assert_true(log_repeats_next(&r, now, event, &held));
    assert_int_equal(held, 2);
}

static void many_kinds_of_events_take_no_more_room(void **state)
{
    static struct log_repeats r;
    char event[48];
    uint32_t held;
    (void)state;

    for (unsigned i = 0; i <= LOG_REPEATS_LINES; i++) {
        (void)log_repeats_admit(&r, "noisy", 1);
    }
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(event, sizeof(event), "event.%u", i);
        assert_true(log_repeats_admit(&r, event, 2 + i));
    }
    assert_false(log_repeats_admit(&r, "noisy", 2000)); /* not forgotten over it */
    assert_true(log_repeats_next(&r, 1 + LOG_REPEATS_NS, event, &held));
    assert_string_equal(event, "noisy");
    assert_int_equal(held, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_area_has_its_own_level_until_it_is_cleared),
        cmocka_unit_test(what_is_configured_is_an_area_with_a_level),
        cmocka_unit_test(what_repeats_itself_is_held_back_and_counted),
        cmocka_unit_test(each_time_begins_afresh_once_all_is_told),
        cmocka_unit_test(many_kinds_of_events_take_no_more_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
