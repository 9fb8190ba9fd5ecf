/* timer.h - when a link's timer fires: late by little, so that the timers of many links fire together. */
#ifndef QUDAG_SRC_QUIC_TIMER_H
#define QUDAG_SRC_QUIC_TIMER_H

#include "base/types.h"

#define QUIC_TIMER_LATE_MOST (UINT64_C(1) << 28) /* ns; 0.27 s */

/*
 * |at|, or up to an eighth of the time from |now| to it later, QUIC_TIMER_LATE_MOST at most: the next multiple of a
 * power of two of the node's clock.  What is due within 8 ms stays.  So a node with any number of idle links wakes up
 * for their keepalives four times a second and not for each; timers of the kernel have the same slack.
 */
tstamp quic_timer_late(tstamp at, tstamp now);

#endif
