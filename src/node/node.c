/*
 * node.c - composition, the drain loop, the host's side.
 *
 * Every object is made here, in the order of the table in internal.h.  node_drain() is the only loop: it
 * carries out the actions there are, hands on the news, then asks the swarm for its next pending event, until
 * there is nothing left.
 */
#include "node/internal.h"

#include "base/wipe.h"
#include "crypto/hash.h"
#include "crypto/init.h"

#include <string.h>

#define HANDSHAKES_MAX 96  /* inbound, not finished, of addresses that are proven ... */
#define UNPROVEN_MAX 32    /* ... and that are not ... */
#define HANDSHAKES_HOST 16 /* ... of either from one host */
#define STREAMS_MAX 65536
#define SHED_PAUSE (100 * NS_PER_MS)
#define DRAIN_MAX 65536 /* default of node_config.drain_max */

static qudag_err make_acts(struct node *n)
{
    n->acts.v = mem_alloc_n(n->mem, NODE_ACTS_CAP, sizeof(struct act));
    n->acts.bytes = mem_alloc(n->mem, NODE_ACTS_BYTES_CAP);
    if (n->acts.v == NULL || n->acts.bytes == NULL) {
        return QUDAG_ENOMEM;
    }
    n->acts.cap = NODE_ACTS_CAP;
    n->acts.bytes_cap = NODE_ACTS_BYTES_CAP;
    return QUDAG_OK;
}

/* What a peer is to us, as places for links are concerned. */
static enum res_class standing(const void *ctx, const struct peer_id *peer)
{
    const struct node *n = ctx;
    struct peer_id id;

    if (n->relays != NULL && relays_guard(n->relays, &id) && peer_id_eq(&id, peer)) {
        return RES_GUARD;
    }
    for (size_t i = 0; i < n->cfg.n_boot; i++) {
        if (multiaddr_peer(&n->cfg.boot[i].addr, &id) && peer_id_eq(&id, peer)) {
            return RES_BOOTSTRAP;
        }
    }
    return n->kad != NULL && kad_is_near(n->kad, peer) ? RES_NEAR : RES_STRANGER;
}

static void on_link(void *node, const struct swarm_link_change *change)
{
    struct node *n = node;

    bool paths = change->state == SWARM_LINK_UP || change->state == SWARM_LINK_CLOSING;

    n->news |= paths ? NODE_NEWS_PATHS : 0;
    if (n->hooks.link_changed != NULL) {
        n->hooks_called++;
        n->hooks.link_changed(n->hooks.ctx, change);
    }
}

static uint32_t dials_max(const struct node_config *c)
{
    return c->links_max / 4 + 8;
}

static qudag_err make_accounts(struct node *n)
{
    const struct node_config *c = &n->cfg;
    struct resources_config cfg = {.mem = n->mem,
                                   .links_max = c->links_max,
                                   .network_share =
                                       c->lab || c->network_share == 0 ? 100 : c->network_share,
                                   .streams_max = STREAMS_MAX,
                                   .dials_max = dials_max(c),
                                   .half_open_max = HANDSHAKES_MAX,
                                   .unproven_max = UNPROVEN_MAX,
                                   .host_half_open = HANDSHAKES_HOST,
                                   .bytes_max = n->mem->max / 2};

    uint8_t seed[32]; /* as secret as the key, and no draw of its own */
    blake3_derive(seed, sizeof(seed), "qudag seed of accounts v1",
                  (struct slice){c->identity->ed_sk.seed, ED25519_SEED_LEN});
    memcpy(cfg.seed, seed, sizeof(cfg.seed));
    wipe(seed, sizeof(seed));
    qudag_err err = resources_new(&n->accounts, &cfg);
    wipe(cfg.seed, sizeof(cfg.seed));
    return err;
}

