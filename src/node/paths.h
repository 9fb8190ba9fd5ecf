/* paths.h - the relays of circuits we are client of. */
#ifndef QUDAG_SRC_NODE_PATHS_H
#define QUDAG_SRC_NODE_PATHS_H

#include "node/circuits.h"

/*
 * Chooses the relays of |c| and sets c->path and c->n_hops; a guard used for the first time is saved before this
 * returns.  QUDAG_ESMALLNET (node_small_network_check), and what relays_path() says.
 */
QUDAG_MUST_USE qudag_err node_path_choose(struct node *n, struct node_circuit *c);
/* How many hops |c| is to have in the end. */
uint8_t node_path_hops(const struct node_circuit *c);
/*
 * Sets c->path and c->n_hops to the hops of |stem| and a last one; as node_path_choose(), which would have chosen the
 * same relays.  |near|: a last hop that others named may be of a network or family of those between.  ENORELAYS also:
 * |stem| will not do.
 */
QUDAG_MUST_USE qudag_err node_path_complete(struct node *n, struct node_circuit *c,
                                            const struct node_circuit *stem, bool near);
/* Whether |stem|, which waits, may still be used for whatever comes: its guard may, and its relays. */
bool node_path_holds(struct node *n, const struct node_circuit *stem);
/*
 * Whether |c|, for which node_path_choose() said |err|, is to wait for a path: for 20 s, while we join or our view of
 * the network has not settled, or while the guards do not answer.
 */
bool node_path_awaited(const struct node *n, const struct node_circuit *c, qudag_err err);
/*
 * small_network.c: QUDAG_ESMALLNET when too few relays are known to hide anybody, and that is not accepted;
 * QUDAG_ENORELAYS as long as it may only be too early to know them.
 */
QUDAG_MUST_USE qudag_err node_small_network_check(const struct node *n);
/* |c| reached all its hops; a stem counts once it is taken, or ends. */
void node_path_built(struct node *n, const struct node_circuit *c, tstamp now);
/*
 * What was asked over |c| has ended with |err|, and it is for nothing else: that decides what it says of its guard,
 * whatever ends it later.
 */
void node_path_served(struct node *n, struct node_circuit *c, qudag_err err);
/* |c| ended with |err|, built or not; |hop|: the first not reached, 0: unknown or nobody's fault. */
void node_path_ended(struct node *n, struct node_circuit *c, uint64_t hop, qudag_err err,
                     tstamp now);

#endif
