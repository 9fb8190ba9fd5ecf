/* pace_test.c - for how long a client waits for a hop, as a rule and in circuits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_case.h"

#define MOST (20 * NS_PER_S)

static struct onion_pace after(uint32_t n, uint64_t ns)
{
    struct onion_pace p = {0};

    for (uint32_t i = 0; i < n; i++) {
        onion_pace_add(&p, ns);
    }
    return p;
}

static void little_that_is_known_says_nothing(void **state)
{
    struct onion_pace none = {0}, few = after(ONION_PACE_ENOUGH - 1, NS_PER_MS);
    struct onion_pace enough = after(ONION_PACE_ENOUGH, NS_PER_MS);

    (void)state;
    assert_int_equal(onion_pace_patience(&none, MOST), MOST);
    assert_int_equal(onion_pace_patience(&few, MOST), MOST);
    assert_int_equal(onion_pace_patience(&enough, MOST), ONION_PACE_LEAST);
}

static void who_lives_in_a_slow_network_waits_longer(void **state)
{
    struct onion_pace slow = after(100, 5 * NS_PER_S), slower = after(100, 60 * NS_PER_S);

    (void)state;
    assert_in_range(onion_pace_patience(&slow, MOST), 5 * NS_PER_S, 6 * NS_PER_S);
    assert_int_equal(onion_pace_patience(&slower, MOST), MOST);
}

/* Times that vary, from 0.1 to 1.5 s: none is given up, and a slow one makes us patient again. */
static void what_varies_is_waited_for(void **state)
{
    struct onion_pace p = {0};

    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        uint64_t ns = (100 + i * 37 % 1400) * NS_PER_MS;
        assert_true(ns < onion_pace_patience(&p, MOST));
        onion_pace_add(&p, ns);
    }
    uint64_t before = onion_pace_patience(&p, MOST);
    onion_pace_add(&p, 6 * NS_PER_S);
    assert_true(onion_pace_patience(&p, MOST) > before);
    assert_true(onion_pace_patience(&p, MOST) < MOST);
}

/* A network that was quick and is slow now: what is given up makes the next wait longer, until answers come again. */
static void who_is_too_quick_learns_from_what_it_gave_up(void **state)
{
    struct onion_pace p = after(100, 10 * NS_PER_MS);
    unsigned given_up = 0;

    (void)state;
    while (onion_pace_patience(&p, MOST) < 6 * NS_PER_S) {
        onion_pace_add(&p, onion_pace_patience(&p, MOST));
        given_up++;
        assert_true(given_up <= 2);
    }
    for (int i = 0; i < 40; i++) { /* and one dead relay is forgotten */
        onion_pace_add(&p, 10 * NS_PER_MS);
    }
    assert_int_equal(onion_pace_patience(&p, MOST), ONION_PACE_LEAST);
}

static void stall(struct testnet *n, size_t node)
{
    for (size_t i = 0; i < NET_PIPES; i++) {
        struct pipe *p = &n->pipes[i];
        for (size_t s = 0; p->used && s < 2; s++) {
            p->stalled[s] = p->stalled[s] || p->node[s] == node;
        }
    }
}

/* Builds a circuit of which hop 3 is silent; after how many seconds that is known. */
static uint64_t gives_up_after(struct testnet *n)
{
    struct ref c;
    uint64_t s = 0;

    n->nodes[0].ups_n = 0;
    assert_int_equal(net_build(n, 1, 3, &c), QUDAG_OK);
    for (int i = 0; i < 100000 && pipe_between(n, 2, 3) == NULL; i++) {
        (void)net_round(n);
    }
    stall(n, 3);
    net_run(n);
    while (net_last_up(&n->nodes[0], ONION_UP_CLOSED) == NULL) {
        assert_true(s < 30);
        net_sleep(n, NS_PER_S);
        s++;
    }
    assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->n, 3);
    return s;
}

static void a_hop_that_is_silent_is_given_up_sooner_once_others_answered(void **state)
{
    struct testnet *n = net_new(5);

    (void)state;
    /* at first when hop 3 gives up what it hears nothing of; a machine that is dead would not even do that */
    assert_in_range(gives_up_after(n), 5, 11);
    net_del(n);
    n = net_new(5);
    for (uint32_t i = 0; i <= ONION_PACE_ENOUGH / 3; i++) {
        struct ref c;
        assert_int_equal(net_build(n, 1, 3, &c), QUDAG_OK);
        net_run(n);
        onion_close(n->nodes[0].o, c, n->now, &n->out);
        net_drain(n, 0);
        net_run(n);
    }
    assert_null(pipe_between(n, 2, 3));
    assert_int_equal(gives_up_after(n), 4);
    assert_true(onion_pace_patience(&n->nodes[0].o->pace, MOST) > 6 * NS_PER_S);
    net_del(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_that_is_known_says_nothing),
        cmocka_unit_test(who_lives_in_a_slow_network_waits_longer),
        cmocka_unit_test(what_varies_is_waited_for),
        cmocka_unit_test(who_is_too_quick_learns_from_what_it_gave_up),
        cmocka_unit_test(a_hop_that_is_silent_is_given_up_sooner_once_others_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
