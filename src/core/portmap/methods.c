/* methods.c - the three ways to ask a router: what is sent, when it is sent again, and what the answers mean. */
#include "core/portmap/portmap_int.h"

#include "base/wipe.h"

#include <string.h>

#define PCP_FIRST (3 * NS_PER_S)       /* RFC 6887 8.1.1: IRT */
#define NATPMP_FIRST (250 * NS_PER_MS) /* RFC 6886 3.1 */
#define DOUBTED (3 * NS_PER_S) /* between two requests for a port that the router may have lost */
#define DOUBTED_TRIES 40       /* then as for any renewal */
#define AGAIN (3 * NS_PER_S)   /* between two times that all ports are asked for again */
#define MUTE 2                 /* times, then the router does not know the question */
#define PORT_FIRST 1024        /* of those chosen for UPnP */

static void send(const struct portmap_gate *g, const struct pcp_request *q, struct acts *out)
{
    struct portmap_send s = {.from = g->source, .to = g->addr};

    s.to.port = PCP_PORT;
    s.len = (uint8_t)pcp_write(s.bytes, sizeof(s.bytes), q);
    (void)acts_up_copy(out, PORTMAP_UP_SEND, &s, sizeof(s));
}

static struct pcp_request request(const struct portmap_port *o, enum portmap_method m,
                                  uint32_t life_s)
{
    struct pcp_request q = {.kind = m == PORTMAP_PCP ? PCP_MAP : PCP_NATPMP_MAP,
                            .protocol = o->tcp ? PCP_TCP : PCP_UDP,
                            .client = o->internal,
                            .internal = o->internal.port,
                            .life_s = life_s};

    memcpy(q.nonce, o->nonce, sizeof(q.nonce));
    if (life_s == 0) {
        return q;
    }
    q.external = o->internal.port; /* then what goes out is seen where others come in */
    if (o->state == PORTMAP_MAPPED && o->method == m) {
        q.external = o->external.port;
        q.suggested = o->external;
    }
    return q;
}

static bool renews(const struct portmap_port *o, enum portmap_method m)
{
    return o->state == PORTMAP_MAPPED && o->method == m;
}

/* ns until it is asked again when no answer comes; 0: no more. */
static uint64_t retry_after(const struct portmap *p, const struct portmap_port *o,
                            enum portmap_method m, tstamp now)
{
    const struct portmap_try *t = &o->by[m];
    uint64_t left = o->expires > now ? o->expires - now : 0;

    if (renews(o, m)) {
        return rng_jitter(
            &p->rng, o->doubted && t->tries < DOUBTED_TRIES ? DOUBTED : portmap_rule_renew(left),
            50);
    }
    uint32_t most = m == PORTMAP_PCP ? PORTMAP_PCP_TRIES : PORTMAP_NATPMP_TRIES;
    uint64_t first = m == PORTMAP_PCP ? PCP_FIRST : NATPMP_FIRST;
    return t->tries > most ? 0 : rng_jitter(&p->rng, first << (t->tries - 1), 100);
}

static void ask_upnp(struct portmap *p, struct portmap_port *o, tstamp now, struct acts *out)
{
    struct portmap_upnp u = {.id = ++p->upnp_ids,
                             .tcp = o->tcp,
                             .internal = o->internal,
                             .gateway = portmap_gate_of(p, o->internal.family)->addr,
                             .life_s = o->permanent ? 0 : PORTMAP_LIFE_S};

    if (o->upnp_port == 0) {
        o->upnp_port = o->internal.port;
    }
    u.external = o->upnp_port;
    u.pinhole = o->upnp_pinhole;
    o->upnp_id = u.id;
    o->upnp_asked = now;
    o->by[PORTMAP_UPNP].at = tstamp_after(now, PORTMAP_UPNP_MAX);
    (void)acts_up_copy(out, PORTMAP_UP_UPNP, &u, sizeof(u));
}

void portmap_ask(struct portmap *p, struct portmap_port *o, enum portmap_method m, tstamp now,
                 struct acts *out)
{
    struct portmap_try *t = &o->by[m];

    if (m == PORTMAP_UPNP) {
        if (o->upnp_id != 0) {
            o->upnp_id = 0; /* the host owes an answer */
            portmap_failed(p, o, m, "no answer", now, out);
        } else {
            ask_upnp(p, o, now, out);
        }
        return;
    }
    t->tries++;
    uint64_t after = retry_after(p, o, m, now);
    if (after == 0) {
        portmap_failed(p, o, m, "no answer", now, out);
        return;
    }
    t->at = tstamp_after(now, after);
    struct pcp_request q = request(o, m, PORTMAP_LIFE_S);
    send(portmap_gate_of(p, o->internal.family), &q, out);
}

