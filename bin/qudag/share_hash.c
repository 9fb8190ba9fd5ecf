/* share_hash.c - a table of hashes: open addressing, grown by doubling. */
#include "share_hash.h"

#include "common/fileio.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct row {
    bool used;
    uint64_t id[7];
    uint8_t hash[SHARE_HASH_LEN];
};

struct share_hashes {
    pthread_mutex_t lock;
    struct row *row; /* |cap| of them, a power of two, at most half of them in use */
    size_t n, cap;
};

static void identify(uint64_t id[7], const struct stat *st)
{
    id[0] = (uint64_t)st->st_dev;
    id[1] = (uint64_t)st->st_ino;
    id[2] = (uint64_t)st->st_size;
    id[3] = (uint64_t)st->st_mtim.tv_sec;
    id[4] = (uint64_t)st->st_mtim.tv_nsec;
    id[5] = (uint64_t)st->st_ctim.tv_sec;
    id[6] = (uint64_t)st->st_ctim.tv_nsec;
}

struct share_hashes *share_hashes_new(void)
{
    struct share_hashes *h = calloc(1, sizeof(*h));
    if (h == NULL || pthread_mutex_init(&h->lock, NULL) != 0) {
        free(h);
        return NULL;
    }
    return h;
}

void share_hashes_free(struct share_hashes *h)
{
    if (h != NULL) {
        (void)pthread_mutex_destroy(&h->lock);
        free(h->row);
        free(h);
    }
}

/* The row of |id|, or the free one where it belongs.  There is a free one. */
static struct row *find(struct row *row, size_t cap, const uint64_t id[7])
{
    uint64_t at = (id[0] ^ id[1]) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t ix = (size_t)(at >> 20);; ix++) {
        struct row *r = &row[ix & (cap - 1)];
        if (!r->used || memcmp(r->id, id, sizeof(r->id)) == 0) {
            return r;
        }
    }
}

static bool grow(struct share_hashes *h)
{
    size_t cap = h->cap == 0 ? 256 : h->cap * 2;
    struct row *more = calloc(cap, sizeof(*more));
    if (more == NULL) {
        return false;
    }
    for (size_t ix = 0; ix < h->cap; ix++) {
        if (h->row[ix].used) {
            *find(more, cap, h->row[ix].id) = h->row[ix];
        }
    }
    free(h->row);
    h->row = more;
    h->cap = cap;
    return true;
}

bool share_hashes_get(struct share_hashes *h, const struct stat *st, uint8_t out[SHARE_HASH_LEN])
{
    uint64_t id[7];
    identify(id, st);
    (void)pthread_mutex_lock(&h->lock);
    const struct row *r = h->cap == 0 ? NULL : find(h->row, h->cap, id);
    bool known = r != NULL && r->used;
    if (known) {
        memcpy(out, r->hash, SHARE_HASH_LEN);
    }
    (void)pthread_mutex_unlock(&h->lock);
    return known;
}

void share_hashes_put(struct share_hashes *h, const struct stat *st,
                      const uint8_t hash[SHARE_HASH_LEN])
{
    uint64_t id[7];
    identify(id, st);
    (void)pthread_mutex_lock(&h->lock);
    bool room = h->n < SHARE_HASHES_MAX && (h->n * 2 < h->cap || grow(h));
    struct row *r = room ? find(h->row, h->cap, id) : NULL;
    if (r != NULL && !r->used) {
        r->used = true;
        memcpy(r->id, id, sizeof(r->id));
        memcpy(r->hash, hash, SHARE_HASH_LEN);
        h->n++;
    }
    (void)pthread_mutex_unlock(&h->lock);
}

void share_hash_tag(char out[SHARE_TAG_LEN + 1], const uint8_t key[BLAKE3_KEY_LEN],
                    const struct stat *st)
{
    uint64_t id[7];
    uint8_t hash[SHARE_TAG_LEN / 2];
    blake3_hasher h;
    identify(id, st);
    blake3_hasher_init_keyed(&h, key);
    blake3_hasher_update(&h, id, sizeof(id));
    blake3_hasher_finalize(&h, hash, sizeof(hash));
    text_hex(out, hash, sizeof(hash));
    out[SHARE_TAG_LEN] = 0;
}
