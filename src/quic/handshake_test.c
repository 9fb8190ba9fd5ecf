/* Handshakes over the in-memory network: policies, expectations, clocks, timeouts, tokens, resets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/testkit_net.h"
#include "sec/sec_int.h"

static struct tk tk;

static void make(const struct tk_opt *a, const struct tk_opt *b)
{
    tk_init(&tk);
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

/* Dials, runs until the dialler knows, and a little longer. */
static void dial(const struct quic_dial *d)
{
    struct ref link;

    assert_int_equal(quic_dial(tk.ep[0].q, d, tk.now, &link), QUDAG_OK);
    (void)tk_run(&tk, 20 * NS_PER_S, tk_client_done);
    (void)tk_run(&tk, NS_PER_S, NULL);
}

#define BOTH (LINK_PQ_KEX | LINK_PQ_AUTH | LINK_QUDAG)

static void test_every_pair_of_policies(void **state)
{
    static const struct {
        enum pq_policy a, b;
        bool up;
        const char *group, *sig;
        uint8_t props;
    } row[] = {
        {PQ_REQUIRE, PQ_REQUIRE, true, "X25519MLKEM768", "mldsa65", BOTH},
        {PQ_REQUIRE, PQ_PREFER, true, "X25519MLKEM768", "mldsa65", BOTH},
        {PQ_REQUIRE, PQ_OFF, false, "", "", 0},
        {PQ_PREFER, PQ_REQUIRE, true, "X25519MLKEM768", "mldsa65", BOTH},
        {PQ_PREFER, PQ_PREFER, true, "X25519MLKEM768", "mldsa65", BOTH},
        {PQ_PREFER, PQ_OFF, true, "x25519", "ecdsa", 0},
        {PQ_OFF, PQ_REQUIRE, false, "", "", 0},
        {PQ_OFF, PQ_PREFER, true, "x25519", "ecdsa", 0},
        {PQ_OFF, PQ_OFF, true, "x25519", "ecdsa", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const struct tk_opt a = {.pq = row[i].a}, b = {.pq = row[i].b};
        const struct tk_ep *c = &tk.ep[0], *s = &tk.ep[1];

        make(&a, &b);
        dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
        assert_int_equal(c->ups, row[i].up);
        assert_int_equal(s->ups, row[i].up);
        assert_int_equal(c->downs, !row[i].up);
        assert_int_equal(s->downs, 0);
        assert_string_equal(c->info.group, row[i].group);
        assert_string_equal(s->info.group, row[i].group);
        assert_string_equal(c->info.sig_local, row[i].sig);
        assert_string_equal(c->info.sig_remote, row[i].sig);
        assert_string_equal(s->info.sig_local, row[i].sig);
        assert_string_equal(s->info.sig_remote, row[i].sig);
        assert_int_equal(c->info.props, row[i].props);
        assert_int_equal(s->info.props, row[i].up ? row[i].props | LINK_INBOUND : 0);
        if (row[i].up) {
            assert_true(peer_id_eq(&c->info.peer, &s->peer));
            assert_true(peer_id_eq(&s->info.peer, &c->peer));
            assert_int_equal(c->info.has_pq_hash, row[i].props != 0);
        }
        if (row[i].props != 0) {
            assert_memory_equal(c->info.pq_hash, s->id.pq_hash, 32);
            assert_memory_equal(s->info.pq_hash, c->id.pq_hash, 32);
        }
        if (!row[i].up) {
            assert_int_equal(c->down.err, QUDAG_EPOLICY);
            assert_non_null(c->down.text);
            assert_int_equal(stats(1).policy_refused, 1);
            assert_int_equal(stats(1).half_open, 0);
        }
        down();
    }
}

static void test_security_levels_and_ciphers(void **state)
{
    static const struct {
        uint16_t level;
        enum pq_policy pq;
        enum sec_cipher cipher;
        const char *group, *suite; /* suite NULL: whatever the processor likes */
    } row[] = {
        {768, PQ_REQUIRE, SEC_CIPHER_CHACHA20, "X25519MLKEM768", "TLS_CHACHA20_POLY1305_SHA256"},
        {768, PQ_REQUIRE, SEC_CIPHER_AES256, "X25519MLKEM768", "TLS_AES_256_GCM_SHA384"},
        {1024, PQ_REQUIRE, SEC_CIPHER_AUTO, "SecP384r1MLKEM1024", NULL},
        {768, PQ_PREFER, SEC_CIPHER_AUTO, "X25519MLKEM768", NULL},
        {1024, PQ_PREFER, SEC_CIPHER_CHACHA20, "SecP384r1MLKEM1024",
         "TLS_CHACHA20_POLY1305_SHA256"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const struct tk_opt o = {.pq = row[i].pq, .level = row[i].level, .cipher = row[i].cipher};

        make(&o, &o);
        dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
        assert_int_equal(tk.ep[0].ups + tk.ep[1].ups, 2);
        assert_string_equal(tk.ep[0].info.group, row[i].group);
        if (row[i].suite != NULL) {
            assert_string_equal(tk.ep[0].info.cipher, row[i].suite);
            assert_string_equal(tk.ep[1].info.cipher, row[i].suite);
        }
        assert_int_equal(tk.ep[0].info.props & LINK_PQ_KEX, LINK_PQ_KEX);
        down();
    }
}

static void test_an_unknown_level_is_refused_at_once(void **state)
{
    static const uint16_t level[] = {999, 512}; /* 512 has no hybrid group */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(level); i++) {
        const struct tk_opt o = {.pq = PQ_REQUIRE, .level = level[i]};

        tk_init(&tk);
        assert_false(tk_make(&tk, 0, &o));
        assert_int_equal(tk.ep[0].mem.used, 0);
        tk_fini(&tk);
    }
}

/* Under prefer two levels meet in a hybrid group, whoever dials. */
static void test_levels_that_differ_meet_in_a_hybrid_group(void **state)
{
    static const uint16_t level[][2] = {{768, 1024}, {1024, 768}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(level); i++) {
        const struct tk_opt a = {.pq = PQ_PREFER, .level = level[i][0]};
        const struct tk_opt b = {.pq = PQ_PREFER, .level = level[i][1]};

        make(&a, &b);
        dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
        assert_int_equal(tk.ep[0].ups + tk.ep[1].ups, 2);
        assert_string_equal(tk.ep[0].info.group, "X25519MLKEM768");
        down();
    }
}

static void test_expectations_of_the_dialler(void **state)
{
    static const struct {
        bool wrong_peer, right_hash, wrong_hash;
        uint8_t need;
        enum pq_policy server;
        qudag_err err;
        const char *text;
    } row[] = {
        {false, false, false, 0, PQ_PREFER, QUDAG_OK, NULL},
        {true, false, false, 0, PQ_PREFER, QUDAG_EAUTH, "peer id mismatch"},
        {false, true, false, 0, PQ_PREFER, QUDAG_OK, NULL},
        {false, false, true, 0, PQ_PREFER, QUDAG_EAUTH,
         "peer's ML-DSA key is not the expected one"},
        {false, true, false, 0, PQ_OFF, QUDAG_EAUTH, "peer did not prove the expected ML-DSA key"},
        {false, false, false, BOTH, PQ_PREFER, QUDAG_OK, NULL},
        {false, false, false, LINK_PQ_KEX, PQ_OFF, QUDAG_EPOLICY,
         "peer was post-quantum before and is not now (key exchange)"},
        {false, false, false, LINK_PQ_AUTH, PQ_OFF, QUDAG_EPOLICY,
         "peer was post-quantum before and is not now (key)"},
        {true, true, false, BOTH, PQ_REQUIRE, QUDAG_EAUTH, "peer id mismatch"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const struct tk_opt a = {.pq = PQ_PREFER}, b = {.pq = row[i].server};
        uint8_t wrong[32] = {1, 2, 3};
        struct quic_dial d;

        make(&a, &b);
        d = (struct quic_dial){.remote = tk.ep[1].addr,
                               .peer = row[i].wrong_peer ? &tk.ep[0].peer : &tk.ep[1].peer,
                               .need = row[i].need};
        if (row[i].right_hash) {
            d.pq_hash = tk.ep[1].id.pq_hash;
        } else if (row[i].wrong_hash) {
            d.pq_hash = wrong;
        }
        dial(&d);
        assert_int_equal(tk.ep[0].ups, row[i].err == QUDAG_OK);
        assert_int_equal(tk.ep[0].downs, row[i].err != QUDAG_OK);
        assert_int_equal(tk.ep[0].down.err, row[i].err);
        assert_int_equal(tk.ep[1].ups, row[i].err == QUDAG_OK);
        if (row[i].text != NULL) {
            assert_string_equal(tk.ep[0].down.text, row[i].text);
        }
        assert_int_equal(stats(0).pin_refused, row[i].err == QUDAG_EPOLICY);
        down();
    }
}

static char classical[] = "ecdsa_secp256r1_sha256";
static char x25519[] = "X25519";

static void other_alpn(struct sec *s)
{
    static const unsigned char name[] = {2, 'h', '3'};

    assert_int_equal(SSL_CTX_set_alpn_protos(s->ctx, name, sizeof name), 0);
}

static void no_alpn(struct sec *s)
{
    assert_int_equal(SSL_CTX_set_alpn_protos(s->ctx, NULL, 0), 0);
}

/* A client that has only a certificate the server did not ask for, and so sends none. */
static void no_certificate(struct sec *s)
{
    s->pq = PQ_PREFER;
    assert_int_equal(SSL_CTX_set1_groups_list(s->ctx, x25519), 1);
    assert_int_equal(SSL_CTX_set1_sigalgs_list(s->ctx, classical), 1);
}

static void two_certificates(struct sec *s)
{
    struct cert_pair extra = {NULL, NULL};

    assert_int_equal(cert_make(&extra, CERT_CLASSICAL, s->identity, s->rng, TK_WALL), QUDAG_OK);
    assert_int_equal(SSL_CTX_add1_chain_cert(s->ctx, extra.crt), 1);
    cert_pair_fini(&extra);
}

static void test_handshakes_that_are_not_libp2p_are_refused(void **state)
{
    static const struct {
        void (*client)(struct sec *s);
        void (*server)(struct sec *s);
        enum pq_policy a;
        qudag_err err;
    } row[] = {
        {other_alpn, NULL, PQ_OFF, QUDAG_EUNSUPPORTED},
        {no_alpn, NULL, PQ_OFF, QUDAG_EUNSUPPORTED},
        {no_certificate, NULL, PQ_REQUIRE, QUDAG_EAUTH},
        {two_certificates, NULL, PQ_OFF, QUDAG_EAUTH},
        {NULL, two_certificates, PQ_OFF, QUDAG_EMALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const struct tk_opt a = {.pq = row[i].a}, b = {.pq = PQ_OFF};

        make(&a, &b);
        if (row[i].client != NULL) {
            row[i].client(tk.ep[0].sec);
        } else {
            row[i].server(tk.ep[1].sec);
        }
        dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
        assert_int_equal(tk.ep[0].ups + tk.ep[1].ups, 0);
        assert_int_equal(tk.ep[0].downs, 1);
        assert_int_equal(tk.ep[0].down.err, row[i].err);
        assert_int_equal(stats(1).half_open, 0);
        down();
    }
}

/* The server asks for a certificate and does not insist; nor does it offer what it could agree to. */
static void asks_only(struct sec *s)
{
    SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER, NULL);
}

/* What the TLS library refuses first is refused once more behind it. */
static void test_a_peer_without_certificate_gets_no_link_though_tls_would_take_it(void **state)
{
    const struct tk_opt a = {.pq = PQ_REQUIRE}, b = {.pq = PQ_OFF};

    (void)state;
    make(&a, &b);
    no_certificate(tk.ep[0].sec);
    asks_only(tk.ep[1].sec);
    dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
    assert_int_equal(tk.ep[1].ups, 0);
    assert_int_equal(stats(1).handshakes_ok_in, 0);
    down();
}

static void classical_exchange(struct sec *s)
{
    assert_int_equal(SSL_CTX_set1_groups_list(s->ctx, x25519), 1);
}

static void test_require_refuses_a_classical_exchange_though_tls_would_take_it(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    (void)state;
    make(&o, &o);
    classical_exchange(tk.ep[0].sec);
    classical_exchange(tk.ep[1].sec);
    dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
    assert_int_equal(tk.ep[0].ups + tk.ep[1].ups, 0);
    assert_int_equal(tk.ep[0].down.err, QUDAG_EPOLICY);
    assert_string_equal(tk.ep[0].down.text, "key exchange is not post-quantum; policy is require");
    down();
}

static char mlkem_alone[] = "MLKEM1024:MLKEM768:MLKEM512";

/* Either half must be enough: ML-KEM without an elliptic curve is not taken, nor counted as post-quantum. */
static void test_ml_kem_alone_is_not_hybrid(void **state)
{
    static const enum pq_policy pq[] = {PQ_REQUIRE, PQ_PREFER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pq); i++) {
        const struct tk_opt o = {.pq = pq[i]};

        for (int both = 0; both < 2; both++) {
            make(&o, &o);
            assert_int_equal(SSL_CTX_set1_groups_list(tk.ep[0].sec->ctx, mlkem_alone), 1);
            if (both) {
                assert_int_equal(SSL_CTX_set1_groups_list(tk.ep[1].sec->ctx, mlkem_alone), 1);
            }
            dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
            if (pq[i] == PQ_REQUIRE || !both) {
                assert_int_equal(tk.ep[0].ups + tk.ep[1].ups, 0);
                assert_int_equal(tk.ep[0].down.err, QUDAG_EPOLICY);
            } else {
                assert_int_equal(tk.ep[0].info.props & LINK_PQ_KEX, 0);
            }
            down();
        }
    }
}

static char hybrid[] = "X25519MLKEM768";

/* As go-libp2p and rust-libp2p do by default: a hybrid key exchange, and a classical key (I1). */
static void hybrid_exchange(struct sec *s)
{
    assert_int_equal(SSL_CTX_set1_groups_list(s->ctx, hybrid), 1);
}

static void test_each_property_is_asked_for_by_itself(void **state)
{
    static const struct {
        uint8_t need;
        qudag_err err;
    } row[] = {
        {0, QUDAG_OK},
        {LINK_PQ_KEX, QUDAG_OK},
        {LINK_PQ_AUTH, QUDAG_EPOLICY},
        {BOTH, QUDAG_EPOLICY},
    };
    const struct tk_opt a = {.pq = PQ_PREFER}, b = {.pq = PQ_OFF};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        make(&a, &b);
        hybrid_exchange(tk.ep[1].sec);
        dial(&(struct quic_dial){
            .remote = tk.ep[1].addr, .peer = &tk.ep[1].peer, .need = row[i].need});
        assert_int_equal(tk.ep[0].ups, row[i].err == QUDAG_OK);
        assert_int_equal(tk.ep[0].down.err, row[i].err);
        if (row[i].err == QUDAG_OK) {
            assert_int_equal(tk.ep[0].info.props, LINK_PQ_KEX);
            assert_string_equal(tk.ep[0].info.group, hybrid);
        } else {
            assert_string_equal(tk.ep[0].down.text,
                                "peer was post-quantum before and is not now (key)");
        }
        down();
    }
}

