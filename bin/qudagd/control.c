/*
 * control.c - the control socket: clients, frames, requests.
 *
 * What passes may be a key (dark client add, dark authorize), so no buffer is left, or freed, before it is wiped.
 */
#include "control.h"

#include "report.h"
#include "rules.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
    struct control *control;
    uv_poll_t poll;
    int fd, passed_fd; /* passed_fd: came by SCM_RIGHTS, not yet claimed by a request */
    pid_t pid;
    uid_t uid;
    bool greeted, closing;
    bool failed; /* to be dropped; not at once, for its request may be at work right now */
    struct request *rq;
    uint64_t heard_ns, stuck_ns; /* last bytes from it; since when it takes nothing, 0: it does */
    size_t in_len, out_len, out_cap, out_at;
    uint8_t *out;
    uint8_t in[REC_FRAME_HEAD + REC_MAX];
};

struct listener {
    struct control *control;
    uv_poll_t poll;
    int fd;
    dev_t dev; /* of its file, to notice when another took its place */
    ino_t ino;
};

struct control {
    struct daemon *d;
    char path[PATH_LEN];
    struct listener *listener;
    uint64_t pause_ns, check_ns; /* accept again, look at the file again, not before */
    size_t places;               /* of the following, as many as there are descriptors for */
    struct client *client[CONTROL_CLIENTS_MAX];
};

static void on_client_closed(uv_handle_t *h)
{
    struct client *cl = h->data;
    close(cl->fd);
    if (cl->out != NULL) {
        explicit_bzero(cl->out, cl->out_cap);
    }
    free(cl->out);
    explicit_bzero(cl, sizeof(*cl));
    free(cl);
}

static void listen_or_wait(struct control *c);