/* Over byte streams.  TCP comes behind QUIC: of two addresses of a peer the one over QUIC is the better. */
static qudag_err make_upgraded(struct node *n, const struct quic_config *as, tstamp now)
{
    struct upgrade_config cfg = {.mem = as->mem,
                                 .rng = as->rng,
                                 .log = as->log,
                                 .sec = as->sec,
                                 .identity = n->cfg.identity,
                                 .accounts = as->accounts,
                                 /* in a lab all others are one host */
                                 .load = n->cfg.lab ? NULL : quic_load(n->quic),
                                 .pq = as->pq,
                                 .links_max = as->conns_max,
                                 .streams_max = as->streams_bidi_max,
                                 .handshake_timeout_ns = as->handshake_timeout_ns,
                                 .keepalive_ns = as->keepalive_ns};

    qudag_err err = QUDAG_OK;
    if (n->cfg.tcp && (err = tcp_new(&n->tcp, &cfg, now)) == QUDAG_OK) {
        err = swarm_transport_add(n->swarm, &tcp_transport, n->tcp, &n->tcp_tp);
    }
    if (cfg.handshake_timeout_ns == 0) {
        cfg.handshake_timeout_ns = 10 * NS_PER_S;
    }
    cfg.handshake_timeout_ns *=
        NODE_RELAYED_SLOWER; /* the relay is asked first, and maybe dialled */
    if (err == QUDAG_OK) {
        err = node_relay_links_make(n, &cfg, now);
    }
    return err != QUDAG_OK
               ? err
               : swarm_transport_add(n->swarm, &node_circuit_transport, n, &n->circuit_tp);
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
    if (err != QUDAG_OK || (err = make_accounts(n)) != QUDAG_OK) {
        return err;
    }
    struct quic_config quic = {
        .mem = n->mem,
        .rng = c->rng,
        .log = c->log,
        .sec = n->sec,
        .pq = c->pq,
        /* what the accounts allow, and handshakes that are over and wait for the swarm's word */
        .conns_max = c->links_max + dials_max(c) + 2 * (HANDSHAKES_MAX + UNPROVEN_MAX),
        .accounts = n->accounts,
        /* beside those of programs there is room for circuits and the node's own */
        .streams_bidi_max = c->streams_per_peer != 0 ? c->streams_per_peer + 1792 : 0,
        .idle_timeout_ns = c->times.idle,
        .handshake_timeout_ns = c->times.handshake,
        .keepalive_ns = c->times.keepalive};
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
                                 .pins_persist = c->persist,
                                 .streams_per_peer = c->streams_per_peer,
                                 .idle_close_ns = c->times.idle,
                                 .dial_ns = c->times.dial,
                                 .negotiate_ns = c->times.negotiate,
                                 .accounts = n->accounts,
                                 .links_max = c->links_max,
                                 .streams_max = STREAMS_MAX,
                                 .dials_max = dials_max(c),
                                 .links_high = c->links_high,
                                 .links_low = c->links_low,
                                 .links_grace_ns = c->links_grace_ns,
                                 .sink = node_core_event,
                                 .sink_ctx = n,
                                 .standing = standing,
                                 .link_changed = on_link};
    peer_id_from_ed25519(&swarm.self, c->identity->ed_pk);
    if (c->pq == PQ_REQUIRE) {
        swarm.need = LINK_PQ_KEX | LINK_PQ_AUTH;
    }
    err = swarm_new(&n->swarm, &swarm);
    if (err != QUDAG_OK) {
        return err;
    }
    err = swarm_transport_add(n->swarm, &quic_transport, n->quic, &n->quic_tp);
    return err != QUDAG_OK ? err : make_upgraded(n, &quic, now);
}

static void renew(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    if (sec_renew(n->sec, now) != QUDAG_OK) {
        log_plain(&n->cfg.log, LOG_ERROR, "node.certificate_not_renewed");
    }
}

static tstamp renew_at(const void *node)
{
    const struct node *n = node;

    return sec_renew_at(n->sec);
}

static qudag_err make_renewal(struct node *n)
{
    static const struct core_ops ops = {.tick = renew, .deadline = renew_at};
    struct node_core core = {.name = "certificate", .instance = n, .ops = &ops};
    unsigned ix;

    return node_core_add(n, &core, NULL, &ix);
}

