/* TEST: timeout=120 */
/* Reads: when they end, what they ask for, what misbehaving peers can do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kad_net_say.h"

#define N 300
#define BIG 8000

static struct net net;
static struct kad_options how[KAD_READ_PATHS + 1];

/* Requests of one node. */
static struct {
    size_t asker;
    unsigned gets, digests, finds;
    unsigned of[N], whole[N]; /* to each: all, and for the whole value */
} seen;

static void see(struct net *n, size_t from, size_t to, struct slice data)
{
    struct kad_msg m = net_request(data);

    (void)n;
    if (from != seen.asker) {
        return;
    }
    seen.finds += m.type == KAD_FIND_NODE;
    if (m.type == KAD_GET_VALUE) {
        seen.gets++;
        seen.of[to]++;
        seen.digests += m.want_digest;
        seen.whole[to] += !m.want_digest;
    }
}

static void watch(size_t asker)
{
    memset(&seen, 0, sizeof(seen));
    seen.asker = asker;
    net.watch = see;
}

static unsigned asked(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < N; i++) {
        n += seen.of[i] > 0;
    }
    return n;
}

static void begin(void)
{
    for (enum kad_read r = KAD_READ_DEFAULT; r <= KAD_READ_PATHS; r++) {
        how[r].read = r;
    }
    net_filled(&net, N);
}

static void put(const char *key, const char *value)
{
    assert_int_equal(net_ask_with(&net, 0, key, value, NULL), QUDAG_OK);
    net_run(&net, net.now + 10 * NS_PER_S);
}

/* |newer| is known to few of the holders of |older|: those with an index in the true order below |few|. */
static void put_old_and_new(const char *key, const char *older, const char *newer, size_t few)
{
    size_t order[N];

    put(key, older);
    (void)net_order(&net, key, order);
    for (size_t i = few; i < N; i++) {
        net.node[order[i]].dead = true;
    }
    struct acts out = net_acts(&net);
    uint64_t c = net_cookie();
    assert_int_equal(kad_put(net.node[order[0]].kad, c,
                             &(struct kad_put_args){net_text(key), net_text(newer), NULL}, net.now,
                             &out),
                     QUDAG_OK);
    net_apply(&net, order[0], &out);
    net_run(&net, net.now + 70 * NS_PER_S);
    for (size_t i = few; i < N; i++) {
        net.node[order[i]].dead = false;
        kad_backoff_reset(net.node[order[i]].kad);
    }
}

/* Who is not among the closest, so that it holds no copy of its own. */
static size_t reader_of(const char *key, unsigned ix)
{
    size_t order[N];

    (void)net_order(&net, key, order);
    return order[60 + 7 * ix];
}

/* ---- enough ---- */

static void each_kind_of_read_ends_when_it_is_sure_enough(void **state)
{
    (void)state;
    char key[24];
    uint32_t sum[KAD_READ_PATHS + 1] = {0};

    begin();
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof(key), "/m/key%u", i);
        put(key, "1 value");
        for (enum kad_read r = KAD_READ_FIRST; r <= KAD_READ_PATHS; r++) {
            size_t reader = reader_of(key, r);
            watch(reader);
            assert_int_equal(net_ask_with(&net, reader, key, NULL, &how[r]), QUDAG_OK);
            assert_memory_equal(net.done.value, "1 value", 7);
            sum[r] += net.done.rpcs;
            switch (r) {
            case KAD_READ_DEFAULT:
            case KAD_READ_FIRST:
                assert_true(net.done.n_peers == 1);
                break;
            case KAD_READ_CONFIRMED:
                assert_int_equal(net.done.n_peers, KAD_CONFIRM);
                break;
            case KAD_READ_QUORUM:
                assert_true(net.done.n_peers >= KAD_READ_ANSWERS);
                break;
            case KAD_READ_PATHS:
                assert_true(asked() >= KAD_PATHS * KAD_PATH_ANSWERS);
                break;
            }
        }
    }
    print_message("requests: first %u, confirmed %u, quorum %u, paths %u of 10 reads\n",
                  sum[KAD_READ_FIRST], sum[KAD_READ_CONFIRMED], sum[KAD_READ_QUORUM],
                  sum[KAD_READ_PATHS]);
    assert_true(sum[KAD_READ_FIRST] < sum[KAD_READ_CONFIRMED]);
    assert_true(sum[KAD_READ_CONFIRMED] < sum[KAD_READ_QUORUM]);
    net_fini(&net);
}

