/*
 * transfer_recv.c - one transfer in.
 *
 *   OFFER ─▶ HASHING (what is there already) ─▶ CONTENT ─▶ STORING ─▶ SAID
 *     ├──────────── asked for room only ──────────────────────────────▶ SAID
 *     └──────────── a message ───────────────────▲            refuse: ─▶ SAID
 *
 * Nothing a sender says is believed: names are made harmless, sizes checked before the first byte,
 * the hash computed here.
 */
#include "common/name.h"
#include "rules.h"
#include "transfer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORGET_NS (3600 * NS_PER_S) /* how often ids that are due are looked for */
#define SILENCE_S 30                /* of a sender */
#define REPORT_BYTES (1u << 20)     /* progress is reported at least this often */
#define REPORT_NS (NS_PER_S / 2)

enum in_state { OFFER, HASHING, CONTENT, STORING, SAID };

struct transfer_in {
    struct transfer_in *next;
    struct transfers *k;
    qudag_stream stream;
    bool streaming; /* the stream lives */
    enum in_state state;
    struct transfer_offer offer;
    char dark[QUDAG_DARK_TEXT_MAX];
    char path[PATH_LEN], offer_path[PATH_LEN];
    int fd;
    struct transfer_job job; /* .hash runs along with the content */
    uint64_t got, reported, reserved;
    uint64_t heard_ns, reported_ns;
    uint64_t trimmed_at;         /* |got| when others' unfinished transfers last made room */
    uint64_t since_ns, got_then; /* the pace is measured from there; 0: not yet */
    struct rules_pace pace;
    bool fin_after; /* when |out| is written */
    size_t in_len, out_len, out_at;
    uint8_t in[TRANSFER_MSG_MAX], out[4 * TRANSFER_MSG_MAX];
};

/* Nothing more will be written: its room is others'. */
static void give_room_back(struct transfer_in *r)
{
    r->k->inbox.reserved -= r->reserved;
    r->reserved = 0;
    if (r->fd >= 0) {
        close(r->fd);
        r->fd = -1;
    }
}

static void free_recv(struct transfer_in *r)
{
    struct transfers *k = r->k;
    for (struct transfer_in **at = &k->recvs; *at != NULL; at = &(*at)->next) {
        if (*at == r) {
            *at = r->next;
            k->n_recvs--;
            break;
        }
    }
    give_room_back(r);
    free(r);
}

/* Gone, as soon as no thread works for it. */
static void leave(struct transfer_in *r)
{
    if (r->streaming) {
        r->streaming = false;
        qudag_stream_reset(r->k->d->node, r->stream, QUDAG_ECANCELED);
    }
    if (!r->job.busy) {
        free_recv(r);
    } else if (r->state == HASHING) {
        atomic_store(&r->job.stop, true);
    }
}

static void flush(struct transfer_in *r)
{
    if (!r->streaming) {
        return;
    }
    size_t taken = 0;
    qudag_slice rest = {r->out + r->out_at, r->out_len - r->out_at};
    if (rest.len > 0) {
        qudag_err err = qudag_stream_write(r->k->d->node, r->stream, rest, &taken);
        if (err != QUDAG_OK) {
            return; /* stream_closed follows */
        }
        r->out_at += taken;
    }
    if (r->out_at == r->out_len) {
        r->out_at = r->out_len = 0;
        if (r->fin_after) {
            r->fin_after = false;
            qudag_stream_fin(r->k->d->node, r->stream); /* may end |r| */
        }
    }
}

static void say(struct transfer_in *r, const struct transfer_msg *m)
{
    uint8_t bytes[TRANSFER_MSG_MAX];
    size_t len = transfer_encode(bytes, m);
    size_t room = sizeof(r->out) - (m->type == TRANSFER_T_PROGRESS ? TRANSFER_MSG_MAX : 0);
    if (r->out_len + len > room) {
        return; /* the sender does not read: progress may be skipped, room is stored for the end */
    }
    memcpy(r->out + r->out_len, bytes, len);
    r->out_len += len;
    r->reported_ns = mono_ns();
    flush(r);
}

