/* silence_test.c - links whose peer died without a word, and those that only seem so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"

#include "quic/silence.h"

static struct tk tk;
static struct ref to[3]; /* links last dialled to 1 and 2 */

static bool nothing_passes(struct tk *t, struct tk_pkt *p)
{
    (void)t;
    (void)p;
    return false;
}

static void dial(int from, int ix)
{
    const struct quic_dial d = {.remote = tk.ep[ix].addr, .peer = &tk.ep[ix].peer};

    assert_int_equal(quic_dial(tk.ep[from].q, &d, tk.now, &to[ix]), QUDAG_OK);
    (void)tk_run(&tk, 2 * NS_PER_S, NULL);
}

/* Endpoint 0 with links to |n| others. */
static void make(int n)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    tk_init(&tk);
    for (int i = 0; i <= n; i++) {
        assert_true(tk_make(&tk, i, &o));
    }
    for (int i = 1; i <= n; i++) {
        dial(0, i);
    }
    assert_int_equal(tk.ep[0].ups, n);
}

static void down(void)
{
    for (int i = 0; i < TK_EPS; i++) {
        if (tk.ep[i].q != NULL) {
            assert_int_equal(tk_unmake(&tk, i), 0);
        }
    }
    tk_fini(&tk);
}

static void say(int ix)
{
    const struct slice text = {(const uint8_t *)"/multistream/1.0.0", 18};
    int64_t sid;

    assert_int_equal(quic_link_ops.open(tk.ep[0].q, to[ix], 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(quic_link_ops.write(tk.ep[0].q, to[ix], sid, text), QUDAG_OK);
}

static bool one_down(struct tk *t)
{
    return t->ep[0].downs > 0;
}

/* How long until endpoint 0 sees a link end; at most |most_s|. */
static uint64_t until_down(uint64_t most_s)
{
    tstamp begun = tk.now;

    assert_true(tk_run(&tk, most_s * NS_PER_S, one_down));
    assert_int_equal(tk.ep[0].down.err, QUDAG_ETIMEOUT);
    return (tk.now - begun) / NS_PER_S;
}

static void the_rule(void **state)
{
    enum { S = 1000 };
    static const struct {
        uint64_t asked, probed, sent, heard;
        bool alone;
        uint64_t now;
        enum quic_silence is;
    } row[] = {
        {S, 0, S, 0, false, S + 4, QUIC_SILENCE_WAIT},
        {S, 0, S, 0, false, S + 5, QUIC_SILENCE_ASK},
        {S, S + 5, S + 6, S + 6, false, S + 12, QUIC_SILENCE_WAIT},
        {S, S + 5, S + 6, S + 6, false, S + 13, QUIC_SILENCE_OVER},
        {S, S + 5, S + 6, S + 5, false, S + 13, QUIC_SILENCE_ASK}, /* before they were asked */
        {S, S + 5, S + 4, S + 6, false, S + 13, QUIC_SILENCE_ASK}, /* it was not asked */
        {S, S + 5, S + 6, 0, false, S + 300, QUIC_SILENCE_ASK},    /* our own network is away */
        {S, S + 5, S + 6, 0, true, S + 44, QUIC_SILENCE_ASK},
        {S, S + 5, S + 6, 0, true, S + 45, QUIC_SILENCE_OVER},
        {S, 0, S, 0, true, S + 45, QUIC_SILENCE_ASK}, /* this process slept */
        {S, S + 45, S + 46, 0, true, S + 46, QUIC_SILENCE_WAIT},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const struct quic_silence_view v = {.asked = row[i].asked * NS_PER_S,
                                            .probed = row[i].probed * NS_PER_S,
                                            .sent = row[i].sent * NS_PER_S,
                                            .heard = row[i].heard * NS_PER_S,
                                            .alone = row[i].alone};
        assert_int_equal(quic_rule_silence(&v, row[i].now * NS_PER_S), row[i].is);
    }
}

static void a_dead_peer_is_noticed_while_something_waits(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(tk_unmake(&tk, 1), 0);
    say(1);
    uint64_t s = until_down(300);
    print_message("after %u s\n", (unsigned)s);
    assert_in_range(s, 10, 16);
    assert_true(ref_eq(tk.ep[0].down.link, to[1]));
    (void)tk_run(&tk, 600 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].downs, 1); /* those asked beside it are as before */
    down();
}

static void a_dead_peer_is_noticed_on_an_idle_link(void **state)
{
    (void)state;
    make(2);
    (void)tk_run(&tk, 60 * NS_PER_S, NULL);
    assert_int_equal(tk_unmake(&tk, 1), 0);
    uint64_t s = until_down(300);
    print_message("after %u s\n", (unsigned)s);
    assert_true(s <= 45);
    down();
}

/* Padding asks more often. */
static void a_dead_peer_is_noticed_sooner_on_a_padded_link(void **state)
{
    const struct transport_padding p = {.least_ns = 1500 * NS_PER_MS,
                                        .most_ns = 9500 * NS_PER_MS,
                                        .until = TK_START + 3600 * NS_PER_S};
    (void)state;
    make(2);
    quic_pad(tk.ep[0].q, to[1], &p, tk.now);
    (void)tk_run(&tk, 60 * NS_PER_S, NULL);
    assert_int_equal(tk_unmake(&tk, 1), 0);
    uint64_t s = until_down(300);
    print_message("after %u s\n", (unsigned)s);
    assert_true(s <= 26);
    down();
}

/* Nobody answers: it is our own network, for a minute and a half. */
static void our_own_outage_ends_no_link(void **state)
{
    (void)state;
    make(2);
    say(1);
    say(2);
    tk.pass = nothing_passes;
    (void)tk_run(&tk, 90 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].downs, 0);
    tk.pass = NULL;
    (void)tk_run(&tk, 300 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].downs, 0);
    assert_int_equal(tk.ep[1].streams + tk.ep[2].streams, 2);
    down();
}

