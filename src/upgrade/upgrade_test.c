/* Two sides over one byte stream: how a link comes up by each protocol, in any split of the bytes, who is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/init.h"
#include "upgrade/testkit.h"

#define PQ_BOTH (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG)

static const struct up_opt prefer = {.pq = PQ_PREFER};
static const struct up_opt require = {.pq = PQ_REQUIRE};
static const struct up_opt off = {.pq = PQ_OFF};

/* Whoever stands between and wants weaker protocols: makes |ctx|'s |n| first proposals unknown. */
struct strip {
    size_t n;
};

static bool strip(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    static const char *const id[] = {"/tls/1.0.0\n", "/noise-mlkem768-hfs/0.1.0\n", "/noise\n"};
    const struct strip *s = p->ctx;

    for (size_t k = 0; from == &p->a && k < s->n; k++) {
        size_t n = strlen(id[k]);
        for (size_t i = 0; i + n <= *len; i++) {
            if (memcmp(bytes + i, id[k], n) == 0) {
                bytes[i + 1] = 'X';
            }
        }
    }
    return true;
}

static void assert_up(const struct up_pair *p)
{
    assert_int_equal(p->a.ups, 1);
    assert_int_equal(p->b.ups, 1);
    assert_int_equal(p->a.answers, 1);
    assert_int_equal(p->a.downs + p->b.downs, 0);
    assert_true(peer_id_eq(&p->a.info.peer, &p->b.peer));
    assert_true(peer_id_eq(&p->b.info.peer, &p->a.peer));
}

/* One way to come up: policies, proposals that do not arrive as they were made, what it is then. */
struct way {
    const struct up_opt *a, *b;
    size_t stripped;
    uint8_t props;
    const char *group, *cipher, *sig;
};

static const struct way ways[] = {
    {&require, &require, 0, PQ_BOTH, "X25519MLKEM768", NULL, "mldsa65"},
    {&prefer, &require, 0, PQ_BOTH, "X25519MLKEM768", NULL, "mldsa65"},
    {&require, &prefer, 0, PQ_BOTH, "X25519MLKEM768", NULL, "mldsa65"},
    {&prefer, &prefer, 0, PQ_BOTH, "X25519MLKEM768", NULL, "mldsa65"},
    {&prefer, &prefer, 1, LINK_PQ_KEX, "X25519MLKEM768", "ChaChaPoly", "ed25519"},
    {&prefer, &prefer, 2, 0, "x25519", "ChaChaPoly", "ed25519"},
    {&off, &prefer, 1, 0, "x25519", "ChaChaPoly", "ed25519"},
    {&prefer, &off, 1, 0, "x25519", "ChaChaPoly", "ed25519"},
    {&off, &off, 0, 0, "x25519", NULL, "ecdsa"},
    {&off, &off, 1, 0, "x25519", "ChaChaPoly", "ed25519"},
};

/* Brings both up that way; |late|: 1 a, 2 b, 3 both know no early muxers. */
static struct up_pair *come_up(const struct way *w, unsigned late, size_t piece)
{
    struct up_pair *p = up_new(w->a, w->b);
    struct strip s = {w->stripped};

    p->piece = piece;
    p->a.u->late_muxer = (late & 1) != 0;
    p->b.u->late_muxer = (late & 2) != 0;
    p->pass = strip;
    p->ctx = &s;
    up_dial(p);
    up_settle(p);
    p->ctx = NULL;
    p->pass = NULL;
    return p;
}

static void assert_way(const struct up_pair *p, const struct way *w)
{
    assert_up(p);
    assert_int_equal(p->a.info.props, w->props);
    assert_int_equal(p->b.info.props, w->props | LINK_INBOUND);
    assert_string_equal(p->a.info.group, w->group);
    assert_string_equal(p->b.info.group, w->group);
    if (w->cipher != NULL) {
        assert_string_equal(p->a.info.cipher, w->cipher);
    }
    assert_string_equal(p->a.info.sig_local, w->sig);
    assert_string_equal(p->b.info.sig_remote, w->sig);
    assert_int_equal(p->a.info.has_pq_hash, (w->props & LINK_PQ_AUTH) != 0);
}

