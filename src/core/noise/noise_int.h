/* noise_int.h - the session, shared by the files of this folder and their tests. */
#ifndef QUDAG_SRC_CORE_NOISE_NOISE_INT_H
#define QUDAG_SRC_CORE_NOISE_NOISE_INT_H

#include "base/dyn.h"
#include "core/noise/noise.h"
#include "core/noise/noise_state.h"

/* What is needed until the keys are there.  Secret as a whole. */
struct noise_handshake {
    struct noise_symmetric sym;
    struct secret_x25519 s, e;
    uint8_t s_pub[X25519_LEN], e_pub[X25519_LEN];
    uint8_t rs[X25519_LEN], re[X25519_LEN];
    struct mlkem_key *kem; /* the initiator's e1 */
    struct secret_mlkem768 kem_seed;
    uint8_t kem_ek[MLKEM768_EK_LEN]; /* its public half, or the peer's */
    struct dyn payload;              /* ours */
    struct dyn theirs;               /* the peer's, opened */
};

struct noise {
    struct noise_config cfg;
    enum noise_state state;
    int message; /* the next one, 0 to 2 */
    struct noise_handshake *hs;
    struct noise_cipher out, in;
    uint8_t hash[SHA256_LEN];
    struct dyn frame; /* input: length and what came of the frame */
    bool frame_done;  /* it was handed over, and is dropped by the next call */
    struct dyn pending;
};

/* noise_message.c: the three messages as the table there has them. */

/* Writes the next message, with its frame's length, to n->pending. */
QUDAG_MUST_USE qudag_err noise_message_write(struct noise *n);
/* Reads the next message; a payload, if it has one, is in hs->theirs then. */
QUDAG_MUST_USE qudag_err noise_message_read(struct noise *n, struct slice in);

#endif
