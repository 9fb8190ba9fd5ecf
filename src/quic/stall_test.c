/* stall_test.c - when a link counts as one on which nothing may leave any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quic/stall.h"

#define RTT (80 * NS_PER_MS)
#define AT (100 * NS_PER_S)

static void who_hears_the_peer_and_may_send_nothing_waits_a_few_seconds(void **state)
{
    struct quic_stall_link l = {.rtt = RTT, .idle = 60 * NS_PER_S, .timer = AT + 60 * NS_PER_S};
    struct quic_stall_view v = {.sent = false};
    tstamp due = AT + QUIC_STALL_LEAST + 8 * RTT;
    (void)state;

    assert_int_equal(quic_rule_stalled(&v, &l), TSTAMP_NEVER);
    quic_stall_sent(&v);
    quic_stall_heard(&v, AT);
    assert_int_equal(quic_rule_stalled(&v, &l), due);
    quic_stall_heard(&v, AT + 2 * NS_PER_S); /* what comes later changes nothing */
    assert_int_equal(quic_rule_stalled(&v, &l), due);
    quic_stall_sent(&v);
    assert_int_equal(quic_rule_stalled(&v, &l), TSTAMP_NEVER);
    quic_stall_heard(&v, AT + 9 * NS_PER_S);
    assert_int_equal(quic_rule_stalled(&v, &l),
                     TSTAMP_NEVER); /* a probe is due before the link would be idle */
    l.timer = AT + 69 * NS_PER_S;
    assert_int_equal(quic_rule_stalled(&v, &l), due + 9 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_hears_the_peer_and_may_send_nothing_waits_a_few_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
