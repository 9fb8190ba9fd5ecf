/*
 * arrow_hidden_calls.c - streams to hidden services: circuits to relays where they are met, and one carried by them.
 *
 *   streams ─▶ node_hidden_call ─▶ calls ─ NEED_R, NEED_I ─▶ circuits ─▶ calls
 *   calls ─ SOLVE ─▶ hooks.solve ─▶ another thread ─▶ node_solved ─▶ calls
 *   calls ─ WAIT, INTRODUCE ─▶ rendezvous, introduce at their ends ─▶ calls ─ MET ─▶ onion_carry ─▶ streams
 *
 * The circuit that streams wait for is there from the beginning (node_circuit_hold), so which streams share it, how old
 * it gets and what it costs are decided as for any other.
 */
#include "node/internal.h"

#include <string.h>

/* ---- circuits of a call ---- */

static void r_built(struct node *n, struct node_circuit *c, tstamp now)
{
    hidden_call_r_built(n->calls, c->id, c->onion, &c->path[c->n_hops - 1], now, node_begin(n));
    node_end(n, n->ix.calls);
}

static void i_built(struct node *n, struct node_circuit *c, tstamp now)
{
    hidden_call_i_built(n->calls, c->id, c->onion, now, node_begin(n));
    node_end(n, n->ix.calls);
}

/* Also of one that has served: the call knows. */
static void lost(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    (void)err;
    hidden_call_failed(n->calls, c->id, now, node_begin(n));
    node_end(n, n->ix.calls);
}

/* The circuit that waits for the call |cookie|; NULL: nobody wants it any more. */
static struct node_circuit *waiting(struct node *n, uint64_t cookie)
{
    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use->carried && c->call == cookie && !c->open) {
            return c;
        }
    }
    return NULL;
}

/* A point's relay that others could not reach: its record may be out of date. */
static void i_lost(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    struct node_circuit *w = waiting(n, c->call);

    if (w != NULL && c->target_failed) {
        w->misses++;
    }
    lost(n, c, err, now);
}

static const struct node_circuit_use to_r = {
    .name = "rendezvous", .meter = NODE_CIRCUIT_RENDEZVOUS, .built = r_built, .failed = lost};
static const struct node_circuit_use to_i = {.name = "introduce",
                                             .meter = NODE_CIRCUIT_INTRODUCE,
                                             .to_relay = true,
                                             .built = i_built,
                                             .failed = i_lost};

static void close_circuit(struct node *n, struct ref circuit, tstamp now)
{
    struct node_circuit *c = node_circuit_get(n, circuit);

    if (c != NULL) {
        node_circuit_end(n, c, now);
    }
}

/* ---- what calls want ---- */

static void need(struct node *n, const struct act *a, tstamp now)
{
    struct node_circuit *c;
    struct node_circuit_end end = {.id = a->n, .call = a->cookie};
    const struct node_circuit_use *use = &to_r;

    if (a->kind == HIDDEN_CALL_NEED_R) {
        const struct hidden_avoid *avoid = a->ptr;
        end.avoid = avoid->peer;
        end.n_avoid = avoid->n;
    } else {
        end.relay = &((const struct hidden_point *)a->ptr)->relay;
        use = &to_i;
    }
    if (node_circuit_start_end(n, use, &end, &c) != QUDAG_OK) {
        hidden_call_failed(n->calls, a->n, now, node_begin(n));
        node_end(n, n->ix.calls);
    }
}

static void place_cookie(struct node *n, const struct act *a, tstamp now)
{
    struct rendezvous_request q = {.circuit = a->obj, .cookie = a->n, .meeting = a->data.base};
    qudag_err err = rendezvous_wait(n->rendezvous, &q, now, node_begin(n));

    node_end(n, n->ix.rendezvous);
    if (err != QUDAG_OK) {
        hidden_call_failed(n->calls, a->n, now, node_begin(n));
        node_end(n, n->ix.calls);
    }
}

