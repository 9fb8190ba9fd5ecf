/* scrape_rules.h - who may read the metrics over HTTP, as pure functions. */
#ifndef QUDAG_BIN_SCRAPE_RULES_H
#define QUDAG_BIN_SCRAPE_RULES_H

#include "metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Where to listen. */
struct scrape_place {
    struct sockaddr_storage sa;
    socklen_t len;
    bool local; /* a Unix socket, whose path is in |sa| */
};

/*
 * Reads "127.0.0.1:9360", "[::1]:9360" or "unix:/run/qudag/metrics.sock".  False, with a sentence in |why|: it is none
 * of these, or an address that other machines may reach.
 */
bool scrape_place(const char *text, struct scrape_place *out, char *why, size_t why_len);

/*
 * Whether a request with the header |host| is meant for this machine: "localhost" or a loopback address, with any
 * port.  A page whose name a resolver was made to point at 127.0.0.1 (DNS rebinding) sends its own name.  NULL (none):
 * no.
 */
bool scrape_host(const char *host);

/* Whether a web page caused the request: by the headers Origin and Sec-Fetch-Site; NULL: none. */
bool scrape_from_page(const char *origin, const char *fetch_site);

/*
 * Whether what caused the request may see the page for browsers and what belongs to it: the user (none), or the page
 * itself ("same-origin"), which scrape_host() has shown to be of this machine.
 */
bool scrape_from_here(const char *origin, const char *fetch_site);

/* Whether |listen| and |web| can be served; false, with a sentence in |why|. */
bool scrape_settings(const char *listen, bool web, char *why, size_t why_len);

enum scrape_path {
    SCRAPE_METRICS,
    SCRAPE_PAGE,
    SCRAPE_JSON,
    SCRAPE_STYLE,
    SCRAPE_ICON,
    SCRAPE_NOTHING
};

/* What is at |path|; |web|: the page is served. */
enum scrape_path scrape_path(const char *path, bool web);

/* The form to answer in: OpenMetrics 1.0 where |accept| (NULL: none) names it. */
enum metrics_form scrape_form(const char *accept);

#endif
