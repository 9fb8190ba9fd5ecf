/* What a peer is told when we are at a limit, and stream credit for peers that hold most of theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"

#define OPS quic_link_ops

static struct tk tk;

static void make(const struct tk_opt *a, const struct tk_opt *b)
{
    tk_init(&tk);
    tk.delay_ns = NS_PER_MS;
    assert_true(tk_make(&tk, 0, a));
    assert_true(tk_make(&tk, 1, b));
}

static void down(void)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tk_unmake(&tk, i), 0);
    }
    tk_fini(&tk);
}

static bool one_down(struct tk *t)
{
    return t->ep[0].downs > 0;
}

static void test_a_dialler_learns_at_once_that_the_endpoint_is_full(void **state)
{
    const struct tk_opt plenty = {.pq = PQ_REQUIRE};
    const struct tk_opt full = {.pq = PQ_REQUIRE, .quic = {.conns_max = 2}};
    struct ref link;

    (void)state;
    make(&plenty, &full);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
        (void)tk_run(&tk, NS_PER_S, NULL);
    }
    assert_int_equal(tk.ep[0].ups, 2);
    tstamp began = tk.now;
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, one_down));
    assert_int_equal(tk.ep[0].down.err, QUDAG_ELIMIT);
    assert_true(tk.now - began <= 3 * NS_PER_MS); /* a round trip */
    assert_true(ref_eq(tk.ep[0].down.link, link));
    struct quic_stats st;
    quic_stats_get(tk.ep[1].q, &st);
    assert_true(st.dropped_full > 0 && st.bytes_out < st.bytes_in);
    assert_int_equal(st.conns, 2);
    /* Once there is room again, it is taken. */
    OPS.close(tk.ep[0].q, tk.ep[0].link, QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].ups, 3);
    down();
}

static void note_refusal(void *ctx, const struct log_record *rec)
{
    uint64_t *n = ctx;

    *n += strcmp(rec->event, "handshake.refused") == 0 ? 1 : 0;
}

/* Two handshakes with tokens, a place for one: the account and the log say so, and the dialler hears of it. */
static void test_a_handshake_without_a_place_is_refused_by_name(void **state)
{
    uint64_t said = 0;
    const struct tk_opt o = {.pq = PQ_OFF};
    const struct tk_opt one = {
        .pq = PQ_OFF, .quic = {.half_open_max = 1, .log = {note_refusal, &said, LOG_INFO}}};
    struct quic_stats st;
    struct ref link;

    (void)state;
    make(&o, &one);
    struct quic *q = tk.ep[1].q;
    q->gate.busy = TSTAMP_NEVER; /* nobody begins without a token */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    }
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(tk.ep[0].down.err, QUDAG_ELIMIT);
    assert_int_equal(resources_refused(q->accounts, RES_NODE, RES_HALF_OPEN), 1);
    assert_int_equal(said, 1);
    quic_stats_get(q, &st);
    assert_int_equal(st.half_open, 0);
    assert_int_equal(resources_used(q->accounts, RES_NODE, RES_HALF_OPEN), 0);
    down();
}

static struct mem account_mem;
static struct resources *accounts;

/* 40,000 bytes for the second endpoint, a quarter for each peer. */
static void make_with_bytes(void)
{
    const struct tk_opt o = {.pq = PQ_OFF};
    struct resources_config c = {.mem = &account_mem,
                                 .seed = {1},
                                 .links_max = 8,
                                 .network_share = 100,
                                 .half_open_max = 8,
                                 .unproven_max = 8,
                                 .host_half_open = 8,
                                 .bytes_max = 40000};

    mem_init(&account_mem, NULL, 0);
    assert_int_equal(resources_new(&accounts, &c), QUDAG_OK);
    const struct tk_opt with = {.pq = PQ_OFF, .quic = {.accounts = accounts, .conn_window = 65536}};
    struct ref link;
    make(&o, &with);
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, tk_both_up));
}

