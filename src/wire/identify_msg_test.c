#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "wire/identify_msg.h"
#include "wire/pb.h"

#include <stdlib.h>
#include <string.h>

/* |text| into a zeroed array of IDENTIFY_TEXT_MAX. */
static void text_set(char *dst, const char *text)
{
    memcpy(dst, text, strlen(text));
}

static uint8_t wire[IDENTIFY_IN_MAX];

static void addr_nth(struct multiaddr *m, uint8_t n)
{
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, n}, .port = 4001};
    multiaddr_quic(m, &a, NULL);
}

static void sample(struct identify_msg *m)
{
    uint8_t pk[32];

    memset(m, 0, sizeof(*m));
    memset(pk, 0x42, sizeof(pk));
    key_proto_ed25519(m->key_proto, pk);
    m->key_len = KEY_PROTO_ED25519;
    peer_id_from_ed25519(&m->peer, pk);
    m->has_peer = true;
    m->has_addrs = m->has_protos = true;
    m->n_addrs = 2;
    addr_nth(&m->addr[0], 1);
    addr_nth(&m->addr[1], 2);
    m->n_protos = 2;
    text_set(m->proto[0], "/ipfs/id/1.0.0");
    text_set(m->proto[1], "/ipfs/ping/1.0.0");
    m->has_observed = true;
    addr_nth(&m->observed, 9);
    text_set(m->protocol_version, "ipfs/0.1.0");
    text_set(m->agent_version, "qudag/0.1.0");
    m->record_len = 300;
    memset(m->record, 0x5e, m->record_len);
}

static struct slice body(const uint8_t *p, size_t len)
{
    size_t head = (p[0] & 0x80) != 0 ? 2 : 1;
    size_t n = head == 1 ? p[0] : (size_t)(p[0] & 0x7f) | (size_t)p[1] << 7;

    assert_int_equal(n, len - head);
    return (struct slice){p + head, n};
}

static void a_message_comes_back_whole(void **state)
{
    (void)state;
    struct identify_msg m, back = {0};
    size_t len;

    sample(&m);
    assert_int_equal(identify_msg_encode(wire, IDENTIFY_MSG_MAX, &len, &m), QUDAG_OK);
    assert_int_equal(identify_msg_merge(&back, body(wire, len)), QUDAG_OK);
    assert_memory_equal(&m, &back, sizeof(m));
}

static void room_for_a_message_is_respected(void **state)
{
    (void)state;
    struct identify_msg m;
    size_t full, len;

    sample(&m);
    assert_int_equal(identify_msg_encode(wire, sizeof(wire), &full, &m), QUDAG_OK);
    for (size_t cap = 0; cap < full; cap++) {
        uint8_t *out = malloc(cap > 0 ? cap : 1);
        assert_int_equal(identify_msg_encode(out, cap, &len, &m), QUDAG_ETOOBIG);
        free(out);
    }
    assert_int_equal(identify_msg_encode(wire, full, &len, &m), QUDAG_OK);
}

static void a_message_cut_anywhere_changes_nothing_or_says_less(void **state)
{
    (void)state;
    struct identify_msg m, back, none = {0};
    size_t len, accepted = 0;

    sample(&m);
    assert_int_equal(identify_msg_encode(wire, IDENTIFY_MSG_MAX, &len, &m), QUDAG_OK);
    struct slice whole = body(wire, len);
    for (size_t cut = 0; cut < whole.len; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        memcpy(copy, whole.base, cut);
        memset(&back, 0, sizeof(back));
        qudag_err err = identify_msg_merge(&back, (struct slice){copy, cut});
        if (err == QUDAG_OK) {
            accepted++;
            assert_int_equal(back.record_len, 0); /* it is written last */
        } else {
            assert_int_equal(err, QUDAG_EMALFORMED);
            assert_memory_equal(&back, &none, sizeof(back));
        }
        free(copy);
    }
    assert_int_equal(accepted, 9); /* nothing, key, 2 + 2, observed, version, agent */
}

