/*
 * network_test.c - ten nodes in one process, over real sockets on loopback, through the public API.
 *
 * Checked where it counts, at the far end: what was sent arrived, values lie on the
 * closest nodes, the reader gets them after the writer is gone, and no relay knows both ends.
 *
 * TEST: timeout=120 waits
 */
#include "net.h"

#define NODES 10
#define SECRET "secret message"

static void nodes_join_by_one_bootstrap_peer(void **state)
{
    (void)state;
    net_grow(NODES, &(struct net_options){0});
}

static void every_link_is_post_quantum(void **state)
{
    (void)state;
    size_t links = 0;
    for (size_t i = 0; i < NODES; i++) {
        qudag_link_info l = QUDAG_INIT(qudag_link_info);
        size_t it = 0;
        while (qudag_link_next(net[i].node, &it, &l)) {
            if (l.state != QUDAG_LINK_UP) {
                continue;
            }
            assert_string_equal(l.group, "X25519MLKEM768");
            assert_string_equal(l.sig_local, "mldsa65");
            assert_string_equal(l.sig_remote, "mldsa65");
            assert_true(l.pq_kex && l.pq_auth);
            links++;
        }
    }
    assert_true(links >= 2 * (NODES - 1));
}

static const qudag_slice key = {(const uint8_t *)"/app/test_key", 13};
static const qudag_slice value = {(const uint8_t *)"test_value", 10};

static void a_value_is_stored_on_all_close_nodes(void **state)
{
    (void)state;
    net_ask(&net[1], qudag_dht_put(net[1].node, key, value, &net[1].last));
    assert_int_equal(net[1].err, QUDAG_OK);
    assert_true(net[1].n_stored >= NODES * 3 / 4); /* the quorum; the others follow */
    NET_WAIT(net_holders(key, value) >= NODES - 2,
             5); /* fewer nodes than k: all of them are closest */
}

static void a_value_outlives_its_writer(void **state)
{
    (void)state;
    net_stop(1);
    net_ask(&net[5], qudag_dht_get(net[5].node, key, &net[5].last));
    assert_int_equal(net[5].err, QUDAG_OK);
    assert_int_equal(net[5].value_len, value.len);
    assert_memory_equal(net[5].value, value.base, value.len);
}

static void a_missing_value_is_told_from_an_unreachable_network(void **state)
{
    (void)state;
    qudag_slice none = {(const uint8_t *)"/app/nothing", 12};
    net_ask(&net[4], qudag_dht_get(net[4].node, none, &net[4].last));
    assert_int_equal(net[4].err, QUDAG_ENOTFOUND);
}

static void ping_measures_a_round_trip(void **state)
{
    (void)state;
    net_ask(&net[2], qudag_ping(net[2].node, &net[7].self, &net[2].last));
    assert_int_equal(net[2].err, QUDAG_OK);
}

static void a_circuit_has_three_distinct_relays(void **state)
{
    (void)state;
    qudag_circuit_info c = QUDAG_INIT(qudag_circuit_info);
    size_t it = 0;
    net_ask(&net[3], qudag_circuit_build(net[3].node, 0, &net[3].last));
    assert_int_equal(net[3].err, QUDAG_OK);
    while (qudag_circuit_next(net[3].node, &it, &c) && c.circuit.id != net[3].circuit.id) {
    }
    assert_int_equal(c.circuit.id, net[3].circuit.id);
    assert_int_equal(c.hops, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_memory_not_equal(&c.path[i], &net[3].self, sizeof(qudag_peer_id));
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(&c.path[i], &c.path[j], sizeof(qudag_peer_id));
        }
    }
    /* a stream to its end: anonymous there */
    struct peer *caller = &net[3];
    caller->say = SECRET;
    caller->back_len = 0;
    caller->closed = false;
    assert_int_equal(qudag_circuit_stream(net[3].node, net[3].circuit, NET_ECHO, &caller->ours),
                     QUDAG_OK);
    NET_WAIT(caller->back_len == 14, NET_SOON);
    assert_memory_equal(caller->back, SECRET, 14);
    NET_WAIT(caller->closed, NET_SOON);
    assert_int_equal(caller->closed_why, QUDAG_OK);
    const struct peer *end = net_find(&c.path[2]);
    assert_non_null(end);
    assert_int_equal(end->got_len, 14);
    assert_memory_equal(end->got, SECRET, 14);
    assert_true(end->from_anonymous);
    assert_int_equal(qudag_circuit_close(net[3].node, net[3].circuit), QUDAG_OK);
}

static char dark[QUDAG_DARK_TEXT_MAX];

