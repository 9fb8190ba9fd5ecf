/* aead.h - ChaCha20-Poly1305 (RFC 8439), one shot. */
#ifndef QUDAG_SRC_CRYPTO_AEAD_H
#define QUDAG_SRC_CRYPTO_AEAD_H

#include "base/types.h"

#define AEAD_KEY_LEN 32
#define AEAD_NONCE_LEN 12
#define AEAD_TAG_LEN 16

/* dst has room for plain.len + AEAD_TAG_LEN bytes and may be plain.base itself. */
qudag_err aead_seal(uint8_t *dst, const uint8_t key[AEAD_KEY_LEN],
                    const uint8_t nonce[AEAD_NONCE_LEN], struct slice aad, struct slice plain);

/* dst has room for cipher.len - AEAD_TAG_LEN bytes; zeroed and QUDAG_EAUTH when the tag is wrong. */
QUDAG_MUST_USE qudag_err aead_open(uint8_t *dst, const uint8_t key[AEAD_KEY_LEN],
                                   const uint8_t nonce[AEAD_NONCE_LEN], struct slice aad,
                                   struct slice cipher);

#endif
