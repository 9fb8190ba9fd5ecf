/*
 * hostile_test.c - circuits among relays, clients and links that do not keep the rules.
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/onion/testnet_case.h"

/* ---- the path ---- */

static void paths_that_make_no_sense_are_refused(void **state)
{
    struct testnet *n = net_new(10);
    struct onion_hop *hops = calloc(9, sizeof *hops);
    struct ref c;

    (void)state;
    assert_non_null(hops);
    for (size_t i = 0; i < 9; i++) {
        hops[i] = n->nodes[i + 1].hop;
    }
    struct onion *o = n->nodes[0].o;
    assert_int_equal(onion_build(o, hops, 0, n->now, &n->out, &c), QUDAG_EINVAL);
    assert_int_equal(onion_build(o, hops, 9, n->now, &n->out, &c), QUDAG_EINVAL);
    hops[2] = hops[0];
    assert_int_equal(onion_build(o, hops, 3, n->now, &n->out, &c), QUDAG_EINVAL);
    hops[2] = n->nodes[3].hop;
    hops[1] = n->nodes[0].hop;
    assert_int_equal(onion_build(o, hops, 3, n->now, &n->out, &c), QUDAG_EINVAL);
    hops[1] = n->nodes[2].hop;
    hops[1].service = true;
    assert_int_equal(onion_build(o, hops, 3, n->now, &n->out, &c), QUDAG_EINVAL);
    hops[1].service = false;
    hops[1].n_addrs = ONION_ADDRS_MAX + 1;
    assert_int_equal(onion_build(o, hops, 3, n->now, &n->out, &c), QUDAG_EINVAL);
    assert_int_equal(n->out.n, 0);
    assert_int_equal(circuits(n, 0), 0);
    free(hops);
    net_del(n);
}

static void a_service_key_ends_a_circuit_and_is_told_apart(void **state)
{
    struct testnet *n = net_new(4);

    (void)state;
    net_key(&n->nodes[3], true, 4711);
    n->nodes[3].app = APP_ECHO;
    struct ref c = built(n, 3);
    struct testnet_flow *f = net_open(n, c, 1);
    ASSERT(f != NULL);
    assert_int_equal(net_write(n, f, 0, 10), QUDAG_OK);
    net_run(n);
    assert_int_equal(f->received, 10);
    assert_int_equal(net_up_of(&n->nodes[3], ONION_UP_INBOUND)->cookie, 4711);
    net_del(n);
}

static void a_wrong_label_key_or_identity_breaks_at_the_hop_it_concerns(void **state)
{
    (void)state;
    for (size_t what = 0; what < 4; what++) {
        for (size_t hop = 1; hop <= 3; hop++) {
            struct testnet *n = net_new(4);
            struct onion_hop *to = &n->nodes[hop].hop;
            struct ref c;
            to->service = what == 0 && hop == 3;
            to->key_id[0] ^= what == 1 || (what == 0 && hop < 3);
            to->pq_hash[0] ^= what == 2;
            to->k[1183] ^= what == 3; /* rho: another key, well formed */
            assert_int_equal(net_build(n, 1, 3, &c), QUDAG_OK);
            net_run(n);
            net_sleep(n, EXTEND_TOLD_BY);
            const struct up *up = net_up_of(&n->nodes[0], ONION_UP_CLOSED);
            assert_int_equal(up->n, hop);
            assert_int_equal(up->err, hop == 1 ? QUDAG_EAUTH : QUDAG_EUNREACHABLE);
            assert_null(net_last_up(&n->nodes[0], ONION_UP_BUILT));
            assert_int_equal(all_circuits(n), 0);
            net_del(n);
        }
    }
}

static void a_hop_that_cannot_be_reached_is_named(void **state)
{
    (void)state;
    for (size_t hop = 1; hop <= 4; hop++) {
        struct testnet *n = net_new(5);
        struct ref c;
        n->nodes[hop].down = true;
        assert_int_equal(net_build(n, 1, 4, &c), QUDAG_OK);
        net_run(n);
        net_sleep(n, EXTEND_TOLD_BY);
        const struct up *up = net_up_of(&n->nodes[0], ONION_UP_CLOSED);
        assert_int_equal(up->n, hop);
        assert_int_equal(up->err, QUDAG_EUNREACHABLE);
        assert_int_equal(all_circuits(n), 0);
        net_del(n);
    }
}

