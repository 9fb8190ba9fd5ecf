/*
 * transfer_send.c - the attempts of one transfer out (transfer_out.h): stream, content, what the receiver says, time.
 *
 * Silence is detected here and not left to the layers below, because a relay that was switched off notifies
 * no other node: circuits to the service are closed and the next attempt builds another.
 */
#include "transfer_out.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SILENCE_S 4 /* while the receiver should speak */
#define OPENING_S                                                                                  \
    25 /* for a circuit to be begun, and then until the receiver answers; the node's 20 s first */
#define REPORT_NS (NS_PER_S / 10) /* progress to the tool */
#define QUEUED_NS                                                                                  \
    (10 *                                                                                          \
     NS_PER_S) /* the same while it waits its turn: the tool takes long silence for a failure */
#define LIMIT_NS NS_PER_S          /* between two looks whether an attempt is allowed again */
#define TOGETHER_NS (2 * NS_PER_S) /* over which those that waited for a network begin */

static void pump(struct transfer_out *s);

/* ------------------------------------------------------------------ attempts */

void transfer_out_enter(struct transfer_out *s, enum out_state state)
{
    bool news = s->state != state;
    s->state = state;
    s->heard_ns = mono_ns();
    if (news) {
        transfer_out_report(s, REC_PROGRESS);
    }
}

/* So many circuits to the address were built lately that it may be asked again only later: no attempt was made. */
static void wait_for_leave(struct transfer_out *s)
{
    uint64_t now = mono_ns();
    s->been.attempts--;
    s->been.tries--;
    if (!rules_sending_again(&s->been, (now - s->progress_ns) / NS_PER_S)) {
        transfer_why_end(s, QUDAG_ELIMIT);
        return;
    }
    s->until_ns = now + LIMIT_NS;
    transfer_out_enter(s, OUT_PAUSED);
}

/* Another attempt: a stream to the address, and the offer, or the question before it, to be sent on it. */
void transfer_out_begin(struct transfer_out *s)
{
    struct transfer_msg m = {.type = s->hashed ? TRANSFER_T_OFFER : TRANSFER_T_ASK,
                             .offer = s->offer};
    s->head_len = transfer_encode(s->head, &m);
    s->head_at = s->in_len = 0;
    s->at = s->resumed = 0;
    if (s->offer.kind == TRANSFER_FILE) {
        s->block_len = 0;
    }
    s->block_at = 0;
    s->on_circuit = s->open = false;
    s->circuit.id = 0;
    s->been.attempts++;
    s->been.tries++;
    qudag_err err =
        qudag_dark_open_with(s->k->d->node, s->addr, TRANSFER_PROTO, &s->options, &s->stream);
    if (err == QUDAG_EUNSUPPORTED) { /* not so the address of a service that does not take these */
        transfer_out_fail(s, TOOL_USAGE, qudag_err_name(err), DARK_OTHER_NETWORK,
                          DARK_OTHER_NETWORK_HINT);
        return;
    }
    s->limited = err == QUDAG_ELIMIT;
    if (s->limited) {
        wait_for_leave(s);
        return;
    }
    if (err != QUDAG_OK) {
        transfer_out_try_again(s, err);
        return;
    }
    s->streaming = true;
    transfer_out_enter(s, s->hashed ? OUT_OFFERED : OUT_ASKING);
}

static void fails(struct transfer_out *s, qudag_err why)
{
    uint64_t now = mono_ns();
    transfer_why_note(s, why);
    transfer_out_drop_stream(s);
    s->pauses++;
    if (rules_send_is_final((int)why, s->pauses)) {
        transfer_out_fail_err(s, why, "not delivered");
        return;
    }
    if (!rules_sending_again(&s->been, (now - s->progress_ns) / NS_PER_S)) {
        transfer_why_end(s, why);
        return;
    }
    s->until_ns = now + rules_pause_ms(s->pauses) * (NS_PER_S / 1000);
    transfer_out_enter(s, OUT_PAUSED);
}

void transfer_out_try_again(struct transfer_out *s, qudag_err why)
{
    s->refusal = NULL;
    fails(s, why);
}

/* The receiver has no room just now. */
static void receiver_is_busy(struct transfer_out *s)
{
    s->refusal = transfer_reason_text(TRANSFER_BUSY);
    fails(s, QUDAG_EREFUSED);
}

