/* reserve.h - qudag peer reserve waits for what the relay says. */
#ifndef QUDAG_BIN_QUDAG_RESERVE_H
#define QUDAG_BIN_QUDAG_RESERVE_H

#include "tool.h"

/* Until |relay|, an id or an address that ends in one, has said whether it keeps a place: says it.  The exit code. */
int reserve_wait(struct tool *t, const char *relay);

#endif
