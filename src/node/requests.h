/* requests.h - requests: from their queue to their one answer. */
#ifndef QUDAG_SRC_NODE_REQUESTS_H
#define QUDAG_SRC_NODE_REQUESTS_H

#include "base/list.h"
#include "node/meters.h"
#include "node/node.h"

struct node_circuit;

/* A request, ours or the program's.  |data| holds copies of key and value. */
struct node_op {
    struct list node; /* in node.fresh until begun, then in node.running */
    struct ref ref;
    struct node_request req;
    tstamp since;
    uint64_t cookie;              /* of the core that asked for it, if one did */
    struct node_circuit *circuit; /* while one is built for it, or serves it */
    uint8_t tries;
    bool begun;
    bool canceled; /* to be ended by the next drain */
    bool notified; /* the program heard of its end, or never asked for it */
    bool asked;    /* LOOKUP: an answer of the relay at the end of the circuit is outstanding;
                      STREAM_RESOLVE, DARK_PUBLISH: of the dark core */
    uint8_t data[];
};

/* A kind of request; the table of them is request_table.c. */
struct node_op_type {
    const char *name; /* static, for logs */
    /* Not OK: it ends at once.  OK: it has ended, or somebody ends it later. */
    qudag_err (*begin)(struct node *n, struct node_op *op, tstamp now);
    /* The program wants it no more; ends it now or makes it end.  NULL: a late report finds no request. */
    void (*cancel)(struct node *n, struct node_op *op, tstamp now);
    /* Tells who waits and frees |op|, or queues it again.  NULL: the program waits. */
    void (*finish)(struct node *n, struct node_op *op, qudag_err err,
                   const struct node_result *res);
    enum node_meter_dht dht; /* as what its time is measured */
};
/* By kind; the node has a pointer to it, so that requests.c knows none of them. */
extern const struct node_op_type node_op_types[NODE_OP_KINDS];

/* What a core is to give back with its answer. */
static inline uint64_t node_op_cookie(const struct node_op *op)
{
    return ref_to_u64(op->ref);
}

/* Queues a request of the node's own; key and value are copied.  NULL: no memory, or too many. */
struct node_op *node_op_new(struct node *n, const struct node_request *r);
/* The request with that cookie; NULL when it has ended. */
struct node_op *node_op_get(struct node *n, uint64_t cookie);
/* Ends |op|, which is void then; |res| borrowed, NULL: nothing but |err| to say. */
void node_op_end(struct node *n, struct node_op *op, qudag_err err, const struct node_result *res);
/* Frees |op| without a word. */
void node_op_free(struct node *n, struct node_op *op);
/* Puts |op| at the end of the queue again. */
void node_op_again(struct node *n, struct node_op *op);
/* The program hears of the end now, though the request goes on. */
void node_op_notify(struct node *n, struct node_op *op, qudag_err err);
/* Begins the next in the queue; false: there is none, or no room for actions. */
bool node_op_begin_next(struct node *n, tstamp now);
/* Ends all with QUDAG_ECANCELED. */
void node_ops_cancel(struct node *n);

/* How many requests the program waits for. */
uint32_t node_ops_running(const struct node *n);

#endif
