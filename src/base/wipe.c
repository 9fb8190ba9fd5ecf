/*
 * wipe.c - wiping and constant-time comparison.
 *
 * The empty asm statements tell the compiler that the value is used, so that it neither drops a
 * store to memory about to die nor turns the loops into early exits.
 */
#include "base/wipe.h"

#include <string.h>

#if !defined(__GNUC__)
#error "the barriers below need a compiler that understands GNU asm"
#endif

/* An opaque copy of |v|: the compiler cannot know anything about its value. */
static uint32_t hidden(uint32_t v)
{
    __asm__ __volatile__("" : "+r"(v));
    return v;
}

void wipe(void *p, size_t len)
{
    if (len == 0) {
        return;
    }
    memset(p, 0, len);
    __asm__ __volatile__("" : : "r"(p) : "memory");
}

/* 1 when |acc| (0 .. 255) is zero, else 0. */
static bool is_zero(uint32_t acc)
{
    return (bool)((hidden(acc) - 1) >> 31);
}

bool ct_equal(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;
    uint32_t acc = 0;

    for (size_t i = 0; i < len; i++) {
        acc = hidden(acc) | (uint32_t)(x[i] ^ y[i]);
    }
    return is_zero(acc);
}

bool ct_is_zero(const void *a, size_t len)
{
    const uint8_t *x = a;
    uint32_t acc = 0;

    for (size_t i = 0; i < len; i++) {
        acc = hidden(acc) | (uint32_t)x[i];
    }
    return is_zero(acc);
}
