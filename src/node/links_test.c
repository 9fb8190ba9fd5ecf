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

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(only_silence_counts_against_a_relay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
