/* text.c - the one reader of UTF-8, for programs too. */
#include <qudag/text.h>

#include "api/internal.h"
#include "base/utf8.h"

_Static_assert(QUDAG_UTF8_MALFORMED == UTF8_MALFORMED, "one value, two names");

bool qudag_utf8_valid(qudag_slice text)
{
    return utf8_valid(slice_in(text));
}

size_t qudag_utf8_next(const uint8_t *p, size_t len, uint32_t *codepoint)
{
    return utf8_next(p, len, codepoint);
}

bool qudag_utf8_printable(uint32_t codepoint)
{
    return utf8_codepoint_printable(codepoint);
}
