/* TEST: timeout=120 */
/* Storing: when it begins, whom it reaches, when it is reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kad_net_say.h"

#define N 400

static struct net net;

static struct {
    size_t author;
    const char *key;
    unsigned stores, finds;
    unsigned of[N];
    tstamp first_store, last_find;
} seen;

static void see(struct net *n, size_t from, size_t to, struct slice data)
{
    struct kad_msg m = net_request(data);

    if (from != seen.author || !kad_slice_eq(m.key, net_text(seen.key))) {
        return;
    }
    if (m.type == KAD_FIND_NODE) {
        seen.finds++;
        seen.last_find = n->now;
    } else {
        assert_true(m.type == KAD_PUT_VALUE || m.type == KAD_ADD_PROVIDER);
        seen.first_store = seen.stores == 0 ? n->now : seen.first_store;
        seen.stores++;
        seen.of[to]++;
    }
}

static void watch(size_t author, const char *key)
{
    memset(&seen, 0, sizeof(seen));
    seen.key = key;
    seen.author = author;
    net.watch = see;
}

/* An author that knows the size of the network. */
static void begin(size_t author)
{
    char key[24];

    net_filled(&net, N);
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(key, sizeof(key), "other %u", i);
        assert_int_equal(net_find(&net, author, key), QUDAG_OK);
    }
    watch(author, "/v/key");
}

static void settle(void)
{
    net_run(&net, net.now + 30 * NS_PER_S);
}

static size_t holders(const char *key)
{
    size_t n = 0;

    for (size_t i = 0; i < N; i++) {
        n += net_holds(&net, i, key);
    }
    return n;
}

static unsigned targets(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < N; i++) {
        assert_true(seen.of[i] <= 1); /* nobody is sent it twice */
        n += seen.of[i];
    }
    return n;
}

static void stores_begin_before_the_lookup_is_over(void **state)
{
    (void)state;
    unsigned early = 0;
    char key[24];

    begin(3);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(key, sizeof(key), "/v/key%u", i);
        watch(3, key);
        assert_int_equal(net_ask_with(&net, 3, key, "value", NULL), QUDAG_OK);
        assert_true(net.done.n_peers >= 15);
        settle();
        early += seen.first_store < seen.last_find;
        assert_in_range(holders(key), KAD_K, KAD_K + 6);
        assert_in_range(targets(), KAD_K - 1, KAD_K + 6); /* we may hold one ourselves */
    }
    print_message("%u of 20 puts stored before their lookup was over\n", early);
    assert_true(early >= 15);
    net_fini(&net);
}

static void a_newcomer_stores_when_its_lookup_is_over(void **state)
{
    (void)state;
    net_filled(&net, N);
    watch(3, "/v/key");
    assert_int_equal(net_ask_with(&net, 3, "/v/key", "value", NULL), QUDAG_OK);
    settle();
    assert_true(seen.first_store > seen.last_find);
    assert_in_range(holders("/v/key"), KAD_K, KAD_K + 1);
    net_fini(&net);
}

/* Silent when a value is sent to it, else as it should be. */
static void misbehave_silent(struct net *n, size_t node, struct ref strm, struct slice data)
{
    enum kad_type type = net_request(data).type;

    if (type != KAD_PUT_VALUE && type != KAD_ADD_PROVIDER) {
        net_honest(n, node, strm, data);
    }
}

static void misbehave_refuse(struct net *n, size_t node, struct ref strm, struct slice data)
{
    if (net_request(data).type == KAD_PUT_VALUE) {
        net_send(n, node, strm, EV_RESET, (struct slice){NULL, 0});
    } else {
        net_honest(n, node, strm, data);
    }
}

/* It says it stored something else. */
static void misbehave_other(struct net *n, size_t node, struct ref strm, struct slice data)
{
    struct kad_msg req = net_request(data);

    if (req.type != KAD_PUT_VALUE) {
        net_honest(n, node, strm, data);
        return;
    }
    req.rec_value = net_text("other");
    net_say(n, node, strm, &req);
}

