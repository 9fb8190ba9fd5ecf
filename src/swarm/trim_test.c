/* trim_test.c - tags and protections, and which links of a whole swarm give way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "swarm/testkit.h"

static const uint8_t hello_a[] = "\x13/multistream/1.0.0\n\x05/a/1\n";

static uint32_t links(void)
{
    struct swarm_stats st;

    swarm_stats_get(w.s, &st);
    return st.links;
}

static uint64_t trimmed(enum swarm_trim why)
{
    struct swarm_stats st;

    swarm_stats_get(w.s, &st);
    return st.links_trimmed[why];
}

static void tick(uint64_t after_s)
{
    w.now += after_s * NS_PER_S;
    swarm_tick(w.s, w.now);
    settle();
}

/* A stranger of a network of its own. */
static uint32_t stranger(uint8_t n)
{
    uint32_t ix = w.n_links++;

    w.link[ix] = (struct fake_link){.peer = peer_no(n)};
    w.link[ix].remote = (struct netaddr){.family = 4, .ip = {n, n, 1, 1}, .port = 1};
    up(ix, LINK_INBOUND);
    return ix;
}

/* What was told of links that end (states.h). */
static struct {
    enum swarm_link_why why;
    qudag_err err;
    const char *text;
    unsigned n;
} told;

static void on_link(void *ctx, const struct swarm_link_change *c)
{
    (void)ctx;
    if (c->state == SWARM_LINK_CLOSING) {
        told.why = c->why;
        told.err = c->err;
        told.text = c->text;
        told.n++;
    }
}

static void is_told(enum swarm_link_why why, qudag_err err, const char *text)
{
    assert_int_equal(told.n, 1);
    assert_int_equal(told.why, why);
    assert_int_equal(told.err, err);
    assert_true((told.text == NULL) == (text == NULL));
    if (text != NULL) {
        assert_string_equal(told.text, text);
    }
}

/* ---- tags ---- */

static void tags_have_limits_and_protections_are_apart(void **state)
{
    struct peer_id p = peer_no(7);
    bool is_protected;
    size_t it = 0;
    (void)state;

    assert_int_equal(swarm_peer_tag(w.s, &p, "a", 500), QUDAG_OK);
    assert_int_equal(swarm_peer_tag(w.s, &p, "b", -1000), QUDAG_OK);
    assert_int_equal(swarm_peer_tag(w.s, &p, "a", 600), QUDAG_OK); /* instead of 500 */
    assert_int_equal(swarm_peer_tag(w.s, &p, "a", 1001), QUDAG_EINVAL);
    assert_int_equal(swarm_peer_tag(w.s, &p, "a", -1001), QUDAG_EINVAL);
    assert_int_equal(swarm_tags_sum(&w.s->tags, &p, &is_protected), -400);
    assert_false(is_protected);
    assert_int_equal(swarm_peer_protect(w.s, &p, "a"), QUDAG_OK);
    assert_int_equal(swarm_peer_protect(w.s, &p, "a"), QUDAG_OK); /* once */
    assert_int_equal(swarm_peer_protect(w.s, &p, "c"), QUDAG_OK);
    const struct swarm_tag *t = swarm_peer_tag_next(w.s, &p, &it);
    assert_true(t != NULL && t->weighs && t->protects && t->weight == 600);
    assert_int_equal(swarm_peer_untag(w.s, &p, "a", true), QUDAG_OK);
    (void)swarm_tags_sum(&w.s->tags, &p, &is_protected);
    assert_true(is_protected); /* by "c" */
    assert_int_equal(swarm_peer_untag(w.s, &p, "a", true), QUDAG_ENOTFOUND);
    assert_int_equal(swarm_peer_untag(w.s, &p, "c", false), QUDAG_ENOTFOUND);
    assert_int_equal(swarm_peer_untag(w.s, &p, "c", true), QUDAG_OK);
    assert_int_equal(swarm_tags_sum(&w.s->tags, &p, &is_protected), -400);
    assert_false(is_protected);
    assert_int_equal(swarm_peer_untag(w.s, &p, "a", false), QUDAG_OK);
    assert_int_equal(swarm_peer_untag(w.s, &p, "b", false), QUDAG_OK);
    assert_int_equal(w.s->tags.peers.n, 0); /* nothing is left of it */
}

