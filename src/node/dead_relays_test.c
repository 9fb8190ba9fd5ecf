/*
 * dead_relays_test.c - whole nodes: half of all relays are dead, and their descriptors are in everybody's view.
 *
 * TEST: timeout=240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define NT_NODES 24
#include "node/internal.h"
#include "node/testkit_case.h"

#define RELAYS 22
#define CALLER 22
#define SERVICE 23
#define ECHO "/echo/1"
#define STEP 5  /* prime to RELAYS */
#define CALLS 8 /* for each choice of the dead */
#define CHOICES 3u

static const struct node_dark_of hidden = {DARK_HIDDEN, DARK_NET_LAB};
static struct dark_addr addr;

static void client(size_t ix)
{
    struct node_config c = nt_config(&net, ix);

    nt_boot(&net, &c, ix % 3);
    c.relay = c.dht_server = false;
    c.circuits_max = 0;
    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
    if (ix == SERVICE) {
        net.node[ix].echo = true;
        assert_int_equal(node_serve_dark(net.node[ix].node, ECHO), QUDAG_OK);
        node_set_announced(net.node[ix].node, NULL, 0);
    }
    node_start(net.node[ix].node);
}

static void network(void)
{
    struct nt_node *t = &net.node[SERVICE];
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH};

    for (size_t i = 0; i < RELAYS; i++) {
        struct node_config c = nt_config(&net, i);
        c.circuits_max = 0;
        if (i > 0) {
            nt_boot(&net, &c, 0);
        }
        nt_begin(i, &c);
    }
    client(CALLER);
    client(SERVICE);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(node_dark_create(t->node, &hidden, "h", net.now, &addr), QUDAG_OK);
    r.dark = addr;
    assert_int_not_equal(nt_ask(t, &r), SIZE_MAX);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    assert_int_equal(t->ask[0].err, QUDAG_OK);
}

static unsigned before;

static bool one_more(struct nt *nt)
{
    return nt->node[CALLER].opened + nt->node[CALLER].closed > before;
}

/* How long a call took, in ms; |*open|: it was answered. */
static uint64_t call(uint8_t key, bool *open)
{
    struct nt_node *t = &net.node[CALLER];
    const struct node_isolation k = {.len = 1, .key = {key}};
    unsigned opened = t->opened;
    tstamp begun = net.now;
    struct ref s;

    before = t->opened + t->closed;
    assert_int_equal(node_stream_open_dark(t->node, &addr, ECHO, &k, &s), QUDAG_OK);
    assert_true(nt_run(&net, 120 * NS_PER_S, one_more));
    *open = t->opened > opened;
    if (*open) {
        node_stream_reset(t->node, s, QUDAG_ECANCELED);
    }
    return (net.now - begun) / NS_PER_MS;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Half of all die, counted from |from| on; what a call takes then, in |ms|; how many are answered. */
static unsigned calls_when_dead(size_t from, uint64_t ms[CALLS])
{
    unsigned answered = 0;
    uint8_t key = 0;
    bool open;

    network();
    (void)call(++key, &open);
    assert_true(open);
    for (size_t i = 0; i < RELAYS / 2; i++) {
        (void)nt_free(&net, (STEP * i + from) % RELAYS);
    }
    (void)nt_run(&net, 30 * NS_PER_S, NULL); /* the service has points again */
    for (size_t i = 0; i < CALLS; i++) {
        ms[i] = call(++key, &open);
        answered += open ? 1 : 0;
        print_message("%s after %u ms\n", open ? "answered" : "not answered", (unsigned)ms[i]);
        (void)nt_run(&net, 5 * NS_PER_S, NULL);
    }
    return answered;
}

static uint64_t all_ms[CHOICES * CALLS];
static unsigned all_answered, choices;

/* Guards, second layers, introduction points and those who hold the record are among them. */
static void half_of_all_relays_are_dead(void **state)
{
    (void)state;

    all_answered += calls_when_dead(2 * choices, &all_ms[choices * CALLS]);
    choices++;
}

/* Which relays die decides much: of six choices between 8 and 12 of 12 calls were answered.  So several are judged. */
static void most_calls_are_answered_soon(void **state)
{
    uint64_t half;
    (void)state;

    assert_int_equal(choices, CHOICES);
    qsort(all_ms, CHOICES * CALLS, sizeof all_ms[0], by_value);
    half = all_ms[CHOICES * CALLS / 2];
    print_message("%u of %u answered, half of them within %u ms\n", all_answered, CHOICES * CALLS,
                  (unsigned)half);
    assert_true(all_answered * 4 >= CHOICES * CALLS * 3);
    assert_true(half <= 4000); /* before dead guards were left out: 6.4 s */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(half_of_all_relays_are_dead),
        NT_TEST(half_of_all_relays_are_dead),
        NT_TEST(half_of_all_relays_are_dead),
        cmocka_unit_test(most_calls_are_answered_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
