/*
 * padding.c - silent links: kept alive (spec/link.md 4.5), and padded against records of flows (6).
 *
 *   a packet goes or comes ─▶ the time until the next one is drawn anew ─ nothing until then ─▶ PING
 *
 * A PING is padded like all that must be acknowledged, and its acknowledgement comes back at once, so that both
 * directions show a packet.  ngtcp2 sends it as a keep-alive with that period.
 */
#include "quic/quic_int.h"

#define KEEPALIVE_SHORT_NS (4 * NS_PER_S)
#define IDLE_SHORT_NS (15 * NS_PER_S)

tstamp quic_padding_due(const struct transport_padding *p, tstamp traffic, uint64_t r1, uint64_t r2)
{
    if (p->most_ns == 0) {
        return TSTAMP_NEVER;
    }
    uint64_t span = p->most_ns - p->least_ns + 1;
    uint64_t a = r1 % span, b = r2 % span;
    tstamp due = tstamp_after(traffic, p->least_ns + (a > b ? a : b));

    return due < p->until ? due : TSTAMP_NEVER;
}

uint64_t quic_rule_keepalive(uint64_t configured, uint64_t nat, bool plain, unsigned kept)
{
    if (!plain) {
        return configured;
    }
    return nat != 0 ? nat : kept >= QUIC_KEPT_TIMES ? configured * QUIC_KEPT_RARER : configured;
}

/* For how long |c| may say nothing from now on, drawn; UINT64_MAX: it is not padded. */
static uint64_t draw_quiet(const struct quic_conn *c)
{
    if (c->padding.most_ns == 0) {
        return UINT64_MAX;
    }
    const struct rng rng = rng_of_stream(&c->q->times);
    uint64_t r1 = rng_u64(&rng), r2 = rng_u64(&rng);
    tstamp due = quic_padding_due(&c->padding, c->q->now, r1, r2);
    return due == TSTAMP_NEVER ? UINT64_MAX : due - c->q->now;
}

void quic_conn_alive(struct quic_conn *c, uint64_t ns)
{
    c->alive = ns;
    ngtcp2_conn_set_keep_alive_timeout(c->ng, ns);
}

uint64_t quic_conn_idle(const struct quic_conn *c)
{
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(c->ng);
    uint64_t idle = ngtcp2_conn_get_local_transport_params(c->ng)->max_idle_timeout;
    bool less = peer != NULL && peer->max_idle_timeout != 0 && peer->max_idle_timeout < idle;

    return less ? peer->max_idle_timeout : idle;
}

void quic_conn_keep_alive(struct quic_conn *c)
{
    uint64_t idle = quic_conn_idle(c);
    bool plain = !c->celled && c->padding.most_ns == 0;
    uint64_t nat = c->q->plain_keepalive[c->remote.family == 6 ? 1 : 0];
    uint64_t alive = quic_rule_keepalive(c->q->cfg.keepalive_ns, nat, plain, c->kept);

    if (idle <= IDLE_SHORT_NS) {
        alive = alive < KEEPALIVE_SHORT_NS ? alive : KEEPALIVE_SHORT_NS;
    } else if (alive > idle / 3) {
        alive = idle / 3;
    }
    const struct rng rng = rng_of_stream(&c->q->times);
    /* Who was dialled comes first, mostly: it has many links, and keeps many of them alive at a time (timer.h). */
    alive = rng_jitter(&rng, alive / 100 * (c->server ? 95 : 105), 50);
    uint64_t quiet = draw_quiet(c);
    quic_conn_alive(c, quiet < alive ? quiet : alive);
    c->quiet_at = c->q->now;
}

void quic_conn_traffic(struct quic_conn *c)
{
    if (c->padding.most_ns == 0 || list_linked(&c->suspect) || c->probed) {
        return; /* it is probed sooner */
    }
    if (c->q->now >= c->padding.until) {
        c->padding.most_ns = 0; /* the usual period again */
    }
    /* Of packets of one instant the last one counts: one draw is enough. */
    if (c->quiet_at != c->q->now) {
        quic_conn_keep_alive(c);
    }
}
