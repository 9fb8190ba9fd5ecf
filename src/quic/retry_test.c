/* Tokens of Retry: good for one address, one id and ten seconds, and nothing else opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/retry.h"

#include <string.h>

#define T0 (1000 * NS_PER_S)

static const struct netaddr home = {.family = 4, .ip = {10, 0, 0, 1}, .port = 4001};
static const uint8_t ids[QUIC_RETRY_ID_MAX] = "the ids of a client";
static struct quic_retry_keys keys;
static uint8_t token[QUIC_RETRY_TOKEN_MAX];

static size_t make(size_t id_len, struct slice *scid)
{
    static const uint8_t seed[32] = {5};
    static struct rng_stream stream;
    struct rng rng;

    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    quic_retry_keys_make(&keys, &rng);
    *scid = (struct slice){ids + 8, 8};
    return quic_retry_seal(&keys, token, &home, (struct slice){ids, id_len}, *scid, T0);
}

static void a_token_gives_back_the_first_id(void **state)
{
    struct slice scid, id;

    (void)state;
    for (size_t len = 0; len <= QUIC_RETRY_ID_MAX; len++) {
        struct slice t = {token, make(len, &scid)};
        assert_true(quic_retry_open(&keys, t, &home, scid, T0 + 10 * NS_PER_S, &id));
        assert_int_equal(id.len, len);
        assert_memory_equal(id.base, ids, len);
    }
    assert_int_equal(quic_retry_seal(&keys, token, &home, (struct slice){ids, 21}, scid, T0), 0);
}

/* An id of the wire may have 255 bytes; the buffer of the tag has room for 20. */
static void ids_longer_than_any_make_no_token_and_open_none(void **state)
{
    static const uint8_t big[255] = {7};
    struct slice scid, id, most = {big, QUIC_RETRY_ID_MAX};
    struct slice t = {token, make(12, &scid)}, first = {ids, 12};

    (void)state;
    for (size_t len = QUIC_RETRY_ID_MAX + 1; len <= sizeof big; len++) {
        struct slice s = {big, len};
        assert_false(quic_retry_open(&keys, t, &home, s, T0, &id));
        assert_int_equal(quic_retry_seal(&keys, token, &home, first, s, T0), 0);
        assert_int_equal(quic_retry_seal(&keys, token, &home, s, scid, T0), 0);
    }
    t.len = quic_retry_seal(&keys, token, &home, first, most, T0);
    assert_true(quic_retry_open(&keys, t, &home, most, T0, &id));
    most.len--; /* its length counts, whatever its bytes */
    assert_false(quic_retry_open(&keys, t, &home, most, T0, &id));
}

/* No address opens what another was given: every byte of an IPv6 one counts, its family and its zone. */
static void a_token_is_for_all_of_an_address(void **state)
{
    struct netaddr a = {.family = 6, .ip = {0xfe, 0x80}, .port = 4001, .scope = 2}, b;
    struct slice scid, id, t = {token, 0};

    (void)state;
    (void)make(12, &scid);
    t.len = quic_retry_seal(&keys, token, &a, (struct slice){ids, 12}, scid, T0);
    assert_true(quic_retry_open(&keys, t, &a, scid, T0, &id));
    for (size_t i = 0; i < sizeof a.ip; i++) {
        b = a;
        b.ip[i] ^= 1;
        assert_false(quic_retry_open(&keys, t, &b, scid, T0, &id));
    }
    b = a;
    b.family = 4;
    assert_false(quic_retry_open(&keys, t, &b, scid, T0, &id));
    b = a;
    b.scope++;
    assert_false(quic_retry_open(&keys, t, &b, scid, T0, &id));
    b = a;
    b.port ^= 0x100;
    assert_false(quic_retry_open(&keys, t, &b, scid, T0, &id));
}

/* How long this process runs is nobody's business: it would tell restarts, and endpoints of one process together. */
static void a_token_does_not_tell_the_clock(void **state)
{
    struct slice scid;
    uint32_t second;

    (void)state;
    (void)make(12, &scid);
    memcpy(&second, token + 1, 4);
    assert_int_not_equal(second, T0 / NS_PER_S);
}

static void it_is_for_one_address_one_id_and_ten_seconds(void **state)
{
    struct slice scid, id;
    struct slice t = {token, make(12, &scid)};
    struct netaddr other = home;

    (void)state;
    assert_false(quic_retry_open(&keys, t, &home, scid, T0 + 11 * NS_PER_S, &id));
    assert_false(quic_retry_open(&keys, t, &home, scid, T0 - NS_PER_S, &id));
    assert_false(quic_retry_open(&keys, t, &home, (struct slice){ids, 8}, T0, &id));
    other.port++;
    assert_false(quic_retry_open(&keys, t, &other, scid, T0, &id));
    other = home;
    other.ip[3]++;
    assert_false(quic_retry_open(&keys, t, &other, scid, T0, &id));
    keys.k[2]++; /* both halves of the tag count */
    assert_false(quic_retry_open(&keys, t, &home, scid, T0, &id));
}

static void no_other_bytes_open(void **state)
{
    struct slice scid, id;
    size_t len = make(12, &scid);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        assert_false(quic_retry_open(&keys, (struct slice){token, i}, &home, scid, T0, &id));
        for (unsigned bit = 0; bit < 8; bit++) {
            token[i] ^= (uint8_t)(1 << bit);
            assert_false(quic_retry_open(&keys, (struct slice){token, len}, &home, scid, T0, &id));
            token[i] ^= (uint8_t)(1 << bit);
        }
    }
    assert_true(len < sizeof token);
    for (size_t i = len + 1; i <= sizeof token; i++) { /* nor with something behind it */
        assert_false(quic_retry_open(&keys, (struct slice){token, i}, &home, scid, T0, &id));
    }
    assert_true(quic_retry_open(&keys, (struct slice){token, len}, &home, scid, T0, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_gives_back_the_first_id),
        cmocka_unit_test(ids_longer_than_any_make_no_token_and_open_none),
        cmocka_unit_test(a_token_is_for_all_of_an_address),
        cmocka_unit_test(a_token_does_not_tell_the_clock),
        cmocka_unit_test(it_is_for_one_address_one_id_and_ten_seconds),
        cmocka_unit_test(no_other_bytes_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
