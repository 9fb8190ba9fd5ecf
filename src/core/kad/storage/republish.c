/*
 * republish.c - what we publish ourselves: values and provider records, stored again every KAD_REPUBLISH.
 *
 *   added --12 h +- 10 %--> published again --failed, or cannot be validated now--> again in 5 min
 *   restored: due when it was due; what became due while the node was down is spread over 10 min
 */
#include "core/kad/storage/republish.h"

#include <string.h>

#define RETRY_PUBLISH (300 * NS_PER_S)
#define RESTORE_SPREAD_MS 600000

void kad_publications_init(struct kad_publications *ps, struct kad_env *env,
                           struct kad_store *store, const struct kad_rules *rules)
{
    *ps = (struct kad_publications){.env = env, .store = store, .rules = rules};
    list_init(&ps->list);
}

static struct kad_publication *publication_of(struct list *l)
{
    return LIST_ENTRY(l, struct kad_publication, node);
}

static void publication_free(struct kad_publications *ps, struct kad_publication *e)
{
    heap_del(&ps->env->timers, &e->timer.node);
    list_del(&e->node);
    ps->n--;
    mem_free(ps->env->mem, e->value);
    e->value = NULL;
    if (!kad_dirty_end(ps->store, &e->dirty)) {
        mem_free(ps->env->mem, e);
    }
}

void kad_publications_fini(struct kad_publications *ps)
{
    LIST_EACH_SAFE(it, tmp, &ps->list)
    {
        publication_free(ps, publication_of(it));
    }
}

static struct kad_publication *publication_find(const struct kad_publications *ps, struct slice key,
                                                bool provide)
{
    LIST_EACH(it, &ps->list)
    {
        struct kad_publication *e = publication_of(it);
        if (e->provide == provide && kad_slice_eq(key, (struct slice){e->key, e->key_len})) {
            return e;
        }
    }
    return NULL;
}

static void publication_hash(uint8_t hash[SHA256_LEN], struct slice key, bool provide)
{
    uint8_t named[1 + KAD_KEY_MAX] = {provide ? 1 : 0};

    memcpy(named + 1, key.base, key.len);
    sha256(hash, (struct slice){named, 1 + key.len});
}

static struct kad_publication *publication_new(struct kad_publications *ps, struct slice key,
                                               bool provide)
{
    struct kad_publication *e = mem_alloc(ps->env->mem, sizeof(*e));

    if (e == NULL) {
        return NULL;
    }
    publication_hash(e->hash, key, provide);
    list_init(&e->node);
    list_init(&e->dirty.node);
    e->dirty.kind = KAD_PERSIST_OWN;
    e->timer = (struct kad_timer){.kind = KAD_TIMER_REPUBLISH, .owner = e};
    e->provide = provide;
    e->key_len = (uint16_t)key.len;
    memcpy(e->key, key.base, key.len);
    list_push_back(&ps->list, &e->node);
    ps->n++;
    return e;
}

/* Its next time; without memory for the timer it is given up. */
static qudag_err publication_due(struct kad_publications *ps, struct kad_publication *e, tstamp at)
{
    qudag_err err = kad_env_timer_set(ps->env, &e->timer, at);

    kad_dirty_set(ps->store, &e->dirty);
    if (err != QUDAG_OK) {
        publication_free(ps, e);
    }
    return err;
}

static qudag_err publication_set(struct kad_publications *ps,
                                 const struct kad_publication_args *args, tstamp at,
                                 struct kad_publication **out)
{
    struct slice value = args->value;
    struct kad_publication *e = publication_find(ps, args->key, args->provide);

    if (e == NULL && ps->n >= KAD_PUBLICATIONS_MAX) {
        return QUDAG_ELIMIT;
    }
    uint8_t *copy = mem_alloc(ps->env->mem, value.len);
    if (copy == NULL) {
        return QUDAG_ENOMEM;
    }
    if (value.len > 0) {
        memcpy(copy, value.base, value.len);
    }
    if (e == NULL) {
        e = publication_new(ps, args->key, args->provide);
    }
    if (e == NULL) {
        mem_free(ps->env->mem, copy);
        return QUDAG_ENOMEM;
    }
    mem_free(ps->env->mem, e->value);
    e->value = copy;
    e->value_len = value.len;
    *out = e;
    return publication_due(ps, e, at);
}

