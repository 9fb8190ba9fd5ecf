/* rend_handshake_test.c - the handshake of kind 4: agreement, whom and what it is bound to, every way to break it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/wipe.h"
#include "wire/relay_desc.h"
#include "wire/rend_handshake.h"
#include "wire/testkit_vectors.h"

#include <string.h>

#define VECTORS "tests/vectors/rend-handshake.json"

static const struct slice NO_EXT = {NULL, 0};

/* A service, where a caller waits, and what passed between them; static, as it is large. */
static struct {
    struct rend_keys keys;
    struct rend_hs_own own;
    struct rend_target target;
    struct rend_point at;
    struct rng_stream stream;
    struct rng rng;
    struct rend_hs_caller caller;
    struct rend_hs_asked asked;
    struct onion_hs_keys theirs, ours; /* of the caller, of the service */
    uint8_t handshake[REND_HS_LEN], created[REND_CREATED_LEN];
} t;

static void seeded(uint8_t first)
{
    uint8_t seed[32] = {first};

    rng_stream_init(&t.stream, seed);
    t.rng = rng_of_stream(&t.stream);
}

/* What a caller reads in the record of t.keys. */
static void publish(void)
{
    memcpy(t.target.x, t.keys.x, sizeof t.target.x);
    memcpy(t.target.k, t.keys.k, sizeof t.target.k);
    t.own = (struct rend_hs_own){t.target.addr, t.target.intro_key, &t.keys};
}

static int start(void **state)
{
    struct secret_x25519 x;
    struct secret_mlkem768 seed;
    struct mlkem_key *dk;
    uint8_t pk[32] = {9};
    (void)state;

    memset(&t, 0, sizeof t);
    seeded(1);
    memset(t.target.addr, 0xad, sizeof t.target.addr);
    memset(t.target.intro_key, 0x1e, sizeof t.target.intro_key);
    assert_int_equal(rend_keys_make(&t.keys, &t.rng), QUDAG_OK);
    publish();
    memset(t.at.cookie, 0xc0, sizeof t.at.cookie);
    peer_id_from_ed25519(&t.at.relay.peer, pk);
    memset(t.at.relay.pq_hash, 0x77, sizeof t.at.relay.pq_hash);
    assert_int_equal(x25519_keypair(&x, t.at.relay.x, &t.rng), QUDAG_OK);
    assert_int_equal(mlkem768_keygen(&dk, t.at.relay.k, &seed, &t.rng), QUDAG_OK);
    mlkem768_free(dk);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rend_hs_drop(&t.caller);
    rend_hs_asked_drop(&t.asked);
    rend_keys_fini(&t.keys);
    return 0;
}

static void create(struct slice ext)
{
    rend_hs_drop(&t.caller);
    assert_int_equal(rend_hs_create(&t.caller, &t.target, &t.at, ext, &t.rng, t.handshake),
                     QUDAG_OK);
}

static qudag_err open_it(void)
{
    return rend_hs_open(&t.asked, &t.own, t.handshake);
}

static qudag_err answer(void)
{
    return rend_hs_answer(&t.asked, &t.rng, t.created, &t.ours);
}

static void create_and_answer(void)
{
    create(NO_EXT);
    assert_int_equal(open_it(), QUDAG_OK);
    assert_int_equal(answer(), QUDAG_OK);
}

static void refused(void)
{
    memset(&t.asked, 0x55, sizeof t.asked);
    assert_int_equal(open_it(), QUDAG_EAUTH);
    assert_true(ct_is_zero(&t.asked, sizeof t.asked));
}

/* It fits nothing, and costs the caller nothing: what is kept is kept to the byte, no key gets out. */
static void fits_nothing(void)
{
    struct rend_hs_caller before = t.caller;

    memset(&t.theirs, 0x55, sizeof t.theirs);
    assert_int_equal(rend_hs_finish(&t.caller, t.created, &t.theirs), QUDAG_EAUTH);
    assert_true(ct_is_zero(&t.theirs, sizeof t.theirs));
    assert_memory_equal(&t.caller, &before, sizeof before);
    wipe(&before, sizeof before);
}

