/* carried_test.c - joined circuits and what they carry: two ends that a relay connects and cannot read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_case.h"

#define CALLER 0u
#define R 3u /* where the two circuits meet */
#define SERVICE 7u
#define KIB (UINT64_C(1) << 10)
#define TAG 42u

/* Two circuits that end at R: 0 - 1 - 2 - 3 and 7 - 4 - 5 - 3. */
struct meeting {
    struct testnet *n;
    struct ref caller, service;         /* the circuits to R */
    struct ref at_r[2];                 /* their ends */
    struct ref from_caller, at_service; /* the carried circuit, at its two ends */
};

static struct ref build_to_r(struct testnet *n, size_t from, const size_t via[2])
{
    struct onion_hop hops[3] = {n->nodes[via[0]].hop, n->nodes[via[1]].hop, n->nodes[R].hop};
    struct ref c;

    assert_int_equal(onion_build(n->nodes[from].o, hops, 3, n->now, &n->out, &c), QUDAG_OK);
    net_drain(n, from);
    net_run(n);
    assert_non_null(net_last_up(&n->nodes[from], ONION_UP_BUILT));
    return c;
}

static qudag_err open_at(struct testnet *n, size_t node, struct ref circuit)
{
    struct onion_stream_want want = {.circuit = circuit, .user = 1, .proto = "/test/1.0.0"};
    int64_t sid;

    qudag_err err = onion_stream_open(n->nodes[node].o, &want, n->now, &n->out, &sid);
    if (err == QUDAG_OK) {
        (void)net_flow(&n->nodes[node], circuit, sid, true);
    }
    net_drain(n, node);
    net_run(n);
    return err;
}

/* The circuits that end at R, in the order in which they came. */
static size_t ends_at_r(const struct testnet *n, struct ref out[2])
{
    struct onion_info info;
    size_t it = 0, found = 0;

    while (onion_next(n->nodes[R].o, &it, &info)) {
        if (info.role == ONION_END && info.state == ONION_OPEN) {
            assert_true(found < 2);
            out[found++] = info.circuit;
        }
    }
    return found;
}

static void meeting_init(struct meeting *m)
{
    static const size_t near[2] = {1, 2}, far[2] = {4, 5};

    *m = (struct meeting){.n = net_new(8)};
    m->caller = build_to_r(m->n, CALLER, near);
    assert_int_equal(open_at(m->n, CALLER, m->caller), QUDAG_OK);
    m->service = build_to_r(m->n, SERVICE, far);
    assert_int_equal(open_at(m->n, SERVICE, m->service), QUDAG_OK);
    assert_int_equal(ends_at_r(m->n, m->at_r), 2);
}

static void carry(struct meeting *m)
{
    struct onion_hs_keys keys;

    memset(&keys, 0x5a, sizeof keys);
    memset(keys.back, 0xa5, sizeof keys.back);
    struct onion_carry want = {.carrier = m->service, .end = true, .tag = TAG, .keys = &keys};
    assert_int_equal(onion_carry(m->n->nodes[SERVICE].o, &want, m->n->now, &m->at_service),
                     QUDAG_OK);
    want = (struct onion_carry){.carrier = m->caller, .keys = &keys};
    assert_int_equal(onion_carry(m->n->nodes[CALLER].o, &want, m->n->now, &m->from_caller),
                     QUDAG_OK);
}

static void joined(struct meeting *m)
{
    meeting_init(m);
    assert_int_equal(onion_join(m->n->nodes[R].o, m->at_r[0], m->at_r[1]), QUDAG_OK);
    carry(m);
}

static struct onion_info info_of(const struct meeting *m, size_t node, struct ref circuit)
{
    struct onion_info info;

    assert_int_equal(onion_info_get(m->n->nodes[node].o, circuit, &info), QUDAG_OK);
    return info;
}

