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
    b->k->rpcs.slots.max = 0; /* nobody can be asked */
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

/* Lets |b| come to its next time, fails what it opened with |err|; the number of opens. */
static size_t turn(struct bed *b, tstamp at, qudag_err err)
{
    uint64_t cookie[8];
    size_t n = 0;

    b->now = at;
    kad_ops.tick(b->k, b->now, fresh(b));
    for (size_t i = 0; i < b->out.n; i++) {
        if (b->v[i].type == ACT_OPEN) {
            assert_true(n < ARRAY_LEN(cookie));
            cookie[n++] = b->v[i].cookie;
        }
    }
    for (size_t i = 0; i < n; i++) {
        tell(b, &(struct ev){.type = EV_STREAM_FAIL, .cookie = cookie[i], .err = err});
    }
    return n;
}

/* Opens of the last call; *dials: how many of them may dial. */
static size_t opens(const struct bed *b, size_t *dials)
{
    size_t n = 0;

    *dials = 0;
    for (size_t i = 0; i < b->out.n; i++) {
        n += b->v[i].type == ACT_OPEN ? 1 : 0;
        *dials += b->v[i].type == ACT_OPEN && !b->v[i].no_dial ? 1 : 0;
    }
    return n;
}

static struct kad_contact *departed(struct bed *b)
{
    struct kad_peer_info p = peer(3);
    uint8_t hash[SHA256_LEN];

    sha256(hash, peer_id_slice(&p.id));
    struct kad_contact *c = kad_contacts_make(&b->k->routing, &p, hash);
    assert_non_null(c);
    kad_departed_add(&b->k->routing.departed, c, &b->k->env.rng, b->now);
    return c;
}

static void a_departed_contact_is_asked_eight_times_and_no_more(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_contact *c = departed(b);
    size_t asked = 0;

    for (unsigned i = 0; i < 20 && b->k->routing.departed.n > 0; i++) {
        asked += turn(b, b->k->routing.departed.next, QUDAG_EUNREACHABLE);
    }
    assert_int_equal(asked, 8);
    kad_contact_unref(c);
    bed_free(b);
}

static void a_departed_contact_that_could_not_be_asked_was_not(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_contact *c = departed(b);
    size_t asked = 0;

    b->k->rpcs.n_checks = KAD_CHECKS_MAX;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(turn(b, b->k->routing.departed.next, QUDAG_EUNREACHABLE), 0);
    }
    b->k->rpcs.n_checks = 0;
    for (unsigned i = 0; i < 20 && b->k->routing.departed.n > 0; i++) {
        asked += turn(b, b->k->routing.departed.next, QUDAG_EUNREACHABLE);
    }
    assert_int_equal(asked, 8);
    kad_contact_unref(c);
    bed_free(b);
}

static void only_silence_makes_checks_come_sooner(void **state)
{
    static const struct {
        qudag_err err;
        bool sooner;
    } row[] = {{QUDAG_EUNREACHABLE, true}, {QUDAG_ETIMEOUT, true}, {QUDAG_ECANCELED, false},
               {QUDAG_ENOMEM, false},      {QUDAG_ELIMIT, false},  {QUDAG_ECLOSED, false}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct bed *b = bed_new(NULL);
        struct kad_contact *c = departed(b);
        assert_int_equal(turn(b, b->k->routing.departed.next, row[i].err), 1);
        assert_int_equal(b->k->routing.idle_check < KAD_IDLE_CHECK, row[i].sooner);
        kad_contact_unref(c);
        bed_free(b);
    }
}

static void a_part_that_could_not_be_looked_into_is_looked_into_later(void **state)
{
    (void)state;
    struct bed *b = bed_with_peers();

    b->k->care.fill = 0;
    b->k->requests.n_internal = KAD_REQUESTS_INTERNAL;
    kad_ops.tick(b->k, b->now, fresh(b));
    unsigned part = b->k->care.fill;
    assert_true(kad_table_lacks(&b->k->routing.table, part / KAD_PARTS, part % KAD_PARTS));
    b->k->requests.n_internal = 0;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_true(b->k->care.filling);
    assert_int_equal(b->k->care.fill, part + 1);
    bed_free(b);
}

static void a_lookup_that_knows_nobody_else_asks_those_that_failed(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    size_t dials;

    for (unsigned i = 0; i < 3; i++) {
        uint8_t hash[SHA256_LEN];
        struct kad_peer_info p = peer(i);
        kad_preload(b->k, &p, 10 * NS_PER_MS, b->now);
        sha256(hash, peer_id_slice(&p.id));
        assert_int_equal(kad_find(b->k, i, S("key"), b->now, fresh(b)), QUDAG_OK);
        assert_int_equal(opens(b, &dials), 1); /* those before have failed */
        kad_cancel(b->k, i, fresh(b));
        (void)kad_table_failed(&b->k->routing.table, hash, false);
    }
    assert_int_equal(kad_find(b->k, 9, S("key"), b->now, fresh(b)), QUDAG_OK);
    assert_int_equal(opens(b, &dials), 3);
    bed_free(b);
}

static void who_knows_nobody_asks_those_that_left_over_links_that_stand(void **state)
{
    (void)state;
    struct bed *b = bed_with_peers();
    struct kad_routing *r = &b->k->routing;
    size_t dials, n = 0;

    for (unsigned i = 0; i < PEERS; i++) {
        uint8_t hash[SHA256_LEN];
        struct kad_peer_info p = peer(i);
        sha256(hash, peer_id_slice(&p.id));
        struct kad_contact *c = kad_table_find(&r->table, hash);
        if (c == NULL) {
            continue;
        }
        if (n++ < 3) {
            kad_departed_add(&r->departed, c, &b->k->env.rng, b->now);
        }
    }
    while (r->table.n > 0) {
        (void)kad_table_remove(&r->table, kad_contacts_idlest(r)->hash);
    }
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_int_equal(opens(b, &dials), 3);
    assert_int_equal(dials, 0);
    assert_true(kad_ops.deadline(b->k) <= b->now + NS_PER_S);
    uint64_t cookie[3];
    for (size_t i = 0, a = 0; a < b->out.n; a++) {
        if (b->v[a].type == ACT_OPEN) {
            cookie[i++] = b->v[a].cookie;
        }
    }
    for (size_t i = 0; i < 3;
         i++) { /* no link stands: that costs nothing, and nobody is given up for it */
        tell(b, &(struct ev){.type = EV_STREAM_FAIL, .cookie = cookie[i], .err = QUDAG_ECLOSED});
    }
    assert_int_equal(r->departed.n, 3);
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_int_equal(opens(b, &dials), 0); /* not at once */
    b->now += NS_PER_S;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_int_equal(opens(b, &dials), 3);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_filled_though_a_lookup_ended_before_it_began),
        cmocka_unit_test(buckets_are_filled_later_when_there_is_too_much_to_do),
        cmocka_unit_test(a_part_that_could_not_be_looked_into_is_looked_into_later),
        cmocka_unit_test(a_departed_contact_is_asked_eight_times_and_no_more),
        cmocka_unit_test(a_departed_contact_that_could_not_be_asked_was_not),
        cmocka_unit_test(only_silence_makes_checks_come_sooner),
        cmocka_unit_test(what_we_publish_outlives_a_time_when_it_cannot_be_validated),
        cmocka_unit_test(a_masked_read_is_masked_in_the_largest_network),
        cmocka_unit_test(a_late_node_is_counted_once),
        cmocka_unit_test(a_lookup_that_knows_nobody_else_asks_those_that_failed),
        cmocka_unit_test(who_knows_nobody_asks_those_that_left_over_links_that_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
