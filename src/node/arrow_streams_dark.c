/*
 * arrow_streams_dark.c - streams of the program to dark addresses.
 *
 *   stream ─▶ may a circuit to the address carry it? ─ open: on it; being built: waits for it
 *     └ none ─▶ node.resolving ─ NODE_OP_STREAM_RESOLVE ─▶ dark ─ target ─▶ circuit ─▶ opened
 *
 * One circuit serves the streams to one address that have the same isolation key, for ten minutes at most
 * (isolation.h).  How many may be built is bounded (budget.h): where the bound is another user's doing, the address is
 * looked up all the same, and then not to be reached.
 */
#include "node/request_table.h"

#include <string.h>

static void built(struct node *n, struct node_circuit *c, tstamp now)
{
    (void)now;
    while (!list_empty(&c->waiting)) {
        struct node_stream *a = LIST_ENTRY(c->waiting.next, struct node_stream, wait);
        node_stream_open_now(n, a, c->onion);
    }
}

/* Opens |a| on |c|, now or when it is built. */
static void put_on(struct node *n, struct node_stream *a, struct node_circuit *c)
{
    list_del(&a->wait);
    node_circuit_used(n, c);
    if (c->open) {
        node_stream_open_now(n, a, c->onion);
    } else {
        a->via = c;
        list_push_back(&c->waiting, &a->wait);
    }
}

/* Whether |a| waits for the same way as a request for |dark| and |key|. */
static bool same_way(const struct node_stream *a, const struct dark_addr *dark,
                     const struct node_isolation *key)
{
    return memcmp(&a->dark, dark, sizeof(*dark)) == 0 && node_isolation_eq(&a->isolation, key);
}

static bool is_resolving(const struct node *n, const struct node_stream *a)
{
    LIST_EACH(it, &n->resolving)
    {
        if (same_way(LIST_ENTRY(it, struct node_stream, wait), &a->dark, &a->isolation)) {
            return true;
        }
    }
    return false;
}

static void give_back(struct node *n, const struct node_request *r)
{
    if (!r->over_budget) {
        node_budget_back(&n->budget, &r->dark, &r->isolation);
    }
}

/* On failure |a| is left as it was. */
static qudag_err resolve(struct node *n, struct node_stream *a)
{
    struct node_circuit *c = node_circuit_for(n, &a->dark, &a->isolation);
    struct node_request r = {.kind = NODE_OP_STREAM_RESOLVE,
                             .dark = a->dark,
                             .isolation = a->isolation,
                             .dark_user = node_isolation_user(a->isolation.key, a->isolation.len)};

    if (c != NULL) {
        put_on(n, a, c);
        return QUDAG_OK;
    }
    if (!is_resolving(n, a)) {
        qudag_err err = node_budget_take(&n->budget, &a->dark, &a->isolation, n->now);
        if (err != QUDAG_OK && err != QUDAG_EUNREACHABLE) {
            return err;
        }
        if (err ==
            QUDAG_EUNREACHABLE) { /* as somebody who was told nothing yet: it takes its time */
            log_event(&n->cfg.log, LOG_INFO, "dark.over_budget", /* of no address */
                      LOG_NUM("local_user", a->isolation.local_user));
            r.over_budget = true;
            r.dark_user = rng_u64(&n->cfg.rng);
        }
        if (node_op_new(n, &r) == NULL) {
            give_back(n, &r);
            return QUDAG_ENOMEM;
        }
    }
    list_push_back(&n->resolving, &a->wait);
    return QUDAG_OK;
}

/* The record may be why: those that wait get another target, a few times. */
static void failed(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    struct list lost;
    unsigned most = c->use->carried ? 2 : NODE_CIRCUIT_TRIES; /* SPEC: rendezvous R-27 */
    (void)now;

    if (c->open) {
        return;
    }
    if (c->use->carried && err == QUDAG_ETIMEOUT) {
        err =
            QUDAG_EUNREACHABLE; /* a service that does not answer is offline, as one whose points are gone */
    }
    if (c->use->carried ? c->target_failed : !node_budget_ours(err)) {
        /* without a circuit nobody tried the target; of a hidden one it is its points that say so */
        dark_target_failed(n->dark, &c->dark, node_isolation_user(c->key.key, c->key.len));
    }
    list_init(&lost);
    while (!list_empty(&c->waiting)) {
        struct node_stream *a = LIST_ENTRY(c->waiting.next, struct node_stream, wait);
        list_del(&a->wait);
        a->via = NULL;
        bool again = c->target_failed && !c->canceled && ++a->targets < most;
        a->target_seq = c->seq;
        if (!again || resolve(n, a) != QUDAG_OK) {
            list_push_back(&lost, &a->wait);
        }
    }
    node_streams_close_list(n, &lost, err == QUDAG_ESTALE ? QUDAG_EUNREACHABLE : err);
}

