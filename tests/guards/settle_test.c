/*
 * settle_test.c - newcomers in a network with Sybils, their first contacts mostly among these: whom do they know when
 * their view has settled, and whom when they know the first four relays?
 *
 * The DHT is real (tests/kad/kad_net.h); Sybils answer every lookup with the nearest Sybils and nobody else.  What
 * lookups find is a relay, and its descriptor is there.
 */
/* TEST: timeout=180 */
#include <cmocka.h>

#include "kad/kad_net_say.h"

#include "core/relays/relays_impl.h"

enum { HONEST = 200, SYBILS = 40, NODES = HONEST + SYBILS + 1, NEWCOMER = NODES - 1, TRIALS = 12 };

static struct net net;

static bool is_sybil(size_t node)
{
    return node >= HONEST && node < HONEST + SYBILS;
}

/* The Sybils nearest to what is looked for. */
static void collude(struct net *n, size_t node, struct ref strm, struct slice data)
{
    struct kad_msg m = net_request(data);
    struct kad_peer_info info[KAD_K];
    uint8_t target[SHA256_LEN];
    size_t order[SYBILS], count = 0;

    sha256(target, m.key);
    for (size_t i = HONEST; i < HONEST + SYBILS; i++) {
        size_t at = count++;
        while (at > 0 && kad_dist_cmp(target, n->node[i].hash, n->node[order[at - 1]].hash) < 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    for (size_t i = 0; i < KAD_K; i++) {
        info[i] = (struct kad_peer_info){.id = n->node[order[i]].id, .n_addrs = 1};
        info[i].addr[0] = n->node[order[i]].addr;
    }
    struct kad_msg answer = {.type = m.type, .key = m.key, .closer = info, .n_closer = KAD_K};
    net_say(n, node, strm, &answer);
}

/* Every relay is in a network of its own; a Sybil may be in few, that is the pool's concern. */
static struct relay_desc desc_of(size_t node)
{
    struct relay_desc d = {.peer = net.node[node].id,
                           .n_addrs = 1,
                           .flags = RELAY_FLAG_GUARD | RELAY_FLAG_GATEWAY,
                           .seq = 1,
                           .not_before = 1000,
                           .expires = 90000};
    struct netaddr a = {.family = 4,
                        .ip = {(uint8_t)(60 + node / 200), (uint8_t)(node % 200), 1, 1}};

    a.port = 4001;
    d.onion_x[0] = (uint8_t)node;
    multiaddr_quic(&d.addr[0], &a, NULL);
    return d;
}

/* What the node does with contacts of its table. */
static void harvest(struct relays *r)
{
    struct kad_peer_info info;
    struct peer_id peer;

    for (size_t i = 0; net.done.op == KAD_OP_FIND && i < net.done.n_peers; i++) {
        relays_candidate(r, &net.done.peer[i]);
    }
    for (size_t it = 0; kad_table_next(net.node[NEWCOMER].kad, &it, &info);) {
        relays_candidate(r, &info.id);
    }
    while (relays_next_fetch(r, net.now, &peer)) {
        struct relay_desc d = desc_of(net_by_id(&net, &peer));
        assert_int_equal(relays_add(r, &d), QUDAG_OK);
    }
}

static uint32_t sybils_in_pool(const struct relays *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n; i++) {
        n += is_sybil(net_by_id(&net, &r->v[i]->hop.peer)) ? 1 : 0;
    }
    return n;
}

static uint32_t sybils_in_sample(const struct relays *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n_guards; i++) {
        n += is_sybil(net_by_id(&net, &r->guard[i]->x.hop.peer)) ? 1 : 0;
    }
    return n;
}

struct figures {
    uint32_t known, known_sybils;   /* relays known once settled */
    uint32_t sample, sample_sybils; /* drawn then */
    uint32_t four, four_sybils;     /* the pool as soon as it had four, as it was before */
    uint32_t lookups, took_ms;
};

/* As src/node/survey.c does. */
static void settle(struct relays *r, struct figures *f)
{
    struct relays_view v;
    uint32_t lookups = 0, quiet = 0;

    do {
        uint8_t key[32];
        struct rng rng = rng_of_stream(&net.node[NEWCOMER].rng);
        uint64_t met = relays_met(r); /* descriptors come at once here */
        rng_fill(&rng, key, sizeof(key));
        (void)net_ask(&net, NEWCOMER, KAD_OP_FIND, key, sizeof(key), (struct slice){NULL, 0});
        harvest(r);
        lookups++;
        quiet = relays_met(r) == met ? quiet + 1 : 0;
        relays_view_get(r, &v);
        v.lookups = lookups;
        v.quiet = quiet;
    } while (!relays_view_settled(&v) && lookups < 200);
    assert_true(lookups < 200);
    relays_settled(r, 2000);
    f->lookups += lookups;
}

