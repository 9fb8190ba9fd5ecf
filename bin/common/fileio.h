/* fileio.h - files and folders, and words about them. */
#ifndef QUDAG_BIN_FILEIO_H
#define QUDAG_BIN_FILEIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PATH_LEN 1024

/* dir/name; false if it does not fit. */
bool path_join(char out[PATH_LEN], const char *dir, const char *name);
/* The state folder: |option|, else $XDG_STATE_HOME/qudag, else ~/.local/state/qudag; absolute. */
bool path_state_dir(char out[PATH_LEN], const char *option);

/* These answer 0 or an errno. */
int dir_make(const char *path, mode_t mode); /* with its parents; an existing folder is fine */

/* Syncs a folder, so that files made or renamed in it survive a crash. */
int dir_sync(const char *path);

/* *out is the caller's, one byte longer than *len and ending in 0.  EFBIG: more than |max|. */
int file_read(const char *path, size_t max, uint8_t **out, size_t *len);
/* All or nothing: written beside, synced, renamed over. */
int file_write_atomic(const char *path, const void *base, size_t len, mode_t mode);

/* Makes |uid| the owner of what |path| names, and of nothing that a link there leads to. */
int file_give(const char *path, uid_t uid);

/* Writes all of it, in as many pieces as it takes. */
int fd_write_all(int fd, const void *base, size_t len);

/*
 * Opens /dev/null for each of the descriptors 0 to 2 that is closed, so that no file opened later becomes standard
 * output.  To be called first in main().  False: /dev/null cannot be opened, and nothing should be.
 */
bool fd_fill_standard(void);

/* Digits: hex needs 2 * len + 1 characters. */
void text_hex(char *out, const uint8_t *base, size_t len);
bool text_unhex(uint8_t *out, size_t len, const char *hex); /* exactly |len| bytes */
/* "1.5 MiB" */
void text_bytes(char out[16], uint64_t n);
/* "1.234 s", "12.3 ms", "45 us" */
void text_ns(char out[16], uint64_t ns);
/* RFC 3339, UTC, milliseconds. */
void text_time(char out[32], int64_t ms);
int64_t now_ms(void);   /* since 1970 */
uint64_t mono_ns(void); /* never goes back */
/* The word of |list| most like |word|; NULL if none is near. */
const char *text_nearest(const char *word, const char *const *list, size_t n);
/* Letters that a terminal or a log takes for commands become '?'. */
void text_tame(char *text);

#endif
