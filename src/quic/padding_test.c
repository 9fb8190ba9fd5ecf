/* Padding against records of flows: the rule, and what a link shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"

static struct tk tk;

static const struct transport_padding every = {
    .least_ns = 3 * NS_PER_S / 2, .most_ns = 19 * NS_PER_S / 2, .until = TSTAMP_NEVER};

static void the_next_is_due_within_bounds(void **state)
{
    struct transport_padding p = {.least_ns = 100, .most_ns = 199, .until = 10000};
    static const struct {
        tstamp traffic;
        uint64_t r1, r2;
        tstamp due;
    } row[] = {
        {1000, 0, 0, 1100},          {1000, 99, 0, 1199}, /* the larger of the two */
        {1000, 0, 99, 1199},         {1000, 100, 200, 1100},     {1000, 30, 70, 1170},
        {9899, 0, 0, 9999},          {9900, 0, 0, TSTAMP_NEVER}, {10000, 0, 0, TSTAMP_NEVER},
        {99999, 0, 0, TSTAMP_NEVER},
    };
    struct rng_stream stream;
    static const uint8_t seed[32] = {1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(quic_padding_due(&p, row[i].traffic, row[i].r1, row[i].r2), row[i].due);
    }
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    uint64_t sum = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t r1 = rng_u64(&rng), r2 = rng_u64(&rng);
        tstamp due = quic_padding_due(&every, TK_START, r1, r2);
        assert_in_range(due - TK_START, every.least_ns, every.most_ns);
        sum += (due - TK_START) / 10000;
    }
    assert_in_range(sum, 675 * (NS_PER_S / 100), 692 * (NS_PER_S / 100)); /* 1.5 + 8 * 2 / 3 s */
    p.most_ns = 0;
    assert_int_equal(quic_padding_due(&p, 1000, 0, 0), TSTAMP_NEVER);
}

/* What an observer of the link notes: gaps in each direction, and packets of each size. */
static struct {
    tstamp last[2];
    uint64_t gap[2], bytes;
    unsigned full[2], small[2];
} seen;

static bool note(struct tk *t, struct tk_pkt *p)
{
    size_t dir = netaddr_eq(&p->from, &t->ep[0].addr) ? 0 : 1;
    uint64_t gap = t->now - seen.last[dir];

    seen.gap[dir] = gap > seen.gap[dir] ? gap : seen.gap[dir];
    seen.last[dir] = t->now;
    seen.bytes += p->len;
    seen.full[dir] += p->len == SHAPE_FULL ? 1 : 0;
    seen.small[dir] += p->len == SHAPE_ACK ? 1 : 0;
    return true;
}

static void look(uint64_t ns)
{
    memset(&seen, 0, sizeof seen);
    seen.last[0] = seen.last[1] = tk.now;
    (void)tk_run(&tk, ns, NULL);
}

static void up(void)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    tk_init(&tk);
    assert_true(tk_make(&tk, 0, &o));
    assert_true(tk_make(&tk, 1, &o));
    struct quic_dial d = {.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer};
    struct ref link;
    assert_int_equal(quic_dial(tk.ep[0].q, &d, tk.now, &link), QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].ups, 1);
    tk.pass = note;
}

static void a_padded_link_is_never_silent_for_long(void **state)
{
    (void)state;
    up();
    look(600 * NS_PER_S);
    assert_true(seen.gap[0] > 20 * NS_PER_S); /* as it is otherwise */
    quic_pad(tk.ep[0].q, tk.ep[0].link, &every, tk.now);
    look(3600 * NS_PER_S);
    print_message("padded: gaps of %.2f and %.2f s, %llu bytes an hour\n",
                  (double)seen.gap[0] / NS_PER_S, (double)seen.gap[1] / NS_PER_S,
                  (unsigned long long)seen.bytes);
    assert_in_range(seen.gap[0], 9 * NS_PER_S, every.most_ns + NS_PER_S / 10);
    assert_in_range(seen.gap[1], 9 * NS_PER_S, every.most_ns + NS_PER_S / 10);
    assert_in_range(seen.full[0], 470, 590); /* 3600 / 6.83 is 527 */
    /* Every one is answered; now and then ngtcp2 has an acknowledgement acknowledged. */
    assert_int_equal(seen.small[1] + seen.full[1], seen.full[0]);
    assert_int_equal(seen.small[0], seen.full[1]);
    assert_in_range(seen.full[1], 1, seen.full[0] * 6 / 10);
    assert_in_range(seen.bytes, 850000, 1150000);
    tk_fini(&tk);
}

