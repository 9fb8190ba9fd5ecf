/*
 * callbacks.c - the callbacks of ngtcp2, which run while it reads or writes a packet.
 *
 * They only note facts and queue events; nothing here ends a connection or calls the owner.
 */
#include "quic/account.h"
#include "quic/quic_int.h"

#include <string.h>

static int no_memory(struct quic_conn *c)
{
    c->why = QUDAG_ENOMEM;
    c->why_text = "out of memory";
    return NGTCP2_ERR_CALLBACK_FAILURE;
}

static int push(struct quic_conn *c, const struct quic_stream *s, enum link_ev_type type,
                struct slice data, qudag_err err)
{
    struct link_ev ev = {
        .type = type, .err = err, .link = c->ref, .sid = s->id, .user = s->user, .data = data};

    return quic_ev_push(c->q, &ev) ? 0 : no_memory(c);
}

/*
 * A token that spares the peer's next handshake a round trip.  It carries the name of our key when
 * the peer, a QuDAG node, has just seen that key: then the next certificate may be the short one.
 */
static void give_token(struct quic_conn *c)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN + TOKEN_NAME_LEN];
    const uint8_t *name = sec_own_pq_hash(c->q->cfg.sec);
    size_t name_len = name != NULL && sec_hs_pq_both(&c->hs) ? TOKEN_NAME_LEN : 0;
    struct quic_sockaddr to;
    ngtcp2_ssize n;

    quic_addr_to_sock(&to, &c->remote);
    n = quic_token_seal(c->q, token, &to, (struct slice){name, name_len});
    if (n > 0) {
        /* A courtesy; without memory the peer gets none. */
        (void)ngtcp2_conn_submit_new_token(c->ng, token, (size_t)n);
    }
}

static int on_completed(ngtcp2_conn *ng, void *user_data)
{
    struct quic_conn *c = user_data;

    (void)ng;
    if (!c->hs.verified) {
        c->why = QUDAG_EAUTH;
        c->why_text = "the peer presented no certificate";
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    c->completed = true;
    sec_hs_report(&c->hs, &c->info);
    c->q->stats.early_refused += sec_hs_early_refused(&c->hs) ? 1 : 0;
    quic_conn_keep_alive(c);
    if (c->server) {
        c->confirmed = true;
        give_token(c);
        return quic_conn_up(c) ? 0 : no_memory(c);
    }
    quic_token_learn(c->q, &c->first_remote, &c->info.peer, c->hs.known);
    const struct link_ev proven = {.type = LINK_PROVEN, .link = c->ref};
    return quic_ev_push(c->q, &proven) ? 0 : no_memory(c);
}

static int on_confirmed(ngtcp2_conn *ng, void *user_data)
{
    struct quic_conn *c = user_data;

    (void)ng;
    c->confirmed = true;
    return quic_conn_up(c) ? 0 : no_memory(c);
}

static int on_crypto(ngtcp2_conn *ng, ngtcp2_encryption_level level, uint64_t offset,
                     const uint8_t *data, size_t len, void *user_data)
{
    struct quic_conn *c = user_data;

    /* After the handshake the TLS object is gone and nothing it could say is wanted: tickets, that is. */
    if (c->completed) {
        bool ticket = !c->server && offset == 0 && len > 0 && data[0] == SSL3_MT_NEWSESSION_TICKET;
        c->q->stats.tickets_refused += ticket ? 1 : 0;
        return 0;
    }
    return ngtcp2_crypto_recv_crypto_data_cb(ng, level, offset, data, len, user_data);
}

static int on_stream_open(ngtcp2_conn *ng, int64_t id, void *user_data)
{
    struct quic_conn *c = user_data;
    struct quic_stream *s = NULL;

    /* A peer that opens streams to us has accepted us, even if HANDSHAKE_DONE is still on its way. */
    if (!quic_conn_up(c) || quic_stream_add(c, id, &s) != QUDAG_OK ||
        ngtcp2_conn_set_stream_user_data(ng, id, s) != 0) {
        return no_memory(c);
    }
    c->streams_left -= c->streams_left > 0 ? 1 : 0;
    c->streams_new++;
    return push(c, s, LINK_STREAM, (struct slice){NULL, 0}, QUDAG_OK);
}

static int report_reset(struct quic_conn *c, struct quic_stream *s, qudag_err err)
{
    return quic_stream_report_reset(s, err) ? 0 : no_memory(c);
}

/* There is no room for what came on |s|: it ends on both sides, which is nobody's fault. */
static int refuse_data(struct quic_conn *c, struct quic_stream *s, uint64_t len)
{
    ngtcp2_conn_extend_max_offset(c->ng, s->unconsumed + len);
    quic_credit_taken(s, s->unconsumed);
    /* Fails without memory only; then the idle timeout ends what is left. */
    (void)ngtcp2_conn_shutdown_stream(c->ng, 0, s->id, link_code(QUDAG_ELIMIT));
    return report_reset(c, s, QUDAG_ELIMIT);
}

static int on_data(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t offset,
                   const uint8_t *data, size_t len, void *user_data, void *stream_user_data)
{
    struct quic_conn *c = user_data;
    struct quic_stream *s = stream_user_data;

    (void)offset;
    if (s == NULL || s->dead) {
        /* Nobody will consume it. */
        (void)ngtcp2_conn_extend_max_stream_offset(ng, id, len);
        ngtcp2_conn_extend_max_offset(ng, len);
        return 0;
    }
    if (len > 0 && quic_account_ask(s, RES_RECEIVED, len) != QUDAG_OK) {
        return refuse_data(c, s, len);
    }
    if (len > 0) {
        s->unconsumed += len;
        c->useful += len;
        if (push(c, s, LINK_DATA, (struct slice){data, len}, QUDAG_OK) != 0) {
            return NGTCP2_ERR_CALLBACK_FAILURE;
        }
    }
    if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0 && !s->rx_done) {
        s->rx_done = true;
        if (push(c, s, LINK_FIN, (struct slice){NULL, 0}, QUDAG_OK) != 0) {
            return NGTCP2_ERR_CALLBACK_FAILURE;
        }
        if (s->stopped && !s->fin_sent) {
            return report_reset(c, s, QUDAG_ERESET);
        }
    }
    return 0;
}

