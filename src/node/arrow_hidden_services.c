/*
 * arrow_hidden_services.c - hidden services of ours, and what they need: introduction points, circuits to callers.
 *
 *   services ─ NEED_POINT, NEED_R ─▶ circuits ─▶ services ─ ESTABLISH, MEET ─▶ introduce, rendezvous at their ends
 *   introduce ─ ESTABLISHED, REQUEST, ENDED ─▶ services,  rendezvous ─ MET ─▶ services
 *   services ─ SAVE, TARGET ─▶ arrow_services_dark.c: disk, then records
 *
 * When MEET leaves, the circuit to R begins to carry another one: its end is the service, and the caller's streams
 * come by it.  The two end together; carried ones are counted by the first, of which it is known whose they are
 * (node_circuit.carried).
 */
#include "core/onion/admission.h"
#include "node/internal.h"

#include <string.h>

/* ---- circuits of a service ---- */

static void point_built(struct node *n, struct node_circuit *c, tstamp now)
{
    hidden_serve_point_built(n->services, c->id, c->onion, &c->path[c->n_hops - 1], now,
                             node_begin(n));
    node_end(n, n->ix.services);
}

static void point_lost(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    struct acts *out = node_begin(n);
    (void)err;

    if (c->target_failed) {
        hidden_serve_point_unreachable(n->services, c->id, now, out);
    } else {
        hidden_serve_point_ended(n->services, c->id, now, out);
    }
    node_end(n, n->ix.services);
}

static void count_carried(struct node *n, const struct node_service *s, tstamp now)
{
    hidden_serve_carried(n->services, s->name, s->carried, now, node_begin(n));
    node_end(n, n->ix.services);
}

/* A circuit to R of the service |name| is gone, which carried |carried|. */
static void left(struct node *n, uint64_t name, struct ref carried, tstamp now)
{
    struct node_service *s = node_service_get(n, name);

    if (s != NULL && !ref_none(carried)) {
        s->carried--;
        count_carried(n, s, now);
    }
}

static void r_built(struct node *n, struct node_circuit *c, tstamp now)
{
    hidden_serve_r_built(n->services, c->id, c->onion, now, node_begin(n));
    node_end(n, n->ix.services);
}

static void r_begun(struct node *n, struct node_circuit *c, tstamp now)
{
    hidden_serve_r_begun(n->services, c->id, now, node_begin(n));
    node_end(n, n->ix.services);
}

/* Before it met the caller, or after. */
static void r_lost(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    (void)err;
    hidden_serve_r_failed(n->services, c->id, now, node_begin(n));
    node_end(n, n->ix.services);
    left(n, c->call, c->carried, now);
}

static const struct node_circuit_use to_point = {.name = "service-introduce",
                                                 .meter = NODE_CIRCUIT_SERVICE_INTRODUCE,
                                                 .built = point_built,
                                                 .failed = point_lost};
static const struct node_circuit_use to_same_point = {.name = "service-introduce",
                                                      .meter = NODE_CIRCUIT_SERVICE_INTRODUCE,
                                                      .to_relay = true,
                                                      .built = point_built,
                                                      .failed = point_lost};
static const struct node_circuit_use to_r = {.name = "service-rendezvous",
                                             .meter = NODE_CIRCUIT_SERVICE_RENDEZVOUS,
                                             .to_relay = true,
                                             .meets = true,
                                             .begun = r_begun,
                                             .built = r_built,
                                             .failed = r_lost};

static void close_circuit(struct node *n, struct ref circuit, tstamp now)
{
    struct node_circuit *c = node_circuit_get(n, circuit);

    if (c != NULL) {
        uint64_t name = c->call;
        struct ref carried = c->carried;
        node_circuit_end(n, c, now);
        left(n, name, carried, now);
    }
}

/* ---- what services want ---- */

static void need_point(struct node *n, const struct act *a, tstamp now)
{
    const struct hidden_need_point *need = a->ptr;
    struct node_circuit_end end = {
        .id = a->n, .call = a->cookie, .avoid = need->avoid, .n_avoid = need->n_avoid};
    struct node_circuit *c;

    if (need->same) {
        end.relay = &need->relay;
    }
    if (node_circuit_start_end(n, need->same ? &to_same_point : &to_point, &end, &c) != QUDAG_OK) {
        hidden_serve_point_ended(n->services, a->n, now, node_begin(n));
        node_end(n, n->ix.services);
    }
}

