/*
 * saved_test.c - what is written to disk and taken back: names, contents, bounds, and a disk that is full.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/dark_clients.h"
#include "node/internal.h"
#include "node/testkit_case.h"

#include "base/rd.h"
#include "base/wr.h"
#include "crypto/hash.h"

#define FILES 16

/* What the last node has saved. */
static struct {
    char name[FILES][64];
    uint8_t bytes[FILES][RELAYS_GUARDS_FILE_MAX];
    size_t len[FILES], n, calls, persists;
    qudag_err err, persist_err;
    uint8_t pin_name[32], pin[SWARM_PIN_CHANGE_MAX]; /* the last */
    size_t pin_len, pins;
} disk;

static char said[64]; /* "kind" of the last node.save_failed */
static unsigned unkept_guards, unkept_dark;

static void on_log(void *ctx, const struct log_record *rec)
{
    (void)ctx;
    unkept_guards += strcmp(rec->event, "guards.not_kept") == 0 ? 1 : 0;
    unkept_dark += strcmp(rec->event, "dark.not_kept") == 0 ? 1 : 0;
    for (size_t i = 0; strcmp(rec->event, "node.save_failed") == 0 && i < rec->n; i++) {
        if (strcmp(rec->field[i].name, "kind") == 0) {
            (void)strncpy(said, rec->field[i].text, sizeof(said) - 1);
        }
    }
}

static size_t file_of(const char *name)
{
    size_t i = 0;

    while (i < disk.n && strcmp(disk.name[i], name) != 0) {
        i++;
    }
    return i;
}

static qudag_err save(void *ctx, const char *name, struct slice bytes)
{
    size_t i = file_of(name);
    (void)ctx;

    disk.calls++;
    if (disk.err == QUDAG_OK) {
        assert_true(i < FILES && strlen(name) < 64 && bytes.len <= sizeof(disk.bytes[0]));
        memcpy(disk.name[i], name, strlen(name) + 1);
        disk.len[i] = bytes.len;
        if (bytes.len > 0) {
            memcpy(disk.bytes[i], bytes.base, bytes.len);
        }
        disk.n += i == disk.n ? 1 : 0;
    }
    return disk.err;
}

static qudag_err persist(void *ctx, enum kad_persist_kind kind, const uint8_t *hash,
                         struct slice bytes)
{
    (void)ctx;
    disk.persists++;
    if (kind == KAD_PERSIST_PIN && bytes.len > 0) {
        memcpy(disk.pin_name, hash, sizeof(disk.pin_name));
        memcpy(disk.pin, bytes.base, bytes.len);
        disk.pin_len = bytes.len;
        disk.pins++;
    }
    return disk.persist_err;
}

static int setup(void **state)
{
    memset(&disk, 0, sizeof(disk));
    memset(said, 0, sizeof(said));
    unkept_guards = unkept_dark = 0;
    return nt_setup(state);
}

static bool all_ended(struct nt *nt)
{
    return nt_all_ended(&nt->node[4]);
}

/* A node that has not been started and saves to |disk|. */
static struct node *alone(bool relay)
{
    struct node_config c = nt_config(&net, 0);

    c.relay = relay;
    c.persist = true;
    c.log = (struct logger){.emit = on_log, .level = LOG_DEBUG};
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    struct node *n = net.node[0].node;
    n->hooks.save = save;
    n->hooks.persist = persist;
    return n;
}

static void a_forgotten_address_leaves_neither_keys_nor_the_wish_to_publish_it(void **state)
{
    struct dark_addr a;
    (void)state;
    struct node *n = alone(true);
    assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &a), QUDAG_OK);
    node_saved_published(n, &a, true);
    assert_int_equal(disk.n, 2);
    for (size_t i = 0; i < disk.n; i++) {
        assert_true(disk.len[i] > 0);
    }
    assert_int_equal(node_saved_service_keys(n, &a, (struct slice){(const uint8_t *)"k", 1}),
                     QUDAG_OK);
    assert_int_equal(disk.n, 3);
    node_saved_forget_dark_keys(n, &a);
    assert_int_equal(disk.n, 3);
    for (size_t i = 0; i < disk.n; i++) { /* of no length: removed */
        assert_int_equal(disk.len[i], 0);
    }
}

