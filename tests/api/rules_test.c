/*
 * rules_test.c - namespaces of a program over real sockets: what its rules refuse is stored nowhere, of
 * two values the better one wins, reads as sure as asked for, and what is forgotten is published no more.
 *
 * TEST: timeout=90 waits
 */
#include "net.h"

#define NODES 6

/* Values: a digit, how good it is, then '!' if it is valid. */
static qudag_err check(void *user, qudag_slice key, qudag_slice value, int64_t now,
                       int64_t *expires)
{
    unsigned *asked = user;

    (*asked)++;
    if (value.len != 2 || value.base[1] != '!' || key.len < 7) {
        return QUDAG_EMALFORMED;
    }
    *expires = now + 3600;
    return QUDAG_OK;
}

static int choose(void *user, qudag_slice key, qudag_slice a, qudag_slice b)
{
    (void)user;
    (void)key;
    return a.base[0] - b.base[0];
}

static unsigned asked[NODES];

static qudag_dht_rules rules(size_t i)
{
    return (qudag_dht_rules){.size = sizeof(qudag_dht_rules),
                             .ns = "score",
                             .value_max = 16,
                             .check = check,
                             .select = choose,
                             .user = &asked[i]};
}

static int grow(void **state)
{
    (void)state;
    net_grow(NODES, &(struct net_options){0});
    for (size_t i = 0; i < NODES; i++) {
        qudag_dht_rules r = rules(i);
        assert_int_equal(qudag_dht_namespace(net[i].node, &r), QUDAG_OK);
    }
    return 0;
}

static void names_and_sizes_of_namespaces_are_checked(void **state)
{
    static const char *const bad[] = {
        "", "pk", "qudag", "qudag-x", "Score", "a/b", "a b", "a-name-that-is-longer-than-32-chars"};
    static const char *const more[] = {"m1", "m2", "m3", "m4", "m5", "m6", "m7"};
    qudag_node *n = net[0].node;
    qudag_dht_rules r = rules(0);
    (void)state;

    assert_int_equal(qudag_dht_namespace(NULL, &r), QUDAG_EINVAL);
    assert_int_equal(qudag_dht_namespace(n, NULL), QUDAG_EINVAL);
    assert_int_equal(qudag_dht_namespace(n, &r), QUDAG_EEXISTS);
    r.ns = "app"; /* open by the settings */
    assert_int_equal(qudag_dht_namespace(n, &r), QUDAG_EEXISTS);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        r.ns = bad[i];
        assert_int_equal(qudag_dht_namespace(n, &r), QUDAG_EINVAL);
    }
    r = rules(0);
    r.ns = "other";
    r.value_max = QUDAG_DHT_VALUE_MAX + 1;
    assert_int_equal(qudag_dht_namespace(n, &r), QUDAG_EINVAL);
    r.value_max = 0;
    assert_int_equal(qudag_dht_namespace(n, &r), QUDAG_EINVAL);
    r.value_max = 1;
    r.check = NULL;
    assert_int_equal(qudag_dht_namespace(n, &r), QUDAG_EINVAL);
    r.check = check;
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        r.ns = more[i];
        assert_int_equal(qudag_dht_namespace(n, &r), QUDAG_OK);
    }
    r.ns = "one-too-many";
    assert_int_equal(qudag_dht_namespace(n, &r), QUDAG_ELIMIT);
}

static void what_the_rules_accept_is_stored_by_all_and_read_by_any(void **state)
{
    static const qudag_dht_read reads[] = {QUDAG_READ_DEFAULT, QUDAG_READ_FIRST,
                                           QUDAG_READ_CONFIRMED, QUDAG_READ_QUORUM,
                                           QUDAG_READ_PATHS};
    struct peer *p = &net[1];
    (void)state;

    net_ask(p, qudag_dht_put(p->node, net_text("/score/a"), net_text("5!"), &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    assert_true(net_holders(net_text("/score/a"), net_text("5!")) >= NODES * 3 / 4);
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        qudag_dht_options o = {.size = sizeof(o), .read = reads[i], .masked = i % 2 == 1};
        net_ask(&net[3], qudag_dht_get_with(net[3].node, net_text("/score/a"), &o, &net[3].last));
        assert_int_equal(net[3].err, QUDAG_OK);
        assert_memory_equal(net[3].value, "5!", 2);
        assert_true(net[3].count >= 1);
    }
    for (size_t i = 0; i < NODES; i++) {
        assert_true(asked[i] > 0);
    }
    qudag_dht_options o = {.size = sizeof(o), .read = (qudag_dht_read)7};
    assert_int_equal(qudag_dht_get_with(p->node, net_text("/score/a"), &o, &p->last), QUDAG_EINVAL);
}

static void what_the_rules_refuse_does_not_leave_the_node(void **state)
{
    static const char *const bad[] = {"5?", "5", "5!!", "a value that is much too long"};
    struct peer *p = &net[1];
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        net_ask(p, qudag_dht_put(p->node, net_text("/score/b"), net_text(bad[i]), &p->last));
        assert_int_not_equal(p->err, QUDAG_OK);
        assert_int_equal(net_holders(net_text("/score/b"), net_text(bad[i])), 0);
    }
    net_ask(p, qudag_dht_put(p->node, net_text("/score/"), net_text("5!"), &p->last));
    assert_int_not_equal(p->err, QUDAG_OK); /* check() wants a name */
    net_ask(p, qudag_dht_get(p->node, net_text("/score/b"), &p->last));
    assert_int_equal(p->err, QUDAG_ENOTFOUND); /* absent: asked for and not there */
}

