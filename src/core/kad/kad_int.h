/*
 * kad_int.h - what the files of this folder share.
 *
 *   kad.c    api, events and ticks to the parts below
 *   known.c  seeds, who answered, who failed
 *   job.c    one request of the caller: a lookup, then perhaps stores; exactly one report
 *   query.c  the lookup itself: which peer next, when done (pure)
 *   rpc.c    one request to one peer: a stream, its timeouts, its answer
 *   serve.c  requests of others
 *   table.c  k-buckets (pure)      store.c  records and providers held for others
 *   names.c  64-bit names to pointers
 *   refuse.c what peers did wrong, counted by reason
 *   peer.c   a peer with its packed addresses, shared by counting references
 */
#ifndef QUDAG_SRC_CORE_KAD_KAD_INT_H
#define QUDAG_SRC_CORE_KAD_KAD_INT_H

#include "base/dyn.h"
#include "base/slots.h"
#include "core/kad/names.h"
#include "core/kad/parts.h"
#include "core/kad/serve.h"

#include <string.h>

/* ---- rpc.c ---- */

#define KAD_RPCS_MAX 2048
#define KAD_CHECKS_MAX 16
#define KAD_DIAL_HARD (3 * NS_PER_S)
#define KAD_DIAL_SOFT (1 * NS_PER_S)
#define KAD_STORE_HARD_MIN (2 * NS_PER_S)
#define KAD_LINGER (5 * NS_PER_S)

/* OPENING --stream open--> WAITING --answer--> LINGER --fin, reset, time--> gone */
enum kad_rpc_state { KAD_RPC_OPENING, KAD_RPC_WAITING, KAD_RPC_LINGER };

struct kad_job;
struct kad_rpc {
    struct kad_timer timer;
    struct list node;    /* in the job's list, or in kad->loose */
    struct kad_job *job; /* NULL: a liveness check, or nobody waits any more */
    struct kad_peer *peer;
    struct ref name, strm;
    enum kad_type type;
    enum kad_rpc_state state;
    bool softened, check;
    bool refused; /* it lives and says no: that is no mark against it */
    tstamp sent, hard;
    struct dyn in;
};

QUDAG_MUST_USE qudag_err kad_rpc_start(struct kad *k, struct kad_job *job, struct kad_peer *peer,
                                       enum kad_type type, tstamp now, struct acts *out);
void kad_rpc_abort(struct kad *k, struct kad_rpc *r, struct acts *out); /* out NULL: no reset */
void kad_rpc_opened(struct kad *k, struct kad_rpc *r, struct ref strm, tstamp now,
                    struct acts *out);
/* The request is over without an answer: timeout, reset, refused, bad message. */
void kad_rpc_failed(struct kad *k, struct kad_rpc *r, bool reset, tstamp now, struct acts *out);
/* The remote gave the stream up. */
void kad_rpc_reset(struct kad *k, struct kad_rpc *r, tstamp now, struct acts *out);
void kad_rpc_data(struct kad *k, struct kad_rpc *r, struct slice data, tstamp now,
                  struct acts *out);
void kad_rpc_fin(struct kad *k, struct kad_rpc *r, tstamp now, struct acts *out);
void kad_rpc_timer(struct kad *k, struct kad_rpc *r, tstamp now, struct acts *out);
/* FIND_NODE for ourselves, to learn whether |peer| answers. */
void kad_check(struct kad *k, struct kad_peer *peer, tstamp now, struct acts *out);

/* 1: a whole message at the head of |in|, *used bytes with its length; 0: not yet; -1: never. */
int kad_frame(struct slice in, struct slice *msg, size_t *used);

/* ---- job.c ---- */

#define KAD_JOBS_INTERNAL 8
#define KAD_STORE_SOFT (NS_PER_S / 2) /* a put with its quorum waits no longer for the rest */
#define KAD_CONFIRM 3                 /* peers that must hold the best mutable value */
#define KAD_CORRECT_MAX 20

enum kad_phase { KAD_PHASE_LOOKUP, KAD_PHASE_STORE };

struct kad_job {
    struct list node;
    struct kad_timer timer;
    enum kad_op op;
    enum kad_phase phase;
    enum kad_type type; /* of its requests now */
    bool internal, reported, starved;
    uint64_t cookie;
    tstamp began, due, soft_due;
    uint16_t key_len;
    uint8_t key[KAD_KEY_MAX];
    uint8_t hash[SHA256_LEN];
    unsigned refresh; /* bootstrap: next part of a bucket */
    unsigned bits; /* the lookup fills the part of a bucket with this many bits in common; or 0 */
    uint32_t rpcs, failures, hops, answered;
    struct list rpcs_list;
    const struct kad_validator *val;
    struct kad_options opt;
    uint8_t *value; /* put: to store; get: the best so far */
    size_t value_len;
    uint32_t confirmed;
    size_t n_found; /* find peer, providers, holders: referenced peers */
    struct kad_peer *found[KAD_PEERS_MAX];
    size_t n_target, next_target, n_settled; /* store phase: referenced peers */
    struct kad_peer *target[KAD_K];
    uint32_t want;
    struct kad_result result;
    struct kad_peer_info *infos;
    struct kad_query q;
};

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