void transfer_network_back(struct transfers *k)
{
    struct transfer_out *s = k == NULL ? NULL : k->sends;
    for (; s != NULL; s = s->next) {
        uint32_t random = 0;
        (void)uv_random(NULL, NULL, &random, sizeof(random), 0, NULL);
        uint64_t at = mono_ns() + random % TOGETHER_NS;
        if (s->state == OUT_PAUSED && !s->limited) {
            s->until_ns = at < s->until_ns ? at : s->until_ns;
            s->pauses = 0;
        }
    }
}

/* ------------------------------------------------------------------ content */

/* False: there is nothing more to write now. */
static bool fill(struct transfer_out *s)
{
    if (s->state != OUT_CONTENT || s->at == s->offer.size || s->offer.kind == TRANSFER_MESSAGE) {
        return false;
    }
    uint64_t left = s->offer.size - s->at;
    size_t want = left < TRANSFER_BLOCK ? (size_t)left : TRANSFER_BLOCK;
    ssize_t n = pread(s->fd, s->block, want, (off_t)s->at);
    if (n <= 0) {
        transfer_out_fail(s, TOOL_FAILED, "READ",
                          n == 0 ? "the file became shorter while it was being sent"
                                 : strerror(errno),
                          "send it again when no program is writing to it");
        return false;
    }
    s->block_len = (size_t)n;
    s->block_at = 0;
    return true;
}

/* True: all of it was taken. */
static bool give(struct transfer_out *s, const uint8_t *base, size_t len, size_t *at)
{
    size_t taken = 0;
    qudag_err err =
        qudag_stream_write(s->k->d->node, s->stream, (qudag_slice){base + *at, len - *at}, &taken);
    if (err != QUDAG_OK) {
        return false; /* stream_closed has the reason */
    }
    *at += taken;
    return *at == len;
}

/* Notices how far the stream has come; true: the receiver has it. */
static bool is_open(struct transfer_out *s)
{
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    if (s->open || !transfer_out_stream_of(s, &info)) {
        return s->open;
    }
    if (info.circuit.id != 0 && !s->on_circuit) {
        s->on_circuit = true;
        s->circuit = info.circuit;
        s->heard_ns = mono_ns();
        transfer_out_report(s, REC_PROGRESS);
    }
    s->open = info.open;
    return s->open;
}

static void pump(struct transfer_out *s)
{
    struct transfers *k = s->k;
    if (!s->streaming || !is_open(s)) {
        return;
    }
    if (s->head_at < s->head_len) {
        if (!give(s, s->head, s->head_len, &s->head_at)) {
            return;
        }
        if (s->offer.kind == TRANSFER_MESSAGE) {
            s->sent_ns = mono_ns();
            transfer_out_enter(s, OUT_CONTENT);
        }
    }
    while (s->state == OUT_CONTENT) {
        if (s->block_at == s->block_len && !fill(s)) {
            if (transfer_out_find(k, s) && s->state == OUT_CONTENT) { /* all is on its way */
                transfer_out_enter(s, OUT_WAITING);
                qudag_stream_fin(k->d->node, s->stream);
                transfer_out_check_file(s);
            }
            return;
        }
        size_t before = s->block_at;
        bool all = give(s, s->block, s->block_len, &s->block_at);
        s->at += s->block_at - before;
        s->been.sent = s->at > s->been.sent ? s->at : s->been.sent;
        if (!all) {
            return;
        }
    }
}

static struct transfer_out *by_stream(struct transfers *k, qudag_stream stream)
{
    struct transfer_out *s = k == NULL ? NULL : k->sends;
    while (s != NULL && (!s->streaming || s->stream.id != stream.id)) {
        s = s->next;
    }
    return s;
}

bool transfer_out_pump_stream(struct transfers *k, qudag_stream stream)
{
    struct transfer_out *s = by_stream(k, stream);
    if (s != NULL) {
        pump(s);
    }
    return s != NULL;
}

void transfer_out_old(struct transfers *k, qudag_stream stream)
{
    struct transfer_out *s = by_stream(k, stream);
    if (s != NULL && s->state == OUT_CONTENT) { /* the rest is short, or ends with the circuit */
        transfer_out_drop_stream(s);
        transfer_out_begin(
            s); /* goes on where the receiver is; the old circuit takes no new streams */
    }
}

