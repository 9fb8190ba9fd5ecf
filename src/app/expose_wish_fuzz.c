/* expose_wish_fuzz.c - bytes from disk as a kept service: what is accepted is written the same. */
#include "app/expose_int.h"
#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct expose_wish w, again;
    char addr[QUDAG_DARK_TEXT_MAX], addr2[QUDAG_DARK_TEXT_MAX];
    uint8_t out[EXPOSE_SAVED_MAX];

    if (expose_wish_get(&w, addr, (struct slice){data, size}) != QUDAG_OK) {
        return 0;
    }
    size_t len = expose_wish_put(out, &w, addr);
    ASSERT(len > 0);
    ASSERT(expose_wish_get(&again, addr2, (struct slice){out, len}) == QUDAG_OK);
    ASSERT(memcmp(&w, &again, sizeof(w)) == 0 && strcmp(addr, addr2) == 0);
    return 0;
}
