/*
 * arrow_relays_dht.c - descriptors of relays in the DHT: ours goes out, those of others come in.
 *
 *   own keys, addresses ─▶ NODE_OP_ANNOUNCE ─▶ DHT         boot says when first
 *   relays ─ who may have one ─▶ NODE_OP_FETCH ─▶ DHT ─ node_rule_fetched ─▶ relays, pins, addresses
 */
#include "node/request_table.h"

#include <string.h>

#define FETCHES_MAX 8 /* under way */
#define FETCH_PAUSE (100 * NS_PER_MS)
#define FETCH_PAUSE_READY (2 * NS_PER_S)
#define ANNOUNCE_EVERY (6 * 3600 * NS_PER_S)

/* ---- ours ---- */

static qudag_err describe(struct node *n, size_t *len)
{
    struct relay_desc *d = &n->self_desc;
    walltime wall = node_wall(n, n->now);

    memset(d, 0, sizeof(*d));
    d->n_addrs = (uint8_t)reach_for_cells(&n->reach, d->addr, RELAY_DESC_ADDRS_MAX);
    memcpy(d->onion_x, n->onion_x, sizeof(d->onion_x));
    memcpy(d->onion_k, n->onion_k, sizeof(d->onion_k));
    memcpy(d->key_id, n->onion_id, sizeof(d->key_id));
    memcpy(d->family, n->cfg.family, sizeof(d->family));
    d->flags = RELAY_FLAG_GUARD | RELAY_FLAG_GATEWAY | (n->cfg.lab ? RELAY_FLAG_LAB : 0);
    d->seq = n->desc_seq = node_rule_next_seq(n->desc_seq, wall);
    node_saved_desc_seq(n);
    d->not_before = node_rule_not_before(wall, rng_u64(&n->cfg.rng));
    d->expires = d->not_before + RELAY_DESC_LIFE_MAX;
    return relay_desc_encode(n->desc_buf, sizeof(n->desc_buf), len, d, n->cfg.identity,
                             &n->cfg.rng);
}

static bool alone(const struct node *n)
{
    struct kad_stats st;

    kad_stats_get(n->kad, &st);
    return st.table == 0;
}

static void announce(struct node *n)
{
    struct node_request r = {.kind = NODE_OP_ANNOUNCE};
    uint8_t key[NODE_RELAY_KEY_MAX];
    struct peer_id self;
    size_t len = 0;

    n->descs.announce_at = TSTAMP_NEVER;
    if (!n->cfg.relay || reach_for_cells(&n->reach, NULL, 1) == 0) { /* nobody could reach it */
        return;
    }
    if (alone(n)) { /* nobody to announce it to yet */
        n->descs.announce_at = tstamp_after(n->now, NS_PER_S);
        return;
    }
    peer_id_from_ed25519(&self, n->cfg.identity->ed_pk);
    qudag_err err = describe(n, &len);
    if (err != QUDAG_OK) {
        log_event(&n->cfg.log, LOG_ERROR, "relay.descriptor_failed", LOG_ERR(err));
        n->descs.announce_at = tstamp_after(n->now, 60 * NS_PER_S);
        return;
    }
    r.key = (struct slice){key, node_rule_relay_key(key, &self)};
    r.value = (struct slice){n->desc_buf, len};
    if (node_op_new(n, &r) == NULL) {
        n->descs.announce_at = tstamp_after(n->now, NS_PER_S);
    }
}

qudag_err node_begin_announce(struct node *n, struct node_op *op, tstamp now)
{
    struct acts *out = node_begin(n);
    qudag_err err = kad_put(n->kad, node_op_cookie(op),
                            &(struct kad_put_args){op->req.key, op->req.value, NULL}, now, out);

    node_end(n, n->ix.dht);
    return err;
}

/* How many of those that took it are others. */
static uint32_t others(const struct node *n, const struct node_result *res)
{
    struct peer_id self;
    uint32_t count = 0;

    peer_id_from_ed25519(&self, n->cfg.identity->ed_pk);
    for (size_t i = 0; i < res->n_peers; i++) {
        count += peer_id_eq(&res->peers[i].id, &self) ? 0 : 1;
    }
    return count;
}

/*
 * While the network around us still grows the descriptor has to follow the closest nodes.  Where nobody takes it, as
 * when our clock is wrong, it costs twenty peers a request each time, and us a signature and a number on disk.
 */
