/* Any bytes as a certificate; with signatures unchecked, as the build says, so that all of it runs. */
#include "base/assert.h"
#include "sec/sec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sec_peer a, b;
    struct slice der = {data, size};
    qudag_err first, second;

    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    first = sec_check_cert(&a, der, PQ_PREFER, 1800000000);
    second = sec_check_cert(&b, der, PQ_REQUIRE, 1800000000);
    if (first == QUDAG_OK) {
        ASSERT(a.id.len > 0);
        ASSERT(a.sig[0] != '\0');
        ASSERT(second == (a.has_pq ? QUDAG_OK : QUDAG_EPOLICY));
    }
    /* A pure function: the same again, and nothing written on failure. */
    ASSERT(sec_check_cert(&b, der, PQ_PREFER, 1800000000) == first);
    ASSERT(first != QUDAG_OK || memcmp(&a, &b, sizeof a) == 0);
    return 0;
}
