/*
 * hidden_kind_test.c - a record of kind hidden in a network of whole nodes: stored and found as any other; it names no
 * node, and where its keys are none nothing is tried instead.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#define SERVICE 5
#define CLIENT 0

static struct nt_ask *ask(size_t ix, const struct node_request *r)
{
    struct nt_node *t = &net.node[ix];
    size_t a = nt_ask(t, r);

    assert_int_not_equal(a, SIZE_MAX);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    return &t->ask[a];
}

/* A record for each place of the current period, put by a node that has none of its keys. */
static void store_hidden(const struct dark_keys *k)
{
    walltime now = node_wall(net.node[SERVICE].node, net.now);
    struct rng rng = rng_of_stream(&net.stream);
    struct dark_target t = {.kind = DARK_HIDDEN, .seq = 1, .number = 1};
    uint8_t key[DARK_KEY_LEN], rec[DARK_RECORD_LEN];

    t.hidden.n_intros = DARK_INTROS_MAX;
    for (uint8_t i = 0; i < DARK_INTROS_MAX; i++) {
        t.hidden.intro[i].relay = net.node[1 + i].peer;
        t.hidden.intro[i].key[0] = i;
    }
    t.at.period = dark_period(now);
    t.not_before = now - now % 3600;
    t.expires = t.not_before + 14 * 3600;
    for (t.at.replica = 0; t.at.replica < DARK_REPLICAS; t.at.replica++) {
        assert_int_equal(dark_record_make(rec, k, &t, &rng), QUDAG_OK);
        assert_int_equal(dark_dht_key(key, &k->addr, &t.at), QUDAG_OK);
        struct node_request put = {
            .kind = NODE_OP_PUT, .key = {key, sizeof key}, .value = {rec, sizeof rec}};
        const struct nt_ask *done = ask(CLIENT, &put);
        assert_int_equal(done->err, QUDAG_OK);
        assert_true(done->res.count >= 4);
    }
}

static void what_is_hidden_is_found_and_not_reached(void **state)
{
    struct dark_addr addr;
    struct ref s;
    (void)state;

    nt_join(6);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(node_dark_create(net.node[SERVICE].node, &nt_direct, "h", net.now, &addr),
                     QUDAG_OK);
    store_hidden(dark_own_get(node_dark(net.node[SERVICE].node), &addr));
    struct node_request r = {.kind = NODE_OP_DARK_RESOLVE, .dark = addr};
    for (int i = 0; i < 2; i++) { /* the second is remembered */
        const struct nt_ask *done = ask(CLIENT, &r);
        assert_int_equal(done->err, QUDAG_OK);
        assert_int_equal(done->res.cached, i == 1);
    }
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(nt_open_dark(net.node[CLIENT].node, &addr, "/test/1", &s), QUDAG_OK);
        (void)nt_run(&net, 60 * NS_PER_S, NULL);
        assert_int_equal(net.node[CLIENT].closed, i);
        assert_int_equal(net.node[CLIENT].closed_why, QUDAG_EUNREACHABLE);
        assert_int_equal(net.node[CLIENT].opened, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(what_is_hidden_is_found_and_not_reached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
