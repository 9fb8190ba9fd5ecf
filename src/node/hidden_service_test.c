/*
 * hidden_service_test.c - whole nodes: a hidden service is published, called, broken in every part, and started again.
 *
 * TEST: timeout=300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/dark_clients.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define RELAYS 9
#define CALLER 9
#define SERVICE 13 /* 10 to 12: more callers */
#define ECHO "/echo/1"
#define FILES 16

static const struct node_dark_of hidden = {DARK_HIDDEN, DARK_NET_LAB};
static struct dark_addr addr;
static bool direct; /* a datagram went from a caller to the service, or back */

/* What the service's node saved, as on a disk. */
static struct {
    char name[64];
    uint8_t bytes[RELAYS_GUARDS_FILE_MAX];
    size_t len;
} file[FILES];

static const char *not_kept; /* what begins so is not saved; NULL: nothing */

static qudag_err keep(struct nt_node *t, const char *name, struct slice bytes)
{
    size_t at = FILES;
    (void)t;

    if (not_kept != NULL && strncmp(name, not_kept, strlen(not_kept)) == 0) {
        return QUDAG_ESYSTEM;
    }
    for (size_t i = 0; i < FILES; i++) {
        if (strcmp(file[i].name, name) == 0) {
            at = i;
            break;
        }
        at = at == FILES && file[i].name[0] == '\0' ? i : at;
    }
    assert_true(at < FILES && bytes.len <= sizeof file[at].bytes);
    assert_true(strlen(name) < sizeof file[at].name);
    memcpy(file[at].name, bytes.len > 0 ? name : "", bytes.len > 0 ? strlen(name) + 1 : 1);
    file[at].len = bytes.len;
    if (bytes.len > 0) {
        memcpy(file[at].bytes, bytes.base, bytes.len);
    }
    return QUDAG_OK;
}

static size_t n_files(const char *prefix)
{
    size_t n = 0;

    for (size_t i = 0; i < FILES; i++) {
        n += file[i].name[0] != '\0' && strncmp(file[i].name, prefix, strlen(prefix)) == 0;
    }
    return n;
}

static void watch(struct nt *nt, const struct nt_pkt *p)
{
    const struct netaddr *s = &nt->node[SERVICE].addr;

    for (size_t i = CALLER; i < SERVICE; i++) {
        const struct netaddr *c = &nt->node[i].addr;
        direct = direct || (netaddr_eq(&p->from, c) && netaddr_eq(&p->to, s)) ||
                 (netaddr_eq(&p->from, s) && netaddr_eq(&p->to, c));
    }
}

/* ---- the network ---- */

static void client_of(size_t ix, const struct wallclock *clock)
{
    struct node_config c = nt_config(&net, ix);
    struct nt_node *t = &net.node[ix];

    nt_boot(&net, &c, ix % 3);
    c.relay = c.dht_server = false;
    c.circuits_max = 0;
    c.clock = clock != NULL ? *clock : c.clock;
    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
    if (ix == SERVICE) {
        t->saved = keep;
        t->echo = true;
        for (size_t i = 0; i < FILES; i++) {
            assert_true(file[i].len == 0 || node_restore(t->node, file[i].name,
                                                         (struct slice){file[i].bytes, file[i].len},
                                                         net.now) == QUDAG_OK);
        }
        assert_int_equal(node_serve_dark(t->node, ECHO), QUDAG_OK);
        node_set_announced(t->node, NULL, 0); /* as behind a NAT: it tells nobody an address */
    }
    node_start(t->node);
}

static struct nt_ask *ask(size_t ix, const struct node_request *r)
{
    struct nt_node *t = &net.node[ix];

    t->n_asks = 0;
    assert_int_not_equal(nt_ask(t, r), SIZE_MAX);
    (void)nt_run(&net, 120 * NS_PER_S, nt_asked_ended);
    assert_int_equal(t->ask[0].ends, 1);
    return &t->ask[0];
}

static void publish(void)
{
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    struct nt_ask *a = ask(SERVICE, &r);

    assert_int_equal(a->err, QUDAG_OK);
    assert_true(a->res.count > 0);
}

