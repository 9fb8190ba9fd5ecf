/*
 * conn.c - one connection: making it, feeding it, ending it.
 *
 *   HANDSHAKE --completed/confirmed--> UP --closed, failed, idle--> LINGER --3 PTO--> freed
 *        \___________________ refused, timeout ___________________/
 *
 * In LINGER the ngtcp2 object is gone; what is left repeats the CONNECTION_CLOSE to a peer that has
 * not seen it, with doubling gaps, so that it can never be made to amplify.
 */
#include "quic/account.h"
#include "quic/ack.h"
#include "quic/quic_int.h"
#include "quic/timer.h"

#include <openssl/err.h>
#include <string.h>

#define LINGER_NS (3 * NS_PER_S)
#define STEP_NS NS_PER_MS /* a timer that fired waits at least this long before it fires again */
#define PACE_STEP NS_PER_MS
#define NEVER_YET (TSTAMP_NEVER - 1)
#define REKEY_NS (3600 * NS_PER_S)     /* life of traffic keys, spec/link.md 1.10 */
#define REKEY_RETRY_NS (10 * NS_PER_S) /* the last update is not confirmed yet */

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    const struct quic_conn *c = ref->user_data;

    return c->ng;
}

static void count(const struct quic_conn *c, bool made)
{
    struct quic_stats *st = &c->q->stats;

    st->conns = made ? st->conns + 1 : st->conns - 1;
}

/* An object in the tables, with a TLS object but no ngtcp2 one yet. */
static struct quic_conn *conn_alloc(struct quic *q, bool server, const struct netaddr *remote,
                                    const struct sec_expect *expect)
{
    struct quic_conn *c = mem_alloc(q->mem, sizeof *c);
    SSL *ssl;

    if (c == NULL) {
        return NULL;
    }
    c->q = q;
    c->server = server;
    c->remote = *remote;
    c->first_remote = *remote;
    c->net = netaddr_group(remote);
    c->started = q->now;
    c->hs_deadline = tstamp_after(q->now, q->cfg.handshake_timeout_ns);
    c->rekey_at = TSTAMP_NEVER;
    c->info.since = q->now;
    c->streams_left = q->cfg.streams_bidi_max;
    list_init(&c->dirty);
    list_init(&c->suspect);
    list_init(&c->silent);
    list_init(&c->down);
    list_init(&c->streams_ok);
    list_init(&c->ready);
    list_init(&c->blocked);
    ngtcp2_ccerr_default(&c->close_err);
    c->conn_ref = (ngtcp2_crypto_conn_ref){.get_conn = get_conn, .user_data = c};
    if (sec_hs_start(&c->hs, q->cfg.sec, server, expect) != QUDAG_OK) {
        mem_free(q->mem, c);
        return NULL;
    }
    c->hs.now = q->now;
    ssl = c->hs.ssl;
    SSL_set_app_data(ssl, &c->conn_ref);
    if ((server ? ngtcp2_crypto_ossl_configure_server_session(ssl)
                : ngtcp2_crypto_ossl_configure_client_session(ssl)) != 0 ||
        ngtcp2_crypto_ossl_ctx_new(&c->ossl, ssl) != 0) {
        sec_hs_stop(&c->hs);
        mem_free(q->mem, c);
        return NULL;
    }
    if (slots_add(&q->conns, c, &c->ref) != QUDAG_OK) {
        ngtcp2_crypto_ossl_ctx_del(c->ossl);
        sec_hs_stop(&c->hs);
        mem_free(q->mem, c);
        return NULL;
    }
    count(c, true);
    return c;
}

