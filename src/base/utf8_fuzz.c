/*
 * utf8_fuzz.c - any bytes: what is read as a code point is what an encoder writes for it, what is not is
 * skipped by at most three bytes, and text with the rest replaced is valid.
 */
#include "base/assert.h"
#include "base/utf8.h"

#include <string.h>

#define CAP 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t encode(uint8_t out[4], uint32_t cp)
{
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (cp & 0x3f));
        cp >>= 6;
    }
    out[0] = (uint8_t)(n == 1 ? cp : ((0xf0 << (4 - n)) & 0xf0) | cp);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t clean[3 * CAP], one[4];
    size_t len = size < CAP ? size : CAP, n = 0, at = 0;
    bool valid = true, printable = true;

    while (at < len) {
        uint32_t cp;
        size_t took = utf8_next(data + at, len - at, &cp);
        ASSERT(took >= 1 && took <= len - at);
        if (cp == UTF8_MALFORMED) {
            ASSERT(took <= 3);
            valid = printable = false;
            cp = 0xfffd;
        } else {
            ASSERT(encode(one, cp) == took && memcmp(one, data + at, took) == 0);
            printable = printable && utf8_codepoint_printable(cp);
        }
        n += encode(clean + n, cp);
        at += took;
    }
    ASSERT(utf8_valid((struct slice){data, len}) == valid);
    ASSERT(utf8_printable((struct slice){data, len}) == printable);
    ASSERT(utf8_valid((struct slice){clean, n}));
    return 0;
}
