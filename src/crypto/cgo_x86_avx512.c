/*
 * cgo_x86_avx512.c - the cell cipher with VAES and VPCLMULQDQ on 512-bit registers.
 *
 * Like cgo_x86.c, but a register holds a group of four blocks: POLYVAL takes four groups per
 * reduction, with the powers KU^16 .. KU^1 at hand; AES-CTR has four groups in flight.
 */
#include "crypto/aes_x86.h"
#include "crypto/cgo_impl.h"
#include "crypto/polyval_x86.h"

#include <immintrin.h>
#include <string.h>

#define GROUP_LEN 64 /* bytes of a register */
#define POWERS 16

struct avx512_keys {
    __m128i ku[POWERS]; /* KU^16 .. KU^1 */
    __m128i zero[3];    /* behind them, so that a group may start at any power */
    __m128i b;
    __m128i kb[AES_ROUND_KEYS_MAX], k[AES_ROUND_KEYS_MAX];
};

_Static_assert(sizeof(struct avx512_keys) <= CGO_ENGINE_LEN, "keys do not fit");

/* Products of four blocks, see struct pv_product. */
struct products {
    __m512i low, mid, high;
};

static struct avx512_keys *keys_of(struct cgo_state *s)
{
    return (struct avx512_keys *)(void *)s->engine;
}

static bool usable(void)
{
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("vpclmulqdq") && x86_has_vaes();
}

static struct products mul4(__m512i a, __m512i b)
{
    return (struct products){
        .low = _mm512_clmulepi64_epi128(a, b, 0x00),
        .mid = _mm512_xor_si512(_mm512_clmulepi64_epi128(a, b, 0x01),
                                _mm512_clmulepi64_epi128(a, b, 0x10)),
        .high = _mm512_clmulepi64_epi128(a, b, 0x11),
    };
}

static struct products add4(struct products a, struct products b)
{
    return (struct products){
        .low = _mm512_xor_si512(a.low, b.low),
        .mid = _mm512_xor_si512(a.mid, b.mid),
        .high = _mm512_xor_si512(a.high, b.high),
    };
}

/* Four reductions at once, as pv_reduce(). */
static __m512i reduce4(struct products p)
{
    const __m512i poly = _mm512_set1_epi64((long long)0xc200000000000000u);
    __m512i low = _mm512_xor_si512(p.low, _mm512_bslli_epi128(p.mid, 8));
    __m512i high = _mm512_xor_si512(p.high, _mm512_bsrli_epi128(p.mid, 8));
    low = _mm512_xor_si512(_mm512_shuffle_epi32(low, _MM_PERM_BADC),
                           _mm512_clmulepi64_epi128(low, poly, 0x10));
    low = _mm512_xor_si512(_mm512_shuffle_epi32(low, _MM_PERM_BADC),
                           _mm512_clmulepi64_epi128(low, poly, 0x10));
    return _mm512_xor_si512(low, high);
}

static __m128i fold(__m512i v)
{
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* The sum of the four products. */
static struct pv_product fold_products(struct products p)
{
    return (struct pv_product){fold(p.low), fold(p.mid), fold(p.high)};
}

static bool set_keys(struct cgo_state *s, const uint8_t *keys)
{
    struct avx512_keys *k = keys_of(s);
    size_t half = (size_t)s->key_len + 16;
    aes_expand(k->kb, keys, s->key_len);
    aes_expand(k->k, keys + half, s->key_len);
    k->b = x86_load(keys + half + s->key_len);

    __m128i p1 = x86_load(keys + s->key_len);
    __m128i p2 = pv_dot(p1, p1), p3 = pv_dot(p2, p1), p4 = pv_dot(p2, p2);
    __m512i by4 = _mm512_broadcast_i32x4(p4);
    __m512i p4_1 = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(p3, p4)),
                                      _mm256_set_m128i(p1, p2), 1);
    __m512i p8_5 = reduce4(mul4(p4_1, by4));
    __m512i by8 = _mm512_shuffle_i64x2(p8_5, p8_5, 0);
    _mm512_storeu_si512(&k->ku[12], p4_1);
    _mm512_storeu_si512(&k->ku[8], p8_5);
    _mm512_storeu_si512(&k->ku[4], reduce4(mul4(p4_1, by8)));
    _mm512_storeu_si512(&k->ku[0], reduce4(mul4(p8_5, by8)));
    return true;
}

