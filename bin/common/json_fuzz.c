/* json_fuzz.c - whatever the bytes, the string is one JSON string of valid UTF-8, and well-formed text survives. */
#include "json.h"

#include <qudag/qudag.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t hex4(const char *at)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t v = 0;
    for (size_t ix = 0; ix < 4; ix++) {
        const char *digit = memchr(digits, at[ix], 16);
        if (digit == NULL) {
            abort();
        }
        v = v << 4 | (uint32_t)(digit - digits);
    }
    return v;
}

/* The code point of the JSON character at |*at|; moves |*at| behind it. */
static uint32_t json_char(const char **at, const char *end)
{
    uint32_t cp;
    if (**at != '\\') {
        size_t n = qudag_utf8_next((const uint8_t *)*at, (size_t)(end - *at), &cp);
        if (cp == QUDAG_UTF8_MALFORMED || cp < 0x20 || cp == '"') {
            abort();
        }
        *at += n;
        return cp;
    }
    char kind = (*at)[1];
    if (kind != 'u') {
        *at += 2;
        if (kind != 'n' && kind != 't' && kind != '"' && kind != '\\') {
            abort();
        }
        return kind == 'n' ? '\n' : kind == 't' ? '\t' : (uint32_t)kind;
    }
    cp = hex4(*at + 2);
    *at += 6;
    if (cp >= 0xd800 && cp < 0xdc00) {
        cp = 0x10000 + ((cp - 0xd800) << 10) + (hex4(*at + 2) - 0xdc00);
        *at += 6;
    }
    return cp;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = NULL;
    size_t len = 0, in = 0;
    FILE *f = open_memstream(&text, &len);
    if (f == NULL) {
        return 0;
    }
    json_text_len(f, (const char *)data, size);
    if (fclose(f) != 0 || len < 2 || text[0] != '"' || text[len - 1] != '"' ||
        !qudag_utf8_valid((qudag_slice){(const uint8_t *)text, len})) {
        abort();
    }
    const char *at = text + 1, *end = text + len - 1;
    while (in < size) {
        uint32_t want, got = at < end ? json_char(&at, end) : UINT32_MAX;
        in += qudag_utf8_next(data + in, size - in, &want);
        if (got != (want == QUDAG_UTF8_MALFORMED ? 0xfffd : want)) {
            abort();
        }
    }
    if (at != end) {
        abort();
    }
    free(text);
    return 0;
}
