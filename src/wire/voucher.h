/*
 * voucher.h - reservation vouchers (libp2p specs: relay/circuit-v2.md): a relay's word that it keeps a place.
 *
 *   Voucher   1 relay   2 peer   3 expiration
 *
 * It is the payload of a signed envelope (envelope.h) of the type 03 02 in the domain "libp2p-relay-rsvp".
 */
#ifndef QUDAG_SRC_WIRE_VOUCHER_H
#define QUDAG_SRC_WIRE_VOUCHER_H

#include "wire/envelope.h"

struct voucher {
    struct peer_id relay, peer;
    uint64_t expiration; /* seconds since 1970 */
};

/* Writes the envelope of |v| into |w|.  Errors as of envelope_seal(), whose signer v->relay is. */
QUDAG_MUST_USE qudag_err voucher_sign(struct wr *w, const struct voucher *v,
                                      const struct secret_ed25519 *sk);

/*
 * What |envelope| says, if |relay| signed it and speaks of itself; |v| is unchanged otherwise.  For whom it is, and
 * whether its time is over, is for the caller to look at.  QUDAG_ETOOBIG, QUDAG_EMALFORMED, QUDAG_EUNSUPPORTED,
 * QUDAG_EAUTH as envelope_open().
 */
QUDAG_MUST_USE qudag_err voucher_open(struct voucher *v, struct slice envelope,
                                      const struct peer_id *relay);

#endif