/* The router says nothing of its address: then NAT-PMP is of no use. */
static void natpmp_over(struct portmap *p, struct portmap_gate *g, const char *why, tstamp now,
                        struct acts *out)
{
    g->ask_addr = (struct portmap_try){.at = TSTAMP_NEVER, .over = true, .why = why};
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        if (o->used && o->internal.family == 4 && o->state == PORTMAP_ASKING &&
            !o->by[PORTMAP_NATPMP].over) {
            portmap_failed(p, o, PORTMAP_NATPMP, why, now, out);
        }
    }
}

/* Whether a port may still be, or is, mapped by NAT-PMP. */
static bool needs_addr(const struct portmap *p)
{
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        const struct portmap_port *o = &p->port[i];
        if (o->used && o->internal.family == 4 &&
            (renews(o, PORTMAP_NATPMP) ||
             (o->state == PORTMAP_ASKING && !o->by[PORTMAP_NATPMP].over))) {
            return true;
        }
    }
    return false;
}

void portmap_ask_addr(struct portmap *p, struct portmap_gate *g, tstamp now, struct acts *out)
{
    struct pcp_request q = {.kind = PCP_NATPMP_ADDR};
    struct portmap_try *t = &g->ask_addr;

    if (!needs_addr(p)) {
        *t = (struct portmap_try){.at = TSTAMP_NEVER};
        return;
    }
    if (++t->tries > PORTMAP_NATPMP_TRIES) {
        natpmp_over(p, g, "no answer", now, out);
        return;
    }
    t->at = tstamp_after(now, NATPMP_FIRST << (t->tries - 1));
    send(g, &q, out);
}

/* Whether a port is mapped there by that method. */
static bool has_by(const struct portmap *p, const struct portmap_gate *g, enum portmap_method m)
{
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        const struct portmap_port *o = &p->port[i];
        if (o->used && o->internal.family == g->addr.family && renews(o, m)) {
            return true;
        }
    }
    return false;
}

void portmap_ask_epoch(struct portmap *p, struct portmap_gate *g, tstamp now, struct acts *out)
{
    struct pcp_request q = {.kind = PCP_ANNOUNCE, .client = g->source};
    bool pcp = has_by(p, g, PORTMAP_PCP), natpmp = has_by(p, g, PORTMAP_NATPMP);

    g->look.at = TSTAMP_NEVER;
    if (!pcp && !natpmp) {
        return;
    }
    if (++g->look.tries > 2) { /* silent: it may be starting again */
        portmap_ask_again(p, g, now);
        g->look = (struct portmap_try){.at = tstamp_after(now, PORTMAP_LOOK), .over = true};
        return;
    }
    if (!pcp) {
        q.kind = PCP_NATPMP_ADDR;
    }
    send(g, &q, out);
    g->look.at = tstamp_after(now, PORTMAP_LOOK_SOON);
}

void portmap_ask_again(struct portmap *p, const struct portmap_gate *g, tstamp now)
{
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        if (o->used && o->internal.family == g->addr.family && o->state == PORTMAP_MAPPED &&
            o->method != PORTMAP_UPNP && !o->doubted) {
            o->doubted = true;
            o->by[o->method] = (struct portmap_try){.at = now};
        }
    }
}

void portmap_remove(struct portmap *p, struct portmap_port *o, struct acts *out)
{
    const struct portmap_gate *g = portmap_gate_of(p, o->internal.family);
    bool asked = o->state == PORTMAP_ASKING && o->by[PORTMAP_PCP].tries > 0;

    if (renews(o, PORTMAP_PCP) ||
        asked) { /* who was asked may have done it, and the answer be lost */
        struct pcp_request q = request(o, PORTMAP_PCP, 0);
        send(g, &q, out);
    }
    if (renews(o, PORTMAP_NATPMP)) {
        struct pcp_request q = request(o, PORTMAP_NATPMP, 0);
        send(g, &q, out);
    }
    if (renews(o, PORTMAP_UPNP)) {
        struct portmap_upnp u = {.id = ++p->upnp_ids,
                                 .tcp = o->tcp,
                                 .remove = true,
                                 .internal = o->internal,
                                 .gateway = g->addr,
                                 .external = o->external.port,
                                 .pinhole = o->upnp_pinhole};
        (void)acts_up_copy(out, PORTMAP_UP_UPNP, &u, sizeof(u));
    }
}

/* ------------------------------------------------------------------ answers */

