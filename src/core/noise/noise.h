/*
 * noise.h - libp2p's Noise over one byte stream: /noise (Noise_XX_25519_ChaChaPoly_SHA256) and the
 * hybrid draft (Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256, libp2p specs pull request 727).
 *
 *   initiator                                     responder
 *   -> e[, e1]
 *                                                 <- e, ee[, ekem1], s, es, payload
 *   NOISE_VERIFY: noise_verified()
 *   -> s, se, payload                             NOISE_VERIFY: noise_verified()
 *   NOISE_READY                                   NOISE_READY
 *
 * Both are XX: the static key is new for each session, and the payload binds it to the identity by a signature
 * ("noise-libp2p-static-key:" and the key).  This object does not know identities: whoever owns it checks the payload
 * of the other side, in state NOISE_VERIFY, before a byte of data passes in either direction.
 *
 * Every frame has a length of two bytes, big-endian.  What a peer can make us hold: one frame,
 * NOISE_HANDSHAKE_MAX bytes before NOISE_READY and 65,535 after it.
 */
#ifndef QUDAG_SRC_CORE_NOISE_NOISE_H
#define QUDAG_SRC_CORE_NOISE_NOISE_H

#include "base/mem.h"
#include "crypto/kex.h"

#define NOISE_FRAME_MAX 65535
#define NOISE_PLAIN_MAX (NOISE_FRAME_MAX - 16)
#define NOISE_OVERHEAD 18 /* bytes that noise_seal() adds: length and tag */
#define NOISE_HANDSHAKE_MAX                                                                        \
    16384 /* of a handshake message; payloads with RSA or ML-DSA keys need 6 KiB */
#define NOISE_PAYLOAD_MAX 8192 /* of a payload of ours */

enum noise_suite {
    NOISE_XX,
    NOISE_XXHFS,
};

enum noise_state {
    NOISE_NEW,       /* noise_start() is due */
    NOISE_HANDSHAKE, /* output may wait, input is expected */
    NOISE_VERIFY,    /* the peer's payload is there, to be checked */
    NOISE_READY,     /* data may pass */
    NOISE_FAILED,    /* for good */
};

struct noise_config {
    struct mem *mem;
    struct rng rng; /* for keys */
    enum noise_suite suite;
    bool initiator;
};

struct noise;

/* A session with a static key of its own; free it with noise_free().  QUDAG_ENOMEM, QUDAG_EINTERNAL. */
QUDAG_MUST_USE qudag_err noise_new(struct noise **out, const struct noise_config *cfg);
/* Wipes and frees it (NULL allowed). */
void noise_free(struct noise *n);

/* Our static public key, which |payload| signs; gone once the session is ready. */
const uint8_t *noise_static(const struct noise *n);
/* |payload| (copied) is what we say of ourselves.  QUDAG_ETOOBIG, QUDAG_ENOMEM, QUDAG_ESTATE unless NOISE_NEW. */
QUDAG_MUST_USE qudag_err noise_start(struct noise *n, struct slice payload);

enum noise_state noise_state(const struct noise *n);

/*
 * Takes bytes of the stream, at most to the end of one frame; *used says how many, none while the state is NOISE_NEW or
 * NOISE_VERIFY.  *plain: what the frame held, empty if there is none yet or in a handshake; valid until the next call.
 * QUDAG_EPROTO for a message of a wrong length, QUDAG_EAUTH for one that is not what the peer sent, QUDAG_ENOMEM; the
 * session has failed then.
 */
QUDAG_MUST_USE qudag_err noise_receive(struct noise *n, struct slice in, size_t *used,
                                       struct slice *plain);

/*
 * The same after the handshake, without a copy where a whole frame is in |in| and |dst| has room for what it holds,
 * |cap| bytes: *plain is in |dst| then.
 */
QUDAG_MUST_USE qudag_err noise_receive_to(struct noise *n, struct slice in, size_t *used,
                                          uint8_t *dst, size_t cap, struct slice *plain);

/* In NOISE_VERIFY: the static key and the payload of the peer, borrowed until noise_verified(). */
void noise_peer(const struct noise *n, const uint8_t **static_key, struct slice *payload);
/* The payload is right.  QUDAG_ESTATE in another state; else as noise_receive(). */
QUDAG_MUST_USE qudag_err noise_verified(struct noise *n);
/* It is not, or the session shall not be: NOISE_FAILED, all keys wiped. */
void noise_fail(struct noise *n);

/* The handshake message that waits to be sent, with its length before it; empty: none.  Borrowed. */
struct slice noise_output(const struct noise *n);
/* The first |len| bytes of it are sent. */
void noise_output_sent(struct noise *n, size_t len);

/*
 * A frame of |plain|, at most NOISE_PLAIN_MAX bytes, to |dst|, which has room for NOISE_OVERHEAD bytes more.
 * QUDAG_ESTATE unless NOISE_READY, QUDAG_EINVAL for more, QUDAG_ECLOSED after 2^64 - 1 frames.
 */
QUDAG_MUST_USE qudag_err noise_seal(struct noise *n, uint8_t *dst, struct slice plain);

/* The hash of the handshake, for channel binding; in NOISE_READY. */
const uint8_t *noise_handshake_hash(const struct noise *n);

#endif
