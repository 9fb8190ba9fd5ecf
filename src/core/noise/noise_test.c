/* Two sessions joined by hand: vectors, every split, every wrong byte, every wrong state. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/noise/noise_int.h"
#include "core/noise/noise_payload.h"
#include "wire/testkit_vectors.h"

#define VECTORS "tests/vectors/noise-hfs.json"

/* What a side draws, in order. */
struct script {
    uint8_t bytes[256];
    size_t len, at;
};

static void script_fill(void *ctx, uint8_t *dst, size_t len)
{
    struct script *s = ctx;

    assert_true(len <= s->len - s->at);
    memcpy(dst, s->bytes + s->at, len);
    s->at += len;
}

struct pair {
    struct mem mem;
    struct rng_stream stream;
    struct noise *a, *b; /* a is the initiator */
};

static const struct slice says_a = {(const uint8_t *)"I am a", 6};
static const struct slice says_b = {(const uint8_t *)"and I am b", 10};

static void pair_new(struct pair *p, enum noise_suite suite)
{
    static const uint8_t seed[32] = {7};
    struct noise_config cfg = {.mem = &p->mem, .suite = suite, .initiator = true};

    memset(p, 0, sizeof(*p));
    mem_init(&p->mem, NULL, 0);
    rng_stream_init(&p->stream, seed);
    cfg.rng = rng_of_stream(&p->stream);
    assert_int_equal(noise_new(&p->a, &cfg), QUDAG_OK);
    cfg.initiator = false;
    assert_int_equal(noise_new(&p->b, &cfg), QUDAG_OK);
}

static void pair_free(struct pair *p)
{
    noise_free(p->a);
    noise_free(p->b);
    assert_int_equal(p->mem.used, 0);
}

/* Moves what |from| has to say to |to|, |piece| bytes at a time. */
static qudag_err move(struct noise *from, struct noise *to, size_t piece)
{
    qudag_err err = QUDAG_OK;

    while (err == QUDAG_OK && noise_output(from).len > 0) {
        struct slice out = noise_output(from), plain;
        size_t used;
        out.len = out.len < piece ? out.len : piece;
        err = noise_receive(to, out, &used, &plain);
        assert_int_equal(plain.len, 0);
        assert_true(used <= out.len && (used > 0 || err != QUDAG_OK));
        noise_output_sent(from, used);
    }
    return err;
}

static void verify(struct noise *n, const uint8_t *static_key, struct slice says)
{
    const uint8_t *key;
    struct slice payload;

    assert_int_equal(noise_state(n), NOISE_VERIFY);
    noise_peer(n, &key, &payload);
    assert_memory_equal(key, static_key, 32);
    assert_int_equal(payload.len, says.len);
    if (says.len > 0) {
        assert_memory_equal(payload.base, says.base, says.len);
    }
    assert_int_equal(noise_verified(n), QUDAG_OK);
}

static void shake(struct pair *p, size_t piece)
{
    uint8_t key_a[32], key_b[32];

    memcpy(key_a, noise_static(p->a), 32);
    memcpy(key_b, noise_static(p->b), 32);
    assert_int_equal(noise_start(p->b, says_b), QUDAG_OK);
    assert_int_equal(noise_start(p->a, says_a), QUDAG_OK);
    assert_int_equal(move(p->a, p->b, piece), QUDAG_OK);
    assert_int_equal(move(p->b, p->a, piece), QUDAG_OK);
    verify(p->a, key_b, says_b);
    assert_int_equal(noise_state(p->a), NOISE_READY);
    assert_int_equal(move(p->a, p->b, piece), QUDAG_OK);
    verify(p->b, key_a, says_a);
    assert_int_equal(noise_state(p->b), NOISE_READY);
    assert_memory_equal(noise_handshake_hash(p->a), noise_handshake_hash(p->b), 32);
}

