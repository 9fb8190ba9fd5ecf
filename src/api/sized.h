/* sized.h - structures of programs that begin with their size (types.h). */
#ifndef QUDAG_SRC_API_SIZED_H
#define QUDAG_SRC_API_SIZED_H

#include <qudag/error.h>

#include <stdbool.h>
#include <stddef.h>

/*
 * Copies a structure that begins with its size from the program; |full| holds our defaults, which stay where an older
 * program sets nothing.  QUDAG_EINVAL: its size is not one; QUDAG_EUNSUPPORTED: a newer program sets what we do not
 * know.
 */
QUDAG_MUST_USE qudag_err api_sized_in(void *full, size_t full_size, const void *in);
/* The same towards the program, as much as its size has room for; false: its size is not one. */
QUDAG_MUST_USE bool api_sized_out(void *out, const void *full, size_t full_size);

#endif