static void down_with_bytes(void)
{
    down();
    assert_int_equal(resources_used(accounts, RES_NODE, RES_BYTES), 0);
    assert_int_equal(resources_used(accounts, RES_NODE, RES_RECEIVED), 0);
    resources_free(accounts);
    assert_int_equal(account_mem.used, 0);
}

static uint64_t used(enum res_what what)
{
    return resources_used(accounts, RES_NODE, what);
}

static void test_bytes_queued_ask_and_are_given_back_when_acknowledged(void **state)
{
    static const uint8_t bytes[8000];
    int64_t sid = 0;

    (void)state;
    make_with_bytes();
    struct quic *q = tk.ep[1].q;
    struct ref link = tk.ep[1].link;
    assert_int_equal(OPS.open(q, link, 1, NULL, &sid), QUDAG_OK);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(OPS.write(q, link, sid, (struct slice){bytes, 8000}), QUDAG_OK);
        assert_int_equal(OPS.write(q, link, sid, (struct slice){bytes, 2001}), QUDAG_ELIMIT);
        assert_int_equal(OPS.write(q, link, sid, (struct slice){bytes, 2000}), QUDAG_OK);
        assert_int_equal(used(RES_BYTES), 10000);
        (void)tk_run(&tk, NS_PER_S, NULL);
        assert_int_equal(used(RES_BYTES), 0);
    }
    assert_int_equal(tk.ep[0].bytes, 30000);
    assert_int_equal(resources_refused(accounts, RES_PEER, RES_BYTES), 3);
    assert_int_equal(OPS.write(q, link, sid, (struct slice){bytes, 8000}), QUDAG_OK);
    OPS.reset(q, link, sid, QUDAG_OK); /* what nobody waits for any more is given back, too */
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(used(RES_BYTES), 0);
    assert_int_equal(OPS.open(q, link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(OPS.write(q, link, sid, (struct slice){bytes, 8000}), QUDAG_OK);
    down_with_bytes(); /* and by the end of all */
}

static void keep_all(struct tk_ep *ep, const struct link_ev *ev)
{
    (void)ep;
    (void)ev;
}

/* Bytes that nobody consumes wait until the peer's share is used; then their stream ends, and the link stays. */
static void test_bytes_that_nobody_consumes_end_their_stream(void **state)
{
    static const uint8_t bytes[12000];
    int64_t sid = 0, other = 0;

    (void)state;
    make_with_bytes();
    tk.ep[1].app = keep_all;
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &other), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, other, (struct slice){bytes, 4000}),
                     QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(used(RES_RECEIVED), 4000);
    OPS.consume(tk.ep[1].q, tk.ep[1].link, tk.ep[1].sid, 1000);
    assert_int_equal(used(RES_RECEIVED), 3000);
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 2, NULL, &sid), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){bytes, 12000}),
                     QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].resets, 1);
    assert_int_equal(tk.ep[1].reset_err, QUDAG_ELIMIT);
    assert_int_equal(tk.ep[0].resets, 1);
    assert_int_equal(tk.ep[0].reset_err, QUDAG_ELIMIT);
    assert_int_equal(used(RES_RECEIVED), 3000); /* of the other stream */
    assert_int_equal(resources_refused(accounts, RES_PEER, RES_RECEIVED), 1);
    struct quic_stats st;
    quic_stats_get(tk.ep[1].q, &st);
    assert_int_equal(st.links_put_out, 0);
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    uint64_t before = tk.ep[1].bytes;
    for (int i = 0; i < 100; i++) { /* the credit of the link is not lost with it */
        assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 3, NULL, &sid), QUDAG_OK);
        assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){bytes, 12000}),
                         QUDAG_OK);
        (void)tk_run(&tk, NS_PER_S, NULL);
    }
    assert_int_equal(tk.ep[1].resets, 101);
    assert_true(tk.ep[1].bytes > before);
    down_with_bytes();
}

