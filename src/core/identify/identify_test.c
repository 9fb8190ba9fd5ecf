#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/identify/identify.h"

#include <string.h>

#define PUSH "/ipfs/id/push/1.0.0"
#define S (NS_PER_S)

/* |text| into a zeroed array of IDENTIFY_TEXT_MAX. */
static void text_set(char *dst, const char *text)
{
    memcpy(dst, text, strlen(text));
}

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[ACTS_BYTES_ROOM];
static struct acts out = {
    .v = act_v, .cap = ARRAY_LEN(act_v), .bytes = act_bytes, .bytes_cap = sizeof(act_bytes)};
static struct rng_stream stream;
static struct mem mem;
static struct identify id;
static struct peer_id bob;
static uint8_t bob_pk[32];
static const struct ref s1 = {3, 1};

static void clear(void)
{
    assert_false(out.overflow);
    out.n = 0;
    out.bytes_n = 0;
}

static void addr_nth(struct multiaddr *m, uint8_t n)
{
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, n}, .port = 4001};
    multiaddr_quic(m, &a, NULL);
}

static int setup(void **state)
{
    (void)state;
    static const uint8_t seed[32] = "identify";
    static struct identify_msg self;
    uint8_t pk[32];

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    mem_init(&mem, NULL, 0);
    identify_init(&id, &mem, &rng, 100);
    memset(&self, 0, sizeof(self));
    memset(pk, 1, sizeof(pk));
    key_proto_ed25519(self.key_proto, pk);
    self.key_len = KEY_PROTO_ED25519;
    self.n_addrs = 1;
    addr_nth(&self.addr[0], 1);
    self.n_protos = 1;
    text_set(self.proto[0], "/ipfs/ping/1.0.0");
    text_set(self.agent_version, "qudag/0.1.0");
    text_set(self.protocol_version, "ipfs/0.1.0");
    identify_set_self(&id, &self);
    memset(bob_pk, 0xb0, sizeof(bob_pk));
    peer_id_from_ed25519(&bob, bob_pk);
    clear();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    identify_fini(&id);
    return mem.used == 0 ? 0 : -1;
}

static void say_as(const struct core_ops *ops, struct ev ev, tstamp now)
{
    clear();
    if (ev.peer == NULL) {
        ev.peer = &bob;
    }
    ops->event(&id, &ev, now, &out);
}

static void say(struct ev ev, tstamp now)
{
    say_as(&identify_ops, ev, now);
}

static size_t count(enum act_type type)
{
    size_t n = 0;
    for (size_t i = 0; i < out.n; i++) {
        n += act_v[i].type == type ? 1 : 0;
    }
    return n;
}

static const struct act *find(enum act_type type)
{
    for (size_t i = 0; i < out.n; i++) {
        if (act_v[i].type == type) {
            return &act_v[i];
        }
    }
    fail();
    return &out.sink;
}

/* What bob says of himself, length-prefixed. */
static size_t bobs_message(uint8_t *dst, size_t cap, bool takes_push)
{
    static struct identify_msg m;
    size_t len = 0;

    memset(&m, 0, sizeof(m));
    key_proto_ed25519(m.key_proto, bob_pk);
    m.key_len = KEY_PROTO_ED25519;
    m.n_protos = 1;
    text_set(m.proto[0], takes_push ? PUSH : "/ipfs/id/1.0.0");
    text_set(m.agent_version, "bob/1");
    assert_int_equal(identify_msg_encode(dst, cap, &len, &m), QUDAG_OK);
    return len;
}

/* Bob with a key that signs; his address |n| in a record numbered |seq| about |about|. */
static struct secret_ed25519 bob_sk;

static void record_of_bob(struct identify_msg *m, uint8_t n, uint64_t seq,
                          const struct peer_id *about)
{
    struct peer_record r = {.peer = *about, .seq = seq, .n_addrs = 1};
    struct wr w = wr_init(m->record, sizeof(m->record));

    addr_nth(&r.addr[0], n);
    assert_int_equal(peer_record_sign(&w, &r, &bob_sk), QUDAG_OK);
    m->record_len = (uint16_t)w.len;
}

