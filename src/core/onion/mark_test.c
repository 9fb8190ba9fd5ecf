/*
 * mark_test.c - cells that say nothing: a hop that sends them can mark a circuit for another that watches it, so
 * they are few, and honest streams cause none however they end.
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_case.h"

#define FREE 20 /* of the first hundred cells */

/* A cell of |from| to the client with |payload|; or of the client, from 0, to hop |to|. */
static void send_cell(struct testnet *n, size_t from, size_t to, struct slice payload)
{
    struct onion_circuit *c = inner(n, from);
    size_t all = c->hops.n;
    uint8_t ack[CGO_TAG_LEN];
    struct wr w;

    n->out.n = n->out.bytes_n = 0;
    uint8_t *cell = onion_circuit_cell_open(&w, &n->out);
    ASSERT(cell != NULL);
    wr_slice(&w, payload);
    c->hops.n = from == 0 ? to : all;
    onion_circuit_cell_seal(c, cell, &w, ack, &n->out);
    c->hops.n = all;
    net_drain(n, from);
    net_run(n);
}

/* How many such cells it takes until the circuit ends; |most|: tried. */
static size_t cells_until_the_end(struct testnet *n, size_t from, size_t to, struct slice payload,
                                  size_t most)
{
    size_t sent = 0;

    while (sent < most && all_circuits(n) > 0) {
        send_cell(n, from, to, payload);
        sent++;
    }
    return sent;
}

static const struct slice nothing = {NULL, 0};

/* The audit's dropmark: 20,000 cells of any hop arrived at the client and left no trace. */
static void no_hop_sends_the_client_many_cells_without_messages(void **state)
{
    (void)state;
    for (size_t hop = 1; hop <= 3; hop++) {
        struct testnet *n = net_new(4);
        (void)built(n, 3);
        assert_int_equal(cells_until_the_end(n, hop, 0, nothing, 20000), FREE + 1);
        const struct up *up = net_up_of(&n->nodes[0], ONION_UP_CLOSED);
        assert_int_equal(up->err, QUDAG_EPROTO);
        assert_int_equal(up->n, hop); /* it is blamed */
        assert_int_equal(n->nodes[0].o->stats.unexplained, FREE + 1);
        net_del(n);
    }
}

/* Each hop has an allowance of its own, and what one says does not help another. */
static void hops_are_counted_one_by_one(void **state)
{
    struct testnet *n = net_new(4);

    (void)state;
    (void)built(n, 3);
    for (size_t hop = 1; hop <= 3; hop++) {
        assert_int_equal(cells_until_the_end(n, hop, 0, nothing, FREE), FREE);
    }
    assert_int_equal(all_circuits(n), 4);
    assert_int_equal(cells_until_the_end(n, 2, 0, nothing, 1), 1);
    assert_int_equal(all_circuits(n), 0);
    net_del(n);
}

static void no_client_sends_a_hop_many_cells_without_messages(void **state)
{
    (void)state;
    for (size_t hop = 1; hop <= 3; hop++) {
        for (int stream = 0; stream < 2; stream++) {
            struct testnet *n = net_new(4);
            struct ref c = built(n, 3);
            if (stream) {
                assert_non_null(net_open(n, c, 0));
                net_run(n);
            }
            assert_int_equal(cells_until_the_end(n, 0, hop, nothing, 20000), FREE + 1);
            net_del(n);
        }
    }
}

/* A cell with one message. */
static struct slice message(uint8_t buf[64], uint8_t type, uint16_t stream, size_t len)
{
    static const uint8_t bytes[16] = {0, 1}; /* as CREDIT: 65536 */
    struct wr w = wr_init(buf, 64);

    onion_relay_msg_put(&w, type, stream, (struct slice){bytes, len});
    ASSERT(wr_ok(&w));
    return wr_done(&w);
}

