/* peer_record_test.c - what is accepted as a peer record of the DHT, and what goes into ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/init.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define NOW 1800000000

static struct secret_ed25519 sk[2];
static struct peer_id id[2];
static struct mem mem;
static uint8_t key[NODE_PEER_KEY_MAX];
static size_t key_len;

static int setup(void **state)
{
    (void)state;
    mem_init(&mem, NULL, 0);
    if (crypto_init() != QUDAG_OK) {
        return -1;
    }
    for (size_t i = 0; i < 2; i++) {
        uint8_t pk[ED25519_PK_LEN];
        sk[i].seed[0] = (uint8_t)(i + 1);
        if (ed25519_public(pk, &sk[i]) != QUDAG_OK) {
            return -1;
        }
        peer_id_from_ed25519(&id[i], pk);
    }
    key_len = node_rule_peer_key(key, &id[0]);
    return 0;
}

/* The record of peer |who| with that number, into |buf|. */
static struct slice record(uint8_t buf[NODE_PEER_RECORD_MAX], size_t who, uint64_t seq)
{
    static struct peer_record r;
    struct wr w = wr_init(buf, NODE_PEER_RECORD_MAX);

    r = (struct peer_record){.peer = id[who], .seq = seq, .n_addrs = 1};
    multiaddr_quic(&r.addr[0], &(struct netaddr){4, {5, 9, 1, 1}, 4001, 0}, NULL);
    assert_int_equal(peer_record_sign(&w, &r, &sk[who]), QUDAG_OK);
    return (struct slice){buf, w.len};
}

static qudag_err check(struct slice value, walltime now, walltime *expires)
{
    static struct peer_record r;

    *expires = now + KAD_RECORD_LIFE;
    return node_rule_peer_record(&r, (struct slice){key, key_len}, value, now, expires);
}

static void a_record_is_its_peers_own_and_ends_by_its_number(void **state)
{
    uint8_t buf[NODE_PEER_RECORD_MAX];
    walltime until;
    static struct peer_record r;
    (void)state;

    struct slice mine = record(buf, 0, NOW);
    assert_int_equal(check(mine, NOW, &until), QUDAG_OK);
    assert_int_equal(until, NOW + NODE_PEER_RECORD_LIFE);
    assert_int_equal(check(mine, NOW + 3600, &until), QUDAG_OK); /* stored again: not longer */
    assert_int_equal(until, NOW + NODE_PEER_RECORD_LIFE);
    assert_int_equal(check(mine, NOW + NODE_PEER_RECORD_LIFE - 1, &until), QUDAG_OK);
    assert_int_equal(check(mine, NOW + NODE_PEER_RECORD_LIFE, &until), QUDAG_EEXPIRED);
    assert_int_equal(check(mine, NOW - NODE_PEER_RECORD_AHEAD, &until), QUDAG_OK);
    assert_int_equal(check(mine, NOW - NODE_PEER_RECORD_AHEAD - 1, &until), QUDAG_ECLOCK);
    assert_int_equal(check(record(buf, 0, UINT64_MAX), NOW, &until), QUDAG_ECLOCK);
    assert_int_equal(check(record(buf, 0, UINT64_MAX - 10), NOW, &until), QUDAG_ECLOCK);
    assert_int_equal(check(record(buf, 1, NOW), NOW, &until), QUDAG_EAUTH); /* another's */
    mine = record(buf, 0, NOW);
    for (size_t i = 0; i < mine.len; i++) {
        assert_int_not_equal(check((struct slice){buf, i}, NOW, &until), QUDAG_OK);
    }
    buf[mine.len - 1] ^= 1;
    assert_int_not_equal(check(mine, NOW, &until), QUDAG_OK);
    assert_int_equal(node_rule_peer_record(&r, (struct slice){key, 5}, mine, NOW, &until),
                     QUDAG_EMALFORMED);
}

static void of_two_the_newer_wins(void **state)
{
    uint8_t a[NODE_PEER_RECORD_MAX], b[NODE_PEER_RECORD_MAX];
    struct slice k = {key, key_len};
    (void)state;

    struct slice old = record(a, 0, NOW), fresh = record(b, 0, NOW + 60);
    assert_true(node_rule_newer_record(&mem, k, fresh, old) > 0);
    assert_true(node_rule_newer_record(&mem, k, old, fresh) < 0);
    assert_int_equal(node_rule_newer_record(&mem, k, old, old), 0);
    struct slice other = record(b, 1, NOW + 60);
    assert_true(node_rule_newer_record(&mem, k, old, other) > 0);
    assert_int_equal(mem.used, 0);
}

static void what_goes_into_ours(void **state)
{
    struct reach_addr a = {.source = REACH_OBSERVED, .announced = true};
    (void)state;

    assert_false(node_rule_published(&a)); /* others saw it, nobody tried it */
    a.verdict = REACH_CONFIRMED;
    assert_true(node_rule_published(&a));
    a.announced = false;
    assert_false(node_rule_published(&a));
    a = (struct reach_addr){.source = REACH_BOUND, .announced = true};
    assert_true(node_rule_published(&a));
    a.verdict = REACH_REFUTED;
    assert_false(node_rule_published(&a));
    a = (struct reach_addr){.source = REACH_BOUND};
    assert_false(node_rule_published(&a)); /* a LAN address is never announced */
}

static void who_gives_places_away(void **state)
{
    (void)state;

    assert_true(node_rule_serves(NODE_SERVES_YES, false, false, true));
    assert_false(node_rule_serves(NODE_SERVES_NO, true, true, false));
    assert_true(node_rule_serves(NODE_SERVES_AUTO, true, true, false));
    assert_false(node_rule_serves(NODE_SERVES_AUTO, false, true, false));
    assert_false(
        node_rule_serves(NODE_SERVES_AUTO, true, false, false)); /* it only uses circuits */
    assert_false(node_rule_serves(NODE_SERVES_AUTO, true, true, true));
}

/* Who does not want to be found tells nobody where it is. */
static void who_is_not_to_be_reached_publishes_nothing(void **state)
{
    static const enum node_reachable setting[] = {NODE_REACHABLE_NO, NODE_REACHABLE_YES};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(setting); i++) {
        struct node_config c = nt_config(&net, i);
        c.reachable = setting[i];
        nt_begin(i, &c);
        struct node *n = net.node[i].node;
        struct multiaddr own; /* the operator may tell links of it all the same */
        multiaddr_quic(&own, &net.node[i].addr, NULL);
        node_set_announced(n, &own, 1);
        assert_int_equal(node_addrs_told(n), 1);
        (void)nt_run(&net, NS_PER_S, NULL);
        n->published.due = net.now; /* as if there had been something to tell */
        node_published_review(n);
        assert_int_equal(n->published.due == TSTAMP_NEVER, setting[i] == NODE_REACHABLE_NO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_its_peers_own_and_ends_by_its_number),
        cmocka_unit_test(of_two_the_newer_wins),
        cmocka_unit_test(what_goes_into_ours),
        cmocka_unit_test(who_gives_places_away),
        NT_TEST(who_is_not_to_be_reached_publishes_nothing),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
