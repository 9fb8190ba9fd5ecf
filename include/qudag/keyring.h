/*
 * keyring.h - secrets at rest: what a node keeps on disk, encrypted under a passphrase.
 *
 * A keyring has a random data key.  Its saved form contains that key wrapped with a passphrase (Argon2id,
 * ChaCha20-Poly1305); items - the saved form of an identity, what the callback |save| is given - are sealed with the
 * data key under their names.  So another passphrase changes the saved form of the keyring and no item.
 *
 *     qudag_keyring_open(&k, file, passphrase);
 *     qudag_keyring_unseal(k, "identity", sealed, bytes, sizeof(bytes), &len);
 *     qudag_identity_load(&id, (qudag_slice){bytes, len});
 *
 * Functions here may be called on any thread, for one keyring on one at a time.  Bytes that are handed in or out are
 * the caller's to wipe.
 */
#ifndef QUDAG_KEYRING_H
#define QUDAG_KEYRING_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_KEYRING_LEN 84      /* bytes of the saved form; no secret without the passphrase */
#define QUDAG_SEALED_EXTRA 56     /* bytes by which an item becomes longer */
#define QUDAG_SEALED_NAME_MAX 40  /* a hidden name, with NUL */
#define QUDAG_PASSPHRASE_MAX 1024 /* bytes */
#define QUDAG_ITEM_NAME_MAX 256   /* bytes of the name of an item */

typedef struct qudag_keyring qudag_keyring;

/* Whether all items are sealed.  A program that stops in between finds out, and goes on. */
typedef enum qudag_keyring_state {
    QUDAG_KEYRING_WHOLE,   /* all are: an item that is not was put there by somebody else */
    QUDAG_KEYRING_SEALING, /* a passphrase was given; some may not be sealed yet */
    QUDAG_KEYRING_OPENING, /* it is being taken away; some may not be sealed any more */
} qudag_keyring_state;

/* What one guess of the passphrase costs, and each opening. */
typedef struct qudag_keyring_cost {
    uint32_t size; /* set by the caller, see types.h */
    uint32_t kib;  /* memory of Argon2id: 1024 to 1048576; default 65536 */
    uint32_t
        passes; /* over it: with |kib| at most 8388608 together; default 16, about half a second */
    uint32_t pad;
} qudag_keyring_cost;

/* Draws a new data key.  *out is the caller's, freed by qudag_keyring_free, and NULL on error: QUDAG_ENOMEM. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_keyring_new(qudag_keyring **out);
/*
 * From the saved form.  *out as above, and NULL on error: QUDAG_EAUTH (another passphrase, or the bytes were changed),
 * QUDAG_EMALFORMED (no keyring), QUDAG_EUNSUPPORTED (of a later version, or of a cost that is out of range),
 * QUDAG_EINVAL (an empty passphrase, or one that is too long), QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_keyring_open(qudag_keyring **out, qudag_slice file,
                                                      qudag_slice passphrase);
/*
 * Writes the saved form, QUDAG_KEYRING_LEN bytes, under |passphrase|; |cost| NULL: the default.  QUDAG_EINVAL: the
 * passphrase or the cost; QUDAG_ENOMEM.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_keyring_save(const qudag_keyring *k,
                                                      qudag_slice passphrase,
                                                      const qudag_keyring_cost *cost, uint8_t *dst);
/* What the saved form said, or was set last; it is part of what qudag_keyring_save() writes. */
QUDAG_API qudag_keyring_state qudag_keyring_get_state(const qudag_keyring *k);
/* Sets it: QUDAG_EINVAL for another value. */
QUDAG_API qudag_err qudag_keyring_set_state(qudag_keyring *k, qudag_keyring_state state);
/* Wipes and frees.  NULL allowed. */
QUDAG_API void qudag_keyring_free(qudag_keyring *k);

/* Whether these bytes begin as a sealed item does. */
QUDAG_API bool qudag_keyring_is_sealed(qudag_slice bytes);
/*
 * Seals |plain| under |name| into |dst|, plain.len + QUDAG_SEALED_EXTRA bytes, each time differently.  QUDAG_ETOOBIG:
 * |cap| is less; QUDAG_EINVAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_keyring_seal(const qudag_keyring *k, const char *name,
                                                      qudag_slice plain, uint8_t *dst, size_t cap,
                                                      size_t *len);
/*
 * Opens what was sealed under |name|.  QUDAG_EAUTH: damaged, sealed under another name or by another keyring;
 * QUDAG_EMALFORMED: not sealed; QUDAG_ETOOBIG: |cap| is less than item.len - QUDAG_SEALED_EXTRA; QUDAG_EINVAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_keyring_unseal(const qudag_keyring *k, const char *name,
                                                        qudag_slice item, uint8_t *dst, size_t cap,
                                                        size_t *len);
/*
 * A name that does not tell |name| to who lacks the passphrase, the same each time: "sealed-" and 32 digits of base 16.
 * Names of what a node saves contain parts of dark addresses.
 */
QUDAG_API void qudag_keyring_hide_name(const qudag_keyring *k, const char *name,
                                       char dst[QUDAG_SEALED_NAME_MAX]);

#ifdef __cplusplus
}
#endif
#endif