static qudag_err close_with;

static void close_at_once(struct tk_ep *ep, const struct link_ev *ev)
{
    if (ev->type == LINK_UP) {
        OPS.close(ep->q, ev->link, close_with);
    }
}

/* The dialler has not seen the handshake confirmed when the accepting side ends the link. */
static void test_a_dialler_learns_why_its_link_was_refused(void **state)
{
    static const struct {
        qudag_err said, heard;
    } row[] = {
        {QUDAG_ELIMIT, QUDAG_ELIMIT},  {QUDAG_EPOLICY, QUDAG_EREFUSED},
        {QUDAG_EAUTH, QUDAG_EREFUSED}, {QUDAG_EPROTO, QUDAG_EPROTO},
        {QUDAG_OK, QUDAG_EREFUSED},
    };
    const struct tk_opt o = {.pq = PQ_OFF};
    struct ref link;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        make(&o, &o);
        close_with = row[i].said;
        tk.ep[1].app = close_at_once;
        assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
        assert_true(tk_run(&tk, 5 * NS_PER_S, one_down));
        assert_int_equal(tk.ep[0].ups, 0);
        assert_int_equal(tk.ep[0].down.err, row[i].heard);
        down();
    }
}

/* Ends every stream the peer opens and finishes. */
static void finish_too(struct tk_ep *ep, const struct link_ev *ev)
{
    if (ev->type == LINK_FIN) {
        OPS.fin(ep->q, ev->link, ev->sid);
    }
}

/*
 * The peer keeps all but one of its streams open for long and uses the last for one short one after the
 * other: each that ended gives its place back, although no portion of credit ever gathers.
 */
static void test_streams_that_ended_give_their_place_back_beside_many_that_stay(void **state)
{
    const struct tk_opt many = {.pq = PQ_OFF};
    const struct tk_opt few = {.pq = PQ_OFF, .quic = {.streams_bidi_max = 16}};
    struct ref link;
    int64_t sid = 0;

    (void)state;
    make(&many, &few);
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, tk_both_up));
    tk.ep[1].app = finish_too;
    for (int i = 0; i < 15; i++) {
        assert_int_equal(OPS.open(tk.ep[0].q, link, 1, NULL, &sid), QUDAG_OK);
        assert_int_equal(OPS.write(tk.ep[0].q, link, sid, (struct slice){(const uint8_t *)"x", 1}),
                         QUDAG_OK);
    }
    (void)tk_run(&tk, NS_PER_S, NULL);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(OPS.open(tk.ep[0].q, link, 1, NULL, &sid), QUDAG_OK);
        OPS.fin(tk.ep[0].q, link, sid);
        (void)tk_run(&tk, 100 * NS_PER_MS, NULL);
    }
    assert_int_equal(tk.ep[1].streams, 115);
    down();
}

static void note_failure(void *ctx, const struct log_record *rec)
{
    const char **why = ctx;

    for (size_t i = 0; strcmp(rec->event, "quic.handshake.failed") == 0 && i < rec->n; i++) {
        if (strcmp(rec->field[i].name, "why") == 0) {
            *why = rec->field[i].text;
        }
    }
}

/* No fault of the dialler's: it has a link by another dial, for example (field trial F1). */
static void test_a_dial_given_up_is_named_so_by_the_accepting_side(void **state)
{
    const struct tk_opt a = {.pq = PQ_REQUIRE};
    unsigned given_up = 0;

    (void)state;
    for (uint64_t ms = 1; ms < 6; ms++) {
        const char *why = NULL;
        const struct tk_opt b = {.pq = PQ_REQUIRE, .quic = {.log = {note_failure, &why, LOG_INFO}}};
        struct ref link;

        make(&a, &b);
        assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
        (void)tk_run(&tk, ms * NS_PER_MS, NULL);
        if (quic_transport.cancel(tk.ep[0].q, link)) {
            (void)tk_run(&tk, 20 * NS_PER_S, NULL);
            assert_int_equal(tk.ep[0].ups + tk.ep[1].ups, 0); /* it was in time */
            assert_int_equal(tk.ep[0].down.err, QUDAG_ECANCELED);
            assert_non_null(why);
            assert_string_equal(why, "the dialler abandoned the dial");
            given_up++;
        } else {
            (void)tk_run(&tk, 20 * NS_PER_S, NULL);
            assert_int_equal(tk.ep[0].ups + tk.ep[1].ups, 2); /* too late: it stands */
            assert_null(why);
        }
        down();
    }
    assert_in_range(given_up, 1, 4);
}

