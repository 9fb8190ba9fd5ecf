/*
 * sizes_test.c - structures of programs that were compiled against an older or a newer header, the table of
 * limits, and multiaddrs as programs write them.
 *
 * TEST: timeout=120
 */
#include "net.h"

#include <setjmp.h>
#include <stdarg.h>

static qudag_identity *id;

static int setup(void **state)
{
    (void)state;
    return qudag_identity_generate(&id) == QUDAG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    qudag_identity_free(id);
    return net_stop_all(state);
}

static qudag_settings settings(void)
{
    static const char *const loopback[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    qudag_settings s;

    QUDAG_SETTINGS_INIT(&s);
    s.identity = id;
    s.listen = loopback;
    s.listen_n = 1;
    s.lab = true;
    return s;
}

/* A copy in memory of exactly |len| bytes, so that the sanitizers see an access behind it. */
static void *copy_of(const void *p, size_t have, size_t len)
{
    uint8_t *out = calloc(1, len);

    assert_non_null(out);
    memcpy(out, p, have < len ? have : len);
    memcpy(out, &(uint32_t){(uint32_t)len}, sizeof(uint32_t));
    return out;
}

/* ---- settings */

static qudag_err check_as(size_t len, size_t set, char why[200])
{
    qudag_settings s = settings();
    uint8_t *other = copy_of(&s, sizeof(s), len);

    if (set != 0) {
        other[set] = 1;
    }
    qudag_err err = qudag_node_check((const qudag_settings *)(const void *)other, why, 200);
    free(other);
    return err;
}

static void settings_of_an_older_program_have_defaults_for_the_rest(void **state)
{
    char why[200];
    (void)state;

    /* all that a program must set comes first */
    for (size_t len = offsetof(qudag_settings, bootstrap); len < sizeof(qudag_settings); len += 8) {
        if (len == offsetof(qudag_settings, listen_n) ||
            len == offsetof(qudag_settings, bootstrap_n) ||
            len == offsetof(qudag_settings, open_namespaces_n)) {
            continue; /* no version ended between a list and its length */
        }
        assert_int_equal(check_as(len, 0, why), QUDAG_OK);
    }
    assert_int_equal(check_as(8, 0, why), QUDAG_EINVAL);
    assert_non_null(strstr(why, "identity"));
}

static void settings_of_a_newer_program_are_refused_only_if_it_uses_what_is_new(void **state)
{
    char why[200];
    (void)state;

    assert_int_equal(check_as(sizeof(qudag_settings) + 40, 0, why), QUDAG_OK);
    assert_int_equal(check_as(sizeof(qudag_settings) + 40, sizeof(qudag_settings), why),
                     QUDAG_EUNSUPPORTED);
    assert_non_null(strstr(why, "does not know"));
    assert_int_equal(check_as(sizeof(qudag_settings) + 40, sizeof(qudag_settings) + 39, why),
                     QUDAG_EUNSUPPORTED);
    qudag_settings s = settings();
    qudag_node *n;
    uint8_t *big = copy_of(&s, sizeof(s), sizeof(s) + 8);
    big[sizeof(s)] = 1;
    assert_int_equal(qudag_node_new(&n, (const qudag_settings *)(const void *)big, NULL, NULL),
                     QUDAG_EUNSUPPORTED);
    big[sizeof(s)] = 0;
    assert_int_equal(qudag_node_new(&n, (const qudag_settings *)(const void *)big, NULL, NULL),
                     QUDAG_OK);
    qudag_node_free(n);
    free(big);
}

static void sizes_that_were_not_set_and_padding_that_was_are_refused(void **state)
{
    static const uint32_t bad[] = {0,
                                   1,
                                   4,
                                   7,
                                   sizeof(qudag_settings) - 1,
                                   sizeof(qudag_settings) + 1,
                                   4100,
                                   UINT32_MAX - 3,
                                   UINT32_MAX};
    char why[200];
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        qudag_settings s = settings();
        s.size = bad[i];
        assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
        assert_true(strncmp(why, "size", 4) == 0);
    }
    qudag_settings padded = settings();
    padded.pad = 1;
    assert_int_equal(qudag_node_check(&padded, why, sizeof(why)), QUDAG_EINVAL);
    assert_true(strncmp(why, "pad", 3) == 0);
    qudag_settings s = settings();
    s.padding = (qudag_padding)(QUDAG_PADDING_NO + 1);
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    assert_true(strncmp(why, "padding", 7) == 0);
    s = settings();
    s.reachable = (qudag_reachable)(QUDAG_REACHABLE_NO + 1);
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    assert_true(strncmp(why, "reachable", 9) == 0);
    s = settings();
    s.circuit_relay = (qudag_serve)(QUDAG_SERVE_AUTO + 1);
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    assert_true(strncmp(why, "circuit_relay", 13) == 0);
    s = settings();
    s.find_relays = (qudag_find_relays)(QUDAG_FIND_RELAYS_NO + 1);
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    assert_true(strncmp(why, "find_relays", 11) == 0);
}

