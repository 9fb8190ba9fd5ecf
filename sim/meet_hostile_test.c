/*
 * meet_hostile_test.c - what a peer, or somebody on the way, can and cannot do with a meeting
 * (spec/meet.md 9): packets that are forged, replayed, from elsewhere; victims that are named; messages in the wrong
 * state; silence; floods.
 */
#include "sim/meet_bed.h"

#include "base/wr.h"
#include "wire/stun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct bed_router strict = {
    .mapping = NAT_INDEPENDENT, .filter = NAT_ADDRESS_PORT, .ports = NAT_RANDOM};
static const struct bed_router symmetric = {
    .mapping = NAT_ADDRESS_PORT, .filter = NAT_ADDRESS_PORT, .ports = NAT_RANDOM};

static struct meet_candidate candidate(struct netaddr a, enum meet_kind kind)
{
    return (struct meet_candidate){.addr = a, .kind = kind};
}

/* Side 1 names |n| addresses of the victim, beside its own. */
static uint32_t victim_gets(unsigned n, enum meet_nat nat, bool named, bool one_port)
{
    struct bed b;

    bed_init(&b, n);
    bed_homes(&b, nat == MEET_NAT_DEPENDENT ? &symmetric : &strict, &strict);
    b.side[1].own.nat = nat;
    b.side[0].own.nat = MEET_NAT_INDEPENDENT;
    b.side[0].own.named = named;
    b.victim.ip = bed_ip4(203, 0, 113, 9, 0);
    b.side[1].own.n = 0;
    for (unsigned i = 0; i < n; i++) {
        b.side[1].cand[i] = candidate(
            bed_ip4(203, 0, 113, 9, (uint16_t)(one_port ? 4001 : 5000 + i)), MEET_OBSERVED);
    }
    b.side[1].own.n = n;
    bed_begin(&b);
    bed_run(&b, 120 * NS_PER_S);
    uint32_t got = b.victim.got;
    struct meet_look look = bed_look(&b, 0);
    assert_int_equal(look.state, MEET_FAILED);
    bed_free(&b);
    return got;
}

static void a_victim_that_is_named_gets_few_packets(void **state)
{
    (void)state;
    assert_in_range(victim_gets(1, MEET_NAT_INDEPENDENT, true, true), 1, 2 * MEET_HOST_ROUND);
    for (unsigned n = 4; n <= MEET_CANDIDATES_MAX; n += 4) {
        assert_in_range(victim_gets(n, MEET_NAT_INDEPENDENT, true, false), 1, 2 * MEET_HOST_ROUND);
    }
    /* A peer that claims a symmetric router gets no 1024 packets sent unless the program named it. */
    assert_in_range(victim_gets(16, MEET_NAT_DEPENDENT, false, false), MEET_UNANSWERED_MAX,
                    2 * MEET_UNANSWERED_MAX);
    assert_in_range(victim_gets(16, MEET_NAT_DEPENDENT, true, false), MEET_PROBES,
                    MEET_PROBES + MEET_UNANSWERED_MAX);
}

static void many_hosts_that_are_named_get_few_packets_in_all(void **state)
{
    struct bed b;
    (void)state;

    bed_init(&b, 1);
    bed_homes(&b, &strict, &strict);
    for (unsigned i = 0; i < MEET_CANDIDATES_MAX; i++) {
        b.side[1].cand[i] = candidate(bed_ip4(203, 0, (uint8_t)i, 9, 5000), MEET_OBSERVED);
    }
    b.side[1].own.n = MEET_CANDIDATES_MAX;
    bed_begin(&b);
    bed_run(&b, 120 * NS_PER_S);
    assert_true(b.side[0].over);
    struct meet_look look = bed_look(&b, 0);
    assert_in_range(b.side[0].sent, 16, MEET_UNANSWERED_MAX + look.received); /* one answer each */
    bed_free(&b);
}

