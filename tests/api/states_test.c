/*
 * states_test.c - a program sees each step of each link once, in order, and why it ended.
 *
 * TEST: waits
 */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEPS_MAX 32

struct step {
    qudag_link_state state;
    qudag_link_why why;
    uint64_t link;
    bool inbound;
    char remote[72];
    qudag_peer_id peer;
};
static struct seen {
    qudag_node *node;
    qudag_identity *id;
    struct step step[STEPS_MAX];
    size_t n;
    char addr[QUDAG_ADDR_TEXT_MAX];
    bool done;
} seen[2];

static void on_link(qudag_node *n, const qudag_link_event *e, void *user)
{
    struct seen *s = user;
    (void)n;

    assert_true(s->n < STEPS_MAX);
    assert_string_equal(e->transport, "quic");
    struct step *at = &s->step[s->n++];
    *at = (struct step){e->state, e->why, e->link, e->inbound, "", e->peer};
    (void)snprintf(at->remote, sizeof(at->remote), "%s", e->remote);
}

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    struct seen *s = user;
    (void)n, (void)op, (void)err, (void)res;
    s->done = true;
}

static int start(void **state)
{
    static const char *const listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    const qudag_callbacks cb = {.size = sizeof(cb), .link_changed = on_link, .op_done = on_done};
    (void)state;

    memset(seen, 0, sizeof(seen));
    for (size_t i = 0; i < 2; i++) {
        qudag_settings s;
        size_t it = 0;
        QUDAG_SETTINGS_INIT(&s);
        assert_int_equal(qudag_identity_generate(&seen[i].id), QUDAG_OK);
        s.identity = seen[i].id;
        s.listen = listen;
        s.listen_n = 1;
        s.lab = true;
        s.relay = s.dht_server = false;
        s.handshake_timeout = QUDAG_S;
        assert_int_equal(qudag_node_new(&seen[i].node, &s, &cb, &seen[i]), QUDAG_OK);
        assert_true(qudag_node_addr_next(seen[i].node, &it, seen[i].addr));
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        qudag_node_free(seen[i].node);
        qudag_identity_free(seen[i].id);
    }
    return 0;
}

/* Runs both until |s| has seen |n| steps. */
static void until(const struct seen *s, size_t n)
{
    double end = net_now() + NET_SOON;

    while (s->n < n && net_now() < end) {
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(qudag_node_step(seen[i].node, 2 * QUDAG_MS), QUDAG_OK);
        }
    }
    assert_int_equal(s->n, n);
}

static void are(const struct seen *s, const qudag_link_state *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(s->step[i].state, want[i]);
        assert_int_equal(s->step[i].link, s->step[0].link);
        assert_true(s->step[i].remote[0] != 0);
        assert_int_equal(s->step[i].why != QUDAG_WHY_NONE, want[i] >= QUDAG_LINK_CLOSING);
    }
}

static void both_ends_see_each_step_once_and_who_ended_it(void **state)
{
    static const qudag_link_state dialled[] = {QUDAG_LINK_CONNECTING, QUDAG_LINK_HANDSHAKING,
                                               QUDAG_LINK_UP, QUDAG_LINK_CLOSING, QUDAG_LINK_DOWN};
    qudag_peer_id id[2];
    qudag_op op;
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        qudag_node_peer_id(seen[i].node, &id[i]);
    }
    assert_int_equal(qudag_connect(seen[0].node, seen[1].addr, &op), QUDAG_OK);
    until(&seen[1], 1);
    until(&seen[0], 3);
    assert_int_equal(qudag_disconnect(seen[0].node, &id[1]), QUDAG_OK);
    until(&seen[0], 5);
    until(&seen[1], 3);
    are(&seen[0], dialled, 5);
    are(&seen[1], dialled + 2, 3);
    for (size_t i = 0; i < 5; i++) {
        assert_false(seen[0].step[i].inbound);
        assert_memory_equal(&seen[0].step[i].peer, &id[1], sizeof(id[1]));
    }
    assert_true(seen[1].step[0].inbound);
    assert_memory_equal(&seen[1].step[0].peer, &id[0], sizeof(id[0]));
    assert_int_equal(seen[0].step[4].why, QUDAG_WHY_HERE);
    assert_int_equal(seen[1].step[2].why, QUDAG_WHY_PEER);
}

