/* admission_test.c - who gives way, and honest circuits beside those who want all places and all handshakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NET_PIPES 2048
#include "core/onion/testnet_case.h"

/* ---- rules ---- */

static void what_is_of_no_use_is_worth_least(void **state)
{
    struct onion_habits h = {.age_ns = ONION_UNUSED_AFTER - 1};
    (void)state;

    assert_int_equal(onion_rule_worth(&h), ONION_WORTH_BUSY); /* it is young */
    h.age_ns++;
    assert_int_equal(onion_rule_worth(&h), ONION_WORTH_UNUSED);
    h.used = true;
    assert_int_equal(onion_rule_worth(&h), ONION_WORTH_BUSY);
    h.idle_ns = ONION_QUIET_AFTER;
    assert_int_equal(onion_rule_worth(&h), ONION_WORTH_QUIET);
    h.closing = true;
    assert_int_equal(onion_rule_worth(&h), ONION_WORTH_CLOSING);
}

static void the_one_worth_less_goes_first_then_the_longer_idle(void **state)
{
    struct onion_habits unused = {.age_ns = ONION_UNUSED_AFTER},
                        busy = {.used = true, .age_ns = NS_PER_S, .idle_ns = 9}, idler = busy;
    (void)state;

    assert_true(onion_rule_goes_first(&unused, &busy));
    assert_false(onion_rule_goes_first(&busy, &unused));
    idler.idle_ns = 10;
    assert_true(onion_rule_goes_first(&idler, &busy));
    assert_false(onion_rule_goes_first(&busy, &busy));
}

static void nobody_below_his_share_loses_what_is_in_use(void **state)
{
    struct fair_claim holder = {.net = 1, .source = 1, .net_n = 10, .source_n = 6},
                      newcomer = {.net = 2, .source = 2};
    (void)state;

    for (int w = ONION_WORTH_CLOSING; w <= ONION_WORTH_BUSY; w++) {
        enum onion_worth worth = (enum onion_worth)w;
        bool busy = worth == ONION_WORTH_BUSY;
        assert_true(onion_rule_gives_way(worth, &holder, &newcomer, 9));
        assert_int_equal(onion_rule_gives_way(worth, &holder, &newcomer, 10), !busy);
        assert_int_equal(onion_rule_gives_way(worth, &holder, &holder, 0), !busy); /* its own */
        struct fair_claim equal = {.net = 2, .source = 2, .net_n = 9, .source_n = 9};
        assert_int_equal(onion_rule_gives_way(worth, &holder, &equal, 0),
                         worth == ONION_WORTH_CLOSING);
        struct fair_claim same_net = {.net = 1, .source = 2, .net_n = 10, .source_n = 4};
        assert_true(onion_rule_gives_way(worth, &holder, &same_net, 5)); /* shares of a network */
        assert_int_equal(onion_rule_gives_way(worth, &holder, &same_net, 6), !busy);
    }
}

/* ---- one relay, and neighbours made of events ---- */

#define STREAMS 20000

enum fate { PENDING, CREATED, REFUSED };

struct door {
    struct testnet n; /* of one relay, for its keys and action list */
    uint8_t create[4 * ONION_CELL_LEN], bad[4 * ONION_CELL_LEN];
    size_t create_len;
    uint8_t fate[STREAMS];
    uint32_t streams;
};

static void cells_of(struct door *d, uint8_t *cells, const uint8_t *msg, size_t len)
{
    d->create_len = 0;
    for (size_t off = 0; off < len; off += ONION_CLEAR_FRAG_MAX) {
        struct wr w = wr_init(cells + d->create_len, ONION_CELL_LEN);
        size_t n = len - off < ONION_CLEAR_FRAG_MAX ? len - off : ONION_CLEAR_FRAG_MAX;
        wr_u8(&w, ONION_CELL_CREATE);
        wr_u16(&w, (uint16_t)len);
        wr_u16(&w, (uint16_t)off);
        wr_bytes(&w, msg + off, n);
        d->create_len += ONION_CELL_LEN;
    }
}

