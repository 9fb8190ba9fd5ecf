/* Floods: what one peer, one network and all together may ask, and who is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/serve_bed.h"

#include <stdio.h>

static const struct kad_msg ping = {.type = KAD_PING};

/* How many of |n| requests on one stream are answered before it is given up. */
static unsigned answered(struct bed *b, uint32_t slot, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ask(b, slot, &ping);
        if (acts_of(b, ACT_WRITE) == 0) {
            return i;
        }
    }
    return n;
}

/* A stream and as many requests of peer |who| from |net|. */
static unsigned flood(struct bed *b, unsigned who, uint64_t net, unsigned n)
{
    static uint32_t slot = 1000;
    struct kad_peer_info p = peer(who);

    come_from(b, ++slot, &p.id, net);
    unsigned got = answered(b, slot, n);
    go(b, slot);
    return got;
}

static void peers_of_one_network_share_its_allowance(void **state)
{
    (void)state;
    struct kad_config c = {.limits.requests = {10, 25, 1000}};
    struct bed *b = bed_new(&c);

    assert_int_equal(flood(b, 1, 7, 100), 20);
    assert_int_equal(refused(b, KAD_REFUSED_RATE_PEER), 1);
    assert_int_equal(flood(b, 2, 7, 100), 9); /* the rest of its network's share */
    assert_int_equal(refused(b, KAD_REFUSED_RATE_NETWORK), 1);
    for (unsigned who = 3; who < 40; who++) {
        (void)flood(b, who, 7, 100); /* new identities bring nothing */
    }
    assert_int_equal(flood(b, 40, 7, 100), 0);
    assert_int_equal(flood(b, 41, 8, 100), 20);
    assert_int_equal(refused(b, KAD_REFUSED_RATE_PEER), 2);
    b->now += NS_PER_S;
    unsigned later = flood(b, 42, 7, 100);
    assert_true(later >= 5 && later <= 25);
    bed_free(b);
}

static void new_identities_do_not_clear_the_debt_of_a_network(void **state)
{
    (void)state;
    struct kad_config c = {.limits.requests = {1000, 10, 100000}};
    struct bed *b = bed_new(&c);
    unsigned all = 0;

    for (unsigned who = 1; who < 3 * KAD_CLIENTS_MAX; who++) {
        all += flood(b, who, 7, 1);
    }
    assert_int_equal(all, 20);
    bed_free(b);
}

static void the_debt_of_a_network_outlives_its_connections(void **state)
{
    (void)state;
    struct kad_config c = {.limits.requests = {100, 10, 100000}};
    struct bed *b = bed_new(&c);

    assert_in_range(flood(b, 1, 7, 100), 15, 20);
    b->now += 300 * NS_PER_MS; /* the peer has no debt any more, its network has */
    kad_clients_expire(&b->k->server.limits, b->now);
    assert_int_equal(b->k->server.limits.clients.n, 0);
    assert_in_range(flood(b, 2, 7, 100), 1, 5);
    bed_free(b);
}

static void when_all_ask_too_much_the_modest_are_served_first(void **state)
{
    (void)state;
    struct kad_config c = {.limits.requests = {100, 1000, 200}};
    struct bed *b = bed_new(&c);

    assert_int_equal(flood(b, 1, 1, 1000), 200); /* all it may alone: half of all there is */
    assert_int_equal(flood(b, 2, 2, 1000), 67);  /* until its debt is what is left */
    unsigned third = flood(b, 3, 3, 1000);
    assert_true(third > 0 && third < 67);
    assert_int_equal(flood(b, 1, 1, 1000), 0);
    assert_int_equal(flood(b, 2, 2, 1000), 0);
    assert_true(refused(b, KAD_REFUSED_RATE_ALL) >= 3);
    assert_int_equal(flood(b, 4, 4, 5), 5); /* who asks little notices nothing */
    assert_int_equal(flood(b, 5, 5, 5), 5);
    bed_free(b);
}

static void a_lab_knows_no_networks(void **state)
{
    (void)state;
    struct kad_config c = {.lab = true, .limits.requests = {10, 10, 1000}};
    struct bed *b = bed_new(&c);

    assert_int_equal(flood(b, 1, 7, 100), 20);
    assert_int_equal(flood(b, 2, 7, 100), 20);
    bed_free(b);
}

