/*
 * cmd_share.c - share: a file or a folder at an address of its own.
 *
 *   PATH ─▶ an HTTP server in this process, on a socket in the state folder ─▶ the daemon exposes it at an address
 *
 * The address belongs to the connection to the daemon: it ends with this process, however that ends.
 */
#include "tool.h"

#include "qr.h"
#include "share_http.h"

#include <qudag/types.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

static volatile sig_atomic_t stop_asked;

struct sharing {
    struct tool *t;
    const char *path, *name, *svg;
    bool once, qr, hidden;
    int64_t timeout_s;
    uint64_t began_ns;
    struct share_tree tree;
    struct share_files files;
    struct share_http *http;
    char socket[PATH_LEN]; /* where the server listens; "": not yet */
    int fd;
    bool shown;
    char problem[160]; /* why it is not published yet */
};

static void on_signal(int sig)
{
    (void)sig;
    stop_asked = 1;
}

static bool stops(void *ctx)
{
    struct sharing *s = ctx;
    bool late =
        !s->shown && mono_ns() - s->began_ns > (uint64_t)s->timeout_s * UINT64_C(1000000000);
    return stop_asked != 0 || late || (s->once && share_http_over(s->http));
}

/* ------------------------------------------------------------------ what the user sees */

static void on_given(void *ctx, const struct share_given *g)
{
    const struct sharing *s = ctx;
    char size[16], name[PATH_LEN];
    (void)flockfile(stdout);
    if (s->t->json) {
        (void)printf("{\"given\":{\"file\":");
        json_text(stdout, g->path);
        (void)printf(",\"from\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"size\":%" PRIu64
                     ",\"cut\":%s}}\n",
                     g->from, g->to - g->from, g->size, g->cut ? "true" : "false");
    } else {
        text_bytes(size, g->to - g->from);
        (void)snprintf(name, sizeof(name), "%s", g->path);
        text_tame(name);
        (void)printf("given      %s, %s%s%s\n", name, size,
                     g->to - g->from < g->size ? " of it" : "", g->cut ? ", then cut off" : "");
    }
    (void)fflush(stdout);
    (void)funlockfile(stdout);
}

static void show_address(struct sharing *s, const char *address)
{
    const struct tool *t = s->t;
    char url[QUDAG_DARK_TEXT_MAX + 16], size[16];
    (void)snprintf(url, sizeof(url), "http://%s/", address);
    (void)flockfile(stdout);
    if (t->json) {
        (void)printf("{\"share\":{\"address\":\"%s\",\"url\":\"%s\",\"name\":", address, url);
        json_text(stdout, s->tree.name);
        (void)printf(",\"files\":%zu,\"bytes\":%" PRIu64 ",\"once\":%s}}\n", s->files.n,
                     s->files.bytes, s->once ? "true" : "false");
    } else {
        text_bytes(size, s->files.bytes);
        (void)printf("shared     %s: %zu %s, %s%s\naddress    %s\nurl        %s\n", s->tree.name,
                     s->files.n, s->files.n == 1 ? "file" : "files", size,
                     s->files.more ? " (some cannot be listed)" : "", address, url);
        if (s->qr && !qr_terminal(stdout, url, t->tty)) {
            (void)printf("qr         failed: out of memory\n");
        }
        (void)printf("until      %s; qudag fetch %s gets it\n",
                     s->once ? "it was fetched once, or Ctrl-C" : "Ctrl-C", address);
    }
    (void)fflush(stdout);
    (void)funlockfile(stdout);
}

static void write_svg(const struct sharing *s, const char *address)
{
    char url[QUDAG_DARK_TEXT_MAX + 16], *text = NULL;
    size_t len = 0;
    (void)snprintf(url, sizeof(url), "http://%s/", address);
    FILE *to = open_memstream(&text, &len);
    bool drawn = to != NULL && qr_svg(to, url);
    drawn = to != NULL && fclose(to) == 0 && drawn;
    int err = drawn ? file_write_atomic(s->svg, text, len, 0644) : ENOMEM;
    free(text);
    if (err != 0) {
        (void)fprintf(stderr, "qudag: --qr-svg: %s: %s; the share goes on without it\n", s->svg,
                      strerror(err));
    }
}