/* Each request of the peer comes from the victim: who has the keys can forge a source, but gets nothing sent there. */
static void from_the_victim(struct bed *b, struct bed_event *e)
{
    if (e->side == 0 && e->len > 1 && e->bytes[0] == 0 && e->bytes[1] == 1) {
        e->from = b->victim.ip;
        e->from.port = 5000;
    }
}

static void a_forged_source_does_not_make_a_host_one_that_answered(void **state)
{
    static const struct bed_router open = {
        .mapping = NAT_INDEPENDENT, .filter = NAT_INDEPENDENT, .ports = NAT_RANDOM};
    struct bed b;
    (void)state;

    bed_init(&b, 3);
    bed_homes(&b, &open, &symmetric);
    b.side[0].own.named = false;
    b.side[1].own.nat = MEET_NAT_DEPENDENT;
    b.victim.ip = bed_ip4(203, 0, 113, 9, 0);
    b.side[1].cand[0] = candidate(bed_ip4(203, 0, 113, 9, 5000), MEET_OBSERVED);
    b.side[1].own.n = 1;
    b.tap = from_the_victim;
    bed_begin(&b);
    bed_run(&b, 120 * NS_PER_S);
    assert_int_equal(bed_look(&b, 0).round, MEET_BIRTHDAY);
    /* One answer to each request of the peer's, and what goes to a host that has not answered. */
    uint32_t answers = bed_look(&b, 0).received;
    assert_in_range(answers, 1, 1024);
    assert_in_range(b.victim.got, 1, answers + 2 * MEET_UNANSWERED_MAX + MEET_TRIGGERED_MAX);
    bed_free(&b);
}

/* The same again, under another name. */
static void begin_as_another(struct bed *b, uint8_t nth)
{
    uint8_t pk[32] = {77, nth};
    struct meet *other = b->side[1].m;

    peer_id_from_ed25519(&b->side[1].id, pk);
    struct meet_config cfg = {.mem = &b->mem, .rng = b->rng, .self = b->side[1].id};
    b->side[1].m = meet_new(&cfg);
    meet_free(other);
    b->side[0].over = b->side[1].over = false;
    bed_begin(b);
    bed_run(b, b->now + 60 * NS_PER_S);
}

static void a_host_gets_few_packets_of_many_meetings(void **state)
{
    struct bed b;
    (void)state;

    for (unsigned named = 0; named < 2; named++) {
        bed_init(&b, 4);
        bed_homes(&b, &strict, &strict);
        b.side[0].own.named = named != 0;
        b.victim.ip = bed_ip4(203, 0, 113, 9, 0);
        b.side[1].own.n = 4;
        for (uint8_t i = 0; i < 4; i++) {
            b.side[1].cand[i] =
                candidate(bed_ip4(203, 0, 113, 9, (uint16_t)(5000 + i)), MEET_OBSERVED);
        }
        bed_begin(&b);
        bed_run(&b, b.now + 60 * NS_PER_S);
        uint32_t once = b.victim.got;
        for (uint8_t i = 0; i < 20; i++) {
            begin_as_another(&b, i);
        }
        assert_true(b.now < 600 * NS_PER_S);
        assert_in_range(b.victim.got, once, (named ? 4 : 1) * MEET_UNANSWERED_MAX);
        bed_free(&b);
    }
}

static void no_host_gets_two_birthdays_whoever_names_it(void **state)
{
    struct bed b;
    (void)state;

    bed_init(&b, 5);
    bed_homes(&b, &strict, &symmetric);
    b.side[1].cand[1].addr = bed_ip4(203, 0, 113, 9, 5000);
    bed_begin(&b);
    bed_run(&b, 120 * NS_PER_S);
    assert_in_range(b.side[0].sent, MEET_PROBES, MEET_PROBES + MEET_UNANSWERED_MAX);
    /* The same again, under another name. */
    uint32_t before = b.side[0].sent;
    uint8_t pk[32] = {77};
    struct meet *other = b.side[1].m;
    peer_id_from_ed25519(&b.side[1].id, pk);
    struct meet_config cfg = {.mem = &b.mem, .rng = b.rng, .self = b.side[1].id};
    b.side[1].m = meet_new(&cfg);
    meet_free(other);
    b.side[0].over = b.side[1].over = false;
    bed_begin(&b);
    bed_run(&b, b.now + 120 * NS_PER_S);
    assert_in_range(b.side[0].sent - before, 1, MEET_UNANSWERED_MAX);
    bed_free(&b);
}