static const struct node_circuit_use use = {.name = "dark",
                                            .meter = NODE_CIRCUIT_DARK,
                                            .to_service = true,
                                            .built = built,
                                            .failed = failed};

static const struct node_circuit_use hidden = {
    .name = "hidden", .to_service = true, .carried = true, .built = built, .failed = failed};

/*
 * No way for |r|: the streams that waited for one are over; |seq| not 0: those of which that record led nowhere before.
 * Whether others wait.
 */
static bool no_way(struct node *n, const struct node_request *r, uint64_t seq, qudag_err err)
{
    struct list lost;
    bool others = false;

    list_init(&lost);
    LIST_EACH_SAFE(it, tmp, &n->resolving)
    {
        const struct node_stream *a = LIST_ENTRY(it, struct node_stream, wait);
        if (same_way(a, &r->dark, &r->isolation)) {
            if (seq == 0 || (a->targets > 0 && a->target_seq == seq)) {
                list_del(it);
                list_push_back(&lost, it);
            } else {
                others = true;
            }
        }
    }
    node_streams_close_list(n, &lost, err);
    return others;
}

qudag_err node_begin_stream_resolve(struct node *n, struct node_op *op, tstamp now)
{
    const struct dark_question q = {node_op_cookie(op), &op->req.dark, op->req.dark_user};
    struct acts *out = node_begin(n);
    qudag_err err = dark_resolve(n->dark, &q, now, out);

    node_end(n, n->ix.dark);
    op->asked = err == QUDAG_OK;
    return err;
}

/* The circuit of |key| to what a record leads to; a hidden service is called.  *out as of node_circuit_start(). */
static qudag_err begin_circuit(struct node *n, const struct node_request *r,
                               const struct dark_target *to, struct node_circuit **out)
{
    qudag_err err = to->kind == DARK_HIDDEN
                        ? node_hidden_call(n, &hidden, &r->dark, &to->hidden, out)
                        : node_circuit_start(n, &use, NULL, &r->dark, &to->hop, out);

    if (err == QUDAG_OK) {
        (*out)->key = r->isolation;
        (*out)->seq = to->kind == DARK_HIDDEN ? to->seq : 0;
    }
    return err;
}

void node_finish_stream_resolve(struct node *n, struct node_op *op, qudag_err err,
                                const struct node_result *res)
{
    struct node_request r = op->req;
    struct node_circuit *c;

    /* nobody was asked: what is wrong is the address, or was known before */
    bool unasked = err != QUDAG_OK && (!op->asked || res->cached);
    node_op_free(n, op);
    err = err == QUDAG_OK && r.over_budget ? QUDAG_EUNREACHABLE : err;
    c = node_circuit_for(n, &r.dark, &r.isolation);
    if (err == QUDAG_OK && c == NULL && res->target->kind == DARK_HIDDEN &&
        !no_way(n, &r, res->target->seq, QUDAG_EUNREACHABLE)) {
        give_back(n, &r); /* SPEC: rendezvous R-27: there is no newer record */
        return;
    }
    if (err == QUDAG_OK && c == NULL) {
        err = begin_circuit(n, &r, res->target, &c);
    }
    if (unasked || node_budget_ours(err)) {
        give_back(n, &r);
    }
    if (err == QUDAG_ENEEDAUTH && !r.over_budget) {
        node_budget_locked(&n->budget, &r.dark, &r.isolation);
    }
    if (err != QUDAG_OK) {
        (void)no_way(n, &r, 0, err);
        return;
    }
    LIST_EACH_SAFE(it, tmp, &n->resolving)
    {
        struct node_stream *a = LIST_ENTRY(it, struct node_stream, wait);
        if (same_way(a, &r.dark, &r.isolation)) {
            put_on(n, a, c);
        }
    }
}

qudag_err node_stream_open_dark(struct node *n, const struct dark_addr *to, const char *proto,
                                const struct node_isolation *key, struct ref *out)
{
    struct node_stream *a;

    if (!node_dark_takes(n, to)) {
        return QUDAG_EUNSUPPORTED;
    }
    qudag_err err = node_stream_prepare(n, proto, &a);
    if (err != QUDAG_OK) {
        return err;
    }
    a->dark = *to;
    a->isolation = *key;
    if ((err = resolve(n, a)) != QUDAG_OK) {
        node_stream_free(n, a);
        return err;
    }
    *out = a->ref;
    return QUDAG_OK;
}

qudag_err node_stream_progress(struct node *n, struct ref s)
{
    const struct node_stream *a = slots_get(&n->strmtab, s);

    if (a == NULL) {
        return QUDAG_ESTALE;
    }
    node_budget_progress(&n->budget, &a->dark, &a->isolation);
    return QUDAG_OK;
}
