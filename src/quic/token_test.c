/* The dial after the first: tokens, remembered keys, the short certificate, one round trip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"
#include "sec/sec_int.h"

#define ONE_WAY (50 * NS_PER_MS)
#define RTT (2 * ONE_WAY)
#define INITIAL_WINDOW 12000 /* bytes: ten packets of 1,200 */

static struct tk tk;
static const struct tk_opt require = {.pq = PQ_REQUIRE}, prefer = {.pq = PQ_PREFER},
                           off = {.pq = PQ_OFF};

/* What the last dial took, after it began; and the server's bytes before it heard of the client's. */
static struct {
    struct ref link;
    tstamp begin, client_done, server_up, client_up;
    uint64_t flight;
} seen;

static bool watch_wire(struct tk *t, struct tk_pkt *p)
{
    if (netaddr_eq(&p->from, &t->ep[1].addr) && t->now < seen.begin + ONE_WAY + RTT) {
        seen.flight += p->len;
    }
    return true;
}

static bool watch(struct tk *t)
{
    const struct quic_conn *c = slots_get(&t->ep[0].q->conns, seen.link);

    if (c != NULL && c->completed && seen.client_done == 0) {
        seen.client_done = t->now - seen.begin;
    }
    if (t->ep[1].ups > 0 && seen.server_up == 0) {
        seen.server_up = t->now - seen.begin;
    }
    if (t->ep[0].ups > 0 && seen.client_up == 0) {
        seen.client_up = t->now - seen.begin;
    }
    return tk_client_done(t) && (t->ep[1].ups > 0 || t->ep[0].downs > 0);
}

static void make(const struct tk_opt *a, const struct tk_opt *b)
{
    tk_init(&tk);
    tk.delay_ns = ONE_WAY;
    tk.pass = watch_wire;
    assert_true(tk_make(&tk, 0, a));
    assert_true(tk_make(&tk, 1, b));
}

static void down(void)
{
    for (int i = 0; i < TK_EPS; i++) {
        if (tk.ep[i].q != NULL) {
            assert_int_equal(tk_unmake(&tk, i), 0);
        }
    }
    tk_fini(&tk);
}

static struct quic_stats stats(int ix)
{
    struct quic_stats st;

    quic_stats_get(tk.ep[ix].q, &st);
    return st;
}

/* Dials, waits for the outcome and closes; the counters in the endpoints are of this dial alone. */
static void dial(const struct quic_dial *d)
{
    memset(&seen, 0, sizeof seen);
    for (int i = 0; i < TK_EPS; i++) {
        tk.ep[i].ups = tk.ep[i].downs = 0;
    }
    seen.begin = tk.now;
    assert_int_equal(quic_dial(tk.ep[0].q, d, tk.now, &seen.link), QUDAG_OK);
    assert_true(tk_run(&tk, 20 * NS_PER_S, watch));
    (void)tk_run(&tk, NS_PER_S, NULL);
    if (tk.ep[0].ups > 0) {
        quic_link_ops.close(tk.ep[0].q, tk.ep[0].link, QUDAG_OK);
        (void)tk_run(&tk, 10 * NS_PER_S, NULL);
        assert_int_equal(tk.ep[0].downs, 1);
    }
}

static void dial_peer(void)
{
    dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
}

static struct quic_token_entry *entry(int ix)
{
    assert_false(list_empty(&tk.ep[ix].q->tokens));
    return LIST_ENTRY(tk.ep[ix].q->tokens.next, struct quic_token_entry, node);
}

static void assert_refused(qudag_err err, const char *text)
{
    assert_int_equal(tk.ep[0].ups, 0);
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(tk.ep[0].down.err, err);
    assert_string_equal(tk.ep[0].down.text, text);
    assert_int_equal(stats(0).conns, 0);
    assert_int_equal(tk.ep[0].q->tokens_n, 0);
}

static void assert_up(bool in_one_round_trip)
{
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(seen.client_done < RTT + NS_PER_MS, in_one_round_trip);
}

#define UNKNOWN_KEY "peer's certificate is the short form, and its ML-DSA key is not known here"
#define ANOTHER_KEY "peer's short certificate names another ML-DSA key than the one remembered"