bool transfer_out_closed(struct transfers *k, qudag_stream stream, qudag_err why)
{
    struct transfer_out *s = by_stream(k, stream);
    if (s != NULL) {
        s->streaming = false;
        if (s->differs) {
            return true; /* the file is hashed again; that decides */
        }
        if (why == QUDAG_EEXPIRED) { /* of the circuit: another one will do */
            why = QUDAG_ECIRCUIT;
        }
        if (rules_receiver_full((int)why, rules_stage(s->on_circuit, s->open))) {
            receiver_is_busy(s);
        } else {
            transfer_out_try_again(s, why == QUDAG_OK ? QUDAG_ECLOSED : why);
        }
    }
    return s != NULL;
}

/* ------------------------------------------------------------------ what the receiver says */

/* |n| pieces of new content were acknowledged: each is worth a circuit. */
static void gives_back(struct transfer_out *s, uint64_t n)
{
    qudag_err err = QUDAG_OK;
    for (; n > 0 && err == QUDAG_OK; n--) {
        err = qudag_dark_progress(s->k->d->node, s->stream);
    }
}

static void on_done(struct transfer_out *s, const struct transfer_msg *m)
{
    if (!rules_delivery(m->n, m->hash, s->offer.size, s->offer.hash)) {
        transfer_out_fail(s, TOOL_FAILED, "HASH_DIFFERS",
                          "the receiver reported a hash or size other than was sent",
                          "send it again");
        return;
    }
    gives_back(s, 1);
    s->acked = s->offer.size;
    s->last = QUDAG_OK;
    transfer_out_report(s, REC_ROW);
    transfer_out_fail(s, TOOL_OK, "", "", "");
}

/* The receiver says that it has |n| bytes.  False: that cannot be, and the attempt is over. */
static bool confirmed(struct transfer_out *s, uint64_t n)
{
    switch (rules_claim(&s->been, n)) {
    case RULES_CLAIM_FALSE:
        transfer_out_try_again(s, QUDAG_EPROTO);
        return false;
    case RULES_CLAIM_PROGRESS:
        gives_back(s, n / RULES_STEP - s->been.counted / RULES_STEP);
        s->been.counted = n;
        s->been.tries = s->pauses = 0;
        s->progress_ns = mono_ns();
        break;
    case RULES_CLAIM_TRUE:
        break;
    }
    s->been.confirmed = n > s->been.confirmed ? n : s->been.confirmed;
    s->acked = n > s->acked ? n : s->acked;
    return true;
}

/* The receiver has room, or does not know the question: the offer will tell. */
static void on_room(struct transfer_out *s)
{
    transfer_out_drop_stream(s);
    transfer_out_hash(s);
}

static void on_accept(struct transfer_out *s, uint64_t offset)
{
    if (s->state == OUT_ASKING) {
        on_room(s);
        return;
    }
    if (s->state != OUT_OFFERED || s->offer.kind != TRANSFER_FILE) {
        transfer_out_try_again(s, QUDAG_EPROTO);
        return;
    }
    if (!rules_offset(&s->been, offset)) {
        transfer_out_fail(s, TOOL_FAILED, "RECEIVER_LOST",
                          "the receiver no longer has what it had confirmed",
                          "send it again: all of it is sent then");
        return;
    }
    s->at = s->resumed = s->acked = offset;
    s->sent_ns = mono_ns();
    transfer_out_enter(s, OUT_CONTENT);
    pump(s);
}

static void on_refuse(struct transfer_out *s, unsigned reason)
{
    if (reason == TRANSFER_BUSY) {
        receiver_is_busy(s);
        return;
    }
    if (s->state == OUT_ASKING && reason == TRANSFER_BAD_OFFER) {
        on_room(s);
        return;
    }
    if (s->state != OUT_ASKING && reason == TRANSFER_HASH_DIFFERS) {
        if (s->differs) {
            return; /* said twice; the file is being hashed */
        }
        s->been.differs++;
        s->differs = true;
        if (s->offer.kind == TRANSFER_MESSAGE || !transfer_out_look_again(s)) {
            s->differs = false;
            transfer_out_on_differs(s, false); /* a message lies in memory */
        }
        return;
    }
    transfer_out_fail(s, TOOL_REFUSED, "QUDAG_EREFUSED", transfer_reason_text(reason),
                      "only the receiver can change that");
}

