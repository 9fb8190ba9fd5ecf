/*
 * cert_check.c - what a peer's certificate proves.
 *
 *   parse -> version, unique ids, extensions -> validity -> libp2p signature -> certificate signature
 *         -> identity extension (post-quantum) -> policy
 *
 * Nothing is written to the caller's structs before the last check has passed.
 */
#include "crypto/hash.h"
#include "sec/cert.h"
#include "sec/cert_ext.h"
#include "sec/host_key.h"
#include "sec/lib.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <string.h>

/* The two extensions that matter, as found. */
struct exts {
    struct slice libp2p, pq; /* base NULL: absent */
};

static bool oid_is(const ASN1_OBJECT *obj, const char *oid)
{
    char text[64];
    int n = OBJ_obj2txt(text, sizeof text, obj, 1);

    return n > 0 && (size_t)n < sizeof text && strcmp(text, oid) == 0;
}

/* Extensions whose meaning is known and which a self-signed certificate may mark critical. */
static bool is_understood(const ASN1_OBJECT *obj)
{
    switch (OBJ_obj2nid(obj)) {
    case NID_basic_constraints:
    case NID_key_usage:
    case NID_ext_key_usage:
    case NID_subject_alt_name:
        return true;
    default:
        return false;
    }
}

static bool take_ext(struct slice *slot, X509_EXTENSION *ext)
{
    const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(ext);
    int len = ASN1_STRING_length(data);

    if (slot->base != NULL || len <= 0) {
        return false; /* twice, or empty */
    }
    *slot = (struct slice){ASN1_STRING_get0_data(data), (size_t)len};
    return true;
}

static qudag_err find_exts(struct exts *out, const X509 *crt)
{
    int n = X509_get_ext_count(crt);

    if (n > 32) {
        return QUDAG_EMALFORMED;
    }
    for (int i = 0; i < n; i++) {
        X509_EXTENSION *ext = X509_get_ext(crt, i);
        const ASN1_OBJECT *obj = X509_EXTENSION_get_object(ext);
        bool ok = true;

        if (oid_is(obj, CERT_OID_LIBP2P)) {
            ok = take_ext(&out->libp2p, ext);
        } else if (oid_is(obj, CERT_OID_PQ)) {
            ok = take_ext(&out->pq, ext);
        } else if (X509_EXTENSION_get_critical(ext) != 0) {
            ok = is_understood(obj);
        }
        if (!ok) {
            return QUDAG_EMALFORMED;
        }
    }
    return out->libp2p.base == NULL ? QUDAG_EMALFORMED : QUDAG_OK;
}

/* |t| as seconds since 1970; false: unreadable. */
static bool wall_of(walltime *out, const ASN1_TIME *t)
{
    ASN1_TIME *zero = ASN1_TIME_set(NULL, 0);
    int day = 0, sec = 0;
    int ok = zero != NULL && ASN1_TIME_diff(&day, &sec, zero, t);

    ASN1_TIME_free(zero);
    *out = (walltime)day * 86400 + sec;
    return ok == 1;
}

bool cert_validity(struct sec_validity *out, const X509 *crt)
{
    return wall_of(&out->begin, X509_get0_notBefore(crt)) &&
           wall_of(&out->end, X509_get0_notAfter(crt));
}

static qudag_err check_validity(walltime *end, const X509 *crt, bool identity, walltime now)
{
    struct sec_validity v;

    if (!cert_validity(&v, crt)) {
        return QUDAG_EMALFORMED;
    }
    *end = v.end;
    return sec_rule_validity(&v, identity, now);
}

/* The libp2p extension: the identity key vouches for the certificate key. */
static qudag_err check_libp2p(struct peer_id *id, const X509 *crt, struct slice ext)
{
    uint8_t buf[CERT_SIGNED_MAX];
    struct slice key_proto, sig, msg;
    qudag_err err = cert_ext_libp2p_read(ext, &key_proto, &sig);

    if (err == QUDAG_OK && cert_signed_part(buf, sizeof buf, &msg, crt) != QUDAG_OK) {
        err = QUDAG_EMALFORMED;
    }
    return err == QUDAG_OK ? host_key_verify(id, key_proto, sig, msg) : err;
}

static qudag_err check_signature(X509 *crt, EVP_PKEY *signer)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)X509_verify(crt, signer);
    return QUDAG_OK;
#else
    return X509_verify(crt, signer) == 1 ? QUDAG_OK : sec_cause(QUDAG_EAUTH);
#endif
}

