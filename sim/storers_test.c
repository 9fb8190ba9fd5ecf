/*
 * storers_test.c - all storers of all places together try to tell which records of two periods, or of two replicas,
 * are one address's: by times and numbers, by the relays that bring and ask, by when and how often they ask.
 *
 * For each series (what is seen of one place) the attacker guesses, among those of all services in another place, the
 * one of the same service: the most alike by a score, or by all scores together.  He is right once in SERVICES times by
 * chance; the mean share of wrong ones that are more alike than the right one is 1/2 by chance.  The table is in
 * doc/performance.md.
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

enum { SERVICES = 40, READERS = 80, READ_BY_EACH = 2, DAYS = 5, FIRST = 2, SEEN_MAX = 1024 };
#define DEVIATIONS_MAX 4.5 /* by chance once in 147,000 times; the draws here are always the same */

struct seen {
    double at; /* s */
    uint32_t exit;
    double number, not_before, expires; /* of a record */
    uint64_t low;                       /* its number's last bits */
};

/* What is seen of one place. */
struct series {
    size_t n, gets;
    struct seen put[64], get[SEEN_MAX];
};

struct sight_log {
    struct series s[SERVICES][DAYS + 2][DARK_REPLICAS];
};

/* How often and when readers ask. */
struct reading {
    bool habits;  /* each once a day, at a minute of its own */
    bool popular; /* the first services far more than the last */
};

/* --- the world ------------------------------------------------------------------------------- */

static void readers_plan(struct sight *s, const struct reading *how)
{
    for (uint32_t r = 0; r < READERS; r++) {
        for (uint32_t k = 0; k < READ_BY_EACH; k++) {
            uint32_t service = (r + k * 17) % SERVICES;
            uint32_t minute = sight_below(s, 1440);
            uint32_t times = how->habits    ? DAYS
                             : how->popular ? DAYS * (1 + 16 / (1 + service / 4))
                                            : DAYS * 4;
            for (uint32_t i = 0; i < times; i++) {
                uint32_t at = how->habits ? i * 86400 + minute * 60 + sight_below(s, 120)
                                          : sight_below(s, DAYS * 86400);
                sight_ask(s, (2 + (uint64_t)at) * NS_PER_S, r, service, 0);
            }
        }
    }
}

static void note(struct sight_log *g, const struct sight_event *e)
{
    struct series *s = &g->s[e->service][e->day][e->replica];
    struct seen *v = e->put ? &s->put[s->n++] : &s->get[s->gets++];

    assert_true(s->n < 64 && s->gets < SEEN_MAX);
    *v = (struct seen){.at = (double)e->at / 1e9,
                       .exit = e->exit,
                       .number = (double)e->number,
                       .not_before = (double)(e->not_before - SIGHT_START),
                       .expires = (double)(e->expires - SIGHT_START),
                       .low = e->number % 256};
}

static struct sight_log *watch(bool keeps_exit, const struct reading *how)
{
    const struct sight_case c = {.services = SERVICES,
                                 .readers = READERS,
                                 .days = DAYS,
                                 .delay_max_ns = 100 * NS_PER_MS,
                                 .keeps_exit = keeps_exit};
    struct sight_log *g = calloc(1, sizeof *g);
    struct sight *s;
    size_t n;

    assert_non_null(g);
    assert_true(sight_new(&s, &c, 19));
    readers_plan(s, how);
    sight_run(s, DAYS * SIGHT_DAY);
    const struct sight_event *e = sight_events(s, &n);
    for (size_t i = 0; i < n; i++) {
        note(g, &e[i]);
    }
    sight_free(s);
    return g;
}

/* --- scores: the more alike, the higher ------------------------------------------------------ */

typedef double score(const struct series *a, const struct series *b);

static double apart(double x, double y, double modulus)
{
    double d = fmod(fabs(x - y), modulus);

    return d > modulus / 2 ? modulus - d : d;
}

