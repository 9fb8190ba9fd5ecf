/* admission_test.c - who gives way, and honest circuits beside those who want all places and all handshakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NET_PIPES 3200
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

/* A network is what its addresses say: many names in one take no places of a neighbour in another. */
static void places_are_shared_between_networks_and_not_between_names(void **state)
{
    struct onion_config few = {.circuits_max = 64, .relay = true};
    struct door *d = door_new(&few);
    uint32_t honest[12];
    (void)state;

    for (uint32_t i = 0; i < 10; i++) {
        honest[i] = offer(d, 1, 2, false);
        pass(d, 5 * NS_PER_MS);
    }
    for (uint32_t i = 0; i < 80; i++) {
        (void)offer(d, 100 + i, 1, false);
        pass(d, 5 * NS_PER_MS);
    }
    for (uint32_t i = 10; i < 12; i++) {
        honest[i] = offer(d, 1, 2, false);
        pass(d, 5 * NS_PER_MS);
    }
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(d->fate[honest[i]], CREATED);
    }
    door_free(d);
}

static void one_neighbour_has_its_part_of_the_streams_of_its_link(void **state)
{
    struct onion_config cfg = {.relay = true};
    struct door *d = door_new(&cfg);
    (void)state;

    for (uint32_t i = 0; i < ONION_LINK_CIRCUITS_MAX; i++) {
        uint32_t s = offer(d, 1, 1, false);
        pass(d, 4 * NS_PER_MS); /* slower than ONION_CREATE_GAP */
        assert_int_equal(d->fate[s], CREATED);
    }
    assert_int_equal(d->fate[offer(d, 1, 1, false)], REFUSED);
    uint32_t s = offer(d, 2, 1, false);
    pass(d, NS_PER_MS);
    assert_int_equal(d->fate[s], CREATED);
    door_free(d);
}

/* Three identities have all places there are, each as many as one neighbour may: whoever else comes finds one. */
static void whoever_fills_all_places_keeps_nobody_out(void **state)
{
    struct onion_config cfg = {.relay = true};
    struct door *d = door_new(&cfg);
    uint32_t taken = 0;
    (void)state;

    for (uint32_t i = 0; i < ONION_LINK_CIRCUITS_MAX; i++) {
        for (uint32_t net = 1; net <= 3; net++) {
            uint32_t s = offer(d, net, net, false);
            pass(d, NS_PER_MS);
            taken += d->fate[s] == CREATED ? 1 : 0;
        }
    }
    assert_int_equal(taken, 3 * ONION_LINK_CIRCUITS_MAX);
    assert_int_equal(d->n.nodes[0].o->circuits.n, 4096 - 4096 / 16);
    for (uint32_t i = 0; i < 40; i++) { /* also in a network of theirs */
        uint32_t s = offer(d, 10 + i, i % 2 == 0 ? 10 + i : 1, false);
        pass(d, NS_PER_MS);
        assert_int_equal(d->fate[s], CREATED);
    }
    door_free(d);
}

/* ---- handshakes ---- */

/* However much the relay could do: what two neighbours of one network want is not what its processor is for. */
static void a_network_has_so_many_handshakes_a_second_and_others_theirs_at_once(void **state)
{
    struct onion_config cfg = {.relay = true};
    struct door *d = door_new(&cfg);
    uint32_t begun[4000], created = 0;
    (void)state;

    for (uint32_t ms = 0; ms < 2000; ms++) {
        begun[2 * ms] = offer(d, 1, 1, false);
        begun[2 * ms + 1] = offer(d, 2, 1, false);
        if (ms % 50 == 25) {
            uint32_t honest = offer(d, 3, 2, false);
            assert_int_equal(d->fate[honest], CREATED);
        }
        pass(d, NS_PER_MS);
    }
    for (uint32_t i = 0; i < 4000; i++) {
        created += d->fate[begun[i]] == CREATED ? 1 : 0;
    }
    assert_true(created <= (ONION_CREATE_AHEAD + 2 * NS_PER_S) / ONION_CREATE_GAP_NET + 2);
    assert_true(created >= 1500); /* and no less than honest ones may want */
    door_free(d);
}

static void what_is_owed_is_paid_by_time(void **state)
{
    const tstamp now = 100 * NS_PER_S;
    (void)state;

    assert_true(onion_rule_create_due(now + ONION_CREATE_AHEAD, now));
    assert_false(onion_rule_create_due(now + ONION_CREATE_AHEAD + 1, now));
    assert_int_equal(onion_rule_create_owed(0, 7, now),
                     now + 7); /* what was not used is not saved up */
    assert_int_equal(onion_rule_create_owed(now + 5, 7, now), now + 12);
}

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
    for (size_t i = 1; i < ONION_LINK_RELAYED_MAX + 52; i++) {
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

/* ---- which of them ---- */

static struct onion_circuit *circuit_at(struct door *d, uint32_t ix)
{
    struct onion_circuit *c = slots_at(&d->n.nodes[0].o->circuits, ix);

    assert_non_null(c);
    return c;
}

/* |n| circuits of one neighbour, in use or not, since before ONION_UNUSED_AFTER. */
static void settle(struct door *d, uint32_t who, uint64_t net, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t s = offer(d, who, net, false);
        pass(d, NS_PER_MS);
        assert_int_equal(d->fate[s], CREATED);
    }
}

