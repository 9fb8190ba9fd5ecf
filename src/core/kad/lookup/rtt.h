/* rtt.h - how long a node may take to answer. */
#ifndef QUDAG_SRC_CORE_KAD_LOOKUP_RTT_H
#define QUDAG_SRC_CORE_KAD_LOOKUP_RTT_H

#include "core/kad/routing/contact.h"

#define KAD_DIAL_HARD (5 * NS_PER_S)
#define KAD_ANSWER_HARD (4 * NS_PER_S)
#define KAD_FAILING_ONE 65536
#define KAD_FAILING_MANY (KAD_FAILING_ONE / 20)

/* Round trips of all nodes together, smoothed. */
struct kad_rtt_estimate {
    uint32_t mean_us, var_us, n; /* n: measurements, as far as it matters how many */
};

struct kad_rtt {
    struct kad_rtt_estimate answers, dials;
    int32_t failing; /* share of requests without an answer lately, of KAD_FAILING_ONE */
};

/* ns from the beginning; soft <= late < hard */
struct kad_timeouts {
    tstamp soft, late, hard;
};

/* Nothing is measured yet. */
void kad_rtt_init(struct kad_rtt *t);
/* A measurement, ns. */
void kad_rtt_add(struct kad_rtt_estimate *g, tstamp took);
/* From the write of a request to its answer; of |p| if it was measured, else of all. */
struct kad_timeouts kad_timeouts_answer(const struct kad_rtt *t, const struct kad_contact *p);
/* From ACT_OPEN to the stream. */
struct kad_timeouts kad_timeouts_dial(const struct kad_rtt *t);
/* A request was answered, or had no answer when it was late. */
void kad_failing_add(struct kad_rtt *t, bool failed);

#endif
