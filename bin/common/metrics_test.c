/* metrics_test.c - the text that Prometheus reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "metrics.h"

static void expect(const struct metric *m, size_t n, const char *want)
{
    char *got = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&got, &len);

    assert_non_null(f);
    metrics_print(f, m, n);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(got, want);
    free(got);
}

static void names_say_kind_and_unit(void **state)
{
    static const struct metric m[] = {
        {"links", "", "", "Links open now", false, 3},
        {"dials", "", "", "Dials begun", true, UINT64_MAX},
        {"memory_bytes", "", "bytes", "Memory", false, 0},
        {"bootstrap_retry_ms", "", "milliseconds", "Time", false, 12034},
    };
    (void)state;
    expect(m, sizeof(m) / sizeof(m[0]),
           "# HELP qudag_links Links open now\n# TYPE qudag_links gauge\nqudag_links 3\n"
           "# HELP qudag_dials_total Dials begun\n# TYPE qudag_dials_total counter\n"
           "qudag_dials_total 18446744073709551615\n"
           "# HELP qudag_memory_bytes Memory\n# TYPE qudag_memory_bytes gauge\n"
           "qudag_memory_bytes 0\n"
           "# HELP qudag_bootstrap_retry_seconds Time\n# TYPE qudag_bootstrap_retry_seconds gauge\n"
           "qudag_bootstrap_retry_seconds 12.034\n");
}

static void what_differs_in_labels_stands_together(void **state)
{
    static const struct metric m[] = {
        {"dgrams", "direction=\"in\"", "", "received", true, 1},
        {"links", "", "", "Links", false, 2},
        {"dgrams", "direction=\"out\"", "", "sent", true, 3},
    };
    (void)state;
    expect(m, sizeof(m) / sizeof(m[0]),
           "# HELP qudag_dgrams_total received; sent\n# TYPE qudag_dgrams_total counter\n"
           "qudag_dgrams_total{direction=\"in\"} 1\nqudag_dgrams_total{direction=\"out\"} 3\n"
           "# HELP qudag_links Links\n# TYPE qudag_links gauge\nqudag_links 2\n");
}

static void help_stays_on_its_line(void **state)
{
    static const struct metric m[] = {{"x", "", "", "a\\b\nc", false, 1}};
    (void)state;
    expect(m, 1, "# HELP qudag_x a\\\\b\\nc\n# TYPE qudag_x gauge\nqudag_x 1\n");
    expect(m, 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_kind_and_unit),
        cmocka_unit_test(what_differs_in_labels_stands_together),
        cmocka_unit_test(help_stays_on_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
