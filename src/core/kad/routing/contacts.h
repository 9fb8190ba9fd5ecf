/*
 * contacts.h - the contacts of one instance: routing table, seeds, those that failed lately,
 * misbehaved, or departed.
 *
 * No function here asks anybody anything: one that finds a contact worth asking whether it lives returns it, and the
 * caller does so (kad_rpc_check()).
 */
#ifndef QUDAG_SRC_CORE_KAD_ROUTING_CONTACTS_H
#define QUDAG_SRC_CORE_KAD_ROUTING_CONTACTS_H

#include "core/kad/routing/departed.h"
#include "core/kad/routing/netsize.h"
#include "core/kad/routing/prefix_key.h"
#include "core/kad/routing/table.h"

#define KAD_SEEDS_MAX 32
#define KAD_IDLE_CHECK (600 * NS_PER_S)    /* when nobody fails ... */
#define KAD_IDLE_CHECK_MIN (60 * NS_PER_S) /* ... and when many do */
#define KAD_REFRESH_BITS 11 /* last bucket looked into by parts: their keys have 16 bits given */

/* Hashes of ids of late that have no entry: found by two bytes of the id, which is then compared. */
#define KAD_MEMO 256
struct kad_memo {
    uint8_t len, id[PEER_ID_MAX], hash[SHA256_LEN];
};

/* What all instances of a loop share. */
struct kad_shared {
    struct mem *mem;
    struct kad_addrinfo_pool pool;
    struct kad_prefix_keys *prefix_keys; /* NULL: not needed yet */
    struct kad_memo memo[KAD_MEMO];
};

/* A contact that failed a short while ago is not asked again because others still name it. */
#define KAD_FAILED_MAX 64
#define KAD_FAILED_FOR (60 * NS_PER_S)
struct kad_failed {
    uint64_t prefix; /* of the hash */
    uint64_t addrs;  /* which addresses: others may name the node at better ones */
    tstamp until;
};

/* A node that misbehaved lately; the score of a contact ends with the contact. */
#define KAD_MISBEHAVING_MAX 64
struct kad_misbehaving {
    uint64_t prefix; /* of the hash; 0: none */
    uint32_t at;     /* s */
    int16_t score;   /* then, in 1/256 */
};

struct kad_routing {
    struct kad_env *env;
    struct kad_shared *shared;
    struct kad_contact *self; /* us, with the addresses others are told */
    struct kad_table table;
    struct kad_netsize size;
    tstamp last_answer;
    uint32_t silent_run; /* requests in vain since then, made after it */
    tstamp idle_check;   /* an entry silent for so long is asked whether it lives */
    struct kad_contact *
        *seed; /* room for KAD_SEEDS_MAX: heard of, not answered yet; newest last; or NULL */
    struct kad_failed *failed;           /* |failed_cap| of them, or NULL: nobody failed lately */
    struct kad_misbehaving *misbehaving; /* KAD_MISBEHAVING_MAX of them, or NULL: none yet */
    uint32_t n_seeds, failed_cap, failed_next, misbehaving_next;
    struct kad_departed departed;
};

/* False: no memory. */
bool kad_contacts_init(struct kad_routing *r, struct kad_env *env, struct kad_shared *shared);
/* Lets go of all contacts; nobody else of this instance may hold one. */
void kad_contacts_fini(struct kad_routing *r);

/* ---- contacts by id ---- */

/*
 * The node of |c| at the addresses of |raw|, when these are others; one reference.  NULL: the same, none usable, no
 * memory.
 */
struct kad_contact *kad_contacts_elsewhere(struct kad_routing *r, const struct kad_contact *c,
                                           const struct kad_peer_raw *raw);
/*
 * The contact of |raw| in the table or among the seeds, or a new one; one reference.  |name|: of its id.
 * NULL: unusable, no memory.
 */
struct kad_contact *kad_contacts_of_raw(struct kad_routing *r, uint64_t name,
                                        const struct kad_peer_raw *raw, size_t *dropped);
/* A new contact that shares what is known of its addresses; one reference.  |hash|: of the id.  NULL: no memory. */
struct kad_contact *kad_contacts_make(struct kad_routing *r, const struct kad_peer_info *info,
                                      const uint8_t hash[SHA256_LEN]);