/* After both have ended the stream properly nothing more can be under way but one RESET. */
static void messages_for_a_stream_that_ended_mean_nothing(void **state)
{
    static const struct {
        uint8_t type;
        size_t len, free;
    } rows[] = {
        {ONION_RELAY_DATA, 16, 0},  {ONION_RELAY_FIN, 0, 1},       {ONION_RELAY_RESET, 1, 1},
        {ONION_RELAY_CREDIT, 4, 0}, {ONION_RELAY_CONNECTED, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int forward = 0; forward < 2; forward++) {
            uint8_t buf[64];
            struct testnet *n = net_new(3);
            struct ref c = built(n, 2);
            n->nodes[2].app = APP_ECHO;
            struct testnet_flow *f = net_open(n, c, 1);
            ASSERT(f != NULL);
            assert_int_equal(net_write(n, f, 0, 1000), QUDAG_OK);
            onion_stream_fin(n->nodes[0].o, c, f->sid, n->now, &n->out);
            net_drain(n, 0);
            net_run(n);
            assert_true(f->fin);
            assert_int_equal(f->received, 1000);
            assert_int_equal(inner(n, 0)->mux->n, 0);
            assert_int_equal(inner(n, 2)->mux->n, 0);
            struct slice cell = message(buf, rows[i].type, 1, rows[i].len);
            size_t sent = forward ? cells_until_the_end(n, 0, 2, cell, 2000)
                                  : cells_until_the_end(n, 2, 0, cell, 2000);
            assert_int_equal(sent, FREE + 1 + rows[i].free);
            net_del(n);
        }
    }
}

/* The client gives a stream up: what its end had credit for may still come, for a while, and no more. */
static void data_for_a_stream_given_up_is_explained_by_its_credit_and_for_a_while(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        static uint8_t data[ONION_RELAY_PAYLOAD - ONION_RELAY_STREAM_HEAD],
            buf[ONION_RELAY_PAYLOAD];
        struct testnet *n = net_new(3);
        struct ref c = built(n, 2);
        struct testnet_flow *f = net_open(n, c, 1);
        ASSERT(f != NULL);
        net_run(n);
        onion_stream_reset(n->nodes[0].o, c, f->sid, QUDAG_ECANCELED, n->now, &n->out);
        f->reset = true;
        net_drain(n, 0);
        net_run(n);
        struct wr w = wr_init(buf, sizeof buf);
        onion_relay_msg_put(&w, ONION_RELAY_DATA, 1, (struct slice){data, sizeof data});
        assert_true(wr_ok(&w));
        if (late) {
            net_sleep(n, ONION_LATE_SILENCE);
        }
        size_t credit = ONION_STREAM_WINDOW / sizeof data, free = late ? 0 : credit;
        size_t sent = 0;
        while (sent < 2000 && all_circuits(n) > 0) {
            struct onion_mux *m = inner(n, 0)->mux; /* its SENDMEs are not believed by the end */
            m->unanswered = m->received = 0;
            send_cell(n, 2, 0, wr_done(&w));
            sent++;
        }
        /* One more is free with each hundred that were explained. */
        assert_in_range(sent, free + FREE + 1, free + FREE + 1 + free / 100);
        net_del(n);
    }
}

/* CREDIT is worth a message from 64 KiB on: with one byte each, thousands of cells would be explained. */
static void small_credits_destroy_the_circuit(void **state)
{
    uint8_t zero[4] = {0, 0, 0xff, 0xff}, buf[64];
    struct wr w = wr_init(buf, sizeof buf);

    (void)state;
    struct testnet *n = net_new(3);
    struct ref c = built(n, 2);
    n->nodes[2].app = APP_STALL;
    struct testnet_flow *f = net_open(n, c, 1);
    ASSERT(f != NULL);
    assert_int_equal(net_write(n, f, 0, 200000), QUDAG_OK);
    net_run(n);
    onion_relay_msg_put(&w, ONION_RELAY_CREDIT, 1, (struct slice){zero, sizeof zero});
    send_cell(n, 2, 0, wr_done(&w));
    assert_int_equal(all_circuits(n), 0);
    net_del(n);
}

