/*
 * rend_handshake.h - the handshake of kind 4, of a caller with a hidden service (spec/rendezvous.md 3).
 *
 *   caller:  handshake = key_id 8 | X 32 | ct_s 1088 | AEAD(K1; ek_e 1184 | cookie 32 | R | extensions | zeros)
 *   service: CREATED   = Y 32 | ct_e 1088 | AUTH 32 | AEAD(K2; nothing)
 *
 * The keys of the service are those of its record; the handshake comes through an introduction point, CREATED through
 * R.  It is sealed for one address, one introduction point and one pair of keys, and answered for one cookie and one R.
 * All that a peer can cause is QUDAG_EAUTH; QUDAG_ENOMEM and QUDAG_EINTERNAL are our own.
 */
#ifndef QUDAG_SRC_WIRE_REND_HANDSHAKE_H
#define QUDAG_SRC_WIRE_REND_HANDSHAKE_H

#include "wire/onion_handshake.h"
#include "wire/rend_msg.h"

#define REND_ADDR_LEN 66      /* a dark address, without its checksum (spec/dark.md 1) */
#define REND_HS_TAIL_LEN 1735 /* bytes sealed behind ek_e, whatever stands in them */
#define REND_HS_EXT_MAX 410   /* bytes of extensions that fit beside any R */
#define REND_HS_EXT_ROOM 454  /* bytes of extensions of others: beside the shortest R */

/* --- what both sides speak of ------------------------------------------------------------------ */

/* Where a caller waits: of |relay| the addresses are not told, and key_id follows from x and k. */
struct rend_point {
    uint8_t cookie[REND_COOKIE_LEN];
    struct onion_hop relay; /* R */
};

/* Whom a caller means. */
struct rend_target {
    uint8_t addr[REND_ADDR_LEN];
    uint8_t intro_key[ED25519_PK_LEN]; /* of the introduction point that will pass it on */
    uint8_t x[X25519_LEN];             /* B_x and B_k of the service's record */
    uint8_t k[MLKEM768_EK_LEN];
};

/* The same keys as the service has them: of one record's period.  End with rend_keys_fini(). */
struct rend_keys {
    uint8_t key_id[8];
    uint8_t x[X25519_LEN];
    uint8_t k[MLKEM768_EK_LEN];
    struct secret_x25519 x_sk;
    struct secret_mlkem768 k_seed; /* with x_sk, all that has to be stored */
    struct mlkem_key *dk;
};

/* Draws new ones.  ENOMEM, EINTERNAL; |*k| is wiped then. */
QUDAG_MUST_USE qudag_err rend_keys_make(struct rend_keys *k, const struct rng *rng);

/* Completes k->x_sk and k->k_seed, as stored.  Errors as above. */
QUDAG_MUST_USE qudag_err rend_keys_load(struct rend_keys *k);

/* Wipes and frees; harmless for keys that are zero. */
void rend_keys_fini(struct rend_keys *k);

/* --- caller ------------------------------------------------------------------------------------ */

/* What the caller keeps between the handshake and CREATED; secret. */
struct rend_hs_caller {
    struct onion_hs_client hs;
    uint8_t
        X[X25519_LEN]; /* what the handshake will begin with, and its proof of work is made for */
};

/* Begins one: |h| has an X and is to be sealed, or dropped.  ENOMEM, EINTERNAL: |h| is wiped. */
QUDAG_MUST_USE qudag_err rend_hs_draw(struct rend_hs_caller *h, const struct rng *rng);

/*
 * A handshake with the X of |h| for |to|, which will find the caller |at|; once.  |ext|: extensions, at most
 * REND_HS_EXT_MAX bytes of types 1 to 127.  |h| must be finished or dropped.  EAUTH: the keys of |to| are none.  On
 * error |h| is dropped.
 */
