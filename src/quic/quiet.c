/*
 * quiet.c - paths that may have died.
 *
 *   a packet that must be acknowledged leaves ─▶ asked ─ an authentic packet ─▶ nothing is outstanding
 *         └ 3 PTO: LINK_QUIET ─ pinged every QUIC_QUIET_PING ─ an authentic packet: LINK_HEARD
 *
 * One lost packet is no sign: two probes (RFC 9002 6.2) and all that was sent beside them must have stayed unanswered.
 * A link that carries cells says so, too, but is not pinged: its packets show the number of cells and no more.
 */
#include "quic/quic_int.h"

uint64_t quic_rule_quiet(uint64_t pto_ns)
{
    uint64_t ns = pto_ns > QUIC_QUIET_MOST ? QUIC_QUIET_MOST : pto_ns * QUIC_QUIET_PTO;

    ns = ns < QUIC_QUIET_LEAST ? QUIC_QUIET_LEAST : ns;
    return ns > QUIC_QUIET_MOST ? QUIC_QUIET_MOST : ns;
}

static bool tell(struct quic_conn *c, enum link_ev_type type)
{
    struct link_ev ev = {.type = type, .link = c->ref};

    return c->announced && !c->muted && quic_ev_push(c->q, &ev);
}

void quic_quiet_sent(struct quic_conn *c)
{
    if (c->state == QUIC_CONN_UP && c->outstanding == 0) {
        c->outstanding = c->q->now;
    }
    if (c->q->now >= tstamp_after(c->traffic_at, QUIC_KEPT_IDLE)) {
        c->kept = 0;
    }
    c->traffic_at = c->q->now;
    quic_quiet_look(c);
}

/* The peer spoke first after a time: it keeps the path alive. */
static void kept_alive(struct quic_conn *c)
{
    bool idle = c->q->now >= tstamp_after(c->traffic_at, QUIC_KEPT_IDLE);

    c->traffic_at = c->q->now;
    if (idle && c->outstanding == 0 && c->kept < QUIC_KEPT_TIMES && ++c->kept == QUIC_KEPT_TIMES &&
        !c->probed && !list_linked(&c->suspect)) {
        quic_conn_keep_alive(c);
    }
}

void quic_quiet_heard(struct quic_conn *c)
{
    kept_alive(c);
    c->outstanding = 0;
    if (!c->quiet) {
        return;
    }
    c->quiet = false;
    (void)tell(c, LINK_HEARD);
    if (!c->probed && !list_linked(&c->suspect)) {
        quic_conn_keep_alive(c);
    }
}

static bool is_left_alone(const struct quic_conn *c)
{
    return c == NULL || c->state != QUIC_CONN_UP || c->close_wanted || c->celled ||
           c->padding.most_ns != 0;
}

static void ask(struct quic_conn *c)
{
    c->probed = true; /* until it is heard */
    quic_conn_alive(c, QUIC_QUIET_PING);
    quic_conn_mark_dirty(c);
}

void quic_ask_all(struct quic *q, tstamp now)
{
    q->now = now > q->now ? now : q->now;
    for (uint32_t i = 0; i < q->conns.high; i++) {
        struct quic_conn *c = slots_at(&q->conns, i);
        if (!is_left_alone(c)) {
            ask(c);
        }
    }
}

void quic_ask_oldest(struct quic *q, tstamp now)
{
    struct quic_conn *oldest = NULL;

    q->now = now > q->now ? now : q->now;
    for (uint32_t i = 0; i < q->conns.high; i++) {
        struct quic_conn *c = slots_at(&q->conns, i);
        if (!is_left_alone(c) && !c->probed && !c->quiet &&
            (oldest == NULL || c->traffic_at < oldest->traffic_at)) {
            oldest = c;
        }
    }
    if (oldest != NULL) {
        ask(oldest);
    }
}

void quic_set_plain_keepalive(struct quic *q, uint8_t family, uint64_t ns)
{
    uint64_t *of = &q->plain_keepalive[family == 6 ? 1 : 0];

    if (*of == ns) {
        return;
    }
    *of = ns;
    for (uint32_t i = 0; i < q->conns.high; i++) {
        struct quic_conn *c = slots_at(&q->conns, i);
        bool asked = c != NULL && (c->probed || c->quiet || list_linked(&c->suspect));
        if (!is_left_alone(c) && !asked) {
            quic_conn_keep_alive(c);
            quic_conn_mark_dirty(c);
        }
    }
}

void quic_quiet_look(struct quic_conn *c)
{
    if (c->state != QUIC_CONN_UP || c->quiet || c->outstanding == 0 || c->close_wanted ||
        c->q->now < tstamp_after(c->outstanding, quic_rule_quiet(ngtcp2_conn_get_pto(c->ng)))) {
        return;
    }
    c->quiet = tell(c, LINK_QUIET);
    if (c->quiet && !c->celled && c->padding.most_ns == 0) {
        quic_conn_alive(c, QUIC_QUIET_PING);
        quic_conn_mark_dirty(c);
    }
}
