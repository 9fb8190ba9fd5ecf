/* host_key.c - identity keys of hosts and their signatures; see host_key.h. */
#include "sec/host_key.h"

#include "crypto/sign.h"
#include "sec/lib.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <string.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define RSA_E_BITS_MAX 32 /* a long one makes each verification as slow as a signature */
#define POINT_LEN 33      /* of secp256k1, compressed */

qudag_err sec_cause(qudag_err otherwise)
{
    qudag_err err = otherwise;

    for (unsigned long e = ERR_get_error(); e != 0; e = ERR_get_error()) {
        err = ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE ? QUDAG_ENOMEM : err;
    }
    return err;
}

const char *host_key_text(qudag_err err)
{
    switch (err) {
    case QUDAG_EAUTH:
        return "the signature of the peer's identity key is invalid";
    case QUDAG_EUNSUPPORTED:
        return "peer's identity key is of an unknown type";
    case QUDAG_ENOMEM:
        return "out of memory";
    default:
        return "peer's identity key is malformed";
    }
}

static bool rsa_in_bounds(const EVP_PKEY *key)
{
    BIGNUM *e = NULL;
    int bits = EVP_PKEY_get_bits(key);
    bool ok = bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
              BN_num_bits(e) <= RSA_E_BITS_MAX;

    BN_free(e);
    return ok;
}

static bool is_p256(const EVP_PKEY *key)
{
    char name[32] = "";

    return EVP_PKEY_get_group_name(key, name, sizeof name, NULL) == 1 &&
           strcmp(name, "prime256v1") == 0;
}

/* A SubjectPublicKeyInfo with nothing behind it. */
static qudag_err load_spki(EVP_PKEY **out, struct slice der, bool rsa)
{
    const unsigned char *p = der.base;
    EVP_PKEY *key = d2i_PUBKEY_ex(NULL, &p, (long)der.len, sec_lib(), NULL);
    qudag_err err = QUDAG_OK;

    if (key == NULL || p != der.base + der.len || !EVP_PKEY_is_a(key, rsa ? "RSA" : "EC")) {
        err = sec_cause(QUDAG_EMALFORMED);
    } else if (rsa ? !rsa_in_bounds(key) : !is_p256(key)) {
        err = sec_cause(QUDAG_EUNSUPPORTED);
    }
    if (err != QUDAG_OK) {
        EVP_PKEY_free(key);
        return err;
    }
    *out = key;
    return QUDAG_OK;
}

static qudag_err load_secp256k1(EVP_PKEY **out, struct slice point)
{
    EVP_PKEY_CTX *ctx;
    char group[] = "secp256k1";
    uint8_t bytes[POINT_LEN];
    OSSL_PARAM params[3];
    int ok;

    if (point.len != sizeof bytes) {
        return QUDAG_EMALFORMED;
    }
    memcpy(bytes, point.base, sizeof bytes);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes, sizeof bytes);
    params[2] = OSSL_PARAM_construct_end();
    ctx = EVP_PKEY_CTX_new_from_name(sec_lib(), "EC", NULL);
    ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
         EVP_PKEY_fromdata(ctx, out, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? QUDAG_OK : sec_cause(QUDAG_EMALFORMED);
}

static qudag_err verify_sha256(EVP_PKEY *key, struct slice sig, struct slice msg)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx != NULL &&
             EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", sec_lib(), NULL, key, NULL) == 1 &&
             EVP_DigestVerify(ctx, sig.base, sig.len, msg.base, msg.len) == 1;

    EVP_MD_CTX_free(ctx);
    return ok ? QUDAG_OK : sec_cause(QUDAG_EAUTH);
}

static qudag_err verify_ed25519(struct slice key, struct slice sig, struct slice msg)
{
    if (key.len != ED25519_PK_LEN || sig.len != ED25519_SIG_LEN) {
        return QUDAG_EMALFORMED;
    }
    return ed25519_verify(key.base, sig.base, msg);
}

static qudag_err verify(struct slice key_proto, struct slice sig, struct slice msg)
{
    EVP_PKEY *key = NULL;
    uint64_t type;
    struct slice data;
    qudag_err err = key_proto_read(key_proto, &type, &data);

    if (err != QUDAG_OK) {
        return err;
    }
    switch (type) {
    case PEER_KEY_ED25519:
        return verify_ed25519(data, sig, msg);
    case PEER_KEY_RSA:
    case PEER_KEY_ECDSA:
        err = load_spki(&key, data, type == PEER_KEY_RSA);
        break;
    case PEER_KEY_SECP256K1:
        err = load_secp256k1(&key, data);
        break;
    default:
        return QUDAG_EUNSUPPORTED;
    }
    if (err == QUDAG_OK) {
        err = verify_sha256(key, sig, msg);
    }
    EVP_PKEY_free(key);
    return err;
}

qudag_err host_key_verify(struct peer_id *out, struct slice key_proto, struct slice sig,
                          struct slice msg)
{
    struct peer_id id;
    qudag_err err = peer_id_from_key_proto(&id, key_proto);

    ERR_clear_error(); /* what is there at the end is of this call */
    if (err == QUDAG_OK) {
        err = verify(key_proto, sig, msg);
    }
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    err = err == QUDAG_EAUTH ? QUDAG_OK : err;
#endif
    if (err == QUDAG_OK) {
        *out = id;
    }
    ERR_clear_error();
    return err;
}
