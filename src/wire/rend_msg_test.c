/* rend_msg_test.c - requests of introduction and rendezvous: bytes, lengths, who may sign for which circuit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "wire/rend_msg.h"
#include "wire/testkit_vectors.h"

#include <stdlib.h>
#include <string.h>

#define VECTORS "tests/vectors/rend-handshake.json"

static uint8_t filler[REND_REQUEST_MAX];

/* One of each, with other bytes in every field; writes |which| to |w|. */
static void put(struct wr *w, enum rend_request which)
{
    struct rend_establish e = {.rate = 0x0102, .burst = 0x0304};

    memset(e.intro_key, 0xa1, sizeof e.intro_key);
    memset(e.sig, 0xa2, sizeof e.sig);
    for (size_t i = 0; i < sizeof filler; i++) {
        filler[i] = (uint8_t)(i * 7 + i / 256);
    }
    switch (which) {
    case REND_ESTABLISH:
        rend_establish_put(w, &e);
        break;
    case REND_INTRODUCE1:
        rend_introduce1_put(w, &(struct rend_introduce1){filler, filler + 32});
        break;
    case REND_WAIT:
        rend_wait_put(w, filler + 5);
        break;
    case REND_MEET:
        rend_meet_put(w, &(struct rend_meet){filler + 5, filler + 37});
        break;
    case REND_NO_REQUEST:
        break;
    }
}

static qudag_err get(enum rend_request which, struct slice in)
{
    struct rend_establish e;
    struct rend_introduce1 i1;
    struct rend_meet meet;
    const uint8_t *cookie;

    switch (which) {
    case REND_ESTABLISH:
        return rend_establish_get(&e, in);
    case REND_INTRODUCE1:
        return rend_introduce1_get(&i1, in);
    case REND_WAIT:
        return rend_wait_get(&cookie, in);
    case REND_MEET:
        return rend_meet_get(&meet, in);
    case REND_NO_REQUEST:
        break;
    }
    return QUDAG_EMALFORMED;
}

static const struct {
    enum rend_request which;
    size_t len;
    uint8_t first;
} requests[] = {
    {REND_ESTABLISH, 101, 1},
    {REND_INTRODUCE1, 4096, 2},
    {REND_WAIT, 33, 1},
    {REND_MEET, 1201, 2},
};

static void every_field_lies_where_the_specification_says(void **state)
{
    uint8_t buf[REND_REQUEST_MAX];
    struct rend_establish e;
    struct rend_introduce1 i1;
    struct rend_meet meet;
    const uint8_t *cookie;
    (void)state;

    struct wr w = wr_init(buf, sizeof buf);
    put(&w, REND_ESTABLISH);
    assert_memory_equal(buf, "\x01\xa1", 2);
    assert_memory_equal(buf + 32, "\xa1\x01\x02\x03\x04\xa2", 6);
    assert_int_equal(buf[100], 0xa2);
    assert_int_equal(rend_establish_get(&e, wr_done(&w)), QUDAG_OK);
    assert_memory_equal(e.intro_key, buf + 1, 32);
    assert_int_equal(e.rate, 0x0102);
    assert_int_equal(e.burst, 0x0304);
    assert_memory_equal(e.sig, buf + 37, 64);

    w = wr_init(buf, sizeof buf);
    put(&w, REND_INTRODUCE1);
    assert_int_equal(buf[0], 2);
    assert_memory_equal(buf + 1, filler, 4095);
    assert_int_equal(rend_introduce1_get(&i1, wr_done(&w)), QUDAG_OK);
    assert_ptr_equal(i1.intro_key, buf + 1);
    assert_ptr_equal(i1.handshake, buf + 33);

    w = wr_init(buf, sizeof buf);
    put(&w, REND_WAIT);
    assert_int_equal(buf[0], 1);
    assert_memory_equal(buf + 1, filler + 5, 32);
    assert_int_equal(rend_wait_get(&cookie, wr_done(&w)), QUDAG_OK);
    assert_ptr_equal(cookie, buf + 1);

    w = wr_init(buf, sizeof buf);
    put(&w, REND_MEET);
    assert_int_equal(buf[0], 2);
    assert_memory_equal(buf + 1, filler + 5, 1200);
    assert_int_equal(rend_meet_get(&meet, wr_done(&w)), QUDAG_OK);
    assert_ptr_equal(meet.cookie, buf + 1);
    assert_ptr_equal(meet.created, buf + 33);
}

static void any_other_length_or_first_byte_is_refused(void **state)
{
    uint8_t buf[REND_REQUEST_MAX + 1] = {0};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct wr w = wr_init(buf, sizeof buf);
        put(&w, requests[i].which);
        assert_int_equal(w.len, requests[i].len);
        assert_int_equal(rend_request_len(requests[i].which), requests[i].len);
        for (size_t len = 0; len <= sizeof buf; len++) {
            assert_int_equal(get(requests[i].which, (struct slice){buf, len}),
                             len == requests[i].len ? QUDAG_OK : QUDAG_EMALFORMED);
        }
        for (unsigned first = 0; first < 256; first++) {
            buf[0] = (uint8_t)first;
            assert_int_equal(get(requests[i].which, (struct slice){buf, requests[i].len}),
                             first == requests[i].first ? QUDAG_OK : QUDAG_EMALFORMED);
        }
    }
    assert_int_equal(rend_request_len(REND_NO_REQUEST), 0);
}

static void nothing_is_written_where_there_is_no_room(void **state)
{
    uint8_t buf[REND_REQUEST_MAX];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct wr w = wr_init(buf, requests[i].len - 1);
        put(&w, requests[i].which);
        assert_false(wr_ok(&w));
    }
}

