/*
 * proxy_test.c - the proxy of one node, a service of another one's, and clients with sockets of their own: what is
 * asked, what is answered, and what it takes to be served.
 *
 * TEST: timeout=120
 */
#include "app/proxy_int.h"
#include "proxy_testkit.h"

#include <sys/resource.h>

/* ------------------------------------------------------------------ a machine that is short of memory */

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define OWN_MALLOC 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define OWN_MALLOC 1
#endif

#ifndef OWN_MALLOC
static size_t calloc_fails; /* for this size; 0: for none */

/* glibc's own, in front of which ours stands */
extern void *__libc_calloc(size_t n, size_t size); // NOLINT(bugprone-reserved-identifier)

void *calloc(size_t n, size_t size)
{
    if (size == calloc_fails) {
        calloc_fails = 0;
        return NULL;
    }
    return __libc_calloc(n, size);
}
#endif

static void bytes_go_both_ways_and_each_end_by_itself(void **state)
{
    struct caller c;
    (void)state;

    n_served = 0;
    c = socks_to(NULL, dark, ECHOES, "early");
    NET_WAIT(hear(&c, 999) && c.n == 2 + 10 + 5, 30);
    assert_memory_equal(c.got, "\5\0" SOCKS_OK "early", 17);
    say_text(&c, " and late");
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    NET_WAIT(hear(&c, 999) && c.eof, 10);
    assert_memory_equal(c.got + 12, "early and late", 14);
    assert_true(served[0].fin);
    close(c.fd);
    all_gone();
}

static void the_name_of_an_address_works_and_is_not_sent(void **state)
{
    struct caller c = call();
    char expected[400];
    (void)state;

    n_served = 0;
    say_text(&c, "GET http://blog.dark:81/x HTTP/1.1\r\nHost: blog.dark:81\r\nProxy-Connection: "
                 "keep-alive\r\n\r\nGET http://other.dark/ HTTP/1.1\r\n\r\n");
    NET_WAIT(hear(&c, 999) && strstr(c.got, "Connection: close") != NULL, 30);
    (void)snprintf(expected, sizeof(expected), "GET /x HTTP/1.1\r\nHost: %s:81\r\n", dark);
    NET_WAIT(hear(&c, 999) && strstr(c.got, expected) != NULL, 10);
    assert_null(strstr(c.got, "keep-alive"));
    assert_null(strstr(served[0].got, "blog"));
    assert_null(strstr(served[0].got, "other"));
    close(c.fd);
    all_gone();
}

static void labels_before_an_address_reach_the_service(void **state)
{
    struct caller c = call();
    char ask[400], expected[400];
    (void)state;

    (void)snprintf(ask, sizeof(ask), "GET http://www.%s:81/x HTTP/1.1\r\n\r\n", dark);
    (void)snprintf(expected, sizeof(expected), "GET /x HTTP/1.1\r\nHost: www.%s:81\r\n", dark);
    say_text(&c, ask);
    NET_WAIT(hear(&c, 999) && strstr(c.got, expected) != NULL, 20);
    close(c.fd);
    all_gone();
}

