/* keyring_test.c - a data key behind a passphrase, and what is sealed with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/wipe.h"
#include "crypto/init.h"
#include "crypto/keyring.h"
#include "crypto/unhex_test.h"

#include <string.h>

static const struct keyring_cost cheap = {KEYRING_KIB_MIN, 1};
static struct rng_stream stream;
static struct rng rng;

static struct slice text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static int begin(void **state)
{
    static const uint8_t seed[32] = {7};
    (void)state;

    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    return 0;
}

static void the_right_passphrase_alone_gives_the_key_back(void **state)
{
    uint8_t file[KEYRING_FILE_LEN];
    struct keyring k, back;
    (void)state;

    keyring_new(&k, &rng);
    k.state = KEYRING_SEALING;
    assert_int_equal(keyring_save(&k, text("correct horse"), &cheap, &rng, file), QUDAG_OK);
    assert_int_equal(keyring_load(&back, (struct slice){file, sizeof(file)}, text("correct horse")),
                     QUDAG_OK);
    assert_memory_equal(back.key, k.key, sizeof(k.key));
    assert_int_equal(back.state, KEYRING_SEALING);
    static const char *const wrong[] = {"correct hors", "correct horse ", "Correct horse"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(keyring_load(&back, (struct slice){file, sizeof(file)}, text(wrong[i])),
                         QUDAG_EAUTH);
        assert_true(ct_is_zero(&back, sizeof(back)));
    }
    assert_int_equal(keyring_load(&back, (struct slice){file, sizeof(file)}, text("")),
                     QUDAG_EINVAL);
}

/* Memory and passes as they were set: a file that says less is no file. */
static void a_file_that_was_changed_anywhere_is_refused(void **state)
{
    uint8_t file[KEYRING_FILE_LEN], bad[KEYRING_FILE_LEN];
    struct keyring k, back;
    (void)state;

    keyring_new(&k, &rng);
    assert_int_equal(keyring_save(&k, text("p"), &(struct keyring_cost){2048, 2}, &rng, file),
                     QUDAG_OK);
    for (size_t i = 0; i < sizeof(file); i++) {
        memcpy(bad, file, sizeof(file));
        bad[i] ^= 1;
        assert_int_not_equal(keyring_load(&back, (struct slice){bad, sizeof(bad)}, text("p")),
                             QUDAG_OK);
        assert_true(ct_is_zero(&back, sizeof(back)));
    }
    for (size_t len = 0; len < sizeof(file); len++) {
        assert_int_equal(keyring_load(&back, (struct slice){file, len}, text("p")),
                         QUDAG_EMALFORMED);
    }
}

static void costs_have_bounds(void **state)
{
    static const struct {
        struct keyring_cost cost;
        bool fits;
    } table[] = {
        {{KEYRING_KIB_DEFAULT, KEYRING_PASSES_DEFAULT}, true},
        {{KEYRING_KIB_MIN, 1}, true},
        {{KEYRING_KIB_MIN - 1, 1}, false},
        {{KEYRING_KIB_MAX, 1}, true},
        {{KEYRING_KIB_MAX, KEYRING_WORK_MAX / KEYRING_KIB_MAX}, true},
        {{KEYRING_KIB_MAX, KEYRING_WORK_MAX / KEYRING_KIB_MAX + 1}, false},
        {{KEYRING_KIB_MAX + 1, 1}, false},
        {{KEYRING_KIB_MIN, 0}, false},
        {{0, 1}, false},
        {{UINT32_MAX, UINT32_MAX}, false},
    };
    uint8_t file[KEYRING_FILE_LEN];
    struct keyring k, back;
    (void)state;

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        assert_int_equal(keyring_cost_fits(&table[i].cost), table[i].fits);
    }
    keyring_new(&k, &rng);
    assert_int_equal(keyring_save(&k, text("p"), &cheap, &rng, file), QUDAG_OK);
    memset(file + 12, 0xff, 8); /* 4 TiB, for ever */
    assert_int_equal(keyring_load(&back, (struct slice){file, sizeof(file)}, text("p")),
                     QUDAG_EUNSUPPORTED);
    assert_int_equal(keyring_save(&k, text("p"), &(struct keyring_cost){0, 1}, &rng, file),
                     QUDAG_EINVAL);
    assert_true(ct_is_zero(file, sizeof(file)));
}

