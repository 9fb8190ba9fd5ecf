/*
 * Peers that do what they should not: before there is a link, in every state, and on one that stands.
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/wr.h"
#include "crypto/init.h"
#include "sec/sec_int.h"
#include "upgrade/testkit.h"

static const struct up_opt prefer = {.pq = PQ_PREFER};

#define HEADER "\x13/multistream/1.0.0\n"

/* What a stranger sends to a listener, and whether the listener lets it go on at once. */
static void feed(struct up_pair *p, const void *bytes, size_t len, size_t piece)
{
    p->piece = piece;
    up_deliver(&p->b, bytes, len);
    up_settle(p);
}

static struct up_pair *listener(void)
{
    struct up_pair *p = up_new(&prefer, &prefer);

    assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_OK);
    return p;
}

static void what_is_no_libp2p_ends(void **state)
{
    static const char *const said[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "SSH-2.0-x\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "\xff\xff\xff\xff\xff",
        "\x13/multistream/1.0.1\n",
        HEADER "\xff\x7f",
        HEADER "\x05xxxxx",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        for (size_t piece = 1; piece < 100; piece += 98) {
            struct up_pair *p = listener();
            feed(p, said[i], strlen(said[i]), piece);
            up_run(p, p->now + 20 * NS_PER_S); /* some look like the beginning of a long message */
            assert_true(p->b.ended);
            assert_int_equal(p->b.ups + p->b.downs, 0); /* nobody was told of it */
            assert_int_equal(p->b.u->links.n, 0);
            up_free(p);
        }
    }
}

/* A client of TLS that names none: what would come next is anybody's guess. */
static void tls_without_a_protocol_is_refused(void **state)
{
    static const char *const protos[] = {"/yamux/1.0.0", NULL};
    struct up_pair *p = listener();
    struct tls_stream_config c = {.mem = &p->a.mem, .sec = p->a.sec, .protos = protos};
    struct tls_stream *t;

    (void)state;
    feed(p, HEADER "\x0b/tls/1.0.0\n", 32, UP_CARRY);
    assert_int_equal(upgrade_find(p->b.u, p->b.link)->stage, STAGE_TLS);
    assert_int_equal(tls_stream_new(&t, &c, p->now), QUDAG_OK);
    const struct sec_hs *hs = LIST_ENTRY(p->a.sec->running.next, struct sec_hs, link);
    assert_int_equal(SSL_set_alpn_protos(hs->ssl, NULL, 0), 0);
    for (size_t n = 0, i = 0; i < 4; i++) {
        struct slice in = {p->buf, n}, plain;
        size_t used;
        while (tls_stream_receive(t, in, &used, &plain, p->now) == QUDAG_OK && used > 0) {
            in = slice_rest(in, used);
        }
        struct slice out = tls_stream_output(t);
        upgrade_receive(p->b.u, p->b.link, out, p->now);
        tls_stream_output_sent(t, out.len);
        n = upgrade_output(p->b.u, p->b.link, p->buf, sizeof(p->buf), p->now);
    }
    tls_stream_free(t);
    assert_int_equal(p->b.u->stats.handshakes_failed, 1);
    assert_int_equal(p->b.u->stats.handshakes_timeout, 0);
    up_free(p);
}

static void proposals_without_end_have_one(void **state)
{
    static const char no[] = "\x08/mplex7\n";

    (void)state;
    struct up_pair *p = listener();
    feed(p, HEADER, sizeof(HEADER) - 1, 1000);
    int n = 0;
    while (!p->b.ended) {
        assert_true(n++ < MSS_NA_MAX);
        feed(p, no, sizeof(no) - 1, 3);
    }
    assert_true(p->b.carried < 200);
    up_free(p);

    /* a listener that refuses all is asked for what there is, and not again */
    struct multiaddr none = {0};
    struct transport_target t = {.addr = &none};
    p = up_new(&prefer, &prefer);
    assert_int_equal(up_begin(&p->a, true, &t), QUDAG_OK);
    p->piece = 1000;
    up_deliver(&p->a, (const uint8_t *)HEADER, sizeof(HEADER) - 1);
    for (int i = 0; i < 3; i++) {
        assert_false(p->a.ended);
        up_deliver(&p->a, (const uint8_t *)"\x03na\n", 4);
        up_settle(p);
    }
    assert_true(p->a.ended);
    assert_int_equal(p->a.downs, 1);
    assert_int_equal(p->a.down.err, QUDAG_EUNSUPPORTED);
    up_free(p);
}

