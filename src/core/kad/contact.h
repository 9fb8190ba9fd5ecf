/* contact.h - who peers are and where (addrinfo.c), what we know of one ourselves, distances (contact.c). */
#ifndef QUDAG_SRC_CORE_KAD_CONTACT_H
#define QUDAG_SRC_CORE_KAD_CONTACT_H

#include "core/kad/kad.h"
#include "crypto/hash.h"

#include <string.h>

#define KAD_HINTS_MAX (KAD_ADDRS_MAX * (MULTIADDR_MAX + 2)) /* bytes of what ACT_OPEN takes */

/* ---- addrinfo.c ---- */

/*
 * Who a peer is and where: what is the same for all that know it.  It never changes: with other addresses
 * somebody is another entry.  Freed with the last reference.
 */
struct kad_who {
    struct kad_whos *all; /* NULL: shared with nobody */
    struct kad_who *next; /* in its place of |all| */
    uint32_t refs;
    uint32_t group; /* /24 or /48 of the first address, mixed; 0: none known */
    uint32_t mix;   /* of the id */
    uint16_t raw_len;
    uint8_t n_addrs;
    bool strict; /* all addresses are usable outside a lab too */
    uint8_t hash[SHA256_LEN];
    uint8_t raw[]; /* Peer message (kad_peer_write): the id, then what addresses are usable */
};

/*
 * All that are known to the instances that share a scratch.  They hold the references: bounded by their tables,
 * lookups and stores.
 */
struct kad_whos {
    struct mem *mem;
    struct kad_who **place; /* chains */
    uint32_t n, cap;        /* cap: places, a power of two or 0 */
    size_t bytes;           /* of entries */
    uint64_t key[2];
};

void kad_whos_init(struct kad_whos *all, struct mem *mem);
void kad_whos_fini(struct kad_whos *all); /* nobody may be left */
/* What places are chosen by: random.  Of no effect once somebody is in. */
void kad_whos_key(struct kad_whos *all, const uint64_t key[2]);
/* The hash of an id that somebody has; NULL: nobody. */
const uint8_t *kad_who_hash(const struct kad_whos *all, struct slice id);
/* Whose Peer message is exactly |raw|, all usable under |lab| (borrowed); NULL: unknown. */
struct kad_who *kad_who_like(const struct kad_whos *all, const struct kad_peer_raw *raw, bool lab);
/*
 * One reference.  |all| NULL: its own, of |mem|.  |hash|: of the id.  Addresses that |lab| does not allow are
 * left out.  NULL: no memory.
 */
struct kad_who *kad_who_new(struct mem *mem, struct kad_whos *all, const struct kad_peer_info *info,
                            const uint8_t hash[SHA256_LEN], bool lab);
void kad_who_fill(struct kad_peer_info *out, const struct kad_who *w);
struct kad_who *kad_who_ref(struct kad_who *w);
void kad_who_unref(struct kad_who *w);

static inline struct slice kad_who_raw(const struct kad_who *w)
{
    return (struct slice){w->raw, w->raw_len};
}

static inline struct slice kad_who_id(const struct kad_who *w)
{
    return (struct slice){w->raw + 2, w->raw[1]};
}

/* ---- contact.c ---- */

/* What one instance knows of a peer: shared by its table, lookups and requests; freed with the last reference. */
struct kad_peer {
    struct kad_who *who;
    const uint8_t *hash;         /* of |who| */
    tstamp seen;                 /* last answer or request; 0: none */
    uint32_t since_s;            /* when it entered the table, s */
    uint32_t srtt_us, rttvar_us; /* 0: never measured */
    uint32_t scored_s;           /* when |score| was right, s */
    int16_t score;               /* in 1/256; see kad_peer_score() */
    uint16_t refs;
    uint8_t fails;   /* requests failed since the last answer */
    uint8_t gave_up; /* requests it gave up since then; kad_gave_up() */
};

/*
 * One reference for the caller; shares nothing with other instances.  |hash|: of the id.  Addresses that
 * |lab| does not allow are left out.  NULL: no memory.
 */
