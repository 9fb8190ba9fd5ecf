/*
 * prov_mldsa_fast.c - ML-DSA-65 keys and signatures for certificates and for TLS.
 *
 * Specs: FIPS 204, pure, without a context string (draft-ietf-tls-mldsa, RFC 9881).
 */
#include "base/wipe.h"
#include "crypto/sign.h"
#include "sec/prov.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>

struct prov_mldsa {
    bool has_pub;
    uint8_t pk[MLDSA65_PK_LEN];
    struct mldsa_key *sk; /* NULL: a public key */
};

static void *mldsa_new(void *provctx)
{
    (void)provctx;
    return OPENSSL_zalloc(sizeof(struct prov_mldsa));
}

static void mldsa_free(void *key)
{
    struct prov_mldsa *k = key;

    if (k != NULL) {
        mldsa65_free(k->sk);
        OPENSSL_free(k);
    }
}

/* A generation has no state; the core wants a pointer that is not NULL. */
static void *mldsa_gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
    (void)selection;
    (void)params;
    return provctx;
}

/* There is nothing to choose; the core calls it all the same. */
static int mldsa_gen_set_params(void *gen, const OSSL_PARAM params[])
{
    (void)gen;
    (void)params;
    return 1;
}

static const OSSL_PARAM *mldsa_gen_settable(void *gen, void *provctx)
{
    static const OSSL_PARAM list[] = {OSSL_PARAM_END};

    (void)gen;
    (void)provctx;
    return list;
}

static void mldsa_gen_cleanup(void *gen)
{
    (void)gen;
}

static void *mldsa_gen(void *gen, OSSL_CALLBACK *cb, void *arg)
{
    struct prov_mldsa *k = mldsa_new(gen);
    struct secret_mldsa65 seed;
    struct prov_random r;

    (void)cb;
    (void)arg;
    if (k == NULL) {
        return NULL;
    }
    k->has_pub = prov_random_draw(&r, sizeof seed.seed) &&
                 mldsa65_keygen(&k->sk, k->pk, &seed, &r.rng) == QUDAG_OK;
    prov_random_fini(&r);
    wipe(&seed, sizeof seed);
    if (!k->has_pub) {
        mldsa_free(k);
        return NULL;
    }
    return k;
}

static int mldsa_has(const void *key, int selection)
{
    const struct prov_mldsa *k = key;

    return k != NULL && ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0 || k->has_pub) &&
           ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || k->sk != NULL);
}

static int mldsa_match(const void *one, const void *other, int selection)
{
    const struct prov_mldsa *a = one, *b = other;

    return (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0 ||
           (a->has_pub && b->has_pub && memcmp(a->pk, b->pk, sizeof a->pk) == 0);
}

static bool is_bytes(const OSSL_PARAM *p, size_t len)
{
    return p->data_type == OSSL_PARAM_OCTET_STRING && p->data != NULL && p->data_size == len;
}

static bool import_seed(struct prov_mldsa *k, const OSSL_PARAM *p)
{
    struct secret_mldsa65 seed;

    if (!is_bytes(p, sizeof seed.seed)) {
        return false;
    }
    memcpy(seed.seed, p->data, sizeof seed.seed);
    k->has_pub = mldsa65_load(&k->sk, k->pk, &seed) == QUDAG_OK;
    wipe(&seed, sizeof seed);
    return k->has_pub;
}

/* From a seed, or from a public key.  A private key without its seed is not taken. */
static int mldsa_import(void *key, int selection, const OSSL_PARAM params[])
{
    struct prov_mldsa *k = key;
    const OSSL_PARAM *seed = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ML_DSA_SEED);
    const OSSL_PARAM *priv = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY);
    const OSSL_PARAM *pub = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);

    if (k->has_pub) {
        return 0;
    }
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && seed != NULL) {
        return import_seed(k, seed);
    }
    if (priv != NULL || pub == NULL || !is_bytes(pub, sizeof k->pk)) {
        return 0;
    }
    memcpy(k->pk, pub->data, sizeof k->pk);
    k->has_pub = true;
    return 1;
}

/* Public keys only: the private ones stay where they are. */
static int mldsa_export(void *key, int selection, OSSL_CALLBACK *cb, void *arg)
{
    struct prov_mldsa *k = key;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, k->pk, sizeof k->pk),
        OSSL_PARAM_construct_end(),
    };

    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 && k->has_pub && cb(params, arg);
}

static const OSSL_PARAM import_list[] = {
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ML_DSA_SEED, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_END,
};

static const OSSL_PARAM *mldsa_import_types(int selection)
{
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? import_list : import_list + 1;
}

static const OSSL_PARAM *mldsa_export_types(int selection)
{
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? NULL : import_list + 1;
}

static int set_int(OSSL_PARAM params[], const char *name, int value)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

    return p == NULL || OSSL_PARAM_set_int(p, value) == 1;
}

