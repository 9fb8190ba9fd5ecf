/* netaddr_test.c - addresses as text and as classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/netaddr.h"

#include <stdio.h>
#include <string.h>

/* What is read, and how it is written; the last rows are the examples of RFC 5952. */
static void addresses_are_read_and_written_canonically(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"1.2.3.4", "1.2.3.4:9"},
        {"0.0.0.0", "0.0.0.0:9"},
        {"255.255.255.255", "255.255.255.255:9"},
        {"::", "[::]:9"},
        {"::1", "[::1]:9"},
        {"1::", "[1::]:9"},
        {"1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:9"},
        {"1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7:0]:9"},
        {"::2:3:4:5:6:7:8", "[0:2:3:4:5:6:7:8]:9"},
        {"ffff:FFFF:ffff:ffff:ffff:ffff:ffff:ffff", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:9"},
        {"::ffff:1.2.3.4", "1.2.3.4:9"},
        {"::FFFF:102:304", "1.2.3.4:9"},
        {"0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4:9"},
        {"::1.2.3.4", "[::102:304]:9"},
        {"64:ff9b::192.0.2.33", "[64:ff9b::c000:221]:9"},
        {"1:2:3:4:5:6:7.8.9.10", "[1:2:3:4:5:6:708:90a]:9"},
        {"fe80::1%3", "[fe80::1%3]:9"},
        {"fe80::%4294967295", "[fe80::%4294967295]:9"},
        {"fe80::1%0", "[fe80::1]:9"},
        {"2001:0db8::0001", "[2001:db8::1]:9"},
        {"2001:db8:0:0:0:0:2:1", "[2001:db8::2:1]:9"},
        {"2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:9"},
        {"2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]:9"},
        {"2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:9"},
        {"0:0:1:0:0:0:0:0", "[0:0:1::]:9"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct netaddr a = {.port = 9};
        char text[NETADDR_TEXT_MAX];
        assert_int_equal(netaddr_parse_ip(&a, rows[i].in), QUDAG_OK);
        size_t n = netaddr_text(text, sizeof text, &a);
        assert_string_equal(text, rows[i].out);
        assert_int_equal(n, strlen(rows[i].out));
        for (size_t cap = 0; cap <= n; cap++) {
            assert_int_equal(netaddr_text(text, cap, &a), 0);
        }
    }
}

static void what_is_no_address_is_refused_and_changes_nothing(void **state)
{
    static const char *const rows[] = {"",
                                       " ",
                                       ".",
                                       "1",
                                       "1.2.3",
                                       "1.2.3.",
                                       "1.2.3.4.",
                                       "1.2.3.4.5",
                                       "1.2.3.4 ",
                                       " 1.2.3.4",
                                       "01.2.3.4",
                                       "1.2.3.00",
                                       "256.1.1.1",
                                       "1.2.3.999999999999999999999",
                                       "0x1.2.3.4",
                                       "1..2.3",
                                       "+1.2.3.4",
                                       "-1.2.3.4",
                                       ":",
                                       ":::",
                                       "1",
                                       "1:",
                                       ":1",
                                       "1:2",
                                       "1:2:3:4:5:6:7",
                                       "1::2::3",
                                       "1:2:3:4:5:6:7:8:9",
                                       "1:2:3:4:5:6:7:8::",
                                       "::1:2:3:4:5:6:7:8",
                                       "1:2:3:4::5:6:7:8",
                                       "12345::",
                                       "g::",
                                       "::1 ",
                                       "[::1]",
                                       "::1%",
                                       "::1%x",
                                       "::1%4294967296",
                                       "::1%01",
                                       "::1%1x",
                                       "1:2:3:4:5:6:7:1.2.3.4",
                                       "::1.2.3",
                                       "::1.2.3.4:5",
                                       "1.2.3.4::",
                                       "::256.1.1.1",
                                       "::1.2.3.04",
                                       "1.2.3.4%1",
                                       "::ffff:1.2.3.4.5",
                                       "::%",
                                       ":1::",
                                       "1:::2",
                                       "localhost",
                                       "::\xff"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct netaddr a = {.family = 6, .ip = {1, 2}, .port = 3, .scope = 4}, before = a;
        assert_int_equal(netaddr_parse_ip(&a, rows[i]), QUDAG_EMALFORMED);
        assert_true(netaddr_eq(&a, &before));
    }
}