static void
who_is_late_refuses_or_stores_something_else_is_replaced_by_the_next_closest(void **state)
{
    (void)state;
    static void (*const misbehaviours[])(struct net *, size_t, struct ref, struct slice) = {
        misbehave_silent, misbehave_refuse, misbehave_other};
    size_t order[N];

    for (size_t l = 0; l < ARRAY_LEN(misbehaviours); l++) {
        begin(3);
        (void)net_order(&net, "/v/key", order);
        for (size_t i = 0; i < 16; i += 2) {
            net.node[order[i]].misbehave = misbehaviours[l];
        }
        assert_int_equal(net_ask_with(&net, 3, "/v/key", "value", NULL), QUDAG_OK);
        assert_true(net.done.n_peers >= 15);
        assert_true(net.done.failures >= (misbehaviours[l] == misbehave_silent ? 0u : 1u));
        settle();
        assert_int_equal(net.done.times, 1);
        assert_in_range(holders("/v/key"), KAD_K, KAD_K + 6);
        size_t right = 0, of = 0;
        for (size_t i = 0; of < KAD_K; i++) {
            if (net.node[order[i]].misbehave == NULL) {
                right += net_holds(&net, order[i], "/v/key");
                of++;
            }
        }
        print_message("%zu of the %d closest that take it\n", right, KAD_K);
        assert_true(right >= KAD_K - 2); /* those that answered the lookup */
        assert_true(targets() >= KAD_K + 8 - 1);
        net_fini(&net);
    }
}

static void a_value_that_every_node_refuses_is_sent_to_no_more_than_the_limit(void **state)
{
    (void)state;
    begin(3);
    for (size_t i = 0; i < N; i++) {
        net.node[i].misbehave = i == 3 ? NULL : misbehave_refuse;
    }
    assert_int_equal(net_ask_with(&net, 3, "/v/key", "value", NULL), QUDAG_EUNREACHABLE);
    settle();
    assert_int_equal(net.done.times, 1);
    print_message("sent to %u\n", targets());
    assert_in_range(targets(), KAD_K, KAD_TARGETS_MAX);
    net_fini(&net);
}

/* ---- quorum ---- */

static void the_quorum_asked_for_decides_when_a_put_is_reported(void **state)
{
    (void)state;
    static const uint32_t quorums[] = {1, 3, 10, 20};
    struct kad_options opt = {0};
    char key[24];
    tstamp took = 0;

    begin(3);
    for (size_t i = 0; i < ARRAY_LEN(quorums); i++) {
        opt.quorum = quorums[i];
        (void)snprintf(key, sizeof(key), "/v/key%zu", i);
        assert_int_equal(net_ask_with(&net, 3, key, "value", &opt), QUDAG_OK);
        /* of 20 no more than 3/4 are waited for */
        uint32_t least = quorums[i] < 15 ? quorums[i] : 15;
        assert_in_range(net.done.n_peers, least, least + 2);
        assert_true(net.done.took + NS_PER_S >= took);
        took = net.done.took;
        settle();
        assert_true(holders(key) >= KAD_K); /* the others get it all the same */
    }
    net_fini(&net);
}

static void a_quorum_that_is_not_reached_is_a_limit_with_those_who_stored(void **state)
{
    (void)state;
    struct kad_options opt = {.quorum = 4};
    size_t order[N];

    begin(3);
    (void)net_order(&net, "/v/key", order);
    for (size_t i = 0; i < N; i++) {
        net.node[i].misbehave = i == 3 || i == order[0] || i == order[1] ? NULL : misbehave_refuse;
    }
    assert_int_equal(net_ask_with(&net, 3, "/v/key", "value", &opt), QUDAG_EUNREACHABLE);
    assert_in_range(net.done.n_peers, 2, 3);
    opt.quorum = 2;
    assert_int_equal(net_ask_with(&net, 3, "/v/key", "value", &opt), QUDAG_OK);
    net_fini(&net);
}

static void a_namespace_has_its_own_quorum_and_the_caller_the_last_word(void **state)
{
    (void)state;
    const struct kad_validator v = {.ns = "q", .value_max = 100, .check = net_valid, .quorum = 5};
    struct kad_options opt = {.quorum = 2};

    begin(3);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(kad_namespace(net.node[i].kad, &v), QUDAG_OK);
    }
    assert_int_equal(net_ask_with(&net, 3, "/q/key", "value", NULL), QUDAG_OK);
    assert_in_range(net.done.n_peers, 5, 7);
    assert_int_equal(net_ask_with(&net, 3, "/q/other", "value", &opt), QUDAG_OK);
    assert_in_range(net.done.n_peers, 2, 4);
    net_fini(&net);
}

