/* What others ask of one kad object, good and bad: what it answers, and why it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/serve_bed.h"

#include <stdio.h>

/* ---- digests ---- */

static void a_digest_read_is_answered_with_the_hash_of_the_value_held(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_peer_info p = peer(1);
    struct kad_msg store = put(S("/v/a"), S("v1 first"));
    struct kad_msg get = {.type = KAD_GET_VALUE, .key = S("/v/a"), .want_digest = true}, got;
    uint8_t want[SHA256_LEN];

    come(b, 1, &p.id);
    ask(b, 1, &get);
    got = answer(b);
    assert_false(got.has_digest || got.has_record);

    ask(b, 1, &store);
    ask(b, 1, &get);
    got = answer(b);
    sha256(want, S("v1 first"));
    assert_true(got.has_digest);
    assert_memory_equal(got.digest, want, SHA256_LEN);
    assert_false(got.has_record);

    store = put(S("/v/a"), S("v2 second"));
    ask(b, 1, &store);
    ask(b, 1, &get);
    got = answer(b);
    sha256(want, S("v2 second"));
    assert_memory_equal(got.digest, want, SHA256_LEN);

    get.want_digest = false; /* as everybody else asks */
    ask(b, 1, &get);
    got = answer(b);
    assert_true(got.has_record && !got.has_digest);
    assert_int_equal(got.rec_value.len, 9);
    bed_free(b);
}

static void a_digest_asked_for_with_another_request_changes_nothing(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_peer_info p = peer(1);
    struct kad_msg find = {.type = KAD_FIND_NODE, .key = S("/v/a"), .want_digest = true}, got;

    come(b, 1, &p.id);
    struct kad_msg store = put(S("/v/a"), S("v1"));
    ask(b, 1, &store);
    ask(b, 1, &find);
    got = answer(b);
    assert_false(got.has_digest || got.has_record);
    bed_free(b);
}

/* ---- refusals ---- */

static void each_refusal_has_a_name_a_text_and_a_total(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);

    for (unsigned r = 0; r < KAD_REFUSALS; r++) {
        struct kad_stats s;
        uint64_t sum = 0;
        kad_refuse(&b->k->env, (enum kad_refusal)r);
        assert_int_equal(b->logged, r + 1);
        assert_string_equal(b->reason, kad_refusal_name((enum kad_refusal)r));
        assert_true(strlen(kad_refusal_text((enum kad_refusal)r)) > 10);
        for (unsigned o = 0; o < r; o++) {
            assert_string_not_equal(kad_refusal_name((enum kad_refusal)o), b->reason);
        }
        kad_stats_get(b->k, &s);
        for (unsigned i = 0; i < KAD_REFUSALS; i++) {
            sum += s.refused[i];
        }
        assert_int_equal(sum, r + 1);
        assert_int_equal(s.bad_messages + s.refused_records + s.dropped_peers, sum);
    }
    assert_string_equal(kad_refusal_name(KAD_REFUSALS), "?");
    assert_string_equal(kad_refusal_text(KAD_REFUSALS), "?");
    bed_free(b);
}