/* Whatever was joined or carried is gone at all three. */
static void all_over(struct meeting *m)
{
    struct onion_info info;

    net_run(m->n);
    assert_int_equal(onion_info_get(m->n->nodes[CALLER].o, m->caller, &info), QUDAG_ESTALE);
    assert_int_equal(onion_info_get(m->n->nodes[SERVICE].o, m->service, &info), QUDAG_ESTALE);
    assert_int_equal(onion_info_get(m->n->nodes[CALLER].o, m->from_caller, &info), QUDAG_ESTALE);
    assert_int_equal(onion_info_get(m->n->nodes[SERVICE].o, m->at_service, &info), QUDAG_ESTALE);
    assert_int_equal(all_circuits(m->n), 0);
}

/* How the circuit was reported closed; never with a hop to blame, as the other end is nobody's choice. */
static qudag_err closed_with(const struct testnet *n, size_t node, struct ref circuit)
{
    const struct testnet_node *nd = &n->nodes[node];

    for (size_t i = 0; i < nd->ups_n; i++) {
        if (nd->ups[i].kind == ONION_UP_CLOSED && ref_eq(nd->ups[i].circuit, circuit)) {
            assert_int_equal(nd->ups[i].n, 0);
            return nd->ups[i].err;
        }
    }
    return QUDAG_OK;
}

/* ---- what it is for ---- */

static void the_two_ends_exchange_streams_and_the_relay_only_passes_them_on(void **state)
{
    struct meeting m;

    (void)state;
    joined(&m);
    m.n->nodes[SERVICE].app = APP_ECHO;
    struct testnet_flow *f = net_open(m.n, m.from_caller, 3);
    assert_non_null(f);
    for (uint64_t at = 0; at < 2048 * KIB; at += 64 * KIB) {
        assert_int_equal(net_write(m.n, f, at, 64 * KIB), QUDAG_OK);
        net_run(m.n);
    }
    assert_int_equal(f->received, 2048 * KIB);
    assert_int_equal(f->wrong, 0);
    assert_int_equal(net_up_of(&m.n->nodes[SERVICE], ONION_UP_INBOUND)->cookie, TAG);
    struct onion_stats stats;
    onion_stats_get(m.n->nodes[R].o, &stats);
    assert_true(stats.cells_relayed > 2 * 2048 * KIB / ONION_CELL_LEN);
    assert_int_equal(m.n->nodes[R].flows_high, 2); /* the two that led to the meeting */
    assert_true(info_of(&m, R, m.at_r[0]).joined);
    assert_true(ref_eq(info_of(&m, CALLER, m.from_caller).carrier, m.caller));
    assert_int_equal(info_of(&m, SERVICE, m.at_service).role, ONION_END);
    net_del(m.n);
}

static void several_streams_share_a_carried_circuit(void **state)
{
    struct testnet_flow *f[8];
    struct meeting m;

    (void)state;
    joined(&m);
    m.n->nodes[SERVICE].app = APP_ECHO;
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        f[i] = net_open(m.n, m.from_caller, i);
        assert_non_null(f[i]);
        assert_int_equal(net_write(m.n, f[i], 0, 200 * KIB), QUDAG_OK);
    }
    net_run(m.n);
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        assert_int_equal(f[i]->received, 200 * KIB);
        assert_int_equal(f[i]->wrong, 0);
    }
    net_del(m.n);
}

static void streams_that_led_to_the_meeting_come_to_their_end(void **state)
{
    struct meeting m;

    (void)state;
    joined(&m);
    m.n->nodes[R].app = APP_ECHO;
    struct testnet_flow *f = &m.n->nodes[CALLER].flows[0]; /* to R, begun before the join */
    assert_true(ref_eq(f->circuit, m.caller));
    f->seed = 5;
    assert_int_equal(net_write(m.n, f, 0, 5000), QUDAG_OK);
    net_run(m.n);
    assert_int_equal(f->received, 5000);
    assert_int_equal(f->wrong, 0);
    assert_non_null(
        net_open(m.n, m.from_caller, 1)); /* and nothing came of it for the carried circuit */
    net_run(m.n);
    assert_int_equal(circuits(m.n, R), 2);
    net_del(m.n);
}

