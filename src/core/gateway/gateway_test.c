/* gateway_test.c - both sides of the gateway protocol, joined by an array, and every way to break it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/gateway/testkit.h"
#include "wire/dht_keys.h"

/* A whole exchange; the DHT answers |err|, |value|, |stored|.  What the asking side is told. */
static struct act exchange(struct world *w, bool put, qudag_err err, struct slice value,
                           uint32_t stored)
{
    uint8_t frame[KAD_MSG_MAX];
    size_t len = request(w, put, frame, DHT_DARK_RECORD_LEN);

    open_in(w, srv_strm, 2);
    deliver(w, w->srv, srv_strm, frame, len, 100);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].type, ACT_UP);
    assert_int_equal(w->act_v[0].kind, put ? GATEWAY_UP_PUT : GATEWAY_UP_GET);
    const struct gateway_wanted *wanted = w->act_v[0].ptr;
    assert_int_equal(wanted->key.len, KEY_LEN);
    assert_memory_equal(wanted->key.base, KEY, KEY_LEN);
    assert_int_equal(wanted->value.len, put ? DHT_DARK_RECORD_LEN : 0);
    if (put) {
        assert_memory_equal(wanted->value.base, w->value, DHT_DARK_RECORD_LEN);
    }
    uint64_t cookie = w->act_v[0].cookie;
    acts_clear(w);
    struct gateway_result res = {.cookie = cookie, .err = err, .value = value, .stored = stored};
    gateway_answer(w->srv, &res, &w->acts);
    bool reset = w->act_v[0].type == ACT_RESET;
    qudag_err reset_err = w->act_v[0].err;
    if (!reset) {
        assert_int_equal(w->acts.n, 2);
        assert_int_equal(w->act_v[1].type, ACT_FIN);
        len = w->act_v[0].data.len;
        assert_int_equal(len, EXCHANGE_LEN);
        memcpy(frame, w->act_v[0].data.base, len);
    }
    acts_clear(w);
    if (reset) {
        feed(w, w->cli, (struct ev){.type = EV_RESET, .strm = cli_strm, .err = reset_err}, 4);
    } else {
        deliver(w, w->cli, cli_strm, frame, len, 1000);
    }
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].type, ACT_UP);
    assert_int_equal(w->act_v[0].kind, GATEWAY_UP_DONE);
    assert_int_equal(w->act_v[0].cookie, 50);
    struct act done = w->act_v[0];
    acts_clear(w);
    assert_int_equal(gateway_ops.deadline(w->cli), TSTAMP_NEVER);
    assert_int_equal(gateway_ops.deadline(w->srv), TSTAMP_NEVER);
    return done;
}

static void a_value_is_read_through_the_gateway(void **state)
{
    struct world *w = world_new();
    struct slice v = {w->value, DHT_DARK_RECORD_LEN}, none = {NULL, 0};

    (void)state;
    struct act a = exchange(w, false, QUDAG_OK, v, 0);
    assert_int_equal(a.err, QUDAG_OK);
    assert_int_equal(a.data.len, DHT_DARK_RECORD_LEN);
    assert_memory_equal(a.data.base, w->value, DHT_DARK_RECORD_LEN);
    assert_int_equal(exchange(w, false, QUDAG_ENOTFOUND, none, 0).err, QUDAG_ENOTFOUND);
    assert_int_equal(exchange(w, false, QUDAG_ETIMEOUT, none, 0).err, QUDAG_ETIMEOUT);
    world_free(w);
}

static void a_value_is_written_through_the_gateway(void **state)
{
    struct world *w = world_new();
    struct slice none = {NULL, 0};

    (void)state;
    struct act a = exchange(w, true, QUDAG_OK, none, 19);
    assert_int_equal(a.err, QUDAG_OK);
    assert_int_equal(a.n, 19);
    assert_int_equal(exchange(w, true, QUDAG_OK, none, 0).err, QUDAG_EREFUSED);
    assert_int_equal(exchange(w, true, QUDAG_ETIMEOUT, none, 0).err, QUDAG_ETIMEOUT);
    world_free(w);
}

