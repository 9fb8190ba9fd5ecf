/*
 * hostile_relay_test.c - a relay that drops, delays, repeats, garbles, sends back, cuts, lies and replays, between two
 * whole nodes: they reach each other through the other relays, nothing breaks or runs without end, and nobody else
 * gets packets for it.
 *
 *   the relay's core is the real one; what it writes is changed on its way out (tamper)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relay_v2/rules.h"
#include "node/internal.h"
#include "node/testkit_case.h"
#include "node/testkit_relayed.h"

#define RELAYS 5
#define EVIL 2
#define A 5
#define B 6
#define C 7 /* a third home, where a test needs one */
#define PROTO "/test/echo/1.0.0"
#define HELD_BACK 256
#define STRANGER UINT64_MAX /* a cookie that the honest part never has */

enum crime {
    HONEST,
    SWALLOW,   /* takes the bytes, and passes none on */
    STALL,     /* and gives no credit for them */
    GARBLE,    /* one bit of each piece is another */
    ZEROS,     /* nothing else is passed on */
    SEND_BACK, /* to whom they come from */
    TWICE,
    LATE, /* a second later */
    CUT,  /* resets the streams */
    END,  /* ends one of them in good order */
    N_WAYS,
};

/* What is said of a place. */
enum lie { TRUTH, ANOTHERS_VOUCHER, BROKEN_VOUCHER, NO_TERM, ENDLESS, TINY_LIMIT, ELSEWHERE };

struct piece {
    tstamp at;
    struct ref strm;
    size_t len;
    uint8_t bytes[4096];
};

static struct {
    const struct core_ops *honest;
    enum crime crime;
    enum lie lie;
    size_t after;  /* bytes of circuits that are passed on before */
    size_t passed; /* since it was told to be hostile */
    struct netaddr victim;
    uint8_t voucher[CIRCUIT_VOUCHER_MAX]; /* of the first who came */
    size_t voucher_len;
    struct piece late[HELD_BACK];
    size_t n_late;
    unsigned crimes, lies;
    unsigned strangers; /* it brings so many to B, who never asked; counts down */
    unsigned brought;
    tstamp next;
} evil;

/* ---- what the relay writes ---- */

static bool is_message(struct slice s, struct circuit_msg *m)
{
    struct rd r = rd_init(s);
    uint64_t len = rd_uvarint(&r);

    return rd_ok(&r) && len == r.left && len > 0 &&
           circuit_msg_read(m, CIRCUIT_HOP, rd_bytes(&r, r.left)) == QUDAG_OK;
}

static void lie(struct circuit_msg *m, struct acts *out, struct act *a)
{
    static uint8_t broken[CIRCUIT_VOUCHER_MAX];
    uint8_t bytes[CIRCUIT_MSG_MAX + 2];
    struct wr w = wr_init(bytes, sizeof(bytes));

    if (evil.lie == ANOTHERS_VOUCHER && evil.voucher_len == 0) {
        memcpy(evil.voucher, m->voucher.base, evil.voucher_len = m->voucher.len);
        return;
    }
    evil.lies++;
    switch (evil.lie) {
    case TRUTH:
        return;
    case ANOTHERS_VOUCHER:
        m->voucher = (struct slice){evil.voucher, evil.voucher_len};
        break;
    case BROKEN_VOUCHER:
        memcpy(broken, m->voucher.base, m->voucher.len);
        broken[m->voucher.len - 1] ^= 1;
        m->voucher.base = broken;
        break;
    case NO_TERM:
        m->expire = 0;
        m->voucher.len = 0;
        break;
    case ENDLESS:
        m->expire = UINT64_MAX;
        m->voucher.len = 0;
        break;
    case TINY_LIMIT:
        m->limit = (struct circuit_limit){.duration_s = 1, .data = 1};
        break;
    case ELSEWHERE:
        for (m->n_addrs = 0; m->n_addrs < CIRCUIT_ADDRS_MAX; m->n_addrs++) {
            struct netaddr at = evil.victim;
            at.port = (uint16_t)(at.port + m->n_addrs);
            multiaddr_quic(&m->addr[m->n_addrs], &at, &net.node[EVIL].peer);
        }
        break;
    }
    assert_int_equal(circuit_msg_write(&w, CIRCUIT_HOP, m), QUDAG_OK);
    a->data = acts_copy(out, bytes, w.len);
}

