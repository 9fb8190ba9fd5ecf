/*
 * kad_int.h - what the files of this folder share.
 *
 *   kad.c          public functions, events and ticks to the parts below
 *   maintenance.c  what is done without a request
 *   contacts.c     seeds, who answered, who failed       refusal.c  what peers did wrong, by reason
 *   netsize.c      how large the network is
 *   serve.h        requests of others: serve.c, limits.c
 *   request.h      our own requests:
 *     request.c      one request of the caller; exactly one report
 *     lookup.c       its lookup          get.c, put.c  what it reads or stores
 *     rpc.c          one message to one node, its answer   rtt.c  how long that may take
 *   candidates.h   candidates of a lookup: whom next, when done; pure
 *   tables.h       table.c  k-buckets    store.c  records and provider records
 *   contact.h      addrinfo.c  ids and addresses, shared by all instances of a loop    contact.c  a contact
 *   republish.h    republish.c  what we publish ourselves    persist.c  to bytes and back
 *   names.c        64-bit names to pointers
 */
#ifndef QUDAG_SRC_CORE_KAD_KAD_INT_H
#define QUDAG_SRC_CORE_KAD_KAD_INT_H

#include "base/dyn.h"
#include "base/slots.h"
#include "core/kad/candidates.h"
#include "core/kad/names.h"
#include "core/kad/request.h"
#include "core/kad/serve.h"
#include "core/kad/tables.h"

#include <limits.h>
#include <string.h>

/* ---- netsize.c ---- */

#define KAD_SPACES 31 /* measurements of which the median counts */

/* By the first 16 bits of the hash: the number a key with it is made of. */
struct kad_places {
    uint32_t tried, number[1u << KAD_PLACE_BITS];
};

/* Learns from the answers of a lookup; from our own neighbourhood in the table. */
void kad_size_note(struct kad *k, const struct kad_query *q, tstamp now);
void kad_size_look(struct kad *k, tstamp now);
/* Servers in the network, as far as we can tell; at least 1. */
uint64_t kad_size(const struct kad *k);
/* Distance (first 64 bits) within which |n| nodes are expected; 0: unknown, or half the network. */
uint64_t kad_radius(const struct kad *k, unsigned n);
unsigned kad_size_bits(const struct kad *k); /* log2 of the size; 0: unknown */
unsigned kad_near_bits(const struct kad *k); /* common bits of k neighbours; 0: unknown or few */
/* A key whose hash shares its first |bits| <= KAD_PLACE_BITS with |place|; false: none found. */
bool kad_place_key(struct kad *k, uint32_t place, unsigned bits, uint8_t key[KAD_PLACE_KEY]);

/* republish.c: how publishing what is kept ended. */
void kad_keep_result(struct kad *k, struct slice key, bool provide, qudag_err err, tstamp now);

/* ---- kad.c ---- */

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

#define KAD_KEEPS_MAX 1024
#define KAD_ACTS_SPARE 64 /* of the action list, kept for resets and reports of what ends */
#define KAD_SEEDS_MAX 32
#define KAD_LOST_MAX 32
#define KAD_MAINTAIN (60 * NS_PER_S)
#define KAD_REFRESH (600 * NS_PER_S)
#define KAD_IDLE_CHECK (600 * NS_PER_S)    /* when nobody fails ... */
#define KAD_IDLE_CHECK_MIN (60 * NS_PER_S) /* ... and when many do */
#define KAD_REJOIN_MIN (30 * NS_PER_S)
#define KAD_REFRESH_BITS 11 /* last bucket looked into by parts: their keys have 16 bits given */
#define KAD_FILLED UINT_MAX

/* Hashes of ids met lately of whom nothing is kept: a hint by two bytes of the id, checked against the whole. */
#define KAD_MEMO 256
struct kad_memo {
    uint8_t len, id[PEER_ID_MAX], hash[SHA256_LEN];
};

struct kad_scratch {
    struct mem *mem;
    struct kad_whos whos;
    struct kad_places *places; /* NULL: not needed yet */
    struct kad_memo memo[KAD_MEMO];
    struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX];
    struct kad_peer_raw raw[KAD_PEERS_MAX];
    uint8_t buf[KAD_PERSIST_MAX];
};

/* Who failed a short while ago is not asked again because others still name it. */
#define KAD_FAILED_MAX 64
#define KAD_FAILED_FOR (60 * NS_PER_S)
struct kad_failed {
    uint64_t prefix; /* of the hash */
    tstamp until;
};

/* Who lied to us lately; the score of a peer object ends with the object. */
#define KAD_LIARS_MAX 64
struct kad_liar {
    uint64_t prefix; /* of the hash; 0: none */
    uint32_t at;     /* s */
    int16_t score;   /* then, in 1/256 */
};

