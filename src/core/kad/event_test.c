/* One kad object, told its events one by one: frames, what it serves, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/kad/event_bed.h"

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
        cmocka_unit_test(frames_are_bounded_and_minimal),
        cmocka_unit_test(several_requests_on_one_stream_are_answered_in_order),
        cmocka_unit_test(bad_requests_reset_the_stream_and_are_counted),
        cmocka_unit_test(a_peer_over_its_allowance_is_cut_off_and_recovers),
        cmocka_unit_test(a_peer_that_does_not_read_is_not_answered_without_end),
        cmocka_unit_test(many_requests_in_one_piece_wait_for_room),
        cmocka_unit_test(forgiving_is_harmless_before_anybody_failed),
        cmocka_unit_test(a_client_serves_nobody),
        cmocka_unit_test(links_below_the_policy_are_not_served_and_not_asked_for),
        cmocka_unit_test(peers_known_before_are_in_the_table_at_once),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
