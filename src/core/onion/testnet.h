/*
 * testnet.h - a network of onion objects in one process, for tests and the fuzz target.
 *
 *   node ──ACT_OPEN──▶ pipe ──EV_STREAM_OPEN──▶ node      a pipe is a stream with credit both ways
 *
 * Time is a variable.  Every call into a core gets a list with exactly the room core.h promises, so
 * that a core that wants more fails the test.  What arrives over circuits is taken by a small
 * application per node (enum app) after the call, as the driver would do.
 */
#ifndef QUDAG_SRC_CORE_ONION_TESTNET_H
#define QUDAG_SRC_CORE_ONION_TESTNET_H

#include "base/assert.h"
#include "core/onion/circuit.h"

#include <stdlib.h>
#include <string.h>

#define NET_NODES 10
#define NET_PIPES 256
#define NET_UPS 64
#define NET_FLOWS 256
#define NET_PIPE_WINDOW (256u * 1024)

enum app { APP_SINK, APP_ECHO, APP_STALL };

struct flow { /* one stream over a circuit at one of its ends */
    bool used, fin, reset, ended;
    struct ref circuit;
    int64_t sid;
    qudag_err err;
    char proto[RELAY_PROTO_MAX + 1];
    uint64_t received, unread, sent; /* bytes; sent: as LINK_SENT says */
    uint64_t seed, wrong;            /* pattern expected; bytes that differ from it */
    uint8_t *echo;
    size_t echo_len;
    bool echo_fin;
};

struct up {
    uint16_t kind;
    struct ref circuit;
    uint64_t n, cookie;
    qudag_err err;
};

struct node {
    struct mem mem;
    struct rng_stream seed;
    struct onion *o;
    struct peer_id id;
    uint8_t pq_hash[32];
    struct onion_hop hop; /* how clients see it */
    enum app app;
    bool down;     /* answers no dial */
    uint8_t props; /* of links to it */
    struct up ups[NET_UPS];
    size_t ups_n;
    struct flow flows[NET_FLOWS];
    size_t flows_high; /* flows ever used */
    uint64_t refused_opens; /* ACT_OPEN without the full need */
};

struct way { /* one direction of a pipe */
    uint8_t *queue;
    size_t len, cap, peak;
    uint64_t credit; /* bytes the reader will still take */
    uint64_t moved, written;
    bool fin, fin_done;
};

struct pipe {
    bool used;
    size_t node[2]; /* opener, acceptor */
    struct ref ref[2];
    struct way way[2]; /* way[i]: written by node[i] */
    bool cut[2];       /* side i has reset or was told */
    bool stalled[2];   /* side i is not given data any more */
};

struct net;
/* May look at and change what passes; |from|: node index. */
typedef void (*net_tap)(struct net *n, struct pipe *p, size_t side, uint8_t *bytes, size_t len);

struct net {
    size_t nodes_n;
    struct node nodes[NET_NODES];
    struct pipe pipes[NET_PIPES];
    size_t pipes_high; /* pipes ever used */
    tstamp now;
    size_t chunk; /* bytes per EV_DATA */
    uint32_t next_ref;
    uint64_t units_odd, classes[256];
    net_tap tap;
    const struct mem_hooks *hooks; /* of the nodes added from now on; NULL: malloc */
    void *tap_ctx;
    struct act acts[ACTS_ROOM];
    uint8_t *bytes;
    struct acts out;
    bool overflowed;
};