static void introduce(struct node *n, const struct act *a, tstamp now)
{
    const struct hidden_introduction *i = a->ptr;
    struct introduce_call c = {
        .circuit = a->obj, .cookie = a->n, .intro_key = i->intro_key, .handshake = i->handshake};
    struct node_circuit *w = waiting(n, a->cookie);
    qudag_err err = introduce_send(n->introduce, &c, now, node_begin(n));

    node_end(n, n->ix.introduce);
    if (w != NULL) {
        w->unspent = false; /* from now on what fails may be the service's doing */
        w->reached = w->relays;
    }
    if (err != QUDAG_OK) {
        hidden_call_introduced(n->calls, a->n, err, 0, now, node_begin(n));
        node_end(n, n->ix.calls);
    }
}

static void meet(struct node *n, const struct act *a, tstamp now)
{
    struct node_circuit *c = waiting(n, a->cookie);
    struct onion_hs_keys keys;
    struct ref carried;
    qudag_err err = hidden_call_take(n->calls, a->n, &keys);

    if (err == QUDAG_OK && c != NULL) {
        struct onion_carry want = {.carrier = a->obj, .keys = &keys};
        err = onion_carry(n->onion, &want, now, &carried);
    }
    struct node_circuit *carrier = node_circuit_get(n, a->obj);
    if (carrier != NULL && err == QUDAG_OK) {
        carrier->carries = true;
        if (c != NULL) { /* should its relays end it, that address does not pay for it */
            carrier->carries_to = true;
            carrier->dark = c->dark;
            carrier->key = c->key;
        }
    }
    wipe(&keys, sizeof(keys));
    if (err != QUDAG_OK || c == NULL) {
        close_circuit(n, a->obj, now);
    }
    if (c != NULL && err == QUDAG_OK) {
        node_circuit_carried(n, c, carried, now);
    } else if (c != NULL) {
        node_circuit_lost(n, c, err, now);
    }
}

/* The host works on it; who cannot is introduced without a proof. */
static void solve(struct node *n, const struct act *a, tstamp now)
{
    qudag_err err = QUDAG_EUNSUPPORTED;

    if (n->hooks.solve != NULL) {
        n->hooks_called++;
        err = n->hooks.solve(n->hooks.ctx, a->n, a->ptr);
    }
    if (err != QUDAG_OK) {
        node_solved(n, a->n, err, 0, now);
    }
}

static void unsolve(struct node *n, const struct act *a)
{
    if (n->hooks.unsolve != NULL) {
        n->hooks_called++;
        n->hooks.unsolve(n->hooks.ctx, a->n);
    }
}

void node_solved(struct node *n, uint64_t id, qudag_err err, uint64_t nonce, tstamp now)
{
    hidden_call_solved(n->calls, id, err, nonce, now, node_begin(n));
    node_end(n, n->ix.calls);
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    struct node_circuit *c;

    switch (a->kind) {
    case HIDDEN_CALL_NEED_R:
    case HIDDEN_CALL_NEED_I:
        need(n, a, now);
        break;
    case HIDDEN_CALL_WAIT:
        place_cookie(n, a, now);
        break;
    case HIDDEN_CALL_INTRODUCE:
        introduce(n, a, now);
        break;
    case HIDDEN_CALL_SOLVE:
        solve(n, a, now);
        break;
    case HIDDEN_CALL_UNSOLVE:
        unsolve(n, a);
        break;
    case HIDDEN_CALL_MET:
        meet(n, a, now);
        break;
    case HIDDEN_CALL_END:
        if ((c = waiting(n, a->cookie)) != NULL) {
            node_circuit_lost(n, c, a->err, now);
        }
        break;
    case HIDDEN_CALL_CLOSE:
        close_circuit(n, a->obj, now);
        break;
    default:
        break;
    }
}

/* ---- what the relays at the ends say ---- */

void node_hidden_introduced(struct node *n, const struct act *a, tstamp now)
{
    hidden_call_introduced(n->calls, a->cookie, a->err, a->n, now, node_begin(n));
    node_end(n, n->ix.calls);
}

