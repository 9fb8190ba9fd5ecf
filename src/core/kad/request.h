/*
 * request.h - our own requests: rpc.c, rtt.c, request.c, lookup.c, get.c, put.c.  Included by kad_int.h.
 */
#ifndef QUDAG_SRC_CORE_KAD_REQUEST_H
#define QUDAG_SRC_CORE_KAD_REQUEST_H

#include "base/dyn.h"
#include "core/kad/candidates.h"
#include "core/kad/tables.h"
#include "core/kad/timer.h"

#define KAD_PLACE_BITS 16 /* of a hash that a key can be found for */
#define KAD_PLACE_KEY 34  /* bytes of such a key */

/* ---- rpc.c ---- */

#define KAD_RPCS_MAX 2048
#define KAD_CHECKS_MAX 16
#define KAD_DIAL_HARD (5 * NS_PER_S)
#define KAD_DIAL_SAMPLE (NS_PER_MS / 2) /* a stream that opens sooner had its link already */
#define KAD_ANSWER_HARD (4 * NS_PER_S)
#define KAD_LINGER (5 * NS_PER_S)

/* OPENING --stream open--> WAITING --answer--> LINGER --fin, reset, time--> gone */
enum kad_rpc_state { KAD_RPC_OPENING, KAD_RPC_WAITING, KAD_RPC_LINGER };

/* How far its time has run. */
enum kad_stage { KAD_STAGE_EARLY, KAD_STAGE_SOFT, KAD_STAGE_LATE };

/* Whether the peer is told the job's key or another: see kad_job_place(). */
enum kad_alt { KAD_ALT_NONE, KAD_ALT_MASK, KAD_ALT_SWEEP };

struct kad_call {
    enum kad_type type;
    uint8_t alt; /* enum kad_alt; KAD_ALT_SWEEP + i: sibling i */
    bool full;   /* get: the value even if we hold one */
};

struct kad_job;
struct kad_rpc {
    struct kad_timer timer;
    struct list node;    /* in the job's list, or in kad->checks or ->loose */
    struct kad_job *job; /* NULL: a liveness check, or nobody waits any more */
    struct kad_peer *peer;
    struct ref name, strm;
    struct kad_call call;
    enum kad_rpc_state state;
    enum kad_stage stage;
    bool check;
    bool refused; /* it lives and says no: that is no mark against it */
    bool counted_late;
    tstamp began, sent, late, hard;
    struct dyn in;
};

QUDAG_MUST_USE qudag_err kad_rpc_start(struct kad *k, struct kad_job *job, struct kad_peer *peer,
                                       struct kad_call call, tstamp now, struct acts *out);
/* Its job ends or needs no answer: it goes on by itself. */
void kad_rpc_detach(struct kad *k, struct kad_rpc *r);
void kad_rpc_abort(struct kad *k, struct kad_rpc *r, struct acts *out); /* out NULL: no reset */
void kad_rpc_opened(struct kad *k, struct kad_rpc *r, struct ref strm, tstamp now,
                    struct acts *out);
/* The request is over without an answer: timeout, reset, refused, bad message. */
void kad_rpc_failed(struct kad *k, struct kad_rpc *r, bool reset, tstamp now, struct acts *out);
/* The remote gave the stream up. */
void kad_rpc_reset(struct kad *k, struct kad_rpc *r, qudag_err err, tstamp now, struct acts *out);
void kad_rpc_data(struct kad *k, struct kad_rpc *r, struct slice data, tstamp now,
                  struct acts *out);
void kad_rpc_fin(struct kad *k, struct kad_rpc *r, tstamp now, struct acts *out);
void kad_rpc_timer(struct kad *k, struct kad_rpc *r, tstamp now, struct acts *out);
/* FIND_NODE for ourselves, to learn whether |peer| answers. */
void kad_check(struct kad *k, struct kad_peer *peer, tstamp now, struct acts *out);

