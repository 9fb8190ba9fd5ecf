/*
 * direct_test.c - two nodes that know each other through a relay: a direct link takes over, the relayed one carries
 * again when that dies, and no byte is lost or out of order.  In virtual time, with 5 ms from node to node.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NT_NODES 3
#include "node/internal.h"
#include "node/testkit_relayed.h"

#define R 0
#define B 1
#define A 2
#define PROTO "/test/bytes/1.0.0"
#define STREAMS 512
#define SHORT 5000 /* bytes of a stream that is opened again and again; the first one never ends */
#define STEP (50 * NS_PER_MS)

struct flow {
    struct ref ref;
    size_t n; /* sent, received */
    bool open, closed, fin, relayed;
    qudag_err why;
};

static struct nt nt;
static struct flow out[STREAMS], in[STREAMS];
static size_t n_out, n_in;
static bool wrong, cut;
static enum node_meet meets[NT_NODES]; /* whom each tells where it is */
static unsigned cut_n;

static uint8_t byte_at(size_t k)
{
    return (uint8_t)((k * 31 / 7) & 0xff);
}

static struct flow *flow_of(struct flow *v, size_t n, struct ref s)
{
    for (size_t i = 0; i < n; i++) {
        if (ref_eq(v[i].ref, s)) {
            return &v[i];
        }
    }
    return NULL;
}

static bool is_relayed(size_t node, struct ref s)
{
    struct node_stream_info info;

    assert_int_equal(node_stream_info_get(nt.node[node].node, s, &info), QUDAG_OK);
    return (info.props & LINK_RELAYED) != 0;
}

static void on_in(void *ctx, struct ref s, const struct peer_id *from, const char *dark,
                  const char *proto)
{
    (void)ctx;
    (void)from;
    (void)dark;
    (void)proto;
    assert_true(n_in < STREAMS);
    in[n_in++] = (struct flow){.ref = s, .open = true, .relayed = is_relayed(B, s)};
}

static void on_data(void *ctx, struct ref s, struct slice data, bool fin)
{
    struct nt_node *t = ctx;
    struct flow *f = flow_of(in, n_in, s);

    if (t->ix != B || f == NULL) {
        return;
    }
    for (size_t i = 0; i < data.len; i++) {
        wrong = wrong || data.base[i] != byte_at(f->n + i);
    }
    f->n += data.len;
    f->fin = f->fin || fin;
    node_stream_consume(t->node, s, data.len);
    if (fin) {
        node_stream_fin(t->node, s);
    }
}

static void on_opened(void *ctx, struct ref s)
{
    struct flow *f = flow_of(out, n_out, s);
    (void)ctx;

    if (f != NULL) {
        f->open = true;
        f->relayed = is_relayed(A, s);
    }
}

static void on_closed(void *ctx, struct ref s, qudag_err why)
{
    struct nt_node *t = ctx;
    struct flow *f = t->ix == A ? flow_of(out, n_out, s) : flow_of(in, n_in, s);

    if (f != NULL) {
        f->closed = true;
        f->why = why;
    }
}

static void make(size_t ix, const char *nowhere)
{
    struct nt_node *t = &nt.node[ix];
    struct node_config c = nt_config(&nt, ix);
    struct node_hooks h = {.ctx = t,
                           .stream_in = on_in,
                           .stream_data = on_data,
                           .stream_opened = on_opened,
                           .stream_closed = on_closed,
                           .op_done = nt_op_done,
                           .phase = nt_phase,
                           .save = nt_save};
    struct multiaddr ma;

    nt_identity(&nt, ix);
    c.mem = &t->mem;
    c.identity = &t->id;
    c.rng = rng_of_stream(&t->stream);
    c.relay = c.dht_server = ix == R;
    c.circuit_relay.serve = ix == R;
    c.dcutr_only = true;
    c.meet = meets[ix];
    if (ix != R) {
        nt_boot(&nt, &c, R);
    }
    if (ix == B) {
        nt_reserve(&nt, &c, R);
    }
    assert_int_equal(node_new(&t->node, &c, &h, nt.now), QUDAG_OK);
    multiaddr_quic(&ma, &t->addr, NULL);
    node_set_addrs(t->node, &ma, 1);
    if (ix != R) { /* what they say of themselves: nobody is there */
        assert_int_equal(multiaddr_parse(&ma, nowhere), QUDAG_OK);
        node_set_announced(t->node, &ma, 1);
    }
    node_start(t->node);
}

