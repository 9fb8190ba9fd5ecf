/* wipe.h - secrets: wiping and constant-time comparison. */
#ifndef QUDAG_SRC_BASE_WIPE_H
#define QUDAG_SRC_BASE_WIPE_H

#include "base/types.h"

/* Overwrites |len| bytes at |p| with zero; the compiler may not remove it. */
void wipe(void *p, size_t len);

/* Whether the |len| bytes at |a| and |b| are equal, in time that depends on |len| only. */
bool ct_equal(const void *a, const void *b, size_t len);

/* Whether all |len| bytes are zero, in time that depends on |len| only. */
bool ct_is_zero(const void *a, size_t len);

#endif
