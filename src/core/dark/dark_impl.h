/* dark_impl.h - what the files of this folder share, and nothing outside includes.  Byte layouts: spec/dark.md. */
#ifndef QUDAG_SRC_CORE_DARK_DARK_IMPL_H
#define QUDAG_SRC_CORE_DARK_DARK_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "core/dark/clients.h"
#include "core/dark/cover.h"
#include "core/dark/own.h"

/* --- address and period --------------------------------------------------------------------- */

#define DARK_VERSION 1
#define DARK_STEP 3600 /* s: the grain of every time a storer sees */
#define DARK_STEP_SEQS 256
#define DARK_SEQ_MAX (UINT64_C(1) << 62)
#define DARK_SKEW 600  /* s of clock difference tolerated */
#define DARK_EDGE 3600 /* s around a change of periods in which the other one is asked for too */
#define DARK_LIFE (14 * 3600)     /* s a record we make is valid */
#define DARK_LIFE_MAX (24 * 3600) /* s a record may be valid */

/* The binary form that the text form and all derivations are made of. */
/* Whether both name one address, network included. */
bool dark_addr_eq(const struct dark_addr *a, const struct dark_addr *b);

/* Address, period and replica, the material of all that is derived for a place. */
#define DARK_MATERIAL_LEN (DARK_ADDR_LEN + 9)
/* Writes that material. */
void dark_material(uint8_t out[DARK_MATERIAL_LEN], const struct dark_addr *a,
                   const struct dark_place *at);

/* The slot of |at| in dark_keys.place and the like. */
size_t dark_slot(const struct dark_place *at);
/* Whether both are one place. */
bool dark_place_eq(const struct dark_place *a, const struct dark_place *b);
/* When |period| begins: at midnight UTC, the same for all addresses. */
walltime dark_period_start(uint64_t period);
/* The two live periods: |live|[0] is the current one. */
void dark_live(uint64_t live[2], walltime now);
/* Whether a clock that is somewhat wrong may take another period for the current one. */
bool dark_near_change(walltime now);

/* The number inside a record made at |now| after one numbered |last|. */
uint64_t dark_seq_next(uint64_t last, walltime now);

/* What an address commits to of its ML-DSA key. */
void dark_commitment(uint8_t out[32], const uint8_t pq_pk[MLDSA65_PK_LEN]);

/* --- record --------------------------------------------------------------------------------- */

#define DARK_HEAD_LEN 76
#define DARK_SIG_AT (DARK_RECORD_LEN - ED25519_SIG_LEN)
#define DARK_PLAIN_LEN (DARK_SIG_AT - DARK_HEAD_LEN - 16)
/* kind, number, key, length; then the target; then the signature; then padding. */
#define DARK_TARGET_AT (1 + 8 + MLDSA65_PK_LEN + 2)
#define DARK_TARGET_MAX (DARK_PLAIN_LEN - DARK_TARGET_AT - MLDSA65_SIG_LEN)
#define DARK_PQ_MSG_MAX (DARK_MATERIAL_LEN + DARK_HEAD_LEN + DARK_TARGET_AT + DARK_TARGET_MAX)
#define DARK_PQ_CONTEXT "qudag-dark-record-v1"

struct dark_head {
    uint8_t blinded[32]; /* A' */
    uint64_t number;     /* of this place */
    walltime not_before, expires;
    uint8_t nonce[12];
};
/* Reads the head, which is not encrypted; no signature is checked.  EMALFORMED, EUNSUPPORTED. */
QUDAG_MUST_USE qudag_err dark_head_read(struct dark_head *h, struct slice record);

/*
 * What a target of either kind is made of (target.c): what dark_target_get() refuses dark_target_sound() does, but for
 * lengths.
 */
