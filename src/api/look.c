/* look.c - looking in: links, circuits, records, counters. */
#include "api/internal.h"
#include "node/anonymity.h"
#include "node/saved.h"

#include <stdio.h>
#include <string.h>

API_NO_TAIL(qudag_link_event, pad);
_Static_assert((int)QUDAG_STANDING_PROTECTED == RES_PROTECTED &&
                   (int)QUDAG_STANDING_NEAR == RES_NEAR && RES_PROTECTED == RES_CLASSES - 1,
               "one order");
_Static_assert(sizeof(((qudag_peer_tag_info *)0)->name) == SWARM_TAG_NAME_MAX + 1, "one length");
_Static_assert(QUDAG_TAG_WEIGHT_MAX == SWARM_TAG_WEIGHT_MAX, "one range");

API_NO_TAIL(qudag_link_info, pad);
API_NO_TAIL(qudag_peer_tag_info, pad);
API_NO_TAIL(qudag_circuit_info, carrier);
API_NO_TAIL(qudag_dark_info, kind);
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

/* Which relay passes the link on. */
static void relay_of(qudag_link_info *out, const struct multiaddr *remote)
{
    struct multiaddr relay;
    struct peer_id id;

    if (multiaddr_through(remote, &relay) && multiaddr_peer(&relay, &id)) {
        api_peer_out(&out->relay, &id);
        out->relayed = true;
    }
}

bool qudag_link_next(const qudag_node *n, size_t *it, qudag_link_info *out)
{
    struct swarm_look look;
    qudag_link_info full = {.size = sizeof(full)};

    if (n == NULL || it == NULL || out == NULL ||
        !swarm_link_next(node_swarm(n->node), it, &look, io_now())) {
        return false;
    }
    const struct link_info l = look.info;
    api_peer_out(&full.peer, &l.peer);
    remote_text(full.remote, sizeof(full.remote), &l.remote);
    memcpy(full.group, l.group, sizeof(full.group));
    memcpy(full.cipher, l.cipher, sizeof(full.cipher));
    memcpy(full.sig_local, l.sig_local, sizeof(full.sig_local));
    memcpy(full.sig_remote, l.sig_remote, sizeof(full.sig_remote));
    full.inbound = (l.props & LINK_INBOUND) != 0;
    full.pq_kex = (l.props & LINK_PQ_KEX) != 0;
    full.pq_auth = (l.props & LINK_PQ_AUTH) != 0;
    full.pin = (qudag_pin)look.pin;
    full.key_changes = look.key_changes;
    full.state = (qudag_link_state)look.state;
    (void)snprintf(full.transport, sizeof(full.transport), "%s", look.transport);
    (void)snprintf(full.security, sizeof(full.security), "%s",
                   l.security != NULL ? l.security : "");
    full.limited = (l.props & LINK_LIMITED) != 0;
    relay_of(&full, &l.remote);
    full.value = look.value;
    full.standing = (qudag_standing)look.standing;
    full.since = io_now() - l.since;
    full.rtt = l.rtt_ns;
    full.handshake = l.handshake_ns;
    full.bytes_in = l.bytes_in;
    full.bytes_out = l.bytes_out;
    full.streams = l.streams;
    return api_sized_out(out, &full, sizeof(full));
}

bool qudag_peer_tag_next(const qudag_node *n, const qudag_peer_id *peer, size_t *it,
                         qudag_peer_tag_info *out)
{
    qudag_peer_tag_info full = {.size = sizeof(full)};
    struct peer_id p;
    const struct swarm_tag *tag;

    if (n == NULL || it == NULL || out == NULL || !api_peer_in(&p, peer) ||
        (tag = swarm_peer_tag_next(node_swarm(n->node), &p, it)) == NULL) {
        return false;
    }
    memcpy(full.name, tag->name, sizeof(full.name));
    full.weight = tag->weight;
    full.weighs = tag->weighs;
    full.protects = tag->protects;
    return api_sized_out(out, &full, sizeof(full));
}