/* SHA-256 of a peer id. */
void kad_contacts_hash(struct kad_routing *r, uint8_t hash[SHA256_LEN], struct slice id);
/* A contact that is us; one reference; NULL: no memory. */
struct kad_contact *kad_contacts_self(struct kad_routing *r);
/* Our own addresses, told to others; as before without memory. */
void kad_contacts_set_self(struct kad_routing *r, const struct multiaddr *addr, size_t n);

/* ---- what came of asking; each contact returned is borrowed ---- */

/* |c| answered after |rtt| ns.  Returns an entry of its full bucket that should be asked whether it lives, or NULL. */
struct kad_contact *kad_contacts_answered(struct kad_routing *r, struct kad_contact *c, tstamp rtt,
                                          tstamp now, struct acts *out);
/* What it was asked at |asked| it did not answer in time; see kad_silence_counts(). */
void kad_contacts_unanswered(struct kad_routing *r, struct kad_contact *c, tstamp asked,
                             tstamp now);
/*
 * |c| reset our request, as it does when we ask more than it allows: it lives.  One that does nothing else
 * is of no use, and leaves the table with the last of KAD_RESETS_MAX in a row.
 */
void kad_contacts_gave_up(struct kad_routing *r, struct kad_contact *c, tstamp now);
/*
 * |c| sent what no honest node sends.  After two such messages within minutes it is refused until most is forgotten:
 * out of the table and of lookups, named to nobody (kad_contacts_failed_lately() tells).
 */
void kad_contacts_misbehaved(struct kad_routing *r, struct kad_contact *c, tstamp now);
/* It has a link to us: what is held against it is forgotten. */
void kad_contacts_alive(struct kad_routing *r, const struct kad_contact *c, tstamp now);
/*
 * A peer asks us: it lives, and its backoff is reset.
 * Returned when it is in the table and failed lately: it should be asked whether it serves.
 */
struct kad_contact *kad_contacts_heard(struct kad_routing *r, const uint8_t *hash, tstamp now);
/* There is a new link to |peer|: its backoff is reset.  Returned as above. */
struct kad_contact *kad_contacts_is_back(struct kad_routing *r, const struct peer_id *peer);
/* Whether |c| is not to be asked because others name it: it failed at these addresses, or misbehaved. */
bool kad_contacts_failed_lately(const struct kad_routing *r, const struct kad_contact *c,
                                tstamp now);
/* The network was away: the backoff of all is reset. */
void kad_contacts_backoff_reset(struct kad_routing *r);

/* ---- what the owner says ---- */

/* A peer that may be asked.  Returns it when it should be asked now whether it answers. */
struct kad_contact *kad_contacts_add(struct kad_routing *r, const struct kad_peer_info *peer,
                                     tstamp now);
/* A peer known from an earlier run; see kad_preload(). */
void kad_contacts_preload(struct kad_routing *r, const struct kad_peer_info *peer, tstamp rtt,
                          tstamp seen);
/* It does not serve our protocol: it leaves the table. */
void kad_contacts_drop(struct kad_routing *r, const struct peer_id *peer);

/* ---- keys that lead to a part of the key space ---- */

/* A key whose hash shares its first |bits| with |prefix|; false: none found, no memory. */
bool kad_contacts_prefix_key(struct kad_routing *r, uint32_t prefix, unsigned bits,
                             uint8_t key[KAD_PREFIX_KEY]);
/*
 * The key of a bucket's part: its hash shares exactly |cpl| bits with ours and goes on with |part|.
 * False: none found in bounded time.
 */
bool kad_contacts_part_key(struct kad_routing *r, unsigned cpl, unsigned part,
                           uint8_t key[KAD_PREFIX_KEY]);
/* A part of the bucket that lacks entries if there is one, else any. */
unsigned kad_contacts_part_to_fill(struct kad_routing *r, unsigned cpl);
/* The entry that has been silent for longest; NULL: the table is empty. */
struct kad_contact *kad_contacts_idlest(const struct kad_routing *r);

#endif
