/* One kad object, told its events one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/common/frame.h"
#include "core/kad/kad_int.h"

#include <stdlib.h>

#define S(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})
#define PEERS 5
#define BURST 400 /* requests of one peer at once: two seconds' worth */

struct bed {
    struct mem mem;
    struct kad *k;
    struct rng_stream rng;
    struct acts out;
    struct act v[ACTS_ROOM];
    uint8_t *bytes;
    struct kad_peer_info peer[PEERS];
    tstamp now;
    unsigned done;
    qudag_err err;
    size_t opens, resets, fins;
    uint64_t cookie[64]; /* of the opens of the last call */
    struct peer_id to[64];
};

static qudag_err check(void *ctx, struct slice key, struct slice value, walltime now,
                       walltime *expires)
{
    (void)ctx;
    (void)key;
    (void)now;
    (void)expires;
    return value.len > 0 && value.base[0] != '!' ? QUDAG_OK : QUDAG_EAUTH;
}

static struct kad_config config(struct bed *b)
{
    struct kad_config c = {.mem = &b->mem,
                           .rng = rng_of_stream(&b->rng),
                           .clock = {1700000000, 0},
                           .protocol = KAD_PROTOCOL,
                           .server = true,
                           .lab = true,
                           .n_validators = 1};

    c.validator[0] = (struct kad_validator){.ns = "v", .value_max = KAD_VALUE_MAX, .check = check};
    peer_id_from_ed25519(&c.self, (const uint8_t[32]){99});
    return c;
}

static void bed_init(struct bed *b)
{
    memset(b, 0, sizeof(*b));
    mem_init(&b->mem, NULL, 0);
    rng_stream_init(&b->rng, (const uint8_t[32]){1});
    b->bytes = malloc(ACTS_BYTES_ROOM);
    assert_non_null(b->bytes);
    b->now = NS_PER_S;
    for (size_t i = 0; i < PEERS; i++) {
        struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(4000 + i)};
        peer_id_from_ed25519(&b->peer[i].id, (const uint8_t[32]){(uint8_t)(i + 1)});
        b->peer[i].n_addrs = 1;
        multiaddr_quic(&b->peer[i].addr[0], &a, NULL);
    }
}

static bool bed_kad(struct bed *b)
{
    struct kad_config c = config(b);
    qudag_err err = kad_new(&b->k, &c, b->now);

    assert_true(err == QUDAG_OK || err == QUDAG_ENOMEM);
    if (err == QUDAG_OK) {
        kad_set_addrs(b->k, b->peer[0].addr, 1);
    }
    return err == QUDAG_OK;
}

static void bed_fini(struct bed *b)
{
    kad_free(b->k);
    b->k = NULL;
    assert_int_equal(b->mem.used, 0);
    free(b->bytes);
}

static struct acts *fresh(struct bed *b)
{
    b->out =
        (struct acts){.v = b->v, .cap = ACTS_ROOM, .bytes = b->bytes, .bytes_cap = ACTS_BYTES_ROOM};
    return &b->out;
}

static void count(struct bed *b)
{
    assert_false(b->out.overflow);
    b->opens = b->resets = b->fins = 0;
    for (size_t i = 0; i < b->out.n; i++) {
        const struct act *a = &b->v[i];
        if (a->type == ACT_OPEN && b->opens < 64) {
            b->cookie[b->opens] = a->cookie;
            b->to[b->opens++] = a->peer;
        }
        b->resets += a->type == ACT_RESET;
        b->fins += a->type == ACT_FIN;
        if (a->type == ACT_UP && a->kind == KAD_UP_DONE) {
            b->done++;
            b->err = a->err;
        }
    }
}

static void tell(struct bed *b, struct ev ev)
{
    kad_ops.event(b->k, &ev, b->now, fresh(b));
    count(b);
}

static void tick(struct bed *b, tstamp after)
{
    b->now += after;
    kad_ops.tick(b->k, b->now, fresh(b));
    count(b);
}

static void add(struct bed *b, size_t i)
{
    kad_add_peer(b->k, &b->peer[i], b->now, fresh(b));
    count(b);
}

static size_t encode(uint8_t *buf, const struct kad_msg *m)
{
    size_t len = 0;

    assert_int_equal(kad_msg_encode(buf, KAD_MSG_MAX, &len, m), QUDAG_OK);
    return len;
}

