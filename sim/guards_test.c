/*
 * guards_test.c - how many clients ever use a hostile entry, among ten percent of hostile relays; beside what chance
 * alone gives.  The table is in doc/performance.md.
 */
/* TEST: timeout=300 */
#include "sim/guards.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { CLIENTS = 200, RELAYS = 100 };

/* 1 - 0.9^k in percent: what clients with k guards cannot fall below, and the bounds asked here for 200 of them. */
static void ever_hostile(const struct guards_case *c, uint32_t most_percent, uint32_t most_entries,
                         struct guards_figures *f)
{
    assert_true(guards_run(c, CLIENTS, 8, f));
    print_message("%s: %u.%u %% ever used a hostile entry, %u.%02u entries each, %u of %u circuits "
                  "failed for want of a guard, %u for another, %u %% ever had a hostile second "
                  "hop\n",
                  c->name, f->hostile * 1000 / CLIENTS / 10, f->hostile * 1000 / CLIENTS % 10,
                  f->entries / CLIENTS, f->entries * 100 / CLIENTS % 100, f->failed, f->asked,
                  f->no_path, f->second * 100 / CLIENTS);
    assert_true(f->hostile * 100 <= most_percent * CLIENTS);
    assert_true(f->entries <= most_entries * CLIENTS);
}

static const struct guards_case plain = {
    .relays = RELAYS, .hostile_permille = 100, .days = 30, .every_min = 120};

/* One guard each: 10 %. */
static void a_hundred_restarts(void **state)
{
    struct guards_case c = plain;
    struct guards_figures f;
    (void)state;

    c.name = "100 restarts";
    c.days = 9;
    c.restart_every = 1;
    ever_hostile(&c, 14, 1, &f);
    assert_int_equal(f.failed, 0);
}

/* Most guards are away once, so most clients use both primaries: 19 %. */
static void thirty_days_of_churn(void **state)
{
    struct guards_case c = plain;
    struct guards_figures f;
    (void)state;

    c.name = "30 days, a tenth away, a fifth gone for good, a start each day";
    c.restart_every = 12;
    c.down_permille = 100;
    c.gone_permille = 200;
    ever_hostile(&c, 25, 3, &f);
    assert_true(f.failed * 20 < f.asked);
}

/* All that may be used within thirty days, four: 34 %. */
static void every_guard_denied_for_thirty_days(void **state)
{
    struct guards_case c = plain;
    struct guards_figures f;
    (void)state;

    c.name = "30 days, each honest guard denied from its first use on";
    c.denied = true;
    ever_hostile(&c, 40, 4, &f);
}

/* What the DHT does not give changes nothing. */
static void withheld_descriptors(void **state)
{
    struct guards_case c = plain;
    struct guards_figures f;
    (void)state;

    c.name = "30 days, descriptors of guards withheld, a start each day";
    c.restart_every = 12;
    c.withheld = true;
    ever_hostile(&c, 14, 1, &f);
    assert_int_equal(f.failed, 0);
}

/* With a start each day, and fewer circuits. */
static const struct guards_case seldom = {
    .relays = RELAYS, .hostile_permille = 100, .days = 30, .every_min = 480, .restart_every = 3};

/* Clean circuits begin as others do. */
static void clean_circuits(void **state)
{
    struct guards_case c = seldom;
    struct guards_figures f;
    (void)state;

    c.name = "clean circuits, 30 days of churn";
    c.down_permille = 100;
    c.gone_permille = 200;
    c.ends = GUARDS_ENDS_CLEAN;
    ever_hostile(&c, 25, 3, &f);
    assert_true(f.failed * 20 < f.asked);
}

/* Who names relay after relay for a service to come to brings in no guard. */
static void relays_named_by_others(void **state)
{
    struct guards_case c = seldom;
    struct guards_figures f;
    (void)state;

    c.name = "every relay named in turn as the end, 30 days";
    c.ends = GUARDS_ENDS_NAMED;
    ever_hostile(&c, 14, 1, &f);
    assert_int_equal(f.failed + f.no_path, 0);
}

/* Targets that exclude guards in use bring in no guard: the two primaries, 19 %. */
static void targets_that_exclude_guards(void **state)
{
    struct guards_case c = seldom;
    struct guards_figures f;
    (void)state;

    c.name = "targets that exclude guards in use, 30 days";
    c.ends = GUARDS_ENDS_EXCLUDING;
    ever_hostile(&c, 22, 2, &f);
}

/* Nor hardly with churn: after three days without one of the primaries. */
static void targets_that_exclude_guards_and_churn(void **state)
{
    struct guards_case c = seldom;
    struct guards_figures f;
    (void)state;

    c.name = "targets that exclude guards in use, 30 days of churn";
    c.down_permille = 100;
    c.gone_permille = 200;
    c.ends = GUARDS_ENDS_EXCLUDING;
    ever_hostile(&c, 27, 3, &f);
}

/* Denial of all guards and targets together: four within thirty days, as by denial alone. */
static void targets_that_exclude_guards_and_denial(void **state)
{
    struct guards_case c = seldom;
    struct guards_figures f;
    (void)state;

    c.name = "targets that exclude guards in use, each denied from its first use on, 30 days";
    c.denied = true;
    c.ends = GUARDS_ENDS_EXCLUDING;
    ever_hostile(&c, 40, 4, &f);
}

/* In a small network it takes seconds, and still no more than four within thirty days. */
static void a_small_network(void **state)
{
    struct guards_case c = seldom;
    struct guards_figures f;
    (void)state;

    c.name = "40 relays: targets that exclude guards in use, 30 days of churn";
    c.relays = 40;
    c.down_permille = 100;
    c.gone_permille = 200;
    c.ends = GUARDS_ENDS_EXCLUDING;
    ever_hostile(&c, 45, 4, &f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_restarts),
        cmocka_unit_test(thirty_days_of_churn),
        cmocka_unit_test(every_guard_denied_for_thirty_days),
        cmocka_unit_test(withheld_descriptors),
        cmocka_unit_test(clean_circuits),
        cmocka_unit_test(relays_named_by_others),
        cmocka_unit_test(targets_that_exclude_guards),
        cmocka_unit_test(targets_that_exclude_guards_and_churn),
        cmocka_unit_test(targets_that_exclude_guards_and_denial),
        cmocka_unit_test(a_small_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
