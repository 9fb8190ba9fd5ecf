/*
 * ops.c - requests: queued by anyone, begun in the drain, ended exactly once.
 *
 *   node_request ─▶ fresh ─ op_begin ─▶ running ─ a core's report ─▶ op_finish ─▶ hooks.op_done
 */
#include "node/internal.h"

#include <string.h>

struct op *op_get(struct node *n, uint64_t cookie)
{
    return slots_get(&n->optab, word_ref(cookie));
}

struct op *op_new(struct node *n, const struct node_request *r)
{
    struct op *op = mem_alloc(n->mem, sizeof(*op) + r->key.len + r->value.len);

    if (op == NULL) {
        return NULL;
    }
    op->req = *r;
    list_init(&op->node);
    if (r->key.len > 0) {
        memcpy(op->data, r->key.base, r->key.len);
    }
    if (r->value.len > 0) {
        memcpy(op->data + r->key.len, r->value.base, r->value.len);
    }
    op->req.key.base = op->data;
    op->req.value.base = op->data + r->key.len;
    op->since = n->now;
    if (slots_add(&n->optab, op, &op->ref) != QUDAG_OK) {
        mem_free(n->mem, op);
        return NULL;
    }
    list_push_back(&n->fresh, &op->node);
    return op;
}

qudag_err node_request(struct node *n, const struct node_request *r, struct ref *out)
{
    struct op *op;

    if (n->closing) {
        return QUDAG_ESTATE;
    }
    if (r->key.len > KAD_KEY_MAX || r->value.len > KAD_VALUE_MAX) {
        return QUDAG_ETOOBIG;
    }
    if (n->optab.n >= OPS_MAX / 2) { /* the rest is for the node's own work */
        return QUDAG_ELIMIT;
    }
    op = op_new(n, r);
    if (op == NULL) {
        return QUDAG_ENOMEM;
    }
    *out = op->ref;
    return QUDAG_OK;
}

void op_drop(struct node *n, struct op *op)
{
    list_del(&op->node);
    slots_del(&n->optab, op->ref);
    mem_free(n->mem, op);
}

static bool op_is_programs(const struct op *op)
{
    return op->req.kind <= OP_DARK_FORGET;
}

void op_finish(struct node *n, struct op *op, qudag_err err, const struct node_result *res)
{
    struct node_result none = {0};
    struct node_result r = res != NULL ? *res : none;

    if (op_is_programs(op) && !op->told && n->hooks.op_done != NULL) {
        struct ref ref = op->ref;
        r.took = n->now - op->since;
        r.req = &op->req;
        list_del(&op->node);
        slots_del(&n->optab, ref);
        n->told++;
        n->hooks.op_done(n->hooks.ctx, ref, err, &r);
        mem_free(n->mem, op);
        return;
    }
    op_drop(n, op);
}

static qudag_err begin_kad(struct node *n, struct op *op, tstamp now)
{
    const struct node_request *r = &op->req;
    uint64_t cookie = ref_word(op->ref);
    struct acts *out = node_begin(n);
    qudag_err err = QUDAG_EINVAL;

    switch (r->kind) {
    case OP_PUT:
        err = kad_put(n->kad, cookie, r->key, r->value, &r->opt, now, out);
        break;
    case OP_ANNOUNCE:
        err = kad_put(n->kad, cookie, r->key, r->value, NULL, now, out);
        break;
    case OP_SERVE_PUT:
        err = kad_put(n->kad, cookie, r->key, r->value, node_rule_for_others(r->key), now, out);
        break;
    case OP_GET:
        err = kad_get(n->kad, cookie, r->key, &r->opt, now, out);
        break;
    case OP_SERVE_GET:
        err = kad_get(n->kad, cookie, r->key, node_rule_for_others(r->key), now, out);
        break;
    case OP_FETCH:
        err = kad_get(n->kad, cookie, r->key, NULL, now, out);
        break;
    case OP_CLOSEST:
        err = kad_find(n->kad, cookie, r->key, now, out);
        break;
    case OP_FIND_PEER:
        err = kad_find_peer(n->kad, cookie, &r->peer, now, out);
        break;
    case OP_PROVIDE:
        err = kad_provide(n->kad, cookie, r->key, now, out);
        break;
    case OP_PROVIDERS:
        err = kad_providers(n->kad, cookie, r->key, now, out);
        break;
    case OP_BOOT_LOOKUP:
    case OP_REFRESH:
        err = kad_bootstrap(n->kad, cookie, now, out);
        break;
    default:
        break;
    }
    node_end(n, CORE_KAD);
    return err;
}