/* A byte a second: what counts is the whole of the handshake. */
static void slow_bytes_have_until_the_end_of_the_handshake(void **state)
{
    (void)state;
    struct up_pair *p = listener();
    tstamp begun = p->now;

    for (size_t i = 0; !p->b.ended; i++) {
        assert_true(p->now <= begun + 10 * NS_PER_S);
        upgrade_receive(p->b.u, p->b.link, (struct slice){(const uint8_t *)HEADER + i, 1}, p->now);
        up_run(p, p->now + NS_PER_S);
    }
    struct upgrade_stats st;
    upgrade_stats_get(p->b.u, &st);
    assert_int_equal(st.handshakes_timeout, 1);
    up_free(p);
}

/* Bytes of whatever kind behind what leads to each security protocol: never a link, and little memory. */
static void noise_of_the_other_kind(void **state)
{
    static const char *const lead[] = {
        HEADER "\x0b/tls/1.0.0\n",
        HEADER "\x07/noise\n",
        HEADER "\x1a/noise-mlkem768-hfs/0.1.0\n",
    };
    static uint8_t junk[200000];
    struct rng_stream stream;
    uint8_t seed[32] = {7};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lead); i++) {
        for (int kind = 0; kind < 4; kind++) {
            struct up_pair *p = listener();
            rng_stream_init(&stream, seed);
            rng_stream_fill(&stream, junk, sizeof(junk));
            if (kind == 1) {
                memset(junk, 0, sizeof(junk));
            } else if (kind == 2) { /* records of a handshake as long as may be */
                for (size_t k = 0; k + 5 <= sizeof(junk); k += 5 + 16000) {
                    memcpy(junk + k, "\x16\x03\x03\x3e\x80\x01\x00\xff\xff", 9);
                }
            } else if (kind == 3) { /* alerts that say nothing */
                for (size_t k = 0; k + 7 <= sizeof(junk); k += 7) {
                    memcpy(junk + k, "\x15\x03\x03\x00\x02\x01\x5a", 7);
                }
            }
            size_t used = p->b.mem.used;
            feed(p, lead[i], strlen(lead[i]), 1000);
            feed(p, junk, sizeof(junk), 1000);
            up_run(p, p->now + 60 * NS_PER_S);
            assert_true(p->b.ended);
            assert_int_equal(p->b.ups + p->b.downs, 0);
            assert_true(p->b.mem.peak - used < 300000);
            assert_int_equal(p->b.u->links.n, 0);
            up_free(p);
        }
    }
}

/* ------------------------------------------------------------------ a message of one state in another */

#define FLIGHTS 16

/* What passed, in order, each as a carrier took it. */
struct tape {
    struct {
        bool of_a;
        uint8_t *bytes;
        size_t len;
    } v[FLIGHTS];
    size_t n;
    size_t wrong_at,
        wrong; /* instead of what passes as the wrong_at-th the wrong-th of |other| is handed over */
    const struct tape *other;
    size_t stripped;
};

static bool record(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    static const char *const id[] = {"/tls/1.0.0\n", "/noise-mlkem768-hfs/0.1.0\n"};
    struct tape *t = p->ctx;

    for (size_t k = 0; from == &p->a && k < t->stripped; k++) {
        for (size_t i = 0; i + strlen(id[k]) <= *len; i++) {
            if (memcmp(bytes + i, id[k], strlen(id[k])) == 0) {
                bytes[i + 1] = 'X';
            }
        }
    }
    if (t->n >= FLIGHTS) {
        return true;
    }
    if (t->other != NULL && t->n == t->wrong_at) {
        memcpy(bytes, t->other->v[t->wrong].bytes, t->other->v[t->wrong].len);
        *len = t->other->v[t->wrong].len;
    }
    t->v[t->n].of_a = from == &p->a;
    t->v[t->n].bytes = malloc(*len);
    assert_non_null(t->v[t->n].bytes);
    memcpy(t->v[t->n].bytes, bytes, *len);
    t->v[t->n++].len = *len;
    return true;
}

