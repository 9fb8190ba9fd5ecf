/*
 * introduce_ask.c - the service that has an introduction point, and the caller that asks for the service.
 *
 *   OPENING ─┬─ open ──▶ ESTABLISHING ── status 0 ──▶ ESTABLISHED: 4063 bytes ──▶ INTRODUCE_UP_REQUEST, again and again
 *            │                                                     a sign of life now and then
 *            └─ open ──▶ SENT ── status, FIN ──▶ INTRODUCE_UP_DONE
 *   fail, reset, due, bad: INTRODUCE_UP_ENDED, INTRODUCE_UP_DONE with an error
 */
#include "core/rend/introduce_impl.h"

_Static_assert(REND_ESTABLISH_LEN < REND_INTRODUCE1_LEN,
               "what waits for its stream tells them apart");

/* ---- requests ---- */

/* A job that sends |request| when its stream is open. */
static qudag_err ask(struct introduce *i, struct ref circuit, uint64_t cookie, struct slice request,
                     struct acts *out)
{
    static const struct peer_id nobody = {.len = 0};
    struct rend_job *j;

    qudag_err err = rend_job_ask(&i->t, INTRODUCE_OPENING, REND_ANSWER_TIMEOUT, &j);
    if (err != QUDAG_OK) {
        return err;
    }
    err = dyn_append(&j->buf, request.base, request.len);
    if (err != QUDAG_OK) {
        rend_job_free(&i->t, j);
        return err;
    }
    j->cookie = cookie;
    acts_open(out, &nobody, ref_to_u64(j->self), LINK_ANON)->obj = circuit;
    return QUDAG_OK;
}

qudag_err introduce_establish(struct introduce *i, const struct introduce_point *p, tstamp now,
                              struct acts *out)
{
    struct rend_establish e = {.rate = p->rate, .burst = p->burst};
    uint8_t buf[REND_ESTABLISH_LEN];
    struct wr w = wr_init(buf, sizeof buf);

    if (ref_none(p->circuit)) {
        return QUDAG_EINVAL;
    }
    i->t.now = now;
    qudag_err err = rend_establish_sign(&e, p->sk, p->binding);
    if (err != QUDAG_OK) {
        return err;
    }
    rend_establish_put(&w, &e);
    return ask(i, p->circuit, p->cookie, wr_done(&w), out);
}

qudag_err introduce_send(struct introduce *i, const struct introduce_call *c, tstamp now,
                         struct acts *out)
{
    struct rend_introduce1 m = {.intro_key = c->intro_key, .handshake = c->handshake};
    uint8_t buf[REND_INTRODUCE1_LEN];
    struct wr w = wr_init(buf, sizeof buf);

    if (ref_none(c->circuit)) {
        return QUDAG_EINVAL;
    }
    i->t.now = now;
    rend_introduce1_put(&w, &m);
    return ask(i, c->circuit, c->cookie, wr_done(&w), out);
}

/* ---- answers ---- */

void introduce_asked_open(struct introduce *i, struct rend_job *j, struct ref strm,
                          struct acts *out)
{
    bool call = introduce_is_call(j);

    qudag_err err = rend_job_stream(&i->t, j, strm);
    if (err != QUDAG_OK) {
        acts_reset(out, strm, err);
        introduce_fail(i, j, err, out);
        return;
    }
    acts_write(out, strm, j->buf.p, j->buf.len);
    if (call) {
        acts_fin(out, strm);
    }
    j->state = call ? INTRODUCE_SENT : INTRODUCE_ESTABLISHING;
    dyn_drop(&j->buf, j->buf.len);
}

static void keep_later(struct introduce *i, struct rend_job *j)
{
    static const uint64_t spread_ms = (INTRODUCE_KEEP_MAX - INTRODUCE_KEEP_MIN) / NS_PER_MS;
    uint32_t more = rng_below(&i->rng, (uint32_t)spread_ms + 1);

    rend_job_due(&i->t, j, INTRODUCE_KEEP_MIN + more * NS_PER_MS);
}