/* ---- callbacks, options, rules */

static unsigned dones;

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *r, void *user)
{
    (void)n;
    (void)op;
    (void)err;
    (void)user;
    assert_int_equal(r->size, sizeof(*r));
    dones++;
}

/* How many op_done a node with these callbacks makes of one request. */
static unsigned dones_with(const void *cb, size_t have, size_t len, size_t set, qudag_err want)
{
    qudag_settings s = settings();
    uint8_t *other = copy_of(cb, have, len);
    qudag_node *n;
    qudag_op op;

    if (set != 0) {
        other[set] = 1;
    }
    dones = 0;
    assert_int_equal(qudag_node_new(&n, &s, (const qudag_callbacks *)(const void *)other, NULL),
                     want);
    free(other); /* was copied */
    if (want == QUDAG_OK) {
        assert_int_equal(qudag_node_start(n), QUDAG_OK);
        assert_int_equal(qudag_dht_get(n, net_text("/app/x"), &op), QUDAG_OK);
        for (int i = 0; i < 5 && dones == 0; i++) {
            assert_int_equal(qudag_node_step(n, 0), QUDAG_OK);
        }
        qudag_node_free(n);
    }
    return dones;
}

static void callbacks_of_other_versions_are_absent_or_refused(void **state)
{
    const qudag_callbacks cb = {.size = sizeof(cb), .op_done = on_done};
    const size_t size = sizeof(cb);
    (void)state;

    assert_int_equal(dones_with(&cb, size, size, 0, QUDAG_OK), 1);
    assert_int_equal(dones_with(&cb, size, offsetof(qudag_callbacks, phase), 0, QUDAG_OK), 1);
    assert_int_equal(dones_with(&cb, size, offsetof(qudag_callbacks, op_done), 0, QUDAG_OK), 0);
    assert_int_equal(dones_with(&cb, size, size + 16, 0, QUDAG_OK), 1);
    (void)dones_with(&cb, size, size + 16, size + 9, QUDAG_EUNSUPPORTED);
    (void)dones_with(&cb, size, size, offsetof(qudag_callbacks, pad), QUDAG_EINVAL);
    (void)dones_with(&cb, size, size, 3, QUDAG_EINVAL); /* a size of 16 MiB */
}

static qudag_err get_with(qudag_node *n, const qudag_dht_options *o, size_t len, size_t set)
{
    uint8_t *other = copy_of(o, sizeof(*o), len);
    qudag_op op;

    if (set != 0) {
        other[set] = 1;
    }
    qudag_err err = qudag_dht_get_with(n, net_text("/app/x"),
                                       (const qudag_dht_options *)(const void *)other, &op);
    assert_int_equal(qudag_dht_put_with(n, net_text("/app/x"), net_text("x"),
                                        (const qudag_dht_options *)(const void *)other, &op),
                     err);
    free(other);
    return err;
}

static qudag_err take_all(void *user, qudag_slice key, qudag_slice value, int64_t now,
                          int64_t *expires)
{
    (void)user;
    (void)key;
    (void)value;
    (void)now;
    (void)expires;
    return QUDAG_OK;
}

