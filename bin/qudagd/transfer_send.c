/*
 * transfer_send.c - one transfer out.
 *
 *   QUEUED ─▶ HASHING ─▶ OFFERED ─▶ CONTENT ─▶ WAITING ─▶ done
 *     │         ▲  ▲        ▲  └─────────┴──────────┤ stream lost, or silence
 *     └▶ ASKING ┘  └────────┴─────── PAUSED ◀───────┘
 *
 * ASKING: whether the receiver has room, before a large file is read from end to end.
 *
 * Silence is detected here and not left to the layers below, because a relay that was switched off notifies
 * no other node: circuits to the service are closed and the next attempt builds another.
 */
#include "isolate.h"
#include "report.h"
#include "rules.h"
#include "transfer_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define SILENCE_S 4  /* while the receiver should speak */
#define OPENING_S 20 /* for a circuit to be begun, and then until the receiver answers */
#define REPORT_NS (NS_PER_S / 10) /* progress to the tool */
#define QUEUED_NS                                                                                  \
    (10 *                                                                                          \
     NS_PER_S) /* the same while it waits its turn: the tool takes long silence for a failure */
#define PAUSE_NS (NS_PER_S / 5) /* before the second attempt; doubles up to 3.2 s */

enum out_state { QUEUED, ASKING, HASHING, OFFERED, CONTENT, WAITING, PAUSED };
static const char *const state_name[] = {"queued",  "connecting", "hashing", "connecting",
                                         "sending", "confirming", "retrying"};

struct transfer_out {
    struct transfer_out *next;
    struct transfers *k;
    struct request *rq; /* NULL: nobody waits any more */
    enum out_state state;
    struct transfer_offer offer;
    char addr[QUDAG_DARK_TEXT_MAX];
    qudag_dark_options options; /* its isolation key */
    bool shares;                /* ... is one that the user named: others may use the circuit */
    qudag_circuit circuit;      /* of |stream|; id 0: none (yet) */
    int fd;                     /* FILE */
    struct stat at_start;       /* of the file */
    struct transfer_job job;
    struct rules_sending been; /* what bounds the attempts */
    bool hashed;               /* |offer| is complete */
    struct unsent_what what;   /* then: what is sent to whom */
    bool differs; /* the receiver reported another hash, and the file is hashed again for that */
    qudag_stream stream;
    bool streaming;  /* |stream| lives */
    bool on_circuit; /* the address is resolved: the stream has a circuit, maybe not yet built */
    bool open;       /* the receiver has the stream */
    uint64_t at, acked,
        resumed; /* next byte to queue; received there; where the last stream began */
    uint64_t begun_ns, sent_ns; /* first; when content began */
    uint64_t heard_ns, progress_ns, until_ns, reported_ns;
    unsigned pauses; /* since the last progress; decide how long the next one is */
    qudag_err last;
    size_t head_len, head_at, in_len, block_len, block_at;
    uint8_t head[TRANSFER_MSG_MAX], in[TRANSFER_MSG_MAX];
    uint8_t *block; /* MESSAGE: the whole content; FILE: TRANSFER_BLOCK bytes once it is at work */
};

static void pump(struct transfer_out *s);
static void try_again(struct transfer_out *s, qudag_err why);
static void hash(struct transfer_out *s);

static void unlink_send(struct transfer_out *s)
{
    struct transfers *k = s->k;
    for (struct transfer_out **at = &k->sends; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            k->n_sends--;
            break;
        }
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    free(s->block);
    explicit_bzero(s, sizeof(*s)); /* the id above all */
    free(s);
}

static void drop_stream(struct transfer_out *s)
{
    if (s->streaming) {
        s->streaming = false;
        qudag_stream_reset(s->k->d->node, s->stream, QUDAG_ECANCELED);
    }
}

/* Nobody else may use the circuit of |s|: it is closed, unless it is gone. */
static void drop_circuit(struct transfer_out *s)
{
    qudag_err err = s->circuit.id == 0 ? QUDAG_OK : qudag_circuit_close(s->k->d->node, s->circuit);
    if (err != QUDAG_OK && err != QUDAG_ESTALE) {
        log_say(&s->k->d->log, QUDAG_LOG_DEBUG, "transfer.close", "%s", qudag_strerror(err));
    }
    s->circuit.id = 0;
}

