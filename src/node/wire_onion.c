/*
 * wire_onion.c - the arrows around circuits.
 *
 *   relays ─ path ─▶ onion ─ built ─▶ the request, lookup or streams that waited
 *   onion ─ stream events ─▶ swarm ─ writes ─▶ onion      exit ─ get/put for others ─▶ kad
 */
#include "node/internal.h"

#include "base/wipe.h"

#include <string.h>

static qudag_err c_open(void *owner, struct ref link, uint64_t user, const char *proto,
                        int64_t *sid)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);
    qudag_err err = onion_stream_open(n->onion, link, user, proto, n->now, out, sid);

    node_end(n, CORE_ONION);
    return err;
}

static void c_set_user(void *owner, struct ref link, int64_t sid, uint64_t user)
{
    struct node *n = owner;

    onion_stream_set_user(n->onion, link, sid, user);
}

static qudag_err c_write(void *owner, struct ref link, int64_t sid, struct slice data)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);
    qudag_err err = onion_stream_write(n->onion, link, sid, data, n->now, out);

    node_end(n, CORE_ONION);
    return err;
}

static void c_consume(void *owner, struct ref link, int64_t sid, size_t len)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);

    onion_stream_consume(n->onion, link, sid, len, n->now, out);
    node_end(n, CORE_ONION);
}

static void c_fin(void *owner, struct ref link, int64_t sid)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);

    onion_stream_fin(n->onion, link, sid, n->now, out);
    node_end(n, CORE_ONION);
}

static void c_reset(void *owner, struct ref link, int64_t sid, qudag_err err)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);

    onion_stream_reset(n->onion, link, sid, err, n->now, out);
    node_end(n, CORE_ONION);
}

static void c_close(void *owner, struct ref link, qudag_err err)
{
    struct node *n = owner;
    struct acts *out = node_begin(n);
    (void)err;

    onion_close(n->onion, link, n->now, out);
    node_end(n, CORE_ONION);
}

static const struct link_ops circuit_link_ops = {
    .open = c_open,
    .set_user = c_set_user,
    .write = c_write,
    .consume = c_consume,
    .fin = c_fin,
    .reset = c_reset,
    .close = c_close,
};

/* Whoever built the circuit has proven keys of all its hops; the other end knows nobody. */
static qudag_err c_info(const void *owner, struct ref link, struct link_info *out)
{
    const struct node *n = owner;
    struct onion_info info;
    qudag_err err = onion_info_get(n->onion, link, &info);

    if (err != QUDAG_OK) {
        return err;
    }
    *out = (struct link_info){.props = LINK_ANON | LINK_PQ_KEX | LINK_NAMED};
    out->props |= info.role == ONION_CLIENT ? LINK_PQ_AUTH : LINK_INBOUND;
    return QUDAG_OK;
}

const struct transport circuit_transport = {
    .name = "circuit",
    .cost = TRANSPORT_RELAYED,
    .on_demand = true,
    .ops = &circuit_link_ops,
    .info = c_info,
};

/* The key others name in CREATE; |dk| is taken over or freed. */
static qudag_err take_onion_key(struct node *n, struct onion_key *key, struct mlkem_key *dk)
{
    onion_key_id(key->key_id, key->x, key->k);
    qudag_err err = onion_key_add(n->onion, key, dk);
    if (err != QUDAG_OK) {
        mlkem768_free(dk);
        return err;
    }
    memcpy(n->onion_x, key->x, sizeof(n->onion_x));
    memcpy(n->onion_k, key->k, sizeof(n->onion_k));
    memcpy(n->onion_id, key->key_id, sizeof(n->onion_id));
    n->has_onion_key = true;
    return QUDAG_OK;
}

