/*
 * ask.c - what we ask the gateway at the end of a circuit of ours.
 *
 *   OPENING ── stream open ──▶ REPLY ── message, FIN ──▶ GATEWAY_UP_DONE
 *      └───── fail, due ─────────┴── reset, due, bad ──▶ GATEWAY_UP_DONE with an error
 */
#include "base/rd.h"
#include "core/gateway/job.h"
#include "wire/dht_keys.h"

#include <string.h>

static bool request_is_valid(const struct gateway_request *req, enum kad_type type)
{
    bool sized = req->value.len > 0 && req->value.len <= KAD_VALUE_MAX;

    return gateway_key_is_ours(req->key) && !ref_none(req->circuit) &&
           (type == KAD_GET_VALUE || (sized && !dht_key_is_sample(req->key)));
}

static qudag_err ask(struct gateway *g, const struct gateway_request *req, enum kad_type type,
                     tstamp now, struct acts *out)
{
    static const struct peer_id nobody = {.len = 0};
    struct gateway_job *j;

    if (!request_is_valid(req, type)) {
        return QUDAG_EINVAL;
    }
    g->now = now;
    if (g->asking >= g->cfg.jobs_max) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = gateway_job_new(g, GATEWAY_JOB_OPENING, GATEWAY_TIMEOUT, &j);
    if (err == QUDAG_OK && type == KAD_PUT_VALUE) {
        err = dyn_append(&j->buf, req->value.base, req->value.len);
        if (err != QUDAG_OK) {
            gateway_job_free(g, j);
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

void gateway_asked_open(struct gateway *g, struct gateway_job *j, struct ref strm, struct acts *out)
{
    qudag_err err = gateway_job_stream(g, j, strm);
    if (err != QUDAG_OK) {
        acts_reset(out, strm, err);
        gateway_job_fail(g, j, err, out);
        return;
    }
    j->state = GATEWAY_JOB_REPLY;
    err = gateway_msg_write(j, j->type == KAD_PUT_VALUE, dyn_slice(&j->buf), out);
    dyn_drop(&j->buf, j->buf.len);
    if (err != QUDAG_OK) {
        gateway_job_fail(g, j, err, out);
    }
}

/* The reply's meaning: the value of a GET, the count of a PUT. */
static qudag_err reply_check(const struct gateway_job *j, const struct kad_msg *m, uint32_t *stored)
{
    struct slice key = {j->key, j->key_len};

    *stored = 0;
    if (m->type != j->type || !gateway_slice_eq(m->key, key)) {
        return QUDAG_EPROTO;
    }
    if (!m->has_record) {
        return j->type == KAD_GET_VALUE ? QUDAG_ENOTFOUND : QUDAG_EPROTO;
    }
    if (!gateway_slice_eq(m->rec_key, key)) {
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

void gateway_reply_done(struct gateway *g, struct gateway_job *j, struct acts *out)
{
    struct kad_peer_info *peers;
    struct kad_msg m;
    uint32_t stored = 0;

    qudag_err err = gateway_msg_read(g, dyn_slice(&j->buf), &m, &peers);
    if (err == QUDAG_OK) {
        err = reply_check(j, &m, &stored);
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
    gateway_job_free(g, j);
}
