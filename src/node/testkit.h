/*
 * testkit.h - whole nodes in one process, datagrams in memory, time as a variable.  For tests only.
 *
 *   nt_run() moves time from one arrival or deadline to the next until |done| says so.  Every request
 *   made with nt_ask() is followed to its end, which must come exactly once.
 */
#ifndef QUDAG_SRC_NODE_TESTKIT_H
#define QUDAG_SRC_NODE_TESTKIT_H

#include "base/assert.h"
#include "base/list.h"
#include "crypto/init.h"
#include "node/node.h"
#include <stdlib.h>
#include <string.h>

#ifndef NT_NODES /* a test may need more */
#define NT_NODES 14
#endif
#define NT_ASKS 64
#define NT_WALL 1800000000
#define NT_START (1000 * NS_PER_S)
#define NT_SPIN_MAX 20000 /* rounds at one instant; more is a loop that never rests */

#define NT_SENT_TO 64 /* that a firewall remembers, the latest */
#define NT_EXTRA 448  /* sockets of one node beside its first */

struct nt;

struct nt_ask {
    struct ref op;
    unsigned ends;
    qudag_err err;
    struct node_result res; /* borrowed parts cleared */
    uint8_t value[256];
};

/* A number as it was saved. */
struct nt_seq {
    const char *name;
    uint8_t bytes[8];
    uint8_t len;
};

struct nt_node {
    struct nt *nt;
    size_t ix;
    struct mem mem;
    struct rng_stream stream;
    struct identity id;
    struct peer_id peer;
    struct netaddr addr;
    struct netaddr extra[NT_EXTRA];
    size_t n_extra, extra_max; /* extra_max 0: NT_EXTRA */
    uint16_t extra_ports;      /* used so far */
    bool
        guarded; /* by a firewall: nothing comes from an address and port that nothing was sent to */
    struct netaddr sent_to[NT_SENT_TO];
    size_t n_sent_to;
    struct node *node;
    enum node_phase phase;
    qudag_err phase_err;
    unsigned failures;             /* NODE_FAILED seen */
    uint32_t phase_says[2];        /* what came with the phase */
    unsigned phases, phases_again; /* calls of hooks.phase; of those, with what the last one said */
    struct nt_ask ask[NT_ASKS];
    size_t n_asks;
    unsigned strays; /* op_done of requests nobody made */
    /* streams */
    struct ref in, last;
    unsigned opened, closed, writable, ins, fins;
    struct ref closed_ref;
    qudag_err closed_why;
    size_t got;
    bool anonymous, echo;
    bool keeps;                 /* the test itself consumes */
    unsigned saves, dark_saves; /* but for guards; dark_saves: of these keys of dark addresses */
    unsigned dark_files;        /* of those saved, not removed; if each was saved once */
    qudag_err save_err;
    struct nt_seq relay_seq, record_seq;
    unsigned clock_reports; /* hooks.phase with ECLOCK, though nothing failed */
    bool clock_said;        /* the last one was such */
    struct ref old; /* the stream whose circuit was said to be old last, and what was left to it */
    uint64_t old_left;
    void (*hook)(struct nt_node *t, const char *what, struct ref r); /* the test's own reaction */
    qudag_err (*saved)(struct nt_node *t, const char *name, struct slice bytes);
};

struct nt_pkt {
    struct list node;
    tstamp at;
    struct netaddr from, to;
    uint8_t ecn;
    size_t len;
    uint8_t data[];
};

struct nt {
    tstamp now;
    uint32_t loss_permille;
    struct rng_stream stream;
    struct list wire;
    struct nt_node node[NT_NODES];
    uint64_t steps, steps_max; /* 0: no limit */
    uint16_t
        redirect; /* 0: no; what comes for the port of node 1 reaches this port of it instead */
    uint64_t nowhere, nowhere_bytes; /* datagrams to addresses that no node has */
    void (*watch)(struct nt *nt, const struct nt_pkt *p);
    void (*route)(struct nt *nt, struct nt_pkt *p);
    /* may give it other addresses */ /* an observer of all links */
    uint8_t buf[QUIC_TX_MAX];
};

static inline void nt_call(struct nt_node *t, const char *what, struct ref r)
{
    if (t->hook != NULL) {
        t->hook(t, what, r);
    }
}

static inline void nt_op_done(void *ctx, struct ref op, qudag_err err,
                              const struct node_result *res)
{
    struct nt_node *t = ctx;
    bool known = false;

    for (size_t i = 0; i < t->n_asks; i++) {
        struct nt_ask *a = &t->ask[i];
        if (ref_eq(a->op, op)) {
            known = true;
            a->ends++;
            a->err = err;
            a->res = *res;
            size_t n = res->value.len < sizeof a->value ? res->value.len : sizeof a->value;
            if (n > 0) {
                memcpy(a->value, res->value.base, n);
            }
            a->res.value.base = a->value;
            a->res.peers = NULL;
            a->res.target = NULL;
        }
    }
    t->strays += known ? 0 : 1;
    nt_call(t, "op_done", op);
}

