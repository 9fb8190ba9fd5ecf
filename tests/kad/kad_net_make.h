/* kad_net_make.h - third part of kad_net.h: nodes and networks are made and taken down. */
#ifndef QUDAG_TESTS_KAD_KAD_NET_MAKE_H
#define QUDAG_TESTS_KAD_KAD_NET_MAKE_H

#include "kad_net.h"

/* Anew, when it was somebody else before. */
static void net_node_as(struct net *net, size_t i, const uint8_t pub[32])
{
    struct net_node *nd = &net->node[i];
    struct netaddr a = {.family = 4, .port = 4001};

    kad_free(nd->kad);
    nd->tick_at = TSTAMP_NEVER;
    peer_id_from_ed25519(&nd->id, pub);
    net->by_id[net_by_id_place(net, &nd->id)] = (uint32_t)i + 1;
    sha256(nd->hash, peer_id_slice(&nd->id));
    /* Public addresses, each its own /24. */
    a.ip[0] = (uint8_t)(20 + (i >> 16));
    a.ip[1] = (uint8_t)(i >> 8);
    a.ip[2] = (uint8_t)i;
    a.ip[3] = 1;
    multiaddr_quic(&nd->addr, &a, NULL);
    rng_stream_init(&nd->rng, pub);
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

static void net_node_init(struct net *net, size_t i, uint8_t salt)
{
    uint8_t seed[32] = {salt, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 1};
    uint8_t pub[SHA256_LEN]; /* ids look like keys: the core has tables by their last bytes */

    sha256(pub, (struct slice){seed, sizeof(seed)});
    net_node_as(net, i, pub);
}

static void net_init(struct net *net, size_t n, size_t n_clients)
{
    *net = (struct net){.n = n, .rtt = 50 * NS_PER_MS, .now = NS_PER_S};
    mem_init(&net->mem, NULL, 0);
    net->scratch = kad_scratch_new(&net->mem);
    net->node = calloc(n, sizeof(*net->node));
    net->act_v = calloc(NET_ACTS, sizeof(*net->act_v));
    net->act_bytes = malloc(NET_BYTES);
    net->by_id_mask = 7;
    while (net->by_id_mask < 2 * n) {
        net->by_id_mask = 2 * net->by_id_mask + 1;
    }
    net->by_id = calloc(net->by_id_mask + 1, sizeof(*net->by_id));
    if (net->scratch == NULL || net->node == NULL || net->act_v == NULL || net->act_bytes == NULL ||
        net->by_id == NULL) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        net->node[i].client = i >= n - n_clients;
        net_node_init(net, i, 9);
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
    free(net->by_id);
    free(net->strm);
}

#endif
