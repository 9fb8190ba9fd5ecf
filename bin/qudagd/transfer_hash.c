/*
 * transfer_hash.c - the hash of what is sent: before it is offered, and again where the file may have changed.
 */
#include "transfer_out.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ a file that changes */

static void changed(struct transfer_out *s)
{
    transfer_out_fail(s, TOOL_FAILED, "FILE_CHANGED", "the file changed while it was being sent",
                      "send it again when no program is writing to it");
}

void transfer_out_on_differs(struct transfer_out *s, bool other_hash)
{
    switch (rules_hash_differs(s->been.differs, true, other_hash)) {
    case RULES_DIFFERS_LOOK:
    case RULES_DIFFERS_CHANGED:
        changed(s);
        break;
    case RULES_DIFFERS_AGAIN:
        s->been.confirmed = 0; /* it discarded what it had; as progress it does not count again */
        transfer_out_try_again(s, QUDAG_EREFUSED);
        break;
    case RULES_DIFFERS_END:
        transfer_out_fail(s, TOOL_REFUSED, "HASH_DIFFERS",
                          "the receiver reported twice that the content does not match the hash",
                          "the file did not change; the receiver or the path to it is faulty");
        break;
    }
}

static void on_looked(struct transfer_job *j)
{
    struct transfer_out *s = j->owner;
    uint8_t hash[TRANSFER_HASH_LEN];
    if (s->rq == NULL) {
        transfer_out_unlink(s);
        return;
    }
    blake3_hasher_finalize(&j->hash, hash, sizeof(hash));
    /* shorter than it was, or unreadable: not what was offered */
    bool other = j->err != 0 || memcmp(hash, s->offer.hash, sizeof(hash)) != 0;
    bool asked = s->differs;
    s->differs = false;
    s->heard_ns = s->progress_ns = mono_ns();
    if (asked) {
        transfer_out_on_differs(s, other);
    } else if (other) {
        changed(s);
    }
}

/* Hashes the file again, beside what goes on.  False: that cannot be. */
bool transfer_out_look_again(struct transfer_out *s)
{
    if (s->job.busy) {
        return true;
    }
    blake3_hasher_init(&s->job.hash);
    s->job.from = 0;
    s->job.to = s->offer.size;
    s->job.done = on_looked;
    return transfer_job_start(s->k->d, &s->job);
}

/* All of the file was queued: was it written to meanwhile? */
void transfer_out_check_file(struct transfer_out *s)
{
    struct stat st;
    const struct stat *was = &s->at_start;
    if (s->offer.kind == TRANSFER_FILE && fstat(s->fd, &st) == 0 &&
        (st.st_size != was->st_size || st.st_mtim.tv_sec != was->st_mtim.tv_sec ||
         st.st_mtim.tv_nsec != was->st_mtim.tv_nsec)) {
        s->at_start = st;
        (void)transfer_out_look_again(s); /* if it cannot be, the receiver's word decides */
    }
}

/* ------------------------------------------------------------------ before it is offered */

/*
 * A random id, or that of the same transfer that was interrupted: nothing in it leads to the sender, and once it is
 * delivered or forgotten nobody can say from whom it was.  False: no random bytes.
 */
static bool take_id(struct transfer_out *s)
{
    struct unsent at;
    if (unsent_take(&s->k->unsent, &s->what, &at, mono_ns()) &&
        !rec_get_bool(&s->rq->args, "again")) {
        memcpy(s->offer.id, at.id, sizeof(at.id));
        s->been.confirmed = s->been.counted = at.confirmed;
        s->been.sent = at.sent;
        explicit_bzero(&at, sizeof(at));
        return true;
    }
    return uv_random(NULL, NULL, s->offer.id, TRANSFER_ID_LEN, 0, NULL) == 0;
}

static void on_hashed(struct transfer_job *j)
{
    struct transfer_out *s = j->owner;
    if (s->rq == NULL) {
        transfer_out_unlink(s);
        return;
    }
    if (j->err != 0) {
        transfer_out_fail(s, TOOL_FAILED, "READ", strerror(j->err),
                          "the file must not change while it is being hashed");
        return;
    }
    blake3_hasher_finalize(&j->hash, s->offer.hash, TRANSFER_HASH_LEN);
    unsent_what(&s->what, s->addr, &s->offer, rec_get_str(&s->rq->args, "isolate"));
    if (!take_id(s)) {
        transfer_out_fail(s, TOOL_FAILED, "RANDOM", "cannot get random bytes from the system", "");
        return;
    }
    s->hashed = true;
    s->progress_ns = mono_ns();
    transfer_out_begin(s);
}

void transfer_out_hash(struct transfer_out *s)
{
    transfer_out_enter(s, OUT_HASHING);
    blake3_hasher_init(&s->job.hash);
    s->job.owner = s;
    s->job.done = on_hashed;
    if (s->offer.kind == TRANSFER_MESSAGE) {
        blake3_hasher_update(&s->job.hash, s->block, s->block_len);
        on_hashed(&s->job);
        return;
    }
    atomic_store(&s->job.hashed, 0);
    s->block = malloc(TRANSFER_BLOCK);
    s->job.run = transfer_job_hash;
    s->job.fd = s->fd;
    s->job.to = s->offer.size;
    if (s->block == NULL) {
        transfer_out_fail_err(s, QUDAG_ENOMEM, "send");
    } else if (!transfer_job_start(s->k->d, &s->job)) {
        transfer_out_fail(s, TOOL_FAILED, "QUDAG_ELIMIT", "cannot start hashing", "");
    }
}
