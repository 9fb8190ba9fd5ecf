/* onion_handshake_test.c - the circuit handshake: agreement, every way to break it, frozen vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/wipe.h"
#include "wire/onion_handshake.h"
#include "wire/testkit_vectors.h"

#include <stdlib.h>
#include <string.h>

#define VECTORS "tests/vectors/onion-handshake.json"

struct party {
    struct peer_id id;
    uint8_t pq_hash[32];
    struct onion_key key;
    struct mlkem_key *dk;
    struct onion_hop hop;
    struct rng_stream stream;
    struct rng rng;
};

static void party_keys(struct party *p, const uint8_t seed[32])
{
    struct secret_mlkem768 unused;

    rng_stream_init(&p->stream, seed);
    p->rng = rng_of_stream(&p->stream);
    assert_int_equal(x25519_keypair(&p->key.x_sk, p->key.x, &p->rng), QUDAG_OK);
    assert_int_equal(mlkem768_keygen(&p->dk, p->key.k, &unused, &p->rng), QUDAG_OK);
    p->hop = (struct onion_hop){.peer = p->id, .service = p->key.service};
    memcpy(p->hop.pq_hash, p->pq_hash, 32);
    memcpy(p->hop.key_id, p->key.key_id, 8);
    memcpy(p->hop.x, p->key.x, sizeof p->key.x);
    memcpy(p->hop.k, p->key.k, sizeof p->key.k);
}

static void party_init(struct party *p, bool service)
{
    uint8_t seed[32] = {1}, pk[32] = {9};

    memset(p, 0, sizeof *p);
    peer_id_from_ed25519(&p->id, pk);
    memset(p->pq_hash, 0x77, sizeof p->pq_hash);
    memcpy(p->key.key_id, "key id 1", 8);
    p->key.service = service;
    party_keys(p, seed);
}

struct run {
    struct onion_hs_client client;
    struct onion_hs_keys client_keys, relay_keys;
    uint8_t create[ONION_HS_CREATE_MAX], created[ONION_HS_CREATED_MAX];
    size_t create_len, created_len;
    uint8_t client_ext[ONION_HS_EXT_MAX], relay_ext[ONION_HS_EXT_MAX];
    size_t relay_ext_len;
};

static qudag_err step_create(struct run *r, struct party *p, struct slice ext)
{
    struct wr w = wr_init(r->create, sizeof r->create);

    qudag_err err = onion_hs_client_create(&r->client, &p->hop, &p->rng, ext, &w);
    r->create_len = w.len;
    return err;
}

static qudag_err step_answer(struct run *r, const struct party *p, size_t len)
{
    const struct onion_hs_server s = {&p->id, p->pq_hash, &p->key, p->dk, &p->rng};
    struct wr w = wr_init(r->created, sizeof r->created);
    struct wr ext = wr_init(r->relay_ext, sizeof r->relay_ext);

    qudag_err err =
        onion_hs_server_answer(&s, (struct slice){r->create, len}, &w, &r->relay_keys, &ext);
    r->created_len = w.len;
    r->relay_ext_len = ext.len;
    return err;
}

static qudag_err step_finish(struct run *r, size_t len)
{
    struct wr ext = wr_init(r->client_ext, sizeof r->client_ext);

    return onion_hs_client_finish(&r->client, (struct slice){r->created, len}, &r->client_keys,
                                  &ext);
}

static const struct slice NO_EXT = {NULL, 0};

static void both_sides_derive_the_same_keys_for_every_kind(void **state)
{
    static const uint8_t ext[] = {5, 0, 2, 'h', 'i'};
    struct party p;
    struct run *r = calloc(1, sizeof *r);

    (void)state;
    assert_non_null(r);
    for (int service = 0; service < 2; service++) {
        party_init(&p, service);
        assert_int_equal(step_create(r, &p, (struct slice){ext, sizeof ext}), QUDAG_OK);
        assert_int_equal(r->create_len, ONION_HS_CREATE_MIN + sizeof ext);
        assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_OK);
        assert_int_equal(r->created_len, ONION_HS_CREATED_MIN);
        assert_int_equal(r->relay_ext_len, sizeof ext);
        assert_memory_equal(r->relay_ext, ext, sizeof ext);
        assert_int_equal(step_finish(r, r->created_len), QUDAG_OK);
        assert_memory_equal(&r->client_keys, &r->relay_keys, sizeof r->client_keys);
        assert_memory_not_equal(r->client_keys.fwd, r->client_keys.back, sizeof r->client_keys.fwd);
        assert_true(ct_is_zero(&r->client, sizeof r->client));
        mlkem768_free(p.dk);
    }
    free(r);
}

static void a_flipped_bit_anywhere_in_create_is_refused_without_a_reply(void **state)
{
    struct party p;
    struct run *r = calloc(1, sizeof *r);

    (void)state;
    assert_non_null(r);
    party_init(&p, false);
    assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
    for (size_t i = 0; i < r->create_len; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8));
        r->create[i] ^= bit;
        assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_EAUTH);
        assert_int_equal(r->created_len, 0);
        assert_true(ct_is_zero(&r->relay_keys, sizeof r->relay_keys));
        r->create[i] ^= bit;
    }
    r->create[9 + 31] ^= 0x80; /* same point, other bytes: the transcript notices */
    assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_EAUTH);
    onion_hs_client_drop(&r->client);
    mlkem768_free(p.dk);
    free(r);
}