static void test_a_second_dial_completes_in_one_round_trip(void **state)
{
    static const struct {
        enum pq_policy pq;
        uint16_t level;
    } row[] = {{PQ_REQUIRE, 768}, {PQ_REQUIRE, 1024}, {PQ_PREFER, 768}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const struct tk_opt o = {.pq = row[i].pq, .level = row[i].level};

        make(&o, &o);
        for (unsigned n = 1; n <= 4; n++) {
            dial_peer();
            print_message(
                "level %u, dial %u: flight %u bytes; handshake complete after %u ms, "
                "server up %u ms, client up %u ms\n",
                row[i].level, n, (unsigned)seen.flight, (unsigned)(seen.client_done / NS_PER_MS),
                (unsigned)(seen.server_up / NS_PER_MS), (unsigned)(seen.client_up / NS_PER_MS));
            assert_string_equal(tk.ep[0].info.sig_remote, "mldsa65");
            assert_memory_equal(tk.ep[0].info.pq_hash, tk.ep[1].id.pq_hash, 32);
            assert_int_equal(stats(1).tokens_used, n - 1);
            if (n == 1) {
                assert_in_range(seen.client_done, 2 * RTT, 2 * RTT + ONE_WAY);
                assert_in_range(seen.client_up, 3 * RTT, 3 * RTT + ONE_WAY);
                continue;
            }
            assert_in_range(seen.flight, 9000, INITIAL_WINDOW);
            assert_in_range(seen.client_done, RTT, RTT + NS_PER_MS);
            assert_in_range(seen.server_up, RTT + ONE_WAY, RTT + ONE_WAY + NS_PER_MS);
            assert_in_range(seen.client_up, 2 * RTT, 2 * RTT + 10 * NS_PER_MS); /* pacing */
        }
        assert_int_equal(stats(1).tokens_bad, 0);
        down();
    }
}

static void test_a_renewed_certificate_has_a_short_form_too(void **state)
{
    (void)state;
    make(&require, &require);
    dial_peer();
    assert_int_equal(sec_renew(tk.ep[1].sec, tk.now), QUDAG_OK);
    dial_peer();
    assert_up(true);
    down();
}

/* While it runs: the token names the old key, so that the full form of the new one comes, and then the short one. */
static void test_a_server_with_another_key_presents_it_at_once(void **state)
{
    struct identity next;
    struct rng rng = rng_of_stream(&tk.stream);

    (void)state;
    make(&require, &require);
    dial_peer();
    assert_int_equal(identity_successor(&next, &tk.ep[1].id, &rng), QUDAG_OK);
    assert_int_equal(sec_set_identity(tk.ep[1].sec, &next, tk.now), QUDAG_OK);
    for (int i = 0; i < 2; i++) {
        dial_peer();
        assert_up(i == 1);
        assert_memory_equal(tk.ep[0].info.pq_hash, next.pq_hash, 32);
    }
    assert_memory_equal(sec_own_pq_hash(tk.ep[1].sec), next.pq_hash, 32);
    down();
    identity_fini(&next);
}

enum harm { LOST_KEY, OTHER_KEY, EXPIRED_SHORT };

/* Each is refused with its reason, and the dial after it gets the full form. */
static void test_a_short_certificate_that_does_not_fit_is_refused_once(void **state)
{
    static const struct {
        enum harm harm;
        qudag_err err;
        const char *text;
    } row[] = {
        {LOST_KEY, QUDAG_EAUTH, UNKNOWN_KEY},
        {OTHER_KEY, QUDAG_EAUTH, ANOTHER_KEY},
        {EXPIRED_SHORT, QUDAG_EEXPIRED, "peer's certificate has expired; check the clocks"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct sec *s;

        make(&require, &require);
        s = tk.ep[1].sec;
        dial_peer();
        switch (row[i].harm) {
        case LOST_KEY:
            entry(0)->known.has = false;
            break;
        case OTHER_KEY:
            entry(0)->known.pq_pk[1000] ^= 1;
            break;
        case EXPIRED_SHORT:
            X509_free(s->short_crt);
            assert_int_equal(cert_make_for(&s->short_crt, CERT_PQ_SHORT, s->identity,
                                           SSL_CTX_get0_privatekey(s->ctx), s->rng,
                                           TK_WALL - 2 * CERT_LIFE_S),
                             QUDAG_OK);
            break;
        }
        dial_peer();
        assert_refused(row[i].err, row[i].text);
        assert_int_equal(stats(0).auth_failed, 1);
        dial_peer();
        assert_up(false);
        down();
    }
}

/* From now on |ix| presents the short form to everybody, which no honest node does. */
static void always_short(int ix)
{
    const struct sec *s = tk.ep[ix].sec;

    assert_int_equal(SSL_CTX_use_certificate(s->ctx, s->short_crt), 1);
}

static void test_a_short_certificate_nobody_asked_for_is_refused_by_both_sides(void **state)
{
    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        make(&require, &require);
        always_short(wrong);
        dial_peer();
        assert_int_equal(tk.ep[1].ups, 0);
        assert_int_equal(stats(1 - wrong).auth_failed, 1);
        assert_int_equal(tk.ep[0].down.err, QUDAG_EAUTH);
        if (wrong == 1) {
            assert_refused(QUDAG_EAUTH, UNKNOWN_KEY);
        }
        down();
    }
}

