/* checks_test.c - how many packets a meeting sends to hosts that never answered, and how fast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/meet/meet_int.h"

#include <string.h>

static struct meet m;
static struct meet_memory memory;
static struct meeting mt;
static struct act v[ACTS_ROOM];
static uint8_t bytes[ACTS_BYTES_ROOM];
static struct acts out;
static struct rng_stream dice;

static int setup(void **state)
{
    (void)state;
    memset(&m, 0, sizeof(m));
    memset(&memory, 0, sizeof(memory));
    memset(&mt, 0, sizeof(mt));
    rng_stream_init(&dice, (const uint8_t[32]){1});
    m.rng = rng_of_stream(&dice);
    mt.m = &m;
    mt.mem = &memory;
    mt.keyed = true;
    mt.state = MEET_CHECKING;
    out = (struct acts){.v = v, .cap = ARRAY_LEN(v), .bytes = bytes, .bytes_cap = sizeof(bytes)};
    return 0;
}

static struct netaddr host(unsigned i, unsigned port)
{
    return (struct netaddr){.family = 4, .ip = {9, 9, 9, (uint8_t)i}, .port = (uint16_t)port};
}

static size_t sent(void)
{
    size_t n = out.n;

    out.n = out.bytes_n = 0;
    return n;
}

/* In rounds without end, to hosts that the peer named: more than there are in one HELLO. */
static size_t checks_to(size_t hosts)
{
    size_t n = 0;

    for (mt.n_pairs = 0; mt.n_pairs < MEET_PAIRS_MAX; mt.n_pairs++) {
        struct meet_check *c = &mt.pairs[mt.n_pairs];
        c->to.addr = host((unsigned)(mt.n_pairs % hosts), 5000 + (unsigned)mt.n_pairs);
        c->to.kind = MEET_OBSERVED;
    }
    for (tstamp now = 1000 * NS_PER_S; now < 1100 * NS_PER_S; now += 5 * NS_PER_MS) {
        meet_checks_send(&mt, now, &out);
        n += sent();
    }
    return n;
}

static void hosts_that_never_answered_get_few_packets_in_all(void **state)
{
    (void)state;
    assert_int_equal(checks_to(1), MEET_HOST_ROUND);
    (void)setup(state);
    assert_int_equal(checks_to(20), MEET_UNANSWERED_MAX);
    assert_int_equal(mt.n_hosts, 20);
}

static void no_more_hosts_are_sent_to_than_are_counted(void **state)
{
    (void)state;
    (void)checks_to(MEET_PAIRS_MAX);
    assert_int_equal(mt.n_hosts, MEET_HOSTS_MAX);
}

static void guesses_are_sent_one_by_one(void **state)
{
    tstamp now = 1000 * NS_PER_S;
    (void)state;

    mt.guess = (struct meet_guess){.on = true, .to = host(1, 1), .n = 1000, .due = now};
    meet_birthday_send(&mt, now, &out);
    assert_int_equal(sent(), 1);
    meet_birthday_send(&mt, now + MEET_PROBE_GAP - 1, &out);
    assert_int_equal(sent(), 0);
    meet_birthday_send(&mt, now + NS_PER_S, &out); /* late: what was missed is not made up for */
    assert_in_range(sent(), 1, MEET_BURST);
    meet_birthday_send(&mt, now + NS_PER_S, &out);
    assert_int_equal(sent(), 1);
    meet_birthday_send(&mt, now + NS_PER_S, &out);
    assert_int_equal(sent(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(hosts_that_never_answered_get_few_packets_in_all, setup),
        cmocka_unit_test_setup(no_more_hosts_are_sent_to_than_are_counted, setup),
        cmocka_unit_test_setup(guesses_are_sent_one_by_one, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