/* ---- agreement ---- */

static void both_sides_derive_the_same_keys(void **state)
{
    static const uint8_t ext[] = {1, 0, 2, 'h', 'i', 9, 0, 0};
    struct slice found;
    uint8_t key_id[8];
    (void)state;

    create((struct slice){ext, sizeof ext});
    assert_memory_equal(rend_hs_key_id(t.handshake), t.keys.key_id, 8);
    assert_int_equal(open_it(), QUDAG_OK);
    assert_memory_equal(t.asked.at.cookie, t.at.cookie, sizeof t.at.cookie);
    assert_true(peer_id_eq(&t.asked.at.relay.peer, &t.at.relay.peer));
    assert_memory_equal(t.asked.at.relay.pq_hash, t.at.relay.pq_hash, 32);
    assert_memory_equal(t.asked.at.relay.x, t.at.relay.x, X25519_LEN);
    assert_memory_equal(t.asked.at.relay.k, t.at.relay.k, MLKEM768_EK_LEN);
    onion_key_id(key_id, t.at.relay.x, t.at.relay.k);
    assert_memory_equal(t.asked.at.relay.key_id, key_id, 8);
    assert_int_equal(t.asked.at.relay.n_addrs, 0);
    assert_false(t.asked.at.relay.service);
    assert_int_equal(t.asked.ext_len, sizeof ext);
    assert_memory_equal(t.asked.ext, ext, sizeof ext);
    assert_true(rend_ext_find((struct slice){t.asked.ext, t.asked.ext_len}, 1, &found));
    assert_memory_equal(found.base, "hi", found.len);

    assert_int_equal(answer(), QUDAG_OK);
    assert_int_equal(rend_hs_finish(&t.caller, t.created, &t.theirs), QUDAG_OK);
    assert_memory_equal(&t.theirs, &t.ours, sizeof t.ours);
    assert_memory_not_equal(t.theirs.fwd, t.theirs.back, sizeof t.theirs.fwd);
    assert_memory_not_equal(t.theirs.fwd, t.theirs.binding, sizeof t.theirs.binding);
    assert_memory_not_equal(t.theirs.back, t.theirs.binding, sizeof t.theirs.binding);
}

static void stored_keys_are_the_same_keys(void **state)
{
    struct rend_keys loaded = {.x_sk = t.keys.x_sk, .k_seed = t.keys.k_seed};
    (void)state;

    assert_int_equal(rend_keys_load(&loaded), QUDAG_OK);
    assert_memory_equal(loaded.key_id, t.keys.key_id, 8);
    assert_memory_equal(loaded.x, t.keys.x, X25519_LEN);
    assert_memory_equal(loaded.k, t.keys.k, MLKEM768_EK_LEN);
    create(NO_EXT);
    t.own.keys = &loaded;
    assert_int_equal(open_it(), QUDAG_OK);
    rend_keys_fini(&loaded);
    assert_true(ct_is_zero(&loaded, sizeof loaded));
    rend_keys_fini(&loaded); /* harmless */
}

static void a_replay_yields_other_keys(void **state)
{
    struct onion_hs_keys first;
    (void)state;

    create_and_answer();
    first = t.ours;
    assert_int_equal(open_it(), QUDAG_OK);
    assert_int_equal(answer(), QUDAG_OK);
    assert_memory_not_equal(first.fwd, t.ours.fwd, sizeof first.fwd);
    assert_memory_not_equal(first.back, t.ours.back, sizeof first.back);
    assert_memory_not_equal(first.binding, t.ours.binding, sizeof first.binding);
}

/* What a service remembers of a handshake is the same in every copy of it, and in no other. */
static void handshakes_are_told_apart_by_X(void **state)
{
    uint8_t X[X25519_LEN];
    (void)state;

    create(NO_EXT);
    memcpy(X, rend_hs_X(t.handshake), sizeof X);
    assert_ptr_equal(rend_hs_X(t.handshake), t.handshake + 8);
    create(NO_EXT);
    assert_memory_not_equal(rend_hs_X(t.handshake), X, sizeof X);
}

