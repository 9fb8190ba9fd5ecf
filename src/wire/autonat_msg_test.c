/* autonat_msg_test.c - messages of AutoNAT v2, with vectors made by hand from the specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rd.h"
#include "wire/autonat_msg.h"

#include <string.h>

#define NONCE UINT64_C(0x0102030405060708)

/* /ip4/5.9.1.1/udp/4433/quic-v1 */
static const uint8_t quic_addr[] = {0x04, 5, 9, 1, 1, 0x91, 0x02, 0x11, 0x51, 0xcd, 0x03};

static const uint8_t request[] = {24,   0x0a, 22,   0x0a, 11,   0x04, 5,    9,    1,
                                  1,    0x91, 0x02, 0x11, 0x51, 0xcd, 0x03, 0x11, 0x08,
                                  0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01};
static const uint8_t response[] = {10, 0x12, 8, 0x08, 0xc8, 0x01, 0x10, 0x02, 0x18, 0xc8, 0x01};
static const uint8_t ask[] = {8, 0x1a, 6, 0x08, 0x01, 0x10, 0xb0, 0xea, 0x01};
static const uint8_t data[] = {7, 0x22, 5, 0x0a, 3, 'a', 'b', 'c'};
static const uint8_t back[] = {9, 0x09, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01};

static void assert_written(const struct autonat_msg *m, const uint8_t *want, size_t len)
{
    uint8_t out[AUTONAT_MSG_MAX + 16];
    struct wr w = wr_init(out, sizeof(out));
    struct autonat_msg got;

    assert_int_equal(autonat_msg_write(&w, m), QUDAG_OK);
    assert_int_equal(w.len, len);
    assert_memory_equal(out, want, len);
    assert_int_equal(autonat_msg_read(&got, (struct slice){want + 1, len - 1}), QUDAG_OK);
    assert_int_equal(got.type, m->type);
    assert_int_equal(got.n_addrs, m->n_addrs);
    assert_true(m->n_addrs == 0 || multiaddr_eq(&got.addr[0], &m->addr[0]));
    assert_true(got.nonce == m->nonce && got.status == m->status && got.dial == m->dial);
    assert_true(got.addr_ix == m->addr_ix && got.num_bytes == m->num_bytes);
    assert_int_equal(got.data.len, m->data.len);
    for (size_t n = 1; n < len - 1; n++) { /* cut short: never taken for more than it is */
        struct autonat_msg cut = {.type = AUTONAT_DATA};
        assert_int_equal(autonat_msg_read(&cut, (struct slice){want + 1, n}), QUDAG_EMALFORMED);
        assert_int_equal(cut.type, AUTONAT_DATA);
    }
}

static void messages_are_as_the_specification_has_them(void **state)
{
    struct autonat_msg m = {.type = AUTONAT_REQUEST, .n_addrs = 1, .nonce = NONCE};
    (void)state;

    assert_int_equal(multiaddr_from_bytes(&m.addr[0], (struct slice){quic_addr, sizeof(quic_addr)}),
                     QUDAG_OK);
    assert_written(&m, request, sizeof(request));
    m = (struct autonat_msg){
        .type = AUTONAT_RESPONSE, .status = AUTONAT_OK, .addr_ix = 2, .dial = AUTONAT_DIAL_OK};
    assert_written(&m, response, sizeof(response));
    m = (struct autonat_msg){.type = AUTONAT_DATA_REQUEST, .addr_ix = 1, .num_bytes = 30000};
    assert_written(&m, ask, sizeof(ask));
    m = (struct autonat_msg){.type = AUTONAT_DATA, .data = {(const uint8_t *)"abc", 3}};
    assert_written(&m, data, sizeof(data));
}

