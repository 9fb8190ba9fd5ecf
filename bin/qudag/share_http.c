/* share_http.c - the server of a share: which request gets which answer. */
#include "share_int.h"

#include "manifest.h"
#include "share_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BLOCK (128 * 1024) /* bytes read at a time */
#define STACK (512 * 1024) /* of a connection's thread */

/* Takes |res| over; |code| with |type| and the headers that all answers have. */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned code, struct MHD_Response *res,
                              const char *type, const char *policy)
{
    if (res == NULL) {
        return MHD_NO;
    }
    bool good = MHD_add_response_header(res, "Content-Type", type) == MHD_YES &&
                MHD_add_response_header(res, "X-Content-Type-Options", "nosniff") == MHD_YES &&
                MHD_add_response_header(res, "Referrer-Policy", "no-referrer") == MHD_YES &&
                MHD_add_response_header(res, "Cache-Control", "no-store") == MHD_YES;
    if (policy != NULL) {
        good = good && MHD_add_response_header(res, "Content-Security-Policy", policy) == MHD_YES;
    }
    enum MHD_Result queued = good ? MHD_queue_response(c, code, res) : MHD_NO;
    MHD_destroy_response(res);
    return queued;
}

/* A page that was written into |text|, which is freed. */
static struct MHD_Response *page_of(FILE *to, char **text, const size_t *len)
{
    bool good = ferror(to) == 0;
    good = fclose(to) == 0 && good && *text != NULL;
    struct MHD_Response *res =
        good ? MHD_create_response_from_buffer(*len, *text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (res == NULL) {
        free(*text);
    }
    return res;
}

static enum MHD_Result answer_error(struct MHD_Connection *c, unsigned code, const char *title,
                                    const char *what)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (to == NULL) {
        return MHD_NO;
    }
    share_page_error(to, title, what);
    struct MHD_Response *res = page_of(to, &text, &len);
    if (res != NULL && code == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(res, "Allow", "GET, HEAD");
    }
    return answer(c, code, res, "text/html; charset=utf-8", SHARE_PAGE_POLICY);
}

static enum MHD_Result answer_errno(struct MHD_Connection *c, int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return answer_error(c, MHD_HTTP_NOT_FOUND, "Not found",
                            "There is no such file here, or not any more.");
    case EACCES:
    case EPERM:
        return answer_error(c, MHD_HTTP_FORBIDDEN, "Not readable",
                            "Whoever shares this file may not read it.");
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return answer_error(c, MHD_HTTP_SERVICE_UNAVAILABLE, "Busy", "Try again later.");
    default:
        return answer_error(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "Failed",
                            "It could not be read here.");
    }
}

/* ------------------------------------------------------------------ pages */

static enum MHD_Result answer_folder(struct share_request *r, struct MHD_Connection *c)
{
    struct share_list l;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (to == NULL) {
        return MHD_NO;
    }
    (void)pthread_mutex_lock(&r->http->page_lock); /* a large folder is in memory once */
    int err = share_tree_list(r->http->tree, r->path, &l);
    if (err == 0) {
        share_page_folder(to, r->http->tree->name, r->path, &l);
        free(l.entry);
    }
    (void)pthread_mutex_unlock(&r->http->page_lock);
    struct MHD_Response *res = page_of(to, &text, &len);
    if (err != 0) {
        if (res != NULL) {
            MHD_destroy_response(res);
        }
        return answer_errno(c, err);
    }
    return answer(c, MHD_HTTP_OK, res, "text/html; charset=utf-8", SHARE_PAGE_POLICY);
}

/* The page of a folder lies behind a slash. */
static enum MHD_Result answer_slash(const struct share_request *r, struct MHD_Connection *c)
{
    char url[SHARE_URL_MAX], where[SHARE_URL_MAX + 2], body[] = "";
    share_path_encode(url, r->path);
    (void)snprintf(where, sizeof(where), "/%s/", url);
    struct MHD_Response *res = MHD_create_response_from_buffer(0, body, MHD_RESPMEM_MUST_COPY);
    if (res != NULL) {
        (void)MHD_add_response_header(res, "Location", where);
    }
    return answer(c, MHD_HTTP_MOVED_PERMANENTLY, res, "text/plain", NULL);
}

/* ------------------------------------------------------------------ files */

