/*
 * testkit_wires.h - a hop and users of it, joined by streams that are arrays.  For tests only; behind cmocka.h.
 *
 * Node 0 is the relay, the others use it.  A stream has a window each way; what the hop does not consume stays used up.
 */
#ifndef QUDAG_SRC_CORE_RELAY_V2_TESTKIT_WIRES_H
#define QUDAG_SRC_CORE_RELAY_V2_TESTKIT_WIRES_H

#include "core/relay_v2/hop.h"
#include "core/relay_v2/relayed.h"
#include "crypto/init.h"

#include <stdlib.h>
#include <string.h>

#define NODES 9
#define STREAMS 256
#define WINDOW 65536
#define NAMES 128

struct end {
    uint32_t node;
    struct ref ref;
    uint8_t in[WINDOW]; /* on its way here */
    size_t len, credit;
    bool fin, fin_told;
    bool slow; /* takes nothing */
};

struct wire {
    bool used, inbound_told, named;
    uint64_t cookie;
    struct end end[2]; /* who opened it, the other */
};

struct opened {
    struct ref name;
    uint64_t cookie;
    struct relayed_info info;
    uint64_t got; /* bytes */
    uint32_t sum;
    bool ended;
    qudag_err err;
};

struct world {
    struct mem mem;
    struct rng_stream stream;
    struct wallclock clock;
    struct secret_ed25519 sk[NODES];
    struct peer_id id[NODES];
    struct hop_service *hop;
    struct relayed *user[NODES]; /* of node 0: NULL */
    uint8_t props[NODES];        /* of its link with the relay */
    struct wire *wire;
    struct opened *opened[NODES]; /* what its core reported */
    size_t n_opened[NODES];
    qudag_err failed[NODES];
    uint32_t status[NODES];
    uint32_t reserved[NODES], refused[NODES], lost[NODES];
    struct acts acts;
    struct act *act_v;
    uint8_t *bytes;
    uint32_t gen;
    size_t chunk; /* most bytes delivered at once */
    tstamp now;
};

static inline void w_event(struct world *w, uint32_t node, const struct ev *ev);

static inline void w_up(struct world *w, uint32_t node, const struct act *a)
{
    struct opened *o = NULL;

    for (size_t i = 0; i < w->n_opened[node]; i++) {
        o = ref_eq(w->opened[node][i].name, a->obj) ? &w->opened[node][i] : o;
    }
    switch ((enum relayed_up)a->kind) {
    case RELAYED_UP_RESERVED:
        w->reserved[node]++;
        break;
    case RELAYED_UP_REFUSED:
        w->refused[node]++;
        break;
    case RELAYED_UP_LOST:
        w->lost[node]++;
        break;
    case RELAYED_UP_OPENED:
    case RELAYED_UP_INCOMING:
        assert_true(w->n_opened[node] < NAMES);
        o = &w->opened[node][w->n_opened[node]++];
        *o = (struct opened){.name = a->obj, .cookie = a->cookie};
        memcpy(&o->info, a->ptr, sizeof(o->info));
        break;
    case RELAYED_UP_FAILED:
        w->failed[node] = a->err;
        w->status[node] = (uint32_t)a->n;
        break;
    case RELAYED_UP_DATA:
        assert_non_null(o);
        o->got += a->data.len;
        for (size_t i = 0; i < a->data.len; i++) {
            o->sum = o->sum * 31 + a->data.base[i];
        }
        break;
    case RELAYED_UP_ROOM:
        break;
    case RELAYED_UP_ENDED:
        assert_non_null(o);
        o->ended = true;
        o->err = a->err;
        break;
    }
}

static inline struct end *w_end(struct world *w, uint32_t node, struct ref strm, struct wire **wire)
{
    for (size_t i = 0; i < STREAMS; i++) {
        for (unsigned k = 0; k < 2; k++) {
            struct end *e = &w->wire[i].end[k];
            if (w->wire[i].used && e->node == node && ref_eq(e->ref, strm)) {
                *wire = &w->wire[i];
                return e;
            }
        }
    }
    return NULL;
}

static inline struct end *w_other(struct wire *x, const struct end *e)
{
    return e == &x->end[0] ? &x->end[1] : &x->end[0];
}

static inline void w_open(struct world *w, uint32_t node, const struct act *a)
{
    uint32_t to = NODES;

    for (uint32_t i = 0; i < NODES; i++) {
        to = peer_id_eq(&w->id[i], &a->peer) ? i : to;
    }
    for (size_t i = 0; i < STREAMS && to < NODES; i++) {
        struct wire *x = &w->wire[i];
        if (x->used) {
            continue;
        }
        *x = (struct wire){.used = true, .cookie = a->cookie};
        for (unsigned k = 0; k < 2; k++) {
            x->end[k].node = k == 0 ? node : to;
            x->end[k].ref = (struct ref){(uint32_t)i, ++w->gen};
            x->end[k].credit = WINDOW;
        }
        return;
    }
    struct ev fail = {.type = EV_STREAM_FAIL, .cookie = a->cookie, .err = QUDAG_EUNREACHABLE};
    w_event(w, node, &fail);
}

