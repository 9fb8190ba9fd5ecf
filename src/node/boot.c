/*
 * boot.c - joining the network and staying in it.
 *
 *   START ─ dial all bootstrap peers (boot_dial.c) ─▶ DIAL ─ one answered ─▶ LOOKUP ─ tables filled ─▶ ANNOUNCE
 *     ─ own descriptor stored ─▶ RELAYS ─ enough descriptors, and the view usable (survey.c) ─▶ READY
 *   DIAL or LOOKUP without any answer ─▶ FAILED ─ backoff ─▶ DIAL
 *   DIAL or FAILED, and others joined through us: a contact in the table ─▶ LOOKUP
 *
 * Afterwards: tables refreshed (descriptors: arrow_relays_dht.c).  Peers that fall silent may mean that the
 * network has been cut in two, and each side forgets the other: bootstrap peers are dialled again until one
 * answers, so that the halves find together.
 */
#include "node/request_table.h"

#include <string.h>

#define RETRY_MIN (2 * NS_PER_S)
#define RETRY_MAX (300 * NS_PER_S)
#define RETRY_SOON (5 * NS_PER_S) /* after the last attempt, when something changed meanwhile */
#define REJOIN_MIN (5 * NS_PER_S)
#define REJOIN_MAX (600 * NS_PER_S)
#define REJOIN_PAUSE (60 * NS_PER_S) /* after one that worked */
#define SETTLES_IN (5 * NS_PER_S)    /* after READY */
#define REFRESH_EVERY (600 * NS_PER_S)

/* What the program was told last is not news: while relays are lacking it would hear the same every second. */
static bool is_news(const struct node_boot_state *b, enum node_phase p, uint32_t x, uint32_t y,
                    qudag_err err)
{
    return !b->told_any || b->phase != p || b->told[0] != x || b->told[1] != y ||
           b->told_err != err;
}

static void phase(struct node *n, enum node_phase p, uint32_t a, uint32_t b, qudag_err err)
{
    err = err == QUDAG_OK && n->clock.suspect ? QUDAG_ECLOCK : err; /* as long as it holds */
    bool news = is_news(&n->boot, p, a, b, err);

    if (p == NODE_READY && n->boot.phase != NODE_READY) {
        n->boot.settled_at = tstamp_after(n->now, SETTLES_IN);
    }
    n->boot.phase = p;
    n->boot.told_any = true;
    n->boot.told[0] = a;
    n->boot.told[1] = b;
    n->boot.told_err = err;
    if (news && n->hooks.phase != NULL) {
        n->hooks_called++;
        n->hooks.phase(n->hooks.ctx, p, a, b, err);
    }
}

static uint32_t table_size(const struct node *n)
{
    struct kad_stats st;

    kad_stats_get(n->kad, &st);
    return st.table;
}

static void failed(struct node *n, qudag_err err)
{
    struct node_boot_state *b = &n->boot;
    uint64_t wait = RETRY_MIN << (b->failures < 8 ? b->failures : 8);

    b->failures++;
    b->failed_why = b->why;
    wait = wait < RETRY_MAX ? wait : RETRY_MAX;
    b->failed_at = n->now;
    b->retry_at = tstamp_after(n->now, rng_jitter(&n->cfg.rng, wait, 250));
    log_event(&n->cfg.log, LOG_WARN, "boot.failed", LOG_ERR(err),
              LOG_NUM("retry_ms", (b->retry_at - n->now) / NS_PER_MS));
    phase(n, NODE_FAILED, b->failures, 0, err);
}

/* ---- the list of bootstrap peers ---- */

static bool same_place(const struct multiaddr *a, const struct multiaddr *b)
{
    struct netaddr na, nb;

    return ((multiaddr_to_netaddr(a, &na) && multiaddr_to_netaddr(b, &nb)) ||
            (multiaddr_to_tcp(a, &na) && multiaddr_to_tcp(b, &nb))) &&
           netaddr_eq(&na, &nb);
}

/* One list for all machines of a network holds each machine itself. */
static bool is_us(const struct node *n, const struct multiaddr *addr, const struct peer_id *self)
{
    struct peer_id id;

    if (multiaddr_peer(addr, &id)) {
        return peer_id_eq(&id, self);
    }
    for (size_t i = 0; i < n->reach.n_bound; i++) {
        if (same_place(&n->reach.bound[i], addr)) {
            return true;
        }
    }
    for (size_t i = 0; i < n->reach.n_announced; i++) {
        if (same_place(&n->reach.announced[i], addr)) {
            return true;
        }
    }
    return false;
}