static uint64_t ask_bob(tstamp now)
{
    say((struct ev){.type = EV_PEER_UP}, now);
    assert_int_equal(out.n, 1);
    assert_int_equal(act_v[0].type, ACT_OPEN);
    assert_true(peer_id_eq(&act_v[0].peer, &bob));
    return act_v[0].cookie;
}

static void open_ask(tstamp now)
{
    uint64_t cookie = ask_bob(now);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = cookie}, now);
    assert_int_equal(out.n, 0);
}

static void assert_up(qudag_err err, uint64_t push)
{
    const struct act *up = find(ACT_UP);
    assert_int_equal(count(ACT_UP), 1);
    assert_int_equal(up->kind, IDENTIFY_UP);
    assert_int_equal(up->err, err);
    assert_int_equal(up->n, push);
    assert_true(peer_id_eq(&up->peer, &bob));
    assert_true((up->ptr != NULL) == (err == QUDAG_OK));
}

static void a_new_peer_is_asked_and_its_answer_reported_in_any_split(void **state)
{
    uint8_t msg[512];
    size_t len = bobs_message(msg, sizeof(msg), false);

    for (size_t step = 1; step <= len; step++) {
        teardown(state);
        setup(state);
        open_ask(0);
        for (size_t at = 0; at < len; at += step) {
            size_t n = len - at < step ? len - at : step;
            say((struct ev){.type = EV_DATA, .strm = s1, .data = {msg + at, n}}, 1);
            assert_int_equal(out.n, 0);
        }
        say((struct ev){.type = EV_FIN, .strm = s1}, 2);
        assert_int_equal(count(ACT_FIN), 1);
        assert_up(QUDAG_OK, 0);
        const struct identify_msg *m = find(ACT_UP)->ptr;
        assert_string_equal(m->agent_version, "bob/1");
        assert_true(peer_id_eq(&m->peer, &bob));
        assert_int_equal(identify_ops.deadline(&id), TSTAMP_NEVER);
    }
}

static void messages_of_one_answer_are_merged_up_to_ten(void **state)
{
    for (size_t n = 1; n <= IDENTIFY_MSGS_MAX + 1; n++) {
        static const uint8_t empty[] = {0};
        uint8_t msg[512];
        teardown(state);
        setup(state);
        open_ask(0);
        size_t len = bobs_message(msg, sizeof(msg), false);
        say((struct ev){.type = EV_DATA, .strm = s1, .data = {msg, len}}, 1);
        for (size_t i = 1; i < n; i++) {
            assert_int_equal(out.n, 0);
            say((struct ev){.type = EV_DATA, .strm = s1, .data = {empty, 1}}, 1);
        }
        if (n > IDENTIFY_MSGS_MAX) {
            assert_int_equal(count(ACT_RESET), 1);
            assert_up(QUDAG_EPROTO, 0);
        } else {
            say((struct ev){.type = EV_FIN, .strm = s1}, 2);
            assert_up(QUDAG_OK, 0);
        }
    }
}

static void every_bad_answer_is_reported_once(void **state)
{
    static uint8_t alien[64] = {38, 0x0a, 36};
    uint8_t pk[32] = {7};
    key_proto_ed25519(alien + 3, pk);
    static const struct {
        struct slice in;
        enum ev_type end; /* EV_PEER_UP: none */
        bool reset;
        qudag_err err;
    } cases[] = {
        {{NULL, 0}, EV_FIN, true, QUDAG_EMALFORMED},                        /* nothing */
        {{(const uint8_t *)"\x05\x32", 2}, EV_FIN, true, QUDAG_EMALFORMED}, /* half a message */
        {{(const uint8_t *)"\x85", 1}, EV_FIN, true, QUDAG_EMALFORMED},     /* half a length */
        {{(const uint8_t *)"\x02\x32\x05", 3}, EV_PEER_UP, true, QUDAG_EMALFORMED},
        {{(const uint8_t *)"\x85\x00", 2}, EV_PEER_UP, true, QUDAG_EMALFORMED},
        {{(const uint8_t *)"\x81\x40", 2}, EV_PEER_UP, true, QUDAG_ETOOBIG}, /* 8193 bytes */
        {{(const uint8_t *)"\x81\x80\x01", 3}, EV_PEER_UP, true, QUDAG_ETOOBIG},
        {{alien, 39}, EV_FIN, true, QUDAG_EAUTH},
        {{NULL, 0}, EV_RESET, false, QUDAG_ERESET},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        teardown(state);
        setup(state);
        open_ask(0);
        say((struct ev){.type = EV_DATA, .strm = s1, .data = cases[i].in}, 1);
        if (cases[i].end != EV_PEER_UP) {
            assert_int_equal(out.n, 0);
            say((struct ev){.type = cases[i].end, .strm = s1}, 2);
        }
        assert_int_equal(count(ACT_RESET), cases[i].reset ? 1 : 0);
        assert_up(cases[i].err, 0);
        assert_int_equal(identify_ops.deadline(&id), TSTAMP_NEVER);
    }
}

