/*
 * exit.c - DHT reads and writes over circuits, asking and answering side.
 *
 *   asking:    OPENING ── stream open ──▶ REPLY ── message, FIN ──▶ EXIT_UP_DONE
 *                 └───── fail, due ─────────┴── reset, due, bad ──▶ EXIT_UP_DONE with an error
 *
 *   answering: REQUEST ── message, FIN ──▶ RUNNING (EXIT_UP_GET, _PUT) ── exit_answer ──▶ message, FIN
 *                 └── bad, due, refused ──────┴── due: reset
 *
 * A job holds at most one message; there are at most jobs_max of them.
 */
#include "core/exit/exit.h"

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

struct exit_job {
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

struct exitd {
    struct exit_config cfg;
    struct slots jobs;
    struct list by_due;
    struct limiter limiter;
};

/* --- jobs ----------------------------------------------------------------------------------- */

/* A job by its name, which is the cookie of what it asks for. */
static struct exit_job *job_named(const struct exitd *e, uint64_t name)
{
    return slots_get(&e->jobs, ref_from_u64(name));
}

static struct exit_job *job_of_stream(const struct exitd *e, struct ref strm)
{
    LIST_EACH(it, &e->by_due)
    {
        struct exit_job *j = LIST_ENTRY(it, struct exit_job, node);
        if (j->state != JOB_OPENING && ref_eq(j->strm, strm)) {
            return j;
        }
    }
    return NULL;
}

static qudag_err job_new(struct exitd *e, enum job_state state, tstamp now, struct exit_job **out)
{
    struct exit_job *j = mem_alloc(e->cfg.mem, sizeof *j);

    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = slots_add(&e->jobs, j, &j->self);
    if (err != QUDAG_OK) {
        mem_free(e->cfg.mem, j);
        return err;
    }
    j->state = state;
    j->due = tstamp_after(now, EXIT_TIMEOUT);
    dyn_init(&j->buf, e->cfg.mem, MSG_IN_MAX);
    list_init(&j->node);
    list_push_back(&e->by_due, &j->node);
    *out = j;
    return QUDAG_OK;
}

static void job_free(struct exitd *e, struct exit_job *j)
{
    slots_del(&e->jobs, j->self);
    list_del(&j->node);
    dyn_fini(&j->buf);
    mem_free_wiped(e->cfg.mem, j);
}

static bool job_asks(const struct exit_job *j)
{
    return j->state == JOB_OPENING || j->state == JOB_REPLY;
}

/* Ends the job with an error: the stream is given up, the caller of an asking job is told. */
static void job_fail(struct exitd *e, struct exit_job *j, qudag_err err, struct acts *out)
{
    if (j->state != JOB_OPENING && !ref_none(j->strm)) {
        acts_reset(out, j->strm, err);
    }
    if (job_asks(j)) {
        struct act *up = acts_up(out, EXIT_UP_DONE);
        up->cookie = j->cookie;
        up->err = err;
    }
    job_free(e, j);
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
static qudag_err msg_read(struct exitd *e, struct slice buf, struct kad_msg *m,
                          struct kad_peer_info **peers)
{
    struct slice bytes;
    size_t dropped = 0;

    *peers = NULL;
    qudag_err err = frame_read(&bytes, buf);
    if (err != QUDAG_OK) {
        return err;
    }
    *peers = mem_alloc_n(e->cfg.mem, 2 * (size_t)KAD_PEERS_MAX, sizeof **peers);
    if (*peers == NULL) {
        return QUDAG_ENOMEM;
    }
    *m = (struct kad_msg){.closer = *peers, .providers = *peers + KAD_PEERS_MAX};
    return kad_msg_decode(m, &dropped, bytes);
}

static qudag_err msg_write(const struct exit_job *j, bool has_record, struct slice value,
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

static void ask(struct exit_job *j, uint64_t cookie, struct slice key, struct ref circuit,
                struct acts *out)
{
    static const struct peer_id nobody = {.len = 0};

    j->cookie = cookie;
    memcpy(j->key, key.base, key.len);
    j->key_len = key.len;
    struct act *a = acts_open(out, &nobody, ref_to_u64(j->self), LINK_ANON);
    a->obj = circuit;
}

qudag_err exit_get(struct exitd *e, uint64_t cookie, struct ref circuit, struct slice key,
                   tstamp now, struct acts *out)
{
    struct exit_job *j;

    if (!key_is_ours(key) || ref_none(circuit)) {
        return QUDAG_EINVAL;
    }
    qudag_err err = job_new(e, JOB_OPENING, now, &j);
    if (err != QUDAG_OK) {
        return err;
    }
    j->type = KAD_GET_VALUE;
    ask(j, cookie, key, circuit, out);
    return QUDAG_OK;
}

qudag_err exit_put(struct exitd *e, uint64_t cookie, struct ref circuit, struct slice key,
                   struct slice value, tstamp now, struct acts *out)
{
    struct exit_job *j;

    if (!key_is_ours(key) || ref_none(circuit) || value.len == 0 || value.len > KAD_VALUE_MAX) {
        return QUDAG_EINVAL;
    }
    qudag_err err = job_new(e, JOB_OPENING, now, &j);
    if (err != QUDAG_OK) {
        return err;
    }
    j->type = KAD_PUT_VALUE;
    err = dyn_append(&j->buf, value.base, value.len);
    if (err != QUDAG_OK) {
        job_free(e, j);
        return err;
    }
    ask(j, cookie, key, circuit, out);
    return QUDAG_OK;
}

static void asked_open(struct exitd *e, struct exit_job *j, struct ref strm, struct acts *out)
{
    j->strm = strm;
    j->state = JOB_REPLY;
    qudag_err err = msg_write(j, j->type == KAD_PUT_VALUE, dyn_slice(&j->buf), out);
    dyn_drop(&j->buf, j->buf.len);
    if (err != QUDAG_OK) {
        job_fail(e, j, err, out);
    }
}

/* The reply's meaning: the value of a GET, the count of a PUT. */
static qudag_err reply_judge(const struct exit_job *j, const struct kad_msg *m, uint32_t *stored)
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

static void reply_done(struct exitd *e, struct exit_job *j, struct acts *out)
{
    struct kad_peer_info *peers;
    struct kad_msg m;
    uint32_t stored = 0;

    qudag_err err = msg_read(e, dyn_slice(&j->buf), &m, &peers);
    if (err == QUDAG_OK) {
        err = reply_judge(j, &m, &stored);
    }
    struct slice value = {NULL, 0};
    if (err == QUDAG_OK && j->type == KAD_GET_VALUE) {
        value = acts_copy(out, m.rec_value.base, m.rec_value.len);
        err = value.base == NULL ? QUDAG_ELIMIT : QUDAG_OK;
    }
    struct act *up = acts_up(out, EXIT_UP_DONE);
    up->cookie = j->cookie;
    up->err = err;
    up->data = value;
    up->n = stored;
    mem_free(e->cfg.mem, peers);
    job_free(e, j);
}

/* --- answering ------------------------------------------------------------------------------ */

static void inbound_open(struct exitd *e, const struct ev *ev, tstamp now, struct acts *out)
{
    struct exit_job *j;
    qudag_err err = QUDAG_EREFUSED;

    if (e->cfg.serve && (ev->props & LINK_ANON) == 0) {
        err = QUDAG_EPOLICY; /* at the end of circuits only: nobody shows himself to us here */
    } else if (e->cfg.serve && e->jobs.n >= e->cfg.jobs_max - e->cfg.jobs_max / 4) {
        err = QUDAG_ELIMIT; /* whoever keeps requests open must not shut out our own */
    } else if (e->cfg.serve) {
        err = limiter_take(&e->limiter, 1, now) ? job_new(e, JOB_REQUEST, now, &j) : QUDAG_ELIMIT;
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

/* Hands the request to whoever walks the DHT. */
static qudag_err request_up(struct exit_job *j, const struct kad_msg *m, struct acts *out)
{
    uint8_t buf[2 + KAD_KEY_MAX + KAD_VALUE_MAX];
    struct slice data = {NULL, 0};

    memcpy(j->key, m->key.base, m->key.len);
    j->key_len = m->key.len;
    j->type = m->type;
    if (m->type == KAD_GET_VALUE) {
        data = acts_copy(out, j->key, j->key_len);
    } else {
        struct wr w = wr_init(buf, sizeof buf);
        wr_lp16(&w, m->key);
        wr_slice(&w, m->rec_value);
        struct slice put = wr_done(&w);
        data = acts_copy(out, put.base, put.len);
    }
    if (data.base == NULL || data.len == 0) {
        return QUDAG_ELIMIT;
    }
    struct act *up = acts_up(out, m->type == KAD_GET_VALUE ? EXIT_UP_GET : EXIT_UP_PUT);
    up->cookie = ref_to_u64(j->self);
    up->data = data;
    return QUDAG_OK;
}

static void request_done(struct exitd *e, struct exit_job *j, struct acts *out)
{
    struct kad_peer_info *peers;
    struct kad_msg m;

    qudag_err err = msg_read(e, dyn_slice(&j->buf), &m, &peers);
    if (err == QUDAG_OK) {
        err = request_judge(&m);
    }
    if (err == QUDAG_OK) {
        err = request_up(j, &m, out);
    }
    mem_free(e->cfg.mem, peers);
    if (err != QUDAG_OK) {
        job_fail(e, j, err, out);
        return;
    }
    j->state = JOB_RUNNING;
    dyn_drop(&j->buf, j->buf.len);
}

void exit_answer(struct exitd *e, uint64_t cookie, qudag_err err, struct slice value,
                 uint32_t stored, tstamp now, struct acts *out)
{
    struct exit_job *j = job_named(e, cookie);
    uint8_t count[4];

    (void)now;
    if (j == NULL || j->state != JOB_RUNNING) {
        return; /* it came too late */
    }
    bool absent = j->type == KAD_GET_VALUE && err == QUDAG_ENOTFOUND;
    if ((err != QUDAG_OK && !absent) || value.len > KAD_VALUE_MAX) {
        job_fail(e, j, err != QUDAG_OK ? err : QUDAG_ETOOBIG, out);
        return;
    }
    if (j->type == KAD_PUT_VALUE) {
        struct wr w = wr_init(count, sizeof count);
        wr_u32(&w, stored);
        value = wr_done(&w);
    }
    err = msg_write(j, !absent, value, out);
    if (err != QUDAG_OK) {
        job_fail(e, j, err, out);
        return;
    }
    job_free(e, j);
}

/* --- events --------------------------------------------------------------------------------- */

static void stream_data(struct exitd *e, struct exit_job *j, struct slice data, struct acts *out)
{
    qudag_err err = QUDAG_EPROTO; /* nothing may follow the message */

    if (j->state == JOB_REPLY || j->state == JOB_REQUEST) {
        err = dyn_append(&j->buf, data.base, data.len);
    }
    if (err != QUDAG_OK) {
        job_fail(e, j, err, out);
    }
}

static void stream_fin(struct exitd *e, struct exit_job *j, struct acts *out)
{
    if (j->state == JOB_REPLY) {
        reply_done(e, j, out);
    } else if (j->state == JOB_REQUEST) {
        request_done(e, j, out);
    }
}

static void stream_open(struct exitd *e, const struct ev *ev, tstamp now, struct acts *out)
{
    if (ev->inbound) {
        inbound_open(e, ev, now, out);
        return;
    }
    struct exit_job *j = job_named(e, ev->cookie);
    if (j == NULL || j->state != JOB_OPENING) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* given up in the meantime */
        return;
    }
    asked_open(e, j, ev->strm, out);
}

static void exit_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct exitd *e = core;
    struct exit_job *j;

    switch (ev->type) {
    case EV_STREAM_OPEN:
        stream_open(e, ev, now, out);
        break;
    case EV_STREAM_FAIL:
        j = job_named(e, ev->cookie);
        if (j != NULL && j->state == JOB_OPENING) {
            job_fail(e, j, ev->err != QUDAG_OK ? ev->err : QUDAG_EUNREACHABLE, out);
        }
        break;
    case EV_DATA:
        if ((j = job_of_stream(e, ev->strm)) != NULL) {
            stream_data(e, j, ev->data, out);
        }
        break;
    case EV_FIN:
        if ((j = job_of_stream(e, ev->strm)) != NULL) {
            stream_fin(e, j, out);
        }
        break;
    case EV_RESET:
        if ((j = job_of_stream(e, ev->strm)) != NULL) {
            j->strm = (struct ref){0, 0}; /* it is gone: nothing to reset */
            job_fail(e, j, ev->err != QUDAG_OK ? ev->err : QUDAG_ERESET, out);
        }
        break;
    case EV_WRITABLE:
    case EV_PEER_UP:
    case EV_PEER_DOWN:
        break; /* streams of a lost peer are reset one by one before this */
    }
}

static void exit_tick(void *core, tstamp now, struct acts *out)
{
    struct exitd *e = core;
    unsigned done = 0;

    LIST_EACH_SAFE(it, tmp, &e->by_due)
    {
        struct exit_job *j = LIST_ENTRY(it, struct exit_job, node);
        if (j->due > now || ++done > ACTS_ROOM / 4) {
            break;
        }
        job_fail(e, j, QUDAG_ETIMEOUT, out);
    }
}

static tstamp exit_deadline(const void *core)
{
    const struct exitd *e = core;

    return list_empty(&e->by_due) ? TSTAMP_NEVER
                                  : LIST_ENTRY(e->by_due.next, struct exit_job, node)->due;
}

const struct core_ops exit_ops = {
    .protocol = EXIT_PROTOCOL,
    .inbound_max = 8,
    .manual_credit = false,
    .event = exit_event,
    .tick = exit_tick,
    .deadline = exit_deadline,
};

qudag_err exit_new(struct exitd **out, const struct exit_config *cfg, tstamp now)
{
    struct exitd *e = mem_alloc(cfg->mem, sizeof *e);

    *out = NULL;
    if (e == NULL) {
        return QUDAG_ENOMEM;
    }
    e->cfg = *cfg;
    if (e->cfg.jobs_max == 0 || e->cfg.jobs_max > JOBS_MAX) {
        e->cfg.jobs_max = e->cfg.jobs_max == 0 ? JOBS_DEFAULT : JOBS_MAX;
    }
    if (e->cfg.rate == 0) {
        e->cfg.rate = RATE_DEFAULT;
    }
    slots_init(&e->jobs, cfg->mem, e->cfg.jobs_max);
    list_init(&e->by_due);
    limiter_init(&e->limiter, e->cfg.rate, 2 * (uint64_t)e->cfg.rate, now);
    *out = e;
    return QUDAG_OK;
}

void exit_free(struct exitd *e)
{
    if (e == NULL) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &e->by_due)
    {
        job_free(e, LIST_ENTRY(it, struct exit_job, node));
    }
    slots_fini(&e->jobs);
    mem_free(e->cfg.mem, e);
}