static void names_of_two_addresses_have_more_than_their_network_in_common(void **state)
{
    struct dark_addr a, b;
    (void)state;
    struct node *n = alone(true);
    assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &a), QUDAG_OK);
    assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &b), QUDAG_OK);
    assert_int_equal(disk.n, 2);
    assert_int_equal(strlen(disk.name[0]), sizeof("dark-") - 1 + 24);
    size_t same = 0; /* version and network are in no name */
    while (disk.name[0][5 + same] == disk.name[1][5 + same]) {
        same++;
    }
    assert_true(same < 6);
}

static void a_failed_save_is_logged_without_the_address(void **state)
{
    struct dark_addr a;
    (void)state;
    struct node *n = alone(true);
    disk.err = QUDAG_ESYSTEM;
    assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &a), QUDAG_ESYSTEM);
    assert_string_equal(said, "dark");
}

/* An own address of kind hidden. */
static struct dark_addr hidden_address(struct node *n)
{
    struct dark_keys k;

    assert_int_equal(
        dark_keys_create(&k, n->cfg.lab ? DARK_NET_LAB : DARK_NET_MAIN, "h", NT_WALL, &n->cfg.rng),
        QUDAG_OK);
    k.kind = DARK_HIDDEN;
    struct dark_addr a = k.addr;
    assert_int_equal(dark_own(n->dark, &k), QUDAG_OK);
    return a;
}

static void clients_are_saved_or_not_let_in(void **state)
{
    uint8_t secret[DARK_CLIENT_SECRET_LEN];
    static const uint8_t zero[DARK_CLIENT_SECRET_LEN];
    struct dark_keys k;
    (void)state;
    struct node *n = alone(true);
    struct dark_addr a = hidden_address(n);
    const struct dark_clients *c = &dark_own_get(n->dark, &a)->clients;
    disk.err = QUDAG_ESYSTEM;
    assert_int_equal(node_dark_client_add(n, &a, "anne", secret, net.now), QUDAG_ESYSTEM);
    assert_memory_equal(secret, zero, sizeof(secret));
    assert_false(c->only); /* anybody may call, as before */
    disk.err = QUDAG_OK;
    assert_int_equal(node_dark_client_add(n, &a, "anne", secret, net.now), QUDAG_OK);
    disk.err = QUDAG_ESYSTEM;
    uint8_t other[DARK_CLIENT_SECRET_LEN];
    assert_int_equal(node_dark_client_add(n, &a, "ben", other, net.now), QUDAG_ESYSTEM);
    assert_true(c->only && c->n == 1);
    disk.err = QUDAG_OK;
    size_t ix = 0; /* beside it, what was kept of the service's keys: nothing */
    while (ix < disk.n && strncmp(disk.name[ix], "dark-", 5) != 0) {
        ix++;
    }
    assert_true(ix < disk.n);
    struct slice file = {disk.bytes[ix], disk.len[ix]};
    assert_int_equal(dark_keys_load(&k, file), QUDAG_OK);
    assert_int_equal(k.clients.n, 1);
    assert_memory_equal(k.clients.client[0].secret, secret, sizeof(secret));
    dark_keys_fini(&k);
    assert_int_equal(node_dark_client_remove(n, &a, "ben", net.now), QUDAG_ENOTFOUND);
    assert_int_equal(node_dark_client_remove(n, &a, "anne", net.now), QUDAG_OK);
    assert_int_equal(dark_keys_load(&k, file), QUDAG_OK);
    assert_true(k.clients.only && k.clients.n == 0);
    dark_keys_fini(&k);
}