/* One piece of a circuit, on its way from |from|. */
static void harm(struct act *a, struct ref from, tstamp now, struct acts *out)
{
    uint8_t *p = out->bytes + (a->data.base - out->bytes);
    struct piece *late = &evil.late[evil.n_late % HELD_BACK];
    size_t len = a->data.len;

    evil.crimes++;
    switch (evil.crime) {
    case SWALLOW:
        a->type = ACT_CONSUME;
        a->strm = from;
        a->n = len;
        break;
    case STALL:
        a->type = ACT_UP; /* which nobody reads */
        break;
    case GARBLE:
        p[len / 2] ^= 4;
        break;
    case ZEROS:
        memset(p, 0, len);
        break;
    case SEND_BACK:
        a->strm = from;
        break;
    case TWICE:
        acts_write(out, a->strm, p, len);
        break;
    case LATE:
        assert_true(len <= sizeof(late->bytes) && evil.n_late < HELD_BACK);
        *late = (struct piece){.at = tstamp_after(now, NS_PER_S), .strm = a->strm, .len = len};
        memcpy(late->bytes, p, len);
        evil.n_late++;
        a->type = ACT_UP;
        break;
    case END:
        acts_fin(out, a->strm);
        break;
    case CUT:
    case HONEST:
    case N_WAYS:
        break;
    }
}

/* True: the streams are to be cut. */
static bool tamper(size_t first, const struct ev *ev, tstamp now, struct acts *out)
{
    bool cut = false;

    for (size_t i = first, n = out->n; i < n; i++) {
        struct act *a = &out->v[i];
        struct circuit_msg m;
        if (a->type != ACT_WRITE) {
            continue;
        }
        bool said = is_message(a->data, &m);
        if (said && m.type == CIRCUIT_STATUS && m.has_reservation) {
            lie(&m, out, a);
        }
        if (said || evil.crime == HONEST || ev->type != EV_DATA || ref_eq(a->strm, ev->strm)) {
            continue;
        }
        evil.passed += a->data.len;
        if (evil.passed > evil.after) {
            cut = cut || evil.crime == CUT;
            harm(a, ev->strm, now, out);
        }
    }
    return cut;
}

/* The stream to B is there: somebody whom the relay made up comes through it, and says nothing that makes sense. */
static void stranger(struct ref strm, struct acts *out)
{
    uint8_t pk[32] = {9, (uint8_t)evil.brought, (uint8_t)(evil.brought >> 8)};
    uint8_t bytes[256] = {0};
    struct circuit_msg m = {.type = CIRCUIT_CONNECT};
    struct wr w = wr_init(bytes, sizeof(bytes));

    evil.brought++;
    peer_id_from_ed25519(&m.peer, pk);
    assert_int_equal(circuit_msg_write(&w, CIRCUIT_STOP, &m), QUDAG_OK);
    acts_write(out, strm, bytes, evil.brought % 2 == 0 ? w.len : sizeof(bytes));
}

static void evil_event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    size_t first = out->n;
    struct ev at = *ev;

    if ((ev->type == EV_STREAM_OPEN || ev->type == EV_STREAM_FAIL) && !ev->inbound &&
        ev->cookie == STRANGER) {
        if (ev->type == EV_STREAM_OPEN) {
            stranger(ev->strm, out);
        }
        return;
    }
    at.keep = NULL; /* so that what is written lies in the list */
    evil.honest->event(node, &at, now, out);
    if (tamper(first, ev, now, out)) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
        evil.honest->event(
            node, &(struct ev){.type = EV_RESET, .strm = ev->strm, .err = QUDAG_ERESET}, now, out);
    }
}

static void evil_tick(void *node, tstamp now, struct acts *out)
{
    for (size_t i = 0; i < evil.n_late; i++) {
        struct piece *p = &evil.late[i];
        if (p->len > 0 && p->at <= now) {
            acts_write(out, p->strm, p->bytes, p->len);
            p->len = 0;
        }
    }
    for (unsigned i = 0; i < 8 && evil.strangers > 0; i++, evil.strangers--) {
        acts_open_again(out, &net.node[B].peer, STRANGER, 0);
    }
    evil.next = tstamp_after(now, 10 * NS_PER_MS);
    evil.honest->tick(node, now, out);
}

static tstamp evil_deadline(const void *node)
{
    tstamp at = evil.honest->deadline(node);

    for (size_t i = 0; i < evil.n_late; i++) {
        at = evil.late[i].len > 0 ? tstamp_min(at, evil.late[i].at) : at;
    }
    return evil.strangers > 0 ? tstamp_min(at, evil.next) : at;
}

static void turn_evil(void)
{
    static struct core_ops ops;
    struct node *n = net.node[EVIL].node;

    for (unsigned i = 0; i < n->n_cores; i++) {
        if (strcmp(n->core[i].name, "circuit_relay") == 0) {
            evil.honest = n->core[i].ops;
            ops = *evil.honest;
            ops.event = evil_event;
            ops.tick = evil_tick;
            ops.deadline = evil_deadline;
            n->core[i].ops = &ops;
        }
    }
    assert_non_null(evil.honest);
}