static void padding_ends_at_its_time(void **state)
{
    struct transport_padding p = every;

    (void)state;
    up();
    p.until = tk.now + 300 * NS_PER_S;
    quic_pad(tk.ep[0].q, tk.ep[0].link, &p, tk.now);
    look(299 * NS_PER_S);
    assert_in_range(seen.gap[0], NS_PER_S, every.most_ns + NS_PER_S / 10);
    (void)tk_run(&tk, 30 * NS_PER_S, NULL);
    look(600 * NS_PER_S);
    assert_in_range(seen.full[0] + seen.full[1], 20, 48); /* keep-alive alone */
    assert_true(seen.gap[0] > 20 * NS_PER_S);
    tk_fini(&tk);
}

static void padding_that_is_told_again_or_to_nobody_changes_nothing(void **state)
{
    struct transport_padding none = {0, 0, 0};

    (void)state;
    up();
    memset(&seen, 0, sizeof seen);
    for (int i = 0; i < 600; i++) { /* every second: what was drawn stands */
        quic_pad(tk.ep[0].q, tk.ep[0].link, &every, tk.now);
        quic_pad(tk.ep[0].q, (struct ref){77, 77}, &every, tk.now);
        (void)tk_run(&tk, NS_PER_S, NULL);
    }
    assert_in_range(seen.full[0], 70, 110);
    quic_pad(tk.ep[0].q, tk.ep[0].link, &none, tk.now);
    look(600 * NS_PER_S);
    assert_in_range(seen.full[0] + seen.full[1], 20, 48);
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    tk_fini(&tk);
}

/* A probe asks for an answer at once, and padding does not put it off. */
static void a_probe_is_sooner_than_padding(void **state)
{
    (void)state;
    up();
    quic_pad(tk.ep[0].q, tk.ep[0].link, &every, tk.now);
    look(2 * NS_PER_S);
    quic_probe(tk.ep[0].q, tk.ep[0].link, tk.now);
    look(NS_PER_S);
    assert_true(seen.full[0] >= 1);
    look(600 * NS_PER_S);
    assert_in_range(seen.full[0], 70, 110);
    tk_fini(&tk);
}

static void probe_at_data(struct tk_ep *ep, const struct link_ev *ev)
{
    if (ev->type == LINK_DATA) {
        quic_probe(ep->q, ev->link, ep->tk->now);
    }
}

/* The acknowledgement of what came before the probe leaves after it, and must not take its place. */
static void a_probe_is_sent_though_an_acknowledgement_follows_it(void **state)
{
    int64_t sid;

    (void)state;
    up();
    quic_pad(tk.ep[0].q, tk.ep[0].link, &every, tk.now);
    tk.ep[0].app = probe_at_data;
    assert_int_equal(quic_link_ops.open(tk.ep[1].q, tk.ep[1].link, 1, NULL, &sid), QUDAG_OK);
    for (int i = 0; i < 8; i++) {
        uint8_t byte = 1;
        assert_int_equal(
            quic_link_ops.write(tk.ep[1].q, tk.ep[1].link, sid, (struct slice){&byte, 1}),
            QUDAG_OK);
        (void)tk_run(&tk, 5 * NS_PER_S, NULL);
        assert_int_equal(tk.ep[0].downs, 0);
    }
    tk_fini(&tk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_is_due_within_bounds),
        cmocka_unit_test(a_padded_link_is_never_silent_for_long),
        cmocka_unit_test(padding_ends_at_its_time),
        cmocka_unit_test(padding_that_is_told_again_or_to_nobody_changes_nothing),
        cmocka_unit_test(a_probe_is_sooner_than_padding),
        cmocka_unit_test(a_probe_is_sent_though_an_acknowledgement_follows_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