static void a_record_is_refused_for_what_is_wrong_with_it(void **state)
{
    (void)state;
    static uint8_t big[4001] = {'v'};
    struct kad_peer_info other = peer(2), nowhere = peer(1);
    nowhere.n_addrs = 0;
    struct kad_msg elsewhere = put(S("/v/a"), S("v"));
    elsewhere.rec_key = S("/v/b");
    const struct {
        enum kad_refusal why;
        struct kad_msg m;
    } cases[] = {
        {KAD_REFUSED_NO_RECORD, {.type = KAD_PUT_VALUE, .key = S("/v/a")}},
        {KAD_REFUSED_OTHER_KEY, elsewhere},
        {KAD_REFUSED_NAMESPACE, put(S("/x/a"), S("v"))},
        {KAD_REFUSED_NAMESPACE, put(S("/va"), S("v"))},
        {KAD_REFUSED_NAMESPACE, put(S("v"), S("v"))},
        {KAD_REFUSED_VALUE_SIZE, put(S("/v/a"), (struct slice){big, sizeof(big)})},
        {KAD_REFUSED_INVALID, put(S("/v/a"), S("!forged"))},
        {KAD_REFUSED_INVALID, put(S("/v/a"), S(""))},
        {KAD_REFUSED_EXPIRED, put(S("/v/a"), S("e"))},
        {KAD_REFUSED_EXPIRED, put(S("/v/a"), S("E"))},
        {KAD_REFUSED_CLOCK, put(S("/v/a"), S("c"))},
        {KAD_REFUSED_STALE, put(S("/v/held"), S("v1"))},
        {KAD_REFUSED_NO_RECORD, {.type = KAD_ADD_PROVIDER, .key = S("k")}},
        {KAD_REFUSED_PROVIDER_OTHER,
         {.type = KAD_ADD_PROVIDER, .key = S("k"), .n_providers = 1, .providers = &other}},
        {KAD_REFUSED_PROVIDER_ADDR,
         {.type = KAD_ADD_PROVIDER, .key = S("k"), .n_providers = 1, .providers = &nowhere}},
        {KAD_REFUSED_NO_KEY, {.type = KAD_GET_VALUE}},
        {KAD_REFUSED_NO_KEY, {.type = KAD_FIND_NODE}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bed *b = bed_new(NULL);
        struct kad_peer_info p = peer(1);
        struct kad_stats s;
        struct kad_msg held = put(S("/v/held"), S("v2"));

        come(b, 1, &p.id);
        ask(b, 1, &held);
        assert_int_equal(acts_of(b, ACT_RESET), 0);
        ask(b, 1, &cases[i].m);
        assert_int_equal(acts_of(b, ACT_RESET), 1);
        assert_int_equal(acts_of(b, ACT_WRITE), 0);
        assert_int_equal(refused(b, cases[i].why), 1);
        assert_int_equal(b->logged, 1);
        kad_stats_get(b->k, &s);
        assert_int_equal(s.records, 1);
        assert_int_equal(s.providers, 0);
        bed_free(b);
    }
}

static void a_message_is_refused_for_what_is_wrong_with_it(void **state)
{
    (void)state;
    static uint8_t long_key[5 + KAD_KEY_MAX + 1]; /* two lengths, a tag, the key */
    static const struct {
        enum kad_refusal why;
        struct slice data;
    } cases[] = {
        {KAD_REFUSED_OVERSIZED, {(const uint8_t *)"\x81\x80\x04", 3}}, /* 65,537 bytes */
        {KAD_REFUSED_OVERSIZED, {(const uint8_t *)"\xff\xff\xff\xff\x7f", 5}},
        {KAD_REFUSED_MALFORMED, {(const uint8_t *)"\x03\xff\xff\xff", 4}},
        {KAD_REFUSED_MALFORMED, {(const uint8_t *)"\x02\x10\x01", 3}}, /* the key a number */
        {KAD_REFUSED_UNKNOWN_TYPE, {(const uint8_t *)"\x02\x08\x09", 3}},
        {KAD_REFUSED_FIELD_SIZE, {long_key, sizeof(long_key)}},
    };
    size_t body = sizeof(long_key) - 2;
    long_key[0] = (uint8_t)(0x80u | (body & 0x7fu));
    long_key[1] = (uint8_t)(body >> 7);
    long_key[2] = 0x12;
    long_key[3] = (uint8_t)(0x80u | ((body - 3) & 0x7fu));
    long_key[4] = (uint8_t)((body - 3) >> 7);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bed *b = bed_new(NULL);
        struct kad_peer_info p = peer(1);

        come(b, 1, &p.id);
        say(b, 1, cases[i].data);
        assert_int_equal(acts_of(b, ACT_RESET), 1);
        assert_int_equal(refused(b, cases[i].why), 1);
        assert_int_equal(b->logged, 1);
        bed_free(b);
    }
}

static void a_message_that_ends_too_early_is_refused(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_peer_info p = peer(1);

    come(b, 1, &p.id);
    say(b, 1, S("\x20half of it"));
    assert_int_equal(b->out.n, 0);
    tell(b, &(struct ev){.type = EV_FIN, .strm = {1, 1}});
    assert_int_equal(acts_of(b, ACT_RESET), 1);
    assert_int_equal(acts_of(b, ACT_FIN), 0);
    assert_int_equal(refused(b, KAD_REFUSED_MALFORMED), 1);
    bed_free(b);
}

