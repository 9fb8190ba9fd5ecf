/* pins_test.c - what is remembered of peers, whoever floods the tables; links of testkit.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "swarm/testkit_pins.h"

/* ---- names ---- */

/* The audit's attack: names in EXTENDs and DHT answers cost nothing; a peer must not be forgotten because of them. */
static void invented_names_displace_no_proof(void **state)
{
    (void)state;
    uint32_t link = inbound_with_key(1, BOTH, 1);
    struct swarm_stats st;

    assert_int_equal(w.s->pins.count[SWARM_PIN_MET], 1);
    event(LINK_DOWN, link, 0, NULL, 0);
    settle();
    for (uint32_t i = 0; i < 8300; i++) {
        struct act a = {.type = ACT_OPEN, .cookie = i, .peer = id_no(i)};
        w.n_seen = 0;
        swarm_act(w.s, w.core[0], &a, NULL, w.now);
        settle();
    }
    w.n_seen = 0;
    struct peer_id p = peer_no(1);
    assert_null(swarm_peer_get(w.s, &p));
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.pins, 1);
    uint32_t classical = inbound(1, 0);
    assert_true(w.link[classical].closed);
    assert_int_equal(w.link[classical].close_err, QUDAG_EAUTH);
    uint32_t weaker = inbound_with_key(1, LINK_PQ_AUTH, 1);
    assert_true(w.link[weaker].closed);
    assert_int_equal(w.link[weaker].close_err, QUDAG_EPOLICY);
    uint32_t same = inbound_with_key(1, BOTH, 1);
    assert_false(w.link[same].closed);
}

/* Nothing is remembered of who has proven nothing, or of a dial that names a key. */
static void a_name_enters_nothing(void **state)
{
    (void)state;
    struct swarm_stats st;
    struct multiaddr ma;
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 2}, .port = 4001};
    struct peer_id p = peer_no(5);
    uint8_t hash[32] = {5};

    know(1, 3);
    open_to(1, 1, 0);
    (void)inbound(2, 0);
    multiaddr_quic(&ma, &a, &p);
    assert_int_equal(swarm_connect(w.s, w.core[0], 1, &ma, hash, w.now), QUDAG_OK);
    swarm_stats_get(w.s, &st);
    assert_int_equal(st.pins, 0);
}

/* ---- what the operator wrote ---- */

/* He may have mistyped it: then the right one must get through, after a restart too. */
static void what_is_only_told_is_not_saved_and_yields_to_what_is_told_next(void **state)
{
    const uint8_t slip[SWARM_PIN_LEN] = {1, 8}, right[SWARM_PIN_LEN] = {1, 7};
    struct peer_id id = id_no(1);
    struct swarm_pin_change c;
    (void)state;
    assert_int_equal(swarm_pins_tell(&pins, &id, slip), QUDAG_OK);
    assert_true(swarm_pins_is_told(&pins, &id));
    assert_memory_equal(swarm_pins_proof(&pins, &id)->pin, slip, SWARM_PIN_LEN); /* demanded */
    assert_int_equal(swarm_pins_record(&pins, &id, right), QUDAG_EAUTH); /* who signs it may lie */
    swarm_pins_change_all(&pins);
    assert_false(to_write(&c));
    assert_int_equal(swarm_pins_tell(&pins, &id, right), QUDAG_OK);
    assert_int_equal(swarm_pins_tell(&pins, &id, right), QUDAG_EEXISTS);
    assert_false(to_write(&c));
    learn(1, SWARM_PIN_DIALLED, 0); /* a handshake proves it */
    assert_false(swarm_pins_is_told(&pins, &id));
    assert_true(swarm_pins_get(&pins, &id)->known);
    assert_true(to_write(&c));
    assert_int_equal(swarm_pins_tell(&pins, &id, slip), QUDAG_EAUTH);
    assert_int_equal(swarm_pins_tell(&pins, &id, right), QUDAG_EEXISTS);
}

