/* TEST: timeout=120 */
/* A network of kad objects in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kad_net.h"

#define N 60
#define S(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})

static const struct slice none = {NULL, 0};

static void net_joined(struct net *net, size_t n, size_t clients)
{
    net_init(net, n, clients);
    assert_int_equal(net_join(net), 0);
}

/* Indices of the servers alive, closest to |key| first. */
static size_t true_order(const struct net *net, const char *key, size_t *order)
{
    uint8_t t[SHA256_LEN];
    size_t n = 0;

    sha256(t, (struct slice){(const uint8_t *)key, strlen(key)});
    for (size_t i = 0; i < net->n; i++) {
        if (net->node[i].dead || net->node[i].client) {
            continue;
        }
        size_t at = n++;
        for (; at > 0; at--) {
            uint8_t a[SHA256_LEN], b[SHA256_LEN];
            for (size_t x = 0; x < SHA256_LEN; x++) {
                a[x] = net->node[i].hash[x] ^ t[x];
                b[x] = net->node[order[at - 1]].hash[x] ^ t[x];
            }
            if (memcmp(a, b, SHA256_LEN) > 0) {
                break;
            }
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    return n;
}

static void value_put_by_one_is_read_by_another_after_the_first_is_gone(void **state)
{
    (void)state;
    struct net net;

    net_joined(&net, N, 0);
    assert_int_equal(net_ask(&net, 0, KAD_OP_PUT, "/v/a", 4, S("hello")), QUDAG_OK);
    assert_true(net.done.n_peers >= 15);
    net.node[0].dead = true;
    assert_int_equal(net_ask(&net, 5, KAD_OP_GET, "/v/a", 4, none), QUDAG_OK);
    assert_int_equal(net.done.value_len, 5);
    assert_memory_equal(net.done.value, "hello", 5);
    assert_int_equal(net.overflows, 0);
    net_fini(&net);
}

static void value_is_held_by_exactly_the_k_closest_by_true_order(void **state)
{
    (void)state;
    struct net net;
    size_t order[N], n;
    struct slice v;

    net_joined(&net, N, 0);
    for (int round = 0; round < 10; round++) {
        char key[24];
        (void)snprintf(key, sizeof(key), "/v/key%d", round);
        assert_int_equal(net_ask(&net, (size_t)round * 5, KAD_OP_PUT, key, strlen(key), S("value")),
                         QUDAG_OK);
        net_run(&net, net.now + 5 * NS_PER_S);
        n = true_order(&net, key, order);
        assert_int_equal(n, N);
        for (size_t i = 0; i < n; i++) {
            bool held = kad_record_local(net.node[order[i]].kad,
                                         (struct slice){(uint8_t *)key, strlen(key)}, net.now, &v);
            assert_int_equal(held, i < KAD_K);
        }
    }
    net_fini(&net);
}

static void half_of_the_nodes_may_die_and_values_are_still_read(void **state)
{
    (void)state;
    struct net net;
    char key[24];

    net_joined(&net, N, 0);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(key, sizeof(key), "/v/key%d", i);
        assert_int_equal(net_ask(&net, 1, KAD_OP_PUT, key, strlen(key), S("value")), QUDAG_OK);
    }
    net_run(&net, net.now + 5 * NS_PER_S);
    for (size_t i = 0; i < N; i += 2) {
        net.node[i].dead = true;
    }
    for (int i = 0; i < 20; i++) {
        (void)snprintf(key, sizeof(key), "/v/key%d", i);
        size_t reader = 1 + 2 * (size_t)i;
        assert_int_equal(net_ask(&net, reader, KAD_OP_GET, key, strlen(key), none), QUDAG_OK);
        assert_int_equal(net.done.value_len, 5);
    }
    assert_int_equal(net.overflows, 0);
    net_fini(&net);
}

static void lookups_end_and_find_the_living_when_half_are_silent(void **state)
{
    (void)state;
    struct net net;
    size_t order[N];

    net_joined(&net, N, 0);
    for (size_t i = 1; i < N; i += 2) {
        net.node[i].dead = true;
    }
    assert_int_equal(net_ask(&net, 0, KAD_OP_FIND, "some key", 8, none), QUDAG_OK);
    assert_true(net.done.took < 15 * NS_PER_S);
    assert_int_equal(net.done.n_peers, KAD_K);
    size_t n = true_order(&net, "some key", order), right = 0;
    assert_int_equal(n, N / 2);
    for (size_t i = 0; i < KAD_K + 1; i++) {
        for (size_t at = 0; order[i] != 0 && at < KAD_K; at++) {
            right += peer_id_eq(&net.done.peer[at], &net.node[order[i]].id);
        }
    }
    assert_true(right >= KAD_K - 2); /* the silent are waited for no longer than others take */
    /* The silent ones that were met have left the table: the next lookup is quick. */
    assert_int_equal(net_ask(&net, 0, KAD_OP_FIND, "some key", 8, none), QUDAG_OK);
    assert_int_equal(net_ask(&net, 0, KAD_OP_FIND, "some key", 8, none), QUDAG_OK);
    assert_true(net.done.took < 5 * NS_PER_S);
    net_fini(&net);
}

static void bootstrap_is_unreachable_when_nobody_answers(void **state)
{
    (void)state;
    struct net net;

    net_init(&net, 3, 0);
    assert_int_equal(net_ask(&net, 0, KAD_OP_BOOTSTRAP, NULL, 0, none), QUDAG_EUNREACHABLE);
    net.node[1].dead = true;
    net.node[2].refuses = true;
    net_introduce(&net, 0, 1);
    net_introduce(&net, 0, 2);
    assert_int_equal(net_ask(&net, 0, KAD_OP_BOOTSTRAP, NULL, 0, none), QUDAG_EUNREACHABLE);
    assert_true(net.done.took < 10 * NS_PER_S);
    assert_int_equal(net.done.failures, 2);
    /* It comes back by itself: backoff, then joined. */
    net.node[2].refuses = false;
    net_run(&net, net.now + 300 * NS_PER_S);
    struct kad_stats s;
    kad_stats_get(net.node[0].kad, &s);
    assert_int_equal(s.table, 1);
    net_fini(&net);
}

static void absent_is_told_apart_from_unreachable(void **state)
{
    (void)state;
    struct net net;

    net_joined(&net, 30, 0);
    assert_int_equal(net_ask(&net, 3, KAD_OP_GET, "/v/none", 7, none), QUDAG_ENOTFOUND);
    assert_int_equal(net_ask(&net, 3, KAD_OP_PROVIDERS, "none", 4, none), QUDAG_ENOTFOUND);
    assert_int_equal(net_ask(&net, 3, KAD_OP_FIND_PEER, "none", 4, none), QUDAG_ENOTFOUND);
    for (size_t i = 0; i < 30; i++) {
        net.node[i].dead = i != 3;
    }
    assert_int_equal(net_ask(&net, 3, KAD_OP_GET, "/v/none", 7, none), QUDAG_EUNREACHABLE);
    assert_int_equal(net_ask(&net, 3, KAD_OP_FIND, "x", 1, none), QUDAG_EUNREACHABLE);
    assert_int_equal(net_ask(&net, 3, KAD_OP_PUT, "/v/x", 4, S("v")), QUDAG_EUNREACHABLE);
    net_fini(&net);
}

/* ---- misbehaving peers ---- */

static void say(struct net *net, size_t node, struct ref strm, const struct kad_msg *m)
{
    static uint8_t buf[KAD_MSG_MAX + 8];
    size_t len = 0;

    assert_int_equal(kad_msg_encode(buf, KAD_MSG_MAX, &len, m), QUDAG_OK);
    net_send(net, node, strm, EV_DATA, (struct slice){buf, len});
}

static enum kad_type asked(struct slice data, struct kad_msg *m)
{
    static struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX];
    size_t dropped, skip = data.base[0] & 0x80 ? 2 : 1;

    *m = (struct kad_msg){.closer = closer, .providers = providers};
    assert_int_equal(kad_msg_decode(m, &dropped, (struct slice){data.base + skip, data.len - skip}),
                     QUDAG_OK);
    return m->type;
}