/* The order is that of their ticks; a core that is added gets a line here and nothing elsewhere. */
static qudag_err make_cores(struct node *n, tstamp now)
{
    qudag_err err;

    if ((err = node_datagrams_init(n)) != QUDAG_OK || (err = node_ping_init(n)) != QUDAG_OK ||
        (err = node_identify_init(n)) != QUDAG_OK || (err = node_reach_init(n)) != QUDAG_OK ||
        (err = node_portmap_init(n)) != QUDAG_OK || (err = node_stun_init(n, now)) != QUDAG_OK ||
        (err = node_succession_init(n)) != QUDAG_OK || (err = node_dht_init(n, now)) != QUDAG_OK ||
        (err = node_circuits_init(n, now)) != QUDAG_OK ||
        (err = node_circuit_age_init(n)) != QUDAG_OK || (err = node_clean_init(n)) != QUDAG_OK ||
        (err = node_meetings_init(n)) != QUDAG_OK ||
        (err = node_gateway_init(n, now)) != QUDAG_OK || (err = node_padding_init(n)) != QUDAG_OK ||
        (err = node_rend_init(n, now)) != QUDAG_OK ||
        (err = node_hidden_calls_init(n)) != QUDAG_OK ||
        (err = node_hidden_services_init(n)) != QUDAG_OK ||
        (err = node_services_init(n)) != QUDAG_OK || (err = node_spent_init(n)) != QUDAG_OK ||
        (err = node_padding_links_init(n)) != QUDAG_OK ||
        (err = node_streams_init(n)) != QUDAG_OK || (err = node_links_init(n)) != QUDAG_OK ||
        (err = node_dark_init(n)) != QUDAG_OK || (err = node_extends_init(n)) != QUDAG_OK ||
        (err = node_descs_init(n)) != QUDAG_OK || (err = node_keep_init(n)) != QUDAG_OK ||
        (err = node_names_init(n)) != QUDAG_OK || (err = node_autorelay_init(n)) != QUDAG_OK ||
        (err = node_relay_links_init(n)) != QUDAG_OK ||
        (err = node_relay_service_init(n, now)) != QUDAG_OK ||
        (err = node_finds_init(n)) != QUDAG_OK || (err = node_udp_init(n)) != QUDAG_OK ||
        (err = node_published_init(n)) != QUDAG_OK || (err = node_direct_init(n)) != QUDAG_OK ||
        (err = node_meet_init(n)) != QUDAG_OK || (err = node_ending_init(n)) != QUDAG_OK ||
        (err = node_guards_init(n)) != QUDAG_OK || (err = node_autonat_init(n)) != QUDAG_OK ||
        (err = node_survey_init(n)) != QUDAG_OK || (err = node_boot_init(n)) != QUDAG_OK ||
        (err = node_saved_init(n, now)) != QUDAG_OK || (err = node_rotation_init(n)) != QUDAG_OK) {
        return err;
    }
    return make_renewal(n);
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
    reach_init(&n->reach, cfg->lab);
    n->hooks = *hooks;
    n->mem = cfg->mem;
    n->now = now;
    n->clock.since = now;
    n->op_types = node_op_types;
    n->cfg.drain_max = cfg->drain_max != 0 ? cfg->drain_max : DRAIN_MAX;
    node_budget_init(&n->budget, n->mem);
    list_init(&n->fresh);
    list_init(&n->finds.held);
    list_init(&n->running);
    list_init(&n->circuits);
    list_init(&n->resolving);
    list_init(&n->serving);
    list_init(&n->serving_keys);
    list_init(&n->todo);
    list_init(&n->pressed);
    list_init(&n->released);
    list_init(&n->notes);
    list_init(&n->named);
    slots_init(&n->optab, n->mem, NODE_OPS_MAX);
    slots_init(&n->strmtab, n->mem, NODE_STREAMS_MAX);
    uint8_t seed[16];
    rng_fill(&n->cfg.rng, seed, sizeof(seed));
    map_init(&n->strm_map, n->mem, seed, NODE_STREAMS_MAX);
    node_datagrams_begin(n, seed);
    slots_init(&n->stun.asks, n->mem, STUN_QUESTIONS_MAX);
    if ((err = make_acts(n)) != QUDAG_OK || (err = make_links(n, now)) != QUDAG_OK ||
        (err = make_cores(n, now)) != QUDAG_OK) {
        node_free(n);
        return err;
    }
    node_wants_review(n);
    node_relay_service_review(n);
    n->news = 0; /* nobody was told anything yet */
    node_identify_changed(n);
    *out = n;
    return QUDAG_OK;
}

