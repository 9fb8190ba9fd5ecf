/* rules_test.c - what each rule accepts, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/dark.h"
#include "crypto/init.h"
#include "node/rules.h"

#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1800003600)
#define FAR (NOW + INT64_C(1000000000))

static struct rng_stream stream;
static struct rng rng;
static struct identity alice, bob;
static struct peer_id alice_id, bob_id;
static uint8_t desc[RELAY_DESC_MAX];
static size_t desc_len;

static struct slice text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static void make_desc(const struct identity *id, uint64_t seq)
{
    static struct relay_desc d;
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};

    memset(&d, 0, sizeof d);
    multiaddr_quic(&d.addr[d.n_addrs++], &a, NULL);
    memset(d.onion_x, 0x11, sizeof d.onion_x);
    memset(d.onion_k, 0x22, sizeof d.onion_k);
    d.flags = RELAY_FLAG_GUARD;
    d.seq = seq;
    d.not_before = NOW;
    d.expires = NOW + 3600;
    assert_int_equal(relay_desc_encode(desc, sizeof desc, &desc_len, &d, id, &rng), QUDAG_OK);
}

static int setup(void **state)
{
    static const uint8_t seed[32] = "rules";

    (void)state;
    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    if (crypto_init() != QUDAG_OK || identity_generate(&alice, &rng) != QUDAG_OK ||
        identity_generate(&bob, &rng) != QUDAG_OK) {
        return -1;
    }
    peer_id_from_ed25519(&alice_id, alice.ed_pk);
    peer_id_from_ed25519(&bob_id, bob.ed_pk);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    identity_fini(&alice);
    identity_fini(&bob);
    return 0;
}

static void a_public_key_is_stored_under_its_own_id_only(void **state)
{
    uint8_t proto[KEY_PROTO_ED25519], key[4 + PEER_ID_MAX] = "/pk/";
    struct slice value = {proto, sizeof proto};
    (void)state;

    key_proto_ed25519(proto, alice.ed_pk);
    memcpy(key + 4, alice_id.b, alice_id.len);
    struct slice k = {key, 4u + alice_id.len};
    assert_int_equal(node_rule_public_key(k, value), QUDAG_OK);
    key_proto_ed25519(proto, bob.ed_pk); /* a good key of somebody else */
    assert_int_equal(node_rule_public_key(k, value), QUDAG_EAUTH);
    assert_int_equal(node_rule_public_key(k, text("no key")), QUDAG_EAUTH);
    assert_int_equal(node_rule_public_key(text("/pk/"), value), QUDAG_EAUTH);
    assert_int_equal(node_rule_public_key(text("/pk/bob"), value), QUDAG_EAUTH);
}

/* Whose descriptor, under whose key, when. */
static void a_descriptor_is_accepted_under_its_own_peer_and_in_its_time(void **state)
{
    static struct relay_desc d;
    static const struct {
        bool signed_by_alice, under_alice;
        walltime now;
        qudag_err err;
    } row[] = {
        {true, true, NOW, QUDAG_OK},
        {false, false, NOW, QUDAG_OK},
        {true, false, NOW, QUDAG_EAUTH}, /* a good descriptor of another peer */
        {false, true, NOW, QUDAG_EAUTH},
        {true, true, NOW - RELAY_DESC_SKEW, QUDAG_OK},
        {true, true, NOW - RELAY_DESC_SKEW - 1, QUDAG_ECLOCK},
        {true, true, NOW + 3600 + RELAY_DESC_SKEW - 1, QUDAG_OK},
        {true, true, NOW + 3600 + RELAY_DESC_SKEW, QUDAG_EEXPIRED},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint8_t key[NODE_RELAY_KEY_MAX];
        const struct peer_id *under = row[i].under_alice ? &alice_id : &bob_id;
        struct slice k = {key, node_rule_relay_key(key, under)};
        walltime expires = FAR;

        make_desc(row[i].signed_by_alice ? &alice : &bob, 1);
        struct slice v = {desc, desc_len};
        assert_int_equal(node_rule_descriptor(&d, k, v, row[i].now, &expires), row[i].err);
        assert_int_equal(expires, row[i].err == QUDAG_OK ? NOW + 3600 : FAR);
        assert_int_equal(node_rule_fetched(&d, under, v, row[i].now), row[i].err);
        expires = NOW + 7; /* never raised */
        (void)(node_rule_descriptor(&d, k, v, row[i].now, &expires) == QUDAG_OK);
        assert_int_equal(expires, NOW + 7);
    }
}

