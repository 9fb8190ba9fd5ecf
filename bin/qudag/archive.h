/*
 * archive.h - the files that make a node, one behind the other: what an export holds.
 *
 *   name length (2) | name | length (4) | content ...      names: identity, names, qudag.conf, network, state/NAME
 *
 * Numbers are big-endian.  An archive comes from a file that others may have changed: names are of a list, so that
 * none leads out of the folder.
 */
#ifndef QUDAG_BIN_ARCHIVE_H
#define QUDAG_BIN_ARCHIVE_H

#include "common/vault.h"

#define ARCHIVE_MAX (64u << 20)
#define ARCHIVE_NAME_MAX (6 + VAULT_NAME_MAX)

struct archive {
    uint8_t *base; /* secret: wiped when it moves or is freed */
    size_t len, cap;
};

void archive_free(struct archive *a);
/* Room for |more| bytes; false: no memory, or more than ARCHIVE_MAX. */
bool archive_room(struct archive *a, size_t more);
/* Appends a copy; false as above, or the name is too long. */
bool archive_add(struct archive *a, const char *name, const uint8_t *base, size_t len);
/* The entry at |*at| (0: the first), borrowed; false: there is none, and *at == len only at the proper end. */
bool archive_next(const uint8_t *base, size_t len, size_t *at, char name[ARCHIVE_NAME_MAX + 1],
                  const uint8_t **bytes, size_t *n);
/* Whether an archive may contain that name: what a node's folder has, and no path out of it. */
bool archive_may_hold(const char *name);
/* Whether it ends properly, each entry may be there, and one of them is an identity that loads. */
bool archive_whole(const uint8_t *base, size_t len);

#endif