static int on_acked(ngtcp2_conn *ng, int64_t id, uint64_t offset, uint64_t len, void *user_data,
                    void *stream_user_data)
{
    struct quic_conn *c = user_data;

    (void)ng;
    (void)id;
    c->useful += len;
    if (stream_user_data != NULL) {
        quic_stream_acked(stream_user_data, offset + len);
    }
    return 0;
}

/*
 * In portions: each is a frame, mostly in a packet of its own that has to be acknowledged.  But at once
 * when the peer runs short: it may hold so many streams open that a portion never gathers.
 */
static void give_streams(struct quic_conn *c)
{
    uint32_t portion = c->q->cfg.streams_bidi_max / 4;

    c->streams_over++;
    if (c->streams_over >= portion || c->streams_left < portion) {
        ngtcp2_conn_extend_max_streams_bidi(c->ng, c->streams_over);
        c->streams_left += c->streams_over;
        c->streams_over = 0;
    }
}

static int on_stream_close(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t code,
                           void *user_data, void *stream_user_data)
{
    struct quic_conn *c = user_data;
    struct quic_stream *s = stream_user_data;
    int rv = 0;

    (void)flags;
    if (ngtcp2_conn_is_local_stream(ng, id) == 0) {
        give_streams(c);
    }
    if (s == NULL) {
        return 0;
    }
    if (!s->dead && !(s->rx_done && s->fin_sent)) {
        rv = report_reset(c, s, link_code_error(code));
    }
    if (s->unconsumed > 0) {
        ngtcp2_conn_extend_max_offset(ng, s->unconsumed);
        quic_credit_taken(s, s->unconsumed);
    }
    s->closed = true;
    list_del(&s->node);
    list_push_back(&c->q->zombies, &s->node);
    return rv;
}

static int on_stream_reset(ngtcp2_conn *ng, int64_t id, uint64_t final_size, uint64_t code,
                           void *user_data, void *stream_user_data)
{
    struct quic_conn *c = user_data;
    struct quic_stream *s = stream_user_data;

    (void)final_size;
    if (s == NULL || s->dead) {
        return 0;
    }
    if (ngtcp2_conn_shutdown_stream(ng, 0, id, code) != 0) {
        return no_memory(c);
    }
    return report_reset(c, s, link_code_error(code));
}

static int on_stream_limit(ngtcp2_conn *ng, uint64_t max_streams, void *user_data)
{
    struct quic_conn *c = user_data;

    (void)ng;
    (void)max_streams;
    if (c->streams_blocked && c->announced) {
        c->streams_blocked = false;
        if (!list_linked(&c->streams_ok)) {
            list_push_back(&c->q->streams_ok, &c->streams_ok);
        }
    }
    return 0;
}

static int on_stream_credit(ngtcp2_conn *ng, int64_t id, uint64_t max_data, void *user_data,
                            void *stream_user_data)
{
    (void)ng;
    (void)id;
    (void)max_data;
    (void)user_data;
    if (stream_user_data != NULL) {
        quic_stream_wake(stream_user_data);
    }
    return 0;
}

static void on_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
    const struct rng *rng = ctx->native_handle;

    rng_fill(rng, dest, len);
}

static int on_path_challenge(ngtcp2_conn *ng, uint8_t *data, void *user_data)
{
    struct quic_conn *c = user_data;

    (void)ng;
    rng_fill(&c->q->cfg.rng, data, NGTCP2_PATH_CHALLENGE_DATALEN);
    return 0;
}

