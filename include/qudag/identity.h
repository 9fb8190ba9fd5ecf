/* identity.h - the keys of a node: Ed25519 (the libp2p peer id) and ML-DSA-65. */
#ifndef QUDAG_IDENTITY_H
#define QUDAG_IDENTITY_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_IDENTITY_LEN 108 /* bytes of the saved form; it is secret */

/*
 * Draws new keys from the operating system's random numbers.  *out is the caller's, freed by
 * qudag_identity_free, and NULL on error: QUDAG_ENOMEM, QUDAG_EINTERNAL (the cryptographic library failed).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_identity_generate(qudag_identity **out);

/*
 * From the saved form.  *out as above, and NULL on error: QUDAG_EMALFORMED (not the saved form of an
 * identity: length or head), QUDAG_ECHECKSUM (one, but damaged), QUDAG_ENOMEM, QUDAG_EINTERNAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_identity_load(qudag_identity **out, qudag_slice bytes);

/* Writes the saved form, QUDAG_IDENTITY_LEN secret bytes, to |dst|. */
QUDAG_API void qudag_identity_save(const qudag_identity *id, uint8_t *dst);
/* The peer id: the hash of the Ed25519 key, by which other peers know this identity. */
QUDAG_API void qudag_identity_peer_id(const qudag_identity *id, qudag_peer_id *out);

/* Hash of the ML-DSA-65 key, to be handed out with the peer id: QUDAG_PQ_HASH_LEN bytes. */
QUDAG_API void qudag_identity_pq_hash(const qudag_identity *id, uint8_t *out);
/* ---- another ML-DSA key, under the same peer id (spec/succession.md) ---- */

#define QUDAG_SUCCESSION_LEN 10650 /* bytes of a statement; it is public */
#define QUDAG_SUCCESSION_KEPT 16   /* of the newest of them that a node tells peers */

typedef struct qudag_succession {
    uint64_t sequence;       /* 1 for the first successor, one more each time */
    int64_t made_s, until_s; /* Unix seconds */
    uint8_t from[32],
        to[32]; /* QUDAG_PQ_HASH_LEN bytes: hashes of the old and of the new ML-DSA key */
    qudag_peer_id peer;
} qudag_succession;

/*
 * A successor of |id|: the same Ed25519 key with a new ML-DSA key, in *out (the caller's, NULL on error), and the
 * statement, signed by both, in the QUDAG_SUCCESSION_LEN bytes at |statement|.  Peers follow while nodes with the new
 * identity are given the statements (qudag_node_restore() under "succession-" and a number below
 * QUDAG_SUCCESSION_KEPT); |sequence| is one more than that of the last one.
 * QUDAG_EINVAL, QUDAG_ENOMEM, QUDAG_EINTERNAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_identity_rotate(const qudag_identity *id,
                                                         uint64_t sequence, qudag_identity **out,
                                                         uint8_t *statement);
/* What a statement says; its signatures are not verified.  QUDAG_EMALFORMED. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_succession_read(qudag_succession *out, qudag_slice bytes);

/* Wipes and frees; not while a node uses it.  NULL allowed. */
QUDAG_API void qudag_identity_free(qudag_identity *id);

#ifdef __cplusplus
}
#endif
#endif