static void pass(struct noise *from, struct noise *to, struct slice data, size_t piece)
{
    static uint8_t frame[NOISE_FRAME_MAX + 2];
    size_t len = data.len + NOISE_OVERHEAD, at = 0, used;
    struct slice plain = {NULL, 0};

    assert_int_equal(noise_seal(from, frame, data), QUDAG_OK);
    while (at < len) {
        size_t n = len - at < piece ? len - at : piece;
        assert_int_equal(plain.len, 0);
        assert_int_equal(noise_receive(to, (struct slice){frame + at, n}, &used, &plain), QUDAG_OK);
        at += used;
    }
    assert_int_equal(plain.len, data.len);
    if (data.len > 0) {
        assert_memory_equal(plain.base, data.base, data.len);
    }
}

static void both_suites_in_any_split(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 3, 100, 1000, 100000};
    static const uint8_t data[NOISE_PLAIN_MAX] = {1, 2, 3};

    for (int suite = NOISE_XX; suite <= NOISE_XXHFS; suite++) {
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
            struct pair p;
            pair_new(&p, (enum noise_suite)suite);
            shake(&p, pieces[i]);
            pass(p.a, p.b, (struct slice){data, 3}, pieces[i]);
            pass(p.b, p.a, (struct slice){data, 0}, pieces[i]);
            pass(p.b, p.a, (struct slice){data, sizeof(data)}, pieces[i] < 100 ? 100 : pieces[i]);
            pass(p.a, p.b, (struct slice){data, 5}, pieces[i]);
            pair_free(&p);
        }
    }
}

/* Whole frames are opened where the caller wants them, parts of one and what does not fit as ever. */
static void frames_that_came_whole_are_opened_elsewhere(void **state)
{
    (void)state;
    static uint8_t wire[3 * (1000 + NOISE_OVERHEAD)], room[1000];
    uint8_t data[1000] = {9, 8, 7};
    struct pair p;
    struct slice plain;
    size_t used, n = sizeof(data) + NOISE_OVERHEAD;

    pair_new(&p, NOISE_XX);
    assert_int_equal(noise_receive_to(p.a, (struct slice){wire, 10}, &used, room, 10, &plain),
                     QUDAG_OK);
    assert_int_equal(used, 0); /* as noise_receive() in this state */
    shake(&p, 100000);
    for (size_t i = 0; i < 3; i++) {
        data[0]++;
        assert_int_equal(noise_seal(p.a, wire + i * n, (struct slice){data, sizeof(data)}),
                         QUDAG_OK);
    }
    assert_int_equal(noise_receive_to(p.b, (struct slice){wire, 3 * n}, &used, room, 1000, &plain),
                     QUDAG_OK);
    assert_int_equal(used, n);
    assert_ptr_equal(plain.base, room);
    assert_int_equal(plain.len, 1000);
    assert_int_equal(room[0], 10);
    assert_int_equal(
        noise_receive_to(p.b, (struct slice){wire + n, 2 * n}, &used, room, 999, &plain), QUDAG_OK);
    assert_ptr_not_equal(plain.base, room);
    assert_int_equal(plain.base[0], 11);
    assert_int_equal(
        noise_receive_to(p.b, (struct slice){wire + 2 * n, 500}, &used, room, 1000, &plain),
        QUDAG_OK);
    assert_int_equal(used + plain.len, 500);
    assert_int_equal(noise_receive_to(p.b, (struct slice){wire + 2 * n + 500, n - 500}, &used, room,
                                      1000, &plain),
                     QUDAG_OK);
    assert_int_equal(plain.base[0], 12);
    assert_int_equal(noise_receive_to(p.b, (struct slice){wire, n}, &used, room, 1000, &plain),
                     QUDAG_EAUTH); /* again */
    assert_int_equal(noise_state(p.b), NOISE_FAILED);
    pair_free(&p);
}

