/*
 * codes.h - codes with which a stream is reset, on links of all kinds that carry one.
 *
 * Those that libp2p has registered (error-codes of its specifications, as go-libp2p sends and shows them), beside them
 * our errors by their number, which only QuDAG nodes read, and those of programs from 0x2000 on.  All other errors, and
 * all other codes: a plain reset.
 */
#ifndef QUDAG_SRC_CORE_CODES_H
#define QUDAG_SRC_CORE_CODES_H

#include "base/types.h"

/* The code with which a stream is reset because of |err|: one of libp2p's, our own, or 0.  Below 2^32. */
uint64_t link_code(qudag_err err);

/* What a peer's code means; QUDAG_ERESET for one that is not known. */
qudag_err link_code_error(uint64_t code);

#endif
