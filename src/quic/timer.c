/* timer.c - see timer.h. */
#include "quic/timer.h"

#define EXACT_BELOW (8 * NS_PER_MS)

tstamp quic_timer_late(tstamp at, tstamp now)
{
    uint64_t step = QUIC_TIMER_LATE_MOST;

    if (at < tstamp_after(now, EXACT_BELOW) || at > TSTAMP_NEVER - step) {
        return at;
    }
    while (step > (at - now) / 8) {
        step /= 2;
    }
    return (at + step - 1) / step * step;
}