static void what_a_circuit_exports_is_the_same_at_both_ends_and_nowhere_else(void **state)
{
    uint8_t caller[32], service[32], at_r[2][32], middle[32];
    struct onion_info info;
    struct meeting m;
    size_t it = 0;

    (void)state;
    meeting_init(&m);
    assert_int_equal(onion_binding(m.n->nodes[CALLER].o, m.caller, caller), QUDAG_OK);
    assert_int_equal(onion_binding(m.n->nodes[SERVICE].o, m.service, service), QUDAG_OK);
    assert_int_equal(onion_binding(m.n->nodes[R].o, m.at_r[0], at_r[0]), QUDAG_OK);
    assert_int_equal(onion_binding(m.n->nodes[R].o, m.at_r[1], at_r[1]), QUDAG_OK);
    assert_memory_equal(caller, at_r[0], 32);
    assert_memory_equal(service, at_r[1], 32);
    assert_memory_not_equal(caller, service, 32);
    assert_true(onion_next(m.n->nodes[2].o, &it, &info));
    assert_int_equal(onion_binding(m.n->nodes[2].o, info.circuit, middle), QUDAG_ESTATE);
    assert_int_equal(onion_binding(m.n->nodes[2].o, (struct ref){99, 9}, middle), QUDAG_ESTALE);
    net_del(m.n);
}

/* ---- limits ---- */

static void a_reader_that_stops_is_felt_by_the_sender_and_not_by_the_relay(void **state)
{
    struct meeting m;

    (void)state;
    joined(&m);
    struct pipe *p = pipe_between(m.n, 5, R);
    ASSERT(p != NULL);
    p->stalled[0] = true; /* node 5 takes nothing from R */
    for (uint64_t i = 0; i < 8; i++) {
        struct testnet_flow *f = net_open(m.n, m.from_caller, i);
        assert_non_null(f);
        assert_int_equal(net_write(m.n, f, 0, 400 * KIB), QUDAG_OK);
    }
    net_run(m.n);
    assert_true(p->way[1].len > ONION_LEG_PAUSE_AT);
    assert_true(p->way[1].len <= ONION_LEG_PAUSE_AT + NET_PIPE_WINDOW + 2 * ONION_CELL_LEN);
    p->stalled[0] = false;
    net_run(m.n);
    assert_int_equal(p->way[1].len, 0);
    net_del(m.n);
}

static void a_circuit_in_use_keeps_its_carrier_and_ends_with_it_when_idle(void **state)
{
    struct meeting m;

    (void)state;
    joined(&m);
    m.n->nodes[SERVICE].app = APP_ECHO;
    struct testnet_flow *f = net_open(m.n, m.from_caller, 0);
    assert_non_null(f);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(net_write(m.n, f, (uint64_t)i, 1), QUDAG_OK);
        net_run(m.n);
        net_sleep(m.n, ONION_IDLE_LIFE / 2);
    }
    assert_int_equal(f->received, 4);
    net_sleep(m.n, ONION_IDLE_LIFE + NS_PER_S);
    all_over(&m);
    net_del(m.n);
}

static void only_two_circuits_that_end_here_are_joined(void **state)
{
    struct onion_info info;
    struct meeting m;
    size_t it = 0;

    (void)state;
    meeting_init(&m);
    struct onion *r = m.n->nodes[R].o;
    assert_int_equal(onion_join(r, m.at_r[0], m.at_r[0]), QUDAG_EINVAL);
    assert_int_equal(onion_join(r, m.at_r[0], (struct ref){99, 9}), QUDAG_ESTALE);
    struct onion_circuit *c = slots_get(&r->circuits, m.at_r[1]);
    struct onion_mux *mux = c->mux;
    c->mux = NULL; /* as one on which no stream ever began */
    assert_int_equal(onion_join(r, m.at_r[0], m.at_r[1]), QUDAG_ESTATE);
    c->mux = mux;
    assert_int_equal(onion_join(r, m.at_r[0], m.at_r[1]), QUDAG_OK);
    assert_int_equal(onion_join(r, m.at_r[1], m.at_r[0]), QUDAG_ESTATE);
    assert_true(onion_next(m.n->nodes[2].o, &it, &info)); /* one that passes through */
    assert_int_equal(onion_join(m.n->nodes[2].o, info.circuit, info.circuit), QUDAG_EINVAL);
    net_del(m.n);
}

