/* serve_test.c - how the places and turns of the gateway are shared by circuits, previous hops and networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/gateway/job.h"
#include "core/gateway/testkit.h"

#define PLACES 256
#define RUNNING 96
#define BURST 100

/* Where a stream comes from. */
struct from {
    uint64_t net, via, link;
};

static void open_from(struct world *w, struct ref strm, const struct from *from, tstamp now)
{
    feed(w, w->srv,
         (struct ev){.type = EV_STREAM_OPEN,
                     .inbound = true,
                     .strm = strm,
                     .net = from->net,
                     .via = from->via,
                     .link = from->link,
                     .props = LINK_ANON},
         now);
}

/* A request, complete at once; the acts say how it went. */
static void ask_from(struct world *w, struct ref strm, const struct from *from, tstamp now)
{
    uint8_t frame[EXCHANGE_LEN] = {0};
    size_t len;
    struct kad_msg m = {.type = KAD_GET_VALUE, .key = key};

    assert_int_equal(kad_msg_encode(frame, sizeof frame, &len, &m), QUDAG_OK);
    acts_clear(w);
    open_from(w, strm, from, now);
    feed(w, w->srv, (struct ev){.type = EV_DATA, .strm = strm, .data = {frame, sizeof frame}}, now);
    feed(w, w->srv, (struct ev){.type = EV_FIN, .strm = strm}, now);
}

static bool was_reset(const struct world *w, struct ref strm, qudag_err why)
{
    for (size_t i = 0; i < w->acts.n; i++) {
        const struct act *a = &w->act_v[i];
        if (a->type == ACT_RESET && ref_eq(a->strm, strm) && a->err == why) {
            return true;
        }
    }
    return false;
}

/* Requests that began in the acts; each is answered at once, so that its place is free again. */
static unsigned began(struct world *w, bool answered)
{
    uint64_t cookie[64];
    unsigned n = 0;

    for (size_t i = 0; i < w->acts.n; i++) {
        if (w->act_v[i].type == ACT_UP) {
            cookie[n++] = w->act_v[i].cookie;
        }
    }
    acts_clear(w);
    for (unsigned i = 0; i < n && answered; i++) {
        struct gateway_result res = {.cookie = cookie[i], .err = QUDAG_ENOTFOUND};
        gateway_answer(w->srv, &res, &w->acts);
        acts_clear(w);
    }
    return n;
}

static struct gateway_stats stats(const struct world *w)
{
    struct gateway_stats s;

    gateway_stats_get(w->srv, &s);
    return s;
}

static void a_share_is_left_free_for_whoever_comes_next(void **state)
{
    struct gateway_load l = {.places = 12, .nets = 1, .sources = 1};
    (void)state;

    for (l.net_active = 0; l.net_active < 12; l.net_active++) {
        l.source_active = l.net_active;
        assert_int_equal(gateway_may_run(&l), l.source_active < 3);
        l.source_active = 0;
        assert_int_equal(gateway_may_run(&l), l.net_active < 6);
    }
    l = (struct gateway_load){.places = 12, .nets = 100, .sources = 100};
    assert_true(gateway_may_run(&l)); /* however many there are, one */
    l.net_active = 1;
    assert_false(gateway_may_run(&l));
}

static void one_request_to_a_circuit(void **state)
{
    struct world *w = world_new();
    struct from one = {1, 1, 77}, two = {1, 1, 78};

    (void)state;
    ask_from(w, (struct ref){1, 1}, &one, 0);
    assert_int_equal(w->act_v[0].kind, GATEWAY_UP_GET);
    uint64_t cookie = w->act_v[0].cookie;
    ask_from(w, (struct ref){2, 1}, &one, 0);
    assert_true(was_reset(w, (struct ref){2, 1}, QUDAG_ELIMIT));
    ask_from(w, (struct ref){3, 1}, &two, 0);
    assert_int_equal(w->act_v[0].kind, GATEWAY_UP_GET);
    acts_clear(w);
    struct gateway_result res = {.cookie = cookie, .err = QUDAG_ENOTFOUND};
    gateway_answer(w->srv, &res, &w->acts);
    ask_from(w, (struct ref){4, 1}, &one, 0);
    assert_int_equal(w->act_v[0].kind, GATEWAY_UP_GET);
    world_free(w);
}

