/*
 * testkit_vectors.h - reading the frozen vectors of tests/vectors; unit tests run in the top folder of the source.
 *
 * To be included behind cmocka.h and stdio.h.
 */
#ifndef QUDAG_SRC_WIRE_TESTKIT_VECTORS_H
#define QUDAG_SRC_WIRE_TESTKIT_VECTORS_H

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define VECTORS_MAX (1u << 20)

/* The text of a vector file; free() it. */
static inline char *vectors_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, VECTORS_MAX);

    assert_non_null(f);
    assert_non_null(text);
    size_t len = fread(text, 1, VECTORS_MAX - 1, f);
    assert_true(len > 0 && len < VECTORS_MAX - 1);
    fclose(f);
    return text;
}

/* The hexadecimal value of the next "name" after |at|; its length. */
static inline size_t vectors_hex(const char *at, const char *name, uint8_t *dst, size_t cap)
{
    char key[64];
    size_t len;

    snprintf(key, sizeof key, "\"%s\": \"", name);
    const char *from = strstr(at, key);
    assert_non_null(from);
    from += strlen(key);
    const char *to = strchr(from, '"');
    assert_non_null(to);
    struct slice text = {(const uint8_t *)from, (size_t)(to - from)};
    assert_int_equal(hex_decode(dst, cap, &len, text), QUDAG_OK);
    return len;
}

#endif
