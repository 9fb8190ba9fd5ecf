/*
 * endpoint.c - datagrams to connections, connections to datagrams.
 *
 *   empty, short, malformed ............ counted and dropped
 *   unknown version .................... Version Negotiation
 *   known connection id ................ that connection
 *   short header, a reset token we know  that connection (stateless reset)
 *   short header, unknown id ........... stateless reset, smaller than what came
 *   Initial ............................ who is out; the gate, limits -> Retry or a new connection
 */
#include "base/wipe.h"
#include "quic/account.h"
#include "quic/quic_int.h"
#include "quic/work.h"

#include <openssl/err.h>
#include <string.h>

#define DGRAM_MIN 21     /* RFC 9000 10.3: less cannot be a packet of ours */
#define INITIAL_MIN 1200 /* RFC 9000 14.1 */
#define RESETS_PER_S 200

static void *ng_malloc(size_t size, void *user_data)
{
    return mem_alloc(user_data, size);
}

static void ng_free(void *ptr, void *user_data)
{
    mem_free(user_data, ptr);
}

static void *ng_calloc(size_t n, size_t size, void *user_data)
{
    return mem_alloc_n(user_data, n, size);
}

static void *ng_realloc(void *ptr, size_t size, void *user_data)
{
    return mem_resize(user_data, ptr, size);
}

static void fill_defaults(struct quic_config *c)
{
#define DEFAULT(field, value) c->field = c->field == 0 ? (value) : c->field
    DEFAULT(conns_max, 1024);
    DEFAULT(half_open_max, 96);
    DEFAULT(retry_above, 32);
    DEFAULT(per_ip_half_open, 16);
    DEFAULT(streams_bidi_max, 2048);
    DEFAULT(stream_window, UINT64_C(256) << 10);
    DEFAULT(conn_window, UINT64_C(4) << 20);
    DEFAULT(stream_queue_max, UINT64_C(4) << 20);
    DEFAULT(idle_timeout_ns, 300 * NS_PER_S);
    DEFAULT(handshake_timeout_ns, 10 * NS_PER_S);
    DEFAULT(keepalive_ns, 25 * NS_PER_S);
#undef DEFAULT
}

struct load *quic_load(struct quic *q)
{
    return &q->load;
}

void quic_set_times(struct quic *q, uint64_t handshake_ns, uint64_t idle_ns, uint64_t keepalive_ns)
{
    struct quic_config *c = &q->cfg;

    c->handshake_timeout_ns = handshake_ns != 0 ? handshake_ns : c->handshake_timeout_ns;
    c->idle_timeout_ns = idle_ns != 0 ? idle_ns : c->idle_timeout_ns;
    c->keepalive_ns = keepalive_ns != 0 ? keepalive_ns : c->keepalive_ns;
}