/* The port that an answer is about; NULL: none, or it was not asked for this way. */
static struct portmap_port *meant(struct portmap *p, uint8_t version, const struct pcp_answer *a)
{
    enum portmap_method m = a->pcp ? PORTMAP_PCP : PORTMAP_NATPMP;

    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        if (o->used && o->internal.family == version && o->internal.port == a->internal &&
            a->protocol == (o->tcp ? PCP_TCP : PCP_UDP) &&
            (!a->pcp || ct_equal(a->nonce, o->nonce, PCP_NONCE_LEN)) &&
            (renews(o, m) ||
             (o->state == PORTMAP_ASKING && o->by[m].tries > 0 && !o->by[m].over))) {
            return o;
        }
    }
    return NULL;
}

/* What the router says of a port. */
static bool take_map(struct portmap *p, struct portmap_gate *g, const struct pcp_answer *a,
                     tstamp now, struct acts *out)
{
    struct portmap_port *o = meant(p, g->addr.family, a);
    enum portmap_method m = a->pcp ? PORTMAP_PCP : PORTMAP_NATPMP;

    if (o == NULL) {
        return false;
    }
    if (a->result != PCP_SUCCESS) {
        portmap_failed(p, o, m, pcp_result_text(a->result), now, out);
        return true;
    }
    struct netaddr external = a->external;
    if (!a->pcp) {
        external = g->natpmp_addr;
        external.port = a->external.port;
    }
    if (external.port == 0 || a->life_s == 0 || external.family != g->addr.family) {
        return false; /* it makes no sense: as if nothing had come */
    }
    if (portmap_rule_external(&external) == PORTMAP_USELESS) {
        portmap_failed(p, o, m, "it has no external address", now, out);
    } else {
        struct portmap_found f = {m, a->life_s, external};
        portmap_mapped(o, &f, now, out);
    }
    return true;
}

/* NAT-PMP's external address: where it became known, ports are asked for; where it is another, they are there now. */
static void take_addr(struct portmap *p, struct portmap_gate *g, const struct pcp_answer *a,
                      tstamp now, struct acts *out)
{
    if (a->result != PCP_SUCCESS) {
        natpmp_over(p, g, pcp_result_text(a->result), now, out);
        return;
    }
    struct netaddr there = a->external;
    there.port = 1;
    if (portmap_rule_external(&there) == PORTMAP_USELESS) {
        natpmp_over(p, g, "it has no external address", now, out);
        return;
    }
    g->natpmp_addr = a->external;
    g->ask_addr = (struct portmap_try){.at = TSTAMP_NEVER};
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        struct portmap_try *t = &o->by[PORTMAP_NATPMP];
        if (!o->used || o->internal.family != 4) {
            continue;
        }
        if (o->state == PORTMAP_ASKING && !t->over && t->tries == 0) {
            t->at = g->no_pcp || o->by[PORTMAP_PCP].over ? now
                                                         : tstamp_after(now, PORTMAP_NATPMP_AFTER);
        } else if (renews(o, PORTMAP_NATPMP) && !netaddr_same_ip(&o->external, &a->external) &&
                   !o->doubted) {
            o->doubted = true;
            *t = (struct portmap_try){.at = now};
        }
    }
}

/* The router does not speak it: nothing of it is tried while the network is this one. */
static void without(struct portmap *p, struct portmap_gate *g, enum portmap_method m, tstamp now,
                    struct acts *out)
{
    const char *why = pcp_result_text(PCP_UNSUPP_VERSION);

    *(m == PORTMAP_PCP ? &g->no_pcp : &g->no_natpmp) = true;
    if (m == PORTMAP_NATPMP) {
        natpmp_over(p, g, why, now, out);
    }
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        if (o->used && o->internal.family == g->addr.family && !o->by[m].over &&
            (renews(o, m) || o->state == PORTMAP_ASKING)) {
            portmap_failed(p, o, m, why, now, out);
        }
        if (o->used && m == PORTMAP_PCP && o->state == PORTMAP_ASKING &&
            g->natpmp_addr.family != 0 && o->by[PORTMAP_NATPMP].tries == 0) {
            o->by[PORTMAP_NATPMP].at = now;
        }
    }
}

/* Whether the time since it lost its state tells that it did so since the last answer. */
static void take_epoch(struct portmap *p, struct portmap_gate *g, const struct pcp_answer *a,
                       tstamp now)
{
    struct portmap_epoch *e = &g->epoch[a->pcp ? 0 : 1];
    bool lost = e->known && portmap_rule_rebooted(e->s, a->epoch, (now - e->at) / NS_PER_S);

    *e = (struct portmap_epoch){.known = true, .s = a->epoch, .at = now};
    if (a->kind == PCP_ANNOUNCE || a->kind == PCP_NATPMP_ADDR) {
        g->mute = 0;
    } else if (g->look.over && g->mute < MUTE) {
        g->mute++;
    }
    g->look = (struct portmap_try){
        .at = tstamp_after(now, g->mute < MUTE ? PORTMAP_LOOK : PORTMAP_LOOK_MUTE)};
    if (lost && now >= g->again_at) {
        g->again_at = tstamp_after(now, AGAIN);
        portmap_ask_again(p, g, now);
        if (has_by(p, g, PORTMAP_NATPMP)) {
            g->ask_addr = (struct portmap_try){.at = now};
        }
    }
}

