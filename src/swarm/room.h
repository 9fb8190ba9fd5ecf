/* room.h - the accounts of bytes, for those who write on streams and can wait. */
#ifndef QUDAG_SRC_SWARM_ROOM_H
#define QUDAG_SRC_SWARM_ROOM_H

#include "swarm/swarm.h"

/* What the accounts say of a stream. */
struct swarm_stream_room {
    uint64_t
        ease; /* bytes until its peer, its network or the node has three quarters of its limit */
    uint64_t left; /* bytes that it may have more at all (resources_left) */
    uint64_t held; /* bytes reserved, queued, or sent and not acknowledged */
};

/* |queued|: bytes known to be queued, for links that do not say.  All 0 for a stream that is gone. */
void swarm_stream_room(const struct swarm *s, struct ref strm, uint64_t queued,
                       struct swarm_stream_room *out);
/*
 * |n| bytes that are going to be written on |strm|: those writes are not refused by an account any more, whatever is
 * written elsewhere before.  ESTALE: it is gone.  ELIMIT: never where |n| <= swarm_stream_room.left.
 */
QUDAG_MUST_USE qudag_err swarm_stream_reserve(struct swarm *s, struct ref strm, size_t n);

#endif