static void messages_are_merged(void **state)
{
    (void)state;
    struct identify_msg m, part = {0}, want;
    size_t len;

    sample(&m);
    want = m;
    part.n_addrs = 2;
    addr_nth(&part.addr[0], 2); /* known */
    addr_nth(&part.addr[1], 3);
    part.n_protos = 2;
    text_set(part.proto[0], "/x/1");
    text_set(part.proto[1], "/ipfs/id/1.0.0"); /* known */
    text_set(part.agent_version, "other/1");
    assert_int_equal(identify_msg_encode(wire, IDENTIFY_MSG_MAX, &len, &part), QUDAG_OK);
    assert_int_equal(identify_msg_merge(&m, body(wire, len)), QUDAG_OK);
    want.n_addrs = 3;
    addr_nth(&want.addr[2], 3);
    want.n_protos = 3;
    text_set(want.proto[2], "/x/1");
    memset(want.agent_version, 0, sizeof(want.agent_version));
    text_set(want.agent_version, "other/1");
    assert_memory_equal(&m, &want, sizeof(m));
}

static void put(size_t *at, uint8_t field, const void *p, size_t len)
{
    assert_true(len < 128 && *at + 2 + len <= sizeof(wire));
    wire[(*at)++] = (uint8_t)(field << 3 | 2);
    wire[(*at)++] = (uint8_t)len;
    memcpy(wire + *at, p, len);
    *at += len;
}

static void what_exceeds_a_limit_is_dropped(void **state)
{
    (void)state;
    static struct identify_msg m;
    char text[127];
    size_t at = 0;

    memset(&m, 0, sizeof(m));
    memset(text, 'a', sizeof(text));
    for (uint8_t i = 0; i < IDENTIFY_ADDRS_MAX + 4; i++) {
        struct multiaddr a;
        addr_nth(&a, i);
        put(&at, 2, a.b, a.len);
    }
    put(&at, 3, text, IDENTIFY_TEXT_MAX); /* one too long, then the longest */
    put(&at, 3, text, IDENTIFY_TEXT_MAX - 1);
    for (uint8_t i = 0; i < IDENTIFY_PROTOS_MAX + 4; i++) {
        char id[4] = {'/', (char)('a' + i / 26), (char)('a' + i % 26), '\0'};
        put(&at, 3, id, 3);
    }
    put(&at, 5, text, IDENTIFY_TEXT_MAX);
    put(&at, 6, text, IDENTIFY_TEXT_MAX - 1);
    assert_int_equal(identify_msg_merge(&m, (struct slice){wire, at}), QUDAG_OK);
    assert_int_equal(m.n_addrs, IDENTIFY_ADDRS_MAX);
    assert_int_equal(m.n_protos, IDENTIFY_PROTOS_MAX);
    assert_int_equal(strlen(m.proto[0]), IDENTIFY_TEXT_MAX - 1);
    assert_string_equal(m.proto[1], "/aa");
    assert_int_equal(m.protocol_version[0], '\0');
    assert_int_equal(strlen(m.agent_version), IDENTIFY_TEXT_MAX - 1);
}

static void texts_that_would_deceive_a_terminal_are_dropped(void **state)
{
    (void)state;
    static struct identify_msg m;
    size_t at = 0;

    memset(&m, 0, sizeof(m));
    put(&at, 6, "\x1b[31mred", 8);
    put(&at, 5, "\xff\xfe", 2);
    put(&at, 3, "/a\0b", 4);
    put(&at, 3, "", 0);
    put(&at, 4, "\xff\x7f", 2); /* an observed address we cannot read */
    put(&at, 2, "\x04\x01", 2);
    assert_int_equal(identify_msg_merge(&m, (struct slice){wire, at}), QUDAG_OK);
    static const struct identify_msg none = {.has_addrs = true, .has_protos = true};
    assert_memory_equal(&m, &none, sizeof(m));
}