static void drop_us(struct node *n)
{
    struct peer_id self;
    size_t left = 0;

    peer_id_from_ed25519(&self, n->cfg.identity->ed_pk);
    for (size_t i = 0; i < n->cfg.n_boot; i++) {
        if (!is_us(n, &n->cfg.boot[i].addr, &self)) {
            n->cfg.boot[left++] = n->cfg.boot[i];
        }
    }
    if (left < n->cfg.n_boot) {
        log_event(&n->cfg.log, LOG_INFO, "boot.own_address_left_out", LOG_NUM("others", left));
    }
    n->cfg.n_boot = left;
}

/* ---- joining ---- */

static void start_dials(struct node *n)
{
    phase(n, NODE_DIAL, 0, (uint32_t)(n->cfg.n_boot + n->n_anchors), QUDAG_OK);
    node_boot_dial_all(n, true);
    if (n->boot.ended == n->boot.dialled) {
        failed(n, QUDAG_ENOMEM);
    }
}

static void start_lookup(struct node *n, enum node_op_kind kind)
{
    struct node_request r = {.kind = kind};

    if (node_op_new(n, &r) != NULL) {
        n->boot.lookup_running = true;
    } else if (kind == NODE_OP_BOOT_LOOKUP) {
        failed(n, QUDAG_ENOMEM);
    }
}

static void look_around(struct node *n)
{
    n->boot.looked = n->boot.answered;
    n->boot.retry_at = TSTAMP_NEVER;
    n->boot.failed_why = (struct node_join_why){.err = QUDAG_OK};
    phase(n, NODE_LOOKUP, table_size(n), 0, QUDAG_OK);
    start_lookup(n, NODE_OP_BOOT_LOOKUP);
}

/* The first of its network. */
static void first_of_all(struct node *n)
{
    node_descs_begin(n);
    node_survey_begin(n);
    phase(n, NODE_READY, table_size(n), 0, QUDAG_OK);
}

static void join(struct node *n)
{
    if (node_rotation_run(n) != QUDAG_OK) {
        failed(n, QUDAG_ESYSTEM);
        return;
    }
    if (n->cfg.n_boot > 0 || n->n_anchors > 0) {
        start_dials(n);
        return;
    }
    first_of_all(n);
}

void node_start(struct node *n)
{
    struct node_boot_state *b = &n->boot;

    if (b->started) {
        return;
    }
    b->started = true;
    node_saved_owner(n);
    n->news |= NODE_NEWS_SELF; /* a signed peer record can be made now */
    b->refresh_at = tstamp_after(n->now, REFRESH_EVERY);
    phase(n, NODE_START, 0, 0, QUDAG_OK);
    drop_us(n);
    join(n);
}

/* Enough relays, or not yet. */
static void count_relays(struct node *n)
{
    uint32_t have = (uint32_t)relays_count(n->relays);

    node_survey_check(n);
    bool enough = have >= n->cfg.relays_min && relays_is_usable(n->relays);
    if (n->boot.phase == NODE_RELAYS) {
        phase(n, NODE_RELAYS, have, n->cfg.relays_min, QUDAG_OK);
        if (enough) {
            phase(n, NODE_READY, have, table_size(n), QUDAG_OK);
        }
    }
    if (n->boot.phase == NODE_READY && enough) {
        node_dark_republish(n);
    }
}

/* ---- rejoining ---- */

static bool boot_peer_linked(const struct node *n)
{
    struct peer_id id;
    uint8_t props;

    for (size_t i = 0; i < n->cfg.n_boot; i++) {
        if (multiaddr_peer(&n->cfg.boot[i].addr, &id) && swarm_connected(n->swarm, &id, &props)) {
            return true;
        }
    }
    return false;
}

static void on_silence(struct node *n)
{
    struct node_boot_state *b = &n->boot;

    if (n->cfg.n_boot == 0 || b->rejoin_at != TSTAMP_NEVER) {
        return;
    }
    tstamp at = tstamp_after(n->now, rng_jitter(&n->cfg.rng, REJOIN_MIN, 250));
    b->rejoin_at = at > b->rejoin_not_before ? at : b->rejoin_not_before;
}