static void drop(struct client *cl)
{
    if (cl->closing) {
        return;
    }
    cl->closing = true;
    struct control *c = cl->control;
    for (size_t ix = 0; ix < CONTROL_CLIENTS_MAX; ix++) {
        if (c->client[ix] == cl) {
            c->client[ix] = NULL;
        }
    }
    if (cl->passed_fd >= 0) {
        close(cl->passed_fd);
    }
    struct request *rq = cl->rq;
    if (rq != NULL) {
        cl->rq = NULL;
        rq->client = NULL;
        if (rq->abandon != NULL) {
            rq->abandon(rq); /* ends it */
        } else if (rq->op.id != 0) {
            qudag_op op = rq->op;
            request_end(rq, TOOL_FAILED, "", "", "");
            qudag_op_cancel(c->d->node, op); /* its op_done finds nobody waiting */
        } else {
            request_end(rq, TOOL_FAILED, "", "", "");
        }
    }
    uv_close((uv_handle_t *)&cl->poll, on_client_closed);
    listen_or_wait(c);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void rearm(struct client *cl)
{
    int want = UV_READABLE | (cl->out_at < cl->out_len ? UV_WRITABLE : 0);
    if (!cl->closing && uv_poll_start(&cl->poll, want, on_ready) != 0) {
        cl->failed = true;
    }
}

static void flush(struct client *cl)
{
    while (cl->out_at < cl->out_len) {
        ssize_t n = send(cl->fd, cl->out + cl->out_at, cl->out_len - cl->out_at, MSG_NOSIGNAL);
        if (n > 0) {
            cl->out_at += (size_t)n;
            cl->stuck_ns = 0;
            continue;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            cl->stuck_ns = cl->stuck_ns == 0 ? mono_ns() : cl->stuck_ns;
            break;
        }
        cl->failed = true;
        return;
    }
    if (cl->out_at == cl->out_len && cl->out_len > 0) {
        explicit_bzero(cl->out, cl->out_len);
        cl->out_at = cl->out_len = 0;
    }
    rearm(cl);
}

/* Makes room for |len| more bytes; false: it takes too little, or there is no memory. */
static bool make_room(struct client *cl, size_t len)
{
    size_t left = cl->out_len - cl->out_at;
    if (cl->out_len + len <= cl->out_cap) {
        return true;
    }
    bool fits = left + len <= cl->out_cap;
    size_t cap = fits ? cl->out_cap : (left + len) * 2;
    uint8_t *room = left + len > CONTROL_BACKLOG_MAX ? NULL : malloc(cap);
    if (room == NULL) {
        return false;
    }
    if (cl->out != NULL) {
        memcpy(room, cl->out + cl->out_at, left);
        explicit_bzero(cl->out, cl->out_cap);
        free(cl->out);
    }
    cl->out = room;
    cl->out_cap = cap;
    cl->out_len = left;
    cl->out_at = 0;
    return true;
}

static void queue(struct client *cl, const uint8_t *frame, size_t len)
{
    if (cl->closing || cl->failed) {
        return;
    }
    if (!make_room(cl, len)) {
        cl->failed = true;
        return;
    }
    memcpy(cl->out + cl->out_len, frame, len);
    cl->out_len += len;
    flush(cl);
}

/* ------------------------------------------------------------------ answers */

struct rec *request_rec(struct request *rq, enum rec_type type)
{
    rec_begin(rq->d->rec, type);
    return rq->d->rec;
}

void request_send(struct request *rq)
{
    size_t len = rec_frame(rq->d->rec);
    if (rq->client != NULL && len == 0) {
        log_say(&rq->d->log, QUDAG_LOG_ERROR, "control.row", "an answer was too large to send");
    } else if (rq->client != NULL) {
        queue(rq->client, rq->d->rec->buf, len);
    }
    rec_wipe(rq->d->rec);
}

void request_end(struct request *rq, enum tool_exit code, const char *error, const char *message,
                 const char *hint)
{
    struct rec *r = request_rec(rq, REC_END);
    rec_int(r, "code", code);
    rec_str(r, "error", error);
    rec_str(r, "message", message);
    rec_str(r, "hint", hint);
    rec_int(r, "took_ns", (int64_t)(mono_ns() - rq->since_ns));
    request_send(rq);
    if (rq->client != NULL) {
        rq->client->rq = NULL;
        rq->client->heard_ns = mono_ns();
    }
    if (rq->fd >= 0) {
        close(rq->fd);
    }
    explicit_bzero(rq, sizeof(*rq) + rq->len);
    free(rq);
}

/* ------------------------------------------------------------------ requests */

/* The long request of place |ix|, or NULL. */
static struct request *long_at(const struct control *c, size_t ix)
{
    struct request *rq = c->client[ix] == NULL ? NULL : c->client[ix]->rq;
    return rq != NULL && rq->cmd != NULL && rq->cmd->is_long ? rq : NULL;
}

/* What runs and waits beside |but|, whose process is |pid|. */
static struct rules_load load_beside(const struct control *c, const struct request *but, pid_t pid)
{
    struct rules_load load = {.running_max = CONTROL_LONG_MAX,
                              .waiting_max = CONTROL_QUEUE_MAX,
                              .own_max = CONTROL_QUEUE_OWN_MAX};
    for (size_t ix = 0; c != NULL && ix < CONTROL_CLIENTS_MAX; ix++) {
        const struct request *rq = long_at(c, ix);
        if (rq != NULL && rq != but) {
            load.running += !rq->waiting;
            load.waiting += rq->waiting;
            load.own += rq->waiting && c->client[ix]->pid == pid;
        }
    }
    return load;
}

static void tell_queued(struct request *rq, unsigned ahead)
{
    struct rec *r = request_rec(rq, REC_PROGRESS);
    rec_str(r, "state", "queued");
    rec_int(r, "ahead", ahead);
    rq->ahead = ahead;
    rq->told_ns = mono_ns();
    request_send(rq);
}

static unsigned running_of(const struct control *c, pid_t pid)
{
    unsigned n = 0;
    for (size_t ix = 0; ix < CONTROL_CLIENTS_MAX; ix++) {
        const struct request *rq = long_at(c, ix);
        n += rq != NULL && !rq->waiting && c->client[ix]->pid == pid;
    }
    return n;
}

/* The request whose turn is next, or NULL. */
static struct request *next_turn(const struct control *c)
{
    struct rules_waiting w[CONTROL_CLIENTS_MAX];
    struct request *of[CONTROL_CLIENTS_MAX];
    size_t n = 0;
    for (size_t ix = 0; ix < CONTROL_CLIENTS_MAX; ix++) {
        struct request *rq = long_at(c, ix);
        if (rq != NULL && rq->waiting) {
            w[n] = (struct rules_waiting){rq->since_ns, running_of(c, c->client[ix]->pid)};
            of[n++] = rq;
        }
    }
    return n > 0 ? of[rules_next_turn(w, n)] : NULL;
}

unsigned control_sends(const struct control *c)
{
    unsigned n = 0;
    for (size_t ix = 0; c != NULL && ix < CONTROL_CLIENTS_MAX; ix++) {
        const struct request *rq = long_at(c, ix);
        n += rq != NULL && rq->send.id != 0;
    }
    return n;
}

void control_cut(struct control *c)
{
    for (size_t ix = 0; c != NULL && ix < CONTROL_CLIENTS_MAX; ix++) {
        struct request *rq = long_at(c, ix);
        if (rq == NULL || (rq->send.id == 0 && !rq->waiting)) {
            continue;
        }
        if (rq->send.id != 0) {
            (void)qudag_send_cancel(c->d->node, rq->send);
            rq->send.id = 0;
            rq->abandon = NULL;
        }
        request_end(rq, TOOL_FAILED, "STOPPING", "the daemon was stopped before it was delivered",
                    "send it again when the daemon runs");
    }
}

/* How many that wait came before |rq|. */
static unsigned ahead_of(const struct control *c, const struct request *rq)
{
    unsigned n = 0;
    for (size_t ix = 0; ix < CONTROL_CLIENTS_MAX; ix++) {
        const struct request *other = long_at(c, ix);
        n += other != NULL && other->waiting && other->since_ns < rq->since_ns;
    }
    return n;
}

/* Begins those whose turn has come, and tells the others how they stand. */
static void take_turns(struct control *c, uint64_t now_ns)
{
    struct request *rq;
    while (!c->d->stopping && load_beside(c, NULL, 0).running < CONTROL_LONG_MAX &&
           (rq = next_turn(c)) != NULL) {
        rq->waiting = false;
        rq->since_ns = now_ns;
        rq->cmd->run(rq);
    }
    for (size_t ix = 0; ix < CONTROL_CLIENTS_MAX; ix++) {
        rq = long_at(c, ix);
        if (rq == NULL || !rq->waiting) {
            continue;
        }
        unsigned ahead = ahead_of(c, rq);
        uint64_t quiet_ms = (now_ns - rq->told_ns) / 1000000;
        if ((ahead != rq->ahead && quiet_ms >= CONTROL_QUEUE_TELL_MS) ||
            quiet_ms >= CONTROL_QUEUE_WORD_S * 1000) {
            tell_queued(rq, ahead);
        }
    }
}

/* Runs |rq|, or lets it wait, or refuses it. */
static void begin_or_wait(struct request *rq)
{
    const struct control *c = rq->d->control;
    struct rules_load load = load_beside(c, rq, rq->client->pid);
    switch (rules_command_turn(rq->cmd->is_long ? RULES_LONG : RULES_SHORT, &load)) {
    case RULES_TURN_NOW:
        rq->cmd->run(rq);
        break;
    case RULES_TURN_WAIT:
        rq->waiting = true;
        tell_queued(rq, load.waiting);
        break;
    case RULES_TURN_FULL:
        request_end(rq, TOOL_FAILED, "QUDAG_ELIMIT",
                    "too many requests are in progress, and too many wait already",
                    "try again when some have ended");
        break;
    case RULES_TURN_OWN:
        request_end(rq, TOOL_FAILED, "QUDAG_ELIMIT",
                    "too many requests of this program wait already", "wait for one to end");
        break;
    }
}

static bool start(struct client *cl, const struct rec_view *v)
{
    size_t len = v->len;
    struct request *rq = cl->rq != NULL ? NULL : malloc(sizeof(*rq) + len);
    if (rq == NULL) {
        return false; /* a second request before the first's end breaks the protocol */
    }
    *rq = (struct request){
        .d = cl->control->d, .client = cl, .uid = cl->uid, .fd = cl->passed_fd, .len = len};
    cl->passed_fd = -1;
    cl->rq = rq;
    memcpy(rq->bytes, v->base, len);
    rq->args = (struct rec_view){.type = v->type, .base = rq->bytes, .len = len};
    rq->since_ns = mono_ns();
    const char *name = rec_get_str(&rq->args, "cmd");
    rq->cmd = name == NULL ? NULL : command_find(name);
    if (rq->cmd == NULL) {
        request_end(rq, TOOL_USAGE, "UNKNOWN_COMMAND", "this daemon does not know that command",
                    "the tool and the daemon may have different versions: restart the daemon");
        return true;
    }
    if (rq->d->stopping && stop_refuses(rq->cmd)) {
        request_end(rq, TOOL_FAILED, "STOPPING", "the daemon is stopping",
                    "qudag up starts it again once it has ended");
        return true;
    }
    begin_or_wait(rq);
    return true;
}

/* False: it breaks the protocol. */
static bool on_frame(struct client *cl, const struct rec_view *v)
{
    if (!cl->greeted) {
        cl->greeted = v->type == REC_HELLO && rec_get_int(v, "version", 0) == CTL_VERSION;
        return cl->greeted;
    }
    return v->type == REC_REQUEST && start(cl, v);
}

static void on_bytes(struct client *cl)
{
    size_t at = 0;
    while (!cl->closing && !cl->failed) {
        size_t frame = rec_frame_len(cl->in + at, cl->in_len - at);
        if (frame == 0) {
            break;
        }
        struct rec_view v;
        if (frame == SIZE_MAX ||
            !rec_parse(&v, cl->in + at + REC_FRAME_HEAD, frame - REC_FRAME_HEAD) ||
            !on_frame(cl, &v)) {
            drop(cl);
            return;
        }
        at += frame;
    }
    if (at > 0 && !cl->closing) {
        memmove(cl->in, cl->in + at, cl->in_len - at);
        explicit_bzero(cl->in + cl->in_len - at, at);
        cl->in_len -= at;
    }
}

/* Reads, keeping the one descriptor that may come along. */
static ssize_t receive(struct client *cl)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } ctl;
    struct iovec iov = {.iov_base = cl->in + cl->in_len, .iov_len = sizeof(cl->in) - cl->in_len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = ctl.room,
                         .msg_controllen = CMSG_LEN(sizeof(int))}; /* padding would let in two */
    ssize_t n = recvmsg(cl->fd, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0) {
        return n;
    }
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&msg); h != NULL; h = CMSG_NXTHDR(&msg, h)) {
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
            h->cmsg_len == CMSG_LEN(sizeof(int))) {
            if (cl->passed_fd >= 0) {
                close(cl->passed_fd);
            }
            memcpy(&cl->passed_fd, CMSG_DATA(h), sizeof(int));
        }
    }
    return n;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct client *cl = poll->data;
    if (status < 0) {
        drop(cl);
        return;
    }
    if ((events & UV_READABLE) != 0) {
        ssize_t n = receive(cl);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            drop(cl);
            return;
        }
        if (n > 0) {
            cl->in_len += (size_t)n;
            cl->heard_ns = mono_ns();
            on_bytes(cl);
        }
    }
    if (!cl->closing && (events & UV_WRITABLE) != 0) {
        flush(cl);
    }
}

