/* aead.c - ChaCha20-Poly1305 through OpenSSL's EVP. */
#include "crypto/aead.h"

#include "base/wipe.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>

enum aead_direction { OPEN = 0, SEAL = 1 };

/* A context with key, nonce and associated data taken in; NULL on failure. */
static EVP_CIPHER_CTX *aead_start(enum aead_direction dir, const uint8_t key[AEAD_KEY_LEN],
                                  const uint8_t nonce[AEAD_NONCE_LEN], struct slice aad)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;

    if (c == NULL) {
        return NULL;
    }
    bool ok = EVP_CipherInit_ex(c, EVP_chacha20_poly1305(), NULL, key, nonce, (int)dir) == 1;
    if (ok && aad.len > 0) {
        ok = EVP_CipherUpdate(c, NULL, &n, aad.base, (int)aad.len) == 1;
    }
    if (!ok) {
        EVP_CIPHER_CTX_free(c);
        return NULL;
    }
    return c;
}

qudag_err aead_seal(uint8_t *dst, const uint8_t key[AEAD_KEY_LEN],
                    const uint8_t nonce[AEAD_NONCE_LEN], struct slice aad, struct slice plain)
{
    int n;

    if (aad.len > INT_MAX || plain.len > INT_MAX) {
        return QUDAG_ETOOBIG;
    }
    ERR_set_mark();
    EVP_CIPHER_CTX *c = aead_start(SEAL, key, nonce, aad);
    bool ok = c != NULL;
    if (ok && plain.len > 0) {
        ok = EVP_CipherUpdate(c, dst, &n, plain.base, (int)plain.len) == 1;
    }
    ok = ok && EVP_CipherFinal_ex(c, dst + plain.len, &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, dst + plain.len) == 1;
    EVP_CIPHER_CTX_free(c);
    ERR_pop_to_mark();
    if (!ok) {
        wipe(dst, plain.len + AEAD_TAG_LEN);
        return QUDAG_EINTERNAL;
    }
    return QUDAG_OK;
}

qudag_err aead_open(uint8_t *dst, const uint8_t key[AEAD_KEY_LEN],
                    const uint8_t nonce[AEAD_NONCE_LEN], struct slice aad, struct slice cipher)
{
    qudag_err err = QUDAG_EINTERNAL;
    uint8_t tag[AEAD_TAG_LEN];
    int n;

    if (cipher.len < AEAD_TAG_LEN) {
        return QUDAG_EAUTH;
    }
    if (aad.len > INT_MAX || cipher.len > INT_MAX) {
        return QUDAG_ETOOBIG;
    }
    size_t len = cipher.len - AEAD_TAG_LEN;
    for (size_t i = 0; i < sizeof tag; i++) { /* EVP takes the tag as not const */
        tag[i] = cipher.base[len + i];
    }
    ERR_set_mark();
    EVP_CIPHER_CTX *c = aead_start(OPEN, key, nonce, aad);
    if (c == NULL || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN, tag) != 1) {
        goto out;
    }
    if (len > 0 && EVP_CipherUpdate(c, dst, &n, cipher.base, (int)len) != 1) {
        goto out;
    }
    err = EVP_CipherFinal_ex(c, dst + len, &n) == 1 ? QUDAG_OK : QUDAG_EAUTH;
out:
    EVP_CIPHER_CTX_free(c);
    ERR_pop_to_mark();
    if (err != QUDAG_OK) {
        wipe(dst, len);
    }
    return err;
}
