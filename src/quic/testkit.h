/*
 * testkit.h - endpoints in one process, datagrams in memory, time as a variable.  For tests only.
 *
 *   tk_run() moves time from one arrival or deadline to the next, delivers, pulls events into each
 *   endpoint's log and hands them to its |app|, until |done| says so or |until| is reached.
 */
#ifndef QUDAG_SRC_QUIC_TESTKIT_H
#define QUDAG_SRC_QUIC_TESTKIT_H

#include "base/list.h"
#include "quic/quic.h"

#include <stdlib.h>
#include <string.h>

#define TK_EPS 4
#define TK_WALL 1800000000 /* calendar time at the start */
#define TK_START (1000 * NS_PER_S)

struct tk;
struct tk_ep;

struct tk_pkt {
    struct list node;
    tstamp at;
    struct netaddr from, to;
    uint8_t ecn;
    size_t len;
    uint8_t data[];
};

struct tk_ep {
    struct tk *tk;
    int ix;
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct identity id;
    struct peer_id peer;
    struct sec *sec;
    struct quic *q;
    struct netaddr addr;
    /* what was seen */
    unsigned ups, downs, streams, fins, resets, streams_ok, answers, proven, quiets;
    bool quiet;
    struct ref link; /* of the last LINK_UP */
    struct link_info info;
    struct link_ev down; /* the last */
    int64_t sid;         /* of the last LINK_STREAM */
    qudag_err reset_err;
    uint64_t bytes, sent;
    /* the test's own reaction, called for every event */
    void (*app)(struct tk_ep *ep, const struct link_ev *ev);
    void *app_ctx;
};

/* |drop| may change the packet or have it dropped by returning false. */
struct tk {
    tstamp now;
    uint64_t delay_ns;
    uint32_t loss_permille, reorder_permille;
    struct rng_stream stream;
    struct rng rng;
    struct tk_ep ep[TK_EPS];
    struct list wire;
    uint64_t sent_n;
    bool (*pass)(struct tk *tk, struct tk_pkt *p);
    void *pass_ctx;
    uint8_t buf[QUIC_TX_MAX];
};

struct tk_opt {
    enum pq_policy pq;
    uint16_t level;
    enum sec_cipher cipher;
    walltime wall; /* 0: TK_WALL */
    struct quic_config quic;
};

static inline void tk_init(struct tk *tk)
{
    static const uint8_t seed[32] = {7};

    memset(tk, 0, sizeof *tk);
    tk->now = TK_START;
    tk->delay_ns = 10 * NS_PER_MS;
    rng_stream_init(&tk->stream, seed);
    tk->rng = rng_of_stream(&tk->stream);
    list_init(&tk->wire);
}

static inline bool tk_make(struct tk *tk, int ix, const struct tk_opt *opt)
{
    struct tk_ep *ep = &tk->ep[ix];
    uint8_t seed[32] = {1, (uint8_t)ix};
    struct sec_config sc;
    struct quic_config qc = opt->quic;

    mem_init(&ep->mem, NULL, 0);
    ep->tk = tk;
    ep->ix = ix;
    rng_stream_init(&ep->stream, seed);
    ep->rng = rng_of_stream(&ep->stream);
    if (ep->peer.len == 0 && identity_generate(&ep->id, &ep->rng) != QUDAG_OK) {
        return false;
    }
    peer_id_from_ed25519(&ep->peer, ep->id.ed_pk);
    ep->addr = (struct netaddr){.family = 4, .ip = {10, 0, 0, (uint8_t)(ix + 1)}, .port = 4001};
    sc = (struct sec_config){.mem = &ep->mem,
                             .rng = &ep->rng,
                             .identity = &ep->id,
                             .pq = opt->pq,
                             .level = opt->level,
                             .cipher = opt->cipher,
                             .clock = {opt->wall == 0 ? TK_WALL : opt->wall, tk->now}};
    if (sec_new(&ep->sec, &sc) != QUDAG_OK) {
        return false;
    }
    qc.mem = &ep->mem;
    qc.rng = ep->rng;
    qc.sec = ep->sec;
    qc.pq = opt->pq;
    memset(qc.reset_key, 0x40 + ix, sizeof qc.reset_key);
    return quic_new(&ep->q, &qc, tk->now) == QUDAG_OK;
}

/* Frees the endpoint; what it still holds of its memory is returned. */
static inline size_t tk_unmake(struct tk *tk, int ix)
{
    struct tk_ep *ep = &tk->ep[ix];

    quic_free(ep->q);
    sec_free(ep->sec);
    ep->q = NULL;
    ep->sec = NULL;
    return ep->mem.used;
}

#endif
