/* rules_test.c - decisions of circuit relay v2 as tables, and messages out of streams in every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relay_v2/frame.h"
#include "core/relay_v2/rules.h"

#include <stdlib.h>
#include <string.h>

static void only_direct_links_with_known_peers_carry(void **state)
{
    struct peer_id none = {.len = 0}, some = {.len = 2, .b = {0, 0}};

    (void)state;
    for (unsigned props = 0; props < 256; props++) {
        bool good = (props & (LINK_ANON | LINK_RELAYED)) == 0;
        assert_int_equal(relayed_rule_carrier((uint8_t)props, &some), good);
        assert_false(relayed_rule_carrier((uint8_t)props, &none));
        assert_false(relayed_rule_carrier((uint8_t)props, NULL));
    }
}

static void room_is_by_host_network_and_in_all(void **state)
{
    static const struct {
        struct hop_room r;
        bool has;
    } rows[] = {
        {{0, 0, 0, 4, 3, 2, false}, true},  {{3, 2, 1, 4, 3, 2, false}, true},
        {{3, 2, 2, 4, 3, 2, false}, false}, {{3, 3, 1, 4, 3, 2, false}, false},
        {{4, 2, 1, 4, 3, 2, false}, false}, {{4, 2, 1, 4, 3, 2, true}, true},
        {{4, 3, 1, 4, 3, 2, true}, false},  {{4, 2, 2, 4, 3, 2, true}, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(hop_rule_room(&rows[i].r), rows[i].has);
    }
}

static void bytes_are_counted_without_overflow(void **state)
{
    struct circuit_limit none = {0, 0}, some = {0, 100}, all = {0, UINT64_MAX};

    (void)state;
    assert_true(relayed_rule_data(&none, UINT64_MAX, UINT64_MAX));
    assert_true(relayed_rule_data(&some, 0, 100) && relayed_rule_data(&some, 99, 1));
    assert_false(relayed_rule_data(&some, 0, 101));
    assert_false(relayed_rule_data(&some, 100, 1));
    assert_false(relayed_rule_data(&some, 101, UINT64_MAX));
    assert_false(relayed_rule_data(&some, 50, UINT64_MAX));
    assert_true(relayed_rule_data(&all, UINT64_MAX, 0));
    assert_false(relayed_rule_data(&all, UINT64_MAX, 1));
}

static void terms_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(relayed_rule_term(2000, 1000), 1000);
    assert_int_equal(relayed_rule_term(1000, 1000), RELAYED_TERM_MIN);
    assert_int_equal(relayed_rule_term(0, 1000), RELAYED_TERM_MIN);
    assert_int_equal(relayed_rule_term(UINT64_MAX, 1000), RELAYED_TERM_MAX);
    assert_int_equal(relayed_rule_term(500, -1000), 500); /* a calendar that is not set */
}

static void who_gave_no_answer_is_asked_as_soon_as_it_is_linked(void **state)
{
    (void)state;
    assert_true(relayed_rule_early(false, false, 0));
    assert_false(relayed_rule_early(true, false, 0));
    assert_false(relayed_rule_early(false, true, 0));
    assert_false(relayed_rule_early(false, false, CIRCUIT_RESERVATION_REFUSED));
    assert_false(relayed_rule_early(false, false, CIRCUIT_OK)); /* and no place in it */
}

static void vouchers_are_for_us_and_not_over(void **state)
{
    struct peer_id us = {.len = 2, .b = {0, 1}}, other = {.len = 2, .b = {0, 2}};
    struct voucher v = {.peer = us, .expiration = 10000};

    (void)state;
    assert_int_equal(relayed_rule_voucher(&v, &us, 10000), QUDAG_OK);
    assert_int_equal(relayed_rule_voucher(&v, &other, 10000), QUDAG_EAUTH);
    assert_int_equal(relayed_rule_voucher(&v, &us, 10000 + RELAYED_VOUCHER_SKEW), QUDAG_OK);
    assert_int_equal(relayed_rule_voucher(&v, &us, 10001 + RELAYED_VOUCHER_SKEW), QUDAG_EEXPIRED);
    v.expiration = 0;
    assert_int_equal(relayed_rule_voucher(&v, &us, -5), QUDAG_OK);
    assert_int_equal(relayed_rule_voucher(&v, &us, RELAYED_VOUCHER_SKEW), QUDAG_OK);
}