/* Which bytes of a group lie in the |left| bytes that remain. */
static __mmask64 bytes_of(size_t left)
{
    return left >= GROUP_LEN ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
}

/* The mask of ET: POLYVAL_KU(T' | cmd | X_R). */
static __m128i et_mask(const struct cgo_state *s, const struct avx512_keys *k, uint8_t cmd,
                       const uint8_t *body)
{
    /* In memory the byte before X_R is the last of X_L: hash that, and correct it by what cmd differs. */
    const uint8_t *p = body + CGO_TAG_LEN - 1;
    size_t left = (size_t)s->rest_len + 1;
    __m128i acc = pv_dot(x86_load(s->t_prime), k->ku[POWERS - 1]);
    acc = _mm_xor_si128(acc, _mm_cvtsi32_si128(cmd ^ p[0]));

    while (left >= POWERS * 16) {
        struct products sum = mul4(_mm512_loadu_si512(p), _mm512_loadu_si512(k->ku));
        X86_UNROLL
        for (size_t i = 1; i < 4; i++) {
            sum = add4(sum, mul4(_mm512_loadu_si512(p + GROUP_LEN * i),
                                 _mm512_loadu_si512(k->ku + 4 * i)));
        }
        acc = pv_reduce(pv_add(pv_mul(acc, k->ku[0]), fold_products(sum)));
        p += POWERS * 16;
        left -= POWERS * 16;
    }
    if (left > 0) {
        const __m128i *power = &k->ku[POWERS - (left + 15) / 16];
        struct pv_product from_acc = pv_mul(acc, power[0]);
        struct products sum = {_mm512_setzero_si512(), _mm512_setzero_si512(),
                               _mm512_setzero_si512()};
        while (left > 0) {
            __m512i x = _mm512_maskz_loadu_epi8(bytes_of(left), p);
            sum = add4(sum, mul4(x, _mm512_loadu_si512(power)));
            power += 4;
            p += left < GROUP_LEN ? left : GROUP_LEN;
            left -= left < GROUP_LEN ? left : GROUP_LEN;
        }
        acc = pv_reduce(pv_add(from_acc, fold_products(sum)));
    }
    return acc;
}

static __m128i counter(const struct cgo_state *s, const struct avx512_keys *k, __m128i x)
{
    const __m128i keep = _mm_insert_epi8(_mm_set1_epi8(-1), s->counter_keep, 15);
    return _mm_and_si128(pv_dot(x, k->b), keep);
}

/* |v| added to the last byte of each block. */
static __m512i add_last(__m512i c, unsigned v)
{
    return _mm512_add_epi32(c, _mm512_maskz_set1_epi32(0x8888, (int)(v << 24)));
}

/* Four counters through AES. */
static __m512i ctr4(const __m128i *rk, unsigned rounds, __m512i c)
{
    __m512i x = _mm512_xor_si512(c, _mm512_broadcast_i32x4(rk[0]));
    for (unsigned r = 1; r < rounds; r++) {
        x = _mm512_aesenc_epi128(x, _mm512_broadcast_i32x4(rk[r]));
    }
    return _mm512_aesenclast_epi128(x, _mm512_broadcast_i32x4(rk[rounds]));
}

