/*
 * rendezvous.c - rendezvous points: life, events, time.
 *
 *   event ─▶ job of the stream ─▶ rendezvous_ask.c (ours), rendezvous_relay.c (of others)
 */
#include "core/rend/rendezvous_impl.h"

/* ---- events ---- */

static void stream_open(struct rendezvous *r, const struct ev *ev, struct acts *out)
{
    if (ev->inbound) {
        rend_job_inbound(&r->t, ev, RENDEZVOUS_REQUEST, out);
        return;
    }
    struct rend_job *j = rend_job_get(&r->t, ref_from_u64(ev->cookie));
    if (j == NULL || j->state != RENDEZVOUS_OPENING) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* given up in the meantime */
        return;
    }
    rendezvous_asked_open(r, j, ev->strm, out);
}

static void stream_fail(struct rendezvous *r, const struct ev *ev, struct acts *out)
{
    struct rend_job *j = rend_job_get(&r->t, ref_from_u64(ev->cookie));

    if (j != NULL && j->state == RENDEZVOUS_OPENING) {
        rendezvous_fail(r, j, ev->err != QUDAG_OK ? ev->err : QUDAG_EUNREACHABLE, out);
    }
}

/* What happens on a stream that has a job. */
static void stream_event(struct rendezvous *r, struct rend_job *j, const struct ev *ev,
                         struct acts *out)
{
    switch (ev->type) {
    case EV_DATA:
        if (j->asks) {
            rendezvous_asked_data(r, j, ev->data, out);
        } else {
            rendezvous_relay_data(r, j, ev->data, out);
        }
        break;
    case EV_FIN:
        if (j->asks) {
            rendezvous_asked_fin(r, j, out);
        } else {
            rendezvous_relay_fin(r, j, out);
        }
        break;
    case EV_WRITABLE:
        rendezvous_relay_sent(r, j, ev->n, out);
        break;
    case EV_RESET:
        rend_job_unstream(&r->t, j);
        rendezvous_fail(r, j, ev->err != QUDAG_OK ? ev->err : QUDAG_ERESET, out);
        break;
    case EV_STREAM_OPEN:
    case EV_STREAM_FAIL:
    case EV_PEER_UP:
    case EV_PEER_DOWN:
        break; /* streams of a lost peer are reset one by one before this */
    }
}

static void rendezvous_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct rendezvous *r = core;

    r->t.now = now;
    if (ev->type == EV_STREAM_OPEN) {
        stream_open(r, ev, out);
        return;
    }
    if (ev->type == EV_STREAM_FAIL) {
        stream_fail(r, ev, out);
        return;
    }
    struct rend_job *j = rend_job_of_stream(&r->t, ev->strm);
    if (j != NULL) {
        stream_event(r, j, ev, out);
    }
}

static void rendezvous_tick(void *core, tstamp now, struct acts *out)
{
    struct rendezvous *r = core;
    struct rend_job *j;

    r->t.now = now;
    for (unsigned n = 0; n < ACTS_ROOM / 4 && (j = rend_job_overdue(&r->t)) != NULL; n++) {
        r->stats.expired += j->state == RENDEZVOUS_WAITING;
        rendezvous_fail(r, j, QUDAG_ETIMEOUT, out);
    }
}

static tstamp rendezvous_deadline(const void *core)
{
    const struct rendezvous *r = core;

    return rend_table_deadline(&r->t);
}

const struct core_ops rendezvous_ops = {
    .protocol = RENDEZVOUS_PROTOCOL,
    .inbound_max = 2, /* of one circuit, which is served one */
    .manual_credit = false,
    .event = rendezvous_event,
    .tick = rendezvous_tick,
    .deadline = rendezvous_deadline,
};

/* ---- life ---- */

qudag_err rendezvous_new(struct rendezvous **out, const struct rendezvous_config *cfg, tstamp now)
{
    struct rendezvous *r = mem_alloc(cfg->mem, sizeof *r);
    struct rng rng = cfg->rng;

    *out = NULL;
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    struct rend_table_config t = {.mem = cfg->mem,
                                  .rng = &rng,
                                  .serve = cfg->serve,
                                  .lasting = REND_OLDEST,
                                  .asking_max = cfg->asking_max,
                                  .requests_max = cfg->requests_max,
                                  .lasting_max = cfg->waiting_max,
                                  .lasting_default = RENDEZVOUS_WAITING_MAX};
    qudag_err err = rend_table_init(&r->t, &t, now);
    if (err != QUDAG_OK) {
        mem_free(cfg->mem, r);
        return err;
    }
    *out = r;
    return QUDAG_OK;
}

void rendezvous_free(struct rendezvous *r)
{
    if (r != NULL) {
        struct mem *mem = r->t.mem;
        rend_table_fini(&r->t);
        mem_free(mem, r);
    }
}

void rendezvous_stats_get(const struct rendezvous *r, struct rendezvous_stats *out)
{
    *out = r->stats;
    out->gave_way = r->t.gave_way;
    out->refused_limit = r->t.refused_limit;
    out->waiting = r->t.lasting.fair.n;
    out->requests = r->t.incoming.fair.n;
}