static void test_clocks_may_differ_by_minutes_but_not_by_days(void **state)
{
    static const struct {
        int64_t server_off;
        bool up;
        qudag_err err;
    } row[] = {
        {0, true, QUDAG_OK},
        {500, true, QUDAG_OK},
        {-500, true, QUDAG_OK},
        {3600 + 500, true, QUDAG_OK}, /* certificates begin an hour early */
        {3600 + 700, false, QUDAG_ECLOCK},
        {-3600 - 500, true, QUDAG_OK},
        {-3600 - 700, false, QUDAG_EEXPIRED}, /* then it is the server that says so */
        {-(24 * 3600), false, QUDAG_EEXPIRED},
        {30 * 24 * 3600, false, QUDAG_ECLOCK},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const struct tk_opt a = {.pq = PQ_REQUIRE};
        const struct tk_opt b = {.pq = PQ_REQUIRE, .wall = TK_WALL + row[i].server_off};

        make(&a, &b);
        dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
        assert_int_equal(tk.ep[0].ups, row[i].up);
        assert_int_equal(tk.ep[0].downs, !row[i].up);
        if (!row[i].up) {
            assert_int_equal(tk.ep[0].down.err, row[i].err);
            assert_int_equal(stats(0).auth_failed, 1);
        }
        down();
    }
}

