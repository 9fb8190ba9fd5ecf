/* start.c - from the configuration to a node, and its end. */
#include "start.h"

#include "share.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void settings_from(qudag_settings *s, const struct conf *c, const qudag_identity *id)
{
    QUDAG_SETTINGS_INIT(s);
    s->identity = id;
    conf_settings(c, s);
}

bool store_where(const struct conf *c, const char *state, char out[PATH_LEN])
{
    const char *dir = c->v[CONF_DHT_STORE_DIR].text;
    out[0] = 0;
    if (c->v[CONF_DHT_STORE].num == 0) {
        return true;
    }
    int n = dir[0] != 0 ? snprintf(out, PATH_LEN, "%s", dir)
                        : snprintf(out, PATH_LEN, "%s/store", state);
    return n > 0 && n < PATH_LEN;
}

/* A multiaddr as the system wants it; false: not one to listen on. */
static bool address_of(const char *text, struct sockaddr_storage *sa, socklen_t *len)
{
    qudag_multiaddr a = QUDAG_INIT(qudag_multiaddr);
    if (qudag_multiaddr_parse(&a, text, QUDAG_ADDR_LISTEN, NULL, 0) != QUDAG_OK) {
        return false;
    }
    memset(sa, 0, sizeof(*sa));
    if (a.family == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a.port)};
        memcpy(&in.sin_addr, a.ip, sizeof(in.sin_addr));
        memcpy(sa, &in, *len = sizeof(in));
        return true;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a.port)};
    memcpy(&in6.sin6_addr, a.ip, sizeof(in6.sin6_addr));
    memcpy(sa, &in6, *len = sizeof(in6));
    return true;
}

/* 0, or the error number of the system. */
static int try_address(const struct sockaddr_storage *sa, socklen_t len)
{
    int fd = socket(sa->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd >= 0 && sa->ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    }
    int err = fd >= 0 && bind(fd, (const struct sockaddr *)sa, len) == 0 ? 0 : errno;
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

/* An IP version that this machine lacks is no trouble as long as it has the other: qudag_node_new() leaves it out. */
bool listen_trouble(const struct conf *c, char *why, size_t why_len)
{
    const struct conf_value *v = &c->v[CONF_LISTEN];
    for (size_t ix = 0; ix < v->n; ix++) {
        struct sockaddr_storage sa;
        socklen_t len;
        if (!address_of(v->list[ix], &sa, &len)) {
            continue;
        }
        int err = try_address(&sa, len);
        if (err != 0 && (err != EAFNOSUPPORT || v->n == 1)) {
            (void)snprintf(why, why_len, "cannot listen on %s: %s", v->list[ix],
                           err == EADDRINUSE ? "another program holds this port (ss -ulpn shows "
                                               "which); stop it or choose another port"
                           : err == EADDRNOTAVAIL ? "this machine has no such address"
                           : err == EACCES ? "ports below 1024 need privileges; choose a higher one"
                                           : strerror(err));
            return true;
        }
    }
    return false;
}

void notify_systemd(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof(sa.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(sa.sun_path, path, strlen(path));
    if (path[0] == '@') {
        sa.sun_path[0] = 0;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&sa, len);
        close(fd);
    }
}

uint64_t daemon_time_left(const struct daemon *d)
{
    uint64_t within = (uint64_t)d->conf.v[CONF_SHUTDOWN].num * QUDAG_S;
    uint64_t gone = mono_ns() - d->stop_ns;
    return d->stop_now || gone >= within ? 0 : within - gone;
}

static void tell_time(const struct daemon *d)
{
    char text[64];
    (void)snprintf(
        text, sizeof(text), "EXTEND_TIMEOUT_USEC=%llu",
        (unsigned long long)(daemon_time_left(d) / 1000 + 15000000)); /* and what follows */
    notify_systemd(text);
}

void daemon_stop(struct daemon *d, bool now)
{
    if (!d->stopping) {
        d->stop_ns = mono_ns();
        notify_systemd("STOPPING=1");
        log_say(&d->log, QUDAG_LOG_INFO, "daemon.stop", "stopping%s", now ? " now" : "");
    }
    d->stopping = true;
    d->stop_now = d->stop_now || now;
    tell_time(d);
}

/* The node takes nothing new from now on. */
static void close_door(struct daemon *d)
{
    uint64_t within = daemon_time_left(d);
    d->asked = true;
    d->asked_now = d->stop_now;
    if (qudag_node_shutdown(d->node, within) != QUDAG_OK) {
        d->ended = true;
    }
}

void daemon_ending(struct daemon *d)
{
    if (!d->stopping || d->ended) {
        return;
    }
    if (!d->stop_now) {
        share_ending(d); /* before the door closes */
    }
    if (control_sends(d->control) > 0 && daemon_time_left(d) > 0) {
        return; /* a delivery may need another stream; new ones are refused by the control socket */
    }
    if (!d->asked || (d->stop_now && !d->asked_now)) {
        close_door(d);
    }
}

void daemon_ended(struct daemon *d, const qudag_shutdown *s)
{
    d->ended = true;
    control_cut(d->control);
    if (s->requests + s->streams > 0) {
        log_say(&d->log, QUDAG_LOG_WARN, "daemon.stop",
                "cut off: %u requests, %u streams that did not end in time", (unsigned)s->requests,
                (unsigned)s->streams);
    }
}
