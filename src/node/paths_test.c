/*
 * paths_test.c - what the ends of circuits of whole nodes say of the relays they led over.
 *
 * TEST: timeout=180
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define ECHO "/test/echo/1.0.0"
#define CLIENT 0
#define SERVICE 5

/* The sum of what was counted of all guards of the client. */
static struct relays_bias counted(void)
{
    const struct relays *r = net.node[CLIENT].node->relays;
    struct relays_bias sum = {0};

    for (uint32_t i = 0; i < r->n_guards; i++) {
        sum.tried += r->guard[i]->bias.tried;
        sum.built += r->guard[i]->bias.built;
        sum.used += r->guard[i]->bias.used;
        sum.intact += r->guard[i]->bias.intact;
    }
    return sum;
}

static void join(void)
{
    nt_join(6);
    assert_false(nt_run(&net, 20 * NS_PER_S, NULL));
}

/* A lookup of what nobody has, with a circuit of its own. */
static struct ref lookup(uint8_t number)
{
    uint8_t key[DARK_KEY_LEN] = DHT_DARK_PREFIX;
    struct node_request r = {.kind = NODE_OP_LOOKUP_GET, .key = {key, sizeof key}};

    memset(key + sizeof DHT_DARK_PREFIX - 1, number, DHT_DARK_INDEX_LEN);
    struct node_op *op = node_op_new(net.node[CLIENT].node, &r);
    assert_non_null(op);
    return op->ref;
}

static struct node_circuit *first_open(const char *purpose)
{
    LIST_EACH(it, &net.node[CLIENT].node->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->open && strcmp(c->use->name, purpose) == 0) {
            return c;
        }
    }
    return NULL;
}

/* They are most of what a client and a publisher do: not counted, one hostile gateway in twenty drives a guard out. */
static void lookups_that_end_well_count_as_intact(void **state)
{
    struct relays_bias before, after;

    (void)state;
    join();
    before = counted();
    for (uint8_t i = 0; i < 12; i++) {
        (void)lookup(i);
        (void)nt_run(&net, 10 * NS_PER_S, NULL);
    }
    after = counted();
    assert_int_equal(after.used - before.used, 12);
    assert_int_equal(after.intact - before.intact, 12);
    /* a far end that breaks one that has been answered changes nothing, nor does its end in time */
    struct node_circuit *c = first_open("spent");
    assert_non_null(c);
    struct act broken = {.kind = ONION_UP_CLOSED, .obj = c->onion, .err = QUDAG_EPROTO};
    node_path_ended(net.node[CLIENT].node, c, 0, broken.err, net.now);
    (void)nt_run(&net, 300 * NS_PER_S, NULL);
    after = counted();
    assert_null(first_open("spent"));
    assert_int_equal(after.used - before.used, 12);
    assert_int_equal(after.intact - before.intact, 12);
}

static bool lookup_asked(struct nt *nt)
{
    struct node_circuit *c = first_open("lookup");

    (void)nt;
    return c != NULL && c->unanswered;
}

/* Whoever drops all cells of a circuit lets its request time out. */
static void a_lookup_that_nobody_answers_does_not_count_as_intact(void **state)
{
    struct relays_bias before, after;

    (void)state;
    join();
    before = counted();
    struct ref asked = lookup(1);
    assert_true(nt_run(&net, 20 * NS_PER_S, lookup_asked));
    struct node_op *op = slots_get(&net.node[CLIENT].node->optab, asked);
    assert_non_null(op);
    op->tries = NODE_CIRCUIT_TRIES; /* not again */
    node_op_end(net.node[CLIENT].node, op, QUDAG_ETIMEOUT, &(struct node_result){.count = 0});
    (void)nt_run(&net, 200 * NS_PER_S, NULL);
    after = counted();
    assert_int_equal(after.used - before.used, 1);
    assert_int_equal(after.intact - before.intact, 0);
}

static unsigned ended;

static void end_circuit(struct nt_node *t, const char *what, struct ref s)
{
    struct node_stream_info info;

    if (strcmp(what, "stream_in") == 0) {
        ended++;
        assert_int_equal(node_stream_info_get(t->node, s, &info), QUDAG_OK);
        assert_int_equal(node_circuit_close(t->node, info.circuit), QUDAG_OK);
    }
}

