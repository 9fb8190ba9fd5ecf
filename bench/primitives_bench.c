/*
 * primitives_bench.c - the cost of each primitive in a link handshake and a circuit handshake.
 *
 * One JSON object per line.  Every figure is measured in batches of about 20 ms: "value" is the
 * median of the batches and "min" the best one (for rates: the highest).
 */
#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/init.h"
#include "crypto/kex.h"
#include "crypto/sign.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCHES 9
#define BATCH_NS UINT64_C(20000000)
#define BULK (64 * 1024)
#define CELL 1024

struct state {
    struct rng_stream stream;
    struct rng rng;
    struct secret_x25519 x_sk;
    struct secret_ed25519 ed_sk;
    struct secret_mlkem768 kem_seed;
    struct secret_mldsa65 dsa_seed;
    struct mlkem_key *kem;
    struct mldsa_key *dsa;
    EVP_CIPHER_CTX *gcm;
    uint8_t x_pk[X25519_LEN], ed_pk[ED25519_PK_LEN], ed_sig[ED25519_SIG_LEN];
    uint8_t ek[MLKEM768_EK_LEN], ct[MLKEM768_CT_LEN];
    uint8_t dsa_pk[MLDSA65_PK_LEN], dsa_sig[MLDSA65_SIG_LEN];
    uint8_t bulk[BULK], out[BULK + 16];
};

static const uint8_t fixed_key[32] = {1};

static struct slice msg(const struct state *s)
{
    return (struct slice){s->bulk, 128};
}

static void must(qudag_err err)
{
    ASSERT(err == QUDAG_OK);
}

static void x25519_keygen(struct state *s)
{
    must(x25519_keypair(&s->x_sk, s->x_pk, &s->rng));
}

static void x25519_agree(struct state *s)
{
    must(x25519_shared(s->out, &s->x_sk, s->x_pk));
}

static void kem_keygen(struct state *s)
{
    mlkem768_free(s->kem);
    must(mlkem768_keygen(&s->kem, s->ek, &s->kem_seed, &s->rng));
}

static void kem_encaps(struct state *s)
{
    must(mlkem768_encaps(s->ct, s->out, s->ek, &s->rng));
}

static void kem_decaps(struct state *s)
{
    must(mlkem768_decaps(s->out, s->kem, s->ct));
}

static void ed_keygen(struct state *s)
{
    must(ed25519_keygen(&s->ed_sk, s->ed_pk, &s->rng));
}

static void ed_sign(struct state *s)
{
    must(ed25519_sign(s->ed_sig, &s->ed_sk, msg(s)));
}

static void ed_verify(struct state *s)
{
    must(ed25519_verify(s->ed_pk, s->ed_sig, msg(s)));
}

static void ed_blind(struct state *s)
{
    must(ed25519_blind_public(s->out, s->ed_pk, fixed_key));
}

static void dsa_keygen(struct state *s)
{
    mldsa65_free(s->dsa);
    must(mldsa65_keygen(&s->dsa, s->dsa_pk, &s->dsa_seed, &s->rng));
}

static void dsa_sign(struct state *s)
{
    must(mldsa65_sign(s->dsa_sig, s->dsa, (struct slice){NULL, 0}, msg(s), &s->rng));
}

static void dsa_verify(struct state *s)
{
    must(mldsa65_verify(s->dsa_pk, s->dsa_sig, (struct slice){NULL, 0}, msg(s)));
}

static void hkdf(struct state *s)
{
    uint8_t prk[32];
    hkdf_sha256_extract(prk, (struct slice){fixed_key, 32}, msg(s));
    hkdf_sha256_expand(s->out, 224, prk, (struct slice){fixed_key, 16});
}

static void hash_sha256(struct state *s)
{
    sha256(s->out, (struct slice){s->bulk, BULK});
}

static void hash_blake3(struct state *s)
{
    blake3(s->out, (struct slice){s->bulk, BULK});
}

static void seal_chacha(struct state *s)
{
    must(aead_seal(s->out, fixed_key, s->bulk, (struct slice){NULL, 0},
                   (struct slice){s->bulk, CELL}));
}

static void seal_gcm(struct state *s)
{
    int n = 0, rest = 0;
    bool ok = EVP_EncryptInit_ex(s->gcm, NULL, NULL, NULL, s->bulk) == 1 &&
              EVP_EncryptUpdate(s->gcm, s->out, &n, s->bulk, CELL) == 1 &&
              EVP_EncryptFinal_ex(s->gcm, s->out + n, &rest) == 1 &&
              EVP_CIPHER_CTX_ctrl(s->gcm, EVP_CTRL_AEAD_GET_TAG, 16, s->out + CELL) == 1;
    ASSERT(ok);
}

static const struct {
    const char *name;
    void (*run)(struct state *);
    size_t bytes; /* per run; 0: the unit is us */
} rows[] = {
    {"x25519_keygen", x25519_keygen, 0},   {"x25519_shared", x25519_agree, 0},
    {"mlkem768_keygen", kem_keygen, 0},    {"mlkem768_encaps", kem_encaps, 0},
    {"mlkem768_decaps", kem_decaps, 0},    {"ed25519_keygen", ed_keygen, 0},
    {"ed25519_sign", ed_sign, 0},          {"ed25519_verify", ed_verify, 0},
    {"ed25519_blind_public", ed_blind, 0}, {"mldsa65_keygen", dsa_keygen, 0},
    {"mldsa65_sign", dsa_sign, 0},         {"mldsa65_verify", dsa_verify, 0},
    {"hkdf_sha256_224", hkdf, 0},          {"sha256_64k", hash_sha256, BULK},
    {"blake3_64k", hash_blake3, BULK},     {"chacha20poly1305_1k", seal_chacha, CELL},
    {"aes256gcm_1k", seal_gcm, CELL},
};

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ns per run over one batch. */
static double batch(void (*run)(struct state *), struct state *s)
{
    uint64_t start = now_ns(), passed = 0, n = 0;

    do {
        for (int i = 0; i < 8; i++) {
            run(s);
        }
        n += 8;
        passed = now_ns() - start;
    } while (passed < BATCH_NS);
    return (double)passed / (double)n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y ? 1 : 0;
}

int main(void)
{
    static struct state s;

    must(crypto_init());
    rng_stream_init(&s.stream, fixed_key);
    s.rng = rng_of_stream(&s.stream);
    s.gcm = EVP_CIPHER_CTX_new();
    ASSERT(s.gcm != NULL);
    bool ok = EVP_EncryptInit_ex(s.gcm, EVP_aes_256_gcm(), NULL, fixed_key, NULL) == 1;
    ASSERT(ok);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double v[BATCHES];
        (void)batch(rows[i].run, &s); /* warm */
        for (size_t j = 0; j < BATCHES; j++) {
            v[j] = batch(rows[i].run, &s);
        }
        qsort(v, BATCHES, sizeof v[0], by_value);
        double best = v[0] / 1000, median = v[BATCHES / 2] / 1000;
        const char *unit = "us";
        if (rows[i].bytes > 0) {
            best = (double)rows[i].bytes / best;
            median = (double)rows[i].bytes / median;
            unit = "MB/s";
        }
        printf("{\"bench\":\"primitives\",\"name\":\"%s\",\"value\":%.2f,\"unit\":\"%s\","
               "\"min\":%.2f}\n",
               rows[i].name, median, unit, best);
    }
    EVP_CIPHER_CTX_free(s.gcm);
    mlkem768_free(s.kem);
    mldsa65_free(s.dsa);
    return 0;
}
