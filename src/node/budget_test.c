/* budget_test.c - how many circuits the far end can make us build. */
#include "node/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START (5000 * NS_PER_S)
#define HOUR NODE_BUDGET_HOUR

static struct mem mem;
static struct node_budget b;

static int set_up(void **state)
{
    (void)state;
    mem_init(&mem, NULL, 0);
    node_budget_init(&b, &mem);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    node_budget_fini(&b);
    return mem.used == 0 ? 0 : -1;
}

static struct dark_addr addr_of(unsigned nth)
{
    struct dark_addr a = {.network = 2};
    memcpy(a.ed_pk, &nth, sizeof(nth));
    return a;
}

static struct node_isolation key_of(unsigned nth)
{
    struct node_isolation k = {.len = sizeof(nth), .local_user = nth}; /* each a user of its own */
    memcpy(k.key, &nth, sizeof(nth));
    return k;
}

/* How many of 100 keys of his |user| may begin, from the |from|th on. */
static unsigned begun_by(uint64_t user, unsigned from, const struct dark_addr *a, tstamp now)
{
    unsigned n = 0;
    for (unsigned i = from; i < from + 100; i++) {
        struct node_isolation k = key_of(i);
        k.local_user = user;
        n += node_budget_take(&b, a, &k, now) == QUDAG_OK;
    }
    return n;
}

/* Attempts that are allowed when one is made each |step| from |from| to |to|. */
static unsigned allowed(const struct dark_addr *a, const struct node_isolation *k, tstamp from,
                        tstamp to, uint64_t step)
{
    unsigned n = 0;
    for (tstamp now = from; now < to; now += step) {
        qudag_err err = node_budget_take(&b, a, k, now);
        assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT || err == QUDAG_EUNREACHABLE);
        n += err == QUDAG_OK;
    }
    return n;
}

/* The audit's case: 44 circuits in 200 s, and so on for as long as the service liked. */
static void a_service_that_is_silent_sees_few_circuits_and_then_ever_fewer(void **state)
{
    const struct dark_addr a = addr_of(1), other = addr_of(2);
    const struct node_isolation k = key_of(1);
    (void)state;
    assert_int_equal(allowed(&a, &k, START, START + 60 * NS_PER_S, NS_PER_S / 2), 8);
    assert_in_range(allowed(&a, &k, START + 60 * NS_PER_S, START + 200 * NS_PER_S, NS_PER_S / 2), 2,
                    3);
    assert_in_range(allowed(&a, &k, START + 200 * NS_PER_S, START + HOUR, NS_PER_S), 3, 8);
    assert_in_range(allowed(&a, &k, START + HOUR, START + 24 * HOUR, 10 * NS_PER_S), 10, 40);
    assert_int_equal(allowed(&other, &k, START + 24 * HOUR, START + 24 * HOUR + 1, 1), 1);
}

static bool take(struct node_spend *s, tstamp now)
{
    return node_spend_take(s, 2, 5, now);
}

static void waits_double(void **state)
{
    static const uint64_t wait[] = {NODE_BUDGET_WAIT / 8, NODE_BUDGET_WAIT / 4,
                                    NODE_BUDGET_WAIT / 2, NODE_BUDGET_WAIT,
                                    NODE_BUDGET_WAIT * 2, NODE_BUDGET_WAIT * 4};
    struct node_spend s = {.level = 0};
    tstamp now = START;
    (void)state;
    assert_true(take(&s, now));
    assert_true(take(&s, now));
    for (size_t i = 0; i < ARRAY_LEN(wait); i++) {
        assert_false(take(&s, now));
        assert_false(take(&s, now + wait[i] - 1));
        now += wait[i];
        assert_true(take(&s, now));
    }
    for (int i = 0; i < 10; i++) { /* to an hour */
        now += HOUR;
        assert_true(take(&s, now));
    }
    /* and are forgotten in the end */
    now += 48 * HOUR;
    assert_true(take(&s, now));
    assert_true(take(&s, now));
    assert_false(take(&s, now));
    for (int i = 0; i < 64; i++) { /* where all are free at once, nothing waits before */
        assert_true(node_spend_take(&s, 128, 128, now));
    }
}

/* The case of a service that was suspended for a minute, three times: its callers waited in vain afterwards. */
static void after_an_outage_of_minutes_the_next_attempt_is_a_minute_away(void **state)
{
    const struct dark_addr a = addr_of(1);
    const struct node_isolation k = key_of(1);
    tstamp now = START;
    (void)state;
    for (unsigned outage = 0; outage < 3; outage++, now += 900 * NS_PER_S) {
        uint64_t lasts = (outage < 2 ? 60 : 240) * NS_PER_S;
        unsigned cost = allowed(&a, &k, now, now + lasts, NS_PER_S);
        assert_in_range(cost, 1, 8);
        now += lasts;
        assert_true(allowed(&a, &k, now, now + NODE_BUDGET_WAIT + NS_PER_S, NS_PER_S) > 0);
        node_budget_progress(&b, &a, &k); /* what it was called for was delivered */
    }
}