static void a_link_comes_up_each_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        for (unsigned late = 0; late < 4; late++) {
            struct up_pair *p = come_up(&ways[i], late, UP_CARRY);
            assert_way(p, &ways[i]);
            up_free(p);
        }
    }
}

/* With LINK_PROVEN it opens a stream and says something. */
static void says_early(struct up_side *s, const struct link_ev *ev)
{
    int64_t sid;

    if (ev->type == LINK_PROVEN) {
        assert_int_equal(s->ups, 0);
        assert_int_equal(upgrade_link_ops.open(s->u, ev->link, 1, "", &sid), QUDAG_OK);
        assert_int_equal(upgrade_link_ops.write(s->u, ev->link, sid,
                                                (struct slice){(const uint8_t *)"early", 5}),
                         QUDAG_OK);
    }
}

/* Nothing of b's passes once a has spoken. */
static bool b_falls_silent(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    (void)bytes;
    if (from == &p->b && p->a.proven > 0) {
        *len = 0;
    }
    return true;
}

static void what_is_said_first_goes_with_the_end_of_the_handshake(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct up_pair *p = up_new(ways[i].a, ways[i].b);
        struct strip s = {ways[i].stripped};
        p->a.app = says_early;
        p->pass = strip;
        p->ctx = &s;
        if (ways[i].stripped == 0) {
            p->pass = b_falls_silent;
        }
        up_dial(p);
        up_settle(p);
        assert_int_equal(p->a.proven, 1);
        assert_int_equal(p->b.proven, 0);
        assert_int_equal(p->b.ups, 1);
        assert_int_equal(p->b.bytes, 5);
        assert_int_equal(p->a.ups, ways[i].stripped == 0 ? 0 : 1); /* b may have refused it */
        p->ctx = NULL;
        p->pass = NULL;
        up_free(p);
    }
}

static void in_pieces_of_any_size(void **state)
{
    static const size_t piece[] = {1, 2, 3, 5, 17, 100, 1000};
    static const size_t which[] = {0, 4, 5};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(which); i++) {
        for (size_t k = 0; k < ARRAY_LEN(piece); k++) {
            struct up_pair *p = come_up(&ways[which[i]], k % 4, piece[k]);
            assert_way(p, &ways[which[i]]);
            up_free(p);
        }
    }
}

static void either_side_may_be_who_proposes(void **state)
{
    (void)state;
    struct up_pair *p = up_new(&prefer, &prefer);
    struct multiaddr none = {0};
    struct transport_target t = {.addr = &none, .peer = &p->b.peer};

    /* As hole punching has it: a dials, and b is the client. */
    assert_int_equal(up_begin(&p->a, false, &t), QUDAG_OK);
    assert_int_equal(up_begin(&p->b, true, NULL), QUDAG_OK);
    up_settle(p);
    assert_up(p);
    assert_int_equal(p->a.info.props, PQ_BOTH);
    assert_int_equal(p->b.info.props, PQ_BOTH | LINK_INBOUND);
    up_free(p);
}

/* A dial that must fail; what |target| insists on is set by the caller. */
static struct up_pair *fail_to_dial(const struct way *w, const struct transport_target *target)
{
    struct up_pair *p = up_new(w->a, w->b);
    struct strip s = {w->stripped};

    p->pass = strip;
    p->ctx = &s;
    assert_int_equal(up_begin(&p->a, true, target), QUDAG_OK);
    assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_OK);
    up_settle(p);
    p->pass = NULL;
    assert_int_equal(p->a.ups, 0);
    assert_int_equal(p->a.downs, 1);
    assert_true(p->a.ended);
    return p;
}

static void another_peer_is_named(void **state)
{
    static const size_t which[] = {0, 4, 5, 8};
    struct multiaddr none = {0};
    struct peer_id other;

    (void)state;
    peer_id_from_ed25519(&other, (const uint8_t[32]){1, 2, 3});
    for (size_t i = 0; i < ARRAY_LEN(which); i++) {
        struct transport_target t = {.addr = &none, .peer = &other};
        struct up_pair *p = fail_to_dial(&ways[which[i]], &t);
        assert_int_equal(p->a.down.err, QUDAG_EAUTH);
        assert_true(p->a.has_found);
        assert_true(peer_id_eq(&p->a.found, &p->b.peer));
        assert_int_equal(p->b.ups, 0);
        struct upgrade_stats st;
        upgrade_stats_get(p->a.u, &st);
        assert_int_equal(st.auth_failed, 1);
        assert_int_equal(st.handshakes_failed, 1);
        assert_int_equal(st.half_open + st.links, 0);
        up_free(p);
    }
}

