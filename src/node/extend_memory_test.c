/* extend_memory_test.c - when others may make a relay dial, and what it remembers of that. */
#include "node/extend_memory.h"

#include <string.h>

#include <cmocka.h>

#define NOW (1000 * NS_PER_S)

static struct mem mem;
static struct node_extend_memory m;

static int setup(void **state)
{
    const uint8_t seed[16] = {7};
    (void)state;

    mem_init(&mem, NULL, 0);
    return node_extend_memory_init(&m, &mem, seed) == QUDAG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    node_extend_memory_fini(&m);
    return mem.used == 0 ? 0 : -1;
}

/* ---- rules ---- */

static void who_has_more_gives_way_and_what_is_old_to_whoever_has_less(void **state)
{
    static const struct {
        struct fair_claim holder, newcomer; /* net, source, net_n, source_n */
        uint64_t age_ms;
        bool gives;
    } rows[] = {
        {{1, 1, 16, 16}, {2, 2, 0, 0}, 0, true},
        {{1, 1, 2, 2}, {2, 2, 1, 1}, 0, false},
        {{1, 1, 2, 2}, {2, 2, 1, 1}, 2000, true},
        {{1, 1, 1, 1}, {2, 2, 0, 0}, 1999, false},
        {{1, 1, 1, 1}, {2, 2, 0, 0}, 2000, true},
        {{1, 1, 1, 1}, {2, 2, 1, 1}, 60000, false}, /* equals leave each other alone */
        {{1, 1, 1, 1}, {2, 2, 9, 9}, 60000, false},
        {{1, 1, 16, 2}, {1, 2, 16, 0}, 0, true},
        {{1, 1, 16, 1}, {1, 2, 16, 0}, 0, false}, /* a network of many names */
        {{1, 1, 16, 1}, {1, 2, 16, 0}, 2000, true},
        {{1, 1, 16, 1}, {1, 2, 16, 1}, 60000, false},
        {{1, 1, 16, 16}, {1, 1, 16, 16}, 1999, false}, /* one's own */
        {{1, 1, 16, 16}, {1, 1, 16, 16}, 2000, true},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(node_rule_extend_gives_way(&rows[i].holder, &rows[i].newcomer,
                                                    rows[i].age_ms * NS_PER_MS),
                         rows[i].gives);
    }
}

static void what_a_dial_says_of_a_host(void **state)
{
    static const struct {
        qudag_err err;
        bool in_time;
        enum node_extend_outcome outcome;
    } rows[] = {
        {QUDAG_OK, true, NODE_EXTEND_ANSWERED},
        {QUDAG_OK, false, NODE_EXTEND_ANSWERED},
        {QUDAG_EAUTH, true, NODE_EXTEND_SOMEBODY},
        {QUDAG_ETIMEOUT, true, NODE_EXTEND_NO_ANSWER},
        {QUDAG_EUNREACHABLE, true, NODE_EXTEND_NO_ANSWER},
        {QUDAG_EREFUSED, true, NODE_EXTEND_NO_ANSWER}, /* anything can look like that */
        {QUDAG_EPROTO, true, NODE_EXTEND_NO_ANSWER},
        {QUDAG_ECANCELED, false, NODE_EXTEND_NO_ANSWER},
        {QUDAG_ECANCELED, true, NODE_EXTEND_NOTHING},
        {QUDAG_ENOMEM, true, NODE_EXTEND_NOTHING},
        {QUDAG_ELIMIT, true, NODE_EXTEND_NOTHING},
        {QUDAG_EAGAIN, true, NODE_EXTEND_NOTHING},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(node_rule_extend_outcome(rows[i].err, rows[i].in_time), rows[i].outcome);
    }
    assert_true(node_rule_extend_absent(QUDAG_ENOTFOUND));
    assert_true(node_rule_extend_absent(QUDAG_OK)); /* a bad one */
    assert_true(node_rule_extend_absent(QUDAG_ETIMEOUT));
    assert_false(node_rule_extend_absent(QUDAG_ENOMEM));
    assert_false(node_rule_extend_absent(QUDAG_ELIMIT));
    assert_false(node_rule_extend_absent(QUDAG_ECANCELED));
}

