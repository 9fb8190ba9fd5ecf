/*
 * loop_uv.c - the loop: sockets polled, one timer of nanosecond resolution, one async.
 *
 *   readable ─▶ udp_recv ─▶ node_recv            before the loop sleeps (uv_prepare):
 *   readable, writable ─▶ tcp.c ─▶ node_tcp_*
 *   timerfd, async, program's own calls ─▶          node_drain, node_tick if due, send, arm the timer
 *   sockets that come and go while it runs (io_socket_open) are polled like those that are listened on
 *
 * Setting the timer costs as much as sending a packet, and deadlines mostly move away: a timer that
 * is set for too early stays, wakes the loop once for nothing, and is set again then.
 */
#include "io/interfaces.h"
#include "io/tcp.h"
#include "io/udp.h"
#include "node/datagrams.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#define READS_PER_TURN 32 /* batches read from one socket before others have their turn */
#define SENDS_PER_TURN 256
#define ERRORS_PER_TURN 64
#define POSTS_MAX 1024
#define STORE_RETRY (5 * NS_PER_S)  /* between looks whether there is room again */
#define SHUTDOWN_SENDS_MAX 64       /* x SENDS_PER_TURN */
#define ADDRS_SETTLE (NS_PER_S / 2) /* after the first change of an interface */
#define CLOCK_EVERY (10 * NS_PER_S) /* between looks at the calendar */
#define SLEPT_LEAST NS_PER_S        /* what counts as having slept */

struct sock {
    struct udp udp;
    uv_poll_t poll;
    struct io *io;
    bool open, want_write;
    bool extra; /* not listened on; freed when libuv has let go of it */
    bool grown; /* carries a link: its buffers are as large as the others' */
};

struct post {
    struct post *next;
    void (*fn)(void *a, void *b);
    void *a, *b;
};

struct io {
    struct node *node;
    struct store *store; /* NULL: nothing is persisted */
    tstamp store_retry;  /* TSTAMP_NEVER: it has room */
    tstamp clock_at;     /* when the calendar is looked at next */
    uint64_t slept;      /* how long the machine has slept since it was started */
    uv_loop_t own, *loop;
    bool has_own, stopping, closed, running;
    bool stepping;              /* in io_step ... */
    uint64_t step_hooks_called; /* ... which began when so many hooks had been called */
    struct sock sock[NODE_LISTEN_MAX];
    size_t n_socks;
    struct sock *extra[NODE_SOCKETS_MAX];
    size_t n_extra;
    struct io_tcp tcp;
    int timer_fd;
    uv_poll_t timer;
    int watch_fd; /* tells when interfaces change; -1: the system does not let us know */
    uv_poll_t watch;
    tstamp addrs_at; /* when on_addrs is called next; TSTAMP_NEVER: nothing has changed */
    void (*on_addrs)(void *ctx);
    void *on_addrs_ctx;
    uv_prepare_t prepare;
    uv_idle_t again; /* active: the loop does not sleep */
    uv_async_t async;
    uv_timer_t step_timer;
    unsigned handles;     /* open, to be closed */
    tstamp armed;         /* when the timer fires; TSTAMP_NEVER: it does not */
    pthread_mutex_t lock; /* guards posts */
    struct post *posts, **posts_end;
    size_t n_posts;
    atomic_bool stop_asked; /* atomic: io_stop may run in a signal handler */
    uint8_t *rx, *tx_buf;
    struct quic_tx pending; /* refused by the socket, to be sent first */
    struct io_stats stats;
    struct histogram lag; /* how late |timer| was served */
    struct histogram work[IO_WORKS];
};

static struct sock *extra_for(const struct io *io, const struct netaddr *local)
{
    for (size_t i = 0; i < io->n_extra; i++) {
        const struct netaddr *b = &io->extra[i]->udp.bound;
        if (b->family == local->family && b->port == local->port) {
            return io->extra[i];
        }
    }
    return NULL;
}

