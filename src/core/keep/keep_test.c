/* keep_test.c - kept peers, event by event: pauses, turns, what is held, messages in every state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/keep/keep.h"

#include <string.h>

static struct keep k;
static struct rng_stream stream;
static struct act v[64];
static uint8_t bytes[4096];
static struct acts out;
static tstamp now;

static struct peer_id peer_no(uint8_t n)
{
    struct peer_id p;
    uint8_t pk[32] = {n, 7};

    peer_id_from_ed25519(&p, pk);
    return p;
}

static int setup(void **state)
{
    static const uint8_t seed[32] = {8};
    (void)state;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    keep_init(&k, &rng);
    out = (struct acts){.v = v, .cap = ARRAY_LEN(v), .bytes = bytes, .bytes_cap = sizeof bytes};
    now = 1000 * NS_PER_S;
    return 0;
}

static void clear(void)
{
    out.n = out.bytes_n = 0;
}

static size_t count(enum act_type type)
{
    size_t n = 0;

    for (size_t i = 0; i < out.n; i++) {
        n += v[i].type == type ? 1 : 0;
    }
    return n;
}

static void send(enum ev_type type, uint8_t peer, uint64_t cookie, qudag_err err)
{
    struct peer_id p = peer_no(peer);
    struct ev ev = {.type = type, .peer = &p, .cookie = cookie, .err = err, .strm = {peer, 1}};

    keep_ops.event(&k, &ev, now, &out);
}

/* Time goes on to what is due; the cookie of the last open. */
static uint64_t open_next(void)
{
    clear();
    now = keep_ops.deadline(&k);
    assert_true(now != TSTAMP_NEVER);
    keep_ops.tick(&k, now, &out);
    assert_true(out.n > 0 && v[out.n - 1].type == ACT_OPEN);
    return v[out.n - 1].cookie;
}

static void add(uint8_t n)
{
    struct peer_id p = peer_no(n);
    assert_int_equal(keep_add(&k, &p, false, false, now), QUDAG_OK);
}

static const struct keep_peer *get(uint8_t n)
{
    struct peer_id p = peer_no(n);
    return keep_get(&k, &p);
}

static void pauses_double_up_to_a_limit_and_differ(void **state)
{
    struct rng rng = rng_of_stream(&stream);
    uint64_t base = KEEP_MIN, first = 0;
    bool differ = false;
    (void)state;

    for (uint32_t i = 1; i < 60; i++) {
        uint64_t wait = keep_pause(&rng, i, KEEP_MIN, KEEP_MAX_PAUSE);
        assert_true(wait >= base && wait <= base + base / 2);
        base = 2 * base < KEEP_MAX_PAUSE ? 2 * base : KEEP_MAX_PAUSE;
        uint64_t other = keep_pause(&rng, 1, KEEP_MIN, KEEP_MAX_PAUSE);
        differ = differ || (first != 0 && other != first);
        first = other;
    }
    assert_true(differ);
    assert_true(keep_pause(&rng, 0, KEEP_MIN, KEEP_MAX_PAUSE) >= KEEP_MIN);
    assert_false(keep_finds(1));
    assert_true(keep_finds(2));
    assert_false(keep_finds(3));
    assert_true(keep_finds(6));
}

static void a_lost_link_is_made_again_and_failures_make_longer_pauses(void **state)
{
    (void)state;
    add(1);
    tstamp begun = now;
    uint64_t c = open_next();
    assert_true(now - begun < KEEP_SOON);
    uint64_t longest = 0;
    unsigned finds = 0;
    for (unsigned i = 0; i < 12; i++) {
        clear();
        send(EV_STREAM_FAIL, 1, c, QUDAG_EUNREACHABLE);
        assert_int_equal(get(1)->failures, i + 1);
        assert_int_equal(v[0].kind, KEEP_UP_FAILED);
        finds += out.n == 2 && v[1].kind == KEEP_UP_FIND ? 1 : 0;
        uint64_t pause = get(1)->due - now;
        assert_true(pause >= KEEP_MIN && pause <= KEEP_MAX_PAUSE + KEEP_MAX_PAUSE / 2);
        longest = pause > longest ? pause : longest;
        c = open_next();
    }
    assert_int_equal(finds, 3);
    assert_true(longest >= KEEP_MAX_PAUSE);
    send(EV_PEER_UP, 1, 0, QUDAG_OK);
    send(EV_STREAM_OPEN, 1, c, QUDAG_OK);
    assert_int_equal(get(1)->state, KEEP_HELD);
    assert_true(keep_ops.deadline(&k) == TSTAMP_NEVER);
    send(EV_PEER_DOWN, 1, 0, QUDAG_ETIMEOUT);
    send(EV_RESET, 1, 0, QUDAG_ETIMEOUT); /* its stream ends after it */
    assert_int_equal(get(1)->state, KEEP_WAITING);
    assert_true(get(1)->due - now < KEEP_SOON);
}

