/* transfer.c - what sending and receiving share, and the list of the inbox. */
#include "transfer_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    j->done(j);
}

bool transfer_job_start(struct daemon *d, struct transfer_job *j)
{
    j->work.data = j;
    j->err = 0;
    atomic_store(&j->stop, false);
    j->busy = uv_queue_work(&d->loop, &j->work, on_work, on_worked) == 0;
    return j->busy;
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
        blake3_hasher_update(&j->hash, block, (size_t)n);
        j->from += (uint64_t)n;
        atomic_store(&j->hashed, j->from);
    }
    free(block);
}

void transfer_job_store(struct transfer_job *j)
{
    int64_t minute = now_ms() / INBOX_TIME_MS * INBOX_TIME_MS / 1000;
    const struct timespec at[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)minute}};
    (void)futimens(j->fd, at); /* no finer than the list of the inbox */
    j->err = fdatasync(j->fd) == 0 ? 0 : errno;
    if (j->err == 0) {
        j->err = inbox_place(j->dir, j->path, j->name);
    }
}

void transfer_scope(struct transfer_offer *o, const char *to)
{
    blake3_hasher h;
    blake3_hasher_init_derive_key(&h, "QuDAG transfer id at one dark address v1");
    blake3_hasher_update(&h, to, strlen(to) + 1);
    blake3_hasher_update(&h, o->id, sizeof(o->id));
    blake3_hasher_finalize(&h, o->id, sizeof(o->id));
}

bool transfer_new(struct transfers **out, struct daemon *d)
{
    char dir[PATH_LEN];
    struct transfers *k = calloc(1, sizeof(*k));
    const char *set = d->conf.v[CONF_INBOX_DIR].text;
    if (k == NULL || !path_join(dir, d->state.dir, "inbox")) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "%s",
                       k == NULL ? "out of memory" : "the path of the inbox is too long");
        free(k);
        return false;
    }
    if (!inbox_open(&k->inbox, set[0] != 0 ? set : dir)) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "%s", k->inbox.why);
        free(k);
        return false;
    }
    k->d = d;
    k->size_max = (uint64_t)d->conf.v[CONF_INBOX_SIZE_MAX].num;
    k->file_max = (uint64_t)d->conf.v[CONF_INBOX_FILE_MAX].num;
    *out = k;
    return true;
}

void transfer_free(struct transfers *k)
{
    if (k != NULL) {
        transfer_out_free_all(k);
        transfer_in_free_all(k);
        inbox_close(&k->inbox);
        free(k);
    }
}

void transfer_tick(struct transfers *k, uint64_t now_ns)
{
    transfer_out_tick(k, now_ns);
    transfer_in_tick(k, now_ns);
}

void transfer_stream_in(struct transfers *k, qudag_stream s, const char *dark)
{
    transfer_in_new(k, s, dark);
}

void transfer_data(struct transfers *k, qudag_stream s, qudag_slice data, bool fin)
{
    if (!transfer_out_data(k, s, data)) {
        (void)transfer_in_data(k, s, data, fin);
    }
}

void transfer_writable(struct transfers *k, qudag_stream s)
{
    if (!transfer_out_pump_stream(k, s)) {
        (void)transfer_in_flush_stream(k, s);
    }
}

void transfer_old(struct transfers *k, qudag_stream s)
{
    transfer_out_old(k, s);
}

void transfer_closed(struct transfers *k, qudag_stream s, qudag_err why)
{
    if (!transfer_out_closed(k, s, why)) {
        (void)transfer_in_closed(k, s);
    }
}

void transfer_inbox(struct request *rq)
{
    struct inbox *b = &rq->d->transfers->inbox;
    inbox_count(b); /* files may have been removed to make room */
    for (size_t ix = 0; ix < b->n; ix++) {
        const struct inbox_entry *e = &b->entry[ix];
        if (!inbox_there(b, e)) {
            continue;
        }
        char hash[2 * TRANSFER_HASH_LEN + 1], when[32];
        text_hex(hash, e->offer.hash, TRANSFER_HASH_LEN);
        text_time(when, e->time_ms);
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "time", when);
        rec_str(r, "kind", e->offer.kind == TRANSFER_FILE ? "file" : "message");
        rec_str(r, "from", "anonymous");
        rec_str(r, "to", e->to);
        rec_str(r, "name", e->offer.name);
        rec_int(r, "size", (int64_t)e->offer.size);
        rec_str(r, "hash", hash);
        rec_strf(r, "file", "%s/%s", b->dir, e->offer.name);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}
