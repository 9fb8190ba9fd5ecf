/*
 * channel_test.c - channels of programs: cases B1 to B10 of doc/acceptance.md, the end, the limits, the arguments.
 *
 * TEST: timeout=120
 */
#include <qudag/qudag.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GOT_MAX 65536
#define DAY 86400

struct side {
    qudag_channel *c;
    qudag_err err; /* the first that was returned */
    uint8_t got[GOT_MAX];
    size_t got_len;
    bool was_ready;
};

static qudag_identity *alice, *bob;
static struct side a, b; /* the client, the server */

static int setup(void **state)
{
    (void)state;
    return qudag_identity_generate(&alice) != QUDAG_OK || qudag_identity_generate(&bob) != QUDAG_OK;
}

static int teardown(void **state)
{
    (void)state;
    qudag_identity_free(alice);
    qudag_identity_free(bob);
    return 0;
}

static qudag_channel_config level(uint16_t n)
{
    qudag_channel_config cfg = QUDAG_INIT(qudag_channel_config);

    cfg.level = n;
    return cfg;
}

static void stop(void)
{
    qudag_channel_free(a.c);
    qudag_channel_free(b.c);
    a.c = b.c = NULL;
}

static void start(const qudag_channel_config *ca, const qudag_channel_config *cb)
{
    stop();
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    assert_int_equal(qudag_channel_new(&a.c, QUDAG_CHANNEL_CLIENT, alice, ca), QUDAG_OK);
    assert_int_equal(qudag_channel_new(&b.c, QUDAG_CHANNEL_SERVER, bob, cb), QUDAG_OK);
}

static void feed(struct side *s, const uint8_t *bytes, size_t len)
{
    qudag_slice in = {bytes, len}, plain;
    size_t used;

    do {
        qudag_err err = qudag_channel_receive(s->c, in, &used, &plain);
        if (err != QUDAG_OK) {
            s->err = s->err == QUDAG_OK ? err : s->err;
            return;
        }
        assert_true(used <= in.len && plain.len <= QUDAG_CHANNEL_PLAIN_MAX);
        assert_true(s->got_len + plain.len <= GOT_MAX);
        if (plain.len > 0) {
            memcpy(s->got + s->got_len, plain.base, plain.len);
        }
        s->got_len += plain.len;
        in = used > 0 ? (qudag_slice){in.base + used, in.len - used} : in;
    } while (in.len > 0 || plain.len > 0);
}

/* What waits, in |dst|; its length. */
static size_t take(struct side *s, uint8_t *dst, size_t cap)
{
    size_t n = qudag_channel_take_output(s->c, dst, cap);

    assert_true(n < cap);
    assert_int_equal(qudag_channel_output(s->c).len, 0);
    return n;
}

/* Until neither has anything to say. */
static void run(void)
{
    static uint8_t bytes[40000];
    size_t n;

    do {
        n = take(&a, bytes, sizeof bytes);
        feed(&b, bytes, n);
        size_t m = take(&b, bytes, sizeof bytes);
        feed(&a, bytes, m);
        n += m;
        a.was_ready = a.was_ready || qudag_channel_get_state(a.c) == QUDAG_CHANNEL_READY;
    } while (n > 0);
}

static bool both(qudag_channel_state state)
{
    return qudag_channel_get_state(a.c) == state && qudag_channel_get_state(b.c) == state;
}

static void up(const qudag_channel_config *ca, const qudag_channel_config *cb)
{
    start(ca, cb);
    run();
    assert_true(both(QUDAG_CHANNEL_READY));
}

static qudag_err say(struct side *s, const char *text)
{
    return qudag_channel_send(s->c, (qudag_slice){(const uint8_t *)text, strlen(text)});
}

static void heard(struct side *s, const char *text)
{
    assert_int_equal(s->got_len, strlen(text));
    assert_memory_equal(s->got, text, strlen(text));
    s->got_len = 0;
}

