/*
 * receive.c - one transfer in.
 *
 *   OFFER ─▶ HASHING (what is there already) ─▶ CONTENT ─▶ STORING ─▶ SAID
 *     ├──────────── asked for room only ──────────────────────────────▶ SAID
 *     └──────────── a message ───────────────────▲            refuse: ─▶ SAID
 *
 * Nothing a sender says is believed: names are made harmless, sizes checked before the first byte,
 * the hash computed here.
 */
#include "app/receive_int.h"

#include "app/delivery.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORGET_NS (3600 * NS_PER_S) /* how often ids that are due are looked for */
#define SILENCE_S 30                /* of a sender */
#define REPORT_BYTES (1u << 20)     /* progress is reported at least this often */
#define REPORT_NS (NS_PER_S / 2)

/* Nothing more will be written: its room is others'. */
static void give_room_back(struct receive_in *r)
{
    r->k->inbox.reserved -= r->reserved;
    r->reserved = 0;
    if (!r->job->busy) {
        transfer_job_close(r->job);
    }
}

static void free_recv(struct receive_in *r)
{
    struct receives *k = r->k;
    for (struct receive_in **at = &k->recvs; *at != NULL; at = &(*at)->next) {
        if (*at == r) {
            *at = r->next;
            k->n_recvs--;
            break;
        }
    }
    give_room_back(r);
    transfer_job_drop(r->job);
    mem_free(api_mem(k->node), r);
}

/* Gone, as soon as no thread works for it. */
static void leave(struct receive_in *r)
{
    if (r->streaming) {
        r->streaming = false;
        qudag_stream_reset(r->k->node, r->stream, QUDAG_ECANCELED);
    }
    if (!r->job->busy) {
        free_recv(r);
    } else if (r->state == HASHING) {
        atomic_store(&r->job->stop, true);
    }
}

static void flush(struct receive_in *r)
{
    if (!r->streaming) {
        return;
    }
    size_t taken = 0;
    qudag_slice rest = {r->out + r->out_at, r->out_len - r->out_at};
    if (rest.len > 0) {
        qudag_err err = qudag_stream_write(r->k->node, r->stream, rest, &taken);
        if (err != QUDAG_OK) {
            return; /* stream_closed follows */
        }
        r->out_at += taken;
    }
    if (r->out_at == r->out_len) {
        r->out_at = r->out_len = 0;
        if (r->fin_after) {
            r->fin_after = false;
            qudag_stream_fin(r->k->node, r->stream); /* may end |r| */
        }
    }
}

static void say(struct receive_in *r, const struct transfer_msg *m)
{
    uint8_t bytes[TRANSFER_MSG_MAX];
    size_t len = transfer_encode(bytes, m);
    size_t room = sizeof(r->out) - (m->type == TRANSFER_T_PROGRESS ? TRANSFER_MSG_MAX : 0);
    if (r->out_len + len > room) {
        return; /* the sender does not read: progress may be skipped, room is stored for the end */
    }
    memcpy(r->out + r->out_len, bytes, len);
    r->out_len += len;
    r->reported_ns = api_now();
    flush(r);
}

static void say_progress(struct receive_in *r)
{
    r->reported = r->got;
    say(r, &(struct transfer_msg){.type = TRANSFER_T_PROGRESS, .n = r->got});
}

/* The last word; then the stream is left to the sender. */
static void say_last(struct receive_in *r, const struct transfer_msg *m)
{
    r->state = SAID;
    r->fin_after = true;
    give_room_back(r);
    say(r, m);
}

static void refuse(struct receive_in *r, enum transfer_reason reason)
{
    log_event(api_logger(r->k->node), LOG_INFO, "transfer.refused",
              LOG_STR("reason", transfer_reason_text(reason)));
    say_last(r, &(struct transfer_msg){.type = TRANSFER_T_REFUSE, .reason = reason});
}