bool dark_target_sound(const struct dark_target *t);
struct wr;
/* Writes the target of |t|, which is sound; nothing for a withdrawn address. */
void dark_target_put(struct wr *w, const struct dark_target *t);
/* Reads the target of kind |kind|, all of |bytes|.  EMALFORMED, EUNSUPPORTED (kind, flags). */
QUDAG_MUST_USE qudag_err dark_target_get(struct dark_target *t, uint8_t kind, struct slice bytes);

/* Where the parts of a decrypted body lie; borrowed from the buffer it was read from. */
struct dark_body {
    struct slice pq_pk, pq_sig;
    struct slice signed_part; /* kind .. target */
    struct slice locked;      /* kind DARK_LOCKED: the target */
};
/*
 * Splits the decrypted body and reads kind, number and target into |t|, of which the rest is zero; no signature is
 * checked.  EMALFORMED, EUNSUPPORTED (kind, flags); ENEEDAUTH: b->locked is to be unlocked.
 */
QUDAG_MUST_USE qudag_err dark_body_read(struct dark_body *b, struct dark_target *t,
                                        struct slice plain);
/* For whom, and with which draws, a target is locked. */
struct dark_lock {
    const struct dark_clients *clients;
    const struct rng *rng;
};
/* Everything before the signature; |lock| may be NULL; the length, or 0 when it does not fit. */
size_t dark_body_write(uint8_t *dst, size_t cap, const uint8_t pq_pk[MLDSA65_PK_LEN],
                       const struct dark_target *t, const struct dark_lock *lock);

/* lock.c: SPEC: dark 3.4. */
#define DARK_HIDDEN_MAX                                                                            \
    (X25519_LEN + MLKEM768_EK_LEN + 1 + (32 + 4 + 8) + 1 +                                         \
     DARK_INTROS_MAX * (1 + PEER_ID_MAX + 32 + X25519_LEN + MLKEM768_EK_LEN + 32))
#define DARK_LOCKED_LEN (32 + DARK_CLIENTS_MAX * 32 + 2 + DARK_HIDDEN_MAX + 16)
/* Writes the target of |t|, of kind hidden and sound, for clients only. */
QUDAG_MUST_USE qudag_err dark_locked_put(struct wr *w, const struct dark_target *t,
                                         const struct dark_lock *lock);
/* Reads what that wrote into |t|, kind hidden.  ENEEDAUTH: |secret| is of no client; EMALFORMED, EUNSUPPORTED. */
QUDAG_MUST_USE qudag_err dark_unlock(struct dark_target *t, struct slice locked,
                                     const uint8_t secret[DARK_CLIENT_SECRET_LEN]);
/* What tells lists of clients apart, zero for an address that anybody may call. */
void dark_clients_id(uint8_t out[32], const struct dark_clients *c);
/* Whether |c| is a list that dark_client_add() and _remove() can lead to. */
bool dark_clients_sound(const struct dark_clients *c);
/* Whether |label| is one: up to DARK_LABEL_MAX bytes of printable UTF-8. */
bool dark_label_ok(struct slice label);

/* The bytes the ML-DSA key signs; the length. */
size_t dark_pq_message(uint8_t out[DARK_PQ_MSG_MAX], const uint8_t material[DARK_MATERIAL_LEN],
                       const uint8_t head[DARK_HEAD_LEN], struct slice signed_part);

/* --- schedule ------------------------------------------------------------------------------- */

/*
 * Numbers and times of the records of one place: drawn anew for each place, with nothing in them that two
 * places of one address share (schedule.c).
 */

/* How far the walk of |at| has come at |now|: from the address's secret and the calendar alone. */
uint64_t dark_number_walk(const struct dark_keys *k, const struct dark_place *at, walltime now);
/* The number for a record made at |now| after one numbered |last| (0: none): above it and above the walk, so
   that it grows from hour to hour even when |last| was lost. */
uint64_t dark_number_next(const struct dark_keys *k, const struct dark_place *at, uint64_t last,
                          walltime now, const struct rng *rng);
