/*
 * partition_test.c - acceptance case of a network that falls in two and heals: each half goes on,
 * and after the cut is over values of either half are read in the other.
 *
 * The cut is real to the nodes: sendmsg() is taken over, and what would cross it is lost.
 *
 * TEST: timeout=120 waits
 */
#include "net.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODES 8
#define HALF 4
#define IDLE_S 5

static bool cut;
static uint64_t lost;
static uint16_t port_of[NODES]; /* network order */

static int side(uint16_t port)
{
    for (int i = 0; i < NODES; i++) {
        if (port_of[i] == port) {
            return i < HALF ? 0 : 1;
        }
    }
    return 2;
}

/* Instead of the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    if (cut && m->msg_name != NULL) {
        struct sockaddr_in from = {0}, to;
        socklen_t len = sizeof(from);
        memcpy(&to, m->msg_name, sizeof(to));
        (void)getsockname(fd, (struct sockaddr *)&from, &len);
        if (side(from.sin_port) != side(to.sin_port)) {
            ssize_t n = 0;
            for (size_t i = 0; i < m->msg_iovlen; i++) {
                n += (ssize_t)m->msg_iov[i].iov_len;
            }
            lost++;
            return n;
        }
    }
    return (ssize_t)syscall(SYS_sendmsg, fd, m, flags);
}

static int grow(void **state)
{
    (void)state;
    net_grow(NODES, &(struct net_options){.idle_timeout = IDLE_S * QUDAG_S});
    for (int i = 0; i < NODES; i++) {
        port_of[i] = htons((uint16_t)strtoul(strstr(net[i].addr, "/udp/") + 5, NULL, 10));
    }
    return 0;
}

static size_t links_across(void)
{
    size_t n = 0;
    for (size_t i = 0; i < HALF; i++) {
        for (size_t k = HALF; k < NODES; k++) {
            n += net_links(&net[i], &net[k]) + net_links(&net[k], &net[i]);
        }
    }
    return n;
}

static void put(struct peer *p, const char *key)
{
    net_ask(p, qudag_dht_put(p->node, net_text(key), net_text(key), &p->last));
    print_message("put %s: %s, stored by %zu\n", key, qudag_strerror(p->err), p->n_stored);
}

static void get(struct peer *p, const char *key)
{
    net_ask(p, qudag_dht_get(p->node, net_text(key), &p->last));
    if (p->err == QUDAG_OK) {
        assert_int_equal(p->value_len, strlen(key));
        assert_memory_equal(p->value, key, p->value_len);
    }
}

static void what_was_stored_before_is_read_in_both_halves(void **state)
{
    (void)state;
    put(&net[1], "/app/before");
    assert_int_equal(net[1].err, QUDAG_OK);
    assert_true(links_across() > 0);
    cut = true;
    NET_WAIT(links_across() == 0, 3 * IDLE_S);
    assert_true(lost > 0);
    get(&net[2], "/app/before");
    assert_int_equal(net[2].err, QUDAG_OK);
    get(&net[HALF + 2], "/app/before");
    assert_int_equal(net[HALF + 2].err, QUDAG_OK);
}

static void each_half_stores_and_finds_its_own(void **state)
{
    (void)state;
    put(&net[1], "/app/left");
    put(&net[HALF + 1], "/app/right");
    get(&net[3], "/app/left");
    assert_int_equal(net[3].err, QUDAG_OK);
    get(&net[HALF + 3], "/app/right");
    assert_int_equal(net[HALF + 3].err, QUDAG_OK);
    for (size_t i = 0; i < NODES; i++) {
        qudag_dht_record r = QUDAG_INIT(qudag_dht_record);
        const char *not_here = i < HALF ? "/app/right" : "/app/left";
        size_t it = 0;
        while (qudag_dht_record_next(net[i].node, &it, &r)) {
            assert_false(r.key.len == strlen(not_here) &&
                         memcmp(r.key.base, not_here, r.key.len) == 0);
        }
    }
}

static void after_healing_each_half_reads_the_others(void **state)
{
    (void)state;
    cut = false;
    double t = net_now(), end = t + 60;
    bool left = false, right = false;
    while (!(left && right) && net_now() < end) {
        get(&net[HALF + 1], "/app/left");
        left = left || net[HALF + 1].err == QUDAG_OK;
        get(&net[2], "/app/right");
        right = right || net[2].err == QUDAG_OK;
        double until = net_now() + 0.5;
        while (net_now() < until) {
            net_turn();
        }
    }
    print_message("healed after %.1f s (%s, %s); %zu links across\n", net_now() - t,
                  left ? "left read" : "left not read", right ? "right read" : "right not read",
                  links_across());
    assert_true(left && right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_stored_before_is_read_in_both_halves),
        cmocka_unit_test(each_half_stores_and_finds_its_own),
        cmocka_unit_test(after_healing_each_half_reads_the_others),
    };
    return cmocka_run_group_tests(tests, grow, net_stop_all);
}