/* ---- packets ---- */

struct spoof {
    unsigned kept;
    struct bed_event first[64];
    unsigned way;
};

/* Turns each packet into something that must not be believed, by |way|. */
static void spoil(struct bed *b, struct bed_event *e)
{
    struct spoof *s = b->tap_ctx;

    switch (s->way) {
    case 0:
        e->bytes[e->len - 1] ^= 1; /* of the integrity */
        break;
    case 1:
        e->bytes[8] ^= 1; /* of the transaction id */
        break;
    case 2:
        e->len -= 1;
        break;
    default:
        e->bytes[0] = 0x01; /* a request made an answer */
        e->bytes[1] = 0x01;
        break;
    }
}

static void forged_packets_are_no_packets(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        struct spoof s = {.way = way};
        struct bed b;
        bed_init(&b, way);
        bed_homes(&b, &strict, &strict);
        b.tap = spoil;
        b.tap_ctx = &s;
        bed_begin(&b);
        bed_run(&b, 120 * NS_PER_S);
        struct meet_look look = bed_look(&b, 0);
        assert_int_equal(look.state, MEET_FAILED);
        assert_int_equal(look.received, 0);
        assert_true(b.side[0].found_at == 0);
        bed_free(&b);
    }
}

static void keep_all(struct bed *b, struct bed_event *e)
{
    struct spoof *s = b->tap_ctx;

    if (s->kept < ARRAY_LEN(s->first)) {
        s->first[s->kept++] = *e;
    }
}

static void packets_of_another_meeting_are_nobodys(void **state)
{
    struct spoof s = {.kept = 0};
    struct bed b, again;
    (void)state;

    bed_init(&b, 1);
    bed_homes(&b, &strict, &strict);
    b.tap = keep_all;
    b.tap_ctx = &s;
    bed_begin(&b);
    bed_run(&b, 60 * NS_PER_S);
    assert_int_equal(bed_look(&b, 0).state, MEET_DIRECT);
    assert_true(s.kept > 2);
    bed_init(&again, 2);
    bed_homes(&again, &strict, &strict);
    bed_begin(&again);
    bed_run(&again, again.now + 100 * NS_PER_MS);
    for (unsigned i = 0; i < s.kept; i++) {
        for (unsigned side = 0; side < 2; side++) {
            struct meet_pair at = {.remote = s.first[i].from};
            bool mine = true;
            BED_CALL(&again, side,
                     mine = meet_packet_in(again.side[side].m, &at,
                                           (struct slice){s.first[i].bytes, s.first[i].len},
                                           again.now, &out));
            assert_false(mine);
        }
    }
    bed_free(&b);
    bed_free(&again);
}

/* An answer that comes from elsewhere makes no pair; neither does a side's own request that comes back to it. */
static void from_elsewhere(struct bed *b, struct bed_event *e)
{
    const struct spoof *s = b->tap_ctx;

    if (e->bytes[0] == 0x01 && s->way == 0) {
        e->from = bed_ip4(203, 0, 113, 9, 5000);
    } else if (e->bytes[0] != 0x01 && s->way == 1) {
        e->side = 1 - e->side;
    }
}

