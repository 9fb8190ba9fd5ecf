/* A request of the core to one node: every end it may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/event_bed.h"

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
        struct kad_contact *c = kad_contacts_make(&b.k->routing, &b.peer[0], hash);
        assert_int_equal(kad_contacts_failed_lately(&b.k->routing, c, b.now), row[i].aside);
        kad_contact_unref(c);
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
    struct kad_contact *failing[1];
    assert_int_equal(kad_table_failing(&b->k->routing.table, 1, failing), 1);
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

/* The link of the stream {7, n} was closed; the open that follows, or NULL. */
static const struct act *link_closed(struct bed *b, uint32_t n)
{
    tell(b, (struct ev){.type = EV_RESET, .strm = {7, n}, .err = QUDAG_ECLOSED});
    return b->opens == 1 ? &b->v[0] : NULL;
}

/* js-libp2p closes one of two links that both sides dialled, with the requests on it. */
static void a_request_whose_link_is_closed_is_asked_again_once_without_a_dial(void **state)
{
    (void)state;
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_msg m = {.type = KAD_GET_VALUE,
                        .key = S("/v/a"),
                        .has_record = true,
                        .rec_key = S("/v/a"),
                        .rec_value = S("value")};
    size_t len = encode(buf, &m);
    struct bed b;

    reach(&b, WAITING);
    assert_false(b.v[0].no_dial);
    tell(&b, (struct ev){.type = EV_DATA, .strm = {7, 1}, .data = {buf, len / 2}});
    const struct act *again = link_closed(&b, 1);
    assert_non_null(again);
    assert_true(again->type == ACT_OPEN && again->no_dial);
    assert_true(peer_id_eq(&again->peer, &b.peer[0].id));
    assert_int_equal(b.done, 0);
    open_as(&b, 2);
    assert_int_equal(b.v[0].type, ACT_WRITE);
    assert_int_equal(b.fins, 1);
    /* What came of the first answer does not stand before the second. */
    tell(&b, (struct ev){.type = EV_DATA, .strm = {7, 2}, .data = {buf, len}});
    assert_int_equal(b.done, 1);
    assert_int_equal(b.err, QUDAG_OK);
    assert_null(link_closed(&b, 2)); /* it has its answer */
    bed_fini(&b);
}

static void a_request_is_not_asked_a_third_time_nor_of_a_peer_that_is_gone(void **state)
{
    (void)state;
    struct bed b;
    uint8_t hash[SHA256_LEN];

    reach(&b, WAITING);
    assert_non_null(link_closed(&b, 1));
    open_as(&b, 2);
    assert_null(link_closed(&b, 2));
    assert_int_equal(b.done, 1);
    bed_fini(&b);

    reach(&b, WAITING);
    b.k->routing.last_answer = b.now; /* we are online */
    sha256(hash, peer_id_slice(&b.peer[0].id));
    assert_non_null(link_closed(&b, 1));
    tell(&b, (struct ev){.type = EV_STREAM_FAIL,
                         .cookie = b.cookie[0],
                         .err = QUDAG_ECLOSED,
                         .peer = &b.peer[0].id});
    assert_int_equal(b.opens, 0);
    assert_int_equal(b.done, 1);
    struct kad_contact *c = kad_contacts_make(&b.k->routing, &b.peer[0], hash);
    assert_false(kad_contacts_failed_lately(&b.k->routing, c, b.now));
    kad_contact_unref(c);
    bed_fini(&b);
}

/* Only a closed link says that nobody saw the request: what a peer refused or did not answer stays so. */
static void only_a_closed_link_has_a_request_asked_again(void **state)
{
    static const qudag_err other[] = {QUDAG_ERESET, QUDAG_ETIMEOUT, QUDAG_ELIMIT, QUDAG_EREFUSED};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        struct bed b;
        reach(&b, WAITING);
        tell(&b, (struct ev){.type = EV_RESET, .strm = {7, 1}, .err = other[i]});
        assert_int_equal(b.opens, 0);
        assert_int_equal(b.done, 1);
        bed_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_silence_sets_a_peer_aside),
        cmocka_unit_test(each_event_in_each_state_of_a_request_has_its_outcome),
        cmocka_unit_test(a_request_whose_link_is_closed_is_asked_again_once_without_a_dial),
        cmocka_unit_test(a_request_is_not_asked_a_third_time_nor_of_a_peer_that_is_gone),
        cmocka_unit_test(only_a_closed_link_has_a_request_asked_again),
        cmocka_unit_test(a_peer_that_refuses_a_record_is_still_asked),
        cmocka_unit_test(a_peer_over_whose_limit_we_are_stays_known_unless_it_does_nothing_else),
        cmocka_unit_test(an_answer_may_come_in_two_pieces_cut_anywhere),
        cmocka_unit_test(our_own_lack_of_memory_is_not_held_against_the_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