/* SPEC: rendezvous R-29: whatever relay the caller names; what we know of it keeps its network out of the path. */
static void need_r(struct node *n, const struct act *a, tstamp now)
{
    struct onion_hop r = *(const struct onion_hop *)a->ptr, known;
    struct node_circuit_end end = {.id = a->n, .call = a->cookie, .relay = &r};
    struct node_circuit *c;

    if (relays_get(n->relays, &r.peer, &known)) {
        r.n_addrs = known.n_addrs;
        memcpy(r.addr, known.addr, sizeof(r.addr));
    }
    if (node_circuit_start_end(n, &to_r, &end, &c) != QUDAG_OK) {
        hidden_serve_r_failed(n->services, a->n, now, node_begin(n));
        node_end(n, n->ix.services);
    }
}

static void establish(struct node *n, const struct act *a, tstamp now)
{
    const struct hidden_limits *limits = a->ptr;
    uint8_t binding[REND_BINDING_LEN];
    struct introduce_point p = {.circuit = a->obj,
                                .cookie = a->n,
                                .sk = hidden_serve_intro_sk(n->services, a->n),
                                .binding = binding,
                                .rate = limits->rate,
                                .burst = limits->burst};
    qudag_err err = p.sk == NULL ? QUDAG_ESTALE : onion_binding(n->onion, a->obj, binding);

    if (err == QUDAG_OK) {
        err = introduce_establish(n->introduce, &p, now, node_begin(n));
        node_end(n, n->ix.introduce);
    }
    wipe(binding, sizeof(binding));
    if (err != QUDAG_OK) {
        hidden_serve_point_ended(n->services, a->n, now, node_begin(n));
        node_end(n, n->ix.services);
    }
}

/* The circuit |a| names carries another from now on, whose end is the service. */
static qudag_err carry(struct node *n, const struct act *a, struct node_circuit *c, tstamp now)
{
    struct onion_hs_keys keys;
    struct onion_carry want = {.carrier = a->obj, .end = true, .tag = a->cookie, .keys = &keys};
    struct node_service *s = node_service_get(n, a->cookie);
    qudag_err err = hidden_serve_take(n->services, a->n, &keys);

    if (err == QUDAG_OK) {
        err =
            s == NULL || c == NULL ? QUDAG_ESTALE : onion_carry(n->onion, &want, now, &c->carried);
    }
    wipe(&keys, sizeof(keys));
    if (err == QUDAG_OK) {
        c->carries = true;
        node_circuit_used(n, c); /* callers need not end it, so we do */
        s->carried++;
        count_carried(n, s, now);
    }
    return err;
}

/* The caller's first cells may come before R has answered, so MEET leaves when all is ready for them. */
static void meet(struct node *n, const struct act *a, tstamp now)
{
    const struct hidden_meet *m = a->ptr;
    struct rendezvous_request q = {
        .circuit = a->obj, .cookie = a->n, .meeting = m->cookie, .created = m->created};
    qudag_err err = carry(n, a, node_circuit_get(n, a->obj), now);

    if (err == QUDAG_OK) {
        err = rendezvous_meet(n->rendezvous, &q, now, node_begin(n));
        node_end(n, n->ix.rendezvous);
    }
    if (err != QUDAG_OK) { /* the circuit comes back with CLOSE */
        hidden_serve_r_failed(n->services, a->n, now, node_begin(n));
        node_end(n, n->ix.services);
    }
}

bool node_service_gives_way(const struct onion_info *c, const struct onion_info *than, tstamp now)
{
    uint64_t least = c->streams == 0 ? NODE_SERVICE_UNUSED : NODE_SERVICE_SILENT;

    if (now - c->active_at < least) {
        return false;
    }
    if (than == NULL || (c->streams == 0) != (than->streams == 0)) {
        return than == NULL || c->streams == 0;
    }
    return c->active_at < than->active_at;
}