static void a_descriptor_with_one_wrong_bit_is_refused_by_both_rules(void **state)
{
    static struct relay_desc d;
    uint8_t key[NODE_RELAY_KEY_MAX];
    struct slice k = {key, node_rule_relay_key(key, &alice_id)};
    walltime expires = FAR;
    (void)state;

    make_desc(&alice, 1);
    struct slice v = {desc, desc_len};
    for (size_t i = 0; i < desc_len; i += 311) {
        desc[i] ^= 4;
        assert_int_not_equal(node_rule_descriptor(&d, k, v, NOW, &expires), QUDAG_OK);
        assert_int_not_equal(node_rule_fetched(&d, &alice_id, v, NOW), QUDAG_OK);
        desc[i] ^= 4;
    }
    assert_int_equal(node_rule_fetched(&d, &alice_id, v, NOW), QUDAG_OK);
}

static void keys_of_descriptors_name_one_peer(void **state)
{
    uint8_t key[NODE_RELAY_KEY_MAX + 1];
    struct peer_id got;
    (void)state;

    size_t len = node_rule_relay_key(key, &alice_id);
    assert_int_equal(node_rule_relay_key_owner((struct slice){key, len}, &got), QUDAG_OK);
    assert_true(peer_id_eq(&got, &alice_id));
    key[len] = 0;
    for (size_t n = 0; n <= len + 1; n++) {
        assert_int_equal(node_rule_relay_key_owner((struct slice){key, n}, &got),
                         n == len ? QUDAG_OK : QUDAG_EMALFORMED);
    }
    key[1] ^= 1;
    assert_int_equal(node_rule_relay_key_owner((struct slice){key, len}, &got), QUDAG_EMALFORMED);
}

static void the_newer_descriptor_wins(void **state)
{
    uint8_t old[RELAY_DESC_MAX];
    (void)state;

    make_desc(&alice, 5);
    size_t old_len = desc_len;
    memcpy(old, desc, desc_len);
    struct slice a = {old, old_len};
    assert_int_equal(node_rule_newer_descriptor(a, a), 0);
    make_desc(&alice, 6);
    struct slice b = {desc, desc_len};
    assert_true(node_rule_newer_descriptor(b, a) > 0);
    assert_true(node_rule_newer_descriptor(a, b) < 0);
    assert_true(node_rule_newer_descriptor(text("junk"), a) < 0);
    assert_true(node_rule_newer_descriptor(a, text("junk")) > 0);
}

/* Every combination: yes only where nothing is missing, and else what lasts longest. */
static void there_is_anonymity_only_when_nothing_is_missing(void **state)
{
    static const enum node_anonymity by_guards[] = {
        [RELAYS_GUARDS_ANSWER] = NODE_ANONYMITY_YES,
        [RELAYS_GUARDS_SILENT] = NODE_ANONYMITY_SILENT,
        [RELAYS_GUARDS_SPENT] = NODE_ANONYMITY_SPENT,
    };

    (void)state;
    for (unsigned i = 0; i < 8 * ARRAY_LEN(by_guards); i++) {
        const struct node_anonymity_view v = {.lab = i & 1,
                                              .settled = i & 2,
                                              .diverse = i & 4,
                                              .guards = (enum relays_guards_state)(i / 8)};
        enum node_anonymity want = v.lab        ? NODE_ANONYMITY_LAB
                                   : !v.settled ? NODE_ANONYMITY_NOT_YET
                                   : !v.diverse ? NODE_ANONYMITY_SMALL
                                                : by_guards[v.guards];
        assert_int_equal(node_rule_anonymity(&v), want);
    }
}