static void a_hop_that_dies_later_is_named(void **state)
{
    (void)state;
    for (size_t hop = 1; hop <= 4; hop++) {
        struct testnet *n = net_new(5);
        struct ref c = built(n, 4);
        (void)c;
        struct pipe *p = pipe_between(n, hop - 1, hop);
        ASSERT(p != NULL);
        p->cut[0] = p->cut[1] = true;
        net_event(n, hop - 1,
                  &(struct ev){.type = EV_RESET, .strm = p->ref[0], .err = QUDAG_ERESET});
        net_event(n, hop, &(struct ev){.type = EV_RESET, .strm = p->ref[1], .err = QUDAG_ERESET});
        net_run(n);
        const struct up *up = net_up_of(&n->nodes[0], ONION_UP_CLOSED);
        assert_int_equal(up->n, hop);
        assert_int_equal(all_circuits(n), 0);
        net_del(n);
    }
}

static void links_that_are_not_post_quantum_are_refused_on_both_sides(void **state)
{
    static const uint8_t missing[] = {LINK_PQ_KEX, LINK_PQ_AUTH, LINK_QUDAG};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
        for (size_t hop = 1; hop <= 2; hop++) {
            struct testnet *n = net_new(3);
            struct ref c;
            n->nodes[hop].props = (uint8_t)(ONION_NEED & ~missing[i]);
            assert_int_equal(net_build(n, 1, 2, &c), QUDAG_OK);
            net_run(n);
            net_sleep(n, EXTEND_TOLD_BY);
            const struct up *up = net_up_of(&n->nodes[0], ONION_UP_CLOSED);
            assert_int_equal(up->n, hop);
            assert_int_equal(up->err, hop == 1 ? QUDAG_EPOLICY : QUDAG_EUNREACHABLE);
            assert_int_equal(n->nodes[0].refused_opens + n->nodes[1].refused_opens, 0);
            assert_int_equal(circuits(n, 2), 0);
            struct onion_stats st;
            onion_stats_get(n->nodes[hop].o, &st);
            assert_int_equal(st.refused_limit, 1);
            net_del(n);
        }
    }
}

/* ---- cells that were changed under way ---- */

struct tamper {
    size_t from, to;
    bool back;
    uint64_t countdown; /* cells to let pass */
    size_t byte;
    uint8_t previous[ONION_CELL_LEN];
    enum { FLIP, REPLAY } how;
    bool done;
};

static void tamper(struct testnet *n, struct pipe *p, size_t side, uint8_t *bytes, size_t len)
{
    struct tamper *t = n->tap_ctx;

    if (p->node[0] != t->from || p->node[1] != t->to || side != (t->back ? 1u : 0u) || t->done) {
        return;
    }
    assert_int_equal(len, ONION_CELL_LEN); /* every unit on every wire, both ways */
    if (t->countdown > 0) {
        t->countdown--;
        memcpy(t->previous, bytes, len);
        return;
    }
    t->done = true;
    if (t->how == FLIP) {
        bytes[t->byte] ^= 0x10;
    } else {
        memcpy(bytes, t->previous, len);
    }
}

