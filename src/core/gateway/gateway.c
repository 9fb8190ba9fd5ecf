/*
 * gateway.c - DHT reads and writes over circuits, asking and answering side.
 *
 *   asking:    OPENING ── stream open ──▶ REPLY ── message, FIN ──▶ GATEWAY_UP_DONE
 *                 └───── fail, due ─────────┴── reset, due, bad ──▶ GATEWAY_UP_DONE with an error
 *
 *   answering: REQUEST ── message, FIN ──▶ RUNNING (GATEWAY_UP_GET, _PUT) ── gateway_answer ──▶ message, FIN
 *                 └── bad, due, refused,      └── due: reset
 *                     in a newer one's way: reset
 *
 * A job holds at most one message; there are at most jobs_max of them.
 */
#include "core/gateway/gateway.h"

#include "base/dyn.h"
#include "base/limiter.h"
#include "base/list.h"
#include "base/rd.h"
#include "base/slots.h"
#include "base/wr.h"
#include "wire/dht_keys.h"
#include "wire/kad_msg.h"

#include <string.h>

#define JOBS_DEFAULT 64
#define JOBS_MAX 4096
#define RATE_DEFAULT 50
#define MSG_IN_MAX (KAD_MSG_MAX + 4) /* with its length prefix */
#define MSG_OUT_MAX (2 * KAD_KEY_MAX + KAD_VALUE_MAX + 64)

_Static_assert(MSG_OUT_MAX <= KAD_MSG_MAX, "what we send, others accept");
_Static_assert(2 * KAD_KEY_MAX + KAD_VALUE_MAX + 2 < ACTS_BYTES_ROOM / 4, "room");

enum job_state {
    JOB_OPENING, /* asking: the stream was asked for */
    JOB_REPLY,   /* asking: the request left */
    JOB_REQUEST, /* answering: the request arrives */
    JOB_RUNNING, /* answering: whoever owns us walks the DHT */
};

struct gateway_job {
    struct list node; /* by due: all jobs live equally long */
    struct ref self;
    enum job_state state;
    enum kad_type type;
    struct ref strm;
    uint64_t cookie; /* asking: the caller's */
    tstamp due;
    uint8_t key[KAD_KEY_MAX];
    size_t key_len;
    struct dyn buf; /* OPENING: value to put; REPLY, REQUEST: what arrived */
};

struct gateway {
    struct gateway_config cfg;
    struct slots jobs;
    struct list by_due;
    struct limiter limiter;
};

/* --- jobs ----------------------------------------------------------------------------------- */

/* A job by its name, which is the cookie of what it asks for. */
static struct gateway_job *job_named(const struct gateway *g, uint64_t name)
{
    return slots_get(&g->jobs, ref_from_u64(name));
}

static struct gateway_job *job_of_stream(const struct gateway *g, struct ref strm)
{
    LIST_EACH(it, &g->by_due)
    {
        struct gateway_job *j = LIST_ENTRY(it, struct gateway_job, node);
        if (j->state != JOB_OPENING && ref_eq(j->strm, strm)) {
            return j;
        }
    }
    return NULL;
}

static qudag_err job_new(struct gateway *g, enum job_state state, tstamp now,
                         struct gateway_job **out)
{
    struct gateway_job *j = mem_alloc(g->cfg.mem, sizeof *j);

    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = slots_add(&g->jobs, j, &j->self);
    if (err != QUDAG_OK) {
        mem_free(g->cfg.mem, j);
        return err;
    }
    j->state = state;
    j->due = tstamp_after(now, GATEWAY_TIMEOUT);
    dyn_init(&j->buf, g->cfg.mem, MSG_IN_MAX);
    list_init(&j->node);
    list_push_back(&g->by_due, &j->node);
    *out = j;
    return QUDAG_OK;
}

static void job_free(struct gateway *g, struct gateway_job *j)
{
    slots_del(&g->jobs, j->self);
    list_del(&j->node);
    dyn_fini(&j->buf);
    mem_free_wiped(g->cfg.mem, j);
}

