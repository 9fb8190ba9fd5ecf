/* courier.c - the courier: what sending and receiving have in common, and the inbox's list. */
#include "courier_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_work(uv_work_t *w)
{
    struct job *j = w->data;
    j->run(j);
}

static void on_worked(uv_work_t *w, int status)
{
    struct job *j = w->data;
    j->busy = false;
    if (status != 0) {
        j->err = ECANCELED;
    }
    j->done(j);
}

bool job_start(struct daemon *d, struct job *j)
{
    j->work.data = j;
    j->err = 0;
    atomic_store(&j->stop, false);
    j->busy = uv_queue_work(&d->loop, &j->work, on_work, on_worked) == 0;
    return j->busy;
}

void job_hash(struct job *j)
{
    uint8_t *block = malloc(COURIER_BLOCK);
    j->err = block == NULL ? ENOMEM : 0;
    while (j->err == 0 && j->from < j->to) {
        uint64_t want = j->to - j->from < COURIER_BLOCK ? j->to - j->from : COURIER_BLOCK;
        ssize_t n = atomic_load(&j->stop) ? 0 : pread(j->fd, block, (size_t)want, (off_t)j->from);
        if (n <= 0) {
            j->err = n == 0 ? ECANCELED : errno;
            break;
        }
        blake3_hasher_update(&j->hash, block, (size_t)n);
        j->from += (uint64_t)n;
    }
    free(block);
}

void job_store(struct job *j)
{
    j->err = fdatasync(j->fd) == 0 ? 0 : errno;
    if (j->err == 0) {
        j->err = inbox_place(j->dir, j->path, j->name);
    }
}

bool courier_new(struct courier **out, struct daemon *d)
{
    char dir[PATH_LEN];
    struct courier *k = calloc(1, sizeof(*k));
    const char *set = d->conf.v[CONF_INBOX_DIR].text;
    if (k == NULL || !path_join(dir, d->state.dir, "inbox")) {
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

void courier_free(struct courier *k)
{
    if (k != NULL) {
        send_free_all(k);
        recv_free_all(k);
        inbox_close(&k->inbox);
        free(k);
    }
}

void courier_tick(struct courier *k, uint64_t now_ns)
{
    send_tick(k, now_ns);
    recv_tick(k, now_ns);
}

void courier_stream_in(struct courier *k, qudag_stream s, const char *dark)
{
    recv_new(k, s, dark);
}

void courier_data(struct courier *k, qudag_stream s, qudag_slice data, bool fin)
{
    if (!send_data(k, s, data)) {
        (void)recv_data(k, s, data, fin);
    }
}

void courier_writable(struct courier *k, qudag_stream s)
{
    if (!send_pump_stream(k, s)) {
        (void)recv_flush_stream(k, s);
    }
}

void courier_closed(struct courier *k, qudag_stream s, qudag_err why)
{
    if (!send_closed(k, s, why)) {
        (void)recv_closed(k, s);
    }
}

bool courier_op_done(struct courier *k, qudag_op op, qudag_err err, const qudag_result *res)
{
    return send_op_done(k, op, err, res);
}

void courier_inbox(struct request *rq)
{
    const struct inbox *b = &rq->d->courier->inbox;
    for (size_t ix = 0; ix < b->n; ix++) {
        const struct inbox_entry *e = &b->entry[ix];
        char hash[2 * COURIER_HASH_LEN + 1], id[2 * COURIER_ID_LEN + 1], when[32];
        text_hex(hash, e->offer.hash, COURIER_HASH_LEN);
        text_hex(id, e->offer.id, COURIER_ID_LEN);
        text_time(when, e->time_ms);
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "time", when);
        rec_str(r, "kind", e->offer.kind == COURIER_FILE ? "file" : "message");
        rec_str(r, "from", "anonymous");
        rec_str(r, "to", e->to);
        rec_str(r, "name", e->offer.name);
        rec_int(r, "size", (int64_t)e->offer.size);
        rec_str(r, "hash", hash);
        rec_str(r, "id", id);
        rec_strf(r, "file", "%s/%s", b->dir, e->offer.name);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}
