/* scratch.c - what all instances of a loop share: message buffers, ids and addresses, keys by prefix. */
#include "core/kad/kad_int.h"

struct kad_scratch *kad_scratch_new(struct mem *mem)
{
    struct kad_scratch *s = mem_alloc(mem, sizeof(*s));

    if (s != NULL) {
        s->shared.mem = mem;
        kad_addrinfo_pool_init(&s->shared.pool, mem);
    }
    return s;
}

size_t kad_scratch_size(const struct kad_scratch *s)
{
    return sizeof(*s) + kad_addrinfo_pool_size(&s->shared.pool) +
           (s->shared.prefix_keys == NULL ? 0 : sizeof(*s->shared.prefix_keys));
}

void kad_scratch_free(struct mem *mem, struct kad_scratch *s)
{
    if (s != NULL) {
        kad_addrinfo_pool_fini(&s->shared.pool);
        mem_free(mem, s->shared.prefix_keys);
        mem_free(mem, s);
    }
}
