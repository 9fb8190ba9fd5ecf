/*
 * dark_impl.h - what the files of this folder share; nothing outside includes it.
 *
 * Byte layouts and labels: spec/dark.md.
 */
#ifndef QUDAG_SRC_CORE_DARK_DARK_IMPL_H
#define QUDAG_SRC_CORE_DARK_DARK_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "core/dark/dark.h"

/* --- address and period --------------------------------------------------------------------- */

#define DARK_VERSION 1
#define DARK_ADDR_LEN 66 /* version | network | A | commitment */
#define DARK_STEP 3600   /* s: the grain of every time a storer sees */
#define DARK_STEP_SEQS 256
#define DARK_SEQ_MAX (UINT64_C(1) << 62)
#define DARK_SKEW 600             /* s of clock difference tolerated */
#define DARK_LIFE (12 * 3600)     /* s a record we make is valid */
#define DARK_LIFE_MAX (24 * 3600) /* s a record may be valid */

/* The binary form that the text form and all derivations are made of. */
void dark_addr_bytes(uint8_t out[DARK_ADDR_LEN], const struct dark_addr *a);
/* Whether both name one address, network included. */
bool dark_addr_eq(const struct dark_addr *a, const struct dark_addr *b);

/* Address and period, the material of all that is derived per period. */
#define DARK_MATERIAL_LEN (DARK_ADDR_LEN + 8)
/* Writes that material. */
void dark_material(uint8_t out[DARK_MATERIAL_LEN], const struct dark_addr *a, uint64_t period);

/* The two live periods: |live|[0] is the current one. */
void dark_live(uint64_t live[2], const struct dark_addr *a, walltime now);
/* When the pair of live periods changes next; a whole hour. */
walltime dark_live_until(const struct dark_addr *a, walltime now);
/* The last second in which |period| is live, plus one. */
walltime dark_period_end(const struct dark_addr *a, uint64_t period);

/* The number for a record made at |now| after one numbered |last|. */
uint64_t dark_seq_next(const struct dark_addr *a, uint64_t last, walltime now);
/* What a record of |period| subtracts from it, so that storers see no history. */
uint64_t dark_seq_base(uint64_t period);

/* What an address commits to of its ML-DSA key. */
void dark_commitment(uint8_t out[32], const uint8_t pq_pk[MLDSA65_PK_LEN]);

/* --- record --------------------------------------------------------------------------------- */

#define DARK_HEAD_LEN 76
#define DARK_SIG_AT (DARK_RECORD_LEN - ED25519_SIG_LEN)
#define DARK_PLAIN_LEN (DARK_SIG_AT - DARK_HEAD_LEN - 16)
/* kind, key, length; then the target; then the signature; then padding. */
#define DARK_TARGET_AT (1 + MLDSA65_PK_LEN + 2)
#define DARK_TARGET_MAX (DARK_PLAIN_LEN - DARK_TARGET_AT - MLDSA65_SIG_LEN)
#define DARK_PQ_MSG_MAX (DARK_MATERIAL_LEN + DARK_HEAD_LEN + DARK_TARGET_AT + DARK_TARGET_MAX)
#define DARK_PQ_CONTEXT "qudag-dark-record-v1"

struct dark_head {
    uint8_t blinded[32]; /* A' */
    uint64_t seq;        /* relative to the period */
    walltime not_before, expires;
    uint8_t nonce[12];
};
/* Reads the head, which is not encrypted; no signature is checked.  EMALFORMED, EUNSUPPORTED. */
QUDAG_MUST_USE qudag_err dark_head_read(struct dark_head *h, struct slice record);

/* The decrypted body; borrows from the buffer it was read from. */
struct dark_body {
    enum dark_kind kind;
    struct slice pq_pk, pq_sig;
    struct slice signed_part; /* kind .. target */
    struct onion_hop hop;
};
/* Splits the decrypted body; no signature is checked.  EMALFORMED, EUNSUPPORTED (kind). */
QUDAG_MUST_USE qudag_err dark_body_read(struct dark_body *b, struct slice plain);
/* Everything before the signature; the length, or 0 when it does not fit. */
size_t dark_body_write(uint8_t *dst, size_t cap, const uint8_t pq_pk[MLDSA65_PK_LEN],
                       const struct dark_target *t);

