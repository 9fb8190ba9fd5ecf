/*
 * Certificates: any bytes, and both post-quantum forms changed anywhere; with signatures unchecked,
 * as the build says, so that all of the checks run.
 *
 *   first byte & 3:  0, 1 the rest is the certificate    2 full form    3 short form, changed by
 *   (offset, offset, xor) triples
 */
#include "base/assert.h"
#include "base/rng.h"
#include "sec/cert.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1800000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    bool made;
    struct identity id;
    struct sec_known known;
    uint8_t der[2][CERT_DER_MAX];
    size_t len[2];
} sample;

/* The same key in every run, so that what is found can be found again. */
static EVP_PKEY *fixed_key(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "ML-DSA-65", NULL);
    uint8_t seed[32] = {3};
    EVP_PKEY *key = NULL;
    OSSL_PARAM params[2];
    bool ok;

    params[0] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_ML_DSA_SEED, seed, sizeof seed);
    params[1] = OSSL_PARAM_construct_end();
    ok = EVP_PKEY_fromdata_init(ctx) == 1 &&
         EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) == 1;
    ASSERT(ok);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void make_samples(void)
{
    static const uint8_t seed[32] = {5};
    struct rng_stream stream;
    struct rng rng;
    EVP_PKEY *key = fixed_key();
    qudag_err err;

    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    err = identity_generate(&sample.id, &rng);
    ASSERT(err == QUDAG_OK);
    for (int i = 0; i < 2; i++) {
        unsigned char *p = sample.der[i];
        X509 *crt = NULL;

        err = cert_make_for(&crt, i == 0 ? CERT_PQ : CERT_PQ_SHORT, &sample.id, key, &rng, NOW);
        ASSERT(err == QUDAG_OK);
        sample.len[i] = (size_t)i2d_X509(crt, &p);
        X509_free(crt);
    }
    sample.known.has = true;
    memcpy(sample.known.pq_pk, sample.id.pq_pk, sizeof sample.known.pq_pk);
    EVP_PKEY_free(key);
    identity_fini(&sample.id);
    sample.made = true;
}

static void check(struct slice der)
{
    struct sec_known none = {.has = false}, known = sample.known;
    struct sec_peer a, b, c;
    qudag_err first, second, third;

    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    memset(&c, 0, sizeof c);
    first = sec_check_cert(&a, der, PQ_PREFER, NOW, &none);
    second = sec_check_cert(&b, der, PQ_REQUIRE, NOW, &none);
    third = sec_check_cert(&c, der, PQ_PREFER, NOW, &known);
    if (first == QUDAG_OK) {
        ASSERT(a.id.len > 0);
        ASSERT(a.sig[0] != '\0');
        ASSERT(none.has == a.has_pq);
        ASSERT(second == (a.has_pq ? QUDAG_OK : QUDAG_EPOLICY));
    }
    /* Only the short form gains by a key that is known. */
    ASSERT(first == third || first == QUDAG_ENOTFOUND);
    ASSERT(third != QUDAG_OK || known.has == c.has_pq);
    ASSERT(third == QUDAG_OK || memcmp(&known, &sample.known, sizeof known) == 0);
    /* A pure function: the same again, and nothing written on failure. */
    memset(&b, 0, sizeof b);
    ASSERT(sec_check_cert(&b, der, PQ_PREFER, NOW, NULL) == first);
    ASSERT(memcmp(&a, &b, sizeof a) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t changed[CERT_DER_MAX];
    size_t which, len;

    if (!sample.made) {
        make_samples();
    }
    if (size == 0 || (data[0] & 3) < 2) {
        check((struct slice){size == 0 ? data : data + 1, size == 0 ? 0 : size - 1});
        return 0;
    }
    which = data[0] & 1;
    len = sample.len[which];
    memcpy(changed, sample.der[which], len);
    for (size_t i = 1; i + 2 < size; i += 3) {
        changed[((size_t)data[i] << 8 | data[i + 1]) % len] ^= data[i + 2];
    }
    check((struct slice){changed, len});
    return 0;
}