static void asking_times_out_before_and_after_the_stream_opens(void **state)
{
    (void)state;
    uint64_t cookie = ask_bob(0);
    assert_int_equal(identify_ops.deadline(&id), 5 * S);
    assert_int_equal(identify_push_ops.deadline(&id), TSTAMP_NEVER);
    clear();
    identify_push_ops.tick(&id, 5 * S, &out);
    assert_int_equal(out.n, 0);
    identify_ops.tick(&id, 5 * S, &out);
    assert_int_equal(out.n, 1);
    assert_up(QUDAG_ETIMEOUT, 0);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = cookie}, 6 * S);
    assert_int_equal(act_v[0].type, ACT_RESET);

    clear();
    assert_int_equal(identify_ask(&id, &bob, 10 * S, &out), QUDAG_OK);
    cookie = act_v[0].cookie;
    assert_int_equal(identify_ask(&id, &bob, 10 * S, &out), QUDAG_EEXISTS);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = cookie}, 12 * S);
    assert_int_equal(identify_ops.deadline(&id), 17 * S);
    clear();
    identify_ops.tick(&id, 17 * S, &out);
    assert_int_equal(count(ACT_RESET), 1);
    assert_up(QUDAG_ETIMEOUT, 0);

    clear();
    assert_int_equal(identify_ask(&id, &bob, 20 * S, &out), QUDAG_OK);
    cookie = act_v[0].cookie;
    say((struct ev){.type = EV_STREAM_FAIL, .cookie = cookie, .err = QUDAG_EUNSUPPORTED}, 21 * S);
    assert_int_equal(out.n, 1);
    assert_up(QUDAG_EUNSUPPORTED, 0);
}

static const struct identify_msg *written(void)
{
    static struct identify_msg m;
    struct slice s = find(ACT_WRITE)->data;
    size_t head = (s.base[0] & 0x80) != 0 ? 2 : 1;

    memset(&m, 0, sizeof(m));
    assert_true(s.len <= IDENTIFY_MSG_MAX);
    assert_int_equal(identify_msg_merge(&m, slice_rest(s, head)), QUDAG_OK);
    return &m;
}

static void who_asks_is_answered_with_what_we_see_of_it(void **state)
{
    (void)state;
    struct multiaddr seen;
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 55}, .port = 99};
    static const struct peer_id nobody;

    multiaddr_quic(&seen, &a, &bob);
    assert_int_equal(identify_set_observed(&id, &nobody, &seen), QUDAG_EINVAL);
    assert_int_equal(identify_set_observed(&id, &bob, &seen), QUDAG_OK);
    say((struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = s1}, 0);
    assert_int_equal(out.n, 2);
    assert_int_equal(act_v[1].type, ACT_FIN);
    const struct identify_msg *m = written();
    assert_string_equal(m->agent_version, "qudag/0.1.0");
    assert_int_equal(m->n_addrs, 1);
    multiaddr_strip_peer(&seen);
    assert_true(m->has_observed && multiaddr_eq(&m->observed, &seen));
    say((struct ev){.type = EV_FIN, .strm = s1}, 1);
    assert_int_equal(out.n, 0);

    say((struct ev){.type = EV_PEER_DOWN}, 2);
    say((struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = {4, 1}}, 3);
    assert_false(written()->has_observed);
    say((struct ev){.type = EV_DATA, .strm = {4, 1}, .data = {act_bytes, 1}}, 4);
    assert_int_equal(out.n, 1); /* who asks says nothing */
    assert_int_equal(act_v[0].type, ACT_RESET);
}