static void a_cell_changed_at_any_hop_destroys_the_circuit_and_is_not_delivered(void **state)
{
    static const size_t at[] = {0, 1, 16, 17, 600, ONION_CELL_LEN - 1};

    (void)state;
    for (size_t run = 0; run < 3 * 2 * (ARRAY_LEN(at) + 1); run++) {
        struct testnet *n = net_new(4);
        size_t hop = run % 3, what = run / 6;
        struct tamper t = {.from = hop,
                           .to = hop + 1,
                           .back = run / 3 % 2 == 1,
                           .countdown = 3,
                           .how = what == ARRAY_LEN(at) ? REPLAY : FLIP,
                           .byte = what == ARRAY_LEN(at) ? 0 : at[what]};
        n->chunk = ONION_CELL_LEN;
        n->nodes[3].app = APP_ECHO;
        struct ref c = built(n, 3);
        struct testnet_flow *f = net_open(n, c, 3);
        ASSERT(f != NULL);
        assert_int_equal(net_write(n, f, 0, 5000), QUDAG_OK);
        net_run(n);
        assert_int_equal(f->received, 5000);
        n->tap = tamper;
        n->tap_ctx = &t;
        assert_int_equal(net_write(n, f, 5000, 20000), QUDAG_OK);
        net_run(n);
        assert_true(t.done);
        assert_int_equal(f->wrong, 0); /* what came before is good, nothing comes after */
        assert_true(f->received < 25000);
        (void)net_up_of(&n->nodes[0], ONION_UP_CLOSED);
        assert_int_equal(all_circuits(n), 0);
        struct testnet_flow *far = &n->nodes[3].flows[0];
        assert_true(far->received < 25000 || t.back);
        net_del(n);
    }
}

static void a_cell_delivered_twice_destroys_the_circuit(void **state)
{
    (void)state;
    for (size_t hop = 0; hop < 3; hop++) {
        struct testnet *n = net_new(4);
        n->chunk = ONION_CELL_LEN;
        struct ref c = built(n, 3);
        struct testnet_flow *f = net_open(n, c, 3);
        ASSERT(f != NULL);
        assert_int_equal(net_write(n, f, 0, 500), QUDAG_OK);
        struct pipe *p = NULL;
        for (int i = 0; i < 100 && (p == NULL || p->way[0].len == 0); i++) {
            p = pipe_between(n, hop, hop + 1);
            ASSERT(p != NULL);
            if (p->way[0].len == 0) {
                net_round(n);
            }
        }
        ASSERT(p != NULL);
        if (p->way[0].len >= ONION_CELL_LEN) {
            uint8_t twice[ONION_CELL_LEN];
            memcpy(twice, p->way[0].queue, sizeof twice);
            p->way[0].credit -= sizeof twice;
            net_event(
                n, hop + 1,
                &(struct ev){.type = EV_DATA, .strm = p->ref[1], .data = {twice, sizeof twice}});
            net_run(n);
            assert_true(n->nodes[3].flows[0].received <= 500);
            assert_non_null(net_last_up(&n->nodes[0], ONION_UP_CLOSED));
            assert_int_equal(all_circuits(n), 0);
        } else {
            assert_true(hop > 0); /* the one cell passed within a round */
        }
        net_del(n);
    }
}

/* ---- messages in states they do not belong to ---- */

enum where {
    MIDDLE,
    END_FRESH,
    END_STREAM,
    CLIENT_READY,
    CLIENT_STREAM,
    CLIENT_FROM_MIDDLE,
    WHERES
};

