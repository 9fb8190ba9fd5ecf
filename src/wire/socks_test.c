#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/socks.h"

#include <string.h>

static struct slice of(const void *bytes, size_t len)
{
    return (struct slice){bytes, len};
}

static bool is(struct slice s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.base, text, s.len) == 0;
}

/* RFC 1928 section 3: VER, NMETHODS, METHODS. */
static const uint8_t greeting[] = {5, 3, 0, 1, 2};
/* RFC 1929 section 2: VER, ULEN, UNAME, PLEN, PASSWD. */
static const uint8_t login[] = {1, 5, 'a', 'l', 'i', 'c', 'e', 3, 'k', 'e', 'y'};
/* RFC 1928 section 4: VER, CMD, RSV, ATYP, DST.ADDR, DST.PORT. */
static const uint8_t by_name[] = {5, 1, 0, 3, 6, 'b', '.', 'd', 'a', 'r', 'k', 0x1f, 0x90};
static const uint8_t by_ip4[] = {5, 1, 0, 1, 192, 0, 2, 7, 0, 80};
static const uint8_t by_ip6[] = {5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0,
                                 0, 0, 0, 0, 0,    0, 0,   0,    1, 1, 0xbb};

static void messages_are_read_and_what_follows_is_left(void **state)
{
    (void)state;
    uint8_t more[64];
    size_t used = 0;
    struct socks_greeting g;
    struct socks_login l;
    struct socks_request q;

    memset(more, 'x', sizeof more);
    memcpy(more, greeting, sizeof greeting);
    assert_int_equal(socks_greeting_read(&g, of(more, sizeof more), &used), QUDAG_OK);
    assert_int_equal(used, sizeof greeting);
    assert_true(g.none && g.password);
    memcpy(more, login, sizeof login);
    assert_int_equal(socks_login_read(&l, of(more, sizeof more), &used), QUDAG_OK);
    assert_int_equal(used, sizeof login);
    assert_true(is(l.user, "alice") && is(l.password, "key"));
    memcpy(more, by_name, sizeof by_name);
    assert_int_equal(socks_request_read(&q, of(more, sizeof more), &used), QUDAG_OK);
    assert_int_equal(used, sizeof by_name);
    assert_true(q.command == SOCKS_CONNECT && q.address == SOCKS_NAME && q.port == 8080);
    assert_true(is(q.host, "b.dark"));
    assert_int_equal(socks_request_read(&q, of(by_ip4, sizeof by_ip4), &used), QUDAG_OK);
    assert_true(used == sizeof by_ip4 && q.address == SOCKS_IP4 && q.host.len == 4 && q.port == 80);
    assert_int_equal(socks_request_read(&q, of(by_ip6, sizeof by_ip6), &used), QUDAG_OK);
    assert_true(used == sizeof by_ip6 && q.address == SOCKS_IP6 && q.host.len == 16);
    assert_int_equal(q.port, 443);
}

static void every_prefix_asks_for_more(void **state)
{
    (void)state;
    size_t used = 77;
    struct socks_greeting g;
    struct socks_login l;
    struct socks_request q;

    for (size_t n = 0; n < sizeof greeting; n++) {
        assert_int_equal(socks_greeting_read(&g, of(greeting, n), &used), QUDAG_EAGAIN);
    }
    for (size_t n = 0; n < sizeof login; n++) {
        assert_int_equal(socks_login_read(&l, of(login, n), &used), QUDAG_EAGAIN);
    }
    for (size_t n = 0; n < sizeof by_name; n++) {
        assert_int_equal(socks_request_read(&q, of(by_name, n), &used), QUDAG_EAGAIN);
    }
    for (size_t n = 0; n < sizeof by_ip4; n++) {
        assert_int_equal(socks_request_read(&q, of(by_ip4, n), &used), QUDAG_EAGAIN);
    }
    for (size_t n = 0; n < sizeof by_ip6; n++) {
        assert_int_equal(socks_request_read(&q, of(by_ip6, n), &used), QUDAG_EAGAIN);
    }
    assert_int_equal(used, 77);
}

