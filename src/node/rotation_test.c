/*
 * rotation_test.c - onion keys of a relay: replaced, answered for a while, gone from memory and disk.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#define DAY 86400LL

/* The two files as they were saved last. */
static struct {
    uint8_t bytes[2][256];
    size_t len[2];
} disk;
static qudag_err save_err;

static qudag_err save(void *ctx, const char *name, struct slice bytes)
{
    (void)ctx;
    if (strncmp(name, "onion-key", 9) != 0) {
        return QUDAG_OK;
    }
    if (save_err != QUDAG_OK) {
        return save_err;
    }
    size_t ix = strcmp(name, "onion-key-2") == 0 ? 1 : 0;
    disk.len[ix] = bytes.len;
    if (bytes.len > 0) {
        memcpy(disk.bytes[ix], bytes.base, bytes.len);
    }
    return QUDAG_OK;
}

static int setup(void **state)
{
    memset(&disk, 0, sizeof(disk));
    save_err = QUDAG_OK;
    return nt_setup(state);
}

static struct node *alone(size_t ix)
{
    struct node_config c = nt_config(&net, ix);

    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
    struct node *n = net.node[ix].node;
    n->hooks.save = save;
    return n;
}

/* The clock is set |by| seconds later, and the node does what follows from it. */
static void set_clock(struct node *n, int64_t by)
{
    struct wallclock c = n->cfg.clock;

    c.base += by;
    node_set_clock(n, c, net.now);
    node_drain(n, net.now);
}

/* |by| seconds pass for |n|, which does what is due. */
static void pass(struct node *n, int64_t by)
{
    n->cfg.clock.base += by;
    for (size_t i = 0; i < NODE_ONION_SLOTS; i++) {
        n->onion_keys.slot[i].known -= (uint64_t)by * NS_PER_S;
    }
    assert_int_equal(node_rotation_run(n), QUDAG_OK);
    node_drain(n, net.now);
}

/* So long after the clock was set others have found it right. */
static void trusted(struct node *n)
{
    n->clock.jury[NODE_CLOCK_LINKS].agreed = 1;
    (void)nt_run(&net, NODE_CLOCK_TRUST + 700 * NS_PER_S, NULL);
}

static size_t live(const struct node *n)
{
    return (n->onion_keys.slot[0].has ? 1u : 0u) + (n->onion_keys.slot[1].has ? 1u : 0u);
}

static size_t files(void)
{
    return (disk.len[0] > 0 ? 1u : 0u) + (disk.len[1] > 0 ? 1u : 0u);
}

static void a_key_lives_a_week_and_its_predecessor_a_day(void **state)
{
    uint8_t first[8], second[8];
    (void)state;
    struct node *n = alone(0);
    node_start(n);
    assert_int_equal(files(), 1);
    memcpy(first, n->onion_id, 8);
    pass(n, 7 * DAY - 1);
    assert_memory_equal(n->onion_id, first, 8);
    pass(n, 40);
    assert_memory_not_equal(n->onion_id, first, 8);
    memcpy(second, n->onion_id, 8);
    assert_int_equal(live(n), 2);
    assert_int_equal(files(), 2);
    pass(n, NODE_ONION_KEY_OVERLAP - 60);
    assert_int_equal(live(n), 2);
    pass(n, 60);
    assert_int_equal(live(n), 1);
    assert_int_equal(files(), 1);
    assert_memory_equal(n->onion_id, second, 8);
    pass(n, 7 * DAY - NODE_ONION_KEY_OVERLAP);
    assert_int_equal(live(n), 2);
    assert_memory_not_equal(n->onion_id, second, 8);
}