static void fill_settings(ngtcp2_settings *st, struct quic *q, struct slice token,
                          ngtcp2_token_type token_type)
{
    ngtcp2_settings_default(st);
    st->initial_ts = q->now;
    st->ack_thresh = 1; /* an answer written at once takes the acknowledgement with it */
    st->cc_algo = q->cfg.bbr ? NGTCP2_CC_ALGO_BBR : NGTCP2_CC_ALGO_CUBIC;
    st->max_tx_udp_payload_size = SHAPE_FULL;
    st->no_pmtud = 1;
    st->rand_ctx.native_handle = &q->cfg.rng;
    st->token = token.base;
    st->tokenlen = token.len;
    st->token_type = token_type;
}

static void fill_params(ngtcp2_transport_params *tp, const struct quic *q)
{
    ngtcp2_transport_params_default(tp);
    tp->initial_max_stream_data_bidi_local = q->cfg.stream_window;
    tp->initial_max_stream_data_bidi_remote = q->cfg.stream_window;
    tp->initial_max_data = q->cfg.conn_window;
    tp->initial_max_streams_bidi = q->cfg.streams_bidi_max;
    tp->max_idle_timeout = q->cfg.idle_timeout_ns;
    tp->active_connection_id_limit = 3;
    tp->disable_active_migration = 1;
}

/* |out| and all tables know the connection, or it never was. */
static qudag_err finish_new(struct quic_conn **out, struct quic_conn *c,
                            const uint8_t scid[CID_LEN])
{
    qudag_err err = quic_cid_bind(c, scid, CID_LEN);

    if (err == QUDAG_OK) {
        err = heap_set(&c->q->timers, &c->timer, c->hs_deadline);
    }
    if (err != QUDAG_OK) {
        quic_conn_free(c);
        return err;
    }
    ngtcp2_conn_set_tls_native_handle(c->ng, c->ossl);
    *out = c;
    return QUDAG_OK;
}

qudag_err quic_conn_new_client(struct quic_conn **out, struct quic *q, const struct quic_dial *d)
{
    struct sec_expect expect = {.has_peer = d->peer != NULL,
                                .has_pq_hash = d->pq_hash != NULL,
                                .lax = d->lax,
                                .need = d->need};
    uint8_t scid_bytes[CID_LEN], dcid_bytes[18], token[TOKEN_MAX];
    struct slice token_slice = {token, 0};
    struct quic_sockaddr local, remote;
    ngtcp2_transport_params tp;
    ngtcp2_settings st;
    ngtcp2_cid scid, dcid;
    ngtcp2_path path;
    struct quic_conn *c;

    if (d->peer != NULL) {
        expect.peer = *d->peer;
    }
    if (d->pq_hash != NULL) {
        memcpy(expect.pq_hash, d->pq_hash, sizeof expect.pq_hash);
    }
    c = conn_alloc(q, false, &d->remote, &expect);
    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    c->announced = true;
    c->local = d->local;
    c->local_fixed = d->local.family != 0;
    if (d->peer != NULL) {
        token_slice.len = quic_token_take(q, &d->remote, d->peer, c->hs.known, token);
    }
    fill_settings(&st, q, token_slice,
                  token_slice.len > 0 ? NGTCP2_TOKEN_TYPE_NEW_TOKEN : NGTCP2_TOKEN_TYPE_UNKNOWN);
    fill_params(&tp, q);
    quic_cid_make(q, scid_bytes);
    rng_fill(&q->cfg.rng, dcid_bytes, sizeof dcid_bytes);
    ngtcp2_cid_init(&scid, scid_bytes, sizeof scid_bytes);
    ngtcp2_cid_init(&dcid, dcid_bytes, sizeof dcid_bytes);
    quic_addr_path(&path, &local, &remote, &d->remote);
    if (ngtcp2_conn_client_new(&c->ng, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1,
                               &quic_conn_callbacks_client, &st, &tp, &q->ng_mem, c) != 0) {
        c->ng = NULL;
        quic_conn_free(c);
        return QUDAG_ENOMEM;
    }
    return finish_new(out, c, scid_bytes);
}

