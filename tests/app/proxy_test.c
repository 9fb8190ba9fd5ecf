/*
 * proxy_test.c - the proxy of one node, a service of another one's, and clients with sockets of their own.
 *
 * TEST: timeout=120
 */
#include "../api/net.h"
#include "api/clients.h"
#include "app/proxy_int.h"

#include <qudag/proxy.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define TUNNEL "/qudag/tunnel/1.0.0"
#define SERVICE 5
#define CALLER 6
#define BIG (3u << 20)
#define SERVED_MAX 64

/* ------------------------------------------------------------------ a machine that is short of memory */

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define OWN_MALLOC 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define OWN_MALLOC 1
#endif

#ifndef OWN_MALLOC
static size_t calloc_fails; /* for this size; 0: for none */

/* glibc's own, in front of which ours stands */
extern void *__libc_calloc(size_t n, size_t size); // NOLINT(bugprone-reserved-identifier)

void *calloc(size_t n, size_t size)
{
    if (size == calloc_fails) {
        calloc_fails = 0;
        return NULL;
    }
    return __libc_calloc(n, size);
}
#endif

/* ------------------------------------------------------------------ the service */

enum { ECHOES = 80, HTTP = 81, REFUSES = 82, DOWNLOAD = 83, CUTS = 84, ENDLESS = 85 };

/* A stream at the service, which does by its port what the enum says. */
struct served {
    qudag_stream s;
    uint16_t port;
    size_t owed;   /* credit */
    size_t in, at; /* bytes that came; sent of a download */
    bool fin, held, answered;
    uint64_t circuit;
    char got[2048];
    qudag_err why;
    bool closed;
};
static struct served served[SERVED_MAX];
static size_t n_served;
static struct api_client *service;
static char dark[QUDAG_DARK_TEXT_MAX];
static bool hold; /* the service takes nothing from now on */

static void put(qudag_node *n, struct served *v, const void *bytes, size_t len)
{
    size_t taken = 0;
    assert_int_equal(qudag_stream_write(n, v->s, (qudag_slice){bytes, len}, &taken), QUDAG_OK);
    assert_int_equal(taken, len);
}

static void send_more(qudag_node *n, struct served *v)
{
    static uint8_t block[16384];
    size_t taken = 1, all = v->port == ENDLESS ? SIZE_MAX : v->port == DOWNLOAD ? BIG : 0;

    while (v->at < all && taken > 0) {
        for (size_t i = 0; i < sizeof(block); i++) {
            block[i] = (uint8_t)((v->at + i) * 31 >> 4);
        }
        size_t len = all - v->at < sizeof(block) ? all - v->at : sizeof(block);
        if (qudag_stream_write(n, v->s, (qudag_slice){block, len}, &taken) != QUDAG_OK) {
            return;
        }
        v->at += taken;
    }
    if (v->port == DOWNLOAD && v->at == BIG) {
        v->at++;
        qudag_stream_fin(n, v->s);
    }
}

static void begin_serving(qudag_node *n, struct served *v)
{
    qudag_stream_state info = QUDAG_INIT(qudag_stream_state);
    uint8_t status = v->port == REFUSES ? 2 : v->port > ENDLESS ? 1 : 0;

    assert_int_equal(qudag_stream_info(n, v->s, &info), QUDAG_OK);
    v->circuit = info.circuit.id;
    put(n, v, &status, 1);
    if (status != 0) {
        qudag_stream_fin(n, v->s);
    }
    send_more(n, v);
}

/* Answers with what was asked, and leaves the connection open as HTTP/1.1 does. */
static void serve_http(qudag_node *n, struct served *v)
{
    char head[128];
    const char *end = strstr(v->got, "\r\n\r\n");

    if (end == NULL || v->answered) {
        return;
    }
    v->answered = true;
    int len = snprintf(head, sizeof(head),
                       "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: %zu\r\n\r\n",
                       (size_t)(end - v->got));
    put(n, v, head, (size_t)len);
    put(n, v, v->got, (size_t)(end - v->got));
}