static void secrets_of_others_are_saved_and_taken_back(void **state)
{
    uint8_t secret[DARK_CLIENT_SECRET_LEN] = {7};
    char text[DARK_TEXT_MAX + DARK_CLIENT_TEXT_MAX];
    struct dark_addr a;
    (void)state;
    struct node *n = alone(true);
    assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &a), QUDAG_OK);
    assert_int_equal(node_dark_authorize(n, &a, NULL), QUDAG_ENOTFOUND);
    assert_int_equal(node_dark_authorize(n, &a, secret), QUDAG_OK);
    size_t ix = disk.n - 1, len = disk.len[ix];
    assert_int_equal(strncmp(disk.name[ix], "auth-", 5), 0);
    assert_true(len > 0 && len < sizeof(text));
    memcpy(text, disk.bytes[ix], len);
    assert_int_equal(node_dark_authorize(n, &a, NULL), QUDAG_OK);
    assert_int_equal(disk.len[ix], 0); /* the file is gone */
    struct slice bytes = {(const uint8_t *)text, len};
    assert_int_equal(node_restore(n, "auth-x", bytes, net.now), QUDAG_OK);
    assert_int_equal(node_dark_authorize(n, &a, NULL), QUDAG_OK); /* it was there again */
    for (size_t i = 0; i < len; i++) {
        char was = text[i];
        text[i] = was == 'q' ? 'r' : 'q';
        assert_int_not_equal(node_restore(n, "auth-x", bytes, net.now), QUDAG_OK);
        text[i] = was;
        assert_int_not_equal(node_restore(n, "auth-x", (struct slice){bytes.base, i}, net.now),
                             QUDAG_OK);
    }
}

static void no_more_addresses_are_published_again_than_there_may_be(void **state)
{
    struct dark_addr a;
    char text[DARK_TEXT_MAX + 1];
    (void)state;
    struct node *n = alone(true);
    assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &a), QUDAG_OK);
    size_t len = dark_addr_text(text, &a);
    for (size_t i = 0; i < DARK_ADDRS_MAX + 3; i++) {
        struct slice bytes = {(const uint8_t *)text, len};
        assert_int_equal(node_restore(n, "pub-x", bytes, net.now), QUDAG_OK);
    }
    assert_int_equal(n->n_republish, DARK_ADDRS_MAX);
    memset(text, 'a', sizeof(text));
    for (size_t bad = DARK_TEXT_MAX - 1; bad <= DARK_TEXT_MAX + 1; bad++) {
        struct slice bytes = {(const uint8_t *)text, bad};
        assert_int_not_equal(node_restore(n, "pub-x", bytes, net.now), QUDAG_OK);
    }
    struct slice whole = {(const uint8_t *)text, DARK_TEXT_MAX};
    assert_int_equal(node_restore(n, "pub-x", whole, net.now), QUDAG_EMALFORMED);
}

/* Gives |n| a record of its open namespace. */
static qudag_err give_record(struct node *n, char last)
{
    char key[] = "/app/?";
    uint8_t buf[64], hash[SHA256_LEN];
    struct wr w = wr_init(buf, sizeof(buf));

    key[5] = last;
    struct slice name = {(const uint8_t *)key, sizeof(key) - 1};
    wr_u8(&w, 1);
    wr_u64(&w, NT_WALL);
    wr_u64(&w, NT_WALL + 1000);
    wr_lp16(&w, name);
    wr_u8(&w, 'v');
    sha256(hash, name);
    return node_dht_restore(n, KAD_PERSIST_RECORD, hash, wr_done(&w), net.now);
}

static void a_disk_that_takes_no_more_ends_what_is_taken_for_others(void **state)
{
    (void)state;
    struct node *n = alone(true);
    assert_int_equal(give_record(n, '1'), QUDAG_OK);
    kad_change_all(n->kad);
    disk.persist_err = QUDAG_ELIMIT;
    node_saved_dht(n, net.now);
    assert_int_equal(give_record(n, '2'), QUDAG_ELIMIT);
    node_persist_room(n, true, false, net.now);
    assert_int_equal(give_record(n, '2'), QUDAG_OK);
    node_persist_room(n, false, false, net.now);
    assert_int_equal(give_record(n, '3'), QUDAG_ELIMIT);
}

static void an_empty_table_does_not_replace_the_contacts_on_disk(void **state)
{
    (void)state;
    struct node *n = alone(true);
    node_saved_anchors(n, net.now);
    assert_int_equal(disk.persists, 0);
}