static void say_progress(struct transfer_in *r)
{
    r->reported = r->got;
    say(r, &(struct transfer_msg){.type = TRANSFER_T_PROGRESS, .n = r->got});
}

/* The last word; then the stream is left to the sender. */
static void say_last(struct transfer_in *r, const struct transfer_msg *m)
{
    r->state = SAID;
    r->fin_after = true;
    give_room_back(r);
    say(r, m);
}

static void refuse(struct transfer_in *r, enum transfer_reason reason)
{
    log_say(&r->k->d->log, QUDAG_LOG_INFO, "transfer.refused", "%s", transfer_reason_text(reason));
    say_last(r, &(struct transfer_msg){.type = TRANSFER_T_REFUSE, .reason = reason});
}

static void say_done(struct transfer_in *r)
{
    struct transfer_msg m = {.type = TRANSFER_T_DONE, .n = r->offer.size};
    memcpy(m.hash, r->offer.hash, TRANSFER_HASH_LEN);
    say_last(r, &m);
}

static void discard(const struct transfer_in *r)
{
    (void)unlink(r->path);
    (void)unlink(r->offer_path);
}

static enum transfer_reason reason_of(int err)
{
    if (err == ENOSPC || err == EDQUOT) {
        return TRANSFER_DISK_FULL;
    }
    return rules_lack(err) ? TRANSFER_BUSY : TRANSFER_TROUBLE; /* busy: it is tried again */
}

/* ------------------------------------------------------------------ the end of it */

static void on_stored(struct transfer_job *j)
{
    struct transfer_in *r = j->owner;
    struct transfers *k = r->k;
    if (j->err == 0) {
        int64_t now = now_ms();
        struct inbox_entry e = {.time_ms = now - now % INBOX_TIME_MS, .offer = r->offer};
        memcpy(e.offer.name, j->name, sizeof(e.offer.name));
        memcpy(e.to, r->dark, sizeof(e.to));
        j->err = inbox_add(&k->inbox, &e);
        (void)unlink(r->offer_path);
    }
    give_room_back(r);
    if (j->err != 0) {
        log_say(&k->d->log, QUDAG_LOG_WARN, "transfer.store", "%s: %s", r->path, strerror(j->err));
    } else {
        log_say(&k->d->log, QUDAG_LOG_INFO, "transfer.received", "%llu bytes",
                (unsigned long long)r->offer.size);
    }
    if (!r->streaming) {
        free_recv(r);
    } else if (j->err != 0) {
        refuse(r, reason_of(j->err));
    } else {
        say_done(r);
    }
}

static void store(struct transfer_in *r)
{
    struct transfers *k = r->k;
    uint8_t hash[TRANSFER_HASH_LEN];
    blake3_hasher_finalize(&r->job.hash, hash, sizeof(hash));
    if (!rules_delivery(r->got, hash, r->offer.size, r->offer.hash)) {
        discard(r);
        refuse(r, TRANSFER_HASH_DIFFERS);
        return;
    }
    r->state = STORING;
    if (r->offer.kind == TRANSFER_MESSAGE) {
        uint32_t random = 0; /* left so, the names of a day are numbered */
        (void)uv_random(NULL, NULL, &random, sizeof(random), 0, NULL);
        inbox_message_name(r->job.name, now_ms(), random);
    } else {
        name_harmless(r->job.name, r->offer.name);
    }
    memcpy(r->job.dir, k->inbox.dir, sizeof(r->job.dir));
    memcpy(r->job.path, r->path, sizeof(r->job.path));
    r->job.fd = r->fd;
    r->job.run = transfer_job_store;
    r->job.done = on_stored;
    if (!transfer_job_start(k->d, &r->job)) {
        refuse(r, TRANSFER_BUSY);
    }
}

