/* rules.c - what a place at a relay is worth; see autorelay.h. */
#include "core/autorelay/autorelay.h"

#define UNMEASURED (300 * NS_PER_MS) /* the round trip of a relay that nobody asked yet */
#define MARGIN (5 * NS_PER_MS)
#define SHORT_S 3600     /* a relay that ends circuits sooner than that */
#define REFUSALS_COUNT 8 /* more do not count */
#define CIRCUITS_SAY 4   /* fewer say nothing about how a relay ends them */

uint64_t autorelay_rule_cost(const struct autorelay_relay *r)
{
    uint64_t cost = r->rtt_ns != 0 ? r->rtt_ns : UNMEASURED;
    uint64_t refusals = r->refusals < REFUSALS_COUNT ? r->refusals : REFUSALS_COUNT;
    uint32_t time = r->limit.duration_s;
    bool limited = r->limit.data != 0 || (time != 0 && time < SHORT_S);

    cost = cost < NS_PER_MS ? NS_PER_MS : cost < 10 * NS_PER_S ? cost : 10 * NS_PER_S;
    cost += cost / 2 * refusals;
    cost += limited ? cost : 0;
    if (r->circuits >= CIRCUITS_SAY) {
        cost += 3 * cost * r->broken / r->circuits;
    }
    return cost;
}

bool autorelay_rule_better(uint64_t fresh, uint64_t held)
{
    return fresh + fresh / 5 + MARGIN < held;
}

uint64_t autorelay_rule_pause(uint32_t failures, bool was_steady)
{
    uint64_t base = was_steady ? AUTORELAY_PAUSE_LOST : AUTORELAY_PAUSE;

    for (uint32_t i = 1; i < failures && base < AUTORELAY_PAUSE_MAX; i++) {
        base *= 2;
    }
    return base < AUTORELAY_PAUSE_MAX ? base : AUTORELAY_PAUSE_MAX;
}
