/*
 * lib.h - the OpenSSL library context in which certificates and TLS of this program live.
 *
 * It is one of our own: OpenSSL's default provider, and before it one with what OpenSSL lacks, X25519MLKEM512, and with
 * the fast primitives, one that leads X25519MLKEM768, X25519 and ML-DSA-65 to src/crypto (prov.h).  The context of the
 * program, and whatever else in it uses OpenSSL, never sees that provider.
 */
#ifndef QUDAG_SRC_SEC_LIB_H
#define QUDAG_SRC_SEC_LIB_H

#include <openssl/crypto.h>

/*
 * Made at the first call and kept until the program ends; safe from several threads.  NULL, which
 * OpenSSL takes as the program's own context, when it could not be made: then all is OpenSSL's.
 */
OSSL_LIB_CTX *sec_lib(void);

#endif
