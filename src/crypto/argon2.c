/* argon2.c - see argon2.h; libsodium computes it. */
#include "crypto/argon2.h"

#include <sodium.h>
#include <string.h>

_Static_assert(ARGON2_SALT_LEN == crypto_pwhash_argon2id_SALTBYTES, "salt");
_Static_assert(ARGON2_LEN_MIN == crypto_pwhash_argon2id_BYTES_MIN, "result");
_Static_assert(ARGON2_KIB_MIN * 1024 == crypto_pwhash_argon2id_MEMLIMIT_MIN, "memory");

qudag_err argon2_id(uint8_t *out, size_t len, struct slice password,
                    const uint8_t salt[ARGON2_SALT_LEN], uint32_t kib)
{
    return argon2_id_passes(out, len, password, salt, kib, 1);
}

qudag_err argon2_id_passes(uint8_t *out, size_t len, struct slice password,
                           const uint8_t salt[ARGON2_SALT_LEN], uint32_t kib, uint32_t passes)
{
    const char *pw = password.len > 0 ? (const char *)password.base : "";

    memset(out, 0, len);
    if (len < ARGON2_LEN_MIN || kib < ARGON2_KIB_MIN || passes == 0) {
        return QUDAG_EINTERNAL;
    }
    int err = crypto_pwhash_argon2id(out, len, pw, password.len, salt, passes, (size_t)kib * 1024,
                                     crypto_pwhash_argon2id_ALG_ARGON2ID13);
    return err == 0 ? QUDAG_OK : QUDAG_ENOMEM; /* nothing else can be wrong */
}
