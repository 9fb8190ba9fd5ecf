/*
 * resume_bench.c - what session tickets, early data and migration would gain, against the dial as it is.
 *
 *   dial      a request of 100 bytes and its answer of 1,000 over a new link: the dial as it is (first, with a token,
 *             with a token from another address), the same with a ticket, and in early data
 *   ticket    bytes of tickets and of what the server keeps for one
 *   replay    how often a server takes a request in early data whose packets come twice
 *   migrate   how long an echo stands still when the client's address changes, and how many links survive a NAT that
 *             forgot shortly before
 *
 *   --times N   dials of each kind for the CPU figures; default 20
 *
 * Time on the wire is a variable, so that round trips are exact; CPU is measured.  Certificates are those of a node.
 * Nothing here is in the product: spec/link.md 1.3, 1.12; doc/decisions/0083 and 0084 use the figures.
 */
#include "base/assert.h"
#include "quic/testkit_net.h"
#include "sec/sec_int.h"

#include "common.h"

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASK 100
#define ANSWER 1000
#define WIRE_MAX 512
#define DGRAM 1200
#define TIMES_MAX 256

enum kind { FULL, RESUMED, EARLY, EARLY_TWICE };
static const char *const kind_name[] = {"full", "ticket", "early data", "early data, stateless"};

struct pkt {
    tstamp at;
    bool to_server;
    struct netaddr from;
    size_t len;
    uint8_t data[1500];
};

struct world;

/* One end of one connection. */
struct end {
    struct world *w;
    bool server, confirmed, closed;
    struct sec_hs hs;
    ngtcp2_conn *ng;
    ngtcp2_crypto_ossl_ctx *ossl;
    ngtcp2_crypto_conn_ref ref;
    struct netaddr addr, peer; /* of this end as it sends; of the other as it was heard last */
    int64_t stream;
    size_t to_send, got;
    bool got_all;
    uint64_t cpu, bytes;
    uint64_t error; /* that the peer closed with */
};

struct world {
    tstamp now;
    uint64_t delay;
    struct netaddr nat; /* what the server sees instead of the client's address; family 0: that */
    struct pkt wire[WIRE_MAX];
    size_t head, n;
    struct pkt tape[24]; /* the client's first datagrams */
    size_t taped;
    struct end end[2]; /* client, server */
};

/* The nodes that the ends belong to. */
static struct {
    struct mem mem[2];
    struct rng_stream stream[2];
    struct rng rng[2];
    struct identity id[2];
    struct sec *sec[2];
    SSL_SESSION *session;
    uint8_t
        params[512]; /* the server's transport parameters, as the client keeps them with a ticket */
    size_t params_n;
} node;

static uint8_t zeros[ANSWER];

static uint64_t cpu_now(void)
{
    struct timespec ts;

    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0, "clock");
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct end *)ref->user_data)->ng;
}

static void rand_cb(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
    (void)ctx;
    rng_fill(&node.rng[0], dest, len);
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
    struct end *e = user;

    (void)off;
    (void)data;
    (void)stream_user;
    e->got += len;
    ngtcp2_conn_extend_max_stream_offset(conn, id, len);
    ngtcp2_conn_extend_max_offset(conn, len);
    if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0) {
        e->got_all = true;
        if (e->server) {
            e->stream = id;
            e->to_send = ANSWER;
        }
    }
    return 0;
}

static int confirmed_cb(ngtcp2_conn *conn, void *user)
{
    struct end *e = user;

    (void)conn;
    e->confirmed = true;
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
    .handshake_confirmed = confirmed_cb,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(node.session);
    node.session = s;
    return 1;
}

/* What a node does not do: its contexts give and take tickets. */
static void allow_tickets(bool stateless)
{
    static const unsigned char name[] = "resume";
    SSL_CTX *server = node.sec[1]->ctx, *client = node.sec[0]->ctx;

    SSL_CTX_clear_options(server, SSL_OP_NO_TICKET);
    SSL_CTX_clear_options(client, SSL_OP_NO_TICKET);
    if (stateless) {
        SSL_CTX_set_options(server, SSL_OP_NO_ANTI_REPLAY);
    }
    must(SSL_CTX_set_num_tickets(server, 1) == 1 &&
             SSL_CTX_set_max_early_data(server, UINT32_MAX) == 1 &&
             SSL_CTX_set_session_id_context(server, name, sizeof name) == 1,
         "tickets");
    SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_SERVER);
    SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client, keep_session);
}

