/*
 * arrow_gateway_dht.c - the DHT read and written for the far ends of circuits.
 *
 *   gateway ─ GET, PUT of somebody ─▶ NODE_OP_SERVE_* ─▶ DHT ─ result ─▶ gateway ─▶ its circuit
 *   gateway ─ GET of DHT_SAMPLE_KEY ─▶ one of samples.h ─▶ the same, its index is the result
 *   gateway ─ DONE: what we asked the end of our circuit ─▶ the request that asked
 */
#include "node/request_table.h"

static void answer(struct node *n, const struct gateway_result *res)
{
    gateway_answer(n->gateway, res, node_begin(n));
    node_end(n, n->ix.gateway);
}

qudag_err node_begin_serve_get(struct node *n, struct node_op *op, tstamp now)
{
    struct slice key = op->req.key;
    struct acts *out = node_begin(n);
    qudag_err err = kad_get(n->kad, node_op_cookie(op), key, node_rule_for_others(key), now, out);

    node_end(n, n->ix.dht);
    return err;
}

qudag_err node_begin_serve_put(struct node *n, struct node_op *op, tstamp now)
{
    struct slice key = op->req.key;
    struct acts *out = node_begin(n);
    qudag_err err =
        kad_put(n->kad, node_op_cookie(op),
                &(struct kad_put_args){key, op->req.value, node_rule_for_others(key)}, now, out);

    node_end(n, n->ix.dht);
    return err;
}

void node_finish_serve(struct node *n, struct node_op *op, qudag_err err,
                       const struct node_result *res)
{
    bool some = op->req.kind == NODE_OP_SERVE_PUT && err == QUDAG_EUNREACHABLE && res->count > 0;

    /* Fewer than the quorum is a success: the answer says how many. */
    struct gateway_result r = {.cookie = op->cookie,
                               .err = some ? QUDAG_OK : err,
                               .value = res->value,
                               .stored = res->count};
    if (op->req.sample && err == QUDAG_OK) {
        (void)dht_key_under(op->req.key, DHT_DARK_PREFIX, &r.value);
    }
    answer(n, &r);
    node_op_free(n, op);
}

/*
 * The index of a record that is stored here, to be looked up as if it had been asked for: so the answer takes as long
 * as that to any other question, and names what others find, too.
 */
static void sample_draw(struct node *n, uint8_t key[DARK_KEY_LEN])
{
    struct slice stored, value;
    walltime expires;

    if (n->now >= n->samples.until) {
        node_samples_begin(&n->samples, tstamp_after(n->now, NODE_SAMPLES_LIFE));
        for (size_t it = 0; kad_record_next(n->kad, &it, &stored, &value, &expires);) {
            node_samples_offer(&n->samples, stored, &n->cfg.rng);
        }
    }
    node_samples_draw(&n->samples, &n->cfg.rng, key);
}

/* What others want. */
static void serve(struct node *n, const struct act *a)
{
    uint8_t key[DARK_KEY_LEN];
    const struct gateway_wanted *wanted = a->ptr;
    bool put = a->kind == GATEWAY_UP_PUT;
    struct node_request r = {.kind = put ? NODE_OP_SERVE_PUT : NODE_OP_SERVE_GET,
                             .key = wanted->key,
                             .value = wanted->value,
                             .sample = dht_key_is_sample(wanted->key)};
    if (r.sample) {
        sample_draw(n, key);
        r.key = (struct slice){key, sizeof(key)};
    }
    struct node_op *op = node_op_new(n, &r);
    if (op == NULL) {
        struct gateway_result full = {.cookie = a->cookie, .err = QUDAG_ELIMIT};
        answer(n, &full);
        return;
    }
    op->cookie = a->cookie;
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    struct node_op *op;
    struct node_result res = {.value = a->data, .count = (uint32_t)a->n};
    (void)now;

    if (a->kind != GATEWAY_UP_DONE) {
        serve(n, a);
        return;
    }
    op = node_op_get(n, a->cookie);
    if (op != NULL && op->asked) { /* else its circuit broke before, and that was counted */
        node_op_end(n, op, a->err, &res);
    }
}

static void gateway_release(void *gateway)
{
    gateway_free(gateway);
}

qudag_err node_gateway_init(struct node *n, tstamp now)
{
    struct gateway_config e = {.mem = n->mem, .rng = n->cfg.rng, .serve = n->cfg.relay};
    qudag_err err = gateway_new(&n->gateway, &e, now);

    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {.name = "gateway",
                             .instance = n->gateway,
                             .ops = &gateway_ops,
                             .report = report,
                             .free = gateway_release,
                             .at_relays = true};
    return node_core_add(n, &core, GATEWAY_PROTOCOL, &n->ix.gateway);
}
