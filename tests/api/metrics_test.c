/* metrics_test.c - what five nodes measure of links, lookups, circuits and bytes.  TEST: timeout=120 waits */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "net.h"

#include <time.h>

#define CELL 1120 /* bytes, spec/onion.md */

/* The histogram with these labels; its total counts all. */
static qudag_histogram measured(const struct peer *p, const char *metric, const char *labels)
{
    qudag_histogram h = QUDAG_INIT(qudag_histogram);

    for (size_t it = 0; qudag_node_histogram_next(p->node, &it, &h);) {
        if (strcmp(h.metric, metric) == 0 && strcmp(h.labels, labels) == 0) {
            return h;
        }
    }
    fail_msg("no histogram %s{%s}", metric, labels);
    return h;
}

/* Every value that a label may have; one that is missing here must be thought about before it is added. */
static const char *const allowed[] = {"quic",
                                      "tcp",
                                      "in",
                                      "receive",
                                      "turn",
                                      "out",
                                      "ok",
                                      "timeout",
                                      "failed",
                                      "limit",
                                      "unreachable",
                                      "policy",
                                      "find",
                                      "get",
                                      "authentication",
                                      "put",
                                      "provide",
                                      "providers",
                                      "not_found",
                                      "canceled",
                                      "other",
                                      "general",
                                      "clean",
                                      "lookup",
                                      "dark",
                                      "introduce",
                                      "rendezvous",
                                      "service_introduce",
                                      "service_rendezvous",
                                      "relay",
                                      "permission",
                                      "absent",
                                      "message"};

static void check_labels(const char *labels)
{
    for (const char *at = labels; *at != 0;) {
        const char *open = strchr(at, '"');
        const char *close = open == NULL ? NULL : strchr(open + 1, '"');
        bool known = false;
        assert_non_null(close);
        for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
            size_t n = strlen(allowed[i]);
            known |= n == (size_t)(close - open - 1) && strncmp(open + 1, allowed[i], n) == 0;
        }
        if (!known) {
            fail_msg("a value that may name a peer, an address or a user: %s", labels);
        }
        at = close[1] == ',' ? close + 2 : close + 1;
    }
}

static void every_series_is_there_from_the_beginning_once(void **state)
{
    static char seen[256][QUDAG_HISTOGRAM_LABELS_MAX + 40];
    qudag_histogram h = QUDAG_INIT(qudag_histogram);
    size_t n = 0;
    (void)state;

    net_start(0, &(struct net_options){.waiting = true});
    for (size_t it = 0; qudag_node_histogram_next(net[0].node, &it, &h); n++) {
        assert_true(n < 256);
        snprintf(seen[n], sizeof(seen[n]), "%s{%s}", h.metric, h.labels);
        for (size_t i = 0; i < n; i++) {
            assert_string_not_equal(seen[i], seen[n]);
        }
        assert_true(strlen(h.help) > 8);
        assert_in_range(h.buckets, 2, QUDAG_HISTOGRAM_BUCKETS);
        assert_true(h.le[h.buckets - 1] == UINT64_MAX);
        assert_int_equal(h.total, 0);
        check_labels(h.labels);
    }
    assert_true(n > 60);
    (void)net_stop_all(NULL);
}

