/* transfer_msg_fuzz.c - what decodes, encoded again, is the same bytes. */
#include "app/transfer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct transfer_msg m;
    uint8_t again[TRANSFER_MSG_MAX];
    size_t used = transfer_decode(&m, data, size);
    if (used == 0 || used == SIZE_MAX) {
        return 0;
    }
    if (used > size || transfer_encode(again, &m) != used || memcmp(again, data, used) != 0) {
        abort();
    }
    return 0;
}
