/* excluded_test.c - guards that may not be in a path for what it leads to: who takes their place, who never does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_bed.h"

#define HOUR (3600 * NS_PER_S)
#define EPOCH 1800000000 /* the calendar of these tests */

static struct world *settled(bool large)
{
    struct world *w = world_new(false);

    for (uint8_t i = 0; i < N; i++) {
        w->d[i].not_before = EPOCH;
        w->d[i].expires = EPOCH + INT64_C(86400000);
    }
    world_add(w);
    relays_expire(w->r, EPOCH, true);
    relays_settled(w->r, EPOCH);
    w->r->large = large;
    return w;
}

/* The service is |peer|, with addresses in the networks of the relays |net|. */
static struct onion_hop service_of(struct peer_id peer, const unsigned *net, uint8_t n)
{
    struct onion_hop h = {.peer = peer, .n_addrs = n};

    for (uint8_t i = 0; i < n; i++) {
        struct netaddr a = {.family = 4, .ip = {100, (uint8_t)net[i], 77, 1}, .port = 4001};
        multiaddr_quic(&h.addr[i], &a, NULL);
    }
    return h;
}

static qudag_err path_to(struct world *w, const struct onion_hop *service, tstamp now,
                         unsigned *first)
{
    const struct relays_path_want want = {.n = 3, .service = service};
    struct onion_hop h[3];
    qudag_err err = relays_path(w->r, &want, now, h);

    *first = err == QUDAG_OK ? ix_of(&h[0]) : N;
    return err;
}

static unsigned entry(struct world *w, tstamp now)
{
    unsigned first;

    assert_int_equal(path_to(w, NULL, now, &first), QUDAG_OK);
    return first;
}

/* |ix| is dialled again whenever it is time, in vain until |until|, while others answer. */
static void silent(struct world *w, unsigned ix, tstamp *now, tstamp until)
{
    struct peer_id peer = peer_of((uint8_t)ix);

    for (; *now < until; *now += NS_PER_S) {
        if (relays_guards_find(w->r, &peer)->x.usable <= *now) {
            relays_failed(w->r, &peer, *now);
            relays_heard(w->r, NULL, *now + 1);
        }
    }
}

/* Both primaries, used: |guard[0]| first. */
static void use_both(struct world *w, unsigned guard[2], tstamp now)
{
    guard[0] = entry(w, now);
    struct peer_id peer = peer_of((uint8_t)guard[0]);
    relays_failed(w->r, &peer, now);
    guard[1] = entry(w, now);
    relays_worked(w->r, &peer, now);
    assert_int_not_equal(guard[0], guard[1]);
}

static void the_rule(void **state)
{
    enum { ANSWERS = 1, AWAY = 2, GONE = 4, OUT = 8, NEW = 16 };
    static const struct {
        uint8_t v[4];
        const char *allowed;
    } row[] = {
        {{0, ANSWERS | OUT, ANSWERS, ANSWERS}, "1"}, /* silent for a moment: waited for */
        {{AWAY, ANSWERS | OUT, ANSWERS, ANSWERS}, "1"},
        {{AWAY | GONE, ANSWERS | OUT, ANSWERS, ANSWERS}, "12"},
        {{GONE, ANSWERS | OUT, ANSWERS, ANSWERS}, "12"},
        {{ANSWERS | OUT, GONE, ANSWERS, ANSWERS}, "02"},
        {{ANSWERS | OUT, ANSWERS | OUT, ANSWERS, ANSWERS},
         "01"}, /* the end alone brings in nobody */
        {{OUT, ANSWERS | OUT, ANSWERS, ANSWERS}, "1"},
        {{OUT | GONE, ANSWERS | OUT, ANSWERS, ANSWERS}, "1"},
        {{OUT | AWAY | GONE, OUT | AWAY | GONE, ANSWERS, ANSWERS}, "2"}, /* away: as to any end */
        {{GONE, GONE, ANSWERS, ANSWERS}, ""}, /* nobody is excluded: twelve hours */
        {{GONE, ANSWERS | OUT, ANSWERS | OUT, ANSWERS}, "123"}, /* one after the other */
        {{GONE, ANSWERS | OUT, 0, ANSWERS}, "1"},
        {{GONE, ANSWERS | OUT, GONE, ANSWERS | NEW}, "13"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct relays_guard_view v[4];
        uint8_t ix[4];
        bool spent;
        for (size_t k = 0; k < 4; k++) {
            uint8_t b = row[i].v[k];
            v[k] = (struct relays_guard_view){.fit = true,
                                              .used = (b & NEW) == 0,
                                              .answers = (b & ANSWERS) != 0,
                                              .away = (b & AWAY) != 0,
                                              .gone = (b & GONE) != 0,
                                              .excluded = (b & OUT) != 0};
        }
        size_t n = relays_guards_allowed(v, 4, 1, ix, &spent);
        assert_int_equal(n, strlen(row[i].allowed));
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(ix[k], row[i].allowed[k] - '0');
        }
    }
}