static qudag_err begin_dark(struct node *n, struct op *op, tstamp now)
{
    const struct node_request *r = &op->req;
    uint64_t cookie = ref_word(op->ref);
    struct acts *out = node_begin(n);
    qudag_err err = QUDAG_EINVAL;

    if (r->kind == OP_DARK_PUBLISH) {
        struct onion_hop self;
        memset(&self, 0, sizeof(self));
        peer_id_from_ed25519(&self.peer, n->cfg.identity->ed_pk);
        memcpy(self.pq_hash, n->cfg.identity->pq_hash, sizeof(self.pq_hash));
        for (size_t i = 0; i < n->n_addrs && i < ONION_ADDRS_MAX; i++) {
            self.addr[self.n_addrs++] = n->addr[i];
        }
        err = dark_publish(n->dark, cookie, &r->dark, &self, now, out);
    } else if (r->kind == OP_DARK_FORGET) {
        const struct dark_keys *k = dark_own_get(n->dark, &r->dark);
        if (k != NULL) { /* nobody is let in by it from now on */
            onion_key_del(n->onion, k->key_id);
        }
        err = dark_forget(n->dark, cookie, &r->dark, now, out);
    } else if (r->kind == OP_DARK_RESOLVE || r->kind == OP_APP_RESOLVE) {
        err = dark_resolve(n->dark, cookie, &r->dark, now, out);
    }
    node_end(n, CORE_DARK);
    return err;
}

/* Ends at once: what others hold runs out by itself. */
static qudag_err begin_unpublish(struct node *n, struct op *op)
{
    if (!kad_unpublish(n->kad, op->req.key)) {
        return QUDAG_ENOTFOUND;
    }
    op_finish(n, op, QUDAG_OK, NULL);
    return QUDAG_OK;
}

static void begin_add_peer(struct node *n, struct op *op, tstamp now)
{
    struct kad_peer_info info = {.id = op->req.peer, .n_addrs = 1, .addr = {op->req.addr}};

    kad_add_peer(n->kad, &info, now, node_begin(n));
    node_end(n, CORE_KAD);
    op_drop(n, op);
}

static qudag_err begin(struct node *n, struct op *op, tstamp now)
{
    const struct node_request *r = &op->req;
    struct circuit *c;
    qudag_err err;

    switch (r->kind) {
    case OP_PING: {
        struct acts *out = node_begin(n);
        err = ping_start(&n->ping, &r->peer, ref_word(op->ref), now, out);
        node_end(n, CORE_PING);
        return err;
    }
    case OP_CONNECT:
    case OP_BOOT_DIAL:
        return swarm_connect(n->swarm, n->swarm_ix[CORE_APP], ref_word(op->ref) | OP_MARK, &r->addr,
                             r->has_pq ? r->pq_hash : NULL, now);
    case OP_ADD_PEER:
        begin_add_peer(n, op, now);
        return QUDAG_OK;
    case OP_UNPUBLISH:
        return begin_unpublish(n, op);
    case OP_CIRCUIT:
        return circuit_start(n, FOR_PROGRAM, op, NULL, NULL, &c);
    case OP_LOOKUP_GET:
    case OP_LOOKUP_PUT:
        return circuit_start(n, FOR_LOOKUP, op, NULL, NULL, &c);
    case OP_DARK_PUBLISH:
    case OP_DARK_RESOLVE:
    case OP_DARK_FORGET:
    case OP_APP_RESOLVE:
        return begin_dark(n, op, now);
    default:
        return begin_kad(n, op, now);
    }
}

