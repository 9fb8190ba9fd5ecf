/* TEST: timeout=120 */
/* Lookups: masked, under crowded keys, among dead and among misbehaving peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kad_net_say.h"

#define N 400
#define SYBILS 40
#define LIARS_NAME 20
#define RPCS_MOST                                                                                  \
    (KAD_LOOKUP_RPCS_MAX + 3 * KAD_WIDE_PREFIXES * 3) /* three sweeps, three of each */

static struct net net;
static const struct kad_options masked = {.masked = true}, paths = {.read = KAD_READ_PATHS};

static uint64_t sweeps(size_t node)
{
    struct kad_stats s;

    kad_stats_get(net.node[node].kad, &s);
    return s.wide_searches;
}

/* ---- masked ---- */

static struct {
    size_t asker;
    const char *key;
    unsigned bits, hidden, open;
} mask;

static void see_mask(struct net *n, size_t from, size_t to, struct slice data)
{
    struct kad_msg m = net_request(data);
    uint8_t truth[SHA256_LEN], told[SHA256_LEN];

    if (from != mask.asker) {
        return;
    }
    sha256(truth, net_text(mask.key));
    sha256(told, m.key);
    if (memcmp(truth, told, SHA256_LEN) == 0) {
        assert_true(kad_cpl(truth, n->node[to].hash) >= mask.bits);
        mask.open++;
    } else {
        assert_int_equal(m.type, KAD_FIND_NODE);
        assert_true(kad_cpl(truth, told) >= mask.bits);
        assert_true(kad_cpl(truth, n->node[to].hash) < mask.bits);
        mask.hidden++;
    }
}

static void a_masked_get_reveals_the_key_only_to_nodes_that_may_hold_it(void **state)
{
    (void)state;
    char key[24];

    net_filled(&net, N);
    mask.hidden = mask.open = 0;
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(key, sizeof(key), "/m/key%u", i);
        assert_int_equal(net_ask_with(&net, i, key, "5 value", NULL), QUDAG_OK);
        net_run(&net, net.now + 5 * NS_PER_S);
        mask.asker = 100 + i;
        assert_int_equal(net_find(&net, mask.asker, "learn the size"), QUDAG_OK);
        mask.key = key;
        mask.bits = kad_netsize_near_bits(&net.node[mask.asker].kad->routing.size) + 1;
        assert_in_range(mask.bits, 3, 8);
        net.watch = see_mask;
        assert_int_equal(net_ask_with(&net, mask.asker, key, NULL, &masked), QUDAG_OK);
        assert_memory_equal(net.done.value, "5 value", 7);
        net_run(&net, net.now + 5 * NS_PER_S); /* corrections */
        net.watch = NULL;
    }
    print_message("%u requests with the key, %u with another\n", mask.open, mask.hidden);
    assert_true(mask.hidden >= 20);
    assert_true(mask.open >= 20 * KAD_CONFIRM);
    net_fini(&net);
}

/* ---- crowds ---- */

/* Colluding peers name only each other, the closest to the key, store nothing and claim to have stored. */
static void misbehave_together(struct net *n, size_t node, struct ref strm, struct slice data)
{
    static struct kad_peer_info v[LIARS_NAME];
    struct kad_msg req = net_request(data), m = {.type = req.type, .key = req.key};
    uint8_t t[SHA256_LEN];
    size_t best[LIARS_NAME];

    if (req.type == KAD_PUT_VALUE) {
        req.closer = NULL;
        req.n_closer = 0;
        net_say(n, node, strm, &req);
        return;
    }
    sha256(t, req.key);
    for (size_t i = 0; i < n->n; i++) {
        if (n->node[i].misbehave == NULL || i == node) {
            continue;
        }
        size_t at = m.n_closer < LIARS_NAME ? m.n_closer++ : LIARS_NAME;
        while (at > 0 && kad_dist_cmp(t, n->node[i].hash, n->node[best[at - 1]].hash) < 0) {
            if (at < LIARS_NAME) {
                best[at] = best[at - 1];
            }
            at--;
        }
        if (at < LIARS_NAME) {
            best[at] = i;
        }
    }
    for (size_t i = 0; i < m.n_closer; i++) {
        v[i] = (struct kad_peer_info){.id = n->node[best[i]].id, .n_addrs = 1};
        v[i].addr[0] = n->node[best[i]].addr;
    }
    m.closer = v;
    net_say(n, node, strm, &m);
}

/* The last SYBILS nodes share |bits| bits with the key. */
static void net_crowded(const char *key, unsigned bits)
{
    uint8_t t[SHA256_LEN], h[SHA256_LEN], pub[32] = {1};
    struct peer_id id;
    uint32_t tries = 0;

    sha256(t, net_text(key));
    net_init(&net, N + SYBILS, 0);
    net.all_met = true;
    for (size_t i = N; i < N + SYBILS; i++) {
        do {
            tries++;
            memcpy(pub + 4, &tries, sizeof(tries));
            peer_id_from_ed25519(&id, pub);
            sha256(h, peer_id_slice(&id));
        } while (kad_cpl(t, h) < bits);
        net_node_as(&net, i, pub);
        net.node[i].misbehave = misbehave_together;
    }
    net_fill(&net);
}

