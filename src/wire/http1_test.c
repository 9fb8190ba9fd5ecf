#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/http1.h"

#include <stdio.h>
#include <string.h>

static struct slice of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static bool is(struct slice s, const char *text)
{
    return s.len == strlen(text) && (s.len == 0 || memcmp(s.base, text, s.len) == 0);
}

static struct http1_request read_ok(const char *text)
{
    struct http1_request r;
    assert_int_equal(http1_request_read(&r, of(text)), QUDAG_OK);
    return r;
}

static void refuses(const char *text, qudag_err err)
{
    struct http1_request r = {.len = 77};
    if (http1_request_read(&r, of(text)) != err) {
        print_message("%s\n", text);
    }
    assert_int_equal(http1_request_read(&r, of(text)), err);
    assert_int_equal(r.len, 77);
}

/* The head that |text| begins with, as the server gets it. */
static void becomes(const char *text, struct http1_names names, const char *expected)
{
    static char out[4 * HTTP1_HEAD_MAX];
    struct wr w = wr_init(out, sizeof out);
    struct http1_request r = read_ok(text);
    http1_request_write(&w, &r, of(text), &names);
    assert_true(wr_ok(&w));
    out[w.len] = 0;
    assert_string_equal(out, expected);
}

static void the_three_forms_of_a_target_are_told_apart(void **state)
{
    (void)state;
    struct http1_request r = read_ok("CONNECT blog.dark:8443 HTTP/1.1\r\nHost: x\r\n\r\nrest");
    assert_true(r.form == HTTP1_CONNECT && is(r.host, "blog.dark") && r.port == 8443);
    assert_int_equal(r.len, strlen("CONNECT blog.dark:8443 HTTP/1.1\r\nHost: x\r\n\r\n"));
    r = read_ok("GET http://blog.dark/a?b=c HTTP/1.1\r\n\r\n");
    assert_true(r.form == HTTP1_ABSOLUTE && is(r.host, "blog.dark") && r.port == 80);
    assert_true(is(r.path, "/a?b=c") && is(r.method, "GET") && !r.old);
    r = read_ok("GET HTTP://blog.dark:81 HTTP/1.0\r\n\r\n");
    assert_true(r.form == HTTP1_ABSOLUTE && r.port == 81 && is(r.path, "") && r.old);
    r = read_ok("GET http://blog.dark:?q HTTP/1.1\r\n\r\n");
    assert_true(r.port == 80 && is(r.path, "?q"));
    r = read_ok("GET http://[2001:db8::1]:8080/ HTTP/1.1\r\n\r\n");
    assert_true(r.brackets && is(r.host, "2001:db8::1") && r.port == 8080);
    assert_int_equal(read_ok("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").form, HTTP1_OTHER);
    assert_int_equal(read_ok("OPTIONS * HTTP/1.1\r\n\r\n").form, HTTP1_OTHER);
}

static void every_prefix_asks_for_more(void **state)
{
    (void)state;
    static const char request[] = "POST http://blog.dark/up HTTP/1.1\r\nHost: blog.dark\r\n"
                                  "Content-Length: 5\r\nProxy-Authorization: Basic YTpi\r\n\r\n";
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    struct http1_request r = {.len = 77};
    struct http1_response a = {.len = 77};

    for (size_t n = 0; n < sizeof request - 1; n++) {
        struct slice in = {(const uint8_t *)request, n};
        assert_int_equal(http1_request_read(&r, in), QUDAG_EAGAIN);
    }
    for (size_t n = 0; n < sizeof response - 1; n++) {
        struct slice in = {(const uint8_t *)response, n};
        assert_int_equal(http1_response_read(&a, in), QUDAG_EAGAIN);
    }
    assert_true(r.len == 77 && a.len == 77);
}