/* The key of samples names nothing that could be stored. */
static void samples_are_read_only(void **state)
{
    struct world *w = world_new();
    struct slice k = {(const uint8_t *)DHT_SAMPLE_KEY, sizeof(DHT_SAMPLE_KEY) - 1};
    struct gateway_request put = {
        .circuit = {1, 1}, .cookie = 1, .key = k, .value = {w->value, 100}};
    struct kad_msg m = {.type = KAD_PUT_VALUE,
                        .key = k,
                        .has_record = true,
                        .rec_key = k,
                        .rec_value = {w->value, 100}};
    uint8_t frame[512];
    size_t len;

    (void)state;
    assert_int_equal(gateway_put(w->cli, &put, 0, &w->acts), QUDAG_EINVAL);
    assert_int_equal(kad_msg_encode(frame, sizeof frame, &len, &m), QUDAG_OK);
    open_in(w, srv_strm, 2);
    deliver(w, w->srv, srv_strm, frame, len, 512);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].type, ACT_RESET);
    assert_int_equal(w->act_v[0].err, QUDAG_EREFUSED);
    acts_clear(w);
    world_free(w);
}

/* The exchange holds whatever may be asked and answered. */
static void the_longest_key_and_value_fit(void **state)
{
    struct world *w = world_new();
    uint8_t k[KAD_KEY_MAX] = "/qudag/dark/", frame[EXCHANGE_LEN];
    struct slice v = {w->value, sizeof w->value};
    struct gateway_request req = {
        .circuit = circuit, .cookie = 50, .key = {k, sizeof k}, .value = v};

    (void)state;
    assert_int_equal(gateway_put(w->cli, &req, 0, &w->acts), QUDAG_OK);
    uint64_t cookie = w->act_v[0].cookie;
    acts_clear(w);
    feed(w, w->cli, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = cli_strm}, 1);
    assert_int_equal(w->act_v[0].type, ACT_WRITE);
    assert_int_equal(w->act_v[0].data.len, EXCHANGE_LEN);
    memcpy(frame, w->act_v[0].data.base, EXCHANGE_LEN);
    acts_clear(w);
    open_in(w, srv_strm, 2);
    deliver(w, w->srv, srv_strm, frame, sizeof frame, 1098);
    assert_int_equal(w->act_v[0].kind, GATEWAY_UP_PUT);
    const struct gateway_wanted *wanted = w->act_v[0].ptr;
    assert_true(wanted->key.len == sizeof k && wanted->value.len == sizeof w->value);
    assert_memory_equal(wanted->value.base, w->value, sizeof w->value);
    acts_clear(w);
    world_free(w);
}

static void only_our_namespaces_pass(void **state)
{
    static const struct {
        const char *key;
        bool ok;
    } rows[] = {{"/qudag/dark/x", true},    {"/qudag/relay/x", true},
                {"/qudag/dark/", false},    {"/qudag/relay", false},
                {"/pk/x", false},           {"/ipns/x", false},
                {"/qudag/other/x", false},  {"", false},
                {"qudag/dark/x", false},    {"/qudag/sample/", true},
                {"/qudag/sample/x", false}, {"/qudag/sample", false}};
    struct world *w = world_new();
    uint8_t frame[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice k = {(const uint8_t *)rows[i].key, strlen(rows[i].key)};
        qudag_err err = ask_get(w, w->cli, k);
        assert_int_equal(err, rows[i].ok ? QUDAG_OK : QUDAG_EINVAL);
        acts_clear(w);
        struct kad_msg m = {.type = KAD_GET_VALUE, .key = k};
        size_t len;
        assert_int_equal(kad_msg_encode(frame, sizeof frame, &len, &m), QUDAG_OK);
        struct ref strm = {(uint32_t)i, 40};
        open_in(w, strm, 2);
        deliver(w, w->srv, strm, frame, len, 512);
        assert_int_equal(w->acts.n, 1);
        assert_int_equal(w->act_v[0].type, rows[i].ok ? ACT_UP : ACT_RESET);
        acts_clear(w);
    }
    world_free(w);
}

