/* utf8.h - UTF-8 as RFC 3629 has it, read strictly. */
#ifndef QUDAG_SRC_BASE_UTF8_H
#define QUDAG_SRC_BASE_UTF8_H

#include "base/types.h"

#define UTF8_MALFORMED UINT32_MAX /* no code point */

/*
 * Decodes the first code point of the |len| bytes at |p| into |*codepoint| and returns how many bytes it
 * takes (1 to 4); 0 only when |len| is 0.  Overlong forms, surrogates, values above U+10FFFF, stray
 * continuation bytes and sequences cut short give UTF8_MALFORMED, and the length of what a decoder
 * replaces by one U+FFFD (Unicode 15, 3.9: the maximal subpart), so that reading can go on behind it.
 */
size_t utf8_next(const uint8_t *p, size_t len, uint32_t *codepoint);

/* Whether all of |s| is well-formed; the empty text is. */
bool utf8_valid(struct slice s);

/*
 * Whether |codepoint| may be shown on a terminal: no control character, no line or paragraph separator, and
 * nothing that changes the direction of writing.
 */
bool utf8_codepoint_printable(uint32_t codepoint);

/* Whether |s| is well-formed and every code point of it may be shown on a terminal. */
bool utf8_printable(struct slice s);

#endif
