/* TEST: timeout=120 */
/* A network of kad objects in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/kad_net.h"

#define N 60
#define S(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})

static const struct slice none = {NULL, 0};

static void net_joined(struct net *net, size_t n, size_t clients)
{
    net_init(net, n, clients);
    assert_int_equal(net_join(net), 0);
}

/* Indices of the servers alive, closest to |key| first. */
static size_t true_order(const struct net *net, const char *key, size_t *order)
{
    uint8_t t[SHA256_LEN];
    size_t n = 0;

    sha256(t, (struct slice){(const uint8_t *)key, strlen(key)});
    for (size_t i = 0; i < net->n; i++) {
        if (net->node[i].dead || net->node[i].client) {
            continue;
        }
        size_t at = n++;
        for (; at > 0; at--) {
            uint8_t a[SHA256_LEN], b[SHA256_LEN];
            for (size_t x = 0; x < SHA256_LEN; x++) {
                a[x] = net->node[i].hash[x] ^ t[x];
                b[x] = net->node[order[at - 1]].hash[x] ^ t[x];
            }
            if (memcmp(a, b, SHA256_LEN) > 0) {
                break;
            }
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    return n;
}

static void value_put_by_one_is_read_by_another_after_the_first_is_gone(void **state)
{
    (void)state;
    struct net net;

    net_joined(&net, N, 0);
    assert_int_equal(net_ask(&net, 0, KAD_OP_PUT, "/v/a", 4, S("hello")), QUDAG_OK);
    assert_true(net.done.n_peers >= 15);
    net.node[0].dead = true;
    assert_int_equal(net_ask(&net, 5, KAD_OP_GET, "/v/a", 4, none), QUDAG_OK);
    assert_int_equal(net.done.value_len, 5);
    assert_memory_equal(net.done.value, "hello", 5);
    assert_int_equal(net.overflows, 0);
    net_fini(&net);
}

static void value_is_held_by_exactly_the_k_closest_by_true_order(void **state)
{
    (void)state;
    struct net net;
    size_t order[N], n;
    struct slice v;

    net_joined(&net, N, 0);
    for (int round = 0; round < 10; round++) {
        char key[24];
        (void)snprintf(key, sizeof(key), "/v/key%d", round);
        assert_int_equal(net_ask(&net, (size_t)round * 5, KAD_OP_PUT, key, strlen(key), S("value")),
                         QUDAG_OK);
        net_run(&net, net.now + 5 * NS_PER_S);
        n = true_order(&net, key, order);
        assert_int_equal(n, N);
        for (size_t i = 0; i < n; i++) {
            bool held = kad_record_local(net.node[order[i]].kad,
                                         (struct slice){(uint8_t *)key, strlen(key)}, net.now, &v);
            assert_int_equal(held, i < KAD_K);
        }
    }
    net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_put_by_one_is_read_by_another_after_the_first_is_gone),
        cmocka_unit_test(value_is_held_by_exactly_the_k_closest_by_true_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