qudag_err kad_publication_add(struct kad_publications *ps, struct slice key, struct slice value,
                              bool provide, tstamp now)
{
    struct kad_publication *e;
    tstamp wait = rng_jitter(&ps->env->rng, KAD_REPUBLISH * NS_PER_S, 100);

    return publication_set(
        ps, &(struct kad_publication_args){.key = key, .value = value, .provide = provide},
        tstamp_after(now, wait), &e);
}

qudag_err kad_publication_restore(struct kad_publications *ps,
                                  const struct kad_publication_args *args,
                                  const uint8_t hash[SHA256_LEN], tstamp now)
{
    struct kad_publication *e;
    uint8_t right[SHA256_LEN];
    walltime wall = kad_env_wall(ps->env, now), most = wall + KAD_REPUBLISH + KAD_REPUBLISH / 10;
    walltime due = args->due < most ? args->due : most;
    uint64_t wait = due <= wall ? rng_below(&ps->env->rng, RESTORE_SPREAD_MS) * NS_PER_MS
                                : (uint64_t)(due - wall) * NS_PER_S;

    publication_hash(right, args->key, args->provide);
    if (memcmp(right, hash, SHA256_LEN) != 0) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = publication_set(ps, args, tstamp_after(now, wait), &e);
    if (err == QUDAG_OK) {
        list_del(&e->dirty.node); /* the host has it so */
        e->dirty.persisted = true;
    }
    return err;
}

bool kad_publication_remove(struct kad_publications *ps, struct slice key)
{
    uint32_t before = ps->n;

    LIST_EACH_SAFE(it, tmp, &ps->list)
    {
        struct kad_publication *e = publication_of(it);
        if (kad_slice_eq(key, (struct slice){e->key, e->key_len})) {
            publication_free(ps, e);
        }
    }
    return ps->n < before;
}

bool kad_publication_next(const struct kad_publications *ps, size_t *it, tstamp now,
                          struct kad_publication_args *out)
{
    size_t ix = 0;

    LIST_EACH(at, &ps->list)
    {
        const struct kad_publication *e = publication_of(at);
        if (ix++ == *it) {
            tstamp when = e->timer.node.at;
            (*it)++;
            out->key = (struct slice){e->key, e->key_len};
            out->value = (struct slice){e->value, e->value_len};
            out->provide = e->provide;
            out->due = kad_env_wall(ps->env, when > now ? when : now);
            return true;
        }
    }
    return false;
}

/* Publishing found nobody: again soon rather than in twelve hours. */
void kad_publication_result(struct kad_publications *ps, struct slice key, bool provide,
                            qudag_err err, tstamp now)
{
    struct kad_publication *e = publication_find(ps, key, provide);

    if (e != NULL && err != QUDAG_OK) {
        (void)publication_due(ps, e,
                              tstamp_after(now, rng_jitter(&ps->env->rng, RETRY_PUBLISH, 100)));
    }
}

bool kad_publication_timer(struct kad_publications *ps, struct kad_publication *e, tstamp now,
                           struct kad_due *due)
{
    struct slice key = {e->key, e->key_len}, value = {e->value, e->value_len};
    const struct kad_validator *v = kad_rules_find(ps->rules, key);
    walltime expires;
    qudag_err valid = e->provide ? QUDAG_OK
                      : v == NULL
                          ? QUDAG_EINVAL
                          : kad_validate(v, key, value, kad_env_wall(ps->env, now), &expires);

    if (valid == QUDAG_ENOMEM || valid == QUDAG_ECLOCK) { /* no fault of the value */
        kad_publication_result(ps, key, false, valid, now);
        return false;
    }
    if (valid != QUDAG_OK) {
        publication_free(ps, e); /* what was published has expired */
        return false;
    }
    tstamp wait = rng_jitter(&ps->env->rng, KAD_REPUBLISH * NS_PER_S, 100);
    if (publication_due(ps, e, tstamp_after(now, wait)) != QUDAG_OK) {
        return false;
    }
    *due = (struct kad_due){.key = key, .value = value, .provide = e->provide, .val = v};
    return true;
}