/* ---- what was changed on the way ---- */

static void a_flipped_bit_anywhere_in_the_handshake_is_refused(void **state)
{
    (void)state;
    create(NO_EXT);
    for (size_t i = 0; i < REND_HS_LEN; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8));
        t.handshake[i] ^= bit;
        refused();
        t.handshake[i] ^= bit;
    }
    t.handshake[8 + 31] ^= 0x80; /* the same point, other bytes: the transcript notices */
    refused();
    t.handshake[8 + 31] ^= 0x80;
    assert_int_equal(open_it(), QUDAG_OK);
}

static void a_flipped_bit_anywhere_in_created_fits_nothing(void **state)
{
    (void)state;
    create_and_answer();
    for (size_t i = 0; i < REND_CREATED_LEN; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8));
        t.created[i] ^= bit;
        fits_nothing();
        t.created[i] ^= bit;
    }
    t.created[31] ^= 0x80;
    fits_nothing();
    t.created[31] ^= 0x80;
    assert_int_equal(rend_hs_finish(&t.caller, t.created, &t.theirs), QUDAG_OK);
    assert_memory_equal(&t.theirs, &t.ours, sizeof t.ours);
}

/* ---- whom it is for ---- */

static void only_whom_it_was_made_for_opens_it(void **state)
{
    uint8_t addr[REND_ADDR_LEN], intro_key[ED25519_PK_LEN];
    (void)state;

    create(NO_EXT);
    memcpy(addr, t.target.addr, sizeof addr);
    memcpy(intro_key, t.target.intro_key, sizeof intro_key);
    t.own.addr = addr;
    t.own.intro_key = intro_key;
    for (size_t i = 0; i < sizeof addr; i++) {
        addr[i] ^= 1;
        refused();
        addr[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof intro_key; i++) { /* it came through another point */
        intro_key[i] ^= 1;
        refused();
        intro_key[i] ^= 1;
    }
    assert_int_equal(open_it(), QUDAG_OK);
}

static void other_keys_do_not_open_it(void **state)
{
    struct rend_keys other, mixed;
    (void)state;

    create(NO_EXT);
    assert_int_equal(rend_keys_make(&other, &t.rng), QUDAG_OK);
    for (int which = 0; which < 6; which++) { /* one part of another pair each */
        mixed = t.keys;
        memcpy(which == 0 ? mixed.key_id : other.key_id, other.key_id, 8);
        memcpy(which == 1 ? mixed.x : other.x, other.x, sizeof other.x);
        memcpy(which == 2 ? mixed.k : other.k, other.k, sizeof other.k);
        mixed.x_sk = which == 3 ? other.x_sk : t.keys.x_sk;
        mixed.dk = which == 4 ? other.dk : t.keys.dk;
        t.own.keys = which == 5 ? &other : &mixed;
        refused();
    }
    rend_keys_fini(&other);
}

/* Two handshakes of the same randomness that differ in |one| thing: the answer to the first is none to the second. */
static void an_answer_fits_one_cookie_at_one_relay_only(void **state)
{
    (void)state;
    for (int one = 0; one < 6; one++) {
        struct rend_hs_caller first = {.hs = {.dk = NULL}};
        struct rend_point at = t.at;
        seeded(7);
        create_and_answer();
        seeded(7);
        t.at.cookie[31] ^= one == 0;
        t.at.relay.peer.b[20] ^= one == 1;
        t.at.relay.pq_hash[0] ^= one == 2;
        t.at.relay.x[5] ^= one == 3;
        t.at.relay.k[MLKEM768_EK_LEN - 1] ^= one == 4;
        t.target.intro_key[3] ^= one == 5;
        first = t.caller;
        t.caller.hs.dk = NULL;
        create(NO_EXT);
        assert_memory_equal(t.caller.hs.x.b, first.hs.x.b, sizeof first.hs.x.b);
        fits_nothing();
        rend_hs_drop(&t.caller);
        t.caller = first;
        assert_int_equal(rend_hs_finish(&t.caller, t.created, &t.theirs), QUDAG_OK);
        t.at = at;
    }
}

/* One cookie, three introduction points: CREATED is tried against each, and the others can still be answered. */
static void created_is_found_among_three_handshakes(void **state)
{
    struct rend_hs_caller three[3];
    uint8_t handshake[3][REND_HS_LEN];
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        t.target.intro_key[0] = (uint8_t)i;
        create(NO_EXT);
        three[i] = t.caller;
        t.caller.hs.dk = NULL;
        memcpy(handshake[i], t.handshake, REND_HS_LEN);
    }
    for (size_t answered = 3; answered-- > 0;) {
        t.target.intro_key[0] = (uint8_t)answered;
        assert_int_equal(rend_hs_open(&t.asked, &t.own, handshake[answered]), QUDAG_OK);
        assert_int_equal(answer(), QUDAG_OK);
        for (size_t i = 0; i < 3; i++) { /* those answered before are gone and fit nothing */
            assert_int_equal(rend_hs_finish(&three[i], t.created, &t.theirs),
                             i == answered ? QUDAG_OK : QUDAG_EAUTH);
            assert_int_equal(memcmp(&t.theirs, &t.ours, sizeof t.ours) == 0, i == answered);
            assert_int_equal(ct_is_zero(&t.theirs, sizeof t.theirs), i != answered);
        }
        assert_true(ct_is_zero(&three[answered], sizeof three[answered]));
    }
}