static void a_service_that_ends_circuits_does_not_move_the_counters(void **state)
{
    struct relays_bias before, after;
    struct dark_addr addr;
    struct ref s;
    size_t at;

    (void)state;
    join();
    assert_int_equal(node_serve(net.node[SERVICE].node, ECHO), QUDAG_OK);
    assert_int_equal(node_dark_create(net.node[SERVICE].node, &nt_direct, "shop", net.now, &addr),
                     QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    at = nt_ask(&net.node[SERVICE], &r);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    assert_int_equal(net.node[SERVICE].ask[at].err, QUDAG_OK);
    struct node_request resolve = {.kind = NODE_OP_DARK_RESOLVE, .dark = addr};
    (void)nt_ask(&net.node[CLIENT], &resolve);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    net.node[SERVICE].hook = end_circuit;
    before = counted();
    for (uint8_t i = 0; i < 8; i++) {
        const struct node_isolation key = {.len = 1, .key = {i}};
        assert_int_equal(node_stream_open_dark(net.node[CLIENT].node, &addr, ECHO, &key, &s),
                         QUDAG_OK);
        (void)nt_run(&net, 10 * NS_PER_S, NULL);
    }
    after = counted();
    assert_int_equal(ended, 8);
    assert_in_range(after.built - before.built, 8, 16); /* with records that are looked for again */
    assert_int_equal(after.used - before.used, after.built - before.built - 8);
    assert_int_equal(after.intact - before.intact, after.used - before.used);
}

static bool a_guard_is_used(struct nt *nt)
{
    const struct relays *r = nt->node[CLIENT].node->relays;

    for (uint32_t i = 0; i < r->n_guards; i++) {
        if (r->guard[i]->used != 0) {
            return true;
        }
    }
    return false;
}

static void forget_uses(struct relays *r)
{
    for (uint32_t i = 0; i < r->n_guards; i++) {
        r->guard[i]->used = 0;
    }
    relays_guards_saved(r);
}

/* Or a node that is stopped then would begin with another guard the next time. */
static void a_guard_is_on_disk_before_it_is_used_for_the_first_time(void **state)
{
    static const struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    struct relays *pool;

    (void)state;
    join();
    pool = net.node[CLIENT].node->relays;
    forget_uses(pool);
    net.node[CLIENT].save_err = QUDAG_ESYSTEM; /* a disk that takes nothing: it is tried again */
    (void)nt_ask(&net.node[CLIENT], &r);
    assert_true(nt_run(&net, NS_PER_S, a_guard_is_used));
    assert_int_equal(relays_guards_dirty(pool), RELAYS_DIRTY_NOW);
    net.node[CLIENT].save_err = QUDAG_OK;
    assert_true(nt_run(&net, 10 * NS_PER_S, nt_asked_ended));
    forget_uses(pool);
    (void)nt_ask(&net.node[CLIENT], &r);
    assert_true(nt_run(&net, NS_PER_S, a_guard_is_used));
    assert_int_equal(relays_guards_dirty(pool), RELAYS_CLEAN);
}

static void connect_to(size_t from, size_t to)
{
    struct node_request r = {.kind = NODE_OP_CONNECT};

    multiaddr_quic(&r.addr, &net.node[to].addr, &net.node[to].peer);
    (void)nt_ask(&net.node[from], &r);
    assert_true(nt_run(&net, 2 * NS_PER_S, nt_asked_ended));
}

/* Else whoever blocks the guards links in, and is the witness that they are silent while others answer. */
static void who_links_to_us_does_not_show_that_others_answer(void **state)
{
    struct node_config c = nt_config(&net, 6);
    struct relays *r;

    (void)state;
    join();
    assert_int_equal(nt_make(&net, 6, &c), QUDAG_OK); /* knows nobody */
    node_start(net.node[6].node);
    r = net.node[CLIENT].node->relays;
    r->heard_at = 0;
    connect_to(6, CLIENT);
    assert_int_equal(r->heard_at, 0);
    connect_to(CLIENT, 6); /* over its link */
    assert_int_equal(r->heard_at, 0);
    assert_int_equal(nt_make(&net, 7, &c), QUDAG_OK);
    connect_to(CLIENT, 7);
    assert_int_not_equal(r->heard_at, 0);
    r->heard_at = 0;
    struct node_request find = {.kind = NODE_OP_CLOSEST, .key = {(const uint8_t *)"abc", 3}};
    (void)nt_ask(&net.node[CLIENT], &find);
    assert_true(nt_run(&net, 10 * NS_PER_S, nt_asked_ended));
    assert_int_not_equal(r->heard_at, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(lookups_that_end_well_count_as_intact),
        NT_TEST(a_lookup_that_nobody_answers_does_not_count_as_intact),
        NT_TEST(a_guard_is_on_disk_before_it_is_used_for_the_first_time),
        NT_TEST(who_links_to_us_does_not_show_that_others_answer),
        NT_TEST(a_service_that_ends_circuits_does_not_move_the_counters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
