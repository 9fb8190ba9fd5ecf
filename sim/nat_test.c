/* nat_test.c - each kind of behaviour by its definition in RFC 4787, ends of mappings, forwardings, what is bounded. */
#include "sim/nat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define S NS_PER_S

struct box {
    struct mem mem;
    struct rng_stream stream;
    struct nat_config cfg;
    struct nat *nat;
};

static struct netaddr ip4(uint32_t ip, uint16_t port)
{
    struct netaddr a = {.family = 4, .port = port};

    for (unsigned i = 0; i < 4; i++) {
        a.ip[i] = (uint8_t)(ip >> (24 - 8 * i));
    }
    return a;
}

static struct netaddr home(uint8_t host, uint16_t port)
{
    return ip4(0xc0a80100u + host, port);
}

static struct netaddr stranger(uint8_t host, uint16_t port)
{
    return ip4(0xc6120000u + host, port);
}

static struct netaddr outside(uint16_t port)
{
    return ip4(0xcb007101u, port);
}

static void box_init(struct box *b, uint8_t seed)
{
    uint8_t s[32] = {seed};

    memset(b, 0, sizeof *b);
    mem_init(&b->mem, NULL, 0);
    rng_stream_init(&b->stream, s);
    b->cfg.mem = &b->mem;
    b->cfg.rng = rng_of_stream(&b->stream);
    b->cfg.external = outside(0);
    b->cfg.filter = NAT_ADDRESS_PORT;
    b->cfg.refresh_in = true;
}

static void box_start(struct box *b)
{
    b->nat = nat_new(&b->cfg);
    assert_non_null(b->nat);
}

static void box_fini(struct box *b)
{
    nat_free(b->nat);
    assert_int_equal(b->mem.used, 0);
}

/* The external port; 0: dropped. */
static uint16_t out(struct box *b, struct netaddr from, struct netaddr to, uint64_t now)
{
    struct netaddr ext;

    if (!nat_out(b->nat, &from, &to, now, &ext)) {
        return 0;
    }
    assert_true(netaddr_same_ip(&ext, &b->cfg.external));
    return ext.port;
}

/* The inside port; 0: refused. */
static uint16_t in(struct box *b, struct netaddr from, uint16_t port, uint64_t now)
{
    struct netaddr to = b->cfg.external, inside;

    to.port = port;
    return nat_in(b->nat, &from, &to, now, &inside) ? inside.port : 0;
}

static bool same_for(enum nat_depends d, bool same_ip, bool same_port)
{
    return d == NAT_INDEPENDENT || (same_ip && (d == NAT_ADDRESS || same_port));
}

static void one_kind(enum nat_depends mapping, enum nat_depends filter, enum nat_ports ports)
{
    struct box b;
    uint16_t p, q, r;

    box_init(&b, 1);
    b.cfg.mapping = mapping;
    b.cfg.filter = filter;
    b.cfg.ports = ports;
    box_start(&b);
    p = out(&b, home(2, 4001), stranger(1, 7), S);
    assert_int_not_equal(p, 0);
    assert_int_equal(out(&b, home(2, 4001), stranger(1, 7), S), p); /* the same flow */
    assert_int_equal(in(&b, stranger(1, 7), p, S), 4001);
    assert_int_equal(in(&b, stranger(1, 8), p, S), same_for(filter, true, false) ? 4001 : 0);
    assert_int_equal(in(&b, stranger(2, 7), p, S), same_for(filter, false, true) ? 4001 : 0);
    assert_int_equal(in(&b, stranger(1, 7), (uint16_t)(p ^ 1), S), 0); /* nobody's */
    q = out(&b, home(2, 4001), stranger(1, 8), S);
    r = out(&b, home(2, 4001), stranger(2, 7), S);
    assert_int_equal(q == p, same_for(mapping, true, false));
    assert_int_equal(r == p, same_for(mapping, false, true));
    if (ports == NAT_PRESERVE) {
        assert_int_equal(p, 4001);
    }
    if (ports == NAT_SEQUENTIAL && mapping == NAT_ADDRESS_PORT) {
        assert_int_equal((uint16_t)(q - p), 1);
        assert_int_equal((uint16_t)(r - q), 1);
    }
    assert_int_equal(in(&b, stranger(2, 7), r, S), 4001);
    p = out(&b, home(3, 4001), stranger(1, 7),
            S); /* another host, the same port: never the same outside */
    assert_true(p != 0 && p != q && p != r);
    box_fini(&b);
}