/* One lookup whose only request waits for its answer on stream {7, 1}. */
static void one_waiting(struct bed *b)
{
    bed_init(b);
    assert_true(bed_kad(b));
    add(b, 0);
    assert_int_equal(b->opens, 1);
    tell(b, (struct ev){.type = EV_STREAM_FAIL, .cookie = b->cookie[0], .peer = &b->peer[0].id});
    assert_int_equal(kad_get(b->k, 1, S("/v/a"), NULL, b->now, fresh(b)), QUDAG_OK);
    count(b);
    assert_int_equal(b->opens, 1);
}

static void open_it(struct bed *b)
{
    tell(b, (struct ev){.type = EV_STREAM_OPEN,
                        .strm = {7, 1},
                        .cookie = b->cookie[0],
                        .peer = &b->peer[0].id});
}

enum stage { OPENING, WAITING, LINGERING, GONE, STAGES };

static void reach(struct bed *b, enum stage s)
{
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_msg m = {.type = KAD_GET_VALUE,
                        .key = S("/v/a"),
                        .has_record = true,
                        .rec_key = S("/v/a"),
                        .rec_value = S("value")};

    one_waiting(b);
    if (s >= WAITING) {
        open_it(b);
        assert_int_equal(b->v[0].type, ACT_WRITE);
        assert_int_equal(b->fins, 1);
    }
    if (s >= LINGERING) {
        tell(b, (struct ev){.type = EV_DATA, .strm = {7, 1}, .data = {buf, encode(buf, &m)}});
        assert_int_equal(b->done, 1);
        assert_int_equal(b->err, QUDAG_OK);
    }
    if (s == GONE) {
        tell(b, (struct ev){.type = EV_FIN, .strm = {7, 1}});
    }
}

static void our_own_lack_of_memory_is_not_held_against_the_peer(void **state)
{
    (void)state;
    struct bed b;
    struct kad_stats st;
    uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_msg m = {.type = KAD_PING};

    reach(&b, WAITING);
    b.mem.fail_at = 1; /* the beginning of an answer is to be kept */
    tell(&b, (struct ev){.type = EV_DATA, .strm = {7, 1}, .data = {(const uint8_t *)"\x7f", 1}});
    b.mem.fail_at = 0;
    kad_stats_get(b.k, &st);
    assert_int_equal(st.refused[KAD_REFUSED_NO_MEMORY], 1);
    assert_int_equal(st.refused[KAD_REFUSED_OVERSIZED], 0);
    assert_int_equal(b.resets, 1);
    assert_null(b.k->routing.misbehaving);
    bed_fini(&b);

    reach(&b, WAITING); /* an answer of another type is one */
    tell(&b, (struct ev){.type = EV_DATA, .strm = {7, 1}, .data = {buf, encode(buf, &m)}});
    kad_stats_get(b.k, &st);
    assert_int_equal(st.refused[KAD_REFUSED_OTHER_TYPE], 1);
    assert_non_null(b.k->routing.misbehaving);
    bed_fini(&b);
}

