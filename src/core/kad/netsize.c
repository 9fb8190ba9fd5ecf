/*
 * netsize.c - how large the network is, and keys that lead to a place.
 *
 * The mean space between ids follows from how near the k nearest to a key are: N = 2^64 / space.  The median of
 * many lookups is taken, so that who crowds some keys does not move it.
 *
 * Others hash the key we send (SHA-256): to look at a place we need a key whose hash begins with its bits.
 * Hashes of the numbers 1, 2, ... are tried, and each is remembered for the 16 bits it begins with.
 */
#include "core/kad/kad_int.h"

#include <string.h>

#define TRIES_MAX (UINT32_C(1) << 20)
#define TRIES_MORE                                                                                 \
    256 /* each time, though a key is known: the same one again would ask the same peers */
#define TRIED_ENOUGH (UINT32_C(1) << KAD_PLACE_BITS)

/* ---- size ---- */

static uint64_t median(const uint64_t *v, size_t n)
{
    uint64_t s[KAD_SPACES];

    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && s[at - 1] > v[i]; at--) {
            s[at] = s[at - 1];
        }
        s[at] = v[i];
    }
    return s[(n - 1) / 2]; /* of two the smaller: we were there when the network was small */
}

static void note(struct kad *k, const uint64_t *dist, size_t n, tstamp now)
{
    uint64_t sum = 0;

    /* sum of distances over sum of ranks; halved so as not to overflow */
    for (size_t i = 0; i < n; i++) {
        sum += dist[i] / (n * (n + 1) / 2);
    }
    k->space_v[k->spaces % KAD_SPACES] = sum == 0 ? 1 : sum;
    k->spaces++;
    k->sized_at = now;
    k->space = median(k->space_v, k->spaces < KAD_SPACES ? k->spaces : KAD_SPACES);
}

void kad_size_note(struct kad *k, const struct kad_query *q, tstamp now)
{
    uint64_t dist[KAD_K];
    size_t n = 0;

    for (size_t i = 0; i < q->n && n < KAD_K; i++) {
        if (q->cand[i].state == KAD_CAND_ANSWERED) {
            dist[n++] = q->cand[i].dist;
        }
    }
    if (n == KAD_K) { /* a lookup with fewer says nothing */
        note(k, dist, n, now);
    }
}

void kad_size_look(struct kad *k, tstamp now)
{
    struct kad_peer *near[KAD_K];
    uint64_t dist[KAD_K], self = kad_hash_prefix(k->hash);
    size_t n = kad_table_closest(&k->table, k->hash, NULL, KAD_K, near);

    for (size_t i = 0; i < n; i++) {
        dist[i] = kad_hash_prefix(near[i]->hash) ^ self;
    }
    if (n == KAD_K) {
        note(k, dist, n, now);
    }
}

static unsigned zeros(uint64_t v)
{
    unsigned n = 0;

    while (n < 64 && (v >> 63) == 0) {
        v <<= 1;
        n++;
    }
    return n;
}

uint64_t kad_size(const struct kad *k)
{
    return k->space == 0 ? k->table.n + 1 : UINT64_MAX / k->space;
}

uint64_t kad_radius(const struct kad *k, unsigned n)
{
    return k->space == 0 || k->space > UINT64_MAX / n / 2 ? 0 : k->space * n;
}

unsigned kad_size_bits(const struct kad *k)
{
    return k->space == 0 ? 0 : zeros(k->space);
}

unsigned kad_near_bits(const struct kad *k)
{
    uint64_t r = kad_radius(k, KAD_K);

    return r == 0 ? 0 : zeros(r);
}

/* ---- keys that lead to a place ---- */

static void key_of(uint32_t number, uint8_t key[KAD_PLACE_KEY])
{
    memset(key, 0, KAD_PLACE_KEY);
    key[0] = 0x12; /* a well-formed multihash: some peers insist */
    key[1] = 0x20;
    for (unsigned b = 0; b < 4; b++) {
        key[KAD_PLACE_KEY - 1 - b] = (uint8_t)(number >> (8 * b));
    }
}

/* A known one among those that begin with |bits| bits of |place|, from |first| on. */
static uint32_t known(const struct kad_places *t, uint32_t place, unsigned bits, uint32_t first)
{
    uint32_t span = UINT32_C(1) << (KAD_PLACE_BITS - bits), from = place & ~(span - 1);

    for (uint32_t i = 0; i < span; i++) {
        uint32_t number = t->number[from + (first + i) % span];
        if (number != 0) {
            return number;
        }
    }
    return 0;
}

/* The place the next number leads to; it is remembered. */
static uint32_t try_next(struct kad_places *t)
{
    uint8_t key[KAD_PLACE_KEY], hash[SHA256_LEN];

    key_of(++t->tried, key);
    sha256(hash, (struct slice){key, KAD_PLACE_KEY});
    uint32_t at = (uint32_t)hash[0] << 8 | hash[1];
    if (t->number[at] == 0) {
        t->number[at] = t->tried;
    }
    return at;
}

bool kad_place_key(struct kad *k, uint32_t place, unsigned bits, uint8_t key[KAD_PLACE_KEY])
{
    struct kad_scratch *s = k->scratch;

    if (bits > KAD_PLACE_BITS) {
        return false;
    }
    if (s->places == NULL && (s->places = mem_alloc(s->mem, sizeof(*s->places))) == NULL) {
        return false;
    }
    struct kad_places *t = s->places;
    uint32_t first =
        bits == KAD_PLACE_BITS ? 0 : rng_below(&k->cfg.rng, UINT32_C(1) << (16 - bits));
    for (uint32_t i = 0; i < TRIES_MORE && t->tried < TRIED_ENOUGH; i++) {
        (void)try_next(t);
    }
    uint32_t number = known(t, place, bits, first);
    for (uint32_t i = 0; number == 0 && i < TRIES_MAX && t->tried < UINT32_MAX; i++) {
        uint32_t at = try_next(t);
        if (at >> (KAD_PLACE_BITS - bits) == place >> (KAD_PLACE_BITS - bits)) {
            number = t->number[at];
        }
    }
    key_of(number, key);
    return number != 0;
}
