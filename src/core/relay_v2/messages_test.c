/* messages_test.c - messages to the relay and to its users that are wrong, in every state, and relays that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rd.h"
#include "core/relay_v2/frame.h"
#include "core/relay_v2/hop_int.h"
#include "core/relay_v2/rules.h"
#include "core/relay_v2/testkit.h"
#include "wire/voucher.h"

static const struct hop_config plain = {.rate = 0};
static const struct ref s1 = {500, 1}, s2 = {501, 1};

static int setup(void **state)
{
    (void)state;
    return crypto_init() == QUDAG_OK ? 0 : -1;
}

/* Gives an event to the core of |node| by hand; what it answers stays in w->acts. */
static void hand(struct world *w, uint32_t node, struct ev ev)
{
    w->acts.n = w->acts.bytes_n = 0;
    w_ops(node)->event(w_core(w, node), &ev, w->now, &w->acts);
}

static void open_in(struct world *w, uint32_t node, struct ref strm, const struct peer_id *from,
                    uint8_t props)
{
    hand(w, node,
         (struct ev){.type = EV_STREAM_OPEN,
                     .inbound = true,
                     .strm = strm,
                     .peer = from,
                     .props = props,
                     .net = 7,
                     .via = 8});
}

static void say(struct world *w, uint32_t node, struct ref strm, struct slice bytes)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);

    assert_non_null(copy);
    memcpy(copy, bytes.base, bytes.len);
    hand(w, node, (struct ev){.type = EV_DATA, .strm = strm, .data = {copy, bytes.len}});
    free(copy);
}

static void say_msg(struct world *w, uint32_t node, struct ref strm, enum circuit_side side,
                    const struct circuit_msg *m)
{
    uint8_t bytes[RELAYED_FRAME_MAX];
    struct wr wr = wr_init(bytes, sizeof(bytes));

    assert_int_equal(circuit_msg_write(&wr, side, m), QUDAG_OK);
    say(w, node, strm, wr_done(&wr));
}

static size_t count(const struct world *w, enum act_type type)
{
    size_t n = 0;

    for (size_t i = 0; i < w->acts.n; i++) {
        n += w->act_v[i].type == type ? 1 : 0;
    }
    return n;
}

static const struct act *find(const struct world *w, enum act_type type)
{
    size_t i = 0;

    while (i < w->acts.n && w->act_v[i].type != type) {
        i++;
    }
    assert_true(i < w->acts.n);
    return &w->act_v[i];
}

/* The status in the message that was written. */
static uint32_t status(const struct world *w, enum circuit_side side)
{
    const struct act *a = find(w, ACT_WRITE);
    struct rd r = rd_init(a->data);
    struct slice body = rd_lp(&r, CIRCUIT_MSG_MAX);
    struct circuit_msg m;

    assert_int_equal(circuit_msg_read(&m, side, body), QUDAG_OK);
    assert_int_equal(m.type, CIRCUIT_STATUS);
    return m.status;
}

static uint32_t up_kind(const struct world *w)
{
    return find(w, ACT_UP)->kind;
}

/* ------------------------------------------------------------------ the relay */

static void the_relay_answers_what_is_wrong_with_a_status(void **state)
{
    struct world *w = w_new(&plain);
    const struct {
        const char *bytes;
        size_t len;
        uint32_t status;
    } rows[] = {
        {"\x02\x08\x02", 3, CIRCUIT_UNEXPECTED_MESSAGE}, /* STATUS */
        {"\x02\x08\x01", 3, CIRCUIT_MALFORMED_MESSAGE},  /* CONNECT to nobody */
        {"\x02\x08\x07", 3, CIRCUIT_MALFORMED_MESSAGE},  /* no such type */
        {"\x00", 1, CIRCUIT_MALFORMED_MESSAGE},          /* empty */
        {"\x80\x00", 2, CIRCUIT_MALFORMED_MESSAGE},      /* a length that is not minimal */
        {"\xff\x7f", 2, CIRCUIT_MALFORMED_MESSAGE},      /* too long */
        {"\xff\xff", 2, CIRCUIT_MALFORMED_MESSAGE},
        {"\x02\x08\x00\x00", 4, CIRCUIT_UNEXPECTED_MESSAGE}, /* RESERVE, and more behind it */
        {"\x02\x08\x00", 3, CIRCUIT_OK},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t more = rows[i].len > 1 ? rows[i].len - 1 : 1;
        for (size_t step = 1; step <= rows[i].len; step += more) {
            struct ref s = {600 + (uint32_t)i, (uint32_t)step};
            if (step == 1 && rows[i].len == 4) {
                continue; /* byte by byte it is a whole request, then bytes after the answer */
            }
            open_in(w, 0, s, &w->id[1], 0);
            for (size_t at = 0; at < rows[i].len; at += step) {
                size_t n = rows[i].len - at < step ? rows[i].len - at : step;
                say(w, 0, s, (struct slice){(const uint8_t *)rows[i].bytes + at, n});
            }
            if (status(w, CIRCUIT_HOP) != rows[i].status) {
                fail_msg("row %zu", i);
            }
            assert_int_equal(count(w, ACT_FIN), 1);
            say(w, 0, s, (struct slice){(const uint8_t *)"more", 4}); /* is read, no more */
            assert_true(w->acts.n == 1 && w->act_v[0].type == ACT_CONSUME);
            hand(w, 0, (struct ev){.type = EV_FIN, .strm = s});
            assert_int_equal(w->acts.n, 0);
        }
    }
    w_free(w);
}

