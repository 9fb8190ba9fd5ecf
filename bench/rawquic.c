/*
 * rawquic.c - see rawquic.h.
 *
 * A server thread sinks what the client sends from one constant buffer: no queue, no copies, no
 * client authentication, windows as large as ngtcp2 likes them.
 */
#include "rawquic.h"

#include "udp_kit.h"

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW (UINT64_C(64) << 20)
#define TX_MAX 65507
#define CHUNK (256 * 1024)

struct raw {
    int fd;
    bool server;
    struct netaddr local, remote;
    SSL_CTX *ctx;
    SSL *ssl;
    ngtcp2_conn *conn;
    ngtcp2_crypto_ossl_ctx *ossl;
    ngtcp2_crypto_conn_ref ref;
    int64_t stream;
    uint64_t total, sent, received;
    bool done, failed;
    uint64_t cpu;
    tstamp begin, end;
};

static uint8_t zeros[CHUNK];

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "rawquic: %s\n", what);
        exit(1);
    }
}

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct raw *)ref->user_data)->conn;
}

static void rand_cb(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
    (void)ctx;
    must(RAND_bytes(dest, (int)len) == 1, "random");
}

static int cid_cb(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user)
{
    (void)conn;
    (void)user;
    rand_cb(cid->data, len, NULL);
    cid->datalen = len;
    rand_cb(token, NGTCP2_STATELESS_RESET_TOKENLEN, NULL);
    return 0;
}

static int data_cb(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t off, const uint8_t *data,
                   size_t len, void *user, void *stream_user)
{
    struct raw *r = user;

    (void)off;
    (void)data;
    (void)stream_user;
    r->received += len;
    ngtcp2_conn_extend_max_stream_offset(conn, id, len);
    ngtcp2_conn_extend_max_offset(conn, len);
    if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0) {
        r->end = udp_kit_now();
        r->done = true;
    }
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = data_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .rand = rand_cb,
    .get_new_connection_id = cid_cb,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

