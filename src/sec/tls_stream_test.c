/* TLS over a byte stream: policies, expectations, every way to be cut, changed, ended or flooded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/init.h"
#include "sec/sec_int.h"
#include "sec/testkit_stream.h"

#define WHOLE SIZE_MAX
#define BOTH (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG)
#define RECORD_EXTRA 22 /* header, content type, tag */
#define KEY_UPDATE (5 + RECORD_EXTRA)

static struct ts_end a, b; /* the client, the server */

static void make(enum pq_policy pa, enum pq_policy pb)
{
    ts_make(&a, 1, &(struct ts_opt){.pq = pa});
    ts_make(&b, 2, &(struct ts_opt){.pq = pb});
}

static void unmake(void)
{
    ts_unmake(&a);
    ts_unmake(&b);
}

static void start(const struct sec_expect *xa, const struct sec_expect *xb)
{
    assert_int_equal(ts_start(&a, false, xa, NULL), QUDAG_OK);
    assert_int_equal(ts_start(&b, true, xb, NULL), QUDAG_OK);
}

static void up(void)
{
    start(NULL, NULL);
    ts_run(&a, &b, WHOLE, TS_START);
    assert_true(ts_both(&a, &b, TLS_STREAM_READY));
}

static struct slice text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static void say(struct ts_end *e, const char *s, tstamp now)
{
    assert_int_equal(tls_stream_send(e->t, text(s), now), QUDAG_OK);
}

static void heard(struct ts_end *e, const char *s)
{
    assert_int_equal(e->got_len, strlen(s));
    assert_memory_equal(e->got, s, strlen(s));
    e->got_len = 0;
}

static void why(const struct ts_end *e, qudag_err err, const char *part)
{
    const char *words = NULL;
    const struct peer_id *found = NULL;

    assert_int_equal(tls_stream_state(e->t), TLS_STREAM_FAILED);
    assert_int_equal(tls_stream_why(e->t, &words, &found), err);
    assert_int_equal(e->err, err);
    assert_non_null(words);
    assert_non_null(strstr(words, part));
}

/* The library's object of an end that is ready. */
static SSL *ssl_of(const struct ts_end *e)
{
    return LIST_ENTRY(e->sec->streams.next, struct sec_hs, link)->ssl;
}

