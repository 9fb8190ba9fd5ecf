/*
 * full_test.c - complete nodes in virtual time: they do what they should, runs repeat, and each check sees
 * what it is for.
 *
 * TEST: timeout=300
 */
#include "sim/full_int.h"
#include "sim/sim_int.h"

#include "core/onion/circuit.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NET "[network]\nbootstrap = 2\njoin_over = 5 s\n"
#define LINKS "[links]\nrtt = 80 ms\n"
#define WORK                                                                                       \
    "[work]\nfrom = 40 s\nput_every = 1 s\nget_every = 500 ms\nfind_every = 1 s\n"                 \
    "circuit_every = 2 s\ncircuit_size = 16 KiB\ncircuit_last = 3 s\n"
#define PHASE "[phase]\nname = all\nfrom = 0 s\nto = 90 s\n"

static struct scenario sc;

static struct sim *make(const char *more, uint64_t nodes, uint64_t seed)
{
    char text[2000];
    struct scenario_error e = {0};
    struct sim_options opt = {.seed = seed, .host = full_host()};

    int n = snprintf(text, sizeof(text), "%snodes = %u\n%s[run]\nuntil = 100 s\n" PHASE, NET,
                     (unsigned)nodes, more);
    assert_true(n > 0 && (size_t)n < sizeof(text));
    if (scenario_parse(&sc, (struct slice){(const uint8_t *)text, (size_t)n}, &e) != QUDAG_OK) {
        fail_msg("line %u: %s", e.line, e.what);
    }
    assert_null(full_objection(&sc));
    return sim_new(&sc, &opt);
}

static struct full *full_of(const struct sim *s)
{
    return s->full;
}

/* A circuit of that role at some node, unfinished ones aside. */
static struct onion_circuit *circuit_at(const struct sim *s, enum onion_role role, uint32_t *node)
{
    struct full *f = full_of(s);

    for (*node = 0; *node < s->n; (*node)++) {
        struct onion *o = fn_onion(&f->node[*node]);
        for (uint32_t i = 0; i < o->circuits.high; i++) {
            struct onion_circuit *c = slots_at(&o->circuits, i);
            if (c != NULL && c->role == role && c->hops.n > 0) {
                return c;
            }
        }
    }
    return NULL;
}

