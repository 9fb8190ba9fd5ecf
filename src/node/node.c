/*
 * node.c - composition, the drain loop, the host's side.
 *
 * Every call into a core happens between node_begin() and node_end(), which note whose the new
 * actions are.  node_drain() is the only loop: it empties the action list, then asks the swarm for its
 * next pending event, until there is nothing left.
 */
#include "node/internal.h"

#include "base/assert.h"
#include "crypto/hash.h"
#include "crypto/init.h"

#include <string.h>

#define DRAIN_MAX 65536 /* events of one drain; the rest waits until the network had its turn */

typedef void (*up_fn)(struct node *n, const struct act *a, tstamp now);

static const up_fn up_fns[CORES] = {
    [CORE_PING] = up_ping, [CORE_IDENTIFY] = up_identify, [CORE_PUSH] = up_identify,
    [CORE_KAD] = up_kad,   [CORE_ONION] = up_onion,       [CORE_EXIT] = up_exit,
    [CORE_DARK] = up_dark,
};

struct acts *node_begin(struct node *n)
{
    ASSERT(n->tagged == n->acts.n);
    return &n->acts;
}

void node_end(struct node *n, enum core_ix core)
{
    while (n->tagged < n->acts.n) {
        n->tag[n->tagged++] = (uint8_t)core;
    }
    if (n->acts.overflow) {
        n->acts.overflow = false;
        log_event(&n->cfg.log, LOG_ERROR, "node.actions_overflow", LOG_NUM("core", core));
    }
}

/* The swarm's events for cores. */
static void on_event(void *ctx, unsigned swarm_core, const struct ev *ev)
{
    struct node *n = ctx;
    enum core_ix core = n->by_swarm[swarm_core];

    if (core == CORE_APP && ev->type == EV_PEER_UP && !ev->again && n->hooks.peer_changed != NULL) {
        n->told++;
        n->hooks.peer_changed(n->hooks.ctx, ev->peer, true);
    }
    if (core == CORE_APP && ev->type == EV_PEER_DOWN && n->hooks.peer_changed != NULL) {
        n->told++;
        n->hooks.peer_changed(n->hooks.ctx, ev->peer, false);
    }
    struct acts *out = node_begin(n);
    n->ops[core]->event(n->core[core], ev, n->now, out);
    if (out->overflow && !ref_none(ev->strm)) {
        n->victim = ev->strm; /* actions were lost, so what it carries has a hole */
        n->victim_core = core;
    }
    node_end(n, core);
}

/* Gives up the stream whose event asked for more than there was room for; both ends learn of it. */
static void drop_victim(struct node *n, tstamp now)
{
    struct act reset = {.type = ACT_RESET, .strm = n->victim, .err = QUDAG_ELIMIT};
    struct ev ev = {.type = EV_RESET, .strm = n->victim, .err = QUDAG_ELIMIT};
    enum core_ix core = n->victim_core;

    if (ref_none(n->victim)) {
        return;
    }
    n->victim = (struct ref){0, 0};
    swarm_act(n->swarm, n->swarm_ix[core], &reset, NULL, now);
    on_event(n, n->swarm_ix[core], &ev);
}

void node_save(struct node *n, const char *name, struct slice bytes, qudag_err *err)
{
    *err = n->hooks.save != NULL ? n->hooks.save(n->hooks.ctx, name, bytes) : QUDAG_OK;
    if (*err != QUDAG_OK) {
        char kind[8] = {0}; /* what follows a "-" may be of a dark address */
        size_t len = strcspn(name, "-");
        memcpy(kind, name, len < sizeof(kind) ? len : sizeof(kind) - 1);
        log_event(&n->cfg.log, LOG_ERROR, "node.save_failed", LOG_STR("kind", kind), LOG_ERR(*err));
    }
}

static qudag_err add_core(struct node *n, enum core_ix ix, const struct core_ops *ops, void *core,
                          const char *proto)
{
    unsigned at;
    qudag_err err = swarm_core_add(n->swarm, ops, &at);

    if (err != QUDAG_OK) {
        return err;
    }
    n->core[ix] = core;
    n->ops[ix] = ops;
    n->swarm_ix[ix] = at;
    n->by_swarm[at] = ix;
    return proto == NULL ? QUDAG_OK : swarm_proto_add(n->swarm, proto, at, true);
}