static void relayed_links_are_refused_with_a_status_and_anonymous_ones_unknown(void **state)
{
    static const uint8_t wrong[] = {LINK_RELAYED, LINK_RELAYED | LINK_LIMITED};
    struct world *w = w_new(&plain);
    struct circuit_msg reserve = {.type = CIRCUIT_RESERVE};

    (void)state;
    w_reserve(w, 2);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct circuit_msg connect = {.type = CIRCUIT_CONNECT, .peer = w->id[2]};
        open_in(w, 0, s1, &w->id[1], wrong[i]);
        say_msg(w, 0, s1, CIRCUIT_HOP, &reserve);
        assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_PERMISSION_DENIED);
        hand(w, 0, (struct ev){.type = EV_RESET, .strm = s1});
        open_in(w, 0, s1, &w->id[1], wrong[i]);
        say_msg(w, 0, s1, CIRCUIT_HOP, &connect);
        assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_PERMISSION_DENIED);
        hand(w, 0, (struct ev){.type = EV_RESET, .strm = s1});
    }
    struct peer_id none = {.len = 0};
    for (unsigned i = 0; i < 2; i++) { /* as by a node that has no such protocol */
        open_in(w, i, s1, &none, LINK_ANON);
        assert_int_equal(find(w, ACT_RESET)->err, QUDAG_EUNSUPPORTED);
        open_in(w, i, s1, &w->id[3], LINK_ANON);
        assert_int_equal(find(w, ACT_RESET)->err, QUDAG_EUNSUPPORTED);
    }
    assert_false(hop_reserved(w->hop, &w->id[1]));
    struct circuit_msg self = {.type = CIRCUIT_CONNECT, .peer = w->id[2]};
    open_in(w, 0, s1, &w->id[2], 0); /* to itself */
    say_msg(w, 0, s1, CIRCUIT_HOP, &self);
    assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_PERMISSION_DENIED);
    w_free(w);
}

/* Node 1 has asked for node 2; the cookie of the stream to that. */
static uint64_t asked_for(struct world *w)
{
    struct circuit_msg connect = {.type = CIRCUIT_CONNECT, .peer = w->id[2]};

    open_in(w, 0, s1, &w->id[1], 0);
    say_msg(w, 0, s1, CIRCUIT_HOP, &connect);
    const struct act *a = find(w, ACT_OPEN);
    assert_true(a->no_dial && peer_id_eq(&a->peer, &w->id[2])); /* nobody makes us dial */
    return a->cookie;
}

static void opened(struct world *w, uint64_t cookie, uint8_t props)
{
    hand(w, 0, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = s2, .props = props});
}

static void a_peer_that_does_not_come_is_a_connection_that_failed(void **state)
{
    static const char *const answers[] = {
        "\x02\x08\x00", "\x05\x08\x01\x20\xca\x01", "\x02\x08\x01", "\x02\x08\x09", "\xff\x7f\x00",
    };
    static const size_t lens[] = {3, 6, 3, 3, 3};
    struct world *w = w_new(&plain);

    (void)state;
    w_reserve(w, 2);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) { /* CONNECT, refused, no status, no message */
        opened(w, asked_for(w), 0);
        assert_int_equal(count(w, ACT_WRITE), 1);
        say(w, 0, s2, (struct slice){(const uint8_t *)answers[i], lens[i]});
        assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_CONNECTION_FAILED);
        assert_int_equal(count(w, ACT_RESET), 1); /* of the other stream */
        hand(w, 0, (struct ev){.type = EV_FIN, .strm = s1});
    }
    hand(w, 0, (struct ev){.type = EV_STREAM_FAIL, .cookie = asked_for(w), .err = QUDAG_ECLOSED});
    assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_CONNECTION_FAILED);
    hand(w, 0, (struct ev){.type = EV_FIN, .strm = s1});
    opened(w, asked_for(w), LINK_RELAYED);
    assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_CONNECTION_FAILED);
    assert_int_equal(count(w, ACT_RESET), 1);
    assert_null(map_u64_get(&w->hop->by_strm, ref_to_u64(s2))); /* nor is it known any more */
    hand(w, 0, (struct ev){.type = EV_FIN, .strm = s1});
    static const enum ev_type ends[] = {EV_FIN, EV_RESET};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        opened(w, asked_for(w), 0);
        hand(w, 0, (struct ev){.type = ends[i], .strm = s2, .err = QUDAG_ERESET});
        assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_CONNECTION_FAILED);
        hand(w, 0, (struct ev){.type = EV_FIN, .strm = s1});
    }
    opened(w, asked_for(w), 0); /* no answer in time: asked again first */
    w->acts.n = w->acts.bytes_n = 0;
    hop_ops.tick(w->hop, w->now + HOP_ASK_AGAIN, &w->acts);
    assert_int_equal(count(w, ACT_RESET), 1);
    assert_int_equal(count(w, ACT_OPEN), 1);
    opened(w, find(w, ACT_OPEN)->cookie, 0);
    w->acts.n = w->acts.bytes_n = 0;
    hop_ops.tick(w->hop, w->now + HOP_ANSWER_TIMEOUT, &w->acts);
    assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_CONNECTION_FAILED);
    w_free(w);
}

