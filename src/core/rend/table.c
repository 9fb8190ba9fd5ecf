/*
 * table.c - the streams of one protocol: places for requests and for what lasts, shared by network and previous hop.
 *
 * A job is in the heap of timers from when it is made, so that its time can be set again without memory.
 */
#include "core/rend/table.h"

#include "base/assert.h"
#include "base/wipe.h"

#include <string.h>

/* ---- life ---- */

static uint32_t or_default(uint32_t v, uint32_t dflt)
{
    return v == 0 ? dflt : v < REND_MOST ? v : REND_MOST;
}

static void places_init(struct rend_places *p, const struct rend_table *t, const uint8_t seed[16],
                        uint32_t max)
{
    p->max = max;
    fair_init(&p->fair, t->mem, seed, 2 * max);
}

qudag_err rend_table_init(struct rend_table *t, const struct rend_table_config *cfg, tstamp now)
{
    uint8_t seed[32];

    *t = (struct rend_table){.mem = cfg->mem, .serve = cfg->serve, .now = now};
    if (cfg->serve) {
        t->seen.ring = mem_alloc_n(t->mem, REND_CIRCUITS_SEEN, sizeof *t->seen.ring);
        if (t->seen.ring == NULL) {
            return QUDAG_ENOMEM;
        }
    }
    rng_fill(cfg->rng, seed, sizeof seed);
    memcpy(&t->k0, seed + 16, sizeof t->k0);
    memcpy(&t->k1, seed + 24, sizeof t->k1);
    t->asking_max = or_default(cfg->asking_max, REND_ASKING_MAX);
    places_init(&t->incoming, t, seed, or_default(cfg->requests_max, REND_REQUESTS_MAX));
    places_init(&t->lasting, t, seed, or_default(cfg->lasting_max, cfg->lasting_default));
    t->lasting.which = cfg->lasting;
    uint32_t all = t->asking_max + t->incoming.max + t->lasting.max;
    slots_init(&t->jobs, t->mem, all);
    map_init_u64(&t->by_strm, t->mem, NULL, 0, all);
    map_init_u64(&t->by_name, t->mem, NULL, 0, all);
    map_init_u64(&t->seen.set, t->mem, NULL, 0, REND_CIRCUITS_SEEN);
    heap_init(&t->timers, t->mem, all);
    wipe(seed, sizeof seed);
    return QUDAG_OK;
}

void rend_table_fini(struct rend_table *t)
{
    for (uint32_t i = 0; i < t->jobs.high; i++) {
        if (slots_at(&t->jobs, i) != NULL) {
            rend_job_free(t, slots_at(&t->jobs, i));
        }
    }
    slots_fini(&t->jobs);
    map_fini(&t->by_strm);
    map_fini(&t->by_name);
    map_fini(&t->seen.set);
    heap_fini(&t->timers);
    fair_fini(&t->incoming.fair);
    fair_fini(&t->lasting.fair);
    mem_free(t->mem, t->seen.ring);
    wipe(&t->k0, sizeof t->k0);
    wipe(&t->k1, sizeof t->k1);
}

/* ---- jobs ---- */

static qudag_err job_new(struct rend_table *t, unsigned state, uint64_t life, struct rend_job **out)
{
    struct rend_job *j = mem_alloc(t->mem, sizeof *j);

    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = slots_add(&t->jobs, j, &j->self);
    if (err == QUDAG_OK) {
        err = heap_set(&t->timers, &j->timer, tstamp_after(t->now, life));
        if (err != QUDAG_OK) {
            slots_del(&t->jobs, j->self);
        }
    }
    if (err != QUDAG_OK) {
        mem_free(t->mem, j);
        return err;
    }
    j->state = state;
    dyn_init(&j->buf, t->mem, REND_REQUEST_MAX);
    *out = j;
    return QUDAG_OK;
}

qudag_err rend_job_ask(struct rend_table *t, unsigned state, uint64_t life, struct rend_job **out)
{
    if (t->asking >= t->asking_max) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = job_new(t, state, life, out);
    if (err == QUDAG_OK) {
        (*out)->asks = true;
        t->asking++;
    }
    return err;
}

