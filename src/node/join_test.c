/*
 * join_test.c - lists of bootstrap peers as they are in the field: one list for all machines, dead addresses.
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

/* Nodes 1 .. 5 join through node 0, which has |c|, and need each other as relays to be ready. */
static void others_join(struct node_config *c)
{
    c->relays_min = 4;
    nt_begin(0, c);
    for (size_t i = 1; i <= 5; i++) {
        struct node_config o = nt_config(&net, i);
        nt_boot(&net, &o, 0);
        o.relays_min = 5; /* node 0 as well */
        nt_begin(i, &o);
    }
}

static void a_node_that_finds_only_itself_in_the_list_is_the_first(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 0);
    nt_boot(&net, &c, 0);
    nt_boot(&net, &c, 0);
    nt_begin(0, &c);
    assert_int_equal(net.node[0].phase, NODE_READY);
    assert_int_equal(net.node[0].failures, 0);
}

static void the_own_address_without_id_is_known_too(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 0);
    nt_identity(&net, 0);
    multiaddr_quic(&c.boot[c.n_boot++].addr, &net.node[0].addr, NULL);
    nt_begin(0, &c);
    assert_int_equal(net.node[0].phase, NODE_READY);
}

static void one_list_for_all_machines_serves(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 0);
    nt_boot(&net, &c, 0);
    others_join(&c);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
}

static void a_dead_list_does_not_matter_when_others_join_through_us(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 0);
    nt_boot(&net, &c, 7); /* never there */
    others_join(&c);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
}

static bool first_has_failed(struct nt *nt)
{
    return nt->node[0].phase == NODE_FAILED;
}

static void a_node_that_failed_to_bootstrap_continues_when_others_join(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 0);
    nt_boot(&net, &c, 7);
    nt_begin(0, &c);
    (void)nt_run(&net, 900 * NS_PER_S, NULL);
    assert_true(nt_run(&net, 60 * NS_PER_S, first_has_failed)); /* maybe it dials just then */
    unsigned failures = net.node[0].failures;
    struct node_config o = nt_config(&net, 1);
    nt_boot(&net, &o, 0);
    nt_begin(1, &o);
    assert_true(nt_run(&net, 20 * NS_PER_S, nt_all_ready)); /* far below its pause */
    assert_int_equal(net.node[0].failures, failures);
}

static void addresses_that_change_bring_the_next_attempt_near(void **state)
{
    struct multiaddr ma;
    (void)state;
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    nt_begin(1, &c);
    (void)nt_run(&net, 1500 * NS_PER_S, NULL);
    assert_int_equal(net.node[1].phase, NODE_FAILED); /* its pause is minutes long now */
    nt_network(&net, 1);
    multiaddr_quic(&ma, &net.node[1].addr, NULL);
    node_set_addrs(net.node[1].node, &ma, 1);
    assert_true(nt_run(&net, 10 * NS_PER_S, nt_all_ready));
}

/* Contacts of the last run are dialled, but for addresses that only a lab may dial. */
static void contacts_of_the_last_run_are_dialled_where_that_is_allowed(void **state)
{
    static uint8_t buf[KAD_ANCHORS_BYTES];
    (void)state;
    nt_join(2);
    size_t len = kad_anchors(node_kad(net.node[1].node), buf, sizeof buf);
    assert_true(len > 1);
    for (size_t lab = 0; lab < 2; lab++) {
        struct node_config c = nt_config(&net, 2 + lab);
        c.lab = lab == 1;
        assert_int_equal(nt_make(&net, 2 + lab, &c), QUDAG_OK);
        struct node *n = net.node[2 + lab].node;
        assert_int_equal(
            node_dht_restore(n, KAD_PERSIST_ANCHORS, NULL, (struct slice){buf, len}, net.now),
            QUDAG_OK);
        node_start(n);
        assert_int_equal(net.node[2 + lab].phase, lab == 1 ? NODE_DIAL : NODE_READY);
    }
    (void)nt_free(&net, 0);
    (void)nt_free(&net, 1);
    assert_true(
        nt_run(&net, 60 * NS_PER_S, nt_all_ready)); /* nobody is left, and that is no failure */
    assert_int_equal(net.node[3].failures, 0);
}

