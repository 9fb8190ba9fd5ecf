/* streams.c - qudag_stream_* and who opens them. */
#include "api/internal.h"

qudag_err qudag_protocol_serve(qudag_node *n, const char *proto)
{
    return n == NULL || proto == NULL ? QUDAG_EINVAL : app_serve(n->node, proto);
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

    if (n == NULL || proto == NULL || out == NULL || !peer_in(&p, to)) {
        return QUDAG_EINVAL;
    }
    return opened(app_open_peer(n->node, &p, proto, &s), s, out);
}

qudag_err qudag_circuit_stream(qudag_node *n, qudag_circuit c, const char *proto, qudag_stream *out)
{
    struct ref s = {0, 0};

    if (n == NULL || proto == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    return opened(app_open_circuit(n->node, ref_in(c.id), proto, &s), s, out);
}

qudag_err qudag_dark_open(qudag_node *n, const char *addr, const char *proto, qudag_stream *out)
{
    struct dark_addr a;
    struct ref s = {0, 0};

    if (n == NULL || addr == NULL || proto == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = dark_addr_parse(&a, addr);
    return err != QUDAG_OK ? err : opened(app_open_dark(n->node, &a, proto, &s), s, out);
}

qudag_err qudag_stream_write(qudag_node *n, qudag_stream s, qudag_slice data, size_t *taken)
{
    if (n == NULL || taken == NULL || (data.base == NULL && data.len > 0)) {
        return QUDAG_EINVAL;
    }
    return app_write(n->node, ref_in(s.id), slice_in(data), taken);
}

void qudag_stream_consume(qudag_node *n, qudag_stream s, size_t len)
{
    if (n != NULL) {
        app_consume(n->node, ref_in(s.id), len);
    }
}

void qudag_stream_fin(qudag_node *n, qudag_stream s)
{
    if (n != NULL) {
        app_fin(n->node, ref_in(s.id));
    }
}

void qudag_stream_reset(qudag_node *n, qudag_stream s)
{
    if (n != NULL) {
        app_reset(n->node, ref_in(s.id));
    }
}

qudag_err qudag_circuit_close(qudag_node *n, qudag_circuit c)
{
    return n == NULL ? QUDAG_EINVAL : node_circuit_close(n->node, ref_in(c.id));
}