/* Whether |local| names a socket that is listened on, or none at all. */
static bool listens(const struct io *io, const struct netaddr *local)
{
    bool found = local->family == 0 || local->port == 0;

    for (size_t i = 0; i < io->n_socks && !found; i++) {
        const struct netaddr *b = &io->sock[i].udp.bound;
        found = b->family == local->family && b->port == local->port;
    }
    return found;
}

static struct sock *sock_for(struct io *io, const struct quic_tx *tx)
{
    struct sock *any = NULL;

    if (!listens(io, &tx->local)) {
        return extra_for(io, &tx->local);
    }

    for (size_t i = 0; i < io->n_socks; i++) {
        struct sock *s = &io->sock[i];
        if (s->udp.bound.family != tx->remote.family) {
            continue;
        }
        any = any != NULL ? any : s;
        if (tx->local.family != 0 && s->udp.bound.port == tx->local.port &&
            (netaddr_is_unspecified(&s->udp.bound) || netaddr_same_ip(&s->udp.bound, &tx->local))) {
            return s;
        }
    }
    return any;
}

static void on_poll(uv_poll_t *h, int status, int events);

static void poll_for(struct sock *s, bool write)
{
    if (s->want_write != write && s->open) {
        s->want_write = write;
        (void)uv_poll_start(&s->poll, UV_READABLE | (write ? UV_WRITABLE : 0), on_poll);
    }
}

/* True when it left or is lost, false when the socket is full. */
static bool send_tx(struct io *io, const struct quic_tx *tx, tstamp now)
{
    struct sock *s = sock_for(io, tx);

    if (s == NULL && listens(io, &tx->local)) { /* no socket of that family */
        io->stats.send_errors++;
        node_no_route(io->node, &tx->remote, now);
        return true;
    }
    if (s == NULL) { /* it was closed meanwhile */
        io->stats.send_errors++;
        return true;
    }
    if (s->extra && !s->grown && tx->buf[0] >= 64) { /* QUIC: what comes may be much */
        s->grown = true;
        udp_grow(&s->udp);
    }
    enum udp_sent r = udp_send(&s->udp, tx, now, &io->stats);
    if (r == UDP_NO_ROUTE) {
        node_no_route(io->node, &tx->remote, now);
    }
    if (r == UDP_AGAIN) {
        poll_for(s, true);
        return false;
    }
    return true;
}

/* What was taken is on disk before the word that it was leaves. */
static void persist(struct io *io, tstamp now)
{
    if (io->store == NULL) {
        return;
    }
    qudag_err err = store_commit(io->store); /* nothing to do, mostly */
    if ((err != QUDAG_OK || !store_room(io->store)) && io->store_retry == TSTAMP_NEVER) {
        node_persist_room(io->node, false, false, now);
        io->store_retry = tstamp_after(now, STORE_RETRY);
    }
}

static void persist_retry(struct io *io, tstamp now)
{
    if (io->store == NULL || now < io->store_retry) {
        return;
    }
    bool again = store_retry(io->store);
    io->store_retry = store_room(io->store) ? TSTAMP_NEVER : tstamp_after(now, STORE_RETRY);
    node_persist_room(io->node, store_room(io->store), again, now);
    if (again && store_renewed(io->store) != QUDAG_OK) {
        io->store_retry = tstamp_after(now, STORE_RETRY);
    }
}

static bool flush(struct io *io, tstamp now)
{
    if (io->pending.len > 0) {
        if (!send_tx(io, &io->pending, now)) {
            return true;
        }
        io->pending.len = 0;
    }
    for (size_t i = 0; i < SENDS_PER_TURN; i++) {
        struct quic_tx tx = {.buf = io->tx_buf};
        persist(io, now);
        if (!node_send(io->node, now, &tx)) {
            return true;
        }
        if (tx.len > 0 && !send_tx(io, &tx, now)) {
            io->pending = tx; /* tx_buf is not reused while something is pending */
            return true;
        }
    }
    return false;
}

static void on_again(uv_idle_t *h)
{
    (void)h; /* the next turn does what there is */
}

