/*
 * transports_test.c - two transports side by side, with addresses of their own, equal references and
 * links to the same peer; and one whose links are there on demand.  What is above the table knows neither.
 */
#include "swarm/internal.h"
#include "swarm/rekey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LINKS 8
#define EVENTS 64

struct made_link {
    struct peer_id peer;
    uint8_t props;
    bool closed, completed, full, leaving; /* takes no stream for now, never again */
    qudag_err reset_err;
    int64_t next_sid;
    uint64_t user[16];
    uint8_t sent[256];
    size_t sent_n;
    unsigned resets;
    char proto[32];
    struct multiaddr at; /* where it leads; len 0: nowhere */
};

/* One transport: dials addresses whose port's protocol is |scheme|. */
struct made {
    const char *scheme; /* as in the text of an address */
    struct made_link link[LINKS];
    uint32_t n;
    unsigned ix;
};

struct seen {
    struct ev ev;
    struct peer_id peer;
};

static struct {
    struct mem mem;
    struct rng_stream stream;
    struct swarm *s;
    struct made quick, steady, relay, circ;
    unsigned core, modest, cells; /* modest: its protocol may use limited links */
    unsigned direct;              /* its protocol uses no relayed ones */
    struct seen seen[EVENTS];
    size_t n_seen;
    tstamp now;
} w;

static bool m_handles(const void *owner, const struct multiaddr *addr)
{
    const struct made *m = owner;
    char text[MULTIADDR_TEXT_MAX];

    return multiaddr_text(text, sizeof text, addr) > 0 && strstr(text, m->scheme) != NULL;
}

static qudag_err m_dial(void *owner, const struct transport_target *d, tstamp now, struct ref *out)
{
    struct made *m = owner;

    (void)now;
    assert_true(m_handles(m, d->addr));
    assert_true(m->n < LINKS);
    m->link[m->n].peer = *d->peer;
    m->link[m->n].at = *d->addr;
    *out = (struct ref){m->n++, 1};
    return QUDAG_OK;
}

static void m_close(void *owner, struct ref link, qudag_err err)
{
    struct made *m = owner;

    (void)err;
    m->link[link.slot].closed = true;
}

static bool m_cancel(void *owner, struct ref link)
{
    struct made *m = owner;

    if (m->link[link.slot].completed) {
        return false;
    }
    m_close(owner, link, QUDAG_ECANCELED);
    return true;
}

static qudag_err m_info(const void *owner, struct ref link, struct link_info *out)
{
    const struct made *m = owner;

    memset(out, 0, sizeof *out);
    if (link.slot >= m->n || m->link[link.slot].closed) {
        return QUDAG_ESTALE;
    }
    out->peer = m->link[link.slot].peer;
    out->props = m->link[link.slot].props;
    out->remote = m->link[link.slot].at;
    out->net = 70 + link.slot;
    out->via = 80 + link.slot;
    return QUDAG_OK;
}

static qudag_err m_open(void *owner, struct ref link, uint64_t user, const char *proto,
                        int64_t *sid)
{
    struct made_link *l = &((struct made *)owner)->link[link.slot];

    if (l->full || l->leaving) {
        return l->leaving ? QUDAG_ESTALE : QUDAG_EAGAIN;
    }
    *sid = l->next_sid++;
    l->user[*sid] = user;
    strncpy(l->proto, proto, sizeof l->proto - 1);
    return QUDAG_OK;
}

static void m_set_user(void *owner, struct ref link, int64_t sid, uint64_t user)
{
    ((struct made *)owner)->link[link.slot].user[sid] = user;
}

static qudag_err m_write(void *owner, struct ref link, int64_t sid, struct slice data)
{
    struct made_link *l = &((struct made *)owner)->link[link.slot];

    (void)sid;
    assert_true(l->sent_n + data.len <= sizeof l->sent);
    memcpy(l->sent + l->sent_n, data.base, data.len);
    l->sent_n += data.len;
    return QUDAG_OK;
}

static void m_consume(void *owner, struct ref link, int64_t sid, size_t n)
{
    (void)owner;
    (void)link;
    (void)sid;
    (void)n;
}

static void m_fin(void *owner, struct ref link, int64_t sid)
{
    m_consume(owner, link, sid, 0);
}

static void m_reset(void *owner, struct ref link, int64_t sid, qudag_err err)
{
    struct made_link *l = &((struct made *)owner)->link[link.slot];

    (void)sid;
    l->resets++;
    l->reset_err = err;
}

static void m_set_unit(void *owner, struct ref link, int64_t sid, uint16_t unit)
{
    (void)unit;
    m_consume(owner, link, sid, 0);
}

static const struct link_ops shaped_ops = {m_open,  m_set_user, m_write,    m_consume, m_fin,
                                           m_reset, m_close,    m_set_unit, NULL,      NULL};
static const struct link_ops m_ops = {m_open,  m_set_user, m_write, m_consume, m_fin,
                                      m_reset, m_close,    NULL,    NULL,      NULL};
