/*
 * transfer_job.h - work on files that may take long, on a thread of libuv's pool.
 *
 *   new ─▶ start ─▶ run, on a thread ─▶ done, on the loop ─▶ start again, or drop
 *
 * A job owns its descriptor.  Whoever made it drops it at any time: one that is at work ends by itself, also after the
 * node is gone, and tells nobody.
 */
#ifndef QUDAG_SRC_APP_TRANSFER_JOB_H
#define QUDAG_SRC_APP_TRANSFER_JOB_H

#include "app/inbox.h"
#include "crypto/hash.h"

#include <stdatomic.h>
#include <uv.h>

struct transfer_job {
    uv_work_t work;
    bool busy;        /* between start and done */
    atomic_bool stop; /* asks a hash to give up */
    void *owner;      /* NULL: dropped while at work */
    void (*run)(struct transfer_job *j);
    void (*done)(struct transfer_job *j);
    int fd, err;       /* |err|: an errno, for done */
    uint64_t from, to; /* hashing: this part of fd; |from| is the thread's while it runs */
    atomic_uint_least64_t hashed; /* bytes so far, for whoever watches */
    struct blake3_ctx hash;
    /* storing: |path| becomes a file of |dir| under the name in |entry|, which is changed where it is taken */
    char dir[FILES_PATH_MAX], path[FILES_PATH_MAX], offer_path[FILES_PATH_MAX];
    struct inbox_entry entry;
};

/* A job without work, for |owner|, with no descriptor yet; NULL: no memory. */
struct transfer_job *transfer_job_new(void *owner);
/* Runs |run| (one of those below) on a thread and then |done| on |loop|; false: it could not be queued. */
bool transfer_job_start(struct transfer_job *j, struct uv_loop_s *loop,
                        void (*run)(struct transfer_job *j), void (*done)(struct transfer_job *j));
/* Closes and frees it, at once or when its thread has ended; what is being stored is stored all the same. */
void transfer_job_drop(struct transfer_job *j);
/* Closes its descriptor; not while it is busy. */
void transfer_job_close(struct transfer_job *j);

void transfer_job_hash(struct transfer_job *j);  /* run: fd from..to into hash */
void transfer_job_store(struct transfer_job *j); /* run: sync fd, move path into dir */

#endif
