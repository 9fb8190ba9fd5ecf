/*
 * onion_handshake.c - the circuit handshake, in the tokens of spec/onion.md section 3.
 *
 *                       transcript                        secrets
 *   CREATE     {label, id, pq, key_id, B_x, B_k,
 *               X, ct_s}                          = th1   ks = KEM(B_k)      xs = DH(x, B_x)
 *                                                         prk1 = Extract(th1, ks | xs)
 *              {sealed_e}
 *   CREATED    {Y, ct_e}                          = th2   ke = KEM(ek_e)     xe = DH(x, Y)
 *                                                         prk2 = Extract(th2, chain | ke | xe)
 *
 * Every public value of both sides is in the transcript, every secret in an Extract: the result is
 * secret while either of X25519 and ML-KEM holds.  A wrong ct_s or ct_e yields another secret
 * (implicit rejection), so the AEAD of CREATE and AUTH of CREATED are the only signs of failure.
 */
#include "wire/onion_handshake_int.h"

#include "base/assert.h"
#include "base/wipe.h"

#include <string.h>

static const char L_RELAY[] = "qudag onion v1 relay";
static const char L_SERVICE[] = "qudag onion v1 service";
static const char L_CREATE_KEY[] = "qudag onion v1 create key";
static const char L_CHAIN[] = "qudag onion v1 chain";
static const char L_AUTH[] = "qudag onion v1 auth";
static const char L_CREATED_KEY[] = "qudag onion v1 created key";
static const char L_FORWARD[] = "qudag onion v1 cells forward";
static const char L_BACKWARD[] = "qudag onion v1 cells backward";
static const char L_BINDING[] = "qudag onion v1 binding";

static const uint8_t NONCE_ZERO[AEAD_NONCE_LEN]; /* each AEAD key seals one message */

/* The relay's public side, as the transcript binds it. */
struct responder {
    bool service;
    const struct peer_id *id;
    const uint8_t *pq_hash, *key_id, *x, *k;
};

static struct slice bytes(const void *p, size_t len)
{
    return (struct slice){p, len};
}

static void expand(uint8_t *out, size_t len, const uint8_t prk[SHA256_LEN], const char *label)
{
    hkdf_sha256_expand(out, len, prk, bytes(label, strlen(label)));
}

static void begin_transcript(struct transcript *t, const struct responder *r)
{
    transcript_init(t, r->service ? L_SERVICE : L_RELAY);
    transcript_add(t, peer_id_slice(r->id));
    transcript_add(t, bytes(r->pq_hash, 32));
    transcript_add(t, bytes(r->key_id, 8));
    transcript_add(t, bytes(r->x, X25519_LEN));
    transcript_add(t, bytes(r->k, MLKEM768_EK_LEN));
}

/* First phase: binds X and ct_s, mixes ks and xs. */
struct phase1 {
    uint8_t th[SHA256_LEN];
    uint8_t key[AEAD_KEY_LEN];
    uint8_t chain[SHA256_LEN];
};

static void mix_static(struct phase1 *p, struct transcript *t, const uint8_t *X,
                       const uint8_t *ct_s, const uint8_t secrets[64])
{
    uint8_t prk[SHA256_LEN];

    transcript_add(t, bytes(X, X25519_LEN));
    transcript_add(t, bytes(ct_s, MLKEM768_CT_LEN));
    transcript_hash(t, p->th);
    hkdf_sha256_extract(prk, bytes(p->th, sizeof p->th), bytes(secrets, 64));
    expand(p->key, sizeof p->key, prk, L_CREATE_KEY);
    expand(p->chain, sizeof p->chain, prk, L_CHAIN);
    wipe(prk, sizeof prk);
}

/* Second phase: binds what CREATE sealed, Y and ct_e, mixes the chain, ke and xe. */
struct phase2 {
    uint8_t th[SHA256_LEN];
    uint8_t auth[SHA256_LEN];
    uint8_t key[AEAD_KEY_LEN];
};