void node_hidden_rendezvous(struct node *n, const struct act *a, tstamp now)
{
    struct acts *out = node_begin(n);

    if (a->kind == RENDEZVOUS_UP_WAITING) {
        hidden_call_waiting(n->calls, a->cookie, QUDAG_OK, now, out);
    } else if (a->err == QUDAG_OK) {
        hidden_call_created(n->calls, a->cookie, a->data, now, out);
    } else {
        hidden_call_failed(n->calls, a->cookie, now, out);
    }
    node_end(n, n->ix.calls);
}

/* ---- calls ---- */

/* What the record says, and where the relay is if we know: no other hop is of its network or family then. */
static void point_of(const struct node *n, const struct dark_intro *i, struct hidden_point *p)
{
    struct onion_hop known;

    memset(p, 0, sizeof(*p));
    p->relay.peer = i->relay;
    if (relays_get(n->relays, &i->relay, &known)) {
        p->relay.n_addrs = known.n_addrs;
        memcpy(p->relay.addr, known.addr, sizeof(p->relay.addr));
    }
    memcpy(p->relay.pq_hash, i->pq_hash, sizeof(p->relay.pq_hash));
    memcpy(p->relay.key_id, i->key_id, sizeof(p->relay.key_id));
    memcpy(p->relay.x, i->x, sizeof(p->relay.x));
    memcpy(p->relay.k, i->k, sizeof(p->relay.k));
    memcpy(p->intro_key, i->key, sizeof(p->intro_key));
}

/* The seed that work is done for; NULL: the record has none, or the service does not accept it any more. */
static const uint8_t *seed_of(const struct node *n, const struct dark_pow *pow)
{
    return pow->effort > 0 && node_wall(n, n->now) < pow->expires ? pow->seed : NULL;
}

qudag_err node_hidden_call(struct node *n, const struct node_circuit_use *use,
                           const struct dark_addr *dark, const struct dark_hidden *to,
                           struct node_circuit **out)
{
    uint8_t addr[DARK_ADDR_LEN];
    struct hidden_point point[DARK_INTROS_MAX];
    qudag_err err = node_circuit_hold(n, use, dark, out);

    if (err != QUDAG_OK) {
        return err;
    }
    (*out)->call = ++n->calls_made;
    dark_addr_bytes(addr, dark);
    for (size_t i = 0; i < to->n_intros; i++) {
        point_of(n, &to->intro[i], &point[i]);
    }
    const struct hidden_call_want want = {.cookie = (*out)->call,
                                          .addr = addr,
                                          .x = to->x,
                                          .k = to->k,
                                          .points = point,
                                          .n_points = to->n_intros,
                                          .seed = seed_of(n, &to->pow),
                                          .effort = to->pow.effort};
    err = hidden_call(n->calls, &want, n->now, node_begin(n));
    node_end(n, n->ix.calls);
    if (err != QUDAG_OK) {
        node_circuit_end(n, *out, n->now);
    }
    return err;
}

static void release(void *calls)
{
    hidden_calls_free(calls);
}

static void tick(void *calls, tstamp now, struct acts *out)
{
    hidden_calls_tick(calls, now, out);
}

static tstamp deadline(const void *calls)
{
    return hidden_calls_deadline(calls);
}

_Static_assert(DARK_INTROS_MAX <= HIDDEN_POINTS, "a call tries all points of a record");
_Static_assert(HIDDEN_POINTS + HIDDEN_CALL_R_MAX <= NODE_CIRCUIT_AVOID, "all that R is not to be");
_Static_assert(DARK_ADDR_LEN == REND_ADDR_LEN, "one form of addresses");

qudag_err node_hidden_calls_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct hidden_calls_config c = {
        .mem = n->mem, .rng = n->cfg.rng, .work_max = n->cfg.dark_work_max};
    qudag_err err = hidden_calls_new(&n->calls, &c);

    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {
        .name = "calls", .instance = n->calls, .ops = &ops, .report = report, .free = release};
    return node_core_add(n, &core, NULL, &n->ix.calls);
}
