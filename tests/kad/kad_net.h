/*
 * kad_net.h - a network of kad objects in one process and in virtual time, for tests and benchmarks.
 *
 * Streams are pairs of names; every message takes half a round trip; links exist at once.  A dead or
 * silent node keeps every stream open and says nothing; |misbehave| answers in its stead, if set.
 */
#ifndef QUDAG_TESTS_KAD_KAD_NET_H
#define QUDAG_TESTS_KAD_KAD_NET_H

#include "core/kad/kad.h"
#include "crypto/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NET_ACTS (ACTS_ROOM + 64)
#define NET_BYTES (ACTS_BYTES_ROOM + 65536)
#define NET_WALL0 INT64_C(1700000000)

struct net;
struct net_node {
    struct kad *kad;
    struct peer_id id;
    uint8_t hash[SHA256_LEN];
    struct multiaddr addr;
    struct rng_stream rng;
    bool dead;    /* streams to it open and nothing ever comes back */
    bool refuses; /* streams to it fail at once */
    bool client;  /* not a server */
    void (*misbehave)(struct net *net, size_t node, struct ref strm, struct slice data);
    uint64_t writes, write_bytes;
    tstamp tick_at; /* time of its earliest queued tick */
};

struct net_item {
    tstamp at;
    uint64_t seq;
    uint32_t node, from;
    enum ev_type type;
    bool tick, inbound;
    struct ref strm;
    uint64_t cookie;
    uint8_t *data;
    size_t len;
};

struct net_done {
    uint64_t cookie;
    qudag_err err;
    enum kad_op op;
    size_t n_peers, value_len;
    struct peer_id peer[KAD_PEERS_MAX];
    uint8_t value[KAD_VALUE_MAX];
    uint32_t rpcs, failures, hops;
    tstamp took;
    unsigned times;
};

struct net {
    size_t n;
    struct net_node *node;
    struct mem mem;
    struct kad_scratch *scratch;
    struct act *act_v;
    uint8_t *act_bytes;
    struct net_item *q; /* binary heap by (at, seq) */
    size_t q_n, q_cap;
    uint64_t seq;
    tstamp now, rtt;
    bool all_met;    /* nobody is new to anybody */
    uint8_t *linked; /* n x n: these two have met */
    uint32_t *by_id; /* hash table of nodes: index + 1, 0: free */
    size_t by_id_mask;
    uint64_t (*clock)(void);        /* NULL, or what to time the calls of the cores with */
    uint64_t core_time, core_calls; /* spent inside them */
    struct net_end *strm;
    size_t strm_n, strm_cap;
    void (*watch)(struct net *net, size_t from, size_t to, struct slice request); /* or NULL */
    size_t cut; /* nodes from here on and those before it do not reach each other; 0: all do */
    bool lab;
    uint8_t need;
    uint64_t overflows, messages, bytes, events;
    struct net_done done; /* the last report */
};

/* The two ends of stream |slot|: who opened it and who answers. */
struct net_end {
    uint32_t opener, answerer;
    bool open;
};

/* Anything but what begins with '!'; "~" runs out after 100 s. */
static qudag_err net_valid(void *ctx, struct slice key, struct slice value, walltime now,
                           walltime *expires)
{
    (void)ctx;
    (void)key;
    if (value.len > 0 && value.base[0] == '~') {
        *expires = now + 100;
    }
    return value.len > 0 && value.base[0] != '!' ? QUDAG_OK : QUDAG_EAUTH;
}

/* The first byte is the version. */
static int net_select(void *ctx, struct slice key, struct slice a, struct slice b)
{
    (void)ctx;
    (void)key;
    return (int)a.base[0] - (int)b.base[0];
}