static void a_flipped_bit_anywhere_in_created_is_refused(void **state)
{
    struct party p;
    struct run *r = calloc(1, sizeof *r);

    (void)state;
    assert_non_null(r);
    party_init(&p, false);
    for (size_t i = 0; i < ONION_HS_CREATED_MIN; i++) {
        assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
        assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_OK);
        r->created[i] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(step_finish(r, r->created_len), QUDAG_EAUTH);
        assert_true(ct_is_zero(&r->client_keys, sizeof r->client_keys));
        assert_true(ct_is_zero(&r->client, sizeof r->client));
    }
    mlkem768_free(p.dk);
    free(r);
}

static void messages_cut_or_lengthened_at_any_point_are_refused(void **state)
{
    struct party p;
    struct run *r = calloc(1, sizeof *r);
    uint8_t created[ONION_HS_CREATED_MAX];

    (void)state;
    assert_non_null(r);
    party_init(&p, false);
    assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
    for (size_t len = 0; len <= ONION_HS_CREATE_MAX; len++) {
        if (len != r->create_len) {
            assert_int_equal(step_answer(r, &p, len), QUDAG_EAUTH);
        }
    }
    assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_OK);
    memcpy(created, r->created, sizeof created);
    onion_hs_client_drop(&r->client);
    for (size_t len = 0; len <= ONION_HS_CREATED_MAX;
         len += len < ONION_HS_CREATED_MIN - 4 ? 13 : 1) {
        assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
        assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_OK);
        assert_int_equal(step_finish(r, len), len == ONION_HS_CREATED_MIN ? QUDAG_OK : QUDAG_EAUTH);
    }
    mlkem768_free(p.dk);
    free(r);
}

/* It begins with the id of the key, and is as long for all: no hop learns from it whether it is the first. */
static void nothing_in_create_tells_first_hops_from_others_or_relays_from_services(void **state)
{
    struct run *r = calloc(1, sizeof *r);

    (void)state;
    assert_non_null(r);
    for (int service = 0; service < 2; service++) {
        struct party p;
        party_init(&p, service);
        assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
        assert_int_equal(r->create_len, 2328);
        assert_memory_equal(r->create, p.key.key_id, 8); /* which key, as published; then X */
        onion_hs_client_drop(&r->client);
        mlkem768_free(p.dk);
    }
    free(r);
}

