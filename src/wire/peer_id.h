/* peer_id.h - libp2p peer ids (specs: peer-ids/peer-ids.md). */
#ifndef QUDAG_SRC_WIRE_PEER_ID_H
#define QUDAG_SRC_WIRE_PEER_ID_H

#include "base/types.h"

#define PEER_ID_MAX 44       /* identity multihash of the longest inlined key: 2 + 42 */
#define PEER_ID_TEXT_MAX 64  /* base58 text and NUL */
#define KEY_PROTO_ED25519 36 /* encoded PublicKey message */

/* The multihash of the encoded public key.  Bytes past len are zero, so structs compare as a whole. */
struct peer_id {
    uint8_t len;
    uint8_t b[PEER_ID_MAX];
};

static inline struct slice peer_id_slice(const struct peer_id *p)
{
    return (struct slice){p->b, p->len};
}

/* Equal byte for byte; empty ids are equal. */
bool peer_id_eq(const struct peer_id *a, const struct peer_id *b);

/* The id of an Ed25519 key: the identity multihash of its encoded PublicKey message. */
void peer_id_from_ed25519(struct peer_id *out, const uint8_t pk[32]);

/*
 * From an encoded PublicKey message: identity multihash up to 42 bytes, else SHA-256.
 * QUDAG_EMALFORMED unless it is the deterministic encoding (both fields, in order, nothing else),
 * QUDAG_EUNSUPPORTED for a key type that libp2p does not define.
 */
QUDAG_MUST_USE qudag_err peer_id_from_key_proto(struct peer_id *out, struct slice key_proto);

/* The Ed25519 key inside an identity multihash; false for other kinds. */
bool peer_id_ed25519(const struct peer_id *p, uint8_t pk[32]);

/*
 * Whether there may be a key with that id: what is inlined is one, of a type that libp2p defines.  Nobody can prove any
 * other id, so that one is a slip of whoever wrote it.
 */
bool peer_id_has_key(const struct peer_id *p);
/* Multihash bytes from the wire: identity (digest of 1 .. 42) or sha2-256.  QUDAG_EMALFORMED. */
QUDAG_MUST_USE qudag_err peer_id_from_bytes(struct peer_id *out, struct slice bytes);

/* base58 ("12D3Koo...", "Qm...") or CIDv1 text with codec libp2p-key.  QUDAG_EMALFORMED. */
QUDAG_MUST_USE qudag_err peer_id_parse(struct peer_id *out, const char *text);
/* base58, NUL-terminated; the length, 0 for an empty id (dst is then ""). */
size_t peer_id_text(char dst[PEER_ID_TEXT_MAX], const struct peer_id *p);

/* Types of keys that libp2p defines, as a PublicKey message says them. */
enum peer_key_type {
    PEER_KEY_RSA = 0,
    PEER_KEY_ED25519 = 1,
    PEER_KEY_SECP256K1 = 2,
    PEER_KEY_ECDSA = 3,
};

/*
 * What an encoded PublicKey message holds; |*data| is borrowed from it and at least one byte long.
 * QUDAG_EMALFORMED unless it is the deterministic encoding; outputs are then untouched.  The type may be one
 * that libp2p does not define, and the length of |*data| one that does not fit the type.
 */
QUDAG_MUST_USE qudag_err key_proto_read(struct slice key_proto, uint64_t *type, struct slice *data);

/* The encoded PublicKey message of an Ed25519 key. */
void key_proto_ed25519(uint8_t out[KEY_PROTO_ED25519], const uint8_t pk[32]);

#endif