/* The |ix|-th of the honest in whose table the crowd is one part of one bucket among many. */
static size_t outsider(const char *key, unsigned ix)
{
    uint8_t t[SHA256_LEN];

    sha256(t, net_text(key));
    for (size_t i = 0; i < N; i++) {
        if (kad_cpl(t, net.node[i].hash) < 3 && ix-- == 0) {
            return i;
        }
    }
    fail();
    return 0;
}

static void sybils_around_a_key_set_off_a_sweep_that_finds_the_honest(void **state)
{
    (void)state;
    size_t order[N + SYBILS], held = 0, honest = 0, found = 0;

    net_crowded("/v/key", 13);
    size_t author = outsider("/v/key", 0);
    for (unsigned i = 0; i < 5; i++) { /* the size of the network is known */
        char other[24];
        (void)snprintf(other, sizeof(other), "other %u", i);
        assert_int_equal(net_find(&net, author, other), QUDAG_OK);
    }
    assert_int_equal(sweeps(author), 0);
    assert_int_equal(net_ask_with(&net, author, "/v/key", "value", NULL), QUDAG_OK);
    net_run(&net, net.now + 10 * NS_PER_S);
    assert_int_equal(sweeps(author), 1);
    size_t n = net_order(&net, "/v/key", order);
    assert_int_equal(n, N + SYBILS);
    for (size_t i = 0; i < n && honest < KAD_K; i++) {
        if (net.node[order[i]].misbehave == NULL) {
            honest++;
            held += net_holds(&net, order[i], "/v/key");
        }
    }
    print_message("%zu of the %d honest closest hold it\n", held, KAD_K);
    assert_true(held >= KAD_K / 2);
    for (unsigned i = 0; i < 20; i++) {
        size_t reader = outsider("/v/key", 10 + i);
        found += net_ask_with(&net, reader, "/v/key", NULL, NULL) == QUDAG_OK;
        assert_true(net.done.rpcs <= RPCS_MOST);
        assert_true(sweeps(reader) <= 1);
    }
    print_message("%zu of 20 readers found it\n", found);
    assert_true(found >= 19);
    net_fini(&net);
}

static void where_a_crowd_hides_nothing_the_search_ends_after_one_sweep(void **state)
{
    (void)state;
    net_crowded("/v/none", 13);
    size_t reader = outsider("/v/none", 0);
    assert_int_equal(net_ask_with(&net, reader, "/v/none", NULL, NULL), QUDAG_ENOTFOUND);
    assert_int_equal(sweeps(reader), 1);
    assert_true(net.done.rpcs <= RPCS_MOST);
    net_fini(&net);
}

static void without_a_crowd_nothing_is_swept(void **state)
{
    (void)state;
    char key[24];

    net_filled(&net, N);
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof(key), "/v/key%u", i);
        assert_int_equal(net_ask_with(&net, i, key, "value", NULL), QUDAG_OK);
        assert_int_equal(net_ask_with(&net, 399 - i, key, NULL, NULL), QUDAG_OK);
        assert_int_equal(sweeps(i) + sweeps(399 - i), 0);
        (void)snprintf(key, sizeof(key), "find%u", i);
        assert_int_equal(net_find(&net, i, key), QUDAG_OK);
        assert_int_equal(sweeps(i), 0);
    }
    net_fini(&net);
}

/* ---- dead and misbehaving peers ---- */

static void after_half_the_network_died_values_and_the_living_are_found(void **state)
{
    (void)state;
    char key[24];
    size_t order[N], right = 0;

    net_filled(&net, N);
    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(key, sizeof(key), "/v/key%u", i);
        assert_int_equal(net_ask_with(&net, 0, key, "value", NULL), QUDAG_OK);
    }
    net_run(&net, net.now + 10 * NS_PER_S);
    for (size_t i = 1; i < N; i += 2) {
        net.node[i].dead = true;
    }
    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(key, sizeof(key), "/v/key%u", i);
        assert_int_equal(net_ask_with(&net, 100 + 2 * i, key, NULL, NULL), QUDAG_OK);
        assert_int_equal(net_find(&net, 200 + 2 * i, key), QUDAG_OK);
        assert_true(net.done.took < 20 * NS_PER_S);
        (void)net_order(&net, key, order);
        for (size_t at = 0; at < net.done.n_peers; at++) {
            size_t is = net_by_id(&net, &net.done.peer[at]);
            for (size_t o = 0; o < KAD_K; o++) {
                right += order[o] == is;
            }
        }
    }
    print_message("%zu of %u closest found\n", right, 30 * KAD_K);
    assert_true(right >= 30 * KAD_K * 9 / 10);
    assert_int_equal(net.overflows, 0);
    net_fini(&net);
}

