/*
 * full_nat_test.c - complete nodes behind NATs of each kind: what they find out of it by STUN, that mappings live as
 * long as they should, and links from sockets of their own.
 *
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "node/internal.h"
#include "sim/full_int.h"

#define NODES 10

static struct scenario sc;
static struct full *f;

static struct sim *make(uint64_t seed)
{
    static const char text[] = "[network]\nnodes = 10\nbootstrap = 4\njoin_over = 5 s\n"
                               "[links]\nrtt = 80 ms\n[run]\nuntil = 600 s\n";
    const struct sim_options opt = {.seed = seed, .host = full_host()};
    struct scenario_error e;

    assert_int_equal(
        scenario_parse(&sc, (struct slice){(const uint8_t *)text, sizeof text - 1}, &e), QUDAG_OK);
    struct sim *s = sim_new(&sc, &opt);
    f = full_inside(s);
    return s;
}

static struct node *node_of(uint32_t i)
{
    return f->node[i].node;
}

/* It wants to be reached, so that it finds out how. */
static void serves(uint32_t i)
{
    assert_int_equal(node_serve(node_of(i), "/test/1"), QUDAG_OK);
}

static void stun_shows_each_kind(void **state)
{
    static const struct {
        struct nat_config nat;
        enum reach_nat mapping;
        int32_t step;
    } row[] = {
        {{.mapping = NAT_INDEPENDENT, .filter = NAT_INDEPENDENT}, REACH_NAT_INDEPENDENT, 0},
        {{.mapping = NAT_INDEPENDENT, .filter = NAT_ADDRESS_PORT, .ports = NAT_RANDOM},
         REACH_NAT_INDEPENDENT,
         0},
        {{.mapping = NAT_ADDRESS_PORT, .filter = NAT_ADDRESS_PORT, .ports = NAT_RANDOM},
         REACH_NAT_DEPENDENT,
         0},
        {{.mapping = NAT_ADDRESS, .filter = NAT_ADDRESS, .ports = NAT_SEQUENTIAL, .step = 2},
         REACH_NAT_DEPENDENT,
         2},
        {{.mapping = NAT_ADDRESS_PORT, .filter = NAT_ADDRESS_PORT, .ports = NAT_SEQUENTIAL},
         REACH_NAT_DEPENDENT,
         1},
    };
    (void)state;
    struct sim *s = make(1);

    for (uint32_t i = 0; i < ARRAY_LEN(row); i++) {
        full_place(f, 5 + i, full_router_add(f, &row[i].nat, 5 + i, FULL_NONE));
    }
    (void)sim_run(s, 40 * NS_PER_S);
    for (uint32_t i = 4; i < NODES; i++) {
        serves(i);
    }
    (void)sim_run(s, 300 * NS_PER_S);
    assert_int_equal(node_reach(node_of(4))->ip4.mapping, REACH_NAT_NONE);
    for (uint32_t i = 0; i < ARRAY_LEN(row); i++) {
        const struct node *n = node_of(5 + i);
        const struct reach_family *ip4 = &node_reach(n)->ip4;
        print_message("%u: mapping %d, step %d, life %llu s\n", i, (int)ip4->mapping, ip4->step,
                      (unsigned long long)(node_stun_life(n, 4) / NS_PER_S));
        assert_int_equal(ip4->mapping, row[i].mapping);
        assert_int_equal(ip4->step, row[i].step);
        assert_int_equal(node_stun_life(n, 4), 110 * NS_PER_S);
        assert_int_equal(n->datagrams.socks.n, 0);
    }
    assert_int_equal(sim_report(s)->violations, 0);
    sim_free(s);
}

/* Mappings that end after 30 s, and after 60 s, as NATs at home have them. */
static void the_life_that_is_found_is_no_longer_than_the_real_one(void **state)
{
    static const uint64_t life[] = {30, 60, 100, 20}, found[] = {25, 45, 75, STUN_LIFE_LEAST};
    (void)state;
    struct sim *s = make(2);

    for (uint32_t i = 0; i < ARRAY_LEN(life); i++) {
        const struct nat_config c = {.mapping = NAT_INDEPENDENT,
                                     .filter = NAT_ADDRESS_PORT,
                                     .timeout_ns = life[i] * NS_PER_S,
                                     .timeout_new_ns = life[i] * NS_PER_S};
        full_place(f, 5 + i, full_router_add(f, &c, 5 + i, FULL_NONE));
    }
    (void)sim_run(s, 40 * NS_PER_S);
    for (uint32_t i = 0; i < ARRAY_LEN(life); i++) {
        serves(5 + i);
    }
    (void)sim_run(s, 300 * NS_PER_S);
    for (uint32_t i = 0; i < ARRAY_LEN(life); i++) {
        assert_int_equal(node_stun_life(node_of(5 + i), 4), found[i] * NS_PER_S);
    }
    sim_free(s);
}