static void serve_bytes(qudag_node *n, struct served *v, qudag_slice data)
{
    size_t room = sizeof(v->got) - 1 - (v->in < sizeof(v->got) ? v->in : sizeof(v->got) - 1);
    size_t keep = data.len < room ? data.len : room;

    if (data.len == 0) {
        return;
    }
    if (keep > 0) {
        memcpy(v->got + v->in, data.base, keep);
    }
    v->in += data.len;
    if (v->port == ECHOES) {
        put(n, v, data.base, data.len);
    } else if (v->port == HTTP) {
        serve_http(n, v);
    } else if (v->port == CUTS) {
        v->closed = true;
        qudag_stream_reset(n, v->s, QUDAG_ERESET);
    }
}

static void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *to,
                  const char *proto, void *user)
{
    (void)from, (void)proto, (void)user;
    assert_string_equal(to, dark);
    assert_true(n_served < SERVED_MAX);
    struct served *v = &served[n_served++];
    *v = (struct served){.s = s};
    assert_int_equal(qudag_stream_set_user(n, s, v), QUDAG_OK);
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct served *v = qudag_stream_user(n, s);
    (void)user;

    v->fin = v->fin || fin;
    v->owed += data.len;
    if (!hold) {
        qudag_stream_consume(n, s, v->owed);
        v->owed = 0;
    }
    while (data.len > 0 && v->in < 2) {
        v->port = (uint16_t)(v->port << 8 | *data.base++);
        data.len--;
        if (++v->in == 2) {
            begin_serving(n, v);
        }
    }
    if (v->in >= 2) {
        v->in -= 2;
        serve_bytes(n, v, data);
        v->in += 2;
    }
    if (fin && !v->closed && (v->port == ECHOES || v->port == HTTP)) {
        qudag_stream_fin(n, s);
    }
}

static void on_room(qudag_node *n, qudag_stream s, void *user)
{
    (void)user;
    send_more(n, qudag_stream_user(n, s));
}

static void on_gone(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct served *v = qudag_stream_user(n, s);
    (void)user;
    v->closed = true;
    v->why = why;
}

static void on_end(void *user)
{
    (void)user;
}

static const qudag_callbacks serving = {.size = sizeof(serving),
                                        .stream_in = on_in,
                                        .stream_data = on_data,
                                        .stream_writable = on_room,
                                        .stream_closed = on_gone};

/* ------------------------------------------------------------------ a client */

struct caller {
    int fd;
    size_t n, sum_at;
    bool eof, reset, wrong;
    char got[8192];
};
static uint16_t door;
static bool narrow; /* the kernel holds little for those that call now */

static struct caller call(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(door)};
    struct caller c = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    const int small = 4096;
    if (narrow) {
        assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    }
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(c.fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(fcntl(c.fd, F_SETFL, O_NONBLOCK), 0);
    return c;
}