/* Who asked reads the answer, and has a while to close; until then it takes one of the places for requests. */
static void what_was_answered_stays_a_while_and_counts(void **state)
{
    struct hop_config cfg = {.requests_max = 4};
    struct world *w = w_new(&cfg);
    struct hop_stats s;

    (void)state;
    w_reserve(w, 2);
    hop_stats_get(w->hop, &s);
    uint32_t before = s.requests;
    for (uint32_t i = 0; i < 8; i++) {
        struct ref strm = {700 + i, 1};
        struct circuit_msg connect = {.type = CIRCUIT_CONNECT, .peer = w->id[2]};
        open_in(w, 0, strm, &w->id[1], 0);
        if (count(w, ACT_RESET) > 0) {
            continue;
        }
        say_msg(w, 0, strm, CIRCUIT_HOP, &connect);
        hand(w, 0,
             (struct ev){.type = EV_STREAM_FAIL,
                         .cookie = find(w, ACT_OPEN)->cookie,
                         .err = QUDAG_ECLOSED});
        assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_CONNECTION_FAILED);
    }
    hop_stats_get(w->hop, &s);
    assert_int_equal(before, 0);
    assert_int_equal(s.requests, 4);
    w->acts.n = w->acts.bytes_n = 0;
    hop_ops.tick(w->hop, w->now + HOP_LINGER - 1, &w->acts);
    assert_int_equal(count(w, ACT_RESET), 0);
    hop_ops.tick(w->hop, w->now + HOP_LINGER, &w->acts);
    assert_int_equal(count(w, ACT_RESET), 4);
    w_free(w);
}

/* A peer with another address has a newer link: it is asked over that, at once and not without end. */
static void who_is_asked_over_a_quiet_link_is_asked_over_the_next(void **state)
{
    struct world *w = w_new(&plain);

    (void)state;
    w_reserve(w, 2);
    opened(w, asked_for(w), 0);
    for (unsigned i = 0; i < HOP_ELSEWHERE_MAX; i++) {
        hand(w, 0, (struct ev){.type = EV_RESET, .strm = s2, .err = QUDAG_ECLOSED});
        assert_int_equal(count(w, ACT_RESET), 0);
        assert_int_equal(count(w, ACT_OPEN), 1);
        opened(w, find(w, ACT_OPEN)->cookie, 0);
    }
    hand(w, 0, (struct ev){.type = EV_RESET, .strm = s2, .err = QUDAG_ECLOSED});
    assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_CONNECTION_FAILED);
    w_free(w);
}

static void who_asked_must_wait_and_may_go(void **state)
{
    struct world *w = w_new(&plain);
    struct hop_stats s;

    (void)state;
    w_reserve(w, 2);
    uint64_t cookie = asked_for(w);
    say(w, 0, s1, (struct slice){(const uint8_t *)"x", 1}); /* before it was answered */
    assert_int_equal(find(w, ACT_RESET)->err, QUDAG_EPROTO);
    opened(w, cookie, 0); /* late */
    assert_int_equal(count(w, ACT_RESET), 1);
    cookie = asked_for(w);
    hand(w, 0, (struct ev){.type = EV_RESET, .strm = s1, .err = QUDAG_ERESET});
    assert_int_equal(w->acts.n, 0);
    opened(w, asked_for(w), 0);
    hand(w, 0, (struct ev){.type = EV_FIN, .strm = s1});
    assert_int_equal(count(w, ACT_RESET), 2);
    open_in(w, 0, s1, &w->id[1], 0); /* says nothing */
    w->acts.n = w->acts.bytes_n = 0;
    hop_ops.tick(w->hop, w->now + HOP_READ_TIMEOUT, &w->acts);
    assert_int_equal(find(w, ACT_RESET)->err, QUDAG_ETIMEOUT);
    hop_stats_get(w->hop, &s);
    assert_int_equal(s.circuits + s.requests, 0);
    w_free(w);
}