/* ------------------------------------------------------------------ content */

static void accept_content(struct transfer_in *r)
{
    r->state = CONTENT;
    if (r->offer.kind == TRANSFER_FILE) {
        say(r, &(struct transfer_msg){.type = TRANSFER_T_ACCEPT, .n = r->got});
    }
    if (r->got == r->offer.size) {
        store(r);
    }
}

static void on_hashed(struct transfer_job *j)
{
    struct transfer_in *r = j->owner;
    if (!r->streaming) {
        free_recv(r);
        return;
    }
    if (j->err != 0) { /* what is there cannot be read: from the beginning */
        blake3_hasher_init(&j->hash);
        j->from = 0;
    }
    r->got = j->from;
    r->heard_ns = mono_ns();
    if (r->since_ns == 0) {
        r->since_ns = r->heard_ns;
        r->got_then = r->got;
    }
    if (ftruncate(r->fd, (off_t)r->got) != 0 || lseek(r->fd, 0, SEEK_END) < 0) {
        refuse(r, reason_of(errno));
        return;
    }
    accept_content(r);
}

static bool at_work(const void *ctx, const uint8_t id[TRANSFER_ID_LEN])
{
    const struct transfers *k = ctx;
    const struct transfer_in *r = k->recvs;
    while (r != NULL && (r->reserved == 0 || memcmp(r->offer.id, id, TRANSFER_ID_LEN) != 0)) {
        r = r->next;
    }
    return r != NULL;
}

/*
 * What others began and left may stay as long as all that is there keeps the limit; what is only announced takes
 * nothing from them.  Looked at once for each REPORT_BYTES, by so much the limit may be passed for each transfer.
 */
static void trim(struct transfer_in *r)
{
    const struct transfers *k = r->k;
    uint64_t there = k->inbox.bytes;
    for (const struct transfer_in *o = k->recvs; o != NULL; o = o->next) {
        there += o->reserved == 0 ? 0 : inbox_cost(o->got);
    }
    inbox_trim(&k->inbox, there < k->size_max ? k->size_max - there : 0, at_work, k);
    r->trimmed_at = r->got;
}

static void content(struct transfer_in *r, qudag_slice data)
{
    if (data.len > r->offer.size - r->got) {
        discard(r);
        refuse(r, TRANSFER_HASH_DIFFERS);
        return;
    }
    int err = fd_write_all(r->fd, data.base, data.len);
    if (err != 0) {
        enum transfer_reason why = reason_of(err);
        if (why != TRANSFER_BUSY) { /* then the sender goes on from there */
            discard(r);
        }
        refuse(r, why);
        return;
    }
    blake3_hasher_update(&r->job.hash, data.base, data.len);
    r->got += data.len;
    if (r->trimmed_at == 0 || r->got - r->trimmed_at >= REPORT_BYTES) {
        trim(r);
    }
    if (r->got == r->offer.size) {
        store(r);
    } else if (r->got - r->reported >= REPORT_BYTES) {
        say_progress(r);
    }
}

/* ------------------------------------------------------------------ the offer */

/* Another stream with the same transfer: the newer one goes on, at the same pace.  False: it cannot be now. */
static bool take_over(struct transfer_in *r)
{
    struct transfer_in *next;
    for (struct transfer_in *o = r->k->recvs; o != NULL; o = next) {
        next = o->next;
        if (o == r || o->state == OFFER || o->state == SAID ||
            memcmp(o->offer.id, r->offer.id, TRANSFER_ID_LEN) != 0) {
            continue;
        }
        if (o->job.busy) {
            return false;
        }
        r->since_ns = o->since_ns;
        r->got_then = o->got_then;
        r->pace = o->pace;
        leave(o);
    }
    return true;
}