static void never_used_goes_before_quiet_and_quiet_before_what_had_a_cell_lately(void **state)
{
    struct onion_config few = {.circuits_max = 16, .relay = true};
    struct door *d = door_new(&few);
    (void)state;

    settle(d, 1, 1, 15);
    pass(d, ONION_UNUSED_AFTER);
    for (uint32_t i = 0; i < 15; i++) {
        circuit_at(d, i)->used = i != 7;
    }
    circuit_at(d, 7)->active_at = d->n.now; /* cells that were no data */
    circuit_at(d, 0)->active_at = d->n.now; /* old, and in use */
    settle(d, 1, 1, 1);
    assert_int_equal(d->fate[7], REFUSED);
    settle(d, 1, 1, 1);
    assert_int_equal(d->fate[0], CREATED);
    assert_int_equal(d->fate[1], REFUSED);
    struct onion_stats st;
    onion_stats_get(d->n.nodes[0].o, &st);
    assert_int_equal(st.gave_way, 2);
    door_free(d);
}

/* Who is below his share, and has circuits of no use, replaces those. */
static void one_s_own_give_way_where_nobody_else_s_do(void **state)
{
    struct onion_config few = {.circuits_max = 16, .relay = true};
    struct door *d = door_new(&few);
    (void)state;

    settle(d, 1, 1, 8);
    settle(d, 2, 2, 7);
    pass(d, ONION_UNUSED_AFTER);
    for (uint32_t i = 0; i < 8; i++) {
        circuit_at(d, i)->used = true;
        circuit_at(d, i)->active_at = d->n.now;
    }
    settle(d, 2, 2, 1);
    assert_int_equal(d->fate[8], REFUSED);
    door_free(d);
}

/* Within a network the places that it has are shared, not all there are. */
static void neighbours_of_one_network_share_what_it_has(void **state)
{
    struct onion_config few = {.circuits_max = 16, .relay = true};
    struct door *d = door_new(&few);
    struct fair_claim holder = {.net = 1, .source = 1, .net_n = 10, .source_n = 6},
                      namesake = {.net = 2, .source = 1};
    (void)state;

    settle(d, 1, 1, 7);
    for (uint32_t i = 0; i < 8; i++) {
        settle(d, 10 + i, 10 + i, 1);
    }
    settle(d, 2, 1, 1);
    /* two that have one name, of two networks, are two */
    assert_true(onion_rule_gives_way(ONION_WORTH_BUSY, &holder, &namesake, 9));
    door_free(d);
}

/* The places are needed: nobody waits for the other side to end its stream. */
static void who_gives_way_is_reset_at_once(void **state)
{
    struct onion_config few = {.circuits_max = 16, .relay = true};
    struct door *d = door_new(&few);
    struct acts *out = &d->n.out;
    (void)state;

    settle(d, 1, 1, 1);
    onion_end_now(circuit_at(d, 0), out);
    bool reset = false;
    for (size_t i = 0; i < out->n; i++) {
        reset = reset || (out->v[i].type == ACT_RESET && out->v[i].err == QUDAG_ELIMIT);
    }
    assert_true(reset);
    look(d);
    door_free(d);
}

static void the_key_id_is_changed_in(struct door *d, uint8_t *cells)
{
    const uint8_t *id = d->n.nodes[0].hop.key_id;
    size_t at = 0;

    while (at + 8 < d->create_len && memcmp(cells + at, id, 8) != 0) {
        at++;
    }
    assert_true(at + 8 < d->create_len);
    cells[at] ^= 1;
}

/* Tokens for handshakes are not there for whoever does not even know our keys. */
static void a_create_for_no_key_of_ours_does_not_wait_for_a_turn(void **state)
{
    struct onion_config slow = {.create_rate = 4, .relay = true};
    struct door *d = door_new(&slow);
    struct onion *o = d->n.nodes[0].o;
    struct onion_stats st;
    (void)state;

    for (uint32_t i = 0; i < 4; i++) { /* until one has to wait */
        (void)offer(d, 1 + i, 1 + i, false);
    }
    uint32_t waiting = o->held.waiting;
    assert_true(waiting > 0);
    assert_int_equal(d->fate[offer(d, 50, 50, true)], PENDING);
    assert_int_equal(o->held.waiting, waiting + 1);
    the_key_id_is_changed_in(d, d->bad);
    assert_int_equal(d->fate[offer(d, 51, 51, true)], REFUSED);
    assert_int_equal(o->held.waiting, waiting + 1);
    onion_stats_get(o, &st);
    assert_int_equal(st.bad_handshake, 1);
    pass(d, 4 * NS_PER_S);
    onion_stats_get(o, &st);
    assert_int_equal(st.bad_handshake, 2);
    door_free(d);
}

