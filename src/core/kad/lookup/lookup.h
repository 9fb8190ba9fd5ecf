/*
 * lookup.h - the iterative search for the nodes closest to a key.
 *
 * It knows nothing of the request it serves but struct kad_lookup_params; the request owns its RPCs' answers and hands
 * on what they name.
 */
#ifndef QUDAG_SRC_CORE_KAD_LOOKUP_LOOKUP_H
#define QUDAG_SRC_CORE_KAD_LOOKUP_LOOKUP_H

#include "core/kad/lookup/candidates.h"
#include "core/kad/lookup/rpc.h"

#define KAD_WIDE_PREFIXES 8 /* neighbour prefixes looked into by a wide search */
#define KAD_WIDE_WIDTH 40   /* nodes waited for after that */

/* What the search is for; all false: the closest nodes, whoever they are. */
struct kad_lookup_params {
    enum kad_type type; /* what candidates are asked */
    bool narrow;        /* few at once: one good answer may end it */
    bool seeks;         /* something that nodes packed at the key may hide: a value, providers */
    bool stores;        /* the closest will be sent a value */
    bool careful;       /* along disjoint paths, and widely when in doubt */
    bool peer;          /* the contact whose id is the key */
    bool bootstrap; /* seeds count although they failed; no estimate from the table of a newcomer */
    bool masked;    /* nodes on the way see a few bits of the key only */
    unsigned bits; /* > 0: a part of a bucket is filled, with so many bits in common with the key */
};

struct kad_lookup {
    struct kad_rpc_owner owner; /* first: its RPCs lead back to it */
    struct kad_lookup_params p;
    bool starved; /* it could not go on for lack of room: a tick goes on */
    bool found;   /* what it seeks */
    uint8_t wide_rounds;
    uint8_t wide_from; /* bit of the first neighbour prefix */
    uint16_t key_len;
    uint8_t key[KAD_KEY_MAX];
    uint8_t hash[SHA256_LEN];
    unsigned mask_bits;        /* of the key that nodes on the way see; 0: all */
    uint32_t mask_prefix;      /* what the way is asked for */
    uint32_t wide_pending;     /* RPCs of a wide search not settled */
    uint32_t rpcs, failures;   /* of searches before this one, wide ones, and of stores */
    struct kad_contact *match; /* |p.peer|: found, with an address; referenced */
    struct kad_candidates q;
};

/* A key of at most KAD_KEY_MAX bytes.  Nothing is asked yet. */
void kad_lookup_init(struct kad_lookup *l, const struct kad_rpc_ops *ops,
                     const struct kad_lookup_params *p, struct slice key);
/* Its RPCs are aborted without a reset; a lookup that was never begun: nothing. */
void kad_lookup_fini(struct kad_rpcs *rs, struct kad_lookup *l);
/* Candidates from the table and the seeds. */
void kad_lookup_begin(struct kad_rpcs *rs, struct kad_lookup *l, tstamp now);
/* Asks as many as allowed; true when the lookup is over. */
bool kad_lookup_on(struct kad_rpcs *rs, struct kad_lookup *l, tstamp now, struct acts *out);
/* Candidates that an answer names. */
void kad_lookup_take(struct kad_rpcs *rs, struct kad_lookup *l, const struct kad_msg *m,
                     unsigned depth, unsigned path, tstamp now);
/*
 * Bootstrap: begins again in the next part of a bucket, from *bucket on, that lacks entries; false when there is
 * none.
 */
bool kad_lookup_refresh(struct kad_rpcs *rs, struct kad_lookup *l, unsigned *bucket, tstamp now);
/* The key told instead of the own one; false: none was found. */
bool kad_lookup_told_key(struct kad_rpcs *rs, const struct kad_lookup *l, unsigned alt,
                         uint8_t key[KAD_PREFIX_KEY]);
/* Adds up what its candidates did, before they are forgotten; who is late is still with it. */
void kad_lookup_tally(struct kad_lookup *l);
/* QUDAG_ENOTFOUND, or EUNREACHABLE when too few of those near the key answered to say so. */
qudag_err kad_lookup_absent(const struct kad_lookup *l);
/* The estimate of the network's size learns from it. */
void kad_lookup_measure(struct kad_rpcs *rs, const struct kad_lookup *l, tstamp now);

/* Whether |r| belongs to a wide search. */
static inline bool kad_lookup_is_wide(const struct kad_rpc *r)
{
    return r->call.alt >= KAD_ALT_NEIGHBOUR;
}

#endif
