/* early_test.c - session tickets and early data (spec/link.md 1.3): a node gives and takes none, and counts them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/quic_int.h"
#include "quic/testkit_net.h"
#include "sec/sec_int.h"

#include <openssl/err.h>

static struct tk tk;
static SSL_SESSION *session; /* that a client without our rules has kept */

static void make(void)
{
    const struct tk_opt o = {.pq = PQ_PREFER};

    tk_init(&tk);
    for (int i = 0; i < 3; i++) {
        assert_true(tk_make(&tk, i, &o));
    }
}

static void down(void)
{
    SSL_SESSION_free(session);
    session = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tk_unmake(&tk, i), 0);
    }
    tk_fini(&tk);
}

static struct quic_stats stats(int ix)
{
    struct quic_stats st;

    quic_stats_get(tk.ep[ix].q, &st);
    return st;
}

static void link_up(void)
{
    struct ref link;

    tk.ep[0].ups = tk.ep[1].ups = 0;
    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 20 * NS_PER_S, tk_both_up));
    (void)tk_run(&tk, NS_PER_S, NULL);
}

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

/* What TLS libraries do by default: their servers give tickets, good for early data, and their clients keep them. */
static void be_foreign(int ix)
{
    SSL_CTX *ctx = tk.ep[ix].sec->ctx;

    SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
    assert_int_equal(SSL_CTX_set_num_tickets(ctx, 2), 1);
    assert_int_equal(SSL_CTX_set_max_early_data(ctx, UINT32_MAX), 1);
    assert_int_equal(SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"x", 1), 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_BOTH);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
}

/* A handshake of the contexts of two endpoints without QUIC; |session| is then what the client has of it. */
static void ticket_from(int client, int server)
{
    struct sec_hs hs[2];
    BIO *bio[2];
    char byte;

    assert_int_equal(sec_hs_start(&hs[0], tk.ep[client].sec, false, NULL), QUDAG_OK);
    assert_int_equal(sec_hs_start(&hs[1], tk.ep[server].sec, true, NULL), QUDAG_OK);
    assert_int_equal(BIO_new_bio_pair(&bio[0], 1 << 16, &bio[1], 1 << 16), 1);
    for (int i = 0; i < 2; i++) {
        hs[i].now = tk.now;
        SSL_set_bio(hs[i].ssl, bio[i], bio[i]);
    }
    for (int i = 0; i < 10; i++) {
        (void)SSL_do_handshake(hs[i % 2].ssl);
    }
    assert_true(hs[0].verified && hs[1].verified);
    (void)SSL_read(hs[0].ssl, &byte, 1); /* takes the tickets */
    assert_non_null(session);
    for (int i = 0; i < 2; i++) {
        SSL_set_shutdown(hs[i].ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        sec_hs_stop(&hs[i]);
    }
    ERR_clear_error();
}

static void test_a_ticket_that_a_server_sends_is_not_kept(void **state)
{
    (void)state;
    make();
    link_up();
    assert_int_equal(stats(0).tickets_refused, 0); /* a node sends none */
    quic_link_ops.close(tk.ep[0].q, tk.ep[0].link, QUDAG_OK);
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);

    be_foreign(1);
    link_up();
    assert_int_equal(stats(0).tickets_refused, 1);
    assert_int_equal(stats(1).tickets_refused, 0);
    assert_int_equal(SSL_CTX_sess_number(tk.ep[0].sec->ctx), 0);
    assert_int_equal(tk.ep[0].downs, 1); /* it was only the first that ended */
    quic_link_ops.close(tk.ep[0].q, tk.ep[0].link, QUDAG_OK);
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);
    link_up(); /* a whole handshake again */
    assert_int_equal(stats(1).early_refused, 0);
    assert_true(tk.ep[0].info.has_pq_hash && tk.ep[1].info.has_pq_hash);
    down();
}

static bool nothing_of_the_client(struct tk *t, struct tk_pkt *p)
{
    return !netaddr_eq(&p->from, &t->ep[0].addr);
}

/* A dial by a client that has a ticket and writes at once. */
static void dial_early(const uint8_t *params, size_t params_n)
{
    static const uint8_t word[] = "do it, and do it again";
    ngtcp2_vec vec = {(uint8_t *)(uintptr_t)word, sizeof word};
    ngtcp2_ssize n, took = 0;
    ngtcp2_path_storage ps;
    uint8_t buf[1200];
    ngtcp2_pkt_info pi;
    struct ref link;
    int64_t sid;

    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    struct quic_conn *c = slots_get(&tk.ep[0].q->conns, link);
    assert_non_null(c);
    assert_int_equal(SSL_set_session(c->hs.ssl, session), 1);
    SSL_set_quic_tls_early_data_enabled(c->hs.ssl, 1);
    assert_int_equal(ngtcp2_conn_decode_and_set_0rtt_transport_params(c->ng, params, params_n), 0);
    tk_flush(&tk, &tk.ep[0]);
    assert_int_equal(ngtcp2_conn_open_bidi_stream(c->ng, &sid, NULL), 0);
    ngtcp2_path_storage_zero(&ps);
    n = ngtcp2_conn_writev_stream(c->ng, &ps.path, &pi, buf, sizeof buf, &took,
                                  NGTCP2_WRITE_STREAM_FLAG_FIN, sid, &vec, 1, tk.now);
    assert_true(n > 0);
    assert_int_equal(took, sizeof word);
    assert_int_equal(buf[0] & 0xf0, 0xd0); /* RFC 9000 17.2.3 */
    tk_inject(&tk, &tk.ep[0].addr, &tk.ep[1].addr, buf, (size_t)n);
}

static void test_early_data_is_not_taken(void **state)
{
    uint8_t params[512];

    (void)state;
    make();
    link_up();
    const struct quic_conn *c = slots_get(&tk.ep[0].q->conns, tk.ep[0].link);
    ngtcp2_ssize n = ngtcp2_conn_encode_0rtt_transport_params(c->ng, params, sizeof params);
    assert_true(n > 0);
    quic_link_ops.close(tk.ep[0].q, tk.ep[0].link, QUDAG_OK);
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);

    be_foreign(0);
    be_foreign(2);
    ticket_from(0, 2);
    tk.ep[0].ups = tk.ep[1].ups = 0;
    dial_early(params, (size_t)n);
    tk.pass =
        nothing_of_the_client; /* whoever repeats these packets has no more to send than they are */
    (void)tk_run(&tk, 3 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].streams + tk.ep[1].bytes + tk.ep[1].ups, 0);
    tk.pass = NULL;
    assert_true(tk_run(&tk, 20 * NS_PER_S, tk_both_up));
    assert_int_equal(stats(1).early_refused, 1);
    assert_true(tk.ep[1].info.has_pq_hash); /* the handshake was a whole one, with proofs of both */
    assert_true(peer_id_eq(&tk.ep[1].info.peer, &tk.ep[0].peer));
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, sizeof "do it, and do it again"); /* sent again, in the link */
    assert_int_equal(tk.ep[1].downs, 1);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_ticket_that_a_server_sends_is_not_kept),
        cmocka_unit_test(test_early_data_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
