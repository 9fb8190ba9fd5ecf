/* rules_test.c - tables of what the rules accept and refuse. */
#include "swarm/quiet.h"

#include "core/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define K LINK_PQ_KEX
#define A LINK_PQ_AUTH

static const uint8_t key_1[SWARM_PIN_LEN] = {1}, key_2[SWARM_PIN_LEN] = {2};
/* Differs from key_1 in its last byte only. */
static const uint8_t key_1b[SWARM_PIN_LEN] = {1, [SWARM_PIN_LEN - 1] = 1};

static struct swarm_proof proof(uint8_t proven, const uint8_t *pin)
{
    struct swarm_proof p = {.proven = proven, .has_pin = pin != NULL};

    if (pin != NULL) {
        memcpy(p.pin, pin, sizeof p.pin);
    }
    return p;
}

static struct swarm_successor successor(const uint8_t *from, const uint8_t *to, uint64_t seq)
{
    struct swarm_successor n = {.seq = seq};

    memcpy(n.from, from, sizeof n.from);
    memcpy(n.to, to, sizeof n.to);
    return n;
}

static void a_pin_follows_forward_only(void **state)
{
    struct swarm_proof p = proof(0, key_1), none = proof(0, NULL);
    struct swarm_successor n = successor(key_1, key_2, 1);
    (void)state;

    assert_int_equal(swarm_rule_follow(&p, &n), SWARM_FOLLOW);
    assert_int_equal(swarm_rule_follow(&none, &n), SWARM_FOLLOW_LATE);
    p.seq = 1; /* a number that was used, or a lower one */
    assert_int_equal(swarm_rule_follow(&p, &n), SWARM_FOLLOW_LATE);
    n.seq = 2;
    assert_int_equal(swarm_rule_follow(&p, &n), SWARM_FOLLOW);
    n = successor(key_1b, key_2, 3); /* of another key */
    assert_int_equal(swarm_rule_follow(&p, &n), SWARM_FOLLOW_LATE);
    n = successor(key_2, key_1, 3); /* back */
    assert_int_equal(swarm_rule_follow(&p, &n), SWARM_FOLLOW_LATE);
}

static void a_second_successor_is_a_conflict(void **state)
{
    struct swarm_proof p = proof(0, key_2);
    struct swarm_successor rival = successor(key_1, key_1b, 9), same = successor(key_1, key_2, 9);
    (void)state;

    assert_int_equal(swarm_rule_follow(&p, &rival),
                     SWARM_FOLLOW_LATE); /* nothing of key 1 is known */
    memcpy(p.former, key_1, sizeof p.former);
    p.has_former = true;
    p.seq = 1;
    assert_int_equal(swarm_rule_follow(&p, &rival), SWARM_FOLLOW_CONFLICT);
    assert_int_equal(swarm_rule_follow(&p, &same), SWARM_FOLLOW_LATE);
    assert_true(swarm_rule_former(&p, key_1));
    assert_false(swarm_rule_former(&p, key_1b));
    assert_false(swarm_rule_former(&p, key_2));
}

static void each_property_proven_before_must_be_proven_again(void **state)
{
    static const uint8_t props[] = {0, K, A, K | A};
    (void)state;
    for (size_t b = 0; b < ARRAY_LEN(props); b++) {
        for (size_t n = 0; n < ARRAY_LEN(props); n++) {
            struct swarm_proof before = proof(props[b], NULL);
            struct swarm_claim now = {props[n] | LINK_INBOUND, NULL};
            bool less = (props[b] & ~props[n]) != 0;
            assert_int_equal(swarm_rule_admit(&before, 0, &now), less ? QUDAG_EPOLICY : QUDAG_OK);
            assert_int_equal(swarm_rule_need(&before), props[b]);
        }
    }
}

