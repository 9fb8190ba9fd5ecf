/* json.c - text as JSON. */
#include "json.h"

#include <qudag/qudag.h>

#include <string.h>

static void escape(FILE *to, uint32_t cp)
{
    if (cp == '\n' || cp == '\t') {
        (void)fputs(cp == '\n' ? "\\n" : "\\t", to);
    } else if (cp > 0xffff) { /* a surrogate pair */
        (void)fprintf(to, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (cp >> 10)),
                      (unsigned)(0xdc00 + (cp & 0x3ff)));
    } else {
        (void)fprintf(to, "\\u%04x", (unsigned)cp);
    }
}

void json_text_len(FILE *to, const char *text, size_t len)
{
    const uint8_t *at = (const uint8_t *)text;
    (void)fputc('"', to);
    while (len > 0) {
        uint32_t cp;
        size_t n = qudag_utf8_next(at, len, &cp);
        if (cp == QUDAG_UTF8_MALFORMED) {
            (void)fputs("\xef\xbf\xbd", to);
        } else if (cp == '"' || cp == '\\') {
            (void)fprintf(to, "\\%c", (char)cp);
        } else if (!qudag_utf8_printable(cp)) {
            escape(to, cp);
        } else {
            (void)fwrite(at, 1, n, to);
        }
        at += n;
        len -= n;
    }
    (void)fputc('"', to);
}

void json_text(FILE *to, const char *text)
{
    json_text_len(to, text, strlen(text));
}
