/* succession_test.c - who may say that a key has a successor, and when it is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/succession.h"

#include <string.h>

#define NOW 1800000000

static struct {
    struct identity first, second, stranger;
    struct rng_stream stream;
    struct rng rng;
    uint8_t bytes[SUCCESSION_LEN];
} t;

static struct slice whole(void)
{
    return (struct slice){t.bytes, sizeof(t.bytes)};
}

static int start(void **state)
{
    uint8_t seed[32] = {7}, file[IDENTITY_FILE_LEN];
    (void)state;

    rng_stream_init(&t.stream, seed);
    t.rng = rng_of_stream(&t.stream);
    assert_int_equal(identity_generate(&t.first, &t.rng), QUDAG_OK);
    assert_int_equal(identity_generate(&t.stranger, &t.rng), QUDAG_OK);
    assert_int_equal(identity_successor(&t.second, &t.first, &t.rng), QUDAG_OK);
    identity_save(&t.second, file);
    assert_memory_equal(t.first.ed_pk, t.second.ed_pk, ED25519_PK_LEN);
    assert_int_equal(succession_make(t.bytes, &t.first, &t.second, 1, NOW, &t.rng), QUDAG_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    identity_fini(&t.first);
    identity_fini(&t.second);
    identity_fini(&t.stranger);
    return 0;
}

static void it_names_both_keys_and_the_peer(void **state)
{
    struct succession s;
    struct peer_id id;
    (void)state;

    peer_id_from_ed25519(&id, t.first.ed_pk);
    assert_int_equal(succession_check(&s, whole(), NOW), QUDAG_OK);
    assert_true(peer_id_eq(&s.peer, &id));
    assert_memory_equal(s.from, t.first.pq_hash, 32);
    assert_memory_equal(s.to, t.second.pq_hash, 32);
    assert_int_equal(s.seq, 1);
    assert_int_equal(s.until - s.made, SUCCESSION_LIFE);
}

/* One bit in every part: nothing of it is believed. */
static void each_byte_is_signed(void **state)
{
    const size_t at[] = {0,
                         9,
                         17,
                         25,
                         33,
                         70,
                         2100,
                         SUCCESSION_BODY_LEN + 3,
                         SUCCESSION_BODY_LEN + ED25519_SIG_LEN + 3,
                         SUCCESSION_LEN - MLDSA65_SIG_LEN + 3};
    struct succession s;
    (void)state;

    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        t.bytes[at[i]] ^= 1;
        assert_int_not_equal(succession_check(&s, whole(), NOW), QUDAG_OK);
        assert_int_equal(s.seq, 0);
        t.bytes[at[i]] ^= 1;
    }
}

static void any_other_length_is_refused(void **state)
{
    struct succession s;
    (void)state;

    for (size_t len = 0; len < SUCCESSION_LEN; len += 37) {
        assert_int_equal(succession_check(&s, (struct slice){t.bytes, len}, NOW), QUDAG_EMALFORMED);
    }
}

/* A key of somebody else can neither be followed nor be taken over. */
static void all_three_keys_must_sign(void **state)
{
    uint8_t other[SUCCESSION_LEN];
    struct identity mixed;
    struct succession s;
    (void)state;

    assert_int_equal(succession_make(other, &t.first, &t.stranger, 2, NOW, &t.rng), QUDAG_EINVAL);
    assert_int_equal(succession_make(other, &t.first, &t.first, 2, NOW, &t.rng), QUDAG_EINVAL);
    assert_int_equal(succession_make(other, &t.first, &t.second, 0, NOW, &t.rng), QUDAG_EINVAL);
    /* The holder of the Ed25519 key alone: his ML-DSA signature is no signature of the old key. */
    mixed = t.first;
    mixed.pq_sk = t.stranger.pq_sk;
    assert_int_equal(succession_make(other, &mixed, &t.second, 2, NOW, &t.rng), QUDAG_OK);
    assert_int_equal(succession_check(&s, (struct slice){other, sizeof(other)}, NOW), QUDAG_EAUTH);
    /* The holder of both, who names a key that he has not. */
    mixed = t.second;
    mixed.pq_sk = t.stranger.pq_sk;
    assert_int_equal(succession_make(other, &t.first, &mixed, 2, NOW, &t.rng), QUDAG_OK);
    assert_int_equal(succession_check(&s, (struct slice){other, sizeof(other)}, NOW), QUDAG_EAUTH);
    /* The holder of the ML-DSA keys alone. */
    mixed = t.first;
    mixed.ed_sk = t.stranger.ed_sk;
    assert_int_equal(succession_make(other, &mixed, &t.second, 2, NOW, &t.rng), QUDAG_OK);
    assert_int_equal(succession_check(&s, (struct slice){other, sizeof(other)}, NOW), QUDAG_EAUTH);
}