qudag_err quic_new(struct quic **out, const struct quic_config *cfg, tstamp now)
{
    struct quic *q = mem_alloc(cfg->mem, sizeof *q);
    uint8_t seed[16], times_seed[32];
    uint64_t gate_key[2];
    size_t ids_max;

    if (q == NULL) {
        return QUDAG_ENOMEM;
    }
    if (ngtcp2_crypto_ossl_init() != 0) {
        mem_free(cfg->mem, q);
        return QUDAG_EINTERNAL;
    }
    q->cfg = *cfg;
    fill_defaults(&q->cfg);
    q->mem = cfg->mem;
    q->now = now;
    q->ng_mem = (ngtcp2_mem){.user_data = q->mem,
                             .malloc = ng_malloc,
                             .free = ng_free,
                             .calloc = ng_calloc,
                             .realloc = ng_realloc};
    if (quic_accounts_take(q) != QUDAG_OK) {
        mem_free(cfg->mem, q);
        return QUDAG_ENOMEM;
    }
    ids_max = ((size_t)q->cfg.conns_max + LINGER_MAX) * (CIDS_PER_CONN + 1);
    rng_fill(&q->cfg.rng, q->cid_key, sizeof q->cid_key);
    slots_init(&q->conns, q->mem, q->cfg.conns_max);
    heap_init(&q->timers, q->mem, q->cfg.conns_max + LINGER_MAX + 1);
    rng_fill(&q->cfg.rng, seed, sizeof seed);
    map_init(&q->cids, q->mem, seed, ids_max);
    rng_fill(&q->cfg.rng, seed, sizeof seed);
    map_init(&q->resets, q->mem, seed, ids_max);
    rng_fill(&q->cfg.rng, seed, sizeof seed);
    map_init(&q->tokens_by_peer, q->mem, seed, TOKENS_MAX);
    rng_fill(&q->cfg.rng, seed, sizeof seed);
    load_init(&q->load, q->mem, seed);
    quic_retry_keys_make(&q->retry_keys, &q->cfg.rng);
    rng_fill(&q->cfg.rng, gate_key, sizeof gate_key);
    quic_gate_init(&q->gate, gate_key);
    rng_fill(&q->cfg.rng, q->spent_key, sizeof q->spent_key);
    rng_fill(&q->cfg.rng, times_seed, sizeof times_seed);
    rng_stream_init(&q->times, times_seed);
    map_init_u64(&q->spent[0], q->mem, NULL, 8, SPENT_MAX);
    map_init_u64(&q->spent[1], q->mem, NULL, 8, SPENT_MAX);
    q->spent_from = now;
    list_init(&q->dirty);
    list_init(&q->suspects);
    list_init(&q->asked);
    list_init(&q->silent);
    list_init(&q->downs);
    list_init(&q->linger);
    list_init(&q->streams_ok);
    list_init(&q->sent);
    list_init(&q->zombies);
    list_init(&q->outbox);
    list_init(&q->tokens);
    limiter_init(&q->reset_limit, RESETS_PER_S, RESETS_PER_S, now);
    limiter_init(&q->vneg_limit, RESETS_PER_S, RESETS_PER_S, now);
    limiter_init(&q->close_limit, RESETS_PER_S, RESETS_PER_S, now);
    limiter_init(&q->out_log, 1, 8, now);
    limiter_init(&q->refused_log, 1, 10, now);
    wipe(seed, sizeof seed);
    wipe(times_seed, sizeof times_seed);
    wipe(gate_key, sizeof gate_key);
    *out = q;
    return QUDAG_OK;
}

void quic_let_go(struct quic *q)
{
    for (uint32_t i = 0; i < q->conns.high; i++) {
        if (slots_at(&q->conns, i) != NULL) {
            quic_stream_let_go_all(slots_at(&q->conns, i));
        }
    }
}

void quic_free(struct quic *q)
{
    if (q == NULL) {
        return;
    }
    for (uint32_t i = 0; i < q->conns.high; i++) {
        if (slots_at(&q->conns, i) != NULL) {
            quic_conn_free(slots_at(&q->conns, i));
        }
    }
    while (!list_empty(&q->linger)) {
        quic_conn_free(LIST_ENTRY(q->linger.next, struct quic_conn, down));
    }
    while (!list_empty(&q->outbox)) {
        struct quic_outgram *g = LIST_ENTRY(q->outbox.next, struct quic_outgram, node);

        list_del(&g->node);
        mem_free(q->mem, g);
    }
    while (q->spare != NULL) {
        struct quic_chunk *k = q->spare;

        q->spare = k->next;
        mem_free(q->mem, k);
    }
    quic_token_fini(q);
    quic_ev_fini(q);
    slots_fini(&q->conns);
    heap_fini(&q->timers);
    map_fini(&q->cids);
    map_fini(&q->resets);
    load_fini(&q->load);
    resources_free(q->own);
    mem_free_wiped(q->mem, q);
}

static void advance(struct quic *q, tstamp now)
{
    q->now = now > q->now ? now : q->now;
}

