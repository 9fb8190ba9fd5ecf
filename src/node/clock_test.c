/*
 * clock_test.c - nodes whose clock is wrong, was wrong, or is set right.
 *
 * TEST: timeout=180
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/clock.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define ODD 5 /* the node with the odd clock */

static bool odd_suspects(struct nt *nt)
{
    return node_clock_suspect(nt->node[ODD].node);
}

static bool odd_ended(struct nt *nt)
{
    return nt_all_ended(&nt->node[ODD]);
}

static bool odd_is_known(struct nt *nt)
{
    for (size_t i = 0; i < ODD; i++) {
        if (!relays_has(node_relays(nt->node[i].node), &nt->node[ODD].peer)) {
            return false;
        }
    }
    return true;
}

static void odd_joins(int64_t off)
{
    struct node_config c = nt_config(&net, ODD);

    nt_boot(&net, &c, 0);
    c.clock.base += off;
    c.relays_min = 4;
    assert_int_equal(nt_make(&net, ODD, &c), QUDAG_OK);
    struct nt_node *t = &net.node[ODD];
    assert_int_equal(nt_seq_restore(t, &t->relay_seq, net.now), QUDAG_OK);
    assert_int_equal(nt_seq_restore(t, &t->record_seq, net.now), QUDAG_OK);
    node_start(net.node[ODD].node);
}

static void right_clocks_are_not_suspected(void **state)
{
    (void)state;
    nt_join(ODD);
    odd_joins(400); /* some minutes are tolerated */
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 600 * NS_PER_S, NULL);
    for (size_t i = 0; i <= ODD; i++) {
        assert_false(node_clock_suspect(net.node[i].node));
        assert_int_equal(net.node[i].clock_reports, 0);
    }
}