/* X | ct_s has the form of Y | ct_e: what a caller sent is not taken for an answer, nor an answer for a handshake. */
static void the_roles_cannot_be_swapped(void **state)
{
    (void)state;
    create_and_answer();
    memcpy(t.created, t.handshake + 8, sizeof t.created);
    fits_nothing();
    assert_int_equal(open_it(), QUDAG_OK);
    assert_int_equal(answer(), QUDAG_OK);
    memcpy(t.handshake + 8, t.created, sizeof t.created);
    refused();
}

static void keys_of_a_record_that_are_none_are_refused(void **state)
{
    struct rend_target good = t.target;
    (void)state;

    memset(t.target.x, 0, sizeof t.target.x);
    memset(&t.caller, 0, sizeof t.caller);
    assert_int_equal(rend_hs_create(&t.caller, &t.target, &t.at, NO_EXT, &t.rng, t.handshake),
                     QUDAG_EAUTH);
    assert_true(ct_is_zero(&t.caller, sizeof t.caller));
    t.target = good;
    memset(t.target.k, 0xff, 3); /* coefficients of 4095 >= q */
    assert_int_equal(rend_hs_create(&t.caller, &t.target, &t.at, NO_EXT, &t.rng, t.handshake),
                     QUDAG_EAUTH);
    assert_true(ct_is_zero(&t.caller, sizeof t.caller));
    t.target = good;
}

/* ---- wiping ---- */

static void secrets_are_wiped_when_they_are_done_with(void **state)
{
    (void)state;
    create_and_answer();
    assert_true(ct_is_zero(&t.asked, sizeof t.asked)); /* answered */
    assert_int_equal(rend_hs_finish(&t.caller, t.created, &t.theirs), QUDAG_OK);
    assert_true(ct_is_zero(&t.caller, sizeof t.caller)); /* finished */
    memset(&t.theirs, 0x55, sizeof t.theirs);
    assert_int_equal(rend_hs_finish(&t.caller, t.created, &t.theirs), QUDAG_EAUTH);
    assert_true(ct_is_zero(&t.theirs, sizeof t.theirs));

    create(NO_EXT);
    rend_hs_drop(&t.caller);
    assert_true(ct_is_zero(&t.caller, sizeof t.caller));
    rend_hs_drop(&t.caller); /* harmless */
    assert_int_equal(open_it(), QUDAG_OK);
    rend_hs_asked_drop(&t.asked);
    assert_true(ct_is_zero(&t.asked, sizeof t.asked));
    assert_int_equal(open_it(), QUDAG_OK);
    t.asked.ek_e[0] = t.asked.ek_e[1] = 0xff; /* it cannot be answered: not by a peer's doing */
    memset(&t.ours, 0x55, sizeof t.ours);
    assert_int_not_equal(answer(), QUDAG_OK);
    assert_true(ct_is_zero(&t.asked, sizeof t.asked));
    assert_true(ct_is_zero(&t.ours, sizeof t.ours));
}

