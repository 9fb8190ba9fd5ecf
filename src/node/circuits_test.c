/* circuits_test.c - a circuit that is not built: who is to blame for it, and when there is another try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#define CLIENT 0

static unsigned given_up;

static void built(struct node *n, struct node_circuit *c, tstamp now)
{
    (void)n;
    (void)c;
    (void)now;
}

static void failed(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    (void)n;
    (void)c;
    (void)err;
    (void)now;
    given_up++;
}

static const struct node_circuit_use to_service = {
    .name = "test", .to_service = true, .built = built, .failed = failed};
static const struct node_circuit_use to_relay = {.name = "test", .built = built, .failed = failed};
static const struct dark_addr shop = {.network = 2, .ed_pk = {7}};

/* One that is being built, to a service or not. */
static struct node_circuit *begin(const struct node_circuit_use *use)
{
    const uint8_t pk[32] = {0x5d};
    struct onion_hop target;
    struct node_circuit *c = NULL;

    given_up = 0;
    assert_true(relays_get(net.node[CLIENT].node->relays, &net.node[1].peer, &target));
    peer_id_from_ed25519(&target.peer, pk);
    target.service = true;
    target.n_addrs = 0;
    assert_int_equal(node_circuit_start(net.node[CLIENT].node, use, NULL, &shop, &target, &c),
                     QUDAG_OK);
    return c;
}

/* It ends, since hop |hop| was not reached; |reached| were. */
static void ends(struct node_circuit *c, uint64_t hop, uint64_t reached)
{
    struct node *n = net.node[CLIENT].node;
    const struct act a = {
        .kind = ONION_UP_CLOSED, .obj = c->onion, .n = hop, .err = QUDAG_ECIRCUIT};

    c->reached = reached;
    n->core[n->ix.onion].report(n, &a, net.now);
}

static void join(void)
{
    nt_join(5);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    net.node[CLIENT].node->now = net.now;
}

/* Nothing is left of what the address |a| may cause. */
static void spend_budget(const struct dark_addr *a)
{
    static const struct node_isolation nobody = {.len = 0};
    struct node *n = net.node[CLIENT].node;
    unsigned taken = 0;

    while (node_budget_take(&n->budget, a, &nobody, net.now) == QUDAG_OK) {
        assert_true(++taken < 1000);
    }
}

/* What a relay failed in is tried again, whatever the service has caused so far. */
static void a_relay_that_fails_costs_the_service_nothing(void **state)
{
    (void)state;
    join();
    spend_budget(&shop);
    struct node_circuit *c = begin(&to_service);
    for (uint64_t hop = 1; hop <= c->relays; hop++) {
        ends(c, hop, hop - 1);
        assert_int_equal(given_up, 0);
    }
}

/* What the service may have caused costs the budget of its address; without, there is no other try. */
static void what_the_service_may_cause_is_bounded(void **state)
{
    (void)state;
    join();
    struct node_circuit *c = begin(&to_service);
    ends(c, 0, 1); /* nobody says where: it may be the service */
    assert_int_equal(given_up, 0);
    spend_budget(&shop);
    ends(c, 0, 1);
    assert_int_equal(given_up, 1);
}

/* It may have moved: a newer record is asked for, instead of the same way again. */
static void a_target_that_was_not_reached_is_not_tried_again(void **state)
{
    (void)state;
    join();
    struct node_circuit *c = begin(&to_service);
    ends(c, c->relays + UINT64_C(1), c->relays);
    assert_int_equal(given_up, 1);
}

static void there_are_so_many_tries(void **state)
{
    static const struct dark_addr none = {.network = 0};
    (void)state;
    join();
    spend_budget(&none); /* no service can cause that one fails: nobody's budget counts */
    struct node_circuit *c = begin(&to_relay);
    for (unsigned i = 1; i < NODE_CIRCUIT_TRIES; i++) {
        ends(c, 0, 1);
        assert_int_equal(given_up, 0);
    }
    ends(c, 0, 1);
    assert_int_equal(given_up, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_relay_that_fails_costs_the_service_nothing),
        NT_TEST(what_the_service_may_cause_is_bounded),
        NT_TEST(a_target_that_was_not_reached_is_not_tried_again),
        NT_TEST(there_are_so_many_tries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