/* What is there of the same content, or 0. */
static uint64_t already_there(const struct transfer_in *r, const uint8_t *offer, size_t offer_len)
{
    struct stat st;
    uint8_t *stored = NULL;
    size_t stored_len = 0;
    bool same = file_read(r->offer_path, TRANSFER_MSG_MAX, &stored, &stored_len) == 0 &&
                stored_len == offer_len && memcmp(stored, offer, offer_len) == 0;
    free(stored);
    return same && fstat(r->fd, &st) == 0 && (uint64_t)st.st_size <= r->offer.size
               ? (uint64_t)st.st_size
               : 0;
}

/* Only whoever could send is slow. */
static struct rules_pace pace_of(const struct transfer_in *r)
{
    return r->state == CONTENT ? r->pace : (struct rules_pace){0};
}

/*
 * Counts the transfers whose offer was accepted and that have not ended; silent streams and answered ones are none.
 * Without |slow|: those of them that need not give way.
 */
static void count_progress(const struct transfers *k, bool slow, struct rules_room *room)
{
    for (const struct transfer_in *r = k->recvs; r != NULL; r = r->next) {
        struct rules_pace p = pace_of(r);
        bool accepted = r->state == HASHING || r->state == CONTENT || r->state == STORING;
        if (accepted && (slow || !rules_pace_slow(&p))) {
            room->transfers++;
            room->reserved += r->reserved;
        }
    }
}

/* The answer to the offer or question of |r| if all went on (|slow|), or if the slow ones gave way. */
static enum transfer_reason check_offer(const struct transfer_in *r, bool slow)
{
    static const enum transfer_reason reason[] = {
        [RULES_OFFER_OK] = TRANSFER_OK,
        [RULES_OFFER_TOO_LARGE] = TRANSFER_TOO_LARGE,
        [RULES_OFFER_INBOX_FULL] = TRANSFER_INBOX_FULL,
        [RULES_OFFER_BUSY] = TRANSFER_BUSY,
        [RULES_OFFER_CLOSED] = TRANSFER_CLOSED,
    };
    const struct transfers *k = r->k;
    struct rules_room room = {
        .file_max = k->file_max,
        .inbox_max = k->size_max,
        .stored = k->inbox.bytes,
        .transfers = 1,
        .transfers_max = TRANSFER_RECVS_MAX,
    };
    count_progress(k, slow, &room);
    uint64_t most = r->offer.kind == TRANSFER_MESSAGE ? TRANSFER_MESSAGE_MAX : UINT64_MAX;
    return reason[rules_offer(r->offer.size, inbox_cost(r->offer.size), most, &room)];
}

/* The slowest transfer is reset: what came of it stays, and its sender may offer it again.  False: none is slow. */
static bool slowest_gives_way(struct transfers *k)
{
    struct transfer_in *at[2 * TRANSFER_RECVS_MAX + 2], *r = k->recvs;
    struct rules_pace pace[2 * TRANSFER_RECVS_MAX + 2];
    size_t n = 0;
    for (; r != NULL && n < sizeof(at) / sizeof(at[0]); r = r->next) {
        at[n] = r;
        pace[n++] = pace_of(r);
    }
    size_t first = rules_gives_way(pace, n);
    if (first < n) {
        log_say(&k->d->log, QUDAG_LOG_INFO, "transfer.slow", "%llu bytes in %d s: gave way",
                (unsigned long long)pace[first].came, RULES_PACE_S);
        leave(at[first]);
    }
    return first < n;
}

/* Nobody gives way for an offer that is not accepted then. */
static enum transfer_reason make_room(struct transfer_in *r)
{
    enum transfer_reason why = check_offer(r, false);
    while (why == TRANSFER_OK && check_offer(r, true) != TRANSFER_OK) {
        why = slowest_gives_way(r->k) ? TRANSFER_OK : TRANSFER_BUSY;
    }
    return why;
}

