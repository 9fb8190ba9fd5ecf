/* client_test.c - who asks to be dialled: only a nonce counts, and no server costs more than the specification says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/autonat/testkit.h"

static struct autonat_client c;

static const struct autonat_answer *answer(void)
{
    static const struct autonat_answer none = {.word = AUTONAT_NO + 1};

    return has(ACT_UP) ? last(ACT_UP)->ptr : &none;
}

static uint64_t nonce;

/* Asks peer |n|, whose stream is |n|, about 5.9.1.1; the request has been written. */
static void ask(unsigned n)
{
    struct autonat_answer about = {
        .peer = peer(n), .addr = quic("5.9.1.1", 4001), .server = quic("8.8.1.1", 4001)};

    forget();
    assert_int_equal(autonat_ask(&c, &about, now, &acts), QUDAG_OK);
    const struct act *open = last(ACT_OPEN);
    assert_true(open->no_dial && peer_id_eq(&open->peer, &about.peer));
    struct ev ev = {.type = EV_STREAM_OPEN, .cookie = open->cookie, .strm = strm(n)};
    autonat_ask_ops.event(&c, &ev, now, &acts);
    struct autonat_msg m = written();
    assert_int_equal(m.type, AUTONAT_REQUEST);
    assert_int_equal(m.n_addrs, 1); /* else it could dial one and vouch for another */
    assert_true(multiaddr_eq(&m.addr[0], &about.addr));
    nonce = m.nonce;
    forget();
}

static void start(void)
{
    begin();
    autonat_client_init(&c, &rng);
    ask(1);
}

static void says(unsigned n, enum autonat_status status, enum autonat_dial dial)
{
    struct autonat_msg m = {.type = AUTONAT_RESPONSE, .status = status, .dial = dial};

    arrives(&autonat_ask_ops, &c, strm(n), &m);
}

/* A nonce comes on stream 100 over a link from |ip|:|port|. */
static void comes_from(uint64_t what, const char *ip, unsigned port, uint8_t props)
{
    struct ev ev = {.type = EV_STREAM_OPEN, .inbound = true, .strm = strm(100)};
    struct link_info link = {.props = props, .remote = quic(ip, port)};
    uint8_t out[32];
    struct wr w = wr_init(out, sizeof(out));

    autonat_back_ops.event(&c, &ev, now, &acts);
    autonat_back_link(&c, strm(100), &link);
    autonat_back_write(&w, what);
    ev = (struct ev){.type = EV_DATA, .strm = strm(100), .data = wr_done(&w)};
    autonat_back_ops.event(&c, &ev, now, &acts);
}

static void comes(uint64_t what)
{
    comes_from(what, "8.8.1.1", 51000, LINK_INBOUND);
}

static void a_nonce_and_ok_are_a_yes(void **state)
{
    (void)state;
    start();
    comes(nonce);
    const struct act *w = last(ACT_WRITE);
    assert_true(w->data.len == 1 && w->data.base[0] == 0);
    assert_true(has(ACT_FIN));
    assert_false(has(ACT_UP));
    says(1, AUTONAT_OK, AUTONAT_DIAL_OK);
    assert_int_equal(answer()->word, AUTONAT_YES);
    assert_int_equal(autonat_ask_ops.deadline(&c), TSTAMP_NEVER);
}

static void a_nonce_may_come_behind_the_response(void **state)
{
    (void)state;
    start();
    says(1, AUTONAT_OK, AUTONAT_DIAL_OK);
    assert_false(has(ACT_UP));
    comes(nonce);
    autonat_ask_ops.tick(&c, now, &acts);
    assert_int_equal(answer()->word, AUTONAT_YES);
}