QUDAG_MUST_USE qudag_err rend_hs_seal(struct rend_hs_caller *h, const struct rend_target *to,
                                      const struct rend_point *at, struct slice ext,
                                      const struct rng *rng, uint8_t handshake[REND_HS_LEN]);

/* Both. */
QUDAG_MUST_USE qudag_err rend_hs_create(struct rend_hs_caller *h, const struct rend_target *to,
                                        const struct rend_point *at, struct slice ext,
                                        const struct rng *rng, uint8_t handshake[REND_HS_LEN]);

/*
 * Whether |created| answers |h|; then |keys| are those of the carried circuit, which the caller is the client of, and
 * |h| is wiped.  On every error |keys| are wiped and |h| is as before: CREATED may answer another handshake of the same
 * cookie; when it answers none the circuit to R is to be ended.  The work is the same whether AUTH fits or not,
 * and a state that was finished or dropped fits nothing.
 */
QUDAG_MUST_USE qudag_err rend_hs_finish(struct rend_hs_caller *h,
                                        const uint8_t created[REND_CREATED_LEN],
                                        struct onion_hs_keys *keys);

/* Wipes a handshake that will not be finished; harmless after rend_hs_finish() and for zero. */
void rend_hs_drop(struct rend_hs_caller *h);

/* --- service ----------------------------------------------------------------------------------- */

/* What a handshake is opened with. */
struct rend_hs_own {
    const uint8_t *addr;      /* REND_ADDR_LEN bytes */
    const uint8_t *intro_key; /* of the introduction point that it came through */
    const struct rend_keys *keys;
};

/* A handshake that was opened; secret.  To be answered or dropped. */
struct rend_hs_asked {
    struct rend_point at; /* key_id of the relay is filled in; no addresses */
    uint8_t ext[REND_HS_EXT_ROOM];
    size_t ext_len; /* their list is valid; types not known are still in it */
    struct onion_hs_opened hs;
    uint8_t ek_e[MLKEM768_EK_LEN];
};

/* The 8 bytes that say which keys a handshake was made for; then the 32 of X, which a replay shares. */
static inline const uint8_t *rend_hs_key_id(const uint8_t handshake[REND_HS_LEN])
{
    return handshake;
}

static inline const uint8_t *rend_hs_X(const uint8_t handshake[REND_HS_LEN])
{
    return handshake + 8;
}

/*
 * Opens |handshake|.  EAUTH for whatever is wrong with it: nothing is to be done then, and nobody told; what was
 * opened can be answered.  |*a| is wiped on error.
 */
QUDAG_MUST_USE qudag_err rend_hs_open(struct rend_hs_asked *a, const struct rend_hs_own *own,
                                      const uint8_t handshake[REND_HS_LEN]);

/* The answer, and the keys of the carried circuit, which the service is the relay of.  |a| is wiped in every case. */
QUDAG_MUST_USE qudag_err rend_hs_answer(struct rend_hs_asked *a, const struct rng *rng,
                                        uint8_t created[REND_CREATED_LEN],
                                        struct onion_hs_keys *keys);

/* Wipes one that will not be answered; harmless afterwards. */
void rend_hs_asked_drop(struct rend_hs_asked *a);

/* --- what is sealed ---------------------------------------------------------------------------- */

/* What is sealed behind ek_e: cookie, R, extensions, zeros; |ext| as in rend_hs_create(). */
void rend_hs_tail_put(uint8_t tail[REND_HS_TAIL_LEN], const struct rend_point *at,
                      struct slice ext);

/* Reads it; |*ext| is the list of extensions, borrowed from |tail| (R-14).  EAUTH. */
QUDAG_MUST_USE qudag_err rend_hs_tail_get(const uint8_t tail[REND_HS_TAIL_LEN],
                                          struct rend_point *at, struct slice *ext);

/* The first extension of |type|, borrowed from |list|, which is valid; false: there is none. */
bool rend_ext_find(struct slice list, uint8_t type, struct slice *found);

#endif
