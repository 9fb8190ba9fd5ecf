/*
 * storer_test.c - a storer that holds records of two places and tries to tell whether they are one address's.
 *
 * The service cores run for days, each with a clock of its own that is some minutes wrong.  The storer sees of
 * every record when it came, its number and its times; for each series of records of one place it knows which
 * service is behind it, and has to find the series of the same service in another place among those of all.
 * Each of his guesses is a score; the share of wrong series that score better than the right one is 1/2 by
 * chance.  A score that finds (or excludes) more than chance allows fails the test, in either direction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/testkit_case.h"

#include <math.h>

#define SERVICES 40
#define DAYS 6 /* the first two are not looked at: all began at one moment */
#define SEEN_MAX 64
#define MOVES_EVERY (8 * HOUR) /* on average, where services move */

struct record_seen {
    double at; /* s since START */
    uint64_t number;
    double not_before, expires;
};

struct series {
    size_t n;
    struct record_seen v[SEEN_MAX];
};

struct sight {
    struct series s[SERVICES][DAYS + 2][DARK_REPLICAS];
    uint8_t key[SERVICES][DAYS + 2][DARK_REPLICAS][DARK_KEY_LEN];
    struct dark *core[SERVICES];
    struct dark_addr addr[SERVICES];
    int now_of; /* whose record comes */
    tstamp move_at[SERVICES];
};

static void record_came(struct world *w, struct slice key, struct slice record)
{
    struct sight *g = w->ctx;
    struct dark_head h;

    assert_int_equal(dark_head_read(&h, record), QUDAG_OK);
    for (int day = 0; day < DAYS + 2; day++) {
        for (int r = 0; r < DARK_REPLICAS; r++) {
            struct series *s = &g->s[g->now_of][day][r];
            if (memcmp(g->key[g->now_of][day][r], key.base, key.len) == 0) {
                assert_true(s->n < SEEN_MAX);
                s->v[s->n++] = (struct record_seen){(double)w->now / 1e9, h.number,
                                                    (double)(h.not_before - START),
                                                    (double)(h.expires - START)};
                return;
            }
        }
    }
    fail_msg("a record for a period that nobody asked for");
}

static void services_start(struct world *w, struct sight *g)
{
    for (int i = 0; i < SERVICES; i++) {
        walltime wrong = (walltime)(rng_below(&w->rng, 601)) - 300;
        struct dark_config cfg = {.mem = &w->mem,
                                  .rng = w->rng,
                                  .clock = {.base = START + wrong},
                                  .network = DARK_NET_LAB};
        struct dark_keys k;
        assert_int_equal(dark_keys_create(&k, DARK_NET_LAB, "", START, &w->rng), QUDAG_OK);
        g->addr[i] = k.addr;
        assert_int_equal(dark_new(&g->core[i], &cfg), QUDAG_OK);
        assert_int_equal(dark_own(g->core[i], &k), QUDAG_OK);
        for (int day = 0; day < DAYS + 2; day++) {
            for (int r = 0; r < DARK_REPLICAS; r++) {
                const struct dark_place at = {dark_period(START) + (uint64_t)day, (uint8_t)r};
                assert_int_equal(dark_dht_key(g->key[i][day][r], &g->addr[i], &at), QUDAG_OK);
            }
        }
    }
}

static tstamp next_move(struct world *w)
{
    double u = ((double)rng_below(&w->rng, 1000000) + 1) / 1000001;

    return w->now + (tstamp)(-log(u) * (double)MOVES_EVERY);
}

/* What one service does; its records leave and are found again. */
static void service_act(struct world *w, struct sight *g, int i, bool publishes)
{
    struct dark *mine = w->svc;
    const struct dark_publish_want want = {1, &g->addr[i], &w->self, NULL,
                                           w->now < NS_PER_S * SERVICES ? DARK_PUBLISH_NOW
                                                                        : DARK_PUBLISH_RESUME};

    g->now_of = i;
    w->svc = g->core[i];
    w->saved_seq = 0;
    w->n_stored = w->n_up = 0;
    if (publishes) {
        assert_int_equal(dark_publish(w->svc, &want, w->now, &w->acts), QUDAG_OK);
    } else {
        dark_tick(w->svc, w->now, &w->acts);
    }
    settle(w, w->svc);
    w->svc = mine;
}

