/*
 * ack.c - when what was received is acknowledged (spec/link.md 5.5).
 *
 *   a packet comes ─▶ an answer is written soon ─▶ takes the acknowledgement with it
 *                 └─▶ nothing to say: it waits ─ something to say, more packets, QUIC_ACK_WAIT ─▶ a packet of its own
 *
 * ngtcp2 acknowledges with whatever is written next, so all that is decided here is when something is written.
 */
#include "quic/quic_int.h"

bool quic_ack_waits(const struct quic_ack *a)
{
    return a->settled && !a->work && !a->congested && a->packets < QUIC_ACK_PACKETS;
}

void quic_conn_answer(struct quic_conn *c, bool congested)
{
    struct quic_ack a = {.settled = c->state == QUIC_CONN_UP && c->confirmed && !c->close_wanted,
                         .work = !list_empty(&c->ready),
                         .congested = congested,
                         .packets = c->unanswered};
    tstamp at = tstamp_after(c->q->now, QUIC_ACK_WAIT);

    if (list_linked(&c->dirty)) {
        return; /* something is written in this turn anyway */
    }
    if (!quic_ack_waits(&a)) {
        quic_conn_mark_dirty(c);
    } else if (c->timer.at > at) { /* from the first that waits on: an earlier time stays */
        quic_conn_timer(c, at);
    }
}
