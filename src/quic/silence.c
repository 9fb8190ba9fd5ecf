/*
 * silence.c - links whose peer died without a word.
 *
 *   a packet that must be acknowledged leaves ─▶ asked ─ any packet ─▶ nothing to look after
 *        └ 5 s ─▶ probed, and some other links too ─ 8 s ─▶ one of these was heard ─▶ suspect (unreachable.c), 2 s
 *                    ▲                                └ none was: our own network may be away
 *                    └────────────────────────────────────┘
 *
 * Only links that we dialled: at the other end a peer whose network was away for a minute finds its link as it was.
 */
#include "quic/silence.h"

#include "quic/quic_int.h"

#define PROBE_NS (2 * NS_PER_S) /* between two packets of a link that is probed */
#define WITNESSES 4             /* other links that are probed beside a silent one */

/* ---- the rule ---- */

enum quic_silence quic_rule_silence(const struct quic_silence_view *v, tstamp now)
{
    if (now < tstamp_after(v->asked, QUIC_SILENCE_PROBE)) {
        return QUIC_SILENCE_WAIT;
    }
    if (v->probed == 0) {
        return QUIC_SILENCE_ASK;
    }
    if (now < tstamp_after(v->probed, QUIC_SILENCE_WITNESS)) {
        return QUIC_SILENCE_WAIT;
    }
    bool alone_too_long = v->alone && now >= tstamp_after(v->asked, QUIC_SILENCE_ALONE);
    bool others_answer = v->sent > v->probed && v->heard > v->probed;
    return others_answer || alone_too_long ? QUIC_SILENCE_OVER : QUIC_SILENCE_ASK;
}

/* ---- what happens to a link ---- */

void quic_silence_sent(struct quic_conn *c)
{
    if (c->server || c->state != QUIC_CONN_UP) {
        return;
    }
    c->silence.sent = c->q->now;
    if (list_linked(&c->silent)) {
        return;
    }
    c->silence.asked = c->q->now;
    c->silence.probed = 0;
    list_push_back(&c->q->asked, &c->silent);
}

static void probe(struct quic_conn *c)
{
    c->probed = true;
    quic_conn_alive(c, PROBE_NS);
    quic_conn_mark_dirty(c);
}

static void heard(struct quic_conn *c)
{
    if (c->state == QUIC_CONN_UP || !c->server) { /* else anybody's Initial */
        c->q->heard = c->q->now;
    }
    list_del(&c->silent);
    if (c->probed) {
        c->probed = false;
        quic_conn_keep_alive(c);
    }
    quic_quiet_heard(c);
}

void quic_silence_read(struct quic_conn *c)
{
    ngtcp2_conn_info info;

    if (c->state == QUIC_CONN_LINGER) {
        return;
    }
    ngtcp2_conn_get_conn_info(c->ng, &info);
    if (info.pkt_recv > c->accepted) { /* else all was discarded */
        c->accepted = info.pkt_recv;
        quic_stall_heard(&c->stall, c->q->now);
        heard(c);
    }
}

static bool is_witness(const struct quic_conn *c)
{
    return c != NULL && c->state == QUIC_CONN_UP && !c->close_wanted && !list_linked(&c->silent);
}

/* Other links, others each time. */
static void ask_witnesses(struct quic *q)
{
    uint32_t high = q->conns.high, from = q->witness, n = 0;

    for (uint32_t i = 0; i < high && n < WITNESSES; i++) {
        struct quic_conn *c = slots_at(&q->conns, (from + i) % high);
        if (is_witness(c)) {
            q->witness = (from + i + 1) % high;
            probe(c);
            n++;
        }
    }
}

/* None but |c| is up. */
static bool is_alone(const struct quic *q, const struct quic_conn *c)
{
    for (uint32_t i = 0; i < q->conns.high; i++) {
        const struct quic_conn *o = slots_at(&q->conns, i);
        if (o != NULL && o != c && o->state == QUIC_CONN_UP) {
            return false;
        }
    }
    return true;
}

static void look_at(struct quic *q, struct quic_conn *c)
{
    c->silence.heard = q->heard;
    c->silence.alone = is_alone(q, c);
    switch (quic_rule_silence(&c->silence, q->now)) {
    case QUIC_SILENCE_WAIT:
        break;
    case QUIC_SILENCE_ASK:
        c->silence.probed = q->now;
        list_del(&c->silent);
        list_push_back(&q->silent, &c->silent);
        probe(c);
        ask_witnesses(q);
        break;
    case QUIC_SILENCE_OVER:
        list_del(&c->silent);
        quic_probe(q, c->ref, q->now);
        break;
    }
}

/* The first of |of|, whose members look alike and came in order; NULL: none. */
static struct quic_conn *first(const struct list *of)
{
    return list_empty(of) ? NULL : LIST_ENTRY(of->next, struct quic_conn, silent);
}

tstamp quic_silence_deadline(const struct quic *q)
{
    const struct quic_conn *asked = first(&q->asked), *probed = first(&q->silent);
    tstamp at = TSTAMP_NEVER;

    if (asked != NULL) {
        at = tstamp_after(asked->silence.asked, QUIC_SILENCE_PROBE);
    }
    if (probed != NULL) {
        at = tstamp_min(at, tstamp_after(probed->silence.probed, QUIC_SILENCE_WITNESS));
    }
    return at;
}

/* The one whose time has come; NULL: none. */
static struct quic_conn *due(const struct quic *q)
{
    struct quic_conn *asked = first(&q->asked), *probed = first(&q->silent);

    if (probed != NULL && tstamp_after(probed->silence.probed, QUIC_SILENCE_WITNESS) <= q->now) {
        return probed;
    }
    bool is = asked != NULL && tstamp_after(asked->silence.asked, QUIC_SILENCE_PROBE) <= q->now;
    return is ? asked : NULL;
}

void quic_silence_tick(struct quic *q)
{
    for (struct quic_conn *c = due(q); c != NULL; c = due(q)) {
        look_at(q, c);
    }
}