static qudag_err make_acts(struct node *n)
{
    n->acts.v = mem_alloc_n(n->mem, ACTS_CAP, sizeof(struct act));
    n->acts.bytes = mem_alloc(n->mem, ACTS_BYTES_CAP);
    if (n->acts.v == NULL || n->acts.bytes == NULL) {
        return QUDAG_ENOMEM;
    }
    n->acts.cap = ACTS_CAP;
    n->acts.bytes_cap = ACTS_BYTES_CAP;
    return QUDAG_OK;
}

static qudag_err make_links(struct node *n, tstamp now)
{
    const struct node_config *c = &n->cfg;
    struct sec_config sec = {.mem = n->mem,
                             .rng = &n->cfg.rng,
                             .identity = c->identity,
                             .pq = c->pq,
                             .level = c->level,
                             .cipher = c->cipher,
                             .clock = c->clock};
    qudag_err err = sec_new(&n->sec, &sec);
    if (err != QUDAG_OK) {
        return err;
    }
    struct quic_config quic = {.mem = n->mem,
                               .rng = c->rng,
                               .log = c->log,
                               .sec = n->sec,
                               .pq = c->pq,
                               .conns_max = c->links_max,
                               .idle_timeout_ns = c->idle_timeout_ns,
                               .max_udp_payload = c->max_udp_payload};
    blake3_derive(quic.reset_key, sizeof(quic.reset_key), "qudag stateless reset key v1",
                  (struct slice){c->identity->ed_sk.seed, ED25519_SEED_LEN});
    err = quic_new(&n->quic, &quic, now);
    if (err != QUDAG_OK) {
        return err;
    }
    struct swarm_config swarm = {.mem = n->mem,
                                 .rng = c->rng,
                                 .log = c->log,
                                 .private_ok = c->lab,
                                 .idle_close_ns = c->idle_timeout_ns,
                                 .dials_max = c->links_max / 4 + 8,
                                 .links_high = c->links_max - c->links_max / 4,
                                 .sink = on_event,
                                 .sink_ctx = n};
    peer_id_from_ed25519(&swarm.self, c->identity->ed_pk);
    if (c->pq == PQ_REQUIRE) {
        swarm.need = LINK_PQ_KEX | LINK_PQ_AUTH;
    }
    err = swarm_new(&n->swarm, &swarm);
    if (err != QUDAG_OK) {
        return err;
    }
    err = swarm_transport_add(n->swarm, &quic_transport, n->quic, &n->quic_tp);
    return err != QUDAG_OK ? err
                           : swarm_transport_add(n->swarm, &circuit_transport, n, &n->circuit_tp);
}

static qudag_err make_cores(struct node *n, tstamp now)
{
    qudag_err err;

    ping_init(&n->ping, &n->cfg.rng);
    identify_init(&n->identify, n->mem, &n->cfg.rng, 4096);
    if ((err = wire_kad_init(n, now)) != QUDAG_OK || (err = wire_onion_init(n, now)) != QUDAG_OK ||
        (err = wire_dark_init(n)) != QUDAG_OK) {
        return err;
    }
    if ((err = add_core(n, CORE_PING, &ping_ops, &n->ping, ping_ops.protocol)) != QUDAG_OK ||
        (err = add_core(n, CORE_IDENTIFY, &identify_ops, &n->identify, identify_ops.protocol)) !=
            QUDAG_OK ||
        (err = add_core(n, CORE_PUSH, &identify_push_ops, &n->identify,
                        identify_push_ops.protocol)) != QUDAG_OK ||
        (err = add_core(n, CORE_KAD, &kad_ops, n->kad, kad_protocol(n->kad))) != QUDAG_OK ||
        (err = add_core(n, CORE_ONION, &onion_ops, n->onion, ONION_PROTOCOL)) != QUDAG_OK ||
        (err = add_core(n, CORE_EXIT, &exit_ops, n->exit, EXIT_PROTOCOL)) != QUDAG_OK) {
        return err;
    }
    return add_core(n, CORE_APP, &app_ops, n, NULL);
}