static void failed(const struct side *s, qudag_err err)
{
    const char *text = NULL;

    assert_int_equal(s->err, err);
    assert_int_equal(qudag_channel_get_state(s->c), QUDAG_CHANNEL_FAILED);
    assert_int_equal(qudag_channel_why(s->c, &text, NULL), err);
    assert_true(text != NULL && strlen(text) > 10);
    assert_int_equal(s->got_len, 0);
}

/* ------------------------------------------------------------------ B1: two processes */

/* One side over a socket until it ended; what it heard in |s|.  A client says "ping", a server "pong". */
static bool talk(int fd, struct side *s, const char *word)
{
    uint8_t bytes[3000];
    bool said = false;

    for (;;) {
        qudag_channel_state state = qudag_channel_get_state(s->c);

        if ((state == QUDAG_CHANNEL_READY || state == QUDAG_CHANNEL_ENDED) && !said) {
            if (say(s, word) != QUDAG_OK) {
                return false;
            }
            said = true;
            qudag_channel_close(s->c);
        }
        for (size_t n; (n = qudag_channel_take_output(s->c, bytes, sizeof bytes)) > 0;) {
            if (write(fd, bytes, n) != (ssize_t)n) {
                return false;
            }
        }
        if (state == QUDAG_CHANNEL_ENDED && said) {
            return true;
        }
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0) {
            return false;
        }
        feed(s, bytes, (size_t)n);
        if (s->err != QUDAG_OK) {
            return false;
        }
    }
}

static void two_processes_agree_and_talk(void **state)
{
    static const uint16_t levels[] = {512, 768, 1024};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const qudag_channel_config cfg = level(levels[i]);
        int fd[2], status = 1;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
        start(&cfg, &cfg);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            bool ok = talk(fd[1], &b, "pong") && b.got_len == 4 && memcmp(b.got, "ping", 4) == 0;
            _exit(ok ? 0 : 1);
        }
        close(fd[1]);
        assert_true(talk(fd[0], &a, "ping"));
        heard(&a, "pong");
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        close(fd[0]);
    }
    stop();
}

/* ------------------------------------------------------------------ B2: sizes */

static void each_level_has_its_group_and_its_sizes(void **state)
{
    static const struct {
        uint16_t level;
        const char *group;
        int hello, answer; /* bytes more than at level 768 */
    } row[] = {
        {768, "X25519MLKEM768", 0, 0},
        {512, "X25519MLKEM512", 800 - 1184, 768 - 1088},
        {1024, "SecP384r1MLKEM1024", 1568 + 97 - 1184 - 32, 1568 + 97 - 1088 - 32},
    };
    static uint8_t bytes[40000];
    int hello = 0, answer = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const qudag_channel_config cfg = level(row[i].level);
        qudag_channel_info info = QUDAG_INIT(qudag_channel_info);
        qudag_peer_id peer;
        uint8_t hash[QUDAG_PQ_HASH_LEN];

        start(&cfg, &cfg);
        assert_int_equal(qudag_channel_peer(a.c, &info), QUDAG_ESTATE);
        int n = (int)take(&a, bytes, sizeof bytes);
        feed(&b, bytes, (size_t)n);
        int m = (int)take(&b, bytes, sizeof bytes);
        hello = i == 0 ? n : hello;
        answer = i == 0 ? bytes[3] << 8 | bytes[4] : answer; /* of the first record, ServerHello */
        assert_int_equal(n - hello, row[i].hello);
        assert_int_equal((bytes[3] << 8 | bytes[4]) - answer, row[i].answer);
        feed(&a, bytes, (size_t)m);
        run();
        assert_true(both(QUDAG_CHANNEL_READY));
        assert_int_equal(qudag_channel_peer(a.c, &info), QUDAG_OK);
        assert_string_equal(info.group, row[i].group);
        assert_string_equal(info.sig_local, "mldsa65");
        assert_string_equal(info.sig_remote, "mldsa65");
        assert_true(info.pq_kex && info.pq_auth && info.level == row[i].level);
        assert_true(info.left > 20 * 3600 * QUDAG_S && info.left < 25 * 3600 * QUDAG_S);
        qudag_identity_peer_id(bob, &peer);
        assert_memory_equal(&info.peer, &peer, sizeof peer);
        qudag_identity_pq_hash(bob, hash);
        assert_memory_equal(info.pq_hash, hash, sizeof hash);
    }
    stop();
}