static unsigned links_from(uint32_t at, const struct netaddr *from)
{
    struct swarm_look look;
    struct netaddr a;
    unsigned n = 0;

    for (size_t it = 0; swarm_link_next(node_of(at)->swarm, &it, &look, full_now(f));) {
        n += look.state == SWARM_LINK_UP && multiaddr_direct(&look.info.remote, &a) &&
                     netaddr_eq(&a, from)
                 ? 1
                 : 0;
    }
    return n;
}

/* Behind a home router and a carrier's, and a node at their end. */
static void a_link_from_a_fresh_socket_through_two_nats(void **state)
{
    const struct nat_config home = {.mapping = NAT_INDEPENDENT, .filter = NAT_ADDRESS_PORT};
    struct netaddr local, seen;
    struct multiaddr ma;
    (void)state;
    struct sim *s = make(3);
    uint32_t carrier = full_router_add(f, &home, 9, FULL_NONE);

    f->router[carrier].carrier = true;
    full_place(f, 9, full_router_add(f, &home, 9, carrier));
    (void)sim_run(s, 40 * NS_PER_S);
    struct node *n = node_of(9);
    assert_int_equal(f->node[9].join_err, QUDAG_OK);
    assert_int_equal(node_socket_open(n, 4, &local), QUDAG_OK);
    multiaddr_quic(&ma, &f->node[4].addr, NULL);
    const struct transport_target t = {.addr = &ma, .peer = &f->node[4].peer, .local = &local};
    assert_int_equal(swarm_dial_out(n->swarm, n->core[n->ix.ping].swarm_ix, 0, &t, full_now(f)),
                     QUDAG_OK);
    full_apply(f, 9);
    (void)sim_run(s, 42 * NS_PER_S);
    seen = f->router[carrier].external;
    seen.port = local.port; /* both keep it */
    assert_int_equal(links_from(4, &seen), 1);
    node_socket_release(n, &local);
    assert_int_equal(f->node[9].extras, 1);
    nat_flush(f->router[carrier].nat); /* it comes back with the next packet, from the same port */
    (void)sim_run(s, 100 * NS_PER_S);
    assert_int_equal(sim_report(s)->violations, 0);
    sim_free(s);
}

/* Two in one home reach each other inside, at their private addresses; from outside nobody does. */
static void behind_one_router(void **state)
{
    const struct nat_config home = {
        .mapping = NAT_INDEPENDENT, .filter = NAT_ADDRESS_PORT, .hairpin = true};
    uint32_t there;
    (void)state;
    struct sim *s = make(4);
    uint32_t r = full_router_add(f, &home, 8, FULL_NONE);

    full_place(f, 8, r);
    full_place(f, 9, r);
    (void)sim_run(s, 40 * NS_PER_S);
    struct full_way way = {.from = f->node[8].addr, .to = f->node[9].addr};
    assert_int_equal(full_outwards(f, 8, &way, &there), FULL_INSIDE);
    assert_int_equal(there, 9);
    assert_true(netaddr_eq(&way.from, &f->node[8].addr));
    way = (struct full_way){.from = f->node[4].addr, .to = f->node[9].addr};
    assert_int_equal(full_outwards(f, 4, &way, &there), FULL_DROPPED);
    /* by the external address: 9 has let it in, so the packet is turned back */
    way = (struct full_way){.from = f->node[9].addr, .to = f->node[4].addr};
    assert_int_equal(full_outwards(f, 9, &way, &there), FULL_OUT);
    struct netaddr nine = way.from;
    way = (struct full_way){.from = f->node[8].addr, .to = f->node[4].addr};
    assert_int_equal(full_outwards(f, 8, &way, &there), FULL_OUT);
    struct netaddr eight = way.from;
    way = (struct full_way){.from = f->node[8].addr, .to = nine};
    assert_int_equal(full_outwards(f, 8, &way, &there), FULL_DROPPED); /* 9 did not ask for it */
    way = (struct full_way){.from = f->node[9].addr, .to = eight};
    assert_int_equal(full_outwards(f, 9, &way, &there), FULL_INSIDE);
    way = (struct full_way){.from = f->node[8].addr, .to = nine};
    assert_int_equal(full_outwards(f, 8, &way, &there), FULL_INSIDE);
    assert_int_equal(there, 9);
    assert_true(netaddr_eq(&way.from, &eight));
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stun_shows_each_kind),
        cmocka_unit_test(the_life_that_is_found_is_no_longer_than_the_real_one),
        cmocka_unit_test(a_link_from_a_fresh_socket_through_two_nats),
        cmocka_unit_test(behind_one_router),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