static void only_a_circuit_of_ours_that_is_built_carries_one(void **state)
{
    struct onion_hs_keys keys = {.fwd = {1}};
    struct meeting m;
    struct ref c;

    (void)state;
    joined(&m);
    struct onion *o = m.n->nodes[CALLER].o;
    struct onion_carry want = {.carrier = m.caller, .keys = &keys};
    assert_int_equal(onion_carry(o, &want, m.n->now, &c), QUDAG_ESTATE); /* it carries one */
    want.carrier = m.from_caller;
    assert_int_equal(onion_carry(o, &want, m.n->now, &c), QUDAG_ESTATE); /* it is carried */
    want.carrier = (struct ref){99, 9};
    assert_int_equal(onion_carry(o, &want, m.n->now, &c), QUDAG_ESTALE);
    want.carrier = m.at_r[0];
    assert_int_equal(onion_carry(m.n->nodes[R].o, &want, m.n->now, &c), QUDAG_ESTATE);
    assert_int_equal(net_build(m.n, 4, 2, &want.carrier), QUDAG_OK); /* not run: not built */
    assert_int_equal(onion_carry(o, &want, m.n->now, &c), QUDAG_ESTATE);
    net_del(m.n);
}

static void circuits_are_limited_with_those_that_are_carried(void **state)
{
    struct onion_hs_keys keys = {.fwd = {1}};
    struct meeting m;
    struct ref c;

    (void)state;
    meeting_init(&m);
    struct onion *o = m.n->nodes[CALLER].o;
    o->circuits.max = o->circuits.n;
    struct onion_carry want = {.carrier = m.caller, .keys = &keys};
    assert_int_equal(onion_carry(o, &want, m.n->now, &c), QUDAG_ELIMIT);
    o->circuits.max = o->circuits.n + 8;
    assert_int_equal(onion_carry(o, &want, m.n->now, &c), QUDAG_OK);
    net_del(m.n);
}

/* ---- the end ---- */

static void each_of_them_ends_with_any_other(void **state)
{
    (void)state;
    for (int which = 0; which < 6; which++) {
        struct meeting m;
        joined(&m);
        struct testnet_flow *f = net_open(m.n, m.from_caller, 0);
        assert_non_null(f);
        assert_int_equal(net_write(m.n, f, 0, 10), QUDAG_OK);
        net_run(m.n);
        const struct {
            size_t node;
            struct ref circuit;
        } ends[6] = {{CALLER, m.caller},      {CALLER, m.from_caller}, {SERVICE, m.service},
                     {SERVICE, m.at_service}, {R, m.at_r[0]},          {R, m.at_r[1]}};
        onion_close(m.n->nodes[ends[which].node].o, ends[which].circuit, m.n->now, &m.n->out);
        net_drain(m.n, ends[which].node);
        all_over(&m);
        /* whoever did not end it learns nothing of why */
        qudag_err err = closed_with(m.n, CALLER, m.from_caller);
        assert_int_equal(err, which < 2 ? QUDAG_ECANCELED : QUDAG_ECLOSED);
        err = closed_with(m.n, SERVICE, m.at_service);
        assert_int_equal(err, which == 2 || which == 3 ? QUDAG_ECANCELED : QUDAG_ECLOSED);
        net_del(m.n);
    }
}