/* The request is answered before; a hash at work is waited for. */
static void finish(struct transfer_out *s)
{
    drop_stream(s);
    if (!s->shares) {
        drop_circuit(s);
    }
    s->rq = NULL;
    if (s->job.busy) {
        atomic_store(&s->job.stop, true);
        return;
    }
    unlink_send(s);
}

static void fail(struct transfer_out *s, enum tool_exit code, const char *error,
                 const char *message, const char *hint)
{
    if (s->rq != NULL) {
        s->rq->transfer = NULL;
        request_end(s->rq, code, error, message, hint);
    }
    finish(s);
}

/* It may go on when the same file is sent again: its id is remembered for a while. */
static void remember(const struct transfer_out *s)
{
    if (s->hashed && s->offer.kind == TRANSFER_FILE) {
        struct unsent at = {.confirmed = s->been.confirmed, .sent = s->been.sent};
        memcpy(at.id, s->offer.id, sizeof(at.id));
        unsent_put(&s->k->unsent, &s->what, &at, mono_ns());
    }
}

static void fail_err(struct transfer_out *s, qudag_err err, const char *what)
{
    remember(s);
    if (s->rq != NULL) {
        s->rq->transfer = NULL;
        request_end_err(s->rq, err, what);
    }
    finish(s);
}

/* ------------------------------------------------------------------ telling */

/* What is known of the stream; false: there is none. */
static bool stream_of(const struct transfer_out *s, qudag_stream_state *info)
{
    return s->streaming && qudag_stream_info(s->k->d->node, s->stream, info) == QUDAG_OK;
}

/* The relays between us and the receiver. */
static void rec_path(struct rec *r, const struct transfer_out *s)
{
    qudag_stream_state stream = QUDAG_INIT(qudag_stream_state);
    qudag_circuit_info info = QUDAG_INIT(qudag_circuit_info);
    size_t it = 0;
    bool more = stream_of(s, &stream) && stream.circuit.id != 0;
    while (more && (more = qudag_circuit_next(s->k->d->node, &it, &info)) &&
           info.circuit.id != stream.circuit.id) {
    }
    for (size_t ix = 0; more && ix < info.hops_wanted && ix < QUDAG_HOPS_MAX; ix++) {
        rec_peer(r, "path", &info.path[ix]);
    }
}

static void report(struct transfer_out *s, enum rec_type type)
{
    struct request *rq = s->rq;
    if (rq == NULL) {
        return;
    }
    struct rec *r = request_rec(rq, type);
    bool resolving = (s->state == OFFERED || s->state == ASKING) && !s->on_circuit;
    rec_str(r, "state",
            type == REC_ROW ? "delivered"
            : resolving     ? "resolving"
                            : state_name[s->state]);
    rec_str(r, "kind", s->offer.kind == TRANSFER_FILE ? "file" : "message");
    rec_str(r, "name", s->offer.name);
    rec_int(r, "size", (int64_t)s->offer.size);
    rec_int(r, "acked", (int64_t)s->acked);
    if (s->state == HASHING) {
        rec_int(r, "hashed", (int64_t)atomic_load(&s->job.hashed));
    }
    rec_int(r, "resumed", (int64_t)s->resumed);
    rec_int(r, "streams", s->been.attempts);
    rec_int(r, "elapsed_ns", (int64_t)(mono_ns() - s->begun_ns));
    if (s->sent_ns != 0) {
        rec_int(r, "sending_ns", (int64_t)(mono_ns() - s->sent_ns));
    }
    if (s->last != QUDAG_OK) {
        uint64_t silent_ns = mono_ns() - s->progress_ns;
        rec_str(r, "last_error", qudag_err_name(s->last));
        rec_str(r, "last_reason", qudag_strerror(s->last));
        rec_int(r, "left_ns",
                silent_ns < RULES_GIVE_UP_S * NS_PER_S
                    ? (int64_t)(RULES_GIVE_UP_S * NS_PER_S - silent_ns)
                    : 0);
    }
    rec_path(r, s);
    rec_diversity(r, s->k->d->node);
    if (type == REC_ROW) {
        char hex[2 * TRANSFER_HASH_LEN + 1];
        text_hex(hex, s->offer.hash, TRANSFER_HASH_LEN);
        rec_str(r, "hash", hex); /* both ends' */
    }
    request_send(rq);
}

