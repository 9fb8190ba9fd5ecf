#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/proxy_talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct slice of(const void *bytes, size_t len)
{
    return (struct slice){bytes, len};
}

/* A client that sends |len| bytes in pieces of |piece|; what it hears goes to |heard|. */
struct talked {
    struct proxy_talk t;
    enum proxy_step step;
    enum proxy_why why;
    size_t used, heard_len;
    char heard[PROXY_ANSWER_MAX + 64];
};

static void talk(struct talked *c, const void *bytes, size_t len, size_t piece)
{
    struct proxy_turn turn;
    size_t come = 0;

    memset(c, 0, sizeof(*c));
    proxy_talk_init(&c->t, 1000);
    c->step = PROXY_MORE;
    while (come < len && (c->step == PROXY_MORE || c->step == PROXY_SAY)) {
        come = len - come < piece ? len : come + piece;
        do {
            c->step =
                proxy_talk_next(&c->t, of((const uint8_t *)bytes + c->used, come - c->used), &turn);
            c->used += turn.used;
            memcpy(c->heard + c->heard_len, turn.say, turn.say_len);
            c->heard_len += turn.say_len;
        } while (c->step == PROXY_SAY);
    }
    c->why = turn.why;
}

static void answer(struct talked *c, enum proxy_why why)
{
    struct wr w = wr_init(c->heard + c->heard_len, sizeof(c->heard) - c->heard_len - 1);

    proxy_talk_answer(&c->t, why, &w);
    assert_true(wr_ok(&w));
    c->heard_len += w.len;
    c->heard[c->heard_len] = 0;
}

#define SOCKS_NOBODY "\5\1\0\5\1\0\3\11blog.dark\0\120early"
#define SOCKS_USER "\5\2\0\2\1\1a\1b\5\1\0\3\11blog.dark\0\120early"

static void socks_is_understood_in_pieces_of_any_size(void **state)
{
    (void)state;
    struct talked c;
    const size_t len = sizeof(SOCKS_NOBODY) - 1, len_user = sizeof(SOCKS_USER) - 1;

    for (size_t piece = 1; piece <= len_user; piece++) {
        talk(&c, SOCKS_NOBODY, len, piece);
        assert_true(c.step == PROXY_ASK && c.t.form == PROXY_SOCKS && c.t.port == 80);
        assert_string_equal(c.t.host, "blog.dark");
        assert_int_equal(c.used, len - 5);
        assert_memory_equal(c.heard, "\5\0", 2);
        talk(&c, SOCKS_USER, len_user, piece);
        assert_true(c.step == PROXY_ASK && c.used == len_user - 5);
        assert_memory_equal(c.heard, "\5\2\1\0", 4);
    }
    answer(&c, PROXY_FINE);
    assert_memory_equal(c.heard + 4, "\5\0\0\1\0\0\0\0\0\0", 10);
}

static void credentials_make_a_key_and_their_lack_another(void **state)
{
    (void)state;
    static const char with[] =
        "CONNECT blog.dark:80 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\n\r\n";
    static const char without[] = "CONNECT blog.dark:80 HTTP/1.1\r\n\r\n";
    struct talked nobody, user, http, plain;

    talk(&nobody, SOCKS_NOBODY, sizeof(SOCKS_NOBODY) - 1, 99);
    talk(&user, SOCKS_USER, sizeof(SOCKS_USER) - 1, 99);
    talk(&http, with, sizeof(with) - 1, 99);
    talk(&plain, without, sizeof(without) - 1, 99);
    assert_memory_not_equal(nobody.t.key, user.t.key, QUDAG_ISOLATION_MAX);
    assert_memory_not_equal(http.t.key, user.t.key, QUDAG_ISOLATION_MAX);
    assert_memory_equal(plain.t.key, nobody.t.key, QUDAG_ISOLATION_MAX);
}

static void socks_is_refused(const char *bytes, size_t len, enum proxy_why why, const char *heard,
                             size_t heard_len)
{
    struct talked c;

    talk(&c, bytes, len, 99);
    assert_int_equal(c.step, PROXY_REFUSE);
    assert_int_equal(c.why, why);
    answer(&c, c.why);
    assert_int_equal(c.heard_len, heard_len);
    assert_memory_equal(c.heard, heard, heard_len);
}

