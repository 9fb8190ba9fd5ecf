/*
 * relay_links.c - byte streams through relays below upgraded links; see relay_links.h.
 *
 *   dial ─▶ CONNECTING ─ connected ▶ OPEN ─ the upgrade ends it ▶ ENDING ─ all was taken ▶ CLOSE
 *   accepted ────────────────────────▲ │                            └ RELAY_LINKS_LINGER over ─▶ ABORT
 *                └ failed, ended ──────┴─▶ gone, and the upgrade knows
 */
#include "upgrade/relay_links.h"

#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"

#define STREAMS_DEFAULT 1024

enum carried_state { CONNECTING, OPEN, ENDING };

struct carried {
    struct ref ref;  /* its name, in relay_links.all */
    struct ref link; /* the upgrade's name of it */
    uint64_t stream; /* the host's; 0: none yet */
    enum carried_state state;
    bool limited;
    bool to_connect, has_output, to_close, to_abort; /* actions that the host has not got */
    struct list todo;                                /* in relay_links.todo while one may be due */
    struct list end;                                 /* in relay_links.ending */
    tstamp end_by;                                   /* ENDING */
    struct multiaddr relay;
    struct peer_id peer; /* of a dial */
};

struct relay_links {
    struct upgrade_carrier carrier; /* first */
    struct mem *mem;
    struct slots all;
    struct map by_link, by_stream;
    struct list todo, ending; /* the latter in the order of |end_by| */
    bool shut;
    struct relay_links_stats stats;
};

static struct carried *by_stream(const struct relay_links *r, uint64_t stream)
{
    return stream == 0 ? NULL : map_u64_get(&r->by_stream, stream);
}

static void carried_free(struct relay_links *r, struct carried *c)
{
    list_del(&c->todo);
    list_del(&c->end);
    (void)map_u64_del(&r->by_link, ref_to_u64(c->link));
    if (c->stream != 0) {
        (void)map_u64_del(&r->by_stream, c->stream);
    }
    slots_del(&r->all, c->ref);
    mem_free(r->mem, c);
}

static void is_due(struct relay_links *r, struct carried *c)
{
    if (!list_linked(&c->todo)) {
        list_push_back(&r->todo, &c->todo);
    }
}

/* The network of the relay, where its address says it. */
static uint64_t net_of(const struct multiaddr *relay)
{
    struct netaddr a;

    return multiaddr_endpoint(relay, &a) ? netaddr_group(&a) : 0;
}

/* Something carried by the relay at |relay|, with the upgrade's link for it. */
static qudag_err carried_new(struct relay_links *r, const struct multiaddr *relay, uint64_t net,
                             const struct transport_target *target, tstamp now,
                             struct carried **out)
{
    struct carried *c = r->shut ? NULL : mem_alloc(r->mem, sizeof(*c));

    if (c == NULL) {
        return r->shut ? QUDAG_ELIMIT : QUDAG_ENOMEM;
    }
    list_init(&c->todo);
    list_init(&c->end);
    c->relay = *relay;
    qudag_err err = slots_add(&r->all, c, &c->ref);
    if (err != QUDAG_OK) {
        mem_free(r->mem, c);
        return err;
    }
    struct upgrade_stream s = {.cookie = ref_to_u64(c->ref),
                               .dialer = target != NULL,
                               .props = target != NULL ? LINK_RELAYED : LINK_RELAYED | LINK_INBOUND,
                               .net = net,
                               .target = target};
    (void)multiaddr_circuit(&s.remote, relay); /* else it is shown without an address */
    err = upgrade_begin(r->carrier.up, &s, now, &c->link);
    if (err == QUDAG_OK && (err = map_u64_put(&r->by_link, ref_to_u64(c->link), c)) != QUDAG_OK) {
        upgrade_lost(r->carrier.up, c->link, err, now);
    }
    if (err != QUDAG_OK) {
        carried_free(r, c);
        return err;
    }
    *out = c;
    return QUDAG_OK;
}

/* ---- what the swarm does ---- */

static bool handles(const void *owner, const struct multiaddr *addr)
{
    (void)owner;
    return multiaddr_through(addr, NULL);
}

static qudag_err dial(void *owner, const struct transport_target *target, tstamp now,
                      struct ref *out)
{
    struct relay_links *r = owner;
    struct multiaddr relay;
    struct peer_id id;
    struct carried *c;

    if (!multiaddr_through(target->addr, &relay) || !multiaddr_peer(&relay, &id)) {
        return QUDAG_EUNSUPPORTED;
    }
    if (target->peer == NULL || peer_id_eq(target->peer, &id)) {
        return QUDAG_EINVAL; /* a relay must be told who is meant */
    }
    qudag_err err = carried_new(r, &relay, net_of(&relay), target, now, &c);
    if (err != QUDAG_OK) {
        return err;
    }
    r->stats.dials++;
    c->peer = *target->peer;
    c->to_connect = true;
    is_due(r, c);
    *out = c->link;
    return QUDAG_OK;
}