/* ------------------------------------------------------------------ clients */

static bool is_one_of_us(int fd, pid_t *pid, uid_t *uid)
{
    struct ucred who;
    socklen_t len = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0) {
        return false;
    }
    *pid = who.pid;
    *uid = who.uid;
    return rules_control_peer(who.uid, geteuid());
}

static void greet(struct client *cl)
{
    struct rec *r = cl->control->d->rec;
    rec_begin(r, REC_HELLO);
    rec_int(r, "version", CTL_VERSION);
    rec_str(r, "program", "qudagd " QUDAG_VERSION);
    rec_int(r, "pid", getpid());
    size_t len = rec_frame(r);
    if (len > 0) {
        queue(cl, r->buf, len);
    }
}

static struct client **free_place(struct control *c)
{
    for (size_t ix = 0; ix < c->places; ix++) {
        if (c->client[ix] == NULL) {
            return &c->client[ix];
        }
    }
    return NULL;
}

static void add_client(struct control *c, struct client **place, int fd)
{
    pid_t pid = 0;
    uid_t uid = 0;
    struct client *cl = is_one_of_us(fd, &pid, &uid) ? malloc(sizeof(*cl)) : NULL;
    if (cl == NULL) {
        close(fd);
        return;
    }
    memset(cl, 0, offsetof(struct client, in));
    cl->control = c;
    cl->fd = fd;
    cl->pid = pid;
    cl->uid = uid;
    cl->passed_fd = -1;
    cl->heard_ns = mono_ns();
    if (uv_poll_init(&c->d->loop, &cl->poll, fd) != 0) {
        close(fd);
        free(cl);
        return;
    }
    cl->poll.data = cl;
    *place = cl;
    rearm(cl);
    if (!cl->closing) {
        greet(cl);
    }
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
    struct control *c = ((struct listener *)poll->data)->control;
    (void)events;
    struct client **place = free_place(c);
    int fd = status < 0 || place == NULL
                 ? -1
                 : accept4(c->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        add_client(c, place, fd);
    } else if (place != NULL && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        /* No descriptors or memory: the connection stays in the backlog, and asking again at once would only spin. */
        c->pause_ns = mono_ns() + CONTROL_PAUSE_MS * UINT64_C(1000000);
        log_say(&c->d->log, QUDAG_LOG_WARN, "control.accept", "%s; trying again later",
                strerror(errno));
    }
    listen_or_wait(c);
}