static void ambiguous_and_broken_heads_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET http://a.dark/\r\n\r\n",
        "GET http://a.dark/ HTTP/1.1\n\n",
        "GET http://a.dark/ HTTP/1.1\r\nA: b\n\r\n",
        "GET http://a.dark/ HTTP/1.1\r\nA : b\r\n\r\n",
        "GET http://a.dark/ HTTP/1.1\r\n: b\r\n\r\n",
        "GET http://a.dark/ HTTP/1.1\r\nno colon\r\n\r\n",
        "GET http://a.dark/ HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        "GET http://a.dark/ HTTP/1.1\r\nA: b\x01\r\n\r\n",
        "GET http://a.dark/ HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET http://a.dark/a b HTTP/1.1\r\n\r\n",
        "GET  http://a.dark/ HTTP/1.1\r\n\r\n",
        "G(T http://a.dark/ HTTP/1.1\r\n\r\n",
        "GET http:///a HTTP/1.1\r\n\r\n",
        "GET http://a.dark:65536/ HTTP/1.1\r\n\r\n",
        "GET http://a.dark:0/ HTTP/1.1\r\n\r\n",
        "GET http://a.dark:8o/ HTTP/1.1\r\n\r\n",
        "GET http://user@a.dark/ HTTP/1.1\r\n\r\n",
        "GET http://[::1/ HTTP/1.1\r\n\r\n",
        "GET http://[::1]x/ HTTP/1.1\r\n\r\n",
        "CONNECT a.dark HTTP/1.1\r\n\r\n",
        "CONNECT a.dark:0 HTTP/1.1\r\n\r\n",
        "CONNECT :80 HTTP/1.1\r\n\r\n",
        "POST http://a.dark/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST http://a.dark/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        "POST http://a.dark/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST http://a.dark/ HTTP/1.1\r\nContent-Length: \r\n\r\n",
        "POST http://a.dark/ HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST http://a.dark/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST http://a.dark/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "POST http://a.dark/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        refuses(bad[i], QUDAG_EMALFORMED);
    }
    refuses("PRI * HTTP/2.0\r\n\r\n", QUDAG_EUNSUPPORTED);
    refuses("GET https://a.dark/ HTTP/1.1\r\n\r\n", QUDAG_EUNSUPPORTED);
    refuses("GET ftp://a.dark/ HTTP/1.1\r\n\r\n", QUDAG_EUNSUPPORTED);
    refuses("POST http://a.dark/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            QUDAG_EUNSUPPORTED);
}