static void every_kind_does_what_it_is_called_after(void **state)
{
    (void)state;
    for (unsigned m = NAT_INDEPENDENT; m <= NAT_ADDRESS_PORT; m++) {
        for (unsigned f = NAT_INDEPENDENT; f <= NAT_ADDRESS_PORT; f++) {
            for (unsigned p = NAT_PRESERVE; p <= NAT_RANDOM; p++) {
                one_kind(m, f, p);
            }
        }
    }
}

static void a_mapping_that_nothing_came_back_to_ends_sooner(void **state)
{
    struct box b;
    uint16_t p;
    (void)state;

    box_init(&b, 2);
    box_start(&b);
    p = out(&b, home(2, 9), stranger(1, 7), 0);
    assert_int_equal(nat_count(b.nat, 30 * S - 1), 1);
    assert_int_equal(nat_count(b.nat, 30 * S), 0);
    assert_int_equal(in(&b, stranger(1, 7), p, 30 * S), 0);
    p = out(&b, home(2, 9), stranger(1, 7), 40 * S);
    assert_int_equal(in(&b, stranger(1, 7), p, 41 * S), 9);
    assert_int_equal(in(&b, stranger(1, 7), p, 161 * S - 1), 9);
    assert_int_equal(in(&b, stranger(1, 7), p, 281 * S - 1), 0);
    box_fini(&b);
}

static void what_comes_in_refreshes_only_where_it_should(void **state)
{
    struct box b;
    uint16_t p;
    (void)state;

    box_init(&b, 3);
    b.cfg.refresh_in = false;
    b.cfg.timeout_ns = 20 * S;
    b.cfg.timeout_new_ns = 25 * S; /* not more than the other */
    box_start(&b);
    p = out(&b, home(2, 9), stranger(1, 7), 0);
    assert_int_equal(in(&b, stranger(1, 7), p, 19 * S), 9);
    assert_int_equal(in(&b, stranger(1, 7), p, 20 * S), 0);
    p = out(&b, home(2, 9), stranger(1, 7), 30 * S);
    assert_int_equal(out(&b, home(2, 9), stranger(1, 7), 49 * S), p);
    assert_int_equal(in(&b, stranger(1, 7), p, 68 * S), 9);
    assert_int_equal(in(&b, stranger(1, 7), p, 69 * S), 0);
    box_fini(&b);
}

static void a_permit_ends_while_its_mapping_lives(void **state)
{
    struct box b;
    uint16_t p;
    (void)state;

    box_init(&b, 4);
    box_start(&b);
    p = out(&b, home(2, 9), stranger(1, 7), 0);
    assert_int_equal(out(&b, home(2, 9), stranger(2, 7), 29 * S), p);
    assert_int_equal(in(&b, stranger(2, 7), p, 29 * S), 9);
    assert_int_equal(in(&b, stranger(1, 7), p, 31 * S), 0);
    assert_int_equal(in(&b, stranger(2, 7), p, 31 * S), 9);
    box_fini(&b);
}

static void a_host_has_its_share_and_others_theirs(void **state)
{
    struct box b;
    (void)state;

    box_init(&b, 5);
    b.cfg.mapping = NAT_ADDRESS_PORT;
    b.cfg.ports = NAT_RANDOM;
    b.cfg.per_host_max = 3;
    box_start(&b);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_not_equal(out(&b, home(2, 9), stranger(1, (uint16_t)(i + 1)), 0), 0);
    }
    assert_int_equal(out(&b, home(2, 9), stranger(1, 9), 0), 0);
    assert_int_not_equal(out(&b, home(2, 9), stranger(1, 1), 0), 0); /* has one */
    assert_int_not_equal(out(&b, home(3, 9), stranger(1, 9), 0), 0);
    assert_int_not_equal(out(&b, home(2, 9), stranger(1, 9), 30 * S),
                         0); /* the old ones are over */
    assert_int_equal(nat_count(b.nat, 30 * S), 1);
    box_fini(&b);
}