/* The listener is polled while another client is allowed; otherwise new ones wait in its backlog. */
static void listen_or_wait(struct control *c)
{
    struct listener *l = c->listener;
    if (l == NULL) {
        return;
    }
    if (free_place(c) != NULL && mono_ns() >= c->pause_ns) {
        (void)uv_poll_start(&l->poll, UV_READABLE, on_connect);
    } else {
        (void)uv_poll_stop(&l->poll);
    }
}

static void on_listener_closed(uv_handle_t *h)
{
    struct listener *l = h->data;
    close(l->fd);
    free(l);
}

static void listener_close(struct control *c)
{
    if (c->listener != NULL) {
        uv_close((uv_handle_t *)&c->listener->poll, on_listener_closed);
        c->listener = NULL;
    }
}

/* Binds a new socket at c->path.  0 or an errno; then there is none. */
static int listener_open(struct control *c)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct stat st;
    struct listener *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return ENOMEM;
    }
    memcpy(sa.sun_path, c->path, strlen(c->path) + 1);
    (void)unlink(c->path); /* ours to remove: the lock says that no other daemon lives here */
    mode_t old = umask(0177);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = l->fd >= 0 && bind(l->fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0 &&
              listen(l->fd, CONTROL_BACKLOG) == 0 && lstat(c->path, &st) == 0;
    int err = errno;
    (void)umask(old);
    if (ok && uv_poll_init(&c->d->loop, &l->poll, l->fd) != 0) {
        ok = false;
        err = EMFILE;
    }
    if (!ok) {
        if (l->fd >= 0) {
            close(l->fd);
        }
        free(l);
        return err;
    }
    l->control = c;
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    l->poll.data = l;
    c->listener = l;
    listen_or_wait(c);
    return 0;
}

