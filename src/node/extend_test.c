/*
 * extend_test.c - what a stranger learns and causes by EXTENDs to whole relays: nothing of their links, no dial that
 * no signed statement names, few bytes to third parties (audit H1, M10).
 *
 * TEST: timeout=240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "node/testkit_extend.h"

/*
 * The audit's oracle: the victim is a client that nobody can reach, with links to its guard and to others.  Its peer
 * id is asked of every relay; those that have a link with it answered within 30 ms, the others after 10 s.
 */
static void nobody_learns_from_a_relay_whether_it_has_a_link_with_a_client(void **state)
{
    struct onion_hop victim = {.n_addrs = 0}, nobody = {.n_addrs = 0};
    const uint8_t pk[32] = {0x5a};
    size_t links = 0;
    (void)state;

    network();
    struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    size_t ask = nt_ask(&net.node[VICTIM], &r);
    assert_int_not_equal(ask, SIZE_MAX);
    (void)nt_run(&net, 20 * NS_PER_S, nt_asked_ended);
    assert_int_equal(net.node[VICTIM].ask[ask].err, QUDAG_OK); /* it has a guard */
    victim.peer = net.node[VICTIM].peer;
    peer_id_from_ed25519(&nobody.peer, pk); /* has a link with nobody */
    for (size_t i = 0; i < RELAYS; i++) {
        uint8_t props;
        links += swarm_connected(net.node[i].node->swarm, &victim.peer, &props);
        for (int twice = 0; twice < 2; twice++) {
            const struct onion_hop *asked = twice ? &nobody : &victim;
            uint64_t after = answered_after(extend(i, asked, false));
            print_message("relay %zu, link %d: %.3f s\n", i,
                          (int)swarm_connected(net.node[i].node->swarm, &asked->peer, &props),
                          (double)after / NS_PER_S);
            assert_in_range(after, NS_PER_S, 3 * NS_PER_S + 100 * NS_PER_MS);
        }
    }
    assert_true(links > 0); /* there was something to be learnt */
    assert_int_equal(streams_seen(VICTIM), 0);
    assert_int_equal(net.nowhere, 0);
}

/* The victim says that it ends circuits, at an address where it is: it is reached, but over no link of its own. */
static void a_service_is_reached_over_a_new_link_and_never_over_its_own(void **state)
{
    struct link_info info;
    (void)state;

    network();
    struct onion_hop victim = victim_says();
    assert_false(onion_has_keys(net.node[VICTIM].node->onion));
    for (size_t i = 0; i < RELAYS; i++) {
        uint64_t after = answered_after(extend(i, &victim, true));
        assert_in_range(after, NS_PER_S, 3 * NS_PER_S + 100 * NS_PER_MS);
        size_t ours = 0, it = 0;
        while (swarm_peer_link_next(net.node[i].node->swarm, &victim.peer, &it, &info)) {
            ours += node_rule_extend_link(info.props, info.shaped);
        }
        assert_int_equal(ours, 1); /* it was dialled, whatever links there were */
    }
    assert_int_equal(streams_seen(VICTIM), RELAYS); /* without keys it resets them */
    assert_int_equal(net.nowhere, 0);
}