static void misbehave_garbage(struct net *net, size_t node, struct ref strm, struct slice data)
{
    (void)data;
    net_send(net, node, strm, EV_DATA, S("\x09garbage!!"));
}

static void misbehave_endless(struct net *net, size_t node, struct ref strm, struct slice data)
{
    (void)data;
    net_send(net, node, strm, EV_DATA, S("\xff\xff\xff\xff\xff"));
}

static void misbehave_reset(struct net *net, size_t node, struct ref strm, struct slice data)
{
    (void)data;
    net_send(net, node, strm, EV_RESET, none);
}

static void misbehave_fin(struct net *net, size_t node, struct ref strm, struct slice data)
{
    (void)data;
    net_send(net, node, strm, EV_FIN, none);
}

static void misbehave_type(struct net *net, size_t node, struct ref strm, struct slice data)
{
    (void)data;
    struct kad_msg m = {.type = KAD_PING};
    say(net, node, strm, &m);
}

/* Forty peers that do not exist, as close to the key as can be found cheaply. */
static void misbehave_crowd(struct net *net, size_t node, struct ref strm, struct slice data)
{
    struct kad_msg req, m = {0};
    struct kad_peer_info *v = calloc(KAD_PEERS_MAX, sizeof(*v));
    uint8_t pk[32] = {0xee, (uint8_t)node};

    m.type = asked(data, &req);
    m.key = req.key;
    for (size_t i = 0; i < KAD_PEERS_MAX; i++) {
        pk[2] = (uint8_t)i;
        pk[3] = (uint8_t)(strm.slot);
        pk[4] = (uint8_t)(strm.slot >> 8);
        peer_id_from_ed25519(&v[i].id, pk);
        v[i].n_addrs = 1;
        v[i].addr[0] = net->node[i % net->n].addr;
    }
    m.closer = v;
    m.n_closer = KAD_PEERS_MAX;
    say(net, node, strm, &m);
    free(v);
}

