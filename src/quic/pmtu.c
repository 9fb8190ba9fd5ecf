/* pmtu.c - see pmtu.h. */
#include "quic/pmtu.h"

void quic_pmtu_init(struct quic_pmtu *p, uint16_t max)
{
    *p = (struct quic_pmtu){.state = PMTU_OPEN, .max = max};
}

bool quic_pmtu_is_limited(const struct quic_pmtu *p)
{
    return p->state == PMTU_LIMITED || p->state == PMTU_TRIAL;
}

size_t quic_pmtu_packet_max(const struct quic_pmtu *p, size_t room)
{
    bool large_ok = !quic_pmtu_is_limited(p) || (p->state == PMTU_TRIAL && p->trial_left > 0);

    return large_ok || room < PMTU_BASE ? room : PMTU_BASE;
}

void quic_pmtu_sent(struct quic_pmtu *p, size_t len, size_t n, tstamp now)
{
    if (len <= PMTU_BASE || n == 0) {
        return;
    }
    if (p->sent_large == p->heard_sent) {
        p->waits_since = now;
    }
    p->sent_large += n;
    if (p->state == PMTU_TRIAL) {
        p->trial_left = n < p->trial_left ? (uint8_t)(p->trial_left - n) : 0;
    }
}

/* True if it is new. */
static bool limit(struct quic_pmtu *p, tstamp now, uint64_t raise_ns)
{
    bool is_new = !quic_pmtu_is_limited(p);

    p->state = PMTU_LIMITED;
    p->until = tstamp_after(now, raise_ns);
    return is_new;
}

bool quic_pmtu_too_big(struct quic_pmtu *p, tstamp now)
{
    return p->max > PMTU_BASE && limit(p, now, PMTU_RAISE);
}

/* At least so many of |pkts| lost packets with |bytes| in all were larger than PMTU_BASE. */
static uint64_t large_among(const struct quic_pmtu *p, uint64_t pkts, uint64_t bytes)
{
    uint64_t small = pkts * PMTU_BASE;
    uint64_t over = (uint64_t)p->max - PMTU_BASE;

    return bytes <= small ? 0 : (bytes - small + over - 1) / over;
}

static void take_counters(struct quic_pmtu *p, const struct quic_pmtu_sample *s)
{
    p->lost_large += large_among(p, s->pkts_lost - p->pkts_lost, s->bytes_lost - p->bytes_lost);
    p->pkts_lost = s->pkts_lost;
    p->bytes_lost = s->bytes_lost;
    p->in_flight = s->bytes_in_flight;
    if (s->pkts_received != p->pkts_received) {
        p->pkts_received = s->pkts_received;
        p->heard_sent = p->sent_large;
    }
}

static uint64_t patience(uint64_t pto_ns, uint64_t ptos)
{
    return ptos * pto_ns > PMTU_STALL_MIN ? ptos * pto_ns : PMTU_STALL_MIN;
}

/* Large packets left and since then the peer is silent, although it had several chances to be heard. */
static bool is_silent(const struct quic_pmtu *p, const struct quic_pmtu_sample *s)
{
    return s->bytes_in_flight > PMTU_BASE && p->sent_large > p->heard_sent &&
           s->now >= tstamp_after(p->waits_since, patience(s->pto_ns, PMTU_SILENT_PTOS));
}

static void begin_trial(struct quic_pmtu *p)
{
    p->state = PMTU_TRIAL;
    p->trial_left = PMTU_TRIAL_PKTS;
    p->base_sent = p->sent_large;
    p->base_lost = p->lost_large;
    p->until = 0;
}

/* True if the trial has shown that large packets pass. */
static bool update_trial(struct quic_pmtu *p, const struct quic_pmtu_sample *s)
{
    if (p->lost_large > p->base_lost) {
        (void)limit(p, s->now, PMTU_RAISE);
    } else if (is_silent(p, s)) {
        (void)limit(p, s->now, PMTU_RETRY);
    } else if (p->until == 0 && p->sent_large > p->base_sent) {
        p->until = tstamp_after(s->now, patience(s->pto_ns, PMTU_STALL_PTOS));
    } else if (p->until != 0 && s->now >= p->until) {
        p->state = PMTU_OPEN;
        return true;
    }
    return false;
}

/* |lost| large packets were lost just now. */
static void suspect(struct quic_pmtu *p, const struct quic_pmtu_sample *s, uint64_t lost)
{
    tstamp verdict = tstamp_after(s->now, patience(s->pto_ns, PMTU_STALL_PTOS));

    if (p->state == PMTU_OPEN) {
        p->state = PMTU_SUSPECT;
        p->base_lost = p->lost_large - lost;
        p->base_sent = p->sent_large - lost;
        p->until = verdict;
    } else if (p->until == TSTAMP_NEVER) {
        p->until = verdict;
    }
}

/* Some large packet of those since the beginning arrived: more left than are lost or on their way. */
static bool large_arrived(const struct quic_pmtu *p)
{
    return p->sent_large - p->base_sent > p->lost_large - p->base_lost + p->in_flight / PMTU_BASE;
}

bool quic_pmtu_update(struct quic_pmtu *p, const struct quic_pmtu_sample *s)
{
    uint64_t lost_before = p->lost_large;

    if (p->max <= PMTU_BASE) {
        return false;
    }
    take_counters(p, s);
    if (p->state == PMTU_TRIAL) {
        return update_trial(p, s);
    }
    if (p->state == PMTU_LIMITED) {
        if (s->now >= p->until) {
            begin_trial(p);
        }
        return false;
    }
    if (is_silent(p, s)) {
        return limit(p, s->now, PMTU_RETRY);
    }
    if (p->lost_large > lost_before) {
        suspect(p, s, p->lost_large - lost_before);
    }
    return false;
}

bool quic_pmtu_wants_stall(const struct quic_pmtu *p, tstamp now)
{
    return p->state == PMTU_SUSPECT && now >= p->until;
}

bool quic_pmtu_stalled(struct quic_pmtu *p, uint64_t stalled_ns, uint64_t pto_ns, tstamp now)
{
    if (!quic_pmtu_wants_stall(p, now)) {
        return false;
    }
    bool stalled = stalled_ns >= patience(pto_ns, PMTU_STALL_PTOS);
    bool arrived = large_arrived(p);
    if (stalled || (!arrived && p->lost_large - p->base_lost >= PMTU_LOSSES)) {
        return limit(p, now, PMTU_RAISE);
    }
    if (arrived) {
        p->state = PMTU_OPEN;
    } else {
        p->until = TSTAMP_NEVER;
    }
    return false;
}
