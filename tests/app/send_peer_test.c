/*
 * send_peer_test.c - messages and files to a named peer, over links: who is received, what a limited relay lets pass,
 * and the move from a relayed link to a direct one.
 *
 * TEST: timeout=240 waits
 */
#include "../api/net.h"
#include "api/internal.h"
#include "node/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOWHERE "/ip4/127.0.0.9/udp/9/quic-v1" /* what A and B say of themselves: nobody is there */
#define R 0
#define A 1
#define B 2

static char dir[] = "/tmp/qudag-send-peer-XXXXXX", inbox[64], file[64];

/* How the last delivery stands, and whether it ended. */
static struct {
    qudag_send s;
    qudag_send_info info;
    bool ended, was_relayed, was_direct;
} out;
static struct {
    unsigned n;
    qudag_inbox_item last;
} heard;

static void on_changed(qudag_node *n, qudag_send s, const qudag_send_info *info, void *user)
{
    (void)n;
    (void)s;
    (void)user;
    out.info = *info;
    out.was_relayed = out.was_relayed || info->relayed;
    out.was_direct = out.was_direct || info->direct;
    out.ended = info->state == QUDAG_SEND_DELIVERED || info->state == QUDAG_SEND_FAILED;
}

static void on_arrived(qudag_node *n, const qudag_inbox_item *item, void *user)
{
    (void)n;
    (void)user;
    heard.n++;
    heard.last = *item;
}

/* B receives; into a folder of its own each time. */
static void open_inbox(const qudag_peer_id *from, uint64_t n)
{
    qudag_inbox_options o = QUDAG_INIT(qudag_inbox_options);
    char why[QUDAG_INBOX_WHY_MAX];
    static unsigned nth;

    snprintf(inbox, sizeof(inbox), "%s/in%u", dir, ++nth);
    o.dir = inbox;
    o.arrived = on_arrived;
    o.from = from;
    o.n_from = n;
    if (qudag_inbox_open(net[B].node, &o, why, sizeof(why)) != QUDAG_OK) {
        fail_msg("%s", why);
    }
    memset(&heard, 0, sizeof(heard));
}

static qudag_send_options to_peer(size_t to)
{
    qudag_send_options o = QUDAG_INIT(qudag_send_options);

    memset(&out, 0, sizeof(out));
    o.changed = on_changed;
    o.peer = &net[to].self;
    return o;
}

static void message(size_t from, const char *text)
{
    const qudag_send_options o = to_peer(B);

    assert_int_equal(qudag_send_message(net[from].node, NULL, net_text(text), &o, &out.s),
                     QUDAG_OK);
    NET_WAIT(out.ended, 3 * NET_SOON);
}

/* A file of |mib| MiB, which A begins to send to B. */
static void begin_file(size_t mib)
{
    static uint8_t block[1 << 20];
    const qudag_send_options o = to_peer(B);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    for (size_t i = 0; i < mib; i++) {
        memset(block, (int)i + 1, sizeof(block));
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
    }
    close(fd);
    assert_int_equal(qudag_send_file(net[A].node, NULL, file, &o, &out.s), QUDAG_OK);
}

static qudag_err dial(struct peer *p, const char *addr)
{
    net_ask(p, qudag_connect(p->node, addr, &p->last));
    return p->err;
}

/* R passes bytes on with this limit; B has a place there; A is linked with B through R, and |meets| or not. */
static void begin(uint64_t bytes, bool meets)
{
    struct net_options r = {.client = true, .circuit_relay = true};
    struct net_options o = {.client = true, .announce = NOWHERE};
    qudag_place place = QUDAG_INIT(qudag_place);
    size_t it = 0;

    r.circuit_relay_bytes = bytes;
    net_start(R, &r);
    o.bootstrap[0] = net[R].addr;
    o.n_bootstrap = 1;
    net_start(B, &o);
    net_start(A, &o);
    for (size_t i = A; i <= B; i++) {
        net[i].node->node->cfg.meet = meets ? NODE_MEET_NAMED : NODE_MEET_NO;
    }
    assert_int_equal(qudag_relay_reserve(net[B].node, net[R].addr), QUDAG_OK);
    NET_WAIT((it = 0, qudag_place_next(net[B].node, &it, &place)) && place.addr[0] != 0, NET_SOON);
    assert_int_equal(dial(&net[A], place.addr), QUDAG_OK);
}

