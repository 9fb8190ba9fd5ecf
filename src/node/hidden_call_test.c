/*
 * hidden_call_test.c - whole nodes: a hidden service is reached by its address alone, and neither node learns of the
 * other's.  The service is played here, from real circuits, points, handshakes and a record.
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

#define CALLER 6
#define SERVICE 7
#define RELAYS 6
#define ECHO "/echo/1"

static struct service {
    struct dark_addr addr;
    uint8_t bytes[DARK_ADDR_LEN];
    struct rend_keys keys;
    struct secret_ed25519 intro_sk;
    uint8_t intro_key[ED25519_PK_LEN];
    struct ref point;       /* circuit to the introduction relay */
    struct onion_hop relay; /* that one */
    struct rend_point at;   /* where the last caller waits */
    uint8_t created[REND_CREATED_LEN];
    struct onion_hs_keys carried_keys;
    struct ref carried;
    unsigned established, requests, met;
    uint64_t records;
    bool mute;       /* answers nobody */
    uint32_t effort; /* its record asks for; 0: it has no seed */
    uint8_t seed[REND_WORK_SEED_LEN];
    walltime seed_ends; /* 0: in an hour */
    uint32_t proved[8]; /* by the requests, in their order */
} svc;
static bool direct; /* a datagram went from one to the other */

static void watch(struct nt *nt, const struct nt_pkt *p)
{
    const struct netaddr *a = &nt->node[CALLER].addr, *b = &nt->node[SERVICE].addr;

    direct = direct || (netaddr_eq(&p->from, a) && netaddr_eq(&p->to, b)) ||
             (netaddr_eq(&p->from, b) && netaddr_eq(&p->to, a));
}

/* ---- the service ---- */

static void met_circuit(struct node *n, struct node_circuit *c, tstamp now)
{
    struct rendezvous_request q = {
        .circuit = c->onion, .cookie = 4, .meeting = svc.at.cookie, .created = svc.created};
    uint64_t tag;

    assert_int_equal(rendezvous_meet(n->rendezvous, &q, now, node_begin(n)), QUDAG_OK);
    node_end(n, n->ix.rendezvous);
    memcpy(&tag, svc.addr.ed_pk, sizeof tag); /* as keys.c has it */
    struct onion_carry want = {
        .carrier = c->onion, .end = true, .tag = tag, .keys = &svc.carried_keys};
    assert_int_equal(onion_carry(n->onion, &want, now, &svc.carried), QUDAG_OK);
}

static void unmet(struct node *n, struct node_circuit *c, qudag_err err, tstamp now)
{
    (void)n;
    (void)c;
    (void)err;
    (void)now;
}

static const struct node_circuit_use to_r = {
    .name = "test", .to_relay = true, .meets = true, .built = met_circuit, .failed = unmet};

/* The effort that a request proves; 0: it has no proof. */
static uint32_t proof_of(const struct rend_hs_asked *asked, const uint8_t *handshake)
{
    struct rend_work_task task;
    struct rend_work work;

    if (rend_work_get((struct slice){asked->ext, asked->ext_len}, &work) != QUDAG_OK) {
        return 0;
    }
    assert_memory_equal(work.seed_id, svc.seed, sizeof work.seed_id);
    rend_work_task_make(&task, svc.seed, work.effort, svc.bytes, svc.intro_key,
                        rend_hs_X(handshake));
    assert_int_equal(rend_work_check(&task, work.nonce), QUDAG_OK);
    return work.effort;
}

static void on_introduce(struct node *n, const struct act *a, tstamp now)
{
    const struct rend_hs_own own = {svc.bytes, svc.intro_key, &svc.keys};
    struct rend_hs_asked asked;
    struct node_circuit *c;
    struct rng rng = rng_of_stream(&net.stream);
    (void)now;

    svc.established += a->kind == INTRODUCE_UP_ESTABLISHED;
    if (a->kind != INTRODUCE_UP_REQUEST) {
        return;
    }
    assert_int_equal(rend_hs_open(&asked, &own, a->data.base), QUDAG_OK);
    if (svc.requests < ARRAY_LEN(svc.proved)) {
        svc.proved[svc.requests] = proof_of(&asked, a->data.base);
    }
    svc.requests++;
    svc.at = asked.at;
    assert_int_equal(rend_hs_answer(&asked, &rng, svc.created, &svc.carried_keys), QUDAG_OK);
    if (!svc.mute) {
        struct node_circuit_end end = {.relay = &svc.at.relay};
        assert_int_equal(node_circuit_start_end(n, &to_r, &end, &c), QUDAG_OK);
    }
}

