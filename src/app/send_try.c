/*
 * send_try.c - the attempts of one delivery (send_int.h): stream, content, what the receiver says, time.
 *
 * Silence is detected here and not left to the layers below, because a relay that was switched off notifies
 * no other node: circuits to the service are closed and the next attempt builds another.
 */
#include "app/send_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SILENCE_S 4 /* while the receiver should speak */
#define OPENING_S                                                                                  \
    25 /* for a circuit to be begun, and then until the receiver answers; the node's 20 s first */
#define REPORT_NS (NS_PER_S / 10)  /* progress to the program */
#define QUEUED_NS NS_PER_S         /* the same while it waits its turn */
#define LIMIT_NS NS_PER_S          /* between two looks whether an attempt is allowed again */
#define TOGETHER_NS (2 * NS_PER_S) /* over which those that waited for a network begin */

static void pump(struct send_out *s);

/* ------------------------------------------------------------------ attempts */

void send_enter(struct send_out *s, enum send_stage state)
{
    bool news = s->state != state;
    s->state = state;
    s->heard_ns = api_now();
    if (news) {
        send_report(s);
    }
}

/* So many circuits to the address were built lately that it may be asked again only later: no attempt was made. */
static void wait_for_leave(struct send_out *s)
{
    uint64_t now = api_now();
    s->been.attempts--;
    s->been.tries--;
    if (!delivery_sending_again(&s->been, transfer_since(now, s->progress_ns) / NS_PER_S)) {
        send_why_end(s, QUDAG_ELIMIT);
        return;
    }
    s->until_ns = now + LIMIT_NS;
    send_enter(s, OUT_PAUSED);
}

static qudag_err open_dark(struct send_out *s)
{
    qudag_err err =
        qudag_dark_open_with(s->k->node, s->addr, TRANSFER_PROTO, &s->options, &s->stream);

    if (err == QUDAG_OK) {
        err = api_client_stream(s->k->client, s->stream);
    }
    s->streaming = err == QUDAG_OK;
    return err;
}

/* Another attempt: a stream to the address, and the offer, or the question before it, to be sent on it. */
void send_begin(struct send_out *s)
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
    qudag_err err = s->peer.len > 0 ? send_open_peer(s) : open_dark(s);
    if (err == QUDAG_EUNSUPPORTED &&
        s->peer.len == 0) { /* not so the address of a service that does not take these */
        send_fail(s, QUDAG_SEND_END_OTHER_NETWORK, err,
                  "that address belongs to another network: one of the two is a lab, the other is "
                  "not");
        return;
    }
    s->limited = err == QUDAG_ELIMIT && s->peer.len == 0;
    if (s->limited) {
        wait_for_leave(s);
        return;
    }
    if (err != QUDAG_OK) {
        send_try_again(s, err);
        return;
    }
    send_enter(s, s->hashed ? OUT_OFFERED : OUT_ASKING);
}

static void fails(struct send_out *s, qudag_err why)
{
    uint64_t now = api_now();
    s->look = s->peer.len > 0 && !s->open;
    send_why_note(s, why);
    send_drop_stream(s);
    s->pauses++;
    if (delivery_send_is_final((int)why, s->pauses)) {
        char text[QUDAG_SEND_WHY_MAX];
        (void)snprintf(text, sizeof(text), "not delivered: %s", qudag_strerror(why));
        send_remember(s);
        send_fail(s, QUDAG_SEND_END_UNREACHED, why, text);
        return;
    }
    if (!delivery_sending_again(&s->been, transfer_since(now, s->progress_ns) / NS_PER_S)) {
        send_why_end(s, why);
        return;
    }
    s->until_ns = now + delivery_pause_ms(s->pauses) * (NS_PER_S / 1000);
    send_enter(s, OUT_PAUSED);
}

void send_try_again(struct send_out *s, qudag_err why)
{
    s->refusal = NULL;
    fails(s, why);
}

/* The receiver has no room just now. */
static void receiver_is_busy(struct send_out *s)
{
    s->refusal = transfer_reason_text(TRANSFER_BUSY);
    fails(s, QUDAG_EREFUSED);
}

void send_network_back(struct sends *k)
{
    for (struct send_out *s = k->first; s != NULL; s = s->next) {
        uint32_t random;
        api_random(&random, sizeof(random));
        uint64_t at = api_now() + random % TOGETHER_NS;
        if (s->state == OUT_PAUSED && !s->limited) {
            s->until_ns = at < s->until_ns ? at : s->until_ns;
            s->pauses = 0;
        }
    }
}

