/*
 * meeting.h - meetings with peers that relays connect us with (arrow_meet.c).  Included by node.h.
 */
#ifndef QUDAG_SRC_NODE_MEETING_H
#define QUDAG_SRC_NODE_MEETING_H

#include "core/meet/meet.h"

#define NODE_MEETING_ASKED 4 /* that wait for a stream of the program's */
#define NODE_MEETING_ASKED_NS (3 * NS_PER_S)
#define NODE_MEETING_LOOK_NS (100 * NS_PER_MS) /* between looks while some wait */
#define NODE_MEETING_AGAIN_NS                                                                      \
    (10 * NS_PER_S)                    /* between looks whether somebody is to be met again */
#define NODE_MEETING_QUIET_NS NS_PER_S /* a direct link that is quiet for so long counts no more */
#define NODE_MEETING_SOCKS 32          /* sockets whose address outside is being asked for */

struct node_meeting {
    struct meet *core;
    unsigned ix;
    uint64_t cookies; /* of dials */
    struct node_meeting_dial {
        struct peer_id peer; /* len 0: a free place */
        uint64_t cookie;
    } dial[MEET_MEETINGS_MAX];
    struct node_meeting_asked {
        struct peer_id peer; /* len 0: a free place */
        tstamp until;
    } asked[NODE_MEETING_ASKED];
    struct node_meeting_sock {
        uint64_t cookie;      /* of the core's */
        struct netaddr local; /* family 0: a free place */
    } sock[NODE_MEETING_SOCKS];
    tstamp look_at; /* TSTAMP_NEVER: there is nobody to look for */
};

struct node;
/* The last meeting with |peer|; false: there was none. */
bool node_meet_look(const struct node *n, const struct peer_id *peer, struct meet_look *out);
/* Counters since the node began; NULL: it meets nobody. */
const struct meet_stats *node_meet_stats(const struct node *n);
/* A peer opened a stream of the program's over a relayed link: whoever asked may be answered now. */
void node_meet_stream_in(struct node *n);

#endif
