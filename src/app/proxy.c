/* proxy.c - the port of the proxy, and what programs may ask of it. */
#include "app/proxy_int.h"

#include "api/sized.h"
#include "app/sock.h"
#include "base/netaddr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ events of streams */

static struct proxy_conn *of_stream(const qudag_node *n, qudag_stream s)
{
    return qudag_stream_user(n, s);
}

static void on_stream_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    struct proxy_conn *c = of_stream(n, s);

    (void)user;
    if (c != NULL) {
        proxy_conn_data(c, data, fin);
    }
}

static void on_stream_room(qudag_node *n, qudag_stream s, void *user)
{
    struct proxy_conn *c = of_stream(n, s);

    (void)user;
    if (c != NULL) {
        proxy_conn_writable(c);
    }
}

static void on_stream_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    struct proxy_conn *c = of_stream(n, s);

    (void)user;
    if (c != NULL) {
        proxy_conn_closed(c, why);
    }
}

static const qudag_callbacks callbacks = {.size = sizeof(callbacks),
                                          .stream_data = on_stream_data,
                                          .stream_opened = on_stream_room,
                                          .stream_writable = on_stream_room,
                                          .stream_closed = on_stream_closed};

/* ------------------------------------------------------------------ the port */

static struct proxy *of_handle(const void *h)
{
    const struct proxy_side *side = ((const uv_handle_t *)h)->data;

    return side->proxy;
}

static void on_side_closed(uv_handle_t *h)
{
    free(h->data);
}

static void close_side(struct proxy_side **side)
{
    if (*side != NULL) {
        (*side)->proxy = NULL;
        uv_close(&(*side)->u.handle, on_side_closed);
        if ((*side)->fd >= 0) {
            sock_close((*side)->fd, false);
        }
        *side = NULL;
    }
}

/* Without descriptors or memory a connection stays with the kernel: asking at once, and again, would never end. */
static bool is_shortage(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS;
}

static void on_connection(uv_poll_t *h, int status, int events)
{
    struct proxy *p = of_handle(h);

    (void)status, (void)events; /* whatever it is, accepting finds out */
    for (size_t i = 0; i < PROXY_ACCEPTS_PER_TURN && p != NULL && p->port != NULL; i++) {
        int fd = sock_accept(p->port->fd);
        if (fd >= 0) {
            proxy_conn_accept(p, fd);
        } else if (is_shortage(errno)) {
            p->accept_later = uv_poll_stop(&p->port->u.poll) == 0;
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static int watch_port(struct proxy *p)
{
    p->accept_later = false;
    return -uv_poll_start(&p->port->u.poll, UV_READABLE, on_connection);
}

static void on_tick(uv_timer_t *t)
{
    struct proxy *p = of_handle(t);
    qudag_ns now = api_now();

    if (p == NULL) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &p->conns)
    {
        proxy_conn_tick(LIST_ENTRY(it, struct proxy_conn, node), now);
    }
    if (p->accept_later && p->port != NULL) {
        p->accept_later = watch_port(p) != 0;
    }
}

static void stop(struct proxy *p)
{
    close_side(&p->port);
    close_side(&p->tick);
    while (!list_empty(&p->conns)) {
        proxy_conn_close(LIST_ENTRY(p->conns.next, struct proxy_conn, node), QUDAG_ECANCELED);
    }
    fair_fini(&p->fair);
}

static void on_node_end(void *user)
{
    struct proxy *p = user;

    stop(p);
    mem_free(api_mem(p->n), p);
}

/* A handle for |p|, which libuv knows once |init| has run; NULL: no memory. */
static struct proxy_side *new_side(struct proxy *p)
{
    struct proxy_side *side = calloc(1, sizeof(*side));

    if (side != NULL) {
        side->proxy = p;
        side->fd = -1;
    }
    return side;
}

static int start_tick(struct proxy *p)
{
    struct proxy_side *side = new_side(p);

    if (side == NULL || uv_timer_init(api_loop(p->n), &side->u.timer) != 0) {
        free(side);
        return ENOMEM;
    }
    side->u.handle.data = side;
    p->tick = side;
    return -uv_timer_start(&side->u.timer, on_tick, PROXY_TICK_MS, PROXY_TICK_MS);
}

/* 0, or errno's value. */
static int start_port(struct proxy *p, struct netaddr *a)
{
    struct proxy_side *side = new_side(p);
    struct netaddr bound;
    int err = side == NULL ? ENOMEM : sock_listen(&side->fd, a);

    if (err == 0 && uv_poll_init(api_loop(p->n), &side->u.poll, side->fd) != 0) {
        sock_close(side->fd, false);
        err = ENOMEM;
    }
    if (err != 0) {
        free(side);
        return err;
    }
    side->u.handle.data = side;
    p->port = side;
    if (sock_bound(side->fd, &bound)) {
        a->port = bound.port; /* the one that the kernel gave us */
    }
    (void)netaddr_text(p->info.listen, sizeof(p->info.listen), a);
    return watch_port(p);
}

/* ------------------------------------------------------------------ for programs */

static void say_why(char *why, size_t cap, const char *listen, const char *cause)
{
    if (why != NULL && cap > 0) {
        (void)snprintf(why, cap, "the proxy cannot listen on %.80s: %s", listen, cause);
    }
}

/* IP:PORT or [IP6]:PORT; NULL, or what is wrong. */
static const char *read_listen(struct netaddr *a, const char *text)
{
    char ip[QUDAG_PROXY_LISTEN_TEXT_MAX];
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    char *end;

    *a = (struct netaddr){0};
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len) != NULL) {
        return "write an IPv6 address in brackets, as [::1]:9350";
    }
    if (len == 0 || len >= sizeof(ip) || colon[1] < '0' || colon[1] > '9') {
        return "write an IP address and a port, as 127.0.0.1:9350";
    }
    memcpy(ip, text, len);
    ip[len] = 0;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (netaddr_parse_ip(a, ip) != QUDAG_OK || *end != 0 || port > UINT16_MAX) {
        return "write an IP address and a port, as 127.0.0.1:9350";
    }
    a->port = (uint16_t)port;
    return NULL;
}

