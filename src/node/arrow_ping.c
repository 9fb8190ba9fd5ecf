/* arrow_ping.c - the program pings: NODE_OP_PING ─▶ ping ─ round trip ─▶ the request ends. */
#include "node/request_table.h"
#include "swarm/moves.h"

/* A stream that began on a link through a relay does not stay there once there is a direct one. */
static void leave_relay(struct node *n, const struct peer_id *peer, tstamp now, struct acts *out)
{
    struct ref idle = ping_idle(&n->ping, peer);

    if (swarm_stream_moves(n->swarm, idle, now)) {
        ping_leave(&n->ping, idle, now, out);
    }
}

qudag_err node_begin_ping(struct node *n, struct node_op *op, tstamp now)
{
    node_meets_name(n, &op->req.peer);
    struct acts *out = node_begin(n);
    leave_relay(n, &op->req.peer, now, out);
    qudag_err err = ping_start(&n->ping, &op->req.peer, node_op_cookie(op), now, out);

    node_end(n, n->ix.ping);
    return err;
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    struct node_op *op = node_op_get(n, a->cookie);
    struct node_result res = {.rtt = a->n};
    (void)now;

    if (op != NULL && op->req.kind == NODE_OP_PING) {
        if (a->err == QUDAG_OK) {
            histogram_add(&n->meters.ping, HISTOGRAM_RTT, a->n);
        }
        node_op_end(n, op, a->err, &res);
    }
}

qudag_err node_ping_init(struct node *n)
{
    struct node_core core = {.name = "ping",
                             .instance = &n->ping,
                             .ops = &ping_ops,
                             .report = report,
                             .holds = node_find_holds};

    ping_init(&n->ping, &n->cfg.rng);
    return node_core_add(n, &core, ping_ops.protocol, &n->ix.ping);
}
