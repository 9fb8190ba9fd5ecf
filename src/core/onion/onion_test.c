/* onion_test.c - circuits that are built, carry streams and end, in a network of onion objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_run.h"

static struct testnet *net_new(size_t nodes)
{
    struct testnet *n = malloc(sizeof *n);

    assert_non_null(n);
    net_init(n, nodes);
    return n;
}

static void net_del(struct testnet *n)
{
    net_fini(n);
    free(n);
}

static struct ref built(struct testnet *n, size_t hops)
{
    struct ref c;

    assert_int_equal(net_build(n, 1, hops, &c), QUDAG_OK);
    net_run(n);
    assert_non_null(net_last_up(&n->nodes[0], ONION_UP_BUILT));
    return c;
}

static void every_length_from_one_to_eight_hops_carries_an_echo(void **state)
{
    (void)state;
    for (size_t hops = 1; hops <= ONION_HOPS_MAX; hops++) {
        struct testnet *n = net_new(10);
        n->nodes[hops].app = APP_ECHO;
        struct ref c = built(n, hops);
        struct onion_info info;
        assert_int_equal(onion_info_get(n->nodes[0].o, c, &info), QUDAG_OK);
        assert_int_equal(info.state, ONION_OPEN);
        assert_int_equal(info.hops, hops);
        struct testnet_flow *f = net_open(n, c, 5);
        ASSERT(f != NULL);
        for (size_t i = 1; i <= 64; i++) {
            assert_int_equal(net_write(n, f, (i - 1) * 37, 37), QUDAG_OK);
        }
        net_run(n);
        assert_int_equal(f->received, 64 * 37);
        assert_int_equal(f->wrong, 0);
        assert_int_equal(f->sent, 64 * 37);
        onion_stream_fin(n->nodes[0].o, c, f->sid, n->now, &n->out);
        net_drain(n, 0);
        net_run(n);
        assert_true(f->fin);
        assert_int_equal(n->units_odd, 0);
        net_del(n);
    }
}

/* Others may have named the last hop (spec/rendezvous.md R-29): it is reached whoever it is. */
static void a_circuit_comes_back_to_its_first_relay_or_to_its_client(void **state)
{
    (void)state;
    for (size_t end = 0; end < 2; end++) {
        struct testnet *n = net_new(4);
        struct onion_hop *hops = calloc(4, sizeof *hops);
        struct ref c;

        assert_non_null(hops);
        for (size_t i = 0; i < 3; i++) {
            hops[i] = n->nodes[i + 1].hop;
        }
        hops[3] = n->nodes[end].hop;
        assert_int_equal(onion_build(n->nodes[0].o, hops, 4, n->now, &n->out, &c), QUDAG_OK);
        net_drain(n, 0);
        net_run(n);
        assert_true(ref_eq(net_up_of(&n->nodes[0], ONION_UP_BUILT)->circuit, c));
        struct testnet_flow *f = net_open(n, c, 3);
        assert_non_null(f);
        assert_int_equal(net_write(n, f, 0, 100000), QUDAG_OK);
        net_run(n);
        uint64_t received = 0;
        for (size_t i = 0; i < n->nodes[end].flows_high; i++) {
            received += n->nodes[end].flows[i].received;
        }
        assert_int_equal(received, 100000);
        onion_close(n->nodes[0].o, c, n->now, &n->out);
        net_drain(n, 0);
        net_sleep(n, ONION_CLOSE_TIMEOUT);
        free(hops);
        net_del(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_circuit_comes_back_to_its_first_relay_or_to_its_client),
        cmocka_unit_test(every_length_from_one_to_eight_hops_carries_an_echo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