static void ports_run_out(void **state)
{
    struct box b;
    (void)state;

    for (unsigned ports = NAT_PRESERVE; ports <= NAT_RANDOM; ports++) {
        uint16_t seen = 0;

        box_init(&b, 6);
        b.cfg.ports = ports;
        b.cfg.lo = 5000;
        b.cfg.hi = 5007;
        b.cfg.step = 2; /* visits half of them */
        box_start(&b);
        for (uint16_t i = 0; i < 8; i++) {
            uint16_t p = out(&b, home(2, (uint16_t)(i + 1)), stranger(1, 7), 0);
            assert_in_range(p, 5000, 5007);
            seen = (uint16_t)(seen | 1u << (p - 5000));
        }
        assert_int_equal(seen, 0xff);
        assert_int_equal(out(&b, home(2, 99), stranger(1, 7), 0), 0);
        box_fini(&b);
    }
}

static void a_step_is_kept(void **state)
{
    struct box b;
    uint16_t p, q;
    (void)state;

    box_init(&b, 7);
    b.cfg.mapping = NAT_ADDRESS_PORT;
    b.cfg.ports = NAT_SEQUENTIAL;
    b.cfg.step = 2;
    b.cfg.lo = 60000;
    b.cfg.hi = 60009;
    box_start(&b);
    p = out(&b, home(2, 9), stranger(1, 1), 0);
    for (uint16_t i = 2; i < 5; i++) {
        q = out(&b, home(2, 9), stranger(1, i), 0);
        assert_int_equal((q + 10 - p) % 10, 2);
        p = q;
    }
    box_fini(&b);
}

static void what_is_sent_to_the_outside_address_turns_round_if_it_may(void **state)
{
    struct box b;
    struct netaddr from = home(2, 9009), to, ext, inside;
    (void)state;

    for (unsigned on = 0; on < 2; on++) {
        uint16_t p;

        box_init(&b, 8);
        b.cfg.hairpin = on == 1;
        b.cfg.filter = NAT_INDEPENDENT;
        box_start(&b);
        p = out(&b, home(3, 5005), stranger(1, 7), 0);
        to = outside(p);
        assert_int_equal(nat_out(b.nat, &from, &to, 0, &ext), on);
        if (on == 1) {
            assert_true(nat_in(b.nat, &ext, &to, 0, &inside));
            assert_true(inside.port == 5005 && ext.port == 9009);
        }
        box_fini(&b);
    }
}

static void a_refused_stranger_gets_a_port_of_his_own(void **state)
{
    struct box b;
    uint16_t p, q;
    (void)state;

    box_init(&b, 9);
    b.cfg.rejects = true;
    box_start(&b);
    p = out(&b, home(2, 4001), stranger(1, 7), 0);
    assert_int_equal(p, 4001);
    assert_int_equal(in(&b, stranger(2, 7), p, S), 0);
    q = out(&b, home(2, 4001), stranger(2, 7), 2 * S);
    assert_int_not_equal(q, p);
    assert_int_equal(in(&b, stranger(2, 7), p, 2 * S), 0);
    assert_int_equal(in(&b, stranger(2, 7), q, 2 * S), 4001);
    assert_int_equal(out(&b, home(2, 4001), stranger(2, 8), 2 * S), p); /* for him alone */
    assert_int_equal(in(&b, stranger(2, 7), q, 40 * S), 4001); /* and for as long as it is used */
    assert_int_equal(out(&b, home(2, 4001), stranger(2, 7), 41 * S), q);
    /* before there is any mapping */
    assert_int_equal(in(&b, stranger(3, 7), 5000, 50 * S), 0);
    assert_int_not_equal(out(&b, home(2, 5000), stranger(3, 7), 51 * S), 5000);
    assert_int_equal(out(&b, home(2, 5000), stranger(3, 8), 51 * S), 5000);
    /* it is forgotten */
    assert_int_equal(in(&b, stranger(4, 7), 6000, 100 * S), 0);
    assert_int_equal(out(&b, home(2, 6000), stranger(4, 7), 130 * S), 6000);
    box_fini(&b);
}