/* Requests of the node itself are nobody's to cancel, whatever number a program makes up. */
static void a_program_cannot_cancel_what_the_node_does_for_itself(void **state)
{
    (void)state;
    nt_network(&net, 1);
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    nt_begin(1, &c);
    for (uint32_t slot = 0; slot < 4; slot++) {
        for (uint32_t gen = 0; gen < 4; gen++) {
            node_cancel(net.node[1].node, (struct ref){slot, gen});
        }
    }
    node_drain(net.node[1].node, net.now);
    assert_int_equal(net.node[1].phase, NODE_DIAL);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
}

static void the_next_address_of_a_peer_waits_for_the_last(void **state)
{
    const tstamp at = NS_PER_S, due = at + SWARM_ATTEMPT_DELAY;
    static const struct {
        bool answered;
        uint32_t under_way;
        int64_t late; /* against |due| */
        bool dialled;
    } row[] = {
        {false, 0, -1, true}, {false, 1, -1, false}, {false, 1, 0, true},
        {false, 3, 0, true},  {true, 0, 1, false},   {true, 1, 1, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct node_boot_group g = {row[i].answered, row[i].under_way, at};
        tstamp now = row[i].late < 0 ? due - 1 : due + (tstamp)row[i].late;
        assert_int_equal(node_rule_boot_dial(&g, now), row[i].dialled);
    }
}

static uint64_t dials_of_1(uint32_t *links)
{
    struct swarm_stats st;

    swarm_stats_get(node_swarm(net.node[1].node), &st);
    *links = st.links;
    return st.dials;
}

/* A list that names two addresses of one machine made two links with it. */
static void the_addresses_of_one_peer_make_one_link(void **state)
{
    uint32_t links;
    (void)state;
    nt_network(&net, 1);
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    nt_boot(&net, &c, 0);
    nt_begin(1, &c);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(net.node[1].phase, NODE_READY);
    assert_int_equal(dials_of_1(&links), 1);
    assert_int_equal(links, 1);
}

/* IPv6 first; where nobody is there the other is dialled a quarter of a second later, and then it is given up. */
static void a_dead_address_of_a_peer_costs_a_quarter_of_a_second(void **state)
{
    struct netaddr nowhere = {.family = 6, .ip = {0xfd, 9}, .port = 9};
    uint32_t links;
    (void)state;
    nt_network(&net, 1);
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    multiaddr_quic(&c.boot[c.n_boot++].addr, &nowhere, &net.node[0].peer);
    nt_begin(1, &c);
    const struct node_boot_state *b = &net.node[1].node->boot;
    (void)nt_run(&net, SWARM_ATTEMPT_DELAY - 10 * NS_PER_MS, NULL);
    assert_int_equal(dials_of_1(&links), 1);
    assert_int_equal(b->dial[0].state, NODE_BOOT_WAITS);
    assert_int_equal(b->dial[1].state, NODE_BOOT_DIALS);
    (void)nt_run(&net, 20 * NS_PER_MS, NULL);
    assert_int_equal(dials_of_1(&links), 2);
    (void)nt_run(&net, 500 * NS_PER_MS, NULL);
    assert_int_equal(b->dial[0].state, NODE_BOOT_ANSWERED);
    assert_int_equal(b->dial[1].state, NODE_BOOT_ENDED);
    (void)dials_of_1(&links);
    assert_int_equal(links, 1);
    assert_int_equal(net.node[1].failures, 0);
}

/* The first to answer is of another network, and is of no use: the second is waited for, and nothing fails. */
static void who_answers_later_is_asked_when_the_first_are_of_no_use(void **state)
{
    struct netaddr nowhere = {.family = 6, .ip = {0xfd, 9}, .port = 9};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct node_config c = nt_config(&net, i);
        c.dht_protocol = i == 0 ? KAD_PROTOCOL_LAB : KAD_PROTOCOL;
        nt_begin(i, &c);
    }
    struct node_config c = nt_config(&net, 2);
    nt_boot(&net, &c, 0);
    nt_boot(&net, &c, 1); /* dialled a quarter of a second after the address below */
    multiaddr_quic(&c.boot[c.n_boot++].addr, &nowhere, &net.node[1].peer);
    nt_begin(2, &c);
    (void)nt_run(&net, SWARM_ATTEMPT_DELAY / 2, NULL);
    assert_int_equal(net.node[2].phase, NODE_DIAL);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(net.node[2].failures, 0);
    assert_true(net.node[2].phase > NODE_LOOKUP && net.node[2].phase != NODE_FAILED);
}