/* Another address, told to its service. */
static void service_moves(struct world *w, struct sight *g, int i)
{
    uint8_t *port = &w->self.addr[0].b[w->self.addr[0].len - 3];

    *port = (uint8_t)(*port ^ (1 + rng_below(&w->rng, 255)));
    g->move_at[i] = next_move(w);
    service_act(w, g, i, true);
}

static struct sight *watch(struct world *w, bool moving)
{
    struct sight *g = calloc(1, sizeof *g);

    assert_non_null(g);
    w->ctx = g;
    w->seen = record_came;
    services_start(w, g);
    for (int i = 0; i < SERVICES; i++) {
        w->now = (tstamp)i * NS_PER_S;
        service_act(w, g, i, true);
        g->move_at[i] = moving ? next_move(w) : TSTAMP_NEVER;
    }
    for (;;) {
        tstamp at = TSTAMP_NEVER;
        int next = 0;
        for (int i = 0; i < SERVICES; i++) {
            tstamp due = tstamp_min(dark_deadline(g->core[i]), g->move_at[i]);
            next = due < at ? i : next;
            at = tstamp_min(at, due);
        }
        if (at > DAYS * 24 * HOUR) {
            return g;
        }
        w->now = at > w->now ? at : w->now;
        if (g->move_at[next] <= w->now) {
            service_moves(w, g, next);
        } else {
            service_act(w, g, next, false);
        }
    }
}

static void watch_end(struct sight *g)
{
    for (int i = 0; i < SERVICES; i++) {
        dark_free(g->core[i]);
    }
    free(g);
}

/* --- scores: the more alike, the higher ----------------------------------------------------- */

typedef double score(const struct series *a, const struct series *b);

static double nearest(const struct series *a, const struct series *b, double modulus)
{
    double best = 1e18;

    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < b->n; k++) {
            double d = fabs(a->v[i].at - b->v[k].at);
            d = modulus > 0 ? fmod(d, modulus) : d;
            d = modulus > 0 && d > modulus / 2 ? modulus - d : d;
            best = d < best ? d : best;
        }
    }
    return -best;
}

static double same_moment(const struct series *a, const struct series *b)
{
    return nearest(a, b, 0);
}

static double same_minute_of_the_hour(const struct series *a, const struct series *b)
{
    return nearest(a, b, 3600);
}

static double day_distance(double x, double y)
{
    double d = fmod(fabs(x - y), 86400);

    return -(d > 43200 ? 86400 - d : d);
}

static double same_begin(const struct series *a, const struct series *b)
{
    return day_distance(a->v[0].at, b->v[0].at);
}

static double same_end(const struct series *a, const struct series *b)
{
    return day_distance(a->v[a->n - 1].at, b->v[b->n - 1].at);
}

static double same_expiry(const struct series *a, const struct series *b)
{
    return day_distance(a->v[a->n - 1].expires, b->v[b->n - 1].expires);
}

static double clock_of(const struct series *s)
{
    double sum = 0;

    for (size_t i = 0; i < s->n; i++) {
        sum += s->v[i].at - s->v[i].not_before;
    }
    return sum / (double)s->n;
}

static double same_clock(const struct series *a, const struct series *b)
{
    return -fabs(clock_of(a) - clock_of(b));
}

static double pace_of(const struct series *s)
{
    return (s->v[s->n - 1].at - s->v[0].at) / (double)(s->n > 1 ? s->n - 1 : 1);
}

static double same_pace(const struct series *a, const struct series *b)
{
    return -fabs(pace_of(a) - pace_of(b));
}

static double same_count(const struct series *a, const struct series *b)
{
    return -fabs((double)a->n - (double)b->n);
}

