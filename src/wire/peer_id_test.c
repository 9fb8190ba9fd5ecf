#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "wire/peer_id.h"

#include <string.h>

struct key_case {
    const char *key; /* encoded PublicKey, hex */
    const char *id;  /* base58 */
    const char *cid32, *cid36, *cid16;
};

/* Keys: libp2p specs, peer-ids/peer-ids.md, "Test vectors" (ECDSA, Ed25519, secp256k1, RSA). */
static const struct key_case keys[] = {
    {"0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004de3d300fa36ae0e8f5d530"
     "899d83abab44abf3161f162a4bc901d8e6ecda020e8b6d5f8da30525e71d6851510c098e5c47c646a597"
     "fb4dcec034e9f77c409e62",
     "QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgDk",
     "bafzbeidigywdclqvl5hxfefwp5onbffcfife7pza57mmfb4tiqmtkdjw64",
     "k2k4r8m0iploq6r25jp915xawtnx0qdr0je62jws2kki6votbj5191x3",
     "f0172122068362c312e155f4f7290b67f5cd094a22a0a4fbf20efd8c287934419350d36f7"},
    {"080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
     "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq",
     "bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6",
     "k51qzi5uqu5dgy8qsq67hbz73jqkw87l3fgf4a91qb0d9b5173tir7n4vxk1oe",
     "f01720024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"},
    {"08021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99",
     "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY",
     "bafzaajiiaijcca3xo7uzjzcsyilaj6i54cj44qk7kqzpoao5rti2pjx6udtdbp6kte",
     "kzwfwjn5ji4put13uvtwtc7azzwk42cq2o8ctfnxa6q8n90e72o3pjqbrp3lpcp",
     "f0172002508021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99"},
    {"080012a60430820222300d06092a864886f70d01010105000382020f003082020a0282020100e1beab07"
     "1d08200bde24eef00d049449b07770ff9910257b2d7d5dda242ce8f0e2f12e1af4b32d9efd2c090f66b0"
     "f29986dbb645dae9880089704a94e5066d594162ae6ee8892e6ec70701db0a6c445c04778eb3de1293aa"
     "1a23c3825b85c6620a2bc3f82f9b0c309bc0ab3aeb1873282bebd3da03c33e76c21e9beb172fd44c9e43"
     "be32e2c99827033cf8d0f0c606f4579326c930eb4e854395ad941256542c793902185153c474bed109d6"
     "ff5141ebf9cd256cf58893a37f83729f97e7cb435ec679d2e33901d27bb35aa0d7e20561da08885ef0ab"
     "bf8e2fb48d6a5487047a9ecb1ad41fa7ed84f6e3e8ecd5d98b3982d2a901b4454991766da295ab78822a"
     "dd5612a2df83bcee814cf50973e80d7ef38111b1bd87da2ae92438a2c8cbcc70b31ee319939a3b9c761d"
     "bc13b5c086d6b64bf7ae7dacc14622375d92a8ff9af7eb962162bbddebf90acb32adb5e4e4029f1c9601"
     "9949ecfbfeffd7ac1e3fbcc6b6168c34be3d5a2e5999fcbb39bba7adbca78eab09b9bc39f7fa4b93411f"
     "4cc175e70c0a083e96bfaefb04a9580b4753c1738a6a760ae1afd851a1a4bdad231cf56e9284d832483d"
     "f215a46c1c21bdf0c6cfe951c18f1ee4078c79c13d63edb6e14feaeffabc90ad317e4875fe648101b086"
     "4097e998f0ca3025ef9638cd2b0caecd3770ab54a1d9c6ca959b0f5dcbc90caeefc4135baca6fd475224"
     "269bbe1b0203010001",
     "QmaeANgBs1DTSxWSrPPtobgQuxW8XTfsS4ydbK4rCHzqxG",
     "bafzbeifwzcumbiyql7bhv7fe7mixg6i7aohegq75k234m63bnw6dbicmzu",
     "k2k4r8nz0pc9sm08wgacijx1ic8vxy9e2770otjszhz1nodfs0brtvpp",
     "f01721220b6c8a8c0a3105fc27afca4fb1173791f038e4343fd56b7c67b616dbc30a04ccd"},
};