/* Who is silent, refuses or ends circuits gains nothing by that; who takes what is sent may be called again for it. */
static void what_is_acknowledged_gives_one_back(void **state)
{
    const struct dark_addr a = addr_of(1), other = addr_of(2);
    const struct node_isolation k = key_of(1), stranger = key_of(2);
    (void)state;
    node_budget_progress(&b, &a, &k); /* nobody called it */
    assert_int_equal(allowed(&a, &k, START, START + 20, 1), 5);
    node_budget_progress(&b, &other, &k);
    node_budget_progress(&b, &a, &stranger);
    assert_int_equal(allowed(&a, &k, START + 20, START + 40, 1), 0);
    node_budget_progress(&b, &a, &k);
    assert_int_equal(allowed(&a, &k, START + 40, START + 60, 1), 1);
    for (int i = 0; i < 100; i++) { /* no credit beyond */
        node_budget_progress(&b, &a, &k);
    }
    assert_int_equal(allowed(&a, &k, START + 60, START + 80, 1), 4);
}

/* Whose first was refused does not get it as a further one, of which it gives back by its success. */
static void the_65th_key_waits_for_a_first_one(void **state)
{
    const struct dark_addr a = addr_of(1);
    const struct node_isolation late = key_of(1000);
    tstamp now = START;
    (void)state;
    for (unsigned i = 0; i < NODE_BUDGET_FIRST; i++) {
        const struct node_isolation k = key_of(i);
        assert_int_equal(node_budget_take(&b, &a, &k, now), QUDAG_OK);
    }
    assert_int_equal(node_budget_take(&b, &a, &late, now), QUDAG_EUNREACHABLE);
    assert_int_equal(allowed(&a, &late, now, now + NODE_BUDGET_HOUR / NODE_BUDGET_FIRST, NS_PER_S),
                     0);
    assert_int_equal(allowed(&a, &late, now, now + 180 * NS_PER_S, NS_PER_S) > 0, true);
    const struct node_isolation first = key_of(0); /* another's further ones are still all there */
    assert_int_equal(allowed(&a, &first, now + 180 * NS_PER_S, now + 181 * NS_PER_S, NS_PER_S / 4),
                     4);
}

static void what_did_not_pass_our_relays_the_far_end_has_not_seen(void **state)
{
    (void)state;
    assert_true(node_budget_untouched(false, 0, 3));
    assert_true(node_budget_untouched(false, 3, 3));
    assert_true(node_budget_untouched(true, 0, 3));
    assert_true(node_budget_untouched(true, 2, 3));
    assert_false(node_budget_untouched(true, 3, 3)); /* the next hop is its own */
    assert_false(node_budget_untouched(true, 4, 3));
}

static void what_broke_at_our_relays_the_far_end_did_not_end(void **state)
{
    (void)state;
    assert_false(node_budget_by_relays(0, 3, false)); /* nobody knows */
    assert_true(node_budget_by_relays(1, 3, false));
    assert_true(node_budget_by_relays(2, 3, false));
    assert_false(node_budget_by_relays(3, 3, false)); /* R, which ends it when the service does */
    assert_true(node_budget_by_relays(3, 3, true));   /* a relay, with the service behind it */
    assert_false(node_budget_by_relays(4, 3, true));
}

/* A relay that ends circuit after circuit keeps nobody out; nor can it make us build them without end. */
static void breaks_at_relays_are_given_back_so_many_an_hour(void **state)
{
    const struct dark_addr a = addr_of(1);
    const struct node_isolation k = key_of(1), other = key_of(2);
    tstamp now = START;

    (void)state;
    node_budget_spare(&b, &a, &k, now); /* of nothing */
    for (unsigned i = 0; i < 1 + NODE_BUDGET_SPARE + NODE_BUDGET_QUICK; i++) {
        assert_int_equal(node_budget_take(&b, &a, &k, now += NS_PER_S), QUDAG_OK);
        node_budget_spare(&b, &a, &k, now);
        node_budget_spare(&b, &a, &other, now); /* which has made none */
    }
    assert_int_equal(node_budget_take(&b, &a, &k, now + NS_PER_S), QUDAG_ELIMIT);
    node_budget_spare(&b, &a, &k, now + HOUR - 20 * NS_PER_S);
    struct node_spared s = {.n = NODE_BUDGET_SPARE, .since = START};
    assert_false(node_spared_take(&s, START + HOUR - 1));
    assert_true(node_spared_take(&s, START + HOUR));
    assert_int_equal(s.n, 1);
}

