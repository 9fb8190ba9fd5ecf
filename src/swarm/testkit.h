/* testkit.h - a swarm of two cores over the links of testkit_links.h, moved on event by event. */
#ifndef QUDAG_SRC_SWARM_TESTKIT_H
#define QUDAG_SRC_SWARM_TESTKIT_H

#include "swarm/testkit_links.h"

/* The second chooses whom it dials. */
static const struct core_ops c_ops[2] = {{.inbound_max = 2}, {.inbound_max = 2, .chooses = true}};

static inline void sink(void *ctx, unsigned core, const struct ev *ev)
{
    (void)ctx;
    assert_true(w.n_seen < EVENTS);
    struct seen *s = &w.seen[w.n_seen++];
    memset(s, 0, sizeof *s);
    s->core = core;
    s->ev = *ev;
    if (ev->peer != NULL) {
        s->peer = *ev->peer;
    }
    if (ev->data.len > 0 && ev->data.len <= sizeof s->data) {
        memcpy(s->data, ev->data.base, ev->data.len);
    }
}

static inline struct peer_id peer_no(uint8_t n)
{
    struct peer_id p;
    uint8_t pk[32] = {n, 1};

    peer_id_from_ed25519(&p, pk);
    return p;
}

static inline struct multiaddr addr_no(uint8_t n)
{
    struct multiaddr ma;
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, n}, .port = 4001};

    multiaddr_quic(&ma, &a, NULL);
    return ma;
}

static inline int start(void **state, uint32_t peers_max, uint32_t dials_max)
{
    static const uint8_t seed[32] = {1};
    (void)state;

    memset(&w, 0, sizeof w);
    mem_init(&w.mem, NULL, 0);
    rng_stream_init(&w.stream, seed);
    w.now = T0;
    struct swarm_config c = {.mem = &w.mem,
                             .rng = rng_of_stream(&w.stream),
                             .self = peer_no(0),
                             .peers_max = peers_max,
                             .links_high = 8,
                             .links_low = 4,
                             .dials_max = dials_max,
                             .sink = sink};
    if (swarm_new(&w.s, &c) != QUDAG_OK ||
        swarm_transport_add(w.s, &f_transport, &w, &w.tp) != QUDAG_OK) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        if (swarm_core_add(w.s, &c_ops[i], &w.core[i]) != QUDAG_OK) {
            return -1;
        }
    }
    return swarm_proto_add(w.s, "/a/1", w.core[0], true) == QUDAG_OK &&
                   swarm_proto_add(w.s, "/b/1", w.core[1], true) == QUDAG_OK
               ? 0
               : -1;
}

static inline int setup(void **state)
{
    return start(state, 0, 0);
}

static inline int setup_small(void **state)
{
    return start(state, 4, 0);
}

static inline int setup_few_dials(void **state)
{
    return start(state, 0, 16);
}

static inline int teardown(void **state)
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

/* Time passes, in which what is due is done. */
static inline void pass(uint64_t ns)
{
    tstamp end = w.now + ns;

    settle();
    for (tstamp at; (at = swarm_deadline(w.s)) <= end;) {
        w.now = at > w.now ? at : w.now;
        swarm_tick(w.s, w.now);
        settle();
    }
    w.now = end;
}

static inline void event(enum link_ev_type type, uint32_t link, int64_t sid, const void *data,
                         size_t len)
{
    struct link_ev ev = {.type = type,
                         .err = type == LINK_DOWN ? QUDAG_ETIMEOUT : QUDAG_ERESET,
                         .link = ref_of(link),
                         .sid = sid,
                         .n = len,
                         .data = {data, data != NULL ? len : 0}};

    if (type != LINK_STREAM && type != LINK_UP && type != LINK_DOWN) {
        ev.user = w.link[link].user[sid];
    }
    swarm_link_event(w.s, w.tp, &ev, w.now);
}

static inline void up(uint32_t link, uint8_t props)
{
    w.link[link].props = props;
    event(LINK_UP, link, 0, NULL, 0);
    settle();
}

static inline uint32_t inbound(uint8_t peer, uint8_t props)
{
    uint32_t ix = w.n_links++;

    memset(&w.link[ix], 0, sizeof w.link[ix]);
    w.link[ix].peer = peer_no(peer);
    up(ix, props | LINK_INBOUND);
    return ix;
}

static inline void open_to(uint8_t peer, uint64_t cookie, uint8_t need)
{
    struct act a = {.type = ACT_OPEN, .cookie = cookie, .need = need, .peer = peer_no(peer)};

    swarm_act(w.s, w.core[0], &a, NULL, w.now);
}

static inline void know(uint8_t peer, uint8_t n_addrs)
{
    for (uint8_t i = 0; i < n_addrs; i++) {
        struct peer_id p = peer_no(peer);
        struct multiaddr ma = addr_no((uint8_t)(peer * 10 + i));
        swarm_addr_add(w.s, &p, &ma);
    }
}

static inline size_t count(enum ev_type type)
{
    size_t n = 0;

    for (size_t i = 0; i < w.n_seen; i++) {
        n += w.seen[i].ev.type == type ? 1 : 0;
    }
    return n;
}

static inline const struct seen *last(enum ev_type type)
{
    for (size_t i = w.n_seen; i > 0; i--) {
        if (w.seen[i - 1].ev.type == type) {
            return &w.seen[i - 1];
        }
    }
    fail_msg("no event %d", type);
    return &w.seen[0]; /* not reached: the test has ended */
}

/* An inbound link that shows |props| and, with LINK_PQ_AUTH, the key whose hash begins with |key|. */
static inline uint32_t inbound_with_key(uint8_t peer, uint8_t props, uint8_t key)
{
    uint32_t ix = w.n_links++;

    w.link[ix] = (struct fake_link){.peer = peer_no(peer)};
    w.link[ix].has_hash = (props & LINK_PQ_AUTH) != 0;
    w.link[ix].hash[0] = key;
    up(ix, props | LINK_INBOUND);
    return ix;
}

#endif
