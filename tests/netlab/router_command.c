/*
 * router_command.c - what a test tells a router while it works.
 *
 *   nat WORDS               another NAT (words.h), without mappings; "nat none": none
 *   wire lan|wan WORDS      that link, both ways; "wire lan-out", "lan-in", "wan-out", "wan-in": one way
 *   flush                   the router starts again
 *   external IP             another external address
 *   forward udp|tcp PORT IP PORT SECONDS    0: for ever
 *   unforward udp|tcp PORT
 *   stats
 */
#include "router.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool start_nat(struct router *r, char *words)
{
    struct nat_config cfg = {
        .mem = &r->mem, .rng = r->rng, .external = r->cfg.external, .refresh_in = true};

    if (strcmp(words, "none") == 0) {
        nat_free(r->udp);
        nat_free(r->tcp);
        nat_free(r->echo);
        r->udp = NULL;
        r->tcp = NULL;
        r->echo = NULL;
        return true;
    }
    if (!words_nat(&cfg, words)) {
        return false;
    }
    r->cfg = cfg;
    return router_start_nat(r);
}

static bool set_wire(struct router *r, char *words)
{
    static const char *const name[ROUTER_WIRES] = {"lan-out", "wan-out", "wan-in", "lan-in"};
    char *rest = strchr(words, ' ');
    struct wire_config cfg;
    bool any = false;

    if (rest != NULL) {
        *rest++ = 0;
    }
    if (!words_wire(&cfg, rest == NULL ? words + strlen(words) : rest)) {
        return false;
    }
    for (unsigned i = 0; i < ROUTER_WIRES; i++) {
        if (strcmp(words, name[i]) == 0 ||
            (strlen(words) == 3 && strncmp(words, name[i], 3) == 0)) {
            wire_set(&r->wire[i], &cfg);
            any = true;
        }
    }
    return any;
}

static bool set_external(struct router *r, const char *ip)
{
    if (r->udp == NULL || netaddr_parse_ip(&r->cfg.external, ip) != QUDAG_OK) {
        return false;
    }
    nat_renumber(r->udp, &r->cfg.external);
    nat_renumber(r->tcp, &r->cfg.external);
    nat_renumber(r->echo, &r->cfg.external);
    return true;
}

static bool forward(struct router *r, const char *words, uint64_t now)
{
    char proto[4], ip[48];
    unsigned port, to, seconds;
    struct netaddr inside = {0};

    if (r->udp == NULL ||
        sscanf(words, "%3s %u %47s %u %u", proto, &port, ip, &to, &seconds) != 5 ||
        netaddr_parse_ip(&inside, ip) != QUDAG_OK || port > UINT16_MAX || to > UINT16_MAX) {
        return false;
    }
    inside.port = (uint16_t)to;
    return nat_forward(proto[0] == 'u' ? r->udp : r->tcp, (uint16_t)port, &inside,
                       seconds == 0 ? TSTAMP_NEVER : now + seconds * NS_PER_S);
}

static bool unforward(struct router *r, const char *words)
{
    char proto[4];
    unsigned port;

    return r->udp != NULL && sscanf(words, "%3s %u", proto, &port) == 2 && port <= UINT16_MAX &&
           nat_forward_remove(proto[0] == 'u' ? r->udp : r->tcp, (uint16_t)port);
}

static bool flush(struct router *r)
{
    if (r->udp != NULL) {
        nat_flush(r->udp);
        nat_flush(r->tcp);
        nat_flush(r->echo);
    }
    return true;
}

static void stats(const struct router *r, uint64_t now, char *dst, size_t cap)
{
    uint64_t lost = 0;

    for (unsigned i = 0; i < ROUTER_WIRES; i++) {
        lost += r->wire[i].lost;
    }
    snprintf(dst, cap,
             "{\"out\": %" PRIu64 ", \"in\": %" PRIu64 ", \"dropped\": %" PRIu64
             ", \"refused\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"mappings\": %zu}\n",
             r->out, r->in, r->dropped, r->refused, lost,
             r->udp == NULL ? 0 : nat_count(r->udp, now));
}

void router_command(struct router *r, char *line, uint64_t now, char *dst, size_t cap)
{
    char *rest;
    bool ok = false;

    line[strcspn(line, "\n")] = 0;
    rest = strchr(line, ' ');
    if (rest != NULL) {
        *rest++ = 0;
    } else {
        rest = line + strlen(line);
    }
    if (strcmp(line, "stats") == 0) {
        stats(r, now, dst, cap);
        return;
    }
    if (strcmp(line, "nat") == 0) {
        ok = start_nat(r, rest);
    } else if (strcmp(line, "wire") == 0) {
        ok = set_wire(r, rest);
    } else if (strcmp(line, "flush") == 0) {
        ok = flush(r);
    } else if (strcmp(line, "external") == 0) {
        ok = set_external(r, rest);
    } else if (strcmp(line, "forward") == 0) {
        ok = forward(r, rest, now);
    } else if (strcmp(line, "unforward") == 0) {
        ok = unforward(r, rest);
    }
    snprintf(dst, cap, "%s\n", ok ? "ok" : "no");
}
