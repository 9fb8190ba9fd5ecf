/*
 * lib.h - the OpenSSL library context in which certificates and TLS of this program live.
 *
 * With the fast primitives it is one of our own: OpenSSL's default provider, and before it one that
 * leads X25519MLKEM768, X25519 and ML-DSA-65 to src/crypto (prov.h).  The context of the program, and
 * whatever else in it uses OpenSSL, never sees that provider.
 */
#ifndef QUDAG_SRC_SEC_LIB_H
#define QUDAG_SRC_SEC_LIB_H

#include <openssl/crypto.h>

#ifdef QUDAG_FASTCRYPTO
/*
 * Made at the first call and kept until the program ends; safe from several threads.  NULL, which
 * OpenSSL takes as the program's own context, when it could not be made: then all is OpenSSL's.
 */
OSSL_LIB_CTX *sec_lib(void);
#else
static inline OSSL_LIB_CTX *sec_lib(void)
{
    return NULL;
}
#endif

#endif
