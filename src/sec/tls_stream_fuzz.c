/*
 * TLS over a byte stream: any bytes to either side, before the handshake, in it and after it.
 *
 *   first byte & 1: to the client     & 2: the other side's first flight comes before
 *   & 4: the handshake is over        & 8: not the rest itself, but what a flight says changed by (offset, offset, xor)
 */
#include "base/assert.h"
#include "base/rng.h"
#include "crypto/init.h"
#include "sec/tls_stream.h"

#include <string.h>

#define NOW (1000 * NS_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct end {
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct identity id;
    struct sec *sec;
    struct tls_stream *t;
} end[2];

static void make(struct end *e, uint8_t seed)
{
    const uint8_t bytes[32] = {seed};
    qudag_err err;

    mem_init(&e->mem, NULL, 0);
    rng_stream_init(&e->stream, bytes);
    e->rng = rng_of_stream(&e->stream);
    err = identity_generate(&e->id, &e->rng);
    ASSERT(err == QUDAG_OK);
    const struct sec_config cfg = {.mem = &e->mem,
                                   .rng = &e->rng,
                                   .identity = &e->id,
                                   .pq = PQ_PREFER,
                                   .clock = {.base = 1800000000, .at = NOW}};
    err = sec_new(&e->sec, &cfg);
    ASSERT(err == QUDAG_OK);
}

static void begin(struct end *e, bool server)
{
    static const char *const protos[] = {"/yamux/1.0.0", "libp2p", NULL};
    const struct tls_stream_config cfg = {
        .mem = &e->mem, .sec = e->sec, .server = server, .protos = protos};
    qudag_err err = tls_stream_new(&e->t, &cfg, NOW);

    ASSERT(err == QUDAG_OK);
}

/* As an owner does; whatever comes, the promises of the header hold. */
static void feed(struct end *e, struct slice in)
{
    for (;;) {
        size_t used = 0;
        struct slice plain;
        enum tls_stream_state before = tls_stream_state(e->t);
        qudag_err err = tls_stream_receive(e->t, in, &used, &plain, NOW);
        enum tls_stream_state state = tls_stream_state(e->t);

        ASSERT((err != QUDAG_OK) == (state == TLS_STREAM_FAILED) && used <= in.len);
        ASSERT(state >= before && plain.len <= TLS_STREAM_PLAIN_MAX);
        if (err != QUDAG_OK) {
            const char *text = NULL;
            const struct peer_id *found;

            ASSERT(tls_stream_why(e->t, &text, &found) == err && text != NULL);
            return;
        }
        if (used > 0) {
            in = slice_rest(in, used);
        }
        if (plain.len == 0 && in.len == 0) {
            return;
        }
        ASSERT(plain.len > 0 || used > 0);
    }
}

static void move(struct end *from, struct end *to)
{
    for (struct slice s; (s = tls_stream_output(from->t)).len > 0;) {
        feed(to, s);
        tls_stream_output_sent(from->t, s.len);
    }
}

/* The output of |from|, changed as the input says. */
static size_t changed(uint8_t *dst, size_t cap, struct end *from, const uint8_t *data, size_t size)
{
    size_t len = 0;

    for (struct slice s; (s = tls_stream_output(from->t)).len > 0 && len < cap;) {
        size_t n = s.len < cap - len ? s.len : cap - len;

        memcpy(dst + len, s.base, n);
        tls_stream_output_sent(from->t, n);
        len += n;
    }
    for (size_t i = 0; len > 0 && i + 2 < size; i += 3) {
        dst[((size_t)data[i] << 8 | data[i + 1]) % len] ^= data[i + 2];
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t flight[32768];
    uint8_t mode = size == 0 ? 0 : data[0];
    struct end *to = &end[mode & 1], *from = &end[(mode & 1) ^ 1];

    if (end[0].sec == NULL) {
        if (crypto_init() != QUDAG_OK) {
            return 0;
        }
        make(&end[0], 1);
        make(&end[1], 2);
    }
    begin(&end[0], true);
    begin(&end[1], false);
    feed(&end[1], (struct slice){NULL, 0});
    if ((mode & 2) != 0) {
        move(&end[1], &end[0]);
    }
    if ((mode & 4) != 0) {
        move(&end[1], &end[0]);
        move(&end[0], &end[1]);
        move(&end[1], &end[0]);
    }
    if (size > 1 && (mode & 8) != 0) {
        feed(to, (struct slice){flight, changed(flight, sizeof flight, from, data + 1, size - 1)});
    } else if (size > 1) {
        feed(to, (struct slice){data + 1, size - 1});
    }
    for (int i = 0; i < 2; i++) {
        tls_stream_close(end[i].t);
        tls_stream_free(end[i].t);
    }
    return 0;
}
