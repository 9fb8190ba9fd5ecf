/*
 * utf8.c - UTF-8 as RFC 3629 has it, read strictly.
 *
 *   first byte   further bytes                        (table 3-7 of the Unicode standard)
 *   00..7F
 *   C2..DF       80..BF
 *   E0           A0..BF  80..BF                       lower: overlong
 *   E1..EC EE EF 80..BF  80..BF
 *   ED           80..9F  80..BF                       higher: surrogates
 *   F0           90..BF  80..BF  80..BF               lower: overlong
 *   F1..F3       80..BF  80..BF  80..BF
 *   F4           80..8F  80..BF  80..BF               higher: above U+10FFFF
 *
 * Only the second byte has bounds of its own, so a malformed sequence is known at its first wrong byte.
 */
#include "base/utf8.h"

/* Bytes that a sequence starting with |first| takes; 0: none starts so. */
static size_t sequence_len(uint8_t first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static bool second_fits(uint8_t first, uint8_t second)
{
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    return second >= low && second <= high;
}

size_t utf8_next(const uint8_t *p, size_t len, uint32_t *codepoint)
{
    *codepoint = UTF8_MALFORMED;
    if (len == 0) {
        return 0;
    }
    size_t n = sequence_len(p[0]);
    if (n == 0) {
        return 1;
    }
    uint32_t v = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (i == len || (i == 1 ? !second_fits(p[0], p[1]) : (p[i] & 0xc0) != 0x80)) {
            return i;
        }
        v = v << 6 | (p[i] & 0x3f);
    }
    *codepoint = v;
    return n;
}

bool utf8_codepoint_printable(uint32_t codepoint)
{
    bool control = codepoint < 0x20 || (codepoint >= 0x7f && codepoint <= 0x9f);
    bool separator = codepoint == 0x2028 || codepoint == 0x2029;
    bool direction = codepoint == 0x061c || codepoint == 0x200e || codepoint == 0x200f ||
                     (codepoint >= 0x202a && codepoint <= 0x202e) ||
                     (codepoint >= 0x2066 && codepoint <= 0x2069);

    return codepoint <= 0x10ffff && !control && !separator && !direction;
}

static bool all(struct slice s, bool (*fits)(uint32_t codepoint))
{
    while (s.len > 0) {
        uint32_t codepoint;
        size_t n = utf8_next(s.base, s.len, &codepoint);
        if (codepoint == UTF8_MALFORMED || (fits != NULL && !fits(codepoint))) {
            return false;
        }
        s.base += n;
        s.len -= n;
    }
    return true;
}

bool utf8_valid(struct slice s)
{
    return all(s, NULL);
}

bool utf8_printable(struct slice s)
{
    return all(s, utf8_codepoint_printable);
}
