/*
 * rotation_test.c - a node gets another ML-DSA key, and those that know it follow: when they dial and when they are
 * dialled, over several keys, but never to a second successor; and a node that runs gets one.
 *
 * TEST: timeout=60
 */
#include "net.h"

#define KEYS 6
#define OWNER 0
#define PEER 1
#define THIEF 2
#define NEWCOMER 3 /* with a list from before */
#define AWAY 4     /* with a list of today, and a pin from before */

static qudag_identity *key[KEYS]; /* each the successor of the one before */
static uint8_t statement[KEYS][QUDAG_SUCCESSION_LEN];

static void make_keys(void)
{
    assert_int_equal(qudag_identity_generate(&key[0]), QUDAG_OK);
    for (unsigned i = 1; i < KEYS; i++) {
        assert_int_equal(qudag_identity_rotate(key[i - 1], i, &key[i], statement[i]), QUDAG_OK);
    }
}

/* Node |i| with |id| and the statements up to that of |last|. */
static void begin(size_t i, qudag_identity *id, unsigned last)
{
    struct net_options o = {.waiting = true};

    net[i].id = id;
    net_start(i, &o);
    for (unsigned k = 1; k <= last; k++) {
        char name[40];
        (void)snprintf(name, sizeof(name), "succession-%u", k % QUDAG_SUCCESSION_KEPT);
        assert_int_equal(qudag_node_restore(net[i].node, name,
                                            (qudag_slice){statement[k], QUDAG_SUCCESSION_LEN}),
                         QUDAG_OK);
    }
}

static void stop(size_t i)
{
    net_stop(i);
    net[i].id = NULL; /* it is one of key[] */
}

static qudag_err dial(size_t from, size_t to)
{
    net_ask(&net[from], qudag_connect(net[from].node, net[to].addr, &net[from].last));
    return net[from].err;
}

/* The same with the hash of |which| behind the address. */
static qudag_err dial_named(size_t from, size_t to, unsigned which)
{
    uint8_t hash[QUDAG_PQ_HASH_LEN];
    char text[QUDAG_ADDR_TEXT_MAX + 80];
    size_t len = strcspn(net[to].addr, "#");

    qudag_identity_pq_hash(key[which], hash);
    memcpy(text, net[to].addr, len);
    text[len++] = '#';
    for (size_t i = 0; i < sizeof(hash); i++) {
        (void)snprintf(text + len + 2 * i, 3, "%02x", hash[i]);
    }
    net_ask(&net[from], qudag_connect(net[from].node, text, &net[from].last));
    return net[from].err;
}

static bool linked(size_t a, size_t b)
{
    return net_links(&net[a], &net[b]) > 0 && net_links(&net[b], &net[a]) > 0;
}

static void peers_follow_and_thieves_are_not_followed(void **state)
{
    (void)state;
    struct net_options o = {.waiting = true};
    net_start(PEER, &o);
    net_start(NEWCOMER, &o);
    net_start(AWAY, &o);
    make_keys();

    begin(OWNER, key[0], 0);
    assert_int_equal(dial(PEER, OWNER), QUDAG_OK);
    assert_int_equal(dial(AWAY, OWNER), QUDAG_OK);
    NET_WAIT(linked(PEER, OWNER) && linked(AWAY, OWNER), NET_SOON);
    stop(OWNER);
    NET_WAIT(net_links(&net[PEER], &net[OWNER]) == 0 && net_links(&net[AWAY], &net[OWNER]) == 0,
             NET_SOON);

    /* It was away for three keys, and dials. */
    begin(OWNER, key[3], 3);
    assert_int_equal(dial(PEER, OWNER), QUDAG_OK);
    NET_WAIT(linked(PEER, OWNER), NET_SOON);
    assert_int_equal(net_stat(&net[PEER], "pins_followed"), 3);
    stop(OWNER);
    NET_WAIT(net_links(&net[PEER], &net[OWNER]) == 0, NET_SOON);

    /* One more, and it is dialled. */
    begin(OWNER, key[4], 4);
    assert_int_equal(dial(OWNER, PEER), QUDAG_OK);
    NET_WAIT(linked(PEER, OWNER), NET_SOON);
    assert_int_equal(net_stat(&net[PEER], "pins_followed"), 4);
    stop(OWNER);
    NET_WAIT(net_links(&net[PEER], &net[OWNER]) == 0, NET_SOON);

    /* Who has the former key is neither taken for the owner nor followed to a key of his own. */
    begin(THIEF, key[3], 3);
    assert_int_equal(dial(PEER, THIEF), QUDAG_EAUTH);
    stop(THIEF);
    qudag_identity *his = NULL;
    uint8_t rival[QUDAG_SUCCESSION_LEN], kept[QUDAG_SUCCESSION_LEN];
    assert_int_equal(qudag_identity_rotate(key[3], 9, &his, rival), QUDAG_OK);
    memcpy(kept, statement[4], sizeof(kept));
    memcpy(statement[4], rival, sizeof(rival));
    begin(THIEF, his, 4);
    assert_int_equal(dial(PEER, THIEF), QUDAG_EAUTH);
    assert_int_equal(net_stat(&net[PEER], "pins_conflicts"), 1);
    assert_int_equal(net_stat(&net[PEER], "pins_followed"), 4);
    stop(THIEF);
    qudag_identity_free(his);
    memcpy(statement[4], kept, sizeof(kept));

    /* A key without a statement is refused as ever; the owner's next one is not. */
    begin(OWNER, key[5], 0);
    assert_int_equal(dial(PEER, OWNER), QUDAG_EAUTH);
    stop(OWNER);
    begin(OWNER, key[5], 5);
    assert_int_equal(dial(PEER, OWNER), QUDAG_OK);
    NET_WAIT(linked(PEER, OWNER), NET_SOON);
    assert_int_equal(dial_named(NEWCOMER, OWNER, 2), QUDAG_OK);
    assert_int_equal(dial_named(AWAY, OWNER, 5), QUDAG_OK);
    NET_WAIT(linked(NEWCOMER, OWNER) && linked(AWAY, OWNER), NET_SOON);
    assert_int_equal(net_stat(&net[NEWCOMER], "pins_followed"), 3);
    assert_int_equal(net_stat(&net[AWAY], "pins_followed"), 5);
    stop(OWNER);
    for (unsigned i = 0; i < KEYS; i++) {
        qudag_identity_free(key[i]);
    }
}

