#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rd.h"
#include "crypto/hash.h"
#include "wire/relay_desc.h"

#include <stdlib.h>
#include <string.h>

#define NOW 1700000000
#define ADDR_FIELDS_AT (4 + 1 + 34 + 24 + 2 + 34 + 34 + 1186 + 1954) /* with a family */

static struct identity self, other;
static struct rng_stream stream;
static struct rng rng;
static uint8_t wire[RELAY_DESC_MAX];

static int setup(void **state)
{
    (void)state;
    static const uint8_t seed[32] = "relay descriptor test";
    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    return identity_generate(&self, &rng) == QUDAG_OK && identity_generate(&other, &rng) == QUDAG_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    identity_fini(&self);
    identity_fini(&other);
    return 0;
}

static void sample(struct relay_desc *d)
{
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};

    memset(d, 0, sizeof(*d));
    d->n_addrs = 2;
    multiaddr_quic(&d->addr[0], &a, NULL);
    peer_id_from_ed25519(&d->peer, self.ed_pk);
    multiaddr_quic(&d->addr[1], &a, &d->peer);
    memset(d->onion_x, 0x11, sizeof(d->onion_x));
    memset(d->onion_k, 0x22, sizeof(d->onion_k));
    memset(d->family, 0x33, sizeof(d->family));
    d->flags = RELAY_FLAG_GUARD | 0x8000; /* one that nobody knows yet */
    d->seq = UINT64_C(0x0102030405060708);
    d->not_before = NOW;
    d->expires = NOW + 3600;
}

static size_t encode(const struct relay_desc *d)
{
    size_t len = 0;
    assert_int_equal(relay_desc_encode(wire, sizeof(wire), &len, d, &self, &rng), QUDAG_OK);
    return len;
}

static qudag_err decode(struct relay_desc *d, size_t len, walltime now)
{
    return relay_desc_decode(d, (struct slice){wire, len}, now);
}

static void a_descriptor_comes_back_with_keys_and_ids(void **state)
{
    (void)state;
    struct relay_desc d, back;
    uint8_t key_id[8];

    sample(&d);
    size_t len = encode(&d);
    assert_int_equal(decode(&back, len, NOW + 5), QUDAG_OK);
    memcpy(d.pq_pk, self.pq_pk, sizeof(d.pq_pk));
    memcpy(d.pq_hash, self.pq_hash, sizeof(d.pq_hash));
    onion_key_id(key_id, d.onion_x, d.onion_k);
    memcpy(d.key_id, key_id, sizeof(key_id));
    assert_true(peer_id_eq(&d.peer, &back.peer));
    assert_memory_equal(back.pq_pk, d.pq_pk, sizeof(d.pq_pk));
    assert_memory_equal(back.pq_hash, d.pq_hash, 32);
    assert_memory_equal(back.key_id, key_id, 8);
    assert_memory_equal(back.onion_x, d.onion_x, sizeof(d.onion_x));
    assert_memory_equal(back.onion_k, d.onion_k, sizeof(d.onion_k));
    assert_memory_equal(back.family, d.family, 32);
    assert_int_equal(back.flags, d.flags);
    assert_int_equal(back.seq, d.seq);
    assert_int_equal(back.not_before, d.not_before);
    assert_int_equal(back.expires, d.expires);
    assert_int_equal(back.n_addrs, 2);
    assert_true(multiaddr_eq(&back.addr[1], &d.addr[1]));

    /* SPEC: relay-descriptor 2.10 */
    static uint8_t first[RELAY_DESC_MAX];
    memcpy(first, wire, len);
    assert_int_equal(encode(&back), len);
    assert_memory_equal(first, wire, len - (2 + 64) - (2 + 3309));
}