/* Whom the owner asks: one more generation, unless two live; at once means that no former key opens anything. */
static void the_owner_may_replace_it_while_one_generation_lives(void **state)
{
    uint8_t first[8], second[8];
    (void)state;
    struct node *n = alone(0);
    assert_true(node_rotation_may(false, false));
    assert_true(node_rotation_may(false, true));
    assert_false(node_rotation_may(true, false));
    assert_true(node_rotation_may(true, true));
    assert_int_equal(node_rotation_asked(n, false), QUDAG_EUNSUPPORTED); /* it has none yet */
    node_start(n);
    memcpy(first, n->onion_id, 8);
    assert_int_equal(node_rotation_asked(n, false), QUDAG_OK);
    memcpy(second, n->onion_id, 8);
    assert_memory_not_equal(first, second, 8);
    assert_int_equal(live(n), 2);
    assert_int_equal(node_rotation_asked(n, false), QUDAG_ESTATE);
    assert_memory_equal(n->onion_id, second, 8);
    assert_int_equal(node_rotation_until(n, n->onion_keys.current),
                     n->onion_keys.slot[n->onion_keys.current].made + NODE_ONION_KEY_LIFE);
    assert_int_equal(node_rotation_until(n, 1u - n->onion_keys.current),
                     n->onion_keys.slot[n->onion_keys.current].made + NODE_ONION_KEY_OVERLAP);
    assert_int_equal(node_rotation_asked(n, true), QUDAG_OK);
    assert_memory_not_equal(n->onion_id, second, 8);
    assert_int_equal(live(n), 1);
    assert_int_equal(files(), 1);
    save_err = QUDAG_ESYSTEM;
    memcpy(second, n->onion_id, 8);
    assert_int_equal(node_rotation_asked(n, false), QUDAG_ESYSTEM);
    assert_memory_equal(n->onion_id, second, 8);
}

/* Without the clock being set: the node looks by itself. */
static void the_node_looks_by_itself(void **state)
{
    uint8_t first[8];
    (void)state;
    struct node *n = alone(0);
    node_start(n);
    memcpy(first, n->onion_id, 8);
    n->onion_keys.slot[n->onion_keys.current].known -= 7 * DAY * NS_PER_S;
    n->cfg.clock.base += 7 * DAY;
    (void)nt_run(&net, 700 * NS_PER_S, NULL);
    assert_memory_not_equal(n->onion_id, first, 8);
    assert_int_equal(live(n), 2);
}

static void a_restart_keeps_both(void **state)
{
    uint8_t first[8], second[8];
    (void)state;
    struct node *n = alone(0);
    node_start(n);
    memcpy(first, n->onion_id, 8);
    pass(n, 7 * DAY);
    memcpy(second, n->onion_id, 8);
    assert_int_equal(files(), 2);
    for (size_t order = 0; order < 2; order++) { /* as the files are found */
        struct node *again = alone(1 + order);
        for (size_t i = 0; i < 2; i++) {
            size_t ix = i ^ order;
            struct slice bytes = {disk.bytes[ix], disk.len[ix]};
            assert_int_equal(
                node_restore(again, ix == 0 ? "onion-key" : "onion-key-2", bytes, net.now),
                QUDAG_OK);
        }
        set_clock(again, 7 * DAY);
        node_start(again);
        assert_int_equal(live(again), 2);
        assert_memory_equal(again->onion_id, second, 8);
        assert_memory_equal(again->onion_keys.slot[1u - again->onion_keys.current].id, first, 8);
    }
}

static void who_slept_for_longer_has_one_new_key(void **state)
{
    (void)state;
    net.now += 2 * NODE_CLOCK_TRUST; /* the machine runs for longer */
    struct node *n = alone(0);
    node_start(n);
    struct node *again = alone(1);
    struct slice bytes = {disk.bytes[0], disk.len[0]};
    assert_int_equal(node_restore(again, "onion-key", bytes, net.now), QUDAG_OK);
    again->cfg.clock.base += 7 * DAY + NODE_ONION_KEY_OVERLAP;
    node_start(again);
    assert_memory_not_equal(again->onion_id, n->onion_id, 8);
    assert_int_equal(live(again), 2); /* the clock may be wrong */
    again->clock.jury[NODE_CLOCK_LINKS].agreed = 1;
    assert_int_equal(node_rotation_run(again), QUDAG_OK);
    assert_int_equal(live(again), 2); /* and others have just come */
    trusted(again);
    assert_int_equal(live(again), 1);
    assert_memory_not_equal(again->onion_id, n->onion_id, 8);
    assert_int_equal(files(), 1);
}

