/* voucher_test.c - a voucher as another implementation writes it, and every way it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/init.h"
#include "wire/pb.h"
#include "wire/voucher.h"

#include <stdlib.h>
#include <string.h>

/*
 * Written by a Python script with the cryptography package, from the field numbers of the specifications: the relay's
 * seed is 00 01 .. 1f, the peer's 64 65 .. 83, the expiration 1800000000.
 */
static const char frozen[] =
    "0a240801122003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8120203021a56"
    "0a2600240801122003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b812260024"
    "080112200bbc346a57667c380120bd9c7fd7e51d2c5fdfea37cd2f5bf405b2c6bf6f2d781880a4a7da062a40"
    "311899898d1085700bc172cc68d989f1b9e8bcfaf674e2aa3a8b0812261a18454f905290682f2f4b890f8169"
    "8840ec826071baadea1bd85b64ffd8bb1aaba204";

static struct secret_ed25519 sk, other_sk;
static struct peer_id relay, peer;
static uint8_t vector[256];
static size_t vector_len;

static void key_make(struct secret_ed25519 *k, struct peer_id *id, uint8_t first)
{
    uint8_t pk[ED25519_PK_LEN];

    for (size_t i = 0; i < sizeof(k->seed); i++) {
        k->seed[i] = (uint8_t)(first + i);
    }
    assert_int_equal(ed25519_public(pk, k), QUDAG_OK);
    peer_id_from_ed25519(id, pk);
}

static int setup(void **state)
{
    struct slice hex = {(const uint8_t *)frozen, sizeof(frozen) - 1};

    (void)state;
    if (crypto_init() != QUDAG_OK) {
        return -1;
    }
    key_make(&sk, &relay, 0);
    key_make(&other_sk, &peer, 100);
    return hex_decode(vector, sizeof(vector), &vector_len, hex) == QUDAG_OK ? 0 : -1;
}

static void the_frozen_voucher_is_written_and_opened(void **state)
{
    struct voucher v = {.relay = relay, .peer = peer, .expiration = 1800000000}, back;
    uint8_t out[256];
    struct wr w = wr_init(out, sizeof(out));

    (void)state;
    assert_int_equal(voucher_sign(&w, &v, &sk), QUDAG_OK);
    assert_int_equal(w.len, vector_len);
    assert_memory_equal(out, vector, vector_len);
    assert_int_equal(voucher_open(&back, (struct slice){vector, vector_len}, &relay), QUDAG_OK);
    assert_true(peer_id_eq(&back.relay, &relay) && peer_id_eq(&back.peer, &peer));
    assert_int_equal(back.expiration, 1800000000);
}

static void a_voucher_cut_or_with_one_wrong_bit_is_refused(void **state)
{
    struct voucher v = {.expiration = 5};

    (void)state;
    for (size_t n = 0; n < vector_len; n++) {
        uint8_t *copy = malloc(n > 0 ? n : 1);
        memcpy(copy, vector, n);
        assert_int_not_equal(voucher_open(&v, (struct slice){copy, n}, &relay), QUDAG_OK);
        free(copy);
    }
    for (size_t bit = 0; bit < vector_len * 8; bit++) {
        uint8_t copy[256];
        memcpy(copy, vector, vector_len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(voucher_open(&v, (struct slice){copy, vector_len}, &relay), QUDAG_OK);
    }
    assert_int_equal(v.expiration, 5);
}

/* A voucher of |about| with the envelope of |kind|, signed with |key|. */
static struct slice forge(const struct envelope_kind *kind, const struct secret_ed25519 *key,
                          const struct peer_id *about, uint8_t *out, size_t cap)
{
    uint8_t bytes[128], pk[ED25519_PK_LEN];
    struct wr payload = wr_init(bytes, sizeof(bytes)), w = wr_init(out, cap);
    struct peer_id signer;

    assert_int_equal(ed25519_public(pk, key), QUDAG_OK);
    peer_id_from_ed25519(&signer, pk);
    pb_put_bytes(&payload, 1, peer_id_slice(about));
    pb_put_bytes(&payload, 2, peer_id_slice(&peer));
    pb_put_varint(&payload, 3, 9);
    assert_int_equal(envelope_seal(&w, kind, wr_done(&payload), key, &signer), QUDAG_OK);
    return wr_done(&w);
}

static void only_what_the_relay_says_of_itself_is_accepted(void **state)
{
    static const struct envelope_kind right = {"libp2p-relay-rsvp", {3, 2}},
                                      record = {"libp2p-peer-record", {3, 1}},
                                      domain = {"libp2p-peer-record", {3, 2}},
                                      type = {"libp2p-relay-rsvp", {3, 1}};
    const struct {
        const struct envelope_kind *kind;
        const struct secret_ed25519 *key;
        const struct peer_id *about;
        qudag_err err;
    } rows[] = {
        {&right, &sk, &relay, QUDAG_OK},         {&record, &sk, &relay, QUDAG_EUNSUPPORTED},
        {&domain, &sk, &relay, QUDAG_EAUTH},     {&type, &sk, &relay, QUDAG_EUNSUPPORTED},
        {&right, &sk, &peer, QUDAG_EAUTH},       {&right, &other_sk, &relay, QUDAG_EAUTH},
        {&right, &other_sk, &peer, QUDAG_EAUTH},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct voucher v = {.expiration = 5};
        uint8_t out[512];
        struct slice env = forge(rows[i].kind, rows[i].key, rows[i].about, out, sizeof(out));
        assert_int_equal(voucher_open(&v, env, &relay), rows[i].err);
        assert_int_equal(v.expiration, rows[i].err == QUDAG_OK ? 9 : 5);
    }
}

static void what_it_does_not_say_makes_it_none(void **state)
{
    static const struct envelope_kind right = {"libp2p-relay-rsvp", {3, 2}};
    uint8_t bytes[128], out[512];
    struct voucher v;

    (void)state;
    for (unsigned without = 1; without <= 2; without++) {
        struct wr payload = wr_init(bytes, sizeof(bytes)), w = wr_init(out, sizeof(out));
        pb_put_bytes(&payload, 3 - without, peer_id_slice(&relay));
        assert_int_equal(envelope_seal(&w, &right, wr_done(&payload), &sk, &relay), QUDAG_OK);
        assert_int_equal(voucher_open(&v, wr_done(&w), &relay), QUDAG_EMALFORMED);
    }
    struct wr w = wr_init(out, sizeof(out));
    v = (struct voucher){.relay = peer, .peer = relay};
    assert_int_equal(voucher_sign(&w, &v, &sk), QUDAG_EINVAL);
    v = (struct voucher){.relay = relay, .peer = peer};
    w = wr_init(out, 100);
    assert_int_equal(voucher_sign(&w, &v, &sk), QUDAG_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frozen_voucher_is_written_and_opened),
        cmocka_unit_test(a_voucher_cut_or_with_one_wrong_bit_is_refused),
        cmocka_unit_test(only_what_the_relay_says_of_itself_is_accepted),
        cmocka_unit_test(what_it_does_not_say_makes_it_none),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
