/*
 * cert_make.c - the certificates we present.
 *
 *   classical: ECDSA P-256 key, libp2p extension, self-signed
 *   pq:        ML-DSA-65 key, libp2p extension, identity extension, signed by the ML-DSA identity key
 *   pq short:  the same; the identity extension has the hash of the identity key only
 */
#include "base/wipe.h"
#include "base/wr.h"
#include "sec/cert.h"
#include "sec/cert_ext.h"
#include "sec/lib.h"
#include "wire/peer_id.h"

#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <openssl/x509v3.h>

void cert_pair_fini(struct cert_pair *p)
{
    X509_free(p->crt);
    EVP_PKEY_free(p->key);
    *p = (struct cert_pair){NULL, NULL};
}

const char *cert_key_name(const EVP_PKEY *key)
{
    static const struct {
        const char *type, *name;
    } known[] = {
        {"ML-DSA-65", "mldsa65"}, {"EC", "ecdsa"},          {"ED25519", "ed25519"},
        {"RSA", "rsa"},           {"ML-DSA-44", "mldsa44"}, {"ML-DSA-87", "mldsa87"},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (EVP_PKEY_is_a(key, known[i].type)) {
            return known[i].name;
        }
    }
    return "other";
}

/* The ML-DSA identity key as a key of the TLS library; NULL on failure. */
static EVP_PKEY *identity_pkey(const struct identity *id)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(sec_lib(), "ML-DSA-65", NULL);
    EVP_PKEY *key = NULL;
    uint8_t seed[MLDSA65_SEED_LEN];
    OSSL_PARAM params[2];

    for (size_t i = 0; i < sizeof seed; i++) {
        seed[i] = id->pq_seed.seed[i];
    }
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_ML_DSA_SEED, seed, sizeof seed);
    params[1] = OSSL_PARAM_construct_end();
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1) {
        key = NULL;
    }
    wipe(seed, sizeof seed);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static qudag_err add_ext(X509 *crt, const char *oid, struct slice value)
{
    ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
    X509_EXTENSION *ext = NULL;
    qudag_err err = QUDAG_ENOMEM;

    if (obj != NULL && data != NULL &&
        ASN1_OCTET_STRING_set(data, value.base, (int)value.len) == 1 &&
        (ext = X509_EXTENSION_create_by_OBJ(NULL, obj, 0, data)) != NULL &&
        X509_add_ext(crt, ext, -1) == 1) {
        err = QUDAG_OK;
    }
    X509_EXTENSION_free(ext);
    ASN1_OCTET_STRING_free(data);
    ASN1_OBJECT_free(obj);
    return err;
}

/* The libp2p extension: the identity key and its signature over the certificate key. */
static qudag_err add_libp2p(X509 *crt, const struct identity *id)
{
    uint8_t value[CERT_EXT_LIBP2P_LEN];
    uint8_t msg[CERT_SIGNED_MAX];
    uint8_t key_proto[KEY_PROTO_ED25519];
    uint8_t sig[ED25519_SIG_LEN];
    struct slice signed_part;
    struct wr w = wr_init(value, sizeof value);
    qudag_err err = cert_signed_part(msg, sizeof msg, &signed_part, crt);

    if (err == QUDAG_OK) {
        err = ed25519_sign(sig, &id->ed_sk, signed_part);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    key_proto_ed25519(key_proto, id->ed_pk);
    cert_ext_libp2p_write(&w, (struct slice){key_proto, sizeof key_proto},
                          (struct slice){sig, sizeof sig});
    return wr_ok(&w) ? add_ext(crt, CERT_OID_LIBP2P, wr_done(&w)) : QUDAG_EINTERNAL;
}

static qudag_err add_identity(X509 *crt, enum cert_kind kind, const struct identity *id)
{
    uint8_t value[CERT_EXT_PQ_LEN];
    struct wr w = wr_init(value, sizeof value);

    if (kind == CERT_PQ_SHORT) {
        cert_ext_pq_name_write(&w, id->pq_hash);
    } else {
        cert_ext_pq_write(&w, id->pq_pk);
    }
    return wr_ok(&w) ? add_ext(crt, CERT_OID_PQ, wr_done(&w)) : QUDAG_EINTERNAL;
}

/* Serial, names and validity.  Names mean nothing; a random serial number keeps them unlinkable. */
static qudag_err fill_head(X509 *crt, const struct rng *rng, walltime now)
{
    static const char digits[] = "0123456789";
    char serial_text[20];
    X509_NAME *name = X509_get_subject_name(crt);
    uint64_t serial = rng_u64(rng) >> 1;

    for (size_t i = 0; i < sizeof serial_text; i++) {
        serial_text[i] = digits[rng_below(rng, 10)];
    }
    if (X509_set_version(crt, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(crt), serial | 1) != 1 ||
        X509_NAME_add_entry_by_NID(name, NID_serialNumber, MBSTRING_ASC,
                                   (const unsigned char *)serial_text, sizeof serial_text, -1,
                                   0) != 1 ||
        X509_set_issuer_name(crt, name) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(crt), (time_t)(now - 3600)) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(crt), (time_t)(now + CERT_LIFE_S)) == NULL) {
        return QUDAG_ENOMEM;
    }
    return QUDAG_OK;
}

static qudag_err sign_cert(X509 *crt, enum cert_kind kind, const struct identity *id, EVP_PKEY *key)
{
    bool pq = kind != CERT_CLASSICAL;
    EVP_PKEY *signer = pq ? identity_pkey(id) : key;
    int n = 0;

    if (signer != NULL) {
        n = X509_sign(crt, signer, pq ? NULL : EVP_sha256());
    }
    if (pq) {
        EVP_PKEY_free(signer);
    }
    return n > 0 ? QUDAG_OK : QUDAG_EINTERNAL;
}

qudag_err cert_make_for(X509 **out, enum cert_kind kind, const struct identity *id, EVP_PKEY *key,
                        const struct rng *rng, walltime now)
{
    X509 *crt = X509_new_ex(sec_lib(), NULL);
    qudag_err err = QUDAG_OK;

    if (crt == NULL || X509_set_pubkey(crt, key) != 1) {
        err = QUDAG_ENOMEM;
    }
    if (err == QUDAG_OK) {
        err = fill_head(crt, rng, now);
    }
    if (err == QUDAG_OK) {
        err = add_libp2p(crt, id);
    }
    if (err == QUDAG_OK && kind != CERT_CLASSICAL) {
        err = add_identity(crt, kind, id);
    }
    if (err == QUDAG_OK) {
        err = sign_cert(crt, kind, id, key);
    }
    if (err != QUDAG_OK) {
        X509_free(crt);
        return err;
    }
    *out = crt;
    return QUDAG_OK;
}

qudag_err cert_make(struct cert_pair *out, enum cert_kind kind, const struct identity *id,
                    const struct rng *rng, walltime now)
{
    struct cert_pair p = {
        .key = kind == CERT_CLASSICAL ? EVP_PKEY_Q_keygen(sec_lib(), NULL, "EC", "P-256")
                                      : EVP_PKEY_Q_keygen(sec_lib(), NULL, "ML-DSA-65"),
    };
    qudag_err err = p.key == NULL ? QUDAG_ENOMEM : cert_make_for(&p.crt, kind, id, p.key, rng, now);

    if (err != QUDAG_OK) {
        cert_pair_fini(&p);
        return err;
    }
    *out = p;
    return QUDAG_OK;
}