static void options_and_rules_of_other_versions(void **state)
{
    const qudag_dht_options o = {.size = sizeof(o), .read = QUDAG_READ_FIRST};
    const size_t size = sizeof(o);
    (void)state;

    net_start(0, &(struct net_options){.waiting = true});
    qudag_node *n = net[0].node;
    assert_int_equal(get_with(n, &o, size, 0), QUDAG_OK);
    assert_int_equal(get_with(n, &o, 8, 0), QUDAG_OK);
    assert_int_equal(get_with(n, &o, size + 8, 0), QUDAG_OK);
    assert_int_equal(get_with(n, &o, size + 8, size + 7), QUDAG_EUNSUPPORTED);
    assert_int_equal(get_with(n, &o, size, offsetof(qudag_dht_options, pad) + 1), QUDAG_EINVAL);
    assert_int_equal(get_with(n, &o, size - 3, 0), QUDAG_EINVAL);
    const qudag_dht_options wild = {.size = sizeof(wild), .read = QUDAG_READ_PATHS + 1};
    assert_int_equal(get_with(n, &wild, size, 0), QUDAG_EINVAL);

    qudag_dht_rules r = {.size = sizeof(r), .value_max = 10, .ns = "r0", .check = take_all};
    static const struct {
        int more;
        int set;
        qudag_err want;
    } rules[] = {
        {0, 0, QUDAG_OK},  {-8, 0, QUDAG_OK}, /* without read and quorum */
        {16, 0, QUDAG_OK}, {16, 9, QUDAG_EUNSUPPORTED}, {-2, 0, QUDAG_EINVAL},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        char ns[] = "r0";
        ns[1] = (char)('0' + i);
        r.ns = ns;
        size_t len = (size_t)((int)sizeof(r) + rules[i].more);
        uint8_t *other = copy_of(&r, sizeof(r), len);
        if (rules[i].set != 0) {
            other[sizeof(r) + (size_t)rules[i].set] = 1;
        }
        assert_int_equal(qudag_dht_namespace(n, (const qudag_dht_rules *)(const void *)other),
                         rules[i].want);
        free(other);
    }
    (void)net_stop_all(NULL);
}

/* ---- what the library fills */

/* Calls |next| with a structure of |len| bytes; what lies behind the library's must stay. */
#define FILLED(type, call)                                                                         \
    do {                                                                                           \
        static const size_t lens[] = {8, 16, sizeof(type), sizeof(type) + 24};                     \
        for (size_t k = 0; k < 4; k++) {                                                           \
            size_t it = 0;                                                                         \
            type full = QUDAG_INIT(type), *out = &full;                                            \
            assert_true(call);                                                                     \
            uint8_t *other = copy_of(&full, 0, lens[k]);                                           \
            memset(other + 4, 0x5a, lens[k] - 4);                                                  \
            it = 0;                                                                                \
            out = (type *)(void *)other;                                                           \
            assert_true(call);                                                                     \
            size_t ours = lens[k] < sizeof(type) ? lens[k] : sizeof(type);                         \
            assert_int_equal(out->size, lens[k]);                                                  \
            assert_memory_equal(other + 4, (const uint8_t *)&full + 4, 4);                         \
            for (size_t b = ours; b < lens[k]; b++) {                                              \
                assert_int_equal(other[b], 0x5a);                                                  \
            }                                                                                      \
            it = 0;                                                                                \
            out->size = 0;                                                                         \
            assert_false(call);                                                                    \
            free(other);                                                                           \
        }                                                                                          \
    } while (0)

static void structures_are_filled_up_to_the_size_of_the_program(void **state)
{
    char addr[QUDAG_DARK_TEXT_MAX];
    (void)state;

    net_grow(5, &(struct net_options){.name_space = NULL});
    qudag_node *n = net[1].node;
    assert_int_equal(qudag_dark_create(n, "label", addr), QUDAG_OK);
    net_ask(&net[1], qudag_dht_put(n, net_text("/app/k"), net_text("v"), &net[1].last));
    net_ask(&net[1], qudag_circuit_build(n, 2, &net[1].last));
    assert_int_equal(net[1].err, QUDAG_OK);
    FILLED(qudag_link_info, qudag_link_next(n, &it, out));
    FILLED(qudag_circuit_info, qudag_circuit_next(n, &it, out));
    FILLED(qudag_dark_info, qudag_dark_next(n, &it, out));
    FILLED(qudag_dht_publication, qudag_dht_publication_next(n, &it, out));
    FILLED(qudag_limit, qudag_limit_next(&it, out));
    FILLED(qudag_stat, qudag_node_stat_next(n, &it, out));
    FILLED(qudag_histogram, qudag_node_histogram_next(n, &it, out));
    FILLED(qudag_diversity, it == 0 && qudag_node_diversity(n, out));
    FILLED(qudag_anonymity, it == 0 && qudag_node_anonymity(n, out));
    qudag_anonymity a = QUDAG_INIT(qudag_anonymity);
    assert_true(qudag_node_anonymity(n, &a));
    assert_int_equal(a.state, QUDAG_ANONYMITY_LAB);
    assert_int_equal(a.lookups_min, 16);
    assert_true(a.lookups >= a.lookups_min); /* circuits are built */
    assert_false(qudag_node_anonymity(NULL, &a));
    assert_false(qudag_node_anonymity(n, NULL));
    FILLED(qudag_multiaddr,
           qudag_multiaddr_parse(out, net[1].addr, QUDAG_ADDR_DIAL, NULL, it) == QUDAG_OK);
    NET_WAIT(net_holders(net_text("/app/k"), net_text("v")) > 0, NET_SOON);
    for (size_t i = 0; i < 5; i++) {
        size_t at = 0;
        qudag_dht_record r = QUDAG_INIT(qudag_dht_record);
        if (qudag_dht_record_next(net[i].node, &at, &r)) {
            FILLED(qudag_dht_record, qudag_dht_record_next(net[i].node, &it, out));
            break;
        }
    }
    (void)net_stop_all(NULL);
}