/* Endpoint 2 takes the address of 1 with 1's token secret, and endpoint 2's identity. */
static void take_over(void)
{
    struct netaddr addr = tk.ep[1].addr;

    assert_true(tk_make(&tk, 2, &require));
    memcpy(tk.ep[2].q->cfg.reset_key, tk.ep[1].q->cfg.reset_key, 32);
    tk.ep[1].addr = tk.ep[2].addr;
    tk.ep[2].addr = addr;
}

static void test_a_peer_that_takes_over_an_address_gains_nothing(void **state)
{
    (void)state;
    for (int forged = 0; forged < 2; forged++) {
        struct netaddr addr;

        make(&require, &require);
        dial_peer();
        addr = tk.ep[1].addr;
        take_over();
        if (forged) {
            always_short(2);
        }
        dial(&(struct quic_dial){.remote = addr, .peer = &tk.ep[1].peer});
        assert_refused(QUDAG_EAUTH, forged ? ANOTHER_KEY : "peer id mismatch");
        assert_int_equal(stats(2).tokens_used, 1);
        down();
    }
}

static void test_a_token_of_another_server_makes_no_certificate_short(void **state)
{
    static const struct {
        bool same_secret;
        unsigned used, bad;
    } row[] = {{false, 0, 1}, {true, 1, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct quic_token_entry *first, *second;
        struct quic_dial d = {.peer = NULL};

        make(&require, &require);
        assert_true(tk_make(&tk, 2, &require));
        dial_peer();
        d.remote = tk.ep[2].addr;
        d.peer = &tk.ep[2].peer;
        memset(&seen, 0, sizeof seen);
        assert_int_equal(quic_dial(tk.ep[0].q, &d, tk.now, &seen.link), QUDAG_OK);
        (void)tk_run(&tk, 2 * NS_PER_S, NULL);
        assert_int_equal(tk.ep[2].ups, 1);
        quic_link_ops.close(tk.ep[0].q, seen.link, QUDAG_OK);
        first = entry(0);
        second = LIST_ENTRY(first->node.next, struct quic_token_entry, node);
        assert_int_equal(first->len, second->len);
        memcpy(second->data, first->data, first->len);
        if (row[i].same_secret) {
            memcpy(tk.ep[2].q->cfg.reset_key, tk.ep[1].q->cfg.reset_key, 32);
        }
        tk.ep[0].ups = tk.ep[0].downs = 0;
        assert_int_equal(quic_dial(tk.ep[0].q, &d, tk.now, &seen.link), QUDAG_OK);
        (void)tk_run(&tk, 2 * NS_PER_S, NULL);
        assert_int_equal(tk.ep[0].ups, 1);
        assert_int_equal(stats(2).tokens_used, row[i].used);
        assert_int_equal(stats(2).tokens_bad, row[i].bad);
        down();
    }
}

static void test_a_token_that_has_expired_brings_the_full_form(void **state)
{
    (void)state;
    make(&require, &require);
    dial_peer();
    tk.now += UINT64_C(24) * 3600 * NS_PER_S;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sec_renew(tk.ep[i].sec, tk.now), QUDAG_OK);
    }
    dial_peer();
    assert_up(false);
    assert_int_equal(stats(1).tokens_bad, 1);
    assert_int_equal(stats(1).tokens_used, 0);
    dial_peer();
    assert_up(true);
    down();
}

