/* resources_test.c - each scope refuses by itself and by name; what is given back is what was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/netaddr.h"
#include "base/rng.h"
#include "core/resources/resources.h"

#include <string.h>

#define MANY 48

static struct world {
    struct mem mem;
    struct resources *r;
    struct res_account a[MANY];
    uint8_t name[MANY][2];
    struct res_refusal why;
} w;

static int start(uint32_t links_max, uint32_t share)
{
    memset(&w, 0, sizeof w);
    mem_init(&w.mem, NULL, 0);
    struct resources_config c = {.mem = &w.mem,
                                 .seed = {1},
                                 .links_max = links_max,
                                 .network_share = share,
                                 .streams_max = 40,
                                 .dials_max = 40,
                                 .half_open_max = 12,
                                 .unproven_max = 6,
                                 .host_half_open = 3,
                                 .bytes_max = 4000};
    return resources_new(&w.r, &c) == QUDAG_OK ? 0 : -1;
}

static int setup(void **state)
{
    (void)state;
    return start(32, 25);
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        resources_end(w.r, &w.a[i]);
    }
    for (unsigned k = 0; k < RES_WHATS; k++) {
        assert_int_equal(resources_used(w.r, RES_NODE, (enum res_what)k), 0);
    }
    resources_free(w.r);
    return w.mem.used == 0 ? 0 : -1;
}

static uint64_t net_no(uint8_t wide, uint8_t net)
{
    struct netaddr a = {.family = 4, .ip = {9, wide, net, 1}, .port = 1};

    return netaddr_group(&a);
}

static void open_as(unsigned i, bool inbound, uint64_t net, uint8_t peer, enum res_class class)
{
    w.name[i][0] = peer;
    struct res_place at = {inbound, net, {w.name[i], peer != 0 ? 1 : 0}};

    assert_int_equal(resources_open(w.r, &w.a[i], &at), QUDAG_OK);
    w.a[i].class = class;
}

static qudag_err ask(unsigned i, enum res_what what, uint32_t n, uint32_t most)
{
    struct res_ask a = {what, n, 3, most};

    return resources_ask(w.r, &w.a[i], &a, &w.why);
}

static qudag_err link_as(unsigned i, bool inbound, uint64_t net, uint8_t peer, enum res_class class)
{
    open_as(i, inbound, net, peer, class);
    return ask(i, RES_LINKS, 1, 0);
}

static void refused_by(enum res_scope_kind scope, enum res_what what, uint64_t used, uint64_t limit)
{
    assert_int_equal(w.why.scope, scope);
    assert_int_equal(w.why.what, what);
    assert_int_equal(w.why.used, used);
    assert_int_equal(w.why.limit, limit);
}

/* 32 links: 8 for dials, 2 for each of four classes, 16 common; of these 4 for a network, 8 for a wider one. */
static void no_network_takes_more_than_its_share(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(link_as(i, true, net_no(1, 1), (uint8_t)(i + 1), RES_STRANGER), QUDAG_OK);
    }
    assert_int_equal(resources_room(w.r, true, net_no(1, 1), RES_STRANGER, &w.why), QUDAG_ELIMIT);
    assert_int_equal(link_as(4, true, net_no(1, 1), 5, RES_STRANGER), QUDAG_ELIMIT);
    refused_by(RES_NETWORK, RES_LINKS, 4, 4);
    assert_int_equal(resources_refused(w.r, RES_NETWORK, RES_LINKS), 1);
    assert_int_equal(resources_room(w.r, true, net_no(1, 2), RES_STRANGER, &w.why), QUDAG_OK);
    for (unsigned i = 6; i < 10; i++) {
        assert_int_equal(link_as(i, true, net_no(1, 2), (uint8_t)(i + 1), RES_STRANGER), QUDAG_OK);
    }
    assert_int_equal(link_as(11, true, net_no(1, 3), 12, RES_STRANGER), QUDAG_ELIMIT);
    refused_by(RES_WIDE, RES_LINKS, 8, 8);
    assert_int_equal(link_as(12, true, net_no(1, 1), 13, RES_GUARD), QUDAG_OK); /* no stranger */
    assert_int_equal(link_as(13, true, net_no(2, 1), 14, RES_STRANGER), QUDAG_OK);
    resources_class(w.r, &w.a[0], RES_GUARD); /* its network has a place again */
    w.a[4].class = RES_STRANGER;
    assert_int_equal(ask(4, RES_LINKS, 1, 0), QUDAG_OK);
}

