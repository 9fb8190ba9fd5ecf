/*
 * cmd_fetch.c - fetch: what somebody shares, without a browser.
 *
 *   the list of the share ─▶ what of it, and where to ─▶ what is here already, what is in the way ─▶ file by file
 *
 * Whatever ends it, the same command goes on where it was: what has its hash is here, and parts are kept.
 */
#include "tool.h"

#include "dial.h"
#include "fetch.h"

#include <qudag/dark.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define GIVE_UP_S 300 /* without a byte */
#define PAUSE_MAX_S 15
#define SHOW_NS UINT64_C(200000000) /* between two lines of progress */

struct item {
    const struct manifest_file *file;
    char *local; /* path below the folder */
    bool here, replaces;
};

struct fetching {
    struct tool *t;
    char host[QUDAG_DARK_TEXT_MAX], want[PATH_LEN];
    const char *dir;
    bool replace;
    int top;
    unsigned folders;                       /* that may still be made */
    char key[33];                           /* of isolation: no other fetch shares its circuits */
    char door[QUDAG_PROXY_LISTEN_TEXT_MAX]; /* where the proxy is; "": to be asked for */
    struct fetch_site site;
    struct outcome dialled; /* the last attempt */
    struct manifest list;
    struct item *item;
    size_t n, n_here;
    uint64_t bytes, done; /* of all items; of those that are here, and the part at work */
    uint64_t resumed, heard_ns, shown_ns;
    struct bar bar;
    struct fetch_file file;
    const struct item *at;
};

static int fail(struct fetching *f, enum tool_exit code, const char *error, const char *message,
                const char *hint)
{
    bar_end(&f->bar);
    return tool_error(f->t, code, error, message, hint);
}

static int fail_file(struct fetching *f, const struct item *it, int err)
{
    char message[PATH_LEN + 200];
    const char *what = err == EWOULDBLOCK ? "another fetch is at work on it"
                       : err == EEXIST    ? "something of that name is there now"
                                          : strerror(err);
    (void)snprintf(message, sizeof(message), "%.400s/%.500s: %s", f->dir, it->local, what);
    return fail(f, TOOL_FAILED, "FILE", message,
                err == ENOSPC ? "make room; the same command goes on where it was" : "");
}

/* ------------------------------------------------------------------ connections */

static bool on_dial(void *ctx, int fd)
{
    struct fetching *f = ctx;
    return dial_ask(fd, f->host, 80, f->key, &f->dialled);
}

/* As fetch_get(), at the proxy that the daemon has now: after a restart it may be at another port. */
static enum fetch_end get(struct fetching *f, const char *path, uint64_t from,
                          bool (*sink)(void *ctx, const void *bytes, size_t len), long *status)
{
    *status = 0;
    if (f->door[0] == 0 && !dial_where(f->t, f->door, &f->dialled)) {
        return FETCH_DIAL;
    }
    outcome_fail(&f->dialled, TOOL_NO_DAEMON, "NO_PROXY", "the proxy of the daemon does not answer",
                 "qudag status shows whether the daemon runs");
    enum fetch_end end = fetch_get(&f->site, path, from, sink, f, status);
    if (end == FETCH_DIAL) {
        f->door[0] = 0;
    }
    return end;
}

static void show_retry(struct fetching *f, enum fetch_end end)
{
    const char *why = end == FETCH_DIAL ? f->dialled.message : "the connection was cut off";
    if (f->t->json) {
        (void)printf("{\"progress\":{\"state\":\"retrying\",\"why\":");
        json_text(stdout, why);
        (void)printf("}}\n");
    } else {
        bar_end(&f->bar);
        (void)printf("retrying   %s\n", why);
    }
    (void)fflush(stdout);
}

