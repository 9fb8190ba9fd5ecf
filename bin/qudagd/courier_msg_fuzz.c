/* courier_msg_fuzz.c - what decodes, encoded again, is the same bytes. */
#include "courier.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct courier_msg m;
    uint8_t again[COURIER_MSG_MAX];
    size_t used = courier_decode(&m, data, size);
    if (used == 0 || used == SIZE_MAX) {
        return 0;
    }
    if (used > size || courier_encode(again, &m) != used || memcmp(again, data, used) != 0) {
        abort();
    }
    return 0;
}
