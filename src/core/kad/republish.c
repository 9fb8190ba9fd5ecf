/*
 * republish.c - what we publish ourselves: put or told to providers again every KAD_REPUBLISH.
 *
 *   kept --12 h +- 10 %--> published again --failed, or cannot be judged now--> again in 5 min
 *   taken back after a restart: due when it was due; what was due while we were away, spread over 10 min
 */
#include "core/kad/republish.h"

#include <string.h>

#define RETRY_PUBLISH (300 * NS_PER_S)
#define RESTORE_SPREAD_MS 600000

static struct kad_keep *keep_of(struct list *l)
{
    return LIST_ENTRY(l, struct kad_keep, node);
}

static void keep_free(struct kad *k, struct kad_keep *e)
{
    heap_del(&k->timers, &e->timer.node);
    list_del(&e->node);
    k->n_keeps--;
    mem_free(k->cfg.mem, e->value);
    e->value = NULL;
    if (!kad_mark_end(&k->store, &e->mark)) {
        mem_free(k->cfg.mem, e);
    }
}

void kad_keeps_fini(struct kad *k)
{
    LIST_EACH_SAFE(it, tmp, &k->keeps)
    {
        keep_free(k, keep_of(it));
    }
}

static struct kad_keep *keep_find(const struct kad *k, struct slice key, bool provide)
{
    LIST_EACH(it, &k->keeps)
    {
        struct kad_keep *e = keep_of(it);
        if (e->provide == provide && slice_eq(key, (struct slice){e->key, e->key_len})) {
            return e;
        }
    }
    return NULL;
}

static void keep_hash(uint8_t hash[SHA256_LEN], struct slice key, bool provide)
{
    uint8_t named[1 + KAD_KEY_MAX] = {provide ? 1 : 0};

    memcpy(named + 1, key.base, key.len);
    sha256(hash, (struct slice){named, 1 + key.len});
}

static struct kad_keep *keep_new(struct kad *k, struct slice key, bool provide)
{
    struct kad_keep *e = mem_alloc(k->cfg.mem, sizeof(*e));

    if (e == NULL) {
        return NULL;
    }
    keep_hash(e->hash, key, provide);
    list_init(&e->node);
    list_init(&e->mark.node);
    e->mark.kind = KAD_PERSIST_OWN;
    e->timer = (struct kad_timer){.kind = KAD_TIMER_KEEP, .owner = e};
    e->provide = provide;
    e->key_len = (uint16_t)key.len;
    memcpy(e->key, key.base, key.len);
    list_push_back(&k->keeps, &e->node);
    k->n_keeps++;
    return e;
}

/* Its next time; without memory for the timer it is given up. */
static qudag_err keep_due(struct kad *k, struct kad_keep *e, tstamp at)
{
    qudag_err err = kad_timer_set(k, &e->timer, at);

    kad_mark_set(&k->store, &e->mark);
    if (err != QUDAG_OK) {
        keep_free(k, e);
    }
    return err;
}

static qudag_err keep_set(struct kad *k, struct slice key, struct slice value, bool provide,
                          tstamp at, struct kad_keep **out)
{
    struct kad_keep *e = keep_find(k, key, provide);

    if (e == NULL && k->n_keeps >= KAD_KEEPS_MAX) {
        return QUDAG_ELIMIT;
    }
    uint8_t *copy = mem_alloc(k->cfg.mem, value.len);
    if (copy == NULL) {
        return QUDAG_ENOMEM;
    }
    if (value.len > 0) {
        memcpy(copy, value.base, value.len);
    }
    if (e == NULL) {
        e = keep_new(k, key, provide);
    }
    if (e == NULL) {
        mem_free(k->cfg.mem, copy);
        return QUDAG_ENOMEM;
    }
    mem_free(k->cfg.mem, e->value);
    e->value = copy;
    e->value_len = value.len;
    *out = e;
    return keep_due(k, e, at);
}

