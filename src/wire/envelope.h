/*
 * envelope.h - signed envelopes (libp2p RFC 0002): a payload of a stated type, signed for a stated purpose.
 *
 *   Envelope     1 public key   2 payload type   3 payload   5 signature
 *
 * The signature covers the domain, the payload type and the payload, each after its length, so that what was signed
 * for one purpose is nothing for another.  Only Ed25519 keys are signed with and verified.
 */
#ifndef QUDAG_SRC_WIRE_ENVELOPE_H
#define QUDAG_SRC_WIRE_ENVELOPE_H

#include "base/wr.h"
#include "crypto/sign.h"
#include "wire/peer_id.h"

#define ENVELOPE_MAX 2048 /* bytes of an envelope, made or accepted */

/* What an envelope is for: two constants of ours. */
struct envelope_kind {
    const char *domain;
    uint8_t type[2];
};

/*
 * Writes the envelope of |payload|, signed with |sk|, into |w|.  QUDAG_EINVAL: |signer| is not the id of |sk|;
 * QUDAG_ETOOBIG: no room in |w|, or over ENVELOPE_MAX; QUDAG_ENOMEM, QUDAG_EINTERNAL.
 */
QUDAG_MUST_USE qudag_err envelope_seal(struct wr *w, const struct envelope_kind *kind,
                                       struct slice payload, const struct secret_ed25519 *sk,
                                       const struct peer_id *signer);

/*
 * The payload in |bytes|, borrowed from there, if |signer| signed it as of this kind.  QUDAG_ETOOBIG, QUDAG_EMALFORMED,
 * QUDAG_EUNSUPPORTED (another payload type, a key that is not Ed25519), QUDAG_EAUTH (another peer's key, a wrong
 * signature or domain); |*payload| is then as it was.
 */
QUDAG_MUST_USE qudag_err envelope_open(struct slice *payload, const struct envelope_kind *kind,
                                       struct slice bytes, const struct peer_id *signer);

#endif