/* Whether to try again after |end|, and waits before that. */
static bool again(struct fetching *f, enum fetch_end end, unsigned *tries)
{
    int code = f->dialled.code;
    bool lasting = end == FETCH_DIAL && (code == TOOL_USAGE || code == TOOL_NO_DAEMON ||
                                         code == TOOL_REFUSED || code == TOOL_NOT_FOUND);
    uint64_t silent = mono_ns() - f->heard_ns;
    if (lasting || silent > GIVE_UP_S * UINT64_C(1000000000)) {
        return false;
    }
    unsigned pause = *tries > 4 ? PAUSE_MAX_S : 1u << *tries;
    pause = pause > PAUSE_MAX_S ? PAUSE_MAX_S : pause;
    if ((*tries)++ == 0) {
        show_retry(f, end);
    }
    (void)nanosleep(&(struct timespec){.tv_sec = pause}, NULL);
    return true;
}

static int fail_connection(struct fetching *f, enum fetch_end end)
{
    const struct outcome *o = &f->dialled;
    if (end == FETCH_DIAL) {
        return fail(f, (enum tool_exit)o->code, o->error, o->message, o->hint);
    }
    return fail(f, TOOL_UNREACHABLE, "CUT",
                "the connection is cut off again and again, or nothing comes",
                "the same command goes on where it was");
}

/* ------------------------------------------------------------------ the list */

static bool on_list(void *ctx, const void *bytes, size_t len)
{
    struct fetching *f = ctx;
    f->heard_ns = mono_ns();
    return manifest_push(&f->list, bytes, len);
}

static int get_list(struct fetching *f)
{
    unsigned tries = 0;
    for (;;) {
        long status;
        manifest_fini(&f->list);
        f->heard_ns = tries == 0 ? mono_ns() : f->heard_ns;
        enum fetch_end end = get(f, MANIFEST_PATH, 0, on_list, &status);
        if (end == FETCH_OK && manifest_complete(&f->list)) {
            return TOOL_OK;
        }
        if (end == FETCH_OK || end == FETCH_SINK || (end == FETCH_STATUS && status != 503)) {
            return fail(f, TOOL_NOT_FOUND, "NO_SHARE",
                        "what answers at that address is not a share: it offers no list of files "
                        "with their hashes",
                        "a web site is opened with a browser, or curl, through the proxy");
        }
        if (end == FETCH_DIAL ||
            !again(f, end, &tries)) { /* nothing is lost yet: no need to insist */
            return fail_connection(f, end);
        }
    }
}

/* Where |path| goes: below a folder of the share's name, or of the one that was asked for; false: it is not wanted. */
static bool local_path(const struct fetching *f, const char *path, char out[PATH_LEN])
{
    char whole[2 * PATH_LEN];
    size_t len = strlen(f->want);
    bool alone = f->list.n == 1 && strchr(path, '/') == NULL;
    if (len > 0 && (strncmp(path, f->want, len) != 0 || (path[len] != 0 && path[len] != '/'))) {
        return false;
    }
    if (len > 0) { /* from the last name of what was asked for on */
        (void)snprintf(whole, sizeof(whole), "%s", path + (share_path_last(f->want) - f->want));
    } else {
        (void)snprintf(whole, sizeof(whole), "%s%s%s", alone ? "" : f->list.name, alone ? "" : "/",
                       path);
    }
    return share_path_harmless(out, whole);
}

static int choose(struct fetching *f)
{
    char local[PATH_LEN], message[PATH_LEN + 60];
    f->item = calloc(f->list.n + 1, sizeof(*f->item));
    for (size_t ix = 0; f->item != NULL && ix < f->list.n; ix++) {
        if (!local_path(f, f->list.file[ix].path, local)) {
            continue;
        }
        struct item *it = &f->item[f->n];
        *it = (struct item){.file = &f->list.file[ix], .local = strdup(local)};
        if (it->local == NULL) {
            return fail(f, TOOL_FAILED, "NO_MEMORY", "out of memory", "");
        }
        f->n++;
        f->bytes += it->file->size;
    }
    if (f->item == NULL) {
        return fail(f, TOOL_FAILED, "NO_MEMORY", "out of memory", "");
    }
    if (f->n == 0) {
        (void)snprintf(message, sizeof(message), "the share has no %.900s",
                       f->want[0] == 0 ? "files" : f->want);
        text_tame(message);
        return fail(f, TOOL_NOT_FOUND, "NOT_FOUND", message,
                    "fetch the address alone for all of it");
    }
    return TOOL_OK;
}