static ssize_t read_file(void *ctx, uint64_t pos, char *buf, size_t max)
{
    struct share_request *r = ctx;
    uint64_t left = r->to - r->from - pos;
    ssize_t n;
    r->sent = pos; /* what came before is with the kernel */
    do {
        n = pread(r->fd, buf, left < max ? (size_t)left : max, (off_t)(r->from + pos));
    } while (n < 0 && errno == EINTR);
    return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR; /* 0: it has become shorter */
}

static enum MHD_Result answer_range_error(const struct share_request *r, struct MHD_Connection *c)
{
    char range[48], body[] = "";
    (void)snprintf(range, sizeof(range), "bytes */%llu", (unsigned long long)r->size);
    struct MHD_Response *res = MHD_create_response_from_buffer(0, body, MHD_RESPMEM_MUST_COPY);
    if (res != NULL) {
        (void)MHD_add_response_header(res, "Content-Range", range);
    }
    return answer(c, MHD_HTTP_RANGE_NOT_SATISFIABLE, res, "text/plain", NULL);
}

/* Bytes of the file, unless only its head was asked for: a share --once waits for their end. */
static void begin_giving(struct share_request *r)
{
    struct share_http *h = r->http;
    (void)pthread_mutex_lock(&h->lock);
    r->gives = !r->head;
    h->giving += r->gives;
    (void)pthread_mutex_unlock(&h->lock);
}

/* |st|: of the open file r->fd. */
static enum MHD_Result answer_file(struct share_request *r, struct MHD_Connection *c,
                                   const struct stat *st)
{
    char tag[SHARE_TAG_LEN + 1], quoted[SHARE_TAG_LEN + 3], range[80];
    r->size = (uint64_t)st->st_size;
    share_hash_tag(tag, r->http->tag_key, st);
    (void)snprintf(quoted, sizeof(quoted), "\"%s\"", tag);
    const char *asked = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Range");
    const char *only = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "If-Range");
    if (only != NULL && strcmp(only, quoted) != 0) {
        asked = NULL; /* it has changed since: all of it (RFC 9110, 13.1.5) */
    }
    enum share_range kind = share_range(asked, r->size, &r->from, &r->to);
    if (kind == SHARE_WRONG) {
        return answer_range_error(r, c);
    }
    struct MHD_Response *res =
        MHD_create_response_from_callback(r->to - r->from, BLOCK, read_file, r, NULL);
    if (res == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(res, "Accept-Ranges", "bytes");
    (void)MHD_add_response_header(res, "ETag", quoted);
    if (kind == SHARE_PART) {
        (void)snprintf(range, sizeof(range), "bytes %llu-%llu/%llu", (unsigned long long)r->from,
                       (unsigned long long)r->to - 1, (unsigned long long)r->size);
        (void)MHD_add_response_header(res, "Content-Range", range);
    }
    const char *type = share_type(share_path_last(r->path));
    begin_giving(r);
    return answer(c, kind == SHARE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, res, type,
                  share_type_active(type) ? SHARE_FILE_POLICY : NULL);
}

/* ------------------------------------------------------------------ requests */

static enum MHD_Result answer_get(struct share_request *r, struct MHD_Connection *c,
                                  const char *url)
{
    struct stat st;
    bool slash;
    if (!share_path_decode(r->path, &slash, url)) {
        return answer_error(c, MHD_HTTP_BAD_REQUEST, "Malformed",
                            "This address of a file cannot be read; follow a link of the list.");
    }
    if (strcmp(r->path, MANIFEST_PATH) == 0 && !slash) {
        return answer(c, MHD_HTTP_OK, share_listing_response(r), "text/plain; charset=utf-8", NULL);
    }
    r->fd = share_tree_at(r->http->tree, r->path, &st);
    if (r->fd < 0) {
        return answer_errno(c, -r->fd);
    }
    if (S_ISREG(st.st_mode)) {
        return slash ? answer_errno(c, ENOENT) : answer_file(r, c, &st);
    }
    return slash ? answer_folder(r, c) : answer_slash(r, c);
}

static enum MHD_Result answer_done(struct share_request *r, struct MHD_Connection *c)
{
    char body[] = "";
    (void)pthread_mutex_lock(&r->http->lock);
    r->http->confirmed = r->http->confirmed || share_once_whole(r->http->once);
    (void)pthread_mutex_unlock(&r->http->lock);
    return answer(c, MHD_HTTP_OK, MHD_create_response_from_buffer(0, body, MHD_RESPMEM_MUST_COPY),
                  "text/plain", NULL);
}

