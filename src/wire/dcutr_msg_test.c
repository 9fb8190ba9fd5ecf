/* dcutr_msg_test.c - messages of DCUtR. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rd.h"
#include "wire/dcutr_msg.h"

/* As protoc encodes { type: CONNECT ObsAddrs: /ip4/1.2.3.4/udp/4001/quic-v1 }. */
static const uint8_t connect_bytes[] = {0x08, 0x64, 0x12, 0x0b, 0x04, 1,    2,   3,
                                        4,    0x91, 0x02, 0x0f, 0xa1, 0xcd, 0x03};

static struct slice all(const uint8_t *p, size_t len)
{
    return (struct slice){p, len};
}

static void a_connect_is_read_as_others_write_it(void **state)
{
    struct dcutr_msg m;
    struct netaddr a;
    (void)state;

    assert_int_equal(dcutr_msg_read(&m, all(connect_bytes, sizeof connect_bytes)), QUDAG_OK);
    assert_int_equal(m.type, DCUTR_CONNECT);
    assert_int_equal(m.n_addrs, 1);
    assert_true(multiaddr_to_netaddr(&m.addr[0], &a));
    assert_int_equal(a.port, 4001);
}

static void what_stands_in_an_unknown_field_is_no_address(void **state)
{
    uint8_t in[2 * sizeof connect_bytes];
    struct dcutr_msg m;
    (void)state;

    memcpy(in, connect_bytes, sizeof connect_bytes);
    memcpy(in + sizeof connect_bytes, connect_bytes + 2, sizeof connect_bytes - 2);
    in[sizeof connect_bytes] = 0x1a; /* field 3 */
    assert_int_equal(dcutr_msg_read(&m, all(in, sizeof in - 2)), QUDAG_OK);
    assert_int_equal(m.n_addrs, 1);
}

static void what_is_written_has_its_length_before_it_and_the_same_bytes(void **state)
{
    struct dcutr_msg m;
    uint8_t out[64];
    struct wr w = wr_init(out, sizeof out);
    (void)state;

    assert_int_equal(dcutr_msg_read(&m, all(connect_bytes, sizeof connect_bytes)), QUDAG_OK);
    assert_int_equal(dcutr_msg_write(&w, &m), QUDAG_OK);
    assert_int_equal(w.len, 1 + sizeof connect_bytes);
    assert_int_equal(out[0], sizeof connect_bytes);
    assert_memory_equal(out + 1, connect_bytes, sizeof connect_bytes);
    m = (struct dcutr_msg){.type = DCUTR_SYNC};
    w = wr_init(out, sizeof out);
    assert_int_equal(dcutr_msg_write(&w, &m), QUDAG_OK);
    assert_memory_equal(out, "\x03\x08\xac\x02", 4);
    w = wr_init(out, 3);
    assert_int_equal(dcutr_msg_write(&w, &m), QUDAG_ETOOBIG);
}

static void a_message_cut_anywhere_is_none_or_has_fewer_addresses(void **state)
{
    struct dcutr_msg m = {.n_addrs = 9};
    (void)state;

    for (size_t len = 0; len < sizeof connect_bytes; len++) {
        qudag_err err = dcutr_msg_read(&m, all(connect_bytes, len));
        assert_int_equal(err, len == 2 ? QUDAG_OK : QUDAG_EMALFORMED);
    }
}

static void a_type_that_is_neither_or_not_there_is_malformed(void **state)
{
    struct dcutr_msg m = {.n_addrs = 9};
    (void)state;

    assert_int_equal(dcutr_msg_read(&m, all((const uint8_t *)"\x08\x65", 2)), QUDAG_EMALFORMED);
    assert_int_equal(dcutr_msg_read(&m, all((const uint8_t *)"", 0)), QUDAG_EMALFORMED);
    assert_int_equal(dcutr_msg_read(&m, all((const uint8_t *)"\x0a\x00", 2)), QUDAG_EMALFORMED);
    assert_int_equal(m.n_addrs, 9);
}

static void addresses_beyond_the_limit_and_such_as_nobody_knows_are_dropped(void **state)
{
    static uint8_t in[DCUTR_MSG_MAX + 1];
    struct dcutr_msg m;
    size_t n = 0;
    (void)state;

    memcpy(in, "\x08\x64", 2);
    n = 2;
    memcpy(in + n, "\x12\x03\xff\xff\x7f", 5); /* no protocol of that number */
    n += 5;
    for (int i = 0; i < 20; i++) {
        memcpy(in + n, connect_bytes + 2, sizeof connect_bytes - 2);
        n += sizeof connect_bytes - 2;
    }
    assert_int_equal(dcutr_msg_read(&m, all(in, n)), QUDAG_OK);
    assert_int_equal(m.n_addrs, DCUTR_ADDRS_MAX);
    assert_int_equal(dcutr_msg_read(&m, all(in, sizeof in)), QUDAG_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_is_read_as_others_write_it),
        cmocka_unit_test(what_stands_in_an_unknown_field_is_no_address),
        cmocka_unit_test(what_is_written_has_its_length_before_it_and_the_same_bytes),
        cmocka_unit_test(a_message_cut_anywhere_is_none_or_has_fewer_addresses),
        cmocka_unit_test(a_type_that_is_neither_or_not_there_is_malformed),
        cmocka_unit_test(addresses_beyond_the_limit_and_such_as_nobody_knows_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