/* ------------------------------------------------------------------ B3, B4: changed handshakes */

/* A handshake in which bit |at| % 8 of byte |at| of one side's bytes is flipped; false: it has not so many. */
static bool run_flipped(bool server, size_t at)
{
    static uint8_t bytes[40000];
    size_t done[2] = {0, 0};

    start(NULL, NULL);
    for (size_t n = 1, m = 0; n + m > 0;) {
        n = take(&a, bytes, sizeof bytes);
        if (!server && at >= done[0] && at < done[0] + n) {
            bytes[at - done[0]] ^= (uint8_t)(1u << (at % 8));
        }
        done[0] += n;
        feed(&b, bytes, n);
        m = take(&b, bytes, sizeof bytes);
        if (server && at >= done[1] && at < done[1] + m) {
            bytes[at - done[1]] ^= (uint8_t)(1u << (at % 8));
        }
        done[1] += m;
        feed(&a, bytes, m);
    }
    return at < done[server ? 1 : 0];
}

/* RFC 8446 5.1: nobody vouches for the version in the header of a record that is not sealed. */
static void a_flipped_bit_of_the_handshake_ends_it(void **state)
{
    (void)state;
    for (int server = 0; server < 2; server++) {
        for (size_t at = 0; run_flipped(server == 1, at); at += 211) {
            assert_false(both(QUDAG_CHANNEL_READY));
            assert_int_equal(a.got_len + b.got_len, 0);
        }
    }
    stop();
}

/* Within the ML-KEM ciphertext of the ServerHello: another secret, and the next record does not open. */
static void a_changed_ciphertext_is_another_secret(void **state)
{
    (void)state;
    for (size_t at = 200; at < 1000; at += 100) {
        assert_true(run_flipped(true, at));
        failed(&a, QUDAG_EPROTO);
        assert_int_not_equal(qudag_channel_get_state(b.c), QUDAG_CHANNEL_READY);
    }
    stop();
}

/* ------------------------------------------------------------------ B5, B6: levels, identities, protocols */

static void levels_must_agree(void **state)
{
    static const uint16_t levels[] = {512, 768, 1024};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            const qudag_channel_config ca = level(levels[i]), cb = level(levels[j]);

            start(&ca, &cb);
            run();
            if (i == j) {
                assert_true(both(QUDAG_CHANNEL_READY));
            } else {
                failed(&a, QUDAG_EPOLICY);
                failed(&b, QUDAG_EPOLICY);
            }
        }
    }
    stop();
}

static void a_wrong_identity_is_refused_by_either_side(void **state)
{
    qudag_peer_id of_alice, of_bob, found;
    uint8_t hash[QUDAG_PQ_HASH_LEN];

    (void)state;
    qudag_identity_peer_id(alice, &of_alice);
    qudag_identity_peer_id(bob, &of_bob);
    qudag_identity_pq_hash(bob, hash);
    qudag_channel_config right = level(768), wrong = level(768);
    right.peer = &of_bob;
    right.pq_hash = hash;
    wrong.peer = &of_alice; /* itself, not bob */
    up(&right, NULL);
    start(&wrong, NULL);
    run();
    failed(&a, QUDAG_EAUTH);
    failed(&b, QUDAG_EAUTH);
    assert_int_equal(qudag_channel_why(a.c, NULL, &found), QUDAG_EAUTH);
    assert_memory_equal(&found, &of_bob, sizeof found);
    /* the server wants bob: alice, who was refused, has never been ready */
    start(NULL, &right);
    run();
    failed(&b, QUDAG_EAUTH);
    failed(&a, QUDAG_EAUTH);
    assert_false(a.was_ready);
    hash[5] ^= 1;
    start(&right, NULL);
    run();
    failed(&a, QUDAG_EAUTH);
    stop();
}