static void what_third_parties_get_for_an_extend_is_little_and_not_repeated(void **state)
{
    struct netaddr at[ONION_ADDRS_MAX];
    struct onion_hop to;
    (void)state;

    network();
    uint64_t extends = 0;
    for (unsigned i = 0; i < 20; i++) { /* four third parties each, all different */
        for (size_t k = 0; k < ONION_ADDRS_MAX; k++) {
            at[k] =
                (struct netaddr){.family = 4, .ip = {80, (uint8_t)i, (uint8_t)k, 9}, .port = 53};
        }
        invent(&to, i, at, ONION_ADDRS_MAX);
        (void)extend(0, &to, true);
        extends++;
    }
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    uint64_t sent = extends * (2 * 3 * ONION_CELL_LEN); /* CREATE and EXTEND */
    print_message("%llu EXTENDs of %llu bytes with their CREATEs: %llu datagrams, %llu bytes to "
                  "third parties (x %.2f)\n",
                  (unsigned long long)extends, (unsigned long long)sent,
                  (unsigned long long)net.nowhere, (unsigned long long)net.nowhere_bytes,
                  (double)net.nowhere_bytes / (double)sent);
    assert_true(net.nowhere > 0);
    assert_true(net.nowhere_bytes < 2 * sent);

    net.nowhere = net.nowhere_bytes = 0; /* all at one host, at other ports and as other nodes */
    extends = 0;
    for (unsigned i = 100; i < 140; i++) {
        for (size_t k = 0; k < ONION_ADDRS_MAX; k++) {
            at[k] = (struct netaddr){
                .family = 4, .ip = {81, 5, 5, 5}, .port = (uint16_t)(1000 + i * 4 + k)};
        }
        invent(&to, i, at, ONION_ADDRS_MAX);
        (void)extend(0, &to, true);
        extends++;
        (void)nt_run(&net, 200 * NS_PER_MS, NULL);
    }
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    print_message("%llu more to one host: %llu datagrams, %llu bytes\n",
                  (unsigned long long)extends, (unsigned long long)net.nowhere,
                  (unsigned long long)net.nowhere_bytes);
    assert_true(net.nowhere_bytes < 40000); /* four dials or five, of 40 x 4 addresses */
}

/* All that node |ix| knows of hosts, as after a start. */
static void forget(size_t ix)
{
    struct node *n = net.node[ix].node;
    const uint8_t seed[16] = {(uint8_t)ix};

    node_extend_memory_fini(&n->extends.memory);
    assert_int_equal(node_extend_memory_init(&n->extends.memory, n->mem, seed), QUDAG_OK);
}

/* Review 4: invented nodes say that they live at the victim's; three dials that failed barred it to everybody. */
static void statements_with_a_hosts_address_keep_nobody_else_from_it(void **state)
{
    struct onion_hop to;
    (void)state;

    network();
    struct onion_hop victim = victim_says();
    for (unsigned round = 0; round < 2;
         round++) { /* where nobody answers, and where the victim does */
        struct netaddr at = net.node[VICTIM].addr;
        at.port = round == 0 ? 4999 : at.port;
        forget(round);
        for (unsigned i = 0; i < 5; i++) {
            invent(&to, 300 + i, &at, 1);
            (void)answered_after(extend(round, &to, true));
        }
        (void)extend_by(2, round, &victim, true);
        assert_true(victim_sees(round + 1));
    }
    forget(3);
    struct netaddr closed = net.node[VICTIM].addr;
    closed.port = 4999;
    for (unsigned i = 0; i < 5; i++) { /* at the same time */
        invent(&to, 400 + i, &closed, 1);
        (void)extend(3, &to, true);
    }
    (void)extend_by(2, 3, &victim, true);
    assert_true(victim_sees(3));
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    for (unsigned i = 0; i < 5; i++) { /* it has answered: whoever asks gets there */
        invent(&to, 500 + i, &closed, 1);
        (void)answered_after(extend(3, &to, true));
    }
    swarm_disconnect(net.node[3].node->swarm, &victim.peer, QUDAG_ECLOSED, net.now);
    (void)nt_run(&net, NS_PER_S, NULL);
    (void)extend(3, &victim, true);
    assert_true(victim_sees(4));
    forget(4);
    invent(&to, 600, &closed, 1);
    (void)extend(4, &to, true);
    (void)extend(4, &victim, true); /* of the same network: it waits for the dial that fails */
    assert_true(victim_sees(5));
}

/* A host that answers is named with a closed port, through relays of four networks: all that may be dialled there. */
static void statements_with_a_closed_port_do_not_keep_a_host_that_answers_waiting(void **state)
{
    struct onion_hop to;
    (void)state;

    network();
    struct onion_hop victim = victim_says();
    (void)extend(3, &victim, true);
    assert_true(victim_sees(1));
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    swarm_disconnect(net.node[3].node->swarm, &victim.peer, QUDAG_ECLOSED, net.now);
    (void)nt_run(&net, NS_PER_S, NULL);
    struct netaddr closed[2] = {net.node[VICTIM].addr, net.node[VICTIM].addr};
    closed[0].port = 4998;
    closed[1].port = 4999;
    static const size_t through[] = {0, 1, 2, 4};
    for (unsigned i = 0; i < ARRAY_LEN(through); i++) { /* two dials of 2.5 s each */
        invent(&to, 700 + i, closed, 2);
        (void)extend_by(through[i], 3, &to, true);
    }
    (void)extend(3, &victim, true);
    assert_true(victim_sees(2)); /* within 4 s */
}