static void what_comes_with_the_answer_is_carried_and_not_paid_twice(void **state)
{
    struct world *w = w_new(&plain);
    static const uint8_t ok[] = {4, 8, 1, 0x20, 100, 'e', 'a', 'r', 'l', 'y'};

    (void)state;
    w_reserve(w, 2);
    opened(w, asked_for(w), 0);
    say(w, 0, s2, (struct slice){ok, sizeof(ok)});
    assert_int_equal(count(w, ACT_WRITE), 2); /* the status, and the early bytes */
    const struct act *last = &w->act_v[w->acts.n - 1];
    assert_true(ref_eq(last->strm, s1) && last->data.len == 5);
    assert_memory_equal(last->data.base, "early", 5);
    size_t all = find(w, ACT_WRITE)->data.len + 5;
    assert_int_equal(find(w, ACT_CONSUME)->n, sizeof(ok));
    hand(w, 0, (struct ev){.type = EV_WRITABLE, .strm = s1, .n = all});
    assert_int_equal(w->acts.n, 0);
    say(w, 0, s2, (struct slice){ok, 7}); /* now content: no credit before it has left */
    assert_int_equal(count(w, ACT_CONSUME), 0);
    hand(w, 0, (struct ev){.type = EV_WRITABLE, .strm = s1, .n = 7});
    assert_true(find(w, ACT_CONSUME)->n == 7 && ref_eq(find(w, ACT_CONSUME)->strm, s2));
    hand(w, 0, (struct ev){.type = EV_RESET, .strm = s2, .err = QUDAG_ERESET});
    assert_true(count(w, ACT_RESET) == 1 && ref_eq(find(w, ACT_RESET)->strm, s1));
    w_free(w);
}

/* A peer that is no node of ours has to wait for the answer to CONNECT. */
static void what_comes_behind_connect_too_early_is_refused(void **state)
{
    struct world *w = w_new(&plain);
    const struct circuit_msg connect = {.type = CIRCUIT_CONNECT, .peer = w->id[2]};
    uint8_t bytes[RELAYED_FRAME_MAX];
    struct wr wr = wr_init(bytes, sizeof(bytes));

    (void)state;
    w_reserve(w, 2);
    open_in(w, 0, s1, &w->id[1], 0);
    assert_int_equal(circuit_msg_write(&wr, CIRCUIT_HOP, &connect), QUDAG_OK);
    wr_u8(&wr, 'x');
    say(w, 0, s1, wr_done(&wr));
    assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_UNEXPECTED_MESSAGE);
    assert_int_equal(count(w, ACT_OPEN), 0);
    w_free(w);
}

static void a_flood_of_requests_leaves_room_for_others(void **state)
{
    struct hop_config cfg = {.requests_max = 16};
    struct world *w = w_new(&cfg);
    struct hop_stats s;
    uint32_t resets = 0;

    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        open_in(w, 0, (struct ref){700 + i, 1}, &w->id[1], 0);
        resets += (uint32_t)count(w, ACT_RESET);
    }
    hop_stats_get(w->hop, &s);
    assert_int_equal(s.requests, 16);
    assert_true(resets >= 184);
    hand(w, 0,
         (struct ev){.type = EV_STREAM_OPEN,
                     .inbound = true,
                     .strm = s1,
                     .peer = &w->id[3],
                     .net = 99,
                     .via = 98});
    assert_false(count(w, ACT_RESET) == 1 && ref_eq(find(w, ACT_RESET)->strm, s1));
    struct circuit_msg reserve = {.type = CIRCUIT_RESERVE};
    say_msg(w, 0, s1, CIRCUIT_HOP, &reserve);
    assert_int_equal(status(w, CIRCUIT_HOP), CIRCUIT_OK);
    for (uint32_t i = 0; i < 100; i++) { /* and many RESERVEs of one are one place */
        struct ref r = {900 + i, 1};
        hand(w, 0, (struct ev){.type = EV_RESET, .strm = s1});
        open_in(w, 0, r, &w->id[3], 0);
        say_msg(w, 0, r, CIRCUIT_HOP, &reserve);
        hand(w, 0, (struct ev){.type = EV_RESET, .strm = r});
    }
    hop_stats_get(w->hop, &s);
    assert_int_equal(s.reservations, 1);
    w_free(w);
}

static uint64_t expires(const struct world *w)
{
    struct rd r = rd_init(find(w, ACT_WRITE)->data);
    struct slice body = rd_lp(&r, CIRCUIT_MSG_MAX);
    struct circuit_msg m;

    assert_int_equal(circuit_msg_read(&m, CIRCUIT_HOP, body), QUDAG_OK);
    return m.expire;
}

/* A signature costs more than a request: whoever asks again and again is told what was signed. */
static void a_place_is_signed_again_only_after_a_while(void **state)
{
    struct world *w = w_new(&plain);
    struct circuit_msg reserve = {.type = CIRCUIT_RESERVE};
    const tstamp begin = w->now;
    const uint64_t at[] = {0, HOP_AGAIN - 1, HOP_AGAIN + NS_PER_S};
    uint64_t first = 0;

    (void)state;
    for (uint32_t i = 0; i < ARRAY_LEN(at); i++) {
        struct ref s = {600 + i, 1};
        w->now = begin + at[i];
        open_in(w, 0, s, &w->id[1], 0);
        say_msg(w, 0, s, CIRCUIT_HOP, &reserve);
        first = i == 0 ? expires(w) : first;
        assert_int_equal(expires(w) == first, i < 2);
        hand(w, 0, (struct ev){.type = EV_RESET, .strm = s});
    }
    w_free(w);
}