/* Room for a stateless answer to |d|, or NULL when too many wait. */
static struct quic_outgram *outbox_add(struct quic *q, const struct quic_dgram *d)
{
    struct quic_outgram *g;

    if (q->outbox_n == OUTBOX_MAX) {
        return NULL;
    }
    g = mem_alloc(q->mem, sizeof *g);
    if (g != NULL) {
        g->remote = d->remote;
        g->local = d->local;
        list_push_back(&q->outbox, &g->node);
        q->outbox_n++;
    }
    return g;
}

static bool outbox_set(struct quic *q, struct quic_outgram *g, ngtcp2_ssize n)
{
    if (n > 0) {
        g->len = (uint16_t)n;
        return true;
    }
    list_del(&g->node);
    q->outbox_n--;
    mem_free(q->mem, g);
    return false;
}

static void answer_version(struct quic *q, const struct quic_dgram *d, const ngtcp2_version_cid *vc)
{
    static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
    struct quic_outgram *g;
    uint8_t random;

    q->stats.dropped_version++;
    /* Ids longer than version 1 allows would make the answer longer than an outgram. */
    if (d->data.len < INITIAL_MIN || vc->dcidlen > 100 || vc->scidlen > 100 ||
        !limiter_take(&q->vneg_limit, 1, q->now)) {
        return;
    }
    g = outbox_add(q, d);
    if (g == NULL) {
        return;
    }
    rng_fill(&q->cfg.rng, &random, 1);
    if (outbox_set(q, g,
                   ngtcp2_pkt_write_version_negotiation(g->data, sizeof g->data, random, vc->scid,
                                                        vc->scidlen, vc->dcid, vc->dcidlen,
                                                        versions, ARRAY_LEN(versions)))) {
        q->stats.version_negotiations++;
    }
}

static void answer_reset(struct quic *q, const struct quic_dgram *d, const ngtcp2_version_cid *vc)
{
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    uint8_t random[32];
    /* Smaller than what came, so that two endpoints cannot echo each other for ever. */
    size_t len = d->data.len - 1 < 42 ? d->data.len - 1 : 42;
    ngtcp2_cid cid;
    struct quic_outgram *g;

    q->stats.dropped_unknown++;
    if (len < DGRAM_MIN || !limiter_take(&q->reset_limit, 1, q->now)) {
        return;
    }
    g = outbox_add(q, d);
    if (g == NULL) {
        return;
    }
    ngtcp2_cid_init(&cid, vc->dcid, vc->dcidlen);
    rng_fill(&q->cfg.rng, random, sizeof random);
    if (ngtcp2_crypto_generate_stateless_reset_token(token, q->cfg.reset_key,
                                                     sizeof q->cfg.reset_key, &cid) != 0) {
        (void)outbox_set(q, g, 0);
        return;
    }
    if (outbox_set(
            q, g,
            ngtcp2_pkt_write_stateless_reset(g->data, len, token, random, len - sizeof token))) {
        q->stats.resets_sent++;
    }
}

static void answer_retry(struct quic *q, const struct quic_dgram *d, const ngtcp2_pkt_hd *hd)
{
    uint8_t token[QUIC_RETRY_TOKEN_MAX];
    uint8_t scid_bytes[CID_LEN];
    struct quic_outgram *g;
    ngtcp2_cid scid;
    ngtcp2_ssize n;

    g = outbox_add(q, d);
    if (g == NULL) {
        q->stats.dropped_flood++;
        return;
    }
    quic_cid_make(q, scid_bytes);
    ngtcp2_cid_init(&scid, scid_bytes, sizeof scid_bytes);
    n = (ngtcp2_ssize)quic_retry_seal(&q->retry_keys, token, &d->remote,
                                      (struct slice){hd->dcid.data, hd->dcid.datalen},
                                      (struct slice){scid_bytes, sizeof scid_bytes}, q->now);
    if (n > 0) {
        n = ngtcp2_crypto_write_retry(g->data, sizeof g->data, hd->version, &hd->scid, &scid,
                                      &hd->dcid, token, (size_t)n);
    }
    if (outbox_set(q, g, n)) {
        q->stats.retries_sent++;
    }
}