/* Nine relays, |callers| clients, and one that serves: all that others can tell of the last is its guard. */
static void network(size_t callers, const struct wallclock *clock)
{
    memset(file, 0, sizeof file);
    not_kept = NULL;
    direct = false;
    net.watch = watch;
    for (size_t i = 0; i < RELAYS; i++) {
        struct node_config c = nt_config(&net, i);
        c.circuits_max = 0;
        if (i > 0) {
            nt_boot(&net, &c, 0);
        }
        nt_begin(i, &c);
    }
    for (size_t i = 0; i < callers; i++) {
        client_of(CALLER + i, NULL);
    }
    client_of(SERVICE, clock);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct node *n = net.node[SERVICE].node;
    assert_int_equal(node_dark_create(n, &hidden, "h", net.now, &addr), QUDAG_OK);
    publish();
}

static struct node_service *service(void)
{
    struct node_service *s = node_service_get(net.node[SERVICE].node, node_keys_tag(&addr));

    assert_non_null(s);
    return s;
}

static struct hidden_serve_stats stats(void)
{
    struct hidden_serve_stats st;

    assert_int_equal(hidden_serve_stats_get(net.node[SERVICE].node->services, service()->name, &st),
                     QUDAG_OK);
    return st;
}

/* ---- callers ---- */

static struct ref open_from(size_t ix, uint8_t key)
{
    const struct node_isolation k = {.len = key != 0, .key = {key}};
    struct ref s;

    assert_int_equal(node_stream_open_dark(net.node[ix].node, &addr, ECHO, &k, &s), QUDAG_OK);
    return s;
}

static unsigned settled_before; /* streams of the caller that had opened or closed */

static bool one_more(struct nt *nt)
{
    return nt->node[CALLER].opened + nt->node[CALLER].closed > settled_before;
}

/* A stream with |key|, opened or not; how long it took, ms. */
static uint64_t call(uint8_t key, qudag_err want)
{
    struct nt_node *t = &net.node[CALLER];
    unsigned opened = t->opened, closed = t->closed;
    tstamp begun = net.now;

    settled_before = opened + closed;
    struct ref s = open_from(CALLER, key);
    assert_true(nt_run(&net, 120 * NS_PER_S, one_more));
    uint64_t took = (net.now - begun) / NS_PER_MS;
    if (want == QUDAG_OK) {
        if (t->closed > closed) {
            print_message("closed: %d after %u ms\n", t->closed_why, (unsigned)took);
        }
        assert_int_equal(t->opened, opened + 1);
        node_stream_reset(t->node, s, QUDAG_ECANCELED);
    } else {
        assert_int_equal(t->closed, closed + 1);
        assert_int_equal(t->closed_why, want);
    }
    return took;
}

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

/* ---- tests ---- */

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

/* As a shell that somebody has left open: nothing passes for hours, by which no relay ends the two circuits. */
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
        (void)nt_run(&net, 2 * 3600 * NS_PER_S, NULL);
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

static void it_comes_back_with_its_address(void **state)
{
    (void)state;

    network(2, NULL);
    (void)call(1, QUDAG_OK);
    const struct dark_period_keys keys = service()->target.keys[0];
    (void)nt_free(&net, SERVICE); /* as by kill -9 */
    (void)nt_run(&net, 400 * NS_PER_S, NULL);
    print_message("gone: %u ms\n", (unsigned)call(2, QUDAG_EUNREACHABLE));
    tstamp begun = net.now;
    client_of(SERVICE, NULL);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    print_message("ready after %u ms\n", (unsigned)((net.now - begun) / NS_PER_MS));
    struct node *n = net.node[SERVICE].node;
    while (node_service_get(n, node_keys_tag(&addr)) == NULL || !service()->has_target) {
        (void)nt_run(&net, 100 * NS_PER_MS, NULL);
        assert_true(net.now < begun + 60 * NS_PER_S);
    }
    print_message("points after %u ms\n", (unsigned)((net.now - begun) / NS_PER_MS));
    assert_int_equal(service()->target.keys[0].period,
                     keys.period); /* records out there name them */
    assert_memory_equal(service()->target.keys[0].x, keys.x, sizeof keys.x);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    print_message("call: %u ms\n", (unsigned)call(3, QUDAG_OK)); /* it knows the record of before */
    assert_true(net.now < begun + 60 * NS_PER_S);
    assert_int_equal(n_files("hid-"), 1);
}