static void a_direct_address_is_published_and_resolved(void **state)
{
    (void)state;
    assert_int_equal(net_create_direct(net[6].node, "echo", dark), QUDAG_OK);
    net_ask(&net[6], qudag_dark_publish(net[6].node, dark, &net[6].last));
    assert_int_equal(net[6].err, QUDAG_OK);
    assert_true(net[6].count >= 5);
    net_ask(&net[8], qudag_dark_resolve(net[8].node, dark, &net[8].last));
    assert_int_equal(net[8].err, QUDAG_OK);
}

static void a_message_reaches_a_dark_address(void **state)
{
    (void)state;
    struct peer *service = &net[6];
    struct peer *caller = &net[8];
    caller->say = SECRET;
    caller->back_len = 0;
    caller->closed = false;
    service->got_len = 0;
    assert_int_equal(qudag_dark_open(caller->node, dark, NET_ECHO, &caller->ours), QUDAG_OK);
    NET_WAIT(caller->back_len == 14, 20);
    assert_memory_equal(service->got, SECRET, 14);
    assert_int_equal(service->got_len, 14);
    assert_true(service->from_anonymous);
    assert_string_equal(service->dark_used, dark);
    NET_WAIT(caller->closed, NET_SOON);
    assert_int_equal(caller->closed_why, QUDAG_OK);
}

/* The caller's circuit of the last test; lookups have left others, which may lead over the service's node. */
static qudag_circuit_info circuit_of_message(void)
{
    qudag_circuit_info c = QUDAG_INIT(qudag_circuit_info);
    size_t it = 0;

    while (qudag_circuit_next(net[8].node, &it, &c)) {
        if (c.role == QUDAG_CIRCUIT_CLIENT && strcmp(c.purpose, "dark") == 0) {
            return c;
        }
    }
    fail_msg("no circuit to the service");
    return c;
}

static bool peer_is(const qudag_peer_id *a, const qudag_peer_id *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* What each relay recorded of the circuit of the last test: its neighbours, never both ends. */
static void no_relay_knows_both_ends(void **state)
{
    (void)state;
    const qudag_circuit_info own = circuit_of_message();
    const qudag_peer_id *from = &net[8].self, *to = &net[6].self;
    size_t relays = 0;
    for (size_t i = 0; i < NODES; i++) {
        qudag_circuit_info c = QUDAG_INIT(qudag_circuit_info);
        size_t it = 0;
        while (net[i].node != NULL && qudag_circuit_next(net[i].node, &it, &c)) {
            for (size_t k = 0; k + 1 < own.hops_wanted; k++) {
                const qudag_peer_id *before = k == 0 ? from : &own.path[k - 1];
                relays += c.role == QUDAG_CIRCUIT_RELAY && peer_is(&own.path[k], &net[i].self) &&
                          peer_is(&c.prev, before) && peer_is(&c.next, &own.path[k + 1]);
            }
            for (size_t j = 0; c.role == QUDAG_CIRCUIT_RELAY && j < QUDAG_HOPS_MAX; j++) {
                assert_int_equal(c.path[j].len, 0);
            }
        }
    }
    assert_true(relays >= 3); /* each names the one before and the one behind it */
    for (size_t k = 0; k + 1 < own.hops_wanted; k++) {
        assert_false(peer_is(k == 0 ? from : &own.path[k - 1], from) &&
                     peer_is(&own.path[k + 1], to));
    }
}

static void wrong_addresses_are_refused_with_a_reason(void **state)
{
    (void)state;
    char bad[QUDAG_DARK_TEXT_MAX];
    qudag_op op;
    memcpy(bad, dark, sizeof(bad));
    bad[20] = bad[20] == 'a' ? 'b' : 'a';
    assert_int_equal(qudag_dark_check(bad), QUDAG_ECHECKSUM);
    assert_int_equal(qudag_dark_resolve(net[8].node, bad, &op), QUDAG_ECHECKSUM);
    assert_int_equal(qudag_dark_check("example.com"), QUDAG_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_join_by_one_bootstrap_peer),
        cmocka_unit_test(every_link_is_post_quantum),
        cmocka_unit_test(a_value_is_stored_on_all_close_nodes),
        cmocka_unit_test(a_value_outlives_its_writer),
        cmocka_unit_test(a_missing_value_is_told_from_an_unreachable_network),
        cmocka_unit_test(ping_measures_a_round_trip),
        cmocka_unit_test(a_circuit_has_three_distinct_relays),
        cmocka_unit_test(a_direct_address_is_published_and_resolved),
        cmocka_unit_test(a_message_reaches_a_dark_address),
        cmocka_unit_test(no_relay_knows_both_ends),
        cmocka_unit_test(wrong_addresses_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, net_stop_all);
}