static bool net_before(const struct net_item *a, const struct net_item *b)
{
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static void net_push(struct net *net, struct net_item it)
{
    if (net->q_n == net->q_cap) {
        net->q_cap = net->q_cap == 0 ? 1024 : net->q_cap * 2;
        net->q = realloc(net->q, net->q_cap * sizeof(*net->q));
        if (net->q == NULL) {
            abort();
        }
    }
    it.seq = net->seq++;
    size_t i = net->q_n++;
    while (i > 0 && net_before(&it, &net->q[(i - 1) / 2])) {
        net->q[i] = net->q[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    net->q[i] = it;
}

static struct net_item net_pop(struct net *net)
{
    struct net_item top = net->q[0], last = net->q[--net->q_n];
    size_t i = 0;

    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= net->q_n) {
            break;
        }
        if (c + 1 < net->q_n && net_before(&net->q[c + 1], &net->q[c])) {
            c++;
        }
        if (!net_before(&net->q[c], &last)) {
            break;
        }
        net->q[i] = net->q[c];
        i = c;
    }
    if (net->q_n > 0) {
        net->q[i] = last;
    }
    return top;
}

static size_t net_by_id_place(const struct net *net, const struct peer_id *id)
{
    uint32_t h = UINT32_C(2166136261);

    for (size_t i = 2; i < id->len; i++) {
        h = (h ^ id->b[i]) * UINT32_C(16777619);
    }
    size_t at = h & net->by_id_mask;
    while (net->by_id[at] != 0 && !peer_id_eq(&net->node[net->by_id[at] - 1].id, id)) {
        at = (at + 1) & net->by_id_mask;
    }
    return at;
}

static size_t net_by_id(const struct net *net, const struct peer_id *id)
{
    uint32_t i = net->by_id[net_by_id_place(net, id)];

    return i == 0 ? SIZE_MAX : i - 1;
}

/* A message from |node| over stream |slot|, to arrive half a round trip later. */
static void net_send(struct net *net, size_t node, struct ref strm, enum ev_type type,
                     struct slice data)
{
    const struct net_end *e = &net->strm[strm.slot];
    size_t to = e->opener == node && strm.gen == 1 ? e->answerer : e->opener;
    struct net_item it = {.at = net->now + net->rtt / 2, .type = type};

    it.node = (uint32_t)to;
    it.from = (uint32_t)node;
    it.strm = (struct ref){strm.slot, strm.gen == 1 ? 2 : 1};
    if (data.len > 0) {
        it.data = malloc(data.len);
        if (it.data == NULL) {
            abort();
        }
        memcpy(it.data, data.base, data.len);
        it.len = data.len;
    }
    net->messages += type == EV_DATA ? 1 : 0;
    net->bytes += data.len;
    net_push(net, it);
}

static void net_open(struct net *net, size_t node, const struct act *a)
{
    size_t to = net_by_id(net, &a->peer);

    if (to == SIZE_MAX || net->node[to].refuses || (to < net->cut) != (node < net->cut)) {
        net_push(net, (struct net_item){.at = net->now + net->rtt,
                                        .node = (uint32_t)node,
                                        .type = EV_STREAM_FAIL,
                                        .cookie = a->cookie});
        return;
    }
    if (net->strm_n == net->strm_cap) {
        net->strm_cap = net->strm_cap == 0 ? 4096 : net->strm_cap * 2;
        net->strm = realloc(net->strm, net->strm_cap * sizeof(*net->strm));
        if (net->strm == NULL) {
            abort();
        }
    }
    uint32_t slot = (uint32_t)net->strm_n++;
    net->strm[slot] = (struct net_end){(uint32_t)node, (uint32_t)to, true};
    net_push(net, (struct net_item){.at = net->now,
                                    .node = (uint32_t)node,
                                    .from = (uint32_t)to,
                                    .type = EV_STREAM_OPEN,
                                    .strm = {slot, 1},
                                    .cookie = a->cookie});
    net_push(net, (struct net_item){.at = net->now + net->rtt / 2,
                                    .node = (uint32_t)to,
                                    .from = (uint32_t)node,
                                    .type = EV_STREAM_OPEN,
                                    .inbound = true,
                                    .strm = {slot, 2}});
}

static void net_report(struct net *net, const struct act *a)
{
    const struct kad_result *r = a->ptr;

    if (a->kind != KAD_UP_DONE) {
        return;
    }
    unsigned times = a->cookie == net->done.cookie ? net->done.times + 1 : 1;
    net->done = (struct net_done){.cookie = a->cookie,
                                  .err = a->err,
                                  .op = r->op,
                                  .n_peers = r->n_peers,
                                  .value_len = r->value.len,
                                  .rpcs = r->rpcs,
                                  .failures = r->failures,
                                  .hops = r->hops,
                                  .took = r->took,
                                  .times = times};
    for (size_t i = 0; i < r->n_peers; i++) {
        net->done.peer[i] = r->peers[i].id;
    }
    if (r->value.len > 0) {
        memcpy(net->done.value, r->value.base, r->value.len);
    }
}

#include "kad_net_run.h" /* time passes: events, nodes, requests */

#endif
