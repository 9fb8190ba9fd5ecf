/* arrow_portmap.c - portmap - host, datagrams, reach: see portmap.h. */
#include "node/internal.h"

#include <string.h>

bool node_rule_maps(const struct node_maps_of *of)
{
    const struct netaddr *own = &of->way.source;

    if (!of->wanted || !of->setting || of->lab || of->way.gateway.family == 0 ||
        own->family != of->way.gateway.family || netaddr_is_loopback(own) ||
        netaddr_is_loopback(&of->way.gateway)) {
        return false;
    }
    return own->family == 6 ? netaddr_is_global(own) : netaddr_is_private(own);
}

static bool maps(const struct node *n, size_t i)
{
    struct node_maps_of of = {.wanted = n->wants.map && n->boot.started && !n->closing,
                              .setting = n->cfg.port_mapping,
                              .lab = n->cfg.lab,
                              .way = n->portmap.way[i]};

    return node_rule_maps(&of);
}

/* The ports that are listened at, at our address towards the gateway; *udp: that of the socket to ask from. */
static size_t ports(const struct node *n, size_t i, struct netaddr *out, bool *tcp, uint16_t *udp)
{
    const struct netaddr *own = &n->portmap.way[i].source;
    bool has[2] = {false, false};
    size_t count = 0;

    *udp = 0;
    for (size_t k = 0; k < n->reach.n_bound && maps(n, i); k++) {
        struct netaddr a;
        bool is_tcp = multiaddr_to_tcp(&n->reach.bound[k], &a);
        if ((!is_tcp && !multiaddr_to_netaddr(&n->reach.bound[k], &a)) ||
            !netaddr_same_ip(&a, own) || a.port == 0 || has[is_tcp]) {
            continue;
        }
        has[is_tcp] = true;
        *udp = is_tcp ? *udp : a.port;
        out[count] = a;
        tcp[count++] = is_tcp;
    }
    return count;
}

/* The candidate that a mapping is. */
static void candidate(struct multiaddr *out, const struct portmap_look *l)
{
    if (l->tcp) {
        multiaddr_tcp(out, &l->external, NULL);
    } else {
        multiaddr_quic(out, &l->external, NULL);
    }
}

/* What apply() depends on beside what sets |dirty|. */
static unsigned conditions(const struct node *n)
{
    return (n->wants.map ? 1u : 0) | (n->boot.started ? 2u : 0) | (n->closing ? 4u : 0);
}

static bool changed(const struct node *n)
{
    return n->portmap.dirty || n->portmap.conditions != conditions(n);
}

/* What is wanted, and of whom, is told to the core when it is otherwise than before. */
static void apply(struct node *n, tstamp now, struct acts *out)
{
    struct node_portmap *p = &n->portmap;
    struct netaddr internal[PORTMAP_WANTS_MAX], source[2];
    bool tcp[PORTMAP_WANTS_MAX];
    size_t count = 0, of[2];

    _Static_assert(PORTMAP_WANTS_MAX >= 4, "two of each IP version");
    p->dirty = false;
    p->conditions = conditions(n);
    for (size_t i = 0; i < 2; i++) {
        source[i] = p->way[i].source;
        of[i] = ports(n, i, internal + count, tcp + count, &source[i].port);
        count += of[i];
    }
    if (count > 0) {
        log_event(&n->cfg.log, LOG_DEBUG, "nat.port_mapping_wanted", LOG_NUM("ports", count));
    }
    portmap_want(p->core, internal, tcp, count, now, out); /* removes, while the gateway is known */
    for (size_t i = 0; i < 2; i++) {
        struct netaddr gateway = p->way[i].gateway;
        gateway.family = i == 0 ? 4 : 6;
        gateway.port = of[i] > 0 ? PCP_PORT : 0;
        node_datagrams_gateway(n, &gateway);
        portmap_gateway(p->core, gateway.family, of[i] > 0 ? &gateway : NULL, &source[i], now, out);
    }
    portmap_doubt(p->core, now, out); /* something happened to the network */
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;

    if (changed(n)) {
        apply(n, now, out);
    }
    portmap_ops.tick(n->portmap.core, now, out);
}

/* What is wanted is looked at after each event, which is what may change it. */
static tstamp deadline(const void *node)
{
    const struct node *n = node;

    return changed(n) ? 0 : portmap_ops.deadline(n->portmap.core);
}

static void upnp(struct node *n, const struct portmap_upnp *u, tstamp now)
{
    qudag_err err = QUDAG_EUNSUPPORTED;

    n->portmap.stats.upnp++;
    if (n->hooks.upnp != NULL) {
        n->hooks_called++;
        err = n->hooks.upnp(n->hooks.ctx, u);
    }
    if (err != QUDAG_OK) {
        struct portmap_upnp_answer a = {.code = PORTMAP_UPNP_NOT_HERE};
        portmap_upnp_done(n->portmap.core, u->id, &a, now, node_begin(n));
        node_end(n, n->portmap.ix);
    }
}

