/*
 * prov_kex.c - the key exchanges of TLS: ML-KEM beside X25519 as an encapsulation, X25519 alone as an exchange.
 *
 *   share of the client   ek (1184; 800) | X25519 (32)
 *   share of the server   ct (1088; 768) | X25519 (32)
 *   secret                ML-KEM (32) | X25519 (32)
 *
 * Specs: draft-ietf-tls-ecdhe-mlkem, for ML-KEM-512 in the same way (spec/channel.md); RFC 8446 4.2.8.2 and 7.4.2 for
 * X25519 alone.
 */
#include "base/wipe.h"
#include "crypto/kex.h"
#include "sec/lib.h"
#include "sec/prov.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#define PUB_MAX (MLKEM768_EK_LEN + X25519_LEN)
#define SS_LEN (KEM_SS_LEN + X25519_LEN)

#define KEM_SS_LEN 32

/* The ML-KEM of a hybrid group.  Keys are what |keygen| returned, NULL on failure; |free| wipes. */
struct prov_kem {
    const char *group; /* its TLS name */
    size_t ek_len, ct_len;
    int bits; /* of security */
    void *(*keygen)(uint8_t *ek);
    void (*free)(void *key);
    bool (*encaps)(uint8_t *ct, uint8_t *ss, const uint8_t *ek);
    bool (*decaps)(uint8_t *ss, void *key, const uint8_t *ct);
};

/* ------------------------------------------------------------------ ML-KEM-768 */

static void *keygen_768(uint8_t *ek)
{
    struct mlkem_key *key = NULL;
    struct secret_mlkem768 seed;
    struct prov_random r;
    bool ok = prov_random_draw(&r, sizeof seed.seed) &&
              mlkem768_keygen(&key, ek, &seed, &r.rng) == QUDAG_OK;

    prov_random_fini(&r);
    wipe(&seed, sizeof seed);
    return ok ? key : NULL;
}

static void free_768(void *key)
{
    mlkem768_free(key);
}

static bool encaps_768(uint8_t *ct, uint8_t *ss, const uint8_t *ek)
{
    struct prov_random r;
    bool ok = prov_random_draw(&r, 32) && mlkem768_encaps(ct, ss, ek, &r.rng) == QUDAG_OK;

    prov_random_fini(&r);
    return ok;
}

static bool decaps_768(uint8_t *ss, void *key, const uint8_t *ct)
{
    return mlkem768_decaps(ss, key, ct) == QUDAG_OK;
}

static const struct prov_kem kem_768 = {
    .group = "X25519MLKEM768",
    .ek_len = MLKEM768_EK_LEN,
    .ct_len = MLKEM768_CT_LEN,
    .bits = 192,
    .keygen = keygen_768,
    .free = free_768,
    .encaps = encaps_768,
    .decaps = decaps_768,
};

/* ------------------------------------------------------------------ ML-KEM-512: OpenSSL's, in every build */

#define LOW_EK_LEN 800
#define LOW_CT_LEN 768
#define LOW_KIND "ML-KEM-512"
#define LOW_FROM "provider=default"

static void *keygen_512(uint8_t *ek)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(sec_lib(), LOW_FROM, LOW_KIND);
    size_t len = LOW_EK_LEN;

    if (key != NULL && (EVP_PKEY_get_raw_public_key(key, ek, &len) != 1 || len != LOW_EK_LEN)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static void free_512(void *key)
{
    EVP_PKEY_free(key);
}

static bool encaps_512(uint8_t *ct, uint8_t *ss, const uint8_t *ek)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(sec_lib(), LOW_KIND, LOW_FROM, ek, LOW_EK_LEN);
    EVP_PKEY_CTX *c = key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(sec_lib(), key, LOW_FROM);
    size_t ct_len = LOW_CT_LEN, ss_len = KEM_SS_LEN;
    bool ok = c != NULL && EVP_PKEY_encapsulate_init(c, NULL) == 1 &&
              EVP_PKEY_encapsulate(c, ct, &ct_len, ss, &ss_len) == 1 && ct_len == LOW_CT_LEN &&
              ss_len == KEM_SS_LEN;

    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(key);
    return ok;
}

static bool decaps_512(uint8_t *ss, void *key, const uint8_t *ct)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(sec_lib(), key, LOW_FROM);
    size_t len = KEM_SS_LEN;
    bool ok = c != NULL && EVP_PKEY_decapsulate_init(c, NULL) == 1 &&
              EVP_PKEY_decapsulate(c, ss, &len, ct, LOW_CT_LEN) == 1 && len == KEM_SS_LEN;

    EVP_PKEY_CTX_free(c);
    return ok;
}

static const struct prov_kem kem_512 = {
    .group = "X25519MLKEM512",
    .ek_len = LOW_EK_LEN,
    .ct_len = LOW_CT_LEN,
    .bits = 128,
    .keygen = keygen_512,
    .free = free_512,
    .encaps = encaps_512,
    .decaps = decaps_512,
};

/* ------------------------------------------------------------------ keys */

/* |pub| holds ek and X25519, or X25519 alone. */
struct prov_kex {
    const struct prov_kem *kem; /* NULL: X25519 alone */
    bool has_pub, has_priv;
    uint8_t pub[PUB_MAX];
    struct secret_x25519 x25519;
    void *mlkem; /* with |kem| and has_priv */
};

