/*
 * work.c - the proof of work that a service asks of callers: its seeds, and how much.
 *
 * The queue is a market: who proves more is met first.  What it took to get in is seen in turns of 10 s from who was
 * met and who was not, and records ask for a little more than that.  Nothing here counts what somebody only says.
 */
#include "core/hidden/service_impl.h"

#include <string.h>

static const struct hidden_turn no_turn;

static void new_seed(struct hidden_service *s, tstamp now)
{
    size_t next = (s->seed_now + 1) % HIDDEN_SEEDS;
    struct hidden_seed *p = &s->seed[next];

    p->used = true;
    p->made = now;
    p->expires = wall_now(&s->all->cfg.clock, now) + HIDDEN_SEED_LIFE;
    rng_fill(&s->all->cfg.rng, p->seed, sizeof p->seed);
    s->seed_now = next;
}

void hidden_work_init(struct hidden_service *s, tstamp now)
{
    s->effort = s->told = 1;
    s->told_at = now;
    s->turn_ends = TSTAMP_NEVER;
    new_seed(s, now);
}

void hidden_work_tell(struct hidden_service *s, struct hidden_work *work, tstamp now)
{
    if (now - s->seed[s->seed_now].made >= hidden_seed_age(s->effort > 1, true)) {
        new_seed(s, now);
    }
    const struct hidden_seed *p = &s->seed[s->seed_now];
    memcpy(work->seed, p->seed, sizeof work->seed);
    work->expires = p->expires;
    work->effort = s->told = s->effort;
    s->told_at = now;
}

/* A turn begins, or none while there is nothing to decide. */
static void begin_turn(struct hidden_service *s, bool needed, tstamp now)
{
    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        s->slot[i].turn = no_turn;
    }
    s->turn_ends = needed ? tstamp_after(now, HIDDEN_EFFORT_TURN) : TSTAMP_NEVER;
}

static void end_turn(struct hidden_service *s, tstamp now)
{
    struct hidden_turn turn[HIDDEN_SLOTS];
    uint32_t price;

    for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
        turn[i] = s->slot[i].turn;
    }
    bool lost = hidden_effort_price(turn, HIDDEN_SLOTS, &price);
    s->effort = hidden_effort_next(s->effort, lost, price);
    begin_turn(s, s->effort > 1, now);
}

/* When records are to say another effort, or get another seed. */
static tstamp tell_at(const struct hidden_service *s)
{
    tstamp effort = tstamp_after(s->told_at, hidden_effort_tell_after(s->told, s->effort));
    tstamp seed = tstamp_after(s->seed[s->seed_now].made, hidden_seed_age(s->effort > 1, false));

    return tstamp_min(effort, seed);
}

bool hidden_work_settle(struct hidden_service *s, tstamp now)
{
    if (now >= s->turn_ends) {
        end_turn(s, now);
    }
    return now >= tell_at(s);
}

tstamp hidden_work_deadline(const struct hidden_service *s)
{
    return s->dirty ? s->turn_ends : tstamp_min(s->turn_ends, tell_at(s));
}

static const struct hidden_seed *find_seed(const struct hidden_service *s, const uint8_t *id,
                                           tstamp now)
{
    walltime wall = wall_now(&s->all->cfg.clock, now);

    for (size_t i = 0; i < HIDDEN_SEEDS; i++) {
        const struct hidden_seed *p = &s->seed[i];
        if (p->used && wall < p->expires && memcmp(p->seed, id, REND_WORK_ID_LEN) == 0) {
            return p;
        }
    }
    return NULL;
}

qudag_err hidden_work_check(struct hidden_service *s, struct hidden_meeting *m,
                            const struct hidden_slot *slot, const uint8_t *X, tstamp now)
{
    const struct slice list = {m->asked.ext, m->asked.ext_len};
    struct rend_work_task task;
    struct rend_work work;
    qudag_err err = rend_work_get(list, &work);

    m->effort = 0;
    if (err != QUDAG_OK) {
        return err == QUDAG_ENOTFOUND ? QUDAG_OK : err;
    }
    const struct hidden_seed *p = find_seed(s, work.seed_id, now);
    if (p == NULL) {
        return QUDAG_OK;
    }
    rend_work_task_make(&task, p->seed, work.effort, s->addr, slot->intro_key, X);
    err = s->all->cfg.work_check(&task, work.nonce);
    if (err == QUDAG_OK) {
        m->effort = work.effort;
        s->stats.proved++;
    }
    return err;
}

void hidden_work_came(struct hidden_service *s, const struct hidden_meeting *m)
{
    s->slot[m->slot].turn.came = true;
}

void hidden_work_lost(struct hidden_service *s, const struct hidden_meeting *m, tstamp now)
{
    struct hidden_turn *t = &s->slot[m->slot].turn;

    if (s->turn_ends == TSTAMP_NEVER) {
        begin_turn(s, true, now);
    }
    t->came = t->lost = true;
    t->lost_effort = m->effort > t->lost_effort ? m->effort : t->lost_effort;
}

void hidden_work_begun(struct hidden_service *s, const struct hidden_meeting *m)
{
    struct hidden_turn *t = &s->slot[m->slot].turn;

    t->least_effort = t->begun && t->least_effort < m->effort ? t->least_effort : m->effort;
    t->begun_effort = m->effort > t->begun_effort ? m->effort : t->begun_effort;
    t->begun = true;
}
