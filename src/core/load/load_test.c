/* Accounts of work: who owes nothing, who is served last, who is put out, and who never is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/load/load.h"

#define T0 (1000 * NS_PER_S)

static const uint8_t seed[16] = {3};

static void what_streams_carry_pays_for_their_packets(void **state)
{
    (void)state;
    assert_int_equal(load_cost(1, 0, 0), LOAD_PACKET);
    assert_int_equal(load_cost(1, 0, 1), LOAD_PACKET - LOAD_BYTE);
    assert_int_equal(load_cost(1, 0, 1000), 0); /* a full packet is free */
    assert_int_equal(load_cost(1, 1, 0), LOAD_PACKET + LOAD_STREAM);
    assert_int_equal(load_cost(3, 1, 2400), 0); /* and so is a request with an answer */
}

static void a_burst_is_free_and_time_pays_it_off(void **state)
{
    const struct load_rule *r = &load_rule_link;
    struct load_account a = {0};

    (void)state;
    load_charge(&a, r, r->burst, T0);
    assert_int_equal(load_state(&a, r, T0), LOAD_FREE);
    load_charge(&a, r, 1, T0);
    assert_int_equal(load_state(&a, r, T0), LOAD_LAST);
    assert_int_equal(load_state(&a, r, T0 + NS_PER_MS), LOAD_FREE);
    assert_int_equal(load_debt(&a, r, T0 + NS_PER_S), r->burst + 1 - NS_PER_S / 1000 * r->share);
    assert_int_equal(load_debt(&a, r, T0 + 100 * NS_PER_S), 0);
}

static void who_goes_on_is_put_out_and_who_stops_is_not(void **state)
{
    const struct load_rule *r = &load_rule_link;
    struct load_account a = {0};
    tstamp now = T0;
    unsigned n = 0;

    (void)state;
    load_charge(&a, r, r->burst + r->patience, now);
    assert_int_equal(load_state(&a, r, now), LOAD_LAST);
    now += 10 * NS_PER_S;
    assert_int_equal(load_state(&a, r, now), LOAD_FREE);
    while (load_state(&a, r, now) !=
           LOAD_OUT) { /* 450,000 packets a second, the attack of the table */
        uint64_t ns = load_state(&a, r, now) == LOAD_FREE ? LOAD_PACKET : LOAD_THROWN;
        load_charge(&a, r, ns, now);
        now += NS_PER_S / 450000;
        n++;
        assert_true(n < 2 * 450000); /* within two seconds */
    }
}

static void the_debt_has_a_most_so_that_it_ends(void **state)
{
    const struct load_rule *r = &load_rule_net;
    struct load_account a = {0};

    (void)state;
    load_charge(&a, r, UINT64_MAX, T0);
    load_charge(&a, r, UINT64_MAX, T0);
    assert_int_equal(load_state(&a, r, T0), LOAD_LAST); /* a network is never put out */
    assert_int_equal(load_state(&a, r, T0 + 5 * NS_PER_S), LOAD_FREE);
    assert_int_equal(load_debt(&a, r, TSTAMP_NEVER), 0);
}

/* As much as the rule says and not a nanosecond more or less, whatever is charged; and no time before pays. */
static void the_most_is_exact_and_a_clock_behind_pays_nothing(void **state)
{
    const struct load_rule *r = &load_rule_link;
    const uint64_t most = r->burst + r->patience + NS_PER_S / 1000 * r->share;
    struct load_account a = {0};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        load_charge(&a, r, i == 1 ? most - 1 : UINT64_MAX - i, T0);
        assert_int_equal(a.debt, most);
    }
    assert_int_equal(load_debt(&a, r, T0 - NS_PER_S), most);
    assert_int_equal(load_cost(0, 0, 1), 0);
}

static void links_that_owe_nothing_do_not_pay_for_their_network(void **state)
{
    struct load_account link = {0}, net = {0};

    (void)state;
    load_charge(&net, &load_rule_net, 2 * load_rule_net.burst, T0);
    assert_int_equal(load_verdict(&link, &net, T0), LOAD_FREE);
    load_charge(&link, &load_rule_link, 20 * NS_PER_MS, T0);
    assert_int_equal(load_verdict(&link, &net, T0), LOAD_LAST);
    assert_int_equal(load_verdict(&link, NULL, T0), LOAD_FREE);
    load_charge(&link, &load_rule_link, NS_PER_S, T0);
    assert_int_equal(load_verdict(&link, &net, T0), LOAD_OUT);
}

