/*
 * spent_test.c - circuits whose lookup has been answered: for how long they stay, how many, and who leaves first.
 *
 * TEST: timeout=180
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#define CLIENT 5
#define SPENT_MOST 32
#define STAY_LEAST (30 * NS_PER_S)
#define STAY_MOST (120 * NS_PER_S)

static void join(enum node_padding padding)
{
    nt_join(5);
    struct node_config c = nt_config(&net, CLIENT);
    nt_boot(&net, &c, 0);
    c.padding = padding;
    nt_begin(CLIENT, &c);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
}

/* A lookup of what nobody has. */
static struct ref lookup(uint8_t number)
{
    uint8_t key[DARK_KEY_LEN] = DHT_DARK_PREFIX;
    struct node_request r = {.kind = NODE_OP_LOOKUP_GET, .key = {key, sizeof key}};

    memset(key + sizeof DHT_DARK_PREFIX - 1, number, DHT_DARK_INDEX_LEN);
    struct node_op *op = node_op_new(net.node[CLIENT].node, &r);
    assert_non_null(op);
    return op->ref;
}

static bool is_spent(const struct node_circuit *c)
{
    return strcmp(c->use->name, "spent") == 0;
}

/* How many there are, and which leaves first. */
static size_t spent(struct ref *first)
{
    tstamp at = TSTAMP_NEVER;
    size_t n = 0;

    LIST_EACH(it, &net.node[CLIENT].node->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (is_spent(c)) {
            n++;
            *first = c->leave_at < at ? c->onion : *first;
            at = tstamp_min(at, c->leave_at);
        }
    }
    return n;
}

static const struct node_circuit *spent_get(struct ref onion)
{
    LIST_EACH(it, &net.node[CLIENT].node->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (is_spent(c) && ref_eq(c->onion, onion)) {
            return c;
        }
    }
    return NULL;
}

static bool lookups_ended(struct nt *nt)
{
    LIST_EACH(it, &nt->node[CLIENT].node->running)
    {
        if (LIST_ENTRY(it, struct node_op, node)->req.kind == NODE_OP_LOOKUP_GET) {
            return false;
        }
    }
    return true;
}

/* Closed with its answer, or always after the same time, it would be known by that. */
static void they_stay_for_a_random_time(void **state)
{
    uint64_t least = UINT64_MAX, most = 0;
    struct ref first = {0};

    (void)state;
    join(NODE_PADDING_FULL);
    for (uint8_t i = 0; i < 10; i++) {
        (void)lookup(i);
        assert_true(nt_run(&net, 30 * NS_PER_S, lookups_ended));
        assert_int_equal(spent(&first), 1);
        const struct node_circuit *c = spent_get(first);
        uint64_t stays = c->leave_at - net.now;
        assert_in_range(stays, STAY_LEAST - NS_PER_S, STAY_MOST);
        least = stays < least ? stays : least;
        most = stays > most ? stays : most;
        (void)nt_run(&net, stays - NS_PER_S, NULL);
        assert_non_null(spent_get(first));
        (void)nt_run(&net, 2 * NS_PER_S, NULL);
        assert_null(spent_get(first));
    }
    assert_true(most - least > 30 * NS_PER_S);
}

static void there_are_so_many_and_no_more(void **state)
{
    struct ref first = {0};

    (void)state;
    join(NODE_PADDING_FULL);
    for (uint8_t i = 0; i < SPENT_MOST + 8; i++) {
        size_t before = spent(&first);
        struct ref leaves = first;
        (void)lookup(i);
        assert_true(nt_run(&net, 5 * NS_PER_S, lookups_ended));
        size_t after = spent(&first);
        assert_int_equal(after, before < SPENT_MOST ? before + 1 : SPENT_MOST);
        if (before == SPENT_MOST) {
            assert_null(spent_get(leaves));
        }
    }
}

/* It costs cells, and who wants no padding does not pay for what hides by it. */
static void without_padding_none_stays(void **state)
{
    struct ref first = {0};

    (void)state;
    join(NODE_PADDING_NONE);
    for (uint8_t i = 0; i < 3; i++) {
        (void)lookup(i);
        assert_true(nt_run(&net, 30 * NS_PER_S, lookups_ended));
        assert_int_equal(spent(&first), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(they_stay_for_a_random_time),
        NT_TEST(there_are_so_many_and_no_more),
        NT_TEST(without_padding_none_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