static int alpn_cb(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned int in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    must(in_len >= 4, "alpn");
    *out = in + 1;
    *out_len = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static void make_tls(struct raw *r, const char *suite)
{
    static const unsigned char alpn[] = {3, 'r', 'a', 'w'};

    r->ctx = SSL_CTX_new(TLS_method());
    must(r->ctx != NULL && SSL_CTX_set_min_proto_version(r->ctx, TLS1_3_VERSION) == 1 &&
             SSL_CTX_set_ciphersuites(r->ctx, suite) == 1,
         "context");
    SSL_CTX_set_session_cache_mode(r->ctx, SSL_SESS_CACHE_OFF);
    if (r->server) {
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        X509 *crt = X509_new();

        must(key != NULL && crt != NULL && X509_set_pubkey(crt, key) == 1, "key");
        X509_gmtime_adj(X509_getm_notBefore(crt), -60);
        X509_gmtime_adj(X509_getm_notAfter(crt), 3600);
        must(X509_sign(crt, key, EVP_sha256()) > 0 && SSL_CTX_use_certificate(r->ctx, crt) == 1 &&
                 SSL_CTX_use_PrivateKey(r->ctx, key) == 1,
             "certificate");
        SSL_CTX_set_alpn_select_cb(r->ctx, alpn_cb, NULL);
        X509_free(crt);
        EVP_PKEY_free(key);
    } else {
        must(SSL_CTX_set_alpn_protos(r->ctx, alpn, sizeof alpn) == 0, "alpn");
    }
    r->ssl = SSL_new(r->ctx);
    must(r->ssl != NULL, "ssl");
    r->ref = (ngtcp2_crypto_conn_ref){get_conn, r};
    SSL_set_app_data(r->ssl, &r->ref);
    if (r->server) {
        SSL_set_accept_state(r->ssl);
        must(ngtcp2_crypto_ossl_configure_server_session(r->ssl) == 0, "server session");
    } else {
        SSL_set_connect_state(r->ssl);
        must(ngtcp2_crypto_ossl_configure_client_session(r->ssl) == 0, "client session");
    }
    must(ngtcp2_crypto_ossl_ctx_new(&r->ossl, r->ssl) == 0, "ossl");
}

static void sock_of(struct sockaddr_in *sa, const struct netaddr *a)
{
    memset(sa, 0, sizeof *sa);
    sa->sin_family = AF_INET;
    sa->sin_port = htons(a->port);
    memcpy(&sa->sin_addr, a->ip, 4);
}

static void make_conn(struct raw *r, const ngtcp2_pkt_hd *hd)
{
    struct sockaddr_in local, remote;
    ngtcp2_path path = {.local = {(struct sockaddr *)&local, sizeof local},
                        .remote = {(struct sockaddr *)&remote, sizeof remote}};
    ngtcp2_transport_params tp;
    ngtcp2_settings st;
    ngtcp2_cid scid, dcid;
    uint8_t token[16];
    int rv;

    sock_of(&local, &r->local);
    sock_of(&remote, &r->remote);
    ngtcp2_settings_default(&st);
    st.initial_ts = udp_kit_now();
    ngtcp2_transport_params_default(&tp);
    tp.initial_max_data = WINDOW;
    tp.initial_max_stream_data_bidi_remote = WINDOW;
    tp.initial_max_streams_bidi = 1;
    cid_cb(NULL, &scid, token, 8, NULL);
    cid_cb(NULL, &dcid, token, 18, NULL);
    if (r->server) {
        tp.original_dcid = hd->dcid;
        tp.original_dcid_present = 1;
        rv = ngtcp2_conn_server_new(&r->conn, &hd->scid, &scid, &path, hd->version, &callbacks, &st,
                                    &tp, NULL, r);
    } else {
        rv = ngtcp2_conn_client_new(&r->conn, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &callbacks,
                                    &st, &tp, NULL, r);
    }
    must(rv == 0, "connection");
    ngtcp2_conn_set_tls_native_handle(r->conn, r->ossl);
}

static void take(void *ctx, const struct netaddr *from, struct slice data)
{
    struct raw *r = ctx;
    struct sockaddr_in local, remote;
    ngtcp2_path path = {.local = {(struct sockaddr *)&local, sizeof local},
                        .remote = {(struct sockaddr *)&remote, sizeof remote}};
    ngtcp2_pkt_info pi = {0};
    ngtcp2_pkt_hd hd;
    int rv;

    if (r->conn == NULL) {
        must(ngtcp2_accept(&hd, data.base, data.len) == 0, "initial");
        r->remote = *from;
        make_conn(r, &hd);
    }
    sock_of(&local, &r->local);
    sock_of(&remote, from);
    rv = ngtcp2_conn_read_pkt(r->conn, &path, &pi, data.base, data.len, udp_kit_now());
    if (rv == NGTCP2_ERR_DRAINING || rv == NGTCP2_ERR_CLOSING) {
        r->done = true;
    } else {
        must(rv == 0, ngtcp2_strerror(rv));
    }
}

static ngtcp2_ssize write_pkt(ngtcp2_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *pi,
                              uint8_t *dest, size_t len, ngtcp2_tstamp ts, void *user)
{
    struct raw *r = user;
    ngtcp2_ssize n, data_n = -1;
    uint64_t left = r->total - r->sent;
    ngtcp2_vec vec = {zeros, left < CHUNK ? (size_t)left : CHUNK};
    bool more = r->stream >= 0 && left > 0;
    uint32_t fin = left <= CHUNK ? (uint32_t)NGTCP2_WRITE_STREAM_FLAG_FIN : 0;

    n = ngtcp2_conn_writev_stream(conn, path, pi, dest, len, &data_n, more ? fin : 0,
                                  more ? r->stream : -1, &vec, more ? 1 : 0, ts);
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
        n = ngtcp2_conn_writev_stream(conn, path, pi, dest, len, NULL, 0, -1, NULL, 0, ts);
    }
    if (data_n > 0) {
        r->sent += (uint64_t)data_n;
    }
    return n;
}

static void flush(struct raw *r)
{
    static _Thread_local uint8_t buf[TX_MAX];

    for (;;) {
        ngtcp2_path_storage ps;
        ngtcp2_pkt_info pi;
        size_t segment = 0;
        ngtcp2_ssize n;

        ngtcp2_path_storage_zero(&ps);
        n = ngtcp2_conn_write_aggregate_pkt(r->conn, &ps.path, &pi, buf, sizeof buf, &segment,
                                            write_pkt, udp_kit_now());
        must(n >= 0, "write");
        if (n == 0) {
            return;
        }
        udp_kit_send(r->fd, &r->remote, buf, (size_t)n, segment);
    }
}

