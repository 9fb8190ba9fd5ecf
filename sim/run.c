/*
 * run.c - one run: takes events out of the queue, logs them, hands them to whom they concern.
 *
 * The clock begins at SIM_BEGIN; reports count from there.
 */
#include "sim/sim_int.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define ACTS_CAP (ACTS_ROOM * 2)
#define BYTES_CAP ((size_t)ACTS_BYTES_ROOM * 2)
#define SIM_SLOTS_MAX (2 * SIM_NODES_MAX) /* storms and Sybils among them */
#define SETTLED_MIN 990000                /* find, in the phase after quiet_at + settle */

_Static_assert(SIM_OPS == SIM_CIRCUIT, "every request has its place in the report");

/* Slots for all nodes there will ever be at once: a core keeps pointers into its own. */
static uint32_t slots_needed(const struct scenario *sc)
{
    uint64_t n = sc->nodes;

    for (size_t i = 0; i < sc->n_faults; i++) {
        const struct sim_fault *f = &sc->fault[i];
        n += f->kind == FAULT_STORM ? sc->nodes * f->share / SIM_ALL : 0;
        n += scenario_attacks(f->kind) ? f->keys * f->per_key : 0;
    }
    return (uint32_t)(n < SIM_SLOTS_MAX ? n : SIM_SLOTS_MAX);
}

static void plan_phases(struct sim *s)
{
    const struct scenario *sc = s->sc;
    struct sim_report *r = &s->report;

    for (size_t i = 0; i < sc->n_phases; i++) {
        const struct sim_phase *p = &sc->phase[i];
        struct sim_phase_report *out = &r->phase[r->phases++];
        memcpy(out->name, p->name, sizeof(out->name));
        out->from = p->from;
        out->to = p->to;
        out->minimum[OP_PUT] = p->put_min;
        out->minimum[OP_GET] = p->get_min;
        out->minimum[OP_FIND] = p->find_min;
        out->minimum[OP_PUT_ATTACKED] = p->put_attacked_min;
        out->minimum[OP_GET_ATTACKED] = p->get_attacked_min;
        out->minimum[SIM_CIRCUIT] = p->circuit_min;
    }
    if (sc->quiet_at > 0 && r->phases < SIM_PHASES_MAX) {
        struct sim_phase_report *out = &r->phase[r->phases++];
        memcpy(out->name, "settled", sizeof("settled"));
        out->from = sc->quiet_at + sc->settle;
        out->to = sc->until;
        out->minimum[OP_FIND] = SETTLED_MIN;
    }
}

static void plan_joins(struct sim *s)
{
    uint64_t step = s->sc->join_over / s->sc->nodes;

    for (uint32_t i = 0; i < s->sc->nodes; i++) {
        world_push(&s->world,
                   (struct sim_event){.at = s->world.now + i * step, .kind = SIM_JOIN, .node = i});
    }
}

/* Who is there, when, and what befalls them. */
static void plan(struct sim *s)
{
    for (uint32_t i = 0; i < s->sc->nodes; i++) {
        host_add_node(s);
    }
    plan_phases(s);
    fault_plan(s);
    attack_plan(s);
    if (s->sc->start == START_WARM) {
        warm_build(s);
    } else {
        plan_joins(s);
    }
    work_plan(s);
}

struct sim *sim_new(const struct scenario *sc, const struct sim_options *opt)
{
    struct sim *s = sim_alloc(1, sizeof(*s));
    uint8_t key[32];

    s->sc = sc;
    s->opt = *opt;
    s->cap_n = slots_needed(sc);
    world_init(&s->world);
    s->world.now = SIM_BEGIN;
    s->newest = s->oldest = SIM_NONE;
    dice_init(&s->dice, opt->seed);
    net_init(&s->net);
    s->net.loss = sc->loss;
    s->node = sim_alloc(s->cap_n, sizeof(*s->node));
    s->prefix = sim_alloc(s->cap_n, sizeof(*s->prefix));
    s->up = sim_alloc(s->cap_n, 1);
    mem_init(&s->mem, NULL, 0);
    s->scratch = kad_scratch_new(&s->mem);
    ASSERT(s->scratch != NULL);
    s->acts = (struct acts){.v = sim_alloc(ACTS_CAP, sizeof(struct act)),
                            .cap = ACTS_CAP,
                            .bytes = sim_alloc(BYTES_CAP, 1),
                            .bytes_cap = BYTES_CAP};
    dice_node(&s->dice, "qudag sim 2026 values", 0, 0, key);
    memcpy(s->value_key, key, sizeof(s->value_key));
    s->node_ns_at = s->world.now;
    s->host = opt->host;
    if (s->host != NULL) {
        s->host->init(s);
    }
    plan(s);
    world_push(&s->world, (struct sim_event){.at = s->world.now + NS_PER_S, .kind = SIM_CHECK});
    return s;
}