/* ------------------------------------------------------------------ the folder */

static bool may_replace(const struct fetching *f, const struct item *it)
{
    char line[16];
    if (f->replace || f->t->json || isatty(STDIN_FILENO) != 1 || !f->t->tty) {
        return f->replace;
    }
    (void)printf("%s/%s is there with another content.  Replace it? [y/N] ", f->dir, it->local);
    (void)fflush(stdout);
    return fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

static int look(struct fetching *f, struct item *it)
{
    char message[PATH_LEN + 600];
    unsigned none = 0; /* nothing is made before it is known that all of it can be fetched */
    int dir = fetch_folder(f->top, it->local, &none);
    if (dir < 0 && dir != -ENOENT) {
        return fail_file(f, it, -dir);
    }
    enum fetch_there there = FETCH_FREE;
    if (dir >= 0) {
        there = fetch_look(dir, share_path_last(it->local), it->file->size, it->file->hash);
        close(dir);
    }
    if (there == FETCH_OTHER && !may_replace(f, it)) {
        (void)snprintf(message, sizeof(message), "%.400s/%.500s is there with another content",
                       f->dir, it->local);
        return fail(f, TOOL_REFUSED, "EXISTS", message,
                    "--replace replaces it; -o DIR fetches to another folder");
    }
    it->here = there == FETCH_SAME;
    it->replaces = there == FETCH_OTHER;
    f->n_here += it->here;
    f->done += it->here ? it->file->size : 0;
    return TOOL_OK;
}

static int look_all(struct fetching *f)
{
    char message[PATH_LEN + 100], need[16], there[16];
    struct statvfs disk;
    int code = TOOL_OK;
    int err = dir_make(f->dir, 0777);
    f->top = err == 0 ? open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (f->top < 0) {
        (void)snprintf(message, sizeof(message), "%.900s: %s", f->dir,
                       strerror(err == 0 ? errno : err));
        return fail(f, TOOL_USAGE, "FILE", message, "-o names the folder to fetch to");
    }
    for (size_t ix = 0; code == TOOL_OK && ix < f->n; ix++) {
        code = look(f, &f->item[ix]);
    }
    if (code == TOOL_OK && fstatvfs(f->top, &disk) == 0 &&
        (f->bytes - f->done) / disk.f_frsize > disk.f_bavail) {
        text_bytes(need, f->bytes - f->done);
        text_bytes(there, (uint64_t)disk.f_bavail * disk.f_frsize);
        (void)snprintf(message, sizeof(message), "that takes %s, and %.800s has %s left", need,
                       f->dir, there);
        return fail(f, TOOL_FAILED, "DISK_FULL", message, "make room, or fetch a part of it");
    }
    return code;
}

/* ------------------------------------------------------------------ the files */

static void show(struct fetching *f, bool now)
{
    uint64_t have = f->done + f->file.have;
    if (!now && mono_ns() - f->shown_ns < SHOW_NS) {
        return;
    }
    f->shown_ns = mono_ns();
    if (!f->t->json) {
        bar_show(f->t, &f->bar, have, f->bytes);
        return;
    }
    (void)printf("{\"progress\":{\"state\":\"fetching\",\"file\":");
    json_text(stdout, f->at->local);
    (void)printf(",\"received\":%" PRIu64 ",\"size\":%" PRIu64 ",\"resumed\":%" PRIu64 "}}\n", have,
                 f->bytes, f->resumed);
    (void)fflush(stdout);
}

static bool on_bytes(void *ctx, const void *bytes, size_t len)
{
    struct fetching *f = ctx;
    f->heard_ns = mono_ns();
    bool took = fetch_file_add(&f->file, bytes, len);
    show(f, false);
    return took;
}

/* Bytes until the file has its size.  TOOL_OK, or the user has been told. */
static int get_bytes(struct fetching *f, const struct item *it)
{
    char url[SHARE_URL_MAX];
    unsigned tries = 0;
    bool asked = false;
    share_path_encode(url, it->file->path);
    while (f->file.have < f->file.size || (f->file.size == 0 && !asked)) {
        long status;
        uint64_t before = f->file.have;
        enum fetch_end end = get(f, url, before, on_bytes, &status);
        tries = f->file.have > before ? 0 : tries;
        asked = end == FETCH_OK;
        if (end == FETCH_SINK && f->file.err != EFBIG) {
            return fail_file(f, it, f->file.err);
        }
        bool changed = end == FETCH_SINK || (end == FETCH_STATUS && status != 503) ||
                       (end == FETCH_OK && f->file.have < f->file.size);
        if (changed) {
            return fail(f, TOOL_NOT_FOUND, "CHANGED",
                        status == 404 ? "the share does not have a file of its list any more"
                                      : "a file of the share changed while it was fetched",
                        "the same command fetches what it is now");
        }
        if (end != FETCH_OK && !again(f, end, &tries)) {
            return fail_connection(f, end);
        }
    }
    return TOOL_OK;
}

/* The file is open: gets it, checks it, puts it in its place. */
static int get_open(struct fetching *f, const struct item *it)
{
    bool resumed = f->file.have > 0;
    f->resumed += f->file.have;
    int code = get_bytes(f, it);
    int err = code == TOOL_OK ? fetch_file_done(&f->file, it->replaces) : 0;
    if (code != TOOL_OK || err == 0) {
        return code;
    }
    if (err != EBADMSG) {
        return fail_file(f, it, err);
    }
    return fail(f, TOOL_FAILED, "HASH_DIFFERS",
                resumed ? "what was fetched earlier and now does not have the hash of the share's "
                          "list, and was thrown away"
                        : "what was fetched does not have the hash of the share's list, and was "
                          "thrown away",
                "fetch it again; if it stays so, the share is not to be trusted");
}

static int get_file(struct fetching *f, const struct item *it)
{
    int dir = fetch_folder(f->top, it->local, &f->folders);
    if (dir == -ENOENT && f->folders == 0) {
        return fail(f, TOOL_REFUSED, "TOO_MANY_FOLDERS",
                    "the list names files in more than 20,000 folders, which no share has",
                    "a part of it can be fetched: qudag fetch ADDRESS/FOLDER");
    }
    if (dir < 0) {
        return fail_file(f, it, -dir);
    }
    f->at = it;
    int err =
        fetch_file_open(&f->file, dir, share_path_last(it->local), it->file->size, it->file->hash);
    int code = err != 0 ? fail_file(f, it, err) : get_open(f, it);
    fetch_file_close(&f->file);
    (void)fsync(dir);
    close(dir);
    if (code == TOOL_OK) {
        f->done += it->file->size;
        f->file.have = 0;
        show(f, true);
    }
    return code;
}

static void report(struct fetching *f, uint64_t took_ns)
{
    char size[16], took[16];
    bar_end(&f->bar);
    if (f->t->json) {
        (void)printf("{\"fetched\":{\"files\":%zu,\"bytes\":%" PRIu64 ",\"already\":%zu,"
                     "\"resumed\":%" PRIu64 ",\"left_out\":%s,\"took_ns\":%" PRIu64 ",\"paths\":[",
                     f->n, f->bytes, f->n_here, f->resumed, f->list.left_out ? "true" : "false",
                     took_ns);
        for (size_t ix = 0; ix < f->n; ix++) {
            (void)fputs(ix == 0 ? "" : ",", stdout);
            json_text(stdout, f->item[ix].local);
        }
        (void)printf("]}}\n");
        return;
    }
    text_bytes(size, f->bytes);
    text_ns(took, took_ns);
    (void)printf("fetched    %zu %s, %s in %s; each has the hash of the share's list\n", f->n,
                 f->n == 1 ? "file" : "files", size, took);
    (void)printf("in         %s/%s%s\n", f->dir, f->n == 1 ? f->item[0].local : "",
                 f->n_here == 0 ? "" : "  (some were there already)");
    if (f->list.left_out) {
        (void)printf("not        everything: the share could not list all of its files\n");
    }
}

static int fetch_all(struct fetching *f)
{
    uint64_t began = mono_ns();
    int code = get_list(f);
    code = code == TOOL_OK ? choose(f) : code;
    code = code == TOOL_OK ? look_all(f) : code;
    bar_restart(&f->bar);
    for (size_t ix = 0; code == TOOL_OK && ix < f->n; ix++) {
        f->heard_ns = mono_ns();
        code = f->item[ix].here ? TOOL_OK : get_file(f, &f->item[ix]);
    }
    if (code == TOOL_OK) {
        if (f->n == f->list.n && !f->list.left_out) {
            (void)fetch_post(
                &f->site, MANIFEST_DONE_PATH); /* a share --once ends by it at once, else later */
        }
        report(f, mono_ns() - began);
    }
    return code;
}

/* ------------------------------------------------------------------ the command */

/* ADDRESS, ADDRESS/PATH, or either as a URL. */
static int take_target(struct fetching *f, const char *target)
{
    bool folder;
    const char *at = strncmp(target, "http://", 7) == 0 ? target + 7 : target;
    size_t len = strcspn(at, "/");
    if (len >= sizeof(f->host)) {
        len = sizeof(f->host) - 1;
    }
    memcpy(f->host, at, len);
    f->host[len] = 0;
    if (strchr(f->host, ':') != NULL) {
        return tool_error(f->t, TOOL_USAGE, "USAGE", "a share is at port 80 of its address",
                          "give the address without a port");
    }
    int code = check_address(f->t, f->host);
    if (code == TOOL_OK && !share_path_decode(f->want, &folder, at + len)) {
        return tool_error(f->t, TOOL_USAGE, "USAGE", "that path behind the address is malformed",
                          "it is as in the browser: names, '/' between them, and %20 for a space");
    }
    return code;
}

static int fetch_args(struct fetching *f, int argc, char **argv)
{
    enum { OUT, REPLACE };
    static const struct opt opts[] = {[OUT] = {"-o", "DIR"}, [REPLACE] = {"--replace", NULL}};
    struct args a = {.t = f->t, .what = "fetch", .argc = argc, .argv = argv, .opts = opts, .n = 2};
    const char *target = NULL;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        if (got == ARGS_WORD && target != NULL) {
            return tool_usage(f->t, "fetch takes one address");
        }
        target = got == ARGS_WORD ? a.value : target;
        f->dir = got == OUT ? a.value : f->dir;
        f->replace = f->replace || got == REPLACE;
    }
    return target == NULL ? tool_usage(f->t, "fetch: from which address?") : take_target(f, target);
}

static bool fetch_key(char key[33])
{
    uint8_t random[16];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return false;
    }
    for (size_t ix = 0; ix < sizeof(random); ix++) {
        (void)snprintf(key + 2 * ix, 3, "%02x", random[ix]);
    }
    return true;
}

int run_fetch(struct tool *t, int argc, char **argv)
{
    static struct fetching f; /* its list holds a long line */
    f = (struct fetching){
        .t = t, .dir = ".", .top = -1, .folders = FETCH_FOLDERS_MAX, .file.fd = -1};
    manifest_init(&f.list);
    int code = fetch_args(&f, argc, argv);
    if (code == TOOL_OK) {
        f.site = (struct fetch_site){.host = f.host, .door = f.door, .dial = on_dial, .ctx = &f};
        code = fetch_key(f.key) && fetch_site_open(&f.site)
                   ? fetch_all(&f)
                   : tool_error(t, TOOL_FAILED, "NO_MEMORY", "out of memory", "");
    }
    fetch_site_close(&f.site);
    for (size_t ix = 0; ix < f.n; ix++) {
        free(f.item[ix].local);
    }
    free(f.item);
    manifest_fini(&f.list);
    if (f.top >= 0) {
        close(f.top);
    }
    return code;
}
