/* fetch_get.c - HTTP by libcurl, over connections that others make. */
#include "fetch.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct getting {
    struct fetch_site *site;
    uint64_t from;
    bool (*sink)(void *ctx, const void *bytes, size_t len);
    void *ctx;
    struct curl_slist *to;
    bool refused, undialled, other; /* other: the body of another answer began */
};

static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct fetch_site *s = user;
    (void)purpose;
    s->fresh = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    return s->fresh < 0 ? CURL_SOCKET_BAD : s->fresh;
}

/* Before a request is sent on a connection, which may be a new one. */
static int on_ready(void *user, char *primary, char *local, int primary_port, int local_port)
{
    struct getting *g = user;
    int fd = g->site->fresh, flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    (void)primary;
    (void)local;
    (void)primary_port;
    (void)local_port;
    g->site->fresh = -1;
    if (flags >= 0) {
        g->undialled = fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ||
                       !g->site->dial(g->site->ctx, fd) || fcntl(fd, F_SETFL, flags) != 0;
    }
    return g->undialled ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static size_t on_bytes(char *bytes, size_t one, size_t n, void *user)
{
    struct getting *g = user;
    long status = 0;
    (void)curl_easy_getinfo(g->site->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != (g->from > 0 ? 206 : 200)) {
        g->other = true; /* the page of an error: nobody wants it, and it need not end */
        return 0;
    }
    if (!g->sink(g->ctx, bytes, n * one)) {
        g->refused = true;
        return 0;
    }
    return n * one;
}

void fetch_site_close(struct fetch_site *s)
{
    if (s->curl != NULL) {
        curl_easy_cleanup(s->curl);
        s->curl = NULL;
    }
}

bool fetch_site_open(struct fetch_site *s)
{
    s->fresh = -1;
    s->curl = curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK ? curl_easy_init() : NULL;
    return s->curl != NULL;
}

/* Where libcurl is to connect, whatever the URL says.  |to| is of the caller until the request has ended. */
static bool lead_to(struct fetch_site *s, struct curl_slist *to)
{
    CURL *c = s->curl;
    if (s->door == NULL) {
        return curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, s->path) == CURLE_OK;
    }
    return to != NULL && curl_easy_setopt(c, CURLOPT_CONNECT_TO, to) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, s) == CURLE_OK;
}

/* The connection of the last request stays open, and is used again. */
static bool prepare(struct fetch_site *s, struct getting *g, const char *path)
{
    char url[SHARE_URL_MAX + 300], door[80];
    CURL *c = s->curl;
    int n = snprintf(url, sizeof(url), "http://%s/%s", s->host, path);
    (void)snprintf(door, sizeof(door), "::%s", s->door == NULL ? "" : s->door);
    g->to = s->door == NULL ? NULL : curl_slist_append(NULL, door);
    s->fresh = -1;
    curl_easy_reset(c);
    return n > 0 && n < (int)sizeof(url) && curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           lead_to(s, g->to) && curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_ready) == CURLE_OK &&
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
    if (g->other) {
        return FETCH_STATUS;
    }
    if (code == CURLE_COULDNT_CONNECT || g->undialled) {
        return FETCH_DIAL;
    }
    if (code != CURLE_OK) {
        return FETCH_CUT;
    }
    return *status == (g->from > 0 ? 206 : 200) ? FETCH_OK : FETCH_STATUS;
}

static enum fetch_end get(struct getting *g, const char *path, long *status)
{
    char range[32];
    *status = 0;
    (void)snprintf(range, sizeof(range), "%llu-", (unsigned long long)g->from);
    return prepare(g->site, g, path) &&
                   (g->from == 0 ||
                    curl_easy_setopt(g->site->curl, CURLOPT_RANGE, range) == CURLE_OK)
               ? perform(g->site, g, status)
               : FETCH_CUT;
}

enum fetch_end fetch_get(struct fetch_site *s, const char *path, uint64_t from,
                         bool (*sink)(void *ctx, const void *bytes, size_t len), void *ctx,
                         long *status)
{
    struct getting g = {.site = s, .from = from, .sink = sink, .ctx = ctx};
    enum fetch_end end = get(&g, path, status);
    curl_slist_free_all(g.to);
    return end;
}

static bool nowhere(void *ctx, const void *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
    return false;
}

enum fetch_end fetch_post(struct fetch_site *s, const char *path)
{
    struct getting g = {.site = s, .sink = nowhere};
    long status;
    enum fetch_end end = prepare(s, &g, path) &&
                                 curl_easy_setopt(s->curl, CURLOPT_POST, 1L) == CURLE_OK &&
                                 curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, "") == CURLE_OK
                             ? perform(s, &g, &status)
                             : FETCH_CUT;
    curl_slist_free_all(g.to);
    return end;
}