static const struct transport quick_transport = {.name = "quick",
                                                 .cost = TRANSPORT_DATAGRAM,
                                                 .ops = &shaped_ops,
                                                 .handles = m_handles,
                                                 .dial = m_dial,
                                                 .cancel = m_cancel,
                                                 .info = m_info};
static const struct transport relay_transport = {.name = "relay",
                                                 .cost = TRANSPORT_RELAYED,
                                                 .ops = &m_ops,
                                                 .handles = m_handles,
                                                 .dial = m_dial,
                                                 .cancel = m_cancel,
                                                 .info = m_info};
static const struct transport steady_transport = {.name = "steady",
                                                  .cost = TRANSPORT_STREAM,
                                                  .ops = &m_ops,
                                                  .handles = m_handles,
                                                  .dial = m_dial,
                                                  .cancel = m_cancel,
                                                  .info = m_info};
static const struct transport circ_transport = {
    .name = "circ", .cost = TRANSPORT_RELAYED, .on_demand = true, .ops = &m_ops, .info = m_info};

static const struct core_ops plain_ops = {.inbound_max = 4};
static const struct core_ops modest_ops = {
    .inbound_max = 4, .limited_ok = true, .asks_again = true};
static const struct core_ops direct_ops = {.inbound_max = 4, .direct_only = true};

static const struct core_ops cells_ops = {.inbound_max = 4, .unit = 100};

static void sink(void *ctx, unsigned core, const struct ev *ev)
{
    (void)ctx;
    if (core != w.core && ev->type != EV_STREAM_OPEN && ev->type != EV_STREAM_FAIL) {
        return;
    }
    assert_true(w.n_seen < EVENTS);
    w.seen[w.n_seen].ev = *ev;
    w.seen[w.n_seen].peer = ev->peer != NULL ? *ev->peer : (struct peer_id){0};
    w.n_seen++;
}

static struct peer_id peer_no(uint8_t n)
{
    struct peer_id p;
    uint8_t pk[32] = {n, 1};

    peer_id_from_ed25519(&p, pk);
    return p;
}

static int setup(void **state)
{
    static const uint8_t seed[32] = {1};
    unsigned again;

    (void)state;
    memset(&w, 0, sizeof w);
    mem_init(&w.mem, NULL, 0);
    rng_stream_init(&w.stream, seed);
    w.now = 1000 * NS_PER_S;
    w.quick.scheme = "/udp/";
    w.steady.scheme = "/tcp/";
    w.relay.scheme = "/p2p-circuit";
    struct swarm_config c = {
        .mem = &w.mem, .rng = rng_of_stream(&w.stream), .self = peer_no(0), .sink = sink};
    bool ok = swarm_new(&w.s, &c) == QUDAG_OK &&
              swarm_transport_add(w.s, &quick_transport, &w.quick, &w.quick.ix) == QUDAG_OK &&
              swarm_transport_add(w.s, &steady_transport, &w.steady, &w.steady.ix) == QUDAG_OK &&
              swarm_transport_add(w.s, &relay_transport, &w.relay, &w.relay.ix) == QUDAG_OK &&
              swarm_transport_add(w.s, &circ_transport, &w.circ, &w.circ.ix) == QUDAG_OK &&
              swarm_transport_add(w.s, &circ_transport, &w.quick, &again) == QUDAG_EEXISTS &&
              swarm_core_add(w.s, &plain_ops, &w.core) == QUDAG_OK &&
              swarm_core_add(w.s, &modest_ops, &w.modest) == QUDAG_OK &&
              swarm_core_add(w.s, &direct_ops, &w.direct) == QUDAG_OK &&
              swarm_proto_add(w.s, "/plain/1", w.core, true) == QUDAG_OK &&
              swarm_proto_add(w.s, "/modest/1", w.modest, true) == QUDAG_OK &&
              swarm_core_add(w.s, &cells_ops, &w.cells) == QUDAG_OK &&
              swarm_proto_add(w.s, "/cells/1", w.cells, true) == QUDAG_OK &&
              swarm_proto_add(w.s, "/direct/1", w.direct, true) == QUDAG_OK;
    return ok ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    swarm_free(w.s);
    return w.mem.used == 0 ? 0 : -1;
}

static void settle(void)
{
    while (swarm_step(w.s, w.now)) {
    }
}

static void event(struct made *m, enum link_ev_type type, uint32_t link, int64_t sid)
{
    struct link_ev ev = {.type = type, .err = QUDAG_ERESET, .link = {link, 1}, .sid = sid};

    ev.user = type == LINK_RESET || type == LINK_FIN ? m->link[link].user[sid] : 0;
    swarm_link_event(w.s, m->ix, &ev, w.now);
    if (type == LINK_QUIET) {
        swarm_tick(w.s, w.now);
    }
    settle();
}

static void up(struct made *m, uint32_t link, uint8_t props)
{
    m->link[link].props = props;
    event(m, LINK_UP, link, 0);
}