static bool job_asks(const struct gateway_job *j)
{
    return j->state == JOB_OPENING || j->state == JOB_REPLY;
}

/* Ends the job with an error: the stream is given up, the caller of an asking job gets a report. */
static void job_fail(struct gateway *g, struct gateway_job *j, qudag_err err, struct acts *out)
{
    if (j->state != JOB_OPENING && !ref_none(j->strm)) {
        acts_reset(out, j->strm, err);
    }
    if (job_asks(j)) {
        struct act *up = acts_up(out, GATEWAY_UP_DONE);
        up->cookie = j->cookie;
        up->err = err;
    }
    job_free(g, j);
}

/* --- messages ------------------------------------------------------------------------------- */

/* The one message in |buf|, without its prefix; EMALFORMED when there is less or more. */
static qudag_err frame_read(struct slice *msg, struct slice buf)
{
    struct rd r = rd_init(buf);

    *msg = rd_lp(&r, KAD_MSG_MAX);
    return rd_done(&r) ? QUDAG_OK : QUDAG_EMALFORMED;
}

/* The decoder wants room for peers, which nobody sends here; |peers| is to be freed by the caller. */
static qudag_err msg_read(struct gateway *g, struct slice buf, struct kad_msg *m,
                          struct kad_peer_info **peers)
{
    struct slice bytes;
    size_t dropped = 0;

    *peers = NULL;
    qudag_err err = frame_read(&bytes, buf);
    if (err != QUDAG_OK) {
        return err;
    }
    *peers = mem_alloc_n(g->cfg.mem, 2 * (size_t)KAD_PEERS_MAX, sizeof **peers);
    if (*peers == NULL) {
        return QUDAG_ENOMEM;
    }
    *m = (struct kad_msg){.closer = *peers, .providers = *peers + KAD_PEERS_MAX};
    return kad_msg_decode(m, &dropped, bytes);
}

static qudag_err msg_write(const struct gateway_job *j, bool has_record, struct slice value,
                           struct acts *out)
{
    uint8_t buf[MSG_OUT_MAX];
    struct slice key = {j->key, j->key_len};
    struct kad_msg m = {.type = j->type, .key = key, .has_record = has_record};
    size_t len = 0;

    if (has_record) {
        m.rec_key = key;
        m.rec_value = value;
    }
    qudag_err err = kad_msg_encode(buf, sizeof buf, &len, &m);
    if (err == QUDAG_OK) {
        acts_write(out, j->strm, buf, len);
        acts_fin(out, j->strm);
    }
    return err;
}

static bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

/* What may be read and written through us; everything else would make us an open proxy. */
static bool key_is_ours(struct slice key)
{
    return key.len <= KAD_KEY_MAX && (dht_key_under(key, DHT_DARK_PREFIX, NULL) ||
                                      dht_key_under(key, DHT_RELAY_PREFIX, NULL));
}

/* --- asking --------------------------------------------------------------------------------- */

static bool request_is_valid(const struct gateway_request *req, enum kad_type type)
{
    bool sized = req->value.len > 0 && req->value.len <= KAD_VALUE_MAX;

    return key_is_ours(req->key) && !ref_none(req->circuit) && (type == KAD_GET_VALUE || sized);
}

static qudag_err ask(struct gateway *g, const struct gateway_request *req, enum kad_type type,
                     tstamp now, struct acts *out)
{
    static const struct peer_id nobody = {.len = 0};
    struct gateway_job *j;

    if (!request_is_valid(req, type)) {
        return QUDAG_EINVAL;
    }
    qudag_err err = job_new(g, JOB_OPENING, now, &j);
    if (err == QUDAG_OK && type == KAD_PUT_VALUE) {
        err = dyn_append(&j->buf, req->value.base, req->value.len);
        if (err != QUDAG_OK) {
            job_free(g, j);
        }
    }
    if (err != QUDAG_OK) {
        return err;
    }
    j->type = type;
    j->cookie = req->cookie;
    memcpy(j->key, req->key.base, req->key.len);
    j->key_len = req->key.len;
    acts_open(out, &nobody, ref_to_u64(j->self), LINK_ANON)->obj = req->circuit;
    return QUDAG_OK;
}