static const char *cause_of(int err)
{
    return err == EADDRINUSE      ? "another program holds this port (ss -tlpn shows which)"
           : err == EACCES        ? "ports below 1024 need privileges; choose a higher one"
           : err == EADDRNOTAVAIL ? "this machine has no such address"
                                  : uv_strerror(-err);
}

static qudag_err options_read(qudag_proxy_options *full, const qudag_proxy_options *o,
                              struct netaddr *a, const char **cause)
{
    qudag_err err = api_sized_in(full, sizeof(*full), o);

    *cause = "the options are not of this version";
    if (err != QUDAG_OK) {
        return err;
    }
    full->listen = full->listen == NULL ? QUDAG_PROXY_LISTEN_DEFAULT : full->listen;
    *cause = read_listen(a, full->listen);
    if (*cause == NULL && !full->remote && !netaddr_is_loopback(a)) {
        *cause = "other machines could reach it, and use this node; loopback is 127.0.0.1";
    }
    if (*cause == NULL && full->connections_max > QUDAG_PROXY_CONNECTIONS_MAX) {
        *cause = "connections_max is larger than 4096";
    }
    return *cause == NULL ? QUDAG_OK : QUDAG_EINVAL;
}

/* The proxy of |n|, which is made once and may be stopped and started. */
static qudag_err get_proxy(qudag_node *n, struct proxy **out)
{
    *out = api_client_user(n, &callbacks);
    if (*out != NULL) {
        return (*out)->port != NULL ? QUDAG_EEXISTS : QUDAG_OK;
    }
    struct proxy *p = mem_alloc(api_mem(n), sizeof(*p));
    if (p == NULL) {
        return QUDAG_ENOMEM;
    }
    p->n = n;
    list_init(&p->conns);
    qudag_err err = api_client_new(&p->client, n, &callbacks, on_node_end, p);
    if (err != QUDAG_OK) {
        mem_free(api_mem(n), p);
        return err;
    }
    *out = p;
    return QUDAG_OK;
}

/* |seed| only has to be one that nobody outside can know: of sources and users of this machine. */
static void begin(struct proxy *p, const qudag_proxy_options *o)
{
    uint8_t seed[16];

    (void)uv_random(NULL, NULL, seed, sizeof(seed), 0, NULL);
    p->max = o->connections_max == 0 ? PROXY_CONNECTIONS : o->connections_max;
    fair_init(&p->fair, api_mem(p->n), seed, 2 * p->max);
    limiter_init(&p->words, 1, 5, api_now());
    p->petname = o->petname;
    p->user = o->user;
    p->info = (qudag_proxy_info){.size = sizeof(p->info)};
    p->quiet = 0;
}

qudag_err qudag_proxy_start(qudag_node *n, const qudag_proxy_options *o, char *why, size_t why_len)
{
    qudag_proxy_options full = QUDAG_INIT(qudag_proxy_options);
    struct netaddr a;
    struct proxy *p;
    const char *cause;

    if (n == NULL || o == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = options_read(&full, o, &a, &cause);
    if (err != QUDAG_OK) {
        say_why(why, why_len, full.listen == NULL ? "" : full.listen, cause);
        return err;
    }
    err = get_proxy(n, &p);
    if (err != QUDAG_OK) {
        say_why(why, why_len, full.listen, qudag_strerror(err));
        return err;
    }
    begin(p, &full);
    int failed = start_port(p, &a);
    if (failed == 0) {
        failed = start_tick(p);
    }
    if (failed != 0) {
        stop(p);
        say_why(why, why_len, full.listen, cause_of(failed));
        return failed == ENOMEM ? QUDAG_ENOMEM : QUDAG_ESYSTEM;
    }
    log_event(api_logger(n), LOG_INFO, "proxy.listen", LOG_STR("at", p->info.listen));
    return QUDAG_OK;
}

void qudag_proxy_stop(qudag_node *n)
{
    struct proxy *p = n == NULL ? NULL : api_client_user(n, &callbacks);

    if (p != NULL && p->port != NULL) {
        stop(p);
    }
}

qudag_err qudag_proxy_status(const qudag_node *n, qudag_proxy_info *out)
{
    const struct proxy *p = n == NULL || out == NULL ? NULL : api_client_user(n, &callbacks);

    if (n == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    if (p == NULL || p->port == NULL) {
        return QUDAG_ENOTFOUND;
    }
    return api_sized_out(out, &p->info, sizeof(p->info)) ? QUDAG_OK : QUDAG_EINVAL;
}