static void a_record_that_agrees_proves_what_was_told(void **state)
{
    const uint8_t hash[SWARM_PIN_LEN] = {1, 7};
    struct peer_id id = id_no(1);
    struct swarm_pin_change c;
    (void)state;
    assert_int_equal(swarm_pins_tell(&pins, &id, hash), QUDAG_OK);
    assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_OK);
    assert_false(swarm_pins_is_told(&pins, &id));
    assert_true(to_write(&c));
    assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_EEXISTS);
}

/* A peer that has proven its key exchange, and whose key was only told: the disk learns the former. */
static void of_what_is_told_only_the_proven_part_is_saved(void **state)
{
    const uint8_t slip[SWARM_PIN_LEN] = {1, 8};
    struct peer_id id = id_no(1);
    struct swarm_claim claim = {LINK_PQ_KEX, NULL};
    struct swarm_pin_change c;
    bool first;
    (void)state;
    assert_int_equal(swarm_pins_learn(&pins, &id, SWARM_PIN_MET, 0, &claim, &first), QUDAG_OK);
    assert_int_equal(swarm_pins_tell(&pins, &id, slip), QUDAG_OK);
    assert_true(to_write(&c));
    swarm_pins_fini(&pins);
    swarm_pins_init(&pins, &mem, seed, MAX, true);
    assert_int_equal(swarm_pins_restore(&pins, c.name, (struct slice){c.bytes, c.len}), QUDAG_OK);
    assert_false(swarm_pins_get(&pins, &id)->known);
    assert_false(swarm_pins_proof(&pins, &id)->has_pin);
    assert_int_equal(swarm_pins_proof(&pins, &id)->proven, LINK_PQ_KEX);
}

/* The hash of an address counts for the dial that is made with it, whatever the configuration says of the peer. */
static void a_dial_demands_the_hash_of_its_own_address(void **state)
{
    const uint8_t slip[32] = {8}, right[32] = {7}, other[32] = {9};
    struct multiaddr ma;
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 2}, .port = 4001};
    struct peer_id p = peer_no(5);
    uint8_t hash[32];
    (void)state;
    multiaddr_quic(&ma, &a, &p);
    swarm_pin_tell(w.s, &p, slip);
    assert_false(swarm_pinned(w.s, &p, hash));
    assert_int_equal(swarm_connect(w.s, w.core[0], 1, &ma, right, w.now), QUDAG_OK);
    uint32_t ix = w.n_links - 1;
    assert_true(w.link[ix].has_pin);
    assert_memory_equal(w.link[ix].pin, right, sizeof(right));
    w.link[ix].has_hash = true;
    w.link[ix].hash[0] = 7;
    up(ix, BOTH);
    assert_false(w.link[ix].closed);
    assert_true(swarm_pinned(w.s, &p, hash));
    assert_memory_equal(hash, right, sizeof(hash));
    assert_true(swarm_pins_get(&w.s->pins, &p)->known);
    assert_int_equal(swarm_connect(w.s, w.core[0], 2, &ma, other, w.now), QUDAG_EAUTH);
    settle();
}

/* ---- a full table ---- */

static void who_comes_from_one_network_displaces_its_own(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        learn(i, SWARM_PIN_MET, 1000 + i);
        learn(100 + i, SWARM_PIN_DIALLED, 0);
    }
    for (uint32_t i = 0; i < 10 * MAX; i++) {
        learn(1000 + i, SWARM_PIN_MET, 8);
    }
    assert_int_equal(pins.by_id.n, MAX);
    for (uint32_t i = 0; i < 8; i++) {
        assert_true(knows(i));
        assert_true(knows(100 + i));
    }
    assert_true(knows(1000 + 10 * MAX - 1)); /* the newest */
    assert_false(knows(1000));
}

static void records_do_not_displace_what_was_proven(void **state)
{
    (void)state;
    uint8_t hash[SWARM_PIN_LEN] = {1};

    for (uint32_t i = 0; i < MAX / 4; i++) {
        learn(i, SWARM_PIN_MET, 1000 + i);
        learn(100 + i, SWARM_PIN_DIALLED, 0);
    }
    for (uint32_t i = 0; i < 10 * MAX; i++) {
        struct peer_id id = id_no(1000 + i);
        assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_OK);
    }
    for (uint32_t i = 0; i < MAX / 4; i++) {
        assert_true(knows(i));
        assert_true(knows(100 + i));
    }
}