static void nodes_make(void)
{
    for (int i = 0; i < 2; i++) {
        uint8_t seed[32] = {9, (uint8_t)i};
        struct sec_config sc;

        mem_init(&node.mem[i], NULL, 0);
        rng_stream_init(&node.stream[i], seed);
        node.rng[i] = rng_of_stream(&node.stream[i]);
        must(identity_generate(&node.id[i], &node.rng[i]) == QUDAG_OK, "identity");
        sc = (struct sec_config){.mem = &node.mem[i],
                                 .rng = &node.rng[i],
                                 .identity = &node.id[i],
                                 .pq = PQ_PREFER,
                                 .clock = {(walltime)time(NULL), TK_START}};
        must(sec_new(&node.sec[i], &sc) == QUDAG_OK, "sec");
    }
}

static void nodes_free(void)
{
    SSL_SESSION_free(node.session);
    node.session = NULL;
    for (int i = 0; i < 2; i++) {
        sec_free(node.sec[i]);
        identity_fini(&node.id[i]);
    }
}

static void path_of(ngtcp2_path *path, struct sockaddr_in sa[2], const struct netaddr *local,
                    const struct netaddr *remote)
{
    const struct netaddr *a[2] = {local, remote};

    memset(sa, 0, 2 * sizeof *sa);
    for (int i = 0; i < 2; i++) {
        sa[i].sin_family = AF_INET;
        sa[i].sin_port = htons(a[i]->port);
        memcpy(&sa[i].sin_addr, a[i]->ip, 4);
    }
    *path = (ngtcp2_path){.local = {(struct sockaddr *)&sa[0], sizeof sa[0]},
                          .remote = {(struct sockaddr *)&sa[1], sizeof sa[1]}};
}

static void make_tls(struct end *e, enum kind kind)
{
    must(sec_hs_start(&e->hs, node.sec[e->server ? 1 : 0], e->server, NULL) == QUDAG_OK, "tls");
    e->hs.now = TK_START;
    e->ref = (ngtcp2_crypto_conn_ref){get_conn, e};
    SSL_set_app_data(e->hs.ssl, &e->ref);
    if (e->server) {
        must(ngtcp2_crypto_ossl_configure_server_session(e->hs.ssl) == 0, "server session");
    } else {
        must(ngtcp2_crypto_ossl_configure_client_session(e->hs.ssl) == 0, "client session");
        must(kind == FULL || SSL_set_session(e->hs.ssl, node.session) == 1, "session");
    }
    if (e->server || kind >= EARLY) {
        SSL_set_quic_tls_early_data_enabled(e->hs.ssl, 1);
    }
    must(ngtcp2_crypto_ossl_ctx_new(&e->ossl, e->hs.ssl) == 0, "ossl");
}

static void make_conn(struct end *e, const ngtcp2_pkt_hd *hd)
{
    ngtcp2_transport_params tp;
    struct sockaddr_in sa[2];
    ngtcp2_cid scid, dcid;
    ngtcp2_settings st;
    uint8_t token[16];
    ngtcp2_path path;
    int rv;

    path_of(&path, sa, &e->addr, &e->peer);
    ngtcp2_settings_default(&st);
    st.initial_ts = e->w->now;
    st.max_tx_udp_payload_size = DGRAM;
    st.no_pmtud = 1;
    ngtcp2_transport_params_default(&tp);
    tp.initial_max_data = 1 << 20;
    tp.initial_max_stream_data_bidi_local = 1 << 20;
    tp.initial_max_stream_data_bidi_remote = 1 << 20;
    tp.initial_max_streams_bidi = 16;
    cid_cb(NULL, &scid, token, 8, NULL);
    cid_cb(NULL, &dcid, token, 18, NULL);
    if (e->server) {
        tp.original_dcid = hd->dcid;
        tp.original_dcid_present = 1;
        rv = ngtcp2_conn_server_new(&e->ng, &hd->scid, &scid, &path, hd->version, &callbacks, &st,
                                    &tp, NULL, e);
    } else {
        rv = ngtcp2_conn_client_new(&e->ng, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &callbacks,
                                    &st, &tp, NULL, e);
    }
    must(rv == 0, "connection");
    ngtcp2_conn_set_tls_native_handle(e->ng, e->ossl);
}