qudag_err quic_conn_new_server(struct quic_conn **out, struct quic *q, const struct quic_dgram *d,
                               const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid, bool short_cert)
{
    struct quic_conn *c = conn_alloc(q, true, &d->remote, NULL);
    bool retried = odcid != NULL;
    ngtcp2_token_type type = retried ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
    struct slice key = {hd->dcid.data, hd->dcid.datalen};
    struct quic_sockaddr local, remote;
    uint8_t scid_bytes[CID_LEN];
    ngtcp2_transport_params tp;
    ngtcp2_settings st;
    ngtcp2_cid scid;
    ngtcp2_path path;

    if (c == NULL) {
        return QUDAG_ENOMEM;
    }
    if (short_cert) {
        sec_hs_present_short(&c->hs);
    }
    fill_settings(&st, q, (struct slice){hd->token, hd->tokenlen},
                  hd->tokenlen > 0 ? type : NGTCP2_TOKEN_TYPE_UNKNOWN);
    fill_params(&tp, q);
    quic_cid_make(q, scid_bytes);
    ngtcp2_cid_init(&scid, scid_bytes, sizeof scid_bytes);
    tp.original_dcid = retried ? *odcid : hd->dcid;
    tp.original_dcid_present = 1;
    tp.retry_scid = hd->dcid;
    tp.retry_scid_present = retried ? 1 : 0;
    tp.stateless_reset_token_present = 1;
    quic_addr_path(&path, &local, &remote, &d->remote);
    if (ngtcp2_crypto_generate_stateless_reset_token(tp.stateless_reset_token, q->cfg.reset_key,
                                                     sizeof q->cfg.reset_key, &scid) != 0 ||
        ngtcp2_conn_server_new(&c->ng, &hd->scid, &scid, &path, hd->version,
                               &quic_conn_callbacks_server, &st, &tp, &q->ng_mem, c) != 0) {
        c->ng = NULL;
        quic_conn_free(c);
        return QUDAG_ENOMEM;
    }
    if (key.len <= sizeof c->odcid && map_put(&q->cids, key, c) == QUDAG_OK) {
        memcpy(c->odcid, key.base, key.len);
        c->odcid_len = (uint8_t)key.len;
    }
    c->local = d->local;
    return finish_new(out, c, scid_bytes);
}

void quic_conn_mark_dirty(struct quic_conn *c)
{
    if (!list_linked(&c->dirty)) {
        list_push_back(&c->q->dirty, &c->dirty);
    }
}

/* The node is in the heap since the connection was made, so there is room for it. */
void quic_conn_timer(struct quic_conn *c, tstamp at)
{
    qudag_err err = heap_set(&c->q->timers, &c->timer, tstamp_min(at, NEVER_YET));

    ASSERT(err == QUDAG_OK);
}

void quic_conn_set_timer(struct quic_conn *c)
{
    tstamp at = ngtcp2_conn_get_expiry(c->ng);

    if (c->state == QUIC_CONN_UP && c->padding.most_ns == 0) {
        at = quic_timer_late(at, c->q->now); /* the times of padding are drawn, and kept */
    }
    if (c->state == QUIC_CONN_HANDSHAKE) {
        at = tstamp_min(at, c->hs_deadline);
    }
    if (c->held && !list_empty(&c->ready)) {
        at = tstamp_min(at, c->paced);
    }
    if (c->state == QUIC_CONN_UP) {
        at = tstamp_min(at, c->rekey_at);
        at = tstamp_min(at, quic_stall_due(c));
    }
    quic_conn_timer(c, at);
}

/* The client is first; a server whose client does nothing of the kind waits a quarter longer. */
void quic_conn_keys_new(struct quic_conn *c)
{
    uint64_t life = c->server ? REKEY_NS + REKEY_NS / 4 : REKEY_NS;

    c->rekey_at = tstamp_after(c->q->now, rng_jitter(&c->q->cfg.rng, life, 100));
}