const char *qudag_standing_name(qudag_standing standing)
{
    return resources_class_name((enum res_class)standing);
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

    if (n == NULL || !api_peer_in(&p, peer) || (agent == NULL && agent_len > 0) ||
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
    return api_sized_out(out, &full, sizeof(full));
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
    return api_sized_out(out, &full, sizeof(full));
}

bool qudag_dht_table_next(const qudag_node *n, size_t *it, qudag_peer_id *peer)
{
    struct kad_peer_info info;

    if (n == NULL || it == NULL || peer == NULL || !kad_table_next(node_kad(n->node), it, &info)) {
        return false;
    }
    api_peer_out(peer, &info.id);
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
        api_peer_out(&full.path[i], &o.path[i]);
    }
    api_peer_out(&full.prev, &o.prev);
    api_peer_out(&full.next, &o.next);
    full.age = io_now() - o.since;
    full.build_time = o.build_ns;
    full.cells_forward = o.cells_fwd;
    full.cells_backward = o.cells_back;
    full.streams = o.streams;
    full.carrier.id = ref_out(o.carrier);
    return api_sized_out(out, &full, sizeof(full));
}

bool qudag_relay_next(const qudag_node *n, size_t *it, qudag_peer_id *peer, bool *guard)
{
    struct peer_id p, g;

    if (n == NULL || it == NULL || peer == NULL || guard == NULL ||
        !relays_next(node_relays(n->node), it, &p)) {
        return false;
    }
    api_peer_out(peer, &p);
    *guard = relays_guard(node_relays(n->node), &g) && peer_id_eq(&p, &g);
    return true;
}

bool qudag_node_diversity(const qudag_node *n, qudag_diversity *out)
{
    if (n == NULL || out == NULL) {
        return false;
    }
    struct relays_diversity d = relays_diversity(node_relays(n->node));
    qudag_diversity full = {.size = sizeof(full),
                            .relays = d.relays,
                            .networks = d.networks,
                            .relays_min = RELAYS_SAFE_MIN,
                            .networks_min = RELAYS_SAFE_NETWORKS_MIN,
                            .small = !relays_diversity_enough(&d, false, false),
                            .accepted = node_small_network_accepted(n->node)};
    return api_sized_out(out, &full, sizeof(full));
}

bool qudag_node_anonymity(const qudag_node *n, qudag_anonymity *out)
{
    static const qudag_anonymity_state states[] = {
        [NODE_ANONYMITY_YES] = QUDAG_ANONYMITY_YES,
        [NODE_ANONYMITY_LAB] = QUDAG_ANONYMITY_LAB,
        [NODE_ANONYMITY_NOT_YET] = QUDAG_ANONYMITY_NOT_YET,
        [NODE_ANONYMITY_SMALL] = QUDAG_ANONYMITY_SMALL_NETWORK,
        [NODE_ANONYMITY_SPENT] = QUDAG_ANONYMITY_GUARDS_SPENT,
        [NODE_ANONYMITY_SILENT] = QUDAG_ANONYMITY_GUARDS_SILENT,
    };
    qudag_anonymity full = {.size = sizeof(full), .lookups_min = RELAYS_VIEW_LOOKUPS};

    if (n == NULL || out == NULL) {
        return false;
    }
    full.state = states[node_anonymity_get(n->node, io_now(), &full.lookups)];
    return api_sized_out(out, &full, sizeof(full));
}

void qudag_node_accept_small_network(qudag_node *n, bool accepted)
{
    if (n != NULL) {
        node_set_small_network(n->node, accepted);
    }
}

bool qudag_onion_key_next(const qudag_node *n, size_t *it, qudag_onion_key *out)
{
    qudag_onion_key full = {.size = sizeof(full)};

    if (n == NULL || it == NULL || out == NULL) {
        return false;
    }
    const struct node_onion_keys *o = node_rotation_keys(n->node);
    while (*it < NODE_ONION_SLOTS && !o->slot[*it].has) {
        (*it)++;
    }
    if (*it >= NODE_ONION_SLOTS) {
        return false;
    }
    unsigned slot = (unsigned)(*it)++;
    full.current = slot == o->current;
    memcpy(full.id, o->slot[slot].id, sizeof(full.id));
    full.made = o->slot[slot].made;
    full.until = node_rotation_until(n->node, slot);
    return api_sized_out(out, &full, sizeof(full));
}

qudag_err qudag_onion_key_rotate(qudag_node *n, bool at_once)
{
    return n == NULL ? QUDAG_EINVAL : node_rotation_asked(n->node, at_once);
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
    full.last_used = k->use.last;
    full.callers = k->use.callers;
    full.resolutions = k->use.resolutions;
    full.network = (qudag_dark_network)k->addr.network;
    full.clients_only = k->clients.only;
    full.kind = k->kind == DARK_HIDDEN ? QUDAG_DARK_HIDDEN : QUDAG_DARK_DIRECT;
    return api_sized_out(out, &full, sizeof(full));
}