static double near_numbers(const struct series *a, const struct series *b)
{
    return -fabs((double)a->v[0].number - (double)b->v[0].number);
}

/* The way in before: numbers of two periods differed by 6144, their low bits were equal. */
static double same_low_bits(const struct series *a, const struct series *b)
{
    double equal = 0;

    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < b->n; k++) {
            equal += (a->v[i].number - b->v[k].number) % 256 == 0 ? 1 : 0;
        }
    }
    return equal;
}

static double growth_of(const struct series *s)
{
    return (double)(s->v[s->n - 1].number - s->v[0].number) / (s->v[s->n - 1].at - s->v[0].at + 1);
}

static double same_growth(const struct series *a, const struct series *b)
{
    return -fabs(growth_of(a) - growth_of(b));
}

/* Records that came before any renewal was due: something has changed, or failed. */
static double same_jump(const struct series *a, const struct series *b)
{
    double best = 1e18;

    for (size_t i = 1; i < a->n; i++) {
        for (size_t k = 1; k < b->n; k++) {
            bool jumps =
                a->v[i].at - a->v[i - 1].at < 6 * 3600 && b->v[k].at - b->v[k - 1].at < 6 * 3600;
            double d = fabs(a->v[i].at - b->v[k].at);
            best = jumps && d < best ? d : best;
        }
    }
    return -best;
}

static score *const scores[] = {same_moment,  same_minute_of_the_hour,
                                same_begin,   same_end,
                                same_expiry,  same_clock,
                                same_pace,    same_count,
                                near_numbers, same_low_bits,
                                same_growth,  same_jump};

/* --- chance --------------------------------------------------------------------------------- */

struct tally {
    double better; /* shares of wrong series that scored better, summed */
    size_t n;
};

/* For each service: how many of the wrong series score better against |a| than the right one. */
static void rank(struct tally *t, score *f, const struct series *a[SERVICES],
                 const struct series *b[SERVICES])
{
    for (int i = 0; i < SERVICES; i++) {
        double right = f(a[i], b[i]), better = 0;
        for (int k = 0; k < SERVICES; k++) {
            double wrong = f(a[i], b[k]);
            better += k == i ? 0 : wrong > right ? 1 : wrong == right ? 0.5 : 0;
        }
        t->better += better / (SERVICES - 1);
        t->n++;
    }
}

/* How far the mean share is from 1/2, in standard deviations of a uniform one. */
static double deviations(const struct tally *t)
{
    return (t->better / (double)t->n - 0.5) * sqrt(12.0 * (double)t->n);
}

#define DEVIATIONS_MAX 4.5 /* by chance once in 147,000 times; the draws here are always the same */

/* Series of one place against those of another. */
static void compare(struct tally *t, score *f, const struct sight *g, const struct dark_place *one,
                    const struct dark_place *other)
{
    const struct series *a[SERVICES], *b[SERVICES];

    for (int i = 0; i < SERVICES; i++) {
        a[i] = &g->s[i][one->period][one->replica];
        b[i] = &g->s[i][other->period][other->replica];
        assert_true(a[i]->n > 0 && b[i]->n > 0);
    }
    rank(t, f, a, b);
}

static void compare_all(const struct sight *g)
{
    for (size_t f = 0; f < ARRAY_LEN(scores); f++) {
        struct tally periods = {0, 0}, replicas = {0, 0};
        for (uint64_t day = 2; day < DAYS - 1;
             day++) { /* periods are counted from the first here */
            const struct dark_place today[] = {{day, 0}, {day, 1}};
            const struct dark_place next[] = {{day + 1, 0}, {day + 1, 1}};
            for (int r = 0; r < DARK_REPLICAS; r++) {
                compare(&periods, scores[f], g, &today[r], &next[r]);
                compare(&periods, scores[f], g, &today[r], &next[1 - r]);
            }
            compare(&replicas, scores[f], g, &today[0], &today[1]);
        }
        print_message("score %zu: periods %+.2f, replicas %+.2f deviations from chance\n", f,
                      deviations(&periods), deviations(&replicas));
        assert_true(fabs(deviations(&periods)) < DEVIATIONS_MAX);
        assert_true(fabs(deviations(&replicas)) < DEVIATIONS_MAX);
    }
}