static void on_message(struct transfer_out *s, const struct transfer_msg *m)
{
    s->heard_ns = mono_ns();
    if (s->state == OUT_ASKING && m->type != TRANSFER_T_ACCEPT && m->type != TRANSFER_T_REFUSE) {
        transfer_out_try_again(s, QUDAG_EPROTO);
        return;
    }
    switch (m->type) {
    case TRANSFER_T_ACCEPT:
        on_accept(s, m->n);
        break;
    case TRANSFER_T_PROGRESS:
        (void)confirmed(s, m->n); /* 0, too: it hashes what it has */
        break;
    case TRANSFER_T_REFUSE:
        on_refuse(s, m->reason);
        break;
    case TRANSFER_T_DONE:
        on_done(s, m);
        break;
    case TRANSFER_T_OFFER:
    case TRANSFER_T_ASK:
        transfer_out_try_again(s, QUDAG_EPROTO);
        break;
    }
}

bool transfer_out_data(struct transfers *k, qudag_stream stream, qudag_slice data)
{
    struct transfer_out *s = by_stream(k, stream);
    if (s == NULL) {
        return false;
    }
    qudag_stream_consume(k->d->node, stream, data.len);
    while (data.len > 0 && s == by_stream(k, stream)) {
        size_t room = sizeof(s->in) - s->in_len, n = data.len < room ? data.len : room;
        memcpy(s->in + s->in_len, data.base, n);
        s->in_len += n;
        data = (qudag_slice){data.base + n, data.len - n};
        struct transfer_msg m;
        size_t used;
        while ((used = transfer_decode(&m, s->in, s->in_len)) != 0) {
            if (used == SIZE_MAX) {
                transfer_out_try_again(s, QUDAG_EPROTO);
                return true;
            }
            memmove(s->in, s->in + used, s->in_len - used);
            s->in_len -= used;
            on_message(s, &m);
            if (s != by_stream(k, stream)) {
                return true; /* it ended, or has another stream now */
            }
        }
    }
    return true;
}

/* ------------------------------------------------------------------ time */

/* The circuit may be dead: it is closed, so that the next attempt builds another. */
static void on_silence(struct transfer_out *s)
{
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    if (transfer_out_stream_of(s, &info)) {
        s->circuit = info.circuit;
    }
    transfer_out_drop_stream(s);
    transfer_out_drop_circuit(s);
    transfer_out_try_again(s, QUDAG_ETIMEOUT);
}

static void tick_one(struct transfer_out *s, uint64_t now_ns)
{
    if (s->state == OUT_QUEUED) {
        if (now_ns - s->reported_ns > QUEUED_NS) {
            s->reported_ns = now_ns;
            transfer_out_report(s, REC_PROGRESS);
        }
        return;
    }
    uint64_t patience = s->state == OUT_OFFERED || s->state == OUT_ASKING ? OPENING_S : SILENCE_S;
    if (s->state == OUT_PAUSED) {
        if (now_ns >= s->until_ns) {
            transfer_out_begin(s);
        }
        return;
    }
    if (s->differs) {
        return; /* the file is hashed again; that decides */
    }
    if (s->state != OUT_HASHING && now_ns - s->heard_ns > patience * NS_PER_S) {
        on_silence(s);
        return;
    }
    if (s->state != OUT_HASHING &&
        now_ns - s->progress_ns > rules_patience_s(s->offer.size) * NS_PER_S) {
        transfer_why_note(s, QUDAG_ETIMEOUT);
        transfer_why_end(s, QUDAG_ETIMEOUT); /* it speaks, and gets nowhere */
        return;
    }
    if (now_ns - s->reported_ns > REPORT_NS) {
        s->reported_ns = now_ns;
        transfer_out_report(s, REC_PROGRESS);
    }
    pump(s);
}

void transfer_out_tick(struct transfers *k, uint64_t now_ns)
{
    transfer_out_next_turn(k);
    unsent_expire(&k->unsent, now_ns);
    struct transfer_out *next;
    for (struct transfer_out *s = k->sends; s != NULL; s = next) {
        next = s->next;
        if (s->rq != NULL) {
            tick_one(s, now_ns);
        }
        if (next != NULL && !transfer_out_find(k, next)) {
            break; /* it shared a circuit that was closed; the rest has its turn at the next tick */
        }
    }
}
