/*
 * arrow_program_circuits.c - circuits the program asked for.
 *
 *   NODE_OP_CIRCUIT ─▶ circuits.c ─ built ─▶ the request ends; broken later ─▶ hooks.circuit_closed
 *   closed by the program ─▶ its streams, also those being opened, end with ECANCELED
 */
#include "node/request_table.h"

static void built(struct node *n, struct node_circuit *c, tstamp now)
{
    struct node_op *op = slots_get(&n->optab, c->op);
    struct node_result res = {.circuit = c->onion, .hops = c->n_hops};
    (void)now;

    if (op != NULL) {
        op->circuit = NULL;
        node_op_end(n, op, QUDAG_OK, &res);
    }
}

static void failed(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    struct node_op *op = slots_get(&n->optab, c->op);
    (void)now;

    if (!c->open && op != NULL) {
        node_op_end(n, op, err, NULL);
    } else if (c->open && n->hooks.circuit_closed != NULL) {
        n->hooks_called++;
        n->hooks.circuit_closed(n->hooks.ctx, c->onion, err);
    }
}

qudag_err node_begin_circuit(struct node *n, struct node_op *op, tstamp now)
{
    static const struct node_circuit_use use = {
        .name = "general", .meter = NODE_CIRCUIT_GENERAL, .built = built, .failed = failed};
    struct node_circuit *c;
    (void)now;

    if (op->req.hops != 0 && !node_rule_hops(op->req.hops, n->cfg.lab)) {
        return QUDAG_EINVAL;
    }
    return node_circuit_start(n, &use, op, NULL, NULL, &c);
}

void node_cancel_circuit(struct node *n, struct node_op *op, tstamp now)
{
    node_circuit_close_of(n, op, now);
    node_op_end(n, op, QUDAG_ECANCELED, NULL);
}

qudag_err node_stream_open_circuit(struct node *n, struct ref circuit, const char *proto,
                                   struct ref *out)
{
    struct node_circuit *c = node_circuit_get(n, circuit);
    struct node_stream *a;
    struct onion_info info;

    if (c == NULL || onion_info_get(n->onion, circuit, &info) != QUDAG_OK) {
        return QUDAG_ESTALE;
    }
    if (info.state != ONION_OPEN) {
        return QUDAG_ESTATE;
    }
    if (node_life_at(&c->times, n->now) != NODE_LIFE_CLEAN) {
        return QUDAG_EEXPIRED;
    }
    qudag_err err = node_stream_prepare(n, proto, &a);
    if (err == QUDAG_OK) {
        *out = a->ref;
        node_circuit_used(n, c);
        node_stream_open_now(n, a, circuit);
    }
    return err;
}

qudag_err node_circuit_close(struct node *n, struct ref circuit)
{
    node_streams_cancel_opens(n, circuit);
    return node_circuit_cancel(n, circuit);
}
