/*
 * succession.h - the statement that an ML-DSA identity key has a successor (spec/succession.md 1).
 *
 *   "QUDAGSU1" 8 | sequence 8 | made 8 | until 8 | Ed25519 key 32 | old key 1952 | new key 1952
 *   | Ed25519 signature 64 | ML-DSA signature of the old key 3309 | of the new key 3309
 *
 * Each signature covers what stands before it.  The old key's says who follows it, the new key's that its holder wants
 * to, the Ed25519 key's whose keys they are: no one of them alone makes a statement.
 */
#ifndef QUDAG_SRC_WIRE_SUCCESSION_H
#define QUDAG_SRC_WIRE_SUCCESSION_H

#include "crypto/identity.h"
#include "wire/peer_id.h"

#define SUCCESSION_BODY_LEN (8 + 3 * 8 + ED25519_PK_LEN + 2 * MLDSA65_PK_LEN)
#define SUCCESSION_LEN (SUCCESSION_BODY_LEN + ED25519_SIG_LEN + 2 * MLDSA65_SIG_LEN)
#define SUCCESSION_LIFE (3 * 365 * 86400) /* s from made to until, at most */
#define SUCCESSION_SKEW 600               /* s that clocks may differ by */
#define SUCCESSION_KEPT 16                /* statements that a node keeps of itself */

struct succession {
    struct peer_id peer;
    uint64_t seq; /* 1 for the first successor, one more each time */
    walltime made, until;
    uint8_t from[32], to[32]; /* hashes of the old and of the new key (identity_pq_hash()) */
};

/*
 * Writes the statement that the ML-DSA key of |to| follows that of |from|; both have one Ed25519 key.  EINVAL: they
 * have not, or their ML-DSA keys are the same, or |seq| is 0; ENOMEM, EINTERNAL.  |out| is zeroed on any error.
 */
QUDAG_MUST_USE qudag_err succession_make(uint8_t out[SUCCESSION_LEN], const struct identity *from,
                                         const struct identity *to, uint64_t seq, walltime now,
                                         const struct rng *rng);

/*
 * Reads and checks one: EMALFORMED, EAUTH (a signature), EEXPIRED, ECLOCK (made later than now).  |*out| is zeroed on
 * any error.  Three signatures are verified: 0.3 ms.
 */
QUDAG_MUST_USE qudag_err succession_check(struct succession *out, struct slice bytes, walltime now);

/* The same without signatures and time, for statements of our own disk. */
QUDAG_MUST_USE qudag_err succession_read(struct succession *out, struct slice bytes);

#endif
