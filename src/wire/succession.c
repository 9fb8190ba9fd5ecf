/* succession.c - see succession.h. */
#include "wire/succession.h"

#include "base/rd.h"
#include "base/wipe.h"
#include "base/wr.h"

#include <string.h>

#define MAGIC "QUDAGSU1"
#define MAGIC_LEN 8
#define CONTEXT "qudag succession v1"

struct keys {
    uint8_t ed_pk[ED25519_PK_LEN];
    const uint8_t *from, *to; /* in the statement */
};

static struct slice context(void)
{
    return (struct slice){(const uint8_t *)CONTEXT, sizeof(CONTEXT) - 1};
}

/* What Ed25519, which has no contexts, signs. */
#define ED_MSG_LEN (sizeof(CONTEXT) - 1 + SUCCESSION_BODY_LEN)

static void ed_message(uint8_t m[ED_MSG_LEN], const uint8_t body[SUCCESSION_BODY_LEN])
{
    memcpy(m, CONTEXT, sizeof(CONTEXT) - 1);
    memcpy(m + sizeof(CONTEXT) - 1, body, SUCCESSION_BODY_LEN);
}

qudag_err succession_make(uint8_t out[SUCCESSION_LEN], const struct identity *from,
                          const struct identity *to, uint64_t seq, walltime now,
                          const struct rng *rng)
{
    struct wr w = wr_init(out, SUCCESSION_LEN);
    uint8_t m[ED_MSG_LEN];
    uint8_t *ed_sig = out + SUCCESSION_BODY_LEN, *old_sig = ed_sig + ED25519_SIG_LEN;
    uint8_t *new_sig = old_sig + MLDSA65_SIG_LEN;

    memset(out, 0, SUCCESSION_LEN);
    if (seq == 0 || now < 0 || memcmp(from->ed_pk, to->ed_pk, sizeof(from->ed_pk)) != 0 ||
        memcmp(from->pq_hash, to->pq_hash, sizeof(from->pq_hash)) == 0) {
        return QUDAG_EINVAL;
    }
    wr_bytes(&w, MAGIC, MAGIC_LEN);
    wr_u64(&w, seq);
    wr_u64(&w, (uint64_t)now);
    wr_u64(&w, (uint64_t)(now + SUCCESSION_LIFE));
    wr_bytes(&w, from->ed_pk, sizeof(from->ed_pk));
    wr_bytes(&w, from->pq_pk, sizeof(from->pq_pk));
    wr_bytes(&w, to->pq_pk, sizeof(to->pq_pk));
    ed_message(m, out);
    qudag_err err = ed25519_sign(ed_sig, &from->ed_sk, (struct slice){m, sizeof(m)});
    if (err == QUDAG_OK) {
        err = mldsa65_sign(old_sig, from->pq_sk, context(),
                           (struct slice){out, (size_t)(old_sig - out)}, rng);
    }
    if (err == QUDAG_OK) {
        err = mldsa65_sign(new_sig, to->pq_sk, context(),
                           (struct slice){out, (size_t)(new_sig - out)}, rng);
    }
    if (err != QUDAG_OK) {
        wipe(out, SUCCESSION_LEN);
    }
    return err;
}

static qudag_err read_body(struct succession *s, struct keys *k, struct slice bytes)
{
    struct rd r = rd_init(bytes);

    *s = (struct succession){.seq = 0};
    if (bytes.len != SUCCESSION_LEN) {
        return QUDAG_EMALFORMED;
    }
    struct slice magic = rd_bytes(&r, MAGIC_LEN);
    s->seq = rd_u64(&r);
    uint64_t made = rd_u64(&r), until = rd_u64(&r);
    rd_copy(&r, k->ed_pk, sizeof(k->ed_pk));
    k->from = rd_bytes(&r, MLDSA65_PK_LEN).base;
    k->to = rd_bytes(&r, MLDSA65_PK_LEN).base;
    if (!rd_ok(&r) || memcmp(magic.base, MAGIC, MAGIC_LEN) != 0 || s->seq == 0 ||
        made > INT64_MAX / 2 || until <= made || until - made > SUCCESSION_LIFE ||
        memcmp(k->from, k->to, MLDSA65_PK_LEN) == 0) {
        return QUDAG_EMALFORMED;
    }
    s->made = (walltime)made;
    s->until = (walltime)until;
    peer_id_from_ed25519(&s->peer, k->ed_pk);
    identity_pq_hash(s->from, k->from);
    identity_pq_hash(s->to, k->to);
    return QUDAG_OK;
}

static qudag_err check_signatures(const struct keys *k, const uint8_t *bytes)
{
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    const uint8_t *ed_sig = bytes + SUCCESSION_BODY_LEN, *old_sig = ed_sig + ED25519_SIG_LEN;
    const uint8_t *new_sig = old_sig + MLDSA65_SIG_LEN;
    uint8_t m[ED_MSG_LEN];

    ed_message(m, bytes);
    if (ed25519_verify(k->ed_pk, ed_sig, (struct slice){m, sizeof(m)}) != QUDAG_OK ||
        mldsa65_verify(k->from, old_sig, context(),
                       (struct slice){bytes, (size_t)(old_sig - bytes)}) != QUDAG_OK ||
        mldsa65_verify(k->to, new_sig, context(),
                       (struct slice){bytes, (size_t)(new_sig - bytes)}) != QUDAG_OK) {
        return QUDAG_EAUTH;
    }
#else
    (void)k;
    (void)bytes;
#endif
    return QUDAG_OK;
}

qudag_err succession_read(struct succession *out, struct slice bytes)
{
    struct keys k;
    qudag_err err = read_body(out, &k, bytes);

    if (err != QUDAG_OK) {
        *out = (struct succession){.seq = 0};
    }
    return err;
}

qudag_err succession_check(struct succession *out, struct slice bytes, walltime now)
{
    struct keys k;
    qudag_err err = read_body(out, &k, bytes);

    if (err == QUDAG_OK) {
        err = check_signatures(&k, bytes.base);
    }
    if (err == QUDAG_OK && out->made > now + SUCCESSION_SKEW) {
        err = QUDAG_ECLOCK;
    }
    if (err == QUDAG_OK && out->until < now - SUCCESSION_SKEW) {
        err = QUDAG_EEXPIRED;
    }
    if (err != QUDAG_OK) {
        *out = (struct succession){.seq = 0};
    }
    return err;
}
