/* upnp_test.c - whose descriptions are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/router.h"
#include "io/upnp.h"

static struct netaddr ip_of(const char *text)
{
    struct netaddr a = {0};

    assert_int_equal(netaddr_parse_ip(&a, text), QUDAG_OK);
    return a;
}

static void only_the_gateway_is_spoken_to(void **state)
{
    static const struct {
        const char *url;
        bool four,
            six; /* spoken to, where the gateway is 192.168.1.1, or fe80::1 of 2a00:1:2:3::/64 */
    } t[] = {
        {"http://192.168.1.1:5000/root.xml", true, false},
        {"http://192.168.1.1/root.xml", true, false},
        {"http://192.168.1.1", true, false},
        {"http://192.168.1.2:5000/root.xml", false, false},
        {"http://192.168.1.1.example.org/", false, false},
        {"http://192.168.1.1@127.0.0.1/", false, false},
        {"http://router/root.xml", false, false},
        {"http://127.0.0.1:80/", false, false},
        {"https://192.168.1.1/", false, false},
        {"file:///etc/passwd", false, false},
        {"http://", false, false},
        {"", false, false},
        {"http://[fe80::1]:5000/root.xml", false, true},
        {"http://[fe80::7]:5000/root.xml", false, true},
        {"http://[fe80::1%252]:5000/root.xml", false, true},
        {"http://[2a00:1:2:3::1]:5000/root.xml", false, true},
        {"http://[2a00:1:2:4::1]:5000/root.xml", false, false},
        {"http://[::1]:5000/root.xml", false, false},
        {"http://[2a00:1:2:3::1:5000/root.xml", false, false},
        {"http://[::ffff:192.168.1.1]/", false, false},
        {"http://[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff]/",
         false, false},
    };
    struct netaddr g4 = ip_of("192.168.1.1"), o4 = ip_of("192.168.1.2"), g6 = ip_of("fe80::1"),
                   o6 = ip_of("2a00:1:2:3::2");
    (void)state;

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        assert_int_equal(upnp_rule_url(t[i].url, &g4, &o4), t[i].four);
        assert_int_equal(upnp_rule_url(t[i].url, &g6, &o6), t[i].six);
    }
}

/* What this machine has is not known here; it ends, and what it says makes sense. */
static void a_gateway_is_found_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const uint8_t version = i == 0 ? 4 : 6;
        struct netaddr gateway, source;
        if (router_find(version, &gateway, &source)) {
            assert_int_equal(gateway.family, version);
            assert_int_equal(source.family, version);
            assert_false(netaddr_is_unspecified(&gateway));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_gateway_is_spoken_to),
        cmocka_unit_test(a_gateway_is_found_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
