/* fair_test.c - who gives way, whose turn it is, and the table against a plain count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fair.h"
#include "base/rng.h"

#include <string.h>

static const uint8_t seed[16] = {7, 1, 9};

static bool yields(uint64_t net, uint32_t net_n, uint64_t source, uint32_t source_n)
{
    struct fair_claim newcomer = {.net = 1, .source = 1, .net_n = 5, .source_n = 2};
    struct fair_claim holder = {net, source, net_n, source_n};

    return fair_gives_way(&holder, &newcomer);
}

static void the_larger_gives_way_until_both_are_equal(void **state)
{
    (void)state;
    assert_true(yields(2, 7, 9, 1));  /* it still has 6 then, as the newcomer */
    assert_false(yields(2, 6, 9, 6)); /* else they would take it from each other in turn */
    assert_false(yields(2, 5, 9, 5));
    assert_false(yields(2, 0, 9, 0));
    assert_true(yields(1, 5, 2, 4)); /* in one network by source */
    assert_false(yields(1, 5, 2, 3));
    assert_false(yields(1, 5, 1, 9)); /* nobody takes from himself by this rule */
    assert_true(yields(2, 7, 1, 0));  /* a source is one within its network only */
}

static void shares_are_never_nothing(void **state)
{
    (void)state;
    assert_int_equal(fair_share(100, 0), 100);
    assert_int_equal(fair_share(100, 1), 100);
    assert_int_equal(fair_share(100, 3), 33);
    assert_int_equal(fair_share(100, 101), 1);
}

struct world {
    struct mem mem;
    struct fair f;
    struct fair_item it[64];
};

static void world_init(struct world *w, uint32_t max)
{
    memset(w, 0, sizeof *w);
    mem_init(&w->mem, NULL, 0);
    fair_init(&w->f, &w->mem, seed, max);
}

static void world_fini(struct world *w)
{
    fair_fini(&w->f);
    assert_int_equal(w->mem.used, 0);
    for (size_t i = 0; i < ARRAY_LEN(w->it); i++) {
        assert_null(w->it[i].source);
    }
}

static void add(struct world *w, size_t i, uint64_t net, uint64_t source)
{
    assert_int_equal(fair_add(&w->f, &w->it[i], net, source, 0), QUDAG_OK);
}

static void the_largest_source_of_the_largest_network_is_named(void **state)
{
    struct world w;
    (void)state;

    world_init(&w, 64);
    assert_null(fair_most(&w.f));
    for (size_t i = 0; i < 4; i++) { /* four sources of one each: the largest network */
        add(&w, i, 1, 10 + i);
    }
    for (size_t i = 4; i < 7; i++) { /* one source of three: the largest source */
        add(&w, i, 2, 20);
    }
    assert_int_equal(fair_most(&w.f)->net->name, 1);
    add(&w, 7, 1, 13);
    assert_int_equal(fair_most(&w.f)->name, 13);
    assert_int_equal(fair_most_in(&w.f, 1)->name, 13);
    assert_int_equal(fair_most_in(&w.f, 2)->name, 20);
    assert_null(fair_most_in(&w.f, 3));
    struct fair_claim c = fair_claim_of(&w.f, 1, 13);
    assert_int_equal(c.net_n, 5);
    assert_int_equal(c.source_n, 2);
    c = fair_claim_of(&w.f, 2, 13); /* another, of the same name */
    assert_int_equal(c.net_n, 3);
    assert_int_equal(c.source_n, 0);
    assert_int_equal(w.f.n_nets, 2);
    assert_int_equal(w.it[0].source->net->n_sources, 4);
    for (size_t i = 0; i < 3; i++) {
        fair_del(&w.f, &w.it[i], 0);
    }
    assert_int_equal(fair_most(&w.f)->name, 20);
    world_fini(&w);
}

