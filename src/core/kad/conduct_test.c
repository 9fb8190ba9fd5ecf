/* conduct_test.c - who is to blame, who confirms, what is kept from whom, and how often we try again by ourselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/serve_bed.h"

#define PEERS_MAX 8

/* What a request asked for: one stream each. */
struct asked {
    size_t n;
    uint64_t cookie[PEERS_MAX];
    struct peer_id to[PEERS_MAX];
};

static void preload(struct bed *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct kad_peer_info p = peer(i);
        kad_preload(b->k, &p, 10 * NS_PER_MS, b->now);
    }
}

static struct asked asked(const struct bed *b)
{
    struct asked a = {0};

    for (size_t i = 0; i < b->out.n; i++) {
        if (b->v[i].type == ACT_OPEN) {
            assert_true(a.n < PEERS_MAX);
            a.cookie[a.n] = b->v[i].cookie;
            a.to[a.n++] = b->v[i].peer;
        }
    }
    return a;
}

static void open_one(struct bed *b, const struct asked *a, size_t i, uint32_t slot)
{
    tell(b,
         &(struct ev){
             .type = EV_STREAM_OPEN, .strm = {slot, 1}, .cookie = a->cookie[i], .peer = &a->to[i]});
}

static size_t reports(const struct bed *b, uint8_t kind)
{
    size_t n = 0;

    for (size_t i = 0; i < b->out.n; i++) {
        n += b->v[i].type == ACT_UP && b->v[i].kind == kind ? 1 : 0;
    }
    return n;
}

/* One peer, asked for "/v/a" on stream {1, 1}. */
static struct bed *one_asked(void)
{
    struct bed *b = bed_new(NULL);

    preload(b, 1);
    assert_int_equal(kad_get(b->k, 1, S("/v/a"), NULL, b->now, fresh(b)), QUDAG_OK);
    struct asked a = asked(b);
    assert_int_equal(a.n, 1);
    open_one(b, &a, 0, 1);
    return b;
}

static void reply(struct bed *b, uint32_t slot, struct slice key, struct slice value)
{
    struct kad_msg m = put(key, value);

    m.type = KAD_GET_VALUE;
    ask(b, slot, &m);
}

static void a_forgery_is_held_against_a_peer_and_an_old_value_is_not(void **state)
{
    static const struct {
        const char *value;
        bool blamed;
    } row[] = {{"!forged", true}, {"E", false}, {"e", false}, {"c", false}, {"v1", false}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct bed *b = one_asked();
        reply(b, 1, S("/v/a"), (struct slice){(const uint8_t *)row[i].value, strlen(row[i].value)});
        assert_int_equal(b->k->routing.misbehaving != NULL, row[i].blamed);
        bed_free(b);
    }
}

static void a_value_of_another_key_is_refused_and_held_against_the_peer(void **state)
{
    (void)state;
    struct bed *b = one_asked();
    reply(b, 1, S("/v/b"), S("v1"));
    assert_int_equal(refused(b, KAD_REFUSED_OTHER_KEY), 1);
    assert_non_null(b->k->routing.misbehaving);
    bed_free(b);
}

static void values_that_differ_do_not_confirm_each_other(void **state)
{
    static const char *const value[] = {"v1a", "v1b", "v1c", "v2a"};
    (void)state;
    struct kad_options opt = {.read = KAD_READ_CONFIRMED};
    struct bed *b = bed_new(NULL);
    const struct kad_result *r = NULL;

    preload(b, 4);
    assert_int_equal(kad_get(b->k, 1, S("/v/a"), &opt, b->now, fresh(b)), QUDAG_OK);
    struct asked a = asked(b);
    assert_in_range(a.n, 3, 4);
    size_t next = a.n;
    for (uint32_t i = 0; i < a.n; i++) {
        open_one(b, &a, i, i);
    }
    for (uint32_t i = 0; i < 4 && r == NULL; i++) {
        reply(b, i, S("/v/a"), (struct slice){(const uint8_t *)value[i], 3});
        for (size_t k = 0; k < b->out.n; k++) {
            r = b->v[k].type == ACT_UP && b->v[k].kind == KAD_UP_DONE ? b->v[k].ptr : r;
        }
        struct asked more = asked(b);
        for (size_t k = 0; r == NULL && k < more.n; k++) {
            open_one(b, &more, k, (uint32_t)next++);
        }
    }
    assert_non_null(r);
    assert_memory_equal(r->value.base, "v2a", 3); /* three that differ were not enough */
    bed_free(b);
}

