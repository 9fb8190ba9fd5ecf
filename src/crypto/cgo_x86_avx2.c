/*
 * cgo_x86_avx2.c - the cell cipher with VAES and VPCLMULQDQ on 256-bit registers, for processors without AVX-512.
 *
 * Like cgo_x86.c, but a register holds a group of two blocks: POLYVAL takes eight groups per
 * reduction, with the powers KU^16 .. KU^1 at hand; AES-CTR has eight groups in flight.
 */
#include "base/wipe.h"
#include "crypto/aes_x86.h"
#include "crypto/cgo_impl.h"
#include "crypto/polyval_x86.h"

#include <immintrin.h>
#include <string.h>

#define GROUP_LEN 32 /* bytes of a register */
#define GROUPS 8     /* handled together */
#define POWERS (2 * GROUPS)

struct avx2_keys {
    __m128i ku[POWERS]; /* KU^16 .. KU^1 */
    __m128i zero;       /* behind them, so that a group may start at any power */
    __m128i b;
    __m128i kb[AES_ROUND_KEYS_MAX], k[AES_ROUND_KEYS_MAX];
};

_Static_assert(sizeof(struct avx2_keys) <= CGO_ENGINE_LEN, "keys do not fit");

/* Products of two blocks, see struct pv_product. */
struct products2 {
    __m256i low, mid, high;
};

static struct avx2_keys *keys_of(struct cgo_state *s)
{
    return (struct avx2_keys *)(void *)s->engine;
}

static bool usable(void)
{
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("avx2") && __builtin_cpu_supports("vpclmulqdq") && x86_has_vaes();
}