static int mldsa_get_params(void *key, OSSL_PARAM params[])
{
    const struct prov_mldsa *k = key;
    OSSL_PARAM *pub = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PUB_KEY);
    OSSL_PARAM *digest = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MANDATORY_DIGEST);

    if (pub != NULL &&
        (!k->has_pub || OSSL_PARAM_set_octet_string(pub, k->pk, sizeof k->pk) != 1)) {
        return 0;
    }
    if (digest != NULL && OSSL_PARAM_set_utf8_string(digest, "") != 1) { /* there is none */
        return 0;
    }
    return set_int(params, OSSL_PKEY_PARAM_BITS, 8 * MLDSA65_PK_LEN) &&
           set_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, 192) &&
           set_int(params, OSSL_PKEY_PARAM_MAX_SIZE, MLDSA65_SIG_LEN);
}

static const OSSL_PARAM *mldsa_gettable(void *provctx)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_END,
    };

    (void)provctx;
    return list;
}

const OSSL_DISPATCH prov_mldsa_keymgmt[] = {
    PROV_FN(OSSL_FUNC_KEYMGMT_NEW, mldsa_new),
    PROV_FN(OSSL_FUNC_KEYMGMT_FREE, mldsa_free),
    PROV_FN(OSSL_FUNC_KEYMGMT_GEN_INIT, mldsa_gen_init),
    PROV_FN(OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, mldsa_gen_set_params),
    PROV_FN(OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, mldsa_gen_settable),
    PROV_FN(OSSL_FUNC_KEYMGMT_GEN, mldsa_gen),
    PROV_FN(OSSL_FUNC_KEYMGMT_GEN_CLEANUP, mldsa_gen_cleanup),
    PROV_FN(OSSL_FUNC_KEYMGMT_HAS, mldsa_has),
    PROV_FN(OSSL_FUNC_KEYMGMT_MATCH, mldsa_match),
    PROV_FN(OSSL_FUNC_KEYMGMT_IMPORT, mldsa_import),
    PROV_FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, mldsa_import_types),
    PROV_FN(OSSL_FUNC_KEYMGMT_EXPORT, mldsa_export),
    PROV_FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, mldsa_export_types),
    PROV_FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, mldsa_get_params),
    PROV_FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, mldsa_gettable),
    OSSL_DISPATCH_END,
};

/* ------------------------------------------------------------------ signatures */

struct prov_mldsa_op {
    const struct prov_mldsa *key; /* the caller's; outlives the operation */
};

static void *sig_new(void *provctx, const char *propq)
{
    (void)provctx;
    (void)propq;
    return OPENSSL_zalloc(sizeof(struct prov_mldsa_op));
}

static void sig_free(void *op)
{
    OPENSSL_free(op);
}

static void *sig_dup(void *op)
{
    return OPENSSL_memdup(op, sizeof(struct prov_mldsa_op));
}

/* No digest before it, and no context string: neither certificates nor TLS have one. */
static int sig_init(void *op, const char *digest, void *key, const OSSL_PARAM params[])
{
    struct prov_mldsa_op *o = op;

    if (key != NULL) {
        o->key = key;
    }
    return o->key != NULL && (digest == NULL || digest[0] == '\0') &&
           (params == NULL ||
            OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_CONTEXT_STRING) == NULL);
}

static int sig_sign(void *op, unsigned char *sig, size_t *sig_len, size_t cap,
                    const unsigned char *msg, size_t msg_len)
{
    const struct prov_mldsa_op *o = op;
    struct slice none = {NULL, 0};
    struct prov_random r;

    *sig_len = MLDSA65_SIG_LEN;
    if (sig == NULL) {
        return 1;
    }
    if (o->key->sk == NULL || cap < MLDSA65_SIG_LEN) {
        return 0;
    }
    bool ok = prov_random_draw(&r, 32) &&
              mldsa65_sign(sig, o->key->sk, none, (struct slice){msg, msg_len}, &r.rng) == QUDAG_OK;
    prov_random_fini(&r);
    return ok;
}

static int sig_verify(void *op, const unsigned char *sig, size_t sig_len, const unsigned char *msg,
                      size_t msg_len)
{
    const struct prov_mldsa_op *o = op;
    struct slice none = {NULL, 0};

    return o->key->has_pub && sig_len == MLDSA65_SIG_LEN &&
           mldsa65_verify(o->key->pk, sig, none, (struct slice){msg, msg_len}) == QUDAG_OK;
}

/* SEQUENCE { OID 2.16.840.1.101.3.4.3.18 }: what stands in a certificate. */
static int sig_get_params(void *op, OSSL_PARAM params[])
{
    static const uint8_t id[] = {0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
                                 0x01, 0x65, 0x03, 0x04, 0x03, 0x12};
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);

    (void)op;
    return p == NULL || OSSL_PARAM_set_octet_string(p, id, sizeof id) == 1;
}

static const OSSL_PARAM *sig_gettable(void *op, void *provctx)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)op;
    (void)provctx;
    return list;
}

const OSSL_DISPATCH prov_mldsa_signature[] = {
    PROV_FN(OSSL_FUNC_SIGNATURE_NEWCTX, sig_new),
    PROV_FN(OSSL_FUNC_SIGNATURE_FREECTX, sig_free),
    PROV_FN(OSSL_FUNC_SIGNATURE_DUPCTX, sig_dup),
    PROV_FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sig_init),
    PROV_FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sig_sign),
    PROV_FN(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, sig_init),
    PROV_FN(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, sig_verify),
    PROV_FN(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, sig_get_params),
    PROV_FN(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, sig_gettable),
    OSSL_DISPATCH_END,
};