static void a_server_that_says_ok_and_has_not_dialled_is_a_liar(void **state)
{
    (void)state;
    start();
    says(1, AUTONAT_OK, AUTONAT_DIAL_OK);
    comes(nonce ^ 1); /* another's nonce */
    assert_int_equal(last(ACT_RESET)->err, QUDAG_EPROTO);
    assert_false(has(ACT_UP));
    autonat_ask_ops.tick(&c, now + AUTONAT_LATE, &acts);
    assert_int_equal(answer()->word, AUTONAT_NOTHING);
    assert_int_equal(last(ACT_UP)->err, QUDAG_EAUTH);
    assert_int_equal(c.stats.lies, 1);
    assert_int_equal(c.stats.nothing, 1); /* it is one of those: node_reach_stats_part() */
}

static void what_is_no_verdict_is_none(void **state)
{
    static const struct {
        uint32_t status, dial;
        enum autonat_word word;
        qudag_err err;
    } row[] = {
        {AUTONAT_OK, AUTONAT_DIAL_ERROR, AUTONAT_NO, QUDAG_OK},
        {AUTONAT_OK, AUTONAT_DIAL_BACK_ERROR, AUTONAT_NOTHING, QUDAG_EPROTO},
        {AUTONAT_OK, AUTONAT_DIAL_UNUSED, AUTONAT_NOTHING, QUDAG_EPROTO},
        {AUTONAT_OK, 7, AUTONAT_NOTHING, QUDAG_EPROTO},
        {AUTONAT_REQUEST_REJECTED, AUTONAT_DIAL_ERROR, AUTONAT_NOTHING, QUDAG_ELIMIT},
        {AUTONAT_DIAL_REFUSED, AUTONAT_DIAL_OK, AUTONAT_NOTHING, QUDAG_EREFUSED},
        {AUTONAT_INTERNAL_ERROR, AUTONAT_DIAL_OK, AUTONAT_NOTHING, QUDAG_EPROTO},
        {999, AUTONAT_DIAL_OK, AUTONAT_NOTHING, QUDAG_EPROTO},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        start();
        says(1, row[i].status, row[i].dial);
        assert_int_equal(answer()->word, row[i].word);
        assert_int_equal(last(ACT_UP)->err, row[i].err);
        start(); /* with the nonce there is nothing to be said against it */
        comes(nonce);
        says(1, row[i].status, row[i].dial);
        assert_int_equal(answer()->word, AUTONAT_YES);
    }
    start(); /* a word about another address than it was asked about */
    struct autonat_msg m = {
        .type = AUTONAT_RESPONSE, .status = AUTONAT_OK, .dial = AUTONAT_DIAL_ERROR, .addr_ix = 1};
    arrives(&autonat_ask_ops, &c, strm(1), &m);
    assert_int_equal(answer()->word, AUTONAT_NOTHING);
}

/* The server's own packets come through a NAT that we have opened towards it. */
static void a_nonce_from_where_the_server_is_linked_proves_nothing(void **state)
{
    (void)state;
    start();
    comes_from(nonce, "8.8.1.1", 4001, LINK_INBOUND);
    comes_from(nonce, "8.8.1.1", 51000, 0); /* over a link that we dialled */
    comes_from(nonce, "8.8.1.1", 51000, LINK_INBOUND | LINK_RELAYED);
    comes_from(nonce, "2a00:1::1", 51000, LINK_INBOUND); /* another IP version */
    says(1, AUTONAT_OK, AUTONAT_DIAL_OK);
    autonat_ask_ops.tick(&c, now + AUTONAT_LATE, &acts);
    assert_int_equal(answer()->word, AUTONAT_NOTHING);
    struct multiaddr addr = quic("5.9.1.1", 4001), server = quic("8.8.1.1", 4001), tcp;
    struct link_info link = {.props = LINK_INBOUND, .remote = quic("9.9.9.9", 4001)};
    struct netaddr a = {.family = 4, .ip = {9, 9, 9, 9}, .port = 5000};
    assert_true(autonat_rule_back(&addr, &server, &link)); /* from wherever else */
    multiaddr_tcp(&tcp, &a, NULL);
    assert_false(autonat_rule_back(&tcp, &server, &link));
    link.remote = tcp;
    assert_true(autonat_rule_back(&tcp, &server, &link));
    assert_false(autonat_rule_back(&addr, &server, &link));
}