/* ------------------------------------------------------------------ content */

/* False: there is nothing more to write now. */
static bool fill(struct send_out *s)
{
    if (s->state != OUT_CONTENT || s->at == s->offer.size || s->offer.kind == TRANSFER_MESSAGE) {
        return false;
    }
    uint64_t left = s->offer.size - s->at;
    size_t want = left < TRANSFER_BLOCK ? (size_t)left : TRANSFER_BLOCK;
    ssize_t n = pread(s->job->fd, s->block, want, (off_t)s->at);
    if (n <= 0) {
        send_fail(s, QUDAG_SEND_END_READ, QUDAG_ESYSTEM,
                  n == 0 ? "the file became shorter while it was being sent" : strerror(errno));
        return false;
    }
    s->block_len = (size_t)n;
    s->block_at = 0;
    return true;
}

/* True: all of it was taken. */
static bool give(struct send_out *s, const uint8_t *base, size_t len, size_t *at)
{
    size_t taken = 0;
    qudag_err err =
        qudag_stream_write(s->k->node, s->stream, (qudag_slice){base + *at, len - *at}, &taken);
    if (err != QUDAG_OK) {
        return false; /* stream_closed has the reason */
    }
    *at += taken;
    return *at == len;
}

/* Notices how far the stream has come; true: the receiver has it. */
static bool is_open(struct send_out *s)
{
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    if (s->open || !send_stream_of(s, &info)) {
        return s->open;
    }
    if (info.circuit.id != 0 && !s->on_circuit) {
        s->on_circuit = true;
        s->circuit = info.circuit;
        s->heard_ns = api_now();
        send_report(s);
    }
    s->open = info.open;
    if (s->open && s->peer.len > 0) {
        s->short_lived = info.limited;
        s->heard_ns = api_now();
        send_report(s); /* over which link */
    }
    return s->open && s->streaming;
}