/* Neither joins the other without a word: what a lab stores is not checked, and hides nobody. */
static void a_lab_and_other_networks_do_not_mix(void **state)
{
    struct node_join_why why;
    (void)state;
    for (size_t lab = 0; lab < 2; lab++) {
        for (size_t i = 0; i < 3; i++) { /* 0 and 1 of one kind, 2 of the other */
            struct node_config c = nt_config(&net, i);
            bool of_lab = (lab == 1) == (i < 2);
            c.dht_protocol = of_lab ? KAD_PROTOCOL_LAB : KAD_PROTOCOL;
            if (i > 0) {
                nt_boot(&net, &c, 0);
            }
            assert_int_equal(nt_make(&net, i, &c), QUDAG_OK);
            net.node[i].node->cfg.lab = of_lab; /* but for the addresses all are in one */
            net.node[i].phase = NODE_START;
            node_start(net.node[i].node);
        }
        (void)nt_run(&net, 60 * NS_PER_S, NULL);
        assert_int_not_equal(net.node[1].phase, NODE_FAILED);
        assert_int_equal(net.node[2].phase, NODE_FAILED);
        assert_int_equal(net.node[2].phase_err, QUDAG_EUNSUPPORTED);
        node_join_why_get(net.node[2].node, &why);
        assert_int_equal(why.err, QUDAG_EUNSUPPORTED);
        assert_true(why.others);
        assert_int_equal(why.lab, lab == 1);
        for (size_t i = 0; i < 3; i++) {
            (void)nt_free(&net, i);
        }
    }
}

static void what_we_do_not_speak_is_not_called_a_lab(void **state)
{
    struct node_join_why why;
    struct node_config c = nt_config(&net, 0);
    (void)state;
    assert_int_equal(multiaddr_parse(&c.boot[c.n_boot++].addr, "/ip4/9.9.9.9/tcp/1"), QUDAG_OK);
    nt_begin(0, &c);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].phase, NODE_FAILED);
    node_join_why_get(net.node[0].node, &why);
    assert_int_equal(why.err, QUDAG_EUNSUPPORTED);
    assert_false(why.others);
}

static void too_few_relays_for_a_circuit_are_reported(void **state)
{
    struct node_status st;
    (void)state;
    nt_join(4);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    node_status_get(net.node[0].node, &st);
    assert_int_equal(st.phase, NODE_READY);
    assert_int_equal(st.relays, 3);
    assert_int_equal(st.relays_needed, 4); /* three hops, and a service that is none of them */
    assert_false(st.clock_suspect);
}

/* A node that waits for relays looks for them every second, and has something to say only when it found one. */
static void a_phase_is_reported_when_it_changes(void **state)
{
    (void)state;
    nt_network(&net, 1);
    struct node_config c = nt_config(&net, 1);
    nt_boot(&net, &c, 0);
    c.relays_min = 5;
    nt_begin(1, &c);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(net.node[1].phase, NODE_RELAYS);
    assert_true(net.node[1].phase_says[0] < 5 && net.node[1].phase_says[1] == 5);
    assert_int_equal(net.node[1].phases_again, 0);
    assert_true(net.node[1].phases < 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_node_that_finds_only_itself_in_the_list_is_the_first),
        NT_TEST(contacts_of_the_last_run_are_dialled_where_that_is_allowed),
        NT_TEST(a_program_cannot_cancel_what_the_node_does_for_itself),
        NT_TEST(the_own_address_without_id_is_known_too),
        NT_TEST(one_list_for_all_machines_serves),
        NT_TEST(a_dead_list_does_not_matter_when_others_join_through_us),
        NT_TEST(a_node_that_failed_to_bootstrap_continues_when_others_join),
        NT_TEST(addresses_that_change_bring_the_next_attempt_near),
        cmocka_unit_test(the_next_address_of_a_peer_waits_for_the_last),
        NT_TEST(the_addresses_of_one_peer_make_one_link),
        NT_TEST(a_dead_address_of_a_peer_costs_a_quarter_of_a_second),
        NT_TEST(who_answers_later_is_asked_when_the_first_are_of_no_use),
        NT_TEST(a_lab_and_other_networks_do_not_mix),
        NT_TEST(what_we_do_not_speak_is_not_called_a_lab),
        NT_TEST(too_few_relays_for_a_circuit_are_reported),
        NT_TEST(a_phase_is_reported_when_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
