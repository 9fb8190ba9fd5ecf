/* portmap.c - see portmap.h: the states of each port, and of the gateways. */
#include "core/portmap/portmap_int.h"

#include <string.h>

qudag_err portmap_new(struct portmap **out, struct mem *mem, const struct rng *rng)
{
    struct portmap *p = mem_alloc(mem, sizeof(*p));

    *out = p;
    if (p == NULL) {
        return QUDAG_ENOMEM;
    }
    p->mem = mem;
    p->rng = *rng;
    for (size_t i = 0; i < ARRAY_LEN(p->gate); i++) {
        p->gate[i].ask_addr.at = p->gate[i].look.at = TSTAMP_NEVER;
    }
    return QUDAG_OK;
}

void portmap_free(struct portmap *p)
{
    if (p != NULL) {
        mem_free(p->mem, p);
    }
}

static void look_at(const struct portmap_port *o, tstamp now, struct portmap_look *out)
{
    *out = (struct portmap_look){
        .tcp = o->tcp, .internal = o->internal, .state = o->state, .failures = o->failures};
    memcpy(out->why, o->why, sizeof(out->why));
    if (o->state == PORTMAP_MAPPED) {
        out->external = o->external;
        out->method = o->method;
        out->double_nat = o->double_nat;
        out->life_s = o->life_s;
        out->left_s =
            o->life_s != 0 && o->expires > now ? (uint32_t)((o->expires - now) / NS_PER_S) : 0;
    }
}

bool portmap_next(const struct portmap *p, size_t *it, tstamp now, struct portmap_look *out)
{
    while (*it < PORTMAP_WANTS_MAX) {
        const struct portmap_port *o = &p->port[(*it)++];
        if (o->used) {
            look_at(o, now, out);
            return true;
        }
    }
    return false;
}

static void report(const struct portmap_port *o, enum portmap_up kind, tstamp now, struct acts *out)
{
    struct portmap_look look;

    look_at(o, now, &look);
    (void)acts_up_copy(out, (uint16_t)kind, &look, sizeof(look));
}

/* ------------------------------------------------------------------ rounds */

static void begin_try(struct portmap_port *o, enum portmap_method m, bool without, const char *why,
                      tstamp at)
{
    o->by[m] = (struct portmap_try){.at = without ? TSTAMP_NEVER : at, .over = without, .why = why};
}

/* All methods, from the beginning. */
static void begin_round(struct portmap *p, struct portmap_port *o, tstamp now)
{
    struct portmap_gate *g = portmap_gate_of(p, o->internal.family);
    const char *speaks_not = pcp_result_text(PCP_UNSUPP_VERSION);
    bool no_natpmp = g->no_natpmp || g->addr.family != 4;

    o->state = PORTMAP_ASKING;
    o->doubted = false;
    o->upnp_ports = 0;
    o->upnp_port = 0;
    begin_try(o, PORTMAP_PCP, g->no_pcp, g->no_pcp ? speaks_not : NULL, now);
    begin_try(o, PORTMAP_NATPMP, no_natpmp, g->no_natpmp ? speaks_not : NULL, TSTAMP_NEVER);
    begin_try(o, PORTMAP_UPNP, false, NULL, tstamp_after(now, PORTMAP_UPNP_AFTER));
    if (!no_natpmp && (g->ask_addr.at == TSTAMP_NEVER || g->ask_addr.over)) {
        g->ask_addr = (struct portmap_try){.at = now};
    }
}

/* Without a gateway, or with our address another: nothing. */
static void begin(struct portmap *p, struct portmap_port *o, tstamp now)
{
    const struct portmap_gate *g = portmap_gate_of(p, o->internal.family);

    o->state = PORTMAP_IDLE;
    o->upnp_id = 0;
    o->permanent = false;
    o->failures = 0;
    o->why[0] = '\0';
    if (!p->ended && g->addr.family != 0 && netaddr_same_ip(&g->source, &o->internal)) {
        begin_round(p, o, now);
    }
}

static void add_text(char *dst, const char *text)
{
    size_t at = strlen(dst);

    for (; *text != '\0' && at + 1 < PORTMAP_WHY_MAX; text++) {
        dst[at++] = *text;
    }
    dst[at] = '\0';
}

/* "PCP: no answer; UPnP: no router answers" */
static void explain(struct portmap_port *o)
{
    o->why[0] = '\0';
    for (int m = PORTMAP_PCP; m < PORTMAP_METHODS; m++) {
        if (o->by[m].why != NULL) {
            add_text(o->why, o->why[0] == '\0' ? "" : "; ");
            add_text(o->why, portmap_method_text((enum portmap_method)m));
            add_text(o->why, ": ");
            add_text(o->why, o->by[m].why);
        }
    }
}

