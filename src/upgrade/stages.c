/*
 * stages.c - the way of a byte stream to a link, and its bytes after that.
 *
 *   SECURITY ─ agreed ▶ TLS | NOISE ─ proven ─┬─ muxer agreed early ─▶ STREAMS
 *                                             └▶ MUXER ─ agreed ──────┘
 *
 * A listener's link is up with STREAMS, a dialler's with the first bytes that come opened: not before has the other
 * side accepted what the dialler proved.  Where the muxer was agreed on early he may send on streams until then
 * (LINK_PROVEN): that goes with what completes the handshake.
 */
#include "upgrade/upgrade_int.h"

#include <string.h>

static const char *const muxers[] = {UPGRADE_MUXER};
static const char *const alpn[] = {UPGRADE_MUXER, "libp2p", NULL};

/* Fills in what is the same for all of mss. */
static qudag_err propose(struct upgrade_link *l, const char *proto, bool sealed)
{
    uint8_t msg[MSS_DIAL_MAX];
    size_t len;
    qudag_err err = mss_dial(&l->mss, proto, msg, sizeof(msg), &len);

    if (err != QUDAG_OK) {
        return err;
    }
    struct slice out = {msg, len};
    return sealed ? upgrade_put_sealed(l, out) : upgrade_put(l, out);
}

static qudag_err begin_tls(struct upgrade_link *l)
{
    struct tls_stream_config c = {.mem = l->u->cfg.mem,
                                  .sec = l->u->cfg.sec,
                                  .server = !l->dialer,
                                  .expect = &l->expect,
                                  .protos = alpn + (l->u->late_muxer ? 1 : 0),
                                  .proto_needed = true};

    qudag_err err = tls_stream_new(&l->tls, &c, l->u->now);
    if (err == QUDAG_OK) {
        l->stage = STAGE_TLS;
    }
    return err;
}

/* A handshake message that waits in the session goes behind what is queued already. */
static qudag_err noise_flush(struct upgrade_link *l)
{
    struct slice out = noise_output(l->noise);

    qudag_err err = upgrade_put(l, out);
    if (err == QUDAG_OK) {
        noise_output_sent(l->noise, out.len);
    }
    return err;
}

static qudag_err begin_noise(struct upgrade_link *l, enum noise_suite suite)
{
    struct noise_config c = {
        .mem = l->u->cfg.mem, .rng = l->u->cfg.rng, .suite = suite, .initiator = l->dialer};

    qudag_err err = noise_new(&l->noise, &c);
    if (err == QUDAG_OK) {
        l->stage = STAGE_NOISE;
        err = upgrade_noise_start(l);
    }
    return err == QUDAG_OK ? noise_flush(l) : err;
}

static qudag_err begin_security(struct upgrade_link *l, enum upgrade_proto p)
{
    static const char *const name[UPGRADE_PROTOS] = {[UPGRADE_TLS] = "tls",
                                                     [UPGRADE_NOISE_HYBRID] = "noise-mlkem768-hfs",
                                                     [UPGRADE_NOISE] = "noise"};

    l->info.security = name[p];
    if (p == UPGRADE_TLS) {
        return begin_tls(l);
    }
    return begin_noise(l, p == UPGRADE_NOISE ? NOISE_XX : NOISE_XXHFS);
}

/* The dialler's proposal was refused. */
static qudag_err next_proposal(struct upgrade_link *l, const char **text)
{
    if (l->next_proto < l->n_protos) {
        return propose(l, l->protos[l->next_proto++], false);
    }
    *text = "the peer speaks no security protocol that this link may use";
    return l->n_protos < UPGRADE_PROTOS ? QUDAG_EPOLICY : QUDAG_EUNSUPPORTED;
}

/* mss before there is a security layer.  *used: of |in|. */
static qudag_err on_security(struct upgrade_link *l, struct slice in, size_t *used,
                             const char **text)
{
    uint8_t reply[MSS_REPLY_MAX];
    size_t len;
    enum mss_result r = mss_input(&l->mss, in, used, reply, sizeof(reply), &len);

    qudag_err err = upgrade_put(l, (struct slice){reply, len});
    if (err != QUDAG_OK) {
        return err;
    }
    switch (r) {
    case MSS_MORE:
        return QUDAG_OK;
    case MSS_DONE:
        if (l->agreeing) {
            l->agreeing = false;
            return QUDAG_OK;
        }
        return begin_security(l, l->proto[l->dialer ? l->next_proto - 1 : mss_chosen(&l->mss)]);
    case MSS_NA:
        return next_proposal(l, text);
    case MSS_FAIL:
        break;
    }
    *text = "the peer does not speak multistream-select, or no protocol of ours";
    return QUDAG_EPROTO;
}