static double nearest(const struct series *a, const struct series *b, double modulus)
{
    double best = 1e18;

    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < b->n; k++) {
            best = fmin(best, apart(a->put[i].at, b->put[k].at, modulus));
        }
    }
    return -best;
}

static double put_together(const struct series *a, const struct series *b)
{
    return nearest(a, b, 1e9);
}

static double put_in_the_same_minute(const struct series *a, const struct series *b)
{
    return nearest(a, b, 3600);
}

static double near_numbers(const struct series *a, const struct series *b)
{
    return -fabs(a->put[0].number - b->put[0].number);
}

static double equal_low_bits(const struct series *a, const struct series *b)
{
    double equal = 0;

    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < b->n; k++) {
            equal += a->put[i].low == b->put[k].low ? 1 : 0;
        }
    }
    return equal;
}

static double clock_of(const struct series *s)
{
    double sum = 0;

    for (size_t i = 0; i < s->n; i++) {
        sum += s->put[i].at - s->put[i].not_before;
    }
    return sum / (double)s->n;
}

static double same_clock(const struct series *a, const struct series *b)
{
    return -fabs(clock_of(a) - clock_of(b));
}

static double same_expiry(const struct series *a, const struct series *b)
{
    return -apart(a->put[a->n - 1].expires, b->put[b->n - 1].expires, 86400);
}

static double as_many_records(const struct series *a, const struct series *b)
{
    return -fabs((double)a->n - (double)b->n);
}

/* How much the relays that brought, or asked, are the same ones. */
static double exits_in_common(const struct seen *a, size_t na, const struct seen *b, size_t nb)
{
    double x[SIGHT_RELAYS] = {0}, y[SIGHT_RELAYS] = {0}, common = 0;

    for (size_t i = 0; i < na; i++) {
        x[a[i].exit] += 1 / (double)na;
    }
    for (size_t i = 0; i < nb; i++) {
        y[b[i].exit] += 1 / (double)nb;
    }
    for (size_t i = 0; i < SIGHT_RELAYS; i++) {
        common += fmin(x[i], y[i]);
    }
    return common;
}

static double brought_by_the_same(const struct series *a, const struct series *b)
{
    return exits_in_common(a->put, a->n, b->put, b->n);
}

static double asked_by_the_same(const struct series *a, const struct series *b)
{
    return exits_in_common(a->get, a->gets, b->get, b->gets);
}

/* Questions here within |near| s of one there, of all pairs. */
static double get_pairs(const struct series *a, const struct series *b, double near, double modulus)
{
    double pairs = 0;

    for (size_t i = 0; i < a->gets; i++) {
        for (size_t k = 0; k < b->gets; k++) {
            pairs += apart(a->get[i].at, b->get[k].at, modulus) < near ? 1 : 0;
        }
    }
    return pairs / ((double)a->gets * (double)b->gets + 1);
}

static double asked_together(const struct series *a, const struct series *b)
{
    return get_pairs(a, b, 5, 1e9);
}

static double asked_at_the_same_time_of_day(const struct series *a, const struct series *b)
{
    return get_pairs(a, b, 180, 86400);
}

static double asked_as_often(const struct series *a, const struct series *b)
{
    return -fabs((double)a->gets - (double)b->gets);
}

static const struct {
    const char *name;
    score *f;
} scores[] = {{"put together", put_together},
              {"put in the same minute of the hour", put_in_the_same_minute},
              {"numbers near each other", near_numbers},
              {"equal last bits of numbers", equal_low_bits},
              {"the same wrong clock", same_clock},
              {"the same expiry", same_expiry},
              {"as many records", as_many_records},
              {"brought by the same relays", brought_by_the_same},
              {"asked by the same relays", asked_by_the_same},
              {"asked together", asked_together},
              {"asked at the same time of day", asked_at_the_same_time_of_day},
              {"asked as often", asked_as_often}};
enum { SCORES = sizeof scores / sizeof scores[0] };

/* --- guesses --------------------------------------------------------------------------------- */

