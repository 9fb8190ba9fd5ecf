/* TEST: timeout=180 */
/* What is done without being asked; requests given up at any moment, or without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kad_net_say.h"

#define MINUTE (60 * NS_PER_S)

static struct net net;
static const struct kad_options careful = {.read = KAD_READ_PATHS, .masked = true};

static struct {
    size_t asker, to;
    unsigned n;
    tstamp first;
} seen;

static void see(struct net *n, size_t from, size_t to, struct slice data)
{
    if (from != seen.asker || to != seen.to) {
        return;
    }
    assert_int_equal(net_request(data).type, KAD_FIND_NODE);
    seen.first = seen.n++ == 0 ? n->now : seen.first;
}

static bool has(size_t node, size_t other)
{
    return kad_table_find(&net.node[node].kad->routing.table, net.node[other].hash) != NULL;
}

/* ---- entries ---- */

static void an_entry_silent_for_ten_minutes_is_asked_whether_it_lives(void **state)
{
    (void)state;
    net_filled(&net, 3);
    seen.asker = 0;
    seen.to = 1;
    seen.n = 0;
    net.watch = see;
    tstamp began = net.now;
    struct acts out = net_acts(&net);
    kad_ops.tick(net.node[0].kad, net.now, &out);
    net_apply(&net, 0, &out);
    net_run(&net, began + 9 * MINUTE);
    assert_int_equal(seen.n, 0);
    net_run(&net, began + 14 * MINUTE);
    assert_in_range(seen.n, 1, 2);
    assert_true(seen.first - began >= KAD_IDLE_CHECK);
    assert_true(has(0, 1));
    net.node[1].dead = true;
    net_run(&net, began + 60 * MINUTE);
    assert_false(has(0, 1));
    assert_true(has(0, 2));
    net_fini(&net);
}

static void entries_are_checked_the_more_often_the_more_of_them_die(void **state)
{
    (void)state;
    net_filled(&net, 60);
    struct kad *k = net.node[0].kad;
    tstamp began = net.now;
    for (size_t i = 0; i < net.n; i++) {
        struct acts out = net_acts(&net);
        kad_ops.tick(net.node[i].kad, net.now, &out);
        net_apply(&net, i, &out);
    }
    net_run(&net, began + 20 * MINUTE);
    assert_int_equal(k->routing.idle_check, KAD_IDLE_CHECK);
    for (size_t i = 20; i < 60; i++) {
        net.node[i].dead = true;
    }
    net_run(&net, began + 40 * MINUTE);
    assert_true(k->routing.idle_check < KAD_IDLE_CHECK / 2);
    assert_true(k->routing.idle_check >= KAD_IDLE_CHECK_MIN);
    for (size_t i = 20; i < 60; i++) {
        assert_false(has(0, i));
    }
    net_run(&net, began + 6 * 60 * MINUTE);
    assert_int_equal(k->routing.idle_check, KAD_IDLE_CHECK); /* and back */
    net_fini(&net);
}

static void a_partitioned_network_rejoins_when_the_partition_heals(void **state)
{
    (void)state;
    enum { ALL = 40, HALF = 20 };
    size_t across = 0;

    net_init(&net, ALL, 0);
    assert_int_equal(net_join(&net), 0);
    net.cut = HALF;
    net_run(&net, net.now + 60 * MINUTE);
    for (size_t i = 0; i < HALF; i++) {
        for (size_t j = HALF; j < ALL; j++) {
            across += has(i, j) ? 1 : 0;
            across += has(j, i) ? 1 : 0;
        }
    }
    assert_int_equal(across, 0); /* each half has forgotten the other */
    assert_int_equal(net_ask_with(&net, 3, "/v/first", "of the first", NULL), QUDAG_OK);
    assert_int_equal(net_ask_with(&net, 23, "/v/second", "of the second", NULL), QUDAG_OK);
    assert_int_equal(net_ask_with(&net, 25, "/v/first", NULL, NULL), QUDAG_ENOTFOUND);
    net.cut = 0;
    net_run(&net, net.now + 10 * MINUTE);
    for (size_t i = 0; i < HALF; i++) {
        for (size_t j = HALF; j < ALL; j++) {
            across += has(i, j) ? 1 : 0;
            across += has(j, i) ? 1 : 0;
        }
    }
    print_message("%zu of %d entries across\n", across, 2 * HALF * HALF);
    assert_true(across >= HALF * HALF);
    assert_int_equal(net_ask_with(&net, 25, "/v/first", NULL, NULL), QUDAG_OK);
    assert_int_equal(net_ask_with(&net, 5, "/v/second", NULL, NULL), QUDAG_OK);
    net_fini(&net);
}