/* A link that stands for |ns|, and is lost; the pause until it is tried again. */
static uint64_t link_for(uint64_t ns)
{
    uint64_t c = open_next();

    send(EV_PEER_UP, 1, 0, QUDAG_OK);
    send(EV_STREAM_OPEN, 1, c, QUDAG_OK);
    now += ns;
    send(EV_PEER_DOWN, 1, 0, QUDAG_ECLOSED);
    assert_int_equal(get(1)->state, KEEP_WAITING);
    return get(1)->due - now;
}

static void a_peer_that_closes_at_once_is_dialled_after_longer_and_longer_pauses(void **state)
{
    uint64_t least = KEEP_MIN;
    (void)state;
    add(1);
    assert_true(link_for(NS_PER_MS) < KEEP_SOON); /* may happen once */
    for (unsigned i = 2; i < 12; i++) {
        least = 2 * least < KEEP_MAX_PAUSE ? 2 * least : KEEP_MAX_PAUSE;
        uint64_t pause = link_for(KEEP_BRIEF - 1);
        assert_true(pause >= least && pause <= least + least / 2);
    }
    assert_int_equal(get(1)->failures, 0); /* it could be reached */
    struct peer_id p = peer_no(1);
    keep_retry(&k, &p, now); /* by hand, or our network is another: from the beginning */
    assert_true(link_for(0) < KEEP_SOON);
    assert_true(link_for(0) >= KEEP_MIN);
    assert_true(link_for(KEEP_BRIEF) < KEEP_SOON); /* it stood */
    assert_true(link_for(0) < KEEP_SOON);
}

/* It closes while the stream is still being opened: the same. */
static void nor_is_one_that_never_lets_a_stream_open(void **state)
{
    (void)state;
    add(1);
    for (unsigned i = 1; i < 5; i++) {
        uint64_t c = open_next();
        send(EV_PEER_UP, 1, 0, QUDAG_OK);
        send(EV_STREAM_FAIL, 1, c, QUDAG_ECLOSED);
        send(EV_PEER_DOWN, 1, 0, QUDAG_ECLOSED);
        assert_int_equal(get(1)->state, KEEP_WAITING);
        uint64_t least = KEEP_MIN << (i - 1);
        assert_true(i == 1 || get(1)->due - now >= least);
    }
}

static void what_we_lack_is_no_failure_of_the_peer(void **state)
{
    static const qudag_err ours[] = {QUDAG_ECANCELED, QUDAG_ELIMIT, QUDAG_ENOMEM};
    (void)state;
    add(1);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        uint64_t c = open_next();
        clear();
        send(EV_STREAM_FAIL, 1, c, ours[i]);
        assert_int_equal(get(1)->failures, 0);
        assert_int_equal(out.n, 0);
        assert_true(get(1)->due - now >= KEEP_MIN); /* no busy loop */
    }
}

static void few_are_dialled_at_once_and_who_waits_longest_goes_first(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= KEEP_MAX; i++) {
        add(i);
        k.v[i - 1].due = now + (uint64_t)(KEEP_MAX - i) * NS_PER_MS; /* the last comes first */
    }
    struct peer_id more = peer_no(200);
    assert_int_equal(keep_add(&k, &more, false, false, now), QUDAG_ELIMIT);
    now += NS_PER_S;
    keep_ops.tick(&k, now, &out);
    assert_int_equal(count(ACT_OPEN), KEEP_AT_ONCE);
    struct peer_id first = peer_no(KEEP_MAX);
    assert_true(peer_id_eq(&v[0].peer, &first));
    assert_true(keep_ops.deadline(&k) == TSTAMP_NEVER);
    uint64_t c = v[0].cookie;
    clear();
    send(EV_STREAM_FAIL, KEEP_MAX, c, QUDAG_EUNREACHABLE);
    clear();
    keep_ops.tick(&k, now, &out);
    assert_int_equal(count(ACT_OPEN), 1); /* the next, not the one that has just failed */
    struct peer_id fifth = peer_no(KEEP_MAX - 4);
    assert_true(peer_id_eq(&v[0].peer, &fifth));
}