/* One guard is dead, the other is the service: there was no path for as long as the first was not given up. */
static void in_a_small_network_there_is_a_path_before_a_request_ends(void **state)
{
    struct world *w = settled(false);
    tstamp now = HOUR;
    unsigned guard[2], first;
    (void)state;
    use_both(w, guard, now);
    struct onion_hop service = service_of(peer_of((uint8_t)guard[1]), &guard[1], 1);
    assert_int_equal(path_to(w, &service, now, &first), QUDAG_OK);
    assert_int_equal(first, guard[0]);
    struct peer_id dead = peer_of((uint8_t)guard[0]);
    relays_failed(w->r, &dead, now);
    relays_heard(w->r, NULL, now + 1);
    assert_int_equal(path_to(w, &service, now, &first), QUDAG_ENOGUARD);
    silent(w, guard[0], &now, now + 8 * NS_PER_S);
    assert_int_equal(path_to(w, &service, now, &first), QUDAG_OK);
    assert_true(first != guard[0] && first != guard[1]);
    assert_int_equal(entry(w, now), guard[1]); /* to everybody else as before */
    unsigned third = first;
    assert_int_equal(path_to(w, &service, now, &first), QUDAG_OK);
    assert_int_equal(first, third);
    relays_worked(w->r, &dead, now);
    assert_int_equal(path_to(w, &service, now, &first), QUDAG_OK);
    assert_int_equal(first, guard[0]);
    world_free(w);
}

/* In a large one it takes three days: who keeps a guard away for so long gains less than by twelve hours of both. */
static void in_a_large_network_it_takes_three_days(void **state)
{
    struct world *w = settled(true);
    tstamp now = HOUR;
    unsigned guard[2], first;
    (void)state;
    use_both(w, guard, now);
    struct onion_hop service = service_of(peer_of(150), &guard[1], 1);
    struct peer_id dead = peer_of((uint8_t)guard[0]);
    relays_failed(w->r, &dead, now);
    silent(w, guard[0], &now, now + 71 * HOUR);
    assert_int_not_equal(path_to(w, &service, now, &first), QUDAG_OK);
    silent(w, guard[0], &now, now + 2 * HOUR);
    assert_int_equal(path_to(w, &service, now, &first), QUDAG_OK);
    assert_true(first != guard[0] && first != guard[1]);
    assert_int_equal(entry(w, now), guard[1]);
    world_free(w);
}

/* What must not be in a path for another reason is excluded, too: here the destination, a guard of ours. */
static void a_destination_that_is_a_guard_is_excluded(void **state)
{
    struct world *w = settled(false);
    tstamp now = HOUR;
    unsigned guard[2];
    struct onion_hop h[3];
    (void)state;
    use_both(w, guard, now);
    struct peer_id dead = peer_of((uint8_t)guard[0]), end = peer_of((uint8_t)guard[1]);
    const struct relays_path_want want = {.n = 3, .exclude = &end, .n_exclude = 1};
    relays_failed(w->r, &dead, now);
    relays_heard(w->r, NULL, now + 1);
    silent(w, guard[0], &now, now + 8 * NS_PER_S);
    assert_int_equal(relays_path(w->r, &want, now, h), QUDAG_OK);
    assert_true(ix_of(&h[0]) != guard[0] && ix_of(&h[0]) != guard[1]);
    world_free(w);
}

