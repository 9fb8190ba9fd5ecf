/*
 * Identity keys of hosts: any PublicKey message, with signatures unchecked, as the build says.
 *
 *   input: two bytes, how long the message is; the message; the rest is the signature
 */
#include "base/assert.h"
#include "sec/host_key.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t words[] = "what is signed";
    const struct slice msg = {words, sizeof words - 1};
    struct peer_id id = {.len = 7}, again = {.len = 7}, want;
    size_t len = size < 2 ? 0 : (size_t)data[0] << 8 | data[1];

    if (size < 2 || len > size - 2) {
        return 0;
    }
    struct slice key = {data + 2, len}, sig = {data + 2 + len, size - 2 - len};
    qudag_err err = host_key_verify(&id, key, sig, msg);
    if (err == QUDAG_OK) {
        ASSERT(peer_id_from_key_proto(&want, key) == QUDAG_OK && peer_id_eq(&id, &want));
    } else {
        ASSERT(memcmp(&id, &again, sizeof id) == 0);
        ASSERT(host_key_text(err)[0] != '\0');
    }
    ASSERT(host_key_verify(&again, key, sig, msg) == err);
    ASSERT(memcmp(&id, &again, sizeof id) == 0);
    return 0;
}