static void another_key_is_no_way_around_it(void **state)
{
    const struct dark_addr a = addr_of(1);
    unsigned n = 0;
    (void)state;
    for (unsigned i = 0; i < 100; i++) { /* all first ones */
        const struct node_isolation k = key_of(i);
        n += allowed(&a, &k, START, START + 1, 1);
    }
    assert_int_equal(n, NODE_BUDGET_FIRST);
    n = 0;
    for (unsigned i = 0; i < 60; i++) { /* and one more for each */
        const struct node_isolation k = key_of(i);
        n += allowed(&a, &k, START + 1, START + 2, 1);
    }
    assert_int_equal(n, NODE_BUDGET_QUICK);
}

/* Names cost nothing: 64 of them shut all other users of the machine out of an address, for an hour. */
static void whoever_makes_up_names_leaves_some_to_other_users(void **state)
{
    const struct dark_addr a = addr_of(1);
    (void)state;
    assert_int_equal(begun_by(501, 1000, &a, START), 48);
    assert_int_equal(begun_by(501, 2000, &a, START), 0);
    assert_int_equal(begun_by(502, 3000, &a, START), 12);
    assert_int_equal(begun_by(503, 4000, &a, START), 3);
    assert_int_equal(begun_by(504, 5000, &a, START), 1); /* all 64 */
    assert_int_equal(begun_by(505, 6000, &a, START), 0);
    /* what comes back is for those who had little */
    const tstamp later = START + 5 * (HOUR / NODE_BUDGET_FIRST);
    assert_int_equal(begun_by(501, 7000, &a, later), 0);
    assert_true(begun_by(505, 8000, &a, later) > 0);
    /* what was not counted is not his either */
    struct node_isolation k = key_of(1);
    const struct dark_addr other = addr_of(2);
    k.local_user = 501;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(node_budget_take(&b, &other, &k, START), QUDAG_OK);
        node_budget_back(&b, &other, &k);
    }
    assert_int_equal(begun_by(501, 1000, &other, START), 48);
}

static void a_share_is_three_quarters_of_what_others_leave(void **state)
{
    static const uint32_t of[][2] = {{0, 48}, {16, 36}, {48, 12}, {60, 3},
                                     {62, 1}, {63, 1},  {64, 1},  {UINT32_MAX, 1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(of); i++) {
        assert_int_equal(node_budget_share(of[i][0]), of[i][1]);
    }
}

/* The attack: Bob's program counts its attempts until the first ELIMIT, to learn how often Alice's made some. */
static void what_others_used_up_is_not_called_a_limit(void **state)
{
    const struct dark_addr a = addr_of(1);
    const struct node_isolation alice = key_of(1), bob = key_of(2);
    tstamp now = START;
    (void)state;
    assert_int_equal(allowed(&a, &alice, now, now + 20, 1), 1 + NODE_BUDGET_QUICK);
    assert_int_equal(node_budget_take(&b, &a, &alice, now + 20), QUDAG_ELIMIT);
    assert_int_equal(node_budget_take(&b, &a, &bob, now + 21), QUDAG_OK); /* his first */
    for (unsigned i = 0; i < NODE_BUDGET_QUICK;
         i++) { /* his limit comes when it would come anyway */
        assert_int_equal(node_budget_take(&b, &a, &bob, now + 22 + i), QUDAG_EUNREACHABLE);
    }
    assert_int_equal(node_budget_take(&b, &a, &bob, now + 40), QUDAG_ELIMIT);
    for (unsigned i = 0; i < NODE_BUDGET_FIRST; i++) {
        const struct node_isolation k = key_of(100 + i);
        (void)allowed(&a, &k, now + 50, now + 51, 1);
    }
    const struct node_isolation carol = key_of(3);
    assert_int_equal(node_budget_take(&b, &a, &carol, now + 60), QUDAG_EUNREACHABLE);
}

/* A circuit that came of age, or the next delivery an hour later, is no far end's doing. */
static void what_is_rare_is_the_callers_own_wish(void **state)
{
    const struct dark_addr a = addr_of(1);
    const struct node_isolation k = key_of(1);
    (void)state;
    assert_int_equal(allowed(&a, &k, START, START + 24 * HOUR, 525 * NS_PER_S), 165);
}

static void what_failed_here_is_not_counted(void **state)
{
    const struct dark_addr a = addr_of(1);
    const struct node_isolation k = key_of(1);
    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(node_budget_take(&b, &a, &k, START), QUDAG_OK);
        node_budget_back(&b, &a, &k);
    }
    assert_int_equal(allowed(&a, &k, START, START + 100, 1), 1 + NODE_BUDGET_QUICK);
    for (int i = 0; i < 3; i++) {
        node_budget_back(&b, &a, &k);
    }
    assert_int_equal(allowed(&a, &k, START + 100, START + 200, 1), 3);
}

