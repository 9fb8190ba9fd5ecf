/*
 * blind.c - Ed25519 key blinding (Tor rend-spec-v3 appendix A.2) with libsodium's group operations.
 *
 *   a, RH   scalar and nonce prefix of the identity key, from SHA-512 of its seed; A = a B
 *   h       the parameter, clamped
 *   A' = h A,  a' = h a,  RH' = SHA-512("Derive temporary signing key hash input" | RH)[0 .. 31]
 *   sign:   r = SHA-512(Z | 0 .. 0 | RH' | 0 .. 0 | M),  R = r B,  S = r + SHA-512(R | A' | M) a'
 *
 * The nonce is hedged, as draft-irtf-cfrg-det-sigs-with-noise-01 changes step 2 of RFC 8032, 5.1.6: Z is random, and
 * zeros fill a block of the hash behind it and another behind the secret.  Without Z, a fault in the second hash of
 * one of two signatures of a message gives a' away, and a power trace can be averaged over many.  With a Z that the
 * attacker knows, or that repeats, it is as good as RFC 8032's nonce.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/wipe.h"
#include "crypto/hash.h"
#include "crypto/sign.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>

static void clamp(uint8_t s[32])
{
    s[0] &= 0xf8;
    s[31] = (uint8_t)((s[31] & 0x7f) | 0x40);
}

qudag_err ed25519_blind_public(uint8_t out[ED25519_PK_LEN], const uint8_t pk[ED25519_PK_LEN],
                               const uint8_t param[32])
{
    /* Clamps |param|; refuses a point that is not reduced, not on the curve or not of order L. */
    if (crypto_scalarmult_ed25519(out, param, pk) != 0) {
        memset(out, 0, ED25519_PK_LEN);
        return QUDAG_EMALFORMED;
    }
    return QUDAG_OK;
}

qudag_err ed25519_blind_secret(struct secret_ed25519_blinded *out, const struct secret_ed25519 *sk,
                               const uint8_t param[32])
{
    static const char label[] = "Derive temporary signing key hash input";
    uint8_t expanded[SHA512_LEN], h[32], digest[SHA512_LEN];
    SHA512_CTX c;

    sha512(expanded, (struct slice){sk->seed, sizeof sk->seed});
    clamp(expanded);
    memcpy(h, param, sizeof h);
    clamp(h);
    crypto_core_ed25519_scalar_mul(out->scalar, h, expanded);
    SHA512_Init(&c);
    SHA512_Update(&c, label, sizeof label - 1);
    SHA512_Update(&c, expanded + 32, 32);
    SHA512_Final(digest, &c);
    memcpy(out->prefix, digest, sizeof out->prefix);
    wipe(expanded, sizeof expanded);
    wipe(h, sizeof h);
    wipe(digest, sizeof digest);
    wipe(&c, sizeof c);
    /* 0 only if L divides a product of two numbers below 2^255 that 8 divides: for no honest key. */
    return ct_is_zero(out->scalar, sizeof out->scalar) ? QUDAG_EINTERNAL : QUDAG_OK;
}

#define SHA512_BLOCK 128

/* SHA-512 of up to three parts, modulo the group order. */
static void hash_to_scalar(uint8_t out[32], struct slice a, struct slice b, struct slice m)
{
    uint8_t digest[SHA512_LEN];
    SHA512_CTX c;

    SHA512_Init(&c);
    SHA512_Update(&c, a.base, a.len);
    if (b.len > 0) {
        SHA512_Update(&c, b.base, b.len);
    }
    if (m.len > 0) {
        SHA512_Update(&c, m.base, m.len);
    }
    SHA512_Final(digest, &c);
    crypto_core_ed25519_scalar_reduce(out, digest);
    wipe(digest, sizeof digest);
    wipe(&c, sizeof c);
}

qudag_err ed25519_sign_blinded(uint8_t sig[ED25519_SIG_LEN],
                               const struct secret_ed25519_blinded *sk,
                               const uint8_t blinded_pk[ED25519_PK_LEN], struct slice msg,
                               const uint8_t z[ED25519_NOISE_LEN])
{
    const struct slice pk = {blinded_pk, ED25519_PK_LEN}, none = {NULL, 0};
    uint8_t own_pk[ED25519_PK_LEN], first[2 * SHA512_BLOCK] = {0}, r[32], k[32], big_r[32], s[32];
    qudag_err err = QUDAG_EINTERNAL;

    /* Signing one message under two public keys would give the secret scalar away. */
    if (crypto_scalarmult_ed25519_base_noclamp(own_pk, sk->scalar) != 0 ||
        !ct_equal(own_pk, blinded_pk, sizeof own_pk)) {
        memset(sig, 0, ED25519_SIG_LEN);
        return QUDAG_EINVAL;
    }
    memset(sig, 0, ED25519_SIG_LEN);
    memcpy(first, z, ED25519_NOISE_LEN);
    memcpy(first + SHA512_BLOCK, sk->prefix, sizeof sk->prefix);
    hash_to_scalar(r, (struct slice){first, sizeof first}, none, msg);
    if (crypto_scalarmult_ed25519_base_noclamp(big_r, r) == 0) {
        hash_to_scalar(k, (struct slice){big_r, sizeof big_r}, pk, msg);
        crypto_core_ed25519_scalar_mul(s, k, sk->scalar);
        crypto_core_ed25519_scalar_add(s, s, r);
        memcpy(sig, big_r, sizeof big_r);
        memcpy(sig + 32, s, sizeof s);
        err = QUDAG_OK;
    }
    wipe(first, sizeof first);
    wipe(r, sizeof r);
    wipe(k, sizeof k);
    wipe(s, sizeof s);
    return err;
}