/* Drawn among all of them: those that were there first are everybody's. */
static void contacts_of_the_last_run_are_drawn(void **state)
{
    static uint8_t buf[KAD_ANCHORS_BYTES];
    struct kad_peer_info info;
    (void)state;
    struct node *n = alone(true);
    for (uint8_t i = 1; i <= 60; i++) {
        struct netaddr a = {.family = 4, .ip = {10, 1, 1, i}, .port = 4001};
        struct kad_peer_info p = {.n_addrs = 1};
        peer_id_from_ed25519(&p.id, (const uint8_t[32]){i, 5});
        multiaddr_quic(&p.addr[0], &a, NULL);
        kad_preload(n->kad, &p, NS_PER_MS, net.now);
    }
    struct slice list = {buf, kad_anchors(n->kad, buf, sizeof(buf))};
    assert_int_equal(node_dht_restore(n, KAD_PERSIST_ANCHORS, NULL, list, net.now), QUDAG_OK);
    assert_int_equal(n->n_anchors, NODE_ANCHOR_DIALS);
    size_t at = 0, seen = 0, of_the_first = 0;
    while (kad_anchor_next(list, &at, &info)) {
        for (size_t i = 0; seen < NODE_ANCHOR_DIALS && i < n->n_anchors; i++) {
            struct peer_id id;
            assert_true(multiaddr_peer(&n->anchor[i], &id));
            of_the_first += peer_id_eq(&id, &info.id) ? 1 : 0;
        }
        seen++;
    }
    assert_true(seen > 2 * NODE_ANCHOR_DIALS);
    assert_true(of_the_first < NODE_ANCHOR_DIALS);
}

static void the_clock_reaches_what_dates_and_judges_records(void **state)
{
    (void)state;
    struct node *n = alone(true);
    struct wallclock later = {NT_WALL + 2000, NT_START};
    node_set_clock(n, later, net.now);
    assert_int_equal(give_record(n, '1'), QUDAG_EEXPIRED);
}

static void a_node_that_is_no_relay_takes_no_relay_key(void **state)
{
    static const uint8_t key[8 + X25519_LEN + MLKEM768_SEED_LEN] = {0, 2, 3};
    (void)state;
    struct node *n = alone(false);
    struct slice bytes = {key, sizeof(key)};
    assert_int_equal(node_restore(n, "onion-key", bytes, net.now), QUDAG_OK);
    assert_false(n->has_onion_key);
}

static bool linked(size_t to, size_t from)
{
    struct node_request r = {.kind = NODE_OP_CONNECT};
    uint8_t props;

    multiaddr_quic(&r.addr, &net.node[to].addr, &net.node[to].peer);
    assert_int_not_equal(nt_ask(&net.node[from], &r), SIZE_MAX);
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    return swarm_connected(node_swarm(net.node[to].node), &net.node[from].peer, &props);
}

static void plain(size_t ix)
{
    struct node_config c = nt_config(&net, ix);

    c.pq = PQ_PREFER;
    c.persist = true;
    assert_int_equal(nt_make(&net, ix, &c), QUDAG_OK);
}

/* As it was written it lets the peer in, changed it does not: it is what was proven that counts. */
static void what_peers_proved_is_on_disk_and_counts_after_a_restart(void **state)
{
    (void)state;
    struct node *n = alone(true);
    plain(1);
    assert_true(linked(0, 1));
    assert_int_equal(disk.pins, 1);
    node_persist_room(n, true, true, net.now); /* all is put again */
    assert_int_equal(disk.pins, 2);
    for (size_t ix = 2; ix < 4; ix++) {
        struct slice bytes = {disk.pin, disk.pin_len};
        plain(ix);
        disk.pin[20] ^= ix == 3 ? 1 : 0;
        assert_int_equal(
            node_dht_restore(net.node[ix].node, KAD_PERSIST_PIN, disk.pin_name, bytes, net.now),
            QUDAG_OK);
        assert_int_equal(linked(ix, 1), ix == 2);
    }
}