qudag_err gateway_get(struct gateway *g, const struct gateway_request *req, tstamp now,
                      struct acts *out)
{
    return ask(g, req, KAD_GET_VALUE, now, out);
}

qudag_err gateway_put(struct gateway *g, const struct gateway_request *req, tstamp now,
                      struct acts *out)
{
    return ask(g, req, KAD_PUT_VALUE, now, out);
}

static void asked_open(struct gateway *g, struct gateway_job *j, struct ref strm, struct acts *out)
{
    j->strm = strm;
    j->state = JOB_REPLY;
    qudag_err err = msg_write(j, j->type == KAD_PUT_VALUE, dyn_slice(&j->buf), out);
    dyn_drop(&j->buf, j->buf.len);
    if (err != QUDAG_OK) {
        job_fail(g, j, err, out);
    }
}

/* The reply's meaning: the value of a GET, the count of a PUT. */
static qudag_err reply_judge(const struct gateway_job *j, const struct kad_msg *m, uint32_t *stored)
{
    struct slice key = {j->key, j->key_len};

    *stored = 0;
    if (m->type != j->type || !slice_eq(m->key, key)) {
        return QUDAG_EPROTO;
    }
    if (!m->has_record) {
        return j->type == KAD_GET_VALUE ? QUDAG_ENOTFOUND : QUDAG_EPROTO;
    }
    if (!slice_eq(m->rec_key, key)) {
        return QUDAG_EPROTO;
    }
    if (j->type == KAD_GET_VALUE) {
        return m->rec_value.len > 0 ? QUDAG_OK : QUDAG_ENOTFOUND;
    }
    struct rd r = rd_init(m->rec_value);
    *stored = rd_u32(&r);
    if (!rd_done(&r)) {
        return QUDAG_EPROTO;
    }
    return *stored > 0 ? QUDAG_OK : QUDAG_EREFUSED;
}

static void reply_done(struct gateway *g, struct gateway_job *j, struct acts *out)
{
    struct kad_peer_info *peers;
    struct kad_msg m;
    uint32_t stored = 0;

    qudag_err err = msg_read(g, dyn_slice(&j->buf), &m, &peers);
    if (err == QUDAG_OK) {
        err = reply_judge(j, &m, &stored);
    }
    struct slice value = {NULL, 0};
    if (err == QUDAG_OK && j->type == KAD_GET_VALUE) {
        value = acts_copy(out, m.rec_value.base, m.rec_value.len);
        err = value.base == NULL ? QUDAG_ELIMIT : QUDAG_OK;
    }
    struct act *up = acts_up(out, GATEWAY_UP_DONE);
    up->cookie = j->cookie;
    up->err = err;
    up->data = value;
    up->n = stored;
    mem_free(g->cfg.mem, peers);
    job_free(g, j);
}

/* --- answering ------------------------------------------------------------------------------ */

/*
 * Whether one more of others has room: a quarter is for our own.  Streams cost nothing, so one whose request
 * is not complete gives way to a new one, the oldest first; those that are at work stay.
 */
static bool inbound_room(struct gateway *g, struct acts *out)
{
    if (g->jobs.n < g->cfg.jobs_max - g->cfg.jobs_max / 4) {
        return true;
    }
    LIST_EACH(it, &g->by_due)
    {
        struct gateway_job *j = LIST_ENTRY(it, struct gateway_job, node);
        if (j->state == JOB_REQUEST) {
            job_fail(g, j, QUDAG_ELIMIT, out);
            return true;
        }
    }
    return false;
}

static void inbound_open(struct gateway *g, const struct ev *ev, tstamp now, struct acts *out)
{
    struct gateway_job *j;
    qudag_err err = QUDAG_EREFUSED;

    if (g->cfg.serve && (ev->props & LINK_ANON) == 0) {
        err = QUDAG_EPOLICY; /* at the end of circuits only: nobody shows himself to us here */
    } else if (g->cfg.serve) {
        err = inbound_room(g, out) ? job_new(g, JOB_REQUEST, now, &j) : QUDAG_ELIMIT;
    }
    if (err != QUDAG_OK) {
        acts_reset(out, ev->strm, err);
        return;
    }
    j->strm = ev->strm;
}