static void what_socks_cannot_have_is_refused_with_its_code(void **state)
{
    (void)state;
    socks_is_refused("\5\1\0\5\1\0\1\300\0\2\7\0\120", 13, PROXY_IS_IP, "\5\0\5\10\0\1\0\0\0\0\0\0",
                     12);
    socks_is_refused("\5\1\0\5\1\0\4................\0\120", 25, PROXY_IS_IP,
                     "\5\0\5\10\0\1\0\0\0\0\0\0", 12);
    socks_is_refused("\5\1\0\5\3\0\3\11blog.dark\0\120", 19, PROXY_NO_METHOD,
                     "\5\0\5\7\0\1\0\0\0\0\0\0", 12);
    socks_is_refused("\5\1\0\5\1\0\3\11blog.dark\0\0", 19, PROXY_NO_PORT,
                     "\5\0\5\5\0\1\0\0\0\0\0\0", 12);
    socks_is_refused("\5\1\1", 3, PROXY_NO_METHOD, "\5\377", 2);
    socks_is_refused("\5\1\0\4", 4, PROXY_BAD_REQUEST, "\5\0\5\1\0\1\0\0\0\0\0\0", 12);
    socks_is_refused("\4\1\0\120\0\0\0\1\0", 9, PROXY_BAD_REQUEST, "\0\133\0\0\0\0\0\0", 8);
    socks_is_refused("\26\3\1", 3, PROXY_BAD_REQUEST, "", 0); /* TLS */
    socks_is_refused("\0", 1, PROXY_BAD_REQUEST, "", 0);
}

static void http_is_refused(const char *text, enum proxy_why why, const char *status)
{
    struct talked c;

    talk(&c, text, strlen(text), 7);
    assert_int_equal(c.step, PROXY_REFUSE);
    assert_int_equal(c.why, why);
    answer(&c, c.why);
    assert_memory_equal(c.heard, status, strlen(status));
    assert_non_null(strstr(c.heard, "<h1>"));
}

static void http_failures_are_pages(void **state)
{
    char many[64 + 4 * (HTTP1_FIELDS_MAX + 1)];
    (void)state;

    http_is_refused("GET / HTTP/1.1\r\nHost: 127.0.0.1:9350\r\n\r\n", PROXY_NOT_A_PROXY,
                    "HTTP/1.1 400 ");
    http_is_refused("POST /steal HTTP/1.1\r\nHost: 127.0.0.1:9350\r\n\r\n\5\1\0", PROXY_NOT_A_PROXY,
                    "HTTP/1.1 400 ");
    http_is_refused("GET ftp://a.dark/ HTTP/1.1\r\n\r\n", PROXY_NO_METHOD, "HTTP/1.1 501 ");
    http_is_refused("GET http://[::1]/ HTTP/1.1\r\n\r\n", PROXY_IS_IP, "HTTP/1.1 403 ");
    http_is_refused("GET nonsense\r\n\r\n", PROXY_BAD_REQUEST, "HTTP/1.1 400 ");
    size_t len = (size_t)snprintf(many, sizeof(many), "GET http://a.dark/ HTTP/1.1\r\n");
    for (int i = 0; i <= HTTP1_FIELDS_MAX; i++) {
        len += (size_t)snprintf(many + len, sizeof(many) - len, "a:\r\n");
    }
    (void)snprintf(many + len, sizeof(many) - len, "\r\n");
    http_is_refused(many, PROXY_HEAD_TOO_BIG, "HTTP/1.1 431 ");
}

static void a_page_says_what_to_do_and_cannot_be_written_into(void **state)
{
    (void)state;
    static const char evil[] = "GET http://<script>&\"'.dark/ HTTP/1.1\r\n\r\n";
    static const char head[] = "HEAD http://a.b.dark/ HTTP/1.1\r\n\r\n";
    struct talked c;

    talk(&c, evil, sizeof(evil) - 1, 99);
    assert_int_equal(c.step, PROXY_ASK);
    answer(&c, PROXY_BAD_NAME);
    assert_non_null(strstr(c.heard, "Proxy-Status: qudag; error=http_request_error\r\n"));
    assert_non_null(strstr(c.heard, "&#60;script&#62;&#38;&#34;&#39;.dark:80"));
    assert_null(strstr(c.heard, "<script"));
    const char *length = strstr(c.heard, "Content-Length: "), *body = strstr(c.heard, "\r\n\r\n");
    assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body + 4));
    talk(&c, head, sizeof(head) - 1, 99);
    answer(&c, PROXY_OFFLINE);
    assert_string_equal(strstr(c.heard, "\r\n\r\n"), "\r\n\r\n");
}

static void the_longest_answer_fits(void **state)
{
    (void)state;
    char head[512];
    struct talked c;
    int n = snprintf(head, sizeof(head), "GET http://");

    memset(head + n, '<', PROXY_HOST_MAX);
    (void)snprintf(head + n + PROXY_HOST_MAX, sizeof(head) - (size_t)n - PROXY_HOST_MAX,
                   "/ HTTP/1.1\r\n\r\n");
    for (int why = PROXY_FINE + 1; why < PROXY_WHYS; why++) {
        talk(&c, head, strlen(head), 999);
        assert_int_equal(c.step, PROXY_ASK);
        answer(&c, (enum proxy_why)why);
        assert_in_range(c.heard_len, 1, PROXY_ANSWER_MAX);
    }
}

