/*
 * dark_lookups_test.c - lookups of dark addresses as the network sees them: dummies, and who is asked.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#define SERVICE 4
#define CLIENT 5
#define SEEN_MAX 16

/* A lookup of CLIENT, or of SERVICE: what it asks for and through whom. */
struct seen {
    struct ref op;
    bool put, dummy;
    uint8_t key[DARK_KEY_LEN];
    size_t hops;
    struct peer_id exit;
};

static struct seen seen[SEEN_MAX];
static size_t n_seen, watched;

static void note(const struct node_op *op)
{
    size_t i = 0;

    while (i < n_seen && !ref_eq(seen[i].op, op->ref)) {
        i++;
    }
    assert_true(i < SEEN_MAX);
    struct seen *s = &seen[i];
    s->op = op->ref;
    s->put = op->req.kind == NODE_OP_LOOKUP_PUT;
    s->dummy = op->cookie == 0;
    memcpy(s->key, op->req.key.base, sizeof s->key);
    if (op->circuit != NULL && op->circuit->open) {
        s->hops = op->circuit->n_hops;
        s->exit = op->circuit->path[op->circuit->n_hops - 1].peer;
    }
    n_seen += i == n_seen ? 1 : 0;
}

static bool asked_ended_watched(struct nt *nt)
{
    const struct node *n = nt->node[watched].node;

    LIST_EACH(it, &n->running)
    {
        const struct node_op *op = LIST_ENTRY(it, struct node_op, node);
        if (op->req.kind == NODE_OP_LOOKUP_GET || op->req.kind == NODE_OP_LOOKUP_PUT) {
            note(op);
        }
    }
    return nt_asked_ended(nt);
}

static qudag_err ask_watched(size_t ix, const struct node_request *r)
{
    size_t a = nt_ask(&net.node[ix], r);

    n_seen = 0;
    watched = ix;
    assert_int_not_equal(a, SIZE_MAX);
    assert_true(nt_run(&net, 120 * NS_PER_S, asked_ended_watched));
    return net.node[ix].ask[a].err;
}

/* A network with a published address, and a client that makes |dummies|. */
static struct dark_addr published(uint32_t dummies)
{
    struct dark_addr addr;

    nt_join(5);
    struct node_config c = nt_config(&net, CLIENT);
    nt_boot(&net, &c, 0);
    c.dark_dummies = dummies;
    c.dark_delay_max_ns = 50 * NS_PER_MS;
    nt_begin(CLIENT, &c);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    assert_int_equal(node_dark_create(net.node[SERVICE].node, "x", net.now, &addr), QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_PUBLISH, .dark = addr};
    assert_int_equal(ask_watched(SERVICE, &r), QUDAG_OK);
    return addr;
}

/* M11: a record is stored through one relay and read back through another. */
static void what_is_stored_is_read_back_through_another_relay(void **state)
{
    (void)state;
    (void)published(0);
    assert_int_equal(n_seen, 2);
    assert_true(seen[0].put && !seen[1].put);
    assert_memory_equal(seen[0].key, seen[1].key, DARK_KEY_LEN);
    assert_true(seen[0].hops > 0 && seen[1].hops > 0);
    assert_false(peer_id_eq(&seen[0].exit, &seen[1].exit));
}

/* M11: that there is none is what two relays say, of two places. */
static void absence_is_asked_of_two_relays(void **state)
{
    struct dark_addr addr;
    (void)state;
    (void)published(0);
    assert_int_equal(node_dark_create(net.node[SERVICE].node, "y", net.now, &addr), QUDAG_OK);
    struct node_request r = {.kind = NODE_OP_DARK_RESOLVE, .dark = addr};
    assert_int_equal(ask_watched(CLIENT, &r), QUDAG_ENOTFOUND);
    assert_int_equal(n_seen, 2);
    assert_memory_not_equal(seen[0].key, seen[1].key, DARK_KEY_LEN);
    assert_true(seen[0].hops > 0 && seen[1].hops > 0);
    assert_false(peer_id_eq(&seen[0].exit, &seen[1].exit));
}

/* Each asks for an index that exists, through a circuit as the real one does. */
static void dummies_look_like_the_real_lookup(void **state)
{
    (void)state;
    struct node_request r = {.kind = NODE_OP_DARK_RESOLVE, .dark = published(2)};
    size_t real = 0, dummies = 0;
    assert_int_equal(ask_watched(CLIENT, &r), QUDAG_OK);
    for (size_t i = 0; i < n_seen; i++) {
        struct slice value, key = {seen[i].key, DARK_KEY_LEN};
        bool held = false;
        for (size_t k = 0; k <= CLIENT; k++) {
            held = held || kad_record_local(node_kad(net.node[k].node), key, net.now, &value);
        }
        assert_true(held || !seen[i].dummy);
        dummies += seen[i].dummy ? 1 : 0;
        real += seen[i].dummy ? 0 : 1;
        assert_false(seen[i].put);
    }
    assert_int_equal(dummies, 2);
    assert_in_range(real, 1, 2); /* the other place may be empty yet */
    (void)nt_run(&net, 30 * NS_PER_S, asked_ended_watched);
    for (size_t i = 0; i < n_seen; i++) {
        assert_int_equal(seen[i].hops, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(what_is_stored_is_read_back_through_another_relay),
        NT_TEST(absence_is_asked_of_two_relays),
        NT_TEST(dummies_look_like_the_real_lookup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
