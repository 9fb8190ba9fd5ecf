/* settled_test.c - when a view of the network is enough, and that nobody keeps it from becoming so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_bed.h"

static const struct relays_path_want three = {.n = 3};

static void a_view_has_settled_when_it_is_large_or_quiet_or_old(void **state)
{
    static const struct {
        uint32_t lookups, quiet, waiting, age_s, relays, networks;
        bool settled;
    } row[] = {
        {16, 0, 50, 3, 60, 20, true},
        {15, 15, 0, 3, 60, 20, false}, /* too few lookups */
        {16, 0, 50, 3, 59, 20, false},
        {16, 0, 50, 3, 60, 19, false},
        {16, 6, 0, 3, 5, 5, true},
        {16, 5, 0, 3, 5, 5, false},
        {16, 6, 1, 3, 5, 5, false},
        {15, 15, 0, 3, 5, 5, false},
        {100, 0, 0, 3, 59, 59, false},
        {100, 6, 0, 3, 1, 0, true},
        {16, 0, 60, 3, 60, 20, true},
        {16, 0, 61, 3, 60, 20, false}, /* a flood is being looked through */
        {16, 0, 900, 179, 5, 5, false},
        {16, 0, 900, 180, 5, 5, true},
        {16, 0, 900, 180, 90, 40, true},
        {15, 0, 900, 999, 90, 40, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct relays_view v = {.lookups = row[i].lookups,
                                .quiet = row[i].quiet,
                                .waiting = row[i].waiting,
                                .age_s = row[i].age_s,
                                .known = {row[i].relays, row[i].networks}};
        assert_int_equal(relays_view_settled(&v), row[i].settled);
        assert_int_equal(relays_view_usable(&v), row[i].settled);
        v.restored = true; /* guards of an earlier run: nothing but the lookups is waited for */
        assert_int_equal(relays_view_settled(&v), row[i].settled);
        assert_int_equal(relays_view_usable(&v), row[i].lookups >= RELAYS_VIEW_LOOKUPS);
    }
    for (uint32_t known = 0; known < 10; known++) {
        assert_int_equal(relays_view_new(known), known < 4);
    }
}

/* What a lookup shows: |n| peers that nobody has met before, of one host; |net|: of their descriptors, 0: none. */
static uint32_t hostile_ids;

static void hostile_lookup(struct world *w, unsigned n, uint8_t net)
{
    for (unsigned i = 0; i < n; i++) {
        struct relay_desc d;
        uint8_t pk[32] = {(uint8_t)hostile_ids, (uint8_t)(hostile_ids >> 8), 0x99, 1};
        desc_set(&d, 77, net);
        peer_id_from_ed25519(&d.peer, pk);
        hostile_ids++;
        relays_candidate(w->r, &d.peer);
        if (net != 0) {
            assert_int_equal(relays_add(w->r, &d), QUDAG_OK);
        }
    }
}

/* Each candidate that is due is looked for; |most| a lookup. */
static void look_for(struct world *w, unsigned most, tstamp now)
{
    struct peer_id p;

    while (most-- > 0 && relays_next_fetch(w->r, now, &p)) {
        relays_fetch_failed(w->r, &p, QUDAG_ENOTFOUND, now);
    }
}

/* Lookups, a second each, until the view has settled: what src/node/survey.c counts. */
static unsigned settles_after(struct world *w, unsigned fresh, uint8_t net)
{
    struct relays_view v;
    uint64_t met = relays_met(w->r);
    uint32_t quiet = 0, lookups = 0;

    do {
        hostile_lookup(w, fresh, net);
        look_for(w, 10, lookups * NS_PER_S);
        lookups++;
        quiet = relays_met(w->r) == met ? quiet + 1 : 0;
        met = relays_met(w->r);
        relays_view_get(w->r, &v);
        v.lookups = lookups;
        v.quiet = quiet;
        v.age_s = lookups - 1;
    } while (!relays_view_settled(&v) && lookups < 1000);
    return lookups;
}

