/* stats_reach.h - rows of stats.c: how this node and its peers are reached.  XX as there; |reach| is their member. */
#ifndef QUDAG_SRC_API_STATS_REACH_H
#define QUDAG_SRC_API_STATS_REACH_H

#include "node/reach_stats.h"

#define REACH_STATE_ROW(XX, ip, f, name, s)                                                        \
    XX("reachability_ip" ip "_" name, reach.state[f][s], GAUGE, "", "reachability",                \
       "ip=\"" ip "\",state=\"" name "\"",                                                         \
       "1 for whether others can dial this node, as far as known")
#define REACH_MEET_ROW(XX, name, round)                                                            \
    XX("meetings_direct_" name, reach.meet.direct[round], COUNTER, "", "meetings",                 \
       "outcome=\"direct\",round=\"" name "\"", "Meetings with peers, by the round they came to")  \
    XX("meetings_failed_" name, reach.meet.failed[round], COUNTER, "", "meetings",                 \
       "outcome=\"failed\",round=\"" name "\"", "Meetings with peers, by the round they came to")
#define REACH_ROW(XX, name, member, metric, labels, help)                                          \
    XX(name, reach.member, COUNTER, "", metric, labels, help)

#define STATS_REACH(XX)                                                                            \
    REACH_STATE_ROW(XX, "4", 0, "unknown", REACH_UNKNOWN)                                          \
    REACH_STATE_ROW(XX, "4", 0, "public", REACH_PUBLIC)                                            \
    REACH_STATE_ROW(XX, "4", 0, "private", REACH_PRIVATE)                                          \
    REACH_STATE_ROW(XX, "6", 1, "unknown", REACH_UNKNOWN)                                          \
    REACH_STATE_ROW(XX, "6", 1, "public", REACH_PUBLIC)                                            \
    REACH_STATE_ROW(XX, "6", 1, "private", REACH_PRIVATE)                                          \
    XX("links_direct", reach.direct, GAUGE, "", "links_by_path", "path=\"direct\"",                \
       "Links open now, directly or through a circuit relay")                                      \
    XX("links_relayed", reach.relayed, GAUGE, "", "links_by_path", "path=\"relayed\"",             \
       "Links open now, directly or through a circuit relay")                                      \
    XX("places_held", relay.user.held, GAUGE, "", "places_held", "",                               \
       "Circuit relays that keep a place for this node")                                           \
    XX("relayed_bytes_in", relay.user.bytes_in, COUNTER, "bytes", "relayed_bytes",                 \
       "direction=\"in\"", "Bytes of links through circuit relays")                                \
    XX("relayed_bytes_out", relay.user.bytes_out, COUNTER, "bytes", "relayed_bytes",               \
       "direction=\"out\"", "Bytes of links through circuit relays")                               \
    REACH_ROW(XX, "ports_mapped_pcp", portmap.mapped[PORTMAP_PCP], "ports_mapped",                 \
              "method=\"pcp\"", "Times that the router opened a port")                             \
    REACH_ROW(XX, "ports_mapped_natpmp", portmap.mapped[PORTMAP_NATPMP], "ports_mapped",           \
              "method=\"nat-pmp\"", "Times that the router opened a port")                         \
    REACH_ROW(XX, "ports_mapped_upnp", portmap.mapped[PORTMAP_UPNP], "ports_mapped",               \
              "method=\"upnp\"", "Times that the router opened a port")                            \
    REACH_ROW(XX, "ports_not_mapped", portmap.failed, "ports_not_mapped", "reason=\"failed\"",     \
              "Times that the router opened none, or no longer kept one open")                     \
    REACH_ROW(XX, "ports_lost", portmap.lost, "ports_not_mapped", "reason=\"lost\"",               \
              "Times that the router opened none, or no longer kept one open")                     \
    REACH_ROW(XX, "dialbacks_asked", asks.asked, "dialbacks_asked", "",                            \
              "Times that others were asked to dial this node")                                    \
    REACH_ROW(XX, "dialbacks_yes", asks.yes, "dialbacks_answered", "outcome=\"ok\"",               \
              "What they answered")                                                                \
    REACH_ROW(XX, "dialbacks_no", asks.no, "dialbacks_answered", "outcome=\"unreachable\"",        \
              "What they answered")                                                                \
    REACH_ROW(XX, "dialbacks_nothing", asks.nothing, "dialbacks_answered", "outcome=\"failed\"",   \
              "What they answered")                                                                \
    REACH_ROW(XX, "dialbacks_lies", asks.lies, "dialbacks_answered", "outcome=\"lied\"",           \
              "What they answered")                                                                \
    REACH_ROW(XX, "dialbacks_served_ok", dials.dialled_ok, "dialbacks_served", "outcome=\"ok\"",   \
              "Requests of others to be dialled back")                                             \
    REACH_ROW(XX, "dialbacks_served_failed", dials.dialled_failed, "dialbacks_served",             \
              "outcome=\"unreachable\"", "Requests of others to be dialled back")                  \
    REACH_ROW(XX, "dialbacks_refused", dials.refused, "dialbacks_served", "outcome=\"refused\"",   \
              "Requests of others to be dialled back")                                             \
    REACH_ROW(XX, "dialbacks_rejected", dials.rejected, "dialbacks_served", "outcome=\"limit\"",   \
              "Requests of others to be dialled back")                                             \
    REACH_ROW(XX, "stun_asked", stun.asked, "stun_asked", "",                                      \
              "Peers that were asked where they see this node")                                    \
    REACH_ROW(XX, "stun_answered", stun.answered, "stun_answers", "outcome=\"ok\"",                \
              "What came of it")                                                                   \
    REACH_ROW(XX, "stun_timed_out", stun.timed_out, "stun_answers", "outcome=\"timeout\"",         \
              "What came of it")                                                                   \
    REACH_ROW(XX, "stun_spoofed", stun.spoofed, "stun_spoofed", "",                                \
              "Answers from elsewhere than was asked, which count for nothing")                    \
    REACH_ROW(XX, "stun_served", stun.served, "stun_served", "outcome=\"ok\"",                     \
              "Peers that were told where this node sees them")                                    \
    REACH_ROW(XX, "stun_refused", stun.refused, "stun_served", "outcome=\"limit\"",                \
              "Peers that were told where this node sees them")                                    \
    REACH_MEET_ROW(XX, "plain", MEET_PLAIN)                                                        \
    REACH_MEET_ROW(XX, "fresh_port", MEET_FRESH_PORT)                                              \
    REACH_MEET_ROW(XX, "prediction", MEET_PREDICT)                                                 \
    REACH_MEET_ROW(XX, "birthday", MEET_BIRTHDAY)                                                  \
    REACH_ROW(XX, "meetings_asked", meet.allowed, "meetings_asked", "outcome=\"ok\"",              \
              "Meetings that peers asked for")                                                     \
    REACH_ROW(XX, "meetings_refused", meet.refused, "meetings_asked", "outcome=\"refused\"",       \
              "Meetings that peers asked for")                                                     \
    REACH_ROW(XX, "meeting_checks_in", meet.received, "meeting_checks", "direction=\"in\"",        \
              "Packets of meetings")                                                               \
    REACH_ROW(XX, "meeting_checks_out", meet.sent, "meeting_checks", "direction=\"out\"",          \
              "Packets of meetings")                                                               \
    REACH_ROW(XX, "meeting_checks_forged", meet.forged, "meeting_checks_forged", "",               \
              "Packets of meetings that were not by the peer")                                     \
    REACH_ROW(XX, "dcutr_begun", dcutr.begun, "dcutr", "role=\"listener\"",                        \
              "Direct paths looked for by DCUtR of libp2p")                                        \
    REACH_ROW(XX, "dcutr_asked", dcutr.asked, "dcutr", "role=\"dialler\"",                         \
              "Direct paths looked for by DCUtR of libp2p")                                        \
    REACH_ROW(XX, "dcutr_direct", dcutr.direct, "dcutr_ended", "outcome=\"direct\"",               \
              "How DCUtR of libp2p ended")                                                         \
    REACH_ROW(XX, "dcutr_failed", dcutr.failed, "dcutr_ended", "outcome=\"failed\"",               \
              "How DCUtR of libp2p ended")                                                         \
    REACH_ROW(XX, "dcutr_refused", dcutr.refused, "dcutr_ended", "outcome=\"refused\"",            \
              "How DCUtR of libp2p ended")

#endif