static qudag_err info(const void *owner, struct ref link, struct link_info *out)
{
    const struct relay_links *r = owner;
    const struct carried *c = map_u64_get(&r->by_link, ref_to_u64(link));
    qudag_err err = upgrade_info(r->carrier.up, link, out);

    if (err == QUDAG_OK && c != NULL && c->limited) {
        out->props |= LINK_LIMITED;
    }
    return err;
}

const struct transport relay_links_transport = {.name = "relay",
                                                .cost = TRANSPORT_RELAYED,
                                                .ops = &upgrade_carrier_ops,
                                                .handles = handles,
                                                .dial = dial,
                                                .cancel = upgrade_carrier_cancel,
                                                .probe = upgrade_carrier_probe,
                                                .info = info};

/* ---- what the host is to do ---- */

static void to_end(struct relay_links *r, struct carried *c, tstamp now)
{
    if (c->state == CONNECTING) {
        c->to_abort = true;
    } else if (c->state == OPEN) {
        c->end_by = tstamp_after(now, RELAY_LINKS_LINGER);
        list_push_back(&r->ending, &c->end);
        c->state = ENDING;
    }
}

static void take_work(struct relay_links *r, tstamp now)
{
    struct ref link;
    uint64_t cookie;
    bool ended;

    while (upgrade_next_work(r->carrier.up, &link, &cookie, &ended)) {
        struct carried *c = slots_get(&r->all, ref_from_u64(cookie));
        if (c == NULL) { /* its stream is gone already */
            upgrade_carrier_drop(r->carrier.up, link, now);
            continue;
        }
        c->has_output = true;
        if (ended) {
            to_end(r, c, now);
        }
        is_due(r, c);
    }
}

/* The action of |c| that comes first; false: none is due. */
static bool action_of(struct relay_links *r, struct carried *c, struct relay_links_action *out,
                      tstamp now)
{
    *out = (struct relay_links_action){
        .id = ref_to_u64(c->ref), .stream = c->stream, .relay = c->relay, .peer = c->peer};
    if (c->to_abort || c->to_close) {
        bool told = !(c->state == CONNECTING && c->to_connect); /* the host never heard of it */
        bool connecting = c->state == CONNECTING;
        out->type = connecting ? RELAY_LINKS_GIVE_UP : RELAY_LINKS_ABORT;
        out->type = c->to_abort ? out->type : RELAY_LINKS_CLOSE;
        if (c->to_abort) {
            upgrade_carrier_drop(r->carrier.up, c->link, now);
        }
        carried_free(r, c);
        return told;
    }
    if (c->to_connect) {
        c->to_connect = false;
        out->type = RELAY_LINKS_CONNECT;
        return true;
    }
    if (c->has_output && c->state != CONNECTING) {
        c->has_output = false;
        out->type = RELAY_LINKS_OUTPUT;
        return true;
    }
    return false;
}

bool relay_links_next_action(struct relay_links *r, struct relay_links_action *out, tstamp now)
{
    take_work(r, now);
    while (!list_empty(&r->todo)) {
        struct carried *c = LIST_ENTRY(r->todo.next, struct carried, todo);
        list_del(&c->todo);
        if (action_of(r, c, out, now)) {
            return true;
        }
    }
    return false;
}

size_t relay_links_output(struct relay_links *r, uint64_t stream, uint8_t *dst, size_t cap,
                          tstamp now)
{
    struct carried *c = by_stream(r, stream);

    if (c == NULL || c->to_close || c->to_abort) {
        return 0;
    }
    size_t n = upgrade_output(r->carrier.up, c->link, dst, cap, now);
    if (n == 0 && c->state == ENDING) { /* the upgrade's name of it is void now */
        c->to_close = true;
        is_due(r, c);
    }
    return n;
}

size_t relay_links_first(struct relay_links *r, uint64_t id, uint8_t *dst, size_t cap, tstamp now)
{
    const struct carried *c = slots_get(&r->all, ref_from_u64(id));

    return c == NULL || c->state != CONNECTING || c->to_abort
               ? 0
               : upgrade_output(r->carrier.up, c->link, dst, cap, now);
}

/* ---- what the host tells ---- */

bool relay_links_connected(struct relay_links *r, uint64_t id, const struct relay_links_stream *s)
{
    struct carried *c = slots_get(&r->all, ref_from_u64(id));

    if (c == NULL || c->state != CONNECTING || c->to_abort ||
        map_u64_put(&r->by_stream, s->stream, c) != QUDAG_OK) {
        return false;
    }
    c->stream = s->stream;
    c->limited = s->limited;
    c->state = OPEN;
    c->has_output = true; /* what the upgrade has said meanwhile */
    is_due(r, c);
    return true;
}