/* The server restarts with the same peer id and token secret, another ML-DSA key. */
static void rotate(void)
{
    struct tk_ep *s = &tk.ep[1];
    struct identity fresh, old;

    assert_int_equal(tk_unmake(&tk, 1), 0);
    assert_int_equal(identity_generate(&fresh, &s->rng), QUDAG_OK);
    old = s->id;
    s->id = fresh;
    s->id.ed_sk = old.ed_sk;
    memcpy(s->id.ed_pk, old.ed_pk, sizeof old.ed_pk);
    identity_fini(&old);
    assert_true(tk_make(&tk, 1, &require));
}

static void test_a_key_changed_meanwhile_is_learnt_from_the_full_form(void **state)
{
    for (int pinned = 0; pinned < 2; pinned++) {
        uint8_t before[32];
        struct quic_dial d;

        (void)state;
        make(&require, &require);
        dial_peer();
        memcpy(before, tk.ep[1].id.pq_hash, sizeof before);
        rotate();
        d = (struct quic_dial){
            .remote = tk.ep[1].addr, .peer = &tk.ep[1].peer, .pq_hash = pinned ? before : NULL};
        dial(&d);
        assert_int_equal(stats(1).tokens_used, 1);
        if (pinned) {
            assert_refused(QUDAG_EAUTH, "peer's ML-DSA key is not the expected one");
        } else {
            assert_up(false); /* the full form is too long, token or not */
            assert_memory_not_equal(tk.ep[0].info.pq_hash, before, 32);
            dial_peer();
            assert_up(true);
        }
        /* A server that presents the new short form all the same gets no further. */
        rotate();
        always_short(1);
        if (pinned) {
            d.pq_hash = NULL;
            dial(&d);
            assert_refused(QUDAG_EAUTH, UNKNOWN_KEY);
        } else {
            dial(&d);
            assert_refused(QUDAG_EAUTH, ANOTHER_KEY);
        }
        down();
    }
}

static void test_a_token_goes_only_to_the_peer_that_gave_it(void **state)
{
    (void)state;
    make(&require, &require);
    dial_peer();
    dial(&(struct quic_dial){.remote = tk.ep[1].addr});
    assert_up(false);
    dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[0].peer});
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(stats(1).tokens_used + stats(1).tokens_bad, 0);
    dial_peer();
    assert_up(true);
    assert_int_equal(stats(1).tokens_used, 1);
    down();
}