/* A relay after a restart, whose two keys are both in use; clock.base fits them. */
static struct node *with_two_keys(void)
{
    struct node *n = alone(0);

    node_start(n);
    pass(n, 7 * DAY);
    struct node *again = alone(1);
    for (size_t i = 0; i < 2; i++) {
        struct slice bytes = {disk.bytes[i], disk.len[i]};
        assert_int_equal(node_restore(again, i == 0 ? "onion-key" : "onion-key-2", bytes, net.now),
                         QUDAG_OK);
    }
    again->cfg.clock.base += 7 * DAY;
    node_start(again);
    assert_int_equal(live(again), 2);
    return again;
}

/* ... which is what a clock set forward by days wiped, before anybody could contradict. */
static void a_clock_set_forward_wipes_no_key_in_use(void **state)
{
    static const int64_t by[] = {7 * DAY, 8 * DAY, 14 * DAY, 300 * DAY, -300 * DAY};
    uint8_t first[8];
    (void)state;
    struct node *n = with_two_keys();
    memcpy(first, n->onion_id, 8);
    for (size_t i = 0; i < ARRAY_LEN(by); i++) {
        set_clock(n, by[i]);
        (void)nt_run(&net, 2 * NODE_CLOCK_TRUST, NULL); /* nobody says anything */
        assert_int_equal(live(n), 2);
        n->clock.jury[NODE_CLOCK_LINKS].agreed = 1;
        n->clock.suspect = true; /* witnesses contradict */
        (void)nt_run(&net, 2 * NODE_CLOCK_TRUST, NULL);
        assert_int_equal(live(n), 2);
        set_clock(n, -by[i]);
        assert_false(n->clock.suspect);
        n->clock.jury[NODE_CLOCK_LINKS].agreed = 1;
        assert_int_equal(node_rotation_run(n), QUDAG_OK); /* too soon */
        assert_int_equal(live(n), 2);
        assert_memory_equal(n->onion_id, first, 8);
        assert_int_equal(files(), 2);
    }
    set_clock(n, 14 * DAY); /* it did sleep for so long */
    n->clock.jury[NODE_CLOCK_LINKS].agreed = 1;
    assert_int_equal(node_rotation_run(n), QUDAG_OK);
    assert_int_equal(live(n), 2);
    trusted(n);
    assert_int_equal(live(n), 1);
    assert_memory_not_equal(n->onion_id, first, 8);
    assert_int_equal(files(), 1);
}

/* A clock that is set back each day keeps no key. */
static void what_the_process_has_seen_counts_whatever_the_clock_says(void **state)
{
    uint8_t first[8];
    (void)state;
    struct node *n = with_two_keys();
    memcpy(first, n->onion_id, 8);
    for (int day = 0; day < 7; day++) {
        assert_memory_equal(n->onion_id, first, 8);
        pass(n, DAY);
        set_clock(n, -DAY);
    }
    assert_memory_not_equal(n->onion_id, first, 8);
    assert_int_equal(live(n), 2);
    pass(n, NODE_ONION_KEY_OVERLAP);
    assert_int_equal(live(n), 1);
}

/* A key made by a clock that was ahead must not live on until that time has come. */
static void a_clock_that_was_ahead_makes_no_key_live_longer(void **state)
{
    uint8_t first[8];
    (void)state;
    struct node *n = alone(0);
    set_clock(n, 300 * DAY);
    node_start(n);
    memcpy(first, n->onion_id, 8);
    set_clock(n, -300 * DAY);
    trusted(n);
    assert_memory_equal(n->onion_id, first, 8); /* this process knows how old it is */
    struct node *again = alone(1);
    struct slice bytes = {disk.bytes[0], disk.len[0]};
    assert_int_equal(node_restore(again, "onion-key", bytes, net.now), QUDAG_OK);
    node_start(again);
    assert_memory_not_equal(again->onion_id, first, 8);
    assert_int_equal(live(again), 2);
    trusted(again);
    assert_int_equal(live(again), 1);
    assert_memory_not_equal(again->onion_id, first, 8);
    pass(n, 7 * DAY);
    assert_memory_not_equal(n->onion_id, first, 8);
}

