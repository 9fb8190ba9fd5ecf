/*
 * full.c - the host of complete nodes.
 *
 *   datagram, deadline, request ─▶ full_node.c ─▶ datagrams ─▶ full_net.c     answer ─▶ work.c
 *
 * A node here is the node of the daemon, without its sockets: what it gets of time, randomness and the
 * network comes from the simulator.  Faults, requests, their judgement and the report are those of bare
 * cores.
 */
#include "sim/full_int.h"
#include "sim/links.h"
#include "sim/sim_int.h"

#include "base/assert.h"
#include "crypto/init.h"

#include <stdlib.h>
#include <string.h>

#define STEP_BITS 8 /* cookie of a SIM_WORK: kind of request, and which circuit above */
#define TX_MAX 65507

static struct full *full_of(const struct sim *s)
{
    return s->full;
}

struct full *full_inside(const struct sim *s)
{
    return s->full;
}

/* ---- what the files below ask ---- */

tstamp full_now(const struct full *f)
{
    return f->s->world.now;
}

uint32_t full_draw(struct full *f, uint32_t below)
{
    return dice_below(&f->s->dice, DICE_WORK, below);
}

void full_fail(struct full *f, uint32_t node, const char *what)
{
    check_fail(f->s, node, what);
}

void full_wake(struct full *f, size_t carry, uint64_t after)
{
    uint64_t cookie = (uint64_t)(carry + 1) << STEP_BITS | SIM_CIRCUIT;

    world_push(
        &f->s->world,
        (struct sim_event){.at = f->s->world.now + after, .kind = SIM_WORK, .cookie = cookie});
}

uint8_t full_phase(const struct full *f)
{
    const struct sim *s = f->s;
    tstamp t = sim_now(s);

    for (uint8_t i = 0; i < s->report.phases; i++) {
        if (t >= s->report.phase[i].from && t < s->report.phase[i].to) {
            return i;
        }
    }
    return SIM_PHASES_MAX;
}

struct sim_outcome *full_outcome(struct full *f, uint8_t phase)
{
    return phase < SIM_PHASES_MAX ? &f->s->report.phase[phase].of[SIM_CIRCUIT] : NULL;
}

void full_sample(struct sim_outcome *o, uint64_t ns)
{
    struct sim_samples *t = &o->took;

    if (t->n == t->cap) {
        t->cap = t->cap == 0 ? 256 : t->cap * 2;
        t->us = sim_grow(t->us, t->cap, sizeof(*t->us));
    }
    t->us[t->n++] = (uint32_t)(ns / NS_PER_US);
}

uint32_t full_by_id(const struct full *f, const struct peer_id *id)
{
    for (uint32_t i = 0; i < f->s->n; i++) {
        if (f->node[i].node != NULL && peer_id_eq(&f->node[i].peer, id)) {
            return i;
        }
    }
    return FULL_NONE;
}

void full_answer(struct full *f, uint32_t node, uint64_t cookie, qudag_err err,
                 const struct kad_result *res)
{
    struct act a = {.type = ACT_UP, .kind = KAD_UP_DONE, .cookie = cookie, .err = err, .ptr = res};

    trace_act(f->s, node, &a);
    work_done(f->s, node, &a);
}

/* ---- driving a node ---- */

static void arm(struct full *f, uint32_t node)
{
    struct sim *s = f->s;
    struct sim_node *nd = &s->node[node];
    tstamp at = fn_deadline(&f->node[node]);

    at = at < s->world.now ? s->world.now : at;
    if (at < nd->tick_at) {
        nd->tick_at = at;
        world_push(&s->world, (struct sim_event){
                                  .at = at, .kind = SIM_TICK, .node = node, .epoch = nd->epoch});
    }
}

static void host_full_apply(struct sim *s, uint32_t node)
{
    struct full *f = full_of(s);

    if (f->node[node].node != NULL) {
        fn_turn(&f->node[node], s->world.now);
        arm(f, node);
    }
}

void full_apply(struct full *f, uint32_t node)
{
    host_full_apply(f->s, node);
}

static void on_tick(struct sim *s, uint32_t node)
{
    if (host_due(s, node)) {
        host_full_apply(s, node);
    }
}

static void on_datagram(struct sim *s, const struct sim_event *ev)
{
    struct full *f = full_of(s);
    struct full_way way = {.from =
                               net_full_addr((uint32_t)ev->cookie, (uint32_t)(ev->cookie >> 32)),
                           .to = f->node[ev->node].addr};

    world_log_u64(&s->world, ev->at);
    world_log_u64(&s->world, (uint64_t)ev->node << 32 | (uint32_t)ev->cookie);
    world_log_u64(&s->world, ev->data->len);
    fn_recv(&f->node[ev->node], &way, (struct slice){ev->data->b, ev->data->len}, s->world.now);
    host_full_apply(s, ev->node);
}