static uint32_t inbound(struct made *m, uint8_t peer, uint8_t props)
{
    uint32_t ix = m->n++;

    m->link[ix].peer = peer_no(peer);
    up(m, ix, props | LINK_INBOUND);
    return ix;
}

static void know(uint8_t peer, const char *text)
{
    struct peer_id p = peer_no(peer);
    struct multiaddr ma;

    assert_int_equal(multiaddr_parse(&ma, text), QUDAG_OK);
    swarm_addr_add(w.s, &p, &ma);
}

static void open_by(unsigned core, uint8_t peer, uint8_t need)
{
    struct act a = {.type = ACT_OPEN, .need = need, .peer = peer_no(peer)};

    w.n_seen = 0;
    swarm_act(w.s, core, &a, NULL, w.now);
    settle();
}

static const struct ev *last(enum ev_type type)
{
    for (size_t i = w.n_seen; i > 0; i--) {
        if (w.seen[i - 1].ev.type == type) {
            return &w.seen[i - 1].ev;
        }
    }
    fail_msg("no event %d", (int)type);
    return &w.seen[0].ev; /* not reached */
}

static void pass(uint64_t ns)
{
    w.now += ns;
    swarm_tick(w.s, w.now);
    settle();
}

static void each_address_goes_to_its_transport_the_cheapest_first(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.2/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.3/tcp/1"); /* the newest, but not the cheapest */
    know(1, "/ip4/9.0.0.4/tcp/1");
    know(1, "/dns4/nowhere.example"); /* nobody's */
    struct peer_id id = peer_no(1);
    assert_int_equal(swarm_peer_get(w.s, &id)->n_addrs, 4);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.n, 1);
    event(&w.quick, LINK_DOWN, 0, 0); /* the next is of the other kind */
    assert_int_equal(w.quick.n, 1);
    assert_int_equal(w.steady.n, 1);
    pass(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.quick.n, 2);
    pass(SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.steady.n, 2);
    up(&w.steady, 1, LINK_PQ_KEX);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_PQ_KEX);
    assert_int_equal(w.steady.link[1].next_sid, 1);
    assert_true(w.steady.link[0].closed && w.quick.link[1].closed);
}

/* A network that drops UDP: the stream begins over TCP, long before QUIC gives up. */
static void a_silent_transport_costs_no_more_than_its_delays(void **state)
{
    (void)state;
    tstamp began = w.now;
    for (int i = 1; i <= 3; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "/ip4/9.0.0.%d/udp/1/quic-v1", i);
        know(1, text);
        (void)snprintf(text, sizeof text, "/ip6/2001:db8::%d/udp/1/quic-v1", i);
        know(1, text);
    }
    know(1, "/ip4/9.0.0.4/tcp/1");
    open_by(w.core, 1, 0);
    while (w.steady.n == 0) {
        pass(10 * NS_PER_MS);
    }
    assert_int_equal(w.quick.n, 2); /* one of each IP version */
    up(&w.steady, 0, LINK_PQ_KEX);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_PQ_KEX);
    assert_true(w.now - began <= 2 * SWARM_ATTEMPT_DELAY);
    assert_true(w.quick.link[0].closed && w.quick.link[1].closed);
    pass(4 * SWARM_ATTEMPT_DELAY);
    assert_int_equal(w.quick.n, 2);
}

static void a_relayed_link_does_not_end_direct_dials(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.4/p2p-circuit");
    open_by(w.core, 1, 0);
    pass(SWARM_ATTEMPT_DELAY);
    up(&w.relay, 0, LINK_RELAYED);
    assert_int_equal(w.relay.link[0].next_sid, 1);
    assert_false(w.quick.link[0].closed);
    up(&w.quick, 0, 0);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 1);
}

static void a_dial_the_peer_may_count_as_a_link_is_not_cancelled(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.2/udp/1/quic-v1");
    know(1, "/ip4/9.0.0.3/udp/1/quic-v1");
    open_by(w.core, 1, 0);
    pass(SWARM_ATTEMPT_DELAY);
    pass(SWARM_ATTEMPT_DELAY);
    w.quick.link[1].completed = true;
    up(&w.quick, 0, 0);
    assert_false(w.quick.link[1].closed);
    assert_true(w.quick.link[2].closed);
    up(&w.quick, 1, 0);
    assert_false(w.quick.link[0].closed || w.quick.link[1].closed);
}

static void equal_references_of_two_transports_are_two_links(void **state)
{
    (void)state;
    uint32_t q = inbound(&w.quick, 1, 0), t = inbound(&w.steady, 2, 0);
    assert_int_equal(q, t);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[q].next_sid, 1);
    open_by(w.core, 2, 0);
    assert_int_equal(w.steady.link[t].next_sid, 1);
    w.n_seen = 0;
    event(&w.steady, LINK_DOWN, t, 0);
    struct peer_id one = peer_no(1), two = peer_no(2);
    uint8_t props;
    assert_true(swarm_connected(w.s, &one, &props));
    assert_false(swarm_connected(w.s, &two, &props));
    assert_true(peer_id_eq(&w.seen[w.n_seen - 1].peer, &two));
    open_by(w.core, 1, 0); /* and the other link works on */
    assert_int_equal(w.quick.link[q].next_sid, 2);
}

