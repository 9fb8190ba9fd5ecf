/*
 * arrow_dark_gateway.c - the records of dark addresses, through circuits.
 *
 *   dark ─ wants a record ─▶ NODE_OP_LOOKUP_* ─ a fresh circuit ─▶ gateway at its end ─▶ DHT
 *     ◀──────────────────────────────────────────────────────────────────┘
 *
 * Every lookup has a circuit of its own, which is closed some time later (spent.c): what one relay sees cannot be
 * joined.  With the answer goes who gave it, so that the core can ask somebody else for the same.
 */
#include "node/request_table.h"

#include <string.h>

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
    c->asked_at = now;
    c->unanswered = op->asked;
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
    static const struct node_circuit_use use = {.name = "lookup",
                                                .meter = NODE_CIRCUIT_LOOKUP,
                                                .exchanges = true,
                                                .built = built,
                                                .failed = failed};
    struct node_circuit *c;
    (void)now;

    return node_circuit_start(n, &use, op, NULL, NULL, &c);
}

void node_finish_lookup(struct node *n, struct node_op *op, qudag_err err,
                        const struct node_result *res)
{
    struct dark_answer ans = {
        .cookie = op->cookie, .err = err, .record = res->value, .stored = res->count};

    if (op->asked && (err == QUDAG_OK || err == QUDAG_ENOTFOUND)) {
        ans.exit = op->circuit->path[op->circuit->n_hops - 1].peer; /* whose word it is */
        node_padding_answered(n, op->circuit, n->now);
    }
    op->asked = false;
    node_circuit_spent(n, op, err, n->now);
    if (node_rule_another_circuit(err) && ++op->tries < NODE_CIRCUIT_TRIES) {
        node_op_again(n, op);
        return;
    }
    struct acts *out = node_begin(n);
    if (is_put(op)) {
        dark_put_done(n->dark, &ans, n->now, out);
    } else {
        dark_get_done(n->dark, &ans, n->now, out);
    }
    node_end(n, n->ix.dark);
    node_op_free(n, op);
}

void node_dark_wanted(struct node *n, const struct act *a, tstamp now)
{
    const struct dark_wanted *wanted = a->ptr;
    bool put = a->kind == DARK_UP_PUT;
    struct node_request r = {.kind = put ? NODE_OP_LOOKUP_PUT : NODE_OP_LOOKUP_GET,
                             .peer = wanted->apart,
                             .key = wanted->key,
                             .value = wanted->record};
    struct node_op *op = node_op_new(n, &r);

    if (op != NULL) {
        op->cookie = a->cookie;
        return;
    }
    struct dark_answer ans = {.cookie = a->cookie, .err = QUDAG_ENOMEM};
    struct acts *out = node_begin(n);
    if (put) {
        dark_put_done(n->dark, &ans, now, out);
    } else {
        dark_get_done(n->dark, &ans, now, out);
    }
    node_end(n, n->ix.dark);
}