static void test_every_pair_of_policies(void **state)
{
    static const struct {
        enum pq_policy a, b;
        bool up;
        const char *group, *sig;
        uint8_t props;
    } row[] = {
        {PQ_REQUIRE, PQ_REQUIRE, true, "X25519MLKEM768", "mldsa65", BOTH},
        {PQ_REQUIRE, PQ_PREFER, true, "X25519MLKEM768", "mldsa65", BOTH},
        {PQ_REQUIRE, PQ_OFF, false, "", "", 0},
        {PQ_PREFER, PQ_REQUIRE, true, "X25519MLKEM768", "mldsa65", BOTH},
        {PQ_PREFER, PQ_PREFER, true, "X25519MLKEM768", "mldsa65", BOTH},
        {PQ_PREFER, PQ_OFF, true, "x25519", "ecdsa", 0},
        {PQ_OFF, PQ_REQUIRE, false, "", "", 0},
        {PQ_OFF, PQ_PREFER, true, "x25519", "ecdsa", 0},
        {PQ_OFF, PQ_OFF, true, "x25519", "ecdsa", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct link_info ia = {0}, ib = {0};

        make(row[i].a, row[i].b);
        start(NULL, NULL);
        ts_run(&a, &b, WHOLE, TS_START);
        if (!row[i].up) {
            why(&a, QUDAG_EPOLICY, "policy");
            why(&b, QUDAG_EPOLICY, "policy");
            unmake();
            continue;
        }
        assert_true(ts_both(&a, &b, TLS_STREAM_READY));
        tls_stream_report(a.t, &ia);
        tls_stream_report(b.t, &ib);
        assert_string_equal(ia.group, row[i].group);
        assert_string_equal(ib.group, row[i].group);
        assert_string_equal(ia.sig_local, row[i].sig);
        assert_string_equal(ia.sig_remote, row[i].sig);
        assert_string_equal(ib.sig_remote, row[i].sig);
        assert_int_equal(ia.props, row[i].props);
        assert_int_equal(ib.props, row[i].props);
        assert_true(peer_id_eq(&ia.peer, &b.peer));
        assert_true(peer_id_eq(&ib.peer, &a.peer));
        assert_true(ia.until > TS_START && ib.until > TS_START);
        if (row[i].props != 0) {
            assert_memory_equal(ia.pq_hash, b.id.pq_hash, 32);
            assert_memory_equal(ib.pq_hash, a.id.pq_hash, 32);
        }
        unmake();
    }
}

static void test_levels_agree_or_there_is_no_session(void **state)
{
    static const struct {
        uint16_t a, b;
        enum pq_policy pq;
        const char *group; /* NULL: refused */
    } row[] = {
        {768, 768, PQ_REQUIRE, "X25519MLKEM768"},
        {1024, 1024, PQ_REQUIRE, "SecP384r1MLKEM1024"},
        {768, 1024, PQ_REQUIRE, NULL},
        {1024, 768, PQ_REQUIRE, NULL},
        {1024, 768, PQ_PREFER, "X25519MLKEM768"},
        {512, 512, PQ_REQUIRE, "X25519MLKEM512"},
        {512, 768, PQ_REQUIRE, NULL},
        {1024, 512, PQ_REQUIRE, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct link_info info = {0};

        ts_make(&a, 1, &(struct ts_opt){.pq = row[i].pq, .level = row[i].a, .channel = true});
        ts_make(&b, 2, &(struct ts_opt){.pq = row[i].pq, .level = row[i].b, .channel = true});
        start(NULL, NULL);
        ts_run(&a, &b, WHOLE, TS_START);
        if (row[i].group == NULL) {
            why(&a, QUDAG_EPOLICY, "group");
            why(&b, QUDAG_EPOLICY, "group");
        } else {
            assert_true(ts_both(&a, &b, TLS_STREAM_READY));
            tls_stream_report(a.t, &info);
            assert_string_equal(info.group, row[i].group);
            assert_int_equal(info.props & LINK_PQ_KEX, LINK_PQ_KEX);
        }
        unmake();
    }
}

static void test_the_wrong_peer_is_refused_by_either_side(void **state)
{
    struct sec_expect wrong = {.has_peer = true}, hash = {.has_pq_hash = true};
    const struct peer_id *found = NULL;
    const char *words;

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    wrong.peer.len = 38;
    start(&wrong, NULL);
    ts_run(&a, &b, WHOLE, TS_START);
    why(&a, QUDAG_EAUTH, "peer id mismatch");
    (void)tls_stream_why(a.t, &words, &found);
    assert_non_null(found);
    assert_true(peer_id_eq(found, &b.peer));
    why(&b, QUDAG_EAUTH, "signature");
    start(NULL, &wrong);
    ts_run(&a, &b, WHOLE, TS_START);
    why(&b, QUDAG_EAUTH, "peer id mismatch");
    why(&a, QUDAG_EAUTH, "signature"); /* after it was ready */
    start(&hash, NULL);
    ts_run(&a, &b, WHOLE, TS_START);
    why(&a, QUDAG_EAUTH, "not the expected one");
    (void)tls_stream_why(a.t, &words, &found);
    assert_null(found);
    hash.lax = true;
    start(&hash, NULL);
    ts_run(&a, &b, WHOLE, TS_START);
    assert_true(ts_both(&a, &b, TLS_STREAM_READY));
    unmake();
}

static void test_what_is_needed_is_insisted_on(void **state)
{
    const struct sec_expect kex = {.need = LINK_PQ_KEX}, auth = {.need = LINK_PQ_AUTH};
    struct sec_expect hash = {.has_pq_hash = true};

    (void)state;
    make(PQ_PREFER, PQ_OFF);
    start(&kex, NULL);
    ts_run(&a, &b, WHOLE, TS_START);
    why(&a, QUDAG_EPOLICY, "key exchange");
    start(&auth, NULL);
    ts_run(&a, &b, WHOLE, TS_START);
    why(&a, QUDAG_EPOLICY, "(key)");
    start(&hash, NULL);
    ts_run(&a, &b, WHOLE, TS_START);
    why(&a, QUDAG_EAUTH, "did not prove");
    unmake();
}

static void test_a_wrong_calendar_is_told_from_a_wrong_peer(void **state)
{
    (void)state;
    ts_make(&a, 1, &(struct ts_opt){.pq = PQ_REQUIRE});
    ts_make(&b, 2, &(struct ts_opt){.pq = PQ_REQUIRE, .wall_off = 3 * 86400});
    start(NULL, NULL);
    ts_run(&a, &b, WHOLE, TS_START);
    why(&a, QUDAG_ECLOCK, "clocks");
    unmake();
}

static void test_the_server_picks_the_first_of_its_protocols(void **state)
{
    static const struct {
        const char *a[3], *b[3], *got; /* NULL: refused */
    } row[] = {
        {{"/yamux/1.0.0", "libp2p"}, {"/yamux/1.0.0", "libp2p"}, "/yamux/1.0.0"},
        {{"libp2p", "/yamux/1.0.0"}, {"/yamux/1.0.0", "libp2p"}, "/yamux/1.0.0"},
        {{"libp2p"}, {"/yamux/1.0.0", "libp2p"}, "libp2p"},
        {{"/yamux/1.0.0", "libp2p"}, {"libp2p"}, "libp2p"},
        {{"/yamux/1.0.0"}, {"libp2p"}, NULL},
        {{"libp2"}, {"libp2p"}, NULL},
        {{"libp2pp"}, {"libp2p"}, NULL},
    };

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(ts_start(&a, false, NULL, row[i].a), QUDAG_OK);
        assert_int_equal(ts_start(&b, true, NULL, row[i].b), QUDAG_OK);
        ts_run(&a, &b, WHOLE, TS_START);
        if (row[i].got == NULL) {
            why(&a, QUDAG_EUNSUPPORTED, "does not speak");
            why(&b, QUDAG_EUNSUPPORTED, "does not speak");
            continue;
        }
        assert_true(ts_both(&a, &b, TLS_STREAM_READY));
        assert_string_equal(tls_stream_proto(a.t), row[i].got);
        assert_string_equal(tls_stream_proto(b.t), row[i].got);
    }
    unmake();
}

static void test_a_peer_without_a_protocol_is_the_owners_choice(void **state)
{
    struct tls_stream_config cfg = {.server = true, .protos = ts_protos};

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    cfg.mem = &b.mem;
    cfg.sec = b.sec;
    for (int needed = 0; needed < 2; needed++) {
        start(NULL, NULL);
        cfg.proto_needed = needed == 1;
        tls_stream_free(b.t);
        assert_int_equal(tls_stream_new(&b.t, &cfg, TS_START), QUDAG_OK);
        struct sec_hs *hs = LIST_ENTRY(a.sec->running.next, struct sec_hs, link);
        assert_int_equal(SSL_set_alpn_protos(hs->ssl, NULL, 0), 0);
        ts_run(&a, &b, WHOLE, TS_START);
        if (needed == 0) {
            assert_true(ts_both(&a, &b, TLS_STREAM_READY));
            assert_null(tls_stream_proto(a.t));
            assert_null(tls_stream_proto(b.t));
        } else {
            why(&b, QUDAG_EUNSUPPORTED, "protocol");
        }
    }
    unmake();
}

static void confirming(void)
{
    make(PQ_REQUIRE, PQ_REQUIRE);
    a.confirm = b.confirm = true;
}

/* Byte by byte: before the server has seen the client's proof, the client is not ready. */
static void test_a_server_says_that_it_accepts(void **state)
{
    (void)state;
    confirming();
    start(NULL, NULL);
    ts_feed(&a, (struct slice){NULL, 0}, TS_START);
    (void)ts_move(&a, &b, 1, TS_START);
    (void)ts_move(&b, &a, 1, TS_START);
    assert_true(ts_both(&a, &b, TLS_STREAM_HANDSHAKE));
    assert_int_equal(tls_stream_send(a.t, text("x"), TS_START), QUDAG_ESTATE);
    (void)ts_move(&a, &b, 1, TS_START);
    assert_int_equal(tls_stream_state(b.t), TLS_STREAM_READY);
    assert_int_equal(tls_stream_output(b.t).len, KEY_UPDATE);
    say(&b, "welcome", TS_START);
    tls_stream_close(b.t);
    ts_run(&a, &b, 1, TS_START);
    heard(&a, "welcome");
    assert_int_equal(tls_stream_state(a.t), TLS_STREAM_ENDED);
    say(&a, "thanks", TS_START);
    ts_run(&a, &b, WHOLE, TS_START);
    heard(&b, "thanks");
    up();
    unmake();
}

static void test_a_client_that_is_refused_was_never_ready(void **state)
{
    struct sec_expect wrong = {.has_peer = true};

    (void)state;
    confirming();
    start(NULL, &wrong);
    ts_feed(&a, (struct slice){NULL, 0}, TS_START);
    while (ts_move(&a, &b, WHOLE, TS_START) + ts_move(&b, &a, WHOLE, TS_START) > 0) {
        assert_int_not_equal(tls_stream_state(a.t), TLS_STREAM_READY);
    }
    why(&b, QUDAG_EAUTH, "peer id mismatch");
    why(&a, QUDAG_EAUTH, "signature");
    /* a server that says nothing, and sends data or the end */
    for (int i = 0; i < 2; i++) {
        b.confirm = false;
        start(NULL, NULL);
        ts_run(&a, &b, WHOLE, TS_START);
        assert_int_equal(tls_stream_state(a.t), TLS_STREAM_HANDSHAKE);
        if (i == 0) {
            say(&b, "data", TS_START);
        } else {
            tls_stream_close(b.t);
        }
        ts_run(&a, &b, WHOLE, TS_START);
        why(&a, QUDAG_EPROTO, "accepts us");
        assert_int_equal(a.got_len, 0);
    }
    unmake();
}

/* Byte by byte, so that every place where input can be cut is one where it is. */
static void test_input_may_be_cut_anywhere(void **state)
{
    static const size_t chunks[] = {1, 2, 3, 5, 7, 64, 1000, 4096, 16389};

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        start(NULL, NULL);
        ts_run(&a, &b, chunks[i], TS_START);
        assert_true(ts_both(&a, &b, TLS_STREAM_READY));
        say(&a, "from the client", TS_START);
        say(&b, "from ", TS_START);
        say(&b, "the server", TS_START);
        ts_run(&a, &b, chunks[i], TS_START);
        heard(&b, "from the client");
        heard(&a, "from the server");
        tls_stream_close(a.t);
        tls_stream_close(b.t);
        ts_run(&a, &b, chunks[i], TS_START);
        assert_true(ts_both(&a, &b, TLS_STREAM_ENDED));
    }
    unmake();
}

