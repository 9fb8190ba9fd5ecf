/* name_fuzz.c - whatever name somebody else chooses, the one it becomes is harmless, valid, and stays itself. */

#include <qudag/qudag.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *name = malloc(size + 1), out[QUDAG_NAME_MAX + 1], again[QUDAG_NAME_MAX + 1];
    if (name == NULL) {
        return 0;
    }
    memcpy(name, data, size);
    name[size] = 0;
    qudag_name_harmless(out, name);
    size_t len = strnlen(out, sizeof(out));
    if (len == 0 || len > QUDAG_NAME_MAX || out[0] == '.' || out[len - 1] == ' ' ||
        strchr(out, '/') != NULL || !qudag_utf8_valid((qudag_slice){(const uint8_t *)out, len})) {
        abort();
    }
    for (size_t at = 0; at < len;) {
        uint32_t cp;
        at += qudag_utf8_next((const uint8_t *)out + at, len - at, &cp);
        if (!qudag_utf8_printable(cp)) {
            abort();
        }
    }
    qudag_name_harmless(again, out);
    if (strcmp(out, again) != 0) {
        abort();
    }
    free(name);
    return 0;
}
