/*
 * boot_dial.c - dialling bootstrap peers and contacts of the last run: all peers at once, the addresses of one peer one
 * after the other (RFC 8305, swarm_rule_next_dial), so that a peer with several gets one link.
 *
 *   each peer: IPv6 first, if it has both ─ answered ─▶ its other addresses are left out, those under way given up
 *                                         ├ failed ──▶ the next
 *                                         └ SWARM_ATTEMPT_DELAY ─▶ the next beside it
 *   a peer of the list at QUIC addresses only ─ NODE_TCP_TWIN_AFTER, or it failed ─▶ the same port of TCP beside it
 */
#include "node/internal.h"

#include <string.h>

bool node_rule_boot_dial(const struct node_boot_group *g, tstamp now)
{
    return !g->answered &&
           (g->under_way == 0 || now >= tstamp_after(g->begun, SWARM_ATTEMPT_DELAY));
}

static const struct multiaddr *addr_of(const struct node *n, size_t i)
{
    return i < n->cfg.n_boot ? &n->cfg.boot[i].addr : &n->anchor[i - n->cfg.n_boot];
}

static bool same_peer(const struct node *n, size_t i, size_t j)
{
    struct peer_id a, b;

    return i == j || (multiaddr_peer(addr_of(n, i), &a) && multiaddr_peer(addr_of(n, j), &b) &&
                      peer_id_eq(&a, &b));
}

/* What goes on with the peer of |i|; *next: which of its addresses comes next, n_dials: none. */
static struct node_boot_group look(const struct node *n, size_t i, size_t *next)
{
    const struct node_boot_state *b = &n->boot;
    struct swarm_candidate c[ARRAY_LEN(b->dial)] = {{0}};
    size_t its[ARRAY_LEN(b->dial) + 1], n_its = 0;
    struct node_boot_group g = {.begun = 0};

    for (size_t j = i; j < b->n_dials; j++) {
        const struct node_boot_dial *d = &b->dial[j];
        struct netaddr a = {0};
        if (!same_peer(n, i, j)) {
            continue;
        }
        g.answered = g.answered || d->state == NODE_BOOT_ANSWERED;
        g.under_way += d->state == NODE_BOOT_DIALS ? 1 : 0;
        g.begun = d->begun > g.begun ? d->begun : g.begun;
        (void)multiaddr_endpoint(addr_of(n, j), &a);
        (void)swarm_dials(n->swarm, addr_of(n, j), &c[n_its].cost); /* a name: as the best */
        c[n_its].family = a.family;
        c[n_its].tried = d->state != NODE_BOOT_WAITS;
        its[n_its++] = j;
    }
    its[n_its] = b->n_dials;
    *next = its[swarm_rule_next_dial(c, n_its)];
    return g;
}

static bool is_first(const struct node *n, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (same_peer(n, i, j)) {
            return false;
        }
    }
    return true;
}

/* The cookie of a dial at |addr|, of the entry |i|; 0: no memory. */
static uint64_t dial_at(struct node *n, size_t i, const struct multiaddr *addr)
{
    struct node_request r = {.kind = NODE_OP_BOOT_DIAL, .addr = *addr};

    if (i < n->cfg.n_boot) {
        r.has_pq = n->cfg.boot[i].has_pq;
        memcpy(r.pq_hash, n->cfg.boot[i].pq_hash, sizeof(r.pq_hash));
    }
    const struct node_op *op = node_op_new(n, &r);
    return op != NULL ? node_op_cookie(op) : 0;
}

static void begin(struct node *n, size_t i)
{
    struct node_boot_dial *d = &n->boot.dial[i];

    d->begun = n->now;
    d->cookie = dial_at(n, i, addr_of(n, i));
    d->state = d->cookie != 0 ? NODE_BOOT_DIALS : NODE_BOOT_ENDED;
    n->boot.ended += d->cookie == 0 ? 1 : 0;
}

/* Whether the entry |i| may be tried by TCP too: |*twin|.  Not one whose peer has an address of TCP in the list. */
static bool has_twin(const struct node *n, size_t i, struct multiaddr *twin)
{
    struct netaddr a;

    if (n->tcp == NULL || i >= n->cfg.n_boot || n->boot.dial[i].twinned ||
        !node_rule_tcp_twin(addr_of(n, i), twin)) {
        return false;
    }
    for (size_t j = 0; j < n->cfg.n_boot; j++) {
        if (multiaddr_to_tcp(addr_of(n, j), &a) && same_peer(n, i, j)) {
            return false;
        }
    }
    return true;
}