/* ------------------------------------------------------------------ what flows then */

struct flowing {
    struct mem mem;
    struct proxy_talk t;
    struct proxy_flow f;
    char head[PROXY_HEADS_MAX], got[4 * HTTP1_HEAD_MAX];
    size_t len;
};

static void flow_begin(struct flowing *x, const char *request)
{
    struct proxy_turn turn;

    memset(x, 0, sizeof(*x));
    mem_init(&x->mem, NULL, 0);
    proxy_talk_init(&x->t, 1000);
    assert_int_equal(proxy_talk_next(&x->t, of(request, strlen(request)), &turn), PROXY_ASK);
    proxy_flow_init(&x->f, &x->t, &x->mem);
}

static void flow_end(struct flowing *x)
{
    proxy_flow_fini(&x->f);
    assert_int_equal(x->mem.used, 0);
}

static qudag_err down(struct flowing *x, const char *text, size_t piece)
{
    size_t len = strlen(text);

    for (size_t at = 0; at < len; at += piece) {
        struct wr w = wr_init(x->head, sizeof(x->head));
        struct slice pass;
        size_t n = len - at < piece ? len - at : piece;
        qudag_err err = proxy_flow_down(&x->f, of(text + at, n), &w, &pass);
        if (err != QUDAG_OK) {
            return err;
        }
        memcpy(x->got + x->len, x->head, w.len);
        x->len += w.len;
        if (pass.len > 0) {
            memcpy(x->got + x->len, pass.base, pass.len);
            x->len += pass.len;
        }
    }
    x->got[x->len] = 0;
    return QUDAG_OK;
}

static size_t up(struct flowing *x, const char *text)
{
    size_t pass = 0;

    assert_true(proxy_flow_up(&x->f, of(text, strlen(text)), &pass));
    return pass;
}

#define GET "GET http://a.dark/ HTTP/1.1\r\n\r\n"
#define POST "POST http://a.dark/ HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
#define WEBSOCKET "GET http://a.dark/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

static void an_answer_is_passed_on_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char answer[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
                                 "Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";
    struct flowing x;

    for (size_t piece = 1; piece < sizeof(answer); piece++) {
        flow_begin(&x, GET);
        assert_false(proxy_flow_may_end(&x.f));
        assert_int_equal(down(&x, answer, piece), QUDAG_OK);
        assert_true(proxy_flow_may_end(&x.f));
        assert_string_equal(x.got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
                                   "Content-Length: 5\r\nConnection: close\r\n\r\nhello");
        flow_end(&x);
    }
}

static void the_next_request_never_reaches_the_service_of_the_first(void **state)
{
    (void)state;
    struct flowing x;

    flow_begin(&x, GET);
    assert_int_equal(up(&x, "GET http://b.dark/ HTTP/1.1\r\nCookie: secret\r\n\r\n"), 0);
    flow_end(&x);
    flow_begin(&x, POST);
    assert_int_equal(up(&x, "bodyGET http://b.dark/ HTTP/1.1\r\n"), 4);
    assert_int_equal(up(&x, "Cookie: secret\r\n\r\n"), 0);
    flow_end(&x);
    flow_begin(&x, WEBSOCKET);
    assert_int_equal(down(&x, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 99), QUDAG_OK);
    assert_int_equal(up(&x, GET), 0);
    flow_end(&x);
}