static __m256i load2(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static struct products2 mul2(__m256i a, __m256i b)
{
    return (struct products2){
        .low = _mm256_clmulepi64_epi128(a, b, 0x00),
        .mid = _mm256_xor_si256(_mm256_clmulepi64_epi128(a, b, 0x01),
                                _mm256_clmulepi64_epi128(a, b, 0x10)),
        .high = _mm256_clmulepi64_epi128(a, b, 0x11),
    };
}

static struct products2 add2(struct products2 a, struct products2 b)
{
    return (struct products2){
        .low = _mm256_xor_si256(a.low, b.low),
        .mid = _mm256_xor_si256(a.mid, b.mid),
        .high = _mm256_xor_si256(a.high, b.high),
    };
}

static __m128i fold(__m256i v)
{
    return _mm_xor_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

/* The sum of the two products. */
static struct pv_product fold_products(struct products2 p)
{
    return (struct pv_product){fold(p.low), fold(p.mid), fold(p.high)};
}

static bool set_keys(struct cgo_state *s, const uint8_t *keys)
{
    struct avx2_keys *k = keys_of(s);
    size_t half = (size_t)s->key_len + 16;
    aes_expand(k->kb, keys, s->key_len);
    aes_expand(k->k, keys + half, s->key_len);
    k->b = x86_load(keys + half + s->key_len);

    /* shortest chain of products: 2, then 3 4, then 5 6 7 8, then 9 to 16 */
    k->ku[15] = x86_load(keys + s->key_len);
    k->ku[14] = pv_dot(k->ku[15], k->ku[15]);
    k->ku[13] = pv_dot(k->ku[14], k->ku[15]);
    k->ku[12] = pv_dot(k->ku[14], k->ku[14]);
    for (size_t i = 12; i-- > 8;) {
        k->ku[i] = pv_dot(k->ku[i + 4], k->ku[12]);
    }
    for (size_t i = 8; i-- > 0;) {
        k->ku[i] = pv_dot(k->ku[i + 8], k->ku[8]);
    }
    return true;
}

/* A group at |p|, or what is left of it and zero bytes. */
static __m256i load_padded(const uint8_t *p, size_t len)
{
    uint8_t group[GROUP_LEN] = {0};
    if (len >= GROUP_LEN) {
        return load2(p);
    }
    memcpy(group, p, len);
    __m256i v = load2(group);
    wipe(group, sizeof(group));
    return v;
}

/* The mask of ET: POLYVAL_KU(T' | cmd | X_R). */
static __m128i et_mask(const struct cgo_state *s, const struct avx2_keys *k, uint8_t cmd,
                       const uint8_t *body)
{
    /* In memory the byte before X_R is the last of X_L: hash that, and correct it by what cmd differs. */
    const uint8_t *p = body + CGO_TAG_LEN - 1;
    size_t left = (size_t)s->rest_len + 1;
    __m128i acc = pv_dot(x86_load(s->t_prime), k->ku[POWERS - 1]);
    acc = _mm_xor_si128(acc, _mm_cvtsi32_si128(cmd ^ p[0]));

    while (left >= GROUPS * GROUP_LEN) {
        struct products2 sum =
            mul2(_mm256_xor_si256(load2(p), _mm256_zextsi128_si256(acc)), load2(k->ku));
        X86_UNROLL
        for (size_t i = 1; i < GROUPS; i++) {
            sum = add2(sum, mul2(load2(p + GROUP_LEN * i), load2(k->ku + 2 * i)));
        }
        acc = pv_reduce(fold_products(sum));
        p += GROUPS * GROUP_LEN;
        left -= GROUPS * GROUP_LEN;
    }
    if (left > 0) {
        const __m128i *power = &k->ku[POWERS - (left + 15) / 16];
        __m256i x = _mm256_xor_si256(load_padded(p, left), _mm256_zextsi128_si256(acc));
        struct products2 sum = mul2(x, load2(power));
        while (left > GROUP_LEN) {
            power += 2;
            p += GROUP_LEN;
            left -= GROUP_LEN;
            sum = add2(sum, mul2(load_padded(p, left), load2(power)));
        }
        acc = pv_reduce(fold_products(sum));
    }
    return acc;
}

static __m128i counter(const struct cgo_state *s, const struct avx2_keys *k, __m128i x)
{
    const __m128i keep = _mm_insert_epi8(_mm_set1_epi8(-1), s->counter_keep, 15);
    return _mm_and_si128(pv_dot(x, k->b), keep);
}

/* |v| in the last byte of both blocks. */
static __m256i in_last(unsigned v)
{
    long long high = (long long)((uint64_t)v << 56);
    return _mm256_set_epi64x(high, 0, high, 0);
}

/* Two counters through AES. */
static __m256i ctr2(const __m128i *rk, unsigned rounds, __m256i c)
{
    __m256i x = _mm256_xor_si256(c, _mm256_broadcastsi128_si256(rk[0]));
    for (unsigned r = 1; r < rounds; r++) {
        x = _mm256_aesenc_epi128(x, _mm256_broadcastsi128_si256(rk[r]));
    }
    return _mm256_aesenclast_epi128(x, _mm256_broadcastsi128_si256(rk[rounds]));
}

static void xor_rest(__m256i x, uint8_t *dst, size_t len)
{
    uint8_t stream[GROUP_LEN];
    memcpy(stream, &x, sizeof(stream));
    for (size_t i = 0; i < len; i++) {
        dst[i] ^= stream[i];
    }
    wipe(stream, sizeof(stream));
}

/* AES-CTR under K from counter |c| + |skip|, whose last byte does not overflow, onto |dst|. */
static void ctr_xor(const struct avx2_keys *k, unsigned rounds, __m128i c, uint8_t skip,
                    uint8_t *dst, size_t len)
{
    const __m128i *rk = k->k;
    const __m256i two = in_last(2);
    __m256i at = _mm256_add_epi8(_mm256_broadcastsi128_si256(c), in_last(skip));
    at = _mm256_add_epi8(at, _mm256_set_epi64x((long long)(UINT64_C(1) << 56), 0, 0, 0));

    while (len >= GROUPS * GROUP_LEN) {
        __m256i x[GROUPS], key = _mm256_broadcastsi128_si256(rk[0]);
        X86_UNROLL
        for (size_t i = 0; i < GROUPS; i++) {
            x[i] = _mm256_xor_si256(at, key);
            at = _mm256_add_epi8(at, two);
        }
        for (unsigned r = 1; r < rounds; r++) {
            key = _mm256_broadcastsi128_si256(rk[r]);
            X86_UNROLL
            for (size_t i = 0; i < GROUPS; i++) {
                x[i] = _mm256_aesenc_epi128(x[i], key);
            }
        }
        key = _mm256_broadcastsi128_si256(rk[rounds]);
        X86_UNROLL
        for (size_t i = 0; i < GROUPS; i++) {
            x[i] = _mm256_aesenclast_epi128(x[i], key);
            x[i] = _mm256_xor_si256(x[i], load2(dst + GROUP_LEN * i));
            _mm256_storeu_si256((__m256i *)(void *)(dst + GROUP_LEN * i), x[i]);
        }
        dst += GROUPS * GROUP_LEN;
        len -= GROUPS * GROUP_LEN;
    }
    while (len > 0) {
        __m256i x = ctr2(rk, rounds, at);
        size_t n = len < GROUP_LEN ? len : GROUP_LEN;
        if (n == GROUP_LEN) {
            _mm256_storeu_si256((__m256i *)(void *)dst, _mm256_xor_si256(x, load2(dst)));
        } else {
            xor_rest(x, dst, n);
        }
        at = _mm256_add_epi8(at, two);
        dst += n;
        len -= n;
    }
}

static void enc(struct cgo_state *s, uint8_t cmd, uint8_t *body)
{
    const struct avx2_keys *k = keys_of(s);
    unsigned rounds = aes_rounds(s->key_len);
    __m128i mask = et_mask(s, k, cmd, body);
    __m128i x_l = _mm_xor_si128(x86_load(body), mask);
    x_l = _mm_xor_si128(aes_enc1(k->kb, rounds, x_l), mask);
    x86_store(body, x_l);
    ctr_xor(k, rounds, counter(s, k, x_l), 0, body + CGO_TAG_LEN, s->rest_len);
}

static void dec(struct cgo_state *s, uint8_t cmd, uint8_t *body)
{
    const struct avx2_keys *k = keys_of(s);
    unsigned rounds = aes_rounds(s->key_len);
    __m128i x_l = x86_load(body);
    ctr_xor(k, rounds, counter(s, k, x_l), 0, body + CGO_TAG_LEN, s->rest_len);
    __m128i mask = et_mask(s, k, cmd, body);
    x_l = aes_dec1(k->kb, rounds, _mm_xor_si128(x_l, mask));
    x86_store(body, _mm_xor_si128(x_l, mask));
}

static void update_stream(struct cgo_state *s, uint8_t *out)
{
    const struct avx2_keys *k = keys_of(s);
    size_t len = 2 * ((size_t)s->key_len + 16) + CGO_TAG_LEN;
    memset(out, 0, len);
    ctr_xor(k, aes_rounds(s->key_len), counter(s, k, x86_load(s->n)), s->rest_blocks, out, len);
}

const struct cgo_impl cgo_impl_x86_avx2 = {
    .name = "vaes-avx2",
    .usable = usable,
    .set_keys = set_keys,
    .enc = enc,
    .dec = dec,
    .update_stream = update_stream,
};