/* The layout of spec/relay-descriptor.md, read by hand. */
static void the_layout_is_the_specified_one(void **state)
{
    (void)state;
    struct relay_desc d;
    uint8_t digest[32];
    static const char label[] = "qudag relay descriptor v1";

    sample(&d);
    size_t len = encode(&d);
    struct slice all = {wire, len};
    struct rd r = rd_init(all);
    assert_int_equal(rd_u32(&r), 0x51445244);
    assert_int_equal(rd_u8(&r), 1);
    assert_int_equal(rd_u16(&r), 32);
    assert_memory_equal(rd_bytes(&r, 32).base, self.ed_pk, 32);
    assert_int_equal(rd_u64(&r), d.seq);
    assert_int_equal(rd_u64(&r), NOW);
    assert_int_equal(rd_u64(&r), NOW + 3600);
    assert_int_equal(rd_u16(&r), 0x8001);
    assert_int_equal(rd_lp16(&r, 32).len, 32);
    assert_int_equal(rd_lp16(&r, 32).len, 32);
    assert_int_equal(rd_lp16(&r, 1184).len, 1184);
    assert_memory_equal(rd_lp16(&r, 1952).base, self.pq_pk, 1952);
    assert_int_equal(len - r.left, ADDR_FIELDS_AT);
    assert_int_equal(rd_u8(&r), 2);
    (void)rd_lp16(&r, 192);
    (void)rd_lp16(&r, 192);
    struct slice ed_body = {wire, len - r.left};
    struct slice ed_sig = rd_lp16(&r, 64);
    struct slice pq_body = {wire, len - r.left};
    struct slice pq_sig = rd_lp16(&r, 3309);
    assert_true(rd_done(&r));
    blake3_derive(digest, sizeof(digest), label, ed_body);
    assert_int_equal(ed25519_verify(self.ed_pk, ed_sig.base, (struct slice){digest, 32}), QUDAG_OK);
    assert_int_equal(mldsa65_verify(self.pq_pk, pq_sig.base,
                                    (struct slice){(const uint8_t *)label, sizeof(label) - 1},
                                    pq_body),
                     QUDAG_OK);
}

static void the_longest_descriptor_fits(void **state)
{
    (void)state;
    struct relay_desc d, back;

    sample(&d);
    d.n_addrs = RELAY_DESC_ADDRS_MAX;
    for (size_t i = 0; i < RELAY_DESC_ADDRS_MAX; i++) {
        char text[256];
        memset(text, 'a', sizeof(text));
        memcpy(text, "/dns/", 5);
        text[5 + 189] = '\0'; /* code 1, length 2, name 189: 192 bytes */
        assert_int_equal(multiaddr_parse(&d.addr[i], text), QUDAG_OK);
        assert_int_equal(d.addr[i].len, MULTIADDR_MAX);
    }
    size_t len = encode(&d);
    assert_int_equal(len, 7427);
    assert_int_equal(decode(&back, len, NOW), QUDAG_OK);
    for (size_t cap = 0; cap < len; cap += 61) {
        size_t n;
        assert_int_equal(relay_desc_encode(wire, cap, &n, &d, &self, &rng), QUDAG_ETOOBIG);
    }
}

static void a_descriptor_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct relay_desc d, back;
    static const struct relay_desc none;

    sample(&d);
    size_t len = encode(&d);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        memcpy(copy, wire, cut);
        assert_int_equal(relay_desc_decode(&back, (struct slice){copy, cut}, NOW),
                         QUDAG_EMALFORMED);
        assert_memory_equal(&back, &none, sizeof(back));
        free(copy);
    }
    wire[len] = 0;
    assert_int_equal(decode(&back, len + 1, NOW), QUDAG_EMALFORMED);
}

static void no_byte_can_be_changed(void **state)
{
    (void)state;
    struct relay_desc d, back;

    sample(&d);
    size_t len = encode(&d);
    for (size_t i = 0; i < len; i += i < 128 || i > len - 3400 ? 7 : 97) {
        wire[i] ^= 1;
        qudag_err err = decode(&back, len, NOW);
        assert_true(err == QUDAG_EMALFORMED || err == QUDAG_EAUTH || err == QUDAG_EEXPIRED ||
                    err == QUDAG_ECLOCK);
        wire[i] ^= 1;
    }
    assert_int_equal(decode(&back, len, NOW), QUDAG_OK);
}

