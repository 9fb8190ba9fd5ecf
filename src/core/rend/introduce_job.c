/* introduce_job.c - how a job ends, and what its owner hears of it. */
#include "core/rend/introduce_impl.h"

_Static_assert(REND_ESTABLISH_LEN < REND_INTRODUCE1_LEN,
               "what waits for its stream tells them apart");

bool introduce_is_call(const struct rend_job *j)
{
    return j->state == INTRODUCE_SENT ||
           (j->state == INTRODUCE_OPENING && j->buf.len == REND_INTRODUCE1_LEN);
}

void introduce_asked_end(struct introduce *i, struct rend_job *j, qudag_err err, uint8_t status,
                         struct acts *out)
{
    struct act *up = acts_up(out, introduce_is_call(j) ? INTRODUCE_UP_DONE : INTRODUCE_UP_ENDED);

    up->cookie = j->cookie;
    up->err = err;
    up->n = status;
    rend_job_free(&i->t, j);
}

void introduce_fail(struct introduce *i, struct rend_job *j, qudag_err err, struct acts *out)
{
    if (!ref_none(j->strm)) {
        acts_reset(out, j->strm, err);
    }
    if (j->asks) {
        introduce_asked_end(i, j, err, 0, out);
    } else {
        rend_job_free(&i->t, j);
    }
}