/* From the EXTEND until its CREATE is at the victim, which has seen |n| before. */
static uint64_t reaches_after(size_t from, size_t relay, const struct onion_hop *victim, uint64_t n)
{
    (void)extend_by(from, relay, victim, true);
    tstamp start = net.now;
    assert_true(victim_sees(n + 1));
    return net.now - start;
}

/* A link that was made while datagrams were lost keeps nobody waiting for longer than a dial for an EXTEND may take. */
static void a_slow_handshake_does_not_slow_down_all_who_use_the_link(void **state)
{
    struct node_request r = {.kind = NODE_OP_CONNECT};
    struct link_info info;
    size_t it = 0;
    (void)state;

    network();
    struct onion_hop victim = victim_says();
    multiaddr_quic(&r.addr, &net.node[VICTIM].addr, &victim.peer);
    swarm_disconnect(net.node[3].node->swarm, &victim.peer, QUDAG_ECLOSED, net.now);
    (void)nt_run(&net, 100 * NS_PER_MS, NULL);
    net.loss_permille = 1000;
    (void)nt_ask(&net.node[3], &r);
    (void)nt_run(&net, 4 * NS_PER_S, NULL);
    net.loss_permille = 0;
    (void)nt_run(&net, 6 * NS_PER_S, NULL);
    while (swarm_peer_link_next(net.node[3].node->swarm, &victim.peer, &it, &info) &&
           !node_rule_extend_link(info.props, info.shaped)) {
    }
    assert_true(node_rule_extend_link(info.props, info.shaped));
    assert_true(info.handshake_ns > 4 * NS_PER_S);
    (void)extend(3, &victim, true);
    assert_true(victim_sees(1)); /* within 4 s */
}

/* Review 7: an extension over a link that stands took one round trip: somebody was there lately. */
static void a_link_that_stands_to_a_service_does_not_show_in_the_time(void **state)
{
    uint64_t dialled[4], stood[4];
    (void)state;

    network();
    struct onion_hop victim = victim_says();
    for (size_t i = 0; i < 4; i++) {
        dialled[i] = reaches_after(ATTACKER, i, &victim, 2 * i);
        stood[i] = reaches_after(4, i, &victim, 2 * i + 1);
        print_message("relay %zu: %.1f ms with a dial, %.1f ms over the link\n", i,
                      (double)dialled[i] / NS_PER_MS, (double)stood[i] / NS_PER_MS);
        assert_in_range(stood[i], dialled[i] * 3 / 4, dialled[i] * 4 / 3);
    }
    /* Who comes while another dials is not told sooner either. */
    (void)extend_by(ATTACKER, 4, &victim, true);
    (void)nt_run(&net, dialled[0] / 2, NULL);
    uint64_t joined = reaches_after(3, 4, &victim, 9);
    print_message("while another dials: %.1f ms\n", (double)joined / NS_PER_MS);
    assert_in_range(joined, dialled[0] * 3 / 4, dialled[0] * 4 / 3);
}

/* Without its statement a service is not reached, whoever is on the way to it. */
static void who_has_no_statement_gains_nothing_from_those_who_dial(void **state)
{
    (void)state;

    network();
    struct onion_hop victim = victim_says();
    (void)extend_by(3, 0, &victim, true);
    struct ref without = extend(0, &victim, false);
    uint64_t after = answered_after(without);
    assert_in_range(after, NS_PER_S, 3 * NS_PER_S + 100 * NS_PER_MS);
    assert_int_equal(streams_seen(VICTIM), 1);
}