static void another_passphrase_leaves_items_readable(void **state)
{
    uint8_t file[2][KEYRING_FILE_LEN], item[10 + KEYRING_ITEM_EXTRA], plain[10];
    struct keyring k, back;
    (void)state;

    keyring_new(&k, &rng);
    assert_int_equal(keyring_seal(&k, text("a"), text("ten bytes!"), &rng, item), QUDAG_OK);
    assert_int_equal(keyring_save(&k, text("old"), &cheap, &rng, file[0]), QUDAG_OK);
    assert_int_equal(keyring_save(&k, text("new"), &cheap, &rng, file[1]), QUDAG_OK);
    assert_int_equal(keyring_load(&back, (struct slice){file[1], sizeof(file[1])}, text("old")),
                     QUDAG_EAUTH);
    assert_int_equal(keyring_load(&back, (struct slice){file[1], sizeof(file[1])}, text("new")),
                     QUDAG_OK);
    assert_int_equal(keyring_unseal(&back, text("a"), (struct slice){item, sizeof(item)}, plain),
                     QUDAG_OK);
    assert_memory_equal(plain, "ten bytes!", 10);
}

static void an_item_opens_under_its_name_and_keyring_only(void **state)
{
    uint8_t item[5 + KEYRING_ITEM_EXTRA], again[sizeof(item)], plain[5];
    struct slice s = {item, sizeof(item)};
    struct keyring k, other;
    (void)state;

    keyring_new(&k, &rng);
    keyring_new(&other, &rng);
    assert_int_equal(keyring_seal(&k, text("state/onion-key"), text("12345"), &rng, item),
                     QUDAG_OK);
    assert_int_equal(keyring_seal(&k, text("state/onion-key"), text("12345"), &rng, again),
                     QUDAG_OK);
    assert_memory_not_equal(item, again, sizeof(item));
    assert_true(keyring_sealed(s));
    assert_int_equal(keyring_unseal(&k, text("state/onion-key-2"), s, plain), QUDAG_EAUTH);
    assert_int_equal(keyring_unseal(&other, text("state/onion-key"), s, plain), QUDAG_EAUTH);
    assert_true(ct_is_zero(plain, sizeof(plain)));
    for (size_t i = 8; i < sizeof(item); i++) { /* behind the magic */
        item[i] ^= 0x80;
        assert_int_equal(keyring_unseal(&k, text("state/onion-key"), s, plain), QUDAG_EAUTH);
        item[i] ^= 0x80;
    }
    for (size_t len = 0; len < KEYRING_ITEM_EXTRA; len++) {
        assert_int_equal(
            keyring_unseal(&k, text("state/onion-key"), (struct slice){item, len}, plain),
            QUDAG_EMALFORMED);
    }
    assert_int_equal(keyring_unseal(&k, text("state/onion-key"), s, plain), QUDAG_OK);
    assert_memory_equal(plain, "12345", 5);
}

static void hidden_names_are_the_same_each_time_and_of_the_keyring(void **state)
{
    uint8_t a[KEYRING_NAME_LEN], b[KEYRING_NAME_LEN];
    struct keyring k, other;
    (void)state;

    keyring_new(&k, &rng);
    keyring_new(&other, &rng);
    keyring_hide_name(&k, text("dark-abc"), a);
    keyring_hide_name(&k, text("dark-abc"), b);
    assert_memory_equal(a, b, sizeof(a));
    keyring_hide_name(&k, text("dark-abd"), b);
    assert_memory_not_equal(a, b, sizeof(a));
    keyring_hide_name(&other, text("dark-abc"), b);
    assert_memory_not_equal(a, b, sizeof(a));
}

/* Computed once by this code; a change of the form would lock everybody out. */
static void the_form_stays(void **state)
{
    uint8_t item[4 + KEYRING_ITEM_EXTRA], file[KEYRING_FILE_LEN];
    struct keyring k;
    (void)state;

    keyring_new(&k, &rng);
    assert_int_equal(keyring_seal(&k, text("n"), text("abcd"), &rng, item), QUDAG_OK);
    assert_hex_equal(item, sizeof(item),
                     "51554441475345315b94b16ccec5fdef37421c0359fc116ba7fa2ee50e1c6f4af05d8c70"
                     "e2bfb6f966b91805e594f21f855471075b21a74604a0695f");
    assert_int_equal(keyring_save(&k, text("pass"), &cheap, &rng, file), QUDAG_OK);
    assert_hex_equal(file, sizeof(file),
                     "51554441474b52310000000000000400000000017f05f073a1a31d46905aa8d5a71aeeec"
                     "db24794da58980875cf0a8fe3ad7cce7a97d9d9288a0631eefa5b9f8cf9b729dff30fdd0"
                     "489fdc10383e7d26184d756b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_right_passphrase_alone_gives_the_key_back, begin),
        cmocka_unit_test_setup(a_file_that_was_changed_anywhere_is_refused, begin),
        cmocka_unit_test_setup(costs_have_bounds, begin),
        cmocka_unit_test_setup(another_passphrase_leaves_items_readable, begin),
        cmocka_unit_test_setup(an_item_opens_under_its_name_and_keyring_only, begin),
        cmocka_unit_test_setup(hidden_names_are_the_same_each_time_and_of_the_keyring, begin),
        cmocka_unit_test_setup(the_form_stays, begin),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
