/* env.c - time, room in the action list, timers and counters: what every part of the core needs. */
#include "core/kad/common/env.h"

walltime kad_env_wall(const struct kad_env *e, tstamp now)
{
    return wall_now(&e->clock, now);
}

bool kad_env_room(const struct kad_env *e, const struct acts *out, size_t acts, size_t bytes)
{
    size_t n = out->n - e->acts_0 + acts, b = out->bytes_n - e->bytes_0 + bytes;

    return n <= ACTS_ROOM - KAD_ACTS_SPARE && b <= ACTS_BYTES_ROOM && !out->overflow;
}

qudag_err kad_env_timer_set(struct kad_env *e, struct kad_timer *t, tstamp at)
{
    return heap_set(&e->timers, &t->node, at == TSTAMP_NEVER ? TSTAMP_NEVER - 1 : at);
}

void kad_refuse_n(struct kad_env *e, enum kad_refusal why, size_t n)
{
    if (n == 0) {
        return;
    }
    kad_refusal_count(&e->stats, why, n);
    log_event(&e->log, LOG_DEBUG, "kad.refused", LOG_STR("reason", kad_refusal_name(why)),
              LOG_STR("text", kad_refusal_text(why)), LOG_NUM("count", n));
}

void kad_refuse(struct kad_env *e, enum kad_refusal why)
{
    kad_refuse_n(e, why, 1);
}