/* A dial to a bootstrap peer ended, long after joining. */
static void rejoin_dialled(struct node *n)
{
    struct node_boot_state *b = &n->boot;

    if (b->answered > 0) {
        b->rejoining = false;
        b->rejoin_fails = 0;
        b->rejoin_not_before = tstamp_after(n->now, REJOIN_PAUSE);
        kad_backoff_reset(n->kad);
        if (!b->lookup_running) {
            start_lookup(n, NODE_OP_REFRESH);
        }
    } else if (b->ended >= b->dialled) {
        uint64_t wait = REJOIN_MIN << (b->rejoin_fails < 7 ? b->rejoin_fails : 7);
        b->rejoining = false;
        b->rejoin_fails++;
        wait = wait < REJOIN_MAX ? wait : REJOIN_MAX;
        b->rejoin_at = tstamp_after(n->now, rng_jitter(&n->cfg.rng, wait, 250));
    }
}

static void rejoin(struct node *n)
{
    struct node_boot_state *b = &n->boot;

    b->rejoin_at = TSTAMP_NEVER;
    if (b->phase > NODE_DIAL && b->phase != NODE_FAILED && !boot_peer_linked(n)) {
        b->rejoining = true;
        node_boot_dial_all(n, false);
        if (b->ended == b->dialled) { /* no memory */
            rejoin_dialled(n);
        }
    }
}

/* ---- ends of our requests ---- */

/* All dials have ended, and none that answered helped. */
static void none_of_use(struct node *n)
{
    const struct node_boot_state *b = &n->boot;

    failed(n, b->others ? QUDAG_EUNSUPPORTED : QUDAG_EBOOTSTRAP);
}

static void dials_ended(struct node *n)
{
    struct node_boot_state *b = &n->boot;

    phase(n, NODE_DIAL, b->answered, b->dialled, QUDAG_OK);
    if (b->answered > b->looked) {
        look_around(n);
    } else if (b->answered > 0 && b->ended == b->dialled) {
        none_of_use(n);
    } else if (b->ended == b->dialled && n->cfg.n_boot == 0) {
        first_of_all(n); /* only contacts of the last run were tried */
    } else if (b->ended == b->dialled) {
        failed(n, b->why.err != QUDAG_OK ? b->why.err : QUDAG_EBOOTSTRAP);
    }
}

/* Which of two keys does not match: "peer" (|found|), "hash", "hash_known" (by this node), "known", "expected". */
static void log_dial_failed(const struct node *n, const struct node_op *op, qudag_err err)
{
    static const char *const differs[] = {[NODE_AUTH_PEER] = "peer",
                                          [NODE_AUTH_NAMED] = "hash",
                                          [NODE_AUTH_NAMED_PROVEN] = "hash_known",
                                          [NODE_AUTH_PROVEN] = "known",
                                          [NODE_AUTH_EXPECTED] = "expected"};
    char text[PEER_ID_TEXT_MAX] = "";

    if (op->req.name_why != NAMES_FOUND) {
        log_event(&n->cfg.log, LOG_WARN, "boot.dial_failed", LOG_ERR(err),
                  LOG_STR("name", names_why_text(op->req.name_why)));
    } else if (err != QUDAG_EAUTH) {
        log_event(&n->cfg.log, LOG_WARN, "boot.dial_failed", LOG_ERR(err));
    } else if (op->req.auth == NODE_AUTH_PEER && peer_id_text(text, &op->req.peer) > 0) {
        log_event(&n->cfg.log, LOG_WARN, "boot.dial_failed", LOG_ERR(err),
                  LOG_STR("differs", differs[NODE_AUTH_PEER]), LOG_NET("found", text));
    } else {
        log_event(&n->cfg.log, LOG_WARN, "boot.dial_failed", LOG_ERR(err),
                  LOG_STR("differs", differs[op->req.auth]));
    }
}

void node_finish_boot_dial(struct node *n, struct node_op *op, qudag_err err,
                           const struct node_result *res)
{
    struct node_boot_state *b = &n->boot;
    struct kad_peer_info info = {.id = op->req.peer, .n_addrs = 1};
    (void)res;

    node_boot_dial_ended(n, node_op_cookie(op), err == QUDAG_OK);
    if (err == QUDAG_OK) {
        info.addr[0] = op->req.addr;
        multiaddr_strip_peer(&info.addr[0]);
        kad_add_peer(n->kad, &info, n->now, node_begin(n));
        node_end(n, n->ix.dht);
    } else if (err != QUDAG_ECANCELED) { /* another address of that peer was quicker */
        log_dial_failed(n, op, err);
        bool named = op->req.name_why != NAMES_FOUND && b->why.err == QUDAG_OK;
        if (named || qudag_err_category(err) == QUDAG_CAT_PEER) {
            b->why = (struct node_join_why){.err = err,
                                            .auth = op->req.auth,
                                            .name = op->req.name_why,
                                            .at = {op->req.addr, op->req.has_pq, {0}}};
            memcpy(b->why.at.pq_hash, op->req.pq_hash, sizeof(b->why.at.pq_hash));
        }
    }
    node_op_free(n, op);
    if (b->phase == NODE_DIAL) {
        dials_ended(n);
    } else if (b->rejoining) {
        rejoin_dialled(n);
    }
}

