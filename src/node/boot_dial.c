/*
 * boot_dial.c - dialling bootstrap peers and contacts of the last run: all peers at once, the addresses of one peer one
 * after the other (RFC 8305, swarm_rule_next_dial), so that a peer with several gets one link.
 *
 *   each peer: IPv6 first, if it has both ─ answered ─▶ its other addresses are left out, those under way given up
 *                                         ├ failed ──▶ the next
 *                                         └ SWARM_ATTEMPT_DELAY ─▶ the next beside it
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

static void begin(struct node *n, size_t i)
{
    struct node_boot_dial *d = &n->boot.dial[i];
    struct node_request r = {.kind = NODE_OP_BOOT_DIAL, .addr = *addr_of(n, i)};

    if (i < n->cfg.n_boot) {
        r.has_pq = n->cfg.boot[i].has_pq;
        memcpy(r.pq_hash, n->cfg.boot[i].pq_hash, sizeof(r.pq_hash));
    }
    const struct node_op *op = node_op_new(n, &r);
    d->begun = n->now;
    d->state = op != NULL ? NODE_BOOT_DIALS : NODE_BOOT_ENDED;
    d->cookie = op != NULL ? node_op_cookie(op) : 0;
    n->boot.ended += op == NULL ? 1 : 0;
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

void node_boot_dial_ended(struct node *n, uint64_t cookie, bool answered)
{
    struct node_boot_state *b = &n->boot;
    size_t i = 0;

    while (i < b->n_dials && (b->dial[i].state != NODE_BOOT_DIALS || b->dial[i].cookie != cookie)) {
        i++;
    }
    if (i == b->n_dials) {
        return; /* of an earlier attempt */
    }
    b->ended++;
    b->answered += answered ? 1 : 0;
    b->dial[i].state = answered ? NODE_BOOT_ANSWERED : NODE_BOOT_ENDED;
    for (size_t j = 0; answered && j < b->n_dials; j++) {
        struct node_boot_dial *d = &b->dial[j];
        if (d->state == NODE_BOOT_DIALS && same_peer(n, i, j)) {
            node_names_stop(n, d->cookie);
        }
    }
    node_boot_dial_more(n);
}
