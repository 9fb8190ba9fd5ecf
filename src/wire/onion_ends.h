/*
 * onion_ends.h - the statement of a node that is no relay: "I end circuits, at these addresses" (spec/onion.md 5.6).
 *
 *   pq_hash 32 | until 8 | n | n times { length | multiaddr } | Ed25519 signature 64
 *
 * A dark record carries it to clients, EXTEND to the last relay of the path, which dials nothing that no signed
 * statement names.  Signed by the identity key that the peer id is: what it permits is a dial, and the link that
 * comes of it proves the ML-DSA identity that pq_hash names.
 */
#ifndef QUDAG_SRC_WIRE_ONION_ENDS_H
#define QUDAG_SRC_WIRE_ONION_ENDS_H

#include "base/rd.h"
#include "base/wr.h"
#include "crypto/identity.h"
#include "wire/onion_hop.h"

#define ONION_ENDS_ADDRS_MAX 372 /* bytes of addresses, their lengths included */
#define ONION_ENDS_MAX (32 + 8 + 1 + ONION_ENDS_ADDRS_MAX + ED25519_SIG_LEN)
#define ONION_ENDS_LIFE_MAX (24 * 3600) /* s ahead that a statement may reach */
#define ONION_ENDS_SKEW 600             /* s of clock difference tolerated */

/*
 * Signs hop->pq_hash and addresses for hop->peer, which must be |id|, until |until|.  Addresses that do not fit are
 * left out from the end.  EINVAL, EINTERNAL.
 */
QUDAG_MUST_USE qudag_err onion_ends_sign(struct onion_hop *hop, walltime until,
                                         const struct identity *id);
/* Leaves out addresses, from the end, that are too long for a statement. */
void onion_ends_fit(struct onion_hop *hop);
/* Writes the statement; as long as ONION_ENDS_MAX at most. */
void onion_ends_put(struct wr *w, const struct onion_hop *hop);
/* Reads one of hop->peer; all of |bytes|.  EMALFORMED. */
QUDAG_MUST_USE qudag_err onion_ends_get(struct onion_hop *hop, struct slice bytes);
/* Whether it holds at |now|.  EAUTH, EEXPIRED, ECLOCK (it reaches too far ahead). */
QUDAG_MUST_USE qudag_err onion_ends_check(const struct onion_hop *hop, walltime now);

#endif