/* What was sent is the whole flight; at each byte before its last nothing is proven, and nothing handed out. */
static void test_a_flight_that_stops_anywhere_proves_nothing(void **state)
{
    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    start(NULL, NULL);
    ts_feed(&a, (struct slice){NULL, 0}, TS_START);
    (void)ts_move(&a, &b, WHOLE, TS_START);
    for (;;) {
        struct slice s = tls_stream_output(b.t);

        assert_true(s.len > 0);
        ts_feed(&a, (struct slice){s.base, 1}, TS_START);
        tls_stream_output_sent(b.t, 1);
        if (tls_stream_state(a.t) != TLS_STREAM_HANDSHAKE) {
            break;
        }
    }
    assert_int_equal(tls_stream_state(a.t), TLS_STREAM_READY);
    assert_int_equal(tls_stream_output(b.t).len, 0);
    for (struct slice s; (s = tls_stream_output(a.t)).len > 0;) {
        assert_int_equal(tls_stream_state(b.t), TLS_STREAM_HANDSHAKE);
        ts_feed(&b, (struct slice){s.base, 1}, TS_START);
        tls_stream_output_sent(a.t, 1);
    }
    assert_int_equal(tls_stream_state(b.t), TLS_STREAM_READY);
    unmake();
}

static void test_data_that_stops_anywhere_is_no_end(void **state)
{
    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    up();
    say(&a, "half of this", TS_START);
    tls_stream_close(a.t);
    for (struct slice s; (s = tls_stream_output(a.t)).len > 0;) {
        assert_int_equal(tls_stream_state(b.t), TLS_STREAM_READY);
        ts_feed(&b, (struct slice){s.base, 1}, TS_START);
        tls_stream_output_sent(a.t, 1);
    }
    heard(&b, "half of this");
    assert_int_equal(tls_stream_state(b.t), TLS_STREAM_ENDED);
    unmake();
}

