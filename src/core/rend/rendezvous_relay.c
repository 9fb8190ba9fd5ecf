/*
 * rendezvous_relay.c - the relay where two circuits meet.
 *
 *   REQUEST ─┬─ WAIT, FIN ──▶ WAITING ── MEET with its cookie ──▶ HANDOVER ─┐ CREATED has left: RENDEZVOUS_UP_JOIN,
 *            └─ MEET, FIN ─────────────────────────────────────▶ COMING ────┘ FIN to one, status and FIN to the other
 *   anything else, its time, in a newer one's way: reset; of two that meet, both
 *
 * Joining waits until CREATED has left, so that nothing of the service's comes to the caller before it, and nothing of
 * the caller's to a relay that has not joined: the caller sends when it has CREATED.
 */
#include "core/rend/rendezvous_impl.h"

_Static_assert(REND_NAME_LEN == REND_COOKIE_LEN, "cookies are names");

static void answer(struct rend_job *j, enum rend_status s, struct acts *out)
{
    uint8_t status = (uint8_t)s;

    acts_write(out, j->strm, &status, 1);
    j->queued++;
}

/* The last word on the stream: what is not sent yet still leaves. */
static void finish(struct rendezvous *r, struct rend_job *j, struct acts *out)
{
    acts_fin(out, j->strm);
    rend_job_free(&r->t, j);
}

/* ---- WAIT ---- */

/* SPEC: rendezvous. */
static void wait_whole(struct rendezvous *r, struct rend_job *j, struct acts *out)
{
    const uint8_t *cookie;

    qudag_err err = rend_wait_get(&cookie, dyn_slice(&j->buf));
    if (err == QUDAG_OK) {
        err = rend_name_set(&r->t, j, cookie);
    }
    if (err != QUDAG_OK) {
        rendezvous_fail(r, j, err, out);
        return;
    }
    err = rend_job_last(&r->t, j, out);
    if (err == QUDAG_ELIMIT) {
        answer(j, REND_FULL, out);
        finish(r, j, out);
        return;
    }
    if (err != QUDAG_OK) {
        rendezvous_fail(r, j, err, out);
        return;
    }
    j->state = RENDEZVOUS_WAITING;
    rend_job_due(&r->t, j, RENDEZVOUS_COOKIE_LIFE);
    dyn_fini(&j->buf);
    answer(j, REND_DONE, out);
}

/* ---- MEET ---- */

/* SPEC: rendezvous R-9: the cookie is forgotten, CREATED handed to the caller; joining follows. */
static void hand_over(struct rendezvous *r, struct rend_job *w, struct rend_job *m,
                      const uint8_t *created, struct acts *out)
{
    rend_name_forget(&r->t, w);
    rend_job_keep(w);
    rend_job_keep(m);
    acts_write(out, w->strm, created, REND_CREATED_LEN);
    w->queued += REND_CREATED_LEN;
    w->state = RENDEZVOUS_HANDOVER;
    w->other = m->self;
    m->state = RENDEZVOUS_COMING;
    m->other = w->self;
    dyn_fini(&m->buf);
    rend_job_due(&r->t, w, RENDEZVOUS_HANDOVER_TIMEOUT);
    rend_job_due(&r->t, m, RENDEZVOUS_HANDOVER_TIMEOUT);
}

static void meet_whole(struct rendezvous *r, struct rend_job *j, struct acts *out)
{
    struct rend_meet m;

    qudag_err err = rend_meet_get(&m, dyn_slice(&j->buf));
    if (err != QUDAG_OK) {
        rendezvous_fail(r, j, err, out);
        return;
    }
    struct rend_job *w = rend_name_find(&r->t, m.cookie);
    if (w == NULL) {
        r->stats.unknown++;
        answer(j, REND_UNKNOWN, out);
        finish(r, j, out);
    } else if (w->link == j->link) { /* a circuit cannot be joined with itself */
        rendezvous_fail(r, j, QUDAG_EPROTO, out);
    } else {
        hand_over(r, w, j, m.created, out);
    }
}

/* CREATED has left: the circuits are joined, and then both sides hear of it. */
static void join(struct rendezvous *r, struct rend_job *w, struct acts *out)
{
    struct rend_job *m = rend_job_get(&r->t, w->other);
    struct rendezvous_pair pair = {.caller = ref_from_u64(w->link),
                                   .service = ref_from_u64(m->link)};

    if (acts_up_copy(out, RENDEZVOUS_UP_JOIN, &pair, sizeof pair) == NULL) {
        rendezvous_fail(r, w, QUDAG_ELIMIT, out);
        return;
    }
    r->stats.joined++;
    answer(m, REND_DONE, out);
    finish(r, m, out);
    finish(r, w, out);
}

/* ---- events ---- */

void rendezvous_relay_sent(struct rendezvous *r, struct rend_job *j, size_t n, struct acts *out)
{
    j->queued -= n < j->queued ? n : j->queued;
    if (j->state == RENDEZVOUS_HANDOVER && j->queued == 0) {
        join(r, j, out);
    }
}

/* Goes on when the request is whole, and ends when it cannot become one. */
static void request_more(struct rendezvous *r, struct rend_job *j, bool fin, struct acts *out)
{
    enum rend_request which = j->buf.len == 0 ? REND_NO_REQUEST : rend_meet_request(j->buf.p[0]);

    switch (rend_request_form(which, j->buf.len, fin)) {
    case REND_MORE:
        break;
    case REND_WHOLE:
        if (which == REND_WAIT) {
            wait_whole(r, j, out);
        } else {
            meet_whole(r, j, out);
        }
        break;
    case REND_BAD:
        rendezvous_fail(r, j, QUDAG_EPROTO, out);
        break;
    }
}

void rendezvous_relay_data(struct rendezvous *r, struct rend_job *j, struct slice data,
                           struct acts *out)
{
    qudag_err err = QUDAG_EPROTO; /* nothing may follow */

    if (j->state == RENDEZVOUS_REQUEST) {
        err = dyn_append(&j->buf, data.base, data.len);
    }
    if (err != QUDAG_OK) {
        rendezvous_fail(r, j, err, out);
        return;
    }
    request_more(r, j, false, out);
}

void rendezvous_relay_fin(struct rendezvous *r, struct rend_job *j, struct acts *out)
{
    if (j->state == RENDEZVOUS_REQUEST) {
        request_more(r, j, true, out);
    }
}
