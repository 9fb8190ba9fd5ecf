/* target.c - see target.h. */
#include "app/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qudag_err refuse(char *why, const char *text, const char *what)
{
    (void)snprintf(why, TARGET_WHY_LEN, "%.100s: %s", text, what);
    return QUDAG_EINVAL;
}

/* A port from 1 to 65535 in |len| characters of |text|, digits alone. */
static bool port_read(uint16_t *out, const char *text, size_t len)
{
    uint32_t v = 0;

    if (len == 0 || len > 5) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        v = v * 10 + (uint32_t)(text[i] - '0');
    }
    *out = (uint16_t)v;
    return v >= 1 && v <= 65535;
}

static qudag_err unix_read(struct target *out, const char *path, char *why)
{
    size_t len = strlen(path);

    if (path[0] != '/') {
        return refuse(why, path, "the path of a Unix socket begins with '/'");
    }
    if (len > TARGET_PATH_MAX) {
        return refuse(why, path, "the path of a Unix socket has at most 107 bytes");
    }
    memcpy(out->path, path, len + 1);
    return QUDAG_OK;
}

static bool host_read(struct netaddr *out, const char *text, size_t len)
{
    char host[NETADDR_TEXT_MAX];
    bool v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';

    if (v6) {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof(host)) {
        return false;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    if (strcmp(host, "localhost") == 0) {
        memcpy(host, "127.0.0.1", sizeof("127.0.0.1"));
    }
    return netaddr_parse_ip(out, host) == QUDAG_OK && (out->family == 6) == v6;
}

qudag_err target_parse(struct target *out, const char *text, char *why)
{
    static const char tcp[] = "tcp:", un[] = "unix:";
    const char *at = text;
    uint16_t port = 0;

    memset(out, 0, sizeof(*out));
    why[0] = '\0';
    if (strncmp(text, un, sizeof(un) - 1) == 0) {
        return unix_read(out, text + sizeof(un) - 1, why);
    }
    if (strncmp(text, tcp, sizeof(tcp) - 1) == 0) {
        at += sizeof(tcp) - 1;
    }
    const char *colon = strrchr(at, ':');
    const char *digits = colon != NULL ? colon + 1 : at;
    if (!port_read(&port, digits, strlen(digits))) {
        return refuse(why, text, "a target ends in a port from 1 to 65535, or is unix:/PATH");
    }
    if (!host_read(&out->net, colon != NULL ? at : "localhost",
                   colon != NULL ? (size_t)(colon - at) : strlen("localhost"))) {
        return refuse(
            why, text,
            "a target is ADDRESS:PORT with an IP address (IPv6 in brackets) or localhost, "
            "a PORT of this machine, or unix:/PATH; names are not looked up");
    }
    out->net.port = port;
    return QUDAG_OK;
}

qudag_err target_port_parse(struct target_port *out, const char *text, char *why)
{
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);

    why[0] = '\0';
    if (!port_read(&out->port, text, len)) {
        return refuse(why, text,
                      "a port is given as VIRTUAL[:TARGET], for example 80 or 80:127.0.0.1:8080 or "
                      "80:unix:/run/web.sock, VIRTUAL from 1 to 65535");
    }
    if (colon != NULL) {
        return target_parse(&out->to, colon + 1, why);
    }
    return target_parse(&out->to, text, why);
}

size_t target_text(char *out, size_t cap, const struct target *t)
{
    char net[NETADDR_TEXT_MAX];
    int n;

    if (t->net.family == 0) {
        n = snprintf(out, cap, "unix:%s", t->path);
    } else {
        n = netaddr_text(net, sizeof(net), &t->net) > 0 ? snprintf(out, cap, "tcp:%s", net) : -1;
    }
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

size_t target_port_text(char *out, size_t cap, const struct target_port *p)
{
    char to[TARGET_TEXT_MAX];
    size_t len = target_text(to, sizeof(to), &p->to);
    int n = len > 0 ? snprintf(out, cap, "%u:%s", (unsigned)p->port, to) : -1;

    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

bool target_is_local(const struct target *t)
{
    return t->net.family == 0 || netaddr_is_loopback(&t->net);
}