static void a_head_has_a_longest_length(void **state)
{
    (void)state;
    static char text[HTTP1_HEAD_MAX + 1];
    struct http1_request r;
    struct slice in = {(const uint8_t *)text, HTTP1_HEAD_MAX};
    int n = snprintf(text, sizeof text, "GET http://a.dark/ HTTP/1.1\r\nCookie: ");

    memset(text + n, 'c', sizeof text - (size_t)n);
    memcpy(text + HTTP1_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(http1_request_read(&r, in), QUDAG_OK);
    memset(text + HTTP1_HEAD_MAX - 4, 'c', 4);
    memcpy(text + HTTP1_HEAD_MAX - 3, "\r\n\r\n", 4);
    in.len++;
    assert_int_equal(http1_request_read(&r, in), QUDAG_ETOOBIG);
}

static void what_the_server_gets(void **state)
{
    (void)state;
    becomes("GET http://abc.dark/a#f HTTP/1.1\r\nHost: other\r\nUser-Agent: curl/8\r\n"
            "Proxy-Connection: Keep-Alive\r\nProxy-Authorization: Basic YTpi\r\n"
            "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
            "Accept:  */* \r\n\r\n",
            (struct http1_names){.authority = "abc.dark"},
            "GET /a HTTP/1.1\r\nHost: abc.dark\r\nUser-Agent: curl/8\r\nAccept: */*\r\n"
            "Connection: close\r\n\r\n");
    becomes("GET http://abc.dark?q HTTP/1.0\r\n\r\n", (struct http1_names){.authority = "abc.dark"},
            "GET /?q HTTP/1.0\r\nHost: abc.dark\r\nConnection: close\r\n\r\n");
    becomes("OPTIONS http://abc.dark HTTP/1.1\r\n\r\n",
            (struct http1_names){.authority = "abc.dark:81"},
            "OPTIONS * HTTP/1.1\r\nHost: abc.dark:81\r\nConnection: close\r\n\r\n");
    becomes("POST http://abc.dark/ HTTP/1.1\r\nConnection: Content-Length, Transfer-Encoding\r\n"
            "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n",
            (struct http1_names){.authority = "abc.dark"},
            "POST / HTTP/1.1\r\nHost: abc.dark\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"
            "Connection: close\r\n\r\n");
}

static void an_upgrade_is_passed_on_and_one_not_meant_is_not(void **state)
{
    (void)state;
    becomes("GET http://abc.dark/ws HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
            (struct http1_names){.authority = "abc.dark"},
            "GET /ws HTTP/1.1\r\nHost: abc.dark\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n\r\n");
    becomes("GET http://abc.dark/ HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
            (struct http1_names){.authority = "abc.dark"},
            "GET / HTTP/1.1\r\nHost: abc.dark\r\nConnection: close\r\n\r\n");
}

static void a_name_of_this_machine_is_not_sent(void **state)
{
    (void)state;
    struct http1_names names = {.host = of("Blog.dark"), .authority = "x.y.dark:81"};

    becomes("GET http://Blog.dark:81/ HTTP/1.1\r\nHost: blog.dark:81\r\n"
            "Referer: http://blog.dark:81/from?x=1\r\nOrigin: http://blog.dark:81\r\n\r\n",
            names,
            "GET / HTTP/1.1\r\nHost: x.y.dark:81\r\nReferer: http://x.y.dark:81/from?x=1\r\n"
            "Origin: http://x.y.dark:81\r\nConnection: close\r\n\r\n");
    becomes("GET http://Blog.dark:81/ HTTP/1.1\r\nReferer: http://news.dark/\r\n"
            "Origin: http://news.dark\r\n\r\n",
            names, "GET / HTTP/1.1\r\nHost: x.y.dark:81\r\nConnection: close\r\n\r\n");
    /* also where the target was named by its address */
    becomes("GET http://x.y.dark/ HTTP/1.1\r\nReferer: http://news.dark/\r\n\r\n",
            (struct http1_names){.authority = "x.y.dark"},
            "GET / HTTP/1.1\r\nHost: x.y.dark\r\nConnection: close\r\n\r\n");
    becomes("GET http://x.y.dark/ HTTP/1.1\r\nReferer: http://x.y.dark/a\r\nOrigin: null\r\n\r\n",
            (struct http1_names){.authority = "x.y.dark"},
            "GET / HTTP/1.1\r\nHost: x.y.dark\r\nReferer: http://x.y.dark/a\r\nOrigin: null\r\n"
            "Connection: close\r\n\r\n");
}

static void answers(const char *text, uint16_t status, const char *expected)
{
    static char out[4096];
    struct http1_response r;
    struct wr w = wr_init(out, sizeof out);

    assert_int_equal(http1_response_read(&r, of(text)), QUDAG_OK);
    assert_int_equal(r.status, status);
    http1_response_write(&w, &r, of(text));
    assert_true(wr_ok(&w));
    out[w.len] = 0;
    assert_string_equal(out, expected);
}

static void a_client_hears_that_the_connection_ends(void **state)
{
    (void)state;
    answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n"
            "Keep-Alive: timeout=5\r\n\r\nhi",
            200, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
    answers("HTTP/1.1 204\r\n\r\n", 204, "HTTP/1.1 204\r\nConnection: close\r\n\r\n");
    answers("HTTP/1.1 100 Continue\r\n\r\n", 100, "HTTP/1.1 100 Continue\r\n\r\n");
    answers(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        101,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

static void what_is_no_response_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 600 No\r\n\r\n",
        "HTTP/1.1 099 No\r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
    };
    struct http1_response r;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(http1_response_read(&r, of(bad[i])), QUDAG_EMALFORMED);
    }
    assert_int_equal(http1_response_read(&r, of("HTTP/2.0 200 OK\r\n\r\n")), QUDAG_EUNSUPPORTED);
}

/* Bytes of |text| that are the body of |head|, given in pieces of |piece|; SIZE_MAX: it is broken. */
static size_t body_len(const char *head, const char *text, size_t piece)
{
    struct http1_request r = read_ok(head);
    size_t at = 0, len = strlen(text);

    while (at < len) {
        size_t n = len - at < piece ? len - at : piece;
        size_t took = http1_body_take(&r.body, (struct slice){(const uint8_t *)text + at, n});
        at += took;
        if (r.body.bad) {
            return SIZE_MAX;
        }
        if (took < n) {
            break;
        }
    }
    return http1_body_done(&r.body) ? at : SIZE_MAX;
}

