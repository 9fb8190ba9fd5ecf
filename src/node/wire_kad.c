/*
 * wire_kad.c - the arrows around the DHT, identify and ping.
 *
 *   identify ─ addresses, protocols ─▶ swarm, kad        kad ─ new peer ─▶ relays (candidate)
 *   kad ─ done ─▶ the request that asked                 namespaces ─ validators ─▶ kad
 */
#include "node/internal.h"

#include "crypto/hash.h"

#include <string.h>

#define NOTES_MAX 1024
#define ANCHORS_FIRST (10 * NS_PER_S) /* after the start */
#define ANCHORS_EVERY (300 * NS_PER_S)

/* The rules themselves are in rules.c. */
static qudag_err check_pk(void *ctx, struct slice key, struct slice value, walltime now,
                          walltime *expires)
{
    (void)ctx;
    (void)now;
    (void)expires;
    return node_rule_public_key(key, value);
}

static qudag_err check_relay(void *ctx, struct slice key, struct slice value, walltime now,
                             walltime *expires)
{
    struct node *n = ctx;
    struct relay_desc *d = mem_alloc(n->mem, sizeof(*d));

    if (d == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = node_rule_descriptor(d, key, value, now, expires);
    mem_free(n->mem, d);
    return err;
}

static int select_relay(void *ctx, struct slice key, struct slice a, struct slice b)
{
    (void)ctx;
    (void)key;
    return node_rule_newer_descriptor(a, b);
}

static qudag_err check_dark(void *ctx, struct slice key, struct slice value, walltime now,
                            walltime *expires)
{
    (void)ctx;
    return node_rule_dark(key, value, now, expires);
}

static int select_dark(void *ctx, struct slice key, struct slice a, struct slice b)
{
    const struct node *n = ctx;

    return node_rule_newer_dark(key, a, b, wall_now(&n->cfg.clock, n->now));
}

/* Open namespaces take anything; the later value replaces the earlier. */
static qudag_err check_any(void *ctx, struct slice key, struct slice value, walltime now,
                           walltime *expires)
{
    (void)ctx;
    (void)key;
    (void)value;
    (void)now;
    (void)expires;
    return QUDAG_OK;
}

static void add_validators(struct node *n, struct kad_config *c)
{
    struct kad_validator *v = c->validator;

    *v++ = (struct kad_validator){.ns = "pk", .value_max = 1024, .ctx = n, .check = check_pk};
    *v++ = (struct kad_validator){.ns = "qudag/relay",
                                  .value_max = RELAY_DESC_MAX,
                                  .ctx = n,
                                  .check = check_relay,
                                  .select = select_relay,
                                  .read = KAD_READ_CONFIRMED};
    *v++ = (struct kad_validator){.ns = "qudag/dark",
                                  .value_max = DARK_RECORD_LEN,
                                  .ctx = n,
                                  .check = check_dark,
                                  .select = select_dark,
                                  .read = KAD_READ_PATHS};
    for (size_t i = 0; i < n->cfg.n_open_ns; i++) {
        *v++ = (struct kad_validator){
            .ns = n->cfg.open_ns[i], .value_max = 4096, .ctx = n, .check = check_any};
    }
    c->n_validators = (size_t)(v - c->validator);
}

qudag_err node_namespace(struct node *n, const struct kad_validator *v)
{
    return kad_namespace(n->kad, v);
}

qudag_err wire_kad_init(struct node *n, tstamp now)
{
    struct kad_config c = {.mem = n->mem,
                           .rng = n->cfg.rng,
                           .log = n->cfg.log,
                           .clock = n->cfg.clock,
                           .protocol = n->cfg.dht_protocol,
                           .server = n->cfg.dht_server,
                           .lab = n->cfg.lab,
                           .records_max = n->cfg.records_max,
                           .providers_max = n->cfg.providers_max,
                           .record_bytes_max = n->cfg.record_bytes_max,
                           .report_store = n->cfg.persist};

    n->anchors_at = n->cfg.persist ? tstamp_after(now, ANCHORS_FIRST) : TSTAMP_NEVER;
    peer_id_from_ed25519(&c.self, n->cfg.identity->ed_pk);
    if (n->cfg.pq == PQ_REQUIRE) {
        c.need = LINK_PQ_KEX | LINK_PQ_AUTH;
    }
    add_validators(n, &c);
    return kad_new(&n->kad, &c, now);
}

/* ---- what is on disk ---- */

void wire_kad_persist(struct node *n, tstamp now)
{
    struct kad_change c;

    while (n->cfg.persist && n->hooks.persist != NULL && kad_change_next(n->kad, &c, now)) {
        if (n->hooks.persist(n->hooks.ctx, c.kind, c.hash, c.bytes) != QUDAG_OK) {
            kad_read_only(n->kad, true);
        }
    }
}

void node_persist_room(struct node *n, bool room, bool anew, tstamp now)
{
    kad_read_only(n->kad, !room);
    if (anew) {
        kad_change_all(n->kad);
        wire_kad_persist(n, now);
        anchors_tick(n, now);
    }
}

/* A few of them, drawn: those that were there first are everybody's. */
static qudag_err anchors_restore(struct node *n, struct slice bytes)
{
    struct kad_peer_info *info = mem_alloc(n->mem, sizeof(*info));
    uint32_t met = 0;

    if (info == NULL) {
        return QUDAG_ENOMEM;
    }
    n->n_anchors = 0;
    for (size_t at = 0; kad_anchor_next(bytes, &at, info);) {
        if (info->n_addrs == 0 || !addr_usable(n, &info->addr[0])) {
            continue;
        }
        uint32_t ix = met < ANCHOR_DIALS ? met : (uint32_t)rng_below(&n->cfg.rng, met + 1);
        met++;
        if (ix < ANCHOR_DIALS) {
            struct netaddr a;
            (void)multiaddr_to_netaddr(&info->addr[0], &a);
            multiaddr_quic(&n->anchor[ix], &a, &info->id);
            n->n_anchors = met < ANCHOR_DIALS ? met : ANCHOR_DIALS;
        }
    }
    mem_free(n->mem, info);
    return QUDAG_OK;
}

qudag_err node_dht_restore(struct node *n, enum kad_persist_kind kind, const uint8_t *hash,
                           struct slice bytes, tstamp now)
{
    n->now = now;
    return kind == KAD_PERSIST_ANCHORS ? anchors_restore(n, bytes)
                                       : kad_restore(n->kad, kind, hash, bytes, now);
}

/* What the table holds now is persisted for the next start; an empty table is not worth it. */
void anchors_tick(struct node *n, tstamp now)
{
    static const uint8_t none[SHA256_LEN];
    struct kad_stats st;

    n->anchors_at = tstamp_after(now, ANCHORS_EVERY);
    kad_stats_get(n->kad, &st);
    uint8_t *buf = st.table > 0 ? mem_alloc(n->mem, KAD_ANCHORS_BYTES) : NULL;
    if (buf != NULL) {
        size_t len = kad_anchors(n->kad, buf, KAD_ANCHORS_BYTES);
        if (n->hooks.persist != NULL) {
            (void)n->hooks.persist(n->hooks.ctx, KAD_PERSIST_ANCHORS, none,
                                   (struct slice){buf, len});
        }
        mem_free(n->mem, buf);
    }
}

void up_ping(struct node *n, const struct act *a, tstamp now)
{
    struct op *op = op_get(n, a->cookie);
    struct node_result res = {.rtt = a->n};
    (void)now;

    if (op != NULL && op->req.kind == OP_PING) {
        op_finish(n, op, a->err, &res);
    }
}

static struct peer_note *note_get(struct node *n, const struct peer_id *id)
{
    LIST_EACH(it, &n->notes)
    {
        struct peer_note *note = LIST_ENTRY(it, struct peer_note, lru);
        if (peer_id_eq(&note->id, id)) {
            return note;
        }
    }
    return NULL;
}

static void note_keep(struct node *n, const struct peer_id *id, const struct identify_msg *m)
{
    struct peer_note *note = note_get(n, id);
    size_t at = 0;

    if (note == NULL && n->n_notes >= NOTES_MAX) {
        note = LIST_ENTRY(n->notes.prev, struct peer_note, lru);
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

void notes_free(struct node *n)
{
    LIST_EACH_SAFE(it, tmp, &n->notes)
    {
        struct peer_note *note = LIST_ENTRY(it, struct peer_note, lru);
        list_del(&note->lru);
        mem_free(n->mem, note);
    }
}

bool node_peer_agent(const struct node *n, const struct peer_id *peer, const char **agent,
                     const char **protocols)
{
    LIST_EACH(it, &n->notes)
    {
        const struct peer_note *note = LIST_ENTRY(it, struct peer_note, lru);
        if (peer_id_eq(&note->id, peer)) {
            *agent = note->agent;
            *protocols = note->protocols;
            return true;
        }
    }
    return false;
}

bool addr_usable(const struct node *n, const struct multiaddr *ma)
{
    return node_rule_addr(ma, n->cfg.lab);
}

void up_identify(struct node *n, const struct act *a, tstamp now)
{
    const struct identify_msg *m = a->ptr;
    struct kad_peer_info info = {.id = a->peer};
    bool serves = false;

    if (a->kind != IDENTIFY_UP || a->err != QUDAG_OK || m == NULL) {
        return;
    }
    note_keep(n, &a->peer, m);
    for (size_t i = 0; i < m->n_addrs; i++) {
        if (addr_usable(n, &m->addr[i])) {
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
    node_end(n, CORE_KAD);
}

static void kad_result(struct node *n, struct op *op, qudag_err err, const struct kad_result *r)
{
    struct node_result res = {0};

    if (r != NULL) {
        res.value = r->value;
        res.peers = r->peers;
        res.n_peers = r->n_peers;
        res.count = (uint32_t)r->n_peers;
        res.rpcs = r->rpcs;
        res.hops = r->hops;
    }
    if (op->req.kind == OP_FIND_PEER && r != NULL && r->n_peers == 1) {
        const struct kad_peer_info *p = &r->peers[0]; /* found to be dialled */
        for (size_t i = 0; i < p->n_addrs; i++) {
            if (addr_usable(n, &p->addr[i])) {
                swarm_addr_add(n->swarm, &p->id, &p->addr[i]);
            }
        }
    }
    op_finish(n, op, err, &res);
}

static void serve_result(struct node *n, struct op *op, qudag_err err, const struct kad_result *r,
                         tstamp now)
{
    struct slice value = r != NULL ? r->value : (struct slice){NULL, 0};
    uint32_t stored = r != NULL ? (uint32_t)r->n_peers : 0;
    struct acts *out = node_begin(n);

    if (op->req.kind == OP_SERVE_PUT && err == QUDAG_ELIMIT && stored > 0) {
        err = QUDAG_OK; /* fewer than the quorum: the asker is told how many */
    }
    exit_answer(n->exit, op->cookie, err, value, stored, now, out);
    node_end(n, CORE_EXIT);
    op_drop(n, op);
}

void up_kad(struct node *n, const struct act *a, tstamp now)
{
    if (a->kind == KAD_UP_PEER) {
        relays_candidate(n->relays, &a->peer);
        boot_candidate(n);
        return;
    }
    const struct kad_result *res = a->ptr;
    struct op *op = op_get(n, a->cookie);
    if (res != NULL && res->failures > 0) {
        boot_peer_silent(n);
    }
    if (op == NULL) {
        return;
    }
    switch (op->req.kind) {
    case OP_SERVE_GET:
    case OP_SERVE_PUT:
        serve_result(n, op, a->err, a->ptr, now);
        break;
    case OP_BOOT_LOOKUP:
    case OP_ANNOUNCE:
    case OP_FETCH:
    case OP_REFRESH:
        boot_op_done(n, op, a->err, a->ptr, now);
        break;
    default:
        kad_result(n, op, a->err, a->ptr);
        break;
    }
}

/* What we tell in identify and to the DHT has changed. */
void self_changed(struct node *n)
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
    node_end(n, CORE_PUSH);
}

void node_set_addrs(struct node *n, const struct multiaddr *addr, size_t count)
{
    n->n_addrs = count < NODE_LISTEN_MAX ? count : NODE_LISTEN_MAX;
    memcpy(n->addr, addr, n->n_addrs * sizeof(*addr));
    self_changed(n);
}

void node_add_addr(struct node *n, const struct peer_id *peer, const struct multiaddr *addr)
{
    struct node_request r = {.kind = OP_ADD_PEER, .peer = *peer, .addr = *addr};

    swarm_addr_add(n->swarm, peer, addr);
    if (!n->closing) {
        (void)op_new(n, &r); /* without memory the DHT does without this peer */
    }
}