static void fresh_peer_ids_of_one_host_do_not_keep_a_view_from_settling(void **state)
{
    static const struct {
        unsigned fresh;
        uint8_t net;
        unsigned most;
    } row[] = {
        {1, 0, 16},                      /* ids alone are nothing new */
        {1, 50, 16},                     /* relays of one network only a few times */
        {20, 50, 16},                    /* in any number */
        {20, 99, 16},                    /* nor those that name no address of the Internet */
        {20, 0, RELAYS_VIEW_MAX_S + 1u}, /* more than can be looked for: the time decides */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct world *w = world_new(false);
        world_add(w);
        unsigned took = settles_after(w, row[i].fresh, row[i].net);
        assert_int_equal(took, row[i].most);
        world_free(w);
    }
}

static void relays_of_other_networks_are_new_each(void **state)
{
    struct world *w = world_new(false);

    (void)state;
    assert_int_equal(relays_met(w->r), 0);
    world_add(w);
    assert_int_equal(relays_met(w->r), N);
    assert_int_equal(relays_add(w->r, &w->d[3]), QUDAG_OK); /* known already */
    w->d[3].seq++;
    assert_int_equal(relays_add(w->r, &w->d[3]), QUDAG_OK);
    assert_int_equal(relays_met(w->r), N);
    world_free(w);
}

/* After a restart the guards that were drawn then are used, though the view has not settled; none is drawn. */
static void guards_of_an_earlier_run_need_no_settled_view(void **state)
{
    static uint8_t file[RELAYS_GUARDS_FILE_MAX];
    struct world *w = world_new(false);
    struct onion_hop before[3], h[3];
    struct relays_view v;

    (void)state;
    world_add(w);
    assert_int_equal(path_of(w->r, &three, 0, before), QUDAG_OK);
    size_t len = relays_guards_save(w->r, file, sizeof file);
    relays_free(w->r);
    pool_new(w, false, 2);
    relays_view_get(w->r, &v);
    assert_false(v.restored);
    assert_int_equal(relays_guards_load(w->r, (struct slice){file, len}), QUDAG_OK);
    relays_expire(w->r, WALL, true);
    world_add(w);
    relays_view_get(w->r, &v);
    assert_true(v.restored);
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_ENORELAYS);
    w->r->guard[w->r->n_guards - 1]->until = 1; /* its date comes */
    relays_usable(w->r);
    relays_expire(w->r, WALL, true);
    assert_int_equal(relays_path(w->r, &three, 0, h), QUDAG_OK);
    assert_true(peer_id_eq(&h[0].peer, &before[0].peer));
    assert_int_equal(w->r->n_guards, RELAYS_SAMPLE_MAX - 1); /* none in its place yet */
    relays_settled(w->r, WALL);
    assert_int_equal(w->r->n_guards, RELAYS_SAMPLE_MAX);
    world_free(w);
}

/* Off for two weeks: the guards' dates have not come, those of the second layer have, and none is drawn yet. */
static void without_second_layer_guards_a_view_is_not_usable_before_it_has_settled(void **state)
{
    static uint8_t file[RELAYS_GUARDS_FILE_MAX];
    struct world *w = world_new(false);
    struct onion_hop h[3];
    struct relays_view v;

    (void)state;
    world_add(w);
    assert_int_equal(path_of(w->r, &three, 0, h), QUDAG_OK);
    size_t len = relays_guards_save(w->r, file, sizeof file);
    relays_free(w->r);
    pool_new(w, false, 2);
    assert_int_equal(relays_guards_load(w->r, (struct slice){file, len}), QUDAG_OK);
    world_add(w);
    for (uint32_t i = 0; i < w->r->n_second; i++) {
        w->r->second[i]->until = 1;
    }
    relays_expire(w->r, WALL, true);
    assert_int_equal(w->r->n_second, 0);
    assert_int_not_equal(w->r->n_guards, 0);
    relays_view_get(w->r, &v);
    v.lookups = RELAYS_VIEW_LOOKUPS;
    assert_false(relays_view_usable(&v));
    v.quiet = RELAYS_VIEW_QUIET;
    v.waiting = 0;
    assert_true(relays_view_usable(&v));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_has_settled_when_it_is_large_or_quiet_or_old),
        cmocka_unit_test(fresh_peer_ids_of_one_host_do_not_keep_a_view_from_settling),
        cmocka_unit_test(relays_of_other_networks_are_new_each),
        cmocka_unit_test(guards_of_an_earlier_run_need_no_settled_view),
        cmocka_unit_test(without_second_layer_guards_a_view_is_not_usable_before_it_has_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
