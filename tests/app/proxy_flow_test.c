/*
 * proxy_flow_test.c - bytes through the proxy: who reads slowly, who takes nothing, who goes away, and fifty at once.
 *
 * TEST: timeout=120
 */
#include "proxy_testkit.h"

/* Whether the service has sent nothing for |seconds|, in which all else had its turns. */
static bool stands_still(double seconds)
{
    size_t at = served[0].at;
    double until = net_now() + seconds;

    while (net_now() < until) {
        net_turn();
    }
    return served[0].at == at;
}

static void a_slow_reader_holds_up_the_service_and_loses_nothing(void **state)
{
    struct caller c;
    (void)state;

    n_served = 0;
    c = socks_to(NULL, dark, DOWNLOAD, "");
    NET_WAIT(n_served == 1 && served[0].at > 0, 20);
    NET_WAIT(stands_still(1), 40); /* the client reads nothing */
    c.n = 0;
    while (c.n < 2) {
        hear(&c, 2 - c.n);
    }
    c.n = 0; /* the pattern begins behind the reply of 10 bytes */
    NET_WAIT(hear(&c, 65536) && c.eof, 40);
    assert_int_equal(c.n, 10 + BIG);
    assert_false(c.wrong);
    close(c.fd);
    all_gone();
}

/* The service has ended, and the last of it still waits for the client. */
static void an_end_waits_for_what_came_before_it(void **state)
{
    struct caller c;
    (void)state;

    n_served = 0;
    narrow = true;
    c = socks_to(NULL, dark, DOWNLOAD, "");
    narrow = false;
    NET_WAIT(hear(&c, 2 - c.n) && c.n == 2, 20);
    c.n = 0;
    NET_WAIT(hear(&c, 4096) && c.n > BIG - 200000, 60);
    NET_WAIT(served[0].at > BIG, 20); /* all of it and its end are under way */
    double until = net_now() + 1;
    while (net_now() < until) {
        net_turn(); /* the client reads nothing */
    }
    NET_WAIT(hear(&c, 65536) && c.eof, 40);
    assert_int_equal(c.n, 10 + BIG);
    assert_false(c.wrong || c.reset);
    close(c.fd);
    all_gone();
}

static void a_service_that_takes_nothing_holds_up_the_client(void **state)
{
    static char block[65536];
    struct caller c;
    size_t sent = 0;
    (void)state;

    n_served = 0;
    c = socks_to(NULL, dark, HTTP, "");
    NET_WAIT(hear(&c, 99) && c.n == 12, 20);
    hold = true;
    double until = net_now() + 2;
    while (net_now() < until) {
        ssize_t n = send(c.fd, block, sizeof(block), MSG_NOSIGNAL);
        assert_true(n > 0 || errno == EAGAIN); /* it is still there */
        sent += n > 0 ? (size_t)n : 0;
        net_turn();
    }
    assert_in_range(sent, 1, 16u << 20);
    assert_false(served[0].closed);
    hold = false;
    qudag_stream_consume(net[SERVICE].node, served[0].s, served[0].owed);
    close(c.fd);
    all_gone();
}

static void a_service_that_gives_up_resets_the_client(void **state)
{
    struct caller c;
    (void)state;

    c = socks_to(NULL, dark, CUTS, "");
    NET_WAIT(hear(&c, 99) && c.n == 12, 20);
    say_text(&c, "x");
    NET_WAIT(hear(&c, 99) && c.reset, 20);
    close(c.fd);
    all_gone();
}

static void a_client_that_goes_away_is_noticed_by_the_service(void **state)
{
    struct linger now = {.l_onoff = 1};
    struct caller c;
    (void)state;

    n_served = 0;
    c = socks_to(NULL, dark, HTTP, "");
    NET_WAIT(hear(&c, 99) && c.n == 12, 20);
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(c.fd);
    NET_WAIT(served[0].closed, 10);
    assert_int_not_equal(served[0].why, QUDAG_OK);
    all_gone();
}

/* One that said before that it sends no more: writing to it then would raise SIGPIPE, which ends this program. */
static void a_client_that_goes_away_in_mid_answer_raises_no_signal(void **state)
{
    struct linger now = {.l_onoff = 1};
    struct caller c = call();
    (void)state;

    n_served = 0;
    ask_socks(&c, NULL, dark, ENDLESS);
    NET_WAIT(hear(&c, 99) && c.n >= 12, 20);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    NET_WAIT(n_served == 1 && served[0].fin, 10);
    for (size_t at = 0; at != served[0].at;) { /* until more waits for it than the kernel takes */
        at = served[0].at;
        double until = net_now() + 0.5;
        while (net_now() < until) {
            net_turn();
        }
    }
    assert_false(served[0].closed);
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(c.fd);
    NET_WAIT(served[0].closed, 10);
    assert_int_not_equal(served[0].why, QUDAG_OK);
    all_gone();
}

static void fifty_at_once_are_served(void **state)
{
    static struct caller c[50];
    size_t done = 0;
    (void)state;

    n_served = 0;
    for (size_t i = 0; i < 50; i++) {
        c[i] = socks_to(NULL, dark, ECHOES, "hello");
        net_turn();
    }
    double until = net_now() + 30;
    while (done < 50 && net_now() < until) {
        net_turn();
        done = 0;
        for (size_t i = 0; i < 50; i++) {
            hear(&c[i], 99);
            done += c[i].n == 17;
        }
    }
    assert_int_equal(done, 50);
    for (size_t i = 0; i < 50; i++) {
        assert_memory_equal(c[i].got + 12, "hello", 5);
        close(c[i].fd);
    }
    all_gone();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_reader_holds_up_the_service_and_loses_nothing),
        cmocka_unit_test(an_end_waits_for_what_came_before_it),
        cmocka_unit_test(a_service_that_takes_nothing_holds_up_the_client),
        cmocka_unit_test(a_service_that_gives_up_resets_the_client),
        cmocka_unit_test(a_client_that_goes_away_is_noticed_by_the_service),
        cmocka_unit_test(a_client_that_goes_away_in_mid_answer_raises_no_signal),
        cmocka_unit_test(fifty_at_once_are_served),
    };

    return cmocka_run_group_tests(tests, set_up, net_stop_all);
}