static void what_is_reserved_nobody_else_takes(void **state)
{
    unsigned n = 0;
    uint32_t places;
    (void)state;

    while (link_as(n, true, net_no((uint8_t)n, 1), (uint8_t)(n + 1), RES_STRANGER) == QUDAG_OK) {
        n++;
    }
    assert_int_equal(n, 16);
    refused_by(RES_INBOUND, RES_LINKS, 16, 16);
    static const struct {
        enum res_class class;
        unsigned places;
    } rows[] = {{RES_NAMED, 4},     {RES_CHOSEN, 4}, {RES_NEAR, 2},
                {RES_BOOTSTRAP, 2}, {RES_GUARD, 2},  {RES_PROTECTED, 2}};
    for (unsigned k = 0; k < ARRAY_LEN(rows); k++) {
        bool inbound = rows[k].class > RES_CHOSEN;
        for (unsigned i = 0; i < rows[k].places; i++) {
            resources_end(w.r, &w.a[n]);
            assert_int_equal(link_as(n, inbound, 0, (uint8_t)(n + 1), rows[k].class), QUDAG_OK);
            n++;
        }
        if (k + 1 < ARRAY_LEN(rows)) {
            assert_int_equal(link_as(n, inbound, 0, (uint8_t)(n + 1), rows[k].class), QUDAG_ELIMIT);
            refused_by(inbound ? RES_INBOUND : RES_OUTBOUND, RES_LINKS, 16, 16);
        }
    }
    assert_int_equal(n, 32);
    assert_int_equal(resources_common(w.r, &places), 16);
    assert_int_equal(link_as(n, false, 0, (uint8_t)(n + 1), RES_CHOSEN), QUDAG_ELIMIT);
    refused_by(RES_NODE, RES_LINKS, 32, 32);
}

/* A place of the higher class, or the common one that it takes already; never one more of the common. */
static void a_link_moves_up_where_that_costs_no_place_of_others(void **state)
{
    uint32_t places, before;
    (void)state;

    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(link_as(i, true, net_no((uint8_t)i, 1), (uint8_t)(i + 1), RES_STRANGER),
                         QUDAG_OK);
    }
    assert_int_equal(link_as(16, false, 0, 17, RES_CHOSEN), QUDAG_OK);
    for (unsigned i = 0; i < 3; i++) {
        resources_class(w.r, &w.a[i], RES_NEAR);
        assert_int_equal(w.a[i].class, RES_NEAR);
    }
    before = resources_common(w.r, &places);
    assert_int_equal(before,
                     14); /* two have places of their own, the third a common one as before */
    assert_true(resources_in_common(w.r, RES_NEAR));
    assert_false(resources_in_common(w.r, RES_CHOSEN));
    resources_class(w.r, &w.a[16], RES_NEAR);
    assert_int_equal(w.a[16].class, RES_CHOSEN);
    assert_int_equal(resources_common(w.r, &places), before);
    resources_class(w.r, &w.a[0], RES_STRANGER); /* down it goes always */
    assert_int_equal(w.a[0].class, RES_STRANGER);
    resources_class(w.r, &w.a[16], RES_NEAR); /* nobody gave way: two are near as before */
    assert_int_equal(w.a[16].class, RES_CHOSEN);
}