/* Node 1, which joins through node 0 by addresses with these hashes, and saves to |disk|. */
static void by_hashes(const uint8_t *const hash[], size_t n)
{
    struct node_config c = nt_config(&net, 1);

    c.persist = true;
    for (size_t i = 0; i < n; i++) {
        nt_boot(&net, &c, 0);
        c.boot[i].has_pq = true;
        memcpy(c.boot[i].pq_hash, hash[i], sizeof(c.boot[i].pq_hash));
    }
    assert_int_equal(nt_make(&net, 1, &c), QUDAG_OK);
    net.node[1].phase = NODE_START;
    net.node[1].node->hooks.persist = persist;
    if (disk.pins > 0) {
        assert_int_equal(node_dht_restore(net.node[1].node, KAD_PERSIST_PIN, disk.pin_name,
                                          (struct slice){disk.pin, disk.pin_len}, net.now),
                         QUDAG_OK);
    }
    node_start(net.node[1].node);
}

/* What the configuration says of a key is no proof: corrected, it lets the node in. */
static void a_mistyped_hash_is_forgotten_with_the_configuration(void **state)
{
    uint8_t slip[32];
    const uint8_t *hash[] = {slip, net.node[0].id.pq_hash};
    struct node_join_why why;
    (void)state;
    nt_network(&net, 1);
    memcpy(slip, net.node[0].id.pq_hash, sizeof(slip));
    slip[31] ^= 1;
    by_hashes(hash, 1);
    (void)nt_run(&net, 30 * NS_PER_S, NULL);
    assert_int_equal(net.node[1].phase_err, QUDAG_EAUTH);
    node_join_why_get(net.node[1].node, &why);
    assert_int_equal(why.err, QUDAG_EAUTH);
    assert_int_equal(why.auth, NODE_AUTH_NAMED);
    node_persist_room(net.node[1].node, true, true, net.now); /* all that there is */
    node_shutdown(net.node[1].node, net.now);
    assert_int_equal(disk.pins, 0);
    (void)nt_free(&net, 1);
    by_hashes(hash + 1, 1);
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    assert_int_equal(disk.pins, 1);
    (void)nt_free(&net, 1);
    by_hashes(hash, 1); /* now it is proven, and he is told that it is his text that differs */
    (void)nt_run(&net, 5 * NS_PER_S, NULL);
    node_join_why_get(net.node[1].node, &why);
    assert_int_equal(why.auth, NODE_AUTH_NAMED_PROVEN);
}

static void a_mistyped_hash_does_not_stand_in_the_way_of_the_right_one_beside_it(void **state)
{
    uint8_t slip[32] = {7};
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        const uint8_t *hash[2];
        nt_network(&net, 1);
        hash[first] = slip;
        hash[1 - first] = net.node[0].id.pq_hash;
        by_hashes(hash, 2);
        assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
        (void)nt_free(&net, 0);
        (void)nt_free(&net, 1);
        disk.pins = 0;
    }
}

/* What others caused waits for its time, and for the end of the node at the latest. */
static void pins_that_wait_are_written_in_time_and_at_the_end(void **state)
{
    const uint8_t hash[32] = {1};
    (void)state;
    struct node *n = alone(true);
    (void)nt_run(&net, NS_PER_S, NULL);
    for (uint8_t i = 0; i < 70; i++) {
        uint8_t pk[32] = {i, 77};
        struct peer_id id;
        peer_id_from_ed25519(&id, pk);
        swarm_pin(node_swarm(n), &id, hash);
    }
    node_drain(n, net.now);
    assert_int_equal(disk.pins, 32);
    (void)nt_run(&net, 3 * NS_PER_S, NULL);
    assert_int_equal(disk.pins, 64);
    node_drain(n, net.now);
    assert_int_equal(disk.pins, 64);
    node_shutdown(n, net.now);
    assert_int_equal(disk.pins, 70);
}

static void nothing_is_begun_by_a_node_that_closes(void **state)
{
    struct node_request r = {.kind = NODE_OP_CLOSEST};
    struct ref ref;
    (void)state;
    struct node *n = alone(true);
    n->closing = true;
    assert_int_equal(node_request(n, &r, &ref), QUDAG_ESTATE);
    n->closing = false;
}

