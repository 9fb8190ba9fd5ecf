/*
 * rtt.c - how long a peer may take: from its own round-trip times, or for an unknown peer from those of all.
 *
 *   soft   nine in ten have answered: another node may be asked in parallel
 *   late   no longer waited for, but the answer is still taken.  Leaves time for one lost packet (RFC 9002, 6.2)
 *   hard   the request has failed, which counts against the peer: generous, as nothing waits for it
 */
#include "core/kad/lookup/rtt.h"

#define SOFT_UNKNOWN (500 * NS_PER_MS)
#define SOFT_MIN (20 * NS_PER_MS)
#define LATE_UNKNOWN (900 * NS_PER_MS)
#define LATE_MIN                                                                                   \
    (300 *                                                                                         \
     NS_PER_MS) /* a handshake, or other work of the node, takes time that no round trip tells */
#define LATE_MAX (2 * NS_PER_S)
#define SPREAD 6 /* round trips are lognormal: beyond it three in a thousand, at sigma 0.5 */
#define PROBE_SPARE (50 * NS_PER_MS)
#define FAILING_UP 16
#define FAILING_DOWN 64
#define ESTIMATE_MIN 8 /* fewer measurements say little of the others */
#define HANDSHAKE 3    /* round trips to a link, until measured */
#define SAMPLE_MAX_US 10000000u

void kad_rtt_init(struct kad_rtt *t)
{
    *t = (struct kad_rtt){.failing =
                              2 * KAD_FAILING_MANY}; /* the worst, of a network not known yet */
}

/* RFC 6298, over all peers: the variance is that between peers, too. */
void kad_rtt_add(struct kad_rtt_estimate *g, tstamp took)
{
    uint64_t us = took / NS_PER_US;
    uint32_t r = us == 0 ? 1 : us > SAMPLE_MAX_US ? SAMPLE_MAX_US : (uint32_t)us;

    g->n += g->n < ESTIMATE_MIN ? 1 : 0;
    if (g->mean_us == 0) {
        g->mean_us = r;
        g->var_us = r / 2;
        return;
    }
    uint32_t d = g->mean_us > r ? g->mean_us - r : r - g->mean_us;
    g->var_us = (15 * g->var_us + d) / 16;
    g->mean_us = (15 * g->mean_us + r) / 16;
    g->mean_us = g->mean_us == 0 ? 1 : g->mean_us;
}

static tstamp clamp(tstamp t, tstamp low, tstamp high)
{
    return t < low ? low : t > high ? high : t;
}

static tstamp soft_of(uint32_t mean_us, uint32_t var_us)
{
    /* With a steady round trip the variance goes to zero: never below twice the mean. */
    tstamp mean = (tstamp)mean_us * NS_PER_US, var = (tstamp)var_us * NS_PER_US;

    return clamp(2 * var > mean ? mean + 2 * var : 2 * mean, SOFT_MIN, LATE_MAX);
}

static tstamp late_of(uint32_t mean_us, uint32_t var_us)
{
    tstamp mean = (tstamp)mean_us * NS_PER_US, var = (tstamp)var_us * NS_PER_US;
    tstamp resent = 5 * mean / 2 + PROBE_SPARE, spread = mean + SPREAD * var;

    return clamp(resent > spread ? resent : spread, LATE_MIN, LATE_MAX);
}

/*
 * Where hardly anybody fails, waiting longer for the late costs next to nothing and finds more; where many are
 * dead it only takes time.  So the late time is up to three times as long the fewer fail.
 */
void kad_failing_add(struct kad_rtt *t, bool failed)
{
    if (failed) {
        t->failing += (KAD_FAILING_ONE - t->failing) / FAILING_UP;
    } else {
        t->failing -= t->failing / FAILING_DOWN;
    }
}

static struct kad_timeouts patient(const struct kad_rtt *t, struct kad_timeouts w)
{
    int32_t slack = t->failing < KAD_FAILING_MANY ? KAD_FAILING_MANY - t->failing : 0;
    tstamp late = w.late + w.late * 2 * (tstamp)slack / KAD_FAILING_MANY;

    w.late = late < LATE_MAX ? late : w.late > LATE_MAX ? w.late : LATE_MAX;
    return w;
}

struct kad_timeouts kad_timeouts_answer(const struct kad_rtt *t, const struct kad_contact *p)
{
    struct kad_timeouts w = {SOFT_UNKNOWN, LATE_UNKNOWN, KAD_ANSWER_HARD};

    if (p->srtt_us != 0) {
        w.soft = soft_of(p->srtt_us, p->rttvar_us);
        w.late = late_of(p->srtt_us, p->rttvar_us);
    } else if (t->answers.n >= ESTIMATE_MIN) {
        w.soft = soft_of(t->answers.mean_us, t->answers.var_us);
        w.late = late_of(t->answers.mean_us, t->answers.var_us);
    }
    return patient(t, w);
}

struct kad_timeouts kad_timeouts_dial(const struct kad_rtt *t)
{
    struct kad_timeouts w = {SOFT_UNKNOWN, LATE_UNKNOWN, KAD_DIAL_HARD};

    if (t->dials.n >= ESTIMATE_MIN) {
        w.soft = soft_of(t->dials.mean_us, t->dials.var_us);
        w.late = late_of(t->dials.mean_us, t->dials.var_us);
    } else if (t->answers.n >= ESTIMATE_MIN) {
        w.soft = soft_of(HANDSHAKE * t->answers.mean_us, HANDSHAKE * t->answers.var_us);
        w.late = late_of(HANDSHAKE * t->answers.mean_us, HANDSHAKE * t->answers.var_us);
    }
    return patient(t, w);
}
