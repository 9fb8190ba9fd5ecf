/*
 * keys.c - the keys behind a dark address, and the form they are kept in.
 *
 *   "QUDAGDK3" 8 | network 1 | label length 1 | label 32 | created 8 | sequence 8
 *   callers 8 | resolutions 8 | last used 8 | hash of the target 32
 *   6 places: period 8, number 8, due 8
 *   Ed25519 seed 32 | ML-DSA-65 seed 32 | X25519 key 32 | ML-KEM-768 seed 64
 *   kind 1 | clients only 1 | their number 1 | zero 27 | 48 clients: name 32, secret 32
 *   BLAKE3 over all before, A and the commitment 32                              = 3552 bytes
 *
 * The public keys are computed again when loading; that the hash covers them finds a file whose seeds
 * were damaged together with it, and a library that computes something else than before.
 */
#include "core/dark/dark_impl.h"

#include "base/rd.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/hash.h"
#include "wire/relay_desc.h"

#include <string.h>

#define MAGIC "QUDAGDK3"
#define PAD_LEN 27
#define HASHED_LEN (DARK_SECRET_LEN - 32)

_Static_assert(8 + 1 + 1 + DARK_LABEL_MAX + 8 * 5 + 32 + DARK_PLACES * 24 + 32 * 3 + 64 + 3 +
                       PAD_LEN + DARK_CLIENTS_MAX * 64 ==
                   HASHED_LEN,
               "file form");

void dark_keys_fini(struct dark_keys *k)
{
    mldsa65_free(k->pq_sk);
    wipe(k, sizeof *k);
}

/* Fills in all that follows from the public keys. */
static void names_set(struct dark_keys *k)
{
    dark_commitment(k->addr.commit, k->pq_pk);
    onion_key_id(k->key_id, k->onion_x, k->onion_k);
}

qudag_err dark_keys_create(struct dark_keys *k, enum dark_network net, const char *label,
                           walltime now, const struct rng *rng)
{
    struct slice name = {(const uint8_t *)label, label == NULL ? 0 : strlen(label)};
    struct mlkem_key *dk = NULL;

    *k = (struct dark_keys){.kind = DARK_DIRECT, .created = now};
    if (!dark_label_ok(name) || now < 0 || net > DARK_NET_LAB) {
        return QUDAG_EINVAL;
    }
    if (name.len > 0) {
        memcpy(k->label, name.base, name.len);
    }
    k->addr.network = (uint8_t)net;
    qudag_err err = ed25519_keygen(&k->ed_sk, k->addr.ed_pk, rng);
    if (err == QUDAG_OK) {
        err = mldsa65_keygen(&k->pq_sk, k->pq_pk, &k->pq_seed, rng);
    }
    if (err == QUDAG_OK) {
        err = x25519_keypair(&k->onion_x_sk, k->onion_x, rng);
    }
    if (err == QUDAG_OK) {
        err = mlkem768_keygen(&dk, k->onion_k, &k->onion_k_seed, rng);
        mlkem768_free(dk);
    }
    if (err != QUDAG_OK) {
        dark_keys_fini(k);
        return err;
    }
    names_set(k);
    return QUDAG_OK;
}

static void file_hash(uint8_t out[32], const uint8_t bytes[HASHED_LEN], const struct dark_addr *a)
{
    uint8_t m[HASHED_LEN + DARK_ADDR_LEN];

    memcpy(m, bytes, HASHED_LEN);
    dark_addr_bytes(m + HASHED_LEN, a);
    blake3_derive(out, 32, "qudag dark keys file v1", (struct slice){m, sizeof m});
    wipe(m, sizeof m);
}

void dark_keys_save(const struct dark_keys *k, uint8_t out[DARK_SECRET_LEN])
{
    struct wr w = wr_init(out, DARK_SECRET_LEN);

    wr_bytes(&w, MAGIC, 8);
    wr_u8(&w, k->addr.network);
    wr_u8(&w, (uint8_t)strlen(k->label));
    wr_bytes(&w, k->label, DARK_LABEL_MAX);
    wr_u64(&w, (uint64_t)k->created);
    wr_u64(&w, k->seq);
    wr_u64(&w, k->use.callers);
    wr_u64(&w, k->use.resolutions);
    wr_u64(&w, (uint64_t)k->use.last);
    wr_bytes(&w, k->target, sizeof k->target);
    for (size_t i = 0; i < DARK_PLACES; i++) { /* the replica follows from the place in the list */
        wr_u64(&w, k->place[i].at.period);
        wr_u64(&w, k->place[i].number);
        wr_u64(&w, (uint64_t)k->place[i].due);
    }
    wr_bytes(&w, k->ed_sk.seed, sizeof k->ed_sk.seed);
    wr_bytes(&w, k->pq_seed.seed, sizeof k->pq_seed.seed);
    wr_bytes(&w, k->onion_x_sk.b, sizeof k->onion_x_sk.b);
    wr_bytes(&w, k->onion_k_seed.seed, sizeof k->onion_k_seed.seed);
    wr_u8(&w, (uint8_t)k->kind);
    wr_u8(&w, k->clients.only ? 1 : 0);
    wr_u8(&w, (uint8_t)k->clients.n);
    wr_zero(&w, PAD_LEN);
    for (size_t i = 0; i < DARK_CLIENTS_MAX; i++) { /* the free ones are zero */
        wr_bytes(&w, k->clients.client[i].name, DARK_LABEL_MAX);
        wr_bytes(&w, k->clients.client[i].secret, DARK_CLIENT_SECRET_LEN);
    }
    file_hash(out + HASHED_LEN, out, &k->addr);
}