static struct door *door_new(const struct onion_config *with)
{
    struct door *d = calloc(1, sizeof *d);
    uint8_t msg[ONION_HS_CREATE_MAX], seed[32] = {77};
    struct rng_stream stream;
    struct onion_hs_client hs;

    assert_non_null(d);
    net_init(&d->n, 0);
    net_add(&d->n, with);
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    struct wr w = wr_init(msg, sizeof msg);
    assert_int_equal(
        onion_hs_client_create(&hs, &d->n.nodes[0].hop, &rng, (struct slice){NULL, 0}, &w),
        QUDAG_OK);
    onion_hs_client_drop(&hs);
    cells_of(d, d->create, msg, w.len);
    msg[w.len - 1] ^= 1;
    cells_of(d, d->bad, msg, w.len);
    return d;
}

static void door_free(struct door *d)
{
    net_fini(&d->n);
    free(d);
}

static void look(struct door *d)
{
    struct acts *out = &d->n.out;

    assert_false(out->overflow);
    for (size_t i = 0; i < out->n; i++) {
        const struct act *a = &out->v[i];
        uint8_t *fate = &d->fate[a->strm.slot];
        if (a->type == ACT_RESET ||
            (a->type == ACT_WRITE && a->data.base[0] == ONION_CELL_DESTROY)) {
            *fate = REFUSED;
        } else if (a->type == ACT_WRITE && a->data.base[0] == ONION_CELL_CREATED) {
            *fate = CREATED;
        }
    }
    out->n = 0;
    out->bytes_n = 0;
}

static void tell(struct door *d, const struct ev *ev)
{
    onion_ops.event(d->n.nodes[0].o, ev, d->n.now, &d->n.out);
    look(d);
}

/* One more circuit of neighbour |who| in |net|; the number of its stream. */
static uint32_t offer(struct door *d, uint32_t who, uint64_t net, bool bad)
{
    struct peer_id peer;
    uint8_t pk[32] = {0};
    uint32_t strm = d->streams++;

    assert_true(strm < STREAMS);
    memcpy(pk, &who, sizeof who);
    peer_id_from_ed25519(&peer, pk);
    struct ev ev = {.type = EV_STREAM_OPEN,
                    .inbound = true,
                    .props = ONION_NEED | LINK_INBOUND,
                    .peer = &peer,
                    .net = UINT64_C(4) << 48 | net << 8,
                    .strm = {strm, 1}};
    tell(d, &ev);
    if (d->fate[strm] == PENDING) {
        tell(d, &(struct ev){.type = EV_DATA,
                             .strm = {strm, 1},
                             .data = {bad ? d->bad : d->create, d->create_len}});
    }
    return strm;
}

static void pass(struct door *d, uint64_t ns)
{
    tstamp until = d->n.now + ns;

    for (tstamp at; (at = onion_ops.deadline(d->n.nodes[0].o)) <= until;) {
        d->n.now = at > d->n.now ? at : d->n.now;
        onion_ops.tick(d->n.nodes[0].o, d->n.now, &d->n.out);
        look(d);
    }
    d->n.now = until;
}

/* ---- places ---- */

/* The audit's H5 at a relay: who fills it keeps nobody out, and newcomers are not pushed out again. */
static void whoever_takes_all_places_keeps_nobody_out(void **state)
{
    struct onion_config few = {.circuits_max = 64, .relay = true};
    (void)state;

    for (uint32_t nets = 1; nets <= 4; nets += 3) { /* all of one network, or each of its own */
        struct door *d = door_new(&few);
        uint32_t honest[10];
        for (uint32_t i = 0; i < 200; i++) {
            (void)offer(d, 1 + i % 4, 1 + i % nets, false);
            pass(d, 5 * NS_PER_MS);
        }
        for (uint32_t i = 0; i < 10; i++) {
            honest[i] = offer(d, 100 + i, 1000 + i, false);
            for (uint32_t k = 0; k < 4; k++) { /* those who fill it do not rest */
                (void)offer(d, 1 + k, 1 + k % nets, false);
            }
            pass(d, 5 * NS_PER_MS);
        }
        for (uint32_t i = 0; i < 10; i++) {
            assert_int_equal(d->fate[honest[i]], CREATED);
        }
        assert_true(d->n.nodes[0].o->circuits.n <= 64);
        door_free(d);
    }
}

