/*
 * onion_handshake.h - the circuit handshake: X25519 and static and ephemeral ML-KEM-768 (spec/onion.md 3).
 *
 *   client: CREATE  = key_id | X | ct_s | AEAD(K1; ek_e | extensions)
 *   relay:  CREATED = Y | ct_e | AUTH | AEAD(K2; extensions)
 *
 * Both sides end with the same hs_keys, or the client with an error.  All failures that a peer can
 * cause are QUDAG_EAUTH.
 */
#ifndef QUDAG_SRC_WIRE_ONION_HANDSHAKE_H
#define QUDAG_SRC_WIRE_ONION_HANDSHAKE_H

#include "base/rd.h"
#include "base/wr.h"
#include "crypto/aead.h"
#include "crypto/cgo.h"
#include "crypto/hash.h"
#include "wire/onion_hop.h"

#define ONION_HS_EXT_MAX 256 /* bytes of extensions, either way */
#define ONION_HS_CREATE_HEAD (8 + X25519_LEN + MLKEM768_CT_LEN)
#define ONION_HS_CREATE_MIN (ONION_HS_CREATE_HEAD + MLKEM768_EK_LEN + AEAD_TAG_LEN)
#define ONION_HS_CREATE_MAX (ONION_HS_CREATE_MIN + ONION_HS_EXT_MAX)
#define ONION_HS_CREATED_HEAD (X25519_LEN + MLKEM768_CT_LEN + SHA256_LEN)
#define ONION_HS_CREATED_MIN (ONION_HS_CREATED_HEAD + AEAD_TAG_LEN)
#define ONION_HS_CREATED_MAX (ONION_HS_CREATED_MIN + ONION_HS_EXT_MAX)

/* Key material of one hop.  Wipe after use. */
struct onion_hs_keys {
    uint8_t fwd[CGO_AES256_KEY_MATERIAL];
    uint8_t back[CGO_AES256_KEY_MATERIAL];
    uint8_t binding
        [32]; /* known to both ends of this handshake and to nobody else; not a key of cells */
};

/*
 * A key pair CREATE cells may name.  |tag| comes back in ONION_UP_INBOUND and says whether it was the
 * relay key (0) or which dark address.
 */
struct onion_key {
    uint8_t key_id[8];
    struct secret_x25519 x_sk;
    uint8_t x[X25519_LEN];
    uint8_t k[MLKEM768_EK_LEN];
    bool service;
    uint64_t tag;
};

/* What the client keeps between CREATE and CREATED. */
struct onion_hs_client {
    struct transcript tr;
    struct secret_x25519 x;
    struct mlkem_key *dk;
    uint8_t chain[SHA256_LEN];
};

/* What who answers keeps between opening the first message and answering it; secret. */
struct onion_hs_opened {
    struct transcript tr;
    uint8_t chain[SHA256_LEN];
    uint8_t X[X25519_LEN];
};

/* The keys and identity a CREATE is answered with. */
struct onion_hs_server {
    const struct peer_id *self;
    const uint8_t *pq_hash; /* 32 bytes */
    const struct onion_key *key;
    const struct mlkem_key *dk;
    const struct rng *rng;
};

/*
 * Writes at most ONION_HS_CREATE_MAX bytes to |create|; |h| must be finished or dropped.  Whether |to| is a relay or
 * a service chooses the label, and shows nowhere; nor does whether it is the first hop.
 */
QUDAG_MUST_USE qudag_err onion_hs_client_create(struct onion_hs_client *h,
                                                const struct onion_hop *to, const struct rng *rng,
                                                struct slice ext, struct wr *create);

/* Checks CREATED; the extensions it carried go to |ext|.  |h| is wiped in every case. */
QUDAG_MUST_USE qudag_err onion_hs_client_finish(struct onion_hs_client *h, struct slice created,
                                                struct onion_hs_keys *keys, struct wr *ext);
/* Wipes a handshake that will not be finished; harmless after onion_hs_client_finish(). */
void onion_hs_client_drop(struct onion_hs_client *h);

/* The key id of a CREATE of a possible length, without any checking of what follows. */
QUDAG_MUST_USE qudag_err onion_hs_create_peek(struct slice create, uint8_t key_id[8]);

/* Answers |create|: the reply to |created|, the client's extensions to |ext|. */
QUDAG_MUST_USE qudag_err onion_hs_server_answer(const struct onion_hs_server *s,
                                                struct slice create, struct wr *created,
                                                struct onion_hs_keys *keys, struct wr *ext);

/* Extensions: { type u8, length u16, bytes }*; an unknown type >= 128 is refused, others skipped. */
bool onion_hs_ext_valid(struct slice ext);

#endif
