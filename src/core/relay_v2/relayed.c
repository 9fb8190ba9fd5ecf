/* relayed.c - a user of relays: life, events, time, bytes. */
#include "core/relay_v2/relayed_int.h"

#define TICK_MAX 64 /* jobs that end in one tick */

qudag_err relayed_new(struct relayed **out, const struct relayed_config *cfg)
{
    struct relayed *r = mem_alloc(cfg->mem, sizeof(*r));

    *out = r;
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    r->cfg = *cfg;
    slots_init(&r->jobs, cfg->mem, RELAYED_STREAMS_MAX);
    map_init_u64(&r->by_strm, cfg->mem, NULL, 0, RELAYED_STREAMS_MAX);
    heap_init(&r->timers, cfg->mem, RELAYED_STREAMS_MAX);
    return QUDAG_OK;
}

void relayed_free(struct relayed *r)
{
    if (r == NULL) {
        return;
    }
    for (uint32_t i = 0; i < r->jobs.high; i++) {
        struct relayed_job *j = slots_at(&r->jobs, i);
        if (j != NULL) {
            relayed_job_free(r, j);
        }
    }
    slots_fini(&r->jobs);
    map_fini(&r->by_strm);
    heap_fini(&r->timers);
    mem_free(r->cfg.mem, r);
}

void relayed_stats_get(const struct relayed *r, struct relayed_stats *out)
{
    *out = r->stats;
    for (size_t i = 0; i < RELAYED_RELAYS_MAX; i++) {
        out->held += r->place[i].relay.len > 0 && r->place[i].held ? 1 : 0;
    }
    for (uint32_t i = 0; i < r->jobs.high; i++) {
        const struct relayed_job *j = slots_at(&r->jobs, i);
        out->streams += j != NULL && j->state == RELAYED_CARRYING ? 1 : 0;
    }
}

/* ------------------------------------------------------------------ bytes */

static struct relayed_job *carrying(const struct relayed *r, struct ref name)
{
    struct relayed_job *j = slots_get(&r->jobs, name);

    return j != NULL && j->state == RELAYED_CARRYING ? j : NULL;
}

size_t relayed_room(const struct relayed *r, struct ref name)
{
    const struct relayed_job *j = carrying(r, name);

    return j == NULL ? 0 : RELAYED_QUEUE - (size_t)j->queued;
}

qudag_err relayed_write(struct relayed *r, struct ref name, struct slice s, struct acts *out)
{
    struct relayed_job *j = carrying(r, name);

    if (j == NULL) {
        return QUDAG_ESTALE;
    }
    if (s.len > RELAYED_QUEUE - j->queued) {
        return QUDAG_ETOOBIG;
    }
    j->queued += s.len;
    j->out += s.len;
    r->stats.bytes_out += s.len;
    acts_write(out, j->strm, s.base, s.len);
    return QUDAG_OK;
}

void relayed_close(struct relayed *r, struct ref name, qudag_err err, tstamp now, struct acts *out)
{
    struct relayed_job *j = carrying(r, name);

    if (j == NULL) {
        return;
    }
    relayed_place_count(r, j, false);
    if (err != QUDAG_OK) {
        acts_reset(out, j->strm, err);
        relayed_job_free(r, j);
        return;
    }
    acts_fin(out, j->strm);
    j->state = RELAYED_CLOSING;
    relayed_job_due(r, j, tstamp_after(now, RELAYED_LINGER));
}

/* ------------------------------------------------------------------ events */

/* A byte stream is at its end. */
static void over(struct relayed *r, struct relayed_job *j, const struct ev *ev, tstamp now,
                 struct acts *out)
{
    struct relayed_end e = {.err = ev->type == EV_RESET ? ev->err : QUDAG_OK,
                            .limit = j->info.limit,
                            .in = j->in,
                            .out = j->out,
                            .lived_ns = now - j->since};
    struct act *a = acts_up(out, RELAYED_UP_ENDED);

    a->obj = j->self;
    a->err = relayed_rule_end(&e);
    a->peer = j->info.relay;
    a->n = a->err != QUDAG_OK && a->err != QUDAG_ELIMIT ? 1 : 0;
    relayed_place_count(r, j, a->n != 0);
    r->stats.ended_by_limit += a->err == QUDAG_ELIMIT ? 1 : 0;
    if (ev->type == EV_FIN) {
        acts_fin(out, j->strm);
    }
    relayed_job_free(r, j);
}

