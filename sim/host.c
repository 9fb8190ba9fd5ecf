/*
 * host.c - nodes: their cores, what these ask for, and what identify would tell them.
 *
 *   event ─▶ core ─▶ actions: open, write, fin, reset ─▶ net.c     report ─▶ work.c     deadline ─▶ tick
 *
 * A node's peer id is made of its number and life, so that an id leads to its node without a table.
 * Nothing is kept per node but its core, its dice and a few words: the scratch buffers and the action
 * list are shared by all, and its address is computed when it is needed.
 */
#include "sim/sim_int.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define WRITABLES_MAX 256
#define CONTACTS_MAX 20
#define STILL_MAX 20000 /* ticks of a node at one moment */

/* ---- identity ---- */

static void put_u32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t prefix_of(const struct peer_id *id)
{
    uint8_t hash[SHA256_LEN];
    uint64_t v = 0;

    sha256(hash, peer_id_slice(id));
    for (unsigned i = 0; i < 8; i++) {
        v = v << 8 | hash[i];
    }
    return v;
}

uint64_t host_id_at(uint8_t pk[32], uint32_t node, uint32_t tail, struct peer_id *out)
{
    put_u32(pk, node);
    put_u32(pk + 4, 1);
    put_u32(pk + 28, tail);
    peer_id_from_ed25519(out, pk);
    return prefix_of(out);
}

void host_identify(struct sim *s, uint32_t node)
{
    struct sim_node *nd = &s->node[node];
    uint8_t pk[32];

    if (nd->sybil) {
        return; /* its id was searched for */
    }
    dice_node(&s->dice, "qudag sim 2026 identity", node, nd->epoch, pk);
    put_u32(pk, node);
    put_u32(pk + 4, nd->epoch);
    peer_id_from_ed25519(&nd->id, pk);
    s->prefix[node] = prefix_of(&nd->id);
}

bool host_by_id(const struct sim *s, const struct peer_id *id, uint32_t *node)
{
    uint8_t pk[32];

    if (s->host != NULL) {
        return s->host->by_id(s, id, node);
    }
    if (!peer_id_ed25519(id, pk)) {
        return false;
    }
    *node = get_u32(pk);
    return *node < s->n && peer_id_eq(&s->node[*node].id, id);
}

/* A public IPv4 address, in a /24 of its own unless attack.c says otherwise; another port for every life. */
static void addr_of(const struct sim *s, uint32_t node, struct multiaddr *out)
{
    struct netaddr a = {.family = 4, .port = (uint16_t)(1024 + s->node[node].epoch % 60000)};

    if (!attack_addr(s, node, a.ip)) {
        a.ip[0] = (uint8_t)(20 + (node >> 16));
        a.ip[1] = (uint8_t)(node >> 8);
        a.ip[2] = (uint8_t)node;
        a.ip[3] = 1;
    }
    multiaddr_quic(out, &a, NULL);
}

void host_info(const struct sim *s, uint32_t node, struct kad_peer_info *out)
{
    out->id = s->node[node].id;
    out->n_addrs = 1; /* the others are never looked at, and kilobytes to clear */
    addr_of(s, node, &out->addr[0]);
}

/* ---- life ---- */

void host_add_node(struct sim *s)
{
    ASSERT(s->n < s->cap_n);
    struct sim_node *nd = &s->node[s->n];
    *nd = (struct sim_node){
        .streams = SIM_NONE, .tick_at = TSTAMP_NEVER, .newer = SIM_NONE, .older = SIM_NONE};
    nd->nat = s->n >= s->sc->bootstrap && dice_hit(&s->dice, DICE_TOPOLOGY, s->sc->nat);
    s->n++;
}

void host_count(struct sim *s, bool more)
{
    s->node_ns += s->online * (s->world.now - s->node_ns_at);
    s->node_ns_at = s->world.now;
    s->online += more ? 1u : UINT32_MAX;
}

walltime host_wall(const struct sim *s, uint32_t node)
{
    return SIM_WALL0 + s->node[node].skew + (walltime)(s->world.now / NS_PER_S);
}

void host_make(struct sim *s, uint32_t node, tstamp began)
{
    struct sim_node *nd = &s->node[node];
    uint8_t seed[32];
    struct multiaddr addr;

    dice_node(&s->dice, "qudag sim 2026 node", node, nd->epoch, seed);
    rng_stream_init(&nd->rng, seed);
    mem_init(&nd->mem, NULL, s->sc->memory_max);
    nd->skew = fault_skew(s, node);
    struct kad_config cfg = {.mem = &nd->mem,
                             .rng = rng_of_stream(&nd->rng),
                             .clock = {SIM_WALL0 + nd->skew, 0},
                             .self = nd->id,
                             .protocol = KAD_PROTOCOL,
                             .server = !nd->nat,
                             .records_max = (uint32_t)s->sc->records,
                             .scratch = s->scratch,
                             .n_validators = 2,
                             .validator = {sim_validator(s), hostile_validator()}};
    qudag_err err = kad_new(&nd->kad, &cfg, began);
    ASSERT(err == QUDAG_OK);
    addr_of(s, node, &addr);
    kad_set_addrs(nd->kad, &addr, nd->nat ? 0 : 1);
}

