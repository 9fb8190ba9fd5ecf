/*
 * tcp.c - TCP connections below upgraded links; see tcp.h.
 *
 *   dial ─▶ CONNECTING ─ connected ▶ OPEN ─ the upgrade ends it ▶ ENDING ─ all was taken ▶ CLOSE
 *   accepted ────────────────────────▲ │                            └ TCP_LINGER over ──▶ ABORT
 *                └ failed, ended ──────┴─▶ gone, and the upgrade knows
 */
#include "upgrade/tcp.h"

#include "base/limiter.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "core/load/load.h"
#include "upgrade/carrier.h"

#define CONNS_DEFAULT 1024

enum conn_state { CONNECTING, OPEN, ENDING };

struct conn {
    struct ref ref;  /* its name, in tcp.conns */
    struct ref link; /* the upgrade's name of what it carries */
    enum conn_state state;
    bool to_connect, has_output, to_close, to_abort; /* actions that the host has not got */
    struct list todo;                                /* in tcp.todo while one of them may be due */
    struct list end;                                 /* in tcp.ending */
    tstamp end_by;                                   /* ENDING */
    struct netaddr remote;
    struct multiaddr local; /* len 0: not known yet */
};

struct tcp {
    struct upgrade_carrier carrier; /* first, see carrier.h */
    struct mem *mem;
    struct logger log;
    struct slots conns;
    struct map by_link;       /* upgrade's name -> conn */
    struct list todo, ending; /* the latter in the order of |end_by| */
    struct load *load;        /* what networks and hosts owe for handshakes; NULL: nobody does */
    struct limiter refused_log;
    bool shut;
    struct tcp_stats stats;
};

static struct conn *conn_get(const struct tcp *t, uint64_t id)
{
    return slots_get(&t->conns, ref_from_u64(id));
}

static void conn_free(struct tcp *t, struct conn *c)
{
    list_del(&c->todo);
    list_del(&c->end);
    (void)map_u64_del(&t->by_link, ref_to_u64(c->link));
    slots_del(&t->conns, c->ref);
    mem_free(t->mem, c);
}

/* A connection without a link yet; NULL: no memory, or too many. */
static struct conn *conn_new(struct tcp *t, const struct netaddr *remote, qudag_err *err)
{
    struct conn *c = mem_alloc(t->mem, sizeof(*c));

    if (c == NULL) {
        *err = QUDAG_ENOMEM;
        return NULL;
    }
    list_init(&c->todo);
    list_init(&c->end);
    c->remote = *remote;
    *err = slots_add(&t->conns, c, &c->ref);
    if (*err != QUDAG_OK) {
        mem_free(t->mem, c);
        return NULL;
    }
    return c;
}

static void is_due(struct tcp *t, struct conn *c)
{
    if (!list_linked(&c->todo)) {
        list_push_back(&t->todo, &c->todo);
    }
}

/* The upgrade's link for |c|.  On failure |c| is gone. */
static qudag_err begin(struct tcp *t, struct conn *c, const struct transport_target *target,
                       tstamp now)
{
    struct upgrade_stream s = {.cookie = ref_to_u64(c->ref),
                               .dialer = target != NULL,
                               .props = target != NULL ? 0 : LINK_INBOUND,
                               .local = c->local,
                               .net = netaddr_group(&c->remote),
                               .target = target};

    multiaddr_tcp(&s.remote, &c->remote, NULL);
    qudag_err err = upgrade_begin(t->carrier.up, &s, now, &c->link);
    if (err == QUDAG_OK && (err = map_u64_put(&t->by_link, ref_to_u64(c->link), c)) != QUDAG_OK) {
        upgrade_lost(t->carrier.up, c->link, err, now);
    }
    if (err != QUDAG_OK) {
        conn_free(t, c);
    }
    return err;
}

/* ---- what the swarm does ---- */

static bool handles(const void *owner, const struct multiaddr *addr)
{
    struct netaddr a;

    (void)owner;
    return multiaddr_to_tcp(addr, &a) && a.port != 0 && !netaddr_is_unspecified(&a);
}

static qudag_err dial(void *owner, const struct transport_target *target, tstamp now,
                      struct ref *out)
{
    struct tcp *t = owner;
    struct netaddr a;
    qudag_err err = QUDAG_ELIMIT;

    if (!multiaddr_to_tcp(target->addr, &a)) {
        return QUDAG_EUNSUPPORTED;
    }
    struct conn *c = t->shut ? NULL : conn_new(t, &a, &err);
    if (c == NULL) {
        return err;
    }
    if ((err = begin(t, c, target, now)) != QUDAG_OK) {
        return err;
    }
    t->stats.dials++;
    c->to_connect = true;
    is_due(t, c);
    *out = c->link;
    return QUDAG_OK;
}