/*
 * Ends a handshake that got no connection: smaller than the Initial it answers, so no amplifier.  Initial keys are
 * derived for it, at most RESETS_PER_S times, and none of these answers costs a link that is lost its stateless reset.
 */
static void answer_close(struct quic *q, const struct quic_dgram *d, const ngtcp2_pkt_hd *hd,
                         uint64_t code)
{
    struct quic_outgram *g;

    if (!limiter_take(&q->close_limit, 1, q->now)) {
        return;
    }
    g = outbox_add(q, d);
    if (g != NULL) {
        (void)outbox_set(q, g,
                         ngtcp2_crypto_write_connection_close(g->data, sizeof g->data, hd->version,
                                                              &hd->scid, &hd->dcid, code, NULL, 0));
    }
}

/* TOKEN_KNOWN: ours, given to a peer that knows the ML-DSA key we have. */
enum token_state { TOKEN_NONE, TOKEN_RETRY, TOKEN_REGULAR, TOKEN_KNOWN, TOKEN_BAD };

static enum token_state check_regular(struct quic *q, const ngtcp2_pkt_hd *hd,
                                      const struct quic_sockaddr *from)
{
    const uint8_t *own = sec_own_pq_hash(q->cfg.sec);
    uint8_t name[TOKEN_NAME_LEN];
    ngtcp2_ssize n =
        quic_token_open(q, name, (struct slice){hd->token, hd->tokenlen}, from, quic_token_life(q));

    if (n < 0 || !quic_token_spend(q, (struct slice){hd->token, hd->tokenlen})) {
        return TOKEN_BAD;
    }
    return n == TOKEN_NAME_LEN && own != NULL && memcmp(name, own, sizeof name) == 0
               ? TOKEN_KNOWN
               : TOKEN_REGULAR;
}

static enum token_state check_token(struct quic *q, const struct quic_dgram *d,
                                    const ngtcp2_pkt_hd *hd, ngtcp2_cid *odcid)
{
    struct slice token = {hd->token, hd->tokenlen}, id;
    struct quic_sockaddr from;

    if (hd->tokenlen == 0) {
        return TOKEN_NONE;
    }
    if (hd->token[0] == QUIC_RETRY_MAGIC) {
        if (!quic_retry_open(&q->retry_keys, token, &d->remote,
                             (struct slice){hd->dcid.data, hd->dcid.datalen}, q->now, &id)) {
            return TOKEN_BAD;
        }
        ngtcp2_cid_init(odcid, id.base, id.len);
        return TOKEN_RETRY;
    }
    quic_addr_to_sock(&from, &d->remote);
    if (hd->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR) {
        enum token_state state = check_regular(q, hd, &from);

        if (state != TOKEN_BAD) {
            return state;
        }
    }
    /* Another endpoint's, or too old: as good as none (RFC 9000 8.1.3). */
    q->stats.tokens_bad++;
    return TOKEN_NONE;
}

/* The Initial proves nothing of where it comes from.  True: it passed the gate. */
static bool pass_gate(struct quic *q, const struct quic_dgram *d, const ngtcp2_pkt_hd *hd)
{
    enum quic_gate_way way = quic_gate_take(&q->gate, netaddr_group(&d->remote), q->now);

    if (way != QUIC_GATE_PASS && quic_gate_tell(&q->gate, q->now)) {
        log_event(&q->cfg.log, LOG_WARN, "quic.initials.flood", LOG_NUM("in_window", q->gate.came));
    }
    if (way == QUIC_GATE_DROP) {
        q->stats.dropped_flood++;
    } else if (way == QUIC_GATE_PROVE) {
        answer_retry(q, d, hd); /* an address that was not proven may be somebody else's */
    }
    return way == QUIC_GATE_PASS;
}

