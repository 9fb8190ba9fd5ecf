/* expose_wish.c - what a service shall be: from a program, from disk; and who gets a place. */
#include "app/expose_int.h"

#include "base/rd.h"
#include "base/wr.h"

#include <stdio.h>
#include <string.h>

_Static_assert(QUDAG_EXPOSE_PORTS_MAX == TARGET_PORTS_MAX &&
                   QUDAG_EXPOSE_PORT_TEXT_MAX >= TARGET_SPEC_MAX,
               "the limits that are published are those in force");

#define VERSION 1
#define FORCE 1u /* flags on disk */
#define KEEP 2u
#define OURS 4u

static qudag_err say(char *why, size_t len, qudag_err err, const char *text)
{
    if (why != NULL && len > 0) {
        (void)snprintf(why, len, "%s", text);
    }
    return err;
}

static qudag_err port_add(struct expose_wish *w, const char *text, char *why, size_t why_len)
{
    char short_why[TARGET_WHY_LEN], long_why[QUDAG_EXPOSE_WHY_MAX];
    struct target_port *p = &w->port[w->n_ports];

    if (text == NULL || target_port_parse(p, text, short_why) != QUDAG_OK) {
        return say(why, why_len, QUDAG_EINVAL, text != NULL ? short_why : "a port is missing");
    }
    for (size_t i = 0; i < w->n_ports; i++) {
        if (w->port[i].port == p->port) {
            (void)snprintf(long_why, sizeof(long_why), "%.100s: virtual port %u is given twice",
                           text, (unsigned)p->port);
            return say(why, why_len, QUDAG_EINVAL, long_why);
        }
    }
    if (!w->force && !target_is_local(&p->to)) {
        (void)snprintf(
            long_why, sizeof(long_why),
            "%.100s leads to another machine than this one: callers would reach what the network "
            "here "
            "trusts this machine with, what they say would cross that network unprotected, and who "
            "watches it would see when the service is used",
            text);
        return say(why, why_len, QUDAG_EPOLICY, long_why);
    }
    w->n_ports++;
    return QUDAG_OK;
}

qudag_err expose_wish_read(struct expose_wish *out, const qudag_expose_options *o, char *why,
                           size_t why_len)
{
    qudag_expose_options full = {.size = 0};

    memset(out, 0, sizeof(*out));
    qudag_err err = o == NULL ? QUDAG_EINVAL : api_sized_in(&full, sizeof(full), o);
    if (err != QUDAG_OK) {
        return say(why, why_len, err, "the options of the service have no size that is known here");
    }
    if (full.name == NULL || full.name[0] == '\0' ||
        memchr(full.name, 0, QUDAG_DARK_LABEL_MAX + 1) == NULL) {
        return say(why, why_len, QUDAG_EINVAL, "a service needs a name of 1 to 32 bytes");
    }
    if (full.ports == NULL || full.ports_n == 0 || full.ports_n > TARGET_PORTS_MAX) {
        return say(why, why_len, QUDAG_EINVAL, "a service has 1 to 16 ports");
    }
    if (full.connections_max > QUDAG_EXPOSE_CONNECTIONS) {
        return say(why, why_len, QUDAG_EINVAL, "a service has at most 1024 connections at a time");
    }
    memcpy(out->name, full.name, strlen(full.name));
    out->max = full.connections_max != 0 ? full.connections_max : QUDAG_EXPOSE_CONNECTIONS;
    out->force = full.force;
    out->keep = full.keep;
    for (size_t i = 0; i < full.ports_n && err == QUDAG_OK; i++) {
        err = port_add(out, full.ports[i], why, why_len);
    }
    return err;
}