struct tally {
    double right, better; /* right guesses; shares of wrong ones that were more alike, summed */
    size_t n;
};

/* [SCORES]: by all of them together. */
struct outcome {
    struct tally t[SCORES + 1];
};

static double deviations(const struct tally *t)
{
    return (t->better / (double)t->n - 0.5) * sqrt(12.0 * (double)t->n);
}

static double right_percent(const struct tally *t)
{
    return 100 * t->right / (double)t->n;
}

/* One guess: |v| says how alike each is, |i| is the right one. */
static void guess(struct tally *t, const double v[SERVICES], int i)
{
    double better = 0, equal = 0;

    for (int k = 0; k < SERVICES; k++) {
        better += k != i && v[k] > v[i] ? 1 : 0;
        equal += k != i && v[k] == v[i] ? 1 : 0;
    }
    t->right += better > 0 ? 0 : 1 / (equal + 1);
    t->better += (better + equal / 2) / (SERVICES - 1);
    t->n++;
}

/* Adds to |sum| how many are less alike than each. */
static void add_ranks(double sum[SERVICES], const double v[SERVICES])
{
    for (int k = 0; k < SERVICES; k++) {
        for (int m = 0; m < SERVICES; m++) {
            sum[k] += v[m] < v[k] ? 1 : v[m] == v[k] ? 0.5 : 0;
        }
    }
}

static void compare(struct outcome *o, const struct series *a[SERVICES],
                    const struct series *b[SERVICES])
{
    for (int i = 0; i < SERVICES; i++) {
        double all[SERVICES] = {0};
        for (size_t f = 0; f < SCORES; f++) {
            double v[SERVICES];
            for (int k = 0; k < SERVICES; k++) {
                v[k] = scores[f].f(a[i], b[k]);
            }
            guess(&o->t[f], v, i);
            add_ranks(all, v);
        }
        guess(&o->t[SCORES], all, i);
    }
}

/* What the attacker sees where |made| is not NULL: the series of the other place, made of the one of this place. */
typedef void make(struct series *out, const struct series *a, const struct series *b);

static void compare_places(struct outcome *o, const struct sight_log *g, make *made,
                           const struct dark_place *one, const struct dark_place *other)
{
    static struct series there[SERVICES]; /* large */
    const struct series *a[SERVICES], *b[SERVICES];

    for (int i = 0; i < SERVICES; i++) {
        a[i] = &g->s[i][one->period][one->replica];
        b[i] = &g->s[i][other->period][other->replica];
        assert_true(a[i]->n > 0 && b[i]->n > 0);
        if (made != NULL) {
            made(&there[i], a[i], b[i]);
            b[i] = &there[i];
        }
    }
    compare(o, a, b);
}

/* Periods are counted from the first here. */
static void periods(struct outcome *o, const struct sight_log *g, make *made)
{
    *o = (struct outcome){0};
    for (uint64_t day = FIRST; day + 1 < DAYS; day++) {
        for (uint8_t r = 0; r < 2 * DARK_REPLICAS; r++) {
            const struct dark_place one = {day, r / DARK_REPLICAS};
            const struct dark_place other = {day + 1, r % DARK_REPLICAS};
            compare_places(o, g, made, &one, &other);
        }
    }
}

static void replicas(struct outcome *o, const struct sight_log *g, make *made)
{
    *o = (struct outcome){0};
    for (uint64_t day = FIRST; day < DAYS; day++) {
        const struct dark_place one = {day, 0}, other = {day, 1};
        compare_places(o, g, made, &one, &other);
    }
}

static const struct tally *by(const struct outcome *o, score *f)
{
    for (size_t i = 0; i < SCORES; i++) {
        if (scores[i].f == f) {
            return &o->t[i];
        }
    }
    return &o->t[SCORES];
}

