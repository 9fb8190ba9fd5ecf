/*
 * extend_test.c - an EXTEND tells its client nothing but whether it worked: one reason, one to three seconds later.
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_case.h"

/* What can go wrong behind a relay. */
enum why { UNKNOWN, UNREACHABLE, WRONG_KEY, WRONG_LINK, NO_KEYS, ITSELF, BACK, GARBLED, WHYS };

static void garble_created(struct testnet *n, struct pipe *p, size_t side, uint8_t *bytes,
                           size_t len)
{
    (void)n;
    if (p->node[0] == 1 && side == 1 && len > 3) {
        bytes[3] ^= 0xff; /* the offset of its fragment */
    }
}

/* Node 0 extends from node 1 to node 2, which goes wrong; when it is told so, after the EXTEND. */
static uint64_t failing(enum why why, unsigned run, const struct up **up, struct testnet *n)
{
    struct ref c;

    for (unsigned i = 0; i < run * 7; i++) { /* other random numbers */
        struct rng rng = rng_of_stream(&n->nodes[1].seed);
        uint8_t skip[16];
        rng_fill(&rng, skip, sizeof skip);
    }
    n->nodes[1].knows_nobody = why == UNKNOWN;
    n->nodes[2].down = why == UNREACHABLE;
    n->nodes[2].hop.k[1183] ^= why == WRONG_KEY;
    n->nodes[2].props = (uint8_t)(why == WRONG_LINK ? ONION_NEED & ~LINK_PQ_AUTH : ONION_NEED);
    if (why == NO_KEYS) {
        onion_key_del(n->nodes[2].o, n->nodes[2].hop.key_id);
    }
    n->tap = why == GARBLED ? garble_created : NULL;
    assert_int_equal(net_build(n, 1, 2, &c), QUDAG_OK);
    if (why == ITSELF || why == BACK) {
        inner(n, 0)->client->plan[1].peer = n->nodes[why == ITSELF ? 1 : 0].id;
    }
    tstamp start = n->now;
    net_run(n);
    assert_null(net_last_up(&n->nodes[0], ONION_UP_CLOSED)); /* not at once */
    while (net_last_up(&n->nodes[0], ONION_UP_CLOSED) == NULL && n->now < start + 20 * NS_PER_S) {
        net_sleep(n, NS_PER_MS * 20);
    }
    *up = net_up_of(&n->nodes[0], ONION_UP_CLOSED);
    return n->now - start;
}

static void all_that_can_go_wrong_looks_the_same(void **state)
{
    (void)state;
    for (enum why why = UNKNOWN; why < WHYS; why++) {
        uint64_t least = UINT64_MAX, most = 0;
        for (unsigned run = 0; run < 12; run++) {
            struct testnet *n = net_new(3);
            const struct up *up;
            uint64_t took = failing(why, run, &up, n);
            assert_int_equal(up->err, QUDAG_EUNREACHABLE);
            assert_int_equal(up->n, 2);
            assert_in_range(took, NS_PER_S, 3 * NS_PER_S + 20 * NS_PER_MS);
            least = took < least ? took : least;
            most = took > most ? took : most;
            net_sleep(n, ONION_CLOSE_TIMEOUT);
            assert_int_equal(all_circuits(n), 0);
            net_del(n);
        }
        assert_true(most - least > NS_PER_S / 2); /* it is drawn, not always the same */
    }
}

/* What takes longer than three seconds to fail is told when it does, after ten at the latest. */
static void an_answer_that_does_not_come_is_given_up_after_ten_seconds(void **state)
{
    (void)state;
    for (int stage = 0; stage < 2; stage++) {
        struct testnet *n = net_new(3);
        struct ref c;
        n->nodes[1].says_nothing = stage == 0; /* the owner is looking for it */
        assert_int_equal(net_build(n, 1, 2, &c), QUDAG_OK);
        for (int i = 0; stage == 1 && i < 1000 && pipe_between(n, 1, 2) == NULL; i++) {
            net_round(n);
        }
        if (stage == 1) {
            struct pipe *p = pipe_between(n, 1, 2);
            ASSERT(p != NULL);
            p->stalled[0] = p->stalled[1] = true; /* else hop 2 gives up after five */
        }
        net_run(n);
        net_sleep(n, ONION_EXTEND_TIMEOUT - NS_PER_MS);
        assert_null(net_last_up(&n->nodes[0], ONION_UP_CLOSED));
        net_sleep(n, NS_PER_MS);
        assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->err, QUDAG_EUNREACHABLE);
        net_del(n);
    }
}

/* While a failure waits to be told nothing else happens, whatever comes from either side. */
static void while_a_failure_waits_cells_end_the_circuit_and_answers_do_nothing(void **state)
{
    (void)state;
    for (uint8_t class = 0; class < 9; class ++) {
        struct testnet *n = net_new(3);
        struct ref c;
        n->nodes[1].knows_nobody = true;
        assert_int_equal(net_build(n, 1, 2, &c), QUDAG_OK);
        net_run(n);
        struct onion_circuit *r = inner(n, 1);
        assert_int_equal(r->phase, ONION_PH_REFUSING);
        onion_extend_go(n->nodes[1].o, r->ref, n->now,
                        &n->out); /* its owner says something after all */
        assert_int_equal(n->out.n, 0);
        onion_extend_refuse(n->nodes[1].o, r->ref, n->now, &n->out);
        assert_int_equal(n->out.n, 0);
        struct pipe *p = pipe_between(n, 0, 1);
        ASSERT(p != NULL);
        uint8_t cell[ONION_CELL_LEN] = {class};
        memset(cell + 1, 0x5e, sizeof cell - 1);
        p->way[0].credit -= sizeof cell;
        net_event(n, 1,
                  &(struct ev){.type = EV_DATA, .strm = p->ref[1], .data = {cell, sizeof cell}});
        bool lives = inner_or_null(n, 1) == r && r->phase == ONION_PH_REFUSING;
        assert_int_equal(lives, class == ONION_CELL_PADDING);
        net_run(n);
        net_del(n);
    }
}