/* What is between A and B is lost, where it is cut. */
static void lose(void)
{
    LIST_EACH_SAFE(it, tmp, &nt.wire)
    {
        struct nt_pkt *p = LIST_ENTRY(it, struct nt_pkt, node);
        if (!netaddr_eq(&p->from, &nt.node[R].addr) && !netaddr_eq(&p->to, &nt.node[R].addr)) {
            list_del(&p->node);
            free(p);
            cut_n++;
        }
    }
}

static bool each_step(struct nt *t)
{
    (void)t;
    if (cut) {
        lose();
    }
    return false;
}

static void send_some(struct flow *f, size_t most)
{
    uint8_t chunk[2000];
    size_t taken = 0, n = most - f->n < sizeof chunk ? most - f->n : sizeof chunk;

    for (size_t i = 0; i < n; i++) {
        chunk[i] = byte_at(f->n + i);
    }
    if (!f->open || f->closed || f->fin || n == 0) {
        return;
    }
    (void)!node_stream_write(nt.node[A].node, f->ref, (struct slice){chunk, n}, &taken);
    f->n += taken;
    if (f->n == most) {
        node_stream_fin(nt.node[A].node, f->ref);
        f->fin = true;
    }
}

static void open_one(void)
{
    assert_true(n_out < STREAMS);
    assert_int_equal(
        node_stream_open_peer(nt.node[A].node, &nt.node[B].peer, PROTO, &out[n_out].ref), QUDAG_OK);
    n_out++;
}

/* A step of the program at A: bytes on all streams that there are, and one stream more. */
static void step(void)
{
    open_one();
    (void)nt_run(&nt, STEP / 2, each_step);
    for (size_t i = 0; i < n_out; i++) {
        for (unsigned k = 0; k < 3; k++) {
            send_some(&out[i], i == 0 ? SIZE_MAX : SHORT);
        }
    }
    (void)nt_run(&nt, STEP / 2, each_step);
}

/* The last stream that came in whole came so over a link of that kind. */
static bool last_came(bool relayed)
{
    for (size_t i = n_in; i > 1; i--) {
        if (in[i - 1].fin) {
            return in[i - 1].relayed == relayed;
        }
    }
    return false;
}

/* Steps until the last stream came over a link of that kind: ms, or UINT64_MAX. */
static uint64_t until(bool relayed, uint64_t most)
{
    tstamp begun = nt.now;

    while (nt.now - begun < most) {
        step();
        if (last_came(relayed)) {
            return (nt.now - begun) / NS_PER_MS;
        }
    }
    return UINT64_MAX;
}

static bool holds_place(struct nt *t)
{
    return nt_holds_place(t, B);
}

static void begin(void)
{
    nt_init(&nt);
    n_out = n_in = cut_n = 0;
    memset(out, 0, sizeof out);
    memset(in, 0, sizeof in);
    wrong = cut = false;
    for (size_t i = 0; i < NT_NODES; i++) {
        make(i, "/ip4/127.0.0.9/udp/9/quic-v1");
    }
    assert_int_equal(node_serve(nt.node[B].node, PROTO), QUDAG_OK);
    (void)nt_run(&nt, 10 * NS_PER_S, NULL);
    assert_true(nt_run(&nt, 60 * NS_PER_S, holds_place));
    nt_know_through(&nt, A, B, R);
}

static void end(void)
{
    nt_fini(&nt);
    memset(meets, 0, sizeof meets);
}