/* What one stream says is judged by its own link, not by that of another that is open beside it. */
static void each_dial_back_has_its_own_link(void **state)
{
    struct link_info bad = {.props = LINK_INBOUND, .remote = quic("8.8.1.1", 4001)},
                     good = {.props = LINK_INBOUND, .remote = quic("8.8.1.1", 51000)};
    uint8_t msg[32];
    struct wr w = wr_init(msg, sizeof(msg));
    (void)state;

    start();
    for (unsigned i = 0; i < 2; i++) {
        struct ev ev = {.type = EV_STREAM_OPEN, .inbound = true, .strm = strm(100 + i)};
        autonat_back_ops.event(&c, &ev, now, &acts);
        autonat_back_link(&c, strm(100 + i), i == 0 ? &bad : &good);
    }
    autonat_back_write(&w, nonce);
    struct ev ev = {.type = EV_DATA, .strm = strm(100), .data = wr_done(&w)};
    autonat_back_ops.event(&c, &ev, now, &acts);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_EPROTO);
    says(1, AUTONAT_OK, AUTONAT_DIAL_ERROR);
    assert_int_equal(answer()->word, AUTONAT_NO);
}

static void a_server_is_paid_once_and_no_more_than_it_may_ask_for(void **state)
{
    static const uint64_t price[] = {1, AUTONAT_DATA_PIECE, 30000, AUTONAT_DATA_MAX};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(price); i++) {
        struct autonat_msg m = {.type = AUTONAT_DATA_REQUEST, .num_bytes = price[i]};
        uint64_t got = 0;
        start();
        arrives(&autonat_ask_ops, &c, strm(1), &m);
        for (size_t k = 0; k < acts.n; k++) {
            struct rd r = rd_init(acts.v[k].data);
            struct autonat_msg piece;
            assert_int_equal(acts.v[k].type, ACT_WRITE);
            assert_int_equal(autonat_msg_read(&piece, rd_lp(&r, AUTONAT_MSG_MAX)), QUDAG_OK);
            assert_true(piece.type == AUTONAT_DATA && piece.data.len <= AUTONAT_DATA_PIECE);
            got += piece.data.len;
        }
        assert_int_equal(got, price[i]);
        forget();
        arrives(&autonat_ask_ops, &c, strm(1), &m);
        assert_int_equal(last(ACT_RESET)->err, QUDAG_EPROTO);
        assert_int_equal(answer()->word, AUTONAT_NOTHING);
    }
    start();
    struct autonat_msg m = {.type = AUTONAT_DATA_REQUEST, .num_bytes = AUTONAT_DATA_MAX + 1};
    arrives(&autonat_ask_ops, &c, strm(1), &m);
    assert_false(has(ACT_WRITE));
    assert_int_equal(answer()->word, AUTONAT_NOTHING);
    start(); /* for an address that was not named */
    m = (struct autonat_msg){.type = AUTONAT_DATA_REQUEST, .num_bytes = 1, .addr_ix = 1};
    arrives(&autonat_ask_ops, &c, strm(1), &m);
    assert_int_equal(answer()->word, AUTONAT_NOTHING);
    start(); /* nor for what is no such question */
    m = (struct autonat_msg){.type = AUTONAT_DATA, .data = {(const uint8_t *)"x", 1}};
    arrives(&autonat_ask_ops, &c, strm(1), &m);
    assert_true(has(ACT_RESET) && last(ACT_RESET)->err == QUDAG_EPROTO);
    assert_int_equal(answer()->word, AUTONAT_NOTHING);
}

