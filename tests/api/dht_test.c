/*
 * dht_test.c - acceptance cases of the DHT over real sockets: values outlive half of the network,
 * a newcomer finds everybody, what is oversize or foreign is refused by those who would store it.
 *
 * TEST: timeout=120 waits
 */
#include "net.h"

#define NODES 24
#define DEAD 12
#define K 20
#define QUORUM 15

static const char *const keys[] = {"/app/one", "/app/two", "/app/three", "/app/four"};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static size_t table_has(struct peer *p)
{
    bool seen[NET_MAX] = {false};
    qudag_peer_id id;
    size_t it = 0, n = 0;
    while (qudag_dht_table_next(p->node, &it, &id)) {
        seen[net_find(&id) - net] = true;
    }
    for (size_t i = 0; i < NET_MAX; i++) {
        n += seen[i];
    }
    return n;
}

/* In waves, as one thread cannot do the handshakes of all at once within their time limits. */
static int grow(void **state)
{
    struct net_options o = {.n_bootstrap = 1};
    double t = net_now();
    (void)state;
    net_grow(6, &(struct net_options){0});
    o.bootstrap[0] = net[0].addr;
    for (size_t i = 6; i < NODES; i++) {
        net_start(i, &o);
        if (i % 6 == 5) {
            NET_WAIT(net_all_ready(), 20);
        }
    }
    print_message("%d nodes ready after %.1f s\n", NODES, net_now() - t);
    return 0;
}

static void a_value_lies_on_the_closest_nodes(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        struct peer *p = &net[i];
        net_ask(p, qudag_dht_put(p->node, net_text(keys[i]), net_text(keys[i]), &p->last));
        assert_int_equal(p->err, QUDAG_OK);
        size_t held = net_holders(net_text(keys[i]), net_text(keys[i]));
        print_message("%s: %zu said they stored it, %zu hold it\n", keys[i], p->n_stored, held);
        assert_true(p->n_stored >= QUORUM);
        assert_true(held >= p->n_stored && held <= K + 1);
    }
}

