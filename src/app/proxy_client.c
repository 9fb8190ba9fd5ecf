/*
 * proxy_client.c - the client's side of a connection of the proxy: its socket.
 *
 * It is polled, not read and written by libuv: libuv's writes raise SIGPIPE, which belongs to the program.  The memory
 * of the connection lives until libuv has closed the handle.
 */
#include "app/proxy_int.h"
#include "app/sock.h"

#include <errno.h>
#include <stdlib.h>

#define READS_PER_TURN 4 /* of one client, before others have their turn */

/* Reads as long as there is room for what comes. */
static bool wants_bytes(const struct proxy_conn *c)
{
    return !c->client_end && (c->state == PROXY_TALKING || c->in.len == 0);
}

static void give_credit(struct proxy_conn *c)
{
    if (c->out.len == 0 && c->owed > 0 && c->stream.id != 0) {
        qudag_stream_consume(c->proxy->n, c->stream, c->owed);
        c->owed = 0;
    }
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void proxy_client_close(struct proxy_conn *c, bool reset)
{
    uv_close((uv_handle_t *)&c->poll, on_closed); /* no longer polled at once */
    sock_close(c->fd, reset);
    c->fd = -1;
    dyn_fini(&c->out);
}

/* Both sides have ended, or the stream is gone and the client has heard so. */
static void close_if_done(struct proxy_conn *c)
{
    if (c->shut && c->client_end && c->stream.id == 0) {
        proxy_conn_close(c, QUDAG_OK);
    }
}

void proxy_client_settle(struct proxy_conn *c)
{
    give_credit(c);
    if (c->out.len == 0 && c->service_end && !c->shut) {
        c->shut = true;
        sock_shut(c->fd);
    }
    close_if_done(c);
}

/* ------------------------------------------------------------------ writing */

/* Sends what the kernel takes of |bytes|; how much, or SIZE_MAX: the connection is gone. */
static size_t send_now(struct proxy_conn *c, struct slice bytes)
{
    size_t n = 0;

    while (n < bytes.len) {
        long sent = sock_send(c->fd, bytes.base + n, bytes.len - n);
        if (sent == -EAGAIN) {
            break;
        }
        if (sent < 0) {
            proxy_conn_close(c, QUDAG_ECANCELED);
            return SIZE_MAX;
        }
        n += (size_t)sent;
    }
    return n;
}

bool proxy_client_write(struct proxy_conn *c, struct slice bytes)
{
    size_t n = c->out.len > 0 ? 0 : send_now(c, bytes);

    if (n == SIZE_MAX) {
        return false;
    }
    if (n < bytes.len && dyn_append(&c->out, bytes.base + n, bytes.len - n) != QUDAG_OK) {
        proxy_conn_close(c, QUDAG_ENOMEM);
        return false;
    }
    return proxy_client_arm(c);
}

static void write_more(struct proxy_conn *c)
{
    size_t n = send_now(c, dyn_slice(&c->out));

    if (n != SIZE_MAX) {
        dyn_drop(&c->out, n);
        proxy_client_settle(c);
    }
}

/* ------------------------------------------------------------------ reading */

static void read_some(struct proxy_conn *c)
{
    struct proxy *p = c->proxy;

    for (size_t i = 0; i < READS_PER_TURN && c->proxy != NULL && wants_bytes(c); i++) {
        long n = sock_recv(c->fd, p->in, sizeof(p->in));
        if (n == -EAGAIN) {
            return;
        }
        if (n > 0) {
            proxy_conn_bytes(c, (struct slice){p->in, (size_t)n});
        } else if (n == 0) {
            c->client_end = true;
            proxy_conn_end(c);
        } else {
            proxy_conn_close(c, QUDAG_ERESET);
        }
    }
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct proxy_conn *c = h->data;

    if (status < 0) {
        proxy_conn_close(c, QUDAG_ERESET); /* the socket is broken, and libuv polls it no more */
        return;
    }
    if (events & UV_WRITABLE) {
        write_more(c);
    }
    if (c->proxy != NULL && events & UV_READABLE) {
        read_some(c);
    }
    if (c->proxy != NULL) {
        (void)proxy_client_arm(c);
    }
}

bool proxy_client_arm(struct proxy_conn *c)
{
    int events = (wants_bytes(c) ? UV_READABLE : 0) | (c->out.len > 0 ? UV_WRITABLE : 0);

    if (events == c->events) {
        return true;
    }
    c->events = events;
    if ((events == 0 ? uv_poll_stop(&c->poll) : uv_poll_start(&c->poll, events, on_poll)) != 0) {
        proxy_conn_close(c, QUDAG_ESYSTEM);
        return false;
    }
    return true;
}

bool proxy_client_open(struct proxy_conn *c, struct proxy *p, int fd)
{
    if (uv_poll_init(api_loop(p->n), &c->poll, fd) != 0) {
        return false;
    }
    c->poll.data = c;
    c->fd = fd;
    dyn_init(&c->out, api_mem(p->n), PROXY_OUT_MAX);
    return true;
}