/* There is nobody else to ask. */
static void the_only_link_is_waited_for_longer(void **state)
{
    (void)state;
    make(1);
    assert_int_equal(tk_unmake(&tk, 1), 0);
    say(1);
    uint64_t s = until_down(300);
    print_message("after %u s\n", (unsigned)s);
    assert_in_range(s, 45, 50);
    down();
}

static bool not_of(struct tk *t, struct tk_pkt *p)
{
    const struct netaddr *cut = t->pass_ctx;

    return !netaddr_eq(&p->from, cut) && !netaddr_eq(&p->to, cut);
}

/* A peer whose network was away for a minute and a half finds its link as it was, whoever else there is. */
static void who_was_dialled_waits(void **state)
{
    (void)state;
    make(2);
    dial(2, 1); /* so that it hears somebody */
    dial(0, 1);
    struct netaddr cut = tk.ep[0].addr;
    tk.pass = not_of;
    tk.pass_ctx = &cut;
    (void)tk_run(&tk, 90 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].downs + tk.ep[0].downs, 0);
    tk.pass = NULL;
    say(1);
    (void)tk_run(&tk, 100 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].downs + tk.ep[0].downs, 0);
    assert_int_equal(tk.ep[1].streams, 1);
    down();
}

static bool from_it(struct tk *t, struct tk_pkt *p)
{
    return netaddr_eq(&p->from, t->pass_ctx);
}