static void test_renewed_certificates_are_used_for_the_next_link(void **state)
{
    const struct tk_opt o = {.pq = PQ_PREFER};
    struct ref link;

    (void)state;
    make(&o, &o);
    /* 30 hours later the first certificates are dead. */
    tk.now += UINT64_C(30) * 3600 * NS_PER_S;
    assert_true(sec_renew_at(tk.ep[0].sec) <= tk.now);
    assert_int_equal(tk_dial(&tk, 0, 1, NULL, &link), QUDAG_OK);
    (void)tk_run(&tk, 20 * NS_PER_S, tk_client_done);
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(tk.ep[0].down.err, QUDAG_EEXPIRED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sec_renew(tk.ep[i].sec, tk.now), QUDAG_OK);
        assert_true(sec_renew_at(tk.ep[i].sec) > tk.now);
    }
    assert_int_equal(tk_dial(&tk, 0, 1, NULL, &link), QUDAG_OK);
    (void)tk_run(&tk, 20 * NS_PER_S, tk_both_up);
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(tk.ep[1].ups, 1);
    down();
}

static void test_a_dial_nobody_answers_times_out(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};
    struct netaddr nowhere = {.family = 4, .ip = {10, 9, 9, 9}, .port = 9};
    tstamp start;

    (void)state;
    make(&o, &o);
    start = tk.now;
    dial(&(struct quic_dial){.remote = nowhere});
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(tk.ep[0].down.err, QUDAG_ETIMEOUT);
    assert_string_equal(tk.ep[0].down.text, "handshake timeout");
    assert_in_range(tk.now - start, 10 * NS_PER_S, 12 * NS_PER_S);
    assert_int_equal(stats(0).handshakes_timeout, 1);
    down();
}

