/*
 * files.h - files and folders of this machine, for what the library keeps in a folder of the program's.
 *
 * What returns an int answers 0 or a value of errno.  Paths are absolute or of the working directory, never of a peer.
 */
#ifndef QUDAG_SRC_APP_FILES_H
#define QUDAG_SRC_APP_FILES_H

#include "base/mem.h"

#define FILES_PATH_MAX 1024 /* bytes of a path, with NUL */

/* dir/name; false: it does not fit. */
bool files_join(char out[FILES_PATH_MAX], const char *dir, const char *name);
/* Makes a folder of mode 0700 with its parents; one that exists is fine. */
int files_dir(const char *path);
/*
 * All of a regular file of at most |max| bytes (EFBIG); *out is the caller's, for mem_free(), one byte longer than
 * *len and ending in 0.
 */
int files_read(struct mem *mem, const char *path, size_t max, uint8_t **out, size_t *len);
/* All or nothing, mode 0600: written beside it, synced, renamed over it; |path| has a '/'. */
int files_write(const char *path, const void *base, size_t len);
/* Likewise, but not synced: after a crash there may be less of it, or what was there before.  Waits for no disk. */
int files_write_loose(const char *path, const void *base, size_t len);
/* Writes all of it to |fd|, in as many pieces as it takes. */
int files_put(int fd, const void *base, size_t len);
/* Appends to a file, which is made with mode 0600. */
int files_append(const char *path, const void *base, size_t len);

/* |len| bytes as hex digits, with NUL: 2 * len + 1 characters. */
void files_hex(char *out, const uint8_t *base, size_t len);
/* The reverse; false: not exactly |len| bytes. */
bool files_unhex(uint8_t *out, size_t len, const char *hex);

#endif
