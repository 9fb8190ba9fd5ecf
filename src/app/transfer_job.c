/* transfer_job.c - see transfer_job.h. */
#include "app/transfer_job.h"

#include "base/wipe.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct transfer_job *transfer_job_new(void *owner)
{
    struct transfer_job *j = calloc(1, sizeof(*j));

    if (j != NULL) {
        j->owner = owner;
        j->fd = -1;
        j->work.data = j;
        blake3_init(&j->hash);
    }
    return j;
}

void transfer_job_close(struct transfer_job *j)
{
    if (j->fd >= 0) {
        (void)close(j->fd);
        j->fd = -1;
    }
}

static void job_free(struct transfer_job *j)
{
    transfer_job_close(j);
    wipe(j, sizeof(*j)); /* the id above all */
    free(j);
}

/* Nobody waits for it any more: what was moved into the inbox is listed there when it is opened next. */
static void end_alone(struct transfer_job *j)
{
    if (j->run == transfer_job_store && j->err == 0) {
        (void)inbox_note(j->dir, &j->entry);
        (void)unlink(j->offer_path);
    }
    job_free(j);
}

static void on_work(uv_work_t *w)
{
    struct transfer_job *j = w->data;

    j->run(j);
}

static void on_worked(uv_work_t *w, int status)
{
    struct transfer_job *j = w->data;

    j->busy = false;
    if (status != 0) {
        j->err = ECANCELED;
    }
    if (j->owner == NULL) {
        end_alone(j);
    } else {
        j->done(j);
    }
}

bool transfer_job_start(struct transfer_job *j, struct uv_loop_s *loop,
                        void (*run)(struct transfer_job *j), void (*done)(struct transfer_job *j))
{
    j->err = 0;
    j->run = run;
    j->done = done;
    atomic_store(&j->stop, false);
    j->busy = uv_queue_work(loop, &j->work, on_work, on_worked) == 0;
    return j->busy;
}

void transfer_job_drop(struct transfer_job *j)
{
    if (j == NULL) {
        return;
    }
    j->owner = NULL;
    if (!j->busy) {
        job_free(j);
    } else if (j->run == transfer_job_hash) {
        atomic_store(&j->stop, true);
        (void)uv_cancel((uv_req_t *)&j->work); /* fails where it is at work already */
    }
}

void transfer_job_hash(struct transfer_job *j)
{
    uint8_t *block = malloc(TRANSFER_BLOCK);

    j->err = block == NULL ? ENOMEM : 0;
    while (j->err == 0 && j->from < j->to) {
        uint64_t want = j->to - j->from < TRANSFER_BLOCK ? j->to - j->from : TRANSFER_BLOCK;
        ssize_t n = atomic_load(&j->stop) ? 0 : pread(j->fd, block, (size_t)want, (off_t)j->from);
        if (n <= 0) {
            j->err = n == 0 ? ECANCELED : errno;
            break;
        }
        blake3_update(&j->hash, (struct slice){block, (size_t)n});
        j->from += (uint64_t)n;
        atomic_store(&j->hashed, j->from);
    }
    free(block);
}

void transfer_job_store(struct transfer_job *j)
{
    const struct timespec at[2] = {{.tv_nsec = UTIME_OMIT},
                                   {.tv_sec = (time_t)(j->entry.time_ms / 1000)}};

    (void)futimens(j->fd, at); /* no finer than the list of the inbox */
    j->err = fdatasync(j->fd) == 0 ? 0 : errno;
    if (j->err == 0) {
        j->err = inbox_place(j->dir, j->path, j->entry.offer.name);
    }
}