/* ---- counters */

static void every_counter_says_what_it_counts(void **state)
{
    static char names[640][48];
    qudag_stat stat = QUDAG_INIT(qudag_stat);
    size_t n = 0;
    (void)state;

    net_start(0, &(struct net_options){.waiting = true});
    for (size_t it = 0; qudag_node_stat_next(net[0].node, &it, &stat); n++) {
        assert_true(n < sizeof(names) / sizeof(names[0]));
        snprintf(names[n], sizeof(names[n]), "%s", stat.name);
        for (size_t i = 0; i < n; i++) {
            assert_string_not_equal(names[i], stat.name);
        }
        assert_true(stat.kind == QUDAG_STAT_COUNTER || stat.kind == QUDAG_STAT_GAUGE);
        assert_true(strlen(stat.help) > 8);
        /* a metric of its own has the name; one that is shared has labels: key="value" */
        const char *equal = strchr(stat.labels, '=');
        assert_int_equal(stat.labels[0] == 0, strcmp(stat.metric, stat.name) == 0 && equal == NULL);
        assert_true(equal == NULL || (equal[1] == '"' && equal[strlen(equal) - 1] == '"'));
        assert_true(strcmp(stat.unit, "") == 0 || strcmp(stat.unit, "bytes") == 0 ||
                    strcmp(stat.unit, "milliseconds") == 0);
    }
    assert_true(n > 70);
    (void)net_stop_all(NULL);
}

static void one_walk_over_the_counters_sees_one_instant(void **state)
{
    qudag_stat stat = QUDAG_INIT(qudag_stat);
    size_t it = 0;
    (void)state;

    net_start(0, &(struct net_options){.waiting = true});
    uint64_t turns = net_stat(&net[0], "loop_turns");
    assert_true(qudag_node_stat_next(net[0].node, &it, &stat));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(qudag_node_step(net[0].node, 0), QUDAG_OK);
    }
    while (strcmp(stat.name, "loop_turns") != 0) {
        assert_true(qudag_node_stat_next(net[0].node, &it, &stat));
    }
    assert_int_equal(stat.value, turns);
    assert_true(net_stat(&net[0], "loop_turns") >= turns + 10);
    (void)net_stop_all(NULL);
}

/* ---- limits and defaults */

