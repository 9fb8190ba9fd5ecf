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
 * QUDAG_SUCCESSION_KEPT); |sequence| is one more than that of the statement that led to |id|.  A node that runs takes
 * both with qudag_node_rekey().
 * QUDAG_EINVAL, QUDAG_ENOMEM, QUDAG_EINTERNAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_identity_rotate(const qudag_identity *id,
                                                         uint64_t sequence, qudag_identity **out,
                                                         uint8_t *statement);
/* What a statement says; its signatures are not verified.  QUDAG_EMALFORMED. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_succession_read(qudag_succession *out, qudag_slice bytes);

/*
 * The node's ML-DSA key is that of |next| from now on; its peer id stays.  |next| and |statement| are of
 * qudag_identity_rotate() with the node's identity, and |next| must outlive the node; the identity until now may be
 * freed when this has returned QUDAG_OK.  Certificates, relay descriptor and records are made anew, and so are the
 * links, a few in a second, on which peers learn of it and follow; what runs on the old ones goes on.
 *
 * Save both before, so that the node can start with either: first the statement (as "succession-" and its number modulo
 * QUDAG_SUCCESSION_KEPT), then |next|.  A crash between the two leaves the identity until now in use, and a statement
 * about a key that nobody has, which the next one of the same number replaces.
 *
 * QUDAG_EAUTH: the statement does not lead from the node's key to |next|, or its number is not higher than the last;
 * QUDAG_EMALFORMED, QUDAG_EEXPIRED, QUDAG_ECLOCK: peers would not follow it; QUDAG_ESTATE: the node ends; QUDAG_EINVAL,
 * QUDAG_ENOMEM, QUDAG_EINTERNAL.  On any error nothing has changed.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_rekey(qudag_node *n, const qudag_identity *next,
                                                    const uint8_t *statement);
/* What became of the statement of a peer that its ML-DSA key has a successor (spec/succession.md). */
typedef enum qudag_pin_change {
    QUDAG_PIN_FOLLOWED = 1, /* its pin is the new key from now on */
    QUDAG_PIN_CONFLICT, /* it names a second successor of the key before: somebody else has that; nothing moved */
} qudag_pin_change;

typedef struct qudag_pin_event {
    uint32_t size; /* of this structure in the library */
    qudag_pin_change change;
    qudag_succession statement; /* who, from which key to which; its signatures were verified */
} qudag_pin_event;

/* Wipes and frees; not while a node uses it.  NULL allowed. */
QUDAG_API void qudag_identity_free(qudag_identity *id);

#ifdef __cplusplus
}
#endif
#endif
