/*
 * testnet.h - a network of onion objects in one process, for tests and the fuzz target.
 *
 *   node ──ACT_OPEN──▶ pipe ──EV_STREAM_OPEN──▶ node      a pipe is a stream with credit both ways
 *
 * Time is a variable.  Every call into a core gets a list with exactly the room core.h promises, so
 * that a core that wants more fails the test.  What arrives over circuits is taken by a small
 * application per node (enum app) after the call, as the driver would do.
 */
#ifndef QUDAG_SRC_CORE_ONION_TESTNET_H
#define QUDAG_SRC_CORE_ONION_TESTNET_H

#include "base/assert.h"
#include "core/onion/circuit.h"
#include "wire/relay_desc.h"

#include <stdlib.h>
#include <string.h>

#define NET_NODES 10
#ifndef NET_PIPES
#define NET_PIPES 256
#endif
#define NET_UPS 64
#define NET_FLOWS 288
#define NET_PIPE_WINDOW (256u * 1024)
#define NET_OF(ix)                                                                                 \
    (UINT64_C(4) << 48 | (10 + (uint64_t)(ix)) << 16) /* 10 + ix in a /8 of its own */

enum app { APP_SINK, APP_ECHO, APP_STALL };

struct testnet_flow { /* one stream over a circuit at one of its ends */
    bool used, fin, reset, ended;
    struct ref circuit;
    int64_t sid;
    qudag_err err;
    char proto[ONION_RELAY_PROTO_MAX + 1];
    uint64_t received, unread, sent; /* bytes; sent: as LINK_SENT says */
    uint64_t seed, wrong;            /* pattern expected; bytes that differ from it */
    uint8_t *echo;
    size_t echo_len;
    bool echo_fin;
};

struct up {
    uint16_t kind;
    struct ref circuit;
    uint64_t n, cookie;
    qudag_err err;
};

struct testnet_node {
    struct mem mem;
    struct rng_stream seed;
    struct onion *o;
    struct peer_id id;
    uint8_t pq_hash[32];
    struct onion_hop hop; /* how clients see it */
    enum app app;
    bool down;         /* answers no dial */
    bool knows_nobody; /* extends to nobody */
    bool says_nothing; /* never answers ONION_UP_EXTEND */
    uint64_t asked;    /* ONION_UP_EXTENDs reported */
    uint8_t props;     /* of links to it */
    struct up ups[NET_UPS];
    size_t ups_n;
    struct testnet_flow flows[NET_FLOWS];
    size_t flows_high;      /* flows ever used */
    uint64_t refused_opens; /* ACT_OPEN without the full need */
};

struct way { /* one direction of a pipe */
    uint8_t *queue;
    size_t len, cap, peak;
    uint64_t credit; /* bytes the reader will still take */
    uint64_t moved, written;
    bool fin, fin_done;
};

struct pipe {
    bool used;
    size_t node[2]; /* opener, acceptor */
    struct ref ref[2];
    struct way way[2]; /* way[i]: written by node[i] */
    bool cut[2];       /* side i has reset or heard of it */
    bool stalled[2];   /* side i is not given data any more */
};

struct testnet;
/* May look at and change what passes; |from|: node index. */
typedef void (*net_tap)(struct testnet *n, struct pipe *p, size_t side, uint8_t *bytes, size_t len);

struct testnet {
    size_t nodes_n;
    struct testnet_node nodes[NET_NODES];
    struct pipe pipes[NET_PIPES];
    size_t pipes_high; /* pipes ever used */
    tstamp now;
    size_t chunk; /* bytes per EV_DATA */
    uint32_t next_ref;
    uint64_t units_odd, classes[256];
    net_tap tap;
    const struct mem_hooks *hooks; /* of the nodes added from now on; NULL: malloc */
    void *tap_ctx;
    struct act acts[ACTS_ROOM];
    uint8_t *bytes;
    struct acts out;
    bool overflowed;
};

