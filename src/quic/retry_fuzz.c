/* retry_fuzz.c - tokens from anybody: none opens that was not made, and one that opens stays inside itself. */
#include "base/assert.h"
#include "quic/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct quic_retry_keys keys = {{1, 2, 3, 4}, 5};
    const struct netaddr from = {.family = 4, .ip = {10, 0, 0, 1}, .port = 1};
    uint8_t made[QUIC_RETRY_TOKEN_MAX];
    size_t id_len = size > 0 ? data[0] % 21u : 0;
    struct slice id;

    if (quic_retry_open(&keys, (struct slice){data, size}, &from, (struct slice){made, 0}, 0,
                        &id)) {
        ASSERT(id.base >= data && id.base + id.len <= data + size);
    }
    id_len = id_len < size ? id_len : size;
    size_t n = quic_retry_seal(&keys, made, &from, (struct slice){data, id_len},
                               (struct slice){made, 0}, 0);
    ASSERT(n > 0 &&
           quic_retry_open(&keys, (struct slice){made, n}, &from, (struct slice){made, 0}, 0, &id));
    ASSERT(id.len == id_len);
    return 0;
}