/* Somebody may have removed the socket's file (a cleaner of folders): then nobody could ask any more. */
static void check_file(struct control *c)
{
    struct stat st;
    const struct listener *l = c->listener;
    int gone = lstat(c->path, &st) != 0 ? errno : 0;
    bool lost = gone == ENOENT || (gone == 0 && S_ISSOCK(st.st_mode) &&
                                   (l == NULL || st.st_dev != l->dev || st.st_ino != l->ino));
    if (!lost) {
        return;
    }
    listener_close(c);
    int err = listener_open(c);
    log_say(&c->d->log, QUDAG_LOG_WARN, "control.socket",
            "the file of the control socket was missing; %s",
            err == 0 ? "created a new one" : strerror(err));
}

enum daemon_exit control_open(struct control **out, struct daemon *d)
{
    struct sockaddr_un sa;
    struct rlimit files;
    struct control *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "out of memory");
        return DAEMON_FAILED;
    }
    c->d = d;
    c->places = rules_control_places(getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 0,
                                     CONTROL_CLIENTS_MAX);
    if (!path_join(c->path, d->state.dir, "control.sock") ||
        strlen(c->path) >= sizeof(sa.sun_path)) {
        (void)snprintf(d->state.why, sizeof(d->state.why),
                       "%s: too long for a socket's path (at most %zu characters); choose a "
                       "shorter --dir",
                       c->path, sizeof(sa.sun_path) - 1);
        free(c);
        return DAEMON_USAGE;
    }
    int err = listener_open(c);
    if (err != 0) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "%s: %s", c->path, strerror(err));
        free(c);
        return DAEMON_FAILED;
    }
    *out = c;
    return DAEMON_OK;
}