static void a_newcomer_finds_the_network_within_seconds(void **state)
{
    struct net_options o = {.bootstrap = {net[5].addr}, .n_bootstrap = 1};
    struct peer *p = &net[NODES];
    (void)state;

    double t = net_now();
    net_start(NODES, &o);
    NET_WAIT(table_has(p) >= K, 20);
    double found = net_now() - t;
    /* somebody far from its bootstrap peer, by name alone */
    net_ask(p, qudag_dht_find_peer(p->node, &net[17].self, &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    net_ask(p, qudag_ping(p->node, &net[17].self, &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    print_message("a newcomer knew %zu peers after %.0f ms, found and pinged one by its id after "
                  "%.0f ms\n",
                  table_has(p), found * 1e3, (net_now() - t) * 1e3);
    assert_true(net_now() - t < 20); /* a fraction of a second on an idle machine */
    net_ask(p, qudag_dht_get(p->node, net_text(keys[0]), &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    net_stop(NODES);
}

static void oversize_is_refused_before_it_is_sent(void **state)
{
    static uint8_t big[QUDAG_DHT_VALUE_MAX + 1], key[200] = "/app/";
    qudag_op op;
    (void)state;

    memset(key + 5, 'x', sizeof(key) - 5);
    assert_int_equal(
        qudag_dht_put(net[1].node, net_text("/app/big"), (qudag_slice){big, sizeof(big)}, &op),
        QUDAG_ETOOBIG);
    assert_int_equal(qudag_dht_put(net[1].node, (qudag_slice){key, 129}, net_text("value"), &op),
                     QUDAG_ETOOBIG);
    /* an open namespace takes less than the DHT carries */
    for (size_t over = 0; over < 2; over++) {
        qudag_slice v = {big, QUDAG_DHT_OPEN_VALUE_MAX + over};
        net_ask(&net[1], qudag_dht_put(net[1].node, net_text("/app/big"), v, &net[1].last));
        assert_int_equal(net[1].err == QUDAG_OK, over == 0);
        assert_int_equal(net_holders(net_text("/app/big"), v) >= QUORUM, over == 0);
    }
}

/* A node that believes in a namespace of its own cannot fill the others with it. */
static void foreign_records_are_refused_by_those_who_would_store_them(void **state)
{
    struct net_options o = {.bootstrap = {net[2].addr}, .n_bootstrap = 1, .name_space = "alien"};
    static const char *const forged[] = {"/qudag/relay/", "/qudag/dark/", "/pk/"};
    struct peer *p = &net[NODES + 1];
    uint64_t refused = 0;
    (void)state;

    for (size_t i = 0; i < NODES; i++) {
        refused += net_stat(&net[i], "kad_refused_records");
    }
    net_start(NODES + 1, &o);
    NET_WAIT(p->phase == QUDAG_PHASE_READY, 20);
    net_ask(p, qudag_dht_put(p->node, net_text("/alien/key"), net_text("value"), &p->last));
    assert_int_not_equal(p->err, QUDAG_OK);
    assert_true(p->n_stored <= 1); /* itself, if it is among the closest */
    print_message("a put of a foreign record: %s\n", qudag_strerror(p->err));
    uint64_t now_refused = 0;
    for (size_t i = 0; i < NODES; i++) {
        now_refused += net_stat(&net[i], "kad_refused_records");
    }
    assert_true(now_refused >= refused + QUORUM);
    assert_int_equal(net_holders(net_text("/alien/key"), net_text("value")), p->n_stored);
    /* and what the rules of a namespace refuse does not leave the node at all */
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        char key[80];
        snprintf(key, sizeof(key), "%s%.32s", forged[i], p->self_text);
        net_ask(p, qudag_dht_put(p->node, net_text(key), net_text("forged"), &p->last));
        assert_int_not_equal(p->err, QUDAG_OK);
        assert_int_equal(net_holders(net_text(key), net_text("forged")), 0);
    }
    net_stop(NODES + 1);
}

static void values_survive_the_sudden_death_of_half_of_the_nodes(void **state)
{
    double worst = 0;
    (void)state;
    /* the writers and the bootstrap peer among them; no goodbye, as if the power went */
    for (size_t i = 0; i < DEAD; i++) {
        net[i].frozen = true;
    }
    for (size_t i = 0; i < KEYS; i++) {
        struct peer *p = &net[DEAD + 2 * i];
        double t = net_now();
        net_ask(p, qudag_dht_get(p->node, net_text(keys[i]), &p->last));
        t = net_now() - t;
        worst = t > worst ? t : worst;
        assert_int_equal(p->err, QUDAG_OK);
        assert_int_equal(p->value_len, strlen(keys[i]));
        assert_memory_equal(p->value, keys[i], p->value_len);
    }
    print_message("with %d of %d dead values were read within %.0f ms\n", DEAD, NODES, worst * 1e3);
}

static void a_survivor_that_restarts_reads_them_too(void **state)
{
    struct net_options o = {.bootstrap = {net[0].addr, net[20].addr}, .n_bootstrap = 2};
    struct peer *p = &net[15];
    (void)state;

    net_stop(15);
    memset(p->phases, 0, sizeof(p->phases));
    net_start(15, &o); /* the same identity; the first of its two bootstrap peers is dead */
    NET_WAIT(p->phase == QUDAG_PHASE_READY, 30);
    for (size_t i = 0; i < KEYS; i++) {
        double t = net_now();
        net_ask(p, qudag_dht_get(p->node, net_text(keys[i]), &p->last));
        print_message("%s was read after %.0f ms\n", keys[i], (net_now() - t) * 1e3);
        assert_int_equal(p->err, QUDAG_OK);
        assert_memory_equal(p->value, keys[i], p->value_len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_lies_on_the_closest_nodes),
        cmocka_unit_test(a_newcomer_finds_the_network_within_seconds),
        cmocka_unit_test(oversize_is_refused_before_it_is_sent),
        cmocka_unit_test(foreign_records_are_refused_by_those_who_would_store_them),
        cmocka_unit_test(values_survive_the_sudden_death_of_half_of_the_nodes),
        cmocka_unit_test(a_survivor_that_restarts_reads_them_too),
    };
    return cmocka_run_group_tests(tests, grow, net_stop_all);
}
