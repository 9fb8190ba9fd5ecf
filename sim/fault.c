/*
 * fault.c - what befalls the network, and when it ends.
 *
 *   the seed decides which faults of the scenario strike (chance) and whom; bootstrap nodes neither die nor collude
 */
#include "sim/sim_int.h"

#define SLOW_SPREAD 500
#define ENDS UINT64_C(1) /* in the cookie */

void fault_plan(struct sim *s)
{
    const struct scenario *sc = s->sc;

    for (size_t i = 0; i < sc->n_faults; i++) {
        const struct sim_fault *f = &sc->fault[i];
        bool strikes = dice_hit(&s->dice, DICE_FAULTS, f->chance);
        uint64_t end = f->lasts == 0 ? UINT64_MAX : f->at + f->lasts;
        if (!strikes || (sc->quiet_at > 0 && f->at >= sc->quiet_at)) {
            continue;
        }
        if (sc->quiet_at > 0) {
            end = end < sc->quiet_at ? end : sc->quiet_at;
        }
        s->report.faults |= 1u << i;
        world_push(&s->world,
                   (struct sim_event){.at = SIM_BEGIN + f->at, .kind = SIM_FAULT, .cookie = 2 * i});
        if (end != UINT64_MAX) {
            world_push(&s->world, (struct sim_event){.at = SIM_BEGIN + end,
                                                     .kind = SIM_FAULT,
                                                     .cookie = 2 * i + ENDS});
        }
    }
}

static bool spared(const struct sim *s, uint32_t node)
{
    return node < s->sc->bootstrap || s->node[node].sybil;
}

/* ---- churn ---- */

static const struct sim_fault *churn_on(const struct sim *s)
{
    for (size_t i = 0; i < s->sc->n_faults; i++) {
        if (s->fault_on[i] && s->sc->fault[i].kind == FAULT_CHURN) {
            return &s->sc->fault[i];
        }
    }
    return NULL;
}

void fault_joined(struct sim *s, uint32_t node)
{
    const struct sim_fault *f = churn_on(s);

    if (f != NULL && !spared(s, node)) {
        world_push(&s->world, (struct sim_event){.at = s->world.now +
                                                       dice_wait(&s->dice, DICE_FAULTS, f->median),
                                                 .kind = SIM_LEAVE,
                                                 .node = node,
                                                 .epoch = s->node[node].epoch});
    }
}

void fault_leave(struct sim *s, uint32_t node)
{
    const struct sim_fault *f = churn_on(s);

    if (f == NULL) {
        return;
    }
    bool tell = (dice_u32(&s->dice, DICE_FAULTS) & 1u) != 0; /* half crash, half say goodbye */
    host_leave(s, node, tell);
    world_push(&s->world,
               (struct sim_event){.at = s->world.now + dice_wait(&s->dice, DICE_FAULTS, f->away),
                                  .kind = SIM_JOIN,
                                  .node = node,
                                  .epoch = s->node[node].epoch});
}

/* ---- beginning and end ---- */

static void kill_some(struct sim *s, const struct sim_fault *f)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (sim_there(&s->node[i]) && !spared(s, i) && dice_hit(&s->dice, DICE_FAULTS, f->share)) {
            host_leave(s, i, false);
        }
    }
}

static void storm(struct sim *s, const struct sim_fault *f)
{
    uint64_t n = s->sc->nodes * f->share / SIM_ALL;

    for (uint64_t i = 0; i < n && s->n < s->cap_n; i++) {
        uint32_t node = s->n;
        uint64_t wait = f->over / 65536 * (dice_u32(&s->dice, DICE_FAULTS) >> 16);
        host_add_node(s);
        world_push(&s->world,
                   (struct sim_event){.at = s->world.now + wait, .kind = SIM_JOIN, .node = node});
    }
}

/* Who is slow, colludes, or is cut off: drawn for every slot, so that newcomers are affected alike. */
static void mark(struct sim *s, const struct sim_fault *f, bool on)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct sim_node *nd = &s->node[i];
        bool hit = on && dice_hit(&s->dice, DICE_FAULTS, f->share);
        if (f->kind == FAULT_PARTITION) {
            nd->far = hit;
        } else if (f->kind == FAULT_SLOW) {
            nd->slow = hit ? dice_lognormal(&s->dice, DICE_FAULTS, f->delay, SLOW_SPREAD) : 0;
        } else if (f->kind == FAULT_COLLUDE) {
            nd->colluding = nd->sybil || (hit && !spared(s, i));
        }
    }
    s->colluders.stale = true;
}

/* ---- clocks ---- */

int32_t fault_skew(const struct sim *s, uint32_t node)
{
    for (size_t i = 0; i < s->sc->n_faults; i++) {
        const struct sim_fault *f = &s->sc->fault[i];
        bool early = f->at == 0 && (s->report.faults >> i & 1u) != 0 && s->world.now == SIM_BEGIN;
        uint64_t draw = dice_fixed(&s->dice, i, (uint64_t)s->node[node].epoch << 32 | node);
        if (f->kind == FAULT_CLOCK_SKEW && (early || s->fault_on[i]) && draw % SIM_ALL < f->share) {
            int32_t skew = (int32_t)(f->delay / NS_PER_S);
            return draw >> 63 != 0 ? skew : -skew;
        }
    }
    return 0;
}

/* ---- Sybils ---- */

static void sybils(struct sim *s, const struct sim_fault *f, bool on)
{
    const struct attack *a = &s->attack;

    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t node = a->first + i;
        if (!on) {
            host_leave(s, node, false);
        } else if (!sim_there(&s->node[node])) {
            world_push(&s->world, (struct sim_event){.at = s->world.now + f->over / a->n * i,
                                                     .kind = SIM_JOIN,
                                                     .node = node});
        }
    }
}

void fault_event(struct sim *s, uint64_t cookie)
{
    if (cookie == HOSTILE_TICK) {
        hostile_tick(s);
        return;
    }
    size_t ix = (size_t)(cookie / 2);
    const struct sim_fault *f = &s->sc->fault[ix];
    bool on = (cookie & ENDS) == 0;

    s->fault_on[ix] = on;
    switch (f->kind) {
    case FAULT_KILL:
        if (on) {
            kill_some(s, f);
        }
        break;
    case FAULT_CHURN:
        for (uint32_t i = 0; on && i < s->n; i++) {
            if (sim_there(&s->node[i])) {
                fault_joined(s, i);
            }
        }
        break;
    case FAULT_PARTITION:
        mark(s, f, on);
        s->net.cut = on;
        break;
    case FAULT_LOSS:
        s->net.loss += on ? f->share : 0;
        s->net.loss -= on ? 0 : f->share;
        break;
    case FAULT_SLOW:
    case FAULT_COLLUDE:
        mark(s, f, on);
        break;
    case FAULT_HOSTILE:
        hostile_mark(s, f, on);
        break;
    case FAULT_STORM:
        if (on) {
            storm(s, f);
        }
        break;
    case FAULT_ECLIPSE:
    case FAULT_SYBIL:
        sybils(s, f, on);
        break;
    default:
        break;
    }
}