bool node_service_brought(const struct onion_info *c, uint64_t tag)
{
    return c->role == ONION_END && c->tag == tag;
}

/* Any circuit of the service |name| to a relay R; NULL: there is none. */
static struct node_circuit *any_to_r(struct node *n, uint64_t name)
{
    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use == &to_r && c->call == name) {
            return c;
        }
    }
    return NULL;
}

void node_service_cut(struct node *n, uint64_t name, tstamp now)
{
    struct node_circuit *c;

    while ((c = any_to_r(n, name)) != NULL) {
        struct ref carried = c->carried;
        node_circuit_end(n, c, now);
        left(n, name, carried, now);
    }
}

/* SPEC: rendezvous R-24 */
static void shed(struct node *n, uint64_t name, tstamp now)
{
    struct node_circuit *quiet = NULL;
    struct onion_info best, info;

    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use == &to_r && c->call == name &&
            onion_info_get(n->onion, c->carried, &info) == QUDAG_OK &&
            node_service_gives_way(&info, quiet == NULL ? NULL : &best, now)) {
            quiet = c;
            best = info;
        }
    }
    if (quiet != NULL) {
        close_circuit(n, quiet->onion, now);
    }
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    struct node_service *s = node_service_get(n, a->cookie);

    switch (a->kind) {
    case HIDDEN_SERVE_NEED_POINT:
        need_point(n, a, now);
        break;
    case HIDDEN_SERVE_ESTABLISH:
        establish(n, a, now);
        break;
    case HIDDEN_SERVE_NEED_R:
        need_r(n, a, now);
        break;
    case HIDDEN_SERVE_MEET:
        meet(n, a, now);
        break;
    case HIDDEN_SERVE_SHED:
        shed(n, a->cookie, now);
        break;
    case HIDDEN_SERVE_BUSY:
        introduce_busy(n->introduce, a->n, now, node_begin(n));
        node_end(n, n->ix.introduce);
        break;
    case HIDDEN_SERVE_CLOSE:
        close_circuit(n, a->obj, now);
        break;
    default:
        break;
    }
    if (a->kind == HIDDEN_SERVE_SAVE && s != NULL) {
        node_service_save(n, s);
    } else if (a->kind == HIDDEN_SERVE_TARGET && s != NULL) {
        node_service_target(n, s, a->ptr, now);
    }
}

/* ---- what the relays at the ends say ---- */

void node_service_introduce(struct node *n, const struct act *a, tstamp now)
{
    struct acts *out = node_begin(n);

    if (a->kind == INTRODUCE_UP_ESTABLISHED) {
        hidden_serve_established(n->services, a->cookie, now, out);
    } else if (a->kind == INTRODUCE_UP_REQUEST) {
        hidden_serve_request(n->services, a->cookie, a->data, now, out);
    } else {
        hidden_serve_point_ended(n->services, a->cookie, now, out);
    }
    node_end(n, n->ix.services);
}

void node_service_met(struct node *n, const struct act *a, tstamp now)
{
    hidden_serve_met(n->services, a->cookie, a->err, a->n, now, node_begin(n));
    node_end(n, n->ix.services);
}

/* ---- services ---- */

static void release(void *services)
{
    hidden_services_free(services);
}

static void tick(void *services, tstamp now, struct acts *out)
{
    hidden_services_tick(services, now, out);
}

static tstamp deadline(const void *services)
{
    return hidden_services_deadline(services);
}

_Static_assert(HIDDEN_ALL_CARRIED_MAX + 128 <= ONION_LINK_OUT_MAX,
               "all begin on the link to the guard, and some others beside");
_Static_assert(HIDDEN_SLOTS <= NODE_CIRCUIT_AVOID, "all that an introduction point is not to be");

qudag_err node_hidden_services_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct hidden_services_config c = {.mem = n->mem, .rng = n->cfg.rng, .clock = n->cfg.clock};
    qudag_err err = hidden_services_new(&n->services, &c);

    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {.name = "services",
                             .instance = n->services,
                             .ops = &ops,
                             .report = report,
                             .free = release};
    return node_core_add(n, &core, NULL, &n->ix.services);
}
