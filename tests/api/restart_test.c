/*
 * restart_test.c - a node that is killed and started again at once, with the same identity and address,
 * is taken back by its neighbours.
 *
 * TEST: timeout=120 waits
 */
#include "net.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define STAYING 3  /* nodes 0..2 live in this process */
#define KILLED 3   /* and this one in a process of its own */
#define RESTARTS 5 /* more than links a peer may have */
#define LIFE_MS 700

static char addr[QUDAG_ADDR_TEXT_MAX];

static pid_t start_child(void)
{
    struct net_options o = {.bootstrap = {net[0].addr, net[1].addr, net[2].addr},
                            .n_bootstrap = STAYING,
                            .listen = addr[0] != '\0' ? addr : NULL};
    int fd[2];

    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        net_start(KILLED, &o);
        if (write(fd[1], net[KILLED].addr, sizeof(addr)) != sizeof(addr)) {
            _exit(1);
        }
        for (double end = net_now() + 100; net_now() < end;) {
            (void)!qudag_node_step(net[KILLED].node, 10 * QUDAG_MS);
        }
        _exit(0);
    }
    assert_int_equal(read(fd[0], addr, sizeof(addr)), sizeof(addr));
    char *peer = strstr(addr, "/p2p/"); /* a listening address names no peer */
    if (peer != NULL) {
        *peer = '\0';
    }
    (void)close(fd[0]);
    (void)close(fd[1]);
    return child;
}

static bool in_table(const struct peer *of)
{
    qudag_peer_id id;
    size_t it = 0;

    while (qudag_dht_table_next(of->node, &it, &id)) {
        if (memcmp(&id, &net[KILLED].self, sizeof(id)) == 0) {
            return true;
        }
    }
    return false;
}

static size_t tables_with_it(void)
{
    size_t n = 0;

    for (size_t i = 0; i < STAYING; i++) {
        n += in_table(&net[i]);
    }
    return n;
}

/* Links with it and nothing but the living ones: a dead one is asked and ends. */
static bool linked_once(void)
{
    for (size_t i = 0; i < STAYING; i++) {
        size_t n = net_links(&net[i], &net[KILLED]);
        if (n == 0 || n > 2) { /* both may have dialled */
            return false;
        }
    }
    return true;
}

static void wait_ms(unsigned ms)
{
    for (double end = net_now() + ms / 1e3; net_now() < end;) {
        net_turn();
    }
}

static void a_node_killed_and_restarted_at_once_is_taken_back(void **state)
{
    struct net_options o = {.n_bootstrap = 0};
    (void)state;

    for (size_t i = 0; i < STAYING; i++) { /* too few relays for READY */
        net_start(i, &o);
        o.bootstrap[o.n_bootstrap++] = net[i].addr;
    }
    assert_int_equal(qudag_identity_generate(&net[KILLED].id), QUDAG_OK);
    qudag_identity_peer_id(net[KILLED].id, &net[KILLED].self);
    pid_t child = start_child();
    NET_WAIT(tables_with_it() == STAYING, 20);
    for (int i = 0; i < RESTARTS; i++) {
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        child = start_child();
        wait_ms(LIFE_MS);
    }
    double began = net_now();
    NET_WAIT(linked_once() && tables_with_it() == STAYING, 15);
    print_message("taken back by all after %.1f s\n", net_now() - began);
    for (size_t i = 0; i < STAYING; i++) {
        net_ask(&net[i], qudag_ping(net[i].node, &net[KILLED].self, &net[i].last));
        assert_int_equal(net[i].err, QUDAG_OK);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_killed_and_restarted_at_once_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, net_stop_all);
}