static size_t unhex(uint8_t *dst, size_t cap, const char *hex)
{
    size_t len = 0;
    struct slice s = {(const uint8_t *)hex, strlen(hex)};
    assert_int_equal(hex_decode(dst, cap, &len, s), QUDAG_OK);
    return len;
}

static void keys_of_every_type_give_their_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        uint8_t key[1024];
        size_t len = unhex(key, sizeof(key), keys[i].key);
        struct peer_id id;
        char text[PEER_ID_TEXT_MAX];
        assert_int_equal(peer_id_from_key_proto(&id, (struct slice){key, len}), QUDAG_OK);
        assert_int_equal(peer_id_text(text, &id), strlen(keys[i].id));
        assert_string_equal(text, keys[i].id);
    }
}

static void every_text_form_names_the_same_peer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct peer_id id, other;
        assert_int_equal(peer_id_parse(&id, keys[i].id), QUDAG_OK);
        const char *forms[] = {keys[i].cid32, keys[i].cid36, keys[i].cid16};
        for (size_t j = 0; j < ARRAY_LEN(forms); j++) {
            assert_int_equal(peer_id_parse(&other, forms[j]), QUDAG_OK);
            assert_true(peer_id_eq(&id, &other));
            assert_memory_equal(&id, &other, sizeof(id));
        }
    }
}

/* Twelve characters that decode to an inlined something: no key has that id. */
static void an_id_that_no_key_can_have_is_told_from_others(void **state)
{
    static const char *const no_key[] = {"12345678abcd", "1111111111", "11"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct peer_id id;
        assert_int_equal(peer_id_parse(&id, keys[i].id), QUDAG_OK);
        assert_true(peer_id_has_key(&id));
        id.b[2] ^= 0x40;
        assert_int_equal(peer_id_has_key(&id), id.b[0] != 0); /* a hash may be of any key */
    }
    for (size_t i = 0; i < ARRAY_LEN(no_key); i++) {
        struct peer_id id;
        assert_true(peer_id_parse(&id, no_key[i]) != QUDAG_OK || !peer_id_has_key(&id));
    }
    struct peer_id cut = {.len = 2};
    assert_false(peer_id_has_key(&cut));
    uint8_t short_one[] = {0, 7, 8, 1, 18, 3, 1, 2, 3}; /* an Ed25519 key of three bytes */
    assert_int_equal(peer_id_from_bytes(&cut, (struct slice){short_one, sizeof(short_one)}),
                     QUDAG_OK);
    assert_false(peer_id_has_key(&cut));
}

static void examples_of_the_specification_parse(void **state)
{
    (void)state;
    struct peer_id cid, id;
    char text[PEER_ID_TEXT_MAX];
    uint8_t pk[32];
    static const char ed[] = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";

    assert_int_equal(
        peer_id_parse(&cid, "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe"),
        QUDAG_OK);
    assert_int_equal(peer_id_parse(&id, "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"),
                     QUDAG_OK);
    assert_true(peer_id_eq(&cid, &id));
    assert_false(peer_id_ed25519(&id, pk));
    assert_int_equal(peer_id_parse(&id, ed), QUDAG_OK);
    assert_true(peer_id_ed25519(&id, pk));
    peer_id_from_ed25519(&cid, pk);
    assert_true(peer_id_eq(&cid, &id));
    assert_int_equal(peer_id_text(text, &cid), sizeof(ed) - 1);
    assert_string_equal(text, ed);
}

static void bad_texts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "1",
        "Qm",
        "b",
        "x",
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5S",   /* one digit less */
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SAA", /* one more */
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU50A",  /* not a digit */
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N ",
        "bafkreie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe", /* codec raw */
        "f0172",
        "f017200",
        "f01721220",
        "f02721220000000000000000000000000000000000000000000000000000000000000000000", /* CIDv2 */
        "k0",
        "z1",
        "u",
        "uAQ",
        ("1111111111111111111111111111111111111111111111111111111111111111111111"
         "1111111111111111111111111111111111111111111111111111111111111111111111"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct peer_id id = {.len = 7};
        assert_int_equal(peer_id_parse(&id, bad[i]), QUDAG_EMALFORMED);
        assert_int_equal(id.len, 7);
    }
}