static void rekey(struct quic_conn *c)
{
    if (c->state != QUIC_CONN_UP || c->rekey_at > c->q->now) {
        return;
    }
    if (ngtcp2_conn_initiate_key_update(c->ng, c->q->now) == 0) {
        c->q->stats.key_updates++;
        quic_conn_keys_new(c);
    } else {
        c->rekey_at = tstamp_after(c->q->now, REKEY_RETRY_NS);
    }
}

bool quic_conn_up(struct quic_conn *c)
{
    struct link_ev ev = {.type = LINK_UP, .link = c->ref};
    struct quic_stats *st = &c->q->stats;

    if (c->state != QUIC_CONN_HANDSHAKE) {
        return true;
    }
    if (quic_account_up(c) != QUDAG_OK) {
        return false;
    }
    if (!quic_ev_push(c->q, &ev)) {
        resources_end(c->q->accounts, &c->account);
        return false;
    }
    c->state = QUIC_CONN_UP;
    c->announced = true;
    c->info.since = c->q->now;
    c->info.handshake_ns = c->q->now - c->started;
    if (c->server) {
        c->info.props |= LINK_INBOUND;
        st->handshakes_ok_in++;
    } else {
        st->handshakes_ok_out++;
    }
    return true;
}

/*
 * ngtcp2's helper keeps the last 4 KiB that TLS wrote for as long as it lives: one without takes its place.  Only where
 * nothing of it can be sent again, which is so without tickets: all else has gone with the keys of the handshake.
 */
static void drop_written(struct quic_conn *c)
{
    ngtcp2_crypto_ossl_ctx *bare = NULL;

    bool tickets = c->server && SSL_get_num_tickets(c->hs.ssl) != 0;
    if (tickets || ngtcp2_crypto_ossl_ctx_new(&bare, NULL) != 0) {
        ngtcp2_crypto_ossl_ctx_set_ssl(c->ossl, NULL);
        return;
    }
    ngtcp2_conn_set_tls_native_handle(c->ng, bare);
    ngtcp2_crypto_ossl_ctx_del(c->ossl);
    c->ossl = bare;
}

void quic_conn_drop_tls(struct quic_conn *c)
{
    if (c->confirmed && c->hs.ssl != NULL) {
        drop_written(c);
        sec_hs_stop(&c->hs);
    }
}

/* Stops everything that needs memory; ids stay so that late packets find us. */
static void drop_engine(struct quic_conn *c)
{
    quic_account_over(c);
    list_del(&c->suspect);
    list_del(&c->silent);
    list_del(&c->streams_ok);
    if (c->ng != NULL) {
        ngtcp2_conn_del(c->ng);
        c->ng = NULL;
    }
    if (c->ossl != NULL) {
        ngtcp2_crypto_ossl_ctx_del(c->ossl);
        c->ossl = NULL;
    }
    sec_hs_stop(&c->hs);
}

void quic_conn_free(struct quic_conn *c)
{
    struct quic *q = c->q;

    if (c->state != QUIC_CONN_LINGER) {
        count(c, false);
    }
    drop_engine(c);
    quic_stream_free_all(c);
    resources_end(q->accounts, &c->account);
    quic_cid_unbind_all(c);
    list_del(&c->dirty);
    if (list_linked(&c->down)) {
        list_del(&c->down);
        if (c->state == QUIC_CONN_LINGER && !c->down_unread) {
            q->linger_n--;
        }
    }
    heap_del(&q->timers, &c->timer);
    slots_del(&q->conns, c->ref);
    mem_free(q->mem, c->last_pkt);
    mem_free(q->mem, c);
}

void quic_conn_linger(struct quic_conn *c)
{
    struct quic *q = c->q;

    slots_del(&q->conns, c->ref);
    quic_stream_free_all(c);
    resources_end(q->accounts, &c->account);
    if (c->expired) {
        quic_conn_free(c);
        return;
    }
    list_push_back(&q->linger, &c->down);
    q->linger_n++;
    if (q->linger_n > LINGER_MAX) {
        quic_conn_free(LIST_ENTRY(q->linger.next, struct quic_conn, down));
    }
}