static void tape_free(struct tape *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->v[i].bytes);
    }
}

static struct up_pair *play(struct tape *t)
{
    struct up_pair *p = up_new(&prefer, &prefer);

    p->pass = record;
    p->ctx = t;
    up_dial(p);
    up_settle(p);
    return p;
}

static void any_message_in_any_state(void **state)
{
    (void)state;
    for (size_t stripped = 0; stripped < 3; stripped++) {
        struct tape good = {.stripped = stripped};
        struct up_pair *p = play(&good);
        assert_int_equal(p->a.ups + p->b.ups, 2);
        up_free(p);
        assert_true(good.n >= 6);
        for (size_t at = 0; at < good.n; at++) {
            for (size_t wrong = 0; wrong < good.n; wrong++) {
                struct tape t = {
                    .stripped = stripped, .other = &good, .wrong_at = at, .wrong = wrong};
                p = play(&t);
                up_run(p, p->now + 100 * NS_PER_S);
                assert_true(p->a.ups == 0 || peer_id_eq(&p->a.info.peer, &p->b.peer));
                assert_true(p->b.ups == 0 || peer_id_eq(&p->b.info.peer, &p->a.peer));
                /* the keys are others each time, so of what is sealed nothing fits */
                assert_true(at == wrong || at < 2 * (stripped + 1) || p->a.ups + p->b.ups < 2 ||
                            p->a.downs + p->b.downs > 0);
                up_free(p);
                tape_free(&t);
            }
        }
        tape_free(&good);
    }
}

/* ------------------------------------------------------------------ a peer with keys */

static struct up_pair *linked(bool noise)
{
    struct tape t = {.stripped = noise ? 1 : 0};
    struct up_pair *p = play(&t);

    p->pass = NULL;
    tape_free(&t);
    assert_int_equal(p->a.ups + p->b.ups, 2);
    return p;
}

/* So many frames with these fields; |payload| zero bytes behind each. */
struct frames {
    unsigned n;
    uint8_t type;
    uint16_t flags;
    uint32_t id, step, len;
    size_t payload;
};

/* They go from a to b, sealed rightly. */
static void frames(struct up_pair *p, struct frames f)
{
    static uint8_t bytes[12 + 300000];
    struct upgrade_link *l = upgrade_find(p->a.u, p->a.link);

    for (unsigned i = 0; i < f.n; i++) {
        struct wr w = wr_init(bytes, 12);
        wr_u8(&w, 0);
        wr_u8(&w, f.type);
        wr_u16(&w, f.flags);
        wr_u32(&w, f.id + i * f.step);
        wr_u32(&w, f.len);
        assert_non_null(l);
        assert_int_equal(upgrade_put_sealed(l, (struct slice){bytes, 12 + f.payload}), QUDAG_OK);
        upgrade_mark_work(l);
        if (i % 16 == 15 || i == f.n - 1) {
            up_settle(p);
            l = upgrade_find(p->a.u, p->a.link);
            if (l == NULL || p->b.downs > 0) {
                return;
            }
        }
    }
}

enum { DATA, WINDOW, PING, GO_AWAY };
enum { SYN = 1, ACK = 2, FIN = 4, RST = 8 };