/* Whether it ended well or not: who calls it hears soon that it is offline. */
static void who_is_gone_is_offline(void **state)
{
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    node_shutdown(net.node[SERVICE].node, net.now);
    nt_flush(&net, &net.node[SERVICE]);
    (void)nt_free(&net, SERVICE);
    uint64_t took = call(2, QUDAG_EUNREACHABLE);
    print_message("after a good end: %u ms\n", (unsigned)took);
    assert_true(took < 10000);
}

static void whose_node_died_is_offline(void **state)
{
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    (void)nt_free(&net, SERVICE); /* its guard does not know yet */
    uint64_t took = call(2, QUDAG_EUNREACHABLE);
    print_message("after a sudden end: %u ms\n", (unsigned)took);
    assert_true(took < 20000);
}

static bool hundred_settled(struct nt *nt)
{
    unsigned n = 0;

    for (size_t i = CALLER; i < SERVICE; i++) {
        n += nt->node[i].opened + nt->node[i].closed;
    }
    return n == 100;
}

static void a_hundred_call_at_once(void **state)
{
    tstamp begun;
    unsigned opened = 0;
    (void)state;

    network(4, NULL);
    begun = net.now;
    for (uint8_t i = 0; i < 25; i++) {
        for (size_t ix = CALLER; ix < SERVICE; ix++) {
            (void)open_from(ix, (uint8_t)(i + 1));
        }
    }
    assert_true(nt_run(&net, 120 * NS_PER_S, hundred_settled));
    for (size_t ix = CALLER; ix < SERVICE; ix++) {
        opened += net.node[ix].opened;
        if (net.node[ix].closed > 0) {
            print_message("closed %u, last: %d\n", net.node[ix].closed, net.node[ix].closed_why);
        }
    }
    print_message("%u of 100 after %u ms\n", opened, (unsigned)((net.now - begun) / NS_PER_MS));
    assert_int_equal(opened, 100);
    assert_int_equal(service()->carried, 100);
    assert_int_equal(stats().carried, 100);
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
    (void)nt_run(&net, 3 * 3600 * NS_PER_S, NULL);
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

static void who_forgets_it_lets_nobody_in(void **state)
{
    struct node_request r = {.kind = NODE_OP_DARK_FORGET};
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    r.dark = addr;
    assert_int_equal(ask(SERVICE, &r)->err, QUDAG_OK);
    assert_null(node_service_get(net.node[SERVICE].node, node_keys_tag(&addr)));
    assert_int_equal(n_files("dark-") + n_files("hid-") + n_files("pub-"), 0);
    (void)call(2, QUDAG_ENOTFOUND); /* its points are gone, and the newest record says so */
}

static bool caller_has_closed(struct nt *nt)
{
    return nt->node[CALLER].closed > settled_before;
}

/* SPEC: rendezvous R-41: at once, for who is there and for who comes; and from then on it can begin again. */
static void one_that_stopped_is_offline_at_once_and_begins_again(void **state)
{
    struct node_request r = {.kind = NODE_OP_DARK_UNPUBLISH};
    struct nt_node *t = &net.node[CALLER], *s = &net.node[SERVICE];
    const struct dark_keys *k;
    size_t it = 0;
    bool published;
    walltime until;
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    settled_before = t->closed;
    (void)open_from(CALLER, 1); /* over the circuit that stands */
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(t->closed, settled_before);
    assert_int_equal(service()->carried, 1);
    uint64_t number = dark_own_get(s->node->dark, &addr)->seq;
    r.dark = addr;
    assert_int_equal(ask(SERVICE, &r)->err, QUDAG_OK);
    assert_null(node_service_get(s->node, node_keys_tag(&addr)));
    assert_true(nt_run(&net, 2 * NS_PER_S, caller_has_closed));
    assert_int_equal(n_files("hid-") + n_files("pub-"), 0);
    assert_int_equal(n_files("dark-"), 1);
    uint64_t took = call(1, QUDAG_EUNREACHABLE);
    print_message("offline after %u ms\n", (unsigned)took);
    assert_true(took < 10000);
    (void)nt_run(&net, 8 * 3600 * NS_PER_S, NULL); /* a record would have been renewed by now */
    assert_true(dark_own_next(s->node->dark, &it, &k, &published, &until));
    assert_false(published);
    assert_int_equal(k->seq, number);
    publish();
    print_message("again: %u ms\n", (unsigned)call(2, QUDAG_OK));
    assert_int_equal(n_files("hid-"), 1);
    assert_int_equal(n_files("pub-"), 1);
}

/* Nobody waits for ever for what was given up, and what comes of it later is not told. */
static void who_waits_for_a_publication_that_is_stopped_is_told(void **state)
{
    struct nt_node *t = &net.node[SERVICE];
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH};
    (void)state;

    network(0, NULL);
    for (uint64_t after = 0; after < 3; after++) {
        assert_int_equal(node_dark_create(t->node, &hidden, "k", net.now, &addr), QUDAG_OK);
        r = (struct node_request){.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
        t->n_asks = 0;
        assert_int_not_equal(nt_ask(t, &r), SIZE_MAX);
        (void)nt_run(&net, after * 60 * NS_PER_MS, NULL);
        assert_int_equal(t->ask[0].ends, 0);
        r.kind = NODE_OP_DARK_UNPUBLISH;
        assert_int_not_equal(nt_ask(t, &r), SIZE_MAX);
        (void)nt_run(&net, 60 * NS_PER_S, NULL);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(t->ask[i].ends, 1);
            assert_int_equal(t->ask[i].err, i == 0 ? QUDAG_ECANCELED : QUDAG_OK);
        }
    }
}

