/*
 * kad_vectors_test.c - one message of each kind as other implementations write it.
 *
 * |theirs| was written by js-libp2p (@libp2p/kad-dht 16.4.5, the protobuf of the libp2p specs), or, where
 * said, by hand from the specification.  |ours| is what we write for the same: without the connection state
 * of peers (field 3), and with the type also where it is 0.
 */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "wire/kad_msg.h"

#include <string.h>

#define WIRE_MAX 512

#define X8(b) b b b b b b b b
#define X32(b) X8(b) X8(b) X8(b) X8(b)

#define PEER_7 "002408011220" X32("07")

/* Fields of a Peer: id, address /ip4/127.0.0.1/udp/PORT/quic-v1, and theirs: not connected. */
#define FIELDS(b, port) "0a26002408011220" X32(b) "120b047f0000019102" port "cd03"
#define THEIRS(tag, b, port) tag "37" FIELDS(b, port) "1800"
#define OURS(tag, b, port) tag "35" FIELDS(b, port)

#define KEY "12062f762f6b6579"
#define RECORD                                                                                     \
    "1a2f0a062f762f6b6579120576616c75652a1e"                                                       \
    "323032302d30322d32395431323a33343a35362e3030303030303030305a"
#define CID_KEY "12221220" X32("09")

struct vector {
    const char *name, *theirs, *ours;
    enum kad_type type;
    bool cid; /* the key is a multihash, else a peer id or /v/key */
    bool record;
    uint8_t closer[3], providers[2]; /* the byte their keys are made of; 0: end */
};

static const struct vector vectors[] = {
    {"ping", "0805", "0805", KAD_PING, .cid = false},
    {"find node", "08041226" PEER_7, "08041226" PEER_7, KAD_FIND_NODE, .cid = false},
    {"find node, answer", "08041226" PEER_7 THEIRS("42", "01", "0fa1") THEIRS("42", "02", "0fa2"),
     "08041226" PEER_7 OURS("42", "01", "0fa1") OURS("42", "02", "0fa2"), KAD_FIND_NODE,
     .closer = {1, 2}},
    {"find node, answer with the cluster level go-libp2p adds (by hand)",
     "08041226" PEER_7 "5001" THEIRS("42", "01", "0fa1"),
     "08041226" PEER_7 OURS("42", "01", "0fa1"), KAD_FIND_NODE, .closer = {1}},
    {"get value", "0801" KEY, "0801" KEY, KAD_GET_VALUE, .cid = false},
    {"get value, answer", "0801" KEY RECORD THEIRS("42", "01", "0fa1"),
     "0801" KEY RECORD OURS("42", "01", "0fa1"), KAD_GET_VALUE, .record = true, .closer = {1}},
    {"put value", KEY RECORD, "0800" KEY RECORD, KAD_PUT_VALUE, .record = true},
    {"add provider", "0802" CID_KEY THEIRS("4a", "03", "0fa3"),
     "0802" CID_KEY OURS("4a", "03", "0fa3"), KAD_ADD_PROVIDER, .cid = true, .providers = {3}},
    {"get providers", "0803" CID_KEY, "0803" CID_KEY, KAD_GET_PROVIDERS, .cid = true},
    {"get providers, answer", "0803" CID_KEY THEIRS("42", "01", "0fa1") THEIRS("4a", "03", "0fa3"),
     "0803" CID_KEY OURS("42", "01", "0fa1") OURS("4a", "03", "0fa3"), KAD_GET_PROVIDERS,
     .cid = true, .closer = {1}, .providers = {3}},
};

static struct slice bytes(uint8_t dst[WIRE_MAX], const char *hex)
{
    size_t n = 0;

    assert_int_equal(
        hex_decode(dst, WIRE_MAX, &n, (struct slice){(const uint8_t *)hex, strlen(hex)}), QUDAG_OK);
    return (struct slice){dst, n};
}

static void peer(struct kad_peer_info *p, uint8_t b)
{
    struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(4000 + b)};
    uint8_t pk[32];

    memset(pk, b, sizeof(pk));
    memset(p, 0, sizeof(*p));
    peer_id_from_ed25519(&p->id, pk);
    p->n_addrs = 1;
    multiaddr_quic(&p->addr[0], &a, NULL);
}

