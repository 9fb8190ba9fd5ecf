/* keyring.c - qudag_keyring_*. */
#include "api/internal.h"

#include "base/wipe.h"
#include "crypto/init.h"
#include "crypto/keyring.h"

#include <stdlib.h>

struct qudag_keyring {
    struct keyring k;
};

_Static_assert(QUDAG_KEYRING_LEN == KEYRING_FILE_LEN, "one saved form");
_Static_assert(QUDAG_SEALED_EXTRA == KEYRING_ITEM_EXTRA, "one form of items");
_Static_assert(QUDAG_PASSPHRASE_MAX == KEYRING_PASSPHRASE_MAX, "one limit");
_Static_assert((int)QUDAG_KEYRING_WHOLE == KEYRING_WHOLE &&
                   (int)QUDAG_KEYRING_SEALING == KEYRING_SEALING &&
                   (int)QUDAG_KEYRING_OPENING == KEYRING_OPENING,
               "states have the same numbers");
API_NO_TAIL(qudag_keyring_cost, pad);

static qudag_err new_keyring(qudag_keyring **out)
{
    if (out == NULL) {
        return QUDAG_EINVAL;
    }
    *out = NULL;
    qudag_err err = crypto_init();
    if (err != QUDAG_OK) {
        return err;
    }
    *out = calloc(1, sizeof(**out));
    return *out == NULL ? QUDAG_ENOMEM : QUDAG_OK;
}

qudag_err qudag_keyring_new(qudag_keyring **out)
{
    struct rng rng = io_rng();
    qudag_err err = new_keyring(out);

    if (err == QUDAG_OK) {
        keyring_new(&(*out)->k, &rng);
    }
    return err;
}

qudag_err qudag_keyring_open(qudag_keyring **out, qudag_slice file, qudag_slice passphrase)
{
    if (file.base == NULL && file.len > 0) {
        return QUDAG_EINVAL;
    }
    qudag_err err = new_keyring(out);
    if (err == QUDAG_OK &&
        (err = keyring_load(&(*out)->k, slice_in(file), slice_in(passphrase))) != QUDAG_OK) {
        free(*out);
        *out = NULL;
    }
    return err;
}

qudag_err qudag_keyring_save(const qudag_keyring *k, qudag_slice passphrase,
                             const qudag_keyring_cost *cost, uint8_t *dst)
{
    struct keyring_cost c = {KEYRING_KIB_DEFAULT, KEYRING_PASSES_DEFAULT};
    struct rng rng = io_rng();

    if (k == NULL || dst == NULL) {
        return QUDAG_EINVAL;
    }
    if (cost != NULL) {
        qudag_keyring_cost given = {sizeof(given), c.kib, c.passes, 0};
        qudag_err err = api_sized_in(&given, sizeof(given), cost);
        if (err != QUDAG_OK) {
            return err;
        }
        c = (struct keyring_cost){given.kib, given.passes};
    }
    return keyring_save(&k->k, slice_in(passphrase), &c, &rng, dst);
}

qudag_keyring_state qudag_keyring_get_state(const qudag_keyring *k)
{
    return k == NULL ? QUDAG_KEYRING_WHOLE : (qudag_keyring_state)k->k.state;
}

qudag_err qudag_keyring_set_state(qudag_keyring *k, qudag_keyring_state state)
{
    if (k == NULL || (unsigned)state > QUDAG_KEYRING_OPENING) {
        return QUDAG_EINVAL;
    }
    k->k.state = (enum keyring_state)state;
    return QUDAG_OK;
}

void qudag_keyring_free(qudag_keyring *k)
{
    if (k != NULL) {
        wipe(k, sizeof(*k));
        free(k);
    }
}

bool qudag_keyring_is_sealed(qudag_slice bytes)
{
    return bytes.base != NULL && keyring_sealed(slice_in(bytes));
}

/* A name as bytes; false: none, or it is too long. */
static bool name_in(struct slice *out, const char *name)
{
    if (name == NULL || !api_text_fits(name, QUDAG_ITEM_NAME_MAX)) {
        return false;
    }
    *out = (struct slice){(const uint8_t *)name, strlen(name)};
    return true;
}

qudag_err qudag_keyring_seal(const qudag_keyring *k, const char *name, qudag_slice plain,
                             uint8_t *dst, size_t cap, size_t *len)
{
    struct rng rng = io_rng();
    struct slice n;

    if (k == NULL || dst == NULL || len == NULL || (plain.base == NULL && plain.len > 0) ||
        !name_in(&n, name)) {
        return QUDAG_EINVAL;
    }
    if (cap < QUDAG_SEALED_EXTRA || plain.len > cap - QUDAG_SEALED_EXTRA) {
        return QUDAG_ETOOBIG;
    }
    *len = plain.len + QUDAG_SEALED_EXTRA;
    return keyring_seal(&k->k, n, slice_in(plain), &rng, dst);
}

qudag_err qudag_keyring_unseal(const qudag_keyring *k, const char *name, qudag_slice item,
                               uint8_t *dst, size_t cap, size_t *len)
{
    struct slice n;

    if (k == NULL || dst == NULL || len == NULL || item.base == NULL || !name_in(&n, name)) {
        return QUDAG_EINVAL;
    }
    *len = 0;
    if (item.len < QUDAG_SEALED_EXTRA) {
        return QUDAG_EMALFORMED;
    }
    if (item.len - QUDAG_SEALED_EXTRA > cap) {
        return QUDAG_ETOOBIG;
    }
    qudag_err err = keyring_unseal(&k->k, n, slice_in(item), dst);
    *len = err == QUDAG_OK ? item.len - QUDAG_SEALED_EXTRA : 0;
    return err;
}

void qudag_keyring_hide_name(const qudag_keyring *k, const char *name,
                             char dst[QUDAG_SEALED_NAME_MAX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t hidden[KEYRING_NAME_LEN];
    struct slice n;
    char *to = dst + 7;

    dst[0] = '\0';
    if (k == NULL || !name_in(&n, name)) {
        return;
    }
    keyring_hide_name(&k->k, n, hidden);
    memcpy(dst, "sealed-", 7);
    for (size_t i = 0; i < sizeof(hidden); i++) {
        *to++ = digits[hidden[i] >> 4];
        *to++ = digits[hidden[i] & 15];
    }
    *to = '\0';
}
