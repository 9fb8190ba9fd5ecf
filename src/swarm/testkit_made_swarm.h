/* testkit_made_swarm.h - a swarm over the transports of testkit_made.h, with cores that note what they are told. */
#ifndef QUDAG_SRC_SWARM_TESTKIT_MADE_SWARM_H
#define QUDAG_SRC_SWARM_TESTKIT_MADE_SWARM_H

#include "swarm/testkit_made.h"

#define EVENTS 64

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

static inline void settle(void)
{
    while (swarm_step(w.s, w.now)) {
    }
}

static inline void event(struct made *m, enum link_ev_type type, uint32_t link, int64_t sid)
{
    struct link_ev ev = {.type = type, .err = QUDAG_ERESET, .link = {link, 1}, .sid = sid};

    ev.user = type == LINK_RESET || type == LINK_FIN ? m->link[link].user[sid] : 0;
    swarm_link_event(w.s, m->ix, &ev, w.now);
    if (type == LINK_QUIET) {
        swarm_tick(w.s, w.now);
    }
    settle();
}

static inline void up(struct made *m, uint32_t link, uint8_t props)
{
    m->link[link].props = props;
    event(m, LINK_UP, link, 0);
}

static inline uint32_t inbound(struct made *m, uint8_t peer, uint8_t props)
{
    uint32_t ix = m->n++;

    m->link[ix].peer = peer_no(peer);
    up(m, ix, props | LINK_INBOUND);
    return ix;
}

static inline void know(uint8_t peer, const char *text)
{
    struct peer_id p = peer_no(peer);
    struct multiaddr ma;

    assert_int_equal(multiaddr_parse(&ma, text), QUDAG_OK);
    swarm_addr_add(w.s, &p, &ma);
}

static inline void open_by(unsigned core, uint8_t peer, uint8_t need)
{
    struct act a = {.type = ACT_OPEN, .need = need, .peer = peer_no(peer)};

    w.n_seen = 0;
    swarm_act(w.s, core, &a, NULL, w.now);
    settle();
}

static inline const struct ev *last(enum ev_type type)
{
    for (size_t i = w.n_seen; i > 0; i--) {
        if (w.seen[i - 1].ev.type == type) {
            return &w.seen[i - 1].ev;
        }
    }
    fail_msg("no event %d", (int)type);
    return &w.seen[0].ev; /* not reached */
}

static inline void pass(uint64_t ns)
{
    w.now += ns;
    swarm_tick(w.s, w.now);
    settle();
}

#endif
