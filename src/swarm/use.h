/* use.h - which streams a link may carry; inside swarm/. */
#ifndef QUDAG_SRC_SWARM_USE_H
#define QUDAG_SRC_SWARM_USE_H

#include "swarm/internal.h"

/* What a stream is for. */
struct swarm_use {
    unsigned core;
    const char *proto;
    uint8_t need; /* enum link_prop */
    bool ours;    /* we open it */
};
/* Whether |l| is of a kind that may carry such a stream, up or not yet: all rules of rules.h on that.  In peers.c. */
bool swarm_link_serves(const struct swarm *s, const struct swarm_link *l,
                       const struct swarm_use *use);

#endif
