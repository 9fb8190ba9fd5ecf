/*
 * rend_work.h - proof of work of callers (spec/rendezvous.md 6): one nonce of |effort| on average that are tried.
 *
 *   challenge = derive("qudag rendezvous work v1", seed | address | intro key | X)
 *   number    = first 8 bytes of Argon2id(challenge | effort | nonce), 128 KiB, one pass
 *   proof       when number <= (2^64 - 1) / effort
 *
 * X is that of the handshake the proof lies in, so it is of use once: a service answers no X twice.
 */
#ifndef QUDAG_SRC_WIRE_REND_WORK_H
#define QUDAG_SRC_WIRE_REND_WORK_H

#include "wire/rend_handshake.h"

#define REND_EXT_WORK 1 /* type of the extension */
#define REND_WORK_SEED_LEN 32
#define REND_WORK_ID_LEN 8   /* the first bytes of a seed name it */
#define REND_WORK_EXT_LEN 23 /* the whole extension: type, length, seed's name, effort, nonce */
#define REND_WORK_KIB 128

/* What is to be solved. */
struct rend_work_task {
    uint8_t challenge[32];
    uint32_t effort; /* from 1 */
};

/* What a caller says it did. */
struct rend_work {
    uint8_t seed_id[REND_WORK_ID_LEN];
    uint32_t effort; /* from 1 */
    uint64_t nonce;
};

/* The challenge for a handshake with |X| through the introduction point of |intro_key| to |addr|. */
void rend_work_task_make(struct rend_work_task *t, const uint8_t seed[REND_WORK_SEED_LEN],
                         uint32_t effort, const uint8_t addr[REND_ADDR_LEN],
                         const uint8_t intro_key[ED25519_PK_LEN], const uint8_t X[X25519_LEN]);

/* Whether |nonce| solves it: EAUTH, no.  About a tenth of a millisecond.  ENOMEM. */
QUDAG_MUST_USE qudag_err rend_work_check(const struct rend_work_task *t, uint64_t nonce);

/* How many nonces are tried before it is given up: a caller in nine millions has worse luck. */
uint64_t rend_work_tries(uint32_t effort);

/*
 * Tries |n| nonces from |*nonce| on; one that solves it is left there.  For any thread: nothing is shared.  ENOTFOUND:
 * none does, |*nonce| is the next to be tried; ENOMEM.
 */
QUDAG_MUST_USE qudag_err rend_work_solve(const struct rend_work_task *t, uint64_t *nonce,
                                         uint64_t n);

/* The extension. */
void rend_work_put(uint8_t ext[REND_WORK_EXT_LEN], const struct rend_work *w);
/* That of |list|, which is valid.  ENOTFOUND: none; EAUTH: it is none. */
QUDAG_MUST_USE qudag_err rend_work_get(struct slice list, struct rend_work *w);

#endif
