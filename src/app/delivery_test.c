/* delivery_test.c - each rule with what it accepts and what it refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <qudag/qudag.h>

#include "app/delivery.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void transfers_come_over_circuits_to_dark_addresses_only(void **state)
{
    (void)state;
    assert_true(delivery_stream(false, "a.dark", "/t/1.0.0", "/t/1.0.0"));
    assert_false(delivery_stream(true, "a.dark", "/t/1.0.0", "/t/1.0.0"));
    assert_false(delivery_stream(true, NULL, "/t/1.0.0", "/t/1.0.0"));
    assert_false(delivery_stream(false, NULL, "/t/1.0.0", "/t/1.0.0"));
    assert_false(delivery_stream(false, "a.dark", "/t/2.0.0", "/t/1.0.0"));
    assert_false(delivery_stream(false, "a.dark", "/t/1.0.0x", "/t/1.0.0"));
    assert_false(delivery_stream(false, "a.dark", "", "/t/1.0.0"));
    assert_false(delivery_stream(false, "a.dark", NULL, "/t/1.0.0"));
}

static void between_peers_they_come_over_links_from_who_is_allowed_only(void **state)
{
    (void)state;
    assert_true(delivery_peer_stream(true, true, NULL, "/p/1.0.0", "/p/1.0.0"));
    assert_false(delivery_peer_stream(true, false, NULL, "/p/1.0.0", "/p/1.0.0"));
    assert_false(delivery_peer_stream(false, true, NULL, "/p/1.0.0", "/p/1.0.0"));
    assert_false(delivery_peer_stream(true, true, "a.dark", "/p/1.0.0", "/p/1.0.0"));
    assert_false(delivery_peer_stream(true, true, NULL, "/t/1.0.0", "/p/1.0.0"));
    assert_false(delivery_peer_stream(true, true, NULL, NULL, "/p/1.0.0"));
}

static void a_delivery_counts_only_with_the_size_and_hash_announced(void **state)
{
    uint8_t a[DELIVERY_HASH_LEN] = {1}, b[DELIVERY_HASH_LEN];
    (void)state;
    assert_true(delivery_matches(5, a, 5, a));
    assert_false(delivery_matches(5, a, 6, a));
    for (size_t bit = 0; bit < 8 * DELIVERY_HASH_LEN; bit++) {
        memcpy(b, a, sizeof(b));
        b[bit / 8] = (uint8_t)(b[bit / 8] ^ 1u << bit % 8);
        assert_false(delivery_matches(5, b, 5, a));
    }
}

static void offers_are_taken_within_all_limits(void **state)
{
    (void)state;
    const struct delivery_room room = {
        .file_max = 100, .inbox_max = 200, .stored = 50, .transfers = 2, .transfers_max = 2};
    const struct delivery_room none = {.file_max = 100, .transfers_max = 2};
    struct delivery_room r = room;
    assert_int_equal(delivery_offer(2, 2, 1000, &none),
                     DELIVERY_OFFER_CLOSED); /* not "too large" */
    assert_int_equal(delivery_offer(0, 0, 1000, &none), DELIVERY_OFFER_CLOSED);
    assert_int_equal(delivery_offer(100, 150, 1000, &r), DELIVERY_OFFER_OK);
    assert_int_equal(delivery_offer(101, 101, 1000, &r), DELIVERY_OFFER_TOO_LARGE);
    assert_int_equal(delivery_offer(11, 11, 10, &r), DELIVERY_OFFER_TOO_LARGE);
    assert_int_equal(delivery_offer(UINT64_MAX, UINT64_MAX, UINT64_MAX, &r),
                     DELIVERY_OFFER_TOO_LARGE);
    assert_int_equal(delivery_offer(100, 151, 1000, &r), DELIVERY_OFFER_INBOX_FULL);
    r.stored = 201; /* the limit was lowered */
    assert_int_equal(delivery_offer(0, 0, 1000, &r), DELIVERY_OFFER_INBOX_FULL);
    r = room; /* what others only announced is no final reason */
    r.reserved = 50;
    assert_int_equal(delivery_offer(100, 100, 1000, &r), DELIVERY_OFFER_OK);
    assert_int_equal(delivery_offer(100, 101, 1000, &r), DELIVERY_OFFER_BUSY);
    assert_int_equal(delivery_offer(100, 151, 1000, &r), DELIVERY_OFFER_INBOX_FULL);
    r.reserved = UINT64_MAX;
    assert_int_equal(delivery_offer(0, 0, 1000, &r), DELIVERY_OFFER_BUSY);
    r = room;
    r.file_max = 1000;
    assert_int_equal(delivery_offer(201, 1, 1000, &r), DELIVERY_OFFER_TOO_LARGE);
    r = room;
    r.transfers = 3;
    assert_int_equal(delivery_offer(1, 1, 1000, &r), DELIVERY_OFFER_BUSY);
}

