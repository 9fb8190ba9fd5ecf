/* arrow_find_peers_test.c - opens to peers that are looked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#include <string.h>

static const struct node_core *finds(const struct node *n)
{
    unsigned i = 0;

    while (strcmp(n->core[i].name, "finds") != 0) {
        i++;
        assert_true(i < n->n_cores);
    }
    return &n->core[i];
}

/* Somebody whom nobody knows. */
static struct peer_id stranger(uint8_t k)
{
    struct secret_ed25519 sk = {.seed = {k, 77}};
    uint8_t pk[ED25519_PK_LEN];
    struct peer_id p;

    assert_int_equal(ed25519_public(pk, &sk), QUDAG_OK);
    peer_id_from_ed25519(&p, pk);
    return p;
}

static void comes_up(struct node *n, const struct peer_id *peer)
{
    const struct node_core *c = finds(n);
    const struct ev ev = {.type = EV_PEER_UP, .peer = peer};

    c->ops->event(c->instance, &ev, net.now, node_begin(n));
    node_end(n, n->ix.ping);
}

/* Of two that came up at once the first one's had to wait until its search was over. */
static void all_that_come_up_at_once_are_opened(void **state)
{
    struct peer_id peer[3];
    (void)state;

    nt_join(3);
    struct node *n = net.node[0].node;
    const struct node_core *c = finds(n);
    for (uint8_t k = 0; k < 3; k++) {
        peer[k] = stranger(k);
        struct act a = {.type = ACT_OPEN, .peer = peer[k]};
        assert_true(node_find_holds(n, n->ix.ping, &a, ping_ops.protocol));
    }
    assert_int_equal(n->finds.n_held, 3);
    comes_up(n, &net.node[1].peer); /* nobody waits for that one */
    assert_int_equal(c->ops->deadline(c->instance) == 0, 0);
    comes_up(n, &peer[1]);
    comes_up(n, &peer[0]);
    comes_up(n, &net.node[1].peer);
    assert_int_equal(c->ops->deadline(c->instance), 0);
    c->ops->tick(c->instance, net.now, node_begin(n));
    node_end(n, n->ix.ping);
    assert_int_equal(n->finds.n_held, 1);
    assert_int_equal(c->ops->deadline(c->instance) == 0, 0);
    assert_true(nt_run(&net, 60 * NS_PER_S, NULL) || n->finds.n_held == 0);
    assert_int_equal(n->finds.n_held, 0);
}

/* What comes then had no end to its wait but that of the lookup. */
static void nobody_begins_to_wait_for_a_search_whose_time_is_over(void **state)
{
    (void)state;

    nt_join(3);
    struct node *n = net.node[0].node;
    const struct node_core *c = finds(n);
    struct act a = {.type = ACT_OPEN, .peer = stranger(9)};
    assert_true(node_find_holds(n, n->ix.ping, &a, ping_ops.protocol));
    tstamp over = c->ops->deadline(c->instance);
    assert_int_equal(over, n->now + 20 * NS_PER_S);
    c->ops->tick(c->instance, over, node_begin(n));
    node_end(n, n->ix.ping);
    assert_int_equal(n->finds.n_held, 0);
    assert_false(node_find_holds(n, n->ix.ping, &a, ping_ops.protocol));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_true(node_find_holds(n, n->ix.ping, &a, ping_ops.protocol)); /* a new one */
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(n->finds.n_held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(all_that_come_up_at_once_are_opened),
        NT_TEST(nobody_begins_to_wait_for_a_search_whose_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
