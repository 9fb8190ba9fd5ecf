/*
 * figures_test.c - cases H1, H3 and G1 over real sockets: 10,000 messages of 1 KiB a second through one link, a link
 * within 100 ms, and counters and gauges once a link has ended.
 *
 * Other programs slow the clock on the wall down, not what a processor has to do: the first is measured in processor
 * time of both ends together, the second by the best of several, as each waits for others.
 *
 * TEST: timeout=120
 */
#include "net.h"

#include <time.h>

#define MESSAGES 10000
#define MESSAGE 1024
#define DIALS 10

static const struct net_options links_only = {.waiting = true, .client = true};

static struct {
    qudag_node *node[2];
    qudag_identity *id[2];
    char addr[QUDAG_ADDR_TEXT_MAX];
    qudag_peer_id peer;
    uint64_t got; /* bytes */
    bool bad;     /* another byte than was sent */
    unsigned ups;
} two;

static uint8_t byte_at(uint64_t off)
{
    return (uint8_t)(off * 31 >> 7);
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    (void)fin;
    (void)user;
    for (size_t i = 0; i < data.len; i += 97) {
        two.bad = two.bad || data.base[i] != byte_at(two.got + i);
    }
    two.got += data.len;
    qudag_stream_consume(n, s, data.len);
}

static void on_peer(qudag_node *n, const qudag_peer_id *peer, bool up, void *user)
{
    (void)n;
    (void)peer;
    (void)user;
    two.ups += up ? 1 : 0;
}

static void start(size_t i)
{
    static const qudag_callbacks cb = {
        .size = sizeof(cb), .stream_data = on_data, .peer_changed = on_peer};
    const char *listen = "/ip4/127.0.0.1/udp/0/quic-v1";
    qudag_settings s;

    QUDAG_SETTINGS_INIT(&s);
    assert_int_equal(qudag_identity_generate(&two.id[i]), QUDAG_OK);
    s.identity = two.id[i];
    s.listen = &listen;
    s.listen_n = 1;
    s.lab = true;
    assert_int_equal(qudag_node_new(&two.node[i], &s, &cb, NULL), QUDAG_OK);
    assert_int_equal(qudag_protocol_serve(two.node[i], NET_ECHO), QUDAG_OK);
}

static void turn(void)
{
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(qudag_node_step(two.node[i], 0), QUDAG_OK);
    }
}

