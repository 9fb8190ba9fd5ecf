/* silence.h - the rule for links whose peer does not answer (spec/link.md 4.6). */
#ifndef QUDAG_SRC_QUIC_SILENCE_H
#define QUDAG_SRC_QUIC_SILENCE_H

#include "base/types.h"

#define QUIC_SILENCE_PROBE (5 * NS_PER_S)   /* unanswered: probed, and others beside it */
#define QUIC_SILENCE_WITNESS (8 * NS_PER_S) /* then it is over, if one of these was heard */
#define QUIC_SILENCE_ALONE (45 * NS_PER_S)  /* the same, where there is no other link */

struct quic_silence_view {
    tstamp
        asked; /* when a packet left that is still not acknowledged, and since when nothing came */
    tstamp probed; /* it and others, last; 0: not yet */
    tstamp
        sent; /* when it last sent what must be acknowledged: lost packets may forbid it for long */
    tstamp heard; /* when any link was heard last */
    bool alone;   /* there is no other link */
};

enum quic_silence {
    QUIC_SILENCE_WAIT,
    QUIC_SILENCE_ASK,  /* it, and others */
    QUIC_SILENCE_OVER, /* the link is dead, or will be within two seconds if nothing comes */
};

enum quic_silence quic_rule_silence(const struct quic_silence_view *v, tstamp now);

#endif