static inline uint8_t net_pattern(uint64_t seed, uint64_t at)
{
    uint64_t x =
        (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + (at >> 3) * UINT64_C(0xd1b54a32d192ed03);

    x ^= x >> 29;
    return (uint8_t)(x >> (8 * (at & 7)));
}

static inline void net_key(struct node *nd, bool service, uint64_t tag)
{
    struct onion_key key = {.service = service, .tag = tag};
    struct rng rng = rng_of_stream(&nd->seed);
    struct secret_mlkem768 seed;
    struct mlkem_key *dk;

    rng_fill(&rng, key.key_id, sizeof key.key_id);
    qudag_err err = x25519_keypair(&key.x_sk, key.x, &rng);
    ASSERT(err == QUDAG_OK);
    err = mlkem768_keygen(&dk, key.k, &seed, &rng);
    ASSERT(err == QUDAG_OK);
    err = onion_key_add(nd->o, &key, dk);
    ASSERT(err == QUDAG_OK);
    nd->hop = (struct onion_hop){.peer = nd->id, .service = service};
    memcpy(nd->hop.pq_hash, nd->pq_hash, 32);
    memcpy(nd->hop.key_id, key.key_id, 8);
    memcpy(nd->hop.x, key.x, sizeof key.x);
    memcpy(nd->hop.k, key.k, sizeof key.k);
    struct netaddr at = {.family = 4, .ip = {127, 0, 0, 1}, .port = 4001};
    nd->hop.n_addrs = 1;
    multiaddr_quic(&nd->hop.addr[0], &at, &nd->id);
}

static inline void net_config(const struct net *n, size_t ix, struct onion_config *cfg)
{
    const struct node *nd = &n->nodes[ix];

    *cfg = (struct onion_config){.self = nd->id, .relay = true};
    memcpy(cfg->self_pq_hash, nd->pq_hash, 32);
}

static inline void net_add(struct net *n, const struct onion_config *with)
{
    size_t ix = n->nodes_n++;
    struct node *nd = &n->nodes[ix];
    uint8_t seed[32] = {(uint8_t)(ix + 1), 7}, pk[32] = {0};
    struct onion_config cfg;

    mem_init(&nd->mem, n->hooks, 0);
    rng_stream_init(&nd->seed, seed);
    pk[0] = (uint8_t)(ix + 1);
    peer_id_from_ed25519(&nd->id, pk);
    memset(nd->pq_hash, (int)(0xa0 + ix), 32);
    nd->props = ONION_NEED;
    net_config(n, ix, &cfg);
    if (with != NULL) {
        cfg.circuits_max = with->circuits_max;
        cfg.create_rate = with->create_rate;
        cfg.create_rate_peer = with->create_rate_peer;
        cfg.streams_max = with->streams_max;
        cfg.relay = with->relay;
    }
    cfg.mem = &nd->mem;
    cfg.rng = rng_of_stream(&nd->seed);
    qudag_err err = onion_new(&nd->o, &cfg, n->now);
    ASSERT(err == QUDAG_OK);
    net_key(nd, false, 0);
}

static inline void net_init_with(struct net *n, size_t nodes, const struct mem_hooks *hooks)
{
    memset(n, 0, sizeof *n);
    n->hooks = hooks;
    n->now = NS_PER_S;
    n->chunk = 1200;
    n->bytes = malloc(ACTS_BYTES_ROOM);
    ASSERT(n->bytes != NULL);
    n->out = (struct acts){
        .v = n->acts, .cap = ACTS_ROOM, .bytes = n->bytes, .bytes_cap = ACTS_BYTES_ROOM};
    for (size_t i = 0; i < nodes; i++) {
        net_add(n, NULL);
    }
}

static inline void net_init(struct net *n, size_t nodes)
{
    net_init_with(n, nodes, NULL);
}

static inline void net_fini(struct net *n)
{
    for (size_t i = 0; i < n->nodes_n; i++) {
        for (size_t f = 0; f < NET_FLOWS; f++) {
            free(n->nodes[i].flows[f].echo);
        }
        onion_free(n->nodes[i].o);
        ASSERT(n->nodes[i].mem.used == 0);
    }
    for (size_t i = 0; i < NET_PIPES; i++) {
        free(n->pipes[i].way[0].queue);
        free(n->pipes[i].way[1].queue);
    }
    free(n->bytes);
}

/* ---- applying actions ---- */

static inline struct pipe *net_pipe(struct net *n, size_t node, struct ref r, size_t *side)
{
    for (size_t i = 0; i < n->pipes_high; i++) {
        for (size_t s = 0; s < 2; s++) {
            if (n->pipes[i].used && n->pipes[i].node[s] == node && ref_eq(n->pipes[i].ref[s], r)) {
                *side = s;
                return &n->pipes[i];
            }
        }
    }
    return NULL;
}

static inline void net_drain(struct net *n, size_t node);

static inline void net_event(struct net *n, size_t node, const struct ev *ev)
{
    onion_ops.event(n->nodes[node].o, ev, n->now, &n->out);
    net_drain(n, node);
}

static inline struct flow *net_flow(struct node *nd, struct ref circuit, int64_t sid, bool make)
{
    for (size_t i = 0; i < nd->flows_high; i++) {
        struct flow *f = &nd->flows[i];
        if (f->used && ref_eq(f->circuit, circuit) && f->sid == sid) {
            return f;
        }
    }
    for (size_t i = 0; make && i < NET_FLOWS; i++) {
        struct flow *f = &nd->flows[i];
        if (!f->used) {
            nd->flows_high = i + 1 > nd->flows_high ? i + 1 : nd->flows_high;
            *f = (struct flow){.used = true, .circuit = circuit, .sid = sid};
            return f;
        }
    }
    return NULL;
}

static inline void net_link_data(struct node *nd, struct flow *f, struct slice data)
{
    for (size_t i = 0; i < data.len; i++) {
        f->wrong += data.base[i] != net_pattern(f->seed, f->received + i);
    }
    f->received += data.len;
    f->unread += data.len;
    if (nd->app == APP_ECHO) {
        f->echo = realloc(f->echo, f->echo_len + data.len);
        ASSERT(f->echo != NULL);
        memcpy(f->echo + f->echo_len, data.base, data.len);
        f->echo_len += data.len;
    }
}

static inline void net_link_event(struct node *nd, const struct link_ev *ev)
{
    struct flow *f = net_flow(nd, ev->link, ev->sid, ev->type == LINK_STREAM);

    ASSERT(f != NULL);
    ASSERT(!f->reset);
    switch (ev->type) {
    case LINK_STREAM:
        ASSERT(ev->data.len <= RELAY_PROTO_MAX);
        memcpy(f->proto, ev->data.base, ev->data.len);
        break;
    case LINK_DATA:
        ASSERT(!f->fin);
        net_link_data(nd, f, ev->data);
        break;
    case LINK_FIN:
        ASSERT(!f->fin);
        f->fin = true;
        break;
    case LINK_RESET:
        f->reset = true;
        f->err = ev->err;
        break;
    case LINK_SENT:
        f->sent += ev->n;
        break;
    case LINK_UP:
    case LINK_DOWN:
    case LINK_STREAMS_OK:
        ASSERT(false);
    }
}

static inline void net_up(struct node *nd, const struct act *a)
{
    if (a->kind == ONION_UP_EVENT) {
        net_link_event(nd, a->ptr);
        return;
    }
    if (nd->ups_n == NET_UPS) {
        memmove(nd->ups, nd->ups + 1, (NET_UPS - 1) * sizeof nd->ups[0]);
        nd->ups_n--;
    }
    nd->ups[nd->ups_n++] = (struct up){a->kind, a->obj, a->n, a->cookie, a->err};
}

struct net_open { /* an ACT_OPEN to be answered once the list is empty */
    size_t from;
    struct peer_id peer;
    uint64_t cookie;
    uint8_t need;
};

static inline void net_answer_open(struct net *n, const struct net_open *open)
{
    size_t to = 0, slot = 0;

    while (to < n->nodes_n && !peer_id_eq(&n->nodes[to].id, &open->peer)) {
        to++;
    }
    while (slot < NET_PIPES && n->pipes[slot].used) {
        slot++;
    }
    struct node *from = &n->nodes[open->from];
    from->refused_opens += open->need != ONION_NEED;
    if (to == n->nodes_n || n->nodes[to].down || slot == NET_PIPES) {
        net_event(n, open->from,
                  &(struct ev){.type = EV_STREAM_FAIL,
                               .cookie = open->cookie,
                               .peer = &open->peer,
                               .err = QUDAG_EUNREACHABLE});
        return;
    }
    struct pipe *p = &n->pipes[slot];
    n->pipes_high = slot + 1 > n->pipes_high ? slot + 1 : n->pipes_high;
    *p = (struct pipe){.used = true, .node = {open->from, to}};
    p->ref[0] = (struct ref){n->next_ref, 1};
    p->ref[1] = (struct ref){n->next_ref + 1, 1};
    n->next_ref += 2;
    p->way[0].credit = NET_PIPE_WINDOW;
    p->way[1].credit = NET_PIPE_WINDOW;
    struct ev in = {.type = EV_STREAM_OPEN,
                    .inbound = true,
                    .props = n->nodes[to].props,
                    .peer = &from->id,
                    .strm = p->ref[1],
                    .proto = ONION_PROTOCOL};
    struct ev out = {.type = EV_STREAM_OPEN,
                     .props = n->nodes[to].props,
                     .peer = &open->peer,
                     .strm = p->ref[0],
                     .cookie = open->cookie,
                     .proto = ONION_PROTOCOL};
    net_event(n, to, &in);
    net_event(n, open->from, &out);
}

static inline void net_apply(struct net *n, size_t node, const struct act *a)
{
    size_t side;
    struct pipe *p = net_pipe(n, node, a->strm, &side);

    ASSERT(p != NULL);
    struct way *out = &p->way[side], *in = &p->way[1 - side];
    switch (a->type) {
    case ACT_WRITE:
        ASSERT(!out->fin);
        n->units_odd += a->data.len % ONION_CELL_LEN != 0;
        for (size_t i = 0; i < a->data.len; i += ONION_CELL_LEN) {
            n->classes[a->data.base[i]]++;
        }
        if (p->cut[1 - side]) {
            break;
        }
        if (out->len + a->data.len > out->cap) {
            out->cap = (out->len + a->data.len) * 2;
            out->queue = realloc(out->queue, out->cap);
            ASSERT(out->queue != NULL);
        }
        memcpy(out->queue + out->len, a->data.base, a->data.len);
        out->len += a->data.len;
        out->written += a->data.len;
        out->peak = out->len > out->peak ? out->len : out->peak;
        break;
    case ACT_CONSUME:
        in->credit += a->n;
        ASSERT(in->credit <= NET_PIPE_WINDOW);
        break;
    case ACT_FIN:
        ASSERT(!out->fin);
        out->fin = true;
        break;
    case ACT_RESET:
        p->cut[side] = true;
        out->len = 0;
        in->len = 0;
        break;
    case ACT_OPEN:
    case ACT_UP:
        break;
    }
}

static inline void net_drain(struct net *n, size_t node)
{
    struct net_open opens[64];
    size_t opens_n = 0;

    ASSERT(!n->out.overflow);
    for (size_t i = 0; i < n->out.n; i++) {
        const struct act *a = &n->out.v[i];
        if (a->type == ACT_UP) {
            net_up(&n->nodes[node], a);
        } else if (a->type == ACT_OPEN) {
            ASSERT(opens_n < ARRAY_LEN(opens));
            opens[opens_n++] = (struct net_open){node, a->peer, a->cookie, a->need};
        } else {
            net_apply(n, node, a);
        }
    }
    n->out.n = 0;
    n->out.bytes_n = 0;
    for (size_t i = 0; i < opens_n; i++) {
        net_answer_open(n, &opens[i]);
    }
}

/* ---- running ---- */

static inline bool net_move(struct net *n, struct pipe *p, size_t side)
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

static inline bool net_app(struct net *n, size_t node)
{
    struct node *nd = &n->nodes[node];
    bool busy = false;

    for (size_t i = 0; i < nd->flows_high; i++) {
        struct flow *f = &nd->flows[i];
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
static inline bool net_round(struct net *n)
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
static inline void net_run(struct net *n)
{
    for (size_t i = 0; i < 200000; i++) {
        if (!net_round(n)) {
            return;
        }
    }
    ASSERT(false);
}

static inline void net_sleep(struct net *n, uint64_t ns)
{
    n->now += ns;
    net_run(n);
}

/* ---- what tests do ---- */

/* A circuit from node 0 through |n_hops| nodes starting at node |first|; not run yet. */
static inline qudag_err net_build(struct net *n, size_t first, size_t n_hops, struct ref *circuit)
{
    struct onion_hop *hops = calloc(n_hops, sizeof *hops);

    ASSERT(hops != NULL);
    for (size_t i = 0; i < n_hops; i++) {
        hops[i] = n->nodes[first + i].hop;
    }
    qudag_err err = onion_build(n->nodes[0].o, hops, n_hops, n->now, &n->out, circuit);
    free(hops);
    net_drain(n, 0);
    return err;
}

static inline const struct up *net_last_up(const struct node *nd, uint16_t kind)
{
    for (size_t i = nd->ups_n; i-- > 0;) {
        if (nd->ups[i].kind == kind) {
            return &nd->ups[i];
        }
    }
    return NULL;
}

static inline struct flow *net_open(struct net *n, struct ref circuit, uint64_t seed)
{
    struct node *nd = &n->nodes[0];
    int64_t sid;

    qudag_err err = onion_stream_open(nd->o, circuit, 99, "/test/1.0.0", n->now, &n->out, &sid);
    net_drain(n, 0);
    if (err != QUDAG_OK) {
        return NULL;
    }
    struct flow *f = net_flow(nd, circuit, sid, true);
    ASSERT(f != NULL);
    f->seed = seed;
    return f;
}

/* Writes |len| bytes of the pattern of |seed| from |at| on. */
static inline qudag_err net_write(struct net *n, const struct flow *f, uint64_t at, size_t len)
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