static void streams_to_one_address_use_no_circuit_to_another(void **state)
{
    static const struct node_circuit_use use = {.name = "dark", .to_service = true};
    struct node_circuit c = {.use = &use};
    struct dark_addr a, b;
    (void)state;
    struct node *n = alone(true);
    assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &a), QUDAG_OK);
    assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &b), QUDAG_OK);
    c.dark = a;
    list_init(&c.waiting);
    list_push_back(&n->circuits, &c.node);
    c.times = node_life_unused();
    assert_ptr_equal(node_circuit_for(n, &a, &c.key), &c);
    assert_null(node_circuit_for(n, &b, &c.key));
    const struct node_isolation other = {.len = 1, .key = {0}};
    assert_null(node_circuit_for(n, &a, &other));
    c.ended = true;
    assert_null(node_circuit_for(n, &a, &c.key));
    c.ended = false;
    node_circuit_used(n, &c);
    assert_ptr_equal(node_circuit_for(n, &a, &c.key), &c);
    n->now += NODE_LIFE_DIRTY_AT;
    assert_null(node_circuit_for(n, &a, &c.key));
    list_del(&c.node);
}

/* The peer that a file of guards names first. */
static struct peer_id first_of(struct node *n, size_t at)
{
    struct relays_config cfg = {.mem = n->mem, .rng = n->cfg.rng, .lab = true};
    struct relays *r;
    struct peer_id guard;

    assert_int_equal(relays_new(&r, &cfg), QUDAG_OK);
    assert_int_equal(relays_guards_load(r, (struct slice){disk.bytes[at], disk.len[at]}), QUDAG_OK);
    assert_true(relays_guard(r, &guard));
    relays_free(r);
    return guard;
}

/* Guards and a number that were not saved would be others after a restart. */
static void a_relay_saves_its_guards_once_and_its_latest_number(void **state)
{
    struct peer_id guard, saved;
    (void)state;
    nt_network(&net, 5);
    struct node *n = net.node[4].node;
    n->hooks.save = save;
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    size_t seq = file_of("relay-seq");
    assert_true(seq < disk.n);
    struct rd r = rd_init((struct slice){disk.bytes[seq], disk.len[seq]});
    assert_int_equal(rd_u64(&r), n->self_desc.seq);
    for (int i = 0; i < 2; i++) {
        struct node_request ask = {.kind = NODE_OP_CIRCUIT, .hops = 3};
        assert_int_not_equal(nt_ask(&net.node[4], &ask), SIZE_MAX);
        assert_true(nt_run(&net, 60 * NS_PER_S, all_ended));
    }
    size_t at = file_of("guards");
    assert_true(at < disk.n);
    assert_true(relays_guard(n->relays, &guard));
    saved = first_of(n, at);
    assert_true(peer_id_eq(&guard, &saved));
    node_saved_guards(n, true);
    size_t calls = disk.calls;
    node_saved_guards(n, true);
    assert_int_equal(disk.calls, calls); /* it is there */
}

/* A program that has guards and keeps none chooses others at each start, and would not know it. */
static void whoever_keeps_nothing_is_warned_once(void **state)
{
    struct dark_addr a;
    (void)state;
    nt_network(&net, 5);
    struct node *n = net.node[4].node;
    n->hooks.save = NULL;
    n->cfg.log = (struct logger){.emit = on_log, .level = LOG_WARN};
    assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
    (void)nt_run(&net, 60 * NS_PER_S, NULL);
    for (int i = 0; i < 2; i++) {
        struct node_request ask = {.kind = NODE_OP_CIRCUIT, .hops = 3};
        assert_int_not_equal(nt_ask(&net.node[4], &ask), SIZE_MAX);
        assert_true(nt_run(&net, 60 * NS_PER_S, all_ended));
        assert_int_equal(node_dark_create(n, &nt_direct, "x", net.now, &a), QUDAG_OK);
    }
    assert_int_equal(unkept_guards, 1);
    assert_int_equal(unkept_dark, 1);
}