static inline void w_act(struct world *w, uint32_t node, const struct act *a)
{
    struct wire *x = NULL;
    struct end *e = w_end(w, node, a->strm, &x);

    if (a->type == ACT_UP) {
        w_up(w, node, a);
    } else if (a->type == ACT_OPEN) {
        w_open(w, node, a);
    } else if (e == NULL) {
        return;
    } else if (a->type == ACT_WRITE) {
        struct end *to = w_other(x, e);
        assert_true(a->data.len <= WINDOW - to->len);
        memcpy(to->in + to->len, a->data.base, a->data.len);
        to->len += a->data.len;
    } else if (a->type == ACT_CONSUME) {
        e->credit += (size_t)a->n;
        assert_true(e->credit <= WINDOW); /* nobody gives back what was not used */
    } else if (a->type == ACT_FIN) {
        w_other(x, e)->fin = true;
    } else {
        struct end *to = w_other(x, e);
        struct ev ev = {.type = EV_RESET, .strm = to->ref, .err = QUDAG_ERESET};
        bool tell = x->inbound_told || to == &x->end[0];
        uint32_t other = to->node;
        x->used = false;
        if (tell) {
            w_event(w, other, &ev);
        }
    }
}

/* What a core said is carried out, in a copy: carrying it out calls cores again. */
static inline void w_carry_out(struct world *w, uint32_t node)
{
    size_t n = w->acts.n;
    struct act *v = w->act_v;
    uint8_t *bytes = w->bytes;

    assert_false(w->acts.overflow);
    w->act_v = calloc(ACTS_ROOM, sizeof(*w->act_v));
    w->bytes = malloc(ACTS_BYTES_ROOM);
    assert_true(w->act_v != NULL && w->bytes != NULL);
    w->acts = (struct acts){
        .v = w->act_v, .cap = ACTS_ROOM, .bytes = w->bytes, .bytes_cap = ACTS_BYTES_ROOM};
    for (size_t i = 0; i < n; i++) {
        w_act(w, node, &v[i]);
    }
    free(v);
    free(bytes);
}

static inline const struct core_ops *w_ops(uint32_t node)
{
    return node == 0 ? &hop_ops : &relayed_ops;
}

static inline void *w_core(struct world *w, uint32_t node)
{
    return node == 0 ? (void *)w->hop : (void *)w->user[node];
}

static inline void w_event(struct world *w, uint32_t node, const struct ev *ev)
{
    w_ops(node)->event(w_core(w, node), ev, w->now, &w->acts);
    w_carry_out(w, node);
}

/* One thing that is due at |e|; false: none. */
static inline bool w_deliver(struct world *w, struct wire *x, struct end *e)
{
    struct end *from = w_other(x, e);
    uint8_t props = e->node == 0 ? w->props[from->node] : w->props[e->node];
    bool opener = e == &x->end[0];

    if (opener ? !x->named : !x->inbound_told) {
        x->named = x->named || opener;
        x->inbound_told = x->inbound_told || !opener;
        struct ev ev = {.type = EV_STREAM_OPEN,
                        .strm = e->ref,
                        .cookie = x->cookie,
                        .inbound = !opener,
                        .props = props,
                        .peer = &w->id[from->node],
                        .net = 1 + from->node / 4,
                        .via = 100 + from->node / 2};
        w_event(w, e->node, &ev);
        return true;
    }
    size_t n = e->len < e->credit ? e->len : e->credit;
    n = n < w->chunk ? n : w->chunk;
    if (n > 0 && !e->slow) {
        uint8_t *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, e->in, n);
        memmove(e->in, e->in + n, e->len - n);
        e->len -= n;
        e->credit -= e->node == 0 ? n : 0; /* users consume at once */
        struct ev ev = {.type = EV_DATA, .strm = e->ref, .data = {copy, n}};
        struct ev sent = {.type = EV_WRITABLE, .strm = from->ref, .n = n};
        uint32_t node = from->node;
        w_event(w, e->node, &ev);
        free(copy);
        if (x->used) {
            w_event(w, node, &sent);
        }
        return true;
    }
    if (e->fin && !e->fin_told && e->len == 0) {
        e->fin_told = true;
        struct ev ev = {.type = EV_FIN, .strm = e->ref};
        w_event(w, e->node, &ev);
        if (x->used && x->end[0].fin_told && x->end[1].fin_told) {
            x->used = false;
        }
        return true;
    }
    return false;
}

/* Until nothing is due any more, time standing still. */
static inline void w_settle(struct world *w)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < STREAMS; i++) {
            for (unsigned k = 0; k < 2; k++) {
                more = (w->wire[i].used && w_deliver(w, &w->wire[i], &w->wire[i].end[k])) || more;
            }
        }
    }
}

#endif
