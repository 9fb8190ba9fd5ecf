/*
 * names.h - petnames: names that the user of this node gave to dark addresses.
 *
 *   DIR/names     a line each: NAME ADDRESS
 *
 * They mean something on this node only, and are never sent anywhere.  NAME.dark has one label and an address two, so
 * that one is never taken for the other.
 */
#ifndef QUDAG_BIN_NAMES_H
#define QUDAG_BIN_NAMES_H

#include "common/fileio.h"
#include "common/vault.h"

#include <qudag/qudag.h>

#define NAMES_MAX 1000
#define NAMES_WHY_LEN VAULT_WHY_LEN

struct name {
    char name[QUDAG_PETNAME_MAX + 1]; /* in lower case */
    char addr[QUDAG_DARK_TEXT_MAX];
};
struct names {
    struct vault *vault;
    char path[PATH_LEN];
    struct name *v; /* by name */
    size_t n;
    bool broken;             /* the file is not readable, and stays as it is */
    char why[NAMES_WHY_LEN]; /* what failed last, as a sentence */
};

/*
 * Reads DIR/names of |vault|, which is borrowed; without that file there are none.  False: n->why says what is wrong
 * with it.
 */
bool names_load(struct names *n, struct vault *vault);
/* Frees the table; zeroed memory is allowed. */
void names_free(struct names *n);

/*
 * Whether |text| is NAME.dark or, with |bare|, NAME; |out| gets the name in lower case, and is empty otherwise.  False
 * for what is more or less than one label, also for addresses; whether it is a name that may be given is another
 * question (qudag_petname_valid).
 */
bool names_is(const char *text, bool bare, char out[QUDAG_PETNAME_MAX + 1]);
/* The address of |name|; NULL: there is no such name. */
const char *names_find(const struct names *n, const char *name);
/*
 * Gives |name| to |addr| and keeps it on disk.  QUDAG_EINVAL: no petname; what qudag_dark_check() returns;
 * QUDAG_EEXISTS: of another address; QUDAG_ELIMIT; QUDAG_ESYSTEM, QUDAG_ESTATE: n->why says the cause; QUDAG_ENOMEM.
 */
qudag_err names_add(struct names *n, const char *name, const char *addr);
/* Takes it away again.  QUDAG_ENOTFOUND; QUDAG_ESYSTEM, QUDAG_ESTATE as above. */
qudag_err names_remove(struct names *n, const char *name);

#endif
