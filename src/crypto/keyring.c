/* keyring.c - see keyring.h. */
#include "crypto/keyring.h"

#include "base/rd.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/aead.h"
#include "crypto/argon2.h"
#include "crypto/hash.h"

#include <string.h>

#define FILE_MAGIC "QUDAGKR1"
#define ITEM_MAGIC "QUDAGSE1"
#define MAGIC_LEN 8
#define HEAD_LEN (MAGIC_LEN + 4 + 4 + 4 + ARGON2_SALT_LEN) /* of a file, before the wrapped key */
#define ITEM_SALT_LEN 32
#define ITEM_HEAD_LEN (MAGIC_LEN + ITEM_SALT_LEN)
#define NAME_LEN_MAX 256

_Static_assert(HEAD_LEN + KEYRING_KEY_LEN + AEAD_TAG_LEN == KEYRING_FILE_LEN, "the parts are it");
_Static_assert(ITEM_HEAD_LEN + AEAD_TAG_LEN == KEYRING_ITEM_EXTRA, "the parts are it");

static const uint8_t no_nonce[AEAD_NONCE_LEN]; /* each key here seals once */

bool keyring_cost_fits(const struct keyring_cost *cost)
{
    return cost->kib >= KEYRING_KIB_MIN && cost->kib <= KEYRING_KIB_MAX && cost->passes >= 1 &&
           cost->passes <= KEYRING_WORK_MAX / cost->kib;
}

void keyring_new(struct keyring *k, const struct rng *rng)
{
    rng_fill(rng, k->key, sizeof(k->key));
    k->state = KEYRING_WHOLE;
}

static bool is_passphrase(struct slice p)
{
    return p.base != NULL && p.len > 0 && p.len <= KEYRING_PASSPHRASE_MAX;
}

qudag_err keyring_save(const struct keyring *k, struct slice passphrase,
                       const struct keyring_cost *cost, const struct rng *rng,
                       uint8_t out[KEYRING_FILE_LEN])
{
    static const uint8_t zeros[3];
    uint8_t wrapping[AEAD_KEY_LEN], salt[ARGON2_SALT_LEN];
    struct wr w = wr_init(out, KEYRING_FILE_LEN);

    memset(out, 0, KEYRING_FILE_LEN);
    if (!is_passphrase(passphrase) || !keyring_cost_fits(cost)) {
        return QUDAG_EINVAL;
    }
    rng_fill(rng, salt, sizeof(salt));
    qudag_err err =
        argon2_id_passes(wrapping, sizeof(wrapping), passphrase, salt, cost->kib, cost->passes);
    if (err == QUDAG_OK) {
        wr_bytes(&w, FILE_MAGIC, MAGIC_LEN);
        wr_u8(&w, (uint8_t)k->state);
        wr_bytes(&w, zeros, sizeof(zeros));
        wr_u32(&w, cost->kib);
        wr_u32(&w, cost->passes);
        wr_bytes(&w, salt, sizeof(salt));
        err = aead_seal(out + HEAD_LEN, wrapping, no_nonce, (struct slice){out, HEAD_LEN},
                        (struct slice){k->key, sizeof(k->key)});
    }
    wipe(wrapping, sizeof(wrapping));
    if (err != QUDAG_OK) {
        memset(out, 0, KEYRING_FILE_LEN);
    }
    return err;
}

qudag_err keyring_load(struct keyring *k, struct slice file, struct slice passphrase)
{
    uint8_t wrapping[AEAD_KEY_LEN];
    struct rd r = rd_init(file);
    struct keyring_cost cost;

    memset(k, 0, sizeof(*k));
    if (!is_passphrase(passphrase)) {
        return QUDAG_EINVAL;
    }
    struct slice magic = rd_bytes(&r, MAGIC_LEN);
    uint32_t state = rd_u32(&r);
    cost.kib = rd_u32(&r);
    cost.passes = rd_u32(&r);
    struct slice salt = rd_bytes(&r, ARGON2_SALT_LEN);
    struct slice wrapped = rd_bytes(&r, KEYRING_KEY_LEN + AEAD_TAG_LEN);
    if (!rd_done(&r) || memcmp(magic.base, FILE_MAGIC, MAGIC_LEN) != 0 || (state & 0xffffff) != 0) {
        return QUDAG_EMALFORMED;
    }
    state >>= 24;
    if (state > KEYRING_OPENING || !keyring_cost_fits(&cost)) {
        return QUDAG_EUNSUPPORTED;
    }
    qudag_err err =
        argon2_id_passes(wrapping, sizeof(wrapping), passphrase, salt.base, cost.kib, cost.passes);
    if (err == QUDAG_OK) {
        err = aead_open(k->key, wrapping, no_nonce, (struct slice){file.base, HEAD_LEN}, wrapped);
        k->state = (enum keyring_state)state;
    }
    wipe(wrapping, sizeof(wrapping));
    if (err != QUDAG_OK) {
        wipe(k, sizeof(*k));
    }
    return err;
}