/* One that a router, or another socket than the first of a node, has to do with. */
static void on_routed(struct sim *s, const struct sim_event *ev)
{
    struct full *f = full_of(s);
    struct full_way way;
    struct slice data;
    uint32_t node = net_full_routed(f, ev, &way, &data);

    world_log_u64(&s->world, ev->at);
    world_log_u64(&s->world, (uint64_t)node << 32 | (uint64_t)way.from.port << 16 | way.to.port);
    world_log_u64(&s->world, data.len);
    if (node != FULL_NONE) {
        fn_recv(&f->node[node], &way, data, s->world.now);
        host_full_apply(s, node);
    }
}

/* ---- counting and checking ---- */

static void refresh(struct full *f)
{
    struct sim *s = f->s;
    struct full_counts c = f->gone;

    for (uint32_t i = 0; i < s->n; i++) {
        if (f->node[i].node != NULL) {
            fn_count(&f->node[i], &c);
        }
    }
    s->rpcs = c.rpcs;
    s->dials = c.dials;
    s->messages = f->counts.datagrams;
    s->bytes = f->counts.bytes;
}

static void on_check(struct full *f)
{
    for (uint32_t i = 0; i < f->s->n; i++) {
        if (f->node[i].node != NULL) {
            full_check_round(f, &f->node[i]);
        }
    }
    carry_check(f);
    refresh(f);
}

/* ---- hooks ---- */

static void next_circuit(struct full *f, tstamp from)
{
    struct sim *s = f->s;
    uint64_t gap = dice_gap(&s->dice, DICE_WORK, s->sc->circuit_every);

    world_push(&s->world,
               (struct sim_event){.at = from + gap, .kind = SIM_WORK, .cookie = SIM_CIRCUIT});
}

static void host_full_init(struct sim *s)
{
    struct full *f = sim_alloc(1, sizeof(*f));

    ASSERT(crypto_init() == QUDAG_OK);
    f->s = s;
    f->sc = s->sc;
    f->cap = s->cap_n;
    f->node = sim_alloc(f->cap, sizeof(*f->node));
    f->buf = sim_alloc(TX_MAX, 1);
    f->routed = sim_alloc(TX_MAX + sizeof(struct full_way), 1);
    net_full_init(f);
    full_nat_init(f);
    s->full = f;
    if (s->sc->circuit_every > 0) {
        next_circuit(f, s->world.now + s->sc->work_from);
    }
}

static void host_full_leave(struct sim *s, uint32_t node, bool tell)
{
    struct full *f = full_of(s);
    struct full_node *fn = &f->node[node];

    carry_left(f, node);
    fn_count(fn, &f->gone);
    fn_unmake(fn, tell, s->world.now);
    s->node[node].kad = NULL;
}

static void host_full_fini(struct sim *s)
{
    struct full *f = full_of(s);

    for (uint32_t i = 0; i < s->n; i++) {
        struct full_node *fn = &f->node[i];
        if (fn->node != NULL) {
            fn_unmake(fn, false, s->world.now);
            s->node[i].kad = NULL;
            check_gone(s, i);
        }
        free(fn->request);
        free(fn->served);
    }
    carry_fini(f);
    free(f->known);
    free(f->known_of);
    free(f->last);
    full_nat_fini(f);
    free(f->routed);
    free(f->buf);
    free(f->node);
    free(f);
}

/* Bootstrap nodes of a newcomer: the first has nobody. */
static void introduce(struct full *f, uint32_t node, struct fn_setup *setup)
{
    struct sim *s = f->s;
    uint32_t chosen[FULL_CONTACTS_MAX], servers = (uint32_t)s->sc->bootstrap;
    size_t n = 0;

    for (unsigned tries = 0; tries < 1000 && n < s->sc->contacts && n < servers; tries++) {
        uint32_t c = dice_below(&s->dice, DICE_JOIN, servers);
        bool fresh = c != node && f->node[c].node != NULL;
        for (size_t i = 0; i < n; i++) {
            fresh = fresh && chosen[i] != c;
        }
        if (fresh) {
            setup->addr[n] = f->node[c].addr;
            setup->peer[n] = f->node[c].peer;
            chosen[n++] = c;
        }
    }
    setup->contacts = n;
}