/* Only the asker and itself. */
static void misbehave_mirror(struct net *net, size_t node, struct ref strm, struct slice data)
{
    struct kad_msg req, m = {0};
    struct kad_peer_info v[2] = {{.n_addrs = 1}, {.n_addrs = 1}};
    size_t asker = net->strm[strm.slot].opener;

    m.type = asked(data, &req);
    m.key = req.key;
    v[0].id = net->node[asker].id;
    v[0].addr[0] = net->node[asker].addr;
    v[1].id = net->node[node].id;
    v[1].addr[0] = net->node[node].addr;
    m.closer = v;
    m.n_closer = 2;
    say(net, node, strm, &m);
}

static void misbehave_forged(struct net *net, size_t node, struct ref strm, struct slice data)
{
    struct kad_msg req, m = {0};

    m.type = asked(data, &req);
    m.key = req.key;
    m.has_record = true;
    m.rec_key = req.key;
    m.rec_value = S("!forged");
    say(net, node, strm, &m);
}

static void misbehave_other_key(struct net *net, size_t node, struct ref strm, struct slice data)
{
    struct kad_msg req, m = {0};

    m.type = asked(data, &req);
    m.key = req.key;
    m.has_record = true;
    m.rec_key = S("/v/other");
    m.rec_value = S("another key's value");
    say(net, node, strm, &m);
}

static void a_third_of_misbehaving_peers_does_not_hide_a_value(void **state)
{
    (void)state;
    static void (*const misbehaviours[])(struct net *, size_t, struct ref, struct slice) = {
        misbehave_garbage, misbehave_endless, misbehave_reset,  misbehave_fin,       misbehave_type,
        misbehave_crowd,   misbehave_mirror,  misbehave_forged, misbehave_other_key,
    };

    for (size_t l = 0; l < ARRAY_LEN(misbehaviours); l++) {
        struct net net;
        net_joined(&net, N, 0);
        assert_int_equal(net_ask(&net, 0, KAD_OP_PUT, "/v/a", 4, S("true")), QUDAG_OK);
        for (size_t i = 1; i < N; i += 3) {
            net.node[i].misbehave = misbehaviours[l];
        }
        for (size_t reader = 2; reader < N; reader += 9) {
            assert_int_equal(net_ask(&net, reader, KAD_OP_GET, "/v/a", 4, none), QUDAG_OK);
            assert_memory_equal(net.done.value, "true", 4);
            assert_int_equal(net_ask(&net, reader, KAD_OP_FIND, "k", 1, none), QUDAG_OK);
            assert_true(net.done.took <= KAD_REQUEST_TIMEOUT);
        }
        assert_int_equal(net.overflows, 0);
        net_fini(&net);
    }
}

