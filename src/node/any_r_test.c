/*
 * any_r_test.c - whole nodes: a service comes to whatever relay a caller names, also to itself, its guard or one of its
 * second layer, and no sooner or later (spec/rendezvous.md R-29).
 *
 * TEST: timeout=240
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#define SERVICE 0 /* a relay itself */
#define CALLER 7
#define RELAYS 7
#define NAME 9 /* of the service, where it has circuits that wait */

static struct ref at_r[2]; /* circuits to R: of the caller, of the service */
static unsigned built, lost, waiting, joined, created;
static tstamp met_at;

static void on_built(struct node *n, struct node_circuit *c, tstamp now)
{
    (void)now;
    at_r[n == net.node[SERVICE].node] = c->onion;
    built++;
}

static void on_lost(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    (void)n;
    (void)c;
    (void)err;
    (void)now;
    lost++;
}

static const struct node_circuit_use to_r = {
    .name = "test", .to_relay = true, .meets = true, .built = on_built, .failed = on_lost};

static void on_rendezvous(struct node *n, const struct act *a, tstamp now)
{
    (void)n;
    waiting += a->kind == RENDEZVOUS_UP_WAITING && a->err == QUDAG_OK ? 1 : 0;
    created += a->kind == RENDEZVOUS_UP_CREATED && a->err == QUDAG_OK ? 1 : 0;
    if (a->kind == RENDEZVOUS_UP_MET && a->err == QUDAG_OK && a->n == REND_DONE) {
        joined++;
        met_at = now;
    }
}

static struct onion_hop r_of(size_t ix)
{
    struct onion_hop hop = {.n_addrs = 0};
    struct peer_id *peer = &net.node[ix].peer;
    size_t from = ix == CALLER - 1 ? CALLER - 2 : CALLER - 1; /* who knows it, and is not it */

    assert_true(relays_get(net.node[from].node->relays, peer, &hop));
    hop.n_addrs = 0; /* as a handshake names it */
    return hop;
}

static bool is_done(struct nt *nt)
{
    (void)nt;
    return lost > 0 || built > 0;
}

static bool is_waiting(struct nt *nt)
{
    (void)nt;
    return waiting > 0;
}

static bool is_joined(struct nt *nt)
{
    (void)nt;
    return joined > 0 && created > 0;
}

static struct ref circuit_to(size_t from, const struct onion_hop *r)
{
    struct node *n = net.node[from].node;
    struct node_circuit_end end = {.relay = r, .call = from == SERVICE ? NAME : 0};
    struct node_circuit *c;

    built = lost = 0;
    struct onion_hop known = *r;
    (void)relays_get(n->relays, &r->peer, &known);
    end.relay = &known;
    assert_int_equal(node_circuit_start_end(n, &to_r, &end, &c), QUDAG_OK);
    assert_true(nt_run(&net, 20 * NS_PER_S, is_done));
    assert_int_equal(built, 1);
    return at_r[from == SERVICE];
}

/* How long the service takes to meet the caller at node |ix|, in ms. */
static uint64_t meet_at(size_t ix, uint64_t cookie)
{
    struct node *caller = net.node[CALLER].node, *service = net.node[SERVICE].node;
    struct onion_hop r = r_of(ix);
    uint8_t meeting[REND_COOKIE_LEN] = {(uint8_t)cookie, 1}, answer[REND_CREATED_LEN] = {9};

    waiting = created = joined = 0;
    struct rendezvous_request q = {
        .circuit = circuit_to(CALLER, &r), .cookie = cookie, .meeting = meeting};
    struct ref callers = q.circuit;
    assert_int_equal(rendezvous_wait(caller->rendezvous, &q, net.now, node_begin(caller)),
                     QUDAG_OK);
    node_end(caller, caller->ix.rendezvous);
    assert_true(nt_run(&net, 10 * NS_PER_S, is_waiting));
    tstamp begun = net.now;
    q.circuit = circuit_to(SERVICE, &r);
    q.created = answer;
    assert_int_equal(rendezvous_meet(service->rendezvous, &q, net.now, node_begin(service)),
                     QUDAG_OK);
    node_end(service, service->ix.rendezvous);
    assert_true(nt_run(&net, 10 * NS_PER_S, is_joined));
    uint64_t took = (met_at - begun) / NS_PER_MS;
    assert_int_equal(node_circuit_close(caller, callers), QUDAG_OK);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(joined, 1);
    return took;
}

static void network(void)
{
    nt_network(&net, RELAYS);
    struct node_config c = nt_config(&net, CALLER);
    nt_boot(&net, &c, 1);
    c.relay = c.dht_server = false;
    nt_begin(CALLER, &c);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    net.node[SERVICE].node->core[net.node[SERVICE].node->ix.rendezvous].report = on_rendezvous;
    net.node[CALLER].node->core[net.node[CALLER].node->ix.rendezvous].report = on_rendezvous;
}

/* How many wait for the service |name|, and whether they are as P-35 wants them. */
static size_t waits(uint64_t name, bool *cover)
{
    struct node_clean_path path[NODE_CLEAN_MAX];
    size_t k = 0;

    LIST_EACH(it, &net.node[SERVICE].node->circuits)
    {
        const struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use->stem && c->call == name && c->open && k < NODE_CLEAN_MAX) {
            path[k++] = (struct node_clean_path){c->path, c->n_hops};
        }
    }
    *cover = node_clean_cover_all(path, k);
    return k;
}