/* Each relay message at each place it can reach; what survives is listed, all else destroys. */
static void messages_out_of_place_destroy_the_circuit(void **state)
{
    static const uint8_t zero[16] = {0}, proto[] = {'/', 'x'};
    static const uint8_t frag[ONION_RELAY_FRAG_HEAD + ONION_RELAY_FRAG_MAX] = {
        ONION_EXTEND_LEN >> 8, ONION_EXTEND_LEN & 0xff};
    static const uint8_t credit_one[] = {0, 0, 0, 1};
    static const struct {
        uint8_t type;
        struct slice data;
        bool lives[WHERES];
    } rows[] = {
        /*                                         middle fresh  end    client  stream  from mid */
        {ONION_RELAY_EXTEND, {frag, sizeof frag}, {false, true, false, false, false, false}},
        {ONION_RELAY_EXTENDED, {frag, 5}, {false, false, false, false, false, false}},
        {ONION_RELAY_TRUNCATED, {zero, 1}, {false, false, false, false, false, false}},
        {ONION_RELAY_SENDME, {zero, 16}, {false, false, false, false, false, false}},
        {ONION_RELAY_BEGIN, {proto, 2}, {false, true, true, false, false, false}},
        {ONION_RELAY_CONNECTED, {NULL, 0}, {false, false, false, false, false, false}},
        {ONION_RELAY_DATA, {zero, 16}, {false, false, true, false, true, false}},
        {ONION_RELAY_FIN, {NULL, 0}, {false, false, true, false, true, false}},
        {ONION_RELAY_RESET, {zero, 1}, {false, false, true, false, true, false}},
        {ONION_RELAY_CREDIT, {credit_one, 4}, {false, false, false, false, false, false}},
        {ONION_RELAY_CREDIT + 1, {zero, 4}, {false, false, false, false, false, false}},
        {255, {NULL, 0}, {false, false, false, false, false, false}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t w = 0; w < WHERES; w++) {
            struct testnet *n = net_new(4);
            struct ref c = built(n, 3);
            bool stream = w == END_STREAM || w == CLIENT_STREAM;
            uint8_t type = rows[i].type;
            uint16_t id = onion_relay_type_is_stream(type) ? 1 : 0;
            if (stream) {
                assert_non_null(net_open(n, c, 0));
                net_run(n);
            }
            if (w == END_STREAM && type == ONION_RELAY_BEGIN) {
                id = 2;
            }
            if (w == MIDDLE || w == END_FRESH || w == END_STREAM) {
                send_to_hop(n, w == MIDDLE ? 2 : 3, type, id, rows[i].data);
            } else {
                send_to_client(n, w == CLIENT_FROM_MIDDLE ? 2 : 3, type, id, rows[i].data);
            }
            bool lives = all_circuits(n) == 4;
            if (lives != rows[i].lives[w]) {
                print_message("type %u at %u\n", type, (unsigned)w);
            }
            assert_int_equal(lives, rows[i].lives[w]);
            assert_true(lives || all_circuits(n) == 0);
            net_del(n);
        }
    }
}

/* EXTEND of a shape that is fine, to whom the relay must not extend: itself, and where the circuit comes from. */
static void a_relay_extends_neither_to_itself_nor_back(void **state)
{
    static const size_t to[] = {1, 0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(to); i++) {
        struct testnet *n = net_new(3);
        (void)built(n, 1);
        uint8_t create[ONION_HS_CREATE_MIN] = {0}, bytes[ONION_EXTEND_LEN];
        struct onion_extend e = {.create = {create, sizeof create}};
        e.to.peer = n->nodes[to[i]].id;
        struct wr w = wr_init(bytes, sizeof bytes);
        onion_extend_put(&w, &e);
        assert_true(wr_ok(&w));
        onion_circuit_send_fragments(inner(n, 0), ONION_RELAY_EXTEND, wr_done(&w), &n->out);
        net_drain(n, 0);
        net_run(n);
        net_sleep(n, EXTEND_TOLD_BY);
        assert_int_equal(net_up_of(&n->nodes[0], ONION_UP_CLOSED)->err, QUDAG_EUNREACHABLE);
        assert_null(pipe_between(n, 1, to[i]));
        assert_int_equal(n->nodes[1].asked, 0);
        assert_int_equal(all_circuits(n), 0);
        net_del(n);
    }
}

/* The answer to an EXTEND comes from the last hop there is; an earlier one would choose the next. */
static void extended_comes_from_the_last_hop_only(void **state)
{
    /* the first piece of an answer */
    static const uint8_t frag[ONION_RELAY_FRAG_HEAD + ONION_RELAY_FRAG_MAX] = {
        ONION_HS_CREATED_MAX >> 8, ONION_HS_CREATED_MAX & 0xff};

    (void)state;
    for (size_t from = 1; from <= 2; from++) {
        struct testnet *n = net_new(4);
        struct ref c;
        assert_int_equal(net_build(n, 1, 3, &c), QUDAG_OK);
        for (int i = 0; i < 1000 && inner(n, 0)->hops.n < 2; i++) {
            net_round(n);
        }
        assert_int_equal(inner(n, 0)->phase, ONION_PH_EXTEND);
        struct wr w;
        uint8_t ack[CGO_TAG_LEN];
        n->out.n = 0;
        uint8_t *cell = onion_circuit_cell_open(&w, &n->out);
        ASSERT(cell != NULL);
        onion_relay_msg_put(&w, ONION_RELAY_EXTENDED, 0, (struct slice){frag, sizeof frag});
        onion_circuit_cell_seal(inner(n, from), cell, &w, ack, &n->out);
        net_drain(n, from);
        uint64_t before = n->nodes[0].o->stats.wrong_state;
        for (int i = 0; i < 3; i++) {
            net_round(n);
        }
        assert_int_equal(n->nodes[0].o->stats.wrong_state - before, from == 1);
        net_run(n);
        assert_int_equal(circuits(n, 0), 0); /* a piece of another answer spoils the true one */
        net_del(n);
    }
}

