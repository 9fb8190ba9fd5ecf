/*
 * network_test.c - ten nodes in one process, over real sockets on loopback, through the public API.
 *
 * The seed's integration test with the assertions it lacked: what was sent arrived, values lie on the
 * closest nodes, the reader gets them after the writer is gone, and no relay knows both ends.
 *
 * TEST: timeout=120 serial
 */
#include <qudag/qudag.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define NODES 10
#define ECHO "/test/echo/1.0.0"

struct peer {
    qudag_identity *id;
    qudag_node *node;
    qudag_peer_id self;
    char addr[QUDAG_ADDR_TEXT_MAX];
    char self_text[QUDAG_PEER_ID_TEXT_MAX];
    qudag_phase phase;
    unsigned ops_done;
    qudag_op last;
    qudag_err err;
    uint8_t value[8192];
    size_t value_len;
    qudag_peer_id stored[64];
    size_t n_stored;
    qudag_circuit circuit;
    uint32_t count;
    char got[4096]; /* by the echo service */
    size_t got_len;
    bool from_anonymous;
    char dark_used[QUDAG_DARK_TEXT_MAX];
    char back[4096]; /* by the caller */
    size_t back_len;
    bool closed;
    qudag_err closed_why;
};

static struct peer net[NODES];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct peer *of(void *user)
{
    return user;
}

static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                     void *user)
{
    (void)n;
    (void)a;
    (void)b;
    (void)err;
    of(user)->phase = p;
}

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct peer *p = of(user);
    (void)n;
    if (op.id != p->last.id) {
        return;
    }
    p->ops_done++;
    p->err = err;
    p->value_len = res->value.len;
    if (res->value.len > 0) {
        memcpy(p->value, res->value.base, res->value.len);
    }
    p->n_stored = res->peers_n;
    for (size_t i = 0; i < res->peers_n; i++) {
        p->stored[i] = res->peers[i];
    }
    p->circuit = res->circuit;
    p->count = res->count;
}

static void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                  const char *proto, void *user)
{
    (void)n;
    (void)s;
    assert_string_equal(proto, ECHO);
    of(user)->from_anonymous = from == NULL;
    snprintf(of(user)->dark_used, sizeof(of(user)->dark_used), "%s", dark != NULL ? dark : "");
}

static qudag_stream ours; /* the caller's stream */
static struct peer *caller;

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct peer *p = of(user);
    size_t taken;

    qudag_stream_consume(n, s, data.len);
    if (p == caller && s.id == ours.id) {
        assert_true(p->back_len + data.len <= sizeof(p->back));
        if (data.len > 0) {
            memcpy(p->back + p->back_len, data.base, data.len);
        }
        p->back_len += data.len;
        return;
    }
    if (data.len > 0) {
        assert_true(p->got_len + data.len <= sizeof(p->got));
        memcpy(p->got + p->got_len, data.base, data.len);
        p->got_len += data.len;
        assert_int_equal(qudag_stream_write(n, s, data, &taken), QUDAG_OK);
        assert_int_equal(taken, data.len);
    }
    if (fin) {
        qudag_stream_fin(n, s);
    }
}

static void on_opened(qudag_node *n, qudag_stream s, void *user)
{
    size_t taken;
    (void)user;
    assert_int_equal(
        qudag_stream_write(n, s, (qudag_slice){(const uint8_t *)"secret message", 14}, &taken),
        QUDAG_OK);
    assert_int_equal(taken, 14);
    qudag_stream_fin(n, s);
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    (void)n;
    if (of(user) == caller && s.id == ours.id) {
        of(user)->closed = true;
        of(user)->closed_why = why;
    }
}

static void turn(void)
{
    for (size_t i = 0; i < NODES; i++) {
        if (net[i].node != NULL) {
            assert_int_equal(qudag_node_step(net[i].node, 0), QUDAG_OK);
        }
    }
}

