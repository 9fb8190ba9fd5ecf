/* rekey.h - another ML-DSA key for a node that runs (rekey.c). */
#ifndef QUDAG_SRC_NODE_REKEY_H
#define QUDAG_SRC_NODE_REKEY_H

#include "wire/succession.h"

struct node;

/*
 * Our ML-DSA key is that of |next| from now on, which outlives the node; |statement| says that it follows the one until
 * now.  Certificates, descriptor and records are made anew, then links, a few in a second.  EAUTH: it says something
 * else, or node_rule_rekey() does not like it; EMALFORMED, EEXPIRED, ECLOCK: it is none that peers would follow;
 * ESTATE: the node ends; ENOMEM, EINTERNAL.  On any error nothing has changed.
 */
QUDAG_MUST_USE qudag_err node_rekey(struct node *n, const struct identity *next,
                                    struct slice statement, tstamp now);
/*
 * Whether peers that know |now| by its ML-DSA key follow |s|, which was checked, to |next|: it is about this peer,
 * leads from the one key to the other, and is newer than |newest|, the last of those that they may have followed.
 */
bool node_rule_rekey(const struct succession *s, const struct identity *now,
                     const struct identity *next, uint64_t newest);

#endif
