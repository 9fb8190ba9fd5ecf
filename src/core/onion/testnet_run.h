/* testnet_run.h - running the network of testnet.h, and what tests do with it. */
#ifndef QUDAG_SRC_CORE_ONION_TESTNET_RUN_H
#define QUDAG_SRC_CORE_ONION_TESTNET_RUN_H

#include "core/onion/testnet_apply.h"

static inline bool net_move(struct testnet *n, struct pipe *p, size_t side)
{
    struct way *w = &p->way[side];
    size_t len = w->len < n->chunk ? w->len : n->chunk;

    if (p->cut[side] && !p->cut[1 - side]) {
        p->cut[1 - side] = true;
        net_event(n, p->node[1 - side],
                  &(struct ev){.type = EV_RESET, .strm = p->ref[1 - side], .err = QUDAG_ERESET});
        return true;
    }
    if (p->cut[0] || p->cut[1] || p->stalled[1 - side]) {
        return false;
    }
    len = len < w->credit ? len : (size_t)w->credit;
    if (len == 0) {
        bool fin = w->fin && !w->fin_done && w->len == 0;
        if (fin) {
            w->fin_done = true;
            net_event(n, p->node[1 - side], &(struct ev){.type = EV_FIN, .strm = p->ref[1 - side]});
        }
        return fin;
    }
    uint8_t *bytes = malloc(len);
    ASSERT(bytes != NULL);
    memcpy(bytes, w->queue, len);
    w->len -= len;
    memmove(w->queue, w->queue + len, w->len);
    w->credit -= len;
    w->moved += len;
    if (n->tap != NULL) {
        n->tap(n, p, side, bytes, len);
    }
    net_event(n, p->node[1 - side],
              &(struct ev){.type = EV_DATA, .strm = p->ref[1 - side], .data = {bytes, len}});
    free(bytes);
    net_event(n, p->node[side], &(struct ev){.type = EV_WRITABLE, .strm = p->ref[side], .n = len});
    return true;
}

static inline bool net_app(struct testnet *n, size_t node)
{
    struct testnet_node *nd = &n->nodes[node];
    bool busy = false;

    for (size_t i = 0; i < nd->flows_high; i++) {
        struct testnet_flow *f = &nd->flows[i];
        if (!f->used || f->reset || nd->app == APP_STALL) {
            continue;
        }
        if (nd->app == APP_ECHO && f->echo_len > 0) {
            size_t len = f->echo_len < 65536 ? f->echo_len : 65536;
            qudag_err err = onion_stream_write(nd->o, f->circuit, f->sid,
                                               (struct slice){f->echo, len}, n->now, &n->out);
            if (err == QUDAG_OK) {
                f->echo_len -= len;
                memmove(f->echo, f->echo + len, f->echo_len);
                busy = true;
            }
            net_drain(n, node);
        }
        if (f->unread > 0) {
            uint64_t len = f->unread;
            f->unread = 0;
            onion_stream_consume(nd->o, f->circuit, f->sid, (size_t)len, n->now, &n->out);
            net_drain(n, node);
            busy = true;
        }
        if (nd->app == APP_ECHO && f->fin && f->echo_len == 0 && !f->echo_fin) {
            f->echo_fin = true;
            onion_stream_fin(nd->o, f->circuit, f->sid, n->now, &n->out);
            net_drain(n, node);
            busy = true;
        }
    }
    return busy;
}

/* One round: every pipe moves a chunk each way, every due deadline is served.  False: quiet. */
static inline bool net_round(struct testnet *n)
{
    bool busy = false;

    for (size_t i = 0; i < n->pipes_high; i++) {
        struct pipe *p = &n->pipes[i];
        for (size_t s = 0; s < 2 && p->used; s++) {
            busy = net_move(n, p, s) || busy;
        }
        bool done = p->way[0].fin_done && p->way[1].fin_done;
        if (p->used && (done || (p->cut[0] && p->cut[1]))) {
            free(p->way[0].queue);
            free(p->way[1].queue);
            *p = (struct pipe){.used = false};
        }
    }
    for (size_t i = 0; i < n->nodes_n; i++) {
        busy = net_app(n, i) || busy;
        if (onion_ops.deadline(n->nodes[i].o) <= n->now) {
            onion_ops.tick(n->nodes[i].o, n->now, &n->out);
            net_drain(n, i);
            busy = true;
        }
    }
    return busy;
}