static void every_question_has_one_end(void **state)
{
    (void)state;
    start();
    autonat_ask_ops.tick(&c, now + AUTONAT_TIMEOUT, &acts);
    assert_int_equal(last(ACT_UP)->err, QUDAG_ETIMEOUT);
    assert_true(has(ACT_RESET));
    start();
    struct ev ev = {.type = EV_RESET, .strm = strm(1), .err = QUDAG_EPOLICY};
    autonat_ask_ops.event(&c, &ev, now, &acts);
    assert_int_equal(last(ACT_UP)->err, QUDAG_EPOLICY);
    forget();
    autonat_ask_ops.event(&c, &ev, now, &acts); /* a stream that is nobody's */
    assert_false(has(ACT_UP));
    start();
    ev = (struct ev){.type = EV_FIN, .strm = strm(1)};
    autonat_ask_ops.event(&c, &ev, now, &acts);
    assert_int_equal(last(ACT_UP)->err, QUDAG_ECLOSED);
    start();
    static const uint8_t junk[] = {3, 1, 2, 3};
    ev = (struct ev){.type = EV_DATA, .strm = strm(1), .data = {junk, sizeof(junk)}};
    autonat_ask_ops.event(&c, &ev, now, &acts);
    assert_int_equal(last(ACT_UP)->err, QUDAG_EPROTO);
    begin();
    autonat_client_init(&c, &rng);
    struct autonat_answer about = {.peer = peer(1)};
    for (unsigned i = 1; i <= AUTONAT_TRIES_MAX; i++) {
        about.peer = peer(i);
        assert_int_equal(autonat_ask(&c, &about, now, &acts), QUDAG_OK);
    }
    assert_int_equal(autonat_ask(&c, &about, now, &acts), QUDAG_EEXISTS);
    about.peer = peer(100);
    assert_int_equal(autonat_ask(&c, &about, now, &acts), QUDAG_ELIMIT);
    ev =
        (struct ev){.type = EV_STREAM_FAIL, .cookie = last(ACT_OPEN)->cookie, .err = QUDAG_ECLOSED};
    autonat_ask_ops.event(&c, &ev, now, &acts);
    assert_int_equal(last(ACT_UP)->err, QUDAG_ECLOSED);
    assert_int_equal(autonat_ask(&c, &about, now, &acts), QUDAG_OK);
}

/* Whoever opens streams with nonces of his own takes no place for long. */
static void strange_nonces_are_refused_and_silence_ends(void **state)
{
    (void)state;
    start();
    for (unsigned i = 0; i < 2 * AUTONAT_BACKS_MAX; i++) {
        struct ev ev = {.type = EV_STREAM_OPEN, .inbound = true, .strm = strm(200 + i)};
        autonat_back_ops.event(&c, &ev, now + i, &acts);
    }
    assert_int_equal(last(ACT_RESET)->err, QUDAG_ELIMIT); /* the oldest made room */
    forget();
    assert_true(autonat_back_ops.deadline(&c) < TSTAMP_NEVER);
    autonat_back_ops.tick(&c, now + 100 + AUTONAT_BACK_TIMEOUT, &acts);
    assert_int_equal(acts.n, AUTONAT_BACKS_MAX);
    assert_int_equal(autonat_back_ops.deadline(&c), TSTAMP_NEVER);
    struct ev ev = {.type = EV_STREAM_OPEN, .inbound = true, .strm = strm(1000)};
    autonat_back_ops.event(&c, &ev, now, &acts);
    static const uint8_t junk[] = {AUTONAT_BACK_MAX + 1, 0};
    ev = (struct ev){.type = EV_DATA, .strm = strm(1000), .data = {junk, sizeof(junk)}};
    autonat_back_ops.event(&c, &ev, now, &acts);
    assert_int_equal(last(ACT_RESET)->err, QUDAG_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nonce_and_ok_are_a_yes),
        cmocka_unit_test(a_nonce_may_come_behind_the_response),
        cmocka_unit_test(a_server_that_says_ok_and_has_not_dialled_is_a_liar),
        cmocka_unit_test(what_is_no_verdict_is_none),
        cmocka_unit_test(a_nonce_from_where_the_server_is_linked_proves_nothing),
        cmocka_unit_test(each_dial_back_has_its_own_link),
        cmocka_unit_test(a_server_is_paid_once_and_no_more_than_it_may_ask_for),
        cmocka_unit_test(every_question_has_one_end),
        cmocka_unit_test(strange_nonces_are_refused_and_silence_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
