/*
 * arrow_identify.c - what peers say of themselves, and what we say of ourselves.
 *
 *   identify ─ addresses ─▶ swarm; does it serve the DHT? ─▶ routing table; agent ─▶ notes
 *   own addresses (signed too), protocols ─▶ identify, DHT ─▶ peers
 *   a link came up ─▶ identify: the address that we see the peer at
 */
#include "node/internal.h"

#include <string.h>

#define NOTES_MAX 1024

/* ---- notes ---- */

static struct node_peer_note *note_get(const struct node *n, const struct peer_id *id)
{
    LIST_EACH(it, &n->notes)
    {
        struct node_peer_note *note = LIST_ENTRY(it, struct node_peer_note, lru);
        if (peer_id_eq(&note->id, id)) {
            return note;
        }
    }
    return NULL;
}

/* The note of |id|, as the newest; NULL when there is no memory for a new one. */
static struct node_peer_note *note_make(struct node *n, const struct peer_id *id)
{
    struct node_peer_note *note = note_get(n, id);
    bool known = note != NULL;

    if (!known && n->n_notes >= NOTES_MAX) {
        note = LIST_ENTRY(n->notes.prev, struct node_peer_note, lru);
    }
    if (note == NULL) {
        if ((note = mem_alloc(n->mem, sizeof(*note))) == NULL) {
            return NULL;
        }
        list_init(&note->lru);
        n->n_notes++;
    }
    list_del(&note->lru);
    if (!known) {
        *note = (struct node_peer_note){.id = *id};
        list_init(&note->lru);
    }
    list_push_front(&n->notes, &note->lru);
    return note;
}

static void note_protocols(struct node_peer_note *note, const struct identify_msg *m)
{
    size_t at = 0;

    for (size_t i = 0; i < m->n_protos; i++) {
        size_t len = strlen(m->proto[i]);
        if (at + len + 2 > sizeof(note->protocols)) {
            break;
        }
        memcpy(note->protocols + at, m->proto[i], len);
        at += len;
        note->protocols[at++] = ' ';
    }
    note->protocols[at > 0 ? at - 1 : 0] = '\0';
}

static bool lists(const struct identify_msg *m, const char *proto)
{
    for (size_t i = 0; i < m->n_protos; i++) {
        if (strcmp(m->proto[i], proto) == 0) {
            return true;
        }
    }
    return false;
}

static void note_change(struct node_peer_note *note, const struct identify_msg *m,
                        const struct node_identify_change *c)
{
    if (c->agent) {
        memcpy(note->agent, m->agent_version, sizeof(note->agent));
    }
    if (c->protocols) {
        note_protocols(note, m);
        note->dials_back = lists(m, AUTONAT_REQUEST_PROTOCOL);
        note->serves_dht = c->dht == NODE_DHT_OFFER;
    }
}

void node_notes_free(struct node *n)
{
    LIST_EACH_SAFE(it, tmp, &n->notes)
    {
        struct node_peer_note *note = LIST_ENTRY(it, struct node_peer_note, lru);
        list_del(&note->lru);
        mem_free(n->mem, note);
    }
}

bool node_peer_dials_back(const struct node *n, const struct peer_id *peer)
{
    const struct node_peer_note *note = note_get(n, peer);

    return note != NULL && note->dials_back;
}

bool node_peer_agent(const struct node *n, const struct peer_id *peer, const char **agent,
                     const char **protocols)
{
    const struct node_peer_note *note = note_get(n, peer);

    if (note != NULL) {
        *agent = note->agent;
        *protocols = note->protocols;
    }
    return note != NULL;
}

/*
 * |peer| says at which address it sees us; what it sees of a relay or a circuit is not ours.  It says it of one of our
 * links, not of which: of one with that IP version.
 */
static void seen_at(struct node *n, const struct peer_id *peer, const struct multiaddr *addr)
{
    struct link_info link;

    for (size_t it = 0; swarm_peer_link_next(n->swarm, peer, &it, &link);) {
        if (node_rule_observed(&link, n->cfg.lab) && reach_may_see(&link, addr)) {
            node_reach_changed(n, reach_observed(&n->reach, &link, addr, n->now), "observed");
            return;
        }
    }
}

/* ---- what peers say ---- */

