/* listen_test.c - listening on a machine without IPv6, as the kernel of one without it answers. */
#include "io/io.h"

#include "base/netaddr.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <cmocka.h>

static const struct netaddr any4 = {.family = 4}, any6 = {.family = 6};

/* From here on no IPv6 socket can be had in this process. */
static int lose_ipv6(void **state)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    (void)state;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0
               ? 0
               : -1;
}

static void a_machine_without_ipv6_listens_on_what_it_has(void **state)
{
    struct netaddr both[] = {any6, any4}, told[4];
    struct io *io;
    struct io_failure why;

    (void)state;
    assert_int_equal(io_new(&io, NULL, both, 2, &why), QUDAG_OK);
    size_t n = io_addrs(io, told, 4);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(told[i].family, 4);
    }
    io_free(io);
}

static void listening_on_nothing_is_an_error(void **state)
{
    struct netaddr one[] = {{.family = 6, .ip = {[15] = 1}}, any4};
    struct io *io = NULL;
    struct io_failure why;

    (void)state;
    assert_int_equal(io_new(&io, NULL, &any6, 1, &why), QUDAG_ESYSTEM);
    assert_int_equal(why.err, EAFNOSUPPORT);
    assert_int_equal(io_new(&io, NULL, one, 2, &why), QUDAG_ESYSTEM); /* asked for by name */
    assert_int_equal(why.at, 0);
    assert_int_equal(why.err, EAFNOSUPPORT);
}

/* The same number, which is what a firewall is told of; any other if that one is taken. */
static void tcp_has_the_port_of_udp_where_it_is_free(void **state)
{
    struct netaddr udp, tcp, both[] = {any6, any4}, loop4 = {.family = 4, .ip = {127, 0, 0, 1}};
    struct io *io, *other;
    struct io_failure why;

    (void)state;
    assert_int_equal(io_new(&io, NULL, &loop4, 1, &why), QUDAG_OK);
    assert_int_equal(io_tcp_addrs(io, &tcp, 1), 0);
    assert_int_equal(io_listen_tcp(io, &loop4, 1, &why), QUDAG_OK);
    assert_int_equal(io_addrs(io, &udp, 1), 1);
    assert_int_equal(io_tcp_addrs(io, &tcp, 1), 1);
    assert_true(netaddr_eq(&udp, &tcp));
    assert_int_equal(io_listen_tcp(io, &loop4, 1, &why), QUDAG_OK); /* taken: another */
    assert_int_equal(io_new(&other, NULL, NULL, 0, &why), QUDAG_OK);
    assert_int_equal(io_listen_tcp(other, &tcp, 1, &why), QUDAG_ESYSTEM); /* asked for by number */
    assert_int_equal(why.err, EADDRINUSE);
    assert_int_equal(io_listen_tcp(other, both, 2, &why), QUDAG_OK);
    io_free(other);
    assert_int_equal(io_new(&other, NULL, NULL, 0, &why), QUDAG_OK);
    assert_int_equal(io_listen_tcp(other, &any6, 1, &why), QUDAG_ESYSTEM);
    assert_int_equal(why.err, EAFNOSUPPORT);
    io_free(other);
    io_free(io);
}

/* Who starts a daemon is told which call failed, and in what. */
static void the_call_that_failed_is_named(void **state)
{
    struct rlimit before, few = {0, 0};
    struct io_failure why;
    struct io *io = NULL;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    qudag_err err = io_new(&io, NULL, &any4, 1, &why);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(err, QUDAG_ESYSTEM);
    assert_int_equal(why.err, EMFILE);
    assert_non_null(why.call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_without_ipv6_listens_on_what_it_has),
        cmocka_unit_test(listening_on_nothing_is_an_error),
        cmocka_unit_test(tcp_has_the_port_of_udp_where_it_is_free),
        cmocka_unit_test(the_call_that_failed_is_named),
    };

    return cmocka_run_group_tests(tests, lose_ipv6, NULL);
}
