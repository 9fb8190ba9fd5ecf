/*
 * doubts.c - links whose peer proved another ML-DSA key than it is known by.
 *
 *   LINK_UP, other key ─ room ─▶ in doubt ─ swarm_doubt_next() ─▶ its successions are asked for over the link itself
 *                      └ none, or its former key ─▶ refused     ├ swarm_follow(), then swarm_doubt_end() ─▶ up
 *                                                               └ swarm_doubt_end() ─▶ EAUTH, or what is lacking here
 *
 * Until it ends the link counts as a dial or as one that comes in, holds a place, and carries streams of cores with
 * core_ops.doubts only.
 */
#include "swarm/doubts.h"

#include <string.h>

/* This is asked after every event, mostly for nothing. */
bool swarm_doubt_next(struct swarm *s, struct swarm_doubt *out)
{
    if (!s->doubts_new) {
        return false;
    }
    LIST_EACH(it, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        struct link_info info;
        if (!l->doubt || l->doubt_told || swarm_link_info(l, &info) != QUDAG_OK) {
            continue;
        }
        const struct swarm_proof *proof = swarm_pins_proof(&s->pins, &l->peer->id);
        l->doubt_told = true;
        *out = (struct swarm_doubt){.peer = l->peer->id, .has_former = proof->has_former};
        bool other = proof->has_pin && memcmp(proof->pin, info.pq_hash, sizeof(out->pin)) != 0;
        memcpy(out->pin, other ? proof->pin : l->want, sizeof(out->pin));
        memcpy(out->former, proof->former, sizeof(out->former));
        memcpy(out->now, info.pq_hash, sizeof(out->now));
        return true;
    }
    s->doubts_new = false;
    return false;
}

enum swarm_follow swarm_follow(struct swarm *s, const struct peer_id *peer,
                               const struct swarm_successor *next)
{
    struct swarm_link *l = swarm_doubt_find(s, peer);
    bool known = swarm_pins_proof(&s->pins, peer)->has_pin;
    enum swarm_follow verdict = swarm_pins_follow(&s->pins, peer, next);

    if (l != NULL && l->wants && memcmp(l->want, next->from, sizeof(l->want)) == 0 &&
        (verdict == SWARM_FOLLOW || !known)) {
        memcpy(l->want, next->to, sizeof(l->want));
        verdict = SWARM_FOLLOW;
    }
    s->stats.pins_followed += verdict == SWARM_FOLLOW ? 1 : 0;
    s->stats.pins_conflicts += verdict == SWARM_FOLLOW_CONFLICT ? 1 : 0;
    return verdict;
}

void swarm_doubt_end(struct swarm *s, const struct peer_id *peer, qudag_err why, tstamp now)
{
    struct swarm_link *l = swarm_doubt_find(s, peer);

    if (l != NULL) {
        swarm_doubt_set(l, false);
        swarm_link_believed(s, l, why, now);
    }
}