/* The addresses that may be taken, noted for dialling and in |info|. */
static void addrs_take(struct node *n, const struct identify_msg *m, struct kad_peer_info *info)
{
    for (size_t i = 0; i < m->n_addrs; i++) {
        if (node_rule_addr(&m->addr[i], n->cfg.lab)) {
            swarm_addr_add(n->swarm, &info->id, &m->addr[i]);
            if (info->n_addrs < KAD_ADDRS_MAX) {
                info->addr[info->n_addrs++] = m->addr[i];
            }
        } else if (node_rule_relayed_addr(&m->addr[i], n->cfg.lab)) {
            swarm_addr_add(n->swarm, &info->id, &m->addr[i]);
        }
    }
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    const struct identify_msg *m = a->ptr;
    struct kad_peer_info info = {.id = a->peer};

    if (a->kind != IDENTIFY_UP || a->err != QUDAG_OK || m == NULL) {
        return;
    }
    struct node_peer_note *note = note_make(n, &a->peer);
    bool served = note != NULL && note->serves_dht;
    struct node_identify_change c = node_rule_identify(m, a->n == 1, served, kad_protocol(n->kad));
    if (note != NULL) {
        note_change(note, m, &c);
        if (note->dials_back) {
            n->autonat->look_at = tstamp_min(n->autonat->look_at, tstamp_after(now, NS_PER_S));
        }
    }
    if (node_rule_other_network(m, kad_protocol(n->kad), n->cfg.lab)) {
        n->news |= NODE_NEWS_OTHERS;
    }
    addrs_take(n, m, &info);
    node_autorelay_identified(n, &a->peer, c.protocols, lists(m, CIRCUIT_HOP_PROTOCOL));
    if (m->has_observed) {
        seen_at(n, &a->peer, &m->observed);
    }
    struct acts *out = node_begin(n);
    if (c.dht == NODE_DHT_OFFER) {
        kad_add_peer(n->kad, &info, now, out);
    } else if (c.dht == NODE_DHT_DROP) {
        kad_drop_peer(n->kad, &a->peer);
    }
    node_end(n, n->ix.dht);
}

/* ---- what we say ---- */

_Static_assert(NODE_LISTEN_MAX <= PEER_RECORD_ADDRS_MAX, "all our addresses in one record");
_Static_assert(NODE_LISTEN_MAX *(MULTIADDR_MAX + 6) + 256 <= PEER_RECORD_MAX, "room for them");

/*
 * The signed peer record with the addresses of |m|; none while there are no addresses, or before the start,
 * when the last number may not be restored yet.
 */
static void record_make(struct node *n, struct identify_msg *m)
{
    struct peer_record r = {.peer = m->peer};
    struct wr w = wr_init(m->record, sizeof(m->record));

    for (size_t i = 0; i < m->n_addrs && i < PEER_RECORD_ADDRS_MAX; i++) {
        r.addr[r.n_addrs++] = m->addr[i];
    }
    if (r.n_addrs == 0 || !n->boot.started) {
        return;
    }
    r.seq = n->record_seq = node_rule_next_seq(n->record_seq, node_wall(n, n->now));
    node_saved_record_seq(n);
    qudag_err err = peer_record_sign(&w, &r, &n->cfg.identity->ed_sk);
    while (err == QUDAG_ETOOBIG && r.n_addrs > 1) { /* those through relays come last */
        r.n_addrs--;
        w = wr_init(m->record, sizeof(m->record));
        err = peer_record_sign(&w, &r, &n->cfg.identity->ed_sk);
    }
    if (err == QUDAG_OK) {
        m->record_len = (uint16_t)w.len;
    }
}

void node_identify_observed(struct node *n, const struct peer_id *peer)
{
    struct link_info link;
    size_t it = 0;

    while (swarm_peer_link_next(n->swarm, peer, &it, &link)) {
        if (node_rule_observed(&link, n->cfg.lab)) {
            (void)!identify_set_observed(
                &n->identify, peer, &link.remote); /* without memory the peer does not learn it */
        }
    }
}

