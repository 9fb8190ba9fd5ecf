/* dark_keys_fuzz.c - the key file: what is accepted is saved again to the same bytes. */
#include "core/dark/dark_impl.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "crypto/init.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t file[DARK_SECRET_LEN], again[DARK_SECRET_LEN];
    struct rng_stream s;
    struct dark_keys k;

    if (crypto_init() != QUDAG_OK) {
        return 0;
    }
    if (dark_keys_load(&k, (struct slice){data, size}) == QUDAG_OK) {
        ASSERT(size == sizeof again);
        dark_keys_save(&k, again);
        ASSERT(memcmp(again, data, size) == 0);
    }
    dark_keys_fini(&k);

    /* A good file with one byte of it changed as the input says. */
    uint8_t seed[32] = {1};
    rng_stream_init(&s, seed);
    const struct rng rng = rng_of_stream(&s);
    if (size < 2 || dark_keys_create(&k, DARK_NET_LAB, "f", 1, &rng) != QUDAG_OK) {
        return 0;
    }
    dark_keys_save(&k, file);
    dark_keys_fini(&k);
    file[data[0]] ^= data[1];
    qudag_err err = dark_keys_load(&k, (struct slice){file, sizeof file});
    ASSERT((err == QUDAG_OK) == (data[1] == 0));
    dark_keys_fini(&k);
    return 0;
}
