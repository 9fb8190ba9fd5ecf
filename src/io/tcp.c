/* tcp.c - see tcp.h.  Linux: sockets polled like those of UDP, so that every read and write is ours. */
#include "io/tcp.h"

#include "io/interfaces.h"
#include "io/sockaddr.h"
#include "io/udp.h"
#include "node/tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 256
#define ACCEPTS_PER_TURN 32
#define READS_PER_TURN 8
#define WRITES_PER_TURN 8
#define SOCKS_MAX 65536

struct tcp_listener {
    uv_poll_t poll;
    struct io_tcp *t;
    int fd;
    struct netaddr bound;
};

struct tcp_sock {
    uv_poll_t poll;
    struct io_tcp *t;
    struct list node; /* in io_tcp.socks or io_tcp.draining */
    uint64_t id;      /* the node's name */
    int fd, events;
    bool connecting, draining;
    tstamp drain_by;
    uint8_t *left; /* what the kernel did not take yet */
    size_t left_at, left_len;
};

/* ---- errors ---- */

static qudag_err connect_error(int err)
{
    switch (err) {
    case ETIMEDOUT:
        return QUDAG_ETIMEOUT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL: /* no port of ours is left */
        return QUDAG_ELIMIT;
    default:
        return QUDAG_EUNREACHABLE;
    }
}

static qudag_err end_error(int err)
{
    return err == 0 ? QUDAG_OK : err == ETIMEDOUT ? QUDAG_ETIMEOUT : QUDAG_ERESET;
}

static bool again(int err)
{
    return err == EAGAIN || err == EINTR;
}

static int socket_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 ? err : errno;
}

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value)); /* it works without, only worse */
}

/* ---- life ---- */

static void on_sock_closed(uv_handle_t *h)
{
    struct tcp_sock *s = h->data;
    struct io_tcp *t = s->t;

    free(s->left);
    free(s);
    t->handle_gone(t->io);
}