static void whoever_floods_the_pins_pushes_out_its_own(void **state)
{
#define R SWARM_PIN_RECORDED
#define M SWARM_PIN_MET
#define D SWARM_PIN_DIALLED
    static const struct {
        uint32_t count[SWARM_PIN_SOURCES]; /* of 100: shares 25, 50, 25 */
        enum swarm_pin_source adding, gives;
    } row[] = {
        {{25, 50, 25}, R, R}, {{25, 50, 25}, M, M}, {{25, 50, 25}, D, D}, {{0, 100, 0}, D, M},
        {{0, 100, 0}, M, M},  {{100, 0, 0}, D, R},  {{100, 0, 0}, M, R},  {{24, 51, 25}, R, M},
        {{26, 50, 24}, D, R}, {{10, 20, 70}, M, D}, {{0, 0, 100}, D, D},  {{40, 50, 10}, M, R},
        {{0, 75, 25}, D, M},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(swarm_rule_pin_gives(row[i].count, 100, row[i].adding), row[i].gives);
    }
#undef R
#undef M
#undef D
}

static void what_policy_wants_of_every_link_is_wanted_of_new_peers_too(void **state)
{
    static const uint8_t props[] = {0, K, A, K | A};
    static const struct swarm_proof stranger;
    (void)state;
    for (size_t need = 0; need < ARRAY_LEN(props); need++) {
        for (size_t n = 0; n < ARRAY_LEN(props); n++) {
            struct swarm_claim now = {props[n], NULL};
            bool less = (props[need] & ~props[n]) != 0;
            assert_int_equal(swarm_rule_admit(&stranger, props[need], &now),
                             less ? QUDAG_EPOLICY : QUDAG_OK);
        }
    }
}

static void a_pin_admits_its_key_only(void **state)
{
    static const struct {
        const uint8_t *pin, *shown;
        qudag_err err;
    } row[] = {
        {NULL, NULL, QUDAG_OK},       {NULL, key_1, QUDAG_OK},      {key_1, key_1, QUDAG_OK},
        {key_1, key_2, QUDAG_EAUTH},  {key_1, NULL, QUDAG_EAUTH},   {key_2, key_1, QUDAG_EAUTH},
        {key_1, key_1b, QUDAG_EAUTH}, {key_1b, key_1, QUDAG_EAUTH},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct swarm_proof before = proof(0, row[i].pin);
        struct swarm_claim now = {K | (row[i].shown != NULL ? A : 0), row[i].shown};
        assert_int_equal(swarm_rule_admit(&before, 0, &now), row[i].err);
        assert_int_equal(swarm_rule_need(&before), row[i].pin != NULL ? A : 0);
    }
}

static void the_first_key_is_pinned_and_stays(void **state)
{
    struct swarm_proof p = {0};
    struct swarm_claim kex = {K | LINK_INBOUND | LINK_QUDAG, NULL}, one = {A, key_1},
                       two = {K | A, key_2};
    (void)state;
    assert_false(swarm_rule_learn(&p, &kex));
    assert_false(p.has_pin);
    assert_int_equal(p.proven, K); /* and nothing that is no proof */
    assert_true(swarm_rule_learn(&p, &one));
    assert_int_equal(p.proven, K | A);
    assert_memory_equal(p.pin, key_1, sizeof key_1);
    assert_false(swarm_rule_learn(&p, &two));
    assert_memory_equal(p.pin, key_1, sizeof key_1);
    assert_true(swarm_rule_pin(&p, key_1));
    assert_false(swarm_rule_pin(&p, key_2));
    assert_false(swarm_rule_pin(&p, key_1b));
    p.has_pin = false;
    assert_true(swarm_rule_pin(&p, key_2));
}