/* Nobody gives way to somebody who would have more than he. */
static void a_full_relay_takes_no_more_of_who_has_his_share(void **state)
{
    struct hop_config cfg = {.requests_max = 4};
    struct world *w = w_new(&cfg);
    struct hop_stats s;

    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        hand(w, 0,
             (struct ev){.type = EV_STREAM_OPEN,
                         .inbound = true,
                         .strm = {700 + i, 1},
                         .peer = &w->id[1],
                         .net = 90 + i % 4,
                         .via = 80 + i % 4});
    }
    assert_int_equal(count(w, ACT_RESET), 1);
    assert_int_equal(find(w, ACT_RESET)->strm.slot, 704);
    hop_stats_get(w->hop, &s);
    assert_int_equal(s.requests, 4);
    assert_int_equal(s.gave_way, 0);
    w_free(w);
}

static void a_place_is_given_up_for_nobody_who_has_his_share(void **state)
{
    struct hop_config cfg = {.reservations_max = 2};
    struct world *w = w_new(&cfg);
    struct circuit_msg reserve = {.type = CIRCUIT_RESERVE};

    (void)state;
    for (uint32_t i = 1; i <= 3; i++) {
        struct ref s = {600 + i, 1};
        hand(w, 0,
             (struct ev){.type = EV_STREAM_OPEN,
                         .inbound = true,
                         .strm = s,
                         .peer = &w->id[i],
                         .net = 90 + i % 2, /* the third comes from where the first does */
                         .via = 80 + i % 2});
        say_msg(w, 0, s, CIRCUIT_HOP, &reserve);
        assert_int_equal(status(w, CIRCUIT_HOP), i < 3 ? CIRCUIT_OK : CIRCUIT_RESERVATION_REFUSED);
    }
    assert_true(hop_reserved(w->hop, &w->id[1]) && hop_reserved(w->hop, &w->id[2]));
    w_free(w);
}

/* ------------------------------------------------------------------ users of relays */

/* Node 1 asks the relay for a place by hand: the stream is s1. */
static void asks_for_a_place(struct world *w)
{
    w->acts.n = w->acts.bytes_n = 0;
    assert_int_equal(relayed_reserve(w->user[1], &w->id[0], w->now), QUDAG_OK);
    w->now = relayed_ops.deadline(w->user[1]);
    relayed_ops.tick(w->user[1], w->now, &w->acts);
    uint64_t cookie = find(w, ACT_OPEN)->cookie;
    hand(w, 1, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = s1});
    assert_int_equal(count(w, ACT_WRITE), 1);
}

struct voucher_row {
    uint32_t relay, peer, signer;
    int64_t expires_in;
    qudag_err err;
};

static void vouchers_of_others_old_ones_and_forged_ones_are_refused(void **state)
{
    static const struct voucher_row rows[] = {
        {0, 1, 0, 3600, QUDAG_OK},        {0, 1, 0, -200, QUDAG_OK}, /* clocks differ a little */
        {0, 1, 0, -3600, QUDAG_EEXPIRED},                            /* replayed */
        {0, 2, 0, 3600, QUDAG_EAUTH},                                /* for another */
        {3, 1, 3, 3600, QUDAG_EAUTH},                                /* of another relay */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = w_new(&plain);
        uint8_t bytes[CIRCUIT_VOUCHER_MAX];
        struct wr wr = wr_init(bytes, sizeof(bytes));
        struct voucher v = {w->id[rows[i].relay], w->id[rows[i].peer],
                            (uint64_t)(1800000000 + rows[i].expires_in)};
        assert_int_equal(voucher_sign(&wr, &v, &w->sk[rows[i].signer]), QUDAG_OK);
        struct circuit_msg m = {.type = CIRCUIT_STATUS,
                                .status = CIRCUIT_OK,
                                .has_reservation = true,
                                .expire = 1800003600,
                                .voucher = wr_done(&wr)};
        asks_for_a_place(w);
        say_msg(w, 1, s1, CIRCUIT_HOP, &m);
        if (relayed_holds(w->user[1], &w->id[0]) != (rows[i].err == QUDAG_OK)) {
            fail_msg("row %zu", i);
        }
        size_t it = 0;
        assert_int_equal(relayed_place_next(w->user[1], &it)->err, rows[i].err);
        w_free(w);
    }
}

static void what_a_relay_says_of_a_place_is_bounded(void **state)
{
    static const uint64_t expiries[] = {0, 1, 1700000000, 1800000001, UINT64_MAX};
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 9}, .port = 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(expiries); i++) {
        struct world *w = w_new(&plain);
        struct circuit_msg m = {.type = CIRCUIT_STATUS,
                                .status = CIRCUIT_OK,
                                .has_reservation = true,
                                .expire = expiries[i],
                                .n_addrs = 4};
        multiaddr_quic(&m.addr[0], &a, &w->id[0]);
        multiaddr_quic(&m.addr[1], &a, NULL);
        multiaddr_quic(&m.addr[2], &a, &w->id[5]);              /* of another node */
        assert_true(multiaddr_circuit(&m.addr[3], &m.addr[2])); /* through another relay */
        asks_for_a_place(w);
        say_msg(w, 1, s1, CIRCUIT_HOP, &m); /* without a voucher, as some relays do */
        size_t it = 0;
        const struct relayed_place *p = relayed_place_next(w->user[1], &it);
        assert_true(p->held && p->n_addrs == 2 && p->failures == 0);
        assert_true(multiaddr_eq(&p->addr[0], &p->addr[1])); /* both name the relay now */
        assert_true(p->until - w->now >= RELAYED_TERM_MIN * NS_PER_S &&
                    p->until - w->now <= RELAYED_TERM_MAX * NS_PER_S);
        assert_true(p->due > w->now + 60 * NS_PER_S && p->due < p->until);
        w_free(w);
    }
}

