/* rekey_test.c - where the key of a node may go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relay_v2/hop_int.h"
#include "crypto/init.h"
#include "node/internal.h"
#include "node/rekey.h"
#include "node/testkit_case.h"
#include "upgrade/carrier.h"
#include "upgrade/upgrade_int.h"

#include <string.h>

#define NOW INT64_C(1800003600)

static struct rng_stream stream;
static struct rng rng;
static struct identity alice, bob;
static struct peer_id bob_id;

static int setup(void **state)
{
    static const uint8_t seed[32] = "rekey";

    (void)state;
    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    if (crypto_init() != QUDAG_OK || identity_generate(&alice, &rng) != QUDAG_OK ||
        identity_generate(&bob, &rng) != QUDAG_OK) {
        return -1;
    }
    peer_id_from_ed25519(&bob_id, bob.ed_pk);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    identity_fini(&alice);
    identity_fini(&bob);
    return 0;
}

/* What peers would not follow must not become our key: they would refuse us from then on. */
static void our_key_goes_where_peers_follow(void **state)
{
    struct identity next, other;
    uint8_t bytes[SUCCESSION_LEN];
    struct succession s;

    (void)state;
    assert_int_equal(identity_successor(&next, &alice, &rng), QUDAG_OK);
    assert_int_equal(identity_successor(&other, &alice, &rng), QUDAG_OK);
    assert_int_equal(succession_make(bytes, &alice, &next, 3, NOW, &rng), QUDAG_OK);
    assert_int_equal(succession_check(&s, (struct slice){bytes, sizeof bytes}, NOW), QUDAG_OK);
    assert_true(node_rule_rekey(&s, &alice, &next, 0));
    assert_true(node_rule_rekey(&s, &alice, &next, 2));
    assert_false(node_rule_rekey(&s, &alice, &next, 3)); /* they followed one of that number */
    assert_false(node_rule_rekey(&s, &alice, &other, 2));
    assert_false(node_rule_rekey(&s, &other, &next, 2));
    assert_false(node_rule_rekey(&s, &bob, &next, 2));
    assert_false(node_rule_rekey(&s, &alice, &bob, 2));
    next.ed_pk[0] ^= 1;
    assert_false(node_rule_rekey(&s, &alice, &next, 2));
    next.ed_pk[0] ^= 1;
    s.peer = bob_id;
    assert_false(node_rule_rekey(&s, &alice, &next, 2));
    identity_fini(&next);
    identity_fini(&other);
}

/* The old identity may be freed from then on: whoever signs, and whoever says who we are, has the new one. */
static void nothing_refers_to_the_old_identity(void **state)
{
    struct identity next;
    uint8_t bytes[SUCCESSION_LEN];
    struct slice said = {bytes, sizeof bytes};

    (void)state;
    struct node_config c = nt_config(&net, 0);
    c.circuit_relay.serve = NODE_SERVES_YES;
    c.tcp = true;
    nt_begin(0, &c);
    struct node *n = net.node[0].node;
    const struct identity *before = n->cfg.identity;
    assert_int_equal(identity_successor(&next, before, &rng), QUDAG_OK);
    assert_int_equal(succession_make(bytes, before, &next, 1, node_wall(n, net.now), &rng),
                     QUDAG_OK);
    assert_int_equal(node_rekey(n, &next, said, net.now), QUDAG_OK);
    const struct upgrade_carrier *relayed = (const void *)n->through.links; /* its first */
    assert_ptr_equal(relayed->up->cfg.identity, &next);
    const struct upgrade_carrier *tcp = (const void *)n->tcp; /* likewise; Noise signs with it */
    assert_ptr_equal(tcp->up->cfg.identity, &next);
    assert_ptr_equal(n->hop->cfg.sk, &next.ed_sk);
    assert_ptr_equal(n->cfg.identity, &next);
    assert_int_equal(node_rekey(n, &next, said, net.now), QUDAG_EAUTH); /* once */
    n->closing = true;
    assert_int_equal(node_rekey(n, &next, said, net.now), QUDAG_ESTATE);
    n->closing = false;
    (void)nt_free(&net, 0);
    identity_fini(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(nothing_refers_to_the_old_identity),
        cmocka_unit_test(our_key_goes_where_peers_follow),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