void node_free(struct node *n)
{
    if (n == NULL) {
        return;
    }
    n->draining = n->closing = true;
    node_names_free(n);
    node_ops_cancel(n);
    node_streams_free(n);
    node_finds_free(n);
    node_buffers_free(n); /* while every function that the program may call still works */
    node_circuits_free(n);
    node_notes_free(n);
    node_budget_fini(&n->budget);
    node_allowed_fini(n);
    swarm_free(n->swarm);
    node_cores_free(n);
    node_autonat_free(n);
    node_stun_free(n);
    hop_free(n->hop);
    dcutr_free(n->direct.core);
    node_meet_free(n);
    node_relay_links_free(n);
    tcp_free(n->tcp);
    quic_free(n->quic);
    node_datagrams_free(n);
    resources_free(n->accounts);
    sec_free(n->sec);
    slots_fini(&n->optab);
    slots_fini(&n->strmtab);
    map_fini(&n->strm_map);
    mem_free(n->mem, n->acts.v);
    mem_free_wiped(n->mem, n->acts.bytes); /* it held cells, opened */
    mem_free_wiped(n->mem, n);
}

/* What happened meanwhile, to the files above those it happened in. */
static void hand_on_news(struct node *n, tstamp now)
{
    unsigned news = n->news;

    n->news = 0;
    if ((news & NODE_NEWS_SELF) != 0) {
        node_relay_service_review(n); /* before what it changes is told */
        node_autorelay_review(n);
        node_identify_changed(n);
        node_published_review(n);
        node_cores_act(n, now);
    }
    if ((news & NODE_NEWS_SILENCE) != 0) {
        node_portmap_doubt(n, now); /* the router may have forgotten us */
    }
    if ((news & NODE_NEWS_REACH) != 0 && n->hooks.reach_changed != NULL) {
        n->hooks_called++;
        n->hooks.reach_changed(n->hooks.ctx);
    }
    if ((news & (NODE_NEWS_PATHS | NODE_NEWS_SELF | NODE_NEWS_MOVED)) != 0) {
        node_keepalive_review(n);
    }
    if ((news & NODE_NEWS_MOVED) != 0) {
        node_udp_anew(n, now);
        node_network_anew(n, now);
    }
    if ((news & NODE_NEWS_PATHS) != 0) {
        node_udp_review(n, now);
        node_direct_paths(n, now);
        node_meet_paths(n, now);
        node_cores_act(n, now);
    }
    news &= ~(unsigned)(NODE_NEWS_REACH | NODE_NEWS_PATHS);
    if (news != 0) {
        node_boot_news(n, news, now);
        node_cores_act(n, now);
    }
}

/*
 * Memory is short: circuits with the longest queues end, so that it is not whoever asks next who finds none.  What is
 * given up comes back a little later, so that this waits between two times.
 */
static void shed(struct node *n, tstamp now)
{
    uint64_t wanted = node_rule_shed(n->mem->used, n->mem->max);

    if (wanted == 0 || now < n->shed_next) {
        return;
    }
    n->shed_next = tstamp_after(now, SHED_PAUSE);
    for (uint64_t got = 1; wanted > 0 && got > 0; wanted -= got < wanted ? got : wanted) {
        got = onion_shed(n->onion, now, node_begin(n));
        node_end(n, n->ix.onion);
        node_cores_act(n, now);
    }
}

/* Mostly there is nothing: this comes several times after each event. */
static void act(struct node *n, tstamp now)
{
    if (n->acts.n > 0 || n->acts.bytes_n > 0) {
        node_cores_act(n, now);
    }
}

