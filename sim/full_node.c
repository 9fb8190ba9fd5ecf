/*
 * full_node.c - one complete node and what the program around it does: requests, and their answers.
 *
 *   fn_request ─▶ node_request ... op_done ─▶ full_answer        boot phases ─▶ the answer to "join"
 */
#include "sim/full_int.h"
#include "sim/world.h"

#include "base/assert.h"
#include "node/node.h"

#include <stdlib.h>
#include <string.h>

#define LINKS_MAX 512
#define CIRCUITS_MAX 512
#define EXTRA_PORTS 40000
#define RELAYS_MIN 8 /* known before a node builds circuits: three hops and a choice */

/* ---- hooks ---- */

static bool ask_take(struct full_node *fn, struct ref op, uint64_t *cookie)
{
    for (size_t i = 0; i < fn->requests; i++) {
        if (ref_eq(fn->request[i].op, op)) {
            *cookie = fn->request[i].cookie;
            fn->request[i] = fn->request[--fn->requests];
            return true;
        }
    }
    return false;
}

static void on_op_done(void *ctx, struct ref op, qudag_err err, const struct node_result *res)
{
    struct full_node *fn = ctx;
    uint64_t cookie;

    if (!ask_take(fn, op, &cookie)) {
        carry_op_done(fn, op, err, res->circuit);
        return;
    }
    if (err == QUDAG_ECANCELED) {
        return; /* the node leaves; work.c knows */
    }
    struct kad_result out = {.value = res->value,
                             .peers = res->peers,
                             .n_peers = res->n_peers,
                             .rpcs = res->rpcs,
                             .hops = res->hops};
    full_answer(fn->full, fn->ix, cookie, err, &out);
}

static void joined(struct full_node *fn, qudag_err err)
{
    struct kad_result none = {.op = KAD_OP_BOOTSTRAP};
    uint64_t cookie = fn->join_cookie;

    if (cookie != 0) {
        fn->join_cookie = 0;
        fn->join_err = err;
        full_answer(fn->full, fn->ix, cookie, err, &none);
    }
}

static void on_phase(void *ctx, enum node_phase p, uint32_t a, uint32_t b, qudag_err err)
{
    struct full_node *fn = ctx;
    (void)a;

    if (p == NODE_FAILED) {
        joined(fn, err);
    } else if (p == NODE_LOOKUP && b == 1) { /* the tables are filled */
        fn->joined = full_now(fn->full);
        joined(fn, QUDAG_OK);
    } else if (p == NODE_READY) {
        fn->ready = true;
        joined(fn, fn->alone ? QUDAG_EUNREACHABLE : QUDAG_OK);
    }
}

static void on_stream_in(void *ctx, struct ref s, const struct peer_id *from, const char *dark,
                         const char *proto)
{
    (void)from;
    (void)dark;
    (void)proto;
    carry_stream_in(ctx, s);
}

static void on_stream_data(void *ctx, struct ref s, struct slice data, bool fin)
{
    carry_data(ctx, s, data, fin);
}

static void on_stream_opened(void *ctx, struct ref s)
{
    carry_opened(ctx, s);
}

static void on_stream_writable(void *ctx, struct ref s)
{
    carry_writable(ctx, s);
}

static void on_stream_closed(void *ctx, struct ref s, qudag_err why)
{
    carry_closed(ctx, s, why);
}

static void on_circuit_closed(void *ctx, struct ref circuit, qudag_err why)
{
    carry_circuit_closed(ctx, circuit, why);
}

static qudag_err on_socket_open(void *ctx, uint8_t family, struct netaddr *local)
{
    struct full_node *fn = ctx;

    if (family != 4) {
        return QUDAG_EUNSUPPORTED;
    }
    if (fn->extras == FULL_EXTRA_MAX) {
        return QUDAG_ELIMIT;
    }
    do {
        fn->extra_ports = (uint16_t)(fn->extra_ports + 1);
        *local = fn->addr;
        local->port = (uint16_t)(EXTRA_PORTS + fn->extra_ports % 20000);
    } while (full_has_socket(fn, local->port));
    fn->extra[fn->extras++] = local->port;
    return QUDAG_OK;
}

static void on_socket_close(void *ctx, const struct netaddr *local)
{
    struct full_node *fn = ctx;

    for (size_t i = 0; i < fn->extras; i++) {
        if (fn->extra[i] == local->port) {
            fn->extra[i] = fn->extra[--fn->extras];
            return;
        }
    }
}

/* ---- life ---- */

static void contacts(struct node_config *c, const struct fn_setup *setup)
{
    for (size_t i = 0; i < setup->contacts; i++) {
        multiaddr_quic(&c->boot[c->n_boot++].addr, &setup->addr[i], &setup->peer[i]);
    }
}