static void put(qudag_settings *s, const char *name, uint64_t value)
{
#define XX(field)                                                                                  \
    if (strcmp(name, #field) == 0) {                                                               \
        memcpy(&s->field, &value, sizeof(s->field)); /* little-endian */                           \
    }
    QUDAG_LIMITS(XX)
#undef XX
}

static void every_limit_is_accepted_at_its_ends_and_refused_beyond(void **state)
{
    qudag_limit l = QUDAG_INIT(qudag_limit);
    char why[200];
    size_t it = 0, n = 0;
    (void)state;

    for (; qudag_limit_next(&it, &l); n++) {
        uint64_t unit = strcmp(l.unit, "s") == 0 ? QUDAG_S : 1;
        const struct {
            uint64_t value;
            qudag_err want;
        } tries[] = {{l.min * unit, QUDAG_OK},
                     {l.max * unit, QUDAG_OK},
                     {l.def * unit, QUDAG_OK},
                     {l.min * unit - 1, l.min == 0 ? QUDAG_OK : QUDAG_EINVAL},
                     {l.max * unit + 1, QUDAG_EINVAL}};
        assert_true(l.min <= l.def && l.def <= l.max);
        for (size_t i = 0; i < 5; i++) {
            qudag_settings s = settings();
            if (l.min * unit == 0 && i == 3) {
                continue;
            }
            if (strncmp(l.name, "links_", 6) == 0 &&
                strcmp(l.name, "links_max") != 0) { /* each mark is at most the next */
                s.links_max = QUDAG_LIMIT_MAX(links_max);
                s.links_high = QUDAG_LIMIT_MAX(links_high);
            }
            put(&s, l.name, tries[i].value);
            if (qudag_node_check(&s, why, sizeof(why)) != tries[i].want) {
                fail_msg("%s = %llu: %s", l.name, (unsigned long long)tries[i].value, why);
            }
            if (tries[i].want != QUDAG_OK) {
                assert_memory_equal(why, l.name, strlen(l.name));
                assert_non_null(strstr(why, "is not within"));
            }
        }
        assert_true(strlen(l.help) > 10);
    }
#define XX(field) +1
    assert_int_equal(n, 0 QUDAG_LIMITS(XX));
#undef XX
}

static void marks_of_links_in_the_wrong_order_are_refused(void **state)
{
    char why[200];
    qudag_settings s = settings();
    (void)state;

    s.links_high = s.links_max + 1;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    assert_string_equal(why, "links_high: 1025 is more than links_max, 1024");
    s.links_high = 100;
    s.links_low = 101;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    assert_string_equal(why, "links_low: 101 is more than links_high, 100");
    s.links_high = 0; /* three quarters of links_max */
    s.links_low = 769;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    s.links_low = 768;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_OK);
}

static void a_node_can_be_made_at_both_ends_of_every_limit(void **state)
{
    (void)state;
    for (int high = 0; high < 2; high++) {
        qudag_settings s = settings();
        qudag_limit l = QUDAG_INIT(qudag_limit);
        qudag_node *n;
        for (size_t it = 0; qudag_limit_next(&it, &l);) {
            put(&s, l.name, (high ? l.max : l.min) * (strcmp(l.unit, "s") == 0 ? QUDAG_S : 1));
        }
        assert_int_equal(qudag_node_new(&n, &s, NULL, NULL), QUDAG_OK);
        assert_int_equal(qudag_node_start(n), QUDAG_OK);
        assert_int_equal(qudag_node_step(n, 0), QUDAG_OK);
        qudag_node_free(n);
    }
}

static void texts_of_settings_are_checked(void **state)
{
    char long_text[QUDAG_FAMILY_LEN_MAX + 2];
    char why[200];
    (void)state;

    memset(long_text, 'x', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = 0;
    qudag_settings s = settings();
    s.family = long_text;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    assert_non_null(strstr(why, "family"));
    s.family = long_text + 1;
    s.agent = long_text;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    assert_non_null(strstr(why, "agent"));
    s.agent = "with\nbreak";
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    s.agent = long_text + 1;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_OK);
    s.family = "";
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_OK);
}

static void lists_of_settings_are_limited(void **state)
{
    static const char boot[] =
        "/ip4/9.9.9.9/udp/4001/quic-v1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
    const char *list[QUDAG_LISTEN_MAX + QUDAG_BOOTSTRAP_MAX + 2], *boots[QUDAG_BOOTSTRAP_MAX + 1];
    char why[200];
    (void)state;

    qudag_settings s = settings();
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        list[i] = "/ip4/127.0.0.1/udp/0/quic-v1";
    }
    for (size_t i = 0; i <= QUDAG_BOOTSTRAP_MAX; i++) {
        boots[i] = boot;
    }
    s.listen = list;
    s.bootstrap = boots;
    for (size_t more = 0; more < 2; more++) {
        qudag_err want = more == 0 ? QUDAG_OK : QUDAG_EINVAL;
        s.bootstrap_n = 0;
        s.listen_n = QUDAG_LISTEN_MAX + more;
        assert_int_equal(qudag_node_check(&s, why, sizeof(why)), want);
        s.listen_n = 1;
        s.bootstrap_n = QUDAG_BOOTSTRAP_MAX + more;
        assert_int_equal(qudag_node_check(&s, why, sizeof(why)), want);
    }
}

/* ---- multiaddrs */

