/* check.c - when which address is tried again, and by whom. */
#include "core/reach/reach_int.h"

#define SOON (5 * NS_PER_S)   /* between two servers that are asked about an untried address */
#define DOUBT (60 * NS_PER_S) /* ... about one of which the last said something else than before */
#define SLOW (600 * NS_PER_S) /* ... about one on which those who were asked do not agree */
#define RETRY (1800 * NS_PER_S) /* ... about a refuted one */
#define SAID (1200 * NS_PER_S)  /* so long a network is not asked again about an address */

/* From one question about |c| to the next. */
static uint64_t pause_of(const struct reach_cand *c)
{
    bool some = c->word[0].net != 0;

    switch (c->look.verdict) {
    case REACH_CONFIRMED:
        return some && !c->word[0].yes ? DOUBT : REACH_HOUR;
    case REACH_REFUTED:
        return some && c->word[0].yes ? DOUBT : RETRY;
    default:
        return c->word[REACH_VOICES - 1].net == 0 ? SOON : SLOW;
    }
}

/* Of the observers' addresses those that more than one names: a single liar sends nobody anywhere. */
static bool is_worth_it(const struct reach *r, const struct reach_cand *c)
{
    return reach_rule_addr(&c->look.addr, r->lab) &&
           (c->sources != 1u << REACH_OBSERVED || reach_voices(r, &c->look.addr) >= REACH_SEEN_MIN);
}

size_t reach_to_check(const struct reach *r, struct multiaddr *out, size_t max, tstamp now,
                      tstamp *at)
{
    static const enum reach_verdict order[] = {REACH_UNTRIED, REACH_CONFIRMED, REACH_REFUTED};
    size_t n = 0;

    *at = TSTAMP_NEVER;
    for (size_t k = 0; k < ARRAY_LEN(order); k++) {
        for (size_t i = 0; i < r->n_cand; i++) {
            const struct reach_cand *c = &r->cand[i];
            if (c->look.verdict != order[k] || !is_worth_it(r, c)) {
                continue;
            }
            tstamp due = c->asked == 0 ? now : tstamp_after(c->asked, pause_of(c));
            if (due > now) {
                *at = tstamp_min(*at, due);
            } else if (n < max) {
                out[n++] = c->look.addr;
            }
        }
    }
    return n;
}

void reach_asked(struct reach *r, const struct multiaddr *addr, tstamp at)
{
    for (size_t i = 0; i < r->n_cand; i++) {
        if (multiaddr_eq(&r->cand[i].look.addr, addr)) {
            r->cand[i].asked = at;
        }
    }
}

bool reach_has_said(const struct reach *r, const struct multiaddr *addr, uint64_t net, tstamp now)
{
    for (size_t i = 0; i < r->n_cand; i++) {
        const struct reach_word *w = r->cand[i].word;
        if (!multiaddr_eq(&r->cand[i].look.addr, addr)) {
            continue;
        }
        for (size_t k = 0; k < REACH_VOICES && w[k].net != 0; k++) {
            if (w[k].net == net && now - w[k].at < SAID) {
                return true;
            }
        }
    }
    return false;
}
