/* names_test.c - what is asked for an address with a name, and what hostile answers lead to. */
#include "core/names/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ID_A "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
#define ID_B "QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb"

static struct names_lookup l;

static qudag_err begin(const char *text)
{
    struct multiaddr m;

    assert_int_equal(multiaddr_parse(&m, text), QUDAG_OK);
    return names_begin(&l, &m);
}

/* The next question is this one; its number. */
static unsigned asks(enum names_kind kind, const char *name)
{
    struct names_question q;
    unsigned ix;

    assert_true(names_next(&l, &ix, &q));
    assert_int_equal(q.kind, kind);
    assert_string_equal(q.name, name);
    return ix;
}

static void asks_no_more(void)
{
    struct names_question q;
    unsigned ix;

    assert_false(names_next(&l, &ix, &q));
}

static struct slice text_of(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static void answer_text(unsigned ix, const char *const *text, size_t n)
{
    struct slice v[64];

    for (size_t i = 0; i < n; i++) {
        v[i] = text_of(text[i]);
    }
    names_answered(&l, ix, QUDAG_OK, v, n);
}

static void is_found(size_t at, const char *text)
{
    char shown[MULTIADDR_TEXT_MAX];

    assert_true(at < l.n_addrs);
    assert_true(multiaddr_text(shown, sizeof shown, &l.addr[at]) > 0);
    assert_string_equal(shown, text);
}

static void a_name_becomes_the_addresses_of_its_ip_version(void **state)
{
    static const uint8_t v4[2][4] = {{192, 0, 2, 1}, {192, 0, 2, 2}}, v6[16] = {0x20, 1, [15] = 5};
    struct slice a[] = {{v4[0], 4}, {v4[1], 4}, {v4[0], 4}}, aaaa[] = {{v6, 16}};
    (void)state;

    assert_int_equal(begin("/dns4/node.example/udp/4001/quic-v1/p2p/" ID_A), QUDAG_OK);
    unsigned ix = asks(NAMES_A, "node.example");
    asks_no_more();
    assert_false(names_done(&l));
    names_answered(&l, ix, QUDAG_OK, a, 3);
    assert_true(names_done(&l));
    assert_int_equal(l.n_addrs, 2); /* the third is the first */
    is_found(0, "/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ID_A);
    is_found(1, "/ip4/192.0.2.2/udp/4001/quic-v1/p2p/" ID_A);

    assert_int_equal(begin("/dns6/node.example/tcp/1"), QUDAG_OK);
    names_answered(&l, asks(NAMES_AAAA, "node.example"), QUDAG_OK, aaaa, 1);
    is_found(0, "/ip6/2001::5/tcp/1");

    assert_int_equal(begin("/dns/node.example/tcp/1"), QUDAG_OK);
    unsigned six = asks(NAMES_AAAA, "node.example"), four = asks(NAMES_A, "node.example");
    names_answered(&l, four, QUDAG_OK, a, 1);
    assert_false(names_done(&l));
    names_answered(&l, four, QUDAG_OK, a, 2); /* once more: nothing */
    assert_int_equal(l.n_addrs, 1);
    names_answered(&l, six, QUDAG_OK, aaaa, 1);
    assert_true(names_done(&l));
    assert_int_equal(l.n_addrs, 2);
}

static void a_list_leads_to_what_ends_as_it_was_asked_for(void **state)
{
    static const char *const text[] = {
        "dnsaddr=/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ID_A,
        "dnsaddr=/ip4/192.0.2.2/udp/4001/quic-v1/p2p/" ID_B,
        "dnsaddr=/ip4/192.0.2.3/udp/4001/quic-v1", /* nobody's */
        "v=spf1 -all",
        "dnsaddr=",
        "dnsaddr=nonsense",
        "dnsaddr=/dns4/host.example/tcp/4001/p2p/" ID_A,
        "dnsaddr=/dns4/other.example/tcp/4001/p2p/" ID_B,
        "dnsaddr=/dnsaddr/more.example/p2p/" ID_A,
    };
    static const char *const more[] = {"dnsaddr=/ip6/2001:db8::1/tcp/4001/p2p/" ID_A};
    static const uint8_t ip[4] = {192, 0, 2, 9};
    struct slice a = {ip, 4};
    (void)state;

    assert_int_equal(begin("/dnsaddr/boot.example/p2p/" ID_A), QUDAG_OK);
    answer_text(asks(NAMES_TXT, "_dnsaddr.boot.example"), text, ARRAY_LEN(text));
    names_answered(&l, asks(NAMES_A, "host.example"), QUDAG_OK, &a, 1);
    answer_text(asks(NAMES_TXT, "_dnsaddr.more.example"), more, 1);
    asks_no_more();
    assert_true(names_done(&l));
    assert_int_equal(l.n_addrs, 3);
    is_found(0, "/ip4/192.0.2.1/udp/4001/quic-v1/p2p/" ID_A);
    is_found(1, "/ip4/192.0.2.9/tcp/4001/p2p/" ID_A);
    is_found(2, "/ip6/2001:db8::1/tcp/4001/p2p/" ID_A);

    assert_int_equal(begin("/dnsaddr/boot.example"), QUDAG_OK); /* whoever it is */
    answer_text(asks(NAMES_TXT, "_dnsaddr.boot.example"), text, 3);
    assert_int_equal(l.n_addrs, 3);
}

static void what_is_wrong_is_told(void **state)
{
    static const uint8_t ip[4] = {224, 0, 0, 1};
    static const char *const other[] = {"dnsaddr=/ip4/192.0.2.2/tcp/4001/p2p/" ID_B};
    static const struct {
        const char *addr;
        qudag_err err;
        enum names_why why;
    } row[] = {
        {"/dns4/x.example/tcp/1", QUDAG_ENOTFOUND, NAMES_NO_HOST},
        {"/dns4/x.example/tcp/1", QUDAG_OK, NAMES_NO_IPV4},
        {"/dns6/x.example/tcp/1", QUDAG_OK, NAMES_NO_IPV6},
        {"/dnsaddr/x.example", QUDAG_OK, NAMES_NO_RECORD},
        {"/dnsaddr/x.example", QUDAG_ENOTFOUND, NAMES_NO_RECORD},
        {"/dns4/x.example/tcp/1", QUDAG_ETIMEOUT, NAMES_SILENT},
        {"/dns4/x.example/tcp/1", QUDAG_EMALFORMED, NAMES_BAD},
        {"/dns4/x.example/tcp/1", QUDAG_EUNSUPPORTED, NAMES_NOT_HERE},
    };
    struct names_question q;
    unsigned ix;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(begin(row[i].addr), QUDAG_OK);
        assert_true(names_next(&l, &ix, &q));
        names_answered(&l, ix, row[i].err, NULL, 0);
        assert_true(names_done(&l));
        assert_int_equal(l.n_addrs, 0);
        assert_int_equal(l.why, row[i].why);
        assert_true(strlen(names_why_text(l.why)) > 0);
    }
    assert_int_equal(begin("/dns/x.example/tcp/1"), QUDAG_OK);
    for (int i = 0; i < 2; i++) {
        assert_true(names_next(&l, &ix, &q));
        names_answered(&l, ix, QUDAG_OK, NULL, 0);
    }
    assert_int_equal(l.why, NAMES_NO_ADDRESS);
    assert_int_equal(begin("/dns4/x.example/tcp/1"), QUDAG_OK);
    names_answered(&l, asks(NAMES_A, "x.example"), QUDAG_OK, &(struct slice){ip, 4}, 1);
    assert_int_equal(l.why, NAMES_BAD);
    assert_int_equal(begin("/dnsaddr/x.example/p2p/" ID_A), QUDAG_OK);
    answer_text(asks(NAMES_TXT, "_dnsaddr.x.example"), other, 1);
    assert_int_equal(l.why, NAMES_NO_MATCH);
    assert_string_equal(names_why_text(NAMES_NO_HOST), "no such host");
    assert_string_equal(names_why_text(NAMES_NO_IPV6), "has no IPv6 address");
    assert_string_equal(names_why_text(NAMES_WHYS), "");
}

/* Whoever answers cannot make us ask without end, nor dial without end. */
static void hostile_answers_are_bounded(void **state)
{
    char text[80], many[40][80];
    const char *records[40];
    struct names_question q;
    unsigned ix, questions = 0;
    (void)state;

    assert_int_equal(begin("/dnsaddr/a0.example"), QUDAG_OK); /* one that leads to the next */
    while (names_next(&l, &ix, &q)) {
        (void)snprintf(text, sizeof text, "dnsaddr=/dnsaddr/a%u.example", ++questions);
        answer_text(ix, (const char *const[]){text}, 1);
    }
    assert_int_equal(questions, NAMES_DEPTH_MAX);
    assert_true(names_done(&l));
    assert_int_equal(l.why, NAMES_TOO_FAR);

    assert_int_equal(begin("/dnsaddr/a.example"), QUDAG_OK); /* to itself */
    answer_text(asks(NAMES_TXT, "_dnsaddr.a.example"),
                (const char *const[]){"dnsaddr=/dnsaddr/a.example"}, 1);
    asks_no_more();
    assert_true(names_done(&l));
    assert_int_equal(l.why, NAMES_TOO_FAR);

    assert_int_equal(begin("/dnsaddr/a.example"), QUDAG_OK); /* to very many */
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        (void)snprintf(many[i], sizeof many[i], "dnsaddr=/dns4/h%zu.example/tcp/1", i);
        records[i] = many[i];
    }
    for (questions = 0; names_next(&l, &ix, &q); questions++) {
        answer_text(ix, records, q.kind == NAMES_TXT ? ARRAY_LEN(many) : 0);
    }
    assert_int_equal(questions, NAMES_QUESTIONS_MAX);
    assert_true(names_done(&l));

    assert_int_equal(begin("/dns4/a.example/tcp/1"), QUDAG_OK); /* very many addresses */
    uint8_t ip[NAMES_RECORDS_MAX + 8][4];
    struct slice v[ARRAY_LEN(ip)];
    for (size_t i = 0; i < ARRAY_LEN(ip); i++) {
        memcpy(ip[i], (uint8_t[]){10, 0, 0, (uint8_t)i}, 4);
        v[i] = (struct slice){ip[i], 4};
    }
    names_answered(&l, asks(NAMES_A, "a.example"), QUDAG_OK, v, ARRAY_LEN(v));
    assert_int_equal(l.n_addrs, NAMES_ADDRS_MAX);

    assert_int_equal(begin("/dns4/a.example/tcp/1"), QUDAG_OK); /* what comes behind too many */
    for (size_t i = 0; i < NAMES_RECORDS_MAX; i++) {
        ip[i][0] = 224;
    }
    names_answered(&l, asks(NAMES_A, "a.example"), QUDAG_OK, v, ARRAY_LEN(v));
    assert_int_equal(l.n_addrs, 0);
}

