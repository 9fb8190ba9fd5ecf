#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "wire/kad_msg.h"

#include <stdlib.h>
#include <string.h>

static struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX];
static uint8_t wire[KAD_MSG_IN_MAX];

static void peer_fill(struct kad_peer_info *p, uint8_t seed, uint8_t n_addrs)
{
    uint8_t pk[32];
    struct netaddr a = {.family = 6, .ip = {0x20, 1, seed}, .port = 4001};

    memset(pk, seed, sizeof(pk));
    peer_id_from_ed25519(&p->id, pk);
    p->n_addrs = n_addrs;
    for (uint8_t i = 0; i < n_addrs; i++) {
        a.ip[15] = (uint8_t)(i + 1);
        multiaddr_quic(&p->addr[i], &a, NULL);
    }
}

/* Removes the length prefix, which must cover the rest exactly. */
static struct slice body(const uint8_t *p, size_t len)
{
    size_t n = 0, at = 0;
    unsigned shift = 0;

    do {
        assert_true(at < len);
        n |= (size_t)(p[at] & 0x7f) << shift;
        shift += 7;
    } while ((p[at++] & 0x80) != 0);
    assert_int_equal(n, len - at);
    return (struct slice){p + at, n};
}

static size_t unhex(uint8_t *dst, size_t cap, const char *hex)
{
    size_t len = 0;
    struct slice s = {(const uint8_t *)hex, strlen(hex)};
    assert_int_equal(hex_decode(dst, cap, &len, s), QUDAG_OK);
    return len;
}

static qudag_err decode(struct kad_msg *m, size_t *dropped, struct slice in)
{
    *m = (struct kad_msg){.closer = closer, .providers = providers};
    return kad_msg_decode(m, dropped, in);
}

static void a_find_node_request_has_known_bytes(void **state)
{
    (void)state;
    struct kad_msg m = {.type = KAD_FIND_NODE, .key = {(const uint8_t *)"key", 3}};
    static const uint8_t want[] = {7, 0x08, 4, 0x12, 3, 'k', 'e', 'y'};
    uint8_t out[64];
    size_t len;

    assert_int_equal(kad_msg_encode(out, sizeof(out), &len, &m), QUDAG_OK);
    assert_int_equal(len, sizeof(want));
    assert_memory_equal(out, want, len);
}

static void a_full_message_comes_back(void **state)
{
    (void)state;
    static struct kad_peer_info c[20], p[3];
    struct kad_msg m = {
        .type = KAD_GET_VALUE,
        .key = {(const uint8_t *)"key", 3},
        .has_record = true,
        .rec_key = {(const uint8_t *)"key", 3},
        .rec_value = {(const uint8_t *)"value", 5},
        .rec_time = {(const uint8_t *)"2020-01-01T00:00:00Z", 20},
        .n_closer = 20,
        .n_providers = 3,
        .closer = c,
        .providers = p,
    };
    struct kad_msg back;
    size_t len, dropped = 9;

    memset(c, 0, sizeof(c));
    memset(p, 0, sizeof(p));
    for (uint8_t i = 0; i < 20; i++) {
        peer_fill(&c[i], i, i % (KAD_ADDRS_MAX + 1));
    }
    for (uint8_t i = 0; i < 3; i++) {
        peer_fill(&p[i], (uint8_t)(100 + i), 1);
    }
    assert_int_equal(kad_msg_encode(wire, KAD_MSG_MAX, &len, &m), QUDAG_OK);
    assert_int_equal(decode(&back, &dropped, body(wire, len)), QUDAG_OK);
    assert_int_equal(dropped, 0);
    assert_int_equal(back.type, m.type);
    assert_int_equal(back.key.len, 3);
    assert_memory_equal(back.key.base, "key", 3);
    assert_true(back.has_record);
    assert_memory_equal(back.rec_value.base, "value", 5);
    assert_int_equal(back.rec_time.len, 20);
    assert_int_equal(back.n_closer, 20);
    assert_int_equal(back.n_providers, 3);
    for (size_t i = 0; i < 20; i++) {
        assert_true(peer_id_eq(&closer[i].id, &c[i].id));
        assert_int_equal(closer[i].n_addrs, c[i].n_addrs);
        for (size_t j = 0; j < c[i].n_addrs; j++) {
            assert_true(multiaddr_eq(&closer[i].addr[j], &c[i].addr[j]));
        }
    }
}

