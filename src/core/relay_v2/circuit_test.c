/* circuit_test.c - a relay and those who use it: places, circuits, bytes, limits, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relay_v2/testkit.h"

static int setup(void **state)
{
    (void)state;
    return crypto_init() == QUDAG_OK ? 0 : -1;
}

static struct world *joined(const struct hop_config *cfg)
{
    struct world *w = w_new(cfg);

    w_reserve(w, 2);
    assert_int_equal(w->reserved[2], 1);
    assert_int_equal(w_connect(w, 1, 2, 77), QUDAG_OK);
    assert_true(w->n_opened[1] == 1 && w->n_opened[2] == 1);
    return w;
}

static void a_circuit_carries_bytes_both_ways_and_ends_in_good_order(void **state)
{
    struct hop_config cfg = {.limit = {120, 131072}};
    struct world *w = joined(&cfg);
    struct opened *a = w_last(w, 1), *b = w_last(w, 2);
    struct hop_stats s;

    (void)state;
    assert_int_equal(a->cookie, 77);
    assert_true(!a->info.inbound && b->info.inbound);
    assert_true(peer_id_eq(&a->info.relay, &w->id[0]) && peer_id_eq(&a->info.peer, &w->id[2]));
    assert_true(peer_id_eq(&b->info.relay, &w->id[0]) && peer_id_eq(&b->info.peer, &w->id[1]));
    assert_true(a->info.limit.data == 131072 && a->info.limit.duration_s == 120); /* told to both */
    assert_true(b->info.limit.data == 131072 && b->info.limit.duration_s == 120);
    assert_int_equal(w_write(w, 1, a->name, 5000), 5000);
    assert_int_equal(w_write(w, 2, b->name, 7000), 7000);
    w_settle(w);
    assert_true(b->got == 5000 && a->got == 7000);
    hop_stats_get(w->hop, &s);
    assert_true(s.circuits == 1 && s.bytes == 12000 && s.reservations == 1 && s.connected == 1);
    assert_int_equal(w_write(w, 1, a->name, 100), 100);
    relayed_close(w->user[1], a->name, QUDAG_OK, w->now, &w->acts);
    w_carry_out(w, 1);
    w_settle(w);
    assert_true(b->ended && b->err == QUDAG_OK && b->got == 5100); /* what was sent before came */
    assert_int_equal(relayed_room(w->user[1], a->name), 0);
    hop_stats_get(w->hop, &s);
    assert_int_equal(s.circuits + s.requests, 0);
    w_free(w);
}

static void the_limit_of_bytes_ends_both_sides_and_both_know_why(void **state)
{
    struct hop_config cfg = {.limit = {0, 20000}};
    struct world *w = joined(&cfg);
    struct opened *a = w_last(w, 1), *b = w_last(w, 2);
    struct hop_stats s;

    (void)state;
    assert_int_equal(w_write(w, 1, a->name, 20000), 20000);
    w_settle(w);
    assert_true(!a->ended && b->got == 20000);
    assert_int_equal(w_write(w, 2, b->name, 20000), 20000); /* each direction has its own */
    w_settle(w);
    assert_true(!b->ended && a->got == 20000);
    assert_int_equal(w_write(w, 1, a->name, 1), 1);
    w_settle(w);
    assert_true(a->ended && a->err == QUDAG_ELIMIT);
    assert_true(b->ended && b->err == QUDAG_ELIMIT);
    hop_stats_get(w->hop, &s);
    assert_true(s.ended_by_limit == 1 && s.circuits == 0);
    w_free(w);
}

static void the_limit_of_time_ends_both_sides_and_both_know_why(void **state)
{
    struct hop_config cfg = {.limit = {30, 0}};
    struct world *w = joined(&cfg);
    tstamp begun = w->now;

    (void)state;
    w_until(w, begun + 29 * NS_PER_S);
    assert_false(w_last(w, 1)->ended);
    w_until(w, begun + 31 * NS_PER_S);
    assert_true(w_last(w, 1)->ended && w_last(w, 1)->err == QUDAG_ELIMIT);
    assert_true(w_last(w, 2)->ended && w_last(w, 2)->err == QUDAG_ELIMIT);
    w_free(w);
}

