/*
 * cache_test.c - a user of a node times his own resolutions, to learn which addresses another user of it has opened.
 *
 * Every two hours Alice opens half of the addresses, drawn; then Bob, each time as a user that the node has not seen,
 * asks for each and guesses from the time that took.  A time that parts both kinds best among half of his guesses
 * decides the others: he is right in 50 % by chance.  The table is in doc/performance.md.
 */
/* TEST: timeout=300 */
#include "sim/sight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPENED = 32, BOBS = 16, ROUNDS = 30, CONTROL_ROUNDS = 8, BEGIN_S = 7 * 3600 };
enum { GUESSES_MAX = OPENED * ROUNDS };
#define ALICE 1
#define DEVIATIONS_MAX 4.5

/* How Bob goes about it. */
struct attack {
    const char *name;
    double control; /* right guesses in percent with hide_cache off, at least */
    uint64_t
        slower_each; /* ns: the storers of the n-th address are slower by n times that; he knows */
    uint64_t own_slow; /* ns: he has addresses of his own, so slow, and opens them first; 0: none */
    bool twice;        /* he asks again, as another user, and compares */
    bool joins;        /* he asks 300 ms after her, when her lookup may be under way */
    bool watches; /* he asks again and again, as the same user: how long is he answered at once? */
    bool
        primes; /* many of his users ask before her: is the first of them still answered at once? */
};

/* What was asked in which order; answers come in the same. */
struct plan {
    const struct attack *a;
    bool opened[ROUNDS][OPENED];
    size_t first[ROUNDS][OPENED]; /* Bob's first question that counts */
    size_t n;
    uint64_t user;
};

struct guess {
    double v;
    bool opened;
};

struct guesses {
    size_t n;
    struct guess g[GUESSES_MAX];
};

static void plan_ask(struct sight *s, struct plan *p, double at, uint32_t service, uint64_t user)
{
    sight_ask(s, (tstamp)(at * 1e9), 0, service, user);
    p->n++;
}

/* What Bob does about one address at |at|; Alice has opened it since |begin|, or not. */
static void plan_bob(struct sight *s, struct plan *p, double begin, double at, uint32_t i)
{
    static const double probes[] = {30, 40, 48, 52}; /* min */
    uint64_t first = ++p->user;

    if (p->a->primes) {
        plan_ask(s, p, begin - 400 + 10.0 * i, i, first);
        for (int k = 1; k < 8; k++) {
            plan_ask(s, p, begin - 397 + 10.0 * i, i, ++p->user);
        }
    }
    plan_ask(s, p, at, i, first);
    if (p->a->twice) {
        plan_ask(s, p, at + 10, i, ++p->user);
    }
    for (int k = 0; p->a->watches && k < 4; k++) {
        plan_ask(s, p, at + 60 * probes[k], i, first);
    }
}

static void plan_round(struct sight *s, struct plan *p, int round)
{
    double begin = BEGIN_S + (double)round * (p->a->watches ? 11000 : 7200), at = begin + 1200;

    for (uint32_t i = 0; p->a->own_slow != 0 && i < BOBS; i++) {
        plan_ask(s, p, begin + 900 + 15.0 * i, OPENED + i, ++p->user);
    }
    for (uint32_t i = 0; i < OPENED; i++, at += 20) {
        p->opened[round][i] = sight_below(s, 2) == 0;
        if (p->opened[round][i]) {
            plan_ask(s, p, p->a->joins ? at - 0.3 : begin + sight_below(s, 800), i, ALICE);
        }
        p->first[round][i] = p->n + (p->a->primes ? 8 : 0);
        plan_bob(s, p, begin, at, i);
    }
}

static double seconds(const struct sight_answer *r)
{
    assert_int_equal(r->err, QUDAG_OK);
    assert_true(r->at >= r->asked);
    return (double)(r->at - r->asked) / 1e9;
}

/* What Bob makes of one address. */
static double score(const struct attack *a, const struct sight_answer *r, uint32_t i)
{
    double took = seconds(r) - (double)a->slower_each * i / 1e9, at_once = 0;

    for (int k = 1; a->watches && k <= 4; k++) {
        at_once += seconds(r + k) < 1e-3 ? 1 : 0;
    }
    if (a->watches) {
        return at_once;
    }
    if (a->twice) {
        return fabs(took - seconds(r + 1));
    }
    return a->slower_each > 0 ? fabs(took - 1.6) : took;
}

