/* pmtu_test.c - the rule that finds black holes, by its counters alone; and links through a path whose MTU changes. */
#include <cmocka.h>

#include "quic/pmtu.h"
#include "quic/testkit_net.h"

#define PTO (100 * NS_PER_MS)
#define OPS quic_link_ops

static struct quic_pmtu p;
static struct quic_pmtu_sample s;

/* A connection that has sent 100 large packets and heard of all. */
static void begin(void)
{
    quic_pmtu_init(&p, 1452);
    s = (struct quic_pmtu_sample){.now = TK_START, .pto_ns = PTO, .pkts_received = 50};
    quic_pmtu_sent(&p, 1452, 100, s.now);
    assert_false(quic_pmtu_update(&p, &s));
    assert_int_equal(quic_pmtu_packet_max(&p, 9000), 9000);
}

static void lose(uint64_t pkts, uint64_t len)
{
    s.pkts_lost += pkts;
    s.bytes_lost += pkts * len;
    s.pkts_received++;
}

static void large_losses_without_progress_limit(void **state)
{
    static const struct {
        const char *name;
        uint64_t pkts, len, stall_ns;
        bool limited;
    } row[] = {
        {"a large packet and its stream", 1, 1452, 6 * PTO, true},
        {"several", 5, 1300, 60 * PTO, true},
        {"three, and whoever sent them has given up", 3, 1452, 0, true},
        {"two, and whoever sent them has given up", 2, 1452, 0, false},
        {"a large packet, and all streams move", 1, 1452, 0, false},
        {"a large packet, and the stall is too short to tell", 1, 1452, 6 * PTO - 1, false},
        {"a packet that every path must carry", 9, 1200, 60 * PTO, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        begin();
        lose(row[i].pkts, row[i].len);
        assert_false(quic_pmtu_update(&p, &s));
        s.now += 6 * PTO - 1;
        assert_false(quic_pmtu_wants_stall(&p, s.now));
        assert_false(quic_pmtu_stalled(&p, 60 * PTO, PTO, s.now));
        s.now += 1;
        s.pkts_received++;
        assert_false(quic_pmtu_update(&p, &s));
        assert_int_equal(quic_pmtu_wants_stall(&p, s.now), row[i].len > PMTU_BASE);
        if (quic_pmtu_stalled(&p, row[i].stall_ns, PTO, s.now) != row[i].limited ||
            quic_pmtu_is_limited(&p) != row[i].limited) {
            fail_msg("%s", row[i].name);
        }
        assert_int_equal(quic_pmtu_packet_max(&p, 9000), row[i].limited ? PMTU_BASE : 9000);
        assert_int_equal(quic_pmtu_packet_max(&p, 700), 700);
    }
}

/* Requests give up after less time than a stall takes to tell: one large packet lost each, none arrives. */
static void losses_without_any_arrival_add_up(void **state)
{
    (void)state;
    for (int arrives = 0; arrives <= 1; arrives++) {
        begin();
        for (int i = 0; i < 4; i++) {
            quic_pmtu_sent(&p, 1452, arrives ? 2 : 1, s.now);
            lose(1, 1452);
            assert_false(quic_pmtu_update(&p, &s));
            s.now += 6 * PTO;
            s.pkts_received++;
            assert_false(quic_pmtu_update(&p, &s));
            (void)quic_pmtu_stalled(&p, 0, PTO, s.now);
            s.now += 10 * NS_PER_S;
        }
        assert_int_equal(quic_pmtu_is_limited(&p), !arrives);
    }
}

static void silence_with_large_packets_on_their_way_limits(void **state)
{
    static const struct {
        const char *name;
        size_t len;
        uint64_t in_flight, silent_ns;
        bool limited;
    } row[] = {
        {"large", 1452, 1452, 500 * NS_PER_MS, true}, /* the least: three timeouts are 300 ms */
        {"large, not long", 1452, 1452, 500 * NS_PER_MS - 1, false},
        {"small", 1200, 9000, NS_PER_S, false},
        {"nothing is on its way", 1452, 0, NS_PER_S, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        begin();
        s.now += 3600 * NS_PER_S; /* idle time is no silence */
        quic_pmtu_sent(&p, row[i].len, 1, s.now);
        s.bytes_in_flight = row[i].in_flight;
        s.now += row[i].silent_ns;
        if (quic_pmtu_update(&p, &s) != row[i].limited ||
            quic_pmtu_is_limited(&p) != row[i].limited) {
            fail_msg("%s", row[i].name);
        }
    }
}

static void larger_packets_are_tried_again(void **state)
{
    (void)state;
    for (int lost = 0; lost <= 1; lost++) {
        begin();
        assert_true(quic_pmtu_too_big(&p, s.now));
        assert_false(quic_pmtu_too_big(&p, s.now)); /* known */
        s.now += PMTU_RAISE - 1;
        s.pkts_received++;
        assert_false(quic_pmtu_update(&p, &s));
        assert_int_equal(quic_pmtu_packet_max(&p, 1452), PMTU_BASE);
        s.now += 1;
        assert_false(quic_pmtu_update(&p, &s));
        assert_int_equal(quic_pmtu_packet_max(&p, 1452), 1452);
        quic_pmtu_sent(&p, 1452, 1, s.now);
        assert_int_equal(quic_pmtu_packet_max(&p, 1452), 1452);
        quic_pmtu_sent(&p, 1452, 1, s.now);
        assert_int_equal(quic_pmtu_packet_max(&p, 1452), PMTU_BASE); /* no more until the verdict */
        s.pkts_received++;
        assert_false(quic_pmtu_update(&p, &s));
        if (lost) {
            lose(1, 1452);
            assert_false(quic_pmtu_update(&p, &s));
        }
        s.now += 6 * PTO;
        s.pkts_received++;
        assert_int_equal(quic_pmtu_update(&p, &s), !lost);
        assert_int_equal(quic_pmtu_is_limited(&p), lost);
        assert_int_equal(quic_pmtu_packet_max(&p, 1452), lost ? PMTU_BASE : 1452);
    }
}

static void a_trial_without_an_answer_ends_limited(void **state)
{
    (void)state;
    begin();
    (void)quic_pmtu_too_big(&p, s.now);
    s.now += PMTU_RAISE;
    s.pkts_received++;
    (void)quic_pmtu_update(&p, &s);
    quic_pmtu_sent(&p, 1452, 2, s.now);
    s.bytes_in_flight = 2904;
    s.now += 500 * NS_PER_MS;
    assert_false(quic_pmtu_update(&p, &s));
    assert_int_equal(p.state, PMTU_LIMITED);
}

static void a_path_of_the_least_size_has_nothing_to_limit(void **state)
{
    (void)state;
    quic_pmtu_init(&p, PMTU_BASE);
    s = (struct quic_pmtu_sample){.now = NS_PER_S, .pkts_lost = 3, .bytes_lost = 3600};
    assert_false(quic_pmtu_update(&p, &s));
    assert_false(quic_pmtu_too_big(&p, NS_PER_S));
    assert_false(quic_pmtu_is_limited(&p));
}

/* ------------------------------------------------------------------ links */

static struct tk tk;
static size_t carries; /* what the path lets through */

static bool narrow(struct tk *t, struct tk_pkt *pkt)
{
    (void)t;
    return pkt->len <= carries;
}

static bool arrived(struct tk *t)
{
    return t->ep[1].bytes >= *(const size_t *)t->ep[1].app_ctx;
}

static uint64_t limits(int ep)
{
    struct quic_stats st;

    quic_stats_get(tk.ep[ep].q, &st);
    return st.pmtu_limited;
}

/* Sends |len| bytes over a new stream; ns until all have arrived, or |most|. */
static uint64_t transfer(size_t len, uint64_t most)
{
    static uint8_t buf[300000];
    tstamp since = tk.now;
    int64_t sid = 0;
    size_t want = (size_t)tk.ep[1].bytes + len;

    tk.ep[1].app_ctx = &want;
    assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, len}), QUDAG_OK);
    OPS.fin(tk.ep[0].q, tk.ep[0].link, sid);
    (void)tk_run(&tk, most, arrived);
    return tk.now - since;
}

