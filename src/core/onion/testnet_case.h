/* testnet_case.h - what the tests of circuits among hostile parties share; to be included behind cmocka.h. */
#ifndef QUDAG_SRC_CORE_ONION_TESTNET_CASE_H
#define QUDAG_SRC_CORE_ONION_TESTNET_CASE_H

#include "core/onion/rules.h"
#include "core/onion/testnet_run.h"

#define EXTEND_TOLD_BY (3 * NS_PER_S) /* the client knows by then that its EXTEND failed */

static inline struct testnet *net_new(size_t nodes)
{
    struct testnet *n = malloc(sizeof *n);

    assert_non_null(n);
    net_init(n, nodes);
    return n;
}

static inline void net_del(struct testnet *n)
{
    net_fini(n);
    free(n);
}

static inline struct ref built(struct testnet *n, size_t hops)
{
    struct ref c;

    assert_int_equal(net_build(n, 1, hops, &c), QUDAG_OK);
    net_run(n);
    assert_non_null(net_last_up(&n->nodes[0], ONION_UP_BUILT));
    return c;
}

static inline size_t circuits(const struct testnet *n, size_t node)
{
    struct onion_info info;
    size_t it = 0, count = 0;

    while (onion_next(n->nodes[node].o, &it, &info)) {
        count++;
    }
    return count;
}

static inline size_t all_circuits(const struct testnet *n)
{
    size_t count = 0;

    for (size_t i = 0; i < n->nodes_n; i++) {
        count += circuits(n, i);
    }
    return count;
}

/* The first circuit of |node|, from the inside, or NULL. */
static inline struct onion_circuit *inner_or_null(const struct testnet *n, size_t node)
{
    const struct slots *s = &n->nodes[node].o->circuits;

    for (uint32_t i = 0; i < s->high; i++) {
        if (slots_at(s, i) != NULL) {
            return slots_at(s, i);
        }
    }
    return NULL;
}

static inline struct onion_circuit *inner(const struct testnet *n, size_t node)
{
    struct onion_circuit *c = inner_or_null(n, node);

    ASSERT(c != NULL);
    return c;
}

static inline struct pipe *pipe_between(struct testnet *n, size_t from, size_t to)
{
    for (size_t i = 0; i < NET_PIPES; i++) {
        struct pipe *p = &n->pipes[i];
        if (p->used && p->node[0] == from && p->node[1] == to) {
            return p;
        }
    }
    return NULL;
}

/* Sends |msg| in a cell of the client to hop |to| (1 ..), as only a hostile client would. */
static inline void send_to_hop(struct testnet *n, size_t to, uint8_t type, uint16_t stream,
                               struct slice data)
{
    struct onion_circuit *c = inner(n, 0);
    size_t all = c->hops.n;
    uint8_t ack[CGO_TAG_LEN];
    struct wr w;

    n->out.n = 0;
    uint8_t *cell = onion_circuit_cell_open(&w, &n->out);
    ASSERT(cell != NULL);
    cell[0] = onion_rule_class(type);
    onion_relay_msg_put(&w, type, stream, data);
    c->hops.n = to;
    onion_circuit_cell_seal(c, cell, &w, ack, &n->out);
    c->hops.n = all;
    if (type == ONION_RELAY_BEGIN && c->mux->last_id < stream) {
        c->mux->last_id = stream; /* or CONNECTED would surprise it */
    }
    net_drain(n, 0);
    net_run(n);
}

/* The same from a hop to the client. */
static inline void send_to_client(struct testnet *n, size_t hop, uint8_t type, uint16_t stream,
                                  struct slice data)
{
    struct onion_circuit *c = inner(n, hop);
    uint8_t ack[CGO_TAG_LEN];
    struct wr w;

    n->out.n = 0;
    uint8_t *cell = onion_circuit_cell_open(&w, &n->out);
    ASSERT(cell != NULL);
    cell[0] = onion_rule_class(type);
    onion_relay_msg_put(&w, type, stream, data);
    onion_circuit_cell_seal(c, cell, &w, ack, &n->out);
    net_drain(n, hop);
    net_run(n);
}

#endif