static void failures_bar_those_who_caused_them_from_hosts_that_never_answered(void **state)
{
    static const struct {
        struct node_extend_view v; /* answered; fails: all, asker, peer; dials: all, asker */
        enum node_extend_turn turn;
    } rows[] = {
        {{false, 0, 0, 0, 0, 0}, NODE_EXTEND_DIAL},
        {{false, 2, 2, 0, 0, 0}, NODE_EXTEND_DIAL},
        {{false, 3, 3, 0, 0, 0}, NODE_EXTEND_NEVER},
        {{false, 3, 1, 0, 0, 0}, NODE_EXTEND_NEVER},
        {{false, 2, 1, 0, 1, 0}, NODE_EXTEND_QUEUE}, /* the one under way may fail */
        {{false, 3, 0, 0, 0, 0}, NODE_EXTEND_DIAL},  /* others' failures */
        {{false, 11, 0, 0, 0, 0}, NODE_EXTEND_DIAL},
        {{false, 11, 0, 0, 1, 0}, NODE_EXTEND_QUEUE},
        {{false, 12, 0, 0, 0, 0}, NODE_EXTEND_QUEUE}, /* one will be forgiven */
        {{true, 12, 0, 0, 0, 0}, NODE_EXTEND_DIAL},
        {{true, 100, 100, 0, 0, 0}, NODE_EXTEND_DIAL}, /* it is there: nothing bars it */
        {{true, 0, 0, 2, 0, 0}, NODE_EXTEND_DIAL},
        {{true, 0, 0, 3, 0, 0}, NODE_EXTEND_NEVER}, /* somebody else lives there */
        {{false, 0, 0, 3, 0, 0}, NODE_EXTEND_NEVER},
        {{true, 0, 0, 0, 1, 0}, NODE_EXTEND_DIAL},
        {{true, 0, 0, 0, 1, 1}, NODE_EXTEND_QUEUE}, /* one of a network at a time */
        {{true, 0, 0, 0, 2, 0}, NODE_EXTEND_QUEUE}, /* two in all */
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(node_rule_extend_turn(&rows[i].v), rows[i].turn);
    }
}

static void who_caused_fewer_failures_goes_first(void **state)
{
    const struct node_extend_queued none = {false, 0, 9}, one = {false, 1, 5},
                                    later = {false, 1, 6}, proven = {true, 7, 9};
    (void)state;

    assert_true(node_rule_extend_goes_first(&proven, &none)); /* whatever else is named there */
    assert_false(node_rule_extend_goes_first(&none, &proven));

    assert_true(node_rule_extend_goes_first(&none, &one));
    assert_false(node_rule_extend_goes_first(&one, &none));
    assert_true(node_rule_extend_goes_first(&one, &later));
    assert_false(node_rule_extend_goes_first(&later, &one));
}

/* ---- memory ---- */

static struct netaddr host(unsigned n)
{
    return (struct netaddr){.family = 4,
                            .ip = {80, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static struct peer_id peer(unsigned n)
{
    const uint8_t pk[32] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), 1};
    struct peer_id id;

    peer_id_from_ed25519(&id, pk);
    return id;
}

static void ended(unsigned at, unsigned who, uint64_t net, enum node_extend_outcome how, tstamp now)
{
    struct netaddr h = host(at);
    struct peer_id id = peer(who);
    struct node_extend_asked by = {.peer = &id, .net = net, .via = net};

    node_extend_memory_ended(&m, &h, &by, how, now);
}

static struct node_extend_view view(unsigned at, unsigned who, uint64_t net, tstamp now)
{
    struct netaddr h = host(at);
    struct peer_id id = peer(who);
    struct node_extend_asked by = {.peer = &id, .net = net, .via = net};
    struct node_extend_view v;

