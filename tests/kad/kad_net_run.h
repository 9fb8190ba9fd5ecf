/* kad_net_run.h - second half of kad_net.h: time passes, nodes are made, requests are waited for. */
#ifndef QUDAG_TESTS_KAD_KAD_NET_RUN_H
#define QUDAG_TESTS_KAD_KAD_NET_RUN_H

#include "kad_net.h"

static struct acts net_acts(struct net *net)
{
    return (struct acts){
        .v = net->act_v, .cap = NET_ACTS, .bytes = net->act_bytes, .bytes_cap = NET_BYTES};
}

/* Does what |node| asked for, and arms its next tick. */
static void net_apply(struct net *net, size_t node, struct acts *out)
{
    struct net_node *nd = &net->node[node];

    net->overflows += out->overflow || out->n > ACTS_ROOM || out->bytes_n > ACTS_BYTES_ROOM;
    for (size_t i = 0; i < out->n; i++) {
        const struct act *a = &out->v[i];
        switch (a->type) {
        case ACT_OPEN:
            net_open(net, node, a);
            break;
        case ACT_WRITE:
            nd->writes++;
            nd->write_bytes += a->data.len;
            net_send(net, node, a->strm, EV_DATA, a->data);
            break;
        case ACT_FIN:
            net_send(net, node, a->strm, EV_FIN, (struct slice){NULL, 0});
            break;
        case ACT_RESET:
            net_send(net, node, a->strm, EV_RESET, (struct slice){NULL, 0});
            break;
        case ACT_UP:
            net_report(net, a);
            break;
        case ACT_CONSUME:
            break;
        }
    }
    tstamp at = kad_ops.deadline(nd->kad);
    at = at < net->now ? net->now : at;
    if (at < nd->tick_at) {
        nd->tick_at = at;
        net_push(net, (struct net_item){.at = at, .node = (uint32_t)node, .tick = true});
    }
}

static void net_introduce(struct net *net, size_t node, size_t to)
{
    struct kad_peer_info info = {.id = net->node[to].id, .n_addrs = 1};
    struct acts out = net_acts(net);

    info.addr[0] = net->node[to].addr;
    kad_add_peer(net->node[node].kad, &info, net->now, &out);
    net_apply(net, node, &out);
}

/* What identify does on a new link: each learns that the other serves. */
static void net_meet(struct net *net, size_t node, size_t from)
{
    uint8_t *met = &net->linked[node * net->n + from];

    if (*met == 0 && !net->node[from].client) {
        *met = 1;
        net_introduce(net, node, from);
    }
}

static void net_deliver(struct net *net, const struct net_item *it)
{
    struct net_node *nd = &net->node[it->node];
    struct acts out = net_acts(net);
    struct ev ev = {.type = it->type,
                    .inbound = it->inbound,
                    .peer = &net->node[it->from].id,
                    .strm = it->strm,
                    .cookie = it->cookie,
                    .err = QUDAG_EUNREACHABLE,
                    .data = {it->data, it->len}};

    net->events++;
    if (it->tick) {
        if (nd->tick_at != it->at) {
            return; /* an earlier one took its place */
        }
        nd->tick_at = TSTAMP_NEVER;
        if (nd->dead) {
            return;
        }
        kad_ops.tick(nd->kad, net->now, &out);
        net_apply(net, it->node, &out);
        return;
    }
    if (nd->dead) {
        return;
    }
    if (nd->liar != NULL && it->strm.gen == 2) {
        if (it->type == EV_DATA) {
            nd->liar(net, it->node, it->strm, ev.data);
        }
        return;
    }
    kad_ops.event(nd->kad, &ev, net->now, &out);
    if (it->type == EV_DATA && it->strm.gen == 2) {
        struct ev w = {.type = EV_WRITABLE, .strm = it->strm, .n = out.bytes_n};
        kad_ops.event(nd->kad, &w, net->now, &out);
    }
    net_apply(net, it->node, &out);
    if (it->type == EV_STREAM_OPEN) {
        net_meet(net, it->node, it->from);
    }
}

/* Runs until |until| or until nothing is left to happen before it. */
static void net_run(struct net *net, tstamp until)
{
    while (net->q_n > 0 && net->q[0].at <= until) {
        struct net_item it = net_pop(net);
        net->now = it.at > net->now ? it.at : net->now;
        net_deliver(net, &it);
        free(it.data);
    }
    net->now = until > net->now ? until : net->now;
}

/* Runs until the report of |cookie| is in; false after two virtual minutes. */
static bool net_wait(struct net *net, uint64_t cookie)
{
    tstamp end = net->now + 120 * NS_PER_S;

    while ((net->done.cookie != cookie || net->done.times == 0) && net->q_n > 0 &&
           net->q[0].at <= end) {
        struct net_item it = net_pop(net);
        net->now = it.at > net->now ? it.at : net->now;
        net_deliver(net, &it);
        free(it.data);
    }
    return net->done.cookie == cookie && net->done.times == 1;
}