/* At the far end, by hand: an id is used once, whether its stream is still there or gone. */
static void a_stream_id_is_never_used_again(void **state)
{
    static const uint8_t proto[] = {'/', 'x'}, why[] = {1};
    static const struct {
        uint16_t id;
        bool reset_first;
        qudag_err err;
    } rows[] = {
        {1, false, QUDAG_EPROTO},
        {1, true, QUDAG_EPROTO},
        {2, false, QUDAG_OK},
        {2, true, QUDAG_OK},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct testnet *n = net_new(3);
        struct ref c = built(n, 2);
        assert_non_null(net_open(n, c, 0));
        net_run(n);
        struct onion_mux *m = inner(n, 2)->mux;
        struct onion_relay_msg reset = {ONION_RELAY_RESET, 1, {why, sizeof why}};
        n->out.n = 0;
        if (rows[i].reset_first) {
            assert_int_equal(onion_mux_recv(m, &reset, &n->out), QUDAG_OK);
        }
        struct onion_relay_msg begin = {ONION_RELAY_BEGIN, rows[i].id, {proto, sizeof proto}};
        assert_int_equal(onion_mux_recv(m, &begin, &n->out), rows[i].err);
        net_drain(n, 2);
        net_del(n);
    }
}

/* What may come is what was promised, to the last one: messages in a cell, cells before a SENDME. */
static void one_more_than_the_limit_is_refused(void **state)
{
    static const uint8_t tag[CGO_TAG_LEN] = {0};

    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct testnet *n = net_new(3);
        struct ref c = built(n, 2);
        assert_non_null(net_open(n, c, 0));
        net_run(n);
        uint8_t payload[ONION_RELAY_PAYLOAD] = {0}, one[] = {0};
        struct wr w = wr_init(payload, sizeof payload);
        for (size_t i = 0; i < ONION_RELAY_MSGS_MAX + more; i++) {
            onion_relay_msg_put(&w, ONION_RELAY_DATA, 1, (struct slice){one, sizeof one});
        }
        assert_true(wr_ok(&w));
        n->out.n = 0;
        struct slice whole = {payload, sizeof payload};
        assert_int_equal(onion_circuit_stream_messages(inner(n, 2), 0, whole, tag, &n->out),
                         more ? QUDAG_EPROTO : QUDAG_OK);
        net_drain(n, 2);

        struct onion_mux *m = inner(n, 2)->mux;
        m->unanswered = (uint32_t)(ONION_MUX_WINDOW - 1 + more);
        m->received = 0;
        assert_int_equal(onion_mux_received(m, tag), more ? QUDAG_EPROTO : QUDAG_OK);
        net_del(n);
    }
}