static void by_default_a_value_that_cannot_change_needs_no_second_opinion(void **state)
{
    (void)state;
    begin();
    put("/v/key", "value");
    put("/m/key", "1 value");
    assert_int_equal(net_ask_with(&net, reader_of("/v/key", 0), "/v/key", NULL, NULL), QUDAG_OK);
    assert_int_equal(net.done.n_peers, 1);
    assert_int_equal(
        net_ask_with(&net, reader_of("/v/key", 1), "/v/key", NULL, &how[KAD_READ_PATHS]), QUDAG_OK);
    assert_int_equal(net.done.n_peers, 1);
    assert_int_equal(net_ask_with(&net, reader_of("/m/key", 0), "/m/key", NULL, NULL), QUDAG_OK);
    assert_int_equal(net.done.n_peers, KAD_CONFIRM);
    net_fini(&net);
}

static void a_quorum_read_finds_the_newer_value_that_few_hold_and_corrects_the_others(void **state)
{
    (void)state;
    size_t order[N], newer = 0;
    struct slice v;

    begin();
    put_old_and_new("/m/key", "1 older", "2 newer", 6);
    (void)net_order(&net, "/m/key", order);
    for (size_t i = 0; i < KAD_K; i++) {
        newer += kad_record_local(net.node[order[i]].kad, net_text("/m/key"), net.now, &v) &&
                 v.base[0] == '2';
    }
    assert_in_range(newer, 4, 6);
    assert_int_equal(
        net_ask_with(&net, reader_of("/m/key", 0), "/m/key", NULL, &how[KAD_READ_QUORUM]),
        QUDAG_OK);
    assert_memory_equal(net.done.value, "2 newer", 7);
    net_run(&net, net.now + 10 * NS_PER_S);
    newer = 0;
    for (size_t i = 0; i < KAD_K; i++) {
        newer += kad_record_local(net.node[order[i]].kad, net_text("/m/key"), net.now, &v) &&
                 v.base[0] == '2';
    }
    print_message("%zu of %d corrected\n", newer, KAD_K);
    assert_true(newer >= 15);
    net_fini(&net);
}

/* ---- digests ---- */

static void once_a_value_is_held_the_others_are_asked_for_its_digest(void **state)
{
    (void)state;
    static char big[BIG + 1];
    uint64_t plain, digests;

    begin();
    memset(big, '1', BIG);
    put("/m/key", big);
    put("/v/key", big);
    size_t reader = reader_of("/m/key", 0);
    watch(reader);
    uint64_t before = net.bytes;
    assert_int_equal(net_ask_with(&net, reader, "/m/key", NULL, &how[KAD_READ_QUORUM]), QUDAG_OK);
    digests = net.bytes - before;
    assert_true(seen.digests >= KAD_READ_ANSWERS - 2 * KAD_ALPHA_GET);
    net_run(&net, net.now + 10 * NS_PER_S);
    before = net.bytes;
    assert_int_equal(
        net_ask_with(&net, reader_of("/v/key", 0), "/v/key", NULL, &how[KAD_READ_QUORUM]),
        QUDAG_OK);
    plain = net.bytes - before;
    print_message("%llu bytes with digests, %llu without\n", (unsigned long long)digests,
                  (unsigned long long)plain);
    assert_int_equal(net.done.value_len, BIG);
    assert_true(digests < plain / 3);
    net_fini(&net);
}

static void a_differing_digest_has_its_value_fetched_once(void **state)
{
    (void)state;
    unsigned fetched = 0;

    begin();
    put_old_and_new("/m/key", "1 older", "2 newer", 6);
    size_t reader = reader_of("/m/key", 0);
    watch(reader);
    assert_int_equal(net_ask_with(&net, reader, "/m/key", NULL, &how[KAD_READ_QUORUM]), QUDAG_OK);
    assert_memory_equal(net.done.value, "2 newer", 7);
    for (size_t i = 0; i < N; i++) {
        assert_true(seen.of[i] <= 2 && seen.whole[i] <= 1);
        fetched += seen.of[i] == 2;
    }
    assert_in_range(fetched, 1, KAD_REFETCH_MAX);
    net_fini(&net);
}

static void misbehave_digest(struct net *n, size_t node, struct ref strm, struct slice data)
{
    uint8_t digest[SHA256_LEN] = {(uint8_t)node, (uint8_t)strm.slot};
    struct kad_msg req = net_request(data), m = {.type = req.type, .key = req.key};

    if (!req.want_digest) {
        net_honest(n, node, strm, data);
        return;
    }
    m.has_digest = true;
    m.digest = digest;
    net_say(n, node, strm, &m);
}

