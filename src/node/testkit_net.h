/* testkit_net.h - the wire and the clock of testkit.h, and requests followed to their end. */
#ifndef QUDAG_SRC_NODE_TESTKIT_NET_H
#define QUDAG_SRC_NODE_TESTKIT_NET_H

#include "node/testkit.h"
#include "node/testkit_sock.h"

/* Addresses for trials, which every network takes. */
static const struct node_dark_of nt_direct = {DARK_DIRECT, DARK_NET_TEST};

static inline struct node_config nt_config(struct nt *nt, size_t ix)
{
    struct nt_node *t = &nt->node[ix];
    struct node_config c = {.mem = &t->mem,
                            .clock = {NT_WALL, NT_START},
                            .identity = &t->id,
                            .level = 768,
                            .dht_protocol = KAD_PROTOCOL,
                            .n_open_ns = 1,
                            .open_ns = {"app"},
                            .agent = "test",
                            .links_max = 64,
                            .circuits_max = 64,
                            .relays_min = 1,
                            .times.idle = 300 * NS_PER_S,
                            .hops = 3,
                            .relay = true,
                            .dht_server = true,
                            .lab = true,
                            .small_network = true};
    return c;
}

static inline qudag_err nt_make(struct nt *nt, size_t ix, struct node_config *c)
{
    struct nt_node *t = &nt->node[ix];
    struct node_hooks h = {.ctx = t,
                           .stream_in = nt_stream_in,
                           .stream_data = nt_stream_data,
                           .stream_opened = nt_stream_opened,
                           .stream_writable = nt_stream_writable,
                           .stream_closed = nt_stream_closed,
                           .stream_old = nt_stream_old,
                           .released = nt_released,
                           .op_done = nt_op_done,
                           .phase = nt_phase,
                           .save = nt_save,
                           .socket_open = nt_socket_open,
                           .socket_close = nt_socket_close};
    struct multiaddr ma;

    nt_identity(nt, ix);
    c->mem = &t->mem;
    c->identity = &t->id;
    c->rng = rng_of_stream(&t->stream);
    qudag_err err = node_new(&t->node, c, &h, nt->now);
    if (err == QUDAG_OK) {
        multiaddr_quic(&ma, &t->addr, NULL);
        node_set_addrs(t->node, &ma, 1);
    }
    return err;
}

static inline size_t nt_free(struct nt *nt, size_t ix)
{
    struct nt_node *t = &nt->node[ix];
    struct node *n = t->node;

    node_free(n);
    t->node = NULL;
    t->n_extra = 0;
    return t->mem.used;
}

static inline void nt_fini(struct nt *nt)
{
    while (!list_empty(&nt->wire)) {
        struct nt_pkt *p = LIST_ENTRY(nt->wire.next, struct nt_pkt, node);
        list_del(&p->node);
        free(p);
    }
    for (size_t i = 0; i < NT_NODES; i++) {
        if (nt->node[i].node != NULL) {
            (void)nt_free(nt, i);
        }
        if (nt->node[i].peer.len > 0) {
            identity_fini(&nt->node[i].id);
        }
    }
}

static inline void nt_inject(struct nt *nt, const struct netaddr *from, const struct netaddr *to,
                             const uint8_t *data, size_t len)
{
    struct rng rng = rng_of_stream(&nt->stream);

    if (nt->loss_permille > 0 && rng_below(&rng, 1000) < nt->loss_permille) {
        return;
    }
    struct nt_pkt *p = calloc(1, sizeof *p + len + 1);
    ASSERT(p != NULL);
    p->at = nt->now + 5 * NS_PER_MS;
    p->from = *from;
    p->to = *to;
    p->len = len;
    if (len > 0) {
        memcpy(p->data, data, len);
    }
    if (nt->watch != NULL) {
        nt->watch(nt, p);
    }
    if (nt->route != NULL) {
        nt->route(nt, p);
    }
    list_push_back(&nt->wire, &p->node);
}

static inline void nt_flush(struct nt *nt, struct nt_node *t)
{
    struct quic_tx tx = {.buf = nt->buf};

    while (t->node != NULL && node_send(t->node, nt->now, &tx)) {
        for (size_t at = 0; at < tx.len; at += tx.segment) {
            size_t n = tx.len - at < tx.segment ? tx.len - at : tx.segment;
            bool other = tx.local.family != 0 && tx.local.port != t->addr.port;
            if (!other || nt_has(t, &tx.local)) { /* else it was closed meanwhile */
                nt_sent(t, &tx.remote);
                nt_inject(nt, other ? &tx.local : &t->addr, &tx.remote, tx.buf + at, n);
            }
        }
        tx = (struct quic_tx){.buf = nt->buf};
    }
}

