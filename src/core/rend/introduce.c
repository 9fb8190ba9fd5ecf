/*
 * introduce.c - introduction points: life, events, time.
 *
 *   event ─▶ job of the stream ─▶ introduce_ask.c (ours), introduce_relay.c (of others)
 */
#include "core/rend/introduce_impl.h"

/* ---- events ---- */

static void stream_open(struct introduce *i, const struct ev *ev, struct acts *out)
{
    if (ev->inbound) {
        rend_job_inbound(&i->t, ev, INTRODUCE_REQUEST, out);
        return;
    }
    struct rend_job *j = rend_job_get(&i->t, ref_from_u64(ev->cookie));
    if (j == NULL || j->state != INTRODUCE_OPENING) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* given up in the meantime */
        return;
    }
    introduce_asked_open(i, j, ev->strm, out);
}

static void stream_fail(struct introduce *i, const struct ev *ev, struct acts *out)
{
    struct rend_job *j = rend_job_get(&i->t, ref_from_u64(ev->cookie));

    if (j != NULL && j->state == INTRODUCE_OPENING) {
        introduce_fail(i, j, ev->err != QUDAG_OK ? ev->err : QUDAG_EUNREACHABLE, out);
    }
}

/* What happens on a stream that has a job. */
static void stream_event(struct introduce *i, struct rend_job *j, const struct ev *ev,
                         struct acts *out)
{
    switch (ev->type) {
    case EV_DATA:
        if (j->asks) {
            introduce_asked_data(i, j, ev->data, out);
        } else {
            introduce_relay_data(i, j, ev->data, out);
        }
        break;
    case EV_FIN:
        if (j->asks) {
            introduce_asked_fin(i, j, out);
        } else {
            introduce_relay_fin(i, j, out);
        }
        break;
    case EV_WRITABLE:
        j->queued -= ev->n < j->queued ? ev->n : j->queued;
        break;
    case EV_RESET:
        rend_job_unstream(&i->t, j);
        introduce_fail(i, j, ev->err != QUDAG_OK ? ev->err : QUDAG_ERESET, out);
        break;
    case EV_STREAM_OPEN:
    case EV_STREAM_FAIL:
    case EV_PEER_UP:
    case EV_PEER_DOWN:
        break; /* streams of a lost peer are reset one by one before this */
    }
}

static void introduce_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct introduce *i = core;

    i->t.now = now;
    if (ev->type == EV_STREAM_OPEN) {
        stream_open(i, ev, out);
        return;
    }
    if (ev->type == EV_STREAM_FAIL) {
        stream_fail(i, ev, out);
        return;
    }
    struct rend_job *j = rend_job_of_stream(&i->t, ev->strm);
    if (j != NULL) {
        stream_event(i, j, ev, out);
    }
}

static void introduce_tick(void *core, tstamp now, struct acts *out)
{
    struct introduce *i = core;
    struct rend_job *j;

    i->t.now = now;
    for (unsigned n = 0; n < ACTS_ROOM / 4 && (j = rend_job_overdue(&i->t)) != NULL; n++) {
        if (j->state == INTRODUCE_ESTABLISHED) {
            introduce_asked_keep(i, j, out);
        } else {
            introduce_fail(i, j, QUDAG_ETIMEOUT, out);
        }
    }
}

static tstamp introduce_deadline(const void *core)
{
    const struct introduce *i = core;

    return rend_table_deadline(&i->t);
}

const struct core_ops introduce_ops = {
    .protocol = INTRODUCE_PROTOCOL,
    .inbound_max = 2, /* of one circuit, which is served one */
    .manual_credit = false,
    .event = introduce_event,
    .tick = introduce_tick,
    .deadline = introduce_deadline,
};

/* ---- life ---- */

qudag_err introduce_new(struct introduce **out, const struct introduce_config *cfg, tstamp now)
{
    struct introduce *i = mem_alloc(cfg->mem, sizeof *i);

    *out = NULL;
    if (i == NULL) {
        return QUDAG_ENOMEM;
    }
    i->rng = cfg->rng;
    struct rend_table_config t = {.mem = cfg->mem,
                                  .rng = &i->rng,
                                  .serve = cfg->serve,
                                  .lasting = REND_NEWEST,
                                  .asking_max = cfg->asking_max,
                                  .requests_max = cfg->requests_max,
                                  .lasting_max = cfg->points_max,
                                  .lasting_default = INTRODUCE_POINTS_MAX};
    qudag_err err = rend_table_init(&i->t, &t, now);
    if (err != QUDAG_OK) {
        mem_free(cfg->mem, i);
        return err;
    }
    *out = i;
    return QUDAG_OK;
}

void introduce_free(struct introduce *i)
{
    if (i != NULL) {
        struct mem *mem = i->t.mem;
        rend_table_fini(&i->t);
        mem_free(mem, i);
    }
}

void introduce_stats_get(const struct introduce *i, struct introduce_stats *out)
{
    *out = i->stats;
    out->gave_way = i->t.gave_way;
    out->refused_limit = i->t.refused_limit;
    out->points = i->t.lasting.fair.n;
    out->requests = i->t.incoming.fair.n;
}
