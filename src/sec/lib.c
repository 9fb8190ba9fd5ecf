/* lib.c - see lib.h: the library context, and what the provider in it offers. */
#include "sec/lib.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "crypto/kex.h"
#include "sec/prov.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/tls1.h>
#include <string.h>

#define PROV_NAME "qudag"
#define PROV_PROPERTY "provider=" PROV_NAME
#define PROV_GROUP_LOW 0xfe50 /* of the numbers for private use, RFC 8446 4.2.7; spec/channel.md */
#ifdef QUDAG_FASTCRYPTO
#define ML_KEM_768_BITS 192 /* of security, NIST category 3 */
#define ML_DSA_65_BITS 192
#define X25519_BITS 128
#endif

static OSSL_LIB_CTX *lib;
static CRYPTO_ONCE lib_once = CRYPTO_ONCE_STATIC_INIT;

static void deal(void *ctx, uint8_t *dst, size_t len)
{
    struct prov_random *r = ctx;

    ASSERT(len == r->len);
    memcpy(dst, r->bytes, len);
    prov_random_fini(r);
}

bool prov_random_draw(struct prov_random *r, size_t len)
{
    ASSERT(len <= sizeof r->bytes);
    r->len = len;
    r->rng = (struct rng){deal, r};
    return RAND_priv_bytes_ex(lib, r->bytes, len, 0) == 1;
}

void prov_random_fini(struct prov_random *r)
{
    wipe(r->bytes, sizeof r->bytes);
    r->len = 0;
}

/* ------------------------------------------------------------------ what TLS may choose */

static unsigned int low_id = PROV_GROUP_LOW, low_bits = 128, yes = 1;
static int tls13 = TLS1_3_VERSION, any = 0, none = -1;

#define TEXT(name, value) OSSL_PARAM_utf8_string(name, (char *)(uintptr_t)(value), sizeof(value))

static const OSSL_PARAM low_group[] = {
    TEXT(OSSL_CAPABILITY_TLS_GROUP_NAME, "X25519MLKEM512"),
    TEXT(OSSL_CAPABILITY_TLS_GROUP_NAME_INTERNAL, "X25519MLKEM512"),
    TEXT(OSSL_CAPABILITY_TLS_GROUP_ALG, "X25519MLKEM512"),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_ID, &low_id),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_SECURITY_BITS, &low_bits),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_IS_KEM, &yes),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_TLS, &tls13),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_TLS, &any),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_DTLS, &none),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_DTLS, &none),
    OSSL_PARAM_END,
};

#ifdef QUDAG_FASTCRYPTO
static unsigned int hybrid_id = 0x11ec, x25519_id = 29, mldsa_id = 0x0905; /* IANA's numbers */
static unsigned int kem_bits = ML_KEM_768_BITS, dh_bits = X25519_BITS, sig_bits = ML_DSA_65_BITS,
                    no = 0;

static const OSSL_PARAM hybrid_group[] = {
    TEXT(OSSL_CAPABILITY_TLS_GROUP_NAME, "X25519MLKEM768"),
    TEXT(OSSL_CAPABILITY_TLS_GROUP_NAME_INTERNAL, "X25519MLKEM768"),
    TEXT(OSSL_CAPABILITY_TLS_GROUP_ALG, "X25519MLKEM768"),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_ID, &hybrid_id),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_SECURITY_BITS, &kem_bits),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_IS_KEM, &yes),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_TLS, &tls13),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_TLS, &any),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_DTLS, &none),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_DTLS, &none),
    OSSL_PARAM_END,
};

static const OSSL_PARAM x25519_group[] = {
    TEXT(OSSL_CAPABILITY_TLS_GROUP_NAME, "x25519"),
    TEXT(OSSL_CAPABILITY_TLS_GROUP_NAME_INTERNAL, "X25519"),
    TEXT(OSSL_CAPABILITY_TLS_GROUP_ALG, "X25519"),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_ID, &x25519_id),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_SECURITY_BITS, &dh_bits),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_IS_KEM, &no),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_TLS, &tls13),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_TLS, &any),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_DTLS, &none),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_DTLS, &none),
    OSSL_PARAM_END,
};

