/*
 * pressure_test.c - programs with more to send than the accounts of bytes allow: they wait, and no stream ends for it.
 *
 * Every stream of node 0 hands over PIECE after PIECE whenever it is told that it takes more, as a program does that
 * keeps to the contract; what arrives is compared byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* these before */
#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#include <inttypes.h>

#define PROTO "/test/pressure/1.0.0"
#define PIECE 65536u
#define MOST 64 /* streams */
#define PATTERN 65521u

/* One stream, by its place; the first two bytes that are sent say which. */
struct sender {
    struct ref s;
    size_t written, taken_early;
    bool fin, copies;
};

struct receiver {
    const struct nt_node *at;
    struct ref s;
    size_t ix, got;
};

static struct {
    struct sender out[MOST];
    struct receiver in[MOST];
    size_t n_out, n_in, total; /* bytes of each */
    unsigned told, wrong, freed, handed;
    uint64_t held_most; /* bytes of the account at once */
    uint64_t mem_most;
    size_t done;
} t;

static uint8_t pattern[PATTERN + PIECE];

static uint8_t byte_at(size_t stream, size_t at)
{
    return at < 2 ? (uint8_t)(at == 0 ? 0x51 : stream) : pattern[at % PATTERN];
}

static void give_back(void *ctx, const uint8_t *base, size_t len)
{
    (void)ctx;
    (void)len;
    t.freed++;
    free((void *)(uintptr_t)base);
}

static qudag_err write_piece(struct sender *o, size_t *taken)
{
    size_t ix = (size_t)(o - t.out), left = t.total - o->written;
    size_t n = left < PIECE ? left : PIECE;
    uint8_t *p = malloc(n);

    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        p[i] = byte_at(ix, o->written + i);
    }
    *taken = n;
    struct node_owned b = {{p, n}, give_back, NULL};
    qudag_err err = o->copies ? node_stream_write(net.node[0].node, o->s, b.data, taken)
                              : node_stream_write_owned(net.node[0].node, o->s, &b);
    if (o->copies || err != QUDAG_OK) {
        free(p);
    } else {
        t.handed++;
    }
    return err;
}

static void write_on(struct sender *o)
{
    qudag_err err = QUDAG_OK;
    size_t taken = 0;

    while (err == QUDAG_OK && o->written < t.total) {
        err = write_piece(o, &taken);
        o->written += err == QUDAG_OK ? taken : 0;
    }
    if (o->written == t.total && !o->fin) {
        o->fin = true;
        node_stream_fin(net.node[0].node, o->s);
    }
}

static void on_sender(struct nt_node *n, const char *what, struct ref s)
{
    (void)n;
    for (size_t i = 0; i < t.n_out && strcmp(what, "stream_writable") == 0; i++) {
        if (ref_eq(t.out[i].s, s)) {
            t.told++;
            write_on(&t.out[i]);
        }
    }
}

static void take(struct nt_node *n, struct receiver *r)
{
    struct slice piece[64];
    size_t k = ARRAY_LEN(piece);

    assert_int_equal(node_stream_lent(n->node, r->s, piece, &k), QUDAG_OK);
    for (size_t i = 0; i < k; i++) {
        if (r->got == 0 && piece[i].len >= 2) {
            r->ix = piece[i].base[1];
        }
        for (size_t at = 0; at < piece[i].len; at++) {
            t.wrong += piece[i].base[at] != byte_at(r->ix, r->got + at) ? 1u : 0;
        }
        r->got += piece[i].len;
    }
    size_t all = 0;
    for (size_t i = 0; i < k; i++) {
        all += piece[i].len;
    }
    node_stream_consume(n->node, r->s, all);
    t.done += r->got == t.total ? 1 : 0;
}

static void on_receiver(struct nt_node *n, const char *what, struct ref s)
{
    if (strcmp(what, "stream_in") == 0) {
        assert_true(t.n_in < MOST);
        assert_int_equal(node_stream_lend(n->node, s), QUDAG_OK);
        t.in[t.n_in++] = (struct receiver){.at = n, .s = s};
    }
    for (size_t i = 0; i < t.n_in && strcmp(what, "stream_data") == 0; i++) {
        if (t.in[i].at == n && ref_eq(t.in[i].s, s) && t.in[i].got < t.total) {
            take(n, &t.in[i]);
        }
    }
}

static bool all_there(struct nt *nt)
{
    uint64_t held =
        resources_used(swarm_resources(node_swarm(nt->node[0].node)), RES_NODE, RES_BYTES);

    t.held_most = held > t.held_most ? held : t.held_most;
    t.mem_most = nt->node[0].mem.used > t.mem_most ? nt->node[0].mem.used : t.mem_most;
    return t.done == t.n_out || nt->node[0].closed > 0;
}