static void when_our_network_is_back_all_are_tried_spread_over_a_while(void **state)
{
    tstamp first = TSTAMP_NEVER, last = 0;
    (void)state;
    for (uint8_t i = 1; i <= 20; i++) {
        add(i);
        k.v[i - 1].failures = 30;
        k.v[i - 1].due = now + 300 * NS_PER_S;
    }
    keep_retry(&k, NULL, now);
    for (uint8_t i = 0; i < 20; i++) {
        assert_true(k.v[i].due < now + KEEP_SOON);
        assert_int_equal(k.v[i].failures, 0);
        first = tstamp_min(first, k.v[i].due);
        last = k.v[i].due > last ? k.v[i].due : last;
    }
    assert_true(last - first > KEEP_SOON / 4);
}

/* A guard's link is held, and dialled by nobody here. */
static void a_link_that_is_only_held_is_not_dialled(void **state)
{
    struct peer_id p = peer_no(1);
    (void)state;
    assert_int_equal(keep_add(&k, &p, true, false, now), QUDAG_OK);
    assert_true(keep_ops.deadline(&k) == TSTAMP_NEVER);
    keep_retry(&k, NULL, now);
    assert_true(keep_ops.deadline(&k) == TSTAMP_NEVER);
    send(EV_PEER_UP, 1, 0, QUDAG_OK);
    uint64_t c = open_next();
    assert_true(v[0].no_dial);
    send(EV_STREAM_OPEN, 1, c, QUDAG_OK);
    send(EV_PEER_DOWN, 1, 0, QUDAG_ETIMEOUT);
    assert_true(keep_ops.deadline(&k) == TSTAMP_NEVER);
    assert_int_equal(keep_add(&k, &p, false, false, now), QUDAG_OK); /* the program keeps it, too */
    assert_true(keep_ops.deadline(&k) <= now + KEEP_SOON);
}

static void a_peer_that_refuses_the_stream_is_kept_as_long_as_the_link_stands(void **state)
{
    (void)state;
    add(1);
    uint64_t c = open_next();
    send(EV_PEER_UP, 1, 0, QUDAG_OK);
    clear();
    send(EV_STREAM_FAIL, 1, c, QUDAG_EUNSUPPORTED);
    assert_int_equal(get(1)->state, KEEP_LINKED);
    assert_int_equal(get(1)->cookie, 0);
    assert_int_equal(out.n, 0);
    assert_true(keep_ops.deadline(&k) == now + KEEP_AGAIN);
    c = open_next();
    send(EV_STREAM_OPEN, 1, c, QUDAG_OK);
    clear();
    send(EV_FIN, 1, 0, QUDAG_OK);
    assert_int_equal(count(ACT_RESET), 1);
    assert_int_equal(get(1)->state, KEEP_LINKED);
}

static void a_released_peer_is_forgotten_and_its_stream_ends(void **state)
{
    struct peer_id p = peer_no(1);
    (void)state;
    add(1);
    uint64_t c = open_next();
    clear();
    assert_true(keep_release(&k, &p, &out));
    assert_false(keep_release(&k, &p, &out));
    send(EV_STREAM_OPEN, 1, c, QUDAG_OK); /* which was under way */
    assert_int_equal(count(ACT_RESET), 1);
    add(1);
    c = open_next();
    send(EV_STREAM_OPEN, 1, c, QUDAG_OK);
    clear();
    assert_true(keep_release(&k, &p, &out));
    assert_int_equal(count(ACT_RESET), 1);
}