/*
 * None of those that had answered is of use: they are of another network, or not sure of our key yet.  Who answers
 * later may be; each dial has one look at the most.
 */
static void lookup_failed(struct node *n)
{
    struct node_boot_state *b = &n->boot;

    if (b->answered > b->looked) {
        look_around(n);
    } else if (b->ended < b->dialled) {
        phase(n, NODE_DIAL, b->answered, b->dialled, QUDAG_OK);
    } else {
        none_of_use(n);
    }
}

void node_finish_boot_lookup(struct node *n, struct node_op *op, qudag_err err,
                             const struct node_result *res)
{
    struct node_boot_state *b = &n->boot;
    bool first = op->req.kind == NODE_OP_BOOT_LOOKUP;
    (void)res;

    node_op_free(n, op);
    b->lookup_running = false;
    b->refresh_at = tstamp_after(n->now, rng_jitter(&n->cfg.rng, REFRESH_EVERY, 100));
    if (!first) {
        return;
    }
    if (table_size(n) == 0) {
        log_event(&n->cfg.log, LOG_WARN, "boot.lookup_failed", LOG_ERR(err));
        lookup_failed(n);
        return;
    }
    b->others = false;
    b->failures = 0;
    phase(n, NODE_LOOKUP, table_size(n), 1, QUDAG_OK);
    node_descs_begin(n);
    node_survey_begin(n);
    if (n->cfg.relay && reach_for_cells(&n->reach, NULL, 1) > 0) {
        phase(n, NODE_ANNOUNCE, 0, 0, QUDAG_OK);
        return;
    }
    if (n->cfg.relay) {
        log_plain(&n->cfg.log, LOG_WARN, "relay.no_public_address");
    }
    phase(n, NODE_RELAYS, 0, n->cfg.relays_min, QUDAG_OK);
}

/* ---- news ---- */

/* Others may have joined through us, though nobody we dialled has answered. */
static void on_peer(struct node *n)
{
    struct node_boot_state *b = &n->boot;

    node_descs_candidate(n);
    if (b->phase != NODE_DIAL && b->phase != NODE_FAILED) {
        return;
    }
    if (n->cfg.relay && !n->has_onion_key) { /* nowhere to save it: join() says so */
        return;
    }
    if (table_size(n) > 0) {
        look_around(n);
    } else if (b->phase == NODE_FAILED) {
        tstamp soon = tstamp_after(b->failed_at, RETRY_SOON);
        b->retry_at = tstamp_min(b->retry_at, soon);
    }
}

static void on_announced(struct node *n)
{
    if (n->boot.phase == NODE_ANNOUNCE && n->descs.stored > 0) {
        phase(n, NODE_ANNOUNCE, n->descs.stored, 1, QUDAG_OK);
        phase(n, NODE_RELAYS, (uint32_t)relays_count(n->relays), n->cfg.relays_min, QUDAG_OK);
        count_relays(n);
    }
}

/* Who answered is of a lab, and we are of none, or the other way round; that may be learnt before or after failing. */
static void on_others(struct node *n)
{
    struct node_boot_state *b = &n->boot;

    if (!b->others && table_size(n) == 0) {
        b->others = true;
        log_event(&n->cfg.log, LOG_WARN, "boot.other_network",
                  LOG_STR("it", n->cfg.lab ? "is no lab" : "is a lab"));
        if (b->phase == NODE_FAILED && b->failed_why.err == QUDAG_OK) {
            phase(n, NODE_FAILED, b->failures, 0, QUDAG_EUNSUPPORTED);
        }
    }
}

/* What names our addresses is replaced; a relay that no longer knows one does not wait for its descriptor. */
static void on_addrs(struct node *n)
{
    node_descs_renew(n);
    node_dark_republish_later(n);
    if (n->boot.phase == NODE_ANNOUNCE && reach_for_cells(&n->reach, NULL, 1) == 0) {
        log_plain(&n->cfg.log, LOG_WARN, "relay.no_public_address");
        phase(n, NODE_RELAYS, (uint32_t)relays_count(n->relays), n->cfg.relays_min, QUDAG_OK);
    }
    count_relays(n);
}