static void a_pinned_key_is_demanded(void **state)
{
    struct multiaddr none = {0};
    uint8_t other[32] = {1};

    (void)state;
    /* another key; with |lax| whoever hears of the link judges it */
    for (int lax = 0; lax < 2; lax++) {
        struct up_pair *p = up_new(&prefer, &prefer);
        struct transport_target t = {
            .addr = &none, .peer = &p->b.peer, .pq_hash = other, .lax = lax != 0};
        assert_int_equal(up_begin(&p->a, true, &t), QUDAG_OK);
        assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_OK);
        up_settle(p);
        assert_int_equal(p->a.ups, lax);
        assert_int_equal(p->a.downs, 1 - lax);
        if (lax == 0) {
            assert_int_equal(p->a.down.err, QUDAG_EAUTH);
            assert_false(p->a.has_found);
        }
        struct upgrade_stats st;
        upgrade_stats_get(p->a.u, &st);
        assert_int_equal(st.pin_refused, 1 - lax);
        up_free(p);
    }
    /* no key at all: by Noise, which is not even proposed, or by TLS without one */
    struct transport_target t = {.addr = &none, .pq_hash = other};
    struct up_pair *p = fail_to_dial(&(struct way){.a = &prefer, .b = &prefer, .stripped = 1}, &t);
    assert_int_equal(p->a.down.err, QUDAG_EPOLICY);
    up_free(p);
    p = fail_to_dial(&(struct way){.a = &prefer, .b = &off}, &t);
    assert_int_equal(p->a.down.err, QUDAG_EAUTH);
    up_free(p);
}

