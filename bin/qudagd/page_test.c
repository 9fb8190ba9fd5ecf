/* page_test.c - what the page shows, what it must not show, and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "page.h"

static struct page p;
static char *text;

static const char *print(void (*how)(FILE *to, const struct page *page))
{
    size_t len = 0;
    free(text);
    text = NULL;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    how(f, &p);
    assert_int_equal(fclose(f), 0);
    return text;
}

#define ROW(name_, metric_, labels_, value_)                                                       \
    {                                                                                              \
        .size = sizeof(qudag_stat), .kind = QUDAG_STAT_COUNTER, .value = (value_),                 \
        .name = (name_), .metric = (metric_), .labels = (labels_), .unit = "", .help = "Help <1>"  \
    }

static int setup(void **state)
{
    static const qudag_stat stats[] = {
        ROW("links", "links", "", 3),
        ROW("used_node_links", "resource_used", "scope=\"node\",resource=\"links\"", 3),
        ROW("limit_node_links", "resource_limit", "scope=\"node\",resource=\"links\"", 256),
        ROW("dropped_work", "dgrams_dropped", "reason=\"work\"", 12345),
        ROW("messages_sent_meeting_hidden", "messages_sent", "protocol=\"meeting\"", 991199),
        ROW("introductions_bad", "security_events", "event=\"bad_introduction\"", 881188),
    };
    (void)state;

    memset(&p, 0, sizeof(p));
    memcpy(p.metrics.stat, stats, sizeof(stats));
    p.metrics.n_stats = sizeof(stats) / sizeof(stats[0]);
    p.metrics.n_histograms = 2;
    p.metrics.histogram[0] =
        (qudag_histogram){.metric = "link_rtt", .help = "H", .total = 7, .p50 = 5000000};
    p.metrics.histogram[1] =
        (qudag_histogram){.metric = "hidden_connect", .help = "H", .total = 661166};
    rec_begin(&p.status, REC_ROW);
    rec_str(&p.status, "health", "working");
    rec_str(&p.status, "reason", "12D3KooWsecret at /ip4/192.0.2.1");
    rec_str(&p.status, "disk", "folder secret is full");
    rec_str(&p.status, "note", "a <b> \"note\"");
    rec_bool(&p.status, "lab", true);
    rec_int(&p.status, "uptime_ns", 125000000000);
    p.link[0] = (struct page_link){.state = "up",
                                   .direction = "in",
                                   .standing = "stranger",
                                   .transport = "quic",
                                   .group = "X25519MLKEM768",
                                   .pq = true,
                                   .bytes_in = 1234567};
    p.n_links = 1;
    p.circuit[0] = (struct page_circuit){
        .state = "open", .hops = 3, .hops_wanted = 3, .age = 9000000000, .build = 86400000};
    p.n_circuits = 1;
    p.all_links = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    return 0;
}

/* Neither form has anything of these. */
static void must_not_say(const char *said)
{
    static const char *const never[] = {"secret", "192.0.2.1", "991199", "881188",
                                        "661166", "meeting",   "hidden", "introduction"};

    for (size_t ix = 0; ix < sizeof(never) / sizeof(never[0]); ix++) {
        if (strstr(said, never[ix]) != NULL) {
            fail_msg("it says %s: %s", never[ix], said);
        }
    }
}

static void what_names_somebody_is_left_out(void **state)
{
    (void)state;
    must_not_say(print(page_print_json));
    assert_non_null(strstr(text, "\"health\":\"working\""));
    assert_non_null(strstr(text, "\"lab\":true,\"uptime_ns\":125000000000"));
    assert_non_null(strstr(text, "\"dropped_work\":12345"));
    assert_non_null(strstr(text, "\"all_links\":true"));
    assert_non_null(strstr(text, "\"all_circuits\":false"));
    must_not_say(print(page_print_html));
    assert_non_null(strstr(text, "data-name=\"dropped_work\" data-value=\"12345\">12345</td>"));
    assert_non_null(strstr(text, "data-name=\"limit_node_links\" data-value=\"256\""));
    assert_non_null(strstr(text, "data-value=\"1234567\">1.2 MB</td>"));
    assert_non_null(strstr(text, "data-value=\"125000000000\">2 min</td>"));
    assert_non_null(strstr(text, "data-value=\"9000000000\">9.0 s</td>"));
    assert_non_null(strstr(text, "data-value=\"86400000\">86.4 ms</td>"));
    assert_non_null(strstr(text, "Not all are shown."));
}

static void only_what_is_listed_is_shown(void **state)
{
    static const char *const names[] = {"peer",      "pq_hash",   "dir",    "addresses",
                                        "bootstrap", "announced", "reason", "disk",
                                        "pid",       "metrics",   "new"};
    (void)state;

    for (size_t ix = 0; ix < sizeof(names) / sizeof(names[0]); ix++) {
        assert_false(page_shows_status(names[ix]));
    }
    assert_true(page_shows_status("health"));
    assert_false(page_shows_stat("stream_bytes", "protocol=\"dht\""));
    assert_false(page_shows_stat("kad_published", ""));
    assert_false(page_shows_stat("security_events", "event=\"replayed_introduction\""));
    assert_true(page_shows_stat("security_events", "event=\"key_changed\""));
    assert_false(page_shows_histogram("hidden_connect"));
    assert_false(page_shows_histogram("circuit_build"));
    assert_true(page_shows_histogram("loop_lag"));
}

static void text_stays_text(void **state)
{
    (void)state;
    print(page_print_html);
    assert_non_null(strstr(text, "a &lt;b&gt; &quot;note&quot;"));
    assert_non_null(strstr(text, "Help &lt;1&gt;"));
    assert_null(strstr(text, "<b> \"note"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "style="));
    assert_null(strstr(text, "http://"));
}

static void a_plot_has_gaps_and_names_its_greatest_value(void **state)
{
    const uint64_t links[] = {1, 4, 2};
    uint64_t value[HISTORY_SERIES] = {0};
    uint64_t at[] = {1, 1 + HISTORY_EVERY_NS, 1 + 3 * HISTORY_EVERY_NS};
    (void)state;

    for (size_t ix = 0; ix < 3; ix++) {
        value[0] = links[ix];
        history_add(&p.history, value, at[ix]);
    }
    print(page_print_html);
    assert_non_null(strstr(text, "Links: now <b>2</b>, at most 4<"));
    assert_non_null(
        strstr(text, "d=\"M356 74h0L357 2M359 50h0\"")); /* 4 is the top, 2 the middle */
    print(page_print_json);
    assert_non_null(strstr(text, "\"name\":\"links\",\"kind\":\"gauge\",\"values\":[1,4,null,2]"));
}

static void numbers_are_short(void **state)
{
    char out[32];
    (void)state;

    page_number(out, 999, true);
    assert_string_equal(out, "999 B");
    page_number(out, 1000, true);
    assert_string_equal(out, "1.0 kB");
    page_number(out, UINT64_MAX - 1, true);
    assert_string_equal(out, "18.4 EB");
    page_number(out, 123456, false);
    assert_string_equal(out, "123456");
    page_number(out, HISTORY_NONE, true);
    assert_string_equal(out, "-");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_names_somebody_is_left_out),
        T(only_what_is_listed_is_shown),
        T(text_stays_text),
        T(a_plot_has_gaps_and_names_its_greatest_value),
        T(numbers_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
