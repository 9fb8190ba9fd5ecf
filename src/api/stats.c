/*
 * stats.c - counters and gauges of a node: one table, one snapshot for each walk over it.
 *
 * Names are part of the interface.  Several names that differ in a label share a metric, as OpenMetrics has it.
 */
#include "api/internal.h"
#include "api/stats_reach.h"
#include "node/meters.h"
#include "node/tcp.h"
#include "swarm/rekey.h"

struct all_stats {
    struct quic_stats quic; /* of handshakes: TCP's, too */
    struct tcp_stats tcp;
    struct swarm_stats swarm;
    struct kad_stats kad;
    struct onion_stats onion;
    struct io_stats io;
    struct node_relay_stats relay;
    struct node_reach_stats reach;
    struct store_stats store;
    uint64_t refused[RES_SCOPES];         /* links */
    uint64_t streams_refused[RES_SCOPES]; /* both ways */
    uint64_t dials_refused[RES_SCOPES];
    uint64_t half_open_refused[RES_SCOPES];
    uint64_t bytes_refused[RES_SCOPES]; /* both ways */
    uint64_t bytes_queued, bytes_received;
    uint64_t dials_now;
    const struct swarm_meters *meters;
    struct swarm_traffic traffic[NODE_PROTOCOLS][SWARM_PROTECTIONS];
    uint64_t replayed, bad; /* introductions */
    uint32_t waiting_peers, waiting_networks, links_old_key;
    uint64_t used[RES_OUTBOUND + 1][RES_WHATS], link_limit[RES_SCOPES], node_limit[RES_WHATS];
    uint64_t circuits, mem_max;
    uint64_t mem_used, mem_peak, mem_refused, relays, announced_at, boot_retry_ms;
};

#define CLOSED(XX, reason, ix)                                                                     \
    XX("links_closed_" reason, meters->closed[ix], COUNTER, "", "links_closed",                    \
       "reason=\"" reason "\"", "Links that were up and ended")
#define TRAFFIC_ROW(XX, proto, p, prot, q)                                                         \
    XX("stream_bytes_in_" proto "_" prot, traffic[p][q].bytes[SWARM_IN], COUNTER, "bytes",         \
       "stream_bytes", "direction=\"in\",protocol=\"" proto "\",protection=\"" prot "\"",          \
       "Bytes that protocols received on streams")                                                 \
    XX("stream_bytes_out_" proto "_" prot, traffic[p][q].bytes[SWARM_OUT], COUNTER, "bytes",       \
       "stream_bytes", "direction=\"out\",protocol=\"" proto "\",protection=\"" prot "\"",         \
       "Bytes that protocols sent on streams")                                                     \
    XX("messages_sent_" proto "_" prot, traffic[p][q].messages[SWARM_OUT], COUNTER, "",            \
       "messages_sent", "protocol=\"" proto "\",protection=\"" prot "\"",                          \
       "Messages that protocols sent: cells of circuits, else what was written at once")           \
    XX("messages_received_" proto "_" prot, traffic[p][q].messages[SWARM_IN], COUNTER, "",         \
       "messages_received", "protocol=\"" proto "\",protection=\"" prot "\"",                      \
       "Messages that protocols received: cells of circuits, else what came at once")
#define TRAFFIC(XX, proto, p)                                                                      \
    TRAFFIC_ROW(XX, proto, p, "classical", SWARM_CLASSICAL)                                        \
    TRAFFIC_ROW(XX, proto, p, "post_quantum", SWARM_POST_QUANTUM)                                  \
    TRAFFIC_ROW(XX, proto, p, "circuit", SWARM_CIRCUIT)                                            \
    TRAFFIC_ROW(XX, proto, p, "hidden", SWARM_HIDDEN)

#define USED_HELP                                                                                  \
    "What is used of a resource: things, or bytes of memory, queued_bytes and record_bytes"
#define LIMIT_HELP "How much of a resource there may be in that scope; 0: no limit of its own"
#define ACCOUNT(XX, scope, resource, used, limit)                                                  \
    XX("used_" scope "_" resource, used, GAUGE, "", "resource_used",                               \
       "scope=\"" scope "\",resource=\"" resource "\"", USED_HELP)                                 \
    XX("limit_" scope "_" resource, limit, GAUGE, "", "resource_limit",                            \
       "scope=\"" scope "\",resource=\"" resource "\"", LIMIT_HELP)