void control_close(struct control *c)
{
    if (c == NULL) {
        return;
    }
    listener_close(c);
    for (size_t ix = 0; ix < CONTROL_CLIENTS_MAX; ix++) {
        if (c->client[ix] != NULL) {
            drop(c->client[ix]);
        }
    }
    (void)unlink(c->path);
    free(c); /* its clients are closed later, but do not look at it any more */
}

void control_tick(struct control *c, uint64_t now_ns)
{
    for (size_t ix = 0; ix < CONTROL_CLIENTS_MAX; ix++) {
        struct client *cl = c->client[ix];
        if (cl == NULL) {
            continue;
        }
        bool idle = cl->rq == NULL && now_ns - cl->heard_ns > CONTROL_IDLE_S * UINT64_C(1000000000);
        bool stuck =
            cl->stuck_ns != 0 && now_ns - cl->stuck_ns > CONTROL_SLOW_S * UINT64_C(1000000000);
        if (cl->failed) {
            drop(cl);
        } else if (idle || stuck) {
            log_say(&c->d->log, QUDAG_LOG_INFO, "control.dropped", "a client was %s",
                    idle ? "idle" : "slow");
            drop(cl);
        } else if (cl->rq != NULL && cl->rq->tick != NULL) {
            cl->rq->tick(cl->rq);
        }
    }
    take_turns(c, now_ns);
    listen_or_wait(c);
    if (now_ns >= c->check_ns) {
        c->check_ns = now_ns + CONTROL_CHECK_MS * UINT64_C(1000000);
        check_file(c);
    }
}

size_t control_places(const struct control *c)
{
    return c->places;
}

bool control_op_done(struct control *c, qudag_op op, qudag_err err, const qudag_result *res)
{
    for (size_t ix = 0; c != NULL && ix < CONTROL_CLIENTS_MAX; ix++) {
        struct request *rq = c->client[ix] == NULL ? NULL : c->client[ix]->rq;
        if (rq != NULL && rq->op.id == op.id && op.id != 0) {
            rq->op.id = 0;
            rq->cmd->done(rq, err, res);
            return true;
        }
    }
    return false;
}

void control_phase(struct control *c, const struct phase_note *p)
{
    for (size_t ix = 0; c != NULL && ix < CONTROL_CLIENTS_MAX; ix++) {
        struct request *rq = c->client[ix] == NULL ? NULL : c->client[ix]->rq;
        if (rq != NULL && rq->watching) {
            watch_phase(rq, p);
        }
    }
}