/* An address in another network costs little: as many networks as there are groups do not help. */
static void dials_for_others_displace_no_dialled_one(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MAX / 4; i++) {
        learn(i, SWARM_PIN_DIALLED, 7);
    }
    for (uint32_t i = 0; i < 10 * MAX; i++) {
        learn(1000 + i, swarm_rule_pin_source(false, false), 5000 + i);
    }
    for (uint32_t i = 0; i < MAX / 4; i++) {
        assert_true(knows(i));
    }
}

/* Even of those dialled by choice (bootstrap peers that move) a network displaces its own. */
static void who_is_dialled_in_one_network_displaces_its_own(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MAX / 8; i++) {
        learn(i, SWARM_PIN_DIALLED, 1000 + i);
    }
    for (uint32_t i = 0; i < 10 * MAX; i++) {
        learn(1000 + i, SWARM_PIN_DIALLED, 8);
    }
    assert_int_equal(pins.by_id.n, MAX);
    for (uint32_t i = 0; i < MAX / 8; i++) {
        assert_true(knows(i));
    }
}

/* What was met becomes dialled once we choose the peer, and nothing makes it less again. */
static void who_is_chosen_later_counts_as_dialled(void **state)
{
    struct peer_id id = id_no(1), stranger = id_no(2);
    (void)state;

    learn(1, SWARM_PIN_MET, 7);
    swarm_pins_chosen(&pins, &stranger, 7);
    swarm_pins_chosen(&pins, &id, 7);
    assert_int_equal(pins.count[SWARM_PIN_DIALLED], 1);
    learn(1, SWARM_PIN_MET, 8);
    assert_int_equal(swarm_pins_get(&pins, &id)->net, 7);
    assert_int_equal(pins.count[SWARM_PIN_DIALLED], 1);
    assert_int_equal(pins.by_id.n, 1);
}

static bool in_use(const void *ctx, const struct peer_id *id)
{
    struct peer_id first = id_no(0);

    (void)ctx;
    return peer_id_eq(id, &first);
}

static void who_is_used_stays_and_who_is_not_goes_first(void **state)
{
    (void)state;
    pins.in_use = in_use;
    for (uint32_t i = 0; i < MAX; i++) {
        learn(i, SWARM_PIN_MET, 7);
    }
    learn(1, SWARM_PIN_MET, 7); /* again */
    learn(1000, SWARM_PIN_MET, 7);
    assert_true(knows(0)); /* a link stands */
    assert_true(knows(1));
    assert_false(knows(2));
    pins.in_use = NULL;
}

static void a_peer_moves_to_what_it_has_proven(void **state)
{
    (void)state;
    struct peer_id id = id_no(1);
    uint8_t hash[SWARM_PIN_LEN] = {1, 7};

    assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_OK);
    assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_EEXISTS);
    hash[0] = 2;
    assert_int_equal(swarm_pins_record(&pins, &id, hash), QUDAG_EAUTH);
    assert_int_equal(pins.count[SWARM_PIN_RECORDED], 1);
    learn(1, SWARM_PIN_MET, 7);
    assert_int_equal(pins.count[SWARM_PIN_RECORDED], 0);
    assert_int_equal(pins.count[SWARM_PIN_MET], 1);
    learn(1, SWARM_PIN_DIALLED, 0);
    learn(1, SWARM_PIN_MET, 7);
    assert_int_equal(pins.count[SWARM_PIN_MET], 0);
    assert_int_equal(pins.count[SWARM_PIN_DIALLED], 1);
    assert_true(swarm_pins_get(&pins, &id)->known);
}

/* ---- from which dials ---- */