static void a_clock_an_hour_ahead_is_reported_and_its_correction_noticed(void **state)
{
    struct dark_addr addr;
    (void)state;
    nt_join(ODD);
    odd_joins(4000);
    assert_true(nt_run(&net, 60 * NS_PER_S, odd_suspects));
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(net.node[ODD].clock_reports, 1);
    for (size_t i = 0; i < ODD; i++) { /* one against many */
        assert_false(node_clock_suspect(net.node[i].node));
    }
    struct nt_node *t = &net.node[ODD];
    assert_int_equal(node_dark_create(t->node, &nt_direct, "x", net.now, &addr), QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    size_t a = nt_ask(t, &r);
    assert_int_not_equal(a, SIZE_MAX);
    assert_true(nt_run(&net, 120 * NS_PER_S, odd_ended));
    assert_int_equal(t->ask[a].err, QUDAG_OK); /* dated back far enough */
    assert_false(odd_is_known(&net));
    /* the time service did its work */
    node_set_clock(t->node, (struct wallclock){NT_WALL, NT_START}, net.now);
    assert_true(nt_run(&net, 120 * NS_PER_S, odd_is_known));
    assert_false(node_clock_suspect(t->node));
    a = nt_ask(t, &r);
    assert_true(nt_run(&net, 120 * NS_PER_S, odd_ended));
    assert_int_equal(t->ask[a].err, QUDAG_OK);
}

/* Nobody takes the descriptor of a relay whose clock is ahead: it goes on trying, but not every second. */
static void what_nobody_takes_is_not_announced_without_pause(void **state)
{
    (void)state;
    nt_join(ODD);
    odd_joins(4000);
    assert_true(nt_run(&net, 60 * NS_PER_S, odd_suspects));
    (void)nt_run(&net, 120 * NS_PER_S, NULL);
    assert_false(odd_is_known(&net));
    unsigned saves = net.node[ODD].saves; /* each new descriptor has a number, which is kept */
    (void)nt_run(&net, 600 * NS_PER_S, NULL);
    assert_in_range(net.node[ODD].saves - saves, 15, 40);
}

static void a_clock_an_hour_behind_is_reported(void **state)
{
    (void)state;
    nt_join(ODD);
    odd_joins(-4000);
    assert_true(nt_run(&net, 60 * NS_PER_S, odd_suspects));
    for (size_t i = 0; i < ODD; i++) {
        assert_false(node_clock_suspect(net.node[i].node));
    }
}

/* Days ahead nobody accepts its certificate, nor it theirs: both follow the clock as soon as it is set. */
static void a_node_days_ahead_joins_once_its_clock_is_set(void **state)
{
    (void)state;
    nt_join(ODD);
    odd_joins(3 * 86400);
    (void)nt_run(&net, 20 * NS_PER_S, NULL);
    assert_false(odd_is_known(&net));
    node_set_clock(net.node[ODD].node, (struct wallclock){NT_WALL, NT_START}, net.now);
    assert_true(nt_run(&net, 120 * NS_PER_S, odd_is_known));
}

/* What was dated wrongly is replaced at once, not when it would have been made next. */
static void what_was_dated_wrongly_is_made_again_once_the_clock_is_set(void **state)
{
    struct nt_node *t = &net.node[ODD];
    struct dark_addr addr;
    struct nt_seq seq;
    (void)state;
    nt_join(ODD);
    odd_joins(-500); /* within what is tolerated */
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    assert_int_equal(node_dark_create(t->node, &nt_direct, "x", net.now, &addr), QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    size_t a = nt_ask(t, &r);
    assert_true(nt_run(&net, 120 * NS_PER_S, odd_ended));
    assert_int_equal(t->ask[a].err, QUDAG_OK);
    (void)nt_run(&net, 600 * NS_PER_S, NULL); /* all is said, and rests */
    unsigned saves = t->saves, dark_saves = t->dark_saves;
    seq = t->relay_seq;
    node_set_clock(t->node, (struct wallclock){NT_WALL - 490, NT_START}, net.now);
    (void)nt_run(&net, 10 * NS_PER_S, NULL); /* as any clock drifts */
    assert_int_equal(t->saves, saves);
    node_set_clock(t->node, (struct wallclock){NT_WALL, NT_START}, net.now);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_memory_not_equal(seq.bytes, t->relay_seq.bytes,
                            sizeof seq.bytes); /* the descriptor ... */
    /* ... but not records: they are dated back further.  A first one of another place may have been due by chance in
       the minutes that the clock skipped; it is saved before and after. */
    assert_in_range(t->dark_saves, dark_saves, dark_saves + 2);
}

static void a_clock_a_day_wrong_is_revealed_by_refused_links(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        nt_fini(&net);
        nt_init(&net);
        nt_network(&net, 3);
        struct node_config c = nt_config(&net, ODD);
        for (size_t i = 0; i < 3; i++) {
            nt_boot(&net, &c, i);
        }
        c.clock.base += sign * 25 * 3600;
        nt_begin(ODD, &c);
        assert_true(nt_run(&net, 60 * NS_PER_S, odd_suspects));
    }
}

static bool odd_is_published(struct nt *nt)
{
    const struct dark_keys *k;
    bool published = false;
    walltime until;
    size_t it = 0;

    return dark_own_next(node_dark(nt->node[ODD].node), &it, &k, &published, &until) && published;
}

/* What the node saved of its one dark address before it was restarted. */
static void restore_dark_address(struct nt_node *t)
{
    struct rng rng = rng_of_stream(&t->stream);
    struct dark_keys k;
    uint8_t file[DARK_SECRET_LEN];
    char text[DARK_TEXT_MAX];

    assert_int_equal(dark_keys_create(&k, DARK_NET_LAB, "x", NT_WALL, &rng), QUDAG_OK);
    dark_keys_save(&k, file);
    struct slice addr = {(const uint8_t *)text, dark_addr_text(text, &k.addr)};
    assert_int_equal(node_restore(t->node, "dark-x", (struct slice){file, sizeof file}, net.now),
                     QUDAG_OK);
    assert_int_equal(node_restore(t->node, "pub-x", addr, net.now), QUDAG_OK);
    dark_keys_fini(&k);
}

/* A machine without a clock of its own: the network tells the time seconds after the start. */
static void what_was_published_before_a_restart_is_published_though_the_clock_is_set(void **state)
{
    (void)state;
    nt_join(ODD);
    struct node_config c = nt_config(&net, ODD);
    nt_boot(&net, &c, 0);
    c.clock.base -= 500;
    c.relays_min = 4;
    assert_int_equal(nt_make(&net, ODD, &c), QUDAG_OK);
    restore_dark_address(&net.node[ODD]);
    node_start(net.node[ODD].node);
    nt_step(&net);
    assert_int_not_equal(net.node[ODD].phase, NODE_READY);
    node_set_clock(net.node[ODD].node, (struct wallclock){NT_WALL, NT_START}, net.now);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    assert_true(nt_run(&net, 120 * NS_PER_S, odd_is_published));
}

/* Ahead at one start and right at the next: the number of its descriptor does not go back. */
static void a_relay_is_ready_after_its_clock_was_set_back(void **state)
{
    (void)state;
    nt_join(ODD);
    odd_joins(550);
    assert_true(nt_run(&net, 60 * NS_PER_S, odd_is_known));
    assert_int_equal(net.node[ODD].relay_seq.len, 8);
    assert_int_equal(nt_free(&net, ODD), 0);
    net.node[ODD].phase = NODE_START;
    odd_joins(0);
    assert_true(nt_run(&net, 30 * NS_PER_S, nt_all_ready));
}

/* |where| is the second byte of an address: one network per value. */
static void witness(size_t ix, uint8_t where, uint8_t who)
{
    struct netaddr a = {.family = 4, .ip = {9, where, 0, who}, .port = 4001};
    struct multiaddr ma;
    struct peer_id p;
    uint8_t pk[32] = {where, who};

    multiaddr_quic(&ma, &a, NULL);
    peer_id_from_ed25519(&p, pk);
    node_clock_witness(net.node[ix].node, NODE_CLOCK_LINKS, &p, &ma);
}

static void witnesses_are_counted_by_network_for_a_while_and_not_without_end(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 0);
    c.lab = false;
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    struct node *n = net.node[0].node;
    for (uint8_t who = 0; who < 9; who++) { /* one operator can have many addresses of a network */
        witness(0, 1, who);
    }
    assert_false(node_clock_suspect(n));
    node_drain(n, net.now + NODE_CLOCK_MEMORY); /* what was seen so long ago does not count */
    witness(0, 2, 1);
    assert_false(node_clock_suspect(n));
    witness(0, 3, 1);
    assert_true(node_clock_suspect(n));
    for (uint8_t where = 4; where < 100; where++) {
        witness(0, where, 1);
    }
    node_clock_agreed(n, NODE_CLOCK_LINKS, NODE_CLOCK_WITNESSES); /* as many as are remembered */
    assert_false(node_clock_suspect(n));
}

