/*
 * keep_test.c - kept peers between whole nodes: a link before the first request, again after a loss, at new addresses.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"
#include "swarm/internal.h"

static struct node_keep_wish wish(size_t ix)
{
    struct node_keep_wish w = {.peer = net.node[ix].peer};

    multiaddr_quic(&w.addr, &net.node[ix].addr, NULL);
    return w;
}

static const struct keep_peer *kept(size_t of, size_t ix)
{
    return keep_get(&net.node[of].node->keep, &net.node[ix].peer);
}

static bool linked(const struct node *n, size_t ix)
{
    uint8_t props;
    return swarm_connected(n->swarm, &net.node[ix].peer, &props);
}

static bool zero_linked_to_one(struct nt *nt)
{
    (void)nt;
    return linked(net.node[0].node, 1);
}

static uint64_t dials(const struct node *n)
{
    struct swarm_stats st;
    swarm_stats_get(n->swarm, &st);
    return st.dials;
}

/* Nodes 0 and 1, which know nothing of each other but what the wish says. */
static void two(void)
{
    nt_identity(&net, 1);
    struct node_config c = nt_config(&net, 1);
    nt_begin(1, &c);
    c = nt_config(&net, 0);
    c.keep[c.n_keep++] = wish(1);
    nt_begin(0, &c);
}

static void ping(size_t of, size_t ix)
{
    struct node_request r = {.kind = NODE_OP_PING, .peer = net.node[ix].peer};
    assert_int_not_equal(nt_ask(&net.node[of], &r), SIZE_MAX);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_asked_ended));
}

static void the_first_request_to_a_kept_peer_costs_no_dial(void **state)
{
    (void)state;
    two();
    assert_true(nt_run(&net, KEEP_SOON + 5 * NS_PER_S, zero_linked_to_one));
    uint64_t before = dials(net.node[0].node);
    tstamp begun = net.now;
    ping(0, 1);
    assert_int_equal(net.node[0].ask[0].err, QUDAG_OK);
    assert_int_equal(dials(net.node[0].node), before);
    print_message("first request after a start: %u ms\n",
                  (unsigned)((net.now - begun) / NS_PER_MS));
}

static void its_link_outlives_the_time_for_idle_ones(void **state)
{
    (void)state;
    two();
    assert_true(nt_run(&net, 10 * NS_PER_S, zero_linked_to_one));
    uint64_t before = dials(net.node[0].node);
    (void)nt_run(&net, 1000 * NS_PER_S, NULL); /* three times the idle time of either side */
    assert_true(linked(net.node[0].node, 1));
    assert_int_equal(dials(net.node[0].node), before);
    assert_int_equal(kept(0, 1)->state, KEEP_HELD);
}

static void after_a_loss_it_is_dialled_until_it_is_back(void **state)
{
    (void)state;
    two();
    assert_true(nt_run(&net, 10 * NS_PER_S, zero_linked_to_one));
    (void)nt_free(&net, 1);
    (void)nt_run(&net, 120 * NS_PER_S, NULL);
    assert_false(linked(net.node[0].node, 1));
    assert_true(kept(0, 1)->failures > 1);
    struct node_config c = nt_config(&net, 1);
    nt_begin(1, &c);
    assert_true(nt_run(&net, 400 * NS_PER_S, zero_linked_to_one));
    assert_int_equal(kept(0, 1)->failures, 0);
}

static void by_hand_it_is_tried_at_once(void **state)
{
    (void)state;
    two();
    assert_true(nt_run(&net, 10 * NS_PER_S, zero_linked_to_one));
    (void)nt_free(&net, 1);
    (void)nt_run(&net, 900 * NS_PER_S, NULL);
    struct node_config c = nt_config(&net, 1);
    nt_begin(1, &c);
    node_retry(net.node[0].node, &net.node[1].peer);
    assert_true(nt_run(&net, KEEP_SOON + 2 * NS_PER_S, zero_linked_to_one));
}

static void a_released_peer_is_a_peer_like_any_other(void **state)
{
    (void)state;
    two();
    assert_true(nt_run(&net, 10 * NS_PER_S, zero_linked_to_one));
    struct node *n = net.node[0].node;
    size_t it = 0;
    assert_non_null(swarm_peer_tag_next(n->swarm, &net.node[1].peer, &it));
    assert_int_equal(node_release(n, &net.node[1].peer), QUDAG_OK);
    assert_int_equal(node_release(n, &net.node[1].peer), QUDAG_ENOTFOUND);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    it = 0;
    assert_null(swarm_peer_tag_next(n->swarm, &net.node[1].peer, &it));
    assert_null(kept(0, 1));
    struct swarm_look look;
    for (it = 0; swarm_link_next(n->swarm, &it, &look, net.now);) {
        assert_true(look.standing < RES_PROTECTED); /* the DHT may have a use for it */
    }
    struct node_keep_wish self = wish(0);
    assert_int_equal(node_keep(n, &self), QUDAG_EINVAL);
}

/* The address that is known leads nowhere: the DHT tells another. */
static void when_its_address_fails_the_dht_is_asked(void **state)
{
    (void)state;
    nt_join(4);
    struct node *n = net.node[0].node;
    node_disconnect(n, &net.node[3].peer);
    (void)nt_run(&net, NS_PER_S, NULL);
    struct swarm_peer *p = map_get(&n->swarm->peers, peer_id_slice(&net.node[3].peer));
    assert_non_null(p);
    p->n_addrs = 0; /* as after a change of network */
    struct node_keep_wish w = wish(3);
    w.addr = (struct multiaddr){.len = 0};
    assert_int_equal(node_keep(n, &w), QUDAG_OK);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_true(linked(n, 3));
    assert_int_equal(kept(0, 3)->failures, 0);
}

