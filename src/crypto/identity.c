/*
 * identity.c - the two keys of a node, and the file they are kept in.
 *
 *   | "QUDAGID1" | Ed25519 seed (32) | ML-DSA-65 seed (32) | flags (4, zero) | BLAKE3 (32) |
 *
 * The hash covers what stands before it and both public keys, so that a damaged file is noticed,
 * and so is a crypto library that would make other keys of the same seeds.
 */
#include "crypto/identity.h"

#include "base/rd.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/hash.h"

#include <string.h>

#define MAGIC "QUDAGID1"
#define MAGIC_LEN 8
#define BODY_LEN (MAGIC_LEN + ED25519_SEED_LEN + MLDSA65_SEED_LEN + 4)

_Static_assert(BODY_LEN + BLAKE3_LEN == IDENTITY_FILE_LEN, "the parts are the file");

void identity_pq_hash(uint8_t out[32], const uint8_t pq_pk[MLDSA65_PK_LEN])
{
    blake3_derive(out, 32, "qudag identity ML-DSA-65 v1", (struct slice){pq_pk, MLDSA65_PK_LEN});
}

/* Everything that follows from the seeds. */
static qudag_err identity_expand(struct identity *id)
{
    qudag_err err = ed25519_public(id->ed_pk, &id->ed_sk);

    if (err == QUDAG_OK) {
        err = mldsa65_load(&id->pq_sk, id->pq_pk, &id->pq_seed);
    }
    if (err != QUDAG_OK) {
        identity_fini(id);
        return err;
    }
    identity_pq_hash(id->pq_hash, id->pq_pk);
    return QUDAG_OK;
}

qudag_err identity_generate(struct identity *id, const struct rng *rng)
{
    memset(id, 0, sizeof *id);
    rng_fill(rng, id->ed_sk.seed, sizeof id->ed_sk.seed);
    rng_fill(rng, id->pq_seed.seed, sizeof id->pq_seed.seed);
    return identity_expand(id);
}

qudag_err identity_successor(struct identity *out, const struct identity *id, const struct rng *rng)
{
    memset(out, 0, sizeof *out);
    out->ed_sk = id->ed_sk;
    rng_fill(rng, out->pq_seed.seed, sizeof out->pq_seed.seed);
    return identity_expand(out);
}

static void file_hash(uint8_t out[BLAKE3_LEN], struct slice body, const struct identity *id)
{
    struct blake3_ctx c;

    blake3_init(&c);
    blake3_update(&c, body);
    blake3_update(&c, (struct slice){id->ed_pk, sizeof id->ed_pk});
    blake3_update(&c, (struct slice){id->pq_pk, sizeof id->pq_pk});
    blake3_final(&c, out);
    wipe(&c, sizeof c);
}

qudag_err identity_load(struct identity *id, struct slice bytes)
{
    struct rd r = rd_init(bytes);
    uint8_t sum[BLAKE3_LEN];

    memset(id, 0, sizeof *id);
    struct slice magic = rd_bytes(&r, MAGIC_LEN);
    rd_copy(&r, id->ed_sk.seed, sizeof id->ed_sk.seed);
    rd_copy(&r, id->pq_seed.seed, sizeof id->pq_seed.seed);
    uint32_t flags = rd_u32(&r);
    struct slice given = rd_bytes(&r, BLAKE3_LEN);
    if (!rd_done(&r) || memcmp(magic.base, MAGIC, MAGIC_LEN) != 0 || flags != 0) {
        identity_fini(id);
        return QUDAG_EMALFORMED;
    }
    qudag_err err = identity_expand(id);
    if (err != QUDAG_OK) {
        return err;
    }
    file_hash(sum, (struct slice){bytes.base, BODY_LEN}, id);
    if (!ct_equal(sum, given.base, sizeof sum)) {
        identity_fini(id);
        return QUDAG_ECHECKSUM;
    }
    return QUDAG_OK;
}

void identity_save(const struct identity *id, uint8_t out[IDENTITY_FILE_LEN])
{
    struct wr w = wr_init(out, IDENTITY_FILE_LEN);

    wr_bytes(&w, MAGIC, MAGIC_LEN);
    wr_bytes(&w, id->ed_sk.seed, sizeof id->ed_sk.seed);
    wr_bytes(&w, id->pq_seed.seed, sizeof id->pq_seed.seed);
    wr_u32(&w, 0);
    file_hash(out + BODY_LEN, (struct slice){out, BODY_LEN}, id);
}

void identity_fini(struct identity *id)
{
    mldsa65_free(id->pq_sk);
    wipe(id, sizeof *id);
}