static void a_storer_does_no_better_than_chance(void **state)
{
    struct world *w = world_empty(77);
    struct sight *g = watch(w, false);

    (void)state;
    compare_all(g);
    watch_end(g);
    world_free(w);
}

/* Each service changes its address every eight hours or so: what both places of a period see of it is no pair. */
static void nor_when_services_move(void **state)
{
    struct world *w = world_empty(79);
    struct sight *g = watch(w, true);
    struct series follows[SERVICES];
    const struct series *a[SERVICES], *b[SERVICES];
    struct tally before = {0, 0};

    (void)state;
    compare_all(g);
    for (int i = 0; i < SERVICES;
         i++) { /* as it was before: the other place followed within half an hour */
        a[i] = &g->s[i][3][g->s[i][3][0].n > g->s[i][3][1].n ? 0 : 1];
        follows[i] = *a[i];
        for (size_t k = 0; k < follows[i].n; k++) {
            follows[i].v[k].at += 60 + rng_below(&w->rng, 29 * 60);
        }
        b[i] = &follows[i];
    }
    rank(&before, same_jump, a, b);
    assert_true(deviations(&before) < -DEVIATIONS_MAX);
    watch_end(g);
    world_free(w);
}

/* What an earlier schedule gave away: one round made both records, their numbers 6144 apart ... */
static struct series linked_to(const struct series *a)
{
    struct series b = *a;

    for (size_t k = 0; k < b.n; k++) {
        b.v[k].number += 6144;
    }
    return b;
}

/* ... or |b| was never within two hours of |a|. */
static struct series kept_apart(const struct series *a, const struct series *b)
{
    struct series c = *b;

    for (size_t k = 0; k < a->n; k++) {
        for (size_t m = 0; m < c.n; m++) {
            c.v[m].at += fabs(c.v[m].at - a->v[k].at) < 7200 ? 7200 : 0;
        }
    }
    return c;
}

/* The storer is no fool: that he finds. */
static void he_finds_what_is_there_to_be_found(void **state)
{
    struct world *w = world_empty(78);
    struct sight *g = watch(w, false);
    struct series linked[SERVICES], apart[SERVICES];
    const struct series *a[SERVICES], *b[SERVICES], *c[SERVICES];
    struct tally t[3] = {{0, 0}};

    (void)state;
    for (int day = 2; day < DAYS - 1; day++) {
        for (int i = 0; i < SERVICES; i++) {
            a[i] = &g->s[i][day][0];
            linked[i] = linked_to(a[i]);
            apart[i] = kept_apart(a[i], &g->s[i][day][1]);
            b[i] = &linked[i];
            c[i] = &apart[i];
        }
        rank(&t[0], same_moment, a, b);
        rank(&t[1], same_low_bits, a, b);
        rank(&t[2], same_moment, a, c);
    }
    print_message("linked %+.1f and %+.1f, kept apart %+.1f deviations from chance\n",
                  deviations(&t[0]), deviations(&t[1]), deviations(&t[2]));
    assert_true(deviations(&t[0]) < -DEVIATIONS_MAX);
    assert_true(deviations(&t[1]) < -DEVIATIONS_MAX);
    assert_true(deviations(&t[2]) > 2.5); /* keeping apart excludes, and so tells */
    watch_end(g);
    world_free(w);
}