/* Whether the peer is passed over afterwards, as one that is silent (field trial F1). */
static void only_silence_sets_a_peer_aside(void **state)
{
    static const struct {
        enum stage stage;
        qudag_err err;
        bool aside;
    } row[] = {
        {OPENING, QUDAG_EUNREACHABLE, true}, {OPENING, QUDAG_ETIMEOUT, true},
        {OPENING, QUDAG_EPOLICY, true},      {OPENING, QUDAG_ECANCELED, false},
        {OPENING, QUDAG_ECLOSED, false},     {OPENING, QUDAG_ELIMIT, false},
        {OPENING, QUDAG_ENOMEM, false},      {WAITING, QUDAG_ETIMEOUT, true},
        {WAITING, QUDAG_ECANCELED, false},   {WAITING, QUDAG_ECLOSED, false},
        {WAITING, QUDAG_ELIMIT, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct bed b;
        uint8_t hash[SHA256_LEN];
        reach(&b, row[i].stage);
        sha256(hash, peer_id_slice(&b.peer[0].id));
        b.k->routing.last_answer = b.now; /* we are online */
        tell(&b, (struct ev){.type = row[i].stage == OPENING ? EV_STREAM_FAIL : EV_RESET,
                             .strm = {7, 1},
                             .err = row[i].err,
                             .cookie = b.cookie[0],
                             .peer = &b.peer[0].id});
        assert_int_equal(kad_contacts_failed_lately(&b.k->routing, hash, b.now), row[i].aside);
        bed_fini(&b);
    }
}

enum what { OPEN, FAIL, ANSWER, GARBAGE, FIN, RESET, WRITABLE, TIME };

static struct ev event_of(const struct bed *b, enum what what, enum stage stage,
                          struct slice answer)
{
    static const enum ev_type types[] = {
        [OPEN] = EV_STREAM_OPEN,  [FAIL] = EV_STREAM_FAIL, [ANSWER] = EV_DATA,
        [GARBAGE] = EV_DATA,      [FIN] = EV_FIN,          [RESET] = EV_RESET,
        [WRITABLE] = EV_WRITABLE,
    };
    struct ev ev = {.type = types[what],
                    .strm = {7, 1},
                    .peer = &b->peer[0].id,
                    .cookie = b->cookie[0],
                    .n = 10};

    if (what == OPEN && stage != OPENING) {
        ev.strm.slot = 8;
    } else if (what == ANSWER) {
        ev.data = answer;
    } else if (what == GARBAGE) {
        ev.data = S("\x03\xff\xff\xff");
    }
    return ev;
}

static void each_event_in_each_state_of_a_request_has_its_outcome(void **state)
{
    (void)state;
    /* done: reports by then; resets: streams given up by us */
    static const struct {
        enum stage stage;
        enum what what;
        unsigned done;
        size_t resets;
    } cases[] = {
        {OPENING, OPEN, 0, 0},     {OPENING, FAIL, 1, 0},       {OPENING, ANSWER, 0, 0},
        {OPENING, GARBAGE, 0, 0},  {OPENING, FIN, 0, 0},        {OPENING, RESET, 0, 0},
        {OPENING, WRITABLE, 0, 0}, {OPENING, TIME, 1, 0},       {WAITING, OPEN, 0, 1},
        {WAITING, FAIL, 0, 0},     {WAITING, ANSWER, 1, 0},     {WAITING, GARBAGE, 1, 1},
        {WAITING, FIN, 1, 1},      {WAITING, RESET, 1, 0},      {WAITING, WRITABLE, 0, 0},
        {WAITING, TIME, 1, 1},     {LINGERING, OPEN, 1, 1},     {LINGERING, FAIL, 1, 0},
        {LINGERING, ANSWER, 1, 1}, {LINGERING, GARBAGE, 1, 1},  {LINGERING, FIN, 1, 0},
        {LINGERING, RESET, 1, 0},  {LINGERING, WRITABLE, 1, 0}, {LINGERING, TIME, 1, 1},
        {GONE, OPEN, 1, 1},        {GONE, FAIL, 1, 0},          {GONE, ANSWER, 1, 0},
        {GONE, GARBAGE, 1, 0},     {GONE, FIN, 1, 0},           {GONE, RESET, 1, 0},
        {GONE, WRITABLE, 1, 0},    {GONE, TIME, 1, 0},
    };
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_msg m = {.type = KAD_GET_VALUE, .key = S("/v/a")};
    size_t len = encode(buf, &m);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bed *b = calloc(1, sizeof(*b));
        assert_non_null(b);
        reach(b, cases[i].stage);
        if (cases[i].what == TIME) {
            tick(b, 10 * NS_PER_S);
        } else {
            tell(b, event_of(b, cases[i].what, cases[i].stage, (struct slice){buf, len}));
        }
        if (b->done != cases[i].done || b->resets != cases[i].resets) {
            fail_msg("case %zu: %u reports, %zu resets", i, b->done, b->resets);
        }
        /* Whatever came: in the end there is exactly one report and nothing in flight. */
        tick(b, 70 * NS_PER_S);
        tick(b, 70 * NS_PER_S);
        assert_int_equal(b->done, 1);
        struct kad_stats s;
        kad_stats_get(b->k, &s);
        assert_int_equal(s.requests, 0);
        bed_fini(b);
        free(b);
    }
}

/* Opens what the last call asked for on stream {7, gen}. */
static void open_as(struct bed *b, uint32_t gen)
{
    assert_int_equal(b->opens, 1);
    tell(b, (struct ev){.type = EV_STREAM_OPEN,
                        .strm = {7, gen},
                        .cookie = b->cookie[0],
                        .peer = &b->peer[0].id});
}