static void a_transfer_keeps_a_pace(void **state)
{
    (void)state;
    static const struct {
        uint64_t left, due;
    } row[] = {
        {0, 0},
        {1, 1},
        {DELIVERY_PACE_BYTES, DELIVERY_PACE_BYTES},
        {DELIVERY_PACE_BYTES + 1, DELIVERY_PACE_BYTES},
        {(uint64_t)DELIVERY_PACE_BYTES * DELIVERY_PACE_DAY, DELIVERY_PACE_BYTES},
        {(uint64_t)(DELIVERY_PACE_BYTES + 1) * DELIVERY_PACE_DAY, DELIVERY_PACE_BYTES + 1},
        {UINT64_C(10) << 30, (UINT64_C(10) << 30) / 4320},
        {UINT64_MAX, UINT64_MAX / 4320},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(delivery_pace(row[ix].left), row[ix].due);
    }
    assert_false(delivery_pace_slow(&(struct delivery_pace){false, 10, 0})); /* has just begun */
    assert_true(delivery_pace_slow(&(struct delivery_pace){true, 10, 9}));
    assert_false(delivery_pace_slow(&(struct delivery_pace){true, 10, 10}));
    assert_false(delivery_pace_slow(&(struct delivery_pace){true, 0, 0}));
}

static void what_is_there_is_not_hashed_as_often_as_is_asked(void **state)
{
    (void)state;
    for (unsigned idle = 0; idle < DELIVERY_HASHES; idle++) {
        assert_true(delivery_may_hash(idle, 0));
    }
    assert_false(delivery_may_hash(DELIVERY_HASHES, 0));
    assert_false(delivery_may_hash(1000, DELIVERY_HASH_PAUSE_S - 1));
    assert_true(delivery_may_hash(1000, DELIVERY_HASH_PAUSE_S));
}

static void the_slowest_gives_way_first(void **state)
{
    (void)state;
    static const struct {
        struct delivery_pace p[3];
        size_t n, want;
    } row[] = {
        {{{false, 9, 0}}, 0, 0},
        {{{false, 9, 0}, {true, 9, 9}, {true, 9, 10}}, 3, 3}, /* none is slow */
        {{{false, 9, 0}, {true, 9, 8}, {true, 9, 9}}, 3, 1},
        {{{true, 9, 5}, {true, 9, 4}, {true, 9, 6}}, 3, 1},
        {{{true, 9, 4}, {true, 11, 4}, {true, 10, 4}}, 3, 1}, /* who needs longer */
        {{{true, 3, 3}, {true, 9, 4}, {true, 9, 4}}, 3, 1},   /* fewer bytes, but all it had */
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(delivery_gives_way(row[ix].p, row[ix].n), row[ix].want);
    }
}

static void a_receiver_cannot_make_us_send_for_ever(void **state)
{
    (void)state;
    struct delivery_sending s = {0};
    assert_true(delivery_sending_again(&s, 0));
    assert_true(delivery_sending_again(&s, DELIVERY_GIVE_UP_S - 1));
    assert_false(delivery_sending_again(&s, DELIVERY_GIVE_UP_S));
    s.tries = DELIVERY_TRIES_MAX - 1;
    assert_true(delivery_sending_again(&s, 0));
    s.tries = DELIVERY_TRIES_MAX;
    assert_false(delivery_sending_again(&s, 0));
    s = (struct delivery_sending){.differs = DELIVERY_DIFFERS_MAX - 1};
    assert_true(delivery_sending_again(&s, 0));
    s.differs++;
    assert_false(delivery_sending_again(&s, 0));
    /* a byte of progress for each attempt: it ends; a MiB for each: it goes on */
    s = (struct delivery_sending){.attempts = 1000, .confirmed = UINT64_MAX, .counted = 1000};
    assert_false(delivery_sending_again(&s, 0));
    s.counted = 1000 * (uint64_t)DELIVERY_STEP;
    assert_true(delivery_sending_again(&s, 0));
    /* to a peer, over relays that end each link: a step of progress for each attempt is enough */
    s.counted = 1000 * (uint64_t)DELIVERY_PROGRESS;
    assert_false(delivery_sending_again(&s, 0));
    s.named = true;
    assert_true(delivery_sending_again(&s, 0));
    s.counted = 900 * (uint64_t)DELIVERY_PROGRESS;
    assert_false(delivery_sending_again(&s, 0));
}