static void end_make(struct world *w, bool server, enum kind kind)
{
    struct end *e = &w->end[server ? 1 : 0];
    struct netaddr client = {.family = 4, .ip = {10, 0, 0, 1}, .port = 4001};
    struct netaddr host = {.family = 4, .ip = {10, 0, 0, 2}, .port = 4001};

    memset(e, 0, sizeof *e);
    e->w = w;
    e->server = server;
    e->stream = -1;
    e->addr = server ? host : client;
    e->peer = server ? client : host;
    make_tls(e, kind);
    if (!server) {
        make_conn(e, NULL);
    }
    if (!server && kind >= EARLY) {
        must(ngtcp2_conn_decode_and_set_0rtt_transport_params(e->ng, node.params, node.params_n) ==
                 0,
             "parameters");
    }
}

static void end_free(struct end *e)
{
    ngtcp2_conn_del(e->ng);
    ngtcp2_crypto_ossl_ctx_del(e->ossl);
    /* Else the library takes the session for a broken one. */
    SSL_set_shutdown(e->hs.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    sec_hs_stop(&e->hs);
}

static void put(struct end *e, const uint8_t *data, size_t len)
{
    struct world *w = e->w;
    struct pkt *p = &w->wire[(w->head + w->n) % WIRE_MAX];

    must(w->n < WIRE_MAX && len <= sizeof p->data, "wire");
    *p =
        (struct pkt){.at = w->now + w->delay, .to_server = !e->server, .from = e->addr, .len = len};
    if (!e->server && w->nat.family != 0) {
        p->from = w->nat;
    }
    memcpy(p->data, data, len);
    if (!e->server && w->taped < ARRAY_LEN(w->tape)) {
        w->tape[w->taped++] = *p;
    }
    e->bytes += len;
    w->n++;
}

static ngtcp2_ssize write_one(struct end *e, uint8_t *buf)
{
    bool more = e->stream >= 0 && e->to_send > 0;
    ngtcp2_vec vec = {zeros, e->to_send};
    ngtcp2_ssize n, took = -1;
    ngtcp2_path_storage ps;
    ngtcp2_pkt_info pi;

    ngtcp2_path_storage_zero(&ps);
    n = ngtcp2_conn_writev_stream(e->ng, &ps.path, &pi, buf, DGRAM, &took,
                                  more ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0, more ? e->stream : -1,
                                  &vec, more ? 1 : 0, e->w->now);
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED || n == NGTCP2_ERR_STREAM_SHUT_WR) {
        n = ngtcp2_conn_writev_stream(e->ng, &ps.path, &pi, buf, DGRAM, NULL, 0, -1, NULL, 0,
                                      e->w->now);
    }
    e->to_send -= took > 0 ? (size_t)took : 0;
    return n;
}

static void flush(struct end *e)
{
    uint8_t buf[DGRAM];
    uint64_t cpu = cpu_now();
    ngtcp2_ssize n = e->ng == NULL || e->closed ? 0 : write_one(e, buf);

    while (n > 0) {
        put(e, buf, (size_t)n);
        n = write_one(e, buf);
    }
    if (n < 0) {
        e->closed = true;
        e->error = (uint64_t)-n;
    }
    e->cpu += cpu_now() - cpu;
}

static void take(struct end *e, const struct pkt *p)
{
    struct sockaddr_in sa[2];
    ngtcp2_pkt_info pi = {0};
    uint64_t cpu = cpu_now();
    ngtcp2_pkt_hd hd;
    ngtcp2_path path;

    if (e->closed) {
        return;
    }
    if (e->ng == NULL) {
        must(ngtcp2_accept(&hd, p->data, p->len) == 0, "initial");
        make_conn(e, &hd);
    }
    path_of(&path, sa, &e->addr, &p->from);
    int rv = ngtcp2_conn_read_pkt(e->ng, &path, &pi, p->data, p->len, e->w->now);
    if (rv == NGTCP2_ERR_DRAINING) {
        e->closed = true;
        e->error = ngtcp2_conn_get_ccerr(e->ng)->error_code;
    } else if (rv != 0) {
        e->closed = true;
        e->error = (uint64_t)-rv;
    }
    e->cpu += cpu_now() - cpu;
}

