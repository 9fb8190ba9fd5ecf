/*
 * hidden_access_test.c - whole nodes: who is let in by a hidden service, and whose circuits it keeps for how long.
 *
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/dark_clients.h"
#include "node/testkit_hidden.h"

static void callers_circuits_are_told_apart_by_where_they_end(void **state)
{
    (void)state;
    assert_true(node_service_brought(&(struct onion_info){.role = ONION_END, .tag = 7}, 7));
    assert_false(node_service_brought(&(struct onion_info){.role = ONION_END, .tag = 8}, 7));
    assert_false(node_service_brought(&(struct onion_info){.role = ONION_END}, 7));
    assert_false(node_service_brought(&(struct onion_info){.role = ONION_CLIENT, .tag = 7}, 7));
}

static bool a_point_of(const struct dark_service *of, const uint8_t key[32])
{
    for (uint32_t i = 0; i < of->n_intros; i++) {
        if (memcmp(of->intro[i].key, key, 32) == 0) {
            return true;
        }
    }
    return false;
}

/* SPEC: dark D-41 */
static void who_is_removed_is_cut_off_and_finds_nothing(void **state)
{
    struct nt_node *t = &net.node[CALLER];
    struct node *s;
    uint8_t anne[DARK_CLIENT_SECRET_LEN], ben[DARK_CLIENT_SECRET_LEN];
    (void)state;

    network(1, NULL);
    s = net.node[SERVICE].node;
    assert_int_equal(node_dark_client_add(s, &addr, "anne", anne, net.now), QUDAG_OK);
    assert_int_equal(node_dark_client_add(s, &addr, "ben", ben, net.now), QUDAG_OK);
    (void)nt_run(&net, 6000 * NS_PER_S, NULL); /* both places say it */
    (void)call(1, QUDAG_ENEEDAUTH);
    assert_int_equal(node_dark_authorize(t->node, &addr, ben), QUDAG_OK);
    unsigned closed = t->closed;
    (void)open_from(CALLER, 2);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(t->closed, closed);
    assert_int_equal(service()->carried, 1);

    const struct dark_service before = service()->target;
    assert_int_equal(node_dark_client_remove(s, &addr, "ben", net.now), QUDAG_OK);
    assert_int_equal(service()->carried, 0);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_int_equal(t->closed, closed + 1);
    settled_before = t->opened + t->closed;
    (void)open_from(CALLER, 3); /* with the record that he knows, or without one */
    assert_true(nt_run(&net, 120 * NS_PER_S, one_more));
    assert_int_equal(t->closed, closed + 2);
    assert_true(t->closed_why == QUDAG_EUNREACHABLE || t->closed_why == QUDAG_ENEEDAUTH);

    (void)nt_run(&net, 100 * NS_PER_S, NULL);
    const struct dark_service *after = &service()->target;
    assert_int_equal(after->n_intros, 3);
    for (uint32_t i = 0; i < after->n_intros; i++) {
        assert_false(a_point_of(&before, after->intro[i].key));
    }
    assert_memory_not_equal(before.keys[0].x, after->keys[0].x, sizeof(before.keys[0].x));
    assert_memory_not_equal(before.keys[0].k, after->keys[0].k, sizeof(before.keys[0].k));
    assert_int_equal(node_dark_authorize(t->node, &addr, anne), QUDAG_OK);
    (void)call(4, QUDAG_OK);
}

/* SPEC: dark D-41 */
static void who_called_before_there_were_clients_is_out(void **state)
{
    struct nt_node *t = &net.node[CALLER];
    uint8_t anne[DARK_CLIENT_SECRET_LEN];
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    unsigned closed = t->closed;
    (void)open_from(CALLER, 1); /* stays */
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(t->closed, closed);
    const struct dark_service before = service()->target;
    assert_int_equal(node_dark_client_add(net.node[SERVICE].node, &addr, "anne", anne, net.now),
                     QUDAG_OK);
    assert_int_equal(service()->carried, 0);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_int_equal(t->closed, closed + 1); /* cut off */
    settled_before = t->opened + t->closed;
    (void)open_from(CALLER, 2); /* with the record that he knows */
    assert_true(nt_run(&net, 120 * NS_PER_S, one_more));
    assert_int_equal(t->closed, closed + 2);
    (void)nt_run(&net, 100 * NS_PER_S, NULL);
    const struct dark_service *after = &service()->target;
    for (uint32_t i = 0; i < after->n_intros; i++) {
        assert_false(a_point_of(&before, after->intro[i].key));
    }
    assert_memory_not_equal(before.keys[0].x, after->keys[0].x, sizeof(before.keys[0].x));
    assert_int_equal(node_dark_authorize(t->node, &addr, anne), QUDAG_OK);
    (void)call(3, QUDAG_OK);
}

/* SPEC: rendezvous R-24 */
static void the_quietest_circuit_gives_way_first_one_without_streams(void **state)
{
    const tstamp now = NT_START + 1000 * NS_PER_S;
    const struct onion_info fresh = {.active_at = now - 4 * NS_PER_S},
                            quiet = {.active_at = now - 9 * NS_PER_S},
                            quieter = {.active_at = now - 10 * NS_PER_S},
                            busy = {.streams = 1, .active_at = now - 59 * NS_PER_S},
                            silent = {.streams = 1, .active_at = now - 60 * NS_PER_S},
                            longer = {.streams = 9, .active_at = now - 600 * NS_PER_S};
    (void)state;

    assert_false(node_service_gives_way(&fresh, NULL, now)); /* its caller has not begun yet */
    assert_false(node_service_gives_way(&busy, NULL, now));
    assert_false(node_service_gives_way(&busy, &silent, now));
    assert_true(node_service_gives_way(&quiet, NULL, now));
    assert_true(node_service_gives_way(&quieter, &quiet, now));
    assert_false(node_service_gives_way(&quiet, &quieter, now));
    assert_false(node_service_gives_way(&quiet, &quiet, now));
    assert_true(node_service_gives_way(&silent, NULL, now));
    assert_true(node_service_gives_way(&longer, &silent, now));
    assert_false(node_service_gives_way(&silent, &longer, now));
    assert_true(node_service_gives_way(&quiet, &longer, now));
    assert_false(node_service_gives_way(&longer, &quiet, now));
}