static void arm(struct io *io, tstamp at, tstamp now)
{
    struct itimerspec t = {{0, 0}, {0, 0}};

    if (at <= now) {
        (void)uv_idle_start(&io->again, on_again);
        return;
    }
    (void)uv_idle_stop(&io->again);
    if (at >= io->armed) {
        return;
    }
    io->armed = at;
    t.it_value.tv_sec = (time_t)((at - now) / NS_PER_S);
    t.it_value.tv_nsec = (long)((at - now) % NS_PER_S);
    (void)timerfd_settime(io->timer_fd, 0, &t, NULL);
}

/* Nor is there one when the machine wakes: what it has slept in all has grown since the last look, due then. */
static void read_slept(struct io *io, tstamp now)
{
    uint64_t slept = io_slept();

    if (io->stats.turns > 1 && slept > io->slept + SLEPT_LEAST) {
        node_woke(io->node, now);
    }
    io->slept = slept;
}

/* There is no notification when the machine's clock is set. */
static void read_clock(struct io *io, tstamp now)
{
    if (io->clock_at <= now) {
        io->clock_at = tstamp_after(now, CLOCK_EVERY);
        read_slept(io, now);
        node_set_clock(io->node, (struct wallclock){.base = io_wall(), .at = now}, now);
    }
}

/* The loop worked from |begin| until now. */
static void worked(struct io *io, enum io_work what, tstamp begin)
{
    tstamp end = io_now();

    histogram_add(&io->work[what], HISTOGRAM_LAG, end > begin ? end - begin : 0);
}

static void turn(struct io *io)
{
    tstamp now = io_now();

    io->stats.turns++;
    read_clock(io, now);
    if (io->addrs_at <= now) {
        io->addrs_at = TSTAMP_NEVER;
        io->on_addrs(io->on_addrs_ctx);
    }
    node_drain(io->node, now);
    if (node_deadline(io->node) <= now) {
        node_tick(io->node, now);
    }
    persist_retry(io, now);
    io_tcp_tick(&io->tcp, now);
    (void)io_tcp_run(&io->tcp, now);
    bool all = flush(io, now);
    all = !io_tcp_run(&io->tcp, now) && all; /* else there may be more to send by now */
    persist(io, now);                        /* what came of having sent */
    tstamp next = tstamp_min(node_deadline(io->node), tstamp_min(io->store_retry, io->addrs_at));
    arm(io, all ? tstamp_min(next, io_tcp_deadline(&io->tcp)) : now, now);
    worked(io, IO_WORK_TURN, now);
}

static void on_step_timer(uv_timer_t *t)
{
    (void)t; /* it only ends the wait */
}

static void on_prepare(uv_prepare_t *h)
{
    struct io *io = h->data;

    if (io->node == NULL || io->closed) {
        return;
    }
    turn(io);
    if (io->stepping && node_hooks_called(io->node) !=
                            io->step_hooks_called) { /* what the caller waits for, perhaps */
        (void)uv_timer_start(&io->step_timer, on_step_timer, 0, 0);
    }
}

static void read_all(struct io *io, struct sock *s)
{
    struct udp_msg msg[UDP_BATCH];

    for (size_t round = 0; round < READS_PER_TURN && s->open; round++) {
        size_t n = udp_recv(&s->udp, msg, io->rx);
        io->stats.recv_calls++;
        tstamp now = io_now();
        for (size_t i = 0; i < n; i++) {
            struct quic_dgram d = {
                .local = msg[i].local, .remote = msg[i].remote, .ecn = msg[i].ecn};
            size_t at = 0;
            do { /* an empty datagram is one too, to be counted */
                size_t left = msg[i].len - at;
                d.data =
                    (struct slice){msg[i].buf + at, left < msg[i].segment ? left : msg[i].segment};
                io->stats.recv_dgrams++;
                node_recv(io->node, &d, now);
                at += msg[i].segment;
            } while (at < msg[i].len);
        }
        if (n > 0) {
            worked(io, IO_WORK_RECEIVE, now);
        }
        if (n < UDP_BATCH) {
            return;
        }
    }
}

