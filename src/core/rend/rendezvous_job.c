/* rendezvous_job.c - how a job ends, and what its owner hears of it. */
#include "core/rend/rendezvous_impl.h"

_Static_assert(REND_WAIT_LEN < REND_MEET_LEN, "what waits for its stream tells them apart");

bool rendezvous_is_meet(const struct rend_job *j)
{
    return j->state == RENDEZVOUS_MEETING ||
           (j->state == RENDEZVOUS_OPENING && j->buf.len == REND_MEET_LEN);
}

void rendezvous_asked_end(struct rendezvous *r, struct rend_job *j, qudag_err err, struct acts *out)
{
    if (j->state != RENDEZVOUS_TAKEN) {
        struct act *up =
            acts_up(out, rendezvous_is_meet(j) ? RENDEZVOUS_UP_MET : RENDEZVOUS_UP_CREATED);
        up->cookie = j->cookie;
        up->err = err;
        up->n = err == QUDAG_OK ? j->buf.p[0] : 0;
    }
    rend_job_free(&r->t, j);
}

static void fail_one(struct rendezvous *r, struct rend_job *j, qudag_err err, struct acts *out)
{
    if (!ref_none(j->strm)) {
        acts_reset(out, j->strm, err);
    }
    if (j->asks) {
        rendezvous_asked_end(r, j, err, out);
    } else {
        rend_job_free(&r->t, j);
    }
}

void rendezvous_fail(struct rendezvous *r, struct rend_job *j, qudag_err err, struct acts *out)
{
    struct rend_job *other = rend_job_get(&r->t, j->other);

    fail_one(r, j, err, out);
    if (other != NULL) {
        fail_one(r, other, QUDAG_ECLOSED, out);
    }
}