static void a_peer_and_its_protocols_have_limits_of_their_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RES_LINKS_PER_PEER; i++) {
        assert_int_equal(link_as(i, i % 2 == 0, 0, 1, RES_CHOSEN), QUDAG_OK);
    }
    assert_int_equal(link_as(4, true, 0, 1, RES_CHOSEN), QUDAG_ELIMIT);
    refused_by(RES_PEER, RES_LINKS, 4, 4);
    assert_int_equal(ask(0, RES_STREAMS_IN, 1, 2), QUDAG_OK);
    assert_int_equal(ask(1, RES_STREAMS_IN, 1, 2), QUDAG_OK); /* all links of a peer together */
    assert_int_equal(ask(2, RES_STREAMS_IN, 1, 2), QUDAG_ELIMIT);
    refused_by(RES_PROTOCOL, RES_STREAMS_IN, 2, 2);
    assert_int_equal(ask(2, RES_STREAMS_OUT, 1, 2), QUDAG_OK); /* the other way is another */
    open_as(5, true, 0, 2, RES_STRANGER);
    assert_int_equal(ask(5, RES_STREAMS_IN, 2, 2), QUDAG_OK); /* and so is another peer */
    assert_int_equal(ask(5, RES_STREAMS_IN, 27, 0), QUDAG_ELIMIT);
    refused_by(RES_NODE, RES_STREAMS_IN, 4, 30);
}

/* 40 dials: 10 to a network and 20 to a wider one that others named, 30 that others cause in all. */
static void dials_that_others_cause_fill_neither_the_table_nor_a_network(void **state)
{
    (void)state;
    struct res_ask one = {RES_DIALS, 1, 2, 36};

    for (unsigned i = 0; i < 42; i++) { /* four networks of two wider ones */
        bool named = i < 41;
        uint8_t wide = (uint8_t)(i % 4 / 2), net = (uint8_t)(i % 4);
        open_as(i, false, net_no(wide, net), 0, named ? RES_NAMED : RES_CHOSEN);
        qudag_err err = resources_ask(w.r, &w.a[i], &one, &w.why);
        assert_int_equal(err, i < 30 || !named ? QUDAG_OK : QUDAG_ELIMIT);
    }
    refused_by(RES_OUTBOUND, RES_DIALS, 30, 30);
    assert_int_equal(resources_used(w.r, RES_NODE, RES_DIALS), 31);
    assert_int_equal(resources_dials(w.r, 2), 31);
    for (unsigned i = 4; i < 28; i++) {
        resources_give(w.r, &w.a[i], &one);
    }
    assert_int_equal(resources_dials(w.r, 2), 7);
    for (unsigned i = 4; i < 13;
         i++) { /* network 0 has one of those that are left, and 1 the 29th */
        resources_end(w.r, &w.a[i]);
        open_as(i, false, net_no(0, 0), 0, RES_NAMED);
        assert_int_equal(resources_ask(w.r, &w.a[i], &one, &w.why),
                         i < 12 ? QUDAG_OK : QUDAG_ELIMIT);
    }
    refused_by(RES_NETWORK, RES_DIALS, 10, 10);
    one.most = 15; /* of one core */
    assert_int_equal(resources_ask(w.r, &w.a[20], &one, &w.why), QUDAG_ELIMIT);
    refused_by(RES_PROTOCOL, RES_DIALS, 15, 15);
    for (unsigned i = 0; i < 42; i++) {
        resources_give(w.r, &w.a[i],
                       &(struct res_ask){RES_DIALS, (uint32_t)w.a[i].used[RES_DIALS], 2, 0});
    }
    assert_int_equal(resources_dials(w.r, 2), 0);
}

