/*
 * hidden_service_test.c - whole nodes: a hidden service is published, called, and broken in every part.
 *
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/testkit_hidden.h"

static bool knows(size_t ix, const struct peer_id *other)
{
    struct node *n = net.node[ix].node;
    struct onion_hop hop;
    struct onion_info info;
    uint8_t props;
    bool in_path = false;

    for (size_t it = 0; onion_next(n->onion, &it, &info);) {
        for (size_t i = 0; i < info.hops && i < ONION_HOPS_MAX; i++) {
            in_path = in_path || peer_id_eq(&info.path[i], other);
        }
        in_path = in_path || peer_id_eq(&info.prev, other) || peer_id_eq(&info.next, other);
    }
    return in_path || swarm_connected(n->swarm, other, &props) ||
           relays_get(n->relays, other, &hop);
}

static void a_service_is_published_and_called(void **state)
{
    struct nt_node *t = &net.node[CALLER], *s = &net.node[SERVICE];
    static const uint8_t text[] = "hello";
    size_t taken;
    (void)state;

    network(1, NULL);
    assert_int_equal(stats().standing, 3);
    assert_int_equal(n_files("hid-"), 1);
    assert_int_equal(n_files("pub-"), 1);
    struct ref r = open_from(CALLER, 0);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(t->opened, 1);
    assert_int_equal(node_stream_write(t->node, r, (struct slice){text, 5}, &taken), QUDAG_OK);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(t->got, 5);
    assert_int_equal(t->fins, 0);
    node_stream_fin(t->node, r); /* half-closed: what follows still comes back */
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(s->fins, 1);
    assert_int_equal(t->fins, 1);
    assert_true(s->anonymous);
    assert_int_equal(service()->carried, 1);
    assert_int_equal(stats().carried, 1);
    assert_int_equal(dark_own_get(s->node->dark, &addr)->use.callers, 1);
    assert_false(direct);
    assert_false(knows(CALLER, &s->peer));
    assert_false(knows(SERVICE, &t->peer));
    assert_false(knows(SERVICE, &net.node[SERVICE].peer));

    /* With the caller gone, the carried circuit goes, and is not counted any more. */
    (void)nt_free(&net, CALLER);
    (void)nt_run(&net, 700 * NS_PER_S, NULL);
    assert_int_equal(service()->carried, 0);
    assert_int_equal(stats().carried, 0);
}

/*
 * As a shell that somebody has left open: each time nothing passes for longer than relays keep what is silent (600 s),
 * and in all for longer than the circuits are young (an hour); none is ended by it.
 */
static void a_connection_may_be_silent_for_hours(void **state)
{
    struct nt_node *t = &net.node[CALLER];
    size_t taken;
    (void)state;

    network(1, NULL);
    struct ref r = open_from(CALLER, 0);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(t->opened, 1);
    for (unsigned round = 1; round <= 3; round++) {
        (void)nt_run(&net, 2400 * NS_PER_S, NULL);
        assert_int_equal(
            node_stream_write(t->node, r, (struct slice){(const uint8_t *)"x", 1}, &taken),
            QUDAG_OK);
        (void)nt_run(&net, 5 * NS_PER_S, NULL);
        assert_int_equal(t->got, round);
    }
    assert_int_equal(t->closed, 0);
}

/* Ends all circuits that end at relay |ix|, as if it had begun anew. */
static void forget_circuits(size_t ix)
{
    struct node *n = net.node[ix].node;
    struct onion_info info;

    for (size_t it = 0; onion_next(n->onion, &it, &info);) {
        if (info.role == ONION_END) {
            assert_int_equal(node_circuit_close(n, info.circuit), QUDAG_OK);
        }
    }
}

/* Three times they stand again as they were; then others do, and records say so. */
static void it_outlives_its_introduction_points(void **state)
{
    struct dark_service before;
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    before = service()->target;
    for (uint8_t round = 0; round < 5; round++) {
        for (size_t i = 0; i < RELAYS; i++) {
            forget_circuits(i);
        }
        (void)nt_run(&net, 30 * NS_PER_S, NULL);
        assert_int_equal(stats().standing, 3);
        assert_int_equal(memcmp(before.intro, service()->target.intro, sizeof before.intro) == 0,
                         round < 3);
        print_message("round %u: %u ms\n", round, (unsigned)call((uint8_t)(2 + round), QUDAG_OK));
    }
}

