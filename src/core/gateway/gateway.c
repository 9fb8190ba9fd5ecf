/*
 * gateway.c - DHT reads and writes over circuits: life, events, time.
 *
 *   event ─▶ job of the stream ─▶ ask.c (what we ask), serve.c (what others ask)
 */
#include "core/gateway/job.h"

#define JOBS_DEFAULT 64
#define OTHERS_DEFAULT 256
#define RUNNING_DEFAULT 96
#define RATE_DEFAULT 50

/* --- events --------------------------------------------------------------------------------- */

static struct gateway_job *job_of_stream(const struct gateway *g, struct ref strm)
{
    return map_u64_get(&g->by_strm, ref_to_u64(strm));
}

static void stream_data(struct gateway *g, struct gateway_job *j, struct slice data,
                        struct acts *out)
{
    qudag_err err = QUDAG_EPROTO; /* nothing may follow the message */

    if (j->state == GATEWAY_JOB_REPLY || j->state == GATEWAY_JOB_REQUEST) {
        err = dyn_append(&j->buf, data.base, data.len);
    }
    if (err != QUDAG_OK) {
        gateway_job_fail(g, j, err, out);
    }
}

static void stream_fin(struct gateway *g, struct gateway_job *j, struct acts *out)
{
    if (j->state == GATEWAY_JOB_REPLY) {
        gateway_reply_done(g, j, out);
    } else if (j->state == GATEWAY_JOB_REQUEST) {
        gateway_request_done(g, j, out);
    }
}

static void stream_gone(struct gateway *g, struct gateway_job *j, qudag_err err, struct acts *out)
{
    gateway_job_unstream(g, j);
    if (j->state != GATEWAY_JOB_RUNNING) { /* else the DHT is still at work for it */
        gateway_job_fail(g, j, err != QUDAG_OK ? err : QUDAG_ERESET, out);
    }
}

static void stream_open(struct gateway *g, const struct ev *ev, struct acts *out)
{
    if (ev->inbound) {
        gateway_inbound_open(g, ev, out);
        return;
    }
    struct gateway_job *j = gateway_job_named(g, ev->cookie);
    if (j == NULL || j->state != GATEWAY_JOB_OPENING) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* given up in the meantime */
        return;
    }
    gateway_asked_open(g, j, ev->strm, out);
}

static void stream_fail(struct gateway *g, const struct ev *ev, struct acts *out)
{
    struct gateway_job *j = gateway_job_named(g, ev->cookie);

    if (j != NULL && j->state == GATEWAY_JOB_OPENING) {
        gateway_job_fail(g, j, ev->err != QUDAG_OK ? ev->err : QUDAG_EUNREACHABLE, out);
    }
}

static void gateway_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct gateway *g = core;
    struct gateway_job *j = job_of_stream(g, ev->strm);

    g->now = now;
    switch (ev->type) {
    case EV_STREAM_OPEN:
        stream_open(g, ev, out);
        break;
    case EV_STREAM_FAIL:
        stream_fail(g, ev, out);
        break;
    case EV_DATA:
        if (j != NULL) {
            stream_data(g, j, ev->data, out);
        }
        break;
    case EV_FIN:
        if (j != NULL) {
            stream_fin(g, j, out);
        }
        break;
    case EV_RESET:
        if (j != NULL) {
            stream_gone(g, j, ev->err, out);
        }
        break;
    case EV_WRITABLE:
    case EV_PEER_UP:
    case EV_PEER_DOWN:
        break; /* streams of a lost peer are reset one by one before this */
    }
}

static void gateway_tick(void *core, tstamp now, struct acts *out)
{
    struct gateway *g = core;
    struct heap_node *n;

    g->now = now;
    for (unsigned i = 0; i < ACTS_ROOM / 4; i++) {
        n = heap_top(&g->timers);
        if (n == NULL || n->at > now) {
            break;
        }
        gateway_job_fail(g, LIST_ENTRY(n, struct gateway_job, timer), QUDAG_ETIMEOUT, out);
    }
    gateway_serve_more(g, out);
}

static tstamp gateway_deadline(const void *core)
{
    const struct gateway *g = core;
    const struct heap_node *n = heap_top(&g->timers);

    return n == NULL ? TSTAMP_NEVER : tstamp_min(n->at, gateway_serve_at(g));
}

const struct core_ops gateway_ops = {
    .protocol = GATEWAY_PROTOCOL,
    .inbound_max = 4, /* of one circuit, of which one is served at a time */
    .manual_credit = false,
    .event = gateway_event,
    .tick = gateway_tick,
    .deadline = gateway_deadline,
};

static uint32_t or_default(uint32_t v, uint32_t dflt)
{
    return v == 0 ? dflt : v < GATEWAY_JOBS_MAX ? v : GATEWAY_JOBS_MAX;
}

qudag_err gateway_new(struct gateway **out, const struct gateway_config *cfg, tstamp now)
{
    struct gateway *g = mem_alloc(cfg->mem, sizeof *g);
    uint8_t seed[16];

    *out = NULL;
    if (g == NULL) {
        return QUDAG_ENOMEM;
    }
    g->cfg = *cfg;
    g->cfg.jobs_max = or_default(cfg->jobs_max, JOBS_DEFAULT);
    g->cfg.others_max = or_default(cfg->others_max, OTHERS_DEFAULT);
    g->cfg.running_max = or_default(cfg->running_max, RUNNING_DEFAULT);
    g->cfg.rate = or_default(cfg->rate, RATE_DEFAULT);
    uint32_t all = g->cfg.jobs_max + g->cfg.others_max;
    rng_fill(&g->cfg.rng, seed, sizeof seed);
    slots_init(&g->jobs, cfg->mem, all);
    map_init_u64(&g->by_strm, cfg->mem, NULL, 0, all);
    heap_init(&g->timers, cfg->mem, all);
    fair_init(&g->others, cfg->mem, seed, 2 * g->cfg.others_max);
    limiter_init(&g->limiter, g->cfg.rate, 2 * (uint64_t)g->cfg.rate, now);
    g->now = now;
    *out = g;
    return QUDAG_OK;
}

void gateway_free(struct gateway *g)
{
    if (g == NULL) {
        return;
    }
    for (uint32_t i = 0; i < g->jobs.high; i++) {
        if (slots_at(&g->jobs, i) != NULL) {
            gateway_job_free(g, slots_at(&g->jobs, i));
        }
    }
    slots_fini(&g->jobs);
    map_fini(&g->by_strm);
    heap_fini(&g->timers);
    fair_fini(&g->others);
    mem_free(g->cfg.mem, g);
}

void gateway_stats_get(const struct gateway *g, struct gateway_stats *out)
{
    *out = g->stats;
    out->running = g->others.active;
    out->others = g->others.n;
}
