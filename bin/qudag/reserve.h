/* reserve.h - of cmd_peers.c: peer reserve, which waits for what the relay says; what peers shows. */
#ifndef QUDAG_BIN_QUDAG_RESERVE_H
#define QUDAG_BIN_QUDAG_RESERVE_H

#include "tool.h"

/* Until |relay|, an id or an address that ends in one, has said whether it keeps a place: says it.  The exit code. */
int reserve_wait(struct tool *t, const char *relay);

/* What peers shows of a link without --wide: for a terminal of 120 columns. */
extern const struct col peers_cols[];
extern const size_t peers_n_cols;

#endif