/* name, member, kind, unit, metric, labels, help */
#define STATS(XX)                                                                                  \
    XX("links", swarm.links, GAUGE, "", "links", "", "Links open now")                             \
    XX("links_refused_node", refused[RES_NODE], COUNTER, "", "links_refused", "scope=\"node\"",    \
       "Links refused: links_max of them are open")                                                \
    XX("links_refused_inbound", refused[RES_INBOUND], COUNTER, "", "links_refused",                \
       "scope=\"inbound\"", "Links refused: the places for those who dial are taken")              \
    XX("links_refused_outbound", refused[RES_OUTBOUND], COUNTER, "", "links_refused",              \
       "scope=\"outbound\"", "Dials refused: the places for them are taken")                       \
    XX("links_refused_network", refused[RES_NETWORK], COUNTER, "", "links_refused",                \
       "scope=\"network\"", "Links refused: their network has its share")                          \
    XX("links_refused_wide_network", refused[RES_WIDE], COUNTER, "", "links_refused",              \
       "scope=\"wide_network\"", "Links refused: their wider network has its share")               \
    XX("links_refused_peer", refused[RES_PEER], COUNTER, "", "links_refused", "scope=\"peer\"",    \
       "Links refused: the peer has as many as a peer may")                                        \
    XX("links_opened_in", meters->opened[SWARM_IN], COUNTER, "", "links_opened",                   \
       "direction=\"in\"", "Links that came up")                                                   \
    XX("links_opened_out", meters->opened[SWARM_OUT], COUNTER, "", "links_opened",                 \
       "direction=\"out\"", "Links that came up")                                                  \
    CLOSED(XX, "timeout", OUTCOME_TIMEOUT)                                                         \
    CLOSED(XX, "unreachable", OUTCOME_UNREACHABLE)                                                 \
    CLOSED(XX, "authentication", OUTCOME_AUTHENTICATION)                                           \
    CLOSED(XX, "policy", OUTCOME_POLICY)                                                           \
    CLOSED(XX, "limit", OUTCOME_LIMIT)                                                             \
    CLOSED(XX, "canceled", OUTCOME_CANCELED)                                                       \
    CLOSED(XX, "closed", OUTCOME_CLOSED)                                                           \
    CLOSED(XX, "failed", OUTCOME_FAILED)                                                           \
    XX("peers_known", swarm.peers, GAUGE, "", "peers_known", "",                                   \
       "Peers whose addresses or keys are known")                                                  \
    XX("streams", swarm.streams, GAUGE, "", "streams", "", "Streams open now")                     \
    XX("opens_waiting", swarm.opens, GAUGE, "", "opens_waiting", "", "Streams waiting for a link") \
    XX("dials", swarm.dials, COUNTER, "", "dials", "", "Dials begun")                              \
    XX("dials_failed", swarm.dials_failed, COUNTER, "", "dials_failed", "", "Dials that failed")   \
    XX("dials_under_way", dials_now, GAUGE, "", "dials_under_way", "", "Dials under way")          \
    XX("dials_refused_node", dials_refused[RES_NODE], COUNTER, "", "dials_refused",                \
       "scope=\"node\"", "Dials not begun: as many are under way as may be")                       \
    XX("dials_refused_outbound", dials_refused[RES_OUTBOUND], COUNTER, "", "dials_refused",        \
       "scope=\"outbound\"", "Dials not begun: those that others cause have their share")          \
    XX("dials_refused_protocol", dials_refused[RES_PROTOCOL], COUNTER, "", "dials_refused",        \
       "scope=\"protocol\"", "Dials not begun: those for one part of the node have their share")   \
    XX("dials_refused_network", dials_refused[RES_NETWORK], COUNTER, "", "dials_refused",          \
       "scope=\"network\"", "Dials not begun: those to one network have their share")              \
    XX("dials_refused_wide_network", dials_refused[RES_WIDE], COUNTER, "", "dials_refused",        \
       "scope=\"wide_network\"", "Dials not begun: those to one wide network have their share")    \
    XX("dials_held_peer", swarm.dials_refused_backoff, COUNTER, "", "dials_held",                  \
       "scope=\"peer\"", "Dials that were not begun because others had failed lately")             \
    XX("dials_held_network", swarm.dials_refused_network, COUNTER, "", "dials_held",               \
       "scope=\"network\"", "Dials that were not begun because others had failed lately")          \
    XX("breakers_peer", waiting_peers, GAUGE, "", "breakers_open", "scope=\"peer\"",               \
       "Peers and networks that are not dialled for a while after failures")                       \
    XX("breakers_network", waiting_networks, GAUGE, "", "breakers_open", "scope=\"network\"",      \
       "Peers and networks that are not dialled for a while after failures")                       \
    XX("streams_in", swarm.streams_in, COUNTER, "", "streams_opened", "direction=\"in\"",          \
       "Streams that peers opened")                                                                \
    XX("streams_out", swarm.streams_out, COUNTER, "", "streams_opened", "direction=\"out\"",       \
       "Streams that this node opened")                                                            \
    XX("streams_refused", swarm.streams_refused, COUNTER, "", "streams_refused", "",               \
       "Streams refused, by a limit or because of their link")                                     \
    XX("streams_refused_node", streams_refused[RES_NODE], COUNTER, "", "streams_refused_by_scope", \
       "scope=\"node\"", "Streams refused: the node has as many as it may")                        \
    XX("streams_refused_protocol", streams_refused[RES_PROTOCOL], COUNTER, "",                     \
       "streams_refused_by_scope", "scope=\"protocol\"",                                           \
       "Streams refused: the peer has as many of that protocol as it may")                         \
    XX("negotiate_failed", swarm.negotiate_failed, COUNTER, "", "negotiate_failed", "",            \
       "Streams that ended without a common protocol")                                             \
    XX("negotiate_timeout", swarm.negotiate_timeout, COUNTER, "", "negotiate_timeout", "",         \
       "Streams whose negotiation took too long")                                                  \
    XX("links_probed", swarm.links_probed, COUNTER, "", "links_probed", "",                        \
       "Liveness probes of links")                                                                 \
    XX("links_replaced", swarm.links_replaced, COUNTER, "", "links_replaced", "",                  \
       "Links replaced by a newer one to the same peer")                                           \
    XX("circuit_relay_places", relay.hop.reservations, GAUGE, "", "circuit_relay_places", "",      \
       "Peers that may be reached through this node")                                              \
    XX("circuit_relay_circuits", relay.hop.circuits, GAUGE, "", "circuit_relay_circuits", "",      \
       "Circuits between peers that pass through this node now")                                   \
    XX("circuit_relay_connected", relay.hop.connected, COUNTER, "", "circuit_relay_connected", "", \
       "Circuits between peers that this node joined")                                             \
    XX("circuit_relay_limited", relay.hop.ended_by_limit, COUNTER, "", "circuit_relay_limited",    \
       "", "Circuits that this node ended at a limit of bytes or time")                            \
    XX("circuit_relay_bytes", relay.hop.bytes, COUNTER, "", "circuit_relay_bytes", "",             \
       "Bytes passed on between peers")                                                            \
    XX("circuit_relay_refused_permission", relay.hop.refused[HOP_REFUSED_PERMISSION], COUNTER, "", \
       "circuit_relay_refused", "reason=\"permission\"",                                           \
       "Requests to this node as a circuit relay that were refused")                               \
    XX("circuit_relay_refused_limit", relay.hop.refused[HOP_REFUSED_LIMIT], COUNTER, "",           \
       "circuit_relay_refused", "reason=\"limit\"",                                                \
       "Requests to this node as a circuit relay that were refused")                               \
    XX("circuit_relay_refused_absent", relay.hop.refused[HOP_REFUSED_ABSENT], COUNTER, "",         \
       "circuit_relay_refused", "reason=\"absent\"",                                               \
       "Requests to this node as a circuit relay that were refused")                               \
    XX("circuit_relay_refused_failed", relay.hop.refused[HOP_REFUSED_FAILED], COUNTER, "",         \
       "circuit_relay_refused", "reason=\"failed\"",                                               \
       "Requests to this node as a circuit relay that were refused")                               \
    XX("circuit_relay_refused_message", relay.hop.refused[HOP_REFUSED_MESSAGE], COUNTER, "",       \
       "circuit_relay_refused", "reason=\"message\"",                                              \
       "Requests to this node as a circuit relay that were refused")                               \
    XX("circuit_relay_refused_closed", relay.hop.refused[HOP_REFUSED_CLOSED], COUNTER, "",         \
       "circuit_relay_refused", "reason=\"closed\"",                                               \
       "Requests to this node as a circuit relay that were refused")                               \
    XX("relay_candidates", relay.found.candidates, GAUGE, "", "relay_candidates", "",              \
       "Circuit relays that are known")                                                            \
    XX("relay_places_chosen", relay.found.taken, COUNTER, "", "relay_places_chosen", "",           \
       "Places at circuit relays that were had by itself")                                         \
    XX("relay_places_lost", relay.found.lost, COUNTER, "", "relay_places_lost", "",                \
       "Places at circuit relays that were lost")                                                  \
    XX("relay_places_refused", relay.found.refused, COUNTER, "", "relay_places_refused", "",       \
       "Places at circuit relays that were refused, or not answered for")                          \
    XX("relay_places_held", relay.user.held, GAUGE, "", "relay_places_held", "",                   \
       "Circuit relays at which places are kept for this node")                                    \
    XX("relayed_streams", relay.links.streams, GAUGE, "", "relayed_streams", "",                   \
       "Links of this node through circuit relays, with those being made")                         \
    XX("relayed_limited", relay.user.ended_by_limit, COUNTER, "", "relayed_limited", "",           \
       "Links of this node that a circuit relay ended at its limit")                               \
    XX("links_moved", swarm.links_moved, COUNTER, "", "links_moved", "",                           \
       "Links closed because their address on this machine was gone")                              \
    XX("links_rekeyed", swarm.links_rekeyed, COUNTER, "", "links_rekeyed", "",                     \
       "Links dialled anew because this node has another ML-DSA key")                              \
    XX("links_old_key", links_old_key, GAUGE, "", "links_old_key", "",                             \
       "Links that were made with the ML-DSA key that this node had before")                       \
    XX("links_trimmed_idle", swarm.links_trimmed[SWARM_TRIM_IDLE], COUNTER, "", "links_trimmed",   \
       "reason=\"idle\"", "Links closed: nothing on them for the idle time-out")                   \
    XX("links_trimmed_redundant", swarm.links_trimmed[SWARM_TRIM_REDUNDANT], COUNTER, "",          \
       "links_trimmed", "reason=\"redundant\"",                                                    \
       "Links closed: another one with the same peer does their work")                             \
    XX("links_trimmed_high_water", swarm.links_trimmed[SWARM_TRIM_HIGH], COUNTER, "",              \
       "links_trimmed", "reason=\"high_water\"",                                                   \
       "Links closed: of the least value above links_high")                                        \
    XX("links_trimmed_newcomer", swarm.links_trimmed[SWARM_TRIM_NEWCOMER], COUNTER, "",            \
       "links_trimmed", "reason=\"newcomer\"", "Links closed: of the least value, for a new link") \
    XX("pins_refused", swarm.pins_refused, COUNTER, "", "security_events",                         \
       "event=\"key_changed\"",                                                                    \
       "Links refused because the peer's ML-DSA key was not the pinned one")                       \
    XX("pins_followed", swarm.pins_followed, COUNTER, "", "security_events",                       \
       "event=\"key_followed\"", "Pinned keys that moved to their successors")                     \
    XX("pins_conflicts", swarm.pins_conflicts, COUNTER, "", "security_events",                     \
       "event=\"key_conflict\"",                                                                   \
       "Second successors of one key: somebody else has it; the pin did not move")                 \
    XX("dgrams_in", quic.dgrams_in, COUNTER, "", "dgrams", "direction=\"in\"",                     \
       "UDP datagrams received")                                                                   \
    XX("dgrams_out", quic.dgrams_out, COUNTER, "", "dgrams", "direction=\"out\"",                  \
       "UDP datagrams sent")                                                                       \
    XX("bytes_in", quic.bytes_in, COUNTER, "bytes", "bytes", "direction=\"in\"",                   \
       "UDP payload received")                                                                     \
    XX("bytes_out", quic.bytes_out, COUNTER, "bytes", "bytes", "direction=\"out\"",                \
       "UDP payload sent")                                                                         \
    XX("dropped_empty", quic.dropped_empty, COUNTER, "", "dgrams_dropped", "reason=\"empty\"",     \
       "Datagrams dropped: empty")                                                                 \
    XX("dropped_short", quic.dropped_short, COUNTER, "", "dgrams_dropped", "reason=\"short\"",     \
       "Datagrams dropped: too short")                                                             \
    XX("dropped_version", quic.dropped_version, COUNTER, "", "dgrams_dropped",                     \
       "reason=\"version\"", "Datagrams dropped: another version of QUIC")                         \
    XX("dropped_unknown", quic.dropped_unknown, COUNTER, "", "dgrams_dropped",                     \
       "reason=\"unknown\"", "Datagrams dropped: no connection matches")                           \
    XX("dropped_full", quic.dropped_full, COUNTER, "", "dgrams_dropped", "reason=\"full\"",        \
       "Datagrams dropped: no room for another connection")                                        \
    XX("dropped_flood", quic.dropped_flood, COUNTER, "", "dgrams_dropped", "reason=\"flood\"",     \
       "Datagrams dropped: first ones of handshakes, more than are answered")                      \
    XX("dropped_work", quic.dropped_work, COUNTER, "", "dgrams_dropped", "reason=\"work\"",        \
       "Datagrams dropped: the link or its network owes too much work")                            \
    XX("dropped_moved", quic.dropped_moved, COUNTER, "", "dgrams_dropped", "reason=\"moved\"",     \
       "Datagrams dropped: for a link, but from another host than its peer's")                     \
    XX("links_put_out", quic.links_put_out, COUNTER, "", "links_put_out", "",                      \
       "Links closed because the peer made too much work for nothing")                             \
    XX("retries_sent", quic.retries_sent, COUNTER, "", "retries_sent", "",                         \
       "Retry packets sent to unproven addresses")                                                 \
    XX("resets_sent", quic.resets_sent, COUNTER, "", "resets_sent", "", "Stateless resets sent")   \
    XX("tokens_used", quic.tokens_used, COUNTER, "", "tokens_used", "", "Address tokens accepted") \
    XX("tokens_bad", quic.tokens_bad, COUNTER, "", "security_events", "event=\"bad_token\"",       \
       "Address tokens refused")                                                                   \
    XX("handshakes_in", quic.handshakes_ok_in, COUNTER, "", "handshakes", "direction=\"in\"",      \
       "Handshakes completed with peers that dialled")                                             \
    XX("handshakes_out", quic.handshakes_ok_out, COUNTER, "", "handshakes", "direction=\"out\"",   \
       "Handshakes completed with peers that were dialled")                                        \
    XX("handshakes_failed", quic.handshakes_failed, COUNTER, "", "handshakes_failed", "",          \
       "Handshakes that failed")                                                                   \
    XX("handshakes_timeout", quic.handshakes_timeout, COUNTER, "", "handshakes_timeout", "",       \
       "Handshakes that timed out")                                                                \
    XX("auth_failed", quic.auth_failed, COUNTER, "", "security_events",                            \
       "event=\"authentication_failed\"", "Handshakes that failed to authenticate the peer")       \
    XX("policy_refused", quic.policy_refused, COUNTER, "", "security_events",                      \
       "event=\"policy_refused\"", "Handshakes refused by the post-quantum policy")                \
    XX("early_refused", quic.early_refused, COUNTER, "", "security_events",                        \
       "event=\"early_data_refused\"",                                                             \
       "Links whose client offered early data, which is not taken")                                \
    XX("tickets_refused", quic.tickets_refused, COUNTER, "", "security_events",                    \
       "event=\"ticket_refused\"", "Links whose server sent a session ticket, which is not kept")  \
    XX("half_open", quic.half_open, GAUGE, "", "half_open", "", "Handshakes under way")            \
    XX("tcp_connections", tcp.conns, GAUGE, "", "tcp_connections", "",                             \
       "TCP connections, those being made and ended included")                                     \
    XX("tcp_bytes_in", tcp.upgrade.bytes_in, COUNTER, "bytes", "tcp_bytes", "direction=\"in\"",    \
       "Bytes received over TCP")                                                                  \
    XX("tcp_bytes_out", tcp.upgrade.bytes_out, COUNTER, "bytes", "tcp_bytes", "direction=\"out\"", \
       "Bytes sent over TCP")                                                                      \
    XX("tcp_accepted", tcp.accepted, COUNTER, "", "tcp_accepts", "outcome=\"ok\"",                 \
       "TCP connections that others opened, and what became of them")                              \
    XX("tcp_refused", tcp.refused, COUNTER, "", "tcp_accepts", "outcome=\"limit\"",                \
       "TCP connections that others opened, and what became of them")                              \
    XX("tcp_dials", tcp.dials, COUNTER, "", "tcp_dials", "",                                       \
       "TCP connections that were begun here")                                                     \
    XX("tcp_dials_failed", tcp.dials_failed, COUNTER, "", "tcp_dials_failed", "",                  \
       "TCP connections that were begun here and did not come about")                              \
    XX("queued_bytes", bytes_queued, GAUGE, "bytes", "queued_bytes", "",                           \
       "Bytes on streams that were written and not acknowledged")                                  \
    XX("received_bytes", bytes_received, GAUGE, "bytes", "received_bytes", "",                     \
       "Bytes on streams that came and were not consumed")                                         \
    XX("bytes_refused_node", bytes_refused[RES_NODE], COUNTER, "", "bytes_refused",                \
       "scope=\"node\"", "Writes and reads refused: the node has as many bytes waiting as it may") \
    XX("bytes_refused_network", bytes_refused[RES_NETWORK], COUNTER, "", "bytes_refused",          \
       "scope=\"network\"", "Writes and reads refused: their network has its share")               \
    XX("bytes_refused_peer", bytes_refused[RES_PEER], COUNTER, "", "bytes_refused",                \
       "scope=\"peer\"", "Writes and reads refused: their peer has its share")                     \
    XX("half_open_refused_node", half_open_refused[RES_NODE], COUNTER, "", "half_open_refused",    \
       "scope=\"node\"", "Handshakes refused: as many are under way as may be")                    \
    XX("half_open_refused_network", half_open_refused[RES_NETWORK], COUNTER, "",                   \
       "half_open_refused", "scope=\"network\"",                                                   \
       "Handshakes refused: their network has its share")                                          \
    XX("half_open_refused_wide_network", half_open_refused[RES_WIDE], COUNTER, "",                 \
       "half_open_refused", "scope=\"wide_network\"",                                              \
       "Handshakes refused: their wider network has its share")                                    \
    XX("half_open_refused_host", half_open_refused[RES_PEER], COUNTER, "", "half_open_refused",    \
       "scope=\"host\"", "Handshakes refused: their host has as many as a host may")               \
    XX("kad_table", kad.table, GAUGE, "", "kad_table", "", "Contacts in the routing table")        \
    XX("kad_records", kad.records, GAUGE, "", "kad_records", "", "Records stored for others")      \
    XX("kad_providers", kad.providers, GAUGE, "", "kad_providers", "",                             \
       "Provider records stored for others")                                                       \
    XX("kad_requests", kad.requests, GAUGE, "", "kad_requests", "", "Lookups under way")           \
    XX("kad_rpcs_out", kad.rpcs_out, COUNTER, "", "kad_rpcs", "direction=\"out\"",                 \
       "DHT requests sent")                                                                        \
    XX("kad_rpcs_in", kad.rpcs_in, COUNTER, "", "kad_rpcs", "direction=\"in\"",                    \
       "DHT requests served")                                                                      \
    XX("kad_timeouts", kad.timeouts, COUNTER, "", "kad_timeouts", "",                              \
       "DHT requests without an answer in time")                                                   \
    XX("kad_refused_records", kad.refused_records, COUNTER, "", "security_events",                 \
       "event=\"invalid_record\"", "Records refused by their validator")                           \
    XX("kad_bad_messages", kad.bad_messages, COUNTER, "", "security_events",                       \
       "event=\"malformed_dht_message\"", "Malformed DHT messages")                                \
    XX("kad_record_bytes", kad.record_bytes, GAUGE, "bytes", "kad_record_bytes", "",               \
       "Size of the records stored for others")                                                    \
    XX("kad_evicted", kad.evicted, COUNTER, "", "kad_evicted", "",                                 \
       "Records evicted for closer ones")                                                          \
    XX("kad_published", kad.published, GAUGE, "", "kad_published", "",                             \
       "Records and provider records republished by this node")                                    \
    XX("store_restored", kad.restored, COUNTER, "", "store_restored", "",                          \
       "Records restored from disk at start")                                                      \
    XX("store_dropped", kad.restore_refused, COUNTER, "", "store_dropped", "",                     \
       "Records on disk that were not restored")                                                   \
    XX("store_commits", store.commits, COUNTER, "", "store_commits", "", "Commits to disk")        \
    XX("store_puts", store.puts, COUNTER, "", "store_puts", "", "Records written to disk")         \
    XX("store_dels", store.dels, COUNTER, "", "store_dels", "", "Records deleted from disk")       \
    XX("store_failures", store.failures, COUNTER, "", "store_failures", "", "Commits that failed") \
    XX("store_damaged_values", store.bad_values, COUNTER, "", "store_damaged_values", "",          \
       "Damaged records found on disk")                                                            \
    XX("store_salvaged", store.salvaged, COUNTER, "", "store_salvaged", "",                        \
       "Records saved from a damaged store")                                                       \
    XX("store_set_aside", store.set_aside, COUNTER, "", "store_set_aside", "",                     \
       "Damaged stores set aside")                                                                 \
    XX("store_room", store.room, GAUGE, "", "store_room", "",                                      \
       "1: the store accepts records; 0: it is full, failed or absent")                            \
    XX("store_bytes", store.size, GAUGE, "bytes", "store_bytes", "", "Size of the store on disk")  \
    XX("relays", relays, GAUGE, "", "relays", "", "Relays whose descriptors are known")            \
    XX("descriptor_stored", announced_at, GAUGE, "", "descriptor_stored", "",                      \
       "Nodes that took this relay's descriptor when it was announced last")                       \
    XX("circuits_client", onion.circuits_client, GAUGE, "", "circuits", "role=\"client\"",         \
       "Circuits of this node")                                                                    \
    XX("circuits_relay", onion.circuits_relay, GAUGE, "", "circuits", "role=\"relay\"",            \
       "Circuits relayed for others")                                                              \
    XX("circuits_end", onion.circuits_end, GAUGE, "", "circuits", "role=\"end\"",                  \
       "Circuits that end at this node")                                                           \
    XX("creates_answered", onion.created, COUNTER, "", "creates_answered", "",                     \
       "Circuit handshakes answered")                                                              \
    XX("creates_refused_rate", onion.refused_rate, COUNTER, "", "creates_refused",                 \
       "reason=\"rate\"", "Circuit handshakes refused: too many per second")                       \
    XX("creates_refused_limit", onion.refused_limit, COUNTER, "", "creates_refused",               \
       "reason=\"limit\"", "Circuit handshakes refused: too many circuits")                        \
    XX("creates_bad", onion.bad_handshake, COUNTER, "", "security_events",                         \
       "event=\"bad_circuit_handshake\"",                                                          \
       "Circuit handshakes that were malformed or not meant for this node")                        \
    XX("cells_relayed", onion.cells_relayed, COUNTER, "", "cells_relayed", "",                     \
       "Cells relayed for others")                                                                 \
    XX("cells_originated", onion.cells_originated, COUNTER, "", "cells_originated", "",            \
       "Cells of this node's own circuits")                                                        \
    XX("cells_recognised", onion.cells_recognised, COUNTER, "", "cells_recognised", "",            \
       "Cells addressed to this node")                                                             \
    XX("circuits_destroyed_bad_cell", onion.destroyed_bad_cell, COUNTER, "", "security_events",    \
       "event=\"bad_cell\"", "Circuits destroyed because of a cell that did not decrypt")          \
    XX("onion_wrong_state", onion.wrong_state, COUNTER, "", "security_events",                     \
       "event=\"unexpected_circuit_message\"",                                                     \
       "Circuit messages that were not allowed in their state")                                    \
    XX("introductions_replayed", replayed, COUNTER, "", "security_events",                         \
       "event=\"replayed_introduction\"", "Introductions to hidden services here, seen before")    \
    XX("introductions_bad", bad, COUNTER, "", "security_events", "event=\"bad_introduction\"",     \
       "Introductions to hidden services here, not authentic")                                     \
    XX("udp_send_again", io.send_again, COUNTER, "", "udp_send_again", "",                         \
       "Sends postponed because the socket was full")                                              \
    XX("udp_send_errors", io.send_errors, COUNTER, "", "udp_send_errors", "", "Sends that failed") \
    XX("udp_refused", io.refused, COUNTER, "", "udp_refused", "",                                  \
       "Destinations that the network reported unreachable")                                       \
    XX("udp_gso", io.gso, GAUGE, "", "udp_gso", "", "1: datagrams are sent in batches (UDP GSO)")  \
    XX("udp_gro", io.gro, GAUGE, "", "udp_gro", "",                                                \
       "1: datagrams are received in batches (UDP GRO)")                                           \
    XX("bootstrap_retry_ms", boot_retry_ms, GAUGE, "milliseconds", "bootstrap_retry_ms", "",       \
       "Time until bootstrap is tried again; 0: not waiting")                                      \
    XX("loop_turns", io.turns, COUNTER, "", "loop_turns", "", "Turns of the event loop")           \
    XX("memory_bytes", mem_used, GAUGE, "bytes", "memory_bytes", "", "Memory allocated now")       \
    XX("memory_peak_bytes", mem_peak, GAUGE, "bytes", "memory_peak_bytes", "",                     \
       "Most memory ever allocated")                                                               \
    XX("memory_refused", mem_refused, COUNTER, "", "memory_refused", "",                           \
       "Allocations refused by the memory limit")                                                  \
    XX("limit_network_links", link_limit[RES_NETWORK], GAUGE, "", "resource_limit",                \
       "scope=\"network\",resource=\"links\"", LIMIT_HELP)                                         \
    XX("limit_wide_network_links", link_limit[RES_WIDE], GAUGE, "", "resource_limit",              \
       "scope=\"wide_network\",resource=\"links\"", LIMIT_HELP)                                    \
    XX("limit_peer_links", link_limit[RES_PEER], GAUGE, "", "resource_limit",                      \
       "scope=\"peer\",resource=\"links\"", LIMIT_HELP)                                            \
    ACCOUNT(XX, "inbound", "links", used[RES_INBOUND][RES_LINKS], link_limit[RES_INBOUND])         \
    ACCOUNT(XX, "outbound", "links", used[RES_OUTBOUND][RES_LINKS], link_limit[RES_OUTBOUND])      \
    ACCOUNT(XX, "node", "links", used[RES_NODE][RES_LINKS], link_limit[RES_NODE])                  \
    ACCOUNT(XX, "node", "streams_in", used[RES_NODE][RES_STREAMS_IN], node_limit[RES_STREAMS_IN])  \
    ACCOUNT(XX, "node", "streams_out", used[RES_NODE][RES_STREAMS_OUT],                            \
            node_limit[RES_STREAMS_OUT])                                                           \
    ACCOUNT(XX, "node", "queued_bytes", used[RES_NODE][RES_BYTES], node_limit[RES_BYTES])          \
    ACCOUNT(XX, "node", "received_bytes", used[RES_NODE][RES_RECEIVED], node_limit[RES_RECEIVED])  \
    ACCOUNT(XX, "node", "dials", used[RES_NODE][RES_DIALS], node_limit[RES_DIALS])                 \
    ACCOUNT(XX, "node", "memory", mem_used, mem_max)                                               \
    ACCOUNT(XX, "node", "handshakes", quic.half_open, quic.half_open_max)                          \
    ACCOUNT(XX, "node", "circuits", circuits, onion.circuits_max)                                  \
    ACCOUNT(XX, "node", "records", kad.records, kad.records_max)                                   \
    ACCOUNT(XX, "node", "record_bytes", kad.record_bytes, kad.record_bytes_max)                    \
    ACCOUNT(XX, "node", "providers", kad.providers, kad.providers_max)                             \
    TRAFFIC(XX, "ping", NODE_PROTOCOL_PING)                                                        \
    TRAFFIC(XX, "identify", NODE_PROTOCOL_IDENTIFY)                                                \
    TRAFFIC(XX, "dht", NODE_PROTOCOL_DHT)                                                          \
    TRAFFIC(XX, "cells", NODE_PROTOCOL_CELLS)                                                      \
    TRAFFIC(XX, "gateway", NODE_PROTOCOL_GATEWAY)                                                  \
    TRAFFIC(XX, "padding", NODE_PROTOCOL_PADDING)                                                  \
    TRAFFIC(XX, "meeting", NODE_PROTOCOL_MEETING)                                                  \
    TRAFFIC(XX, "program", NODE_PROTOCOL_PROGRAM)

