/* look.c - looking in: links, circuits, records, counters. */
#include "api/internal.h"

#include <string.h>

API_NO_TAIL(qudag_link_info, peer);
API_NO_TAIL(qudag_circuit_info, next);
API_NO_TAIL(qudag_dark_info, label);
API_NO_TAIL(qudag_dht_record, expires);
API_NO_TAIL(qudag_dht_publication, due);

/* IP address and port where the address is one of those, else the multiaddr as far as it fits. */
static void remote_text(char *dst, size_t cap, const struct multiaddr *addr)
{
    struct netaddr a;

    if (multiaddr_endpoint(addr, &a)) {
        (void)netaddr_text(dst, cap, &a);
    } else if (multiaddr_text(dst, cap, addr) == 0) {
        dst[0] = '\0';
    }
}

bool qudag_link_next(const qudag_node *n, size_t *it, qudag_link_info *out)
{
    struct link_info l;
    enum swarm_pin pin;
    qudag_link_info full = {.size = sizeof(full)};

    if (n == NULL || it == NULL || out == NULL ||
        !swarm_link_next(node_swarm(n->node), it, &l, &pin)) {
        return false;
    }
    peer_out(&full.peer, &l.peer);
    remote_text(full.remote, sizeof(full.remote), &l.remote);
    memcpy(full.group, l.group, sizeof(full.group));
    memcpy(full.cipher, l.cipher, sizeof(full.cipher));
    memcpy(full.sig_local, l.sig_local, sizeof(full.sig_local));
    memcpy(full.sig_remote, l.sig_remote, sizeof(full.sig_remote));
    full.inbound = (l.props & LINK_INBOUND) != 0;
    full.pq_kex = (l.props & LINK_PQ_KEX) != 0;
    full.pq_auth = (l.props & LINK_PQ_AUTH) != 0;
    full.pin = (qudag_pin)pin;
    full.since = io_now() - l.since;
    full.rtt = l.rtt_ns;
    full.handshake = l.handshake_ns;
    full.bytes_in = l.bytes_in;
    full.bytes_out = l.bytes_out;
    full.streams = l.streams;
    return sized_out(out, &full, sizeof(full));
}

static void copy_text(char *dst, size_t cap, const char *src)
{
    size_t len = strlen(src);

    if (cap == 0) {
        return;
    }
    len = len < cap ? len : cap - 1;
    memcpy(dst, src, len);
    dst[len] = '\0';
}

qudag_err qudag_peer_agent(const qudag_node *n, const qudag_peer_id *peer, char *agent,
                           size_t agent_len, char *protocols, size_t protocols_len)
{
    struct peer_id p;
    const char *a, *protos;

    if (n == NULL || !peer_in(&p, peer) || (agent == NULL && agent_len > 0) ||
        (protocols == NULL && protocols_len > 0)) {
        return QUDAG_EINVAL;
    }
    if (!node_peer_agent(n->node, &p, &a, &protos)) {
        return QUDAG_ENOTFOUND;
    }
    copy_text(agent, agent_len, a);
    copy_text(protocols, protocols_len, protos);
    return QUDAG_OK;
}

bool qudag_dht_record_next(const qudag_node *n, size_t *it, qudag_dht_record *out)
{
    struct slice key, value;
    qudag_dht_record full = {.size = sizeof(full)};

    if (n == NULL || it == NULL || out == NULL ||
        !kad_record_next(node_kad(n->node), it, &key, &value, &full.expires)) {
        return false;
    }
    full.key = slice_out(key);
    full.value = slice_out(value);
    return sized_out(out, &full, sizeof(full));
}

bool qudag_dht_publication_next(const qudag_node *n, size_t *it, qudag_dht_publication *out)
{
    struct slice key;
    qudag_dht_publication full = {.size = sizeof(full)};

    if (n == NULL || it == NULL || out == NULL ||
        !kad_published_next(node_kad(n->node), it, io_now(), &key, &full.provides, &full.due)) {
        return false;
    }
    full.key = slice_out(key);
    return sized_out(out, &full, sizeof(full));
}

bool qudag_dht_table_next(const qudag_node *n, size_t *it, qudag_peer_id *peer)
{
    struct kad_peer_info info;

    if (n == NULL || it == NULL || peer == NULL || !kad_table_next(node_kad(n->node), it, &info)) {
        return false;
    }
    peer_out(peer, &info.id);
    return true;
}