static void on_rendezvous(struct node *n, const struct act *a, tstamp now)
{
    (void)n;
    (void)now;
    svc.met += a->kind == RENDEZVOUS_UP_MET && a->err == QUDAG_OK && a->n == REND_DONE;
}

static struct nt_ask *ask(size_t ix, const struct node_request *r)
{
    struct nt_node *t = &net.node[ix];
    size_t a = nt_ask(t, r);

    assert_int_not_equal(a, SIZE_MAX);
    assert_true(nt_run(&net, 120 * NS_PER_S, nt_asked_ended));
    return &t->ask[a];
}

/* A record in each place of the current period. */
static void store_record(const struct dark_keys *k)
{
    walltime now = node_wall(net.node[SERVICE].node, net.now);
    struct rng rng = rng_of_stream(&net.stream);
    struct dark_target t = {.kind = DARK_HIDDEN, .seq = ++svc.records, .number = svc.records};
    uint8_t key[DARK_KEY_LEN], rec[DARK_RECORD_LEN];
    struct dark_intro *i = &t.hidden.intro[0];

    t.hidden.n_intros = 1;
    memcpy(t.hidden.key_id, svc.keys.key_id, sizeof t.hidden.key_id);
    memcpy(t.hidden.x, svc.keys.x, sizeof t.hidden.x);
    memcpy(t.hidden.k, svc.keys.k, sizeof t.hidden.k);
    i->relay = svc.relay.peer;
    memcpy(i->pq_hash, svc.relay.pq_hash, sizeof i->pq_hash);
    memcpy(i->key_id, svc.relay.key_id, sizeof i->key_id);
    memcpy(i->x, svc.relay.x, sizeof i->x);
    memcpy(i->k, svc.relay.k, sizeof i->k);
    memcpy(i->key, svc.intro_key, sizeof i->key);
    if (svc.effort > 0) {
        t.hidden.pow.effort = svc.effort;
        t.hidden.pow.expires = svc.seed_ends != 0 ? svc.seed_ends : now + 3600;
        memcpy(t.hidden.pow.seed, svc.seed, sizeof svc.seed);
    }
    t.at.period = dark_period(now);
    t.not_before = now - now % 3600;
    t.expires = t.not_before + 14 * 3600;
    for (t.at.replica = 0; t.at.replica < DARK_REPLICAS; t.at.replica++) {
        assert_int_equal(dark_record_make(rec, k, &t, &rng), QUDAG_OK);
        assert_int_equal(dark_dht_key(key, &k->addr, &t.at), QUDAG_OK);
        struct node_request put = {
            .kind = NODE_OP_PUT, .key = {key, sizeof key}, .value = {rec, sizeof rec}};
        assert_int_equal(ask(0, &put)->err, QUDAG_OK);
    }
}

static void establish(void)
{
    static const struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = 3};
    struct node *n = net.node[SERVICE].node;
    uint8_t binding[REND_BINDING_LEN];
    struct onion_info info;

    svc.point = ask(SERVICE, &r)->res.circuit;
    assert_int_equal(onion_info_get(n->onion, svc.point, &info), QUDAG_OK);
    assert_true(relays_get(n->relays, &info.path[2], &svc.relay));
    assert_int_equal(onion_binding(n->onion, svc.point, binding), QUDAG_OK);
    struct introduce_point p = {
        .circuit = svc.point, .cookie = 1, .sk = &svc.intro_sk, .binding = binding};
    assert_int_equal(introduce_establish(n->introduce, &p, net.now, node_begin(n)), QUDAG_OK);
    node_end(n, n->ix.introduce);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(svc.established, svc.records + 1);
}

