/*
 * ending.h - the orderly end of a node: no new work, what runs gets a bounded time, then the peers are told.
 *
 *   RUNS ─ node_end_begin ─▶ ENDING ─ nothing runs, or the time is over ─▶ ENDED: node_shutdown(), |done| is called
 *
 * What runs: requests and streams of the program, whoever opened them.  Not waited for: circuits of others that this
 * node carries, which have no end of their own (their clients learn it by the links and build others), records that are
 * stored for others, a delivery between two of its attempts.
 */
#ifndef QUDAG_SRC_NODE_ENDING_H
#define QUDAG_SRC_NODE_ENDING_H

#include "base/types.h"
#include "node/op.h"

struct node;

/* Of the program. */
struct node_running {
    uint32_t requests, streams;
};

/* Whether the end is due: nothing runs, or |end_at| has come. */
bool node_rule_end(const struct node_running *r, tstamp end_at, tstamp now);

/* Whether a request of |kind| is taken while the node ends: what withdraws something of ours is no new work. */
bool node_rule_end_takes(enum node_op_kind kind);

/*
 * From now on nothing new is taken: requests and streams of the program (QUDAG_ESTATE), links and streams of peers
 * (QUDAG_ELIMIT).  |done| (NULL allowed) is called once, from a tick, when all has ended or |within_ns| is over; what
 * still ran is cut off before, and |cut| says how much that was.  Called again it can only bring the end nearer.
 */
void node_end_begin(struct node *n, uint64_t within_ns,
                    void (*done)(void *ctx, const struct node_running *cut), void *ctx, tstamp now);

enum node_end_state { NODE_RUNS, NODE_ENDING, NODE_ENDED };
/* How far that is; *r: what runs now; *left_ns: until the time is over. */
enum node_end_state node_end_get(const struct node *n, struct node_running *r, uint64_t *left_ns,
                                 tstamp now);

#endif
