/*
 * extend_lookup_test.c - what relays look for in the DHT for a stranger's EXTEND: as little as they can, and nobody
 * takes the place of others by it (audit M10).
 *
 * TEST: timeout=240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/request_table.h"
#include "node/testkit_extend.h"

/* The pool of relay |ix| is empty and stays so: it has to look for whomever an EXTEND names. */
static void knows_no_relay(size_t ix)
{
    struct node *r = net.node[ix].node;
    struct relays_config cfg = {.mem = r->mem, .rng = r->cfg.rng, .self = net.node[ix].peer};

    relays_free(r->relays);
    assert_int_equal(relays_new(&r->relays, &cfg), QUDAG_OK);
    r->descs.fetch_at = TSTAMP_NEVER;
}

/* A relay that does not know another yet looks for its descriptor before it dials, and does not keep it. */
static void a_relay_that_is_not_in_the_pool_is_looked_for_in_the_dht(void **state)
{
    struct onion_hop hops[2];
    struct onion_stats st;
    struct ref ref;
    (void)state;

    network();
    onion_stats_get(net.node[3].node->onion, &st);
    uint64_t before = st.created;
    struct node *r = net.node[1].node, *a = net.node[ATTACKER].node;
    assert_true(relays_get(a->relays, &net.node[1].peer, &hops[0]));
    assert_true(relays_get(a->relays, &net.node[3].peer, &hops[1]));
    knows_no_relay(1);
    struct acts *out = node_begin(a);
    assert_int_equal(onion_build(a->onion, hops, 2, net.now, out, &ref), QUDAG_OK);
    node_end(a, a->ix.onion);
    (void)nt_run(&net, 3 * NS_PER_S, NULL);
    onion_stats_get(net.node[3].node->onion, &st);
    assert_int_equal(st.created - before, 1);
    assert_int_equal(relays_count(r->relays), 0); /* who extends does not choose whom it knows */
    assert_true(list_empty(&r->extends.jobs));
}

/* Else who extends through us would wait for it until its descriptor is over. */
static void a_relay_that_did_not_answer_is_looked_for_again(void **state)
{
    struct onion_hop to;
    (void)state;

    network();
    struct nt_node *gone = &net.node[3];
    struct node *r = net.node[1].node;
    assert_true(relays_get(net.node[ATTACKER].node->relays, &gone->peer, &to));
    (void)nt_free(&net, 3);
    swarm_disconnect(r->swarm, &gone->peer, QUDAG_ECLOSED, net.now);
    (void)nt_run(&net, 100 * NS_PER_MS, NULL);
    const struct relays_entry *x = relays_find(r->relays, &gone->peer);
    assert_non_null(x);
    assert_false(x->ageing);
    r->descs.fetch_at = TSTAMP_NEVER; /* nothing else may move it */
    (void)answered_after(extend(1, &to, false));
    x = relays_find(r->relays, &gone->peer);
    assert_non_null(x);
    assert_true(x->ageing);
}

/* ---- one host with many names asks for what is not there ---- */

#define HONEST 3
#define NAMES 4 /* the first of four */

/* A circuit of two relays of |from|. */
static struct ref build_by(size_t from, size_t first, const struct onion_hop *second)
{
    struct node *n = net.node[from].node;
    struct onion_hop hops[2];
    struct ref ref = {0};

    assert_true(relays_get(n->relays, &net.node[first].peer, &hops[0]));
    hops[1] = *second;
    struct acts *out = node_begin(n);
    assert_int_equal(onion_build(n->onion, hops, 2, net.now, out, &ref), QUDAG_OK);
    node_end(n, n->ix.onion);
    return ref;
}

/* An EXTEND to a relay that there is not. */
static void ask_for_nobody(size_t from, size_t relay)
{
    static uint32_t asked;
    struct onion_hop to;
    uint8_t pk[32] = {0xee};

    memcpy(pk + 1, &asked, sizeof asked);
    asked++;
    assert_true(relays_get(net.node[from].node->relays, &net.node[relay].peer, &to));
    peer_id_from_ed25519(&to.peer, pk);
    (void)build_by(from, relay, &to);
}

/* How many of 20 EXTENDs from relay 0 to relay 1 succeed, two a second, beside 80 a second for nobody. */
static unsigned honest_extends(bool attack)
{
    struct node *h = net.node[HONEST].node;
    struct ref circuit[20];
    struct onion_hop to;
    unsigned good = 0;

    for (size_t i = 0; i < ARRAY_LEN(circuit); i++) {
        assert_true(relays_get(h->relays, &net.node[1].peer, &to));
        circuit[i] = build_by(HONEST, 0, &to);
        for (int k = 0; k < 10; k++) {
            for (size_t a = NAMES; attack && a < NT_NODES; a++) {
                ask_for_nobody(a, 0);
            }
            (void)nt_run(&net, 50 * NS_PER_MS, NULL);
        }
    }
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    for (size_t i = 0; i < ARRAY_LEN(circuit); i++) {
        const struct onion_circuit *c = slots_get(&h->onion->circuits, circuit[i]);
        good += c != NULL && c->phase == ONION_PH_READY;
    }
    return good;
}

static unsigned fetches;

static qudag_err begin_counted(struct node *n, struct node_op *op, tstamp now)
{
    fetches++;
    return node_begin_extend_fetch(n, op, now);
}