qudag_err onion_key_restore(struct node *n, struct slice file)
{
    struct onion_key key = {.tag = 0};
    struct secret_mlkem768 seed;
    struct mlkem_key *dk = NULL;

    if (file.len != ONION_KEY_FILE_LEN) {
        return QUDAG_EMALFORMED;
    }
    if (!n->cfg.relay || n->has_onion_key) {
        return QUDAG_OK;
    }
    memcpy(key.x_sk.b, file.base, X25519_LEN);
    memcpy(seed.seed, file.base + X25519_LEN, MLKEM768_SEED_LEN);
    qudag_err err = x25519_public(key.x, &key.x_sk);
    if (err == QUDAG_OK) {
        err = mlkem768_load(&dk, key.k, &seed);
    }
    if (err == QUDAG_OK) {
        err = take_onion_key(n, &key, dk);
    }
    wipe(&key, sizeof(key));
    wipe(&seed, sizeof(seed));
    return err;
}

/* A new key, saved so that descriptors handed out stay good over a restart. */
qudag_err onion_key_make(struct node *n)
{
    struct onion_key key = {.tag = 0};
    struct secret_mlkem768 seed;
    struct mlkem_key *dk = NULL;
    uint8_t file[ONION_KEY_FILE_LEN];
    qudag_err err = x25519_keypair(&key.x_sk, key.x, &n->cfg.rng);

    if (err == QUDAG_OK) {
        err = mlkem768_keygen(&dk, key.k, &seed, &n->cfg.rng);
    }
    if (err == QUDAG_OK) {
        memcpy(file, key.x_sk.b, X25519_LEN);
        memcpy(file + X25519_LEN, seed.seed, MLKEM768_SEED_LEN);
        node_save(n, "onion-key", (struct slice){file, sizeof(file)}, &err);
    }
    if (err == QUDAG_OK) {
        err = take_onion_key(n, &key, dk);
    } else {
        mlkem768_free(dk);
    }
    wipe(&key, sizeof(key));
    wipe(&seed, sizeof(seed));
    wipe(file, sizeof(file));
    return err;
}

qudag_err wire_onion_init(struct node *n, tstamp now)
{
    struct onion_config o = {.mem = n->mem,
                             .rng = n->cfg.rng,
                             .log = n->cfg.log,
                             .relay = n->cfg.relay,
                             .circuits_max = n->cfg.circuits_max};
    struct relays_config r = {.mem = n->mem, .rng = n->cfg.rng, .lab = n->cfg.lab};
    struct exit_config e = {.mem = n->mem, .rng = n->cfg.rng, .serve = n->cfg.relay};
    qudag_err err;

    peer_id_from_ed25519(&o.self, n->cfg.identity->ed_pk);
    memcpy(o.self_pq_hash, n->cfg.identity->pq_hash, sizeof(o.self_pq_hash));
    r.self = o.self;
    if ((err = onion_new(&n->onion, &o, now)) != QUDAG_OK ||
        (err = relays_new(&n->relays, &r)) != QUDAG_OK) {
        return err;
    }
    return exit_new(&n->exit, &e, now);
}

static void save_guard(struct node *n)
{
    struct peer_id guard;
    qudag_err err;

    if (relays_guard(n->relays, &guard) && !peer_id_eq(&guard, &n->guard_saved)) {
        node_save(n, "guard", peer_id_slice(&guard), &err);
        if (err == QUDAG_OK) {
            n->guard_saved = guard;
        }
    }
}

static qudag_err choose_path(struct node *n, struct circuit *c, size_t hops)
{
    struct peer_id exclude[1] = {{0}};
    size_t n_exclude = 0;
    bool service = c->purpose == FOR_DARK;

    if (service) {
        exclude[n_exclude++] = c->target.peer;
    }
    qudag_err err = relays_path(n->relays, hops, service, exclude, n_exclude, n->now, c->path);
    if (err != QUDAG_OK) {
        return err;
    }
    c->n_hops = (uint8_t)hops;
    if (service) {
        c->path[c->n_hops++] = c->target;
    }
    save_guard(n);
    return QUDAG_OK;
}

static qudag_err build(struct node *n, struct circuit *c, size_t hops)
{
    qudag_err err = choose_path(n, c, hops);

    if (err != QUDAG_OK) {
        return err;
    }
    struct acts *out = node_begin(n);
    err = onion_build(n->onion, c->path, c->n_hops, n->now, out, &c->onion);
    node_end(n, CORE_ONION);
    return err;
}