static bool pass_first(struct tk *t, struct tk_pkt *p)
{
    uint64_t *left = t->pass_ctx;

    (void)p;
    if (*left == 0) {
        return false;
    }
    (*left)--;
    return true;
}

static void test_a_handshake_that_stalls_anywhere_times_out_on_both_sides(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};
    unsigned completed = 0;

    (void)state;
    for (uint64_t n = 1; n < 40 && completed < 3; n++) {
        uint64_t left = n;

        make(&o, &o);
        tk.pass = pass_first;
        tk.pass_ctx = &left;
        dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
        (void)tk_run(&tk, 20 * NS_PER_S, NULL);
        completed += tk.ep[0].ups;
        if (tk.ep[0].ups == 0) {
            assert_int_equal(tk.ep[0].downs, 1);
            assert_int_equal(tk.ep[0].down.err, QUDAG_ETIMEOUT);
        }
        assert_int_equal(stats(1).half_open, 0);
        assert_int_equal(stats(0).conns, tk.ep[0].ups);
        down();
    }
    assert_int_equal(completed, 3);
}

/* bytes[0]: sent by the server in its first flight, which ends at bytes[1]. */
static bool count_first_flight(struct tk *t, struct tk_pkt *p)
{
    uint64_t *bytes = t->pass_ctx;

    if (netaddr_eq(&p->from, &t->ep[1].addr) && p->at < bytes[1]) {
        bytes[0] += p->len;
    }
    return true;
}