/* 12: 4 of a network, 8 of a wider one, 3 of a host; those in anybody's name are 6, whatever network they name. */
static void handshakes_of_one_host_or_network_leave_places_to_others(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        open_as(i, true, net_no(1, 1), 1, RES_STRANGER);
        assert_int_equal(ask(i, RES_HALF_OPEN, 1, 0), i < 3 ? QUDAG_OK : QUDAG_ELIMIT);
    }
    refused_by(RES_PEER, RES_HALF_OPEN, 3, 3);
    for (unsigned i = 4; i < 6; i++) {
        open_as(i, true, net_no(1, 1), 2, RES_STRANGER);
        assert_int_equal(ask(i, RES_HALF_OPEN, 1, 0), i < 5 ? QUDAG_OK : QUDAG_ELIMIT);
    }
    refused_by(RES_NETWORK, RES_HALF_OPEN, 4, 4);
    for (unsigned i = 6; i < 11; i++) {
        open_as(i, true, net_no(1, (uint8_t)i), (uint8_t)i, RES_STRANGER);
        assert_int_equal(ask(i, RES_HALF_OPEN, 1, 0), i < 10 ? QUDAG_OK : QUDAG_ELIMIT);
    }
    refused_by(RES_WIDE, RES_HALF_OPEN, 8, 8);
    for (unsigned i = 11; i < 16; i++) {
        open_as(i, true, net_no((uint8_t)i, 1), (uint8_t)i, RES_STRANGER);
        assert_int_equal(ask(i, RES_HALF_OPEN, 1, 0), i < 15 ? QUDAG_OK : QUDAG_ELIMIT);
    }
    refused_by(RES_NODE, RES_HALF_OPEN, 12, 12);
    for (unsigned i = 16; i < 23; i++) {
        open_as(i, true, net_no(1, 1), (uint8_t)(i / 3), RES_STRANGER);
        assert_int_equal(ask(i, RES_UNPROVEN, 1, 0), i < 22 ? QUDAG_OK : QUDAG_ELIMIT);
    }
    refused_by(RES_NODE, RES_UNPROVEN, 6, 6);
    assert_int_equal(resources_refused(w.r, RES_PEER, RES_HALF_OPEN), 1);
    for (unsigned i = 0; i < 23; i++) {
        resources_end(w.r, &w.a[i]);
    }
    assert_int_equal(resources_used(w.r, RES_INBOUND, RES_HALF_OPEN), 0);
}

/* What one host may leave unproven, and two networks of a wider one dial, leaves something to others as well. */
static void unproven_handshakes_and_dials_have_narrow_limits_too(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        open_as(i, true, net_no(1, 1), 1, RES_STRANGER);
        assert_int_equal(ask(i, RES_UNPROVEN, 1, 0), i < 3 ? QUDAG_OK : QUDAG_ELIMIT);
    }
    refused_by(RES_PEER, RES_UNPROVEN, 3, 3);
    for (unsigned i = 4; i < 25; i++) { /* seven of each of three networks, of which 10 would fit */
        open_as(i, false, net_no(2, (uint8_t)(i % 3)), 0, RES_NAMED);
        assert_int_equal(ask(i, RES_DIALS, 1, 0), i < 24 ? QUDAG_OK : QUDAG_ELIMIT);
    }
    refused_by(RES_WIDE, RES_DIALS, 20, 20);
    open_as(25, false, net_no(3, 1), 0, RES_NAMED);
    assert_int_equal(ask(25, RES_DIALS, 1, 0), QUDAG_OK);
    open_as(26, true, net_no(3, 1), 5, RES_STRANGER);
    assert_int_equal(ask(26, RES_STREAMS_IN, 3, 2),
                     QUDAG_ELIMIT); /* at once more than there may be */
    refused_by(RES_PROTOCOL, RES_STREAMS_IN, 0, 2);
    for (unsigned i = 4; i < 26; i++) {
        resources_give(w.r, &w.a[i],
                       &(struct res_ask){RES_DIALS, (uint32_t)w.a[i].used[RES_DIALS], 3, 0});
    }
}