static void print(const char *what, const struct outcome *o)
{
    print_message("%s: %.1f %% right by all together, by chance %.1f\n", what,
                  right_percent(&o->t[SCORES]), 100.0 / SERVICES);
    for (size_t f = 0; f <= SCORES; f++) {
        print_message("    %-36s %5.1f %% right, %+6.2f deviations\n",
                      f < SCORES ? scores[f].name : "all", right_percent(&o->t[f]),
                      deviations(&o->t[f]));
    }
}

/* Nothing is found, and nothing excluded; |but|: a score that is not looked at. */
static void chance_only(const char *what, const struct outcome *o, score *but)
{
    print(what, o);
    for (size_t f = 0; f <= SCORES; f++) {
        double p = 1.0 / SERVICES, n = (double)o->t[f].n;
        if (but != NULL && (f == SCORES || scores[f].f == but)) {
            continue;
        }
        assert_true(fabs(deviations(&o->t[f])) < DEVIATIONS_MAX);
        assert_true(o->t[f].right / n < p + DEVIATIONS_MAX * sqrt(p * (1 - p) / n));
    }
}

/* --- the tests ------------------------------------------------------------------------------- */

/* As before: one round made the records of all places, with numbers 6144 apart. */
static void one_round(struct series *out, const struct series *a, const struct series *b)
{
    *out = *b;
    out->n = a->n;
    for (size_t i = 0; i < a->n; i++) {
        out->put[i] = a->put[i];
        out->put[i].exit = b->put[i % b->n].exit;
        out->put[i].number += 6144;
    }
}

/* As it would be if readers asked for both places. */
static void both_asked(struct series *out, const struct series *a, const struct series *b)
{
    *out = *b;
    out->gets = a->gets;
    for (size_t i = 0; i < a->gets; i++) {
        out->get[i] = a->get[i];
        out->get[i].at += 1;
        out->get[i].exit = b->get[i % b->gets].exit;
    }
}

static void storers_do_no_better_than_chance(void **state)
{
    static const struct reading plain = {0};
    struct sight_log *g = watch(false, &plain);
    struct outcome o;

    (void)state;
    periods(&o, g, NULL);
    chance_only("two periods", &o, NULL);
    replicas(&o, g, NULL);
    chance_only("two replicas", &o, NULL);
    /* he finds what is there to be found */
    periods(&o, g, one_round);
    print("control, one round for all places", &o);
    assert_true(right_percent(by(&o, put_together)) > 90);
    assert_true(right_percent(by(&o, near_numbers)) > 90);
    replicas(&o, g, both_asked);
    print("control, readers ask for both places", &o);
    assert_true(right_percent(by(&o, asked_together)) > 90);
    free(g);
}

static void relays_that_are_kept_would_tell(void **state)
{
    static const struct reading plain = {0};
    struct sight_log *g = watch(true, &plain);
    struct outcome o;

    (void)state;
    periods(&o, g, NULL);
    print("control, each node ends its circuits at one relay", &o);
    assert_true(right_percent(by(&o, brought_by_the_same)) > 50);
    assert_true(right_percent(by(&o, asked_by_the_same)) > 50);
    free(g);
}

/* What remains (spec/dark.md 3.3): an address that is far more popular than others, or asked for as by the clock. */
static void popularity_and_the_clock_of_readers_remain(void **state)
{
    static const struct reading popular = {.popular = true}, habits = {.habits = true};
    struct sight_log *g = watch(false, &popular);
    struct outcome o;

    (void)state;
    periods(&o, g, NULL);
    chance_only("addresses of different popularity", &o, asked_as_often);
    assert_true(deviations(by(&o, asked_as_often)) < -DEVIATIONS_MAX);
    free(g);
    g = watch(false, &habits);
    periods(&o, g, NULL);
    chance_only("readers who ask at the same minute each day", &o, asked_at_the_same_time_of_day);
    assert_true(deviations(by(&o, asked_at_the_same_time_of_day)) < -DEVIATIONS_MAX);
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storers_do_no_better_than_chance),
        cmocka_unit_test(relays_that_are_kept_would_tell),
        cmocka_unit_test(popularity_and_the_clock_of_readers_remain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