static void on_offer(struct transfer_in *r)
{
    struct transfers *k = r->k;
    if (inbox_find(&k->inbox, &r->offer) != NULL) {
        say_done(r); /* our done message was lost */
        return;
    }
    enum transfer_reason why = take_over(r) ? make_room(r) : TRANSFER_BUSY;
    if (why == TRANSFER_OK && !inbox_partial(&k->inbox, &r->offer, r->path, r->offer_path)) {
        why = TRANSFER_TROUBLE;
    }
    if (why != TRANSFER_OK) {
        refuse(r, why);
        return;
    }
    r->reserved = inbox_cost(r->offer.size);
    k->inbox.reserved += r->reserved;
    inbox_trim(&k->inbox, UINT64_MAX, at_work, k); /* by number only */
    r->fd = open(r->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    uint8_t bytes[TRANSFER_MSG_MAX];
    struct transfer_msg m = {.type = TRANSFER_T_OFFER, .offer = r->offer};
    size_t len = transfer_encode(bytes, &m);
    uint64_t have = r->fd < 0 ? 0 : already_there(r, bytes, len);
    int err = r->fd < 0 ? errno : file_write_atomic(r->offer_path, bytes, len, 0600);
    if (err != 0) {
        (void)unlink(r->path);
        refuse(r, reason_of(err));
        return;
    }
    blake3_hasher_init(&r->job.hash);
    r->job.owner = r;
    r->job.fd = r->fd;
    r->job.from = 0;
    r->job.to = have;
    r->job.run = transfer_job_hash;
    r->job.done = on_hashed;
    if (have > 0 && r->offer.kind == TRANSFER_FILE) {
        r->state = HASHING;
        if (!transfer_job_start(k->d, &r->job)) {
            refuse(r, TRANSFER_BUSY);
        }
        return;
    }
    on_hashed(&r->job);
}

/* Is there room for that much?  Nothing is reserved: the offer is checked again. */
static void on_ask(struct transfer_in *r)
{
    enum transfer_reason why = check_offer(r, false);
    if (why == TRANSFER_OK) {
        say_last(r, &(struct transfer_msg){.type = TRANSFER_T_ACCEPT});
    } else {
        refuse(r, why);
    }
}

static bool alive(const struct transfers *k, const struct transfer_in *r)
{
    const struct transfer_in *at = k->recvs;
    while (at != NULL && at != r) {
        at = at->next;
    }
    return at != NULL;
}

/* Bytes of the offer that |data| completes; 0: more are needed. */
static size_t offer_bytes(struct transfer_in *r, qudag_slice data)
{
    size_t before = r->in_len, room = sizeof(r->in) - before;
    size_t n = data.len < room ? data.len : room;
    struct transfer_msg m;
    memcpy(r->in + before, data.base, n);
    r->in_len += n;
    size_t used = transfer_decode(&m, r->in, r->in_len);
    if (used == 0) {
        return 0;
    }
    bool asks = used != SIZE_MAX && m.type == TRANSFER_T_ASK;
    if (used == SIZE_MAX || (m.type != TRANSFER_T_OFFER && !asks)) {
        refuse(r, TRANSFER_BAD_OFFER);
        return 0;
    }
    r->offer = m.offer;
    transfer_scope(&r->offer, r->dark);
    if (asks) {
        on_ask(r);
    } else {
        on_offer(r);
    }
    return used - before;
}

/* ------------------------------------------------------------------ streams */

static struct transfer_in *by_stream(struct transfers *k, qudag_stream stream)
{
    struct transfer_in *r = k == NULL ? NULL : k->recvs;
    while (r != NULL && (!r->streaming || r->stream.id != stream.id)) {
        r = r->next;
    }
    return r;
}

/* The oldest stream without a whole offer, or with its last answer, makes room: senders offer and end at once. */
static void leave_silent(struct transfers *k)
{
    struct transfer_in *oldest = NULL;
    for (struct transfer_in *r = k->recvs; r != NULL; r = r->next) {
        bool idle = r->state == OFFER || r->state == SAID;
        oldest = idle ? r : oldest; /* the newest comes first in the list */
    }
    if (oldest != NULL) {
        leave(oldest);
    }
}

void transfer_in_new(struct transfers *k, qudag_stream stream, const char *dark)
{
    if (k->n_recvs > 2 * TRANSFER_RECVS_MAX) {
        leave_silent(k);
    }
    struct transfer_in *r = k->n_recvs > 2 * TRANSFER_RECVS_MAX ? NULL : calloc(1, sizeof(*r));
    if (r == NULL) {
        qudag_stream_reset(k->d->node, stream, QUDAG_ELIMIT);
        return;
    }
    r->k = k;
    r->stream = stream;
    r->streaming = true;
    r->fd = -1;
    r->heard_ns = r->reported_ns = mono_ns();
    (void)snprintf(r->dark, sizeof(r->dark), "%s", dark == NULL ? "" : dark);
    r->next = k->recvs;
    k->recvs = r;
    k->n_recvs++;
}

bool transfer_in_data(struct transfers *k, qudag_stream stream, qudag_slice data, bool fin)
{
    struct transfer_in *r = by_stream(k, stream);
    if (r == NULL) {
        return false;
    }
    if (r->state != SAID) { /* then nothing is left to say */
        r->heard_ns = mono_ns();
    }
    size_t len = data.len;
    if (r->state == OFFER && data.len > 0) {
        size_t used = offer_bytes(r, data);
        if (used == 0 || !alive(k, r)) {
            data.len = 0;
        } else {
            data = (qudag_slice){data.base + used, data.len - used};
        }
    }
    if (data.len > 0 && r->state == CONTENT) {
        content(r, data);
    } else if (data.len > 0 && r->state == HASHING) {
        leave(r); /* content that was not asked for */
    }
    if (len > 0) {
        qudag_stream_consume(k->d->node, stream, len);
    }
    r = fin ? by_stream(k, stream) : NULL;
    if (r != NULL && (r->state == OFFER || r->state == CONTENT || r->state == HASHING)) {
        leave(r); /* cut short; what is there is stored for the next stream */
    }
    return true;
}

bool transfer_in_flush_stream(struct transfers *k, qudag_stream stream)
{
    struct transfer_in *r = by_stream(k, stream);
    if (r != NULL) {
        flush(r);
    }
    return r != NULL;
}

bool transfer_in_closed(struct transfers *k, qudag_stream stream)
{
    struct transfer_in *r = by_stream(k, stream);
    if (r != NULL) {
        r->streaming = false;
        leave(r);
    }
    return r != NULL;
}

static void measure_pace(struct transfer_in *r, uint64_t now_ns)
{
    if (r->state != CONTENT || now_ns < r->since_ns + RULES_PACE_S * NS_PER_S) {
        return;
    }
    r->pace.measured = true;
    r->pace.due = rules_pace(r->offer.size - r->got_then);
    r->pace.came = r->got > r->got_then ? r->got - r->got_then : 0;
    r->since_ns = now_ns;
    r->got_then = r->got;
}

void transfer_in_tick(struct transfers *k, uint64_t now_ns)
{
    if (now_ns - k->forgot_ns > FORGET_NS) {
        k->forgot_ns = now_ns;
        inbox_forget(&k->inbox, now_ms());
    }
    struct transfer_in *next;
    for (struct transfer_in *r = k->recvs; r != NULL; r = next) {
        next = r->next;
        if (!r->streaming) {
            continue;
        }
        if (!r->job.busy && now_ns - r->heard_ns > SILENCE_S * NS_PER_S) {
            leave(r);
            continue;
        }
        measure_pace(r, now_ns);
        bool news = r->job.busy || (r->state == CONTENT && r->got != r->reported);
        if (news && now_ns - r->reported_ns > REPORT_NS) {
            say_progress(r);
        } else {
            flush(r);
        }
    }
}

void transfer_in_free_all(struct transfers *k)
{
    while (k->recvs != NULL) {
        free_recv(k->recvs);
    }
}
