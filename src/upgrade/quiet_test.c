/* quiet_test.c - links through a relay whose path dies behind it: told once, and again when they are heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/init.h"
#include "upgrade/testkit.h"

static const struct up_opt prefer = {.pq = PQ_PREFER};

struct quiet_case {
    bool dead;   /* the path behind the relay is */
    size_t most; /* bytes of a piece that pass; 0: all */
    unsigned quiet, heard;
    tstamp at; /* of LINK_QUIET */
};

static void notes_quiet(struct up_side *s, const struct link_ev *ev)
{
    struct quiet_case *c = s->ctx;

    if (ev->type == LINK_QUIET) {
        c->quiet++;
        c->at = s->pair->now;
    }
    c->heard += ev->type == LINK_HEARD ? 1 : 0;
}

static bool path_may_be_dead(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    const struct quiet_case *c = p->ctx;
    (void)from;
    (void)bytes;
    *len = c->most != 0 && *len > c->most ? c->most : *len;
    return !c->dead;
}

static struct up_pair *linked_by(uint8_t props, struct quiet_case *c)
{
    struct up_pair *p = up_new(&prefer, &prefer);
    struct multiaddr none = {0};
    struct transport_target t = {.addr = &none, .peer = &p->b.peer};
    struct upgrade_stream st = {
        .cookie = 11, .dialer = true, .props = props, .net = 5, .target = &t};

    assert_int_equal(upgrade_begin(p->a.u, &st, p->now, &p->a.link), QUDAG_OK);
    p->a.begun = true;
    assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_OK);
    up_settle(p);
    assert_int_equal(p->a.ups, 1);
    p->a.app = notes_quiet;
    p->a.ctx = p->ctx = c;
    p->pass = path_may_be_dead;
    up_run(p, p->now + 2 * NS_PER_S);
    return p;
}

static void a_relayed_link_that_is_not_answered_is_quiet_until_it_is_heard(void **state)
{
    struct quiet_case c = {0};
    struct up_pair *p = linked_by(LINK_RELAYED, &c);
    (void)state;

    int64_t sid = up_open(&p->a);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(up_write(&p->a, sid, "hi", 2), QUDAG_OK);
        up_run(p, p->now + 3 * NS_PER_S);
        assert_int_equal(c.quiet, 0); /* b's muxer answers the ping, each time */
    }
    c.dead = true;
    assert_int_equal(up_write(&p->a, sid, "you", 3), QUDAG_OK);
    tstamp said = p->now;
    up_run(p, said + 3 * NS_PER_S);
    assert_int_equal(c.quiet, 1); /* told once */
    assert_true(c.at >= said + UPGRADE_QUIET_AFTER);
    assert_true(c.at < said + UPGRADE_QUIET_AFTER + UPGRADE_QUIET_PING);
    assert_int_equal(c.heard, 0);
    c.dead = false;
    int64_t back = up_open(&p->b);
    assert_int_equal(up_write(&p->b, back, "yes", 3), QUDAG_OK);
    up_settle(p);
    assert_int_equal(c.quiet, 1);
    assert_int_equal(c.heard, 1);
    p->ctx = NULL;
    p->pass = NULL;
    up_free(p);
}

static void what_was_answered_counts_as_under_way_no_more(void **state)
{
    static const uint8_t much[UPGRADE_QUIET_BYTES];
    struct quiet_case c = {0};
    struct up_pair *p = linked_by(LINK_RELAYED, &c);
    (void)state;

    int64_t sid = up_open(&p->a);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(up_write(&p->a, sid, much, sizeof(much) / 8), QUDAG_OK);
        up_run(p, p->now + 3 * NS_PER_S);
    }
    c.dead = true;
    assert_int_equal(up_write(&p->a, sid, "you", 3), QUDAG_OK);
    up_run(p, p->now + 3 * NS_PER_S);
    assert_int_equal(c.quiet, 1);
    p->ctx = NULL;
    p->pass = NULL;
    up_free(p);
}

/* A relay may hold that back. */
static void where_much_is_under_way_nothing_is_said(void **state)
{
    static const uint8_t much[UPGRADE_QUIET_BYTES];
    struct quiet_case c = {0};
    struct up_pair *p = linked_by(LINK_RELAYED, &c);
    (void)state;

    int64_t sid = up_open(&p->a);
    c.dead = true;
    assert_int_equal(up_write(&p->a, sid, much, sizeof(much)), QUDAG_OK);
    up_settle(p);
    up_run(p, p->now + 3 * NS_PER_S);
    assert_int_equal(c.quiet, 0);
    p->ctx = NULL;
    p->pass = NULL;
    up_free(p);
}

/* The first byte of a record: nothing else follows from it, neither an answer nor an event. */
static void any_byte_of_the_peer_says_that_the_path_lives(void **state)
{
    struct quiet_case c = {0};
    struct up_pair *p = linked_by(LINK_RELAYED, &c);
    (void)state;

    int64_t sid = up_open(&p->a);
    c.dead = true;
    assert_int_equal(up_write(&p->a, sid, "you", 3), QUDAG_OK);
    up_run(p, p->now + 3 * NS_PER_S);
    assert_int_equal(c.quiet, 1);
    c.dead = false;
    c.most = 1;
    upgrade_probe(p->b.u, p->b.link, p->now);
    up_settle(p);
    assert_int_equal(c.heard, 1);
    p->ctx = NULL;
    p->pass = NULL;
    up_free(p);
}

static void a_direct_link_says_nothing_of_quiet(void **state)
{
    struct quiet_case c = {0};
    struct up_pair *p = linked_by(0, &c);
    (void)state;

    c.dead = true;
    int64_t sid = up_open(&p->a);
    assert_int_equal(up_write(&p->a, sid, "hi", 2), QUDAG_OK);
    up_run(p, p->now + 3 * NS_PER_S);
    assert_int_equal(c.quiet, 0);
    p->pass = NULL;
    up_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relayed_link_that_is_not_answered_is_quiet_until_it_is_heard),
        cmocka_unit_test(what_was_answered_counts_as_under_way_no_more),
        cmocka_unit_test(where_much_is_under_way_nothing_is_said),
        cmocka_unit_test(any_byte_of_the_peer_says_that_the_path_lives),
        cmocka_unit_test(a_direct_link_says_nothing_of_quiet),
    };

    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
