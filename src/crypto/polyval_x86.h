/*
 * polyval_x86.h - the field of POLYVAL (RFC 8452, section 3) with PCLMULQDQ, for the *_x86*.c files.
 *
 * dot(a, b) = a * b * x^-128 modulo x^128 + x^127 + x^126 + x^121 + 1.  The 256-bit product is kept in
 * three parts, low | mid | high with mid overlapping both, so that many products can be added up
 * before one reduction.
 */
#ifndef QUDAG_SRC_CRYPTO_POLYVAL_X86_H
#define QUDAG_SRC_CRYPTO_POLYVAL_X86_H

#include <wmmintrin.h>

struct pv_product {
    __m128i low, mid, high;
};

static inline struct pv_product pv_mul(__m128i a, __m128i b)
{
    return (struct pv_product){
        .low = _mm_clmulepi64_si128(a, b, 0x00),
        .mid = _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10)),
        .high = _mm_clmulepi64_si128(a, b, 0x11),
    };
}

static inline struct pv_product pv_add(struct pv_product a, struct pv_product b)
{
    return (struct pv_product){
        .low = _mm_xor_si128(a.low, b.low),
        .mid = _mm_xor_si128(a.mid, b.mid),
        .high = _mm_xor_si128(a.high, b.high),
    };
}

static inline __m128i pv_reduce(struct pv_product p)
{
    /* x^127 + x^126 + x^121, the part of the polynomial that crosses words, as x^64 times this */
    const __m128i poly = _mm_set_epi64x((long long)0xc200000000000000u, 0);
    __m128i low = _mm_xor_si128(p.low, _mm_slli_si128(p.mid, 8));
    __m128i high = _mm_xor_si128(p.high, _mm_srli_si128(p.mid, 8));

    /* add the multiples of the polynomial that cancel the lowest word, twice */
    low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, poly, 0x10));
    low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, poly, 0x10));
    return _mm_xor_si128(low, high);
}

static inline __m128i pv_dot(__m128i a, __m128i b)
{
    return pv_reduce(pv_mul(a, b));
}

#endif