static void a_service_comes_to_whatever_relay_is_named(void **state)
{
    uint64_t first[RELAYS], least = UINT64_MAX, most = 0, cookie = 0;
    (void)state;

    network();
    for (int warm = 0; warm < 3;
         warm++) { /* then all the links stand that relays dial for circuits */
        for (size_t i = 0; i < RELAYS; i++) {
            (void)meet_at(i, ++cookie);
        }
    }
    for (size_t i = 0; i < RELAYS; i++) {
        first[i] = UINT64_MAX;
        for (int k = 0; k < 5; k++) {
            uint64_t took = meet_at(i, ++cookie);
            first[i] = took < first[i] ? took : first[i];
        }
        least = first[i] < least ? first[i] : least;
        most = first[i] > most ? first[i] : most;
        print_message("R is relay %zu%s: met after %llu ms\n", i,
                      i == SERVICE ? ", the service itself" : "", (unsigned long long)first[i]);
    }
    assert_true(most - least <= 15); /* a link here takes 5 ms one way */
}

/* Its one guard that answers is named, and all of its second layer. */
static void also_when_no_other_guard_answers(void **state)
{
    uint64_t cookie = 100;
    size_t tried = 0;
    (void)state;

    network();
    struct relays *r = net.node[SERVICE].node->relays;
    for (uint32_t i = 1; i < r->n_guards; i++) {
        r->guard[i]->x.usable = net.now + 3600 * NS_PER_S;
    }
    for (size_t i = 1; i < RELAYS; i++) {
        const struct peer_id *peer = &net.node[i].peer;
        if (peer_id_eq(peer, &r->guard[0]->x.hop.peer) || relays_second_find(r, peer) != NULL) {
            (void)meet_at(i, ++cookie);
            tried++;
        }
    }
    assert_true(tried >= 2);
}

static bool two_wait(struct nt *nt)
{
    bool cover;
    (void)nt;

    return waits(NAME, &cover) == 2 && waits(NAME + 1, &cover) == 2;
}

/* One of those that wait for the service is gone: the other one cannot be completed to each R. */
static void end_one(void)
{
    struct node *n = net.node[SERVICE].node;

    LIST_EACH(it, &n->circuits)
    {
        struct node_circuit *c = LIST_ENTRY(it, struct node_circuit, node);
        if (c->use->stem && c->call == NAME) {
            node_circuit_end(n, c, net.now);
            return;
        }
    }
}

/*
 * R-29, P-35: circuits wait at the service, of which some pass R and cannot be completed to it: another one is, or none
 * is taken whoever is named, or the time would tell which relays are of its second layer.
 */
static void circuits_that_wait_do_not_tell_who_is_named(void **state)
{
    static struct node_service service[2] = {{.name = NAME, .has_target = true},
                                             {.name = NAME + 1, .has_target = true}};
    uint64_t cookie = 200, least[2] = {UINT64_MAX, UINT64_MAX}, most[2] = {0, 0};
    unsigned taken = 0;
    bool cover;
    (void)state;

    network();
    struct node *n = net.node[SERVICE].node;
    n->cfg.clean_circuits = 2;
    n->cfg.circuits_max = 1000;
    for (int i = 0; i < 2; i++) {
        service[i].save_at = service[i].give_up_at = TSTAMP_NEVER;
        list_push_back(&n->serving, &service[i].node);
    }
    n->meetings_at = net.now;
    for (size_t i = 0; i < 2 * RELAYS; i++) { /* links stand, and they wait from the first on */
        (void)meet_at(i % RELAYS, ++cookie);
    }
    for (size_t i = 0; i < RELAYS; i++) {
        uint64_t best[2] = {UINT64_MAX, UINT64_MAX};
        for (int k = 0; k < 24; k++) { /* a relay that goes on to R may have to dial it */
            assert_true(nt_run(&net, 60 * NS_PER_S, two_wait)); /* one may just have been too old */
            (void)waits(NAME, &cover);
            if (k % 2 == 1) {
                end_one();
                cover = false;
            }
            uint64_t took = meet_at(i, ++cookie);
            best[cover] = took < best[cover] ? took : best[cover];
            taken += cover ? 1 : 0;
        }
        for (int c = 0; c < 2; c++) {
            least[c] = best[c] < least[c] ? best[c] : least[c];
            most[c] = best[c] > most[c] ? best[c] : most[c];
        }
    }
    print_message("with clean circuits: met after %llu to %llu ms, else after %llu to %llu ms\n",
                  (unsigned long long)least[1], (unsigned long long)most[1],
                  (unsigned long long)least[0], (unsigned long long)most[0]);
    list_del(&service[0].node);
    list_del(&service[1].node);
    assert_true(taken >= 10 * RELAYS); /* two had nothing in common */
    assert_true(most[1] - least[1] <= 15 && most[0] - least[0] <= 15);
    assert_true(most[1] + 30 <= least[0]); /* three hops less to build */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_service_comes_to_whatever_relay_is_named),
        NT_TEST(also_when_no_other_guard_answers),
        NT_TEST(circuits_that_wait_do_not_tell_who_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