static void protocols_must_agree(void **state)
{
    qudag_channel_config one = level(768), two = level(768);

    (void)state;
    one.protocol = "chat";
    two.protocol = "chatter";
    up(&one, &one);
    start(&one, &two);
    run();
    failed(&a, QUDAG_EUNSUPPORTED);
    failed(&b, QUDAG_EUNSUPPORTED);
    start(&one, NULL);
    run();
    failed(&a, QUDAG_EUNSUPPORTED);
    stop();
}

/* ------------------------------------------------------------------ B7 to B10 */

static void a_recorded_handshake_is_worth_nothing(void **state)
{
    static uint8_t tape[60000], bytes[40000];
    size_t len = 0;

    (void)state;
    start(NULL, NULL);
    for (size_t n = 1; n > 0;) {
        n = take(&a, tape + len, 30000);
        feed(&b, tape + len, n);
        len += n;
        feed(&a, bytes, take(&b, bytes, sizeof bytes));
    }
    assert_true(both(QUDAG_CHANNEL_READY));
    start(NULL, NULL);
    feed(&b, tape, len);
    failed(&b, QUDAG_EPROTO);
    stop();
}

static void nothing_is_sealed_twice_alike(void **state)
{
    enum { ROUNDS = 300, LEN = 4 + 22 };
    static uint8_t sealed[ROUNDS][LEN + 1];

    (void)state;
    up(NULL, NULL);
    for (size_t i = 0; i < ROUNDS; i++) {
        assert_int_equal(say(&a, "same"), QUDAG_OK);
        assert_int_equal(take(&a, sealed[i], LEN + 1), LEN);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(sealed[i] + 5, sealed[j] + 5, LEN - 5);
        }
    }
    stop();
}

static void replayed_reordered_or_missing_records_end_it(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        uint8_t one[64], two[64];

        up(NULL, NULL);
        assert_int_equal(say(&a, "one"), QUDAG_OK);
        size_t n = take(&a, one, sizeof one);
        assert_int_equal(say(&a, "two"), QUDAG_OK);
        size_t m = take(&a, two, sizeof two);
        if (i == 0) { /* replayed */
            feed(&b, one, n);
            heard(&b, "one");
            feed(&b, one, n);
        } else { /* reordered, or the first is missing */
            feed(&b, two, m);
            feed(&b, one, i == 1 ? n : 0);
        }
        failed(&b, QUDAG_EPROTO);
    }
    stop();
}

static void calendars_may_differ_by_minutes_but_not_by_days(void **state)
{
    static const struct {
        int64_t off;
        qudag_err err;
    } row[] = {{0, QUDAG_OK},
               {300, QUDAG_OK},
               {-300, QUDAG_OK},
               {3 * DAY, QUDAG_ECLOCK},
               {-3 * DAY, QUDAG_EEXPIRED}};

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        qudag_channel_config cb = level(768);

        cb.wall_s = (int64_t)time(NULL) + row[i].off;
        start(NULL, &cb);
        run();
        if (row[i].err == QUDAG_OK) {
            assert_true(both(QUDAG_CHANNEL_READY));
        } else {
            failed(&a, row[i].err);
        }
    }
    stop();
}

/* ------------------------------------------------------------------ the end */