static void what_breaks_the_muxer_breaks_the_link(void **state)
{
    static const struct {
        struct frames f;
        qudag_err err;
    } row[] = {
        {{1, DATA, SYN, 101, 2, 262145, 100}, QUDAG_EPROTO}, /* more than the window */
        {{2, DATA, SYN, 101, 0, 10, 10}, QUDAG_EPROTO},      /* opened twice */
        {{1, DATA, SYN, 102, 2, 10, 10}, QUDAG_EPROTO},      /* a name of ours */
        {{1, 4, 0, 0, 0, 0, 0}, QUDAG_EPROTO},               /* no such frame */
        {{1, DATA, 0, 0, 0, 10, 10}, QUDAG_EPROTO},          /* a stream without a name */
        {{2, WINDOW, SYN, 101, 0, UINT32_MAX, 0}, QUDAG_EPROTO},
        {{20000, PING, SYN, 0, 0, 1, 0}, QUDAG_ELIMIT}, /* floods */
        {{20000, PING, ACK, 0, 0, 1, 0}, QUDAG_ELIMIT},
        {{20000, WINDOW, 0, 7, 0, 1, 0}, QUDAG_ELIMIT},
        {{20000, DATA, 0, 7, 0, 1, 1}, QUDAG_ELIMIT},
        {{20000, WINDOW, SYN, 1001, 2, 0, 0}, QUDAG_ELIMIT}, /* more streams than may be */
        {{20000, DATA, RST, 7, 2, 0, 0}, QUDAG_ELIMIT},
        {{20000, GO_AWAY, 0, 0, 0, 0, 0}, QUDAG_ECLOSED},
        {{1, GO_AWAY, 0, 0, 0, 1, 0}, QUDAG_ERESET}, /* the peer's own fault, as it says */
        {{1, GO_AWAY, 0, 0, 0, 2, 0}, QUDAG_ERESET},
    };

    (void)state;
    for (int noise = 0; noise < 2; noise++) {
        for (size_t i = 0; i < ARRAY_LEN(row); i++) {
            struct up_pair *p = linked(noise != 0);
            size_t used = p->b.mem.used;
            frames(p, row[i].f);
            assert_int_equal(p->b.downs, 1);
            assert_int_equal(p->b.down.err, row[i].err);
            assert_non_null(p->b.down.text);
            assert_true(p->b.mem.peak - used < 1000000);
            up_settle(p);
            assert_true(p->b.ended);
            assert_int_equal(p->a.downs, 1); /* it has heard of it */
            up_free(p);
        }
    }
}

static void streams_beyond_the_limit_are_refused_one_by_one(void **state)
{
    (void)state;
    struct up_pair *p = linked(false);

    frames(p, (struct frames){600, WINDOW, SYN, 1001, 2, 0, 0});
    assert_int_equal(p->b.streams, 512);
    assert_int_equal(p->b.downs, 0);
    up_free(p);
}

/* We reset what the peer still sends to: it could not know, and is not blamed. */
static void late_frames_are_nobodys_fault(void **state)
{
    (void)state;
    struct up_pair *p = linked(true);

    for (uint32_t i = 0; i < 100; i++) {
        frames(p, (struct frames){1, DATA, SYN, 1001 + 2 * i, 0, 10, 10});
        upgrade_link_ops.reset(p->b.u, p->b.link, 1001 + 2 * (int64_t)i, QUDAG_ELIMIT);
        frames(p, (struct frames){60, DATA, 0, 1001 + 2 * i, 0, 10, 10});
    }
    assert_int_equal(p->b.downs, 0);
    frames(p, (struct frames){20000, DATA, 0, 1001, 0, 10, 10}); /* but not for ever */
    assert_int_equal(p->b.downs, 1);
    assert_int_equal(p->b.down.err, QUDAG_ELIMIT);
    up_free(p);
}

static void both_close_at_once(void **state)
{
    (void)state;
    for (int noise = 0; noise < 2; noise++) {
        struct up_pair *p = linked(noise != 0);
        int64_t sid = up_open(&p->a);
        assert_int_equal(up_write(&p->a, sid, "x", 1), QUDAG_OK);
        upgrade_link_ops.close(p->a.u, p->a.link, QUDAG_OK);
        upgrade_link_ops.close(p->b.u, p->b.link, QUDAG_ELIMIT);
        up_settle(p);
        assert_int_equal(p->a.downs, 1);
        assert_int_equal(p->b.downs, 1);
        assert_int_equal(p->a.down.err, QUDAG_ECLOSED);
        assert_int_equal(p->b.down.err, QUDAG_ELIMIT);
        assert_int_equal(p->b.streams, 0);
        assert_int_equal(p->a.u->links.n + p->b.u->links.n, 0);
        up_free(p);
    }
}