/* What every call touches stands first, and what is rarely looked at last: a loop may have thousands of them. */
struct kad {
    struct kad_scratch *scratch;
    struct kad_peer_info *up_info; /* of the last KAD_UP_PEER, until we are called again */
    size_t acts_0, bytes_0;        /* fill of the action list when we were called */
    struct list jobs, ended;       /* ended: reported, freed when we are called again */
    bool own_scratch, more, filling, reunite;
    unsigned fill; /* next part of a bucket to be filled after a bootstrap; KAD_FILLED: none */
    uint32_t n_jobs, n_after, n_internal, n_checks, n_keeps;
    tstamp next_maintain, last_answer, rejoin_at, rejoin_wait, next_lost, next_reunion;
    tstamp next_check, idle_check; /* an entry silent for so long is asked whether it lives */
    size_t n_lost, n_seeds;
    struct heap timers;
    struct kad_names rpc_by_strm, inbound_by_strm, clients, nets;
    uint64_t client_seed[2];
    struct list inbounds, ready, idle_clients, idle_nets;
    struct kad_debts debts; /* of all clients together */
    size_t kept;            /* bytes of requests of others that are not served yet */
    struct kad_peer *me;
    struct kad_table table;
    struct slots rpcs;
    struct kad_failed *failed; /* |failed_cap| of them, or NULL: nobody failed lately */
    struct kad_liar *liars;    /* KAD_LIARS_MAX of them, or NULL: nobody lied yet */
    uint32_t failed_cap, failed_next, liars_next;
    int32_t failing; /* share of requests without an answer lately, of KAD_FAILING_ONE */
    struct kad_peer *
        *seed; /* KAD_SEEDS_MAX places: heard of, not answered yet; newest last; or NULL */
    struct kad_stats stats;
    struct kad_guess answers, dials;
    struct list loose;  /* requests without a job */
    struct list checks; /* requests that only ask whether somebody lives */
    struct list keeps;
    uint8_t hash[SHA256_LEN];
    uint64_t space, space_v[KAD_SPACES]; /* between ids; 0: unknown */
    uint32_t spaces;
    tstamp sized_at;
    struct kad_store store;
    struct kad_peer *lost[KAD_LOST_MAX]; /* left the table because they did not answer */
    struct kad_config cfg;
};

/* Every call of the core begins here: frees what was reported, notes the room in |out|. */
void kad_enter(struct kad *k, const struct acts *out);
void kad_seed_cut(struct kad *k, size_t ix);
walltime kad_wall(const struct kad *k, tstamp now);
bool kad_room(const struct kad *k, const struct acts *out, size_t acts, size_t bytes);
const struct kad_validator *kad_validator_find(const struct kad *k, struct slice key);
/* QUDAG_OK: |value| may stand under |key| until *expires. */
QUDAG_MUST_USE qudag_err kad_judge(const struct kad *k, const struct kad_validator *v,
                                   struct slice key, struct slice value, tstamp now,
                                   walltime *expires);
/* Keeps a judged value unless what we hold is preferred (QUDAG_ESTALE) or equal (OK). */
QUDAG_MUST_USE qudag_err kad_keep_value(struct kad *k, const struct kad_validator *v,
                                        struct slice key, struct slice value, tstamp now);

/* maintenance.c */
void kad_upkeep_init(struct kad *k, tstamp now);
void kad_upkeep(struct kad *k, tstamp now, struct acts *out);
tstamp kad_upkeep_at(const struct kad *k);
void kad_lost_add(struct kad *k, struct kad_peer *p, tstamp now);
void kad_lost_answered(struct kad *k, const struct kad_peer *p, tstamp now);
void kad_lost_fini(struct kad *k);

/* contacts.c */
void kad_answered(struct kad *k, struct kad_peer *p, tstamp rtt, tstamp now, struct acts *out);
/* An entry of the table that asks us lives: it need not be checked. */
void kad_heard(struct kad *k, const struct kad_client *c, tstamp now, struct acts *out);
/* It has a link to us: what is held against it is forgotten. */
void kad_alive(struct kad *k, const struct kad_peer *p, tstamp now);
void kad_unanswered(struct kad *k, struct kad_peer *p, tstamp now);
/*
 * |p| reset our request, as it does when we ask more than it allows: it lives.  One that does nothing else
 * is of no use, and leaves the table with the last of KAD_RESETS_MAX in a row.
 */
void kad_gave_up(struct kad *k, struct kad_peer *p, tstamp now);
/*
 * |p| sent what no honest peer sends.  After two lies within minutes it is refused until most is forgotten: out
 * of the table and of lookups, named to nobody (kad_failed_lately() tells).
 */
void kad_lied(struct kad *k, struct kad_peer *p, tstamp now);
/* There is a new link: what failed before is asked again. */
void kad_is_back(struct kad *k, const struct peer_id *peer, tstamp now, struct acts *out);
/* Whether the peer of |hash| is not to be asked because others name it: it failed, or lied. */
bool kad_failed_lately(const struct kad *k, const uint8_t hash[SHA256_LEN], tstamp now);
/* The entry of the table for |raw|, or a new peer; one reference.  NULL: unusable or no memory. */
struct kad_peer *kad_peer_of(struct kad *k, const struct kad_peer_raw *raw, size_t *dropped);
/* A new peer that shares what is known of it; one reference.  |hash|: of the id.  NULL: no memory. */
struct kad_peer *kad_peer_make(struct kad *k, const struct kad_peer_info *info,
                               const uint8_t hash[SHA256_LEN]);
/* SHA-256 of a peer id. */
void kad_id_hash(struct kad *k, uint8_t hash[SHA256_LEN], struct slice id);
struct kad_peer *kad_self_peer(struct kad *k); /* us; one reference; NULL: no memory */
/*
 * The key of a bucket's part: its hash shares exactly |cpl| bits with ours and goes on with |part|.
 * False: none found in bounded time.
 */
bool kad_part_key(struct kad *k, unsigned cpl, unsigned part, uint8_t key[KAD_PLACE_KEY]);
/* A part of the bucket that lacks entries if there is one, else any. */
unsigned kad_part_to_fill(const struct kad *k, unsigned cpl);
/* Sets the timer; on failure the object must be given up. */
QUDAG_MUST_USE qudag_err kad_timer_set(struct kad *k, struct kad_timer *t, tstamp at);

#endif