static void a_reservation_is_renewed_and_ends_with_the_link_or_its_term(void **state)
{
    struct hop_config cfg = {.reservation_s = 600};
    struct world *w = w_new(&cfg);
    struct ev down = {.type = EV_PEER_DOWN, .peer = &w->id[2]};
    struct ev gone = {.type = EV_PEER_DOWN, .peer = &w->id[0]};

    (void)state;
    w_reserve(w, 2);
    w_until(w, w->now + 3600 * NS_PER_S);
    assert_true(w->reserved[2] >= 6 && w->lost[2] == 0);
    assert_true(hop_reserved(w->hop, &w->id[2]));
    w_event(w, 0, &down);
    assert_false(hop_reserved(w->hop, &w->id[2]));
    assert_int_equal(w_connect(w, 1, 2, 1), QUDAG_EUNREACHABLE);
    assert_int_equal(w->status[1], CIRCUIT_NO_RESERVATION);
    w_event(w, 2, &gone);
    assert_int_equal(w->lost[2], 1);
    w_until(w, w->now + 3 * NS_PER_S); /* and is made again */
    assert_true(hop_reserved(w->hop, &w->id[2]) && relayed_holds(w->user[2], &w->id[0]));
    assert_true(relayed_release(w->user[2], &w->id[0]));
    w_until(w, w->now + 601 * NS_PER_S);
    assert_false(hop_reserved(w->hop, &w->id[2]));
    w_free(w);
}

static void neither_relayed_nor_anonymous_links_carry_anything(void **state)
{
    struct hop_config cfg = {.rate = 0};
    struct world *w = w_new(&cfg);
    struct hop_stats s;

    (void)state;
    w->props[2] = LINK_RELAYED; /* the user itself would not ask: that is tested below */
    w_reserve(w, 2);
    assert_int_equal(w->reserved[2], 0);
    assert_false(hop_reserved(w->hop, &w->id[2]));
    w->props[2] = 0;
    w_until(w, w->now + 20 * NS_PER_S);
    assert_int_equal(w->reserved[2], 1);
    w->props[2] = LINK_RELAYED; /* the stop stream would go over a relay */
    assert_int_equal(w_connect(w, 1, 2, 1), QUDAG_EUNREACHABLE);
    assert_int_equal(w->status[1], CIRCUIT_CONNECTION_FAILED);
    w->props[2] = 0;
    w->props[1] = LINK_RELAYED | LINK_LIMITED;
    assert_int_equal(w_connect(w, 1, 2, 1), QUDAG_EPOLICY);
    w->props[1] = LINK_ANON;
    assert_int_equal(w_connect(w, 1, 2, 1), QUDAG_EPOLICY);
    hop_stats_get(w->hop, &s);
    assert_int_equal(s.connected, 0);
    w_free(w);
}

static void slow_readers_stop_their_senders_and_nobody_else(void **state)
{
    struct hop_config cfg = {.rate = 0};
    struct world *w = joined(&cfg);
    struct wire *x = NULL;
    struct opened *a = w_last(w, 1), *b = w_last(w, 2);
    uint64_t sent = 0;

    (void)state;
    for (size_t i = 0; i < STREAMS; i++) { /* the stop stream: opened by the relay */
        x = w->wire[i].used && w->wire[i].end[0].node == 0 ? &w->wire[i] : x;
    }
    assert_non_null(x);
    x->end[1].slow = true;
    for (unsigned i = 0; i < 100; i++) {
        struct wire *own = NULL;
        for (size_t k = 0; k < STREAMS; k++) {
            own = w->wire[k].used && w->wire[k].end[0].node == 1 ? &w->wire[k] : own;
        }
        size_t fits = WINDOW - own->end[1].len; /* what the array holds */
        sent += fits > 0 ? w_write(w, 1, a->name, fits) : 0;
        w_settle(w);
    }
    assert_true(x->end[1].len <= WINDOW); /* no more than the window lies at the relay */
    assert_true(sent >= WINDOW && sent <= 2 * WINDOW);
    assert_int_equal(b->got, 0);
    assert_int_equal(w_write(w, 2, b->name, 3000), 3000); /* the other way it goes on */
    w_settle(w);
    assert_int_equal(a->got, 3000);
    x->end[1].slow = false;
    w_settle(w);
    assert_int_equal(b->got, sent);
    w_free(w);
}

