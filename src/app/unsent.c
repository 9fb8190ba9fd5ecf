/* unsent.c - transfers that ended before they were delivered. */
#include "app/unsent.h"

#include "base/wipe.h"
#include "crypto/hash.h"

#include <string.h>

/* With its NUL, which ends it. */
static struct slice text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s) + 1};
}

void unsent_what(struct unsent_what *out, const char *addr, const struct transfer_offer *o,
                 struct slice isolation)
{
    struct blake3_ctx h;
    const uint8_t lens[2] = {(uint8_t)isolation.len, (uint8_t)o->kind};
    uint8_t size[8];

    for (size_t ix = 0; ix < sizeof(size); ix++) {
        size[ix] = (uint8_t)(o->size >> (8 * ix));
    }
    blake3_init(&h);
    blake3_update(&h, text(addr));
    blake3_update(&h, (struct slice){lens, sizeof(lens)});
    blake3_update(&h, isolation);
    blake3_update(&h, text(o->name));
    blake3_update(&h, (struct slice){o->hash, sizeof(o->hash)});
    blake3_update(&h, (struct slice){size, sizeof(size)});
    blake3_final(&h, out->hash);
    wipe(&h, sizeof(h));
}

void unsent_expire(struct unsent_table *t, uint64_t now_ns)
{
    for (size_t ix = 0; ix < UNSENT_MAX; ix++) {
        if (t->row[ix].until_ns <= now_ns) {
            wipe(&t->row[ix], sizeof(t->row[ix]));
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
            wipe(r, sizeof(*r));
            return true;
        }
    }
    return false;
}
