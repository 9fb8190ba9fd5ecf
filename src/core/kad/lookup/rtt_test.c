/* How long a node may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/lookup/rtt.h"
#include "core/kad/routing/contact_kit.h"

static void round_trips_set_how_long_is_waited(void **state)
{
    (void)state;
    mem_init(&mem, NULL, 0);
    struct kad_rtt t, *k = &t;
    struct kad_contact *p = peer(1, 1);

    kad_rtt_init(&t);
    k->failing = KAD_FAILING_MANY;
    struct kad_timeouts w = kad_timeouts_answer(k, p);
    assert_true(w.soft < w.late && w.late == 900 * NS_PER_MS && w.late < w.hard);
    for (int i = 0; i < 50; i++) {
        kad_rtt_add(&k->answers, 120 * NS_PER_MS);
        kad_rtt_add(&k->dials, 160 * NS_PER_MS);
    }
    w = kad_timeouts_answer(k, p); /* a stranger: as the others */
    assert_in_range(w.soft / NS_PER_MS, 235, 245);
    assert_in_range(w.late / NS_PER_MS, 345, 355); /* one packet may be lost */
    assert_in_range(kad_timeouts_dial(k).late / NS_PER_MS, 440, 460);
    for (int i = 0; i < 500; i++) {
        kad_failing_add(k, false);
    }
    w = kad_timeouts_answer(k, p); /* hardly anybody fails: three times as long */
    assert_in_range(w.late / NS_PER_MS, 1030, 1060);
    kad_failing_add(k, true);
    assert_in_range(kad_timeouts_answer(k, p).late / NS_PER_MS, 345, 355);
    kad_contact_rtt(p, 0);
    w = kad_timeouts_answer(k, p);
    assert_int_equal(w.soft, 20 * NS_PER_MS);
    assert_int_equal(w.late, 300 * NS_PER_MS); /* it may be busy with something else */
    for (int i = 0; i < 50; i++) {
        kad_contact_rtt(p, 300 * NS_PER_MS);
    }
    w = kad_timeouts_answer(k, p);
    assert_in_range(w.soft / NS_PER_MS, 590, 610);
    assert_in_range(w.late / NS_PER_MS, 790, 810);
    kad_contact_rtt(p, TSTAMP_NEVER - 1);
    w = kad_timeouts_answer(k, p);
    assert_true(w.late <= 2 * NS_PER_S && w.late < w.hard);
    kad_contact_unref(p);
    assert_int_equal(mem.used, 0);
}

/* A handshake takes processor time: among quick nodes a dial is not late when a request would be. */
static void a_dial_is_given_time_for_its_handshake(void **state)
{
    (void)state;
    struct kad_rtt t;

    kad_rtt_init(&t);
    assert_int_equal(kad_timeouts_dial(&t).late, 900 * NS_PER_MS);
    for (int i = 0; i < 50; i++) {
        kad_rtt_add(&t.answers, NS_PER_MS / 2);
        kad_rtt_add(&t.dials, 2 * NS_PER_MS);
    }
    struct kad_timeouts w = kad_timeouts_dial(&t);
    assert_int_equal(w.soft, 20 * NS_PER_MS); /* others are asked meanwhile, as before */
    assert_int_equal(w.late, 300 * NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips_set_how_long_is_waited),
        cmocka_unit_test(a_dial_is_given_time_for_its_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