/* All that was sent came, whole and in order; the streams that have an end have ended well. */
static void all_came(void)
{
    for (unsigned i = 0; i < 40; i++) {
        (void)nt_run(&nt, STEP, each_step);
    }
    assert_false(wrong);
    assert_int_equal(n_in, n_out);
    for (size_t i = 0; i < n_out; i++) {
        assert_true(out[i].open);
        assert_true(!out[i].closed || out[i].why == QUDAG_OK);
    }
    for (size_t i = 0; i < n_in; i++) {
        assert_true(in[i].n == SHORT || i == 0 || !in[i].fin);
    }
    assert_int_equal(in[0].n, out[0].n);
}

static void a_direct_link_takes_over_without_a_byte_lost_or_out_of_order(void **state)
{
    struct dcutr_look look;
    (void)state;

    begin();
    tstamp begun = nt.now;
    uint64_t first = until(true, 10 * NS_PER_S);
    uint64_t took = until(false, 10 * NS_PER_S);
    print_message("relayed after %llu ms, direct %llu ms later, %llu ms in all\n",
                  (unsigned long long)first, (unsigned long long)took,
                  (unsigned long long)((nt.now - begun) / NS_PER_MS));
    assert_true(took <= 3000);
    assert_true(nt_linked(&nt, A, B, true) && nt_linked(&nt, A, B, false) &&
                nt_linked(&nt, B, A, false));
    assert_true(node_dcutr_look(nt.node[B].node, &nt.node[A].peer, &look));
    assert_int_equal(look.state, DCUTR_DIRECT);
    assert_true(look.initiator);
    assert_int_equal(look.attempts, 1);
    for (unsigned i = 0; i < 40; i++) {
        step();
    }
    assert_true(is_relayed(A, out[0].ref)); /* it goes on where it began */
    assert_true(last_came(false));
    all_came();
    end();
}

static void the_relayed_link_carries_within_a_second_when_the_direct_one_dies(void **state)
{
    (void)state;
    begin();
    assert_true(until(true, 10 * NS_PER_S) != UINT64_MAX);
    assert_true(until(false, 10 * NS_PER_S) != UINT64_MAX);
    for (unsigned i = 0; i < 20; i++) {
        step();
    }
    cut = true;
    uint64_t took = until(true, 5 * NS_PER_S);
    assert_true(cut_n > 0);
    for (unsigned i = 0; i < 20; i++) {
        step();
        assert_true(last_came(true));
    }
    cut = false;
    uint64_t healed = until(false, 10 * NS_PER_S);
    print_message("relayed again after %llu ms, direct again %llu ms after it healed\n",
                  (unsigned long long)took, (unsigned long long)healed);
    assert_true(took <= 1000);
    assert_true(healed <= 5000);
    all_came();
    end();
}

/* A ping a second, as `qudag ping` sends them: the round trip of the last one, ms. */
static uint64_t pings(unsigned n)
{
    struct node_request r = {.kind = NODE_OP_PING, .peer = nt.node[B].peer};
    struct nt_node *t = &nt.node[A];

    for (unsigned i = 0; i < n; i++) {
        t->n_asks = 0;
        assert_int_equal(nt_ask(t, &r), 0);
        (void)nt_run(&nt, NS_PER_S, each_step);
        assert_int_equal(t->ask[0].ends, 1);
        assert_int_equal(t->ask[0].err, QUDAG_OK);
    }
    return t->ask[0].res.rtt / NS_PER_MS;
}

static void pings_go_over_the_link_that_is_the_best_at_the_time(void **state)
{
    (void)state;
    begin();
    open_one();
    assert_in_range(pings(1), 20, 25); /* through the relay, which the next ones leave */
    assert_in_range(pings(8), 10, 12);
    assert_true(nt_linked(&nt, A, B, true));
    cut = true;
    assert_in_range(pings(2), 20, 25);
    end();
}