/* AES-CTR under K from counter |c| + |skip|, whose last byte does not overflow, onto |dst|. */
static void ctr_xor(const struct avx512_keys *k, unsigned rounds, __m128i c, uint8_t skip,
                    uint8_t *dst, size_t len)
{
    const __m128i *rk = k->k;
    __m512i c0 = _mm512_add_epi32(
        _mm512_broadcast_i32x4(c),
        _mm512_set_epi32(3 << 24, 0, 0, 0, 2 << 24, 0, 0, 0, 1 << 24, 0, 0, 0, 0, 0, 0, 0));
    c0 = add_last(c0, skip);
    while (len >= 4 * GROUP_LEN) {
        __m512i x[4], key = _mm512_broadcast_i32x4(rk[0]);
        X86_UNROLL
        for (unsigned i = 0; i < 4; i++) {
            x[i] = _mm512_xor_si512(add_last(c0, 4 * i), key);
        }
        for (unsigned r = 1; r < rounds; r++) {
            key = _mm512_broadcast_i32x4(rk[r]);
            X86_UNROLL
            for (unsigned i = 0; i < 4; i++) {
                x[i] = _mm512_aesenc_epi128(x[i], key);
            }
        }
        key = _mm512_broadcast_i32x4(rk[rounds]);
        X86_UNROLL
        for (unsigned i = 0; i < 4; i++) {
            x[i] = _mm512_aesenclast_epi128(x[i], key);
            x[i] = _mm512_xor_si512(x[i], _mm512_loadu_si512(dst + GROUP_LEN * i));
            _mm512_storeu_si512(dst + GROUP_LEN * i, x[i]);
        }
        c0 = add_last(c0, 16);
        dst += 4 * GROUP_LEN;
        len -= 4 * GROUP_LEN;
    }
    while (len > 0) {
        __mmask64 m = bytes_of(len);
        __m512i x = ctr4(rk, rounds, c0);
        x = _mm512_xor_si512(x, _mm512_maskz_loadu_epi8(m, dst));
        _mm512_mask_storeu_epi8(dst, m, x);
        c0 = add_last(c0, 4);
        dst += len < GROUP_LEN ? len : GROUP_LEN;
        len -= len < GROUP_LEN ? len : GROUP_LEN;
    }
}

static void enc(struct cgo_state *s, uint8_t cmd, uint8_t *body)
{
    const struct avx512_keys *k = keys_of(s);
    unsigned rounds = aes_rounds(s->key_len);
    __m128i mask = et_mask(s, k, cmd, body);
    __m128i x_l = _mm_xor_si128(x86_load(body), mask);
    x_l = _mm_xor_si128(aes_enc1(k->kb, rounds, x_l), mask);
    x86_store(body, x_l);
    ctr_xor(k, rounds, counter(s, k, x_l), 0, body + CGO_TAG_LEN, s->rest_len);
}

static void dec(struct cgo_state *s, uint8_t cmd, uint8_t *body)
{
    const struct avx512_keys *k = keys_of(s);
    unsigned rounds = aes_rounds(s->key_len);
    __m128i x_l = x86_load(body);
    ctr_xor(k, rounds, counter(s, k, x_l), 0, body + CGO_TAG_LEN, s->rest_len);
    __m128i mask = et_mask(s, k, cmd, body);
    x_l = aes_dec1(k->kb, rounds, _mm_xor_si128(x_l, mask));
    x86_store(body, _mm_xor_si128(x_l, mask));
}

static void update_stream(struct cgo_state *s, uint8_t *out)
{
    const struct avx512_keys *k = keys_of(s);
    size_t len = 2 * ((size_t)s->key_len + 16) + CGO_TAG_LEN;
    memset(out, 0, len);
    ctr_xor(k, aes_rounds(s->key_len), counter(s, k, x86_load(s->n)), s->rest_blocks, out, len);
}

const struct cgo_impl cgo_impl_x86_avx512 = {
    .name = "vaes-avx512",
    .usable = usable,
    .set_keys = set_keys,
    .enc = enc,
    .dec = dec,
    .update_stream = update_stream,
};
