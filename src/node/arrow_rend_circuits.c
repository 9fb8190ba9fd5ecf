/*
 * arrow_rend_circuits.c - introduction and rendezvous points for others, at the ends of their circuits.
 *
 *   introduce ─ BINDING ─▶ what both ends of that circuit share ─▶ introduce: is ESTABLISH signed for it?
 *   rendezvous ─ JOIN ─▶ the circuits of caller and service are one from now on, or none
 *
 * Both protocols are spoken over circuits only: identify does not mention them, and no other link knows them.
 */
#include "node/internal.h"

static const char *introduce_proto(struct node *n, const struct act *a)
{
    (void)n;
    (void)a;
    return INTRODUCE_PROTOCOL;
}

static const char *rendezvous_proto(struct node *n, const struct act *a)
{
    (void)n;
    (void)a;
    return RENDEZVOUS_PROTOCOL;
}

static void introduce_report(struct node *n, const struct act *a, tstamp now)
{
    uint8_t binding[REND_BINDING_LEN];

    if (a->kind == INTRODUCE_UP_DONE) {
        node_hidden_introduced(n, a, now);
        return;
    }
    if (a->kind != INTRODUCE_UP_BINDING) {
        node_service_introduce(n, a, now);
        return;
    }
    qudag_err err = onion_binding(n->onion, ref_from_u64(a->n), binding);
    introduce_bound(n->introduce, a->cookie, err == QUDAG_OK ? binding : NULL, now, node_begin(n));
    node_end(n, n->ix.introduce);
    wipe(binding, sizeof(binding));
}

static void rendezvous_report(struct node *n, const struct act *a, tstamp now)
{
    if (a->kind == RENDEZVOUS_UP_WAITING || a->kind == RENDEZVOUS_UP_CREATED) {
        node_hidden_rendezvous(n, a, now);
    } else if (a->kind == RENDEZVOUS_UP_MET) {
        node_service_met(n, a, now);
    }
    if (a->kind != RENDEZVOUS_UP_JOIN) {
        return;
    }
    const struct rendezvous_pair pair = *(const struct rendezvous_pair *)a->ptr;
    qudag_err err = onion_join(n->onion, pair.caller, pair.service);
    if (err != QUDAG_OK) { /* both would wait for cells that nobody passes on */
        log_event(&n->cfg.log, LOG_DEBUG, "rendezvous.not_joined", LOG_ERR(err));
        struct acts *out = node_begin(n);
        onion_close(n->onion, pair.caller, now, out);
        onion_close(n->onion, pair.service, now, out);
        node_end(n, n->ix.onion);
    }
}

static void introduce_release(void *introduce)
{
    introduce_free(introduce);
}

static void rendezvous_release(void *rendezvous)
{
    rendezvous_free(rendezvous);
}

/* Registers |core|, which speaks |proto| over circuits that end at our relay's keys. */
static qudag_err add(struct node *n, struct node_core *core, const char *proto, unsigned *ix)
{
    core->at_relays = true;
    qudag_err err = node_core_add(n, core, NULL, ix);

    return err != QUDAG_OK ? err
                           : swarm_proto_add_anonymous(n->swarm, proto, n->core[*ix].swarm_ix);
}

static qudag_err make_introduce(struct node *n, tstamp now)
{
    struct introduce_config c = {.mem = n->mem,
                                 .rng = n->cfg.rng,
                                 .serve = n->cfg.relay,
                                 .asking_max = HIDDEN_SERVICES_MAX * HIDDEN_SLOTS +
                                               HIDDEN_CALLS_MAX * HIDDEN_POINTS};
    qudag_err err = introduce_new(&n->introduce, &c, now);

    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {.name = "introduce",
                             .instance = n->introduce,
                             .ops = &introduce_ops,
                             .report = introduce_report,
                             .open_proto = introduce_proto,
                             .free = introduce_release};
    return add(n, &core, INTRODUCE_PROTOCOL, &n->ix.introduce);
}

static qudag_err make_rendezvous(struct node *n, tstamp now)
{
    struct rendezvous_config c = {.mem = n->mem,
                                  .rng = n->cfg.rng,
                                  .serve = n->cfg.relay,
                                  .asking_max = HIDDEN_ALL_BUILDS_MAX + HIDDEN_CALLS_MAX};
    qudag_err err = rendezvous_new(&n->rendezvous, &c, now);

    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {.name = "rendezvous",
                             .instance = n->rendezvous,
                             .ops = &rendezvous_ops,
                             .report = rendezvous_report,
                             .open_proto = rendezvous_proto,
                             .free = rendezvous_release};
    return add(n, &core, RENDEZVOUS_PROTOCOL, &n->ix.rendezvous);
}

qudag_err node_rend_init(struct node *n, tstamp now)
{
    qudag_err err = make_introduce(n, now);

    return err != QUDAG_OK ? err : make_rendezvous(n, now);
}