static void all_failed(struct portmap *p, struct portmap_port *o, tstamp now, struct acts *out)
{
    uint64_t pause = PORTMAP_PAUSE_MIN;

    for (uint32_t i = 0; i < o->failures && pause < PORTMAP_PAUSE_MAX; i++) {
        pause *= 2;
    }
    pause = pause < PORTMAP_PAUSE_MAX ? pause : PORTMAP_PAUSE_MAX;
    o->failures++;
    explain(o);
    o->state = PORTMAP_WAITING;
    o->round = tstamp_after(now, rng_jitter(&p->rng, pause, 100));
    report(o, PORTMAP_UP_FAILED, now, out);
}

static void lost(struct portmap *p, struct portmap_port *o, tstamp now, struct acts *out)
{
    report(o, PORTMAP_UP_LOST, now, out);
    begin_round(p, o, now);
}

void portmap_failed(struct portmap *p, struct portmap_port *o, enum portmap_method m,
                    const char *why, tstamp now, struct acts *out)
{
    struct portmap_gate *g = portmap_gate_of(p, o->internal.family);
    struct portmap_try *t = &o->by[m];

    t->why = why;
    if (o->state == PORTMAP_MAPPED) {
        bool speaks_not = m == PORTMAP_PCP ? g->no_pcp : g->no_natpmp;
        explain(o);
        if (m == PORTMAP_UPNP || o->doubted || speaks_not) { /* else it stands until its time */
            lost(p, o, now, out);
        }
        return;
    }
    t->over = true;
    t->at = TSTAMP_NEVER;
    if (m == PORTMAP_PCP && g->natpmp_addr.family != 0 && !o->by[PORTMAP_NATPMP].over &&
        o->by[PORTMAP_NATPMP].tries == 0) {
        o->by[PORTMAP_NATPMP].at = now;
    }
    if (o->by[PORTMAP_PCP].over && o->by[PORTMAP_NATPMP].over && o->by[PORTMAP_UPNP].over) {
        all_failed(p, o, now, out);
    }
}

void portmap_mapped(struct portmap_port *o, const struct portmap_found *f, tstamp now,
                    struct acts *out)
{
    bool same = o->state == PORTMAP_MAPPED && netaddr_eq(&o->external, &f->external);

    if (o->state == PORTMAP_MAPPED && !same) {
        report(o, PORTMAP_UP_LOST, now, out);
    }
    o->state = PORTMAP_MAPPED;
    o->method = f->method;
    o->external = f->external;
    o->double_nat = portmap_rule_external(&f->external) == PORTMAP_LOCAL;
    o->doubted = false;
    o->failures = 0;
    o->why[0] = '\0';
    o->life_s = f->life_s == 0 ? 0 : portmap_rule_life(f->life_s);
    uint64_t renew = (o->life_s != 0 ? o->life_s : PORTMAP_LIFE_S) * NS_PER_S / 2;
    o->expires = o->life_s == 0 ? TSTAMP_NEVER : tstamp_after(now, 2 * renew);
    for (int i = PORTMAP_PCP; i < PORTMAP_METHODS; i++) {
        o->by[i] = (struct portmap_try){.at = TSTAMP_NEVER};
    }
    o->by[f->method].at = tstamp_after(now, renew);
    if (f->method == PORTMAP_UPNP) {
        o->upnp_port = f->external.port;
        o->upnp_ports = 0;
    }
    if (!same) {
        report(o, PORTMAP_UP_MAPPED, now, out);
    }
}

/* ------------------------------------------------------------------ what the node wants and sees */

void portmap_gateway(struct portmap *p, uint8_t version, const struct netaddr *gateway,
                     const struct netaddr *source, tstamp now, struct acts *out)
{
    struct portmap_gate *g = portmap_gate_of(p, version);
    bool has = gateway != NULL && source != NULL;

    if (has ? netaddr_same_ip(&g->addr, gateway) && netaddr_eq(&g->source, source)
            : g->addr.family == 0) {
        return;
    }
    *g = (struct portmap_gate){0};
    g->ask_addr.at = g->look.at = TSTAMP_NEVER;
    if (has) {
        g->addr = *gateway;
        g->source = *source;
    }
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        if (o->used && o->internal.family == version) {
            if (o->state == PORTMAP_MAPPED) {
                report(o, PORTMAP_UP_LOST, now, out);
            }
            begin(p, o, now);
        }
    }
}

/* The place of the port; NULL: it has none. */
static struct portmap_port *find(struct portmap *p, const struct netaddr *internal, bool tcp)
{
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        if (o->used && o->tcp == tcp && netaddr_eq(&o->internal, internal)) {
            return o;
        }
    }
    return NULL;
}