/* ---- the network ---- */

static void start(size_t ix, struct node_config *c)
{
    struct multiaddr ma;

    assert_int_equal(nt_make(&net, ix, c), QUDAG_OK);
    multiaddr_quic(&ma, &net.node[ix].addr, NULL);
    node_set_addrs(net.node[ix].node, &ma, 1);
    node_start(net.node[ix].node);
}

static void relay(size_t ix)
{
    struct node_config c = nt_config(&net, ix);

    nt_identity(&net, ix);
    net.node[ix].addr = (struct netaddr){4, {(uint8_t)(20 + ix), 1, 0, 1}, 4001, 0};
    c.lab = false;
    c.circuit_relay.serve = NODE_SERVES_YES;
    if (ix > 0) {
        nt_boot(&net, &c, 0);
    }
    start(ix, &c);
}

/* |direct|: each may tell the other where it is. */
static void home(size_t ix, bool direct)
{
    struct node_config c = nt_config(&net, ix);

    nt_identity(&net, ix);
    net.node[ix].addr = (struct netaddr){4, {10, (uint8_t)ix, 0, 7}, 4001, 0};
    c.pq = PQ_REQUIRE;
    c.lab = c.relay = c.dht_server = false;
    c.circuit_relay.serve = NODE_SERVES_NO;
    c.circuit_relay.finds = true;
    c.meet = direct ? NODE_MEET_NAMED : NODE_MEET_NO;
    net.node[ix].guarded = direct;
    if (ix != A) {
        nt_reserve(&net, &c, EVIL);
    }
    for (size_t i = 0; i < RELAYS; i++) {
        nt_boot(&net, &c, i);
    }
    start(ix, &c);
    if (ix == B) {
        net.node[B].echo = true;
        assert_int_equal(node_serve(net.node[B].node, PROTO), QUDAG_OK);
    }
}

static uint32_t held(size_t ix)
{
    struct autorelay_stats s;

    autorelay_stats_get(node_autorelay(net.node[ix].node), &s);
    return s.held;
}

static bool b_can_be_found(struct nt *nt)
{
    (void)nt;
    return held(B) >= AUTORELAY_PLACES && net.node[B].node->published.stored > 0 &&
           net.node[B].node->published.due != TSTAMP_NEVER &&
           net.node[B].node->published.due > net.now + 60 * NS_PER_S;
}

static bool c_has_a_place(struct nt *nt)
{
    return nt_holds_place(nt, C);
}

static bool a_is_ready(struct nt *nt)
{
    return nt->node[A].phase == NODE_READY;
}

static bool got_back_or_closed(struct nt *nt)
{
    return nt->node[A].got >= 5 || nt->node[A].closed > 0;
}

/* Two homes, five relays, one of which is B's by name, and hostile; A has it as the way to B before it has another. */
static void begin(enum crime crime, size_t after, enum lie lie_, bool direct)
{
    memset(&evil, 0, sizeof(evil));
    evil.crime = crime;
    evil.after = after;
    evil.lie = lie_;
    evil.victim = (struct netaddr){4, {66, 6, 6, 6}, 4001, 0};
    for (size_t i = 0; i < RELAYS; i++) {
        relay(i);
    }
    turn_evil();
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    if (lie_ == ANOTHERS_VOUCHER) {
        home(C, false);
        assert_true(nt_run(&net, 60 * NS_PER_S, c_has_a_place));
    }
    home(B, direct);
    assert_true(nt_run(&net, 120 * NS_PER_S, b_can_be_found));
    home(A, direct);
    assert_true(nt_run(&net, 60 * NS_PER_S, a_is_ready));
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    nt_know_through(&net, A, B, EVIL);
}

/* A asks, and asks again where it was told that nothing comes of it; how often it asked, 0: in vain. */
static unsigned call(unsigned times)
{
    for (unsigned i = 1; i <= times; i++) {
        struct ref s;
        size_t taken;
        net.node[A].closed = 0;
        net.node[A].got = 0;
        assert_int_equal(node_stream_open_peer(net.node[A].node, &net.node[B].peer, PROTO, &s),
                         QUDAG_OK);
        assert_int_equal(node_stream_write(net.node[A].node, s,
                                           (struct slice){(const uint8_t *)"hello", 5}, &taken),
                         QUDAG_OK);
        (void)nt_run(&net, 40 * NS_PER_S, got_back_or_closed);
        if (net.node[A].got >= 5) {
            return i;
        }
    }
    return 0;
}

/* ---- the tests ---- */

#define CALLS 3          /* that A makes at most until it is answered */
#define STEPS_A_MIN 3000 /* of nine nodes that rest; about 1600 were counted */