/* Delivers everything with bit |bit| of byte |at| of the client's, or the server's, bytes flipped. */
static bool run_flipped(bool server, size_t at, unsigned bit)
{
    size_t done[2] = {0, 0};
    uint8_t copy[40000];

    start(NULL, NULL);
    ts_feed(&a, (struct slice){NULL, 0}, TS_START);
    for (bool moved = true; moved;) {
        moved = false;
        for (int from = 0; from < 2; from++) {
            struct ts_end *f = from == 0 ? &a : &b, *to = from == 0 ? &b : &a;

            for (struct slice s; (s = tls_stream_output(f->t)).len > 0; moved = true) {
                memcpy(copy, s.base, s.len);
                if ((from == 1) == server && at >= done[from] && at < done[from] + s.len) {
                    copy[at - done[from]] ^= (uint8_t)(1u << bit);
                }
                ts_feed(to, (struct slice){copy, s.len}, TS_START);
                tls_stream_output_sent(f->t, s.len);
                done[from] += s.len;
            }
        }
    }
    return at < done[server ? 1 : 0];
}

/*
 * Of the 23 KB of a handshake every 29th byte, and the first 150 of each side.  What nobody vouches for is the version
 * in the header of records that are not sealed: RFC 8446 5.1 has it ignored.
 */
