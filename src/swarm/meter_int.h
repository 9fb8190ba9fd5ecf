/* meter_int.h - what meter.c is told as it happens; included by swarm/ only. */
#ifndef QUDAG_SRC_SWARM_METER_INT_H
#define QUDAG_SRC_SWARM_METER_INT_H

#include "swarm/internal.h"

/* |l| came up, as |info| says; it is up since |now|. */
void swarm_meter_link_up(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                         tstamp now);
/* |l|, authenticated, is not let in; counted here if it is inbound, else when it is gone. */
void swarm_meter_link_refused(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                              qudag_err err);
/* |l| ends with its down_err: up, or a dial without success. */
void swarm_meter_link_gone(struct swarm *s, const struct swarm_link *l, tstamp now);
/* The wait of |o| ends: QUDAG_OK, with a stream. */
void swarm_meter_open(struct swarm *s, const struct swarm_open *o, qudag_err err, tstamp now);
/* |len| bytes of the core that owns |st| were taken for sending, or came in. */
void swarm_meter_traffic(struct swarm *s, const struct swarm_stream *st, enum swarm_direction dir,
                         size_t len);
/* What hides the bytes on a link with |props|; |carried|: a circuit through another one. */
enum swarm_protection swarm_protection_of(uint8_t props, bool carried);

#endif
