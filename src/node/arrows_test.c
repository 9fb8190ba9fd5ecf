/*
 * arrows_test.c - what one feature lets another do: pins, addresses, what identify changes, unsaved keys.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/onion/circuit.h"
#include "node/internal.h"
#include "node/testkit_case.h"

static qudag_err ask(size_t ix, const struct node_request *r)
{
    size_t a = nt_ask(&net.node[ix], r);

    assert_int_not_equal(a, SIZE_MAX);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    return net.node[ix].ask[a].err;
}

static void make(size_t ix, bool lab)
{
    struct node_config c = nt_config(&net, ix);

    c.lab = lab;
    nt_begin(ix, &c);
}

static qudag_err connect_to(size_t from, size_t to)
{
    struct node_request r = {.kind = NODE_OP_CONNECT};

    multiaddr_quic(&r.addr, &net.node[to].addr, &net.node[to].peer);
    return ask(from, &r);
}

/* The link is opened by the peer itself: whoever dials is not the only one to look. */
static void a_wrong_pin_is_refused_for_links_that_others_open(void **state)
{
    uint8_t hash[32], props;
    (void)state;
    make(0, true);
    make(1, true);
    memset(hash, 7, sizeof hash);
    swarm_pin(node_swarm(net.node[0].node), &net.node[1].peer, hash);
    (void)connect_to(1, 0);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_false(swarm_connected(node_swarm(net.node[0].node), &net.node[1].peer, &props));
    make(2, true);
    memcpy(hash, net.node[2].id.pq_hash, sizeof hash); /* the right one is no hindrance */
    swarm_pin(node_swarm(net.node[0].node), &net.node[2].peer, hash);
    assert_int_equal(connect_to(2, 0), QUDAG_OK);
    assert_true(swarm_connected(node_swarm(net.node[0].node), &net.node[2].peer, &props));
}

static const struct netaddr claimed = {.family = 4, .ip = {10, 99, 0, 9}, .port = 4001};

static bool somebody_dials_it(struct nt *nt)
{
    LIST_EACH(it, &nt->wire)
    {
        if (netaddr_eq(&LIST_ENTRY(it, struct nt_pkt, node)->to, &claimed)) {
            return true;
        }
    }
    return false;
}

/* Whoever sends us to a private address would have us knock there: not but in a lab. */
static void addresses_of_no_use_are_not_taken_from_identify(void **state)
{
    struct multiaddr ma;
    (void)state;
    for (int lab = 0; lab <= 1; lab++) {
        nt_fini(&net);
        nt_init(&net);
        make(0, lab != 0);
        make(1, true);
        multiaddr_quic(&ma, &claimed, NULL);
        node_set_addrs(net.node[1].node, &ma, 1);
        assert_int_equal(connect_to(1, 0), QUDAG_OK);
        (void)nt_run(&net, 10 * NS_PER_S, NULL);
        assert_int_equal(nt_free(&net, 1), 0);
        node_disconnect(net.node[0].node, &net.node[1].peer);
        struct node_request r = {.kind = NODE_OP_PING, .peer = net.node[1].peer};
        assert_int_not_equal(nt_ask(&net.node[0], &r), SIZE_MAX);
        assert_int_equal(nt_run(&net, 60 * NS_PER_S, somebody_dials_it), lab != 0);
    }
}

static bool in_table(size_t of, size_t ix)
{
    struct kad_peer_info info;
    size_t it = 0;

    while (kad_table_next(net.node[of].node->kad, &it, &info)) {
        if (peer_id_eq(&info.id, &net.node[ix].peer)) {
            return true;
        }
    }
    return false;
}

/* Node |ix| pushes |m| to its peers, as another implementation might. */
static void push(size_t ix, const struct identify_msg *m)
{
    struct node *n = net.node[ix].node;

    identify_set_self(&n->identify, m);
    identify_push_all(&n->identify, net.now, node_begin(n));
    node_end(n, n->ix.push);
    (void)nt_run(&net, 6 * NS_PER_S, NULL);
}