/* libuv stops a handle whose descriptor has an error to tell: read them all, then go on. */
static void read_errors(struct io *io, struct sock *s)
{
    struct netaddr remote;
    struct udp_quote quote;
    enum udp_error e;

    for (size_t i = 0; i < ERRORS_PER_TURN; i++) {
        e = udp_next_error(&s->udp, &remote, &quote);
        if (e == UDP_NO_ERROR) {
            break;
        }
        if (e == UDP_REFUSED) {
            io->stats.refused++;
            node_unreachable(io->node, &remote, (struct slice){quote.bytes, quote.len}, io_now());
        }
    }
    if (s->open) { /* else what came closed it */
        (void)uv_poll_start(&s->poll, UV_READABLE | (s->want_write ? UV_WRITABLE : 0), on_poll);
    }
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct sock *s = h->data;

    if (s->io->node == NULL || s->io->closed) {
        return;
    }
    if (status < 0) {
        read_errors(s->io, s);
    }
    if (events & UV_WRITABLE) {
        poll_for(s, false); /* the next turn flushes */
    }
    if (status < 0 || (events & UV_READABLE)) {
        read_all(s->io, s);
    }
}

static void on_timer(uv_poll_t *h, int status, int events)
{
    struct io *io = h->data;
    uint64_t ticks;
    (void)status;
    (void)events;

    if (read(io->timer_fd, &ticks, sizeof(ticks)) > 0) {
        tstamp now = io_now();
        histogram_add(&io->lag, HISTOGRAM_LAG, now > io->armed ? now - io->armed : 0);
        io->armed = TSTAMP_NEVER;
    }
}

static void run_posts(struct io *io)
{
    (void)pthread_mutex_lock(&io->lock);
    struct post *p = io->posts;
    io->posts = NULL;
    io->posts_end = &io->posts;
    io->n_posts = 0;
    (void)pthread_mutex_unlock(&io->lock);
    while (p != NULL) {
        struct post *next = p->next;
        p->fn(p->a, p->b);
        free(p);
        p = next;
    }
}

static void on_async(uv_async_t *h)
{
    struct io *io = h->data;

    run_posts(io);
    if (atomic_load(&io->stop_asked)) {
        io->stopping = true;
        uv_stop(io->loop);
    }
}

qudag_err io_post(struct io *io, void (*fn)(void *a, void *b), void *a, void *b)
{
    struct post *p = calloc(1, sizeof(*p)); /* the node's allocator serves one thread only */
    qudag_err err = QUDAG_OK;

    if (p == NULL) {
        return QUDAG_ENOMEM;
    }
    *p = (struct post){.fn = fn, .a = a, .b = b};
    (void)pthread_mutex_lock(&io->lock);
    if (atomic_load(&io->stop_asked)) {
        err = QUDAG_ESTATE;
    } else if (io->n_posts >= POSTS_MAX) {
        err = QUDAG_ELIMIT;
    } else {
        *io->posts_end = p;
        io->posts_end = &p->next;
        io->n_posts++;
    }
    (void)pthread_mutex_unlock(&io->lock);
    if (err != QUDAG_OK) {
        free(p);
        return err;
    }
    (void)uv_async_send(&io->async);
    return QUDAG_OK;
}

void io_stop(struct io *io)
{
    atomic_store(&io->stop_asked, true);
    (void)uv_async_send(&io->async);
}

static void handle_gone(struct io *io)
{
    io->handles--;
    if (io->handles == 0 && !io->has_own) {
        (void)pthread_mutex_destroy(&io->lock);
        free(io); /* the caller's loop runs on; this was the last of us */
    }
}

static void on_closed(uv_handle_t *h)
{
    handle_gone(h->data);
}

static void on_sock_closed(uv_handle_t *h)
{
    struct sock *s = h->data;
    struct io *io = s->io;

    if (s->extra) {
        free(s);
    }
    handle_gone(io);
}