static void pump(struct send_out *s)
{
    struct sends *k = s->k;
    if (!s->streaming || !is_open(s)) {
        return;
    }
    if (s->head_at < s->head_len) {
        if (!give(s, s->head, s->head_len, &s->head_at)) {
            return;
        }
        if (s->offer.kind == TRANSFER_MESSAGE) {
            s->sent_ns = api_now();
            send_enter(s, OUT_CONTENT);
        }
    }
    while (s->state == OUT_CONTENT) {
        if (s->block_at == s->block_len && !fill(s)) {
            if (s->state == OUT_CONTENT) { /* all is on its way */
                qudag_stream_fin(k->node, s->stream);
                send_enter(s, OUT_WAITING);
            }
            if (s->state == OUT_WAITING) {
                send_check_file(s);
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

static struct send_out *by_stream(const struct sends *k, qudag_stream stream)
{
    struct send_out *s = k->first;
    while (s != NULL && (!s->streaming || s->stream.id != stream.id)) {
        s = s->next;
    }
    return s;
}

void send_stream_writable(qudag_node *n, qudag_stream stream, void *user)
{
    struct sends *k = user;
    (void)n;

    send_enter_call(k);
    struct send_out *s = by_stream(k, stream);
    if (s != NULL) {
        pump(s);
    }
    send_leave_call(k);
}

void send_stream_old(qudag_node *n, qudag_stream stream, qudag_ns left, void *user)
{
    struct sends *k = user;
    (void)n;
    (void)left;

    send_enter_call(k);
    struct send_out *s = by_stream(k, stream);
    if (s != NULL && s->state == OUT_CONTENT) { /* the rest is short, or ends with the circuit */
        send_drop_stream(s);
        send_begin(s); /* goes on where the receiver is; the old circuit takes no new streams */
    }
    send_leave_call(k);
}

static void closed(struct send_out *s, qudag_err why)
{
    s->streaming = false;
    if (s->differs) {
        return; /* the file is hashed again; that decides */
    }
    if (why == QUDAG_EEXPIRED) { /* of the circuit: another one will do */
        why = QUDAG_ECIRCUIT;
    }
    if (s->peer.len > 0 && send_peer_refuses(s, &why)) {
        return;
    }
    if (delivery_receiver_full((int)why, delivery_stage(s->on_circuit, s->open))) {
        receiver_is_busy(s);
    } else {
        send_try_again(s, why == QUDAG_OK ? QUDAG_ECLOSED : why);
    }
}

void send_stream_closed(qudag_node *n, qudag_stream stream, qudag_err why, void *user)
{
    struct sends *k = user;
    (void)n;

    send_enter_call(k);
    struct send_out *s = by_stream(k, stream);
    if (s != NULL) {
        closed(s, why);
    }
    send_leave_call(k);
}

/* ------------------------------------------------------------------ what the receiver says */

/* |n| pieces of new content were acknowledged: each is worth a circuit. */
static void gives_back(struct send_out *s, uint64_t n)
{
    qudag_err err = QUDAG_OK;
    if (s->peer.len > 0) {
        return; /* there is none */
    }
    for (; n > 0 && err == QUDAG_OK; n--) {
        err = qudag_dark_progress(s->k->node, s->stream);
    }
}

static void on_done(struct send_out *s, const struct transfer_msg *m)
{
    if (!delivery_matches(m->n, m->hash, s->offer.size, s->offer.hash)) {
        send_fail(s, QUDAG_SEND_END_OTHER_HASH, QUDAG_EPROTO,
                  "the receiver reported a hash or size other than was sent");
        return;
    }
    gives_back(s, 1);
    s->acked = s->offer.size;
    s->last = QUDAG_OK;
    send_delivered(s);
}

/* The receiver says that it has |n| bytes.  False: that cannot be, and the attempt is over. */
static bool confirmed(struct send_out *s, uint64_t n)
{
    switch (delivery_claim(&s->been, n)) {
    case DELIVERY_CLAIM_FALSE:
        send_try_again(s, QUDAG_EPROTO);
        return false;
    case DELIVERY_CLAIM_PROGRESS:
        gives_back(s, n / DELIVERY_STEP - s->been.counted / DELIVERY_STEP);
        s->been.counted = n;
        s->been.tries = s->pauses = 0;
        s->progress_ns = api_now();
        break;
    case DELIVERY_CLAIM_TRUE:
        break;
    }
    s->been.confirmed = n > s->been.confirmed ? n : s->been.confirmed;
    s->acked = n > s->acked ? n : s->acked;
    return true;
}

/* The receiver has room, or does not know the question: the offer will tell. */
static void on_room(struct send_out *s)
{
    send_drop_stream(s);
    send_hash(s);
}

static void on_accept(struct send_out *s, uint64_t offset)
{
    if (s->state == OUT_ASKING) {
        on_room(s);
        return;
    }
    if (s->state != OUT_OFFERED || s->offer.kind != TRANSFER_FILE) {
        send_try_again(s, QUDAG_EPROTO);
        return;
    }
    if (!delivery_offset(&s->been, offset)) {
        send_fail(s, QUDAG_SEND_END_LOST, QUDAG_EPROTO,
                  "the receiver no longer has what it had confirmed");
        return;
    }
    s->at = s->resumed = s->acked = offset;
    s->sent_ns = api_now();
    send_enter(s, OUT_CONTENT);
    pump(s);
}

static void on_refuse(struct send_out *s, unsigned reason)
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
        if (s->offer.kind == TRANSFER_MESSAGE || !send_look_again(s)) {
            s->differs = false;
            send_on_differs(s, false); /* a message lies in memory */
        }
        return;
    }
    send_fail(s, QUDAG_SEND_END_REFUSED, QUDAG_EREFUSED, transfer_reason_text(reason));
}

static void on_message(struct send_out *s, const struct transfer_msg *m)
{
    s->heard_ns = api_now();
    if (s->state == OUT_ASKING && m->type != TRANSFER_T_ACCEPT && m->type != TRANSFER_T_REFUSE) {
        send_try_again(s, QUDAG_EPROTO);
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
        send_try_again(s, QUDAG_EPROTO);
        break;
    }
}

/* As many messages as are whole; false: |s| has ended, or has another stream now. */
static bool messages(struct send_out *s, qudag_stream stream)
{
    struct transfer_msg m;
    size_t used;

    while ((used = transfer_decode(&m, s->in, s->in_len)) != 0) {
        if (used == SIZE_MAX) {
            send_try_again(s, QUDAG_EPROTO);
            return false;
        }
        memmove(s->in, s->in + used, s->in_len - used);
        s->in_len -= used;
        on_message(s, &m);
        if (s != by_stream(s->k, stream)) {
            return false;
        }
    }
    return true;
}

void send_stream_data(qudag_node *n, qudag_stream stream, qudag_slice data, bool fin, void *user)
{
    struct sends *k = user;
    (void)fin;

    send_enter_call(k);
    qudag_stream_consume(n, stream, data.len);
    struct send_out *s = by_stream(k, stream);
    while (s != NULL && data.len > 0) {
        size_t room = sizeof(s->in) - s->in_len, take = data.len < room ? data.len : room;
        memcpy(s->in + s->in_len, data.base, take);
        s->in_len += take;
        data = (qudag_slice){data.base + take, data.len - take};
        if (!messages(s, stream)) {
            break;
        }
    }
    send_leave_call(k);
}

static struct send_out *by_op(const struct sends *k, qudag_op op)
{
    struct send_out *s = k->first;

    while (s != NULL && (!s->looking || s->op.id != op.id)) {
        s = s->next;
    }
    return s;
}

/* Found or not: an address may be known from elsewhere, and the dial says best why there is no link. */
void send_op_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct sends *k = user;
    struct send_out *s = by_op(k, op);
    (void)n;

    if (s == NULL) {
        return;
    }
    send_enter_call(k);
    s->looking = false;
    s->unfound = err == QUDAG_ENOTFOUND || (err == QUDAG_OK && res->addrs_n == 0);
    s->heard_ns = api_now();
    qudag_err opened = send_open_link(s);
    if (opened != QUDAG_OK) {
        send_try_again(s, opened);
    } else {
        send_report(s);
    }
    send_leave_call(k);
}

/* ------------------------------------------------------------------ time */

/* The oldest that waits, if there is room: those that cannot reach anybody now are in nobody's way. */
static struct send_out *next_turn(const struct sends *k)
{
    unsigned at_work = 0;
    struct send_out *oldest = NULL;
    for (struct send_out *s = k->first; s != NULL; s = s->next) {
        at_work += s->state != OUT_QUEUED && s->state != OUT_PAUSED && s->state != OUT_ENDED;
        oldest = s->state == OUT_QUEUED ? s : oldest; /* the newest comes first in the list */
    }
    return at_work < QUDAG_SENDS_AT_WORK_MAX ? oldest : NULL;
}

static void begin_first(struct send_out *s)
{
    s->progress_ns = api_now();
    if (s->offer.kind == TRANSFER_FILE && s->offer.size >= TRANSFER_ASK_MIN) {
        send_begin(s);
    } else {
        send_hash(s);
    }
}

/* The circuit may be dead: it is closed, so that the next attempt builds another. */
static void on_silence(struct send_out *s)
{
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    if (send_stream_of(s, &info)) {
        s->circuit = info.circuit;
    }
    send_drop_stream(s);
    send_drop_circuit(s);
    send_try_again(s, QUDAG_ETIMEOUT);
}

static void tell_queued(struct send_out *s, uint64_t now_ns)
{
    bool due = s->reported_ns == 0 || transfer_since(now_ns, s->reported_ns) > QUEUED_NS;
    if (s->state == OUT_QUEUED && due) {
        s->reported_ns = now_ns;
        send_report(s);
    }
}

static void tick_one(struct send_out *s, uint64_t now_ns)
{
    uint64_t patience = s->state == OUT_OFFERED || s->state == OUT_ASKING ? OPENING_S : SILENCE_S;
    if (s->state == OUT_PAUSED) {
        if (now_ns >= s->until_ns) {
            send_begin(s);
        }
        return;
    }
    if (s->differs) {
        return; /* the file is hashed again; that decides */
    }
    if (s->state != OUT_HASHING && transfer_since(now_ns, s->heard_ns) > patience * NS_PER_S) {
        on_silence(s);
        return;
    }
    if (s->state != OUT_HASHING &&
        transfer_since(now_ns, s->progress_ns) > delivery_patience_s(s->offer.size) * NS_PER_S) {
        send_why_note(s, QUDAG_ETIMEOUT);
        send_why_end(s, QUDAG_ETIMEOUT); /* it speaks, and gets nowhere */
        return;
    }
    if (send_moves(s, now_ns)) {
        send_drop_stream(s);
        send_begin(s);
        return;
    }
    if (transfer_since(now_ns, s->reported_ns) > REPORT_NS) {
        s->reported_ns = now_ns;
        send_report(s);
    }
    pump(s);
}

void send_tick(struct sends *k, uint64_t now_ns)
{
    send_enter_call(k);
    for (struct send_out *s = k->first; s != NULL; s = s->next) {
        tell_queued(s, now_ns);
    }
    struct send_out *next;
    while ((next = next_turn(k)) != NULL) {
        begin_first(next);
    }
    unsent_expire(&k->unsent, now_ns);
    for (struct send_out *s = k->first; s != NULL; s = s->next) { /* none is freed meanwhile */
        if (s->state != OUT_ENDED && s->state != OUT_QUEUED) {
            tick_one(s, now_ns);
        }
    }
    send_leave_call(k);
}