static void what_does_not_fit_into_a_message_is_left_out(void **state)
{
    (void)state;
    static struct identify_msg big;

    memset(&big, 0, sizeof(big));
    big.n_addrs = IDENTIFY_ADDRS_MAX;
    for (uint8_t i = 0; i < IDENTIFY_ADDRS_MAX; i++) {
        char text[200] = "/dns/";
        memset(text + 5, 'a' + i, 150);
        text[155] = '\0';
        assert_int_equal(multiaddr_parse(&big.addr[i], text), QUDAG_OK);
    }
    big.n_protos = IDENTIFY_PROTOS_MAX;
    for (size_t i = 0; i < IDENTIFY_PROTOS_MAX; i++) {
        memset(big.proto[i], (int)('A' + i), IDENTIFY_TEXT_MAX - 1);
    }
    identify_set_self(&id, &big);
    for (uint32_t i = 0; i < 2; i++) { /* it is not lost for the next */
        say((struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = {i, 1}}, 0);
        const struct identify_msg *m = written();
        assert_int_equal(m->n_protos, IDENTIFY_PROTOS_MAX);
        assert_int_equal(m->n_addrs, 6);
    }
}

static void nobody_learns_our_key_over_anonymous_links(void **state)
{
    (void)state;
    static const struct peer_id nobody;
    const struct core_ops *ops[] = {&identify_ops, &identify_push_ops};

    for (size_t i = 0; i < 2; i++) {
        say_as(ops[i],
               (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = s1, .peer = &nobody},
               0);
        assert_int_equal(out.n, 1);
        assert_int_equal(act_v[0].type, ACT_RESET);
        say_as(ops[i],
               (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = s1, .props = LINK_ANON},
               0);
        assert_int_equal(out.n, 1);
        assert_int_equal(act_v[0].type, ACT_RESET);
    }
    say((struct ev){.type = EV_PEER_UP, .props = LINK_ANON}, 0);
    assert_int_equal(out.n, 0);
    say((struct ev){.type = EV_PEER_UP, .peer = &nobody}, 0);
    assert_int_equal(out.n, 0);
    assert_int_equal(identify_ask(&id, &nobody, 0, &out), QUDAG_EINVAL);
    uint64_t cookie = ask_bob(0);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = cookie, .props = LINK_ANON}, 0);
    assert_int_equal(count(ACT_RESET), 1);
    assert_up(QUDAG_EPOLICY, 0);
}

static void pushes_go_to_those_who_take_them(void **state)
{
    uint8_t msg[512];

    for (int takes = 0; takes < 2; takes++) {
        teardown(state);
        setup(state);
        open_ask(0);
        size_t len = bobs_message(msg, sizeof(msg), takes == 1);
        say((struct ev){.type = EV_DATA, .strm = s1, .data = {msg, len}}, 1);
        say((struct ev){.type = EV_FIN, .strm = s1}, 1);
        clear();
        identify_push_all(&id, 2, &out);
        assert_int_equal(out.n, takes);
    }
    uint64_t cookie = act_v[0].cookie;
    say_as(&identify_push_ops, (struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = cookie},
           3);
    assert_int_equal(out.n, 2);
    assert_string_equal(written()->agent_version, "qudag/0.1.0");
    assert_int_equal(act_v[1].type, ACT_FIN);
    say_as(&identify_push_ops, (struct ev){.type = EV_FIN, .strm = s1}, 4);
    assert_int_equal(out.n, 0);
    /* a peer that turns out not to take them is not bothered again */
    identify_push_all(&id, 5 * S + 5, &out);
    cookie = find(ACT_OPEN)->cookie;
    say_as(&identify_push_ops,
           (struct ev){.type = EV_STREAM_FAIL, .cookie = cookie, .err = QUDAG_EUNSUPPORTED},
           5 * S + 6);
    assert_int_equal(out.n, 0);
    identify_push_all(&id, 20 * S, &out);
    assert_int_equal(out.n, 0);
}