static void circuits_nobody_uses_make_room_for_those_of_the_same_neighbour(void **state)
{
    struct onion_config few = {.circuits_max = 16, .relay = true};
    struct door *d = door_new(&few);
    uint32_t last = 0;
    (void)state;

    for (uint32_t i = 0; i < 15; i++) {
        last = offer(d, 1, 1, false);
        pass(d, NS_PER_MS);
        assert_int_equal(d->fate[last], CREATED);
    }
    assert_int_equal(d->fate[offer(d, 1, 1, false)], REFUSED); /* all of them are young */
    pass(d, ONION_UNUSED_AFTER);
    last = offer(d, 1, 1, false);
    pass(d, NS_PER_MS);
    assert_int_equal(d->fate[last], CREATED);
    assert_int_equal(d->fate[0], REFUSED); /* the oldest */
    assert_int_equal(d->fate[1], CREATED);
    door_free(d);
}

static void one_neighbour_has_half_the_streams_of_its_link(void **state)
{
    struct onion_config cfg = {.relay = true};
    struct door *d = door_new(&cfg);
    (void)state;

    for (uint32_t i = 0; i < ONION_LINK_CIRCUITS_MAX; i++) {
        uint32_t s = offer(d, 1, 1, false);
        pass(d, NS_PER_MS);
        assert_int_equal(d->fate[s], CREATED);
    }
    assert_int_equal(d->fate[offer(d, 1, 1, false)], REFUSED);
    uint32_t s = offer(d, 2, 1, false);
    pass(d, NS_PER_MS);
    assert_int_equal(d->fate[s], CREATED);
    door_free(d);
}

/* ---- handshakes ---- */

struct attack {
    uint32_t sources, nets;
    bool bad; /* CREATEs that do not open */
};

/*
 * The audit's M15, ten times what the relay can do for ten seconds, beside twenty neighbours that together want a
 * fifth of it.  Per mille of theirs that are answered.
 */
static unsigned honest_creates(const struct attack *a)
{
    struct onion_config slow = {.create_rate = 100, .relay = true};
    struct door *d = door_new(&slow);
    uint32_t honest[200], n = 0, served = 0;

    for (uint32_t ms = 0; ms < 10000; ms++) {
        if (a->sources > 0) {
            (void)offer(d, 1000 + ms % a->sources, 1 + ms % a->sources % a->nets, a->bad);
        }
        if (ms % 50 == 25) {
            honest[n] = offer(d, 1 + n % 20, 1000 + n % 20, false);
            n++;
        }
        pass(d, NS_PER_MS);
    }
    pass(d, ONION_CREATE_WAIT);
    for (uint32_t i = 0; i < n; i++) {
        served += d->fate[honest[i]] == CREATED;
    }
    door_free(d);
    return served * 1000 / n;
}

static void a_flood_of_creates_costs_others_nothing(void **state)
{
    static const struct attack attacks[] = {{0, 1, false},  {2, 2, false},   {2, 1, false},
                                            {50, 1, false}, {50, 10, false}, {50, 10, true},
                                            {500, 1, true}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        unsigned served = honest_creates(&attacks[i]);
        print_message("%u sources of %u networks%s: %u of 1000 honest CREATEs answered\n",
                      attacks[i].sources, attacks[i].nets, attacks[i].bad ? ", wrong ones" : "",
                      served);
        assert_true(served >= 990);
    }
}

