/* cases_wire.c - the handshakes of circuits: with a relay, and of a caller with a hidden service. */
#include "ct/ct.h"

#include "wire/relay_desc.h"
#include "wire/rend_handshake.h"

#include <string.h>

#ifdef QUDAG_FASTCRYPTO

static const struct slice NO_EXT = {NULL, 0};

void ct_mlkem_secret(struct mlkem_key *k)
{
    uint8_t *dk =
        (uint8_t *)k; /* s 1152 | ek 1184, public | H(ek) 32, public | z 32: FIPS 203 7.1 */

    ct_secret(dk, 1152);
    ct_secret(dk + 1152 + MLKEM768_EK_LEN + 32, 32);
}

/* The client of a circuit.  What a relay does with its keys is what a service does, below. */
static void circuit(void)
{
    static struct onion_key key;
    static struct onion_hop hop;
    static struct onion_hs_client client;
    static struct onion_hs_keys keys;
    static uint8_t create[ONION_HS_CREATE_MAX], created[ONION_HS_CREATED_MAX], ext[256];
    struct secret_mlkem768 seed;
    struct mlkem_key *dk = NULL;
    uint8_t pk[32] = {9};

    peer_id_from_ed25519(&hop.peer, pk);
    ct_must(x25519_keypair(&key.x_sk, key.x, &ct_public_rng) == QUDAG_OK &&
                mlkem768_keygen(&dk, key.k, &seed, &ct_public_rng) == QUDAG_OK,
            "keys of a relay");
    onion_key_id(key.key_id, key.x, key.k);
    memcpy(hop.key_id, key.key_id, sizeof(hop.key_id));
    memcpy(hop.x, key.x, sizeof(hop.x));
    memcpy(hop.k, key.k, sizeof(hop.k));
    struct wr w = wr_init(create, sizeof(create)), e = wr_init(ext, sizeof(ext));
    qudag_err err = onion_hs_client_create(&client, &hop, &ct_mixed_rng, NO_EXT, &w);
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "CREATE");
    ct_public(create, w.len); /* it goes over the wire */
    const struct onion_hs_server s = {&hop.peer, hop.pq_hash, &key, dk, &ct_public_rng};
    struct wr back = wr_init(created, sizeof(created));
    err = onion_hs_server_answer(&s, (struct slice){create, w.len}, &back, &keys, &e);
    ct_must(err == QUDAG_OK, "answering CREATE");
    ct_mlkem_secret(client.dk);
    e = wr_init(ext, sizeof(ext));
    err = onion_hs_client_finish(&client, (struct slice){created, back.len}, &keys, &e);
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "CREATED");
    mlkem768_free(dk);
}

static void rendezvous(void)
{
    static struct rend_keys keys;
    static struct rend_target to;
    static struct rend_point at;
    static struct rend_hs_caller caller;
    static struct rend_hs_asked asked;
    static struct onion_hs_keys theirs, ours;
    static uint8_t handshake[REND_HS_LEN], created[REND_CREATED_LEN];
    uint8_t pk[32] = {9};

    ct_must(rend_keys_make(&keys, &ct_public_rng) == QUDAG_OK, "keys of a service");
    memcpy(to.x, keys.x, sizeof(to.x));
    memcpy(to.k, keys.k, sizeof(to.k));
    memcpy(at.relay.x, keys.x, sizeof(at.relay.x));
    memcpy(at.relay.k, keys.k, sizeof(at.relay.k));
    ct_secret(&keys.x_sk, sizeof(keys.x_sk));
    ct_mlkem_secret(keys.dk);
    peer_id_from_ed25519(&at.relay.peer, pk);
    qudag_err err = rend_hs_create(&caller, &to, &at, NO_EXT, &ct_mixed_rng, handshake);
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "a call");
    ct_public(handshake, sizeof(handshake));
    const struct rend_hs_own own = {to.addr, to.intro_key, &keys};
    err = rend_hs_open(&asked, &own, handshake);
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "opening a call");
    ct_public(asked.ek_e, sizeof(asked.ek_e)); /* the caller's, and so is what the transcript has */
    ct_public(&asked.hs.tr, sizeof(asked.hs.tr));
    err = rend_hs_answer(&asked, &ct_secret_rng, created, &ours);
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "answering a call");
    ct_public(created, sizeof(created));
    err = rend_hs_finish(&caller, created, &theirs);
    ct_public(&err, sizeof(err));
    ct_must(err == QUDAG_OK, "the answer to a call");
    rend_keys_fini(&keys);
}

#endif

const struct ct_case ct_cases_wire[] = {
#ifdef QUDAG_FASTCRYPTO
    {"handshake of a circuit", circuit, false},
    {"handshake with a hidden service", rendezvous, false},
#endif
    {NULL, NULL, false},
};