/* ---- what is sealed ---- */

static uint8_t tail[REND_HS_TAIL_LEN];

/* The same sealed part with |ext| written over the extensions, and |last| over its last byte. */
static qudag_err with_extensions(const uint8_t *ext, size_t len, uint8_t last, struct slice *list)
{
    struct rend_point at;
    size_t from = 32 + 1 + 38 + 32 + X25519_LEN + MLKEM768_EK_LEN;

    rend_hs_tail_put(tail, &t.at, NO_EXT);
    memcpy(tail + from, ext, len);
    tail[REND_HS_TAIL_LEN - 1] |= last;
    return rend_hs_tail_get(tail, &at, list);
}

static void extensions_end_with_a_type_of_zero_and_zeros(void **state)
{
    static const struct {
        uint8_t b[10];
        size_t len; /* of the list */
        uint8_t last;
        bool ok;
    } rows[] = {
        {{0}, 0, 0, true},
        {{1, 0, 0}, 3, 0, true},
        {{127, 0, 2, 9, 9}, 5, 0, true},
        {{1, 0, 1, 7, 2, 0, 0}, 7, 0, true},
        {{1, 0, 2, 0, 0}, 5, 0, true}, /* zeros inside one do not end the list */
        {{128, 0, 0}, 0, 0, false},
        {{1, 0, 0, 200, 0, 0}, 0, 0, false},
        {{255, 0, 1, 1}, 0, 0, false},
        {{1, 1, 0x9e}, 0, 0, false}, /* a byte longer than there is room */
        {{1, 0xff, 0xff}, 0, 0, false},
        {{0, 1}, 0, 0, false}, /* bytes behind the end */
        {{1, 0, 0, 0, 0, 0, 2}, 0, 0, false},
        {{0}, 0, 1, false},
        {{1, 0, 0}, 0, 0x80, false},
    };
    struct slice list;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        qudag_err err = with_extensions(rows[i].b, sizeof rows[i].b, rows[i].last, &list);
        assert_int_equal(err, rows[i].ok ? QUDAG_OK : QUDAG_EAUTH);
        if (rows[i].ok) {
            assert_int_equal(list.len, rows[i].len);
            assert_true(memcmp(list.base, rows[i].b, list.len) == 0);
        }
    }
    for (unsigned type = 1; type < 256; type++) {
        const uint8_t one[] = {(uint8_t)type, 0, 1, 5};
        assert_int_equal(with_extensions(one, sizeof one, 0, &list),
                         type < 128 ? QUDAG_OK : QUDAG_EAUTH);
    }
}

static void extensions_may_fill_all_the_room(void **state)
{
    static const uint8_t full[] = {1, 1, 0x9d};   /* 3 + 413: all 416 bytes beside this R */
    static const uint8_t cut[] = {1, 1, 0x9c, 0}; /* one byte is left, zero */
    static const uint8_t ext[REND_HS_EXT_MAX] = {3, 1, 0x97};
    struct slice list, found;
    (void)state;

    assert_int_equal(with_extensions(full, sizeof full, 9, &list), QUDAG_OK);
    assert_int_equal(list.len, 416);
    assert_int_equal(with_extensions(cut, sizeof cut, 0, &list), QUDAG_OK);
    assert_int_equal(list.len, 415);
    assert_int_equal(with_extensions(cut, sizeof cut, 9, &list), QUDAG_EAUTH); /* half a head */

    create((struct slice){ext, sizeof ext});
    assert_int_equal(open_it(), QUDAG_OK);
    assert_int_equal(t.asked.ext_len, sizeof ext);
    assert_true(rend_ext_find((struct slice){t.asked.ext, t.asked.ext_len}, 3, &found));
    assert_int_equal(found.len, REND_HS_EXT_MAX - 3);
}

