/*
 * text.c - hex, base32 and base58btc.
 *
 * Base58 treats its input as one number, so its work grows with the square of the length: that is
 * why inputs over BASE58_MAX are refused.
 */
#include "base/text.h"

#include <string.h>

#define BASE58_MAX 256 /* bytes of input to either direction */

static const char hex_digits[] = "0123456789abcdef";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char base58_digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/* The value of |c| among |digits|, or -1. */
static int digit_of(const char *digits, uint8_t c)
{
    const char *at = c == 0 ? NULL : strchr(digits, (int)c);

    return at == NULL ? -1 : (int)(at - digits);
}

size_t hex_encode(char *dst, size_t cap, struct slice src)
{
    if (cap == 0 || src.len > (cap - 1) / 2) {
        return 0;
    }
    for (size_t i = 0; i < src.len; i++) {
        dst[2 * i] = hex_digits[src.base[i] >> 4];
        dst[2 * i + 1] = hex_digits[src.base[i] & 15];
    }
    dst[2 * src.len] = '\0';
    return 2 * src.len;
}

static int hex_value(uint8_t c)
{
    return digit_of(hex_digits, c >= 'A' && c <= 'F' ? (uint8_t)(c - 'A' + 'a') : c);
}

qudag_err hex_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text)
{
    *len = 0;
    if (text.len % 2 != 0) {
        return QUDAG_EMALFORMED;
    }
    if (text.len / 2 > cap) {
        return QUDAG_ETOOBIG;
    }
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_value(text.base[i]), low = hex_value(text.base[i + 1]);
        if (high < 0 || low < 0) {
            return QUDAG_EMALFORMED;
        }
        dst[i / 2] = (uint8_t)(high << 4 | low);
    }
    *len = text.len / 2;
    return QUDAG_OK;
}

/* Characters for |len| bytes: 8 for every 5, and what the rest needs. */
static size_t base32_len(size_t len)
{
    return len / 5 * 8 + (len % 5 * 8 + 4) / 5;
}

size_t base32_encode(char *dst, size_t cap, struct slice src)
{
    if (cap == 0 || src.len > SIZE_MAX / 2 || base32_len(src.len) > cap - 1) {
        return 0;
    }
    size_t n = 0;
    uint32_t acc = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < src.len; i++) {
        acc = (acc << 8 | src.base[i]) & 0xffff;
        for (bits += 8; bits >= 5; bits -= 5) {
            dst[n++] = base32_digits[acc >> (bits - 5) & 31];
        }
    }
    if (bits > 0) {
        dst[n++] = base32_digits[acc << (5 - bits) & 31];
    }
    dst[n] = '\0';
    return n;
}

qudag_err base32_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text)
{
    size_t whole = text.len / 8 * 5 + text.len % 8 * 5 / 8;

    *len = 0;
    if (base32_len(whole) != text.len) {
        return QUDAG_EMALFORMED; /* a length no encoder makes */
    }
    if (whole > cap) {
        return QUDAG_ETOOBIG;
    }
    size_t n = 0;
    uint32_t acc = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int v = digit_of(base32_digits, text.base[i]);
        if (v < 0) {
            return QUDAG_EMALFORMED;
        }
        acc = (acc << 5 | (uint32_t)v) & 0xffff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            dst[n++] = (uint8_t)(acc >> bits);
        }
    }
    if ((acc & ((1u << bits) - 1)) != 0) {
        return QUDAG_EMALFORMED;
    }
    *len = n;
    return QUDAG_OK;
}

static size_t leading(struct slice s, uint8_t c)
{
    size_t n = 0;

    while (n < s.len && s.base[n] == c) {
        n++;
    }
    return n;
}

/*
 * Multiplies the little-endian number |v| of |n| digits in base |base| by |mul| and adds |add|.
 * Returns the new number of digits, or |cap| + 1 when they do not fit.
 */
static size_t mul_add(uint8_t *v, size_t n, size_t cap, uint32_t base, uint32_t mul, uint32_t add)
{
    for (size_t i = 0; i < n; i++) {
        add += v[i] * mul;
        v[i] = (uint8_t)(add % base);
        add /= base;
    }
    for (; add > 0; add /= base) {
        if (n == cap) {
            return cap + 1;
        }
        v[n++] = (uint8_t)(add % base);
    }
    return n;
}

size_t base58_encode(char *dst, size_t cap, struct slice src)
{
    uint8_t v[BASE58_MAX * 7 / 5 + 1]; /* log 256 / log 58 < 1.4 */
    size_t zeros = leading(src, 0), n = 0;

    if (cap == 0 || src.len > BASE58_MAX) {
        return 0;
    }
    for (size_t i = zeros; i < src.len; i++) {
        n = mul_add(v, n, sizeof v, 58, 256, src.base[i]);
    }
    if (zeros + n > cap - 1) {
        return 0;
    }
    memset(dst, '1', zeros);
    for (size_t i = 0; i < n; i++) {
        dst[zeros + i] = base58_digits[v[n - 1 - i]];
    }
    dst[zeros + n] = '\0';
    return zeros + n;
}

qudag_err base58_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text)
{
    uint8_t v[BASE58_MAX];
    size_t zeros = leading(text, '1'), n = 0;

    *len = 0;
    if (text.len > BASE58_MAX) {
        return QUDAG_ETOOBIG;
    }
    for (size_t i = zeros; i < text.len; i++) {
        int digit = digit_of(base58_digits, text.base[i]);
        if (digit < 0) {
            return QUDAG_EMALFORMED;
        }
        n = mul_add(v, n, sizeof v, 256, 58, (uint32_t)digit);
    }
    if (zeros + n > cap) {
        return QUDAG_ETOOBIG;
    }
    if (zeros > 0) {
        memset(dst, 0, zeros);
    }
    for (size_t i = 0; i < n; i++) {
        dst[zeros + i] = v[n - 1 - i];
    }
    *len = zeros + n;
    return QUDAG_OK;
}
