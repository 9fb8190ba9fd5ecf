/* hash_test.c - SHA-2, HMAC, HKDF, BLAKE3 and the transcript against published values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/hash.h"
#include "crypto/unhex_test.h"

static struct slice text_of(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

/* FIPS 180-4 examples: "", "abc", and the two-block message. */
static void sha2_gives_the_examples_of_fips_180(void **state)
{
    static const struct {
        const char *msg, *h256, *h512;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
         "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
         "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
         "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c335"
         "96fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445"},
    };
    uint8_t out[SHA512_LEN];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        sha256(out, text_of(rows[i].msg));
        assert_hex_equal(out, SHA256_LEN, rows[i].h256);
        sha512(out, text_of(rows[i].msg));
        assert_hex_equal(out, SHA512_LEN, rows[i].h512);
    }
    sha256(out, (struct slice){NULL, 0});
    assert_hex_equal(out, SHA256_LEN, rows[0].h256);
}

/* RFC 4231, cases 1, 2, 3 and 6 (a key longer than a block). */
static void hmac_gives_the_values_of_rfc_4231(void **state)
{
    uint8_t key[131], data[50], out[SHA256_LEN];
    (void)state;

    memset(key, 0x0b, 20);
    hmac_sha256(out, (struct slice){key, 20}, text_of("Hi There"));
    assert_hex_equal(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(out, text_of("Jefe"), text_of("what do ya want for nothing?"));
    assert_hex_equal(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    hmac_sha256(out, (struct slice){key, 20}, (struct slice){data, sizeof data});
    assert_hex_equal(out, 32, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    hmac_sha256(out, (struct slice){key, sizeof key},
                text_of("Test Using Larger Than Block-Size Key - Hash Key First"));
    assert_hex_equal(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 5869 A.1, A.2 and A.3. */
static void hkdf_gives_the_values_of_rfc_5869(void **state)
{
    uint8_t ikm[80], salt[80], info[80], prk[32], okm[82];
    (void)state;

    memset(ikm, 0x0b, 22);
    for (size_t i = 0; i < 80; i++) {
        salt[i] = (uint8_t)i;
        info[i] = (uint8_t)(0xf0 + i);
    }
    hkdf_sha256_extract(prk, (struct slice){salt, 13}, (struct slice){ikm, 22});
    assert_hex_equal(prk, 32, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    hkdf_sha256_expand(okm, 42, prk, (struct slice){info, 10});
    assert_hex_equal(okm, 42,
                     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b8"
                     "87185865");
    hkdf_sha256_extract(prk, (struct slice){NULL, 0}, (struct slice){ikm, 22});
    assert_hex_equal(prk, 32, "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04");
    hkdf_sha256_expand(okm, 42, prk, (struct slice){NULL, 0});
    assert_hex_equal(okm, 42,
                     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4"
                     "b61a96c8");
    for (size_t i = 0; i < 80; i++) {
        ikm[i] = (uint8_t)i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (uint8_t)(0xb0 + i);
    }
    hkdf_sha256_extract(prk, (struct slice){salt, 80}, (struct slice){ikm, 80});
    hkdf_sha256_expand(okm, 82, prk, (struct slice){info, 80});
    assert_hex_equal(okm, 82,
                     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
                     "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
                     "cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

static void hkdf_output_is_a_prefix_of_longer_output(void **state)
{
    static uint8_t whole[8160], part[8160];
    static const uint8_t prk[32] = {1};
    (void)state;

    hkdf_sha256_expand(whole, sizeof whole, prk, text_of("x"));
    for (size_t len = 0; len <= 100; len++) {
        memset(part, 0xcc, sizeof part);
        hkdf_sha256_expand(part, len, prk, text_of("x"));
        assert_memory_equal(part, whole, len);
        assert_int_equal(part[len], 0xcc);
    }
}

/* BLAKE3-team/BLAKE3 test_vectors.json: input byte i is i mod 251. */
static const struct {
    size_t len;
    const char *hash, *derived; /* derived: 64 bytes */
} b3_rows[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
     "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"
     "905630c8be290dfcf3e6842f13bddd573c098c3f17361f1f206b8cad9d088aa4"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
     "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"
     "5827b91bf889b6b97c5477f535361caefca0b5d8c4746441c576171119331589"},
    {64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98",
     "a5c4a7053fa86b64746d4bb688d06ad1f02a18fce9afd3e818fefaa7126bf73e"
     "9b9493a9befebe0bf0c9509fb3105cfa0e262cde141aa8e3f2c2f77890bb64a4"},
    {65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee",
     "51fd05c3c1cfbc8ed67d139ad76f5cf8236cd2acd26627a30c104dfd9d3ff8a8"
     "2b02e8bd36d8498a75ad8c8e9b15eb386970283d6dd42c8ae7911cc592887fdb"},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
     "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5"
     "9c413264404661e9e4d955409dfe4ad3aa487871bcd454ed12abfe2c2b1eb775"},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
     "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"
     "6c23b601d3ddfb391e90d5c8eccdef4ae2a264bce9e612ba15e2bc9d654af148"},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
     "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"
     "5d31013a167509e9066273ab6e2123bc835b408b067d88f96addb550d96b6852"},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
     "2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf273"
     "16d8e9e79081a80b046b60f6a263616f33ca464bd78d79fa18200d06c7fc9bff"},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
     "39772aef80e0ebe60596361e45b061e8f417429d529171b6764468c22928e28e"
     "9759adeb797a3fbf771b1bcea30150a020e317982bf0d6e7d14dd9f064bc1102"},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
     "4652cff7a3f385a6103b5c260fc1593e13c778dbe608efb092fe7ee69df6e9c6"
     "d83a3e041bc3a48df2879f4a0a3ed40e7c961c73eff740f3117a0504c2dff478"},
};

static void blake3_gives_its_authors_values(void **state)
{
    static uint8_t in[102400];
    uint8_t out[64];
    (void)state;

    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)(i % 251);
    }
    for (size_t i = 0; i < ARRAY_LEN(b3_rows); i++) {
        struct slice s = {in, b3_rows[i].len};
        blake3(out, s);
        assert_hex_equal(out, 32, b3_rows[i].hash);
        blake3_derive(out, 64, "BLAKE3 2019-12-27 16:29:52 test vectors context", s);
        assert_hex_equal(out, 64, b3_rows[i].derived);

        struct blake3_ctx c; /* in uneven pieces */
        blake3_init(&c);
        for (size_t at = 0, n = 1; at < s.len; at += n, n = n * 3 + 1) {
            n = n < s.len - at ? n : s.len - at;
            blake3_update(&c, (struct slice){in + at, n});
        }
        blake3_final(&c, out);
        assert_hex_equal(out, 32, b3_rows[i].hash);
    }
}