static int on_new_cid(ngtcp2_conn *ng, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user_data)
{
    struct quic_conn *c = user_data;
    const struct quic *q = c->q;
    uint8_t bytes[CID_LEN];

    (void)ng;
    if (len != CID_LEN) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    quic_cid_make(q, bytes);
    ngtcp2_cid_init(cid, bytes, sizeof bytes);
    if (ngtcp2_crypto_generate_stateless_reset_token(token, q->cfg.reset_key,
                                                     sizeof q->cfg.reset_key, cid) != 0) {
        c->why = QUDAG_EINTERNAL;
        c->why_text = "no stateless reset token";
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    qudag_err err = quic_cid_bind(c, bytes, sizeof bytes);
    if (err != QUDAG_OK) {
        c->why = err;
        c->why_text = err == QUDAG_ELIMIT ? "the peer wants too many connection ids"
                                          : "no place for a connection id";
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

static int on_cid_gone(ngtcp2_conn *ng, const ngtcp2_cid *cid, void *user_data)
{
    (void)ng;
    quic_cid_unbind(user_data, cid->data, cid->datalen);
    return 0;
}

static int on_dcid(ngtcp2_conn *ng, ngtcp2_connection_id_status_type type, uint64_t seq,
                   const ngtcp2_cid *cid, const uint8_t *token, void *user_data)
{
    (void)ng;
    (void)seq;
    (void)cid;
    if (token == NULL) {
        return 0;
    }
    if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE) {
        quic_cid_reset_bind(user_data, token);
    } else {
        quic_cid_reset_unbind(user_data, token);
    }
    return 0;
}

static int on_stateless_reset(ngtcp2_conn *ng, const ngtcp2_pkt_stateless_reset *sr,
                              void *user_data)
{
    struct quic_conn *c = user_data;

    (void)ng;
    (void)sr;
    c->was_reset = true;
    return 0;
}

/* The library makes the next keys as soon as the present ones are confirmed. */
static int on_update_key(ngtcp2_conn *ng, uint8_t *rx_secret, uint8_t *tx_secret,
                         ngtcp2_crypto_aead_ctx *rx_aead_ctx, uint8_t *rx_iv,
                         ngtcp2_crypto_aead_ctx *tx_aead_ctx, uint8_t *tx_iv,
                         const uint8_t *current_rx_secret, const uint8_t *current_tx_secret,
                         size_t secret_len, void *user_data)
{
    quic_conn_keys_new(user_data);
    return ngtcp2_crypto_update_key_cb(ng, rx_secret, tx_secret, rx_aead_ctx, rx_iv, tx_aead_ctx,
                                       tx_iv, current_rx_secret, current_tx_secret, secret_len,
                                       user_data);
}

static int on_new_token(ngtcp2_conn *ng, const uint8_t *token, size_t len, void *user_data)
{
    struct quic_conn *c = user_data;

    (void)ng;
    quic_token_store(c->q, &c->first_remote, &c->info.peer, (struct slice){token, len});
    return 0;
}

/* Padding that ngtcp2 has no means to ask for; see shape.h. */
static int on_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                      const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *payload, size_t len,
                      const uint8_t *nonce, size_t nonce_len, const uint8_t *head, size_t head_len)
{
    /* Without a payload it is no packet: ngtcp2 checks the tag of a Retry so, however short that is. */
    size_t more = len > 0 ? quic_shape_more(head[0], head_len + len + aead->max_overhead) : 0;

    if (more > 0) {
        ASSERT(dest == payload); /* it is sealed where it lies, with room behind */
        memset(dest + len, 0, more);
    }
    return ngtcp2_crypto_encrypt_cb(dest, aead, ctx, payload, len + more, nonce, nonce_len, head,
                                    head_len);
}

#define CALLBACKS_COMMON                                                                           \
    .recv_crypto_data = on_crypto, .handshake_completed = on_completed, .encrypt = on_encrypt,     \
    .decrypt = ngtcp2_crypto_decrypt_cb, .hp_mask = ngtcp2_crypto_hp_mask_cb,                      \
    .recv_stream_data = on_data, .acked_stream_data_offset = on_acked,                             \
    .stream_open = on_stream_open, .stream_close = on_stream_close,                                \
    .recv_stateless_reset = on_stateless_reset, .extend_max_local_streams_bidi = on_stream_limit,  \
    .rand = on_rand, .get_new_connection_id = on_new_cid, .remove_connection_id = on_cid_gone,     \
    .update_key = on_update_key, .stream_reset = on_stream_reset,                                  \
    .extend_max_stream_data = on_stream_credit, .dcid_status = on_dcid,                            \
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,                             \
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,                         \
    .get_path_challenge_data = on_path_challenge,                                                  \
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb

const ngtcp2_callbacks quic_conn_callbacks_client = {
    CALLBACKS_COMMON,
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .handshake_confirmed = on_confirmed,
    .recv_new_token = on_new_token,
};

const ngtcp2_callbacks quic_conn_callbacks_server = {
    CALLBACKS_COMMON,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
};
