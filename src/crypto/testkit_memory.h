/*
 * testkit_memory.h - OpenSSL without memory, for the tests of what stands on it.
 *
 * Each test program has counters of its own: included once, behind stdlib.h, by the file with main().
 */
#ifndef QUDAG_SRC_CRYPTO_TESTKIT_MEMORY_H
#define QUDAG_SRC_CRYPTO_TESTKIT_MEMORY_H

#include "base/types.h"

#include <openssl/crypto.h>

#define NEVER UINT64_MAX

static uint64_t allowed = NEVER; /* allocations until one fails */
static unsigned failed;          /* how often one did */

static inline bool memory_fails(void)
{
    if (allowed == NEVER || allowed-- > 0) {
        return false;
    }
    allowed = NEVER; /* one only */
    failed++;
    return true;
}

static inline void *memory_take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return memory_fails() ? NULL : malloc(size);
}

static inline void *memory_grow(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return memory_fails() ? NULL : realloc(p, size);
}

static inline void memory_give(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

/* Before anything else of OpenSSL; false: it was too late. */
static inline bool memory_install(void)
{
    return CRYPTO_set_mem_functions(memory_take, memory_grow, memory_give) == 1;
}

#endif
