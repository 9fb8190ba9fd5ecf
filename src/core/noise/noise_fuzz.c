/*
 * noise_fuzz.c - hostile bytes into a session in any state, and into the reader of payloads.
 *
 * First byte: suite, role, and whether the handshake was done before; the second the size of the pieces.
 */
#include "base/assert.h"
#include "core/noise/noise.h"
#include "core/noise/noise_payload.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct slice says = {(const uint8_t *)"payload", 7};

static struct noise *session(struct mem *mem, const struct rng *rng, bool initiator, bool hybrid)
{
    struct noise_config cfg = {.mem = mem, .rng = *rng, .suite = hybrid ? NOISE_XXHFS : NOISE_XX};
    struct noise *n;

    cfg.initiator = initiator;
    ASSERT(noise_new(&n, &cfg) == QUDAG_OK && noise_start(n, says) == QUDAG_OK);
    return n;
}

static void deliver(struct noise *from, struct noise *to)
{
    struct slice plain;
    size_t used;

    ASSERT(noise_receive(to, noise_output(from), &used, &plain) == QUDAG_OK);
    noise_output_sent(from, used);
}

static void shake(struct noise *a, struct noise *b)
{
    deliver(a, b);
    deliver(b, a);
    ASSERT(noise_verified(a) == QUDAG_OK);
    deliver(a, b);
    ASSERT(noise_verified(b) == QUDAG_OK && noise_state(a) == NOISE_READY);
}

/* Nobody here knows a key: after a handshake not a byte may come out. */
static void feed(struct noise *n, struct slice in, size_t piece, bool keyed)
{
    struct slice plain;
    size_t used;
    qudag_err err = QUDAG_OK;

    while (err == QUDAG_OK && in.len > 0 && noise_state(n) != NOISE_VERIFY) {
        struct slice part = {in.base, in.len < piece ? in.len : piece};
        err = noise_receive(n, part, &used, &plain);
        ASSERT(used <= part.len && (used > 0 || err != QUDAG_OK));
        ASSERT(plain.len == 0 && (!keyed || noise_output(n).len == 0));
        in = slice_rest(in, used);
    }
    ASSERT((err == QUDAG_OK) == (noise_state(n) != NOISE_FAILED));
}

static void payload(struct slice in)
{
    struct noise_payload p, q;
    uint8_t buf[4096];
    size_t len;

    if (noise_payload_read(&p, in) == QUDAG_OK &&
        noise_payload_write(&p, buf, sizeof(buf), &len) == QUDAG_OK) {
        ASSERT(noise_payload_read(&q, (struct slice){buf, len}) == QUDAG_OK);
        ASSERT(q.n_muxers == p.n_muxers && q.identity_key.len == p.identity_key.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = {1};
    struct mem mem;
    struct rng_stream stream;

    if (size < 2) {
        return 0;
    }
    mem_init(&mem, NULL, 0);
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    struct noise *a = session(&mem, &rng, true, (data[0] & 1) != 0);
    struct noise *b = session(&mem, &rng, false, (data[0] & 1) != 0);
    bool keyed = (data[0] & 4) != 0;
    if (keyed) {
        shake(a, b);
    }
    struct noise *n = (data[0] & 2) != 0 ? a : b;
    noise_output_sent(n, noise_output(n).len);
    feed(n, (struct slice){data + 2, size - 2}, (size_t)data[1] + 1, keyed);
    ASSERT(mem.used < 4 * NOISE_FRAME_MAX);
    noise_free(a);
    noise_free(b);
    ASSERT(mem.used == 0);
    payload((struct slice){data + 2, size - 2});
    return 0;
}
