/*
 * hop_carry.c - bytes between the two streams of a circuit.
 *
 *   came in on a ─▶ queue of b ─ left ▶ owed to a ─ turn, rate ▶ credit for a
 *
 * What a circuit has queued is never more than the window of its two streams: no credit goes back for what waits.
 */
#include "core/relay_v2/hop_int.h"

#define TURNS_MAX 128 /* in one go */

void hop_carry_data(struct hop_service *h, struct hop_side *s, const struct ev *ev,
                    struct acts *out)
{
    struct hop_side *to = hop_other(s);

    if (!relayed_rule_data(&s->job->limit, s->passed, ev->data.len)) {
        h->stats.ended_by_limit++;
        hop_job_end(h, s->job, QUDAG_ELIMIT, out);
        return;
    }
    s->passed += ev->data.len;
    h->stats.bytes += ev->data.len;
    if (ev->keep != NULL) {
        (void)acts_write_kept(out, to->strm, ev->data, ev->keep);
    } else {
        acts_write(out, to->strm, ev->data.base, ev->data.len);
    }
}

void hop_carry_sent(struct hop_service *h, struct hop_side *s, uint64_t n, tstamp now,
                    struct acts *out)
{
    uint64_t own = n < s->own ? n : s->own;
    struct hop_side *from = hop_other(s);

    s->own -= own;
    n -= own;
    if (n == 0 || ref_none(from->strm)) {
        return;
    }
    from->owed += n;
    if (!list_linked(&from->turn) && from->wait.ix == 0) {
        list_push_back(&h->turns, &from->turn);
    }
    hop_carry_turns(h, now, out);
}

void hop_carry_fin(struct hop_service *h, struct hop_side *s, struct acts *out)
{
    s->fin = true;
    acts_fin(out, hop_other(s)->strm);
    if (hop_other(s)->fin) { /* what is queued still leaves */
        hop_job_free(h, s->job);
    }
}

static bool is_paced(const struct hop_service *h)
{
    return (h->cfg.rate | h->cfg.rate_peer | h->cfg.rate_circuit) != 0;
}

/* Those that a rate of their own held back, and does no more, stand behind the others. */
static void wake(struct hop_service *h, tstamp now)
{
    struct heap_node *t;

    while ((t = heap_top(&h->waits)) != NULL && t->at <= now) {
        struct hop_side *s = LIST_ENTRY(t, struct hop_side, wait);
        heap_del(&h->waits, t);
        list_push_back(&h->turns, &s->turn);
    }
}

static uint64_t turn_of(const struct hop_service *h, const struct hop_side *s)
{
    return s->owed < HOP_QUANTUM || !is_paced(h) ? s->owed : HOP_QUANTUM;
}

void hop_carry_turns(struct hop_service *h, tstamp now, struct acts *out)
{
    wake(h, now);
    for (unsigned i = 0; i < TURNS_MAX && !list_empty(&h->turns); i++) {
        struct hop_side *s = LIST_ENTRY(h->turns.next, struct hop_side, turn);
        uint64_t n = turn_of(h, s);
        tstamp at = hop_peer_ready(h, s, n, now);
        if (at > now) {
            list_del(&s->turn);
            (void)!heap_set(&h->waits, &s->wait, at); /* there is room for both sides of each */
            continue;
        }
        if (h->cfg.rate != 0 && !limiter_take(&h->rate, n, now)) {
            return;
        }
        hop_peer_take(h, s, n, now);
        s->owed -= n;
        acts_consume(out, s->strm, (size_t)n);
        list_del(&s->turn);
        if (s->owed > 0) {
            list_push_back(&h->turns, &s->turn);
        }
    }
}

tstamp hop_carry_at(const struct hop_service *h)
{
    const struct heap_node *t = heap_top(&h->waits);
    tstamp at = t != NULL ? t->at : TSTAMP_NEVER;

    if (list_empty(&h->turns)) {
        return at;
    }
    const struct hop_side *s = LIST_ENTRY(h->turns.next, struct hop_side, turn);
    return h->cfg.rate == 0 ? 0
                            : tstamp_min(at, limiter_ready(&h->rate, turn_of(h, s), h->rate.last));
}