static void the_same_message_twice_is_answered_twice_and_stored_once(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_peer_info p = peer(1);
    struct kad_stats s;
    struct kad_msg store = put(S("/v/a"), S("v1"));

    come(b, 1, &p.id);
    for (int i = 0; i < 3; i++) {
        ask(b, 1, &store);
        assert_int_equal(answer(b).type, KAD_PUT_VALUE);
    }
    kad_stats_get(b->k, &s);
    assert_int_equal(s.records, 1);
    assert_int_equal(b->logged, 0);
    bed_free(b);
}

static void a_full_store_and_missing_memory_are_told_apart(void **state)
{
    (void)state;
    struct kad_config c = {.lab = true, .records_max = 1};
    struct bed *b = bed_new(&c);
    struct kad_peer_info p = peer(1);
    unsigned full = 0;

    for (unsigned i = 0; i < 20; i++) { /* nearer ones take the place, farther ones do not */
        uint8_t key[4] = {'/', 'v', '/', (uint8_t)('a' + i)};
        struct kad_msg m = put((struct slice){key, 4}, S("v"));
        come(b, i + 1, &p.id);
        b->now += 3600 * NS_PER_S;
        ask(b, i + 1, &m);
        full += acts_of(b, ACT_RESET) > 0 ? 1 : 0;
    }
    assert_true(full > 0 && full < 20);
    assert_int_equal(refused(b, KAD_REFUSED_FULL), full);
    bed_free(b);

    b = bed_new(NULL);
    struct kad_msg one = put(S("/v/z"), S("v"));
    come(b, 100, &p.id);
    b->mem.max = b->mem.used;
    ask(b, 100, &one);
    assert_int_equal(refused(b, KAD_REFUSED_NO_MEMORY), 1);
    b->mem.max = 0;
    bed_free(b);
}

static void a_peer_that_sends_without_reading_answers_is_cut_off(void **state)
{
    (void)state;
    static uint8_t buf[32 * KAD_MSG_MAX], value[4000] = {'v'};
    struct bed *b = bed_new(NULL);
    struct kad_peer_info p = peer(1);
    struct kad_msg get = {.type = KAD_GET_VALUE, .key = S("/v/a")};
    struct kad_msg store = put(S("/v/a"), (struct slice){value, sizeof(value)});
    size_t len = 0, one;
    unsigned rounds = 0;

    come(b, 1, &p.id);
    ask(b, 1, &store);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(kad_msg_encode(buf + len, KAD_MSG_MAX, &one, &get), QUDAG_OK);
        len += one;
    }
    while (rounds < 10000 && acts_of(b, ACT_RESET) == 0) {
        b->now += NS_PER_S;
        say(b, 1, (struct slice){buf, len});
        rounds++;
    }
    assert_true(rounds < 10000);
    assert_int_equal(refused(b, KAD_REFUSED_UNREAD), 1);
    assert_true(b->mem.used < 2 * (KAD_MSG_IN_MAX + 3) + sizeof(struct kad_scratch) + 65536);
    bed_free(b);
}

static void halves_of_requests_are_kept_in_bounded_memory(void **state)
{
    (void)state;
    static uint8_t half[60000] = {0xff, 0xff, 0x03}; /* of a message of 65,535 bytes */
    struct bed *b = bed_new(NULL);
    size_t before = b->mem.used;
    unsigned kept = 0;

    for (uint32_t slot = 0; slot < 1000; slot++) {
        struct kad_peer_info p = peer(slot / 10);
        come(b, slot, &p.id);
        say(b, slot, (struct slice){half, sizeof(half)});
        kept += acts_of(b, ACT_RESET) == 0 ? 1 : 0;
        assert_true(slot != 9 || kept == KAD_UNREAD_CLIENT / sizeof(half));
    }
    assert_int_equal(kept, KAD_UNREAD_MAX / sizeof(half));
    assert_int_equal(refused(b, KAD_REFUSED_UNREAD), 1000 - kept);
    assert_true(b->mem.used - before < 2 * KAD_UNREAD_MAX);
    for (uint32_t slot = 0; slot < 1000; slot++) {
        go(b, slot);
    }
    assert_int_equal(b->k->server.buffered, 0);
    bed_free(b);
}