/* Names are for dialling; what they lead to is not known yet. */
static void names_are_checked_for_their_use(void **state)
{
    char pid[QUDAG_PEER_ID_TEXT_MAX], text[QUDAG_ADDR_TEXT_MAX];
    qudag_peer_id peer;
    static const struct {
        const char *head;
        bool with_peer;
        qudag_err want[3]; /* dial, listen, bootstrap */
    } cases[] = {
#define OK QUDAG_OK
#define IN QUDAG_EINVAL
#define MA QUDAG_EMALFORMED
#define UN QUDAG_EUNSUPPORTED
        {"/dns4/example.org/udp/1/quic-v1", true, {OK, IN, OK}},
        {"/dns/example.org/udp/1/quic-v1", false, {OK, IN, IN}},
        {"/dns6/example.org/udp/1/quic-v1", true, {OK, IN, OK}},
        {"/dnsaddr/example.org", true, {OK, IN, OK}},
        {"/dnsaddr/example.org", false, {OK, IN, IN}},
        {"/dns4/example.org/udp/0/quic-v1", true, {UN, UN, UN}},
        {"/dns4/example.org", true, {UN, UN, UN}},
        {"/dns4/exa mple.org/udp/1/quic-v1", true, {UN, UN, UN}},
        {"/dns4//udp/1/quic-v1", true, {MA, MA, MA}},
#undef OK
#undef IN
#undef MA
#undef UN
    };
    (void)state;

    qudag_identity_peer_id(id, &peer);
    qudag_peer_id_text(&peer, pid);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "%s%s%s", cases[i].head, cases[i].with_peer ? "/p2p/" : "",
                 cases[i].with_peer ? pid : "");
        for (int use = 0; use < 3; use++) {
            qudag_multiaddr a = QUDAG_INIT(qudag_multiaddr);
            assert_int_equal(qudag_multiaddr_parse(&a, text, (qudag_addr_use)use, NULL, 0),
                             cases[i].want[use]);
            assert_int_equal(a.family, 0);
        }
    }
}

static void multiaddrs_are_checked_for_their_use(void **state)
{
    char pid[QUDAG_PEER_ID_TEXT_MAX], text[QUDAG_ADDR_TEXT_MAX], why[200];
    qudag_peer_id peer;
    qudag_multiaddr a = QUDAG_INIT(qudag_multiaddr);
    (void)state;
    qudag_identity_peer_id(id, &peer);
    qudag_peer_id_text(&peer, pid);
    static const struct {
        const char *head;
        bool with_peer, with_hash;
        qudag_err want[3]; /* dial, listen, bootstrap */
    } cases[] = {
#define OK QUDAG_OK
#define IN QUDAG_EINVAL
#define MA QUDAG_EMALFORMED
#define UN QUDAG_EUNSUPPORTED
        {"/ip4/127.0.0.1/udp/4433/quic-v1", false, false, {OK, OK, IN}},
        {"/ip4/127.0.0.1/udp/4433/quic-v1", true, false, {OK, OK, OK}},
        {"/ip4/127.0.0.1/udp/4433/quic-v1", true, true, {OK, IN, OK}},
        {"/ip4/127.0.0.1/udp/4433/quic-v1", false, true, {MA, MA, MA}},
        {"/ip6/2001:db8::1/udp/1/quic-v1", true, false, {OK, OK, OK}},
        {"/ip4/127.0.0.1/udp/0/quic-v1", true, false, {IN, OK, IN}},
        {"/ip4/127.0.0.1/udp/70000/quic-v1", true, false, {MA, MA, MA}},
        {"/ip4/127.0.0.1/udp/-1/quic-v1", true, false, {MA, MA, MA}},
        {"/ip4/127.0.0.1.5/udp/1/quic-v1", true, false, {MA, MA, MA}},
        {"/ip4/127.0.0.1/tcp/4433", false, false, {OK, OK, IN}},
        {"/ip4/127.0.0.1/tcp/4433", true, true, {OK, IN, OK}},
        {"/ip6/::1/tcp/0", true, false, {IN, OK, IN}},
        {"/ip4/127.0.0.1/tcp/4433/ws", true, false, {UN, UN, UN}},
        {"127.0.0.1:4433", false, false, {MA, MA, MA}},
        {"", false, false, {MA, MA, MA}},
#undef OK
#undef IN
#undef MA
#undef UN
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "%s%s%s%s%s", cases[i].head, cases[i].with_peer ? "/p2p/" : "",
                 cases[i].with_peer ? pid : "", cases[i].with_hash ? "#" : "",
                 cases[i].with_hash
                     ? "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
                     : "");
        for (int use = 0; use < 3; use++) {
            qudag_err err = qudag_multiaddr_parse(&a, text, (qudag_addr_use)use, why, sizeof(why));
            if (err != cases[i].want[use]) {
                fail_msg("%s for use %d: %s: %s", text, use, qudag_err_name(err), why);
            }
            if (err != QUDAG_OK) {
                assert_memory_equal(why, text, strlen(text) < 100 ? strlen(text) : 100);
                assert_true((strstr(why, "...: ") != NULL) ==
                            (strlen(text) > 100)); /* cut visibly */
                assert_true(use != QUDAG_ADDR_LISTEN || strstr(why, "/dns") == NULL);
                assert_true(strlen(why) > 10);
            } else {
                assert_string_equal(why, "");
            }
        }
    }
    snprintf(text, sizeof(text), "/ip4/10.1.2.3/udp/258/quic-v1/p2p/%s#%064x", pid, 7);
    assert_int_equal(qudag_multiaddr_parse(&a, text, QUDAG_ADDR_DIAL, NULL, 0), QUDAG_OK);
    assert_int_equal(a.family, 4);
    assert_int_equal(a.port, 258);
    assert_memory_equal(a.ip, ((uint8_t[]){10, 1, 2, 3}), 4);
    assert_memory_equal(&a.peer, &peer, sizeof(peer));
    assert_true(a.pinned && a.pq_hash[31] == 7);
    assert_int_equal(qudag_multiaddr_parse(&a, NULL, QUDAG_ADDR_DIAL, why, sizeof(why)),
                     QUDAG_EINVAL);
    assert_int_equal(qudag_multiaddr_parse(&a, text, (qudag_addr_use)3, NULL, 0), QUDAG_EINVAL);
    a.size = 0;
    assert_int_equal(qudag_multiaddr_parse(&a, text, QUDAG_ADDR_DIAL, NULL, 0), QUDAG_EINVAL);
}