/* The last packet, kept to be repeated. */
static void write_last(struct quic_conn *c)
{
    uint8_t buf[SHAPE_FULL + SHAPE_ACK];
    ngtcp2_path_storage ps;
    ngtcp2_pkt_info pi;
    ngtcp2_ssize n;
    size_t len;

    ngtcp2_path_storage_zero(&ps);
    n = ngtcp2_conn_write_connection_close(c->ng, &ps.path, &pi, buf, SHAPE_FULL, &c->close_err,
                                           c->q->now);
    if (n <= 0) {
        return;
    }
    len = quic_shape_len(buf, (size_t)n);
    c->last_pkt = mem_alloc(c->q->mem, len);
    if (c->last_pkt != NULL) {
        memcpy(c->last_pkt, buf, len);
        c->last_len = (uint16_t)len;
        c->last_due = true;
        if (ps.path.remote.addrlen > 0) {
            quic_addr_from_sock(&c->remote, ps.path.remote.addr);
        }
    }
}

static void count_failure(const struct quic_conn *c)
{
    struct quic_stats *st = &c->q->stats;

    if (c->state == QUIC_CONN_UP || c->muted) {
        return;
    }
    st->handshakes_failed++;
    switch (c->why) {
    case QUDAG_ETIMEOUT:
        st->handshakes_timeout++;
        break;
    case QUDAG_EAUTH:
    case QUDAG_EEXPIRED:
    case QUDAG_ECLOCK:
    case QUDAG_EMALFORMED:
        st->auth_failed++;
        break;
    case QUDAG_EPOLICY:
        st->policy_refused++;
        if (c->hs.expect.need != 0) {
            st->pin_refused++;
        }
        break;
    default:
        break;
    }
}

static void log_end(const struct quic_conn *c)
{
    char text[NETADDR_TEXT_MAX] = "";

    (void)netaddr_text(text, sizeof text, &c->remote);
    log_event(&c->q->cfg.log, c->state == QUIC_CONN_UP ? LOG_DEBUG : LOG_INFO,
              c->state == QUIC_CONN_UP ? "quic.link.down" : "quic.handshake.failed",
              LOG_ERR(c->why), LOG_STR("why", c->why_text == NULL ? "" : c->why_text),
              LOG_NET("remote", text));
}

void quic_conn_fail(struct quic_conn *c, qudag_err why, const char *text, bool say)
{
    tstamp until = tstamp_after(c->q->now, LINGER_NS);
    bool up = c->state == QUIC_CONN_UP;

    ASSERT(c->state != QUIC_CONN_LINGER);
    c->why = why;
    c->why_text = text;
    count_failure(c);
    log_end(c);
    if (say) {
        ERR_clear_error();
        write_last(c);
    }
    count(c, false);
    c->info.streams = 0;
    drop_engine(c);
    c->state = QUIC_CONN_LINGER;
    if (!up && c->last_pkt == NULL) {
        until = c->q->now; /* nothing to repeat, nothing to expect */
    }
    quic_conn_timer(c, until);
    if (c->last_due) {
        quic_conn_mark_dirty(c);
    }
    if (c->announced) {
        quic_ev_down(c);
    } else {
        quic_conn_linger(c);
    }
}

