/*
 * solver.h - proofs of work, solved on a thread of their own (spec/rendezvous.md R-37).
 *
 * One thread for all, so that what services ask for costs the machine one core at most; the tasks share it in turns of
 * some milliseconds.  It is there from the first task on.
 */
#ifndef QUDAG_SRC_IO_SOLVER_H
#define QUDAG_SRC_IO_SOLVER_H

#include "io/io.h"

#define SOLVER_TASKS_MAX 64 /* under way */

struct solver;

/*
 * Called on the loop's thread of |io|: the nonce that solves the task |id|; ENOTFOUND: none of rend_work_tries();
 * ENOMEM.  Not for a task that was dropped.
 */
typedef void (*solver_done)(void *ctx, uint64_t id, qudag_err err, uint64_t nonce);

/* |io| is borrowed.  ENOMEM, ESYSTEM: the thread. */
QUDAG_MUST_USE qudag_err solver_new(struct solver **out, struct io *io, solver_done done,
                                    void *ctx);
/* After io_shutdown(), before io_free(); waits for the thread.  Nothing is called any more; NULL is allowed. */
void solver_free(struct solver *s);

/* Begins |task|, which is copied; |id| is that of no other one under way.  ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err solver_add(struct solver *s, uint64_t id,
                                    const struct rend_work_task *task);
/* Its solution is not needed any more; nothing for one that there is not. */
void solver_drop(struct solver *s, uint64_t id);

#endif