/* Our clock was found likely to be wrong, which is reported, or set: what it dated is replaced. */
static void on_clock(struct node *n)
{
    bool set = n->clock.set, said = n->clock.said;

    n->clock.set = false;
    n->clock.said = n->clock.suspect;
    if (!set || (said && n->boot.phase != NODE_FAILED)) { /* which is tried again below */
        phase(n, n->boot.phase, (uint32_t)relays_count(n->relays), table_size(n),
              n->clock.suspect ? QUDAG_ECLOCK : QUDAG_OK);
    }
    if (!set) {
        return;
    }
    if (sec_renew(n->sec, n->now) != QUDAG_OK) {
        log_plain(&n->cfg.log, LOG_ERROR, "node.certificate_not_renewed");
    }
    if (node_rotation_run(n) != QUDAG_OK) {
        log_plain(&n->cfg.log, LOG_ERROR, "relay.no_onion_key");
    }
    node_descs_renew(n);
    node_dark_republish_later(n);
    count_relays(n);
    n->boot.retry_at = n->boot.phase == NODE_FAILED ? n->now : n->boot.retry_at;
}

void node_boot_news(struct node *n, unsigned news, tstamp now)
{
    (void)now;
    if (!n->boot.started) {
        return;
    }
    if ((news & NODE_NEWS_CLOCK) != 0) {
        on_clock(n);
    }
    if ((news & NODE_NEWS_KEYS) != 0) {
        node_descs_renew(n); /* whoever gets the new descriptor needs the old key no more */
    }
    if ((news & NODE_NEWS_IDENTITY) != 0) { /* what names the key is made anew */
        node_descs_renew(n);
        node_dark_rekeyed(n);
    }
    if ((news & NODE_NEWS_ADDRS) != 0) {
        on_addrs(n);
    }
    if ((news & NODE_NEWS_SILENCE) != 0) {
        on_silence(n);
    }
    if ((news & (NODE_NEWS_PEER | NODE_NEWS_SELF)) != 0) {
        on_peer(n);
    }
    if ((news & NODE_NEWS_ANNOUNCED) != 0) {
        on_announced(n);
    }
    if ((news & NODE_NEWS_RELAYS) != 0) {
        count_relays(n);
    }
    if ((news & NODE_NEWS_OTHERS) != 0) {
        on_others(n);
    }
}

/* ---- when ---- */

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    struct node_boot_state *b = &n->boot;
    (void)out;

    if (b->phase == NODE_FAILED && b->retry_at <= now) {
        b->retry_at = TSTAMP_NEVER;
        join(n);
    }
    if (b->more_at <= now) {
        node_boot_dial_more(n);
        if (b->phase == NODE_DIAL && b->ended == b->dialled) { /* no memory */
            dials_ended(n);
        }
    }
    if (b->rejoin_at <= now) {
        rejoin(n);
    }
    if (b->refresh_at <= now) {
        b->refresh_at = tstamp_after(now, REFRESH_EVERY);
        if (table_size(n) == 0 && n->cfg.n_boot > 0) {
            start_dials(n); /* alone again: start over */
        } else if (!b->lookup_running) {
            start_lookup(n, NODE_OP_REFRESH);
        }
    }
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;
    const struct node_boot_state *b = &n->boot;
    tstamp at = b->phase == NODE_FAILED ? b->retry_at : TSTAMP_NEVER;

    return tstamp_min(tstamp_min(at, b->more_at), tstamp_min(b->rejoin_at, b->refresh_at));
}

qudag_err node_boot_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "bootstrap", .instance = n, .ops = &ops};
    unsigned ix;

    n->boot.retry_at = n->boot.rejoin_at = n->boot.refresh_at = n->boot.more_at = TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &ix);
}

enum node_phase node_phase_get(const struct node *n)
{
    return n->boot.phase;
}

uint64_t node_boot_retry_ms(const struct node *n, tstamp now)
{
    const struct node_boot_state *b = &n->boot;
    bool waits = b->phase == NODE_FAILED && b->retry_at != TSTAMP_NEVER;
    return waits && b->retry_at > now ? (b->retry_at - now) / NS_PER_MS : 0;
}

void node_join_why_get(const struct node *n, struct node_join_why *out)
{
    *out = n->boot.failed_why;
    if (out->err == QUDAG_OK && n->boot.others) {
        out->err = QUDAG_EUNSUPPORTED;
        out->others = true;
        out->lab = !n->cfg.lab;
    }
}
