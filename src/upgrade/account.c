/* account.c - what links use of the accounts (core/resources): handshakes that others begin, bytes. */
#include "upgrade/upgrade_int.h"

static void say(struct upgrade *u, const struct res_refusal *why)
{
    bool handshake = why->what == RES_HALF_OPEN;

    if (limiter_take(&u->refused_log, 1, u->now)) {
        log_event(&u->cfg.log, LOG_INFO, handshake ? "handshake.refused" : "bytes.refused",
                  LOG_STR("scope", handshake && why->scope == RES_PEER
                                       ? "host"
                                       : resources_scope_name(why->scope)),
                  LOG_STR("resource", resources_what_name(why->what)), LOG_NUM("used", why->used),
                  LOG_NUM("limit", why->limit));
    }
}

static const struct res_ask one_handshake = {RES_HALF_OPEN, 1, RES_PROTOS, 0};

static void count_half_open(struct upgrade_link *l)
{
    l->half_open = true;
    l->u->inbound_half_open++;
}

static void uncount_half_open(struct upgrade_link *l)
{
    l->u->inbound_half_open -= l->half_open ? 1 : 0;
    l->half_open = false;
}

/* Half of the links, and of the handshakes that all transports share: no other is kept from its own. */
static bool is_full(const struct upgrade *u)
{
    uint64_t most = (u->cfg.links_max + 1) / 2;

    if (u->cfg.accounts != NULL) {
        uint64_t all = resources_limit(u->cfg.accounts, RES_NODE, RES_HALF_OPEN);
        most = all != 0 && (all + 1) / 2 < most ? (all + 1) / 2 : most;
    }
    return u->inbound_half_open >= most;
}

static uint32_t half_open_of(const struct upgrade *u, uint64_t net)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < u->links.high; i++) {
        const struct upgrade_link *l = slots_at(&u->links, i);
        n += l != NULL && l->half_open && l->info.net == net ? 1 : 0;
    }
    return n;
}

static bool gives_way(const struct upgrade_link *l, uint32_t holders, uint32_t newcomers)
{
    struct upgrade_rivals r = {.holders = holders,
                               .newcomers = newcomers,
                               .age_ns = l->u->now - l->started,
                               .silent = l->info.bytes_in == 0};

    return upgrade_rule_gives_way(&r);
}

/* The oldest of the silent ones, or of the network with most of them. */
struct upgrade_link *upgrade_account_holder(const struct upgrade_link *l)
{
    const struct upgrade *u = l->u;
    struct upgrade_link *holder = NULL, *silent = NULL;
    uint32_t most = 0;

    for (uint32_t i = 0; i < u->links.high; i++) {
        struct upgrade_link *one = slots_at(&u->links, i);
        if (one == NULL || !one->half_open) {
            continue;
        }
        uint32_t n = half_open_of(u, one->info.net);
        if (n > most || (n == most && one->started < holder->started)) {
            most = n;
            holder = one;
        }
        bool quiet = one->info.bytes_in == 0;
        silent = quiet && (silent == NULL || one->started < silent->started) ? one : silent;
    }
    if (silent != NULL && gives_way(silent, 0, 0)) {
        return silent;
    }
    bool gives = holder != NULL && gives_way(holder, most, half_open_of(u, l->info.net));
    return gives ? holder : NULL;
}

/* Of those that others begin; where they come from has shown itself, or a byte stream would not stand. */
qudag_err upgrade_account_begin(struct upgrade_link *l, bool *full)
{
    struct upgrade *u = l->u;
    struct netaddr from = {0};
    struct res_refusal why;

    *full = false;
    if ((l->info.props & LINK_INBOUND) == 0) {
        return QUDAG_OK;
    }
    if (is_full(u)) {
        *full = true;
        return QUDAG_ELIMIT;
    }
    if (u->cfg.accounts == NULL) {
        count_half_open(l);
        return QUDAG_OK;
    }
    uint64_t host = multiaddr_endpoint(&l->info.remote, &from) ? netaddr_host(&from) : 0;
    struct res_place at = {true, l->info.net, {(const uint8_t *)&host, sizeof(host)}};
    qudag_err err = resources_open(u->cfg.accounts, &l->account, &at);
    if (err != QUDAG_OK) {
        return err;
    }
    err = resources_ask(u->cfg.accounts, &l->account, &one_handshake, &why);
    if (err != QUDAG_OK) {
        *full = why.scope == RES_NODE;
        resources_end(u->cfg.accounts, &l->account);
        say(u, &why);
    } else {
        count_half_open(l);
    }
    return err;
}

qudag_err upgrade_account_up(struct upgrade_link *l)
{
    struct res_place at = {(l->info.props & LINK_INBOUND) != 0, l->info.net,
                           peer_id_slice(&l->info.peer)};

    uncount_half_open(l);
    if (l->u->cfg.accounts == NULL) {
        return QUDAG_OK;
    }
    resources_end(l->u->cfg.accounts, &l->account);
    return resources_open(l->u->cfg.accounts, &l->account, &at);
}

static uint64_t *asked_of(struct upgrade_link *l, enum res_what what)
{
    return what == RES_BYTES ? &l->queued : &l->waiting;
}

qudag_err upgrade_account_ask(struct upgrade_link *l, enum res_what what, size_t n)
{
    struct res_ask ask = {what, (uint32_t)n, RES_PROTOS, 0};
    struct res_refusal why;

    if (l->u->cfg.accounts == NULL || n == 0) {
        return QUDAG_OK;
    }
    if (n > UINT32_MAX) {
        return QUDAG_ELIMIT;
    }
    qudag_err err = resources_ask(l->u->cfg.accounts, &l->account, &ask, &why);
    if (err == QUDAG_OK) {
        *asked_of(l, what) += n;
    } else {
        say(l->u, &why);
    }
    return err;
}

static void give_down_to(struct upgrade_link *l, enum res_what what, uint64_t used)
{
    uint64_t *asked = asked_of(l, what);

    while (*asked > used) {
        uint64_t n = *asked - used;
        struct res_ask part = {what, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX, RES_PROTOS, 0};

        resources_give(l->u->cfg.accounts, &l->account, &part);
        *asked -= part.n;
    }
}

void upgrade_account_sync(struct upgrade_link *l)
{
    if (l->u->cfg.accounts != NULL && l->yamux != NULL) {
        give_down_to(l, RES_BYTES, yamux_queued(l->yamux));
        give_down_to(l, RES_RECEIVED, yamux_held(l->yamux));
    }
}

void upgrade_account_end(struct upgrade_link *l)
{
    uncount_half_open(l);
    if (l->u->cfg.accounts != NULL) {
        resources_end(l->u->cfg.accounts, &l->account);
        l->queued = l->waiting = 0;
    }
}