static double cpu_s(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Each is a write of its own; one that does not fit yet is written on when there is room. */
static void send_all(qudag_stream s)
{
    double end = net_now() + 60;
    uint64_t off = 0;
    uint8_t m[MESSAGE];

    while (two.got < (uint64_t)MESSAGES * MESSAGE) {
        size_t taken = 1;
        while (taken > 0 && off < (uint64_t)MESSAGES * MESSAGE) {
            size_t n = MESSAGE - off % MESSAGE;
            for (size_t i = 0; i < n; i++) {
                m[i] = byte_at(off + i);
            }
            qudag_err err = qudag_stream_write(two.node[0], s, (qudag_slice){m, n}, &taken);
            assert_true(err == QUDAG_OK || err == QUDAG_EAGAIN);
            off += taken;
        }
        turn();
        assert_true(net_now() < end);
    }
}

/* Several times slower: only right, not quick. */
static bool sanitized(void)
{
    const char *is = getenv("QUDAG_SANITIZED");

    return is != NULL && *is == '1';
}

static void ten_thousand_messages_a_second_pass_one_link(void **state)
{
    size_t it = 0;
    qudag_stream s;
    qudag_op op;

    (void)state;
    start(0);
    start(1);
    qudag_node_peer_id(two.node[1], &two.peer);
    assert_true(qudag_node_addr_next(two.node[1], &it, two.addr));
    assert_int_equal(qudag_connect(two.node[0], two.addr, &op), QUDAG_OK);
    for (double end = net_now() + NET_SOON; two.ups < 2;) {
        turn();
        assert_true(net_now() < end);
    }
    assert_int_equal(qudag_stream_open(two.node[0], &two.peer, NET_ECHO, &s), QUDAG_OK);
    double cpu = cpu_s(), wall = net_now();
    send_all(s);
    cpu = cpu_s() - cpu;
    print_message("%d messages of %d bytes: %.3f s of processor time at both ends, %.3f s in all\n",
                  MESSAGES, MESSAGE, cpu, net_now() - wall);
    assert_false(two.bad);
    assert_int_equal(two.got, (uint64_t)MESSAGES * MESSAGE);
    assert_true(cpu < 1.0 || sanitized());
    for (size_t i = 0; i < 2; i++) {
        qudag_node_free(two.node[i]);
        qudag_identity_free(two.id[i]);
    }
}

static void a_link_is_made_within_100_ms(void **state)
{
    double best = 1e9;

    (void)state;
    net_start(0, &links_only);
    for (size_t i = 1; i <= DIALS; i++) {
        net_start(i, &links_only);
        double began = net_now();
        net_ask(&net[i], qudag_connect(net[i].node, net[0].addr, &net[i].last));
        double took = net_now() - began;
        assert_int_equal(net[i].err, QUDAG_OK);
        best = took < best ? took : best;
    }
    print_message("the quickest of %d links: %.1f ms\n", DIALS, best * 1e3);
    assert_true(best < 0.1 || sanitized());
}

/* ---- what is counted (G1) */

#define STATS_MAX 1024

struct values {
    qudag_stat v[STATS_MAX];
    size_t n;
};

static void take(const struct peer *p, struct values *out)
{
    out->n = 0;
    for (size_t it = 0;; out->n++) {
        assert_true(out->n < STATS_MAX);
        out->v[out->n] = (qudag_stat)QUDAG_INIT(qudag_stat);
        if (!qudag_node_stat_next(p->node, &it, &out->v[out->n])) {
            return;
        }
    }
}

/* The gauges that |now| shows above |before|, but for memory and for what is known of peers, which stay. */
static unsigned gauges_above(const struct values *before, const struct values *now, bool tell)
{
    static const char *const stays[] = {"peers", "pins",   "memory", "used_node_memory",
                                        "kad_",  "relays", "uptime"};
    unsigned above = 0;

    for (size_t i = 0; i < now->n; i++) {
        const qudag_stat *s = &now->v[i];
        bool is = s->kind == QUDAG_STAT_GAUGE && s->value > before->v[i].value;
        for (size_t k = 0; k < sizeof(stays) / sizeof(stays[0]); k++) {
            is = is && strncmp(s->name, stays[k], strlen(stays[k])) != 0;
        }
        above += is ? 1 : 0;
        if (is && tell) {
            print_message("%s is still %llu\n", s->name, (unsigned long long)s->value);
        }
    }
    return above;
}

static void counters_only_grow(const struct values *before, const struct values *now)
{
    assert_int_equal(before->n, now->n);
    for (size_t i = 0; i < now->n; i++) {
        if (now->v[i].kind == QUDAG_STAT_COUNTER && now->v[i].value < before->v[i].value) {
            fail_msg("%s: %llu after %llu", now->v[i].name, (unsigned long long)now->v[i].value,
                     (unsigned long long)before->v[i].value);
        }
    }
}

static void gauges_are_as_before_when_a_link_has_ended_and_counters_only_grow(void **state)
{
    static struct values before, during, after;

    (void)state;
    net_start(0, &links_only);
    net_start(1, &links_only);
    net_turn();
    take(&net[0], &before);
    net_ask(&net[0], qudag_connect(net[0].node, net[1].addr, &net[0].last));
    assert_int_equal(qudag_stream_open(net[0].node, &net[1].self, NET_ECHO, &net[0].ours),
                     QUDAG_OK);
    NET_WAIT(net[0].opened, NET_SOON);
    take(&net[0], &during);
    counters_only_grow(&before, &during);
    assert_true(gauges_above(&before, &during, false) >= 2); /* links, streams */
    assert_int_equal(qudag_disconnect(net[0].node, &net[1].self), QUDAG_OK);
    after = during;
    for (double end = net_now() + NET_SOON;
         gauges_above(&before, &after, false) > 0 && net_now() < end;) {
        net_turn();
        take(&net[0], &after);
    }
    counters_only_grow(&during, &after);
    assert_int_equal(gauges_above(&before, &after, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_messages_a_second_pass_one_link),
        cmocka_unit_test_teardown(a_link_is_made_within_100_ms, net_stop_all),
        cmocka_unit_test_teardown(gauges_are_as_before_when_a_link_has_ended_and_counters_only_grow,
                                  net_stop_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
