/*
 * arrow_identify.c - what peers say of themselves, and what we say of ourselves.
 *
 *   identify ─ addresses ─▶ swarm; does it serve the DHT? ─▶ routing table; agent ─▶ notes
 *   own addresses, protocols ─▶ identify, DHT ─▶ peers
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

static void note_take(struct node *n, const struct peer_id *id, const struct identify_msg *m)
{
    struct node_peer_note *note = note_get(n, id);
    size_t at = 0;

    if (note == NULL && n->n_notes >= NOTES_MAX) {
        note = LIST_ENTRY(n->notes.prev, struct node_peer_note, lru);
    }
    if (note == NULL) {
        if ((note = mem_alloc(n->mem, sizeof(*note))) == NULL) {
            return;
        }
        list_init(&note->lru);
        n->n_notes++;
    }
    list_del(&note->lru);
    list_push_front(&n->notes, &note->lru);
    note->id = *id;
    memcpy(note->agent, m->agent_version, sizeof(note->agent));
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

void node_notes_free(struct node *n)
{
    LIST_EACH_SAFE(it, tmp, &n->notes)
    {
        struct node_peer_note *note = LIST_ENTRY(it, struct node_peer_note, lru);
        list_del(&note->lru);
        mem_free(n->mem, note);
    }
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

/* ---- what peers say ---- */

static void report(struct node *n, const struct act *a, tstamp now)
{
    const struct identify_msg *m = a->ptr;
    struct kad_peer_info info = {.id = a->peer};
    bool serves = false;

    if (a->kind != IDENTIFY_UP || a->err != QUDAG_OK || m == NULL) {
        return;
    }
    note_take(n, &a->peer, m);
    for (size_t i = 0; i < m->n_addrs; i++) {
        if (node_rule_addr(&m->addr[i], n->cfg.lab)) {
            swarm_addr_add(n->swarm, &a->peer, &m->addr[i]);
            if (info.n_addrs < KAD_ADDRS_MAX) {
                info.addr[info.n_addrs++] = m->addr[i];
            }
        }
    }
    for (size_t i = 0; i < m->n_protos; i++) {
        serves = serves || strcmp(m->proto[i], kad_protocol(n->kad)) == 0;
    }
    struct acts *out = node_begin(n);
    if (serves) {
        kad_add_peer(n->kad, &info, now, out);
    } else {
        kad_drop_peer(n->kad, &a->peer);
    }
    node_end(n, n->ix.dht);
}

/* ---- what we say ---- */

void node_identify_changed(struct node *n)
{
    struct identify_msg m = {0};
    const char *const *protos;
    size_t count = swarm_protos(n->swarm, &protos);

    key_proto_ed25519(m.key_proto, n->cfg.identity->ed_pk);
    m.key_len = KEY_PROTO_ED25519;
    m.has_peer = true;
    peer_id_from_ed25519(&m.peer, n->cfg.identity->ed_pk);
    for (size_t i = 0; i < n->n_addrs && i < IDENTIFY_ADDRS_MAX; i++) {
        m.addr[m.n_addrs++] = n->addr[i];
    }
    for (size_t i = 0; i < count && m.n_protos < IDENTIFY_PROTOS_MAX; i++) {
        bool hidden = !n->cfg.dht_server && strcmp(protos[i], kad_protocol(n->kad)) == 0;
        if (!hidden && strlen(protos[i]) < IDENTIFY_TEXT_MAX) {
            memcpy(m.proto[m.n_protos++], protos[i], strlen(protos[i]) + 1);
        }
    }
    memcpy(m.protocol_version, "qudag/0.1", sizeof("qudag/0.1"));
    size_t len = strlen(n->cfg.agent);
    memcpy(m.agent_version, n->cfg.agent, len < IDENTIFY_TEXT_MAX ? len : IDENTIFY_TEXT_MAX - 1);
    identify_set_self(&n->identify, &m);
    kad_set_addrs(n->kad, n->addr, n->n_addrs);
    identify_push_all(&n->identify, n->now, node_begin(n));
    node_end(n, n->ix.push);
}

void node_set_addrs(struct node *n, const struct multiaddr *addr, size_t count)
{
    n->n_addrs = count < NODE_LISTEN_MAX ? count : NODE_LISTEN_MAX;
    memcpy(n->addr, addr, n->n_addrs * sizeof(*addr));
    relays_set_own_ip(n->relays, node_rule_own_ip(n->addr, n->n_addrs));
    n->news |= NODE_NEWS_SELF;
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