/* What changes from record to record; false when a part is out of its range. */
static bool counts_read(struct dark_keys *k, struct rd *r)
{
    bool ok = true;

    k->seq = rd_u64(r);
    k->use.callers = rd_u64(r);
    k->use.resolutions = rd_u64(r);
    uint64_t last = rd_u64(r);
    k->use.last = (walltime)(last & INT64_MAX);
    rd_copy(r, k->target, sizeof k->target);
    for (size_t i = 0; i < DARK_PLACES; i++) {
        struct dark_place_state *p = &k->place[i];
        p->at = (struct dark_place){rd_u64(r), (uint8_t)(i % DARK_REPLICAS)};
        p->number = rd_u64(r);
        uint64_t due = rd_u64(r);
        p->due = (walltime)(due & INT64_MAX);
        ok = ok && due <= INT64_MAX && p->number <= DARK_SEQ_MAX &&
             (p->number == 0 || dark_slot(&p->at) == i);
    }
    return ok && last <= INT64_MAX && k->seq <= DARK_SEQ_MAX;
}

/* Who may call; false when that is out of its range. */
static bool clients_read(struct dark_keys *k, struct rd *r)
{
    static const struct dark_client none;
    uint8_t only = rd_u8(r), n = rd_u8(r);
    struct slice pad = rd_bytes(r, PAD_LEN);

    for (size_t i = 0; i < DARK_CLIENTS_MAX; i++) {
        struct dark_client *c = &k->clients.client[i];
        rd_copy(r, (uint8_t *)c->name, DARK_LABEL_MAX);
        rd_copy(r, c->secret, sizeof c->secret);
        size_t len = strlen(c->name);
        if (!ct_is_zero((const uint8_t *)c->name + len, sizeof c->name - len) ||
            (i >= n && !ct_equal(c, &none, sizeof none))) {
            return false;
        }
    }
    k->clients.only = only == 1;
    k->clients.n = n;
    return rd_ok(r) && only <= 1 && ct_is_zero(pad.base, pad.len) &&
           dark_clients_sound(&k->clients) && (only == 0 || k->kind == DARK_HIDDEN);
}

/* Reads the fields; false when one is out of its range. */
static bool fields_read(struct dark_keys *k, struct slice bytes)
{
    struct rd r = rd_init(bytes);
    struct slice magic = rd_bytes(&r, 8);

    k->addr.network = rd_u8(&r);
    uint8_t label_len = rd_u8(&r);
    struct slice label = rd_bytes(&r, DARK_LABEL_MAX);
    uint64_t created = rd_u64(&r);
    bool counts = counts_read(k, &r);
    rd_copy(&r, k->ed_sk.seed, sizeof k->ed_sk.seed);
    rd_copy(&r, k->pq_seed.seed, sizeof k->pq_seed.seed);
    rd_copy(&r, k->onion_x_sk.b, sizeof k->onion_x_sk.b);
    rd_copy(&r, k->onion_k_seed.seed, sizeof k->onion_k_seed.seed);
    uint8_t kind = rd_u8(&r);
    k->kind = (enum dark_kind)kind;
    bool clients = clients_read(k, &r);
    if (!rd_ok(&r) || memcmp(magic.base, MAGIC, 8) != 0) {
        return false;
    }
    if (kind != DARK_DIRECT && kind != DARK_HIDDEN) {
        return false;
    }
    if (label_len > DARK_LABEL_MAX || !dark_label_ok((struct slice){label.base, label_len}) ||
        !ct_is_zero(label.base + label_len, DARK_LABEL_MAX - (size_t)label_len)) {
        return false;
    }
    memcpy(k->label, label.base, DARK_LABEL_MAX);
    k->created = (walltime)(created & INT64_MAX);
    return counts && clients && created <= INT64_MAX && k->addr.network <= DARK_NET_LAB;
}

static qudag_err publics_compute(struct dark_keys *k)
{
    struct mlkem_key *dk = NULL;
    qudag_err err = ed25519_public(k->addr.ed_pk, &k->ed_sk);

    if (err == QUDAG_OK) {
        err = mldsa65_load(&k->pq_sk, k->pq_pk, &k->pq_seed);
    }
    if (err == QUDAG_OK) {
        err = x25519_public(k->onion_x, &k->onion_x_sk);
    }
    if (err == QUDAG_OK) {
        err = mlkem768_load(&dk, k->onion_k, &k->onion_k_seed);
        mlkem768_free(dk);
    }
    return err;
}

qudag_err dark_keys_load(struct dark_keys *k, struct slice bytes)
{
    uint8_t hash[32];
    qudag_err err = QUDAG_EMALFORMED;

    *k = (struct dark_keys){.pq_sk = NULL};
    if (bytes.len == DARK_SECRET_LEN && fields_read(k, bytes)) {
        err = publics_compute(k);
    }
    if (err == QUDAG_OK) {
        names_set(k);
        file_hash(hash, bytes.base, &k->addr);
        if (!ct_equal(hash, bytes.base + HASHED_LEN, sizeof hash)) {
            err = QUDAG_EMALFORMED;
        }
    }
    if (err != QUDAG_OK) {
        dark_keys_fini(k);
    }
    return err;
}