/* ---- defaults that a first program meets */

static void the_namespace_app_is_open_unless_the_program_says_otherwise(void **state)
{
    (void)state;
    for (int none = 0; none < 2; none++) {
        qudag_settings s = settings();
        const qudag_callbacks cb = {.size = sizeof(cb), .op_done = on_done};
        static const char *const nothing[] = {NULL};
        qudag_node *n;
        qudag_op op;
        s.open_namespaces = none ? nothing : NULL;
        assert_int_equal(qudag_node_new(&n, &s, &cb, NULL), QUDAG_OK);
        assert_int_equal(qudag_node_start(n), QUDAG_OK);
        dones = 0;
        assert_int_equal(qudag_dht_put(n, net_text("/app/k"), net_text("v"), &op), QUDAG_OK);
        qudag_dht_publication p = QUDAG_INIT(qudag_dht_publication);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(qudag_node_step(n, 0), QUDAG_OK);
        }
        size_t it = 0;
        assert_int_equal(qudag_dht_publication_next(n, &it, &p), !none);
        qudag_node_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_settings_are_limited),
        cmocka_unit_test(settings_of_an_older_program_have_defaults_for_the_rest),
        cmocka_unit_test(settings_of_a_newer_program_are_refused_only_if_it_uses_what_is_new),
        cmocka_unit_test(sizes_that_were_not_set_and_padding_that_was_are_refused),
        cmocka_unit_test(callbacks_of_other_versions_are_absent_or_refused),
        cmocka_unit_test(options_and_rules_of_other_versions),
        cmocka_unit_test(structures_are_filled_up_to_the_size_of_the_program),
        cmocka_unit_test(every_counter_says_what_it_counts),
        cmocka_unit_test(one_walk_over_the_counters_sees_one_instant),
        cmocka_unit_test(every_limit_is_accepted_at_its_ends_and_refused_beyond),
        cmocka_unit_test(marks_of_links_in_the_wrong_order_are_refused),
        cmocka_unit_test(a_node_can_be_made_at_both_ends_of_every_limit),
        cmocka_unit_test(texts_of_settings_are_checked),
        cmocka_unit_test(names_are_checked_for_their_use),
        cmocka_unit_test(multiaddrs_are_checked_for_their_use),
        cmocka_unit_test(the_namespace_app_is_open_unless_the_program_says_otherwise),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
