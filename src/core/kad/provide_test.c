/* Others say that they provide something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/serve_bed.h"

#define AN_HOUR 4

static void say_it_provides(struct bed *b, uint8_t content, const struct kad_peer_info *who)
{
    struct kad_peer_info own = *who;
    uint8_t key[2] = {'k', content};
    struct kad_msg m = {
        .type = KAD_ADD_PROVIDER, .key = {key, sizeof(key)}, .providers = &own, .n_providers = 1};

    come(b, content, &who->id);
    ask(b, content, &m);
    go(b, content);
}

static void a_peer_provides_no_more_in_an_hour_than_its_quota(void **state)
{
    (void)state;
    struct kad_config c = {.limits.records.peer = AN_HOUR};
    struct bed *b = bed_new(&c);
    struct kad_peer_info p = peer(1);
    struct kad_stats s;

    for (uint8_t i = 0; i < 2 * AN_HOUR; i++) {
        say_it_provides(b, i, &p);
    }
    kad_stats_get(b->k, &s);
    assert_int_equal(s.providers, AN_HOUR);
    assert_int_equal(refused(b, KAD_REFUSED_QUOTA), AN_HOUR);
    for (uint8_t i = 0; i < AN_HOUR; i++) { /* again is nothing new */
        say_it_provides(b, i, &p);
    }
    assert_int_equal(refused(b, KAD_REFUSED_QUOTA), AN_HOUR);
    struct kad_peer_info other = peer(2);
    say_it_provides(b, 9, &other);
    kad_stats_get(b->k, &s);
    assert_int_equal(s.providers, AN_HOUR + 1);
    bed_free(b);
}

/* It is said that nothing follows, and nothing does. */
static void what_cannot_begin_is_not_published(void **state)
{
    (void)state;
    struct kad_options opt = {.republish = true};
    struct kad_put_args args = {S("/v/a"), S("v1"), &opt};
    struct kad_peer_info self = peer(7);
    qudag_err err = QUDAG_ENOMEM;

    for (unsigned provide = 0; provide < 2; provide++, err = QUDAG_ENOMEM) {
        for (uint64_t at = 1; err != QUDAG_OK; at++) {
            struct bed *b = bed_new(NULL);
            struct kad_stats s;
            kad_set_addrs(b->k, self.addr, 1);
            assert_true(at < 100);
            b->mem.fail_at = at;
            err = provide != 0 ? kad_provide(b->k, 1, S("k"), b->now, fresh(b))
                               : kad_put(b->k, 1, &args, b->now, fresh(b));
            b->mem.fail_at = 0;
            assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
            kad_stats_get(b->k, &s);
            assert_int_equal(s.published, err == QUDAG_OK ? 1 : 0);
            assert_int_equal(acts_of(b, ACT_UP), err == QUDAG_OK ? 1 : 0);
            bed_free(b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_begin_is_not_published),
        cmocka_unit_test(a_peer_provides_no_more_in_an_hour_than_its_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