/* Another life of node 4 begins with what was saved: same guard, however often, though others are as near. */
static void guards_are_the_same_after_every_restart(void **state)
{
    struct peer_id guard, before = {0};
    (void)state;
    nt_network(&net, 6);
    net.node[4].node->hooks.save = save;
    for (int life = 0; life < 4; life++) {
        struct node *n = net.node[4].node;
        assert_true(nt_run(&net, 60 * NS_PER_S, nt_all_ready));
        struct node_request ask = {.kind = NODE_OP_CIRCUIT, .hops = 3};
        assert_int_not_equal(nt_ask(&net.node[4], &ask), SIZE_MAX);
        assert_true(nt_run(&net, 60 * NS_PER_S, all_ended));
        assert_int_equal(net.node[4].ask[net.node[4].n_asks - 1].err, QUDAG_OK);
        assert_true(relays_guard(n->relays, &guard));
        assert_true(life == 0 || peer_id_eq(&guard, &before));
        before = guard;
        size_t at = file_of("guards");
        assert_true(at < disk.n);
        node_free(n);
        net.node[4].node = NULL;
        struct node_config c = nt_config(&net, 4);
        nt_boot(&net, &c, (size_t)life % 4); /* others answer first */
        assert_int_equal(nt_make(&net, 4, &c), QUDAG_OK);
        net.node[4].phase = NODE_START;
        net.node[4].n_asks = 0; /* the new life gives the same names to its requests */
        net.node[4].node->hooks.save = save;
        assert_int_equal(node_restore(net.node[4].node, "guards",
                                      (struct slice){disk.bytes[at], disk.len[at]}, net.now),
                         QUDAG_OK);
        node_start(net.node[4].node);
    }
}

/* A restore with other keys than those the state belongs to would link the two for everybody. */
static void state_of_another_identity_is_refused(void **state)
{
    (void)state;
    struct node_config c = nt_config(&net, 0);
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    struct node *n = net.node[0].node;
    n->hooks.save = save;
    node_start(n);
    size_t at = file_of("owner");
    assert_true(at < disk.n);
    assert_int_equal(disk.len[at], 32);
    c = nt_config(&net, 1);
    assert_int_equal(nt_make(&net, 1, &c), QUDAG_OK);
    struct slice owner = {disk.bytes[at], disk.len[at]};
    assert_int_equal(node_restore(net.node[1].node, "owner", owner, net.now), QUDAG_EAUTH);
    assert_true(node_foreign(net.node[1].node));
    owner.len--;
    assert_int_equal(node_restore(net.node[1].node, "owner", owner, net.now), QUDAG_EMALFORMED);
    owner.len++;
    node_free(n);
    net.node[0].node = NULL;
    c = nt_config(&net, 0);
    assert_int_equal(nt_make(&net, 0, &c), QUDAG_OK);
    n = net.node[0].node;
    n->hooks.save = save;
    assert_int_equal(node_restore(n, "owner", owner, net.now), QUDAG_OK);
    assert_false(node_foreign(n));
    size_t files = disk.n;
    disk.len[at] = 0;
    node_start(n);
    assert_int_equal(disk.n, files);
    assert_int_equal(disk.len[at], 0); /* what is there is not written again */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, nt_teardown)
    const struct CMUnitTest tests[] = {
        T(a_forgotten_address_leaves_neither_keys_nor_the_wish_to_publish_it),
        T(names_of_two_addresses_have_more_than_their_network_in_common),
        T(a_failed_save_is_logged_without_the_address),
        T(clients_are_saved_or_not_let_in),
        T(secrets_of_others_are_saved_and_taken_back),
        T(no_more_addresses_are_published_again_than_there_may_be),
        T(a_disk_that_takes_no_more_ends_what_is_taken_for_others),
        T(an_empty_table_does_not_replace_the_contacts_on_disk),
        T(contacts_of_the_last_run_are_drawn),
        T(the_clock_reaches_what_dates_and_judges_records),
        T(a_node_that_is_no_relay_takes_no_relay_key),
        T(what_peers_proved_is_on_disk_and_counts_after_a_restart),
        T(a_mistyped_hash_is_forgotten_with_the_configuration),
        T(a_mistyped_hash_does_not_stand_in_the_way_of_the_right_one_beside_it),
        T(pins_that_wait_are_written_in_time_and_at_the_end),
        T(nothing_is_begun_by_a_node_that_closes),
        T(streams_to_one_address_use_no_circuit_to_another),
        T(a_relay_saves_its_guards_once_and_its_latest_number),
        T(whoever_keeps_nothing_is_warned_once),
        T(guards_are_the_same_after_every_restart),
        T(state_of_another_identity_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
