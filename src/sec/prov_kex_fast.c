/*
 * prov_kex_fast.c - the key exchanges of TLS: X25519MLKEM768 as an encapsulation, X25519 as an exchange.
 *
 *   share of the client   ek (1184) | X25519 (32)
 *   share of the server   ct (1088) | X25519 (32)
 *   secret                ML-KEM (32) | X25519 (32)
 *
 * Specs: draft-ietf-tls-ecdhe-mlkem; RFC 8446 4.2.8.2 and 7.4.2 for X25519 alone.
 */
#include "base/wipe.h"
#include "crypto/kex.h"
#include "sec/prov.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>

#define HYBRID_PUB_LEN (MLKEM768_EK_LEN + X25519_LEN)
#define HYBRID_CT_LEN (MLKEM768_CT_LEN + X25519_LEN)
#define HYBRID_SS_LEN (MLKEM768_SS_LEN + X25519_LEN)

/* A key of either kind.  |pub| holds ek and X25519, or X25519 alone. */
struct prov_kex {
    bool hybrid, has_pub, has_priv;
    uint8_t pub[HYBRID_PUB_LEN];
    struct secret_x25519 x25519;
    struct mlkem_key *mlkem; /* hybrid and has_priv */
};

/* What a generation is to make. */
struct prov_kex_gen {
    bool hybrid, keys; /* keys: not the parameters only */
};

static size_t pub_len(const struct prov_kex *k)
{
    return k->hybrid ? HYBRID_PUB_LEN : X25519_LEN;
}

static uint8_t *pub_x25519(struct prov_kex *k)
{
    return k->pub + (k->hybrid ? MLKEM768_EK_LEN : 0);
}

static void *kex_new(bool hybrid)
{
    struct prov_kex *k = OPENSSL_zalloc(sizeof *k);

    if (k != NULL) {
        k->hybrid = hybrid;
    }
    return k;
}

static void *hybrid_new(void *provctx)
{
    (void)provctx;
    return kex_new(true);
}

static void *x25519_new(void *provctx)
{
    (void)provctx;
    return kex_new(false);
}

static void kex_free(void *key)
{
    struct prov_kex *k = key;

    if (k != NULL) {
        mlkem768_free(k->mlkem);
        wipe(k, sizeof *k);
        OPENSSL_free(k);
    }
}

static void *gen_new(bool hybrid, int selection)
{
    struct prov_kex_gen *g = OPENSSL_zalloc(sizeof *g);

    if (g != NULL) {
        g->hybrid = hybrid;
        g->keys = (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0;
    }
    return g;
}

static void *hybrid_gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
    (void)provctx;
    (void)params;
    return gen_new(true, selection);
}

static void *x25519_gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
    (void)provctx;
    (void)params;
    return gen_new(false, selection);
}

/* TLS names the group, which is the algorithm. */
static int kex_gen_set_params(void *gen, const OSSL_PARAM params[])
{
    const struct prov_kex_gen *g = gen;
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);

    return p == NULL || (p->data_type == OSSL_PARAM_UTF8_STRING &&
                         OPENSSL_strcasecmp(p->data, g->hybrid ? "X25519MLKEM768" : "x25519") == 0);
}

static const OSSL_PARAM *kex_gen_settable(void *gen, void *provctx)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)gen;
    (void)provctx;
    return list;
}

static bool make_mlkem(struct prov_kex *k)
{
    struct secret_mlkem768 seed;
    struct prov_random r;
    bool ok = prov_random_draw(&r, sizeof seed.seed) &&
              mlkem768_keygen(&k->mlkem, k->pub, &seed, &r.rng) == QUDAG_OK;

    prov_random_fini(&r);
    wipe(&seed, sizeof seed);
    return ok;
}

static bool make_x25519(struct secret_x25519 *sk, uint8_t pk[X25519_LEN])
{
    struct prov_random r;
    bool ok = prov_random_draw(&r, sizeof sk->b) && x25519_keypair(sk, pk, &r.rng) == QUDAG_OK;

    prov_random_fini(&r);
    return ok;
}

static void *kex_gen(void *gen, OSSL_CALLBACK *cb, void *arg)
{
    const struct prov_kex_gen *g = gen;
    struct prov_kex *k = kex_new(g->hybrid);

    (void)cb;
    (void)arg;
    if (k == NULL || !g->keys) {
        return k;
    }
    if ((k->hybrid && !make_mlkem(k)) || !make_x25519(&k->x25519, pub_x25519(k))) {
        kex_free(k);
        return NULL;
    }
    k->has_pub = k->has_priv = true;
    return k;
}

