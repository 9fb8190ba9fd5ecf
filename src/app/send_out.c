/* send_out.c - one delivery: what is told of it, and its end. */
#include "app/send_int.h"

#include "base/wipe.h"

#include <stdio.h>
#include <string.h>

void send_free(struct send_out *s)
{
    struct mem *mem = api_mem(s->k->node);

    transfer_job_drop(s->job);
    mem_free_wiped(mem, s->block);
    mem_free_wiped(mem, s); /* the id above all */
}

void send_enter_call(struct sends *k)
{
    k->depth++;
}

void send_leave_call(struct sends *k)
{
    if (--k->depth > 0) {
        return;
    }
    for (struct send_out **at = &k->first; *at != NULL;) {
        struct send_out *s = *at;
        if (s->state != OUT_ENDED) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        send_free(s);
    }
}

void send_drop_stream(struct send_out *s)
{
    send_stop_looking(s);
    if (s->streaming) {
        s->streaming = false;
        qudag_stream_reset(s->k->node, s->stream, QUDAG_ECANCELED);
    }
}

void send_drop_circuit(struct send_out *s)
{
    qudag_err err = s->circuit.id == 0 ? QUDAG_OK : qudag_circuit_close(s->k->node, s->circuit);

    if (err != QUDAG_OK && err != QUDAG_ESTALE) {
        log_event(api_logger(s->k->node), LOG_DEBUG, "transfer.close", LOG_ERR(err));
    }
    s->circuit.id = 0;
}

void send_finish(struct send_out *s)
{
    if (s->state != OUT_ENDED) {
        s->state = OUT_ENDED;
        s->k->n--;
    }
    send_drop_stream(s);
    if (!s->shares) {
        send_drop_circuit(s);
    }
}

void send_remember(const struct send_out *s)
{
    if (s->hashed && s->offer.kind == TRANSFER_FILE) {
        struct unsent at = {.confirmed = s->been.confirmed, .sent = s->been.sent};
        memcpy(at.id, s->offer.id, sizeof(at.id));
        unsent_put(&s->k->unsent, &s->what, &at, api_now());
    }
}

void send_stop_looking(struct send_out *s)
{
    if (s->looking) {
        s->looking = false;
        qudag_op_cancel(s->k->node, s->op);
    }
}

/* ------------------------------------------------------------------ telling */

bool send_stream_of(const struct send_out *s, qudag_stream_state *info)
{
    return s->streaming && qudag_stream_info(s->k->node, s->stream, info) == QUDAG_OK;
}

static qudag_send_state state_of(const struct send_out *s)
{
    switch (s->state) {
    case OUT_HASHING:
        return QUDAG_SEND_HASHING;
    case OUT_ASKING:
    case OUT_OFFERED:
        return s->on_circuit && !s->looking ? QUDAG_SEND_CONNECTING : QUDAG_SEND_RESOLVING;
    case OUT_CONTENT:
        return QUDAG_SEND_SENDING;
    case OUT_WAITING:
        return QUDAG_SEND_CONFIRMING;
    case OUT_PAUSED:
        return QUDAG_SEND_RETRYING;
    case OUT_QUEUED:
    case OUT_ENDED:
        break;
    }
    return QUDAG_SEND_QUEUED;
}

/* In words: the last failure, and that it waits. */
static void why_text(char *out, size_t cap, const struct send_out *s)
{
    (void)snprintf(out, cap, "%s%s", send_last_text(s, s->last),
                   s->limited ? "; the next attempt waits, for the sake of the guards" : "");
}

void send_describe(qudag_send_info *out, const struct send_out *s)
{
    qudag_stream_state stream = QUDAG_INIT(qudag_stream_state);
    uint64_t now = api_now(), silent = now - s->progress_ns, most = DELIVERY_GIVE_UP_S * NS_PER_S;

    out->state = state_of(s);
    out->err = s->last;
    out->attempts = s->been.attempts;
    out->file = s->offer.kind == TRANSFER_FILE;
    out->bytes = s->offer.size;
    out->hashed = s->hashed ? s->offer.size : atomic_load(&s->job->hashed);
    out->acked = s->acked;
    out->resumed = s->resumed;
    out->elapsed = now - s->begun_ns;
    out->sending = s->sent_ns != 0 ? now - s->sent_ns : 0;
    out->user = s->user;
    out->moves = s->moves;
    out->peer = s->peer;
    if (send_stream_of(s, &stream)) {
        out->circuit = stream.circuit;
        out->relayed = stream.relayed;
        out->relay = stream.relay;
        out->direct = s->peer.len > 0 && stream.open && !stream.relayed;
    }
    if (s->hashed) {
        memcpy(out->hash, s->offer.hash, sizeof(out->hash));
    }
    memcpy(out->name, s->offer.name, strlen(s->offer.name) + 1);
    if (s->last != QUDAG_OK) {
        out->left = silent < most ? most - silent : 0;
        why_text(out->why, sizeof(out->why), s);
    }
}

/* |info| reaches the program, which may end |s| by that. */
static void tell(struct send_out *s, const qudag_send_info *info)
{
    struct sends *k = s->k;

    if (s->changed != NULL) {
        send_enter_call(k);
        s->changed(k->node, (qudag_send){s->id}, info, s->user);
        send_leave_call(k);
    }
}

void send_report(struct send_out *s)
{
    qudag_send_info info = QUDAG_INIT(qudag_send_info);

    if (s->state != OUT_ENDED && s->changed != NULL) {
        send_describe(&info, s);
        tell(s, &info);
    }
}

static void end(struct send_out *s, const qudag_send_info *info)
{
    struct sends *k = s->k;

    send_enter_call(k);
    if (s->state != OUT_ENDED) {
        send_finish(s);
        tell(s, info);
    }
    send_leave_call(k);
}

void send_delivered(struct send_out *s)
{
    qudag_send_info info = QUDAG_INIT(qudag_send_info);

    s->last = QUDAG_OK;
    send_describe(&info, s);
    info.state = QUDAG_SEND_DELIVERED;
    end(s, &info);
}

void send_fail(struct send_out *s, qudag_send_end why, qudag_err err, const char *text)
{
    qudag_send_info info = QUDAG_INIT(qudag_send_info);

    send_describe(&info, s);
    info.state = QUDAG_SEND_FAILED;
    info.end = why;
    info.err = err;
    info.left = 0;
    (void)snprintf(info.why, sizeof(info.why), "%s", text);
    end(s, &info);
}