/* A stranger whose rules take anything cannot place what ours refuse. */
static qudag_err take_all(void *user, qudag_slice key, qudag_slice value, int64_t now,
                          int64_t *expires)
{
    (void)user;
    (void)key;
    (void)value;
    (void)now;
    (void)expires;
    return QUDAG_OK;
}

static void a_stranger_with_other_rules_is_refused_by_all(void **state)
{
    struct net_options o = {.bootstrap = {net[0].addr}, .n_bootstrap = 1};
    struct peer *p = &net[NODES];
    qudag_dht_rules r = {.size = sizeof(r), .ns = "score", .value_max = 100, .check = take_all};
    uint64_t before = 0, after = 0;
    (void)state;

    net_start(NODES, &o);
    NET_WAIT(p->phase == QUDAG_PHASE_READY, 20);
    assert_int_equal(qudag_dht_namespace(p->node, &r), QUDAG_OK);
    for (size_t i = 0; i < NODES; i++) {
        before += net_stat(&net[i], "kad_refused_records");
    }
    net_ask(p, qudag_dht_put_with(p->node, net_text("/score/c"), net_text("9?"), NULL, &p->last));
    for (size_t i = 0; i < NODES; i++) {
        after += net_stat(&net[i], "kad_refused_records");
    }
    assert_true(after > before);
    assert_true(net_holders(net_text("/score/c"), net_text("9?")) <= 1); /* itself */
    net_stop(NODES);
}

static void the_better_value_wins_wherever_it_is_put(void **state)
{
    struct peer *p = &net[2];
    (void)state;

    net_ask(p, qudag_dht_put(p->node, net_text("/score/d"), net_text("7!"), &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    net_ask(&net[4],
            qudag_dht_put(net[4].node, net_text("/score/d"), net_text("3!"), &net[4].last));
    assert_int_not_equal(net[4].err, QUDAG_OK); /* nobody takes it any more */
    assert_int_equal(net_holders(net_text("/score/d"), net_text("3!")), 0);
    net_ask(&net[5], qudag_dht_get(net[5].node, net_text("/score/d"), &net[5].last));
    assert_int_equal(net[5].err, QUDAG_OK);
    assert_memory_equal(net[5].value, "7!", 2);
    net_ask(&net[4],
            qudag_dht_put(net[4].node, net_text("/score/d"), net_text("8!"), &net[4].last));
    assert_int_equal(net[4].err, QUDAG_OK);
    net_ask(&net[5], qudag_dht_get(net[5].node, net_text("/score/d"), &net[5].last));
    assert_memory_equal(net[5].value, "8!", 2);
}

static size_t published(const struct peer *p, const char *key)
{
    qudag_dht_publication pub = QUDAG_INIT(qudag_dht_publication);
    size_t n = 0, it = 0;

    while (qudag_dht_publication_next(p->node, &it, &pub)) {
        n += pub.key.len == strlen(key) && memcmp(pub.key.base, key, pub.key.len) == 0;
    }
    return n;
}

static void what_is_republished_stays_published_until_it_is_forgotten(void **state)
{
    struct peer *p = &net[1];
    qudag_dht_options once = {.size = sizeof(once), .quorum = 2};
    (void)state;

    net_ask(p, qudag_dht_put_with(p->node, net_text("/score/e"), net_text("1!"), &once, &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    assert_int_equal(published(p, "/score/e"), 0);
    net_ask(p, qudag_dht_put(p->node, net_text("/score/e"), net_text("2!"), &p->last));
    assert_int_equal(published(p, "/score/e"), 1);
    net_ask(p, qudag_dht_forget(p->node, net_text("/score/e"), &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    assert_int_equal(published(p, "/score/e"), 0);
    net_ask(p, qudag_dht_forget(p->node, net_text("/score/e"), &p->last));
    assert_int_equal(p->err, QUDAG_ENOTFOUND);
    net_ask(p, qudag_dht_provide(p->node, net_text("content"), &p->last));
    assert_int_equal(p->err, QUDAG_OK);
    net_ask(p, qudag_dht_unprovide(p->node, net_text("content"), &p->last));
    assert_int_equal(p->err, QUDAG_OK);
}

static void a_request_can_be_canceled(void **state)
{
    struct peer *p = &net[0];
    unsigned done = p->all_done;
    (void)state;

    assert_int_equal(qudag_dht_get(p->node, net_text("/score/z"), &p->last), QUDAG_OK);
    qudag_op_cancel(p->node, p->last);
    NET_WAIT(p->all_done > done, NET_SOON);
    assert_int_equal(p->err, QUDAG_ECANCELED);
}

static void nobody_there_is_not_the_same_as_absent(void **state)
{
    struct peer *p = &net[0];
    (void)state;

    for (size_t i = 1; i < NODES; i++) {
        net[i].frozen = true;
    }
    net_ask(p, qudag_dht_get(p->node, net_text("/score/b"), &p->last));
    print_message("with nobody left: %s\n", qudag_strerror(p->err));
    assert_true(p->err == QUDAG_EUNREACHABLE || p->err == QUDAG_ETIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_rules_accept_is_stored_by_all_and_read_by_any),
        cmocka_unit_test(what_the_rules_refuse_does_not_leave_the_node),
        cmocka_unit_test(a_stranger_with_other_rules_is_refused_by_all),
        cmocka_unit_test(the_better_value_wins_wherever_it_is_put),
        cmocka_unit_test(what_is_republished_stays_published_until_it_is_forgotten),
        cmocka_unit_test(a_request_can_be_canceled),
        cmocka_unit_test(names_and_sizes_of_namespaces_are_checked),
        cmocka_unit_test(nobody_there_is_not_the_same_as_absent),
    };
    return cmocka_run_group_tests(tests, grow, net_stop_all);
}