static void transcript_parts_cannot_run_together(void **state)
{
    struct transcript a, b;
    uint8_t ha[32], hb[32], again[32], plain[32];
    (void)state;

    transcript_init(&a, "label");
    transcript_add(&a, text_of("ab"));
    transcript_add(&a, text_of("c"));
    transcript_init(&b, "label");
    transcript_add(&b, text_of("a"));
    transcript_add(&b, text_of("bc"));
    transcript_hash(&a, ha);
    transcript_hash(&b, hb);
    assert_memory_not_equal(ha, hb, 32);
    transcript_hash(&a, again); /* looking does not change it */
    assert_memory_equal(ha, again, 32);
    transcript_add(&a, (struct slice){NULL, 0}); /* an empty part counts */
    transcript_hash(&a, again);
    assert_memory_not_equal(ha, again, 32);
    sha256(plain, (struct slice){(const uint8_t *)"\0\0\0\5label\0\0\0\2ab\0\0\0\1c", 20});
    assert_memory_equal(ha, plain, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha2_gives_the_examples_of_fips_180),
        cmocka_unit_test(hmac_gives_the_values_of_rfc_4231),
        cmocka_unit_test(hkdf_gives_the_values_of_rfc_5869),
        cmocka_unit_test(hkdf_output_is_a_prefix_of_longer_output),
        cmocka_unit_test(blake3_gives_its_authors_values),
        cmocka_unit_test(transcript_parts_cannot_run_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