static void a_full_disk_leaves_the_old_key_in_use(void **state)
{
    uint8_t first[8];
    (void)state;
    struct node *n = alone(0);
    node_start(n);
    memcpy(first, n->onion_id, 8);
    save_err = QUDAG_ESYSTEM;
    n->cfg.clock.base += 9 * DAY;
    n->onion_keys.slot[n->onion_keys.current].known -= 9 * DAY * NS_PER_S;
    assert_int_equal(node_rotation_run(n), QUDAG_OK);
    assert_memory_equal(n->onion_id, first, 8);
    assert_int_equal(live(n), 1);
    save_err = QUDAG_OK;
    (void)nt_run(&net, 700 * NS_PER_S, NULL);
    assert_memory_not_equal(n->onion_id, first, 8);
}

static bool all_ended(struct nt *nt)
{
    return nt_all_ended(&nt->node[3]);
}

/* A circuit of node 3 over all three others. */
static qudag_err circuit(void)
{
    struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    size_t ix = nt_ask(&net.node[3], &r);

    assert_int_not_equal(ix, SIZE_MAX);
    assert_true(nt_run(&net, 120 * NS_PER_S, all_ended));
    return net.node[3].ask[ix].err;
}

static void age(struct node *n, int64_t by)
{
    n->onion_keys.slot[n->onion_keys.current].made -= by;
    n->onion_keys.slot[n->onion_keys.current].known -= (uint64_t)by * NS_PER_S;
    assert_int_equal(node_rotation_run(n), QUDAG_OK);
}

/* Whoever has the descriptor of yesterday builds circuits for a day, and no longer. */
static void an_old_descriptor_serves_for_a_day(void **state)
{
    (void)state;
    nt_network(&net, 4);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(circuit(), QUDAG_OK);
    uint64_t seq = net.node[0].node->self_desc.seq;
    for (size_t i = 0; i < 3; i++) {
        age(net.node[i].node, 7 * DAY);
        assert_int_equal(live(net.node[i].node), 2);
    }
    assert_int_equal(circuit(), QUDAG_OK);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_true(net.node[0].node->self_desc.seq > seq); /* a new descriptor names the new key */
    assert_memory_equal(net.node[0].node->self_desc.key_id, net.node[0].node->onion_id, 8);
    for (size_t i = 0; i < 3; i++) {
        age(net.node[i].node, NODE_ONION_KEY_OVERLAP);
        assert_int_equal(live(net.node[i].node), 1);
    }
    assert_int_not_equal(circuit(), QUDAG_OK);
}

/* Whoever has no key left does not say that circuits may lead through it; with one again, or a service, it does. */
static void what_is_said_of_us_follows_our_keys(void **state)
{
    struct dark_addr addr;
    (void)state;
    struct node *n = alone(0);
    node_start(n);
    pass(n, 7 * DAY);
    assert_int_equal(live(n), 2);
    unsigned current = n->onion_keys.current, other = 1 - current;
    assert_true(n->has_onion_key);
    node_keys_drop_relay(n, other);
    assert_true(n->has_onion_key);
    node_keys_drop_relay(n, current);
    assert_false(n->has_onion_key);
    n->news = 0;
    assert_int_equal(node_rotation_run(n), QUDAG_OK);
    assert_true(n->has_onion_key);
    assert_true((n->news & NODE_NEWS_SELF) != 0);
    n->news = 0;
    assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &addr), QUDAG_OK);
    assert_true((n->news & NODE_NEWS_SELF) != 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, nt_teardown)
    const struct CMUnitTest tests[] = {
        T(a_key_lives_a_week_and_its_predecessor_a_day),
        T(the_owner_may_replace_it_while_one_generation_lives),
        T(the_node_looks_by_itself),
        T(a_restart_keeps_both),
        T(who_slept_for_longer_has_one_new_key),
        T(a_clock_set_forward_wipes_no_key_in_use),
        T(what_the_process_has_seen_counts_whatever_the_clock_says),
        T(a_clock_that_was_ahead_makes_no_key_live_longer),
        T(a_full_disk_leaves_the_old_key_in_use),
        T(an_old_descriptor_serves_for_a_day),
        T(what_is_said_of_us_follows_our_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