static void a_dark_record_is_accepted_under_its_blinded_key_and_in_its_time(void **state)
{
    struct dark_keys k;
    static struct dark_target t;
    static uint8_t rec[DARK_RECORD_LEN], newer[DARK_RECORD_LEN];
    uint8_t key[DARK_KEY_LEN];
    walltime expires = FAR;
    (void)state;

    assert_int_equal(dark_keys_create(&k, DARK_NET_LAB, "", NOW, &rng), QUDAG_OK);
    t = (struct dark_target){
        .kind = DARK_WITHDRAWN, .number = 1 << 20, .not_before = NOW - NOW % 3600};
    t.at.period = dark_period(NOW);
    t.expires = t.not_before + 4 * 3600;
    assert_int_equal(dark_record_make(rec, &k, &t, &rng), QUDAG_OK);
    t.number++;
    assert_int_equal(dark_record_make(newer, &k, &t, &rng), QUDAG_OK);
    assert_int_equal(dark_dht_key(key, &k.addr, &t.at), QUDAG_OK);
    struct slice dht = {key, sizeof key}, v = {rec, sizeof rec}, w = {newer, sizeof newer};
    assert_int_equal(node_rule_dark(dht, v, NOW, &expires), QUDAG_OK);
    assert_true(expires < FAR && expires > NOW);
    expires = NOW + 1;
    assert_int_equal(node_rule_dark(dht, v, NOW, &expires), QUDAG_OK);
    assert_int_equal(expires, NOW + 1);
    assert_int_equal(node_rule_dark(dht, v, NOW - 86400, &expires), QUDAG_ECLOCK);
    assert_int_equal(node_rule_dark(dht, v, NOW + 2 * 86400, &expires), QUDAG_EEXPIRED);
    assert_true(node_rule_newer_dark(dht, w, v, NOW) > 0);
    assert_true(node_rule_newer_dark(dht, v, w, NOW) < 0);
    assert_int_equal(node_rule_newer_dark(dht, v, v, NOW), 0);
    newer[100] ^= 1; /* the newer one is forged: it loses */
    assert_true(node_rule_newer_dark(dht, w, v, NOW) < 0);
    assert_true(node_rule_newer_dark(dht, v, w, NOW) > 0);
    key[20] ^= 1; /* the key of another address */
    assert_int_not_equal(node_rule_dark(dht, v, NOW, &expires), QUDAG_OK);
    dark_keys_fini(&k);
}

/* What cannot be reached is not taken for what can: of a target only one form is there, and only one names a node. */
static void targets_of_two_kinds_are_reached_and_one_names_a_node(void **state)
{
    static struct dark_target t;
    (void)state;

    for (unsigned kind = 0; kind < 256; kind++) {
        t.kind = (enum dark_kind)kind;
        bool known = kind == DARK_DIRECT || kind == DARK_HIDDEN;
        assert_int_equal(node_rule_reachable(&t), known ? QUDAG_OK : QUDAG_EUNSUPPORTED);
        assert_ptr_equal(node_rule_service(&t), kind == DARK_DIRECT ? &t.hop.peer : NULL);
    }
    assert_null(node_rule_service(NULL));
}

static void the_median_is_not_moved_by_a_few(void **state)
{
    static const uint64_t v[] = {9, 3, 3, UINT64_MAX, 0, 5, 4};
    static const uint64_t want[] = {0, 9, 3, 3, 3, 3, 3, 4};
    (void)state;

    for (size_t n = 0; n <= ARRAY_LEN(v); n++) {
        assert_int_equal(node_rule_median(v, n), want[n]);
    }
}

