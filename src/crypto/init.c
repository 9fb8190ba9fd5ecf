/* init.c - starting OpenSSL and libsodium. */
#include "crypto/init.h"

#include "crypto/backend.h"

#include <openssl/crypto.h>
#include <sodium.h>

qudag_err crypto_init(void)
{
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || sodium_init() < 0) {
        return QUDAG_EINTERNAL;
    }
    return QUDAG_OK;
}

const char *crypto_name(void)
{
    return CRYPTO_BACKEND->name;
}
