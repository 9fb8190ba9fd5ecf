/*
 * onion_handshake_int.h - the steps that all kinds of the handshake have in common (onion_handshake.c).
 *
 *   first   = X 32 | ct_s 1088 | AEAD(K1, th1; ek_e 1184 | tail)      onion_hs_first(), onion_hs_open()
 *   second  = Y 32 | ct_e 1088 | AUTH 32 | AEAD(K2, th2; tail)        onion_hs_answer(), onion_hs_try()
 *
 * A kind decides what its transcript begins with (a label, whom the client means, and with which keys), what stands in
 * the tails, and what else the transcript takes in between the two.  Whatever a peer can cause is QUDAG_EAUTH or, for a
 * key that is none, QUDAG_EMALFORMED: onion_hs_signal() makes one of them.
 */
#ifndef QUDAG_SRC_WIRE_ONION_HANDSHAKE_INT_H
#define QUDAG_SRC_WIRE_ONION_HANDSHAKE_INT_H

#include "wire/onion_handshake.h"

#define ONION_HS_FIRST_HEAD (X25519_LEN + MLKEM768_CT_LEN)
#define ONION_HS_FIRST_LEN(tail) (ONION_HS_FIRST_HEAD + MLKEM768_EK_LEN + (tail) + AEAD_TAG_LEN)

/* The static keys of who answers, as the client knows them. */
struct onion_hs_peer {
    const uint8_t *x; /* X25519_LEN bytes */
    const uint8_t *k; /* MLKEM768_EK_LEN bytes */
};

/* The same keys as their owner has them. */
struct onion_hs_own {
    const struct secret_x25519 *x_sk;
    const struct mlkem_key *dk;
};

/*
 * Writes the ONION_HS_FIRST_LEN(tail.len) bytes at |first|, which begin with X already; h->x is its secret, h->tr has
 * begun, the rest of |h| is zero.  On error |h| is dropped.  |tail| must not overlap |first|.
 */
QUDAG_MUST_USE qudag_err onion_hs_first(struct onion_hs_client *h, const struct onion_hs_peer *to,
                                        struct slice tail, const struct rng *rng, uint8_t *first);

/*
 * Opens |first|, of at least ONION_HS_FIRST_LEN(0) bytes; o->tr has begun.  What was sealed, ek_e and the tail, goes to
 * |plain|.  On error |o| and |plain| hold nothing that opens a message.
 */
QUDAG_MUST_USE qudag_err onion_hs_open(struct onion_hs_opened *o, const struct onion_hs_own *own,
                                       struct slice first, uint8_t *plain);

/* Answers with an empty tail; |o| may only be wiped then.  |keys| are wiped on error. */
QUDAG_MUST_USE qudag_err onion_hs_answer(struct onion_hs_opened *o,
                                         const uint8_t ek_e[MLKEM768_EK_LEN], const struct rng *rng,
                                         uint8_t second[ONION_HS_CREATED_MIN],
                                         struct onion_hs_keys *keys);

/*
 * Tries |second|, of at least ONION_HS_CREATED_MIN bytes, against |h|, which stays as it is.  The tail goes to |plain|;
 * that and |keys| are wiped on error.  Until AUTH has been compared the time does not depend on whether it fits.
 */
QUDAG_MUST_USE qudag_err onion_hs_try(const struct onion_hs_client *h, struct slice second,
                                      struct onion_hs_keys *keys, uint8_t *plain);

/* What a peer can cause is one error; what the machine lacks stays distinct. */
qudag_err onion_hs_signal(qudag_err err);

#endif