/* Direct before relayed, post-quantum before classical, and never limited unless the protocol allows it. */
static void of_links_to_one_peer_streams_take_the_best(void **state)
{
    uint8_t relayed = LINK_RELAYED | LINK_LIMITED;
    (void)state;
    inbound(&w.steady, 1, relayed);
    open_by(w.core, 1, 0); /* no dial to be had, and not over that one */
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
    open_by(w.modest, 1, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->props, relayed | LINK_INBOUND);
    inbound(&w.quick, 1, 0);
    inbound(&w.steady, 1, LINK_RELAYED); /* newer, but worse */
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 1);
    inbound(&w.steady, 1, LINK_PQ_KEX);
    open_by(w.modest, 1, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_PQ_KEX | LINK_INBOUND);
    event(&w.steady, LINK_DOWN, 2, 0);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 2);
    open_by(w.core, 1, LINK_PQ_AUTH); /* none has it, and there is no address */
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
}

static void a_peer_may_not_use_a_limited_link_for_what_does_not_allow_it(void **state)
{
    static const uint8_t plain[] = "\x13/multistream/1.0.0\n\x09/plain/1\n";
    static const uint8_t modest[] = "\x13/multistream/1.0.0\n\x0a/modest/1\n";
    (void)state;
    uint32_t l = inbound(&w.steady, 1, LINK_RELAYED | LINK_LIMITED);
    for (int64_t sid = 0; sid < 2; sid++) {
        event(&w.steady, LINK_STREAM, l, sid);
        struct link_ev ev = {.type = LINK_DATA, .link = {l, 1}, .sid = sid};
        ev.user = w.steady.link[l].user[sid];
        ev.data = sid == 0 ? (struct slice){plain, sizeof plain - 1}
                           : (struct slice){modest, sizeof modest - 1};
        w.n_seen = 0;
        swarm_link_event(w.s, w.steady.ix, &ev, w.now);
        settle();
        assert_int_equal(w.n_seen, sid);
        assert_int_equal(w.steady.link[l].resets, 1);
    }
    assert_int_equal(w.steady.link[l].reset_err, QUDAG_EPOLICY);
}

/* Neither side's: another link is dialled for them, and a peer that opens one over this one is refused. */
static void cells_do_not_go_over_a_byte_stream(void **state)
{
    static const uint8_t cells[] = "\x13/multistream/1.0.0\n\x09/cells/1\n";
    struct peer_id id = peer_no(1);
    (void)state;

    uint32_t l = inbound(&w.steady, 1, LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG);
    assert_false(swarm_carries_cells(w.s, &id));
    open_by(w.cells, 1, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE); /* no other address */
    know(1, "/ip4/9.0.0.1/udp/1/quic-v1");
    open_by(w.cells, 1, 0);
    assert_int_equal(w.quick.n, 1);
    up(&w.quick, 0, LINK_PQ_KEX | LINK_PQ_AUTH);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_PQ_KEX | LINK_PQ_AUTH);
    assert_int_equal(w.quick.link[0].next_sid, 1);
    assert_true(swarm_carries_cells(w.s, &id));
    event(&w.steady, LINK_STREAM, l, 0);
    struct link_ev ev = {.type = LINK_DATA,
                         .link = {l, 1},
                         .user = w.steady.link[l].user[0],
                         .data = {cells, sizeof cells - 1}};
    w.n_seen = 0;
    swarm_link_event(w.s, w.steady.ix, &ev, w.now);
    settle();
    assert_int_equal(w.n_seen, 0);
    assert_int_equal(w.steady.link[l].reset_err, QUDAG_EPOLICY);
}

/* |msg| comes on a new stream |sid| of the steady link |l|; whether a core heard of it. */
static bool heard(uint32_t l, int64_t sid, const char *msg)
{
    event(&w.steady, LINK_STREAM, l, sid);
    struct link_ev ev = {.type = LINK_DATA, .link = {l, 1}, .sid = sid};
    ev.user = w.steady.link[l].user[sid];
    ev.data = (struct slice){(const uint8_t *)msg, strlen(msg)};
    w.n_seen = 0;
    swarm_link_event(w.s, w.steady.ix, &ev, w.now);
    settle();
    return w.n_seen > 0;
}