/* An Initial gets no connection; its sender is told, and no more: it is our limit. */
static void refuse(struct quic *q, const struct quic_dgram *d, const ngtcp2_pkt_hd *hd,
                   const struct res_refusal *why)
{
    q->stats.dropped_full++;
    quic_account_say(q, why);
    answer_close(q, d, hd, NGTCP2_CONNECTION_REFUSED);
}

/* A place for a handshake, in |out|.  Where unproven addresses have none left they are to prove themselves. */
static bool take_place(struct quic *q, const struct quic_dgram *d, const ngtcp2_pkt_hd *hd,
                       bool proven, struct res_account *out)
{
    struct res_refusal why = {RES_NODE, RES_HALF_OPEN, q->stats.conns, q->cfg.conns_max};
    bool full = q->stats.conns >= q->cfg.conns_max;
    qudag_err err = full ? QUDAG_ELIMIT : quic_account_handshake(q, &d->remote, proven, out, &why);

    if (err == QUDAG_ELIMIT && (full || proven)) {
        refuse(q, d, hd, &why);
    } else if (err == QUDAG_ELIMIT) {
        answer_retry(q, d, hd);
    } else if (err != QUDAG_OK) {
        q->stats.dropped_full++;
    }
    return err == QUDAG_OK;
}

static void accept_initial(struct quic *q, const struct quic_dgram *d)
{
    struct quic_conn *c = NULL;
    enum token_state token;
    struct res_account account = {0};
    ngtcp2_cid odcid;
    ngtcp2_pkt_hd hd;

    if (d->closed || ngtcp2_accept(&hd, d->data.base, d->data.len) != 0 ||
        hd.version != NGTCP2_PROTO_VER_V1) {
        q->stats.dropped_unknown++;
        return;
    }
    if (quic_work_closed(q, &d->remote)) {
        q->stats.dropped_work++;
        answer_close(q, d, &hd, NGTCP2_CONNECTION_REFUSED);
        return;
    }
    token = check_token(q, d, &hd, &odcid);
    if (token == TOKEN_BAD) {
        q->stats.tokens_bad++;
        answer_close(q, d, &hd, NGTCP2_INVALID_TOKEN);
        return;
    }
    if ((token == TOKEN_NONE && !pass_gate(q, d, &hd)) ||
        !take_place(q, d, &hd, token != TOKEN_NONE, &account)) {
        return;
    }
    if (token == TOKEN_NONE) {
        hd.tokenlen = 0;
    } else {
        q->stats.tokens_used++;
    }
    if (quic_conn_new_server(&c, q, d, &hd, token == TOKEN_RETRY ? &odcid : NULL,
                             token == TOKEN_KNOWN) != QUDAG_OK) {
        ERR_clear_error();
        resources_end(q->accounts, &account);
        q->stats.dropped_full++;
        return;
    }
    c->account = account;
    q->stats.half_open++;
    c->proven = token != TOKEN_NONE;
    quic_work_begun(q, &d->remote, c->proven);
    quic_conn_recv(c, d);
}

/* The peer of |c| has gone on making work for nothing. */
static void put_out(struct quic_conn *c)
{
    static const uint8_t reason[] = "too much work";
    char text[NETADDR_TEXT_MAX] = "";

    if (quic_work_put_out(c)) {
        (void)netaddr_text(text, sizeof text, &c->remote);
        log_event(&c->q->cfg.log, LOG_WARN, "quic.link.put_out", LOG_NET("remote", text));
    }
    ngtcp2_ccerr_set_application_error(&c->close_err, QUIC_CLOSE_LOAD, reason, sizeof reason - 1);
    quic_conn_fail(c, QUDAG_ELIMIT, "the peer made this node work too much for nothing", true);
}

