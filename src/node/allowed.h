/*
 * allowed.h - peers that the program allows to send to it over links (src/app, receive.c).
 *
 * They count as named by the program: a direct path is looked for with them.  A node that allows somebody wants to be
 * reached; one that allows nobody has neither that protocol nor any of what follows.
 */
#ifndef QUDAG_SRC_NODE_ALLOWED_H
#define QUDAG_SRC_NODE_ALLOWED_H

#include "wire/peer_id.h"

#include <stdbool.h>
#include <stddef.h>

#define NODE_ALLOWED_MAX 256

struct node;

struct node_allowed {
    struct peer_id *v; /* NODE_ALLOWED_MAX; NULL before the first */
    size_t n;
};

/* EINVAL: it is this node, or nobody; ELIMIT; ENOMEM.  One that is allowed stays so. */
QUDAG_MUST_USE qudag_err node_allow(struct node *n, const struct peer_id *peer);
/* ENOTFOUND. */
QUDAG_MUST_USE qudag_err node_disallow(struct node *n, const struct peer_id *peer);
/* Whether |peer| is one of them. */
bool node_allows(const struct node *n, const struct peer_id *peer);
/* How many they are. */
size_t node_allowed_n(const struct node *n);
/* The |ix|-th of them, borrowed until one comes or goes; NULL: there are not so many. */
const struct peer_id *node_allowed_at(const struct node *n, size_t ix);
/* node_serve() for a protocol that only they may use: it alone does not make the node want to be reached. */
QUDAG_MUST_USE qudag_err node_serve_allowed(struct node *n, const char *proto);
/* Frees the list. */
void node_allowed_fini(struct node *n);

#endif