/* ---- a node that runs */

static uint32_t changes(size_t of, size_t peer)
{
    qudag_link_info info = QUDAG_INIT(qudag_link_info);
    qudag_peer_id id;
    uint32_t most = 0;

    qudag_node_peer_id(net[peer].node, &id);
    for (size_t it = 0; qudag_link_next(net[of].node, &it, &info);) {
        bool his = info.peer.len == id.len && memcmp(info.peer.bytes, id.bytes, id.len) == 0;
        most = his && info.key_changes > most ? info.key_changes : most;
    }
    return most;
}

static void a_node_that_runs_takes_another_key_and_its_peers_follow(void **state)
{
    (void)state;
    struct net_options o = {.waiting = true};
    net_start(PEER, &o);
    net_start(AWAY, &o);
    make_keys();
    begin(OWNER, key[0], 0);
    assert_int_equal(dial(PEER, OWNER), QUDAG_OK);
    assert_int_equal(dial(OWNER, AWAY), QUDAG_OK);
    NET_WAIT(linked(PEER, OWNER) && linked(OWNER, AWAY), NET_SOON);

    /* What does not lead from the one to the other changes nothing. */
    assert_int_equal(qudag_node_rekey(net[OWNER].node, key[2], statement[2]), QUDAG_EAUTH);
    assert_int_equal(qudag_node_rekey(net[OWNER].node, key[2], statement[1]), QUDAG_EAUTH);
    assert_int_equal(qudag_node_rekey(net[OWNER].node, NULL, statement[1]), QUDAG_EINVAL);
    statement[1][100] ^= 1;
    assert_int_not_equal(qudag_node_rekey(net[OWNER].node, key[1], statement[1]), QUDAG_OK);
    statement[1][100] ^= 1;
    assert_int_equal(net_stat(&net[OWNER], "links_old_key"), 0);

    for (unsigned k = 1; k <= 2; k++) {
        assert_int_equal(qudag_node_rekey(net[OWNER].node, key[k], statement[k]), QUDAG_OK);
        qudag_identity_free(key[k - 1]); /* nothing refers to it */
        key[k - 1] = NULL;
        net[OWNER].id = key[k];
        assert_true(net_stat(&net[OWNER], "links_old_key") > 0);
        NET_WAIT(changes(PEER, OWNER) == k && changes(AWAY, OWNER) == k, NET_SOON);
        assert_true(linked(PEER, OWNER) && linked(OWNER, AWAY));
        assert_int_equal(qudag_node_rekey(net[OWNER].node, key[k], statement[k]), QUDAG_EAUTH);
    }
    assert_int_equal(net[PEER].pin_changes, 2);
    assert_int_equal(net[PEER].pin.change, QUDAG_PIN_FOLLOWED);
    assert_int_equal(net[PEER].pin.statement.sequence, 2);
    assert_true(net_stat(&net[OWNER], "links_rekeyed") >= 4);

    /* What names the new key, and an older one, leads here. */
    net_start(NEWCOMER, &o);
    assert_int_equal(dial_named(NEWCOMER, OWNER, 2), QUDAG_OK);
    stop(OWNER);
    for (unsigned i = 2; i < KEYS; i++) {
        qudag_identity_free(key[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_node_that_runs_takes_another_key_and_its_peers_follow,
                                  net_stop_all),
        cmocka_unit_test_teardown(peers_follow_and_thieves_are_not_followed, net_stop_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