static void read_for(struct quic_conn *c, const struct quic_dgram *d)
{
    uint64_t before = c->accepted;

    switch (quic_work_take(c)) {
    case LOAD_FREE:
        quic_conn_recv(c, d);
        quic_silence_read(c);
        quic_work_read(c, c->accepted > before);
        break;
    case LOAD_LAST:
        break;
    case LOAD_OUT:
        put_out(c);
        break;
    }
}

void quic_recv(struct quic *q, const struct quic_dgram *d, tstamp now)
{
    ngtcp2_version_cid vc;
    struct quic_conn *c;
    int rv;

    advance(q, now);
    quic_ev_recycle(q);
    q->stats.dgrams_in++;
    q->stats.bytes_in += d->data.len;
    /* ngtcp2 asserts that there is a first byte. */
    if (d->data.len == 0) {
        q->stats.dropped_empty++;
        return;
    }
    /* RFC 9000 17.2, 17.3: without the fixed bit it is no packet; Version Negotiation need not have it. */
    if (d->data.len < DGRAM_MIN || (d->data.base[0] & 0xc0) == 0 ||
        (d->remote.family != 4 && d->remote.family != 6)) {
        q->stats.dropped_short++;
        return;
    }
    rv = ngtcp2_pkt_decode_version_cid(&vc, d->data.base, d->data.len, CID_LEN);
    if (rv == NGTCP2_ERR_VERSION_NEGOTIATION ||
        (rv == 0 && vc.version != 0 && vc.version != NGTCP2_PROTO_VER_V1)) {
        answer_version(q, d, &vc);
        return;
    }
    if (rv != 0 || vc.dcidlen > NGTCP2_MAX_CIDLEN) {
        q->stats.dropped_short++;
        return;
    }
    c = quic_cid_find(q, (struct slice){vc.dcid, vc.dcidlen});
    if (c == NULL && (d->data.base[0] & 0x80) == 0) {
        c = map_get(&q->resets, (struct slice){d->data.base + d->data.len - 16, 16});
        if (c == NULL) {
            answer_reset(q, d, &vc);
            return;
        }
    }
    if (c == NULL) {
        accept_initial(q, d);
    } else if (quic_addr_same_host(&c->remote, &d->remote)) {
        read_for(c, d);
    } else {
        /* Somebody else's copy, or the peer has moved: then it does not answer where it was. */
        q->stats.dropped_moved++;
        quic_probe(q, c->ref, now);
    }
}

/* The oldest stateless answer. */
static bool send_answer(struct quic *q, struct quic_tx *tx)
{
    struct quic_outgram *g;

    if (list_empty(&q->outbox)) {
        return false;
    }
    g = LIST_ENTRY(q->outbox.next, struct quic_outgram, node);
    memcpy(tx->buf, g->data, g->len);
    tx->remote = g->remote;
    tx->local = g->local;
    tx->ecn = 0;
    tx->len = g->len;
    tx->segment = g->len;
    list_del(&g->node);
    q->outbox_n--;
    mem_free(q->mem, g);
    return true;
}

static bool send_links(struct quic *q, struct quic_tx *tx)
{
    bool some = false;

    while (!some && !list_empty(&q->dirty)) {
        struct quic_conn *c = LIST_ENTRY(q->dirty.next, struct quic_conn, dirty);

        list_del(&c->dirty);
        some = quic_conn_send(c, tx);
        if (some) {
            quic_conn_mark_dirty(c);
        }
        if (some && tx->len >= SHAPE_FULL) {
            quic_stall_sent(&c->stall);
            quic_silence_sent(c);
            quic_quiet_sent(c);
        }
    }
    return some;
}

bool quic_send(struct quic *q, tstamp now, struct quic_tx *tx)
{
    bool some;

    advance(q, now);
    quic_ev_recycle(q);
    q->answer_next = !q->answer_next; /* a flood of answers does not hold up links, nor they it */
    some = q->answer_next ? send_answer(q, tx) || send_links(q, tx)
                          : send_links(q, tx) || send_answer(q, tx);
    if (some) {
        q->stats.dgrams_out += tx->segment == 0 ? 1 : (tx->len + tx->segment - 1) / tx->segment;
        q->stats.bytes_out += tx->len;
    }
    return some;
}

