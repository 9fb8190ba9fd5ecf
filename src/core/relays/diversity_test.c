/* diversity_test.c - what counts as a relay and as a network, and when they are enough. */
#include "core/relays/diversity.h"

#include "core/relays/relays_impl.h"

#include <cmocka.h>

#define MOST 80

static struct relays_entry entry[MOST];
static const struct relays_entry *v[MOST];
static uint32_t n;

/* A relay at |a|.|b|.0.1. */
static struct relays_entry *add(uint8_t a, uint8_t b)
{
    struct relays_entry *x = &entry[n];

    *x = (struct relays_entry){.n_nets = 1, .net = {{.family = 4, .b = {a, b}}}};
    v[n++] = x;
    return x;
}

static int fresh(void **state)
{
    (void)state;
    n = 0;
    return 0;
}

static void check(uint32_t relays, uint32_t networks)
{
    struct relays_diversity d = relays_diversity_of(v, n, false);

    assert_int_equal(d.relays, relays);
    assert_int_equal(d.networks, networks);
}

static void a_network_counts_once(void **state)
{
    (void)state;
    check(0, 0);
    (void)add(5, 9);
    (void)add(5, 9);
    check(2, 1);
    (void)add(5, 10);
    check(3, 2);
    struct relays_entry *x = add(0, 0); /* the same first bytes, of the other IP version */
    x->net[0] = (struct relays_net){.family = 6, .b = {5, 9}};
    check(4, 3);
}

/* Who names addresses in the networks of others neither adds networks nor makes them one. */
static void a_relay_of_many_networks_lies_in_one(void **state)
{
    (void)state;
    struct relays_entry *x = add(5, 9);
    x->net[0] = (struct relays_net){.family = 6, .b = {9, 9, 9, 9}};
    x->net[1] = (struct relays_net){.family = 4, .b = {5, 9}};
    x->net[2] = (struct relays_net){.family = 4, .b = {6, 2}};
    x->n_nets = 3;
    check(1, 1);
    (void)add(6, 2);
    check(2, 2);
    (void)add(5, 9);
    check(3, 2);
}

static void a_family_counts_as_one_network(void **state)
{
    (void)state;
    add(5, 1)->family[3] = 7;
    add(5, 2)->family[3] = 7;
    check(2, 1);
    add(5, 3)->family[3] = 8;
    check(3, 2);
    (void)add(5, 4); /* of none: no family in common */
    (void)add(5, 5);
    check(5, 4);
}

static void what_no_path_can_have_does_not_count(void **state)
{
    (void)state;
    add(5, 1)->flags = RELAY_FLAG_LAB;
    add(5, 2)->n_nets = 0; /* it says not where it is */
    (void)add(5, 1);
    check(1, 1);
    struct relays_diversity d = relays_diversity_of(v, n, true);
    assert_int_equal(d.relays, 3);
    add(5, 3)->usable = TSTAMP_NEVER; /* failed, and may work again */
    check(2, 2);
}

static void sixty_relays_of_twenty_networks_are_enough(void **state)
{
    static const struct {
        uint32_t relays, networks;
        bool enough;
    } row[] = {{0, 0, false},   {60, 19, false}, {59, 20, false}, {60, 20, true},
               {59, 59, false}, {512, 1, false}, {512, 200, true}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct relays_diversity d = {row[i].relays, row[i].networks};
        assert_int_equal(relays_diversity_enough(&d, false, false), row[i].enough);
        assert_true(relays_diversity_enough(&d, true, false));
        assert_true(relays_diversity_enough(&d, false, true));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_network_counts_once, fresh),
        cmocka_unit_test_setup(a_relay_of_many_networks_lies_in_one, fresh),
        cmocka_unit_test_setup(a_family_counts_as_one_network, fresh),
        cmocka_unit_test_setup(what_no_path_can_have_does_not_count, fresh),
        cmocka_unit_test_setup(sixty_relays_of_twenty_networks_are_enough, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