/* Field trial I3. */
static void a_push_of_addresses_alone_changes_nothing_else(void **state)
{
    const char *agent, *protocols;
    static struct identify_msg m;
    char before[512];

    (void)state;
    make(0, true);
    make(1, true);
    assert_int_equal(connect_to(1, 0), QUDAG_OK);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_true(in_table(0, 1));
    assert_true(node_peer_agent(net.node[0].node, &net.node[1].peer, &agent, &protocols));
    assert_string_equal(agent, "test");
    assert_non_null(strstr(protocols, KAD_PROTOCOL));
    assert_true(strlen(protocols) < sizeof(before));
    memcpy(before, protocols, strlen(protocols) + 1);

    memset(&m, 0, sizeof(m));
    multiaddr_quic(&m.addr[m.n_addrs++], &claimed, NULL);
    push(1, &m);
    assert_true(in_table(0, 1));
    assert_true(node_peer_agent(net.node[0].node, &net.node[1].peer, &agent, &protocols));
    assert_string_equal(agent, "test");
    assert_string_equal(protocols, before);

    memset(&m, 0, sizeof(m));
    memcpy(m.proto[m.n_protos++], "/x/1", 5);
    push(1, &m);
    assert_false(in_table(0, 1));
    assert_true(node_peer_agent(net.node[0].node, &net.node[1].peer, &agent, &protocols));
    assert_string_equal(agent, "test");
    assert_string_equal(protocols, "/x/1");
}

/* Peers hear of what changed, once, and of nothing else. */
static void what_changes_is_pushed_and_nothing_else(void **state)
{
    const char *agent, *protocols;

    (void)state;
    make(0, true);
    make(1, true);
    assert_int_equal(connect_to(1, 0), QUDAG_OK);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    struct node *n = net.node[1].node;
    uint64_t seq = n->record_seq;
    tstamp next = n->identify.push_next;
    for (int i = 0; i < 3; i++) {
        struct multiaddr own = n->reach.bound[0];
        node_set_addrs(n, &own, 1); /* as it was */
        (void)nt_run(&net, 6 * NS_PER_S, NULL);
    }
    assert_int_equal(n->record_seq, seq);
    assert_int_equal(n->identify.push_next, next);
    assert_int_equal(node_serve(n, "/late/1"), QUDAG_OK);
    assert_int_equal(node_serve(n, "/late/2"), QUDAG_OK);
    (void)nt_run(&net, 6 * NS_PER_S, NULL);
    assert_true(node_peer_agent(net.node[0].node, &net.node[1].peer, &agent, &protocols));
    assert_non_null(strstr(protocols, "/late/1"));
    assert_non_null(strstr(protocols, "/late/2"));
    assert_true(n->record_seq > seq);
    assert_true(n->identify.push_next > next);
}

/* What one node hears of itself from the other, and whether its peer signed its addresses. */
static const struct identify_msg *answer_of(size_t from, size_t to)
{
    struct node *n = net.node[to].node;

    qudag_err err = identify_ask(&n->identify, &net.node[from].peer, net.now, node_begin(n));
    node_end(n, n->ix.identify);
    assert_int_equal(err, QUDAG_OK);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    return &n->identify.up;
}

/* Field trial I2. */
static void identify_carries_the_observed_address_and_a_signed_record(void **state)
{
    struct peer_record first, second;
    struct netaddr seen;
    (void)state;

    for (int lab = 0; lab <= 1; lab++) {
        nt_fini(&net);
        nt_init(&net);
        make(0, lab != 0); /* tells private addresses in a lab only */
        make(1, true);
        assert_int_equal(connect_to(1, 0), QUDAG_OK);
        (void)nt_run(&net, 10 * NS_PER_S, NULL);
        const struct identify_msg *m = answer_of(0, 1);
        assert_int_equal(m->has_observed, lab != 0);
        if (lab != 0) {
            assert_true(multiaddr_to_netaddr(&m->observed, &seen));
            assert_true(netaddr_eq(&seen, &net.node[1].addr));
        }
        if (lab == 0) { /* its own address is private: nothing is told */
            assert_int_equal(m->n_addrs, 0);
            assert_int_equal(m->record_len, 0);
            continue;
        }
        struct slice record = {m->record, m->record_len};
        assert_int_equal(peer_record_open(&first, record, &net.node[0].peer), QUDAG_OK);
        assert_int_equal(first.n_addrs, 1);
        assert_true(multiaddr_eq(&first.addr[0], &m->addr[0]));
    }
    struct multiaddr elsewhere;
    multiaddr_quic(&elsewhere, &claimed, NULL);
    node_set_addrs(net.node[0].node, &elsewhere, 1);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    const struct identify_msg *m = answer_of(0, 1);
    struct slice record = {m->record, m->record_len};
    assert_int_equal(peer_record_open(&second, record, &net.node[0].peer), QUDAG_OK);
    assert_true(multiaddr_eq(&second.addr[0], &elsewhere));
    assert_true(second.seq > first.seq);
}

static uint64_t record_seq_of(size_t from, size_t to)
{
    struct peer_record r;
    const struct identify_msg *m = answer_of(from, to);
    struct slice record = {m->record, m->record_len};

    assert_int_equal(peer_record_open(&r, record, &net.node[from].peer), QUDAG_OK);
    return r.seq;
}