/* The time a record made at |now| is dated with. */
walltime dark_not_before(walltime now, const struct rng *rng);
/* In how many seconds the first record for a period is made: drawn from what is left of the half period
   before it; for one that has begun 30 to 90 minutes (SPEC: dark D-43). */
uint64_t dark_first_wait(uint64_t period, walltime now, const struct rng *rng);
/* In how many ns a stored record is renewed. */
uint64_t dark_renewal_wait(const struct rng *rng);
/* In how many ns a failed round is repeated: |failures| in a row, |urgent| for the current period. */
uint64_t dark_retry_wait(uint32_t failures, bool urgent, const struct rng *rng);

/* --- core ----------------------------------------------------------------------------------- */

#define DARK_JOBS_MAX 64     /* resolutions under way */
#define DARK_WAITERS_MAX 128 /* requests waiting for them */
#define DARK_RELEASE_MAX 16  /* of these, told by one tick of what is remembered */
#define DARK_CACHE_MAX 1024  /* addresses remembered */
#define DARK_ROUNDS_MAX 12   /* publications started by one tick */
#define DARK_CACHE_LIFE 3600
#define DARK_WITHDRAWN_LIFE 60            /* s a withdrawal is remembered */
#define DARK_ASK_TIMEOUT (120 * NS_PER_S) /* for the owner to answer a SAVE, PUT or GET */
#define DARK_RETRY_MIN (30 * NS_PER_S)
#define DARK_RETRY_MAX (3600 * NS_PER_S)
#define DARK_FORGET_TRIES 3
#define DARK_PAUSE_MIN (200 * NS_PER_MS) /* between asking for two places of an address */
#define DARK_PAUSE_VAR (1 * NS_PER_S)
#define DARK_TOLD_MAX 256 /* answers of which is remembered who was told */
#define DARK_HURRY_HOLD (UINT64_C(2) * 3600 * NS_PER_S) /* changes so close are told in one place */
#define DARK_MISSED_MAX (21600 * NS_PER_S) /* rounds that were slept over follow within */
#define DARK_LATE_MAX (600 * NS_PER_S)     /* a round later than this was slept over, not late */

#define DARK_STEPS_MAX (2 * DARK_REPLICAS) /* places asked for one resolution */

/*
 * What the relays at the ends of circuits answered in one lookup.  Each is apart from the one that answered before it,
 * and only from that: two that say the same are two witnesses when nothing else was said between them.
 */
struct dark_heard {
    uint32_t absent; /* relays in a row that said there is none */
    uint32_t wrong;  /* in a row: whose record could not be verified */
    qudag_err bad;   /* how the last of these was wrong */
    qudag_err lost;  /* how the way failed last */
};

struct dark_job {
    struct list node; /* in jobs, or in dead once finished */
    struct dark_addr addr;
    struct dark_place place[DARK_STEPS_MAX]; /* in the order they are asked */
    size_t n_places, asked;
    tstamp begins;   /* its first question leaves, after the random wait */
    uint64_t user;   /* by whom */
    uint64_t cookie; /* of the question under way; 0: none */
    tstamp due;      /* asked: it fails then; else: when the next is asked */
    struct peer_id last_exit;
    struct dark_heard heard;
    uint32_t repeats; /* questions for a place that was asked for before */
    bool found;
    bool locked; /* a record was found that is for clients only, of whom we are none */
    struct dark_target best;
};

/*
 * Why a resolution found no target.  One relay can hide a record or answer with a wrong one, and nobody has signed
 * either: what DARK_WITNESSES of them bring is believed; a wrong record then says more
 * than none.  Otherwise the way has failed: with |lost|, or as if nobody could be reached.
 */
#define DARK_WITNESSES 2
qudag_err dark_no_target(const struct dark_heard *h);
/* One more answer: that there is none, or, |wrong|, such a record; |again|: of the relay that answered last. */
void dark_hear(struct dark_heard *h, bool wrong, bool again);
/* Whether a record that could not be verified with |err| may be the exit's doing: another one is asked for the same. */
bool dark_ask_another(qudag_err err, uint32_t repeats);
#define DARK_REPEATS_MAX 2 /* in one lookup */
#define DARK_MEMO_TOOK_MAX (2 * NS_PER_S)
/*
 * Whether users who were not told are answered from what a lookup of |took| ns brought: they wait as long as it took,
 * and after a slow one, of dead relays, each would for an hour.
 */