static void nodes_that_vanish_leave_nothing_behind(void **state)
{
    struct meeting m;

    (void)state;
    joined(&m);
    for (size_t i = 0; i < NET_PIPES; i++) {
        struct pipe *p = &m.n->pipes[i];
        if (p->used && (p->node[0] == R || p->node[1] == R)) {
            p->cut[0] = p->node[0] == R;
            p->cut[1] = p->node[1] == R;
        }
    }
    onion_free(m.n->nodes[R].o); /* with both circuits joined */
    struct onion_config cfg;
    net_config(m.n, R, &cfg);
    cfg.mem = &m.n->nodes[R].mem;
    cfg.rng = rng_of_stream(&m.n->nodes[R].seed);
    assert_int_equal(onion_new(&m.n->nodes[R].o, &cfg, m.n->now), QUDAG_OK);
    all_over(&m);
    net_del(m.n);
}

static void a_node_is_freed_while_circuits_are_carried(void **state)
{
    struct meeting m;

    (void)state;
    joined(&m);
    net_del(m.n); /* checks that all memory is back */
}

/* ---- hostile ends and relays ---- */

/* Sends |msg| in a cell of |class| of the circuit, as no honest end would. */
static void send_raw(struct meeting *m, size_t node, struct ref circuit, uint8_t class,
                     uint8_t type, struct slice msg)
{
    struct onion_circuit *c = slots_get(&m->n->nodes[node].o->circuits, circuit);
    uint8_t ack[CGO_TAG_LEN];
    struct wr w;

    m->n->out.n = 0;
    uint8_t *cell = onion_circuit_cell_open(&w, &m->n->out);
    assert_non_null(cell);
    cell[0] = class;
    onion_relay_msg_put(&w, type, onion_relay_type_is_stream(type) ? 9 : 0, msg);
    onion_circuit_cell_seal(c, cell, &w, ack, &m->n->out);
    net_drain(m->n, node);
    net_run(m->n);
}

static void what_builds_circuits_ends_a_carried_one(void **state)
{
    static const uint8_t reason = 1,
                         frag[ONION_RELAY_FRAG_HEAD + ONION_RELAY_FRAG_MAX] = {0x0c, 0xd8};

    (void)state;
    for (int which = 0; which < 4; which++) {
        struct meeting m;
        joined(&m);
        struct slice extend = {frag, sizeof frag};
        if (which == 0) {
            send_raw(&m, SERVICE, m.at_service, ONION_CELL_RELAY, ONION_RELAY_TRUNCATED,
                     (struct slice){&reason, 1});
            assert_int_equal(closed_with(m.n, CALLER, m.from_caller), QUDAG_ECLOSED);
        } else if (which == 1) {
            send_raw(&m, SERVICE, m.at_service, ONION_CELL_RELAY, ONION_RELAY_EXTENDED, extend);
        } else if (which == 2) {
            send_raw(&m, CALLER, m.from_caller, ONION_CELL_RELAY, ONION_RELAY_EXTEND, extend);
        } else { /* R itself ends both */
            send_raw(&m, CALLER, m.from_caller, ONION_CELL_EARLY, ONION_RELAY_EXTEND, extend);
        }
        all_over(&m);
        if (which == 3) {
            struct onion_stats stats;
            onion_stats_get(m.n->nodes[R].o, &stats);
            assert_int_equal(stats.destroyed_bad_cell, 1);
        }
        net_del(m.n);
    }
}

static void a_stream_that_begins_at_the_relay_after_the_join_ends_all(void **state)
{
    (void)state;
    for (int service = 0; service < 2; service++) {
        struct meeting m;
        joined(&m);
        if (service) {
            (void)open_at(m.n, SERVICE, m.service);
        } else {
            (void)open_at(m.n, CALLER, m.caller);
        }
        all_over(&m);
        net_del(m.n);
    }
}

static void flip(struct testnet *n, struct pipe *p, size_t side, uint8_t *bytes, size_t len)
{
    if (p == n->tap_ctx && side == 1) { /* what R sends to node 5 */
        bytes[len - 1] ^= 1;
        n->tap_ctx = NULL;
    }
}