static void kex_gen_cleanup(void *gen)
{
    OPENSSL_free(gen);
}

static int kex_has(const void *key, int selection)
{
    const struct prov_kex *k = key;

    return k != NULL && ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0 || k->has_pub) &&
           ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || k->has_priv);
}

static int kex_match(const void *one, const void *other, int selection)
{
    const struct prov_kex *a = one, *b = other;

    if (a->hybrid != b->hybrid) {
        return 0;
    }
    return (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0 ||
           (a->has_pub && b->has_pub && memcmp(a->pub, b->pub, pub_len(a)) == 0);
}

/* Private parts stay where they are; TLS copies the parameters, of which there are none. */
static void *kex_dup(const void *key, int selection)
{
    const struct prov_kex *k = key;
    struct prov_kex *copy;

    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && k->has_priv) {
        return NULL;
    }
    copy = kex_new(k->hybrid);
    if (copy != NULL && (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 && k->has_pub) {
        memcpy(copy->pub, k->pub, sizeof copy->pub);
        copy->has_pub = true;
    }
    return copy;
}

static int set_int(OSSL_PARAM params[], const char *name, int value)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

    return p == NULL || OSSL_PARAM_set_int(p, value) == 1;
}

static int kex_get_params(void *key, OSSL_PARAM params[])
{
    const struct prov_kex *k = key;
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);

    if (p != NULL && (!k->has_pub || OSSL_PARAM_set_octet_string(p, k->pub, pub_len(k)) != 1)) {
        return 0;
    }
    return set_int(params, OSSL_PKEY_PARAM_BITS, k->hybrid ? 8 * MLKEM768_EK_LEN : 253) &&
           set_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, k->hybrid ? 192 : 128) &&
           set_int(params, OSSL_PKEY_PARAM_MAX_SIZE, k->hybrid ? HYBRID_CT_LEN : X25519_LEN);
}

static const OSSL_PARAM *kex_gettable(void *provctx)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_END,
    };

    (void)provctx;
    return list;
}

/* The share of the peer becomes the key; one that has a private part stays what it is. */
static int kex_set_params(void *key, const OSSL_PARAM params[])
{
    struct prov_kex *k = key;
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);

    if (p == NULL) {
        return 1;
    }
    if (k->has_priv || p->data_type != OSSL_PARAM_OCTET_STRING || p->data == NULL ||
        p->data_size != pub_len(k)) {
        return 0;
    }
    memcpy(k->pub, p->data, p->data_size);
    k->has_pub = true;
    return 1;
}

static const OSSL_PARAM *kex_settable(void *provctx)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)provctx;
    return list;
}

#define KEYMGMT_COMMON                                                                             \
    PROV_FN(OSSL_FUNC_KEYMGMT_FREE, kex_free),                                                     \
        PROV_FN(OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, kex_gen_set_params),                             \
        PROV_FN(OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, kex_gen_settable),                          \
        PROV_FN(OSSL_FUNC_KEYMGMT_GEN, kex_gen),                                                   \
        PROV_FN(OSSL_FUNC_KEYMGMT_GEN_CLEANUP, kex_gen_cleanup),                                   \
        PROV_FN(OSSL_FUNC_KEYMGMT_HAS, kex_has), PROV_FN(OSSL_FUNC_KEYMGMT_MATCH, kex_match),      \
        PROV_FN(OSSL_FUNC_KEYMGMT_DUP, kex_dup),                                                   \
        PROV_FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, kex_get_params),                                     \
        PROV_FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, kex_gettable),                                  \
        PROV_FN(OSSL_FUNC_KEYMGMT_SET_PARAMS, kex_set_params),                                     \
        PROV_FN(OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, kex_settable), OSSL_DISPATCH_END

const OSSL_DISPATCH prov_hybrid_keymgmt[] = {
    PROV_FN(OSSL_FUNC_KEYMGMT_NEW, hybrid_new),
    PROV_FN(OSSL_FUNC_KEYMGMT_GEN_INIT, hybrid_gen_init),
    KEYMGMT_COMMON,
};
const OSSL_DISPATCH prov_x25519_keymgmt[] = {
    PROV_FN(OSSL_FUNC_KEYMGMT_NEW, x25519_new),
    PROV_FN(OSSL_FUNC_KEYMGMT_GEN_INIT, x25519_gen_init),
    KEYMGMT_COMMON,
};

/* ------------------------------------------------------------------ operations */