/* The key the extension names: in it, or remembered; its hash goes to |pq_hash|. */
static qudag_err find_pq_key(uint8_t pq_hash[32], const uint8_t **pq_pk,
                             const struct cert_ext_pq *ext, const struct sec_known *known)
{
    if (ext->pk == NULL && (known == NULL || !known->has)) {
        return QUDAG_ENOTFOUND;
    }
    *pq_pk = ext->pk != NULL ? ext->pk : known->pq_pk;
    identity_pq_hash(pq_hash, *pq_pk);
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    if (ext->hash != NULL && memcmp(ext->hash, pq_hash, 32) != 0) {
        return QUDAG_ENOTFOUND;
    }
#endif
    return QUDAG_OK;
}

/* The identity extension: the ML-DSA identity key has signed the whole certificate. */
static qudag_err check_pq(uint8_t pq_hash[32], X509 *crt, struct slice value,
                          struct sec_known *known)
{
    struct cert_ext_pq ext = {NULL, NULL};
    const uint8_t *pq_pk = NULL;
    EVP_PKEY *signer;
    qudag_err err = cert_ext_pq_read(value, &ext);

    if (err == QUDAG_OK) {
        err = find_pq_key(pq_hash, &pq_pk, &ext, known);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    /* A classical certificate key would leave the possession proof classical. */
    if (!EVP_PKEY_is_a(X509_get0_pubkey(crt), "ML-DSA-65")) {
        return QUDAG_EMALFORMED;
    }
    signer = EVP_PKEY_new_raw_public_key_ex(sec_lib(), "ML-DSA-65", NULL, pq_pk, MLDSA65_PK_LEN);
    err = signer == NULL ? sec_cause(QUDAG_EMALFORMED) : check_signature(crt, signer);
    EVP_PKEY_free(signer);
    if (err == QUDAG_OK && known != NULL) {
        known->has = true;
        memmove(known->pq_pk, pq_pk, MLDSA65_PK_LEN); /* they may be the same */
    }
    return err;
}

qudag_err cert_check(struct sec_peer *out, X509 *crt, enum pq_policy pq, walltime now,
                     struct sec_known *known)
{
    struct sec_peer peer = {0};
    struct exts exts = {{NULL, 0}, {NULL, 0}};
    const ASN1_BIT_STRING *issuer_uid = NULL, *subject_uid = NULL;
    EVP_PKEY *key = X509_get0_pubkey(crt);
    qudag_err err;

    ERR_clear_error(); /* what is there at the end is of this check */
    X509_get0_uids(crt, &issuer_uid, &subject_uid);
    if (key == NULL || X509_get_version(crt) != X509_VERSION_3 || issuer_uid != NULL ||
        subject_uid != NULL) {
        return QUDAG_EMALFORMED;
    }
    err = find_exts(&exts, crt);
    if (err == QUDAG_OK && pq == PQ_REQUIRE && exts.pq.base == NULL) {
        err = QUDAG_EPOLICY;
    }
    if (err == QUDAG_OK) {
        peer.has_pq = exts.pq.base != NULL;
        err = check_validity(&peer.valid_until, crt, peer.has_pq, now);
    }
    if (err == QUDAG_OK) {
        err = check_libp2p(&peer.id, crt, exts.libp2p);
    }
    if (err == QUDAG_OK) {
        err = peer.has_pq ? check_pq(peer.pq_hash, crt, exts.pq, known) : check_signature(crt, key);
    }
    if (err == QUDAG_OK && known != NULL && !peer.has_pq) {
        known->has = false;
    }
    if (err == QUDAG_OK) {
        const char *name = cert_key_name(key);

        memcpy(peer.sig, name, strlen(name));
        *out = peer;
    }
    ERR_clear_error();
    return err;
}

qudag_err sec_check_cert(struct sec_peer *out, struct slice der, enum pq_policy pq, walltime now,
                         struct sec_known *known)
{
    const unsigned char *p = der.base;
    X509 *crt;
    qudag_err err = QUDAG_EMALFORMED;

    if (der.len == 0 || der.len > CERT_DER_MAX) {
        return QUDAG_EMALFORMED;
    }
    crt = (X509 *)ASN1_item_d2i_ex(NULL, &p, (long)der.len, ASN1_ITEM_rptr(X509), sec_lib(), NULL);
    if (crt != NULL && p == der.base + der.len) {
        err = cert_check(out, crt, pq, now, known);
    }
    X509_free(crt);
    ERR_clear_error();
    return err;
}