qudag_err circuit_start(struct node *n, enum purpose why, struct op *op,
                        const struct dark_addr *dark, const struct onion_hop *target,
                        struct circuit **out)
{
    struct circuit *c = mem_alloc(n->mem, sizeof(*c));
    size_t hops = n->cfg.hops;

    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    list_init(&c->waiting);
    c->purpose = why;
    if (op != NULL) {
        c->op = op->ref;
        hops = op->req.kind == OP_CIRCUIT && op->req.hops != 0 ? op->req.hops : hops;
    }
    if (why == FOR_DARK) {
        c->dark = *dark;
        c->target = *target;
    }
    c->relays = (uint8_t)hops;
    qudag_err err = build(n, c, hops);
    if (err != QUDAG_OK) {
        mem_free(n->mem, c);
        return err;
    }
    if (op != NULL) {
        op->circuit = c;
    }
    list_push_back(&n->circuits, &c->node);
    *out = c;
    return QUDAG_OK;
}

static struct circuit *circuit_by_ref(struct node *n, struct ref onion)
{
    LIST_EACH(it, &n->circuits)
    {
        struct circuit *c = LIST_ENTRY(it, struct circuit, node);
        if (ref_eq(c->onion, onion)) {
            return c;
        }
    }
    return NULL;
}

/* A circuit that leads, or will lead, to |dark|. */
struct circuit *circuit_to_dark(struct node *n, const struct dark_addr *dark)
{
    LIST_EACH(it, &n->circuits)
    {
        struct circuit *c = LIST_ENTRY(it, struct circuit, node);
        if (c->purpose == FOR_DARK && memcmp(&c->dark, dark, sizeof(*dark)) == 0) {
            return c;
        }
    }
    return NULL;
}

/* Forgets the circuit object; onion_close is the caller's. */
void circuit_drop(struct node *n, struct circuit *c)
{
    struct op *op = slots_get(&n->optab, c->op);

    if (op != NULL && op->circuit == c) {
        op->circuit = NULL;
    }
    LIST_EACH_SAFE(it, tmp, &c->waiting)
    {
        list_del(it);
    }
    list_del(&c->node);
    mem_free(n->mem, c);
}

void circuits_free(struct node *n)
{
    LIST_EACH_SAFE(it, tmp, &n->circuits)
    {
        circuit_drop(n, LIST_ENTRY(it, struct circuit, node));
    }
}

static void on_built(struct node *n, const struct act *a, tstamp now)
{
    struct circuit *c = circuit_by_ref(n, a->obj);

    if (c == NULL) { /* given up meanwhile */
        onion_close(n->onion, a->obj, now, node_begin(n));
        node_end(n, CORE_ONION);
        return;
    }
    c->open = true;
    for (size_t i = 0; i < c->n_hops; i++) {
        relays_worked(n->relays, &c->path[i].peer);
    }
    while (!list_empty(&c->waiting)) {
        app_open_now(n, LIST_ENTRY(c->waiting.next, struct app_stream, wait), c->onion);
    }
    struct op *op = slots_get(&n->optab, c->op);
    if (c->purpose == FOR_PROGRAM && op != NULL) {
        struct node_result res = {.circuit = c->onion, .hops = c->n_hops};
        op->circuit = NULL;
        op_finish(n, op, QUDAG_OK, &res);
    } else if (c->purpose == FOR_LOOKUP && op != NULL) {
        lookup_run(n, op, c, now); /* frees |c| when it fails */
    }
}

/* The hop that is to blame: the first that was not reached. */
static void blame(struct node *n, const struct circuit *c, uint64_t hop, tstamp now)
{
    if (hop >= 1 && hop <= c->n_hops) {
        relays_failed(n->relays, &c->path[hop - 1].peer, now);
    }
}

static void give_up(struct node *n, struct circuit *c, qudag_err err, tstamp now)
{
    struct op *op = slots_get(&n->optab, c->op);
    struct list waiting;

    if (c->purpose == FOR_DARK) {
        dark_target_failed(n->dark, &c->dark);
    }
    list_init(&waiting);
    while (!list_empty(&c->waiting)) {
        struct list *it = c->waiting.next;
        list_del(it);
        list_push_back(&waiting, it);
    }
    circuit_drop(n, c); /* first: a stream opened again meanwhile needs another circuit */
    app_close_list(n, &waiting, err);
    if (op == NULL) {
        return;
    }
    if (op->req.kind == OP_CIRCUIT) {
        op_finish(n, op, err, NULL);
    } else {
        lookup_done(n, op, err, (struct slice){NULL, 0}, 0, now);
    }
}

