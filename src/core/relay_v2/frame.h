/* frame.h - one message of circuit relay v2 out of a stream, in any split. */
#ifndef QUDAG_SRC_CORE_RELAY_V2_FRAME_H
#define QUDAG_SRC_CORE_RELAY_V2_FRAME_H

#include "base/dyn.h"
#include "wire/circuit_msg.h"

#define RELAYED_FRAME_MAX (CIRCUIT_MSG_MAX + 2) /* with its length */

/*
 * Moves bytes of |*in| into |d|, which is empty at first, until that holds one whole message: QUDAG_OK, |*body| is the
 * message, valid as long as |d|, and |*in| what comes behind it.  QUDAG_EAGAIN: all was taken, more is needed.
 * QUDAG_ETOOBIG, QUDAG_EMALFORMED (a length that is not minimal), QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err relayed_frame_take(struct dyn *d, struct slice *in, struct slice *body);

#endif
