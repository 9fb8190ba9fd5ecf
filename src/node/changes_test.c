/* changes_test.c - how often the state of a NAT is kept alive; what a node does that wakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NT_NODES 3
#include "node/internal.h"
#include "node/testkit_net.h"

static struct nt nt;

static void the_state_of_a_nat_is_kept_alive_for_seven_tenths_of_its_life(void **state)
{
    static const struct {
        struct node_keepalive_view v;
        uint64_t s;
    } t[] = {
        {{false, true, 0}, 0},
        {{true, false, 0}, 0},
        {{true, true, 0}, 15},
        {{true, true, 30 * NS_PER_S}, 21},
        {{true, true, 120 * NS_PER_S}, 84},
        {{true, true, 600 * NS_PER_S}, 110},
        {{true, true, NS_PER_S}, 5},
        {{true, true, UINT64_MAX}, 110},
        {{true, false, 120 * NS_PER_S}, 0},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        assert_int_equal(node_rule_keepalive(&t[i].v), t[i].s * NS_PER_S);
    }
}

/* Who is not to be reached keeps no hole open. */
static void nothing_is_kept_alive_for_who_is_not_to_be_reached(void **state)
{
    static const enum node_reachable setting[] = {NODE_REACHABLE_NO, NODE_REACHABLE_YES};
    const struct reach_family seen = {.mapping = REACH_NAT_INDEPENDENT};
    (void)state;

    nt_init(&nt);
    for (size_t i = 0; i < ARRAY_LEN(setting); i++) {
        struct node_config c = nt_config(&nt, i);
        nt_identity(&nt, i);
        c.identity = &nt.node[i].id;
        c.relay = c.dht_server = false;
        c.reachable = setting[i];
        assert_int_equal(nt_make(&nt, i, &c), QUDAG_OK);
        struct node *n = nt.node[i].node;
        node_start(n);
        node_reach_nat_seen(n, 4, &seen);
        node_keepalive_review(n);
        assert_int_equal(n->direct.keepalive_at != 0, setting[i] == NODE_REACHABLE_YES);
        assert_int_equal(n->direct.watch_at != 0, setting[i] == NODE_REACHABLE_YES);
    }
    nt_fini(&nt);
}

static uint64_t sent(size_t ix)
{
    struct quic_stats st;

    quic_stats_get(node_quic(nt.node[ix].node), &st);
    return st.dgrams_out;
}

static bool all_linked(struct nt *t)
{
    uint8_t props;

    return swarm_connected(node_swarm(t->node[1].node), &t->node[0].peer, &props) &&
           swarm_connected(node_swarm(t->node[1].node), &t->node[2].peer, &props);
}

static bool first_linked(struct nt *t)
{
    uint8_t props;

    return swarm_connected(node_swarm(t->node[1].node), &t->node[0].peer, &props);
}

static void a_node_that_wakes_asks_its_links_at_once(void **state)
{
    (void)state;
    nt_init(&nt);
    nt_network(&nt, NT_NODES);
    assert_true(nt_run(&nt, 120 * NS_PER_S, all_linked));
    (void)nt_run(&nt, 20 * NS_PER_S, NULL);
    uint64_t before = sent(1);
    node_woke(nt.node[1].node, nt.now);
    (void)nt_run(&nt, 100 * NS_PER_MS, NULL);
    assert_true(sent(1) >= before + 2); /* both of its links */
    assert_true(all_linked(&nt));
    nt_fini(&nt);
}

/* What passed on the network before says nothing of this one: datagrams are counted from here, and soon looked at. */
static void after_a_change_of_network_datagrams_are_counted_anew(void **state)
{
    struct quic_stats st;
    (void)state;

    nt_init(&nt);
    nt_network(&nt, 2);
    assert_true(nt_run(&nt, 120 * NS_PER_S, first_linked));
    (void)nt_run(&nt, 60 * NS_PER_S, NULL);
    struct node *n = nt.node[1].node;
    assert_int_equal(n->udp.sent + n->udp.came, 0);
    n->udp.due = TSTAMP_NEVER;
    n->udp.looks = 3;
    quic_stats_get(n->quic, &st);
    assert_true(st.dgrams_in > 0 && st.dgrams_out > 0);
    node_woke(n, nt.now);
    (void)nt_run(&nt, NS_PER_MS, NULL); /* nothing comes by then */
    assert_true(n->udp.sent >= st.dgrams_out);
    assert_int_equal(n->udp.came, st.dgrams_in);
    assert_in_range(n->udp.due, nt.now + 9 * NS_PER_S, nt.now + 10 * NS_PER_S);
    assert_int_equal(n->udp.looks, 0);
    (void)nt_run(&nt, 11 * NS_PER_S, NULL); /* something came here, too: that is known */
    assert_int_equal(n->udp.due, TSTAMP_NEVER);
    nt_fini(&nt);
}

static void another_network_makes_every_part_begin_again(void **state)
{
    (void)state;
    nt_init(&nt);
    nt_network(&nt, NT_NODES);
    assert_true(nt_run(&nt, 120 * NS_PER_S, all_linked));
    struct node *n = nt.node[1].node;
    n->autonat->avoid[0].until = TSTAMP_NEVER;
    n->published.last = nt.now;
    n->autorelay.moved = 0;
    n->stun.family[0].mapping = STUN_MAPPING_INDEPENDENT;
    uint64_t before = sent(1);
    node_network_anew(n, nt.now);
    assert_int_equal(n->autonat->avoid[0].until, 0);
    assert_int_equal(n->published.last, 0);
    assert_true(n->autorelay.moved > nt.now);
    assert_int_equal(n->stun.family[0].mapping, STUN_MAPPING_UNKNOWN);
    assert_true((n->news & NODE_NEWS_PATHS) != 0);
    (void)nt_run(&nt, 100 * NS_PER_MS, NULL);
    assert_true(sent(1) >= before + 2);
    nt_fini(&nt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_of_a_nat_is_kept_alive_for_seven_tenths_of_its_life),
        cmocka_unit_test(nothing_is_kept_alive_for_who_is_not_to_be_reached),
        cmocka_unit_test(a_node_that_wakes_asks_its_links_at_once),
        cmocka_unit_test(after_a_change_of_network_datagrams_are_counted_anew),
        cmocka_unit_test(another_network_makes_every_part_begin_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