static void callers_circuits_are_told_apart_by_where_they_end(void **state)
{
    (void)state;
    assert_true(node_service_brought(&(struct onion_info){.role = ONION_END, .tag = 7}, 7));
    assert_false(node_service_brought(&(struct onion_info){.role = ONION_END, .tag = 8}, 7));
    assert_false(node_service_brought(&(struct onion_info){.role = ONION_END}, 7));
    assert_false(node_service_brought(&(struct onion_info){.role = ONION_CLIENT, .tag = 7}, 7));
}

static bool a_point_of(const struct dark_service *of, const uint8_t key[32])
{
    for (uint32_t i = 0; i < of->n_intros; i++) {
        if (memcmp(of->intro[i].key, key, 32) == 0) {
            return true;
        }
    }
    return false;
}

/* SPEC: dark D-41 */
static void who_is_removed_is_cut_off_and_finds_nothing(void **state)
{
    struct nt_node *t = &net.node[CALLER];
    struct node *s;
    uint8_t anne[DARK_CLIENT_SECRET_LEN], ben[DARK_CLIENT_SECRET_LEN];
    (void)state;

    network(1, NULL);
    s = net.node[SERVICE].node;
    assert_int_equal(node_dark_client_add(s, &addr, "anne", anne, net.now), QUDAG_OK);
    assert_int_equal(node_dark_client_add(s, &addr, "ben", ben, net.now), QUDAG_OK);
    (void)nt_run(&net, 6000 * NS_PER_S, NULL); /* both places say it */
    (void)call(1, QUDAG_ENEEDAUTH);
    assert_int_equal(node_dark_authorize(t->node, &addr, ben), QUDAG_OK);
    unsigned closed = t->closed;
    (void)open_from(CALLER, 2);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(t->closed, closed);
    assert_int_equal(service()->carried, 1);

    const struct dark_service before = service()->target;
    assert_int_equal(node_dark_client_remove(s, &addr, "ben", net.now), QUDAG_OK);
    assert_int_equal(service()->carried, 0);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_int_equal(t->closed, closed + 1);
    settled_before = t->opened + t->closed;
    (void)open_from(CALLER, 3); /* with the record that he knows, or without one */
    assert_true(nt_run(&net, 120 * NS_PER_S, one_more));
    assert_int_equal(t->closed, closed + 2);
    assert_true(t->closed_why == QUDAG_EUNREACHABLE || t->closed_why == QUDAG_ENEEDAUTH);

    (void)nt_run(&net, 100 * NS_PER_S, NULL);
    const struct dark_service *after = &service()->target;
    assert_int_equal(after->n_intros, 3);
    for (uint32_t i = 0; i < after->n_intros; i++) {
        assert_false(a_point_of(&before, after->intro[i].key));
    }
    assert_memory_not_equal(before.keys[0].x, after->keys[0].x, sizeof(before.keys[0].x));
    assert_memory_not_equal(before.keys[0].k, after->keys[0].k, sizeof(before.keys[0].k));
    assert_int_equal(node_dark_authorize(t->node, &addr, anne), QUDAG_OK);
    (void)call(4, QUDAG_OK);
}

