/* peer_streams.c - see peer_streams.h. */
#include "peer_streams.h"

#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BLOCK 65536
#define HALF_BYTES 100000 /* after the other side's end; one before it */
#define STREAM_BYTES 64
#define SMALL_MAX 64

enum role {
    ECHO,
    SINK,
    COUNT,
    SOURCE,
    HALF,
    REFUSE,
    ASK_ECHO, /* one of many */
    ASK_SINK,
    ASK_COUNT,
    ASK_SOURCE,
    ASK_HALF,
    ASK_REFUSE,
    ASK_RESET, /* an echo stream that we reset after the first answer */
    ASK_OPEN,  /* an echo stream that stays */
};

static const char *const protocols[] = {"/interop/echo/1.0.0",  "/interop/sink/1.0.0",
                                        "/interop/count/1.0.0", "/interop/source/1.0.0",
                                        "/interop/half/1.0.0",  "/interop/refuse/1.0.0"};

/* One stream. */
struct job {
    enum role role;
    bool hashed, fin_after, fin_sent, ended;
    uint64_t asked;           /* bytes that the command named */
    uint64_t blocks, sent;    /* bytes of the block to send, after them |tail|; sent of both */
    uint64_t got;             /* bytes that came */
    struct sha256 in, out;    /* of what came, of what was sent */
    uint8_t small[SMALL_MAX]; /* the first, or with a hash the last, bytes that came */
    size_t small_n;
    uint8_t *tail;
    size_t tail_n, tail_cap;
};

static struct {
    uint8_t block[BLOCK];
    uint64_t resets, seen, took_us, number;
    uint32_t left; /* streams of the command that are under way */
    qudag_err err;
    bool command;
    enum role role;
    uint8_t sum[SHA256_LEN];
    qudag_stream kept;
    struct job *kept_job;
    struct timespec begin;
} all;

static void put_number(uint8_t out[8], uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(v >> (56 - 8 * i));
    }
}

static uint64_t get_number(const uint8_t in[8])
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++) {
        v = v << 8 | in[i];
    }
    return v;
}

static bool asks(const struct job *j)
{
    return j->role >= ASK_ECHO;
}

/* The stream's part of the command is over. */
static void done(qudag_err err)
{
    struct timespec now;

    if (all.left == 0) {
        return;
    }
    if (err != QUDAG_OK && all.err == QUDAG_OK) {
        all.err = err;
    }
    if (--all.left == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        all.took_us = (uint64_t)(now.tv_sec - all.begin.tv_sec) * 1000000 +
                      (uint64_t)(now.tv_nsec / 1000) - (uint64_t)(all.begin.tv_nsec / 1000);
    }
}

static bool tail_add(struct job *j, const uint8_t *p, size_t len)
{
    if (j->tail_n + len > j->tail_cap) {
        size_t cap = 2 * (j->tail_n + len);
        uint8_t *more = realloc(j->tail, cap);

        if (more == NULL) {
            return false;
        }
        j->tail = more;
        j->tail_cap = cap;
    }
    memcpy(j->tail + j->tail_n, p, len);
    j->tail_n += len;
    return true;
}

static void drop(qudag_node *n, qudag_stream s, struct job *j, qudag_err why)
{
    qudag_stream_reset(n, s, why);
    if (j == all.kept_job) {
        all.kept_job = NULL;
    }
    free(j->tail);
    free(j);
}