static void a_lookup_among_misbehaving_peers_only_still_ends_with_one_report(void **state)
{
    (void)state;
    static void (*const misbehaviours[])(struct net *, size_t, struct ref, struct slice) = {
        misbehave_garbage, misbehave_endless, misbehave_type,      misbehave_crowd,
        misbehave_mirror,  misbehave_forged,  misbehave_other_key,
    };
    for (size_t l = 0; l < ARRAY_LEN(misbehaviours); l++) {
        struct net net;
        net_joined(&net, 20, 0);
        for (size_t i = 1; i < 20; i++) {
            net.node[i].misbehave = misbehaviours[l];
        }
        qudag_err err = net_ask(&net, 0, KAD_OP_GET, "/v/b", 4, none);
        assert_true(err == QUDAG_ENOTFOUND || err == QUDAG_EUNREACHABLE || err == QUDAG_ETIMEOUT);
        assert_true(net.done.took <= KAD_REQUEST_TIMEOUT);
        net_run(&net, net.now + 100 * NS_PER_S);
        assert_int_equal(net.done.times, 1);
        net_fini(&net);
    }
}

/* ---- values ---- */

static void newest_mutable_value_wins_and_older_copies_are_corrected(void **state)
{
    (void)state;
    struct net net;
    size_t order[N], n;
    struct slice v;

    net_joined(&net, N, 0);
    assert_int_equal(net_ask(&net, 0, KAD_OP_PUT, "/m/a", 4, S("1 old")), QUDAG_OK);
    net_run(&net, net.now + 5 * NS_PER_S);
    n = true_order(&net, "/m/a", order);
    /* Six of the holders miss the update, among them two of the three asked first. */
    for (size_t i = 0; i < 6; i++) {
        net.node[order[2 * i]].dead = true;
    }
    assert_int_equal(net_ask(&net, 1, KAD_OP_PUT, "/m/a", 4, S("2 new")), QUDAG_OK);
    net_run(&net, net.now + 5 * NS_PER_S);
    for (size_t i = 0; i < 6; i++) {
        net.node[order[2 * i]].dead = false;
    }
    for (size_t r = 0; r < n; r += 3) {
        assert_int_equal(net_ask(&net, order[n - 1 - r], KAD_OP_GET, "/m/a", 4, none), QUDAG_OK);
        assert_memory_equal(net.done.value, "2 new", 5);
        assert_true(net.done.n_peers >= 1);
    }
    net_run(&net, net.now + 5 * NS_PER_S);
    size_t newer = 0;
    for (size_t i = 0; i < 6; i++) {
        if (kad_record_local(net.node[order[2 * i]].kad, S("/m/a"), net.now, &v) &&
            v.base[0] == '2') {
            newer++;
        }
    }
    assert_true(newer >= 3);
    /* An older value is not taken back, and its author learns that. */
    qudag_err err = net_ask(&net, 2, KAD_OP_PUT, "/m/a", 4, S("1 old"));
    assert_int_equal(err, QUDAG_EUNREACHABLE);
    assert_int_equal(net_ask(&net, 7, KAD_OP_GET, "/m/a", 4, none), QUDAG_OK);
    assert_memory_equal(net.done.value, "2 new", 5);
    net_fini(&net);
}

