/*
 * arrow_peer_record.c - where this node is, in the DHT: its announced addresses and those through relays, signed.
 *
 *   wants.publish; addresses change, or the record grows old ─▶ NODE_OP_PEER_PUT ─▶ DHT
 */
#include "node/request_table.h"

#include <string.h>

#define SOON (500 * NS_PER_MS)  /* after a change: others may follow at once */
#define GAP (15 * NS_PER_S)     /* between two, whatever changes */
#define EVERY (2400 * NS_PER_S) /* a third of its life */
#define VAIN_MAX 8

/* What only others have seen, and nobody has tried, is told to those whom we meet, and to nobody else. */
bool node_rule_published(const struct reach_addr *a)
{
    return a->announced && a->verdict != REACH_REFUTED &&
           (a->source != REACH_OBSERVED || a->verdict == REACH_CONFIRMED);
}

static size_t addrs(const struct node *n, struct peer_record *r)
{
    struct reach_addr a;

    r->n_addrs = 0;
    for (size_t it = 0;
         reach_addr_next(&n->reach, &it, &a) && r->n_addrs < NODE_PEER_RECORD_DIRECT;) {
        if (node_rule_published(&a)) {
            r->addr[r->n_addrs++] = a.addr;
        }
    }
    for (size_t i = 0; i < n->through.n_addrs; i++) {
        r->addr[r->n_addrs++] = n->through.addr[i];
    }
    return r->n_addrs;
}

static uint64_t digest(const struct peer_record *r)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < r->n_addrs; i++) {
        for (size_t k = 0; k < r->addr[i].len; k++) {
            h = (h ^ r->addr[i].b[k]) * UINT64_C(1099511628211);
        }
    }
    return h;
}

/* The record of |r| into |w|; addresses from the end are left out where there is no room. */
static qudag_err sign(struct node *n, struct peer_record *r, struct wr *w, uint8_t *buf)
{
    qudag_err err;

    do {
        *w = wr_init(buf, NODE_PEER_RECORD_MAX);
        err = peer_record_sign(w, r, &n->cfg.identity->ed_sk);
    } while (err == QUDAG_ETOOBIG && --r->n_addrs > 0);
    return err;
}

static void publish(struct node *n, tstamp now)
{
    struct node_published *p = &n->published;
    struct peer_record *r = mem_alloc(n->mem, sizeof(*r));
    uint8_t key[NODE_PEER_KEY_MAX], buf[NODE_PEER_RECORD_MAX];
    struct node_request req = {.kind = NODE_OP_PEER_PUT};
    struct wr w;

    p->due = tstamp_after(now, GAP); /* without memory */
    if (r == NULL) {
        return;
    }
    peer_id_from_ed25519(&r->peer, n->cfg.identity->ed_pk);
    if (addrs(n, r) == 0) {
        p->due = TSTAMP_NEVER;
        mem_free(n->mem, r);
        return;
    }
    p->said = digest(r);
    r->seq = n->record_seq = node_rule_next_seq(n->record_seq, node_wall(n, now));
    node_saved_record_seq(n);
    req.key = (struct slice){key, node_rule_peer_key(key, &r->peer)};
    if (sign(n, r, &w, buf) == QUDAG_OK) {
        req.value = (struct slice){buf, w.len};
        p->running = node_op_new(n, &req) != NULL;
        p->last = now;
        p->due = p->running ? TSTAMP_NEVER : p->due;
    }
    mem_free(n->mem, r);
}

void node_finish_peer_put(struct node *n, struct node_op *op, qudag_err err,
                          const struct node_result *res)
{
    struct node_published *p = &n->published;
    (void)err;

    p->stored = (uint32_t)res->n_peers;
    p->vain = p->stored > 0 ? 0 : p->vain < VAIN_MAX ? p->vain + 1 : VAIN_MAX;
    uint64_t wait = p->vain == 0 ? EVERY : NS_PER_S << p->vain;
    node_op_free(n, op);
    p->running = false;
    tstamp next = tstamp_after(n->now, rng_jitter(&n->cfg.rng, wait, 200));
    p->due = tstamp_min(p->due, next);
    log_event(&n->cfg.log, LOG_DEBUG, "peer.record_stored", LOG_NUM("nodes", p->stored));
}

void node_published_review(struct node *n)
{
    struct node_published *p = &n->published;
    struct peer_record *r = mem_alloc(n->mem, sizeof(*r));

    if (r == NULL) {
        return; /* the next regular one says it */
    }
    if (!n->wants.publish || addrs(n, r) == 0) {
        p->due = TSTAMP_NEVER;
        p->said = 0;
    } else if (digest(r) != p->said) {
        tstamp after = p->last != 0 ? tstamp_after(p->last, GAP) : 0;
        tstamp soon = tstamp_after(n->now, SOON);
        p->due = tstamp_min(p->due, soon > after ? soon : after);
    }
    mem_free(n->mem, r);
}

void node_published_moved(struct node *n)
{
    n->published.said = 0; /* whoever keeps it may not have it from there */
    n->published.last = 0;
    node_published_review(n);
}

static bool may(const struct node *n)
{
    return n->wants.publish && !n->published.running && !n->closing &&
           n->boot.phase > NODE_LOOKUP && n->boot.phase != NODE_FAILED &&
           n->ending.state == NODE_RUNS;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    if (may(n) && n->published.due <= now) {
        publish(n, now);
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;

    return may(n) ? n->published.due : TSTAMP_NEVER;
}

qudag_err node_published_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "peer_record", .instance = n, .ops = &ops};
    unsigned ix;

    n->published.due = TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &ix);
}