static void a_hundred_circuits_get_alike_from_a_rate(void **state)
{
    struct hop_config cfg = {.rate = 1000000, .circuits_peer = 200};
    struct world *w = w_new(&cfg);
    uint64_t least = UINT64_MAX, most = 0, all = 0;

    (void)state;
    for (uint32_t i = 5; i < NODES; i++) {
        w_reserve(w, i);
    }
    for (uint32_t i = 0; i < 100; i++) { /* 25 of each of four, to each of four others */
        assert_int_equal(w_connect(w, 1 + i % 4, 5 + i / 25, i), QUDAG_OK);
    }
    tstamp begun = w->now;
    while (w->now < begun + 20 * NS_PER_S) {
        for (uint32_t n = 1; n <= 4; n++) {
            for (size_t i = 0; i < w->n_opened[n]; i++) {
                struct opened *o = &w->opened[n][i];
                if (relayed_room(w->user[n], o->name) > RELAYED_QUEUE - WINDOW / 2) {
                    w_write(w, n, o->name, i == 0 ? 16000 : 4000); /* some push more at once */
                }
            }
        }
        w_until(w, w->now + 50 * NS_PER_MS);
    }
    for (uint32_t n = 5; n < NODES; n++) {
        for (size_t i = 0; i < w->n_opened[n]; i++) {
            uint64_t got = w->opened[n][i].got;
            least = got < least ? got : least;
            most = got > most ? got : most;
            all += got;
        }
    }
    assert_true(
        all >= 19 * UINT64_C(1000000)); /* the rate is used, but for the windows at the beginning */
    assert_true(all <= 21 * UINT64_C(1000000) + 100 * (uint64_t)WINDOW);
    if (most - least > most / 10) {
        fail_msg("from %llu to %llu bytes", (unsigned long long)least, (unsigned long long)most);
    }
    w_free(w);
}

static void places_have_limits_by_host_and_network_and_in_all(void **state)
{
    struct hop_config cfg = {.reservations_max = 4, .reservations_host = 1, .reservations_net = 3};
    struct world *w = w_new(&cfg);
    struct hop_stats s;

    (void)state;
    w_reserve(w, 2); /* nodes 2 and 3 are one host, 4 to 7 one network */
    w_reserve(w, 3);
    assert_true(hop_reserved(w->hop, &w->id[2]) && !hop_reserved(w->hop, &w->id[3]));
    w_reserve(w, 2); /* again: no second place */
    w_reserve(w, 4);
    w_reserve(w, 6);
    hop_stats_get(w->hop, &s);
    assert_int_equal(s.reservations, 3);
    assert_true(s.refused[HOP_REFUSED_LIMIT] >= 1);
    w_reserve(w, 8);
    assert_true(hop_reserved(w->hop, &w->id[8]));
    w_free(w);
    cfg = (struct hop_config){.reservations_max = 3, .reservations_host = 8};
    w = w_new(&cfg);
    w_reserve(w, 4);
    w_reserve(w, 5);
    w_reserve(w, 6); /* one network has all places */
    w_reserve(w, 8); /* of another: somebody of the first gives way */
    hop_stats_get(w->hop, &s);
    assert_true(s.reservations == 3 && s.gave_way == 1 && hop_reserved(w->hop, &w->id[8]));
    w_reserve(w, 7); /* and one more of the first pushes out nobody of the other */
    assert_true(hop_reserved(w->hop, &w->id[8]));
    w_free(w);
}

static void a_peer_takes_part_in_so_many_circuits(void **state)
{
    struct hop_config cfg = {.circuits_peer = 3};
    struct world *w = w_new(&cfg);

    (void)state;
    w_reserve(w, 2);
    w_reserve(w, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(w_connect(w, 1, 2, i), QUDAG_OK);
    }
    assert_int_equal(w_connect(w, 1, 3, 9), QUDAG_EREFUSED); /* of who asks */
    assert_int_equal(w->status[1], CIRCUIT_RESOURCE_LIMIT_EXCEEDED);
    assert_int_equal(w_connect(w, 4, 2, 9), QUDAG_EREFUSED); /* of who is asked for */
    assert_int_equal(w_connect(w, 4, 3, 9), QUDAG_OK);
    w_free(w);
}