/* Networks 1 and 2 hold alike: who comes to network 2 takes a place of his neighbour there, not of nobody. */
static void where_networks_hold_alike_the_own_ones_largest_gives_way(void **state)
{
    struct world w;
    (void)state;

    world_init(&w, 64);
    struct fair_claim nobody = {.net = 1, .source = 10};
    assert_null(fair_most_for(&w.f, &nobody));
    for (size_t i = 0; i < 4; i++) {
        add(&w, i, 1, 10 + i);
        add(&w, 4 + i, 2, i < 3 ? 20 : 21);
    }
    struct fair_claim c = {.net = 2, .source = 22, .net_n = 4};
    assert_int_equal(fair_most_for(&w.f, &c)->name, 20);
    c = fair_claim_of(&w.f, 2, 21);
    assert_int_equal(fair_most_for(&w.f, &c)->name, 20);
    struct fair_claim stranger = {.net = 3, .source = 30};
    assert_ptr_equal(fair_most_for(&w.f, &stranger), fair_most(&w.f));
    struct fair_claim equal = {.net = 1, .source = 14, .net_n = 4}; /* all there hold one */
    assert_ptr_equal(fair_most_for(&w.f, &equal), fair_most(&w.f));
    for (size_t i = 8; i < 14; i++) { /* more than all of the newcomer's network hold comes first */
        add(&w, i, 5, 50);
    }
    assert_int_equal(fair_most_for(&w.f, &c)->name, 50);
    const struct fair_claim other = fair_claim_of(&w.f, 2, 20);
    assert_true(fair_gives_way(&other, &c)); /* though this one would, too */
    world_fini(&w);
}

/* Names of the sources in the order of their turns. */
static void turns_are(struct world *w, const uint64_t *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct fair_item *it = fair_next(&w->f, NULL, NULL);
        assert_non_null(it);
        assert_int_equal(it->source->name, names[i]);
    }
}

static void networks_take_turns_and_in_each_its_sources(void **state)
{
    static const uint64_t expect[] = {1, 50, 2, 60, 1, 50, 2, 1, 1};
    struct world w;
    (void)state;

    world_init(&w, 64);
    assert_null(fair_next(&w.f, NULL, NULL));
    for (size_t i = 0; i < 4; i++) {
        add(&w, i, 1, 1);
    }
    add(&w, 4, 1, 2);
    add(&w, 5, 1, 2);
    add(&w, 6, 5, 50);
    add(&w, 7, 5, 60);
    add(&w, 8, 5, 50);
    add(&w, 9, 6, 70); /* it holds a place and waits for nothing */
    for (size_t i = 0; i < 9; i++) {
        fair_wait(&w.f, &w.it[i]);
        fair_wait(&w.f, &w.it[i]); /* once is enough */
    }
    assert_int_equal(w.f.waiting, 9);
    turns_are(&w, expect, ARRAY_LEN(expect));
    assert_null(fair_next(&w.f, NULL, NULL));
    assert_int_equal(w.f.n, 10); /* served, but they keep their places */
    fair_wait(&w.f, &w.it[0]);
    fair_wait(&w.f, &w.it[1]);
    fair_del(&w.f, &w.it[0], 0);
    assert_ptr_equal(fair_next(&w.f, NULL, NULL), &w.it[1]);
    world_fini(&w);
}

static void a_debt_costs_turns_and_outlives_the_place(void **state)
{
    static const uint64_t expect[] = {2, 2, 1, 2, 1};
    struct world w;
    (void)state;

    world_init(&w, 64);
    add(&w, 9, 1, 1);
    fair_charge(w.it[9].source, 2);
    fair_del(&w.f, &w.it[9], 0);
    for (size_t i = 0; i < 2; i++) {
        add(&w, i, 1, 1);
        fair_wait(&w.f, &w.it[i]);
    }
    for (size_t i = 2; i < 5; i++) {
        add(&w, i, 2, 2);
        fair_wait(&w.f, &w.it[i]);
    }
    turns_are(&w, expect, 2);
    w.it[0].source->debt = 0; /* the network's was paid; the rest in order */
    turns_are(&w, expect + 2, 3);
    fair_charge(w.it[0].source, UINT32_MAX);
    assert_int_equal(w.it[0].source->debt, FAIR_DEBT_MAX);
    fair_wait(&w.f, &w.it[0]);
    assert_ptr_equal(fair_next(&w.f, NULL, NULL), &w.it[0]); /* alone it is served all the same */
    world_fini(&w);
}