static void a_message_cut_anywhere_is_refused_or_shorter(void **state)
{
    (void)state;
    static struct kad_peer_info c[2];
    struct kad_msg m = {.type = KAD_GET_VALUE,
                        .key = {(const uint8_t *)"k", 1},
                        .has_record = true,
                        .rec_key = {(const uint8_t *)"k", 1},
                        .rec_value = {(const uint8_t *)"v", 1},
                        .n_closer = 2,
                        .closer = c};
    struct kad_msg back;
    size_t len, dropped;

    peer_fill(&c[0], 1, 2);
    peer_fill(&c[1], 2, 2);
    assert_int_equal(kad_msg_encode(wire, KAD_MSG_MAX, &len, &m), QUDAG_OK);
    struct slice whole = body(wire, len);
    size_t accepted = 0;
    for (size_t cut = 0; cut < whole.len; cut++) {
        /* a copy of exact size, so that reading past it is seen */
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        memcpy(copy, whole.base, cut);
        qudag_err err = decode(&back, &dropped, (struct slice){copy, cut});
        assert_true(err == QUDAG_OK || err == QUDAG_EMALFORMED);
        if (err == QUDAG_OK) {
            accepted++;
            assert_true(back.n_closer < 2);
        } else {
            assert_int_equal(back.n_closer, 0);
            assert_null(back.key.base);
        }
        free(copy);
    }
    assert_int_equal(accepted, 5); /* before and after type, key, record, and one peer */
}

static void protobuf_is_read_as_peers_write_it(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        qudag_err err;
        enum kad_type type;
    } cases[] = {
        {"", QUDAG_OK, KAD_PUT_VALUE},       /* proto3: everything is zero */
        {"1201aa", QUDAG_OK, KAD_PUT_VALUE}, /* type missing */
        {"0800", QUDAG_OK, KAD_PUT_VALUE},   /* type written although zero */
        {"0805", QUDAG_OK, KAD_PING},
        {"08040801", QUDAG_OK, KAD_GET_VALUE},         /* the last one counts */
        {"0804500a", QUDAG_OK, KAD_FIND_NODE},         /* clusterLevelRaw: unknown, skipped */
        {"0804fa0703616263", QUDAG_OK, KAD_FIND_NODE}, /* unknown field with bytes */
        {"0804a50601020304", QUDAG_OK, KAD_FIND_NODE}, /* unknown field of 32 bits */
        {"0804a1060102030405060708", QUDAG_OK, KAD_FIND_NODE}, /* unknown field of 64 bits */
        {"0806", QUDAG_EUNSUPPORTED, KAD_PUT_VALUE},
        {"08ffffffff0f", QUDAG_EUNSUPPORTED, KAD_PUT_VALUE},
        {"08ffffffffffffffffff01", QUDAG_EMALFORMED, KAD_PUT_VALUE},
        {"1001", QUDAG_EMALFORMED, KAD_PUT_VALUE},       /* key as a number */
        {"1505000000", QUDAG_EMALFORMED, KAD_PUT_VALUE}, /* key as 32 bits */
        {"1801", QUDAG_EMALFORMED, KAD_PUT_VALUE},       /* record as a number */
        {"4001", QUDAG_EMALFORMED, KAD_PUT_VALUE},       /* peer as a number */
        {"1a020801", QUDAG_EMALFORMED, KAD_PUT_VALUE},   /* record key as a number */
        {"42020801", QUDAG_EMALFORMED, KAD_PUT_VALUE},   /* peer id as a number */
        {"42021001", QUDAG_EMALFORMED, KAD_PUT_VALUE},   /* address as a number */
        {"0a0104", QUDAG_EMALFORMED, KAD_PUT_VALUE},     /* type as bytes */
        {"1202aa", QUDAG_EMALFORMED, KAD_PUT_VALUE},     /* longer than there is */
        {"12ffffffff0f", QUDAG_EMALFORMED, KAD_PUT_VALUE},
        {"0b0c", QUDAG_EMALFORMED, KAD_PUT_VALUE}, /* a group */
        {"00", QUDAG_EMALFORMED, KAD_PUT_VALUE},   /* field number 0 */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t b[64];
        size_t len = unhex(b, sizeof(b), cases[i].hex), dropped;
        struct kad_msg m;
        assert_int_equal(decode(&m, &dropped, (struct slice){b, len}), cases[i].err);
        assert_int_equal(m.type, cases[i].type);
    }
}

