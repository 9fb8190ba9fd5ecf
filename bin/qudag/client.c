/* client.c - the tool's end of the control socket. */
#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_S 180 /* for the next word of the daemon */
#define STOP_MS 200    /* how often a command is asked whether it stops */

struct line {
    int fd;
    uint64_t deadline_ns; /* as in struct tool */
    const struct tool *t;
    size_t len, used;
    uint8_t buf[REC_FRAME_HEAD + REC_MAX];
};

struct rec *ask_begin(struct tool *t, const char *cmd)
{
    rec_begin(t->rec, REC_REQUEST);
    rec_str(t->rec, "cmd", cmd);
    return t->rec;
}

void outcome_fail(struct outcome *out, int code, const char *error, const char *message,
                  const char *hint)
{
    out->code = code;
    (void)snprintf(out->error, sizeof(out->error), "%s", error);
    (void)snprintf(out->message, sizeof(out->message), "%s", message);
    (void)snprintf(out->hint, sizeof(out->hint), "%s", hint);
}

/* How the daemon of |dir| is started: a node of a lab with its lab, so that it finds the others. */
static void start_hint(char *hint, size_t len, const char *dir)
{
    char top[PATH_LEN];
    unsigned nodes = lab_of(dir, top);
    if (nodes > 0) {
        (void)snprintf(hint, len, "it is a node of a lab; start it with: qudag --dir %s lab up %u",
                       top, nodes);
    } else {
        (void)snprintf(hint, len, "start it with: qudag --dir %s up", dir);
    }
}

static int connect_to(const char *dir, struct outcome *out)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char path[PATH_LEN], message[PATH_LEN + 64], hint[PATH_LEN + 96];
    if (!path_join(path, dir, "control.sock") || strlen(path) >= sizeof(sa.sun_path)) {
        outcome_fail(out, TOOL_USAGE, "PATH_TOO_LONG",
                     "the state folder's path is too long for a socket", "choose a shorter --dir");
        return -1;
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0) {
        return fd;
    }
    int err = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (err == EACCES) {
        (void)snprintf(message, sizeof(message), "the socket %s belongs to another user", path);
        outcome_fail(out, TOOL_REFUSED, "DAEMON_NOT_OURS", message,
                     "ask as the user that runs the daemon, or as root");
        return -1;
    }
    long pid = daemon_pid(dir);
    if (pid != 0) {
        (void)snprintf(message, sizeof(message),
                       "qudagd runs (pid %ld) but does not answer at %s%s", pid, path,
                       err == ENOENT ? ": the socket was removed" : "");
        (void)snprintf(hint, sizeof(hint), "end it with: kill %ld   then start it again", pid);
        outcome_fail(out, TOOL_FAILED, "DAEMON_NO_SOCKET", message, hint);
        return -1;
    }
    (void)snprintf(message, sizeof(message), "qudagd is not running: nothing answers at %s%s", path,
                   err == ENOENT ? " (there is no socket)" : "");
    start_hint(hint, sizeof(hint), dir);
    outcome_fail(out, TOOL_NO_DAEMON, "DAEMON_NOT_RUNNING", message, hint);
    return -1;
}

bool daemon_answers(const char *dir)
{
    struct outcome out;
    int fd = connect_to(dir, &out);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 || out.code == TOOL_REFUSED;
}

static bool send_frame(int fd, struct rec *r, int pass)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } ctl = {0};
    size_t len = rec_frame(r), at = 0;
    struct iovec iov;
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (pass >= 0) {
        msg.msg_control = ctl.room;
        msg.msg_controllen = sizeof(ctl.room);
        struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &pass, sizeof(int));
    }
    while (at < len) {
        iov = (struct iovec){.iov_base = r->buf + at, .iov_len = len - at};
        ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        at += (size_t)n;
        msg.msg_control = NULL;
        msg.msg_controllen = 0;
    }
    return len > 0;
}

enum heard { HEARD_RECORD, HEARD_NOTHING, HEARD_END, HEARD_STOP };

/* Waits for bytes until l->deadline_ns (0: for PATIENCE_S), or until the command wants to stop. */
static enum heard wait_for(const struct line *l)
{
    for (;;) {
        uint64_t now = mono_ns(), left = PATIENCE_S * UINT64_C(1000000000);
        if (l->deadline_ns != 0) {
            left = l->deadline_ns > now ? l->deadline_ns - now : 0;
        }
        bool watch = l->t->stops != NULL;
        if (watch && l->t->stops(l->t->stops_ctx)) {
            return HEARD_STOP;
        }
        struct pollfd p = {.fd = l->fd, .events = POLLIN};
        int n = poll(&p, 1, watch ? STOP_MS : (int)(left / 1000000 + 1));
        if (n > 0) {
            return HEARD_RECORD;
        }
        if ((n == 0 && !watch) || (n < 0 && errno != EINTR)) {
            return HEARD_NOTHING;
        }
    }
}