static inline uint8_t net_pattern(uint64_t seed, uint64_t at)
{
    uint64_t x =
        (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + (at >> 3) * UINT64_C(0xd1b54a32d192ed03);

    x ^= x >> 29;
    return (uint8_t)(x >> (8 * (at & 7)));
}

static inline void net_key(struct testnet_node *nd, bool service, uint64_t tag)
{
    struct onion_key key = {.service = service, .tag = tag};
    struct rng rng = rng_of_stream(&nd->seed);
    struct secret_mlkem768 seed;
    struct mlkem_key *dk;

    qudag_err err = x25519_keypair(&key.x_sk, key.x, &rng);
    ASSERT(err == QUDAG_OK);
    err = mlkem768_keygen(&dk, key.k, &seed, &rng);
    ASSERT(err == QUDAG_OK);
    onion_key_id(key.key_id, key.x, key.k);
    err = onion_key_add(nd->o, &key, dk);
    ASSERT(err == QUDAG_OK);
    nd->hop = (struct onion_hop){.peer = nd->id, .service = service};
    memcpy(nd->hop.pq_hash, nd->pq_hash, 32);
    memcpy(nd->hop.key_id, key.key_id, 8);
    memcpy(nd->hop.x, key.x, sizeof key.x);
    memcpy(nd->hop.k, key.k, sizeof key.k);
    struct netaddr at = {.family = 4, .ip = {127, 0, 0, 1}, .port = 4001};
    nd->hop.n_addrs = 1;
    multiaddr_quic(&nd->hop.addr[0], &at, &nd->id);
}

static inline void net_config(const struct testnet *n, size_t ix, struct onion_config *cfg)
{
    const struct testnet_node *nd = &n->nodes[ix];

    *cfg = (struct onion_config){.self = nd->id, .relay = true};
    memcpy(cfg->self_pq_hash, nd->pq_hash, 32);
}

static inline void net_add(struct testnet *n, const struct onion_config *with)
{
    size_t ix = n->nodes_n++;
    struct testnet_node *nd = &n->nodes[ix];
    uint8_t seed[32] = {(uint8_t)(ix + 1), 7}, pk[32] = {0};
    struct onion_config cfg;

    mem_init(&nd->mem, n->hooks, 0);
    rng_stream_init(&nd->seed, seed);
    pk[0] = (uint8_t)(ix + 1);
    peer_id_from_ed25519(&nd->id, pk);
    memset(nd->pq_hash, (int)(0xa0 + ix), 32);
    nd->props = ONION_NEED;
    net_config(n, ix, &cfg);
    if (with != NULL) {
        cfg.circuits_max = with->circuits_max;
        cfg.create_rate = with->create_rate;
        cfg.streams_max = with->streams_max;
        cfg.relay = with->relay;
    }
    cfg.mem = &nd->mem;
    cfg.rng = rng_of_stream(&nd->seed);
    qudag_err err = onion_new(&nd->o, &cfg, n->now);
    ASSERT(err == QUDAG_OK);
    net_key(nd, false, 0);
}

static inline void net_init_with(struct testnet *n, size_t nodes, const struct mem_hooks *hooks)
{
    memset(n, 0, sizeof *n);
    n->hooks = hooks;
    n->now = NS_PER_S;
    n->chunk = 1200;
    n->bytes = malloc(ACTS_BYTES_ROOM);
    ASSERT(n->bytes != NULL);
    n->out = (struct acts){
        .v = n->acts, .cap = ACTS_ROOM, .bytes = n->bytes, .bytes_cap = ACTS_BYTES_ROOM};
    for (size_t i = 0; i < nodes; i++) {
        net_add(n, NULL);
    }
}

static inline void net_init(struct testnet *n, size_t nodes)
{
    net_init_with(n, nodes, NULL);
}

static inline void net_fini(struct testnet *n)
{
    for (size_t i = 0; i < n->nodes_n; i++) {
        for (size_t f = 0; f < NET_FLOWS; f++) {
            free(n->nodes[i].flows[f].echo);
        }
        onion_free(n->nodes[i].o);
        ASSERT(n->nodes[i].mem.used == 0);
    }
    for (size_t i = 0; i < NET_PIPES; i++) {
        free(n->pipes[i].way[0].queue);
        free(n->pipes[i].way[1].queue);
    }
    free(n->bytes);
}

#endif