static void expired_values_are_never_handed_out(void **state)
{
    (void)state;
    struct net net;
    struct kad_stats s;

    net_joined(&net, 12, 0);
    assert_int_equal(net_ask(&net, 0, KAD_OP_PUT, "/v/a", 4, S("~short")), QUDAG_OK);
    assert_int_equal(net_ask(&net, 0, KAD_OP_PUT, "/v/b", 4, S("long")), QUDAG_OK);
    net_run(&net, net.now + 99 * NS_PER_S);
    assert_int_equal(net_ask(&net, 5, KAD_OP_GET, "/v/a", 4, none), QUDAG_OK);
    net_run(&net, net.now + 110 * NS_PER_S);
    assert_int_equal(net_ask(&net, 9, KAD_OP_GET, "/v/a", 4, none), QUDAG_ENOTFOUND);
    assert_int_equal(net_ask(&net, 9, KAD_OP_GET, "/v/b", 4, none), QUDAG_OK);
    net_run(&net, net.now + (tstamp)KAD_RECORD_LIFE * NS_PER_S + 120 * NS_PER_S);
    assert_int_equal(net_ask(&net, 9, KAD_OP_GET, "/v/b", 4, none), QUDAG_ENOTFOUND);
    for (size_t i = 0; i < 12; i++) {
        kad_stats_get(net.node[i].kad, &s);
        assert_int_equal(s.records, 0); /* swept, too */
    }
    net_fini(&net);
}

static void values_are_republished_until_withdrawn(void **state)
{
    (void)state;
    static const struct kad_options again = {.republish = true};
    struct net net;

    net_joined(&net, 12, 0);
    struct acts out = net_acts(&net);
    uint64_t c = net_cookie();
    assert_int_equal(kad_put(net.node[0].kad, c,
                             &(struct kad_put_args){S("/v/a"), S("kept"), &again}, net.now, &out),
                     QUDAG_OK);
    net_apply(&net, 0, &out);
    assert_true(net_wait(&net, c));
    net_run(&net, net.now + 40 * 3600 * NS_PER_S); /* past its 24 h life */
    assert_int_equal(net_ask(&net, 9, KAD_OP_GET, "/v/a", 4, none), QUDAG_OK);
    kad_unpublish(net.node[0].kad, S("/v/a"));
    net_run(&net, net.now + 30 * 3600 * NS_PER_S);
    assert_int_equal(net_ask(&net, 9, KAD_OP_GET, "/v/a", 4, none), QUDAG_ENOTFOUND);
    net_fini(&net);
}

static void providers_are_found_and_have_addresses(void **state)
{
    (void)state;
    struct net net;

    net_joined(&net, N, 2);
    assert_int_equal(net_ask(&net, 3, KAD_OP_PROVIDE, "\x12\x20topic", 7, none), QUDAG_OK);
    assert_true(net.done.n_peers >= 15);
    assert_int_equal(net_ask(&net, N - 1, KAD_OP_PROVIDE, "\x12\x20topic", 7, none), QUDAG_OK);
    assert_int_equal(net_ask(&net, 40, KAD_OP_PROVIDERS, "\x12\x20topic", 7, none), QUDAG_OK);
    assert_int_equal(net.done.n_peers, 2);
    bool both = (peer_id_eq(&net.done.peer[0], &net.node[3].id) &&
                 peer_id_eq(&net.done.peer[1], &net.node[N - 1].id)) ||
                (peer_id_eq(&net.done.peer[1], &net.node[3].id) &&
                 peer_id_eq(&net.done.peer[0], &net.node[N - 1].id));
    assert_true(both);
    kad_set_addrs(net.node[4].kad, NULL, 0);
    assert_int_equal(net_ask(&net, 4, KAD_OP_PROVIDE, "t", 1, none), QUDAG_EINVAL);
    net_fini(&net);
}

static void a_peer_is_found_with_its_address(void **state)
{
    (void)state;
    struct net net;

    net_joined(&net, N, 0);
    for (size_t i = 1; i < N; i += 7) {
        const struct peer_id *id = &net.node[i].id;
        size_t from = (i + 31) % N;
        kad_drop_peer(net.node[from].kad, id);
        assert_int_equal(net_ask(&net, from, KAD_OP_FIND_PEER, id->b, id->len, none), QUDAG_OK);
        assert_int_equal(net.done.n_peers, 1);
        assert_true(peer_id_eq(&net.done.peer[0], id));
    }
    net_fini(&net);
}

