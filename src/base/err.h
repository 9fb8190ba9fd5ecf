/* err.h - whose doing an error is. */
#ifndef QUDAG_SRC_BASE_ERR_H
#define QUDAG_SRC_BASE_ERR_H

#include <qudag/error.h>

#include <stdbool.h>

/*
 * Whether what ended with |err| ended by this node's own doing: it was given up here, something was lacking or wrong
 * here.  No peer is to blame for it, and nothing about one follows from it.  False for QUDAG_OK, and for what a peer
 * may be the cause of: also QUDAG_ELIMIT, since peers fill what is limited.
 */
bool err_is_ours(qudag_err err);

#endif