/* What follows half a frame is its rest, also where its first bytes look like the length of another. */
static void the_rest_of_a_frame_is_no_frame(void **state)
{
    (void)state;
    uint8_t wire[3 * 256 + 2], room[512];
    const uint8_t data[3 * 256 - AEAD_TAG_LEN] = {0};
    struct pair p;
    struct slice plain;
    size_t used;

    pair_new(&p, NOISE_XX);
    shake(&p, 100000);
    for (unsigned i = 0; i < 16; i++) { /* each but once in 16 times a length that is none */
        assert_int_equal(noise_seal(p.a, wire, (struct slice){data, sizeof(data)}), QUDAG_OK);
        assert_int_equal(wire[1], 0);
        assert_int_equal(noise_receive_to(p.b, (struct slice){wire, 1}, &used, room, 512, &plain),
                         QUDAG_OK);
        assert_int_equal(noise_receive_to(p.b, (struct slice){wire + 1, sizeof(wire) - 1}, &used,
                                          room, 512, &plain),
                         QUDAG_OK);
        assert_int_equal(plain.len, sizeof(data));
    }
    pair_free(&p);
}

static void two_frames_at_once_are_taken_one_by_one(void **state)
{
    (void)state;
    struct pair p;
    uint8_t frames[2 * (NOISE_OVERHEAD + 1)];
    struct slice plain;
    size_t used;

    pair_new(&p, NOISE_XX);
    shake(&p, 1000);
    assert_int_equal(noise_seal(p.a, frames, (struct slice){(const uint8_t *)"x", 1}), QUDAG_OK);
    assert_int_equal(noise_seal(p.a, frames + 19, (struct slice){(const uint8_t *)"y", 1}),
                     QUDAG_OK);
    assert_int_equal(noise_receive(p.b, (struct slice){frames, 38}, &used, &plain), QUDAG_OK);
    assert_int_equal(used, 19);
    assert_true(plain.len == 1 && plain.base[0] == 'x');
    assert_int_equal(noise_receive(p.b, (struct slice){frames + 19, 19}, &used, &plain), QUDAG_OK);
    assert_true(plain.len == 1 && plain.base[0] == 'y');
    assert_int_equal(noise_seal(p.a, frames, (struct slice){frames, NOISE_PLAIN_MAX + 1}),
                     QUDAG_EINVAL);
    pair_free(&p);
}

static struct noise *scripted(struct mem *mem, struct script *s, bool initiator)
{
    struct noise_config cfg = {.mem = mem, .rng = {script_fill, s}, .suite = NOISE_XXHFS};
    struct noise *n;

    cfg.initiator = initiator;
    assert_int_equal(noise_new(&n, &cfg), QUDAG_OK);
    assert_int_equal(noise_start(n, (struct slice){NULL, 0}), QUDAG_OK);
    return n;
}

static void draws(struct script *s, const char *at, const char *name)
{
    s->len += vectors_hex(at, name, s->bytes + s->len, sizeof(s->bytes) - s->len);
}

static void is_message(struct noise *n, const char *at, const char *name)
{
    uint8_t want[4096];
    size_t len = vectors_hex(at, name, want, sizeof(want));
    struct slice out = noise_output(n);

    assert_int_equal(out.len, len + 2);
    assert_memory_equal(out.base + 2, want, len);
}

static void is_key(const uint8_t got[32], const char *at, const char *name)
{
    uint8_t want[32];

    assert_int_equal(vectors_hex(at, name, want, sizeof(want)), 32);
    assert_memory_equal(got, want, 32);
}

/* One vector; all keys and messages of both sides, byte for byte. */
static void check_vector(const char *at)
{
    struct mem mem;
    struct script sa = {.len = 0}, sb = {.len = 0};

    mem_init(&mem, NULL, 0);
    draws(&sa, at, "s_i");
    draws(&sa, at, "e_i");
    draws(&sa, at, "mlkem_seed_dz");
    draws(&sb, at, "s_r");
    draws(&sb, at, "e_r");
    draws(&sb, at, "encaps_m");
    struct noise *a = scripted(&mem, &sa, true), *b = scripted(&mem, &sb, false);
    is_message(a, at, "msg_a");
    assert_int_equal(move(a, b, 5000), QUDAG_OK);
    is_message(b, at, "msg_b");
    assert_int_equal(move(b, a, 5000), QUDAG_OK);
    assert_int_equal(noise_verified(a), QUDAG_OK);
    is_message(a, at, "msg_c");
    assert_int_equal(move(a, b, 5000), QUDAG_OK);
    assert_int_equal(noise_verified(b), QUDAG_OK);
    is_key(noise_handshake_hash(a), at, "handshake_hash");
    is_key(noise_handshake_hash(b), at, "handshake_hash");
    is_key(a->out.key, at, "cs1_k");
    is_key(b->out.key, at, "cs2_k");
    is_key(a->in.key, at, "cs2_k");
    noise_free(a);
    noise_free(b);
    assert_int_equal(mem.used, 0);
}