static void mix_ephemeral(struct phase2 *p, struct onion_hs_keys *keys, struct transcript *t,
                          const uint8_t *Y_ct_e, const uint8_t secrets[96])
{
    uint8_t prk[SHA256_LEN], auth_key[SHA256_LEN];

    transcript_add(t, bytes(Y_ct_e, X25519_LEN));
    transcript_add(t, bytes(Y_ct_e + X25519_LEN, MLKEM768_CT_LEN));
    transcript_hash(t, p->th);
    hkdf_sha256_extract(prk, bytes(p->th, sizeof p->th), bytes(secrets, 96));
    expand(auth_key, sizeof auth_key, prk, L_AUTH);
    hmac_sha256(p->auth, bytes(auth_key, sizeof auth_key), bytes(p->th, sizeof p->th));
    expand(p->key, sizeof p->key, prk, L_CREATED_KEY);
    expand(keys->fwd, sizeof keys->fwd, prk, L_FORWARD);
    expand(keys->back, sizeof keys->back, prk, L_BACKWARD);
    expand(keys->binding, sizeof keys->binding, prk, L_BINDING);
    wipe(prk, sizeof prk);
    wipe(auth_key, sizeof auth_key);
}

bool onion_hs_ext_valid(struct slice ext)
{
    struct rd r = rd_init(ext);

    while (rd_ok(&r) && r.left > 0) {
        uint8_t type = rd_u8(&r);
        (void)rd_lp16(&r, ONION_HS_EXT_MAX);
        if (type >= 128) {
            return false;
        }
    }
    return rd_done(&r);
}

qudag_err onion_hs_signal(qudag_err err)
{
    return err == QUDAG_OK || err == QUDAG_ENOMEM || err == QUDAG_EINTERNAL ? err : QUDAG_EAUTH;
}

qudag_err onion_hs_first(struct onion_hs_client *h, const struct onion_hs_peer *to,
                         struct slice tail, const struct rng *rng, uint8_t *first)
{
    struct phase1 p1 = {{0}, {0}, {0}};
    struct secret_mlkem768 seed;
    uint8_t secrets[64];
    uint8_t *X = first, *ct_s = X + X25519_LEN, *sealed = ct_s + MLKEM768_CT_LEN;
    size_t plain_len = MLKEM768_EK_LEN + tail.len;

    qudag_err err = mlkem768_keygen(&h->dk, sealed, &seed, rng); /* dk_e, ek_e */
    if (err == QUDAG_OK) {
        err = mlkem768_encaps(ct_s, secrets, to->k, rng); /* ct_s, ks */
    }
    if (err == QUDAG_OK) {
        err = x25519_shared(secrets + 32, &h->x, to->x); /* xs */
    }
    if (err == QUDAG_OK) {
        mix_static(&p1, &h->tr, X, ct_s, secrets); /* th1, K1, chain */
        if (tail.len > 0) {
            memcpy(sealed + MLKEM768_EK_LEN, tail.base, tail.len);
        }
        err = aead_seal(sealed, p1.key, NONCE_ZERO, bytes(p1.th, sizeof p1.th),
                        bytes(sealed, plain_len));
    }
    if (err == QUDAG_OK) {
        transcript_add(&h->tr, bytes(sealed, plain_len + AEAD_TAG_LEN));
        memcpy(h->chain, p1.chain, sizeof h->chain);
    } else {
        onion_hs_client_drop(h);
    }
    wipe(&p1, sizeof p1);
    wipe(&seed, sizeof seed);
    wipe(secrets, sizeof secrets);
    return err;
}

qudag_err onion_hs_client_create(struct onion_hs_client *h, const struct onion_hop *to,
                                 const struct rng *rng, struct slice ext, struct wr *create)
{
    const struct responder r = {to->service, &to->peer, to->pq_hash, to->key_id, to->x, to->k};
    const struct onion_hs_peer keys = {to->x, to->k};
    uint8_t first[ONION_HS_FIRST_LEN(ONION_HS_EXT_MAX)];

    ASSERT(ext.len <= ONION_HS_EXT_MAX);
    *h = (struct onion_hs_client){.dk = NULL};
    begin_transcript(&h->tr, &r);
    qudag_err err = x25519_keypair(&h->x, first, rng); /* x, X */
    if (err == QUDAG_OK) {
        err = onion_hs_first(h, &keys, ext, rng, first);
    }
    if (err == QUDAG_OK) {
        wr_bytes(create, to->key_id, sizeof to->key_id);
        wr_bytes(create, first, ONION_HS_FIRST_LEN(ext.len));
        err = wr_ok(create) ? QUDAG_OK : QUDAG_EINTERNAL;
    }
    if (err != QUDAG_OK) {
        onion_hs_client_drop(h);
    }
    return onion_hs_signal(err);
}