static void an_empty_record_is_still_a_record(void **state)
{
    (void)state;
    static const uint8_t in[] = {0x1a, 0x00};
    struct kad_msg m;
    size_t dropped;

    assert_int_equal(decode(&m, &dropped, (struct slice){in, 2}), QUDAG_OK);
    assert_true(m.has_record);
    assert_int_equal(m.rec_value.len, 0);
}

static void bad_peers_and_addresses_are_dropped_and_counted(void **state)
{
    (void)state;
    /* closer: id 00 01 aa with addresses 04 01020304, unknown ff7f; a peer with id 0x13; one without id */
    static const char hex[] = "0804"
                              "420e0a030001aa1205040102030412"
                              "0"
                              "0"
                              "42050a03130161"
                              "4200"
                              "42070a030001bb1801";
    uint8_t b[128];
    size_t len = unhex(b, sizeof(b), hex), dropped = 0;
    struct kad_msg m;

    assert_int_equal(decode(&m, &dropped, (struct slice){b, len}), QUDAG_OK);
    assert_int_equal(m.n_closer, 2);
    assert_int_equal(closer[0].n_addrs, 1);
    assert_int_equal(closer[0].id.b[2], 0xaa);
    assert_int_equal(closer[1].id.b[2], 0xbb); /* its connection type was skipped */
    assert_int_equal(dropped, 3);
}

static void peers_beyond_the_limit_are_dropped_and_counted(void **state)
{
    (void)state;
    struct kad_msg m;
    size_t len = 0, dropped;

    for (size_t i = 0; i < KAD_PEERS_MAX + 5; i++) {
        static const uint8_t peer[] = {0x4a, 5, 0x0a, 3, 0, 1, 7};
        memcpy(wire + len, peer, sizeof(peer));
        len += sizeof(peer);
    }
    assert_int_equal(decode(&m, &dropped, (struct slice){wire, len}), QUDAG_OK);
    assert_int_equal(m.n_providers, KAD_PEERS_MAX);
    assert_int_equal(dropped, 5);
    m = (struct kad_msg){0}; /* nowhere to put them */
    assert_int_equal(kad_msg_decode(&m, &dropped, (struct slice){wire, len}), QUDAG_OK);
    assert_int_equal(m.n_providers, 0);
    assert_int_equal(dropped, KAD_PEERS_MAX + 5);
}