static void a_peer_that_refuses_a_record_is_still_asked(void **state)
{
    (void)state;
    static const enum ev_type no[] = {EV_RESET, EV_FIN};
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_msg m = {.type = KAD_FIND_NODE};
    size_t len = encode(buf, &m);

    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        struct bed *b = calloc(1, sizeof(*b));
        assert_non_null(b);
        bed_init(b);
        assert_true(bed_kad(b));
        add(b, 0);
        open_as(b, 1);
        tell(b, (struct ev){.type = EV_DATA, .strm = {7, 1}, .data = {buf, len}});
        assert_int_equal(
            kad_put(b->k, 1, &(struct kad_put_args){S("/v/a"), S("value"), NULL}, b->now, fresh(b)),
            QUDAG_OK);
        count(b);
        open_as(b, 2);
        tell(b, (struct ev){.type = EV_DATA, .strm = {7, 2}, .data = {buf, len}});
        open_as(b, 3); /* to store */
        tell(b, (struct ev){.type = no[i], .strm = {7, 3}, .peer = &b->peer[0].id});
        assert_int_equal(b->done, 1);
        assert_int_equal(kad_get(b->k, 2, S("/v/b"), NULL, b->now, fresh(b)), QUDAG_OK);
        count(b);
        assert_int_equal(b->opens, 1);
        bed_fini(b);
        free(b);
    }
}

/* A lookup whose only request, on stream {7, n}, the peer resets with |err|; whether it is still known. */
static bool reset_with(struct bed *b, uint32_t n, qudag_err err)
{
    unsigned before = b->done;

    assert_int_equal(kad_get(b->k, n, S("/v/a"), NULL, b->now, fresh(b)), QUDAG_OK);
    count(b);
    assert_int_equal(b->opens, 1);
    open_as(b, n);
    tell(b, (struct ev){.type = EV_RESET, .strm = {7, n}, .peer = &b->peer[0].id, .err = err});
    assert_int_equal(b->done, before + 1);
    size_t it = 0;
    struct kad_peer_info info;
    return kad_table_next(b->k, &it, &info);
}

static void known_and_answering(struct bed *b, uint32_t n)
{
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_msg m = {.type = KAD_FIND_NODE};

    add(b, 0);
    open_as(b, n);
    tell(b, (struct ev){.type = EV_DATA, .strm = {7, n}, .data = {buf, encode(buf, &m)}});
    tell(b, (struct ev){.type = EV_FIN, .strm = {7, n}});
}

static void a_peer_over_whose_limit_we_are_stays_known_unless_it_does_nothing_else(void **state)
{
    (void)state;
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_msg m = {.type = KAD_GET_VALUE, .key = S("/v/a")};
    struct bed *b = calloc(1, sizeof(*b));
    uint32_t n = 1;

    assert_non_null(b);
    bed_init(b);
    assert_true(bed_kad(b));
    known_and_answering(b, n++);
    for (int i = 0; i < KAD_RESETS_MAX - 1; i++) {
        assert_true(reset_with(b, n++, QUDAG_ELIMIT));
    }
    assert_int_equal(kad_get(b->k, n, S("/v/a"), NULL, b->now, fresh(b)), QUDAG_OK);
    count(b);
    open_as(b, n);
    size_t len = encode(buf, &m);
    tell(b, (struct ev){.type = EV_DATA, .strm = {7, n++}, .data = {buf, len}});
    for (int i = 0; i < KAD_RESETS_MAX - 1; i++) { /* an answer, and it counts from the start */
        assert_true(reset_with(b, n++, QUDAG_ELIMIT));
    }
    assert_false(reset_with(b, n++, QUDAG_ELIMIT));
    bed_fini(b);

    bed_init(b); /* a link that died proves nothing */
    assert_true(bed_kad(b));
    known_and_answering(b, 1);
    assert_true(reset_with(b, 2, QUDAG_ETIMEOUT));
    assert_int_equal(kad_get(b->k, 3, S("/v/a"), NULL, b->now, fresh(b)), QUDAG_OK);
    count(b);
    assert_int_equal(b->opens, 0); /* it has failed lately */
    bed_fini(b);
    free(b);
}