/* A host carries out a list of actions as a whole: streams of one circuit may end in one turn. */
static void two_requests_that_arrive_together_stay_two(void **state)
{
    static const char *const keys[] = {"/qudag/dark/one", "/qudag/relay/another"};
    struct world *w = world_new();
    uint8_t frame[512];
    size_t len;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct slice k = {(const uint8_t *)keys[i], strlen(keys[i])};
        struct kad_msg m = {.type = KAD_PUT_VALUE,
                            .key = k,
                            .has_record = true,
                            .rec_key = k,
                            .rec_value = {w->value + 100 * i, 100}};
        struct ref strm = {(uint32_t)i, 6};
        assert_int_equal(kad_msg_encode(frame, sizeof frame, &len, &m), QUDAG_OK);
        open_in(w, strm, 2);
        deliver(w, w->srv, strm, frame, len, 512);
    }
    assert_int_equal(w->acts.n, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct gateway_wanted *wanted = w->act_v[i].ptr;
        assert_int_equal(w->act_v[i].kind, GATEWAY_UP_PUT);
        assert_int_equal(wanted->key.len, strlen(keys[i]));
        assert_memory_equal(wanted->key.base, keys[i], wanted->key.len);
        assert_int_equal(wanted->value.len, 100);
        assert_memory_equal(wanted->value.base, w->value + 100 * i, 100);
    }
    world_free(w);
}

static void wrong_calls_are_refused(void **state)
{
    struct world *w = world_new();
    uint8_t big[KAD_VALUE_MAX + 1] = {0};
    struct slice none = {NULL, 0}, v = {big, sizeof big};

    (void)state;
    struct gateway_request nowhere = {.cookie = 1, .key = key};
    assert_int_equal(gateway_get(w->cli, &nowhere, 0, &w->acts), QUDAG_EINVAL);
    assert_int_equal(ask_put(w, w->cli, none), QUDAG_EINVAL);
    assert_int_equal(ask_put(w, w->cli, v), QUDAG_EINVAL);
    struct gateway_result unasked = {.cookie = 12345, .stored = 1};
    gateway_answer(w->srv, &unasked, &w->acts);
    assert_int_equal(w->acts.n, 0);
    v.len--;
    assert_int_equal(ask_put(w, w->cli, v), QUDAG_OK);
    world_free(w);
}

static void who_does_not_serve_refuses(void **state)
{
    struct world *w = world_new();

    (void)state;
    feed(w, w->cli,
         (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = srv_strm, .props = LINK_ANON},
         0);
    assert_int_equal(w->act_v[0].type, ACT_RESET);
    assert_int_equal(w->act_v[0].err, QUDAG_EREFUSED);
    acts_clear(w);
    feed(w, w->srv, (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = srv_strm}, 0);
    assert_int_equal(w->act_v[0].type, ACT_RESET);
    assert_int_equal(w->act_v[0].err, QUDAG_EPOLICY);
    world_free(w);
}

/* The message, and zeros up to the size of all messages: nothing less, nothing more, nothing else. */
static void requests_cut_or_with_more_behind_are_reset(void **state)
{
    struct world *w = world_new();
    uint8_t frame[EXCHANGE_LEN + 1] = {0};
    size_t len;

    (void)state;
    struct kad_msg m = {.type = KAD_PUT_VALUE,
                        .key = key,
                        .has_record = true,
                        .rec_key = key,
                        .rec_value = {w->value, 20}};
    assert_int_equal(kad_msg_encode(frame, sizeof frame, &len, &m), QUDAG_OK);
    const struct {
        size_t len;
        uint8_t last; /* of the zeros */
    } row[] = {{0, 0},
               {1, 0},
               {len - 1, 0},
               {len, 0},
               {len + 1, 0},
               {EXCHANGE_LEN - 1, 0},
               {EXCHANGE_LEN, 0},
               {EXCHANGE_LEN + 1, 0},
               {EXCHANGE_LEN, 1}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct ref strm = {(uint32_t)i, 5};
        struct slice in = {frame, row[i].len};
        frame[EXCHANGE_LEN - 1] = row[i].last;
        open_in(w, strm, i * NS_PER_S);
        feed(w, w->srv, (struct ev){.type = EV_DATA, .strm = strm, .data = in}, i * NS_PER_S);
        feed(w, w->srv, (struct ev){.type = EV_FIN, .strm = strm}, i * NS_PER_S);
        assert_int_equal(w->acts.n, 1);
        bool whole = row[i].len == EXCHANGE_LEN && row[i].last == 0;
        assert_int_equal(w->act_v[0].type, whole ? ACT_UP : ACT_RESET);
        acts_clear(w);
    }
    world_free(w);
}

