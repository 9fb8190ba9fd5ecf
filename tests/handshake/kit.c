/* kit.c - see kit.h. */
#include "handshake/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define CTL_MAX 8192 /* bytes of an answer on the control socket */

struct session sessions[SESSIONS_MAX];

/* ---- the other process ---- */

static size_t stats_text(qudag_node *n, char *dst, size_t cap)
{
    qudag_stat stat = QUDAG_INIT(qudag_stat);
    size_t it = 0, len = 0;

    while (qudag_node_stat_next(n, &it, &stat) && len + 64 < cap) {
        len += (size_t)snprintf(dst + len, cap - len, "\n%s %llu\n", stat.name,
                                (unsigned long long)stat.value);
    }
    return len;
}

static int serve(qudag_node *n, int ctl)
{
    static char text[CTL_MAX];

    for (;;) {
        qudag_ns wait = qudag_node_timeout(n);
        struct pollfd fds[] = {{.fd = ctl, .events = POLLIN},
                               {.fd = qudag_node_fd(n), .events = POLLIN}};

        (void)poll(fds, 2, wait > QUDAG_S ? 1000 : (int)(wait / QUDAG_MS) + 1);
        if (qudag_node_step(n, 0) != QUDAG_OK) {
            return 3;
        }
        if (fds[0].revents != 0) {
            if (recv(ctl, text, sizeof text, 0) <= 0) {
                return 0;
            }
            if (send(ctl, text, stats_text(n, text, sizeof text), MSG_NOSIGNAL) < 0) {
                return 4;
            }
        }
    }
}

static void tell_where(qudag_node *n, const qudag_identity *id, int ctl)
{
    uint8_t hash[QUDAG_PQ_HASH_LEN];
    char addr[QUDAG_ADDR_TEXT_MAX] = "", text[QUDAG_ADDR_TEXT_MAX + 2 * QUDAG_PQ_HASH_LEN + 2];
    size_t it = 0;
    int len;

    (void)qudag_node_addr_next(n, &it, addr);
    len = snprintf(text, sizeof text, "%s ", addr);
    qudag_identity_pq_hash(id, hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, "%02x", hash[i]);
    }
    (void)send(ctl, text, (size_t)len + 1, MSG_NOSIGNAL);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++) {
        any |= p[i];
    }
    return any == 0;
}

int server_main(int argc, char **argv)
{
    static const char *const listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    int ctl = argc > 2 ? (int)strtol(argv[2], NULL, 10) : -1, status = 1;
    qudag_identity *id = NULL;
    qudag_node *n = NULL;
    struct server_opt opt;
    qudag_settings s;

    if (recv(ctl, &opt, sizeof opt, 0) != (ssize_t)sizeof opt) {
        return 2;
    }
    QUDAG_SETTINGS_INIT(&s);
    s.listen = listen;
    s.listen_n = 1;
    s.lab = true;
    s.pq = opt.pq;
    s.relay = opt.pq != QUDAG_PQ_OFF;
    s.security_level = opt.level == 0 ? 768 : opt.level;
    s.memory_max = opt.memory_max == 0 ? s.memory_max : opt.memory_max;
    qudag_err err =
        all_zero(opt.identity, sizeof opt.identity)
            ? qudag_identity_generate(&id)
            : qudag_identity_load(&id, (qudag_slice){opt.identity, sizeof opt.identity});
    s.identity = id;
    if (err == QUDAG_OK && qudag_node_new(&n, &s, NULL, NULL) == QUDAG_OK &&
        qudag_node_start(n) == QUDAG_OK) {
        tell_where(n, id, ctl);
        status = serve(n, ctl);
    }
    qudag_node_free(n);
    qudag_identity_free(id);
    return status;
}

/* An answer of the server within 10 s. */
static size_t answer(const struct server *s, char *dst, size_t cap)
{
    struct pollfd fd = {.fd = s->ctl, .events = POLLIN};
    ssize_t got;

    if (poll(&fd, 1, 10000) != 1) {
        fail_msg("%s", "the server does not answer");
    }
    got = recv(s->ctl, dst, cap - 1, 0);
    if (got <= 0) {
        fail_msg("%s", "the server has died");
        return 0;
    }
    dst[got] = '\0';
    return (size_t)got;
}