/* |len| bytes of |part| at |at| of the body, signed by all three keys: whoever has them may not say everything. */
static qudag_err signed_with(size_t at, const uint8_t *part, size_t len)
{
    static const char context[] = "qudag succession v1";
    const struct slice c = {(const uint8_t *)context, sizeof(context) - 1};
    uint8_t b[SUCCESSION_LEN], m[sizeof(context) - 1 + SUCCESSION_BODY_LEN];
    uint8_t *old_sig = b + SUCCESSION_BODY_LEN + ED25519_SIG_LEN;
    uint8_t *new_sig = old_sig + MLDSA65_SIG_LEN;
    struct succession s;

    memcpy(b, t.bytes, sizeof(b));
    memcpy(b + at, part, len);
    memcpy(m, context, sizeof(context) - 1);
    memcpy(m + sizeof(context) - 1, b, SUCCESSION_BODY_LEN);
    assert_int_equal(
        ed25519_sign(b + SUCCESSION_BODY_LEN, &t.first.ed_sk, (struct slice){m, sizeof(m)}),
        QUDAG_OK);
    assert_int_equal(
        mldsa65_sign(old_sig, t.first.pq_sk, c, (struct slice){b, (size_t)(old_sig - b)}, &t.rng),
        QUDAG_OK);
    const struct identity *to = len == MLDSA65_PK_LEN ? &t.first : &t.second;
    assert_int_equal(
        mldsa65_sign(new_sig, to->pq_sk, c, (struct slice){b, (size_t)(new_sig - b)}, &t.rng),
        QUDAG_OK);
    return succession_check(&s, (struct slice){b, sizeof(b)}, NOW);
}

#define SEQ_AT 8
#define MADE_AT 16
#define UNTIL_AT 24
#define TO_AT (SUCCESSION_BODY_LEN - MLDSA65_PK_LEN)

static qudag_err signed_time(size_t at, uint64_t value)
{
    uint8_t be[8];

    for (unsigned i = 0; i < 8; i++) {
        be[i] = (uint8_t)(value >> (56 - 8 * i));
    }
    return signed_with(at, be, sizeof(be));
}

static void what_no_holder_may_say_is_malformed(void **state)
{
    static const uint8_t magic[8] = {'Q', 'U', 'D', 'A', 'G', 'S', 'U', '2'};
    static const uint8_t far_away[16] = {
        [0] = 0x80, [8] = 0x80, [15] = 9}; /* made, until: above any time */
    (void)state;

    assert_int_equal(signed_with(0, magic, 0), QUDAG_OK);
    assert_int_equal(signed_with(0, magic, sizeof(magic)), QUDAG_EMALFORMED);
    assert_int_equal(signed_time(SEQ_AT, 0), QUDAG_EMALFORMED);
    assert_int_equal(signed_time(UNTIL_AT, NOW + SUCCESSION_LIFE), QUDAG_OK);
    assert_int_equal(signed_time(UNTIL_AT, NOW + SUCCESSION_LIFE + 1), QUDAG_EMALFORMED);
    assert_int_equal(signed_time(UNTIL_AT, NOW), QUDAG_EMALFORMED);
    assert_int_equal(signed_time(UNTIL_AT, NOW + 1), QUDAG_OK);
    assert_int_equal(signed_with(MADE_AT, far_away, sizeof(far_away)), QUDAG_EMALFORMED);
    assert_int_equal(signed_with(TO_AT, t.first.pq_pk, MLDSA65_PK_LEN), QUDAG_EMALFORMED);
}

static void it_is_good_for_its_time(void **state)
{
    struct succession s;
    (void)state;

    assert_int_equal(succession_check(&s, whole(), NOW - SUCCESSION_SKEW), QUDAG_OK);
    assert_int_equal(succession_check(&s, whole(), NOW - SUCCESSION_SKEW - 1), QUDAG_ECLOCK);
    assert_int_equal(succession_check(&s, whole(), NOW + SUCCESSION_LIFE + SUCCESSION_SKEW),
                     QUDAG_OK);
    assert_int_equal(succession_check(&s, whole(), NOW + SUCCESSION_LIFE + SUCCESSION_SKEW + 1),
                     QUDAG_EEXPIRED);
    assert_int_equal(succession_read(&s, whole()), QUDAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_names_both_keys_and_the_peer),
        cmocka_unit_test(each_byte_is_signed),
        cmocka_unit_test(any_other_length_is_refused),
        cmocka_unit_test(all_three_keys_must_sign),
        cmocka_unit_test(what_no_holder_may_say_is_malformed),
        cmocka_unit_test(it_is_good_for_its_time),
    };

    return cmocka_run_group_tests(tests, start, end);
}
