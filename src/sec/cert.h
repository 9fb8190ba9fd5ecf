/* cert.h - making the kinds of certificate; checking is sec_check_cert() in sec.h. */
#ifndef QUDAG_SRC_SEC_CERT_H
#define QUDAG_SRC_SEC_CERT_H

#include "sec/rules.h"
#include "sec/sec.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#define CERT_LIFE_S (24 * 3600) /* seconds a certificate is made for */
#define CERT_DER_MAX 16384      /* bytes; ours have about 7.6 KB, in the short form 5.6 */

/* A certificate and its private key; both owned, both NULL or neither. */
struct cert_pair {
    X509 *crt;
    EVP_PKEY *key;
};

enum cert_kind {
    CERT_CLASSICAL, /* ECDSA P-256, self-signed: libp2p tls.md */
    CERT_PQ,        /* ML-DSA-65, signed by the ML-DSA identity key: spec/link.md 2 */
    CERT_PQ_SHORT,  /* the same with the name of that key instead of the key: spec/link.md 2.6 */
};

/*
 * Makes a fresh certificate key and a certificate for |id|, valid from an hour before |now| to 24 h
 * after it.  |out| is untouched on error.  QUDAG_ENOMEM, QUDAG_EINTERNAL.
 */
QUDAG_MUST_USE qudag_err cert_make(struct cert_pair *out, enum cert_kind kind,
                                   const struct identity *id, const struct rng *rng, walltime now);

/* The same for a certificate key there is already; |*out| is the caller's. */
QUDAG_MUST_USE qudag_err cert_make_for(X509 **out, enum cert_kind kind, const struct identity *id,
                                       EVP_PKEY *key, const struct rng *rng, walltime now);

/* Frees certificate and key (NULL allowed); both are NULL afterwards. */
void cert_pair_fini(struct cert_pair *p);

/*
 * sec_check_cert() for a certificate that is parsed already, in sec_lib(); |crt| is only read.
 * The TLS library has parsed what a peer sent, and checked that nothing stands behind it.
 */
QUDAG_MUST_USE qudag_err cert_check(struct sec_peer *out, X509 *crt, enum pq_policy pq,
                                    walltime now, struct sec_known *known);

/* The two dates of |crt|; false: they cannot be read. */
bool cert_validity(struct sec_validity *out, const X509 *crt);

/* "mldsa65", "ecdsa", "ed25519", "rsa" or "other"; static. */
const char *cert_key_name(const EVP_PKEY *key);

#endif
