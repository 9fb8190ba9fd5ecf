/*
 * blame.c - relays that failed or worked as hops: who says so, and what follows.
 *
 *   hop 1     our own link says it: its guard is tried again later (guards.c), and left out meanwhile
 *   hop 2     its guard says it: left out for a while, and replaced after a day (second.c)
 *   hop 3     a second-layer guard says it: left out behind that one; behind all once two of them say it
 *   hop 4 ..  a relay says it that is another with each circuit: nothing follows
 *
 * Whoever passes a circuit on may say of any relay that it does not answer, and so thin out who comes behind it until
 * its friends are left.  What it says reaches no farther than its own place, and a second-layer guard is believed of
 * few relays at a time.
 */
#include "core/relays/relays_impl.h"

#define FAIL_WAIT (60 * NS_PER_S)
#define FAIL_WAIT_MAX (3600 * NS_PER_S)

/* ---- rules ---- */

bool relays_rule_left_out(bool before_it, uint32_t others)
{
    return before_it || others >= RELAYS_WORDS_AGREE;
}

/* How long a relay is left out that failed |failures| times in a row before. */
static uint64_t wait_for(uint32_t failures)
{
    uint64_t wait = FAIL_WAIT << (failures > 6 ? 6 : failures);

    return wait > FAIL_WAIT_MAX ? FAIL_WAIT_MAX : wait;
}

/* ---- what second-layer guards say ---- */

static struct relays_word *word_of(struct relays_second *s, uint64_t about)
{
    struct relays_word *old = &s->word[0];

    for (size_t i = 0; i < RELAYS_WORDS_MAX; i++) {
        if (s->word[i].until != 0 && s->word[i].about == about) {
            return &s->word[i];
        }
        old = s->word[i].until < old->until ? &s->word[i] : old;
    }
    *old = (struct relays_word){.about = about};
    return old;
}

static bool says(const struct relays_second *s, uint64_t about, tstamp now)
{
    for (size_t i = 0; i < RELAYS_WORDS_MAX; i++) {
        if (s->word[i].until > now && s->word[i].about == about) {
            return true;
        }
    }
    return false;
}

static void word_add(const struct relays *r, struct relays_second *s, const struct peer_id *peer,
                     tstamp now)
{
    struct relays_word *w = word_of(s, relays_rank(r, peer));

    w->until = tstamp_after(now, wait_for(w->failures));
    w->failures += w->failures < UINT32_MAX ? 1 : 0;
}

static void words_forget(struct relays *r, const struct peer_id *peer)
{
    uint64_t about = relays_rank(r, peer);

    for (uint32_t i = 0; i < r->n_second; i++) {
        for (size_t k = 0; k < RELAYS_WORDS_MAX; k++) {
            struct relays_word *w = &r->second[i]->word[k];
            *w = w->about == about ? (struct relays_word){0} : *w;
        }
    }
}

bool relays_left_out(const struct relays *r, const struct relays_second *before,
                     const struct peer_id *peer, tstamp now)
{
    uint64_t about = relays_rank(r, peer);
    uint32_t others = 0;

    for (uint32_t i = 0; i < r->n_second; i++) {
        others += r->second[i] != before && says(r->second[i], about, now) ? 1 : 0;
    }
    return relays_rule_left_out(before != NULL && says(before, about, now), others);
}

/* ---- what is known of one relay ---- */

/* Of the pool, and the copy of a second-layer guard. */
static void entries_failed(struct relays *r, const struct peer_id *peer, tstamp now)
{
    struct relays_second *s = relays_second_find(r, peer);
    struct relays_entry *v[] = {relays_find(r, peer), s != NULL ? &s->x : NULL};

    if (s != NULL) {
        relays_second_failed(r, s, now);
    }
    for (size_t i = 0; i < 2; i++) {
        if (v[i] != NULL) {
            v[i]->usable = tstamp_after(now, wait_for(v[i]->failures));
            v[i]->failures += v[i]->failures < UINT32_MAX ? 1 : 0;
        }
    }
}

static void entries_worked(struct relays *r, const struct peer_id *peer)
{
    struct relays_second *s = relays_second_find(r, peer);
    struct relays_entry *v[] = {relays_find(r, peer), s != NULL ? &s->x : NULL};

    for (size_t i = 0; i < 2; i++) {
        if (v[i] != NULL) {
            v[i]->failures = 0;
            v[i]->usable = 0;
        }
    }
    if (s != NULL) {
        relays_second_worked(s);
    }
    words_forget(r, peer);
}

void relays_failed(struct relays *r, const struct peer_id *peer, tstamp now)
{
    struct relays_guard *g = relays_guards_find(r, peer);

    if (g != NULL) {
        relays_guards_failed(r, g, now);
    }
    entries_failed(r, peer, now);
}

void relays_worked(struct relays *r, const struct peer_id *peer, tstamp now)
{
    struct relays_guard *g = relays_guards_find(r, peer);

    r->worked_at = now;
    if (g != NULL) {
        relays_guards_worked(r, g);
    }
    entries_worked(r, peer);
    relays_heard(r, peer, now);
}

/* ---- hops of a path ---- */

void relays_hop_failed(struct relays *r, const struct onion_hop *path, size_t hop, tstamp now)
{
    struct relays_second *s = hop == 3 ? relays_second_find(r, &path[1].peer) : NULL;

    if (hop == 1) {
        relays_failed(r, &path[0].peer, now);
    } else if (hop == 2) {
        entries_failed(r, &path[1].peer, now);
    } else if (s != NULL) {
        word_add(r, s, &path[2].peer, now);
    }
}

void relays_hops_worked(struct relays *r, const struct onion_hop *path, size_t n, tstamp now)
{
    for (size_t i = 0; i < n; i++) {
        if (i == 0) {
            relays_worked(r, &path[0].peer, now);
        } else { /* that a guard works behind another does not say that it answers us */
            entries_worked(r, &path[i].peer);
            relays_heard(r, &path[i].peer, now);
        }
    }
}