static const struct {
    qudag_stat_kind kind;
    const char *name, *unit, *metric, *labels, *help;
} rows[] = {
#define XX(name, member, kind, unit, metric, labels, help)                                         \
    {QUDAG_STAT_##kind, name, unit, metric, labels, help},
    STATS(XX) STATS_REACH(XX)
#undef XX
};

_Static_assert(ARRAY_LEN(rows) <= API_STATS_MAX, "a snapshot holds all");

API_NO_TAIL(qudag_stat, help);

/* What links and streams use, and may use, by scope. */
static void take_accounts(const struct resources *r, struct all_stats *s)
{
    for (unsigned i = 0; i < RES_SCOPES; i++) {
        enum res_scope_kind scope = (enum res_scope_kind)i;
        s->refused[i] = resources_refused(r, scope, RES_LINKS);
        s->bytes_refused[i] =
            resources_refused(r, scope, RES_BYTES) + resources_refused(r, scope, RES_RECEIVED);
        s->half_open_refused[i] = resources_refused(r, scope, RES_HALF_OPEN);
        s->dials_refused[i] = resources_refused(r, scope, RES_DIALS);
        s->streams_refused[i] = resources_refused(r, scope, RES_STREAMS_IN) +
                                resources_refused(r, scope, RES_STREAMS_OUT);
        s->link_limit[i] = resources_limit(r, scope, RES_LINKS);
        for (unsigned w = 0; i <= RES_OUTBOUND && w < RES_WHATS; w++) {
            s->used[i][w] = resources_used(r, scope, (enum res_what)w);
        }
    }
    for (unsigned w = 0; w < RES_WHATS; w++) {
        s->node_limit[w] = resources_limit(r, RES_NODE, (enum res_what)w);
    }
    s->bytes_queued = s->used[RES_NODE][RES_BYTES];
    s->bytes_received = s->used[RES_NODE][RES_RECEIVED];
    s->dials_now = s->used[RES_NODE][RES_DIALS];
}

/* Handshakes are counted for all links. */
static void take_links(const struct qudag_node *n, struct all_stats *s)
{
    const struct upgrade_stats *u = &s->tcp.upgrade;

    quic_stats_get(node_quic(n->node), &s->quic);
    s->tcp = (struct tcp_stats){0};
    if (node_tcp(n->node) != NULL) {
        tcp_stats_get(node_tcp(n->node), &s->tcp);
    }
    s->quic.handshakes_ok_in += u->handshakes_ok_in;
    s->quic.handshakes_ok_out += u->handshakes_ok_out;
    s->quic.handshakes_failed += u->handshakes_failed;
    s->quic.handshakes_timeout += u->handshakes_timeout;
    s->quic.auth_failed += u->auth_failed;
    s->quic.policy_refused += u->policy_refused;
    s->quic.half_open += u->half_open;
}

static void take_snapshot(const struct qudag_node *n)
{
    struct all_stats s;

    take_links(n, &s);
    swarm_stats_get(node_swarm(n->node), &s.swarm);
    s.links_old_key = swarm_links_old_key(node_swarm(n->node));
    swarm_waiting(node_swarm(n->node), &s.waiting_peers, &s.waiting_networks);
    kad_stats_get(node_kad(n->node), &s.kad);
    onion_stats_get(node_onion(n->node), &s.onion);
    io_stats_get(n->io, &s.io);
    node_relay_stats_get(n->node, &s.relay);
    node_reach_stats_get(n->node, &s.reach);
    s.meters = swarm_meters(node_swarm(n->node));
    for (unsigned i = 0; i < NODE_PROTOCOLS; i++) {
        node_traffic(n->node, (enum node_protocol)i, s.traffic[i]);
    }
    node_introductions_refused(n->node, &s.replayed, &s.bad);
    take_accounts(swarm_resources(node_swarm(n->node)), &s);
    s.circuits = (uint64_t)s.onion.circuits_client + s.onion.circuits_relay + s.onion.circuits_end;
    s.store = (struct store_stats){.room = false};
    if (n->store != NULL) {
        store_stats_get(n->store, &s.store);
    }
    s.mem_used = n->mem.used;
    s.mem_max = n->mem.max;
    s.mem_peak = n->mem.peak;
    s.mem_refused = n->mem.refused;
    struct node_status status;
    node_status_get(n->node, &status);
    s.relays = status.relays;
    s.announced_at = status.announced_at;
    s.boot_retry_ms = node_boot_retry_ms(n->node, io_now());
    const uint64_t values[] = {
#define XX(name, member, kind, unit, metric, labels, help) s.member,
        STATS(XX) STATS_REACH(XX)
#undef XX
    };
    memcpy(n->stats, values, sizeof(values));
}

bool qudag_node_stat_next(const qudag_node *n, size_t *it, qudag_stat *out)
{
    if (n == NULL || it == NULL || out == NULL || *it >= ARRAY_LEN(rows)) {
        return false;
    }
    if (*it == 0) {
        take_snapshot(n);
    }
    const qudag_stat full = {.kind = rows[*it].kind,
                             .value = n->stats[*it],
                             .name = rows[*it].name,
                             .metric = rows[*it].metric,
                             .labels = rows[*it].labels,
                             .unit = rows[*it].unit,
                             .help = rows[*it].help};
    if (!api_sized_out(out, &full, sizeof(full))) {
        return false;
    }
    (*it)++;
    return true;
}
