/* start.c - from the configuration to a node, and its end. */
#include "start.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A list of the configuration as the library wants it: const all the way. */
static const char *const *const_list(const struct conf_value *v)
{
    return (const char *const *)v->list;
}

void settings_from(qudag_settings *s, const struct conf *c, const qudag_identity *id)
{
    static const uint16_t levels[] = {512, 768, 1024};
    QUDAG_SETTINGS_INIT(s);
    s->identity = id;
    s->listen = const_list(&c->v[CONF_LISTEN]);
    s->listen_n = c->v[CONF_LISTEN].n;
    s->bootstrap = const_list(&c->v[CONF_BOOTSTRAP]);
    s->bootstrap_n = c->v[CONF_BOOTSTRAP].n;
    s->agent = c->v[CONF_AGENT].text[0] != 0 ? c->v[CONF_AGENT].text : NULL;
    s->memory_max = (uint64_t)c->v[CONF_MEMORY_MAX].num;
    s->pq = (qudag_pq)c->v[CONF_PQ].num;
    s->security_level = levels[c->v[CONF_LEVEL].num];
    s->cipher = (qudag_cipher)c->v[CONF_CIPHER].num;
    s->idle_timeout = (qudag_ns)c->v[CONF_IDLE_TIMEOUT].num * QUDAG_S;
    s->links_max = (uint32_t)c->v[CONF_LINKS_MAX].num;
    s->dht_protocol = c->v[CONF_DHT_PROTOCOL].text;
    s->dht_server = c->v[CONF_DHT_SERVER].num != 0;
    s->open_namespaces = const_list(&c->v[CONF_OPEN_NAMESPACES]);
    s->open_namespaces_n = c->v[CONF_OPEN_NAMESPACES].n;
    s->dht_records_max = (uint32_t)c->v[CONF_DHT_RECORDS_MAX].num;
    s->dht_bytes_max = (uint64_t)c->v[CONF_DHT_BYTES_MAX].num;
    s->dht_providers_max = (uint32_t)c->v[CONF_DHT_PROVIDERS_MAX].num;
    s->hops = (uint8_t)c->v[CONF_HOPS].num;
    s->relays_min = (uint32_t)c->v[CONF_HOPS].num + 1;
    s->relay = c->v[CONF_RELAY].num != 0;
    s->circuits_max = (uint32_t)c->v[CONF_CIRCUITS_MAX].num;
    s->log_level = (qudag_log_level)c->v[CONF_LOG_LEVEL].num;
    s->lab = c->v[CONF_LAB].num != 0;
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

/* "/ip4/A/udp/P/quic-v1" as an address; false: not that simple. */
static bool address_of(const char *text, struct sockaddr_storage *sa, socklen_t *len)
{
    char host[64];
    const char *udp = strstr(text, "/udp/");
    if (udp == NULL || udp - text < 6 || (size_t)(udp - text - 5) >= sizeof(host)) {
        return false;
    }
    size_t n = (size_t)(udp - text - 5);
    memcpy(host, text + 5, n);
    host[n] = 0;
    uint16_t port = htons((uint16_t)strtoul(udp + 5, NULL, 10));
    memset(sa, 0, sizeof(*sa));
    if (text[3] == '4') {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
        *len = sizeof(in);
        bool ok = inet_pton(AF_INET, host, &in.sin_addr) == 1;
        memcpy(sa, &in, sizeof(in));
        return ok;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
    *len = sizeof(in6);
    bool ok = inet_pton(AF_INET6, host, &in6.sin6_addr) == 1;
    memcpy(sa, &in6, sizeof(in6));
    return ok;
}

bool listen_trouble(const struct conf *c, char *why, size_t why_len)
{
    const struct conf_value *v = &c->v[CONF_LISTEN];
    for (size_t ix = 0; ix < v->n; ix++) {
        struct sockaddr_storage sa;
        socklen_t len;
        if (!address_of(v->list[ix], &sa, &len)) {
            continue;
        }
        int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
        if (fd >= 0 && sa.ss_family == AF_INET6) {
            (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
        }
        int err = fd >= 0 && bind(fd, (const struct sockaddr *)&sa, len) == 0 ? 0 : errno;
        if (fd >= 0) {
            close(fd);
        }
        if (err != 0) {
            (void)snprintf(why, why_len, "%s cannot be listened on: %s", v->list[ix],
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

void daemon_stop(struct daemon *d)
{
    if (!d->stopping) {
        d->stopping = true;
        notify_systemd("STOPPING=1");
        log_say(&d->log, QUDAG_LOG_INFO, "daemon.stop", "stopping");
        uv_stop(&d->loop);
    }
}