static struct slice key_of(const struct vector *v, struct peer_id *id, uint8_t cid[34])
{
    struct kad_peer_info p;

    if (v->type == KAD_PING) {
        return (struct slice){NULL, 0};
    }
    if (v->type == KAD_FIND_NODE) {
        peer(&p, 7);
        *id = p.id;
        return peer_id_slice(id);
    }
    memset(cid, 9, 34);
    cid[0] = 0x12;
    cid[1] = 0x20;
    return v->cid ? (struct slice){cid, 34} : (struct slice){(const uint8_t *)"/v/key", 6};
}

static void same(struct slice got, const void *want, size_t len)
{
    assert_int_equal(got.len, len);
    if (len > 0) {
        assert_memory_equal(got.base, want, len);
    }
}

static void same_peers(const struct kad_peer_info *got, size_t n, const uint8_t *want)
{
    for (size_t i = 0; i < n; i++) {
        struct kad_peer_info p;
        peer(&p, want[i]);
        assert_true(peer_id_eq(&got[i].id, &p.id));
        assert_int_equal(got[i].n_addrs, 1);
        same(multiaddr_slice(&got[i].addr[0]), p.addr[0].b, p.addr[0].len);
    }
    assert_int_equal(want[n], 0);
}

static void each_kind_is_read_as_others_write_it(void **state)
{
    (void)state;
    static struct kad_peer_info closer[KAD_PEERS_MAX], providers[KAD_PEERS_MAX];

    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct kad_msg m = {.closer = closer, .providers = providers};
        uint8_t wire[WIRE_MAX], cid[34];
        struct peer_id id;
        size_t dropped = 0;

        print_message("%s\n", v->name);
        assert_int_equal(kad_msg_decode(&m, &dropped, bytes(wire, v->theirs)), QUDAG_OK);
        assert_int_equal(dropped, 0);
        assert_int_equal(m.type, v->type);
        struct slice key = key_of(v, &id, cid);
        same(m.key, key.base, key.len);
        assert_int_equal(m.has_record, v->record);
        if (v->record) {
            same(m.rec_key, "/v/key", 6);
            same(m.rec_value, "value", 5);
            same(m.rec_time, "2020-02-29T12:34:56.000000000Z", 30);
        }
        same_peers(m.closer, m.n_closer, v->closer);
        same_peers(m.providers, m.n_providers, v->providers);
    }
}

static void each_kind_is_written_as_frozen_here(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct kad_peer_info closer[3], providers[2];
        struct kad_msg m = {.type = v->type, .closer = closer, .providers = providers};
        uint8_t want[WIRE_MAX], got[WIRE_MAX], cid[34];
        struct peer_id id;
        size_t len = 0;

        m.key = key_of(v, &id, cid);
        if (v->record) {
            m.has_record = true;
            m.rec_key = m.key;
            m.rec_value = (struct slice){(const uint8_t *)"value", 5};
            m.rec_time = (struct slice){(const uint8_t *)"2020-02-29T12:34:56.000000000Z", 30};
        }
        for (; v->closer[m.n_closer] != 0; m.n_closer++) {
            peer(&closer[m.n_closer], v->closer[m.n_closer]);
        }
        for (; v->providers[m.n_providers] != 0; m.n_providers++) {
            peer(&providers[m.n_providers], v->providers[m.n_providers]);
        }
        print_message("%s\n", v->name);
        assert_int_equal(kad_msg_encode(got, sizeof(got), &len, &m), QUDAG_OK);
        struct slice frozen = bytes(want, v->ours);
        size_t prefix = frozen.len < 128 ? 1 : 2; /* the length goes in front */
        assert_int_equal(len, prefix + frozen.len);
        assert_int_equal(got[0] & 0x7f, frozen.len & 0x7f);
        assert_memory_equal(got + prefix, frozen.base, frozen.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_read_as_others_write_it),
        cmocka_unit_test(each_kind_is_written_as_frozen_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