static void the_vectors_of_the_draft_are_reproduced(void **state)
{
    (void)state;
    char *text = vectors_read(VECTORS);
    size_t n = 0;

    for (const char *at = strstr(text, "\"base\""); at != NULL; at = strstr(at + 1, "\"base\"")) {
        check_vector(at);
        n++;
    }
    assert_int_equal(n, 5);
    free(text);
}

/* Runs a handshake in which |bit| of message |message| is turned over; what the receiver made of it. */
static qudag_err damaged(enum noise_suite suite, int message, size_t at)
{
    struct pair p;
    qudag_err err = QUDAG_OK;
    uint8_t buf[4096];

    pair_new(&p, suite);
    assert_int_equal(noise_start(p.b, says_b), QUDAG_OK);
    assert_int_equal(noise_start(p.a, says_a), QUDAG_OK);
    for (int m = 0; m < 3 && err == QUDAG_OK; m++) {
        struct noise *from = m == 1 ? p.b : p.a, *to = m == 1 ? p.a : p.b;
        struct slice out = noise_output(from), plain;
        size_t used;
        memcpy(buf, out.base, out.len);
        assert_true(message != m || at < out.len - 2);
        if (m == message) {
            buf[2 + at] ^= 1;
        }
        err = noise_receive(to, (struct slice){buf, out.len}, &used, &plain);
        if (err == QUDAG_OK && m > 0) {
            assert_int_equal(noise_verified(to), QUDAG_OK);
        } else if (err != QUDAG_OK) {
            assert_int_equal(noise_state(to), NOISE_FAILED);
            assert_null(noise_static(to));
        }
        noise_output_sent(from, out.len);
    }
    pair_free(&p);
    return err;
}