static void only_new_content_in_steps_is_progress(void **state)
{
    const uint64_t step = DELIVERY_PROGRESS, size = 10 * DELIVERY_PROGRESS + 5;
    const struct {
        uint64_t sent, counted, n;
        enum delivery_claim expect;
    } row[] = {
        {0, 0, 0, DELIVERY_CLAIM_TRUE},
        {0, 0, 1, DELIVERY_CLAIM_FALSE},
        {size, 0, 1, DELIVERY_CLAIM_TRUE},
        {size, 0, step - 1, DELIVERY_CLAIM_TRUE},
        {size, 0, step, DELIVERY_CLAIM_PROGRESS},
        {step - 1, 0, step, DELIVERY_CLAIM_FALSE},
        {size, step, step, DELIVERY_CLAIM_TRUE}, /* claimed before, on whatever stream */
        {size, step, 0, DELIVERY_CLAIM_TRUE},
        {size, step, 2 * step - 1, DELIVERY_CLAIM_TRUE},
        {size, step, 2 * step, DELIVERY_CLAIM_PROGRESS},
        {size, size - 1, size, DELIVERY_CLAIM_PROGRESS}, /* the end always is */
        {size, size, size, DELIVERY_CLAIM_TRUE},         /* once */
        {size, size, size + 1, DELIVERY_CLAIM_FALSE},
        {UINT64_MAX, UINT64_MAX - 5, 3, DELIVERY_CLAIM_TRUE},
    };
    (void)state;
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        struct delivery_sending s = {
            .size = size, .sent = row[ix].sent, .counted = row[ix].counted};
        assert_int_equal(delivery_claim(&s, row[ix].n), row[ix].expect);
    }
    struct delivery_sending s = {.size = size, .sent = 500, .confirmed = 400};
    assert_false(delivery_offset(&s, 0));
    assert_false(delivery_offset(&s, 399));
    assert_true(delivery_offset(&s, 400));
    assert_true(delivery_offset(&s, 500));
    assert_false(delivery_offset(&s, 501));
    assert_int_equal(delivery_patience_s(0), DELIVERY_GIVE_UP_S);
    assert_int_equal(delivery_patience_s(UINT64_C(10) << 30), DELIVERY_GIVE_UP_S + 1024);
}

static void pauses_double_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(delivery_pause_ms(1), DELIVERY_PAUSE_MS);
    assert_int_equal(delivery_pause_ms(2), 2 * DELIVERY_PAUSE_MS);
    assert_int_equal(delivery_pause_ms(6), 32 * DELIVERY_PAUSE_MS);
    assert_int_equal(delivery_pause_ms(7), DELIVERY_PAUSE_MAX_MS);
    assert_int_equal(delivery_pause_ms(UINT32_MAX), DELIVERY_PAUSE_MAX_MS);
}

static void a_limit_is_the_receivers_once_there_is_a_circuit_to_it(void **state)
{
    (void)state;
    assert_int_equal(delivery_stage(false, false), DELIVERY_STAGE_LOOKUP);
    assert_int_equal(delivery_stage(true, false), DELIVERY_STAGE_CIRCUIT);
    assert_int_equal(delivery_stage(true, true), DELIVERY_STAGE_SERVICE);
    assert_false(delivery_receiver_full(QUDAG_ELIMIT, DELIVERY_STAGE_LOOKUP));
    assert_true(delivery_receiver_full(QUDAG_ELIMIT, DELIVERY_STAGE_CIRCUIT));
    assert_true(delivery_receiver_full(QUDAG_ELIMIT, DELIVERY_STAGE_SERVICE));
    assert_false(delivery_receiver_full(QUDAG_EREFUSED, DELIVERY_STAGE_SERVICE));
}

