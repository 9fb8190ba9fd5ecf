/*
 * proxy_testkit.h - a network in which one node serves a hidden address, with the service of proxy_testkit_service.h,
 * and one runs the proxy; and clients of the proxy with sockets of their own.
 */
#ifndef QUDAG_TESTS_APP_PROXY_TESTKIT_H
#define QUDAG_TESTS_APP_PROXY_TESTKIT_H

#include "api/clients.h"
#include "proxy_testkit_service.h"

#include <qudag/proxy.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define TUNNEL "/qudag/tunnel/1.0.0"
#define SERVICE 5
#define CALLER 6

struct caller {
    int fd;
    size_t n, sum_at;
    bool eof, reset, wrong;
    char got[8192];
};
static uint16_t door;
static bool narrow; /* the kernel holds little for those that call now */

static inline struct caller call(void)
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

static inline void say(struct caller *c, const void *bytes, size_t len)
{
    assert_int_equal(send(c->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void say_text(struct caller *c, const char *text)
{
    say(c, text, strlen(text));
}

/* Reads at most |most| bytes; true: all that can be had for now. */
static inline bool hear(struct caller *c, size_t most)
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
static inline void ask_socks(struct caller *c, const char *user, const char *host, uint16_t port)
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

static inline qudag_proxy_info info_now(void)
{
    qudag_proxy_info info = QUDAG_INIT(qudag_proxy_info);
    assert_int_equal(qudag_proxy_status(net[CALLER].node, &info), QUDAG_OK);
    return info;
}

static inline void all_gone(void)
{
    NET_WAIT(info_now().connections == 0, 15);
}

static inline struct caller socks_to(const char *user, const char *host, uint16_t port,
                                     const char *more)
{
    struct caller c = call();
    ask_socks(&c, user, host, port);
    say_text(&c, more);
    return c;
}

static inline void refused(struct caller *c, int code)
{
    NET_WAIT(hear(c, 99) && c->eof, 20);
    assert_int_equal(c->n, 12);
    assert_int_equal((uint8_t)c->got[3], code);
    close(c->fd);
    all_gone();
}

static inline qudag_err petname(void *user, const char *name, char addr[QUDAG_DARK_TEXT_MAX])
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

static inline void start_proxy(void)
{
    const qudag_proxy_options p = {.size = sizeof(p), .listen = "127.0.0.1:0", .petname = petname};
    char why[200] = "";

    assert_int_equal(qudag_proxy_start(net[CALLER].node, &p, why, sizeof(why)), QUDAG_OK);
    door = (uint16_t)strtoul(strrchr(info_now().listen, ':') + 1, NULL, 10);
}

static inline int set_up(void **state)
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

static inline void it_is_served(void)
{
    struct caller c = socks_to(NULL, dark, ECHOES, "x");
    NET_WAIT(hear(&c, 99) && c.n == 13, 20);
    close(c.fd);
    all_gone();
}

#endif