static void answers_from_elsewhere_and_reflections_count_for_nothing(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        struct spoof s = {.way = way};
        struct bed b;
        bed_init(&b, 1);
        bed_homes(&b, &strict, &strict);
        b.tap = from_elsewhere;
        b.tap_ctx = &s;
        bed_begin(&b);
        bed_run(&b, 120 * NS_PER_S);
        assert_int_equal(bed_look(&b, 0).state, MEET_FAILED);
        assert_true(b.side[0].found_at == 0 && b.victim.got == 0);
        bed_free(&b);
    }
}

static void a_replayed_request_gets_one_answer_each_and_no_more_than_is_stated(void **state)
{
    struct spoof s = {.kept = 0};
    struct bed b;
    (void)state;

    bed_init(&b, 1);
    bed_homes(&b, &strict, &strict);
    b.tap = keep_all;
    b.tap_ctx = &s;
    bed_begin(&b);
    while (s.kept == 0) {
        bed_run(&b, b.now + NS_PER_MS);
    }
    b.victim.ip = bed_ip4(203, 0, 113, 9, 0);
    unsigned side = s.first[0].side;
    assert_int_equal(s.first[0].bytes[0], 0);
    for (unsigned i = 0; i < 4000; i++) {
        struct meet_pair at = {.remote = bed_ip4(203, 0, 113, 9, (uint16_t)(2000 + i))};
        BED_CALL(&b, side,
                 (void)meet_packet_in(b.side[side].m, &at,
                                      (struct slice){s.first[0].bytes, s.first[0].len}, b.now,
                                      &out));
    }
    assert_in_range(b.victim.got, 1, 2048 + 64);
    bed_run(&b, b.now + 60 * NS_PER_S);
    assert_in_range(b.victim.got, 1, 2048 + 16 * MEET_CHECKS_ALL);
    bed_free(&b);
}

/* ---- the relayed link ---- */

static void peers_that_vanish_are_given_up(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 3000; ms += 20) {
        struct bed b;
        bed_init(&b, ms);
        bed_homes(&b, &symmetric, &strict);
        bed_begin(&b);
        bed_run(&b, b.now + ms * NS_PER_MS);
        b.side[ms / 20 % 2].mute = true;
        b.side[ms / 20 % 2].over = true;
        bed_run(&b, b.now + 200 * NS_PER_S);
        assert_true(b.side[0].over && b.side[1].over);
        for (size_t i = 0; i < b.side[1 - ms / 20 % 2].n_socks; i++) {
            assert_false(b.side[1 - ms / 20 % 2].open[i]);
        }
        bed_free(&b);
    }
}

static size_t message(uint8_t *dst, size_t cap, const struct meet_msg *m)
{
    struct wr w = wr_init(dst, cap);

    meet_msg_write(&w, m);
    return wr_done(&w).len;
}

/* Each message at each moment: what does not belong there ends the meeting, and nothing else happens. */
static void messages_in_the_wrong_state_end_it(void **state)
{
    static const struct meet_msg all[] = {{.type = MEET_HELLO},
                                          {.type = MEET_ROUND, .round = MEET_PLAIN},
                                          {.type = MEET_ROUND, .round = MEET_FRESH_PORT},
                                          {.type = MEET_ROUND, .round = MEET_BIRTHDAY},
                                          {.type = MEET_START, .round = MEET_PLAIN},
                                          {.type = MEET_START, .round = MEET_BIRTHDAY},
                                          {.type = MEET_END, .end = MEET_END_DIRECT},
                                          {.type = MEET_END, .end = MEET_END_GIVE_UP},
                                          {.type = MEET_END, .end = MEET_END_REFUSED},
                                          {.type = MEET_END, .end = MEET_END_BUSY},
                                          {.type = MEET_END, .end = MEET_END_SHORT}};
    unsigned broken = 0;
    (void)state;

    for (unsigned ms = 0; ms < 4000; ms += 97) {
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
            for (unsigned side = 0; side < 2; side++) {
                struct bed b;
                uint8_t bytes[600];
                bed_init(&b, ms);
                bed_homes(&b, &symmetric, &strict);
                bed_begin(&b);
                bed_run(&b, b.now + ms * NS_PER_MS);
                size_t len = message(bytes, sizeof(bytes), &all[i]);
                enum meet_state in = bed_look(&b, side).state;
                bool never = i == 0 ? in == MEET_GATHERING || in == MEET_CHECKING
                                    : i == 1 && in == MEET_GATHERING;
                bed_event_in(
                    &b, side,
                    (struct ev){.type = EV_DATA, .strm = b.side[side].strm, .data = {bytes, len}});
                broken += bed_look(&b, side).err == QUDAG_EPROTO ? 1 : 0;
                assert_true(!never || bed_look(&b, side).err == QUDAG_EPROTO); /* at once */
                bed_run(&b, b.now + 200 * NS_PER_S);
                assert_true(b.side[0].over && b.side[1].over);
                assert_true(b.side[0].sent + b.side[1].sent < 4 * MEET_PROBES);
                bed_free(&b);
            }
        }
    }
    assert_true(broken > 100);
}