static void records_of_another_form_are_passed_over(void **state)
{
    static const uint8_t ip[16] = {1, 2, 3, 4};
    static char huge[5000];
    static const char nul[] = "dnsaddr=/ip4/192.0.2.1/tcp/1\0/p2p/x";
    (void)state;

    assert_int_equal(begin("/dns4/a.example/tcp/1"), QUDAG_OK);
    struct slice v[] = {{ip, 3}, {ip, 16}, {ip, 0}};
    names_answered(&l, asks(NAMES_A, "a.example"), QUDAG_OK, v, 3);
    assert_int_equal(l.n_addrs, 0);
    assert_int_equal(begin("/dnsaddr/a.example"), QUDAG_OK);
    memset(huge, 'a', sizeof huge);
    memcpy(huge, "dnsaddr=/", 9);
    struct slice t[] = {{(const uint8_t *)huge, sizeof huge}, {(const uint8_t *)nul, sizeof nul}};
    names_answered(&l, asks(NAMES_TXT, "_dnsaddr.a.example"), QUDAG_OK, t, 2);
    assert_int_equal(l.n_addrs, 0);
    names_answered(&l, 7, QUDAG_OK, t, 2); /* no such question */
    assert_int_equal(l.why, NAMES_NO_MATCH);
    assert_int_equal(begin("/dns4/a.example/tcp/1"), QUDAG_OK);
    struct slice good = {ip, 4};
    names_answered(&l, 0, QUDAG_OK, &good, 1); /* nobody was asked yet */
    assert_int_equal(l.n_addrs, 0);
    assert_false(names_done(&l));
    assert_int_equal(begin("/ip4/192.0.2.1/tcp/1"), QUDAG_EINVAL);
    assert_int_equal(begin("/dns4/no host/tcp/1"), QUDAG_EMALFORMED);
    assert_true(names_done(&l));
}

