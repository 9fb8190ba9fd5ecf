/*
 * noise_payload.h - NoiseHandshakePayload (libp2p specs: noise/README.md), what both sides say of themselves within the
 * handshake, and which muxer they agree on by it.
 */
#ifndef QUDAG_SRC_CORE_NOISE_NOISE_PAYLOAD_H
#define QUDAG_SRC_CORE_NOISE_NOISE_PAYLOAD_H

#include "base/types.h"

#define NOISE_MUXERS_MAX 16 /* names that are looked at; more are ignored */
#define NOISE_SIGNED_MAX 64 /* bytes that an identity signs */

struct noise_payload {
    struct slice identity_key; /* an encoded PublicKey message */
    struct slice identity_sig;
    struct slice muxers[NOISE_MUXERS_MAX]; /* protocol ids, the preferred first */
    size_t n_muxers;
};

/*
 * What the identity of a side signs: "noise-libp2p-static-key:" and its static key.  The length, at most
 * NOISE_SIGNED_MAX.
 */
size_t noise_signed(uint8_t dst[NOISE_SIGNED_MAX], const uint8_t static_key[32]);

/* Writes |p|; QUDAG_ETOOBIG when |cap| does not suffice. */
QUDAG_MUST_USE qudag_err noise_payload_write(const struct noise_payload *p, uint8_t *dst,
                                             size_t cap, size_t *len);
/* |out| borrows from |in|.  QUDAG_EMALFORMED; key and signature may be absent (length 0). */
QUDAG_MUST_USE qudag_err noise_payload_read(struct noise_payload *out, struct slice in);

/*
 * The first muxer of the initiator's list that the responder has, too.  QUDAG_ENOTFOUND when one of them says nothing:
 * it is negotiated on the stream then.  QUDAG_EUNSUPPORTED: both say what they have, and have none in common.
 */
QUDAG_MUST_USE qudag_err noise_muxer(const struct noise_payload *initiator,
                                     const struct noise_payload *responder, struct slice *out);

#endif