static void addresses_that_cannot_be_dialled_from_here_are_not_taken(void **state)
{
    static const struct {
        const char *addr;
        bool in_lab, on_the_internet;
    } row[] = {
        {"/ip4/8.8.4.4/udp/4001/quic-v1", true, true},
        {"/ip6/2600::1/udp/4001/quic-v1", true, true},
        {"/ip4/8.8.4.4/udp/0/quic-v1", false, false},
        {"/ip4/8.8.4.4/tcp/4001", true, true},
        {"/ip4/8.8.4.4/tcp/0", false, false},
        {"/ip4/8.8.4.4/tcp/4001/ws", false, false},
        {"/ip4/127.0.0.1/tcp/4001", true, false},
        {"/ip6/fd00::1/tcp/4001", true, false},
        {"/ip4/8.8.4.4/udp/4001", false, false},
        {"/ip4/0.0.0.0/udp/4001/quic-v1", false, false},
        {"/ip6/::/udp/4001/quic-v1", false, false},
        {"/ip4/127.0.0.1/udp/4001/quic-v1", true, false},
        {"/ip4/127.9.9.9/udp/22/quic-v1", true, false},
        {"/ip6/::1/udp/4001/quic-v1", true, false},
        {"/ip4/10.0.0.1/udp/4001/quic-v1", true, false},
        {"/ip4/172.16.0.1/udp/4001/quic-v1", true, false},
        {"/ip4/192.168.1.1/udp/4001/quic-v1", true, false},
        {"/ip4/169.254.169.254/udp/80/quic-v1", true, false},
        {"/ip4/198.51.100.7/udp/4001/quic-v1", true, false},
        {"/ip6/2001:db8::1/udp/4001/quic-v1", true, false},
        {"/ip6/64:ff9b::7f00:1/udp/4001/quic-v1", true, false},
        {"/ip6/2002:7f00:1::/udp/4001/quic-v1", true, false},
        {"/ip6/fe80::1/udp/4001/quic-v1", true, false},
        {"/ip6/fd00::1/udp/4001/quic-v1", true, false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct multiaddr ma;

        assert_int_equal(multiaddr_parse(&ma, row[i].addr), QUDAG_OK);
        assert_int_equal(node_rule_addr(&ma, true), row[i].in_lab);
        assert_int_equal(node_rule_addr(&ma, false), row[i].on_the_internet);
    }
}

static void cells_are_sent_to_datagram_addresses_only(void **state)
{
    (void)state;
    static const struct {
        const char *addr;
        bool ok;
    } row[] = {{"/ip4/8.8.4.4/udp/4001/quic-v1", true},
               {"/ip4/127.0.0.1/udp/4001/quic-v1", false},
               {"/ip4/8.8.4.4/tcp/4001", false},
               {"/ip6/2600::1/tcp/4001", false}};

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct multiaddr ma;
        assert_int_equal(multiaddr_parse(&ma, row[i].addr), QUDAG_OK);
        assert_int_equal(node_rule_cells_addr(&ma, false), row[i].ok);
    }
}