static void what_we_hold_ourselves_is_no_second_opinion(void **state)
{
    static const enum kad_read kinds[] = {KAD_READ_FIRST, KAD_READ_CONFIRMED, KAD_READ_QUORUM};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct bed *b = bed_new(NULL);
        struct kad_options opt = {.read = kinds[i]};
        preload(b, 3);
        assert_int_equal(
            kad_store_put(&b->k->storage.store, S("/v/a"), S("v1"), 1700000000, 1700001000),
            QUDAG_OK);
        assert_int_equal(kad_get(b->k, 1, S("/v/a"), &opt, b->now, fresh(b)), QUDAG_OK);
        assert_int_equal(reports(b, KAD_UP_DONE), kinds[i] == KAD_READ_FIRST ? 1 : 0);
        assert_int_equal(asked(b).n > 0, kinds[i] != KAD_READ_FIRST);
        bed_free(b);
    }
}

/* Whoever resets a read with it would have our clock suspected at no cost. */
static void only_a_refused_record_speaks_of_the_clock(void **state)
{
    static const qudag_err said[] = {QUDAG_ECLOCK, QUDAG_EEXPIRED};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        struct bed *b = one_asked();
        tell(b, &(struct ev){.type = EV_RESET, .strm = {1, 1}, .err = said[i]});
        assert_int_equal(reports(b, KAD_UP_CLOCK), 0);
        bed_free(b);
    }
}

static void streams_we_could_not_open_are_not_held_against_a_peer(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);

    preload(b, 1);
    b->k->routing.last_answer = b->now;
    for (uint64_t i = 0; i < 2 * KAD_RESETS_MAX; i++) {
        assert_int_equal(kad_get(b->k, i, S("/v/a"), NULL, b->now, fresh(b)), QUDAG_OK);
        struct asked a = asked(b);
        assert_int_equal(a.n, 1); /* it is asked again each time */
        tell(b, &(struct ev){.type = EV_STREAM_FAIL,
                             .cookie = a.cookie[0],
                             .peer = &a.to[0],
                             .err = QUDAG_ELIMIT});
    }
    assert_int_equal(b->k->routing.table.n, 1);
    bed_free(b);
}

static void so_many_entries_are_checked_at_once(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);

    for (unsigned i = 0; i < 2 * KAD_CHECKS_MAX; i++) {
        struct kad_peer_info info = peer(i);
        uint8_t hash[SHA256_LEN];
        sha256(hash, peer_id_slice(&info.id));
        struct kad_contact *c = kad_contact_new(&b->mem, &info, hash, false);
        kad_rpc_check(&b->k->rpcs, c, b->now, fresh(b));
        assert_int_equal(acts_of(b, ACT_OPEN), i < KAD_CHECKS_MAX ? 1 : 0);
        kad_contact_unref(c);
    }
    bed_free(b);
}

static void our_first_four_addresses_that_others_can_use_are_told(void **state)
{
    (void)state;
    struct kad_config c = {.lab = false};
    struct bed *b = bed_new(&c);
    struct multiaddr ma[6];

    for (uint8_t i = 0; i < 6; i++) {
        struct netaddr a = {.family = 4, .ip = {i < 4 ? 10 : 50, 0, 0, i}, .port = 4001};
        multiaddr_quic(&ma[i], &a, NULL);
    }
    kad_set_addrs(b->k, ma, 6);
    assert_int_equal(b->k->routing.self->info->n_addrs, 2);
    bed_free(b);
}

static void silence_alone_ends_no_further_than_at_its_bound(void **state)
{
    (void)state;
    assert_int_equal(kad_score_after(-35 * 256, KAD_CONDUCT_SILENT), -40 * 256);
    assert_int_equal(kad_score_after(-40 * 256, KAD_CONDUCT_SILENT), -40 * 256);
    assert_int_equal(kad_score_after(-80 * 256, KAD_CONDUCT_SILENT), -80 * 256);
}