/* A kept peer's link is held by a stream of the node: that moves, and the relayed link ends when it has stood by. */
static void the_relayed_link_ends_also_where_the_peer_is_kept(void **state)
{
    struct node_keep_wish w = {.has_pq = false};
    (void)state;

    begin();
    w.peer = nt.node[B].peer;
    assert_int_equal(node_keep_begin(nt.node[A].node, &w), QUDAG_OK);
    assert_true(until(true, 10 * NS_PER_S) != UINT64_MAX);
    assert_true(until(false, 10 * NS_PER_S) != UINT64_MAX);
    node_stream_fin(nt.node[A].node, out[0].ref);
    out[0].fin = true;
    for (unsigned i = 0; i < 60; i++) { /* in use, directly */
        (void)nt_run(&nt, NS_PER_S, each_step);
        if (i < 55) {
            assert_true(nt_linked(&nt, A, B, true));
        }
    }
    (void)nt_run(&nt, 60 * NS_PER_S, each_step);
    assert_false(nt_linked(&nt, A, B, true));
    assert_true(nt_linked(&nt, A, B, false));
    end();
}

/* A has no stream with B, and has named another. */
static bool forgets_names(struct nt *t)
{
    memset(&t->node[A].node->meets, 0, sizeof t->node[A].node->meets);
    t->node[A].node->meets.named[0] = t->node[R].peer; /* not by a call, which looks at all links */
    return false;
}

/* A asks B for what it does not serve: a relayed link, and no stream of a program. */
static void link_without_stream(bool (*each)(struct nt *))
{
    struct ref s;

    assert_int_equal(
        node_stream_open_peer(nt.node[A].node, &nt.node[B].peer, "/test/none/1.0.0", &s), QUDAG_OK);
    (void)nt_run(&nt, 20 * NS_PER_S, each);
    assert_true(nt_linked(&nt, B, A, true));
}

static void a_peer_without_a_stream_does_not_learn_where_we_are(void **state)
{
    struct dcutr_look look;
    struct ref s;
    (void)state;

    begin(); /* B speaks with R, which is nothing to A */
    assert_int_equal(node_stream_open_peer(nt.node[R].node, &nt.node[B].peer, PROTO, &s), QUDAG_OK);
    link_without_stream(NULL);
    assert_int_equal(n_in, 1);
    assert_false(node_dcutr_look(nt.node[B].node, &nt.node[A].peer, &look));
    assert_false(nt_linked(&nt, A, B, false));
    assert_int_equal(dcutr_stats(nt.node[A].node->direct.core)->asked, 0);
    end();
}

static void who_asks_and_was_not_named_is_refused(void **state)
{
    (void)state;
    meets[B] = NODE_MEET_ANYONE;
    begin();
    link_without_stream(forgets_names);
    assert_true(dcutr_stats(nt.node[A].node->direct.core)->refused > 0);
    assert_false(nt_linked(&nt, A, B, false));
    end();
}

static void who_wants_no_meetings_is_asked_for_none(void **state)
{
    struct dcutr_look look;
    (void)state;

    for (size_t i = A; i >= B; i--) {
        meets[i] = NODE_MEET_NO;
        begin();
        assert_true(until(true, 10 * NS_PER_S) != UINT64_MAX);
        assert_int_equal(until(false, 10 * NS_PER_S), UINT64_MAX);
        assert_false(node_dcutr_look(nt.node[B].node, &nt.node[A].peer, &look));
        assert_int_equal(dcutr_stats(nt.node[A].node->direct.core)->asked, 0);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_without_a_stream_does_not_learn_where_we_are),
        cmocka_unit_test(who_asks_and_was_not_named_is_refused),
        cmocka_unit_test(who_wants_no_meetings_is_asked_for_none),
        cmocka_unit_test(a_direct_link_takes_over_without_a_byte_lost_or_out_of_order),
        cmocka_unit_test(the_relayed_link_carries_within_a_second_when_the_direct_one_dies),
        cmocka_unit_test(pings_go_over_the_link_that_is_the_best_at_the_time),
        cmocka_unit_test(the_relayed_link_ends_also_where_the_peer_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