/* go-libp2p names its public addresses: where it has none, none. */
static void a_relay_that_names_no_address_is_where_it_was_reached(void **state)
{
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 9}, .port = 1};
    struct circuit_msg m = {.type = CIRCUIT_STATUS,
                            .status = CIRCUIT_OK,
                            .has_reservation = true,
                            .expire = 1800000001};
    struct world *w = w_new(&plain);
    struct multiaddr at, bare;
    size_t it = 0;

    (void)state;
    multiaddr_quic(&at, &a, &w->id[0]);
    multiaddr_quic(&bare, &a, NULL);
    asks_for_a_place(w);
    const struct relayed_place *p = relayed_place_next(w->user[1], &it);
    relayed_found_at(w->user[1], &w->id[0], &at);
    assert_int_equal(p->n_addrs, 0); /* there is no place yet */
    say_msg(w, 1, s1, CIRCUIT_HOP, &m);
    assert_true(p->held && p->n_addrs == 0);
    relayed_found_at(w->user[1], &w->id[5], &at);   /* a relay that nothing is wanted of */
    relayed_found_at(w->user[1], &w->id[0], &bare); /* whose? */
    assert_int_equal(p->n_addrs, 0);
    relayed_found_at(w->user[1], &w->id[0], &at);
    relayed_found_at(w->user[1], &w->id[0], &at);
    assert_true(p->n_addrs == 1 && multiaddr_eq(&p->addr[0], &at));
    w_free(w);
}

static void a_relay_that_refuses_is_asked_again_after_longer_pauses(void **state)
{
    struct world *w = w_new(&plain);
    struct circuit_msg no = {.type = CIRCUIT_STATUS, .status = CIRCUIT_RESERVATION_REFUSED};
    struct circuit_msg empty = {.type = CIRCUIT_STATUS, .status = CIRCUIT_OK};
    tstamp before;

    (void)state;
    asks_for_a_place(w);
    say_msg(w, 1, s1, CIRCUIT_HOP, &no);
    uint64_t last = 0;
    for (unsigned i = 0; i < 10; i++) {
        size_t it = 0;
        const struct relayed_place *p = relayed_place_next(w->user[1], &it);
        assert_true(!p->held && p->failures == i + 1);
        assert_int_equal(p->err, i == 0 || i % 2 == 0 ? QUDAG_EREFUSED : QUDAG_EPROTO);
        before = w->now;
        hand(w, 1, (struct ev){.type = EV_FIN, .strm = s1});
        w->acts.n = w->acts.bytes_n = 0;
        w->now = p->due;
        assert_true(w->now - before >= (last < RELAYED_PAUSE_MAX ? last : RELAYED_PAUSE_MAX) / 2);
        assert_true(w->now - before <= RELAYED_PAUSE_MAX / 2 * 3);
        tstamp least = RELAYED_PAUSE_MIN << i;
        assert_true(w->now - before >= (least < RELAYED_PAUSE_MAX ? least : RELAYED_PAUSE_MAX));
        last = w->now - before;
        relayed_ops.tick(w->user[1], w->now, &w->acts);
        hand(w, 1,
             (struct ev){.type = EV_STREAM_OPEN, .cookie = find(w, ACT_OPEN)->cookie, .strm = s1});
        say_msg(w, 1, s1, CIRCUIT_HOP, i % 2 == 0 ? &empty : &no); /* OK, and no place in it */
    }
    w_free(w);
}

static void a_relay_that_is_back_is_asked_before_the_pause_is_over(void **state)
{
    struct world *w = w_new(&plain);
    struct circuit_msg no = {.type = CIRCUIT_STATUS, .status = CIRCUIT_RESERVATION_REFUSED};
    struct ev back = {.type = EV_PEER_UP, .peer = &w->id[0]};
    struct ev other = {.type = EV_PEER_UP, .peer = &w->id[5]};
    size_t it = 0;

    (void)state;
    asks_for_a_place(w);
    const struct relayed_place *p = relayed_place_next(w->user[1], &it);
    for (unsigned i = 0; i < 8; i++) { /* it is away, for long */
        hand(w, 1, (struct ev){.type = EV_RESET, .strm = s1, .err = QUDAG_ECLOSED});
        w->acts.n = w->acts.bytes_n = 0;
        hand(w, 1, other);
        assert_true(p->due >= tstamp_after(w->now, RELAYED_PAUSE_MIN));
        if (i < 7) {
            w->now = p->due;
            relayed_ops.tick(w->user[1], w->now, &w->acts);
            uint64_t cookie = find(w, ACT_OPEN)->cookie;
            hand(w, 1, back); /* while it is asked */
            hand(w, 1, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = s1});
        }
    }
    assert_true(p->failures == 8 && p->due >= tstamp_after(w->now, RELAYED_PAUSE_MAX));
    hand(w, 1, back);
    assert_true(p->due <= tstamp_after(w->now, 2 * NS_PER_S));
    w->now = p->due;
    relayed_ops.tick(w->user[1], w->now, &w->acts);
    hand(w, 1,
         (struct ev){.type = EV_STREAM_OPEN, .cookie = find(w, ACT_OPEN)->cookie, .strm = s1});
    say_msg(w, 1, s1, CIRCUIT_HOP, &no);
    hand(w, 1, back); /* one that refuses does not make us ask again */
    assert_true(p->due >= tstamp_after(w->now, RELAYED_PAUSE_MAX));
    w_free(w);
}