/* ---- joining ---- */

static unsigned parts_lacking(size_t node, unsigned *of)
{
    const struct kad *k = net.node[node].kad;
    unsigned lacking = 0, nearest = kad_table_nearest(&k->routing.table);

    *of = 0;
    for (unsigned cpl = 0; cpl < nearest && cpl <= KAD_REFRESH_BITS; cpl++) {
        bool is[KAD_PARTS] = {false};
        for (size_t i = 0; i < net.n; i++) {
            const uint8_t *h = net.node[i].hash;
            if (i != node && kad_cpl(k->env.hash, h) == cpl) {
                is[kad_hash_prefix(h) << (cpl + 1) >> (64 - KAD_PART_BITS)] = true;
            }
        }
        for (unsigned part = 0; part < KAD_PARTS; part++) {
            *of += is[part];
            lacking += is[part] && kad_table_lacks(&k->routing.table, cpl, part);
        }
    }
    return lacking;
}

/* Node 0 of |n| anew, as if it had never been there. */
static void newcomer(size_t n)
{
    net_filled(&net, n);
    net_node_as(&net, 0, (const uint8_t[32]){77, 1});
    net.all_met = false; /* who is asked by it learns of it */
    net_introduce(&net, 0, 5);
}

static void after_a_bootstrap_the_parts_of_buckets_are_filled(void **state)
{
    (void)state;
    unsigned of;

    newcomer(400);
    assert_int_equal(net_ask(&net, 0, KAD_OP_BOOTSTRAP, NULL, 0, (struct slice){NULL, 0}),
                     QUDAG_OK);
    assert_true(net.done.took < 10 * NS_PER_S);
    net_run(&net, net.now + 30 * NS_PER_S);
    unsigned lacking = parts_lacking(0, &of);
    print_message("%u of %u parts lack entries\n", lacking, of);
    assert_true(of >= 30);
    assert_true(lacking <= of / 10);
    assert_int_equal(net.node[0].kad->care.fill, KAD_FILLED);
    net_fini(&net);
}

static void a_part_that_ended_at_once_without_memory_does_not_stop_the_filling(void **state)
{
    (void)state;
    uint8_t key[KAD_PREFIX_KEY];

    net_init(&net, 31, 0);
    struct kad *k = net.node[0].kad;
    for (size_t i = 1; i < 31; i++) {
        struct kad_peer_info info = {.id = net.node[i].id, .n_addrs = 1};
        info.addr[0] = net.node[i].addr;
        kad_preload(k, &info, 50 * NS_PER_MS, net.now);
    }
    assert_true(kad_table_nearest(&k->routing.table) > 0);
    assert_true(kad_contacts_part_key(&k->routing, 0, 0, key)); /* what this needs is there */
    for (size_t spare = 0; spare < 4096; spare += 16) { /* enough for a job, not for its requests */
        k->care.fill = 0;
        net.mem.max = net.mem.used + sizeof(struct kad_request) + spare;
        struct acts out = net_acts(&net);
        kad_ops.tick(k, net.now, &out);
        net_apply(&net, 0, &out);
        assert_int_equal(k->care.filling, k->requests.n_internal > 0);
        net.mem.max = 0;
        net_run(&net, net.now + 10 * NS_PER_S);
    }
    assert_true(net.mem.refused > 0);
    k->care.fill = 0;
    struct acts out = net_acts(&net);
    kad_ops.tick(k, net.now, &out);
    net_apply(&net, 0, &out);
    net_run(&net, net.now + MINUTE / 2);
    assert_int_equal(k->care.fill, KAD_FILLED);
    assert_true(k->env.stats.rpcs_out > 0);
    net_fini(&net);
}

/* ---- giving up ---- */