/* Six relays, and two clients that nobody else can tell anything of; the last serves. */
static void network(void)
{
    struct rng rng = rng_of_stream(&net.stream);

    memset(&svc, 0, sizeof svc);
    direct = false;
    net.watch = watch;
    nt_network(&net, RELAYS);
    for (size_t i = CALLER; i <= SERVICE; i++) {
        struct node_config c = nt_config(&net, i);
        nt_boot(&net, &c, i - CALLER);
        c.relay = c.dht_server = false;
        c.dark_work_max = 1000;
        nt_begin(i, &c);
    }
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    struct node *n = net.node[SERVICE].node;
    n->core[n->ix.introduce].report = on_introduce;
    n->core[n->ix.rendezvous].report = on_rendezvous;
    assert_int_equal(ed25519_keygen(&svc.intro_sk, svc.intro_key, &rng), QUDAG_OK);
    assert_int_equal(rend_keys_make(&svc.keys, &rng), QUDAG_OK);
    assert_int_equal(node_serve(n, ECHO), QUDAG_OK);
    net.node[SERVICE].echo = true;
    assert_int_equal(node_dark_create(n, &nt_direct, "h", net.now, &svc.addr), QUDAG_OK);
    dark_addr_bytes(svc.bytes, &svc.addr);
    establish();
    store_record(dark_own_get(node_dark(n), &svc.addr));
}

/* ---- the caller ---- */

static struct ref open_to(uint8_t key)
{
    const struct node_isolation k = {.len = key != 0, .key = {key}};
    struct ref s;

    assert_int_equal(node_stream_open_dark(net.node[CALLER].node, &svc.addr, ECHO, &k, &s),
                     QUDAG_OK);
    return s;
}

static bool knows(size_t ix, const struct peer_id *other)
{
    struct node *n = net.node[ix].node;
    const char *agent, *protocols;
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
           relays_get(n->relays, other, &hop) || node_peer_agent(n, other, &agent, &protocols);
}

static void a_hidden_service_is_reached_by_its_address(void **state)
{
    struct nt_node *t = &net.node[CALLER];
    struct node_stream_info info;
    size_t taken;
    (void)state;

    network();
    struct ref s = open_to(0);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(svc.requests, 1);
    assert_int_equal(svc.met, 1);
    assert_int_equal(t->closed, 0);
    assert_int_equal(t->opened, 1);
    assert_int_equal(
        node_stream_write(t->node, s, (struct slice){(const uint8_t *)"hello", 5}, &taken),
        QUDAG_OK);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    assert_int_equal(net.node[SERVICE].got, 5);
    assert_true(net.node[SERVICE].anonymous);
    assert_int_equal(t->got, 5);
    assert_false(direct);
    assert_false(knows(CALLER, &net.node[SERVICE].peer));
    assert_false(knows(SERVICE, &t->peer));
    for (size_t i = 0; i < RELAYS; i++) { /* the check itself: they know the relays */
        assert_true(i != 0 || knows(CALLER, &net.node[i].peer));
    }

    /* One carried circuit for one isolation key, another for another. */
    assert_int_equal(node_stream_info_get(t->node, s, &info), QUDAG_OK);
    struct ref first = info.circuit, same = open_to(0), other = open_to(1);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(t->opened, 3);
    assert_int_equal(svc.requests, 2);
    assert_int_equal(node_stream_info_get(t->node, same, &info), QUDAG_OK);
    assert_true(ref_eq(info.circuit, first));
    assert_int_equal(node_stream_info_get(t->node, other, &info), QUDAG_OK);
    assert_false(ref_eq(info.circuit, first));

    /* It ends for its age as any other, with what carries it. */
    for (int hours = 0; hours < 25 && t->closed < 3; hours++) {
        (void)nt_run(&net, 3600 * NS_PER_S, NULL);
        assert_true(t->closed == 0 || hours >= 20);
    }
    assert_int_equal(t->closed, 3);
    assert_int_equal(t->closed_why, QUDAG_EEXPIRED);
    struct onion_info oi;
    for (size_t it = 0; onion_next(t->node->onion, &it, &oi);) {
        assert_true(ref_none(oi.carrier));
    }
    rend_keys_fini(&svc.keys);
}