/* Its end is that of all that is looked after. */
static void a_link_that_is_closed_meanwhile_is_left_alone(void **state)
{
    (void)state;
    make(2);
    assert_int_equal(tk_unmake(&tk, 1), 0);
    say(1);
    (void)tk_run(&tk, NS_PER_S, NULL);
    struct quic *q = tk.ep[0].q;
    assert_false(list_empty(&q->asked));
    quic_link_ops.close(q, to[1], QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_true(list_empty(&q->asked) && list_empty(&q->silent));
    (void)tk_run(&tk, 60 * NS_PER_S, NULL);
    down();
}

/* Nothing is looked after once it was heard, and its padding, which a probe stands in for, goes on. */
static void who_was_heard_is_as_before(void **state)
{
    (void)state;
    make(2);
    struct quic *q = tk.ep[0].q;
    struct quic_conn *witness = slots_get(&q->conns, to[2]);
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_true(list_empty(&q->asked));
    assert_int_equal(tk_unmake(&tk, 1), 0);
    say(1);
    (void)tk_run(&tk, QUIC_SILENCE_PROBE, NULL);
    assert_false(list_empty(&q->silent));
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_false(witness->probed || list_linked(&witness->silent));
    down();
}

/* Whoever sends us first packets of no link does not show that others could answer. */
static void first_packets_of_anybody_are_no_answer(void **state)
{
    struct netaddr stranger;
    (void)state;
    make(2);
    assert_true(tk_make(&tk, 3, &(struct tk_opt){.pq = PQ_REQUIRE}));
    stranger = tk.ep[3].addr;
    say(1);
    say(2);
    tk.pass = from_it;
    tk.pass_ctx = &stranger;
    for (int i = 0; i < 30; i++) {
        const struct quic_dial d = {.remote = tk.ep[0].addr, .peer = &tk.ep[0].peer};
        struct ref link;
        assert_int_equal(quic_dial(tk.ep[3].q, &d, tk.now, &link), QUDAG_OK);
        (void)tk_run(&tk, 2 * NS_PER_S, NULL);
        quic_link_ops.close(tk.ep[3].q, link, QUDAG_OK);
    }
    assert_int_equal(tk.ep[0].downs, 0);
    down();
}

static struct tk_pkt *last_from; /* a copy of what a peer sent last in a short packet */

static bool keeps(struct tk *t, struct tk_pkt *p)
{
    if (netaddr_eq(&p->from, t->pass_ctx) && p->len > 40 && (p->data[0] & 0x80) == 0) {
        free(last_from);
        last_from = malloc(sizeof *p + p->len);
        assert_non_null(last_from);
        memcpy(last_from, p, sizeof *p + p->len);
    }
    return true;
}

/* Somebody who saw its packets sends them again, or others with its address and connection id. */
static void who_only_looks_like_the_peer_does_not_keep_its_link(void **state)
{
    (void)state;
    for (int forged = 0; forged < 2; forged++) {
        make(2);
        struct netaddr peer = tk.ep[1].addr;
        tk.pass = keeps;
        tk.pass_ctx = &peer;
        say(1);
        (void)tk_run(&tk, 2 * NS_PER_S, NULL);
        assert_non_null(last_from);
        tk.pass = NULL;
        assert_int_equal(tk_unmake(&tk, 1), 0);
        say(1);
        last_from->data[last_from->len - 1] ^= forged ? 1 : 0;
        int s = 0;
        for (; s < 60 && tk.ep[0].downs == 0; s++) {
            tk_inject(&tk, &last_from->from, &last_from->to, last_from->data, last_from->len);
            (void)tk_run(&tk, NS_PER_S, NULL);
        }
        print_message("%s: after %d s\n", forged ? "forged" : "sent again", s);
        assert_in_range(s, 10, 17);
        free(last_from);
        last_from = NULL;
        down();
    }
}

/* Probes go on, at a slow pace, as long as the network is away. */
static void an_outage_costs_few_packets(void **state)
{
    (void)state;
    make(2);
    say(1);
    tk.pass = nothing_passes;
    (void)tk_run(&tk, 60 * NS_PER_S, NULL);
    uint64_t before = tk.sent_n;
    (void)tk_run(&tk, 60 * NS_PER_S, NULL);
    print_message("%u packets a minute\n", (unsigned)(tk.sent_n - before));
    assert_true(tk.sent_n - before < 150);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule),
        cmocka_unit_test(a_dead_peer_is_noticed_while_something_waits),
        cmocka_unit_test(a_dead_peer_is_noticed_on_an_idle_link),
        cmocka_unit_test(a_dead_peer_is_noticed_sooner_on_a_padded_link),
        cmocka_unit_test(our_own_outage_ends_no_link),
        cmocka_unit_test(the_only_link_is_waited_for_longer),
        cmocka_unit_test(who_was_dialled_waits),
        cmocka_unit_test(a_link_that_is_closed_meanwhile_is_left_alone),
        cmocka_unit_test(who_was_heard_is_as_before),
        cmocka_unit_test(first_packets_of_anybody_are_no_answer),
        cmocka_unit_test(who_only_looks_like_the_peer_does_not_keep_its_link),
        cmocka_unit_test(an_outage_costs_few_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
