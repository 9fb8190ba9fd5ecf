/* doubt_test.c - relays that are not where their descriptors say: newer ones are looked for at once, not too often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_bed.h"

static void a_relay_that_moved_is_looked_for_at_once(void **state)
{
    struct world *w = world_new(false);
    struct peer_id moved = peer_of(3), found;
    tstamp now = NS_PER_S;
    (void)state;
    world_add(w);
    assert_false(relays_next_fetch(w->r, now, &found));
    relays_doubt(w->r, &moved, now);
    assert_true(relays_next_fetch(w->r, now, &found));
    assert_true(peer_id_eq(&found, &moved));
    w->d[3].seq++;
    assert_int_equal(relays_add(w->r, &w->d[3]), QUDAG_OK);
    assert_false(relays_next_fetch(w->r, now + 3600 * NS_PER_S, &found));
    world_free(w);
}

/* The new one is not out yet; and others may say so as often as they like. */
static void it_is_looked_for_again_every_ten_seconds_at_most(void **state)
{
    struct world *w = world_new(false);
    struct peer_id moved = peer_of(3), found;
    unsigned n = 0;
    (void)state;
    world_add(w);
    for (tstamp now = NS_PER_S; now < 61 * NS_PER_S; now += NS_PER_S / 2) {
        relays_doubt(w->r, &moved, now);
        n += relays_next_fetch(w->r, now, &found) ? 1 : 0;
    }
    assert_in_range(n, 5, 7);
    world_free(w);
}

/* Whom we do not know others may not make us look for, and guards are not asked for in the open. */
static void others_cannot_make_us_look_for_anybody(void **state)
{
    struct world *w = world_new(false);
    struct peer_id stranger = peer_of(150), found;
    struct onion_hop h[3];
    (void)state;
    world_add(w);
    relays_doubt(w->r, &stranger, NS_PER_S);
    assert_false(relays_next_fetch(w->r, NS_PER_S, &found));
    assert_int_equal(path_of(w->r, &(struct relays_path_want){.n = 3}, NS_PER_S, h), QUDAG_OK);
    relays_doubt(w->r, &h[0].peer, NS_PER_S);
    assert_false(relays_next_fetch(w->r, NS_PER_S, &found));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_that_moved_is_looked_for_at_once),
        cmocka_unit_test(it_is_looked_for_again_every_ten_seconds_at_most),
        cmocka_unit_test(others_cannot_make_us_look_for_anybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