/* As if so many callers were there. */
static void fill(uint32_t carried)
{
    struct node *n = net.node[SERVICE].node;

    service()->carried = carried;
    hidden_serve_carried(n->services, service()->name, carried, net.now, node_begin(n));
    node_end(n, n->ix.services);
    node_drain(n, net.now);
}

/* Who only holds a place loses it to a newcomer where there is no other; who is silent where there is one stays. */
static void a_full_service_ends_who_is_silent_for_a_newcomer(void **state)
{
    struct nt_node *t = &net.node[CALLER];
    (void)state;

    network(1, NULL);
    (void)open_from(CALLER, 1);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(t->opened, 1);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    fill(HIDDEN_CARRIED_MAX - 1); /* one place is left */
    (void)open_from(CALLER, 2);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(t->opened, 2);
    assert_int_equal(t->closed, 0);
    fill(HIDDEN_CARRIED_MAX);
    (void)open_from(CALLER, 3);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(t->opened, 3);
    assert_int_equal(t->closed, 1);
    assert_int_equal(service()->carried, HIDDEN_CARRIED_MAX);
    (void)call(4, QUDAG_ELIMIT); /* nobody else was silent for long: it is busy, not gone */
    assert_int_equal(t->closed, 2);
}

static void a_newcomer_takes_the_place_of_the_quietest(void **state)
{
    struct node_stream_info info;
    struct node *n;
    (void)state;

    network(1, NULL);
    n = net.node[SERVICE].node;
    (void)call(1, QUDAG_OK); /* it stays, without streams */
    struct ref r = open_from(CALLER, 2);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(service()->carried, 2);
    hidden_serve_carried(n->services, service()->name, HIDDEN_CARRIED_MAX, net.now, node_begin(n));
    node_end(n, n->ix.services);
    (void)call(3, QUDAG_OK);
    assert_int_equal(stats().shed, 1);
    assert_int_equal(service()->carried, 2);
    assert_int_equal(node_stream_info_get(net.node[CALLER].node, r, &info), QUDAG_OK);
    assert_true(info.open);
}

static struct relays_bias counted(size_t ix)
{
    const struct relays *r = net.node[ix].node->relays;
    struct relays_bias sum = {0};

    for (uint32_t i = 0; i < r->n_guards; i++) {
        sum.used += r->guard[i]->bias.used;
        sum.intact += r->guard[i]->bias.intact;
    }
    return sum;
}

/* Ends the circuits of node |ix| that are carried, or carry one of a caller; how many. */
static unsigned end_calls(size_t ix)
{
    struct node *n = net.node[ix].node;
    unsigned ended = 0;

    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->open && !c->canceled && (c->use->carried || !ref_none(c->carried))) {
            assert_int_equal(node_circuit_close(n, c->onion), QUDAG_OK);
            ended++;
        }
    }
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    return ended;
}

/* A caller that ends its calls, and a service that ends those of callers, move nothing that guards are judged by. */
static void neither_end_of_a_call_moves_the_counters_of_the_other(void **state)
{
    (void)state;

    network(1, NULL);
    for (uint8_t key = 1; key <= 8; key++) {
        (void)call(key, QUDAG_OK);
        assert_int_equal(end_calls(key <= 4 ? CALLER : SERVICE), 1);
    }
    assert_int_equal(service()->carried, 0);
    assert_int_equal(counted(SERVICE).used, counted(SERVICE).intact);
    assert_int_equal(counted(CALLER).used, counted(CALLER).intact);
    assert_true(counted(CALLER).used >= 4);
    assert_true(counted(SERVICE).used >= 4);
}

/* Its own node ends it within a day; one of an attacker would not. */
static void a_caller_that_stays_keeps_no_circuit_of_a_service(void **state)
{
    struct node *caller, *n;
    unsigned held = 0;
    (void)state;

    network(1, NULL);
    caller = net.node[CALLER].node;
    n = net.node[SERVICE].node;
    struct ref s = open_from(CALLER, 1);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    LIST_EACH(it, &caller->circuits)
    {
        LIST_ENTRY(it, struct node_circuit, node)->times = node_life_unused();
    }
    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (!ref_none(c->carried)) {
            held++;
            assert_true(c->times.over <= tstamp_after(net.now, NODE_LIFE_OVER_AT));
            c->times.dirty = c->times.old = c->times.over = tstamp_after(net.now, 10 * NS_PER_S);
            n->life_at = net.now;
        }
    }
    assert_int_equal(held, 1);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(service()->carried, 1);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(service()->carried, 0);
    assert_int_equal(net.node[CALLER].closed, 1);
    (void)s;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_circuits_are_told_apart_by_where_they_end),
        NT_TEST(who_is_removed_is_cut_off_and_finds_nothing),
        NT_TEST(who_called_before_there_were_clients_is_out),
        cmocka_unit_test(the_quietest_circuit_gives_way_first_one_without_streams),
        NT_TEST(a_full_service_ends_who_is_silent_for_a_newcomer),
        NT_TEST(a_newcomer_takes_the_place_of_the_quietest),
        NT_TEST(neither_end_of_a_call_moves_the_counters_of_the_other),
        NT_TEST(a_caller_that_stays_keeps_no_circuit_of_a_service),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