static void who_is_only_dropped_takes_no_port(void **state)
{
    struct box b;
    (void)state;

    box_init(&b, 10);
    box_start(&b);
    assert_int_equal(in(&b, stranger(2, 7), 4001, 0), 0);
    assert_int_equal(out(&b, home(2, 4001), stranger(2, 7), 0), 4001);
    box_fini(&b);
}

static void a_forwarding_lets_all_in_and_answers_leave_from_it(void **state)
{
    struct box b;
    struct netaddr me = home(2, 4001), other = home(3, 4001), who;
    (void)state;

    box_init(&b, 11);
    b.cfg.mapping = NAT_ADDRESS_PORT;
    b.cfg.ports = NAT_RANDOM;
    box_start(&b);
    assert_true(nat_forward(b.nat, 4500, &me, 100 * S));
    assert_false(nat_forward(b.nat, 4500, &other, 100 * S));
    assert_true(nat_owner(b.nat, 4500, &who) && netaddr_eq(&who, &me));
    assert_int_equal(in(&b, stranger(1, 7), 4500, S), 4001);
    assert_int_equal(out(&b, me, stranger(1, 7), S), 4500);
    assert_int_not_equal(out(&b, me, stranger(2, 7), S), 4500); /* for no outgoing flow */
    assert_int_equal(nat_count(b.nat, S), 1);
    assert_true(nat_forward(b.nat, 4500, &me, 200 * S)); /* renewed */
    assert_int_equal(in(&b, stranger(3, 7), 4500, 150 * S), 4001);
    assert_int_equal(in(&b, stranger(3, 7), 4500, 200 * S), 0);
    assert_int_not_equal(out(&b, me, stranger(3, 7), 200 * S), 4500);
    assert_true(nat_forward(b.nat, 4500, &other, TSTAMP_NEVER));
    assert_int_equal(in(&b, stranger(3, 7), 4500, 1000000 * S), 4001);
    assert_true(nat_forward_remove(b.nat, 4500));
    assert_false(nat_forward_remove(b.nat, 4500));
    assert_int_equal(in(&b, stranger(3, 7), 4500, 1000000 * S), 0);
    box_fini(&b);
}

static void a_forwarded_port_is_its_owners(void **state)
{
    struct box b;
    struct netaddr me = home(2, 4001), other = home(3, 4002);
    (void)state;

    box_init(&b, 12);
    box_start(&b);
    assert_true(nat_forward(b.nat, 4002, &me, TSTAMP_NEVER));
    assert_int_not_equal(out(&b, other, stranger(1, 7), 0), 4002);
    assert_true(nat_forward(b.nat, 4001, &me, TSTAMP_NEVER));
    assert_int_equal(out(&b, me, stranger(1, 7), 0), 4001);
    assert_int_equal(out(&b, home(3, 5000), stranger(1, 7), 0), 5000);
    assert_false(nat_forward(b.nat, 5000, &me, TSTAMP_NEVER)); /* a flow has it */
    box_fini(&b);
}

static void a_router_that_starts_again_knows_nothing(void **state)
{
    struct box b;
    struct netaddr me = home(2, 4001), to = outside(4001), from = stranger(1, 7), inside;
    (void)state;

    box_init(&b, 13);
    b.cfg.rejects = true;
    box_start(&b);
    out(&b, me, from, 0);
    in(&b, stranger(9, 9), 77, 0);
    assert_true(nat_forward(b.nat, 4500, &me, TSTAMP_NEVER));
    nat_flush(b.nat);
    assert_int_equal(nat_count(b.nat, 0), 0);
    assert_int_equal(in(&b, from, 4001, 0), 0);
    assert_int_equal(in(&b, from, 4500, 0), 0);
    out(&b, me, stranger(2, 7), 0);
    b.cfg.external = ip4(0xcb007202u, 0);
    nat_renumber(b.nat, &b.cfg.external);
    assert_int_equal(nat_count(b.nat, 0), 0);
    out(&b, me, stranger(2, 7), 0);
    from = stranger(2, 7);
    assert_false(nat_in(b.nat, &from, &to, 0, &inside)); /* the old address */
    assert_int_equal(in(&b, from, 4001, 0), 4001);
    box_fini(&b);
}