static void test_a_token_lifts_the_amplification_limit_of_the_second_dial(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};
    uint64_t flight[2] = {0, 0};

    (void)state;
    make(&o, &o);
    tk.pass = count_first_flight;
    tk.pass_ctx = flight;
    flight[1] = tk.now + 25 * NS_PER_MS;
    dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
    assert_int_equal(stats(1).tokens_used, 0);
    assert_in_range(flight[0], 1200, 3 * 2400);
    quic_link_ops.close(tk.ep[0].q, tk.ep[0].link, QUDAG_OK);
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);
    tk.ep[0].ups = tk.ep[0].downs = tk.ep[1].ups = 0;
    flight[0] = 0;
    flight[1] = tk.now + 25 * NS_PER_MS;
    dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(stats(1).tokens_used, 1);
    assert_int_equal(stats(1).tokens_bad, 0);
    assert_true(flight[0] > 3 * 2400);
    down();
}

static void test_tokens_do_not_pass_at_another_endpoint(void **state)
{
    const struct tk_opt o = {.pq = PQ_OFF};

    (void)state;
    make(&o, &o);
    dial(&(struct quic_dial){.remote = tk.ep[1].addr, .peer = &tk.ep[1].peer});
    assert_int_equal(tk.ep[0].ups, 1);
    /* Another node takes over the address. */
    assert_true(tk_make(&tk, 2, &o));
    struct netaddr addr = tk.ep[1].addr;
    tk.ep[1].addr = tk.ep[2].addr;
    tk.ep[2].addr = addr;
    tk.ep[0].ups = 0;
    dial(&(struct quic_dial){.remote = addr, .peer = &tk.ep[1].peer});
    assert_int_equal(tk.ep[0].ups, 0);
    assert_string_equal(tk.ep[0].down.text, "peer id mismatch");
    assert_int_equal(stats(2).tokens_used, 0);
    assert_int_equal(stats(2).tokens_bad, 1);
    down();
}

