/*
 * cover_test.c - who knows which address belongs to whom counts its lookups, or a guard those of its client, to learn
 * when a user is active; without cover lookups and with them.
 *
 * Each of as many readers as addresses opens one, his own, in a quarter of all hours, drawn.  Storers, who see all
 * lookups of it, say that he is active in an hour in which there is one; and count.  His guard, who sees all that he
 * asks, says so when it is more than some number, the best.  The table is in doc/performance.md.
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

enum { USERS = 40, DAYS = 3, HOURS = 24 * DAYS, FIRST_HOUR = 12, EXCHANGES_MAX = 64 };

/* By user and hour. */
struct hours {
    bool active[USERS][HOURS];        /* truth */
    uint32_t seen[USERS][HOURS];      /* lookups of his address, as the storers see them ... */
    uint32_t others[USERS][HOURS];    /* ... by relays that do not hold the record themselves */
    uint32_t asked[USERS][HOURS];     /* what goes through his guard */
    tstamp put[USERS][DARK_REPLICAS]; /* the last record of each place */
};

struct figures {
    double precision, recall; /* of "he is active in this hour" by the storers, percent */
    double precision_others, recall_others; /* where they leave out relays that hold the record */
    double
        error; /* of their count, less what the mean address is asked for in vain, percent of the truth */
    double guard; /* right guesses of the guard, percent, of as many active hours as others */
    double cover; /* lookups of an address an hour that nobody wanted */
};

static void plan(struct sight *s, struct hours *h)
{
    for (uint32_t hour = 0; hour < HOURS; hour++) {
        for (uint32_t i = 0; i < USERS; i++) {
            h->active[i][hour] = sight_below(s, 4) == 0;
            if (h->active[i][hour]) {
                sight_ask(s, (2 + hour * (uint64_t)3600 + sight_below(s, 3590)) * NS_PER_S, i, i,
                          0);
            }
        }
    }
}

/* He knows that nobody asks for places of other periods, but to tell of them, and that services read records back. */
static void see(struct hours *h, const struct sight_event *e)
{
    uint64_t hour = (e->at - 1) / (3600 * NS_PER_S);

    if (hour >= HOURS) {
        return;
    }
    if (e->who >= USERS) {
        h->asked[e->who - USERS][hour]++;
    }
    if (e->day != e->at / SIGHT_DAY) {
        return;
    }
    if (e->put) {
        h->put[e->service][e->replica] = e->at;
    } else if (e->at - h->put[e->service][e->replica] > 20 * NS_PER_S) {
        h->seen[e->service][hour]++;
        h->others[e->service][hour] += e->stores ? 0 : 1;
    }
}

/* The guard's best limit. */
static double guard_success(const struct hours *h)
{
    double best = 0;

    for (uint32_t limit = 0; limit < EXCHANGES_MAX; limit++) {
        double active = 0, idle = 0, right_active = 0, right_idle = 0;
        for (uint32_t i = 0; i < USERS; i++) {
            for (uint32_t hour = FIRST_HOUR; hour < HOURS; hour++) {
                bool says = h->asked[i][hour] > limit;
                active += h->active[i][hour] ? 1 : 0;
                idle += h->active[i][hour] ? 0 : 1;
                right_active += h->active[i][hour] && says ? 1 : 0;
                right_idle += !h->active[i][hour] && !says ? 1 : 0;
            }
        }
        best = fmax(best, 50 * (right_active / active + right_idle / idle));
    }
    return best;
}

/* Of what the storers say of each hour from |n| lookups. */
static void hours_judge(const struct hours *h, uint32_t n[USERS][HOURS], double *precision,
                        double *recall)
{
    double says = 0, right = 0, active = 0;

    for (uint32_t i = 0; i < USERS; i++) {
        for (uint32_t hour = FIRST_HOUR; hour < HOURS; hour++) {
            says += n[i][hour] > 0 ? 1 : 0;
            right += n[i][hour] > 0 && h->active[i][hour] ? 1 : 0;
            active += h->active[i][hour] ? 1 : 0;
        }
    }
    *precision = 100 * right / says;
    *recall = 100 * right / active;
}

/* How wrong the storers' counts are, less what the mean address is asked for in vain; percent. */
static double count_error(const struct hours *h)
{
    double made[USERS] = {0}, counted[USERS] = {0}, all_made = 0, all_counted = 0, error = 0;

    for (uint32_t i = 0; i < USERS; i++) {
        for (uint32_t hour = FIRST_HOUR; hour < HOURS; hour++) {
            made[i] += h->active[i][hour] ? 1 : 0;
            counted[i] += h->seen[i][hour];
        }
        all_made += made[i];
        all_counted += counted[i];
    }
    for (uint32_t i = 0; i < USERS; i++) {
        error += fabs(counted[i] - (all_counted - all_made) / USERS - made[i]);
    }
    return 100 * error / all_made;
}

static void run(struct figures *f, uint32_t per_hour)
{
    static struct hours h; /* large */
    const struct sight_case c = {.services = USERS,
                                 .readers = USERS,
                                 .days = DAYS,
                                 .delay_max_ns = 100 * NS_PER_MS,
                                 .cover_per_hour = per_hour};
    struct sight *s;
    size_t n;
    double cover = 0;

    memset(&h, 0, sizeof h);
    assert_true(sight_new(&s, &c, 29));
    plan(s, &h);
    sight_run(s, DAYS * SIGHT_DAY);
    const struct sight_event *e = sight_events(s, &n);
    for (size_t i = 0; i < n; i++) {
        see(&h, &e[i]);
        cover += e[i].cover ? 1 : 0;
    }
    sight_free(s);
    hours_judge(&h, h.seen, &f->precision, &f->recall);
    hours_judge(&h, h.others, &f->precision_others, &f->recall_others);
    f->error = count_error(&h);
    f->guard = guard_success(&h);
    f->cover = cover / USERS / HOURS;
    print_message(
        "%u an hour: storers %.1f %% precision, %.1f %% recall, less relays that hold it %.1f "
        "and %.1f, count wrong by %.0f %%; guard right in %.1f %%; %.2f lookups of an address "
        "an hour are cover\n",
        per_hour, f->precision, f->recall, f->precision_others, f->recall_others, f->error,
        f->guard, f->cover);
}

static void without_cover_activity_shows(void **state)
{
    struct figures f;

    (void)state;
    run(&f, 0);
    assert_true(f.precision > 95 && f.recall > 80 && f.guard > 90);
}

static void two_an_hour(void **state)
{
    struct figures f;

    (void)state;
    run(&f, 2);
    assert_true(f.precision < 45 && f.precision_others < 60 && f.guard < 75);
}

static void ten_an_hour(void **state)
{
    struct figures f;

    (void)state;
    run(&f, 10);
    assert_true(f.precision < 30 && f.precision_others < 35 && f.guard < 62);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_cover_activity_shows),
        cmocka_unit_test(two_an_hour),
        cmocka_unit_test(ten_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