/* A restarted client has the link with its guard before anybody asks for a circuit; it brings no new one into use. */
static void the_link_with_the_guard_in_use_stands_before_a_circuit_is_wanted(void **state)
{
    (void)state;
    nt_join(5);
    struct node *n = net.node[0].node;
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    struct relays_guard *g = n->relays->guard[0];
    bool used = g->used != 0;
    g->used = 0;
    node_keep_guard(n, NULL);
    node_disconnect(n, &g->x.hop.peer);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(n->keeping.guard.len, 0); /* never used: not ours to begin with */
    assert_int_equal(g->used, 0);
    g->used = 1800000000;
    (void)used;
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    uint8_t props;
    assert_true(swarm_connected(n->swarm, &g->x.hop.peer, &props));
    assert_true(peer_id_eq(&n->keeping.guard, &g->x.hop.peer));
    n->guards.begun_at = 1; /* long ago, and nothing was used since */
    for (size_t i = 0; i < NODE_CLEAN_LENS; i++) {
        n->clean.used_at[i] = TSTAMP_NEVER;
    }
    net.now += NODE_CLEAN_IDLE_AT;
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(n->keeping.guard.len, 0);
}

/* ---- on disk ---- */

static struct {
    uint8_t bytes[4096];
    size_t len;
    unsigned n;
    qudag_err err;
} disk;

static qudag_err on_save(void *ctx, const char *name, struct slice bytes)
{
    (void)ctx;
    if (strcmp(name, "kept") == 0) {
        assert_true(bytes.len <= sizeof(disk.bytes));
        disk.n++;
        disk.len = bytes.len;
        if (bytes.len > 0) {
            memcpy(disk.bytes, bytes.base, bytes.len);
        }
        return disk.err;
    }
    return QUDAG_OK;
}

static struct node *bare(size_t ix, size_t configured)
{
    struct node_config c = nt_config(&net, ix);

    nt_identity(&net, 1);
    nt_identity(&net, 2);
    for (size_t i = 0; i < configured; i++) {
        c.keep[c.n_keep++] = wish(2);
    }
    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
    net.node[ix].node->hooks.save = on_save;
    return net.node[ix].node;
}

static void what_a_call_keeps_is_kept_after_a_restart(void **state)
{
    (void)state;
    disk.n = 0;
    disk.err = QUDAG_OK;
    struct node *n = bare(0, 1); /* 2 is of the configuration, and not on disk */
    assert_int_equal(disk.n, 0);
    struct node_keep_wish w = wish(1);
    w.has_pq = true;
    memset(w.pq_hash, 9, sizeof(w.pq_hash));
    assert_int_equal(node_keep(n, &w), QUDAG_OK);
    assert_int_equal(disk.n, 1);
    (void)nt_free(&net, 0);

    n = bare(0, 0);
    assert_int_equal(node_restore(n, "kept", (struct slice){disk.bytes, disk.len}, net.now),
                     QUDAG_OK);
    size_t it = 0;
    const struct keep_peer *p = node_kept_next(n, &it);
    assert_non_null(p);
    assert_true(peer_id_eq(&p->peer, &net.node[1].peer));
    const struct swarm_proof *proof = swarm_pins_proof(&n->swarm->pins, &p->peer);
    assert_true(proof->has_pin); /* its key, too */
    assert_memory_equal(proof->pin, w.pq_hash, sizeof(proof->pin));
    assert_null(node_kept_next(n, &it));
    assert_int_equal(node_release(n, &net.node[1].peer), QUDAG_OK);
    assert_int_equal(disk.len, 0); /* the item is removed */
    assert_int_equal(node_release(n, &net.node[1].peer), QUDAG_ENOTFOUND);
}

static void a_relay_is_kept_as_long_as_its_place_and_not_on_disk(void **state)
{
    (void)state;
    nt_join(4);
    struct node *n = net.node[0].node;
    n->hooks.save = on_save;
    disk.len = 7;
    struct node_keep_wish w = wish(3);
    assert_int_equal(node_reserve(n, &w), QUDAG_OK);
    assert_non_null(kept(0, 3));
    assert_int_equal(disk.len, 7);
}

static void what_cannot_be_saved_is_kept_until_the_end(void **state)
{
    (void)state;
    struct node *n = bare(0, 0);
    struct node_keep_wish w = wish(1);
    size_t it = 0;

    disk.err = QUDAG_ESYSTEM;
    assert_int_equal(node_keep(n, &w), QUDAG_ESYSTEM);
    assert_non_null(node_kept_next(n, &it));
    disk.err = QUDAG_OK;
    assert_int_equal(node_restore(n, "kept", (struct slice){disk.bytes, 3}, net.now),
                     QUDAG_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(the_first_request_to_a_kept_peer_costs_no_dial),
        NT_TEST(its_link_outlives_the_time_for_idle_ones),
        NT_TEST(after_a_loss_it_is_dialled_until_it_is_back),
        NT_TEST(by_hand_it_is_tried_at_once),
        NT_TEST(a_released_peer_is_a_peer_like_any_other),
        NT_TEST(when_its_address_fails_the_dht_is_asked),
        NT_TEST(what_a_call_keeps_is_kept_after_a_restart),
        NT_TEST(a_relay_is_kept_as_long_as_its_place_and_not_on_disk),
        NT_TEST(what_cannot_be_saved_is_kept_until_the_end),
        NT_TEST(the_link_with_the_guard_in_use_stands_before_a_circuit_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