static void another_ml_dsa_key_gives_another_hash(void **state)
{
    (void)state;
    struct relay_desc d, back;
    struct identity mixed;

    sample(&d);
    /* whoever broke Ed25519: the right Ed25519 key, his own ML-DSA key, under the relay's name */
    mixed = other;
    mixed.ed_sk = self.ed_sk;
    memcpy(mixed.ed_pk, self.ed_pk, sizeof(mixed.ed_pk));
    size_t forged;
    assert_int_equal(relay_desc_encode(wire, sizeof(wire), &forged, &d, &mixed, &rng), QUDAG_OK);
    assert_int_equal(decode(&back, forged, NOW), QUDAG_OK); /* valid, but the hash tells */
    assert_memory_not_equal(back.pq_hash, self.pq_hash, 32);
    memcpy(wire + ADDR_FIELDS_AT - 1952, self.pq_pk, 1952);
    assert_int_equal(decode(&back, forged, NOW), QUDAG_EAUTH);
}

/*
 * The ML-DSA signature covers the Ed25519 one, so a changed descriptor falls to the former.  What only the
 * latter can refuse is a descriptor that the ML-DSA key has signed as it stands, and the other way round.
 */
static void each_signature_is_needed(void **state)
{
    enum { PQ_AT = MLDSA65_SIG_LEN, ED_AT = PQ_AT + 2 + ED25519_SIG_LEN }; /* from the end */
    static const char label[] = "qudag relay descriptor v1";
    struct slice ctx = {(const uint8_t *)label, sizeof(label) - 1};
    static uint8_t mine[RELAY_DESC_MAX], next[RELAY_DESC_MAX];
    struct relay_desc d, back;
    size_t len2;
    (void)state;

    sample(&d);
    size_t len = encode(&d);
    memcpy(mine, wire, len);
    d.seq++;
    assert_int_equal(relay_desc_encode(next, sizeof(next), &len2, &d, &self, &rng), QUDAG_OK);
    assert_int_equal(len2, len);

    /* an ML-DSA signature of the same relay over something else; Ed25519 as it should be */
    memcpy(wire + len - PQ_AT, next + len - PQ_AT, MLDSA65_SIG_LEN);
    assert_int_equal(decode(&back, len, NOW), QUDAG_EAUTH);

    /* an Ed25519 signature over something else, or by somebody else, and ML-DSA over all of that */
    for (unsigned i = 0; i < 3; i++) {
        uint8_t digest[BLAKE3_LEN];
        uint8_t *ed_sig = wire + len - ED_AT, *pq_sig = wire + len - PQ_AT;
        memcpy(wire, mine, len);
        blake3_derive(digest, sizeof(digest), label, (struct slice){wire, len - ED_AT - 2});
        if (i == 0) {
            memcpy(ed_sig, next + len - ED_AT, ED25519_SIG_LEN);
        } else { /* 2: rightly, to show that the forgery is otherwise complete */
            assert_int_equal(ed25519_sign(ed_sig, i == 1 ? &other.ed_sk : &self.ed_sk,
                                          (struct slice){digest, sizeof(digest)}),
                             QUDAG_OK);
        }
        struct slice signed_part = {wire, len - PQ_AT - 2};
        assert_int_equal(mldsa65_sign(pq_sig, self.pq_sk, ctx, signed_part, &rng), QUDAG_OK);
        assert_int_equal(decode(&back, len, NOW), i == 2 ? QUDAG_OK : QUDAG_EAUTH);
    }
}