static void clients_use_the_network_but_are_no_part_of_it(void **state)
{
    (void)state;
    struct net net;
    struct kad_peer_info info;

    net_joined(&net, 40, 10);
    assert_int_equal(net_ask(&net, 39, KAD_OP_PUT, "/v/a", 4, S("by client")), QUDAG_OK);
    assert_int_equal(net_ask(&net, 38, KAD_OP_GET, "/v/a", 4, none), QUDAG_OK);
    assert_int_equal(net.done.value_len, 9);
    for (size_t i = 0; i < 40; i++) {
        for (size_t it = 0; kad_table_next(net.node[i].kad, &it, &info);) {
            size_t p = net_by_id(&net, &info.id);
            assert_true(p < 30);
            assert_true(p != i);
        }
    }
    struct kad_stats s;
    kad_stats_get(net.node[39].kad, &s);
    assert_int_equal(s.records, 0);
    net_fini(&net);
}

static void invalid_requests_are_refused_at_once(void **state)
{
    (void)state;
    struct net net;
    static uint8_t big[KAD_VALUE_MAX + 1], key[KAD_KEY_MAX + 1];
    static const struct {
        enum kad_op op;
        const char *key;
        size_t len;
        size_t value;
        qudag_err err;
    } cases[] = {
        {KAD_OP_GET, "/x/unknown namespace", 20, 0, QUDAG_EINVAL},
        {KAD_OP_GET, "no slash", 8, 0, QUDAG_EINVAL},
        {KAD_OP_GET, "/v/", 3, 0, QUDAG_EINVAL},
        {KAD_OP_GET, "", 0, 0, QUDAG_EINVAL},
        {KAD_OP_FIND, "", 0, 0, QUDAG_EINVAL},
        {KAD_OP_FIND, NULL, KAD_KEY_MAX + 1, 0, QUDAG_EINVAL},
        {KAD_OP_PUT, NULL, KAD_KEY_MAX + 1, 1, QUDAG_EINVAL},
        {KAD_OP_PUT, "/v/a", 4, KAD_VALUE_MAX + 1, QUDAG_EINVAL},
        {KAD_OP_PUT, "/x/a", 4, 1, QUDAG_EINVAL},
        {KAD_OP_PUT, "/v/a", 4, 0, QUDAG_EAUTH}, /* what its validator says */
        {KAD_OP_PROVIDE, "", 0, 0, QUDAG_EINVAL},
    };

    net_init(&net, 1, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(net_ask(&net, 0, cases[i].op,
                                 cases[i].key == NULL ? key : (const uint8_t *)cases[i].key,
                                 cases[i].len, (struct slice){big, cases[i].value}),
                         cases[i].err);
    }
    net_fini(&net);
}

static void many_requests_at_once_stay_within_the_action_list(void **state)
{
    (void)state;
    struct net net;
    static uint8_t value[KAD_VALUE_MAX];
    char key[24];
    uint64_t first = 0;

    memset(value, 'v', sizeof(value));
    net_joined(&net, N, 0);
    for (int i = 0; i < 65; i++) {
        struct acts out = net_acts(&net);
        uint64_t c = net_cookie();
        first = i == 0 ? c : first;
        (void)snprintf(key, sizeof(key), "/v/key%d", i);
        qudag_err err = kad_put(net.node[0].kad, c,
                                &(struct kad_put_args){(struct slice){(uint8_t *)key, strlen(key)},
                                                       (struct slice){value, sizeof(value)}, NULL},
                                net.now, &out);
        assert_int_equal(err, i < 64 ? QUDAG_OK : QUDAG_ELIMIT);
        net_apply(&net, 0, &out);
    }
    struct kad_stats s;
    kad_stats_get(net.node[0].kad, &s);
    assert_int_equal(s.requests, 64);
    /* A pause of the host: all timers are due in one tick. */
    net.now += 61 * NS_PER_S;
    struct acts out = net_acts(&net);
    for (int i = 0; i < 200 && s.requests > 0; i++) {
        out = net_acts(&net);
        kad_ops.tick(net.node[0].kad, net.now, &out);
        net_apply(&net, 0, &out);
        kad_stats_get(net.node[0].kad, &s);
    }
    assert_int_equal(s.requests, 0);
    net_run(&net, net.now + 30 * NS_PER_S);
    assert_int_equal(net.overflows, 0);
    net_fini(&net);
}