static enum swarm_pin_source source_of(uint8_t peer)
{
    struct peer_id id = peer_no(peer);
    const struct swarm_pin_entry *e = swarm_pins_get(&w.s->pins, &id);

    assert_non_null(e);
    return e->source;
}

static void proven(uint32_t link)
{
    w.link[link].has_hash = true;
    up(link, BOTH);
}

/* Core 1 chooses whom it dials, core 0 does not (testkit.h). */
static void only_dials_of_our_choice_count_as_dialled(void **state)
{
    struct act a = {.type = ACT_OPEN, .cookie = 2, .peer = peer_no(2)};
    struct multiaddr ma = addr_no(30);
    struct peer_id third = peer_no(3);
    struct transport_target to = {.addr = &ma, .peer = &third, .pq_hash = w.link[0].hash};
    (void)state;

    know(1, 1);
    open_to(1, 1, 0);
    proven(0);
    assert_int_equal(source_of(1), SWARM_PIN_MET);
    know(2, 1);
    swarm_act(w.s, w.core[1], &a, NULL, w.now);
    proven(1);
    assert_int_equal(source_of(2), SWARM_PIN_DIALLED);
    assert_int_equal(swarm_dial_out(w.s, w.core[0], 3, &to, w.now), QUDAG_OK);
    proven(2);
    assert_int_equal(source_of(3), SWARM_PIN_MET);
    /* A circuit extended over the link is no choice; a stream of our own is. */
    a = (struct act){.type = ACT_OPEN, .cookie = 4, .peer = peer_no(3), .no_dial = true};
    swarm_act(w.s, w.core[1], &a, NULL, w.now);
    assert_int_equal(source_of(3), SWARM_PIN_MET);
    a.no_dial = false;
    swarm_act(w.s, w.core[1], &a, NULL, w.now);
    assert_int_equal(source_of(3), SWARM_PIN_DIALLED);
    /* Nor is one over a link by which the peer came. */
    (void)inbound_with_key(4, BOTH, 4);
    a.peer = peer_no(4);
    swarm_act(w.s, w.core[1], &a, NULL, w.now);
    assert_int_equal(source_of(4), SWARM_PIN_MET);
    /* A dial of our choice is one without a stream, too. */
    struct peer_id fifth = peer_no(5);
    to.peer = &fifth;
    assert_int_equal(swarm_dial_out(w.s, w.core[1], 5, &to, w.now), QUDAG_OK);
    proven(w.n_links - 1);
    assert_int_equal(source_of(5), SWARM_PIN_DIALLED);
}

/* swarm_connect() to where a link stands already is as good as a dial. */
static void a_bootstrap_peer_that_is_linked_counts_as_dialled(void **state)
{
    struct peer_id p = peer_no(1);
    struct multiaddr ma;
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 10}, .port = 4001};
    (void)state;

    know(1, 1);
    open_to(1, 1, 0);
    proven(0);
    multiaddr_quic(&ma, &a, &p);
    assert_int_equal(swarm_connect(w.s, w.core[1], 1, &ma, NULL, w.now), QUDAG_OK);
    assert_int_equal(w.n_links, 1);
    assert_int_equal(source_of(1), SWARM_PIN_DIALLED);
}

/*
 * The audit's M8 once more, with real handshakes: an attacker has us dial his hosts by EXTENDs and DHT answers, in many
 * networks, and dials us himself.  The guard's pin stays.
 */
