/* dial.c - streams to dark addresses: the client's side of SOCKS5. */
#include "dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* ------------------------------------------------------------------ where it is */

struct door {
    char listen[QUDAG_PROXY_LISTEN_TEXT_MAX], why[256];
};

static void on_door(struct tool *t, const struct rec_view *v, void *user)
{
    struct door *d = user;
    const char *listen = rec_get_str(v, "listen"), *why = rec_get_str(v, "why");
    (void)t;
    if (v->type == REC_ROW) {
        (void)snprintf(d->listen, sizeof(d->listen), "%s", listen == NULL ? "" : listen);
        (void)snprintf(d->why, sizeof(d->why), "%s", why == NULL ? "" : why);
    }
}

static bool no_proxy(const char *why, struct outcome *out)
{
    char message[400];
    (void)snprintf(message, sizeof(message), "the proxy of the daemon does not run: %s", why);
    outcome_fail(out, TOOL_FAILED, "NO_PROXY", message,
                 "[proxy] listen in qudag.conf says where it is to be");
    return false;
}

bool dial_where(struct tool *t, char listen[QUDAG_PROXY_LISTEN_TEXT_MAX], struct outcome *out)
{
    struct door door = {"", ""};
    (void)ask_begin(t, "proxy");
    ask_dir(t, t->dir, -1, on_door, &door, out);
    memcpy(listen, door.listen, sizeof(door.listen));
    return out->code == TOOL_OK && (door.listen[0] != 0 || no_proxy(door.why, out));
}

/* -1: errno says why not. */
static int connect_to(const char *listen)
{
    char ip[QUDAG_PROXY_LISTEN_TEXT_MAX];
    const char *colon = strrchr(listen, ':');
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    bool six = listen[0] == '[';
    in.sin_port = in6.sin6_port =
        htons((uint16_t)(colon == NULL ? 0 : strtoul(colon + 1, NULL, 10)));
    (void)snprintf(ip, sizeof(ip), "%.*s", (int)(strcspn(listen + six, six ? "]" : ":")),
                   listen + six);
    bool ok = six ? inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1
                  : inet_pton(AF_INET, ip, &in.sin_addr) == 1;
    int fd = ok ? socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    const struct sockaddr *sa = six ? (const struct sockaddr *)&in6 : (const struct sockaddr *)&in;
    if (fd >= 0 && connect(fd, sa, six ? sizeof(in6) : sizeof(in)) != 0) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

int dial_connect(const char *listen, struct outcome *out)
{
    int fd = connect_to(listen);
    if (fd < 0) {
        (void)no_proxy(strerror(errno), out);
    }
    return fd;
}

/* ------------------------------------------------------------------ what is asked there */

static bool read_all(int fd, uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, to, len, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        to += n;
        len -= (size_t)n;
    }
    return true;
}

/* What the proxy answered; -1: it hung up. */
static int ask_socks(int fd, const char *host, uint16_t port, const char *key)
{
    uint8_t out[3 + 2 * 256 + 300], in[10];
    size_t at = 0, host_len = strlen(host), key_len = key == NULL ? 0 : strlen(key);
    out[at++] = 5;
    out[at++] = 1;
    out[at++] = key == NULL ? 0 : 2; /* nobody, or a user and a password */
    if (key != NULL) {
        out[at++] = 1;
        out[at++] = (uint8_t)key_len;
        memcpy(out + at, key, key_len);
        at += key_len;
        out[at++] = 0;
    }
    memcpy(out + at, (const uint8_t[]){5, 1, 0, 3, (uint8_t)host_len}, 5);
    at += 5;
    memcpy(out + at, host, host_len);
    at += host_len;
    out[at++] = (uint8_t)(port >> 8);
    out[at++] = (uint8_t)port;
    if (send(fd, out, at, MSG_NOSIGNAL) != (ssize_t)at || !read_all(fd, in, 2) ||
        (key != NULL && !read_all(fd, in, 2)) || !read_all(fd, in, sizeof(in))) {
        return -1;
    }
    return in[1];
}

/* The codes of the proxy (RFC 1928, and those of qudag(1)). */
struct verdict {
    int socks;
    enum tool_exit code;
    const char *error, *message, *hint;
};

static void tell(int socks, struct outcome *out)
{
    static const struct verdict verdicts[] = {
        {0x02, TOOL_REFUSED, "NOT_ALLOWED",
         "refused: the name is not under .dark, or the network is too small to hide anybody",
         "qudag status says how large the network is"},
        {0x03, TOOL_UNREACHABLE, "NOT_READY", "this node has not joined the network yet",
         "qudag status shows how far it is"},
        {0x04, TOOL_UNREACHABLE, "TARGET_UNREACHABLE",
         "the program behind the service cannot be reached", "try again later"},
        {0x05, TOOL_REFUSED, "CONNECTION_REFUSED",
         "the service has no such port, or its program refuses connections",
         "ask whoever runs it for the port"},
        {0x08, TOOL_USAGE, "NOT_ALLOWED", "an IP address was refused: nothing leaves the network",
         "use a .dark address"},
        {0xf0, TOOL_NOT_FOUND, "QUDAG_ENOTFOUND",
         "nobody publishes this address, or there is no such petname",
         "check the spelling; qudag name list shows petnames"},
        {0xf2, TOOL_UNREACHABLE, "OFFLINE", "the service is offline", "try again later"},
        {0xf4, TOOL_REFUSED, "NEEDS_AUTH", "the service lets only those in who have a key for it",
         "ask whoever runs it for a key, then: qudag dark authorize ADDRESS KEY; with one that was "
         "made just now, try again in two minutes"},
        {0xf6, TOOL_USAGE, "QUDAG_ECHECKSUM", "the address has a mistake in it",
         "copy it once more, as a whole"},
        {0xf7, TOOL_UNREACHABLE, "QUDAG_ETIMEOUT",
         "no circuit reached the service, or it did not answer in time", "try again"},
    };
    for (size_t ix = 0; ix < N(verdicts); ix++) {
        const struct verdict *v = &verdicts[ix];
        if (v->socks == socks) {
            outcome_fail(out, (int)v->code, v->error, v->message, v->hint);
            return;
        }
    }
    outcome_fail(out, TOOL_FAILED, "CONNECT", "the connection could not be made",
                 "the daemon's log says why; qudag proxy shows how many it has");
}

bool dial_ask(int fd, const char *host, uint16_t port, const char *key, struct outcome *out)
{
    int socks = ask_socks(fd, host, port, key);
    *out = (struct outcome){.code = TOOL_OK};
    if (socks != 0) {
        tell(socks, out);
    }
    return socks == 0;
}
