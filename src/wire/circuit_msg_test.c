/* circuit_msg_test.c - messages of circuit relay v2: frozen ones, every cut, wrong fields, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rd.h"
#include "base/text.h"
#include "wire/circuit_msg.h"
#include "wire/pb.h"

#include <stdlib.h>
#include <string.h>

/* Written by a Python script from the field numbers of the specification, with their lengths. */
static const char reserve[] = "020800";
static const char connect_hop[] =
    "2c080112280a260024080112200bbc346a57667c380120bd9c7fd7e51d2c5fdfea37cd2f5bf405b2c6bf6f2d78";
static const char connect_stop[] =
    "34080012280a260024080112200bbc346a57667c380120bd9c7fd7e51d2c5fdfea37cd2f5bf405b2c6bf6f2d78"
    "1a06087810808008";
static const char status_stop[] = "0408012064";
static size_t unhex(uint8_t *out, size_t cap, const char *hex)
{
    size_t len;

    assert_int_equal(hex_decode(out, cap, &len, (struct slice){(const uint8_t *)hex, strlen(hex)}),
                     QUDAG_OK);
    return len;
}

/* The message of |hex|, in memory of its own so that a read beyond it is seen. */
static qudag_err read_hex(struct circuit_msg *m, enum circuit_side side, const char *hex)
{
    uint8_t bytes[512];
    struct rd r = rd_init((struct slice){bytes, unhex(bytes, sizeof(bytes), hex)});
    struct slice body = rd_lp(&r, CIRCUIT_MSG_MAX);

    assert_true(rd_done(&r));
    uint8_t *copy = malloc(body.len);
    assert_non_null(copy);
    memcpy(copy, body.base, body.len);
    qudag_err err = circuit_msg_read(m, side, (struct slice){copy, body.len});
    m->voucher.base = NULL;
    free(copy);
    return err;
}

static void assert_written(enum circuit_side side, const struct circuit_msg *m, const char *hex)
{
    uint8_t want[512], out[512];
    struct wr w = wr_init(out, sizeof(out));
    size_t len = unhex(want, sizeof(want), hex);

    assert_int_equal(circuit_msg_write(&w, side, m), QUDAG_OK);
    assert_int_equal(w.len, len);
    assert_memory_equal(out, want, len);
}

static struct peer_id other(void)
{
    uint8_t pk[32];
    struct peer_id id;

    assert_int_equal(
        unhex(pk, sizeof(pk), "0bbc346a57667c380120bd9c7fd7e51d2c5fdfea37cd2f5bf405b2c6bf6f2d78"),
        32);
    peer_id_from_ed25519(&id, pk);
    return id;
}

static void frozen_messages_are_written_and_read(void **state)
{
    struct circuit_msg m, want = {.type = CIRCUIT_RESERVE};
    struct peer_id id = other();

    (void)state;
    assert_int_equal(read_hex(&m, CIRCUIT_HOP, reserve), QUDAG_OK);
    assert_int_equal(m.type, CIRCUIT_RESERVE);
    assert_written(CIRCUIT_HOP, &want, reserve);

    want = (struct circuit_msg){.type = CIRCUIT_CONNECT, .peer = id};
    assert_int_equal(read_hex(&m, CIRCUIT_HOP, connect_hop), QUDAG_OK);
    assert_true(m.type == CIRCUIT_CONNECT && peer_id_eq(&m.peer, &id));
    assert_written(CIRCUIT_HOP, &want, connect_hop);

    want.limit = (struct circuit_limit){120, 131072};
    assert_int_equal(read_hex(&m, CIRCUIT_STOP, connect_stop), QUDAG_OK);
    assert_true(m.type == CIRCUIT_CONNECT && peer_id_eq(&m.peer, &id));
    assert_true(m.limit.duration_s == 120 && m.limit.data == 131072);
    assert_written(CIRCUIT_STOP, &want, connect_stop);

    want = (struct circuit_msg){.type = CIRCUIT_STATUS, .status = CIRCUIT_OK};
    assert_int_equal(read_hex(&m, CIRCUIT_STOP, status_stop), QUDAG_OK);
    assert_true(m.type == CIRCUIT_STATUS && m.status == CIRCUIT_OK && m.peer.len == 0);
    assert_written(CIRCUIT_STOP, &want, status_stop);
}

