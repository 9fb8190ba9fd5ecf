/* relay_msg_test.c - messages inside cells: accepted and refused forms, fragments, EXTEND. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "core/onion/relay_msg.h"

#include <string.h>

struct row {
    uint8_t b[24];
    size_t len;
    int first; /* what onion_relay_msg_next() says */
    uint8_t type;
    uint16_t stream;
    size_t data;
};

static void messages_are_read_as_the_table_of_types_says(void **state)
{
    static const struct row rows[] = {
        {{0}, 24, 0, 0, 0, 0},
        {{0}, 2, 0, 0, 0, 0},
        {{0}, 0, 0, 0, 0, 0},
        {{0, 1}, 24, -1, 0, 0, 0},
        {{9, 0}, 2, -1, 0, 0, 0}, /* too short for a head, and not zero */
        {{ONION_RELAY_DATA, 0, 2, 0, 7, 'h', 'i'}, 24, 1, ONION_RELAY_DATA, 7, 2},
        {{ONION_RELAY_DATA, 0, 2, 0, 7, 'h', 'i'}, 7, 1, ONION_RELAY_DATA, 7, 2},
        {{ONION_RELAY_DATA, 0, 2, 0, 7, 'h'}, 6, -1, 0, 0, 0},
        {{ONION_RELAY_DATA, 0, 0, 0, 7}, 24, -1, 0, 0, 0},
        {{ONION_RELAY_DATA, 0, 2, 0, 0, 'h', 'i'}, 24, -1, 0, 0, 0},
        {{ONION_RELAY_DATA, 255, 255, 0, 7}, 24, -1, 0, 0, 0},
        {{ONION_RELAY_FIN, 0, 0, 1, 0}, 24, 1, ONION_RELAY_FIN, 256, 0},
        {{ONION_RELAY_FIN, 0, 1, 1, 0, 0}, 24, -1, 0, 0, 0},
        {{ONION_RELAY_CREDIT, 0, 4, 0, 1, 0, 0, 0, 9}, 24, 1, ONION_RELAY_CREDIT, 1, 4},
        {{ONION_RELAY_CREDIT, 0, 3, 0, 1, 0, 0, 9}, 24, -1, 0, 0, 0},
        {{ONION_RELAY_TRUNCATED, 0, 1, 5}, 24, 1, ONION_RELAY_TRUNCATED, 0, 1},
        {{ONION_RELAY_SENDME, 0, 16}, 24, 1, ONION_RELAY_SENDME, 0, 16},
        {{ONION_RELAY_SENDME, 0, 15}, 24, -1, 0, 0, 0},
        {{ONION_RELAY_EXTEND, 0, 5, 0, 9, 0, 0, 1}, 24, 1, ONION_RELAY_EXTEND, 0, 5},
        {{ONION_RELAY_EXTEND, 0, 4, 0, 9, 0, 0}, 24, -1, 0, 0, 0},
        {{ONION_RELAY_CREDIT + 1, 0, 0, 0, 1}, 24, -1, 0, 0, 0},
        {{255, 0, 0, 0, 1}, 24, -1, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rd r = rd_init((struct slice){rows[i].b, rows[i].len});
        struct onion_relay_msg msg = {0};
        assert_int_equal(onion_relay_msg_next(&r, &msg), rows[i].first);
        if (rows[i].first > 0) {
            assert_int_equal(msg.type, rows[i].type);
            assert_int_equal(msg.stream, rows[i].stream);
            assert_int_equal(msg.data.len, rows[i].data);
        }
    }
}

static void several_messages_share_a_cell_and_a_cut_one_is_refused(void **state)
{
    uint8_t cell[ONION_RELAY_PAYLOAD];
    struct wr w = wr_init(cell, sizeof cell);
    struct onion_relay_msg msg;

    (void)state;
    for (uint16_t i = 1; i <= 5; i++) {
        onion_relay_msg_put(&w, ONION_RELAY_DATA, i,
                            (struct slice){(const uint8_t *)"abcdefgh", i});
    }
    for (size_t len = 0; len <= w.len; len++) {
        struct rd r = rd_init((struct slice){cell, len});
        size_t n = 0, end = 0;
        int more;
        while ((more = onion_relay_msg_next(&r, &msg)) > 0) {
            n++;
            assert_int_equal(msg.stream, n);
            assert_int_equal(msg.data.len, n);
            end += ONION_RELAY_STREAM_HEAD + n;
        }
        assert_int_equal(more, end == len ? 0 : -1);
    }
}

/* A fragment of |len| bytes at |offset| of |total|, ready for a RELAY message. */
static qudag_err add_piece(struct onion_assembly *a, size_t total, size_t offset, size_t len,
                           bool *done)
{
    uint8_t buf[ONION_RELAY_PAYLOAD] = {0};
    struct wr w = wr_init(buf, sizeof buf);

    wr_u16(&w, (uint16_t)total);
    wr_u16(&w, (uint16_t)offset);
    memset(buf + w.len, (int)(offset / ONION_RELAY_FRAG_MAX + 1), len);
    return onion_assembly_add(a, (struct slice){buf, w.len + len}, 3000, false, done);
}

static void fragments_come_in_order_with_one_total_and_fill_their_cells(void **state)
{
    enum { F = ONION_RELAY_FRAG_MAX };
    struct mem mem;
    struct onion_assembly a;
    bool done;
    static const struct {
        size_t first[3], second[3]; /* total, offset, bytes */
        qudag_err err1, err2;
        bool done;
    } rows[] = {
        {{F + 3, 0, F}, {F + 3, F, 3}, QUDAG_OK, QUDAG_OK, true},
        {{F + 3, 1, F}, {F + 3, F, 3}, QUDAG_EMALFORMED, QUDAG_EMALFORMED, false},
        {{F + 3, 0, F}, {F + 3, F - 1, 4}, QUDAG_OK, QUDAG_EMALFORMED, false},
        {{F + 3, 0, F}, {F + 4, F, 4}, QUDAG_OK, QUDAG_EMALFORMED, false},
        {{F + 3, 0, F}, {F + 3, F, 4}, QUDAG_OK, QUDAG_EMALFORMED, false},
        {{F + 3, 0, F}, {F + 3, F, 2}, QUDAG_OK, QUDAG_EMALFORMED, false},
        {{F + 3, 0, F}, {F + 3, F, 0}, QUDAG_OK, QUDAG_EMALFORMED, false},
        {{F + 3, 0, F - 1}, {F + 3, F - 1, 4}, QUDAG_EMALFORMED, QUDAG_EMALFORMED, false},
        {{F + 3, 0, 1}, {F + 3, 1, F}, QUDAG_EMALFORMED, QUDAG_EMALFORMED, false},
        {{0, 0, 1}, {0, 0, 0}, QUDAG_EMALFORMED, QUDAG_EMALFORMED, false},
        {{3001, 0, F}, {0, 0, 0}, QUDAG_EMALFORMED, QUDAG_EMALFORMED, false},
    };

    (void)state;
    mem_init(&mem, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const size_t *p = rows[i].first, *q = rows[i].second;
        onion_assembly_init(&a, &mem);
        assert_int_equal(add_piece(&a, p[0], p[1], p[2], &done), rows[i].err1);
        assert_int_equal(add_piece(&a, q[0], q[1], q[2], &done), rows[i].err2);
        assert_int_equal(done, rows[i].done);
        if (done) {
            assert_int_equal(a.p[F - 1], 1);
            assert_int_equal(a.p[F], 2);
        }
        onion_assembly_fini(&a);
        assert_int_equal(mem.used, 0);
    }
    assert_int_equal(
        onion_assembly_add(&a, (struct slice){(const uint8_t *)"\0\3\0", 3}, 3000, false, &done),
        QUDAG_EMALFORMED);
    mem.fail_at = 1;
    onion_assembly_init(&a, &mem);
    assert_int_equal(add_piece(&a, 3, 0, 3, &done), QUDAG_ENOMEM);
    onion_assembly_fini(&a);
}

static void a_fragment_in_the_clear_fills_its_cell_with_zeros(void **state)
{
    uint8_t body[ONION_BODY_LEN] = {0, 3, 0, 0, 1, 2, 3};
    struct mem mem;
    struct onion_assembly a;
    bool done;

    (void)state;
    mem_init(&mem, NULL, 0);
    onion_assembly_init(&a, &mem);
    struct slice s = {body, sizeof body};
    assert_int_equal(onion_assembly_add(&a, s, 100, true, &done), QUDAG_OK);
    assert_true(done);
    onion_assembly_fini(&a);
    body[ONION_BODY_LEN - 1] = 1;
    assert_int_equal(onion_assembly_add(&a, s, 100, true, &done), QUDAG_EMALFORMED);
    onion_assembly_fini(&a);
}

static void an_extend_is_refused_when_cut_anywhere(void **state)
{
    uint8_t buf[ONION_EXTEND_LEN + 1], create[50] = {2, 7}, pk[32] = {3};
    struct netaddr at = {.family = 4, .ip = {10, 1, 2, 3}, .port = 4001};
    struct onion_extend e, got;

    (void)state;
    for (int ends = 0; ends < 2; ends++) {
        struct wr w = wr_init(buf, ONION_EXTEND_LEN);
        memset(buf, 0, sizeof buf);
        e = (struct onion_extend){.ends = ends, .create = {create, sizeof create}};
        e.to.n_addrs = 2;
        e.to.ends_until = 12345;
        peer_id_from_ed25519(&e.to.peer, pk);
        multiaddr_quic(&e.to.addr[0], &at, NULL);
        multiaddr_quic(&e.to.addr[1], &at, &e.to.peer);
        onion_extend_put(&w, &e);
        assert_true(wr_ok(&w));
        assert_int_equal(w.len, ONION_EXTEND_LEN); /* whatever is in it */
        for (size_t len = 0; len < w.len; len++) {
            assert_int_equal(onion_extend_get((struct slice){buf, len}, &got), QUDAG_EMALFORMED);
        }
        buf[w.len - 1] = 1;
        assert_int_equal(onion_extend_get((struct slice){buf, w.len}, &got), QUDAG_EMALFORMED);
        buf[w.len - 1] = 0;
        assert_int_equal(onion_extend_get((struct slice){buf, w.len + 1}, &got), QUDAG_EMALFORMED);
        assert_int_equal(onion_extend_get((struct slice){buf, w.len}, &got), QUDAG_OK);
        assert_true(peer_id_eq(&got.to.peer, &e.to.peer));
        assert_int_equal(got.ends, ends);
        assert_int_equal(got.to.n_addrs, ends ? 2 : 0); /* of a relay it carries no address */
        assert_int_equal(got.to.ends_until, ends ? 12345 : 0);
        assert_int_equal(got.create.len, sizeof create);
        assert_memory_equal(got.create.base, create, sizeof create);
        buf[1 + e.to.peer.len + 1] ^= 1; /* the length of the statement */
        assert_int_equal(onion_extend_get((struct slice){buf, w.len}, &got), QUDAG_EMALFORMED);
    }
}

/* Frozen: a reason means the same in every version. */
static void reasons_survive_the_wire(void **state)
{
    static const struct {
        qudag_err err;
        uint8_t reason;
    } row[] = {
        {QUDAG_ECLOSED, 1},    {QUDAG_EPROTO, 2},      {QUDAG_EAUTH, 3},
        {QUDAG_ELIMIT, 4},     {QUDAG_ETIMEOUT, 5},    {QUDAG_EUNREACHABLE, 6},
        {QUDAG_EINTERNAL, 7},  {QUDAG_EREFUSED, 8},    {QUDAG_EUNSUPPORTED, 9},
        {QUDAG_ECANCELED, 10}, {QUDAG_EPOLICY, 11},    {QUDAG_ERESET, 12},
        {QUDAG_ENOMEM, 13},    {QUDAG_EAGAIN, 14},     {QUDAG_ENOTFOUND, 15},
        {QUDAG_ESTALE, 16},    {QUDAG_EMALFORMED, 17}, {QUDAG_EINVAL, 18},
        {QUDAG_ESTATE, 19},    {QUDAG_ESYSTEM, 20},    {QUDAG_EBOOTSTRAP, 21},
        {QUDAG_EEXPIRED, 22},  {QUDAG_ECHECKSUM, 23},  {QUDAG_ENORELAYS, 24},
        {QUDAG_ECIRCUIT, 25},  {QUDAG_EEXISTS, 26},    {QUDAG_ETOOBIG, 27},
        {QUDAG_ECLOCK, 28},    {QUDAG_ENOGUARD, 29},   {QUDAG_ESMALLNET, 30},
        {QUDAG_ENEEDAUTH, 31},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(onion_reason_of(row[i].err), row[i].reason);
        assert_int_equal(onion_reason_err(row[i].reason), row[i].err);
    }
    assert_int_equal(onion_reason_of(QUDAG_OK), 12);
    assert_int_equal(onion_reason_err(0), QUDAG_ERESET);
    assert_int_equal(onion_reason_err(32), QUDAG_ERESET);
    assert_int_equal(onion_reason_err(191), QUDAG_ERESET);
}

/* Of a stream's end only: what relays and neighbours say of a circuit is no word of a program. */
static void programs_have_reasons_of_their_own(void **state)
{
    (void)state;
    for (int code = 0; code <= QUDAG_EAPP_MAX; code++) {
        assert_int_equal(onion_reason_of(QUDAG_EAPP(code)), 192 + code);
        assert_int_equal(onion_reason_err((uint8_t)(192 + code)), QUDAG_EAPP(code));
        assert_int_equal(onion_reason_heard((uint8_t)(192 + code)), QUDAG_ERESET);
    }
    assert_int_equal(onion_reason_of(QUDAG_EAPP(64)), 12);
    assert_int_equal(onion_reason_of(QUDAG_EAPP(-1)), 12);
}

/* Another node's cancellation, lack of memory or mistake is not taken for ours, so that it is blamed for them. */
static void what_another_node_says_of_itself_is_not_ours(void **state)
{
    static const struct {
        qudag_err said, heard;
        bool ours; /* had this node found |said| itself */
    } row[] = {
        {QUDAG_ECANCELED, QUDAG_ERESET, true},
        {QUDAG_ENOMEM, QUDAG_ELIMIT, true},
        {QUDAG_EINVAL, QUDAG_ERESET, true},
        {QUDAG_ESTATE, QUDAG_ERESET, true},
        {QUDAG_ESYSTEM, QUDAG_ERESET, true},
        {QUDAG_EINTERNAL, QUDAG_ERESET, true},
        {QUDAG_ESTALE, QUDAG_ERESET, true},
        {QUDAG_EAGAIN, QUDAG_ERESET, true},
        {QUDAG_ECLOSED, QUDAG_ECLOSED, false},
        {QUDAG_EPROTO, QUDAG_EPROTO, false},
        {QUDAG_EAUTH, QUDAG_EAUTH, false},
        {QUDAG_ELIMIT, QUDAG_ELIMIT, false},
        {QUDAG_ETIMEOUT, QUDAG_ETIMEOUT, false},
        {QUDAG_EREFUSED, QUDAG_EREFUSED, false},
        {QUDAG_ERESET, QUDAG_ERESET, false},
        {QUDAG_EPOLICY, QUDAG_EPOLICY, false},
        {QUDAG_EMALFORMED, QUDAG_EMALFORMED, false},
        {QUDAG_EUNREACHABLE, QUDAG_EUNREACHABLE, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(onion_reason_heard(onion_reason_of(row[i].said)), row[i].heard);
        assert_int_equal(err_is_ours(row[i].said), row[i].ours);
        assert_false(err_is_ours(row[i].heard));
    }
    for (unsigned reason = 0; reason < 256; reason++) {
        assert_false(err_is_ours(onion_reason_heard((uint8_t)reason)));
    }
}

/* An error added to the list without a reason would arrive as another one. */
static void every_error_has_a_reason_of_its_own(void **state)
{
    static const qudag_err all[] = {
#define XX(name, value, cat, text) QUDAG_E##name,
        QUDAG_ERR_MAP(XX)
#undef XX
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_int_equal(onion_reason_err(onion_reason_of(all[i])), all[i]);
        if (all[i] != QUDAG_EINTERNAL) { /* nobody is told of a bug that is none */
            assert_int_not_equal(onion_reason_of(all[i]), onion_reason_of(QUDAG_EINTERNAL));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_read_as_the_table_of_types_says),
        cmocka_unit_test(several_messages_share_a_cell_and_a_cut_one_is_refused),
        cmocka_unit_test(fragments_come_in_order_with_one_total_and_fill_their_cells),
        cmocka_unit_test(a_fragment_in_the_clear_fills_its_cell_with_zeros),
        cmocka_unit_test(an_extend_is_refused_when_cut_anywhere),
        cmocka_unit_test(reasons_survive_the_wire),
        cmocka_unit_test(what_another_node_says_of_itself_is_not_ours),
        cmocka_unit_test(every_error_has_a_reason_of_its_own),
        cmocka_unit_test(programs_have_reasons_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