/* ------------------------------------------------------------------ attempts */

static void enter(struct transfer_out *s, enum out_state state)
{
    bool news = s->state != state;
    s->state = state;
    s->heard_ns = mono_ns();
    if (news) {
        report(s, REC_PROGRESS);
    }
}

/* Another attempt: a stream to the address, and the offer, or the question before it, to be sent on it. */
static void begin(struct transfer_out *s)
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
        fail(s, TOOL_USAGE, qudag_err_name(err), DARK_OTHER_NETWORK, DARK_OTHER_NETWORK_HINT);
        return;
    }
    if (err != QUDAG_OK) {
        try_again(s, err);
        return;
    }
    s->streaming = true;
    enter(s, s->hashed ? OFFERED : ASKING);
}

static void end_undelivered(struct transfer_out *s, qudag_err why)
{
    if (why == QUDAG_ELIMIT) { /* of circuits to that address, above all: src/node/budget.h */
        remember(s);
        fail(s, exit_of(why), qudag_err_name(why),
             "not delivered: more circuits to that address would be built than are good in an hour",
             "wait a while; deliveries with the same --isolate KEY share a circuit");
        return;
    }
    fail_err(s, why, "not delivered");
}

static void try_again(struct transfer_out *s, qudag_err why)
{
    uint64_t now = mono_ns();
    s->last = why;
    drop_stream(s);
    s->pauses++;
    if (rules_send_is_final((int)why, s->pauses) ||
        !rules_sending_again(&s->been, (now - s->progress_ns) / NS_PER_S)) {
        end_undelivered(s, why);
        return;
    }
    unsigned doublings = s->pauses < 5 ? s->pauses - 1 : 4;
    s->until_ns = now + (PAUSE_NS << doublings);
    enter(s, PAUSED);
}

/* ------------------------------------------------------------------ a file that changes */

static void changed(struct transfer_out *s)
{
    fail(s, TOOL_FAILED, "FILE_CHANGED", "the file changed while it was being sent",
         "send it again when no program is writing to it");
}