qudag_err kad_keep_add(struct kad *k, struct slice key, struct slice value, bool provide,
                       tstamp now)
{
    struct kad_keep *e;
    tstamp wait = rng_jitter(&k->cfg.rng, KAD_REPUBLISH * NS_PER_S, 100);

    return keep_set(k, key, value, provide, tstamp_after(now, wait), &e);
}

qudag_err kad_keep_restore(struct kad *k, const struct kad_own *own, const uint8_t hash[SHA256_LEN],
                           tstamp now)
{
    struct kad_keep *e;
    uint8_t right[SHA256_LEN];
    walltime wall = kad_wall(k, now), most = wall + KAD_REPUBLISH + KAD_REPUBLISH / 10;
    walltime due = own->due < most ? own->due : most;
    uint64_t wait = due <= wall ? rng_below(&k->cfg.rng, RESTORE_SPREAD_MS) * NS_PER_MS
                                : (uint64_t)(due - wall) * NS_PER_S;

    keep_hash(right, own->key, own->provide);
    if (memcmp(right, hash, SHA256_LEN) != 0) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = keep_set(k, own->key, own->value, own->provide, tstamp_after(now, wait), &e);
    if (err == QUDAG_OK) {
        list_del(&e->mark.node); /* the host has it so */
        e->mark.known = true;
    }
    return err;
}

bool kad_unpublish(struct kad *k, struct slice key)
{
    uint32_t before = k->n_keeps;

    LIST_EACH_SAFE(it, tmp, &k->keeps)
    {
        struct kad_keep *e = keep_of(it);
        if (slice_eq(key, (struct slice){e->key, e->key_len})) {
            keep_free(k, e);
        }
    }
    return k->n_keeps < before;
}

bool kad_published_next(const struct kad *k, size_t *it, tstamp now, struct slice *key,
                        bool *provide, walltime *due)
{
    size_t ix = 0;

    LIST_EACH(at, &k->keeps)
    {
        const struct kad_keep *e = keep_of(at);
        if (ix++ == *it) {
            tstamp when = e->timer.node.at;
            (*it)++;
            *key = (struct slice){e->key, e->key_len};
            *provide = e->provide;
            *due = kad_wall(k, when > now ? when : now);
            return true;
        }
    }
    return false;
}

/* Publishing found nobody: again soon rather than in twelve hours. */
void kad_keep_result(struct kad *k, struct slice key, bool provide, qudag_err err, tstamp now)
{
    struct kad_keep *e = keep_find(k, key, provide);

    if (e != NULL && err != QUDAG_OK) {
        (void)keep_due(k, e, tstamp_after(now, rng_jitter(&k->cfg.rng, RETRY_PUBLISH, 100)));
    }
}

void kad_keep_timer(struct kad *k, struct kad_keep *e, tstamp now, struct acts *out)
{
    struct slice key = {e->key, e->key_len}, value = {e->value, e->value_len};
    struct kad_ask ask = {.op = e->provide ? KAD_OP_PROVIDE : KAD_OP_PUT,
                          .internal = true,
                          .key = key,
                          .value = value,
                          .val = kad_validator_find(k, key)};
    walltime expires;
    qudag_err judged = e->provide        ? QUDAG_OK
                       : ask.val == NULL ? QUDAG_EINVAL
                                         : kad_judge(k, ask.val, key, value, now, &expires);

    if (judged == QUDAG_ENOMEM || judged == QUDAG_ECLOCK) { /* no fault of the value */
        kad_keep_result(k, key, false, judged, now);
        return;
    }
    if (judged != QUDAG_OK) {
        keep_free(k, e); /* what was published has run out */
        return;
    }
    tstamp wait = rng_jitter(&k->cfg.rng, KAD_REPUBLISH * NS_PER_S, 100);
    if (keep_due(k, e, tstamp_after(now, wait)) != QUDAG_OK) {
        return;
    }
    qudag_err err = kad_job_start(k, &ask, now, out);
    if (err != QUDAG_OK) {
        kad_keep_result(k, key, e->provide, err, now);
    }
}