/* Peer 1,000, network 2,000, node 4,000; of the last two an eighth is for peers that hold 7 at the most. */
static void bytes_fit_peer_network_and_node(void **state)
{
    (void)state;
    open_as(0, true, net_no(1, 1), 1, RES_STRANGER);
    assert_int_equal(ask(0, RES_BYTES, 1001, 0), QUDAG_ELIMIT);
    refused_by(RES_PEER, RES_BYTES, 0, 1000);
    assert_int_equal(ask(0, RES_BYTES, 1000, 0), QUDAG_OK);
    open_as(1, true, net_no(1, 1), 2, RES_STRANGER);
    assert_int_equal(ask(1, RES_BYTES, 751, 0), QUDAG_ELIMIT);
    refused_by(RES_NETWORK, RES_BYTES, 1000, 1750);
    assert_int_equal(ask(1, RES_BYTES, 750, 0), QUDAG_OK);
    for (unsigned i = 3; i < 5; i++) {
        open_as(i, true, net_no((uint8_t)i, 1), (uint8_t)(i + 1), RES_STRANGER);
        assert_int_equal(ask(i, RES_BYTES, i == 3 ? 1000 : 750, 0), QUDAG_OK);
    }
    open_as(5, true, net_no(9, 1), 9, RES_STRANGER);
    assert_int_equal(ask(5, RES_BYTES, 8, 0), QUDAG_ELIMIT);
    refused_by(RES_NODE, RES_BYTES, 3500, 3500);
    resources_give(w.r, &w.a[0], &(struct res_ask){RES_BYTES, 8, RES_PROTOS, 0});
    assert_int_equal(ask(5, RES_BYTES, 8, 0), QUDAG_OK);
}

/* Four peers that hold as much as they may leave the others what a request and its answer need. */
static void who_holds_little_is_not_refused_for_what_others_hold(void **state)
{
    static const enum res_what bytes[] = {RES_BYTES, RES_RECEIVED};
    (void)state;

    for (unsigned b = 0; b < 2; b++) {
        for (unsigned i = 0; i < 4; i++) {
            open_as(i, true, net_no((uint8_t)(i / 2), 1), (uint8_t)(i + 1), RES_STRANGER);
            while (ask(i, bytes[b], 10, 0) == QUDAG_OK) {
            }
            while (ask(i, bytes[b], 1, 0) == QUDAG_OK) {
            }
        }
        open_as(4, true, net_no(0, 1), 9, RES_STRANGER);
        assert_int_equal(ask(4, bytes[b], 7, 0), QUDAG_OK); /* in the network of two of them */
        assert_int_equal(ask(4, bytes[b], 1, 0), QUDAG_ELIMIT);
        refused_by(RES_NETWORK, bytes[b], 1757, 1750);
        open_as(5, true, net_no(9, 1), 10, RES_STRANGER);
        assert_int_equal(ask(5, bytes[b], 7, 0), QUDAG_OK);
        for (unsigned i = 0; i < 6; i++) {
            resources_end(w.r, &w.a[i]);
        }
    }
}

/* Peer 1,000, network 2,000, node 4,000: whoever can wait waits at three quarters of each. */
static void who_can_wait_leaves_a_quarter(void **state)
{
    (void)state;
    open_as(0, true, net_no(1, 1), 1, RES_STRANGER);
    open_as(1, true, net_no(1, 1), 2, RES_STRANGER);
    open_as(2, true, net_no(2, 1), 3, RES_STRANGER);
    open_as(3, true, net_no(3, 1), 4, RES_STRANGER);
    assert_int_equal(resources_ease(w.r, &w.a[0], RES_BYTES), 750);
    assert_int_equal(ask(0, RES_BYTES, 700, 0), QUDAG_OK);
    assert_int_equal(resources_ease(w.r, &w.a[0], RES_BYTES), 50);
    assert_int_equal(ask(0, RES_BYTES, 300, 0), QUDAG_OK);
    assert_int_equal(resources_ease(w.r, &w.a[0], RES_BYTES), 0);
    assert_int_equal(resources_ease(w.r, &w.a[1], RES_BYTES), 500); /* its network's */
    assert_int_equal(ask(1, RES_BYTES, 750, 0), QUDAG_OK);
    assert_int_equal(ask(2, RES_BYTES, 900, 0), QUDAG_OK);
    assert_int_equal(resources_ease(w.r, &w.a[3], RES_BYTES), 350); /* the node's */
}