static struct share_request *request_new(struct share_http *h)
{
    struct share_request *r = calloc(1, sizeof(*r));
    if (r != NULL) {
        r->http = h;
        r->fd = -1;
    }
    return r;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_len, void **req)
{
    struct share_request *r = *req;
    (void)version;
    (void)body;
    if (r == NULL) {
        *req = request_new(ctx);
        return *req == NULL ? MHD_NO : MHD_YES;
    }
    if (*body_len > 0) { /* nobody reads it */
        r->body += *body_len;
        *body_len = 0;
        return r->body > SHARE_BODY_MAX ? MHD_NO : MHD_YES;
    }
    r->head = strcmp(method, "HEAD") == 0;
    if (r->head || strcmp(method, "GET") == 0) {
        return answer_get(r, c, url);
    }
    if (strcmp(method, "POST") == 0 && strcmp(url, "/" MANIFEST_DONE_PATH) == 0) {
        return answer_done(r, c);
    }
    return answer_error(c, MHD_HTTP_METHOD_NOT_ALLOWED, "Not possible here",
                        "Files can be read here, and nothing else.");
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **req,
                         enum MHD_RequestTerminationCode why)
{
    struct share_http *h = ctx;
    struct share_request *r = *req;
    (void)c;
    if (r == NULL) {
        return;
    }
    *req = NULL;
    share_listing_end(r);
    bool whole = why == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    uint64_t to = whole ? r->to : r->from + r->sent;
    (void)pthread_mutex_lock(&h->lock);
    if (r->gives) {
        share_once_given(h->once, r->path, r->size, r->from, to);
        h->given(h->ctx, &(struct share_given){r->path, r->size, r->from, to, !whole});
    }
    h->giving -= r->gives;
    h->heard_ns = mono_ns();
    (void)pthread_mutex_unlock(&h->lock);
    if (r->fd >= 0) {
        close(r->fd);
    }
    free(r);
}

/* Paths are decoded here, strictly: what the library makes of "%00" or "%2F" is not ours to guess. */
static size_t leave_as_is(void *ctx, struct MHD_Connection *c, char *text)
{
    (void)ctx;
    (void)c;
    return strlen(text);
}

struct share_http *share_http_new(const struct share_tree *tree, const struct share_files *files,
                                  int fd, void (*given)(void *ctx, const struct share_given *g),
                                  void *ctx)
{
    struct share_http *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        return NULL;
    }
    *h = (struct share_http){.tree = tree, .given = given, .ctx = ctx, .heard_ns = mono_ns()};
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)pthread_mutex_init(&h->page_lock, NULL);
    h->once = share_once_new(files);
    h->hashes = share_hashes_new();
    bool good = h->once != NULL && h->hashes != NULL &&
                getrandom(h->tag_key, sizeof(h->tag_key), 0) == (ssize_t)sizeof(h->tag_key);
    if (good) {
        h->mhd = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                                      MHD_USE_POLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK,
                                  0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
                                  MHD_OPTION_CONNECTION_LIMIT, (unsigned)SHARE_CONNECTIONS_MAX,
                                  MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SHARE_SILENCE_S,
                                  MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK,
                                  MHD_OPTION_UNESCAPE_CALLBACK, leave_as_is, NULL,
                                  MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
    }
    if (h->mhd == NULL) {
        share_http_free(h);
        return NULL;
    }
    return h;
}

void share_http_free(struct share_http *h)
{
    if (h == NULL) {
        return;
    }
    if (h->mhd != NULL) {
        MHD_stop_daemon(h->mhd);
    }
    share_once_free(h->once);
    share_hashes_free(h->hashes);
    (void)pthread_mutex_destroy(&h->lock);
    (void)pthread_mutex_destroy(&h->page_lock);
    free(h);
}

bool share_http_over(struct share_http *h)
{
    (void)pthread_mutex_lock(&h->lock);
    bool over = share_once_over(h->once, h->confirmed, h->giving, mono_ns() - h->heard_ns);
    (void)pthread_mutex_unlock(&h->lock);
    return over;
}