void node_drain(struct node *n, tstamp now)
{
    if (n->draining) {
        return;
    }
    n->draining = true;
    n->now = now;
    for (size_t i = 0; i < n->cfg.drain_max;
         i++) {      /* a program may answer every failure with a new try */
        act(n, now); /* before a program or the swarm calls a core again */
        bool begun = node_op_begin_next(n, now);
        act(n, now);
        node_streams_ease(n);
        node_streams_flush(n);
        node_succession_doubts(n);
        act(n, now);
        node_buffers_flush(n);
        act(n, now);
        node_cores_drop_victim(n, now);
        act(n, now);
        hand_on_news(n, now);
        bool relayed = node_relay_links_step(n, now);
        act(n, now);
        if (!swarm_step(n->swarm, now) && !begun && !relayed && list_empty(&n->todo) &&
            n->news == 0 && list_empty(&n->released) && !node_streams_pressed_due(n)) {
            break;
        }
    }
    act(n, now);
    shed(n, now);
    node_saved_dht(n, now); /* before anything that was written above can leave */
    node_saved_pins(n);
    n->draining = false;
}

static void take_link_events(struct node *n, tstamp now)
{
    struct link_ev ev;

    for (;;) {
        if (quic_next_event(n->quic, &ev)) {
            if (ev.type == LINK_QUIET) {
                node_path_quiet(n, now);
            }
            swarm_link_event(n->swarm, n->quic_tp, &ev, now);
        } else if (n->tcp != NULL && tcp_next_event(n->tcp, &ev)) {
            swarm_link_event(n->swarm, n->tcp_tp, &ev, now);
        } else {
            break;
        }
        node_drain(n, now);
    }
    if (!list_empty(&n->released) || node_streams_pressed_due(n)) {
        node_drain(n, now); /* acknowledgements are no events */
    }
}

void node_unreachable(struct node *n, const struct netaddr *remote, struct slice quote, tstamp now)
{
    n->now = now;
    quic_unreachable(n->quic, remote, quote, now);
    take_link_events(n, now);
}

void node_no_route(struct node *n, const struct netaddr *remote, tstamp now)
{
    n->now = now;
    quic_no_route(n->quic, remote, now);
    take_link_events(n, now);
}

void node_recv(struct node *n, const struct quic_dgram *d, tstamp now)
{
    struct quic_dgram g = *d;

    n->now = now;
    if (node_datagrams_recv(n, &g, now) || node_autonat_recv(n, &g, now)) {
        node_drain(n, now);
    } else {
        quic_recv(n->quic, &g, now);
    }
    take_link_events(n, now);
}

bool node_tcp_next(struct node *n, struct tcp_action *out, tstamp now)
{
    return n->tcp != NULL && tcp_next_action(n->tcp, out, now);
}

void node_tcp_connected(struct node *n, uint64_t id, const struct netaddr *local, tstamp now)
{
    n->now = now;
    tcp_connected(n->tcp, id, local);
    take_link_events(n, now);
}

void node_tcp_failed(struct node *n, uint64_t id, qudag_err err, tstamp now)
{
    n->now = now;
    tcp_failed(n->tcp, id, err, now);
    take_link_events(n, now);
}

qudag_err node_tcp_accepted(struct node *n, const struct netaddr *local,
                            const struct netaddr *remote, tstamp now, uint64_t *id)
{
    n->now = now;
    return n->tcp == NULL ? QUDAG_EUNSUPPORTED : tcp_accepted(n->tcp, local, remote, now, id);
}

void node_tcp_received(struct node *n, uint64_t id, struct slice in, tstamp now)
{
    n->now = now;
    tcp_received(n->tcp, id, in, now);
    take_link_events(n, now);
}

void node_tcp_ended(struct node *n, uint64_t id, qudag_err err, tstamp now)
{
    n->now = now;
    tcp_ended(n->tcp, id, err, now);
    take_link_events(n, now);
}

size_t node_tcp_output(struct node *n, uint64_t id, uint8_t *dst, size_t cap, tstamp now)
{
    size_t len = tcp_output(n->tcp, id, dst, cap, now);

    take_link_events(n, now); /* LINK_SENT */
    return len;
}

void node_tcp_no_room(struct node *n, tstamp now)
{
    if (n->tcp_room_told == 0 || now - n->tcp_room_told >= 60 * NS_PER_S) {
        n->tcp_room_told = now;
        log_plain(&n->cfg.log, LOG_WARN, "tcp.no_descriptors");
    }
}

