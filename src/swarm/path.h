/* path.h - decisions about links whose path may be dead, as pure functions: a part of rules.h. */
#ifndef QUDAG_SRC_SWARM_PATH_H
#define QUDAG_SRC_SWARM_PATH_H

#include "core/link.h"

#define SWARM_QUIET_FORGET (60 * NS_PER_S)
/*
 * For how long a link whose path was quiet, and is heard again, is not used where there is another: the longer, the
 * oftener it was lately, so that a path that comes and goes does not have streams come and go with it.  At most 4 s.
 */
uint64_t swarm_rule_quiet_pause(uint32_t times);

/* What is known of a link whose path became quiet. */
struct swarm_quiet_view {
    /* It has a stream that any link may carry (no cells, not direct_only), or its peer is protected. */
    bool needed;
    bool other; /* another link of the peer is heard */
    /* Dials through SWARM_RESCUE_RELAYS relays are under way; where no relay is known, one dial. */
    bool dialling;
    bool relayed; /* an address through a relay is known */
    bool lasts;   /* it has been quiet for SWARM_RESCUE_DIRECT, or SWARM_RESCUE_KEPT if protected */
    bool too_soon; /* after the last dials: swarm_rule_rescue_pause(), swarm_rule_relapse_pause() */
};
#define SWARM_RESCUE_RELAYS 3               /* dialled through at once: a peer may have lost one */
#define SWARM_RESCUE_DIRECT NS_PER_S        /* a process that was not scheduled is quiet, too */
#define SWARM_RESCUE_KEPT (300 * NS_PER_MS) /* ... of which there are few: relays with our places */
/* After so many dials beside a quiet link, until the next: 500 ms, longer from the seventh on, at last 8 s. */
uint64_t swarm_rule_rescue_pause(uint32_t dials);

/*
 * Between two times that a peer is dialled as a link of it fell quiet, the |times|th in a row behind us: who falls
 * quiet and is heard again and again chooses where we dial, as it names its addresses.  None three times, then 4 s to
 * 64 s.  In a row: within SWARM_RELAPSE_FORGET of the one before.
 */
#define SWARM_RELAPSE_FORGET (120 * NS_PER_S)
uint64_t swarm_rule_relapse_pause(uint32_t times);

/* What is known of the other link of a peer whose link is quiet. */
enum swarm_witness {
    SWARM_WITNESS_NONE,  /* it is quiet as well, or asked in vain */
    SWARM_WITNESS_ASKED, /* the answer to a liveness probe is awaited */
    SWARM_WITNESS_HEARD,
};
#define SWARM_WITNESS_WAIT (600 * NS_PER_MS)
/*
 * A link through a relay is sent a liveness probe before it is believed: it counts as heard if it came up, or brought
 * anything, since the other became quiet (|asked|: when the probe left).
 */
enum swarm_witness swarm_rule_witness(bool heard, tstamp asked, tstamp now);

/* Whether its peer is dialled beside it: directly, and through a relay if one is known, then at once. */
bool swarm_rule_rescue(const struct swarm_quiet_view *v);

/* What is known of the path of one link. */
struct swarm_path {
    bool quiet;       /* LINK_QUIET, and no LINK_HEARD since */
    bool fresh;       /* and swarm_rescue_links() looks at it */
    uint32_t quiets;  /* times in a row, each within SWARM_QUIET_FORGET of the one before */
    tstamp since;     /* it is quiet */
    tstamp trust_at;  /* after it was heard again: not used before, where another link is */
    tstamp asked;     /* by a liveness probe, since another link of the peer is quiet */
    bool guessed;     /* quiet, as it did not answer then, and its transport says nothing */
    uint32_t rescues; /* dials beside it since it is quiet ... */
    tstamp rescue_at; /* ... and not before */
    uint32_t redials; /* of a relayed one: dials that were to put a direct one beside it */
    tstamp redial_at; /* and not before */
};

/* LINK_QUIET; false: it was so already.  LINK_HEARD. */
bool swarm_rule_path_quiet(struct swarm_path *p, tstamp now);
void swarm_rule_path_heard(struct swarm_path *p, tstamp now);
/* Whether another link is to be used, because of its path. */
bool swarm_rule_path_unsure(const struct swarm_path *p, tstamp now);

/* Between two dials that are to put a direct link beside a relayed one in use: 4 s at first, 5 min at last. */
uint64_t swarm_rule_redial_pause(uint32_t dials);

#endif
