/* keyring_fuzz.c - files and items of strangers: refused, never more than the cost that is allowed. */
#include "base/assert.h"
#include "base/wipe.h"
#include "crypto/keyring.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice pass = {(const uint8_t *)"p", 1}, name = {(const uint8_t *)"n", 1};
    static uint8_t plain[65536];
    uint8_t file[KEYRING_FILE_LEN];
    struct keyring k;

    if (size >= sizeof(plain)) {
        return 0;
    }
    if (size == sizeof(file)) { /* cheap, or each input took seconds */
        memcpy(file, data, sizeof(file));
        memcpy(file + 12, "\0\0\x04\0\0\0\0\x01", 8);
        ASSERT(keyring_load(&k, (struct slice){file, size}, pass) != QUDAG_OK);
        ASSERT(ct_is_zero(&k, sizeof(k)));
    } else {
        ASSERT(keyring_load(&k, (struct slice){data, size}, pass) == QUDAG_EMALFORMED);
    }
    memset(&k, 1, sizeof(k));
    ASSERT(keyring_unseal(&k, name, (struct slice){data, size}, plain) != QUDAG_OK);
    return 0;
}
