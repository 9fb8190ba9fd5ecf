/* dark_clients.h - who may call our dark addresses, and whose owner lets us in: changed and saved together. */
#ifndef QUDAG_SRC_NODE_DARK_CLIENTS_H
#define QUDAG_SRC_NODE_DARK_CLIENTS_H

#include "core/dark/clients.h"
#include "node/node.h"

/*
 * As dark_client_add() and dark_client_remove(); the list is saved before the call returns.  What could not be saved:
 * nobody was added; who was removed stays out until the program ends.  Where one client is removed the service begins
 * anew: ENOMEM too, when it did not; it begins with the next publication then.
 */
QUDAG_MUST_USE qudag_err node_dark_client_add(struct node *n, const struct dark_addr *a,
                                              const char *name,
                                              uint8_t secret[DARK_CLIENT_SECRET_LEN], tstamp now);
QUDAG_MUST_USE qudag_err node_dark_client_remove(struct node *n, const struct dark_addr *a,
                                                 const char *name, tstamp now);
/* As dark_authorize(), and saved. */
QUDAG_MUST_USE qudag_err node_dark_authorize(struct node *n, const struct dark_addr *a,
                                             const uint8_t *secret);

#endif