void introduce_asked_keep(struct introduce *i, struct rend_job *j, struct acts *out)
{
    static const uint8_t keep = INTRODUCE_KEEP;

    acts_write(out, j->strm, &keep, 1);
    keep_later(i, j);
}

void introduce_busy(struct introduce *i, uint64_t cookie, tstamp now, struct acts *out)
{
    static const uint8_t busy = INTRODUCE_BUSY;

    i->t.now = now;
    for (uint32_t ix = 0; ix < i->t.jobs.high; ix++) {
        const struct rend_job *j = slots_at(&i->t.jobs, ix);
        if (j != NULL && j->state == INTRODUCE_ESTABLISHED && j->cookie == cookie) {
            acts_write(out, j->strm, &busy, 1);
            return;
        }
    }
}

/* The relay's answer to ESTABLISH: it passes introductions on, or the job is gone. */
static bool established(struct introduce *i, struct rend_job *j, uint8_t status, struct acts *out)
{
    if (!rend_status_fits(REND_ESTABLISH, status)) {
        introduce_fail(i, j, QUDAG_EPROTO, out);
        return false;
    }
    if (status != REND_DONE) {
        introduce_fail(i, j, QUDAG_ELIMIT, out);
        return false;
    }
    j->state = INTRODUCE_ESTABLISHED;
    keep_later(i, j);
    acts_up(out, INTRODUCE_UP_ESTABLISHED)->cookie = j->cookie;
    return true;
}

/* Takes of |in| what belongs to one INTRODUCE2, and reports it when it is whole. */
static qudag_err introduce2(struct rend_job *j, struct slice *in, struct acts *out)
{
    size_t n = REND_HS_LEN - j->buf.len < in->len ? REND_HS_LEN - j->buf.len : in->len;

    qudag_err err = dyn_append(&j->buf, in->base, n);
    if (err != QUDAG_OK) {
        return err;
    }
    in->base += n;
    in->len -= n;
    if (j->buf.len < REND_HS_LEN) {
        return QUDAG_OK;
    }
    struct slice copy = acts_copy(out, j->buf.p, j->buf.len);
    if (copy.base == NULL) {
        return QUDAG_ELIMIT;
    }
    struct act *up = acts_up(out, INTRODUCE_UP_REQUEST);
    up->cookie = j->cookie;
    up->data = copy;
    dyn_drop(&j->buf, j->buf.len);
    return QUDAG_OK;
}

void introduce_asked_data(struct introduce *i, struct rend_job *j, struct slice data,
                          struct acts *out)
{
    qudag_err err = QUDAG_OK;

    if (j->state == INTRODUCE_ESTABLISHING && data.len > 0) {
        if (!established(i, j, data.base[0], out)) {
            return;
        }
        data.base++;
        data.len--;
    }
    if (j->state == INTRODUCE_SENT) {
        err = dyn_append(&j->buf, data.base, data.len);
        err = err == QUDAG_OK && j->buf.len > 1 ? QUDAG_EPROTO : err; /* one status */
    }
    while (j->state == INTRODUCE_ESTABLISHED && data.len > 0 && err == QUDAG_OK) {
        err = introduce2(j, &data, out);
    }
    if (err != QUDAG_OK) {
        introduce_fail(i, j, err, out);
    }
}

void introduce_asked_fin(struct introduce *i, struct rend_job *j, struct acts *out)
{
    bool between = j->state == INTRODUCE_ESTABLISHED && j->buf.len == 0;
    bool answered = j->state == INTRODUCE_SENT && j->buf.len == 1 &&
                    rend_status_fits(REND_INTRODUCE1, j->buf.p[0]);

    if (answered) {
        introduce_asked_end(i, j, QUDAG_OK, j->buf.p[0], out);
    } else if (between) { /* the relay gives the point up */
        acts_fin(out, j->strm);
        introduce_asked_end(i, j, QUDAG_ECLOSED, 0, out);
    } else {
        introduce_fail(i, j, QUDAG_EPROTO, out);
    }
}
