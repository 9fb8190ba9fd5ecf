/*
 * unreachable.c - liveness probes: sent when the network reports a peer unreachable, and when the swarm
 * asks for one.
 *
 *   dial, nothing heard yet ─▶ ended          link ─▶ suspect ─ any packet within 2 s ─▶ as before
 *                                                           └ silence ─▶ ended
 */
#include "quic/quic_int.h"

#include <string.h>

#define SUSPECT_NS (2 * NS_PER_S)
#define PROBE_NS (200 * NS_PER_MS) /* silence after which a suspect is probed */

static void suspect(struct quic *q, struct quic_conn *c)
{
    if (list_linked(&c->suspect)) {
        return;
    }
    c->suspect_due = tstamp_after(q->now, SUSPECT_NS);
    c->suspect_accepted = c->accepted;
    list_push_back(&q->suspects, &c->suspect);
    quic_conn_alive(c, PROBE_NS);
    quic_conn_mark_dirty(c);
}

void quic_probe(struct quic *q, struct ref link, tstamp now)
{
    struct quic_conn *c = slots_get(&q->conns, link);

    q->now = now > q->now ? now : q->now;
    if (c != NULL && c->state == QUIC_CONN_UP && !c->close_wanted) {
        suspect(q, c);
    }
}

static bool unanswered_dial(const struct quic_conn *c)
{
    return c->state == QUIC_CONN_HANDSHAKE && !c->server && c->info.bytes_in == 0;
}

/* Whether |quote| begins an Initial of |c|.  Some systems quote eight bytes, no more than addresses and ports. */
static bool quotes(const struct quic_conn *c, struct slice quote)
{
    const ngtcp2_cid *id = ngtcp2_conn_get_client_initial_dcid(c->ng);
    ngtcp2_version_cid vc;

    return quote.len > 0 && (quote.base[0] & 0x80) != 0 &&
           ngtcp2_pkt_decode_version_cid(&vc, quote.base, quote.len, CID_LEN) == 0 &&
           vc.dcidlen == id->datalen && memcmp(vc.dcid, id->data, id->datalen) == 0;
}

void quic_unreachable(struct quic *q, const struct netaddr *remote, struct slice quote, tstamp now)
{
    q->now = now > q->now ? now : q->now;
    for (uint32_t i = 0; i < q->conns.high; i++) {
        struct quic_conn *c = slots_at(&q->conns, i);
        if (c == NULL || !netaddr_eq(&c->remote, remote)) {
            continue;
        }
        if (unanswered_dial(c) && quotes(c, quote)) {
            quic_conn_fail(c, QUDAG_EUNREACHABLE, "no process listens at this address", false);
        } else if (c->state == QUIC_CONN_UP) {
            suspect(q, c);
        }
    }
}

void quic_no_route(struct quic *q, const struct netaddr *remote, tstamp now)
{
    q->now = now > q->now ? now : q->now;
    for (uint32_t i = 0; i < q->conns.high; i++) {
        struct quic_conn *c = slots_at(&q->conns, i);
        if (c != NULL && netaddr_eq(&c->remote, remote) && unanswered_dial(c)) {
            quic_conn_fail(c, QUDAG_EUNREACHABLE,
                           "this host has no socket or no route to that address", false);
        }
    }
}

tstamp quic_suspects_deadline(const struct quic *q)
{
    if (list_empty(&q->suspects)) {
        return TSTAMP_NEVER;
    }
    return LIST_ENTRY(q->suspects.next, struct quic_conn, suspect)->suspect_due;
}

void quic_suspects_tick(struct quic *q)
{
    while (quic_suspects_deadline(q) <= q->now) {
        struct quic_conn *c = LIST_ENTRY(q->suspects.next, struct quic_conn, suspect);
        list_del(&c->suspect);
        if (c->accepted == c->suspect_accepted) {
            quic_conn_fail(c, QUDAG_ETIMEOUT,
                           "the peer is gone: it did not answer a liveness probe", false);
        } else {
            quic_conn_keep_alive(c);
        }
    }
}