/* Before the start there is no number for it; a node without relay keys has nothing else to say by then. */
static void a_node_that_is_no_relay_has_a_signed_record_once_it_is_started(void **state)
{
    struct node_config c = nt_config(&net, 0);
    (void)state;

    make(1, true);
    c.relay = false;
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    node_drain(net.node[0].node, net.now); /* its addresses are known, and nothing is signed */
    node_start(net.node[0].node);
    assert_int_equal(connect_to(1, 0), QUDAG_OK);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_true(record_seq_of(0, 1) > 0);
}

/* Peers keep the record with the highest number: one that went back would not be taken. */
static void the_number_of_the_signed_record_never_goes_back_over_a_restart(void **state)
{
    uint64_t last = 0;
    (void)state;

    make(1, true);
    for (int64_t off = 550; off >= 0; off -= 550) {
        struct node_config c = nt_config(&net, 0);
        struct nt_node *t = &net.node[0];
        c.clock.base += off;
        assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
        node_drain(t->node, net.now); /* the host may do so: nothing is numbered yet */
        assert_int_equal(nt_seq_restore(t, &t->record_seq, net.now), QUDAG_OK);
        node_start(t->node);
        assert_int_equal(connect_to(1, 0), QUDAG_OK);
        (void)nt_run(&net, 10 * NS_PER_S, NULL);
        uint64_t seq = record_seq_of(0, 1);
        assert_true(seq > last);
        last = seq;
        assert_int_equal(nt_free(&net, 0), 0);
        node_disconnect(net.node[1].node, &t->peer);
    }
}

static void nothing_is_published_when_its_keys_are_not_on_disk(void **state)
{
    struct dark_addr addr;
    struct onion_stats before, after;
    (void)state;
    nt_join(5);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct nt_node *t = &net.node[4];
    assert_int_equal(node_dark_create(t->node, &nt_direct, "x", net.now, &addr), QUDAG_OK);
    t->save_err = QUDAG_ESYSTEM;
    onion_stats_get(node_onion(net.node[4].node), &before);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    assert_int_equal(ask(4, &r), QUDAG_ESYSTEM);
    onion_stats_get(node_onion(net.node[4].node), &after);
    assert_int_equal(after.cells_originated, before.cells_originated); /* neither of two records */
    t->save_err = QUDAG_OK;
    assert_int_equal(ask(4, &r), QUDAG_OK);
}

/* An address that would be gone after a restart does not exist: nobody is let in by it. */
static void keys_that_are_not_saved_let_nobody_in(void **state)
{
    struct dark_addr addr;
    (void)state;
    nt_join(2);
    struct nt_node *t = &net.node[1];
    size_t keys = node_onion(t->node)->keys_n;
    t->save_err = QUDAG_ESYSTEM;
    assert_int_equal(node_dark_create(t->node, &nt_direct, "x", net.now, &addr), QUDAG_ESYSTEM);
    assert_int_equal(node_onion(t->node)->keys_n, keys);
    t->save_err = QUDAG_OK;
    assert_int_equal(node_dark_create(t->node, &nt_direct, "x", net.now, &addr), QUDAG_OK);
    assert_int_equal(node_onion(t->node)->keys_n, keys + 1);
}

static bool last_is_published(struct nt *nt)
{
    const struct dark_keys *k;
    bool published = false;
    walltime until;
    size_t it = 0;

    return dark_own_next(node_dark(nt->node[4].node), &it, &k, &published, &until) && published;
}