static void hints_lead_to_public_hosts_only(void **state)
{
    static const struct {
        const char *ip;
        bool lab, open; /* may be dialled: in a laboratory, elsewhere */
    } row[] = {
        {"9.9.9.9", true, true},
        {"128.0.0.1", true, true},
        {"126.255.255.255", true, true},
        {"127.0.0.1", true, false},
        {"127.255.255.254", true, false},
        {"10.0.0.1", true, false},
        {"9.255.255.255", true, true},
        {"11.0.0.1", true, true},
        {"172.15.255.255", true, true},
        {"172.16.0.1", true, false},
        {"172.31.255.255", true, false},
        {"172.32.0.1", true, true},
        {"192.168.1.1", true, false},
        {"192.167.1.1", true, true},
        {"169.254.169.254", true, false},
        {"100.64.0.1", true, false},
        {"100.127.255.255", true, false},
        {"100.128.0.1", true, true},
        {"0.0.0.0", false, false},
        {"0.1.2.3", false, false},
        {"223.255.255.255", true, true},
        {"224.0.0.1", false, false},
        {"239.255.255.255", false, false},
        {"240.0.0.1", false, false},
        {"255.255.255.255", false, false},
        {"2001:db8::1", true, false},
        {"198.51.100.1", true, false},
        {"198.18.0.1", true, false},
        {"::127.0.0.1", true, false},
        {"64:ff9b::7f00:1", true, false},
        {"2002:7f00:1::", true, false},
        {"2620:fe::9", true, true},
        {"::1", true, false},
        {"::", false, false},
        {"fe80::1", true, false},
        {"febf::1", true, false},
        {"fec0::1", true, false},
        {"fc00::1", true, false},
        {"fdff::1", true, false},
        {"ff02::1", false, false},
        {"ff0e::1", false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct netaddr a = {.port = 4001};
        assert_int_equal(netaddr_parse_ip(&a, row[i].ip), QUDAG_OK);
        assert_int_equal(swarm_rule_hint(&a, false), row[i].open);
        assert_int_equal(swarm_rule_hint(&a, true), row[i].lab);
        if (a.family == 4) { /* written as ::ffff:a.b.c.d it is no other host */
            struct netaddr m = {.family = 6, .port = 4001, .ip = {[10] = 0xff, [11] = 0xff}};
            memcpy(m.ip + 12, a.ip, 4);
            assert_int_equal(swarm_rule_hint(&m, false), row[i].open);
            assert_int_equal(swarm_rule_hint(&m, true), row[i].lab);
        }
        a.port = 0;
        assert_false(swarm_rule_hint(&a, true));
    }
    struct netaddr none = {.port = 4001};
    assert_false(swarm_rule_hint(&none, true));
}

static void a_limited_link_carries_only_what_allows_it(void **state)
{
    static const struct {
        uint8_t props, need;
        bool limited_ok, carries;
    } row[] = {
        {0, 0, false, true},
        {K, K, false, true},
        {K, A, true, false},
        {K | A | LINK_INBOUND, K | A, false, true},
        {LINK_RELAYED, 0, false, true},
        {LINK_RELAYED | LINK_LIMITED, 0, false, false},
        {LINK_RELAYED | LINK_LIMITED, 0, true, true},
        {LINK_RELAYED | LINK_LIMITED | K, A, true, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint8_t props = row[i].props, need = row[i].need;
        assert_int_equal(swarm_rule_carries(props, need, row[i].limited_ok, false), row[i].carries);
        /* of a core whose streams go along the link's dial: as before, but not on one that came in */
        assert_int_equal(swarm_rule_carries(props, need, row[i].limited_ok, true),
                         row[i].carries && (props & LINK_INBOUND) == 0);
        assert_false(swarm_rule_carries(props | LINK_INBOUND, need, row[i].limited_ok, true));
    }
}

/* Over a byte stream no packet ends where a cell does, and nothing can be padded. */
static void cells_go_over_links_whose_packets_they_shape(void **state)
{
    (void)state;
    assert_true(swarm_rule_cells(K | A, true));
    assert_false(swarm_rule_cells(K | A, false));
    assert_false(swarm_rule_cells(K | A | LINK_INBOUND | LINK_QUDAG, false));
    assert_true(swarm_rule_relayed(LINK_RELAYED, false) && swarm_rule_relayed(K | A, true));
    assert_false(swarm_rule_relayed(LINK_RELAYED | K | A, true));
    assert_false(swarm_rule_cells(K | A | LINK_RELAYED, false));
    assert_true(swarm_rule_cells(LINK_ANON, false));
}

static void what_goes_on_for_long_moves_to_a_direct_link_and_away_from_a_failing_one(void **state)
{
    (void)state;
    assert_true(swarm_rule_moves(K | A | LINK_RELAYED | LINK_LIMITED, false, K | A));
    assert_true(swarm_rule_moves(LINK_RELAYED | LINK_LIMITED, false, LINK_RELAYED));
    assert_false(swarm_rule_moves(LINK_RELAYED, false, LINK_RELAYED));
    assert_false(swarm_rule_moves(K | A, false, K | A));
    assert_false(swarm_rule_moves(K | A, false, K | A | LINK_RELAYED));
    assert_true(swarm_rule_moves(K | A, true, K | A | LINK_RELAYED | LINK_LIMITED));
}

/* Every link before every later one, whichever is newer, unless they are alike. */
static void of_two_links_the_better_is_used(void **state)
{
    static const struct swarm_rank best_first[] = {
        {K | A, false, TRANSPORT_DATAGRAM, 0},
        {K | A, false, TRANSPORT_STREAM, 0},
        {K, false, TRANSPORT_DATAGRAM, 0},
        {K, false, TRANSPORT_STREAM, 0},
        {0, false, TRANSPORT_DATAGRAM, 0},
        {0, false, TRANSPORT_STREAM, 0},
        {K | A | LINK_RELAYED, false, TRANSPORT_RELAYED, 0},
        {LINK_RELAYED, false, TRANSPORT_RELAYED, 0},
        {K | A | LINK_LIMITED, false, TRANSPORT_DATAGRAM, 0},
        {K | A | LINK_LIMITED | LINK_RELAYED, false, TRANSPORT_RELAYED, 0},
        {K | A, true, TRANSPORT_DATAGRAM, 0},
        {K | A, true, TRANSPORT_STREAM, 0},
        {LINK_LIMITED | LINK_RELAYED, true, TRANSPORT_RELAYED, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(best_first); i++) {
        for (size_t j = 0; j < ARRAY_LEN(best_first); j++) {
            for (uint64_t newer = 0; newer < 2; newer++) {
                struct swarm_rank a = best_first[i], b = best_first[j];
                a.order = newer;
                b.order = 1 - newer;
                assert_int_equal(swarm_rule_better(&a, &b), i < j || (i == j && newer == 1));
            }
        }
    }
}

static void both_sides_keep_the_dial_of_the_smaller_id(void **state)
{
    (void)state;
    for (uint8_t n = 0; n < 32; n++) {
        struct peer_id a, b;
        uint8_t pk_a[32] = {n, 1}, pk_b[32] = {(uint8_t)(n * 37 + 1), 2};
        peer_id_from_ed25519(&a, pk_a);
        peer_id_from_ed25519(&b, pk_b);
        for (int inbound_at_a = 0; inbound_at_a < 2; inbound_at_a++) { /* the link as a sees it */
            bool kept = swarm_rule_kept_dial(&a, &b, inbound_at_a != 0);
            assert_int_equal(swarm_rule_kept_dial(&b, &a, inbound_at_a == 0), kept);
            assert_int_equal(kept, (memcmp(a.b, b.b, a.len) < 0) == (inbound_at_a == 0));
        }
    }
}

/* Ids of different lengths have an order, too, so that the two sides never keep both or none. */
static void of_two_ids_one_is_the_smaller_though_one_begins_the_other(void **state)
{
    (void)state;
    struct peer_id a = {.len = 34}, b = {.len = 36};
    memset(a.b, 7, a.len);
    memset(b.b, 7, b.len);
    assert_true(swarm_rule_kept_dial(&a, &b, false));
    assert_false(swarm_rule_kept_dial(&b, &a, false));
    assert_false(swarm_rule_kept_dial(&a, &b, true));
    assert_true(swarm_rule_kept_dial(&b, &a, true));
}

static void links_of_one_certificate_are_not_all_renewed_at_once(void **state)
{
    static const tstamp now = 1000 * NS_PER_S, lead = SWARM_RENEW_LEAD;

    (void)state;
    tstamp end = now + 10 * lead;
    assert_true(swarm_rule_renew_at(end, 0, now) == end - lead);
    assert_true(swarm_rule_renew_at(end, lead / 2, now) == end - lead / 2);
    assert_true(swarm_rule_renew_at(end, lead / 2 + 1, now) == end - lead);
    end = now + SWARM_RENEW_LEAST;
    assert_true(swarm_rule_renew_at(end, 0, now) == end - lead);
    assert_true(swarm_rule_renew_at(end - 1, 0, now) == TSTAMP_NEVER);
    assert_true(swarm_rule_renew_at(now + 100, 25, now) == TSTAMP_NEVER);
    assert_true(swarm_rule_renew_at(now - 1, 7, now) == TSTAMP_NEVER);
    assert_true(swarm_rule_renew_at(TSTAMP_NEVER, 7, now) == TSTAMP_NEVER);
}

static void a_link_is_renewed_before_and_ends_with_its_certificates(void **state)
{
    static const tstamp end = 100000 * NS_PER_S, at = 95000 * NS_PER_S;
    static const struct {
        tstamp until, now;
        bool inbound, in_use, replaced;
        enum swarm_renewal want;
    } row[] = {
        {end, at - 1, false, true, false, SWARM_RENEWAL_NONE},
        {end, at, false, true, false, SWARM_RENEWAL_DIAL},
        {end, at, true, true, false, SWARM_RENEWAL_NONE},
        {end, at, false, false, false, SWARM_RENEWAL_NONE},
        {end, at, false, true, true, SWARM_RENEWAL_NONE},
        {end, end - SWARM_RENEW_MARGIN - 1, false, true, false, SWARM_RENEWAL_DIAL},
        {end, end - SWARM_RENEW_MARGIN, false, true, false, SWARM_RENEWAL_END},
        {end, end - SWARM_RENEW_MARGIN, true, true, true, SWARM_RENEWAL_END},
        {end, end + 1, true, false, false, SWARM_RENEWAL_END},
        {TSTAMP_NEVER, TSTAMP_NEVER - 1, true, true, false, SWARM_RENEWAL_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(swarm_rule_renewal(row[i].until, at, row[i].inbound, row[i].in_use,
                                            row[i].replaced, row[i].now),
                         row[i].want);
    }
}

static void a_link_of_our_key_before_is_dialled_anew_and_goes_when_it_is_idle(void **state)
{
    const tstamp at = 100;
    const struct {
        tstamp now;
        bool idle, replaced;
        enum swarm_renewal want;
    } row[] = {
        {99, false, false, SWARM_RENEWAL_NONE}, {100, false, false, SWARM_RENEWAL_DIAL},
        {100, true, false, SWARM_RENEWAL_DIAL}, /* it tells the peer */
        {500, false, true, SWARM_RENEWAL_NONE}, {99, true, true, SWARM_RENEWAL_END},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(swarm_rule_rekey(at, row[i].idle, row[i].replaced, row[i].now),
                         row[i].want);
    }
}

static struct netaddr v4(uint8_t a, uint8_t d)
{
    return (struct netaddr){.family = 4, .ip = {a, 0, 0, d}, .port = 4433};
}

static void a_link_whose_address_is_gone_cannot_go_on(void **state)
{
    struct netaddr have[] = {v4(127, 1), v4(5, 1), v4(77, 1), {.family = 6, .ip = {0x20, 1}}};
    struct swarm_moved m = {.have = have, .n_have = ARRAY_LEN(have)};
    struct netaddr here = v4(5, 1), gone = v4(5, 2), none = {0}, any = {.family = 4};
    (void)state;

    here.port = 9; /* ports say nothing */
    for (int inbound = 0; inbound < 2; inbound++) {
        assert_false(swarm_rule_local_gone(&m, &here, inbound != 0));
        assert_true(swarm_rule_local_gone(&m, &gone, inbound != 0));
        assert_false(swarm_rule_local_gone(&m, &none, inbound != 0));
        assert_false(swarm_rule_local_gone(&m, &any, inbound != 0));
        assert_false(swarm_rule_local_gone(&m, &have[3], inbound != 0));
    }
    m.n_have = 0; /* the system does not say which there are */
    assert_false(swarm_rule_local_gone(&m, &gone, false));
}

/* The address is there, but what we send leaves from another; what others dialled is answered from it all the same. */
static void of_links_at_an_address_that_was_left_only_those_we_dialled_end(void **state)
{
    struct netaddr have[] = {v4(5, 1), v4(77, 1)};
    struct swarm_moved m = {.have = have, .n_have = ARRAY_LEN(have), .left = {v4(5, 1)}};
    (void)state;

    assert_true(swarm_rule_local_gone(&m, &have[0], false));
    assert_false(swarm_rule_local_gone(&m, &have[0], true));
    assert_false(swarm_rule_local_gone(&m, &have[1], false));
    m.n_have = 0;
    assert_true(swarm_rule_local_gone(&m, &have[0], false));
}

static void only_what_we_dialled_by_choice_is_a_dialled_pin(void **state)
{
    (void)state;
    assert_int_equal(swarm_rule_pin_source(false, true), SWARM_PIN_DIALLED);
    assert_int_equal(swarm_rule_pin_source(false, false), SWARM_PIN_MET);
    assert_int_equal(swarm_rule_pin_source(true, true), SWARM_PIN_MET);
    assert_int_equal(swarm_rule_pin_source(true, false), SWARM_PIN_MET);
}

#define QUIC4                                                                                      \
    {                                                                                              \
        TRANSPORT_DATAGRAM, 4, false, false                                                        \
    }
#define QUIC6                                                                                      \
    {                                                                                              \
        TRANSPORT_DATAGRAM, 6, false, false                                                        \
    }
#define TCP4                                                                                       \
    {                                                                                              \
        TRANSPORT_STREAM, 4, false, false                                                          \
    }
#define TCP6                                                                                       \
    {                                                                                              \
        TRANSPORT_STREAM, 6, false, false                                                          \
    }
#define RELAY4                                                                                     \
    {                                                                                              \
        TRANSPORT_RELAYED, 4, false, false                                                         \
    }
#define RELAY6                                                                                     \
    {                                                                                              \
        TRANSPORT_RELAYED, 6, false, false                                                         \
    }

static void addresses_have_their_turn_by_transport_and_ip_version(void **state)
{
    static const struct {
        size_t n;
        struct swarm_candidate c[8];
        uint8_t order[8];
    } row[] = {
        {0, {QUIC4}, {0}},
        {3, {QUIC4, QUIC4, QUIC4}, {0, 1, 2}}, /* equals as they are listed */
        {2, {QUIC4, QUIC6}, {1, 0}},
        {4, {TCP4, TCP6, QUIC4, QUIC6}, {3, 2, 1, 0}},
        /* the second of a kind when the first of each had its turn */
        {6, {QUIC6, QUIC6, QUIC6, QUIC4, QUIC4, TCP4}, {0, 3, 5, 1, 4, 2}},
        /* relays last in each turn, of whatever version they are */
        {5, {RELAY6, RELAY4, QUIC4, TCP4, QUIC4}, {2, 3, 0, 4, 1}},
        {4, {RELAY4, RELAY6, RELAY4, TCP6}, {3, 0, 1, 2}},
        /* a proven one is the first of its kind, and its IP version of all kinds */
        {4, {QUIC6, QUIC4, {TRANSPORT_DATAGRAM, 4, true, false}, TCP4}, {2, 0, 3, 1}},
        {4, {QUIC6, QUIC4, TCP6, {TRANSPORT_STREAM, 4, true, false}}, {1, 0, 3, 2}},
        {3, {RELAY4, QUIC4, {TRANSPORT_RELAYED, 0, true, false}}, {1, 2, 0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct swarm_candidate c[8];
        memcpy(c, row[i].c, sizeof c);
        for (size_t k = 0; k < row[i].n; k++) {
            size_t next = swarm_rule_next_dial(c, row[i].n);
            assert_int_equal(next, row[i].order[k]);
            c[next].tried = true;
        }
        assert_int_equal(swarm_rule_next_dial(c, row[i].n), row[i].n);
    }
}

static void one_more_is_dialled_when_the_delay_is_over(void **state)
{
    static const struct {
        uint32_t under_way;
        bool due, may;
    } row[] = {
        {0, false, true}, {0, true, true},  {1, false, false}, {1, true, true},
        {4, true, true},  {5, true, false}, {6, true, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(swarm_rule_attempt(row[i].under_way, row[i].due), row[i].may);
    }
    assert_true(swarm_rule_loses(TRANSPORT_DATAGRAM, TRANSPORT_DATAGRAM));
    assert_true(swarm_rule_loses(TRANSPORT_DATAGRAM, TRANSPORT_STREAM));
    assert_true(swarm_rule_loses(TRANSPORT_RELAYED, TRANSPORT_DATAGRAM));
    assert_true(swarm_rule_loses(TRANSPORT_RELAYED, TRANSPORT_RELAYED));
    assert_false(swarm_rule_loses(TRANSPORT_DATAGRAM, TRANSPORT_RELAYED));
    assert_false(swarm_rule_loses(TRANSPORT_STREAM, TRANSPORT_RELAYED));
}

static void a_link_that_proves_all_of_it_ends_the_pause(void **state)
{
    (void)state;
    assert_true(swarm_rule_clears_backoff(LINK_PQ_KEX | LINK_INBOUND, LINK_PQ_KEX));
    assert_false(swarm_rule_clears_backoff(LINK_PQ_KEX, LINK_PQ_KEX | LINK_PQ_AUTH));
}

static void our_own_limits_are_not_held_against_a_peer(void **state)
{
    (void)state;
    assert_true(swarm_rule_is_ours(QUDAG_ELIMIT) && swarm_rule_is_ours(QUDAG_ENOMEM));
    assert_false(swarm_rule_is_ours(QUDAG_OK) || swarm_rule_is_ours(QUDAG_ETIMEOUT) ||
                 swarm_rule_is_ours(QUDAG_EAUTH) || swarm_rule_is_ours(QUDAG_EUNSUPPORTED));
}

static void more_peers_are_known_than_links_may_stand(void **state)
{
    (void)state;
    assert_int_equal(swarm_rule_peers_max(8), 8192);
    assert_int_equal(swarm_rule_peers_max(4096), 8192);
    assert_int_equal(swarm_rule_peers_max(65536), 131072);
    assert_int_equal(swarm_rule_peers_max(UINT32_MAX), UINT32_MAX);
}

/* ---- paths that die ---- */

static void a_relayed_link_stands_by_for_a_minute_while_the_direct_one_is_in_use(void **state)
{
    (void)state;
    assert_true(swarm_rule_stands_by(LINK_RELAYED, true, 100, 100 + SWARM_STANDBY - 1));
    assert_true(swarm_rule_stands_by(LINK_RELAYED | LINK_LIMITED, true, 100, 100));
    assert_false(swarm_rule_stands_by(LINK_RELAYED, true, 100, 100 + SWARM_STANDBY));
    assert_false(swarm_rule_stands_by(LINK_RELAYED, false, 100, 100));
    assert_false(swarm_rule_stands_by(0, true, 100, 100));
}

static void a_path_that_comes_and_goes_is_trusted_later_each_time(void **state)
{
    static const uint64_t ms[] = {250, 250, 500, 1000, 2000, 4000, 4000};
    (void)state;

    for (uint32_t i = 0; i < ARRAY_LEN(ms); i++) {
        assert_int_equal(swarm_rule_quiet_pause(i), ms[i] * NS_PER_MS);
    }
    assert_int_equal(swarm_rule_quiet_pause(UINT32_MAX), 4 * NS_PER_S);
}

static void a_peer_is_dialled_beside_a_quiet_link_only_where_nothing_else_helps(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        struct swarm_quiet_view v = {.needed = (i & 1) != 0,
                                     .other = (i & 2) != 0,
                                     .dialling = (i & 4) != 0,
                                     .relayed = (i & 8) != 0,
                                     .lasts = (i & 16) != 0,
                                     .too_soon = (i & 32) != 0};
        assert_int_equal(swarm_rule_rescue(&v), (i & 7) == 1 && i > 7 && i < 32);
    }
    for (unsigned i = 0; i < 16; i++) {
        unsigned props = ((i & 1) != 0 ? LINK_INBOUND : 0u) | ((i & 2) != 0 ? LINK_RELAYED : 0u);
        bool needs = swarm_rule_needs_path((uint8_t)props, (i & 4) != 0, (i & 8) != 0);
        assert_int_equal(needs, i != (1 | 2 | 8));
    }
    static const uint8_t s[] = {0, 0, 0, 4, 8, 16, 32, 64, 64};
    for (uint32_t i = 0; i < ARRAY_LEN(s); i++) {
        assert_int_equal(swarm_rule_relapse_pause(i), s[i] * NS_PER_S);
    }
    assert_int_equal(swarm_rule_relapse_pause(UINT32_MAX), 64 * NS_PER_S);
}

static void dials_beside_a_quiet_link_become_rarer(void **state)
{
    static const uint64_t ms[] = {500, 500, 500, 500, 500, 500, 500, 1000, 2000, 4000, 8000, 8000};
    (void)state;

    for (uint32_t i = 0; i < ARRAY_LEN(ms); i++) {
        assert_int_equal(swarm_rule_rescue_pause(i), ms[i] * NS_PER_MS);
    }
    assert_int_equal(swarm_rule_rescue_pause(UINT32_MAX), 8 * NS_PER_S);
}

static void another_link_helps_once_it_has_given_a_sign_of_life(void **state)
{
    const tstamp at = 5 * NS_PER_S, late = at + SWARM_WITNESS_WAIT;
    (void)state;

    assert_int_equal(swarm_rule_witness(true, at, at), SWARM_WITNESS_HEARD);
    assert_int_equal(swarm_rule_witness(true, at, late), SWARM_WITNESS_HEARD);
    assert_int_equal(swarm_rule_witness(false, at, at), SWARM_WITNESS_ASKED);
    assert_int_equal(swarm_rule_witness(false, at, late - 1), SWARM_WITNESS_ASKED);
    assert_int_equal(swarm_rule_witness(false, at, late), SWARM_WITNESS_NONE);
}

static void direct_dials_beside_a_relayed_link_become_rarer(void **state)
{
    uint64_t before = 0;
    (void)state;

    assert_int_equal(swarm_rule_redial_pause(0), 4 * NS_PER_S);
    assert_int_equal(swarm_rule_redial_pause(8), 4 * NS_PER_S);
    assert_int_equal(swarm_rule_redial_pause(9), 8 * NS_PER_S);
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(swarm_rule_redial_pause(i) >= before);
        before = swarm_rule_redial_pause(i);
    }
    assert_int_equal(swarm_rule_redial_pause(UINT32_MAX), 300 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_peers_are_known_than_links_may_stand),
        cmocka_unit_test(addresses_have_their_turn_by_transport_and_ip_version),
        cmocka_unit_test(one_more_is_dialled_when_the_delay_is_over),
        cmocka_unit_test(a_link_that_proves_all_of_it_ends_the_pause),
        cmocka_unit_test(our_own_limits_are_not_held_against_a_peer),
        cmocka_unit_test(only_what_we_dialled_by_choice_is_a_dialled_pin),
        cmocka_unit_test(each_property_proven_before_must_be_proven_again),
        cmocka_unit_test(whoever_floods_the_pins_pushes_out_its_own),
        cmocka_unit_test(what_policy_wants_of_every_link_is_wanted_of_new_peers_too),
        cmocka_unit_test(a_pin_admits_its_key_only),
        cmocka_unit_test(the_first_key_is_pinned_and_stays),
        cmocka_unit_test(hints_lead_to_public_hosts_only),
        cmocka_unit_test(a_limited_link_carries_only_what_allows_it),
        cmocka_unit_test(cells_go_over_links_whose_packets_they_shape),
        cmocka_unit_test(of_two_links_the_better_is_used),
        cmocka_unit_test(what_goes_on_for_long_moves_to_a_direct_link_and_away_from_a_failing_one),
        cmocka_unit_test(both_sides_keep_the_dial_of_the_smaller_id),
        cmocka_unit_test(of_two_ids_one_is_the_smaller_though_one_begins_the_other),
        cmocka_unit_test(links_of_one_certificate_are_not_all_renewed_at_once),
        cmocka_unit_test(a_pin_follows_forward_only),
        cmocka_unit_test(a_second_successor_is_a_conflict),
        cmocka_unit_test(a_link_is_renewed_before_and_ends_with_its_certificates),
        cmocka_unit_test(a_link_of_our_key_before_is_dialled_anew_and_goes_when_it_is_idle),
        cmocka_unit_test(a_link_whose_address_is_gone_cannot_go_on),
        cmocka_unit_test(of_links_at_an_address_that_was_left_only_those_we_dialled_end),
        cmocka_unit_test(a_relayed_link_stands_by_for_a_minute_while_the_direct_one_is_in_use),
        cmocka_unit_test(a_path_that_comes_and_goes_is_trusted_later_each_time),
        cmocka_unit_test(a_peer_is_dialled_beside_a_quiet_link_only_where_nothing_else_helps),
        cmocka_unit_test(dials_beside_a_quiet_link_become_rarer),
        cmocka_unit_test(another_link_helps_once_it_has_given_a_sign_of_life),
        cmocka_unit_test(direct_dials_beside_a_relayed_link_become_rarer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
