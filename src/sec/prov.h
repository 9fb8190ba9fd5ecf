/*
 * prov.h - an OpenSSL provider inside the program: TLS computes with src/crypto.
 *
 *   X25519MLKEM512   key management, key encapsulation, TLS group     prov_kex.c
 *
 * and with the fast primitives, in the place of OpenSSL's own:
 *
 *   X25519MLKEM768   key management, key encapsulation, TLS group     prov_kex.c
 *   X25519           key management, key exchange, TLS group          prov_kex.c
 *   ML-DSA-65        key management, signature, TLS signature         prov_mldsa_fast.c
 *
 * Encoding and decoding stay with OpenSSL's default provider, which hands keys over by import and
 * export.  Functions have the types of provider-keymgmt(7) and its siblings: 1 is success, 0 failure.
 */
#ifndef QUDAG_SRC_SEC_PROV_H
#define QUDAG_SRC_SEC_PROV_H

#include "base/rng.h"

#include <openssl/core_dispatch.h>
#include <openssl/types.h>

/* Randomness for one operation, drawn beforehand: OpenSSL's generator can fail, ours cannot. */
struct prov_random {
    uint8_t bytes[64];
    size_t len;
    struct rng rng; /* deals out |bytes| once */
};
bool prov_random_draw(struct prov_random *r, size_t len); /* |len| at most 64 */
void prov_random_fini(struct prov_random *r);             /* wipes */

/* Function of a dispatch table. */
#define PROV_FN(id, fn)                                                                            \
    {                                                                                              \
        (id), (void (*)(void))(fn)                                                                 \
    }

/* The encapsulation is one for both hybrids. */
extern const OSSL_DISPATCH prov_hybrid_keymgmt[], prov_low_keymgmt[], prov_hybrid_kem[];
extern const OSSL_DISPATCH prov_x25519_keymgmt[], prov_x25519_keyexch[];
extern const OSSL_DISPATCH prov_mldsa_keymgmt[], prov_mldsa_signature[];

#endif