/* PADDING between neighbours, on either side of either of them. */
static void padding_that_nobody_agreed_upon_is_bounded_on_every_leg(void **state)
{
    (void)state;
    for (size_t leg = 0; leg < 2; leg++) {
        for (size_t side = 0; side < 2; side++) {
            struct testnet *n = net_new(3);
            (void)built(n, 2);
            struct pipe *p = pipe_between(n, leg, leg + 1);
            ASSERT(p != NULL);
            size_t to = p->node[1 - side], sent = 0;
            struct onion_circuit *c = inner(n, to);
            struct onion_leg *l = to > leg ? &c->prev : &c->next;
            onion_tally_allow(&l->tally, 7);
            while (sent < 1000 && all_circuits(n) > 0) {
                uint8_t cell[ONION_CELL_LEN] = {ONION_CELL_PADDING};
                p->way[side].credit -= sizeof cell;
                net_event(n, to,
                          &(struct ev){.type = EV_DATA,
                                       .strm = p->ref[1 - side],
                                       .data = {cell, sizeof cell}});
                sent++;
                net_run(n);
            }
            assert_int_equal(sent, 7 + FREE + 1);
            net_del(n);
        }
    }
}

/* ---- content under way to a stream that is reset ---- */

#define SLOW (100 * NS_PER_MS) /* a round, in which a link moves a cell: 11 kB/s */
#define UPLOAD (512u * 1024)   /* all that the credit of a stream allows */

/* Runs at the pace of a slow path until nothing moves. */
static void run_slowly(struct testnet *n)
{
    do {
        n->now += SLOW;
    } while (net_round(n));
}

static void last_link_stalls(struct testnet *n, size_t ends, bool stalls)
{
    struct pipe *p = pipe_between(n, ends - 1, ends);

    ASSERT(p != NULL);
    p->stalled[0] = stalls;
    p->stalled[1] = stalls;
}

/* As much content as |from| may send on |f|, and its end if |fin|. */
static void pour_all(struct testnet *n, size_t from, const struct testnet_flow *f, bool fin)
{
    uint8_t *content = calloc(1, UPLOAD);

    ASSERT(content != NULL);
    assert_int_equal(onion_stream_write(n->nodes[from].o, f->circuit, f->sid,
                                        (struct slice){content, UPLOAD}, n->now, &n->out),
                     QUDAG_OK);
    net_drain(n, from);
    if (fin) {
        onion_stream_fin(n->nodes[from].o, f->circuit, f->sid, n->now, &n->out);
        net_drain(n, from);
    }
    free(content);
}

static void give_up(struct testnet *n, size_t node, struct testnet_flow *f)
{
    onion_stream_reset(n->nodes[node].o, f->circuit, f->sid, QUDAG_ELIMIT, n->now, &n->out);
    f->reset = true;
    net_drain(n, node);
}

static void assert_all_explained(const struct testnet *n)
{
    assert_int_equal(all_circuits(n), n->nodes_n);
    for (size_t i = 0; i < n->nodes_n; i++) {
        assert_int_equal(n->nodes[i].o->stats.unexplained, 0);
    }
}

/* Whoever gives transfers up, one after the other, over a slow path: what is still coming is no fault of the other. */
static void content_under_way_to_a_reset_stream_costs_no_circuit(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct testnet *n = net_new(4);
        size_t from = way == 0 ? 0 : 3, to = 3 - from;
        struct ref c = built(n, 3);
        for (unsigned i = 0; i < 20; i++) {
            struct testnet_flow *near = net_open(n, c, i);
            ASSERT(near != NULL);
            net_run(n);
            struct testnet_flow *far = net_flow(&n->nodes[3], inner(n, 3)->ref, near->sid, false);
            ASSERT(far != NULL);
            last_link_stalls(n, way == 0 ? 3 : 1, true);
            pour_all(n, from, way == 0 ? near : far, i % 3 == 0);
            net_run(n);
            give_up(n, to, way == 0 ? far : near);
            last_link_stalls(n, way == 0 ? 3 : 1, false);
            run_slowly(n);
            assert_true(near->reset && far->reset);
            assert_int_equal((way == 0 ? far : near)->received, 0);
            assert_all_explained(n);
        }
        net_del(n);
    }
}