static void ipv6_is_translated_as_well(void **state)
{
    struct box b;
    struct netaddr me = {.family = 6, .ip = {0xfd, 1}, .port = 4001};
    struct netaddr to = {.family = 6, .ip = {0x20, 1, 0x0d, 0xb8}, .port = 7};
    (void)state;

    box_init(&b, 14);
    b.cfg.external = (struct netaddr){.family = 6, .ip = {0x20, 1, 0x0d, 0xb8, 1}};
    box_start(&b);
    assert_int_equal(out(&b, me, to, 0), 4001);
    assert_int_equal(in(&b, to, 4001, 0), 4001);
    to.ip[15] = 1;
    assert_int_equal(in(&b, to, 4001, 0), 0);
    box_fini(&b);
}

/* A day of a busy home; what came out of it as one number. */
static uint64_t day(uint8_t seed)
{
    struct box b;
    uint64_t sum = 0;

    box_init(&b, seed);
    b.cfg.ports = NAT_RANDOM;
    b.cfg.mapping = NAT_ADDRESS;
    b.cfg.rejects = true;
    box_start(&b);
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t r = rng_u32(&b.cfg.rng);
        uint64_t now = i * S / 50;
        uint16_t p = out(&b, home((uint8_t)(r & 3), (uint16_t)(r >> 8 & 63)),
                         stranger((uint8_t)(r >> 16 & 7), 7), now);
        sum = sum * 31 + p;
        sum = sum * 31 + in(&b, stranger((uint8_t)(r >> 24 & 7), 7), p, now);
    }
    assert_true(nat_count(b.nat, 400 * S) <= 4 * 64 * 8);
    box_fini(&b);
    return sum;
}

static void the_same_seed_gives_the_same_day(void **state)
{
    (void)state;
    assert_true(day(20) == day(20));
    assert_true(day(20) != day(21));
}

static void without_memory_packets_are_dropped(void **state)
{
    (void)state;
    for (uint64_t at = 1; at < 40; at++) {
        struct box b;
        struct netaddr me = home(2, 9);

        box_init(&b, 15);
        b.cfg.rejects = true;
        b.mem.fail_at = at;
        b.nat = nat_new(&b.cfg);
        if (b.nat != NULL) {
            out(&b, me, stranger(1, 7), 0);
            in(&b, stranger(2, 7), 9, 0);
            (void)nat_forward(b.nat, 4500, &me, TSTAMP_NEVER);
            in(&b, stranger(3, 7), 4500, 0);
            b.mem.fail_at = 0;
            assert_int_not_equal(out(&b, me, stranger(4, 7), 0), 0);
        }
        box_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_does_what_it_is_called_after),
        cmocka_unit_test(a_mapping_that_nothing_came_back_to_ends_sooner),
        cmocka_unit_test(what_comes_in_refreshes_only_where_it_should),
        cmocka_unit_test(a_permit_ends_while_its_mapping_lives),
        cmocka_unit_test(a_host_has_its_share_and_others_theirs),
        cmocka_unit_test(ports_run_out),
        cmocka_unit_test(a_step_is_kept),
        cmocka_unit_test(what_is_sent_to_the_outside_address_turns_round_if_it_may),
        cmocka_unit_test(a_refused_stranger_gets_a_port_of_his_own),
        cmocka_unit_test(who_is_only_dropped_takes_no_port),
        cmocka_unit_test(a_forwarding_lets_all_in_and_answers_leave_from_it),
        cmocka_unit_test(a_forwarded_port_is_its_owners),
        cmocka_unit_test(a_router_that_starts_again_knows_nothing),
        cmocka_unit_test(ipv6_is_translated_as_well),
        cmocka_unit_test(the_same_seed_gives_the_same_day),
        cmocka_unit_test(without_memory_packets_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