static void a_reset_at_the_limit_is_the_limit(void **state)
{
    static const struct {
        struct relayed_end e;
        qudag_err err;
    } rows[] = {
        {{QUDAG_ERESET, {0, 0}, 1000, 1000, NS_PER_S}, QUDAG_ERESET},
        {{QUDAG_ERESET, {0, 1000}, 874, 874, 0}, QUDAG_ERESET},
        {{QUDAG_ERESET, {0, 1000}, 875, 0, 0}, QUDAG_ELIMIT},
        {{QUDAG_ERESET, {0, 1000}, 0, 1001, 0}, QUDAG_ELIMIT},
        {{QUDAG_ERESET, {80, 0}, 0, 0, 69 * NS_PER_S}, QUDAG_ERESET},
        {{QUDAG_ERESET, {80, 0}, 0, 0, 70 * NS_PER_S}, QUDAG_ELIMIT},
        {{QUDAG_OK, {0, 1000}, 1000, 0, 0}, QUDAG_OK},
        {{QUDAG_ETIMEOUT, {0, 1000}, 1000, 0, 0}, QUDAG_ETIMEOUT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(relayed_rule_end(&rows[i].e), rows[i].err);
    }
}

static void messages_come_whole_out_of_any_split(void **state)
{
    static uint8_t bytes[RELAYED_FRAME_MAX + 7];
    struct mem mem;
    size_t len = 300, whole = len + 2;

    (void)state;
    mem_init(&mem, NULL, 0);
    bytes[0] = (uint8_t)(0x80 | (len & 0x7f));
    bytes[1] = (uint8_t)(len >> 7);
    for (size_t i = 0; i < len; i++) {
        bytes[2 + i] = (uint8_t)i;
    }
    for (size_t cut = 0; cut <= whole; cut++) {
        struct dyn d;
        struct slice a = {bytes, cut}, b = {bytes + cut, whole - cut + 7}, body = {NULL, 0};
        dyn_init(&d, &mem, RELAYED_FRAME_MAX);
        qudag_err err = relayed_frame_take(&d, &a, &body);
        assert_int_equal(err, cut < whole ? QUDAG_EAGAIN : QUDAG_OK);
        assert_int_equal(a.len, 0);
        if (err == QUDAG_EAGAIN) {
            assert_int_equal(relayed_frame_take(&d, &b, &body), QUDAG_OK);
            assert_int_equal(b.len, 7); /* what follows is left */
        }
        assert_int_equal(body.len, len);
        assert_memory_equal(body.base, bytes + 2, len);
        dyn_fini(&d);
    }
    assert_int_equal(mem.used, 0);
}

static void lengths_are_minimal_and_limited(void **state)
{
    static const struct {
        uint8_t b[3];
        qudag_err err;
    } rows[] = {
        {{0x80, 0x00, 0}, QUDAG_EMALFORMED}, {{0x81, 0x20, 0}, QUDAG_ETOOBIG},
        {{0x80, 0x20, 0}, QUDAG_EAGAIN}, /* 4096 */
        {{0xff, 0xff, 0x01}, QUDAG_ETOOBIG}, {{0x80, 0x80, 0x01}, QUDAG_ETOOBIG},
    };
    struct mem mem;

    (void)state;
    mem_init(&mem, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dyn d;
        struct slice in = {rows[i].b, 3}, body;
        dyn_init(&d, &mem, RELAYED_FRAME_MAX);
        assert_int_equal(relayed_frame_take(&d, &in, &body), rows[i].err);
        dyn_fini(&d);
    }
    assert_int_equal(mem.used, 0);
}

static void the_tighter_limit_holds_for_strangers(void **state)
{
    const struct circuit_limit none = {0, 0}, l = {100, 5000}, st = {60, 9000};
    (void)state;

    assert_int_equal(hop_rule_limit(&l, &st, true).duration_s, 100);
    assert_int_equal(hop_rule_limit(&l, &st, true).data, 5000);
    assert_int_equal(hop_rule_limit(&l, &st, false).duration_s, 60);
    assert_int_equal(hop_rule_limit(&l, &st, false).data, 5000);
    assert_int_equal(hop_rule_limit(&none, &st, false).data, 9000);
    assert_int_equal(hop_rule_limit(&l, &none, false).duration_s, 100);
    assert_int_equal(hop_rule_limit(&none, &none, false).data, 0);
}

/* Whoever wants to reach us would send to whom it names. */
static void a_relay_is_where_it_was_reached(void **state)
{
    static const struct {
        struct netaddr reached, said;
        bool ours;
    } rows[] = {
        {{4, {22, 1, 0, 1}, 4001, 0}, {4, {66, 6, 6, 6}, 4001, 0}, true},
        {{4, {22, 1, 0, 1}, 4001, 0}, {4, {22, 1, 0, 1}, 5001, 0}, false}, /* another port of it */
        {{4, {22, 1, 0, 1}, 4001, 0}, {6, {0x2a, 1, 4}, 4001, 0}, false},
        {{4, {10, 1, 0, 1}, 4001, 0}, {4, {66, 6, 6, 6}, 4001, 0}, false}, /* at home */
        {{6, {0x2a, 1, 4}, 4001, 0}, {6, {0x2a, 1, 5}, 4001, 0}, true},
    };
    struct multiaddr reached, said, name = {.len = 0};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        multiaddr_quic(&reached, &rows[i].reached, NULL);
        multiaddr_quic(&said, &rows[i].said, NULL);
        assert_int_equal(relayed_rule_where(&reached, &said), rows[i].ours);
    }
    multiaddr_quic(&reached, &rows[0].reached, NULL);
    assert_true(relayed_rule_where(&reached, &name));
    assert_false(relayed_rule_where(&name, &reached));
}

static void only_nodes_of_this_project_take_bytes_before_the_answer(void **state)
{
    (void)state;

    assert_true(relayed_rule_early_bytes(LINK_QUDAG | LINK_PQ_KEX));
    assert_false(relayed_rule_early_bytes(LINK_PQ_KEX | LINK_INBOUND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_direct_links_with_known_peers_carry),
        cmocka_unit_test(room_is_by_host_network_and_in_all),
        cmocka_unit_test(bytes_are_counted_without_overflow),
        cmocka_unit_test(terms_are_bounded),
        cmocka_unit_test(who_gave_no_answer_is_asked_as_soon_as_it_is_linked),
        cmocka_unit_test(vouchers_are_for_us_and_not_over),
        cmocka_unit_test(a_reset_at_the_limit_is_the_limit),
        cmocka_unit_test(messages_come_whole_out_of_any_split),
        cmocka_unit_test(lengths_are_minimal_and_limited),
        cmocka_unit_test(the_tighter_limit_holds_for_strangers),
        cmocka_unit_test(a_relay_is_where_it_was_reached),
        cmocka_unit_test(only_nodes_of_this_project_take_bytes_before_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