/* The bytes the ML-DSA key signs; the length. */
size_t dark_pq_message(uint8_t out[DARK_PQ_MSG_MAX], const uint8_t material[DARK_MATERIAL_LEN],
                       const uint8_t head[DARK_HEAD_LEN], struct slice signed_part);

/* --- core ----------------------------------------------------------------------------------- */

#define DARK_JOBS_MAX 64     /* resolutions under way */
#define DARK_WAITERS_MAX 128 /* requests waiting for them */
#define DARK_CACHE_MAX 1024  /* addresses remembered */
#define DARK_ROUNDS_MAX 16   /* publications started by one tick */
#define DARK_CACHE_LIFE 3600
#define DARK_NEGATIVE_LIFE 60
#define DARK_ASK_TIMEOUT (120 * NS_PER_S) /* for the owner to answer a SAVE, PUT or GET */
#define DARK_RETRY_MIN (30 * NS_PER_S)
#define DARK_RETRY_MAX (3600 * NS_PER_S)
#define DARK_FORGET_TRIES 3

enum dark_own_state {
    DARK_OWN_IDLE,       /* keys only */
    DARK_OWN_PUBLISHING, /* a target to be published, now and again */
    DARK_OWN_FORGETTING, /* tombstones leave, then the keys are wiped */
};

/* One DHT operation the owner of the core was asked for. */
struct dark_ask {
    uint64_t cookie; /* 0: none */
    bool done;
    qudag_err err;
    uint32_t stored;
};

struct dark_own_addr {
    struct dark_own_addr *next_dead;
    struct dark_keys keys;
    enum dark_own_state state;
    uint64_t cookie; /* of dark_publish or dark_forget */
    struct onion_hop hop;
    uint64_t saving;        /* cookie of the DARK_UP_SAVE under way; 0: none */
    struct dark_ask put[2]; /* current period, other */
    tstamp ask_due;         /* what is under way fails then */
    tstamp round_at;        /* next round */
    walltime expires;       /* of the record of the current period of the running round */
    uint32_t failures;      /* rounds in a row */
    bool published;         /* the last round succeeded */
    walltime until;
};

struct dark_job {
    struct list node; /* in jobs, or in dead once finished */
    struct dark_addr addr;
    struct dark_ask get[2];
    tstamp due;
    bool found;
    struct dark_target best;
};

struct dark_waiter {
    uint64_t cookie;
    struct dark_job *job; /* NULL: free */
};

/* What is remembered of an address: its record for a while, the highest number seen for longer. */
struct dark_memo {
    struct list node; /* least recently used first */
    struct dark_addr addr;
    uint64_t seq;               /* highest accepted; lower ones are refused */
    struct dark_target *target; /* NULL: none */
    tstamp until;               /* of |target|, or of the answer "there is none" */
};

struct dark {
    struct dark_config cfg;
    struct dark_own_addr *own[DARK_ADDRS_MAX];
    struct dark_own_addr *dead_own; /* forgotten in the last call */
    struct list jobs, dead;
    struct dark_waiter waiter[DARK_WAITERS_MAX];
    struct map memos; /* A and commitment -> struct dark_memo */
    struct list lru;
    uint32_t n_jobs;
    uint64_t next_cookie;
};

/* Frees what reports pointed to, once they were carried out; every call that changes the core begins so. */
void dark_reap(struct dark *d, const struct acts *out);
/* Frees addresses that were forgotten in the last call. */
void dark_own_reap(struct dark *d);
/* publish.c: rounds that are due, saves and puts that took too long. */
void dark_own_tick(struct dark *d, tstamp now, struct acts *out);
/* When the next of them is. */
tstamp dark_own_deadline(const struct dark *d);
/* Wipes and frees all own addresses. */
void dark_own_free(struct dark *d);
/* resolve.c: lookups that took too long. */
void dark_resolve_tick(struct dark *d, tstamp now, struct acts *out);
/* When the next of them does. */
tstamp dark_resolve_deadline(const struct dark *d);
/* Frees lookups and what is remembered. */
void dark_resolve_free(struct dark *d);

/* Marks the ask with |cookie| done; false when it is none of |a|. */
bool dark_ask_done(struct dark_ask a[2], uint64_t cookie, qudag_err err, uint32_t stored);

#endif