static void say_done(struct receive_in *r)
{
    struct transfer_msg m = {.type = TRANSFER_T_DONE, .n = r->offer.size};
    memcpy(m.hash, r->offer.hash, TRANSFER_HASH_LEN);
    say_last(r, &m);
}

static void discard(const struct receive_in *r)
{
    (void)unlink(r->job->path);
    (void)unlink(r->job->offer_path);
}

static enum transfer_reason reason_of(int err)
{
    if (err == ENOSPC || err == EDQUOT) {
        return TRANSFER_DISK_FULL;
    }
    return delivery_lack(err) ? TRANSFER_BUSY : TRANSFER_TROUBLE; /* busy: it is tried again */
}

/* ------------------------------------------------------------------ the end of it */

/* It lies in the inbox: listed, and the program hears of it. */
static int enter(struct receive_in *r)
{
    struct receives *k = r->k;
    const struct inbox_entry *e = &r->job->entry;
    qudag_inbox_item item = QUDAG_INIT(qudag_inbox_item);

    int err = inbox_add(&k->inbox, e);
    (void)unlink(r->job->offer_path);
    if (err == 0 && k->arrived != NULL) {
        receive_item(&item, e);
        k->arrived(k->node, &item, k->user);
    }
    return err;
}

static void on_stored(struct transfer_job *j)
{
    struct receive_in *r = j->owner;
    struct receives *k = r->k;

    if (j->err == 0) {
        j->err = enter(r);
    }
    give_room_back(r);
    if (j->err != 0) {
        log_event(api_logger(k->node), LOG_WARN, "transfer.store",
                  LOG_STR("error", strerror(j->err)));
    } else {
        log_event(api_logger(k->node), LOG_INFO, "transfer.received",
                  LOG_NUM("bytes", r->offer.size));
    }
    if (!r->streaming) {
        free_recv(r);
    } else if (j->err != 0) {
        refuse(r, reason_of(j->err));
    } else {
        say_done(r);
    }
}

static void store(struct receive_in *r)
{
    struct receives *k = r->k;
    struct inbox_entry *e = &r->job->entry;
    uint8_t hash[TRANSFER_HASH_LEN];

    blake3_final(&r->job->hash, hash);
    if (!delivery_matches(r->got, hash, r->offer.size, r->offer.hash)) {
        discard(r);
        refuse(r, TRANSFER_HASH_DIFFERS);
        return;
    }
    r->state = STORING;
    int64_t now = api_wall_ms();
    *e = (struct inbox_entry){.time_ms = now - now % INBOX_TIME_MS, .offer = r->offer};
    if (r->offer.kind == TRANSFER_MESSAGE) {
        uint32_t random; /* left so, the names of a day are numbered */
        api_random(&random, sizeof(random));
        inbox_message_name(e->offer.name, now, random);
    } else {
        qudag_name_harmless(e->offer.name, r->offer.name);
    }
    memcpy(e->to, r->dark, sizeof(e->to));
    memcpy(r->job->dir, k->inbox.dir, sizeof(r->job->dir));
    if (!transfer_job_start(r->job, api_loop(k->node), transfer_job_store, on_stored)) {
        refuse(r, TRANSFER_BUSY);
    }
}

/* ------------------------------------------------------------------ content */

static void accept_content(struct receive_in *r)
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
    struct receive_in *r = j->owner;
    if (!r->streaming) {
        free_recv(r);
        return;
    }
    if (j->err != 0) { /* what is there cannot be read: from the beginning */
        blake3_init(&j->hash);
        j->from = 0;
    }
    r->got = j->from;
    r->heard_ns = api_now();
    if (r->since_ns == 0) {
        r->since_ns = r->heard_ns;
        r->got_then = r->got;
    }
    if (ftruncate(r->job->fd, (off_t)r->got) != 0 || lseek(r->job->fd, 0, SEEK_END) < 0) {
        refuse(r, reason_of(errno));
        return;
    }
    accept_content(r);
}