static void run(struct guesses *out, const struct attack *a, bool show_cache)
{
    static struct plan p; /* large */
    const struct sight_case c = {.services = OPENED + (a->own_slow != 0 ? BOBS : 0),
                                 .readers = 1,
                                 .days = 5,
                                 .delay_max_ns = 100 * NS_PER_MS,
                                 .show_cache = show_cache};
    struct sight *s;
    size_t n;
    int rounds = show_cache ? CONTROL_ROUNDS : ROUNDS;

    p = (struct plan){.a = a, .user = 1000};
    out->n = 0;
    assert_true(sight_new(&s, &c, 23));
    for (uint32_t i = 0; i < c.services; i++) {
        sight_slow(s, i, i < OPENED ? a->slower_each * i : a->own_slow);
    }
    for (int round = 0; round < rounds; round++) {
        plan_round(s, &p, round);
    }
    sight_run(s, (BEGIN_S + (uint64_t)rounds * (a->watches ? 11000 : 7200)) * NS_PER_S);
    const struct sight_answer *r = sight_answers(s, &n);
    assert_int_equal(n, p.n);
    for (int round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < OPENED; i++) {
            out->g[out->n++] =
                (struct guess){score(a, &r[p.first[round][i]], i), p.opened[round][i]};
        }
    }
    sight_free(s);
}

/* Right guesses of the |from|-th and each second after it, if what is below |limit| was opened, in percent. */
static double right(const struct guesses *g, size_t from, double limit)
{
    double n = 0, good = 0;

    for (size_t i = from; i < g->n; i += 2) {
        good += (g->g[i].v < limit) == g->g[i].opened ? 1 : 0;
        n++;
    }
    return 100 * good / n;
}

/* The limit that parts every second guess best decides the others. */
static double success(const struct guesses *g)
{
    double best = 50, limit = 0;
    bool above = false;

    for (size_t i = 0; i < g->n; i += 2) {
        double r = right(g, 0, g->g[i].v + 1e-6);
        if (r > best || 100 - r > best) {
            best = fmax(r, 100 - r);
            limit = g->g[i].v + 1e-6;
            above = 100 - r > r;
        }
    }
    double r = right(g, 1, limit);
    return above ? 100 - r : r;
}

static void attack(const struct attack *a)
{
    static struct guesses g; /* large */
    double shown = 0;

    if (a->control > 0) {
        run(&g, a, true);
        shown = success(&g);
    }
    run(&g, a, false);
    double hidden = success(&g);
    print_message("%s: right in %.1f %% of %zu guesses, with hide_cache off in %.1f %%\n", a->name,
                  hidden, g.n / 2, shown);
    assert_true(shown >= a->control);
    assert_true(fabs(hidden - 50) < DEVIATIONS_MAX * 50 / sqrt((double)g.n / 2));
}

static void he_takes_the_time(void **state)
{
    (void)state;
    attack(&(struct attack){.name = "he takes the time", .control = 95});
}

static void he_asks_twice(void **state)
{
    (void)state;
    attack(&(struct attack){.name = "he asks twice", .control = 95, .twice = true});
}

static void he_asks_while_she_does(void **state)
{
    (void)state;
    attack(&(struct attack){.name = "he asks 0.3 s after her", .control = 65, .joins = true});
}

static void he_knows_how_long_each_address_takes(void **state)
{
    (void)state;
    attack(&(struct attack){.name = "he knows how long each address takes",
                            .control = 95,
                            .slower_each = 100 * NS_PER_MS});
}

static void he_makes_the_last_lookups_slow(void **state)
{
    (void)state;
    attack(&(struct attack){.name = "he opens addresses of his own first, which take 8 s longer",
                            .control = 95,
                            .own_slow = 8 * NS_PER_S});
}

static void he_watches_when_it_is_forgotten(void **state)
{
    (void)state;
    attack(&(struct attack){
        .name = "he watches when it is forgotten", .control = 65, .watches = true});
}

/* Off, there is nothing to be seen this way: who knows is not remembered. */
static void he_watches_who_is_forgotten(void **state)
{
    (void)state;
    attack(&(struct attack){.name = "he watches which of his users is forgotten", .primes = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(he_takes_the_time),
        cmocka_unit_test(he_asks_twice),
        cmocka_unit_test(he_asks_while_she_does),
        cmocka_unit_test(he_knows_how_long_each_address_takes),
        cmocka_unit_test(he_makes_the_last_lookups_slow),
        cmocka_unit_test(he_watches_when_it_is_forgotten),
        cmocka_unit_test(he_watches_who_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
