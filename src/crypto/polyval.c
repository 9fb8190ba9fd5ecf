/*
 * polyval.c - POLYVAL by masked integer multiplication.
 *
 * A carry-less product is taken from integer products whose factors have only each fourth bit set:
 * at most 16 ones meet in a column, and their carries stay in the three columns between, which are
 * masked away.  (The 16th term of a column exists only at the top of the word, where the carry falls
 * out.)  That gives the low half; the high half is the low half of the bit-reversed factors.
 */
#include "crypto/polyval.h"

#include "base/wipe.h"

#include <string.h>

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

static void store_le64(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint64_t swap_bits(uint64_t v, uint64_t mask, unsigned by)
{
    return ((v & mask) << by) | ((v >> by) & mask);
}

static uint64_t reverse_bits(uint64_t v)
{
    v = swap_bits(v, UINT64_C(0x5555555555555555), 1);
    v = swap_bits(v, UINT64_C(0x3333333333333333), 2);
    v = swap_bits(v, UINT64_C(0x0f0f0f0f0f0f0f0f), 4);
    v = swap_bits(v, UINT64_C(0x00ff00ff00ff00ff), 8);
    v = swap_bits(v, UINT64_C(0x0000ffff0000ffff), 16);
    return (v << 32) | (v >> 32);
}

/* The low 64 bits of the carry-less product; written out, for loops here cost half of the speed. */
static uint64_t clmul_low(uint64_t a, uint64_t b)
{
    const uint64_t m0 = UINT64_C(0x1111111111111111), m1 = m0 << 1, m2 = m0 << 2, m3 = m0 << 3;
    uint64_t a0 = a & m0, a1 = a & m1, a2 = a & m2, a3 = a & m3;
    uint64_t b0 = b & m0, b1 = b & m1, b2 = b & m2, b3 = b & m3;
    uint64_t c0 = (a0 * b0) ^ (a1 * b3) ^ (a2 * b2) ^ (a3 * b1);
    uint64_t c1 = (a0 * b1) ^ (a1 * b0) ^ (a2 * b3) ^ (a3 * b2);
    uint64_t c2 = (a0 * b2) ^ (a1 * b1) ^ (a2 * b0) ^ (a3 * b3);
    uint64_t c3 = (a0 * b3) ^ (a1 * b2) ^ (a2 * b1) ^ (a3 * b0);
    return (c0 & m0) | (c1 & m1) | (c2 & m2) | (c3 & m3);
}

void polyval_init(struct polyval *p, const uint8_t key[POLYVAL_LEN])
{
    p->h[0] = load_le64(key);
    p->h[1] = load_le64(key + 8);
    p->h[2] = p->h[0] ^ p->h[1];
    for (unsigned i = 0; i < 3; i++) {
        p->h_rev[i] = reverse_bits(p->h[i]);
    }
    p->acc[0] = p->acc[1] = 0;
}

/* acc = acc * h * x^-128 modulo x^128 + x^127 + x^126 + x^121 + 1 */
static void multiply(struct polyval *p)
{
    uint64_t a[3] = {p->acc[0], p->acc[1], p->acc[0] ^ p->acc[1]};
    uint64_t low[3], high[3];
    for (unsigned i = 0; i < 3; i++) {
        low[i] = clmul_low(a[i], p->h[i]);
        high[i] = reverse_bits(clmul_low(reverse_bits(a[i]), p->h_rev[i])) >> 1;
    }
    /* Karatsuba: the third product, less the other two, belongs in the middle */
    uint64_t mid_low = low[0] ^ low[1] ^ low[2];
    uint64_t mid_high = high[0] ^ high[1] ^ high[2];
    uint64_t v0 = low[0], v1 = high[0] ^ mid_low, v2 = low[1] ^ mid_high, v3 = high[1];

    /* add multiples of the polynomial that cancel the lowest word, twice */
    v1 ^= (v0 << 63) ^ (v0 << 62) ^ (v0 << 57);
    v2 ^= v0 ^ (v0 >> 1) ^ (v0 >> 2) ^ (v0 >> 7);
    v2 ^= (v1 << 63) ^ (v1 << 62) ^ (v1 << 57);
    v3 ^= v1 ^ (v1 >> 1) ^ (v1 >> 2) ^ (v1 >> 7);
    p->acc[0] = v2;
    p->acc[1] = v3;
}

static void add_block(struct polyval *p, const uint8_t block[16])
{
    p->acc[0] ^= load_le64(block);
    p->acc[1] ^= load_le64(block + 8);
    multiply(p);
}

void polyval_add(struct polyval *p, struct slice data)
{
    while (data.len >= 16) {
        add_block(p, data.base);
        data.base += 16;
        data.len -= 16;
    }
    if (data.len > 0) {
        uint8_t last[16] = {0};
        memcpy(last, data.base, data.len);
        add_block(p, last);
        wipe(last, sizeof(last));
    }
}

void polyval_take(struct polyval *p, uint8_t out[POLYVAL_LEN])
{
    store_le64(out, p->acc[0]);
    store_le64(out + 8, p->acc[1]);
    p->acc[0] = p->acc[1] = 0;
}
