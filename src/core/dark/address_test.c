/* address_test.c - text form and periods of dark addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dark/dark_impl.h"

#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/init.h"

#include <string.h>

#define LEN 117
static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

static void some_address(struct dark_addr *a, uint8_t seed)
{
    uint8_t s[32] = {seed};
    struct rng_stream r;

    rng_stream_init(&r, s);
    rng_stream_fill(&r, a->ed_pk, 32);
    rng_stream_fill(&r, a->commit, 32);
    a->network = seed % 3;
}

static void text_comes_back_and_is_a_host_name(void **state)
{
    char text[DARK_TEXT_MAX];
    struct dark_addr a, b;

    (void)state;
    for (int seed = 0; seed < 200; seed++) {
        some_address(&a, (uint8_t)seed);
        assert_int_equal(dark_addr_text(text, &a), LEN);
        assert_int_equal(strlen(text), LEN);
        assert_int_equal(strcspn(text, "."), 56);
        assert_int_equal(strcspn(text + 57, "."), 55);
        assert_string_equal(text + 112, ".dark");
        assert_int_equal(dark_addr_parse(&b, text), QUDAG_OK);
        assert_true(dark_addr_eq(&a, &b));
    }
}

static void case_does_not_matter(void **state)
{
    char text[DARK_TEXT_MAX];
    struct dark_addr a, b;

    (void)state;
    some_address(&a, 4);
    dark_addr_text(text, &a);
    for (size_t i = 0; i < LEN; i++) {
        if (text[i] >= 'a' && text[i] <= 'z') {
            text[i] = (char)(text[i] - 'a' + 'A');
        }
    }
    memset(&b, 0, sizeof b);
    assert_int_equal(dark_addr_parse(&b, text), QUDAG_OK);
    assert_true(dark_addr_eq(&a, &b));
}

static void every_wrong_character_is_noticed(void **state)
{
    char text[DARK_TEXT_MAX], bad[DARK_TEXT_MAX];
    struct dark_addr a, b;
    size_t tried = 0;

    (void)state;
    some_address(&a, 11);
    dark_addr_text(text, &a);
    for (size_t i = 0; i < LEN; i++) {
        for (int c = 1; c < 256; c++) {
            char lower = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
            if (lower == text[i]) {
                continue;
            }
            memcpy(bad, text, sizeof bad);
            bad[i] = (char)c;
            qudag_err err = dark_addr_parse(&b, bad);
            bool digit = strchr("0189", c) != NULL || strchr(letters, lower) != NULL;
            bool in_label = i < 112 && i != 56;
            assert_int_equal(err, digit && in_label ? QUDAG_ECHECKSUM : QUDAG_EMALFORMED);
            tried++;
        }
    }
    assert_true(tried > 117 * 250);
}

static void every_swap_of_neighbours_is_noticed(void **state)
{
    char text[DARK_TEXT_MAX];
    struct dark_addr a, b;

    (void)state;
    for (int seed = 0; seed < 20; seed++) {
        some_address(&a, (uint8_t)seed);
        dark_addr_text(text, &a);
        for (size_t i = 0; i + 1 < LEN; i++) {
            if (text[i] == text[i + 1]) {
                continue;
            }
            char c = text[i];
            text[i] = text[i + 1];
            text[i + 1] = c;
            bool in_label = i + 1 < 112 && i != 55 && i != 56;
            assert_int_equal(dark_addr_parse(&b, text),
                             in_label ? QUDAG_ECHECKSUM : QUDAG_EMALFORMED);
            text[i + 1] = text[i];
            text[i] = c;
        }
    }
}

static void other_forms_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        ".dark",
        "test.dark",
        "a2b.dark",
        "ab.dark",
        "-x.dark",
        "x-.dark",
        "a--b.dark",
        "dark",
        "b\xc3\xbc.dark",
        "xn--bcher-kva.dark",
        "....",
        "example.org",
    };
    char text[DARK_TEXT_MAX], longer[DARK_TEXT_MAX + 8];
    struct dark_addr a, b;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(dark_addr_parse(&b, bad[i]), QUDAG_EMALFORMED);
    }
    some_address(&a, 5);
    dark_addr_text(text, &a);
    for (size_t len = 0; len < LEN; len++) { /* cut at every length, at both ends */
        memcpy(longer, text, len);
        longer[len] = '\0';
        assert_int_equal(dark_addr_parse(&b, longer), QUDAG_EMALFORMED);
        if (len > 0) {
            assert_int_equal(dark_addr_parse(&b, text + len), QUDAG_EMALFORMED);
        }
    }
    memcpy(longer, text, sizeof text);
    memcpy(longer + LEN, "net", 4);
    assert_int_equal(dark_addr_parse(&b, longer), QUDAG_EMALFORMED);
    memcpy(longer + LEN, ".", 2);
    assert_int_equal(dark_addr_parse(&b, longer), QUDAG_EMALFORMED);
    memcpy(longer, text, 57); /* the dot one place on */
    longer[56] = text[57];
    longer[57] = '.';
    memcpy(longer + 58, text + 58, LEN + 1 - 58);
    assert_int_equal(dark_addr_parse(&b, longer), QUDAG_EMALFORMED);
}

