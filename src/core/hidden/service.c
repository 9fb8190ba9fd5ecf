/* service.c - the services of a node: their beginning, end and time; points.c, meetings.c and others do the rest. */
#include "core/hidden/service_impl.h"

#include "base/wipe.h"

#include <string.h>

qudag_err hidden_services_new(struct hidden_services **out,
                              const struct hidden_services_config *cfg)
{
    struct hidden_services *h = mem_alloc(cfg->mem, sizeof *h);

    *out = h;
    if (h == NULL) {
        return QUDAG_ENOMEM;
    }
    h->cfg = *cfg;
    h->cfg.work_check = cfg->work_check != NULL ? cfg->work_check : rend_work_check;
    list_init(&h->services);
    limiter_init(&h->builds, HIDDEN_ALL_BUILDS_RATE, HIDDEN_ALL_BUILDS_RATE, 0);
    limiter_init(&h->opens, HIDDEN_ALL_OPENS_RATE, 2 * HIDDEN_ALL_OPENS_RATE, 0);
    return QUDAG_OK;
}

static void free_service(struct hidden_services *h, struct hidden_service *s, struct acts *out)
{
    hidden_meetings_wipe(s, out);
    hidden_points_wipe(s, out);
    hidden_periods_wipe(s);
    list_del(&s->node);
    h->n--;
    mem_free_wiped(h->cfg.mem, s);
}

void hidden_services_free(struct hidden_services *h)
{
    if (h == NULL) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &h->services)
    {
        free_service(h, LIST_ENTRY(it, struct hidden_service, node), NULL);
    }
    mem_free(h->cfg.mem, h);
}

static void look_at_keys(struct hidden_services *h)
{
    LIST_EACH(it, &h->services)
    {
        LIST_ENTRY(it, struct hidden_service, node)->keys_due = 0;
    }
}

void hidden_services_set_clock(struct hidden_services *h, struct wallclock clock)
{
    h->cfg.clock = clock;
    look_at_keys(h);
}

void hidden_services_trust_clock(struct hidden_services *h, bool trusted)
{
    if (h->trusted != trusted) {
        h->trusted = trusted;
        look_at_keys(h);
    }
}

static void settle(struct hidden_service *s, tstamp now, struct acts *out)
{
    hidden_periods_settle(s, now, out);
    hidden_points_settle(s, now, out);
    hidden_meetings_settle(s, now, out);
    if (hidden_work_settle(s, now)) {
        hidden_target_touch(s, now);
    }
    hidden_target_settle(s, now, out);
}

qudag_err hidden_serve(struct hidden_services *h, const struct hidden_serve_want *want, tstamp now,
                       struct acts *out)
{
    qudag_err err = QUDAG_OK;

    if (hidden_service_of(h, want->cookie) != NULL) {
        return QUDAG_EEXISTS;
    }
    struct hidden_service *s =
        h->n >= HIDDEN_SERVICES_MAX ? NULL : mem_alloc(h->cfg.mem, sizeof *s);
    if (s == NULL) {
        return h->n >= HIDDEN_SERVICES_MAX ? QUDAG_ELIMIT : QUDAG_ENOMEM;
    }
    s->all = h;
    s->cookie = want->cookie;
    memcpy(s->addr, want->addr, sizeof s->addr);
    rng_fill(&h->cfg.rng, s->seen_key, sizeof s->seen_key);
    rng_fill(&h->cfg.rng, s->seen_key2, sizeof s->seen_key2);
    limiter_init(&s->old_opens, REND_RATE_MAX, REND_BURST_MAX, now);
    limiter_init(&s->builds, HIDDEN_BUILDS_RATE, HIDDEN_BUILDS_RATE, now);
    list_init(&s->work);
    list_init(&s->ages);
    hidden_work_init(s, now);
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        list_init(&s->queue[i]);
    }
    if (want->saved.len > 0) {
        err = hidden_periods_load(s, want->saved);
    }
    if (err != QUDAG_OK) {
        mem_free_wiped(h->cfg.mem, s);
        return err;
    }
    list_push_back(&h->services, &s->node);
    h->n++;
    settle(s, now, out);
    return QUDAG_OK;
}

void hidden_serve_end(struct hidden_services *h, uint64_t cookie, struct acts *out)
{
    struct hidden_service *s = hidden_service_of(h, cookie);

    if (s != NULL) {
        free_service(h, s, out);
    }
}

qudag_err hidden_serve_save(const struct hidden_services *h, uint64_t cookie,
                            uint8_t out[HIDDEN_SAVED_LEN])
{
    const struct hidden_service *s = hidden_service_of(h, cookie);

    if (s == NULL) {
        return QUDAG_ENOTFOUND;
    }
    hidden_periods_save(s, out);
    return QUDAG_OK;
}

static tstamp due_at(const struct hidden_service *s)
{
    tstamp at = tstamp_min(s->keys_due, hidden_target_deadline(s));

    at = tstamp_min(at, hidden_points_deadline(s));
    at = tstamp_min(at, hidden_work_deadline(s));
    return tstamp_min(at, hidden_meetings_deadline(s));
}

void hidden_services_tick(struct hidden_services *h, tstamp now, struct acts *out)
{
    LIST_EACH(it, &h->services)
    {
        struct hidden_service *s = LIST_ENTRY(it, struct hidden_service, node);
        if (due_at(s) <= now) { /* one at a time: what it reports may be long */
            list_del(&s->node);
            list_push_back(&h->services, &s->node);
            settle(s, now, out);
            return;
        }
    }
}

tstamp hidden_services_deadline(const struct hidden_services *h)
{
    tstamp at = TSTAMP_NEVER;

    LIST_EACH(it, &h->services)
    {
        at = tstamp_min(at, due_at(LIST_ENTRY(it, struct hidden_service, node)));
    }
    return at;
}

void hidden_services_refused(const struct hidden_services *h, uint64_t *replayed, uint64_t *bad)
{
    *replayed = h->replayed;
    *bad = h->bad;
}

qudag_err hidden_serve_stats_get(const struct hidden_services *h, uint64_t cookie,
                                 struct hidden_serve_stats *out)
{
    const struct hidden_service *s = hidden_service_of(h, cookie);

    memset(out, 0, sizeof *out);
    if (s == NULL) {
        return QUDAG_ENOTFOUND;
    }
    *out = s->stats;
    out->effort = s->effort;
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        out->standing += s->slot[i].state == HIDDEN_SLOT_STANDS && !s->slot[i].old ? 1 : 0;
        out->old += s->slot[i].old ? 1 : 0;
    }
    return QUDAG_OK;
}
