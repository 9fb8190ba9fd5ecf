/*
 * dark.c - the core that publishes our addresses (publish.c) and resolves others' (resolve.c), under cover (cover.c).
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
    dark_cover_init(&d->cover, cfg->cover_per_hour);
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
    d->clock_set = true;
}

void dark_reap(struct dark *d, const struct acts *out)
{
    if (acts_settled(out)) {
        free_ended(d);
    }
}

static uint64_t ask_for(struct dark *d, const struct dark_wanted *what, struct acts *out)
{
    struct dark_wanted wanted = *what;

    wanted.key = acts_copy(out, what->key.base, what->key.len);
    struct act *up =
        wanted.key.base == NULL ? NULL : acts_up_copy(out, DARK_UP_GET, &wanted, sizeof wanted);

    if (up == NULL) {
        return 0;
    }
    return up->cookie = d->next_cookie++;
}

uint64_t dark_ask_get(struct dark *d, const uint8_t key[DARK_KEY_LEN], const struct peer_id *apart,
                      struct acts *out)
{
    const struct dark_wanted wanted = {.key = {key, DARK_KEY_LEN}, .apart = *apart};

    return ask_for(d, &wanted, out);
}

/* What cover.c says is asked; of a question for an index that was not answered before nobody waits any more. */
static void cover_tick(struct dark *d, tstamp now, struct acts *out)
{
    static const struct dark_wanted index = {
        .key = {(const uint8_t *)DHT_SAMPLE_KEY, sizeof(DHT_SAMPLE_KEY) - 1}};
    struct dark_cover_ask ask;

    if (!dark_cover_tick(&d->cover, now, &d->cfg.rng, &ask)) {
        return;
    }
    if (ask.sample) {
        d->cover.cookie = ask_for(d, &index, out);
    } else {
        (void)dark_ask_get(d, ask.key, &ask.apart, out);
    }
}

void dark_tick(struct dark *d, tstamp now, struct acts *out)
{
    dark_reap(d, out);
    dark_own_tick(d, now, out);
    dark_resolve_tick(d, now, out);
    cover_tick(d, now, out);
}

tstamp dark_deadline(const struct dark *d)
{
    return tstamp_min(d->cover.next, tstamp_min(dark_own_deadline(d), dark_resolve_deadline(d)));
}

void dark_get_done(struct dark *d, const struct dark_answer *ans, tstamp now, struct acts *out)
{
    dark_reap(d, out);
    if (ans->cookie != 0 && !dark_own_get_done(d, ans, now, out) &&
        !dark_cover_get_done(&d->cover, ans, now)) {
        dark_resolve_get_done(d, ans, now, out);
    }
}