/* A relay that others named may be our guard, and begins the path to itself: whoever names one brings in no other. */
static void a_named_relay_that_is_a_guard_brings_in_nobody(void **state)
{
    struct world *w = settled(false);
    tstamp now = HOUR;
    unsigned guard[2];
    struct onion_hop h[3];
    (void)state;
    use_both(w, guard, now);
    struct onion_hop service = service_of(peer_of((uint8_t)guard[1]), &guard[1], 1);
    const struct relays_path_want want = {.n = 3, .service = &service, .named = true};
    struct peer_id dead = peer_of((uint8_t)guard[0]), named = peer_of((uint8_t)guard[1]);
    relays_failed(w->r, &dead, now);
    relays_heard(w->r, NULL, now + 1);
    silent(w, guard[0], &now, now + 60 * NS_PER_S);
    assert_int_equal(relays_path(w->r, &want, now, h), QUDAG_OK);
    assert_int_equal(ix_of(&h[0]), guard[1]);
    relays_failed(w->r, &named, now); /* it is waited for */
    assert_int_equal(relays_path(w->r, &want, now, h), QUDAG_ENOGUARD);
    world_free(w);
}

/* Where all is a trial nobody waits. */
static void in_a_lab_a_guard_that_fails_is_gone(void **state)
{
    struct world *w = world_new(true);
    tstamp now = HOUR;
    unsigned guard[2], first;
    (void)state;
    world_add(w);
    relays_settled(w->r, WALL);
    use_both(w, guard, now);
    struct onion_hop service = service_of(peer_of((uint8_t)guard[1]), &guard[1], 1);
    struct peer_id dead = peer_of((uint8_t)guard[0]);
    relays_failed(w->r, &dead, now);
    assert_int_equal(path_to(w, &service, now, &first), QUDAG_OK);
    assert_true(first != guard[0] && first != guard[1]);
    world_free(w);
}

/* Whoever names networks in a record cannot bring in a guard, however many he names. */
static void the_end_of_a_path_alone_brings_in_no_guard(void **state)
{
    struct world *w = settled(false);
    tstamp now = HOUR;
    unsigned guard[2], first;
    (void)state;
    use_both(w, guard, now);
    struct onion_hop service = service_of(peer_of(150), guard, 2);
    for (unsigned i = 0; i < 100; i++) {
        now += HOUR;
        assert_int_not_equal(path_to(w, &service, now, &first), QUDAG_OK);
    }
    size_t it = 0, used = 0;
    struct relays_guard_info info;
    while (relays_guard_next(w->r, &it, &info)) {
        used += info.used ? 1 : 0;
    }
    assert_int_equal(used, 2);
    world_free(w);
}

/* Where each guard dies as soon as it is used, and each that answers is excluded, four are used and no more. */
static void ends_and_failures_together_bring_in_no_more_than_four(void **state)
{
    struct world *w = settled(false);
    tstamp now = HOUR;
    unsigned guard[2], first, net[ONION_ADDRS_MAX];
    uint8_t n = 1;
    (void)state;
    use_both(w, guard, now);
    net[0] = guard[1];
    for (unsigned i = 0; i < 20; i++) {
        silent(w, guard[0], &now, now + 60 * NS_PER_S);
        struct onion_hop service = service_of(peer_of(150), net, n);
        if (path_to(w, &service, now, &first) == QUDAG_OK && first != guard[0]) {
            assert_true(n < ONION_ADDRS_MAX);
            net[n++] = first;
        }
    }
    assert_int_equal(n, RELAYS_NEW_GUARDS - 1); /* and the one that died */
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule),
        cmocka_unit_test(in_a_small_network_there_is_a_path_before_a_request_ends),
        cmocka_unit_test(in_a_large_network_it_takes_three_days),
        cmocka_unit_test(a_destination_that_is_a_guard_is_excluded),
        cmocka_unit_test(a_named_relay_that_is_a_guard_brings_in_nobody),
        cmocka_unit_test(in_a_lab_a_guard_that_fails_is_gone),
        cmocka_unit_test(the_end_of_a_path_alone_brings_in_no_guard),
        cmocka_unit_test(ends_and_failures_together_bring_in_no_more_than_four),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