/* Runs until nothing moves; the rounds are bounded. */
static inline void net_run(struct testnet *n)
{
    for (size_t i = 0; i < 200000; i++) {
        if (!net_round(n)) {
            return;
        }
    }
    ASSERT(false);
}

static inline void net_sleep(struct testnet *n, uint64_t ns)
{
    n->now += ns;
    net_run(n);
}

/* ---- what tests do ---- */

/* A circuit, or a |stem|, from node |from| through |n_hops| nodes starting at node |first|; not run yet. */
static inline qudag_err net_begin(struct testnet *n, size_t from, size_t first, size_t n_hops,
                                  bool stem, struct ref *circuit)
{
    struct onion_hop *hops = calloc(n_hops, sizeof *hops);
    struct onion *o = n->nodes[from].o;

    ASSERT(hops != NULL);
    for (size_t i = 0; i < n_hops; i++) {
        hops[i] = n->nodes[first + i].hop;
    }
    qudag_err err = stem ? onion_build_stem(o, hops, n_hops, n->now, &n->out, circuit)
                         : onion_build(o, hops, n_hops, n->now, &n->out, circuit);
    free(hops);
    net_drain(n, from);
    return err;
}

static inline qudag_err net_build_from(struct testnet *n, size_t from, size_t first, size_t n_hops,
                                       struct ref *circuit)
{
    return net_begin(n, from, first, n_hops, false, circuit);
}

/* A stem from node 0. */
static inline qudag_err net_build_stem(struct testnet *n, size_t first, size_t n_hops,
                                       struct ref *circuit)
{
    return net_begin(n, 0, first, n_hops, true, circuit);
}

/* A circuit from node 0. */
static inline qudag_err net_build(struct testnet *n, size_t first, size_t n_hops,
                                  struct ref *circuit)
{
    return net_build_from(n, 0, first, n_hops, circuit);
}

static inline const struct up *net_last_up(const struct testnet_node *nd, uint16_t kind)
{
    for (size_t i = nd->ups_n; i-- > 0;) {
        if (nd->ups[i].kind == kind) {
            return &nd->ups[i];
        }
    }
    return NULL;
}

/* The same, known to be there. */
static inline const struct up *net_up_of(const struct testnet_node *nd, uint16_t kind)
{
    const struct up *up = net_last_up(nd, kind);

    ASSERT(up != NULL);
    return up;
}

static inline struct testnet_flow *net_open(struct testnet *n, struct ref circuit, uint64_t seed)
{
    struct testnet_node *nd = &n->nodes[0];
    struct onion_stream_want want = {.circuit = circuit, .user = 99, .proto = "/test/1.0.0"};
    int64_t sid;

    qudag_err err = onion_stream_open(nd->o, &want, n->now, &n->out, &sid);
    net_drain(n, 0);
    if (err != QUDAG_OK) {
        return NULL;
    }
    struct testnet_flow *f = net_flow(nd, circuit, sid, true);
    ASSERT(f != NULL);
    f->seed = seed;
    return f;
}

/* Writes |len| bytes of the pattern of |seed| from |at| on. */
static inline qudag_err net_write(struct testnet *n, const struct testnet_flow *f, uint64_t at,
                                  size_t len)
{
    uint8_t *buf = malloc(len + 1);

    ASSERT(buf != NULL);
    for (size_t i = 0; i < len; i++) {
        buf[i] = net_pattern(f->seed, at + i);
    }
    qudag_err err = onion_stream_write(n->nodes[0].o, f->circuit, f->sid, (struct slice){buf, len},
                                       n->now, &n->out);
    free(buf);
    net_drain(n, 0);
    return err;
}

#endif