/* Bootstrap nodes of a newcomer. */
static void introduce(struct sim *s, uint32_t node)
{
    uint32_t chosen[CONTACTS_MAX], n = 0, servers = (uint32_t)s->sc->bootstrap;
    struct kad_peer_info info;

    for (unsigned tries = 0; tries < 1000 && n < s->sc->contacts && n < servers; tries++) {
        uint32_t c = dice_below(&s->dice, DICE_JOIN, servers);
        bool fresh = c != node && s->node[c].epoch > 0;
        for (uint32_t i = 0; i < n; i++) {
            fresh = fresh && chosen[i] != c;
        }
        if (!fresh) {
            continue;
        }
        chosen[n++] = c;
        host_info(s, c, &info);
        kad_add_peer(s->node[node].kad, &info, s->world.now, host_acts(s));
        host_apply(s, node);
    }
}

void host_join(struct sim *s, uint32_t node)
{
    struct sim_node *nd = &s->node[node];

    if (sim_there(nd)) {
        return;
    }
    nd->epoch++;
    nd->joined = s->world.now;
    nd->tick_at = TSTAMP_NEVER;
    nd->dialling = 0;
    if (s->host != NULL) {
        s->host->make(s, node);
    } else {
        host_identify(s, node);
        host_make(s, node, s->world.now);
    }
    s->servers.stale = true;
    s->colluders.stale = s->colluders.stale || nd->colluding;
    host_count(s, true);
    s->up[node] = nd->nat ? 0 : 1;
    if (s->host == NULL) {
        introduce(s, node);
    }
    work_join(s, node);
    fault_joined(s, node);
}

void host_leave(struct sim *s, uint32_t node, bool tell)
{
    struct sim_node *nd = &s->node[node];

    if (!sim_there(nd)) {
        return;
    }
    net_leave(s, node, tell);
    work_left(s, node);
    warm_left(s, node);
    if (s->host != NULL) {
        s->host->leave(s, node, tell);
    } else {
        kad_free(nd->kad);
    }
    nd->kad = NULL;
    nd->asleep = false;
    s->up[node] = 0;
    host_count(s, false);
    nd->epoch += tell ? 1 : 0; /* its links are closed, not just silent */
    check_gone(s, node);
}

/* ---- driving a core ---- */

struct acts *host_acts(struct sim *s)
{
    s->acts.n = 0;
    s->acts.bytes_n = 0;
    s->acts.overflow = false;
    return &s->acts;
}

struct writable {
    struct ref strm;
    size_t len;
};

static size_t carry_out(struct sim *s, uint32_t node, struct writable *w, size_t n)
{
    static const struct slice none = {NULL, 0};

    for (size_t i = 0; i < s->acts.n; i++) {
        const struct act *a = &s->acts.v[i];
        trace_act(s, node, a);
        switch (a->type) {
        case ACT_OPEN:
            net_open(s, node, a);
            break;
        case ACT_WRITE:
            net_send(s, a->strm, SIM_DATA, a->data);
            if (s->sc->uplink == 0 && n < WRITABLES_MAX) {
                w[n++] = (struct writable){a->strm, a->data.len};
            }
            break;
        case ACT_FIN:
            net_send(s, a->strm, SIM_FIN, none);
            break;
        case ACT_RESET:
            net_send(s, a->strm, SIM_RESET, none);
            break;
        case ACT_UP:
            work_done(s, node, a);
            break;
        case ACT_CONSUME:
            break;
        }
    }
    return n;
}

static void arm(struct sim *s, uint32_t node)
{
    struct sim_node *nd = &s->node[node];
    tstamp at = kad_ops.deadline(nd->kad);

    at = at < s->world.now ? s->world.now : at;
    if (at < nd->tick_at) {
        nd->tick_at = at;
        world_push(&s->world, (struct sim_event){
                                  .at = at, .kind = SIM_TICK, .node = node, .epoch = nd->epoch});
    }
}