void fn_make(struct full_node *fn, const struct fn_setup *setup, tstamp now)
{
    static const struct node_hooks hooks = {.stream_in = on_stream_in,
                                            .stream_data = on_stream_data,
                                            .stream_opened = on_stream_opened,
                                            .stream_writable = on_stream_writable,
                                            .stream_closed = on_stream_closed,
                                            .op_done = on_op_done,
                                            .phase = on_phase,
                                            .circuit_closed = on_circuit_closed,
                                            .socket_open = on_socket_open,
                                            .socket_close = on_socket_close};
    struct node_hooks h = hooks;
    struct rng rng = rng_of_stream(&fn->stream);
    struct multiaddr ma;

    full_check_mem(fn, FULL_MEMORY_MAX);
    ASSERT(identity_generate(&fn->id, &rng) == QUDAG_OK);
    peer_id_from_ed25519(&fn->peer, fn->id.ed_pk);
    full_check_known(fn->full, fn);
    full_check_secret(fn, fn->id.ed_sk.seed);
    full_check_secret(fn, fn->id.pq_seed.seed);
    fn->lasting = fn->secrets;
    struct node_config *c = mem_alloc(fn->mem, sizeof(*c)); /* too large for a frame */

    ASSERT(c != NULL);
    *c = (struct node_config){.mem = fn->mem,
                              .rng = rng,
                              .clock = {setup->wall0 + (int64_t)(now / NS_PER_S) + fn->skew, now},
                              .identity = &fn->id,
                              .level = 768,
                              .dht_protocol = KAD_PROTOCOL,
                              .n_open_ns = 1,
                              .open_ns = {"sim"},
                              .agent = "qudag-sim",
                              .links_max = LINKS_MAX,
                              .circuits_max = CIRCUITS_MAX,
                              .relays_min = RELAYS_MIN,
                              .times.idle = setup->idle,
                              .hops = 3,
                              .relay = fn->router == FULL_NONE,
                              .dht_server = fn->router == FULL_NONE,
                              .small_network = true};
    contacts(c, setup);
    if (fn->full->differs != NULL) {
        fn->full->differs(fn, c);
    }
    h.ctx = fn;
    fn->alone = c->n_boot == 0;
    fn->started = fn->ready = false;
    fn->join_cookie = 0;
    ASSERT(node_new(&fn->node, c, &h, now) == QUDAG_OK);
    mem_free(fn->mem, c);
    multiaddr_quic(&ma, &fn->addr, NULL);
    node_set_addrs(fn->node, &ma, 1);
    if (fn->router == FULL_NONE) {
        ASSERT(node_serve(fn->node, FULL_ECHO) == QUDAG_OK);
    }
}

static void flush(struct full_node *fn, tstamp now)
{
    struct quic_tx tx = {.buf = fn->full->buf};

    while (node_send(fn->node, now, &tx)) {
        struct full_way way = {.from = fn->addr, .to = tx.remote};
        bool extra = tx.local.family != 0 && tx.local.port != fn->addr.port;
        way.from.port = extra ? tx.local.port : way.from.port;
        bool closed = !full_has_socket(fn, way.from.port);
        for (size_t at = 0; at < tx.len && !closed; at += tx.segment) {
            size_t n = tx.len - at < tx.segment ? tx.len - at : tx.segment;
            net_full_send(fn->full, fn, &way, tx.buf + at, n);
        }
        tx = (struct quic_tx){.buf = fn->full->buf};
    }
}

void fn_unmake(struct full_node *fn, bool tell, tstamp now)
{
    full_check_round(fn->full, fn); /* the keys it holds now, so that what follows is seen */
    if (tell) {
        node_shutdown(fn->node, now);
        flush(fn, now);
    }
    fn->requests = 0; /* work.c has counted them */
    node_free(fn->node);
    fn->node = NULL;
    fn->ready = false;
    fn->serveds = 0;
    fn->secrets = fn->marks = 0;
    identity_fini(&fn->id);
}

/* ---- driving ---- */

void fn_recv(struct full_node *fn, const struct full_way *way, struct slice data, tstamp now)
{
    struct quic_dgram d = {.local = way->to, .remote = way->from, .data = data};

    node_recv(fn->node, &d, now);
}

void fn_turn(struct full_node *fn, tstamp now)
{
    if (!fn->started) {
        fn->started = true;
        node_start(fn->node);
    }
    node_drain(fn->node, now);
    if (node_deadline(fn->node) <= now) {
        node_tick(fn->node, now);
    }
    flush(fn, now);
}

tstamp fn_deadline(const struct full_node *fn)
{
    return node_deadline(fn->node);
}

struct kad *fn_kad(const struct full_node *fn)
{
    return node_kad(fn->node);
}

struct onion *fn_onion(const struct full_node *fn)
{
    return node_onion(fn->node);
}

void fn_count(const struct full_node *fn, struct full_counts *c)
{
    struct kad_stats k;
    struct quic_stats q;

    kad_stats_get(node_kad(fn->node), &k);
    quic_stats_get(node_quic(fn->node), &q);
    c->rpcs += k.rpcs_out;
    c->dials += q.handshakes_ok_out;
}

/* ---- requests ---- */

qudag_err fn_request(struct full_node *fn, enum fn_op op, uint64_t cookie, struct slice key,
                     struct slice value)
{
    static const enum node_op_kind kind[] = {
        [FN_PUT] = NODE_OP_PUT, [FN_GET] = NODE_OP_GET, [FN_FIND] = NODE_OP_CLOSEST};
    struct node_request r = {.kind = kind[op], .key = key, .value = value};
    struct ref ref;

    if (op != FN_PUT) {
        r.value = (struct slice){NULL, 0};
    }
    qudag_err err = node_request(fn->node, &r, &ref);
    if (err != QUDAG_OK) {
        return err;
    }
    if (fn->requests == fn->requests_cap) {
        fn->requests_cap = fn->requests_cap == 0 ? 16 : fn->requests_cap * 2;
        fn->request = sim_grow(fn->request, fn->requests_cap, sizeof(*fn->request));
    }
    fn->request[fn->requests++] = (struct full_request){ref, cookie};
    return QUDAG_OK;
}
