/*
 * times_test.c - times are settings, and change while the node runs.
 *
 * TEST: waits
 */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int fd = -1;
static char silent[96]; /* where datagrams arrive and nobody answers */

static int start(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    (void)state;

    fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_return_code(bind(fd, (const struct sockaddr *)&a, sizeof(a)), errno);
    assert_return_code(getsockname(fd, (struct sockaddr *)&a, &len), errno);
    (void)snprintf(silent, sizeof(silent), "/ip4/127.0.0.1/udp/%u/quic-v1", ntohs(a.sin_port));
    net_start(0, &(struct net_options){.waiting = true, .client = true});
    return 0;
}

static int stop(void **state)
{
    close(fd);
    return net_stop_all(state);
}

static qudag_settings settings(void)
{
    qudag_settings s;

    QUDAG_SETTINGS_INIT(&s);
    s.identity = net[0].id;
    s.lab = true;
    return s;
}

static void a_handshake_ends_after_the_time_that_is_set_last(void **state)
{
    qudag_settings s = settings();
    char why[200];
    (void)state;

    s.handshake_timeout = QUDAG_S;
    assert_int_equal(qudag_node_reload(net[0].node, &s, why, sizeof(why)), QUDAG_OK);
    double t = net_now();
    net_ask(&net[0], qudag_connect(net[0].node, silent, &net[0].last));
    t = net_now() - t;
    print_message("nobody answered for %.1f s\n", t);
    assert_true(net[0].err == QUDAG_ETIMEOUT || net[0].err == QUDAG_EUNREACHABLE);
    assert_true(t > 0.9 && t < 6); /* without it: 10 s */
}

static void what_does_not_fit_changes_nothing_and_is_named(void **state)
{
    static const struct {
        const char *name;
        size_t at;
    } row[] = {
        {"idle_timeout", offsetof(qudag_settings, idle_timeout)},
        {"dial_timeout", offsetof(qudag_settings, dial_timeout)},
        {"handshake_timeout", offsetof(qudag_settings, handshake_timeout)},
        {"negotiate_timeout", offsetof(qudag_settings, negotiate_timeout)},
        {"keepalive", offsetof(qudag_settings, keepalive)},
        {"query_timeout", offsetof(qudag_settings, query_timeout)},
        {"build_timeout", offsetof(qudag_settings, build_timeout)},
    };
    static const qudag_ns bad[] = {0, QUDAG_S - 1, 86401 * QUDAG_S, UINT64_MAX};
    char why[200];
    (void)state;

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
            qudag_settings s = settings();
            memcpy((uint8_t *)&s + row[i].at, &bad[k], sizeof(bad[k]));
            assert_int_equal(qudag_node_reload(net[0].node, &s, why, sizeof(why)), QUDAG_EINVAL);
            assert_ptr_equal(strstr(why, row[i].name), why);
            assert_non_null(strstr(why, "is not within"));
        }
    }
    qudag_settings s = settings();
    assert_int_equal(qudag_node_reload(NULL, &s, why, sizeof(why)), QUDAG_EINVAL);
    assert_int_equal(qudag_node_reload(net[0].node, NULL, NULL, 0), QUDAG_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_ends_after_the_time_that_is_set_last),
        cmocka_unit_test(what_does_not_fit_changes_nothing_and_is_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