static void forged_digests_cost_eight_requests_and_hide_no_newer_value(void **state)
{
    (void)state;
    size_t order[N];
    unsigned twice = 0;

    begin();
    put_old_and_new("/m/key", "1 older", "2 newer", 20);
    (void)net_order(&net, "/m/key", order);
    for (size_t i = 20; i < N; i++) { /* all on the way but the holders, and half of these */
        net.node[order[i]].misbehave = misbehave_digest;
    }
    for (size_t i = 0; i < 20; i += 2) {
        net.node[order[i]].misbehave = misbehave_digest;
    }
    for (unsigned r = 0; r < 10; r++) {
        size_t reader = reader_of("/m/key", r);
        net.node[reader].misbehave = NULL;
        watch(reader);
        twice = 0;
        assert_int_equal(net_ask_with(&net, reader, "/m/key", NULL, &how[KAD_READ_PATHS]),
                         QUDAG_OK);
        assert_memory_equal(net.done.value, "2 newer", 7);
        for (size_t i = 0; i < N; i++) {
            assert_true(seen.whole[i] <= 1);
            twice += seen.of[i] > 1;
        }
        assert_true(twice <= KAD_REFETCH_MAX);
    }
    net_fini(&net);
}

/* The old value first, then digests of nothing, until no more are looked into. */
static unsigned stale;
static struct kad_peer_info misbehaving[14];
static void misbehave_stale(struct net *n, size_t node, struct ref strm, struct slice data)
{
    uint8_t digest[SHA256_LEN] = {(uint8_t)node, 7};
    struct kad_msg req = net_request(data), m = {.type = req.type, .key = req.key};

    m.closer = misbehaving;
    m.n_closer = ARRAY_LEN(misbehaving);
    if (req.type != KAD_GET_VALUE) {
        net_honest(n, node, strm, data);
        return;
    }
    if (req.want_digest) {
        m.has_digest = true;
        m.digest = digest;
    } else {
        stale++;
        m.has_record = true;
        m.rec_key = req.key;
        m.rec_value = net_text("1 older");
    }
    net_say(n, node, strm, &m);
}

static void digests_of_nothing_do_not_use_up_what_newer_values_need(void **state)
{
    (void)state;
    size_t order[N];

    begin();
    put("/m/key", "2 newer");
    (void)net_order(&net, "/m/key", order);
    for (size_t i = 0; i < ARRAY_LEN(misbehaving); i++) { /* the closest of all */
        misbehaving[i] = (struct kad_peer_info){.id = net.node[order[i]].id, .n_addrs = 1};
        misbehaving[i].addr[0] = net.node[order[i]].addr;
        net.node[order[i]].misbehave = misbehave_stale;
    }
    for (size_t i = 20; i < N; i++) {
        net.node[order[i]].misbehave = misbehave_stale;
    }
    for (unsigned r = 0; r < 10; r++) {
        size_t reader = reader_of("/m/key", r);
        net.node[reader].misbehave = NULL;
        stale = 0;
        assert_int_equal(net_ask_with(&net, reader, "/m/key", NULL, &how[KAD_READ_QUORUM]),
                         QUDAG_OK);
        assert_true(stale > 0);
        assert_memory_equal(net.done.value, "2 newer", 7);
    }
    net_fini(&net);
}

/* It does not know the field. */
static void old_version(struct net *n, size_t node, struct ref strm, struct slice data)
{
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_msg req = net_request(data);
    size_t len = 0;

    req.want_digest = false;
    assert_int_equal(kad_msg_encode(buf, KAD_MSG_MAX, &len, &req), QUDAG_OK);
    net_honest(n, node, strm, (struct slice){buf, len});
}

static void peers_that_do_not_know_digests_serve_as_well(void **state)
{
    (void)state;
    begin();
    put_old_and_new("/m/key", "1 older", "2 newer", 6);
    for (size_t i = 0; i < N; i++) {
        net.node[i].misbehave = old_version;
    }
    size_t reader = reader_of("/m/key", 0);
    net.node[reader].misbehave = NULL;
    watch(reader);
    assert_int_equal(net_ask_with(&net, reader, "/m/key", NULL, &how[KAD_READ_QUORUM]), QUDAG_OK);
    assert_memory_equal(net.done.value, "2 newer", 7);
    assert_true(seen.digests > 0);
    for (size_t i = 0; i < N; i++) {
        assert_true(seen.of[i] <= 1); /* nothing had to be asked twice */
    }
    net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_read_ends_when_it_is_sure_enough),
        cmocka_unit_test(by_default_a_value_that_cannot_change_needs_no_second_opinion),
        cmocka_unit_test(a_quorum_read_finds_the_newer_value_that_few_hold_and_corrects_the_others),
        cmocka_unit_test(once_a_value_is_held_the_others_are_asked_for_its_digest),
        cmocka_unit_test(a_differing_digest_has_its_value_fetched_once),
        cmocka_unit_test(forged_digests_cost_eight_requests_and_hide_no_newer_value),
        cmocka_unit_test(digests_of_nothing_do_not_use_up_what_newer_values_need),
        cmocka_unit_test(peers_that_do_not_know_digests_serve_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
