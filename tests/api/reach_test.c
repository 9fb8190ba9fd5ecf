/*
 * reach_test.c - how nodes and their peers are reached, as the public interface says it.
 *
 * TEST: timeout=120 waits
 */
#include "net.h"

#define NOWHERE "/ip4/127.0.0.9/udp/9/quic-v1" /* what A and B say of themselves: nobody is there */
#define R 0
#define A 1
#define B 2

static int end_of_test(void **state)
{
    return net_stop_all(state);
}

static bool place_of(const struct peer *p, qudag_place *out)
{
    const qudag_place none = QUDAG_INIT(qudag_place);
    size_t it = 0;

    *out = none;
    return qudag_place_next(p->node, &it, out) && out->addr[0] != 0;
}

static qudag_path_kind path(size_t from, size_t to, qudag_path *out)
{
    const qudag_path none = QUDAG_INIT(qudag_path);

    *out = none;
    return qudag_path_get(net[from].node, &net[to].self, out) == QUDAG_OK ? out->kind
                                                                          : QUDAG_PATH_NONE;
}

static void a_node_says_where_it_is_and_how_that_is_known(void **state)
{
    qudag_reach reach = QUDAG_INIT(qudag_reach);
    qudag_reach_addr addr = QUDAG_INIT(qudag_reach_addr);
    qudag_port port = QUDAG_INIT(qudag_port);
    size_t it = 0, n = 0, announced = 0;
    (void)state;

    net_start(R, &(struct net_options){.also = "/ip4/127.0.0.1/tcp/0"});
    assert_int_equal(qudag_reach_get(net[R].node, &reach), QUDAG_OK);
    for (; qudag_reach_addr_next(net[R].node, &it, &addr); n++) {
        assert_int_equal(addr.source, QUDAG_ADDR_BOUND);
        assert_int_equal(addr.confirmed + addr.refuted, 0);
        assert_non_null(strstr(addr.addr, "/ip4/127.0.0.1/"));
        announced += addr.announced;
    }
    assert_int_equal(n, 2);
    assert_int_equal(announced, reach.announced);
    assert_int_equal(reach.places, 0);
    assert_int_equal(reach.port_mapping, QUDAG_PORTMAP_NONE);
    it = 0;
    assert_false(qudag_port_next(net[R].node, &it, &port)); /* a lab asks no router */
    assert_int_equal(qudag_reach_get(NULL, &reach), QUDAG_EINVAL);
    reach.size = 3;
    assert_int_equal(qudag_reach_get(net[R].node, &reach), QUDAG_EINVAL);
    assert_false(qudag_reach_addr_next(net[R].node, NULL, &addr));
    assert_string_equal(qudag_reach_state_name(QUDAG_REACH_PRIVATE), "private");
    assert_string_equal(qudag_nat_kind_name(QUDAG_NAT_DEPENDENT), "dependent");
    assert_string_equal(qudag_portmap_name(QUDAG_PORTMAP_NATPMP), "nat-pmp");
    assert_string_equal(qudag_addr_source_name(QUDAG_ADDR_OBSERVED), "observed");
    assert_string_equal(qudag_path_kind_name(QUDAG_PATH_RELAYED), "relayed");
    assert_string_equal(qudag_path_kind_name((qudag_path_kind)77), "unknown");
}

static void a_path_is_the_link_that_is_used(void **state)
{
    struct net_options r = {.client = true, .circuit_relay = true};
    struct net_options o = {.client = true, .announce = NOWHERE};
    qudag_reach reach = QUDAG_INIT(qudag_reach);
    qudag_place place;
    qudag_path p;
    (void)state;

    net_start(R, &r);
    o.bootstrap[0] = net[R].addr;
    o.n_bootstrap = 1;
    net_start(B, &o);
    net_start(A, &o);
    assert_int_equal(path(A, B, &p), QUDAG_PATH_NONE);
    assert_int_equal(qudag_path_get(net[A].node, &net[B].self, &p), QUDAG_ENOTFOUND);
    assert_int_equal(qudag_path_get(net[A].node, NULL, &p), QUDAG_EINVAL);
    assert_int_equal(qudag_relay_reserve(net[B].node, net[R].addr), QUDAG_OK);
    NET_WAIT(place_of(&net[B], &place), NET_SOON);
    assert_int_equal(qudag_reach_get(net[B].node, &reach), QUDAG_OK);
    assert_int_equal(reach.places, 1);
    net_ask(&net[A], qudag_connect(net[A].node, place.addr, &net[A].last));
    assert_int_equal(net[A].err, QUDAG_OK);
    NET_WAIT(path(B, A, &p) == QUDAG_PATH_RELAYED, NET_SOON);
    assert_int_equal(path(A, B, &p), QUDAG_PATH_RELAYED);
    assert_memory_equal(&p.relay, &net[R].self, sizeof(p.relay));
    assert_int_equal(path(B, A, &p), QUDAG_PATH_RELAYED);
    assert_true(p.why[0] != 0); /* B named nobody: no meeting, and it is said why */
    net_ask(&net[A], qudag_connect(net[A].node, net[B].addr, &net[A].last));
    assert_int_equal(net[A].err, QUDAG_OK);
    assert_int_equal(path(A, B, &p), QUDAG_PATH_DIRECT);
    assert_int_equal(p.relay.len, 0);
    assert_true(p.remote[0] != 0);
    assert_int_equal(path(A, R, &p), QUDAG_PATH_DIRECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_node_says_where_it_is_and_how_that_is_known, end_of_test),
        cmocka_unit_test_teardown(a_path_is_the_link_that_is_used, end_of_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