static void an_answer_may_come_in_two_pieces_cut_anywhere(void **state)
{
    (void)state;
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct bed *b = calloc(1, sizeof(*b));
    struct kad_peer_info closer[2];
    struct kad_msg m = {.type = KAD_GET_VALUE,
                        .key = S("/v/a"),
                        .has_record = true,
                        .rec_key = S("/v/a"),
                        .rec_value = S("value"),
                        .closer = closer,
                        .n_closer = 2};

    assert_non_null(b);
    for (size_t cut = 1;; cut++) {
        one_waiting(b);
        closer[0] = b->peer[2];
        closer[1] = b->peer[3];
        size_t len = encode(buf, &m);
        if (cut == len) {
            bed_fini(b);
            break;
        }
        open_it(b);
        tell(b, (struct ev){.type = EV_DATA, .strm = {7, 1}, .data = {buf, cut}});
        assert_int_equal(b->done, 0);
        if (cut % 2 == 0) { /* truncated for good */
            tell(b, (struct ev){.type = EV_FIN, .strm = {7, 1}});
            assert_int_equal(b->done, 1);
            assert_int_equal(b->err, QUDAG_EUNREACHABLE);
        } else {
            tell(b, (struct ev){.type = EV_DATA, .strm = {7, 1}, .data = {buf + cut, len - cut}});
            assert_int_equal(b->done, 1);
            assert_int_equal(b->err, QUDAG_OK);
        }
        bed_fini(b);
    }
    free(b);
}

static void frames_are_bounded_and_minimal(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t len;
        int got;
        size_t used;
    } cases[] = {
        {"", 0, 0, 0},
        {"\x00", 1, 1, 1},
        {"\x02"
         "a",
         2, 0, 0},
        {"\x02"
         "abc",
         4, 1, 3},
        {"\x80", 1, 0, 0},
        {"\x80\x80", 2, 0, 0},
        {"\x80\x80\x04", 3, 0, 0},  /* 65536 */
        {"\x81\x80\x04", 3, -1, 0}, /* 65537 */
        {"\x80\x80\x80", 3, -1, 0},
        {"\x81\x00", 2, -1, 0},
        {"\xff\xff\xff\xff", 4, -1, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice msg;
        size_t used = 0;
        int got =
            kad_frame((struct slice){(const uint8_t *)cases[i].in, cases[i].len}, &msg, &used);
        assert_int_equal(got, cases[i].got);
        if (got == 1) {
            assert_int_equal(used, cases[i].used);
        }
    }
}

/* ---- server ---- */

static void inbound(struct bed *b, uint32_t slot, const struct peer_id *from)
{
    tell(b, (struct ev){.type = EV_STREAM_OPEN, .inbound = true, .strm = {slot, 1}, .peer = from});
}

static void served_bed(struct bed *b)
{
    bed_init(b);
    assert_true(bed_kad(b));
    inbound(b, 5, &b->peer[1].id);
}

static void several_requests_on_one_stream_are_answered_in_order(void **state)
{
    (void)state;
    static uint8_t buf[3 * KAD_MSG_MAX];
    struct bed *b = calloc(1, sizeof(*b));
    struct kad_msg put = {.type = KAD_PUT_VALUE,
                          .key = S("/v/a"),
                          .has_record = true,
                          .rec_key = S("/v/a"),
                          .rec_value = S("value")};
    struct kad_msg get = {.type = KAD_GET_VALUE, .key = S("/v/a")};
    struct kad_msg find = {.type = KAD_FIND_NODE, .key = S("anything")};

    assert_non_null(b);
    size_t len = encode(buf, &put);
    len += encode(buf + len, &get);
    len += encode(buf + len, &find);
    for (size_t cut = 0; cut <= len; cut++) {
        served_bed(b);
        unsigned answers = 0;
        for (int part = 0; part < 2; part++) {
            struct slice data =
                part == 0 ? (struct slice){buf, cut} : (struct slice){buf + cut, len - cut};
            tell(b, (struct ev){.type = EV_DATA, .strm = {5, 1}, .data = data});
            for (size_t i = 0; i < b->out.n; i++) {
                answers += b->v[i].type == ACT_WRITE ? 1 : 0;
            }
        }
        assert_int_equal(answers, 3);
        tell(b, (struct ev){.type = EV_FIN, .strm = {5, 1}});
        assert_int_equal(b->fins, 1);
        bed_fini(b);
    }
    free(b);
}

