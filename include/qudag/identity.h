/* identity.h - the keys of a node: Ed25519 (the libp2p peer id) and ML-DSA-65. */
#ifndef QUDAG_IDENTITY_H
#define QUDAG_IDENTITY_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_IDENTITY_LEN 108 /* bytes of the saved form; it is secret */

/* Draws new keys from the operating system.  *out is the caller's, freed by qudag_identity_free. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_identity_generate(qudag_identity **out);

/* From the saved form.  QUDAG_EMALFORMED when it is not one, or damaged. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_identity_load(qudag_identity **out, qudag_slice bytes);

/* Writes QUDAG_IDENTITY_LEN secret bytes to |dst|. */
QUDAG_API void qudag_identity_save(const qudag_identity *id, uint8_t *dst);
QUDAG_API void qudag_identity_peer_id(const qudag_identity *id, qudag_peer_id *out);

/* Hash of the ML-DSA-65 key, to be handed out with the peer id: QUDAG_PQ_HASH_LEN bytes. */
QUDAG_API void qudag_identity_pq_hash(const qudag_identity *id, uint8_t *out);
QUDAG_API void qudag_identity_free(qudag_identity *id); /* wipes; NULL allowed */

#ifdef __cplusplus
}
#endif
#endif