qudag_err node_new(struct node **out, const struct node_config *cfg, const struct node_hooks *hooks,
                   tstamp now)
{
    qudag_err err = crypto_init();

    if (err != QUDAG_OK) {
        return err;
    }
    struct node *n = mem_alloc(cfg->mem, sizeof(*n));
    if (n == NULL) {
        return QUDAG_ENOMEM;
    }
    n->cfg = *cfg;
    n->hooks = *hooks;
    n->mem = cfg->mem;
    n->now = now;
    list_init(&n->fresh);
    list_init(&n->running);
    list_init(&n->circuits);
    list_init(&n->resolving);
    list_init(&n->todo);
    list_init(&n->notes);
    slots_init(&n->optab, n->mem, OPS_MAX);
    slots_init(&n->apptab, n->mem, APP_STREAMS_MAX);
    uint8_t seed[16];
    rng_fill(&n->cfg.rng, seed, sizeof(seed));
    map_init(&n->app_map, n->mem, seed, APP_STREAMS_MAX);
    if ((err = make_acts(n)) != QUDAG_OK || (err = make_links(n, now)) != QUDAG_OK ||
        (err = make_cores(n, now)) != QUDAG_OK) {
        node_free(n);
        return err;
    }
    self_changed(n);
    *out = n;
    return QUDAG_OK;
}

static void cancel_all(struct node *n)
{
    struct list *const from[] = {&n->fresh, &n->running};

    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        while (!list_empty(from[i])) {
            op_finish(n, LIST_ENTRY(from[i]->next, struct op, node), QUDAG_ECANCELED, NULL);
        }
    }
}

void node_free(struct node *n)
{
    if (n == NULL) {
        return;
    }
    n->draining = n->closing = true;
    cancel_all(n);
    app_free_all(n);
    circuits_free(n);
    notes_free(n);
    swarm_free(n->swarm);
    kad_free(n->kad);
    onion_free(n->onion);
    relays_free(n->relays);
    dark_free(n->dark);
    exit_free(n->exit);
    identify_fini(&n->identify);
    quic_free(n->quic);
    sec_free(n->sec);
    slots_fini(&n->optab);
    slots_fini(&n->apptab);
    map_fini(&n->app_map);
    mem_free(n->mem, n->acts.v);
    mem_free(n->mem, n->acts.bytes);
    mem_free_wiped(n->mem, n);
}

static void run_acts(struct node *n, tstamp now)
{
    for (size_t i = 0; i < n->acts.n; i++) {
        struct act a = n->acts.v[i];
        enum core_ix core = (enum core_ix)n->tag[i];
        if (a.type == ACT_UP) {
            if (up_fns[core] != NULL) {
                up_fns[core](n, &a, now);
            }
        } else if (core != CORE_DARK) {
            const char *proto =
                core == CORE_APP && a.type == ACT_OPEN ? app_proto(n, a.cookie) : NULL;
            swarm_act(n->swarm, n->swarm_ix[core], &a, proto, now);
        }
    }
    n->acts.n = 0;
    n->acts.bytes_n = 0;
    n->tagged = 0;
}

void node_drain(struct node *n, tstamp now)
{
    if (n->draining) {
        return;
    }
    n->draining = true;
    n->now = now;
    for (size_t i = 0; i < DRAIN_MAX; i++) { /* a program may answer every failure with a new try */
        run_acts(n, now); /* before any core is called again: reports point into it */
        bool begun = op_begin_one(n, now);
        run_acts(n, now);
        app_flush(n);
        run_acts(n, now);
        drop_victim(n, now);
        run_acts(n, now);
        if (!swarm_step(n->swarm, now) && !begun && list_empty(&n->todo)) {
            break;
        }
    }
    run_acts(n, now);
    wire_kad_persist(n, now); /* before anything that was written above can leave */
    n->draining = false;
}

static void take_link_events(struct node *n, tstamp now)
{
    struct link_ev ev;

    while (quic_next_event(n->quic, &ev)) {
        swarm_link_event(n->swarm, n->quic_tp, &ev, now);
        node_drain(n, now);
    }
}

void node_unreachable(struct node *n, const struct netaddr *remote, tstamp now)
{
    n->now = now;
    quic_unreachable(n->quic, remote, now);
    take_link_events(n, now);
}

