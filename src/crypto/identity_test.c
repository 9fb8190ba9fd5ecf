/* identity_test.c - making, keeping and loading the two keys of a node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/identity.h"
#include "crypto/init.h"
#include "crypto/unhex_test.h"

static const uint8_t seed[32] = {42};

static void make(struct identity *id)
{
    struct rng_stream s;

    rng_stream_init(&s, seed);
    struct rng rng = rng_of_stream(&s);
    assert_int_equal(identity_generate(id, &rng), QUDAG_OK);
}

static void one_seed_makes_one_identity_for_ever(void **state)
{
    static struct identity id;
    uint8_t file[IDENTITY_FILE_LEN];
    (void)state;

    make(&id);
    identity_save(&id, file);
    assert_hex_equal(id.ed_pk, 32,
                     "552ea700fcbfa7e320ea0cf90555c989f3bcfead7058c747b212b17d2cebab1c");
    assert_hex_equal(id.pq_hash, 32,
                     "581fcaf02238bf8e61acaa30443abd05ada872aaec42cd2b6e20d0c1c27a7ca0");
    assert_hex_equal(file, IDENTITY_FILE_LEN,
                     "51554441474944311f76e526510ae36a625c8b5c597febb416042cce3db589b3dc82a8f7"
                     "a4a86626eb604128710fd1d804264f1a5b080a60565149f216a0b528d73e96ab2da98ac1"
                     "00000000f3487eed9aaf99cf1314a202dcbc94c1d861b6856bc64e959df4a31fb72b8eb1");
    identity_fini(&id);
}

static void what_was_saved_loads_and_signs(void **state)
{
    static struct identity id, back;
    static uint8_t sig[MLDSA65_SIG_LEN];
    uint8_t file[IDENTITY_FILE_LEN];
    struct rng_stream s;
    struct slice m = {seed, sizeof seed}, none = {NULL, 0};
    (void)state;

    make(&id);
    identity_save(&id, file);
    assert_int_equal(identity_load(&back, (struct slice){file, sizeof file}), QUDAG_OK);
    assert_memory_equal(back.ed_pk, id.ed_pk, sizeof id.ed_pk);
    assert_memory_equal(back.pq_pk, id.pq_pk, sizeof id.pq_pk);
    assert_memory_equal(back.pq_hash, id.pq_hash, sizeof id.pq_hash);
    assert_int_equal(ed25519_sign(sig, &back.ed_sk, m), QUDAG_OK);
    assert_int_equal(ed25519_verify(id.ed_pk, sig, m), QUDAG_OK);
    rng_stream_init(&s, seed);
    struct rng rng = rng_of_stream(&s);
    assert_int_equal(mldsa65_sign(sig, back.pq_sk, none, m, &rng), QUDAG_OK);
    assert_int_equal(mldsa65_verify(id.pq_pk, sig, none, m), QUDAG_OK);
    identity_fini(&id);
    identity_fini(&back);
}

static void assert_empty(const struct identity *id)
{
    const uint8_t *p = (const uint8_t *)id;

    for (size_t i = 0; i < sizeof *id; i++) {
        assert_int_equal(p[i], 0);
    }
}

static void a_file_cut_or_longer_is_malformed(void **state)
{
    static struct identity id, back;
    uint8_t file[IDENTITY_FILE_LEN + 1] = {0};
    (void)state;

    make(&id);
    identity_save(&id, file);
    for (size_t len = 0; len <= sizeof file; len++) {
        if (len != IDENTITY_FILE_LEN) {
            assert_int_equal(identity_load(&back, (struct slice){file, len}), QUDAG_EMALFORMED);
            assert_empty(&back);
        }
    }
    identity_fini(&id);
    assert_empty(&id);
}

static void damage_to_any_byte_is_noticed(void **state)
{
    static struct identity id, back;
    uint8_t file[IDENTITY_FILE_LEN];
    (void)state;

    make(&id);
    identity_save(&id, file);
    for (size_t i = 0; i < sizeof file; i++) {
        bool form = i < 8 || (i >= 72 && i < 76); /* magic and flags */
        file[i] ^= 0x20;
        assert_int_equal(identity_load(&back, (struct slice){file, sizeof file}),
                         form ? QUDAG_EMALFORMED : QUDAG_ECHECKSUM);
        assert_empty(&back);
        file[i] ^= 0x20;
    }
    identity_fini(&id);
}

static void starting_the_libraries_twice_is_harmless(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), QUDAG_OK);
    assert_int_equal(crypto_init(), QUDAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starting_the_libraries_twice_is_harmless),
        cmocka_unit_test(one_seed_makes_one_identity_for_ever),
        cmocka_unit_test(what_was_saved_loads_and_signs),
        cmocka_unit_test(a_file_cut_or_longer_is_malformed),
        cmocka_unit_test(damage_to_any_byte_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