static void only_who_is_allowed_is_received(void **state)
{
    qudag_send_options o;
    qudag_peer_id id;
    size_t it = 0;
    (void)state;

    begin(0, false);
    assert_int_equal(qudag_inbox_allow(net[B].node, &net[A].self), QUDAG_ESTATE); /* no inbox */
    open_inbox(NULL, 0);
    assert_false(qudag_inbox_allowed_next(net[B].node, &it, &id));
    message(A, "nobody is");
    assert_int_equal(out.info.state, QUDAG_SEND_FAILED);
    assert_int_equal(out.info.end, QUDAG_SEND_END_REFUSED);
    assert_int_equal(qudag_inbox_allow(net[B].node, &net[B].self), QUDAG_EINVAL);
    assert_int_equal(qudag_inbox_disallow(net[B].node, &net[A].self), QUDAG_ENOTFOUND);
    assert_int_equal(qudag_inbox_allow(net[B].node, &net[R].self), QUDAG_OK);
    message(A, "R is");
    assert_int_equal(out.info.end, QUDAG_SEND_END_REFUSED);
    assert_int_equal(heard.n, 0);
    assert_int_equal(qudag_inbox_allow(net[B].node, &net[A].self), QUDAG_OK);
    assert_int_equal(qudag_inbox_allow(net[B].node, &net[A].self), QUDAG_OK); /* once more */
    message(A, "A is");
    assert_int_equal(out.info.state, QUDAG_SEND_DELIVERED);
    assert_true(out.was_relayed && !out.was_direct);
    assert_int_equal(heard.n, 1);
    assert_memory_equal(&heard.last.from, &net[A].self, sizeof(heard.last.from));
    assert_string_equal(heard.last.to, "");
    assert_int_equal(qudag_inbox_disallow(net[B].node, &net[A].self), QUDAG_OK);
    message(A, "not any more");
    assert_int_equal(out.info.end, QUDAG_SEND_END_REFUSED);
    assert_true(qudag_inbox_allowed_next(net[B].node, &it, &id));
    assert_memory_equal(&id, &net[R].self, sizeof(id));
    assert_false(qudag_inbox_allowed_next(net[B].node, &it, &id));

    o = to_peer(A);
    assert_int_equal(qudag_send_message(net[A].node, NULL, net_text("me"), &o, &out.s),
                     QUDAG_EINVAL);
    o = to_peer(B);
    assert_int_equal(qudag_send_message(net[A].node, "x.dark", net_text("both"), &o, &out.s),
                     QUDAG_EINVAL);
    o.peer = NULL;
    assert_int_equal(qudag_send_message(net[A].node, NULL, net_text("neither"), &o, &out.s),
                     QUDAG_EINVAL);
}

static void a_file_passes_through_a_relay_that_ends_each_link(void **state)
{
    (void)state;

    begin(400000, false);
    open_inbox(&net[A].self, 1);
    begin_file(2);
    NET_WAIT(out.ended, 6 * NET_SOON);
    assert_int_equal(out.info.state, QUDAG_SEND_DELIVERED);
    assert_true(out.info.attempts > 4);
    assert_true(net_stat(&net[R], "circuit_relay_limited") >= 4);
    assert_int_equal(heard.n, 1);
    assert_int_equal(heard.last.bytes, 2 << 20);
}

static void moved(void)
{
    NET_WAIT(out.ended, 6 * NET_SOON);
    assert_int_equal(out.info.state, QUDAG_SEND_DELIVERED);
    assert_true(out.was_relayed && out.was_direct);
    assert_int_equal(heard.n, 1);
    assert_true(net_stat(&net[R], "circuit_relay_bytes") < 64u << 20);
}

static void a_file_moves_to_the_direct_link(void **state)
{
    (void)state;

    begin(0, false);
    open_inbox(&net[A].self, 1);
    begin_file(64);
    NET_WAIT(out.info.acked >= 2u << 20, 3 * NET_SOON);
    assert_true(out.was_relayed && !out.was_direct);
    net_ask(&net[A], qudag_connect(net[A].node, net[B].addr, &net[A].last));
    assert_int_equal(net[A].err, QUDAG_OK);
    moved();
    assert_int_equal(out.info.moves, 1);
    assert_true(out.info.resumed >= 1u << 20); /* nothing is sent twice but what was on its way */
}

static void a_file_moves_to_a_direct_link_that_the_nodes_find(void **state)
{
    (void)state;

    begin(0, true);
    open_inbox(&net[A].self, 1);
    begin_file(64);
    moved();
}

static int end_of_test(void **state)
{
    return net_stop_all(state);
}

static int begin_tests(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/file", dir);
    return 0;
}

/* Removes what lies in |path|, folders of folders too. */
static void clear(const char *path)
{
    char at[600];
    const struct dirent *e;
    DIR *list = opendir(path);

    while (list != NULL && (e = readdir(list)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            snprintf(at, sizeof(at), "%.300s/%.255s", path, e->d_name);
            if (unlink(at) != 0) {
                clear(at);
            }
        }
    }
    if (list != NULL) {
        closedir(list);
    }
    (void)rmdir(path);
}

static int end_tests(void **state)
{
    (void)state;
    clear(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(only_who_is_allowed_is_received, end_of_test),
        cmocka_unit_test_teardown(a_file_passes_through_a_relay_that_ends_each_link, end_of_test),
        cmocka_unit_test_teardown(a_file_moves_to_the_direct_link, end_of_test),
        cmocka_unit_test_teardown(a_file_moves_to_a_direct_link_that_the_nodes_find, end_of_test),
    };
    return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