/* Answers the first Initial as a server that knows version 2 only. */
static bool answer_version_2(struct tk *t, struct tk_pkt *p)
{
    uint8_t vn[64] = {0x80};
    size_t dcid_len = p->data[5], scid_len, n = 5;

    if (!netaddr_eq(&p->to, &t->ep[1].addr)) {
        return true;
    }
    assert_true(dcid_len <= 20);
    scid_len = p->data[6 + dcid_len];
    assert_true(scid_len <= 20);
    vn[n++] = (uint8_t)scid_len;
    memcpy(vn + n, p->data + 7 + dcid_len, scid_len);
    n += scid_len;
    vn[n++] = (uint8_t)dcid_len;
    memcpy(vn + n, p->data + 6, dcid_len);
    n += dcid_len;
    memcpy(vn + n, "\x6b\x33\x43\xcf", 4);
    tk_inject(t, &p->to, &p->from, vn, n + 4);
    return false;
}

static void test_a_peer_of_another_version_is_named_as_such(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};

    (void)state;
    make(&o, &o);
    tk.pass = answer_version_2;
    dial(&(struct quic_dial){.remote = tk.ep[1].addr});
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(tk.ep[0].down.err, QUDAG_EUNSUPPORTED);
    assert_string_equal(tk.ep[0].down.text, "the peer does not speak QUIC version 1");
    down();
}

