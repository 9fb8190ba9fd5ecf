/* scrape.c - see scrape.h. */
#include "scrape.h"

#include "page.h"
#include "scrape_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 2         /* for the loop */
#define MEMORY_MAX 16384 /* of a connection, its request included */
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct scrape {
    struct daemon *d;
    struct MHD_Daemon *http;
    uv_async_t wake;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* to be removed; "": none */
    pthread_mutex_t lock;
    pthread_cond_t taken;
    uint64_t asked, done; /* snapshots: the thread asks for one, the loop takes it */
    bool all;             /* nothing was left out */
    bool closing;         /* no more are taken */
    bool whole;           /* of the page, not of the metrics alone */
    struct metrics metrics;
    struct page *page;      /* NULL: there is none */
    struct history history; /* for it; the loop's */
};

typedef void print_fn(FILE *to, const struct page *p);

/* ---- the loop ---- */

static void on_wake(uv_async_t *h)
{
    struct scrape *s = h->data;

    (void)pthread_mutex_lock(&s->lock);
    if (s->asked > s->done) {
        s->all = s->whole ? page_take(s->page, s->d, &s->history)
                          : metrics_take(&s->metrics, s->d->node);
        s->done = s->asked;
        (void)pthread_cond_signal(&s->taken);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

void scrape_tick(struct daemon *d, uint64_t now_ns)
{
    if (d->scrape != NULL && d->scrape->page != NULL) {
        history_take(&d->scrape->history, d->node, now_ns);
    }
}

/* ---- the thread of libmicrohttpd, the only one: one request at a time is here ---- */

/* With the lock held on success: the values are of now. */
static bool snapshot(struct scrape *s, bool whole)
{
    struct timespec until;
    int err = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&s->lock);
    s->whole = whole;
    uint64_t mine = ++s->asked;
    (void)uv_async_send(&s->wake);
    while (s->done < mine && !s->closing && err == 0) {
        err = pthread_cond_timedwait(&s->taken, &s->lock, &until);
    }
    if (s->done >= mine && s->all) {
        return true;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return false;
}

static enum MHD_Result answer(struct MHD_Connection *c, unsigned code, struct MHD_Response *res,
                              const char *type)
{
    if (res == NULL) {
        return MHD_NO;
    }
    bool good =
        MHD_add_response_header(res, "Content-Type", type) == MHD_YES &&
        MHD_add_response_header(res, "X-Content-Type-Options", "nosniff") == MHD_YES &&
        MHD_add_response_header(res, "Cross-Origin-Resource-Policy", "same-origin") == MHD_YES &&
        MHD_add_response_header(res, "Cache-Control", "no-store") == MHD_YES;
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED) {
        good = good && MHD_add_response_header(res, "Allow", "GET, HEAD") == MHD_YES;
    }
    enum MHD_Result queued = good ? MHD_queue_response(c, code, res) : MHD_NO;
    MHD_destroy_response(res);
    return queued;
}

/* Of the page and its parts: nothing from elsewhere, no script, in no frame. */
static bool add_policy(struct MHD_Response *res)
{
    static const char policy[] = "default-src 'none'; style-src 'self'; img-src 'self'; "
                                 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    return MHD_add_response_header(res, "Content-Security-Policy", policy) == MHD_YES &&
           MHD_add_response_header(res, "Referrer-Policy", "no-referrer") == MHD_YES &&
           MHD_add_response_header(res, "Cross-Origin-Opener-Policy", "same-origin") == MHD_YES;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned code, const char *text)
{
    char line[160];
    int n = snprintf(line, sizeof(line), "%s\n", text);

    return answer(c, code, MHD_create_response_from_buffer((size_t)n, line, MHD_RESPMEM_MUST_COPY),
                  "text/plain; charset=utf-8");
}

/* What was written to |to|, which became *text and *len, as the answer. */
static enum MHD_Result answer_text(struct MHD_Connection *c, FILE *to, char *const *text,
                                   const size_t *len, const char *type)
{
    bool bad = ferror(to) != 0;
    if (fclose(to) != 0 || bad) {
        free(*text);
        return MHD_NO;
    }
    struct MHD_Response *res = MHD_create_response_from_buffer(*len, *text, MHD_RESPMEM_MUST_FREE);
    if (res == NULL) {
        free(*text);
    } else if (!add_policy(res)) {
        MHD_destroy_response(res);
        return MHD_NO;
    }
    return answer(c, MHD_HTTP_OK, res, type);
}

static enum MHD_Result busy(struct MHD_Connection *c)
{
    return say(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the node is busy or stops; try again");
}

static enum MHD_Result answer_metrics(struct scrape *s, struct MHD_Connection *c)
{
    enum metrics_form form = scrape_form(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Accept"));
    char *text = NULL;
    size_t len = 0;

    if (!snapshot(s, false)) {
        return busy(c);
    }
    FILE *to = open_memstream(&text, &len);
    if (to != NULL) {
        metrics_print(to, &s->metrics, form);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (to == NULL) {
        return MHD_NO;
    }
    metrics_print_process(to, form);
    metrics_print_end(to, form);
    return answer_text(c, to, &text, &len, form == METRICS_TEXT ? TEXT_TYPE : OPENMETRICS_TYPE);
}

static enum MHD_Result answer_page(struct scrape *s, struct MHD_Connection *c, print_fn *print,
                                   const char *type)
{
    char *text = NULL;
    size_t len = 0;

    if (!snapshot(s, true)) {
        return busy(c);
    }
    FILE *to = open_memstream(&text, &len);
    if (to != NULL) {
        print(to, s->page);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return to == NULL ? MHD_NO : answer_text(c, to, &text, &len, type);
}

static enum MHD_Result answer_static(struct MHD_Connection *c, const char *text, const char *type)
{
    char *copy = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&copy, &len);

    if (to == NULL) {
        return MHD_NO;
    }
    (void)fputs(text, to);
    return answer_text(c, to, &copy, &len, type);
}

static enum MHD_Result answer_at(struct scrape *s, struct MHD_Connection *c, enum scrape_path path)
{
    switch (path) {
    case SCRAPE_METRICS:
        return answer_metrics(s, c);
    case SCRAPE_PAGE:
        return answer_page(s, c, page_print_html, "text/html; charset=utf-8");
    case SCRAPE_JSON:
        return answer_page(s, c, page_print_json, "application/json");
    case SCRAPE_STYLE:
        return answer_static(c, page_style, "text/css; charset=utf-8");
    case SCRAPE_ICON:
        return answer_static(c, page_icon, "image/svg+xml");
    case SCRAPE_NOTHING:
        break;
    }
    return say(c, MHD_HTTP_NOT_FOUND,
               s->page != NULL ? "the metrics are at /metrics, a page for browsers at /"
                               : "the metrics are at /metrics");
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **state)
{
    struct scrape *s = user;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    (void)version;
    (void)data;

    if (*state == NULL) { /* the head has come; what is asked for is done once all has */
        *state = s;
        return MHD_YES;
    }
    if (*data_len > 0) { /* a body means nothing here */
        *data_len = 0;
        return MHD_YES;
    }

    enum scrape_path path = scrape_path(url, s->page != NULL);
    const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Origin");
    const char *site = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Sec-Fetch-Site");
    bool page = path != SCRAPE_METRICS && path != SCRAPE_NOTHING;
    if (!scrape_host(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host")) ||
        (page ? !scrape_from_here(origin, site) : scrape_from_page(origin, site))) {
        return say(c, MHD_HTTP_FORBIDDEN,
                   "not for web pages: type http://127.0.0.1 or http://localhost yourself");
    }
    if (!reads) {
        return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    }
    return answer_at(s, c, path);
}

/* ---- begin and end ---- */

/* A socket file that nobody listens at any more is removed; 0, or the error number. */
static int make_way(const struct scrape_place *p)
{
    struct sockaddr_un un;
    struct stat st;

    memcpy(&un, &p->sa, sizeof(un));
    if (lstat(un.sun_path, &st) != 0) {
        return errno == ENOENT ? 0 : errno;
    }
    int fd =
        S_ISSOCK(st.st_mode) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (fd < 0) {
        return EEXIST;
    }
    bool answers =
        connect(fd, (const struct sockaddr *)&p->sa, p->len) == 0 || errno != ECONNREFUSED;
    (void)close(fd);
    return answers ? EADDRINUSE : unlink(un.sun_path) == 0 ? 0 : errno;
}

/* A listening socket, or -1 and errno. */
static int listen_at(struct scrape *s, const struct scrape_place *p)
{
    int one = 1, err = p->local ? make_way(p) : 0;
    int fd = socket(p->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);

    if (fd >= 0 && !p->local) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    }
    if (fd < 0 || err != 0 || bind(fd, (const struct sockaddr *)&p->sa, p->len) != 0 ||
        listen(fd, SCRAPE_CONNECTIONS_MAX) != 0) {
        err = err != 0 ? err : errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        fd = -1;
    } else if (p->local) {
        struct sockaddr_un un;
        memcpy(&un, &p->sa, sizeof(un));
        memcpy(s->path, un.sun_path, sizeof(s->path));
    }
    (void)umask(mask);
    errno = err;
    return fd;
}

static void say_where(struct scrape *s, int fd, const char *listen)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    unsigned port = 0;

    if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && sa.ss_family == AF_INET) {
        memcpy(&in, &sa, sizeof(in));
        port = ntohs(in.sin_port);
    } else if (sa.ss_family == AF_INET6) {
        memcpy(&in6, &sa, sizeof(in6));
        port = ntohs(in6.sin6_port);
    }
    if (s->path[0] != 0) {
        (void)snprintf(s->d->scrape_at, sizeof(s->d->scrape_at), "%s", listen);
    } else {
        int host = (int)(strrchr(listen, ':') - listen);
        (void)snprintf(s->d->scrape_at, sizeof(s->d->scrape_at), "http://%.*s:%u/metrics", host,
                       listen, port);
        (void)snprintf(s->d->web_at, sizeof(s->d->web_at), "http://%.*s:%u/", host, listen, port);
    }
    if (s->page == NULL) {
        s->d->web_at[0] = 0;
    }
    log_say(&s->d->log, QUDAG_LOG_INFO, "metrics.listen", "metrics at %s%s%s", s->d->scrape_at,
            s->page == NULL ? "" : ", a page for browsers at ",
            s->page == NULL        ? ""
            : s->d->web_at[0] != 0 ? s->d->web_at
                                   : "/ of it");
}

/* The thread takes no signals: they are the loop's. */
static bool start_http(struct scrape *s, int fd)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    s->http = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, on_request, s,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)SCRAPE_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SCRAPE_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->http != NULL;
}

