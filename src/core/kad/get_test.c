/* What answers to a read say, and when they are enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/serve_bed.h"

#define PEERS 3

/* Answers the read of "/v/a" of all peers with |value|s in turn; what was reported, or NULL. */
static const struct kad_result *read_values(struct bed *b, const struct kad_options *opt,
                                            const char *const value[PEERS])
{
    static uint8_t buf[KAD_MSG_MAX];
    const struct kad_result *r = NULL;
    uint64_t cookie[PEERS];
    struct peer_id from[PEERS];
    size_t n = 0, len = 0;

    for (unsigned i = 0; i < PEERS; i++) {
        struct kad_peer_info p = peer(i);
        kad_preload(b->k, &p, 10 * NS_PER_MS, b->now);
    }
    assert_int_equal(kad_get(b->k, 1, S("/v/a"), opt, b->now, fresh(b)), QUDAG_OK);
    for (size_t i = 0; i < b->out.n; i++) {
        if (b->v[i].type == ACT_OPEN) {
            assert_true(n < PEERS);
            cookie[n] = b->v[i].cookie;
            from[n++] = b->v[i].peer;
        }
    }
    assert_int_equal(n, PEERS);
    for (uint32_t i = 0; i < PEERS; i++) {
        tell(b, &(struct ev){
                    .type = EV_STREAM_OPEN, .strm = {i, 1}, .cookie = cookie[i], .peer = &from[i]});
    }
    for (uint32_t i = 0; i < PEERS; i++) {
        struct kad_msg m = put(S("/v/a"), (struct slice){(const uint8_t *)value[i], 3});
        m.type = KAD_GET_VALUE;
        assert_int_equal(kad_msg_encode(buf, sizeof(buf), &len, &m), QUDAG_OK);
        tell(b, &(struct ev){.type = EV_DATA, .strm = {i, 1}, .data = {buf, len}});
        for (size_t a = 0; a < b->out.n; a++) {
            r = b->v[a].type == ACT_UP && b->v[a].kind == KAD_UP_DONE ? b->v[a].ptr : r;
        }
    }
    return r;
}

static void a_value_is_confirmed_by_nodes_that_hold_exactly_it(void **state)
{
    (void)state;
    static const char *const same[PEERS] = {"v1a", "v1a", "v1a"};
    static const char *const other[PEERS] = {"v1a", "v1b", "v1c"}; /* worth the same */
    static const char *const newer[PEERS] = {"v1a", "v1b", "v2a"};
    static const struct {
        const char *const *value;
        size_t holders;
        const char *best;
    } cases[] = {{same, 3, "v1a"}, {other, 1, "v1a"}, {newer, 1, "v2a"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bed *b = bed_new(NULL);
        struct kad_options opt = {.read = KAD_READ_CONFIRMED};
        const struct kad_result *r = read_values(b, &opt, cases[i].value);
        assert_non_null(r); /* nobody is left to ask */
        assert_int_equal(r->n_peers, cases[i].holders);
        assert_int_equal(r->value.len, 3);
        assert_memory_equal(r->value.base, cases[i].best, 3);
        bed_free(b);
    }
}

/* The host may call again before it has come to a report, with the same list: an open that fails at once. */
static void what_was_reported_stays_until_the_list_is_carried_out(void **state)
{
    (void)state;
    static const char *const same[PEERS] = {"v1a", "v1a", "v1a"};
    struct ev other = {.type = EV_STREAM_FAIL, .cookie = 12345, .err = QUDAG_ENOMEM};
    struct kad_options opt = {.read = KAD_READ_CONFIRMED};
    struct bed *b = bed_new(NULL);
    const struct kad_result *r = read_values(b, &opt, same);
    size_t used = b->mem.used;

    assert_non_null(r);
    kad_ops.event(b->k, &other, b->now, &b->out);
    assert_int_equal(b->mem.used, used);
    assert_int_equal(r->value.len, 3);
    assert_memory_equal(r->value.base, "v1a", 3);
    tell(b, &other);
    assert_true(b->mem.used < used);
    bed_free(b);
}

/* Puts that were reported and are still being sent count: who does not wait for them begins no more without end. */
static void requests_on_their_way_after_their_report_are_bounded(void **state)
{
    struct bed *b = bed_new(NULL);
    uint32_t most = KAD_REQUESTS_AFTER * b->k->requests.max;
    (void)state;

    b->k->requests.n_after = most - 1;
    assert_false(kad_requests_full(b->k));
    b->k->requests.n_after = most;
    assert_true(kad_requests_full(b->k));
    assert_int_equal(kad_get(b->k, 1, S("/v/a"), NULL, b->now, fresh(b)), QUDAG_ELIMIT);
    assert_int_equal(b->out.n, 0);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_confirmed_by_nodes_that_hold_exactly_it),
        cmocka_unit_test(what_was_reported_stays_until_the_list_is_carried_out),
        cmocka_unit_test(requests_on_their_way_after_their_report_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