/* Circuits end at the gateway: no stream without a peer is served here. */
static void the_anonymous_are_not_served(void **state)
{
    (void)state;
    struct kad_config c = {.lab = false};
    struct bed *b = bed_new(&c);
    struct kad_peer_info p = peer(1);
    static const struct peer_id nobody;
    const struct peer_id *who[] = {NULL, &nobody, &p.id};

    for (uint32_t i = 0; i < ARRAY_LEN(who); i++) {
        struct ev ev = {.type = EV_STREAM_OPEN,
                        .inbound = true,
                        .strm = {1 + i, 1},
                        .peer = who[i],
                        .props = i == 2 ? LINK_ANON : 0};
        tell(b, &ev);
        assert_int_equal(acts_of(b, ACT_RESET), 1);
        assert_int_equal(answered(b, 1 + i, 100), 0);
    }
    come(b, 9, &p.id);
    assert_int_equal(answered(b, 9, 1), 1);
    bed_free(b);
}

static bool stores(struct bed *b, uint32_t slot, unsigned key, const char *value)
{
    char name[32];
    int n = snprintf(name, sizeof(name), "/v/%u", key);
    struct kad_msg m = put((struct slice){(const uint8_t *)name, (size_t)n},
                           (struct slice){(const uint8_t *)value, strlen(value)});
    struct kad_peer_info p = peer(1);

    come_from(b, slot, &p.id, 7);
    ask(b, slot, &m);
    bool good = acts_of(b, ACT_WRITE) == 1;
    go(b, slot);
    return good;
}

static void stores_have_an_allowance_of_their_own(void **state)
{
    (void)state;
    struct kad_config c = {.limits.stores = {5, 50, 500}};
    struct bed *b = bed_new(&c);
    unsigned n = 0;

    while (n < 100 && stores(b, 100 + n, 1, "v1")) {
        n++;
    }
    assert_int_equal(n, 10);
    assert_int_equal(refused(b, KAD_REFUSED_RATE_STORE), 1);
    assert_int_equal(flood(b, 1, 7, 50), 50); /* reading goes on */
    b->now += NS_PER_S;
    assert_true(stores(b, 99, 1, "v1"));
    bed_free(b);
}

static void a_peer_may_bring_so_many_new_records_an_hour(void **state)
{
    (void)state;
    struct kad_config c = {.limits.records = {3, 100, 0}};
    struct bed *b = bed_new(&c);

    assert_false(stores(b, 1, 0, "!not valid")); /* costs nothing of the hour */
    for (unsigned key = 0; key < 3; key++) {
        assert_true(stores(b, 2 + key, key, "v1"));
    }
    assert_false(stores(b, 10, 3, "v1"));
    assert_int_equal(refused(b, KAD_REFUSED_QUOTA), 1);
    assert_true(stores(b, 11, 1, "v2")); /* what is held may be renewed */
    b->now += 1199 * NS_PER_S;
    assert_false(stores(b, 12, 3, "v1"));
    b->now += 2 * NS_PER_S;
    assert_true(stores(b, 13, 3, "v1"));
    bed_free(b);
}

static void a_refused_record_gives_back_what_it_cost_and_no_more(void **state)
{
    (void)state;
    static const struct kad_limit limits[] = {{3, 100, 0}, {100, 3, 0}}; /* of a peer, a network */

    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct kad_config c = {.limits.records = limits[i]};
        struct bed *b = bed_new(&c);
        assert_true(stores(b, 1, 0, "v1"));
        assert_true(stores(b, 2, 1, "v1"));
        for (unsigned more = 0; more < 5; more++) {
            assert_false(stores(b, 3 + more, 2, "!not valid"));
        }
        assert_true(stores(b, 10, 3, "v1"));
        assert_false(stores(b, 11, 4, "v1"));
        assert_int_equal(refused(b, KAD_REFUSED_QUOTA), 1);
        bed_free(b);
    }
}

static void unless_told_otherwise_a_peer_fills_an_eighth_of_the_store_an_hour(void **state)
{
    (void)state;
    struct kad_config c = {.records_max = 80};
    struct bed *b = bed_new(&c);
    unsigned n = 0;

    while (n < 80 && stores(b, 100 + n, n, "v1")) {
        n++;
    }
    assert_int_equal(n, 11);
    assert_int_equal(refused(b, KAD_REFUSED_QUOTA), 1);
    bed_free(b);
}

