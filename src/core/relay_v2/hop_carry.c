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

    if (!relayed_rule_data(&h->cfg.limit, s->passed, ev->data.len)) {
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
    if (!list_linked(&from->turn)) {
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

void hop_carry_turns(struct hop_service *h, tstamp now, struct acts *out)
{
    for (unsigned i = 0; i < TURNS_MAX && !list_empty(&h->turns); i++) {
        struct hop_side *s = LIST_ENTRY(h->turns.next, struct hop_side, turn);
        uint64_t n = s->owed;
        if (h->cfg.rate != 0) {
            n = n < HOP_QUANTUM ? n : HOP_QUANTUM;
            if (!limiter_take(&h->rate, n, now)) {
                return;
            }
        }
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
    if (list_empty(&h->turns)) {
        return TSTAMP_NEVER;
    }
    const struct hop_side *s = LIST_ENTRY(h->turns.next, struct hop_side, turn);
    uint64_t n = s->owed < HOP_QUANTUM ? s->owed : HOP_QUANTUM;
    return h->cfg.rate == 0 ? 0 : limiter_ready(&h->rate, n, h->rate.last);
}