static void a_changed_bit_anywhere_fails(void **state)
{
    (void)state;
    static const struct {
        enum noise_suite suite;
        int message;
        size_t at;
    } rows[] = {
        {NOISE_XX, 0, 0},       {NOISE_XX, 0, 31},      {NOISE_XX, 1, 0},
        {NOISE_XX, 1, 32},      {NOISE_XX, 1, 79},      {NOISE_XX, 1, 80},
        {NOISE_XX, 1, 105},     {NOISE_XX, 2, 0},       {NOISE_XX, 2, 47},
        {NOISE_XX, 2, 48},      {NOISE_XX, 2, 69},      {NOISE_XXHFS, 0, 5},
        {NOISE_XXHFS, 0, 40},   {NOISE_XXHFS, 0, 1215}, {NOISE_XXHFS, 1, 3},
        {NOISE_XXHFS, 1, 33},   {NOISE_XXHFS, 1, 1130}, {NOISE_XXHFS, 1, 1140},
        {NOISE_XXHFS, 1, 1190}, {NOISE_XXHFS, 2, 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_not_equal(damaged(rows[i].suite, rows[i].message, rows[i].at), QUDAG_OK);
    }
}

static void a_message_cut_short_fails(void **state)
{
    (void)state;
    for (int suite = NOISE_XX; suite <= NOISE_XXHFS; suite++) {
        size_t whole = suite == NOISE_XX ? 32 : 1216;
        for (size_t len = 0; len < whole; len += len < 40 ? 1 : 97) {
            struct pair p;
            uint8_t buf[1300] = {(uint8_t)(len >> 8), (uint8_t)len};
            struct slice plain;
            size_t used;
            pair_new(&p, (enum noise_suite)suite);
            assert_int_equal(noise_start(p.b, says_b), QUDAG_OK);
            assert_int_equal(noise_start(p.a, says_a), QUDAG_OK);
            memcpy(buf + 2, noise_output(p.a).base + 2, len);
            assert_int_equal(noise_receive(p.b, (struct slice){buf, len + 2}, &used, &plain),
                             QUDAG_EPROTO);
            assert_int_equal(noise_receive(p.b, (struct slice){buf, 1}, &used, &plain),
                             QUDAG_ECLOSED);
            pair_free(&p);
        }
    }
}

static void a_frame_too_long_for_a_handshake_is_refused_at_once(void **state)
{
    (void)state;
    static const uint8_t head[] = {(NOISE_HANDSHAKE_MAX + 1) >> 8, (NOISE_HANDSHAKE_MAX + 1) & 255};
    struct pair p;
    struct slice plain;
    size_t used;

    pair_new(&p, NOISE_XX);
    assert_int_equal(noise_start(p.b, says_b), QUDAG_OK);
    assert_int_equal(noise_receive(p.b, (struct slice){head, 2}, &used, &plain), QUDAG_EPROTO);
    pair_free(&p);
}

static void keys_of_small_order_are_refused(void **state)
{
    (void)state;
    static const uint8_t zero[34] = {0, 32};
    struct pair p;
    struct slice plain;
    size_t used;

    pair_new(&p, NOISE_XX);
    assert_int_equal(noise_start(p.b, says_b), QUDAG_OK);
    assert_int_equal(noise_receive(p.b, (struct slice){zero, 34}, &used, &plain), QUDAG_EAUTH);
    pair_free(&p);
}

static void frames_replayed_reordered_or_changed_end_it(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        struct pair p;
        uint8_t one[40], two[40];
        struct slice plain;
        size_t used;
        pair_new(&p, NOISE_XX);
        shake(&p, 5000);
        assert_int_equal(noise_seal(p.a, one, says_a), QUDAG_OK);
        assert_int_equal(noise_seal(p.a, two, says_a), QUDAG_OK);
        size_t len = says_a.len + NOISE_OVERHEAD;
        if (what == 0) { /* again */
            assert_int_equal(noise_receive(p.b, (struct slice){one, len}, &used, &plain), QUDAG_OK);
            assert_int_equal(noise_receive(p.b, (struct slice){one, len}, &used, &plain),
                             QUDAG_EAUTH);
        } else if (what == 1) { /* the second first */
            assert_int_equal(noise_receive(p.b, (struct slice){two, len}, &used, &plain),
                             QUDAG_EAUTH);
        } else if (what == 2) { /* changed */
            one[5] ^= 0x80;
            assert_int_equal(noise_receive(p.b, (struct slice){one, len}, &used, &plain),
                             QUDAG_EAUTH);
        } else { /* to whoever sent it */
            assert_int_equal(noise_receive(p.a, (struct slice){one, len}, &used, &plain),
                             QUDAG_EAUTH);
            assert_int_equal(noise_state(p.a), NOISE_FAILED);
        }
        assert_int_equal(noise_seal(what == 3 ? p.a : p.b, one, says_a), QUDAG_ESTATE);
        pair_free(&p);
    }
}

static void a_key_ends_with_its_counter(void **state)
{
    (void)state;
    struct pair p;
    uint8_t frame[40];

    pair_new(&p, NOISE_XX);
    shake(&p, 5000);
    p.a->out.n = p.b->in.n = UINT64_MAX - 1;
    pass(p.a, p.b, says_a, 100);
    assert_int_equal(noise_seal(p.a, frame, says_a), QUDAG_ECLOSED);
    pair_free(&p);
}

