/* peer_record_test.c - a record as another implementation writes it, and every way it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/init.h"
#include "wire/pb.h"
#include "wire/peer_record.h"

#include <stdlib.h>
#include <string.h>

/*
 * Written by a Python script with the cryptography package, from the field numbers of RFC 0002 and 0003: seed
 * 00 01 .. 1f, sequence number 1800000000123, an IPv4 and an IPv6 address.
 */
static const char frozen[] =
    "0a240801122003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8120203011a59"
    "0a2600240801122003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b810fba0f1"
    "c2b1341a0d0a0b04c000020191020fa1cd031a190a172920010db800000000000000000000000791020fa2cd"
    "032a40392bba3944938376830923f338d5caf59715fcab3839772b1a112f02658269fc1fed74b8f82acceb3a"
    "0a65f5fad73181f4dce598ef25d5090b3878f0bb1e8403";

static struct secret_ed25519 sk, other_sk;
static struct peer_id self, other;
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
    key_make(&sk, &self, 0);
    key_make(&other_sk, &other, 100);
    return hex_decode(vector, sizeof(vector), &vector_len, hex) == QUDAG_OK ? 0 : -1;
}

static void sample(struct peer_record *r)
{
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};
    struct netaddr b = {.family = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 7}, .port = 4002};

    *r = (struct peer_record){.peer = self, .seq = 1800000000123, .n_addrs = 2};
    multiaddr_quic(&r->addr[0], &a, NULL);
    multiaddr_quic(&r->addr[1], &b, NULL);
}

static void assert_same(const struct peer_record *a, const struct peer_record *b)
{
    assert_true(peer_id_eq(&a->peer, &b->peer));
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->n_addrs, b->n_addrs);
    for (size_t i = 0; i < a->n_addrs; i++) {
        assert_true(multiaddr_eq(&a->addr[i], &b->addr[i]));
    }
}

static void the_frozen_record_is_written_and_opened(void **state)
{
    struct peer_record r, back;
    uint8_t out[256];
    struct wr w = wr_init(out, sizeof(out));

    (void)state;
    sample(&r);
    assert_int_equal(peer_record_sign(&w, &r, &sk), QUDAG_OK);
    assert_int_equal(w.len, vector_len);
    assert_memory_equal(out, vector, vector_len);
    assert_int_equal(peer_record_open(&back, (struct slice){vector, vector_len}, &self), QUDAG_OK);
    assert_same(&r, &back);
}

static void a_record_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < vector_len; n++) {
        struct peer_record r = {.seq = 5};
        uint8_t *copy = malloc(n > 0 ? n : 1);
        memcpy(copy, vector, n);
        assert_int_not_equal(peer_record_open(&r, (struct slice){copy, n}, &self), QUDAG_OK);
        assert_int_equal(r.seq, 5);
        free(copy);
    }
}