static void a_body_ends_where_it_says(void **state)
{
    (void)state;
    static const char five[] = "POST http://a.dark/ HTTP/1.1\r\nContent-Length: 5\r\n\r\n";
    static const char chunked[] =
        "POST http://a.dark/ HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n";
    static const char one[] = "5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n";
    char both[128];

    (void)snprintf(both, sizeof both, "%sGET http://b.dark/", one);
    for (size_t piece = 1; piece < 64; piece++) {
        assert_int_equal(body_len(five, "helloGET /", piece), 5);
        assert_int_equal(body_len(chunked, both, piece), strlen(one));
        assert_int_equal(body_len(chunked, "0\r\n\r\nGET", piece), 5);
    }
    assert_int_equal(body_len("GET http://a.dark/ HTTP/1.1\r\n\r\n", "GET", 3), 0);
    assert_int_equal(body_len("GET http://a.dark/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "GET", 3),
                     0);
    assert_int_equal(body_len("CONNECT a.dark:1 HTTP/1.1\r\nContent-Length: 3\r\n\r\n", "GET", 3),
                     0);
    static const char *const bad[] = {"x",           "\r\n",         "5\nhello",
                                      "5\r\nhellox", "5\r\nhello\n", "5;a\nb",
                                      "0\r\n\n",     "0\r\nT\n",     "ffffffffffffffffff\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_true(body_len(chunked, bad[i], 1) == SIZE_MAX);
        assert_true(body_len(chunked, bad[i], 64) == SIZE_MAX);
    }
}

/* |first|, |n| fields |field| and the empty line; the caller's until the next call. */
static const char *many(const char *first, size_t n, const char *field)
{
    static char head[HTTP1_HEAD_MAX];
    size_t len = (size_t)snprintf(head, sizeof head, "%s", first);

    for (size_t i = 0; i < n; i++) {
        len += (size_t)snprintf(head + len, sizeof head - len, "%s", field);
    }
    (void)snprintf(head + len, sizeof head - len, "\r\n");
    return head;
}

static void a_head_has_so_many_fields_and_no_more(void **state)
{
    (void)state;
    static const char ask[] = "GET http://a.dark/ HTTP/1.1\r\n", ok[] = "HTTP/1.1 200 OK\r\n";
    struct http1_response r;

    read_ok(many(ask, HTTP1_FIELDS_MAX, "a:\r\n"));
    refuses(many(ask, HTTP1_FIELDS_MAX + 1, "a:\r\n"), QUDAG_ETOOBIG);
    assert_int_equal(http1_response_read(&r, of(many(ok, HTTP1_FIELDS_MAX, "a:\r\n"))), QUDAG_OK);
    assert_int_equal(http1_response_read(&r, of(many(ok, HTTP1_FIELDS_MAX + 1, "a:\r\n"))),
                     QUDAG_ETOOBIG);
}

static void a_head_names_so_many_fields_of_its_hop_and_no_more(void **state)
{
    (void)state;
    static const char two[] = "Connection: a, b\r\n", ok[] = "HTTP/1.1 200 OK\r\nC: 1\r\n";
    char expected[64];
    struct http1_response r;

    refuses(many("GET http://a.dark/ HTTP/1.1\r\n", HTTP1_HOP_MAX / 2 + 1, two), QUDAG_ETOOBIG);
    assert_int_equal(http1_response_read(&r, of(many(ok, HTTP1_HOP_MAX / 2 + 1, two))),
                     QUDAG_ETOOBIG);
    /* the last of those that fit counts as the first does */
    (void)snprintf(expected, sizeof expected, "%sConnection: close\r\n\r\n", ok);
    answers(many("HTTP/1.1 200 OK\r\nC: 1\r\nB: 1\r\nConnection: a\r\nConnection: a\r\n",
                 HTTP1_HOP_MAX / 2 - 1, two),
            200, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_forms_of_a_target_are_told_apart),
        cmocka_unit_test(every_prefix_asks_for_more),
        cmocka_unit_test(ambiguous_and_broken_heads_are_refused),
        cmocka_unit_test(a_head_has_a_longest_length),
        cmocka_unit_test(a_head_has_so_many_fields_and_no_more),
        cmocka_unit_test(a_head_names_so_many_fields_of_its_hop_and_no_more),
        cmocka_unit_test(what_the_server_gets),
        cmocka_unit_test(an_upgrade_is_passed_on_and_one_not_meant_is_not),
        cmocka_unit_test(a_name_of_this_machine_is_not_sent),
        cmocka_unit_test(a_client_hears_that_the_connection_ends),
        cmocka_unit_test(what_is_no_response_is_refused),
        cmocka_unit_test(a_body_ends_where_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
