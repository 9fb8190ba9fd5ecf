/* extra_test.c - sockets that come and go while the loop runs, over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/io.h"
#include "io/udp.h"
#include "node/internal.h"

#include <sys/resource.h>

static struct side {
    struct mem mem;
    struct identity id;
    struct peer_id peer;
    struct io *io;
    struct node *node;
    struct netaddr at;
} side[2];

static qudag_err on_open(void *ctx, uint8_t family, struct netaddr *local)
{
    const struct side *s = ctx;

    return io_socket_open(s->io, family, local);
}

static void on_close(void *ctx, const struct netaddr *local)
{
    const struct side *s = ctx;

    io_socket_close(s->io, local);
}

static void no_phase(void *ctx, enum node_phase p, uint32_t a, uint32_t b, qudag_err err)
{
    (void)ctx;
    (void)p;
    (void)a;
    (void)b;
    (void)err;
}

static void no_op(void *ctx, struct ref op, qudag_err err, const struct node_result *res)
{
    (void)ctx;
    (void)op;
    (void)err;
    (void)res;
}

static qudag_err no_save(void *ctx, const char *name, struct slice bytes)
{
    (void)ctx;
    (void)name;
    (void)bytes;
    return QUDAG_OK;
}

static void begin(struct side *s)
{
    const struct netaddr listen = {.family = 4, .ip = {127, 0, 0, 1}};
    const struct node_hooks hooks = {.ctx = s,
                                     .phase = no_phase,
                                     .op_done = no_op,
                                     .save = no_save,
                                     .socket_open = on_open,
                                     .socket_close = on_close};
    struct node_config c = {.mem = &s->mem,
                            .rng = io_rng(),
                            .clock = {io_wall(), io_now()},
                            .identity = &s->id,
                            .level = 768,
                            .dht_protocol = KAD_PROTOCOL,
                            .agent = "test",
                            .links_max = 64,
                            .circuits_max = 64,
                            .times.idle = 300 * NS_PER_S,
                            .hops = 3,
                            .lab = true,
                            .small_network = true};
    struct io_failure why;
    struct multiaddr ma;

    mem_init(&s->mem, NULL, 0);
    assert_int_equal(identity_generate(&s->id, &c.rng), QUDAG_OK);
    peer_id_from_ed25519(&s->peer, s->id.ed_pk);
    assert_int_equal(io_new(&s->io, NULL, &listen, 1, &why), QUDAG_OK);
    assert_int_equal(io_addrs(s->io, &s->at, 1), 1);
    assert_int_equal(node_new(&s->node, &c, &hooks, io_now()), QUDAG_OK);
    io_attach(s->io, s->node);
    multiaddr_quic(&ma, &s->at, NULL);
    node_set_addrs(s->node, &ma, 1);
    node_start(s->node);
}

static int setup(void **state)
{
    (void)state;
    begin(&side[0]);
    begin(&side[1]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        node_shutdown(side[i].node, io_now());
        io_shutdown(side[i].io);
        node_free(side[i].node);
        io_attach(side[i].io, NULL);
        io_free(side[i].io);
        identity_fini(&side[i].id);
        if (side[i].mem.used != 0) {
            return -1;
        }
    }
    return 0;
}

static void run(uint64_t ms)
{
    tstamp until = io_now() + ms * NS_PER_MS;

    while (io_now() < until) {
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(io_step(side[i].io, NS_PER_MS), QUDAG_OK);
        }
    }
}

/* Links of side 1 that are up and come from |port|. */
static unsigned links_from(uint16_t port)
{
    struct swarm_look look;
    struct netaddr at;
    unsigned n = 0;

    for (size_t it = 0; swarm_link_next(side[1].node->swarm, &it, &look, io_now());) {
        n += look.state == SWARM_LINK_UP && multiaddr_direct(&look.info.remote, &at) &&
                     at.port == port
                 ? 1
                 : 0;
    }
    return n;
}

static struct {
    unsigned n;
    struct netaddr local, remote;
} taken;

static bool take(struct node *n, const struct node_datagram_in *d, tstamp now)
{
    (void)n;
    (void)now;
    taken.n++;
    taken.local = d->local;
    taken.remote = d->remote;
    return true;
}

