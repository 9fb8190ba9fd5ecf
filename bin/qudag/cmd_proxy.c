/*
 * cmd_proxy.c - the proxy, petnames, and a connection on standard input and output, which ssh takes as ProxyCommand.
 *
 *   connect:  standard input ─▶ proxy of the daemon (SOCKS5) ─▶ service ─▶ standard output
 */
#include "tool.h"

#include "dial.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
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
    char listen[QUDAG_PROXY_LISTEN_TEXT_MAX];
    struct outcome out;
    int64_t port;
    if (!parse_number(port_text, 1, 65535, &port)) {
        return tool_usage(t, "connect: PORT is a number, 1 to 65535");
    }
    if (strlen(host) == 0 || strlen(host) > 255) {
        return tool_usage(t, "connect: ADDRESS is a dark address, or a petname as blog.dark");
    }
    if (key != NULL && (key[0] == 0 || strlen(key) > DIAL_KEY_MAX)) {
        return tool_usage(t, "connect --isolate: KEY has 1 to 64 bytes");
    }
    int fd = dial_where(t, listen, &out) ? dial_connect(listen, &out) : -1;
    if (fd < 0 || !dial_ask(fd, host, (uint16_t)port, key, &out)) {
        if (fd >= 0) {
            close(fd);
        }
        return tool_error(t, (enum tool_exit)out.code, out.error, out.message, out.hint);
    }
    bool whole = relay(fd);
    close(fd);
    return whole ? TOOL_OK
                 : tool_error(t, TOOL_UNREACHABLE, "CUT_OFF", "the connection was cut off",
                              "the service or this end gave up; try again");
}