    node_extend_memory_view(&m, &h, &by, now, &v);
    return v;
}

static void failures_are_of_a_host_and_who_asked_and_are_forgiven_one_by_one(void **state)
{
    struct node_extend_view v;
    (void)state;

    ended(1, 50, 7, NODE_EXTEND_NO_ANSWER, NOW);
    ended(1, 51, 7, NODE_EXTEND_NO_ANSWER, NOW + NS_PER_S);
    ended(1, 52, 8, NODE_EXTEND_NO_ANSWER, NOW + 2 * NS_PER_S);
    ended(1, 52, 8, NODE_EXTEND_NOTHING, NOW + 2 * NS_PER_S);
    v = view(1, 50, 7, NOW + 2 * NS_PER_S);
    assert_int_equal(v.fails, 3);
    assert_int_equal(v.fails_asker, 2);
    assert_int_equal(v.fails_peer, 0);
    assert_false(v.answered);
    assert_int_equal(view(1, 50, 9, NOW + 2 * NS_PER_S).fails_asker, 0);
    assert_int_equal(view(2, 50, 7, NOW + 2 * NS_PER_S).fails, 0);
    assert_int_equal(view(1, 50, 7, NOW + EXTEND_FORGIVE_EVERY - 1).fails, 3);
    assert_int_equal(view(1, 50, 7, NOW + EXTEND_FORGIVE_EVERY).fails, 2);
    assert_int_equal(view(1, 50, 7, NOW + 3 * EXTEND_FORGIVE_EVERY).fails, 0);
}

static void somebody_else_there_is_held_against_the_peer_that_was_named(void **state)
{
    (void)state;

    for (int i = 0; i < 3; i++) {
        ended(1, 50, 7, NODE_EXTEND_SOMEBODY, NOW);
    }
    struct node_extend_view v = view(1, 50, 7, NOW), other = view(1, 51, 7, NOW);
    assert_int_equal(v.fails_peer, 3);
    assert_int_equal(v.fails, 0);
    assert_int_equal(other.fails_peer, 0);
    assert_true(other.answered); /* it is no third party that never answers */
    assert_int_equal(node_rule_extend_turn(&v), NODE_EXTEND_NEVER);
    assert_int_equal(node_rule_extend_turn(&other), NODE_EXTEND_DIAL);
}

/* The audit's attack on a host: dials that fail there, caused by whoever signs a statement with its address. */
static void others_still_reach_a_host_at_which_an_attacker_lets_dials_fail(void **state)
{
    struct node_extend_view v;
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        v = view(1, 100 + i, 7, NOW);
        assert_int_equal(node_rule_extend_turn(&v), NODE_EXTEND_DIAL);
        ended(1, 100 + i, 7, NODE_EXTEND_NO_ANSWER, NOW);
    }
    v = view(1, 200, 7, NOW);
    assert_int_equal(node_rule_extend_turn(&v), NODE_EXTEND_NEVER);
    v = view(1, 200, 8, NOW);
    assert_int_equal(node_rule_extend_turn(&v), NODE_EXTEND_DIAL); /* never seen, honest asker */
    struct netaddr h = host(1);
    node_extend_memory_answered(&m, &h, NOW);
    for (uint64_t net = 7; net < 100; net++) {
        ended(1, 300, net, NODE_EXTEND_NO_ANSWER, NOW);
    }
    v = view(1, 200, 7, NOW + EXTEND_ANSWERED_FOR - 1);
    assert_true(v.answered);
    v = view(1, 200, 7, NOW);
    assert_int_equal(node_rule_extend_turn(&v), NODE_EXTEND_DIAL);
    v = view(1, 200, 7, NOW + EXTEND_ANSWERED_FOR);
    assert_false(v.answered);
}

/* M10: however many networks ask, and for whomever: a dozen dials, then one in 15 s. */
static void a_third_party_gets_few_dials_whoever_asks(void **state)
{
    unsigned dials = 0;
    (void)state;

    for (tstamp t = 0; t < 150 * NS_PER_S; t += NS_PER_S / 4) {
        for (uint64_t net = 0; net < 50; net++) {
            struct node_extend_view v = view(1, (unsigned)(t / NS_PER_MS) + (unsigned)net,
                                             net + 1000 * t, NOW + t); /* always new names */
            if (node_rule_extend_turn(&v) == NODE_EXTEND_DIAL) {
                ended(1, 1, net + 1000 * t, NODE_EXTEND_NO_ANSWER, NOW + t);
                dials++;
            }
        }
    }
    print_message("%u dials in 150 s\n", dials);
    assert_in_range(dials, 12, 12 + 150 / 15);
}

/* Others' hosts push nothing out: the table that there was had 128 rows. */
static void naming_other_hosts_makes_us_forget_no_failure(void **state)
{
    unsigned shared = 0;
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        ended(1, 50, 7, NODE_EXTEND_NO_ANSWER, NOW);
    }
    for (unsigned i = 0; i < 100000; i++) { /* 300 times what can fail in the time */
        ended(100 + i, 50, 7, NODE_EXTEND_NO_ANSWER, NOW + 1);
        ended(100 + i, 50, 7, NODE_EXTEND_SOMEBODY, NOW + 1);
    }
    assert_true(view(1, 50, 7, NOW + 1).fails >= 3);
    assert_true(view(1, 50, 7, NOW + 1).fails_asker >= 3);
    (void)teardown(NULL);
    assert_int_equal(setup(NULL), 0);
    for (unsigned i = 0; i < 240;
         i++) { /* 80 places, a dial of 3 s each, 15 s until one is forgiven */
        ended(100 + i, 50, 7, NODE_EXTEND_NO_ANSWER, NOW);
    }
    for (unsigned i = 0; i < 1000; i++) { /* hosts of which nothing was said */
        struct node_extend_view v = view(1000000 + i, 60, 8, NOW);
        shared += node_rule_extend_turn(&v) != NODE_EXTEND_DIAL;
    }
    assert_int_equal(shared, 0);
}