static void bad_messages_leave_the_old_one_alone(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        qudag_err err;
    } cases[] = {
        {"0801", QUDAG_EMALFORMED},               /* key as a number */
        {"1001", QUDAG_EMALFORMED},               /* address as a number */
        {"1801", QUDAG_EMALFORMED},               /* protocol as a number */
        {"1d01020304", QUDAG_EMALFORMED},         /* protocol as 32 bits */
        {"32026162330161", QUDAG_EMALFORMED},     /* a group after an agent */
        {"1a032f61620a020801", QUDAG_EMALFORMED}, /* half a key after a protocol */
        {"0a0608041202abab", QUDAG_EUNSUPPORTED}, /* a key type nobody knows */
        {"12", QUDAG_EMALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct identify_msg m, want;
        uint8_t b[64];
        size_t len = 0;
        struct slice hex = {(const uint8_t *)cases[i].hex, strlen(cases[i].hex)};
        sample(&m);
        want = m;
        assert_int_equal(hex_decode(b, sizeof(b), &len, hex), QUDAG_OK);
        assert_int_equal(identify_msg_merge(&m, (struct slice){b, len}), cases[i].err);
        assert_memory_equal(&m, &want, sizeof(m));
    }
    struct identify_msg m = {0};
    uint8_t *big = calloc(1, IDENTIFY_IN_MAX + 1);
    assert_int_equal(identify_msg_merge(&m, (struct slice){big, IDENTIFY_IN_MAX + 1}),
                     QUDAG_ETOOBIG);
    free(big);
}

static void a_record_larger_than_a_record_may_be_is_left_out(void **state)
{
    static uint8_t buf[PEER_RECORD_MAX + 8], body[PEER_RECORD_MAX + 1] = {0x5e};
    struct identify_msg m = {0};

    (void)state;
    for (size_t more = 0; more <= 1; more++) {
        struct wr w = wr_init(buf, sizeof(buf));
        pb_put_bytes(&w, 8, (struct slice){body, sizeof(m.record) + more});
        memset(&m, 0, sizeof(m));
        assert_int_equal(identify_msg_merge(&m, wr_done(&w)), QUDAG_OK);
        assert_int_equal(m.record_len, more == 0 ? sizeof(m.record) : 0);
    }
}

static void a_list_of_nothing_usable_is_not_the_same_as_no_list(void **state)
{
    (void)state;
    static const struct {
        uint8_t field;
        bool addrs, protos;
    } rows[] = {{1, false, false}, {2, true, false}, {3, false, true}, {6, false, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct identify_msg m = {0};
        size_t at = 0;
        put(&at, rows[i].field, "", 0);
        assert_int_equal(identify_msg_merge(&m, (struct slice){wire, at}), QUDAG_OK);
        assert_int_equal(m.has_addrs, rows[i].addrs);
        assert_int_equal(m.has_protos, rows[i].protos);
        assert_int_equal(m.n_addrs + m.n_protos, 0);
    }
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    static struct identify_msg m;
    size_t at = 0;

    memset(&m, 0, sizeof(m));
    put(&at, 7, "reserved", 8);
    put(&at, 15, "later", 5);
    put(&at, 6, "agent", 5);
    assert_int_equal(identify_msg_merge(&m, (struct slice){wire, at}), QUDAG_OK);
    assert_string_equal(m.agent_version, "agent");
}

static void a_long_key_is_kept_as_id_only(void **state)
{
    (void)state;
    static struct identify_msg m;
    uint8_t key[100] = {0x08, 0x00, 0x12, 96};
    size_t at = 0;

    memset(&m, 0, sizeof(m));
    put(&at, 1, key, sizeof(key));
    assert_int_equal(identify_msg_merge(&m, (struct slice){wire, at}), QUDAG_OK);
    assert_true(m.has_peer);
    assert_int_equal(m.key_len, 0);
    assert_int_equal(m.peer.len, 34);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_larger_than_a_record_may_be_is_left_out),
        cmocka_unit_test(a_message_comes_back_whole),
        cmocka_unit_test(room_for_a_message_is_respected),
        cmocka_unit_test(a_message_cut_anywhere_changes_nothing_or_says_less),
        cmocka_unit_test(messages_are_merged),
        cmocka_unit_test(what_exceeds_a_limit_is_dropped),
        cmocka_unit_test(texts_that_would_deceive_a_terminal_are_dropped),
        cmocka_unit_test(bad_messages_leave_the_old_one_alone),
        cmocka_unit_test(a_list_of_nothing_usable_is_not_the_same_as_no_list),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(a_long_key_is_kept_as_id_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
