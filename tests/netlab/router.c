/* router.c - which way a packet goes, and what is done to it. */
#include "router.h"

#include "packet.h"

#include <string.h>

void router_init(struct router *r, const struct rng *rng)
{
    memset(r, 0, sizeof *r);
    mem_init(&r->mem, NULL, 0);
    r->rng = *rng;
    r->cfg = (struct nat_config){.mem = &r->mem, .rng = *rng, .refresh_in = true};
    for (unsigned i = 0; i < ROUTER_WIRES; i++) {
        wire_init(&r->wire[i], &r->mem, rng);
    }
}

static void stop_nat(struct router *r)
{
    nat_free(r->udp);
    nat_free(r->tcp);
    nat_free(r->echo);
    r->udp = NULL;
    r->tcp = NULL;
    r->echo = NULL;
}

void router_fini(struct router *r)
{
    stop_nat(r);
    for (unsigned i = 0; i < ROUTER_WIRES; i++) {
        wire_fini(&r->wire[i]);
    }
}

bool router_add_net(struct router *r, const struct netaddr *addr, unsigned bits)
{
    if (r->nets == ROUTER_NETS_MAX) {
        return false;
    }
    r->inside[r->nets++] = (struct router_net){*addr, bits};
    return true;
}

bool router_start_nat(struct router *r)
{
    struct nat_config lasting = r->cfg;

    lasting.timeout_ns = 7440 * NS_PER_S; /* RFC 5382, REQ-5 */
    lasting.timeout_new_ns = 240 * NS_PER_S;
    stop_nat(r);
    r->udp = nat_new(&r->cfg);
    r->tcp = nat_new(&lasting);
    r->echo = nat_new(&r->cfg);
    if (r->udp == NULL || r->tcp == NULL || r->echo == NULL) {
        stop_nat(r);
        return false;
    }
    return true;
}

static bool in_net(const struct router_net *n, const struct netaddr *a)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;

    if (a->family != n->addr.family || memcmp(a->ip, n->addr.ip, whole) != 0) {
        return false;
    }
    return rest == 0 || (a->ip[whole] ^ n->addr.ip[whole]) >> (8 - rest) == 0;
}

static bool is_inside(const struct router *r, const struct netaddr *a)
{
    for (size_t i = 0; i < r->nets; i++) {
        if (in_net(&r->inside[i], a)) {
            return true;
        }
    }
    return false;
}

static struct nat *nat_of(const struct router *r, uint8_t proto)
{
    return proto == PACKET_UDP ? r->udp : proto == PACKET_TCP ? r->tcp : r->echo;
}

static void pass(struct router *r, enum router_wire to, const struct packet *p, uint64_t now)
{
    wire_put(&r->wire[to], (struct slice){p->b, p->len}, now);
}

/* ------------------------------------------------------------------ from inside */

/* An error about a packet that came in: what is quoted went to the external address. */
static bool error_out(struct router *r, struct packet *p, uint64_t now)
{
    struct packet q;
    struct netaddr ext;

    if (!packet_quoted(p, &q) || !nat_out(nat_of(r, q.proto), &q.dst, &q.src, now, &ext)) {
        return false;
    }
    packet_set_dst(&q, &ext);
    packet_quote_changed(p);
    packet_set_src(p, &ext);
    return true;
}

static bool translate_in(struct router *r, struct packet *p, uint64_t now);

static void from_inside(struct router *r, struct packet *p, uint64_t now)
{
    struct netaddr ext;
    bool turns = netaddr_same_ip(&p->dst, &r->cfg.external), ok;

    r->out++;
    if (r->udp == NULL || p->src.family == 6) {
        pass(r, WAN_OUT, p, now);
        return;
    }
    if (p->error) {
        ok = error_out(r, p, now);
    } else {
        ok = p->proto != 0 && nat_out(nat_of(r, p->proto), &p->src, &p->dst, now, &ext);
        if (ok) {
            packet_set_src(p, &ext);
        }
    }
    if (!ok || (turns && !translate_in(r, p, now))) {
        r->dropped++;
    } else {
        pass(r, turns ? LAN_IN : WAN_OUT, p, now);
    }
}

/* ------------------------------------------------------------------ from outside */

/* An error about a packet that went out: what is quoted came from the external address. */
static bool error_in(struct router *r, struct packet *p)
{
    struct packet q;
    struct netaddr to;

    if (!packet_quoted(p, &q) || !nat_owner(nat_of(r, q.proto), q.src.port, &to)) {
        return false;
    }
    packet_set_src(&q, &to);
    packet_quote_changed(p);
    packet_set_dst(p, &to);
    return true;
}

static bool translate_in(struct router *r, struct packet *p, uint64_t now)
{
    struct netaddr to;

    if (p->error) {
        return error_in(r, p);
    }
    if (p->proto == 0 || !nat_in(nat_of(r, p->proto), &p->src, &p->dst, now, &to)) {
        return false;
    }
    packet_set_dst(p, &to);
    return true;
}

static void refuse(struct router *r, const struct packet *p, uint64_t now)
{
    uint8_t b[PACKET_UNREACHABLE_MAX];
    struct packet answer = {.b = b};

    r->refused++;
    if (r->cfg.rejects && (p->proto == PACKET_UDP || p->proto == PACKET_TCP)) {
        answer.len = packet_unreachable(b, p);
        pass(r, WAN_OUT, &answer, now);
    }
}

static void from_outside(struct router *r, struct packet *p, uint64_t now)
{
    if (r->udp == NULL || p->src.family == 6 || translate_in(r, p, now)) {
        r->in++;
        pass(r, LAN_IN, p, now);
    } else {
        refuse(r, p, now);
    }
}

/* ------------------------------------------------------------------ all */

void router_packet(struct router *r, uint8_t *b, size_t len, uint64_t now)
{
    struct packet p;

    if (!packet_read(&p, b, len)) {
        return;
    }
    pass(r, is_inside(r, &p.src) ? LAN_OUT : WAN_IN, &p, now);
}

static void move(struct router *r, uint64_t now)
{
    struct packet p;
    size_t len;

    while ((len = wire_get(&r->wire[LAN_OUT], r->b, sizeof r->b, now)) > 0) {
        if (packet_read(&p, r->b, len)) {
            from_inside(r, &p, now);
        }
    }
    while ((len = wire_get(&r->wire[WAN_IN], r->b, sizeof r->b, now)) > 0) {
        if (packet_read(&p, r->b, len)) {
            from_outside(r, &p, now);
        }
    }
}

size_t router_leaving(struct router *r, const uint8_t **b, uint64_t now)
{
    size_t len;

    move(r, now);
    len = wire_get(&r->wire[WAN_OUT], r->b, sizeof r->b, now);
    if (len == 0) {
        len = wire_get(&r->wire[LAN_IN], r->b, sizeof r->b, now);
    }
    *b = r->b;
    return len;
}

uint64_t router_next(const struct router *r)
{
    uint64_t next = TSTAMP_NEVER;

    for (unsigned i = 0; i < ROUTER_WIRES; i++) {
        uint64_t at = wire_next(&r->wire[i]);
        next = at < next ? at : next;
    }
    return next;
}