static void zero_points_are_refused_by_both_sides(void **state)
{
    struct party p;
    struct run *r = calloc(1, sizeof *r);

    (void)state;
    assert_non_null(r);
    party_init(&p, false);
    assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
    memset(r->create + 8, 0, 32);
    assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_EAUTH);
    onion_hs_client_drop(&r->client);

    assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
    assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_OK);
    memset(r->created, 0, 32);
    assert_int_equal(step_finish(r, r->created_len), QUDAG_EAUTH);

    memset(p.hop.x, 0, 32); /* a relay that publishes a zero key */
    assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_EAUTH);
    assert_true(ct_is_zero(&r->client, sizeof r->client));
    mlkem768_free(p.dk);
    free(r);
}

static void a_relay_answers_only_for_its_own_identity_key_and_label(void **state)
{
    struct run *r = calloc(1, sizeof *r);

    (void)state;
    assert_non_null(r);
    for (int i = 0; i < 4; i++) { /* the label is bound, though it is not stated */
        struct party p;
        party_init(&p, i & 1);
        p.hop.service = i >> 1;
        assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
        assert_int_equal(step_answer(r, &p, r->create_len),
                         p.hop.service == p.key.service ? QUDAG_OK : QUDAG_EAUTH);
        onion_hs_client_drop(&r->client);
        mlkem768_free(p.dk);
    }
    for (size_t wrong = 0; wrong < 4; wrong++) {
        struct party p;
        party_init(&p, false);
        p.hop.peer.b[20] ^= wrong == 0;
        p.hop.pq_hash[31] ^= wrong == 1;
        p.hop.key_id[0] ^= wrong == 2;
        p.hop.x[3] ^= wrong == 3;
        assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
        assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_EAUTH);
        onion_hs_client_drop(&r->client);
        mlkem768_free(p.dk);
    }
    free(r);
}

static void an_encapsulation_key_out_of_range_is_refused(void **state)
{
    struct run *r = calloc(1, sizeof *r);
    struct party p;

    (void)state;
    assert_non_null(r);
    party_init(&p, false);
    memset(p.hop.k, 0xff, 3); /* coefficients of 4095 >= q */
    assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_EAUTH);
    mlkem768_free(p.dk);
    free(r);
}

static void a_replayed_create_yields_other_keys(void **state)
{
    struct run *r = calloc(1, sizeof *r);
    struct onion_hs_keys first;
    struct party p;

    (void)state;
    assert_non_null(r);
    party_init(&p, false);
    assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
    assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_OK);
    assert_int_equal(step_finish(r, r->created_len), QUDAG_OK);
    first = r->client_keys;
    assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_OK);
    assert_memory_not_equal(&first, &r->relay_keys, sizeof first);
    assert_int_equal(step_finish(r, r->created_len), QUDAG_EAUTH); /* the client has finished */
    mlkem768_free(p.dk);
    free(r);
}

static void extensions_that_must_be_understood_are_refused(void **state)
{
    static const struct {
        uint8_t b[8];
        size_t len;
        bool ok;
    } rows[] = {
        {{0}, 0, true},
        {{1, 0, 0}, 3, true},
        {{127, 0, 2, 9, 9}, 5, true},
        {{1, 0, 1, 7, 2, 0, 0}, 7, true},
        {{128, 0, 0}, 3, false},
        {{1, 0, 0, 200, 0, 0}, 6, false},
        {{1}, 1, false},
        {{1, 0}, 2, false},
        {{1, 0, 2, 9}, 4, false},
    };
    struct run *r = calloc(1, sizeof *r);

    (void)state;
    assert_non_null(r);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice ext = {rows[i].b, rows[i].len};
        struct party p;
        assert_int_equal(onion_hs_ext_valid(ext), rows[i].ok);
        party_init(&p, false);
        assert_int_equal(step_create(r, &p, ext), QUDAG_OK);
        assert_int_equal(step_answer(r, &p, r->create_len), rows[i].ok ? QUDAG_OK : QUDAG_EAUTH);
        onion_hs_client_drop(&r->client);
        mlkem768_free(p.dk);
    }
    free(r);
}

