/* What a kad does by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/serve_bed.h"

#define PEERS 60

static struct bed *bed_with_peers(void)
{
    struct bed *b = bed_new(NULL);

    for (unsigned i = 0; i < PEERS; i++) {
        struct kad_peer_info p = peer(i);
        kad_preload(b->k, &p, 10 * NS_PER_MS, b->now);
    }
    return b;
}

static void buckets_are_filled_though_a_lookup_ended_before_it_began(void **state)
{
    (void)state;
    struct bed *b = bed_with_peers();

    assert_true(kad_table_nearest(&b->k->table) > 0);
    for (unsigned i = 0; i < PEERS; i++) { /* nobody is left to ask */
        uint8_t hash[SHA256_LEN];
        struct kad_peer_info p = peer(i);
        sha256(hash, peer_id_slice(&p.id));
        (void)kad_table_failed(&b->k->table, hash, false);
    }
    b->k->fill = 0;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_int_equal(b->k->n_internal, 0);
    assert_false(b->k->filling);
    assert_int_equal(b->k->fill, KAD_FILLED);
    bed_free(b);
}

static void buckets_are_filled_later_when_there_is_too_much_to_do(void **state)
{
    (void)state;
    struct bed *b = bed_with_peers();

    b->k->fill = 0;
    b->k->n_internal = KAD_JOBS_INTERNAL;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_false(b->k->filling);
    assert_int_not_equal(b->k->fill, KAD_FILLED);
    b->k->n_internal = 0;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_true(b->k->filling);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_filled_though_a_lookup_ended_before_it_began),
        cmocka_unit_test(buckets_are_filled_later_when_there_is_too_much_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