static void dark_addresses_are_looked_for_masked_on_behalf_of_others(void **state)
{
    static const struct {
        const char *key;
        bool masked;
    } row[] = {
        {"/qudag/dark/0123456789abcdef0123456789abcdef", true},
        {"/qudag/dark/x", true},
        {"/qudag/relay/0123", false},
        {"/qudag/darkness", false},
        {"/qudag/dark/", false}, /* names nothing */
        {"", false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(node_rule_for_others(text(row[i].key))->masked, row[i].masked);
        assert_false(node_rule_for_others(text(row[i].key))->republish);
    }
}

static void labs_and_other_networks_know_each_other(void **state)
{
    static const struct {
        const char *lists, *ours;
        bool lab, other;
    } row[] = {
        {KAD_PROTOCOL, KAD_PROTOCOL, false, false},
        {KAD_PROTOCOL_LAB, KAD_PROTOCOL, false, true},
        {KAD_PROTOCOL_LAB, KAD_PROTOCOL_LAB, true, false},
        {KAD_PROTOCOL, KAD_PROTOCOL_LAB, true, true},
        {KAD_PROTOCOL, KAD_PROTOCOL, true, false}, /* as its configuration wants it */
        {"/x", KAD_PROTOCOL, false, false},        /* a client, or who knows */
        {"/x", KAD_PROTOCOL_LAB, true, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct identify_msg m = {.n_protos = 1};
        memcpy(m.proto[0], row[i].lists, strlen(row[i].lists) + 1);
        assert_int_equal(node_rule_other_network(&m, row[i].ours, row[i].lab), row[i].other);
    }
}

static void two_errors_speak_of_clocks(void **state)
{
    static const qudag_err all[] = {
#define XX(name, value, cat, text) QUDAG_E##name,
        QUDAG_ERR_MAP(XX)
#undef XX
    };
    (void)state;

    assert_false(node_rule_is_clock(QUDAG_OK));
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        bool clock = all[i] == QUDAG_ECLOCK || all[i] == QUDAG_EEXPIRED;
        assert_int_equal(node_rule_is_clock(all[i]), clock);
    }
}

static void a_clock_is_suspect_when_most_say_so(void **state)
{
    static const struct {
        uint32_t witnesses, agreed;
        bool suspect;
    } row[] = {
        {0, 0, false}, {1, 0, false}, {2, 0, true},   {2, 1, true},
        {2, 2, false}, {3, 2, true},  {16, 15, true}, {16, 16, false}, /* as many as are counted */
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(node_rule_clock_suspect(row[i].witnesses, row[i].agreed), row[i].suspect);
    }
}

static void only_what_says_nothing_of_the_record_is_worth_another_circuit(void **state)
{
    static const qudag_err again[] = {QUDAG_ECIRCUIT, QUDAG_ETIMEOUT,  QUDAG_ERESET,
                                      QUDAG_ECLOSED,  QUDAG_ECANCELED, QUDAG_EUNREACHABLE};
    size_t found = 0;
    (void)state;

    assert_false(node_rule_another_circuit(QUDAG_OK));
    for (int err = QUDAG_ENOMEM; err >= QUDAG_ECLOCK; err--) {
        bool listed = false;
        for (size_t i = 0; i < ARRAY_LEN(again); i++) {
            listed = listed || (int)again[i] == err;
        }
        assert_int_equal(node_rule_another_circuit((qudag_err)err), listed);
        found += listed ? 1 : 0;
    }
    assert_int_equal(found, ARRAY_LEN(again));
}

static void a_service_may_be_one_of_the_relays(void **state)
{
    (void)state;
    assert_int_equal(node_rule_relays_needed(3), 4);
    assert_int_equal(node_rule_relays_needed(1), 2);
}

static void sequence_numbers_never_go_back(void **state)
{
    static const struct {
        uint64_t last;
        walltime now;
        uint64_t next;
    } row[] = {
        {0, NOW, NOW - NOW % 60},
        {NOW - 100, NOW + 1, NOW - NOW % 60},
        {NOW, NOW + 60, NOW + 60 - NOW % 60},
        {NOW, NOW, NOW + 1},
        {NOW + 550, NOW, NOW + 551}, /* the clock was ahead and is right again */
        {NOW, -5, NOW + 1},
        {0, 0, 1},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint64_t next = node_rule_next_seq(row[i].last, row[i].now);
        assert_int_equal(next, row[i].next);
        assert_true(next > row[i].last);
    }
}

static void times_in_descriptors_are_dated_back_and_whole_five_minutes(void **state)
{
    (void)state;
    for (uint64_t draw = 0; draw < 2000; draw += 7) {
        walltime t = node_rule_not_before(NOW, draw);
        assert_int_equal(t % 300, 0);
        assert_true(t <= NOW && t > NOW - 600);
        assert_int_equal(node_rule_not_before(NOW, draw + 300), t);
    }
    assert_int_equal(node_rule_not_before(NOW - NOW % 300 + 10, 11), NOW - NOW % 300 - 300);
    assert_int_equal(node_rule_not_before(5, 100), 0);
}

static void the_ip_versions_we_can_dial_are_those_of_our_addresses(void **state)
{
    enum { V4 = RELAYS_IP4, V6 = RELAYS_IP6 };
    static const struct {
        const char *text[3];
        uint8_t ip;
    } row[] = {
        {{NULL}, 0},
        {{"/ip4/192.0.2.1/udp/1/quic-v1"}, V4},
        {{"/ip6/2001:db8::1/udp/1/quic-v1"}, V6},
        {{"/ip4/10.0.0.1/udp/1/quic-v1", "/ip6/2001:db8::1/udp/1/quic-v1"}, V4 | V6},
        {{"/ip4/127.0.0.1/udp/1/quic-v1"}, V4},
        {{"/ip4/127.0.0.1/udp/1/quic-v1", "/ip6/::1/udp/1/quic-v1"}, V4 | V6},
        {{"/ip6/fd00::1/udp/1/quic-v1", "/ip6/::1/udp/1/quic-v1", "/ip4/127.0.0.1/udp/1/quic-v1"},
         V4 | V6},
        /* what a host without IPv6 on the Internet has: wildcard sockets of both versions */
        {{"/ip4/192.0.2.1/udp/1/quic-v1", "/ip6/::1/udp/1/quic-v1"}, V4},
        {{"/ip4/10.0.0.1/udp/1/quic-v1", "/ip6/fd00::1/udp/1/quic-v1"}, V4},
        {{"/ip6/2001:db8::1/udp/1/quic-v1", "/ip4/127.0.0.1/udp/1/quic-v1"}, V6},
        {{"/ip6/2001:db8::1/udp/1/quic-v1", "/ip4/169.254.0.1/udp/1/quic-v1"}, V6},
        {{"/ip4/192.0.2.1/tcp/1"}, 0}, /* nothing that is dialled */
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct multiaddr a[3];
        size_t n = 0;
        while (n < 3 && row[i].text[n] != NULL) {
            assert_int_equal(multiaddr_parse(&a[n], row[i].text[n]), QUDAG_OK);
            n++;
        }
        assert_int_equal(node_rule_own_ip(a, n), row[i].ip);
    }
}

static struct link_info link_to(const struct peer_id *peer, uint8_t first, uint8_t props)
{
    struct link_info l = {.peer = *peer, .props = props};
    struct netaddr a = {.family = 4, .ip = {first, 0, 2, 9}, .port = 4001};

    multiaddr_quic(&l.remote, &a, NULL);
    return l;
}

static void a_peer_is_told_its_address_only_where_that_hides_nothing(void **state)
{
    static const struct peer_id nobody;
    const struct {
        const struct peer_id *peer;
        uint8_t first, props; /* of the IPv4 address; of the link */
        bool outside, lab;
    } row[] = {
        {&bob_id, 193, 0, true, true},
        {&bob_id, 193, LINK_PQ_KEX | LINK_INBOUND | LINK_QUDAG, true, true},
        {&bob_id, 193, LINK_ANON, false, false},
        {&bob_id, 193, LINK_RELAYED, false, false}, /* the relay's address */
        {&bob_id, 193, LINK_RELAYED | LINK_LIMITED, false, false},
        {&nobody, 192, 0, false, false},
        {&bob_id, 10, 0, false, true},
        {&bob_id, 127, 0, false, true},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct link_info l = link_to(row[i].peer, row[i].first, row[i].props);
        assert_int_equal(node_rule_observed(&l, false), row[i].outside);
        assert_int_equal(node_rule_observed(&l, true), row[i].lab);
    }
    struct link_info none = {.peer = bob_id};
    assert_false(node_rule_observed(&none, true));
}

/* What a message gives: a agent, A addresses, P protocols with the DHT's, p without, 0 an empty list. */
static struct identify_msg message(const char *parts)
{
    struct identify_msg m = {0};

    if (strchr(parts, 'a') != NULL) {
        memcpy(m.agent_version, "x/1", 4);
    }
    m.has_addrs = strchr(parts, 'A') != NULL;
    m.n_addrs = m.has_addrs ? 1 : 0;
    m.has_protos = strpbrk(parts, "Pp0") != NULL;
    if (strpbrk(parts, "Pp") != NULL) {
        memcpy(m.proto[m.n_protos++], "/ipfs/ping/1.0.0", 17);
    }
    if (strchr(parts, 'P') != NULL) {
        memcpy(m.proto[m.n_protos++], "/dht/1", 7);
    }
    return m;
}

static void what_a_push_does_not_give_stays_as_it_was(void **state)
{
    static const struct {
        const char *parts;
        bool push, served;
        struct node_identify_change want;
    } row[] = {
        {"aAP", false, false, {true, true, NODE_DHT_OFFER}},
        {"aAp", false, true, {true, true, NODE_DHT_DROP}},
        {"A", false, true, {true, true, NODE_DHT_DROP}}, /* an answer says all there is to say */
        {"", false, false, {true, true, NODE_DHT_DROP}},
        {"A", true, true, {false, false, NODE_DHT_OFFER}}, /* the new addresses of a server */
        {"A", true, false, {false, false, NODE_DHT_UNCHANGED}},
        {"", true, true, {false, false, NODE_DHT_UNCHANGED}},
        {"a", true, true, {true, false, NODE_DHT_UNCHANGED}},
        {"a", true, false, {true, false, NODE_DHT_UNCHANGED}},
        {"P", true, false, {false, true, NODE_DHT_OFFER}},
        {"p", true, true, {false, true, NODE_DHT_DROP}},
        {"0", true, true, {false, true, NODE_DHT_DROP}},
        {"aAP", true, true, {true, true, NODE_DHT_OFFER}},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct identify_msg m = message(row[i].parts);
        struct node_identify_change c =
            node_rule_identify(&m, row[i].push, row[i].served, "/dht/1");
        assert_int_equal(c.agent, row[i].want.agent);
        assert_int_equal(c.protocols, row[i].want.protocols);
        assert_int_equal(c.dht, row[i].want.dht);
    }
}

static void memory_is_given_up_before_it_runs_out(void **state)
{
    (void)state;
    assert_int_equal(node_rule_shed(1 << 20, 0), 0); /* no cap */
    assert_int_equal(node_rule_shed(0, 1600), 0);
    assert_int_equal(node_rule_shed(1500, 1600), 0);
    assert_int_equal(node_rule_shed(1501, 1600), 101);
    assert_int_equal(node_rule_shed(1600, 1600), 200);
}

static void circuits_are_extended_over_links_that_we_dialled(void **state)
{
    const uint8_t need = LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG;
    (void)state;

    assert_true(node_rule_extend_link(need, true));
    assert_true(node_rule_extend_link(need | LINK_RELAYED, true));
    assert_false(node_rule_extend_link(need | LINK_INBOUND, true));
    assert_false(node_rule_extend_link(need | LINK_LIMITED, true));
    assert_false(node_rule_extend_link(need & ~LINK_QUDAG, true));
    assert_false(node_rule_extend_link(need & ~LINK_PQ_AUTH, true));
    assert_false(node_rule_extend_link(need & ~LINK_PQ_KEX, true));
    assert_false(node_rule_extend_link(need, false)); /* a byte stream */
}

static void failures_count_for_the_host_and_in_a_laboratory_for_the_port(void **state)
{
    struct netaddr a = {.family = 4, .ip = {80, 1, 1, 1}, .port = 1}, b = a, x, y;
    (void)state;

    b.port = 2;
    x = node_rule_extend_target(&a);
    y = node_rule_extend_target(&b);
    assert_true(netaddr_eq(&x, &y));
    a.ip[0] = b.ip[0] = 127;
    x = node_rule_extend_target(&a);
    y = node_rule_extend_target(&b);
    assert_false(netaddr_eq(&x, &y));
    a = b = (struct netaddr){.family = 6, .ip = {0x2a, 1, 2, 3, 4, 5, 6, 7, 8}, .port = 1};
    b.ip[15] = 9; /* the same /64 */
    x = node_rule_extend_target(&a);
    y = node_rule_extend_target(&b);
    assert_true(netaddr_eq(&x, &y));
    b.ip[7] ^= 1;
    y = node_rule_extend_target(&b);
    assert_false(netaddr_eq(&x, &y));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_key_is_stored_under_its_own_id_only),
        cmocka_unit_test(a_descriptor_is_accepted_under_its_own_peer_and_in_its_time),
        cmocka_unit_test(a_descriptor_with_one_wrong_bit_is_refused_by_both_rules),
        cmocka_unit_test(keys_of_descriptors_name_one_peer),
        cmocka_unit_test(the_newer_descriptor_wins),
        cmocka_unit_test(there_is_anonymity_only_when_nothing_is_missing),
        cmocka_unit_test(a_dark_record_is_accepted_under_its_blinded_key_and_in_its_time),
        cmocka_unit_test(targets_of_two_kinds_are_reached_and_one_names_a_node),
        cmocka_unit_test(the_median_is_not_moved_by_a_few),
        cmocka_unit_test(addresses_that_cannot_be_dialled_from_here_are_not_taken),
        cmocka_unit_test(cells_are_sent_to_datagram_addresses_only),
        cmocka_unit_test(dark_addresses_are_looked_for_masked_on_behalf_of_others),
        cmocka_unit_test(labs_and_other_networks_know_each_other),
        cmocka_unit_test(two_errors_speak_of_clocks),
        cmocka_unit_test(a_clock_is_suspect_when_most_say_so),
        cmocka_unit_test(only_what_says_nothing_of_the_record_is_worth_another_circuit),
        cmocka_unit_test(a_service_may_be_one_of_the_relays),
        cmocka_unit_test(times_in_descriptors_are_dated_back_and_whole_five_minutes),
        cmocka_unit_test(sequence_numbers_never_go_back),
        cmocka_unit_test(a_peer_is_told_its_address_only_where_that_hides_nothing),
        cmocka_unit_test(what_a_push_does_not_give_stays_as_it_was),
        cmocka_unit_test(circuits_are_extended_over_links_that_we_dialled),
        cmocka_unit_test(failures_count_for_the_host_and_in_a_laboratory_for_the_port),
        cmocka_unit_test(the_ip_versions_we_can_dial_are_those_of_our_addresses),
        cmocka_unit_test(memory_is_given_up_before_it_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
