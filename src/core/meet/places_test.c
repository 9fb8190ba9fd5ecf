/* places_test.c - who of many that ask for a meeting gets one, and the one birthday. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/meet/meet_int.h"

#include "base/wr.h"

#include <string.h>

static struct mem mem;
static struct rng_stream dice;
static struct meet *m;
static struct meet_candidate ours;
static struct act v[ACTS_ROOM];
static uint8_t bytes[ACTS_BYTES_ROOM];
static struct acts out;
static tstamp now;

static int setup(void **state)
{
    (void)state;
    mem_init(&mem, NULL, (size_t)1 << 24);
    rng_stream_init(&dice, (const uint8_t[32]){1});
    m = meet_new(
        &(struct meet_config){.mem = &mem, .rng = rng_of_stream(&dice), .self = {.len = 1}});
    ours = (struct meet_candidate){.kind = MEET_OBSERVED,
                                   .addr = {.family = 4, .ip = {9, 9, 9, 9}, .port = 4001}};
    out = (struct acts){.v = v, .cap = ARRAY_LEN(v), .bytes = bytes, .bytes_cap = sizeof(bytes)};
    now = 1000 * NS_PER_S;
    return m == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    meet_free(m);
    return mem.used == 0 ? 0 : -1;
}

static struct acts *fresh(void)
{
    out.n = out.bytes_n = 0;
    out.overflow = false;
    return &out;
}

static struct peer_id peer(unsigned nth)
{
    uint8_t pk[32] = {(uint8_t)nth, (uint8_t)(nth >> 8), 1};
    struct peer_id id;

    peer_id_from_ed25519(&id, pk);
    return id;
}

/* Where peer number |nth| comes from: the relay's network. */
static uint64_t net_of(unsigned relay)
{
    return netaddr_group(&(struct netaddr){.family = 4, .ip = {20, (uint8_t)relay, 1, 1}});
}

static void say(unsigned nth, const struct meet_msg *msg)
{
    uint8_t raw[MEET_MSG_MAX + 2];
    struct wr w = wr_init(raw, sizeof(raw));

    meet_msg_write(&w, msg);
    struct ev ev = {.type = EV_DATA, .strm = {nth, 1}, .data = wr_done(&w)};
    meet_ops.event(m, &ev, now, fresh());
}

static void knock(unsigned nth, unsigned relay)
{
    struct peer_id id = peer(nth);
    struct ev ev = {.type = EV_STREAM_OPEN,
                    .peer = &id,
                    .strm = {nth, 1},
                    .inbound = true,
                    .net = net_of(relay),
                    .props = LINK_RELAYED};

    meet_ops.event(m, &ev, now, fresh());
}

static struct meet_look look_at(unsigned nth)
{
    struct meet_look look;
    struct peer_id id = peer(nth);

    assert_true(meet_look(m, &id, &look));
    return look;
}

/* Its stream, its HELLO, which names |at|, and the node's word that it may. */
static bool comes(unsigned nth, unsigned relay, bool named, struct netaddr at)
{
    const struct meet_own own = {
        .v = &ours, .n = 1, .nat = MEET_NAT_INDEPENDENT, .ip4 = true, .named = named};
    struct meet_msg hello = {.type = MEET_HELLO, .nat = MEET_NAT_DEPENDENT, .n = 1};
    struct peer_id id = peer(nth);

    knock(nth, relay);
    hello.v[0] = (struct meet_candidate){.kind = MEET_OBSERVED, .addr = at};
    say(nth, &hello);
    meet_allow(m, &id, &own, now, fresh());
    return look_at(nth).state == MEET_CHECKING;
}

static struct netaddr host(unsigned nth)
{
    return (struct netaddr){
        .family = 4, .ip = {8, 8, (uint8_t)(nth >> 8), (uint8_t)nth}, .port = 5000};
}

static void later(uint64_t ns)
{
    for (tstamp until = now + ns; now < until; now += 50 * NS_PER_MS) {
        meet_ops.tick(m, now, fresh());
    }
}

static void a_peer_that_is_named_gets_in_whoever_else_is_met(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= MEET_INBOUND_MAX; i++) {
        assert_true(comes(i, i < 3 ? 1 : 2, false, host(i)));
        now += i == 1 ? 1 : 0;
    }
    assert_false(comes(5, 3, false, host(5)));
    assert_string_equal(look_at(5).why, "others asked as well");
    assert_true(comes(6, 1, true, host(6))); /* in the same moment */
    assert_int_equal(look_at(1).state, MEET_FAILED);
    assert_true(comes(7, 1, true, host(7)) && comes(8, 1, true, host(8)) &&
                comes(9, 1, true, host(9)));
    assert_false(comes(10, 1, true, host(10))); /* all are named now */
    later(MEET_TURN);
    assert_false(comes(11, 1, false, host(11)));
    assert_true(comes(12, 1, true, host(12)));
}