static void who_has_many_hosts_does_not_push_others_out_of_those_that_answered(void **state)
{
    struct netaddr one = {.family = 4, .ip = {90, 1, 2, 3}};
    struct node_extend_asked who = {.net = 7};
    struct peer_id id = peer(1);
    struct node_extend_view v;
    (void)state;

    who.peer = &id;
    node_extend_memory_answered(&m, &one, NOW);
    for (unsigned i = 0; i < 3000; i++) { /* the /64s of one /32 */
        struct netaddr h = {.family = 6,
                            .ip = {0x2a, 1, 2, 3, 0, 0, (uint8_t)(i >> 8), (uint8_t)i}};
        node_extend_memory_answered(&m, &h, NOW + 1);
    }
    assert_int_equal(m.answered.n, EXTEND_ANSWERED_MAX);
    node_extend_memory_view(&m, &one, &who, NOW + 1, &v);
    assert_true(v.answered);
}

static void a_link_proves_its_address_and_no_other_of_the_host(void **state)
{
    struct netaddr at = host(1), closed = at;
    struct node_extend_view v;
    struct peer_id id = peer(1);
    struct node_extend_asked who = {.peer = &id, .net = 1, .via = 1};
    (void)state;

    at.port = 4433;
    closed.port = 9;
    assert_false(node_extend_memory_proven(&m, &at, NOW));
    node_extend_memory_linked(&m, &at, NOW);
    assert_true(node_extend_memory_proven(&m, &at, NOW));
    assert_false(node_extend_memory_proven(&m, &closed, NOW));
    struct netaddr target = node_rule_extend_target(&closed);
    node_extend_memory_view(&m, &target, &who, NOW, &v);
    assert_true(v.answered); /* the host is the same */
    assert_false(node_extend_memory_proven(&m, &at, NOW + EXTEND_ANSWERED_FOR));
}

static void an_absent_descriptor_is_not_looked_for_again_for_who_asked(void **state)
{
    struct peer_id id = peer(1);
    struct node_extend_asked who = {.peer = &id, .net = 7, .via = 1}, same = {&id, 7, 2},
                             other = {&id, 8, 1};
    (void)state;

    assert_false(node_extend_memory_is_absent(&m, &who, NOW));
    node_extend_memory_absent(&m, &who, NOW);
    assert_true(node_extend_memory_is_absent(&m, &who, NOW));
    assert_true(node_extend_memory_is_absent(&m, &same, NOW)); /* names are free */
    assert_false(node_extend_memory_is_absent(&m, &other, NOW));
    assert_false(node_extend_memory_is_absent(&m, &who, NOW + EXTEND_ABSENT_FOR));
    struct node_extend_asked flood = {.net = 9};
    for (unsigned i = 2; i < 1000; i++) {
        struct peer_id x = peer(i);
        flood.peer = &x;
        flood.via = i;
        node_extend_memory_absent(&m, &flood, NOW + i);
        assert_true(node_extend_memory_is_absent(&m, &flood, NOW + i));
    }
    assert_int_equal(m.absent.n, EXTEND_ABSENT_MAX);
    assert_true(node_extend_memory_is_absent(&m, &who, NOW + 1000));
}

#define MEMORY_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_more_gives_way_and_what_is_old_to_whoever_has_less),
        cmocka_unit_test(what_a_dial_says_of_a_host),
        cmocka_unit_test(failures_bar_those_who_caused_them_from_hosts_that_never_answered),
        cmocka_unit_test(who_caused_fewer_failures_goes_first),
        MEMORY_CASE(failures_are_of_a_host_and_who_asked_and_are_forgiven_one_by_one),
        MEMORY_CASE(somebody_else_there_is_held_against_the_peer_that_was_named),
        MEMORY_CASE(others_still_reach_a_host_at_which_an_attacker_lets_dials_fail),
        MEMORY_CASE(a_third_party_gets_few_dials_whoever_asks),
        MEMORY_CASE(naming_other_hosts_makes_us_forget_no_failure),
        MEMORY_CASE(who_has_many_hosts_does_not_push_others_out_of_those_that_answered),
        MEMORY_CASE(a_link_proves_its_address_and_no_other_of_the_host),
        MEMORY_CASE(an_absent_descriptor_is_not_looked_for_again_for_who_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