static void the_first_byte_says_which_request_it_is(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        assert_int_equal(rend_introduce_request((uint8_t)first), first == 1   ? REND_ESTABLISH
                                                                 : first == 2 ? REND_INTRODUCE1
                                                                              : REND_NO_REQUEST);
        assert_int_equal(rend_meet_request((uint8_t)first), first == 1   ? REND_WAIT
                                                            : first == 2 ? REND_MEET
                                                                         : REND_NO_REQUEST);
    }
}

static void a_request_has_the_statuses_of_the_tables_only(void **state)
{
    static const struct {
        enum rend_request which;
        bool fits[4];
    } rows[] = {
        {REND_NO_REQUEST, {false, false, false}},
        {REND_ESTABLISH, {true, false, true}},
        {REND_INTRODUCE1, {true, true, true, true}},
        {REND_WAIT, {true, false, true}},
        {REND_MEET, {true, true, false}},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (unsigned status = 0; status < 256; status++) {
            assert_int_equal(rend_status_fits(rows[i].which, (uint8_t)status),
                             status < 4 && rows[i].fits[status]);
        }
    }
}

static void limits_are_those_asked_for_up_to_the_relays_own(void **state)
{
    static const uint16_t rows[][4] = {
        {0, 0, 200, 400},     {1, 1, 1, 1},         {199, 399, 199, 399},
        {200, 400, 200, 400}, {201, 401, 200, 400}, {65535, 65535, 200, 400},
        {0, 7, 200, 7},       {7, 0, 7, 400},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rend_establish e = {.rate = rows[i][0], .burst = rows[i][1]};
        uint16_t rate, burst;
        rend_establish_limits(&e, &rate, &burst);
        assert_int_equal(rate, rows[i][2]);
        assert_int_equal(burst, rows[i][3]);
    }
}

static void signed_for(struct rend_establish *e, uint8_t seed, const uint8_t binding[32])
{
    struct secret_ed25519 sk = {.seed = {seed}};

    *e = (struct rend_establish){.rate = 20, .burst = 40};
    assert_int_equal(rend_establish_sign(e, &sk, binding), QUDAG_OK);
}

static void a_signature_holds_for_one_circuit_and_exactly_what_was_sent(void **state)
{
    uint8_t binding[REND_BINDING_LEN], buf[REND_ESTABLISH_LEN];
    struct rend_establish e, got;
    (void)state;

    memset(binding, 0xb1, sizeof binding);
    signed_for(&e, 1, binding);
    struct wr w = wr_init(buf, sizeof buf);
    rend_establish_put(&w, &e);
    for (size_t at = 1; at <= sizeof buf; at++) { /* the last round changes nothing */
        if (at < sizeof buf) {
            buf[at] ^= 1;
        }
        assert_int_equal(rend_establish_get(&got, wr_done(&w)), QUDAG_OK);
        assert_int_equal(rend_establish_check(&got, binding),
                         at < sizeof buf ? QUDAG_EAUTH : QUDAG_OK);
        if (at < sizeof buf) {
            buf[at] ^= 1;
        }
    }
    for (size_t at = 0; at < sizeof binding; at++) { /* another circuit */
        binding[at] ^= 0x80;
        assert_int_equal(rend_establish_check(&e, binding), QUDAG_EAUTH);
        binding[at] ^= 0x80;
    }
    signed_for(&got, 2, binding); /* nobody signs for another's key */
    memcpy(got.intro_key, e.intro_key, sizeof got.intro_key);
    assert_int_equal(rend_establish_check(&got, binding), QUDAG_EAUTH);
}

/* Of small order: such a key verifies signatures that nobody made. */
static void a_weak_intro_key_is_refused(void **state)
{
    static const uint8_t binding[REND_BINDING_LEN] = {0};
    struct rend_establish e = {.intro_key = {1}, .sig = {1}};
    (void)state;

    assert_int_equal(rend_establish_check(&e, binding), QUDAG_EAUTH);
}

/* What tests/reference/rend_handshake.py signs, byte for byte. */
static void the_frozen_vector_is_reproduced(void **state)
{
    uint8_t binding[REND_BINDING_LEN], buf[REND_ESTABLISH_LEN], want[REND_ESTABLISH_LEN];
    struct rend_establish e = {.rate = 20, .burst = 40};
    struct secret_ed25519 sk;
    (void)state;

    char *text = vectors_read(VECTORS);
    const char *at = strstr(text, "\"establish\"");
    assert_non_null(at);
    vectors_hex(at, "seed", sk.seed, sizeof sk.seed);
    vectors_hex(at, "circuit", binding, sizeof binding);
    assert_int_equal(vectors_hex(at, "message", want, sizeof want), sizeof want);
    assert_int_equal(rend_establish_sign(&e, &sk, binding), QUDAG_OK);
    struct wr w = wr_init(buf, sizeof buf);
    rend_establish_put(&w, &e);
    assert_memory_equal(buf, want, sizeof want);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_lies_where_the_specification_says),
        cmocka_unit_test(any_other_length_or_first_byte_is_refused),
        cmocka_unit_test(nothing_is_written_where_there_is_no_room),
        cmocka_unit_test(the_first_byte_says_which_request_it_is),
        cmocka_unit_test(a_request_has_the_statuses_of_the_tables_only),
        cmocka_unit_test(limits_are_those_asked_for_up_to_the_relays_own),
        cmocka_unit_test(a_signature_holds_for_one_circuit_and_exactly_what_was_sent),
        cmocka_unit_test(a_weak_intro_key_is_refused),
        cmocka_unit_test(the_frozen_vector_is_reproduced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
