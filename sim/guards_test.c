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
                  "failed for want of "
                  "a guard, %u %% ever had a hostile second hop\n",
                  c->name, f->hostile * 1000 / CLIENTS / 10, f->hostile * 1000 / CLIENTS % 10,
                  f->entries / CLIENTS, f->entries * 100 / CLIENTS % 100, f->failed, f->asked,
                  f->second * 100 / CLIENTS);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_restarts),
        cmocka_unit_test(thirty_days_of_churn),
        cmocka_unit_test(every_guard_denied_for_thirty_days),
        cmocka_unit_test(withheld_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