bool dark_memo_serves(uint64_t took);

/* One who asked.  Free: neither job nor held. */
struct dark_waiter {
    uint64_t cookie, user;
    struct dark_addr addr;
    struct dark_job *job; /* the lookup that is waited for; NULL: none */
    bool others;          /* which is another user's */
    bool held;            /* the answer is known, and comes at |ready_at| */
    tstamp begins;        /* a lookup of its own would have, after a random wait */
    tstamp ready_at;      /* and would have ended */
    qudag_err err;        /* held: of the lookup; OK: see the memo */
};

/* What is remembered of an address: its record for a while, the numbers seen for longer. */
struct dark_memo {
    struct list node; /* least recently used first */
    struct dark_addr addr;
    uint64_t withdrawn; /* the record that said so had this number; older ones are refused */
    struct {
        struct dark_place at;
        uint64_t number; /* highest accepted there; lower ones are refused */
    } seen[DARK_PLACES];
    struct dark_target *target; /* NULL: none */
    tstamp until;               /* of |target|, or of the answer "there is none" */
    uint64_t took;              /* ns, of the lookup that brought it, without the random wait */
};

/* A user who was told of an address, and is answered at once again: for as long as if he had looked it up himself. */
struct dark_told {
    struct dark_addr addr;
    uint64_t user;
    tstamp until;
    bool failed; /* what he was told led nowhere: it was in |at|, with |number| */
    struct dark_place at;
    uint64_t number;
};

/* A secret that lets us call an address. */
struct dark_auth {
    struct dark_addr addr;
    uint8_t secret[DARK_CLIENT_SECRET_LEN];
};

struct dark {
    struct dark_config cfg;
    struct dark_own_addr *own[DARK_ADDRS_MAX];
    struct dark_own_addr *dead_own; /* forgotten in the last call */
    struct list jobs, dead;
    struct dark_waiter waiter[DARK_WAITERS_MAX];
    uint32_t n_held;  /* of them, .held */
    struct map memos; /* A and commitment -> struct dark_memo */
    struct list lru;
    uint32_t n_jobs;
    struct dark_cover cover;
    struct dark_told told[DARK_TOLD_MAX]; /* the last of n_told, whatever they asked for */
    uint32_t n_told;
    struct dark_auth auth[DARK_AUTHS_MAX];
    uint32_t n_auths;
    bool clock_set; /* schedules by the calendar are to be looked at again */
    uint64_t next_cookie;
};

/* Frees what reports pointed to, once they were carried out; every call that changes the core begins so. */
void dark_reap(struct dark *d, const struct acts *out);
/* Reports DARK_UP_GET of |key|, to be fetched |apart| from a relay; its cookie, or 0 without room. */
uint64_t dark_ask_get(struct dark *d, const uint8_t key[DARK_KEY_LEN], const struct peer_id *apart,
                      struct acts *out);
/* resolve.c: the question of a lookup that |ans| may answer. */
void dark_resolve_get_done(struct dark *d, const struct dark_answer *ans, tstamp now,
                           struct acts *out);
/* resolve.c: the memo of |a|, made if need be at the cost of the one used longest ago; NULL without memory. */
struct dark_memo *dark_memo_want(struct dark *d, const struct dark_addr *a);
/* resolve.c: lookups that took too long, questions whose pause is over. */
void dark_resolve_tick(struct dark *d, tstamp now, struct acts *out);
/* When the next of them does. */
tstamp dark_resolve_deadline(const struct dark *d);
/* Frees lookups and what is remembered. */
void dark_resolve_free(struct dark *d);

#endif