static void a_dial_back_carries_its_nonce(void **state)
{
    uint8_t out[32];
    struct wr w = wr_init(out, sizeof(out));
    uint64_t nonce = 0;
    (void)state;

    autonat_back_write(&w, NONCE);
    assert_int_equal(w.len, sizeof(back));
    assert_memory_equal(out, back, sizeof(back));
    assert_int_equal(autonat_back_read(&nonce, (struct slice){back + 1, 9}), QUDAG_OK);
    assert_true(nonce == NONCE);
    for (size_t n = 0; n < 9; n++) {
        assert_int_equal(autonat_back_read(&nonce, (struct slice){back + 1, n}), QUDAG_EMALFORMED);
    }
    static const uint8_t other[] = {0x08, 0x01}; /* as a varint */
    assert_int_equal(autonat_back_read(&nonce, (struct slice){other, 2}), QUDAG_EMALFORMED);
}

/* The answer names an address by its place: one that we cannot read keeps it. */
static void an_address_that_is_none_keeps_its_place(void **state)
{
    static const uint8_t bytes[] = {0x0a, 17, 0x0a, 2,    0xff, 0x7f, 0x0a, 11,   0x04, 5,
                                    9,    1,  1,    0x91, 0x02, 0x11, 0x51, 0xcd, 0x03};
    struct autonat_msg m;
    (void)state;

    assert_int_equal(autonat_msg_read(&m, (struct slice){bytes, sizeof(bytes)}), QUDAG_OK);
    assert_int_equal(m.n_addrs, 2);
    assert_int_equal(m.addr[0].len, 0);
    assert_int_equal(m.addr[1].len, sizeof(quic_addr));
}

static void fields_that_nobody_knows_are_passed_over(void **state)
{
    static const uint8_t asks[] = {0x1a, 8, 0x08, 0x01, 0x10, 0xb0, 0xea, 0x01, 0x18, 5};
    static const uint8_t comes_back[] = {0x10, 7,    0x09, 8,    7,    6,    5,    4,    3,   2, 1,
                                         0x19, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee};
    struct autonat_msg m;
    uint64_t nonce = 0;
    (void)state;

    assert_int_equal(autonat_msg_read(&m, (struct slice){asks, sizeof(asks)}), QUDAG_OK);
    assert_int_equal(m.num_bytes, 30000);
    assert_int_equal(autonat_back_read(&nonce, (struct slice){comes_back, sizeof(comes_back)}),
                     QUDAG_OK);
    assert_true(nonce == NONCE);
}

static void what_is_none_or_two_of_them_is_refused(void **state)
{
    static uint8_t big[AUTONAT_MSG_MAX + 1], out[AUTONAT_MSG_MAX + 16];
    static const uint8_t two[] = {0x12, 0, 0x12, 0}, other[] = {0x2a, 0}, number[] = {0x08, 1};
    struct autonat_msg m = {.type = AUTONAT_REQUEST};
    struct wr w = wr_init(out, sizeof(out));
    (void)state;

    assert_int_equal(autonat_msg_read(&m, (struct slice){NULL, 0}), QUDAG_EMALFORMED);
    assert_int_equal(autonat_msg_read(&m, (struct slice){two, 4}), QUDAG_EMALFORMED);
    assert_int_equal(autonat_msg_read(&m, (struct slice){two, 2}), QUDAG_OK);
    assert_int_equal(autonat_msg_read(&m, (struct slice){other, 2}), QUDAG_EMALFORMED);
    assert_int_equal(autonat_msg_read(&m, (struct slice){number, 2}), QUDAG_EMALFORMED);
    assert_int_equal(autonat_msg_read(&m, (struct slice){big, sizeof(big)}), QUDAG_ETOOBIG);
    m = (struct autonat_msg){.type = AUTONAT_DATA, .data = {big, sizeof(big)}};
    assert_int_equal(autonat_msg_write(&w, &m), QUDAG_ETOOBIG);
    m.data.len = AUTONAT_DATA_PIECE;
    assert_int_equal(autonat_msg_write(&w, &m), QUDAG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_as_the_specification_has_them),
        cmocka_unit_test(a_dial_back_carries_its_nonce),
        cmocka_unit_test(an_address_that_is_none_keeps_its_place),
        cmocka_unit_test(fields_that_nobody_knows_are_passed_over),
        cmocka_unit_test(what_is_none_or_two_of_them_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