/* However often what we say changes, the last of it arrives, and no peer has a reason to refuse it. */
static void many_changes_are_few_pushes(void **state)
{
    uint8_t msg[512];
    struct limiter peers; /* a peer that takes as few as we do */
    unsigned pushes = 0, last = 0;
    (void)state;

    open_ask(0);
    size_t len = bobs_message(msg, sizeof(msg), true);
    say((struct ev){.type = EV_DATA, .strm = s1, .data = {msg, len}}, 1);
    say((struct ev){.type = EV_FIN, .strm = s1}, 1);
    limiter_init(&peers, 1, (uint64_t)IDENTIFY_PUSH_BURST * IDENTIFY_PUSH_PERIOD_S, S);
    for (unsigned i = 1; i <= 62; i++) {
        struct identify_msg self = id.self;
        tstamp now = i * S;
        self.agent_version[0] = (char)('A' + i);
        clear();
        if (i <= 60) {
            identify_set_self(&id, &self);
            identify_push_all(&id, now, &out);
        }
        if (identify_push_ops.deadline(&id) <= now) {
            identify_push_ops.tick(&id, now, &out);
        }
        for (size_t k = 0; k < out.n; k++) {
            assert_int_equal(act_v[k].type, ACT_OPEN);
            uint64_t cookie = act_v[k].cookie;
            assert_true(limiter_take(&peers, IDENTIFY_PUSH_PERIOD_S, now));
            say_as(&identify_push_ops,
                   (struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = cookie}, now);
            last = (unsigned)written()->agent_version[0];
            say_as(&identify_push_ops, (struct ev){.type = EV_FIN, .strm = s1}, now);
            pushes++;
            break;
        }
    }
    assert_in_range(pushes, 12, 13);
    assert_int_equal(last, 'A' + 60);
    assert_int_equal(identify_push_ops.deadline(&id), TSTAMP_NEVER);
}

/* Of two links that both sides dialled one is closed with what is on it; who has left is not dialled. */
static void what_a_closed_link_took_is_sent_again_once_without_a_dial(void **state)
{
    uint8_t msg[512];
    struct ev closed = {.type = EV_RESET, .strm = s1, .err = QUDAG_ECLOSED};
    (void)state;

    open_ask(0);
    size_t len = bobs_message(msg, sizeof(msg), true);
    say((struct ev){.type = EV_DATA, .strm = s1, .data = {msg, 1}}, 1);
    say(closed, 1);
    assert_int_equal(out.n, 1);
    assert_true(act_v[0].type == ACT_OPEN && act_v[0].no_dial);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = act_v[0].cookie}, 2);
    say((struct ev){.type = EV_DATA, .strm = s1, .data = {msg, len}}, 2);
    say((struct ev){.type = EV_FIN, .strm = s1}, 2);
    assert_up(QUDAG_OK, 0);

    clear();
    identify_push_all(&id, 3, &out);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(count(ACT_OPEN), 1);
        assert_int_equal(act_v[0].no_dial, i == 1);
        say_as(&identify_push_ops,
               (struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = act_v[0].cookie}, 3);
        assert_string_equal(written()->agent_version, "qudag/0.1.0");
        say_as(&identify_push_ops, closed, 4);
    }
    assert_int_equal(out.n, 0);

    clear();
    assert_int_equal(identify_ask(&id, &bob, 5, &out), QUDAG_OK);
    say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = act_v[0].cookie}, 5);
    say(closed, 6);
    say((struct ev){.type = EV_STREAM_FAIL, .cookie = act_v[0].cookie, .err = QUDAG_ECLOSED}, 6);
    assert_up(QUDAG_ECLOSED, 0);
    assert_int_equal(out.n, 1);
}