static void names_are_of_letters_digits_and_hyphens(void **state)
{
    static const struct {
        const char *name;
        bool ok;
    } row[] = {
        {"a", true},          {"a.b-c.example", true}, {"_dnsaddr.a", true},
        {"a.example.", true}, {"XN--NXASMQ", true},    {"", false},
        {".", false},         {".a", false},           {"a..b", false},
        {"a b", false},       {"a\n", false},          {"a\xc3\xa9", false},
        {"a/b", false},       {"a@b", false},          {"a:1", false},
    };
    static const struct {
        struct netaddr ip;
        bool ok;
    } ips[] = {
        {{.family = 4, .ip = {127, 0, 0, 1}}, true},
        {{.family = 4, .ip = {10, 1, 1, 1}}, true},
        {{.family = 4, .ip = {0, 0, 0, 0}}, false},
        {{.family = 4, .ip = {0, 1, 2, 3}}, false},
        {{.family = 4, .ip = {224, 0, 0, 1}}, false},
        {{.family = 4, .ip = {255, 255, 255, 255}}, false},
        {{.family = 6, .ip = {[15] = 1}}, true},
        {{.family = 6, .ip = {0}}, false},
        {{.family = 6, .ip = {0xff, 2}}, false},
        {{.family = 6, .ip = {[10] = 0xff, [11] = 0xff, [12] = 230}}, false},
        {{.family = 6, .ip = {[10] = 0xff, [11] = 0xff, [12] = 23}}, true},
        {{.family = 0}, false},
    };
    char longest[NAMES_NAME_MAX + 3];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(names_rule_name(text_of(row[i].name)), row[i].ok);
    }
    for (size_t i = 0; i < sizeof longest; i++) {
        longest[i] = i % 64 == 63 ? '.' : 'a';
    }
    struct slice s = {(const uint8_t *)longest, NAMES_NAME_MAX};
    assert_true(names_rule_name(s));
    s.len++;
    assert_false(names_rule_name(s));
    memset(longest, 'a', sizeof longest);
    s.len = 63;
    assert_true(names_rule_name(s));
    s.len = 64;
    assert_false(names_rule_name(s));
    for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
        assert_int_equal(names_rule_ip(&ips[i].ip), ips[i].ok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_becomes_the_addresses_of_its_ip_version),
        cmocka_unit_test(a_list_leads_to_what_ends_as_it_was_asked_for),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(hostile_answers_are_bounded),
        cmocka_unit_test(records_of_another_form_are_passed_over),
        cmocka_unit_test(names_are_of_letters_digits_and_hyphens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