/* 1: a whole message at the head of |in|, *used bytes with its length; 0: not yet; -1: never. */
int kad_frame(struct slice in, struct slice *msg, size_t *used);

/* ---- rtt.c ---- */

/* Of all peers together, smoothed. */
struct kad_guess {
    uint32_t mean_us, var_us, n; /* n: measurements, as far as it matters how many */
};

/* ns from the beginning; soft <= late < hard */
struct kad_waits {
    tstamp soft, late, hard;
};

void kad_guess_note(struct kad_guess *g, tstamp took);
struct kad_waits kad_waits_answer(const struct kad *k, const struct kad_peer *p);
struct kad_waits kad_waits_dial(const struct kad *k);
/* A request was answered, or had no answer when it was late. */
#define KAD_FAILING_ONE 65536
#define KAD_FAILING_MANY (KAD_FAILING_ONE / 20)
void kad_failing_note(struct kad *k, bool failed);

/* ---- request.c ---- */

#define KAD_JOBS_INTERNAL 8
#define KAD_JOBS_AFTER 16  /* reported, but with stores on their way: so many times queries_max */
#define KAD_TARGETS_MAX 48 /* peers a value is sent to */
#define KAD_SWEEP_MAX 8    /* sibling prefixes looked into */
#define KAD_SWEEP_WIDTH 40 /* peers waited for after that */
#define KAD_REFETCH_MAX 8  /* values fetched because their digest differs */

enum kad_phase { KAD_PHASE_LOOKUP, KAD_PHASE_STORE };

struct kad_job {
    struct list node;
    struct kad_timer timer;
    enum kad_op op;
    enum kad_phase phase;
    enum kad_type type; /* of its lookup */
    bool internal, reported, starved;
    uint8_t swept; /* times */
    bool fill;     /* of the parts after a bootstrap */
    uint64_t cookie;
    tstamp began, due;
    uint16_t key_len;
    uint8_t key[KAD_KEY_MAX];
    uint8_t hash[SHA256_LEN];
    unsigned refresh; /* bootstrap: next bucket */
    unsigned bits; /* the lookup fills the part of a bucket with this many bits in common; or 0 */
    uint32_t rpcs, failures, hops; /* of lookups before this one, and of stores */
    struct list rpcs_list;
    const struct kad_validator *val;
    struct kad_options opt;
    enum kad_read read;
    uint32_t mask_place, sweeps; /* what the way is asked for; sweep requests not settled */
    uint8_t sweep_from;          /* bit of the first sibling */
    unsigned mask_bits;          /* of the key that peers on the way see; 0: all */
    uint8_t *value;              /* put: to store; get: the best so far */
    size_t value_len;
    uint8_t digest[SHA256_LEN]; /* get: of the best so far */
    uint32_t confirmed, refetched;
    size_t n_found; /* find peer, providers, holders: referenced peers */
    struct kad_peer *found[KAD_PEERS_MAX];
    size_t n_target, n_settled, n_failed, n_late; /* sent the value: referenced peers */
    struct kad_peer *target[KAD_TARGETS_MAX];
    size_t copies; /* targets wanted that have not failed */
    uint32_t want; /* acknowledgements; UINT32_MAX: nobody waits */
    struct kad_result result;
    struct kad_peer_info *infos;
    struct kad_query q;
};

/* key: of the request; value: put. */
struct kad_ask {
    enum kad_op op;
    bool internal;
    uint64_t cookie;
    struct slice key, value;
    const struct kad_validator *val;
    struct kad_options opt;
    unsigned bits; /* KAD_OP_FIND: of the key's hash, see struct kad_job */
    bool fill;
};

QUDAG_MUST_USE qudag_err kad_job_start(struct kad *k, const struct kad_ask *ask, tstamp now,
                                       struct acts *out);
