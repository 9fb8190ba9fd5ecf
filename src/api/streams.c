/* streams.c - qudag_stream_* and who opens them. */
#include "api/internal.h"

#include <stdio.h>
#include <string.h>

#define LENT_AT_ONCE 64 /* pieces that one call names */

_Static_assert(QUDAG_STREAM_QUEUE_MAX == NODE_STREAM_QUEUE_MAX &&
                   QUDAG_STREAM_OWNED_MAX == NODE_STREAM_OWNED_MAX &&
                   QUDAG_STREAM_OWNED_EARLY == NODE_STREAM_OWNED_EARLY &&
                   QUDAG_STREAM_EARLY_MAX == NODE_STREAM_EARLY_MAX &&
                   QUDAG_STREAMS_MAX == NODE_STREAMS_MAX &&
                   QUDAG_REQUESTS_MAX == NODE_OPS_MAX / 2 &&
                   QUDAG_PROTOCOL_LEN_MAX == SWARM_PROTO_LEN_MAX &&
                   QUDAG_LISTEN_MAX == NODE_LISTEN_MAX && QUDAG_BOOTSTRAP_MAX == NODE_BOOT_MAX &&
                   QUDAG_NAMESPACES_MAX == NODE_OPEN_NS_MAX &&
                   QUDAG_ISOLATION_MAX == NODE_ISOLATION_MAX,
               "the limits that are published are those in force");

qudag_err qudag_protocol_serve(qudag_node *n, const char *proto)
{
    return n == NULL || proto == NULL ? QUDAG_EINVAL : node_serve(n->node, proto);
}

qudag_err qudag_protocol_serve_dark(qudag_node *n, const char *proto)
{
    return n == NULL || proto == NULL ? QUDAG_EINVAL : node_serve_dark(n->node, proto);
}

static qudag_err opened(qudag_err err, struct ref s, qudag_stream *out)
{
    if (err == QUDAG_OK) {
        out->id = ref_out(s);
    }
    return err;
}

qudag_err qudag_stream_open(qudag_node *n, const qudag_peer_id *to, const char *proto,
                            qudag_stream *out)
{
    struct peer_id p;
    struct ref s = {0, 0};

    if (n == NULL || proto == NULL || out == NULL || !api_peer_in(&p, to)) {
        return QUDAG_EINVAL;
    }
    return opened(node_stream_open_peer(n->node, &p, proto, &s), s, out);
}