static void test_a_dial_can_be_given_up(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};
    struct ref link;

    (void)state;
    for (uint64_t ms = 0; ms < 80; ms += 7) {
        make(&o, &o);
        assert_int_equal(tk_dial(&tk, 0, 1, NULL, &link), QUDAG_OK);
        (void)tk_run(&tk, ms * NS_PER_MS, NULL);
        quic_link_ops.close(tk.ep[0].q, link, QUDAG_ECANCELED);
        (void)tk_run(&tk, 20 * NS_PER_S, NULL);
        assert_int_equal(tk.ep[0].downs, 1);
        assert_int_equal(tk.ep[0].down.err, QUDAG_ECANCELED);
        assert_int_equal(stats(0).conns, 0);
        assert_int_equal(stats(1).conns, 0);
        assert_int_equal(tk.ep[1].downs, tk.ep[1].ups);
        down();
    }
}

static void test_memory_may_run_out_at_any_allocation(void **state)
{
    const struct tk_opt o = {.pq = PQ_OFF};
    unsigned ups = 0;

    (void)state;
    for (int side = 0; side < 2; side++) {
        for (uint64_t n = 1; n < 130; n++) {
            struct ref link;
            int64_t sid = 0;

            make(&o, &o);
            tk.ep[side].mem.fail_at = n;
            if (tk_dial(&tk, 0, 1, NULL, &link) == QUDAG_OK) {
                (void)tk_run(&tk, 15 * NS_PER_S, tk_client_done);
                assert_int_equal(tk.ep[0].ups + tk.ep[0].downs > 0, 1);
                if (tk.ep[0].ups > 0 &&
                    quic_link_ops.open(tk.ep[0].q, link, 1, NULL, &sid) == QUDAG_OK) {
                    (void)quic_link_ops.write(tk.ep[0].q, link, sid,
                                              (struct slice){tk.ep[0].peer.b, 30});
                }
                (void)tk_run(&tk, 2 * NS_PER_S, NULL);
                ups += tk.ep[0].ups;
            }
            down();
        }
    }
    assert_true(ups > 100); /* most of these allocations come after the handshake or are repeated */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_peer_without_certificate_gets_no_link_though_tls_would_take_it),
        cmocka_unit_test(test_require_refuses_a_classical_exchange_though_tls_would_take_it),
        cmocka_unit_test(test_every_pair_of_policies),
        cmocka_unit_test(test_security_levels_and_ciphers),
        cmocka_unit_test(test_an_unknown_level_is_refused_at_once),
        cmocka_unit_test(test_levels_that_differ_meet_in_a_hybrid_group),
        cmocka_unit_test(test_ml_kem_alone_is_not_hybrid),
        cmocka_unit_test(test_expectations_of_the_dialler),
        cmocka_unit_test(test_handshakes_that_are_not_libp2p_are_refused),
        cmocka_unit_test(test_each_property_is_asked_for_by_itself),
        cmocka_unit_test(test_clocks_may_differ_by_minutes_but_not_by_days),
        cmocka_unit_test(test_renewed_certificates_are_used_for_the_next_link),
        cmocka_unit_test(test_a_dial_nobody_answers_times_out),
        cmocka_unit_test(test_a_handshake_that_stalls_anywhere_times_out_on_both_sides),
        cmocka_unit_test(test_a_token_lifts_the_amplification_limit_of_the_second_dial),
        cmocka_unit_test(test_tokens_do_not_pass_at_another_endpoint),
        cmocka_unit_test(test_a_peer_of_another_version_is_named_as_such),
        cmocka_unit_test(test_a_dial_can_be_given_up),
        cmocka_unit_test(test_memory_may_run_out_at_any_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