static void bad_requests_reset_the_stream_and_are_counted(void **state)
{
    (void)state;
    struct bed *b = calloc(1, sizeof(*b));
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_peer_info other;

    assert_non_null(b);
    bed_init(b);
    other = b->peer[2];
    struct kad_peer_info nowhere = b->peer[1];
    nowhere.n_addrs = 0;
    bed_fini(b);
    const struct kad_msg cases[] = {
        {.type = KAD_PUT_VALUE, .key = S("/v/a")},
        {.type = KAD_PUT_VALUE,
         .key = S("/v/a"),
         .has_record = true,
         .rec_key = S("/v/b"),
         .rec_value = S("v")},
        {.type = KAD_PUT_VALUE,
         .key = S("/v/a"),
         .has_record = true,
         .rec_key = S("/v/a"),
         .rec_value = S("!refused")},
        {.type = KAD_PUT_VALUE,
         .key = S("/x/a"),
         .has_record = true,
         .rec_key = S("/x/a"),
         .rec_value = S("v")},
        {.type = KAD_ADD_PROVIDER, .key = S("k")},
        {.type = KAD_ADD_PROVIDER, .key = S("k"), .n_providers = 1, .providers = &other},
        {.type = KAD_ADD_PROVIDER, .key = S("k"), .n_providers = 1, .providers = &nowhere},
        {.type = KAD_GET_VALUE},
        {.type = KAD_FIND_NODE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kad_stats s;
        served_bed(b);
        size_t len = encode(buf, &cases[i]);
        tell(b, (struct ev){.type = EV_DATA, .strm = {5, 1}, .data = {buf, len}});
        assert_int_equal(b->resets, 1);
        kad_stats_get(b->k, &s);
        assert_int_equal(s.bad_messages + s.refused_records, 1);
        assert_int_equal(s.records + s.providers, 0);
        bed_fini(b);
    }
    free(b);
}

static void a_peer_over_its_allowance_is_cut_off_and_recovers(void **state)
{
    (void)state;
    static uint8_t buf[64];
    struct bed *b = calloc(1, sizeof(*b));
    struct kad_msg ping = {.type = KAD_PING};
    unsigned answers = 0;

    assert_non_null(b);
    size_t len = encode(buf, &ping);
    served_bed(b);
    for (unsigned i = 0; i < 2 * BURST && b->resets == 0; i++) {
        tell(b, (struct ev){.type = EV_DATA, .strm = {5, 1}, .data = {buf, len}});
        answers += b->resets == 0 ? 1 : 0;
    }
    assert_int_equal(answers, BURST);
    /* A new stream does not help; another peer is not concerned; a second later it may ask again. */
    inbound(b, 6, &b->peer[1].id);
    tell(b, (struct ev){.type = EV_DATA, .strm = {6, 1}, .data = {buf, len}});
    assert_int_equal(b->resets, 1);
    inbound(b, 7, &b->peer[2].id);
    tell(b, (struct ev){.type = EV_DATA, .strm = {7, 1}, .data = {buf, len}});
    assert_int_equal(b->resets, 0);
    tick(b, NS_PER_S);
    inbound(b, 8, &b->peer[1].id);
    tell(b, (struct ev){.type = EV_DATA, .strm = {8, 1}, .data = {buf, len}});
    assert_int_equal(b->resets, 0);
    bed_fini(b);
    free(b);
}

static void a_peer_that_does_not_read_is_not_answered_without_end(void **state)
{
    (void)state;
    static uint8_t buf[KAD_MSG_MAX], value[KAD_VALUE_MAX], put_buf[KAD_MSG_MAX];
    struct bed *b = calloc(1, sizeof(*b));
    struct kad_msg get = {.type = KAD_GET_VALUE, .key = S("/v/a")};
    size_t len = encode(buf, &get), written = 0;

    assert_non_null(b);
    memset(value, 'v', sizeof(value));
    struct kad_msg put = {.type = KAD_PUT_VALUE,
                          .key = S("/v/a"),
                          .has_record = true,
                          .rec_key = S("/v/a"),
                          .rec_value = {value, sizeof(value)}};
    served_bed(b);
    size_t n = encode(put_buf, &put);
    tell(b, (struct ev){.type = EV_DATA, .strm = {5, 1}, .data = {put_buf, n}});
    for (unsigned i = 0; i < 300; i++) {
        tell(b, (struct ev){.type = EV_DATA, .strm = {5, 1}, .data = {buf, len}});
        written += b->out.bytes_n;
    }
    assert_int_equal(b->resets, 0);
    assert_true(written > KAD_BACKLOG_MAX / 2 && written < KAD_BACKLOG_MAX + KAD_MSG_MAX);
    tell(b, (struct ev){.type = EV_WRITABLE, .strm = {5, 1}, .n = 1}); /* as good as nothing */
    assert_int_equal(b->out.bytes_n, 0);
    tell(b, (struct ev){.type = EV_WRITABLE, .strm = {5, 1}, .n = written});
    assert_true(b->out.bytes_n > KAD_BACKLOG_MAX / 2);
    bed_fini(b);
    free(b);
}

static void many_requests_in_one_piece_wait_for_room(void **state)
{
    (void)state;
    static uint8_t buf[60000];
    struct bed *b = calloc(1, sizeof(*b));
    struct kad_msg ping = {.type = KAD_PING};
    size_t len = 0, answers = 0;

    assert_non_null(b);
    for (unsigned i = 0; i < BURST; i++) {
        len += encode(buf + len, &ping);
    }
    served_bed(b);
    tell(b, (struct ev){.type = EV_DATA, .strm = {5, 1}, .data = {buf, len}});
    answers = b->out.n;
    for (int i = 0; i < 10 && kad_ops.deadline(b->k) <= b->now; i++) {
        tick(b, 0);
        answers += b->out.n;
    }
    assert_int_equal(answers, BURST);
    bed_fini(b);
    free(b);
}

static void forgiving_is_harmless_before_anybody_failed(void **state)
{
    (void)state;
    struct bed *b = calloc(1, sizeof(*b));
    struct kad_stats st;

    assert_non_null(b);
    bed_init(b);
    struct kad_config c = config(b);
    assert_int_equal(kad_new(&b->k, &c, b->now), QUDAG_OK);
    kad_backoff_reset(b->k);
    kad_stats_get(b->k, &st);
    assert_int_equal(st.timeouts, 0);
    bed_fini(b);
    free(b);
}

static void a_client_serves_nobody(void **state)
{
    (void)state;
    struct bed *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    bed_init(b);
    struct kad_config c = config(b);
    c.server = false;
    assert_int_equal(kad_new(&b->k, &c, b->now), QUDAG_OK);
    inbound(b, 5, &b->peer[1].id);
    assert_int_equal(b->resets, 1);
    assert_int_equal(b->v[0].err, QUDAG_EUNSUPPORTED);
    bed_fini(b);
    free(b);
}

static void links_below_the_policy_are_not_served_and_not_asked_for(void **state)
{
    (void)state;
    struct bed *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    bed_init(b);
    struct kad_config c = config(b);
    c.need = LINK_PQ_KEX | LINK_PQ_AUTH;
    assert_int_equal(kad_new(&b->k, &c, b->now), QUDAG_OK);
    for (unsigned props = 0; props < 4; props++) {
        tell(b, (struct ev){.type = EV_STREAM_OPEN,
                            .inbound = true,
                            .strm = {20 + props, 1},
                            .peer = &b->peer[1].id,
                            .props = (uint8_t)props});
        assert_int_equal(b->resets, props == 3 ? 0 : 1);
    }
    add(b, 0);
    assert_int_equal(b->v[0].type, ACT_OPEN);
    assert_int_equal(b->v[0].need, c.need);
    bed_fini(b);
    free(b);
}

/* ---- an earlier life ---- */

static void peers_known_before_are_in_the_table_at_once(void **state)
{
    (void)state;
    struct bed b;
    struct kad_peer_info self = {.n_addrs = 1}, mute;
    uint8_t hash[SHA256_LEN];
    struct kad_stats st;

    bed_init(&b);
    assert_true(bed_kad(&b));
    b.now = 3600 * NS_PER_S;
    self.id = config(&b).self;
    self.addr[0] = b.peer[0].addr[0];
    mute = b.peer[4];
    mute.n_addrs = 0;
    kad_preload(b.k, &self, 0, b.now);
    kad_preload(b.k, &mute, 0, b.now);
    for (size_t i = 0; i < 3; i++) {
        kad_preload(b.k, &b.peer[i], 80 * NS_PER_MS, b.now - i * NS_PER_S);
        kad_preload(b.k, &b.peer[i], 0, b.now); /* known already: nothing changes */
        sha256(hash, peer_id_slice(&b.peer[i].id));
        const struct kad_contact *p = kad_table_find(&b.k->routing.table, hash);
        assert_non_null(p);
        assert_int_equal(p->srtt_us, 80000);
        assert_true(p->seen == b.now - i * NS_PER_S);
    }
    kad_stats_get(b.k, &st);
    assert_int_equal(st.table, 3);
    assert_int_equal(b.k->routing.n_seeds, 0);
    assert_int_equal(kad_find(b.k, 1, S("key"), b.now, fresh(&b)), QUDAG_OK);
    count(&b);
    assert_int_equal(b.opens, 3);
    bed_fini(&b);
}

/* ---- memory ---- */

/* A put, a get and a served request; every outcome is allowed but a crash or a leak. */
static void play(struct bed *b)
{
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_msg m = {.type = KAD_FIND_NODE, .key = S("/v/a"), .n_closer = 2};
    struct kad_msg put = {.type = KAD_PUT_VALUE,
                          .key = S("/v/a"),
                          .has_record = true,
                          .rec_key = S("/v/a"),
                          .rec_value = S("value")};
    struct kad_msg prov = {
        .type = KAD_ADD_PROVIDER, .key = S("k"), .n_providers = 1, .providers = &b->peer[1]};

    m.closer = &b->peer[2];
    static const struct kad_options again = {.republish = true};
    add(b, 0);
    add(b, 1);
    qudag_err err =
        kad_put(b->k, 1, &(struct kad_put_args){S("/v/a"), S("value"), &again}, b->now, fresh(b));
    count(b);
    bool started = err == QUDAG_OK;
    for (uint32_t round = 0; round < 12; round++) {
        size_t n = b->opens;
        uint64_t cookie[64];
        memcpy(cookie, b->cookie, sizeof(cookie));
        for (uint32_t i = 0; i < n; i++) {
            struct ref s = {100 + round * 64 + i, 1};
            tell(b, (struct ev){.type = EV_STREAM_OPEN,
                                .strm = s,
                                .cookie = cookie[i],
                                .peer = &b->peer[0].id});
            size_t len = encode(buf, round < 3 ? &m : &put);
            tell(b, (struct ev){.type = EV_DATA, .strm = s, .data = {buf, 5}});
            tell(b, (struct ev){.type = EV_DATA, .strm = s, .data = {buf + 5, len - 5}});
            tell(b, (struct ev){.type = EV_FIN, .strm = s});
        }
        tick(b, NS_PER_S);
    }
    inbound(b, 5, &b->peer[1].id);
    size_t len = encode(buf, &put);
    tell(b, (struct ev){.type = EV_DATA, .strm = {5, 1}, .data = {buf, 7}});
    tell(b, (struct ev){.type = EV_DATA, .strm = {5, 1}, .data = {buf + 7, len - 7}});
    inbound(b, 6, &b->peer[1].id);
    len = encode(buf, &prov);
    tell(b, (struct ev){.type = EV_DATA, .strm = {6, 1}, .data = {buf, len}});
    unsigned before = b->done;
    tick(b, 61 * NS_PER_S);
    tick(b, 61 * NS_PER_S);
    assert_true(b->done <= 1 && (before == 1 || b->done == (started ? 1u : 0u)));
    err = kad_bootstrap(b->k, 2, b->now, fresh(b));
    count(b);
    kad_cancel(b->k, 2, fresh(b));
    count(b);
    err = kad_provide(b->k, 3, S("topic"), b->now, fresh(b));
    count(b);
    tick(b, (tstamp)KAD_REPUBLISH * 2 * NS_PER_S);
    tick(b, 61 * NS_PER_S);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct bed *b = calloc(1, sizeof(*b));
    unsigned n = 1;

    assert_non_null(b);
    for (;; n++) {
        bed_init(b);
        b->mem.fail_at = n;
        if (bed_kad(b)) {
            play(b);
        }
        bool failed = b->mem.refused > 0;
        bed_fini(b);
        if (!failed) {
            break;
        }
    }
    print_message("%u allocations\n", n - 1);
    assert_true(n > 50);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_silence_sets_a_peer_aside),
        cmocka_unit_test(each_event_in_each_state_of_a_request_has_its_outcome),
        cmocka_unit_test(a_peer_that_refuses_a_record_is_still_asked),
        cmocka_unit_test(a_peer_over_whose_limit_we_are_stays_known_unless_it_does_nothing_else),
        cmocka_unit_test(an_answer_may_come_in_two_pieces_cut_anywhere),
        cmocka_unit_test(frames_are_bounded_and_minimal),
        cmocka_unit_test(several_requests_on_one_stream_are_answered_in_order),
        cmocka_unit_test(bad_requests_reset_the_stream_and_are_counted),
        cmocka_unit_test(a_peer_over_its_allowance_is_cut_off_and_recovers),
        cmocka_unit_test(a_peer_that_does_not_read_is_not_answered_without_end),
        cmocka_unit_test(many_requests_in_one_piece_wait_for_room),
        cmocka_unit_test(forgiving_is_harmless_before_anybody_failed),
        cmocka_unit_test(a_client_serves_nobody),
        cmocka_unit_test(links_below_the_policy_are_not_served_and_not_asked_for),
        cmocka_unit_test(our_own_lack_of_memory_is_not_held_against_the_peer),
        cmocka_unit_test(peers_known_before_are_in_the_table_at_once),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