static void disjoint_paths_find_a_value_although_a_third_lies_together(void **state)
{
    (void)state;
    char key[24];
    unsigned found = 0;

    net_filled(&net, N);
    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(key, sizeof(key), "/m/key%u", i);
        assert_int_equal(net_ask_with(&net, 0, key, "1 value", &paths), QUDAG_OK);
    }
    net_run(&net, net.now + 10 * NS_PER_S);
    for (size_t i = 1; i < N; i += 3) {
        net.node[i].misbehave = misbehave_together;
    }
    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(key, sizeof(key), "/m/key%u", i);
        found += net_ask_with(&net, 3 * i, key, NULL, &paths) == QUDAG_OK;
        assert_true(net.done.took < KAD_REQUEST_TIMEOUT);
    }
    print_message("%u of 30 found\n", found);
    assert_true(found >= 29);
    assert_int_equal(net.overflows, 0);
    net_fini(&net);
}

/* Names peers that do not exist, ever new ones. */
static void misbehave_endless(struct net *n, size_t node, struct ref strm, struct slice data)
{
    static struct kad_peer_info v[LIARS_NAME];
    static uint32_t count;
    struct kad_msg req = net_request(data), m = {.type = req.type, .key = req.key};
    uint8_t pub[32] = {3};

    for (size_t i = 0; i < LIARS_NAME; i++) {
        count++;
        memcpy(pub + 4, &count, sizeof(count));
        v[i] = (struct kad_peer_info){.n_addrs = 1};
        peer_id_from_ed25519(&v[i].id, pub);
        v[i].addr[0] = n->node[count % N].addr;
    }
    m.closer = v;
    m.n_closer = LIARS_NAME;
    net_say(n, node, strm, &m);
}

static void a_lookup_among_inventions_ends_at_its_bound_of_requests(void **state)
{
    (void)state;
    net_filled(&net, N);
    for (size_t i = 1; i < N; i++) {
        net.node[i].misbehave = misbehave_endless;
    }
    (void)net_find(&net, 0, "some key");
    print_message("%u requests\n", net.done.rpcs);
    assert_true(net.done.rpcs <= RPCS_MOST);
    (void)net_ask_with(&net, 0, "/m/key", NULL, &paths);
    print_message("%u requests\n", net.done.rpcs);
    assert_true(net.done.rpcs <= RPCS_MOST);
    net_fini(&net);
}

static void what_was_late_is_counted_as_failed_once(void **state)
{
    (void)state;
    net_filled(&net, 12);
    net.node[5].dead = true;
    assert_int_equal(net_ask_with(&net, 0, "/v/none", NULL, NULL), QUDAG_ENOTFOUND);
    assert_int_equal(net.done.failures, 1);
    assert_in_range(net.done.rpcs, 11, 11);
    net_fini(&net);
}

static void the_size_is_known_from_lookups_of_all_kinds(void **state)
{
    (void)state;
    char key[24];

    net_filled(&net, N);
    assert_int_equal(net_ask_with(&net, 0, "/m/key", "1 value", NULL), QUDAG_OK);
    for (unsigned i = 0; i < 31; i++) {
        (void)snprintf(key, sizeof(key), "find %u", i);
        assert_int_equal(net_find(&net, 9, key), QUDAG_OK);
    }
    print_message("%u of %u nodes by finding\n",
                  (unsigned)(UINT64_MAX / net.node[9].kad->routing.size.space), N);
    assert_in_range((UINT64_MAX / net.node[9].kad->routing.size.space), N * 3 / 4, N * 4 / 3);
    for (unsigned i = 0; i < 20; i++) { /* paths end before they have met the k closest */
        (void)snprintf(key, sizeof(key), "/m/key%u", i);
        assert_int_equal(net_ask_with(&net, i, key, "1 value", NULL), QUDAG_OK);
        assert_int_equal(net_ask_with(&net, 9, key, NULL, &paths), QUDAG_OK);
    }
    print_message("%u of %u nodes by reading\n",
                  (unsigned)(UINT64_MAX / net.node[9].kad->routing.size.space), N);
    assert_in_range((UINT64_MAX / net.node[9].kad->routing.size.space), N * 3 / 4, N * 4 / 3);
    net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_masked_get_reveals_the_key_only_to_nodes_that_may_hold_it),
        cmocka_unit_test(sybils_around_a_key_set_off_a_sweep_that_finds_the_honest),
        cmocka_unit_test(where_a_crowd_hides_nothing_the_search_ends_after_one_sweep),
        cmocka_unit_test(without_a_crowd_nothing_is_swept),
        cmocka_unit_test(after_half_the_network_died_values_and_the_living_are_found),
        cmocka_unit_test(disjoint_paths_find_a_value_although_a_third_lies_together),
        cmocka_unit_test(a_lookup_among_inventions_ends_at_its_bound_of_requests),
        cmocka_unit_test(what_was_late_is_counted_as_failed_once),
        cmocka_unit_test(the_size_is_known_from_lookups_of_all_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