/* Nothing runs without end, and nobody else was sent to. */
static void rests(void)
{
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    uint64_t steps = net.steps;
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_true(net.steps - steps < STEPS_A_MIN);
    assert_int_equal(net.nowhere, 0);
    assert_int_equal(nt_teardown(NULL), 0);
}

/* The handshake is met at its beginning and near its end. */
static void bytes_pass_through_another_relay(void **state)
{
    static const size_t after[] = {0, 6000};
    (void)state;

    for (size_t i = 0; i < (N_WAYS - SWALLOW) * ARRAY_LEN(after); i++) {
        assert_int_equal(nt_setup(NULL), 0);
        begin((enum crime)(SWALLOW + i / ARRAY_LEN(after)), after[i % ARRAY_LEN(after)], TRUTH,
              false);
        assert_in_range(call(CALLS), 1, CALLS);
        assert_true(evil.crimes > 0);
        assert_true(nt_linked(&net, A, B, true));
        rests();
    }
}

/* A link stands, and carries; then its relay turns. */
static void a_link_whose_relay_turns_hostile_is_left(void **state)
{
    (void)state;

    for (int crime = SWALLOW; crime < N_WAYS; crime++) {
        assert_int_equal(nt_setup(NULL), 0);
        begin(HONEST, 0, TRUTH, false);
        assert_int_equal(call(1), 1);
        (void)nt_run(&net, 5 * NS_PER_S, NULL);
        evil.crime = (enum crime)crime;
        tstamp begun = net.now;
        assert_in_range(call(CALLS), 1, CALLS);
        assert_true(evil.crimes > 0);
        assert_true(net.now - begun < 15 * NS_PER_S);
        rests();
    }
}

/* It turns when B has proven itself to A, and their link is not up: what A wants next goes elsewhere, and soon. */
static void the_path_becomes_direct_all_the_same(void **state)
{
    (void)state;

    for (int crime = HONEST; crime < N_WAYS; crime++) {
        assert_int_equal(nt_setup(NULL), 0);
        begin((enum crime)crime, 20000, TRUTH, true);
        tstamp begun = net.now;
        assert_in_range(call(CALLS), 1, CALLS);
        assert_true(net.now - begun < 15 * NS_PER_S);
        (void)nt_run(&net, 60 * NS_PER_S,
                     NULL); /* a meeting that was cut is tried again after 30 s */
        assert_true(evil.crimes > 0 || crime == HONEST);
        assert_true(nt_linked(&net, A, B, false) && nt_linked(&net, B, A, false));
        rests();
    }
}

/* It is asked no more often than a pause, or the shortest term, allows; and B names no host that it has not reached. */
static void what_a_relay_says_of_a_place_is_not_believed(void **state)
{
    (void)state;

    for (int l = ANOTHERS_VOUCHER; l <= ELSEWHERE; l++) {
        assert_int_equal(nt_setup(NULL), 0);
        begin(HONEST, 0, (enum lie)l, false);
        const struct node *b = net.node[B].node;
        assert_true(evil.lies > 0);
        assert_int_equal(nt_holds_place(&net, B), l != ANOTHERS_VOUCHER && l != BROKEN_VOUCHER);
        assert_in_range(call(CALLS), 1, CALLS);
        unsigned lies = evil.lies;
        (void)nt_run(&net, 900 * NS_PER_S, NULL);
        assert_true(evil.lies - lies <= 900 / (RELAYED_TERM_MIN * 3 / 4));
        assert_int_equal(b->through.n_addrs, AUTORELAY_PLACES);
        for (size_t i = 0; i < b->through.n_addrs; i++) {
            struct netaddr at;
            assert_true(multiaddr_endpoint(&b->through.addr[i], &at));
            assert_false(netaddr_same_ip(&at, &evil.victim));
        }
        rests();
    }
}

static void strangers_that_a_relay_makes_up_take_no_place_of_others(void **state)
{
    struct relayed_stats st;
    (void)state;

    assert_int_equal(nt_setup(NULL), 0);
    begin(HONEST, 0, TRUTH, false);
    size_t used = net.node[B].mem.used;
    evil.strangers = 5000;
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    relayed_stats_get(net.node[B].node->through.user, &st);
    assert_true(evil.brought > 1000 && st.accepted > 1000);
    assert_in_range(st.streams, 1, RELAYED_STREAMS_RELAY);
    assert_true(net.node[B].mem.used < used + ((size_t)1 << 20));
    assert_in_range(call(CALLS), 1, CALLS);
    rests();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_through_another_relay),
        cmocka_unit_test(a_link_whose_relay_turns_hostile_is_left),
        cmocka_unit_test(the_path_becomes_direct_all_the_same),
        cmocka_unit_test(what_a_relay_says_of_a_place_is_not_believed),
        cmocka_unit_test(strangers_that_a_relay_makes_up_take_no_place_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
