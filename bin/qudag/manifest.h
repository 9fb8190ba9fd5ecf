/*
 * manifest.h - the list of a share: names, sizes and hashes, as spec/share.md 2 says.
 *
 *   qudag-share 1                   first
 *   name NAME
 *   hashing BYTES                   as often as it takes: so many bytes are read, and no further file is done
 *   file HASH SIZE PATH             one line for each file
 *   left-out                        some are not listed
 *   end FILES BYTES                 last: what was listed
 */
#ifndef QUDAG_BIN_MANIFEST_H
#define QUDAG_BIN_MANIFEST_H

#include "share_hash.h"
#include "share_path.h"

#define MANIFEST_PATH ".well-known/qudag-share"           /* below the root of the site */
#define MANIFEST_DONE_PATH ".well-known/qudag-share/done" /* POST: all was fetched and checked */
#define MANIFEST_LINE_MAX 4096
#define MANIFEST_FILES_MAX 100000
#define MANIFEST_OTHERS_MAX                                                                        \
    1000000 /* lines of other kinds: "hashing" twice a second for six days */

enum manifest_kind {
    MANIFEST_HEAD,
    MANIFEST_NAME,
    MANIFEST_HASHING,
    MANIFEST_FILE,
    MANIFEST_LEFT_OUT,
    MANIFEST_END
};

struct manifest_line {
    enum manifest_kind kind;
    uint64_t size; /* of the file; HASHING, END: bytes */
    uint64_t files;
    uint8_t hash[SHARE_HASH_LEN];
    char path[PATH_LEN]; /* FILE: the path; NAME: the name, harmless */
};

/* Writes |l| with its line feed and returns its length. */
size_t manifest_write(char out[MANIFEST_LINE_MAX], const struct manifest_line *l);

/* Reads a line of |len| bytes without its line feed; false: it is none, and |out| is not to be used. */
bool manifest_read(struct manifest_line *out, const char *line, size_t len);

/* A list as it comes in.  Its files are kept by |path| and are the caller's to free with manifest_fini(). */
struct manifest_file {
    char *path;
    uint64_t size;
    uint8_t hash[SHARE_HASH_LEN];
};
struct manifest {
    struct manifest_file *file;
    size_t n, cap;
    uint64_t bytes, hashing;
    char name[QUDAG_NAME_MAX + 1];
    size_t others; /* lines that named no file */
    bool begun, named, left_out, ended;
    size_t line_len;
    char line[MANIFEST_LINE_MAX];
};
void manifest_init(struct manifest *m);
void manifest_fini(struct manifest *m);

/* The next |len| bytes; false: this is no list of a share, holds too much, or there is no memory for it. */
bool manifest_push(struct manifest *m, const char *bytes, size_t len);

/* Whether it is complete: its last line came, and counts what came. */
bool manifest_complete(const struct manifest *m);

#endif