static void test_a_flipped_bit_of_the_handshake_ends_it(void **state)
{
    unsigned ignored = 0;

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    for (int server = 0; server < 2; server++) {
        for (size_t at = 0;; at += at < 150 ? 1 : 29) {
            bool there = run_flipped(server == 1, at, (unsigned)(at % 8));

            if (!there) {
                break;
            }
            if (ts_both(&a, &b, TLS_STREAM_READY)) {
                assert_in_range(at, 1, 2);
                ignored++;
                continue;
            }
            /* One has seen it, or waits for what a changed length promised. */
            assert_int_equal(a.got_len + b.got_len, 0);
        }
    }
    assert_true(ignored <= 4);
    unmake();
}

static void test_a_flipped_bit_of_data_ends_it(void **state)
{
    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    for (size_t at = 0; at < 4 + RECORD_EXTRA; at++) {
        uint8_t copy[64];

        up();
        say(&a, "data", TS_START);
        struct slice s = tls_stream_output(a.t);
        assert_int_equal(s.len, 4 + RECORD_EXTRA);
        memcpy(copy, s.base, s.len);
        copy[at] ^= (uint8_t)(1u << (at % 8));
        ts_feed(&b, (struct slice){copy, s.len}, TS_START);
        assert_int_equal(b.got_len, 0);
        assert_true(tls_stream_state(b.t) == TLS_STREAM_FAILED || at == 3 || at == 4);
    }
    unmake();
}

static void test_replayed_and_reordered_records_end_it(void **state)
{
    uint8_t copy[64];

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    up();
    say(&a, "once", TS_START);
    struct slice s = tls_stream_output(a.t);
    memcpy(copy, s.base, s.len);
    (void)ts_move(&a, &b, WHOLE, TS_START);
    heard(&b, "once");
    ts_feed(&b, (struct slice){copy, 4 + RECORD_EXTRA}, TS_START);
    why(&b, QUDAG_EPROTO, "");
    assert_int_equal(b.got_len, 0);
    unmake();
}

static void test_alerts_say_what_they_mean(void **state)
{
    static const uint8_t refused[] = {21, 3, 3, 0, 2, 2, 40}, odd[] = {21, 3, 3, 0, 2, 2, 99};
    static const uint8_t http[] = "GET / HTTP/1.1\r\n\r\n";

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    start(NULL, NULL);
    ts_feed(&a, (struct slice){NULL, 0}, TS_START);
    ts_feed(&a, (struct slice){refused, sizeof refused}, TS_START);
    why(&a, QUDAG_EPOLICY, "the peer's policy");
    start(NULL, NULL);
    ts_feed(&a, (struct slice){NULL, 0}, TS_START);
    ts_feed(&a, (struct slice){odd, sizeof odd}, TS_START);
    why(&a, QUDAG_EPROTO, "alert");
    start(NULL, NULL);
    ts_feed(&b, (struct slice){http, sizeof http - 1}, TS_START);
    why(&b, QUDAG_EPROTO, "");
    /* for good: nothing is taken any more */
    size_t used = 1;
    struct slice plain;
    assert_int_equal(tls_stream_receive(b.t, text("x"), &used, &plain, TS_START), QUDAG_EPROTO);
    assert_int_equal(used, 0);
    assert_int_equal(tls_stream_send(b.t, text("x"), TS_START), QUDAG_ESTATE);
    unmake();
}