static qudag_err info(const void *owner, struct ref link, struct link_info *out)
{
    const struct tcp *t = owner;
    const struct conn *c = map_u64_get(&t->by_link, ref_to_u64(link));
    qudag_err err = upgrade_info(t->carrier.up, link, out);

    if (err == QUDAG_OK && c != NULL) {
        out->local = c->local;
    }
    return err;
}

const struct transport tcp_transport = {.name = "tcp",
                                        .cost = TRANSPORT_STREAM,
                                        .ops = &upgrade_carrier_ops,
                                        .handles = handles,
                                        .dial = dial,
                                        .cancel = upgrade_carrier_cancel,
                                        .probe = upgrade_carrier_probe,
                                        .info = info};

/* ---- what the host is to do ---- */

static void to_end(struct tcp *t, struct conn *c, tstamp now)
{
    if (c->state == CONNECTING) {
        c->to_abort = true;
    } else if (c->state == OPEN) {
        c->end_by = tstamp_after(now, TCP_LINGER);
        list_push_back(&t->ending, &c->end);
        c->state = ENDING;
    }
}

static void take_work(struct tcp *t, tstamp now)
{
    struct ref link;
    uint64_t cookie;
    bool ended;

    while (upgrade_next_work(t->carrier.up, &link, &cookie, &ended)) {
        struct conn *c = conn_get(t, cookie);
        if (c == NULL) { /* its connection is gone already */
            upgrade_carrier_drop(t->carrier.up, link, now);
            continue;
        }
        c->has_output = true;
        if (ended) {
            to_end(t, c, now);
        }
        is_due(t, c);
    }
}

/* The action of |c| that comes first; false: none is due. */
static bool action_of(struct tcp *t, struct conn *c, struct tcp_action *out, tstamp now)
{
    *out = (struct tcp_action){.id = ref_to_u64(c->ref), .remote = c->remote};
    if (c->to_abort || c->to_close) {
        bool told = !(c->state == CONNECTING && c->to_connect); /* the host never heard of it */
        out->type = c->to_abort ? TCP_DO_ABORT : TCP_DO_CLOSE;
        if (c->to_abort) {
            upgrade_carrier_drop(t->carrier.up, c->link, now);
        }
        conn_free(t, c);
        return told;
    }
    if (c->to_connect) {
        c->to_connect = false;
        out->type = TCP_DO_CONNECT;
        return true;
    }
    if (c->has_output && c->state != CONNECTING) {
        c->has_output = false;
        out->type = TCP_DO_OUTPUT;
        return true;
    }
    return false;
}

bool tcp_next_action(struct tcp *t, struct tcp_action *out, tstamp now)
{
    take_work(t, now);
    while (!list_empty(&t->todo)) {
        struct conn *c = LIST_ENTRY(t->todo.next, struct conn, todo);
        list_del(&c->todo);
        if (action_of(t, c, out, now)) {
            return true;
        }
    }
    return false;
}

size_t tcp_output(struct tcp *t, uint64_t id, uint8_t *dst, size_t cap, tstamp now)
{
    struct conn *c = conn_get(t, id);

    if (c == NULL || c->state == CONNECTING || c->to_close) {
        return 0;
    }
    size_t n = upgrade_output(t->carrier.up, c->link, dst, cap, now);
    if (n == 0 && c->state == ENDING) { /* the upgrade's name of it is void now */
        c->to_close = true;
        is_due(t, c);
    }
    return n;
}

/* ---- what the host tells ---- */

void tcp_connected(struct tcp *t, uint64_t id, const struct netaddr *local)
{
    struct conn *c = conn_get(t, id);

    if (c == NULL || c->state != CONNECTING) {
        return;
    }
    c->state = OPEN;
    multiaddr_tcp(&c->local, local, NULL);
    is_due(t, c); /* what the upgrade has said meanwhile */
}

static void gone(struct tcp *t, struct conn *c, qudag_err err, tstamp now)
{
    struct ref link = c->link;

    conn_free(t, c);
    upgrade_lost(t->carrier.up, link, err, now);
}

void tcp_failed(struct tcp *t, uint64_t id, qudag_err err, tstamp now)
{
    struct conn *c = conn_get(t, id);

    if (c == NULL) {
        return;
    }
    t->stats.dials_failed++;
    gone(t, c, err == QUDAG_OK ? QUDAG_EUNREACHABLE : err, now);
}

void tcp_ended(struct tcp *t, uint64_t id, qudag_err err, tstamp now)
{
    struct conn *c = conn_get(t, id);

    if (c != NULL) {
        gone(t, c, err, now);
    }
}

void tcp_received(struct tcp *t, uint64_t id, struct slice in, tstamp now)
{
    struct conn *c = conn_get(t, id);

    if (c != NULL && c->state != CONNECTING) {
        upgrade_receive(t->carrier.up, c->link, in, now);
    }
}