static void a_wrong_create_costs_more_turns_than_a_right_one(void **state)
{
    struct onion_config slow = {.create_rate = 100, .relay = true};
    struct door *d = door_new(&slow);
    uint32_t right[40], wrong[40], answered = 0, refused = 0;
    (void)state;

    for (uint32_t i = 0; i < 27; i++) {
        (void)offer(d, 9, 9, false); /* the burst is gone */
    }
    for (uint32_t i = 0; i < 30; i++) {
        right[i] = offer(d, 1, 1, false);
        wrong[i] = offer(d, 2, 2, true);
    }
    pass(d, 300 * NS_PER_MS);
    for (uint32_t i = 0; i < 30; i++) {
        answered += d->fate[right[i]] == CREATED;
        refused += d->fate[wrong[i]] == REFUSED;
    }
    assert_true(answered >= 2 * refused);
    assert_true(refused >= 5); /* but it has turns */
    door_free(d);
}

static void a_create_that_waits_cannot_be_changed(void **state)
{
    struct onion_config slow = {.create_rate = 4, .relay = true};
    struct door *d = door_new(&slow);
    uint32_t last = 0;
    (void)state;

    for (uint32_t i = 0; i < 4; i++) {
        last = offer(d, 1, 1, false);
    }
    assert_int_equal(d->fate[last], PENDING);
    tell(d, &(struct ev){.type = EV_DATA, .strm = {last, 1}, .data = {d->create, ONION_CELL_LEN}});
    assert_int_equal(d->fate[last], REFUSED);
    assert_int_equal(d->n.nodes[0].o->held.waiting, 1);
    door_free(d);
}

/* ---- through honest relays ---- */

/* Nodes: 0 honest, 1 and 2 not, 3 the relay they share, 4 the relay behind it. */
static struct testnet *shared_relay(const struct onion_config *behind)
{
    struct testnet *n = net_new(4);

    net_add(n, behind);
    return n;
}

static bool is_open(struct testnet *n, size_t node, struct ref c)
{
    struct onion_info info;

    return onion_info_get(n->nodes[node].o, c, &info) == QUDAG_OK && info.state == ONION_OPEN;
}

/* The audit's H5 on the link between two relays. */
static void idle_circuits_cut_no_pair_of_relays_apart(void **state)
{
    struct testnet *n = shared_relay(NULL);
    struct ref c[10], used;
    (void)state;

    assert_int_equal(net_build_from(n, 1, 3, 2, &used), QUDAG_OK);
    net_run(n);
    for (size_t i = 1; i < 500; i++) {
        assert_int_equal(net_build_from(n, 1 + i % 2, 3, 2, &c[0]), QUDAG_OK);
        net_sleep(n, 2 * NS_PER_MS);
    }
    assert_int_equal(circuits(n, 4),
                     ONION_LINK_RELAYED_MAX); /* the rest of the streams is for others */
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(net_build(n, 3, 2, &c[i]), QUDAG_OK);
        net_run(n);
        assert_true(is_open(n, 0, c[i]));
    }
    for (size_t i = 0; i < 20; i++) { /* and they stay */
        struct ref more;
        assert_int_equal(net_build_from(n, 1, 3, 2, &more), QUDAG_OK);
        net_sleep(n, 2 * NS_PER_MS);
    }
    for (size_t i = 0; i < 10; i++) {
        assert_true(is_open(n, 0, c[i]));
    }
    net_del(n);
}