static void stream_ids_must_be_known_new_and_not_zero(void **state)
{
    static const uint8_t proto[] = {'/', 'x'}, data[] = {1};
    static const struct {
        uint8_t type;
        uint16_t id;
        bool lives;
    } rows[] = {
        {ONION_RELAY_BEGIN, 1, false},    {ONION_RELAY_BEGIN, 3, true},
        {ONION_RELAY_BEGIN, 65535, true}, {ONION_RELAY_DATA, 2, false},
        {ONION_RELAY_DATA, 1, true},      {ONION_RELAY_FIN, 9, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct testnet *n = net_new(3);
        struct ref c = built(n, 2);
        assert_non_null(net_open(n, c, 0));
        net_run(n);
        struct slice s = {data, rows[i].type == ONION_RELAY_DATA ? 1u : 0u};
        if (rows[i].type == ONION_RELAY_BEGIN) {
            s = (struct slice){proto, sizeof proto};
        }
        send_to_hop(n, 2, rows[i].type, rows[i].id, s);
        assert_int_equal(all_circuits(n), rows[i].lives ? 3 : 0);
        net_del(n);
    }
}

static void data_after_fin_and_beyond_the_window_destroys_the_circuit(void **state)
{
    static const uint8_t data[1098] = {0};

    (void)state;
    struct testnet *n = net_new(3);
    struct ref c = built(n, 2);
    struct testnet_flow *f = net_open(n, c, 0);
    ASSERT(f != NULL);
    onion_stream_fin(n->nodes[0].o, c, f->sid, n->now, &n->out);
    net_drain(n, 0);
    net_run(n);
    send_to_hop(n, 2, ONION_RELAY_DATA, 1, (struct slice){data, 1});
    assert_int_equal(all_circuits(n), 0);
    net_del(n);

    n = net_new(3);
    n->nodes[2].app = APP_STALL;
    c = built(n, 2);
    assert_non_null(net_open(n, c, 0));
    net_run(n);
    for (size_t sent = 0; sent + sizeof data <= ONION_STREAM_WINDOW; sent += sizeof data) {
        send_to_hop(n, 2, ONION_RELAY_DATA, 1, (struct slice){data, sizeof data});
        struct onion_mux *m =
            inner(n, 2)->mux; /* its SENDMEs would not be believed: none falls due */
        m->unanswered = m->received = 0;
    }
    assert_int_equal(all_circuits(n), 3);
    send_to_hop(n, 2, ONION_RELAY_DATA, 1, (struct slice){data, sizeof data});
    assert_int_equal(all_circuits(n), 0);
    net_del(n);
}

static void a_sendme_with_a_wrong_tag_destroys_the_circuit(void **state)
{
    (void)state;
    for (int right = 0; right < 2; right++) {
        struct testnet *n = net_new(3);
        struct ref c = built(n, 2);
        struct testnet_flow *f = net_open(n, c, 0);
        ASSERT(f != NULL);
        for (size_t i = 0; i < NET_PIPES; i++) {
            n->pipes[i].stalled[0] = true; /* the client does not get the true one */
        }
        assert_int_equal(net_write(n, f, 0, 100000), QUDAG_OK);
        net_run(n);
        struct onion_mux *m = inner(n, 0)->mux;
        assert_true(m->expected.n >= 1);
        uint8_t tag[CGO_TAG_LEN];
        memcpy(tag, m->expected.tag[m->expected.head], sizeof tag);
        tag[15] ^= right ? 0 : 1;
        struct onion_relay_msg msg = {ONION_RELAY_SENDME, 0, {tag, sizeof tag}};
        assert_int_equal(onion_mux_recv(m, &msg, &n->out), right ? QUDAG_OK : QUDAG_EPROTO);
        net_del(n);
    }
}

/* ---- cell classes in states they do not belong to ---- */

enum stage { ACCEPTING, KEYED, DIALLING, WAITING, RELAYING, STAGES };

/* Brings node 1, or a relay made by hand, to |stage|; node 0 builds. */
static struct pipe *bring_to(struct testnet *n, enum stage stage)
{
    struct ref c;
    size_t hops = stage == KEYED ? 1 : 2;

    if (stage == ACCEPTING || stage == WAITING) {
        n->nodes[stage == ACCEPTING ? 1 : 2].props = ONION_NEED;
    }
    assert_int_equal(net_build(n, 1, hops, &c), QUDAG_OK);
    for (int i = 0; i < 1000 && inner_or_null(n, 1) != NULL; i++) {
        static const enum onion_phase want[] = {ONION_PH_ACCEPT, ONION_PH_END, ONION_PH_DIAL_NEXT,
                                                ONION_PH_WAIT_NEXT, ONION_PH_RELAY};
        if (inner(n, 1)->phase == want[stage]) {
            break;
        }
        net_round(n);
    }
    return pipe_between(n, 0, 1);
}

static void cell_classes_out_of_place_destroy_the_circuit(void **state)
{
    /* from the client's side / from the next hop, for classes 0 .. 7 */
    static const bool prev_lives[STAGES][8] = {
        [ACCEPTING] = {0, 0, 0, 0, 1, 0, 0, 0}, /* the CREATE fragment is not a valid one */
        [KEYED] = {0, 0, 0, 0, 1, 0, 0, 0},
        [WAITING] = {0, 0, 0, 0, 1, 0, 0, 0},
        [RELAYING] = {0, 0, 0, 1, 1, 0, 1, 0}, /* garbage is passed on, the next hop notices */
    };
    static const bool next_lives[STAGES][8] = {
        [WAITING] = {0, 0, 1, 0, 1, 0, 0, 0}, /* the CREATED fragment is a valid one */
        [RELAYING] = {0, 0, 0, 1, 1, 0, 0, 0},
    };
    static const uint8_t fragment[] = {ONION_CELL_CREATED, ONION_HS_CREATED_MAX >> 8,
                                       ONION_HS_CREATED_MAX & 0xff, 0, 0};

    (void)state;
    for (enum stage s = ACCEPTING; s < STAGES; s++) {
        for (uint8_t class = 0; s != DIALLING && class < 16; class ++) {
            struct testnet *n = net_new(3);
            struct pipe *p = bring_to(n, s);
            bool from_next = class >= 8;
            uint8_t cell[ONION_CELL_LEN];
            memset(cell, 0xee, sizeof cell);
            cell[0] = class % 8;
            if (from_next) {
                p = pipe_between(n, 1, 2);
                memcpy(cell, fragment, cell[0] == ONION_CELL_CREATED ? sizeof fragment : 0);
            }
            if (p == NULL) {
                assert_true(from_next && s < WAITING);
                net_del(n);
                continue;
            }
            size_t way = from_next ? 1 : 0;
            p->way[way].credit -= sizeof cell;
            net_event(n, 1,
                      &(struct ev){
                          .type = EV_DATA, .strm = p->ref[1 - way], .data = {cell, sizeof cell}});
            const struct onion_circuit *c = inner_or_null(n, 1);
            bool lives = c != NULL && c->phase != ONION_PH_CLOSING && c->phase != ONION_PH_REFUSING;
            bool want = from_next ? next_lives[s][class % 8] : prev_lives[s][class];
            if (lives != want) {
                print_message("stage %d class %u\n", (int)s, class);
            }
            assert_int_equal(lives, want);
            net_run(n);
            net_del(n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_make_no_sense_are_refused),
        cmocka_unit_test(a_service_key_ends_a_circuit_and_is_told_apart),
        cmocka_unit_test(a_wrong_label_key_or_identity_breaks_at_the_hop_it_concerns),
        cmocka_unit_test(a_hop_that_cannot_be_reached_is_named),
        cmocka_unit_test(a_hop_that_dies_later_is_named),
        cmocka_unit_test(links_that_are_not_post_quantum_are_refused_on_both_sides),
        cmocka_unit_test(a_cell_changed_at_any_hop_destroys_the_circuit_and_is_not_delivered),
        cmocka_unit_test(a_cell_delivered_twice_destroys_the_circuit),
        cmocka_unit_test(messages_out_of_place_destroy_the_circuit),
        cmocka_unit_test(a_relay_extends_neither_to_itself_nor_back),
        cmocka_unit_test(extended_comes_from_the_last_hop_only),
        cmocka_unit_test(a_stream_id_is_never_used_again),
        cmocka_unit_test(one_more_than_the_limit_is_refused),
        cmocka_unit_test(stream_ids_must_be_known_new_and_not_zero),
        cmocka_unit_test(data_after_fin_and_beyond_the_window_destroys_the_circuit),
        cmocka_unit_test(a_sendme_with_a_wrong_tag_destroys_the_circuit),
        cmocka_unit_test(cell_classes_out_of_place_destroy_the_circuit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
