/*
 * introduce_relay.c - the relay of introductions.
 *
 *   REQUEST ─┬─ ESTABLISH ──▶ BINDING ── introduce_bound(): the signature fits ──▶ POINT ── its FIN, reset ──▶ gone
 *            │                              └─ there is no room: status, FIN ──▶ REFUSED ── its FIN, reset ──▶ gone
 *            └─ INTRODUCE1, FIN ──▶ INTRODUCE2 to the point, status to the caller ──▶ gone
 *   anything else, 5 s, in a newer one's way: reset
 */
#include "core/rend/introduce_impl.h"

_Static_assert(REND_NAME_LEN == ED25519_PK_LEN, "points are named by their keys");

static void answer(struct rend_job *j, enum rend_status s, struct acts *out)
{
    uint8_t status = (uint8_t)s;

    acts_write(out, j->strm, &status, 1);
    j->queued++;
}

/* ---- INTRODUCE1 ---- */

/* SPEC: rendezvous: on to the point's service, or not; nothing of it is kept. */
static enum rend_status pass_on(struct introduce *i, const struct rend_introduce1 *m,
                                struct acts *out)
{
    struct rend_job *p = rend_name_find(&i->t, m->intro_key);

    if (p == NULL) {
        i->stats.unknown++;
        return REND_UNKNOWN;
    }
    if (!rend_has_room(p->queued, REND_HS_LEN, INTRODUCE_QUEUE_MAX) ||
        !limiter_take(&p->limit, 1, i->t.now)) {
        i->stats.over++;
        return REND_FULL;
    }
    acts_write(out, p->strm, m->handshake, REND_HS_LEN);
    p->queued += REND_HS_LEN;
    i->stats.passed++;
    if (i->t.now >= p->busy_until) {
        return REND_DONE;
    }
    i->stats.busy++;
    return REND_BUSY;
}

static void introduced(struct introduce *i, struct rend_job *j, struct acts *out)
{
    struct rend_introduce1 m;

    qudag_err err = rend_introduce1_get(&m, dyn_slice(&j->buf));
    if (err != QUDAG_OK) {
        introduce_fail(i, j, err, out);
        return;
    }
    answer(j, pass_on(i, &m, out), out);
    acts_fin(out, j->strm);
    rend_job_free(&i->t, j);
}

/* ---- ESTABLISH ---- */

static void binding_wanted(struct rend_job *j, struct acts *out)
{
    struct act *up = acts_up(out, INTRODUCE_UP_BINDING);

    j->state = INTRODUCE_BINDING;
    up->cookie = ref_to_u64(j->self);
    up->n = j->link;
}

/* There is no room: the service hears it, and has as long as a request has to end its side. */
static void refuse(struct rend_job *j, struct acts *out)
{
    j->state = INTRODUCE_REFUSED;
    answer(j, REND_FULL, out);
    acts_fin(out, j->strm);
}

/* SPEC: rendezvous. */
static qudag_err establish(struct introduce *i, struct rend_job *j, const uint8_t *binding,
                           struct acts *out)
{
    struct rend_establish e;
    uint16_t rate, burst;

    qudag_err err = rend_establish_get(&e, dyn_slice(&j->buf));
    if (err == QUDAG_OK) {
        err = rend_establish_check(&e, binding);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    struct rend_job *older = rend_name_find(&i->t, e.intro_key);
    if (older != NULL) {
        introduce_fail(i, older, QUDAG_ECLOSED, out);
    }
    err = rend_job_last(&i->t, j, out);
    if (err == QUDAG_ELIMIT) {
        refuse(j, out);
        return QUDAG_OK;
    }
    if (err == QUDAG_OK) {
        err = rend_name_set(&i->t, j, e.intro_key);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    rend_establish_limits(&e, &rate, &burst);
    limiter_init(&j->limit, rate, burst, i->t.now);
    j->state = INTRODUCE_POINT;
    rend_job_due(&i->t, j, TSTAMP_NEVER);
    dyn_fini(&j->buf);
    answer(j, REND_DONE, out);
    i->stats.established++;
    return QUDAG_OK;
}

void introduce_bound(struct introduce *i, uint64_t cookie, const uint8_t *binding, tstamp now,
                     struct acts *out)
{
    struct rend_job *j = rend_job_get(&i->t, ref_from_u64(cookie));

    i->t.now = now;
    if (j == NULL || j->state != INTRODUCE_BINDING) {
        return;
    }
    qudag_err err = binding == NULL ? QUDAG_ECIRCUIT : establish(i, j, binding, out);
    if (err != QUDAG_OK) {
        introduce_fail(i, j, err, out);
    }
}

/* ---- events ---- */

/* Goes on when the request is whole, and ends when it cannot become one. */
static void request_more(struct introduce *i, struct rend_job *j, bool fin, struct acts *out)
{
    enum rend_request which =
        j->buf.len == 0 ? REND_NO_REQUEST : rend_introduce_request(j->buf.p[0]);

    switch (rend_request_form(which, j->buf.len, fin)) {
    case REND_MORE:
        break;
    case REND_WHOLE:
        if (which == REND_ESTABLISH) {
            binding_wanted(j, out);
        } else {
            introduced(i, j, out);
        }
        break;
    case REND_BAD:
        introduce_fail(i, j, QUDAG_EPROTO, out);
        break;
    }
}

/* SPEC: rendezvous: signs of life, and what the service says with them; false: something else is in it. */
static bool keep(struct introduce *i, struct rend_job *j, struct slice data)
{
    bool busy = false;

    for (size_t n = 0; n < data.len; n++) {
        if (data.base[n] != INTRODUCE_KEEP && data.base[n] != INTRODUCE_BUSY) {
            return false;
        }
        busy = busy || data.base[n] == INTRODUCE_BUSY;
    }
    if (busy) {
        j->busy_until = tstamp_after(i->t.now, INTRODUCE_BUSY_LIFE);
    }
    return true;
}

void introduce_relay_data(struct introduce *i, struct rend_job *j, struct slice data,
                          struct acts *out)
{
    qudag_err err = QUDAG_EPROTO; /* SPEC: rendezvous R-7: nothing may follow */

    if (j->state == INTRODUCE_POINT && keep(i, j, data)) {
        return;
    }
    if (j->state == INTRODUCE_REQUEST) {
        err = dyn_append(&j->buf, data.base, data.len);
    }
    if (err != QUDAG_OK) {
        introduce_fail(i, j, err, out);
        return;
    }
    request_more(i, j, false, out);
}

void introduce_relay_fin(struct introduce *i, struct rend_job *j, struct acts *out)
{
    if (j->state == INTRODUCE_REQUEST) {
        request_more(i, j, true, out);
        return;
    }
    if (j->state != INTRODUCE_REFUSED) { /* the service gives its point up, established or not */
        acts_fin(out, j->strm);
    }
    rend_job_free(&i->t, j);
}