static tstamp next_at(const struct world *w)
{
    tstamp at = w->n > 0 ? w->wire[w->head].at : TSTAMP_NEVER;

    for (int i = 0; i < 2; i++) {
        if (w->end[i].ng != NULL && !w->end[i].closed) {
            at = tstamp_min(at, ngtcp2_conn_get_expiry(w->end[i].ng));
        }
    }
    return at > w->now ? at : w->now;
}

static bool completed(const struct end *e)
{
    return ngtcp2_conn_get_handshake_completed(e->ng) != 0;
}

/* Until |until|, or the client has its answer, or where |shake| has completed the handshake. */
static void run_for(struct world *w, tstamp until, bool shake)
{
    for (;;) {
        flush(&w->end[0]);
        flush(&w->end[1]);
        tstamp at = next_at(w);
        if (w->end[0].got_all || (shake && completed(&w->end[0]))) {
            return;
        }
        if (at > until) {
            w->now = until;
            return;
        }
        w->now = at;
        while (w->n > 0 && w->wire[w->head].at <= w->now) {
            const struct pkt *p = &w->wire[w->head];
            w->head = (w->head + 1) % WIRE_MAX;
            w->n--;
            take(&w->end[p->to_server ? 1 : 0], p);
        }
        for (int i = 0; i < 2; i++) {
            struct end *e = &w->end[i];
            if (e->ng != NULL && !e->closed && ngtcp2_conn_get_expiry(e->ng) <= w->now) {
                e->closed = ngtcp2_conn_handle_expiry(e->ng, w->now) != 0;
            }
        }
    }
}

static void run(struct world *w, tstamp until)
{
    run_for(w, until, false);
}

static void world_init(struct world *w, uint64_t rtt_ms, enum kind kind)
{
    memset(w, 0, sizeof *w);
    w->now = TK_START;
    w->delay = rtt_ms * NS_PER_MS / 2;
    end_make(w, true, kind);
    end_make(w, false, kind);
}

static void world_free(struct world *w)
{
    end_free(&w->end[0]);
    end_free(&w->end[1]);
}

static void ask(struct end *e)
{
    must(ngtcp2_conn_open_bidi_stream(e->ng, &e->stream, NULL) == 0, "stream");
    e->to_send = ASK;
    e->got_all = false;
}

/* Runs until the handshake is complete at the client, which a request in early data does not wait for. */
static void shake(struct world *w, enum kind kind)
{
    if (kind >= EARLY) {
        flush(&w->end[0]); /* the keys for it are made with the first packet */
    }
    if (kind < EARLY) {
        run_for(w, w->now + 10 * NS_PER_S, true);
    }
    must(kind >= EARLY || completed(&w->end[0]), "handshake");
}

static void report(const char *name, const char *impl, uint64_t rtt_ms, double value,
                   const char *unit)
{
    (void)printf(
        "{\"bench\":\"resume\",\"name\":\"%s\",\"impl\":\"%s\",\"rtt_ms\":%llu,\"value\":%.3f,"
        "\"unit\":\"%s\"}\n",
        name, impl, (unsigned long long)rtt_ms, value, unit);
    (void)fflush(stdout);
}

/* A first link, to have a ticket. */
static void learn(bool stateless)
{
    static struct world w;

    nodes_make();
    allow_tickets(stateless);
    world_init(&w, 10, FULL);
    shake(&w, FULL);
    run(&w, w.now + NS_PER_S);
    ngtcp2_ssize n =
        ngtcp2_conn_encode_0rtt_transport_params(w.end[0].ng, node.params, sizeof node.params);
    must(node.session != NULL && n > 0, "no ticket came");
    node.params_n = (size_t)n;
    world_free(&w);
}

