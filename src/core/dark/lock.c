/*
 * lock.c - records that only clients with a secret can read (SPEC: dark 3.4).
 *
 *   salt 32 | 48 entries of 32 | sealed { length 2 | target of kind hidden | zeros to the longest }, tag 16
 *
 * Who sees it without a secret, as all do who have the address, learns that there are clients, and nothing of how many,
 * of which of the entries are any, or of whether they are those of yesterday.
 */
#include "core/dark/dark_impl.h"

#include "base/rd.h"
#include "base/utf8.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

#include <string.h>

#define PLAIN_LEN (2 + DARK_HIDDEN_MAX)
#define SALT_LEN 32

_Static_assert(DARK_LOCKED_LEN <= DARK_TARGET_MAX, "it fits into a record");
_Static_assert(DARK_CLIENT_SECRET_LEN == AEAD_KEY_LEN, "entries");

/* What hides the key of the record of |salt| from all but who knows |secret|. */
static void mask_of(uint8_t out[AEAD_KEY_LEN], const uint8_t secret[DARK_CLIENT_SECRET_LEN],
                    const uint8_t salt[SALT_LEN])
{
    uint8_t m[DARK_CLIENT_SECRET_LEN + SALT_LEN];

    memcpy(m, secret, DARK_CLIENT_SECRET_LEN);
    memcpy(m + DARK_CLIENT_SECRET_LEN, salt, SALT_LEN);
    blake3_derive(out, AEAD_KEY_LEN, "qudag dark client v1", (struct slice){m, sizeof m});
    wipe(m, sizeof m);
}

static void xor_into(uint8_t *dst, const uint8_t *with)
{
    for (size_t i = 0; i < AEAD_KEY_LEN; i++) {
        dst[i] ^= with[i];
    }
}

/* The entries: clients at places drawn anew, random bytes at the others. */
static void entries_put(uint8_t out[DARK_CLIENTS_MAX * AEAD_KEY_LEN], const uint8_t *key,
                        const uint8_t *salt, const struct dark_lock *lock)
{
    uint8_t place[DARK_CLIENTS_MAX], mask[AEAD_KEY_LEN];

    rng_fill(lock->rng, out, DARK_CLIENTS_MAX * AEAD_KEY_LEN);
    for (uint8_t i = 0; i < DARK_CLIENTS_MAX; i++) {
        place[i] = i;
    }
    for (uint32_t i = 0; i < lock->clients->n; i++) {
        uint32_t j = i + (uint32_t)rng_below(lock->rng, DARK_CLIENTS_MAX - i);
        uint8_t at = place[j];
        place[j] = place[i];
        mask_of(mask, lock->clients->client[i].secret, salt);
        xor_into(mask, key);
        memcpy(out + at * AEAD_KEY_LEN, mask, sizeof mask);
    }
    wipe(mask, sizeof mask);
}

qudag_err dark_locked_put(struct wr *w, const struct dark_target *t, const struct dark_lock *lock)
{
    static const uint8_t nonce[AEAD_NONCE_LEN]; /* each record has a key of its own */
    uint8_t key[AEAD_KEY_LEN], salt[SALT_LEN], entries[DARK_CLIENTS_MAX * AEAD_KEY_LEN];
    uint8_t plain[PLAIN_LEN] = {0}, sealed[PLAIN_LEN + AEAD_TAG_LEN];
    struct wr in = wr_init(plain, sizeof plain);

    size_t len_at = wr_reserve(&in, 2);
    dark_target_put(&in, t);
    if (!wr_ok(&in) || lock->clients->n > DARK_CLIENTS_MAX) {
        wipe(plain, sizeof plain);
        return QUDAG_ETOOBIG;
    }
    wr_fill_u16(&in, len_at, (uint16_t)(in.len - 2));
    rng_fill(lock->rng, key, sizeof key);
    rng_fill(lock->rng, salt, sizeof salt);
    entries_put(entries, key, salt, lock);
    qudag_err err = aead_seal(sealed, key, nonce, (struct slice){salt, sizeof salt},
                              (struct slice){plain, sizeof plain});
    wr_bytes(w, salt, sizeof salt);
    wr_bytes(w, entries, sizeof entries);
    wr_bytes(w, sealed, sizeof sealed);
    wipe(key, sizeof key);
    wipe(plain, sizeof plain);
    return err;
}

/* Of the plain bytes. */
static qudag_err target_read(struct dark_target *t, const uint8_t plain[PLAIN_LEN])
{
    struct rd r = rd_init((struct slice){plain, PLAIN_LEN});
    struct slice target = rd_lp16(&r, DARK_HIDDEN_MAX);

    if (!rd_ok(&r) || !ct_is_zero(plain + 2 + target.len, DARK_HIDDEN_MAX - target.len)) {
        return QUDAG_EMALFORMED;
    }
    return dark_target_get(t, DARK_HIDDEN, target);
}

qudag_err dark_unlock(struct dark_target *t, struct slice locked,
                      const uint8_t secret[DARK_CLIENT_SECRET_LEN])
{
    static const uint8_t nonce[AEAD_NONCE_LEN];
    uint8_t mask[AEAD_KEY_LEN], key[AEAD_KEY_LEN], plain[PLAIN_LEN];
    struct rd r = rd_init(locked);
    struct slice salt = rd_bytes(&r, SALT_LEN);
    struct slice entries = rd_bytes(&r, DARK_CLIENTS_MAX * AEAD_KEY_LEN);
    struct slice sealed = rd_bytes(&r, PLAIN_LEN + AEAD_TAG_LEN);
    qudag_err err = QUDAG_ENEEDAUTH;

    if (!rd_done(&r)) {
        return QUDAG_EMALFORMED;
    }
    mask_of(mask, secret, salt.base);
    for (size_t i = 0; i < DARK_CLIENTS_MAX && err == QUDAG_ENEEDAUTH; i++) {
        memcpy(key, entries.base + i * AEAD_KEY_LEN, sizeof key);
        xor_into(key, mask);
        if (aead_open(plain, key, nonce, salt, sealed) == QUDAG_OK) {
            err = target_read(t, plain);
        }
    }
    wipe(mask, sizeof mask);
    wipe(key, sizeof key);
    wipe(plain, sizeof plain);
    return err;
}

void dark_clients_id(uint8_t out[32], const struct dark_clients *c)
{
    uint8_t m[DARK_CLIENTS_MAX * DARK_CLIENT_SECRET_LEN];

    memset(out, 0, 32);
    if (!c->only) {
        return;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        memcpy(m + i * DARK_CLIENT_SECRET_LEN, c->client[i].secret, DARK_CLIENT_SECRET_LEN);
    }
    blake3_derive(out, 32, "qudag dark clients v1",
                  (struct slice){m, c->n * DARK_CLIENT_SECRET_LEN});
    wipe(m, sizeof m);
}

bool dark_label_ok(struct slice label)
{
    return label.len <= DARK_LABEL_MAX && utf8_printable(label);
}

bool dark_clients_sound(const struct dark_clients *c)
{
    if (c->n > DARK_CLIENTS_MAX || (c->n > 0 && !c->only)) {
        return false;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        const char *name = c->client[i].name;
        if (name[0] == '\0' ||
            !dark_label_ok((struct slice){(const uint8_t *)name, strlen(name)})) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(name, c->client[j].name) == 0) {
                return false;
            }
        }
    }
    return true;
}