/* Others of its network wait, too: else a network would pay with as many names as it likes. */
static void a_debt_is_one_of_the_network(void **state)
{
    static const uint64_t expect[] = {2, 2, 3};
    struct world w;
    (void)state;

    world_init(&w, 64);
    add(&w, 0, 1, 1);
    fair_charge(w.it[0].source, 2);
    add(&w, 1, 1, 3);
    add(&w, 2, 2, 2);
    add(&w, 3, 2, 2);
    for (size_t i = 1; i < 4; i++) {
        fair_wait(&w.f, &w.it[i]);
    }
    turns_are(&w, expect, ARRAY_LEN(expect));
    world_fini(&w);
}

static bool not_the_odd(const void *ctx, const struct fair_source *s)
{
    (void)ctx;
    return s->name % 2 == 0;
}

static void who_may_not_keeps_his_place_in_the_queue(void **state)
{
    struct world w;
    (void)state;

    world_init(&w, 64);
    for (size_t i = 0; i < 6; i++) {
        add(&w, i, i / 3, i);
        fair_wait(&w.f, &w.it[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        static const uint64_t even[] = {0, 4, 2};
        struct fair_item *it = fair_next(&w.f, not_the_odd, NULL);
        assert_non_null(it);
        assert_int_equal(it->source->name, even[i]);
    }
    assert_null(fair_next(&w.f, not_the_odd, NULL));
    assert_int_equal(w.f.waiting, 3);
    fair_charge(w.it[1].source, 3);
    assert_null(fair_next(&w.f, not_the_odd, NULL)); /* whatever they owe */
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(fair_next(&w.f, NULL, NULL));
    }
    world_fini(&w);
}

static void what_is_idle_is_forgotten_first_and_later_than_its_debt(void **state)
{
    struct world w;
    (void)state;

    world_init(&w, 4);
    for (size_t i = 0; i < 4; i++) {
        add(&w, i, i, i);
    }
    assert_int_equal(fair_add(&w.f, &w.it[4], 9, 9, 0), QUDAG_ELIMIT);
    fair_del(&w.f, &w.it[0], 0);
    add(&w, 4, 9, 9); /* in its place */
    fair_del(&w.f, &w.it[1], NS_PER_S);
    assert_int_equal(fair_add(&w.f, &w.it[1], 2, 2, NS_PER_S + FAIR_LIFE - 1), QUDAG_OK);
    assert_int_equal(w.f.sources.n, 3); /* the table is full, so the idle one went */
    fair_del(&w.f, &w.it[4], 2 * NS_PER_S);
    fair_del(&w.f, &w.it[1], 2 * NS_PER_S);
    assert_int_equal(fair_add(&w.f, &w.it[1], 2, 2, 2 * NS_PER_S + FAIR_LIFE - 1), QUDAG_OK);
    assert_int_equal(w.f.sources.n, 3);
    fair_del(&w.f, &w.it[1], 2 * NS_PER_S);
    assert_int_equal(fair_add(&w.f, &w.it[1], 2, 2, 2 * NS_PER_S + FAIR_LIFE), QUDAG_OK);
    assert_int_equal(w.f.sources.n, 2);
    world_fini(&w);
}

static void every_failed_allocation_leaves_it_as_it_was(void **state)
{
    struct world w;
    (void)state;

    for (uint64_t fail = 1; fail < 12; fail++) {
        world_init(&w, 64);
        add(&w, 0, 1, 1);
        w.mem.fail_at = fail;
        qudag_err err = fair_add(&w.f, &w.it[1], 2, 2, 0);
        w.mem.fail_at = 0;
        assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
        assert_int_equal(w.f.n, err == QUDAG_OK ? 2 : 1);
        assert_int_equal(fair_claim_of(&w.f, 2, 2).net_n, err == QUDAG_OK ? 1 : 0);
        if (err != QUDAG_OK) {
            add(&w, 1, 2, 2);
        }
        assert_int_equal(w.f.n_nets, 2);
        world_fini(&w);
    }
}

static uint32_t held(const struct world *w, uint64_t net, uint64_t source, bool waits)
{
    uint32_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(w->it); i++) {
        const struct fair_item *it = &w->it[i];
        n += it->source != NULL && it->source->net->name == net && it->source->name == source &&
             (!waits || list_linked(&it->wait));
    }
    return n;
}

