/*
 * clean_meetings_test.c - whole nodes: circuits that wait for the meetings of a service are built one after the other,
 * and closed when they would not be chosen any more.
 *
 * TEST: timeout=240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define SERVICE 0
#define RELAYS 7
#define NAME 9

static struct node_service service;

static struct node *node(void)
{
    return net.node[SERVICE].node;
}

static void network(bool has_target)
{
    nt_network(&net, RELAYS);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct node *n = node();
    n->cfg.clean_circuits = 2;
    n->cfg.circuits_max = 1000;
    service = (struct node_service){.name = NAME,
                                    .has_target = has_target,
                                    .save_at = TSTAMP_NEVER,
                                    .give_up_at = TSTAMP_NEVER};
    list_push_back(&n->serving, &service.node);
    n->meetings_at = net.now;
}

/* Those of the service that wait; with |building| those that are not built yet. */
static unsigned stems(bool building)
{
    unsigned k = 0;

    LIST_EACH(it, &node()->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        k += c->use->stem && c->call == NAME && c->open != building ? 1 : 0;
    }
    return k;
}

static bool two_wait(struct nt *nt)
{
    (void)nt;
    return stems(false) == 2;
}

static void they_go_with_their_guard(void **state)
{
    (void)state;
    network(true);
    assert_true(nt_run(&net, 60 * NS_PER_S, two_wait));
    struct relays *r = node()->relays;
    for (uint32_t i = 0; i < r->n_guards; i++) { /* none of them would be chosen now */
        r->guard[i]->x.usable = net.now + 60 * NS_PER_S;
    }
    (void)nt_run(&net, 15 * NS_PER_S, NULL);
    assert_int_equal(stems(false), 0);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_true(nt_run(&net, 60 * NS_PER_S, two_wait));
    list_del(&service.node);
}

/* SPEC: path-selection P-35: while one is being built there is no other; after a bad hour pauses are short again. */
static void one_after_the_other_and_pauses_end(void **state)
{
    unsigned most = 0;
    (void)state;

    network(true);
    net.loss_permille = 1000; /* so that building one lasts longer than the pause between two */
    for (int i = 0; i < 40; i++) {
        (void)nt_run(&net, 100 * NS_PER_MS, NULL);
        unsigned now = stems(true);
        most = now > most ? now : most;
    }
    assert_int_equal(most, 1);
    assert_int_equal(stems(false), 0);
    net.loss_permille = 0;
    service.clean.failures = 4;
    assert_true(nt_run(&net, 300 * NS_PER_S, two_wait));
    assert_int_equal(service.clean.failures, 0);
    list_del(&service.node);
}

/* A service that has no record yet, or none any more, cannot be called. */
static void none_waits_for_a_service_without_a_record(void **state)
{
    (void)state;
    network(false);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(stems(false) + stems(true), 0);
    service.has_target = true;
    assert_true(nt_run(&net, 60 * NS_PER_S, two_wait));
    list_del(&service.node);
}

/* A use says what will be wanted next: one of its length. */
static void a_use_is_replaced_by_one_of_its_length(void **state)
{
    static const struct node_circuit_use use = {.name = "test"};
    (void)state;

    network(false);
    struct node *n = node();
    for (uint8_t more = 0; more < 2; more++) {
        struct node_circuit c = {.use = &use, .relays = (uint8_t)(n->cfg.hops + more)};
        n->clean.used_at[NODE_CLEAN_SHORT] = n->clean.used_at[NODE_CLEAN_LONG] = 1;
        node_clean_use(n, &c);
        assert_true(n->clean.used_at[more == 0 ? NODE_CLEAN_SHORT : NODE_CLEAN_LONG] == n->now);
        assert_int_equal(n->clean.used_at[more == 0 ? NODE_CLEAN_LONG : NODE_CLEAN_SHORT], 1);
    }
    list_del(&service.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(they_go_with_their_guard),
        NT_TEST(one_after_the_other_and_pauses_end),
        NT_TEST(none_waits_for_a_service_without_a_record),
        NT_TEST(a_use_is_replaced_by_one_of_its_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