/* Without an address of its own that can be told, a record would lead nowhere: it goes out with the first address. */
static void nothing_is_published_that_leads_nowhere(void **state)
{
    struct multiaddr own;
    struct dark_addr addr;
    (void)state;
    nt_join(5);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct nt_node *t = &net.node[4];
    assert_true(t->node->reach.n_announced > 0);
    assert_int_equal(node_dark_create(t->node, &nt_direct, "x", net.now, &addr), QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    node_set_addrs(t->node, NULL, 0);
    assert_int_equal(t->node->reach.n_announced, 0);
    assert_int_equal(ask(4, &r), QUDAG_EUNREACHABLE);
    assert_false(nt_run(&net, 10 * NS_PER_S, last_is_published));
    multiaddr_quic(&own, &t->addr, NULL);
    node_set_addrs(t->node, &own, 1);
    assert_true(nt_run(&net, 60 * NS_PER_S, last_is_published));
}

/* Nor at the next chance, when it was unpublished meanwhile. */
static void what_is_unpublished_is_not_published_at_the_next_chance(void **state)
{
    struct multiaddr own;
    struct dark_addr addr;
    (void)state;
    nt_join(5);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct nt_node *t = &net.node[4];
    assert_int_equal(node_dark_create(t->node, &nt_direct, "x", net.now, &addr), QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    node_set_addrs(t->node, NULL, 0);
    assert_int_equal(ask(4, &r), QUDAG_EUNREACHABLE);
    r.kind = NODE_OP_DARK_UNPUBLISH;
    assert_int_equal(ask(4, &r), QUDAG_OK);
    multiaddr_quic(&own, &t->addr, NULL);
    node_set_addrs(t->node, &own, 1);
    assert_false(nt_run(&net, 60 * NS_PER_S, last_is_published));
}

/* After a restart a direct address waits until others are told where we are; a hidden one has no need to. */
static void what_leads_nowhere_yet_is_published_again_when_it_leads_somewhere(void **state)
{
    static const struct node_dark_of kinds[] = {{DARK_DIRECT, DARK_NET_LAB},
                                                {DARK_HIDDEN, DARK_NET_LAB}};
    (void)state;
    nt_join(5);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct node *n = net.node[4].node;
    size_t announced = n->reach.n_announced;
    assert_true(announced > 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(node_dark_create(n, &kinds[i], "x", net.now, &n->republish[0]), QUDAG_OK);
        n->n_republish = 1;
        n->reach.n_announced = 0;
        node_dark_republish(n);
        assert_int_equal(n->n_republish, kinds[i].kind == DARK_DIRECT);
        n->reach.n_announced = announced;
        node_dark_republish(n);
        assert_int_equal(n->n_republish, 0);
    }
}

/* It goes on, so that the disk follows; the program hears of it once. */
static void a_canceled_publication_is_reported_once(void **state)
{
    struct dark_addr addr;
    (void)state;
    nt_join(5);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct nt_node *t = &net.node[4];
    assert_int_equal(node_dark_create(t->node, &nt_direct, "x", net.now, &addr), QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    size_t a = nt_ask(t, &r);
    assert_int_not_equal(a, SIZE_MAX);
    node_drain(t->node, net.now);
    assert_true(node_op_set_user(t->node, t->ask[a].op, t));
    node_cancel(t->node, t->ask[a].op);
    node_drain(t->node, net.now);
    assert_int_equal(t->ask[a].ends, 1);
    assert_int_equal(t->ask[a].err, QUDAG_ECANCELED);
    assert_false(node_op_set_user(t->node, t->ask[a].op, t));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(t->ask[a].ends, 1);
    assert_int_equal(t->strays, 0);
}

static uint64_t masked_requests(void)
{
    uint64_t n = 0;

    for (size_t i = 0; i < NT_NODES; i++) {
        struct kad_stats st = {0};
        if (net.node[i].node != NULL) {
            kad_stats_get(node_kad(net.node[i].node), &st);
        }
        n += st.masked;
    }
    return n;
}

/* Who asks the DHT for the far end of a circuit shows nobody on the way which dark address it is about. */
static void gateways_mask_what_they_read_and_write_for_others(void **state)
{
    struct dark_addr addr;
    (void)state;
    nt_join(5);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(node_dark_create(net.node[4].node, &nt_direct, "x", net.now, &addr), QUDAG_OK);
    uint64_t before = masked_requests();
    struct node_request r = {.kind = NODE_OP_DARK_RESOLVE, .dark = addr};
    assert_int_equal(ask(0, &r), QUDAG_ENOTFOUND); /* read only */
    uint64_t read = masked_requests();
    assert_true(read > before);
    r.kind = NODE_OP_DARK_PUBLISH;
    assert_int_equal(ask(4, &r), QUDAG_OK); /* written only */
    assert_true(masked_requests() > read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(gateways_mask_what_they_read_and_write_for_others),
        NT_TEST(a_wrong_pin_is_refused_for_links_that_others_open),
        NT_TEST(addresses_of_no_use_are_not_taken_from_identify),
        NT_TEST(a_push_of_addresses_alone_changes_nothing_else),
        NT_TEST(what_changes_is_pushed_and_nothing_else),
        NT_TEST(identify_carries_the_observed_address_and_a_signed_record),
        NT_TEST(a_node_that_is_no_relay_has_a_signed_record_once_it_is_started),
        NT_TEST(the_number_of_the_signed_record_never_goes_back_over_a_restart),
        NT_TEST(nothing_is_published_when_its_keys_are_not_on_disk),
        NT_TEST(keys_that_are_not_saved_let_nobody_in),
        NT_TEST(nothing_is_published_that_leads_nowhere),
        NT_TEST(what_is_unpublished_is_not_published_at_the_next_chance),
        NT_TEST(what_leads_nowhere_yet_is_published_again_when_it_leads_somewhere),
        NT_TEST(a_canceled_publication_is_reported_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
