/*
 * requests.c - requests: queued by anyone, begun in the drain, ended exactly once.
 *
 *   node_request ─▶ fresh ─ type.begin ─▶ running ─ a core's report ─▶ node_op_end ─▶ who waits
 *
 * What is particular to a kind is in request_table.c.
 */
#include "node/internal.h"

#include <string.h>

static const struct node_op_type *type_of(const struct node *n, const struct node_op *op)
{
    return &n->op_types[op->req.kind];
}

static bool program_waits(const struct node *n, const struct node_op *op)
{
    return type_of(n, op)->finish == NULL;
}

struct node_op *node_op_get(struct node *n, uint64_t cookie)
{
    return slots_get(&n->optab, ref_from_u64(cookie));
}

struct node_op *node_op_new(struct node *n, const struct node_request *r)
{
    struct node_op *op = mem_alloc(n->mem, sizeof(*op) + r->key.len + r->value.len);

    if (op == NULL) {
        return NULL;
    }
    op->req = *r;
    list_init(&op->node);
    if (r->key.len > 0) {
        memcpy(op->data, r->key.base, r->key.len);
    }
    if (r->value.len > 0) {
        memcpy(op->data + r->key.len, r->value.base, r->value.len);
    }
    op->req.key.base = op->data;
    op->req.value.base = op->data + r->key.len;
    op->since = n->now;
    if (slots_add(&n->optab, op, &op->ref) != QUDAG_OK) {
        mem_free(n->mem, op);
        return NULL;
    }
    list_push_back(&n->fresh, &op->node);
    return op;
}

bool node_rule_end_takes(enum node_op_kind kind)
{
    return kind == NODE_OP_UNPUBLISH || kind == NODE_OP_DARK_UNPUBLISH ||
           kind == NODE_OP_DARK_FORGET;
}

qudag_err node_request(struct node *n, const struct node_request *r, struct ref *out)
{
    if (n->closing || (n->ending.state != NODE_RUNS && !node_rule_end_takes(r->kind))) {
        return QUDAG_ESTATE;
    }
    if (r->key.len > KAD_KEY_MAX || r->value.len > KAD_VALUE_MAX) {
        return QUDAG_ETOOBIG;
    }
    if (n->optab.n >= NODE_OPS_MAX / 2) { /* the rest is for the node's own work */
        return QUDAG_ELIMIT;
    }
    struct node_op *op = node_op_new(n, r);
    if (op == NULL) {
        return QUDAG_ENOMEM;
    }
    *out = op->ref;
    return QUDAG_OK;
}

void node_op_free(struct node *n, struct node_op *op)
{
    list_del(&op->node);
    slots_del(&n->optab, op->ref);
    mem_free(n->mem, op);
}

void node_op_again(struct node *n, struct node_op *op)
{
    list_del(&op->node);
    list_push_back(&n->fresh, &op->node);
}

void node_op_notify(struct node *n, struct node_op *op, qudag_err err)
{
    struct node_result res = {.took = n->now - op->since, .req = &op->req};

    op->notified = true;
    if (n->hooks.op_done != NULL) {
        n->hooks_called++;
        n->hooks.op_done(n->hooks.ctx, op->ref, err, &res);
    }
}

void node_op_end(struct node *n, struct node_op *op, qudag_err err, const struct node_result *res)
{
    static const struct node_result none;
    struct node_result r = res != NULL ? *res : none;
    node_meter_dht(&n->meters, op->begun ? type_of(n, op)->dht : NODE_DHT_NONE, err,
                   n->now - op->since);

    if (!program_waits(n, op)) {
        type_of(n, op)->finish(n, op, err, &r);
        return;
    }
    if (op->notified || n->hooks.op_done == NULL) {
        node_op_free(n, op);
        return;
    }
    struct ref ref = op->ref;
    r.took = n->now - op->since;
    r.req = &op->req;
    list_del(&op->node);
    slots_del(&n->optab, ref);
    n->hooks_called++;
    n->hooks.op_done(n->hooks.ctx, ref, err, &r);
    mem_free(n->mem, op); /* only now: |res| may point into it */
}

/* What changes the node's own state goes on behind the program's back, so that the disk follows. */
static void end_canceled(struct node *n, struct node_op *op, tstamp now)
{
    op->canceled = false;
    if (op->begun) {
        list_push_back(&n->running, &op->node);
        if (type_of(n, op)->cancel != NULL) {
            type_of(n, op)->cancel(n, op, now);
            return;
        }
    }
    node_op_end(n, op, QUDAG_ECANCELED, NULL);
}

/*
 * One at a time, its actions carried out before the next.
 */
bool node_op_begin_next(struct node *n, tstamp now)
{
    if (list_empty(&n->fresh) || !node_acts_room(&n->acts)) {
        return false;
    }
    struct node_op *op = LIST_ENTRY(n->fresh.next, struct node_op, node);
    list_del(&op->node);
    if (op->canceled) {
        end_canceled(n, op, now);
        return true;
    }
    list_push_back(&n->running, &op->node);
    op->since = op->begun ? op->since : now; /* begun: a lookup on another circuit */
    op->begun = true;
    qudag_err err = type_of(n, op)->begin(n, op, now);
    if (err != QUDAG_OK) {
        node_op_end(n, op, err, NULL);
    }
    return true;
}

void node_cancel(struct node *n, struct ref ref)
{
    struct node_op *op = slots_get(&n->optab, ref);

    if (op != NULL && program_waits(n, op) && !op->notified && !n->closing) {
        op->canceled = true;
        list_del(&op->node);
        list_push_front(&n->fresh, &op->node);
    }
}

/* A request whose end the program has not heard of; NULL: there is none. */
static struct node_op *waited_for(struct node *n, struct ref ref)
{
    struct node_op *op = slots_get(&n->optab, ref);

    return op == NULL || !program_waits(n, op) || op->notified ? NULL : op;
}

bool node_op_set_user(struct node *n, struct ref ref, void *user)
{
    struct node_op *op = waited_for(n, ref);

    if (op != NULL) {
        op->req.user = user;
    }
    return op != NULL;
}

bool node_op_set_owner(struct node *n, struct ref ref, void *owner)
{
    struct node_op *op = waited_for(n, ref);

    if (op != NULL) {
        op->req.owner = owner;
    }
    return op != NULL;
}

uint32_t node_ops_running(const struct node *n)
{
    const struct list *const in[] = {&n->fresh, &n->running};
    uint32_t count = 0;

    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        LIST_EACH(it, in[i])
        {
            const struct node_op *op = LIST_ENTRY(it, struct node_op, node);
            count += program_waits(n, op) && !op->notified ? 1 : 0;
        }
    }
    return count;
}

void node_ops_cancel(struct node *n)
{
    struct list *const from[] = {&n->fresh, &n->running};

    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        while (!list_empty(from[i])) {
            struct node_op *op = LIST_ENTRY(from[i]->next, struct node_op, node);
            if (program_waits(n, op)) {
                node_op_end(n, op, QUDAG_ECANCELED, NULL);
            } else {
                node_op_free(n, op);
            }
        }
    }
}