static void a_push_is_reported_and_too_many_are_refused(void **state)
{
    (void)state;
    uint8_t msg[512];
    size_t len = bobs_message(msg, sizeof(msg), true);

    for (uint32_t i = 0; i < 8; i++) {
        struct ref s = {i, 1};
        /* four at once, then one in five seconds */
        tstamp now = i < 5 ? 0 : (i - 4) * 5 * S - (i == 5 ? 1 : 0);
        bool allowed = i < 4 || i > 5;
        say_as(&identify_push_ops, (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = s},
               now);
        assert_int_equal(out.n, allowed ? 0 : 1);
        if (!allowed) {
            assert_int_equal(act_v[0].type, ACT_RESET);
            continue;
        }
        say_as(&identify_push_ops, (struct ev){.type = EV_DATA, .strm = s, .data = {msg, len}},
               now);
        say_as(&identify_push_ops, (struct ev){.type = EV_FIN, .strm = s}, now);
        assert_up(QUDAG_OK, 1);
    }
    clear();
    identify_push_all(&id, 50 * S, &out); /* the push told that bob takes them too */
    assert_int_equal(count(ACT_OPEN), 1);
}

static void asks_beyond_the_quota_wait_and_answers_make_room(void **state)
{
    (void)state;
    struct peer_id many = bob;
    uint64_t first = 0;

    for (uint8_t i = 0; i < IDENTIFY_ASKS_MAX + 5; i++) {
        many.b[30] = i;
        say((struct ev){.type = EV_PEER_UP, .peer = &many}, 0);
        assert_int_equal(out.n, i < IDENTIFY_ASKS_MAX ? 1 : 0);
        first = i == 0 ? act_v[0].cookie : first;
    }
    assert_int_equal(identify_ask(&id, &bob, 0, &out), QUDAG_ELIMIT);
    say((struct ev){.type = EV_STREAM_FAIL, .cookie = first}, 1);
    assert_int_equal(count(ACT_UP), 1);
    assert_int_equal(count(ACT_OPEN), 1);
    clear();
    identify_ops.tick(&id, 5 * S, &out);
    assert_int_equal(count(ACT_UP), IDENTIFY_ASKS_MAX - 1);
    assert_int_equal(count(ACT_OPEN), 4);

    for (uint32_t i = 0; i < IDENTIFY_ANSWERS_MAX + 1; i++) {
        say((struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = {i, 7}}, 6 * S + i);
        assert_int_equal(count(ACT_RESET), i < IDENTIFY_ANSWERS_MAX ? 0 : 1);
    }
    assert_int_equal(find(ACT_RESET)->strm.slot, 0);
    clear();
    identify_ops.tick(&id, 60 * S, &out);
    assert_int_equal(count(ACT_RESET), IDENTIFY_ANSWERS_MAX);
}

static void without_memory_nothing_breaks(void **state)
{
    uint8_t msg[512];
    size_t len = bobs_message(msg, sizeof(msg), true);
    uint64_t refused = 1;

    for (uint64_t n = 1; refused > 0; n++) {
        teardown(state);
        setup(state);
        mem.fail_at = n;
        clear();
        say((struct ev){.type = EV_PEER_UP}, 0);
        assert_int_equal(count(ACT_OPEN), 1);
        uint64_t cookie = act_v[0].cookie;
        say((struct ev){.type = EV_STREAM_OPEN, .strm = s1, .cookie = cookie}, 0);
        size_t ups = count(ACT_UP);
        say((struct ev){.type = EV_DATA, .strm = s1, .data = {msg, len}}, 1);
        say((struct ev){.type = EV_FIN, .strm = s1}, 1);
        ups += count(ACT_UP);
        assert_int_equal(ups, 1);
        say_as(&identify_push_ops,
               (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = {9, 1}}, 2);
        say((struct ev){.type = EV_PEER_DOWN}, 3);
        refused = mem.refused;
        assert_true(n < 20);
    }
}

