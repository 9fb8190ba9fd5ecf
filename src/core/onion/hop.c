/* hop.c - cell cipher states, aligned as the cipher wants them. */
#include "core/onion/hop.h"

#include "base/assert.h"
#include "base/wipe.h"

#include <string.h>

#define ALIGNMENT _Alignof(struct cgo)

static const struct cgo_params PARAMS = {.body_len = ONION_BODY_LEN, .key_len = 32};

qudag_err onion_hops_init(struct onion_hops *h, struct mem *mem, size_t max)
{
    *h = (struct onion_hops){.mem = mem, .max = max};
    h->raw =
        mem_alloc(mem, max * (2 * sizeof(struct cgo) + sizeof(struct onion_tally)) + ALIGNMENT);
    if (h->raw == NULL) {
        return QUDAG_ENOMEM;
    }
    uintptr_t skip = (ALIGNMENT - (uintptr_t)h->raw % ALIGNMENT) % ALIGNMENT;
    h->fwd = (void *)((uint8_t *)h->raw + skip);
    h->back = h->fwd + max;
    h->tally = (void *)(h->back + max); /* mem_alloc() zeroed it */
    return QUDAG_OK;
}

void onion_hops_add(struct onion_hops *h, const struct onion_hs_keys *keys)
{
    ASSERT(h->n < h->max);
    cgo_init(&h->fwd[h->n], &PARAMS, keys->fwd);
    cgo_init(&h->back[h->n], &PARAMS, keys->back);
    memcpy(h->binding, keys->binding, sizeof h->binding);
    h->n++;
}

void onion_hops_fini(struct onion_hops *h)
{
    for (size_t i = 0; i < h->n; i++) {
        cgo_fini(&h->fwd[i]);
        cgo_fini(&h->back[i]);
    }
    mem_free_wiped(h->mem, h->raw);
    wipe(h->binding, sizeof h->binding);
    *h = (struct onion_hops){.mem = h->mem};
}
