/* name.c - harmless file names. */

#include <qudag/text.h>

#include <string.h>

bool qudag_name_char(uint32_t codepoint)
{
    static const struct {
        uint32_t first, last;
    } invisible[] = {
        {0xad, 0xad},     {0x34f, 0x34f},   {0x61c, 0x61c},   {0x115f, 0x1160}, {0x17b4, 0x17b5},
        {0x180b, 0x180f}, {0x200b, 0x200f}, {0x2028, 0x202f}, {0x2060, 0x206f}, {0x3164, 0x3164},
        {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xe0000, 0xe0fff},
    };
    for (size_t ix = 0; ix < sizeof(invisible) / sizeof(invisible[0]); ix++) {
        if (codepoint >= invisible[ix].first && codepoint <= invisible[ix].last) {
            return false;
        }
    }
    return codepoint != '/' && qudag_utf8_printable(codepoint);
}

void qudag_name_harmless(char out[QUDAG_NAME_MAX + 1], const char *name)
{
    const uint8_t *at = (const uint8_t *)name;
    size_t left = strlen(name), len = 0;
    while (left > 0) {
        uint32_t cp;
        size_t n = qudag_utf8_next(at, left, &cp);
        bool good = qudag_name_char(cp) && !(len == 0 && cp == '.');
        size_t takes = good ? n : 1;
        if (len + takes > QUDAG_NAME_MAX) {
            break;
        }
        if (good) {
            memcpy(out + len, at, n);
        } else {
            out[len] = '_';
        }
        len += takes;
        at += n;
        left -= n;
    }
    while (len > 0 && out[len - 1] == ' ') {
        len--;
    }
    out[len] = 0;
    if (len == 0) {
        memcpy(out, "file", 5);
    }
}