static void an_upgraded_connection_is_bytes_both_ways(void **state)
{
    (void)state;
    struct flowing x;

    flow_begin(&x, WEBSOCKET);
    assert_int_equal(down(&x,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\n\r\n\201\2hi",
                          3),
                     QUDAG_OK);
    assert_string_equal(x.got, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\n\r\n\201\2hi");
    assert_int_equal(up(&x, "\201\205mask!"), 7);
    flow_end(&x);
}

static void an_answer_that_is_no_http_ends_the_connection(void **state)
{
    (void)state;
    struct flowing x;
    char much[200] = "";

    flow_begin(&x, GET);
    assert_int_equal(down(&x, "SSH-2.0-OpenSSH_9.2\r\n", 5), QUDAG_EPROTO);
    flow_end(&x);
    flow_begin(&x, GET);
    assert_int_equal(down(&x, "HTTP/1.1 101 Switching Protocols\r\n\r\n", 99), QUDAG_EPROTO);
    flow_end(&x);
    flow_begin(&x, GET);
    for (int i = 0; i < PROXY_INTERIM_MAX; i++) {
        assert_int_equal(down(&x, "HTTP/1.1 103 Early\r\n\r\n", 99), QUDAG_OK);
    }
    assert_int_equal(down(&x, "HTTP/1.1 103 Early\r\n\r\n", 99), QUDAG_EPROTO);
    flow_end(&x);
    flow_begin(&x, GET);
    memset(much, 'a', sizeof(much) - 1);
    assert_int_equal(down(&x, "HTTP/1.1 200 OK\r\nX: ", 99), QUDAG_OK);
    qudag_err err = QUDAG_OK;
    for (int i = 0; i < 2 * HTTP1_HEAD_MAX / (int)sizeof(much) && err == QUDAG_OK; i++) {
        err = down(&x, much, sizeof(much));
    }
    assert_int_equal(err, QUDAG_EPROTO);
    flow_end(&x);
    flow_begin(&x, GET);
    assert_int_equal(down(&x, "HTTP/1.1 200 OK\r\n", 99), QUDAG_OK);
    for (int i = 0; i < HTTP1_FIELDS_MAX; i++) {
        assert_int_equal(down(&x, "a:\r\n", 99), QUDAG_OK);
    }
    assert_int_equal(down(&x, "a:\r\n", 99), QUDAG_EPROTO);
    flow_end(&x);
}

/* A head of |len| bytes with as many fields as may be, none of them with a space behind its colon. */
static size_t longest(char *out, const char *first, size_t len)
{
    size_t n = (size_t)snprintf(out, len, "%s", first);

    for (size_t i = 1; i < HTTP1_FIELDS_MAX; i++) {
        n += (size_t)snprintf(out + n, len - n, "a:\r\n");
    }
    n += (size_t)snprintf(out + n, len - n, "b:");
    memset(out + n, 'x', len - 4 - n);
    memcpy(out + len - 4, "\r\n\r\n", 4);
    return len;
}

static void the_longest_heads_have_room_together(void **state)
{
    (void)state;
    static char text[2 * HTTP1_HEAD_MAX];
    static struct flowing x;
    const size_t first = HTTP1_HEAD_MAX - 1;
    size_t len = longest(text, "HTTP/1.1 103 Early\r\n", HTTP1_HEAD_MAX);
    struct wr w = wr_init(x.head, sizeof(x.head));
    struct slice pass;

    len += longest(text + len, "HTTP/1.1 200 OK\r\n", PROXY_PIECE_MAX - 1);
    flow_begin(&x, GET);
    assert_int_equal(proxy_flow_down(&x.f, of(text, first), &w, &pass), QUDAG_OK);
    assert_int_equal(w.len, 0);
    assert_int_equal(proxy_flow_down(&x.f, of(text + first, len - first), &w, &pass), QUDAG_OK);
    assert_true(x.f.answered && w.len > len && pass.len == 0);
    assert_true(w.len <= len + 2 * HTTP1_MORE_MAX);
    flow_end(&x);
}

static void a_broken_chunk_ends_the_connection(void **state)
{
    (void)state;
    struct flowing x;
    size_t pass;

    flow_begin(&x, "POST http://a.dark/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(up(&x, "2\r\nhi\r\n"), 7);
    assert_false(proxy_flow_up(&x.f, of("zz", 2), &pass));
    flow_end(&x);
}

static void a_tunnel_is_not_looked_into(void **state)
{
    (void)state;
    struct flowing x;

    flow_begin(&x, "CONNECT a.dark:22 HTTP/1.1\r\n\r\n");
    assert_int_equal(up(&x, "SSH-2.0-client\r\n"), 16);
    assert_int_equal(down(&x, "SSH-2.0-server\r\n", 3), QUDAG_OK);
    assert_string_equal(x.got, "SSH-2.0-server\r\n");
    assert_true(proxy_flow_may_end(&x.f));
    flow_end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socks_is_understood_in_pieces_of_any_size),
        cmocka_unit_test(credentials_make_a_key_and_their_lack_another),
        cmocka_unit_test(what_socks_cannot_have_is_refused_with_its_code),
        cmocka_unit_test(http_failures_are_pages),
        cmocka_unit_test(a_page_says_what_to_do_and_cannot_be_written_into),
        cmocka_unit_test(the_longest_answer_fits),
        cmocka_unit_test(an_answer_is_passed_on_in_pieces_of_any_size),
        cmocka_unit_test(the_next_request_never_reaches_the_service_of_the_first),
        cmocka_unit_test(an_upgraded_connection_is_bytes_both_ways),
        cmocka_unit_test(an_answer_that_is_no_http_ends_the_connection),
        cmocka_unit_test(the_longest_heads_have_room_together),
        cmocka_unit_test(a_broken_chunk_ends_the_connection),
        cmocka_unit_test(a_tunnel_is_not_looked_into),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
