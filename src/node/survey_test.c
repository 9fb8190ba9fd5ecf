/*
 * survey_test.c - whole nodes: when the view of the network has settled, and what may happen before.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define NEWCOMER 5

static struct node *newcomer(void)
{
    return net.node[NEWCOMER].node;
}

static bool sixteen_ended(struct nt *nt)
{
    (void)nt;
    return newcomer()->survey.lookups >= RELAYS_VIEW_LOOKUPS;
}

static bool settled(struct nt *nt)
{
    (void)nt;
    return relays_is_settled(newcomer()->relays);
}

/* A newcomer among five nodes. */
static void begin(void)
{
    struct node_config c = nt_config(&net, NEWCOMER);

    nt_join(5);
    nt_boot(&net, &c, 0);
    nt_begin(NEWCOMER, &c);
}

/* Somebody new in each lookup. */
static void news(void)
{
    struct relays *r = newcomer()->relays;

    r->met++;
    node_survey_check(newcomer());
}

static void a_view_that_still_shows_new_relays_has_not_settled(void **state)
{
    (void)state;
    begin();
    while (!sixteen_ended(&net)) {
        assert_false(nt_run(&net, 20 * NS_PER_MS, NULL));
        news();
    }
    for (unsigned i = 0; i < 30; i++) {
        (void)nt_run(&net, NS_PER_S, NULL);
        news();
        assert_false(settled(&net));
        assert_false(relays_is_usable(newcomer()->relays));
    }
    uint32_t then = newcomer()->survey.lookups;
    assert_true(nt_run(&net, 30 * NS_PER_S, settled)); /* nobody new any more */
    assert_in_range(newcomer()->survey.lookups - then, RELAYS_VIEW_QUIET, RELAYS_VIEW_QUIET + 2);
}

static void after_three_minutes_a_view_has_settled_whoever_is_new(void **state)
{
    tstamp began;

    (void)state;
    begin();
    began = net.now;
    while (!settled(&net)) {
        (void)nt_run(&net, (sixteen_ended(&net) ? 250 : 20) * NS_PER_MS, NULL);
        news();
        assert_true(net.now - began < 240 * NS_PER_S);
    }
    assert_true(net.now - began >= RELAYS_VIEW_MAX_S * NS_PER_S);
    assert_false(newcomer()->relays->large);
}

static void with_guards_of_an_earlier_run_a_node_is_ready_before_its_view_has_settled(void **state)
{
    static uint8_t file[RELAYS_GUARDS_FILE_MAX];
    struct node_config c = nt_config(&net, NEWCOMER);
    struct peer_id guard, same;

    (void)state;
    nt_join(5);
    assert_true(relays_guard(node_relays(net.node[1].node), &guard));
    size_t len = relays_guards_save(net.node[1].node->relays, file, sizeof file);
    nt_boot(&net, &c, 0);
    assert_int_equal(nt_make(&net, NEWCOMER, &c), QUDAG_OK);
    assert_int_equal(node_restore(newcomer(), "guards", (struct slice){file, len}, net.now),
                     QUDAG_OK);
    node_start(newcomer());
    while (net.node[NEWCOMER].phase != NODE_READY) {
        (void)nt_run(&net, 20 * NS_PER_MS, NULL);
        news();
    }
    assert_true(sixteen_ended(&net));
    assert_false(settled(&net));
    assert_true(relays_guard(node_relays(newcomer()), &same));
    assert_true(peer_id_eq(&guard, &same));
    static const struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    size_t at = nt_ask(&net.node[NEWCOMER], &r);
    for (unsigned i = 0; i < 400 && net.node[NEWCOMER].ask[at].ends == 0; i++) {
        (void)nt_run(&net, 20 * NS_PER_MS, NULL);
        news();
    }
    assert_int_equal(net.node[NEWCOMER].ask[at].err, QUDAG_OK);
    assert_false(settled(&net));
}

/* Where there are no relays nothing settles, and others are not asked for ever as if there were. */
static void lookups_that_find_no_relays_become_rare(void **state)
{
    static const struct {
        uint32_t lookups;
        uint64_t pause, lab; /* ms */
    } row[] = {
        {0, 0, 0},
        {15, 0, 0},
        {16, 500, 250},
        {17, 1000, 250},
        {63, 1000, 250},
        {64, 10000, 250},
        {93, 10000, 250},
        {94, 20000, 250},
        {124, 40000, 250},
        {154, 80000, 250},
        {255, 80000, 250},
        {256, 80000, 10000},
        {286, 80000, 20000},
        {100000, 80000, 80000},
        {UINT32_MAX, 80000, 80000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(node_survey_pause(row[i].lookups, false), row[i].pause * NS_PER_MS);
        assert_int_equal(node_survey_pause(row[i].lookups, true), row[i].lab * NS_PER_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_view_that_still_shows_new_relays_has_not_settled),
        NT_TEST(after_three_minutes_a_view_has_settled_whoever_is_new),
        cmocka_unit_test(lookups_that_find_no_relays_become_rare),
        NT_TEST(with_guards_of_an_earlier_run_a_node_is_ready_before_its_view_has_settled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
