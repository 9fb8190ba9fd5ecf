/*
 * kad_int.h - what the files of this folder share.
 *
 *   kad.c    api, events and ticks to the parts below
 *   known.c  seeds, who answered, who failed      refuse.c what peers did wrong, counted by reason
 *   serve.c  requests of others                   size.c   how large the network is
 *   jobs.h   our own requests:
 *     job.c    one request of the caller; exactly one report
 *     walk.c   its lookup    get.c, put.c  what it reads or stores
 *     rpc.c    one request to one peer: a stream, its answer      timing.c  how long that may take
 *   parts.h  the pure parts:
 *     query.c  candidates of a lookup: which peer next, when done
 *     table.c  k-buckets     store.c  records and providers held for others
 *     peer.c   a peer with its packed addresses, shared by counting references
 *   names.c  64-bit names to pointers
 */
#ifndef QUDAG_SRC_CORE_KAD_KAD_INT_H
#define QUDAG_SRC_CORE_KAD_KAD_INT_H

#include "base/dyn.h"
#include "base/heap.h"
#include "base/limiter.h"
#include "base/slots.h"
#include "core/kad/jobs.h"
#include "core/kad/names.h"
#include "core/kad/parts.h"

#include <limits.h>
#include <string.h>

/* ---- size.c ---- */

#define KAD_SPACES 31 /* measurements of which the median counts */

/* By the first 16 bits of the hash: the number a key with it is made of. */
struct kad_places {
    uint32_t tried, number[1u << KAD_PLACE_BITS];
};

/* Learns from the answers of a lookup; from our own neighbourhood in the table. */
void kad_size_note(struct kad *k, const struct kad_query *q);
void kad_size_look(struct kad *k);
/* Servers in the network, as far as we can tell; at least 1. */
uint64_t kad_size(const struct kad *k);
/* Distance (first 64 bits) within which |n| nodes are expected; 0: unknown, or half the network. */
uint64_t kad_radius(const struct kad *k, unsigned n);
unsigned kad_size_bits(const struct kad *k); /* log2 of the size; 0: unknown */
unsigned kad_near_bits(const struct kad *k); /* common bits of k neighbours; 0: unknown or few */
/* A key whose hash shares its first |bits| <= KAD_PLACE_BITS with |place|; false: none found. */
bool kad_place_key(struct kad *k, uint32_t place, unsigned bits, uint8_t key[KAD_PLACE_KEY]);

/* ---- serve.c ---- */

#define KAD_INBOUND_MAX 4096
#define KAD_INBOUND_IDLE (60 * NS_PER_S)
#define KAD_BACKLOG_MAX (256 * 1024) /* bytes answered and not yet sent, per stream */
#define KAD_CLIENTS_MAX 2048
#define KAD_RATE 200
#define KAD_BURST 400

/* Who asks us: one allowance for all its streams, kept until it is full again. */
struct kad_client {
    struct list idle; /* linked while it has no stream */
    struct peer_id id;
    uint64_t name; /* keyed hash of the id */
    uint8_t hash[SHA256_LEN];
    struct limiter rate;
    uint32_t n_streams;
    tstamp idle_since;
};

struct kad_inbound {
    struct kad_timer timer;
    struct list node;  /* in kad->inbounds */
    struct list ready; /* in kad->ready: requests wait for room in the action list */
    struct ref strm;
    struct kad_client *client;
    struct dyn in;
    size_t backlog;
    bool fin;
};

void kad_serve_open(struct kad *k, const struct ev *ev, tstamp now, struct acts *out);
void kad_serve_data(struct kad *k, struct kad_inbound *in, struct slice data, tstamp now,
                    struct acts *out);
/* Goes on with requests that were kept back. */
void kad_serve_more(struct kad *k, struct kad_inbound *in, tstamp now, struct acts *out);
void kad_serve_close(struct kad *k, struct kad_inbound *in, tstamp now);
void kad_serve_fini(struct kad *k);
void kad_clients_expire(struct kad *k, tstamp now);

/* A value or provider record to be published again. */
struct kad_keep {
    struct list node;
    struct kad_timer timer;
    bool provide;
    uint16_t key_len;
    size_t value_len;
    uint8_t *value;
    uint8_t key[KAD_KEY_MAX];
};
#define KAD_KEEPS_MAX 1024

/* ---- kad.c ---- */

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