static void a_dial_that_nobody_answers_is_seen_and_ends_by_timeout(void **state)
{
    static const qudag_link_state failed[] = {QUDAG_LINK_CONNECTING, QUDAG_LINK_DOWN};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    qudag_link_info info = QUDAG_INIT(qudag_link_info);
    char addr[96];
    size_t it = 0;
    qudag_op op;
    (void)state;

    assert_return_code(bind(fd, (const struct sockaddr *)&a, sizeof(a)), errno);
    assert_return_code(getsockname(fd, (struct sockaddr *)&a, &len), errno);
    (void)snprintf(addr, sizeof(addr), "/ip4/127.0.0.1/udp/%u/quic-v1", ntohs(a.sin_port));
    assert_int_equal(qudag_connect(seen[0].node, addr, &op), QUDAG_OK);
    until(&seen[0], 1);
    assert_true(qudag_link_next(seen[0].node, &it, &info));
    assert_int_equal(info.state, QUDAG_LINK_CONNECTING);
    assert_string_equal(info.remote, seen[0].step[0].remote);
    assert_false(qudag_link_next(seen[0].node, &it, &info));
    until(&seen[0], 2);
    are(&seen[0], failed, 2);
    assert_int_equal(seen[0].step[1].why, QUDAG_WHY_TIMEOUT);
    close(fd);
}

static void a_dial_to_a_closed_port_ends_for_the_network(void **state)
{
    qudag_op op;
    (void)state;

    assert_int_equal(qudag_connect(seen[0].node, "/ip4/127.0.0.1/udp/9/quic-v1", &op), QUDAG_OK);
    until(&seen[0], 2);
    assert_int_equal(seen[0].step[1].state, QUDAG_LINK_DOWN);
    assert_int_equal(seen[0].step[1].why, QUDAG_WHY_NETWORK);
}

static void another_peer_than_expected_ends_for_authentication(void **state)
{
    char addr[QUDAG_ADDR_TEXT_MAX], self[QUDAG_PEER_ID_TEXT_MAX] = "";
    qudag_identity *other;
    qudag_peer_id id;
    qudag_op op;
    (void)state;

    assert_int_equal(qudag_identity_generate(&other), QUDAG_OK);
    qudag_identity_peer_id(other, &id);
    qudag_peer_id_text(&id, self);
    qudag_identity_free(other);
    (void)snprintf(addr, sizeof(addr), "%.*s/p2p/%s",
                   (int)(strstr(seen[1].addr, "/p2p/") - seen[1].addr), seen[1].addr, self);
    assert_int_equal(qudag_connect(seen[0].node, addr, &op), QUDAG_OK);
    until(&seen[0], 3);
    assert_int_equal(seen[0].step[1].state, QUDAG_LINK_HANDSHAKING);
    assert_int_equal(seen[0].step[2].state, QUDAG_LINK_DOWN);
    assert_int_equal(seen[0].step[2].why, QUDAG_WHY_AUTH);
    assert_int_equal(seen[1].n, 0);
    assert_string_equal(qudag_link_why_name(QUDAG_WHY_AUTH), "auth");
    assert_string_equal(qudag_link_why_name((qudag_link_why)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ends_see_each_step_once_and_who_ended_it, start, stop),
        cmocka_unit_test_setup_teardown(a_dial_that_nobody_answers_is_seen_and_ends_by_timeout,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_dial_to_a_closed_port_ends_for_the_network, start, stop),
        cmocka_unit_test_setup_teardown(another_peer_than_expected_ends_for_authentication, start,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