static void say_refused(struct tcp *t, const char *scope, tstamp now)
{
    t->stats.refused++;
    if (limiter_take(&t->refused_log, 1, now)) {
        log_event(&t->log, LOG_INFO, "tcp.refused", LOG_STR("scope", scope),
                  LOG_NUM("refused", t->stats.refused));
    }
}

/* As of an Initial that has proven its address (quic_work_closed()). */
static bool is_closed_to(const struct tcp *t, uint64_t net, uint64_t host, tstamp now)
{
    return t->load != NULL &&
           (load_is_out(t->load, host, now) || !load_may_begin(t->load, net, host, now));
}

qudag_err tcp_accepted(struct tcp *t, const struct netaddr *local, const struct netaddr *remote,
                       tstamp now, uint64_t *id)
{
    uint64_t net = netaddr_group(remote), host = netaddr_host(remote);
    qudag_err err;

    if (t->shut || is_closed_to(t, net, host, now)) {
        say_refused(t, t->shut ? "node" : "work", now);
        return QUDAG_ELIMIT;
    }
    struct conn *c = conn_new(t, remote, &err);
    if (c == NULL) {
        say_refused(t, "node", now);
        return err;
    }
    c->state = OPEN;
    multiaddr_tcp(&c->local, local, NULL);
    *id = ref_to_u64(c->ref);
    err = begin(t, c, NULL, now);
    if (err == QUDAG_OK && t->load != NULL) {
        load_begun(t->load, net, host, now);
    }
    t->stats.accepted += err == QUDAG_OK ? 1 : 0;
    t->stats.refused += err != QUDAG_OK ? 1 : 0; /* the upgrade has said why */
    return err;
}

/* ---- events, time, life ---- */

bool tcp_next_event(struct tcp *t, struct link_ev *ev)
{
    return upgrade_next_event(t->carrier.up, ev);
}

tstamp tcp_deadline(const struct tcp *t)
{
    tstamp at = upgrade_deadline(t->carrier.up);

    if (!list_empty(&t->ending)) {
        at = tstamp_min(at, LIST_ENTRY(t->ending.next, struct conn, end)->end_by);
    }
    return at;
}

void tcp_tick(struct tcp *t, tstamp now)
{
    while (!list_empty(&t->ending)) {
        struct conn *c = LIST_ENTRY(t->ending.next, struct conn, end);
        if (c->end_by > now) {
            break;
        }
        list_del(&c->end);
        c->to_abort = !c->to_close;
        is_due(t, c);
    }
    if (upgrade_deadline(t->carrier.up) <= now) {
        upgrade_tick(t->carrier.up, now);
    }
}

void tcp_set_identity(struct tcp *t, const struct identity *identity)
{
    upgrade_set_identity(t->carrier.up, identity);
}

void tcp_set_times(struct tcp *t, uint64_t handshake_ns, uint64_t keepalive_ns)
{
    upgrade_set_times(t->carrier.up, handshake_ns, keepalive_ns);
}

void tcp_shutdown(struct tcp *t, tstamp now)
{
    t->shut = true;
    upgrade_shutdown(t->carrier.up, now);
}

void tcp_stats_get(const struct tcp *t, struct tcp_stats *out)
{
    *out = t->stats;
    out->conns = t->conns.n;
    upgrade_stats_get(t->carrier.up, &out->upgrade);
}

qudag_err tcp_new(struct tcp **out, const struct upgrade_config *cfg, tstamp now)
{
    uint32_t max = cfg->links_max != 0 ? cfg->links_max : CONNS_DEFAULT;
    struct tcp *t = mem_alloc(cfg->mem, sizeof(*t));

    if (t == NULL) {
        return QUDAG_ENOMEM;
    }
    t->mem = cfg->mem;
    t->log = cfg->log;
    slots_init(&t->conns, t->mem, max);
    map_init_u64(&t->by_link, t->mem, NULL, 0, max);
    list_init(&t->todo);
    list_init(&t->ending);
    t->load = cfg->load;
    limiter_init(&t->refused_log, 1, 10, now);
    qudag_err err = upgrade_new(&t->carrier.up, cfg, now);
    if (err != QUDAG_OK) {
        tcp_free(t);
        return err;
    }
    *out = t;
    return QUDAG_OK;
}

void tcp_free(struct tcp *t)
{
    if (t == NULL) {
        return;
    }
    for (uint32_t i = 0; i < t->conns.high; i++) {
        struct conn *c = slots_at(&t->conns, i);
        if (c != NULL) {
            conn_free(t, c);
        }
    }
    upgrade_free(t->carrier.up);
    map_fini(&t->by_link);
    slots_fini(&t->conns);
    mem_free(t->mem, t);
}