void server_start(struct server *s, const struct server_opt *opt)
{
    char text[CTL_MAX], number[16], addr[QUDAG_ADDR_TEXT_MAX];
    unsigned port = 0;
    int pair[2];

    memset(s, 0, sizeof *s);
    s->opt = *opt;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    snprintf(number, sizeof number, "%d", pair[1]);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        close(pair[0]);
        execl("/proc/self/exe", "server", "serve", number, (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    s->ctl = pair[0];
    assert_int_equal(fcntl(s->ctl, F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(send(s->ctl, opt, sizeof *opt, MSG_NOSIGNAL), sizeof *opt);
    (void)answer(s, text, sizeof text);
    assert_int_equal(sscanf(text, "%383s %64s", addr, s->hash), 2);
    assert_int_equal(sscanf(addr, "/ip4/127.0.0.1/udp/%u/quic-v1/p2p/%63s", &port, s->id), 2);
    assert_int_equal(qudag_peer_id_parse(&s->peer, s->id), QUDAG_OK);
    s->addr = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

uint64_t server_stat(struct server *s, const char *name)
{
    char text[CTL_MAX], wanted[64];
    const char *at;

    assert_int_equal(send(s->ctl, "?", 1, MSG_NOSIGNAL), 1);
    (void)answer(s, text, sizeof text);
    snprintf(wanted, sizeof wanted, "\n%s ", name);
    at = strstr(text, wanted);
    if (at == NULL) {
        fail_msg("no counter %s", name);
        return 0;
    }
    return strtoull(at + strlen(wanted), NULL, 10);
}

void server_stop(struct server *s)
{
    int status = 0;

    close(s->ctl);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- the wire ---- */

static int socket_at(uint32_t host, struct sockaddr_in *self)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    socklen_t len = sizeof a;
    int room = 4 << 20;

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)self, &len), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    return fd;
}

void proxy_send(struct proxy *p, int dir, const uint8_t *data, size_t len)
{
    const struct sockaddr_in *to = dir == TO_SERVER ? &p->server : &p->client;

    if (to->sin_port != 0) {
        (void)sendto(dir == TO_SERVER ? p->back : p->front, data, len, 0,
                     (const struct sockaddr *)to, sizeof *to);
    }
}

static void pump(struct proxy *p, int dir)
{
    static uint8_t buf[DGRAM_MAX];
    struct sockaddr_in from;

    for (int i = 0; i < 64; i++) {
        socklen_t from_len = sizeof from;
        ssize_t got = recvfrom(dir == TO_SERVER ? p->front : p->back, buf, sizeof buf, 0,
                               (struct sockaddr *)&from, &from_len);
        size_t len = (size_t)got;

        if (got < 0) {
            return;
        }
        if (dir == TO_SERVER) {
            p->client = from;
        }
        size_t ix = p->n[dir]++;
        if (p->pass == NULL || p->pass(p, dir, ix, buf, &len)) {
            proxy_send(p, dir, buf, len);
        }
    }
}

/* ---- our nodes ---- */

double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_log(void *user, const qudag_log_record *r)
{
    struct session *s = user;

    for (size_t i = 0; i < r->n && strcmp(r->event, "quic.handshake.failed") == 0; i++) {
        if (strcmp(r->fields[i].name, "why") == 0) {
            snprintf(s->why, sizeof s->why, "%s", r->fields[i].text);
        }
    }
}

/* A key that is not the pinned one ends a link that had come up: its peer may have a successor to show. */
static void on_link(qudag_node *n, const qudag_link_event *e, void *user)
{
    struct session *s = user;

    (void)n;
    if (e->state == QUDAG_LINK_DOWN && e->text != NULL && s->why[0] == 0) {
        snprintf(s->why, sizeof s->why, "%s", e->text);
    }
}

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct session *s = user;
    size_t it = 0;

    (void)res;
    if (op.id != s->op.id || s->done) {
        return;
    }
    if (err == QUDAG_OK && !s->pinging) {
        s->pinging = true;
        err = qudag_ping(n, &s->server->peer, &s->op);
        if (err == QUDAG_OK) {
            return;
        }
    }
    s->done = true;
    s->err = err;
    s->took = now_s() - s->start;
    s->link.size = sizeof(s->link);
    (void)qudag_link_next(n, &it, &s->link);
}

struct session *session_new(struct server *server, qudag_pq pq, uint16_t level)
{
    static const char *const listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    const qudag_callbacks cb = {.size = sizeof(cb), .op_done = on_done, .link_changed = on_link};
    static uint32_t host; /* a new address for each */
    struct sockaddr_in ignored;
    struct session *s = sessions;
    qudag_settings set;

    while (s < sessions + SESSIONS_MAX - 1 && s->used) {
        s++;
    }
    assert_false(s->used);
    memset(s, 0, sizeof *s);
    s->used = true;
    s->server = server;
    QUDAG_SETTINGS_INIT(&set);
    assert_int_equal(qudag_identity_generate(&s->identity), QUDAG_OK);
    set.identity = s->identity;
    set.listen = listen;
    set.listen_n = 1;
    set.pq = pq;
    set.relay = pq != QUDAG_PQ_OFF;
    set.security_level = level == 0 ? 768 : level;
    set.lab = true;
    set.log = on_log;
    assert_int_equal(qudag_node_new(&s->node, &set, &cb, s), QUDAG_OK);
    assert_int_equal(qudag_node_start(s->node), QUDAG_OK);
    s->proxy.server = server->addr;
    s->proxy.front = socket_at(INADDR_LOOPBACK, &s->proxy.self);
    host++;
    s->proxy.back = socket_at(0x7f010001 + (host / 250 << 8) + host % 250, &ignored);
    return s;
}

void session_dial(struct session *s, const char *suffix, bool direct)
{
    char addr[QUDAG_ADDR_TEXT_MAX];
    unsigned port = ntohs(direct ? s->server->addr.sin_port : s->proxy.self.sin_port);

    snprintf(addr, sizeof addr, "/ip4/127.0.0.1/udp/%u/quic-v1/p2p/%s", port,
             suffix == NULL ? s->server->id : suffix);
    s->start = now_s();
    assert_int_equal(qudag_connect(s->node, addr, &s->op), QUDAG_OK);
}

void session_free(struct session *s)
{
    qudag_node_free(s->node);
    qudag_identity_free(s->identity);
    s->proxy.pass = NULL; /* its CONNECTION_CLOSE gets through, or the server would keep the link */
    pump(&s->proxy, TO_SERVER);
    close(s->proxy.front);
    close(s->proxy.back);
    s->used = false;
}

void sessions_free(void)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (sessions[i].used) {
            session_free(&sessions[i]);
        }
    }
}