/* SPEC: dark D-41 */
static void who_called_before_there_were_clients_is_out(void **state)
{
    struct nt_node *t = &net.node[CALLER];
    uint8_t anne[DARK_CLIENT_SECRET_LEN];
    (void)state;

    network(1, NULL);
    (void)call(1, QUDAG_OK);
    unsigned closed = t->closed;
    (void)open_from(CALLER, 1); /* stays */
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(t->closed, closed);
    const struct dark_service before = service()->target;
    assert_int_equal(node_dark_client_add(net.node[SERVICE].node, &addr, "anne", anne, net.now),
                     QUDAG_OK);
    assert_int_equal(service()->carried, 0);
    (void)nt_run(&net, 2 * NS_PER_S, NULL);
    assert_int_equal(t->closed, closed + 1); /* cut off */
    settled_before = t->opened + t->closed;
    (void)open_from(CALLER, 2); /* with the record that he knows */
    assert_true(nt_run(&net, 120 * NS_PER_S, one_more));
    assert_int_equal(t->closed, closed + 2);
    (void)nt_run(&net, 100 * NS_PER_S, NULL);
    const struct dark_service *after = &service()->target;
    for (uint32_t i = 0; i < after->n_intros; i++) {
        assert_false(a_point_of(&before, after->intro[i].key));
    }
    assert_memory_not_equal(before.keys[0].x, after->keys[0].x, sizeof(before.keys[0].x));
    assert_int_equal(node_dark_authorize(t->node, &addr, anne), QUDAG_OK);
    (void)call(3, QUDAG_OK);
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

static void the_quietest_circuit_without_streams_gives_way(void **state)
{
    const struct onion_info busy = {.streams = 1, .active_at = 1}, quiet = {.active_at = 5},
                            quieter = {.active_at = 4};
    (void)state;

    assert_false(node_service_gives_way(&busy, NULL));
    assert_false(node_service_gives_way(&busy, &quiet));
    assert_true(node_service_gives_way(&quiet, NULL));
    assert_true(node_service_gives_way(&quieter, &quiet));
    assert_false(node_service_gives_way(&quiet, &quieter));
    assert_false(node_service_gives_way(&quiet, &quiet));
}

static void a_newcomer_takes_the_place_of_the_quietest(void **state)
{
    struct node_stream_info info;
    struct node *n;
    (void)state;

    network(1, NULL);
    n = net.node[SERVICE].node;
    (void)call(1, QUDAG_OK); /* it stays, without streams */
    struct ref r = open_from(CALLER, 2);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(service()->carried, 2);
    hidden_serve_carried(n->services, service()->name, HIDDEN_CARRIED_MAX, net.now, node_begin(n));
    node_end(n, n->ix.services);
    (void)call(3, QUDAG_OK);
    assert_int_equal(stats().shed, 1);
    assert_int_equal(service()->carried, 2);
    assert_int_equal(node_stream_info_get(net.node[CALLER].node, r, &info), QUDAG_OK);
    assert_true(info.open);
}

static struct relays_bias counted(size_t ix)
{
    const struct relays *r = net.node[ix].node->relays;
    struct relays_bias sum = {0};

    for (uint32_t i = 0; i < r->n_guards; i++) {
        sum.used += r->guard[i]->bias.used;
        sum.intact += r->guard[i]->bias.intact;
    }
    return sum;
}

/* Ends the circuits of node |ix| that are carried, or carry one of a caller; how many. */
static unsigned end_calls(size_t ix)
{
    struct node *n = net.node[ix].node;
    unsigned ended = 0;

    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->open && !c->canceled && (c->use->carried || !ref_none(c->carried))) {
            assert_int_equal(node_circuit_close(n, c->onion), QUDAG_OK);
            ended++;
        }
    }
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    return ended;
}

/* A caller that ends its calls, and a service that ends those of callers, move nothing that guards are judged by. */
static void neither_end_of_a_call_moves_the_counters_of_the_other(void **state)
{
    (void)state;

    network(1, NULL);
    for (uint8_t key = 1; key <= 8; key++) {
        (void)call(key, QUDAG_OK);
        assert_int_equal(end_calls(key <= 4 ? CALLER : SERVICE), 1);
    }
    assert_int_equal(service()->carried, 0);
    assert_int_equal(counted(SERVICE).used, counted(SERVICE).intact);
    assert_int_equal(counted(CALLER).used, counted(CALLER).intact);
    assert_true(counted(CALLER).used >= 4);
    assert_true(counted(SERVICE).used >= 4);
}