static void say(struct caller *c, const void *bytes, size_t len)
{
    assert_int_equal(send(c->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void say_text(struct caller *c, const char *text)
{
    say(c, text, strlen(text));
}

/* Reads at most |most| bytes; true: all that can be had for now. */
static bool hear(struct caller *c, size_t most)
{
    static uint8_t room[65536];
    ssize_t n = recv(c->fd, room, most < sizeof(room) ? most : sizeof(room), 0);

    c->eof = c->eof || n == 0;
    c->reset = c->reset || (n < 0 && errno != EAGAIN);
    for (ssize_t i = 0; i < n; i++) {
        if (c->n < sizeof(c->got) - 1) {
            c->got[c->n] = (char)room[i];
            c->got[c->n + 1] = 0;
        }
        c->wrong = c->wrong || (c->n >= 10 && room[i] != (uint8_t)((c->n - 10) * 31 >> 4));
        c->n++;
    }
    return true;
}

#define SOCKS_OK "\5\0\0\1\0\0\0\0\0\0"

/* Greeting and request in one, as |user| unless that is NULL. */
static void ask_socks(struct caller *c, const char *user, const char *host, uint16_t port)
{
    char out[700];
    size_t n = 0, len = strlen(host), user_len = user == NULL ? 0 : strlen(user);

    n += (size_t)snprintf(out, sizeof(out), "%s", user == NULL ? "\5\1" : "\5\1\2\1");
    if (user == NULL) {
        out[n++] = 0;
    } else {
        out[n++] = (char)user_len;
        memcpy(out + n, user, user_len);
        n += user_len;
        out[n++] = 0;
    }
    memcpy(out + n, "\5\1\0\3", 4);
    n += 4;
    out[n++] = (char)len;
    memcpy(out + n, host, len);
    n += len;
    out[n++] = (char)(port >> 8);
    out[n++] = (char)port;
    say(c, out, n);
}

static qudag_proxy_info info_now(void)
{
    qudag_proxy_info info = QUDAG_INIT(qudag_proxy_info);
    assert_int_equal(qudag_proxy_status(net[CALLER].node, &info), QUDAG_OK);
    return info;
}

static void all_gone(void)
{
    NET_WAIT(info_now().connections == 0, 15);
}

static struct caller socks_to(const char *user, const char *host, uint16_t port, const char *more)
{
    struct caller c = call();
    ask_socks(&c, user, host, port);
    say_text(&c, more);
    return c;
}

static void refused(struct caller *c, int code)
{
    NET_WAIT(hear(c, 99) && c->eof, 20);
    assert_int_equal(c->n, 12);
    assert_int_equal((uint8_t)c->got[3], code);
    close(c->fd);
    all_gone();
}

/* ------------------------------------------------------------------ the tests */

static qudag_err petname(void *user, const char *name, char addr[QUDAG_DARK_TEXT_MAX])
{
    (void)user;
    if (strcmp(name, "stop") == 0) {
        qudag_proxy_stop(net[CALLER].node);
    } else if (strcmp(name, "blog") != 0) {
        return QUDAG_ENOTFOUND;
    }
    (void)snprintf(addr, QUDAG_DARK_TEXT_MAX, "%s", dark);
    return QUDAG_OK;
}

static void start_proxy(void)
{
    const qudag_proxy_options p = {.size = sizeof(p), .listen = "127.0.0.1:0", .petname = petname};
    char why[200] = "";

    assert_int_equal(qudag_proxy_start(net[CALLER].node, &p, why, sizeof(why)), QUDAG_OK);
    door = (uint16_t)strtoul(strrchr(info_now().listen, ':') + 1, NULL, 10);
}

static int set_up(void **state)
{
    static const struct net_options o = {.client = false};
    (void)state;

    (void)signal(SIGPIPE, SIG_DFL); /* as a program has it that never heard of it */
    net_grow(7, &o);
    assert_int_equal(api_client_new(&service, net[SERVICE].node, &serving, on_end, &service),
                     QUDAG_OK);
    assert_int_equal(api_client_serve_dark(service, TUNNEL), QUDAG_OK);
    assert_int_equal(qudag_dark_create(net[SERVICE].node, "", dark), QUDAG_OK);
    net_ask(&net[SERVICE], qudag_dark_publish(net[SERVICE].node, dark, &net[SERVICE].last));
    assert_int_equal(net[SERVICE].err, QUDAG_OK);
    start_proxy();
    return 0;
}

static void bytes_go_both_ways_and_each_end_by_itself(void **state)
{
    struct caller c;
    (void)state;

    n_served = 0;
    c = socks_to(NULL, dark, ECHOES, "early");
    NET_WAIT(hear(&c, 999) && c.n == 2 + 10 + 5, 30);
    assert_memory_equal(c.got, "\5\0" SOCKS_OK "early", 17);
    say_text(&c, " and late");
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    NET_WAIT(hear(&c, 999) && c.eof, 10);
    assert_memory_equal(c.got + 12, "early and late", 14);
    assert_true(served[0].fin);
    close(c.fd);
    all_gone();
}

static void the_name_of_an_address_works_and_is_not_sent(void **state)
{
    struct caller c = call();
    char expected[400];
    (void)state;

    n_served = 0;
    say_text(&c, "GET http://blog.dark:81/x HTTP/1.1\r\nHost: blog.dark:81\r\nProxy-Connection: "
                 "keep-alive\r\n\r\nGET http://other.dark/ HTTP/1.1\r\n\r\n");
    NET_WAIT(hear(&c, 999) && strstr(c.got, "Connection: close") != NULL, 30);
    (void)snprintf(expected, sizeof(expected), "GET /x HTTP/1.1\r\nHost: %s:81\r\n", dark);
    NET_WAIT(hear(&c, 999) && strstr(c.got, expected) != NULL, 10);
    assert_null(strstr(c.got, "keep-alive"));
    assert_null(strstr(served[0].got, "blog"));
    assert_null(strstr(served[0].got, "other"));
    close(c.fd);
    all_gone();
}

static void labels_before_an_address_reach_the_service(void **state)
{
    struct caller c = call();
    char ask[400], expected[400];
    (void)state;

    (void)snprintf(ask, sizeof(ask), "GET http://www.%s:81/x HTTP/1.1\r\n\r\n", dark);
    (void)snprintf(expected, sizeof(expected), "GET /x HTTP/1.1\r\nHost: www.%s:81\r\n", dark);
    say_text(&c, ask);
    NET_WAIT(hear(&c, 999) && strstr(c.got, expected) != NULL, 20);
    close(c.fd);
    all_gone();
}

static void http_connect_is_a_tunnel(void **state)
{
    struct caller c = call();
    char head[300];
    (void)state;

    (void)snprintf(head, sizeof(head), "CONNECT %s:80 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                   dark);
    say_text(&c, head);
    NET_WAIT(hear(&c, 999) && strstr(c.got, "\r\n\r\nGET / HTTP/1.1\r\n\r\n") != NULL, 20);
    assert_memory_equal(c.got, "HTTP/1.1 200 ", 13);
    close(c.fd);
    all_gone();
}

static void failures_have_their_codes(void **state)
{
    static const char other[] = "aebciuiynihqmt3snkrpuehwkthcxbxl4k3rrkcogsssxaxzpjug3ndt."
                                "dwa4xcmu4dg6u2kaj6ormyob3eur54abrmngm4m5g4wi7pvmm5qypoq.dark";
    char typo[QUDAG_DARK_TEXT_MAX];
    struct caller c;
    (void)state;

    memcpy(typo, dark, sizeof(typo));
    typo[9] = typo[9] == 'a' ? 'b' : 'a';
    c = socks_to(NULL, typo, 80, "");
    refused(&c, 0xf6);
    c = socks_to(NULL, "example.org", 80, "");
    refused(&c, 2);
    c = socks_to(NULL, "192.0.2.7", 80, "");
    refused(&c, 8);
    c = socks_to(NULL, "unknown.dark", 80, "");
    refused(&c, 0xf0);
    c = socks_to(NULL, other, 80, ""); /* nobody publishes it */
    refused(&c, 0xf0);
    c = socks_to(NULL, dark, REFUSES, "");
    refused(&c, 5);
    c = socks_to(NULL, dark, 99, "");
    refused(&c, 5);
}

static void users_do_not_share_a_circuit(void **state)
{
    struct caller c[4];
    (void)state;

    n_served = 0;
    for (size_t i = 0; i < 4; i++) {
        c[i] = socks_to(i < 2 ? "alice" : i == 2 ? "bob" : NULL, dark, ECHOES, "x");
        NET_WAIT(hear(&c[i], 999) && c[i].n >= 13, 30);
    }
    assert_int_equal(n_served, 4);
    assert_true(served[0].circuit != 0);
    assert_true(served[0].circuit == served[1].circuit);
    assert_true(served[2].circuit != served[0].circuit);
    assert_true(served[3].circuit != served[0].circuit && served[3].circuit != served[2].circuit);
    for (size_t i = 0; i < 4; i++) {
        close(c[i].fd);
    }
    all_gone();
}

static void a_slow_reader_holds_up_the_service_and_loses_nothing(void **state)
{
    struct caller c;
    (void)state;

    n_served = 0;
    c = socks_to(NULL, dark, DOWNLOAD, "");
    double until = net_now() + 1;
    while (net_now() < until) {
        net_turn(); /* the client reads nothing */
    }
    assert_int_equal(n_served, 1);
    size_t stopped = served[0].at;
    until = net_now() + 0.5;
    while (net_now() < until) {
        net_turn();
    }
    assert_int_equal(served[0].at, stopped);
    c.n = 0;
    while (c.n < 2) {
        hear(&c, 2 - c.n);
    }
    c.n = 0; /* the pattern begins behind the reply of 10 bytes */
    NET_WAIT(hear(&c, 65536) && c.eof, 40);
    assert_int_equal(c.n, 10 + BIG);
    assert_false(c.wrong);
    close(c.fd);
    all_gone();
}

/* The service has ended, and the last of it still waits for the client. */
static void an_end_waits_for_what_came_before_it(void **state)
{
    struct caller c;
    (void)state;

    n_served = 0;
    narrow = true;
    c = socks_to(NULL, dark, DOWNLOAD, "");
    narrow = false;
    NET_WAIT(hear(&c, 2 - c.n) && c.n == 2, 20);
    c.n = 0;
    NET_WAIT(hear(&c, 4096) && c.n > BIG - 200000, 60);
    NET_WAIT(served[0].at > BIG, 20); /* all of it and its end are under way */
    double until = net_now() + 1;
    while (net_now() < until) {
        net_turn(); /* the client reads nothing */
    }
    NET_WAIT(hear(&c, 65536) && c.eof, 40);
    assert_int_equal(c.n, 10 + BIG);
    assert_false(c.wrong || c.reset);
    close(c.fd);
    all_gone();
}

/* Unread, its bytes would take the answer away. */
static void who_goes_on_talking_hears_a_refusal_to_its_end(void **state)
{
    static const char block[65536];
    struct caller c;
    (void)state;

    c = socks_to(NULL, "example.com", 80, "");
    NET_WAIT(hear(&c, 12 - c.n) && c.n == 12, 20);
    for (int i = 0; i < 20; i++) {
        assert_true(send(c.fd, block, sizeof(block), MSG_NOSIGNAL) > 0 || errno == EAGAIN);
        net_turn();
    }
    NET_WAIT(hear(&c, 99) && (c.eof || c.reset), 20);
    assert_true(c.eof && !c.reset);
    assert_int_equal(c.n, 12);
    close(c.fd);
    all_gone();
}

static void a_service_that_takes_nothing_holds_up_the_client(void **state)
{
    static char block[65536];
    struct caller c;
    size_t sent = 0;
    (void)state;

    n_served = 0;
    c = socks_to(NULL, dark, HTTP, "");
    NET_WAIT(hear(&c, 99) && c.n == 12, 20);
    hold = true;
    double until = net_now() + 2;
    while (net_now() < until) {
        ssize_t n = send(c.fd, block, sizeof(block), MSG_NOSIGNAL);
        assert_true(n > 0 || errno == EAGAIN); /* it is still there */
        sent += n > 0 ? (size_t)n : 0;
        net_turn();
    }
    assert_in_range(sent, 1, 16u << 20);
    assert_false(served[0].closed);
    hold = false;
    qudag_stream_consume(net[SERVICE].node, served[0].s, served[0].owed);
    close(c.fd);
    all_gone();
}

static void a_service_that_gives_up_resets_the_client(void **state)
{
    struct caller c;
    (void)state;

    c = socks_to(NULL, dark, CUTS, "");
    NET_WAIT(hear(&c, 99) && c.n == 12, 20);
    say_text(&c, "x");
    NET_WAIT(hear(&c, 99) && c.reset, 20);
    close(c.fd);
    all_gone();
}

static void a_client_that_goes_away_is_noticed_by_the_service(void **state)
{
    struct linger now = {.l_onoff = 1};
    struct caller c;
    (void)state;

    n_served = 0;
    c = socks_to(NULL, dark, HTTP, "");
    NET_WAIT(hear(&c, 99) && c.n == 12, 20);
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(c.fd);
    NET_WAIT(served[0].closed, 10);
    assert_int_not_equal(served[0].why, QUDAG_OK);
    all_gone();
}

/* One that said before that it sends no more: writing to it then would raise SIGPIPE, which ends this program. */
static void a_client_that_goes_away_in_mid_answer_raises_no_signal(void **state)
{
    struct linger now = {.l_onoff = 1};
    struct caller c = call();
    (void)state;

    n_served = 0;
    ask_socks(&c, NULL, dark, ENDLESS);
    NET_WAIT(hear(&c, 99) && c.n >= 12, 20);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    NET_WAIT(n_served == 1 && served[0].fin, 10);
    for (size_t at = 0; at != served[0].at;) { /* until more waits for it than the kernel takes */
        at = served[0].at;
        double until = net_now() + 0.5;
        while (net_now() < until) {
            net_turn();
        }
    }
    assert_false(served[0].closed);
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(c.fd);
    NET_WAIT(served[0].closed, 10);
    assert_int_not_equal(served[0].why, QUDAG_OK);
    all_gone();
}

static void it_is_served(void)
{
    struct caller c = socks_to(NULL, dark, ECHOES, "x");
    NET_WAIT(hear(&c, 99) && c.n == 13, 20);
    close(c.fd);
    all_gone();
}

static void without_memory_for_one_client_the_next_is_served(void **state)
{
    (void)state;
#ifndef OWN_MALLOC
    struct caller c = call();
    calloc_fails = sizeof(struct proxy_conn);
    NET_WAIT(hear(&c, 99) && (c.eof || c.reset), 10);
    assert_int_equal(calloc_fails, 0);
    close(c.fd);
#endif
    it_is_served();
}

static void without_descriptors_a_client_waits_and_is_served(void **state)
{
    struct caller c = call();
    struct rlimit before, none;
    int next = dup(c.fd);
    (void)state;

    n_served = 0;
    ask_socks(&c, NULL, dark, ECHOES);
    say_text(&c, "x");
    assert_true(next >= 0 && close(next) == 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    double until = net_now() + 0.2;
    while (net_now() < until) {
        net_turn();
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    hear(&c, 99);
    assert_false(c.eof || c.reset);
    assert_int_equal(info_now().connections, 0);
    NET_WAIT(hear(&c, 99) && c.n == 13, 20);
    close(c.fd);
    all_gone();
}

static void the_function_for_petnames_may_stop_it(void **state)
{
    qudag_proxy_info info = QUDAG_INIT(qudag_proxy_info);
    struct caller c = socks_to(NULL, "stop.dark", 80, "");
    (void)state;

    NET_WAIT(hear(&c, 99) && (c.eof || c.reset), 20);
    assert_int_equal(qudag_proxy_status(net[CALLER].node, &info), QUDAG_ENOTFOUND);
    close(c.fd);
    start_proxy();
    it_is_served();
}

static void fifty_at_once_are_served(void **state)
{
    static struct caller c[50];
    size_t done = 0;
    (void)state;

    n_served = 0;
    for (size_t i = 0; i < 50; i++) {
        c[i] = socks_to(NULL, dark, ECHOES, "hello");
        net_turn();
    }
    double until = net_now() + 30;
    while (done < 50 && net_now() < until) {
        net_turn();
        done = 0;
        for (size_t i = 0; i < 50; i++) {
            hear(&c[i], 99);
            done += c[i].n == 17;
        }
    }
    assert_int_equal(done, 50);
    for (size_t i = 0; i < 50; i++) {
        assert_memory_equal(c[i].got + 12, "hello", 5);
        close(c[i].fd);
    }
    all_gone();
}

static void a_port_that_others_could_reach_is_refused(void **state)
{
    static const struct {
        const char *listen;
        bool remote;
        qudag_err err;
        const char *says;
    } cases[] = {
        {"0.0.0.0:0", false, QUDAG_EINVAL, "other machines"},
        {"[::]:0", false, QUDAG_EINVAL, "other machines"},
        {"192.0.2.7:0", true, QUDAG_ESYSTEM, "no such address"},
        {"localhost:9350", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"127.0.0.1", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"127.0.0.1:", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"127.0.0.1:65536", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"127.0.0.1:80x", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"::1:9350", false, QUDAG_EINVAL, "brackets"},
    };
    qudag_proxy_options p = {.size = sizeof(p)};
    char why[200], taken[QUDAG_PROXY_LISTEN_TEXT_MAX];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        p.listen = cases[i].listen;
        p.remote = cases[i].remote;
        assert_int_equal(qudag_proxy_start(net[0].node, &p, why, sizeof(why)), cases[i].err);
        assert_non_null(strstr(why, cases[i].says));
    }
    (void)snprintf(taken, sizeof(taken), "%s", info_now().listen);
    p.listen = taken;
    assert_int_equal(qudag_proxy_start(net[0].node, &p, why, sizeof(why)), QUDAG_ESYSTEM);
    assert_non_null(strstr(why, "another program"));
    assert_int_equal(qudag_proxy_start(net[CALLER].node, &p, why, sizeof(why)), QUDAG_EEXISTS);
}

static void it_stops_with_all_its_connections_and_starts_again(void **state)
{
    const qudag_proxy_options p = {.size = sizeof(p), .listen = "127.0.0.1:0"};
    qudag_proxy_info info = QUDAG_INIT(qudag_proxy_info);
    struct caller c;
    (void)state;

    c = socks_to(NULL, dark, ECHOES, "x");
    NET_WAIT(hear(&c, 99) && c.n == 13, 20);
    qudag_proxy_stop(net[CALLER].node);
    assert_int_equal(qudag_proxy_status(net[CALLER].node, &info), QUDAG_ENOTFOUND);
    NET_WAIT(hear(&c, 99) && (c.eof || c.reset), 10);
    close(c.fd);
    assert_int_equal(qudag_proxy_start(net[CALLER].node, &p, NULL, 0), QUDAG_OK);
    assert_int_equal(info_now().opened, 0);
    c = (struct caller){.fd = -1};
    door = (uint16_t)strtoul(strrchr(info_now().listen, ':') + 1, NULL, 10);
    c = socks_to(NULL, dark, ECHOES, "x");
    NET_WAIT(hear(&c, 99) && c.n == 13, 20);
    net_stop(CALLER); /* with a connection open */
    close(c.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_and_each_end_by_itself),
        cmocka_unit_test(the_name_of_an_address_works_and_is_not_sent),
        cmocka_unit_test(labels_before_an_address_reach_the_service),
        cmocka_unit_test(http_connect_is_a_tunnel),
        cmocka_unit_test(failures_have_their_codes),
        cmocka_unit_test(users_do_not_share_a_circuit),
        cmocka_unit_test(a_slow_reader_holds_up_the_service_and_loses_nothing),
        cmocka_unit_test(an_end_waits_for_what_came_before_it),
        cmocka_unit_test(who_goes_on_talking_hears_a_refusal_to_its_end),
        cmocka_unit_test(a_service_that_takes_nothing_holds_up_the_client),
        cmocka_unit_test(a_service_that_gives_up_resets_the_client),
        cmocka_unit_test(a_client_that_goes_away_is_noticed_by_the_service),
        cmocka_unit_test(a_client_that_goes_away_in_mid_answer_raises_no_signal),
        cmocka_unit_test(without_memory_for_one_client_the_next_is_served),
        cmocka_unit_test(without_descriptors_a_client_waits_and_is_served),
        cmocka_unit_test(the_function_for_petnames_may_stop_it),
        cmocka_unit_test(fifty_at_once_are_served),
        cmocka_unit_test(a_port_that_others_could_reach_is_refused),
        cmocka_unit_test(it_stops_with_all_its_connections_and_starts_again),
    };

    return cmocka_run_group_tests(tests, set_up, net_stop_all);
}