static bool at_work(const void *ctx, const uint8_t id[TRANSFER_ID_LEN])
{
    const struct receives *k = ctx;
    const struct receive_in *r = k->recvs;
    while (r != NULL && (r->reserved == 0 || memcmp(r->offer.id, id, TRANSFER_ID_LEN) != 0)) {
        r = r->next;
    }
    return r != NULL;
}

/*
 * What others began and left may stay as long as all that is there keeps the limit; what is only announced takes
 * nothing from them.  Looked at once for each REPORT_BYTES, by so much the limit may be passed for each transfer.
 */
static void trim(struct receive_in *r)
{
    const struct receives *k = r->k;
    uint64_t there = k->inbox.bytes;
    for (const struct receive_in *o = k->recvs; o != NULL; o = o->next) {
        there += o->reserved == 0 ? 0 : inbox_cost(o->got);
    }
    inbox_trim(&k->inbox, there < k->size_max ? k->size_max - there : 0, at_work, k);
    r->trimmed_at = r->got;
}

static void content(struct receive_in *r, qudag_slice data)
{
    if (data.len > r->offer.size - r->got) {
        discard(r);
        refuse(r, TRANSFER_HASH_DIFFERS);
        return;
    }
    int err = files_put(r->job->fd, data.base, data.len);
    if (err != 0) {
        enum transfer_reason why = reason_of(err);
        if (why != TRANSFER_BUSY) { /* then the sender goes on from there */
            discard(r);
        }
        refuse(r, why);
        return;
    }
    blake3_update(&r->job->hash, (struct slice){data.base, data.len});
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
static bool take_over(struct receive_in *r)
{
    struct receive_in *next;
    for (struct receive_in *o = r->k->recvs; o != NULL; o = next) {
        next = o->next;
        if (o == r || o->state == OFFER || o->state == SAID ||
            memcmp(o->offer.id, r->offer.id, TRANSFER_ID_LEN) != 0) {
            continue;
        }
        if (o->job->busy) {
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
static uint64_t already_there(const struct receive_in *r, const uint8_t *offer, size_t offer_len)
{
    struct stat st;
    struct mem *mem = api_mem(r->k->node);
    uint8_t *stored = NULL;
    size_t stored_len = 0;
    bool same = files_read(mem, r->job->offer_path, TRANSFER_MSG_MAX, &stored, &stored_len) == 0 &&
                stored_len == offer_len && memcmp(stored, offer, offer_len) == 0;
    mem_free(mem, stored);
    return same && fstat(r->job->fd, &st) == 0 && (uint64_t)st.st_size <= r->offer.size
               ? (uint64_t)st.st_size
               : 0;
}

/* Whether the |have| bytes that are there are hashed for this offer; if so it is noted. */
static bool may_hash(struct receive_in *r, uint64_t have)
{
    struct receive_hashed *h = &r->k->hashed[0];
    uint64_t now = api_now();

    if (have < DELIVERY_HASH_BYTES) {
        return true;
    }
    for (size_t ix = 0; ix < INBOX_PARTIALS_MAX; ix++) {
        struct receive_hashed *at = &r->k->hashed[ix];
        if (memcmp(at->id, r->offer.id, TRANSFER_ID_LEN) == 0) {
            h = at;
            break;
        }
        h = at->when_ns < h->when_ns ? at : h;
    }
    if (memcmp(h->id, r->offer.id, TRANSFER_ID_LEN) != 0) {
        *h = (struct receive_hashed){0};
        memcpy(h->id, r->offer.id, TRANSFER_ID_LEN);
    }
    bool news = have >= h->at + DELIVERY_HASH_BYTES || have < h->at;
    h->idle = news ? 0 : h->idle;
    if (!delivery_may_hash(h->idle, transfer_since(now, h->when_ns) / NS_PER_S)) {
        return false;
    }
    h->idle += !news;
    h->at = have;
    h->when_ns = now;
    return true;
}

/* Only whoever could send is slow. */
static struct delivery_pace pace_of(const struct receive_in *r)
{
    return r->state == CONTENT ? r->pace : (struct delivery_pace){0};
}

/*
 * Counts the transfers whose offer was accepted and that have not ended; silent streams and answered ones are none.
 * Without |slow|: those of them that need not give way.
 */
static void count_progress(const struct receives *k, bool slow, struct delivery_room *room)
{
    for (const struct receive_in *r = k->recvs; r != NULL; r = r->next) {
        struct delivery_pace p = pace_of(r);
        bool accepted = r->state == HASHING || r->state == CONTENT || r->state == STORING;
        if (accepted && (slow || !delivery_pace_slow(&p))) {
            room->transfers++;
            room->reserved += r->reserved;
        }
    }
}

/* The answer to the offer or question of |r| if all went on (|slow|), or if the slow ones gave way. */
static enum transfer_reason check_offer(const struct receive_in *r, bool slow)
{
    static const enum transfer_reason reason[] = {
        [DELIVERY_OFFER_OK] = TRANSFER_OK,
        [DELIVERY_OFFER_TOO_LARGE] = TRANSFER_TOO_LARGE,
        [DELIVERY_OFFER_INBOX_FULL] = TRANSFER_INBOX_FULL,
        [DELIVERY_OFFER_BUSY] = TRANSFER_BUSY,
        [DELIVERY_OFFER_CLOSED] = TRANSFER_CLOSED,
    };
    const struct receives *k = r->k;
    struct delivery_room room = {
        .file_max = k->file_max,
        .inbox_max = k->size_max,
        .stored = k->inbox.bytes,
        .transfers = 1,
        .transfers_max = TRANSFER_RECVS_MAX,
    };
    count_progress(k, slow, &room);
    uint64_t most = r->offer.kind == TRANSFER_MESSAGE ? TRANSFER_MESSAGE_MAX : UINT64_MAX;
    return reason[delivery_offer(r->offer.size, inbox_cost(r->offer.size), most, &room)];
}

/* The slowest transfer is reset: what came of it stays, and its sender may offer it again.  False: none is slow. */
static bool slowest_gives_way(struct receives *k)
{
    struct receive_in *at[2 * TRANSFER_RECVS_MAX + 2], *r = k->recvs;
    struct delivery_pace pace[2 * TRANSFER_RECVS_MAX + 2];
    size_t n = 0;
    for (; r != NULL && n < sizeof(at) / sizeof(at[0]); r = r->next) {
        at[n] = r;
        pace[n++] = pace_of(r);
    }
    size_t first = delivery_gives_way(pace, n);
    if (first < n) {
        log_event(api_logger(k->node), LOG_INFO, "transfer.slow",
                  LOG_NUM("bytes", pace[first].came), LOG_NUM("seconds", DELIVERY_PACE_S));
        leave(at[first]);
    }
    return first < n;
}

/* Nobody gives way for an offer that is not accepted then. */
static enum transfer_reason make_room(struct receive_in *r)
{
    enum transfer_reason why = check_offer(r, false);
    while (why == TRANSFER_OK && check_offer(r, true) != TRANSFER_OK) {
        why = slowest_gives_way(r->k) ? TRANSFER_OK : TRANSFER_BUSY;
    }
    return why;
}

static void on_offer(struct receive_in *r)
{
    struct receives *k = r->k;
    if (inbox_find(&k->inbox, &r->offer) != NULL) {
        say_done(r); /* our done message was lost */
        return;
    }
    enum transfer_reason why = take_over(r) ? make_room(r) : TRANSFER_BUSY;
    if (why == TRANSFER_OK &&
        !inbox_partial(&k->inbox, &r->offer, r->job->path, r->job->offer_path)) {
        why = TRANSFER_TROUBLE;
    }
    if (why != TRANSFER_OK) {
        refuse(r, why);
        return;
    }
    r->reserved = inbox_cost(r->offer.size);
    k->inbox.reserved += r->reserved;
    inbox_trim(&k->inbox, UINT64_MAX, at_work, k); /* by number only */
    r->job->fd = open(r->job->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    uint8_t bytes[TRANSFER_MSG_MAX];
    struct transfer_msg m = {.type = TRANSFER_T_OFFER, .offer = r->offer};
    size_t len = transfer_encode(bytes, &m);
    uint64_t have = r->job->fd < 0 ? 0 : already_there(r, bytes, len);
    /* Not synced: the sender would choose when the node waits for the disk.  A torn one is another offer's. */
    int err = r->job->fd < 0 ? errno : files_write_loose(r->job->offer_path, bytes, len);
    if (err != 0) {
        (void)unlink(r->job->path);
        refuse(r, reason_of(err));
        return;
    }
    if (r->offer.kind == TRANSFER_FILE && !may_hash(r, have)) {
        refuse(r, TRANSFER_BUSY); /* what is there stays */
        return;
    }
    r->job->to = have;
    if (have > 0 && r->offer.kind == TRANSFER_FILE) {
        r->state = HASHING;
        if (!transfer_job_start(r->job, api_loop(k->node), transfer_job_hash, on_hashed)) {
            refuse(r, TRANSFER_BUSY);
        }
        return;
    }
    on_hashed(r->job);
}

/* Is there room for that much?  Nothing is reserved: the offer is checked again. */
static void on_ask(struct receive_in *r)
{
    enum transfer_reason why = check_offer(r, false);
    if (why == TRANSFER_OK) {
        say_last(r, &(struct transfer_msg){.type = TRANSFER_T_ACCEPT});
    } else {
        refuse(r, why);
    }
}

static bool alive(const struct receives *k, const struct receive_in *r)
{
    const struct receive_in *at = k->recvs;
    while (at != NULL && at != r) {
        at = at->next;
    }
    return at != NULL;
}

/* Bytes of the offer that |data| completes; 0: more are needed. */
static size_t offer_bytes(struct receive_in *r, qudag_slice data)
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

static struct receive_in *by_stream(const struct receives *k, qudag_stream stream)
{
    struct receive_in *r = k->recvs;
    while (r != NULL && (!r->streaming || r->stream.id != stream.id)) {
        r = r->next;
    }
    return r;
}

/* The oldest stream without a whole offer, or with its last answer, makes room: senders offer and end at once. */
static void leave_silent(struct receives *k)
{
    struct receive_in *oldest = NULL;
    for (struct receive_in *r = k->recvs; r != NULL; r = r->next) {
        bool idle = r->state == OFFER || r->state == SAID;
        oldest = idle ? r : oldest; /* the newest comes first in the list */
    }
    if (oldest != NULL) {
        leave(oldest);
    }
}

/* What stands for the address of ours that others send to: their transfers are not |from|'s, nor the other way. */
static void put_sender(struct receive_in *r, const qudag_peer_id *from)
{
    char id[QUDAG_PEER_ID_TEXT_MAX];

    qudag_peer_id_text(from, id);
    (void)snprintf(r->dark, sizeof(r->dark), TRANSFER_PEER_PREFIX "%s", id);
}

void receive_refuse_peer(struct receives *k, const qudag_peer_id *peer)
{
    struct receive_in who, *next;

    put_sender(&who, peer);
    for (struct receive_in *r = k->recvs; r != NULL; r = next) {
        next = r->next;
        if (r->streaming && r->state != SAID && strcmp(r->dark, who.dark) == 0) {
            qudag_stream_reset(k->node, r->stream, QUDAG_EREFUSED);
            r->streaming = false;
            leave(r);
        }
    }
}

void receive_stream_in(qudag_node *n, qudag_stream stream, const qudag_peer_id *from,
                       const char *dark, const char *proto, void *user)
{
    struct receives *k = user;
    bool peers = delivery_peer_stream(from != NULL, from != NULL && api_allows(n, from), dark,
                                      proto, TRANSFER_PEER_PROTO);

    if (!peers && !delivery_stream(from != NULL, dark, proto, TRANSFER_PROTO)) {
        qudag_stream_reset(n, stream, QUDAG_EREFUSED);
        return;
    }
    if (k->n_recvs > 2 * TRANSFER_RECVS_MAX) {
        leave_silent(k);
    }
    bool room = k->n_recvs <= 2 * TRANSFER_RECVS_MAX;
    struct receive_in *r = room ? mem_alloc(api_mem(n), sizeof(*r)) : NULL;
    struct transfer_job *job = r != NULL ? transfer_job_new(r) : NULL;
    if (job == NULL) {
        mem_free(api_mem(n), r);
        qudag_stream_reset(n, stream, QUDAG_ELIMIT);
        return;
    }
    r->k = k;
    r->job = job;
    r->stream = stream;
    r->streaming = true;
    r->heard_ns = r->reported_ns = api_now();
    if (peers) {
        put_sender(r, from);
    } else {
        (void)snprintf(r->dark, sizeof(r->dark), "%s", dark);
    }
    r->next = k->recvs;
    k->recvs = r;
    k->n_recvs++;
    receive_retime(k);
}

void receive_stream_data(qudag_node *n, qudag_stream stream, qudag_slice data, bool fin, void *user)
{
    struct receives *k = user;
    struct receive_in *r = by_stream(k, stream);

    if (r == NULL) {
        return;
    }
    if (r->state != SAID) { /* then nothing is left to say */
        r->heard_ns = api_now();
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
        qudag_stream_consume(n, stream, len);
    }
    r = fin ? by_stream(k, stream) : NULL;
    if (r != NULL && (r->state == OFFER || r->state == CONTENT || r->state == HASHING)) {
        leave(r); /* cut short; what is there is stored for the next stream */
    }
}

void receive_stream_writable(qudag_node *n, qudag_stream stream, void *user)
{
    struct receive_in *r = by_stream(user, stream);
    (void)n;

    if (r != NULL) {
        flush(r);
    }
}

void receive_stream_closed(qudag_node *n, qudag_stream stream, qudag_err why, void *user)
{
    struct receive_in *r = by_stream(user, stream);
    (void)n;
    (void)why;

    if (r != NULL) {
        r->streaming = false;
        leave(r);
    }
}

static void measure_pace(struct receive_in *r, uint64_t now_ns)
{
    if (r->state != CONTENT || now_ns < r->since_ns + DELIVERY_PACE_S * NS_PER_S) {
        return;
    }
    r->pace.measured = true;
    r->pace.due = delivery_pace(r->offer.size - r->got_then);
    r->pace.came = r->got > r->got_then ? r->got - r->got_then : 0;
    r->since_ns = now_ns;
    r->got_then = r->got;
}

void receive_tick(struct receives *k, uint64_t now_ns)
{
    if (now_ns - k->forgot_ns > FORGET_NS) {
        k->forgot_ns = now_ns;
        inbox_forget(&k->inbox, api_wall_ms());
    }
    inbox_tidy(&k->inbox);
    struct receive_in *next;
    for (struct receive_in *r = k->recvs; r != NULL; r = next) {
        next = r->next;
        if (!r->streaming) {
            continue;
        }
        if (!r->job->busy && transfer_since(now_ns, r->heard_ns) > SILENCE_S * NS_PER_S) {
            leave(r);
            continue;
        }
        measure_pace(r, now_ns);
        bool news = r->job->busy || (r->state == CONTENT && r->got != r->reported);
        if (news && transfer_since(now_ns, r->reported_ns) > REPORT_NS) {
            say_progress(r);
        } else {
            flush(r);
        }
    }
}

void receive_free_all(struct receives *k)
{
    while (k->recvs != NULL) {
        free_recv(k->recvs);
    }
}