static struct scrape *scrape_new(struct daemon *d)
{
    struct scrape *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;

    bool web = d->conf.v[CONF_METRICS_WEB].num != 0;
    struct page *page = web ? calloc(1, sizeof(*page)) : NULL;

    if (s == NULL || (web && page == NULL) || uv_async_init(&d->loop, &s->wake, on_wake) != 0) {
        free(page);
        free(s);
        return NULL;
    }
    s->page = page;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->taken, &attr);
    (void)pthread_condattr_destroy(&attr);
    s->wake.data = s;
    s->d = d;
    return s;
}

int scrape_begin(struct daemon *d)
{
    const char *text = d->conf.v[CONF_METRICS_LISTEN].text;
    char why[CONF_WHY_LEN / 2];
    struct scrape_place p;

    if (!scrape_settings(text, d->conf.v[CONF_METRICS_WEB].num != 0, why, sizeof(why))) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "%s", why);
        return DAEMON_USAGE;
    }
    if (strcmp(text, "off") == 0 || !scrape_place(text, &p, why, sizeof(why))) {
        return DAEMON_OK;
    }
    d->scrape = scrape_new(d);
    if (d->scrape == NULL) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "out of memory");
        return DAEMON_FAILED;
    }
    int fd = listen_at(d->scrape, &p);
    if (fd < 0) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "[metrics] listen = %s: %s%s", text,
                       strerror(errno),
                       errno == EADDRINUSE ? "; stop the program that has it, or give another"
                                           : "");
        return DAEMON_LISTEN;
    }
    say_where(d->scrape, fd, text);
    if (!start_http(d->scrape, fd)) {
        (void)close(fd);
        (void)snprintf(d->state.why, sizeof(d->state.why), "cannot start the listener of metrics");
        return DAEMON_FAILED;
    }
    return DAEMON_OK;
}

static void on_closed(uv_handle_t *h)
{
    struct scrape *s = h->data;

    (void)pthread_cond_destroy(&s->taken);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->page);
    free(s);
}

void scrape_end(struct daemon *d)
{
    struct scrape *s = d->scrape;

    if (s == NULL) {
        return;
    }
    d->scrape = NULL;
    if (s->http != NULL) {
        (void)pthread_mutex_lock(&s->lock); /* who waits for the loop is told so at once */
        s->closing = true;
        (void)pthread_cond_signal(&s->taken);
        (void)pthread_mutex_unlock(&s->lock);
        MHD_stop_daemon(s->http);
    }
    if (s->path[0] != 0) {
        (void)unlink(s->path);
    }
    uv_close((uv_handle_t *)&s->wake, on_closed);
}