static void a_request_is_complete_within_its_time(void **state)
{
    struct world *w = world_new();
    struct from one = {1, 1, 1};

    (void)state;
    open_from(w, (struct ref){1, 1}, &one, 0);
    feed(w, w->srv, (struct ev){.type = EV_DATA, .strm = {1, 1}, .data = {w->value, 1}},
         GATEWAY_REQUEST_TIMEOUT - 1); /* a byte now and then wins no time */
    assert_int_equal(gateway_ops.deadline(w->srv), GATEWAY_REQUEST_TIMEOUT);
    gateway_ops.tick(w->srv, GATEWAY_REQUEST_TIMEOUT, &w->acts);
    assert_true(was_reset(w, (struct ref){1, 1}, QUDAG_ETIMEOUT));
    world_free(w);
}

/* The audit's attack: silent streams by the hundred, from few circuits or from many. */
static void silent_streams_shut_nobody_out(void **state)
{
    struct from silent = {0}, honest = {1, 1000, 0};
    unsigned served = 0;

    (void)state;
    for (unsigned spread = 1; spread <= 512;
         spread *= 8) { /* sources; eight of them to a network */
        struct world *w = world_new();
        for (uint32_t i = 0; i < 1200; i++) {
            silent = (struct from){2 + i % spread / 8, 2000 + i % spread, 10000 + i};
            acts_clear(w);
            open_from(w, (struct ref){i, 1}, &silent, i * NS_PER_MS);
            if (i % 20 == 19) { /* 50 requests a second */
                honest.link = 1 + i;
                ask_from(w, (struct ref){i, 2}, &honest, i * NS_PER_MS);
                served += began(w, true);
            }
        }
        assert_int_equal(served, 60);
        served = 0;
        assert_true(stats(w).others <= PLACES);
        world_free(w);
    }
}

static void whoever_holds_most_gives_way(void **state)
{
    struct world *w = world_new();
    struct from many = {1, 1, 0}, few = {2, 2, 0}, newcomer = {3, 3, 9999};

    (void)state;
    open_from(w, (struct ref){0, 1}, &few, 0); /* the oldest of all */
    for (uint32_t i = 1; i < PLACES; i++) {
        many.link = i;
        open_from(w, (struct ref){i, 1}, &many, i);
    }
    assert_int_equal(w->acts.n, 0);
    open_from(w, (struct ref){0, 2}, &newcomer, PLACES);
    assert_int_equal(w->acts.n, 1);
    assert_true(was_reset(w, (struct ref){1, 1}, QUDAG_ELIMIT));
    acts_clear(w);
    many.link = 5000;
    open_from(w, (struct ref){0, 3}, &many, PLACES); /* of its own */
    assert_int_equal(w->acts.n, 1);
    assert_true(was_reset(w, (struct ref){2, 1}, QUDAG_ELIMIT));
    assert_int_equal(stats(w).gave_way, 2);
    world_free(w);
}

/* Two networks hold half each: who comes to the second takes his neighbour's oldest, not a stranger's. */
static void a_neighbour_who_has_many_makes_room(void **state)
{
    struct world *w = world_new();

    (void)state;
    for (uint32_t i = 0; i < PLACES; i++) {
        struct from half = {1 + i % 2, i % 2 == 0 ? 100 + i : 1, 1 + i};
        open_from(w, (struct ref){i, 1}, &half, i);
    }
    open_from(w, (struct ref){0, 2}, &(struct from){2, 2, 9999}, PLACES);
    assert_int_equal(w->acts.n, 1);
    assert_true(was_reset(w, (struct ref){1, 1}, QUDAG_ELIMIT));
    world_free(w);
}