static void a_body_changed_on_the_way_ends_all_and_is_not_delivered(void **state)
{
    struct meeting m;

    (void)state;
    joined(&m);
    m.n->chunk = ONION_CELL_LEN;
    m.n->tap = flip;
    m.n->tap_ctx = pipe_between(m.n, 5, R);
    struct testnet_flow *f = net_open(m.n, m.from_caller, 0);
    assert_non_null(f);
    assert_int_equal(net_write(m.n, f, 0, 4000), QUDAG_OK);
    all_over(&m);
    assert_int_equal(closed_with(m.n, SERVICE, m.at_service), QUDAG_EPROTO);
    struct onion_stats stats;
    onion_stats_get(m.n->nodes[SERVICE].o, &stats);
    assert_int_equal(stats.destroyed_bad_cell, 1);
    for (size_t i = 0; i < m.n->nodes[SERVICE].flows_high; i++) {
        assert_int_equal(m.n->nodes[SERVICE].flows[i].received, 0);
    }
    net_del(m.n);
}

static void a_carried_body_without_a_circuit_to_carry_it_ends_the_circuit(void **state)
{
    struct meeting m;

    (void)state;
    joined(&m);
    struct onion_circuit *carrier = slots_get(&m.n->nodes[SERVICE].o->circuits, m.service);
    onion_bound_forget(carrier); /* the service forgot: nobody opens what the caller sends */
    assert_non_null(net_open(m.n, m.from_caller, 0));
    net_run(m.n);
    struct onion_info info;
    assert_int_equal(onion_info_get(m.n->nodes[SERVICE].o, m.service, &info), QUDAG_ESTALE);
    assert_int_equal(onion_info_get(m.n->nodes[CALLER].o, m.from_caller, &info), QUDAG_ESTALE);
    net_del(m.n);
}

static void other_keys_open_nothing(void **state)
{
    struct onion_hs_keys wrong;
    struct meeting m;

    (void)state;
    meeting_init(&m);
    assert_int_equal(onion_join(m.n->nodes[R].o, m.at_r[0], m.at_r[1]), QUDAG_OK);
    carry(&m);
    struct onion_circuit *c = slots_get(&m.n->nodes[CALLER].o->circuits, m.from_caller);
    memset(&wrong, 0x33, sizeof wrong);
    onion_hops_fini(&c->hops);
    assert_int_equal(onion_hops_init(&c->hops, c->o->cfg.mem, 1), QUDAG_OK);
    onion_hops_add(&c->hops, &wrong);
    assert_non_null(net_open(m.n, m.from_caller, 0));
    all_over(&m);
    net_del(m.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_two_ends_exchange_streams_and_the_relay_only_passes_them_on),
        cmocka_unit_test(several_streams_share_a_carried_circuit),
        cmocka_unit_test(streams_that_led_to_the_meeting_come_to_their_end),
        cmocka_unit_test(what_a_circuit_exports_is_the_same_at_both_ends_and_nowhere_else),
        cmocka_unit_test(a_reader_that_stops_is_felt_by_the_sender_and_not_by_the_relay),
        cmocka_unit_test(a_circuit_in_use_keeps_its_carrier_and_ends_with_it_when_idle),
        cmocka_unit_test(only_two_circuits_that_end_here_are_joined),
        cmocka_unit_test(only_a_circuit_of_ours_that_is_built_carries_one),
        cmocka_unit_test(circuits_are_limited_with_those_that_are_carried),
        cmocka_unit_test(each_of_them_ends_with_any_other),
        cmocka_unit_test(nodes_that_vanish_leave_nothing_behind),
        cmocka_unit_test(a_node_is_freed_while_circuits_are_carried),
        cmocka_unit_test(what_builds_circuits_ends_a_carried_one),
        cmocka_unit_test(a_stream_that_begins_at_the_relay_after_the_join_ends_all),
        cmocka_unit_test(a_body_changed_on_the_way_ends_all_and_is_not_delivered),
        cmocka_unit_test(a_carried_body_without_a_circuit_to_carry_it_ends_the_circuit),
        cmocka_unit_test(other_keys_open_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