static void a_relay_with_all_circuits_taken_says_so_and_renews_places(void **state)
{
    struct hop_config cfg = {.circuits_max = 2, .reservation_s = 600};
    struct world *w = w_new(&cfg);
    struct hop_stats s;

    (void)state;
    w_reserve(w, 2);
    w_reserve(w, 6);
    assert_int_equal(w_connect(w, 1, 2, 1), QUDAG_OK);
    assert_int_equal(w_connect(w, 4, 2, 2), QUDAG_OK);
    assert_int_equal(w_connect(w, 1, 6, 3), QUDAG_EREFUSED); /* and is not reset without a word */
    assert_int_equal(w->status[1], CIRCUIT_RESOURCE_LIMIT_EXCEEDED);
    w_until(w, w->now + 3600 * NS_PER_S);
    assert_true(w->lost[2] == 0 && w->reserved[2] >= 6 && hop_reserved(w->hop, &w->id[2]));
    hop_stats_get(w->hop, &s);
    assert_true(s.circuits == 2 && s.gave_way == 0);
    relayed_close(w->user[1], w_last(w, 1)->name, QUDAG_ECANCELED, w->now, &w->acts);
    w_carry_out(w, 1);
    w_settle(w);
    assert_int_equal(w_connect(w, 1, 6, 4), QUDAG_OK); /* there is room again */
    w_free(w);
    cfg.circuits_max = 3;
    w = w_new(&cfg);
    w_reserve(w, 6);
    for (uint32_t i = 0; i < 3; i++) { /* one host has them all: it gives one to another */
        assert_int_equal(w_connect(w, 1, 6, i), QUDAG_OK);
    }
    assert_int_equal(w_connect(w, 1, 6, 9), QUDAG_EREFUSED);
    assert_int_equal(w_connect(w, 8, 6, 9), QUDAG_OK);
    hop_stats_get(w->hop, &s);
    assert_true(s.circuits == 3 && s.gave_way == 1);
    w_free(w);
}

static void circuits_with_strangers_have_the_tighter_limit(void **state)
{
    struct hop_config cfg = {.limit = {0, 1 << 20}, .stranger = {600, 20000}};
    struct world *w = w_new(&cfg);

    (void)state;
    w->props[2] = w->props[1] = LINK_QUDAG;
    w_reserve(w, 2);
    assert_int_equal(w_connect(w, 1, 2, 1), QUDAG_OK);
    assert_true(w_last(w, 1)->info.limit.data == 1 << 20 &&
                w_last(w, 1)->info.limit.duration_s == 0);
    assert_int_equal(w_connect(w, 3, 2, 1), QUDAG_OK);
    assert_true(w_last(w, 3)->info.limit.data == 20000);
    assert_true(w_last(w, 2)->info.limit.data == 20000 &&
                w_last(w, 2)->info.limit.duration_s == 600);
    assert_int_equal(w_write(w, 3, w_last(w, 3)->name, 20001), 20001);
    assert_int_equal(w_write(w, 1, w_last(w, 1)->name, 30000), 30000);
    w_settle(w);
    assert_true(w_last(w, 3)->ended && w_last(w, 3)->err == QUDAG_ELIMIT);
    assert_false(w_last(w, 1)->ended);
    w_free(w);
}

static void a_relay_that_closes_keeps_what_it_promised(void **state)
{
    struct hop_config cfg = {.reservation_s = 600};
    struct world *w = w_new(&cfg);
    struct hop_stats s;

    (void)state;
    assert_true(hop_is_open(w->hop));
    w_reserve(w, 2);
    hop_set_open(w->hop, false);
    w_reserve(w, 3);
    assert_false(hop_reserved(w->hop, &w->id[3]));
    assert_int_equal(w_connect(w, 1, 2, 1), QUDAG_OK);
    w_until(w, w->now + 601 * NS_PER_S);
    assert_false(hop_reserved(w->hop, &w->id[2])); /* it was not renewed */
    assert_true(w->lost[2] == 1 && !w_last(w, 1)->ended);
    hop_stats_get(w->hop, &s);
    assert_true(s.refused[HOP_REFUSED_CLOSED] >= 1 && s.refused[HOP_REFUSED_LIMIT] == 0);
    hop_set_open(w->hop, true);
    w_until(w, w->now + 1200 * NS_PER_S);
    assert_true(hop_reserved(w->hop, &w->id[2]) && hop_reserved(w->hop, &w->id[3]));
    w_free(w);
}

