/* dark_addr_fuzz.c - text of an address: what is accepted is written again, but for its case. */
#include "core/dark/dark.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_try(const char *text)
{
    char again[DARK_TEXT_MAX];
    struct dark_addr a;

    if (dark_addr_parse(&a, text) != QUDAG_OK) {
        return;
    }
    size_t len = dark_addr_text(again, &a);
    ASSERT(len == strlen(text));
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        ASSERT((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) == again[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    struct dark_addr a = {.network = DARK_NET_MAIN};

    if (size >= sizeof text) {
        size = sizeof text - 1;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    text_try(text);
    if (size < 67) {
        return 0;
    }
    /* An address made of the input, with some of its characters replaced. */
    a.network = data[0] % 3;
    memcpy(a.ed_pk, data + 1, 32);
    memcpy(a.commit, data + 33, 32);
    size_t len = dark_addr_text(text, &a);
    text_try(text);
    for (size_t i = 65; i + 1 < size; i += 2) {
        text[data[i] % len] = (char)data[i + 1];
    }
    text_try(text);
    return 0;
}