static bool begin_twin(struct node *n, size_t i)
{
    struct node_boot_dial *d = &n->boot.dial[i];
    struct multiaddr twin;

    if (!has_twin(n, i, &twin)) {
        return false;
    }
    d->twinned = true;
    d->twin = dial_at(n, i, &twin);
    return d->twin != 0;
}

/* Twins that are due; when the next one is goes into more_at. */
static void begin_twins(struct node *n)
{
    struct node_boot_state *b = &n->boot;
    struct multiaddr twin;

    for (size_t i = 0; i < b->n_dials && i < n->cfg.n_boot; i++) {
        if (b->dial[i].state != NODE_BOOT_DIALS || !has_twin(n, i, &twin)) {
            continue;
        }
        tstamp at = tstamp_after(b->dial[i].begun, NODE_TCP_TWIN_AFTER);
        if (at <= n->now) {
            (void)begin_twin(n, i);
        } else {
            b->more_at = tstamp_min(b->more_at, at);
        }
    }
}

void node_boot_dial_more(struct node *n)
{
    struct node_boot_state *b = &n->boot;
    size_t next;

    b->more_at = TSTAMP_NEVER;
    for (size_t i = 0; i < b->n_dials; i++) {
        if (!is_first(n, i)) {
            continue;
        }
        struct node_boot_group g = look(n, i, &next);
        while (next < b->n_dials && node_rule_boot_dial(&g, n->now)) {
            begin(n, next);
            g = look(n, i, &next);
        }
        if (next < b->n_dials && !g.answered) {
            b->more_at = tstamp_min(b->more_at, tstamp_after(g.begun, SWARM_ATTEMPT_DELAY));
        }
    }
    begin_twins(n);
}

void node_boot_dial_all(struct node *n, bool anchors)
{
    struct node_boot_state *b = &n->boot;
    struct peer_id id;

    b->answered = b->ended = b->looked = 0;
    b->why = (struct node_join_why){.err = QUDAG_OK};
    b->n_dials = n->cfg.n_boot + (anchors ? n->n_anchors : 0);
    b->dialled = (uint32_t)b->n_dials;
    memset(b->dial, 0, sizeof(b->dial));
    for (size_t i = 0; i < n->cfg.n_boot; i++) {
        const struct node_boot *nb = &n->cfg.boot[i];
        if (nb->has_pq && multiaddr_peer(&nb->addr, &id)) {
            node_links_pin(n, NODE_PIN_OPERATOR, &id, nb->pq_hash);
        }
    }
    node_boot_dial_more(n);
}

/* One of the two dials of |d| has ended; whether the other goes on. */
static bool goes_on(struct node *n, size_t i, uint64_t cookie, bool answered)
{
    struct node_boot_dial *d = &n->boot.dial[i];

    *(d->cookie == cookie ? &d->cookie : &d->twin) = 0;
    if (answered) {
        return false;
    }
    return d->cookie != 0 || d->twin != 0 || begin_twin(n, i);
}

static void stop(struct node *n, const struct node_boot_dial *d)
{
    if (d->cookie != 0) {
        node_names_stop(n, d->cookie);
    }
    if (d->twin != 0) {
        node_names_stop(n, d->twin);
    }
}

void node_boot_dial_ended(struct node *n, uint64_t cookie, bool answered)
{
    struct node_boot_state *b = &n->boot;
    size_t i = 0;

    while (i < b->n_dials && (b->dial[i].state != NODE_BOOT_DIALS ||
                              (b->dial[i].cookie != cookie && b->dial[i].twin != cookie))) {
        i++;
    }
    if (i == b->n_dials || goes_on(n, i, cookie, answered)) {
        return; /* of an earlier attempt, or not over */
    }
    b->ended++;
    b->answered += answered ? 1 : 0;
    b->dial[i].state = answered ? NODE_BOOT_ANSWERED : NODE_BOOT_ENDED;
    for (size_t j = 0; answered && j < b->n_dials; j++) {
        struct node_boot_dial *d = &b->dial[j];
        if (j == i || (d->state == NODE_BOOT_DIALS && same_peer(n, i, j))) {
            stop(n, d);
        }
    }
    node_boot_dial_more(n);
}
