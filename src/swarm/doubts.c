/*
 * doubts.c - links whose peer proved another ML-DSA key than it is known by.
 *
 *   LINK_UP, other key ─ room ─▶ in doubt ─ swarm_doubt_next() ─▶ its successions are asked for over the link itself
 *                      └ none, or its former key ─▶ refused     ├ swarm_follow(), then swarm_doubt_end() ─▶ up
 *                                                               └ swarm_doubt_end() ─▶ EAUTH
 *
 * Until it ends the link counts as a dial or as one that comes in, holds a place, and carries streams of cores with
 * core_ops.doubts only.
 */
#include "swarm/doubts.h"
#include "swarm/meter_int.h"

#include <string.h>

#define DOUBTS_MAX 16 /* at once; of those that came in half, and DOUBTS_NET of one network */
#define DOUBTS_NET 2

static struct swarm_link *find(struct swarm *s, const struct peer_id *peer)
{
    struct swarm_peer *p = swarm_peer_get(s, peer);

    LIST_EACH(it, &s->links)
    {
        struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (p != NULL && l->doubt && l->peer == p) {
            return l;
        }
    }
    return NULL;
}

static bool room(struct swarm *s, const struct link_info *info)
{
    bool inbound = (info->props & LINK_INBOUND) != 0;
    uint32_t came = 0, all = 0, net = 0;

    LIST_EACH(it, &s->links)
    {
        const struct swarm_link *l = LIST_ENTRY(it, struct swarm_link, node);
        if (l->doubt) {
            all++;
            came += (l->props & LINK_INBOUND) != 0 ? 1 : 0;
            net += (l->props & LINK_INBOUND) != 0 && l->net == info->net ? 1 : 0;
        }
    }
    return all < DOUBTS_MAX && (!inbound || (came < DOUBTS_MAX / 2 && net < DOUBTS_NET));
}

bool swarm_doubts_asked(const struct swarm *s)
{
    for (unsigned i = 0; i < s->n_cores; i++) {
        if (s->core[i].ops->doubts) {
            return true;
        }
    }
    return false;
}

bool swarm_doubt_begin(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                       tstamp now)
{
    const struct swarm_proof *proof =
        l->peer != NULL ? swarm_pins_proof(&s->pins, &l->peer->id) : NULL;

    if (proof == NULL || !swarm_doubts_asked(s) || (!proof->has_pin && !l->wants) ||
        !info->has_pq_hash || (info->props & LINK_PQ_AUTH) == 0 || find(s, &l->peer->id) != NULL ||
        !room(s, info)) {
        return false;
    }
    if (swarm_rule_former(proof, info->pq_hash)) {
        char text[PEER_ID_TEXT_MAX];
        (void)peer_id_text(text, &l->peer->id);
        log_event(&s->cfg.log, LOG_WARN, "pin.former_key", LOG_NET("peer", text),
                  LOG_STR("why", "the peer came with the key that it had before its last change: a "
                                 "copy of its folder from before, or whoever took that key"));
        return false;
    }
    if (swarm_link_place(s, l, info, now) != QUDAG_OK) {
        return false;
    }
    l->doubt = true;
    l->props = info->props & (uint8_t)~LINK_ANON;
    l->net = info->net;
    return true;
}

bool swarm_doubt_next(struct swarm *s, struct swarm_doubt *out)
{
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
    return false;
}

void swarm_doubt_open(struct swarm *s, unsigned core, const struct act *a, const char *proto,
                      tstamp now)
{
    struct ev fail = {
        .type = EV_STREAM_FAIL, .cookie = a->cookie, .err = QUDAG_ENOMEM, .peer = &a->peer};
    struct swarm_link *l = find(s, &a->peer);
    struct swarm_pending *r =
        proto == NULL ? NULL : swarm_report_make(s, core, a->cookie, &a->peer);

    if (r == NULL) {
        swarm_deliver(s, core, &fail);
        return;
    }
    qudag_err err = l == NULL ? QUDAG_ECLOSED : swarm_stream_open(s, l, r, proto, now);
    if (err != QUDAG_OK) {
        swarm_report_fail(s, r, err);
    }
}

enum swarm_follow swarm_follow(struct swarm *s, const struct peer_id *peer,
                               const struct swarm_successor *next)
{
    struct swarm_link *l = find(s, peer);
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

void swarm_doubt_end(struct swarm *s, const struct peer_id *peer, tstamp now)
{
    struct swarm_link *l = find(s, peer);

    if (l != NULL) {
        l->doubt = false;
        swarm_link_believed(s, l, now);
    }
}
