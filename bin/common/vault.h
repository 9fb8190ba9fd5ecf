/*
 * vault.h - the secret files of a node's folder, plain or encrypted under a passphrase.
 *
 *   DIR/keyring              the wrapped data key (<qudag/keyring.h>); its being there means encrypted
 *   DIR/identity, DIR/names  sealed under "identity", "names"
 *   DIR/state/sealed-HEX     an item: length (1) | NAME | content, sealed under "state/" and the file's name
 *
 * In a plain folder items are called DIR/state/NAME.  Names tell parts of dark addresses, so they are hidden, too.
 *
 * Each change of the folder is one that a crash may interrupt anywhere: keyring says that it goes on (SEALING,
 * OPENING), and the next vault_open() ends it.  Another passphrase is one file that is replaced.
 */
#ifndef QUDAG_BIN_VAULT_H
#define QUDAG_BIN_VAULT_H

#include "common/fileio.h"

#include <qudag/qudag.h>

#define VAULT_ITEM_MAX 65536
#define VAULT_NAME_MAX 255
#define VAULT_WHY_LEN (PATH_LEN + 400)

/* Zeroed before it is opened first. */
struct vault {
    char dir[PATH_LEN];
    qudag_keyring *keys;            /* NULL: nothing is encrypted */
    const qudag_keyring_cost *cost; /* of new passphrases; NULL: the library's */
    char why[VAULT_WHY_LEN];        /* after a failure: cause and what to do */
};

enum vault_answer {
    VAULT_OK,
    VAULT_LOCKED, /* it is encrypted, and no passphrase was given */
    VAULT_WRONG,  /* another passphrase */
    VAULT_FAILED,
};

/* Whether a node of this version keeps an item of that name in state/: it is secret, and encrypted with the rest. */
bool vault_is_item(const char *name);
/* Whether a file of that name in state/ is a sealed item. */
bool vault_is_sealed_name(const char *name);

/* Whether the folder has a keyring. */
bool vault_encrypted(const char *dir);

/*
 * Opens |dir|, which exists.  A plain folder that a passphrase is given for is encrypted.  What an earlier change left
 * half done is ended.  v->why says what is wrong.  |passphrase| of length 0: none.
 */
enum vault_answer vault_open(struct vault *v, const char *dir, qudag_slice passphrase);
/* A folder without a keyring, for tests and what cannot be encrypted. */
void vault_plain(struct vault *v, const char *dir);
/* Frees the key. */
void vault_close(struct vault *v);

/* Encrypts a plain folder.  False: v->why. */
bool vault_encrypt(struct vault *v, qudag_slice passphrase);
/* Another passphrase for an open, encrypted folder. */
bool vault_change(struct vault *v, qudag_slice passphrase);
/* Takes the passphrase away; |passphrase| is the one in force. */
bool vault_decrypt(struct vault *v, qudag_slice passphrase);

/*
 * "identity", "names" or "state/NAME".  0, or an errno with v->why set: ENOENT; EBADMSG: damaged, of another folder, or
 * not encrypted where everything is; ENOKEY: sealed, and there is no keyring.  *out is the caller's, to be wiped.
 */
int vault_read(struct vault *v, const char *name, size_t max, uint8_t **out, size_t *len);
int vault_write(struct vault *v, const char *name, const void *base, size_t len);
int vault_remove(struct vault *v, const char *name);
/* A file of state/ as readdir() named it: its real name, and what it contains.  As vault_read(). */
int vault_read_file(struct vault *v, const char *file, char name[VAULT_NAME_MAX + 1], uint8_t **out,
                    size_t *len);

#endif
