/*
 * cmd_proxy.c - the proxy, petnames, and a connection on standard input and output, which ssh takes as ProxyCommand.
 *
 *   connect:  standard input ─▶ proxy of the daemon (SOCKS5) ─▶ service ─▶ standard output
 */
#include "tool.h"

#include <qudag/proxy.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

int run_proxy(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {{"running", "running", COL_YES},
                                      {"socks", "socks5", COL_TEXT},
                                      {"http", "http", COL_TEXT},
                                      {"why", "why", COL_TEXT},
                                      {"connections", "connections", COL_INT},
                                      {"opened", "opened", COL_INT},
                                      {"refused", "refused", COL_INT},
                                      {"failed", "failed", COL_INT},
                                      {"bytes_up", "sent", COL_SIZE},
                                      {"bytes_down", "received", COL_SIZE}};
    if (!args_none(t, argc, argv)) {
        return TOOL_USAGE;
    }
    (void)ask_begin(t, "proxy");
    return ask_one(t, cols, N(cols));
}

int run_name(struct tool *t, int argc, char **argv)
{
    static const struct col list[] = {{"name", "NAME", COL_TEXT}, {"address", "ADDRESS", COL_TEXT}},
                            one[] = {{"name", "name", COL_TEXT}, {"address", "address", COL_TEXT}};
    const char *word[3] = {NULL, NULL, NULL};
    struct args a = {.t = t, .what = "name", .argc = argc, .argv = argv};
    int n = args_words(&a, word, 3);
    if (n < 0) {
        return TOOL_USAGE;
    }
    if (n == 1 && strcmp(word[0], "list") == 0) {
        (void)ask_begin(t, "name.list");
        return ask_list(t, "names", list, N(list), "no petnames");
    }
    if (n == 3 && strcmp(word[0], "add") == 0) {
        struct rec *r = ask_begin(t, "name.add");
        rec_str(r, "name", word[1]);
        rec_str(r, "address", word[2]);
        return ask_one(t, one, N(one));
    }
    if (n == 2 && strcmp(word[0], "remove") == 0) {
        rec_str(ask_begin(t, "name.remove"), "name", word[1]);
        return ask_done(t, "removed", word[1]);
    }
    return tool_usage(t, "name: add NAME ADDRESS, list or remove NAME");
}

/* ------------------------------------------------------------------ a connection */

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

/* Connects to "127.0.0.1:9350" or "[::1]:9350"; -1: errno says why not. */
static int connect_door(const char *listen)
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
    if (fd_write_all(fd, out, at) != 0 || !read_all(fd, in, 2) ||
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

static int tell(const struct tool *t, int socks)
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
         "ask whoever runs it for a key"},
        {0xf6, TOOL_USAGE, "QUDAG_ECHECKSUM", "the address has a mistake in it",
         "copy it once more, as a whole"},
        {0xf7, TOOL_UNREACHABLE, "QUDAG_ETIMEOUT", "the service did not answer in time",
         "try again"},
    };
    for (size_t ix = 0; ix < N(verdicts); ix++) {
        const struct verdict *v = &verdicts[ix];
        if (v->socks == socks) {
            return tool_error(t, v->code, v->error, v->message, v->hint);
        }
    }
    return tool_error(t, TOOL_FAILED, "CONNECT", "the connection could not be made",
                      "the daemon's log says why; qudag proxy shows how many it has");
}

/* One direction of a connection. */
struct way {
    int from, to;
    bool open, shuts; /* shuts: |to| is a socket whose direction is ended */
    size_t at, len;
    uint8_t bytes[65536];
};

/* Reads or writes as far as it goes without waiting; false: it is broken. */
static bool move(struct way *w, short in, short out)
{
    if (w->len == 0 && w->open && in != 0) {
        ssize_t n = read(w->from, w->bytes, sizeof(w->bytes));
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return false;
        }
        w->at = 0;
        w->len = n > 0 ? (size_t)n : 0;
        if (n == 0) {
            w->open = false;
            if (w->shuts) {
                (void)shutdown(w->to, SHUT_WR);
            }
        }
        return true; /* whether it can be written is asked first */
    }
    if (w->len > 0 && out != 0) {
        ssize_t n = write(w->to, w->bytes + w->at, w->len);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return false;
        }
        w->at += n > 0 ? (size_t)n : 0;
        w->len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Both ways until the service has ended its own; false: it was cut off. */
static bool relay(int fd)
{
    static struct way up, down;
    up = (struct way){.from = STDIN_FILENO, .to = fd, .open = true, .shuts = true};
    down = (struct way){.from = fd, .to = STDOUT_FILENO, .open = true};
    while (down.open || down.len > 0) {
        struct pollfd p[4] = {
            {.fd = up.open && up.len == 0 ? up.from : -1, .events = POLLIN},
            {.fd = up.len > 0 ? fd : -1, .events = POLLOUT},
            {.fd = down.open && down.len == 0 ? fd : -1, .events = POLLIN},
            {.fd = down.len > 0 ? down.to : -1, .events = POLLOUT},
        };
        if (poll(p, 4, -1) < 0 && errno != EINTR) {
            return false;
        }
        if (!move(&up, p[0].revents, p[1].revents) || !move(&down, p[2].revents, p[3].revents)) {
            return false;
        }
    }
    return true;
}

int connect_dark(struct tool *t, const char *host, const char *port_text, const char *key)
{
    struct door door = {"", ""};
    char message[400];
    int64_t port;
    if (!parse_number(port_text, 1, 65535, &port)) {
        return tool_usage(t, "connect: PORT is a number, 1 to 65535");
    }
    if (strlen(host) == 0 || strlen(host) > 255) {
        return tool_usage(t, "connect: ADDRESS is a dark address, or a petname as blog.dark");
    }
    if (key != NULL && (key[0] == 0 || strlen(key) > 64)) {
        return tool_usage(t, "connect --isolate: KEY has 1 to 64 bytes");
    }
    (void)ask_begin(t, "proxy");
    int code = ask(t, -1, on_door, &door);
    if (code != TOOL_OK) {
        return code;
    }
    int fd = door.listen[0] == 0 ? -1 : connect_door(door.listen);
    if (fd < 0) {
        (void)snprintf(message, sizeof(message), "the proxy of the daemon does not run: %s",
                       door.listen[0] == 0 ? door.why : strerror(errno));
        return tool_error(t, TOOL_FAILED, "NO_PROXY", message,
                          "[proxy] listen in qudag.conf says where it is to be");
    }
    int socks = ask_socks(fd, host, (uint16_t)port, key);
    if (socks != 0) {
        close(fd);
        return tell(t, socks);
    }
    bool whole = relay(fd);
    close(fd);
    return whole ? TOOL_OK
                 : tool_error(t, TOOL_UNREACHABLE, "CUT_OFF", "the connection was cut off",
                              "the service or this end gave up; try again");
}