static void a_user_asks_over_direct_links_only(void **state)
{
    static const uint8_t wrong[] = {LINK_RELAYED, LINK_RELAYED | LINK_LIMITED, LINK_ANON};
    struct world *w = w_new(&plain);
    struct relayed_info want = {.relay = w->id[0], .peer = w->id[2]};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        w->acts.n = w->acts.bytes_n = 0;
        assert_int_equal(
            relayed_connect(w->user[1], &want, (struct slice){NULL, 0}, 4, w->now, &w->acts),
            QUDAG_OK);
        uint64_t cookie = find(w, ACT_OPEN)->cookie;
        hand(w, 1,
             (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = s1, .props = wrong[i]});
        assert_int_equal(count(w, ACT_RESET), 1);
        assert_int_equal(up_kind(w), RELAYED_UP_FAILED);
        assert_int_equal(find(w, ACT_UP)->err, QUDAG_EPOLICY);
    }
    w_free(w);
}

static void answers_to_connect_that_are_wrong_are_failures(void **state)
{
    struct world *w = w_new(&plain);
    struct relayed_info want = {.relay = w->id[0], .peer = w->id[2]};
    const struct {
        struct circuit_msg m;
        qudag_err err;
    } rows[] = {
        {{.type = CIRCUIT_STATUS, .status = CIRCUIT_NO_RESERVATION}, QUDAG_EUNREACHABLE},
        {{.type = CIRCUIT_STATUS, .status = CIRCUIT_PERMISSION_DENIED}, QUDAG_EREFUSED},
        {{.type = CIRCUIT_STATUS, .status = 9999}, QUDAG_EPROTO},
        {{.type = CIRCUIT_STATUS}, QUDAG_EPROTO},
        {{.type = CIRCUIT_RESERVE}, QUDAG_EPROTO},
        {{.type = CIRCUIT_CONNECT, .peer = w->id[2]}, QUDAG_EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows) + 3; i++) {
        w->acts.n = w->acts.bytes_n = 0;
        assert_int_equal(
            relayed_connect(w->user[1], &want, (struct slice){NULL, 0}, 40 + i, w->now, &w->acts),
            QUDAG_OK);
        hand(w, 1,
             (struct ev){.type = EV_STREAM_OPEN, .cookie = find(w, ACT_OPEN)->cookie, .strm = s1});
        if (i < ARRAY_LEN(rows)) {
            say_msg(w, 1, s1, CIRCUIT_HOP, &rows[i].m);
        } else if (i == ARRAY_LEN(rows)) {
            say(w, 1, s1, (struct slice){(const uint8_t *)"\xff\x7f", 2});
        } else if (i == ARRAY_LEN(rows) + 1) {
            hand(w, 1, (struct ev){.type = EV_FIN, .strm = s1});
        } else {
            w->acts.n = w->acts.bytes_n = 0;
            relayed_ops.tick(w->user[1], w->now + RELAYED_TIMEOUT, &w->acts);
        }
        assert_int_equal(up_kind(w), RELAYED_UP_FAILED);
        assert_int_equal(find(w, ACT_UP)->cookie, 40 + i);
        assert_int_equal(count(w, ACT_RESET), 1);
        if (i < ARRAY_LEN(rows)) {
            assert_int_equal(find(w, ACT_UP)->err, rows[i].err);
        }
    }
    w_free(w);
}