static void gone(struct relay_links *r, struct carried *c, qudag_err err, tstamp now)
{
    struct ref link = c->link;

    carried_free(r, c);
    upgrade_lost(r->carrier.up, link, err, now);
}

void relay_links_failed(struct relay_links *r, uint64_t id, qudag_err err, tstamp now)
{
    struct carried *c = slots_get(&r->all, ref_from_u64(id));

    if (c != NULL && c->state == CONNECTING) {
        r->stats.dials_failed++;
        gone(r, c, err == QUDAG_OK ? QUDAG_EUNREACHABLE : err, now);
    }
}

qudag_err relay_links_accepted(struct relay_links *r, const struct relay_links_stream *s,
                               tstamp now)
{
    struct carried *c;
    qudag_err err = carried_new(r, &s->relay, s->net, NULL, now, &c);

    if (err == QUDAG_OK && (err = map_u64_put(&r->by_stream, s->stream, c)) != QUDAG_OK) {
        gone(r, c, err, now);
    }
    if (err != QUDAG_OK) {
        r->stats.refused++;
        return err;
    }
    r->stats.accepted++;
    c->stream = s->stream;
    c->limited = s->limited;
    c->state = OPEN;
    return QUDAG_OK;
}

void relay_links_received(struct relay_links *r, uint64_t stream, struct slice in, tstamp now)
{
    const struct carried *c = by_stream(r, stream);

    if (c != NULL) {
        upgrade_receive(r->carrier.up, c->link, in, now);
    }
}

void relay_links_room(struct relay_links *r, uint64_t stream)
{
    struct carried *c = by_stream(r, stream);

    if (c != NULL) {
        c->has_output = true;
        is_due(r, c);
    }
}

void relay_links_ended(struct relay_links *r, uint64_t stream, qudag_err err, tstamp now)
{
    struct carried *c = by_stream(r, stream);

    if (c != NULL) {
        gone(r, c, err, now);
    }
}

/* ---- events, time, life ---- */

bool relay_links_next_event(struct relay_links *r, struct link_ev *ev)
{
    return upgrade_next_event(r->carrier.up, ev);
}

tstamp relay_links_deadline(const struct relay_links *r)
{
    tstamp at = upgrade_deadline(r->carrier.up);

    if (!list_empty(&r->ending)) {
        at = tstamp_min(at, LIST_ENTRY(r->ending.next, struct carried, end)->end_by);
    }
    return at;
}

void relay_links_tick(struct relay_links *r, tstamp now)
{
    while (!list_empty(&r->ending)) {
        struct carried *c = LIST_ENTRY(r->ending.next, struct carried, end);
        if (c->end_by > now) {
            break;
        }
        list_del(&c->end);
        c->to_abort = !c->to_close;
        is_due(r, c);
    }
    if (upgrade_deadline(r->carrier.up) <= now) {
        upgrade_tick(r->carrier.up, now);
    }
}

void relay_links_shutdown(struct relay_links *r, tstamp now)
{
    r->shut = true;
    upgrade_shutdown(r->carrier.up, now);
}

void relay_links_stats_get(const struct relay_links *r, struct relay_links_stats *out)
{
    *out = r->stats;
    out->streams = r->all.n;
    upgrade_stats_get(r->carrier.up, &out->upgrade);
}

qudag_err relay_links_new(struct relay_links **out, const struct upgrade_config *cfg, tstamp now)
{
    uint32_t max = cfg->links_max != 0 ? cfg->links_max : STREAMS_DEFAULT;
    struct relay_links *r = mem_alloc(cfg->mem, sizeof(*r));

    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    r->mem = cfg->mem;
    slots_init(&r->all, r->mem, max);
    map_init_u64(&r->by_link, r->mem, NULL, 0, max);
    map_init_u64(&r->by_stream, r->mem, NULL, 0, max);
    list_init(&r->todo);
    list_init(&r->ending);
    qudag_err err = upgrade_new(&r->carrier.up, cfg, now);
    if (err != QUDAG_OK) {
        relay_links_free(r);
        return err;
    }
    *out = r;
    return QUDAG_OK;
}

void relay_links_set_identity(struct relay_links *r, const struct identity *identity)
{
    upgrade_set_identity(r->carrier.up, identity);
}

void relay_links_set_times(struct relay_links *r, uint64_t handshake_ns, uint64_t keepalive_ns)
{
    upgrade_set_times(r->carrier.up, handshake_ns, keepalive_ns);
}

void relay_links_free(struct relay_links *r)
{
    if (r == NULL) {
        return;
    }
    for (uint32_t i = 0; i < r->all.high; i++) {
        struct carried *c = slots_at(&r->all, i);
        if (c != NULL) {
            carried_free(r, c);
        }
    }
    upgrade_free(r->carrier.up);
    map_fini(&r->by_link);
    map_fini(&r->by_stream);
    slots_fini(&r->all);
    mem_free(r->mem, r);
}