static void those_who_are_not_named_have_their_turn_and_no_more(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= MEET_INBOUND_MAX; i++) {
        assert_true(comes(i, 1, false, host(i)));
        now += NS_PER_S;
    }
    now += MEET_TURN - 4 * NS_PER_S - 1;
    assert_false(comes(5, 2, false, host(5)));
    now += 1;
    assert_true(comes(6, 2, false, host(6)));
    assert_int_equal(look_at(1).state, MEET_FAILED);
    struct peer_id first = peer(1);
    assert_true(meet_may(m, &first, now)); /* it is not held against it */
    assert_false(comes(7, 2, false, host(7)));
}

static void a_meeting_with_whom_nobody_named_is_short(void **state)
{
    struct meet_msg next = {.type = MEET_ROUND, .round = MEET_FRESH_PORT};
    (void)state;

    assert_true(comes(1, 1, false, host(1)) && comes(2, 1, true, host(2)));
    later(14 * NS_PER_S);
    for (unsigned i = 1; i <= 2; i++) {
        say(i, &next);
    }
    later(MEET_LIMIT_UNNAMED - 14 * NS_PER_S + NS_PER_S);
    assert_string_equal(look_at(1).why, "it took too long");
    assert_int_equal(look_at(2).state, MEET_WAITING);
}

static void the_door_is_kept_by_no_network(void **state)
{
    (void)state;
    knock(1, 1);
    for (unsigned i = 2; i < 60; i++) {
        now += NS_PER_MS;
        knock(i, 2);
    }
    assert_int_equal(look_at(1).state, MEET_ASKING);
    assert_int_equal(look_at(59).state, MEET_ASKING);
}

/* ---- the one birthday ---- */

/* As far as that its birthday is due; true: it has one. */
static bool birthday(unsigned nth)
{
    const struct meet_msg say_next[] = {{.type = MEET_ROUND, .round = MEET_BIRTHDAY},
                                        {.type = MEET_START, .round = MEET_BIRTHDAY}};

    for (size_t i = 0; i < ARRAY_LEN(say_next) && look_at(nth).state != MEET_FAILED; i++) {
        say(nth, &say_next[i]);
    }
    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        struct peer_id id = peer(nth);
        if (m->v[i] != NULL && peer_id_eq(&m->v[i]->peer, &id)) {
            return m->birthday == m->v[i] && m->v[i]->guess.on;
        }
    }
    return false;
}

static unsigned guessing(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        n += m->v[i] != NULL && m->v[i]->guess.on ? 1 : 0;
    }
    return n;
}

static void the_one_birthday_goes_to_who_is_named(void **state)
{
    (void)state;
    assert_true(comes(1, 1, false, host(1)) && birthday(1));
    assert_true(comes(2, 1, false, host(2)));
    assert_false(birthday(2));
    assert_true(comes(3, 1, true, host(3)) && birthday(3));
    assert_int_equal(guessing(), 1);
    assert_true(comes(4, 1, true, host(4)));
    assert_false(birthday(4));
    now += MEET_TURN;
    assert_true(comes(5, 1, false, host(5)));
    assert_false(birthday(5));
    assert_true(comes(6, 1, true, host(6)) && birthday(6));
    assert_int_equal(guessing(), 1);
}

static void a_host_is_remembered_through_any_number_of_others(void **state)
{
    (void)state;
    assert_true(comes(1, 1, true, host(1)) && birthday(1));
    for (unsigned i = 2; i < 100; i++) {
        later(MEET_TURN / 2);
        (void)comes(i, 1, false, host(i));
        (void)birthday(i);
    }
    assert_true(now < 1000 * NS_PER_S + MEET_BIRTHDAY_PAUSE);
    assert_true(comes(200, 1, true, host(1)));
    assert_false(birthday(200));
    assert_true(comes(1, 1, true, host(201)));
    assert_false(birthday(1));
    now += MEET_BIRTHDAY_PAUSE;
    assert_true(comes(202, 1, true, host(1)) && birthday(202));
}

static void those_who_are_not_named_use_up_nobodys_birthday(void **state)
{
    (void)state;
    assert_true(comes(1, 1, false, host(1)) && birthday(1)); /* names the host of 2 */
    now += MEET_TURN;
    assert_true(comes(3, 1, false, host(1)));
    assert_false(birthday(3));
    assert_true(comes(2, 1, true, host(1)) && birthday(2));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_peer_that_is_named_gets_in_whoever_else_is_met),
        TEST(those_who_are_not_named_have_their_turn_and_no_more),
        TEST(a_meeting_with_whom_nobody_named_is_short),
        TEST(the_door_is_kept_by_no_network),
        TEST(the_one_birthday_goes_to_who_is_named),
        TEST(a_host_is_remembered_through_any_number_of_others),
        TEST(those_who_are_not_named_use_up_nobodys_birthday),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