/* Changes come in bursts; one that goes on, as on a host of many containers, does not put the look off for ever. */
static void on_watch(uv_poll_t *h, int status, int events)
{
    struct io *io = h->data;
    (void)events;

    if (status < 0) {
        (void)uv_poll_stop(h);
    } else if (io_interfaces_changed(io->watch_fd) && io->on_addrs != NULL) {
        io->addrs_at = tstamp_min(io->addrs_at, tstamp_after(io_now(), ADDRS_SETTLE));
    }
}

/* Without the watch (a sandbox may forbid it) addresses are those of the start. */
static void start_watch(struct io *io)
{
    io->watch_fd = io_interfaces_watch();
    if (io->watch_fd >= 0 && uv_poll_init(io->loop, &io->watch, io->watch_fd) == 0) {
        io->watch.data = io;
        io->handles++;
        (void)uv_poll_start(&io->watch, UV_READABLE, on_watch);
    }
}

void io_on_addrs(struct io *io, void (*fn)(void *ctx), void *ctx)
{
    io->on_addrs = fn;
    io->on_addrs_ctx = ctx;
}

/* |err|: an errno, or libuv's, which is a negative one. */
static qudag_err system_error(struct io_failure *why, const char *call, int err)
{
    why->call = call;
    why->err = err < 0 ? -err : err;
    return QUDAG_ESYSTEM;
}

static qudag_err start_handles(struct io *io, struct io_failure *why)
{
    int rc;

    io->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (io->timer_fd < 0) {
        return system_error(why, "timerfd_create", errno);
    }
    if ((rc = uv_poll_init(io->loop, &io->timer, io->timer_fd)) != 0) {
        return system_error(why, "uv_poll_init of a timer", rc);
    }
    io->timer.data = io;
    io->handles++;
    (void)uv_poll_start(&io->timer, UV_READABLE, on_timer);
    (void)uv_prepare_init(io->loop, &io->prepare);
    io->prepare.data = io;
    io->handles++;
    (void)uv_prepare_start(&io->prepare, on_prepare);
    (void)uv_idle_init(io->loop, &io->again);
    io->again.data = io;
    io->handles++;
    (void)uv_timer_init(io->loop, &io->step_timer);
    io->step_timer.data = io;
    io->handles++;
    if ((rc = uv_async_init(io->loop, &io->async, on_async)) != 0) {
        return system_error(why, "uv_async_init", rc);
    }
    io->async.data = io;
    io->handles++;
    start_watch(io);
    return QUDAG_OK;
}

/* 0, or libuv's error. */
static int start_sock(struct io *io, struct sock *s)
{
    int rc = uv_poll_init(io->loop, &s->poll, s->udp.fd);

    if (rc != 0) {
        udp_close(&s->udp);
        return rc;
    }
    s->io = io;
    s->poll.data = s;
    s->open = true;
    io->handles++;
    (void)uv_poll_start(&s->poll, UV_READABLE, on_poll);
    return 0;
}

static int open_one(struct io *io, const struct netaddr *listen, struct io_failure *why)
{
    struct sock *s = &io->sock[io->n_socks];
    int err = udp_open(&s->udp, listen);

    if (err != 0) {
        (void)system_error(why, "socket or bind", err);
        return err;
    }
    if ((err = start_sock(io, s)) != 0) {
        (void)system_error(why, "uv_poll_init of a socket", err);
        return -err;
    }
    io->n_socks++;
    return 0;
}

/* The address of the first socket of that version that is listened on; false: there is none. */
static bool bound_of(const struct io *io, uint8_t family, struct netaddr *out)
{
    for (size_t i = 0; i < io->n_socks; i++) {
        *out = io->sock[i].udp.bound;
        if (out->family == family) {
            out->port = 0;
            return true;
        }
    }
    return false;
}

/* Links and files of the program need descriptors, too: a quarter of what the process may have stays free. */
static bool descriptors_left(int fd)
{
    struct rlimit r;

    return getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == RLIM_INFINITY ||
           (rlim_t)fd < r.rlim_cur - r.rlim_cur / 4;
}