static void messages_of_other_kinds_are_reset(void **state)
{
    struct world *w = world_new();
    struct slice other = {(const uint8_t *)"/qudag/dark/other", 17};
    const struct kad_msg rows[] = {
        {.type = KAD_FIND_NODE, .key = key},
        {.type = KAD_PING},
        {.type = KAD_ADD_PROVIDER, .key = key},
        {.type = KAD_GET_PROVIDERS, .key = key},
        {.type = KAD_PUT_VALUE, .key = key},
        {.type = KAD_PUT_VALUE, .key = key, .has_record = true, .rec_key = key},
        {.type = KAD_PUT_VALUE,
         .key = key,
         .has_record = true,
         .rec_key = other,
         .rec_value = {w->value, 5}},
        {.type = KAD_GET_VALUE,
         .key = key,
         .has_record = true,
         .rec_key = key,
         .rec_value = {w->value, 5}},
    };
    uint8_t frame[512];
    size_t len;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ref strm = {(uint32_t)i, 5};
        assert_int_equal(kad_msg_encode(frame, sizeof frame, &len, &rows[i]), QUDAG_OK);
        open_in(w, strm, 0);
        deliver(w, w->srv, strm, frame, len, 512);
        assert_int_equal(w->acts.n, 1);
        assert_int_equal(w->act_v[0].type, ACT_RESET);
        acts_clear(w);
    }
    world_free(w);
}

static void replies_that_answer_something_else_are_errors(void **state)
{
    struct world *w = world_new();
    struct slice other = {(const uint8_t *)"/qudag/dark/other", 17};
    struct slice five = {w->value, 5};
    const struct {
        bool put;
        struct kad_msg m;
        qudag_err err;
    } rows[] = {
        {false, {.type = KAD_GET_VALUE, .key = key}, QUDAG_ENOTFOUND},
        {false, {.type = KAD_GET_VALUE, .key = other}, QUDAG_EPROTO},
        {false, {.type = KAD_PUT_VALUE, .key = key}, QUDAG_EPROTO},
        {false,
         {.type = KAD_GET_VALUE,
          .key = key,
          .has_record = true,
          .rec_key = other,
          .rec_value = five},
         QUDAG_EPROTO},
        {false,
         {.type = KAD_GET_VALUE, .key = key, .has_record = true, .rec_key = key, .rec_value = five},
         QUDAG_OK},
        {true, {.type = KAD_PUT_VALUE, .key = key}, QUDAG_EPROTO},
        {true,
         {.type = KAD_PUT_VALUE, .key = key, .has_record = true, .rec_key = key, .rec_value = five},
         QUDAG_EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t frame[KAD_MSG_MAX];
        size_t len;
        (void)request(w, rows[i].put, frame, 10);
        assert_int_equal(kad_msg_encode(frame, sizeof frame, &len, &rows[i].m), QUDAG_OK);
        deliver(w, w->cli, cli_strm, frame, len, 7);
        assert_int_equal(w->acts.n, 1);
        assert_int_equal(w->act_v[0].kind, GATEWAY_UP_DONE);
        assert_int_equal(w->act_v[0].err, rows[i].err);
        acts_clear(w);
    }
    world_free(w);
}

static void too_much_data_ends_the_job(void **state)
{
    struct world *w = world_new();
    uint8_t frame[KAD_MSG_MAX], junk[KAD_MSG_MAX + 5] = {0};

    (void)state;
    open_in(w, srv_strm, 0);
    deliver(w, w->srv, srv_strm, junk, sizeof junk, sizeof junk);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].type, ACT_RESET);
    assert_int_equal(w->act_v[0].err, QUDAG_ETOOBIG);
    acts_clear(w);
    (void)request(w, false, frame, 0);
    deliver(w, w->cli, cli_strm, junk, sizeof junk, 5000);
    assert_int_equal(w->acts.n, 2);
    assert_int_equal(w->act_v[0].type, ACT_RESET);
    assert_int_equal(w->act_v[1].kind, GATEWAY_UP_DONE);
    assert_int_equal(w->act_v[1].err, QUDAG_ETOOBIG);
    world_free(w);
}

