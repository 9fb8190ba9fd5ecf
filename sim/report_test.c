/* report_test.c - intervals and quantiles against known values; what is printed is whole. */
#include "sim/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void wilson_intervals_are_those_of_the_tables(void **state)
{
    (void)state;
    static const struct {
        uint64_t right, n, ppm, low, high;
    } cases[] = {
        {0, 10, 0, 0, 277533},
        {10, 10, 1000000, 722467, 1000000},
        {50, 100, 500000, 403832, 596168},
        {999, 1000, 999000, 994358, 999823},
        {1, 1, 1000000, 206549, 1000000},
        {0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sim_outcome o = {.right = cases[i].right,
                                .absent = cases[i].n - cases[i].right,
                                .left = 99}; /* not counted */
        struct sim_rate r = sim_rate(&o);
        assert_int_equal(r.asked, cases[i].n);
        assert_int_equal(r.ppm, cases[i].ppm);
        assert_in_range(r.low + 2, cases[i].low, cases[i].low + 4);
        assert_in_range(r.high + 2, cases[i].high, cases[i].high + 4);
    }
}

static void quantiles_are_samples(void **state)
{
    (void)state;
    uint32_t v[101];
    struct sim_samples s = {.us = v, .n = 101}, none = {.n = 0};

    for (uint32_t i = 0; i < 101; i++) {
        v[i] = (i * 37) % 101;
    }
    sim_sort(&s);
    assert_int_equal(sim_quantile(&s, 0), 0);
    assert_int_equal(sim_quantile(&s, 500), 50);
    assert_int_equal(sim_quantile(&s, 950), 95);
    assert_int_equal(sim_quantile(&s, 1000), 100);
    assert_int_equal(sim_quantile(&none, 500), 0);
}

static void a_report_fails_below_a_minimum_or_with_a_violation(void **state)
{
    (void)state;
    struct sim_report r = {.phases = 1};

    r.phase[0].of[1] = (struct sim_outcome){.asked = 100, .right = 99, .absent = 1};
    assert_true(sim_passed(&r));
    r.phase[0].minimum[1] = 990000;
    assert_true(sim_passed(&r));
    r.phase[0].minimum[1] = 990001;
    assert_false(sim_passed(&r));
    r.phase[0].minimum[1] = 0;
    r.violations = 1;
    assert_false(sim_passed(&r));
    r.violations = 0;
    r.phase[0].minimum[2] = 1; /* nothing was asked at all */
    assert_false(sim_passed(&r));
}

static char *printed(void (*print)(FILE *, const struct sim_report *), const struct sim_report *r)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    print(f, r);
    (void)fclose(f);
    return text;
}

static void print_json(FILE *f, const struct sim_report *r)
{
    static const struct scenario sc = {.name = "x", .nodes = 5};

    sim_print_json(f, r, &sc, 18446744073709551615u, NULL);
}

static void print_cost(FILE *f, const struct sim_report *r)
{
    struct sim_report all = *r;
    const struct sim_cost c = {.build_ns = 1500 * NS_PER_MS,
                               .run_ns = 3 * NS_PER_S,
                               .run_cpu_ns = 2 * NS_PER_S,
                               .resident_built = 5 << 20,
                               .resident = 7 << 20};

    all.asked = 1000;
    all.rpcs = 10000;
    all.wakes = 10;
    all.wake_cpu_ns = NS_PER_S;
    sim_print_cost(f, &all, &c);
}

static void print_svg(FILE *f, const struct sim_report *r)
{
    sim_print_svg(f, r, 1);
}

static size_t count(const char *text, char c)
{
    size_t n = 0;

    for (; *text != 0; text++) {
        n += *text == c;
    }
    return n;
}

static void text_json_and_plot_say_what_was_counted(void **state)
{
    (void)state;
    static uint32_t us[3] = {1000, 2000, 4000000};
    struct sim_report r = {.phases = 2, .violations = 2, .violation = "so"};

    memcpy(r.phase[0].name, "first", 6);
    memcpy(r.phase[1].name, "empty", 6);
    r.phase[0].of[1] =
        (struct sim_outcome){.asked = 5, .right = 3, .absent = 2, .took = {.us = us, .n = 3}};
    char *t = printed(sim_print_text, &r);
    assert_non_null(strstr(t, "60.000 %"));
    assert_non_null(strstr(t, "absent 2"));
    assert_non_null(strstr(t, "mean   1334.3")); /* of 1, 2 and 4000 ms */
    assert_non_null(strstr(t, "VIOLATED 2 times"));
    free(t);
    t = printed(print_json, &r);
    assert_non_null(strstr(t, "\"rate\": 0.600000"));
    assert_non_null(strstr(t, "\"seed\": 18446744073709551615"));
    assert_int_equal(count(t, '{'), count(t, '}'));
    assert_int_equal(count(t, '['), count(t, ']'));
    assert_int_equal(count(t, '"') % 2, 0);
    free(t);
    t = printed(print_cost, &r);
    assert_non_null(
        strstr(t, "built in 1.500 s, 5 MiB resident then, 7 MiB at the end; run in 3.000 s"));
    assert_non_null(
        strstr(t, "1000 requests: 1000.0 us, for each of 10000 between nodes: 100.0 us"));
    assert_non_null(strstr(t, "10 wakings besides, 100000 us each"));
    free(t);
    t = printed(print_svg, &r);
    assert_non_null(strstr(t, "first (3)"));
    assert_null(strstr(t, "empty"));
    assert_int_equal(count(t, '<'), count(t, '>'));
    assert_null(strstr(t, "NaN"));
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_intervals_are_those_of_the_tables),
        cmocka_unit_test(quantiles_are_samples),
        cmocka_unit_test(a_report_fails_below_a_minimum_or_with_a_violation),
        cmocka_unit_test(text_json_and_plot_say_what_was_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