/* One more request of the caller would be too many. */
bool kad_jobs_full(const struct kad *k);
void kad_job_run(struct kad *k, struct kad_job *j, tstamp now, struct acts *out);
/* |m| borrows from kad->scratch.  NULL: acknowledged without an answer. */
void kad_job_reply(struct kad *k, struct kad_job *j, struct kad_rpc *r, const struct kad_msg *m,
                   tstamp now, struct acts *out);
void kad_job_fail(struct kad *k, struct kad_job *j, struct kad_rpc *r, tstamp now,
                  struct acts *out);
/* |r| has reached its soft or late time. */
void kad_job_slow(struct kad *k, struct kad_job *j, struct kad_rpc *r, tstamp now,
                  struct acts *out);
void kad_job_timer(struct kad *k, struct kad_job *j, tstamp now, struct acts *out);
void kad_job_report(struct kad *k, struct kad_job *j, qudag_err err, tstamp now, struct acts *out);
void kad_job_end(struct kad *k, struct kad_job *j, qudag_err err, tstamp now, struct acts *out);
void kad_job_free(struct kad *k, struct kad_job *j);
void kad_job_tally(
    struct kad_job *j); /* adds up what its lookup did; who is late is still with it */
/* QUDAG_ENOTFOUND, or EUNREACHABLE when too few of those near the key answered to say so. */
qudag_err kad_job_absent(const struct kad_job *j);
void kad_job_found(struct kad_job *j, struct kad_peer *p);
void kad_job_found_self(struct kad *k, struct kad_job *j);

/* ---- lookup.c ---- */

void kad_walk_begin(struct kad *k, struct kad_job *j, tstamp now);
/* Asks as many as allowed; true when the lookup is over. */
bool kad_walk_on(struct kad *k, struct kad_job *j, tstamp now, struct acts *out);
/* Peers an answer names. */
void kad_walk_take(struct kad *k, struct kad_job *j, const struct kad_msg *m, unsigned depth,
                   unsigned path, tstamp now);
/* Bootstrap: looks into the next bucket that lacks entries; false when there is none. */
bool kad_walk_refresh(struct kad *k, struct kad_job *j, tstamp now);
/* The key told instead of the job's own. */
bool kad_job_place(struct kad *k, const struct kad_job *j, unsigned alt,
                   uint8_t key[KAD_PLACE_KEY]);

/* ---- get.c ---- */

QUDAG_MUST_USE bool kad_get_value(struct kad *k, struct kad_job *j, struct slice value);
/* What the answer of |c| says of the value.  False: it is asked again, for the whole. */
bool kad_get_take(struct kad *k, struct kad_job *j, struct kad_cand *c, const struct kad_rpc *r,
                  const struct kad_msg *m, tstamp now, struct acts *out);
/* Whether the next is asked for a digest only. */
bool kad_get_by_digest(const struct kad_job *j);
bool kad_get_enough(const struct kad_job *j);
void kad_get_end(struct kad *k, struct kad_job *j, tstamp now, struct acts *out);
void kad_get_holders(struct kad_job *j); /* into what is reported */

/* ---- put.c ---- */

/* A peer near enough to be sent the value before the lookup is over. */
void kad_put_early(struct kad *k, struct kad_job *j, const struct kad_cand *c, tstamp now,
                   struct acts *out);
void kad_put_begin(struct kad *k, struct kad_job *j, tstamp now);
/* Sends the value to one more; false without room. */
bool kad_put_to(struct kad *k, struct kad_job *j, struct kad_peer *p, tstamp now, struct acts *out);
/* Goes on; true when all is settled. */
bool kad_put_on(struct kad *k, struct kad_job *j, tstamp now, struct acts *out);
bool kad_is_store(enum kad_type type);
void kad_put_reply(struct kad *k, struct kad_job *j, struct kad_rpc *r, const struct kad_msg *m,
                   tstamp now, struct acts *out);
void kad_put_fail(struct kad *k, struct kad_job *j, const struct kad_rpc *r, tstamp now,
                  struct acts *out);
qudag_err kad_put_result(const struct kad_job *j);

#endif
