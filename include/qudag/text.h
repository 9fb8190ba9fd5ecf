/* text.h - text that comes from peers, before it reaches a terminal, a log, JSON or the file system. */
#ifndef QUDAG_TEXT_H
#define QUDAG_TEXT_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_UTF8_MALFORMED UINT32_MAX /* from qudag_utf8_next(): no code point */

/* Whether all of |text| is well-formed UTF-8 (RFC 3629); the empty text is.  NUL is a character like others. */
QUDAG_API bool qudag_utf8_valid(qudag_slice text);

/*
 * Decodes the first code point of the |len| bytes at |p| into |*codepoint| and returns how many bytes it
 * takes (1 to 4); 0 only when |len| is 0.
 *
 * Overlong forms, surrogates, values above U+10FFFF, stray continuation bytes and sequences cut short give
 * QUDAG_UTF8_MALFORMED, and the number of bytes to replace by one U+FFFD ("EF BF BD") before going on.
 */
QUDAG_API size_t qudag_utf8_next(const uint8_t *p, size_t len, uint32_t *codepoint);

/*
 * Whether |codepoint| may be shown on a terminal: no control character, no line or paragraph separator, and
 * nothing that changes the direction of writing.  False for QUDAG_UTF8_MALFORMED.
 */
QUDAG_API bool qudag_utf8_printable(uint32_t codepoint);

#define QUDAG_NAME_MAX 200 /* bytes of a file's name that somebody else chose, without NUL */

/* Whether a character may stand in a harmless name: printable, no '/', nothing invisible. */
QUDAG_API bool qudag_name_char(uint32_t codepoint);

/*
 * A harmless file name for |name|, which somebody else chose: no '/', no control or invisible characters, no dot
 * first, no space last, valid UTF-8, at most QUDAG_NAME_MAX bytes, never empty.  What may not stand there becomes '_'.
 */
QUDAG_API void qudag_name_harmless(char out[QUDAG_NAME_MAX + 1], const char *name);

#ifdef __cplusplus
}
#endif
#endif