static void no_prefix_of_an_address_breaks_the_parser(void **state)
{
    static const char whole[] = "1:22:333:4444:5:6:77.88.99.100%42";
    (void)state;

    for (size_t len = 0; len <= sizeof whole - 1; len++) {
        char text[sizeof whole];
        struct netaddr a = {0};
        memcpy(text, whole, len);
        text[len] = '\0';
        /* complete with the tens digit of the quad's end, or with a whole zone */
        bool complete = len >= 28 && len != 31;
        assert_int_equal(netaddr_parse_ip(&a, text) == QUDAG_OK, complete);
    }
}

static void addresses_fall_into_their_classes(void **state)
{
    static const struct {
        const char *ip;
        bool loopback, unspecified, private_use;
    } rows[] = {
        {"127.0.0.1", true, false, false},
        {"127.255.255.255", true, false, false},
        {"128.0.0.1", false, false, false},
        {"::1", true, false, false},
        {"::2", false, false, false},
        {"0.0.0.0", false, true, false},
        {"0.0.0.1", false, false, false},
        {"::", false, true, false},
        {"10.0.0.0", false, false, true},
        {"9.255.255.255", false, false, false},
        {"11.0.0.0", false, false, false},
        {"172.15.0.1", false, false, false},
        {"172.16.0.0", false, false, true},
        {"172.31.255.255", false, false, true},
        {"172.32.0.0", false, false, false},
        {"192.168.0.1", false, false, true},
        {"192.169.0.1", false, false, false},
        {"100.63.0.1", false, false, false},
        {"100.64.0.1", false, false, true},
        {"100.127.255.255", false, false, true},
        {"100.128.0.0", false, false, false},
        {"169.254.1.1", false, false, true},
        {"169.253.1.1", false, false, false},
        {"8.8.8.8", false, false, false},
        {"fc00::1", false, false, true},
        {"fdff::1", false, false, true},
        {"fe00::1", false, false, false},
        {"fe80::1", false, false, true},
        {"febf::1", false, false, true},
        {"fec0::1", false, false, false},
        {"2001:db8::1", false, false, false},
        {"::ffff:10.0.0.1", false, false, true},
        {"::ffff:127.0.0.1", true, false, false},
        {"fbff::1", false, false, false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct netaddr a = {0};
        assert_int_equal(netaddr_parse_ip(&a, rows[i].ip), QUDAG_OK);
        assert_int_equal(netaddr_is_loopback(&a), rows[i].loopback);
        assert_int_equal(netaddr_is_unspecified(&a), rows[i].unspecified);
        assert_int_equal(netaddr_is_private(&a), rows[i].private_use);
    }
}

static void equality_looks_at_every_part(void **state)
{
    struct netaddr a = {0}, b;
    (void)state;

    assert_int_equal(netaddr_parse_ip(&a, "fe80::1%1"), QUDAG_OK);
    a.port = 7;
    b = a;
    assert_true(netaddr_eq(&a, &b));
    b.port = 8;
    assert_false(netaddr_eq(&a, &b));
    assert_true(netaddr_same_ip(&a, &b));
    b = a;
    b.scope = 2;
    assert_false(netaddr_eq(&a, &b));
    assert_false(netaddr_same_ip(&a, &b)); /* link-local: another link, another host */
    b = a;
    b.ip[15] ^= 1;
    assert_false(netaddr_same_ip(&a, &b));
    b = a;
    b.family = 4;
    assert_false(netaddr_same_ip(&a, &b));
}

static void no_address_is_none(void **state)
{
    struct netaddr a = {0};
    char text[8];
    (void)state;

    assert_int_equal(netaddr_text(text, sizeof text, &a), 4);
    assert_string_equal(text, "none");
    assert_true(netaddr_is_unspecified(&a));
    assert_false(netaddr_is_private(&a));
    assert_false(netaddr_is_loopback(&a));
}

static void the_longest_text_fits(void **state)
{
    struct netaddr a = {.family = 6, .port = 65535, .scope = UINT32_MAX};
    char text[NETADDR_TEXT_MAX];
    (void)state;

    memset(a.ip, 0xff, sizeof a.ip);
    assert_int_equal(netaddr_text(text, sizeof text, &a), 58);
}

static void a_network_is_24_bits_of_ipv4_and_48_of_ipv6(void **state)
{
    struct netaddr a = {.family = 4, .ip = {1, 2, 3, 4}}, b = a;
    (void)state;

    b.ip[3] = 5;
    b.port = 7;
    assert_int_equal(netaddr_group(&a), netaddr_group(&b));
    b.ip[2] = 4;
    assert_int_not_equal(netaddr_group(&a), netaddr_group(&b));
    assert_int_equal(netaddr_wide_group(netaddr_group(&a)), netaddr_wide_group(netaddr_group(&b)));
    b.ip[1] = 3;
    assert_int_not_equal(netaddr_wide_group(netaddr_group(&a)),
                         netaddr_wide_group(netaddr_group(&b)));
    struct netaddr c = {.family = 6, .ip = {0, 0, 0, 1, 2, 3, 9}}, d = c;
    d.ip[6] = 8;
    assert_int_equal(netaddr_group(&c), netaddr_group(&d));
    assert_int_not_equal(netaddr_group(&c), netaddr_group(&a)); /* same bytes, other family */
    d.ip[5] = 4;
    assert_int_not_equal(netaddr_group(&c), netaddr_group(&d));
    assert_int_equal(netaddr_group(&(struct netaddr){.family = 0}), 0);
    assert_int_equal(netaddr_wide_group(0), 0);
    assert_int_equal(netaddr_wide_group(netaddr_group(&c)), netaddr_wide_group(netaddr_group(&d)));
    d.ip[3] = 7;
    assert_int_not_equal(netaddr_wide_group(netaddr_group(&c)),
                         netaddr_wide_group(netaddr_group(&d)));
    assert_int_not_equal(netaddr_wide_group(netaddr_group(&c)),
                         netaddr_wide_group(netaddr_group(&a)));
}

/* First and last address of each block of the registries, and what lies beside it. */
static const struct {
    const char *ip;
    bool global;
} global_rows[] = {
    {"0.0.0.0", false},
    {"0.255.255.255", false},
    {"1.0.0.0", true},
    {"9.255.255.255", true},
    {"10.0.0.0", false},
    {"10.255.255.255", false},
    {"11.0.0.0", true},
    {"100.63.255.255", true},
    {"100.64.0.0", false},
    {"100.127.255.255", false},
    {"100.128.0.0", true},
    {"126.255.255.255", true},
    {"127.0.0.0", false},
    {"127.255.255.255", false},
    {"128.0.0.0", true},
    {"169.253.255.255", true},
    {"169.254.0.0", false},
    {"169.254.169.254", false},
    {"169.254.255.255", false},
    {"169.255.0.0", true},
    {"172.15.255.255", true},
    {"172.16.0.0", false},
    {"172.31.255.255", false},
    {"172.32.0.0", true},
    {"191.255.255.255", true},
    {"192.0.0.0", false},
    {"192.0.0.9", false}, /* global in the registry, an anycast address of PCP */
    {"192.0.0.255", false},
    {"192.0.1.0", true},
    {"192.0.1.255", true},
    {"192.0.2.0", false},
    {"192.0.2.255", false},
    {"192.0.3.0", true},
    {"192.31.195.255", true},
    {"192.31.196.0", false},
    {"192.31.197.0", true},
    {"192.52.192.255", true},
    {"192.52.193.255", false},
    {"192.52.194.0", true},
    {"192.88.98.255", true},
    {"192.88.99.1", false},
    {"192.88.100.0", true},
    {"192.167.255.255", true},
    {"192.168.0.0", false},
    {"192.168.255.255", false},
    {"192.169.0.0", true},
    {"192.175.47.255", true},
    {"192.175.48.0", false},
    {"192.175.49.0", true},
    {"198.17.255.255", true},
    {"198.18.0.0", false},
    {"198.19.255.255", false},
    {"198.20.0.0", true},
    {"198.51.99.255", true},
    {"198.51.100.0", false},
    {"198.51.101.0", true},
    {"203.0.112.255", true},
    {"203.0.113.0", false},
    {"203.0.114.0", true},
    {"223.255.255.255", true},
    {"224.0.0.0", false},
    {"239.255.255.255", false},
    {"240.0.0.0", false},
    {"255.255.255.255", false},
    {"8.8.8.8", true},
    {"::", false},
    {"::1", false},
    {"::8.8.8.8", false}, /* IPv4-compatible, RFC 4291 2.5.5.1 */
    {"::ffff:8.8.8.8", true},
    {"::ffff:127.0.0.1", false},
    {"::ffff:0:8.8.8.8", false}, /* IPv4-translated, RFC 7915 */
    {"64:ff9b::8.8.8.8", false},
    {"64:ff9b::127.0.0.1", false},
    {"64:ff9b:1::1", false},
    {"100::1", false},
    {"100:0:0:1::1", false},
    {"1fff:ffff::", false},
    {"2000::", true},
    {"2000:ffff:ffff::1", true},
    {"2001::1", false}, /* Teredo */
    {"2001:2::1", false},
    {"2001:20::1", false},
    {"2001:1ff:ffff::", false},
    {"2001:200::", true},
    {"2001:4860:4860::8888", true},
    {"2001:db7:ffff::", true},
    {"2001:db8::", false},
    {"2001:db8:ffff::1", false},
    {"2001:db9::", true},
    {"2002::1", false},
    {"2002:7f00:1::", false},
    {"2002:ffff::", false},
    {"2003::", true},
    {"2620:4f:7fff::", true},
    {"2620:4f:8000::1", false},
    {"2620:4f:8001::", true},
    {"2a00::1", true},
    {"3ffe::1", true},
    {"3fff::1", false},
    {"3fff:fff:ffff::", false},
    {"3fff:1000::", true},
    {"3fff:ffff::", true},
    {"4000::", false},
    {"5f00::1", false},
    {"fc00::1", false},
    {"fdff::1", false},
    {"fe80::1", false},
    {"febf::1", false},
    {"fec0::1", false},
    {"ff02::1", false},
    {"ff0e::1", false},
    {"2600::1%1", false}, /* a zone belongs to addresses of a link */
};

static void addresses_of_special_purpose_blocks_are_not_global(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(global_rows); i++) {
        struct netaddr a = {0}, mapped = {.family = 6, .ip = {[10] = 0xff, [11] = 0xff}};
        assert_int_equal(netaddr_parse_ip(&a, global_rows[i].ip), QUDAG_OK);
        if (netaddr_is_global(&a) != global_rows[i].global) {
            fail_msg("%s", global_rows[i].ip);
        }
        if (a.family == 4) {
            memcpy(mapped.ip + 12, a.ip, 4);
            assert_int_equal(netaddr_is_global(&mapped), global_rows[i].global);
        }
        if (global_rows[i].global) {
            assert_false(netaddr_is_private(&a) || netaddr_is_loopback(&a) ||
                         netaddr_is_unspecified(&a));
        }
    }
    assert_false(netaddr_is_global(&(struct netaddr){0}));
}