void turn(int wait_ms)
{
    struct pollfd fds[3 * SESSIONS_MAX];
    nfds_t n = 0;

    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *s = &sessions[i];

        if (s->used) {
            qudag_ns left = qudag_node_timeout(s->node) / QUDAG_MS;

            fds[n++] = (struct pollfd){.fd = s->proxy.front, .events = POLLIN};
            fds[n++] = (struct pollfd){.fd = s->proxy.back, .events = POLLIN};
            fds[n++] = (struct pollfd){.fd = qudag_node_fd(s->node), .events = POLLIN};
            wait_ms = left < (qudag_ns)wait_ms ? (int)left : wait_ms;
        }
    }
    (void)poll(fds, n, wait_ms);
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (sessions[i].used) {
            pump(&sessions[i].proxy, TO_SERVER);
            pump(&sessions[i].proxy, TO_CLIENT);
            assert_int_equal(qudag_node_step(sessions[i].node, 0), QUDAG_OK);
        }
    }
}

void run_all(double seconds)
{
    double end = now_s() + seconds;

    for (;;) {
        size_t waiting = 0;

        for (size_t i = 0; i < SESSIONS_MAX; i++) {
            waiting += sessions[i].used && !sessions[i].done ? 1 : 0;
        }
        if (waiting == 0) {
            return;
        }
        if (now_s() > end) {
            fail_msg("%zu sessions without an end after %.0f s", waiting, seconds);
        }
        turn(20);
    }
}

void run_for(double seconds)
{
    double end = now_s() + seconds;

    while (now_s() < end) {
        turn(10);
    }
}

void assert_serves(struct server *server)
{
    struct session *s = session_new(server, server->opt.pq, server->opt.level);
    double end = now_s() + 5;

    session_dial(s, NULL, true);
    while (!s->done && now_s() < end) {
        turn(10);
    }
    if (!s->done || s->err != QUDAG_OK) {
        fail_msg("the server does not serve: %s (%s)",
                 s->done ? qudag_strerror(s->err) : "no end within 5 s", s->why);
    }
    session_free(s);
}