static void test_classical_links_keep_their_tokens_and_get_no_short_form(void **state)
{
    static const struct {
        const struct tk_opt *client, *before, *after;
        bool pq;
    } row[] = {{&off, &off, &off, false},
               {&prefer, &off, &off, false},
               {&off, &prefer, &prefer, false},
               {&prefer, &off, &prefer, true},
               {&prefer, &prefer, &off, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        make(row[i].client, row[i].before);
        dial_peer();
        assert_int_equal(tk.ep[0].ups, 1);
        assert_int_equal(tk_unmake(&tk, 1), 0);
        assert_true(tk_make(&tk, 1, row[i].after));
        dial_peer();
        assert_int_equal(tk.ep[0].ups, 1);
        assert_int_equal(tk.ep[0].info.has_pq_hash, row[i].pq);
        assert_int_equal(stats(1).tokens_used, 1);
        down();
    }
}

static void test_the_table_is_bounded_and_forgets_the_oldest(void **state)
{
    struct sec_known known = {.has = true};
    uint8_t token[TOKEN_MAX + 1] = {1};
    struct peer_id peer = {.len = PEER_ID_MAX};
    struct netaddr at = {.family = 4, .ip = {10, 0, 0, 1}};
    struct quic *q;
    size_t before, grown;

    (void)state;
    make(&require, &require);
    q = tk.ep[0].q;
    before = tk.ep[0].mem.used;
    for (uint32_t i = 0; i < TOKENS_MAX + 100; i++) {
        at.port = (uint16_t)(i + 1);
        known.pq_pk[0] = (uint8_t)i;
        quic_token_learn(q, &at, &peer, &known);
        assert_int_equal(quic_token_take(q, &at, &peer, &known, token), 0); /* no token yet */
        quic_token_store(q, &at, &peer, (struct slice){token, TOKEN_MAX + 1});
        assert_int_equal(quic_token_take(q, &at, &peer, &known, token), 0); /* too long */
        quic_token_store(q, &at, &peer, (struct slice){token, TOKEN_MAX});
    }
    assert_int_equal(q->tokens_n, TOKENS_MAX);
    grown = tk.ep[0].mem.used - before;
    print_message("%u entries: %zu bytes\n", q->tokens_n, grown);
    assert_in_range(grown, TOKENS_MAX * (MLDSA65_PK_LEN + TOKEN_MAX), TOKENS_MAX * 2650);
    for (uint32_t i = 0; i < TOKENS_MAX + 100; i++) {
        size_t len;

        at.port = (uint16_t)(i + 1);
        peer.b[PEER_ID_MAX - 1] = 1;
        assert_int_equal(quic_token_take(q, &at, &peer, &known, token), 0); /* another peer */
        peer.b[PEER_ID_MAX - 1] = 0;
        len = quic_token_take(q, &at, &peer, &known, token);
        assert_int_equal(len, i < 100 ? 0 : TOKEN_MAX);
        if (len > 0) {
            assert_true(known.has);
            assert_int_equal(known.pq_pk[0], (uint8_t)i);
        }
        assert_int_equal(quic_token_take(q, &at, &peer, &known, token), 0); /* once */
    }
    assert_int_equal(q->tokens_n, 0);
    /* A token for nobody known is not kept; one with a key is not used without room for that key. */
    quic_token_store(q, &at, &peer, (struct slice){token, 10});
    assert_int_equal(q->tokens_n, 0);
    quic_token_learn(q, &at, &peer, &known);
    quic_token_store(q, &at, &peer, (struct slice){token, 10});
    assert_int_equal(quic_token_take(q, &at, &peer, NULL, token), 0);
    down();
}

static void test_memory_may_run_out_anywhere_in_the_second_dial(void **state)
{
    unsigned ups = 0, downs = 0;

    (void)state;
    for (int side = 0; side < 2; side++) {
        make(&require, &require);
        dial_peer();
        for (uint64_t n = 1; n < 90; n++) {
            memset(&seen, 0, sizeof seen);
            tk.ep[0].ups = tk.ep[0].downs = tk.ep[1].ups = 0;
            tk.ep[side].mem.fail_at = n;
            if (quic_dial(tk.ep[0].q,
                          &(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer},
                          tk.now, &seen.link) == QUDAG_OK) {
                (void)tk_run(&tk, 15 * NS_PER_S, tk_client_done);
                assert_int_equal(tk.ep[0].ups + tk.ep[0].downs > 0, 1);
                ups += tk.ep[0].ups;
                downs += tk.ep[0].downs;
                if (tk.ep[0].ups > 0) {
                    quic_link_ops.close(tk.ep[0].q, seen.link, QUDAG_OK);
                }
                (void)tk_run(&tk, 15 * NS_PER_S, NULL);
            }
            tk.ep[side].mem.fail_at = 0;
            assert_int_equal(stats(0).conns, 0);
        }
        down();
    }
    assert_true(ups > 50 && downs > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_dial_completes_in_one_round_trip),
        cmocka_unit_test(test_a_renewed_certificate_has_a_short_form_too),
        cmocka_unit_test(test_a_server_with_another_key_presents_it_at_once),
        cmocka_unit_test(test_a_short_certificate_that_does_not_fit_is_refused_once),
        cmocka_unit_test(test_a_short_certificate_nobody_asked_for_is_refused_by_both_sides),
        cmocka_unit_test(test_a_peer_that_takes_over_an_address_gains_nothing),
        cmocka_unit_test(test_a_token_of_another_server_makes_no_certificate_short),
        cmocka_unit_test(test_a_token_that_has_expired_brings_the_full_form),
        cmocka_unit_test(test_a_key_changed_meanwhile_is_learnt_from_the_full_form),
        cmocka_unit_test(test_a_token_goes_only_to_the_peer_that_gave_it),
        cmocka_unit_test(test_classical_links_keep_their_tokens_and_get_no_short_form),
        cmocka_unit_test(test_the_table_is_bounded_and_forgets_the_oldest),
        cmocka_unit_test(test_memory_may_run_out_anywhere_in_the_second_dial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