/* What RFC 8446 D.4 has ignored, messages that never come whole, and lengths that nothing has. */
static void test_a_handshake_without_end_is_ended(void **state)
{
    static const uint8_t ccs[] = {20, 3, 3, 0, 1, 1},
                         huge[] = {22, 3, 3, 0x40, 0, 1, 0xff, 0xff, 0xff};
    static uint8_t hello[5 + TLS_STREAM_PLAIN_MAX] = {22, 3, 3, 0x40, 0, 2, 0, 0xff, 0xf0};

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    start(NULL, NULL);
    ts_feed(&a, (struct slice){NULL, 0}, TS_START);
    for (size_t n = 0; a.err == QUDAG_OK; n += sizeof ccs) {
        assert_true(n <= TLS_STREAM_HANDSHAKE_MAX);
        ts_feed(&a, (struct slice){ccs, sizeof ccs}, TS_START);
    }
    assert_int_equal(tls_stream_state(a.t), TLS_STREAM_FAILED);
    /* a ServerHello of 65,520 bytes, which the library would wait for */
    start(NULL, NULL);
    ts_feed(&a, (struct slice){NULL, 0}, TS_START);
    for (size_t n = 0; a.err == QUDAG_OK; n += sizeof hello) {
        assert_true(n <= TLS_STREAM_HANDSHAKE_MAX);
        ts_feed(&a, (struct slice){hello, sizeof hello}, TS_START);
        hello[5] = 0;
    }
    why(&a, QUDAG_ELIMIT, "too long");
    start(NULL, NULL);
    ts_feed(&b, (struct slice){huge, sizeof huge}, TS_START);
    for (size_t n = 0; b.err == QUDAG_OK && n < 100000; n += sizeof huge) {
        ts_feed(&b, (struct slice){huge, sizeof huge}, TS_START);
    }
    assert_int_equal(tls_stream_state(b.t), TLS_STREAM_FAILED);
    unmake();
}

static void test_each_direction_ends_by_itself(void **state)
{
    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    up();
    say(&a, "last words", TS_START);
    tls_stream_close(a.t);
    tls_stream_close(a.t);
    assert_int_equal(tls_stream_send(a.t, text("x"), TS_START), QUDAG_ESTATE);
    ts_run(&a, &b, WHOLE, TS_START);
    heard(&b, "last words");
    assert_int_equal(tls_stream_state(b.t), TLS_STREAM_ENDED);
    assert_int_equal(tls_stream_state(a.t), TLS_STREAM_READY);
    say(&b, "an answer", TS_START);
    ts_run(&a, &b, WHOLE, TS_START);
    heard(&a, "an answer");
    /* behind the end everything is ignored, and taken */
    ts_feed(&b, text("not even a record"), TS_START);
    assert_int_equal(b.err, QUDAG_OK);
    tls_stream_close(b.t);
    ts_run(&a, &b, WHOLE, TS_START);
    assert_true(ts_both(&a, &b, TLS_STREAM_ENDED));
    unmake();
}

static void test_nothing_is_sent_before_the_handshake_is_over(void **state)
{
    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    start(NULL, NULL);
    assert_int_equal(tls_stream_send(a.t, text("x"), TS_START), QUDAG_ESTATE);
    tls_stream_close(b.t); /* which takes effect at once when it is */
    ts_run(&a, &b, WHOLE, TS_START);
    assert_int_equal(tls_stream_state(a.t), TLS_STREAM_ENDED);
    assert_int_equal(tls_stream_state(b.t), TLS_STREAM_READY);
    assert_int_equal(tls_stream_send(b.t, text("x"), TS_START), QUDAG_ESTATE);
    say(&a, "still", TS_START);
    ts_run(&a, &b, WHOLE, TS_START);
    heard(&b, "still");
    unmake();
}