qudag_err rend_job_stream(struct rend_table *t, struct rend_job *j, struct ref strm)
{
    qudag_err err = map_u64_put(&t->by_strm, ref_to_u64(strm), j);

    if (err == QUDAG_OK) {
        j->strm = strm;
    }
    return err;
}

void rend_job_unstream(struct rend_table *t, struct rend_job *j)
{
    if (!ref_none(j->strm)) {
        (void)map_u64_del(&t->by_strm, ref_to_u64(j->strm));
        j->strm = (struct ref){0, 0};
    }
}

void rend_job_due(struct rend_table *t, struct rend_job *j, uint64_t life)
{
    qudag_err err = heap_set(&t->timers, &j->timer, tstamp_after(t->now, life));
    ASSERT(err == QUDAG_OK); /* it is in the heap: that needs no memory */
}

void rend_job_free(struct rend_table *t, struct rend_job *j)
{
    rend_job_unstream(t, j);
    rend_name_forget(t, j);
    if (j->in != NULL) {
        fair_del(&j->in->fair, &j->place, t->now);
    }
    t->asking -= j->asks;
    heap_del(&t->timers, &j->timer);
    slots_del(&t->jobs, j->self);
    dyn_fini(&j->buf);
    mem_free_wiped(t->mem, j);
}

void rend_job_drop(struct rend_table *t, struct rend_job *j, qudag_err err, struct acts *out)
{
    if (!ref_none(j->strm)) {
        acts_reset(out, j->strm, err);
    }
    rend_job_free(t, j);
}

struct rend_job *rend_job_of_stream(const struct rend_table *t, struct ref strm)
{
    return map_u64_get(&t->by_strm, ref_to_u64(strm));
}

struct rend_job *rend_job_get(const struct rend_table *t, struct ref self)
{
    return slots_get(&t->jobs, self);
}

struct rend_job *rend_job_overdue(const struct rend_table *t)
{
    struct heap_node *n = heap_top(&t->timers);

    return n == NULL || n->at > t->now ? NULL : LIST_ENTRY(n, struct rend_job, timer);
}

tstamp rend_table_deadline(const struct rend_table *t)
{
    const struct heap_node *n = heap_top(&t->timers);

    return n == NULL ? TSTAMP_NEVER : n->at;
}

/* ---- places ---- */

static struct rend_job *job_at(struct list *it, bool kept)
{
    struct rend_job *j = LIST_ENTRY(it, struct rend_job, place.node);

    return j->place.active == kept ? j : NULL;
}

/* What the source would lose of what it has |kept|, or not; NULL: nothing. */
static struct rend_job *taken_from(struct fair_source *s, enum rend_which which, bool kept)
{
    struct rend_job *j = NULL;

    if (which == REND_OLDEST) {
        for (struct list *it = s->items.next; it != &s->items && j == NULL; it = it->next) {
            j = job_at(it, kept);
        }
    } else {
        for (struct list *it = s->items.prev; it != &s->items && j == NULL; it = it->prev) {
            j = job_at(it, kept);
        }
    }
    return j;
}

/* SPEC: rendezvous: whether there is room for one more of the newcomer, made if need be. */
static bool make_room(struct rend_table *t, const struct rend_places *p,
                      const struct fair_claim *newcomer, struct acts *out)
{
    if (p->fair.n < p->max) {
        return true;
    }
    struct fair_source *most = fair_most_for(&p->fair, newcomer);
    struct fair_claim holder = fair_claim_of_source(most);
    struct rend_job *j = NULL;
    if (rend_gives_way(&holder, newcomer, p->which)) {
        j = taken_from(most, p->which, false);
    }
    if (j == NULL && fair_gives_way(&holder, newcomer)) {
        j = taken_from(most, p->which, true); /* or who keeps all shuts all others out */
    }
    if (j == NULL) {
        t->refused_limit++;
        return false;
    }
    struct rend_job *other = rend_job_get(t, j->other);
    t->gave_way++;
    rend_job_drop(t, j, QUDAG_ELIMIT, out);
    if (other != NULL) { /* without each other they are nothing */
        rend_job_drop(t, other, QUDAG_ELIMIT, out);
    }
    return true;
}

