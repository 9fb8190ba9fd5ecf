/*
 * rendezvous_ask.c - the caller that waits at a relay, and the service that comes there.
 *
 *   OPENING ── open ──▶ PLACING ── status 0 ──▶ PLACED ── CREATED ──▶ TAKEN ── FIN ──▶ gone
 *      │                             RENDEZVOUS_UP_WAITING   RENDEZVOUS_UP_CREATED
 *      └────── open ──▶ MEETING ── status, FIN ──▶ RENDEZVOUS_UP_MET
 *   fail, reset, due, bad before the last report: that report with an error
 *
 * CREATED is reported before FIN comes: the relay sends FIN when the circuits are joined, and the caller need not wait
 * for it to check what it got.
 */
#include "core/rend/rendezvous_impl.h"

/* ---- requests ---- */

/* A job that sends |request| when its stream is open. */
static qudag_err ask(struct rendezvous *r, const struct rendezvous_request *q, struct slice request,
                     struct acts *out)
{
    static const struct peer_id nobody = {.len = 0};
    struct rend_job *j;

    if (ref_none(q->circuit)) {
        return QUDAG_EINVAL;
    }
    qudag_err err = rend_job_ask(&r->t, RENDEZVOUS_OPENING, REND_ANSWER_TIMEOUT, &j);
    if (err != QUDAG_OK) {
        return err;
    }
    err = dyn_append(&j->buf, request.base, request.len);
    if (err != QUDAG_OK) {
        rend_job_free(&r->t, j);
        return err;
    }
    j->cookie = q->cookie;
    acts_open(out, &nobody, ref_to_u64(j->self), LINK_ANON)->obj = q->circuit;
    return QUDAG_OK;
}

qudag_err rendezvous_wait(struct rendezvous *r, const struct rendezvous_request *q, tstamp now,
                          struct acts *out)
{
    uint8_t buf[REND_WAIT_LEN];
    struct wr w = wr_init(buf, sizeof buf);

    r->t.now = now;
    rend_wait_put(&w, q->meeting);
    return ask(r, q, wr_done(&w), out);
}

qudag_err rendezvous_meet(struct rendezvous *r, const struct rendezvous_request *q, tstamp now,
                          struct acts *out)
{
    struct rend_meet m = {.cookie = q->meeting, .created = q->created};
    uint8_t buf[REND_MEET_LEN];
    struct wr w = wr_init(buf, sizeof buf);

    r->t.now = now;
    rend_meet_put(&w, &m);
    return ask(r, q, wr_done(&w), out);
}

/* ---- answers ---- */

void rendezvous_asked_open(struct rendezvous *r, struct rend_job *j, struct ref strm,
                           struct acts *out)
{
    bool meet = rendezvous_is_meet(j);

    qudag_err err = rend_job_stream(&r->t, j, strm);
    if (err != QUDAG_OK) {
        acts_reset(out, strm, err);
        rendezvous_fail(r, j, err, out);
        return;
    }
    acts_write(out, strm, j->buf.p, j->buf.len);
    acts_fin(out, strm);
    j->state = meet ? RENDEZVOUS_MEETING : RENDEZVOUS_PLACING;
    dyn_drop(&j->buf, j->buf.len);
}

/* The relay's answer to WAIT. */
static qudag_err placed(struct rendezvous *r, struct rend_job *j, uint8_t status, struct acts *out)
{
    if (!rend_status_fits(REND_WAIT, status)) {
        return QUDAG_EPROTO;
    }
    if (status != REND_DONE) {
        return QUDAG_ELIMIT;
    }
    j->state = RENDEZVOUS_PLACED;
    rend_job_due(&r->t, j, RENDEZVOUS_COOKIE_LIFE);
    acts_up(out, RENDEZVOUS_UP_WAITING)->cookie = j->cookie;
    return QUDAG_OK;
}

/* More of CREATED, which is reported when it is whole. */
static qudag_err created(struct rendezvous *r, struct rend_job *j, struct slice data,
                         struct acts *out)
{
    if (data.len > REND_CREATED_LEN - j->buf.len) {
        return QUDAG_EPROTO;
    }
    qudag_err err = dyn_append(&j->buf, data.base, data.len);
    if (err != QUDAG_OK || j->buf.len < REND_CREATED_LEN) {
        return err;
    }
    struct slice copy = acts_copy(out, j->buf.p, j->buf.len);
    if (copy.base == NULL) {
        return QUDAG_ELIMIT;
    }
    struct act *up = acts_up(out, RENDEZVOUS_UP_CREATED);
    up->cookie = j->cookie;
    up->data = copy;
    j->state = RENDEZVOUS_TAKEN;
    rend_job_due(&r->t, j, REND_ANSWER_TIMEOUT);
    dyn_fini(&j->buf);
    return QUDAG_OK;
}

void rendezvous_asked_data(struct rendezvous *r, struct rend_job *j, struct slice data,
                           struct acts *out)
{
    qudag_err err = QUDAG_OK;

    if (data.len == 0) {
        return;
    }
    if (j->state == RENDEZVOUS_PLACING) {
        err = placed(r, j, data.base[0], out);
        data.base++;
        data.len--;
    }
    if (j->state == RENDEZVOUS_PLACED && data.len > 0) {
        err = created(r, j, data, out);
    } else if (j->state == RENDEZVOUS_TAKEN) {
        err = QUDAG_EPROTO; /* nothing may follow CREATED */
    } else if (j->state == RENDEZVOUS_MEETING) {
        err = dyn_append(&j->buf, data.base, data.len);
        err = err == QUDAG_OK && j->buf.len > 1 ? QUDAG_EPROTO : err; /* one status */
    }
    if (err != QUDAG_OK) {
        rendezvous_fail(r, j, err, out);
    }
}

void rendezvous_asked_fin(struct rendezvous *r, struct rend_job *j, struct acts *out)
{
    bool answered = j->state == RENDEZVOUS_MEETING && j->buf.len == 1 &&
                    rend_status_fits(REND_MEET, j->buf.p[0]);

    if (answered || j->state == RENDEZVOUS_TAKEN) {
        rendezvous_asked_end(r, j, QUDAG_OK, out);
    } else {
        rendezvous_fail(r, j, QUDAG_EPROTO, out);
    }
}
