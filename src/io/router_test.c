/* router_test.c - default routes in answers of rtnetlink(7), also in such as no kernel gives. */
#include "io/router.h"

#include <sys/socket.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A message being written: header, route, attributes. */
static struct {
    _Alignas(8) uint8_t bytes[1024];
    size_t len, head, nest, hop;
} b;

static void put(const void *what, size_t len)
{
    assert_true(b.len + len + 8 <= sizeof(b.bytes));
    memcpy(b.bytes + b.len, what, len);
    b.len += NLMSG_ALIGN(len);
}

static void put_u16(size_t at, size_t v)
{
    uint16_t n = (uint16_t)v;
    memcpy(b.bytes + at, &n, sizeof(n));
}

static void route(uint8_t family, uint8_t table, uint8_t dst_len)
{
    struct nlmsghdr h = {.nlmsg_type = RTM_NEWROUTE};
    struct rtmsg m = {
        .rtm_family = family, .rtm_dst_len = dst_len, .rtm_table = table, .rtm_type = RTN_UNICAST};

    b.head = b.len;
    put(&h, sizeof(h));
    put(&m, sizeof(m));
}

static void attribute(unsigned short type, const void *v, size_t len)
{
    struct rtattr a = {.rta_len = (unsigned short)(sizeof(a) + len), .rta_type = type};

    put(&a, sizeof(a));
    put(v, len);
}

static void number(unsigned short type, uint32_t v)
{
    attribute(type, &v, sizeof(v));
}

static void close_message(void)
{
    uint32_t n = (uint32_t)(b.len - b.head);
    memcpy(b.bytes + b.head, &n, sizeof(n));
}

static void multipath(void)
{
    struct rtattr a = {.rta_type = RTA_MULTIPATH};
    b.nest = b.len;
    put(&a, sizeof(a));
}

static void hop(int interface, uint8_t flags, const void *gateway, size_t len)
{
    struct rtnexthop h = {.rtnh_flags = flags, .rtnh_ifindex = interface};

    b.hop = b.len;
    put(&h, sizeof(h));
    if (len > 0) {
        attribute(RTA_GATEWAY, gateway, len);
    }
    put_u16(b.hop, b.len - b.hop);
    put_u16(b.nest, b.len - b.nest);
}

static const uint8_t one[4] = {192, 168, 1, 1}, two[4] = {10, 0, 0, 1}, three[4] = {172, 16, 0, 1};
static const uint8_t local6[16] = {0xfe, 0x80, [15] = 1};

static struct router_default taken(uint8_t version, bool more)
{
    struct router_default best = {.n = 0};
    uint8_t *exact = malloc(b.len); /* what is read beyond it is found */

    assert_non_null(exact);
    memcpy(exact, b.bytes, b.len);
    assert_int_equal(router_take((struct slice){exact, b.len}, version, &best), more);
    free(exact);
    return best;
}

static int clear(void **state)
{
    (void)state;
    memset(&b, 0, sizeof(b));
    return 0;
}

static void plain(const uint8_t *gateway, uint32_t interface, uint32_t metric)
{
    route(AF_INET, RT_TABLE_MAIN, 0);
    attribute(RTA_GATEWAY, gateway, 4);
    number(RTA_OIF, interface);
    number(RTA_PRIORITY, metric);
    close_message();
}

static void the_lowest_metric_counts(void **state)
{
    (void)state;
    plain(one, 2, 200);
    plain(two, 3, 100);
    plain(three, 4, 100);
    struct router_default r = taken(4, true);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.metric, 100);
    assert_int_equal(r.hop[0].interface, 3);
    assert_memory_equal(r.hop[0].gateway.ip, two, 4);
    assert_int_equal(taken(6, true).n, 0); /* an address of four bytes is none of IPv6 */
}

static void what_is_no_default_route_does_not(void **state)
{
    (void)state;
    route(AF_INET, RT_TABLE_MAIN, 8);
    attribute(RTA_GATEWAY, one, 4);
    close_message();
    route(AF_INET, RT_TABLE_LOCAL, 0);
    attribute(RTA_GATEWAY, one, 4);
    close_message();
    route(AF_INET, RT_TABLE_MAIN, 0); /* no gateway */
    number(RTA_OIF, 2);
    close_message();
    assert_int_equal(taken(4, true).n, 0);
}