/* Where a job can stand, and everything that can happen to it there. */
enum where { ASK_OPENING, ASK_REPLY, SERVE_REQUEST, SERVE_RUNNING, WHERES };
enum what { W_OPEN, W_FAIL, W_DATA, W_FIN, W_RESET, W_WRITABLE, W_TIME, WHATS };

static struct gateway *bring(struct world *w, enum where at, struct ref *strm, uint64_t *cookie)
{
    uint8_t frame[KAD_MSG_MAX];

    *cookie = 0;
    *strm = at == ASK_OPENING || at == ASK_REPLY ? cli_strm : srv_strm;
    if (at == ASK_OPENING) {
        assert_int_equal(ask_get(w, w->cli, key), QUDAG_OK);
        *cookie = w->act_v[0].cookie;
    } else if (at == ASK_REPLY) {
        (void)request(w, false, frame, 0);
    } else {
        size_t len = 0;
        if (at == SERVE_RUNNING) {
            len = request(w, false, frame, 0);
        }
        open_in(w, srv_strm, 0);
        if (len > 0) {
            deliver(w, w->srv, srv_strm, frame, len, len);
        }
    }
    acts_clear(w);
    return at == ASK_OPENING || at == ASK_REPLY ? w->cli : w->srv;
}

static void every_event_in_every_state(void **state)
{
    /* what comes out: '-' nothing, 'w' write and fin, 'd' done, 'r' reset, 'b' reset and done */
    static const char want[WHERES][WHATS + 1] = {
        [ASK_OPENING] = "wd----d",
        [ASK_REPLY] = "r--dd-b",
        [SERVE_REQUEST] = "r--r--r",
        [SERVE_RUNNING] = "r-r---r",
    };

    (void)state;
    for (int at = 0; at < WHERES; at++) {
        for (int e = 0; e < WHATS; e++) {
            struct world *w = world_new();
            struct ref strm;
            uint64_t cookie;
            struct gateway *x = bring(w, (enum where)at, &strm, &cookie);
            static const enum ev_type type[] = {EV_STREAM_OPEN, EV_STREAM_FAIL, EV_DATA,
                                                EV_FIN,         EV_RESET,       EV_WRITABLE};
            if (e == W_TIME) {
                tstamp due = at == SERVE_REQUEST   ? GATEWAY_REQUEST_TIMEOUT
                             : at == SERVE_RUNNING ? 2 + GATEWAY_TIMEOUT
                                                   : GATEWAY_TIMEOUT;
                assert_int_equal(gateway_ops.deadline(x), due);
                gateway_ops.tick(x, due - 1, &w->acts);
                assert_int_equal(w->acts.n, 0);
                gateway_ops.tick(x, due, &w->acts);
            } else {
                feed(w, x,
                     (struct ev){.type = type[e],
                                 .strm = strm,
                                 .cookie = cookie,
                                 .err = e == W_RESET ? QUDAG_ECIRCUIT : QUDAG_OK,
                                 .data = {(const uint8_t *)"x", 1}},
                     5);
            }
            const struct act *a = w->act_v;
            char got = w->acts.n == 0                                   ? '-'
                       : w->acts.n == 2 && a[0].type == ACT_WRITE       ? 'w'
                       : w->acts.n == 2 && a[1].kind == GATEWAY_UP_DONE ? 'b'
                       : w->acts.n == 1 && a[0].type == ACT_RESET       ? 'r'
                       : w->acts.n == 1 && a[0].kind == GATEWAY_UP_DONE ? 'd'
                                                                        : '?';
            if (got != want[at][e]) {
                fail_msg("state %d, event %d: %c, expected %c", at, e, got, want[at][e]);
            }
            acts_clear(w);
            world_free(w);
        }
    }
}