static void datagrams_come_and_go_over_them(void **state)
{
    struct node *a = side[0].node, *b = side[1].node;
    const struct stun_msg m = {.class = STUN_INDICATION, .fingerprint = true};
    uint8_t p[64];
    const struct slice msg = {p, stun_write(p, sizeof p, &m, (struct slice){NULL, 0})};
    struct netaddr from, to;

    (void)state;
    b->datagrams.takers = 0;
    taken.n = 0;
    assert_int_equal(node_datagrams_take(b, NODE_DATAGRAM_STUN, take), QUDAG_OK);
    assert_int_equal(node_socket_open(a, 4, &from), QUDAG_OK);
    assert_int_equal(node_socket_open(b, 4, &to), QUDAG_OK);
    assert_int_equal(from.ip[0], 127);
    assert_int_not_equal(from.port, side[0].at.port);
    assert_true(node_datagram(a, &from, &to, msg));
    run(100);
    assert_int_equal(taken.n, 1);
    assert_true(netaddr_eq(&taken.remote, &from));
    assert_true(netaddr_eq(&taken.local, &to));
    node_socket_release(b, &to);
    assert_int_equal(io_sockets(side[1].io), 0);
    assert_true(node_datagram(a, &from, &to, msg)); /* nobody is there: ICMP says so */
    run(100);
    assert_true(node_datagram(a, &from, &side[1].at, msg)); /* and the socket works as before */
    run(100);
    assert_int_equal(taken.n, 2);
    assert_true(netaddr_eq(&taken.remote, &from));
    assert_true(node_datagram(a, &from, &side[1].at, msg));
    node_socket_release(a, &from); /* what waits for it is lost, and leaves from no other */
    run(100);
    assert_int_equal(taken.n, 2);
    assert_int_equal(io_sockets(side[0].io), 0);
}

static void a_link_runs_over_one_and_keeps_it(void **state)
{
    struct node *a = side[0].node;
    struct netaddr from;
    struct multiaddr ma;
    const struct transport_target t = {.addr = &ma, .peer = &side[1].peer, .local = &from};

    (void)state;
    multiaddr_quic(&ma, &side[1].at, NULL);
    assert_int_equal(node_socket_open(a, 4, &from), QUDAG_OK);
    assert_int_equal(swarm_dial_out(a->swarm, a->core[a->ix.ping].swarm_ix, 0, &t, io_now()),
                     QUDAG_OK);
    run(500);
    assert_int_equal(links_from(from.port), 1);
    node_socket_release(a, &from);
    run(1500);
    assert_int_equal(io_sockets(side[0].io), 1);
    /* the machine has the same addresses as before, and others: the link stays */
    const struct swarm_moved m = {.n_have = 1, .have = &side[0].at};
    node_moved(a, &m, io_now());
    run(100);
    assert_int_equal(links_from(from.port), 1);
    node_disconnect(a, &side[1].peer);
    run(2500);
    assert_int_equal(io_sockets(side[0].io), 0);
}

static void descriptors_are_left_for_others(void **state)
{
    struct rlimit before, few;
    struct netaddr at[NODE_SOCKETS_MAX], more;
    size_t n = 0;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 128;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < NODE_SOCKETS_MAX && io_socket_open(side[0].io, 4, &at[n]) == QUDAG_OK) {
        n++;
    }
    assert_int_equal(io_socket_open(side[0].io, 4, &more), QUDAG_ELIMIT);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(n > 32 && n < 96);
    for (size_t i = 0; i < n; i++) {
        io_socket_close(side[0].io, &at[i]);
        io_socket_close(side[0].io, &at[i]); /* harmless */
    }
    assert_int_equal(io_sockets(side[0].io), 0);
    io_socket_close(side[0].io, &side[0].at); /* what is listened on is no such socket */
    assert_int_equal(io_socket_open(side[0].io, 6, &more), QUDAG_EUNSUPPORTED);
    run(10);
}

static void there_are_so_many_and_no_more(void **state)
{
    struct netaddr at[NODE_SOCKETS_MAX], more;

    (void)state;
    for (size_t i = 0; i < NODE_SOCKETS_MAX; i++) {
        assert_int_equal(io_socket_open(side[0].io, 4, &at[i]), QUDAG_OK);
    }
    assert_int_equal(io_socket_open(side[0].io, 4, &more), QUDAG_ELIMIT);
    run(10); /* the end closes them */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(datagrams_come_and_go_over_them, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_runs_over_one_and_keeps_it, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_are_left_for_others, setup, teardown),
        cmocka_unit_test_setup_teardown(there_are_so_many_and_no_more, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