static void numbers_grow_over_lost_state_and_clock_steps(void **state)
{
    struct world *w = world_new();
    const struct dark_keys *k = dark_own_get(w->svc, &w->addr);
    const struct dark_place at = {dark_period(START), 0};
    uint64_t last = 0;

    (void)state;
    for (walltime t = START; t < START + 16 * 3600; t += 1800) {
        uint64_t n = dark_number_next(k, &at, last, t, &w->rng);
        assert_true(n > last);
        assert_true(n < UINT64_C(1) << 49);
        /* an hour later, with nothing remembered */
        assert_true(dark_number_next(k, &at, 0, t + 3600, &w->rng) > n);
        last = n;
    }
    unsigned high = 0; /* where a walk begins says nothing, and is another for each place */
    for (uint64_t p = 0; p < 64; p++) {
        const struct dark_place other = {at.period + p, 1};
        high += dark_number_walk(k, &other, 0) >> 47 != 0 ? 1 : 0;
    }
    assert_in_range(high, 16, 48);
    assert_true(dark_number_next(k, &at, last, START - 365 * 86400, &w->rng) > last);
    assert_true(dark_number_next(k, &at, last, 0, &w->rng) > last);
    world_free(w);
}

static void times_of_records_are_dated_back_and_whole_hours(void **state)
{
    struct world *w = world_new();
    unsigned hours[3] = {0};

    (void)state;
    for (int i = 0; i < 2000; i++) {
        walltime now = START + 1800 + (walltime)rng_below(&w->rng, 600);
        walltime t = dark_not_before(now, &w->rng);
        assert_int_equal(t % 3600, 0);
        assert_true(t <= now - 600 && t > now - 600 - 3600 - 3600);
        hours[(START + 1800 - t) / 3600]++;
    }
    assert_true(hours[0] > 500 && hours[1] > 500); /* the hour tells nothing of the minute */
    assert_int_equal(dark_not_before(5, &w->rng), 0);
    world_free(w);
}

static void first_records_are_spread_over_the_half_period_before(void **state)
{
    struct world *w = world_new();
    uint64_t p = dark_period(START);
    uint64_t lead = 4 * 3600, begin = 16 * 3600; /* from START on */

    (void)state;
    unsigned early = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t wait = dark_first_wait(p + 1, START, &w->rng);
        assert_in_range(wait, lead, begin - 1);
        early += wait < lead + 6 * 3600 ? 1 : 0;
        assert_true(dark_first_wait(p + 1, START + 16 * 3600 - 5, &w->rng) < 5);
        assert_in_range(dark_first_wait(p, START, &w->rng), 30 * 60, 90 * 60);
        assert_in_range(dark_renewal_wait(&w->rng), 6 * HOUR, 8 * HOUR);
    }
    assert_in_range(early, 430, 570);
    world_free(w);
}

/* Whoever knows an address and a place must not be able to compute the numbers, nor one hour's from another's. */
static void numbers_follow_from_the_secret_and_steps_are_drawn(void **state)
{
    struct world *w = world_new();
    struct dark_keys k = *dark_own_get(w->svc, &w->addr);
    const struct dark_place at = {dark_period(START), 0};
    walltime begin = dark_period_start(at.period) - DARK_PERIOD / 2;
    uint64_t first = dark_number_walk(&k, &at, begin), steps[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        steps[i] = dark_number_walk(&k, &at, begin + (i + 1) * 3600) -
                   dark_number_walk(&k, &at, begin + i * 3600);
        assert_true(steps[i] >= UINT64_C(1) << 32);
    }
    assert_true(steps[0] != steps[1]);
    k.ed_sk.seed[31] ^= 1;
    assert_true(dark_number_walk(&k, &at, begin) != first);
    k.ed_sk.seed[31] ^= 1;
    assert_true(dark_number_walk(&k, &at, begin) == first);
    wipe(&k, sizeof k); /* what it points to is the world's */
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storer_does_no_better_than_chance),
        cmocka_unit_test(nor_when_services_move),
        cmocka_unit_test(he_finds_what_is_there_to_be_found),
        cmocka_unit_test(numbers_grow_over_lost_state_and_clock_steps),
        cmocka_unit_test(times_of_records_are_dated_back_and_whole_hours),
        cmocka_unit_test(first_records_are_spread_over_the_half_period_before),
        cmocka_unit_test(numbers_follow_from_the_secret_and_steps_are_drawn),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