static void it_agrees_with_a_count_through_random_changes(void **state)
{
    struct world w;
    struct rng_stream stream;
    uint8_t key[32] = {5}, r[3];
    (void)state;

    rng_stream_init(&stream, key);
    world_init(&w, 64);
    for (tstamp now = 0; now < 20000; now++) {
        rng_stream_fill(&stream, r, sizeof r);
        struct fair_item *it = &w.it[r[0] % ARRAY_LEN(w.it)];
        uint64_t net = r[1] % 3, source = r[1] % 5;
        if (it->source == NULL) {
            assert_int_equal(fair_add(&w.f, it, net, source, now * NS_PER_MS), QUDAG_OK);
        } else if (r[2] % 4 == 0) {
            fair_wait(&w.f, it);
        } else if (r[2] % 4 == 1) {
            fair_active(&w.f, it, (r[2] & 4) != 0);
        } else if (r[2] % 4 == 2) {
            (void)fair_next(&w.f, NULL, NULL);
        } else {
            fair_del(&w.f, it, now * NS_PER_MS);
        }
        assert_int_equal(fair_claim_of(&w.f, net, source).source_n, held(&w, net, source, false));
        if (it->source != NULL) {
            assert_int_equal(it->source->waiting,
                             held(&w, it->source->net->name, it->source->name, true));
        }
        const struct fair_source *most = fair_most(&w.f);
        for (uint64_t n = 0; n < 3 && most != NULL; n++) {
            assert_true(fair_claim_of(&w.f, n, 0).net_n <= most->net->n);
        }
    }
    world_fini(&w);
}

static void networks_and_sources_that_hold_something_are_counted(void **state)
{
    struct world w;
    (void)state;

    world_init(&w, 8);
    add(&w, 0, 1, 1);
    add(&w, 1, 1, 2);
    add(&w, 2, 1, 2);
    add(&w, 3, 2, 1);
    assert_int_equal(w.f.n_nets, 2);
    assert_int_equal(w.it[0].source->net->n_sources, 2);
    fair_del(&w.f, &w.it[0], 0);
    assert_int_equal(w.it[1].source->net->n_sources, 1);
    fair_del(&w.f, &w.it[3], 0);
    assert_int_equal(w.f.n_nets, 1);
    add(&w, 3, 2, 1); /* it was known, and comes back */
    assert_int_equal(w.f.n_nets, 2);
    world_fini(&w);
}

/* Whoever sends one peer after another does not fill the table with what was: it shrinks while it is used. */
static void two_are_forgotten_for_one_that_comes(void **state)
{
    struct world w;
    (void)state;

    world_init(&w, 8);
    for (size_t i = 0; i < 5; i++) {
        add(&w, i, i, i);
        fair_del(&w.f, &w.it[i], 0);
    }
    assert_int_equal(w.f.sources.n, 5);
    assert_int_equal(fair_add(&w.f, &w.it[5], 9, 9, FAIR_LIFE), QUDAG_OK);
    assert_int_equal(w.f.sources.n, 4);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_larger_gives_way_until_both_are_equal),
        cmocka_unit_test(shares_are_never_nothing),
        cmocka_unit_test(the_largest_source_of_the_largest_network_is_named),
        cmocka_unit_test(where_networks_hold_alike_the_own_ones_largest_gives_way),
        cmocka_unit_test(networks_take_turns_and_in_each_its_sources),
        cmocka_unit_test(a_debt_costs_turns_and_outlives_the_place),
        cmocka_unit_test(a_debt_is_one_of_the_network),
        cmocka_unit_test(who_may_not_keeps_his_place_in_the_queue),
        cmocka_unit_test(what_is_idle_is_forgotten_first_and_later_than_its_debt),
        cmocka_unit_test(every_failed_allocation_leaves_it_as_it_was),
        cmocka_unit_test(it_agrees_with_a_count_through_random_changes),
        cmocka_unit_test(networks_and_sources_that_hold_something_are_counted),
        cmocka_unit_test(two_are_forgotten_for_one_that_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