static void a_record_with_one_wrong_bit_is_refused(void **state)
{
    struct peer_record r;

    (void)state;
    for (size_t bit = 0; bit < vector_len * 8; bit++) {
        uint8_t copy[256];
        memcpy(copy, vector, vector_len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(peer_record_open(&r, (struct slice){copy, vector_len}, &self),
                             QUDAG_OK);
    }
}

/* An envelope with each part as given, signed with |key| over |domain| and what it holds. */
struct forged {
    const char *domain;
    const char *type;
    const struct secret_ed25519 *key; /* signs */
    const struct peer_id *shown;      /* whose key the envelope names */
    const struct peer_id *about;      /* whom the record names */
    size_t sig_len;
};

static struct slice forge(const struct forged *f, uint8_t *out, size_t cap)
{
    uint8_t payload_b[128], covered_b[256], sig[ED25519_SIG_LEN + 1] = {0}, pk[ED25519_PK_LEN];
    uint8_t key[KEY_PROTO_ED25519];
    struct wr payload = wr_init(payload_b, sizeof(payload_b));
    struct wr covered = wr_init(covered_b, sizeof(covered_b));
    struct wr w = wr_init(out, cap);
    struct slice type = {(const uint8_t *)f->type, strlen(f->type)};

    pb_put_bytes(&payload, 1, peer_id_slice(f->about));
    pb_put_varint(&payload, 2, 9);
    wr_lp(&covered, (struct slice){(const uint8_t *)f->domain, strlen(f->domain)});
    wr_lp(&covered, type);
    wr_lp(&covered, wr_done(&payload));
    assert_int_equal(ed25519_sign(sig, f->key, wr_done(&covered)), QUDAG_OK);
    assert_true(peer_id_ed25519(f->shown, pk));
    key_proto_ed25519(key, pk);
    pb_put_bytes(&w, 1, (struct slice){key, sizeof(key)});
    pb_put_bytes(&w, 2, type);
    pb_put_bytes(&w, 3, wr_done(&payload));
    pb_put_bytes(&w, 5, (struct slice){sig, f->sig_len});
    assert_true(wr_ok(&payload) && wr_ok(&covered) && wr_ok(&w));
    return wr_done(&w);
}

static void only_what_the_signer_says_of_itself_is_accepted(void **state)
{
    static const char domain[] = "libp2p-peer-record", type[] = "\x03\x01";
    const struct {
        struct forged f;
        qudag_err err;
    } rows[] = {
        {{domain, type, &sk, &self, &self, 64}, QUDAG_OK},
        {{"libp2p-relay-rsvp", type, &sk, &self, &self, 64}, QUDAG_EAUTH},
        {{"", type, &sk, &self, &self, 64}, QUDAG_EAUTH},
        {{domain, "\x03\x02", &sk, &self, &self, 64}, QUDAG_EUNSUPPORTED},
        {{domain, "", &sk, &self, &self, 64}, QUDAG_EUNSUPPORTED},
        {{domain, "\x03\x01\x01", &sk, &self, &self, 64}, QUDAG_EUNSUPPORTED},
        {{domain, type, &other_sk, &self, &self, 64}, QUDAG_EAUTH},   /* signed by another */
        {{domain, type, &other_sk, &other, &self, 64}, QUDAG_EAUTH},  /* and named as such */
        {{domain, type, &other_sk, &other, &other, 64}, QUDAG_EAUTH}, /* another peer's record */
        {{domain, type, &sk, &self, &other, 64}, QUDAG_EAUTH},        /* about another peer */
        {{domain, type, &sk, &self, &self, 63}, QUDAG_EAUTH},
        {{domain, type, &sk, &self, &self, 65}, QUDAG_EAUTH},
        {{domain, type, &sk, &self, &self, 0}, QUDAG_EAUTH},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peer_record r = {.seq = 5};
        uint8_t out[512];
        struct slice env = forge(&rows[i].f, out, sizeof(out));
        qudag_err err = peer_record_open(&r, env, &self);
        if (err != rows[i].err) {
            fail_msg("row %zu: error %d, expected %d", i, (int)err, (int)rows[i].err);
        }
        assert_int_equal(r.seq, err == QUDAG_OK ? 9 : 5);
    }
}

static void limits_are_kept_when_signing_and_opening(void **state)
{
    static uint8_t big[PEER_RECORD_MAX + 1];
    static struct peer_record r;
    struct wr w = wr_init(big, sizeof(big));

    (void)state;
    sample(&r);
    for (size_t cap = 0; cap < vector_len; cap++) {
        struct wr small = wr_init(big, cap);
        assert_int_equal(peer_record_sign(&small, &r, &sk), QUDAG_ETOOBIG);
    }
    assert_int_equal(peer_record_sign(&w, &r, &other_sk), QUDAG_EINVAL);
    r.n_addrs = PEER_RECORD_ADDRS_MAX; /* of the longest sort: too much */
    for (size_t i = 0; i < r.n_addrs; i++) {
        r.addr[i].len = MULTIADDR_MAX;
    }
    assert_int_equal(peer_record_sign(&w, &r, &sk), QUDAG_ETOOBIG);
    assert_int_equal(peer_record_open(&r, (struct slice){big, sizeof(big)}, &self), QUDAG_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frozen_record_is_written_and_opened),
        cmocka_unit_test(a_record_cut_anywhere_is_refused),
        cmocka_unit_test(a_record_with_one_wrong_bit_is_refused),
        cmocka_unit_test(only_what_the_signer_says_of_itself_is_accepted),
        cmocka_unit_test(limits_are_kept_when_signing_and_opening),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