/* ---- frozen vectors, made by tests/reference/onion_handshake.py ---- */

static void check_vector(const char *at, bool service, struct run *r)
{
    uint8_t seed[32], want[ONION_HS_CREATE_MAX];
    struct rng_stream stream;
    struct party p;

    memset(&p, 0, sizeof p);
    p.key.service = service;
    p.id.len = (uint8_t)vectors_hex(at, "peer_id", p.id.b, sizeof p.id.b);
    assert_int_equal(vectors_hex(at, "pq_hash", p.pq_hash, 32), 32);
    assert_int_equal(vectors_hex(at, "key_id", p.key.key_id, 8), 8);
    assert_int_equal(vectors_hex(at, "seed_relay", seed, 32), 32);
    party_keys(&p, seed);
    p.rng = rng_of_stream(&stream);

    assert_int_equal(vectors_hex(at, "seed_client", seed, 32), 32);
    rng_stream_init(&stream, seed);
    assert_int_equal(step_create(r, &p, NO_EXT), QUDAG_OK);
    assert_int_equal(vectors_hex(at, "create", want, sizeof want), r->create_len);
    assert_memory_equal(r->create, want, r->create_len);

    assert_int_equal(vectors_hex(at, "seed_answer", seed, 32), 32);
    rng_stream_init(&stream, seed);
    assert_int_equal(step_answer(r, &p, r->create_len), QUDAG_OK);
    assert_int_equal(vectors_hex(at, "created", want, sizeof want), r->created_len);
    assert_memory_equal(r->created, want, r->created_len);

    assert_int_equal(step_finish(r, r->created_len), QUDAG_OK);
    assert_int_equal(vectors_hex(at, "keys_forward", want, sizeof want), CGO_AES256_KEY_MATERIAL);
    assert_memory_equal(r->client_keys.fwd, want, CGO_AES256_KEY_MATERIAL);
    assert_int_equal(vectors_hex(at, "keys_backward", want, sizeof want), CGO_AES256_KEY_MATERIAL);
    assert_memory_equal(r->client_keys.back, want, CGO_AES256_KEY_MATERIAL);
    assert_int_equal(vectors_hex(at, "binding", want, sizeof want), sizeof r->client_keys.binding);
    assert_memory_equal(r->client_keys.binding, want, sizeof r->client_keys.binding);
    mlkem768_free(p.dk);
}

static void the_frozen_vectors_are_reproduced(void **state)
{
    char *text = vectors_read(VECTORS);
    struct run *r = calloc(1, sizeof *r);
    const char *at = text;

    (void)state;
    assert_non_null(r);
    for (int service = 0; service < 2; service++) {
        at = strstr(at, service ? "\"to\": \"service\"" : "\"to\": \"relay\"");
        assert_non_null(at);
        check_vector(at, service, r);
    }
    free(r);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_derive_the_same_keys_for_every_kind),
        cmocka_unit_test(a_flipped_bit_anywhere_in_create_is_refused_without_a_reply),
        cmocka_unit_test(a_flipped_bit_anywhere_in_created_is_refused),
        cmocka_unit_test(messages_cut_or_lengthened_at_any_point_are_refused),
        cmocka_unit_test(nothing_in_create_tells_first_hops_from_others_or_relays_from_services),
        cmocka_unit_test(zero_points_are_refused_by_both_sides),
        cmocka_unit_test(a_relay_answers_only_for_its_own_identity_key_and_label),
        cmocka_unit_test(an_encapsulation_key_out_of_range_is_refused),
        cmocka_unit_test(a_replayed_create_yields_other_keys),
        cmocka_unit_test(extensions_that_must_be_understood_are_refused),
        cmocka_unit_test(the_frozen_vectors_are_reproduced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