#define WAIT(cond, seconds)                                                                        \
    do {                                                                                           \
        double end = now_s() + (seconds);                                                          \
        while (!(cond) && now_s() < end) {                                                         \
            turn();                                                                                \
        }                                                                                          \
        if (!(cond)) {                                                                             \
            fail_msg("not within %d s: %s", (int)(seconds), #cond);                                \
        }                                                                                          \
    } while (0)

static const char *log_env;

static void on_log(void *user, const qudag_log_record *r)
{
    if (log_env == NULL) {
        return;
    }
    fprintf(stderr, "%.3f node%02d %s", now_s(), (int)(of(user) - net), r->event);
    for (size_t i = 0; i < r->n; i++) {
        if (r->fields[i].text != NULL) {
            fprintf(stderr, " %s=%s", r->fields[i].name, r->fields[i].text);
        } else {
            fprintf(stderr, " %s=%lld", r->fields[i].name, (long long)r->fields[i].num);
        }
    }
    fprintf(stderr, "\n");
}

static void start_node(size_t i, const char *bootstrap)
{
    static const char *const listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    static const char *const ns[] = {"app"};
    qudag_settings s;
    qudag_callbacks cb = {.phase = on_phase,
                          .op_done = on_done,
                          .stream_in = on_in,
                          .stream_data = on_data,
                          .stream_opened = on_opened,
                          .stream_closed = on_closed};
    struct peer *p = &net[i];
    size_t it = 0;

    QUDAG_SETTINGS_INIT(&s);
    assert_int_equal(qudag_identity_generate(&p->id), QUDAG_OK);
    s.identity = p->id;
    s.listen = listen;
    s.listen_n = 1;
    s.bootstrap = &bootstrap;
    s.bootstrap_n = bootstrap != NULL ? 1 : 0;
    s.open_namespaces = ns;
    s.open_namespaces_n = 1;
    s.lab = true;
    s.log = on_log;
    s.log_level = QUDAG_LOG_DEBUG;
    assert_int_equal(qudag_node_new(&p->node, &s, &cb, p), QUDAG_OK);
    qudag_node_peer_id(p->node, &p->self);
    qudag_peer_id_text(&p->self, p->self_text);
    assert_true(qudag_node_addr_next(p->node, &it, p->addr));
    assert_int_equal(qudag_protocol_serve(p->node, ECHO), QUDAG_OK);
    assert_int_equal(qudag_node_start(p->node), QUDAG_OK);
}

static bool all_ready(void)
{
    for (size_t i = 0; i < NODES; i++) {
        if (net[i].node != NULL && net[i].phase != QUDAG_PHASE_READY) {
            return false;
        }
    }
    return true;
}

static void nodes_join_by_one_bootstrap_peer(void **state)
{
    (void)state;
    start_node(0, NULL);
    for (size_t i = 1; i < NODES; i++) {
        start_node(i, net[0].addr);
    }
    WAIT(all_ready(), 30);
}

static void every_link_is_post_quantum(void **state)
{
    (void)state;
    size_t links = 0;
    for (size_t i = 0; i < NODES; i++) {
        qudag_link_info l;
        size_t it = 0;
        while (qudag_link_next(net[i].node, &it, &l)) {
            assert_string_equal(l.group, "X25519MLKEM768");
            assert_string_equal(l.sig_local, "mldsa65");
            assert_string_equal(l.sig_remote, "mldsa65");
            assert_true(l.pq_kex && l.pq_auth);
            links++;
        }
    }
    assert_true(links >= 2 * (NODES - 1));
}

static void ask(struct peer *p, qudag_err err)
{
    assert_int_equal(err, QUDAG_OK);
    unsigned before = p->ops_done;
    WAIT(p->ops_done > before, 30);
}

static const qudag_slice key = {(const uint8_t *)"/app/test_key", 13};
static const qudag_slice value = {(const uint8_t *)"test_value", 10};

static size_t holders(void)
{
    size_t n = 0;
    for (size_t i = 0; i < NODES; i++) {
        qudag_dht_record r;
        size_t it = 0;
        while (net[i].node != NULL && qudag_dht_record_next(net[i].node, &it, &r)) {
            if (r.key.len == key.len && memcmp(r.key.base, key.base, key.len) == 0) {
                assert_int_equal(r.value.len, value.len);
                assert_memory_equal(r.value.base, value.base, value.len);
                n++;
            }
        }
    }
    return n;
}

static void a_value_is_stored_on_all_close_nodes(void **state)
{
    (void)state;
    ask(&net[1], qudag_dht_put(net[1].node, key, value, &net[1].last));
    assert_int_equal(net[1].err, QUDAG_OK);
    assert_true(net[1].n_stored >= NODES - 2); /* fewer nodes than k: all of them are closest */
    assert_true(holders() >= NODES - 2);
}

static void a_value_outlives_its_writer(void **state)
{
    (void)state;
    qudag_node_free(net[1].node);
    net[1].node = NULL;
    ask(&net[5], qudag_dht_get(net[5].node, key, &net[5].last));
    assert_int_equal(net[5].err, QUDAG_OK);
    assert_int_equal(net[5].value_len, value.len);
    assert_memory_equal(net[5].value, value.base, value.len);
}

static void a_missing_value_is_told_from_an_unreachable_network(void **state)
{
    (void)state;
    qudag_slice none = {(const uint8_t *)"/app/nothing", 12};
    ask(&net[4], qudag_dht_get(net[4].node, none, &net[4].last));
    assert_int_equal(net[4].err, QUDAG_ENOTFOUND);
}

static void ping_measures_a_round_trip(void **state)
{
    (void)state;
    ask(&net[2], qudag_ping(net[2].node, &net[7].self, &net[2].last));
    assert_int_equal(net[2].err, QUDAG_OK);
}

static void a_circuit_has_three_distinct_relays(void **state)
{
    (void)state;
    qudag_circuit_info c = {0};
    size_t it = 0;
    ask(&net[3], qudag_circuit_build(net[3].node, 0, &net[3].last));
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
    caller = &net[3];
    caller->back_len = 0;
    caller->closed = false;
    assert_int_equal(qudag_circuit_stream(net[3].node, net[3].circuit, ECHO, &ours), QUDAG_OK);
    WAIT(caller->back_len == 14, 10);
    assert_memory_equal(caller->back, "secret message", 14);
    WAIT(caller->closed, 10);
    assert_int_equal(caller->closed_why, QUDAG_OK);
    struct peer *end = NULL;
    for (size_t i = 0; i < NODES; i++) {
        if (memcmp(&net[i].self, &c.path[2], sizeof(c.path[2])) == 0) {
            end = &net[i];
        }
    }
    assert_non_null(end);
    assert_int_equal(end->got_len, 14);
    assert_memory_equal(end->got, "secret message", 14);
    assert_true(end->from_anonymous);
    assert_int_equal(qudag_circuit_close(net[3].node, net[3].circuit), QUDAG_OK);
}

static char dark[QUDAG_DARK_TEXT_MAX];

static void a_dark_address_is_published_and_resolved(void **state)
{
    (void)state;
    assert_int_equal(qudag_dark_create(net[6].node, "echo", dark), QUDAG_OK);
    ask(&net[6], qudag_dark_publish(net[6].node, dark, &net[6].last));
    assert_int_equal(net[6].err, QUDAG_OK);
    assert_true(net[6].count >= 5);
    ask(&net[8], qudag_dark_resolve(net[8].node, dark, &net[8].last));
    assert_int_equal(net[8].err, QUDAG_OK);
}

static void a_message_reaches_a_dark_address(void **state)
{
    (void)state;
    struct peer *service = &net[6];
    caller = &net[8];
    caller->back_len = 0;
    caller->closed = false;
    service->got_len = 0;
    assert_int_equal(qudag_dark_open(caller->node, dark, ECHO, &ours), QUDAG_OK);
    WAIT(caller->back_len == 14, 20);
    assert_memory_equal(service->got, "secret message", 14);
    assert_int_equal(service->got_len, 14);
    assert_true(service->from_anonymous);
    assert_string_equal(service->dark_used, dark);
    WAIT(caller->closed, 10);
    assert_int_equal(caller->closed_why, QUDAG_OK);
}

/* What each relay recorded of the circuit of the last test: its neighbours, never both ends. */
static void no_relay_knows_both_ends(void **state)
{
    (void)state;
    const qudag_peer_id *from = &net[8].self, *to = &net[6].self;
    size_t relays = 0;
    for (size_t i = 0; i < NODES; i++) {
        qudag_circuit_info c;
        size_t it = 0;
        while (net[i].node != NULL && qudag_circuit_next(net[i].node, &it, &c)) {
            if (c.role != QUDAG_CIRCUIT_RELAY) {
                continue;
            }
            relays++;
            bool has_from = memcmp(&c.prev, from, sizeof(*from)) == 0 ||
                            memcmp(&c.next, from, sizeof(*from)) == 0;
            bool has_to =
                memcmp(&c.prev, to, sizeof(*to)) == 0 || memcmp(&c.next, to, sizeof(*to)) == 0;
            assert_false(has_from && has_to);
            for (size_t j = 0; j < QUDAG_HOPS_MAX; j++) {
                assert_int_equal(c.path[j].len, 0);
            }
        }
    }
    assert_true(relays >= 3);
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

static int stop_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        qudag_node_free(net[i].node);
        qudag_identity_free(net[i].id);
    }
    return 0;
}

int main(void)
{
    log_env = getenv("QUDAG_TEST_LOG");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_join_by_one_bootstrap_peer),
        cmocka_unit_test(every_link_is_post_quantum),
        cmocka_unit_test(a_value_is_stored_on_all_close_nodes),
        cmocka_unit_test(a_value_outlives_its_writer),
        cmocka_unit_test(a_missing_value_is_told_from_an_unreachable_network),
        cmocka_unit_test(ping_measures_a_round_trip),
        cmocka_unit_test(a_circuit_has_three_distinct_relays),
        cmocka_unit_test(a_dark_address_is_published_and_resolved),
        cmocka_unit_test(a_message_reaches_a_dark_address),
        cmocka_unit_test(no_relay_knows_both_ends),
        cmocka_unit_test(wrong_addresses_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, stop_all);
}