/* Its own node ends it within a day; one of an attacker would not. */
static void a_caller_that_stays_keeps_no_circuit_of_a_service(void **state)
{
    struct node *caller, *n;
    unsigned held = 0;
    (void)state;

    network(1, NULL);
    caller = net.node[CALLER].node;
    n = net.node[SERVICE].node;
    struct ref s = open_from(CALLER, 1);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    LIST_EACH(it, &caller->circuits)
    {
        LIST_ENTRY(it, struct node_circuit, node)->times = node_life_unused();
    }
    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (!ref_none(c->carried)) {
            held++;
            assert_true(c->times.over <= tstamp_after(net.now, NODE_LIFE_OVER_AT));
            c->times.dirty = c->times.old = c->times.over = tstamp_after(net.now, 10 * NS_PER_S);
            n->life_at = net.now;
        }
    }
    assert_int_equal(held, 1);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(service()->carried, 1);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(service()->carried, 0);
    assert_int_equal(net.node[CALLER].closed, 1);
    (void)s;
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
static size_t stems(struct node *n, struct ref out[8])
{
    size_t found = 0;

    LIST_EACH(it, &n->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use->stem && c->n_hops == 3 && found < 8) {
            out[found++] = c->onion;
        }
    }
    return found;
}

/*
 * SPEC: rendezvous R-29, decision 32: circuits wait that would do, and none is taken: those that pass R could not be,
 * and the time would tell whoever names R after R.
 */
static void no_circuit_that_waits_is_taken_for_a_meeting(void **state)
{
    struct ref wait[8];
    size_t n_wait = 0, met = 0;
    (void)state;

    network(1, NULL);
    struct node *n = net.node[SERVICE].node;
    n->cfg.clean_circuits = 2;
    n->cfg.circuits_max = 1000;
    n->clean.look_at = net.now;
    for (uint8_t key = 1; key <= 5; key++) {
        node_clean_used(&n->clean, NODE_CLEAN_LONG, net.now,
                        &n->cfg.rng); /* else none would wait */
        (void)nt_run(&net, 15 * NS_PER_S, NULL);
        n_wait = stems(n, wait);
        assert_int_equal(n_wait, 2);
        (void)call(key, QUDAG_OK);
        LIST_EACH(it, &n->circuits)
        {
            const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
            for (size_t i = 0; i < n_wait && !ref_none(c->carried); i++) {
                assert_false(ref_eq(c->onion, wait[i]));
                met++;
            }
        }
    }
    assert_true(met >= 10);
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
        NT_TEST(it_comes_back_with_its_address),
        NT_TEST(who_is_gone_is_offline),
        NT_TEST(whose_node_died_is_offline),
        NT_TEST(a_hundred_call_at_once),
        NT_TEST(its_clock_may_be_wrong_by_minutes),
        NT_TEST(a_clock_set_wrong_costs_no_keys),
        NT_TEST(it_wakes_up),
        NT_TEST(who_forgets_it_lets_nobody_in),
        NT_TEST(one_that_stopped_is_offline_at_once_and_begins_again),
        NT_TEST(who_waits_for_a_publication_that_is_stopped_is_told),
        cmocka_unit_test(callers_circuits_are_told_apart_by_where_they_end),
        NT_TEST(who_is_removed_is_cut_off_and_finds_nothing),
        NT_TEST(who_called_before_there_were_clients_is_out),
        NT_TEST(no_record_names_keys_that_are_not_kept),
        NT_TEST(several_who_publish_at_once_are_all_told),
        cmocka_unit_test(the_quietest_circuit_without_streams_gives_way),
        NT_TEST(a_newcomer_takes_the_place_of_the_quietest),
        NT_TEST(neither_end_of_a_call_moves_the_counters_of_the_other),
        NT_TEST(a_caller_that_stays_keeps_no_circuit_of_a_service),
        NT_TEST(no_circuit_that_waits_is_taken_for_a_meeting),
        NT_TEST(a_relay_that_serves_is_met_at_itself_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
