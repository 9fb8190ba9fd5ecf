/*
 * host_key.h - what a host proves with its libp2p identity key, of whichever type: in certificates and in Noise.
 *
 *   Ed25519     32 bytes                                    Ed25519
 *   RSA         DER SubjectPublicKeyInfo, 2048..8192 bits   PKCS #1 v1.5, SHA-256
 *   ECDSA       DER SubjectPublicKeyInfo, P-256             DER signature, SHA-256
 *   secp256k1   compressed point, 33 bytes                  DER signature, SHA-256
 *
 * Specs: libp2p peer-ids/peer-ids.md ("Keys", "How keys are encoded and messages signed").
 */
#ifndef QUDAG_SRC_SEC_HOST_KEY_H
#define QUDAG_SRC_SEC_HOST_KEY_H

#include "wire/peer_id.h"

/*
 * Whether |sig| over |msg| was made with the key of the encoded PublicKey message |key_proto|; then *out is its peer
 * id, else untouched.  QUDAG_EAUTH: it was not.  QUDAG_EMALFORMED: no such message, or no key of the type it names.
 * QUDAG_EUNSUPPORTED: a type that libp2p does not define, an RSA key out of bounds or with an exponent over 32 bits,
 * another curve.  QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err host_key_verify(struct peer_id *out, struct slice key_proto,
                                         struct slice sig, struct slice msg);

/* An error of host_key_verify() in words; static. */
const char *host_key_text(qudag_err err);

/*
 * What to report where a call of the TLS library has failed: QUDAG_ENOMEM if it says that it had no memory, else
 * |otherwise|.  Takes what it says away.
 */
qudag_err sec_cause(qudag_err otherwise);

#endif