/* One on a port that no other has at another address. */
static qudag_err open_extra(struct io *io, const struct netaddr *at, struct udp *out)
{
    qudag_err err = QUDAG_ESYSTEM;

    for (int tries = 0; tries < 4 && err == QUDAG_ESYSTEM; tries++) {
        int rc = udp_open_small(out, at);
        if (rc == EMFILE || rc == ENFILE || rc == ENOBUFS || rc == ENOMEM) {
            return QUDAG_ELIMIT;
        }
        if (rc != 0) {
            return QUDAG_ESYSTEM;
        }
        if (!descriptors_left(out->fd)) {
            err = QUDAG_ELIMIT;
        } else if (!listens(io, &out->bound) && extra_for(io, &out->bound) == NULL) {
            return QUDAG_OK;
        }
        udp_close(out);
    }
    return err;
}

qudag_err io_socket_open(struct io *io, uint8_t family, struct netaddr *local)
{
    struct netaddr at;

    if (!bound_of(io, family, &at)) {
        return QUDAG_EUNSUPPORTED;
    }
    if (io->n_extra >= NODE_SOCKETS_MAX || io->closed) {
        return QUDAG_ELIMIT;
    }
    struct sock *s = calloc(1, sizeof(*s)); /* may outlive the node's allocator, as |io| does */
    if (s == NULL) {
        return QUDAG_ENOMEM;
    }
    s->extra = true;
    qudag_err err = open_extra(io, &at, &s->udp);
    if (err == QUDAG_OK && start_sock(io, s) != 0) {
        err = QUDAG_ESYSTEM;
    }
    if (err != QUDAG_OK) {
        free(s);
        return err;
    }
    io->extra[io->n_extra++] = s;
    *local = s->udp.bound;
    return QUDAG_OK;
}

static void close_handle(uv_handle_t *h, uv_close_cb cb)
{
    if (!uv_is_closing(h)) {
        uv_close(h, cb);
    }
}

static void close_sock(struct sock *s)
{
    s->open = false;
    (void)uv_poll_stop(&s->poll);
    udp_close(&s->udp);
    close_handle((uv_handle_t *)&s->poll, on_sock_closed);
}

void io_socket_close(struct io *io, const struct netaddr *local)
{
    for (size_t i = 0; i < io->n_extra; i++) {
        struct sock *s = io->extra[i];
        if (s->udp.bound.family == local->family && s->udp.bound.port == local->port) {
            io->extra[i] = io->extra[--io->n_extra];
            close_sock(s);
            return;
        }
    }
}

size_t io_sockets(const struct io *io)
{
    return io->n_extra;
}

/* A wildcard of an IP version that the machine lacks is left out, as long as another can be listened at. */
static qudag_err open_sockets(struct io *io, const struct netaddr *listen, size_t n,
                              struct io_failure *why)
{
    struct io_failure missing = {.call = NULL};

    for (size_t i = 0; i < n && i < NODE_LISTEN_MAX; i++) {
        struct io_failure f = {.at = i};
        int err = open_one(io, &listen[i], &f);
        if (udp_version_missing(&listen[i], err)) {
            missing = missing.call == NULL ? f : missing;
        } else if (err != 0) {
            *why = f;
            return QUDAG_ESYSTEM;
        }
    }
    if (io->n_socks == 0 && missing.call != NULL) {
        *why = missing;
        return QUDAG_ESYSTEM;
    }
    return QUDAG_OK;
}

qudag_err io_listen_tcp(struct io *io, const struct netaddr *listen, size_t n,
                        struct io_failure *why)
{
    uint16_t port[2] = {0, 0}; /* of UDP, IPv4 and IPv6 */

    for (size_t i = 0; i < io->n_socks; i++) {
        uint16_t *p = &port[io->sock[i].udp.bound.family == 6 ? 1 : 0];
        *p = *p == 0 ? io->sock[i].udp.bound.port : *p;
    }
    qudag_err err = io_tcp_listen_all(&io->tcp, listen, n, port, why);
    if (err == QUDAG_OK && why->call != NULL && io->n_socks + io->tcp.n_listeners == 0) {
        err = QUDAG_ESYSTEM; /* nothing but what the machine lacks */
    }
    return err;
}