/* Peer 1,000, network 2,000, node 4,000; a peer that holds 7 bytes at most, a 512th, holds little. */
static void who_can_wait_never_takes_all(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 6; i++) {
        open_as(i, true, net_no(i < 3 ? 1 : 2, 1), (uint8_t)(1 + i), RES_STRANGER);
    }
    uint64_t before = resources_returned(w.r);
    assert_int_equal(resources_left(w.r, &w.a[0], RES_BYTES), 875);
    assert_int_equal(ask(0, RES_BYTES, 875, 0), QUDAG_OK);
    assert_int_equal(resources_left(w.r, &w.a[0], RES_BYTES), 0);
    assert_int_equal(ask(0, RES_BYTES, 125, 0), QUDAG_OK);          /* of those who cannot wait */
    assert_int_equal(resources_left(w.r, &w.a[1], RES_BYTES), 750); /* of 1,750 of the network */
    assert_int_equal(ask(1, RES_BYTES, 750, 0), QUDAG_OK);
    assert_int_equal(resources_left(w.r, &w.a[1], RES_BYTES), 0);
    assert_int_equal(resources_left(w.r, &w.a[2], RES_BYTES), 7); /* it holds little */
    assert_int_equal(ask(2, RES_BYTES, 7, 0), QUDAG_OK);
    assert_int_equal(resources_left(w.r, &w.a[2], RES_BYTES), 0);
    assert_int_equal(ask(3, RES_BYTES, 1000, 0), QUDAG_OK);
    assert_int_equal(resources_left(w.r, &w.a[4], RES_BYTES), 743); /* of 3,500 of the node */
    assert_int_equal(ask(4, RES_BYTES, 743, 0), QUDAG_OK);
    assert_int_equal(resources_left(w.r, &w.a[4], RES_BYTES), 0);
    assert_int_equal(resources_left(w.r, &w.a[5], RES_BYTES), 7);
    assert_int_equal(resources_left(w.r, &(struct res_account){0}, RES_BYTES), 0);
    assert_int_equal(resources_returned(w.r), before);
    struct res_ask part = {RES_BYTES, 40, RES_PROTOS, 0};
    resources_hand_on(w.r, &w.a[4], &part);
    assert_int_equal(resources_left(w.r, &w.a[4], RES_BYTES), 40);
    assert_int_equal(resources_returned(w.r), before);
    resources_give(w.r, &w.a[4], &part);
    assert_int_equal(resources_returned(w.r), before + 40);
}

/* With a share of all there are no networks: one machine, a laboratory. */
static void where_networks_do_not_matter_only_the_places_do(void **state)
{
    (void)state;
    resources_free(w.r);
    assert_int_equal(start(8, 100), 0);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(link_as(i, true, net_no(1, 1), (uint8_t)(i + 1), RES_STRANGER), QUDAG_OK);
    }
    assert_int_equal(link_as(6, true, net_no(1, 1), 7, RES_STRANGER), QUDAG_ELIMIT);
    refused_by(RES_INBOUND, RES_LINKS, 6, 6);
    assert_int_equal(link_as(7, false, net_no(1, 1), 8, RES_CHOSEN), QUDAG_OK);
}

static void a_refusal_survives_packing(void **state)
{
    struct res_refusal why = {RES_PROTOCOL, RES_BYTES, UINT64_MAX, 77};
    (void)state;

    struct res_refusal got = resources_unpack(resources_pack(&why));
    assert_int_equal(got.scope, RES_PROTOCOL);
    assert_int_equal(got.what, RES_BYTES);
    assert_int_equal(got.used, 0xffffff);
    assert_int_equal(got.limit, 77);
    assert_true(resources_pack(&(struct res_refusal){.scope = RES_NODE}) != 0);
    assert_string_equal(resources_scope_name(resources_unpack(UINT64_MAX).scope), "node");
    assert_string_equal(resources_what_name(RES_LINKS), "links");
}