static void host_full_make(struct sim *s, uint32_t node)
{
    struct full *f = full_of(s);
    struct full_node *fn = &f->node[node];
    struct sim_node *nd = &s->node[node];
    struct fn_setup setup = {.wall0 = SIM_WALL0, .idle = s->sc->idle};
    uint8_t seed[32], hash[SHA256_LEN];

    fn->full = f;
    fn->ix = node;
    fn->epoch = nd->epoch;
    fn->mem = &nd->mem;
    full_place_by_scenario(f, node);
    struct netaddr outside = net_full_addr(node, nd->epoch);
    fn->addr = fn->router == FULL_NONE ? outside : fn->addr;
    fn->addr.port = outside.port;
    fn->extras = 0;
    nd->skew = node < s->sc->bootstrap ? 0 : fault_skew(s, node);
    fn->skew = nd->skew;
    dice_node(&s->dice, "qudag sim 2026 node", node, nd->epoch, seed);
    rng_stream_init(&fn->stream, seed);
    introduce(f, node, &setup);
    fn_make(fn, &setup, s->world.now);
    nd->id = fn->peer;
    nd->kad = fn_kad(fn);
    sha256(hash, peer_id_slice(&nd->id));
    s->prefix[node] = 0;
    for (unsigned i = 0; i < 8; i++) {
        s->prefix[node] = s->prefix[node] << 8 | hash[i];
    }
}

static bool host_full_by_id(const struct sim *s, const struct peer_id *id, uint32_t *node)
{
    *node = full_by_id(full_of(s), id);
    return *node != FULL_NONE;
}

static qudag_err host_full_ask(struct sim *s, uint32_t node, enum sim_op op, uint64_t cookie,
                               struct slice key, struct slice value)
{
    struct full_node *fn = &full_of(s)->node[node];

    switch (op) {
    case OP_PUT:
        return fn_request(fn, FN_PUT, cookie, key, value);
    case OP_GET:
        return fn_request(fn, FN_GET, cookie, key, (struct slice){NULL, 0});
    case OP_FIND:
        return fn_request(fn, FN_FIND, cookie, key, (struct slice){NULL, 0});
    case OP_JOIN: /* it does so by itself, from fn_make() on */
        fn->join_cookie = cookie;
        return QUDAG_OK;
    case OP_PUT_ATTACKED:
    case OP_GET_ATTACKED:
    case SIM_OPS:
        break;
    }
    return QUDAG_EINVAL;
}

static bool host_full_event(struct sim *s, const struct sim_event *ev)
{
    struct full *f = full_of(s);

    switch (ev->kind) {
    case SIM_DATA:
        on_datagram(s, ev);
        return true;
    case SIM_TICK:
        on_tick(s, ev->node);
        return true;
    case SIM_WORK:
        if (ev->data != NULL && ev->cookie == FULL_ROUTED) {
            on_routed(s, ev);
            return true;
        }
        if ((ev->cookie & ((1u << STEP_BITS) - 1)) != SIM_CIRCUIT) {
            return false;
        }
        if (ev->cookie >> STEP_BITS != 0) {
            carry_step(f, (size_t)(ev->cookie >> STEP_BITS) - 1);
        } else {
            next_circuit(f, s->world.now);
            carry_begin(f);
        }
        return true;
    case SIM_CHECK:
        on_check(f);
        return false;
    case SIM_PHASE:
        refresh(f);
        return false;
    default:
        return false;
    }
}

static const struct sim_host HOST = {
    .init = host_full_init,
    .fini = host_full_fini,
    .event = host_full_event,
    .make = host_full_make,
    .leave = host_full_leave,
    .apply = host_full_apply,
    .by_id = host_full_by_id,
    .ask = host_full_ask,
};

const struct sim_host *full_host(void)
{
    return &HOST;
}

const char *full_objection(const struct scenario *sc)
{
    if (sc->nodes > FULL_NODES_MAX) {
        return "complete nodes: at most 1000, and meant for 200";
    }
    if (sc->value_size > FULL_VALUE_MAX) {
        return "complete nodes take values of at most 4 KiB";
    }
    if (sc->start == START_WARM || sc->standing != 0 || sc->records != 0) {
        return "complete nodes join by themselves and have their own stores: no warm start, "
               "standing, records";
    }
    if (sc->read != 0 || sc->masked != 0 || sc->value_life != 0) {
        return "complete nodes read as their namespace says: no read, masked, value_life";
    }
    for (size_t i = 0; i < sc->n_faults; i++) {
        if (sc->fault[i].kind == FAULT_COLLUDE || scenario_attacks(sc->fault[i].kind)) {
            return "colluding nodes and Sybils are cores of the simulator's own: not with --host "
                   "full";
        }
    }
    return NULL;
}

const char *bare_objection(const struct scenario *sc)
{
    if (scenario_nats(sc)) {
        return "only complete nodes have a NAT of some kind before them: --host full";
    }
    return sc->circuit_every > 0 ? "only complete nodes build circuits: --host full" : NULL;
}