/* One link of |kind|: ms until the answer is there, on the wire alone; CPU of both ends. */
static double dial(enum kind kind, uint64_t rtt_ms, double cpu_ms[2], bool *verified)
{
    static struct world w;

    world_init(&w, rtt_ms, kind);
    shake(&w, kind);
    ask(&w.end[0]);
    run(&w, w.now + 10 * NS_PER_S);
    must(w.end[0].got_all && w.end[0].got == ANSWER, "no answer");
    must((SSL_session_reused(w.end[0].hs.ssl) == 1) == (kind != FULL), "not resumed");
    must(kind < EARLY || SSL_get_early_data_status(w.end[1].hs.ssl) == SSL_EARLY_DATA_ACCEPTED,
         "early data was refused");
    *verified = w.end[0].hs.verified && w.end[1].hs.verified;
    double ms = (double)(w.now - TK_START) / 1e6;
    w.end[0].got_all = false;
    run(&w, w.now + NS_PER_S); /* the next ticket, which is good once */
    for (int i = 0; i < 2; i++) {
        cpu_ms[i] = (double)w.end[i].cpu / 1e6;
    }
    world_free(&w);
    return ms;
}

static void dials(enum kind kind, size_t times)
{
    static double cpu[2][TIMES_MAX];
    bool verified = false;

    learn(kind == EARLY_TWICE);
    for (uint64_t rtt = 0; rtt <= 100; rtt += rtt == 0 ? 30 : 70) {
        double one[2];
        report("dial, request and answer", kind_name[kind], rtt, dial(kind, rtt, one, &verified),
               "ms");
    }
    for (size_t i = 0; i < times; i++) {
        double one[2];
        (void)dial(kind, 0, one, &verified);
        cpu[0][i] = one[0];
        cpu[1][i] = one[1];
    }
    report("cpu of the client", kind_name[kind], 0, median(cpu[0], times), "ms");
    report("cpu of the server", kind_name[kind], 0, median(cpu[1], times), "ms");
    report("both ends proved their identity in it", kind_name[kind], 0, verified, "bool");
    const unsigned char *ticket;
    size_t len;
    SSL_SESSION_get0_ticket(node.session, &ticket, &len);
    report("ticket", kind_name[kind], 0, (double)len, "bytes");
    report("session", kind_name[kind], 0, i2d_SSL_SESSION(node.session, NULL), "bytes");
    nodes_free();
}

/* The packets of one request in early data, given |copies| times to a server: how often it takes it. */
static unsigned replay(bool stateless, unsigned copies)
{
    static struct world w, again;
    unsigned taken = 0;

    learn(stateless);
    world_init(&w, 0, EARLY);
    shake(&w, EARLY);
    ask(&w.end[0]);
    run(&w, w.now + 10 * NS_PER_S);
    taken += w.end[1].got_all ? 1 : 0;
    for (unsigned i = 1; i < copies; i++) {
        memset(&again, 0, sizeof again);
        again.now = TK_START;
        end_make(&again, true, EARLY);
        for (size_t k = 0; k < w.taped; k++) {
            take(&again.end[1], &w.tape[k]);
            flush(&again.end[1]);
        }
        taken += again.end[1].got_all ? 1 : 0;
        end_free(&again.end[1]);
    }
    world_free(&w);
    nodes_free();
    return taken;
}

/* The dial as it is, by the code of the node. */
static struct tk tk;

static bool answered(struct tk *t)
{
    return t->ep[0].fins > 0;
}

static void answer(struct tk_ep *ep, const struct link_ev *ev)
{
    if (ev->type == LINK_DATA) {
        quic_link_ops.consume(ep->q, ev->link, ev->sid, ev->data.len);
    } else if (ev->type == LINK_FIN) {
        must(quic_link_ops.write(ep->q, ev->link, ev->sid, (struct slice){zeros, ANSWER}) ==
                 QUDAG_OK,
             "write");
        quic_link_ops.fin(ep->q, ev->link, ev->sid);
    }
}

static void begin(struct tk_ep *ep, const struct link_ev *ev)
{
    int64_t sid;

    if (ev->type == LINK_UP) {
        must(quic_link_ops.open(ep->q, ev->link, 1, NULL, &sid) == QUDAG_OK, "open");
        must(quic_link_ops.write(ep->q, ev->link, sid, (struct slice){zeros, ASK}) == QUDAG_OK,
             "write");
        quic_link_ops.fin(ep->q, ev->link, sid);
    } else if (ev->type == LINK_DATA) {
        quic_link_ops.consume(ep->q, ev->link, ev->sid, ev->data.len);
    }
}

