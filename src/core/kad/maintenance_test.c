/* What a kad does by itself, and whom it tells which key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/kad_int.h"
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

    assert_true(kad_table_nearest(&b->k->routing.table) > 0);
    for (unsigned i = 0; i < PEERS; i++) { /* nobody is left to ask */
        uint8_t hash[SHA256_LEN];
        struct kad_peer_info p = peer(i);
        sha256(hash, peer_id_slice(&p.id));
        (void)kad_table_failed(&b->k->routing.table, hash, false);
    }
    b->k->care.fill = 0;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_int_equal(b->k->requests.n_internal, 0);
    assert_false(b->k->care.filling);
    assert_int_equal(b->k->care.fill, KAD_FILLED);
    bed_free(b);
}

static void buckets_are_filled_later_when_there_is_too_much_to_do(void **state)
{
    (void)state;
    struct bed *b = bed_with_peers();

    b->k->care.fill = 0;
    b->k->requests.n_internal = KAD_REQUESTS_INTERNAL;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_false(b->k->care.filling);
    assert_int_not_equal(b->k->care.fill, KAD_FILLED);
    b->k->requests.n_internal = 0;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_true(b->k->care.filling);
    bed_free(b);
}

static void what_we_publish_outlives_a_time_when_it_cannot_be_validated(void **state)
{
    (void)state;
    struct bed *b = bed_with_peers();
    struct kad_publication *e;

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(
            kad_publication_add(&b->k->storage.pubs, S("/v/a"), S("v1"), false, b->now), QUDAG_OK);
        e = LIST_ENTRY(b->k->storage.pubs.list.next, struct kad_publication, node);
        e->value[0] =
            i == 0 ? 'c' : 'E'; /* for the validator: our clock is behind, it has expired */
        b->now = e->timer.node.at;
        kad_ops.tick(b->k, b->now, fresh(b));
        assert_int_equal(b->k->storage.pubs.n, i == 0 ? 1 : 0);
    }
    bed_free(b);
}

/* In a network of any size a stranger is told a key that is not the one looked for. */
static void a_masked_read_is_masked_in_the_largest_network(void **state)
{
    (void)state;

    for (unsigned bits = 8; bits <= 40; bits++) {
        struct bed *b = bed_with_peers();
        struct kad_options opt = {.masked = true};
        b->k->routing.size.space = UINT64_C(1) << (64 - bits);
        b->k->routing.size.n = 1;
        assert_int_equal(kad_get(b->k, 1, S("/v/secret"), &opt, b->now, fresh(b)), QUDAG_OK);
        const struct kad_request *j =
            LIST_ENTRY(b->k->requests.running.next, struct kad_request, node);
        assert_false(list_empty(&j->look.owner.rpcs));
        LIST_EACH(it, &j->look.owner.rpcs)
        {
            const struct kad_rpc *r = LIST_ENTRY(it, struct kad_rpc, node);
            bool near = kad_cpl(j->look.hash, r->peer->hash) >= j->look.mask_bits;
            assert_int_equal(r->call.alt, near ? KAD_ALT_NONE : KAD_ALT_MASK);
        }
        assert_in_range(j->look.mask_bits, 1, KAD_PREFIX_BITS);
        bed_free(b);
    }
}

static void a_late_node_is_counted_once(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_peer_info p = peer(0);
    const struct kad_result *r = NULL;

    kad_preload(b->k, &p, 10 * NS_PER_MS, b->now);
    assert_int_equal(kad_get(b->k, 1, S("/v/a"), NULL, b->now, fresh(b)), QUDAG_OK);
    assert_int_equal(acts_of(b, ACT_OPEN), 1);
    for (unsigned i = 0; i < 100 && r == NULL; i++) {
        b->now += 100 * NS_PER_MS;
        kad_ops.tick(b->k, b->now, fresh(b));
        for (size_t a = 0; a < b->out.n; a++) {
            r = b->v[a].type == ACT_UP ? b->v[a].ptr : r;
        }
    }
    assert_non_null(r);
    assert_int_equal(r->rpcs, 1);
    assert_int_equal(r->failures, 1);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_filled_though_a_lookup_ended_before_it_began),
        cmocka_unit_test(buckets_are_filled_later_when_there_is_too_much_to_do),
        cmocka_unit_test(what_we_publish_outlives_a_time_when_it_cannot_be_validated),
        cmocka_unit_test(a_masked_read_is_masked_in_the_largest_network),
        cmocka_unit_test(a_late_node_is_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