static void a_node_that_refuses_says_so_and_sends_nothing(void **state)
{
    struct bed b;
    (void)state;

    bed_init(&b, 1);
    bed_homes(&b, &strict, &strict);
    b.side[1].refuses = true;
    bed_begin(&b);
    bed_run(&b, 60 * NS_PER_S);
    struct meet_look look = bed_look(&b, 0);
    assert_int_equal(look.err, QUDAG_EREFUSED);
    assert_string_equal(look.why, "the peer meets only peers that it knows");
    assert_int_equal(b.side[0].sent + b.side[1].sent, 0);
    assert_int_equal(meet_statistics(b.side[1].m)->refused, 1);
    /* and what it refused is nothing that it would be kept from itself */
    assert_true(meet_may(b.side[1].m, &b.side[0].id, b.now));
    assert_false(meet_may(b.side[0].m, &b.side[1].id, b.now));
    bed_free(&b);
}

static void what_is_lacking_here_is_not_held_against_the_peer(void **state)
{
    struct bed b;
    (void)state;

    bed_init(&b, 1);
    bed_homes(&b, &symmetric, &strict);
    b.side[0].sockets_max = 2;
    bed_begin(&b);
    bed_run(&b, 60 * NS_PER_S);
    struct meet_look look = bed_look(&b, 0);
    assert_int_equal(look.err, QUDAG_ELIMIT);
    assert_string_equal(look.why, "too few sockets are to be had here");
    assert_true(meet_may(b.side[0].m, &b.side[1].id, b.now + 11 * NS_PER_S));
    assert_string_equal(bed_look(&b, 1).why, "the peer lacks sockets");
    bed_free(&b);
}

static struct peer_id stranger(uint8_t nth)
{
    uint8_t pk[32] = {nth, 1};
    struct peer_id id;

    peer_id_from_ed25519(&id, pk);
    return id;
}

static void those_who_ask_leave_room_for_whom_we_ask(void **state)
{
    struct bed b;
    unsigned resets = 0;
    qudag_err err = QUDAG_OK;
    (void)state;

    bed_init(&b, 1);
    bed_homes(&b, &strict, &strict);
    for (uint8_t i = 0; i < 40; i++) {
        struct peer_id id = stranger(i);
        struct ev ev = {.type = EV_STREAM_OPEN,
                        .peer = &id,
                        .strm = {100u + i, 1},
                        .inbound = true,
                        .props = LINK_RELAYED};
        struct acts out = bed_acts();
        meet_ops.event(b.side[0].m, &ev, b.now, &out);
        resets += out.n > 0 && out.v[0].type == ACT_RESET ? 1 : 0;
    }
    assert_int_equal(resets, 40 - MEET_DOOR_MAX);
    for (uint8_t i = 0; i < MEET_OURS_MAX; i++) {
        struct peer_id id = stranger((uint8_t)(100 + i));
        struct acts out = bed_acts();
        err = meet_begin(b.side[0].m, &id, &b.side[0].own, b.now, &out);
        assert_int_equal(err, QUDAG_OK);
    }
    struct acts out = bed_acts();
    struct peer_id id = stranger(200);
    assert_int_equal(meet_begin(b.side[0].m, &id, &b.side[0].own, b.now, &out), QUDAG_ELIMIT);
    bed_free(&b);
}

