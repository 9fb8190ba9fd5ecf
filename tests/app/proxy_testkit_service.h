/*
 * proxy_testkit_service.h - a service at the other end of a proxy, which does by its port what it is to do.
 */
#ifndef QUDAG_TESTS_APP_PROXY_TESTKIT_SERVICE_H
#define QUDAG_TESTS_APP_PROXY_TESTKIT_SERVICE_H

#include "../api/net.h"

#define BIG (3u << 20)
#define SERVED_MAX 64

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

static inline void put(qudag_node *n, struct served *v, const void *bytes, size_t len)
{
    size_t taken = 0;
    assert_int_equal(qudag_stream_write(n, v->s, (qudag_slice){bytes, len}, &taken), QUDAG_OK);
    assert_int_equal(taken, len);
}

static inline void send_more(qudag_node *n, struct served *v)
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

static inline void begin_serving(qudag_node *n, struct served *v)
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
static inline void serve_http(qudag_node *n, struct served *v)
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

static inline void serve_bytes(qudag_node *n, struct served *v, qudag_slice data)
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

static inline void on_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *to,
                         const char *proto, void *user)
{
    (void)from, (void)proto, (void)user;
    assert_string_equal(to, dark);
    assert_true(n_served < SERVED_MAX);
    struct served *v = &served[n_served++];
    *v = (struct served){.s = s};
    assert_int_equal(qudag_stream_set_user(n, s, v), QUDAG_OK);
}

static inline void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
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

static inline void on_room(qudag_node *n, qudag_stream s, void *user)
{
    (void)user;
    send_more(n, qudag_stream_user(n, s));
}

static inline void on_gone(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct served *v = qudag_stream_user(n, s);
    (void)user;
    v->closed = true;
    v->why = why;
}

static inline void on_end(void *user)
{
    (void)user;
}

static const qudag_callbacks serving = {.size = sizeof(serving),
                                        .stream_in = on_in,
                                        .stream_data = on_data,
                                        .stream_writable = on_room,
                                        .stream_closed = on_gone};

#endif