static void a_client_stores_nothing_itself(void **state)
{
    (void)state;

    for (int server = 0; server <= 1; server++) {
        struct bed *b = bed_new(NULL);
        struct kad_stats st;
        b->k->env.server = server != 0;
        preload(b, 1);
        assert_int_equal(
            kad_put(b->k, 1, &(struct kad_put_args){S("/v/a"), S("v1"), NULL}, b->now, fresh(b)),
            QUDAG_OK);
        struct asked a = asked(b);
        assert_int_equal(a.n, 1);
        open_one(b, &a, 0, 1);
        struct kad_msg m = {.type = KAD_FIND_NODE};
        ask(b, 1, &m); /* the lookup is over: the storing begins */
        kad_stats_get(b->k, &st);
        assert_int_equal(st.records, server);
        bed_free(b);
    }
}

/* The report of the last call. */
static const struct act *done(const struct bed *b)
{
    for (size_t i = 0; i < b->out.n; i++) {
        if (b->v[i].type == ACT_UP && b->v[i].kind == KAD_UP_DONE) {
            return &b->v[i];
        }
    }
    fail_msg("no report");
    return &b->v[0]; /* not reached */
}

static void nobody_there_is_not_the_same_as_nothing_there(void **state)
{
    (void)state;

    for (int answers = 0; answers <= 1; answers++) {
        struct bed *b = bed_new(NULL);
        struct kad_peer_info nowhere = peer(50);
        preload(b, 1);
        assert_int_equal(kad_providers(b->k, 1, S("key"), b->now, fresh(b)), QUDAG_OK);
        struct asked a = asked(b);
        assert_int_equal(a.n, 1);
        nowhere.n_addrs = 0; /* a provider that cannot be dialled is none */
        struct kad_msg m = {
            .type = KAD_GET_PROVIDERS, .key = S("key"), .providers = &nowhere, .n_providers = 1};
        if (answers == 1) {
            open_one(b, &a, 0, 1);
            ask(b, 1, &m);
        } else {
            tell(b, &(struct ev){.type = EV_STREAM_FAIL,
                                 .cookie = a.cookie[0],
                                 .peer = &a.to[0],
                                 .err = QUDAG_EUNREACHABLE});
        }
        assert_int_equal(done(b)->err, answers == 1 ? QUDAG_ENOTFOUND : QUDAG_EUNREACHABLE);
        bed_free(b);
    }
}

/* Some implementations answer what needs no answer: that is not what was agreed, and no misconduct. */
static void an_answer_to_a_provider_record_is_refused_without_blame(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_peer_info us = peer(99);

    kad_set_addrs(b->k, us.addr, 1);
    preload(b, 1);
    assert_int_equal(kad_provide(b->k, 1, S("key"), b->now, fresh(b)), QUDAG_OK);
    struct asked a = asked(b);
    assert_int_equal(a.n, 1);
    open_one(b, &a, 0, 1);
    struct kad_msg m = {.type = KAD_FIND_NODE};
    ask(b, 1, &m);
    a = asked(b);
    assert_int_equal(a.n, 1);
    open_one(b, &a, 0, 2);
    m.type = KAD_ADD_PROVIDER;
    ask(b, 2, &m);
    assert_int_equal(refused(b, KAD_REFUSED_UNASKED), 1);
    assert_null(b->k->routing.misbehaving);
    bed_free(b);
}

/* Without memory for a key that only leads near, nothing is asked: least of all by the key itself. */
static void a_masked_read_says_nothing_rather_than_the_key(void **state)
{
    (void)state;
    struct kad_options opt = {.masked = true};
    struct bed *b = bed_new(NULL);
    unsigned far = 0;

    preload(b, 8);
    b->k->routing.size.space = UINT64_C(1) << 40;
    b->k->routing.size.n = 1;
    assert_int_equal(kad_get(b->k, 1, S("/v/secret"), &opt, b->now, fresh(b)), QUDAG_OK);
    struct asked a = asked(b);
    assert_true(a.n > 0);
    b->mem.max = b->mem.used + 4096;
    for (size_t i = 0; i < a.n; i++) {
        open_one(b, &a, i, (uint32_t)i);
        assert_int_equal(acts_of(b, ACT_WRITE), 0);
        far++;
    }
    assert_true(far > 0);
    b->mem.max = 0;
    bed_free(b);
}