/* An EXTEND costs a sender little, a lookup the DHT much. */
static void what_was_looked_for_in_vain_is_not_looked_for_again_at_once(void **state)
{
    struct node_op_type types[NODE_OP_KINDS];
    struct onion_hop nobody = {.n_addrs = 0};
    const uint8_t pk[32] = {0x5b};
    (void)state;

    network();
    struct node *r = net.node[1].node;
    memcpy(types, r->op_types, sizeof types);
    types[NODE_OP_EXTEND_FETCH].begin = begin_counted;
    r->op_types = types;
    fetches = 0;
    peer_id_from_ed25519(&nobody.peer, pk);
    for (int i = 0; i < 3; i++) {
        (void)answered_after(extend(1, &nobody, false));
        assert_int_equal(fetches, 1);
    }
    (void)extend_by(2, 1, &nobody, false); /* another network asks */
    (void)nt_run(&net, 3 * NS_PER_S, NULL);
    assert_int_equal(fetches, 2);
    (void)nt_run(&net, EXTEND_ABSENT_FOR, NULL);
    (void)answered_after(extend(1, &nobody, false));
    assert_int_equal(fetches, 3);
    r->op_types = node_op_types;
}

/* A lookup that lasts as long as the attacker likes, who has the nodes near the key; for real relays as it is. */
static qudag_err begin_slow(struct node *n, struct node_op *op, tstamp now)
{
    for (size_t i = 0; i < NT_NODES; i++) {
        if (peer_id_eq(&op->req.peer, &net.node[i].peer)) {
            return node_begin_extend_fetch(n, op, now);
        }
    }
    return QUDAG_OK;
}

static void cancel_slow(struct node *n, struct node_op *op, tstamp now)
{
    (void)now;
    node_op_end(n, op, QUDAG_ECANCELED, NULL);
}

/*
 * Review 5: 32 jobs, 8 for each neighbour: four names on one host had them all, with ids for which a lookup takes long.
 */
static void who_asks_for_what_is_not_there_takes_nobodys_place(void **state)
{
    struct node_op_type types[NODE_OP_KINDS];
    (void)state;

    one_host = NAMES;
    for (size_t i = 0; i < NT_NODES; i++) {
        make(i, false);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 40 * NS_PER_S, NULL);
    knows_no_relay(0);
    for (size_t i = HONEST; i < NT_NODES; i++) {
        struct node *n = net.node[i].node;
        n->core[n->ix.onion].report = NULL; /* it would close circuits that nobody asked for */
    }
    memcpy(types, net.node[0].node->op_types, sizeof types);
    types[NODE_OP_EXTEND_FETCH].begin = begin_slow;
    types[NODE_OP_EXTEND_FETCH].cancel = cancel_slow;
    net.node[0].node->op_types = types;
    unsigned without = honest_extends(false);
    unsigned with = honest_extends(true);
    print_message("honest EXTENDs: %u of 20, with the attack %u\n", without, with);
    assert_int_equal(without, 20);
    assert_true(with >= 16);
    assert_true(list_empty(&net.node[0].node->extends.jobs));
    assert_true(list_empty(&net.node[0].node->running));
    net.node[0].node->op_types = node_op_types;
}

/* What the DHT is made to answer with: a descriptor of the victim's, rightly signed, that leads nowhere. */
static uint8_t victims[RELAY_DESC_MAX];
static size_t victims_len;

static void finish_with_victims(struct node *n, struct node_op *op, qudag_err err,
                                const struct node_result *res)
{
    const struct node_result found = {.value = {victims, victims_len}};
    (void)err;
    (void)res;

    node_finish_extend_fetch(n, op, QUDAG_OK, &found);
}

/* Storers answer with the descriptor of another relay: nobody is dialled for who was asked for. */
static void a_descriptor_of_somebody_else_leads_nowhere(void **state)
{
    static struct relay_desc d = {.n_addrs = 1, .flags = RELAY_FLAG_GUARD, .seq = 1};
    struct netaddr at = {.family = 4, .ip = {80, 1, 1, 1}, .port = 4001};
    struct onion_hop asked = {.n_addrs = 0};
    struct node_op_type types[NODE_OP_KINDS];
    const uint8_t pk[32] = {0x5c};
    (void)state;

    network();
    struct node *r = net.node[1].node;
    memcpy(d.onion_x, r->onion_x, sizeof d.onion_x);
    memcpy(d.onion_k, r->onion_k, sizeof d.onion_k);
    multiaddr_quic(&d.addr[0], &at, NULL);
    d.not_before = node_wall(r, net.now) - 60;
    d.expires = d.not_before + 3600;
    assert_int_equal(relay_desc_encode(victims, sizeof victims, &victims_len, &d,
                                       &net.node[VICTIM].id, &r->cfg.rng),
                     QUDAG_OK);
    memcpy(types, r->op_types, sizeof types);
    types[NODE_OP_EXTEND_FETCH].finish = finish_with_victims;
    r->op_types = types;
    peer_id_from_ed25519(&asked.peer, pk);
    (void)answered_after(extend(1, &asked, false));
    assert_int_equal(net.nowhere, 0);
    asked.peer = net.node[VICTIM].peer; /* whose it is */
    (void)answered_after(extend(1, &asked, false));
    assert_true(net.nowhere > 0);
    r->op_types = node_op_types;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXTEND_CASE(a_relay_that_is_not_in_the_pool_is_looked_for_in_the_dht),
        EXTEND_CASE(a_relay_that_did_not_answer_is_looked_for_again),
        EXTEND_CASE(what_was_looked_for_in_vain_is_not_looked_for_again_at_once),
        EXTEND_CASE(who_asks_for_what_is_not_there_takes_nobodys_place),
        EXTEND_CASE(a_descriptor_of_somebody_else_leads_nowhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