qudag_err qudag_circuit_stream(qudag_node *n, qudag_circuit c, const char *proto, qudag_stream *out)
{
    struct ref s = {0, 0};

    if (n == NULL || proto == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    return opened(node_stream_open_circuit(n->node, ref_in(c.id), proto, &s), s, out);
}

static qudag_err isolation_in(struct node_isolation *out, const qudag_dark_options *o)
{
    qudag_dark_options full = {.size = 0};

    if (o == NULL) {
        return QUDAG_OK;
    }
    qudag_err err = api_sized_in(&full, sizeof(full), o);
    if (err != QUDAG_OK) {
        return err;
    }
    if (full.isolation_len > sizeof(out->key)) {
        return QUDAG_EINVAL;
    }
    out->len = (uint8_t)full.isolation_len;
    out->local_user = full.local_user;
    memcpy(out->key, full.isolation, full.isolation_len);
    return QUDAG_OK;
}

qudag_err qudag_dark_open(qudag_node *n, const char *addr, const char *proto, qudag_stream *out)
{
    return qudag_dark_open_with(n, addr, proto, NULL, out);
}

qudag_err qudag_dark_open_with(qudag_node *n, const char *addr, const char *proto,
                               const qudag_dark_options *o, qudag_stream *out)
{
    struct dark_addr a;
    struct node_isolation key = {.len = 0};
    struct ref s = {0, 0};

    if (n == NULL || addr == NULL || proto == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = dark_addr_parse(&a, addr);
    if (err == QUDAG_OK) {
        err = isolation_in(&key, o);
    }
    return err != QUDAG_OK ? err
                           : opened(node_stream_open_dark(n->node, &a, proto, &key, &s), s, out);
}

qudag_err qudag_dark_progress(qudag_node *n, qudag_stream s)
{
    return n == NULL ? QUDAG_EINVAL : node_stream_progress(n->node, ref_in(s.id));
}

qudag_err qudag_stream_write(qudag_node *n, qudag_stream s, qudag_slice data, size_t *taken)
{
    if (n == NULL || taken == NULL || (data.base == NULL && data.len > 0)) {
        return QUDAG_EINVAL;
    }
    return node_stream_write(n->node, ref_in(s.id), slice_in(data), taken);
}

qudag_err qudag_stream_write_owned(qudag_node *n, qudag_stream s, qudag_slice data,
                                   qudag_release release, void *ctx)
{
    struct node_owned b = {slice_in(data), release, ctx};

    if (n == NULL || release == NULL || data.base == NULL) {
        return QUDAG_EINVAL;
    }
    return node_stream_write_owned(n->node, ref_in(s.id), &b);
}

qudag_err qudag_stream_lend(qudag_node *n, qudag_stream s)
{
    return n == NULL ? QUDAG_EINVAL : node_stream_lend(n->node, ref_in(s.id));
}

qudag_err qudag_stream_lent(qudag_node *n, qudag_stream s, qudag_slice *piece, size_t *count)
{
    struct slice in[LENT_AT_ONCE];

    if (n == NULL || count == NULL || (piece == NULL && *count > 0)) {
        return QUDAG_EINVAL;
    }
    *count = *count < LENT_AT_ONCE ? *count : LENT_AT_ONCE;
    qudag_err err = node_stream_lent(n->node, ref_in(s.id), in, count);
    for (size_t i = 0; i < *count; i++) {
        piece[i] = slice_out(in[i]);
    }
    return err;
}

void qudag_stream_consume(qudag_node *n, qudag_stream s, size_t len)
{
    if (n != NULL) {
        node_stream_consume(n->node, ref_in(s.id), len);
    }
}

void qudag_stream_fin(qudag_node *n, qudag_stream s)
{
    if (n != NULL) {
        node_stream_fin(n->node, ref_in(s.id));
    }
}

void qudag_stream_reset(qudag_node *n, qudag_stream s, qudag_err why)
{
    if (n != NULL) {
        node_stream_reset(n->node, ref_in(s.id), why == QUDAG_OK ? QUDAG_ECANCELED : why);
    }
}

qudag_err qudag_stream_set_user(qudag_node *n, qudag_stream s, void *user)
{
    if (n == NULL) {
        return QUDAG_EINVAL;
    }
    return node_stream_set_user(n->node, ref_in(s.id), user) ? QUDAG_OK : QUDAG_ESTALE;
}

void *qudag_stream_user(const qudag_node *n, qudag_stream s)
{
    return n != NULL ? node_stream_user(n->node, ref_in(s.id)) : NULL;
}

API_NO_TAIL(qudag_stream_state, pad_end);

qudag_err qudag_stream_info(const qudag_node *n, qudag_stream s, qudag_stream_state *out)
{
    struct node_stream_info info;

    if (n == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = node_stream_info_get(n->node, ref_in(s.id), &info);
    if (err != QUDAG_OK) {
        return err;
    }
    qudag_stream_state full = {.size = sizeof(full),
                               .queued = info.queued,
                               .handed = info.handed,
                               .lent = (uint32_t)info.lent,
                               .user = info.user,
                               .circuit = {ref_out(info.circuit)},
                               .open = info.open,
                               .inbound = info.inbound,
                               .anonymous = (info.props & LINK_ANON) != 0,
                               .pq_kex = (info.props & LINK_PQ_KEX) != 0,
                               .pq_auth = (info.props & LINK_PQ_AUTH) != 0,
                               .relayed = (info.props & LINK_RELAYED) != 0,
                               .limited = (info.props & LINK_LIMITED) != 0};
    api_peer_out(&full.peer, &info.peer);
    api_peer_out(&full.relay, &info.relay);
    (void)snprintf(full.protocol, sizeof(full.protocol), "%s", info.proto);
    return api_sized_out(out, &full, sizeof(full)) ? QUDAG_OK : QUDAG_EINVAL;
}

qudag_err qudag_circuit_close(qudag_node *n, qudag_circuit c)
{
    return n == NULL ? QUDAG_EINVAL : node_circuit_close(n->node, ref_in(c.id));
}