static qudag_err take_place(struct rend_table *t, struct rend_job *j, struct rend_places *p,
                            struct acts *out)
{
    struct fair_claim newcomer = fair_claim_of(&p->fair, j->net, j->source);

    if (!make_room(t, p, &newcomer, out)) {
        return QUDAG_ELIMIT;
    }
    if (j->in != NULL) {
        fair_del(&j->in->fair, &j->place, t->now);
        j->in = NULL;
    }
    qudag_err err = fair_add(&p->fair, &j->place, j->net, j->source, t->now);
    if (err == QUDAG_OK) {
        j->in = p;
    }
    return err;
}

qudag_err rend_job_last(struct rend_table *t, struct rend_job *j, struct acts *out)
{
    return take_place(t, j, &t->lasting, out);
}

void rend_job_keep(struct rend_job *j)
{
    fair_active(&j->in->fair, &j->place, true);
}

/* ---- streams of others ---- */

/* SPEC: rendezvous: one stream of this protocol on a circuit.  ELIMIT: it had one; ENOMEM. */
static qudag_err circuit_take(struct rend_seen *s, uint64_t link)
{
    if (map_u64_get(&s->set, link) != NULL) {
        return QUDAG_ELIMIT;
    }
    if (s->n == REND_CIRCUITS_SEEN) {
        (void)map_u64_del(&s->set, s->ring[s->next]);
        s->n--;
    }
    qudag_err err = map_u64_put(&s->set, link, s);
    if (err == QUDAG_OK) {
        s->ring[s->next] = link;
        s->next = (s->next + 1) % REND_CIRCUITS_SEEN;
        s->n++;
    }
    return err;
}

static qudag_err job_in(struct rend_table *t, const struct ev *ev, unsigned state, struct acts *out)
{
    struct rend_job *j;

    if (!t->serve) {
        return QUDAG_EREFUSED;
    }
    if ((ev->props & LINK_ANON) == 0) {
        return QUDAG_EPOLICY; /* at the end of circuits only: nobody shows himself to us here */
    }
    qudag_err err = circuit_take(&t->seen, ev->link);
    if (err == QUDAG_OK) {
        err = job_new(t, state, REND_REQUEST_TIMEOUT, &j);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    j->net = ev->net;
    j->source = ev->via != 0 ? ev->via : ev->link;
    j->link = ev->link;
    err = take_place(t, j, &t->incoming, out);
    if (err == QUDAG_OK) {
        err = rend_job_stream(t, j, ev->strm);
    }
    if (err != QUDAG_OK) {
        rend_job_free(t, j);
    }
    return err;
}

void rend_job_inbound(struct rend_table *t, const struct ev *ev, unsigned state, struct acts *out)
{
    qudag_err err = job_in(t, ev, state, out);

    if (err != QUDAG_OK) {
        acts_reset(out, ev->strm, err);
    }
}

/* ---- names ---- */

static uint64_t name_hash(const struct rend_table *t, const uint8_t name[REND_NAME_LEN])
{
    return siphash24(t->k0, t->k1, (struct slice){name, REND_NAME_LEN});
}

qudag_err rend_name_set(struct rend_table *t, struct rend_job *j, const uint8_t name[REND_NAME_LEN])
{
    uint64_t h = name_hash(t, name);

    if (map_u64_get(&t->by_name, h) != NULL) {
        return QUDAG_EEXISTS;
    }
    qudag_err err = map_u64_put(&t->by_name, h, j);
    if (err == QUDAG_OK) {
        memcpy(j->name, name, REND_NAME_LEN);
        j->named = true;
    }
    return err;
}

void rend_name_forget(struct rend_table *t, struct rend_job *j)
{
    if (j->named) {
        (void)map_u64_del(&t->by_name, name_hash(t, j->name));
        wipe(j->name, sizeof j->name);
        j->named = false;
    }
}

struct rend_job *rend_name_find(const struct rend_table *t, const uint8_t name[REND_NAME_LEN])
{
    struct rend_job *j = map_u64_get(&t->by_name, name_hash(t, name));

    return j != NULL && ct_equal(j->name, name, REND_NAME_LEN) ? j : NULL;
}
