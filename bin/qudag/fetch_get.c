/* fetch_get.c - HTTP by libcurl, over connections that others make. */
#include "fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct getting {
    struct fetch_site *site;
    uint64_t from;
    bool (*sink)(void *ctx, const void *bytes, size_t len);
    void *ctx;
    bool refused, undialled;
};

/* The end of a connection that libcurl made to s->listener; -1: it made none.  Other processes may come there too. */
static int accept_own(const struct fetch_site *s)
{
    for (;;) {
        struct ucred who;
        socklen_t len = sizeof(who);
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR) {
            continue;
        }
        if (fd < 0 ||
            (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == getpid())) {
            return fd;
        }
        close(fd);
    }
}

/* Before a request is sent on a connection, which may be a new one. */
static int on_ready(void *user, char *primary, char *local, int primary_port, int local_port)
{
    struct getting *g = user;
    (void)primary;
    (void)local;
    (void)primary_port;
    (void)local_port;
    int fd = g->site->dial == NULL ? -1 : accept_own(g->site);
    g->undialled = fd >= 0 && !g->site->dial(g->site->ctx, fd);
    return g->undialled ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static size_t on_bytes(char *bytes, size_t one, size_t n, void *user)
{
    struct getting *g = user;
    long status = 0;
    (void)curl_easy_getinfo(g->site->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != (g->from > 0 ? 206 : 200)) {
        return n * one; /* the page of an error: nobody wants it */
    }
    if (!g->sink(g->ctx, bytes, n * one)) {
        g->refused = true;
        return 0;
    }
    return n * one;
}

/* A listener whose name the kernel chooses (unix(7), autobind): nothing is left of it. */
static int open_listener(struct fetch_site *s)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0 ||
        bind(s->listener, (const struct sockaddr *)&sa, sizeof(sa.sun_family)) != 0 ||
        listen(s->listener, 8) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&sa, &len) != 0) {
        return errno;
    }
    size_t name = len - offsetof(struct sockaddr_un, sun_path) - 1;
    if (name == 0 || name >= sizeof(s->path)) {
        return EINVAL;
    }
    memcpy(s->path, sa.sun_path + 1, name);
    s->path[name] = 0;
    return 0;
}

void fetch_site_close(struct fetch_site *s)
{
    if (s->curl != NULL) {
        curl_easy_cleanup(s->curl);
        s->curl = NULL;
        if (s->listener >= 0) {
            close(s->listener);
        }
    }
}

bool fetch_site_open(struct fetch_site *s)
{
    s->listener = -1;
    s->curl = curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK ? curl_easy_init() : NULL;
    if (s->curl != NULL && s->dial != NULL && open_listener(s) != 0) {
        fetch_site_close(s);
    }
    return s->curl != NULL;
}

/* The connection of the last request stays open, and is used again. */
static bool prepare(struct fetch_site *s, struct getting *g, const char *path)
{
    char url[SHARE_URL_MAX + 300];
    CURL *c = s->curl;
    int n = snprintf(url, sizeof(url), "http://%s/%s", s->host, path);
    CURLoption where = s->dial == NULL ? CURLOPT_UNIX_SOCKET_PATH : CURLOPT_ABSTRACT_UNIX_SOCKET;
    curl_easy_reset(c);
    return n > 0 && n < (int)sizeof(url) && curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(c, where, s->path) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_ready) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PREREQDATA, g) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)FETCH_SILENCE_S) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L * 1024) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, g) == CURLE_OK;
}

static enum fetch_end perform(struct fetch_site *s, const struct getting *g, long *status)
{
    CURLcode code = curl_easy_perform(s->curl);
    *status = 0;
    (void)curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, status);
    if (g->refused) {
        return FETCH_SINK;
    }
    if (code == CURLE_COULDNT_CONNECT || g->undialled) {
        return FETCH_DIAL;
    }
    if (code != CURLE_OK) {
        return FETCH_CUT;
    }
    return *status == (g->from > 0 ? 206 : 200) ? FETCH_OK : FETCH_STATUS;
}

enum fetch_end fetch_get(struct fetch_site *s, const char *path, uint64_t from,
                         bool (*sink)(void *ctx, const void *bytes, size_t len), void *ctx,
                         long *status)
{
    struct getting g = {.site = s, .from = from, .sink = sink, .ctx = ctx};
    char range[32];
    *status = 0;
    if (!prepare(s, &g, path)) {
        return FETCH_CUT;
    }
    (void)snprintf(range, sizeof(range), "%llu-", (unsigned long long)from);
    if (from > 0 && curl_easy_setopt(s->curl, CURLOPT_RANGE, range) != CURLE_OK) {
        return FETCH_CUT;
    }
    return perform(s, &g, status);
}

static bool nowhere(void *ctx, const void *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
    return true;
}

enum fetch_end fetch_post(struct fetch_site *s, const char *path)
{
    struct getting g = {.site = s, .sink = nowhere};
    long status;
    if (!prepare(s, &g, path) || curl_easy_setopt(s->curl, CURLOPT_POST, 1L) != CURLE_OK ||
        curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, "") != CURLE_OK) {
        return FETCH_CUT;
    }
    return perform(s, &g, &status);
}
