/*
 * aes_x86.h - AES (FIPS 197) key schedule and single blocks with AES-NI, for the *_x86*.c files.
 *
 * The schedule avoids AESKEYGENASSIST, which is slow: when all four columns of a block are the same
 * word, ShiftRows changes nothing, so AESENCLAST with a round constant as its key is SubWord and the
 * addition of the constant in one step.
 */
#ifndef QUDAG_SRC_CRYPTO_AES_X86_H
#define QUDAG_SRC_CRYPTO_AES_X86_H

#include "base/types.h"

#include <cpuid.h>
#include <tmmintrin.h>
#include <wmmintrin.h>

#define AES_ROUND_KEYS_MAX 15

/* Before a loop over blocks in flight: unless it is unrolled they live in memory, not in registers. */
#if defined(__clang__)
#define X86_UNROLL _Pragma("clang loop unroll(full)")
#else
#define X86_UNROLL _Pragma("GCC unroll 8")
#endif

/* Whether AES comes on wider registers than 128 bits. */
static inline bool x86_has_vaes(void)
{
#if defined(__clang__)
    /* no name for it before clang 19; CPUID is slow in virtual machines, hence not the first choice */
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & bit_VAES) != 0;
#else
    return __builtin_cpu_supports("vaes");
#endif
}

static inline __m128i x86_load(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

static inline void x86_store(void *p, __m128i v)
{
    _mm_storeu_si128((__m128i *)p, v);
}

/* Rounds for a key of |key_len| bytes. */
static inline unsigned aes_rounds(size_t key_len)
{
    return (unsigned)(key_len / 4) + 6;
}

/* Each word of |k| xored with all words before it. */
static inline __m128i aes_prefix(__m128i k)
{
    k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
    return _mm_xor_si128(k, _mm_slli_si128(k, 8));
}

/* The round key after |before|, |last| being the one that came last; |pick| chooses its word. */
static inline __m128i aes_next_key(__m128i before, __m128i last, __m128i pick, int rcon)
{
    __m128i g = _mm_aesenclast_si128(_mm_shuffle_epi8(last, pick), _mm_set1_epi32(rcon));
    return _mm_xor_si128(aes_prefix(before), g);
}

static inline void aes_expand(__m128i rk[AES_ROUND_KEYS_MAX], const uint8_t *key, size_t key_len)
{
    static const uint8_t rcon[10] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36};
    const __m128i word3 = _mm_set1_epi32(0x0f0e0d0c);
    const __m128i word3_rotated = _mm_set1_epi32(0x0c0f0e0d);

    rk[0] = x86_load(key);
    if (key_len == 16) {
        for (size_t i = 1; i <= 10; i++) {
            rk[i] = aes_next_key(rk[i - 1], rk[i - 1], word3_rotated, rcon[i - 1]);
        }
        return;
    }
    rk[1] = x86_load(key + 16);
    for (size_t i = 2; i <= 12; i += 2) {
        rk[i] = aes_next_key(rk[i - 2], rk[i - 1], word3_rotated, rcon[i / 2 - 1]);
        rk[i + 1] = aes_next_key(rk[i - 1], rk[i], word3, 0);
    }
    rk[14] = aes_next_key(rk[12], rk[13], word3_rotated, rcon[6]);
}

static inline __m128i aes_enc1(const __m128i *rk, unsigned rounds, __m128i x)
{
    x = _mm_xor_si128(x, rk[0]);
    for (unsigned r = 1; r < rounds; r++) {
        x = _mm_aesenc_si128(x, rk[r]);
    }
    return _mm_aesenclast_si128(x, rk[rounds]);
}

/* The round keys of decryption are made on the way: AESIMC is off the critical path. */
static inline __m128i aes_dec1(const __m128i *rk, unsigned rounds, __m128i x)
{
    x = _mm_xor_si128(x, rk[rounds]);
    for (unsigned r = rounds - 1; r > 0; r--) {
        x = _mm_aesdec_si128(x, _mm_aesimc_si128(rk[r]));
    }
    return _mm_aesdeclast_si128(x, rk[0]);
}

#endif