static void what_is_direct_only_runs_over_no_relayed_link_and_dials_no_relay(void **state)
{
    static const char direct[] = "\x13/multistream/1.0.0\n\x0a/direct/1\n";
    static const char plain[] = "\x13/multistream/1.0.0\n\x09/plain/1\n";
    (void)state;
    uint32_t l = inbound(&w.steady, 1, LINK_RELAYED);
    open_by(w.direct, 1, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
    assert_false(heard(l, 0, direct));
    assert_int_equal(w.steady.link[l].reset_err, QUDAG_EPOLICY);
    assert_true(heard(l, 1, plain));
    know(2, "/ip4/9.0.0.4/p2p-circuit");
    open_by(w.direct, 2, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
    assert_int_equal(w.relay.n, 0);
    open_by(w.core, 2, 0); /* another one does dial it */
    assert_int_equal(w.relay.n, 1);
    open_by(w.direct, 2, 0); /* and who waits for that gets nothing of it */
    up(&w.relay, 0, LINK_RELAYED);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EPOLICY);
    inbound(&w.quick, 1, 0);
    open_by(w.direct, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 1);
}

/* What is written behind a proposal is no answer to a peer that has said "na", and it resets the stream. */
static void a_reset_while_a_protocol_is_asked_for_says_that_nobody_serves_it(void **state)
{
    static const char yes[] = "\x13/multistream/1.0.0\n\x09/plain/1\n";
    (void)state;
    uint32_t l = inbound(&w.steady, 1, 0);
    for (int answered = 0; answered < 2; answered++) {
        open_by(w.core, 1, 0);
        struct link_ev ev = {.type = LINK_DATA, .link = {l, 1}, .sid = answered};
        ev.user = w.steady.link[l].user[answered];
        ev.data = (struct slice){(const uint8_t *)yes, strlen(yes)};
        if (answered == 1) {
            swarm_link_event(w.s, w.steady.ix, &ev, w.now);
        }
        ev.type = LINK_RESET;
        ev.err = QUDAG_EPROTO;
        swarm_link_event(w.s, w.steady.ix, &ev, w.now);
        settle();
        assert_int_equal(last(EV_RESET)->err, answered == 1 ? QUDAG_EPROTO : QUDAG_EUNSUPPORTED);
    }
}

static void protocols_that_are_allowed_to_use_limited_links(void **state)
{
    static const char plain[] = "\x13/multistream/1.0.0\n\x09/plain/1\n";
    char name[] = "/allowed/0";
    (void)state;
    uint32_t l = inbound(&w.steady, 1, LINK_RELAYED | LINK_LIMITED);
    assert_false(heard(l, 0, plain));
    assert_int_equal(swarm_proto_allow_limited(w.s, "/plain/1"), QUDAG_OK);
    assert_int_equal(swarm_proto_allow_limited(w.s, "/plain/1"), QUDAG_OK);
    assert_true(heard(l, 1, plain));
    open_by(w.core, 1, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_RELAYED | LINK_LIMITED | LINK_INBOUND);
    assert_int_equal(swarm_proto_allow_limited(w.s, "plain"), QUDAG_EINVAL);
    for (size_t i = 1; i < SWARM_LIMITED_MAX; i++) {
        name[sizeof name - 2] = (char)('0' + i);
        assert_int_equal(swarm_proto_allow_limited(w.s, name), QUDAG_OK);
    }
    assert_int_equal(swarm_proto_allow_limited(w.s, "/one/more"), QUDAG_ELIMIT);
}

/* A relayed link stands; a direct one to the same peer is dialled all the same, a second relayed one not. */
static void a_link_of_another_kind_is_dialled_beside_one_that_stands(void **state)
{
    struct multiaddr direct, same;
    (void)state;
    struct peer_id id = peer_no(1);
    struct netaddr at = {.family = 4, .ip = {9, 0, 0, 1}, .port = 7};
    multiaddr_quic(&direct, &at, &id);
    char text[MULTIADDR_TEXT_MAX + 16];
    size_t n = multiaddr_text(text, MULTIADDR_TEXT_MAX, &direct);
    assert_true(n > 0);
    char tcp[MULTIADDR_TEXT_MAX + 16] = "/ip4/9.0.0.1/tcp/7";
    memcpy(tcp + strlen(tcp), strstr(text, "/p2p/"), strlen(strstr(text, "/p2p/")) + 1);
    assert_int_equal(multiaddr_parse(&same, tcp), QUDAG_OK);
    inbound(&w.steady, 1, LINK_RELAYED);
    w.n_seen = 0;
    assert_int_equal(swarm_connect(w.s, w.core, 1, &same, NULL, w.now), QUDAG_OK);
    settle();
    assert_int_equal(w.steady.n, 1);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_OK); /* linked that way already */
    w.n_seen = 0;
    assert_int_equal(swarm_connect(w.s, w.core, 2, &direct, NULL, w.now), QUDAG_OK);
    settle();
    assert_int_equal(w.quick.n, 1);
    assert_int_equal(w.n_seen, 0);
    up(&w.quick, 0, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->cookie, 2);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_OK);
}