/* |abort|: the peer learns at once, and what is unsent is lost. */
static void sock_close(struct tcp_sock *s, bool abort)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (!s->draining) {
        (void)map_u64_del(&s->t->by_id, s->id);
    } else {
        s->t->n_draining--;
    }
    list_del(&s->node);
    (void)uv_poll_stop(&s->poll);
    if (abort) {
        (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    close(s->fd);
    uv_close((uv_handle_t *)&s->poll, on_sock_closed);
}

static void sock_end(struct tcp_sock *s, qudag_err err, tstamp now)
{
    struct node *node = s->t->node;
    uint64_t id = s->id;
    bool connecting = s->connecting;

    sock_close(s, false);
    if (connecting) {
        node_tcp_failed(node, id, err, now);
    } else {
        node_tcp_ended(node, id, err, now);
    }
}

static void on_sock(uv_poll_t *h, int status, int events);

static void poll_for(struct tcp_sock *s, int events)
{
    if (s->events != events) {
        s->events = events;
        (void)uv_poll_start(&s->poll, events, on_sock);
    }
}

/* A polled socket of the node's connection |id|, which owns |fd|; NULL: no memory, and |fd| is still the caller's. */
static struct tcp_sock *sock_new(struct io_tcp *t, int fd, uint64_t id)
{
    struct tcp_sock *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->t = t;
    s->fd = fd;
    s->id = id;
    list_init(&s->node);
    if (map_u64_put(&t->by_id, id, s) != QUDAG_OK) {
        free(s);
        return NULL;
    }
    if (uv_poll_init(t->loop, &s->poll, fd) != 0) {
        (void)map_u64_del(&t->by_id, id);
        free(s);
        return NULL;
    }
    s->poll.data = s;
    (*t->handles)++;
    list_push_back(&t->socks, &s->node);
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return s;
}

/* ---- bytes out ---- */

/* Sends |len| bytes; what does not go at once waits in |s|.  False: the connection is over, *err says why. */
static bool send_some(struct tcp_sock *s, const uint8_t *p, size_t len, int *err)
{
    ssize_t n = send(s->fd, p, len, MSG_NOSIGNAL);

    if (n < 0 && !again(errno)) {
        *err = errno;
        return false;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    if (sent == len) {
        return true;
    }
    s->left = malloc(len - sent);
    if (s->left == NULL) {
        *err = ENOMEM;
        return false;
    }
    memcpy(s->left, p + sent, len - sent);
    s->left_at = 0;
    s->left_len = len - sent;
    return true;
}

static bool send_left(struct tcp_sock *s, int *err)
{
    ssize_t n = send(s->fd, s->left + s->left_at, s->left_len - s->left_at, MSG_NOSIGNAL);

    if (n < 0) {
        *err = errno;
        return again(errno);
    }
    s->left_at += (size_t)n;
    if (s->left_at == s->left_len) {
        free(s->left);
        s->left = NULL;
    }
    return true;
}

/* Our direction ends once the kernel has the last byte.  False: |s| is closed. */
static bool end_output(struct tcp_sock *s)
{
    int err;

    bool good = s->left == NULL || send_left(s, &err);
    if (!good || (s->left == NULL && shutdown(s->fd, SHUT_WR) != 0)) {
        sock_close(s, false);
        return false;
    }
    poll_for(s, UV_READABLE | (s->left != NULL ? UV_WRITABLE : 0));
    return true;
}

/* False: |s| is gone. */
static bool flush(struct tcp_sock *s, tstamp now)
{
    struct io_tcp *t = s->t;
    bool good = true, more = true;
    int err = 0;

    for (size_t i = 0; i < WRITES_PER_TURN && good && more; i++) {
        if (s->left != NULL) {
            good = send_left(s, &err);
            more = s->left == NULL;
            continue;
        }
        size_t n = node_tcp_output(t->node, s->id, t->tx, TCP_TX, now);
        if (n == 0) {
            more = false;
            break;
        }
        t->before_send(t->io, now);
        good = send_some(s, t->tx, n, &err);
        more = s->left == NULL;
    }
    if (!good) {
        sock_end(s, end_error(err), now);
        return false;
    }
    poll_for(s, UV_READABLE | (more || s->left != NULL ? UV_WRITABLE : 0));
    return true;
}

/* ---- bytes in ---- */

static void discard(struct tcp_sock *s)
{
    for (size_t i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(s->fd, s->t->rx, TCP_RX, 0);
        if (n < 0 && again(errno)) {
            return;
        }
        if (n <= 0) {
            sock_close(s, false);
            return;
        }
    }
}

static void read_some(struct tcp_sock *s)
{
    struct io_tcp *t = s->t;

    for (size_t i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(s->fd, t->rx, TCP_RX, 0);
        tstamp now = io_now();
        if (n < 0 && again(errno)) {
            return;
        }
        if (n <= 0) {
            sock_end(s, n == 0 ? QUDAG_OK : end_error(errno), now);
            return;
        }
        node_tcp_received(t->node, s->id, (struct slice){t->rx, (size_t)n}, now);
        if (n < TCP_RX) {
            return;
        }
    }
}

static void connect_done(struct tcp_sock *s, int err)
{
    union io_sockaddr sa;
    socklen_t len = sizeof(sa);
    struct netaddr local;

    if (err != 0 || getsockname(s->fd, &sa.sa, &len) != 0) {
        sock_end(s, connect_error(err != 0 ? err : errno), io_now());
        return;
    }
    s->connecting = false;
    poll_for(s, UV_READABLE);
    io_from_sockaddr(&local, &sa);
    node_tcp_connected(s->t->node, s->id, &local, io_now());
}

static void on_sock(uv_poll_t *h, int status, int events)
{
    struct tcp_sock *s = h->data;

    if (s->t->node == NULL) {
        return;
    }
    if (status < 0) { /* libuv has stopped the handle: the socket has an error, or is hung up */
        int err = socket_error(s->fd);
        if (s->connecting) {
            connect_done(s, err != 0 ? err : ECONNREFUSED);
        } else if (s->draining) {
            sock_close(s, false);
        } else {
            sock_end(s, end_error(err != 0 ? err : ECONNRESET), io_now());
        }
    } else if (s->draining) {
        if ((events & UV_WRITABLE) == 0 || end_output(s)) {
            discard(s);
        }
    } else if (s->connecting) {
        connect_done(s, socket_error(s->fd));
    } else if ((events & UV_WRITABLE) == 0 || flush(s, io_now())) {
        if ((events & UV_READABLE) != 0) {
            read_some(s);
        }
    }
}

/* ---- what the node wants ---- */

static int start_connect(struct io_tcp *t, const struct tcp_action *a)
{
    union io_sockaddr sa;
    socklen_t len = io_to_sockaddr(&sa, &a->remote);
    int fd = socket(sa.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return errno;
    }
    if (connect(fd, &sa.sa, len) != 0 && errno != EINPROGRESS) {
        int err = errno;
        close(fd);
        return err;
    }
    struct tcp_sock *s = sock_new(t, fd, a->id);
    if (s == NULL) {
        close(fd);
        return ENOMEM;
    }
    s->connecting = true; /* writable also where it stands already */
    poll_for(s, UV_WRITABLE);
    return 0;
}

/*
 * The node has nothing more to send, but the kernel may not have taken all of it yet.  Closed with bytes of the peer
 * unread, it would reset the connection, and what was sent last would be lost: so they are read.  Both for
 * TCP_DRAINING at most.
 */
static void start_draining(struct tcp_sock *s, tstamp now)
{
    struct io_tcp *t = s->t;

    if (t->n_draining >= TCP_DRAINING_MAX) {
        sock_close(LIST_ENTRY(t->draining.next, struct tcp_sock, node), false);
    }
    (void)map_u64_del(&t->by_id, s->id);
    list_del(&s->node);
    s->draining = true;
    s->drain_by = tstamp_after(now, TCP_DRAINING);
    list_push_back(&t->draining, &s->node);
    t->n_draining++;
    if (end_output(s)) {
        discard(s);
    }
}

static void carry_out(struct io_tcp *t, const struct tcp_action *a, tstamp now)
{
    struct tcp_sock *s = map_u64_get(&t->by_id, a->id);

    if (a->type == TCP_DO_CONNECT) {
        int err = start_connect(t, a);
        if (err != 0) {
            node_tcp_failed(t->node, a->id, connect_error(err), now);
        }
    } else if (s != NULL && a->type == TCP_DO_OUTPUT) {
        if (s->left == NULL) { /* else it goes on when that is gone */
            (void)flush(s, now);
        }
    } else if (s != NULL && a->type == TCP_DO_CLOSE) {
        start_draining(s, now);
    } else if (s != NULL && a->type == TCP_DO_ABORT) {
        sock_close(s, true);
    }
}

bool io_tcp_run(struct io_tcp *t, tstamp now)
{
    struct tcp_action a;
    bool any = false;

    while (node_tcp_next(t->node, &a, now)) {
        any = true;
        carry_out(t, &a, now);
    }
    return any;
}

/* ---- listening ---- */

static void on_listener(uv_poll_t *h, int status, int events);

static void accept_all(struct io_tcp *t, bool go_on)
{
    t->accept_at = go_on ? TSTAMP_NEVER : tstamp_after(io_now(), TCP_ACCEPT_PAUSE);
    for (size_t i = 0; i < t->n_listeners; i++) {
        if (go_on) {
            (void)uv_poll_start(&t->listener[i]->poll, UV_READABLE, on_listener);
        } else {
            (void)uv_poll_stop(&t->listener[i]->poll);
        }
    }
}

/* The connection |fd| of somebody is the node's, or is ended. */
static void take(struct tcp_listener *l, int fd, const union io_sockaddr *from)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct netaddr remote, local = l->bound;
    union io_sockaddr sa;
    socklen_t len = sizeof(sa);
    tstamp now = io_now();
    uint64_t id;

    io_from_sockaddr(&remote, from);
    if (netaddr_is_unspecified(&local) && getsockname(fd, &sa.sa, &len) == 0) {
        io_from_sockaddr(&local, &sa);
    }
    if (node_tcp_accepted(l->t->node, &local, &remote, now, &id) == QUDAG_OK) {
        struct tcp_sock *s = sock_new(l->t, fd, id);
        if (s != NULL) {
            poll_for(s, UV_READABLE);
            return;
        }
        node_tcp_ended(l->t->node, id, QUDAG_ENOMEM, now);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

static void on_listener(uv_poll_t *h, int status, int events)
{
    struct tcp_listener *l = h->data;
    struct io_tcp *t = l->t;
    (void)events;

    for (size_t i = 0; i < ACCEPTS_PER_TURN && t->node != NULL && status == 0; i++) {
        union io_sockaddr from;
        socklen_t len = sizeof(from);
        int fd = accept4(l->fd, &from.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(l, fd, &from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            node_tcp_no_room(t->node, io_now());
            accept_all(t, false);
            return;
        } else if (again(errno)) {
            return;
        } /* else that one has ended already (accept(2)): the next */
    }
}

static void on_listener_closed(uv_handle_t *h)
{
    struct tcp_listener *l = h->data;
    struct io_tcp *t = l->t;

    free(l);
    t->handle_gone(t->io);
}

static int open_listener(struct tcp_listener *l, const struct netaddr *listen_at)
{
    union io_sockaddr sa;
    socklen_t len = io_to_sockaddr(&sa, listen_at);

    l->fd = socket(sa.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        return errno;
    }
    set_int(l->fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (listen_at->family == 6) {
        set_int(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (bind(l->fd, &sa.sa, len) != 0 || listen(l->fd, BACKLOG) != 0 ||
        getsockname(l->fd, &sa.sa, &len) != 0) {
        int err = errno;
        close(l->fd);
        return err;
    }
    io_from_sockaddr(&l->bound, &sa);
    return 0;
}

static int listen_one(struct io_tcp *t, const struct netaddr *listen_at)
{
    struct tcp_listener *l;
    int err;

    if (t->n_listeners == NODE_LISTEN_MAX) {
        return ENOBUFS;
    }
    if ((l = calloc(1, sizeof(*l))) == NULL) {
        return ENOMEM;
    }
    l->t = t;
    if ((err = open_listener(l, listen_at)) != 0) {
        free(l);
        return err;
    }
    if ((err = uv_poll_init(t->loop, &l->poll, l->fd)) != 0) {
        close(l->fd);
        free(l);
        return -err;
    }
    l->poll.data = l;
    (*t->handles)++;
    t->listener[t->n_listeners++] = l;
    (void)uv_poll_start(&l->poll, UV_READABLE, on_listener);
    return 0;
}

qudag_err io_tcp_listen_all(struct io_tcp *t, const struct netaddr *listen_at, size_t n,
                            const uint16_t port[2], struct io_failure *why)
{
    *why = (struct io_failure){.call = NULL};
    for (size_t i = 0; i < n; i++) {
        struct netaddr at = listen_at[i];
        at.port = at.port != 0 ? at.port : port[at.family == 6 ? 1 : 0];
        int err = listen_one(t, &at);
        if (err == EADDRINUSE && listen_at[i].port == 0) {
            err = listen_one(t, &listen_at[i]);
        }
        if (err == 0) {
            continue;
        }
        *why = (struct io_failure){"socket, bind or listen", err, i};
        if (!udp_version_missing(&listen_at[i], err)) {
            return QUDAG_ESYSTEM;
        }
    }
    return QUDAG_OK;
}

size_t io_tcp_bound_addrs(const struct io_tcp *t, struct netaddr out[IO_ADDRS_MAX], size_t n)
{
    for (size_t i = 0; i < t->n_listeners; i++) {
        n = io_bound_addrs(&t->listener[i]->bound, out, n);
    }
    return n;
}

/* ---- time, life ---- */

tstamp io_tcp_deadline(const struct io_tcp *t)
{
    tstamp at = t->accept_at;

    if (!list_empty(&t->draining)) {
        at = tstamp_min(at, LIST_ENTRY(t->draining.next, struct tcp_sock, node)->drain_by);
    }
    return at;
}

void io_tcp_tick(struct io_tcp *t, tstamp now)
{
    while (!list_empty(&t->draining)) {
        struct tcp_sock *s = LIST_ENTRY(t->draining.next, struct tcp_sock, node);
        if (s->drain_by > now) {
            break;
        }
        sock_close(s, true);
    }
    if (t->accept_at <= now) {
        accept_all(t, true);
    }
}

void io_tcp_init(struct io_tcp *t, struct io *io, uv_loop_t *loop)
{
    t->io = io;
    t->loop = loop;
    t->accept_at = TSTAMP_NEVER;
    mem_init(&t->mem, NULL, 0); /* the node's may be gone before the last handle is */
    map_init_u64(&t->by_id, &t->mem, NULL, 0, SOCKS_MAX);
    list_init(&t->socks);
    list_init(&t->draining);
}

void io_tcp_close(struct io_tcp *t)
{
    t->node = NULL;
    while (!list_empty(&t->draining)) {
        sock_close(LIST_ENTRY(t->draining.next, struct tcp_sock, node), false);
    }
    while (!list_empty(&t->socks)) {
        sock_close(LIST_ENTRY(t->socks.next, struct tcp_sock, node), false);
    }
    for (size_t i = 0; i < t->n_listeners; i++) {
        (void)uv_poll_stop(&t->listener[i]->poll);
        close(t->listener[i]->fd);
        uv_close((uv_handle_t *)&t->listener[i]->poll, on_listener_closed);
    }
    t->n_listeners = 0;
    map_fini(&t->by_id);
}
