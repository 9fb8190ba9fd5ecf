/* clients.h - commands on who may call an address of this node, and on keys for those of others. */
#ifndef QUDAG_BIN_CLIENTS_H
#define QUDAG_BIN_CLIENTS_H

#include "control.h"

/* A new client by "name" of the own "address": one row with his key. */
void clients_add(struct request *rq);
/* The clients of the own "address": a row each. */
void clients_list(struct request *rq);
/* Takes the client "name" away, or with "all" every one, so that anybody may call again. */
void clients_remove(struct request *rq);
/* "key" is used for calls to "address" from now on; with "remove" the one that there is no longer. */
void clients_authorize(struct request *rq);

#endif