qudag_err onion_hs_try(const struct onion_hs_client *h, struct slice second,
                       struct onion_hs_keys *keys, uint8_t *plain)
{
    struct phase2 p2 = {{0}, {0}, {0}};
    struct transcript tr = h->tr;
    uint8_t secrets[96];
    const uint8_t *Y = second.base, *ct_e = Y + X25519_LEN, *auth = ct_e + MLKEM768_CT_LEN;
    struct slice sealed =
        bytes(second.base + ONION_HS_CREATED_HEAD, second.len - ONION_HS_CREATED_HEAD);

    memcpy(secrets, h->chain, 32);
    qudag_err err = mlkem768_decaps(secrets + 32, h->dk, ct_e); /* ke */
    if (err == QUDAG_OK) {
        err = x25519_shared(secrets + 64, &h->x, Y); /* xe */
    }
    if (err == QUDAG_OK) {
        mix_ephemeral(&p2, keys, &tr, Y, secrets); /* th2, AUTH, K2, cell keys */
        err = ct_equal(p2.auth, auth, SHA256_LEN) ? QUDAG_OK : QUDAG_EAUTH;
    }
    if (err == QUDAG_OK) {
        err = aead_open(plain, p2.key, NONCE_ZERO, bytes(p2.th, sizeof p2.th), sealed);
    }
    if (err != QUDAG_OK) {
        wipe(plain, sealed.len - AEAD_TAG_LEN);
        wipe(keys, sizeof *keys);
    }
    wipe(&tr, sizeof tr);
    wipe(&p2, sizeof p2);
    wipe(secrets, sizeof secrets);
    return err;
}

qudag_err onion_hs_client_finish(struct onion_hs_client *h, struct slice created,
                                 struct onion_hs_keys *keys, struct wr *ext)
{
    uint8_t plain[ONION_HS_EXT_MAX];
    qudag_err err = QUDAG_EAUTH;

    if (h->dk != NULL && created.len >= ONION_HS_CREATED_MIN &&
        created.len <= ONION_HS_CREATED_MAX) {
        size_t ext_len = created.len - ONION_HS_CREATED_MIN;
        err = onion_hs_try(h, created, keys, plain);
        if (err == QUDAG_OK && !onion_hs_ext_valid(bytes(plain, ext_len))) {
            wipe(keys, sizeof *keys);
            err = QUDAG_EAUTH;
        }
        if (err == QUDAG_OK) {
            wr_bytes(ext, plain, ext_len);
        }
        wipe(plain, sizeof plain);
    }
    onion_hs_client_drop(h);
    return onion_hs_signal(err);
}

void onion_hs_client_drop(struct onion_hs_client *h)
{
    mlkem768_free(h->dk);
    wipe(h, sizeof *h);
}

qudag_err onion_hs_create_peek(struct slice create, uint8_t key_id[8])
{
    struct rd r = rd_init(create);

    rd_copy(&r, key_id, 8);
    bool fits = create.len >= ONION_HS_CREATE_MIN && create.len <= ONION_HS_CREATE_MAX;
    return rd_ok(&r) && fits ? QUDAG_OK : QUDAG_EAUTH;
}

qudag_err onion_hs_open(struct onion_hs_opened *o, const struct onion_hs_own *own,
                        struct slice first, uint8_t *plain)
{
    const uint8_t *X = first.base, *ct_s = X + X25519_LEN;
    struct slice sealed = bytes(first.base + ONION_HS_FIRST_HEAD, first.len - ONION_HS_FIRST_HEAD);
    struct phase1 p1 = {{0}, {0}, {0}};
    uint8_t secrets[64];