static qudag_err request_judge(const struct kad_msg *m)
{
    if (m->type != KAD_GET_VALUE && m->type != KAD_PUT_VALUE) {
        return QUDAG_EPROTO;
    }
    if (!key_is_ours(m->key)) {
        return QUDAG_EREFUSED;
    }
    if (m->type == KAD_GET_VALUE) {
        return m->has_record ? QUDAG_EPROTO : QUDAG_OK;
    }
    return m->has_record && slice_eq(m->rec_key, m->key) && m->rec_value.len > 0 &&
                   m->rec_value.len <= KAD_VALUE_MAX
               ? QUDAG_OK
               : QUDAG_EPROTO;
}

/* Reports the request to whoever reads and writes the DHT. */
static qudag_err request_up(struct gateway_job *j, const struct kad_msg *m, struct acts *out)
{
    bool put = m->type == KAD_PUT_VALUE;

    memcpy(j->key, m->key.base, m->key.len);
    j->key_len = m->key.len;
    j->type = m->type;
    struct gateway_wanted wanted = {.key = acts_copy(out, j->key, j->key_len)};
    if (put) {
        wanted.value = acts_copy(out, m->rec_value.base, m->rec_value.len);
    }
    if (wanted.key.base == NULL || (put && wanted.value.base == NULL)) {
        return QUDAG_ELIMIT;
    }
    struct act *up =
        acts_up_copy(out, put ? GATEWAY_UP_PUT : GATEWAY_UP_GET, &wanted, sizeof wanted);
    if (up == NULL) {
        return QUDAG_ELIMIT;
    }
    up->cookie = ref_to_u64(j->self);
    return QUDAG_OK;
}

static void request_done(struct gateway *g, struct gateway_job *j, tstamp now, struct acts *out)
{
    struct kad_peer_info *peers;
    struct kad_msg m;

    qudag_err err = msg_read(g, dyn_slice(&j->buf), &m, &peers);
    if (err == QUDAG_OK) {
        err = request_judge(&m);
    }
    if (err == QUDAG_OK && !limiter_take(&g->limiter, 1, now)) {
        err = QUDAG_ELIMIT;
    }
    if (err == QUDAG_OK) {
        err = request_up(j, &m, out);
    }
    mem_free(g->cfg.mem, peers);
    if (err != QUDAG_OK) {
        job_fail(g, j, err, out);
        return;
    }
    j->state = JOB_RUNNING;
    dyn_drop(&j->buf, j->buf.len);
}

void gateway_answer(struct gateway *g, const struct gateway_result *res, struct acts *out)
{
    struct gateway_job *j = job_named(g, res->cookie);
    struct slice value = res->value;
    uint8_t count[4];

    if (j == NULL || j->state != JOB_RUNNING) {
        return; /* it timed out */
    }
    bool absent = j->type == KAD_GET_VALUE && res->err == QUDAG_ENOTFOUND;
    if ((res->err != QUDAG_OK && !absent) || value.len > KAD_VALUE_MAX) {
        job_fail(g, j, res->err != QUDAG_OK ? res->err : QUDAG_ETOOBIG, out);
        return;
    }
    if (j->type == KAD_PUT_VALUE) {
        struct wr w = wr_init(count, sizeof count);
        wr_u32(&w, res->stored);
        value = wr_done(&w);
    }
    qudag_err err = msg_write(j, !absent, value, out);
    if (err != QUDAG_OK) {
        job_fail(g, j, err, out);
        return;
    }
    job_free(g, j);
}

/* --- events --------------------------------------------------------------------------------- */

static void stream_data(struct gateway *g, struct gateway_job *j, struct slice data,
                        struct acts *out)
{
    qudag_err err = QUDAG_EPROTO; /* nothing may follow the message */