/* CREATEs that reach a relay through another one are held back where their senders are told apart. */
static void a_flood_through_an_honest_relay_costs_its_others_nothing(void **state)
{
    struct onion_config slow = {.create_rate = 20, .relay = true};
    struct testnet *n = shared_relay(&slow);
    struct ref honest[16], flood;
    unsigned n_honest = 0, served = 0;
    (void)state;

    for (unsigned step = 0; step < 160; step++) { /* 8 s; ten times what the second relay can do */
        for (unsigned i = 0; i < 10; i++) {
            if (net_build_from(n, 1 + i % 2, 3, 2, &flood) == QUDAG_OK && step % 4 == 3) {
                net_sleep(n, NS_PER_MS);
            }
        }
        if (step % 10 == 5) {
            assert_int_equal(net_build(n, 3, 2, &honest[n_honest++]), QUDAG_OK);
        }
        net_sleep(n, 46 * NS_PER_MS);
    }
    for (unsigned i = 0; i < 40; i++) {
        net_sleep(n, 50 * NS_PER_MS);
    }
    for (unsigned i = 0; i < n_honest; i++) {
        served += is_open(n, 0, honest[i]);
    }
    print_message("through an honest relay: %u of %u honest circuits built\n", served, n_honest);
    assert_int_equal(served, n_honest);
    net_del(n);
}

/* ---- memory ---- */

static void the_longest_queue_goes_first_then_the_younger(void **state)
{
    struct onion_bulk a = {.queued = 2, .age_ns = 5}, b = {.queued = 1, .age_ns = 9}, c = a;
    (void)state;

    assert_true(onion_rule_sheds_first(&a, &b));
    assert_false(onion_rule_sheds_first(&b, &a));
    c.age_ns = 4;
    assert_true(onion_rule_sheds_first(&c, &a));
    assert_false(onion_rule_sheds_first(&a, &c));
}

static void when_memory_is_short_the_circuit_with_most_queued_ends(void **state)
{
    struct testnet *n = net_new(4);
    struct ref light, heavy, idle;
    (void)state;

    assert_int_equal(net_build(n, 1, 3, &light), QUDAG_OK);
    assert_int_equal(net_build(n, 1, 3, &heavy), QUDAG_OK);
    assert_int_equal(net_build(n, 1, 3, &idle), QUDAG_OK);
    net_run(n);
    assert_int_equal(onion_shed(n->nodes[0].o, n->now, &n->out), 0); /* nothing is queued */
    struct testnet_flow *small = net_open(n, light, 1), *large = net_open(n, heavy, 2);
    ASSERT(small != NULL && large != NULL);
    net_run(n);
    assert_int_equal(net_write(n, small, 0, 2 * ONION_SHED_MIN), QUDAG_OK);
    assert_int_equal(net_write(n, large, 0, 20 * ONION_SHED_MIN), QUDAG_OK);
    assert_true(onion_shed(n->nodes[0].o, n->now, &n->out) >= 20 * ONION_SHED_MIN);
    net_drain(n, 0);
    assert_false(is_open(n, 0, heavy));
    assert_true(is_open(n, 0, light));
    net_run(n);
    assert_int_equal(small->sent, 2 * ONION_SHED_MIN);
    assert_true(is_open(n, 0, idle));
    assert_int_equal(onion_shed(n->nodes[0].o, n->now, &n->out), 0); /* what is not queued stays */
    net_del(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_of_no_use_is_worth_least),
        cmocka_unit_test(the_one_worth_less_goes_first_then_the_longer_idle),
        cmocka_unit_test(nobody_below_his_share_loses_what_is_in_use),
        cmocka_unit_test(whoever_takes_all_places_keeps_nobody_out),
        cmocka_unit_test(circuits_nobody_uses_make_room_for_those_of_the_same_neighbour),
        cmocka_unit_test(one_neighbour_has_half_the_streams_of_its_link),
        cmocka_unit_test(a_flood_of_creates_costs_others_nothing),
        cmocka_unit_test(a_wrong_create_costs_more_turns_than_a_right_one),
        cmocka_unit_test(idle_circuits_cut_no_pair_of_relays_apart),
        cmocka_unit_test(a_flood_through_an_honest_relay_costs_its_others_nothing),
        cmocka_unit_test(the_longest_queue_goes_first_then_the_younger),
        cmocka_unit_test(when_memory_is_short_the_circuit_with_most_queued_ends),
        cmocka_unit_test(a_create_that_waits_cannot_be_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