/* |streams| to |peers| peers, |total| bytes each, where the node may use |mib| MiB. */
static void run(size_t streams, size_t peers, size_t mib, size_t total)
{
    memset(&t, 0, sizeof(t));
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (uint8_t)(i * 7 + i / 251);
    }
    t.total = total;
    nt_identity(&net, 0);
    net.node[0].mem.max = mib << 20;
    nt_join(1 + peers);
    net.node[0].hook = on_sender;
    for (size_t i = 1; i <= peers; i++) {
        assert_int_equal(node_serve(net.node[i].node, PROTO), QUDAG_OK);
        net.node[i].hook = on_receiver;
        net.node[i].keeps = true;
    }
    for (; t.n_out < streams; t.n_out++) {
        struct sender *o = &t.out[t.n_out];
        o->copies = t.n_out % 4 == 3;
        assert_int_equal(node_stream_open_peer(net.node[0].node,
                                               &net.node[1 + t.n_out % peers].peer, PROTO, &o->s),
                         QUDAG_OK);
    }
    for (size_t i = 0; i < streams; i++) { /* while it is being opened, too */
        write_on(&t.out[i]);
    }
}

static void end_well(void)
{
    assert_int_equal(t.done, t.n_out);
    assert_int_equal(t.wrong, 0);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(t.freed, t.handed);
    assert_true(t.mem_most < net.node[0].mem.max);
    const struct resources *r = swarm_resources(node_swarm(net.node[0].node));
    for (unsigned scope = 0; scope < RES_SCOPES; scope++) {
        assert_int_equal(resources_refused(r, (enum res_scope_kind)scope, RES_BYTES), 0);
    }
    assert_int_equal(resources_used(r, RES_NODE, RES_BYTES), 0);
}

/* What the stream that has least has got, and the one that has most. */
static void shares(size_t *least, size_t *most)
{
    *least = SIZE_MAX;
    *most = 0;
    for (size_t i = 0; i < t.n_out; i++) {
        size_t got = i < t.n_in ? t.in[i].got : 0;
        *least = got < *least ? got : *least;
        *most = got > *most ? got : *most;
    }
}

static bool half_there(struct nt *nt)
{
    size_t sum = 0;

    for (size_t i = 0; i < t.n_in; i++) {
        sum += t.in[i].got;
    }
    return all_there(nt) || sum >= t.n_out * t.total / 2;
}

static void sixteen_streams_to_one_peer_all_come_to_their_end(void **state)
{
    size_t least, most;
    (void)state;

    run(16, 1, 32, (size_t)2 << 20);
    assert_true(nt_run(&net, 300 * NS_PER_S, half_there));
    shares(&least, &most);
    print_message("half: %zu to %zu bytes a stream\n", least, most);
    assert_true(least >= t.total / 4);
    assert_true(nt_run(&net, 300 * NS_PER_S, all_there));
    assert_int_equal(net.node[0].closed, 0);
    end_well();
}

/* Eight peers, of which each may have a quarter of the node's bytes. */
static void many(uint32_t loss_permille, size_t total)
{
    size_t least, most;

    run(MOST, 8, 16, total);
    net.loss_permille = loss_permille;
    assert_true(nt_run(&net, 600 * NS_PER_S, half_there));
    shares(&least, &most);
    print_message("half: %zu to %zu bytes a stream\n", least, most);
    assert_true(least >= t.total / 10);
    assert_true(nt_run(&net, 600 * NS_PER_S, all_there));
    print_message("told %u times, bytes of the account %" PRIu64 ", memory %" PRIu64 " at most\n",
                  t.told, t.held_most, t.mem_most);
    assert_int_equal(net.node[0].closed, 0);
    end_well();
}

static void sixty_four_streams_to_eight_peers_share_little(void **state)
{
    (void)state;
    many(0, (size_t)1 << 20);
}

static void they_do_where_packets_are_lost(void **state)
{
    (void)state;
    many(20, (size_t)512 << 10);
}

static size_t got_by(const struct nt_node *n)
{
    size_t sum = 0;

    for (size_t i = 0; i < t.n_in; i++) {
        sum += t.in[i].at == n ? t.in[i].got : 0;
    }
    return sum;
}

static bool half_got_all(struct nt *nt)
{
    return got_by(&nt->node[2]) == t.n_out / 2 * t.total;
}

/* Nothing comes of what is sent to the first of two peers, and the other one's streams do not wait for it. */
static void a_silent_peer_keeps_no_other_waiting(void **state)
{
    (void)state;
    run(32, 2, 8, (size_t)2 << 20);
    (void)nt_run(&net, NS_PER_S, NULL);
    struct netaddr gone = {.family = 4, .ip = {10, 9, 9, 9}, .port = 1};
    struct netaddr was = net.node[1].addr;
    net.node[1].addr = gone; /* its link dies after some time */
    assert_true(nt_run(&net, 300 * NS_PER_S, half_got_all));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(net.node[0].closed, t.n_out / 2);
    assert_int_equal(net.node[0].closed_why, QUDAG_ETIMEOUT);
    net.node[1].addr = was;
    const struct resources *r = swarm_resources(node_swarm(net.node[0].node));
    assert_int_equal(resources_used(r, RES_NODE, RES_BYTES), 0);
    assert_int_equal(t.freed, t.handed);
}

