/* testnet_apply.h - what the actions of a core do to the network of testnet.h. */
#ifndef QUDAG_SRC_CORE_ONION_TESTNET_APPLY_H
#define QUDAG_SRC_CORE_ONION_TESTNET_APPLY_H

#include "core/onion/testnet.h"

static inline struct pipe *net_pipe(struct testnet *n, size_t node, struct ref r, size_t *side)
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

static inline void net_drain(struct testnet *n, size_t node);

static inline void net_event(struct testnet *n, size_t node, const struct ev *ev)
{
    onion_ops.event(n->nodes[node].o, ev, n->now, &n->out);
    net_drain(n, node);
}

static inline struct testnet_flow *net_flow(struct testnet_node *nd, struct ref circuit,
                                            int64_t sid, bool make)
{
    for (size_t i = 0; i < nd->flows_high; i++) {
        struct testnet_flow *f = &nd->flows[i];
        if (f->used && ref_eq(f->circuit, circuit) && f->sid == sid) {
            return f;
        }
    }
    for (size_t i = 0; make && i < NET_FLOWS; i++) {
        struct testnet_flow *f = &nd->flows[i];
        if (!f->used) {
            nd->flows_high = i + 1 > nd->flows_high ? i + 1 : nd->flows_high;
            *f = (struct testnet_flow){.used = true, .circuit = circuit, .sid = sid};
            return f;
        }
    }
    return NULL;
}

static inline void net_link_data(struct testnet_node *nd, struct testnet_flow *f, struct slice data)
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

static inline void net_link_event(struct testnet_node *nd, const struct link_ev *ev)
{
    struct testnet_flow *f = net_flow(nd, ev->link, ev->sid, ev->type == LINK_STREAM);

    ASSERT(f != NULL);
    ASSERT(!f->reset);
    switch (ev->type) {
    case LINK_STREAM:
        ASSERT(ev->data.len <= ONION_RELAY_PROTO_MAX);
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
    case LINK_ANSWERED:
    case LINK_PROVEN:
    case LINK_QUIET:
    case LINK_HEARD:
        ASSERT(false);
    }
}

static inline void net_up(struct testnet_node *nd, const struct act *a)
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

static inline void net_answer_open(struct testnet *n, const struct net_open *open)
{
    size_t to = 0, slot = 0;

    while (to < n->nodes_n && !peer_id_eq(&n->nodes[to].id, &open->peer)) {
        to++;
    }
    while (slot < NET_PIPES && n->pipes[slot].used) {
        slot++;
    }
    struct testnet_node *from = &n->nodes[open->from];
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
                    .props = n->nodes[to].props | LINK_INBOUND,
                    .peer = &from->id,
                    .net = NET_OF(open->from),
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

static inline void net_apply(struct testnet *n, size_t node, const struct act *a)
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

static inline void net_drain(struct testnet *n, size_t node)
{
    struct net_open opens[64];
    struct ref asks[64];
    size_t opens_n = 0, asks_n = 0;

    ASSERT(!n->out.overflow);
    for (size_t i = 0; i < n->out.n; i++) {
        const struct act *a = &n->out.v[i];
        if (a->type == ACT_UP && a->kind == ONION_UP_EXTEND) {
            ASSERT(asks_n < ARRAY_LEN(asks));
            asks[asks_n++] = a->obj;
            n->nodes[node].asked++;
        } else if (a->type == ACT_UP) {
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
    acts_let_go(&n->out);
    for (size_t i = 0; i < opens_n; i++) {
        net_answer_open(n, &opens[i]);
    }
    for (size_t i = 0; i < asks_n && !n->nodes[node].says_nothing; i++) {
        if (n->nodes[node].knows_nobody) {
            onion_extend_refuse(n->nodes[node].o, asks[i], n->now, &n->out);
        } else {
            onion_extend_go(n->nodes[node].o, asks[i], n->now, &n->out);
        }
        net_drain(n, node);
    }
}

#endif