/* Once a direct link stands, the relayed one goes when it is idle; not the other way round. */
static void a_relayed_link_gives_way_to_a_direct_one(void **state)
{
    (void)state;
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED);
    open_by(w.core, 1, 0);
    uint32_t d = inbound(&w.quick, 1, 0);
    w.now += 31 * NS_PER_S;
    swarm_tick(w.s, w.now);
    assert_false(w.steady.link[r].closed); /* a stream is on it */
    event(&w.steady, LINK_RESET, r, 0);
    w.now += 31 * NS_PER_S;
    swarm_tick(w.s, w.now);
    settle();
    assert_true(w.steady.link[r].closed);
    assert_false(w.quick.link[d].closed);
    r = inbound(&w.steady, 1,
                LINK_RELAYED | LINK_PQ_KEX); /* proves more: the direct one cannot replace it */
    w.now += 31 * NS_PER_S;
    swarm_tick(w.s, w.now);
    settle();
    assert_false(w.steady.link[r].closed || w.quick.link[d].closed);
}

/* A stream of |core|, and the link that it went to. */
static bool goes_to(const struct made *m, uint32_t link)
{
    int64_t before = m->link[link].next_sid;

    open_by(w.core, 1, 0);
    return m->link[link].next_sid == before + 1;
}

static void a_direct_link_takes_over_and_what_runs_on_the_relayed_one_goes_on(void **state)
{
    (void)state;
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED | LINK_NAMED);
    assert_true(goes_to(&w.steady, r));
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    assert_int_equal(w.steady.link[r].resets, 0);
    event(&w.steady, LINK_RESET, r, 0);
    for (unsigned i = 0; i < 5; i++) { /* it stands by for a minute */
        pass(11 * NS_PER_S);
        assert_false(w.steady.link[r].closed);
    }
    pass(11 * NS_PER_S);
    assert_true(w.steady.link[r].closed);
    assert_false(w.quick.link[d].closed);
}

static void a_link_whose_path_is_quiet_is_not_used_where_another_is_heard(void **state)
{
    (void)state;
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED | LINK_NAMED);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    assert_true(goes_to(&w.quick, d));
    event(&w.quick, LINK_QUIET, d, 0);
    assert_true(goes_to(&w.steady, r));
    assert_int_equal(w.quick.n + w.relay.n, 1); /* nobody is dialled */
    event(&w.quick, LINK_HEARD, d, 0);
    assert_true(goes_to(&w.steady, r));
    w.now += 250 * NS_PER_MS;
    assert_true(goes_to(&w.quick, d));
    event(&w.quick, LINK_QUIET, d, 0); /* again, soon: it is trusted later */
    event(&w.quick, LINK_HEARD, d, 0);
    w.now += 250 * NS_PER_MS;
    assert_true(goes_to(&w.steady, r));
    w.now += 250 * NS_PER_MS;
    assert_true(goes_to(&w.quick, d));
    assert_int_equal(w.quick.link[d].resets, 0);
}

static const char through[] = "/ip4/9.0.0.2/p2p-circuit";

static void where_no_other_is_there_the_peer_is_dialled_directly_and_through_a_relay(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    know(1, through);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    event(&w.quick, LINK_QUIET, d, 0); /* nobody needs it */
    assert_int_equal(w.relay.n, 0);
    event(&w.quick, LINK_HEARD, d, 0);
    assert_true(goes_to(&w.quick, d));
    event(&w.quick, LINK_QUIET, d, 0);
    assert_int_equal(w.relay.n, 1);
    assert_int_equal(w.quick.n, 2);
    up(&w.relay, 0, LINK_RELAYED);
    assert_true(goes_to(&w.relay, 0));
    assert_false(w.quick.link[1].closed); /* the direct dial goes on */
    up(&w.quick, 1, 0);
    assert_true(goes_to(&w.quick, 1));
}

static void who_asks_again_learns_at_once_that_its_link_is_quiet(void **state)
{
    (void)state;
    know(1, through);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    open_by(w.core, 1, 0);
    open_by(w.modest, 1, 0);
    event(&w.quick, LINK_QUIET, d, 0);
    assert_int_equal(w.quick.link[d].resets, 0); /* there is no other link yet */
    up(&w.relay, 0, LINK_RELAYED);
    swarm_tick(w.s, w.now);
    settle();
    assert_int_equal(w.quick.link[d].resets, 1);
    open_by(w.modest, 1, 0);
    assert_int_equal(w.relay.link[0].next_sid, 1);
}

static void streams_of_cells_need_no_relayed_link(void **state)
{
    (void)state;
    know(1, through);
    uint32_t d = inbound(&w.quick, 1, LINK_NAMED);
    open_by(w.direct, 1, 0);
    event(&w.quick, LINK_QUIET, d, 0);
    assert_int_equal(w.relay.n, 0);
}

static void a_relayed_link_in_use_is_to_become_a_direct_one_again(void **state)
{
    (void)state;
    know(1, "/ip4/9.0.0.1/udp/7/quic-v1");
    uint32_t r = inbound(&w.steady, 1, LINK_RELAYED | LINK_NAMED);
    pass(11 * NS_PER_S);
    assert_int_equal(w.quick.n, 0); /* not in use */
    assert_true(goes_to(&w.steady, r));
    pass(11 * NS_PER_S);
    assert_int_equal(w.quick.n, 1);
    event(&w.quick, LINK_DOWN, 0, 0);
    pass(4 * NS_PER_S);
    assert_int_equal(w.quick.n, 2);
    up(&w.quick, 1, 0);
    pass(11 * NS_PER_S);
    assert_int_equal(w.quick.n, 2);
}

