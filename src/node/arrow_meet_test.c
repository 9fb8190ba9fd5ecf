/* arrow_meet_test.c - the dials to pairs that meetings have found: one place for each peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"
#include "node/testkit_case.h"

#include <string.h>

#define DIAL (UINT64_C(1) << 63)

static const struct node_core *meeting(const struct node *n)
{
    return &n->core[n->meeting.ix];
}

static struct peer_id stranger(uint8_t k)
{
    struct secret_ed25519 sk = {.seed = {k, 78}};
    uint8_t pk[ED25519_PK_LEN];
    struct peer_id p;

    assert_int_equal(ed25519_public(pk, &sk), QUDAG_OK);
    peer_id_from_ed25519(&p, pk);
    return p;
}

/* The core says that a pair works: it is dialled. */
static void found(struct node *n, const struct peer_id *peer)
{
    const struct meet_pair pair = {.remote = {.family = 4, .ip = {10, 9, 9, 9}, .port = 9}};
    const struct act a = {.kind = MEET_UP_FOUND, .peer = *peer, .ptr = &pair};

    meeting(n)->report(n, &a, net.now);
}

static void ended(struct node *n, const struct peer_id *peer)
{
    const struct act a = {.kind = MEET_UP_ENDED, .peer = *peer};

    meeting(n)->report(n, &a, net.now);
}

static void dial_ends(struct node *n, uint64_t cookie)
{
    const struct ev ev = {.type = EV_STREAM_FAIL, .cookie = cookie, .err = QUDAG_EUNREACHABLE};

    meeting(n)->ops->event(n, &ev, net.now, node_begin(n));
    node_end(n, n->meeting.ix);
}

static unsigned dials(const struct node *n, const struct peer_id *peer)
{
    unsigned k = 0;

    for (size_t i = 0; i < MEET_MEETINGS_MAX; i++) {
        const struct peer_id *of = &n->meeting.dial[i].peer;
        k += of->len > 0 && (peer == NULL || peer_id_eq(of, peer)) ? 1 : 0;
    }
    return k;
}

static struct node *one(void)
{
    struct node_config c = nt_config(&net, 0);

    nt_begin(0, &c);
    return net.node[0].node;
}

static void a_peer_has_one_dial_and_the_last_one_counts(void **state)
{
    const struct peer_id a = stranger(1), b = stranger(2);
    struct node *n = one();
    (void)state;

    found(n, &a);
    found(n, &b);
    assert_int_equal(dials(n, NULL), 2);
    uint64_t first = n->meeting.dial[1].cookie;
    assert_true(peer_id_eq(&n->meeting.dial[1].peer, &b) && (first & DIAL) != 0);
    ended(n, &a);
    assert_int_equal(dials(n, NULL), 1);
    found(n, &b); /* there is a free place before its own */
    assert_int_equal(dials(n, &b), 1);
    assert_true(n->meeting.dial[1].cookie != first);
    dial_ends(n, first); /* nobody's any more */
    assert_int_equal(dials(n, &b), 1);
    dial_ends(n, n->meeting.dial[1].cookie);
    assert_int_equal(dials(n, NULL), 0);
}

static void where_all_places_are_taken_nobody_else_is_dialled(void **state)
{
    struct node *n = one();
    (void)state;

    for (uint8_t i = 0; i <= MEET_MEETINGS_MAX; i++) {
        const struct peer_id p = stranger(i);
        found(n, &p);
        assert_int_equal(dials(n, &p), i < MEET_MEETINGS_MAX);
    }
    const struct peer_id first = stranger(0), last = stranger(MEET_MEETINGS_MAX);
    dial_ends(n, n->meeting.dial[0].cookie);
    assert_int_equal(dials(n, &first), 0);
    found(n, &last);
    assert_int_equal(dials(n, &last), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NT_TEST(a_peer_has_one_dial_and_the_last_one_counts),
        NT_TEST(where_all_places_are_taken_nobody_else_is_dialled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