static void tick_cores(struct node *n, tstamp now)
{
    for (unsigned i = 0; i < n->n_cores && n->ending.state != NODE_ENDED; i++) {
        const struct node_core *c = &n->core[i];
        if (c->ops->tick != NULL && c->ops->deadline(c->instance) <= now) {
            struct acts *out = node_begin(n);
            c->ops->tick(c->instance, now, out);
            node_end(n, i);
            node_drain(n, now);
        }
    }
}

void node_tick(struct node *n, tstamp now)
{
    n->now = now;
    node_drain(n, now);
    quic_tick(n->quic, now);
    if (n->tcp != NULL && tcp_deadline(n->tcp) <= now) {
        tcp_tick(n->tcp, now);
    }
    take_link_events(n, now);
    if (swarm_deadline(n->swarm) <= now) {
        swarm_tick(n->swarm, now);
        node_drain(n, now);
    }
    tick_cores(n, now);
    if (node_end_due(n)) {
        node_shutdown(n, now);
        node_end_done(n);
    }
}

uint64_t node_hooks_called(const struct node *n)
{
    return n->hooks_called;
}

tstamp node_deadline(const struct node *n)
{
    tstamp at = quic_deadline(n->quic);

    if (n->acts.n > 0 || n->news != 0 || !list_empty(&n->fresh) || !list_empty(&n->todo) ||
        !list_empty(&n->released) || node_streams_pressed_due(n)) {
        return 0;
    }
    at = tstamp_min(at, swarm_deadline(n->swarm));
    at = n->tcp != NULL ? tstamp_min(at, tcp_deadline(n->tcp)) : at;
    for (unsigned i = 0; i < n->n_cores && n->ending.state != NODE_ENDED; i++) {
        const struct node_core *c = &n->core[i];
        at = c->ops->deadline != NULL ? tstamp_min(at, c->ops->deadline(c->instance)) : at;
    }
    return at;
}

bool node_send(struct node *n, tstamp now, struct quic_tx *tx)
{
    bool some =
        node_datagrams_send(n, tx) || node_dialback_send(n, now, tx) || quic_send(n->quic, now, tx);

    take_link_events(n, now); /* LINK_SENT */
    return some;
}

void node_shutdown(struct node *n, tstamp now)
{
    if (n->closing) {
        return; /* what is written down is of before the links went */
    }
    if (n->cfg.persist) {
        node_saved_anchors(n, now);
    }
    node_saved_guards(n, true);
    swarm_pin_change_due(n->swarm);
    node_drain(n, now);
    node_portmap_shutdown(n, now);
    /* The program may answer each end with a new request, which is refused from now on. */
    n->closing = true;
    node_names_free(n);
    node_ops_cancel(n); /* before the links go, else streams seem to end by the peers' doing */
    node_streams_free(n);
    node_relay_links_shutdown(n, now);
    quic_shutdown(n->quic, now);
    if (n->tcp != NULL) {
        tcp_shutdown(n->tcp, now);
    }
}

void node_disconnect(struct node *n, const struct peer_id *peer)
{
    swarm_disconnect(n->swarm, peer, QUDAG_ECANCELED, n->now);
}

struct swarm *node_swarm(const struct node *n)
{
    return n->swarm;
}

const struct node_meters *node_meters(const struct node *n)
{
    return &n->meters;
}

struct kad *node_kad(const struct node *n)
{
    return n->kad;
}

struct onion *node_onion(const struct node *n)
{
    return n->onion;
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

struct tcp *node_tcp(const struct node *n)
{
    return n->tcp;
}

void node_status_get(const struct node *n, struct node_status *out)
{
    bool found = n->cfg.relay && reach_for_cells(&n->reach, NULL, 1) > 0;

    *out = (struct node_status){.phase = n->boot.phase,
                                .relays = (uint32_t)relays_count(n->relays),
                                .relays_needed = node_rule_relays_needed(n->cfg.hops),
                                .announced_at = found ? n->descs.stored : 0,
                                .clock_suspect = n->clock.suspect};
}