static void links_on_demand_need_no_announcement_and_no_negotiation(void **state)
{
    (void)state;
    w.circ.n = 2;
    w.circ.link[0].props = w.circ.link[1].props = LINK_ANON | LINK_NAMED | LINK_PQ_KEX;
    struct act a = {.type = ACT_OPEN, .cookie = 3, .obj = {0, 1}};
    swarm_act(w.s, w.core, &a, "/else/1", w.now);
    settle();
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_ANON | LINK_NAMED | LINK_PQ_KEX);
    assert_string_equal(w.circ.link[0].proto, "/else/1");
    assert_int_equal(w.circ.link[0].sent_n, 0); /* no proposal */
    struct link_ev in = {
        .type = LINK_STREAM, .link = {1, 1}, .data = {(const uint8_t *)"/plain/1", 8}};
    w.n_seen = 0;
    swarm_link_event(w.s, w.circ.ix, &in, w.now);
    settle();
    assert_true(last(EV_STREAM_OPEN)->inbound);
    assert_int_equal(w.seen[0].peer.len, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->net, 71); /* whom it comes through, without a name */
    assert_int_equal(last(EV_STREAM_OPEN)->via, 81);
    assert_int_equal(last(EV_STREAM_OPEN)->link, ref_to_u64(in.link));
    struct swarm_stats st;
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.links, 0); /* they are their builder's */
    swarm_rekey(w.s, w.now);
    assert_int_equal(swarm_links_old_key(w.s), 0); /* they prove nothing of us */
    assert_int_equal(st.streams, 2);
    w.n_seen = 0;
    event(&w.circ, LINK_DOWN, 0, 0);
    assert_int_equal(last(EV_RESET)->err, QUDAG_ERESET);
    w.circ.link[0].closed = true;
    swarm_act(w.s, w.core, &a, "/else/1", w.now); /* gone for good */
    settle();
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_ESTALE);
}

/* Who is at the other end of a link is for the transport's kind to say, not for the one link. */
static void links_on_demand_are_anonymous_and_others_are_not(void **state)
{
    (void)state;
    w.circ.n = 1;
    w.circ.link[0].props = LINK_NAMED;
    struct link_ev in = {
        .type = LINK_STREAM, .link = {0, 1}, .data = {(const uint8_t *)"/plain/1", 8}};
    swarm_link_event(w.s, w.circ.ix, &in, w.now);
    settle();
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_NAMED | LINK_ANON);
    inbound(&w.quick, 1, LINK_ANON);
    open_by(w.core, 1, 0);
    assert_int_equal(last(EV_STREAM_OPEN)->props, LINK_INBOUND);
}

/* A link that came over |m| from |from|, and our key is another: where its peer is dialled, "": nowhere. */
static const char *dialled_anew(struct made *m, const char *from)
{
    static char text[MULTIADDR_TEXT_MAX];
    uint32_t quick = w.quick.n, steady = w.steady.n;

    assert_int_equal(multiaddr_parse(&m->link[m->n].at, from), QUDAG_OK);
    inbound(m, 1, 0);
    quick += m == &w.quick;
    steady += m == &w.steady;
    swarm_rekey(w.s, w.now);
    pass(NS_PER_S);
    text[0] = '\0';
    if (w.quick.n > quick) {
        assert_true(multiaddr_text(text, sizeof text, &w.quick.link[quick].at) > 0);
    } else if (w.steady.n > steady) {
        assert_true(multiaddr_text(text, sizeof text, &w.steady.link[steady].at) > 0);
    }
    return text;
}

