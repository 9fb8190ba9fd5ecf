/* kad_net_run.h - second part of kad_net.h: time passes, requests are made and waited for. */
#ifndef QUDAG_TESTS_KAD_KAD_NET_RUN_H
#define QUDAG_TESTS_KAD_KAD_NET_RUN_H

#include "kad_net.h"

static struct acts net_acts(struct net *net)
{
    return (struct acts){
        .v = net->act_v, .cap = NET_ACTS, .bytes = net->act_bytes, .bytes_cap = NET_BYTES};
}

static uint64_t net_clock(const struct net *net)
{
    return net->clock == NULL ? 0 : net->clock();
}

static void net_spent(struct net *net, uint64_t began)
{
    net->core_time += net_clock(net) - began;
    net->core_calls++;
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
    if (net->all_met) {
        return;
    }
    if (net->linked == NULL) {
        net->linked = calloc(net->n, net->n);
    }
    if (net->linked == NULL) {
        abort();
    }
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
        uint64_t began = net_clock(net);
        kad_ops.tick(nd->kad, net->now, &out);
        net_spent(net, began);
        net_apply(net, it->node, &out);
        return;
    }
    if (net->watch != NULL && it->type == EV_DATA && it->strm.gen == 2) {
        net->watch(net, it->from, it->node, ev.data);
    }
    if (nd->dead) {
        return;
    }
    if (nd->misbehave != NULL && it->strm.gen == 2) {
        if (it->type == EV_DATA) {
            nd->misbehave(net, it->node, it->strm, ev.data);
        }
        return;
    }
    uint64_t began = net_clock(net);
    kad_ops.event(nd->kad, &ev, net->now, &out);
    if (it->type == EV_DATA && it->strm.gen == 2) {
        struct ev w = {.type = EV_WRITABLE, .strm = it->strm, .n = out.bytes_n};
        kad_ops.event(nd->kad, &w, net->now, &out);
    }
    net_spent(net, began);
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

#include "kad_net_make.h" /* nodes and networks come and go */

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

    uint64_t began = net_clock(net);
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
        err = kad_put(k, c, &(struct kad_put_args){s, value, NULL}, net->now, &out);
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
    net_spent(net, began);
    net_apply(net, node, &out);
    if (err != QUDAG_OK) {
        return err;
    }
    return net_wait(net, c) ? net->done.err : QUDAG_EINTERNAL;
}

/* Every node meets node 0 and one earlier node, then joins; returns how many joins failed. */
static inline size_t net_join(struct net *net)
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
