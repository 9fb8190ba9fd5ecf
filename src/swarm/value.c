/* value.c - what a link is worth; see value.h. */
#include "swarm/value.h"

#define CELLS 1000
#define KIB 1024
#define MINUTE (60 * NS_PER_S)

static const int32_t of_class[RES_CLASSES] = {
    [RES_STRANGER] = 0,    [RES_NAMED] = 20,   [RES_CHOSEN] = 150,     [RES_NEAR] = 600,
    [RES_BOOTSTRAP] = 400, [RES_GUARD] = 1200, [RES_PROTECTED] = 1500,
};

/* |each| for each doubling of |n| from 1 on. */
static int32_t doublings(uint64_t n, int32_t each, int32_t most)
{
    int32_t points = 0;

    for (; n > 0 && points < most; n /= 2) {
        points += each;
    }
    return points;
}

static int32_t within(int32_t n, int32_t most)
{
    return n > most ? most : n < -most ? -most : n;
}

int32_t swarm_value(const struct swarm_worth *w)
{
    return of_class[w->class] + (w->cells ? CELLS : 0) + within(w->tags, SWARM_TAGS_SUM_MAX) +
           doublings(w->ours / KIB, 3, 48) + doublings(w->theirs / KIB, 1, 16) +
           doublings(w->age_ns / MINUTE, 2, 16);
}

bool swarm_value_under_way(uint32_t ours, bool waiting, uint32_t streams, tstamp moved, tstamp now)
{
    return ours > 0 || waiting || (streams > 0 && tstamp_after(moved, SWARM_MOVING) > now);
}

bool swarm_value_trimmable(const struct swarm_worth *w)
{
    return w->class != RES_PROTECTED && !w->under_way && !w->young;
}

bool swarm_value_gives(const struct swarm_worth *w, enum res_class newcomer)
{
    bool ours = newcomer >= RES_CHOSEN;

    return w->class != RES_PROTECTED && !w->under_way && (ours || !w->young) &&
           swarm_value(w) < (ours ? of_class[newcomer] : SWARM_VALUE_NEWCOMER);
}

const char *swarm_trim_name(enum swarm_trim why)
{
    static const char *const names[SWARM_TRIMS] = {"idle", "redundant", "high_water", "newcomer"};

    return (unsigned)why < SWARM_TRIMS ? names[why] : "";
}

const char *swarm_trim_text(enum swarm_trim why)
{
    switch (why) {
    case SWARM_TRIM_HIGH:
        return "more links than links_high: this one was worth least";
    case SWARM_TRIM_NEWCOMER:
        return "its place was needed for a new link";
    default:
        return NULL;
    }
}