static qudag_err begin_streams(struct upgrade_link *l)
{
    const struct upgrade_config *u = &l->u->cfg;
    struct yamux_config c = {.mem = u->mem,
                             .dialer = l->dialer,
                             .streams_max = u->streams_max,
                             .own_max = u->own_max,
                             .keepalive_ns = u->keepalive_ns,
                             .ping_timeout_ns = u->idle_timeout_ns - u->keepalive_ns};

    rng_fill(&u->rng, c.seed, sizeof(c.seed));
    qudag_err err = yamux_new(&l->yamux, &c, l->u->now);
    if (err == QUDAG_OK) {
        l->stage = STAGE_STREAMS;
    }
    return err;
}

/* Everything is agreed on, and the peer has accepted us. */
static qudag_err go_up(struct upgrade_link *l)
{
    struct upgrade_stats *st = &l->u->stats;

    qudag_err err = l->proven ? QUDAG_OK : upgrade_account_up(l);
    if (err != QUDAG_OK) {
        return err;
    }
    l->up = l->up_due = true;
    l->info.since = l->u->now;
    l->info.handshake_ns = l->u->now - l->started;
    st->half_open--;
    st->links++;
    *((l->info.props & LINK_INBOUND) != 0 ? &st->handshakes_ok_in : &st->handshakes_ok_out) += 1;
    upgrade_set_timer(l);
    upgrade_mark_busy(l);
    return QUDAG_OK;
}

/* The peer has proven itself, and streams are possible; whether it takes us is not known yet. */
static qudag_err be_proven(struct upgrade_link *l)
{
    qudag_err err = upgrade_account_up(l);

    l->proven = err == QUDAG_OK;
    l->proven_due = l->proven && l->announced;
    upgrade_mark_busy(l);
    return err;
}

/* Each side has proven itself to the other; |muxer|: it is agreed on. */
static qudag_err on_secure(struct upgrade_link *l, bool muxer, const char **text)
{
    qudag_err err = upgrade_rule_admit(&l->wish, l->info.props, l->info.has_pq_hash, text);

    if (err != QUDAG_OK) {
        return err;
    }
    if (muxer) {
        err = begin_streams(l);
        if (err == QUDAG_OK) {
            err = l->dialer ? be_proven(l) : go_up(l);
        }
        return err;
    }
    l->stage = STAGE_MUXER;
    l->mss = (struct mss){0};
    if (l->dialer) {
        return propose(l, UPGRADE_MUXER, true);
    }
    mss_listen(&l->mss, muxers, ARRAY_LEN(muxers));
    return QUDAG_OK;
}

static qudag_err on_muxer(struct upgrade_link *l, struct slice *in, const char **text)
{
    uint8_t reply[MSS_REPLY_MAX];
    size_t used, len;
    enum mss_result r = mss_input(&l->mss, *in, &used, reply, sizeof(reply), &len);

    *in = slice_rest(*in, used);
    qudag_err err = len == 0 ? QUDAG_OK : upgrade_put_sealed(l, (struct slice){reply, len});
    if (err == QUDAG_OK && r == MSS_DONE) {
        err = begin_streams(l);
        return err == QUDAG_OK ? go_up(l) : err;
    }
    if (err == QUDAG_OK && r == MSS_NA) {
        *text = "no stream muxer in common";
        err = QUDAG_EUNSUPPORTED;
    } else if (err == QUDAG_OK && r == MSS_FAIL) {
        *text = "the peer broke the rules of multistream-select";
        err = QUDAG_EPROTO;
    }
    return err;
}

/* Bytes that the security layer has opened. */
static qudag_err on_plain(struct upgrade_link *l, struct slice plain, const char **text)
{
    qudag_err err = QUDAG_OK;

    if (plain.len > 0 && l->stage == STAGE_MUXER) {
        err = on_muxer(l, &plain, text);
    }
    if (err != QUDAG_OK || plain.len == 0) {
        return err;
    }
    if (!l->up) {
        err = go_up(l);
    }
    return err == QUDAG_OK ? upgrade_block_put(l, plain) : err;
}

static bool tls_is_through(const struct upgrade_link *l)
{
    enum tls_stream_state s = tls_stream_state(l->tls);

    return s == TLS_STREAM_READY || s == TLS_STREAM_ENDED;
}

static qudag_err tls_failed(struct upgrade_link *l, const char **text)
{
    const struct peer_id *found = NULL;
    qudag_err err = tls_stream_why(l->tls, text, &found);

    l->unsealed = true;
    if (found != NULL) {
        l->other_peer = true;
        l->found = *found;
    }
    return err == QUDAG_OK ? QUDAG_EPROTO : err;
}