static double as_it_is(void)
{
    tstamp from = tk.now;
    struct ref link;

    tk.ep[0].fins = 0;
    must(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link) == QUDAG_OK, "dial");
    must(tk_run(&tk, 20 * NS_PER_S, answered), "no answer");
    double ms = (double)(tk.now - from) / 1e6;
    (void)tk_run(&tk, NS_PER_S, NULL);
    quic_link_ops.close(tk.ep[0].q, link, QUDAG_OK);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    return ms;
}

static void dials_as_they_are(void)
{
    static const char *const what[] = {"first", "with a token", "with a token, from elsewhere"};

    for (uint64_t rtt = 0; rtt <= 100; rtt += rtt == 0 ? 30 : 70) {
        const struct tk_opt o = {.pq = PQ_PREFER};

        tk_init(&tk);
        tk.delay_ns = rtt * NS_PER_MS / 2;
        must(tk_make(&tk, 0, &o) && tk_make(&tk, 1, &o), "endpoints");
        tk.ep[0].app = begin;
        tk.ep[1].app = answer;
        for (size_t i = 0; i < ARRAY_LEN(what); i++) {
            tk.ep[0].addr.ip[3] = i == 2 ? 99 : tk.ep[0].addr.ip[3];
            report("dial, request and answer", what[i], rtt, as_it_is(), "ms");
        }
        tk_fini(&tk);
    }
}

/* A link, on which the client's NAT forgets and |gap| later its address changes; the next answer comes after, ms. */
static double migrate(uint64_t rtt_ms, bool nat, uint64_t gap)
{
    static struct world w;
    struct sockaddr_in sa[2];
    ngtcp2_path path;

    learn(false);
    world_init(&w, rtt_ms, FULL);
    struct end *c = &w.end[0];
    shake(&w, FULL);
    run(&w, w.now + 3 * NS_PER_S);
    must(c->confirmed, "not confirmed");
    if (nat) {
        w.nat = (struct netaddr){.family = 4, .ip = {10, 0, 0, 1}, .port = 5555};
        ask(c);
        run(&w, w.now + 5 * NS_PER_S);
        must(c->got_all, "the port was not followed");
        c->got_all = false;
        run(&w, w.now + gap);
        w.nat.family = 0;
    }
    c->addr = (struct netaddr){.family = 4, .ip = {172, 16, 0, 7}, .port = 4001};
    path_of(&path, sa, &c->addr, &c->peer);
    tstamp from = w.now;
    must(c->closed || ngtcp2_conn_initiate_immediate_migration(c->ng, &path, w.now) == 0,
         "migration");
    ask(c);
    run(&w, w.now + 5 * NS_PER_S);
    double ms = c->got_all ? (double)(w.now - from) / 1e6 : -1;
    c->got_all = false;
    run(&w, w.now + 5 * NS_PER_S);
    ms = c->closed || w.end[1].closed ? -1 : ms;
    world_free(&w);
    nodes_free();
    return ms;
}

static void migrations(void)
{
    static const uint64_t gap_ms[] = {0, 20, 50, 100, 200, 500};

    for (uint64_t rtt = 0; rtt <= 100; rtt += rtt == 0 ? 30 : 70) {
        report("migrate, request and answer", "address", rtt, migrate(rtt, false, 0), "ms");
    }
    for (uint64_t rtt = 30; rtt <= 100; rtt += 70) {
        for (size_t i = 0; i < ARRAY_LEN(gap_ms); i++) {
            char text[64];
            double ms = migrate(rtt, true, gap_ms[i] * NS_PER_MS);
            (void)snprintf(text, sizeof text, "address %llu ms after an answer to another port",
                           (unsigned long long)gap_ms[i]);
            report("migrate, request and answer (-1: the link ended)", text, rtt, ms, "ms");
        }
    }
}

int main(int argc, char **argv)
{
    size_t times = option(argc, argv, "--times", 20);

    times = times < TIMES_MAX ? times : TIMES_MAX;
    must(ngtcp2_crypto_ossl_init() == 0, "init");
    dials_as_they_are();
    for (int k = FULL; k <= EARLY_TWICE; k++) {
        dials((enum kind)k, times);
    }
    report("replay: taken of 5", "single use", 0, replay(false, 5), "times");
    report("replay: taken of 5", "stateless", 0, replay(true, 5), "times");
    migrations();
    return 0;
}
