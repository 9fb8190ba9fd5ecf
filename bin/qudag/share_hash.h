/* share_hash.h - BLAKE3 of files, remembered as long as they stay as they are. */
#ifndef QUDAG_BIN_SHARE_HASH_H
#define QUDAG_BIN_SHARE_HASH_H

#include <blake3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define SHARE_HASH_LEN BLAKE3_OUT_LEN
#define SHARE_HASHES_MAX 200000 /* remembered; those beyond are computed each time */
#define SHARE_TAG_LEN 16        /* characters, without the 0 */

struct share_hashes;

/* NULL: out of memory. */
struct share_hashes *share_hashes_new(void);
void share_hashes_free(struct share_hashes *h);

/* What is known of the file of |st|: true, and |out|.  A file that was written to since is another one.  From any
 * thread, as the next. */
bool share_hashes_get(struct share_hashes *h, const struct stat *st, uint8_t out[SHARE_HASH_LEN]);
void share_hashes_put(struct share_hashes *h, const struct stat *st,
                      const uint8_t hash[SHARE_HASH_LEN]);

/*
 * A word that changes whenever the file of |st| does, for the header ETag (RFC 9110, 8.8.3): 64 bits of a keyed hash of
 * what the file system says of it.  |key| is drawn for each share, so that neither times nor numbers show.
 */
void share_hash_tag(char out[SHARE_TAG_LEN + 1], const uint8_t key[BLAKE3_KEY_LEN],
                    const struct stat *st);

#endif