/* Whether peers that were told |was| need not be told |now|; both without unused bytes that differ. */
static bool is_said(const struct identify_msg *was, const struct identify_msg *now)
{
    return was->n_addrs == now->n_addrs && was->n_protos == now->n_protos &&
           memcmp(was->addr, now->addr, sizeof(was->addr)) == 0 &&
           memcmp(was->proto, now->proto, sizeof(was->proto)) == 0 &&
           memcmp(was->agent_version, now->agent_version, sizeof(was->agent_version)) == 0;
}

void node_identify_changed(struct node *n)
{
    const struct identify_msg *self = &n->identify.self;
    struct identify_msg m = {0};
    const char *const *protos;
    size_t count = swarm_protos(n->swarm, &protos);

    key_proto_ed25519(m.key_proto, n->cfg.identity->ed_pk);
    m.key_len = KEY_PROTO_ED25519;
    m.has_peer = true;
    peer_id_from_ed25519(&m.peer, n->cfg.identity->ed_pk);
    size_t told = node_addrs_told(n);
    for (size_t i = 0; i < told && i < IDENTIFY_ADDRS_MAX; i++) {
        m.addr[m.n_addrs++] = n->reach.announced[i];
    }
    for (size_t i = 0; i < n->through.n_addrs && m.n_addrs < IDENTIFY_ADDRS_MAX; i++) {
        m.addr[m.n_addrs++] = n->through.addr[i]; /* not for the DHT, which dials no relays */
    }
    for (size_t i = 0; i < count && m.n_protos < IDENTIFY_PROTOS_MAX; i++) {
        bool dht = strcmp(protos[i], kad_protocol(n->kad)) == 0;
        bool onion = strcmp(protos[i], ONION_PROTOCOL) == 0;
        bool hop = strcmp(protos[i], CIRCUIT_HOP_PROTOCOL) == 0;
        bool back = strcmp(protos[i], AUTONAT_BACK_PROTOCOL) == 0;
        bool dials = strcmp(protos[i], AUTONAT_REQUEST_PROTOCOL) == 0;
        bool meets =
            strcmp(protos[i], MEET_PROTOCOL) == 0 || strcmp(protos[i], DCUTR_PROTOCOL) == 0;
        bool hidden = (dht && !node_serves_dht(n)) || (onion && !onion_has_keys(n->onion)) ||
                      (hop && !node_relay_serves(n)) || (back && !n->wants.probe) ||
                      (dials && !node_dials_back(n)) || (meets && !node_meets_anybody(n));
        if (!hidden && strlen(protos[i]) < IDENTIFY_TEXT_MAX) {
            memcpy(m.proto[m.n_protos++], protos[i], strlen(protos[i]) + 1);
        }
    }
    memcpy(m.protocol_version, "qudag/0.1", sizeof("qudag/0.1"));
    size_t len = strlen(n->cfg.agent);
    memcpy(m.agent_version, n->cfg.agent, len < IDENTIFY_TEXT_MAX ? len : IDENTIFY_TEXT_MAX - 1);
    bool signs = m.n_addrs > 0 && n->boot.started;
    if (self->has_peer && is_said(self, &m) && signs == (self->record_len > 0)) {
        return; /* no peer has a use for the same once more, nor the disk for another number */
    }
    record_make(n, &m);
    identify_set_self(&n->identify, &m);
    kad_set_server(n->kad, node_serves_dht(n));
    kad_set_addrs(n->kad, n->reach.announced, told);
    if (n->hop != NULL) {
        hop_set_addrs(n->hop, n->reach.announced, told);
    }
    identify_push_all(&n->identify, n->now, node_begin(n));
    node_end(n, n->ix.push);
}

static void identify_release(void *identify)
{
    identify_fini(identify);
}

qudag_err node_identify_init(struct node *n)
{
    struct node_core ask = {.name = "identify",
                            .instance = &n->identify,
                            .ops = &identify_ops,
                            .report = report,
                            .free = identify_release};
    struct node_core push = {
        .name = "push", .instance = &n->identify, .ops = &identify_push_ops, .report = report};

    identify_init(&n->identify, n->mem, &n->cfg.rng, 4096);
    qudag_err err = node_core_add(n, &ask, identify_ops.protocol, &n->ix.identify);
    return err != QUDAG_OK ? err : node_core_add(n, &push, identify_push_ops.protocol, &n->ix.push);
}