static void ended(struct relayed *r, const struct ev *ev, tstamp now, struct acts *out)
{
    struct relayed_job *j = relayed_job_of(r, ev->strm);

    if (j == NULL) {
        return;
    }
    if (j->state == RELAYED_CARRYING) {
        over(r, j, ev, now, out);
    } else if (j->state == RELAYED_CLOSING) {
        relayed_job_free(r, j);
    } else {
        if (ev->type == EV_RESET) {
            (void)map_u64_del(&r->by_strm, ref_to_u64(j->strm));
            j->strm = (struct ref){0, 0};
        }
        relayed_job_fail(r, j, ev->type == EV_RESET ? ev->err : QUDAG_EPROTO, 0, now, out);
    }
}

static void data(struct relayed *r, const struct ev *ev, tstamp now, struct acts *out)
{
    struct relayed_job *j = relayed_job_of(r, ev->strm);

    if (j == NULL || j->state == RELAYED_CLOSING) {
        return;
    }
    if (j->state == RELAYED_CARRYING) {
        relayed_content(r, j, ev->data, out);
    } else {
        relayed_job_data(r, j, ev->data, now, out);
    }
}

static void writable(const struct relayed *r, const struct ev *ev, struct acts *out)
{
    struct relayed_job *j = relayed_job_of(r, ev->strm);

    if (j == NULL) {
        return;
    }
    uint64_t own = ev->n < j->own ? ev->n : j->own, n = ev->n - own;
    j->own -= own;
    j->queued -= n < j->queued ? n : j->queued;
    if (n > 0 && j->state == RELAYED_CARRYING) {
        acts_up(out, RELAYED_UP_ROOM)->obj = j->self;
    }
}

static struct relayed_job *opening(const struct relayed *r, uint64_t cookie)
{
    struct relayed_job *j = slots_get(&r->jobs, ref_from_u64(cookie));

    return j != NULL && j->state == RELAYED_OPENING ? j : NULL;
}

static void event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct relayed *r = core;
    struct relayed_job *j;

    switch (ev->type) {
    case EV_STREAM_OPEN:
        if (ev->inbound) {
            relayed_stop_open(r, ev, now, out);
        } else if ((j = opening(r, ev->cookie)) == NULL) {
            acts_reset(out, ev->strm, QUDAG_ECANCELED);
        } else {
            relayed_job_opened(r, j, ev, now, out);
        }
        break;
    case EV_STREAM_FAIL:
        if ((j = opening(r, ev->cookie)) != NULL) {
            relayed_job_fail(r, j, ev->err, 0, now, out);
        }
        break;
    case EV_DATA:
        data(r, ev, now, out);
        break;
    case EV_WRITABLE:
        writable(r, ev, out);
        break;
    case EV_FIN:
    case EV_RESET:
        ended(r, ev, now, out);
        break;
    case EV_PEER_DOWN:
        relayed_place_down(r, ev->peer, now, out);
        break;
    case EV_PEER_UP:
        relayed_place_up(r, ev->peer, now);
        break;
    }
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct relayed *r = core;
    struct heap_node *t;

    for (unsigned n = 0; n < TICK_MAX && (t = heap_top(&r->timers)) != NULL && t->at <= now; n++) {
        struct relayed_job *j = LIST_ENTRY(t, struct relayed_job, timer);
        if (j->state == RELAYED_CLOSING) {
            acts_reset(out, j->strm, QUDAG_ETIMEOUT);
            relayed_job_free(r, j);
        } else {
            relayed_job_fail(r, j, QUDAG_ETIMEOUT, 0, now, out);
        }
    }
    relayed_places_tick(r, now, out);
}

static tstamp deadline(const void *core)
{
    const struct relayed *r = core;
    const struct heap_node *t = heap_top(&r->timers);

    return tstamp_min(t != NULL ? t->at : TSTAMP_NEVER, relayed_places_at(r));
}

const struct core_ops relayed_ops = {.protocol = CIRCUIT_STOP_PROTOCOL,
                                     .inbound_max = RELAYED_STREAMS_RELAY,
                                     .event = event,
                                     .tick = tick,
                                     .deadline = deadline};