static void test_much_data_goes_through(void **state)
{
    static uint8_t data[200000];

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    up();
    rng_fill(&a.rng, data, sizeof data);
    assert_int_equal(tls_stream_send(a.t, (struct slice){data, sizeof data}, TS_START), QUDAG_OK);
    assert_int_equal(tls_stream_send(a.t, (struct slice){data, 0}, TS_START), QUDAG_OK);
    ts_run(&a, &b, 30000, TS_START);
    assert_int_equal(b.got_len, sizeof data);
    assert_memory_equal(b.got, data, sizeof data);
    unmake();
}

static void test_keys_are_renewed_by_age_on_the_way_of_data(void **state)
{
    const tstamp later = TS_START + TLS_STREAM_REKEY_NS / 100 * 111; /* before the server would */

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    up();
    a.sent = b.sent = 0;
    say(&a, "data", TS_START + TLS_STREAM_REKEY_NS / 10 * 8);
    ts_run(&a, &b, WHOLE, TS_START);
    assert_int_equal(a.sent, 4 + RECORD_EXTRA);
    say(&a, "more", later);
    ts_run(&a, &b, WHOLE, later);
    assert_int_equal(a.sent, 2 * (4 + RECORD_EXTRA) + KEY_UPDATE);
    heard(&b, "datamore");
    say(&b, "mine", later); /* the peer's own update goes before it */
    ts_run(&a, &b, WHOLE, later);
    assert_int_equal(b.sent, 4 + RECORD_EXTRA + KEY_UPDATE);
    heard(&a, "mine");
    say(&a, "done", later + 1);
    ts_run(&a, &b, WHOLE, later + 1);
    assert_int_equal(a.sent, 3 * (4 + RECORD_EXTRA) + KEY_UPDATE);
    heard(&b, "done");
    unmake();
}

static void test_keys_are_renewed_where_nothing_is_sent(void **state)
{
    const tstamp later = TS_START + TLS_STREAM_REKEY_NS / 100 * 111; /* before the server would */

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    up();
    a.sent = b.sent = 0;
    say(&b, "data", later);
    (void)ts_move(&b, &a, WHOLE, later);
    heard(&a, "data");
    assert_int_equal(tls_stream_output(a.t).len, KEY_UPDATE);
    ts_run(&a, &b, WHOLE, later);
    say(&b, "data", later + 1);
    ts_run(&a, &b, WHOLE, later + 1);
    assert_int_equal(b.sent, 2 * (4 + RECORD_EXTRA) + KEY_UPDATE);
    heard(&a, "data");
    /* the server would ask a quarter later than the client, which it has no reason to any more */
    say(&a, "x", TS_START + TLS_STREAM_REKEY_NS / 10 * 16);
    a.sent = b.sent = 0;
    ts_run(&a, &b, WHOLE, TS_START + TLS_STREAM_REKEY_NS / 10 * 16);
    assert_int_equal(a.sent, 1 + RECORD_EXTRA);
    assert_int_equal(b.sent, 0);
    unmake();
}

static void test_when_keys_have_been_used_enough(void **state)
{
    (void)state;
    assert_false(tls_stream_rule_rekey(0, 10, 9));
    assert_true(tls_stream_rule_rekey(0, 10, 10));
    assert_false(tls_stream_rule_rekey(TLS_STREAM_REKEY_RECORDS - 1, 10, 9));
    assert_true(tls_stream_rule_rekey(TLS_STREAM_REKEY_RECORDS, 10, 9));
}