static void mapped(struct node *n, const struct portmap_look *l, bool stands)
{
    struct multiaddr m;
    char text[NETADDR_TEXT_MAX];

    (void)netaddr_text(text, sizeof(text), &l->external);
    candidate(&m, l);
    if (!stands) {
        n->portmap.stats.lost++;
        log_event(&n->cfg.log, LOG_INFO, "nat.port_lost",
                  LOG_STR("method", portmap_method_text(l->method)),
                  LOG_STR("protocol", l->tcp ? "tcp" : "udp"), LOG_NET("external", text));
        node_reach_unmapped(n, &m);
        return;
    }
    n->portmap.stats.mapped[l->method]++;
    log_event(&n->cfg.log, LOG_INFO, "nat.port_mapped",
              LOG_STR("method", portmap_method_text(l->method)),
              LOG_STR("protocol", l->tcp ? "tcp" : "udp"), LOG_NUM("life_s", l->life_s),
              LOG_NUM("double_nat", l->double_nat), LOG_NUM("internal_port", l->internal.port),
              LOG_NUM("external_port", l->external.port), LOG_NET("external", text));
    node_reach_mapped(n, &m, l->double_nat);
}

static void failed(struct node *n, const struct portmap_look *l)
{
    n->portmap.stats.failed++;
    log_event(&n->cfg.log, l->failures > 1 ? LOG_DEBUG : LOG_INFO, "nat.port_mapping_failed",
              LOG_STR("protocol", l->tcp ? "tcp" : "udp"), LOG_NUM("ip", l->internal.family),
              LOG_NUM("failures", l->failures), LOG_STR("why", l->why));
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    const struct portmap_send *s = a->ptr;

    switch ((enum portmap_up)a->kind) {
    case PORTMAP_UP_SEND:
        n->portmap.stats.sent++;
        (void)node_datagram(n, &s->from, &s->to, (struct slice){s->bytes, s->len});
        break;
    case PORTMAP_UP_UPNP:
        upnp(n, a->ptr, now);
        break;
    case PORTMAP_UP_MAPPED:
    case PORTMAP_UP_LOST:
        mapped(n, a->ptr, a->kind == PORTMAP_UP_MAPPED);
        break;
    case PORTMAP_UP_FAILED:
        failed(n, a->ptr);
        break;
    }
}

static bool take(struct node *n, const struct node_datagram_in *d, tstamp now)
{
    bool ours = portmap_recv(n->portmap.core, &d->remote, d->data, now, node_begin(n));

    node_end(n, n->portmap.ix);
    n->portmap.stats.received += ours ? 1 : 0;
    return ours;
}

void node_set_gateways(struct node *n, const struct node_gateway way[2], tstamp now)
{
    (void)now; /* the next tick acts on it */
    n->portmap.dirty = true;
    memcpy(n->portmap.way, way, sizeof(n->portmap.way));
}

bool node_upnp_done(struct node *n, uint64_t id, const struct portmap_upnp_answer *a, tstamp now)
{
    n->now = now;
    portmap_upnp_done(n->portmap.core, id, a, now, node_begin(n));
    node_end(n, n->portmap.ix);
    return n->wants.map && !n->closing;
}

void node_portmap_doubt(struct node *n, tstamp now)
{
    portmap_doubt(n->portmap.core, now, node_begin(n));
    node_end(n, n->portmap.ix);
}

bool node_portmap_next(const struct node *n, size_t *it, struct portmap_look *out)
{
    return portmap_next(n->portmap.core, it, n->now, out);
}

const struct node_portmap_stats *node_portmap_stats(const struct node *n)
{
    return &n->portmap.stats;
}

void node_portmap_shutdown(struct node *n, tstamp now)
{
    portmap_end(n->portmap.core, now, node_begin(n));
    node_end(n, n->portmap.ix);
    node_cores_act(n, now);
}

static void free_core(void *node)
{
    portmap_free(((struct node *)node)->portmap.core);
}

qudag_err node_portmap_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {
        .name = "portmap", .instance = n, .ops = &ops, .report = report, .free = free_core};
    qudag_err err = portmap_new(&n->portmap.core, n->mem, &n->cfg.rng);

    if (err == QUDAG_OK) {
        n->portmap.dirty = true;
        err = node_datagrams_take(n, NODE_DATAGRAM_GATEWAY, take);
    }
    return err != QUDAG_OK ? err : node_core_add(n, &core, NULL, &n->portmap.ix);
}