/* Number of one that carries its pattern; SIZE_MAX: none does. */
static size_t carried(const struct sim *s)
{
    const struct full *f = full_of(s);

    for (size_t i = 0; i < f->carries; i++) {
        if (f->carry[i].used && f->carry[i].built && f->carry[i].got > 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* A small network with circuits under way. */
static struct sim *busy(void)
{
    struct sim *s = make(LINKS WORK, 12, 7);
    tstamp at = 40 * NS_PER_S;
    uint32_t node;

    while (sim_run(s, at) &&
           (carried(s) == SIZE_MAX || circuit_at(s, ONION_RELAY, &node) == NULL)) {
        at += NS_PER_S / 4;
    }
    assert_int_equal(s->report.violations, 0);
    assert_true(carried(s) != SIZE_MAX);
    return s;
}

static void complete_nodes_join_store_find_and_carry(void **state)
{
    (void)state;
    struct sim *s = make(LINKS WORK, 14, 1);

    while (sim_run(s, UINT64_MAX)) {
    }
    const struct sim_report *r = sim_report(s);
    for (size_t k = 0; k < SIM_KINDS; k++) {
        const struct sim_outcome *o = &r->phase[0].of[k];
        if (k == OP_PUT_ATTACKED || k == OP_GET_ATTACKED) {
            continue;
        }
        assert_true(o->asked >= 10);
        /* the very first node has nobody to join */
        assert_int_equal(o->right + o->left, o->asked - (k == OP_JOIN ? 1 : 0));
    }
    if (r->violations > 0) {
        fail_msg("%s", r->violation);
    }
    assert_true(full_of(s)->seen.entries > 100);
    assert_true(full_of(s)->seen.matched > 30);
    assert_true(full_of(s)->freed > 1000);
    assert_true(r->memory_max < FULL_MEMORY_MAX);
    sim_free(s);
}

static void log_of(uint64_t seed, uint8_t hash[BLAKE3_LEN])
{
    struct sim *s = make(LINKS "loss = 2 %\n" WORK, 8, seed);

    (void)sim_run(s, 60 * NS_PER_S);
    memcpy(hash, sim_report(s)->hash, BLAKE3_LEN);
    assert_int_equal(sim_report(s)->violations, 0);
    sim_free(s);
}

static void one_seed_gives_one_log_of_all_datagrams(void **state)
{
    (void)state;
    uint8_t a[BLAKE3_LEN], b[BLAKE3_LEN], c[BLAKE3_LEN];

    log_of(3, a);
    log_of(3, b);
    log_of(4, c);
    assert_memory_equal(a, b, sizeof(a));
    assert_memory_not_equal(a, c, sizeof(a));
}

static void losses_slow_nodes_and_narrow_uplinks_are_survived(void **state)
{
    (void)state;
    struct sim *s = make("[links]\nrtt = 80 ms\nloss = 3 %\nuplink = 256 KiB\n" WORK
                         "[fault]\nkind = slow\nat = 30 s\nshare = 20 %\ndelay = 300 ms\n",
                         10, 5);

    while (sim_run(s, UINT64_MAX)) {
    }
    const struct sim_report *r = sim_report(s);
    for (size_t k = 0; k <= OP_JOIN; k++) {
        const struct sim_outcome *o = &r->phase[0].of[k];
        /* of nine others, one that was too slow to be named is enough for a wrong find: how many were? */
        uint64_t spare = k == OP_FIND ? o->asked : k == OP_JOIN ? 1 : 0;
        if (k == OP_FIND) {
            assert_true(o->recall_sum >= 950 * (o->right + o->wrong));
        }
        if (o->right + spare < o->asked || o->asked <= 8) {
            fail_msg("%s: %" PRIu64 " of %" PRIu64 " right, %" PRIu64 " wrong, %" PRIu64 " absent",
                     sim_kind_name(k), o->right, o->asked, o->wrong, o->absent);
        }
    }
    assert_int_equal(r->violations, 0);
    sim_free(s);
}

static void nodes_behind_nat_join_and_nobody_reaches_them_unasked(void **state)
{
    (void)state;
    struct sim *s = make("nat = 40 %\n" LINKS WORK, 16, 2);
    uint32_t kinds[3] = {0}, hidden = SIM_NONE, open = 0;

    (void)sim_run(s, 70 * NS_PER_S);
    struct full *f = full_of(s);
    for (uint32_t i = 0; i < s->n; i++) {
        bool behind = f->node[i].router != FULL_NONE;
        assert_int_equal(f->node[i].join_err, i == 0 ? QUDAG_EUNREACHABLE : QUDAG_OK);
        kinds[i % 3] += behind ? 1 : 0;
        hidden = behind && i % 3 == 1 ? i : hidden;
        open = behind ? open : i;
    }
    assert_true(kinds[0] > 0 && kinds[1] > 0 && kinds[2] > 0);
    struct full_way in = {.from = f->node[open].addr,
                          .to = f->router[f->node[hidden].router].external};
    in.to.port = 9;
    assert_int_equal(full_arrives(f, &in), FULL_NONE);
    struct full_way out = {.from = f->node[hidden].addr, .to = f->node[open].addr};
    uint32_t there;
    assert_int_equal(full_outwards(f, hidden, &out, &there), FULL_OUT);
    in = (struct full_way){.from = out.to, .to = out.from};
    assert_int_equal(full_arrives(f, &in), hidden);
    assert_true(netaddr_eq(&in.to, &f->node[hidden].addr));
    assert_int_equal(sim_report(s)->violations, 0);
    sim_free(s);
}

/* ---- clocks ---- */

static unsigned skewed_and_refused(const char *delay, unsigned *skewed)
{
    char more[300];
    unsigned refused = 0;

    (void)snprintf(more, sizeof(more),
                   LINKS "[fault]\nkind = clock_skew\nat = 0 s\nshare = 50 %%\ndelay = %s\n",
                   delay);
    struct sim *s = make(more, 16, 11);
    (void)sim_run(s, 60 * NS_PER_S);
    const struct full *f = full_of(s);
    *skewed = 0;
    for (uint32_t i = 1; i < s->n; i++) {
        const struct full_node *fn = &f->node[i];
        *skewed += fn->skew != 0;
        if (fn->join_err != QUDAG_OK) {
            refused++;
            assert_int_not_equal(fn->skew, 0);
            assert_true(fn->join_err == QUDAG_EEXPIRED || fn->join_err == QUDAG_ECLOCK);
        }
    }
    assert_int_equal(sim_report(s)->violations, 0);
    sim_free(s);
    return refused;
}

static void clocks_an_hour_apart_are_harmless_and_further_apart_refused_by_name(void **state)
{
    (void)state;
    unsigned skewed;

    assert_int_equal(skewed_and_refused("10 min", &skewed), 0);
    assert_true(skewed >= 4);
    /* a certificate begins an hour before it is made, and ten minutes of skew are forgiven */
    assert_int_equal(skewed_and_refused("69 min", &skewed), 0);
    unsigned refused = skewed_and_refused("71 min", &skewed);
    assert_int_equal(refused, skewed);
    assert_true(skewed >= 4);
}

/* ---- each check sees what it is for ---- */

static void a_secret_left_in_memory_is_seen(void **state)
{
    (void)state;
    struct sim *s = busy();
    struct full_node *fn = &full_of(s)->node[3];
    uint8_t *p = mem_alloc(fn->mem, 100);

    assert_non_null(p);
    memcpy(p + 41, fn->id.ed_sk.seed, 32);
    mem_free_wiped(fn->mem, p);
    assert_int_equal(s->report.violations, 0);
    p = mem_alloc(fn->mem, 100);
    assert_non_null(p);
    memcpy(p + 41, fn->id.ed_sk.seed, 32);
    mem_free(fn->mem, p);
    assert_int_equal(s->report.violations, 1);
    assert_string_equal(s->report.violation, "freed memory contained a secret");
    sim_free(s);
}

static void keys_of_a_circuit_given_back_unwiped_are_seen(void **state)
{
    (void)state;
    struct sim *s = busy();
    struct full *f = full_of(s);
    uint32_t node;
    struct onion_circuit *c = circuit_at(s, ONION_RELAY, &node);

    assert_non_null(c);
    full_check_round(f, &f->node[node]);
    uint8_t *copy = mem_alloc(f->node[node].mem, 64); /* of the keys as they are now */
    assert_non_null(copy);
    memcpy(copy + 7, c->hops.fwd[0].opaque, 32);
    mem_free(f->node[node].mem, copy);
    assert_int_equal(s->report.violations, 1);
    struct onion_hops h = {.mem = NULL};
    assert_int_equal(onion_hops_init(&h, f->node[node].mem, 1), QUDAG_OK);
    full_check_mark(&f->node[node], h.raw, sizeof(struct cgo));
    memset(h.raw, 1, 8);
    mem_free(f->node[node].mem, h.raw);
    assert_int_equal(s->report.violations, 2);
    sim_free(s);
}

static void a_relay_that_knows_more_than_its_neighbours_is_seen(void **state)
{
    (void)state;
    struct sim *s = busy();
    struct full *f = full_of(s);
    uint32_t node, other = 0;
    struct onion_circuit *c = circuit_at(s, ONION_RELAY, &node);

    assert_non_null(c);
    full_check_round(f, &f->node[node]);
    assert_int_equal(s->report.violations, 0);
    while (peer_id_eq(&f->node[other].peer, &c->prev.peer) || other == node ||
           peer_id_eq(&f->node[other].peer, &c->next.peer)) {
        other++;
    }
    assert_int_equal(dyn_append(&c->prev.in, f->node[other].id.ed_pk, 32), QUDAG_OK);
    full_check_round(f, &f->node[node]);
    assert_int_equal(s->report.violations, 1);
    assert_string_equal(s->report.violation,
                        "a relay's entry for a circuit names more than its two neighbours");
    sim_free(s);
}

static void a_relay_that_knows_the_far_end_of_a_circuit_is_seen(void **state)
{
    (void)state;
    struct sim *s = busy();
    struct full *f = full_of(s);
    const struct full_carry *k = &f->carry[carried(s)];

    uint64_t matched = f->seen.matched;
    full_check_path(f, k);
    assert_true(f->seen.matched >= matched + 3);
    assert_int_equal(s->report.violations, 0);
    struct onion *o = fn_onion(&f->node[k->path[1]]);
    for (uint32_t i = 0; i < o->circuits.high; i++) { /* the middle one learns of the client */
        struct onion_circuit *c = slots_at(&o->circuits, i);
        if (c != NULL && c->role == ONION_RELAY) {
            assert_int_equal(dyn_append(&c->next.in, f->node[k->client].id.pq_hash, 32), QUDAG_OK);
        }
    }
    full_check_path(f, k);
    assert_true(s->report.violations > 0);
    assert_string_equal(s->report.violation,
                        "a relay knows an end of a circuit that is not its neighbour");
    sim_free(s);
}

static void a_byte_out_of_place_is_seen(void **state)
{
    (void)state;
    struct sim *s = busy();
    struct full_node *fn = &full_of(s)->node[2];
    const struct ref strm = {4000, 9};
    uint8_t data[16 + 40] = {5, 0, 0, 0, 0, 0, 0, 0, 40};

    for (unsigned i = 0; i < 40; i++) {
        data[16 + i] = carry_byte(5, 0, i);
    }
    carry_stream_in(fn, strm);
    carry_data(fn, strm, (struct slice){data, 16 + 20}, false);
    assert_int_equal(s->report.violations, 0);
    carry_data(fn, strm, (struct slice){data + 16 + 28, 8}, false); /* eight bytes were lost */
    assert_int_equal(s->report.violations, 1);
    sim_free(s);
}

static void a_stream_that_ends_short_is_seen(void **state)
{
    (void)state;
    struct sim *s = busy();
    struct full_node *fn = &full_of(s)->node[2];
    const struct ref strm = {4000, 9};
    uint8_t data[16] = {5, 0, 0, 0, 0, 0, 0, 0, 40};

    carry_stream_in(fn, strm);
    carry_data(fn, strm, (struct slice){data, sizeof(data)}, true);
    assert_int_equal(s->report.violations, 1);
    sim_free(s);
}

static void a_circuit_that_outlives_its_relay_is_seen(void **state)
{
    (void)state;
    struct sim *s = busy();
    struct full *f = full_of(s);
    struct full_carry *k = &f->carry[carried(s)];

    k->hit = true;
    k->hit_at = s->world.now - sc.idle;
    carry_check(f);
    assert_int_equal(s->report.violations, 0);
    k->hit_at = s->world.now - sc.idle - 11 * NS_PER_S;
    carry_check(f);
    assert_int_equal(s->report.violations, 1);
    sim_free(s);
}

static void memory_not_freed_by_a_node_that_left_is_detected(void **state)
{
    (void)state;
    struct sim *s = busy();
    void *kept = mem_alloc(&s->node[4].mem, 10);

    assert_non_null(kept);
    host_leave(s, 4, true);
    assert_int_equal(s->report.violations, 1);
    assert_string_equal(s->report.violation, "a core did not return all memory");
    host_leave(s, 5, false);
    assert_int_equal(s->report.violations, 1);
    mem_free(&s->node[4].mem, kept);
    sim_free(s);
}

static void what_only_one_host_can_do_is_refused_by_the_other(void **state)
{
    (void)state;
    struct scenario one = {.nodes = 10, .value_size = 100};

    assert_null(full_objection(&one));
    assert_null(bare_objection(&one));
    one.circuit_every = 1;
    assert_non_null(bare_objection(&one));
    one.fault[one.n_faults++].kind = FAULT_COLLUDE;
    assert_non_null(full_objection(&one));
    one = (struct scenario){.nodes = 2000, .value_size = 100};
    assert_non_null(full_objection(&one));
    one = (struct scenario){.nodes = 20, .value_size = 5000};
    assert_non_null(full_objection(&one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complete_nodes_join_store_find_and_carry),
        cmocka_unit_test(one_seed_gives_one_log_of_all_datagrams),
        cmocka_unit_test(losses_slow_nodes_and_narrow_uplinks_are_survived),
        cmocka_unit_test(nodes_behind_nat_join_and_nobody_reaches_them_unasked),
        cmocka_unit_test(clocks_an_hour_apart_are_harmless_and_further_apart_refused_by_name),
        cmocka_unit_test(a_secret_left_in_memory_is_seen),
        cmocka_unit_test(keys_of_a_circuit_given_back_unwiped_are_seen),
        cmocka_unit_test(a_relay_that_knows_more_than_its_neighbours_is_seen),
        cmocka_unit_test(a_relay_that_knows_the_far_end_of_a_circuit_is_seen),
        cmocka_unit_test(a_byte_out_of_place_is_seen),
        cmocka_unit_test(a_stream_that_ends_short_is_seen),
        cmocka_unit_test(a_circuit_that_outlives_its_relay_is_seen),
        cmocka_unit_test(memory_not_freed_by_a_node_that_left_is_detected),
        cmocka_unit_test(what_only_one_host_can_do_is_refused_by_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