static void turn(struct raw *r)
{
    tstamp now, at;

    if (udp_kit_recv(r->fd, r, take) == 0) {
        now = udp_kit_now();
        at = r->conn == NULL ? now + NS_PER_MS : ngtcp2_conn_get_expiry(r->conn);
        if (at > now) {
            udp_kit_wait(r->fd, at - now < 10 * NS_PER_MS ? at - now : 10 * NS_PER_MS);
        }
    }
    if (r->conn == NULL) {
        return;
    }
    now = udp_kit_now();
    if (ngtcp2_conn_get_expiry(r->conn) <= now) {
        must(ngtcp2_conn_handle_expiry(r->conn, now) == 0, "expiry");
    }
    flush(r);
    if (!r->server && r->stream < 0 && ngtcp2_conn_get_streams_bidi_left(r->conn) > 0 &&
        ngtcp2_conn_get_handshake_completed(r->conn) != 0) {
        must(ngtcp2_conn_open_bidi_stream(r->conn, &r->stream, NULL) == 0, "stream");
        r->begin = udp_kit_now();
        r->cpu = udp_kit_cpu_ns();
        flush(r);
    }
}

static void *serve(void *arg)
{
    struct raw *r = arg;
    uint64_t mark = 0;

    while (!r->done) {
        turn(r);
        if (mark == 0 && r->received > 0) {
            mark = udp_kit_cpu_ns();
        }
    }
    r->cpu = udp_kit_cpu_ns() - mark;
    return NULL;
}

static void drop(struct raw *r)
{
    ngtcp2_conn_del(r->conn);
    ngtcp2_crypto_ossl_ctx_del(r->ossl);
    SSL_set_app_data(r->ssl, NULL);
    SSL_free(r->ssl);
    SSL_CTX_free(r->ctx);
}

static void bulk(struct rawquic_result *out, const char *suite, uint64_t bytes)
{
    struct raw server = {.server = true, .stream = -1};
    struct raw client = {.stream = -1, .total = bytes};
    pthread_t thread;
    double seconds;

    must(ngtcp2_crypto_ossl_init() == 0, "init");
    server.fd = udp_kit_open(&server.local);
    client.fd = udp_kit_open(&client.local);
    client.remote = server.local;
    make_tls(&server, suite);
    make_tls(&client, suite);
    make_conn(&client, NULL);
    must(pthread_create(&thread, NULL, serve, &server) == 0, "thread");
    flush(&client);
    while (client.sent < bytes || ngtcp2_conn_get_cwnd_left(client.conn) == 0) {
        turn(&client);
    }
    for (tstamp stop = udp_kit_now() + 300 * NS_PER_MS; udp_kit_now() < stop;) {
        turn(&client); /* until the last bytes are there */
    }
    client.cpu = udp_kit_cpu_ns() - client.cpu;
    must(pthread_join(thread, NULL) == 0, "join");
    must(server.received == bytes, "bytes");
    seconds = (double)(server.end - client.begin) / 1e9;
    out->mb_per_s = (double)bytes / 1e6 / seconds;
    out->cpu_s_per_gb = (double)(client.cpu + server.cpu) / (double)bytes;
    drop(&server);
    drop(&client);
}

/*
 * In a child process: what it needs of OpenSSL shall not meet what others left there.  On a crowded
 * machine this bare program now and then ends with an internal error of ngtcp2 after lost packets, which
 * our own layer has not shown; such a try says so on standard error and is repeated.
 */
void rawquic_bulk(struct rawquic_result *out, const char *suite, uint64_t bytes)
{
    bool got = false;

    for (int tries = 0; tries < 8 && !got; tries++) {
        int fd[2];
        must(pipe(fd) == 0, "pipe");
        pid_t pid = fork();
        must(pid >= 0, "fork");
        if (pid == 0) {
            bulk(out, suite, bytes);
            _exit(write(fd[1], out, sizeof *out) != sizeof *out);
        }
        must(close(fd[1]) == 0, "close");
        got = read(fd[0], out, sizeof *out) == sizeof *out;
        must(close(fd[0]) == 0 && waitpid(pid, NULL, 0) == pid, "child");
    }
    must(got, "eight tries failed");
}
