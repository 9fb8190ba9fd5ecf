/*
 * second.c - second-layer guards: the four relays of which one is the second hop of every longer circuit.
 *
 * Whoever makes us build circuits again and again would otherwise be next to the guard before long.  Each is held for
 * a random 1 to 12 days, the later of two draws; that one does not answer changes nothing for a day, as a hostile
 * guard may say so of any.  After Tor's vanguards-lite (proposal 333).  SPEC: path-selection 3a.
 */
#include "core/relays/relays_impl.h"

#include "base/assert.h"

#include <string.h>

#define DAY 86400
#define LIFE_MIN DAY /* s */
#define LIFE_MAX (12 * DAY)
#define GONE (2 * DAY) /* after its last descriptor has expired */
#define LAB_FAILURES 3

walltime relays_second_life(uint32_t draw1, uint32_t draw2)
{
    uint32_t span = LIFE_MAX - LIFE_MIN + 1;
    uint32_t a = draw1 % span, b = draw2 % span;

    return LIFE_MIN + (a > b ? a : b);
}

struct relays_second *relays_second_find(struct relays *r, const struct peer_id *peer)
{
    for (uint32_t i = 0; i < r->n_second; i++) {
        if (peer_id_eq(&r->second[i]->x.hop.peer, peer)) {
            return r->second[i];
        }
    }
    return NULL;
}

static void remove_at(struct relays *r, uint32_t ix)
{
    mem_free(r->cfg.mem, r->second[ix]);
    r->second[ix] = r->second[--r->n_second];
    relays_guards_note(r, RELAYS_DIRTY_NOW);
}

static bool over(const struct relays *r, const struct relays_second *s)
{
    if (r->cfg.lab && s->failures >= LAB_FAILURES) {
        return true;
    }
    uint32_t away = r->large ? RELAYS_SECOND_AWAY_S : RELAYS_AWAY_SMALL_S;
    return s->denied_s >= away ||
           (r->wall_sure && (s->until <= r->wall || s->x.expires + GONE <= r->wall ||
                             s->until > r->wall + LIFE_MAX + GONE));
}

/* How well |x| of the pool goes together with those it is to be beside. */
enum apart {
    APART_ALL, /* other networks and families than the rest and the primaries, all of which reach it */
    APART_REACHED, /* the first primary reaches it */
    APART_NOT,     /* another relay than the rest */
};

static bool beside_primaries(const struct relays *r, const struct relays_entry *x, enum apart how)
{
    uint8_t counted = relays_pool_ip(r);
    uint32_t n = how == APART_ALL ? RELAYS_PRIMARIES : how == APART_REACHED ? 1 : 0;

    for (uint32_t i = 0; i < r->n_guards && i < n; i++) {
        const struct relays_entry *g = &r->guard[i]->x;
        if (!relays_ip_reaches(g->ip, x->ip, counted) || !relays_compatible(r, g, x)) {
            return false;
        }
    }
    return true;
}

/* Whether |x| may be one of them, as far apart from them as |ctx|, an enum apart, says. */
static bool may_join(const struct relays *r, const struct relays_entry *x, const void *ctx)
{
    enum apart how = *(const enum apart *)ctx;

    if (!relays_entry_usable(r, x) || !beside_primaries(r, x, how)) {
        return false;
    }
    for (uint32_t i = 0; i < r->n_second; i++) {
        const struct relays_entry *other = &r->second[i]->x;
        if (peer_id_eq(&other->hop.peer, &x->hop.peer) ||
            (how == APART_ALL && !relays_compatible(r, other, x))) {
            return false;
        }
    }
    return true;
}

static bool draw_one(struct relays *r, enum apart how)
{
    const struct relays_entry *x = relays_pool_draw(r, may_join, &how);
    struct relays_second *s = x != NULL ? mem_alloc(r->cfg.mem, sizeof *s) : NULL;

    if (s == NULL) {
        return false;
    }
    s->x = *x;
    s->x.failures = 0;
    s->x.usable = 0;
    s->until = r->wall + relays_second_life(rng_u32(&r->cfg.rng), rng_u32(&r->cfg.rng));
    r->second[r->n_second++] = s;
    relays_guards_note(r, RELAYS_DIRTY_NOW);
    return true;
}

void relays_second_refresh(struct relays *r)
{
    for (uint32_t i = 0; i < r->n_second;) {
        if (over(r, r->second[i])) {
            remove_at(r, i);
        } else {
            i++;
        }
    }
    if (!r->settled) {
        return;
    }
    for (unsigned how = APART_ALL; how <= APART_NOT; how++) {
        while (r->n_second < RELAYS_SECOND_MAX && draw_one(r, (enum apart)how)) {
        }
    }
}

void relays_second_failed(struct relays *r, struct relays_second *s, tstamp now)
{
    if (s->failing) {
        s->denied_s +=
            relays_denied_more((now - s->failed_at) / NS_PER_S, r->worked_at > s->failed_at);
    }
    s->failing = true;
    s->failed_at = now;
    s->failures += s->failures < UINT32_MAX ? 1 : 0;
}

void relays_second_worked(struct relays_second *s)
{
    s->failing = false;
    s->denied_s = 0;
    s->failures = 0;
}

void relays_second_free(struct relays *r)
{
    for (uint32_t i = 0; i < r->n_second; i++) {
        mem_free(r->cfg.mem, r->second[i]);
    }
    r->n_second = 0;
}

bool relays_second_next(const struct relays *r, size_t *it, struct peer_id *peer)
{
    if (*it >= r->n_second) {
        return false;
    }
    *peer = r->second[(*it)++]->x.hop.peer;
    return true;
}