static void what_is_needed_is_demanded(void **state)
{
    struct multiaddr none = {0};
    static const struct {
        struct way w;
        uint8_t need;
        qudag_err err;
    } row[] = {
        {{&prefer, &prefer, 1, 0, NULL, NULL, NULL}, LINK_PQ_AUTH, QUDAG_EPOLICY},
        {{&prefer, &prefer, 2, 0, NULL, NULL, NULL}, LINK_PQ_KEX, QUDAG_EPOLICY},
        {{&prefer, &off, 0, 0, NULL, NULL, NULL}, LINK_PQ_AUTH, QUDAG_EPOLICY},
        {{&prefer, &off, 0, 0, NULL, NULL, NULL}, LINK_PQ_KEX, QUDAG_EPOLICY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct transport_target t = {.addr = &none, .need = row[i].need};
        struct up_pair *p = fail_to_dial(&row[i].w, &t);
        assert_int_equal(p->a.down.err, row[i].err);
        assert_non_null(p->a.down.text);
        up_free(p);
    }
}

/* Under require nothing but TLS with both proofs, whoever proposes, and whatever is stripped. */
static void require_is_not_talked_down(void **state)
{
    struct multiaddr none = {0};
    struct transport_target t = {.addr = &none};

    (void)state;
    for (size_t stripped = 1; stripped <= 3; stripped++) {
        struct way w = {.a = &require, .b = &prefer, .stripped = stripped};
        struct up_pair *p = fail_to_dial(&w, &t);
        assert_int_equal(p->a.down.err, QUDAG_EPOLICY);
        assert_int_equal(p->b.ups, 0);
        up_free(p);
        w = (struct way){.a = &prefer, .b = &require, .stripped = stripped};
        p = fail_to_dial(&w, &t);
        assert_int_equal(p->b.ups, 0);
        up_free(p);
    }
    struct up_pair *p = fail_to_dial(&(struct way){.a = &require, .b = &off}, &t);
    assert_int_equal(p->a.down.err, QUDAG_EPOLICY);
    assert_int_equal(p->b.ups, 0);
    up_free(p);
    p = fail_to_dial(&(struct way){.a = &off, .b = &require}, &t);
    assert_int_equal(p->b.ups, 0);
    up_free(p);
}

/* Bytes of one direction end at |cut|, and the byte stream with them, or with time. */
struct cut {
    struct strip strip; /* first */
    bool of_a;
    size_t left;
};

static bool cut(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    struct cut *c = p->ctx;

    (void)strip(p, from, bytes, len);
    if ((from == &p->a) == c->of_a) {
        *len = *len < c->left ? *len : c->left;
        c->left -= *len;
    }
    return *len > 0;
}

static void cut_at(const struct way *w, bool of_a, size_t at, bool lost)
{
    struct up_pair *p = up_new(w->a, w->b);
    struct cut c = {{w->stripped}, of_a, at};

    p->pass = cut;
    p->ctx = &c;
    up_dial(p);
    up_settle(p);
    if (lost) {
        upgrade_lost(p->a.u, p->a.link, QUDAG_ERESET, p->now);
        upgrade_lost(p->b.u, p->b.link, QUDAG_ERESET, p->now);
        p->a.ended = p->b.ended = true;
    }
    up_run(p, p->now + 200 * NS_PER_S);
    assert_int_equal(p->a.downs, 1); /* it was dialled */
    assert_int_equal(p->b.downs, p->b.ups);
    struct upgrade_stats st[2];
    upgrade_stats_get(p->a.u, &st[0]);
    upgrade_stats_get(p->b.u, &st[1]);
    assert_int_equal(st[0].links + st[1].links + st[0].half_open + st[1].half_open, 0);
    assert_int_equal(p->a.u->links.n + p->b.u->links.n, 0);
    assert_int_equal(p->b.u->inbound_half_open, 0);
    up_free(p);
}

static void cut_anywhere(void **state)
{
    static const size_t which[] = {0, 9};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(which); i++) {
        struct up_pair *p = come_up(&ways[which[i]], 0, UP_CARRY);
        size_t of_a = p->a.carried, of_b = p->b.carried;
        up_free(p);
        for (size_t at = 0; at < of_a; at += at < 200 ? 7 : 331) {
            cut_at(&ways[which[i]], true, at, at % 2 == 0);
        }
        for (size_t at = 0; at < of_b; at += at < 200 ? 7 : 331) {
            cut_at(&ways[which[i]], false, at, at % 2 == 0);
        }
    }
}

/* One byte of one direction is another one. */
static bool flip(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    struct cut *c = p->ctx;

    (void)strip(p, from, bytes, len);
    if ((from == &p->a) == c->of_a) {
        if (c->left < *len) {
            bytes[c->left] ^= 0x20;
        }
        c->left = c->left < *len ? SIZE_MAX : c->left - *len;
    }
    return true;
}

/* Nobody comes up with a peer that was not heard as it spoke, but by a proposal changed in the open. */
static void one_byte_changed_anywhere(void **state)
{
    static const size_t which[] = {0, 4, 9};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(which); i++) {
        struct up_pair *p = come_up(&ways[which[i]], 0, UP_CARRY);
        size_t total[2] = {p->b.carried, p->a.carried};
        up_free(p);
        for (size_t k = 0; k < 2; k++) {
            for (size_t at = 0; at < total[k]; at += at < 100 ? 3 : 217) {
                struct cut c = {{ways[which[i]].stripped}, k == 1, at};
                p = up_new(ways[which[i]].a, ways[which[i]].b);
                p->pass = flip;
                p->ctx = &c;
                up_dial(p);
                up_run(p, p->now + 30 * NS_PER_S);
                assert_true(p->a.ups == 0 || peer_id_eq(&p->a.info.peer, &p->b.peer));
                assert_true(p->b.ups == 0 || peer_id_eq(&p->b.info.peer, &p->a.peer));
                assert_true(ways[which[i]].a->pq != PQ_REQUIRE || p->a.ups == 0 ||
                            p->a.info.props == PQ_BOTH);
                up_free(p);
            }
        }
    }
}

