/* kad_net_say.h - for tests that look at what nodes of kad_net.h say, or say something in their place. */
#ifndef QUDAG_TESTS_KAD_KAD_NET_SAY_H
#define QUDAG_TESTS_KAD_KAD_NET_SAY_H

#include "kad_net_fill.h"

/* |n| nodes with the tables of a network that has been running for long. */
static inline void net_filled(struct net *net, size_t n)
{
    net_init(net, n, 0);
    net->all_met = true;
    net_fill(net);
}

static inline struct slice net_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

/* A get or put with options, waited for. */
static inline qudag_err net_ask_with(struct net *net, size_t node, const char *key,
                                     const char *value, const struct kad_options *opt)
{
    struct acts out = net_acts(net);
    struct kad *k = net->node[node].kad;
    uint64_t c = net_cookie();
    qudag_err err = value == NULL
                        ? kad_get(k, c, net_text(key), opt, net->now, &out)
                        : kad_put(k, c, &(struct kad_put_args){net_text(key), net_text(value), opt},
                                  net->now, &out);

    net_apply(net, node, &out);
    return err != QUDAG_OK ? err : net_wait(net, c) ? net->done.err : QUDAG_EINTERNAL;
}

static inline qudag_err net_find(struct net *net, size_t node, const char *key)
{
    return net_ask(net, node, KAD_OP_FIND, key, strlen(key), (struct slice){NULL, 0});
}

/* The request in |data|; its peers are not kept. */
static inline struct kad_msg net_request(struct slice data)
{
    static struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX];
    struct kad_msg m = {.closer = closer, .providers = providers};
    struct slice msg;
    size_t dropped, used;

    if (kad_frame(data, &msg, &used) != 1 || kad_msg_decode(&m, &dropped, msg) != QUDAG_OK) {
        abort();
    }
    return m;
}

static inline void net_say(struct net *net, size_t node, struct ref strm, const struct kad_msg *m)
{
    static uint8_t buf[KAD_MSG_MAX + 8];
    size_t len = 0;

    if (kad_msg_encode(buf, KAD_MSG_MAX, &len, m) != QUDAG_OK) {
        abort();
    }
    net_send(net, node, strm, EV_DATA, (struct slice){buf, len});
}

/* A misbehaving node answers this request correctly. */
static inline void net_honest(struct net *net, size_t node, struct ref strm, struct slice data)
{
    void (*misbehave)(struct net *, size_t, struct ref, struct slice) = net->node[node].misbehave;
    uint32_t from = net->strm[strm.slot].opener;
    struct net_item it = {.at = net->now, .node = (uint32_t)node, .from = from, .strm = strm};
    void (*watch)(struct net *, size_t, size_t, struct slice) = net->watch;

    net->node[node].misbehave = NULL;
    net->watch = NULL;
    it.type = EV_STREAM_OPEN;
    it.inbound = true;
    net_deliver(net, &it);
    it.type = EV_DATA;
    it.inbound = false;
    it.data = (uint8_t *)(uintptr_t)data.base; /* read only */
    it.len = data.len;
    net_deliver(net, &it);
    net->node[node].misbehave = misbehave;
    net->watch = watch;
}

/* Nodes that live, the closest to |key| first; how many. */
static inline size_t net_order(const struct net *net, const char *key, size_t *order)
{
    uint8_t t[SHA256_LEN];
    size_t n = 0;

    sha256(t, net_text(key));
    for (size_t i = 0; i < net->n; i++) {
        if (net->node[i].dead || net->node[i].client) {
            continue;
        }
        size_t at = n++;
        while (at > 0 && kad_dist_cmp(t, net->node[i].hash, net->node[order[at - 1]].hash) < 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    return n;
}

static inline bool net_holds(const struct net *net, size_t node, const char *key)
{
    struct slice v;

    return kad_record_local(net->node[node].kad, net_text(key), net->now, &v);
}

#endif
