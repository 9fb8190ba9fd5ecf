/* testkit_case.h - what the cases of this folder do with a world: publish, resolve, let time pass. */
#ifndef QUDAG_SRC_CORE_DARK_TESTKIT_CASE_H
#define QUDAG_SRC_CORE_DARK_TESTKIT_CASE_H

#include "core/dark/testkit.h"

/* Begins to publish |a|; what it is asked is not answered yet. */
static inline qudag_err publish_how(struct world *w, uint64_t cookie, const struct dark_addr *a,
                                    enum dark_publish_how how)
{
    const struct dark_publish_want want = {cookie, a, &w->self, NULL, how};

    return dark_publish(w->svc, &want, w->now, &w->acts);
}

/* One round, of a place of the current period that is drawn. */
static inline void publish(struct world *w)
{
    assert_int_equal(publish_how(w, 11, &w->addr, DARK_PUBLISH_NOW), QUDAG_OK);
    settle(w, w->svc);
}

static inline const struct up *last_up(const struct world *w)
{
    assert_true(w->n_up > 0);
    return &w->up[w->n_up - 1];
}

/* Runs both cores to |end|; ticks come when they want them. */
static inline void run_to(struct world *w, tstamp end)
{
    for (unsigned steps = 0; steps < 100000; steps++) {
        tstamp a = dark_deadline(w->svc), b = dark_deadline(w->cli);
        tstamp at = tstamp_min(a, b);
        if (at > end) {
            w->now = end;
            return;
        }
        w->now = at > w->now ? at : w->now;
        struct dark *d = a <= b ? w->svc : w->cli;
        dark_tick(d, w->now, &w->acts);
        settle(w, d);
    }
    fail_msg("it never rests");
}

/* Publishes and waits until both places of the current period have a record. */
static inline void publish_all(struct world *w)
{
    publish(w);
    run_to(w, w->now + 6 * HOUR);
    assert_non_null(store_at(w, dark_period(wall(w)), 0));
    assert_non_null(store_at(w, dark_period(wall(w)), 1));
}

/* Resolves the address; the pauses between questions pass. */
static inline const struct up *resolve(struct world *w)
{
    size_t before = w->n_up;

    assert_int_equal(
        dark_resolve(w->cli, &(struct dark_question){22, &w->addr, 0}, w->now, &w->acts), QUDAG_OK);
    settle(w, w->cli);
    while (w->n_up == before) {
        assert_true(dark_deadline(w->cli) < w->now + 130 * NS_PER_S);
        w->now = dark_deadline(w->cli);
        dark_tick(w->cli, w->now, &w->acts);
        settle(w, w->cli);
    }
    return last_up(w);
}

#endif