/* A record that is known, and whose points are gone, is no reason to give up. */
static void a_newer_record_is_asked_for(void **state)
{
    struct nt_node *t = &net.node[CALLER];
    struct rng rng = rng_of_stream(&net.stream);
    (void)state;

    network();
    struct node *n = net.node[SERVICE].node;
    struct ref s = open_to(0);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(t->opened, 1);
    node_stream_reset(t->node, s, QUDAG_ECANCELED);
    assert_int_equal(node_circuit_close(n, svc.carried), QUDAG_OK);
    assert_int_equal(node_circuit_close(n, svc.point), QUDAG_OK);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(ed25519_keygen(&svc.intro_sk, svc.intro_key, &rng), QUDAG_OK);
    establish();
    store_record(dark_own_get(node_dark(n), &svc.addr));
    unsigned closed = t->closed;
    (void)open_to(0);
    (void)nt_run(&net, 90 * NS_PER_S, NULL);
    assert_int_equal(t->opened, 2);
    assert_int_equal(t->closed, closed);
    assert_int_equal(svc.requests, 2);
    rend_keys_fini(&svc.keys);
}

/* Two calls to one address at once: each stream goes the way of its own. */
static void calls_are_not_mixed_up(void **state)
{
    struct node_stream_info info;
    (void)state;

    network();
    struct node *n = net.node[CALLER].node;
    svc.mute = true;
    struct ref first = open_to(1);
    for (int i = 0; i < 100 && svc.requests == 0; i++) {
        (void)nt_run(&net, 100 * NS_PER_MS, NULL);
    }
    assert_int_equal(svc.requests, 1);
    svc.mute = false;
    struct ref second = open_to(2);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(svc.met, 1);
    assert_int_equal(node_stream_info_get(n, second, &info), QUDAG_OK);
    assert_true(info.open);
    assert_int_equal(node_stream_info_get(n, first, &info), QUDAG_OK);
    assert_false(info.open);
    rend_keys_fini(&svc.keys);
}

/* As of direct addresses (budget.h): who is silent is not called for ever; what we lack costs nothing. */
static void calls_are_on_the_budget_of_the_address(void **state)
{
    const struct node_isolation k = {.len = 1, .key = {1}};
    unsigned refused = 0;
    struct ref s;
    (void)state;

    network();
    struct node *n = net.node[CALLER].node;
    for (int i = 0; i < 30; i++) {
        n->relays->settled = n->relays->usable = false;
        assert_int_equal(node_stream_open_dark(n, &svc.addr, ECHO, &k, &s), QUDAG_OK);
        (void)nt_run(&net, 80 * NS_PER_S, NULL);
        assert_true(ref_eq(net.node[CALLER].closed_ref, s));
    }
    n->relays->settled = n->relays->usable = true;
    assert_int_equal(svc.requests, 0);
    svc.mute = true;
    for (int i = 0; i < 3600 / 25; i++) {
        qudag_err err = node_stream_open_dark(n, &svc.addr, ECHO, &k, &s);
        assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
        refused += err == QUDAG_ELIMIT;
        (void)nt_run(&net, 25 * NS_PER_S, NULL);
    }
    print_message("an hour: %u calls, %u refused\n", svc.requests, refused);
    assert_in_range(svc.requests, NODE_BUDGET_AGAIN, 2 * NODE_BUDGET_AGAIN);
    assert_true(refused > 100);
    rend_keys_fini(&svc.keys);
}

/* All memory comes back (testkit_case.h), whatever a call waits for. */
static void a_node_ends_in_the_middle_of_a_call(void **state)
{
    static const uint64_t after[] = {1, 40, 100, 160, 240, 400, 800};
    (void)state;

    network();
    for (size_t i = 0; i < ARRAY_LEN(after); i++) {
        (void)open_to((uint8_t)(i + 1));
        (void)nt_run(&net, after[i] * NS_PER_MS, NULL);
    }
    assert_true(hidden_calls_count(net.node[CALLER].node->calls) > 0);
    assert_int_equal(net.node[CALLER].closed, 0);
    rend_keys_fini(&svc.keys);
}