/* Of each scope the sum over what lies in it; of the node also both directions. */
static void check_sums(void)
{
    for (unsigned k = 0; k < RES_WHATS; k++) {
        enum res_what what = (enum res_what)k;
        uint64_t sum = 0, in = 0;
        for (unsigned i = 0; i < MANY; i++) {
            sum += w.a[i].used[k];
            in += w.a[i].dir != NULL && w.a[i].used[k] > 0 ? 1 : 0;
        }
        assert_int_equal(resources_used(w.r, RES_NODE, what), sum);
        assert_int_equal(
            resources_used(w.r, RES_INBOUND, what) + resources_used(w.r, RES_OUTBOUND, what), sum);
        uint64_t limit = resources_limit(w.r, RES_NODE, what);
        assert_true(sum <= limit);
        assert_true(in <= sum);
    }
}

static void any_order_of_asking_and_giving_adds_up(void **state)
{
    static const uint8_t seed[32] = {9};
    struct rng_stream stream;
    (void)state;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    for (int round = 0; round < 20000; round++) {
        unsigned i = (unsigned)rng_below(&rng, MANY);
        struct res_account *a = &w.a[i];
        enum res_what what = (enum res_what)rng_below(&rng, RES_WHATS);
        if (a->dir == NULL) {
            open_as(i, rng_below(&rng, 2) == 0,
                    net_no((uint8_t)rng_below(&rng, 3), (uint8_t)rng_below(&rng, 3)),
                    (uint8_t)rng_below(&rng, 12), (enum res_class)rng_below(&rng, RES_CLASSES));
        }
        switch (rng_below(&rng, 8)) {
        case 0:
            resources_end(w.r, a);
            break;
        case 1:
            resources_class(w.r, a, (enum res_class)rng_below(&rng, RES_CLASSES));
            break;
        case 2:
        case 3:
            if (a->used[what] > 0 && what != RES_STREAMS_IN && what != RES_STREAMS_OUT) {
                struct res_ask back = {what, 1, 3, 0};
                resources_give(w.r, a, &back);
            }
            break;
        default:
            if (what != RES_LINKS || a->used[RES_LINKS] == 0) {
                struct res_ask more = {what, 1 + (what == RES_BYTES ? 99 : 0), RES_PROTOS, 0};
                qudag_err err = resources_ask(w.r, a, &more, &w.why);
                assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
            }
            break;
        }
        check_sums();
    }
}

static void without_memory_nothing_is_opened(void **state)
{
    (void)state;
    for (uint64_t k = 1; k < 8; k++) {
        struct res_place at = {true, net_no(1, 1), {w.name[0], 1}};
        size_t before = w.mem.used;
        w.mem.fail_at = k;
        qudag_err err = resources_open(w.r, &w.a[0], &at);
        if (err == QUDAG_OK) {
            assert_true(k > 3);
            w.mem.fail_at = 0;
            return;
        }
        assert_int_equal(err, QUDAG_ENOMEM);
        assert_null(w.a[0].dir);
        assert_true(w.mem.used <= before + 16384); /* tables may have grown, scopes not stayed */
    }
    fail_msg("it never succeeded");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(no_network_takes_more_than_its_share),
        T(what_is_reserved_nobody_else_takes),
        T(a_link_moves_up_where_that_costs_no_place_of_others),
        T(a_peer_and_its_protocols_have_limits_of_their_own),
        T(dials_that_others_cause_fill_neither_the_table_nor_a_network),
        T(handshakes_of_one_host_or_network_leave_places_to_others),
        T(unproven_handshakes_and_dials_have_narrow_limits_too),
        T(bytes_fit_peer_network_and_node),
        T(who_holds_little_is_not_refused_for_what_others_hold),
        T(who_can_wait_leaves_a_quarter),
        T(who_can_wait_never_takes_all),
        T(where_networks_do_not_matter_only_the_places_do),
        T(a_refusal_survives_packing),
        T(any_order_of_asking_and_giving_adds_up),
        T(without_memory_nothing_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
