/*
 * cgo_x86.c - the cell cipher with AES-NI and PCLMULQDQ.
 *
 * POLYVAL takes eight blocks per reduction, with the powers KU^8 .. KU^1 at hand; AES-CTR has eight
 * blocks in flight.  No call leaves this file, so a new key costs a key schedule and eight products.
 */
#include "base/wipe.h"
#include "crypto/aes_x86.h"
#include "crypto/cgo_impl.h"
#include "crypto/polyval_x86.h"

#include <string.h>

#define WIDTH 8 /* blocks handled together */

struct x86_keys {
    __m128i kb[AES_ROUND_KEYS_MAX], k[AES_ROUND_KEYS_MAX];
    __m128i ku[WIDTH]; /* KU^8 .. KU^1 */
    __m128i b;
};

_Static_assert(sizeof(struct x86_keys) <= CGO_ENGINE_LEN, "keys do not fit");

static struct x86_keys *keys_of(struct cgo_state *s)
{
    return (struct x86_keys *)(void *)s->engine;
}

static bool usable(void)
{
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("ssse3");
}

static bool set_keys(struct cgo_state *s, const uint8_t *keys)
{
    struct x86_keys *k = keys_of(s);
    size_t half = (size_t)s->key_len + 16;
    aes_expand(k->kb, keys, s->key_len);
    aes_expand(k->k, keys + half, s->key_len);
    k->b = x86_load(keys + half + s->key_len);

    /* shortest chain of products: 2, then 3 4, then 5 6 7 8 */
    __m128i p1 = x86_load(keys + s->key_len);
    __m128i p2 = pv_dot(p1, p1), p3 = pv_dot(p2, p1), p4 = pv_dot(p2, p2);
    k->ku[7] = p1;
    k->ku[6] = p2;
    k->ku[5] = p3;
    k->ku[4] = p4;
    for (size_t i = 0; i < 4; i++) {
        k->ku[i] = pv_dot(k->ku[i + 4], p4);
    }
    return true;
}

/* |p|, or what is left of it and zero bytes. */
static __m128i load_padded(const uint8_t *p, size_t len)
{
    uint8_t block[16] = {0};
    if (len >= 16) {
        return x86_load(p);
    }
    memcpy(block, p, len);
    __m128i v = x86_load(block);
    wipe(block, sizeof(block));
    return v;
}

/* The mask of ET: POLYVAL_KU(T' | cmd | X_R). */
static __m128i et_mask(const struct cgo_state *s, const struct x86_keys *k, uint8_t cmd,
                       const uint8_t *body)
{
    /* In memory the byte before X_R is the last of X_L: hash that, and correct it by what cmd differs. */
    const uint8_t *p = body + CGO_TAG_LEN - 1;
    size_t left = (size_t)s->rest_len + 1;
    __m128i acc = pv_dot(x86_load(s->t_prime), k->ku[WIDTH - 1]);
    acc = _mm_xor_si128(acc, _mm_cvtsi32_si128(cmd ^ p[0]));

    while (left >= WIDTH * 16) {
        struct pv_product sum = pv_mul(_mm_xor_si128(acc, x86_load(p)), k->ku[0]);
        X86_UNROLL
        for (size_t i = 1; i < WIDTH; i++) {
            sum = pv_add(sum, pv_mul(x86_load(p + 16 * i), k->ku[i]));
        }
        acc = pv_reduce(sum);
        p += WIDTH * 16;
        left -= WIDTH * 16;
    }
    if (left > 0) {
        size_t n = (left + 15) / 16;
        const __m128i *power = &k->ku[WIDTH - n];
        struct pv_product sum = pv_mul(acc, power[0]);
        for (size_t i = 0; i < n; i++) {
            sum = pv_add(sum, pv_mul(load_padded(p + 16 * i, left - 16 * i), power[i]));
        }
        acc = pv_reduce(sum);
    }
    return acc;
}

