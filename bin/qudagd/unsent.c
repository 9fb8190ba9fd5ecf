/* unsent.c - transfers that ended before they were delivered. */
#include "unsent.h"

#include <blake3.h>

#include <string.h>

void unsent_what(struct unsent_what *out, const char *addr, const struct transfer_offer *o,
                 const char *isolation)
{
    blake3_hasher h;
    const char *key = isolation == NULL ? "" : isolation;
    uint8_t kind = (uint8_t)o->kind;
    blake3_hasher_init(&h);
    blake3_hasher_update(&h, addr, strlen(addr) + 1);
    blake3_hasher_update(&h, key, strlen(key) + 1);
    blake3_hasher_update(&h, o->name, strlen(o->name) + 1);
    blake3_hasher_update(&h, o->hash, sizeof(o->hash));
    blake3_hasher_update(&h, &o->size, sizeof(o->size));
    blake3_hasher_update(&h, &kind, sizeof(kind));
    blake3_hasher_finalize(&h, out->hash, sizeof(out->hash));
    explicit_bzero(&h, sizeof(h));
}

void unsent_expire(struct unsent_table *t, uint64_t now_ns)
{
    for (size_t ix = 0; ix < UNSENT_MAX; ix++) {
        if (t->row[ix].until_ns <= now_ns) {
            explicit_bzero(&t->row[ix], sizeof(t->row[ix]));
        }
    }
}

void unsent_put(struct unsent_table *t, const struct unsent_what *what, const struct unsent *at,
                uint64_t now_ns)
{
    struct unsent_row *r = &t->row[0];
    unsent_expire(t, now_ns);
    for (size_t ix = 1; ix < UNSENT_MAX; ix++) {
        r = t->row[ix].until_ns < r->until_ns ? &t->row[ix] : r;
    }
    *r = (struct unsent_row){*what, *at, now_ns + UNSENT_LIFE_S * UINT64_C(1000000000)};
}

bool unsent_take(struct unsent_table *t, const struct unsent_what *what, struct unsent *at,
                 uint64_t now_ns)
{
    unsent_expire(t, now_ns);
    for (size_t ix = 0; ix < UNSENT_MAX; ix++) {
        struct unsent_row *r = &t->row[ix];
        if (r->until_ns != 0 && memcmp(&r->what, what, sizeof(*what)) == 0) {
            *at = r->at;
            explicit_bzero(r, sizeof(*r));
            return true;
        }
    }
    return false;
}