static void events_nobody_asked_for_do_nothing(void **state)
{
    (void)state;
    static const enum ev_type types[] = {EV_PEER_DOWN, EV_STREAM_FAIL, EV_DATA,
                                         EV_WRITABLE,  EV_FIN,         EV_RESET};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        say((struct ev){.type = types[i], .strm = {9, 9}, .cookie = 5, .n = 3}, 1);
        assert_int_equal(out.n, 0);
        say_as(&identify_push_ops, (struct ev){.type = types[i], .strm = {0, 0}}, 1);
        assert_int_equal(out.n, 0);
    }
}

/* Bob pushes |m|; what is reported. */
static const struct identify_msg *bob_pushes(const struct identify_msg *m, tstamp now)
{
    uint8_t msg[IDENTIFY_MSG_MAX];
    size_t len = 0;

    assert_int_equal(identify_msg_encode(msg, sizeof(msg), &len, m), QUDAG_OK);
    say_as(&identify_push_ops,
           (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = s1, .proto = PUSH}, now);
    say_as(&identify_push_ops, (struct ev){.type = EV_DATA, .strm = s1, .data = {msg, len}}, now);
    say_as(&identify_push_ops, (struct ev){.type = EV_FIN, .strm = s1}, now);
    assert_up(QUDAG_OK, 1);
    return find(ACT_UP)->ptr;
}

static void addresses_that_the_peer_signed_are_preferred(void **state)
{
    static const struct {
        uint64_t seq;   /* of the record; 0: none */
        bool broken;    /* its signature */
        uint8_t listed; /* the address beside it, of 192.0.2.0/24 */
        uint8_t signed_;
        uint8_t taken;
    } row[] = {
        {0, false, 1, 0, 1},   {7, false, 1, 2, 2}, {7, false, 1, 2, 2},
        {8, true, 3, 4, 3},    {6, false, 1, 5, 1}, /* older than one accepted */
        {9, false, 1, 10, 10}, {8, false, 1, 2, 1},
    };
    struct identify_msg m;
    struct multiaddr want;
    uint8_t pk[ED25519_PK_LEN];

    (void)state;
    memset(bob_sk.seed, 5, sizeof(bob_sk.seed));
    assert_int_equal(ed25519_public(pk, &bob_sk), QUDAG_OK);
    peer_id_from_ed25519(&bob, pk);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        memset(&m, 0, sizeof(m));
        addr_nth(&m.addr[m.n_addrs++], row[i].listed);
        if (row[i].seq > 0) {
            record_of_bob(&m, row[i].signed_, row[i].seq, &bob);
            m.record[m.record_len - 1] ^= row[i].broken ? 1 : 0;
        }
        const struct identify_msg *got = bob_pushes(&m, i * 100 * S);
        addr_nth(&want, row[i].taken);
        assert_int_equal(got->n_addrs, 1);
        assert_true(multiaddr_eq(&got->addr[0], &want));
    }
    /* After the last link a lower number is taken again: the peer may have lost its count. */
    say((struct ev){.type = EV_PEER_DOWN}, 1000 * S);
    memset(&m, 0, sizeof(m));
    record_of_bob(&m, 6, 1, &bob);
    addr_nth(&want, 6);
    const struct identify_msg *got = bob_pushes(&m, 1001 * S);
    assert_int_equal(got->n_addrs, 1);
    assert_true(multiaddr_eq(&got->addr[0], &want));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(addresses_that_the_peer_signed_are_preferred),
        T(a_new_peer_is_asked_and_its_answer_reported_in_any_split),
        T(messages_of_one_answer_are_merged_up_to_ten),
        T(every_bad_answer_is_reported_once),
        T(asking_times_out_before_and_after_the_stream_opens),
        T(who_asks_is_answered_with_what_we_see_of_it),
        T(what_does_not_fit_into_a_message_is_left_out),
        T(nobody_learns_our_key_over_anonymous_links),
        T(many_changes_are_few_pushes),
        T(pushes_go_to_those_who_take_them),
        T(what_a_closed_link_took_is_sent_again_once_without_a_dial),
        T(a_push_is_reported_and_too_many_are_refused),
        T(asks_beyond_the_quota_wait_and_answers_make_room),
        T(without_memory_nothing_breaks),
        T(events_nobody_asked_for_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
