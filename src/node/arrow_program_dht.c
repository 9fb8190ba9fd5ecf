/*
 * arrow_program_dht.c - the DHT: its namespaces, requests to it, and what it reports.
 *
 *   requests ─▶ DHT ─ DONE ─▶ node_op_end: whoever waits        namespaces ─ validators (rules.c) ─▶ DHT
 *   DHT ─ PEER ─▶ relays (may have a descriptor), boot; CLOCK ─▶ clock.c
 */
#include "node/request_table.h"

#define DHT_REQUESTS_MAX 160 /* of the program, of ourselves, and 96 of the far ends of circuits */

/* ---- namespaces ---- */

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
    struct peer_id owner;

    if (d == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = node_rule_descriptor(d, key, value, now, expires);
    if (err == QUDAG_ECLOCK && node_rule_relay_key_owner(key, &owner) == QUDAG_OK) {
        node_clock_witness(n, NODE_CLOCK_FETCHES, &owner, NULL); /* rightly signed */
    }
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

    return node_rule_newer_dark(key, a, b, node_wall(n, n->now));
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

static qudag_err check_peer(void *ctx, struct slice key, struct slice value, walltime now,
                            walltime *expires)
{
    struct node *n = ctx;
    struct peer_record *r = mem_alloc(n->mem, sizeof(*r));
    qudag_err err = r == NULL ? QUDAG_ENOMEM : node_rule_peer_record(r, key, value, now, expires);

    mem_free(n->mem, r);
    return err;
}

static int select_peer(void *ctx, struct slice key, struct slice a, struct slice b)
{
    const struct node *n = ctx;

    return node_rule_newer_record(n->mem, key, a, b);
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
    *v++ = (struct kad_validator){.ns = "qudag/peer",
                                  .value_max = NODE_PEER_RECORD_MAX,
                                  .ctx = n,
                                  .check = check_peer,
                                  .select = select_peer};
    for (size_t i = 0; i < n->cfg.n_open_ns; i++) {
        *v++ = (struct kad_validator){.ns = n->cfg.open_ns[i],
                                      .value_max = NODE_OPEN_VALUE_MAX,
                                      .ctx = n,
                                      .check = check_any};
    }
    c->n_validators = (size_t)(v - c->validator);
}

qudag_err node_namespace(struct node *n, const struct kad_validator *v)
{
    return kad_namespace(n->kad, v);
}

/* ---- requests ---- */

qudag_err node_begin_put(struct node *n, struct node_op *op, tstamp now)
{
    const struct node_request *r = &op->req;
    struct acts *out = node_begin(n);
    qudag_err err = kad_put(n->kad, node_op_cookie(op),
                            &(struct kad_put_args){r->key, r->value, &r->opt}, now, out);

    node_end(n, n->ix.dht);
    return err;
}

qudag_err node_begin_get(struct node *n, struct node_op *op, tstamp now)
{
    const struct node_request *r = &op->req;
    struct acts *out = node_begin(n);
    qudag_err err = kad_get(n->kad, node_op_cookie(op), r->key, &r->opt, now, out);

    node_end(n, n->ix.dht);
    return err;
}

qudag_err node_begin_closest(struct node *n, struct node_op *op, tstamp now)
{
    const struct node_request *r = &op->req;
    struct acts *out = node_begin(n);
    qudag_err err = kad_find(n->kad, node_op_cookie(op), r->key, now, out);

    node_end(n, n->ix.dht);
    return err;
}

qudag_err node_begin_find_peer(struct node *n, struct node_op *op, tstamp now)
{
    const struct node_request *r = &op->req;
    struct acts *out = node_begin(n);
    qudag_err err = kad_find_peer(n->kad, node_op_cookie(op), &r->peer, now, out);

    node_end(n, n->ix.dht);
    return err;
}

qudag_err node_begin_provide(struct node *n, struct node_op *op, tstamp now)
{
    const struct node_request *r = &op->req;
    struct acts *out = node_begin(n);
    qudag_err err = kad_provide(n->kad, node_op_cookie(op), r->key, now, out);

    node_end(n, n->ix.dht);
    return err;
}

qudag_err node_begin_providers(struct node *n, struct node_op *op, tstamp now)
{
    const struct node_request *r = &op->req;
    struct acts *out = node_begin(n);
    qudag_err err = kad_providers(n->kad, node_op_cookie(op), r->key, now, out);

    node_end(n, n->ix.dht);
    return err;
}

qudag_err node_begin_refresh(struct node *n, struct node_op *op, tstamp now)
{
    struct acts *out = node_begin(n);
    qudag_err err = kad_bootstrap(n->kad, node_op_cookie(op), now, out);

    node_end(n, n->ix.dht);
    return err;
}

/* Ends at once: what others hold runs out by itself. */
qudag_err node_begin_unpublish(struct node *n, struct node_op *op, tstamp now)
{
    (void)now;
    if (!kad_unpublish(n->kad, op->req.key)) {
        return QUDAG_ENOTFOUND;
    }
    node_op_end(n, op, QUDAG_OK, NULL);
    return QUDAG_OK;
}

qudag_err node_begin_add_peer(struct node *n, struct node_op *op, tstamp now)
{
    struct kad_peer_info info = {.id = op->req.peer, .n_addrs = 1, .addr = {op->req.addr}};

    kad_add_peer(n->kad, &info, now, node_begin(n));
    node_end(n, n->ix.dht);
    node_op_free(n, op);
    return QUDAG_OK;
}

/* Ends by the report that it was canceled. */
void node_cancel_dht(struct node *n, struct node_op *op, tstamp now)
{
    (void)now;
    kad_cancel(n->kad, node_op_cookie(op), node_begin(n));
    node_end(n, n->ix.dht);
}

void node_add_addr(struct node *n, const struct peer_id *peer, const struct multiaddr *addr)
{
    struct node_request r = {.kind = NODE_OP_ADD_PEER, .peer = *peer, .addr = *addr};

    swarm_addr_add(n->swarm, peer, addr);
    if (!n->closing) {
        (void)node_op_new(n, &r); /* without memory the DHT does without this peer */
    }
}

/* ---- reports ---- */

/* A peer that was looked for is going to be dialled. */
static void found(struct node *n, const struct kad_result *r)
{
    const struct kad_peer_info *p = r->peers;

    for (size_t i = 0; r->n_peers == 1 && i < p->n_addrs; i++) {
        if (node_rule_addr(&p->addr[i], n->cfg.lab) ||
            node_rule_relayed_addr(&p->addr[i], n->cfg.lab)) {
            swarm_addr_add(n->swarm, &p->id, &p->addr[i]);
        }
    }
}

static void done(struct node *n, const struct act *a)
{
    const struct kad_result *r = a->ptr;
    struct node_op *op = node_op_get(n, a->cookie);
    struct node_result res = {0};

    if (op != NULL && r != NULL && node_rule_heard(op->req.kind, a->err, r->rpcs, r->failures)) {
        relays_heard(n->relays, NULL, n->now);
    }
    if (r != NULL) {
        n->news |= r->failures > 0 ? NODE_NEWS_SILENCE : 0;
        res = (struct node_result){.value = r->value,
                                   .peers = r->peers,
                                   .n_peers = r->n_peers,
                                   .count = (uint32_t)r->n_peers,
                                   .rpcs = r->rpcs,
                                   .hops = r->hops};
    }
    if (op != NULL && r != NULL && op->req.kind == NODE_OP_SEEK_FIND) {
        found(n, r);
    }
    if (op != NULL) {
        node_op_end(n, op, a->err, &res);
    }
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    (void)now;
    if (a->kind == KAD_UP_PEER) {
        relays_candidate(n->relays, &a->peer);
        n->news |= NODE_NEWS_PEER;
    } else if (a->kind == KAD_UP_CLOCK) {
        node_clock_witness(n, NODE_CLOCK_PUTS, &a->peer, NULL);
    } else if (a->kind == KAD_UP_DONE) {
        done(n, a);
    }
}

static void dht_release(void *kad)
{
    kad_free(kad);
}

qudag_err node_dht_init(struct node *n, tstamp now)
{
    struct kad_config c = {.mem = n->mem,
                           .rng = n->cfg.rng,
                           .log = n->cfg.log,
                           .clock = n->cfg.clock,
                           .protocol = n->cfg.dht_protocol,
                           .server = n->cfg.dht_server,
                           .lab = n->cfg.lab,
                           .requests_max = DHT_REQUESTS_MAX,
                           .request_ns = n->cfg.times.query,
                           .records_max = n->cfg.records_max,
                           .providers_max = n->cfg.providers_max,
                           .record_bytes_max = n->cfg.record_bytes_max,
                           .report_store = n->cfg.persist};

    peer_id_from_ed25519(&c.self, n->cfg.identity->ed_pk);
    if (n->cfg.pq == PQ_REQUIRE) {
        c.need = LINK_PQ_KEX | LINK_PQ_AUTH;
    }
    add_validators(n, &c);
    qudag_err err = kad_new(&n->kad, &c, now);
    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {
        .name = "dht", .instance = n->kad, .ops = &kad_ops, .report = report, .free = dht_release};
    return node_core_add(n, &core, kad_protocol(n->kad), &n->ix.dht);
}
