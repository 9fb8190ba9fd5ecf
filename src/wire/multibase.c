/* multibase.c - hex, base32 and base58 come from base/text; base36 and base64url are here. */
#include "wire/multibase.h"

#include "base/text.h"

#include <string.h>

static const char url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t multibase_url_encode(char *dst, size_t cap, struct slice src)
{
    if (src.len > MULTIBASE_TEXT_MAX) {
        return 0;
    }
    size_t len = 1 + (src.len * 8 + 5) / 6;
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t n = 0;

    if (cap <= len) {
        return 0;
    }
    dst[n++] = 'u';
    for (size_t i = 0; i < src.len; i++) {
        acc = (acc << 8 | src.base[i]) & 0xffff;
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            dst[n++] = url_alphabet[acc >> bits & 63];
        }
    }
    if (bits > 0) {
        dst[n++] = url_alphabet[acc << (6 - bits) & 63];
    }
    dst[n] = '\0';
    return n;
}

static int url_value(uint8_t c)
{
    const char *at = c == 0 ? NULL : strchr(url_alphabet, c);

    return at == NULL ? -1 : (int)(at - url_alphabet);
}

static qudag_err url_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        int v = url_value(text.base[i]);
        if (v < 0) {
            return QUDAG_EMALFORMED;
        }
        acc = (acc << 6 | (uint32_t)v) & 0xffff;
        bits += 6;
        if (bits < 8) {
            continue;
        }
        bits -= 8;
        if (n == cap) {
            return QUDAG_ETOOBIG;
        }
        dst[n++] = (uint8_t)(acc >> bits);
    }
    /* A whole character too much, or bits that no encoder sets. */
    if (bits == 6 || (acc & ((1u << bits) - 1)) != 0) {
        return QUDAG_EMALFORMED;
    }
    *len = n;
    return QUDAG_OK;
}

static int base36_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : -1;
}

/* A big number grown from the right end of |dst|; leading zero digits stand for zero bytes. */
static qudag_err base36_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text)
{
    size_t zeros = 0, n = 0;

    while (zeros < text.len && text.base[zeros] == '0') {
        zeros++;
    }
    for (size_t i = zeros; i < text.len; i++) {
        int v = base36_value(text.base[i]);
        if (v < 0) {
            return QUDAG_EMALFORMED;
        }
        uint32_t carry = (uint32_t)v;
        for (size_t j = 0; j < n; j++) {
            carry += (uint32_t)dst[cap - 1 - j] * 36;
            dst[cap - 1 - j] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry != 0) {
            if (n == cap) {
                return QUDAG_ETOOBIG;
            }
            dst[cap - 1 - n] = (uint8_t)carry;
            n++;
        }
    }
    if (zeros > cap - n) {
        return QUDAG_ETOOBIG;
    }
    memmove(dst + zeros, dst + cap - n, n);
    memset(dst, 0, zeros);
    *len = zeros + n;
    return QUDAG_OK;
}

qudag_err multibase_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text)
{
    if (text.len < 2) {
        return QUDAG_EMALFORMED;
    }
    if (text.len > MULTIBASE_TEXT_MAX) {
        return QUDAG_ETOOBIG;
    }
    struct slice body = {text.base + 1, text.len - 1};

    switch (text.base[0]) {
    case 'f':
        return hex_decode(dst, cap, len, body);
    case 'b':
        return base32_decode(dst, cap, len, body);
    case 'k':
        return base36_decode(dst, cap, len, body);
    case 'z':
        return base58_decode(dst, cap, len, body);
    case 'u':
        return url_decode(dst, cap, len, body);
    default:
        return QUDAG_EUNSUPPORTED;
    }
}