qudag_err io_new(struct io **out, struct uv_loop_s *loop, const struct netaddr *listen, size_t n,
                 struct io_failure *why)
{
    struct io *io = calloc(1, sizeof(*io)); /* may outlive the node's allocator by one loop turn */
    qudag_err err;

    *why = (struct io_failure){.call = "malloc", .err = ENOMEM};
    if (io == NULL) {
        return QUDAG_ENOMEM;
    }
    io->posts_end = &io->posts;
    io->timer_fd = io->watch_fd = -1;
    io->armed = io->store_retry = io->addrs_at = TSTAMP_NEVER;
    (void)pthread_mutex_init(&io->lock, NULL);
    io->has_own = loop == NULL;
    io->loop = loop != NULL ? loop : &io->own;
    int rc = io->has_own ? uv_loop_init(&io->own) : 0;
    if (rc != 0) {
        free(io);
        return rc == UV_ENOMEM ? QUDAG_ENOMEM : system_error(why, "uv_loop_init", rc);
    }
    io_tcp_init(&io->tcp, io, io->loop);
    io->tcp.handles = &io->handles;
    io->tcp.handle_gone = handle_gone;
    io->tcp.before_send = persist;
    err = start_handles(io, why);
    err = err == QUDAG_OK ? open_sockets(io, listen, n, why) : err;
    io->rx = malloc((size_t)UDP_BATCH * UDP_BUF);
    io->tx_buf = malloc(QUIC_TX_MAX);
    io->tcp.rx = io->rx;
    io->tcp.tx = malloc(TCP_TX);
    if (err == QUDAG_OK && (io->rx == NULL || io->tx_buf == NULL || io->tcp.tx == NULL)) {
        err = QUDAG_ENOMEM;
    }
    if (err != QUDAG_OK) {
        io_free(io);
        return err;
    }
    *out = io;
    return QUDAG_OK;
}

void io_attach(struct io *io, struct node *node)
{
    io->node = node;
    io->tcp.node = node;
}

void io_attach_store(struct io *io, struct store *store)
{
    io->store = store;
    if (store != NULL && !store_room(store)) {
        io->store_retry = 0;
    }
}

/* Everything that is due, though not more than that many batches. */
static void shutdown_flush(struct io *io)
{
    tstamp now = io_now();

    (void)io_tcp_run(&io->tcp, now);
    for (size_t i = 0; i < SHUTDOWN_SENDS_MAX && !flush(io, now); i++) {
    }
    (void)io_tcp_run(&io->tcp, now);
}

void io_shutdown(struct io *io)
{
    if (io == NULL) {
        return;
    }
    atomic_store(&io->stop_asked, true); /* no more posts */
    run_posts(io);
    if (io->node != NULL) {
        shutdown_flush(io);
    }
}

void io_free(struct io *io)
{
    if (io == NULL) {
        return;
    }
    io_shutdown(io);
    io->node = NULL;
    io->closed = true;
    io_tcp_close(&io->tcp);
    for (size_t i = 0; i < io->n_socks; i++) {
        close_sock(&io->sock[i]);
    }
    while (io->n_extra > 0) {
        close_sock(io->extra[--io->n_extra]);
    }
    if (io->timer.data != NULL) {
        (void)uv_poll_stop(&io->timer);
        close_handle((uv_handle_t *)&io->timer, on_closed);
    }
    if (io->watch.data != NULL) {
        (void)uv_poll_stop(&io->watch);
        close_handle((uv_handle_t *)&io->watch, on_closed);
    }
    if (io->prepare.data != NULL) {
        close_handle((uv_handle_t *)&io->prepare, on_closed);
        close_handle((uv_handle_t *)&io->again, on_closed);
        close_handle((uv_handle_t *)&io->step_timer, on_closed);
    }
    if (io->async.data != NULL) {
        close_handle((uv_handle_t *)&io->async, on_closed);
    }
    if (io->watch_fd >= 0) {
        close(io->watch_fd);
    }
    if (io->timer_fd >= 0) {
        close(io->timer_fd);
    }
    free(io->rx);
    free(io->tx_buf);
    free(io->tcp.tx);
    if (io->has_own) {
        (void)uv_run(io->loop, UV_RUN_DEFAULT); /* runs the close callbacks */
        (void)uv_loop_close(io->loop);
    }
    if (io->has_own || io->handles == 0) {
        (void)pthread_mutex_destroy(&io->lock);
        free(io);
    }
}