/* The audit's list, with a node's own signature below it. */
static void addresses_that_are_not_of_the_internet_are_not_dialled_for_anybody(void **state)
{
    static const struct netaddr bad[] = {
        {.family = 4, .ip = {0, 1, 2, 3}, .port = 4001},
        {.family = 4, .ip = {10, 0, 0, 9}, .port = 4001},
        {.family = 4, .ip = {127, 0, 0, 1}, .port = 4001},
        {.family = 4, .ip = {192, 168, 1, 1}, .port = 4001},
        {.family = 4, .ip = {198, 18, 0, 1}, .port = 4001},
        {.family = 4, .ip = {224, 0, 0, 251}, .port = 5353},
        {.family = 4, .ip = {240, 0, 0, 1}, .port = 4001},
        {.family = 4, .ip = {255, 255, 255, 255}, .port = 4001},
        {.family = 4, .ip = {80, 1, 1, 1}, .port = 0},
        {.family = 6, .ip = {0xff, 0x02, [15] = 1}, .port = 4001},
        {.family = 6, .ip = {0xfe, 0xc0, [15] = 1}, .port = 4001},
        {.family = 6, .ip = {[12] = 127, [15] = 1}, .port = 4001},
        {.family = 6, .ip = {0x00, 0x64, 0xff, 0x9b, [12] = 127, [15] = 1}, .port = 4001},
        {.family = 6, .ip = {0x20, 0x02, 127, 0, 0, 1, [15] = 1}, .port = 4001},
    };
    struct onion_hop to;
    (void)state;

    network();
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        invent(&to, 500 + i, &bad[i], 1);
        uint64_t after = answered_after(extend(1, &to, true));
        assert_in_range(after, NS_PER_S, 3 * NS_PER_S + 100 * NS_PER_MS);
    }
    assert_int_equal(net.nowhere, 0);
}

/* No statement, one that is somebody else's, one that is over: nothing is dialled. */
static void statements_that_do_not_hold_cause_no_dial(void **state)
{
    struct netaddr at = {.family = 4, .ip = {80, 1, 1, 1}, .port = 4001};
    struct onion_hop to;
    (void)state;

    network();
    for (int i = 0; i < 4; i++) {
        invent(&to, 700, &at, 1);
        to.ends_sig[3] ^= i == 0;
        to.addr[0].b[2] ^= i == 1 ? 1 : 0; /* 80.x: another host than it signed */
        to.ends_until -= i == 2 ? 86400 : 0;
        uint64_t after = answered_after(extend(2, &to, i != 3));
        assert_in_range(after, NS_PER_S, 3 * NS_PER_S + 2 * NS_PER_S);
    }
    assert_int_equal(net.nowhere, 0);
}

/* Who takes part in no circuits does not say that it speaks their protocol. */
static void only_nodes_with_keys_list_the_protocol_of_circuits(void **state)
{
    (void)state;

    network();
    for (size_t i = 0; i <= VICTIM; i++) {
        if (i == 1) {
            continue;
        }
        struct node_peer_note *note = NULL;
        LIST_EACH(it, &net.node[1].node->notes)
        {
            struct node_peer_note *x = LIST_ENTRY(it, struct node_peer_note, lru);
            note = peer_id_eq(&x->id, &net.node[i].peer) ? x : note;
        }
        if (note != NULL) {
            bool lists = strstr(note->protocols, ONION_PROTOCOL) != NULL;
            assert_int_equal(lists, i != VICTIM);
        }
        assert_true(note != NULL || i == VICTIM);
    }
}

