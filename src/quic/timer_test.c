/* How late the timer of a link may fire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"
#include "quic/timer.h"

static struct tk tk;

static bool both_up(struct tk *t)
{
    return t->ep[0].ups == 1 && t->ep[1].ups == 1;
}

static void never_early_and_late_by_an_eighth_at_most(void **state)
{
    const tstamp now = 12345678901234;

    (void)state;
    for (uint64_t in = 0; in < 400 * NS_PER_S; in += 1 + in / 3) {
        tstamp at = now + in, late = quic_timer_late(at, now);
        assert_true(late >= at);
        assert_true(late - at <= in / 8);
        assert_true(late - at < QUIC_TIMER_LATE_MOST);
        assert_true(in >= 8 * NS_PER_MS || late == at);
    }
}

static void ends_of_time(void **state)
{
    (void)state;
    assert_int_equal(quic_timer_late(TSTAMP_NEVER, 0), TSTAMP_NEVER);
    assert_int_equal(quic_timer_late(TSTAMP_NEVER - 1, 5), TSTAMP_NEVER - 1);
    assert_int_equal(quic_timer_late(3, 5), 3); /* overdue */
}

static void keepalives_of_many_links_share_their_moments(void **state)
{
    const tstamp now = 987654321987;
    tstamp last = 0;
    unsigned moments = 0;

    (void)state;
    for (unsigned i = 0; i < 1000;
         i++) { /* in the order in which they are due, over five seconds */
        tstamp at = quic_timer_late(now + 22 * NS_PER_S + i * 5 * NS_PER_MS, now);
        moments += at != last ? 1 : 0;
        last = at;
    }
    assert_in_range(moments, 2, 20);
}

static void link_up(struct ref *link)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    tk_init(&tk);
    assert_true(tk_make(&tk, 0, &o));
    assert_true(tk_make(&tk, 1, &o));
    const struct quic_dial d = {.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer};
    assert_int_equal(quic_dial(tk.ep[0].q, &d, tk.now, link), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, both_up));
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
}

/* Draws again and again how long |c| says nothing: least and most. */
static void draws(struct quic_conn *c, uint64_t range[2])
{
    range[0] = UINT64_MAX;
    for (unsigned i = 0; i < 200; i++) {
        quic_conn_keep_alive(c);
        uint64_t in = ngtcp2_conn_get_expiry(c->ng) - tk.now;
        range[0] = in < range[0] ? in : range[0];
        range[1] = in > range[1] ? in : range[1];
    }
}

static void who_was_dialled_keeps_the_link_alive(void **state)
{
    uint64_t dialled[2] = {0}, dialler[2] = {0};
    struct ref link;

    (void)state;
    link_up(&link);
    draws(slots_get(&tk.ep[0].q->conns, link), dialler);
    draws(slots_get(&tk.ep[1].q->conns, tk.ep[1].link), dialled);
    /* Since the last packet, some seconds ago, 22.5 to 27.5 s. */
    assert_true(dialled[0] > 17 * NS_PER_S && dialler[1] < 28 * NS_PER_S);
    assert_true(dialled[1] > dialled[0] + NS_PER_S && dialler[1] > dialler[0] + NS_PER_S);
    assert_true(dialled[1] < dialler[0] + NS_PER_S / 10);
    tk_fini(&tk);
}

/* Padding has the times of packets that somebody caused: a grid would tell them apart (spec/link.md 6). */
static void padded_links_are_exact(void **state)
{
    struct ref link;

    (void)state;
    link_up(&link);
    struct quic_conn *c = slots_get(&tk.ep[0].q->conns, link);
    assert_non_null(c);
    quic_conn_set_timer(c);
    assert_int_equal(c->timer.at, quic_timer_late(ngtcp2_conn_get_expiry(c->ng), tk.now));
    assert_true(c->timer.at > ngtcp2_conn_get_expiry(c->ng));
    c->padding = (struct transport_padding){NS_PER_S, 9 * NS_PER_S, tk.now + 60 * NS_PER_S};
    quic_conn_set_timer(c);
    assert_int_equal(c->timer.at, ngtcp2_conn_get_expiry(c->ng));
    tk_fini(&tk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_early_and_late_by_an_eighth_at_most),
        cmocka_unit_test(ends_of_time),
        cmocka_unit_test(keepalives_of_many_links_share_their_moments),
        cmocka_unit_test(who_was_dialled_keeps_the_link_alive),
        cmocka_unit_test(padded_links_are_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