static void a_better_link_is_held_by_another_stream(void **state)
{
    struct peer_id p = peer_no(1);
    (void)state;
    add(1);
    uint64_t c = open_next();
    assert_false(keep_move(&k, &p, now, &out)); /* nothing is held yet */
    send(EV_PEER_UP, 1, 0, QUDAG_OK);
    send(EV_STREAM_OPEN, 1, c, QUDAG_OK);
    clear();
    assert_true(keep_move(&k, &p, now, &out));
    assert_int_equal(count(ACT_RESET), 1);
    assert_int_equal(keep_ops.deadline(&k), now);
    clear();
    uint64_t again = open_next();
    assert_int_not_equal(again, c);
    send(EV_STREAM_OPEN, 1, again, QUDAG_OK);
    assert_int_equal(get(1)->state, KEEP_HELD);
    assert_int_equal(get(1)->failures, 0);
}

/* A stream, or a failure, of an attempt before this one says nothing of this one. */
static void what_an_earlier_attempt_brings_changes_nothing(void **state)
{
    struct peer_id p = peer_no(1);
    (void)state;
    add(1);
    uint64_t before = open_next();
    clear();
    assert_true(keep_release(&k, &p, &out));
    add(1);
    uint64_t c = open_next();
    clear();
    send(EV_STREAM_FAIL, 1, before, QUDAG_ETIMEOUT);
    assert_int_equal(get(1)->state, KEEP_OPENING);
    assert_int_equal(get(1)->failures, 0);
    assert_int_equal(out.n, 0);
    send(EV_STREAM_OPEN, 1, before, QUDAG_OK);
    assert_int_equal(count(ACT_RESET), 1);
    assert_int_equal(get(1)->state, KEEP_OPENING);
    send(EV_STREAM_OPEN, 1, c, QUDAG_OK);
    assert_int_equal(get(1)->state, KEEP_HELD);
    struct ev again = {.type = EV_PEER_DOWN, .peer = &p, .again = true};
    keep_ops.event(&k, &again, now, &out); /* not the link itself */
    assert_int_equal(get(1)->state, KEEP_HELD);
}

/* Whoever is kept for the program is dialled, though a guard's link is only held, too. */
static void holding_does_not_end_dialling(void **state)
{
    struct peer_id p = peer_no(1);
    (void)state;
    add(1);
    assert_int_equal(keep_add(&k, &p, true, false, now), QUDAG_OK);
    assert_false(get(1)->no_dial);
    (void)open_next();
    assert_false(v[out.n - 1].no_dial);
}

static void every_message_in_every_state_leaves_it_sound(void **state)
{
    static const enum ev_type types[] = {EV_PEER_UP, EV_PEER_DOWN, EV_STREAM_OPEN, EV_STREAM_FAIL,
                                         EV_DATA,    EV_FIN,       EV_RESET,       EV_WRITABLE};
    (void)state;
    for (unsigned s = KEEP_WAITING; s <= KEEP_LINKED; s++) {
        for (size_t t = 0; t < ARRAY_LEN(types); t++) {
            for (uint64_t cookie = 0; cookie < 2; cookie++) {
                (void)setup(NULL);
                add(1);
                k.v[0].state = (enum keep_state)s;
                k.v[0].cookie = s == KEEP_OPENING ? 1 : 0;
                k.v[0].strm = s == KEEP_HELD ? (struct ref){1, 1} : (struct ref){0, 0};
                send(types[t], 1, cookie, QUDAG_ETIMEOUT);
                send(types[t], 2, cookie, QUDAG_ETIMEOUT); /* of nobody's */
                assert_true((k.v[0].state == KEEP_HELD) == !ref_none(k.v[0].strm));
                assert_true((k.v[0].state == KEEP_OPENING) == (k.v[0].cookie != 0));
            }
        }
    }
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(pauses_double_up_to_a_limit_and_differ),
        T(a_lost_link_is_made_again_and_failures_make_longer_pauses),
        T(a_peer_that_closes_at_once_is_dialled_after_longer_and_longer_pauses),
        T(nor_is_one_that_never_lets_a_stream_open),
        T(what_we_lack_is_no_failure_of_the_peer),
        T(few_are_dialled_at_once_and_who_waits_longest_goes_first),
        T(when_our_network_is_back_all_are_tried_spread_over_a_while),
        T(a_link_that_is_only_held_is_not_dialled),
        T(a_peer_that_refuses_the_stream_is_kept_as_long_as_the_link_stands),
        T(a_better_link_is_held_by_another_stream),
        T(a_released_peer_is_forgotten_and_its_stream_ends),
        T(what_an_earlier_attempt_brings_changes_nothing),
        T(holding_does_not_end_dialling),
        T(every_message_in_every_state_leaves_it_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