/* What |n| circuits from |from| to 2 get in |s| seconds, each pushed as much as it takes. */
static uint64_t pushed(struct world *w, uint32_t from, tstamp s)
{
    tstamp begun = w->now;
    uint64_t got = 0;

    while (w->now < begun + s * NS_PER_S) {
        for (size_t i = 0; i < w->n_opened[from]; i++) {
            struct opened *o = &w->opened[from][i];
            if (relayed_room(w->user[from], o->name) > RELAYED_QUEUE - WINDOW / 2) {
                w_write(w, from, o->name, 8000);
            }
        }
        w_until(w, w->now + 20 * NS_PER_MS);
    }
    for (size_t i = 0; i < w->n_opened[2]; i++) {
        struct opened *o = &w->opened[2][i];
        got += peer_id_eq(&o->info.peer, &w->id[from]) ? o->got : 0;
    }
    return got;
}

static void a_circuit_and_a_peer_have_rates_of_their_own(void **state)
{
    struct hop_config cfg = {.rate_circuit = 100000};
    struct world *w = w_new(&cfg);
    struct hop_circuit_look look;
    size_t it = 0;

    (void)state;
    w_reserve(w, 2);
    assert_int_equal(w_connect(w, 1, 2, 1), QUDAG_OK);
    uint64_t got = pushed(w, 1, 20);
    assert_true(got >= 1900000 && got <= 2100000 + 2 * (uint64_t)WINDOW);
    assert_true(hop_circuit_next(w->hop, &it, &look));
    assert_true(peer_id_eq(&look.from, &w->id[1]) && peer_id_eq(&look.to, &w->id[2]));
    assert_true(look.sent >= got && look.got == 0);
    assert_false(hop_circuit_next(w->hop, &it, &look));
    w_free(w);
    cfg = (struct hop_config){.rate_peer = 100000};
    w = w_new(&cfg);
    w_reserve(w, 2);
    for (uint32_t i = 0; i < 4; i++) { /* many circuits do not make it more */
        assert_int_equal(w_connect(w, 1, 2, i), QUDAG_OK);
    }
    got = pushed(w, 1, 20);
    assert_true(got >= 1900000 && got <= 2100000 + 8 * (uint64_t)WINDOW);
    w_free(w);
}

/* As many reconnects and reservations as can be leave one place each, and those of others. */
/* The first bytes of a circuit, asked for by 1 of 2 over links with these properties. */
static void early(uint8_t props_1, uint8_t props_2, size_t len, qudag_err err)
{
    struct hop_config cfg = {.rate = 0};
    struct world *w = w_new(&cfg);
    struct relayed_info want = {.relay = w->id[0], .peer = w->id[2]};
    uint8_t bytes[CIRCUIT_EARLY_MAX];

    memset(bytes, 7, sizeof(bytes));
    w->props[1] = props_1;
    w->props[2] = props_2;
    w_reserve(w, 2);
    w->failed[1] = QUDAG_OK;
    assert_int_equal(
        relayed_connect(w->user[1], &want, (struct slice){bytes, len}, 3, w->now, &w->acts),
        QUDAG_OK);
    w_carry_out(w, 1);
    w_settle(w);
    assert_int_equal(w->failed[1], err);
    assert_int_equal(w_last(w, 2)->got, len);
    for (unsigned i = 1; i <= 4; i++) { /* credit is as it was */
        assert_int_equal(w_write(w, 1, w_last(w, 1)->name, WINDOW / 2), WINDOW / 2);
        assert_int_equal(w_write(w, 2, w_last(w, 2)->name, WINDOW / 2), WINDOW / 2);
        w_settle(w);
        assert_int_equal(w_last(w, 2)->got, len + i * (WINDOW / 2));
        assert_int_equal(w_last(w, 1)->got, i * (WINDOW / 2));
    }
    w_free(w);
}

static void the_first_bytes_come_once_whoever_takes_them_early(void **state)
{
    (void)state;

    early(LINK_QUDAG, LINK_QUDAG, 1700, QUDAG_OK);
    early(LINK_QUDAG, 0, CIRCUIT_EARLY_MAX, QUDAG_OK); /* the relay keeps them */
    early(0, LINK_QUDAG, 1700, QUDAG_OK);              /* they wait for the answer */
    early(0, 0, 1700, QUDAG_OK);
    early(LINK_QUDAG, LINK_QUDAG, 0, QUDAG_OK);
}

