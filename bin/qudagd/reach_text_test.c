/* reach_text_test.c - what people are told of how this node is reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reach_text.h"

static void the_state_comes_with_its_evidence(void **state)
{
    char text[REACH_TEXT_LEN];
    qudag_reach r = {.ip4 = QUDAG_REACH_PRIVATE, .wanted = true};
    struct reach_votes v = {.no4 = 4};
    (void)state;

    reach_text(text, sizeof(text), &r, &v);
    assert_string_equal(text, "IPv4 private (4 networks could not dial back), IPv6 unknown");
    r.ip4 = QUDAG_REACH_PUBLIC;
    v = (struct reach_votes){.yes4 = 1, .no4 = 3, .yes6 = 2, .no6 = 1};
    r.udp_blocked = true;
    reach_text(text, sizeof(text), &r, &v);
    assert_string_equal(text,
                        "IPv4 public (1 network dialled back), IPv6 unknown (2 networks dialled "
                        "back, 1 could not); UDP is blocked here, TCP is used");
    r.wanted = false;
    reach_text(text, sizeof(text), &r, &v);
    assert_non_null(strstr(text, "not wanted"));
    assert_non_null(strstr(text, "UDP is blocked")); /* circuits need it all the same */
}

/* Nobody could try: behind such a NAT there is no address to dial. */
static void private_behind_a_symmetric_nat_says_so(void **state)
{
    char text[REACH_TEXT_LEN];
    qudag_reach r = {.ip4 = QUDAG_REACH_PRIVATE, .mapping4 = QUDAG_NAT_DEPENDENT, .wanted = true};
    struct reach_votes v = {.no4 = 0};
    (void)state;

    reach_text(text, sizeof(text), &r, &v);
    assert_string_equal(text, "IPv4 private (symmetric NAT: each peer sees another port), "
                              "IPv6 unknown");
    r.mapping4 = QUDAG_NAT_UNKNOWN; /* peers have said so, STUN not yet */
    reach_text(text, sizeof(text), &r, &v);
    assert_non_null(strstr(text, "IPv4 private (symmetric NAT"));
    v.no4 = 4;
    reach_text(text, sizeof(text), &r, &v);
    assert_non_null(strstr(text, "IPv4 private (4 networks could not dial back)"));
}

static void loopback_is_no_evidence(void **state)
{
    static const struct {
        const char *addr;
        bool announced, shown;
    } row[] = {
        {"/ip4/127.0.0.1/udp/4433/quic-v1", false, false},
        {"/ip4/127.0.0.1/udp/4433/quic-v1", true, true},
        {"/ip6/::1/tcp/4433", false, false},
        {"/ip6/::1234/tcp/4433", false, true},
        {"/ip4/12.7.0.1/udp/4433/quic-v1", false, true},
        {"/ip4/192.168.1.2/udp/4433/quic-v1", false, true},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        qudag_reach_addr a = {.announced = row[i].announced};
        (void)snprintf(a.addr, sizeof(a.addr), "%s", row[i].addr);
        assert_int_equal(reach_text_shows(&a), row[i].shown);
    }
}

static void a_nat_is_told_in_words(void **state)
{
    char text[REACH_TEXT_LEN];
    qudag_reach r = {.mapping4 = QUDAG_NAT_DEPENDENT, .mapping6 = QUDAG_NAT_NONE};
    struct reach_votes v = {.no4 = 4};
    (void)state;

    reach_text_nat(text, sizeof(text), &r, &v);
    assert_string_equal(text, "IPv4: another port outside for each peer (symmetric); IPv6: no NAT");
    r = (qudag_reach){
        .mapping4 = QUDAG_NAT_INDEPENDENT, .filter4 = QUDAG_NAT_DEPENDENT, .double_nat = true};
    reach_text_nat(text, sizeof(text), &r, &v);
    assert_non_null(strstr(text, "lets in only whom it was used for; a second NAT"));
    r.filter4 = QUDAG_NAT_UNKNOWN; /* then dial-backs tell */
    r.double_nat = false;
    v = (struct reach_votes){.no4 = 2};
    reach_text_nat(text, sizeof(text), &r, &v);
    assert_string_equal(text, "IPv4: one port outside for all peers, lets in only whom it was used "
                              "for");
    v = (struct reach_votes){.yes4 = 2};
    reach_text_nat(text, sizeof(text), &r, &v);
    assert_non_null(strstr(text, "lets in any port of the hosts it was used for, and perhaps"));
    v = (struct reach_votes){.yes4 = 2, .no4 = 1};
    reach_text_nat(text, sizeof(text), &r, &v);
    assert_string_equal(text, "IPv4: one port outside for all peers");
    v = (struct reach_votes){.no4 = 1};
    reach_text_nat(text, sizeof(text), &r, &v);
    assert_string_equal(text, "IPv4: one port outside for all peers");
    r = (qudag_reach){.size = 0};
    reach_text_nat(text, sizeof(text), &r, &v);
    assert_string_equal(text, "");
}

static void a_port_is_open_or_it_is_said_why_not(void **state)
{
    char text[REACH_TEXT_LEN];
    qudag_port p = {.method = QUDAG_PORTMAP_UPNP,
                    .internal = "192.168.1.2:4433",
                    .external = "203.0.113.7:4433"};
    (void)state;

    reach_text_port(text, sizeof(text), &p);
    assert_string_equal(text, "udp 192.168.1.2:4433 at 203.0.113.7:4433, by upnp");
    p = (qudag_port){.tcp = true, .internal = "192.168.1.2:4433", .why = "no router answers"};
    reach_text_port(text, sizeof(text), &p);
    assert_string_equal(text, "tcp 192.168.1.2:4433: not open at the router: no router answers");
    p.why[0] = 0;
    reach_text_port(text, sizeof(text), &p);
    assert_string_equal(text, "tcp 192.168.1.2:4433: not open at the router: it is being asked");
}

static void a_path_has_a_word(void **state)
{
    qudag_path p = {.kind = QUDAG_PATH_RELAYED, .meeting = true};
    qudag_reach_addr a = {.source = QUDAG_ADDR_OBSERVED,
                          .state = QUDAG_REACH_PUBLIC,
                          .confirmed = 5,
                          .announced = true,
                          .addr = "/ip4/203.0.113.7/tcp/1"};
    char text[REACH_TEXT_LEN];
    (void)state;

    assert_string_equal(reach_path_word(&p), "relayed, meeting");
    p.meeting = false;
    assert_string_equal(reach_path_word(&p), "relayed");
    p.kind = QUDAG_PATH_DIRECT;
    assert_string_equal(reach_path_word(&p), "direct");
    p.found = true;
    assert_string_equal(reach_path_word(&p), "met");
    p.kind = QUDAG_PATH_NONE;
    assert_string_equal(reach_path_word(&p), "none");
    reach_text_addr(text, sizeof(text), &a);
    assert_string_equal(text, "/ip4/203.0.113.7/tcp/1, observed, public (5 dialled back, 0 could "
                              "not), announced");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_comes_with_its_evidence),
        cmocka_unit_test(private_behind_a_symmetric_nat_says_so),
        cmocka_unit_test(loopback_is_no_evidence),
        cmocka_unit_test(a_nat_is_told_in_words),
        cmocka_unit_test(a_port_is_open_or_it_is_said_why_not),
        cmocka_unit_test(a_path_has_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