/* rust-yamux says that it has failed, and leaves the connection and its streams as they are. */
static void a_muxer_that_has_failed_ends_the_link_whatever_streams_there_are(void **state)
{
    (void)state;
    struct up_pair *p = linked(true);
    int64_t sid = up_open(&p->b);

    assert_int_equal(up_write(&p->b, sid, "before", 6), QUDAG_OK);
    up_settle(p);
    frames(p, (struct frames){1, GO_AWAY, 0, 0, 0, 2, 0});
    assert_int_equal(p->b.downs, 1);
    assert_int_equal(p->b.down.err, QUDAG_ERESET);
    up_free(p);
}

/* A peer that goes opens and takes no more streams; those that are there end as they end. */
static void who_goes_away_leaves_its_streams(void **state)
{
    (void)state;
    struct up_pair *p = linked(false);
    int64_t sid = up_open(&p->b), no;

    assert_int_equal(up_write(&p->b, sid, "before", 6), QUDAG_OK);
    up_settle(p);
    frames(p, (struct frames){1, GO_AWAY, 0, 0, 0, 0, 0});
    assert_int_equal(p->b.downs, 0);
    assert_int_equal(p->b.streams_ok, 1); /* whoever waits for a stream asks, and hears */
    assert_int_equal(upgrade_link_ops.open(p->b.u, p->b.link, 1, "x", &no), QUDAG_ESTALE);
    assert_int_equal(up_write(&p->b, sid, "after", 5), QUDAG_OK);
    up_settle(p);
    assert_int_equal(p->a.bytes, 11);
    upgrade_link_ops.reset(p->b.u, p->b.link, sid, QUDAG_OK);
    up_settle(p);
    assert_int_equal(p->b.downs, 1);
    assert_int_equal(p->b.down.err, QUDAG_ECLOSED);
    up_free(p);
}

static void what_comes_after_the_end_is_not_read(void **state)
{
    uint8_t buf[UP_CARRY];

    (void)state;
    struct up_pair *p = linked(false);
    int64_t sid = up_open(&p->a);
    assert_int_equal(up_write(&p->a, sid, "late", 4), QUDAG_OK);
    size_t n = upgrade_output(p->a.u, p->a.link, buf, sizeof(buf), p->now);
    upgrade_link_ops.close(p->b.u, p->b.link, QUDAG_OK);
    upgrade_receive(p->b.u, p->b.link, (struct slice){buf, n}, p->now);
    up_events(&p->b);
    assert_int_equal(p->b.streams + p->b.bytes, 0);
    assert_int_equal(p->b.downs, 1);
    up_settle(p);
    up_free(p);
}

