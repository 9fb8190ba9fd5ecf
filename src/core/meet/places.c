/*
 * places.c - who of those that ask has a place; see meet_int.h and spec/meet.md 8.
 *
 *   the door   a peer's stream is open, nobody here has said that it may meet: the oldest of the network with most goes
 *   placed     it may: a peer that the program named gets in, whoever else is there; others have their turn
 */
#include "core/meet/meet_int.h"

static bool is_placed(const struct meeting *mt)
{
    return mt != NULL && !mt->over && !mt->initiator && mt->allowed;
}

static bool is_at_door(const struct meeting *mt)
{
    return mt != NULL && !mt->over && !mt->initiator && !mt->allowed;
}

/* Those of one kind, and which they are. */
static size_t held_by(const struct meet *m, bool (*is)(const struct meeting *),
                      struct meet_place held[MEET_MEETINGS_MAX],
                      struct meeting *which[MEET_MEETINGS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        struct meeting *mt = m->v[i];
        if (is(mt)) {
            which[n] = mt;
            held[n++] = (struct meet_place){.net = mt->net,
                                            .named = mt->allowed && mt->own.named,
                                            .since = mt->allowed ? mt->placed : mt->began,
                                            .nth = mt->cookie};
        }
    }
    return n;
}

/* It says nothing of what we may ask of the peer. */
static void sent_away(struct meeting *mt, enum meet_end tell, tstamp now, struct acts *out)
{
    meet_over(mt,
              &(struct meet_ending){tell == 0 ? MEET_BROKEN : MEET_NOT_NOW, QUDAG_ELIMIT,
                                    "others asked as well", tell},
              now, out);
    mt->mem->look.next_try = now;
    mt->mem->failures = 0;
}

void meet_door_clear(struct meet *m, tstamp now, struct acts *out)
{
    struct meet_place held[MEET_MEETINGS_MAX];
    struct meeting *which[MEET_MEETINGS_MAX];
    size_t n = held_by(m, is_at_door, held, which);

    if (n >= MEET_DOOR_MAX) { /* whoever comes may be named: nobody at the door is known to be */
        size_t i = meet_rule_gives_way(held, n, &(struct meet_place){.named = true}, now);
        sent_away(which[i], 0, now, out);
    }
}

bool meet_place_take(struct meeting *mt, bool named, tstamp now, struct acts *out)
{
    struct meet_place held[MEET_MEETINGS_MAX];
    struct meeting *which[MEET_MEETINGS_MAX];
    const struct meet_place asks = {.net = mt->net, .named = named};
    size_t n = held_by(mt->m, is_placed, held, which);

    if (n >= MEET_INBOUND_MAX) {
        size_t i = meet_rule_gives_way(held, n, &asks, now);
        sent_away(i < n ? which[i] : mt, MEET_END_BUSY, now, out);
        if (i == n) {
            return false;
        }
    }
    mt->placed = now;
    if (!named) {
        mt->limit = tstamp_min(mt->limit, tstamp_after(now, MEET_LIMIT_UNNAMED));
    }
    return true;
}