bool qudag_circuit_next(const qudag_node *n, size_t *it, qudag_circuit_info *out)
{
    static const char *const states[] = {"building", "open", "closing", "closed"};
    struct onion_info o;
    qudag_circuit_info full = {.size = sizeof(full)};

    if (n == NULL || it == NULL || out == NULL || !onion_next(node_onion(n->node), it, &o)) {
        return false;
    }
    full.circuit.id = ref_out(o.circuit);
    full.role = (qudag_circuit_role)o.role;
    full.state = states[o.state];
    full.purpose = node_circuit_purpose(n->node, o.circuit);
    full.hops = o.hops;
    full.hops_wanted = o.hops_wanted;
    for (size_t i = 0; i < o.hops_wanted && i < QUDAG_HOPS_MAX; i++) {
        peer_out(&full.path[i], &o.path[i]);
    }
    peer_out(&full.prev, &o.prev);
    peer_out(&full.next, &o.next);
    full.age = io_now() - o.since;
    full.build_time = o.build_ns;
    full.cells_forward = o.cells_fwd;
    full.cells_backward = o.cells_back;
    full.streams = o.streams;
    return sized_out(out, &full, sizeof(full));
}

bool qudag_relay_next(const qudag_node *n, size_t *it, qudag_peer_id *peer, bool *guard)
{
    struct peer_id p, g;

    if (n == NULL || it == NULL || peer == NULL || guard == NULL ||
        !relays_next(node_relays(n->node), it, &p)) {
        return false;
    }
    peer_out(peer, &p);
    *guard = relays_guard(node_relays(n->node), &g) && peer_id_eq(&p, &g);
    return true;
}

bool qudag_dark_next(const qudag_node *n, size_t *it, qudag_dark_info *out)
{
    const struct dark_keys *k;
    walltime until = 0;
    qudag_dark_info full = {.size = sizeof(full)};

    if (n == NULL || it == NULL || out == NULL) {
        return false;
    }
    if (!dark_own_next(node_dark(n->node), it, &k, &full.published, &until)) {
        return false;
    }
    (void)dark_addr_text(full.addr, &k->addr);
    copy_text(full.label, sizeof(full.label), k->label);
    full.created = k->created;
    full.until = until;
    return sized_out(out, &full, sizeof(full));
}

struct all_stats {
    struct quic_stats quic;
    struct swarm_stats swarm;
    struct kad_stats kad;
    struct onion_stats onion;
    struct io_stats io;
    struct store_stats store;
    uint64_t mem_used, mem_peak, mem_refused, relays, boot_retry_ms;
};