static void what_waits_gives_way_and_what_runs_stays(void **state)
{
    struct world *w = world_new();
    struct from greedy = {1, 1, 0}, newcomer = {2, 2, 9999};
    unsigned n = 0;

    (void)state;
    for (uint32_t i = 0; i < PLACES; i++) {
        greedy.link = 1 + i;
        ask_from(w, (struct ref){i, 1}, &greedy, 0);
        n += began(w, false);
    }
    assert_int_equal(n, RUNNING / 4); /* half for its network, and half of that for it */
    assert_int_equal(stats(w).running, RUNNING / 4);
    assert_int_equal(gateway_ops.deadline(w->srv), GATEWAY_WAIT_TIMEOUT); /* nothing else to do */
    ask_from(w, (struct ref){0, 2}, &newcomer, 1);
    assert_int_equal(w->acts.n, 2);
    assert_true(was_reset(w, (struct ref){RUNNING / 4, 1}, QUDAG_ELIMIT));
    assert_int_equal(began(w, false), 1);
    world_free(w);
}

/* Complete requests beyond the rate wait, by turns: one flood costs another source nothing. */
static void complete_requests_wait_for_their_turn(void **state)
{
    struct world *w = world_new();
    struct from flood = {1, 1, 0}, honest = {2, 2, 0};
    unsigned floods = 0, served = 0;
    uint32_t strm = 0;

    (void)state;
    for (tstamp now = 0; now < 10 * NS_PER_S; now += 2 * NS_PER_MS) { /* 500 a second */
        flood.link = 100000 + strm;
        ask_from(w, (struct ref){strm++, 1}, &flood, now);
        floods += began(w, true);
        if (now % (100 * NS_PER_MS) == 0) { /* 10 a second */
            honest.link = 1 + strm;
            ask_from(w, (struct ref){strm++, 2}, &honest, now);
            floods += began(w, true);
        }
        while (gateway_ops.deadline(w->srv) <= now) {
            gateway_ops.tick(w->srv, now, &w->acts);
            floods += began(w, true);
        }
    }
    served = (unsigned)stats(w).served;
    assert_int_equal(floods, served);
    assert_in_range(served, BURST + 490, BURST + 501); /* the rate, and no more */
    for (size_t i = 0; i < w->srv->jobs.high; i++) {   /* what still waits is the flood's */
        const struct gateway_job *j = slots_at(&w->srv->jobs, (uint32_t)i);
        assert_true(j == NULL || j->place.source->name == 1 || j->since > 9900 * NS_PER_MS);
    }
    world_free(w);
}

static void work_that_nobody_waits_for_keeps_its_place(void **state)
{
    struct world *w = world_new();
    struct from greedy = {1, 1, 0};
    unsigned n = 0;

    (void)state;
    for (uint32_t i = 0; i < 50; i++) { /* asks and goes away */
        greedy.link = 1 + i;
        ask_from(w, (struct ref){i, 1}, &greedy, 0);
        n += began(w, false);
        feed(w, w->srv, (struct ev){.type = EV_RESET, .strm = {i, 1}}, 0);
    }
    assert_int_equal(n, RUNNING / 4);
    assert_int_equal(stats(w).running, RUNNING / 4);
    assert_int_equal(stats(w).others, RUNNING / 4); /* those that only waited are gone */
    gateway_ops.tick(w->srv, GATEWAY_TIMEOUT, &w->acts);
    assert_int_equal(stats(w).others, 0);
    world_free(w);
}

static void every_failed_allocation_is_survived(void **state)
{
    struct from one = {1, 1, 1};

    (void)state;
    for (uint64_t at = 1; at < 20; at++) {
        struct world *w = world_new();
        w->mem.fail_at = at;
        ask_from(w, (struct ref){1, 1}, &one, 0);
        bool failed = was_reset(w, (struct ref){1, 1}, QUDAG_ENOMEM);
        assert_int_equal(stats(w).others, failed ? 0 : 1);
        w->mem.fail_at = 0;
        world_free(w);
    }
}

/* ---- one at a time: what each condition is there for ---- */

static void where_no_hop_is_named_every_link_is_a_source(void **state)
{
    struct world *w = world_new();
    unsigned n = 0;

    (void)state;
    for (uint32_t i = 0; i < RUNNING / 4 + 6; i++) {
        ask_from(w, (struct ref){i, 1}, &(struct from){1, 0, 1 + i}, 0);
        n += began(w, false);
    }
    assert_int_equal(n, RUNNING / 4 + 6);
    world_free(w);
}