/* An address text around any bytes, with the right checksum. */
static void text_of_bytes(char text[DARK_TEXT_MAX], uint8_t version, uint8_t network)
{
    uint8_t b[69] = {version, network};
    char chars[112];

    blake3_derive(b + 66, 3, "qudag dark address checksum v1", (struct slice){b, 66});
    assert_int_equal(base32_encode(chars, sizeof chars, (struct slice){b, sizeof b}), 111);
    memcpy(text, chars, 56);
    text[56] = '.';
    memcpy(text + 57, chars + 56, 55);
    memcpy(text + 112, ".dark", 6);
}

static void other_versions_and_networks_are_not_supported(void **state)
{
    static const struct {
        uint8_t version, network;
        qudag_err err;
    } rows[] = {{1, 0, QUDAG_OK},
                {1, 2, QUDAG_OK},
                {0, 0, QUDAG_EUNSUPPORTED},
                {2, 0, QUDAG_EUNSUPPORTED},
                {255, 0, QUDAG_EUNSUPPORTED},
                {1, 3, QUDAG_EUNSUPPORTED},
                {1, 255, QUDAG_EUNSUPPORTED}};
    char text[DARK_TEXT_MAX];
    struct dark_addr a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        text_of_bytes(text, rows[i].version, rows[i].network);
        assert_int_equal(dark_addr_parse(&a, text), rows[i].err);
    }
}

/* For every address at the same moment: when a period changes tells nothing of whose it is. */
static void two_periods_are_live_and_the_current_is_one(void **state)
{
    uint64_t live[2];
    walltime midnight = 1800000000 - 1800000000 % 86400;

    (void)state;
    for (walltime t = midnight; t < midnight + 3 * 86400; t += 600) {
        walltime into = (t - midnight) % 86400;
        dark_live(live, t);
        assert_int_equal(live[0], t / 86400);
        assert_int_equal(live[0], dark_period(t));
        assert_int_equal(live[1], into < 43200 ? live[0] - 1 : live[0] + 1);
        assert_int_equal(dark_near_change(t), into < 3600 || into >= 86400 - 3600);
        assert_int_equal(dark_period_start(live[0]), t - into);
    }
    dark_live(live, 10);
    assert_int_equal(live[0], 0);
    assert_int_equal(live[1], 0);
    assert_int_equal(dark_period(-5), 0);
}

static void a_network_takes_its_own_addresses_and_those_for_trials(void **state)
{
    (void)state;
    for (int net = DARK_NET_MAIN; net <= DARK_NET_LAB; net++) {
        assert_true(dark_network_takes((enum dark_network)net, DARK_NET_TEST));
        assert_int_equal(dark_network_takes((enum dark_network)net, DARK_NET_LAB),
                         net == DARK_NET_LAB);
        assert_int_equal(dark_network_takes((enum dark_network)net, DARK_NET_MAIN),
                         net != DARK_NET_LAB);
    }
}

static void numbers_only_grow(void **state)
{
    uint64_t seq = 0;

    (void)state;
    for (walltime t = 1800000000; t < 1800000000 + 4 * 86400; t += 700) {
        uint64_t next = dark_seq_next(seq, t);
        assert_true(next > seq);
        assert_true(next >= (uint64_t)t / 3600 * 256);
        seq = next;
    }
    /* a clock that went back a year does not make them shrink */
    assert_int_equal(dark_seq_next(seq, 1800000000 - 365 * 86400), seq + 1);
}

static void keys_of_places_and_addresses_differ(void **state)
{
    static const uint8_t base_point[32] = {0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                           0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                           0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                           0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};
    static const struct dark_place here = {20000, 0}, later = {20001, 0}, beside = {20000, 1};
    uint8_t k[5][DARK_KEY_LEN];
    struct dark_addr a;

    (void)state;
    some_address(&a, 3);
    memcpy(a.ed_pk, base_point, 32);
    assert_int_equal(dark_dht_key(k[0], &a, &here), QUDAG_OK);
    assert_int_equal(dark_dht_key(k[1], &a, &later), QUDAG_OK);
    assert_int_equal(dark_dht_key(k[4], &a, &beside), QUDAG_OK);
    a.commit[31] ^= 1;
    assert_int_equal(dark_dht_key(k[2], &a, &here), QUDAG_OK);
    a.network ^= 1;
    assert_int_equal(dark_dht_key(k[3], &a, &here), QUDAG_OK);
    for (int i = 0; i < 5; i++) {
        assert_memory_equal(k[i], "/qudag/dark/", 12);
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(k[i] + 12, k[j] + 12, 32);
        }
    }
    memset(a.ed_pk, 0, 32); /* not a point of the right order */
    assert_int_equal(dark_dht_key(k[0], &a, &here), QUDAG_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_comes_back_and_is_a_host_name),
        cmocka_unit_test(case_does_not_matter),
        cmocka_unit_test(every_wrong_character_is_noticed),
        cmocka_unit_test(every_swap_of_neighbours_is_noticed),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(other_versions_and_networks_are_not_supported),
        cmocka_unit_test(two_periods_are_live_and_the_current_is_one),
        cmocka_unit_test(a_network_takes_its_own_addresses_and_those_for_trials),
        cmocka_unit_test(numbers_only_grow),
        cmocka_unit_test(keys_of_places_and_addresses_differ),
    };
    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