static void link_up(size_t path)
{
    const struct tk_opt opt = {.pq = PQ_OFF};
    struct ref ref;

    tk_init(&tk);
    carries = path;
    tk.pass = narrow;
    assert_true(tk_make(&tk, 0, &opt) && tk_make(&tk, 1, &opt));
    assert_int_equal(tk_dial(&tk, 0, 1, NULL, &ref), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, tk_both_up));
    (void)tk_run(&tk, 5 * NS_PER_S, NULL); /* discovery */
    assert_true(transfer(100000, 5 * NS_PER_S) < NS_PER_S);
}

/* Field trial F2: the path carries less from some moment on, and nobody says so. */
static void a_link_survives_a_path_that_becomes_smaller(void **state)
{
    static const size_t len[] = {3000, 200000}; /* a request, and a transfer */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(len); i++) {
        link_up(65535);
        assert_int_equal(limits(0), 0);
        carries = 1272; /* MTU 1300 */
        assert_in_range(transfer(len[i], 60 * NS_PER_S), 0, 5 * NS_PER_S);
        assert_int_equal(limits(0), 1);
        assert_in_range(transfer(len[i], 60 * NS_PER_S), 0, NS_PER_S); /* known by now */
        assert_int_equal(limits(0), 1);
        tk_fini(&tk);
    }
}