/* Guards that are silent, a network that is small: no circuit was built, whatever the address. */
static void what_fails_before_a_circuit_is_begun_is_ours(void **state)
{
    static const qudag_err ours[] = {QUDAG_ENOMEM,    QUDAG_ECANCELED, QUDAG_ELIMIT,
                                     QUDAG_ENORELAYS, QUDAG_ENOGUARD,  QUDAG_ESMALLNET,
                                     QUDAG_EINTERNAL, QUDAG_ESYSTEM};
    static const qudag_err theirs[] = {
        QUDAG_OK,     QUDAG_ETIMEOUT, QUDAG_ECIRCUIT, QUDAG_ECLOSED,   QUDAG_ERESET,
        QUDAG_EPROTO, QUDAG_EAUTH,    QUDAG_EREFUSED, QUDAG_ENOTFOUND, QUDAG_EUNREACHABLE};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        assert_true(node_budget_ours(ours[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(theirs); i++) {
        assert_false(node_budget_ours(theirs[i]));
    }
}

static void the_table_is_bounded(void **state)
{
    const struct node_isolation k = key_of(1);
    const struct dark_addr first = addr_of(0), last = addr_of(NODE_BUDGET_ADDRS_MAX);
    (void)state;
    for (unsigned i = 0; i <= NODE_BUDGET_ADDRS_MAX; i++) {
        const struct dark_addr a = addr_of(i);
        assert_int_equal(allowed(&a, &k, START, START + 20, 1), 1 + NODE_BUDGET_QUICK);
    }
    assert_int_equal(b.n, NODE_BUDGET_ADDRS_MAX);
    assert_int_equal(allowed(&last, &k, START + 20, START + 40, 1), 0);
    assert_int_equal(allowed(&first, &k, START + 20, START + 40, 1),
                     1 + NODE_BUDGET_QUICK); /* forgotten */
}

/* Waiting does not help whoever has no key; one who got it does not wait for what he tried before. */
static void who_needs_a_key_is_told_so_each_time(void **state)
{
    const struct dark_addr a = addr_of(1);
    const struct node_isolation k = key_of(1), other = key_of(2);
    const tstamp later = START + 10 * NS_PER_S;
    (void)state;
    for (int i = 0; i < 1 + NODE_BUDGET_QUICK; i++) {
        assert_int_equal(node_budget_take(&b, &a, &k, START), QUDAG_OK);
        node_budget_locked(&b, &a, &k);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(node_budget_take(&b, &a, &k, START), QUDAG_ENEEDAUTH);
    }
    assert_int_equal(allowed(&a, &other, START, START + 1, 1), 1);
    assert_int_equal(node_budget_take(&b, &a, &k, later), QUDAG_OK); /* it is open to all now */
    assert_int_equal(node_budget_take(&b, &a, &k, later), QUDAG_ELIMIT);
    node_budget_forget(&b, &a);
    assert_int_equal(allowed(&a, &k, later, later + 20, 1), 1 + NODE_BUDGET_QUICK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_service_that_is_silent_sees_few_circuits_and_then_ever_fewer),
        TEST(waits_double),
        TEST(after_an_outage_of_minutes_the_next_attempt_is_a_minute_away),
        TEST(what_is_acknowledged_gives_one_back),
        TEST(the_65th_key_waits_for_a_first_one),
        TEST(what_did_not_pass_our_relays_the_far_end_has_not_seen),
        TEST(what_broke_at_our_relays_the_far_end_did_not_end),
        TEST(breaks_at_relays_are_given_back_so_many_an_hour),
        TEST(another_key_is_no_way_around_it),
        TEST(whoever_makes_up_names_leaves_some_to_other_users),
        TEST(a_share_is_three_quarters_of_what_others_leave),
        TEST(what_others_used_up_is_not_called_a_limit),
        TEST(what_is_rare_is_the_callers_own_wish),
        TEST(what_failed_here_is_not_counted),
        TEST(what_fails_before_a_circuit_is_begun_is_ours),
        TEST(the_table_is_bounded),
        TEST(who_needs_a_key_is_told_so_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