/* ---- items ---- */

static void item_key(uint8_t out[AEAD_KEY_LEN], const struct keyring *k,
                     const uint8_t salt[ITEM_SALT_LEN])
{
    uint8_t from[KEYRING_KEY_LEN + ITEM_SALT_LEN];

    memcpy(from, k->key, KEYRING_KEY_LEN);
    memcpy(from + KEYRING_KEY_LEN, salt, ITEM_SALT_LEN);
    blake3_derive(out, AEAD_KEY_LEN, "qudag keyring item key v1",
                  (struct slice){from, sizeof(from)});
    wipe(from, sizeof(from));
}

/* What an item's head and name are as associated data; false: the name is too long. */
static bool item_aad(struct wr *w, const uint8_t head[ITEM_HEAD_LEN], struct slice name)
{
    if (name.len > NAME_LEN_MAX) {
        return false;
    }
    wr_bytes(w, head, ITEM_HEAD_LEN);
    wr_bytes(w, name.base, name.len);
    return true;
}

bool keyring_sealed(struct slice bytes)
{
    return bytes.len >= MAGIC_LEN && memcmp(bytes.base, ITEM_MAGIC, MAGIC_LEN) == 0;
}

qudag_err keyring_seal(const struct keyring *k, struct slice name, struct slice plain,
                       const struct rng *rng, uint8_t *dst)
{
    uint8_t key[AEAD_KEY_LEN], aad[ITEM_HEAD_LEN + NAME_LEN_MAX];
    struct wr w = wr_init(aad, sizeof(aad));

    memcpy(dst, ITEM_MAGIC, MAGIC_LEN);
    rng_fill(rng, dst + MAGIC_LEN, ITEM_SALT_LEN);
    if (!item_aad(&w, dst, name)) {
        return QUDAG_EINVAL;
    }
    item_key(key, k, dst + MAGIC_LEN);
    qudag_err err = aead_seal(dst + ITEM_HEAD_LEN, key, no_nonce, wr_done(&w), plain);
    wipe(key, sizeof(key));
    return err;
}

qudag_err keyring_unseal(const struct keyring *k, struct slice name, struct slice item,
                         uint8_t *dst)
{
    uint8_t key[AEAD_KEY_LEN], aad[ITEM_HEAD_LEN + NAME_LEN_MAX];
    struct wr w = wr_init(aad, sizeof(aad));

    if (!keyring_sealed(item) || item.len < KEYRING_ITEM_EXTRA) {
        return QUDAG_EMALFORMED;
    }
    if (!item_aad(&w, item.base, name)) {
        return QUDAG_EINVAL;
    }
    item_key(key, k, item.base + MAGIC_LEN);
    qudag_err err = aead_open(dst, key, no_nonce, wr_done(&w), slice_rest(item, ITEM_HEAD_LEN));
    wipe(key, sizeof(key));
    return err;
}

void keyring_hide_name(const struct keyring *k, struct slice name, uint8_t out[KEYRING_NAME_LEN])
{
    uint8_t from[KEYRING_KEY_LEN + NAME_LEN_MAX];
    struct wr w = wr_init(from, sizeof(from));

    wr_bytes(&w, k->key, KEYRING_KEY_LEN);
    wr_bytes(&w, name.base, name.len < NAME_LEN_MAX ? name.len : NAME_LEN_MAX);
    blake3_derive(out, KEYRING_NAME_LEN, "qudag keyring item name v1", wr_done(&w));
    wipe(from, sizeof(from));
}
