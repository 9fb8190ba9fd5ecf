/* Records and provider records, alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/routing/contact_kit.h"
#include "core/kad/storage/store.h"

static void store(struct kad_store *s, uint32_t records, uint32_t providers)
{
    struct kad_store_config c = {.records_max = records, .providers_max = providers};
    static struct kad_env env;
    static const uint8_t seed[32] = {4};

    mem_init(&mem, NULL, 0);
    env = (struct kad_env){.mem = &mem};
    peer_id_from_ed25519(&env.self, (const uint8_t[32]){1});
    sha256(env.hash, peer_id_slice(&env.self));
    kad_store_init(s, &env, &c, seed);
}

static void full_store_keeps_what_is_closest_to_itself(void **state)
{
    (void)state;
    struct kad_store s;
    uint8_t all[200][SHA256_LEN];

    store(&s, 50, 10);
    for (unsigned i = 0; i < 200; i++) {
        struct slice key = {(const uint8_t *)&i, sizeof(i)};
        sha256(all[i], key);
        qudag_err err = kad_store_put(&s, key, key, 100, 200);
        assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
    }
    assert_int_equal(s.n_records, 50);
    for (unsigned i = 0; i < 200; i++) {
        unsigned nearer = 0;
        for (unsigned o = 0; o < 200; o++) {
            nearer += kad_dist_cmp(s.self, all[o], all[i]) < 0 ? 1 : 0;
        }
        assert_int_equal(kad_store_get(&s, all[i], 150) != NULL, nearer < 50);
        assert_null(kad_store_get(&s, all[i], 200)); /* expired, not yet removed */
    }
    kad_store_expire(&s, 200);
    assert_int_equal(s.n_records, 0);
    kad_store_fini(&s);
    assert_int_equal(mem.used, 0);
}

static void a_key_has_a_bounded_number_of_providers(void **state)
{
    (void)state;
    struct kad_store s;
    struct kad_contact *got[KAD_KEY_PROVIDERS];
    uint8_t hash[SHA256_LEN] = {3};

    store(&s, 10, 100);
    for (unsigned i = 0; i < 30; i++) {
        struct kad_contact *p = peer(i, i);
        qudag_err err = kad_store_provide(&s, hash, p, 100, i < 5 ? 150 : 200);
        assert_int_equal(err, i < KAD_KEY_PROVIDERS ? QUDAG_OK : QUDAG_ELIMIT);
        if (err == QUDAG_OK) { /* again is no second entry */
            assert_int_equal(kad_store_provide(&s, hash, p, 100, i < 5 ? 150 : 200), QUDAG_OK);
        }
        kad_contact_unref(p);
    }
    assert_int_equal(kad_store_providers(&s, hash, 120, KAD_KEY_PROVIDERS, got), KAD_KEY_PROVIDERS);
    assert_int_equal(kad_store_providers(&s, hash, 150, KAD_KEY_PROVIDERS, got), 15);
    struct kad_contact *p = peer(99, 99); /* in the place of an expired one */
    assert_int_equal(kad_store_provide(&s, hash, p, 160, 300), QUDAG_OK);
    kad_contact_unref(p);
    kad_store_expire(&s, 250);
    assert_int_equal(s.n_providers, 1);
    kad_store_fini(&s);
    assert_int_equal(mem.used, 0);
}

static void providers_of_the_keys_closest_to_the_store_stay_when_it_is_full(void **state)
{
    (void)state;
    struct kad_store s;
    struct kad_contact *got[KAD_KEY_PROVIDERS], *p;
    uint8_t all[200][SHA256_LEN];

    store(&s, 10, 50);
    p = peer(1, 1);
    for (unsigned i = 0; i < 200; i++) {
        sha256(all[i], (struct slice){(const uint8_t *)&i, sizeof(i)});
        qudag_err err = kad_store_provide(&s, all[i], p, 100, 200);
        assert_true(err == QUDAG_OK || err == QUDAG_ELIMIT);
    }
    assert_int_equal(s.n_providers, 50);
    for (unsigned i = 0; i < 200; i++) {
        unsigned nearer = 0;
        for (unsigned o = 0; o < 200; o++) {
            nearer += kad_dist_cmp(s.self, all[o], all[i]) < 0 ? 1 : 0;
        }
        assert_int_equal(kad_store_providers(&s, all[i], 150, 1, got), nearer < 50 ? 1 : 0);
    }
    kad_contact_unref(p);
    kad_store_fini(&s);
    assert_int_equal(mem.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_store_keeps_what_is_closest_to_itself),
        cmocka_unit_test(a_key_has_a_bounded_number_of_providers),
        cmocka_unit_test(providers_of_the_keys_closest_to_the_store_stay_when_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
