/*
 * links_test.c - acceptance cases of connections: limit, status, closing, backoff, bounded queues,
 * shutdown.  The nodes do not join a network, so that links come from these tests alone.
 *
 * TEST: timeout=120 waits
 */
#include "net.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct net_options links_only = {.waiting = true, .client = true};

/* ---- A1 ---- */

#define LIMIT_OF_SETTINGS 8
#define LIMIT 7   /* of our own choice: one place is for dials that others cause */
#define INBOUND 6 /* for those who dial */
#define SURPLUS 4
#define DEAD 3

static void most_links(uint64_t *most, size_t of)
{
    uint64_t n = net_stat(&net[of], "links");
    *most = n > *most ? n : *most;
}

/* A socket that takes datagrams and never answers. */
static int silent_peer(char *addr, size_t cap, const char *peer)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(addr, cap, "/ip4/127.0.0.1/udp/%u/quic-v1/p2p/%s", ntohs(a.sin_port), peer);
    return fd;
}

static void more_dials_than_links_max_never_open_more_links(void **state)
{
    struct net_options few = links_only;
    uint64_t most = 0;
    qudag_op op;
    (void)state;

    few.links_max = LIMIT_OF_SETTINGS;
    net_start(0, &few);
    for (size_t i = 1; i <= LIMIT + SURPLUS; i++) {
        net_start(i, &links_only);
        assert_int_equal(qudag_connect(net[0].node, net[i].addr, &op), QUDAG_OK);
    }
    while (net[0].all_done < LIMIT + SURPLUS && most <= LIMIT) {
        net_turn();
        most_links(&most, 0);
    }
    assert_int_equal(most, LIMIT);
    size_t refused = 0;
    for (size_t i = 0; i < net[0].all_done; i++) {
        if (net[0].errs[i] != QUDAG_OK) {
            assert_int_equal(net[0].errs[i], QUDAG_ELIMIT);
            refused++;
        }
    }
    assert_int_equal(refused, SURPLUS);
}