/* What nobody here has allowed keeps no place from who comes later, and may be somebody that the program named. */
static void those_who_ask_and_say_nothing_give_way(void **state)
{
    struct bed b;
    (void)state;

    bed_init(&b, 1);
    bed_homes(&b, &strict, &strict);
    for (uint8_t i = 0; i <= MEET_DOOR_MAX; i++) {
        struct peer_id id = stranger(i);
        struct ev ev = {.type = EV_STREAM_OPEN,
                        .peer = &id,
                        .strm = {100u + i, 1},
                        .inbound = true,
                        .props = LINK_RELAYED};
        struct acts out = bed_acts();
        meet_ops.event(b.side[0].m, &ev, b.now, &out);
        for (uint32_t k = 0; k < out.n; k++) {
            assert_true(out.v[k].type != ACT_RESET || out.v[k].strm.slot == 100);
        }
    }
    struct meet_look look;
    struct peer_id first = stranger(0), last = stranger(MEET_DOOR_MAX);
    assert_true(meet_look(b.side[0].m, &first, &look) && look.state == MEET_FAILED);
    assert_true(meet_may(b.side[0].m, &first, b.now)); /* it is not held against it */
    assert_true(meet_look(b.side[0].m, &last, &look) && look.state == MEET_ASKING);
    bed_free(&b);
}

static void a_stream_over_a_direct_link_or_of_nobody_is_refused(void **state)
{
    struct bed b;
    (void)state;

    bed_init(&b, 1);
    bed_homes(&b, &strict, &strict);
    static const uint8_t props[] = {0, LINK_ANON, LINK_ANON | LINK_RELAYED};
    for (size_t i = 0; i < ARRAY_LEN(props); i++) {
        struct ev ev = {.type = EV_STREAM_OPEN,
                        .peer = &b.side[1].id,
                        .strm = {9, 1},
                        .inbound = true,
                        .props = props[i]};
        struct acts out = bed_acts();
        meet_ops.event(b.side[0].m, &ev, b.now, &out);
        assert_int_equal(out.n, 1);
        assert_int_equal(out.v[0].type, ACT_RESET);
    }
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_victim_that_is_named_gets_few_packets),
        cmocka_unit_test(many_hosts_that_are_named_get_few_packets_in_all),
        cmocka_unit_test(a_forged_source_does_not_make_a_host_one_that_answered),
        cmocka_unit_test(a_host_gets_few_packets_of_many_meetings),
        cmocka_unit_test(no_host_gets_two_birthdays_whoever_names_it),
        cmocka_unit_test(forged_packets_are_no_packets),
        cmocka_unit_test(packets_of_another_meeting_are_nobodys),
        cmocka_unit_test(answers_from_elsewhere_and_reflections_count_for_nothing),
        cmocka_unit_test(a_replayed_request_gets_one_answer_each_and_no_more_than_is_stated),
        cmocka_unit_test(peers_that_vanish_are_given_up),
        cmocka_unit_test(messages_in_the_wrong_state_end_it),
        cmocka_unit_test(a_node_that_refuses_says_so_and_sends_nothing),
        cmocka_unit_test(what_is_lacking_here_is_not_held_against_the_peer),
        cmocka_unit_test(those_who_ask_leave_room_for_whom_we_ask),
        cmocka_unit_test(those_who_ask_and_say_nothing_give_way),
        cmocka_unit_test(a_stream_over_a_direct_link_or_of_nobody_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
