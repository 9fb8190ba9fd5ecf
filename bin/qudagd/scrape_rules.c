/* scrape_rules.c - see scrape_rules.h. */
#include "scrape_rules.h"

#include "page.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"
#define TEXT_MAX 64

static bool refuse(char *why, size_t why_len, const char *text, const char *what)
{
    (void)snprintf(why, why_len,
                   "%s %s; give 127.0.0.1:PORT, [::1]:PORT or unix:/PATH, and let a proxy of your "
                   "own serve other machines",
                   text, what);
    return false;
}

static bool unix_place(const char *path, struct scrape_place *out, char *why, size_t why_len)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    if (path[0] != '/' || len >= sizeof(un.sun_path)) {
        (void)snprintf(why, why_len, "unix:%s: not an absolute path of at most %zu bytes", path,
                       sizeof(un.sun_path) - 1);
        return false;
    }
    memcpy(un.sun_path, path, len + 1);
    memcpy(&out->sa, &un, sizeof(un));
    out->len = (socklen_t)sizeof(un);
    out->local = true;
    return true;
}

static bool port_of(const char *text, in_port_t *port)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != 0 || n > 65535) {
        return false;
    }
    *port = htons((uint16_t)n);
    return true;
}

/* |text| is an address as text, with brackets if it is one of IPv6. */
static bool parse_ip(const char *text, struct sockaddr_storage *sa, socklen_t *len)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    char inner[TEXT_MAX];
    size_t n = strlen(text);

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(sa, &in, sizeof(in));
        *len = sizeof(in);
        return true;
    }
    if (n < 3 || n >= sizeof(inner) || text[0] != '[' || text[n - 1] != ']') {
        return false;
    }
    memcpy(inner, text + 1, n - 2);
    inner[n - 2] = 0;
    if (inet_pton(AF_INET6, inner, &in6.sin6_addr) != 1) {
        return false;
    }
    memcpy(sa, &in6, sizeof(in6));
    *len = sizeof(in6);
    return true;
}

static bool loopback(const struct sockaddr_storage *sa)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (sa->ss_family == AF_INET) {
        memcpy(&in, sa, sizeof(in));
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    memcpy(&in6, sa, sizeof(in6));
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

static void set_port(struct sockaddr_storage *sa, in_port_t port)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (sa->ss_family == AF_INET) {
        memcpy(&in, sa, sizeof(in));
        in.sin_port = port;
        memcpy(sa, &in, sizeof(in));
    } else {
        memcpy(&in6, sa, sizeof(in6));
        in6.sin6_port = port;
        memcpy(sa, &in6, sizeof(in6));
    }
}

bool scrape_place(const char *text, struct scrape_place *out, char *why, size_t why_len)
{
    char ip[TEXT_MAX];
    const char *colon = strrchr(text, ':');
    in_port_t port;

    memset(out, 0, sizeof(*out));
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        return unix_place(text + strlen(UNIX_PREFIX), out, why, why_len);
    }
    size_t n = colon == NULL ? 0 : (size_t)(colon - text);
    if (n == 0 || n >= sizeof(ip) || !port_of(colon + 1, &port)) {
        return refuse(why, why_len, text, "is not an address with a port");
    }
    memcpy(ip, text, n);
    ip[n] = 0;
    if (!parse_ip(ip, &out->sa, &out->len)) {
        return refuse(why, why_len, text, "is not an address with a port");
    }
    if (!loopback(&out->sa)) {
        return refuse(why, why_len, text, "may be reached by other machines");
    }
    set_port(&out->sa, port);
    return true;
}

bool scrape_host(const char *host)
{
    static const char name[] = "localhost";
    char bare[TEXT_MAX];
    struct sockaddr_storage sa;
    socklen_t len;
    in_port_t port;

    if (host == NULL || strlen(host) >= sizeof(bare)) {
        return false;
    }
    (void)snprintf(bare, sizeof(bare), "%s", host);
    char *colon = strrchr(bare, ':');
    if (colon != NULL && strchr(colon, ']') == NULL) {
        if (!port_of(colon + 1, &port)) {
            return false;
        }
        *colon = 0;
    }
    return strcasecmp(bare, name) == 0 || (parse_ip(bare, &sa, &len) && loopback(&sa));
}

bool scrape_from_page(const char *origin, const char *fetch_site)
{
    return origin != NULL || (fetch_site != NULL && strcmp(fetch_site, "none") != 0);
}

bool scrape_from_here(const char *origin, const char *fetch_site)
{
    return origin == NULL && (fetch_site == NULL || strcmp(fetch_site, "none") == 0 ||
                              strcmp(fetch_site, "same-origin") == 0);
}

bool scrape_settings(const char *listen, bool web, char *why, size_t why_len)
{
    struct scrape_place place;

    if (strcmp(listen, "off") != 0) {
        char text[TEXT_MAX + 160];
        if (scrape_place(listen, &place, text, sizeof(text))) {
            return true;
        }
        (void)snprintf(why, why_len, "[metrics] listen: %s", text);
        return false;
    }
    if (web) {
        (void)snprintf(why, why_len,
                       "[metrics] web = yes, but listen = off: give listen = 127.0.0.1:PORT, where "
                       "the page is to be");
    }
    return !web;
}

enum scrape_path scrape_path(const char *path, bool web)
{
    static const char *const paths[] = {[SCRAPE_METRICS] = "/metrics",
                                        [SCRAPE_PAGE] = "/",
                                        [SCRAPE_JSON] = PAGE_JSON,
                                        [SCRAPE_STYLE] = PAGE_STYLE,
                                        [SCRAPE_ICON] = PAGE_ICON};

    for (unsigned ix = 0; ix < SCRAPE_NOTHING; ix++) {
        if (strcmp(path, paths[ix]) == 0) {
            return web || ix == SCRAPE_METRICS ? (enum scrape_path)ix : SCRAPE_NOTHING;
        }
    }
    return SCRAPE_NOTHING;
}

enum metrics_form scrape_form(const char *accept)
{
    return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL
               ? METRICS_OPENMETRICS
               : METRICS_TEXT;
}