/* What CONNECTION_CLOSE of the peer, or its stateless reset, means to us. */
static void fail_by_peer(struct quic_conn *c)
{
    const ngtcp2_ccerr *cc = ngtcp2_conn_get_ccerr(c->ng);
    const char *text = "closed by the peer";
    qudag_err err = QUDAG_ECLOSED;

    if (c->was_reset) {
        err = QUDAG_ERESET;
        text = "stateless reset: the peer no longer knows the link";
    } else if (cc->type == NGTCP2_CCERR_TYPE_APPLICATION) {
        if (cc->error_code == 0x1001 || cc->error_code == 0x1002) {
            err = QUDAG_ELIMIT;
            text = "the peer has reached its limits";
        } else if (cc->error_code == 0x1003) {
            err = QUDAG_EPROTO;
            text = "the peer reports a protocol violation by us";
        } else if (c->state != QUIC_CONN_HANDSHAKE && cc->error_code == 0x1006) {
            text = "the peer is shutting down";
        } else if (c->state == QUIC_CONN_HANDSHAKE || cc->error_code == 0x1007) {
            err = QUDAG_EREFUSED;
            text = "the peer refused the link";
        }
    } else if (cc->error_code >= NGTCP2_CRYPTO_ERROR &&
               cc->error_code < NGTCP2_CRYPTO_ERROR + 256) {
        err = sec_hs_why(&c->hs, (uint8_t)(cc->error_code - NGTCP2_CRYPTO_ERROR), true, &text);
    } else if (cc->error_code == NGTCP2_APPLICATION_ERROR) {
        err = c->server ? QUDAG_ECANCELED : QUDAG_EREFUSED; /* RFC 9000 10.2.3 */
        text = c->server ? "the dialler abandoned the dial" : "the peer refused the link";
    } else if (cc->error_code == NGTCP2_CONNECTION_REFUSED) {
        err = QUDAG_ELIMIT; /* RFC 9000 20.1: by a server that takes no more */
        text = "the peer accepts no more links now";
    } else if (cc->error_code != NGTCP2_NO_ERROR) {
        err = QUDAG_EPROTO;
        text = "the peer reports a QUIC error";
    } else if (c->state == QUIC_CONN_HANDSHAKE) {
        err = QUDAG_EREFUSED;
    }
    quic_conn_fail(c, err, text, false);
}

static void fail_by_lib(struct quic_conn *c, int rv)
{
    const char *text = NULL;
    qudag_err err;

    switch (rv) {
    case NGTCP2_ERR_DRAINING:
    case NGTCP2_ERR_CLOSING:
        fail_by_peer(c);
        return;
    case NGTCP2_ERR_RETRY:
    case NGTCP2_ERR_DROP_CONN:
        quic_conn_fail(c, QUDAG_EPROTO, "dropped", false);
        return;
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
    case NGTCP2_ERR_VERSION_NEGOTIATION_FAILURE:
        quic_conn_fail(c, QUDAG_EUNSUPPORTED, "the peer does not speak QUIC version 1", false);
        return;
    case NGTCP2_ERR_IDLE_CLOSE:
        quic_conn_fail(c, QUDAG_ETIMEOUT, "idle timeout", false);
        return;
    case NGTCP2_ERR_CRYPTO:
        ngtcp2_ccerr_set_tls_alert(&c->close_err, ngtcp2_conn_get_tls_alert(c->ng), NULL, 0);
        err = sec_hs_why(&c->hs, ngtcp2_conn_get_tls_alert(c->ng), false, &text);
        quic_conn_fail(c, err, text, true);
        return;
    case NGTCP2_ERR_NOMEM:
        ngtcp2_ccerr_set_liberr(&c->close_err, rv, NULL, 0);
        quic_conn_fail(c, QUDAG_ENOMEM, "out of memory", true);
        return;
    case NGTCP2_ERR_CALLBACK_FAILURE:
        ngtcp2_ccerr_set_liberr(&c->close_err, rv, NULL, 0);
        quic_conn_fail(c, c->why == QUDAG_OK ? QUDAG_EINTERNAL : c->why, c->why_text, true);
        return;
    default:
        ngtcp2_ccerr_set_liberr(&c->close_err, rv, NULL, 0);
        quic_conn_fail(c, QUDAG_EPROTO, ngtcp2_strerror(rv), true);
        return;
    }
}