static void names_of_tags_are_checked_and_counted(void **state)
{
    static const char *const bad[] = {"", " ", "a b", "\x7f", "12345678901234567890123456789012"};
    struct peer_id p = peer_no(7);
    char name[4] = "t00";
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(swarm_peer_tag(w.s, &p, bad[i], 1), QUDAG_EINVAL);
        assert_int_equal(swarm_peer_protect(w.s, &p, bad[i]), QUDAG_EINVAL);
    }
    assert_int_equal(swarm_peer_tag(w.s, &p, "1234567890123456789012345678901", 1), QUDAG_OK);
    for (unsigned i = 1; i < SWARM_TAGS_MAX; i++) {
        name[1] = (char)('a' + i);
        assert_int_equal(swarm_peer_tag(w.s, &p, name, 1), QUDAG_OK);
    }
    assert_int_equal(swarm_peer_protect(w.s, &p, "more"), QUDAG_ELIMIT);
    assert_int_equal(swarm_peer_protect(w.s, &p, name), QUDAG_OK); /* a name that is there */
    uint8_t pk[32] = {0};
    for (unsigned i = 1; i < SWARM_TAGGED_MAX; i++) {
        pk[5] = (uint8_t)i;
        pk[6] = (uint8_t)(i >> 8);
        peer_id_from_ed25519(&p, pk);
        assert_int_equal(swarm_peer_tag(w.s, &p, "t", 1), QUDAG_OK);
    }
    pk[7] = 1;
    peer_id_from_ed25519(&p, pk);
    assert_int_equal(swarm_peer_tag(w.s, &p, "t", 1), QUDAG_ELIMIT);
    w.mem.fail_at = 0;
}

static void without_memory_nothing_is_tagged(void **state)
{
    struct peer_id p = peer_no(7);
    (void)state;

    for (uint64_t k = 1; k < 6; k++) {
        w.mem.fail_at = k;
        qudag_err err = swarm_peer_protect(w.s, &p, "t");
        w.mem.fail_at = 0;
        if (err == QUDAG_OK) {
            assert_true(k > 1);
            return;
        }
        assert_int_equal(err, QUDAG_ENOMEM);
        assert_int_equal(w.s->tags.peers.n, 0);
    }
    fail_msg("it never succeeded");
}

/* ---- above the high mark: 8, down to 4 ---- */

static void of_too_many_links_the_least_valuable_go(void **state)
{
    struct peer_id liked = peer_no(3), kept = peer_no(4), disliked = peer_no(6);
    uint32_t ix[11];
    (void)state;

    for (uint8_t i = 1; i <= 10; i++) {
        ix[i] = stranger(i);
    }
    assert_int_equal(swarm_peer_tag(w.s, &liked, "app", 10), QUDAG_OK);
    assert_int_equal(swarm_peer_tag(w.s, &disliked, "app", -10), QUDAG_OK);
    assert_int_equal(swarm_peer_protect(w.s, &kept, "app"), QUDAG_OK);
    know(1, 1);
    open_to(1, 1, 0); /* a stream of ours on the oldest */
    tick(25);
    assert_int_equal(links(), 4);
    assert_int_equal(trimmed(SWARM_TRIM_HIGH), 6);
    for (uint8_t i = 1; i <= 10; i++) {
        bool stays = i == 1 || i == 2 || i == 3 || i == 4; /* of equals the oldest stays */
        assert_int_equal(!w.link[ix[i]].closed, stays);
        if (!stays) {
            assert_int_equal(w.link[ix[i]].close_err, QUDAG_ELIMIT); /* it hears of a limit */
        }
    }
}

static void young_and_moving_links_are_spared(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 10; i++) {
        (void)stranger(i);
    }
    for (uint32_t i = 0; i < 5; i++) {
        event(LINK_STREAM, i, 0, NULL, 0);
        event(LINK_DATA, i, 0, hello_a, sizeof hello_a - 1);
        settle();
    }
    tick(10);
    assert_int_equal(links(), 10); /* all are young */
    w.now += 15 * NS_PER_S;
    for (uint32_t i = 0; i < 5; i++) {
        event(LINK_DATA, i, 0, "x", 1);
    }
    tick(1);
    assert_int_equal(links(), 5); /* those on which something moves stay, though more than four */
    tick(31);
    assert_int_equal(links(), 5); /* no longer above the high mark */
}

static void hundreds_go_in_rounds(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 60; i++) {
        (void)stranger(i);
    }
    tick(25);
    assert_int_equal(links(), 28); /* 32 at once */
    tick(1);
    assert_int_equal(links(), 4);
    assert_true(swarm_deadline(w.s) > w.now + NS_PER_S);
}

static void rounds_end_where_links_ended_by_themselves(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 60; i++) {
        (void)stranger(i);
    }
    tick(25);
    for (uint32_t i = 0; links() > 3; i++) {
        if (!w.link[i].closed) {
            event(LINK_DOWN, i, 0, NULL, 0);
            settle();
        }
    }
    tick(1);
    assert_int_equal(links(), 3); /* fewer than the low mark */
    assert_int_equal(trimmed(SWARM_TRIM_HIGH), 32);
}

static void a_protected_peer_is_not_closed_for_being_idle(void **state)
{
    struct peer_id kept = peer_no(2);
    (void)state;

    (void)stranger(1);
    (void)stranger(2);
    assert_int_equal(swarm_peer_protect(w.s, &kept, "app"), QUDAG_OK);
    memset(&told, 0, sizeof(told));
    w.s->cfg.link_changed = on_link;
    tick(301);
    assert_true(w.link[0].closed && !w.link[1].closed);
    assert_int_equal(w.link[0].close_err, QUDAG_OK);
    is_told(SWARM_WHY_HERE, QUDAG_ECLOSED, NULL);
    assert_int_equal(trimmed(SWARM_TRIM_IDLE), 1);
    assert_int_equal(swarm_peer_untag(w.s, &kept, "app", true), QUDAG_OK);
    tick(11);
    assert_true(w.link[1].closed);
}