/* What a generation is to make. */
struct prov_kex_gen {
    const struct prov_kem *kem;
    bool keys; /* not the parameters only */
};

static size_t ek_len(const struct prov_kex *k)
{
    return k->kem == NULL ? 0 : k->kem->ek_len;
}

static size_t pub_len(const struct prov_kex *k)
{
    return ek_len(k) + X25519_LEN;
}

static uint8_t *pub_x25519(struct prov_kex *k)
{
    return k->pub + ek_len(k);
}

static void *kex_new(const struct prov_kem *kem)
{
    struct prov_kex *k = OPENSSL_zalloc(sizeof *k);

    if (k != NULL) {
        k->kem = kem;
    }
    return k;
}

static void *hybrid_new(void *provctx)
{
    (void)provctx;
    return kex_new(&kem_768);
}

static void *low_new(void *provctx)
{
    (void)provctx;
    return kex_new(&kem_512);
}

static void *x25519_new(void *provctx)
{
    (void)provctx;
    return kex_new(NULL);
}

static void kex_free(void *key)
{
    struct prov_kex *k = key;

    if (k != NULL) {
        if (k->mlkem != NULL) {
            k->kem->free(k->mlkem);
        }
        wipe(k, sizeof *k);
        OPENSSL_free(k);
    }
}

static void *gen_new(const struct prov_kem *kem, int selection)
{
    struct prov_kex_gen *g = OPENSSL_zalloc(sizeof *g);

    if (g != NULL) {
        g->kem = kem;
        g->keys = (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0;
    }
    return g;
}

static void *hybrid_gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
    (void)provctx;
    (void)params;
    return gen_new(&kem_768, selection);
}

static void *low_gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
    (void)provctx;
    (void)params;
    return gen_new(&kem_512, selection);
}

static void *x25519_gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
    (void)provctx;
    (void)params;
    return gen_new(NULL, selection);
}

/* TLS names the group, which is the algorithm. */
static int kex_gen_set_params(void *gen, const OSSL_PARAM params[])
{
    const struct prov_kex_gen *g = gen;
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);

    return p == NULL ||
           (p->data_type == OSSL_PARAM_UTF8_STRING &&
            OPENSSL_strcasecmp(p->data, g->kem == NULL ? "x25519" : g->kem->group) == 0);
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
    k->mlkem = k->kem->keygen(k->pub);
    return k->mlkem != NULL;
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
    struct prov_kex *k = kex_new(g->kem);

    (void)cb;
    (void)arg;
    if (k == NULL || !g->keys) {
        return k;
    }
    if ((k->kem != NULL && !make_mlkem(k)) || !make_x25519(&k->x25519, pub_x25519(k))) {
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

    if (a->kem != b->kem) {
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
    copy = kex_new(k->kem);
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
    return set_int(params, OSSL_PKEY_PARAM_BITS, k->kem == NULL ? 253 : 8 * (int)k->kem->ek_len) &&
           set_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, k->kem == NULL ? 128 : k->kem->bits) &&
           set_int(params, OSSL_PKEY_PARAM_MAX_SIZE,
                   (int)((k->kem == NULL ? 0 : k->kem->ct_len) + X25519_LEN));
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
const OSSL_DISPATCH prov_low_keymgmt[] = {
    PROV_FN(OSSL_FUNC_KEYMGMT_NEW, low_new),
    PROV_FN(OSSL_FUNC_KEYMGMT_GEN_INIT, low_gen_init),
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
    struct prov_kex *peer = o->own;
    size_t ct_len = peer->kem->ct_len;
    struct secret_x25519 x;
    bool room = out == NULL || (*out_len >= ct_len + X25519_LEN && *secret_len >= SS_LEN);

    if (out_len != NULL) {
        *out_len = ct_len + X25519_LEN;
    }
    if (secret_len != NULL) {
        *secret_len = SS_LEN;
    }
    if (out == NULL || !room || !peer->has_pub) {
        return out == NULL;
    }
    bool ok = peer->kem->encaps(out, secret, peer->pub) && make_x25519(&x, out + ct_len) &&
              x25519_shared(secret + KEM_SS_LEN, &x, pub_x25519(peer)) == QUDAG_OK;
    wipe(&x, sizeof x);
    if (!ok) {
        wipe(secret, SS_LEN);
    }
    return ok;
}

static int hybrid_decapsulate(void *op, unsigned char *secret, size_t *secret_len,
                              const unsigned char *in, size_t in_len)
{
    const struct prov_kex_op *o = op;
    const struct prov_kex *k = o->own;
    size_t ct_len = k->kem->ct_len;

    if (secret == NULL) {
        *secret_len = SS_LEN;
        return 1;
    }
    if (!k->has_priv || in_len != ct_len + X25519_LEN || *secret_len < SS_LEN) {
        return 0;
    }
    *secret_len = SS_LEN;
    if (!k->kem->decaps(secret, k->mlkem, in) ||
        x25519_shared(secret + KEM_SS_LEN, &k->x25519, in + ct_len) != QUDAG_OK) {
        wipe(secret, SS_LEN);
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