static struct slice text_of(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

size_t expose_wish_put(uint8_t *out, const struct expose_wish *w, const char *addr)
{
    struct wr wr = wr_init(out, EXPOSE_SAVED_MAX);
    char port[TARGET_SPEC_MAX];

    wr_u8(&wr, VERSION);
    wr_u8(&wr, (uint8_t)((w->force ? FORCE : 0) | (w->keep ? KEEP : 0) | (w->ours ? OURS : 0)));
    wr_u32(&wr, w->max);
    wr_lp16(&wr, text_of(addr));
    wr_lp16(&wr, text_of(w->name));
    wr_u8(&wr, (uint8_t)w->n_ports);
    for (size_t i = 0; i < w->n_ports; i++) {
        (void)target_port_text(port, sizeof(port), &w->port[i]);
        wr_lp16(&wr, text_of(port));
    }
    return wr_ok(&wr) ? wr.len : 0;
}

/* A text of at most |cap| - 1 bytes without NUL; false: it is none. */
static bool text_get(struct rd *r, char *out, size_t cap)
{
    struct slice s = rd_lp16(r, cap - 1);

    if (!rd_ok(r) || s.len == 0 || memchr(s.base, 0, s.len) != NULL) {
        return false;
    }
    memcpy(out, s.base, s.len);
    out[s.len] = '\0';
    return true;
}

qudag_err expose_wish_get(struct expose_wish *out, char addr[QUDAG_DARK_TEXT_MAX], struct slice in)
{
    struct rd r = rd_init(in);
    char port[TARGET_SPEC_MAX];

    memset(out, 0, sizeof(*out));
    uint8_t version = rd_u8(&r), flags = rd_u8(&r);
    out->max = rd_u32(&r);
    out->force = (flags & FORCE) != 0;
    out->keep = (flags & KEEP) != 0;
    out->ours = (flags & OURS) != 0;
    bool good = version == VERSION && (flags & ~(FORCE | KEEP | OURS)) == 0 && out->max > 0 &&
                out->max <= QUDAG_EXPOSE_CONNECTIONS && text_get(&r, addr, QUDAG_DARK_TEXT_MAX) &&
                text_get(&r, out->name, sizeof(out->name));
    size_t n = rd_u8(&r);
    good = good && n > 0 && n <= TARGET_PORTS_MAX;
    for (size_t i = 0; good && i < n; i++) {
        good = text_get(&r, port, sizeof(port)) && port_add(out, port, NULL, 0) == QUDAG_OK;
    }
    return good && rd_done(&r) ? QUDAG_OK : QUDAG_EMALFORMED;
}

bool expose_gives_way(const struct expose_waiting *holder, const struct expose_waiting *newcomer,
                      uint64_t need)
{
    if (holder->service != newcomer->service) {
        return holder->of_service > newcomer->of_service + need;
    }
    if (holder->circuit != newcomer->circuit) {
        return holder->of_circuit > newcomer->of_circuit + need;
    }
    return holder->of_conn > newcomer->of_conn + need;
}

enum expose_place expose_place(const struct expose_room *r)
{
    if (r->of_circuit >= QUDAG_EXPOSE_CONNECTIONS_CIRCUIT) {
        return EXPOSE_FULL;
    }
    if (r->of_service < r->service_max) {
        return EXPOSE_TAKE;
    }
    return fair_gives_way(&r->most, &r->newcomer) ? EXPOSE_REPLACE : EXPOSE_FULL;
}

_Static_assert(QUDAG_EXPOSE_CONNECTIONS_ALL / QUDAG_EXPOSE_MAX >= QUDAG_EXPOSE_CONNECTIONS_CIRCUIT,
               "the share of a service holds what one circuit may have");

uint32_t expose_connections_max(uint32_t max, size_t services, uint64_t files)
{
    uint64_t rest = files / 4 < EXPOSE_FILES_REST ? files / 4 : EXPOSE_FILES_REST;
    uint64_t all = QUDAG_EXPOSE_CONNECTIONS_ALL;

    if (files > 0 && files - rest < all) {
        all = files - rest;
    }
    uint32_t share = fair_share((uint32_t)all, (uint32_t)services);
    share = share > 0 ? share : 1;
    return max < share ? max : share;
}