/* Writes what there is and fits: blocks first, then the tail, then the end. */
static void pump(qudag_node *n, qudag_stream s, struct job *j)
{
    size_t taken = 0;

    while (j->sent < j->blocks) {
        size_t at = j->sent % BLOCK, len = BLOCK - at;

        len = len < j->blocks - j->sent ? len : (size_t)(j->blocks - j->sent);
        if (qudag_stream_write(n, s, (qudag_slice){all.block + at, len}, &taken) != QUDAG_OK) {
            return;
        }
        if (j->hashed) {
            sha256_add(&j->out, all.block + at, taken);
        }
        j->sent += taken;
    }
    if (j->hashed && j->role == SOURCE && j->blocks > 0 && j->tail_n == 0) {
        uint8_t sum[SHA256_LEN];

        sha256_end(&j->out, sum);
        (void)tail_add(j, sum, sizeof sum);
        j->hashed = false;
    }
    while (j->tail_n > 0) {
        if (qudag_stream_write(n, s, (qudag_slice){j->tail, j->tail_n}, &taken) != QUDAG_OK) {
            return;
        }
        memmove(j->tail, j->tail + taken, j->tail_n - taken);
        j->tail_n -= taken;
        if (j->role == ECHO) { /* as much as went out may come in */
            qudag_stream_consume(n, s, taken);
        }
    }
    if (j->fin_after && !j->fin_sent) {
        j->fin_sent = true;
        qudag_stream_fin(n, s);
    }
}

static struct job *job_new(enum role role)
{
    struct job *j = calloc(1, sizeof *j);

    if (j != NULL) {
        j->role = role;
        sha256_init(&j->in);
        sha256_init(&j->out);
    }
    return j;
}

static void stream_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                      const char *proto, void *user)
{
    enum role role = ECHO;
    struct job *j;

    (void)from, (void)dark, (void)user;
    while (role < REFUSE && strcmp(proto, protocols[role]) != 0) {
        role++;
    }
    j = job_new(role);
    if (j == NULL || qudag_stream_set_user(n, s, j) != QUDAG_OK) {
        free(j);
        qudag_stream_reset(n, s, QUDAG_ENOMEM);
        return;
    }
    j->hashed = role == SINK || role == SOURCE;
}

/* What the server's side does with |data|; false: the stream is gone. */
static bool serve_data(qudag_node *n, qudag_stream s, struct job *j, qudag_slice data, bool fin)
{
    uint8_t number[8];

    switch (j->role) {
    case ECHO:
        (void)tail_add(j, data.base, data.len);
        j->fin_after = fin;
        pump(n, s, j);
        return true;
    case SOURCE:
        if (!j->fin_after && j->got >= 8) {
            j->blocks = get_number(j->small);
            j->fin_after = true;
            pump(n, s, j);
        }
        break;
    case REFUSE:
        if (data.len > 0) {
            drop(n, s, j, QUDAG_ERESET);
            return false;
        }
        break;
    case HALF:
        if (!j->fin_after && j->got > 0) {
            (void)tail_add(j, (const uint8_t *)"bye", 3);
            j->fin_after = true;
            pump(n, s, j);
        }
        if (fin) {
            all.seen = j->got;
        }
        break;
    default: /* SINK, COUNT */
        if (fin) {
            uint8_t sum[SHA256_LEN];

            put_number(number, j->got);
            sha256_end(&j->in, sum);
            (void)tail_add(j, number, sizeof number);
            (void)tail_add(j, sum, j->role == SINK ? sizeof sum : 0);
            j->fin_after = true;
            pump(n, s, j);
        }
    }
    qudag_stream_consume(n, s, data.len);
    return true;
}

/* Likewise the client's. */
static bool ask_data(qudag_node *n, qudag_stream s, struct job *j, qudag_slice data, bool fin)
{
    qudag_stream_consume(n, s, data.len);
    if (j->role == ASK_HALF && fin && j->got == 3 && memcmp(j->small, "bye", 3) == 0) {
        j->blocks = HALF_BYTES;
        j->fin_after = true;
        pump(n, s, j);
    }
    if (j->role != ASK_ECHO && j->role != ASK_RESET && j->role != ASK_OPEN) {
        return true;
    }
    if (j->got < STREAM_BYTES || j->fin_after) {
        return true;
    }
    /* the answer is whole */
    uint64_t sum = 0;
    for (size_t i = 0; i < STREAM_BYTES; i++) {
        sum += j->small[i] == (uint8_t)(j->asked >> 8 * (i & 1));
    }
    qudag_err err = sum == STREAM_BYTES && j->got == STREAM_BYTES ? QUDAG_OK : QUDAG_EMALFORMED;
    j->got = 0;
    j->small_n = 0;
    if (j->role == ASK_ECHO) {
        j->fin_after = true;
        j->asked = err == QUDAG_OK ? 1 : 0;
        pump(n, s, j);
        return true;
    }
    done(err);
    if (j->role == ASK_RESET) {
        drop(n, s, j, QUDAG_ERESET);
        return false;
    }
    return true;
}