/* The relay whose peer id that is. */
static size_t relay_of(const struct peer_id *peer)
{
    for (size_t i = 0; i < RELAYS; i++) {
        if (peer_id_eq(&net.node[i].peer, peer)) {
            return i;
        }
    }
    fail();
    return 0;
}

/* When it is noticed that the relay of a point is gone, another takes its place: it is not tried again and again. */
static void a_point_dies_with_its_relay(void **state)
{
    (void)state;

    network(1, NULL);
    const struct dark_service before = service()->target;
    (void)nt_free(&net, relay_of(&before.intro[0].relay));
    while (stats().points_lost == 0) {
        (void)nt_run(&net, NS_PER_S, NULL);
        assert_true(net.now < NT_START + 1000 * NS_PER_S);
    }
    tstamp noticed = net.now;
    while (stats().standing < 3 ||
           memcmp(before.intro, service()->target.intro, sizeof before.intro) == 0) {
        (void)nt_run(&net, NS_PER_S, NULL);
        assert_true(net.now < noticed + 120 * NS_PER_S);
    }
    print_message("another point after %u s\n", (unsigned)((net.now - noticed) / NS_PER_S));
    for (size_t i = 0; i < service()->target.n_intros; i++) {
        assert_false(peer_id_eq(&service()->target.intro[i].relay, &before.intro[0].relay));
    }
    assert_true(net.now < noticed + 20 * NS_PER_S);
}

/* SPEC: rendezvous R-27: nobody is left with a record whose points are all at relays that are gone. */
static void a_record_of_dead_relays_is_looked_up_anew(void **state)
{
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    const struct dark_service before = service()->target;
    for (size_t i = 0; i < before.n_intros; i++) {
        (void)nt_free(&net, relay_of(&before.intro[i].relay));
    }
    while (stats().points_lost < 3 || stats().standing < 3) {
        (void)nt_run(&net, NS_PER_S, NULL);
        assert_true(net.now < NT_START + 1000 * NS_PER_S);
    }
    (void)nt_run(&net, 90 * NS_PER_S, NULL); /* the next record is out */
    struct nt_node *t = &net.node[CALLER];
    unsigned opened = t->opened;
    for (uint8_t key = 2; t->opened == opened;
         key++) { /* three relays of nine are gone: not all paths lead anywhere */
        assert_true(key < 6);
        settled_before = t->opened + t->closed;
        (void)open_from(CALLER, key);
        assert_true(nt_run(&net, 120 * NS_PER_S, one_more));
    }
}

static size_t guard_of_service(void)
{
    struct node *n = net.node[SERVICE].node;

    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        for (size_t i = 0; i < RELAYS && c->open; i++) {
            if (peer_id_eq(&c->path[0].peer, &net.node[i].peer)) {
                return i;
            }
        }
    }
    fail();
    return 0;
}

static void it_outlives_its_guard(void **state)
{
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    (void)nt_free(&net, guard_of_service());
    tstamp gone = net.now;
    while (stats().standing < 3 || stats().points_lost == 0) {
        (void)nt_run(&net, NS_PER_S, NULL);
        assert_true(net.now < gone + 60 * NS_PER_S); /* found dead by a probe, and others used */
    }
    print_message("three points again after %u s\n", (unsigned)((net.now - gone) / NS_PER_S));
    print_message("call: %u ms\n", (unsigned)call(2, QUDAG_OK));
}

/* ---- second-layer guards ---- */

static const char *const uses[] = {"service-introduce", "service-rendezvous", "lookup"};
static unsigned seen[ARRAY_LEN(uses)]; /* circuits of the service's node, as often as looked at */

static bool is_second(struct node *n, const struct peer_id *peer)
{
    struct peer_id p;

    for (size_t it = 0; relays_second_next(n->relays, &it, &p);) {
        if (peer_id_eq(&p, peer)) {
            return true;
        }
    }
    return false;
}