/* Who holds no more than the newcomer loses nothing of his: the oldest of all does. */
static void among_equals_the_oldest_gives_way(void **state)
{
    struct world *w = world_new();
    struct from third = {3, 3, 90000}, most = {1, 1, 0}, newcomer = {2, 2, 0};

    (void)state;
    open_from(w, (struct ref){0, 9}, &(struct from){4, 4, 80000}, 0); /* its place is used again */
    open_from(w, (struct ref){0, 1}, &third, 1);
    feed(w, w->srv, (struct ev){.type = EV_RESET, .strm = {0, 9}}, 1);
    for (uint32_t i = 1; i < PLACES; i++) {
        struct from *who = i <= PLACES / 2 ? &most : &newcomer;
        who->link = i;
        acts_clear(w);
        open_from(w, (struct ref){i, 1}, who, 1 + i);
        assert_int_equal(w->acts.n, 0);
    }
    newcomer.link = 5000;
    open_from(w, (struct ref){0, 2}, &newcomer, PLACES + 1);
    assert_int_equal(w->acts.n, 1);
    assert_true(was_reset(w, (struct ref){0, 1}, QUDAG_ELIMIT));
    world_free(w);
}

static void whoever_holds_most_pushes_nothing_of_his_own_out_that_waits(void **state)
{
    struct world *w = world_new();
    struct from greedy = {1, 1, 0};

    (void)state;
    for (uint32_t i = 0; i < PLACES; i++) {
        greedy.link = 1 + i;
        ask_from(w, (struct ref){i, 1}, &greedy, 0);
    }
    assert_int_equal(stats(w).refused_limit, 0);
    greedy.link = 5000;
    acts_clear(w);
    open_from(w, (struct ref){0, 2}, &greedy, 1);
    assert_int_equal(w->acts.n, 1);
    assert_true(was_reset(w, (struct ref){0, 2}, QUDAG_ELIMIT));
    assert_int_equal(stats(w).refused_limit, 1);
    assert_int_equal(stats(w).gave_way, 0);
    world_free(w);
}

/* What could not run because others did runs when they are done, without anybody asking anew. */
static void what_waits_begins_when_a_job_has_ended(void **state)
{
    struct world *w = world_new();
    struct from greedy = {1, 1, 0};
    uint64_t first = 0;

    (void)state;
    for (uint32_t i = 0; i < RUNNING / 4 + 1; i++) {
        greedy.link = 1 + i;
        ask_from(w, (struct ref){i, 1}, &greedy, 0);
        first = i == 0 ? w->act_v[0].cookie : first;
    }
    assert_int_equal(stats(w).running, RUNNING / 4);
    struct gateway_result res = {.cookie = first, .err = QUDAG_ENOTFOUND};
    gateway_answer(w->srv, &res, &w->acts);
    assert_int_equal(gateway_ops.deadline(w->srv), 0);
    acts_clear(w);
    gateway_ops.tick(w->srv, 1, &w->acts);
    assert_int_equal(began(w, false), 1);
    world_free(w);
}

static void places_of_our_own_are_given_back(void **state)
{
    static uint8_t frame[EXCHANGE_LEN];
    uint8_t long_key[KAD_KEY_MAX + 1] = "/qudag/dark/";
    struct world *w = world_new();

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        (void)request(w, false, frame, 0);
        feed(w, w->cli, (struct ev){.type = EV_RESET, .strm = cli_strm, .err = QUDAG_ERESET}, 2);
        acts_clear(w);
    }
    /* a key that has no room is no key */
    assert_int_equal(ask_get(w, w->cli, (struct slice){long_key, sizeof long_key}), QUDAG_EINVAL);
    world_free(w);
}

/* However many networks there are, each of which has one at work at least. */
static void no_more_are_at_work_than_there_are_places_for(void **state)
{
    struct world *w = world_new();
    unsigned n = 0;

    (void)state;
    for (uint32_t i = 0; i < BURST; i++) {
        ask_from(w, (struct ref){i, 1}, &(struct from){1 + i, 1 + i, 1 + i}, 0);
        n += began(w, false);
    }
    assert_int_equal(n, RUNNING);
    assert_int_equal(stats(w).running, RUNNING);
    world_free(w);
}

