/*
 * dark.c - the core that publishes our addresses (publish.c) and resolves others' (resolve.c).
 */
#include "core/dark/dark_impl.h"

#include "base/assert.h"

qudag_err dark_new(struct dark **out, const struct dark_config *cfg)
{
    uint8_t seed[16];
    struct dark *d = mem_alloc(cfg->mem, sizeof *d);

    *out = NULL;
    if (d == NULL) {
        return QUDAG_ENOMEM;
    }
    d->cfg = *cfg;
    list_init(&d->jobs);
    list_init(&d->dead);
    list_init(&d->lru);
    rng_fill(&cfg->rng, seed, sizeof seed);
    map_init(&d->memos, cfg->mem, seed, DARK_CACHE_MAX);
    d->next_cookie = 1;
    *out = d;
    return QUDAG_OK;
}

static void free_ended(struct dark *d)
{
    dark_own_reap(d);
    LIST_EACH_SAFE(it, tmp, &d->dead)
    {
        list_del(it);
        mem_free_wiped(d->cfg.mem, LIST_ENTRY(it, struct dark_job, node));
    }
}

void dark_free(struct dark *d)
{
    if (d == NULL) {
        return;
    }
    free_ended(d);
    dark_own_free(d);
    dark_resolve_free(d);
    map_fini(&d->memos);
    mem_free_wiped(d->cfg.mem, d);
}

void dark_set_clock(struct dark *d, struct wallclock clock)
{
    d->cfg.clock = clock;
}

void dark_reap(struct dark *d, const struct acts *out)
{
    if (acts_settled(out)) {
        free_ended(d);
    }
}

void dark_tick(struct dark *d, tstamp now, struct acts *out)
{
    dark_reap(d, out);
    dark_own_tick(d, now, out);
    dark_resolve_tick(d, now, out);
}

tstamp dark_deadline(const struct dark *d)
{
    return tstamp_min(dark_own_deadline(d), dark_resolve_deadline(d));
}

bool dark_ask_done(struct dark_ask a[2], uint64_t cookie, qudag_err err, uint32_t stored)
{
    for (int i = 0; i < 2; i++) {
        if (a[i].cookie == cookie && cookie != 0 && !a[i].done) {
            a[i].done = true;
            a[i].err = err;
            a[i].stored = stored;
            return true;
        }
    }
    return false;
}