/* name, member, whether it is 32 bits wide */
#define STATS(XX)                                                                                  \
    XX("links", swarm.links)                                                                       \
    XX("peers_known", swarm.peers)                                                                 \
    XX("streams", swarm.streams)                                                                   \
    XX("opens_waiting", swarm.opens)                                                               \
    XX("dials", swarm.dials)                                                                       \
    XX("dials_failed", swarm.dials_failed)                                                         \
    XX("streams_in", swarm.streams_in)                                                             \
    XX("streams_out", swarm.streams_out)                                                           \
    XX("streams_refused", swarm.streams_refused)                                                   \
    XX("negotiate_failed", swarm.negotiate_failed)                                                 \
    XX("negotiate_timeout", swarm.negotiate_timeout)                                               \
    XX("links_probed", swarm.links_probed)                                                         \
    XX("links_replaced", swarm.links_replaced)                                                     \
    XX("links_pruned", swarm.links_pruned)                                                         \
    XX("pins_refused", swarm.pins_refused)                                                         \
    XX("dgrams_in", quic.dgrams_in)                                                                \
    XX("dgrams_out", quic.dgrams_out)                                                              \
    XX("bytes_in", quic.bytes_in)                                                                  \
    XX("bytes_out", quic.bytes_out)                                                                \
    XX("dropped_empty", quic.dropped_empty)                                                        \
    XX("dropped_short", quic.dropped_short)                                                        \
    XX("dropped_version", quic.dropped_version)                                                    \
    XX("dropped_unknown", quic.dropped_unknown)                                                    \
    XX("dropped_full", quic.dropped_full)                                                          \
    XX("retries_sent", quic.retries_sent)                                                          \
    XX("resets_sent", quic.resets_sent)                                                            \
    XX("tokens_used", quic.tokens_used)                                                            \
    XX("tokens_bad", quic.tokens_bad)                                                              \
    XX("handshakes_in", quic.handshakes_ok_in)                                                     \
    XX("handshakes_out", quic.handshakes_ok_out)                                                   \
    XX("handshakes_failed", quic.handshakes_failed)                                                \
    XX("handshakes_timeout", quic.handshakes_timeout)                                              \
    XX("auth_failed", quic.auth_failed)                                                            \
    XX("policy_refused", quic.policy_refused)                                                      \
    XX("half_open", quic.half_open)                                                                \
    XX("kad_table", kad.table)                                                                     \
    XX("kad_records", kad.records)                                                                 \
    XX("kad_providers", kad.providers)                                                             \
    XX("kad_requests", kad.requests)                                                               \
    XX("kad_rpcs_out", kad.rpcs_out)                                                               \
    XX("kad_rpcs_in", kad.rpcs_in)                                                                 \
    XX("kad_timeouts", kad.timeouts)                                                               \
    XX("kad_refused_records", kad.refused_records)                                                 \
    XX("kad_bad_messages", kad.bad_messages)                                                       \
    XX("kad_record_bytes", kad.record_bytes)                                                       \
    XX("kad_evicted", kad.evicted)                                                                 \
    XX("kad_published", kad.published)                                                             \
    XX("store_taken_back", kad.restored)                                                           \
    XX("store_dropped", kad.restore_refused)                                                       \
    XX("store_commits", store.commits)                                                             \
    XX("store_puts", store.puts)                                                                   \
    XX("store_dels", store.dels)                                                                   \
    XX("store_failures", store.failures)                                                           \
    XX("store_damaged_values", store.bad_values)                                                   \
    XX("store_salvaged", store.salvaged)                                                           \
    XX("store_set_aside", store.set_aside)                                                         \
    XX("store_room", store.room)                                                                   \
    XX("store_bytes", store.size)                                                                  \
    XX("relays", relays)                                                                           \
    XX("circuits_client", onion.circuits_client)                                                   \
    XX("circuits_relay", onion.circuits_relay)                                                     \
    XX("circuits_end", onion.circuits_end)                                                         \
    XX("creates_answered", onion.created)                                                          \
    XX("creates_refused_rate", onion.refused_rate)                                                 \
    XX("creates_refused_limit", onion.refused_limit)                                               \
    XX("creates_bad", onion.bad_handshake)                                                         \
    XX("cells_relayed", onion.cells_relayed)                                                       \
    XX("cells_originated", onion.cells_originated)                                                 \
    XX("cells_recognised", onion.cells_recognised)                                                 \
    XX("circuits_destroyed_bad_cell", onion.destroyed_bad_cell)                                    \
    XX("onion_wrong_state", onion.wrong_state)                                                     \
    XX("udp_send_again", io.send_again)                                                            \
    XX("udp_send_errors", io.send_errors)                                                          \
    XX("udp_refused", io.refused)                                                                  \
    XX("udp_gso", io.gso)                                                                          \
    XX("udp_gro", io.gro)                                                                          \
    XX("bootstrap_retry_ms", boot_retry_ms)                                                        \
    XX("loop_turns", io.turns)                                                                     \
    XX("memory_bytes", mem_used)                                                                   \
    XX("memory_peak_bytes", mem_peak)                                                              \
    XX("memory_refused", mem_refused)

bool qudag_node_stat_next(const qudag_node *n, size_t *it, const char **name, uint64_t *value)
{
    static const char *const names[] = {
#define XX(text, member) text,
        STATS(XX)
#undef XX
    };
    struct all_stats s;

    if (n == NULL || it == NULL || name == NULL || value == NULL || *it >= ARRAY_LEN(names)) {
        return false;
    }
    quic_stats_get(node_quic(n->node), &s.quic);
    swarm_stats_get(node_swarm(n->node), &s.swarm);
    kad_stats_get(node_kad(n->node), &s.kad);
    onion_stats_get(node_onion(n->node), &s.onion);
    io_stats_get(n->io, &s.io);
    s.store = (struct store_stats){.room = false};
    if (n->store != NULL) {
        store_stats_get(n->store, &s.store);
    }
    s.mem_used = n->mem.used;
    s.mem_peak = n->mem.peak;
    s.mem_refused = n->mem.refused;
    s.relays = relays_count(node_relays(n->node));
    s.boot_retry_ms = node_boot_retry_ms(n->node, io_now());
    const uint64_t values[] = {
#define XX(text, member) s.member,
        STATS(XX)
#undef XX
    };
    *name = names[*it];
    *value = values[(*it)++];
    return true;
}
