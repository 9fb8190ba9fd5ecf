/* datagrams.c - datagrams beside QUIC in and out, and sockets beside those that are listened on. */
#include "node/internal.h"

#include <string.h>

struct datagram_out {
    struct list node; /* in node_datagrams.queue */
    struct netaddr local, remote;
    size_t len;
    uint8_t data[];
};

struct node_sock {
    struct netaddr local;
    struct netaddr expected; /* who may begin a connection; family 0: nobody */
    bool held;               /* by its owner */
};

enum node_datagram_kind node_rule_datagram(struct slice d, const struct netaddr *from,
                                           const struct netaddr *gateway)
{
    if (d.len == 0 || d.base[0] >= 64) {
        return NODE_DATAGRAM_QUIC; /* an empty one is counted there */
    }
    if (gateway->family != 0 && gateway->port == from->port && netaddr_same_ip(gateway, from)) {
        return NODE_DATAGRAM_GATEWAY; /* PCP and NAT-PMP begin with their version, 0 and 2: before STUN */
    }
    return stun_is(d) ? NODE_DATAGRAM_STUN : NODE_DATAGRAM_NONE;
}

bool node_rule_datagram_waits(size_t waiting, size_t of_host)
{
    return waiting < NODE_DATAGRAMS_MAX && of_host < NODE_DATAGRAMS_MAX / 4;
}

/* ---- in ---- */

qudag_err node_datagrams_take(struct node *n, enum node_datagram_kind kind,
                              node_datagram_taker take)
{
    struct node_datagrams *d = &n->datagrams;

    if (d->takers == NODE_DATAGRAM_TAKERS) {
        return QUDAG_ELIMIT;
    }
    d->taker[d->takers].kind = kind;
    d->taker[d->takers++].take = take;
    return QUDAG_OK;
}

void node_datagrams_gateway(struct node *n, const struct netaddr *gateway)
{
    struct netaddr *at = &n->datagrams.gateway[gateway->family == 6 ? 1 : 0];

    *at = gateway->port != 0 ? *gateway : (struct netaddr){0};
}

static uint64_t sock_key(const struct netaddr *local)
{
    return (uint64_t)local->family << 16 | local->port;
}

static struct node_sock *sock_of(const struct node *n, const struct netaddr *local)
{
    return n->datagrams.socks.n == 0 ? NULL : map_u64_get(&n->datagrams.socks, sock_key(local));
}

static void hand_over(struct node *n, const struct node_datagram_in *in, tstamp now)
{
    struct node_datagrams *d = &n->datagrams;

    for (size_t i = 0; i < d->takers; i++) {
        if (d->taker[i].kind == in->kind && d->taker[i].take(n, in, now)) {
            return;
        }
    }
    d->unclaimed++;
}

bool node_datagrams_recv(struct node *n, struct quic_dgram *g, tstamp now)
{
    struct node_datagrams *d = &n->datagrams;
    struct node_datagram_in in = {.local = g->local, .remote = g->remote, .data = g->data};
    struct stun_msg m;

    in.kind = node_rule_datagram(g->data, &g->remote, &d->gateway[g->remote.family == 6 ? 1 : 0]);
    if (in.kind == NODE_DATAGRAM_STUN) {
        d->stun_in++;
        if (stun_parse(&m, g->data) != QUDAG_OK) {
            d->stun_bad++;
            return true;
        }
        in.stun = &m;
        hand_over(n, &in, now);
        return true;
    }
    if (in.kind == NODE_DATAGRAM_GATEWAY) {
        d->gateway_in++;
        hand_over(n, &in, now);
        return true;
    }
    const struct node_sock *s = sock_of(n, &g->local);
    g->closed = s != NULL && !netaddr_eq(&s->expected, &g->remote);
    return false;
}

/* ---- out ---- */

static uint64_t host_waiting(const struct node *n, const struct netaddr *to)
{
    const uint64_t *count = map_u64_at(&n->datagrams.hosts, netaddr_host(to));

    return count == NULL ? 0 : *count;
}

bool node_datagram(struct node *n, const struct netaddr *local, const struct netaddr *to,
                   struct slice p)
{
    struct node_datagrams *d = &n->datagrams;
    uint64_t of_host = host_waiting(n, to) + 1;

    if (p.len == 0 || p.len > NODE_DATAGRAM_LEN || (to->family != 4 && to->family != 6) ||
        (local->family != 0 && local->family != to->family) || to->port == 0) {
        return false;
    }
    if (!node_rule_datagram_waits(d->waiting, of_host - 1)) {
        d->refused++;
        return false;
    }
    struct datagram_out *w = mem_alloc_unset(n->mem, sizeof(*w) + p.len);
    if (w == NULL || map_u64_set(&d->hosts, netaddr_host(to), &of_host) != QUDAG_OK) {
        mem_free(n->mem, w);
        d->refused++;
        return false;
    }
    w->local = *local;
    w->remote = *to;
    w->len = p.len;
    memcpy(w->data, p.base, p.len);
    list_push_back(&d->queue, &w->node);
    d->waiting++;
    return true;
}

bool node_datagram_answer(struct node *n, const struct netaddr *local, const struct netaddr *to,
                          struct slice p)
{
    if (n->datagrams.waiting >= NODE_DATAGRAMS_MAX / 2) {
        n->datagrams.refused++;
        return false;
    }
    return node_datagram(n, local, to, p);
}

