/* contact.h - what one instance knows of another node: address, round trip, conduct. */
#ifndef QUDAG_SRC_CORE_KAD_ROUTING_CONTACT_H
#define QUDAG_SRC_CORE_KAD_ROUTING_CONTACT_H

#include "core/kad/common/distance.h"
#include "core/kad/common/env.h"
#include "core/kad/routing/addrinfo.h"

#include <string.h>

/* What one instance knows of a peer: shared by its table, lookups and requests; freed with the last reference. */
struct kad_contact {
    struct kad_addrinfo *info;
    const uint8_t *hash;         /* of |info| */
    tstamp seen;                 /* last answer or request; 0: none */
    uint32_t since_s;            /* when it entered the table, s */
    uint32_t srtt_us, rttvar_us; /* 0: never measured */
    uint32_t scored_s;           /* when |score| was right, s */
    int16_t score;               /* in 1/256; see kad_contact_score() */
    uint16_t refs;
    uint8_t fails;   /* requests failed since the last answer */
    uint8_t gave_up; /* requests it gave up since then; kad_contacts_gave_up() */
};

/*
 * One reference for the caller; shares nothing with other instances.  |hash|: of the id.  Addresses that
 * |lab| does not allow are left out.  NULL: no memory.
 */
struct kad_contact *kad_contact_new(struct mem *mem, const struct kad_peer_info *info,
                                    const uint8_t hash[SHA256_LEN], bool lab);
/* Takes over a reference of |info| (NULL allowed); of it nothing is left on failure. */
struct kad_contact *kad_contact_of(struct mem *mem, struct kad_addrinfo *info);
/* One reference more. */
struct kad_contact *kad_contact_ref(struct kad_contact *p);
void kad_contact_unref(struct kad_contact *p); /* NULL allowed */

static inline struct slice kad_contact_raw(const struct kad_contact *p)
{
    return kad_addrinfo_raw(p->info);
}

static inline struct slice kad_contact_id(const struct kad_contact *p)
{
    return kad_addrinfo_id(p->info);
}

static inline bool kad_contact_is(const struct kad_contact *p, struct slice id)
{
    struct slice mine = kad_contact_id(p);

    return mine.len == id.len && memcmp(mine.base, id.base, id.len) == 0;
}

static inline bool kad_contact_same(const struct kad_contact *a, const struct kad_contact *b)
{
    return memcmp(a->hash, b->hash, SHA256_LEN) == 0;
}

/* For one outside the table: takes the addresses of |info| if it has usable ones and there is memory. */
void kad_contact_set_addrs(struct kad_contact *p, const struct kad_peer_info *info, bool lab);
/* Id and addresses, unpacked. */
void kad_contact_decode(struct kad_peer_info *out, const struct kad_contact *p);
/* What ACT_OPEN takes: uvarint length and multiaddr, repeated; its length. */
size_t kad_contact_hints(uint8_t dst[KAD_HINTS_MAX], const struct kad_contact *p);
/* A round trip of |rtt| ns was measured. */
void kad_contact_rtt(struct kad_contact *p, tstamp rtt);

/*
 * Reputation, -100 .. 100, half of it forgotten every ten minutes: what we saw of a peer ourselves.  It
 * filters, and breaks ties among peers equally near; it never puts a farther peer before a nearer one, or
 * Sybils would earn their way to the front by good conduct.  What others think of a peer is not asked.
 */
enum kad_conduct {
    KAD_CONDUCT_ANSWERED,
    KAD_CONDUCT_SILENT,     /* never leads to KAD_SCORE_REFUSED: silence is no misbehaviour */
    KAD_CONDUCT_MISBEHAVED, /* malformed, forged, or of something not asked */
};
#define KAD_SCORE_REFUSED (-50)
#define KAD_SCORE_HALF 600 /* s */
/* What it did. */
void kad_contact_report(struct kad_contact *p, enum kad_conduct conduct, tstamp now);
/* -100 .. 100 at |now|. */
int kad_contact_score(const struct kad_contact *p, tstamp now);
/* More is better, by score and round trip; to be compared among candidates with the same common prefix only. */
uint32_t kad_contact_weight(const struct kad_contact *p, tstamp now);
/* |score| in 1/256, |seconds| later. */
int16_t kad_score_later(int16_t score, uint64_t seconds);
/* |score| in 1/256, after one more such conduct. */
int16_t kad_score_after(int16_t score, enum kad_conduct conduct);

#endif
