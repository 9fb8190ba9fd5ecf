/* succession_fuzz.c - any bytes as a statement of succession: refused, or one whose parts are within their limits. */
#include "wire/succession.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct succession s;

    if (succession_check(&s, (struct slice){data, size}, 1800000000) == QUDAG_OK) {
        ASSERT(size == SUCCESSION_LEN && s.seq > 0 && s.until > s.made && s.peer.len > 0);
    } else {
        ASSERT(s.seq == 0 && s.peer.len == 0);
    }
    return 0;
}