/* What could not even begin ends at once, by the same road as what began. */
static void begin_failed(struct node *n, struct op *op, qudag_err err, tstamp now)
{
    switch (op->req.kind) {
    case OP_BOOT_DIAL:
    case OP_BOOT_LOOKUP:
    case OP_ANNOUNCE:
    case OP_FETCH:
    case OP_REFRESH:
        boot_op_done(n, op, err, NULL, now);
        break;
    case OP_SERVE_GET:
    case OP_SERVE_PUT: {
        struct acts *out = node_begin(n);
        exit_answer(n->exit, op->cookie, err, (struct slice){NULL, 0}, 0, now, out);
        node_end(n, CORE_EXIT);
        op_drop(n, op);
        break;
    }
    case OP_LOOKUP_GET:
    case OP_LOOKUP_PUT:
        lookup_done(n, op, err, (struct slice){NULL, 0}, 0, now);
        break;
    case OP_APP_RESOLVE:
        dark_app_failed(n, &op->req.dark, err);
        op_drop(n, op);
        break;
    default:
        op_finish(n, op, err, NULL);
        break;
    }
}

/*
 * The program does not want it any more.  What changes the node's own state (a dark address) goes on
 * behind its back, so that what lies on disk follows.
 */
static void end_canceled(struct node *n, struct op *op, tstamp now)
{
    op->canceled = false;
    if (!op->begun) {
        op_finish(n, op, QUDAG_ECANCELED, NULL);
        return;
    }
    list_push_back(&n->running, &op->node);
    switch (op->req.kind) {
    case OP_PUT:
    case OP_GET:
    case OP_CLOSEST:
    case OP_FIND_PEER:
    case OP_PROVIDE:
    case OP_PROVIDERS:
        kad_cancel(n->kad, ref_word(op->ref), node_begin(n));
        node_end(n, CORE_KAD);
        break;
    case OP_DARK_PUBLISH:
    case OP_DARK_FORGET: {
        struct node_result res = {.took = now - op->since, .req = &op->req};
        struct ref ref = op->ref;
        op->told = true;
        if (n->hooks.op_done != NULL) {
            n->told++;
            n->hooks.op_done(n->hooks.ctx, ref, QUDAG_ECANCELED, &res);
        }
        break;
    }
    default: /* the core's late report finds no request and is dropped */
        close_circuit_of(n, op, now);
        op_finish(n, op, QUDAG_ECANCELED, NULL);
        break;
    }
}

/*
 * One at a time, its actions carried out before the next: reports point into a core until that core is
 * called again.
 */
bool op_begin_one(struct node *n, tstamp now)
{
    if (list_empty(&n->fresh) || !acts_room(&n->acts)) {
        return false;
    }
    struct op *op = LIST_ENTRY(n->fresh.next, struct op, node);
    list_del(&op->node);
    if (op->canceled) {
        end_canceled(n, op, now);
        return true;
    }
    list_push_back(&n->running, &op->node);
    op->since = op->begun ? op->since : now; /* begun: a lookup on another circuit */
    op->begun = true;
    qudag_err err = begin(n, op, now);
    if (err != QUDAG_OK) {
        begin_failed(n, op, err, now);
    }
    return true;
}

bool node_op_set_user(struct node *n, struct ref ref, void *user)
{
    struct op *op = slots_get(&n->optab, ref);

    if (op == NULL || !op_is_programs(op) || op->told) {
        return false;
    }
    op->req.user = user;
    return true;
}

void node_cancel(struct node *n, struct ref ref)
{
    struct op *op = slots_get(&n->optab, ref);

    if (op != NULL && op_is_programs(op) && !op->told && !n->closing) {
        op->canceled = true;
        list_del(&op->node);
        list_push_front(&n->fresh, &op->node);
    }
}