static void waits_no_more(struct node *n, struct datagram_out *w)
{
    struct node_datagrams *d = &n->datagrams;
    uint64_t left = host_waiting(n, &w->remote) - 1;

    if (left == 0) {
        (void)map_u64_del(&d->hosts, netaddr_host(&w->remote));
    } else if (map_u64_set(&d->hosts, netaddr_host(&w->remote), &left) != QUDAG_OK) {
        (void)map_u64_del(&d->hosts, netaddr_host(&w->remote)); /* cannot be: it is there */
    }
    list_del(&w->node);
    d->waiting--;
    mem_free(n->mem, w);
}

bool node_datagrams_send(struct node *n, struct quic_tx *tx)
{
    struct node_datagrams *d = &n->datagrams;

    if (list_empty(&d->queue)) {
        return false;
    }
    struct datagram_out *w = LIST_ENTRY(d->queue.next, struct datagram_out, node);
    memcpy(tx->buf, w->data, w->len);
    tx->local = w->local;
    tx->remote = w->remote;
    tx->ecn = 0;
    tx->len = w->len;
    tx->segment = (uint16_t)w->len;
    waits_no_more(n, w);
    d->out++;
    return true;
}

/* ---- sockets ---- */

qudag_err node_socket_open(struct node *n, uint8_t family, struct netaddr *local)
{
    struct node_datagrams *d = &n->datagrams;
    struct netaddr at = {0};

    if (n->hooks.socket_open == NULL || n->closing) {
        return QUDAG_EUNSUPPORTED;
    }
    if (d->socks.n >= NODE_SOCKETS_MAX) {
        return QUDAG_ELIMIT;
    }
    struct node_sock *s = mem_alloc(n->mem, sizeof(*s));
    if (s == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = n->hooks.socket_open(n->hooks.ctx, family, &at);
    if (err != QUDAG_OK) {
        mem_free(n->mem, s);
        return err;
    }
    *s = (struct node_sock){.local = at, .held = true};
    if (sock_of(n, &at) != NULL || map_u64_put(&d->socks, sock_key(&at), s) != QUDAG_OK) {
        n->hooks.socket_close(n->hooks.ctx, &at);
        mem_free(n->mem, s);
        return QUDAG_ENOMEM;
    }
    *local = at;
    return QUDAG_OK;
}

bool node_socket_is(const struct node *n, const struct netaddr *local)
{
    return sock_of(n, local) != NULL;
}

void node_socket_expect(struct node *n, const struct netaddr *local, const struct netaddr *remote)
{
    struct node_sock *s = sock_of(n, local);

    if (s != NULL && s->held) {
        s->expected = *remote;
    }
}

/* Its port goes back to the system; what still waits for it is lost. */
static void sock_close(struct node *n, struct node_sock *s)
{
    LIST_EACH_SAFE(it, tmp, &n->datagrams.queue)
    {
        struct datagram_out *w = LIST_ENTRY(it, struct datagram_out, node);
        if (w->local.family == s->local.family && w->local.port == s->local.port) {
            waits_no_more(n, w);
        }
    }
    (void)map_u64_del(&n->datagrams.socks, sock_key(&s->local));
    n->hooks.socket_close(n->hooks.ctx, &s->local);
    mem_free(n->mem, s);
}

void node_socket_release(struct node *n, const struct netaddr *local)
{
    struct node_datagrams *d = &n->datagrams;
    struct node_sock *s = sock_of(n, local);

    if (s == NULL || !s->held) {
        return;
    }
    s->held = false;
    s->expected = (struct netaddr){0};
    if (quic_uses(n->quic, &s->local)) {
        d->look_at = tstamp_min(d->look_at, tstamp_after(n->now, NODE_SOCKETS_LOOK_NS));
    } else {
        sock_close(n, s);
    }
}

/* A released socket that no link runs over any more. */
static struct node_sock *idle_sock(const struct node *n, bool *released)
{
    struct node_sock *s;

    *released = false;
    for (size_t it = 0; (s = map_next(&n->datagrams.socks, &it)) != NULL;) {
        if (!s->held && !quic_uses(n->quic, &s->local)) {
            return s;
        }
        *released = *released || !s->held;
    }
    return NULL;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_sock *s;
    bool released;
    (void)out;

    while ((s = idle_sock(n, &released)) != NULL) {
        sock_close(n, s);
    }
    n->datagrams.look_at = released ? tstamp_after(now, NODE_SOCKETS_LOOK_NS) : TSTAMP_NEVER;
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;

    return n->datagrams.look_at;
}

qudag_err node_datagrams_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "sockets", .instance = n, .ops = &ops};
    unsigned ix;

    return node_core_add(n, &core, NULL, &ix);
}

void node_datagrams_begin(struct node *n, const uint8_t seed[16])
{
    struct node_datagrams *d = &n->datagrams;

    list_init(&d->queue);
    map_init_u64(&d->hosts, n->mem, seed, sizeof(uint64_t), NODE_DATAGRAMS_MAX);
    map_init_u64(&d->socks, n->mem, NULL, 0, NODE_SOCKETS_MAX);
    d->look_at = TSTAMP_NEVER;
}

void node_datagrams_free(struct node *n)
{
    struct node_datagrams *d = &n->datagrams;
    void *s;

    while (!list_empty(&d->queue)) {
        waits_no_more(n, LIST_ENTRY(d->queue.next, struct datagram_out, node));
    }
    for (size_t it = 0; (s = map_next(&d->socks, &it)) != NULL;) {
        mem_free(n->mem, s);
    }
    map_fini(&d->socks);
    map_fini(&d->hosts);
}