/* Nothing that the listener says once the dialler has proven itself arrives. */
static bool until_proven(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    const struct upgrade_link *l = upgrade_find(p->a.u, p->a.link);

    (void)strip(p, from, bytes, len);
    return from == &p->a || (l != NULL && l->stage < STAGE_MUXER);
}

static void a_dialler_waits_until_it_is_accepted(void **state)
{
    static const size_t which[] = {0, 4, 9};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(which); i++) {
        for (int late = 0; late < 2; late++) {
            struct up_pair *p = up_new(ways[which[i]].a, ways[which[i]].b);
            struct strip s = {ways[which[i]].stripped};
            p->a.u->late_muxer = late != 0;
            p->pass = until_proven;
            p->ctx = &s;
            up_dial(p);
            up_settle(p);
            assert_int_equal(p->a.ups + p->a.downs, 0);
            assert_false(upgrade_cancel(p->a.u, p->a.link)); /* b may have it as a link */
            up_run(p, p->now + 10 * NS_PER_S);
            assert_int_equal(p->a.ups, 0);
            assert_int_equal(p->a.downs, 1);
            assert_int_equal(p->a.down.err, QUDAG_ETIMEOUT);
            up_free(p);
        }
    }
}

static bool lose(struct up_pair *p, struct up_side *from, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)from;
    (void)bytes;
    (void)len;
    return false;
}

/* Those of a reload: a handshake that is under way has the time it began with. */
static void times_change_for_what_begins(void **state)
{
    (void)state;
    for (unsigned before = 0; before < 2; before++) {
        struct up_pair *p = up_new(&prefer, &prefer);
        tstamp lasts = before != 0 ? 3 * NS_PER_S : 10 * NS_PER_S, began = p->now;
        p->pass = lose;
        if (before == 0) {
            up_dial(p);
        }
        upgrade_set_times(p->a.u, 3 * NS_PER_S, 0);
        if (before != 0) {
            up_dial(p);
        }
        up_run(p, began + lasts - 1);
        assert_int_equal(p->a.downs, 0);
        up_run(p, began + lasts);
        assert_int_equal(p->a.down.err, QUDAG_ETIMEOUT);
        up_free(p);
    }
    struct up_pair *p = up_new(&prefer, &prefer);
    upgrade_set_times(p->a.u, 0, 5 * NS_PER_S);
    up_dial(p);
    up_settle(p);
    assert_up(p);
    assert_true(upgrade_deadline(p->a.u) <= p->now + 5 * NS_PER_S);
    up_free(p);
}

static void a_dial_is_cancelled_until_the_peer_may_count_it(void **state)
{
    (void)state;
    struct up_pair *p = up_new(&prefer, &prefer);
    up_dial(p);
    assert_true(upgrade_cancel(p->a.u, p->a.link));
    up_settle(p);
    assert_int_equal(p->a.downs, 1);
    assert_int_equal(p->a.down.err, QUDAG_ECANCELED);
    assert_int_equal(p->b.ups, 0);
    up_free(p);

    p = come_up(&ways[3], 0, UP_CARRY);
    assert_false(upgrade_cancel(p->a.u, p->a.link));
    up_settle(p);
    assert_int_equal(p->a.downs + p->b.downs, 0);
    up_free(p);
}

static void an_end_is_told_once_on_both_sides(void **state)
{
    static const size_t which[] = {0, 4};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(which); i++) {
        for (int by_a = 0; by_a < 2; by_a++) {
            struct up_pair *p = come_up(&ways[which[i]], 0, UP_CARRY);
            struct up_side *s = by_a != 0 ? &p->a : &p->b;
            struct link_info info;
            upgrade_link_ops.close(s->u, s->link, QUDAG_OK);
            upgrade_link_ops.close(s->u, s->link, QUDAG_ELIMIT);
            up_settle(p);
            assert_int_equal(p->a.downs, 1);
            assert_int_equal(p->b.downs, 1);
            assert_int_equal(p->a.down.err, QUDAG_ECLOSED);
            assert_int_equal(p->b.down.err, QUDAG_ECLOSED);
            assert_true(p->a.ended && p->b.ended);
            assert_int_equal(upgrade_info(s->u, s->link, &info), QUDAG_ESTALE);
            assert_int_equal(p->a.u->links.n + p->b.u->links.n, 0);
            up_free(p);
        }
    }
}