static void only_a_relay_with_our_place_may_bring_peers(void **state)
{
    struct world *w = w_new(&plain);
    struct circuit_msg bring = {.type = CIRCUIT_CONNECT, .peer = w->id[5]};
    struct circuit_msg self = {.type = CIRCUIT_CONNECT, .peer = w->id[1]};
    struct circuit_msg relay = {.type = CIRCUIT_CONNECT, .peer = w->id[0]};
    struct circuit_msg nobody = {.type = CIRCUIT_CONNECT};
    struct circuit_msg odd = {.type = CIRCUIT_STATUS, .status = CIRCUIT_OK};
    const struct {
        const struct circuit_msg *m;
        uint32_t status;
    } rows[] = {{&self, CIRCUIT_PERMISSION_DENIED},
                {&relay, CIRCUIT_PERMISSION_DENIED},
                {&nobody, CIRCUIT_MALFORMED_MESSAGE},
                {&odd, CIRCUIT_UNEXPECTED_MESSAGE},
                {&bring, CIRCUIT_OK}};

    (void)state;
    open_in(w, 1, s2, &w->id[0], 0); /* no place was asked for */
    assert_int_equal(find(w, ACT_RESET)->err, QUDAG_EREFUSED);
    w_reserve(w, 1);
    open_in(w, 1, s2, &w->id[4], 0); /* another one */
    assert_int_equal(find(w, ACT_RESET)->err, QUDAG_EREFUSED);
    open_in(w, 1, s2, &w->id[0], LINK_RELAYED);
    assert_int_equal(find(w, ACT_RESET)->err, QUDAG_EREFUSED);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ref s = {800 + (uint32_t)i, 1};
        open_in(w, 1, s, &w->id[0], 0);
        assert_int_equal(w->acts.n, 0);
        say_msg(w, 1, s, CIRCUIT_STOP, rows[i].m);
        assert_int_equal(status(w, CIRCUIT_STOP), rows[i].status);
        assert_int_equal(count(w, ACT_UP), rows[i].status == CIRCUIT_OK ? 1 : 0);
    }
    for (uint32_t i = 0; i < 2 * RELAYED_STREAMS_RELAY; i++) {
        open_in(w, 1, (struct ref){1000 + i, 1}, &w->id[0], 0);
    }
    assert_int_equal(find(w, ACT_RESET)->err, QUDAG_ELIMIT); /* a flood of them */
    w_free(w);
}

static void a_relay_that_hides_its_limit_or_makes_one_up_harms_nothing(void **state)
{
    struct world *w = w_new(&plain);
    struct circuit_msg ok = {.type = CIRCUIT_STATUS, .status = CIRCUIT_OK};
    struct relayed_info want = {.relay = w->id[0], .peer = w->id[2]};
    uint8_t bytes[1000] = {0};

    (void)state;
    for (unsigned told = 0; told < 2; told++) {
        w->acts.n = w->acts.bytes_n = 0;
        ok.limit.data = told != 0 ? 1000 : 0;
        assert_int_equal(
            relayed_connect(w->user[1], &want, (struct slice){NULL, 0}, 4, w->now, &w->acts),
            QUDAG_OK);
        hand(w, 1,
             (struct ev){.type = EV_STREAM_OPEN, .cookie = find(w, ACT_OPEN)->cookie, .strm = s1});
        say_msg(w, 1, s1, CIRCUIT_HOP, &ok);
        assert_int_equal(up_kind(w), RELAYED_UP_OPENED);
        say(w, 1, s1, (struct slice){bytes, 300});
        say(w, 1, s1, (struct slice){bytes, told != 0 ? 1000 : 700}); /* more than it told */
        assert_int_equal(up_kind(w), RELAYED_UP_DATA);
        hand(w, 1, (struct ev){.type = EV_RESET, .strm = s1, .err = QUDAG_ERESET});
        assert_int_equal(up_kind(w), RELAYED_UP_ENDED);
        assert_int_equal(find(w, ACT_UP)->err, told != 0 ? QUDAG_ELIMIT : QUDAG_ERESET);
    }
    w_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_relay_answers_what_is_wrong_with_a_status),
        cmocka_unit_test(relayed_links_are_refused_with_a_status_and_anonymous_ones_unknown),
        cmocka_unit_test(a_peer_that_does_not_come_is_a_connection_that_failed),
        cmocka_unit_test(what_was_answered_stays_a_while_and_counts),
        cmocka_unit_test(who_is_asked_over_a_quiet_link_is_asked_over_the_next),
        cmocka_unit_test(who_asked_must_wait_and_may_go),
        cmocka_unit_test(what_comes_with_the_answer_is_carried_and_not_paid_twice),
        cmocka_unit_test(what_comes_behind_connect_too_early_is_refused),
        cmocka_unit_test(a_flood_of_requests_leaves_room_for_others),
        cmocka_unit_test(a_full_relay_takes_no_more_of_who_has_his_share),
        cmocka_unit_test(a_place_is_given_up_for_nobody_who_has_his_share),
        cmocka_unit_test(a_place_is_signed_again_only_after_a_while),
        cmocka_unit_test(vouchers_of_others_old_ones_and_forged_ones_are_refused),
        cmocka_unit_test(what_a_relay_says_of_a_place_is_bounded),
        cmocka_unit_test(a_relay_that_names_no_address_is_where_it_was_reached),
        cmocka_unit_test(a_relay_that_refuses_is_asked_again_after_longer_pauses),
        cmocka_unit_test(a_relay_that_is_back_is_asked_before_the_pause_is_over),
        cmocka_unit_test(a_user_asks_over_direct_links_only),
        cmocka_unit_test(answers_to_connect_that_are_wrong_are_failures),
        cmocka_unit_test(only_a_relay_with_our_place_may_bring_peers),
        cmocka_unit_test(a_relay_that_hides_its_limit_or_makes_one_up_harms_nothing),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
