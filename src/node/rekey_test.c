/* rekey_test.c - where the key of a node may go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/init.h"
#include "node/rekey.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_key_goes_where_peers_follow),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