static void a_flood_of_handshakes_leaves_the_guard_pinned(void **state)
{
    struct act guard = {.type = ACT_OPEN, .cookie = 1, .peer = peer_no(1)};
    (void)state;

    w.s->pins.max = MAX;
    know(1, 1);
    swarm_act(w.s, w.core[1], &guard, NULL, w.now);
    proven(0);
    event(LINK_DOWN, 0, 0, NULL, 0);
    settle();
    for (uint32_t i = 0; i < 20 * MAX; i++) {
        struct multiaddr ma;
        struct netaddr a = {
            .family = 4, .ip = {(uint8_t)(20 + i % 100), (uint8_t)i, 1, 1}, .port = 1};
        struct peer_id id = id_no(i);
        struct transport_target to = {.addr = &ma, .peer = &id, .pq_hash = w.link[0].hash};
        multiaddr_quic(&ma, &a, NULL);
        w.n_links = 1 + i % 8;
        w.n_seen = 0;
        if (i % 2 == 0) {
            assert_int_equal(swarm_dial_out(w.s, w.core[0], i, &to, w.now), QUDAG_OK);
        } else {
            w.link[w.n_links++] = (struct fake_link){.peer = id, .remote = a};
        }
        uint32_t ix = w.n_links - 1;
        w.link[ix].has_hash = true;
        up(ix, i % 2 == 0 ? BOTH : BOTH | LINK_INBOUND);
        assert_false(w.link[ix].closed);
        event(LINK_DOWN, ix, 0, NULL, 0);
        settle();
    }
    assert_int_equal(w.s->pins.by_id.n, MAX);
    assert_int_equal(source_of(1), SWARM_PIN_DIALLED);
    w.n_links = 20;
    assert_true(w.link[inbound(1, 0)].closed);
}

/* Which allocation fails is all the same: no link stands whose proof is not remembered. */
static void without_memory_nothing_stands_that_is_not_remembered(void **state)
{
    struct swarm_stats st;
    bool stands = false;
    (void)state;

    for (uint64_t n = 1; !stands; n++) {
        uint32_t ix = w.n_links++;
        w.link[ix] = (struct fake_link){.peer = peer_no(1), .has_hash = true};
        w.mem.fail_at = n;
        up(ix, BOTH | LINK_INBOUND);
        w.mem.fail_at = 0;
        swarm_stats_get(w.s, &st);
        stands = st.links > 0;
        assert_int_equal(w.link[ix].closed, !stands);
        assert_true(n < 20);
    }
    assert_int_equal(st.pins, 1);
}

/* Nobody chooses networks that share a group: it follows from a key. */
static void groups_of_networks_are_of_a_secret(void **state)
{
    static const uint8_t other[16] = {5};
    uint16_t list[2][32];
    unsigned same = 0;
    (void)state;

    mem_init(&mem, NULL, 0);
    for (unsigned run = 0; run < 2; run++) {
        swarm_pins_init(&pins, &mem, run == 0 ? seed : other, 100, false);
        for (uint32_t i = 0; i < 32; i++) {
            struct peer_id id = id_no(i);
            learn(i, SWARM_PIN_MET, 1000 + i * SWARM_PIN_GROUPS);
            list[run][i] = swarm_pins_get(&pins, &id)->list;
        }
        swarm_pins_fini(&pins);
    }
    for (uint32_t i = 0; i < 32; i++) {
        same += list[0][i] == list[1][i];
    }
    assert_true(same < 8);
}

int main(void)
{
#define S(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define T(name) cmocka_unit_test_setup_teardown(name, small, small_gone)
    const struct CMUnitTest tests[] = {
        S(invented_names_displace_no_proof),
        S(a_name_enters_nothing),
        T(what_is_only_told_is_not_saved_and_yields_to_what_is_told_next),
        T(a_record_that_agrees_proves_what_was_told),
        T(of_what_is_told_only_the_proven_part_is_saved),
        S(a_dial_demands_the_hash_of_its_own_address),
        S(without_memory_nothing_stands_that_is_not_remembered),
        T(who_comes_from_one_network_displaces_its_own),
        T(records_do_not_displace_what_was_proven),
        T(who_is_used_stays_and_who_is_not_goes_first),
        T(a_peer_moves_to_what_it_has_proven),
        cmocka_unit_test(groups_of_networks_are_of_a_secret),
        T(dials_for_others_displace_no_dialled_one),
        T(who_is_dialled_in_one_network_displaces_its_own),
        T(who_is_chosen_later_counts_as_dialled),
        S(only_dials_of_our_choice_count_as_dialled),
        S(a_bootstrap_peer_that_is_linked_counts_as_dialled),
        S(a_flood_of_handshakes_leaves_the_guard_pinned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