/* The next record.  HEARD_END: the daemon is gone or talks nonsense. */
static enum heard next(struct line *l, struct rec_view *v)
{
    memmove(l->buf, l->buf + l->used, l->len - l->used);
    l->len -= l->used;
    l->used = 0;
    for (;;) {
        size_t frame = rec_frame_len(l->buf, l->len);
        if (frame == SIZE_MAX) {
            return HEARD_END;
        }
        if (frame != 0) {
            l->used = frame;
            return rec_parse(v, l->buf + REC_FRAME_HEAD, frame - REC_FRAME_HEAD) ? HEARD_RECORD
                                                                                 : HEARD_END;
        }
        enum heard heard = wait_for(l);
        if (heard != HEARD_RECORD) {
            return heard;
        }
        ssize_t n = recv(l->fd, l->buf + l->len, sizeof(l->buf) - l->len, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return HEARD_END;
        }
        l->len += (size_t)n;
    }
}

/* What the daemon answered at the end of a request. */
static void take_end(const struct rec_view *v, struct outcome *out)
{
    const char *error = rec_get_str(v, "error"), *message = rec_get_str(v, "message"),
               *hint = rec_get_str(v, "hint");
    outcome_fail(out, (int)rec_get_int(v, "code", TOOL_FAILED), error == NULL ? "" : error,
                 message == NULL ? "" : message, hint == NULL ? "" : hint);
}

static void no_word(enum heard heard, struct outcome *out)
{
    if (heard == HEARD_STOP) {
        out->code = TOOL_OK;
    } else if (heard == HEARD_NOTHING) {
        outcome_fail(out, TOOL_UNREACHABLE, "TIMEOUT", "the daemon did not answer in time",
                     "qudag status shows whether it still answers");
    } else {
        outcome_fail(out, TOOL_FAILED, "CONTROL",
                     "the daemon closed the connection before it answered",
                     "it was stopped, or dropped this client; its log says which");
    }
}

static bool greet(struct line *l, struct outcome *out)
{
    struct rec_view v;
    static struct rec hello;
    enum heard heard = next(l, &v);
    if (heard != HEARD_RECORD || v.type != REC_HELLO) {
        no_word(heard, out);
        return false;
    }
    if (rec_get_int(&v, "version", 0) != CTL_VERSION) {
        outcome_fail(out, TOOL_FAILED, "VERSION", "the daemon is of another version than this tool",
                     "restart it: qudag down, qudag up");
        return false;
    }
    rec_begin(&hello, REC_HELLO);
    rec_int(&hello, "version", CTL_VERSION);
    rec_str(&hello, "program", "qudag");
    return send_frame(l->fd, &hello, -1);
}

/* The daemon lets the request wait for others; true: that was all the record says. */
static bool queued(const struct tool *t, const struct rec_view *v, bool *told)
{
    struct rec_field ahead;
    if (t->shows_queued || v->type != REC_PROGRESS || !rec_find(v, "ahead", REC_INT, &ahead)) {
        return false;
    }
    if (!t->json && !*told) {
        (void)fprintf(stderr, "waiting    the daemon is busy; %d requests that wait came before\n",
                      (int)ahead.num);
        *told = true;
    }
    return true;
}

void ask_dir(struct tool *t, const char *dir, int fd, answer_fn fn, void *user, struct outcome *out)
{
    static struct line l;
    struct rec_view v;
    *out = (struct outcome){0};
    if (t->rec->failed) {
        outcome_fail(out, TOOL_USAGE, "TOO_LONG", "the arguments are too long",
                     "a key has at most 128 bytes, a value 4096, a message 32768");
        return;
    }
    l.len = l.used = 0;
    l.deadline_ns = t->deadline_ns;
    l.t = t;
    l.fd = connect_to(dir, out);
    if (l.fd < 0) {
        return;
    }
    bool told = false, ok = greet(&l, out);
    if (ok && !send_frame(l.fd, t->rec, fd)) {
        ok = false;
        outcome_fail(out, TOOL_FAILED, "CONTROL", strerror(errno), "its log says why");
    }
    while (ok) {
        enum heard heard = next(&l, &v);
        if (heard != HEARD_RECORD) {
            no_word(heard, out);
            break;
        }
        if (v.type == REC_END) {
            take_end(&v, out);
            break;
        }
        if (!queued(t, &v, &told) && fn != NULL) {
            fn(t, &v, user);
        }
    }
    close(l.fd);
    explicit_bzero(l.buf, sizeof(l.buf)); /* the answer may have been a key */
}

int ask(struct tool *t, int fd, answer_fn fn, void *user)
{
    struct outcome out;
    ask_dir(t, t->dir, fd, fn, user, &out);
    return out.code == TOOL_OK
               ? TOOL_OK
               : tool_error(t, (enum tool_exit)out.code, out.error, out.message, out.hint);
}