/* The first SMALL_MAX bytes, those behind the data of a source, and the hash of the rest. */
static void note(struct job *j, qudag_slice data)
{
    for (size_t used = 0; used < data.len;) {
        size_t len = data.len - used;

        if (j->role == ASK_SOURCE && j->got < j->asked) {
            len = len < j->asked - j->got ? len : (size_t)(j->asked - j->got);
            sha256_add(&j->in, data.base + used, len);
        } else {
            size_t room = SMALL_MAX - j->small_n;

            memcpy(j->small + j->small_n, data.base + used, len < room ? len : room);
            j->small_n += len < room ? len : room;
            if (j->role == SINK) {
                sha256_add(&j->in, data.base + used, len);
            }
        }
        used += len;
        j->got += len;
    }
}

static void stream_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct job *j = qudag_stream_user(n, s);

    (void)user;
    if (j == NULL) {
        return;
    }
    note(j, data);
    j->ended = fin;
    (void)(asks(j) ? ask_data(n, s, j, data, fin) : serve_data(n, s, j, data, fin));
}

static void stream_ready(qudag_node *n, qudag_stream s, void *user)
{
    struct job *j = qudag_stream_user(n, s);

    (void)user;
    if (j != NULL) {
        pump(n, s, j);
    }
}

/* What a stream of the command came to, now that it is closed. */
static qudag_err verdict(struct job *j, qudag_err why)
{
    uint8_t number[8], sum[SHA256_LEN];

    if (j->role == ASK_REFUSE) {
        return why != QUDAG_OK ? QUDAG_OK : QUDAG_EPROTO;
    }
    if (why != QUDAG_OK) {
        return why;
    }
    put_number(number, j->asked);
    switch (j->role) {
    case ASK_ECHO:
        return j->asked == 1 && j->got == 0 ? QUDAG_OK : QUDAG_EMALFORMED;
    case ASK_SINK:
        sha256_end(&j->out, all.sum);
        return j->got == 8 + SHA256_LEN && memcmp(j->small, number, 8) == 0 &&
                       memcmp(j->small + 8, all.sum, SHA256_LEN) == 0
                   ? QUDAG_OK
                   : QUDAG_EMALFORMED;
    case ASK_COUNT:
        return j->got == 8 && memcmp(j->small, number, 8) == 0 ? QUDAG_OK : QUDAG_EMALFORMED;
    case ASK_SOURCE:
        sha256_end(&j->in, sum);
        memcpy(all.sum, sum, sizeof sum);
        return j->got == j->asked + SHA256_LEN && memcmp(j->small, sum, SHA256_LEN) == 0
                   ? QUDAG_OK
                   : QUDAG_EMALFORMED;
    default: /* ASK_HALF */
        return j->sent == HALF_BYTES ? QUDAG_OK : QUDAG_EPROTO;
    }
}

static void stream_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct job *j = qudag_stream_user(n, s);

    (void)user;
    if (j == NULL) {
        return;
    }
    if (j->role == ECHO && why != QUDAG_OK) {
        all.resets++;
    }
    if (j == all.kept_job) {
        all.kept_job = NULL;
        done(why != QUDAG_OK ? why : QUDAG_ECLOSED);
    } else if (asks(j)) {
        done(verdict(j, why));
    }
    free(j->tail);
    free(j);
}

void streams_callbacks(qudag_callbacks *cb)
{
    cb->stream_in = stream_in;
    cb->stream_data = stream_data;
    cb->stream_opened = stream_ready;
    cb->stream_writable = stream_ready;
    cb->stream_closed = stream_closed;
}

qudag_err streams_serve(qudag_node *n)
{
    uint32_t x = 1;
    qudag_err err = QUDAG_OK;

    for (size_t i = 0; i < BLOCK; i++) {
        x = x * 1664525 + 1013904223;
        all.block[i] = (uint8_t)(x >> 24);
    }
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0] && err == QUDAG_OK; i++) {
        err = qudag_protocol_serve(n, protocols[i]);
    }
    return err;
}