static void what_is_no_socks5_is_refused(void **state)
{
    (void)state;
    size_t used = 0;
    struct socks_greeting g;
    struct socks_login l;
    struct socks_request q;

    assert_int_equal(socks_greeting_read(&g, of("\4", 1), &used), QUDAG_EMALFORMED);
    assert_int_equal(socks_greeting_read(&g, of("\5\0", 2), &used), QUDAG_EMALFORMED);
    assert_int_equal(socks_login_read(&l, of("\5", 1), &used), QUDAG_EMALFORMED);
    assert_int_equal(socks_request_read(&q, of("\4", 1), &used), QUDAG_EMALFORMED);
    assert_int_equal(socks_request_read(&q, of("\5\1\1\3", 4), &used), QUDAG_EMALFORMED);
    assert_int_equal(socks_request_read(&q, of("\5\1\0\3\0", 5), &used), QUDAG_EMALFORMED);
    assert_int_equal(socks_request_read(&q, of("\5\1\0\2", 4), &used), QUDAG_EUNSUPPORTED);
    assert_int_equal(used, 0);
}

static void a_password_is_preferred_and_unknown_methods_are_refused(void **state)
{
    (void)state;
    size_t used = 0;
    struct socks_greeting g;

    assert_int_equal(socks_method_of(&(struct socks_greeting){.none = true, .password = true}),
                     SOCKS_METHOD_PASSWORD);
    assert_int_equal(socks_method_of(&(struct socks_greeting){.none = true}), SOCKS_METHOD_NONE);
    assert_int_equal(socks_greeting_read(&g, of("\5\2\1\200", 4), &used), QUDAG_OK);
    assert_int_equal(socks_method_of(&g), SOCKS_METHOD_REFUSED);
}

static void the_longest_login_fits_the_stated_limit(void **state)
{
    (void)state;
    uint8_t bytes[SOCKS_MESSAGE_MAX] = {1, 255};
    struct socks_login l;
    size_t used = 0;

    bytes[2 + 255] = 255;
    assert_int_equal(socks_login_read(&l, of(bytes, sizeof bytes - 1), &used), QUDAG_EAGAIN);
    assert_int_equal(socks_login_read(&l, of(bytes, sizeof bytes), &used), QUDAG_OK);
    assert_int_equal(used, SOCKS_MESSAGE_MAX);
}

static void empty_credentials_are_taken(void **state)
{
    (void)state;
    struct socks_login l;
    size_t used = 0;

    assert_int_equal(socks_login_read(&l, of("\1\0\0", 3), &used), QUDAG_OK);
    assert_true(used == 3 && l.user.len == 0 && l.password.len == 0);
}

static void replies_have_their_bytes(void **state)
{
    (void)state;
    uint8_t two[2], ten[SOCKS_REPLY_LEN], eight[8];

    socks_method_write(two, SOCKS_METHOD_PASSWORD);
    assert_memory_equal(two, "\5\2", 2);
    socks_method_write(two, SOCKS_METHOD_REFUSED);
    assert_memory_equal(two, "\5\377", 2);
    socks_login_ok_write(two);
    assert_memory_equal(two, "\1\0", 2);
    socks_reply_write(ten, SOCKS_NO_RECORD);
    assert_memory_equal(ten, "\5\360\0\1\0\0\0\0\0\0", 10);
    socks_4_refused_write(eight);
    assert_memory_equal(eight, "\0\133\0\0\0\0\0\0", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_read_and_what_follows_is_left),
        cmocka_unit_test(every_prefix_asks_for_more),
        cmocka_unit_test(what_is_no_socks5_is_refused),
        cmocka_unit_test(a_password_is_preferred_and_unknown_methods_are_refused),
        cmocka_unit_test(the_longest_login_fits_the_stated_limit),
        cmocka_unit_test(empty_credentials_are_taken),
        cmocka_unit_test(replies_have_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