/* Three dials that failed, and then none until some are forgiven, whatever names and ports are below it. */
static void a_host_that_does_not_answer_is_left_alone_for_a_while(void **state)
{
    struct onion_hop to;
    unsigned dialled = 0;
    (void)state;

    network();
    for (unsigned i = 0; i < 8; i++) {
        struct netaddr at = {.family = 4, .ip = {82, 6, 6, 6}, .port = (uint16_t)(2000 + i)};
        net.nowhere = 0;
        invent(&to, 900 + i, &at, 1);
        (void)extend(0, &to, true);
        (void)nt_run(&net, 4 * NS_PER_S, NULL); /* longer than a dial may take */
        dialled += net.nowhere > 0;
        assert_true(list_empty(&net.node[0].node->extends.jobs));
    }
    assert_in_range(dialled, 3, 5);
    net.nowhere = 0;
    struct netaddr other = {.family = 4, .ip = {82, 6, 6, 7}, .port = 2000}; /* is another */
    invent(&to, 950, &other, 1);
    (void)extend(0, &to, true);
    (void)nt_run(&net, 4 * NS_PER_S, NULL);
    assert_true(net.nowhere > 0);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    net.nowhere = 0;
    struct netaddr again = {.family = 4, .ip = {82, 6, 6, 6}, .port = 3000};
    invent(&to, 951, &again, 1);
    (void)extend(0, &to, true);
    (void)nt_run(&net, 4 * NS_PER_S, NULL);
    assert_true(net.nowhere > 0); /* it was forgiven */
}

/* The first address does not answer: it is given up in time for the second. */
static void an_address_that_is_silent_leaves_time_for_the_next(void **state)
{
    struct netaddr six = {.family = 6, .ip = {0x2a, 0x01, 4, 0xf8, [15] = 1}, .port = 4001};
    struct netaddr silent = {.family = 4, .ip = {80, 1, 1, 1}, .port = 4001};
    struct onion_hop to;
    (void)state;

    network();
    struct onion_hop victim = victim_says();
    victim.addr[1] = victim.addr[0];
    victim.n_addrs = 2;
    multiaddr_quic(&victim.addr[0], &silent, NULL);
    assert_int_equal(onion_ends_sign(&victim, node_wall(net.node[VICTIM].node, net.now) + 3600,
                                     &net.node[VICTIM].id),
                     QUDAG_OK);
    (void)extend(0, &victim, true);
    assert_true(victim_sees(1)); /* within 4 s */
    assert_true(net.nowhere > 0);
    net.nowhere = 0;
    invent(&to, 960, &six, 1); /* of a version that the relay does not have */
    (void)answered_after(extend(1, &to, true));
    assert_int_equal(net.nowhere, 0);
}

/* From the moment on that its owner gives it up, whether the DHT knows already or not. */
static void nobody_is_let_in_by_a_forgotten_address(void **state)
{
    struct dark_addr addr;
    (void)state;

    network();
    struct node *n = net.node[1].node;
    size_t keys = n->onion->keys_n;
    assert_int_equal(node_dark_create(n, &nt_direct, "shop", net.now, &addr), QUDAG_OK);
    assert_int_equal(n->onion->keys_n, keys + 1);
    struct node_request r = {.kind = NODE_OP_DARK_FORGET, .dark = addr};
    assert_int_not_equal(nt_ask(&net.node[1], &r), SIZE_MAX);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(n->onion->keys_n, keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXTEND_CASE(nobody_learns_from_a_relay_whether_it_has_a_link_with_a_client),
        EXTEND_CASE(a_service_is_reached_over_a_new_link_and_never_over_its_own),
        EXTEND_CASE(what_third_parties_get_for_an_extend_is_little_and_not_repeated),
        EXTEND_CASE(statements_with_a_hosts_address_keep_nobody_else_from_it),
        EXTEND_CASE(statements_with_a_closed_port_do_not_keep_a_host_that_answers_waiting),
        EXTEND_CASE(a_link_that_stands_to_a_service_does_not_show_in_the_time),
        EXTEND_CASE(a_slow_handshake_does_not_slow_down_all_who_use_the_link),
        EXTEND_CASE(who_has_no_statement_gains_nothing_from_those_who_dial),
        EXTEND_CASE(addresses_that_are_not_of_the_internet_are_not_dialled_for_anybody),
        EXTEND_CASE(statements_that_do_not_hold_cause_no_dial),
        EXTEND_CASE(only_nodes_with_keys_list_the_protocol_of_circuits),
        EXTEND_CASE(a_host_that_does_not_answer_is_left_alone_for_a_while),
        EXTEND_CASE(an_address_that_is_silent_leaves_time_for_the_next),
        EXTEND_CASE(nobody_is_let_in_by_a_forgotten_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