static void a_reservation_comes_back_as_it_was_written(void **state)
{
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};
    struct circuit_msg m = {.type = CIRCUIT_STATUS,
                            .status = CIRCUIT_OK,
                            .has_reservation = true,
                            .expire = 1800000000,
                            .limit = {120, UINT64_MAX},
                            .n_addrs = 2,
                            .voucher = {(const uint8_t *)"voucher", 7}},
                       back;
    struct peer_id id = other();
    uint8_t out[512];
    struct wr w = wr_init(out, sizeof(out));

    (void)state;
    multiaddr_quic(&m.addr[0], &a, &id);
    multiaddr_quic(&m.addr[1], &a, NULL);
    assert_int_equal(circuit_msg_write(&w, CIRCUIT_HOP, &m), QUDAG_OK);
    struct rd r = rd_init(wr_done(&w));
    struct slice body = rd_lp(&r, CIRCUIT_MSG_MAX);
    assert_int_equal(circuit_msg_read(&back, CIRCUIT_HOP, body), QUDAG_OK);
    assert_true(back.has_reservation && back.expire == 1800000000 && back.n_addrs == 2);
    assert_true(multiaddr_eq(&back.addr[0], &m.addr[0]) && multiaddr_eq(&back.addr[1], &m.addr[1]));
    assert_true(back.voucher.len == 7 && memcmp(back.voucher.base, "voucher", 7) == 0);
    assert_true(back.limit.duration_s == 120 && back.limit.data == UINT64_MAX);
    for (size_t n = 0; n < body.len; n++) { /* every cut is refused, or says less */
        struct circuit_msg cut = {.expire = 7};
        uint8_t *copy = malloc(n > 0 ? n : 1);
        memcpy(copy, body.base, n);
        qudag_err err = circuit_msg_read(&cut, CIRCUIT_HOP, (struct slice){copy, n});
        assert_true(err == QUDAG_OK ? cut.status == 0 : cut.expire == 7);
        free(copy);
    }
    struct wr small = wr_init(out, 100);
    assert_int_equal(circuit_msg_write(&small, CIRCUIT_HOP, &m), QUDAG_ETOOBIG);
}

static void messages_that_are_none_are_refused(void **state)
{
    static const char *const hop[] = {
        "00",             /* no type: also where 0 is one */
        "020803",         /* no such type */
        "030a0100",       /* the type is no number */
        "0408001200",     /* a peer without id */
        "06080112020a00", /* an empty id */
        "0408012201",     /* a limit that ends early */
        "080801120408010a01",
    };
    struct circuit_msg m = {.expire = 7};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hop); i++) {
        uint8_t bytes[64];
        size_t len = unhex(bytes, sizeof(bytes), hop[i]);
        if (circuit_msg_read(&m, CIRCUIT_HOP, (struct slice){bytes + 1, len - 1}) !=
            QUDAG_EMALFORMED) {
            fail_msg("row %zu", i);
        }
    }
    assert_int_equal(read_hex(&m, CIRCUIT_STOP, "020802"), QUDAG_EMALFORMED); /* of the other */
    assert_int_equal(m.expire, 7);
}

static void limits_are_kept(void **state)
{
    static uint8_t big[CIRCUIT_MSG_MAX + 8];
    static struct circuit_msg m;
    uint8_t head[8];
    struct wr w = wr_init(head, sizeof(head));

    (void)state;
    assert_int_equal(circuit_msg_read(&m, CIRCUIT_HOP, (struct slice){big, CIRCUIT_MSG_MAX + 1}),
                     QUDAG_ETOOBIG);
    pb_put_varint(&w, 1, 2);
    memcpy(big, head, w.len);
    struct wr r = wr_init(big + w.len, sizeof(big) - w.len);
    pb_put_head(&r, 3, 4 + CIRCUIT_VOUCHER_MAX);
    pb_put_head(&r, 3, CIRCUIT_VOUCHER_MAX + 1);
    r.len += CIRCUIT_VOUCHER_MAX + 1;
    assert_int_equal(circuit_msg_read(&m, CIRCUIT_HOP, (struct slice){big, w.len + r.len}),
                     QUDAG_ETOOBIG);
    m = (struct circuit_msg){.type = CIRCUIT_STATUS, .has_reservation = true};
    m.n_addrs = CIRCUIT_ADDRS_MAX;
    for (size_t i = 0; i < m.n_addrs; i++) {
        m.addr[i].len = MULTIADDR_MAX;
    }
    m.voucher = (struct slice){big, 1200};
    w = wr_init(big, sizeof(big));
    assert_int_equal(circuit_msg_write(&w, CIRCUIT_HOP, &m), QUDAG_ETOOBIG);
}

static void statuses_have_names_and_meanings(void **state)
{
    static const struct {
        uint32_t status;
        qudag_err err;
    } rows[] = {
        {CIRCUIT_OK, QUDAG_OK},
        {CIRCUIT_RESERVATION_REFUSED, QUDAG_EREFUSED},
        {CIRCUIT_RESOURCE_LIMIT_EXCEEDED, QUDAG_EREFUSED},
        {CIRCUIT_PERMISSION_DENIED, QUDAG_EREFUSED},
        {CIRCUIT_CONNECTION_FAILED, QUDAG_EUNREACHABLE},
        {CIRCUIT_NO_RESERVATION, QUDAG_EUNREACHABLE},
        {CIRCUIT_MALFORMED_MESSAGE, QUDAG_EPROTO},
        {CIRCUIT_UNEXPECTED_MESSAGE, QUDAG_EPROTO},
        {CIRCUIT_NO_STATUS, QUDAG_EPROTO},
        {UINT32_MAX, QUDAG_EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(circuit_status_err(rows[i].status), rows[i].err);
        bool none = rows[i].status == CIRCUIT_NO_STATUS || rows[i].status == UINT32_MAX;
        assert_true((strcmp(circuit_status_name(rows[i].status), "unknown") == 0) == none);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frozen_messages_are_written_and_read),
        cmocka_unit_test(a_reservation_comes_back_as_it_was_written),
        cmocka_unit_test(messages_that_are_none_are_refused),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(statuses_have_names_and_meanings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
