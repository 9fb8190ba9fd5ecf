/* metrics_test.c - the texts that Prometheus reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics.h"

static struct metrics m;

static void expect(enum metrics_form form, const char *want)
{
    char *got = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&got, &len);

    assert_non_null(f);
    metrics_print(f, &m, form);
    metrics_print_end(f, form);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(got, want);
    free(got);
}

static void take(const qudag_stat *s, size_t n)
{
    memset(&m, 0, sizeof(m));
    if (n > 0) {
        memcpy(m.stat, s, n * sizeof(*s));
    }
    m.n_stats = n;
}

#define ROW(metric_, labels_, unit_, help_, kind_, value_)                                         \
    {                                                                                              \
        .size = sizeof(qudag_stat), .kind = QUDAG_STAT_##kind_, .value = (value_),                 \
        .metric = (metric_), .labels = (labels_), .unit = (unit_), .help = (help_)                 \
    }

static void names_say_kind_and_unit(void **state)
{
    static const qudag_stat s[] = {
        ROW("links", "", "", "Links open now", GAUGE, 3),
        ROW("dials", "", "", "Dials begun", COUNTER, UINT64_MAX),
        ROW("memory_bytes", "", "bytes", "Memory", GAUGE, 0),
        ROW("bootstrap_retry_ms", "", "milliseconds", "Time", GAUGE, 12034),
    };
    (void)state;
    take(s, sizeof(s) / sizeof(s[0]));
    expect(METRICS_TEXT,
           "# HELP qudag_links Links open now\n# TYPE qudag_links gauge\nqudag_links 3\n"
           "# HELP qudag_dials_total Dials begun\n# TYPE qudag_dials_total counter\n"
           "qudag_dials_total 18446744073709551615\n"
           "# HELP qudag_memory_bytes Memory\n# TYPE qudag_memory_bytes gauge\n"
           "qudag_memory_bytes 0\n"
           "# HELP qudag_bootstrap_retry_seconds Time\n# TYPE qudag_bootstrap_retry_seconds gauge\n"
           "qudag_bootstrap_retry_seconds 12.034\n");
    expect(METRICS_OPENMETRICS,
           "# HELP qudag_links Links open now\n# TYPE qudag_links gauge\nqudag_links 3\n"
           "# HELP qudag_dials Dials begun\n# TYPE qudag_dials counter\n"
           "qudag_dials_total 18446744073709551615\n"
           "# HELP qudag_memory_bytes Memory\n# TYPE qudag_memory_bytes gauge\n"
           "# UNIT qudag_memory_bytes bytes\nqudag_memory_bytes 0\n"
           "# HELP qudag_bootstrap_retry_seconds Time\n# TYPE qudag_bootstrap_retry_seconds gauge\n"
           "# UNIT qudag_bootstrap_retry_seconds seconds\nqudag_bootstrap_retry_seconds 12.034\n"
           "# EOF\n");
}

static void what_differs_in_labels_stands_together(void **state)
{
    static const qudag_stat s[] = {
        ROW("dgrams", "direction=\"in\"", "", "received", COUNTER, 1),
        ROW("links", "", "", "Links", GAUGE, 2),
        ROW("dgrams", "direction=\"out\"", "", "sent", COUNTER, 3),
        ROW("dgrams", "direction=\"lost\"", "", "sent", COUNTER, 4),
    };
    (void)state;
    take(s, sizeof(s) / sizeof(s[0]));
    expect(METRICS_TEXT,
           "# HELP qudag_dgrams_total received; sent\n# TYPE qudag_dgrams_total counter\n"
           "qudag_dgrams_total{direction=\"in\"} 1\nqudag_dgrams_total{direction=\"out\"} 3\n"
           "qudag_dgrams_total{direction=\"lost\"} 4\n"
           "# HELP qudag_links Links\n# TYPE qudag_links gauge\nqudag_links 2\n");
}

static void help_stays_on_its_line(void **state)
{
    static const qudag_stat s[] = {ROW("x", "", "", "a\\b\nc", COUNTER, 1)};
    (void)state;
    take(s, 1);
    expect(METRICS_TEXT, "# HELP qudag_x_total a\\\\b\\nc\n# TYPE qudag_x_total counter\n"
                         "qudag_x_total 1\n");
    take(s, 0);
    expect(METRICS_TEXT, "");
}

static void buckets_add_up_and_time_is_in_seconds(void **state)
{
    (void)state;
    take(NULL, 0);
    m.n_histograms = 2;
    m.histogram[0] = (qudag_histogram){.metric = "ping_rtt",
                                       .help = "Time",
                                       .buckets = 3,
                                       .total = 6,
                                       .sum = UINT64_C(12000000001),
                                       .count = {1, 2, 3},
                                       .le = {2500000, UINT64_C(10000000000), UINT64_MAX}};
    m.histogram[1] = m.histogram[0];
    m.histogram[1].total = m.histogram[1].sum = 0;
    memset(m.histogram[1].count, 0, sizeof(m.histogram[1].count));
    (void)snprintf(m.histogram[1].labels, sizeof(m.histogram[1].labels), "outcome=\"ok\"");
    expect(METRICS_OPENMETRICS,
           "# HELP qudag_ping_rtt_seconds Time\n# TYPE qudag_ping_rtt_seconds histogram\n"
           "# UNIT qudag_ping_rtt_seconds seconds\n"
           "qudag_ping_rtt_seconds_bucket{le=\"0.0025\"} 1\n"
           "qudag_ping_rtt_seconds_bucket{le=\"10.0\"} 3\n"
           "qudag_ping_rtt_seconds_bucket{le=\"+Inf\"} 6\n"
           "qudag_ping_rtt_seconds_sum 12.000000001\nqudag_ping_rtt_seconds_count 6\n"
           "qudag_ping_rtt_seconds_bucket{outcome=\"ok\",le=\"0.0025\"} 0\n"
           "qudag_ping_rtt_seconds_bucket{outcome=\"ok\",le=\"10.0\"} 0\n"
           "qudag_ping_rtt_seconds_bucket{outcome=\"ok\",le=\"+Inf\"} 0\n"
           "qudag_ping_rtt_seconds_sum{outcome=\"ok\"} 0.0\n"
           "qudag_ping_rtt_seconds_count{outcome=\"ok\"} 0\n# EOF\n");
}

static void the_process_says_what_it_uses(void **state)
{
    char *got = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&got, &len);
    (void)state;

    assert_non_null(f);
    metrics_print_process(f, METRICS_TEXT);
    assert_int_equal(fclose(f), 0);
    const char *fds = strstr(got, "\nprocess_open_fds ");
    const char *memory = strstr(got, "\nprocess_resident_memory_bytes ");
    assert_non_null(
        strstr(got, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total "));
    assert_non_null(fds);
    assert_non_null(memory);
    assert_true(strtoul(fds + strlen("\nprocess_open_fds "), NULL, 10) >= 3);
    assert_true(strtoul(memory + strlen("\nprocess_resident_memory_bytes "), NULL, 10) > 100000);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_kind_and_unit),
        cmocka_unit_test(what_differs_in_labels_stands_together),
        cmocka_unit_test(help_stays_on_its_line),
        cmocka_unit_test(buckets_add_up_and_time_is_in_seconds),
        cmocka_unit_test(the_process_says_what_it_uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