static void a_shutdown_ends_all_in_good_order(void **state)
{
    (void)state;
    struct up_pair *p = come_up(&ways[3], 0, UP_CARRY);
    upgrade_shutdown(p->a.u, p->now);
    up_settle(p);
    assert_int_equal(p->a.downs, 1);
    assert_int_equal(p->b.downs, 1);
    assert_int_equal(p->b.down.err, QUDAG_ECLOSED);
    assert_true(p->a.ended && p->b.ended);
    up_free(p);
}

static qudag_err come_from(struct up_pair *p, uint64_t net)
{
    struct upgrade_stream st = {.cookie = 22, .props = LINK_INBOUND, .net = net};

    return upgrade_begin(p->b.u, &st, p->now, &p->b.link);
}

/* Connections that say nothing cost whoever makes them nothing: they do not keep others out for all their time. */
static void a_handshake_that_goes_nowhere_gives_way(void **state)
{
    struct up_opt o = prefer;
    struct ref oldest = {0}, silent;
    struct mem mem;

    (void)state;
    o.cfg.links_max = 8;
    struct up_pair *p = up_new(&prefer, &o);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(come_from(p, 7), QUDAG_OK);
    }
    assert_int_equal(come_from(p, 7), QUDAG_ELIMIT);
    assert_int_equal(come_from(p, 6), QUDAG_OK);
    assert_int_equal(come_from(p, 6), QUDAG_OK);
    assert_int_equal(come_from(p, 6), QUDAG_ELIMIT); /* two each */
    assert_int_equal(p->b.u->inbound_half_open, 4);
    up_free(p);

    p = up_new(&prefer, &o);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(come_from(p, 7 + (uint64_t)i), QUDAG_OK);
        oldest = i == 0 ? p->b.link : oldest;
        upgrade_receive(p->b.u, p->b.link, (struct slice){(const uint8_t *)"\x13", 1}, p->now);
    }
    assert_int_equal(come_from(p, 5), QUDAG_ELIMIT); /* one each, and all have spoken */
    up_run(p, p->now + UPGRADE_SILENCE);
    assert_int_equal(come_from(p, 5), QUDAG_ELIMIT);
    up_run(p, p->now + UPGRADE_PATIENCE - UPGRADE_SILENCE);
    assert_int_equal(come_from(p, 5), QUDAG_OK); /* which says nothing */
    up_run(p, p->now + UPGRADE_SILENCE);
    silent = p->b.link;
    assert_int_equal(come_from(p, 4), QUDAG_OK);
    assert_int_equal(upgrade_find(p->b.u, silent)->stage, STAGE_ENDED);
    assert_int_equal(p->b.u->inbound_half_open, 4);
    assert_null(upgrade_find(p->b.u, oldest));
    up_free(p);

    mem_init(&mem, NULL, 0);
    struct resources_config rc = {
        .mem = &mem, .links_max = 64, .network_share = 100, .half_open_max = 6};
    assert_int_equal(resources_new(&o.cfg.accounts, &rc), QUDAG_OK);
    o.cfg.links_max = 64;
    p = up_new(&prefer, &o); /* half of the handshakes are for other transports */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(come_from(p, 7), QUDAG_OK);
    }
    assert_int_equal(come_from(p, 7), QUDAG_ELIMIT);
    assert_int_equal(resources_used(o.cfg.accounts, RES_NODE, RES_HALF_OPEN), 3);
    assert_int_equal(come_from(p, 8), QUDAG_OK);
    assert_int_equal(resources_used(o.cfg.accounts, RES_NODE, RES_HALF_OPEN), 3);
    up_free(p);
    resources_free(o.cfg.accounts);
    assert_int_equal(mem.used, 0);
}

static qudag_err come_from_host(struct up_pair *p, const char *addr)
{
    struct upgrade_stream st = {.cookie = 22, .props = LINK_INBOUND, .net = 5};

    assert_int_equal(multiaddr_parse(&st.remote, addr), QUDAG_OK);
    return upgrade_begin(p->b.u, &st, p->now, &p->b.link);
}