static void on_closed(struct node *n, const struct act *a, tstamp now)
{
    struct circuit *c = circuit_by_ref(n, a->obj);
    struct link_ev down = {.type = LINK_DOWN, .link = a->obj, .err = a->err};

    swarm_link_event(n->swarm, n->circuit_tp, &down, now);
    if (c == NULL) {
        return;
    }
    if (c->open) {
        blame(n, c, a->n, now);
        bool programs = c->purpose == FOR_PROGRAM;
        struct op *op = slots_get(&n->optab, c->op);
        if (c->purpose == FOR_LOOKUP && op != NULL) {
            give_up(n, c, QUDAG_ECIRCUIT, now);
        } else {
            circuit_drop(n, c);
        }
        if (programs && n->hooks.circuit_closed != NULL) {
            n->told++;
            n->hooks.circuit_closed(n->hooks.ctx, a->obj, a->err);
        }
        return;
    }
    blame(n, c, a->n, now);
    if (++c->tries < CIRCUIT_TRIES) {
        qudag_err err = build(n, c, c->relays);
        if (err == QUDAG_OK) {
            return;
        }
    }
    give_up(n, c, a->err == QUDAG_OK ? QUDAG_ECIRCUIT : a->err, now);
}

void up_onion(struct node *n, const struct act *a, tstamp now)
{
    switch (a->kind) {
    case ONION_UP_BUILT:
        on_built(n, a, now);
        break;
    case ONION_UP_CLOSED:
        on_closed(n, a, now);
        break;
    case ONION_UP_EVENT:
        swarm_link_event(n->swarm, n->circuit_tp, a->ptr, now);
        break;
    default: /* HOP, INBOUND: nothing to do */
        break;
    }
}

void up_exit(struct node *n, const struct act *a, tstamp now)
{
    struct node_request r = {.kind = OP_SERVE_GET, .key = a->data};
    struct op *op;

    if (a->kind == EXIT_UP_DONE) {
        op = op_get(n, a->cookie);
        if (op != NULL && op->asked) { /* else its circuit broke before, and that was counted */
            lookup_done(n, op, a->err, a->data, (uint32_t)a->n, now);
        }
        return;
    }
    if (a->kind == EXIT_UP_PUT) {
        size_t key_len = a->data.len < 2 ? 0 : (size_t)a->data.base[0] << 8 | a->data.base[1];
        if (a->data.len < 2 || key_len > a->data.len - 2) {
            return;
        }
        r.kind = OP_SERVE_PUT;
        r.key = (struct slice){a->data.base + 2, key_len};
        r.value = (struct slice){a->data.base + 2 + key_len, a->data.len - 2 - key_len};
    }
    op = op_new(n, &r);
    if (op == NULL) {
        exit_answer(n->exit, a->cookie, QUDAG_ELIMIT, (struct slice){NULL, 0}, 0, now,
                    node_begin(n));
        node_end(n, CORE_EXIT);
        return;
    }
    op->cookie = a->cookie;
}

qudag_err node_circuit_close(struct node *n, struct ref circuit)
{
    struct onion_info info;

    if (onion_info_get(n->onion, circuit, &info) != QUDAG_OK) {
        return QUDAG_ESTALE;
    }
    onion_close(n->onion, circuit, n->now, node_begin(n));
    node_end(n, CORE_ONION);
    return QUDAG_OK;
}

const char *node_circuit_purpose(const struct node *n, struct ref circuit)
{
    static const char *const names[] = {"general", "lookup", "dark"};

    LIST_EACH(it, &n->circuits)
    {
        const struct circuit *c = LIST_ENTRY(it, struct circuit, node);
        if (ref_eq(c->onion, circuit)) {
            return names[c->purpose];
        }
    }
    return "";
}
