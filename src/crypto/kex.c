/*
 * kex.c - X25519 and ML-KEM-768: randomness, checks and wiping; the arithmetic is the backend's.
 */
#include "crypto/kex.h"

#include "base/wipe.h"
#include "crypto/backend.h"

#define MLKEM_Q 3329
#define MLKEM768_T_LEN 1152 /* ek = t (768 coefficients of 12 bits) || rho */

qudag_err x25519_keypair(struct secret_x25519 *sk, uint8_t pk[X25519_LEN], const struct rng *rng)
{
    rng_fill(rng, sk->b, sizeof sk->b);
    qudag_err err = x25519_public(pk, sk);
    if (err != QUDAG_OK) {
        wipe(sk, sizeof *sk);
    }
    return err;
}

qudag_err x25519_public(uint8_t pk[X25519_LEN], const struct secret_x25519 *sk)
{
    return CRYPTO_BACKEND->x25519_public(pk, sk);
}

qudag_err x25519_shared(uint8_t out[X25519_LEN], const struct secret_x25519 *sk,
                        const uint8_t peer[X25519_LEN])
{
    qudag_err err = CRYPTO_BACKEND->x25519_shared(out, sk, peer);

    if (err != QUDAG_OK) {
        wipe(out, X25519_LEN);
    }
    return err;
}

qudag_err mlkem768_load(struct mlkem_key **out, uint8_t ek[MLKEM768_EK_LEN],
                        const struct secret_mlkem768 *seed)
{
    void *key = NULL;
    qudag_err err = CRYPTO_BACKEND->mlkem768_load(&key, ek, seed);

    *out = err == QUDAG_OK ? key : NULL;
    return err;
}

qudag_err mlkem768_keygen(struct mlkem_key **out, uint8_t ek[MLKEM768_EK_LEN],
                          struct secret_mlkem768 *seed, const struct rng *rng)
{
    rng_fill(rng, seed->seed, sizeof seed->seed);
    qudag_err err = mlkem768_load(out, ek, seed);
    if (err != QUDAG_OK) {
        wipe(seed, sizeof *seed);
    }
    return err;
}

void mlkem768_free(struct mlkem_key *k)
{
    CRYPTO_BACKEND->mlkem768_free(k);
}

/* Every coefficient of t is reduced. */
qudag_err mlkem768_check(const uint8_t ek[MLKEM768_EK_LEN])
{
    for (size_t i = 0; i < MLKEM768_T_LEN; i += 3) {
        unsigned low = ek[i] | (ek[i + 1] & 15u) << 8;
        unsigned high = (unsigned)ek[i + 1] >> 4 | (unsigned)ek[i + 2] << 4;
        if (low >= MLKEM_Q || high >= MLKEM_Q) {
            return QUDAG_EMALFORMED;
        }
    }
    return QUDAG_OK;
}

qudag_err mlkem768_encaps(uint8_t ct[MLKEM768_CT_LEN], uint8_t ss[MLKEM768_SS_LEN],
                          const uint8_t ek[MLKEM768_EK_LEN], const struct rng *rng)
{
    uint8_t m[MLKEM_M_LEN];

    if (mlkem768_check(ek) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    rng_fill(rng, m, sizeof m);
    qudag_err err = CRYPTO_BACKEND->mlkem768_encaps(ct, ss, ek, m);
    wipe(m, sizeof m);
    if (err != QUDAG_OK) {
        wipe(ct, MLKEM768_CT_LEN);
        wipe(ss, MLKEM768_SS_LEN);
    }
    return err;
}

qudag_err mlkem768_decaps(uint8_t ss[MLKEM768_SS_LEN], const struct mlkem_key *k,
                          const uint8_t ct[MLKEM768_CT_LEN])
{
    qudag_err err = CRYPTO_BACKEND->mlkem768_decaps(ss, k, ct);

    if (err != QUDAG_OK) {
        wipe(ss, MLKEM768_SS_LEN);
    }
    return err;
}