static void watch_paths(struct nt *nt, const struct nt_pkt *p)
{
    struct node *n = nt->node[SERVICE].node;
    (void)p;

    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use->carried || c->no_path) {
            continue;
        }
        for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
            seen[i] += strcmp(c->use->name, uses[i]) == 0 ? 1 : 0;
        }
        assert_true(c->n_hops >= 3 || (c->use->stem && c->n_hops == 2));
        assert_true(is_second(n, &c->path[1].peer));
    }
}

/* Whatever the service's node builds: to introduction points, to meet callers, to publish, to have one ready. */
static void the_second_relay_of_all_its_circuits_is_of_the_second_layer(void **state)
{
    (void)state;

    network(1, NULL);
    memset(seen, 0, sizeof seen);
    net.watch = watch_paths;
    for (uint8_t round = 0; round < 3; round++) {
        publish();
        (void)call((uint8_t)(1 + round), QUDAG_OK);
    }
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
        print_message("%s: %u\n", uses[i], seen[i]);
        assert_true(seen[i] > 0);
    }
    net.watch = NULL;
}

static void its_clock_may_be_wrong_by_minutes(void **state)
{
    static const int64_t off[] = {-400, 400};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(off); i++) {
        const struct wallclock clock = {NT_WALL + off[i], NT_START};
        network(1, &clock);
        (void)call(1, QUDAG_OK);
        nt_fini(&net);
        nt_init(&net);
    }
    network(1, NULL);
}

/* Set wrong for a while, and right again: the keys that records name are still there. */
static void a_clock_set_wrong_costs_no_keys(void **state)
{
    const struct wallclock right = {NT_WALL, NT_START}, wrong = {NT_WALL + 5 * 86400, NT_START};
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    node_set_clock(net.node[SERVICE].node, wrong, net.now);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    node_set_clock(net.node[SERVICE].node, right, net.now);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    (void)call(2, QUDAG_OK);
    assert_int_equal(stats().unknown_key, 0);
}

/* The machine slept: all links are dead, and nothing was done that was due. */
static void it_wakes_up(void **state)
{
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    struct node *sleeper = net.node[SERVICE].node;
    net.node[SERVICE].node = NULL;
    (void)nt_run(&net, 3600 * NS_PER_S, NULL); /* no link or circuit of it is left by then */
    net.node[SERVICE].node = sleeper;
    tstamp woke = net.now;
    do {
        (void)nt_run(&net, NS_PER_S, NULL);
        assert_true(net.now < woke + 120 * NS_PER_S);
    } while (stats().standing < 3 || stats().points_lost == 0);
    print_message("three points again after %u s\n", (unsigned)((net.now - woke) / NS_PER_S));
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    (void)call(2, QUDAG_OK);
}

/* Else nobody who reads it after a restart would get in. */
static void no_record_names_keys_that_are_not_kept(void **state)
{
    struct nt_node *t = &net.node[SERVICE];
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH};
    (void)state;

    network(0, NULL);
    assert_int_equal(node_dark_create(t->node, &hidden, "k", net.now, &addr), QUDAG_OK);
    r.dark = addr;
    not_kept = "hid-";
    t->n_asks = 0;
    assert_int_not_equal(nt_ask(t, &r), SIZE_MAX);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_true(service()->has_target);
    assert_int_equal(t->ask[0].ends, 0);
    assert_int_equal(dark_own_get(t->node->dark, &addr)->seq, 0);
    not_kept = NULL;
    (void)nt_run(&net, 20 * NS_PER_S, nt_asked_ended);
    assert_int_equal(t->ask[0].ends, 1);
    assert_int_equal(t->ask[0].err, QUDAG_OK);
}

/* Every one of them is answered, whoever the dark core knows of. */
static void several_who_publish_at_once_are_all_told(void **state)
{
    struct nt_node *t = &net.node[SERVICE];
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH};
    (void)state;

    network(0, NULL);
    assert_int_equal(node_dark_create(t->node, &hidden, "k", net.now, &addr), QUDAG_OK);
    r.dark = addr;
    t->n_asks = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(nt_ask(t, &r), SIZE_MAX);
        (void)nt_run(&net, 50 * NS_PER_MS, NULL);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_asked_ended));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(t->ask[i].err, QUDAG_OK);
    }
}