static __m128i counter(const struct cgo_state *s, const struct x86_keys *k, __m128i x)
{
    const __m128i keep =
        _mm_insert_epi16(_mm_set1_epi8(-1), (short)(s->counter_keep << 8 | 0xff), 7);
    return _mm_and_si128(pv_dot(x, k->b), keep);
}

static void xor_rest(const __m128i x[WIDTH], uint8_t *dst, size_t len)
{
    uint8_t stream[WIDTH * 16];
    memcpy(stream, x, sizeof(stream));
    for (size_t i = 0; i < len; i++) {
        dst[i] ^= stream[i];
    }
    wipe(stream, sizeof(stream));
}

/* AES-CTR under K from counter |c| + |skip|, whose last byte does not overflow, onto |dst|. */
static void ctr_xor(const struct x86_keys *k, unsigned rounds, __m128i c, uint8_t skip,
                    uint8_t *dst, size_t len)
{
    const __m128i one = _mm_slli_si128(_mm_cvtsi32_si128(1), 15);
    c = _mm_add_epi8(c, _mm_slli_si128(_mm_cvtsi32_si128(skip), 15));
    while (len > 0) {
        __m128i x[WIDTH];
        X86_UNROLL
        for (size_t i = 0; i < WIDTH; i++) {
            x[i] = _mm_xor_si128(c, k->k[0]);
            c = _mm_add_epi8(c, one);
        }
        for (unsigned r = 1; r < rounds; r++) {
            X86_UNROLL
            for (size_t i = 0; i < WIDTH; i++) {
                x[i] = _mm_aesenc_si128(x[i], k->k[r]);
            }
        }
        X86_UNROLL
        for (size_t i = 0; i < WIDTH; i++) {
            x[i] = _mm_aesenclast_si128(x[i], k->k[rounds]);
        }
        if (len >= WIDTH * 16) {
            X86_UNROLL
            for (size_t i = 0; i < WIDTH; i++) {
                x86_store(dst + 16 * i, _mm_xor_si128(x[i], x86_load(dst + 16 * i)));
            }
            dst += WIDTH * 16;
            len -= WIDTH * 16;
        } else {
            xor_rest(x, dst, len);
            len = 0;
        }
    }
}

static void enc(struct cgo_state *s, uint8_t cmd, uint8_t *body)
{
    const struct x86_keys *k = keys_of(s);
    unsigned rounds = aes_rounds(s->key_len);
    __m128i mask = et_mask(s, k, cmd, body);
    __m128i x_l = _mm_xor_si128(x86_load(body), mask);
    x_l = _mm_xor_si128(aes_enc1(k->kb, rounds, x_l), mask);
    x86_store(body, x_l);
    ctr_xor(k, rounds, counter(s, k, x_l), 0, body + CGO_TAG_LEN, s->rest_len);
}

static void dec(struct cgo_state *s, uint8_t cmd, uint8_t *body)
{
    const struct x86_keys *k = keys_of(s);
    unsigned rounds = aes_rounds(s->key_len);
    __m128i x_l = x86_load(body);
    ctr_xor(k, rounds, counter(s, k, x_l), 0, body + CGO_TAG_LEN, s->rest_len);
    __m128i mask = et_mask(s, k, cmd, body);
    x_l = aes_dec1(k->kb, rounds, _mm_xor_si128(x_l, mask));
    x86_store(body, _mm_xor_si128(x_l, mask));
}

static void update_stream(struct cgo_state *s, uint8_t *out)
{
    const struct x86_keys *k = keys_of(s);
    size_t len = 2 * ((size_t)s->key_len + 16) + CGO_TAG_LEN;
    memset(out, 0, len);
    ctr_xor(k, aes_rounds(s->key_len), counter(s, k, x86_load(s->n)), s->rest_blocks, out, len);
}

const struct cgo_impl cgo_impl_x86 = {
    .name = "aesni-pclmul",
    .usable = usable,
    .set_keys = set_keys,
    .enc = enc,
    .dec = dec,
    .update_stream = update_stream,
};