static void an_end_is_told_from_a_cut(void **state)
{
    const char *text;

    (void)state;
    up(NULL, NULL);
    assert_int_equal(say(&a, "all of it"), QUDAG_OK);
    qudag_channel_close(a.c);
    assert_int_equal(say(&a, "more"), QUDAG_ESTATE);
    run();
    heard(&b, "all of it");
    assert_int_equal(qudag_channel_get_state(b.c), QUDAG_CHANNEL_ENDED);
    assert_int_equal(qudag_channel_input_ended(b.c), QUDAG_OK);
    assert_int_equal(say(&b, "and back"), QUDAG_OK);
    run();
    heard(&a, "and back");
    assert_int_equal(qudag_channel_input_ended(a.c), QUDAG_ERESET);
    assert_int_equal(qudag_channel_get_state(a.c), QUDAG_CHANNEL_FAILED);
    assert_int_equal(qudag_channel_why(a.c, &text, NULL), QUDAG_ERESET);
    assert_non_null(strstr(text, "missing"));
    start(NULL, NULL);
    assert_int_equal(qudag_channel_input_ended(b.c), QUDAG_ERESET);
    assert_int_equal(qudag_channel_input_ended(b.c), QUDAG_ERESET);
    stop();
}

/* ------------------------------------------------------------------ sharing, limits, arguments */

static void channels_that_are_alike_share_a_certificate(void **state)
{
    qudag_channel_config cfg = level(768);
    qudag_channel *like, *c;

    (void)state;
    assert_int_equal(qudag_channel_new(&like, QUDAG_CHANNEL_SERVER, bob, &cfg), QUDAG_OK);
    cfg.like = like;
    up(NULL, &cfg);
    qudag_channel_free(like); /* those that are like it stay */
    assert_int_equal(say(&a, "x"), QUDAG_OK);
    run();
    heard(&b, "x");
    cfg.like = b.c;
    assert_int_equal(qudag_channel_new(&c, QUDAG_CHANNEL_SERVER, alice, &cfg), QUDAG_EINVAL);
    cfg.level = 1024;
    assert_int_equal(qudag_channel_new(&c, QUDAG_CHANNEL_SERVER, bob, &cfg), QUDAG_EINVAL);
    cfg.level = 768;
    cfg.wall_s = 1;
    assert_int_equal(qudag_channel_new(&c, QUDAG_CHANNEL_SERVER, bob, &cfg), QUDAG_EINVAL);
    assert_null(c);
    stop();
}

static void what_waits_is_bounded(void **state)
{
    static uint8_t data[QUDAG_CHANNEL_SEND_MAX + 1];
    qudag_channel_config cfg = level(768);
    uint8_t byte;
    int n = 0;

    (void)state;
    cfg.output_max = 5000;
    up(&cfg, NULL);
    while (qudag_channel_send(a.c, (qudag_slice){data, 1000}) == QUDAG_OK) {
        n++;
    }
    assert_int_equal(n, 5);
    assert_int_equal(say(&a, "x"), QUDAG_EAGAIN);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(qudag_channel_take_output(a.c, &byte, 1), 1);
        feed(&b, &byte, 1);
    }
    byte = qudag_channel_output(a.c).base[0];
    qudag_channel_output_sent(a.c, 1);
    feed(&b, &byte, 1);
    assert_int_equal(say(&a, "x"), QUDAG_OK);
    run();
    assert_int_equal(b.got_len, 5001);
    assert_int_equal(qudag_channel_send(a.c, (qudag_slice){data, sizeof data}), QUDAG_ETOOBIG);
    stop();
}