static void reconnects_leak_no_places(void **state)
{
    struct hop_config cfg = {.reservations_max = 8, .reservations_host = 2};
    struct world *w = w_new(&cfg);
    struct ev down = {.type = EV_PEER_DOWN, .peer = &w->id[2]}, gone = down;
    struct hop_stats s;

    (void)state;
    w_reserve(w, 2);
    w_reserve(w, 8);
    gone.peer = &w->id[0];
    for (unsigned i = 0; i < 500; i++) {
        if (i % 3 != 0) { /* at times it comes again before the relay knows that it was gone */
            w_event(w, 0, &down);
        }
        w_event(w, 2, &gone);
        w_until(w, w->now + 3 * NS_PER_S);
    }
    hop_stats_get(w->hop, &s);
    assert_int_equal(s.reservations, 2);
    assert_int_equal(s.requests + s.circuits, 0);
    assert_true(hop_reserved(w->hop, &w->id[2]) && hop_reserved(w->hop, &w->id[8]));
    assert_int_equal(w->lost[8], 0);
    w_reserve(w, 3); /* the second of that host: the first has not used both up */
    assert_true(hop_reserved(w->hop, &w->id[3]));
    w_free(w);
}

static void what_is_given_up_leaves_nothing(void **state)
{
    struct hop_config cfg = {.rate = 0};
    struct world *w = w_new(&cfg);
    struct relayed_info want = {.relay = w->id[0], .peer = w->id[2]};
    struct relayed_info self = {.relay = w->id[0], .peer = w->id[1]};
    struct relayed_info relay = {.relay = w->id[0], .peer = w->id[0]};
    struct hop_stats s;

    (void)state;
    assert_int_equal(
        relayed_connect(w->user[1], &self, (struct slice){NULL, 0}, 1, w->now, &w->acts),
        QUDAG_EINVAL);
    assert_int_equal(
        relayed_connect(w->user[1], &relay, (struct slice){NULL, 0}, 1, w->now, &w->acts),
        QUDAG_EINVAL);
    assert_int_equal(relayed_reserve(w->user[1], &w->id[1], w->now), QUDAG_EINVAL);
    w_reserve(w, 2);
    assert_int_equal(
        relayed_connect(w->user[1], &want, (struct slice){NULL, 0}, 5, w->now, &w->acts), QUDAG_OK);
    assert_true(relayed_cancel(w->user[1], 5, &w->acts)); /* before its stream is there */
    assert_false(relayed_cancel(w->user[1], 5, &w->acts));
    w_carry_out(w, 1);
    w_settle(w);
    assert_int_equal(w->n_opened[1] + w->n_opened[2], 0);
    assert_int_equal(w_connect(w, 1, 2, 6), QUDAG_OK);
    assert_false(relayed_cancel(w->user[1], 6, &w->acts)); /* it stands: to be closed */
    relayed_close(w->user[1], w_last(w, 1)->name, QUDAG_ECANCELED, w->now, &w->acts);
    w_carry_out(w, 1);
    w_settle(w);
    assert_true(w_last(w, 2)->ended && w_last(w, 2)->err == QUDAG_ERESET);
    w_until(w, w->now + 60 * NS_PER_S);
    hop_stats_get(w->hop, &s);
    assert_int_equal(s.circuits + s.requests, 0);
    for (size_t i = 0; i < STREAMS; i++) {
        assert_false(w->wire[i].used);
    }
    w_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_circuit_carries_bytes_both_ways_and_ends_in_good_order),
        cmocka_unit_test(the_limit_of_bytes_ends_both_sides_and_both_know_why),
        cmocka_unit_test(the_limit_of_time_ends_both_sides_and_both_know_why),
        cmocka_unit_test(a_reservation_is_renewed_and_ends_with_the_link_or_its_term),
        cmocka_unit_test(neither_relayed_nor_anonymous_links_carry_anything),
        cmocka_unit_test(slow_readers_stop_their_senders_and_nobody_else),
        cmocka_unit_test(a_hundred_circuits_get_alike_from_a_rate),
        cmocka_unit_test(places_have_limits_by_host_and_network_and_in_all),
        cmocka_unit_test(a_peer_takes_part_in_so_many_circuits),
        cmocka_unit_test(a_relay_with_all_circuits_taken_says_so_and_renews_places),
        cmocka_unit_test(circuits_with_strangers_have_the_tighter_limit),
        cmocka_unit_test(a_relay_that_closes_keeps_what_it_promised),
        cmocka_unit_test(a_circuit_and_a_peer_have_rates_of_their_own),
        cmocka_unit_test(the_first_bytes_come_once_whoever_takes_them_early),
        cmocka_unit_test(reconnects_leak_no_places),
        cmocka_unit_test(what_is_given_up_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