/* Nobody listens at the port from which a connection came; datagrams come from where they are listened for. */
static void who_came_over_a_byte_stream_is_dialled_where_it_listens(void **state)
{
    static const struct {
        bool steady;
        const char *from, *known[3], *dialled;
    } row[] = {
        {true, "/ip4/9.0.0.1/tcp/50000", {NULL}, ""},
        {true, "/ip4/9.0.0.1/tcp/50000", {"/ip4/9.0.0.1/tcp/1"}, "/ip4/9.0.0.1/tcp/1"},
        {true,
         "/ip4/9.0.0.1/tcp/50000",
         {"/ip4/9.0.0.1/udp/1/quic-v1", "/ip4/9.0.0.1/tcp/1"},
         "/ip4/9.0.0.1/tcp/1"},
        {true,
         "/ip4/9.0.0.1/tcp/50000",
         {"/ip4/9.0.0.1/udp/1/quic-v1"},
         "/ip4/9.0.0.1/udp/1/quic-v1"},
        {false,
         "/ip4/9.0.0.1/udp/50000/quic-v1",
         {"/ip4/9.0.0.1/udp/1/quic-v1", "/ip4/9.0.0.1/tcp/1"},
         "/ip4/9.0.0.1/udp/50000/quic-v1"},
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        for (size_t k = 0; k < 3 && row[i].known[k] != NULL; k++) {
            know(1, row[i].known[k]);
        }
        assert_string_equal(dialled_anew(row[i].steady ? &w.steady : &w.quick, row[i].from),
                            row[i].dialled);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

static bool any(enum ev_type type)
{
    for (size_t i = 0; i < w.n_seen; i++) {
        if (w.seen[i].ev.type == type) {
            return true;
        }
    }
    return false;
}

static void streams_go_to_another_link_than_one_that_takes_none_any_more(void **state)
{
    (void)state;
    inbound(&w.quick, 1, 0);
    inbound(&w.steady, 1, 0);
    open_by(w.core, 1, 0);
    assert_int_equal(w.quick.link[0].next_sid, 1);
    w.quick.link[0].leaving = true;
    for (int i = 1; i < 3; i++) {
        open_by(w.core, 1, 0);
        assert_true(any(EV_STREAM_OPEN));
        assert_false(any(EV_STREAM_FAIL));
        assert_int_equal(w.steady.link[0].next_sid, i);
    }
    assert_int_equal(w.quick.link[0].next_sid, 1);
    assert_false(w.quick.link[0].closed); /* it goes on with what it has */
}

static void a_peer_whose_only_link_takes_no_streams_is_dialled(void **state)
{
    (void)state;
    inbound(&w.quick, 1, 0);
    know(1, "/ip4/1.2.3.4/tcp/1");
    w.quick.link[0].leaving = true;
    open_by(w.core, 1, 0);
    assert_false(any(EV_STREAM_FAIL));
    assert_int_equal(w.steady.n, 1);
    up(&w.steady, 0, 0);
    assert_true(any(EV_STREAM_OPEN));
    assert_int_equal(w.steady.link[0].next_sid, 1);
}

static void who_waits_for_a_link_that_leaves_waits_for_another(void **state)
{
    (void)state;
    inbound(&w.quick, 1, 0);
    know(1, "/ip4/1.2.3.4/tcp/1");
    w.quick.link[0].full = true;
    for (int i = 0; i < 3; i++) {
        open_by(w.core, 1, 0);
    }
    assert_int_equal(w.steady.n, 0);
    w.quick.link[0].leaving = true;
    event(&w.quick, LINK_STREAMS_OK, 0, 0);
    assert_false(any(EV_STREAM_FAIL));
    assert_int_equal(w.steady.n, 1); /* one dial for all of them */
    up(&w.steady, 0, 0);
    assert_int_equal(w.steady.link[0].next_sid, 3);
}

static void who_waits_for_a_link_that_leaves_hears_that_there_is_no_other(void **state)
{
    (void)state;
    inbound(&w.quick, 1, 0);
    w.quick.link[0].full = true;
    open_by(w.core, 1, 0);
    w.quick.link[0].leaving = true;
    event(&w.quick, LINK_STREAMS_OK, 0, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
    open_by(w.core, 1, 0);
    assert_int_equal(last(EV_STREAM_FAIL)->err, QUDAG_EUNREACHABLE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(each_address_goes_to_its_transport_the_cheapest_first),
        T(a_silent_transport_costs_no_more_than_its_delays),
        T(a_relayed_link_does_not_end_direct_dials),
        T(a_dial_the_peer_may_count_as_a_link_is_not_cancelled),
        T(equal_references_of_two_transports_are_two_links),
        T(of_links_to_one_peer_streams_take_the_best),
        T(a_peer_may_not_use_a_limited_link_for_what_does_not_allow_it),
        T(cells_do_not_go_over_a_byte_stream),
        T(who_came_over_a_byte_stream_is_dialled_where_it_listens),
        T(streams_go_to_another_link_than_one_that_takes_none_any_more),
        T(a_peer_whose_only_link_takes_no_streams_is_dialled),
        T(who_waits_for_a_link_that_leaves_waits_for_another),
        T(who_waits_for_a_link_that_leaves_hears_that_there_is_no_other),
        T(what_is_direct_only_runs_over_no_relayed_link_and_dials_no_relay),
        T(a_reset_while_a_protocol_is_asked_for_says_that_nobody_serves_it),
        T(protocols_that_are_allowed_to_use_limited_links),
        T(a_link_of_another_kind_is_dialled_beside_one_that_stands),
        T(a_relayed_link_gives_way_to_a_direct_one),
        T(a_direct_link_takes_over_and_what_runs_on_the_relayed_one_goes_on),
        T(a_link_whose_path_is_quiet_is_not_used_where_another_is_heard),
        T(where_no_other_is_there_the_peer_is_dialled_directly_and_through_a_relay),
        T(who_asks_again_learns_at_once_that_its_link_is_quiet),
        T(streams_of_cells_need_no_relayed_link),
        T(a_relayed_link_in_use_is_to_become_a_direct_one_again),
        T(links_on_demand_need_no_announcement_and_no_negotiation),
        T(links_on_demand_are_anonymous_and_others_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