static void arguments_are_checked(void **state)
{
    qudag_channel_config cfg = level(768);
    qudag_channel_info info = QUDAG_INIT(qudag_channel_info);
    qudag_peer_id nobody = {0};
    qudag_channel *c;
    qudag_slice plain;
    size_t used;

    (void)state;
    assert_int_equal(qudag_channel_new(NULL, QUDAG_CHANNEL_CLIENT, bob, NULL), QUDAG_EINVAL);
    assert_int_equal(qudag_channel_new(&c, QUDAG_CHANNEL_CLIENT, NULL, NULL), QUDAG_EINVAL);
    assert_int_equal(qudag_channel_new(&c, (qudag_channel_role)3, bob, NULL), QUDAG_EINVAL);
    cfg.level = 513;
    assert_int_equal(qudag_channel_new(&c, QUDAG_CHANNEL_CLIENT, bob, &cfg), QUDAG_EINVAL);
    cfg = level(0);
    cfg.protocol = "";
    assert_int_equal(qudag_channel_new(&c, QUDAG_CHANNEL_CLIENT, bob, &cfg), QUDAG_EINVAL);
    cfg.protocol = "01234567890123456789012345678901234567890";
    assert_int_equal(qudag_channel_new(&c, QUDAG_CHANNEL_CLIENT, bob, &cfg), QUDAG_EINVAL);
    cfg.protocol = NULL;
    cfg.peer = &nobody;
    assert_int_equal(qudag_channel_new(&c, QUDAG_CHANNEL_CLIENT, bob, &cfg), QUDAG_EINVAL);
    cfg.peer = NULL;
    cfg.size = 3;
    assert_int_equal(qudag_channel_new(&c, QUDAG_CHANNEL_CLIENT, bob, &cfg), QUDAG_EINVAL);
    cfg.size = 8; /* an older program, which knows the level only */
    cfg.protocol = "";
    start(&cfg, NULL);
    assert_int_equal(say(&a, "x"), QUDAG_ESTATE);
    assert_int_equal(qudag_channel_send(a.c, (qudag_slice){NULL, 1}), QUDAG_EINVAL);
    assert_int_equal(qudag_channel_receive(a.c, (qudag_slice){NULL, 1}, &used, &plain),
                     QUDAG_EINVAL);
    assert_int_equal(qudag_channel_receive(NULL, (qudag_slice){NULL, 0}, &used, &plain),
                     QUDAG_EINVAL);
    run();
    assert_true(both(QUDAG_CHANNEL_READY));
    info.size = 5;
    assert_int_equal(qudag_channel_peer(a.c, &info), QUDAG_EINVAL);
    info.size = 8;
    assert_int_equal(qudag_channel_peer(a.c, &info), QUDAG_OK);
    assert_int_equal(info.left, 0);
    assert_int_equal(qudag_channel_get_state(NULL), QUDAG_CHANNEL_FAILED);
    assert_int_equal(qudag_channel_take_output(NULL, NULL, 1), 0);
    assert_int_equal(qudag_channel_why(NULL, NULL, NULL), QUDAG_EINVAL);
    assert_int_equal(qudag_channel_input_ended(NULL), QUDAG_EINVAL);
    assert_int_equal(qudag_channel_output(NULL).len, 0);
    qudag_channel_output_sent(NULL, 1);
    qudag_channel_close(NULL);
    qudag_channel_free(NULL);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processes_agree_and_talk),
        cmocka_unit_test(each_level_has_its_group_and_its_sizes),
        cmocka_unit_test(a_flipped_bit_of_the_handshake_ends_it),
        cmocka_unit_test(a_changed_ciphertext_is_another_secret),
        cmocka_unit_test(levels_must_agree),
        cmocka_unit_test(a_wrong_identity_is_refused_by_either_side),
        cmocka_unit_test(protocols_must_agree),
        cmocka_unit_test(a_recorded_handshake_is_worth_nothing),
        cmocka_unit_test(nothing_is_sealed_twice_alike),
        cmocka_unit_test(replayed_reordered_or_missing_records_end_it),
        cmocka_unit_test(calendars_may_differ_by_minutes_but_not_by_days),
        cmocka_unit_test(an_end_is_told_from_a_cut),
        cmocka_unit_test(channels_that_are_alike_share_a_certificate),
        cmocka_unit_test(what_waits_is_bounded),
        cmocka_unit_test(arguments_are_checked),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
