/* account.c - see account.h. */
#include "quic/account.h"

#include "base/wipe.h"
#include "quic/work.h"

qudag_err quic_accounts_take(struct quic *q)
{
    struct resources_config c = {.mem = q->mem,
                                 .links_max = q->cfg.conns_max > 8 ? q->cfg.conns_max : 8,
                                 .network_share = 100,
                                 .half_open_max = q->cfg.half_open_max,
                                 .unproven_max = q->cfg.retry_above,
                                 .host_half_open = q->cfg.per_ip_half_open};

    if (q->cfg.accounts != NULL) {
        q->accounts = q->cfg.accounts;
        return QUDAG_OK;
    }
    rng_fill(&q->cfg.rng, c.seed, sizeof c.seed);
    qudag_err err = resources_new(&q->own, &c);
    wipe(c.seed, sizeof c.seed);
    q->accounts = q->own;
    return err;
}

void quic_account_say(struct quic *q, const struct res_refusal *why)
{
    bool handshake = why->what == RES_HALF_OPEN || why->what == RES_UNPROVEN;

    if (limiter_take(&q->refused_log, 1, q->now)) {
        log_event(&q->cfg.log, LOG_INFO, handshake ? "handshake.refused" : "bytes.refused",
                  LOG_STR("scope", handshake && why->scope == RES_PEER
                                       ? "host"
                                       : resources_scope_name(why->scope)),
                  LOG_STR("resource", resources_what_name(why->what)), LOG_NUM("used", why->used),
                  LOG_NUM("limit", why->limit));
    }
}

qudag_err quic_account_handshake(struct quic *q, const struct netaddr *a, bool proven,
                                 struct res_account *out, struct res_refusal *why)
{
    uint64_t host = netaddr_host(a);
    struct res_place at = {true, netaddr_group(a), {(const uint8_t *)&host, sizeof host}};
    struct res_ask one = {proven ? RES_HALF_OPEN : RES_UNPROVEN, 1, RES_PROTOS, 0};
    qudag_err err = resources_open(q->accounts, out, &at);

    if (err == QUDAG_OK && (err = resources_ask(q->accounts, out, &one, why)) != QUDAG_OK) {
        resources_end(q->accounts, out);
    }
    return err;
}

void quic_account_over(struct quic_conn *c)
{
    if (c->account.used[RES_HALF_OPEN] + c->account.used[RES_UNPROVEN] > 0) {
        resources_end(c->q->accounts, &c->account);
        c->q->stats.half_open--;
    }
}

qudag_err quic_account_up(struct quic_conn *c)
{
    struct res_place at = {c->server, c->net, peer_id_slice(&c->info.peer)};

    quic_account_over(c);
    return resources_open(c->q->accounts, &c->account, &at);
}

static uint64_t *asked_of(struct quic_stream *s, enum res_what what)
{
    return what == RES_BYTES ? &s->queued : &s->waiting;
}

qudag_err quic_account_ask(struct quic_stream *s, enum res_what what, uint64_t n)
{
    struct quic_conn *c = s->conn;
    struct res_ask ask = {what, (uint32_t)n, RES_PROTOS, 0};
    struct res_refusal why;

    ASSERT(n <= UINT32_MAX);
    if (c->state !=
        QUIC_CONN_UP) { /* as long as its account is that of a handshake, nothing is carried */
        return QUDAG_OK;
    }
    qudag_err err = resources_ask(c->q->accounts, &c->account, &ask, &why);
    if (err == QUDAG_OK) {
        *asked_of(s, what) += n;
    } else {
        quic_account_say(c->q, &why);
    }
    return err;
}

void quic_account_give(struct quic_stream *s, enum res_what what, uint64_t n)
{
    uint64_t *asked = asked_of(s, what);

    n = n < *asked ? n : *asked;
    *asked -= n;
    while (n > 0) {
        struct res_ask part = {what, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX, RES_PROTOS, 0};
        resources_give(s->conn->q->accounts, &s->conn->account, &part);
        n -= part.n;
    }
}
