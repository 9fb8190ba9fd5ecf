/*
 * arrow_succession_swarm.c - pins follow a peer's ML-DSA key to its successor.
 *
 *   swarm ─ a link in doubt ─▶ succession: who followed the pinned key? ─ statement ─▶ checked ─▶ the pin moves, and
 *                                                                        asked again until it is the link's key
 *                                           nobody did ─▶ who followed the key before it?  Two successors: alarm
 *   the doubt ends ─▶ swarm: the link comes up, or ends with EAUTH; where we could not ask, with what we lack
 */
#include "node/internal.h"

#include "base/text.h"

#include <string.h>

/* What one doubt is at; found by its peer, of which there is one. */
static struct node_doubt *doubt_of(struct node *n, const struct peer_id *peer)
{
    for (size_t i = 0; i < NODE_DOUBTS_MAX; i++) {
        if (n->doubts.at[i].used && peer_id_eq(&n->doubts.at[i].what.peer, peer)) {
            return &n->doubts.at[i];
        }
    }
    return NULL;
}

/* |why|: what kept us from asking; OK: its key is what counts. */
static void end(struct node *n, struct node_doubt *d, qudag_err why)
{
    struct peer_id peer = d->what.peer;

    d->used = false;
    swarm_doubt_end(n->swarm, &peer, why, n->now);
}

static void ask(struct node *n, struct node_doubt *d, const uint8_t key[32])
{
    struct acts *out = node_begin(n);
    qudag_err err = successions_ask(&n->successions, &d->what.peer, key, d->id, n->now, out);

    memcpy(d->asked, key, sizeof(d->asked));
    node_end(n, n->ix.successions);
    if (err != QUDAG_OK) {
        end(n, d, err);
    }
}

/* Two successors of one key: somebody else has it. */
static void alarm(const struct node *n, const struct node_doubt *d, const struct succession *s)
{
    char peer[PEER_ID_TEXT_MAX], ours[65], theirs[65];

    if (!swarm_key_said(n->swarm, n->now)) {
        return; /* counted as pins_conflicts */
    }
    (void)peer_id_text(peer, &d->what.peer);
    (void)hex_encode(ours, sizeof(ours), (struct slice){d->what.pin, 32});
    (void)hex_encode(theirs, sizeof(theirs), (struct slice){s->to, 32});
    log_event(&n->cfg.log, LOG_ERROR, "pin.two_successors", LOG_NET("peer", peer),
              LOG_NET("pinned", ours), LOG_NET("refused", theirs),
              LOG_STR("why",
                      "two keys claim to follow the peer's former one, so that somebody else "
                      "has that; the pin stays.  Ask its owner which hash is his"));
}

/* Nobody followed the key that was asked for. */
static void none(struct node *n, struct node_doubt *d)
{
    if (d->what.has_former && !d->former) {
        d->former = true;
        ask(n, d, d->what.former);
    } else {
        end(n, d, QUDAG_OK);
    }
}

/* A statement that was checked, of the peer, for the key that was asked for. */
static void told(struct node *n, struct node_doubt *d, const struct succession *s)
{
    struct swarm_successor next = {.seq = s->seq};
    char peer[PEER_ID_TEXT_MAX];

    memcpy(next.from, s->from, sizeof(next.from));
    memcpy(next.to, s->to, sizeof(next.to));
    enum swarm_follow verdict = swarm_follow(n->swarm, &d->what.peer, &next);
    if (n->hooks.pin_changed != NULL && verdict != SWARM_FOLLOW_LATE) {
        n->hooks_called++;
        n->hooks.pin_changed(n->hooks.ctx, s, verdict);
    }
    switch (verdict) {
    case SWARM_FOLLOW:
        (void)peer_id_text(peer, &d->what.peer);
        if (swarm_key_said(n->swarm, n->now)) {
            log_event(&n->cfg.log, LOG_INFO, "pin.followed", LOG_NET("peer", peer),
                      LOG_NUM("sequence", (int64_t)s->seq));
        }
        memcpy(d->what.pin, s->to, sizeof(d->what.pin));
        d->steps++;
        if (node_rule_doubt_goes_on(d->what.pin, d->what.now, d->steps)) {
            ask(n, d, d->what.pin);
            return;
        }
        break;
    case SWARM_FOLLOW_CONFLICT:
        alarm(n, d, s);
        break;
    case SWARM_FOLLOW_LATE:
        break;
    }
    end(n, d, QUDAG_OK);
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    struct node_doubt *d = doubt_of(n, &a->peer);
    struct succession s = {.seq = 0};

    if (d == NULL || a->cookie != d->id) {
        return; /* of a doubt that ended with its link */
    }
    if (a->err == QUDAG_ENOTFOUND) {
        none(n, d);
        return;
    }
    qudag_err err = a->err;
    if (err == QUDAG_OK) {
        err = succession_check(&s, (struct slice){a->ptr, SUCCESSION_LEN}, node_wall(n, now));
    }
    if (err == QUDAG_OK &&
        (!peer_id_eq(&s.peer, &a->peer) || memcmp(s.from, d->asked, sizeof(d->asked)) != 0)) {
        err = QUDAG_EAUTH;
    }
    if (err == QUDAG_OK) {
        told(n, d, &s);
        return;
    }
    if (swarm_key_said(n->swarm, now)) {
        log_event(&n->cfg.log, LOG_WARN, "pin.not_followed", LOG_ERR(err));
    }
    end(n, d, node_rule_doubt_ours(err) ? err : QUDAG_OK);
}

bool node_rule_doubt_ours(qudag_err err)
{
    return err == QUDAG_ENOMEM || err == QUDAG_ECANCELED;
}

bool node_rule_doubt_goes_on(const uint8_t pin[32], const uint8_t now[32], unsigned steps)
{
    return memcmp(pin, now, 32) != 0 && steps < SUCCESSION_KEPT;
}

void node_succession_doubts(struct node *n)
{
    struct swarm_doubt w;

    while (swarm_doubt_next(n->swarm, &w)) {
        struct node_doubt *d = doubt_of(n, &w.peer);
        for (size_t i = 0; i < NODE_DOUBTS_MAX && d == NULL; i++) {
            d = n->doubts.at[i].used ? NULL : &n->doubts.at[i];
        }
        if (d == NULL) {
            swarm_doubt_end(n->swarm, &w.peer, QUDAG_ELIMIT, n->now);
            continue;
        }
        *d = (struct node_doubt){.used = true, .id = ++n->doubts.last_id, .what = w};
        ask(n, d, w.pin);
    }
}

static void free_core(void *core)
{
    successions_fini(core);
}

qudag_err node_succession_init(struct node *n)
{
    struct node_core core = {.name = "succession",
                             .instance = &n->successions,
                             .ops = &successions_ops,
                             .report = report,
                             .free = free_core};

    successions_init(&n->successions, n->mem);
    return node_core_add(n, &core, SUCCESSIONS_PROTOCOL, &n->ix.successions);
}