static void net_node_init(struct net *net, size_t i, uint8_t salt)
{
    struct net_node *nd = &net->node[i];
    uint8_t seed[32] = {salt, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 1};
    struct netaddr a = {.family = 4, .port = 4001};

    nd->tick_at = TSTAMP_NEVER;
    peer_id_from_ed25519(&nd->id, seed);
    sha256(nd->hash, peer_id_slice(&nd->id));
    /* Public addresses, each its own /24. */
    a.ip[0] = (uint8_t)(20 + (i >> 16));
    a.ip[1] = (uint8_t)(i >> 8);
    a.ip[2] = (uint8_t)i;
    a.ip[3] = 1;
    multiaddr_quic(&nd->addr, &a, NULL);
    rng_stream_init(&nd->rng, seed);
    struct kad_config cfg = {.mem = &net->mem,
                             .rng = rng_of_stream(&nd->rng),
                             .clock = {NET_WALL0, 0},
                             .self = nd->id,
                             .protocol = KAD_PROTOCOL,
                             .server = !nd->client,
                             .lab = net->lab,
                             .need = net->need,
                             .scratch = net->scratch,
                             .n_validators = 2};
    cfg.validator[0] =
        (struct kad_validator){.ns = "v", .value_max = KAD_VALUE_MAX, .check = net_valid};
    cfg.validator[1] = (struct kad_validator){
        .ns = "m", .value_max = KAD_VALUE_MAX, .check = net_valid, .select = net_select};
    if (kad_new(&nd->kad, &cfg, net->now) != QUDAG_OK) {
        abort();
    }
    kad_set_addrs(nd->kad, &nd->addr, 1);
}

static void net_init(struct net *net, size_t n, size_t n_clients)
{
    *net = (struct net){.n = n, .rtt = 50 * NS_PER_MS, .now = NS_PER_S};
    mem_init(&net->mem, NULL, 0);
    net->scratch = kad_scratch_new(&net->mem);
    net->node = calloc(n, sizeof(*net->node));
    net->act_v = calloc(NET_ACTS, sizeof(*net->act_v));
    net->act_bytes = malloc(NET_BYTES);
    net->linked = calloc(n, n);
    if (net->scratch == NULL || net->node == NULL || net->act_v == NULL || net->act_bytes == NULL ||
        net->linked == NULL) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        net->node[i].client = i >= n - n_clients;
        net_node_init(net, i, 7);
    }
}

static void net_fini(struct net *net)
{
    for (size_t i = 0; i < net->n; i++) {
        kad_free(net->node[i].kad);
    }
    while (net->q_n > 0) {
        struct net_item it = net_pop(net);
        free(it.data);
    }
    kad_scratch_free(&net->mem, net->scratch);
    if (net->mem.used != 0) {
        fprintf(stderr, "%zu bytes not returned\n", net->mem.used);
        abort();
    }
    free(net->node);
    free(net->act_v);
    free(net->act_bytes);
    free(net->q);
    free(net->linked);
    free(net->strm);
}

static uint64_t net_cookie(void)
{
    static uint64_t next = 1000;

    return ++next;
}

/* Starts a request at |node| and waits for its report; the start's own error otherwise. */
static qudag_err net_ask(struct net *net, size_t node, enum kad_op op, const void *key,
                         size_t key_len, struct slice value)
{
    struct kad *k = net->node[node].kad;
    struct slice s = {key, key_len};
    struct acts out = net_acts(net);
    uint64_t c = net_cookie();
    struct peer_id id = {0};
    qudag_err err = QUDAG_EINVAL;

    switch (op) {
    case KAD_OP_FIND:
        err = kad_find(k, c, s, net->now, &out);
        break;
    case KAD_OP_FIND_PEER:
        id.len = (uint8_t)key_len;
        memcpy(id.b, key, key_len);
        err = kad_find_peer(k, c, &id, net->now, &out);
        break;
    case KAD_OP_PUT:
        err = kad_put(k, c, s, value, NULL, net->now, &out);
        break;
    case KAD_OP_GET:
        err = kad_get(k, c, s, NULL, net->now, &out);
        break;
    case KAD_OP_PROVIDE:
        err = kad_provide(k, c, s, net->now, &out);
        break;
    case KAD_OP_PROVIDERS:
        err = kad_providers(k, c, s, net->now, &out);
        break;
    case KAD_OP_BOOTSTRAP:
        err = kad_bootstrap(k, c, net->now, &out);
        break;
    }
    net_apply(net, node, &out);
    if (err != QUDAG_OK) {
        return err;
    }
    return net_wait(net, c) ? net->done.err : QUDAG_EINTERNAL;
}

/* Every node meets node 0 and one earlier node, then joins; returns how many joins failed. */
static size_t net_join(struct net *net)
{
    size_t bad = 0;

    for (size_t i = 1; i < net->n; i++) {
        size_t other = (i * 7919) % i;
        net_introduce(net, i, net->node[0].dead ? other : 0);
        if (!net->node[other].client) {
            net_introduce(net, i, other);
        }
        bad += net_ask(net, i, KAD_OP_BOOTSTRAP, NULL, 0, (struct slice){NULL, 0}) != QUDAG_OK;
    }
    net_run(net, net->now + 10 * NS_PER_S);
    return bad;
}

#endif