static void four_are_answered_in_one_call(void **state)
{
    struct onion_config slow = {.create_rate = 100, .relay = true};
    struct door *d = door_new(&slow);
    struct onion *o = d->n.nodes[0].o;
    struct onion_stats before, after;
    (void)state;

    for (uint32_t i = 0; i < 60; i++) {
        (void)offer(d, 1 + i, 1 + i, false);
    }
    onion_stats_get(o, &before);
    assert_true(o->held.waiting >= 20);
    d->n.now += NS_PER_S;
    onion_ops.tick(o, d->n.now, &d->n.out);
    look(d);
    onion_stats_get(o, &after);
    assert_int_equal(after.created - before.created, 4);
    door_free(d);
}

/* What fails for lack of our memory is not the neighbour's doing: no turn of his is lost. */
static void only_a_wrong_create_costs_turns(void **state)
{
    struct onion_config cfg = {.relay = true};
    unsigned refused = 0;
    (void)state;

    for (uint64_t at = 1; at < 40; at++) {
        struct door *d = door_new(&cfg);
        struct onion *o = d->n.nodes[0].o;
        o->cfg.mem->fail_at = at;
        refused += d->fate[offer(d, 1, 1, false)] == REFUSED;
        o->cfg.mem->fail_at = 0;
        struct fair_source *s;
        for (size_t it = 0; (s = map_next(&o->held.sources, &it)) != NULL;) {
            assert_true(s->debt == 0 && s->net->debt == 0);
        }
        door_free(d);
    }
    assert_true(refused > 0);
}

static void what_was_shed_is_counted(void **state)
{
    struct onion_config cfg = {.relay = true};
    struct door *d = door_new(&cfg);
    struct onion *o = d->n.nodes[0].o;
    struct onion_stats st;
    (void)state;

    settle(d, 1, 1, 1);
    circuit_at(d, 0)->prev.queued = ONION_SHED_MIN - 1;
    assert_int_equal(onion_shed(o, d->n.now, &d->n.out), 0);
    circuit_at(d, 0)->prev.queued = ONION_SHED_MIN;
    assert_int_equal(onion_shed(o, d->n.now, &d->n.out), ONION_SHED_MIN);
    onion_stats_get(o, &st);
    assert_int_equal(st.shed, 1);
    look(d);
    door_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_of_no_use_is_worth_least),
        cmocka_unit_test(the_one_worth_less_goes_first_then_the_longer_idle),
        cmocka_unit_test(nobody_below_his_share_loses_what_is_in_use),
        cmocka_unit_test(whoever_takes_all_places_keeps_nobody_out),
        cmocka_unit_test(circuits_nobody_uses_make_room_for_those_of_the_same_neighbour),
        cmocka_unit_test(places_are_shared_between_networks_and_not_between_names),
        cmocka_unit_test(a_network_has_so_many_handshakes_a_second_and_others_theirs_at_once),
        cmocka_unit_test(what_is_owed_is_paid_by_time),
        cmocka_unit_test(one_neighbour_has_its_part_of_the_streams_of_its_link),
        cmocka_unit_test(whoever_fills_all_places_keeps_nobody_out),
        cmocka_unit_test(a_flood_of_creates_costs_others_nothing),
        cmocka_unit_test(a_wrong_create_costs_more_turns_than_a_right_one),
        cmocka_unit_test(idle_circuits_cut_no_pair_of_relays_apart),
        cmocka_unit_test(a_flood_through_an_honest_relay_costs_its_others_nothing),
        cmocka_unit_test(the_longest_queue_goes_first_then_the_younger),
        cmocka_unit_test(when_memory_is_short_the_circuit_with_most_queued_ends),
        cmocka_unit_test(a_create_that_waits_cannot_be_changed),
        cmocka_unit_test(never_used_goes_before_quiet_and_quiet_before_what_had_a_cell_lately),
        cmocka_unit_test(one_s_own_give_way_where_nobody_else_s_do),
        cmocka_unit_test(neighbours_of_one_network_share_what_it_has),
        cmocka_unit_test(who_gives_way_is_reset_at_once),
        cmocka_unit_test(a_create_for_no_key_of_ours_does_not_wait_for_a_turn),
        cmocka_unit_test(four_are_answered_in_one_call),
        cmocka_unit_test(only_a_wrong_create_costs_turns),
        cmocka_unit_test(what_was_shed_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