/* The owner of a circuit that its client gave up meanwhile answers nobody. */
static void an_answer_for_a_circuit_that_is_gone_does_nothing(void **state)
{
    struct testnet *n = net_new(3);
    struct ref c;

    (void)state;
    n->nodes[1].says_nothing = true;
    assert_int_equal(net_build(n, 1, 2, &c), QUDAG_OK);
    net_run(n);
    struct ref relayed = inner(n, 1)->ref;
    onion_close(n->nodes[0].o, c, n->now, &n->out);
    net_drain(n, 0);
    net_run(n);
    assert_int_equal(all_circuits(n), 0);
    onion_extend_go(n->nodes[1].o, relayed, n->now, &n->out);
    onion_extend_refuse(n->nodes[1].o, relayed, n->now, &n->out);
    assert_int_equal(n->out.n, 0);
    net_del(n);
}

/* A node without keys cannot be told from one without circuits: the stream is reset before any CREATE. */
static void a_node_without_keys_resets_streams_at_once(void **state)
{
    struct testnet *n = net_new(2);
    struct ref c;

    (void)state;
    onion_key_del(n->nodes[1].o, n->nodes[1].hop.key_id);
    assert_false(onion_has_keys(n->nodes[1].o));
    assert_int_equal(net_build(n, 1, 1, &c), QUDAG_OK);
    net_run(n);
    assert_int_equal(n->nodes[1].o->stats.bad_handshake, 0);
    assert_int_equal(n->nodes[1].o->stats.refused_limit, 1);
    assert_non_null(net_last_up(&n->nodes[0], ONION_UP_CLOSED));
    assert_int_equal(all_circuits(n), 0);
    net_del(n);
}

/* Nor is anybody reached over a link of its own: streams go with the link's dial, at both ends. */
static void streams_against_the_direction_of_the_link_are_reset(void **state)
{
    (void)state;
    for (int mine = 0; mine < 2; mine++) {
        struct testnet *n = net_new(2);
        struct ref s = {900, 1};
        struct ev in = {.type = EV_STREAM_OPEN,
                        .inbound = true,
                        .props = (uint8_t)(ONION_NEED | (mine ? 0 : LINK_INBOUND)),
                        .peer = &n->nodes[1].id,
                        .strm = s,
                        .proto = ONION_PROTOCOL};
        onion_ops.event(n->nodes[0].o, &in, n->now, &n->out);
        assert_int_equal(n->out.n, mine); /* reset, or a CREATE is awaited */
        assert_true(!mine || n->out.v[0].type == ACT_RESET);
        n->out.n = 0;
        net_del(n);
    }
}

/* A service has keys, and lets nobody go on from it. */
static void who_is_no_relay_extends_no_circuit(void **state)
{
    struct testnet *n = net_new(3);
    struct ref c;

    (void)state;
    n->nodes[1].o->cfg.relay = false;
    assert_int_equal(net_build(n, 1, 2, &c), QUDAG_OK);
    net_run(n);
    net_sleep(n, 4 * NS_PER_S);
    assert_int_equal(n->nodes[1].asked, 0);
    assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->err, QUDAG_EUNREACHABLE);
    net_del(n);
}

/* The owner's word counts once, and of a circuit that waits for it. */
static void the_owner_says_go_once(void **state)
{
    struct testnet *n = net_new(3);
    struct ref c;

    (void)state;
    n->nodes[1].says_nothing = true;
    assert_int_equal(net_build(n, 1, 2, &c), QUDAG_OK);
    net_run(n);
    struct onion_circuit *r = inner(n, 1);
    onion_extend_go(n->nodes[1].o, r->ref, n->now, &n->out);
    assert_non_null(r->to);
    uint32_t held = r->to->held.n;
    onion_extend_go(n->nodes[1].o, r->ref, n->now, &n->out);
    assert_int_equal(r->to->held.n, held);
    onion_extend_refuse(n->nodes[1].o, r->ref, n->now, &n->out);
    assert_int_equal(r->phase, ONION_PH_DIAL_NEXT);
    net_drain(n, 1);
    net_run(n);
    onion_close(n->nodes[0].o, c, n->now, &n->out);
    net_drain(n, 0);
    net_run(n);
    (void)built(n, 1); /* of one that ends here */
    r = inner(n, 1);
    onion_extend_go(n->nodes[1].o, r->ref, n->now, &n->out);
    onion_extend_refuse(n->nodes[1].o, r->ref, n->now, &n->out);
    assert_int_equal(n->out.n, 0);
    assert_int_equal(r->phase, ONION_PH_END);
    net_del(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_can_go_wrong_looks_the_same),
        cmocka_unit_test(an_answer_that_does_not_come_is_given_up_after_ten_seconds),
        cmocka_unit_test(while_a_failure_waits_cells_end_the_circuit_and_answers_do_nothing),
        cmocka_unit_test(an_answer_for_a_circuit_that_is_gone_does_nothing),
        cmocka_unit_test(a_node_without_keys_resets_streams_at_once),
        cmocka_unit_test(streams_against_the_direction_of_the_link_are_reset),
        cmocka_unit_test(who_is_no_relay_extends_no_circuit),
        cmocka_unit_test(the_owner_says_go_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