static void the_first_extension_of_a_type_is_found(void **state)
{
    static const uint8_t b[] = {5, 0, 0, 1, 0, 2, 'a', 'b', 1, 0, 1, 'c', 2, 0, 9, 'd'};
    struct slice list = {b, sizeof b}, found;
    (void)state;

    assert_true(rend_ext_find(list, 5, &found));
    assert_int_equal(found.len, 0);
    assert_true(rend_ext_find(list, 1, &found));
    assert_int_equal(found.len, 2);
    assert_ptr_equal(found.base, b + 6);
    assert_false(rend_ext_find(
        list, 2, &found)); /* cut: such a list is not given to it, and read no further */
    assert_false(rend_ext_find(list, 3, &found));
    assert_false(rend_ext_find(NO_EXT, 1, &found));
}

static void a_relay_that_is_none_is_refused(void **state)
{
    struct rend_point at;
    struct slice list;
    (void)state;

    for (unsigned len = 0; len < 256; len++) { /* of the peer id; 38 is the length it has */
        rend_hs_tail_put(tail, &t.at, NO_EXT);
        tail[32] = (uint8_t)len;
        assert_int_equal(rend_hs_tail_get(tail, &at, &list), len == 38 ? QUDAG_OK : QUDAG_EAUTH);
    }
    rend_hs_tail_put(tail, &t.at, NO_EXT);
    tail[33] = 0x13; /* of no kind that there is */
    assert_int_equal(rend_hs_tail_get(tail, &at, &list), QUDAG_EAUTH);
    rend_hs_tail_put(tail, &t.at, NO_EXT);
    memset(tail + 32 + 1 + 38 + 32 + X25519_LEN, 0xff, 3); /* K is not reduced */
    assert_int_equal(rend_hs_tail_get(tail, &at, &list), QUDAG_EAUTH);
}

/* ---- frozen vectors, made by tests/reference/rend_handshake.py ---- */

static char *text;

static void load_case(const char *at)
{
    uint8_t seed[32];
    struct rend_point p = {.relay = {.n_addrs = 0}};

    rend_keys_fini(&t.keys);
    vectors_hex(at, "seed_service", seed, sizeof seed);
    rng_stream_init(&t.stream, seed);
    assert_int_equal(rend_keys_make(&t.keys, &t.rng), QUDAG_OK);
    vectors_hex(at, "address", t.target.addr, sizeof t.target.addr);
    vectors_hex(at, "intro_key", t.target.intro_key, sizeof t.target.intro_key);
    publish();
    vectors_hex(at, "cookie", p.cookie, sizeof p.cookie);
    p.relay.peer.len =
        (uint8_t)vectors_hex(at, "relay_peer_id", p.relay.peer.b, sizeof p.relay.peer.b);
    vectors_hex(at, "relay_pq_hash", p.relay.pq_hash, 32);
    vectors_hex(at, "relay_x", p.relay.x, X25519_LEN);
    vectors_hex(at, "relay_k", p.relay.k, MLKEM768_EK_LEN);
    t.at = p;
}

static void equals(const char *at, const char *name, const void *got, size_t len)
{
    static uint8_t want[REND_HS_LEN];

    assert_int_equal(vectors_hex(at, name, want, sizeof want), len);
    assert_memory_equal(got, want, len);
}

static void handshake_of_case(const char *at)
{
    uint8_t ext[REND_HS_EXT_MAX], seed[32];

    load_case(at);
    size_t len = vectors_hex(at, "extensions", ext, sizeof ext);
    vectors_hex(at, "seed_caller", seed, sizeof seed);
    rng_stream_init(&t.stream, seed);
    create((struct slice){ext, len});
    vectors_hex(at, "seed_answer", seed, sizeof seed);
    rng_stream_init(&t.stream, seed);
}