static void on_row(struct tool *t, const struct rec_view *v, void *user)
{
    struct sharing *s = user;
    const char *address = rec_get_str(v, "address"), *problem = rec_get_str(v, "problem");
    if (v->type == REC_PROGRESS && problem != NULL) {
        (void)snprintf(s->problem, sizeof(s->problem), "%s", problem);
        if (t->json) {
            json_line(t, "progress", v);
        } else if (problem[0] != 0) {
            (void)fprintf(stderr, "waiting    the address is not published yet: %s\n", problem);
        }
    }
    if (v->type != REC_ROW || address == NULL || s->shown) {
        return;
    }
    s->shown = true;
    if (s->svg != NULL) {
        write_svg(s, address);
    }
    show_address(s, address);
}

/* ------------------------------------------------------------------ beginning and end */

static bool share_args(struct sharing *s, int argc, char **argv)
{
    enum { ONCE, QR, SVG, NAME, HIDDEN, WAIT };
    static const struct opt opts[] = {
        [ONCE] = {"--once", NULL},   [QR] = {"--qr", NULL},         [SVG] = {"--qr-svg", "FILE"},
        [NAME] = {"--name", "NAME"}, [HIDDEN] = {"--hidden", NULL}, [WAIT] = {"--timeout", "S"},
    };
    struct args a = {.t = s->t,
                     .what = "share",
                     .argc = argc,
                     .argv = argv,
                     .opts = opts,
                     .n = sizeof(opts) / sizeof(opts[0])};
    const char *fault = NULL;
    for (int got; fault == NULL && (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return false;
        }
        s->once = s->once || got == ONCE;
        s->qr = s->qr || got == QR;
        s->hidden = s->hidden || got == HIDDEN;
        s->svg = got == SVG ? a.value : s->svg;
        s->name = got == NAME ? a.value : s->name;
        if (got == WAIT && !parse_number(a.value, 1, 3600, &s->timeout_s)) {
            fault = "--timeout takes seconds, 1 to 3600";
        }
        if (got == ARGS_WORD) {
            fault = s->path != NULL ? "share takes one file or folder" : NULL;
            s->path = a.value;
        }
    }
    if (fault == NULL && (s->path == NULL || s->path[0] == 0)) {
        fault = "share: which file or folder?";
    } else if (fault == NULL && s->name != NULL &&
               (s->name[0] == 0 || strlen(s->name) > QUDAG_NAME_MAX ||
                strchr(s->name, '/') != NULL)) {
        fault = "--name: 1 to 200 bytes without a slash";
    }
    if (fault != NULL) {
        (void)tool_usage(s->t, fault);
    }
    return fault == NULL;
}

static int share_open(struct sharing *s)
{
    char message[PATH_LEN + 100];
    int err = share_tree_open(&s->tree, s->path, s->name, s->hidden);
    if (err != 0) {
        (void)snprintf(message, sizeof(message), "%.900s: %s", s->path,
                       err == ENOTSUP ? "neither a file nor a folder" : strerror(err));
        return tool_error(s->t, err == ENOENT ? TOOL_NOT_FOUND : TOOL_USAGE, "FILE", message,
                          "check its name and who may read it");
    }
    if (!share_tree_files(&s->tree, &s->files)) {
        return tool_error(s->t, TOOL_FAILED, "NO_MEMORY", "out of memory", "share less at once");
    }
    if (s->files.n == 0) {
        (void)snprintf(message, sizeof(message), "%.900s holds no file that can be shared",
                       s->path);
        return tool_error(s->t, TOOL_USAGE, "EMPTY", message,
                          "links and devices are left out, and what begins with a dot unless "
                          "--hidden is given");
    }
    return TOOL_OK;
}

/* 0 or an errno; EADDRINUSE: that name is taken. */
static int bind_at(int fd, const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(sa.sun_path)) {
        return ENAMETOOLONG;
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    mode_t old = umask(0177);
    int err = bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0 ? 0 : errno;
    (void)umask(old);
    return err;
}

