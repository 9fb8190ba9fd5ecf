/* kept_fuzz.c - any bytes as a list of kept peers: refused, or written again as they were. */
#include "node/kept.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct node_keep_wish wish[KEEP_MAX];
    static uint8_t again[NODE_KEPT_BYTES_MAX];
    size_t n;

    if (node_kept_read(wish, &n, (struct slice){data, size}) == QUDAG_OK) {
        ASSERT(n <= KEEP_MAX);
        ASSERT(node_kept_write(again, wish, n) == size && memcmp(again, data, size) == 0);
    } else {
        ASSERT(n == 0);
    }
    return 0;
}