#define KAD_SEEDS_MAX 32
#define KAD_MAINTAIN (60 * NS_PER_S)
#define KAD_REFRESH (600 * NS_PER_S)
#define KAD_IDLE_CHECK (600 * NS_PER_S)    /* when nobody fails ... */
#define KAD_IDLE_CHECK_MIN (60 * NS_PER_S) /* ... and when many do */
#define KAD_REJOIN_MIN (30 * NS_PER_S)
#define KAD_REFRESH_BITS 11 /* last bucket looked into by parts: their keys have 16 bits given */
#define KAD_FILLED UINT_MAX

/* Hashes of ids met lately: a hint by two bytes of the id, checked against the whole. */
#define KAD_MEMO 1024
struct kad_memo {
    uint8_t len, id[PEER_ID_MAX], hash[SHA256_LEN];
};

struct kad_scratch {
    struct mem *mem;
    struct kad_places *places; /* NULL: not needed yet */
    struct kad_memo memo[KAD_MEMO];
    struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX];
    struct kad_peer_raw raw[KAD_PEERS_MAX];
    uint8_t buf[KAD_MSG_MAX + 8];
};

/* Who failed a short while ago is not asked again because others still name it. */
#define KAD_FAILED_MAX 64
#define KAD_FAILED_FOR (60 * NS_PER_S)
struct kad_failed {
    uint64_t prefix; /* of the hash */
    tstamp until;
};

struct kad {
    struct kad_config cfg;
    uint8_t hash[SHA256_LEN];
    struct kad_scratch *scratch;
    bool own_scratch, more;
    size_t acts_0, bytes_0; /* fill of the action list when we were called */
    struct kad_table table;
    struct kad_store store;
    struct heap timers;
    struct slots rpcs;
    struct kad_names rpc_by_strm, inbound_by_strm, clients;
    uint64_t client_seed[2];
    struct list loose;       /* requests without a job */
    struct list checks;      /* requests that only ask whether somebody lives */
    struct list jobs, ended; /* ended: reported, freed when we are called again */
    struct list inbounds, ready, idle_clients, keeps;
    uint32_t n_jobs, n_internal, n_checks, n_keeps;
    size_t n_seeds;
    struct kad_peer *seed[KAD_SEEDS_MAX]; /* heard of, have not answered yet; newest last */
    tstamp next_maintain, last_answer, rejoin_at, rejoin_wait;
    tstamp next_check, idle_check; /* an entry silent for so long is asked whether it lives */
    struct kad_guess answers, dials;
    uint64_t space, space_v[KAD_SPACES]; /* between ids; 0: unknown */
    uint32_t spaces;
    unsigned fill; /* next part of a bucket to be filled after a bootstrap; KAD_FILLED: none */
    bool filling;
    struct kad_failed *failed; /* KAD_FAILED_MAX of them, or NULL: nobody failed yet */
    uint32_t failed_next;
    struct kad_peer_info self_info;
    struct kad_peer_info *up_info; /* of the last KAD_UP_PEER, until we are called again */
    struct kad_stats stats;
};

/* Counts and logs what a peer did wrong. */
void kad_refuse(struct kad *k, enum kad_refusal why);
void kad_refuse_n(struct kad *k, enum kad_refusal why, size_t n);
/* Why a value was refused by kad_judge() or kad_keep_value() with |err|. */
enum kad_refusal kad_refusal_of(qudag_err err);
/* Why kad_msg_decode() refused a message with |err|. */
enum kad_refusal kad_refusal_of_msg(qudag_err err);

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
void kad_answered(struct kad *k, struct kad_peer *p, tstamp rtt, tstamp now, struct acts *out);
/* An entry of the table that asks us lives: it need not be checked. */
void kad_heard(struct kad *k, const struct kad_client *c, tstamp now, struct acts *out);
/* It has a link to us: what is held against it is forgotten. */
void kad_alive(struct kad *k, const struct kad_peer *p, tstamp now);
void kad_unanswered(struct kad *k, struct kad_peer *p, tstamp now);
/* There is a new link: what failed before is asked again. */
void kad_is_back(struct kad *k, const struct peer_id *peer, tstamp now, struct acts *out);
bool kad_failed_lately(const struct kad *k, const uint8_t hash[SHA256_LEN], tstamp now);
/* The entry of the table for |raw|, or a new peer; one reference.  NULL: unusable or no memory. */
struct kad_peer *kad_peer_of(struct kad *k, const struct kad_peer_raw *raw, size_t *dropped);
/* SHA-256 of a peer id. */
void kad_id_hash(struct kad *k, uint8_t hash[SHA256_LEN], struct slice id);
struct kad_peer *kad_self_peer(struct kad *k); /* us; one reference; NULL: no memory */
void kad_keep_result(struct kad *k, struct slice key, bool provide, qudag_err err, tstamp now);
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