bool portmap_recv(struct portmap *p, const struct netaddr *from, struct slice datagram, tstamp now,
                  struct acts *out)
{
    struct portmap_gate *g = portmap_gate_of(p, from->family);
    struct pcp_answer a;

    if (p->ended || g->addr.family == 0 || from->port != PCP_PORT ||
        !netaddr_same_ip(from, &g->addr) || pcp_parse(&a, datagram) != QUDAG_OK) {
        return false;
    }
    if (!a.pcp && g->addr.family == 6) {
        /* NAT-PMP has no IPv6, but a router that has nothing else says so in its words */
        if (a.result == PCP_UNSUPP_VERSION) {
            without(p, g, PORTMAP_PCP, now, out);
        }
        return a.result == PCP_UNSUPP_VERSION;
    }
    if (a.result == PCP_UNSUPP_VERSION) { /* of what we sent it, not of what it answers with */
        without(p, g, a.pcp ? PORTMAP_NATPMP : PORTMAP_PCP, now, out);
        return true;
    }
    take_epoch(p, g, &a, now);
    if (a.kind == PCP_NATPMP_ADDR) {
        take_addr(p, g, &a, now, out);
        return true;
    }
    return a.kind == PCP_ANNOUNCE || take_map(p, g, &a, now, out);
}

/* Another port, for the one that is taken; false: it was tried often enough. */
static bool other_port(const struct portmap *p, struct portmap_port *o)
{
    if (++o->upnp_ports >= PORTMAP_PORTS_MAX) {
        return false;
    }
    o->upnp_port = (uint16_t)(PORT_FIRST + rng_below(&p->rng, 65536 - PORT_FIRST));
    return true;
}

static const char *upnp_why(int code)
{
    switch (code) {
    case PORTMAP_UPNP_NO_ROUTER:
        return "no router answers";
    case PORTMAP_UPNP_NO_SENSE:
        return "what the router answers makes no sense";
    case PORTMAP_UPNP_NOT_HERE:
        return "it is not built in";
    case PORTMAP_UPNP_FAILED:
        return "the router failed, its table may be full";
    case PORTMAP_UPNP_REFUSED:
        return "the router does not allow that";
    case PORTMAP_UPNP_CONFLICT:
    case PORTMAP_UPNP_SAME_PORT:
        return "the port is taken";
    case PORTMAP_UPNP_PERMANENT_ONLY:
        return "the router maps for ever only";
    default:
        return "the router answers with an error";
    }
}

static void take_upnp(struct portmap *p, struct portmap_port *o,
                      const struct portmap_upnp_answer *a, tstamp now, struct acts *out)
{
    if (a->code == PORTMAP_UPNP_OK) {
        o->upnp_pinhole = a->pinhole;
        if (portmap_rule_external(&a->external) == PORTMAP_USELESS ||
            a->external.family != o->internal.family) {
            portmap_failed(p, o, PORTMAP_UPNP, "it has no external address", now, out);
        } else {
            struct portmap_found f = {PORTMAP_UPNP, a->life_s, a->external};
            if (o->permanent || f.life_s == 0) {
                f.life_s = o->permanent ? 0 : PORTMAP_LIFE_S;
            }
            portmap_mapped(o, &f, now, out);
        }
    } else if (a->code == PORTMAP_UPNP_PERMANENT_ONLY && !o->permanent) {
        o->permanent = true;
        ask_upnp(p, o, now, out);
    } else if (a->code == PORTMAP_UPNP_CONFLICT && other_port(p, o)) {
        ask_upnp(p, o, now, out);
    } else {
        portmap_failed(p, o, PORTMAP_UPNP, upnp_why(a->code), now, out);
    }
}

void portmap_upnp_done(struct portmap *p, uint64_t id, const struct portmap_upnp_answer *a,
                       tstamp now, struct acts *out)
{
    for (size_t i = 0; i < PORTMAP_WANTS_MAX; i++) {
        struct portmap_port *o = &p->port[i];
        if (!o->used || o->upnp_id != id || id == 0) {
            continue;
        }
        o->upnp_id = 0;
        o->by[PORTMAP_UPNP].at = TSTAMP_NEVER;
        if (o->state == PORTMAP_ASKING || renews(o, PORTMAP_UPNP)) {
            take_upnp(p, o, a, now, out);
        }
        return;
    }
}
