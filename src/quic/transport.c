/* transport.c - QUIC as the swarm knows it. */
#include "quic/quic_int.h"

static bool handles(const void *owner, const struct multiaddr *addr)
{
    struct netaddr a;

    (void)owner;
    return multiaddr_to_netaddr(addr, &a) && a.port != 0 && !netaddr_is_unspecified(&a);
}

static qudag_err dial(void *owner, const struct transport_target *t, tstamp now, struct ref *out)
{
    struct quic_dial d = {.peer = t->peer, .pq_hash = t->pq_hash, .lax = t->lax, .need = t->need};

    if (!multiaddr_to_netaddr(t->addr, &d.remote)) {
        return QUDAG_EUNSUPPORTED;
    }
    if (t->local != NULL && t->local->family != 0 && t->local->family != d.remote.family) {
        return QUDAG_EUNREACHABLE; /* no socket speaks both */
    }
    d.local = t->local != NULL ? *t->local : d.local;
    return quic_dial(owner, &d, now, out);
}

/* The server counts a link as up when it has our Finished, which leaves after the handshake is complete. */
static bool cancel(void *owner, struct ref link)
{
    const struct quic *q = owner;
    const struct quic_conn *c = slots_get(&q->conns, link);

    if (c != NULL && c->completed) {
        return false;
    }
    quic_link_ops.close(owner, link, QUDAG_ECANCELED);
    return true;
}

static void probe(void *owner, struct ref link, tstamp now)
{
    quic_probe(owner, link, now);
}

static void pad(void *owner, struct ref link, const struct transport_padding *how, tstamp now)
{
    quic_pad(owner, link, how, now);
}

static qudag_err info(const void *owner, struct ref link, struct link_info *out)
{
    return quic_info(owner, link, out);
}

const struct transport quic_transport = {
    .name = "quic",
    .cost = TRANSPORT_DATAGRAM,
    .ops = &quic_link_ops,
    .handles = handles,
    .dial = dial,
    .cancel = cancel,
    .probe = probe,
    .pad = pad,
    .info = info,
};