/* A socket beside that of the daemon, which must be able to connect: it is not always the same user's (root asks). */
static int share_listen(struct sharing *s)
{
    char name[32], path[PATH_LEN];
    struct stat daemon;
    uint8_t random[3];
    int err = EADDRINUSE;
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0 || !path_join(path, s->t->dir, "control.sock") || stat(path, &daemon) != 0) {
        return errno;
    }
    for (unsigned tries = 0; err == EADDRINUSE && tries < 8; tries++) {
        if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
            return errno;
        }
        (void)snprintf(name, sizeof(name), "share-%02x%02x%02x", random[0], random[1], random[2]);
        err = path_join(path, s->t->dir, name) ? bind_at(s->fd, path) : ENAMETOOLONG;
    }
    if (err != 0) {
        return err;
    }
    memcpy(s->socket, path, sizeof(s->socket));
    err = daemon.st_uid != geteuid() ? file_give(path, daemon.st_uid) : 0; /* whose folder it is */
    return err == 0 && listen(s->fd, BACKLOG) != 0 ? errno : err;
}

static int share_serve(struct sharing *s)
{
    (void)ask_begin(s->t, "status"); /* without a daemon there is no need to begin */
    int code = ask(s->t, -1, NULL, NULL);
    if (code != TOOL_OK) {
        return code;
    }
    int err = share_listen(s);
    if (err == 0) {
        s->http = share_http_new(&s->tree, &s->files, s->fd, on_given, s);
        err = s->http == NULL ? ENOMEM : 0;
        s->fd = s->http == NULL ? s->fd : -1;
    }
    return err == 0 ? TOOL_OK
                    : tool_error(s->t, TOOL_FAILED, "SERVER", strerror(err),
                                 "the server of the share could not be started");
}

static void share_close(struct sharing *s)
{
    share_http_free(s->http);
    if (s->fd >= 0) {
        close(s->fd);
    }
    if (s->socket[0] != 0) {
        (void)unlink(s->socket);
    }
    share_files_free(&s->files);
    share_tree_close(&s->tree);
}

/* Ctrl-C ends the share in order, and once more at once. */
static void catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &sa, NULL);
    (void)sigaction(SIGTERM, &sa, NULL);
    (void)sigaction(SIGHUP, &sa, NULL);
}

static int share_ended(const struct sharing *s)
{
    char message[300];
    bool fetched = s->once && share_http_over(s->http);
    if (!s->shown && stop_asked == 0) {
        (void)snprintf(message, sizeof(message), "the address was not published in %d s%s%s",
                       (int)s->timeout_s, s->problem[0] == 0 ? "" : ": ", s->problem);
        return tool_error(s->t, TOOL_UNREACHABLE, "QUDAG_ETIMEOUT", message,
                          "qudag status shows whether this node is well; --timeout waits longer");
    }
    if (s->t->json) {
        (void)printf("{\"ended\":{\"why\":\"%s\"}}\n", fetched ? "fetched" : "stopped");
    } else {
        (void)printf("ended      %s\n", fetched ? "it was fetched" : "stopped");
    }
    return TOOL_OK;
}

static int share_expose(struct sharing *s)
{
    struct tool *t = s->t;
    rec_str(ask_begin(t, "share"), "socket", share_path_last(s->socket));
    t->stops = stops;
    t->stops_ctx = s;
    s->began_ns = mono_ns();
    if (!t->json) { /* it may take a minute */
        (void)fprintf(stderr, "publishing %s\n", s->tree.name);
    }
    int code = ask(t, -1, on_row, s);
    return code == TOOL_OK ? share_ended(s) : code;
}

int run_share(struct tool *t, int argc, char **argv)
{
    struct sharing s = {.t = t, .fd = -1, .timeout_s = 60, .tree = {.root = -1}};
    if (!share_args(&s, argc, argv)) {
        return TOOL_USAGE;
    }
    catch_signals();
    int code = share_open(&s);
    code = code == TOOL_OK ? share_serve(&s) : code;
    code = code == TOOL_OK ? share_expose(&s) : code;
    share_close(&s);
    return code;
}