static void test_codes_of_reset_streams(void **state)
{
    static const struct {
        qudag_err err, read; /* what the other side reads of it */
        uint64_t code;
    } row[] = {
        {QUDAG_EUNSUPPORTED, QUDAG_EUNSUPPORTED, 0x1001},
        {QUDAG_ELIMIT, QUDAG_ELIMIT, 0x1002},
        {QUDAG_ENOMEM, QUDAG_ELIMIT, 0x1002},
        {QUDAG_EPROTO, QUDAG_EPROTO, 0x1004},
        {QUDAG_EMALFORMED, QUDAG_EPROTO, 0x1004},
        {QUDAG_EREFUSED, QUDAG_EREFUSED, 0x1008},
        {QUDAG_EPOLICY, QUDAG_EREFUSED, 0x1008},
        {QUDAG_ENOTFOUND, QUDAG_ENOTFOUND, (uint64_t)-QUDAG_ENOTFOUND},
        {QUDAG_ETIMEOUT, QUDAG_ETIMEOUT, (uint64_t)-QUDAG_ETIMEOUT},
        {QUDAG_ECIRCUIT, QUDAG_ECIRCUIT, (uint64_t)-QUDAG_ECIRCUIT},
        {QUDAG_EAPP(0), QUDAG_EAPP(0), 0x2000},
        {QUDAG_EAPP(63), QUDAG_EAPP(63), 0x203f},
        {QUDAG_EAPP(64), QUDAG_ERESET, 0},
        {QUDAG_OK, QUDAG_ERESET, 0},
        {QUDAG_EINTERNAL, QUDAG_ERESET, 0}, /* ours alone: not told */
    };
    static const struct {
        uint64_t code;
        qudag_err err;
    } others[] = {
        {0x1003, QUDAG_ELIMIT},
        {0x1005, QUDAG_ECLOSED},
        {0x1006, QUDAG_ECLOSED},
        {0x1007, QUDAG_ECLOSED},
        {0x1009, QUDAG_ERESET},
        {0x1000, QUDAG_ERESET},
        {0x1fff, QUDAG_ERESET},
        {0x2040, QUDAG_ERESET},
        {1, QUDAG_ERESET},
        {UINT64_MAX, QUDAG_ERESET},
        {(uint64_t)-QUDAG_ELIMIT, QUDAG_ELIMIT}, /* as nodes before 0.2 say it */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(link_code(row[i].err), row[i].code);
        assert_int_equal(link_code_error(row[i].code), row[i].read);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(link_code_error(others[i].code), others[i].err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dialler_learns_at_once_that_the_endpoint_is_full),
        cmocka_unit_test(test_bytes_queued_ask_and_are_given_back_when_acknowledged),
        cmocka_unit_test(test_bytes_that_nobody_consumes_end_their_stream),
        cmocka_unit_test(test_a_handshake_without_a_place_is_refused_by_name),
        cmocka_unit_test(test_a_dialler_learns_why_its_link_was_refused),
        cmocka_unit_test(test_streams_that_ended_give_their_place_back_beside_many_that_stay),
        cmocka_unit_test(test_a_dial_given_up_is_named_so_by_the_accepting_side),
        cmocka_unit_test(test_codes_of_reset_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