/* What OpenSSL left behind must not be taken for an error of the TLS handshake that goes on here. */
static void clear_errors(const struct quic_conn *c)
{
    if (c->hs.ssl != NULL) {
        ERR_clear_error();
    }
}

void quic_conn_recv(struct quic_conn *c, const struct quic_dgram *d)
{
    struct quic_sockaddr local, remote;
    ngtcp2_pkt_info pi = {.ecn = d->ecn & 3};
    ngtcp2_path path;
    int rv;

    if (c->state == QUIC_CONN_LINGER) {
        c->linger_in++;
        if (c->last_pkt != NULL && (c->linger_in & (c->linger_in - 1)) == 0) {
            c->last_due = true;
            quic_conn_mark_dirty(c);
        }
        return;
    }
    bool first = c->accepted == 0 && !c->server;
    c->info.bytes_in += d->data.len;
    /* Another address of the same socket; never another socket: whoever knows of it would keep it open. */
    if (!c->local_fixed && c->server && d->local.family != 0 &&
        (c->local.family == 0 || c->local.port == d->local.port)) {
        c->local = d->local;
    }
    if (d->local.family != 0) {
        c->seen_local = d->local;
    }
    c->hs.now = c->q->now;
    quic_addr_path(&path, &local, &remote, &d->remote);
    clear_errors(c);
    rv = ngtcp2_conn_read_pkt(c->ng, &path, &pi, d->data.base, d->data.len, c->q->now);
    if (rv != 0) {
        fail_by_lib(c, rv);
        return;
    }
    ngtcp2_conn_info seen = {.pkt_recv = 0}; /* what could not be opened is nobody's answer */
    if (first && c->state == QUIC_CONN_HANDSHAKE) {
        ngtcp2_conn_get_conn_info(c->ng, &seen);
    }
    if (seen.pkt_recv > 0) {
        const struct link_ev ev = {.type = LINK_ANSWERED, .link = c->ref};
        bool told = quic_ev_push(c->q, &ev); /* nobody misses it where there is no memory */
        (void)told;
    }
    quic_conn_drop_tls(c);
    quic_conn_traffic(c);
    quic_stream_probe(c);
    c->unanswered++;
    quic_conn_answer(c, pi.ecn == NGTCP2_ECN_CE);
}

void quic_conn_answer(struct quic_conn *c, bool congested)
{
    struct quic_ack a = {.settled = c->state == QUIC_CONN_UP && c->confirmed && !c->close_wanted,
                         .work = !list_empty(&c->ready),
                         .congested = congested,
                         .packets = c->unanswered};
    tstamp at = tstamp_after(c->q->now, QUIC_ACK_WAIT);

    if (list_linked(&c->dirty)) {
        return; /* something is written in this turn anyway */
    }
    if (!quic_ack_waits(&a)) {
        quic_conn_mark_dirty(c);
    } else if (c->timer.at > at) { /* from the first that waits on: an earlier time stays */
        quic_conn_timer(c, at);
    }
}

void quic_conn_expire(struct quic_conn *c)
{
    tstamp soon = tstamp_after(c->q->now, STEP_NS);
    tstamp at;
    int rv;

    if (c->state == QUIC_CONN_LINGER) {
        c->expired = true;
        heap_del(&c->q->timers, &c->timer);
        if (!c->down_unread) {
            quic_conn_free(c);
        }
        return;
    }
    if (c->state == QUIC_CONN_HANDSHAKE && c->q->now >= c->hs_deadline) {
        ngtcp2_ccerr_set_transport_error(&c->close_err, NGTCP2_NO_ERROR, NULL, 0);
        quic_conn_fail(c, QUDAG_ETIMEOUT, "handshake timeout", true);
        return;
    }
    rv = ngtcp2_conn_handle_expiry(c->ng, c->q->now);
    if (rv != 0) {
        fail_by_lib(c, rv);
        return;
    }
    rekey(c);
    at = ngtcp2_conn_get_expiry(c->ng);
    quic_conn_timer(c, at > soon ? at : soon);
    quic_conn_mark_dirty(c);
}

