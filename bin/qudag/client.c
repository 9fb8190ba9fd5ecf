/* client.c - the tool's end of the control socket. */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_S 180 /* for the next word of the daemon */

struct line {
    int fd;
    size_t len, used;
    uint8_t buf[REC_FRAME_HEAD + REC_MAX];
};

struct rec *ask_begin(struct tool *t, const char *cmd)
{
    rec_begin(t->rec, REC_REQUEST);
    rec_str(t->rec, "cmd", cmd);
    return t->rec;
}

static void failed(struct outcome *out, int code, const char *error, const char *message,
                   const char *hint)
{
    out->code = code;
    (void)snprintf(out->error, sizeof(out->error), "%s", error);
    (void)snprintf(out->message, sizeof(out->message), "%s", message);
    (void)snprintf(out->hint, sizeof(out->hint), "%s", hint);
}

static int connect_to(const char *dir, struct outcome *out)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char path[PATH_LEN], message[PATH_LEN + 64], hint[PATH_LEN + 64];
    if (!path_join(path, dir, "control.sock") || strlen(path) >= sizeof(sa.sun_path)) {
        failed(out, TOOL_USAGE, "PATH_TOO_LONG", "the state folder's path is too long for a socket",
               "choose a shorter --dir");
        return -1;
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0) {
        struct timeval patience = {.tv_sec = PATIENCE_S};
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        return fd;
    }
    int err = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (err == EACCES) {
        (void)snprintf(message, sizeof(message), "the socket %s belongs to another user", path);
        failed(out, TOOL_REFUSED, "DAEMON_NOT_OURS", message,
               "ask as the user that runs the daemon, or as root");
        return -1;
    }
    (void)snprintf(message, sizeof(message), "qudagd is not running: nothing answers at %s%s", path,
                   err == ENOENT ? " (there is no socket)" : "");
    (void)snprintf(hint, sizeof(hint), "start it with: qudag --dir %s up", dir);
    failed(out, TOOL_NO_DAEMON, "DAEMON_NOT_RUNNING", message, hint);
    return -1;
}

bool daemon_answers(const char *dir)
{
    struct outcome out;
    int fd = connect_to(dir, &out);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 || out.code != TOOL_NO_DAEMON;
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

/* The next record; false: the daemon is gone or talks nonsense. */
static bool next(struct line *l, struct rec_view *v)
{
    memmove(l->buf, l->buf + l->used, l->len - l->used);
    l->len -= l->used;
    l->used = 0;
    for (;;) {
        size_t frame = rec_frame_len(l->buf, l->len);
        if (frame == SIZE_MAX) {
            return false;
        }
        if (frame != 0) {
            l->used = frame;
            return rec_parse(v, l->buf + REC_FRAME_HEAD, frame - REC_FRAME_HEAD);
        }
        ssize_t n = recv(l->fd, l->buf + l->len, sizeof(l->buf) - l->len, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        l->len += (size_t)n;
    }
}

static bool greet(struct line *l, struct outcome *out)
{
    struct rec_view v;
    static struct rec hello;
    if (!next(l, &v) || v.type != REC_HELLO) {
        failed(out, TOOL_FAILED, "CONTROL", "the daemon hung up",
               "it serves 8 clients at a time: try again in a moment");
        return false;
    }
    if (rec_get_int(&v, "version", 0) != CTL_VERSION) {
        failed(out, TOOL_FAILED, "VERSION", "the daemon is of another version than this tool",
               "restart it: qudag down, qudag up");
        return false;
    }
    rec_begin(&hello, REC_HELLO);
    rec_int(&hello, "version", CTL_VERSION);
    rec_str(&hello, "program", "qudag");
    return send_frame(l->fd, &hello, -1);
}

void ask_dir(struct tool *t, const char *dir, int fd, answer_fn fn, void *user, struct outcome *out)
{
    static struct line l;
    struct rec_view v;
    *out = (struct outcome){0};
    if (t->rec->failed) {
        failed(out, TOOL_USAGE, "TOO_LONG", "the arguments are too long", "");
        return;
    }
    l.len = l.used = 0;
    l.fd = connect_to(dir, out);
    if (l.fd < 0) {
        return;
    }
    bool ok = greet(&l, out);
    if (ok && !send_frame(l.fd, t->rec, fd)) {
        ok = false;
        failed(out, TOOL_FAILED, "CONTROL", strerror(errno), "");
    }
    while (ok) {
        if (!next(&l, &v)) {
            failed(out, TOOL_FAILED, "CONTROL", "the daemon hung up in the middle of the answer",
                   "its log tells why");
            break;
        }
        if (v.type == REC_END) {
            const char *error = rec_get_str(&v, "error"), *message = rec_get_str(&v, "message"),
                       *hint = rec_get_str(&v, "hint");
            failed(out, (int)rec_get_int(&v, "code", TOOL_FAILED), error == NULL ? "" : error,
                   message == NULL ? "" : message, hint == NULL ? "" : hint);
            break;
        }
        if (fn != NULL) {
            fn(t, &v, user);
        }
    }
    close(l.fd);
}

int ask(struct tool *t, int fd, answer_fn fn, void *user)
{
    struct outcome out;
    ask_dir(t, t->dir, fd, fn, user, &out);
    return out.code == TOOL_OK
               ? TOOL_OK
               : tool_error(t, (enum tool_exit)out.code, out.error, out.message, out.hint);
}