static void what_lacks_for_a_while_is_no_final_refusal(void **state)
{
    static const int lacks[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN, EINTR, EBUSY};
    static const int stays[] = {0,      EIO,    EROFS,  EACCES,       EPERM,  ENOENT,
                                ENOSPC, EDQUOT, EEXIST, ENAMETOOLONG, ENOTDIR};
    (void)state;
    for (size_t ix = 0; ix < COUNT(lacks); ix++) {
        assert_true(delivery_lack(lacks[ix]));
    }
    for (size_t ix = 0; ix < COUNT(stays); ix++) {
        assert_false(delivery_lack(stays[ix]));
    }
}

/* Who is told that there is no such address would look for a mistake in it. */
static void errors_that_would_come_again_end_a_transfer(void **state)
{
    static const qudag_err ends[] = {QUDAG_EUNSUPPORTED, QUDAG_EEXPIRED, QUDAG_EAUTH,
                                     QUDAG_EINVAL,       QUDAG_ESTATE,   QUDAG_ECHECKSUM,
                                     QUDAG_EEXISTS,      QUDAG_ETOOBIG,  QUDAG_ESMALLNET};
    size_t found = 0;
    (void)state;
    for (int err = QUDAG_ENOMEM; err >= QUDAG_ESMALLNET; err--) {
        bool listed = false;
        for (size_t ix = 0; ix < COUNT(ends); ix++) {
            listed = listed || (int)ends[ix] == err;
        }
        assert_int_equal(delivery_send_is_final(err, 1), listed);
        assert_int_equal(delivery_send_is_final(err, 2), listed);
        assert_int_equal(delivery_send_is_final(err, 3),
                         listed || err == QUDAG_ENOTFOUND || err == QUDAG_ENEEDAUTH);
        found += listed;
    }
    assert_int_equal(found, COUNT(ends));
}

static void another_hash_ends_a_transfer_at_the_second_time(void **state)
{
    (void)state;
    assert_int_equal(delivery_hash_differs(1, false, false), DELIVERY_DIFFERS_LOOK);
    assert_int_equal(delivery_hash_differs(1, true, true), DELIVERY_DIFFERS_CHANGED);
    assert_int_equal(delivery_hash_differs(1, true, false), DELIVERY_DIFFERS_AGAIN);
    assert_int_equal(delivery_hash_differs(2, false, false), DELIVERY_DIFFERS_LOOK);
    assert_int_equal(delivery_hash_differs(1, false, true),
                     DELIVERY_DIFFERS_LOOK); /* not looked yet */
    assert_int_equal(delivery_hash_differs(2, true, true), DELIVERY_DIFFERS_CHANGED);
    assert_int_equal(delivery_hash_differs(2, true, false), DELIVERY_DIFFERS_END);
    assert_int_equal(delivery_hash_differs(9, true, false), DELIVERY_DIFFERS_END);
}

/* Every file that holds a secret, by its name: what cannot be read of them is never skipped. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_not_hashed_as_often_as_is_asked),
        cmocka_unit_test(transfers_come_over_circuits_to_dark_addresses_only),
        cmocka_unit_test(between_peers_they_come_over_links_from_who_is_allowed_only),
        cmocka_unit_test(a_delivery_counts_only_with_the_size_and_hash_announced),
        cmocka_unit_test(offers_are_taken_within_all_limits),
        cmocka_unit_test(a_transfer_keeps_a_pace),
        cmocka_unit_test(the_slowest_gives_way_first),
        cmocka_unit_test(a_receiver_cannot_make_us_send_for_ever),
        cmocka_unit_test(only_new_content_in_steps_is_progress),
        cmocka_unit_test(pauses_double_to_a_bound),
        cmocka_unit_test(a_limit_is_the_receivers_once_there_is_a_circuit_to_it),
        cmocka_unit_test(what_lacks_for_a_while_is_no_final_refusal),
        cmocka_unit_test(errors_that_would_come_again_end_a_transfer),
        cmocka_unit_test(another_hash_ends_a_transfer_at_the_second_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
