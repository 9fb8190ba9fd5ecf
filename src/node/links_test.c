/* links_test.c - what a node concludes from links that end: only silence says anything of the peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/relays/relays_impl.h"
#include "node/internal.h"
#include "node/testkit_case.h"

/* Node 0 hears that its last link with node 1 has ended with |err|. */
static void ends(qudag_err err)
{
    struct node *n = net.node[0].node;
    const struct node_core *links = &n->core[n->ix.links];
    const struct ev ev = {.type = EV_PEER_DOWN, .peer = &net.node[1].peer, .err = err};

    n->news = 0;
    n->now = net.now;
    links->ops->event(links->instance, &ev, net.now, &n->acts);
}

static uint32_t failures(void)
{
    const struct relays_entry *x = relays_find(net.node[0].node->relays, &net.node[1].peer);

    assert_non_null(x);
    return x->failures;
}

/* Our own close, or the peer's, is no failure of the relay: else whoever closes links chooses our paths. */
static void only_silence_counts_against_a_relay(void **state)
{
    static const qudag_err others[] = {QUDAG_OK, QUDAG_ECLOSED, QUDAG_ECANCELED, QUDAG_ELIMIT};
    struct node *n;
    (void)state;

    nt_join(5);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    n = net.node[0].node;
    uint32_t before = failures();
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        ends(others[i]);
        assert_int_equal(failures(), before);
        assert_int_equal(n->news & NODE_NEWS_SILENCE, 0);
    }
    ends(QUDAG_ETIMEOUT);
    assert_int_equal(failures(), before + 1);        /* no path leads over it for a while ... */
    assert_true((n->news & NODE_NEWS_SILENCE) != 0); /* ... and whoever waits for a network looks */
}

/* Whoever dialled us and is in the DHT near us, and the guard, count as that, and not as strangers. */
static void links_stand_by_what_their_peers_are(void **state)
{
    struct swarm_look look;
    unsigned near = 0, guards = 0, others = 0;
    struct peer_id guard;
    (void)state;

    nt_join(5);
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    for (size_t i = 0; i < 5; i++) {
        const struct node *n = net.node[i].node;
        bool has = relays_guard(n->relays, &guard);
        for (size_t it = 0; swarm_link_next(n->swarm, &it, &look, net.now);) {
            if (look.state != SWARM_LINK_UP) {
                continue;
            }
            bool is_guard = has && peer_id_eq(&look.info.peer, &guard);
            assert_int_equal(look.standing == RES_GUARD, is_guard);
            guards += is_guard ? 1 : 0;
            near += look.standing == RES_NEAR ? 1 : 0;
            others += look.standing < RES_CHOSEN ? 1 : 0;
        }
    }
    assert_true(near > 0);
    assert_int_equal(others, 0); /* five nodes are all near each other */
    print_message("%u near, %u guards\n", near, guards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(only_silence_counts_against_a_relay),
        NT_TEST(links_stand_by_what_their_peers_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