static inline void nt_deliver(struct nt *nt)
{
    struct nt_pkt *p = LIST_ENTRY(nt->wire.next, struct nt_pkt, node);

    bool found = false;

    list_del(&p->node);
    if (nt->redirect != 0 && netaddr_eq(&p->to, &nt->node[1].addr)) {
        p->to.port = nt->redirect;
    }
    for (size_t i = 0; i < NT_NODES && !found; i++) {
        struct nt_node *t = &nt->node[i];
        if (t->node != NULL && nt_has(t, &p->to)) {
            found = true;
            if (!nt_lets_in(t, &p->from)) {
                continue;
            }
            struct quic_dgram d = {.local = p->to, .remote = p->from, .data = {p->data, p->len}};
            node_recv(t->node, &d, nt->now);
        }
    }
    nt->nowhere += found ? 0 : 1;
    nt->nowhere_bytes += found ? 0 : p->len;
    free(p);
}

static inline tstamp nt_next(const struct nt *nt)
{
    tstamp at = TSTAMP_NEVER;

    if (!list_empty(&nt->wire)) {
        at = LIST_ENTRY(nt->wire.next, struct nt_pkt, node)->at;
    }
    for (size_t i = 0; i < NT_NODES; i++) {
        if (nt->node[i].node != NULL) {
            at = tstamp_min(at, node_deadline(nt->node[i].node));
        }
    }
    return at;
}

/* One round at the present instant. */
static inline void nt_step(struct nt *nt)
{
    while (!list_empty(&nt->wire) &&
           LIST_ENTRY(nt->wire.next, struct nt_pkt, node)->at <= nt->now) {
        nt_deliver(nt);
    }
    for (size_t i = 0; i < NT_NODES; i++) {
        struct nt_node *t = &nt->node[i];
        if (t->node != NULL) {
            node_drain(t->node, nt->now);
            if (node_deadline(t->node) <= nt->now) {
                node_tick(t->node, nt->now);
            }
            nt_flush(nt, t);
        }
    }
    nt->steps++;
}

/* Runs |ns|, or until |done|; whether it was done.  Stops early at steps_max. */
static inline bool nt_run(struct nt *nt, uint64_t ns, bool (*done)(struct nt *nt))
{
    tstamp until = nt->now + ns;
    unsigned spin = 0;

    for (;;) {
        nt_step(nt);
        if (done != NULL && done(nt)) {
            return true;
        }
        if (nt->steps_max != 0 && nt->steps >= nt->steps_max) {
            return false;
        }
        tstamp at = nt_next(nt);
        if (at > until) {
            nt->now = until;
            return false;
        }
        spin = at > nt->now ? 0 : spin + 1;
        ASSERT(spin < NT_SPIN_MAX);
        nt->now = at > nt->now ? at : nt->now;
    }
}

/* A stream to a dark address, with the isolation key that most programs have: none. */
static inline qudag_err nt_open_dark(struct node *n, const struct dark_addr *to, const char *proto,
                                     struct ref *out)
{
    return node_stream_open_dark(n, to, proto, &(struct node_isolation){.len = 0}, out);
}

/* Number of the request; SIZE_MAX when it was refused. */
static inline size_t nt_ask(struct nt_node *t, const struct node_request *r)
{
    struct nt_ask *a = &t->ask[t->n_asks];

    ASSERT(t->n_asks < NT_ASKS);
    memset(a, 0, sizeof *a);
    a->err = node_request(t->node, r, &a->op);
    return a->err == QUDAG_OK ? t->n_asks++ : SIZE_MAX;
}

/* Every request of |t| has ended, and none twice. */
static inline bool nt_all_ended(const struct nt_node *t)
{
    for (size_t i = 0; i < t->n_asks; i++) {
        ASSERT(t->ask[i].ends <= 1);
        if (t->ask[i].ends == 0) {
            return false;
        }
    }
    return true;
}

/* No node waits for anything it was asked. */
static inline bool nt_asked_ended(struct nt *nt)
{
    for (size_t i = 0; i < NT_NODES; i++) {
        if (!nt_all_ended(&nt->node[i])) {
            return false;
        }
    }
    return true;
}

static inline bool nt_all_ready(struct nt *nt)
{
    for (size_t i = 0; i < NT_NODES; i++) {
        if (nt->node[i].node != NULL && nt->node[i].phase != NODE_READY) {
            return false;
        }
    }
    return true;
}

static inline void nt_boot(struct nt *nt, struct node_config *c, size_t to)
{
    nt_identity(nt, to);
    multiaddr_quic(&c->boot[c->n_boot++].addr, &nt->node[to].addr, &nt->node[to].peer);
}

/* |n| nodes that know node 0, started. */
static inline void nt_network(struct nt *nt, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct node_config c = nt_config(nt, i);
        if (i > 0) {
            nt_boot(nt, &c, 0);
        }
        nt_identity(nt, i);
        c.identity = &nt->node[i].id;
        ASSERT(nt_make(nt, i, &c) == QUDAG_OK);
        node_start(nt->node[i].node);
    }
}

/* What was saved of a number, to the node made after it. */
static inline qudag_err nt_seq_restore(struct nt_node *t, const struct nt_seq *s, tstamp now)
{
    return s->len == 0 ? QUDAG_OK
                       : node_restore(t->node, s->name, (struct slice){s->bytes, s->len}, now);
}

#endif