static void http_connect_is_a_tunnel(void **state)
{
    struct caller c = call();
    char head[300];
    (void)state;

    (void)snprintf(head, sizeof(head), "CONNECT %s:80 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                   dark);
    say_text(&c, head);
    NET_WAIT(hear(&c, 999) && strstr(c.got, "\r\n\r\nGET / HTTP/1.1\r\n\r\n") != NULL, 20);
    assert_memory_equal(c.got, "HTTP/1.1 200 ", 13);
    close(c.fd);
    all_gone();
}

static void failures_have_their_codes(void **state)
{
    static const char other[] = "aebciuiynihqmt3snkrpuehwkthcxbxl4k3rrkcogsssxaxzpjug3ndt."
                                "dwa4xcmu4dg6u2kaj6ormyob3eur54abrmngm4m5g4wi7pvmm5qypoq.dark";
    char typo[QUDAG_DARK_TEXT_MAX];
    struct caller c;
    (void)state;

    memcpy(typo, dark, sizeof(typo));
    typo[9] = typo[9] == 'a' ? 'b' : 'a';
    c = socks_to(NULL, typo, 80, "");
    refused(&c, 0xf6);
    c = socks_to(NULL, "example.org", 80, "");
    refused(&c, 2);
    c = socks_to(NULL, "192.0.2.7", 80, "");
    refused(&c, 8);
    c = socks_to(NULL, "unknown.dark", 80, "");
    refused(&c, 0xf0);
    c = socks_to(NULL, other, 80, ""); /* nobody publishes it */
    refused(&c, 0xf0);
    c = socks_to(NULL, dark, REFUSES, "");
    refused(&c, 5);
    c = socks_to(NULL, dark, 99, "");
    refused(&c, 5);
}

static void users_do_not_share_a_circuit(void **state)
{
    struct caller c[4];
    (void)state;

    n_served = 0;
    for (size_t i = 0; i < 4; i++) {
        c[i] = socks_to(i < 2 ? "alice" : i == 2 ? "bob" : NULL, dark, ECHOES, "x");
        NET_WAIT(hear(&c[i], 999) && c[i].n >= 13, 30);
    }
    assert_int_equal(n_served, 4);
    assert_true(served[0].circuit != 0);
    assert_true(served[0].circuit == served[1].circuit);
    assert_true(served[2].circuit != served[0].circuit);
    assert_true(served[3].circuit != served[0].circuit && served[3].circuit != served[2].circuit);
    for (size_t i = 0; i < 4; i++) {
        close(c[i].fd);
    }
    all_gone();
}

/* Unread, its bytes would take the answer away. */
static void who_goes_on_talking_hears_a_refusal_to_its_end(void **state)
{
    static const char block[65536];
    struct caller c;
    (void)state;

    c = socks_to(NULL, "example.com", 80, "");
    NET_WAIT(hear(&c, 12 - c.n) && c.n == 12, 20);
    for (int i = 0; i < 20; i++) {
        assert_true(send(c.fd, block, sizeof(block), MSG_NOSIGNAL) > 0 || errno == EAGAIN);
        net_turn();
    }
    NET_WAIT(hear(&c, 99) && (c.eof || c.reset), 20);
    assert_true(c.eof && !c.reset);
    assert_int_equal(c.n, 12);
    close(c.fd);
    all_gone();
}

static void without_memory_for_one_client_the_next_is_served(void **state)
{
    (void)state;
#ifndef OWN_MALLOC
    struct caller c = call();
    calloc_fails = sizeof(struct proxy_conn);
    NET_WAIT(hear(&c, 99) && (c.eof || c.reset), 10);
    assert_int_equal(calloc_fails, 0);
    close(c.fd);
#endif
    it_is_served();
}

static void without_descriptors_a_client_waits_and_is_served(void **state)
{
    struct caller c = call();
    struct rlimit before, none;
    int next = dup(c.fd);
    (void)state;

    n_served = 0;
    ask_socks(&c, NULL, dark, ECHOES);
    say_text(&c, "x");
    assert_true(next >= 0 && close(next) == 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    double until = net_now() + 0.2;
    while (net_now() < until) {
        net_turn();
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    hear(&c, 99);
    assert_false(c.eof || c.reset);
    assert_int_equal(info_now().connections, 0);
    NET_WAIT(hear(&c, 99) && c.n == 13, 20);
    close(c.fd);
    all_gone();
}

static void the_function_for_petnames_may_stop_it(void **state)
{
    qudag_proxy_info info = QUDAG_INIT(qudag_proxy_info);
    struct caller c = socks_to(NULL, "stop.dark", 80, "");
    (void)state;

    NET_WAIT(hear(&c, 99) && (c.eof || c.reset), 20);
    assert_int_equal(qudag_proxy_status(net[CALLER].node, &info), QUDAG_ENOTFOUND);
    close(c.fd);
    start_proxy();
    it_is_served();
}

static void a_port_that_others_could_reach_is_refused(void **state)
{
    static const struct {
        const char *listen;
        bool remote;
        qudag_err err;
        const char *says;
    } cases[] = {
        {"0.0.0.0:0", false, QUDAG_EINVAL, "other machines"},
        {"[::]:0", false, QUDAG_EINVAL, "other machines"},
        {"192.0.2.7:0", true, QUDAG_ESYSTEM, "no such address"},
        {"localhost:9350", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"127.0.0.1", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"127.0.0.1:", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"127.0.0.1:65536", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"127.0.0.1:80x", false, QUDAG_EINVAL, "127.0.0.1:9350"},
        {"::1:9350", false, QUDAG_EINVAL, "brackets"},
    };
    qudag_proxy_options p = {.size = sizeof(p)};
    char why[200], taken[QUDAG_PROXY_LISTEN_TEXT_MAX];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        p.listen = cases[i].listen;
        p.remote = cases[i].remote;
        assert_int_equal(qudag_proxy_start(net[0].node, &p, why, sizeof(why)), cases[i].err);
        assert_non_null(strstr(why, cases[i].says));
    }
    (void)snprintf(taken, sizeof(taken), "%s", info_now().listen);
    p.listen = taken;
    assert_int_equal(qudag_proxy_start(net[0].node, &p, why, sizeof(why)), QUDAG_ESYSTEM);
    assert_non_null(strstr(why, "another program"));
    assert_int_equal(qudag_proxy_start(net[CALLER].node, &p, why, sizeof(why)), QUDAG_EEXISTS);
}

static void it_stops_with_all_its_connections_and_starts_again(void **state)
{
    const qudag_proxy_options p = {.size = sizeof(p), .listen = "127.0.0.1:0"};
    qudag_proxy_info info = QUDAG_INIT(qudag_proxy_info);
    struct caller c;
    (void)state;

    c = socks_to(NULL, dark, ECHOES, "x");
    NET_WAIT(hear(&c, 99) && c.n == 13, 20);
    qudag_proxy_stop(net[CALLER].node);
    assert_int_equal(qudag_proxy_status(net[CALLER].node, &info), QUDAG_ENOTFOUND);
    NET_WAIT(hear(&c, 99) && (c.eof || c.reset), 10);
    close(c.fd);
    assert_int_equal(qudag_proxy_start(net[CALLER].node, &p, NULL, 0), QUDAG_OK);
    assert_int_equal(info_now().opened, 0);
    c = (struct caller){.fd = -1};
    door = (uint16_t)strtoul(strrchr(info_now().listen, ':') + 1, NULL, 10);
    c = socks_to(NULL, dark, ECHOES, "x");
    NET_WAIT(hear(&c, 99) && c.n == 13, 20);
    net_stop(CALLER); /* with a connection open */
    close(c.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_and_each_end_by_itself),
        cmocka_unit_test(the_name_of_an_address_works_and_is_not_sent),
        cmocka_unit_test(labels_before_an_address_reach_the_service),
        cmocka_unit_test(http_connect_is_a_tunnel),
        cmocka_unit_test(failures_have_their_codes),
        cmocka_unit_test(users_do_not_share_a_circuit),
        cmocka_unit_test(who_goes_on_talking_hears_a_refusal_to_its_end),
        cmocka_unit_test(without_memory_for_one_client_the_next_is_served),
        cmocka_unit_test(without_descriptors_a_client_waits_and_is_served),
        cmocka_unit_test(the_function_for_petnames_may_stop_it),
        cmocka_unit_test(a_port_that_others_could_reach_is_refused),
        cmocka_unit_test(it_stops_with_all_its_connections_and_starts_again),
    };

    return cmocka_run_group_tests(tests, set_up, net_stop_all);
}