/* SPEC: rendezvous R-29: else who names one relay after the other learns which does not answer. */
static void a_relay_that_serves_is_met_at_itself_too(void **state)
{
    struct node *n;
    bool at_itself = false;
    (void)state;

    network(1, NULL);
    n = net.node[3].node;
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH};
    assert_int_equal(node_serve_dark(n, ECHO), QUDAG_OK);
    assert_int_equal(node_dark_create(n, &hidden, "r", net.now, &addr), QUDAG_OK);
    r.dark = addr;
    assert_int_equal(ask(3, &r)->err, QUDAG_OK);
    for (uint8_t key = 1; key < 60 && !at_itself; key++) {
        (void)call(key, QUDAG_OK);
        LIST_EACH(it, &n->circuits)
        {
            const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
            at_itself = at_itself || (!ref_none(c->carried) &&
                                      peer_id_eq(&c->path[c->n_hops - 1].peer, &net.node[3].peer));
        }
    }
    assert_true(at_itself);
}

/* Those of |n| that wait for their last hop and will pass a middle relay as circuits to R do; how many. */
static size_t stems(struct node *n, bool of_service, struct ref out[8])
{
    size_t found = 0;

    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use->stem && c->use->meets == of_service && c->open && c->n_hops == 3 && found < 8) {
            out[found++] = c->onion;
        }
    }
    return found;
}

/* How many of |wait| callers are met over now. */
static size_t used(struct node *n, const struct ref *wait, size_t n_wait)
{
    size_t met = 0;

    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        for (size_t i = 0; i < n_wait && !ref_none(c->carried); i++) {
            met += ref_eq(c->onion, wait[i]) ? 1 : 0;
        }
    }
    return met;
}

/*
 * SPEC: path-selection P-35, decision 66: what waits for the meetings of a service is taken for them, what waits for
 * anybody is not; whoever called this service does not delay the answer of another.
 */
static void a_meeting_takes_what_waits_for_its_service(void **state)
{
    struct ref anybodys[8], own[8];
    size_t taken = 0;
    (void)state;

    network(1, NULL);
    struct node *n = net.node[SERVICE].node;
    n->cfg.clean_circuits = 2;
    n->cfg.circuits_max = 1000;
    n->clean.look_at = n->meetings_at = net.now;
    for (uint8_t key = 1; key <= 5; key++) {
        node_clean_used(&n->clean, NODE_CLEAN_LONG, net.now,
                        &n->cfg.rng); /* else none would wait */
        (void)nt_run(&net, 15 * NS_PER_S, NULL);
        assert_int_equal(stems(n, false, anybodys), 2);
        assert_int_equal(stems(n, true, own), 2);
        (void)call(key, QUDAG_OK);
        assert_int_equal(used(n, anybodys, 2), 0);
        taken += used(n, own, 2);
    }
    print_message("%zu of 5 meetings took a circuit that waited\n", taken);
    assert_true(taken >= 3); /* a small network: two may have a relay in common */
    assert_int_equal(stems(n, true, own) <= 2, true);
    node_service_end(n, &LIST_ENTRY(n->serving.next, struct node_service, node)->addr, net.now);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_int_equal(stems(n, true, own), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_service_is_published_and_called),
        NT_TEST(a_connection_may_be_silent_for_hours),
        NT_TEST(it_outlives_its_introduction_points),
        NT_TEST(a_point_dies_with_its_relay),
        NT_TEST(a_record_of_dead_relays_is_looked_up_anew),
        NT_TEST(it_outlives_its_guard),
        NT_TEST(the_second_relay_of_all_its_circuits_is_of_the_second_layer),
        NT_TEST(its_clock_may_be_wrong_by_minutes),
        NT_TEST(a_clock_set_wrong_costs_no_keys),
        NT_TEST(it_wakes_up),
        NT_TEST(no_record_names_keys_that_are_not_kept),
        NT_TEST(several_who_publish_at_once_are_all_told),
        NT_TEST(a_meeting_takes_what_waits_for_its_service),
        NT_TEST(a_relay_that_serves_is_met_at_itself_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