static void canceled_requests_report_once_and_leave_nothing(void **state)
{
    (void)state;
    struct net net;

    net_joined(&net, 30, 0);
    for (unsigned delay = 0; delay < 12; delay++) {
        struct acts out = net_acts(&net);
        uint64_t c = net_cookie();
        assert_int_equal(kad_put(net.node[2].kad, c,
                                 &(struct kad_put_args){S("/v/a"), S("v"), NULL}, net.now, &out),
                         QUDAG_OK);
        net_apply(&net, 2, &out);
        net_run(&net, net.now + delay * 25 * NS_PER_MS);
        bool already = net.done.cookie == c;
        out = net_acts(&net);
        kad_cancel(net.node[2].kad, c, &out);
        net_apply(&net, 2, &out);
        assert_int_equal(net.done.cookie, c);
        if (!already) {
            assert_int_equal(net.done.err, QUDAG_ECANCELED);
        }
        net_run(&net, net.now + 20 * NS_PER_S);
        assert_int_equal(net.done.times, 1);
        struct kad_stats s;
        kad_stats_get(net.node[2].kad, &s);
        assert_int_equal(s.requests, 0);
    }
    net_fini(&net);
}

static void a_crowd_from_one_network_cannot_fill_a_table(void **state)
{
    (void)state;
    struct net net;
    struct kad_stats s;

    net_init(&net, 60, 0);
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 0}, .port = 1};
    for (size_t i = 1; i < 60; i++) {
        a.ip[3] = (uint8_t)i;
        multiaddr_quic(&net.node[i].addr, &a, NULL);
        net_introduce(&net, 0, i);
        net_run(&net, net.now + NS_PER_S);
    }
    kad_stats_get(net.node[0].kad, &s);
    assert_true(s.table >= 2 && s.table <= 10);
    net_fini(&net);
}

static void memory_of_a_node_stays_within_its_budget(void **state)
{
    (void)state;
    struct net net;

    net_joined(&net, 200, 0);
    net_run(&net, net.now + 30 * NS_PER_S);
    size_t each = net.mem.used / 200;
    print_message("%zu bytes of a node among 200 at rest\n", each);
    assert_true(each < 48 * 1024);
    net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_put_by_one_is_read_by_another_after_the_first_is_gone),
        cmocka_unit_test(value_is_held_by_exactly_the_k_closest_by_true_order),
        cmocka_unit_test(half_of_the_nodes_may_die_and_values_are_still_read),
        cmocka_unit_test(lookups_end_and_find_the_living_when_half_are_silent),
        cmocka_unit_test(bootstrap_is_unreachable_when_nobody_answers),
        cmocka_unit_test(absent_is_told_apart_from_unreachable),
        cmocka_unit_test(a_third_of_misbehaving_peers_does_not_hide_a_value),
        cmocka_unit_test(a_lookup_among_misbehaving_peers_only_still_ends_with_one_report),
        cmocka_unit_test(newest_mutable_value_wins_and_older_copies_are_corrected),
        cmocka_unit_test(expired_values_are_never_handed_out),
        cmocka_unit_test(values_are_republished_until_withdrawn),
        cmocka_unit_test(providers_are_found_and_have_addresses),
        cmocka_unit_test(a_peer_is_found_with_its_address),
        cmocka_unit_test(clients_use_the_network_but_are_no_part_of_it),
        cmocka_unit_test(invalid_requests_are_refused_at_once),
        cmocka_unit_test(many_requests_at_once_stay_within_the_action_list),
        cmocka_unit_test(canceled_requests_report_once_and_leave_nothing),
        cmocka_unit_test(a_crowd_from_one_network_cannot_fill_a_table),
        cmocka_unit_test(memory_of_a_node_stays_within_its_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
