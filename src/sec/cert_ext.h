/*
 * cert_ext.h - the two certificate extensions as bytes (DER).
 *
 *   libp2p (1.3.6.1.4.1.53594.1.1)   SEQUENCE { OCTET STRING key, OCTET STRING signature }
 *   qudag  (1.3.6.1.4.1.53594.99.1)  SEQUENCE { INTEGER 1, UTF8String role, OCTET STRING key }
 *                                or  SEQUENCE { INTEGER 2, UTF8String role, OCTET STRING name }
 *
 * Specs: libp2p tls/tls.md; spec/link.md 2.
 */
#ifndef QUDAG_SRC_SEC_CERT_EXT_H
#define QUDAG_SRC_SEC_CERT_EXT_H

#include "base/rd.h"
#include "base/wr.h"
#include "crypto/sign.h"

#include <openssl/x509.h>

#define CERT_OID_LIBP2P "1.3.6.1.4.1.53594.1.1"
#define CERT_OID_PQ "1.3.6.1.4.1.53594.99.1"
#define CERT_ROLE "qudag link v1"
#define CERT_EXT_LIBP2P_LEN (2 + 2 + 36 + 2 + 64)
#define CERT_EXT_PQ_LEN (4 + 3 + 2 + 13 + 4 + MLDSA65_PK_LEN)
#define CERT_EXT_PQ_NAME_LEN (2 + 3 + 2 + 13 + 2 + 32)
#define CERT_SIGNED_MAX 4096 /* "libp2p-tls-handshake:" and a SubjectPublicKeyInfo */

/* The libp2p extension's value, for an encoded PublicKey message and the signature made with that key. */
void cert_ext_libp2p_write(struct wr *w, struct slice key_proto, struct slice sig);

/* The qudag extension's value in the full form, with the ML-DSA-65 identity key. */
void cert_ext_pq_write(struct wr *w, const uint8_t pq_pk[MLDSA65_PK_LEN]);

/* The same in the short form, with that key's hash (identity_pq_hash()). */
void cert_ext_pq_name_write(struct wr *w, const uint8_t pq_hash[32]);

/* Strict DER, nothing left over; the slices point into |value|.  QUDAG_EMALFORMED. */
QUDAG_MUST_USE qudag_err cert_ext_libp2p_read(struct slice value, struct slice *key_proto,
                                              struct slice *sig);

/* The identity extension names a key by itself or by its hash; the other one is NULL. */
struct cert_ext_pq {
    const uint8_t *pk;   /* MLDSA65_PK_LEN bytes: the full form */
    const uint8_t *hash; /* 32 bytes: the short form */
};

/* Reads both forms: strict DER, nothing left over; |out| points into |value|.  QUDAG_EMALFORMED. */
QUDAG_MUST_USE qudag_err cert_ext_pq_read(struct slice value, struct cert_ext_pq *out);

/* What the libp2p identity key signs for |crt|, written to |buf|.  QUDAG_ETOOBIG. */
QUDAG_MUST_USE qudag_err cert_signed_part(uint8_t *buf, size_t cap, struct slice *out,
                                          const X509 *crt);

#endif
