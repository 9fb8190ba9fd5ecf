/*
 * send_hash.c - the hash of what is sent: before it is offered, and again where the file may have changed.
 */
#include "app/send_int.h"

#include "base/wipe.h"

#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------ a file that changes */

static void changed(struct send_out *s)
{
    send_fail(s, QUDAG_SEND_END_CHANGED, QUDAG_ESTATE, "the file changed while it was being sent");
}

void send_on_differs(struct send_out *s, bool other_hash)
{
    switch (delivery_hash_differs(s->been.differs, true, other_hash)) {
    case DELIVERY_DIFFERS_LOOK:
    case DELIVERY_DIFFERS_CHANGED:
        changed(s);
        break;
    case DELIVERY_DIFFERS_AGAIN:
        s->been.confirmed = 0; /* it discarded what it had; as progress it does not count again */
        send_try_again(s, QUDAG_EREFUSED);
        break;
    case DELIVERY_DIFFERS_END:
        send_fail(s, QUDAG_SEND_END_DAMAGED, QUDAG_EREFUSED,
                  "the receiver reported twice that the content does not match the hash");
        break;
    }
}

static void looked(struct send_out *s)
{
    uint8_t hash[TRANSFER_HASH_LEN];

    blake3_final(&s->job->hash, hash);
    /* shorter than it was, or unreadable: not what was offered */
    bool other = s->job->err != 0 || memcmp(hash, s->offer.hash, sizeof(hash)) != 0;
    bool asked = s->differs;
    s->differs = false;
    s->heard_ns = s->progress_ns = api_now();
    if (asked) {
        send_on_differs(s, other);
    } else if (other) {
        changed(s);
    }
}

static void on_looked(struct transfer_job *j)
{
    struct send_out *s = j->owner;
    struct sends *k = s->k;

    send_enter_call(k);
    if (s->state != OUT_ENDED) {
        looked(s);
    }
    send_leave_call(k);
}

/* Begins to hash the whole file; false: it cannot be. */
static bool start(struct send_out *s, void (*done)(struct transfer_job *j))
{
    blake3_init(&s->job->hash);
    s->job->from = 0;
    s->job->to = s->offer.size;
    atomic_store(&s->job->hashed, 0);
    return transfer_job_start(s->job, api_loop(s->k->node), transfer_job_hash, done);
}

bool send_look_again(struct send_out *s)
{
    return s->job->busy || start(s, on_looked);
}

/* All of the file was queued: was it written to meanwhile? */
void send_check_file(struct send_out *s)
{
    struct stat st;
    const struct stat *was = &s->at_start;
    if (s->offer.kind == TRANSFER_FILE && fstat(s->job->fd, &st) == 0 &&
        (st.st_size != was->st_size || st.st_mtim.tv_sec != was->st_mtim.tv_sec ||
         st.st_mtim.tv_nsec != was->st_mtim.tv_nsec)) {
        s->at_start = st;
        (void)send_look_again(s); /* if it cannot be, the receiver's word decides */
    }
}

/* ------------------------------------------------------------------ before it is offered */

/*
 * A random id, or that of the same transfer that was interrupted: nothing in it leads to the sender, and once it is
 * delivered or forgotten nobody can say from whom it was.
 */
static void take_id(struct send_out *s)
{
    struct unsent at;
    if (unsent_take(&s->k->unsent, &s->what, &at, api_now()) && !s->again) {
        memcpy(s->offer.id, at.id, sizeof(at.id));
        s->been.confirmed = s->been.counted = at.confirmed;
        s->been.sent = at.sent;
        wipe(&at, sizeof(at));
        return;
    }
    api_random(s->offer.id, sizeof(s->offer.id));
}

static void hashed(struct send_out *s)
{
    char why[QUDAG_SEND_WHY_MAX];
    struct slice key = {s->options.isolation, s->shares ? s->options.isolation_len : 0};

    if (s->job->err != 0) {
        (void)snprintf(why, sizeof(why), "%s", strerror(s->job->err));
        send_fail(s, QUDAG_SEND_END_READ, QUDAG_ESYSTEM, why);
        return;
    }
    blake3_final(&s->job->hash, s->offer.hash);
    unsent_what(&s->what, s->addr, &s->offer, key);
    take_id(s);
    s->hashed = true;
    s->progress_ns = api_now();
    send_begin(s);
}

static void on_hashed(struct transfer_job *j)
{
    struct send_out *s = j->owner;
    struct sends *k = s->k;

    send_enter_call(k);
    if (s->state != OUT_ENDED) {
        hashed(s);
    }
    send_leave_call(k);
}

void send_hash(struct send_out *s)
{
    send_enter(s, OUT_HASHING);
    if (s->state != OUT_HASHING) {
        return;
    }
    if (s->offer.kind == TRANSFER_MESSAGE) {
        blake3_update(&s->job->hash, (struct slice){s->block, s->block_len});
        hashed(s);
        return;
    }
    s->block = mem_alloc(api_mem(s->k->node), TRANSFER_BLOCK);
    if (s->block == NULL) {
        send_fail(s, QUDAG_SEND_END_LOCAL, QUDAG_ENOMEM, qudag_strerror(QUDAG_ENOMEM));
    } else if (!start(s, on_hashed)) {
        send_fail(s, QUDAG_SEND_END_LOCAL, QUDAG_ELIMIT, "cannot start hashing");
    }
}