static qudag_err tls_ready(struct upgrade_link *l, const char **text)
{
    const char *proto = tls_stream_proto(l->tls);

    tls_stream_report(l->tls, &l->info); /* adds what it proves to the link's props */
    return on_secure(l, proto != NULL && strcmp(proto, UPGRADE_MUXER) == 0, text);
}

/* Until the muxer has taken over. */
static qudag_err on_tls_begin(struct upgrade_link *l, struct slice *in, const char **text)
{
    struct slice plain;
    size_t used;

    do {
        qudag_err err = tls_stream_receive(l->tls, *in, &used, &plain, l->u->now);
        if (err != QUDAG_OK) {
            return tls_failed(l, text);
        }
        *in = slice_rest(*in, used);
        if (l->stage == STAGE_TLS && tls_is_through(l)) {
            err = tls_ready(l, text);
        }
        if (err == QUDAG_OK) {
            err = on_plain(l, plain, text);
        }
        if (err != QUDAG_OK) {
            return err;
        }
    } while (!l->up && (used > 0 || plain.len > 0));
    return QUDAG_OK;
}

static qudag_err on_tls(struct upgrade_link *l, struct slice in, const char **text)
{
    size_t used = 1, len = 1;

    if (!l->up) {
        qudag_err err = on_tls_begin(l, &in, text);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    while (l->up && (used > 0 || len > 0)) {
        struct tls_stream_room dst = upgrade_block_room(l, in.len);
        if (dst.base == NULL) {
            return QUDAG_ENOMEM;
        }
        qudag_err err = tls_stream_receive_to(l->tls, in, &used, dst, &len, l->u->now);
        upgrade_block_filled(l, len);
        if (err != QUDAG_OK) {
            return tls_failed(l, text);
        }
        in = slice_rest(in, used);
    }
    if (tls_stream_state(l->tls) == TLS_STREAM_ENDED) {
        *text = "the peer closed the link";
        return QUDAG_ECLOSED;
    }
    return QUDAG_OK;
}

/* In NOISE_VERIFY: the peer's payload is there. */
static qudag_err noise_ready(struct upgrade_link *l, const char **text)
{
    static const char *const groups[] = {"x25519", "X25519MLKEM768"};
    bool hybrid =
        l->proto[l->dialer ? l->next_proto - 1 : mss_chosen(&l->mss)] == UPGRADE_NOISE_HYBRID;
    bool agreed;

    qudag_err err = upgrade_noise_peer(l, &agreed, text);
    if (err == QUDAG_OK) {
        err = noise_verified(l->noise);
    }
    if (err == QUDAG_OK) {
        err = noise_flush(l);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    memcpy(l->info.group, groups[hybrid], strlen(groups[hybrid]));
    memcpy(l->info.cipher, "ChaChaPoly", sizeof("ChaChaPoly"));
    memcpy(l->info.sig_local, "ed25519", sizeof("ed25519"));
    memcpy(l->info.sig_remote, "ed25519", sizeof("ed25519"));
    l->info.props |= hybrid ? LINK_PQ_KEX : 0;
    return on_secure(l, agreed, text);
}

static qudag_err noise_failed(struct upgrade_link *l, qudag_err err, const char **text)
{
    l->unsealed = true;
    *text = err == QUDAG_EAUTH ? "a Noise message is not what the peer sent"
                               : "a Noise message is malformed";
    return err;
}

/* A frame, or a part of one, for the muxer. */
static qudag_err on_noise_frame(struct upgrade_link *l, struct slice in, size_t *used,
                                const char **text)
{
    struct tls_stream_room dst = upgrade_block_room(l, in.len);
    struct slice plain;

    if (dst.base == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = noise_receive_to(l->noise, in, used, dst.base, dst.cap, &plain);
    bool there = err == QUDAG_OK && plain.base == dst.base;
    upgrade_block_filled(l, there ? plain.len : 0);
    if (err != QUDAG_OK) {
        return noise_failed(l, err, text);
    }
    return there ? QUDAG_OK : upgrade_block_put(l, plain);
}

/* A message of the handshake, or a frame before the muxer has taken over. */
static qudag_err on_noise_begin(struct upgrade_link *l, struct slice in, size_t *used,
                                const char **text)
{
    struct slice plain;

    qudag_err err = noise_receive(l->noise, in, used, &plain);
    if (err != QUDAG_OK) {
        return noise_failed(l, err, text);
    }
    if (noise_state(l->noise) == NOISE_VERIFY) {
        return noise_ready(l, text);
    }
    return l->stage == STAGE_NOISE ? noise_flush(l) : on_plain(l, plain, text);
}

static qudag_err on_noise(struct upgrade_link *l, struct slice in, const char **text)
{
    while (in.len > 0) {
        size_t used;
        qudag_err err =
            l->up ? on_noise_frame(l, in, &used, text) : on_noise_begin(l, in, &used, text);

        if (err != QUDAG_OK) {
            return err;
        }
        in = slice_rest(in, used);
    }
    return QUDAG_OK;
}

qudag_err upgrade_stage_begin(struct upgrade_link *l)
{
    const char *text = NULL;

    l->n_protos = upgrade_rule_protos(&l->wish, l->proto);
    for (size_t i = 0; i < l->n_protos; i++) {
        l->protos[i] = upgrade_proto_id(l->proto[i]);
    }
    if (l->dialer) {
        qudag_err err = propose(l, l->protos[l->next_proto++], false);
        if (err != QUDAG_OK || l->n_protos > 1) {
            return err;
        }
        l->agreeing =
            true; /* without another proposal nothing is lost if it is refused: a round trip less */
        err = begin_security(l, l->proto[0]);
        return err == QUDAG_OK && l->tls != NULL ? on_tls(l, (struct slice){NULL, 0}, &text) : err;
    }
    mss_listen(&l->mss, l->protos, l->n_protos);
    return QUDAG_OK;
}

static bool is_agreeing(const struct upgrade_link *l)
{
    return l->stage == STAGE_SECURITY || l->agreeing;
}

qudag_err upgrade_stage_input(struct upgrade_link *l, struct slice in, const char **text)
{
    while (is_agreeing(l) && in.len > 0) {
        size_t used;
        qudag_err err = on_security(l, in, &used, text);

        if (err != QUDAG_OK) {
            return err;
        }
        in = slice_rest(in, used);
    }
    if (is_agreeing(l)) {
        return QUDAG_OK;
    }
    return l->tls != NULL ? on_tls(l, in, text) : on_noise(l, in, text);
}

static void block_gone(struct buf *b)
{
    struct upgrade_block *block = LIST_ENTRY(b, struct upgrade_block, lent);

    mem_free(mem_owner(block), block);
}

static struct upgrade_block *block_new(struct upgrade *u, size_t want)
{
    struct upgrade_block *b = u->spare;
    size_t cap = want > UPGRADE_BLOCK_LEAST ? UPGRADE_BLOCK : UPGRADE_BLOCK_LEAST;

    if (b != NULL && cap == UPGRADE_BLOCK) {
        u->spare = NULL;
        return b;
    }
    b = mem_alloc_unset(u->cfg.mem, sizeof(*b) + cap);
    if (b != NULL) {
        *b = (struct upgrade_block){.cap = cap};
        buf_init(&b->lent, block_gone);
        b->lent.size = cap;
    }
    return b;
}

struct tls_stream_room upgrade_block_room(struct upgrade_link *l, size_t want)
{
    struct upgrade_block *b = l->last_block;
    size_t left = b == NULL ? 0 : b->cap - b->len;

    if (left == 0 || (left < want && left < UPGRADE_BLOCK_LEAST)) {
        b = block_new(l->u, want);
        if (b == NULL) {
            return (struct tls_stream_room){NULL, 0};
        }
        *(l->last_block == NULL ? &l->blocks : &l->last_block->next) = b;
        l->last_block = b;
    }
    return (struct tls_stream_room){b->data + b->len, b->cap - b->len};
}

void upgrade_block_filled(struct upgrade_link *l, size_t len)
{
    l->last_block->len += len;
    upgrade_mark_busy(l);
}

qudag_err upgrade_block_put(struct upgrade_link *l, struct slice plain)
{
    while (plain.len > 0) {
        struct tls_stream_room dst = upgrade_block_room(l, plain.len);
        size_t n = dst.cap < plain.len ? dst.cap : plain.len;

        if (dst.base == NULL) {
            return QUDAG_ENOMEM;
        }
        memcpy(dst.base, plain.base, n);
        upgrade_block_filled(l, n);
        plain = slice_rest(plain, n);
    }
    return QUDAG_OK;
}

void upgrade_block_drop(struct upgrade_link *l)
{
    struct upgrade_block *b = l->blocks;
    struct upgrade *u = l->u;

    l->blocks = b->next;
    if (l->blocks == NULL) {
        l->last_block = NULL;
    }
    b->next = NULL;
    if (u->spare == NULL && b->lent.refs == 1 && b->cap == UPGRADE_BLOCK) {
        b->len = b->read = 0;
        u->spare = b;
    } else {
        buf_drop(&b->lent);
    }
}
