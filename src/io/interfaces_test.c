/* interfaces_test.c - the interfaces of a network namespace of its own, which come up and get an address. */
#include "io/interfaces.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static const struct netaddr any4 = {.family = 4, .port = 4433};

static void set_loopback(int fd, bool up)
{
    struct ifreq r = {.ifr_name = "lo"};

    r.ifr_flags = (short)(up ? IFF_UP | IFF_LOOPBACK : IFF_LOOPBACK);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
}

static void a_change_is_noticed_once_and_the_addresses_follow(void **state)
{
    struct netaddr a[4], loopback = {.family = 4, .ip = {127, 0, 0, 1}, .port = 4433};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), watch = io_interfaces_watch();
    (void)state;

    assert_true(fd >= 0 && watch >= 0);
    assert_false(io_interfaces_changed(watch));
    assert_int_equal(io_interface_addrs(&any4, a, ARRAY_LEN(a)), 0);
    set_loopback(fd, true);
    assert_true(io_interfaces_changed(watch));
    assert_false(io_interfaces_changed(watch));
    assert_int_equal(io_interface_addrs(&any4, a, ARRAY_LEN(a)), 1);
    assert_true(netaddr_eq(&a[0], &loopback));
    assert_int_equal(io_interface_addrs(&any4, a, 0), 0);
    set_loopback(fd, false);
    assert_true(io_interfaces_changed(watch));
    assert_int_equal(io_interface_addrs(&any4, a, ARRAY_LEN(a)), 0);
    assert_int_equal(close(fd) + close(watch), 0);
}

static void without_a_way_to_the_internet_there_is_no_source(void **state)
{
    struct netaddr a;
    (void)state;

    assert_false(io_default_source(4, &a));
    assert_false(io_default_source(6, &a));
}

static void a_closed_watch_is_no_change(void **state)
{
    (void)state;
    assert_false(io_interfaces_changed(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_noticed_once_and_the_addresses_follow),
        cmocka_unit_test(a_closed_watch_is_no_change),
        cmocka_unit_test(without_a_way_to_the_internet_there_is_no_source),
    };

    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        (void)fputs("skipped: no network namespace can be made here\n", stderr);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