static void end_port(struct portmap *p, struct portmap_port *o, tstamp now, struct acts *out)
{
    portmap_remove(p, o, out);
    if (o->state == PORTMAP_MAPPED) {
        report(o, PORTMAP_UP_LOST, now, out);
    }
    o->state = PORTMAP_IDLE;
    o->upnp_id = 0;
}

static void add_port(struct portmap *p, const struct netaddr *internal, bool tcp, tstamp now)
{
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        if (!o->used) {
            *o = (struct portmap_port){.used = true, .tcp = tcp, .internal = *internal};
            rng_fill(&p->rng, o->nonce, sizeof(o->nonce));
            begin(p, o, now);
            return;
        }
    }
}

void portmap_want(struct portmap *p, const struct netaddr *internal, const bool *tcp, size_t n,
                  tstamp now, struct acts *out)
{
    bool keep[PORTMAP_WANTS_MAX] = {false};

    for (size_t i = 0; i < n; i++) {
        const struct portmap_port *o = find(p, &internal[i], tcp[i]);
        if (o != NULL) {
            keep[o - p->port] = true;
        }
    }
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        if (p->port[i].used && !keep[i]) {
            end_port(p, &p->port[i], now, out);
            p->port[i].used = false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (find(p, &internal[i], tcp[i]) == NULL) {
            add_port(p, &internal[i], tcp[i], now);
        }
    }
}

void portmap_doubt(struct portmap *p, tstamp now, struct acts *out)
{
    (void)out;
    for (size_t i = 0; i < ARRAY_LEN(p->gate); i++) {
        struct portmap_gate *g = &p->gate[i];
        if (g->look.at != TSTAMP_NEVER && g->look.tries == 0 && now >= g->doubt_at) {
            g->doubt_at = tstamp_after(now, PORTMAP_DOUBT);
            g->look.at = now;
        }
    }
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        if (o->used && o->state == PORTMAP_MAPPED && o->method == PORTMAP_UPNP && o->upnp_id == 0 &&
            now - o->upnp_asked >= PORTMAP_UPNP_LOOK) {
            o->by[PORTMAP_UPNP].at = now;
        }
    }
}

void portmap_end(struct portmap *p, tstamp now, struct acts *out)
{
    for (size_t i = 0; i < PORTMAP_WANTS_MAX && !p->ended; i++) {
        if (p->port[i].used) {
            end_port(p, &p->port[i], now, out);
        }
    }
    p->ended = true;
    for (size_t i = 0; i < ARRAY_LEN(p->gate); i++) {
        p->gate[i].ask_addr.at = p->gate[i].look.at = TSTAMP_NEVER;
    }
}

/* ------------------------------------------------------------------ time */

static void tick_port(struct portmap *p, struct portmap_port *o, tstamp now, struct acts *out)
{
    if (o->state == PORTMAP_WAITING && o->round <= now) {
        begin_round(p, o, now);
    }
    if (o->state == PORTMAP_MAPPED && o->expires <= now) {
        lost(p, o, now, out);
    }
    for (int m = PORTMAP_PCP; m < PORTMAP_METHODS; m++) {
        if ((o->state == PORTMAP_ASKING ||
             (o->state == PORTMAP_MAPPED && o->method == (unsigned)m)) &&
            o->by[m].at <= now) {
            portmap_ask(p, o, (enum portmap_method)m, now, out);
        }
    }
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct portmap *p = core;

    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        if (p->port[i].used) {
            tick_port(p, &p->port[i], now, out);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(p->gate); i++) {
        struct portmap_gate *g = &p->gate[i];
        if (g->ask_addr.at <= now) {
            portmap_ask_addr(p, g, now, out);
        }
        if (g->look.at <= now) {
            portmap_ask_epoch(p, g, now, out);
        }
    }
}

static tstamp port_deadline(const struct portmap_port *o)
{
    tstamp at = TSTAMP_NEVER;

    if (o->state == PORTMAP_WAITING) {
        return o->round;
    }
    if (o->state == PORTMAP_MAPPED) {
        return tstamp_min(o->expires, o->by[o->method].at);
    }
    for (int m = PORTMAP_PCP; m < PORTMAP_METHODS && o->state == PORTMAP_ASKING; m++) {
        at = tstamp_min(at, o->by[m].at);
    }
    return at;
}

static tstamp deadline(const void *core)
{
    const struct portmap *p = core;
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        at = p->port[i].used ? tstamp_min(at, port_deadline(&p->port[i])) : at;
    }
    for (size_t i = 0; i < ARRAY_LEN(p->gate); i++) {
        at = tstamp_min(at, tstamp_min(p->gate[i].ask_addr.at, p->gate[i].look.at));
    }
    return at;
}

const struct core_ops portmap_ops = {.tick = tick, .deadline = deadline};
