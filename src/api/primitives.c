/*
 * primitives.c - how long single operations of the primitives take on this machine, measured when it is asked for.
 *
 * Nothing is measured while a node works: below io no clock is read, and to read it twice costs as much as a cell.
 */
#include "api/internal.h"

#include "base/wipe.h"
#include "core/onion/onion.h"
#include "crypto/cgo.h"
#include "crypto/init.h"
#include "crypto/kex.h"

#include <stdio.h>
#include <stdlib.h>

/* What the operations work on: each leaves what the next ones need. */
struct bench {
    struct rng rng;
    struct secret_x25519 x_sk;
    struct secret_ed25519 ed_sk;
    struct secret_mlkem768 kem_seed;
    struct secret_mldsa65 dsa_seed;
    struct mlkem_key *kem;
    struct mldsa_key *dsa;
    struct cgo client, relay; /* one hop, towards it */
    uint8_t x_pk[X25519_LEN], ed_pk[ED25519_PK_LEN], ed_sig[ED25519_SIG_LEN];
    uint8_t ek[MLKEM768_EK_LEN], ct[MLKEM768_CT_LEN], shared[32];
    uint8_t dsa_pk[MLDSA65_PK_LEN], dsa_sig[MLDSA65_SIG_LEN];
    uint8_t body[ONION_BODY_LEN], tag[CGO_TAG_LEN];
};

static struct slice message(const struct bench *b)
{
    return (struct slice){b->body, 128};
}

static qudag_err kem_keygen(struct bench *b)
{
    mlkem768_free(b->kem);
    b->kem = NULL;
    return mlkem768_keygen(&b->kem, b->ek, &b->kem_seed, &b->rng);
}

static qudag_err kem_encaps(struct bench *b)
{
    return mlkem768_encaps(b->ct, b->shared, b->ek, &b->rng);
}

static qudag_err kem_decaps(struct bench *b)
{
    return mlkem768_decaps(b->shared, b->kem, b->ct);
}

static qudag_err x_keygen(struct bench *b)
{
    return x25519_keypair(&b->x_sk, b->x_pk, &b->rng);
}

static qudag_err x_shared(struct bench *b)
{
    return x25519_shared(b->shared, &b->x_sk, b->x_pk);
}

static qudag_err dsa_keygen(struct bench *b)
{
    mldsa65_free(b->dsa);
    b->dsa = NULL;
    return mldsa65_keygen(&b->dsa, b->dsa_pk, &b->dsa_seed, &b->rng);
}

static qudag_err dsa_sign(struct bench *b)
{
    return mldsa65_sign(b->dsa_sig, b->dsa, (struct slice){NULL, 0}, message(b), &b->rng);
}

static qudag_err dsa_verify(struct bench *b)
{
    return mldsa65_verify(b->dsa_pk, b->dsa_sig, (struct slice){NULL, 0}, message(b));
}

static qudag_err ed_keygen(struct bench *b)
{
    return ed25519_keygen(&b->ed_sk, b->ed_pk, &b->rng);
}

static qudag_err ed_sign(struct bench *b)
{
    return ed25519_sign(b->ed_sig, &b->ed_sk, message(b));
}

static qudag_err ed_verify(struct bench *b)
{
    return ed25519_verify(b->ed_pk, b->ed_sig, message(b));
}

static qudag_err cell_wrap(struct bench *b)
{
    cgo_client_wrap(&b->client, 1, 3, b->body);
    return QUDAG_OK;
}

static qudag_err cell_forward(struct bench *b)
{
    (void)cgo_relay_forward(&b->relay, 3, b->body, b->tag);
    return QUDAG_OK;
}

static const struct {
    const char *labels;
    qudag_err (*run)(struct bench *b);
} operations[] = {
    {"operation=\"mlkem768_keygen\"", kem_keygen}, {"operation=\"mlkem768_encaps\"", kem_encaps},
    {"operation=\"mlkem768_decaps\"", kem_decaps}, {"operation=\"x25519_keygen\"", x_keygen},
    {"operation=\"x25519_shared\"", x_shared},     {"operation=\"mldsa65_keygen\"", dsa_keygen},
    {"operation=\"mldsa65_sign\"", dsa_sign},      {"operation=\"mldsa65_verify\"", dsa_verify},
    {"operation=\"ed25519_keygen\"", ed_keygen},   {"operation=\"ed25519_sign\"", ed_sign},
    {"operation=\"ed25519_verify\"", ed_verify},   {"operation=\"cell_wrap\"", cell_wrap},
    {"operation=\"cell_forward\"", cell_forward},
};

static qudag_err begin(struct bench *b)
{
    static const struct cgo_params params = {.body_len = ONION_BODY_LEN, .key_len = 32};
    uint8_t keys[CGO_AES256_KEY_MATERIAL];
    qudag_err err = crypto_init();

    b->rng = io_rng();
    rng_fill(&b->rng, keys, sizeof(keys));
    cgo_init(&b->client, &params, keys);
    cgo_init(&b->relay, &params, keys);
    wipe(keys, sizeof(keys));
    for (size_t i = 0; err == QUDAG_OK && i < ARRAY_LEN(operations); i++) {
        err = operations[i].run(b); /* none lacks what it works on, and none is the first */
    }
    return err;
}

static void end(struct bench *b)
{
    mlkem768_free(b->kem);
    mldsa65_free(b->dsa);
    cgo_fini(&b->client);
    cgo_fini(&b->relay);
    wipe(b, sizeof(*b));
    free(b);
}

bool qudag_primitive_measure(size_t *it, uint32_t runs, qudag_histogram *out)
{
    qudag_histogram full = {.size = sizeof(full)};
    struct histogram h = {.sum_ns = 0};

    if (it == NULL || out == NULL || runs == 0 || runs > QUDAG_PRIMITIVE_RUNS_MAX ||
        *it >= ARRAY_LEN(operations)) {
        return false;
    }
    struct bench *b = aligned_alloc(64, (sizeof(*b) + 63) / 64 * 64);
    if (b == NULL) {
        return false;
    }
    memset(b, 0, sizeof(*b));
    qudag_err err = begin(b);
    for (uint32_t i = 0; err == QUDAG_OK && i < runs; i++) {
        tstamp before = io_now();
        err = operations[*it].run(b);
        histogram_add(&h, HISTOGRAM_CRYPTO, io_now() - before);
    }
    end(b);
    if (err != QUDAG_OK) {
        return false;
    }
    api_histogram_fill(&full, HISTOGRAM_CRYPTO, &h);
    full.metric = "primitive";
    full.help = "Time of single operations of the primitives on this machine";
    (void)snprintf(full.labels, sizeof(full.labels), "%s", operations[*it].labels);
    (*it)++;
    return api_sized_out(out, &full, sizeof(full));
}