static void only_the_deterministic_key_encoding_counts(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        qudag_err err;
    } cases[] = {
        {"080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e", QUDAG_OK},
        /* an unknown type is no parse failure */
        {"080412201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
         QUDAG_EUNSUPPORTED},
        /* fields swapped */
        {"12201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e0801",
         QUDAG_EMALFORMED},
        /* type as a longer varint */
        {"08810012201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
         QUDAG_EMALFORMED},
        /* one more field */
        {"080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e1800",
         QUDAG_EMALFORMED},
        /* type missing */
        {"12201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e", QUDAG_EMALFORMED},
        /* Ed25519 key of 31, secp256k1 key of 32 bytes */
        {"0801121f1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce2",
         QUDAG_EMALFORMED},
        {"080212201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
         QUDAG_EMALFORMED},
        {"08001200", QUDAG_EMALFORMED},
        {"", QUDAG_EMALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t key[64];
        size_t len = unhex(key, sizeof(key), cases[i].hex);
        struct peer_id id;
        assert_int_equal(peer_id_from_key_proto(&id, (struct slice){key, len}), cases[i].err);
    }
}

static void a_key_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        uint8_t key[1024];
        size_t len = unhex(key, sizeof(key), keys[i].key);
        for (size_t cut = 0; cut < len; cut++) {
            struct peer_id id;
            assert_int_equal(peer_id_from_key_proto(&id, (struct slice){key, cut}),
                             QUDAG_EMALFORMED);
        }
    }
}

static void keys_are_inlined_up_to_42_bytes(void **state)
{
    (void)state;
    uint8_t key[64] = {0x08, 0x00, 0x12, 38};
    struct peer_id id;

    assert_int_equal(peer_id_from_key_proto(&id, (struct slice){key, 42}), QUDAG_OK);
    assert_int_equal(id.len, 44);
    assert_int_equal(id.b[0], 0x00);
    assert_int_equal(id.b[1], 42);
    key[3] = 39;
    assert_int_equal(peer_id_from_key_proto(&id, (struct slice){key, 43}), QUDAG_OK);
    assert_int_equal(id.len, 34);
    assert_int_equal(id.b[0], 0x12);
}

static void multihashes_of_the_wire_are_checked(void **state)
{
    (void)state;
    uint8_t mh[46] = {0x12, 32};
    struct peer_id id;

    for (size_t len = 0; len <= sizeof(mh); len++) {
        qudag_err want = len == 34 ? QUDAG_OK : QUDAG_EMALFORMED;
        assert_int_equal(peer_id_from_bytes(&id, (struct slice){mh, len}), want);
    }
    for (size_t n = 0; n <= 44; n++) { /* identity */
        mh[0] = 0;
        mh[1] = (uint8_t)n;
        qudag_err want = n >= 1 && n <= 42 ? QUDAG_OK : QUDAG_EMALFORMED;
        assert_int_equal(peer_id_from_bytes(&id, (struct slice){mh, n + 2}), want);
    }
    mh[0] = 0x13; /* sha2-512 */
    mh[1] = 32;
    assert_int_equal(peer_id_from_bytes(&id, (struct slice){mh, 34}), QUDAG_EMALFORMED);
}

static void ids_compare_as_byte_strings(void **state)
{
    (void)state;
    struct peer_id a = {.len = 3, .b = {0, 1, 5}}, b = {.len = 3, .b = {0, 1, 6}};
    struct peer_id longer = {.len = 4, .b = {0, 1, 5, 0}}, none = {0};
    char text[PEER_ID_TEXT_MAX] = "x";

    assert_false(peer_id_eq(&a, &b));
    assert_false(peer_id_eq(&a, &longer));
    assert_true(peer_id_eq(&none, &none));
    assert_int_equal(peer_id_text(text, &none), 0);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_every_type_give_their_id),
        cmocka_unit_test(every_text_form_names_the_same_peer),
        cmocka_unit_test(an_id_that_no_key_can_have_is_told_from_others),
        cmocka_unit_test(examples_of_the_specification_parse),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(only_the_deterministic_key_encoding_counts),
        cmocka_unit_test(a_key_cut_anywhere_is_refused),
        cmocka_unit_test(keys_are_inlined_up_to_42_bytes),
        cmocka_unit_test(multihashes_of_the_wire_are_checked),
        cmocka_unit_test(ids_compare_as_byte_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