void quic_tick(struct quic *q, tstamp now)
{
    advance(q, now);
    quic_ev_recycle(q);
    quic_silence_tick(q);
    quic_suspects_tick(q);
    for (;;) {
        struct heap_node *top = heap_top(&q->timers);

        if (top == NULL || top->at > q->now) {
            return;
        }
        struct quic_conn *c = LIST_ENTRY(top, struct quic_conn, timer);
        quic_quiet_look(c);
        quic_conn_expire(c);
    }
}

tstamp quic_deadline(const struct quic *q)
{
    const struct heap_node *top = heap_top(&q->timers);

    tstamp at = tstamp_min(quic_suspects_deadline(q), quic_silence_deadline(q));

    return tstamp_min(top == NULL ? TSTAMP_NEVER : top->at, at);
}

qudag_err quic_dial(struct quic *q, const struct quic_dial *d, tstamp now, struct ref *out)
{
    struct quic_conn *c = NULL;
    qudag_err err;

    advance(q, now);
    if ((d->remote.family != 4 && d->remote.family != 6) || d->remote.port == 0) {
        return QUDAG_EINVAL;
    }
    if (q->stats.conns >= q->cfg.conns_max) {
        return QUDAG_ELIMIT;
    }
    err = quic_conn_new_client(&c, q, d);
    if (err != QUDAG_OK) {
        ERR_clear_error();
        return err;
    }
    quic_conn_mark_dirty(c);
    *out = c->ref;
    return QUDAG_OK;
}

bool quic_uses(const struct quic *q, const struct netaddr *local)
{
    for (uint32_t i = 0; i < q->conns.high; i++) {
        const struct quic_conn *c = slots_at(&q->conns, i);

        if (c != NULL && c->local.port == local->port && c->local.family == local->family) {
            return true;
        }
    }
    return false;
}

qudag_err quic_info(const struct quic *q, struct ref link, struct link_info *out)
{
    struct quic_conn *c = slots_get(&q->conns, link);
    ngtcp2_conn_info ci;

    if (c == NULL) {
        return QUDAG_ESTALE;
    }
    *out = c->info;
    multiaddr_quic(&out->remote, &c->remote, NULL);
    multiaddr_quic(&out->local, c->seen_local.family != 0 ? &c->seen_local : &c->local, NULL);
    out->net = netaddr_group(&c->remote);
    out->streams = c->streams_n;
    if (c->ng != NULL) {
        ngtcp2_conn_get_conn_info(c->ng, &ci);
        out->rtt_ns = ci.smoothed_rtt;
    }
    return QUDAG_OK;
}

void quic_pad(struct quic *q, struct ref link, const struct transport_padding *how, tstamp now)
{
    struct quic_conn *c = slots_get(&q->conns, link);

    q->now = now > q->now ? now : q->now;
    if (c == NULL || c->state != QUIC_CONN_UP || c->close_wanted) {
        return;
    }
    bool as_before = how->most_ns == c->padding.most_ns && how->least_ns == c->padding.least_ns;
    c->padding = *how;
    if (!as_before && !list_linked(&c->suspect) && !c->probed) { /* else what was drawn stands */
        quic_conn_keep_alive(c);
        quic_conn_mark_dirty(c);
    }
}

void quic_shutdown(struct quic *q, tstamp now)
{
    advance(q, now);
    for (uint32_t i = 0; i < q->conns.high; i++) {
        const struct quic_conn *c = slots_at(&q->conns, i);

        if (c != NULL) {
            quic_link_ops.close(q, c->ref, QUDAG_ECLOSED);
        }
    }
}

void quic_stats_get(const struct quic *q, struct quic_stats *out)
{
    *out = q->stats;
    out->half_open_max = q->cfg.half_open_max;
}