static void entries_are_not_checked_all_the_time_however_many_are_dead(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);

    for (unsigned i = 0; i < 60; i++) {
        struct kad_peer_info info = peer(i);
        uint8_t hash[SHA256_LEN];
        sha256(hash, peer_id_slice(&info.id));
        struct kad_contact *c = kad_contact_new(&b->mem, &info, hash, false);
        kad_rpc_check(&b->k->rpcs, c, b->now, fresh(b));
        kad_contact_unref(c);
        struct asked a = asked(b);
        assert_int_equal(a.n, 1);
        tell(b, &(struct ev){.type = EV_STREAM_FAIL,
                             .cookie = a.cookie[0],
                             .peer = &a.to[0],
                             .err = QUDAG_ETIMEOUT});
    }
    assert_int_equal(b->k->routing.idle_check, KAD_IDLE_CHECK_MIN);
    bed_free(b);
}

/* ---- by ourselves ---- */

static void without_anybody_the_seeds_are_asked_more_and_more_rarely(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_peer_info p = peer(1);
    unsigned times = 0;

    kad_add_peer(b->k, &p, b->now, fresh(b));
    tstamp before = b->k->care.rejoin_at;
    for (unsigned s = 0; s < 7200; s++) {
        b->now += NS_PER_S;
        kad_ops.tick(b->k, b->now, fresh(b));
        struct asked a = asked(b);
        for (size_t i = 0; i < a.n; i++) {
            tell(b, &(struct ev){.type = EV_STREAM_FAIL,
                                 .cookie = a.cookie[i],
                                 .peer = &a.to[i],
                                 .err = QUDAG_EUNREACHABLE});
        }
        times += b->k->care.rejoin_at != before ? 1 : 0;
        before = b->k->care.rejoin_at;
    }
    assert_in_range(times, 8, 25); /* 30 s, doubling up to 10 min; each minute it would be 120 */
    bed_free(b);
}

static void what_has_expired_goes_by_itself(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);
    struct kad_stats st;

    assert_int_equal(
        kad_store_put(&b->k->storage.store, S("/v/a"), S("v1"), 1700000000, 1700000010), QUDAG_OK);
    for (unsigned s = 0; s < 90; s++) {
        b->now += NS_PER_S;
        kad_ops.tick(b->k, b->now, fresh(b));
    }
    kad_stats_get(b->k, &st);
    assert_int_equal(st.records, 0);
    bed_free(b);
}

static void a_heal_waits_for_its_pause(void **state)
{
    (void)state;
    struct bed *b = bed_new(NULL);

    preload(b, 3);
    b->k->routing.departed.heal = true;
    b->k->care.next_heal = b->now + 10 * NS_PER_S;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_true(b->k->routing.departed.heal);
    b->now += 10 * NS_PER_S;
    kad_ops.tick(b->k, b->now, fresh(b));
    assert_false(b->k->routing.departed.heal);
    assert_true(b->k->care.next_heal > b->now);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forgery_is_held_against_a_peer_and_an_old_value_is_not),
        cmocka_unit_test(a_value_of_another_key_is_refused_and_held_against_the_peer),
        cmocka_unit_test(values_that_differ_do_not_confirm_each_other),
        cmocka_unit_test(what_we_hold_ourselves_is_no_second_opinion),
        cmocka_unit_test(only_a_refused_record_speaks_of_the_clock),
        cmocka_unit_test(streams_we_could_not_open_are_not_held_against_a_peer),
        cmocka_unit_test(so_many_entries_are_checked_at_once),
        cmocka_unit_test(our_first_four_addresses_that_others_can_use_are_told),
        cmocka_unit_test(silence_alone_ends_no_further_than_at_its_bound),
        cmocka_unit_test(a_client_stores_nothing_itself),
        cmocka_unit_test(nobody_there_is_not_the_same_as_nothing_there),
        cmocka_unit_test(an_answer_to_a_provider_record_is_refused_without_blame),
        cmocka_unit_test(a_masked_read_says_nothing_rather_than_the_key),
        cmocka_unit_test(entries_are_not_checked_all_the_time_however_many_are_dead),
        cmocka_unit_test(without_anybody_the_seeds_are_asked_more_and_more_rarely),
        cmocka_unit_test(what_has_expired_goes_by_itself),
        cmocka_unit_test(a_heal_waits_for_its_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