/* ---- places: 8 links, of them 6 common ---- */

static int setup_places(void **state)
{
    int rc = setup(state);
    struct resources_config c = {
        .mem = &w.mem, .links_max = 8, .network_share = 25, .streams_max = 99};

    resources_free(w.s->own);
    w.s->cfg.links_high = 8;
    w.s->cfg.links_low = 8;
    if (rc != 0 || resources_new(&w.s->own, &c) != QUDAG_OK) {
        return -1;
    }
    w.s->resources = w.s->own;
    return 0;
}

static void fill(void)
{
    for (uint8_t i = 1; i <= 6; i++) {
        (void)stranger(i);
    }
    assert_int_equal(links(), 6);
}

static void a_stranger_gets_the_place_of_the_least_valuable(void **state)
{
    struct peer_id liked = peer_no(6);
    (void)state;

    fill();
    assert_int_equal(swarm_peer_tag(w.s, &liked, "app", 100), QUDAG_OK);
    uint32_t ix = stranger(20);
    assert_true(w.link[ix].closed); /* all are young */
    assert_int_equal(w.link[ix].close_err, QUDAG_ELIMIT);
    w.now += 21 * NS_PER_S;
    memset(&told, 0, sizeof(told));
    w.s->cfg.link_changed = on_link;
    ix = stranger(21);
    settle();
    assert_false(w.link[ix].closed);
    is_told(SWARM_WHY_OUR_LIMIT, QUDAG_ELIMIT, swarm_trim_text(SWARM_TRIM_NEWCOMER));
    assert_int_equal(links(), 6);
    assert_int_equal(trimmed(SWARM_TRIM_NEWCOMER), 1);
    assert_false(w.link[5].closed);
    for (uint8_t i = 22; i < 40; i++) {
        (void)stranger(i);
    }
    settle();
    assert_int_equal(trimmed(SWARM_TRIM_NEWCOMER), 4); /* so many at once */
    w.now += NS_PER_S;
    (void)stranger(40);
    (void)stranger(41);
    settle();
    assert_int_equal(trimmed(SWARM_TRIM_NEWCOMER), 5); /* and one a second */
    assert_false(w.link[5].closed);
    assert_int_equal(links(), 6);
}

static void a_network_that_has_its_share_closes_nobody_elses_link(void **state)
{
    (void)state;
    fill();
    w.now += 21 * NS_PER_S;
    for (uint8_t i = 0; i < 8; i++) {
        uint32_t ix = w.n_links++;
        w.link[ix] = (struct fake_link){.peer = peer_no((uint8_t)(100 + i))};
        w.link[ix].remote = (struct netaddr){.family = 4, .ip = {99, 1, 1, i}, .port = 1};
        up(ix, LINK_INBOUND);
    }
    settle();
    assert_int_equal(trimmed(SWARM_TRIM_NEWCOMER), 2); /* the share of a network */
}

/* Of our own choice: all reserved places and then some; a young stranger gives way, a busy one does not. */
static void whom_we_protect_has_a_place_where_strangers_were(void **state)
{
    struct peer_id kept = peer_no(50);
    (void)state;

    fill();
    for (uint32_t i = 0; i < 5; i++) {
        event(LINK_STREAM, i, 0, NULL, 0);
        event(LINK_DATA, i, 0, hello_a, sizeof hello_a - 1);
    }
    settle();
    assert_int_equal(swarm_peer_protect(w.s, &kept, "app"), QUDAG_OK);
    uint32_t ix = stranger(50);
    settle();
    assert_false(w.link[ix].closed);
    assert_true(w.link[5].closed);
    assert_int_equal(trimmed(SWARM_TRIM_NEWCOMER), 1);
    ix = stranger(51);
    assert_true(w.link[ix].closed);
    assert_int_equal(links(), 6);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define P(name) cmocka_unit_test_setup_teardown(name, setup_places, teardown)
    const struct CMUnitTest tests[] = {
        T(tags_have_limits_and_protections_are_apart),
        T(names_of_tags_are_checked_and_counted),
        T(without_memory_nothing_is_tagged),
        T(of_too_many_links_the_least_valuable_go),
        T(young_and_moving_links_are_spared),
        T(hundreds_go_in_rounds),
        T(rounds_end_where_links_ended_by_themselves),
        T(a_protected_peer_is_not_closed_for_being_idle),
        P(a_stranger_gets_the_place_of_the_least_valuable),
        P(a_network_that_has_its_share_closes_nobody_elses_link),
        P(whom_we_protect_has_a_place_where_strangers_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