static void newcomer(uint32_t trial, unsigned bad_contacts, unsigned good_contacts,
                     struct figures *f)
{
    uint8_t seed[32] = {(uint8_t)trial, (uint8_t)bad_contacts, (uint8_t)good_contacts, 77};
    uint8_t pub[SHA256_LEN];
    struct mem mem;
    struct relays *r;
    tstamp began = net.now;

    sha256(pub, (struct slice){seed, sizeof(seed)});
    net_node_as(&net, NEWCOMER, pub);
    mem_init(&mem, NULL, 0);
    struct rng rng = rng_of_stream(&net.node[NEWCOMER].rng);
    struct relays_config cfg = {.mem = &mem, .rng = rng, .self = net.node[NEWCOMER].id};
    assert_int_equal(relays_new(&r, &cfg), QUDAG_OK);
    for (unsigned i = 0; i < bad_contacts; i++) {
        net_introduce(&net, NEWCOMER, HONEST + (trial * 7 + i) % SYBILS);
    }
    for (unsigned i = 0; i < good_contacts; i++) {
        net_introduce(&net, NEWCOMER, (trial * 31 + i * 5) % HONEST);
    }
    (void)net_ask(&net, NEWCOMER, KAD_OP_FIND, net.node[NEWCOMER].id.b, net.node[NEWCOMER].id.len,
                  (struct slice){NULL, 0});
    harvest(r);
    f->four += (uint32_t)relays_count(r);
    f->four_sybils += sybils_in_pool(r);
    (void)net_ask(&net, NEWCOMER, KAD_OP_BOOTSTRAP, NULL, 0, (struct slice){NULL, 0});
    harvest(r);
    settle(r, f);
    f->took_ms += (uint32_t)((net.now - began) / NS_PER_MS);
    f->known += (uint32_t)relays_count(r);
    f->known_sybils += sybils_in_pool(r);
    f->sample += r->n_guards;
    f->sample_sybils += sybils_in_sample(r);
    relays_free(r);
    assert_int_equal(mem.used, 0);
}

static struct figures newcomers(unsigned bad_contacts, unsigned good_contacts)
{
    struct figures f = {0};

    for (uint32_t t = 0; t < TRIALS; t++) {
        newcomer(t, bad_contacts, good_contacts, &f);
    }
    print_message(
        "%u + %u contacts: at first %u of %u known are Sybils; settled after %u lookups, %u ms: "
        "%u of %u known, %u of %u in samples\n",
        bad_contacts, good_contacts, f.four_sybils, f.four, f.lookups / TRIALS, f.took_ms / TRIALS,
        f.known_sybils, f.known, f.sample_sybils, f.sample);
    return f;
}

static int setup(void **state)
{
    (void)state;
    net_filled(&net, NODES);
    for (size_t i = HONEST; i < HONEST + SYBILS; i++) {
        net.node[i].misbehave = collude;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_fini(&net);
    return 0;
}

/* One in six nodes is a Sybil: with one honest contact among the first, a sample holds about as many. */
static void hostile_first_contacts_do_not_decide_who_the_guards_are(void **state)
{
    static const struct {
        unsigned bad, good;
    } contacts[] = {{0, 2}, {1, 1}, {3, 1}, {7, 1}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(contacts); i++) {
        struct figures f = newcomers(contacts[i].bad, contacts[i].good);
        assert_int_equal(f.sample, TRIALS * RELAYS_SAMPLE_MAX);
        assert_true(f.known_sybils * 5 < f.known); /* their share is 17 %, a sample of 240 draws */
        assert_true(f.sample_sybils * 4 < f.sample);
        assert_true(f.lookups / TRIALS < 40);
    }
}

/* Nothing helps whoever knows Sybils alone; the rule does not claim it. */
static void whoever_knows_sybils_alone_has_a_sample_of_sybils(void **state)
{
    (void)state;
    struct figures f = newcomers(3, 0);
    assert_int_equal(f.sample_sybils, f.sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hostile_first_contacts_do_not_decide_who_the_guards_are,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(whoever_knows_sybils_alone_has_a_sample_of_sybils, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