    qudag_err err = x25519_shared(secrets + 32, own->x_sk, X); /* xs */
    if (err == QUDAG_OK) {
        err = mlkem768_decaps(secrets, own->dk, ct_s); /* ks */
    }
    if (err == QUDAG_OK) {
        mix_static(&p1, &o->tr, X, ct_s, secrets); /* th1, K1, chain */
        err = aead_open(plain, p1.key, NONCE_ZERO, bytes(p1.th, sizeof p1.th), sealed);
    }
    if (err == QUDAG_OK) {
        transcript_add(&o->tr, sealed);
        memcpy(o->chain, p1.chain, sizeof o->chain);
        memcpy(o->X, X, sizeof o->X);
    }
    wipe(&p1, sizeof p1);
    wipe(secrets, sizeof secrets);
    return err;
}

qudag_err onion_hs_answer(struct onion_hs_opened *o, const uint8_t ek_e[MLKEM768_EK_LEN],
                          const struct rng *rng, uint8_t second[ONION_HS_CREATED_MIN],
                          struct onion_hs_keys *keys)
{
    struct phase2 p2 = {{0}, {0}, {0}};
    struct secret_x25519 y;
    uint8_t secrets[96];
    uint8_t *Y = second, *ct_e = Y + X25519_LEN, *auth = ct_e + MLKEM768_CT_LEN;

    memcpy(secrets, o->chain, 32);
    qudag_err err = x25519_keypair(&y, Y, rng); /* y, Y */
    if (err == QUDAG_OK) {
        err = x25519_shared(secrets + 64, &y, o->X); /* xe */
    }
    if (err == QUDAG_OK) {
        err = mlkem768_encaps(ct_e, secrets + 32, ek_e, rng); /* ct_e, ke */
    }
    if (err == QUDAG_OK) {
        mix_ephemeral(&p2, keys, &o->tr, Y, secrets); /* th2, AUTH, K2, cell keys */
        memcpy(auth, p2.auth, SHA256_LEN);
        err = aead_seal(auth + SHA256_LEN, p2.key, NONCE_ZERO, bytes(p2.th, sizeof p2.th),
                        bytes(NULL, 0));
    }
    if (err != QUDAG_OK) {
        wipe(keys, sizeof *keys);
    }
    wipe(&y, sizeof y);
    wipe(&p2, sizeof p2);
    wipe(secrets, sizeof secrets);
    return err;
}

qudag_err onion_hs_server_answer(const struct onion_hs_server *s, struct slice create,
                                 struct wr *created, struct onion_hs_keys *keys, struct wr *ext)
{
    const struct responder r = {s->key->service, s->self,   s->pq_hash,
                                s->key->key_id,  s->key->x, s->key->k};
    const struct onion_hs_own own = {&s->key->x_sk, s->dk};
    struct onion_hs_opened o;
    uint8_t plain[MLKEM768_EK_LEN + ONION_HS_EXT_MAX], reply[ONION_HS_CREATED_MIN];
    uint8_t key_id[8];

    qudag_err err = onion_hs_create_peek(create, key_id);
    if (err == QUDAG_OK && !ct_equal(key_id, s->key->key_id, sizeof key_id)) {
        err = QUDAG_EAUTH;
    }
    if (err != QUDAG_OK) {
        return err;
    }
    struct slice client_ext = bytes(plain + MLKEM768_EK_LEN, create.len - ONION_HS_CREATE_MIN);
    begin_transcript(&o.tr, &r);
    err = onion_hs_open(&o, &own, bytes(create.base + 8, create.len - 8), plain);
    if (err == QUDAG_OK && !onion_hs_ext_valid(client_ext)) {
        err = QUDAG_EAUTH;
    }
    if (err == QUDAG_OK) {
        err = onion_hs_answer(&o, plain, s->rng, reply, keys);
    }
    if (err == QUDAG_OK) {
        wr_bytes(created, reply, sizeof reply);
        wr_slice(ext, client_ext);
        err = wr_ok(created) && wr_ok(ext) ? QUDAG_OK : QUDAG_EINTERNAL;
    }
    if (err != QUDAG_OK) {
        wipe(keys, sizeof *keys);
    }
    wipe(&o, sizeof o);
    wipe(plain, sizeof plain);
    return onion_hs_signal(err);
}
