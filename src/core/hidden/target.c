/* target.c - what the records of a service are to say: told when it changed, and not point by point. */
#include "core/hidden/service_impl.h"

#include <string.h>

bool hidden_slot_is_named(const struct hidden_slot *p)
{
    return p->named && !p->old;
}

void hidden_target_touch(struct hidden_service *s, tstamp now)
{
    if (!s->dirty) {
        s->dirty = true;
        s->dirty_since = now;
    }
}

static uint32_t count_named(const struct hidden_service *s)
{
    uint32_t n = 0;

    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        n += hidden_slot_is_named(&s->slot[i]) ? 1 : 0;
    }
    return n;
}

/* Of what is there, what is not older than the period before: the newest first. */
static void keys_put(struct hidden_target *t, const struct hidden_service *s)
{
    for (uint64_t back = 0; back < HIDDEN_LIVE && back <= s->period_now + 1; back++) {
        uint64_t period = s->period_now + 1 - back;
        const struct rend_keys *k = hidden_periods_get(s, period);
        if (k != NULL) {
            struct hidden_period_keys *to = &t->keys[t->n_keys++];
            to->period = period;
            memcpy(to->x, k->x, sizeof to->x);
            memcpy(to->k, k->k, sizeof to->k);
        }
    }
}

/* Points that only records made before name. */
static void old_put(struct hidden_target *t, const struct hidden_service *s)
{
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        const struct hidden_slot *p = &s->slot[i];
        if (p->named && p->old) {
            memcpy(t->old[t->n_old++], p->intro_key, sizeof p->intro_key);
        }
    }
}

void hidden_target_settle(struct hidden_service *s, tstamp now, struct acts *out)
{
    struct hidden_target t;

    if (!s->dirty || !s->has_keys || !hidden_target_is_due(count_named(s), s->dirty_since, now)) {
        return;
    }
    memset(&t, 0, sizeof t);
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        if (hidden_slot_is_named(&s->slot[i]) && t.n_points < HIDDEN_POINTS) {
            struct hidden_point *p = &t.point[t.n_points++];
            p->relay = s->slot[i].relay;
            memcpy(p->intro_key, s->slot[i].intro_key, sizeof p->intro_key);
        }
    }
    old_put(&t, s);
    keys_put(&t, s);
    hidden_work_tell(s, &t.work, now);
    s->dirty = false;
    hidden_report_copy(s, HIDDEN_SERVE_TARGET, 0, (struct slice){(const void *)&t, sizeof t}, out);
}

tstamp hidden_target_deadline(const struct hidden_service *s)
{
    return s->dirty && s->has_keys && count_named(s) > 0
               ? tstamp_after(s->dirty_since, HIDDEN_COLLECT)
               : TSTAMP_NEVER;
}