static void each_of_several_next_hops_is_read(void **state)
{
    (void)state;
    route(AF_INET, RT_TABLE_MAIN, 0);
    number(RTA_PRIORITY, 7);
    multipath();
    hop(2, 0, one, 4);
    hop(3, RTNH_F_DEAD, two, 4);
    hop(5, 0, NULL, 0); /* through no gateway */
    hop(4, 0, three, 4);
    close_message();
    plain(two, 9, 8);
    struct router_default r = taken(4, true);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.metric, 7);
    assert_int_equal(r.hop[0].interface, 2);
    assert_memory_equal(r.hop[0].gateway.ip, one, 4);
    assert_int_equal(r.hop[1].interface, 4);
    assert_memory_equal(r.hop[1].gateway.ip, three, 4);
}

static void a_link_local_hop_has_its_zone(void **state)
{
    (void)state;
    route(AF_INET6, RT_TABLE_MAIN, 0);
    multipath();
    for (int i = 1; i <= ROUTER_HOPS_MAX + 2; i++) {
        hop(i, 0, local6, sizeof(local6));
    }
    close_message();
    struct router_default r = taken(6, true);
    assert_int_equal(r.n, ROUTER_HOPS_MAX);
    assert_int_equal(r.hop[3].gateway.family, 6);
    assert_int_equal(r.hop[3].gateway.scope, 4);
}

static void a_number_of_another_length_is_none(void **state)
{
    const uint64_t wide = UINT64_C(0x0000000100000001);
    (void)state;

    route(AF_INET, RT_TABLE_MAIN, 0);
    attribute(RTA_GATEWAY, one, 4);
    attribute(RTA_OIF, &wide, sizeof(wide));
    attribute(RTA_PRIORITY, &wide, 2);
    close_message();
    struct router_default r = taken(4, true);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.hop[0].interface, 0);
    assert_int_equal(r.metric, 0);
}

/* A length may be anything: below its own header, beyond the message, beyond what was read. */
static void lengths_that_lie_are_not_believed(void **state)
{
    (void)state;
    size_t at[] = {0, sizeof(struct nlmsghdr) + sizeof(struct rtmsg), 0, 0};
    route(AF_INET, RT_TABLE_MAIN, 0);
    multipath();
    hop(2, 0, one, 4);
    hop(3, 0, two, 4);
    close_message();
    at[2] = b.hop;
    at[3] = b.hop + sizeof(struct rtnexthop); /* of the gateway's attribute */
    for (size_t k = 0; k < sizeof(at) / sizeof(at[0]); k++) {
        uint16_t before;
        memcpy(&before, b.bytes + at[k], sizeof(before));
        for (unsigned len = 0; len < 300; len++) {
            struct router_default best = {.n = 0};
            put_u16(at[k], len);
            uint8_t *exact = malloc(b.len);
            assert_non_null(exact);
            memcpy(exact, b.bytes, b.len);
            bool more = router_take((struct slice){exact, b.len}, 4, &best);
            free(exact);
            assert_true(len <= before || best.n == (k < 2 ? 0u : 1u));
            assert_true(k != 0 || (len >= sizeof(struct nlmsghdr) && len <= b.len) || !more);
        }
        put_u16(at[k], before);
        assert_int_equal(taken(4, true).n, 2);
    }
}

static void a_dump_ends(void **state)
{
    const struct nlmsghdr over = {.nlmsg_len = sizeof(over), .nlmsg_type = NLMSG_DONE};
    (void)state;

    plain(one, 2, 1);
    put(&over, sizeof(over));
    plain(two, 3, 0);
    struct router_default r = taken(4, false);
    assert_int_equal(r.metric, 1);
    for (size_t len = 0; len < b.len; len++) { /* cut off at any length */
        size_t all = b.len;
        struct router_default best = {.n = 0};
        uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, b.bytes, len);
        (void)router_take((struct slice){exact, len}, 4, &best);
        free(exact);
        assert_true(best.n <= 1 && b.len == all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_lowest_metric_counts, clear),
        cmocka_unit_test_setup(what_is_no_default_route_does_not, clear),
        cmocka_unit_test_setup(each_of_several_next_hops_is_read, clear),
        cmocka_unit_test_setup(a_link_local_hop_has_its_zone, clear),
        cmocka_unit_test_setup(a_number_of_another_length_is_none, clear),
        cmocka_unit_test_setup(lengths_that_lie_are_not_believed, clear),
        cmocka_unit_test_setup(a_dump_ends, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