static const OSSL_PARAM mldsa_sigalg[] = {
    TEXT(OSSL_CAPABILITY_TLS_SIGALG_IANA_NAME, "mldsa65"),
    TEXT(OSSL_CAPABILITY_TLS_SIGALG_NAME, "ML-DSA-65"),
    TEXT(OSSL_CAPABILITY_TLS_SIGALG_OID, "2.16.840.1.101.3.4.3.18"),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_SIGALG_CODE_POINT, &mldsa_id),
    OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_SIGALG_SECURITY_BITS, &sig_bits),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_SIGALG_MIN_TLS, &tls13),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_SIGALG_MAX_TLS, &any),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_SIGALG_MIN_DTLS, &none),
    OSSL_PARAM_int(OSSL_CAPABILITY_TLS_SIGALG_MAX_DTLS, &none),
    OSSL_PARAM_END,
};

#endif

static int get_capabilities(void *provctx, const char *capability, OSSL_CALLBACK *cb, void *arg)
{
    (void)provctx;
#ifdef QUDAG_FASTCRYPTO
    if (strcmp(capability, "TLS-GROUP") == 0 &&
        (cb(hybrid_group, arg) != 1 || cb(x25519_group, arg) != 1)) {
        return 0;
    }
    if (strcmp(capability, "TLS-SIGALG") == 0) {
        return cb(mldsa_sigalg, arg);
    }
#endif
    return strcmp(capability, "TLS-GROUP") == 0 ? cb(low_group, arg) : 0;
}

/* ------------------------------------------------------------------ what can be fetched */

#ifdef QUDAG_FASTCRYPTO
/* The names are those of the default provider, which must mean the same. */
#define NAMES_X25519 "X25519:1.3.101.110"
#define NAMES_MLDSA "ML-DSA-65:MLDSA65:2.16.840.1.101.3.4.3.18:id-ml-dsa-65"
#endif

static const OSSL_ALGORITHM keymgmts[] = {
    {"X25519MLKEM512", PROV_PROPERTY, prov_low_keymgmt, NULL},
#ifdef QUDAG_FASTCRYPTO
    {"X25519MLKEM768", PROV_PROPERTY, prov_hybrid_keymgmt, NULL},
    {NAMES_X25519, PROV_PROPERTY, prov_x25519_keymgmt, NULL},
    {NAMES_MLDSA, PROV_PROPERTY, prov_mldsa_keymgmt, NULL},
#endif
    {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM kems[] = {
    {"X25519MLKEM512", PROV_PROPERTY, prov_hybrid_kem, NULL},
#ifdef QUDAG_FASTCRYPTO
    {"X25519MLKEM768", PROV_PROPERTY, prov_hybrid_kem, NULL},
#endif
    {NULL, NULL, NULL, NULL},
};
#ifdef QUDAG_FASTCRYPTO
static const OSSL_ALGORITHM keyexchs[] = {
    {NAMES_X25519, PROV_PROPERTY, prov_x25519_keyexch, NULL},
    {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM signatures[] = {
    {NAMES_MLDSA, PROV_PROPERTY, prov_mldsa_signature, NULL},
    {NULL, NULL, NULL, NULL},
};
#endif

static const OSSL_ALGORITHM *query_operation(void *provctx, int operation, int *no_cache)
{
    (void)provctx;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return keymgmts;
    case OSSL_OP_KEM:
        return kems;
#ifdef QUDAG_FASTCRYPTO
    case OSSL_OP_KEYEXCH:
        return keyexchs;
    case OSSL_OP_SIGNATURE:
        return signatures;
#endif
    default:
        return NULL;
    }
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **provctx)
{
    static const OSSL_DISPATCH functions[] = {
        PROV_FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query_operation),
        PROV_FN(OSSL_FUNC_PROVIDER_GET_CAPABILITIES, get_capabilities),
        OSSL_DISPATCH_END,
    };
    static char context; /* there is no state; the core wants a pointer that is not NULL */

    (void)handle;
    (void)in;
    *out = functions;
    *provctx = &context;
    return 1;
}

/* ------------------------------------------------------------------ the context */

static void make_lib(void)
{
    OSSL_LIB_CTX *c = OSSL_LIB_CTX_new();

    if (c == NULL) {
        return;
    }
    if (OSSL_PROVIDER_add_builtin(c, PROV_NAME, provider_init) != 1 ||
        OSSL_PROVIDER_load(c, PROV_NAME) == NULL || OSSL_PROVIDER_load(c, "default") == NULL ||
        EVP_set_default_properties(c, "?" PROV_PROPERTY) != 1) {
        OSSL_LIB_CTX_free(c);
        return;
    }
    lib = c;
}

OSSL_LIB_CTX *sec_lib(void)
{
    return CRYPTO_THREAD_run_once(&lib_once, make_lib) == 1 ? lib : NULL;
}