struct kad_peer *kad_peer_new(struct mem *mem, const struct kad_peer_info *info,
                              const uint8_t hash[SHA256_LEN], bool lab);
/* Takes over a reference of |who| (NULL allowed); of it nothing is left on failure. */
struct kad_peer *kad_peer_about(struct mem *mem, struct kad_who *who);
struct kad_peer *kad_peer_ref(struct kad_peer *p);
void kad_peer_unref(struct kad_peer *p); /* NULL allowed */

static inline struct slice kad_peer_raw(const struct kad_peer *p)
{
    return kad_who_raw(p->who);
}

static inline struct slice kad_peer_id(const struct kad_peer *p)
{
    return kad_who_id(p->who);
}

static inline bool kad_peer_is(const struct kad_peer *p, struct slice id)
{
    struct slice mine = kad_peer_id(p);

    return mine.len == id.len && memcmp(mine.base, id.base, id.len) == 0;
}

static inline bool kad_peer_same(const struct kad_peer *a, const struct kad_peer *b)
{
    return memcmp(a->hash, b->hash, SHA256_LEN) == 0;
}

/* For one outside the table: takes the addresses of |info| if it has usable ones and there is memory. */
void kad_peer_set_addrs(struct kad_peer *p, const struct kad_peer_info *info, bool lab);
void kad_peer_fill(struct kad_peer_info *out, const struct kad_peer *p);
/* What ACT_OPEN takes: uvarint length and multiaddr, repeated; its length. */
size_t kad_peer_hints(uint8_t dst[KAD_HINTS_MAX], const struct kad_peer *p);
void kad_peer_rtt(struct kad_peer *p, tstamp rtt);

/*
 * Reputation, -100 .. 100, half of it forgotten every ten minutes: what we saw of a peer ourselves.  It
 * filters, and breaks ties among peers equally near; it never puts a farther peer before a nearer one, or
 * Sybils would earn their way to the front by good conduct.  What others think of a peer is not asked.
 */
enum kad_deed {
    KAD_DEED_ANSWERED,
    KAD_DEED_SILENT, /* never leads to KAD_SCORE_REFUSED: silence is no lie */
    KAD_DEED_LIED,   /* malformed, forged, or of something not asked */
};
#define KAD_SCORE_REFUSED (-50)
#define KAD_SCORE_HALF 600 /* s */
void kad_peer_deed(struct kad_peer *p, enum kad_deed deed, tstamp now);
int kad_peer_score(const struct kad_peer *p, tstamp now);
bool kad_peer_refused(const struct kad_peer *p, tstamp now);
/* More is better, by score and round trip; to be compared among candidates with the same common prefix only. */
uint32_t kad_peer_weight(const struct kad_peer *p, tstamp now);
/* |score| in 1/256, |seconds| later. */
int16_t kad_score_later(int16_t score, uint64_t seconds);
int16_t kad_score_after(int16_t score, enum kad_deed deed);

bool kad_addr_usable(const struct multiaddr *a, bool lab);
uint64_t kad_addr_group(const struct multiaddr *a);

/* One load and a swap of bytes, as compilers see it. */
static inline uint64_t kad_hash_prefix(const uint8_t h[SHA256_LEN])
{
    return (uint64_t)h[0] << 56 | (uint64_t)h[1] << 48 | (uint64_t)h[2] << 40 |
           (uint64_t)h[3] << 32 | (uint64_t)h[4] << 24 | (uint64_t)h[5] << 16 |
           (uint64_t)h[6] << 8 | (uint64_t)h[7];
}

unsigned kad_cpl(const uint8_t a[SHA256_LEN], const uint8_t b[SHA256_LEN]); /* 0 .. 256 */
/* < 0: |a| is closer to |t|. */
int kad_dist_cmp(const uint8_t t[SHA256_LEN], const uint8_t a[SHA256_LEN],
                 const uint8_t b[SHA256_LEN]);

#endif
