/*
 * boot_test.c - acceptance case of bootstrap: bad peers are not counted as answers, when nobody
 * answers that is said, and the node joins by itself once somebody is there.
 *
 * TEST: timeout=120 waits
 */
#include "net.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static char good[QUDAG_ADDR_TEXT_MAX], wrong[QUDAG_ADDR_TEXT_MAX], dead[QUDAG_ADDR_TEXT_MAX];
static char dead_listen[64];
static int dead_fd = -1;

/* One that answers, one where another identity lives, one where a socket takes all and says nothing. */
static int start(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    qudag_peer_id id;
    char text[QUDAG_PEER_ID_TEXT_MAX];
    (void)state;

    net_start(0, &(struct net_options){0});
    net_start(1, &(struct net_options){0});
    snprintf(good, sizeof(good), "%s", net[0].addr);
    assert_int_equal(qudag_identity_generate(&net[9].id), QUDAG_OK);
    qudag_identity_peer_id(net[9].id, &id);
    qudag_peer_id_text(&id, text);
    snprintf(wrong, sizeof(wrong), "%.*s/p2p/%s", (int)(strstr(net[1].addr, "/p2p/") - net[1].addr),
             net[1].addr, text);
    dead_fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(dead_fd >= 0);
    assert_int_equal(bind(dead_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(dead_fd, (struct sockaddr *)&a, &len), 0);
    snprintf(dead_listen, sizeof(dead_listen), "/ip4/127.0.0.1/udp/%u/quic-v1", ntohs(a.sin_port));
    snprintf(dead, sizeof(dead), "%s/p2p/%s", dead_listen, text);
    return 0;
}

static void bad_bootstrap_peers_are_not_counted(void **state)
{
    struct net_options o = {.bootstrap = {wrong, dead, good}, .n_bootstrap = 3};
    struct peer *p = &net[2];
    uint32_t most = 0, of = 0;
    (void)state;

    net_start(2, &o);
    double end = net_now() + 12; /* the silent one takes 10 s to be given up */
    while (net_now() < end) {
        net_turn();
        if (p->phases[QUDAG_PHASE_LOOKUP] == 0 && p->phase == QUDAG_PHASE_DIAL) {
            most = p->phase_a > most ? p->phase_a : most;
            of = p->phase_b;
        }
    }
    assert_int_equal(of, 3);
    assert_true(most <= 1);
    assert_int_equal(p->phases[QUDAG_PHASE_FAILED], 0); /* one was enough */
    assert_true(p->phases[QUDAG_PHASE_LOOKUP] > 0);
    assert_int_equal(net_links(p, &net[0]), 1);
    assert_int_equal(net_links(p, &net[9]), 0);
    qudag_peer_id id;
    size_t it = 0, n = 0;
    while (qudag_dht_table_next(p->node, &it, &id)) {
        assert_memory_equal(&id, &net[0].self, sizeof(id)); /* who did not prove it is not there */
        n++;
    }
    assert_int_equal(n, 1);
}

static void when_no_peer_answers_bootstrap_fails_and_is_retried(void **state)
{
    struct net_options o = {.bootstrap = {dead}, .n_bootstrap = 1};
    struct net_options strange = {.bootstrap = {wrong}, .n_bootstrap = 1};
    struct peer *p = &net[3];
    (void)state;

    double t = net_now();
    net_start(3, &o);
    net_start(4, &strange);
    NET_WAIT(net[4].phases[QUDAG_PHASE_FAILED] == 1, 8); /* that one answers at once, as another */
    assert_int_equal(net[4].phase_err, QUDAG_EAUTH);
    NET_WAIT(p->phases[QUDAG_PHASE_FAILED] == 1, 30);
    print_message("bootstrap failed after %.1f s\n", net_now() - t);
    assert_int_equal(p->phase_err, QUDAG_EBOOTSTRAP);
    assert_int_equal(qudag_err_category(p->phase_err), QUDAG_CAT_RETRY);
    assert_int_equal(p->phases[QUDAG_PHASE_LOOKUP], 0);
    assert_int_equal(p->phases[QUDAG_PHASE_READY], 0);
    assert_int_equal(net_stat(p, "kad_table"), 0);
    NET_WAIT(p->phases[QUDAG_PHASE_DIAL] > 1, NET_SOON); /* begun again, after 2 s with jitter */
    /* the DHT says so too, instead of "not found" */
    net_ask(p, qudag_dht_get(p->node, net_text("/app/key"), &p->last));
    assert_int_not_equal(p->err, QUDAG_OK);
    assert_int_not_equal(p->err, QUDAG_ENOTFOUND);
}

static void it_joins_by_itself_when_a_bootstrap_peer_comes_up(void **state)
{
    struct net_options late = {.listen = dead_listen, .bootstrap = {good}, .n_bootstrap = 1};
    struct peer *p = &net[3];
    (void)state;

    close(dead_fd);
    dead_fd = -1;
    double t = net_now();
    net_start(9, &late);
    NET_WAIT(p->phases[QUDAG_PHASE_LOOKUP] > 0, 30);
    print_message("joined %.1f s after its bootstrap peer came up\n", net_now() - t);
    NET_WAIT(net_stat(p, "kad_table") >= 2, NET_SOON);
    assert_true(net_links(p, &net[9]) > 0);
}

static int stop(void **state)
{
    if (dead_fd >= 0) {
        close(dead_fd);
    }
    return net_stop_all(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_bootstrap_peers_are_not_counted),
        cmocka_unit_test(when_no_peer_answers_bootstrap_fails_and_is_retried),
        cmocka_unit_test(it_joins_by_itself_when_a_bootstrap_peer_comes_up),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