static void limits_hold_both_ways(void **state)
{
    (void)state;
    static uint8_t big[KAD_VALUE_MAX + 1];
    static uint8_t out[2 * KAD_VALUE_MAX];
    static const struct {
        size_t key, rec_key, value, time;
        bool ok;
    } cases[] = {
        {KAD_KEY_MAX, KAD_KEY_MAX, KAD_VALUE_MAX, KAD_TIME_MAX, true},
        {KAD_KEY_MAX + 1, 0, 0, 0, false},
        {0, KAD_KEY_MAX + 1, 0, 0, false},
        {0, 0, KAD_VALUE_MAX + 1, 0, false},
        {0, 0, 0, KAD_TIME_MAX + 1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kad_msg m = {.key = {big, cases[i].key}, .has_record = true};
        m.rec_key = (struct slice){big, cases[i].rec_key};
        m.rec_value = (struct slice){big, cases[i].value};
        m.rec_time = (struct slice){big, cases[i].time};
        size_t len;
        assert_int_equal(kad_msg_encode(out, sizeof(out), &len, &m),
                         cases[i].ok ? QUDAG_OK : QUDAG_EINVAL);
    }
    uint8_t *in = calloc(1, KAD_MSG_IN_MAX + 1);
    struct kad_msg m;
    size_t dropped;
    in[0] = 0x12; /* key of 129 bytes */
    in[1] = 0x81;
    in[2] = 0x01;
    assert_int_equal(decode(&m, &dropped, (struct slice){in, 3 + KAD_KEY_MAX + 1}), QUDAG_ETOOBIG);
    assert_int_equal(decode(&m, &dropped, (struct slice){in, KAD_MSG_IN_MAX + 1}), QUDAG_ETOOBIG);
    free(in);
}

static void encoding_gives_up_addresses_then_peers(void **state)
{
    (void)state;
    static struct kad_peer_info c[KAD_PEERS_MAX], p[KAD_PEERS_MAX];
    struct kad_msg m = {.type = KAD_GET_PROVIDERS,
                        .key = {(const uint8_t *)"key", 3},
                        .n_closer = KAD_PEERS_MAX,
                        .n_providers = KAD_PEERS_MAX,
                        .closer = c,
                        .providers = p};
    struct kad_msg back;
    size_t len, dropped, full;

    for (uint8_t i = 0; i < KAD_PEERS_MAX; i++) {
        peer_fill(&c[i], i, KAD_ADDRS_MAX);
        peer_fill(&p[i], (uint8_t)(i + 100), KAD_ADDRS_MAX);
    }
    assert_int_equal(kad_msg_encode(wire, sizeof(wire), &full, &m), QUDAG_OK);
    size_t last_addrs = SIZE_MAX, last_peers = SIZE_MAX;
    for (size_t cap = full; cap >= 200; cap -= 97) {
        uint8_t *out = malloc(cap);
        assert_int_equal(kad_msg_encode(out, cap, &len, &m), QUDAG_OK);
        assert_true(len <= cap);
        assert_int_equal(decode(&back, &dropped, body(out, len)), QUDAG_OK);
        size_t peers = back.n_closer + back.n_providers;
        size_t addrs = peers == 0 ? 0 : (back.n_closer > 0 ? closer : providers)[0].n_addrs;
        assert_true(addrs <= last_addrs && peers <= last_peers);
        assert_true(peers == 2 * KAD_PEERS_MAX || addrs <= 1);
        last_addrs = addrs;
        last_peers = peers;
        free(out);
    }
    assert_true(last_peers < 6);
    for (size_t cap = 0; cap < 8; cap++) { /* key and type do not fit */
        assert_int_equal(kad_msg_encode(wire, cap, &len, &m), QUDAG_ETOOBIG);
    }
}

static void what_cannot_be_read_is_not_written(void **state)
{
    (void)state;
    static struct kad_peer_info one;
    uint8_t out[256];
    size_t len;
    struct kad_msg m = {.type = (enum kad_type)6};

    assert_int_equal(kad_msg_encode(out, sizeof(out), &len, &m), QUDAG_EINVAL);
    m = (struct kad_msg){.n_closer = KAD_PEERS_MAX + 1, .closer = &one};
    assert_int_equal(kad_msg_encode(out, sizeof(out), &len, &m), QUDAG_EINVAL);
    m = (struct kad_msg){.n_closer = 1, .closer = &one}; /* no id */
    assert_int_equal(kad_msg_encode(out, sizeof(out), &len, &m), QUDAG_EINVAL);
}

static void a_digest_is_asked_for_and_told_in_known_bytes(void **state)
{
    (void)state;
    uint8_t digest[KAD_DIGEST_LEN], out[64];
    struct kad_msg m = {.type = KAD_GET_VALUE, .key = {(const uint8_t *)"k", 1}}, back;
    size_t len, dropped;
    /* field 1000 of type bytes: 8002 as a varint */
    static const uint8_t ask[] = {8, 0x08, 1, 0x12, 1, 'k', 0xc2, 0x3e, 0};

    for (size_t i = 0; i < sizeof(digest); i++) {
        digest[i] = (uint8_t)i;
    }
    m.want_digest = true;
    assert_int_equal(kad_msg_encode(out, sizeof(out), &len, &m), QUDAG_OK);
    assert_int_equal(len, sizeof(ask));
    assert_memory_equal(out, ask, len);
    assert_int_equal(decode(&back, &dropped, body(out, len)), QUDAG_OK);
    assert_true(back.want_digest);
    assert_false(back.has_digest);

    m.has_digest = true;
    m.digest = digest; /* a question and an answer at once */
    assert_int_equal(kad_msg_encode(out, sizeof(out), &len, &m), QUDAG_EINVAL);
    m.want_digest = false;
    assert_int_equal(kad_msg_encode(out, sizeof(out), &len, &m), QUDAG_OK);
    assert_int_equal(len, sizeof(ask) + KAD_DIGEST_LEN);
    assert_int_equal(decode(&back, &dropped, body(out, len)), QUDAG_OK);
    assert_false(back.want_digest);
    assert_true(back.has_digest);
    assert_memory_equal(back.digest, digest, KAD_DIGEST_LEN);
    assert_false(back.has_record);
    for (size_t cap = 0; cap < len; cap++) {
        size_t n;
        assert_int_equal(kad_msg_encode(out, cap, &n, &m), QUDAG_ETOOBIG);
    }
}

static void a_digest_of_another_length_or_type_is_malformed(void **state)
{
    (void)state;
    static uint8_t in[80] = {0x08, 1, 0xc2, 0x3e};
    struct kad_msg m;
    size_t dropped;

    for (uint8_t n = 0; n < 70; n++) {
        in[4] = n;
        qudag_err want = n == 0 || n == KAD_DIGEST_LEN ? QUDAG_OK : QUDAG_EMALFORMED;
        assert_int_equal(decode(&m, &dropped, (struct slice){in, 5u + n}), want);
    }
    static const uint8_t number[] = {0x08, 1, 0xc0, 0x3e, 0};
    assert_int_equal(decode(&m, &dropped, (struct slice){number, 5}), QUDAG_EMALFORMED);
    /* The last one counts. */
    static const uint8_t twice[] = {0x08, 1, 0xc2, 0x3e, 0, 0xc2, 0x3e, 1, 7};
    assert_int_equal(decode(&m, &dropped, (struct slice){twice, 9}), QUDAG_EMALFORMED);
}

/* As a server reads: closer peers as their bytes, for which an id is all that is looked at. */
static void a_closer_peer_without_an_id_is_none(void **state)
{
    static const uint8_t msg[] = {0x08, 0x04, 0x42, 0x00, 0x42, 0x03, 0x0a, 0x01, 0x77};
    static struct kad_peer_raw raw[KAD_PEERS_MAX];
    struct kad_msg m = {.raw = raw};
    size_t dropped = 0;

    (void)state;
    assert_int_equal(kad_msg_decode(&m, &dropped, (struct slice){msg, sizeof(msg)}), QUDAG_OK);
    assert_int_equal(m.n_raw, 1);
    assert_int_equal(dropped, 1);
    assert_int_equal(raw[0].id.len, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closer_peer_without_an_id_is_none),
        cmocka_unit_test(a_find_node_request_has_known_bytes),
        cmocka_unit_test(a_full_message_comes_back),
        cmocka_unit_test(a_message_cut_anywhere_is_refused_or_shorter),
        cmocka_unit_test(protobuf_is_read_as_peers_write_it),
        cmocka_unit_test(an_empty_record_is_still_a_record),
        cmocka_unit_test(bad_peers_and_addresses_are_dropped_and_counted),
        cmocka_unit_test(peers_beyond_the_limit_are_dropped_and_counted),
        cmocka_unit_test(limits_hold_both_ways),
        cmocka_unit_test(encoding_gives_up_addresses_then_peers),
        cmocka_unit_test(what_cannot_be_read_is_not_written),
        cmocka_unit_test(a_digest_is_asked_for_and_told_in_known_bytes),
        cmocka_unit_test(a_digest_of_another_length_or_type_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
