/*
 * noise_state.h - the symmetric state and the cipher states of the Noise Protocol Framework, revision 34, section 5,
 * with ChaCha20-Poly1305 and SHA-256.
 */
#ifndef QUDAG_SRC_CORE_NOISE_NOISE_STATE_H
#define QUDAG_SRC_CORE_NOISE_NOISE_STATE_H

#include "crypto/aead.h"
#include "crypto/hash.h"

/* One direction of a finished handshake, or the key within one.  Secret: the holder wipes it. */
struct noise_cipher {
    uint8_t key[AEAD_KEY_LEN];
    uint64_t n; /* of the next message; UINT64_MAX is never used */
    bool has_key;
};

struct noise_symmetric {
    uint8_t h[SHA256_LEN], ck[SHA256_LEN];
    struct noise_cipher cipher;
};

/* |name| is the protocol's; up to 32 bytes it is used as it is, longer it is hashed (section 5.2). */
void noise_symmetric_init(struct noise_symmetric *s, const char *name);
void noise_mix_hash(struct noise_symmetric *s, struct slice data);
void noise_mix_key(struct noise_symmetric *s, struct slice material);

/*
 * EncryptAndHash: writes |plain| to |dst|, with a tag behind it once there is a key; |dst| has room for plain.len +
 * AEAD_TAG_LEN bytes.  *len: what was written.  QUDAG_ECLOSED when the key has served its 2^64 - 1 messages.
 */
QUDAG_MUST_USE qudag_err noise_encrypt(struct noise_symmetric *s, uint8_t *dst, size_t *len,
                                       struct slice plain);
/* DecryptAndHash; |dst| has room for |in|.  QUDAG_EAUTH: it is not what the other side encrypted. */
QUDAG_MUST_USE qudag_err noise_decrypt(struct noise_symmetric *s, uint8_t *dst, size_t *len,
                                       struct slice in);

/* The keys of both directions, the initiator's first; |s| is wiped. */
void noise_split(struct noise_symmetric *s, struct noise_cipher *from_initiator,
                 struct noise_cipher *from_responder);

/* A message of a direction; |dst| may be the input itself.  Errors as above. */
QUDAG_MUST_USE qudag_err noise_seal_with(struct noise_cipher *c, uint8_t *dst, struct slice aad,
                                         struct slice plain);
QUDAG_MUST_USE qudag_err noise_open_with(struct noise_cipher *c, uint8_t *dst, struct slice aad,
                                         struct slice in);

#endif