/* A carrier that takes nothing: what is answered has a limit, what has ended is forgotten. */
static void who_reads_nothing_is_let_go(void **state)
{
    uint8_t buf[UP_CARRY];

    (void)state;
    for (int noise = 0; noise < 2; noise++) {
        struct up_pair *p = linked(noise != 0);
        struct upgrade_link *l = upgrade_find(p->a.u, p->a.link);
        size_t used = p->b.mem.used;
        static uint8_t ping[12 * 256];

        for (size_t i = 0; i < sizeof(ping); i += 12) {
            memcpy(ping + i, "\x00\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x09", 12);
        }
        for (int i = 0; p->b.downs == 0; i++) {
            assert_true(i < 200);
            assert_int_equal(upgrade_put_sealed(l, (struct slice){ping, sizeof(ping)}), QUDAG_OK);
            size_t n = upgrade_output(p->a.u, p->a.link, buf, sizeof(buf), p->now);
            upgrade_receive(p->b.u, p->b.link, (struct slice){buf, n}, p->now);
            up_events(&p->b);
            p->now += 300 * NS_PER_MS; /* below the rate of a flood */
        }
        assert_int_equal(p->b.down.err, QUDAG_ELIMIT);
        assert_true(p->b.mem.peak - used < 200000);
        assert_int_equal(p->b.u->links.n, 1);
        struct ref link;
        uint64_t cookie;
        bool ended = false;
        assert_true(upgrade_next_work(p->b.u, &link, &cookie, &ended) && ended);
        assert_false(upgrade_next_work(p->b.u, &link, &cookie, &ended)); /* named once */
        assert_true(upgrade_deadline(p->b.u) <= p->now + UPGRADE_LINGER);
        p->now += UPGRADE_LINGER;
        upgrade_tick(p->b.u, p->now);
        assert_true(upgrade_next_work(p->b.u, &link, &cookie, &ended) && ended); /* given up */
        assert_int_equal(upgrade_output(p->b.u, link, buf, sizeof(buf), p->now), 0);
        assert_int_equal(p->b.u->links.n, 0);
        up_free(p);
    }
}

/* ------------------------------------------------------------------ without memory */

static void scenario(struct up_pair *p)
{
    struct multiaddr none = {0};
    struct transport_target t = {.addr = &none, .peer = &p->b.peer};
    static uint8_t bytes[100000];
    int64_t sid = 1;

    if (up_begin(&p->a, true, &t) != QUDAG_OK || up_begin(&p->b, false, NULL) != QUDAG_OK) {
        return;
    }
    up_settle(p);
    if (upgrade_link_ops.open(p->a.u, p->a.link, 1, "x", &sid) == QUDAG_OK) {
        (void)up_write(&p->a, sid, bytes, sizeof(bytes));
        up_settle(p);
        (void)up_write(&p->b, sid, bytes, sizeof(bytes));
        upgrade_link_ops.fin(p->b.u, p->b.link, sid);
        up_settle(p);
    }
    upgrade_link_ops.close(p->a.u, p->a.link, QUDAG_OK);
    up_run(p, p->now + 100 * NS_PER_S);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t stripped = 0; stripped < 2; stripped++) {
        for (int of_a = 0; of_a < 2; of_a++) {
            for (uint64_t n = 1;; n++) {
                struct up_pair *p = up_new(&prefer, &prefer);
                struct tape t = {.stripped = stripped, .n = FLIGHTS};
                struct mem *m = of_a != 0 ? &p->a.mem : &p->b.mem;
                p->pass = record;
                p->ctx = &t;
                m->fail_at = n;
                scenario(p);
                bool done = m->fail_at != 0;
                m->fail_at = 0;
                if (p->a.begun && p->b.begun) {
                    assert_int_equal(p->a.downs, 1);
                    assert_int_equal(p->b.downs, p->b.ups);
                    assert_int_equal(p->a.u->links.n + p->b.u->links.n, 0);
                }
                up_free(p);
                if (done) {
                    assert_true(n > 20);
                    break;
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_libp2p_ends),
        cmocka_unit_test(tls_without_a_protocol_is_refused),
        cmocka_unit_test(proposals_without_end_have_one),
        cmocka_unit_test(slow_bytes_have_until_the_end_of_the_handshake),
        cmocka_unit_test(noise_of_the_other_kind),
        cmocka_unit_test(any_message_in_any_state),
        cmocka_unit_test(what_breaks_the_muxer_breaks_the_link),
        cmocka_unit_test(streams_beyond_the_limit_are_refused_one_by_one),
        cmocka_unit_test(late_frames_are_nobodys_fault),
        cmocka_unit_test(both_close_at_once),
        cmocka_unit_test(who_goes_away_leaves_its_streams),
        cmocka_unit_test(a_muxer_that_has_failed_ends_the_link_whatever_streams_there_are),
        cmocka_unit_test(what_comes_after_the_end_is_not_read),
        cmocka_unit_test(who_reads_nothing_is_let_go),
        cmocka_unit_test(any_allocation_may_fail),
    };

    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