/* key: of the request; value: put. */
struct kad_ask {
    enum kad_op op;
    bool internal;
    uint64_t cookie;
    struct slice key, value;
    const struct kad_validator *val;
    struct kad_options opt;
    unsigned bits; /* KAD_OP_FIND: of the key's hash, see struct kad_job */
};

QUDAG_MUST_USE qudag_err kad_job_start(struct kad *k, const struct kad_ask *ask, tstamp now,
                                       struct acts *out);
void kad_job_run(struct kad *k, struct kad_job *j, tstamp now, struct acts *out);
/* |m| borrows from kad->scratch.  NULL: acknowledged without an answer. */
void kad_job_reply(struct kad *k, struct kad_job *j, struct kad_rpc *r, const struct kad_msg *m,
                   tstamp now, struct acts *out);
void kad_job_fail(struct kad *k, struct kad_job *j, struct kad_rpc *r, tstamp now,
                  struct acts *out);
void kad_job_timer(struct kad *k, struct kad_job *j, tstamp now, struct acts *out);
void kad_job_end(struct kad *k, struct kad_job *j, qudag_err err, tstamp now, struct acts *out);
void kad_job_free(struct kad *k, struct kad_job *j);

/* ---- kad.c ---- */

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

#define KAD_SEEDS_MAX 32
#define KAD_MAINTAIN (60 * NS_PER_S)
#define KAD_REFRESH (600 * NS_PER_S)
#define KAD_IDLE_CHECK (600 * NS_PER_S)
#define KAD_REJOIN_MIN (30 * NS_PER_S)
#define KAD_REFRESH_BITS 12 /* longest prefix a random key is searched for */

/* Hashes of ids met lately: a hint by two bytes of the id, checked against the whole. */
#define KAD_MEMO 1024
struct kad_memo {
    uint8_t len, id[PEER_ID_MAX], hash[SHA256_LEN];
};

struct kad_scratch {
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

/* Who lied to us lately; the score of a peer object ends with the object. */
#define KAD_LIARS_MAX 64
struct kad_liar {
    uint64_t prefix; /* of the hash; 0: none */
    uint32_t at;     /* s */
    int16_t score;   /* then, in 1/256 */
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
    struct kad_names rpc_by_strm, inbound_by_strm, clients, nets;
    uint64_t client_seed[2];
    struct list loose;       /* requests without a job */
    struct list jobs, ended; /* ended: reported, freed when we are called again */
    struct list inbounds, ready, idle_clients, idle_nets, keeps;
    struct kad_debts debts; /* of all clients together */
    uint32_t n_jobs, n_internal, n_checks, n_keeps;
    size_t n_seeds;
    struct kad_peer **seed; /* KAD_SEEDS_MAX places: heard of, not answered yet; newest last; or NULL */
    tstamp next_maintain, last_answer, rejoin_at, rejoin_wait;
    struct kad_failed *failed; /* KAD_FAILED_MAX of them, or NULL: nobody failed yet */
    struct kad_liar *liars; /* KAD_LIARS_MAX of them, or NULL: nobody lied yet */
    uint32_t failed_next, liars_next;
    struct kad_peer_info self_info;
    struct kad_peer_info *up_info; /* of the last KAD_UP_PEER, until we are called again */
    struct kad_stats stats;
    size_t kept;         /* bytes of requests of others that are not served yet */
    uint32_t failed_cap; /* places |failed| has now, at most KAD_FAILED_MAX; 0: nobody failed lately */
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
void kad_answered(struct kad *k, struct kad_peer *p, tstamp rtt, tstamp now, struct acts *out);
/* An entry of the table that asks us lives: it need not be checked. */
void kad_heard(struct kad *k, const struct kad_client *c, tstamp now, struct acts *out);
void kad_unanswered(struct kad *k, struct kad_peer *p, tstamp now);
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
/* SHA-256 of a peer id. */
void kad_id_hash(struct kad *k, uint8_t hash[SHA256_LEN], struct slice id);
struct kad_peer *kad_self_peer(struct kad *k); /* us; one reference; NULL: no memory */
void kad_keep_result(struct kad *k, struct slice key, bool provide, qudag_err err, tstamp now);
/*
 * The key of a bucket's part: its hash shares exactly |cpl| bits with ours and goes on with |part|.
 * False: none found in bounded time.
 */
bool kad_random_key(const struct kad *k, unsigned cpl, unsigned part, uint8_t key[32]);
/* Sets the timer; on failure the object must be given up. */
QUDAG_MUST_USE qudag_err kad_timer_set(struct kad *k, struct kad_timer *t, tstamp at);

#endif