static inline void nt_phase(void *ctx, enum node_phase p, uint32_t a, uint32_t b, qudag_err err)
{
    struct nt_node *t = ctx;

    t->phases_again += t->phases > 0 && t->phase == p && t->phase_says[0] == a &&
                               t->phase_says[1] == b && err == QUDAG_OK
                           ? 1
                           : 0;
    t->phases++;
    t->phase_says[0] = a;
    t->phase_says[1] = b;
    t->phase = p;
    t->clock_said = p != NODE_FAILED && err == QUDAG_ECLOCK;
    t->clock_reports += t->clock_said ? 1 : 0;
    if (p == NODE_FAILED) {
        t->failures++;
        t->phase_err = err;
    }
    nt_call(t, "phase", (struct ref){0, 0});
}

static inline void nt_stream_in(void *ctx, struct ref s, const struct peer_id *from,
                                const char *dark, const char *proto)
{
    struct nt_node *t = ctx;

    (void)dark;
    (void)proto;
    t->ins++;
    t->in = s;
    t->anonymous = from == NULL;
    nt_call(t, "stream_in", s);
}

static inline void nt_stream_data(void *ctx, struct ref s, struct slice data, bool fin)
{
    struct nt_node *t = ctx;
    size_t taken;

    t->got += data.len;
    t->fins += fin ? 1 : 0;
    if (!t->keeps) {
        node_stream_consume(t->node, s, data.len);
    }
    if (t->echo) {
        qudag_err err = node_stream_write(t->node, s, data, &taken);
        ASSERT(err == QUDAG_OK || err == QUDAG_ESTATE); /* the test may have ended it */
        if (fin) {
            node_stream_fin(t->node, s);
        }
    }
    nt_call(t, "stream_data", s);
}

static inline void nt_stream_opened(void *ctx, struct ref s)
{
    struct nt_node *t = ctx;

    t->opened++;
    t->last = s;
    nt_call(t, "stream_opened", s);
}

static inline void nt_stream_writable(void *ctx, struct ref s)
{
    struct nt_node *t = ctx;

    t->writable++;
    nt_call(t, "stream_writable", s);
}

static inline void nt_stream_closed(void *ctx, struct ref s, qudag_err why)
{
    struct nt_node *t = ctx;

    t->closed++;
    t->closed_ref = s;
    t->closed_why = why;
    nt_call(t, "stream_closed", s);
}

static inline void nt_released(void *ctx, const struct node_owned *b)
{
    (void)ctx;
    b->release(b->ctx, b->data.base, b->data.len);
}

static inline void nt_stream_old(void *ctx, struct ref s, uint64_t left_ns)
{
    struct nt_node *t = ctx;

    t->old = s;
    t->old_left = left_ns;
}

static inline void nt_seq_save(struct nt_seq *s, const char *want, const char *name,
                               struct slice bytes)
{
    if (strcmp(name, want) == 0 && bytes.len <= sizeof s->bytes) {
        s->name = want;
        memcpy(s->bytes, bytes.base, bytes.len);
        s->len = (uint8_t)bytes.len;
    }
}

static inline qudag_err nt_save(void *ctx, const char *name, struct slice bytes)
{
    struct nt_node *t = ctx;

    t->saves += strcmp(name, "guards") != 0 ? 1 : 0; /* these are saved again and again */
    if (strncmp(name, "dark-", 5) == 0) {
        t->dark_saves++;
        t->dark_files += bytes.len > 0 ? 1u : -1u;
    }
    nt_seq_save(&t->relay_seq, "relay-seq", name, bytes);
    nt_seq_save(&t->record_seq, "record-seq", name, bytes);
    return t->saved != NULL && t->save_err == QUDAG_OK ? t->saved(t, name, bytes) : t->save_err;
}

static inline void nt_init(struct nt *nt)
{
    static const uint8_t seed[32] = {9};

    ASSERT(crypto_init() == QUDAG_OK);
    memset(nt, 0, sizeof *nt);
    nt->now = NT_START;
    rng_stream_init(&nt->stream, seed);
    list_init(&nt->wire);
}

/* Keys and address of node |ix|; harmless when repeated. */
static inline void nt_identity(struct nt *nt, size_t ix)
{
    struct nt_node *t = &nt->node[ix];
    uint8_t seed[32] = {3, (uint8_t)ix};

    if (t->peer.len > 0) {
        return;
    }
    t->nt = nt;
    t->ix = ix;
    mem_init(&t->mem, NULL, 0);
    rng_stream_init(&t->stream, seed);
    struct rng rng = rng_of_stream(&t->stream);
    ASSERT(identity_generate(&t->id, &rng) == QUDAG_OK);
    peer_id_from_ed25519(&t->peer, t->id.ed_pk);
    t->addr = (struct netaddr){.family = 4, .ip = {10, 0, 0, (uint8_t)(ix + 1)}, .port = 4001};
}

#endif