static qudag_err start(enum kad_op op, uint64_t cookie, const char *key, struct acts *out)
{
    struct kad *k = net.node[2].kad;
    struct slice s = net_text(key);

    switch (op) {
    case KAD_OP_PUT:
        return kad_put(k, cookie, &(struct kad_put_args){s, net_text("3 value"), &careful}, net.now,
                       out);
    case KAD_OP_GET:
        return kad_get(k, cookie, s, &careful, net.now, out);
    case KAD_OP_PROVIDERS:
        return kad_providers(k, cookie, s, net.now, out);
    case KAD_OP_BOOTSTRAP:
        return kad_bootstrap(k, cookie, net.now, out);
    case KAD_OP_FIND:
    case KAD_OP_FIND_PEER:
    case KAD_OP_PROVIDE:
        break;
    }
    return kad_find(k, cookie, s, net.now, out);
}

static void any_request_canceled_at_any_moment_reports_once_and_leaves_nothing(void **state)
{
    (void)state;
    static const enum kad_op ops[] = {KAD_OP_FIND, KAD_OP_PUT, KAD_OP_GET, KAD_OP_PROVIDERS,
                                      KAD_OP_BOOTSTRAP};
    struct kad_stats s;

    net_filled(&net, 100);
    for (size_t i = 40; i < 60; i++) {
        net.node[i].dead = true;
    }
    for (size_t o = 0; o < ARRAY_LEN(ops); o++) {
        bool already = false;
        unsigned steps = 0;
        for (; !already; steps++) {
            struct acts out = net_acts(&net);
            uint64_t c = net_cookie();
            assert_int_equal(start(ops[o], c, "/m/key", &out), QUDAG_OK);
            net_apply(&net, 2, &out);
            for (unsigned i = 0; i < steps && net.done.cookie != c; i++) {
                net_run(&net, net.q[0].at);
            }
            already = net.done.cookie == c;
            out = net_acts(&net);
            kad_cancel(net.node[2].kad, c, &out);
            net_apply(&net, 2, &out);
            assert_int_equal(net.done.cookie, c);
            assert_true(already || net.done.err == QUDAG_ECANCELED);
            net_run(&net, net.now + 10 * NS_PER_S);
            assert_int_equal(net.done.cookie, c);
            assert_int_equal(net.done.times, 1);
            kad_stats_get(net.node[2].kad, &s);
            assert_int_equal(s.requests, 0);
        }
        print_message("given up after 0 .. %u steps\n", steps);
    }
    assert_int_equal(net.overflows, 0);
    net_fini(&net);
}

static void a_put_and_a_careful_get_end_whichever_allocation_fails(void **state)
{
    (void)state;
    unsigned at[2] = {0};

    net_filled(&net, 100);
    for (unsigned o = 0; o < 2; o++) {
        bool failed = true;
        for (unsigned n = 1; failed; n++) {
            struct acts out = net_acts(&net);
            uint64_t c = net_cookie(), refused = net.mem.refused;
            net.mem.fail_at = n;
            qudag_err err = start(o == 0 ? KAD_OP_PUT : KAD_OP_GET, c, "/m/key", &out);
            net_apply(&net, 2, &out);
            if (err == QUDAG_OK) {
                assert_true(net_wait(&net, c));
                assert_true(net.done.err == QUDAG_OK || net.done.err == QUDAG_ENOMEM ||
                            net.done.err == QUDAG_EUNREACHABLE);
            } else {
                assert_int_equal(err, QUDAG_ENOMEM);
            }
            failed = net.mem.refused > refused;
            net.mem.fail_at = 0;
            net_run(&net, net.now + NS_PER_S);
            at[o] = n;
        }
    }
    print_message("%u allocations of a put, %u of a get\n", at[0], at[1]);
    assert_true(at[0] > 100 && at[1] > 100);
    assert_int_equal(net.overflows, 0);
    net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_silent_for_ten_minutes_is_asked_whether_it_lives),
        cmocka_unit_test(entries_are_checked_the_more_often_the_more_of_them_die),
        cmocka_unit_test(a_partitioned_network_rejoins_when_the_partition_heals),
        cmocka_unit_test(after_a_bootstrap_the_parts_of_buckets_are_filled),
        cmocka_unit_test(a_part_that_ended_at_once_without_memory_does_not_stop_the_filling),
        cmocka_unit_test(any_request_canceled_at_any_moment_reports_once_and_leaves_nothing),
        cmocka_unit_test(a_put_and_a_careful_get_end_whichever_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