/* Its neighbours do not pay for a host that begins many. */
static void each_host_has_handshakes_of_its_own(void **state)
{
    struct up_opt o = prefer;
    struct mem mem;

    (void)state;
    mem_init(&mem, NULL, 0);
    struct resources_config rc = {.mem = &mem,
                                  .links_max = 64,
                                  .network_share = 100,
                                  .half_open_max = 64,
                                  .host_half_open = 2};
    assert_int_equal(resources_new(&o.cfg.accounts, &rc), QUDAG_OK);
    o.cfg.links_max = 64;
    struct up_pair *p = up_new(&prefer, &o);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(come_from_host(p, "/ip4/10.0.0.1/tcp/4001"), QUDAG_OK);
    }
    assert_int_equal(come_from_host(p, "/ip4/10.0.0.1/tcp/4002"), QUDAG_ELIMIT);
    assert_int_equal(come_from_host(p, "/ip4/10.0.0.2/tcp/4001"), QUDAG_OK);
    up_free(p);
    resources_free(o.cfg.accounts);
    assert_int_equal(mem.used, 0);
}

static void accounts_and_limits(void **state)
{
    struct mem mem;
    struct resources *r;
    struct res_refusal why;

    (void)state;
    (void)why;
    mem_init(&mem, NULL, 0);
    struct resources_config rc = {.mem = &mem,
                                  .links_max = 64,
                                  .network_share = 100,
                                  .streams_max = 100,
                                  .dials_max = 10,
                                  .half_open_max = 64,
                                  .unproven_max = 10,
                                  .host_half_open = 2,
                                  .bytes_max = 1 << 20};
    assert_int_equal(resources_new(&r, &rc), QUDAG_OK);
    struct up_opt o = prefer;
    o.cfg.accounts = r;
    o.cfg.links_max = 8;
    struct up_pair *p = up_new(&prefer, &o);
    assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_OK);
    assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_OK);
    assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_ELIMIT); /* two from one host */
    assert_int_equal(resources_used(r, RES_NODE, RES_HALF_OPEN), 2);
    up_run(p, p->now + 60 * NS_PER_S);
    assert_int_equal(resources_used(r, RES_NODE, RES_HALF_OPEN), 0);
    assert_int_equal(p->b.downs, 0);

    up_dial(p);
    up_settle(p);
    assert_up(p);
    assert_int_equal(resources_used(r, RES_NODE, RES_HALF_OPEN), 0);
    up_free(p);
    resources_free(r);
    assert_int_equal(mem.used, 0);

    o.cfg.accounts = NULL; /* half of the places for those who come, the rest for dials */
    p = up_new(&prefer, &o);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_OK);
    }
    assert_int_equal(up_begin(&p->b, false, NULL), QUDAG_ELIMIT);
    struct multiaddr none = {0};
    struct transport_target t = {.addr = &none};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(up_begin(&p->b, true, &t), QUDAG_OK);
    }
    assert_int_equal(up_begin(&p->b, true, &t), QUDAG_ELIMIT);
    up_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_comes_up_each_way),
        cmocka_unit_test(what_is_said_first_goes_with_the_end_of_the_handshake),
        cmocka_unit_test(in_pieces_of_any_size),
        cmocka_unit_test(either_side_may_be_who_proposes),
        cmocka_unit_test(another_peer_is_named),
        cmocka_unit_test(a_pinned_key_is_demanded),
        cmocka_unit_test(what_is_needed_is_demanded),
        cmocka_unit_test(require_is_not_talked_down),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(one_byte_changed_anywhere),
        cmocka_unit_test(a_dialler_waits_until_it_is_accepted),
        cmocka_unit_test(times_change_for_what_begins),
        cmocka_unit_test(a_dial_is_cancelled_until_the_peer_may_count_it),
        cmocka_unit_test(an_end_is_told_once_on_both_sides),
        cmocka_unit_test(a_shutdown_ends_all_in_good_order),
        cmocka_unit_test(each_host_has_handshakes_of_its_own),
        cmocka_unit_test(accounts_and_limits),
        cmocka_unit_test(a_handshake_that_goes_nowhere_gives_way),
    };

    if (crypto_init() != QUDAG_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