/* One host makes its network owe too much: its neighbours are answered, as fast as there is something to spare. */
static void no_host_keeps_its_neighbours_from_handshakes(void **state)
{
    const uint64_t flooder = 1, many = 100;
    struct mem mem;
    struct load w;
    unsigned n;

    (void)state;
    mem_init(&mem, NULL, 0);
    load_init(&w, &mem, seed);
    for (n = 0; load_may_begin(&w, 5, flooder, T0); n++) {
        load_begun(&w, 5, flooder, T0);
    }
    assert_in_range(n, load_rule_net.burst / LOAD_HANDSHAKE,
                    load_rule_net.burst / LOAD_HANDSHAKE + 1);
    assert_true(load_may_begin(&w, 6, flooder, T0));
    assert_true(load_may_begin(&w, 5, 2, T0));
    for (n = 0; load_may_begin(&w, 5, 2, T0);
         n++) { /* a neighbour, until it owes more than little */
        load_begun(&w, 5, 2, T0);
    }
    assert_int_equal(n, LOAD_LITTLE / LOAD_HANDSHAKE + 1);
    for (n = 0; load_may_begin(&w, 5, many + n, T0); n++) { /* each another host */
        load_begun(&w, 5, many + n, T0);
    }
    assert_in_range(n, 50, 80);
    assert_false(load_may_begin(&w, 5, 3, T0));
    for (unsigned s = 1; s <= 10;
         s++) { /* the flooder goes on, and takes all that is left to those who owe much */
        tstamp now = T0 + s * NS_PER_S;
        while (load_may_begin(&w, 5, flooder, now)) {
            load_begun(&w, 5, flooder, now);
        }
        assert_true(load_may_begin(&w, 5, 1000 + s, now));
        load_begun(&w, 5, 1000 + s, now);
    }
    load_fini(&w);
    assert_int_equal(mem.used, 0);
}

static void hosts_are_kept_out_longer_each_time(void **state)
{
    struct mem mem;
    struct load w;

    (void)state;
    mem_init(&mem, NULL, 0);
    load_init(&w, &mem, seed);
    assert_false(load_is_out(&w, 7, T0));
    load_put_out(&w, 7, T0);
    assert_true(load_is_out(&w, 7, T0 + LOAD_OUT_FIRST - 1));
    assert_false(load_is_out(&w, 7, T0 + LOAD_OUT_FIRST));
    assert_false(load_is_out(&w, 8, T0));
    load_put_out(&w, 7, T0);
    assert_true(load_is_out(&w, 7, T0 + 2 * LOAD_OUT_FIRST - 1));
    load_put_out(&w, 7, T0);
    assert_true(load_is_out(&w, 7, T0 + 4 * LOAD_OUT_FIRST - 1));
    assert_false(load_is_out(&w, 7, T0 + 4 * LOAD_OUT_FIRST));
    tstamp later = T0 + 4 * LOAD_OUT_FIRST + LOAD_OUT_FORGET; /* an hour without */
    load_put_out(&w, 7, later);
    assert_true(load_is_out(&w, 7, later + LOAD_OUT_FIRST - 1));
    assert_false(load_is_out(&w, 7, later + LOAD_OUT_FIRST));
    assert_int_equal(load_out_for(0), LOAD_OUT_FIRST);
    assert_int_equal(load_out_for(1), 2 * LOAD_OUT_FIRST);
    assert_int_equal(load_out_for(UINT32_MAX), LOAD_OUT_MOST);
    load_fini(&w);
    assert_int_equal(mem.used, 0);
}

static void tables_are_bounded_and_keep_what_matters(void **state)
{
    struct mem mem;
    struct load w;

    (void)state;
    mem_init(&mem, NULL, 0);
    load_init(&w, &mem, seed);
    load_charge(load_net(&w, 1, T0), &load_rule_net, NS_PER_S, T0);
    load_put_out(&w, 1, T0 + NS_PER_S);
    for (uint64_t i = 2; i < 5000; i++) {
        assert_non_null(load_net(&w, i, T0));
        load_begun(&w, i, i, T0);
        load_put_out(&w, i, T0);
    }
    assert_int_equal(w.nets.n, LOAD_NETS_MAX);
    assert_int_equal(w.hosts.n, LOAD_HOSTS_MAX);
    assert_int_equal(w.callers.n, LOAD_HOSTS_MAX);
    assert_int_equal(load_state(load_net(&w, 1, T0), &load_rule_net, T0), LOAD_LAST);
    assert_true(load_is_out(&w, 1, T0));    /* it is free last */
    assert_true(load_is_out(&w, 4999, T0)); /* and who came last is, too */
    load_put_out(&w, 1, T0);                /* again: nobody gives way to who is in it */
    assert_int_equal(w.hosts.n, LOAD_HOSTS_MAX);
    assert_null(load_net(&w, 0, T0));
    load_fini(&w);
    assert_int_equal(mem.used, 0);
}

static void without_memory_nobody_is_blamed(void **state)
{
    struct mem mem;
    struct load w;

    (void)state;
    mem_init(&mem, NULL, 1);
    load_init(&w, &mem, seed);
    assert_null(load_net(&w, 5, T0));
    load_put_out(&w, 5, T0);
    load_begun(&w, 5, 5, T0);
    assert_false(load_is_out(&w, 5, T0));
    assert_true(load_may_begin(&w, 5, 5, T0));
    load_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_streams_carry_pays_for_their_packets),
        cmocka_unit_test(a_burst_is_free_and_time_pays_it_off),
        cmocka_unit_test(who_goes_on_is_put_out_and_who_stops_is_not),
        cmocka_unit_test(the_debt_has_a_most_so_that_it_ends),
        cmocka_unit_test(the_most_is_exact_and_a_clock_behind_pays_nothing),
        cmocka_unit_test(links_that_owe_nothing_do_not_pay_for_their_network),
        cmocka_unit_test(no_host_keeps_its_neighbours_from_handshakes),
        cmocka_unit_test(hosts_are_kept_out_longer_each_time),
        cmocka_unit_test(tables_are_bounded_and_keep_what_matters),
        cmocka_unit_test(without_memory_nobody_is_blamed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
