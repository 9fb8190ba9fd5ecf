/*
 * arrow_keep_links.c - kept peers: their links stand, are made again, and go before others.
 *
 *   program, configuration, disk ─▶ keep ─ a stream of ping is opened, dialling ─▶ swarm
 *   keep ─ addresses have failed ─▶ NODE_OP_KEEP_FIND ─▶ DHT ─▶ swarm, keep
 *   guards ─▶ keep: the link with the guard in use is held, and dialled by arrow_guards_circuits.c alone
 *
 * Kept peers are protected (tags.h) under NODE_KEEP_TAG, so that no link with them is trimmed.
 */
#include "node/request_table.h"

/* ---- the guard ---- */

void node_keep_guard(struct node *n, const struct peer_id *guard)
{
    struct node_keeping *k = &n->keeping;
    uint8_t props;

    if (guard != NULL && k->guard.len > 0 && peer_id_eq(&k->guard, guard)) {
        return;
    }
    if (k->guard.len > 0 && node_kept_find(n, &k->guard) == NULL) {
        (void)keep_release(&n->keep, &k->guard, node_begin(n));
        node_end(n, n->ix.keep);
    }
    k->guard = (struct peer_id){.len = 0};
    if (guard != NULL && keep_add(&n->keep, guard, true, swarm_connected(n->swarm, guard, &props),
                                  n->now) == QUDAG_OK) {
        k->guard = *guard;
    }
}

/* ---- the core ---- */

static void release_all(struct node *n, struct acts *out)
{
    n->keeping.releases = false;
    for (size_t i = 0; i < KEEP_MAX; i++) {
        struct node_kept *p = &n->keeping.v[i];
        if (!p->released) {
            continue;
        }
        (void)keep_release(&n->keep, &p->peer, out);
        struct peer_id was = p->peer;
        uint8_t props;
        *p = (struct node_kept){.released = false};
        bool anew = node_kept_find(n, &was) != NULL &&
                    keep_add(&n->keep, &was, false, swarm_connected(n->swarm, &was, &props),
                             n->now) == QUDAG_OK;
        if (!anew && swarm_peer_untag(n->swarm, &was, NODE_KEEP_TAG, true) != QUDAG_OK) {
            log_plain(&n->cfg.log, LOG_DEBUG, "keep.not_protected"); /* the program took it away */
        }
        if (n->keeping.guard.len > 0 && peer_id_eq(&n->keeping.guard, &was)) {
            n->keeping.guard.len = 0; /* it is held again at the next look */
        }
    }
}

static void event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    keep_ops.event(&((struct node *)node)->keep, ev, now, out);
}

static bool is_working(const struct node *n)
{
    return n->boot.started && !n->closing && n->ending.state == NODE_RUNS;
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;

    if (n->keeping.releases) {
        release_all(n, out);
    }
    if (is_working(n)) {
        keep_ops.tick(&n->keep, now, out);
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;

    if (n->keeping.releases) {
        return 0;
    }
    return is_working(n) ? keep_ops.deadline(&n->keep) : TSTAMP_NEVER;
}

static const char *open_proto(struct node *n, const struct act *open)
{
    (void)n;
    (void)open;
    return ping_ops.protocol;
}

/* The swarm may have forgotten the peer, and with it the address. */
static void note_again(struct node *n, const struct peer_id *peer)
{
    const struct node_kept *p = node_kept_find(n, peer);

    if (p != NULL && p->addr.len > 0) {
        swarm_addr_add(n->swarm, peer, &p->addr);
        node_names_keep(n, peer, &p->addr);
    }
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    struct node_request r = {.kind = NODE_OP_KEEP_FIND, .peer = a->peer};
    (void)now;

    if (a->kind == KEEP_UP_FAILED) {
        log_event(&n->cfg.log, LOG_DEBUG, "keep.failed", LOG_ERR(a->err));
        note_again(n, &a->peer);
    } else if (n->boot.phase > NODE_LOOKUP && n->boot.phase != NODE_FAILED && !n->closing) {
        (void)node_op_new(n, &r); /* without memory the addresses stay those that are known */
    }
}

void node_finish_keep_find(struct node *n, struct node_op *op, qudag_err err,
                           const struct node_result *res)
{
    if (err == QUDAG_OK && res->n_peers == 1 && res->peers->n_addrs > 0) {
        keep_found(&n->keep, &op->req.peer, n->now);
    }
    node_op_free(n, op);
}

qudag_err node_keep_init(struct node *n)
{
    static const struct core_ops ops = {
        .chooses = true, .event = event, .tick = tick, .deadline = deadline};
    struct node_core core = {
        .name = "keep", .instance = n, .ops = &ops, .report = report, .open_proto = open_proto};

    keep_init(&n->keep, &n->cfg.rng);
    qudag_err err = node_core_add(n, &core, NULL, &n->ix.keep);
    for (size_t i = 0; err == QUDAG_OK && i < n->cfg.n_keep; i++) {
        qudag_err one = node_keep_begin(n, &n->cfg.keep[i]);
        err = one == QUDAG_EINVAL ? QUDAG_OK
                                  : one; /* one list for all machines names this one, too */
    }
    return err;
}