/* What was accepted and never written is given back; one that waits may be reset, and its peer may reset it. */
static void streams_that_end_while_they_wait_leave_nothing(void **state)
{
    (void)state;
    run(16, 1, 8, (size_t)2 << 20);
    (void)nt_run(&net, 60 * NS_PER_MS, NULL);
    for (size_t i = 0; i < t.n_out; i++) {
        size_t taken;
        struct ref s = t.out[i].s;
        t.out[i].s = (struct ref){0, 0};
        qudag_err err =
            node_stream_write(net.node[0].node, s, (struct slice){pattern, PIECE}, &taken);
        assert_true(err == QUDAG_OK || err == QUDAG_EAGAIN);
        if (i % 4 != 0) {
            node_stream_reset(net.node[0].node, s, QUDAG_ECANCELED);
        } else if (i < t.n_in) {
            node_stream_reset(net.node[1].node, t.in[i].s, QUDAG_ECANCELED);
        }
    }
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    const struct resources *r = swarm_resources(node_swarm(net.node[0].node));
    assert_int_equal(resources_used(r, RES_NODE, RES_BYTES), 0);
    assert_int_equal(t.freed, t.handed);
    assert_true(net.node[0].closed > 0);
    assert_int_equal(net.node[0].node->pressed_n, 0); /* each that waits makes the shares smaller */
}

/* What is accepted while a reset is on its way is given back, though it is never written. */
static void a_write_that_meets_a_reset_leaves_nothing(void **state)
{
    size_t taken;
    struct ref s;
    (void)state;

    nt_join(2);
    assert_int_equal(node_serve(net.node[1].node, PROTO), QUDAG_OK);
    assert_int_equal(node_stream_open_peer(net.node[0].node, &net.node[1].peer, PROTO, &s),
                     QUDAG_OK);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    node_stream_reset(net.node[1].node, net.node[1].in, QUDAG_ECANCELED);
    nt_step(&net);
    net.now += 5 * NS_PER_MS; /* it is there, and read after what is written now */
    assert_int_equal(node_stream_write(net.node[0].node, s, (struct slice){pattern, PIECE}, &taken),
                     QUDAG_OK);
    const struct resources *r = swarm_resources(node_swarm(net.node[0].node));
    assert_int_equal(resources_used(r, RES_NODE, RES_BYTES), PIECE);
    (void)nt_run(&net, NS_PER_S, NULL);
    assert_int_equal(net.node[0].closed, 1);
    assert_int_equal(resources_used(r, RES_NODE, RES_BYTES), 0);
}

static void what_a_stream_may_add(void **state)
{
    const uint64_t step = NODE_STREAM_STEP, buffer = NODE_STREAM_OWNED_MAX;
    (void)state;

    /* nobody waits: all that is left of the ease, or a step */
    struct node_pressure p = {.ease = 5 * buffer, .left = 6 * buffer, .turn = true};
    assert_int_equal(node_rule_room(&p), 5 * buffer);
    p.ease = 0;
    assert_int_equal(node_rule_room(&p), step);
    p.held = 1000;
    assert_int_equal(node_rule_room(&p), step - 1000);
    assert_false(node_rule_whole(&p, buffer));
    p.held = step;
    assert_int_equal(node_rule_room(&p), 0);
    p.held = 0;
    assert_true(node_rule_whole(&p, buffer)); /* one buffer on the way */
    p.left = buffer - 1;
    assert_false(node_rule_whole(&p, buffer)); /* and none that is refused later */
    p.left = 10;
    assert_int_equal(node_rule_room(&p), 10);
    assert_true(node_rule_whole(&p, 10));
    /* three wait: out of turn a share of the ease and nothing else, in turn a buffer of it */
    p = (struct node_pressure){.ease = 8 * buffer, .left = 9 * buffer, .waiting = 3};
    assert_int_equal(node_rule_room(&p), 2 * buffer);
    p.ease = 8;
    assert_int_equal(node_rule_room(&p), 2);
    assert_false(node_rule_whole(&p, 3));
    p.left = 1;
    assert_int_equal(node_rule_room(&p), 1);
    p = (struct node_pressure){
        .ease = 3 * buffer, .left = 9 * buffer, .held = buffer, .waiting = 3, .turn = true};
    assert_int_equal(node_rule_room(&p), buffer);
    p.ease = 100;
    assert_int_equal(node_rule_room(&p), 100);
    assert_false(node_rule_whole(&p, 101));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(sixteen_streams_to_one_peer_all_come_to_their_end),
        NT_TEST(sixty_four_streams_to_eight_peers_share_little),
        NT_TEST(they_do_where_packets_are_lost),
        NT_TEST(a_silent_peer_keeps_no_other_waiting),
        NT_TEST(streams_that_end_while_they_wait_leave_nothing),
        NT_TEST(a_write_that_meets_a_reset_leaves_nothing),
        cmocka_unit_test(what_a_stream_may_add),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