/* What a stream of the command says first. */
static void first_words(struct job *j)
{
    uint8_t text[STREAM_BYTES] = {0};

    switch (j->role) {
    case ASK_SINK:
    case ASK_COUNT:
        j->blocks = j->asked;
        j->fin_after = true;
        j->hashed = j->role == ASK_SINK;
        break;
    case ASK_SOURCE:
        put_number(text, j->asked);
        (void)tail_add(j, text, 8);
        j->fin_after = true;
        break;
    case ASK_REFUSE:
    case ASK_HALF:
        (void)tail_add(j, (const uint8_t *)"x", 1);
        break;
    default:
        for (size_t i = 0; i < STREAM_BYTES; i++) {
            text[i] = (uint8_t)(j->asked >> 8 * (i & 1));
        }
        (void)tail_add(j, text, sizeof text);
    }
}

static qudag_err begin(qudag_node *n, const qudag_peer_id *id, enum role role, uint64_t asked)
{
    static const enum role served[] = {ECHO, SINK, COUNT, SOURCE, HALF, REFUSE, ECHO, ECHO};
    struct job *j = job_new(role);
    qudag_stream s;

    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = qudag_stream_open(n, id, protocols[served[role - ASK_ECHO]], &s);
    if (err == QUDAG_OK) {
        err = qudag_stream_set_user(n, s, j);
    }
    if (err != QUDAG_OK) {
        free(j);
        return err;
    }
    j->asked = asked;
    if (role == ASK_OPEN) {
        all.kept = s;
        all.kept_job = j;
    }
    first_words(j);
    pump(n, s, j);
    return QUDAG_OK;
}

static qudag_err use(qudag_node *n)
{
    if (all.kept_job == NULL) {
        return QUDAG_ENOTFOUND;
    }
    first_words(all.kept_job);
    pump(n, all.kept, all.kept_job);
    return QUDAG_OK;
}

qudag_err streams_command(qudag_node *n, const char *verb, const qudag_peer_id *id, uint64_t number)
{
    static const char *const verbs[] = {"streams", "send",   "pour",  "fetch",
                                        "half",    "refuse", "reset", "open"};
    qudag_err err = QUDAG_OK;
    uint32_t i = 0, many;

    while (i < 8 && strcmp(verb, verbs[i]) != 0) {
        i++;
    }
    if (i == 8 && strcmp(verb, "use") != 0) {
        return QUDAG_EUNSUPPORTED;
    }
    all.err = QUDAG_OK;
    all.command = true;
    all.number = number;
    clock_gettime(CLOCK_MONOTONIC, &all.begin);
    all.role = (enum role)(ASK_ECHO + i);
    all.left = many = all.role == ASK_ECHO ? (uint32_t)number : 1;
    if (i == 8) {
        err = use(n);
    }
    for (uint32_t k = 0; i < 8 && k < many && err == QUDAG_OK; k++) {
        err = begin(n, id, all.role, all.role == ASK_ECHO ? k : number);
    }
    if (err != QUDAG_OK) {
        all.left = 0;
    }
    return err;
}

bool streams_busy(void)
{
    return all.left > 0;
}

qudag_err streams_result(char *text)
{
    text[0] = '\0';
    if (all.role == ASK_SINK || all.role == ASK_SOURCE) {
        for (size_t i = 0; i < SHA256_LEN; i++) {
            snprintf(text + 2 * i, 3, "%02x", all.sum[i]);
        }
    } else if (all.role == ASK_COUNT) {
        snprintf(text, 128, "%llu", (unsigned long long)all.took_us);
    } else if (all.role == ASK_ECHO) {
        snprintf(text, 128, "%llu", (unsigned long long)all.number);
    }
    return all.err;
}

void streams_give_up(qudag_node *n)
{
    (void)n;
    all.left = 0;
    all.err = QUDAG_ETIMEOUT;
}

uint64_t streams_resets(void)
{
    return all.resets;
}

uint64_t streams_seen(void)
{
    return all.seen;
}
