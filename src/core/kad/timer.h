/* timer.h - one heap holds the timers of all parts; the kind says whose it is. */
#ifndef QUDAG_SRC_CORE_KAD_TIMER_H
#define QUDAG_SRC_CORE_KAD_TIMER_H

#include "base/heap.h"

enum kad_timer_kind { KAD_TIMER_RPC, KAD_TIMER_JOB, KAD_TIMER_INBOUND, KAD_TIMER_KEEP };

struct kad_timer {
    struct heap_node node;
    enum kad_timer_kind kind;
    void *owner;
};

#endif