static void that_the_clock_is_wrong_is_taken_back_once_it_is_set(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 0);
    c.lab = false;
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    struct node *n = net.node[0].node;
    node_start(n);
    node_drain(n, net.now);
    witness(0, 2, 1);
    witness(0, 3, 1);
    node_drain(n, net.now);
    assert_true(net.node[0].clock_said);
    n->boot.phase = NODE_RELAYS;
    node_boot_news(n, NODE_NEWS_RELAYS | NODE_NEWS_PEER,
                   net.now); /* other news do not take it back */
    node_drain(n, net.now);
    assert_true(net.node[0].clock_said);
    node_set_clock(n, (struct wallclock){NT_WALL + 600, NT_START}, net.now);
    node_drain(n, net.now);
    assert_false(net.node[0].clock_said);
}

/* Four storers on the Internet that all find our clock wrong, but belong to one operator. */
static void storers_of_one_network_are_one_witness(void **state)
{
    (void)state;
    for (size_t i = 0; i <= ODD; i++) {
        struct node_config c = nt_config(&net, i);
        nt_identity(&net, i);
        net.node[i].addr.ip[0] = 9;
        net.node[i].addr.ip[1] = i == ODD ? 8 : 7;

        c.lab = false;
        c.relays_min = 4;
        c.clock.base += i == ODD ? 4000 : 0;
        if (i > 0) {
            nt_boot(&net, &c, 0);
        }
        assert_int_equal(nt_make(&net, i, &c), QUDAG_OK);
        node_start(net.node[i].node);
    }
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct kad_stats st;
    kad_stats_get(node_kad(net.node[ODD].node), &st);
    assert_true(st.table >= 2);
    assert_false(node_clock_suspect(net.node[ODD].node));
}

static void damaged_numbers_are_refused(void **state)
{
    static const uint8_t big[8] = {0x80}, ok[8] = {0};
    (void)state;
    struct node_config c = nt_config(&net, 0);
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    struct node *n = net.node[0].node;
    assert_int_equal(node_restore(n, "relay-seq", (struct slice){big, 8}, 0), QUDAG_EMALFORMED);
    assert_int_equal(node_restore(n, "relay-seq", (struct slice){ok, 7}, 0), QUDAG_EMALFORMED);
    assert_int_equal(node_restore(n, "relay-seq", (struct slice){ok, 8}, 0), QUDAG_OK);
    assert_int_equal(node_restore(n, "record-seq", (struct slice){big, 8}, 0), QUDAG_EMALFORMED);
    assert_int_equal(node_restore(n, "record-seq", (struct slice){ok, 8}, 0), QUDAG_OK);
    assert_int_equal(node_restore(n, "relay-sequence", (struct slice){ok, 8}, 0),
                     QUDAG_EUNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(witnesses_are_counted_by_network_for_a_while_and_not_without_end),
        NT_TEST(right_clocks_are_not_suspected),
        NT_TEST(what_nobody_takes_is_not_announced_without_pause),
        NT_TEST(that_the_clock_is_wrong_is_taken_back_once_it_is_set),
        NT_TEST(a_clock_an_hour_ahead_is_reported_and_its_correction_noticed),
        NT_TEST(a_clock_an_hour_behind_is_reported),
        NT_TEST(a_node_days_ahead_joins_once_its_clock_is_set),
        NT_TEST(what_was_dated_wrongly_is_made_again_once_the_clock_is_set),
        NT_TEST(what_was_published_before_a_restart_is_published_though_the_clock_is_set),
        NT_TEST(a_clock_a_day_wrong_is_revealed_by_refused_links),
        NT_TEST(a_relay_is_ready_after_its_clock_was_set_back),
        NT_TEST(storers_of_one_network_are_one_witness),
        NT_TEST(damaged_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