static void change_keys(const struct ts_end *e)
{
    assert_int_equal(SSL_key_update(ssl_of(e), SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(ssl_of(e)), 1);
}

/* Each is a record, and work; none of them is data. */
static void test_records_without_data_are_bounded(void **state)
{
    size_t n = 0;

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    up();
    for (; b.err == QUDAG_OK; n++) {
        assert_true(n < 3000);
        change_keys(&a);
        ts_run(&a, &b, WHOLE, TS_START + n * NS_PER_S);
    }
    assert_true(n > 1000);
    why(&b, QUDAG_ELIMIT, "without data");
    unmake();
}

/* A byte of data between makes them no less work, nor does reading our answers. */
static void test_keys_are_not_changed_without_end(void **state)
{
    size_t n = 0;

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    up();
    for (; n < 100; n++) { /* at leisure */
        change_keys(&a);
        say(&a, "x", TS_START + n * NS_PER_S);
        ts_run(&a, &b, WHOLE, TS_START + n * NS_PER_S);
        assert_int_equal(b.err, QUDAG_OK);
    }
    for (size_t more = 0; b.err == QUDAG_OK; more++) {
        assert_true(more < 40);
        change_keys(&a);
        say(&a, "x", TS_START + n * NS_PER_S);
        ts_run(&a, &b, WHOLE, TS_START + n * NS_PER_S);
    }
    why(&b, QUDAG_ELIMIT, "changes its keys");
    unmake();
}

/* Whoever does not read makes us keep every answer. */
static void test_answers_that_nobody_reads_are_bounded(void **state)
{
    size_t n = 0;

    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    up();
    for (; b.err == QUDAG_OK; n++) {
        assert_true(n < 40);
        change_keys(&a);
        say(&a, "x", TS_START + n * NS_PER_S); /* slowly, too */
        (void)ts_move(&a, &b, WHOLE, TS_START + n * NS_PER_S);
    }
    assert_true(n > 32);
    why(&b, QUDAG_ELIMIT, "changes its keys");
    unmake();
}

static void test_without_memory_there_is_no_session(void **state)
{
    (void)state;
    make(PQ_REQUIRE, PQ_REQUIRE);
    for (uint64_t n = 1;; n++) {
        const char *words = NULL;
        const struct peer_id *found;

        assert_int_equal(ts_start(&b, true, NULL, NULL), QUDAG_OK);
        a.mem.fail_at = n;
        qudag_err err = ts_start(&a, false, NULL, NULL);
        if (err == QUDAG_OK) {
            ts_run(&a, &b, WHOLE, TS_START);
            if (a.err == QUDAG_OK) {
                err = tls_stream_send(a.t, text("data"), TS_START);
                assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
                err = tls_stream_send(b.t, text("data"), TS_START);
                assert_true(err == QUDAG_OK || err == QUDAG_ESTATE);
                ts_run(&a, &b, WHOLE, TS_START);
                tls_stream_close(a.t);
            }
            err = tls_stream_why(a.t, &words, &found);
        }
        if (a.mem.fail_at != 0) { /* no allocation was left to fail */
            a.mem.fail_at = 0;
            assert_int_equal(err, QUDAG_OK);
            break;
        }
        assert_int_equal(err, QUDAG_ENOMEM);
        assert_true(words == NULL || strcmp(words, "out of memory") == 0);
    }
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_of_policies),
        cmocka_unit_test(test_levels_agree_or_there_is_no_session),
        cmocka_unit_test(test_the_wrong_peer_is_refused_by_either_side),
        cmocka_unit_test(test_what_is_needed_is_insisted_on),
        cmocka_unit_test(test_a_wrong_calendar_is_told_from_a_wrong_peer),
        cmocka_unit_test(test_the_server_picks_the_first_of_its_protocols),
        cmocka_unit_test(test_a_peer_without_a_protocol_is_the_owners_choice),
        cmocka_unit_test(test_a_server_says_that_it_accepts),
        cmocka_unit_test(test_a_client_that_is_refused_was_never_ready),
        cmocka_unit_test(test_input_may_be_cut_anywhere),
        cmocka_unit_test(test_a_flight_that_stops_anywhere_proves_nothing),
        cmocka_unit_test(test_data_that_stops_anywhere_is_no_end),
        cmocka_unit_test(test_a_flipped_bit_of_the_handshake_ends_it),
        cmocka_unit_test(test_a_flipped_bit_of_data_ends_it),
        cmocka_unit_test(test_replayed_and_reordered_records_end_it),
        cmocka_unit_test(test_alerts_say_what_they_mean),
        cmocka_unit_test(test_a_handshake_without_end_is_ended),
        cmocka_unit_test(test_each_direction_ends_by_itself),
        cmocka_unit_test(test_nothing_is_sent_before_the_handshake_is_over),
        cmocka_unit_test(test_much_data_goes_through),
        cmocka_unit_test(test_keys_are_renewed_by_age_on_the_way_of_data),
        cmocka_unit_test(test_keys_are_renewed_where_nothing_is_sent),
        cmocka_unit_test(test_when_keys_have_been_used_enough),
        cmocka_unit_test(test_records_without_data_are_bounded),
        cmocka_unit_test(test_keys_are_not_changed_without_end),
        cmocka_unit_test(test_answers_that_nobody_reads_are_bounded),
        cmocka_unit_test(test_without_memory_there_is_no_session),
    };

    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
