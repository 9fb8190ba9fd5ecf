/*
 * keyring.h - secrets at rest: a data key that a passphrase wraps, and items sealed with it.
 *
 *   passphrase ─ Argon2id, salt ─▶ wrapping key ─ ChaCha20-Poly1305 ─▶ data key ─ a key for each item ─▶ the item
 *
 *   file  "QUDAGKR1" | state (1) | zero (3) | KiB (4) | passes (4) | salt (16) | wrapped data key (48)
 *   item  "QUDAGSE1" | salt (32) | sealed bytes and tag
 *
 * Numbers are big-endian.  Another passphrase changes the file only.  All before the sealed bytes is associated data,
 * in items their name, too: one cannot be put in another's place.  The key of an item comes from the data key and its
 * salt, which is drawn each time, so that no nonce is ever used twice.
 */
#ifndef QUDAG_SRC_CRYPTO_KEYRING_H
#define QUDAG_SRC_CRYPTO_KEYRING_H

#include "base/rng.h"
#include "base/types.h"

#define KEYRING_FILE_LEN 84
#define KEYRING_ITEM_EXTRA 56 /* bytes that an item becomes longer by */
#define KEYRING_KEY_LEN 32
#define KEYRING_NAME_LEN 16 /* bytes of the name that an item's name becomes */
#define KEYRING_PASSPHRASE_MAX 1024

/* What one guess costs.  By default 64 MiB and about half a second. */
#define KEYRING_KIB_DEFAULT 65536
#define KEYRING_PASSES_DEFAULT 16
#define KEYRING_KIB_MIN 1024
#define KEYRING_KIB_MAX 1048576
#define KEYRING_WORK_MAX                                                                           \
    8388608 /* KiB times passes: a damaged or foreign file does not keep us for minutes */

struct keyring_cost {
    uint32_t kib, passes;
};

/* Whether all items are sealed: in between, what was interrupted is to be gone on with. */
enum keyring_state {
    KEYRING_WHOLE,   /* all are; one that is not was put there by somebody else */
    KEYRING_SEALING, /* some may not be sealed yet */
    KEYRING_OPENING, /* the passphrase is being taken away; some may not be sealed any more */
};

struct keyring {
    uint8_t key[KEYRING_KEY_LEN];
    enum keyring_state state;
};

/* Whether such a cost may be asked of this machine: a pure rule. */
bool keyring_cost_fits(const struct keyring_cost *cost);

/* A new data key, of state WHOLE. */
void keyring_new(struct keyring *k, const struct rng *rng);

/*
 * Wraps the data key for |passphrase|, 1 to KEYRING_PASSPHRASE_MAX bytes.  EINVAL: its length, or |cost| does not fit;
 * ENOMEM.  |out| is zeroed on any error.
 */
QUDAG_MUST_USE qudag_err keyring_save(const struct keyring *k, struct slice passphrase,
                                      const struct keyring_cost *cost, const struct rng *rng,
                                      uint8_t out[KEYRING_FILE_LEN]);
/*
 * Takes the data key out of |file|.  EAUTH: another passphrase, or a file that was changed; EMALFORMED: no such file;
 * EUNSUPPORTED: it asks for more than keyring_cost_fits(), or has a state of a later version; EINVAL: no passphrase;
 * ENOMEM.  |k| is zeroed on any error.  Takes as long and as much as |file| says.
 */
QUDAG_MUST_USE qudag_err keyring_load(struct keyring *k, struct slice file,
                                      struct slice passphrase);

/* Whether these bytes begin as a sealed item does. */
bool keyring_sealed(struct slice bytes);
/* Seals |plain| under |name|; |dst| has room for plain.len + KEYRING_ITEM_EXTRA bytes. */
QUDAG_MUST_USE qudag_err keyring_seal(const struct keyring *k, struct slice name,
                                      struct slice plain, const struct rng *rng, uint8_t *dst);
/*
 * Opens what was sealed under |name|; |dst| has room for item.len - KEYRING_ITEM_EXTRA bytes.  EMALFORMED: not sealed;
 * EAUTH: damaged, of another name, or of another keyring; |dst| is zeroed then.
 */
QUDAG_MUST_USE qudag_err keyring_unseal(const struct keyring *k, struct slice name,
                                        struct slice item, uint8_t *dst);
/* What |name| is called on a disk that shall not tell it: the same each time. */
void keyring_hide_name(const struct keyring *k, struct slice name, uint8_t out[KEYRING_NAME_LEN]);

#endif