static void time_is_checked_with_tolerance(void **state)
{
    (void)state;
    struct relay_desc d, back;

    sample(&d);
    size_t len = encode(&d);
    static const struct {
        walltime now;
        qudag_err err;
    } cases[] = {
        {NOW - 601, QUDAG_ECLOCK}, /* from the future is not too old */
        {NOW - 600, QUDAG_OK},
        {NOW, QUDAG_OK},
        {NOW + 3600 + 599, QUDAG_OK},
        {NOW + 3600 + 600, QUDAG_EEXPIRED},
        {0, QUDAG_ECLOCK},
        {-1, QUDAG_ECLOCK},
        {INT64_MAX, QUDAG_EEXPIRED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(decode(&back, len, cases[i].now), cases[i].err);
    }
}

/* A descriptor somebody made with other software, signed rightly: what it says is still checked. */
static void rightly_signed_nonsense_is_refused(void **state)
{
    (void)state;
    struct relay_desc good, d, back;
    size_t len;

    sample(&good);
    d = good;
    d.n_addrs = 0;
    assert_int_equal(relay_desc_encode(wire, sizeof(wire), &len, &d, &self, &rng), QUDAG_EINVAL);
    d = good;
    d.n_addrs = RELAY_DESC_ADDRS_MAX + 1;
    assert_int_equal(relay_desc_encode(wire, sizeof(wire), &len, &d, &self, &rng), QUDAG_EINVAL);
    d = good;
    d.expires = d.not_before;
    assert_int_equal(relay_desc_encode(wire, sizeof(wire), &len, &d, &self, &rng), QUDAG_EINVAL);
    d = good;
    d.expires = d.not_before + RELAY_DESC_LIFE_MAX + 1;
    assert_int_equal(relay_desc_encode(wire, sizeof(wire), &len, &d, &self, &rng), QUDAG_EINVAL);
    d = good;
    d.not_before = -1;
    assert_int_equal(relay_desc_encode(wire, sizeof(wire), &len, &d, &self, &rng), QUDAG_EINVAL);
    d = good;
    struct peer_id stranger;
    peer_id_from_ed25519(&stranger, other.ed_pk);
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};
    multiaddr_quic(&d.addr[1], &a, &stranger);
    assert_int_equal(relay_desc_encode(wire, sizeof(wire), &len, &d, &self, &rng), QUDAG_EINVAL);

    static const struct {
        size_t at;
        uint8_t byte;
    } patch[] = {
        {0, 'q'},                  /* magic */
        {4, 2},                    /* version */
        {6, 31},                   /* length of ed_pk */
        {39 + 8, 0x80},            /* not_before beyond all time */
        {39 + 16, 0xff},           /* expires likewise */
        {39 + 24 + 2 + 1, 31},     /* length of the family */
        {ADDR_FIELDS_AT, 0},       /* no addresses */
        {ADDR_FIELDS_AT, 5},       /* too many */
        {ADDR_FIELDS_AT + 3, 0x7f} /* an unknown address */
    };
    for (size_t i = 0; i < ARRAY_LEN(patch); i++) {
        len = encode(&good);
        wire[patch[i].at] = patch[i].byte;
        assert_int_equal(decode(&back, len, NOW), QUDAG_EMALFORMED);
    }
    len = encode(&good);
    memset(wire + 39 + 24 + 2 + 2, 0, 32); /* no family, said the long way */
    assert_int_equal(decode(&back, len, NOW), QUDAG_EMALFORMED);
}

static void a_relay_without_family_says_so_shortly(void **state)
{
    (void)state;
    struct relay_desc d, back;

    sample(&d);
    size_t with = encode(&d);
    memset(d.family, 0, sizeof(d.family));
    size_t without = encode(&d);
    assert_int_equal(with - without, 32);
    assert_int_equal(decode(&back, without, NOW), QUDAG_OK);
    assert_memory_equal(back.family, d.family, 32);
}

static void a_peek_tells_peer_and_sequence(void **state)
{
    (void)state;
    struct relay_desc d;
    struct peer_id peer;
    uint64_t seq;

    sample(&d);
    size_t len = encode(&d);
    assert_int_equal(relay_desc_peek((struct slice){wire, len}, &peer, &seq), QUDAG_OK);
    assert_true(peer_id_eq(&peer, &d.peer));
    assert_int_equal(seq, d.seq);
    for (size_t cut = 0; cut < 47; cut++) {
        assert_int_equal(relay_desc_peek((struct slice){wire, cut}, &peer, &seq), QUDAG_EMALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_descriptor_comes_back_with_keys_and_ids),
        cmocka_unit_test(the_layout_is_the_specified_one),
        cmocka_unit_test(the_longest_descriptor_fits),
        cmocka_unit_test(a_descriptor_cut_anywhere_is_refused),
        cmocka_unit_test(no_byte_can_be_changed),
        cmocka_unit_test(another_ml_dsa_key_gives_another_hash),
        cmocka_unit_test(each_signature_is_needed),
        cmocka_unit_test(time_is_checked_with_tolerance),
        cmocka_unit_test(rightly_signed_nonsense_is_refused),
        cmocka_unit_test(a_relay_without_family_says_so_shortly),
        cmocka_unit_test(a_peek_tells_peer_and_sequence),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
