/*
 * stall.c - links on which nothing may leave any more.
 *
 *   the window is full ─ packets of loss detection ─▶ acknowledged, or lost: there is room again
 *        └ what is out is worth no second packet (its streams have ended, their copies came) ─▶ no timer, no room: over
 *
 * ngtcp2 (1.22) sends no probe for packets whose frames nobody needs any more, but counts them as in flight; where they
 * were lost and fill the window, which is two packets after a bad time, no acknowledgement can come to say so.
 */
#include "quic/stall.h"

#include "quic/quic_int.h"

void quic_stall_sent(struct quic_stall_view *v)
{
    v->sent = true;
}

void quic_stall_heard(struct quic_stall_view *v, tstamp now)
{
    v->heard = v->sent ? now : v->heard;
    v->sent = false;
}

tstamp quic_rule_stalled(const struct quic_stall_view *v, const struct quic_stall_link *l)
{
    if (v->sent || v->heard == 0 || l->timer < tstamp_after(v->heard, l->idle)) {
        return TSTAMP_NEVER;
    }
    return tstamp_after(v->heard, QUIC_STALL_LEAST + 8 * l->rtt);
}

tstamp quic_stall_due(struct quic_conn *c)
{
    struct quic_stall_link l;
    ngtcp2_conn_info info;

    if (c->state != QUIC_CONN_UP || c->stall.sent || ngtcp2_conn_get_cwnd_left(c->ng) > 0) {
        return TSTAMP_NEVER;
    }
    ngtcp2_conn_get_conn_info(c->ng, &info);
    ngtcp2_conn_set_keep_alive_timeout(c->ng, 0);
    l = (struct quic_stall_link){.rtt = info.smoothed_rtt,
                                 .idle = quic_conn_idle(c),
                                 .timer = ngtcp2_conn_get_expiry(c->ng)};
    ngtcp2_conn_set_keep_alive_timeout(c->ng, c->alive);
    return quic_rule_stalled(&c->stall, &l);
}