void node_finish_announce(struct node *n, struct node_op *op, qudag_err err,
                          const struct node_result *res)
{
    static const uint8_t pause_s[] = {1, 2, 4, 8, 15, 30, 60, 120};
    static const uint8_t vain_s[] = {1, 2, 4, 8, 15, 30};
    struct node_descs *d = &n->descs;
    uint64_t wait = ANNOUNCE_EVERY;
    (void)err;

    d->stored = others(n, res); /* what only we hold nobody finds */
    node_clock_agreed(n, NODE_CLOCK_PUTS, d->stored);
    node_op_free(n, op);
    d->vain = d->stored == 0 ? d->vain + 1 : 0;
    if (d->vain > 0) {
        wait = vain_s[d->vain < ARRAY_LEN(vain_s) ? d->vain - 1 : ARRAY_LEN(vain_s) - 1] * NS_PER_S;
    } else if (d->announces < ARRAY_LEN(pause_s)) {
        wait = pause_s[d->announces++] * NS_PER_S;
    }
    d->announce_at = tstamp_after(n->now, rng_jitter(&n->cfg.rng, wait, 200));
    n->news |= NODE_NEWS_ANNOUNCED;
}

/* ---- those of others ---- */

static void fetch_more(struct node *n)
{
    struct node_descs *d = &n->descs;
    struct peer_id id;
    uint8_t key[NODE_RELAY_KEY_MAX];

    while (d->fetching < FETCHES_MAX && relays_next_fetch(n->relays, n->now, &id)) {
        struct node_request r = {.kind = NODE_OP_FETCH, .peer = id};
        r.key = (struct slice){key, node_rule_relay_key(key, &id)};
        if (node_op_new(n, &r) == NULL) {
            relays_fetch_failed(n->relays, &id, QUDAG_ENOMEM, n->now);
            break;
        }
        d->fetching++;
    }
    bool busy = d->fetching > 0 && !relays_is_settled(n->relays);
    d->fetch_at = tstamp_after(n->now, busy ? FETCH_PAUSE : FETCH_PAUSE_READY);
}

qudag_err node_begin_fetch(struct node *n, struct node_op *op, tstamp now)
{
    struct acts *out = node_begin(n);
    qudag_err err = kad_get(n->kad, node_op_cookie(op), op->req.key, NULL, now, out);

    node_end(n, n->ix.dht);
    return err;
}

/* Descriptors give the ML-DSA keys and addresses of relays before we have links to them. */
static void take(struct node *n, const struct relay_desc *d)
{
    node_links_pin(n, NODE_PIN_DESCRIPTOR, &d->peer, d->pq_hash);
    for (size_t i = 0; i < d->n_addrs; i++) {
        if (node_rule_cells_addr(&d->addr[i], n->cfg.lab)) { /* who signs it may say anything */
            swarm_addr_add(n->swarm, &d->peer, &d->addr[i]);
        }
    }
    n->news |= NODE_NEWS_RELAYS;
}

qudag_err node_descs_take(struct node *n, const struct peer_id *wanted, qudag_err err,
                          struct slice value)
{
    struct relay_desc *d = mem_alloc(n->mem, sizeof(*d));

    if (err == QUDAG_OK) {
        err = d == NULL ? QUDAG_ENOMEM : node_rule_fetched(d, wanted, value, node_wall(n, n->now));
    }
    if (err == QUDAG_ECLOCK) {
        node_clock_witness(n, NODE_CLOCK_FETCHES, wanted, NULL);
    }
    if (err == QUDAG_OK) {
        err = relays_add(n->relays, d);
    }
    if (err == QUDAG_OK) {
        take(n, d);
        node_clock_agreed(n, NODE_CLOCK_FETCHES, (uint32_t)relays_count(n->relays));
    }
    mem_free(n->mem, d);
    return err;
}

void node_finish_fetch(struct node *n, struct node_op *op, qudag_err err,
                       const struct node_result *res)
{
    n->descs.fetching--;
    err = node_descs_take(n, &op->req.peer, err, res->value);
    if (err != QUDAG_OK) {
        relays_fetch_failed(n->relays, &op->req.peer, err, n->now);
        n->news |= NODE_NEWS_RELAYS; /* one fewer to wait for */
    }
    node_op_free(n, op);
}

/* ---- when ---- */

void node_descs_candidate(struct node *n)
{
    struct node_descs *d = &n->descs;

    if (d->fetch_at != TSTAMP_NEVER && !relays_is_settled(n->relays)) {
        d->fetch_at = tstamp_min(d->fetch_at, tstamp_after(n->now, FETCH_PAUSE));
    }
}

void node_descs_begin(struct node *n)
{
    n->descs.announce_at = n->descs.fetch_at = n->now;
}

void node_descs_renew(struct node *n)
{
    if (n->descs.fetch_at != TSTAMP_NEVER) { /* begun */
        n->descs.announces = n->descs.vain = 0;
        node_descs_begin(n);
    }
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    if (n->descs.announce_at <= now) {
        announce(n);
    }
    if (n->descs.fetch_at <= now) {
        relays_expire(n->relays, node_wall(n, now), !n->clock.suspect);
        fetch_more(n);
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;

    return tstamp_min(n->descs.announce_at, n->descs.fetch_at);
}

qudag_err node_descs_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "descriptors", .instance = n, .ops = &ops};
    unsigned ix;

    n->descs.announce_at = n->descs.fetch_at = TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &ix);
}