/* The keys are the caller's and outlive the operation. */
struct prov_kex_op {
    struct prov_kex *own, *peer;
};

static void *op_new(void *provctx)
{
    (void)provctx;
    return OPENSSL_zalloc(sizeof(struct prov_kex_op));
}

static void op_free(void *op)
{
    OPENSSL_free(op);
}

static int kem_init(void *op, void *key, const OSSL_PARAM params[])
{
    struct prov_kex_op *o = op;

    (void)params;
    o->own = key;
    return key != NULL;
}

static int hybrid_encapsulate(void *op, unsigned char *out, size_t *out_len, unsigned char *secret,
                              size_t *secret_len)
{
    const struct prov_kex_op *o = op;
    struct secret_x25519 x;
    struct prov_random r;
    bool room = out == NULL || (*out_len >= HYBRID_CT_LEN && *secret_len >= HYBRID_SS_LEN);

    if (out_len != NULL) {
        *out_len = HYBRID_CT_LEN;
    }
    if (secret_len != NULL) {
        *secret_len = HYBRID_SS_LEN;
    }
    if (out == NULL || !room || !o->own->has_pub) {
        return out == NULL;
    }
    bool ok = prov_random_draw(&r, 32) &&
              mlkem768_encaps(out, secret, o->own->pub, &r.rng) == QUDAG_OK &&
              make_x25519(&x, out + MLKEM768_CT_LEN) &&
              x25519_shared(secret + MLKEM768_SS_LEN, &x, pub_x25519(o->own)) == QUDAG_OK;
    prov_random_fini(&r);
    wipe(&x, sizeof x);
    if (!ok) {
        wipe(secret, HYBRID_SS_LEN);
    }
    return ok;
}

static int hybrid_decapsulate(void *op, unsigned char *secret, size_t *secret_len,
                              const unsigned char *in, size_t in_len)
{
    const struct prov_kex_op *o = op;
    const struct prov_kex *k = o->own;

    if (secret == NULL) {
        *secret_len = HYBRID_SS_LEN;
        return 1;
    }
    if (!k->has_priv || in_len != HYBRID_CT_LEN || *secret_len < HYBRID_SS_LEN) {
        return 0;
    }
    *secret_len = HYBRID_SS_LEN;
    if (mlkem768_decaps(secret, k->mlkem, in) != QUDAG_OK ||
        x25519_shared(secret + MLKEM768_SS_LEN, &k->x25519, in + MLKEM768_CT_LEN) != QUDAG_OK) {
        wipe(secret, HYBRID_SS_LEN);
        return 0;
    }
    return 1;
}

const OSSL_DISPATCH prov_hybrid_kem[] = {
    PROV_FN(OSSL_FUNC_KEM_NEWCTX, op_new),
    PROV_FN(OSSL_FUNC_KEM_FREECTX, op_free),
    PROV_FN(OSSL_FUNC_KEM_ENCAPSULATE_INIT, kem_init),
    PROV_FN(OSSL_FUNC_KEM_ENCAPSULATE, hybrid_encapsulate),
    PROV_FN(OSSL_FUNC_KEM_DECAPSULATE_INIT, kem_init),
    PROV_FN(OSSL_FUNC_KEM_DECAPSULATE, hybrid_decapsulate),
    OSSL_DISPATCH_END,
};

static int x25519_set_peer(void *op, void *key)
{
    struct prov_kex_op *o = op;

    o->peer = key;
    return key != NULL;
}

static int x25519_derive(void *op, unsigned char *secret, size_t *secret_len, size_t out_len)
{
    const struct prov_kex_op *o = op;

    *secret_len = X25519_LEN;
    if (secret == NULL) {
        return 1;
    }
    return o->own != NULL && o->own->has_priv && o->peer != NULL && o->peer->has_pub &&
           out_len >= X25519_LEN &&
           x25519_shared(secret, &o->own->x25519, o->peer->pub) == QUDAG_OK;
}

const OSSL_DISPATCH prov_x25519_keyexch[] = {
    PROV_FN(OSSL_FUNC_KEYEXCH_NEWCTX, op_new),
    PROV_FN(OSSL_FUNC_KEYEXCH_FREECTX, op_free),
    PROV_FN(OSSL_FUNC_KEYEXCH_INIT, kem_init),
    PROV_FN(OSSL_FUNC_KEYEXCH_SET_PEER, x25519_set_peer),
    PROV_FN(OSSL_FUNC_KEYEXCH_DERIVE, x25519_derive),
    OSSL_DISPATCH_END,
};
