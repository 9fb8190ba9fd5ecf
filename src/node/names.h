/*
 * names.h - addresses with names in them, which the host resolves.  Included by node.h.
 *
 * A question to a name server tells whom we are about to talk to, to whoever runs it and to the way there.  So only
 * names that the operator or the program wrote are asked for; what peers, records and answers of the DHT name is not.
 */
#ifndef QUDAG_SRC_NODE_NAMES_H
#define QUDAG_SRC_NODE_NAMES_H

#include "base/types.h"
#include "core/names/names.h"

struct node;

#define NODE_NAMES_MAX 64                  /* addresses that are being resolved, or dialled since */
#define NODE_NAMES_TIMEOUT (10 * NS_PER_S) /* until all questions for one address are answered */

/* Who wrote an address. */
enum node_addr_from {
    NODE_ADDR_OPERATOR, /* the configuration, or the program: bootstrap, connect, keep */
    NODE_ADDR_OTHERS,   /* a peer, a record, the DHT, or an address of it that was remembered */
};
/* Whether the name in an address may be asked for. */
bool node_rule_resolves(enum node_addr_from from);

/*
 * What hooks.resolve asked for, in a later call: |records| as names_answered() takes them, borrowed.  For questions
 * that are not waited for any more it does nothing.
 */
void node_resolved(struct node *n, uint64_t id, qudag_err err, const struct slice *records,
                   size_t count, tstamp now);

#endif