static void a_network_may_bring_so_many_new_records_an_hour(void **state)
{
    (void)state;
    struct kad_config c = {.limits.records = {100, 3, 0}};
    struct bed *b = bed_new(&c);
    unsigned kept = 0;

    for (unsigned who = 1; who < 10; who++) {
        struct kad_peer_info p = peer(who);
        char name[8] = {'/', 'v', '/', (char)('a' + who)};
        struct kad_msg m = put((struct slice){(const uint8_t *)name, 4}, S("v1"));
        come_from(b, who, &p.id, 7);
        ask(b, who, &m);
        kept += acts_of(b, ACT_WRITE) == 1 ? 1 : 0;
    }
    assert_int_equal(kept, 3);
    assert_int_equal(refused(b, KAD_REFUSED_QUOTA), 6);
    bed_free(b);
}

static void a_client_with_a_full_bucket_is_dropped(void **state)
{
    (void)state;
    struct kad_config c = {.lab = false};
    struct bed *b = bed_new(&c);
    size_t before = b->mem.used;

    for (unsigned who = 1; who <= 500; who++) {
        assert_int_equal(flood(b, who, who, 2), 2);
    }
    assert_true(b->mem.used > before);
    b->now += 3 * NS_PER_S;
    kad_clients_expire(&b->k->server.limits, b->now);
    kad_clients_expire(&b->k->server.limits, b->now);
    assert_int_equal(b->k->server.limits.clients.n, 0);
    assert_int_equal(b->k->server.limits.nets.n, 0);
    bed_free(b);
}

static void a_new_client_is_served_when_the_table_is_full_of_idle_ones(void **state)
{
    (void)state;
    struct kad_config c = {.limits.requests = {1, 1000, 100000}};
    struct bed *b = bed_new(&c);

    for (unsigned who = 1; who <= 3 * KAD_CLIENTS_MAX; who++) {
        assert_int_equal(flood(b, who, 1000 + who, 1), 1);
        assert_true(b->k->server.limits.clients.n <= KAD_CLIENTS_MAX &&
                    b->k->server.limits.nets.n <= KAD_NETS_MAX);
    }
    assert_int_equal(b->k->server.limits.clients.n, KAD_CLIENTS_MAX);
    bed_free(b);
}

static void the_stream_silent_for_longest_makes_room(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);

    for (uint32_t i = 0; i < KAD_INBOUND_MAX; i++) {
        struct kad_peer_info p = peer(i % 1000);
        come(b, i, &p.id);
        assert_int_equal(acts_of(b, ACT_RESET), 0);
    }
    ask(b, 0, &ping);
    struct kad_peer_info p = peer(1);
    come(b, KAD_INBOUND_MAX, &p.id);
    assert_int_equal(acts_of(b, ACT_RESET), 1);
    assert_int_equal(b->v[0].strm.slot, 1); /* 0 has just said something */
    assert_int_equal(answered(b, KAD_INBOUND_MAX, 1), 1);
    assert_int_equal(answered(b, 0, 1), 1);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_of_one_network_share_its_allowance),
        cmocka_unit_test(new_identities_do_not_clear_the_debt_of_a_network),
        cmocka_unit_test(the_debt_of_a_network_outlives_its_connections),
        cmocka_unit_test(when_all_ask_too_much_the_modest_are_served_first),
        cmocka_unit_test(a_lab_knows_no_networks),
        cmocka_unit_test(the_anonymous_are_not_served),
        cmocka_unit_test(stores_have_an_allowance_of_their_own),
        cmocka_unit_test(a_peer_may_bring_so_many_new_records_an_hour),
        cmocka_unit_test(a_refused_record_gives_back_what_it_cost_and_no_more),
        cmocka_unit_test(unless_told_otherwise_a_peer_fills_an_eighth_of_the_store_an_hour),
        cmocka_unit_test(a_network_may_bring_so_many_new_records_an_hour),
        cmocka_unit_test(a_client_with_a_full_bucket_is_dropped),
        cmocka_unit_test(a_new_client_is_served_when_the_table_is_full_of_idle_ones),
        cmocka_unit_test(the_stream_silent_for_longest_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
