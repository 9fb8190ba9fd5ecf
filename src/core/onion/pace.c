/* pace.c - a mean and a deviation of times, after RFC 6298, section 2. */
#include "core/onion/pace.h"

#define DEVIATIONS 8 /* RFC 6298 has 4; here one too early costs a circuit, not a packet */

void onion_pace_add(struct onion_pace *p, uint64_t ns)
{
    uint64_t off = ns > p->mean_ns ? ns - p->mean_ns : p->mean_ns - ns;

    if (p->n == 0) {
        p->mean_ns = ns;
        p->dev_ns = ns / 2;
    } else {
        p->dev_ns = p->dev_ns - p->dev_ns / 4 + off / 4;
        p->mean_ns = p->mean_ns - p->mean_ns / 8 + ns / 8;
    }
    p->n += p->n < ONION_PACE_ENOUGH ? 1 : 0;
}

uint64_t onion_pace_patience(const struct onion_pace *p, uint64_t most)
{
    uint64_t ns = p->mean_ns + DEVIATIONS * p->dev_ns;

    if (p->n < ONION_PACE_ENOUGH || ns > most) {
        return most;
    }
    return ns < ONION_PACE_LEAST ? ONION_PACE_LEAST : ns;
}