static void on_differs(struct transfer_out *s, bool other_hash)
{
    switch (rules_hash_differs(s->been.differs, true, other_hash)) {
    case RULES_DIFFERS_LOOK:
    case RULES_DIFFERS_CHANGED:
        changed(s);
        break;
    case RULES_DIFFERS_AGAIN:
        s->been.confirmed = 0; /* it discarded what it had; as progress it does not count again */
        try_again(s, QUDAG_EREFUSED);
        break;
    case RULES_DIFFERS_END:
        fail(s, TOOL_REFUSED, "HASH_DIFFERS",
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
        unlink_send(s);
        return;
    }
    blake3_hasher_finalize(&j->hash, hash, sizeof(hash));
    /* shorter than it was, or unreadable: not what was offered */
    bool other = j->err != 0 || memcmp(hash, s->offer.hash, sizeof(hash)) != 0;
    bool asked = s->differs;
    s->differs = false;
    s->heard_ns = s->progress_ns = mono_ns();
    if (asked) {
        on_differs(s, other);
    } else if (other) {
        changed(s);
    }
}

/* Hashes the file again, beside what goes on.  False: that cannot be. */
static bool look_again(struct transfer_out *s)
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
static void check_file(struct transfer_out *s)
{
    struct stat st;
    const struct stat *was = &s->at_start;
    if (s->offer.kind == TRANSFER_FILE && fstat(s->fd, &st) == 0 &&
        (st.st_size != was->st_size || st.st_mtim.tv_sec != was->st_mtim.tv_sec ||
         st.st_mtim.tv_nsec != was->st_mtim.tv_nsec)) {
        s->at_start = st;
        (void)look_again(s); /* if it cannot be, the receiver's word decides */
    }
}

/* ------------------------------------------------------------------ content */

/* False: there is nothing more to write now. */
static bool fill(struct transfer_out *s)
{
    if (s->state != CONTENT || s->at == s->offer.size || s->offer.kind == TRANSFER_MESSAGE) {
        return false;
    }
    uint64_t left = s->offer.size - s->at;
    size_t want = left < TRANSFER_BLOCK ? (size_t)left : TRANSFER_BLOCK;
    ssize_t n = pread(s->fd, s->block, want, (off_t)s->at);
    if (n <= 0) {
        fail(s, TOOL_FAILED, "READ",
             n == 0 ? "the file became shorter while it was being sent" : strerror(errno),
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

static bool find(struct transfers *k, const struct transfer_out *s)
{
    const struct transfer_out *at = k->sends;
    while (at != NULL && at != s) {
        at = at->next;
    }
    return at != NULL;
}

/* Notices how far the stream has come; true: the receiver has it. */
static bool is_open(struct transfer_out *s)
{
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    if (s->open || !stream_of(s, &info)) {
        return s->open;
    }
    if (info.circuit.id != 0 && !s->on_circuit) {
        s->on_circuit = true;
        s->circuit = info.circuit;
        s->heard_ns = mono_ns();
        report(s, REC_PROGRESS);
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
            enter(s, CONTENT);
        }
    }
    while (s->state == CONTENT) {
        if (s->block_at == s->block_len && !fill(s)) {
            if (find(k, s) && s->state == CONTENT) { /* all is on its way */
                enter(s, WAITING);
                qudag_stream_fin(k->d->node, s->stream);
                check_file(s);
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
    if (s != NULL && s->state == CONTENT) { /* the rest is short, or ends with the circuit */
        drop_stream(s);
        begin(s); /* goes on where the receiver is; the old circuit takes no new streams */
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
        try_again(s, why == QUDAG_OK ? QUDAG_ECLOSED : why);
    }
    return s != NULL;
}

/* ------------------------------------------------------------------ what the receiver says */

static void on_done(struct transfer_out *s, const struct transfer_msg *m)
{
    if (!rules_delivery(m->n, m->hash, s->offer.size, s->offer.hash)) {
        fail(s, TOOL_FAILED, "HASH_DIFFERS",
             "the receiver reported a hash or size other than was sent", "send it again");
        return;
    }
    s->acked = s->offer.size;
    s->last = QUDAG_OK;
    report(s, REC_ROW);
    fail(s, TOOL_OK, "", "", "");
}

/* The receiver says that it has |n| bytes.  False: that cannot be, and the attempt is over. */
static bool confirmed(struct transfer_out *s, uint64_t n)
{
    switch (rules_claim(&s->been, n)) {
    case RULES_CLAIM_FALSE:
        try_again(s, QUDAG_EPROTO);
        return false;
    case RULES_CLAIM_PROGRESS:
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
    drop_stream(s);
    hash(s);
}

static void on_accept(struct transfer_out *s, uint64_t offset)
{
    if (s->state == ASKING) {
        on_room(s);
        return;
    }
    if (s->state != OFFERED || s->offer.kind != TRANSFER_FILE) {
        try_again(s, QUDAG_EPROTO);
        return;
    }
    if (!rules_offset(&s->been, offset)) {
        fail(s, TOOL_FAILED, "RECEIVER_LOST", "the receiver no longer has what it had confirmed",
             "send it again: all of it is sent then");
        return;
    }
    s->at = s->resumed = s->acked = offset;
    s->sent_ns = mono_ns();
    enter(s, CONTENT);
    pump(s);
}

static void on_refuse(struct transfer_out *s, unsigned reason)
{
    if (reason == TRANSFER_BUSY) {
        try_again(s, QUDAG_EREFUSED);
        return;
    }
    if (s->state == ASKING && reason == TRANSFER_BAD_OFFER) {
        on_room(s);
        return;
    }
    if (s->state != ASKING && reason == TRANSFER_HASH_DIFFERS) {
        if (s->differs) {
            return; /* said twice; the file is being hashed */
        }
        s->been.differs++;
        s->differs = true;
        if (s->offer.kind == TRANSFER_MESSAGE || !look_again(s)) {
            s->differs = false;
            on_differs(s, false); /* a message lies in memory */
        }
        return;
    }
    fail(s, TOOL_REFUSED, "QUDAG_EREFUSED", transfer_reason_text(reason),
         "only the receiver can change that");
}

static void on_message(struct transfer_out *s, const struct transfer_msg *m)
{
    s->heard_ns = mono_ns();
    if (s->state == ASKING && m->type != TRANSFER_T_ACCEPT && m->type != TRANSFER_T_REFUSE) {
        try_again(s, QUDAG_EPROTO);
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
        try_again(s, QUDAG_EPROTO);
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
                try_again(s, QUDAG_EPROTO);
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
    if (stream_of(s, &info)) {
        s->circuit = info.circuit;
    }
    drop_stream(s);
    drop_circuit(s);
    try_again(s, QUDAG_ETIMEOUT);
}

static void tick_one(struct transfer_out *s, uint64_t now_ns)
{
    if (s->state == QUEUED) {
        if (now_ns - s->reported_ns > QUEUED_NS) {
            s->reported_ns = now_ns;
            report(s, REC_PROGRESS);
        }
        return;
    }
    uint64_t patience = s->state == OFFERED || s->state == ASKING ? OPENING_S : SILENCE_S;
    if (s->state == PAUSED) {
        if (now_ns >= s->until_ns) {
            begin(s);
        }
        return;
    }
    if (s->differs) {
        return; /* the file is hashed again; that decides */
    }
    if (s->state != HASHING && now_ns - s->heard_ns > patience * NS_PER_S) {
        on_silence(s);
        return;
    }
    if (s->state != HASHING &&
        now_ns - s->progress_ns > rules_patience_s(s->offer.size) * NS_PER_S) {
        fail_err(s, QUDAG_ETIMEOUT, "not delivered"); /* it speaks, and gets nowhere */
        return;
    }
    if (now_ns - s->reported_ns > REPORT_NS) {
        s->reported_ns = now_ns;
        report(s, REC_PROGRESS);
    }
    pump(s);
}

/* The oldest that waits begins when there is room. */
static void next_turn(struct transfers *k)
{
    unsigned at_work = 0;
    struct transfer_out *oldest = NULL;
    for (struct transfer_out *s = k->sends; s != NULL; s = s->next) {
        at_work += s->state != QUEUED;
        oldest = s->state == QUEUED ? s : oldest; /* the newest comes first in the list */
    }
    if (oldest != NULL && at_work < TRANSFER_SENDS_MAX) {
        oldest->progress_ns = mono_ns();
        if (oldest->offer.kind == TRANSFER_FILE && oldest->offer.size >= TRANSFER_ASK_MIN) {
            begin(oldest);
        } else {
            hash(oldest);
        }
    }
}

void transfer_out_tick(struct transfers *k, uint64_t now_ns)
{
    next_turn(k);
    unsent_expire(&k->unsent, now_ns);
    struct transfer_out *next;
    for (struct transfer_out *s = k->sends; s != NULL; s = next) {
        next = s->next;
        if (s->rq != NULL) {
            tick_one(s, now_ns);
        }
        if (next != NULL && !find(k, next)) {
            break; /* it shared a circuit that was closed; the rest has its turn at the next tick */
        }
    }
}

/* ------------------------------------------------------------------ the beginning and the end */

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
        unlink_send(s);
        return;
    }
    if (j->err != 0) {
        fail(s, TOOL_FAILED, "READ", strerror(j->err),
             "the file must not change while it is being hashed");
        return;
    }
    blake3_hasher_finalize(&j->hash, s->offer.hash, TRANSFER_HASH_LEN);
    unsent_what(&s->what, s->addr, &s->offer, rec_get_str(&s->rq->args, "isolate"));
    if (!take_id(s)) {
        fail(s, TOOL_FAILED, "RANDOM", "cannot get random bytes from the system", "");
        return;
    }
    s->hashed = true;
    s->progress_ns = mono_ns();
    begin(s);
}

static void hash(struct transfer_out *s)
{
    enter(s, HASHING);
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
        fail_err(s, QUDAG_ENOMEM, "send");
    } else if (!transfer_job_start(s->k->d, &s->job)) {
        fail(s, TOOL_FAILED, "QUDAG_ELIMIT", "cannot start hashing", "");
    }
}

/* What shall be sent: from the request into |s|.  NULL, or what is wrong. */
static const char *take_content(struct transfer_out *s, struct request *rq)
{
    struct rec_field message;
    struct stat st;
    const char *name = rec_get_str(&rq->args, "name");
    if (rec_find(&rq->args, "message", REC_BYTES, &message)) {
        if (message.len > TRANSFER_MESSAGE_MAX) {
            return "a message may have at most 32 KiB; send it as a file";
        }
        s->offer.kind = TRANSFER_MESSAGE;
        s->offer.size = message.len;
        s->block = malloc(message.len + 1);
        if (s->block == NULL) {
            return "out of memory";
        }
        memcpy(s->block, message.bytes, message.len);
        s->block_len = message.len;
        return NULL;
    }
    if (rq->fd < 0 || fstat(rq->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return "only regular files can be sent";
    }
    s->fd = rq->fd;
    s->at_start = st;
    rq->fd = -1;
    s->offer.kind = TRANSFER_FILE;
    s->offer.size = (uint64_t)st.st_size;
    (void)snprintf(s->offer.name, sizeof(s->offer.name), "%s", name == NULL ? "file" : name);
    return NULL;
}

/* The isolation key of the request: of its own, unless the user named one.  False: a name that is none. */
static bool take_isolation(struct transfer_out *s, const struct request *rq)
{
    const char *name = rec_get_str(&rq->args, "isolate");
    uint8_t random[QUDAG_ISOLATION_MAX];
    if ((name != NULL && (name[0] == 0 || strlen(name) > ISOLATE_TEXT_MAX)) ||
        uv_random(NULL, NULL, random, sizeof(random), 0, NULL) != 0) {
        return false;
    }
    s->shares = name != NULL;
    isolate_key(&s->options, rq->uid, name, random);
    return true;
}

/* Whether |addr|, in small or capital letters, is a dark address of this node. */
static bool is_own(const qudag_node *n, const char *addr)
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    for (size_t it = 0; qudag_dark_next(n, &it, &info);) {
        if (strcasecmp(info.addr, addr) == 0) {
            return true;
        }
    }
    return false;
}

void transfer_send(struct request *rq)
{
    struct transfers *k = rq->d->transfers;
    const char *addr = rec_get_str(&rq->args, "address");
    qudag_err err = addr == NULL ? QUDAG_EINVAL : qudag_dark_check(addr);
    if (err != QUDAG_OK) {
        request_end_err(rq, err, addr == NULL ? "send" : addr);
        return;
    }
    if (is_own(rq->d->node, addr)) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL", "that is an address of this node itself",
                    "send from another node");
        return;
    }
    struct transfer_out *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        request_end_err(rq, QUDAG_ENOMEM, "send");
        return;
    }
    s->k = k;
    s->fd = -1;
    s->begun_ns = s->heard_ns = mono_ns();
    (void)snprintf(s->addr, sizeof(s->addr), "%s", addr);
    const char *wrong = take_content(s, rq);
    if (wrong != NULL) {
        free(s->block);
        free(s);
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL", wrong, "qudag help send shows an example");
        return;
    }
    s->been.size = s->offer.size;
    if (!take_isolation(s, rq)) {
        unlink_send(s);
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL",
                    "the name of an isolation key has 1 to 64 bytes",
                    "qudag help send shows an example");
        return;
    }
    s->rq = rq;
    rq->transfer = s;
    s->next = k->sends;
    k->sends = s;
    k->n_sends++;
    report(s, REC_PROGRESS); /* queued */
    next_turn(k);
}

void transfer_abandon(struct request *rq)
{
    remember(rq->transfer);
    fail(rq->transfer, TOOL_FAILED, "", "", "");
}

void transfer_out_free_all(struct transfers *k)
{
    while (k->sends != NULL) {
        unlink_send(k->sends);
    }
    unsent_expire(&k->unsent, UINT64_MAX);
}