qudag_err io_run(struct io *io)
{
    if (!io->has_own || io->running) {
        return QUDAG_ESTATE;
    }
    io->running = true;
    while (!io->stopping) {
        (void)uv_run(io->loop, UV_RUN_DEFAULT);
    }
    io->stopping = io->running = false;
    return QUDAG_OK;
}

qudag_err io_step(struct io *io, uint64_t wait_max_ns)
{
    if (!io->has_own || io->running) {
        return QUDAG_ESTATE;
    }
    io->running = io->stepping = true;
    io->step_hooks_called = node_hooks_called(io->node);
    if (wait_max_ns > 0 && wait_max_ns != UINT64_MAX) {
        uv_update_time(io->loop); /* it is as old as the last step */
        (void)uv_timer_start(&io->step_timer, on_step_timer,
                             wait_max_ns / NS_PER_MS + (wait_max_ns % NS_PER_MS != 0), 0);
    }
    (void)uv_run(io->loop, wait_max_ns == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    (void)uv_timer_stop(&io->step_timer);
    turn(io); /* uv runs its prepare handles before it reads: send what reading caused */
    io->running = io->stepping = false;
    return io->stopping ? QUDAG_ECANCELED : QUDAG_OK;
}

struct uv_loop_s *io_loop(const struct io *io)
{
    return io->loop;
}

int io_fd(const struct io *io)
{
    return uv_backend_fd(io->loop);
}

uint64_t io_timeout(const struct io *io)
{
    tstamp at = tstamp_min(node_deadline(io->node), io_tcp_deadline(&io->tcp));
    tstamp now = io_now();

    /* libuv tells the kernel of a socket in its next turn only: until then nothing on it wakes anybody */
    if (uv_loop_alive(io->loop) && uv_backend_timeout(io->loop) == 0) {
        return 0;
    }
    return at == TSTAMP_NEVER ? UINT64_MAX : at > now ? at - now : 0;
}

static size_t udp_addrs(const struct io *io, struct netaddr out[IO_ADDRS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < io->n_socks; i++) {
        n = io_bound_addrs(&io->sock[i].udp.bound, out, n);
    }
    return n;
}

size_t io_addrs_all(const struct io *io, struct netaddr out[IO_ADDRS_MAX])
{
    return io_tcp_bound_addrs(&io->tcp, out, udp_addrs(io, out));
}

size_t io_tcp_addrs(const struct io *io, struct netaddr *out, size_t max)
{
    struct netaddr all[IO_ADDRS_MAX];
    size_t n = io_tcp_bound_addrs(&io->tcp, all, 0);

    n = netaddr_to_tell(all, n, max);
    memcpy(out, all, n * sizeof(*out));
    return n;
}

size_t io_addrs(const struct io *io, struct netaddr *out, size_t max)
{
    struct netaddr all[IO_ADDRS_MAX];
    size_t n = udp_addrs(io, all);

    n = netaddr_to_tell(all, n, max);
    memcpy(out, all, n * sizeof(*out));
    return n;
}

const struct histogram *io_lag(const struct io *io)
{
    return &io->lag;
}

const struct histogram *io_worked(const struct io *io, enum io_work what)
{
    return &io->work[what];
}

void io_stats_get(const struct io *io, struct io_stats *out)
{
    tstamp now = io_now();

    *out = io->stats;
    out->gso = out->gro = true;
    for (size_t i = 0; i < io->n_socks; i++) {
        out->gso = out->gso && udp_segments(&io->sock[i].udp, now);
        out->gro = out->gro && io->sock[i].udp.gro;
    }
}