/* As many streams as the window of the circuit lets content be under way for. */
static void content_under_way_to_several_reset_streams_costs_no_circuit(void **state)
{
    struct testnet_flow *near[3], *far[3];
    struct testnet *n = net_new(4);

    (void)state;
    struct ref c = built(n, 3);
    for (unsigned round = 0; round < 5; round++) {
        for (size_t i = 0; i < ARRAY_LEN(near); i++) {
            near[i] = net_open(n, c, i);
            ASSERT(near[i] != NULL);
            net_run(n);
            far[i] = net_flow(&n->nodes[3], inner(n, 3)->ref, near[i]->sid, false);
            ASSERT(far[i] != NULL);
        }
        last_link_stalls(n, 3, true);
        for (size_t i = 0; i < ARRAY_LEN(near); i++) {
            pour_all(n, 0, near[i], i == 1);
        }
        net_run(n);
        last_link_stalls(n, 3, false);
        for (size_t i = 0; i < ARRAY_LEN(near); i++) { /* they cross, by both sides */
            if (!far[i]->reset) {
                give_up(n, 3, far[i]);
            }
            if (i == 2 && !near[i]->reset) {
                give_up(n, 0, near[i]);
            }
            for (unsigned k = 0; k < 20; k++) {
                n->now += SLOW;
                net_round(n);
            }
        }
        run_slowly(n);
        assert_all_explained(n);
    }
    net_del(n);
}

/* Streams that end in every way there is, hundreds of them on one circuit, both ends honest: nothing unexplained. */
static void honest_streams_leave_nothing_unexplained(void **state)
{
    struct testnet *n = net_new(3);
    struct onion_config few = {.streams_max = 4, .relay = true};
    uint32_t random = 12345;

    (void)state;
    net_add(n, &few);
    n->nodes[3].app = APP_ECHO;
    struct ref c = built(n, 3);
    for (int i = 0; i < 600; i++) {
        struct testnet_flow *f = net_open(n, c, (uint64_t)i);
        random = random * 1103515245u + 12345u;
        unsigned how = random >> 16 & 7;
        ASSERT(f != NULL);
        (void)net_write(n, f, 0, (random >> 20) % 300000);
        for (unsigned k = 0; k < (random >> 8 & 31); k++) {
            net_round(n);
        }
        if (how < 3) {
            onion_stream_reset(n->nodes[0].o, c, f->sid, QUDAG_ECANCELED, n->now, &n->out);
            f->reset = true;
            net_drain(n, 0);
        } else {
            onion_stream_fin(n->nodes[0].o, c, f->sid, n->now, &n->out);
            net_drain(n, 0);
        }
        for (size_t k = 0; how == 3 && k < NET_FLOWS; k++) { /* the end gives one up as well */
            struct testnet_flow *far = &n->nodes[3].flows[k];
            if (far->used && !far->reset && !far->fin) {
                onion_stream_reset(n->nodes[3].o, far->circuit, far->sid, QUDAG_ELIMIT, n->now,
                                   &n->out);
                far->reset = true;
                net_drain(n, 3);
                break;
            }
        }
        if (i % 5 == 0) { /* else several are open at once, and some BEGINs are refused */
            net_run(n);
        }
        if (i % 50 == 49) {
            net_run(n);
            for (size_t k = 0; k < NET_FLOWS; k++) {
                free(n->nodes[0].flows[k].echo);
                free(n->nodes[3].flows[k].echo);
                n->nodes[0].flows[k] = (struct testnet_flow){.used = false};
                n->nodes[3].flows[k] = (struct testnet_flow){.used = false};
            }
        }
    }
    net_run(n);
    assert_int_equal(inner(n, 0)->phase, ONION_PH_READY);
    assert_true(inner(n, 0)->mux->last_id == 600);
    for (size_t i = 0; i < n->nodes_n; i++) {
        assert_int_equal(n->nodes[i].o->stats.unexplained, 0);
    }
    net_del(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_hop_sends_the_client_many_cells_without_messages),
        cmocka_unit_test(hops_are_counted_one_by_one),
        cmocka_unit_test(no_client_sends_a_hop_many_cells_without_messages),
        cmocka_unit_test(messages_for_a_stream_that_ended_mean_nothing),
        cmocka_unit_test(data_for_a_stream_given_up_is_explained_by_its_credit_and_for_a_while),
        cmocka_unit_test(small_credits_destroy_the_circuit),
        cmocka_unit_test(padding_that_nobody_agreed_upon_is_bounded_on_every_leg),
        cmocka_unit_test(content_under_way_to_a_reset_stream_costs_no_circuit),
        cmocka_unit_test(content_under_way_to_several_reset_streams_costs_no_circuit),
        cmocka_unit_test(honest_streams_leave_nothing_unexplained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