/* What one call puts into the action list has room there. */
static void eight_begin_in_one_call(void **state)
{
    struct world *w = world_new();

    (void)state;
    for (uint32_t i = 0; i < BURST + 40; i++) {
        ask_from(w, (struct ref){i, 1}, &(struct from){1 + i, 1 + i, 1 + i}, 0);
        (void)began(w, true);
    }
    assert_int_equal(stats(w).others, 40); /* beyond the rate */
    assert_true(gateway_ops.deadline(w->srv) <= NS_PER_S / 40);
    gateway_ops.tick(w->srv, NS_PER_S, &w->acts);
    assert_int_equal(began(w, false), 8);
    world_free(w);
}

static void an_answer_to_what_does_not_run_is_nobodys(void **state)
{
    struct world *w = world_new();
    struct from one = {1, 1, 1};

    (void)state;
    open_from(w, (struct ref){1, 1}, &one, 0);
    const struct gateway_job *j = slots_at(&w->srv->jobs, 0);
    struct gateway_result res = {.cookie = ref_to_u64(j->self), .err = QUDAG_ENOTFOUND};
    acts_clear(w);
    gateway_answer(w->srv, &res, &w->acts);
    assert_int_equal(w->acts.n, 0);
    assert_int_equal(stats(w).others, 1);
    assert_int_equal(gateway_ops.inbound_max, 4);
    world_free(w);
}

static void events_that_come_twice_change_nothing(void **state)
{
    struct world *w = world_new();

    (void)state;
    assert_int_equal(ask_get(w, w->cli, key), QUDAG_OK);
    uint64_t cookie = w->act_v[0].cookie;
    acts_clear(w);
    feed(w, w->cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = cli_strm}, 1);
    acts_clear(w);
    feed(w, w->cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = srv_strm}, 1);
    assert_int_equal(w->acts.n, 1);
    assert_true(was_reset(w, srv_strm, QUDAG_ECANCELED));
    acts_clear(w);
    feed(w, w->cli, (struct ev){.type = EV_STREAM_FAIL, .cookie = cookie, .err = QUDAG_ESTALE}, 1);
    assert_int_equal(w->acts.n, 0);
    world_free(w);
}

/* A record that is stored nowhere is not one that is not there. */
static void a_put_that_finds_nobody_is_not_answered_as_absence(void **state)
{
    struct world *w = world_new();
    uint8_t frame[EXCHANGE_LEN] = {0};

    (void)state;
    (void)request(w, true, frame, 10);
    open_in(w, srv_strm, 1);
    deliver(w, w->srv, srv_strm, frame, EXCHANGE_LEN, 1000);
    assert_int_equal(w->act_v[0].kind, GATEWAY_UP_PUT);
    struct gateway_result res = {.cookie = w->act_v[0].cookie, .err = QUDAG_ENOTFOUND};
    acts_clear(w);
    gateway_answer(w->srv, &res, &w->acts);
    assert_int_equal(w->acts.n, 1);
    assert_true(was_reset(w, srv_strm, QUDAG_ENOTFOUND));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_is_left_free_for_whoever_comes_next),
        cmocka_unit_test(one_request_to_a_circuit),
        cmocka_unit_test(a_request_is_complete_within_its_time),
        cmocka_unit_test(silent_streams_shut_nobody_out),
        cmocka_unit_test(whoever_holds_most_gives_way),
        cmocka_unit_test(a_neighbour_who_has_many_makes_room),
        cmocka_unit_test(what_waits_gives_way_and_what_runs_stays),
        cmocka_unit_test(complete_requests_wait_for_their_turn),
        cmocka_unit_test(work_that_nobody_waits_for_keeps_its_place),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(where_no_hop_is_named_every_link_is_a_source),
        cmocka_unit_test(among_equals_the_oldest_gives_way),
        cmocka_unit_test(whoever_holds_most_pushes_nothing_of_his_own_out_that_waits),
        cmocka_unit_test(what_waits_begins_when_a_job_has_ended),
        cmocka_unit_test(places_of_our_own_are_given_back),
        cmocka_unit_test(no_more_are_at_work_than_there_are_places_for),
        cmocka_unit_test(eight_begin_in_one_call),
        cmocka_unit_test(an_answer_to_what_does_not_run_is_nobodys),
        cmocka_unit_test(events_that_come_twice_change_nothing),
        cmocka_unit_test(a_put_that_finds_nobody_is_not_answered_as_absence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
