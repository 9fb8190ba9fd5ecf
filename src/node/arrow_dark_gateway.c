/*
 * arrow_dark_gateway.c - the records of dark addresses, through circuits.
 *
 *   dark ─ wants a record ─▶ NODE_OP_LOOKUP_* ─ a fresh circuit ─▶ gateway at its end ─▶ DHT
 *     ◀──────────────────────────────────────────────────────────────────┘
 *
 * Every lookup has a circuit of its own, closed afterwards: what one relay sees cannot be joined.
 */
#include "node/request_table.h"

static bool is_put(const struct node_op *op)
{
    return op->req.kind == NODE_OP_LOOKUP_PUT;
}

static void built(struct node *n, struct node_circuit *c, tstamp now)
{
    struct node_op *op = slots_get(&n->optab, c->op);
    qudag_err err;

    if (op == NULL) {
        return;
    }
    struct gateway_request req = {.circuit = c->onion,
                                  .cookie = node_op_cookie(op),
                                  .key = op->req.key,
                                  .value = op->req.value};
    struct acts *out = node_begin(n);
    if (is_put(op)) {
        err = gateway_put(n->gateway, &req, now, out);
    } else {
        err = gateway_get(n->gateway, &req, now, out);
    }
    node_end(n, n->ix.gateway);
    op->asked = err == QUDAG_OK;
    if (err != QUDAG_OK) {
        node_op_end(n, op, err, NULL);
    }
}

static void failed(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    struct node_op *op = slots_get(&n->optab, c->op);
    (void)now;

    if (op != NULL) {
        node_op_end(n, op, c->open ? QUDAG_ECIRCUIT : err, NULL);
    }
}

qudag_err node_begin_lookup(struct node *n, struct node_op *op, tstamp now)
{
    static const struct node_circuit_use use = {.name = "lookup", .built = built, .failed = failed};
    struct node_circuit *c;
    (void)now;

    return node_circuit_start(n, &use, op, NULL, NULL, &c);
}

void node_finish_lookup(struct node *n, struct node_op *op, qudag_err err,
                        const struct node_result *res)
{
    op->asked = false;
    node_circuit_close_of(n, op, n->now);
    if (node_rule_another_circuit(err) && ++op->tries < NODE_CIRCUIT_TRIES) {
        node_op_again(n, op);
        return;
    }
    struct acts *out = node_begin(n);
    if (is_put(op)) {
        dark_put_done(n->dark, op->cookie, err, res->count, n->now, out);
    } else {
        dark_get_done(n->dark, op->cookie, err, res->value, n->now, out);
    }
    node_end(n, n->ix.dark);
    node_op_free(n, op);
}

void node_dark_put(struct node *n, const struct act *a, tstamp now)
{
    const struct dark_wanted *wanted = a->ptr;
    struct node_request r = {
        .kind = NODE_OP_LOOKUP_PUT, .key = wanted->key, .value = wanted->record};
    struct node_op *op = node_op_new(n, &r);

    if (op != NULL) {
        op->cookie = a->cookie;
        return;
    }
    dark_put_done(n->dark, a->cookie, QUDAG_ENOMEM, 0, now, node_begin(n));
    node_end(n, n->ix.dark);
}

void node_dark_get(struct node *n, const struct act *a, tstamp now)
{
    struct node_request r = {.kind = NODE_OP_LOOKUP_GET, .key = a->data};
    struct node_op *op = a->data.len == DARK_KEY_LEN ? node_op_new(n, &r) : NULL;

    if (op != NULL) {
        op->cookie = a->cookie;
        return;
    }
    struct acts *out = node_begin(n);
    dark_get_done(n->dark, a->cookie, QUDAG_ENOMEM, (struct slice){NULL, 0}, now, out);
    node_end(n, n->ix.dark);
}