static bool send_last(struct quic_conn *c, struct quic_tx *tx)
{
    if (!c->last_due) {
        return false;
    }
    c->last_due = false;
    memcpy(tx->buf, c->last_pkt, c->last_len);
    tx->remote = c->remote;
    tx->local = c->local;
    tx->ecn = 0;
    tx->len = c->last_len;
    tx->segment = c->last_len;
    return true;
}

/*
 * Pacing (RFC 9002 7.7) in steps: once more has left than the pace allows in PACE_STEP, the streams
 * wait until the pace has caught up.  ngtcp2 would space single batches, and on a fast path waking
 * for each of them costs more than sending it.
 */
static void pace(struct quic_conn *c, size_t len)
{
    tstamp now = c->q->now;
    ngtcp2_conn_info info;

    ngtcp2_conn_get_conn_info(c->ng, &info);
    c->paced = c->paced > now ? c->paced : now;
    /* A quarter faster than one window in a round trip. */
    c->paced += len * (info.smoothed_rtt / 5 * 4) / (info.cwnd > 0 ? info.cwnd : 1);
    c->held = c->paced > now + PACE_STEP;
}

static ngtcp2_ssize write_batch(struct quic_conn *c, struct quic_tx *tx, ngtcp2_path *path,
                                ngtcp2_pkt_info *pi, size_t *segment)
{
#if NGTCP2_VERSION_NUM >= 0x011100
    size_t quantum = ngtcp2_conn_get_send_quantum(c->ng);
    size_t room = QUIC_TX_MAX - SHAPE_ACK; /* see quic_shape_len() */
    ngtcp2_ssize n;

    if (!c->q->cfg.bbr) { /* it has a pace of its own */
        c->held = c->held && c->paced > c->q->now;
        n = ngtcp2_conn_write_aggregate_pkt2(c->ng, path, pi, tx->buf,
                                             quantum < room ? quantum : room, segment,
                                             quic_stream_write_pkt, 0, c->q->now);
        if (n > 0 && c->completed) {
            pace(c, (size_t)n);
        }
        return n;
    }
#endif
    return ngtcp2_conn_write_aggregate_pkt(c->ng, path, pi, tx->buf, QUIC_TX_MAX - SHAPE_ACK,
                                           segment, quic_stream_write_pkt, c->q->now);
}

bool quic_conn_send(struct quic_conn *c, struct quic_tx *tx)
{
    ngtcp2_path_storage ps;
    ngtcp2_pkt_info pi = {0};
    size_t segment = 0;
    ngtcp2_ssize n;

    if (c->state != QUIC_CONN_LINGER && c->close_wanted) {
        quic_conn_fail(c, c->why, c->why_text, true);
    }
    if (c->state == QUIC_CONN_LINGER) {
        return send_last(c, tx);
    }
    c->hs.now = c->q->now;
    ngtcp2_path_storage_zero(&ps);
    clear_errors(c);
    c->unanswered = 0;
    n = write_batch(c, tx, &ps.path, &pi, &segment);
    if (n < 0) {
        fail_by_lib(c, (int)n);
        return send_last(c, tx);
    }
    if (n > 0) {
        quic_conn_traffic(c);
    } else if (quic_stall_due(c) <= c->q->now) {
        quic_conn_fail(c, QUDAG_ETIMEOUT, "nothing may leave any more", true);
        return send_last(c, tx);
    }
    quic_conn_set_timer(c);
    if (n == 0) {
        return false;
    }
    quic_addr_from_sock(&c->remote, ps.path.remote.addr);
    tx->remote = c->remote;
    tx->local = c->local;
    tx->ecn = (uint8_t)(pi.ecn & 3);
    tx->len = (size_t)n;
    tx->segment = (uint16_t)segment;
    c->info.bytes_out += (uint64_t)n;
    return true;
}