    if (j->state == JOB_REPLY || j->state == JOB_REQUEST) {
        err = dyn_append(&j->buf, data.base, data.len);
    }
    if (err != QUDAG_OK) {
        job_fail(g, j, err, out);
    }
}

static void stream_fin(struct gateway *g, struct gateway_job *j, tstamp now, struct acts *out)
{
    if (j->state == JOB_REPLY) {
        reply_done(g, j, out);
    } else if (j->state == JOB_REQUEST) {
        request_done(g, j, now, out);
    }
}

static void stream_open(struct gateway *g, const struct ev *ev, tstamp now, struct acts *out)
{
    if (ev->inbound) {
        inbound_open(g, ev, now, out);
        return;
    }
    struct gateway_job *j = job_named(g, ev->cookie);
    if (j == NULL || j->state != JOB_OPENING) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* given up in the meantime */
        return;
    }
    asked_open(g, j, ev->strm, out);
}

static void gateway_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct gateway *g = core;
    struct gateway_job *j;

    switch (ev->type) {
    case EV_STREAM_OPEN:
        stream_open(g, ev, now, out);
        break;
    case EV_STREAM_FAIL:
        j = job_named(g, ev->cookie);
        if (j != NULL && j->state == JOB_OPENING) {
            job_fail(g, j, ev->err != QUDAG_OK ? ev->err : QUDAG_EUNREACHABLE, out);
        }
        break;
    case EV_DATA:
        if ((j = job_of_stream(g, ev->strm)) != NULL) {
            stream_data(g, j, ev->data, out);
        }
        break;
    case EV_FIN:
        if ((j = job_of_stream(g, ev->strm)) != NULL) {
            stream_fin(g, j, now, out);
        }
        break;
    case EV_RESET:
        if ((j = job_of_stream(g, ev->strm)) != NULL) {
            j->strm = (struct ref){0, 0}; /* it is gone: nothing to reset */
            job_fail(g, j, ev->err != QUDAG_OK ? ev->err : QUDAG_ERESET, out);
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
    unsigned done = 0;

    LIST_EACH_SAFE(it, tmp, &g->by_due)
    {
        struct gateway_job *j = LIST_ENTRY(it, struct gateway_job, node);
        if (j->due > now || ++done > ACTS_ROOM / 4) {
            break;
        }
        job_fail(g, j, QUDAG_ETIMEOUT, out);
    }
}

static tstamp gateway_deadline(const void *core)
{
    const struct gateway *g = core;

    return list_empty(&g->by_due) ? TSTAMP_NEVER
                                  : LIST_ENTRY(g->by_due.next, struct gateway_job, node)->due;
}

const struct core_ops gateway_ops = {
    .protocol = GATEWAY_PROTOCOL,
    .inbound_max = 8,
    .manual_credit = false,
    .event = gateway_event,
    .tick = gateway_tick,
    .deadline = gateway_deadline,
};

qudag_err gateway_new(struct gateway **out, const struct gateway_config *cfg, tstamp now)
{
    struct gateway *g = mem_alloc(cfg->mem, sizeof *g);

    *out = NULL;
    if (g == NULL) {
        return QUDAG_ENOMEM;
    }
    g->cfg = *cfg;
    if (g->cfg.jobs_max == 0 || g->cfg.jobs_max > JOBS_MAX) {
        g->cfg.jobs_max = g->cfg.jobs_max == 0 ? JOBS_DEFAULT : JOBS_MAX;
    }
    if (g->cfg.rate == 0) {
        g->cfg.rate = RATE_DEFAULT;
    }
    slots_init(&g->jobs, cfg->mem, g->cfg.jobs_max);
    list_init(&g->by_due);
    limiter_init(&g->limiter, g->cfg.rate, 2 * (uint64_t)g->cfg.rate, now);
    *out = g;
    return QUDAG_OK;
}

void gateway_free(struct gateway *g)
{
    if (g == NULL) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &g->by_due)
    {
        job_free(g, LIST_ENTRY(it, struct gateway_job, node));
    }
    slots_fini(&g->jobs);
    mem_free(g->cfg.mem, g);
}