static void a_link_that_ends_makes_room_for_another(void **state)
{
    (void)state;
    size_t in = 0, out = 0;
    for (size_t i = 1; i <= LIMIT + SURPLUS; i++) {
        if (net_links(&net[0], &net[i]) > 0) {
            in = i;
        } else {
            out = i;
        }
    }
    assert_true(in != 0 && out != 0);
    net_ask(&net[0], qudag_connect(net[0].node, net[out].addr, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_ELIMIT);
    assert_string_equal(
        net[0].text,
        "a limit of this node: 6 of 6 places for dials of this node (links_max) are used");
    net_stop(in);
    NET_WAIT(net_stat(&net[0], "links") == LIMIT - 1, NET_SOON);
    /* QUIC keeps a closed connection for three timeouts more, to answer what is late */
    double end = net_now() + NET_SOON;
    do {
        net_ask(&net[0], qudag_connect(net[0].node, net[out].addr, &net[0].last));
    } while (net[0].err == QUDAG_ELIMIT && net_now() < end);
    assert_int_equal(net[0].err, QUDAG_OK);
    assert_int_equal(net_stat(&net[0], "links"), LIMIT);
}

static void dials_that_fail_give_their_places_back(void **state)
{
    char addr[DEAD][QUDAG_ADDR_TEXT_MAX];
    int fd[DEAD];
    qudag_op op;
    (void)state;

    (void)net_stop_all(NULL);
    struct net_options few = links_only;
    few.links_max = LIMIT_OF_SETTINGS;
    net_start(0, &few);
    for (size_t i = 1; i <= LIMIT; i++) {
        net_start(i, &links_only);
    }
    for (size_t i = 0; i < DEAD; i++) {
        fd[i] = silent_peer(addr[i], sizeof(addr[i]), net[LIMIT - i].self_text);
        assert_int_equal(qudag_connect(net[0].node, addr[i], &op), QUDAG_OK);
    }
    for (size_t i = 1; i <= LIMIT; i++) {
        assert_int_equal(qudag_connect(net[0].node, net[i].addr, &op), QUDAG_OK);
    }
    NET_WAIT(net[0].all_done == DEAD + LIMIT, 10 + NET_SOON);
    NET_WAIT(net_stat(&net[0], "links") >= LIMIT - DEAD, NET_SOON);
    for (size_t i = 1; i <= LIMIT; i++) {
        if (net_links(&net[0], &net[i]) == 0) {
            net_ask(&net[0], qudag_connect(net[0].node, net[i].addr, &net[0].last));
            assert_int_equal(net[0].err, QUDAG_OK);
        }
    }
    assert_int_equal(net_stat(&net[0], "links"), LIMIT);
    for (size_t i = 0; i < DEAD; i++) {
        close(fd[i]);
    }
}

static void inbound_links_count_too_and_others_are_not_disturbed(void **state)
{
    struct net_options few = links_only;
    uint64_t most = 0;
    size_t ok = 0, in_error = 0;
    qudag_op op;
    (void)state;

    (void)net_stop_all(NULL);
    few.links_max = LIMIT_OF_SETTINGS;
    net_start(0, &few);
    for (size_t i = 1; i <= INBOUND + SURPLUS; i++) {
        net_start(i, &links_only);
        assert_int_equal(qudag_connect(net[i].node, net[0].addr, &op), QUDAG_OK);
    }
    double end =
        net_now() + 8; /* they are notified; nobody waits for a handshake timeout of 10 s */
    while (ok + in_error < INBOUND + SURPLUS && net_now() < end) {
        net_turn();
        most_links(&most, 0);
        ok = in_error = 0;
        for (size_t i = 1; i <= INBOUND + SURPLUS; i++) {
            ok += net[i].all_done > 0 && net[i].errs[0] == QUDAG_OK;
            in_error += net[i].all_done > 0 && net[i].errs[0] == QUDAG_ELIMIT;
        }
    }
    assert_int_equal(most, INBOUND);
    assert_int_equal(ok, INBOUND);
    assert_int_equal(in_error, SURPLUS);
    for (size_t i = 1; i <= INBOUND + SURPLUS; i++) {
        if (net[i].errs[0] == QUDAG_OK) {
            net_ask(&net[i], qudag_ping(net[i].node, &net[0].self, &net[i].last));
            assert_int_equal(net[i].err, QUDAG_OK);
        } else {
            net_ask(&net[i], qudag_connect(net[i].node, net[0].addr, &net[i].last));
            assert_int_equal(net[i].err, QUDAG_ELIMIT);
            assert_string_equal(net[i].text,
                                "the peer accepts no more links now: a limit of its own");
        }
    }
}

/* ---- which links go first ---- */

static int32_t value_of(size_t at, size_t of, qudag_standing *standing)
{
    qudag_link_info info = QUDAG_INIT(qudag_link_info);

    for (size_t it = 0; qudag_link_next(net[at].node, &it, &info);) {
        if (memcmp(&info.peer, &net[of].self, sizeof(info.peer)) == 0) {
            *standing = info.standing;
            return info.value;
        }
    }
    fail_msg("no link");
    return 0;
}

/* Six strangers have all the places; the one that is protected keeps its, another goes for whom we protect. */
static void whom_the_program_protects_has_a_place(void **state)
{
    struct net_options few = links_only;
    qudag_peer_tag_info tag = QUDAG_INIT(qudag_peer_tag_info);
    qudag_standing standing = QUDAG_STANDING_STRANGER;
    size_t it = 0;
    (void)state;

    (void)net_stop_all(NULL);
    few.links_max = LIMIT_OF_SETTINGS;
    net_start(0, &few);
    for (size_t i = 1; i <= INBOUND; i++) {
        net_start(i, &links_only);
        net_ask(&net[i], qudag_connect(net[i].node, net[0].addr, &net[i].last));
        assert_int_equal(net[i].err, QUDAG_OK);
    }
    qudag_node *n = net[0].node;
    assert_int_equal(qudag_peer_protect(n, &net[1].self, "mine"), QUDAG_OK);
    for (size_t i = 2; i < INBOUND; i++) {
        assert_int_equal(qudag_peer_tag(n, &net[i].self, "mine", 700), QUDAG_OK);
    }
    assert_true(value_of(0, 1, &standing) >= 1500);
    assert_int_equal(standing, QUDAG_STANDING_PROTECTED);
    int32_t before = value_of(0, 2, &standing);
    assert_int_equal(qudag_peer_tag(n, &net[2].self, "more", -100), QUDAG_OK);
    assert_in_range(value_of(0, 2, &standing), before - 100,
                    before - 90); /* it was used a little */
    assert_int_equal(qudag_peer_untag(n, &net[2].self, "more"), QUDAG_OK);
    assert_int_equal(qudag_peer_untag(n, &net[2].self, "more"), QUDAG_ENOTFOUND);
    assert_int_equal(qudag_peer_tag(n, &net[2].self, "mine", 1001), QUDAG_EINVAL);
    assert_int_equal(qudag_peer_protect(n, &net[2].self, "two words"), QUDAG_EINVAL);
    assert_int_equal(qudag_peer_unprotect(n, &net[2].self, "mine"), QUDAG_ENOTFOUND);
    assert_true(qudag_peer_tag_next(n, &net[2].self, &it, &tag));
    assert_string_equal(tag.name, "mine");
    assert_true(tag.weighs && !tag.protects && tag.weight == 700);
    assert_false(qudag_peer_tag_next(n, &net[2].self, &it, &tag));

    net_start(INBOUND + 1, &links_only);
    assert_int_equal(qudag_peer_protect(n, &net[INBOUND + 1].self, "mine"), QUDAG_OK);
    net_ask(&net[INBOUND + 1],
            qudag_connect(net[INBOUND + 1].node, net[0].addr, &net[INBOUND + 1].last));
    assert_int_equal(net[INBOUND + 1].err, QUDAG_OK);
    NET_WAIT(net_changes(&net[INBOUND], &net[0], false) == 1, NET_SOON); /* it heard of it */
    assert_int_equal(net_stat(&net[0], "links_trimmed_newcomer"), 1);
    assert_int_equal(net_links(&net[0], &net[1]), 1);
    assert_int_equal(net_stat(&net[0], "links"), INBOUND);
}

/* ---- A2, A3, A8 ---- */

static void start_star(size_t n)
{
    (void)net_stop_all(NULL);
    net_start(0, &links_only);
    for (size_t i = 1; i < n; i++) {
        net_start(i, &links_only);
        net_ask(&net[0], qudag_connect(net[0].node, net[i].addr, &net[0].last));
        assert_int_equal(net[0].err, QUDAG_OK);
    }
}

static void a_peer_is_reported_up_once_and_down_once_and_others_stay(void **state)
{
    (void)state;
    start_star(4);
    for (size_t i = 1; i < 4; i++) {
        NET_WAIT(net_changes(&net[i], &net[0], true) == 1, NET_SOON);
        assert_int_equal(net_changes(&net[0], &net[i], true), 1);
        assert_int_equal(net_changes(&net[0], &net[i], false), 0);
    }
    assert_int_equal(qudag_stream_open(net[0].node, &net[2].self, NET_ECHO, &net[0].ours),
                     QUDAG_OK);
    NET_WAIT(net[0].opened, NET_SOON);
    double t = net_now();
    net_stop(2);
    NET_WAIT(net_changes(&net[0], &net[2], false) == 1, NET_SOON);
    print_message("a peer that shut down was noticed after %.1f ms\n", (net_now() - t) * 1e3);
    assert_true(net[0].closed); /* A8: notified, not timed out */
    assert_int_equal(net[0].closed_why, QUDAG_ECLOSED);
    for (size_t i = 1; i < 4; i += 2) {
        net_ask(&net[0], qudag_ping(net[0].node, &net[i].self, &net[0].last));
        assert_int_equal(net[0].err, QUDAG_OK);
        assert_int_equal(net_changes(&net[0], &net[i], false), 0);
    }
    assert_int_equal(net_changes(&net[0], &net[2], true), 1);
}

static void the_reason_for_a_failure_is_reported_and_stored(void **state)
{
    char wrong[QUDAG_ADDR_TEXT_MAX];
    (void)state;
    start_star(3);
    /* where node 1 lives, the identity of a node that is not there */
    qudag_identity *other;
    qudag_peer_id id;
    char text[QUDAG_PEER_ID_TEXT_MAX];
    assert_int_equal(qudag_identity_generate(&other), QUDAG_OK);
    qudag_identity_peer_id(other, &id);
    qudag_peer_id_text(&id, text);
    qudag_identity_free(other);
    snprintf(wrong, sizeof(wrong), "%.*s/p2p/%s", (int)(strstr(net[1].addr, "/p2p/") - net[1].addr),
             net[1].addr, text);
    net_ask(&net[0], qudag_connect(net[0].node, wrong, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_EAUTH);
    qudag_peer_id_text(&net[1].self, text);
    assert_non_null(strstr(net[0].text, text)); /* says who is there */
    /* what asks next is not put off with a mere "unreachable" */
    net_ask(&net[0], qudag_ping(net[0].node, &id, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_EAUTH);
    for (size_t i = 0; i < net[0].n_changes; i++) {
        assert_memory_not_equal(&net[0].change[i].peer, &id, sizeof(id));
    }
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(net_links(&net[0], &net[i]), 1);
        assert_int_equal(net_changes(&net[0], &net[i], false), 0);
    }
}

static void disconnecting_twice_is_once_and_reconnecting_uses_one_link(void **state)
{
    (void)state;
    start_star(3);
    assert_int_equal(qudag_stream_open(net[0].node, &net[1].self, NET_ECHO, &net[0].ours),
                     QUDAG_OK);
    NET_WAIT(net[0].opened && net[1].streams_in == 1, NET_SOON);
    assert_int_equal(qudag_disconnect(net[0].node, &net[1].self), QUDAG_OK);
    assert_int_equal(qudag_disconnect(net[0].node, &net[1].self), QUDAG_OK);
    NET_WAIT(net_changes(&net[0], &net[1], false) > 0 && net_changes(&net[1], &net[0], false) > 0,
             5);
    assert_int_equal(qudag_disconnect(net[0].node, &net[1].self), QUDAG_OK);
    assert_true(net[0].closed);
    assert_int_equal(net[0].closed_why, QUDAG_ECANCELED);
    assert_int_equal(net[1].theirs_closed, 1);
    assert_int_equal(net[1].theirs_why, QUDAG_ECLOSED);
    /* again, from both sides by turns: the link that is there serves, no second one is made */
    for (int k = 0; k < 3; k++) {
        net_ask(&net[0], qudag_connect(net[0].node, net[1].addr, &net[0].last));
        assert_int_equal(net[0].err, QUDAG_OK);
        NET_WAIT(net_links(&net[1], &net[0]) == 1, NET_SOON);
        net_ask(&net[1], qudag_connect(net[1].node, net[0].addr, &net[1].last));
        assert_int_equal(net[1].err, QUDAG_OK);
    }
    assert_int_equal(net_links(&net[0], &net[1]), 1);
    assert_int_equal(net_links(&net[1], &net[0]), 1);
    assert_int_equal(net_stat(&net[0], "dials"), 3); /* two for the star, one to come back */
    assert_int_equal(net_changes(&net[0], &net[1], false), 1);
    assert_int_equal(net_changes(&net[1], &net[0], false), 1);
    assert_int_equal(net_changes(&net[0], &net[1], true), 2);
    assert_int_equal(net_changes(&net[0], &net[2], false), 0);
}

/* ---- A5 ---- */

static void redials_wait_twice_as_long_each_time_within_a_fifth(void **state)
{
    char text[QUDAG_PEER_ID_TEXT_MAX], at[QUDAG_ADDR_TEXT_MAX];
    qudag_identity *other;
    qudag_peer_id id;
    (void)state;

    (void)net_stop_all(NULL);
    net_start(0, &links_only);
    net_start(1, &links_only);
    /* a wrong identity fails quickly, so the pauses are seen without the dials */
    assert_int_equal(qudag_identity_generate(&other), QUDAG_OK);
    qudag_identity_peer_id(other, &id);
    qudag_peer_id_text(&id, text);
    qudag_identity_free(other);
    snprintf(at, sizeof(at), "%.*s", (int)(strstr(net[1].addr, "/p2p/") - net[1].addr),
             net[1].addr);
    assert_int_equal(qudag_peer_add_addr(net[0].node, &id, at), QUDAG_OK);
    double last = 0, pause = 0.5;
    for (int k = 0; k < 5; k++) {
        uint64_t before = net_stat(&net[0], "dials");
        double start = net_now();
        while (net_stat(&net[0], "dials") == before) {
            assert_true(net_now() < start + 10);
            net_ask(&net[0], qudag_ping(net[0].node, &id, &net[0].last));
            assert_int_equal(net[0].err, QUDAG_EAUTH);
            double until = net_now() + 0.005;
            while (net_now() < until) {
                net_turn();
            }
        }
        double now = net_now();
        if (k > 0) {
            print_message("pause %d: %.3f s, nominal %.3f s\n", k, now - last, pause);
            assert_true(now - last > pause * 0.8 - 0.1);
            assert_true(now - last <
                        pause * 1.2 + 1); /* the dial itself included, also beside other work */
            pause *= 2;
        }
        last = now;
    }
}

/* ---- A6 ---- */

static void a_flood_of_writes_is_taken_up_to_a_bound(void **state)
{
    static uint8_t block[16384];
    uint64_t total = 0, half = 0, memory = 0;
    (void)state;
    start_star(2);
    net[1].hold = true;
    assert_int_equal(qudag_stream_open(net[0].node, &net[1].self, NET_ECHO, &net[0].ours),
                     QUDAG_OK);
    NET_WAIT(net[0].opened, NET_SOON);
    for (int i = 0; i < 200000; i++) {
        size_t taken;
        qudag_err err = qudag_stream_write(net[0].node, net[0].ours,
                                           (qudag_slice){block, sizeof(block)}, &taken);
        assert_int_equal(err, taken > 0 ? QUDAG_OK : QUDAG_EAGAIN);
        total += taken;
        if (i % 100 == 0) {
            for (size_t k = 0; k < 2; k++) {
                assert_int_equal(qudag_node_step(net[k].node, 0), QUDAG_OK);
            }
        }
        if (i == 100000) { /* all that may be on its way has arrived, and its room is taken again */
            double until = net_now() + 1;
            size_t more;
            while (net_now() < until) {
                net_turn();
                err = qudag_stream_write(net[0].node, net[0].ours,
                                         (qudag_slice){block, sizeof(block)}, &more);
                assert_int_equal(err, more > 0 ? QUDAG_OK : QUDAG_EAGAIN);
                total += more;
            }
            half = total;
            memory = net_stat(&net[0], "memory_bytes");
        }
    }
    print_message("of %d MiB a stream took %llu KiB; memory %llu KiB, reader got %zu KiB\n",
                  200000 / 64, (unsigned long long)total / 1024,
                  (unsigned long long)net_stat(&net[0], "memory_bytes") / 1024,
                  net[1].got_len / 1024);
    assert_true(total >= 512 * 1024); /* queue and the reader's window are used */
    assert_true(total <= 1536 * 1024);
    assert_true(net[1].got_len <= 256 * 1024); /* what was not consumed is not exceeded */
    assert_int_equal(total, half);
    assert_true(net_stat(&net[0], "memory_bytes") < memory + 64 * 1024);
    /* others go on meanwhile */
    net_ask(&net[0], qudag_ping(net[0].node, &net[1].self, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_OK);
    /* the reader reads: there is room again, and the writer is told so */
    unsigned told = net[0].writable;
    qudag_stream_consume(net[1].node, net[1].theirs, net[1].got_len);
    NET_WAIT(net[0].writable > told || net[1].got_len > 300 * 1024, NET_SOON);
}

static void a_flood_of_requests_is_refused_at_the_limit_and_each_ends(void **state)
{
    size_t asked = 0, refused = 0;
    qudag_op op;
    (void)state;
    start_star(2);
    unsigned before = net[0].all_done;
    for (int i = 0; i < 200000; i++) {
        qudag_err err = qudag_dht_get(net[0].node, net_text("/app/flood"), &op);
        if (err == QUDAG_OK) {
            asked++;
        } else {
            assert_int_equal(err, QUDAG_ELIMIT);
            refused++;
        }
    }
    assert_true(asked > 0 && asked <= 4096);
    assert_int_equal(asked + refused, 200000);
    NET_WAIT(net[0].all_done - before == asked, 30);
    net_ask(&net[0], qudag_ping(net[0].node, &net[1].self, &net[0].last));
    assert_int_equal(net[0].err, QUDAG_OK);
}

/* ---- A8: what is given back holds no secrets ---- */

#define SECRETS 4
#define SECRET_LEN 16

struct block {
    struct block *next, *prev;
    size_t size, pad;
};

struct watched {
    uint8_t secret[SECRETS][SECRET_LEN];
    size_t known; /* of the secrets, so far */
    struct block live;
    size_t dirty;
};

static void *watched_alloc(void *ctx, size_t size)
{
    struct watched *w = ctx;
    struct block *b = malloc(sizeof(*b) + size);
    if (b == NULL) {
        return NULL;
    }
    *b = (struct block){.next = w->live.next, .prev = &w->live, .size = size};
    b->next->prev = b;
    w->live.next = b;
    return b + 1;
}

static size_t secrets_in(const struct watched *w, const struct block *b)
{
    const uint8_t *p = (const uint8_t *)(b + 1);
    size_t n = 0;
    for (size_t i = 0; i + SECRET_LEN <= b->size; i++) {
        for (size_t k = 0; k < w->known; k++) {
            n += memcmp(p + i, w->secret[k], SECRET_LEN) == 0;
        }
    }
    return n;
}

static void watched_free(void *ctx, void *ptr)
{
    struct watched *w = ctx;
    if (ptr == NULL) {
        return;
    }
    struct block *b = (struct block *)ptr - 1;
    w->dirty += secrets_in(w, b);
    b->prev->next = b->next;
    b->next->prev = b->prev;
    free(b);
}

static void a_node_that_ends_fails_what_is_pending_and_leaves_no_secret(void **state)
{
    static struct watched w;
    const qudag_mem mem = {&w, watched_alloc, watched_free};
    const struct net_options relay = {.mem = &mem};
    uint8_t saved[QUDAG_IDENTITY_LEN];
    size_t alive = 0;
    qudag_op op;
    (void)state;

    (void)net_stop_all(NULL);
    w.live.next = w.live.prev = &w.live;
    assert_int_equal(qudag_identity_generate(&net[0].id), QUDAG_OK);
    qudag_identity_save(net[0].id, saved);
    memcpy(w.secret[0], saved + 8, SECRET_LEN); /* the saved form: 8 bytes of magic, two seeds */
    memcpy(w.secret[1], saved + 8 + 32, SECRET_LEN);
    w.known = 2;
    net_start(0, &relay);
    assert_int_equal(net[0].onion_key_len, 8 + 32 + 64); /* time, X25519 key, ML-KEM seed */
    memcpy(w.secret[2], net[0].onion_key + 8, SECRET_LEN);
    memcpy(w.secret[3], net[0].onion_key + 40, SECRET_LEN);
    w.known = SECRETS;
    net_start(1, &links_only);
    net_ask(&net[0], qudag_connect(net[0].node, net[1].addr, &net[0].last));
    assert_int_equal(qudag_stream_open(net[0].node, &net[1].self, NET_ECHO, &net[0].ours),
                     QUDAG_OK);
    NET_WAIT(net[0].opened, NET_SOON);
    unsigned before = net[0].all_done;
    assert_int_equal(qudag_ping(net[0].node, &net[1].self, &op), QUDAG_OK);
    for (const struct block *b = w.live.next; b != &w.live; b = b->next) {
        alive += secrets_in(&w, b);
    }
    assert_true(alive > 0); /* the search finds what is there */
    net_stop(0);
    assert_int_equal(net[0].all_done, before + 1);
    assert_int_equal(net[0].errs[before], QUDAG_ECANCELED);
    assert_true(net[0].closed);
    assert_int_equal(net[0].closed_why, QUDAG_ECANCELED);
    assert_ptr_equal(w.live.next, &w.live);
    assert_int_equal(w.dirty, 0);
    NET_WAIT(net_changes(&net[1], &net[0], false) == 1, NET_SOON);
}

/* A request that ends in the turn in which it begins: the step must not wait for the network. */
static void a_step_that_has_reported_something_does_not_wait(void **state)
{
    (void)state;
    net_start(0, &links_only);
    net_start(1, &links_only);
    net_ask(&net[0], qudag_connect(net[0].node, net[1].addr, &net[0].last));
    for (double end = net_now() + 0.3; net_now() < end;) { /* identify and what else follows */
        net_turn();
    }
    unsigned before = net[0].ops_done;
    assert_int_equal(qudag_connect(net[0].node, net[1].addr, &net[0].last), QUDAG_OK);
    double began = net_now();
    assert_int_equal(qudag_node_step(net[0].node, 2 * QUDAG_S), QUDAG_OK);
    assert_int_equal(net[0].ops_done, before + 1);
    assert_int_equal(net[0].err, QUDAG_OK);
    assert_true(net_now() - began < 1.0);
    (void)net_stop_all(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_dials_than_links_max_never_open_more_links),
        cmocka_unit_test(a_link_that_ends_makes_room_for_another),
        cmocka_unit_test(dials_that_fail_give_their_places_back),
        cmocka_unit_test(inbound_links_count_too_and_others_are_not_disturbed),
        cmocka_unit_test(whom_the_program_protects_has_a_place),
        cmocka_unit_test(a_peer_is_reported_up_once_and_down_once_and_others_stay),
        cmocka_unit_test(the_reason_for_a_failure_is_reported_and_stored),
        cmocka_unit_test(disconnecting_twice_is_once_and_reconnecting_uses_one_link),
        cmocka_unit_test(redials_wait_twice_as_long_each_time_within_a_fifth),
        cmocka_unit_test(a_flood_of_writes_is_taken_up_to_a_bound),
        cmocka_unit_test(a_flood_of_requests_is_refused_at_the_limit_and_each_ends),
        cmocka_unit_test(a_step_that_has_reported_something_does_not_wait),
        cmocka_unit_test(a_node_that_ends_fails_what_is_pending_and_leaves_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, net_stop_all);
}