static void late_answers_and_late_streams_are_harmless(void **state)
{
    struct world *w = world_new();
    struct ref strm;
    uint64_t cookie;
    uint8_t frame[KAD_MSG_MAX];

    (void)state;
    struct gateway *x = bring(w, ASK_OPENING, &strm, &cookie);
    gateway_ops.tick(x, GATEWAY_TIMEOUT, &w->acts);
    assert_int_equal(w->act_v[0].err, QUDAG_ETIMEOUT);
    acts_clear(w);
    feed(w, x, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = strm},
         GATEWAY_TIMEOUT);
    assert_int_equal(w->acts.n, 1);
    assert_int_equal(w->act_v[0].type, ACT_RESET);
    acts_clear(w);
    size_t len = request(w, false, frame, 0);
    open_in(w, srv_strm, 0);
    deliver(w, w->srv, srv_strm, frame, len, len);
    cookie = w->act_v[0].cookie;
    acts_clear(w);
    feed(w, w->srv, (struct ev){.type = EV_RESET, .strm = srv_strm}, 3);
    struct gateway_result res = {.cookie = cookie, .value = {w->value, 9}};
    gateway_answer(w->srv, &res, &w->acts);
    assert_int_equal(w->acts.n, 0);
    world_free(w);
}

static void our_own_requests_are_limited(void **state)
{
    struct world *w = world_new();

    (void)state;
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(ask_get(w, w->cli, key), QUDAG_OK);
        acts_clear(w);
    }
    assert_int_equal(ask_get(w, w->cli, key), QUDAG_ELIMIT);
    world_free(w);
}

static void every_failed_allocation_is_survived(void **state)
{
    struct world *w = world_new();
    size_t used = w->mem.used;
    unsigned failed = 0;

    (void)state;
    for (uint64_t at = 1; at < 40; at++) {
        struct gateway_config cfg = {
            .mem = &w->mem, .rng = rng_of_stream(&w->stream), .serve = true};
        struct gateway *e;
        uint8_t frame[512];
        size_t len;
        struct kad_msg m = {.type = KAD_GET_VALUE, .key = key};
        assert_int_equal(kad_msg_encode(frame, sizeof frame, &len, &m), QUDAG_OK);
        w->mem.fail_at = at;
        qudag_err err = gateway_new(&e, &cfg, 0);
        if (err == QUDAG_OK) {
            err = ask_put(w, e, (struct slice){w->value, 300});
            failed += err == QUDAG_ENOMEM;
            if (err == QUDAG_OK) {
                uint64_t cookie = w->act_v[0].cookie;
                feed(w, e, (struct ev){.type = EV_STREAM_OPEN, .cookie = cookie, .strm = cli_strm},
                     0);
                deliver(w, e, cli_strm, frame, len, 20);
                const struct act *last = &w->act_v[w->acts.n - 1];
                assert_int_equal(last->kind, GATEWAY_UP_DONE);
                failed += last->err == QUDAG_ENOMEM;
            }
            acts_clear(w);
            feed(w, e,
                 (struct ev){
                     .type = EV_STREAM_OPEN, .inbound = true, .strm = srv_strm, .props = LINK_ANON},
                 0);
            deliver(w, e, srv_strm, frame, len, 20);
            assert_int_equal(w->acts.n, 1);
            failed += w->act_v[0].err == QUDAG_ENOMEM;
        } else {
            failed++;
            assert_null(e);
        }
        acts_clear(w);
        w->mem.fail_at = 0;
        gateway_free(e);
        assert_int_equal(w->mem.used, used);
    }
    assert_in_range(failed, 7, 30);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_read_through_the_gateway),
        cmocka_unit_test(a_value_is_written_through_the_gateway),
        cmocka_unit_test(the_longest_key_and_value_fit),
        cmocka_unit_test(only_our_namespaces_pass),
        cmocka_unit_test(samples_are_read_only),
        cmocka_unit_test(two_requests_that_arrive_together_stay_two),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(who_does_not_serve_refuses),
        cmocka_unit_test(requests_cut_or_with_more_behind_are_reset),
        cmocka_unit_test(messages_of_other_kinds_are_reset),
        cmocka_unit_test(replies_that_answer_something_else_are_errors),
        cmocka_unit_test(too_much_data_ends_the_job),
        cmocka_unit_test(every_event_in_every_state),
        cmocka_unit_test(late_answers_and_late_streams_are_harmless),
        cmocka_unit_test(our_own_requests_are_limited),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
