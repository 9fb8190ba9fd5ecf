/* scrape_rules_test.c - who may read the metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <cmocka.h>

#include "scrape_rules.h"

static void it_listens_on_loopback_and_unix_sockets_only(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } row[] = {
        {"127.0.0.1:9360", true},
        {"127.4.5.6:1", true},
        {"[::1]:9360", true},
        {"127.0.0.1:0", true},
        {"unix:/run/qudag/metrics.sock", true},
        {"0.0.0.0:9360", false},
        {"[::]:9360", false},
        {"192.168.1.2:9360", false},
        {"128.0.0.1:9360", false},
        {"[::ffff:127.0.0.1]:9360", false},
        {"[fe80::1]:9360", false},
        {"localhost:9360", false}, /* a name may become another address */
        {"127.0.0.1", false},
        {":9360", false},
        {"9360", false},
        {"", false},
        {"::1:9360", false},
        {"127.0.0.1:65536", false},
        {"127.0.0.1:-1", false},
        {"127.0.0.1:9360x", false},
        {"unix:run/metrics.sock", false},
        {"unix:", false},
    };
    struct scrape_place p;
    char why[256];
    (void)state;

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        why[0] = 0;
        if (scrape_place(row[i].text, &p, why, sizeof(why)) != row[i].ok) {
            fail_msg("%s", row[i].text);
        }
        assert_true(row[i].ok == (why[0] == 0));
    }
    assert_true(scrape_place("0.0.0.0:1", &p, why, sizeof(why)) == false);
    assert_non_null(strstr(why, "other machines"));
}

static void what_it_reads_is_what_is_bound(void **state)
{
    struct scrape_place p;
    struct sockaddr_in in;
    struct sockaddr_un un;
    char why[256], path[200];
    (void)state;

    assert_true(scrape_place("127.0.0.2:9361", &p, why, sizeof(why)));
    memcpy(&in, &p.sa, sizeof(in));
    assert_int_equal(ntohs(in.sin_port), 9361);
    assert_int_equal(ntohl(in.sin_addr.s_addr), 0x7f000002);
    assert_false(p.local);
    assert_true(scrape_place("unix:/x", &p, why, sizeof(why)));
    memcpy(&un, &p.sa, sizeof(un));
    assert_string_equal(un.sun_path, "/x");
    assert_true(p.local);
    memset(path, 'a', sizeof(path));
    memcpy(path, "unix:/", 6);
    path[sizeof(path) - 1] = 0;
    for (size_t len = sizeof(path) - 1; len > 5; len--) { /* the zero behind it needs room, too */
        path[len] = 0;
        assert_int_equal(scrape_place(path, &p, why, sizeof(why)), len - 5 < sizeof(un.sun_path));
    }
}

static void only_names_of_this_machine_are_hosts(void **state)
{
    static const char *const yes[] = {"localhost",      "LocalHost:9360", "127.0.0.1",
                                      "127.0.0.1:9360", "[::1]:9360",     "[::1]"};
    static const char *const no[] = {"evil.example",
                                     "evil.example:9360",
                                     "localhost.evil.example",
                                     "127.0.0.1.evil.example",
                                     "localhost:x",
                                     "localhost:",
                                     "10.0.0.1:9360",
                                     "[::2]:9360",
                                     "::1",
                                     "",
                                     ":9360"};
    (void)state;

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        assert_true(scrape_host(yes[i]));
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (scrape_host(no[i])) {
            fail_msg("%s", no[i]);
        }
    }
    assert_false(scrape_host(NULL));
    char longer[200] = "127.0.0.1:"; /* cut off, it would be a port */
    memset(longer + 10, '0', sizeof(longer) - 12);
    longer[sizeof(longer) - 2] = 'x';
    assert_false(scrape_host(longer));
}

static void pages_are_told_from_programs(void **state)
{
    (void)state;
    assert_false(scrape_from_page(NULL, NULL));
    assert_false(scrape_from_page(NULL, "none")); /* typed by the user */
    assert_true(scrape_from_page("null", NULL));
    assert_true(scrape_from_page("http://127.0.0.1:9360", NULL));
    assert_true(scrape_from_page(NULL, "cross-site"));
    assert_true(scrape_from_page(NULL, "same-site"));
}

static void the_page_is_for_the_user_and_itself(void **state)
{
    (void)state;
    assert_true(scrape_from_here(NULL, NULL));
    assert_true(scrape_from_here(NULL, "none"));
    assert_true(scrape_from_here(NULL, "same-origin"));
    assert_false(scrape_from_here(NULL, "same-site")); /* another port of this machine */
    assert_false(scrape_from_here(NULL, "cross-site"));
    assert_false(scrape_from_here("null", "same-origin"));
    assert_false(scrape_from_here("http://127.0.0.1:9360", NULL));
}

static void the_page_is_there_where_it_was_asked_for(void **state)
{
    char why[200] = "";
    (void)state;

    assert_int_equal(scrape_path("/metrics", false), SCRAPE_METRICS);
    assert_int_equal(scrape_path("/", false), SCRAPE_NOTHING);
    assert_int_equal(scrape_path("/status.json", false), SCRAPE_NOTHING);
    assert_int_equal(scrape_path("/metrics", true), SCRAPE_METRICS);
    assert_int_equal(scrape_path("/", true), SCRAPE_PAGE);
    assert_int_equal(scrape_path("/status.json", true), SCRAPE_JSON);
    assert_int_equal(scrape_path("/style.css", true), SCRAPE_STYLE);
    assert_int_equal(scrape_path("/icon.svg", true), SCRAPE_ICON);
    assert_int_equal(scrape_path("/metrics/", true), SCRAPE_NOTHING);
    assert_int_equal(scrape_path("", true), SCRAPE_NOTHING);
    assert_true(scrape_settings("off", false, why, sizeof(why)));
    assert_true(scrape_settings("127.0.0.1:1", true, why, sizeof(why)));
    assert_false(scrape_settings("off", true, why, sizeof(why)));
    assert_non_null(strstr(why, "listen = 127.0.0.1:PORT"));
    assert_false(scrape_settings("0.0.0.0:1", true, why, sizeof(why)));
    assert_non_null(strstr(why, "[metrics] listen: 0.0.0.0:1"));
}

static void the_form_is_the_one_asked_for(void **state)
{
    (void)state;
    assert_int_equal(scrape_form(NULL), METRICS_TEXT);
    assert_int_equal(scrape_form("*/*"), METRICS_TEXT);
    assert_int_equal(scrape_form("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"),
                     METRICS_OPENMETRICS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_listens_on_loopback_and_unix_sockets_only),
        cmocka_unit_test(what_it_reads_is_what_is_bound),
        cmocka_unit_test(only_names_of_this_machine_are_hosts),
        cmocka_unit_test(pages_are_told_from_programs),
        cmocka_unit_test(the_page_is_for_the_user_and_itself),
        cmocka_unit_test(the_page_is_there_where_it_was_asked_for),
        cmocka_unit_test(the_form_is_the_one_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
