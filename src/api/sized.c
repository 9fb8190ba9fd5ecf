/*
 * sized.c - structures that begin with their size, between this library and programs of other versions.
 *
 *   smaller: the program is older      what it does not know keeps our default, or is not written
 *   larger:  the program is newer      what we do not know must be zero, or is left alone
 */
#include "api/internal.h"

#include <string.h>

#define SIZE_LEAST 8u   /* no version of any structure was smaller */
#define SIZE_MOST 4096u /* nor is larger; more than that is a size that was not set */

static uint32_t size_of(const void *p)
{
    uint32_t size;

    memcpy(&size, p, sizeof(size));
    return size < SIZE_LEAST || size > SIZE_MOST || size % 4 != 0 ? 0 : size;
}

qudag_err api_sized_in(void *full, size_t full_size, const void *in)
{
    uint32_t size = size_of(in), ours = (uint32_t)full_size;
    const uint8_t *byte = in;

    if (size == 0) {
        return QUDAG_EINVAL;
    }
    for (uint32_t i = ours; i < size; i++) {
        if (byte[i] != 0) {
            return QUDAG_EUNSUPPORTED;
        }
    }
    memcpy(full, in, size < ours ? size : ours);
    memcpy(full, &ours, sizeof(ours));
    return QUDAG_OK;
}

bool api_sized_out(void *out, const void *full, size_t full_size)
{
    uint32_t size = size_of(out);
    size_t len = size < full_size ? size : full_size;

    if (size == 0) {
        return false;
    }
    memcpy((uint8_t *)out + sizeof(size), (const uint8_t *)full + sizeof(size), len - sizeof(size));
    return true;
}