static void nothing_passes_before_its_time(void **state)
{
    (void)state;
    struct pair p;
    uint8_t frame[40] = {0, 32};
    struct slice plain, payload;
    const uint8_t *key;
    size_t used;

    pair_new(&p, NOISE_XX);
    assert_int_equal(noise_receive(p.b, (struct slice){frame, 34}, &used, &plain), QUDAG_OK);
    assert_int_equal(used, 0);
    assert_int_equal(noise_verified(p.a), QUDAG_ESTATE);
    assert_int_equal(noise_seal(p.a, frame, says_a), QUDAG_ESTATE);
    assert_int_equal(noise_start(p.a, says_a), QUDAG_OK);
    assert_int_equal(noise_start(p.a, says_a), QUDAG_ESTATE);
    assert_int_equal(noise_seal(p.a, frame, says_a), QUDAG_ESTATE);
    noise_peer(p.a, &key, &payload);
    assert_true(key == NULL && payload.len == 0);
    assert_int_equal(noise_start(p.b, says_b), QUDAG_OK);
    assert_int_equal(move(p.a, p.b, 1000), QUDAG_OK);
    struct slice b = noise_output(p.b); /* it speaks twice */
    uint8_t twice[400];
    memcpy(twice, b.base, b.len);
    assert_int_equal(move(p.b, p.a, 1000), QUDAG_OK);
    assert_int_equal(noise_seal(p.a, frame, says_a), QUDAG_ESTATE);
    assert_int_equal(noise_receive(p.a, (struct slice){twice, b.len}, &used, &plain), QUDAG_OK);
    assert_int_equal(used, 0);
    noise_fail(p.a);
    assert_int_equal(noise_verified(p.a), QUDAG_ESTATE);
    assert_int_equal(noise_output(p.a).len, 0);
    pair_free(&p);
}

static void a_side_that_speaks_out_of_turn_fails(void **state)
{
    (void)state;
    struct pair p;
    uint8_t a[40];
    struct slice plain;
    size_t used;

    pair_new(&p, NOISE_XX);
    assert_int_equal(noise_start(p.b, says_b), QUDAG_OK);
    assert_int_equal(noise_start(p.a, says_a), QUDAG_OK);
    memcpy(a, noise_output(p.a).base, 34);
    assert_int_equal(move(p.a, p.b, 1000), QUDAG_OK);
    assert_int_equal(noise_receive(p.b, (struct slice){a, 34}, &used, &plain), QUDAG_EPROTO);
    assert_int_equal(noise_state(p.b), NOISE_FAILED);
    pair_free(&p);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static const uint8_t data[5000];
    bool done = false;

    for (uint64_t at = 1; !done; at++) {
        struct pair p;
        struct slice plain;
        uint8_t frame[6000];
        size_t used;
        pair_new(&p, NOISE_XXHFS);
        p.mem.fail_at = at;
        done = noise_start(p.a, says_a) == QUDAG_OK && noise_start(p.b, says_b) == QUDAG_OK &&
               move(p.a, p.b, 700) == QUDAG_OK && move(p.b, p.a, 700) == QUDAG_OK &&
               noise_verified(p.a) == QUDAG_OK && move(p.a, p.b, 700) == QUDAG_OK &&
               noise_verified(p.b) == QUDAG_OK &&
               noise_seal(p.a, frame, (struct slice){data, sizeof(data)}) == QUDAG_OK &&
               noise_receive(p.b, (struct slice){frame, 5018}, &used, &plain) == QUDAG_OK &&
               plain.len == sizeof(data);
        assert_true(done || at < 100);
        p.mem.fail_at = 0;
        pair_free(&p);
    }
}