static void what_nodes_do_is_measured(void **state)
{
    (void)state;

    net_grow(5, &(struct net_options){.name_space = NULL});
    struct peer *p = &net[1];
    uint64_t links = net_stat(p, "links_opened_in") + net_stat(p, "links_opened_out");
    qudag_histogram in =
        measured(p, "link_setup", "transport=\"quic\",direction=\"in\",outcome=\"ok\"");
    qudag_histogram out =
        measured(p, "link_setup", "transport=\"quic\",direction=\"out\",outcome=\"ok\"");
    assert_true(links >= 1);
    assert_int_equal(in.total + out.total, links);
    assert_true(in.sum + out.sum > 100000); /* a handshake takes longer */
    qudag_histogram any = out.total > 0 ? out : in;
    assert_true(any.p50 > 0 && any.p50 <= any.p95);

    net_ask(p, qudag_ping(p->node, &net[0].self, &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    assert_int_equal(measured(p, "ping_rtt", "").total, 1);

    uint64_t put = measured(p, "dht_operation", "operation=\"put\",outcome=\"ok\"").total;
    net_ask(p, qudag_dht_put(p->node, net_text("/app/k"), net_text("v"), &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    assert_true(measured(p, "dht_operation", "operation=\"put\",outcome=\"ok\"").total > put);
    net_ask(p, qudag_dht_get(p->node, net_text("/app/none"), &p->last));
    assert_int_equal(p->err, QUDAG_ENOTFOUND);
    assert_true(measured(p, "dht_operation", "operation=\"get\",outcome=\"not_found\"").total >= 1);

    net_ask(p, qudag_circuit_build(p->node, 2, &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    assert_int_equal(measured(p, "circuit_build", "purpose=\"general\",outcome=\"ok\"").total, 1);
    assert_true(net_stat(p, "messages_sent_cells_post_quantum") > 0);
    assert_true(net_stat(p, "stream_bytes_in_cells_post_quantum") > 0);
    assert_true(net_stat(p, "stream_bytes_out_dht_post_quantum") > 0);
    assert_int_equal(net_stat(p, "stream_bytes_out_ping_post_quantum"), 32);
    assert_int_equal(net_stat(p, "stream_bytes_out_cells_classical"), 0);
    /* what comes in a cell's length of pieces is one cell */
    assert_int_equal(net_stat(p, "messages_received_cells_post_quantum"),
                     net_stat(p, "stream_bytes_in_cells_post_quantum") / CELL);
    assert_true(net_stat(p, "messages_received_dht_post_quantum") > 0);
    assert_int_equal(net_stat(p, "messages_received_ping_post_quantum"), 1);
    assert_int_equal(net_stat(p, "messages_received_cells_classical"), 0);
    (void)net_stop_all(NULL);
}

static void what_is_used_is_shown_against_its_limit(void **state)
{
    (void)state;

    net_grow(5, &(struct net_options){.name_space = NULL});
    struct peer *p = &net[1];
    qudag_settings s;
    QUDAG_SETTINGS_INIT(&s);
    assert_true(net_stat(p, "links") > 0);
    assert_int_equal(net_stat(p, "used_node_links"), net_stat(p, "links"));
    assert_int_equal(net_stat(p, "used_inbound_links") + net_stat(p, "used_outbound_links"),
                     net_stat(p, "links"));
    assert_int_equal(net_stat(p, "limit_node_links"), s.links_max);
    assert_int_equal(net_stat(p, "limit_node_circuits"), s.circuits_max);
    assert_int_equal(net_stat(p, "limit_node_records"), s.dht_records_max);
    assert_int_equal(net_stat(p, "limit_node_record_bytes"), s.dht_bytes_max);
    assert_int_equal(net_stat(p, "limit_node_providers"), s.dht_providers_max);
    assert_int_equal(net_stat(p, "used_node_memory"), net_stat(p, "memory_bytes"));
    assert_true(net_stat(p, "limit_node_streams_in") > 0);
    assert_true(net_stat(p, "limit_node_handshakes") > 0);
    assert_int_equal(net_stat(p, "used_node_circuits"), net_stat(p, "circuits_client") +
                                                            net_stat(p, "circuits_relay") +
                                                            net_stat(p, "circuits_end"));
    (void)net_stop_all(NULL);
}

/* Values above 0.1 s. */
static uint64_t late(const struct peer *p)
{
    qudag_histogram h = measured(p, "loop_lag", "");
    uint64_t n = 0;

    for (uint32_t i = 1; i < h.buckets; i++) {
        n += h.le[i - 1] >= QUDAG_S / 10 ? h.count[i] : 0;
    }
    return n;
}

static void a_loop_that_stands_still_is_late(void **state)
{
    static const struct timespec pause = {.tv_sec = 2, .tv_nsec = 0};
    (void)state;

    net_grow(5, &(struct net_options){.name_space = NULL});
    struct peer *p = &net[1];
    assert_true(measured(p, "loop_lag", "").total > 0);
    qudag_histogram receive = measured(p, "loop_work", "stage=\"receive\"");
    qudag_histogram turn = measured(p, "loop_work", "stage=\"turn\"");
    assert_true(receive.total > 0 && receive.total <= net_stat(p, "dgrams_in"));
    assert_in_range(turn.total, net_stat(p, "loop_turns") - 1, net_stat(p, "loop_turns"));
    assert_true(receive.sum + turn.sum > 200000); /* a handshake is in it */
    uint64_t before = late(p);
    assert_int_equal(qudag_ping(p->node, &net[0].self, &p->last), QUDAG_OK);
    assert_int_equal(qudag_node_step(p->node, 0), QUDAG_OK); /* sent: it will be sent again soon */
    (void)nanosleep(&pause, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(qudag_node_step(p->node, 0), QUDAG_OK);
    }
    assert_true(late(p) > before);
    (void)net_stop_all(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_series_is_there_from_the_beginning_once),
        cmocka_unit_test(what_nodes_do_is_measured),
        cmocka_unit_test(what_is_used_is_shown_against_its_limit),
        cmocka_unit_test(a_loop_that_stands_still_is_late),
    };
    return cmocka_run_group_tests(tests, NULL, net_stop_all);
}
