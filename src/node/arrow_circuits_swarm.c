/*
 * arrow_circuits_swarm.c - a circuit is a link: the swarm opens streams on it as on any other.
 *
 *   swarm ─ open, write, fin ... ─▶ onion ─ cells ─▶ streams of the swarm
 *
 * The way back (events of streams inside a circuit) is circuits.c.
 */
#include "node/internal.h"

static qudag_err circuit_open(void *owner, struct ref link, uint64_t user, const char *proto,
                              int64_t *sid)
{
    struct node *n = owner;
    struct onion_stream_want want = {.circuit = link, .user = user, .proto = proto};
    struct acts *out = node_begin(n);
    qudag_err err = onion_stream_open(n->onion, &want, n->now, out, sid);

    node_end(n, n->ix.onion);
    return err;
}

static void circuit_set_user(void *owner, struct ref link, int64_t sid, uint64_t user)
{
    struct node *n = owner;

    onion_stream_set_user(n->onion, link, sid, user);
}

static qudag_err circuit_write_kept(void *owner, struct ref link, int64_t sid, struct slice data,
                                    struct buf *keep)
{
    struct node *n = owner;
    struct onion_stream_data w = {link, sid, data, keep};
    struct acts *out = node_begin(n);
    qudag_err err = onion_stream_write_kept(n->onion, &w, n->now, out);

    node_end(n, n->ix.onion);
    return err;
}

static qudag_err circuit_write(void *owner, struct ref link, int64_t sid, struct slice data)
{
    return circuit_write_kept(owner, link, sid, data, NULL);
}

static void circuit_consume(void *owner, struct ref link, int64_t sid, size_t len)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);

    onion_stream_consume(n->onion, link, sid, len, n->now, out);
    node_end(n, n->ix.onion);
}

static void circuit_fin(void *owner, struct ref link, int64_t sid)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);

    onion_stream_fin(n->onion, link, sid, n->now, out);
    node_end(n, n->ix.onion);
}

static void circuit_reset(void *owner, struct ref link, int64_t sid, qudag_err err)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);

    onion_stream_reset(n->onion, link, sid, err, n->now, out);
    node_end(n, n->ix.onion);
}

static void circuit_close(void *owner, struct ref link, qudag_err err)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);
    (void)err;

    onion_close(n->onion, link, n->now, out);
    node_end(n, n->ix.onion);
}

static const struct link_ops circuit_link_ops = {
    .open = circuit_open,
    .set_user = circuit_set_user,
    .write = circuit_write,
    .consume = circuit_consume,
    .fin = circuit_fin,
    .reset = circuit_reset,
    .close = circuit_close,
    .write_kept = circuit_write_kept,
};

/* Whoever built the circuit has proven keys of all its hops; the other end knows nobody. */
static qudag_err circuit_info(const void *owner, struct ref link, struct link_info *out)
{
    const struct node *n = owner;
    struct onion_info info;
    qudag_err err = onion_info_get(n->onion, link, &info);

    if (err != QUDAG_OK) {
        return err;
    }
    *out = (struct link_info){
        .props = LINK_ANON | LINK_PQ_KEX | LINK_NAMED, .net = info.net, .via = info.via};
    out->carried = !ref_none(info.carrier);
    out->props |= info.role == ONION_CLIENT ? LINK_PQ_AUTH : LINK_INBOUND;
    return QUDAG_OK;
}

const struct transport node_circuit_transport = {
    .name = "circuit",
    .cost = TRANSPORT_RELAYED,
    .on_demand = true,
    .ops = &circuit_link_ops,
    .info = circuit_info,
};