static struct slice text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static void a_payload_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct noise_payload p = {.identity_key = says_a, .identity_sig = says_b, .n_muxers = 2}, q;
    uint8_t buf[200];
    size_t len;

    p.muxers[0] = text("/yamux/1.0.0");
    p.muxers[1] = text("/mplex/6.7.0");
    assert_int_equal(noise_payload_write(&p, buf, sizeof(buf), &len), QUDAG_OK);
    assert_int_equal(noise_payload_read(&q, (struct slice){buf, len}), QUDAG_OK);
    assert_int_equal(q.n_muxers, 2);
    assert_memory_equal(q.identity_key.base, says_a.base, says_a.len);
    assert_memory_equal(q.identity_sig.base, says_b.base, says_b.len);
    assert_memory_equal(q.muxers[1].base, "/mplex/6.7.0", 12);
    for (size_t cap = 0; cap < len; cap++) {
        size_t n;
        assert_int_equal(noise_payload_write(&p, buf, cap, &n), QUDAG_ETOOBIG);
    }
    assert_int_equal(noise_payload_write(&p, buf, sizeof(buf), &len), QUDAG_OK);
    assert_int_equal(noise_payload_read(&q, (struct slice){buf, len - 1}), QUDAG_EMALFORMED);
    assert_int_equal(noise_payload_read(&q, (struct slice){NULL, 0}), QUDAG_OK);
}

/* One name more than are looked at. */
static void more_muxers_than_there_is_room_for_are_ignored(void **state)
{
    (void)state;
    struct noise_payload q;
    uint8_t buf[2 + 3 * (NOISE_MUXERS_MAX + 1)] = {4 << 3 | 2, sizeof(buf) - 2};

    for (size_t at = 2; at < sizeof(buf); at += 3) {
        buf[at] = 2 << 3 | 2;
        buf[at + 1] = 1;
        buf[at + 2] = 'a';
    }
    assert_int_equal(noise_payload_read(&q, (struct slice){buf, sizeof(buf)}), QUDAG_OK);
    assert_int_equal(q.n_muxers, NOISE_MUXERS_MAX);
}

static void the_muxer_is_the_initiators_choice(void **state)
{
    (void)state;
    struct noise_payload i = {.n_muxers = 2}, r = {.n_muxers = 2}, none = {.n_muxers = 0};
    struct slice m = {NULL, 0};

    i.muxers[0] = text("a");
    i.muxers[1] = text("b");
    r.muxers[0] = text("b");
    r.muxers[1] = text("a");
    assert_int_equal(noise_muxer(&i, &r, &m), QUDAG_OK);
    assert_true(m.len == 1 && m.base[0] == 'a');
    i.muxers[0] = text("ab");
    assert_int_equal(noise_muxer(&i, &r, &m), QUDAG_OK);
    assert_true(m.len == 1 && m.base[0] == 'b');
    i.n_muxers = 1;
    assert_int_equal(noise_muxer(&i, &r, &m), QUDAG_EUNSUPPORTED);
    i.muxers[0] = r.muxers[0] = text(""); /* no name */
    assert_int_equal(noise_muxer(&i, &r, &m), QUDAG_EUNSUPPORTED);
    assert_int_equal(noise_muxer(&none, &r, &m), QUDAG_ENOTFOUND);
    assert_int_equal(noise_muxer(&i, &none, &m), QUDAG_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_suites_in_any_split),
        cmocka_unit_test(frames_that_came_whole_are_opened_elsewhere),
        cmocka_unit_test(the_rest_of_a_frame_is_no_frame),
        cmocka_unit_test(two_frames_at_once_are_taken_one_by_one),
        cmocka_unit_test(the_vectors_of_the_draft_are_reproduced),
        cmocka_unit_test(a_changed_bit_anywhere_fails),
        cmocka_unit_test(a_message_cut_short_fails),
        cmocka_unit_test(a_frame_too_long_for_a_handshake_is_refused_at_once),
        cmocka_unit_test(keys_of_small_order_are_refused),
        cmocka_unit_test(frames_replayed_reordered_or_changed_end_it),
        cmocka_unit_test(a_key_ends_with_its_counter),
        cmocka_unit_test(nothing_passes_before_its_time),
        cmocka_unit_test(a_side_that_speaks_out_of_turn_fails),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_payload_is_read_as_it_was_written),
        cmocka_unit_test(more_muxers_than_there_is_room_for_are_ignored),
        cmocka_unit_test(the_muxer_is_the_initiators_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
