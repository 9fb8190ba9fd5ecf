/* aead_test.c - ChaCha20-Poly1305 against RFC 8439, and against everything that was touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/aead.h"
#include "crypto/unhex_test.h"

static const char sunscreen[] =
    "Ladies and Gentlemen of the class of '99: If I could offer you only "
    "one tip for the future, sunscreen would be it.";

/* RFC 8439 2.8.2. */
static void sealing_gives_the_value_of_rfc_8439(void **state)
{
    uint8_t key[32], nonce[12], aad[12], out[130], back[114];
    (void)state;

    unhex(key, 32, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    unhex(nonce, 12, "070000004041424344454647");
    unhex(aad, 12, "50515253c0c1c2c3c4c5c6c7");
    struct slice a = {aad, sizeof aad}, p = {(const uint8_t *)sunscreen, 114};
    assert_int_equal(aead_seal(out, key, nonce, a, p), QUDAG_OK);
    assert_hex_equal(out, 130,
                     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
                     "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
                     "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                     "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
                     "0691");
    assert_int_equal(aead_open(back, key, nonce, a, (struct slice){out, 130}), QUDAG_OK);
    assert_memory_equal(back, sunscreen, 114);
}

static void any_changed_bit_is_noticed_and_nothing_comes_out(void **state)
{
    static const uint8_t key[32] = {1}, nonce[12] = {2};
    uint8_t box[20 + 16], out[20], aad[3] = {7, 8, 9};
    struct slice a = {aad, sizeof aad}, p = {(const uint8_t *)sunscreen, 20};
    (void)state;

    assert_int_equal(aead_seal(box, key, nonce, a, p), QUDAG_OK);
    for (size_t bit = 0; bit < 8 * sizeof box; bit++) {
        box[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(out, 0xcc, sizeof out);
        assert_int_equal(aead_open(out, key, nonce, a, (struct slice){box, sizeof box}),
                         QUDAG_EAUTH);
        for (size_t i = 0; i < sizeof out; i++) {
            assert_int_equal(out[i], 0);
        }
        box[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof aad; bit++) {
        aad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(aead_open(out, key, nonce, a, (struct slice){box, sizeof box}),
                         QUDAG_EAUTH);
        aad[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    static const uint8_t other_key[32] = {2}, other_nonce[12] = {3};
    struct slice whole = {box, sizeof box};
    assert_int_equal(aead_open(out, other_key, nonce, a, whole), QUDAG_EAUTH);
    assert_int_equal(aead_open(out, key, other_nonce, a, whole), QUDAG_EAUTH);
    assert_int_equal(aead_open(out, key, nonce, a, (struct slice){box, sizeof box}), QUDAG_OK);
    assert_memory_equal(out, sunscreen, 20);
}

static void a_box_cut_anywhere_does_not_open(void **state)
{
    static const uint8_t key[32] = {1}, nonce[12] = {2};
    uint8_t box[20 + 16], out[20];
    struct slice none = {NULL, 0};
    (void)state;

    assert_int_equal(
        aead_seal(box, key, nonce, none, (struct slice){(const uint8_t *)sunscreen, 20}), QUDAG_OK);
    for (size_t len = 0; len < sizeof box; len++) {
        assert_int_equal(aead_open(out, key, nonce, none, (struct slice){box, len}), QUDAG_EAUTH);
    }
}

static void sealing_in_place_and_of_nothing_works(void **state)
{
    static const uint8_t key[32] = {1}, nonce[12] = {2};
    uint8_t a[36], b[36];
    struct slice none = {NULL, 0};
    (void)state;

    memcpy(a, sunscreen, 20);
    assert_int_equal(aead_seal(b, key, nonce, none, (struct slice){a, 20}), QUDAG_OK);
    assert_int_equal(aead_seal(a, key, nonce, none, (struct slice){a, 20}), QUDAG_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(aead_open(a, key, nonce, none, (struct slice){a, sizeof a}), QUDAG_OK);
    assert_memory_equal(a, sunscreen, 20);
    assert_int_equal(aead_seal(a, key, nonce, none, none), QUDAG_OK);
    assert_int_equal(aead_open(b, key, nonce, none, (struct slice){a, 16}), QUDAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealing_gives_the_value_of_rfc_8439),
        cmocka_unit_test(any_changed_bit_is_noticed_and_nothing_comes_out),
        cmocka_unit_test(a_box_cut_anywhere_does_not_open),
        cmocka_unit_test(sealing_in_place_and_of_nothing_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