void node_too_big(struct node *n, const struct netaddr *remote, tstamp now)
{
    n->now = now;
    quic_too_big(n->quic, remote, now);
}

void node_recv(struct node *n, const struct quic_dgram *d, tstamp now)
{
    n->now = now;
    quic_recv(n->quic, d, now);
    take_link_events(n, now);
}

/* A core's tick, if it is due. */
static void tick_core(struct node *n, enum core_ix core, tstamp now)
{
    if (n->ops[core]->tick != NULL && n->ops[core]->deadline(n->core[core]) <= now) {
        struct acts *out = node_begin(n);
        n->ops[core]->tick(n->core[core], now, out);
        node_end(n, core);
        node_drain(n, now);
    }
}

void node_tick(struct node *n, tstamp now)
{
    n->now = now;
    node_drain(n, now);
    quic_tick(n->quic, now);
    take_link_events(n, now);
    if (swarm_deadline(n->swarm) <= now) {
        swarm_tick(n->swarm, now);
        node_drain(n, now);
    }
    for (enum core_ix c = CORE_PING; c <= CORE_EXIT; c++) {
        tick_core(n, c, now);
    }
    if (dark_deadline(n->dark) <= now) {
        struct acts *out = node_begin(n);
        dark_tick(n->dark, now, out);
        node_end(n, CORE_DARK);
    }
    if (sec_renew_at(n->sec) <= now && sec_renew(n->sec, now) != QUDAG_OK) {
        log_plain(&n->cfg.log, LOG_ERROR, "node.certificate_not_renewed");
    }
    boot_tick(n, now);
    if (n->anchors_at <= now) {
        anchors_tick(n, now);
    }
    node_drain(n, now);
}

uint64_t node_told(const struct node *n)
{
    return n->told;
}

tstamp node_deadline(const struct node *n)
{
    tstamp at = quic_deadline(n->quic);

    if (n->acts.n > 0 || !list_empty(&n->fresh) || !list_empty(&n->todo)) {
        return 0;
    }
    at = tstamp_min(at, swarm_deadline(n->swarm));
    for (enum core_ix c = CORE_PING; c <= CORE_EXIT; c++) {
        if (n->ops[c]->deadline != NULL) {
            at = tstamp_min(at, n->ops[c]->deadline(n->core[c]));
        }
    }
    at = tstamp_min(at, dark_deadline(n->dark));
    at = tstamp_min(at, n->anchors_at);
    at = tstamp_min(at, sec_renew_at(n->sec));
    return tstamp_min(at, boot_deadline(n));
}

bool node_send(struct node *n, tstamp now, struct quic_tx *tx)
{
    bool some = quic_send(n->quic, now, tx);

    take_link_events(n, now); /* LINK_SENT */
    return some;
}

void node_shutdown(struct node *n, tstamp now)
{
    if (n->cfg.persist) {
        anchors_tick(n, now);
    }
    node_drain(n, now);
    cancel_all(n); /* before the links go, else streams seem to end by the peers' doing */
    app_free_all(n);
    quic_shutdown(n->quic, now);
}

void node_disconnect(struct node *n, const struct peer_id *peer)
{
    swarm_disconnect(n->swarm, peer, QUDAG_ECANCELED, n->now);
}

enum node_phase node_phase_get(const struct node *n)
{
    return n->boot.phase;
}

struct swarm *node_swarm(const struct node *n)
{
    return n->swarm;
}

struct kad *node_kad(const struct node *n)
{
    return n->kad;
}

struct onion *node_onion(const struct node *n)
{
    return n->onion;
}

uint64_t node_boot_retry_ms(const struct node *n, tstamp now)
{
    const struct boot *b = &n->boot;
    bool waits = b->phase == NODE_FAILED && b->retry_at != TSTAMP_NEVER;
    return waits && b->retry_at > now ? (b->retry_at - now) / NS_PER_MS : 0;
}

struct relays *node_relays(const struct node *n)
{
    return n->relays;
}

struct dark *node_dark(const struct node *n)
{
    return n->dark;
}

struct quic *node_quic(const struct node *n)
{
    return n->quic;
}