static void what_cannot_be_met_is_said(void **state)
{
    struct nt_node *t = &net.node[CALLER];
    (void)state;

    network();
    svc.mute = true;
    (void)open_to(0);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(svc.requests, 1);
    assert_int_equal(t->closed, 1); /* it does not answer, and its newest record is that one */
    assert_int_equal(t->closed_why, QUDAG_EUNREACHABLE);

    /* Its point is gone: the record is out of date, and so is the newest there is. */
    assert_int_equal(node_circuit_close(net.node[SERVICE].node, svc.point), QUDAG_OK);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    (void)open_to(0);
    (void)nt_run(&net, 120 * NS_PER_S, NULL);
    assert_int_equal(t->closed, 2);
    assert_int_equal(t->closed_why, QUDAG_EUNREACHABLE);
    assert_int_equal(hidden_calls_count(t->node->calls), 0);
    rend_keys_fini(&svc.keys);
}

/* ---- proof of work ---- */

static struct {
    unsigned asked, dropped;
    uint64_t id;
    struct rend_work_task task;
    bool refuse;
} host;

static qudag_err on_solve(void *ctx, uint64_t id, const struct rend_work_task *task)
{
    (void)ctx;
    host.asked++;
    host.id = id;
    host.task = *task;
    return host.refuse ? QUDAG_ENOMEM : QUDAG_OK;
}

static void on_unsolve(void *ctx, uint64_t id)
{
    (void)ctx;
    assert_int_equal(id, host.id);
    host.dropped++;
}

static void network_that_works(uint32_t effort)
{
    network();
    struct node *n = net.node[CALLER].node;
    memset(&host, 0, sizeof host);
    n->hooks.solve = on_solve;
    n->hooks.unsolve = on_unsolve;
    svc.effort = effort;
    memset(svc.seed, 0x5e, sizeof svc.seed);
    store_record(dark_own_get(node_dark(net.node[SERVICE].node), &svc.addr));
}

static void work_is_done_by_the_host(void **state)
{
    uint64_t nonce = 0;
    (void)state;

    network_that_works(60);
    struct node *n = net.node[CALLER].node;
    (void)open_to(0);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(host.asked, 1);
    assert_int_equal(host.task.effort, 60);
    assert_int_equal(svc.requests, 0); /* not before it is done */
    assert_int_equal(rend_work_solve(&host.task, &nonce, rend_work_tries(60)), QUDAG_OK);
    node_solved(n, host.id, QUDAG_OK, nonce, net.now);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(svc.requests, 1);
    assert_int_equal(svc.proved[0], 60);
    assert_int_equal(net.node[CALLER].opened, 1);
    node_solved(n, host.id, QUDAG_OK, nonce, net.now); /* twice */
    assert_int_equal(host.dropped, 0);

    struct ref s = open_to(1); /* given up while work is done */
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(host.asked, 2);
    host.refuse = true;
    (void)open_to(2); /* who cannot work is introduced without */
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(svc.requests, 2);
    assert_int_equal(svc.proved[1], 0);
    node_stream_reset(n, s, QUDAG_ECANCELED);
    rend_keys_fini(&svc.keys);
}

/* A seed that the service does not accept any more is not worked for. */
static void an_expired_seed_costs_nothing(void **state)
{
    (void)state;

    network();
    svc.effort = 60;
    svc.seed_ends = node_wall(net.node[CALLER].node, net.now) - 1;
    net.node[CALLER].node->hooks.solve = on_solve;
    memset(&host, 0, sizeof host);
    store_record(dark_own_get(node_dark(net.node[SERVICE].node), &svc.addr));
    (void)open_to(0);
    (void)nt_run(&net, 10 * NS_PER_S, NULL);
    assert_int_equal(host.asked, 0);
    assert_int_equal(svc.requests, 1);
    rend_keys_fini(&svc.keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_hidden_service_is_reached_by_its_address),
        NT_TEST(what_cannot_be_met_is_said),
        NT_TEST(a_newer_record_is_asked_for),
        NT_TEST(calls_are_not_mixed_up),
        NT_TEST(calls_are_on_the_budget_of_the_address),
        NT_TEST(a_node_ends_in_the_middle_of_a_call),
        NT_TEST(work_is_done_by_the_host),
        NT_TEST(an_expired_seed_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
