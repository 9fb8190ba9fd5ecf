/*
 * departed.c - contacts that left the table.
 *
 *   left the table --> asked every 45 s +- 30 %, one of all --answers--> out, |heal|     8 times silent --> out
 */
#include "core/kad/routing/departed.h"

#define PAUSE (45 * NS_PER_S)
#define PAUSE_BACK NS_PER_S /* after one came back: the others are likely to */
#define ASKED_MAX 8         /* then it is given up */

void kad_departed_init(struct kad_departed *d)
{
    *d = (struct kad_departed){.next = TSTAMP_NEVER};
}

static void departed_remove(struct kad_departed *d, size_t i)
{
    kad_contact_unref(d->c[i]);
    d->n--;
    d->c[i] = d->c[d->n];
    d->asked[i] = d->asked[d->n];
}

void kad_departed_fini(struct kad_departed *d)
{
    while (d->n > 0) {
        departed_remove(d, d->n - 1);
    }
}

void kad_departed_add(struct kad_departed *d, struct kad_contact *c, struct rng *rng, tstamp now)
{
    if (c->info->n_addrs == 0) {
        return;
    }
    if (d->n == KAD_DEPARTED_MAX) {
        departed_remove(d, rng_below(rng, KAD_DEPARTED_MAX));
    }
    if (d->n == 0) {
        d->next = tstamp_after(now, rng_jitter(rng, PAUSE, 300));
    }
    d->asked[d->n] = 0;
    d->c[d->n++] = kad_contact_ref(c);
}

void kad_departed_answered(struct kad_departed *d, const struct kad_contact *c, tstamp now)
{
    for (size_t i = 0; i < d->n; i++) {
        if (kad_contact_same(d->c[i], c)) {
            departed_remove(d, i);
            d->next = tstamp_after(now, PAUSE_BACK);
            d->heal = true;
            return;
        }
    }
}

struct kad_contact *kad_departed_draw(struct kad_departed *d, struct rng *rng, tstamp now)
{
    d->next = TSTAMP_NEVER;
    if (d->n == 0) {
        return NULL;
    }
    size_t i = rng_below(rng, (uint32_t)d->n);
    struct kad_contact *c = kad_contact_ref(d->c[i]);
    if (++d->asked[i] >= ASKED_MAX) {
        departed_remove(d, i);
    }
    d->next = tstamp_after(now, rng_jitter(rng, PAUSE, 300));
    return c;
}