static void addresses_are_ranked_by_how_far_they_can_be_reached_from(void **state)
{
    static const struct {
        const char *text;
        unsigned rank;
    } row[] = {
        {"198.51.100.7", 0}, {"2001:db8::1", 0}, {"10.1.2.3", 1},    {"172.16.0.1", 1},
        {"172.31.9.9", 1},   {"172.32.0.1", 0},  {"192.168.0.1", 1}, {"100.64.0.1", 1},
        {"100.128.0.1", 0},  {"fd00::1", 1},     {"169.254.1.1", 2}, {"169.253.1.1", 0},
        {"fe80::1", 2},      {"127.0.0.1", 3},   {"127.9.9.9", 3},   {"::1", 3},
        {"0.0.0.0", 3},      {"::", 3},          {"::2", 0},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct netaddr a = {0};
        assert_int_equal(netaddr_parse_ip(&a, row[i].text), QUDAG_OK);
        assert_int_equal(netaddr_rank(&a), row[i].rank);
    }
}

static void the_addresses_told_are_the_best_of_each_family(void **state)
{
    static const struct {
        const char *in, *out;
        size_t max;
    } row[] = {
        {"", "", 8},
        {"127.0.0.1 172.17.0.1 172.18.0.1 198.51.100.7", "198.51.100.7 172.17.0.1", 2},
        {"127.0.0.1 172.17.0.1 172.18.0.1 198.51.100.7",
         "198.51.100.7 172.17.0.1 172.18.0.1 127.0.0.1", 8},
        {"169.254.1.1 127.0.0.1 10.0.0.1", "10.0.0.1 169.254.1.1 127.0.0.1", 8},
        {"10.0.0.2 10.0.0.1 10.0.0.3", "10.0.0.2 10.0.0.1", 2}, /* the order of equals stays */
        {"192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2", "192.0.2.1 2001:db8::1 192.0.2.2", 3},
        {"2001:db8::1 2001:db8::2 2001:db8::3 192.0.2.1", "2001:db8::1 192.0.2.1", 2},
        {"2001:db8::1 2001:db8::2 2001:db8::3 192.168.0.1", "2001:db8::1 192.168.0.1", 2},
        {"127.0.0.1 fd00::1 10.0.0.1 2001:db8::1", "2001:db8::1 fd00::1 10.0.0.1 127.0.0.1", 8},
        {"192.168.0.1 2001:db8::1", "2001:db8::1", 1},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct netaddr a[8] = {{0}};
        char in[64], got[200] = "", text[NETADDR_TEXT_MAX];
        size_t n = 0;
        for (const char *p = row[i].in; *p != 0; p += strspn(p, " ")) {
            size_t len = strcspn(p, " ");
            (void)snprintf(in, sizeof in, "%.*s", (int)len, p);
            assert_int_equal(netaddr_parse_ip(&a[n++], in), QUDAG_OK);
            p += len;
        }
        n = netaddr_to_tell(a, n, row[i].max);
        for (size_t k = 0; k < n; k++) {
            assert_true(netaddr_text(text, sizeof text, &a[k]) > 0);
            char *ip = text + (text[0] == '[' ? 1 : 0);
            ip[strcspn(ip, text[0] == '[' ? "]" : ":")] = 0;
            (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", k > 0 ? " " : "",
                           ip);
        }
        assert_string_equal(got, row[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written_canonically),
        cmocka_unit_test(what_is_no_address_is_refused_and_changes_nothing),
        cmocka_unit_test(no_prefix_of_an_address_breaks_the_parser),
        cmocka_unit_test(addresses_fall_into_their_classes),
        cmocka_unit_test(equality_looks_at_every_part),
        cmocka_unit_test(no_address_is_none),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(a_network_is_24_bits_of_ipv4_and_48_of_ipv6),
        cmocka_unit_test(addresses_of_special_purpose_blocks_are_not_global),
        cmocka_unit_test(addresses_are_ranked_by_how_far_they_can_be_reached_from),
        cmocka_unit_test(the_addresses_told_are_the_best_of_each_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