void sim_free(struct sim *s)
{
    if (s == NULL) {
        return;
    }
    if (s->host != NULL) {
        s->host->fini(s);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        kad_free(s->node[i].kad);
    }
    kad_scratch_free(&s->mem, s->scratch);
    free(s->acts.v);
    free(s->acts.bytes);
    free(s->node);
    free(s->prefix);
    free(s->up);
    free(s->servers.v);
    free(s->colluders.v);
    attack_fini(s);
    work_fini(s);
    net_fini(&s->net);
    world_fini(&s->world);
    free(s);
}

static void log_what(struct sim *s, const struct sim_event *ev)
{
    struct world *w = &s->world;

    if (ev->kind == SIM_CHECK || ev->kind == SIM_VERIFY) {
        return; /* looking changes nothing */
    }
    world_log_u64(w, ev->at);
    world_log_u64(w, (uint64_t)ev->kind << 32 | ev->node);
    world_log_u64(w, (uint64_t)ev->strm.gen << 32 | ev->strm.slot);
    world_log_u64(w, ev->cookie);
    if (ev->data != NULL) {
        world_log(w, ev->data->b, ev->data->len);
    }
}

static void dispatch(struct sim *s, const struct sim_event *ev)
{
    switch (ev->kind) {
    case SIM_OPEN:
    case SIM_OPENED:
    case SIM_FAIL:
    case SIM_DATA:
    case SIM_FIN:
    case SIM_RESET:
    case SIM_WRITABLE:
    case SIM_MEET:
        host_event(s, ev);
        break;
    case SIM_TICK:
        host_tick(s, ev->node);
        break;
    case SIM_JOIN:
        host_join(s, ev->node);
        break;
    case SIM_LEAVE:
        fault_leave(s, ev->node);
        break;
    case SIM_WORK:
        work_event(s, (enum sim_op)ev->cookie);
        break;
    case SIM_FAULT:
        fault_event(s, ev->cookie);
        break;
    case SIM_CHECK:
        check_event(s);
        break;
    case SIM_PHASE:
        work_phase(s, ev->cookie);
        break;
    case SIM_VERIFY:
        work_verify(s, ev->cookie);
        break;
    }
}

/* Events of a node concern one life of it. */
static bool concerns(const struct sim *s, const struct sim_event *ev)
{
    if (ev->kind >= SIM_WORK || ev->kind == SIM_JOIN) {
        return true;
    }
    const struct sim_node *nd = &s->node[ev->node];
    bool wakes = ev->kind != SIM_TICK && ev->kind != SIM_MEET;
    return nd->epoch == ev->epoch && (wakes ? sim_there(nd) : nd->kad != NULL);
}

bool sim_run(struct sim *s, tstamp until)
{
    struct sim_event ev;
    tstamp end = until < s->sc->until ? until : s->sc->until;

    while (world_pop(&s->world, SIM_BEGIN + end, &ev)) {
        if (concerns(s, &ev) && (s->host == NULL || !s->host->event(s, &ev))) {
            log_what(s, &ev);
            trace_event(s, &ev);
            dispatch(s, &ev);
        }
        free(ev.data);
    }
    return end < s->sc->until;
}

tstamp sim_now(const struct sim *s)
{
    return s->world.now - SIM_BEGIN;
}

uint32_t sim_online(const struct sim *s)
{
    return s->online;
}

uint64_t sim_events(const struct sim *s)
{
    return s->world.events;
}

const struct sim_report *sim_report(struct sim *s)
{
    struct sim_report *r = &s->report;

    check_all(s);
    for (size_t i = 0; i < r->phases; i++) {
        if (s->phase_on[i]) {
            work_count(s, &r->phase[i], false);
            r->phase[i].to = sim_now(s);
            s->phase_on[i] = false;
        }
        for (size_t k = 0; k < SIM_KINDS; k++) {
            sim_sort(&r->phase[i].of[k].took);
        }
    }
    r->events = s->world.events;
    r->queue_peak = s->world.peak;
    r->asked = s->work.n;
    r->rpcs = s->rpcs;
    r->dials = s->dials;
    r->bytes = s->bytes;
    r->messages = s->messages;
    r->nodes = s->n;
    r->online = s->online;
    r->now = sim_now(s);
    world_hash(&s->world, r->hash);
    return r;
}
