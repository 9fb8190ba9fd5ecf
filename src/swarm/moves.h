/* moves.h - whether what goes on for long is better off on another link. */
#ifndef QUDAG_SRC_SWARM_MOVES_H
#define QUDAG_SRC_SWARM_MOVES_H

#include "base/slots.h"
#include "base/types.h"

struct swarm;
/* Whether a stream like |strm|, opened now, would run over a link of another kind: swarm_rule_moves(). */
bool swarm_stream_moves(const struct swarm *s, struct ref strm, tstamp now);

#endif