static void the_frozen_vectors_are_reproduced(void **state)
{
    const char *at = strstr(text, "\"cases\"");
    (void)state;

    for (int i = 0; i < 2; i++) {
        at = strstr(at, "\"address\"");
        assert_non_null(at);
        handshake_of_case(at);
        equals(at, "key_id", t.keys.key_id, 8);
        equals(at, "handshake", t.handshake, REND_HS_LEN);
        assert_int_equal(open_it(), QUDAG_OK);
        equals(at, "relay_key_id", t.asked.at.relay.key_id, 8);
        equals(at, "extensions", t.asked.ext, t.asked.ext_len);
        assert_int_equal(answer(), QUDAG_OK);
        equals(at, "created", t.created, REND_CREATED_LEN);
        assert_int_equal(rend_hs_finish(&t.caller, t.created, &t.theirs), QUDAG_OK);
        equals(at, "keys_forward", t.theirs.fwd, CGO_AES256_KEY_MATERIAL);
        equals(at, "keys_backward", t.theirs.back, CGO_AES256_KEY_MATERIAL);
        equals(at, "binding", t.theirs.binding, sizeof t.theirs.binding);
        at++;
    }
}

/* Of callers that keep to the keys but not to the rules: sealed correctly, and refused for what they hold. */
static void hostile_handshakes_are_refused(void **state)
{
    const char *at = strstr(text, "\"refused_handshakes\""),
               *end = strstr(text, "\"refused_answers\"");
    size_t n = 0;
    (void)state;

    load_case(strstr(text, "\"cases\""));
    for (at = strstr(at, "\"what\""); at != NULL && at < end; at = strstr(at + 1, "\"what\"")) {
        assert_int_equal(vectors_hex(at, "bytes", t.handshake, REND_HS_LEN), REND_HS_LEN);
        refused();
        n++;
    }
    assert_int_equal(n, 13);
}

/* Of somebody with the service's keys who leaves out a part of what both have to share. */
static void hostile_answers_fit_nothing(void **state)
{
    const char *at = strstr(text, "\"refused_answers\"");
    size_t n = 0;
    (void)state;

    handshake_of_case(strstr(text, "\"cases\""));
    for (at = strstr(at, "\"what\""); at != NULL; at = strstr(at + 1, "\"what\"")) {
        assert_int_equal(vectors_hex(at, "bytes", t.created, REND_CREATED_LEN), REND_CREATED_LEN);
        fits_nothing();
        n++;
    }
    assert_int_equal(n, 8);
    assert_int_equal(open_it(), QUDAG_OK);
    assert_int_equal(answer(), QUDAG_OK);
    assert_int_equal(rend_hs_finish(&t.caller, t.created, &t.theirs), QUDAG_OK);
}

static int read_vectors(void **state)
{
    (void)state;
    text = vectors_read(VECTORS);
    return 0;
}

static int free_vectors(void **state)
{
    (void)state;
    free(text);
    return 0;
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(both_sides_derive_the_same_keys),
        EACH(stored_keys_are_the_same_keys),
        EACH(a_replay_yields_other_keys),
        EACH(handshakes_are_told_apart_by_X),
        EACH(a_flipped_bit_anywhere_in_the_handshake_is_refused),
        EACH(a_flipped_bit_anywhere_in_created_fits_nothing),
        EACH(only_whom_it_was_made_for_opens_it),
        EACH(other_keys_do_not_open_it),
        EACH(an_answer_fits_one_cookie_at_one_relay_only),
        EACH(created_is_found_among_three_handshakes),
        EACH(the_roles_cannot_be_swapped),
        EACH(keys_of_a_record_that_are_none_are_refused),
        EACH(secrets_are_wiped_when_they_are_done_with),
        EACH(extensions_end_with_a_type_of_zero_and_zeros),
        EACH(extensions_may_fill_all_the_room),
        EACH(the_first_extension_of_a_type_is_found),
        EACH(a_relay_that_is_none_is_refused),
        EACH(the_frozen_vectors_are_reproduced),
        EACH(hostile_handshakes_are_refused),
        EACH(hostile_answers_fit_nothing),
    };

    return cmocka_run_group_tests(tests, read_vectors, free_vectors);
}
