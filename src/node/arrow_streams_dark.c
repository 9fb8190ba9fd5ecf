/*
 * arrow_streams_dark.c - streams of the program to dark addresses.
 *
 *   stream ─▶ is there a circuit to the address? ─ open: on it; being built: waits for it
 *     └ none ─▶ node.resolving ─ NODE_OP_STREAM_RESOLVE ─▶ dark ─ target ─▶ circuit ─▶ opened
 *
 * One circuit serves all streams to one address.
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

static void failed(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    (void)now;
    if (!c->open) { /* the cached record may be why */
        dark_target_failed(n->dark, &c->dark);
        node_streams_close_list(n, &c->waiting, err);
    }
}

static const struct node_circuit_use use = {
    .name = "dark", .to_service = true, .built = built, .failed = failed};

/* Opens |a| on |c|, now or when it is built. */
static void put_on(struct node *n, struct node_stream *a, struct node_circuit *c)
{
    list_del(&a->wait);
    if (c->open) {
        node_stream_open_now(n, a, c->onion);
    } else {
        a->via = c;
        list_push_back(&c->waiting, &a->wait);
    }
}

/* On failure |a| is left as it was. */
static qudag_err resolve(struct node *n, struct node_stream *a)
{
    struct node_circuit *c = node_circuit_to(n, &a->dark);
    struct node_request r = {.kind = NODE_OP_STREAM_RESOLVE, .dark = a->dark};

    if (c != NULL) {
        put_on(n, a, c);
    } else if (node_op_new(n, &r) != NULL) {
        list_push_back(&n->resolving, &a->wait);
    } else {
        return QUDAG_ENOMEM;
    }
    return QUDAG_OK;
}

/* No way to |dark|: the streams that waited for one are over. */
static void no_way(struct node *n, const struct dark_addr *dark, qudag_err err)
{
    struct list lost;

    list_init(&lost);
    LIST_EACH_SAFE(it, tmp, &n->resolving)
    {
        struct node_stream *a = LIST_ENTRY(it, struct node_stream, wait);
        if (memcmp(&a->dark, dark, sizeof(*dark)) == 0) {
            list_del(it);
            list_push_back(&lost, it);
        }
    }
    node_streams_close_list(n, &lost, err);
}

qudag_err node_begin_stream_resolve(struct node *n, struct node_op *op, tstamp now)
{
    struct acts *out = node_begin(n);
    qudag_err err = dark_resolve(n->dark, node_op_cookie(op), &op->req.dark, now, out);

    node_end(n, n->ix.dark);
    return err;
}

void node_finish_stream_resolve(struct node *n, struct node_op *op, qudag_err err,
                                const struct node_result *res)
{
    struct dark_addr dark = op->req.dark;
    struct node_circuit *c;

    node_op_free(n, op);
    c = node_circuit_to(n, &dark);
    if (err == QUDAG_OK && c == NULL) {
        err = node_circuit_start(n, &use, NULL, &dark, &res->target->hop, &c);
    }
    if (err != QUDAG_OK) {
        no_way(n, &dark, err);
        return;
    }
    LIST_EACH_SAFE(it, tmp, &n->resolving)
    {
        struct node_stream *a = LIST_ENTRY(it, struct node_stream, wait);
        if (memcmp(&a->dark, &dark, sizeof(dark)) == 0) {
            put_on(n, a, c);
        }
    }
}

qudag_err node_stream_open_dark(struct node *n, const struct dark_addr *to, const char *proto,
                                struct ref *out)
{
    struct node_stream *a;
    enum dark_network network = n->cfg.lab ? DARK_NET_LAB : DARK_NET_MAIN;

    if (to->network != (uint8_t)network) {
        return QUDAG_EUNSUPPORTED;
    }
    qudag_err err = node_stream_prepare(n, proto, &a);
    if (err != QUDAG_OK) {
        return err;
    }
    a->dark = *to;
    if ((err = resolve(n, a)) != QUDAG_OK) {
        node_stream_free(n, a);
        return err;
    }
    *out = a->ref;
    return QUDAG_OK;
}
