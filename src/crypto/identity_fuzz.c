/* identity_fuzz.c - a file that loads, saved again, is the same file. */
#include "base/assert.h"
#include "base/wipe.h"
#include "crypto/identity.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct identity id;
    uint8_t out[IDENTITY_FILE_LEN];

    if (identity_load(&id, (struct slice){data, size}) != QUDAG_OK) {
        ASSERT(ct_is_zero(&id, sizeof id));
        return 0;
    }
    identity_save(&id, out);
    ASSERT(size == sizeof out);
    ASSERT(memcmp(out, data, sizeof out) == 0);
    identity_fini(&id);
    return 0;
}