static void what_was_kept_for_a_stream_no_longer_counts_when_it_ends(void **state)
{
    (void)state;
    static uint8_t half[60000] = {0xff, 0xff, 0x03}; /* of a message of 65,535 bytes */
    struct bed *b = bed_new(NULL);
    struct kad_peer_info p = peer(1);

    come(b, 1000, &p.id); /* stays: the client is not forgotten meanwhile */
    for (uint32_t slot = 0; slot < 2 * KAD_UNREAD_CLIENT / sizeof(half); slot++) {
        come(b, slot, &p.id);
        say(b, slot, (struct slice){half, sizeof(half)});
        assert_int_equal(acts_of(b, ACT_RESET), 0);
        go(b, slot);
    }
    bed_free(b);
}

/* ---- closer peers ---- */

static void an_answer_names_k_peers_and_us_among_them_if_we_are_looked_for(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_peer_info asker = peer(1), us = peer(99);
    struct kad_msg find = {.type = KAD_FIND_NODE, .key = peer_id_slice(&b->k->env.self)}, got;

    kad_set_addrs(b->k, us.addr, 1);
    for (unsigned i = 100; i < 140; i++) {
        struct kad_peer_info p = peer(i);
        kad_preload(b->k, &p, 10 * NS_PER_MS, b->now);
    }
    come(b, 1, &asker.id);
    ask(b, 1, &find);
    got = answer(b);
    assert_int_equal(got.n_closer, KAD_K);
    assert_true(peer_id_eq(&got.closer[0].id, &b->k->env.self));
    bed_free(b);
}

static void peers_with_long_addresses_fit_an_answer_with_fewer_of_them(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    static uint8_t value[4000] = {'v'};
    struct kad_peer_info asker = peer(1);
    struct kad_msg store = put(S("/v/a"), (struct slice){value, sizeof(value)});
    struct kad_msg get = {.type = KAD_GET_VALUE, .key = S("/v/a")}, got;
    char text[256];

    for (unsigned i = 100; i < 130; i++) {
        struct kad_peer_info p = peer(i);
        for (p.n_addrs = 0; p.n_addrs < KAD_ADDRS_MAX; p.n_addrs++) {
            (void)snprintf(text, sizeof(text), "/dns4/%0160u.example/udp/4001/quic-v1",
                           10 * i + p.n_addrs);
            assert_int_equal(multiaddr_parse(&p.addr[p.n_addrs], text), QUDAG_OK);
        }
        kad_preload(b->k, &p, 10 * NS_PER_MS, b->now);
    }
    come(b, 1, &asker.id);
    ask(b, 1, &store);
    ask(b, 1, &get);
    got = answer(b);
    assert_int_equal(got.rec_value.len, sizeof(value));
    assert_int_equal(got.n_closer, KAD_K);
    assert_in_range(got.closer[0].n_addrs, 1, KAD_ADDRS_MAX - 1);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digest_read_is_answered_with_the_hash_of_the_value_held),
        cmocka_unit_test(a_digest_asked_for_with_another_request_changes_nothing),
        cmocka_unit_test(each_refusal_has_a_name_a_text_and_a_total),
        cmocka_unit_test(a_record_is_refused_for_what_is_wrong_with_it),
        cmocka_unit_test(a_message_is_refused_for_what_is_wrong_with_it),
        cmocka_unit_test(a_message_that_ends_too_early_is_refused),
        cmocka_unit_test(a_full_store_and_missing_memory_are_told_apart),
        cmocka_unit_test(a_peer_that_sends_without_reading_answers_is_cut_off),
        cmocka_unit_test(halves_of_requests_are_kept_in_bounded_memory),
        cmocka_unit_test(the_same_message_twice_is_answered_twice_and_stored_once),
        cmocka_unit_test(what_was_kept_for_a_stream_no_longer_counts_when_it_ends),
        cmocka_unit_test(an_answer_names_k_peers_and_us_among_them_if_we_are_looked_for),
        cmocka_unit_test(peers_with_long_addresses_fit_an_answer_with_fewer_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