/* Requests that are reset after 100 ms, as those of the DHT are on a quick path: a stall is never seen. */
static void requests_that_give_up_soon_show_the_black_hole_too(void **state)
{
    static uint8_t buf[3000];

    (void)state;
    link_up(65535);
    carries = 1272;
    for (int i = 0; i < 5; i++) {
        int64_t sid = 0;
        assert_int_equal(OPS.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
        assert_int_equal(OPS.write(tk.ep[0].q, tk.ep[0].link, sid, (struct slice){buf, sizeof buf}),
                         QUDAG_OK);
        (void)tk_run(&tk, 100 * NS_PER_MS, NULL);
        OPS.reset(tk.ep[0].q, tk.ep[0].link, sid, QUDAG_ETIMEOUT);
        (void)tk_run(&tk, NS_PER_S, NULL);
    }
    assert_int_equal(limits(0), 1);
    assert_in_range(transfer(3000, 60 * NS_PER_S), 0, 200 * NS_PER_MS);
    tk_fini(&tk);
}

static void packets_grow_again_when_the_path_does(void **state)
{
    uint64_t narrow_pkts, wide_pkts, before;

    (void)state;
    link_up(65535);
    carries = 1272;
    assert_in_range(transfer(200000, 60 * NS_PER_S), 0, 5 * NS_PER_S);
    before = tk.sent_n;
    (void)transfer(200000, 5 * NS_PER_S);
    narrow_pkts = tk.sent_n - before;
    (void)tk_run(&tk, PMTU_RAISE, NULL);
    assert_in_range(transfer(20000, 60 * NS_PER_S), 0, 5 * NS_PER_S); /* the trial fails */
    carries = 65535;
    (void)tk_run(&tk, PMTU_RAISE + NS_PER_S, NULL);
    (void)transfer(20000, 5 * NS_PER_S); /* this one does not */
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    (void)transfer(1000, 5 * NS_PER_S);
    before = tk.sent_n;
    (void)transfer(200000, 5 * NS_PER_S);
    wide_pkts = tk.sent_n - before;
    assert_true(wide_pkts * 10 < narrow_pkts * 9);
    tk_fini(&tk);
}

static void losses_are_no_black_hole(void **state)
{
    (void)state;
    link_up(65535);
    tk.loss_permille = 50;
    for (int i = 0; i < 20; i++) {
        assert_in_range(transfer(100000, 60 * NS_PER_S), 0, 30 * NS_PER_S);
    }
    assert_int_equal(limits(0), 0);
    tk_fini(&tk);
}

static void the_kernel_may_say_so(void **state)
{
    struct netaddr other;

    (void)state;
    link_up(65535);
    other = tk.ep[1].addr;
    other.port++;
    quic_too_big(tk.ep[0].q, &other, tk.now);
    assert_int_equal(limits(0), 0);
    quic_too_big(tk.ep[0].q, &tk.ep[1].addr, tk.now);
    assert_int_equal(limits(0), 1);
    carries = 1200;
    assert_in_range(transfer(200000, 60 * NS_PER_S), 0, NS_PER_S); /* nothing was lost */
    tk_fini(&tk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_losses_without_progress_limit),
        cmocka_unit_test(losses_without_any_arrival_add_up),
        cmocka_unit_test(silence_with_large_packets_on_their_way_limits),
        cmocka_unit_test(larger_packets_are_tried_again),
        cmocka_unit_test(a_trial_without_an_answer_ends_limited),
        cmocka_unit_test(a_path_of_the_least_size_has_nothing_to_limit),
        cmocka_unit_test(a_link_survives_a_path_that_becomes_smaller),
        cmocka_unit_test(requests_that_give_up_soon_show_the_black_hole_too),
        cmocka_unit_test(packets_grow_again_when_the_path_does),
        cmocka_unit_test(losses_are_no_black_hole),
        cmocka_unit_test(the_kernel_may_say_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