static void in_a_small_network_three_in_four_are_enough(void **state)
{
    (void)state;
    net_filled(&net, 9);
    for (size_t i = 0; i < 2; i++) {
        net.node[i].misbehave = misbehave_refuse;
    }
    assert_int_equal(net_ask_with(&net, 3, "/v/key", "value", NULL), QUDAG_OK);
    assert_int_equal(net.done.n_peers, 7); /* of 9 with ourselves */
    net.node[2].misbehave = net.node[4].misbehave = misbehave_refuse;
    assert_int_equal(net_ask_with(&net, 3, "/v/other", "value", NULL), QUDAG_EUNREACHABLE);
    assert_int_equal(net.done.n_peers, 5);
    net_fini(&net);
}

/* ---- the lookup of a put that has been reported ---- */

static void a_put_reported_early_continues_its_lookup(void **state)
{
    (void)state;
    struct kad_options opt = {.quorum = 1};
    struct kad_stats s;
    size_t order[N];
    char key[24];

    begin(3);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(key, sizeof(key), "/v/key%u", i);
        (void)net_order(&net, key, order);
        for (size_t d = 0; d < 4; d++) { /* some answer late, or not at all */
            net.node[order[2 * d]].dead = order[2 * d] != 3;
        }
        watch(3, key);
        assert_int_equal(net_ask_with(&net, 3, key, "value", &opt), QUDAG_OK);
        settle();
        assert_in_range(seen.finds, KAD_K - 4, 2 * KAD_K);
        assert_in_range(holders(key), KAD_K - 2, KAD_K + 6);
        for (size_t d = 0; d < 4; d++) {
            net.node[order[2 * d]].dead = false;
        }
        kad_backoff_reset(net.node[3].kad);
    }
    kad_stats_get(net.node[3].kad, &s);
    assert_int_equal(s.wide_searches, 0);
    net_fini(&net);
}

/* ---- providers ---- */

static void providing_reaches_the_closest_and_replaces_the_late(void **state)
{
    (void)state;
    const char *key = "\x12\x20topic";
    size_t order[N];

    begin(3);
    watch(3, key);
    (void)net_order(&net, key, order);
    for (size_t i = 0; i < 10; i += 2) {
        net.node[order[i]].misbehave = misbehave_silent;
    }
    assert_int_equal(net_ask(&net, 3, KAD_OP_PROVIDE, key, strlen(key), (struct slice){NULL, 0}),
                     QUDAG_OK);
    assert_true(net.done.n_peers >= 15);
    settle();
    size_t n = 0;
    for (size_t i = 0; i < N; i++) {
        struct kad_stats s;
        kad_stats_get(net.node[i].kad, &s);
        n += s.providers;
    }
    assert_in_range(n, KAD_K, KAD_K + 6);
    assert_true(targets() >= KAD_K + 5 - 1);
    assert_int_equal(
        net_ask(&net, 200, KAD_OP_PROVIDERS, key, strlen(key), (struct slice){NULL, 0}), QUDAG_OK);
    assert_int_equal(net.done.n_peers, 1);
    assert_true(peer_id_eq(&net.done.peer[0], &net.node[3].id));
    net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores_begin_before_the_lookup_is_over),
        cmocka_unit_test(a_newcomer_stores_when_its_lookup_is_over),
        cmocka_unit_test(
            who_is_late_refuses_or_stores_something_else_is_replaced_by_the_next_closest),
        cmocka_unit_test(a_value_that_every_node_refuses_is_sent_to_no_more_than_the_limit),
        cmocka_unit_test(the_quorum_asked_for_decides_when_a_put_is_reported),
        cmocka_unit_test(a_quorum_that_is_not_reached_is_a_limit_with_those_who_stored),
        cmocka_unit_test(a_namespace_has_its_own_quorum_and_the_caller_the_last_word),
        cmocka_unit_test(in_a_small_network_three_in_four_are_enough),
        cmocka_unit_test(a_put_reported_early_continues_its_lookup),
        cmocka_unit_test(providing_reaches_the_closest_and_replaces_the_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