void host_apply(struct sim *s, uint32_t node)
{
    struct writable w[WRITABLES_MAX];
    size_t n = 0;

    if (s->host != NULL) {
        s->host->apply(s, node);
        return;
    }
    warm_used(s, node);
    for (;;) {
        check_acts(s, node, &s->acts);
        n = carry_out(s, node, w, n);
        (void)host_acts(s);
        if (n == 0) {
            break;
        }
        n--;
        struct ev ev = {.type = EV_WRITABLE, .strm = w[n].strm, .n = w[n].len};
        kad_ops.event(s->node[node].kad, &ev, s->world.now, &s->acts);
    }
    arm(s, node);
}

bool host_due(struct sim *s, uint32_t node)
{
    struct sim_node *nd = &s->node[node];

    if (nd->tick_at != s->world.now) {
        return false; /* an earlier one took its place */
    }
    nd->tick_at = TSTAMP_NEVER;
    nd->still = nd->still_at == s->world.now ? nd->still + 1 : 0;
    nd->still_at = s->world.now;
    if (nd->still > STILL_MAX) {
        check_fail(s, node, "a node wants an endless series of ticks at one moment");
        return false;
    }
    return true;
}

void host_tick(struct sim *s, uint32_t node)
{
    if (!host_due(s, node)) {
        return;
    }
    kad_ops.tick(s->node[node].kad, s->world.now, host_acts(s));
    host_apply(s, node);
}

/* ---- events ---- */

static void identified(struct sim *s, const struct sim_event *ev)
{
    uint32_t other = (uint32_t)ev->cookie;
    struct kad_peer_info info;

    if (s->node[other].nat || s->node[other].epoch != (uint32_t)(ev->cookie >> 32)) {
        return;
    }
    host_info(s, other, &info);
    kad_add_peer(s->node[ev->node].kad, &info, s->world.now, host_acts(s));
    host_apply(s, ev->node);
}

/* What others ask a colluding node does not reach its core. */
static bool colluded(struct sim *s, const struct sim_event *ev)
{
    if (!s->node[ev->node].colluding || (ev->strm.slot & 1u) == 0) {
        return false;
    }
    if (ev->kind == SIM_DATA) {
        colluding_answer(s, ev->node, ev->strm, (struct slice){ev->data->b, ev->data->len});
    } else if (ev->kind == SIM_FIN) {
        net_send(s, ev->strm, SIM_FIN, (struct slice){NULL, 0});
        net_end_close(s, ev->strm);
    } else if (ev->kind == SIM_RESET) {
        net_end_close(s, ev->strm);
    }
    return true;
}

static enum ev_type type_of(enum sim_kind kind)
{
    switch (kind) {
    case SIM_OPEN:
    case SIM_OPENED:
        return EV_STREAM_OPEN;
    case SIM_FAIL:
        return EV_STREAM_FAIL;
    case SIM_DATA:
        return EV_DATA;
    case SIM_FIN:
        return EV_FIN;
    case SIM_WRITABLE:
        return EV_WRITABLE;
    case SIM_RESET:
    case SIM_MEET:
    case SIM_TICK:
    case SIM_JOIN:
    case SIM_LEAVE:
    case SIM_WORK:
    case SIM_FAULT:
    case SIM_CHECK:
    case SIM_PHASE:
    case SIM_VERIFY:
        break;
    }
    return EV_RESET;
}

void host_event(struct sim *s, const struct sim_event *ev)
{
    unsigned side = 0;
    struct ev out = {.type = type_of(ev->kind), .cookie = ev->cookie, .strm = ev->strm};

    if (ev->kind == SIM_MEET) {
        identified(s, ev);
        return;
    }
    if (ev->kind != SIM_FAIL) {
        struct sim_stream *st = net_stream(s, ev->strm, &side);
        if (st == NULL || !st->end[side].open) {
            return;
        }
        uint32_t other = st->end[side ^ 1u].node;
        if (hostile_event(s, ev, other) || colluded(s, ev)) {
            return;
        }
        warm_wake(s, ev->node);
        out.peer = &s->node[st->end[side ^ 1u].node].id;
        out.inbound = side == 1;
        out.net = out.inbound ? hostile_net(s, other) : 0;
    }
    if (ev->kind == SIM_FAIL) {
        s->node[ev->node].dialling--;
        out.err = QUDAG_EUNREACHABLE;
    } else if (ev->kind == SIM_DATA) {
        out.data = (struct slice){ev->data->b, ev->data->len};
    } else if (ev->kind == SIM_WRITABLE) {
        out.n = (size_t)ev->cookie;
    } else if (ev->kind == SIM_FIN) {
        net_end_fin(s, ev->strm);
    } else if (ev->kind == SIM_RESET) {
        out.err = QUDAG_ERESET;
        net_end_close(s, ev->strm);
    }
    kad_ops.event(s->node[ev->node].kad, &out, s->world.now, host_acts(s));
    host_apply(s, ev->node);
}
