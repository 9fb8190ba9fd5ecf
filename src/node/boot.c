/*
 * boot.c - joining the network and staying in it.
 *
 *   START ─ dial all bootstrap peers ─▶ DIAL ─ one answered ─▶ LOOKUP ─ tables filled ─▶ ANNOUNCE
 *     ─ own descriptor stored ─▶ RELAYS ─ enough descriptors ─▶ READY
 *   DIAL or LOOKUP without any answer ─▶ FAILED ─ backoff ─▶ DIAL
 *
 * Afterwards: descriptor announced again, tables refreshed, descriptors gathered.  Peers that fall
 * silent may mean that the network has been cut in two, and each side forgets the other: bootstrap
 * peers are dialled again until one answers, so that the halves find together.
 */
#include "node/internal.h"

#include "base/wr.h"

#include <string.h>

#define RETRY_MIN (2 * NS_PER_S)
#define RETRY_MAX (300 * NS_PER_S)
#define REJOIN_MIN (5 * NS_PER_S)
#define REJOIN_MAX (600 * NS_PER_S)
#define REJOIN_PAUSE (60 * NS_PER_S) /* after one that worked */
#define FETCH_PAUSE (100 * NS_PER_MS)
#define FETCH_PAUSE_READY (2 * NS_PER_S)
#define REFRESH_EVERY (600 * NS_PER_S)
#define ANNOUNCE_EVERY (6 * 3600 * NS_PER_S)

static void phase(struct node *n, enum node_phase p, uint32_t a, uint32_t b, qudag_err err)
{
    n->boot.phase = p;
    if (n->hooks.phase != NULL) {
        n->told++;
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
    struct boot *b = &n->boot;
    uint64_t wait = RETRY_MIN << (b->failures < 8 ? b->failures : 8);

    b->failures++;
    wait = wait < RETRY_MAX ? wait : RETRY_MAX;
    b->retry_at = tstamp_after(n->now, rng_jitter(&n->cfg.rng, wait, 250));
    log_event(&n->cfg.log, LOG_WARN, "boot.failed", LOG_ERR(err),
              LOG_NUM("retry_ms", (b->retry_at - n->now) / NS_PER_MS));
    phase(n, NODE_FAILED, b->failures, 0, err);
}

static void dial_all(struct node *n)
{
    struct boot *b = &n->boot;

    b->dialled = b->answered = b->ended = 0;
    b->why = QUDAG_OK;
    for (size_t i = 0; i < n->cfg.n_boot; i++) {
        const struct node_boot *nb = &n->cfg.boot[i];
        struct node_request r = {.kind = OP_BOOT_DIAL, .addr = nb->addr, .has_pq = nb->has_pq};
        struct peer_id id;
        memcpy(r.pq_hash, nb->pq_hash, sizeof(r.pq_hash));
        if (nb->has_pq && multiaddr_peer(&nb->addr, &id)) {
            swarm_pin(n->swarm, &id, nb->pq_hash);
        }
        if (op_new(n, &r) != NULL) {
            b->dialled++;
        }
    }
}

/* Peers of the last time: the bootstrap peers may be gone. */
static void dial_anchors(struct node *n)
{
    for (size_t i = 0; i < n->n_anchors; i++) {
        struct node_request r = {.kind = OP_BOOT_DIAL, .addr = n->anchor[i]};
        if (op_new(n, &r) != NULL) {
            n->boot.dialled++;
        }
    }
}

static void start_dials(struct node *n)
{
    phase(n, NODE_DIAL, 0, (uint32_t)(n->cfg.n_boot + n->n_anchors), QUDAG_OK);
    dial_all(n);
    dial_anchors(n);
    if (n->boot.dialled == 0) {
        failed(n, QUDAG_ENOMEM);
    }
}

static void start_lookup(struct node *n, enum op_kind kind)
{
    struct node_request r = {.kind = kind};

    if (op_new(n, &r) != NULL) {
        n->boot.lookup_running = true;
    } else if (kind == OP_BOOT_LOOKUP) {
        failed(n, QUDAG_ENOMEM);
    }
}

/* The first of its network. */
static void first_of_all(struct node *n)
{
    n->boot.announce_at = n->boot.fetch_at = n->now;
    phase(n, NODE_READY, table_size(n), 0, QUDAG_OK);
}

static void join(struct node *n)
{
    if (n->cfg.relay && !n->has_onion_key && onion_key_make(n) != QUDAG_OK) {
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
    struct boot *b = &n->boot;

    if (b->started) {
        return;
    }
    b->started = true;
    b->announce_at = TSTAMP_NEVER;
    b->fetch_at = b->retry_at = TSTAMP_NEVER;
    b->rejoin_at = TSTAMP_NEVER;
    b->refresh_at = tstamp_after(n->now, REFRESH_EVERY);
    phase(n, NODE_START, 0, 0, QUDAG_OK);
    join(n);
}

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

void boot_peer_silent(struct node *n)
{
    struct boot *b = &n->boot;

    if (!b->started || n->cfg.n_boot == 0 || b->rejoin_at != TSTAMP_NEVER) {
        return;
    }
    tstamp at = tstamp_after(n->now, rng_jitter(&n->cfg.rng, REJOIN_MIN, 250));
    b->rejoin_at = at > b->rejoin_not_before ? at : b->rejoin_not_before;
}

/* A dial to a bootstrap peer ended, long after joining. */
static void rejoin_dialled(struct node *n)
{
    struct boot *b = &n->boot;

    if (b->answered > 0) {
        b->rejoining = false;
        b->rejoin_fails = 0;
        b->rejoin_not_before = tstamp_after(n->now, REJOIN_PAUSE);
        kad_backoff_reset(n->kad);
        if (!b->lookup_running) {
            start_lookup(n, OP_REFRESH);
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
    struct boot *b = &n->boot;

    b->rejoin_at = TSTAMP_NEVER;
    if (b->phase > NODE_DIAL && b->phase != NODE_FAILED && !boot_peer_linked(n)) {
        b->rejoining = true;
        dial_all(n);
        if (b->dialled == 0) { /* no memory */
            rejoin_dialled(n);
        }
    }
}

static void dial_done(struct node *n, struct op *op, qudag_err err)
{
    struct boot *b = &n->boot;
    struct kad_peer_info info = {.id = op->req.peer, .n_addrs = 1};

    b->ended++;
    if (err == QUDAG_OK) {
        b->answered++;
        info.addr[0] = op->req.addr;
        multiaddr_strip_peer(&info.addr[0]);
        kad_add_peer(n->kad, &info, n->now, node_begin(n));
        node_end(n, CORE_KAD);
    } else {
        log_event(&n->cfg.log, LOG_WARN, "boot.dial_failed", LOG_ERR(err));
        if (qudag_err_category(err) == QUDAG_CAT_PEER) {
            b->why = err;
        }
    }
    op_drop(n, op);
    if (b->phase == NODE_DIAL) {
        phase(n, NODE_DIAL, b->answered, b->dialled, QUDAG_OK);
        if (b->answered > 0) {
            phase(n, NODE_LOOKUP, table_size(n), 0, QUDAG_OK);
            start_lookup(n, OP_BOOT_LOOKUP);
        } else if (b->ended == b->dialled && n->cfg.n_boot == 0) {
            first_of_all(n); /* only peers of the last time were tried */
        } else if (b->ended == b->dialled) {
            failed(n, b->why != QUDAG_OK ? b->why : QUDAG_EBOOTSTRAP);
        }
    } else if (b->rejoining) {
        rejoin_dialled(n);
    }
}

static void lookup_over(struct node *n, struct op *op, qudag_err err)
{
    struct boot *b = &n->boot;
    bool first = op->req.kind == OP_BOOT_LOOKUP;

    op_drop(n, op);
    b->lookup_running = false;
    b->refresh_at = tstamp_after(n->now, rng_jitter(&n->cfg.rng, REFRESH_EVERY, 100));
    if (!first) {
        return;
    }
    if (table_size(n) == 0) {
        log_event(&n->cfg.log, LOG_WARN, "boot.lookup_failed", LOG_ERR(err));
        failed(n, QUDAG_EBOOTSTRAP);
        return;
    }
    b->failures = 0;
    phase(n, NODE_LOOKUP, table_size(n), 1, QUDAG_OK);
    b->announce_at = b->fetch_at = n->now;
    if (n->cfg.relay) {
        phase(n, NODE_ANNOUNCE, 0, 0, QUDAG_OK);
    } else {
        phase(n, NODE_RELAYS, 0, n->cfg.relays_min, QUDAG_OK);
    }
}

/*
 * Before the descriptor leaves.  Without room on disk it leaves all the same: then only a clock that goes
 * back over a restart could make the number go back, and whether it was saved is in the log.
 */
static void save_seq(struct node *n)
{
    uint8_t bytes[SEQ_FILE_LEN];
    struct wr w = wr_init(bytes, sizeof(bytes));
    qudag_err err;

    wr_u64(&w, n->desc_seq);
    node_save(n, "relay-seq", (struct slice){bytes, sizeof(bytes)}, &err);
}

static qudag_err describe(struct node *n, size_t *len)
{
    struct relay_desc *d = &n->self_desc;
    walltime wall = wall_now(&n->cfg.clock, n->now);

    memset(d, 0, sizeof(*d));
    for (size_t i = 0; i < n->n_addrs && i < RELAY_DESC_ADDRS_MAX; i++) {
        d->addr[d->n_addrs++] = n->addr[i];
    }
    memcpy(d->onion_x, n->onion_x, sizeof(d->onion_x));
    memcpy(d->onion_k, n->onion_k, sizeof(d->onion_k));
    memcpy(d->key_id, n->onion_id, sizeof(d->key_id));
    memcpy(d->family, n->cfg.family, sizeof(d->family));
    d->flags = RELAY_FLAG_GUARD | RELAY_FLAG_EXIT | (n->cfg.lab ? RELAY_FLAG_LAB : 0);
    d->seq = n->desc_seq = node_rule_next_seq(n->desc_seq, wall);
    save_seq(n);
    d->not_before = wall;
    d->expires = wall + RELAY_DESC_LIFE_MAX;
    return relay_desc_encode(n->desc_buf, sizeof(n->desc_buf), len, d, n->cfg.identity,
                             &n->cfg.rng);
}

static void announce(struct node *n)
{
    struct boot *b = &n->boot;
    struct node_request r = {.kind = OP_ANNOUNCE};
    uint8_t key[NODE_RELAY_KEY_MAX];
    struct peer_id self;
    size_t len = 0;

    b->announce_at = TSTAMP_NEVER;
    if (!n->cfg.relay) {
        return;
    }
    if (table_size(n) == 0) { /* nobody to tell yet */
        b->announce_at = tstamp_after(n->now, NS_PER_S);
        return;
    }
    peer_id_from_ed25519(&self, n->cfg.identity->ed_pk);
    qudag_err err = describe(n, &len);
    if (err != QUDAG_OK) {
        log_event(&n->cfg.log, LOG_ERROR, "boot.descriptor_failed", LOG_ERR(err));
        b->announce_at = tstamp_after(n->now, 60 * NS_PER_S);
        return;
    }
    r.key = (struct slice){key, node_rule_relay_key(key, &self)};
    r.value = (struct slice){n->desc_buf, len};
    if (op_new(n, &r) == NULL) {
        b->announce_at = tstamp_after(n->now, NS_PER_S);
    }
}

/* While the network around us still grows the descriptor has to follow the closest nodes. */
static void announced(struct node *n, struct op *op, const struct kad_result *r)
{
    static const uint8_t pause_s[] = {1, 2, 4, 8, 15, 30, 60, 120};
    struct boot *b = &n->boot;
    uint32_t stored = r != NULL ? (uint32_t)r->n_peers : 0;

    op_drop(n, op);
    uint64_t wait = ANNOUNCE_EVERY;
    if (stored == 0) {
        wait = NS_PER_S;
    } else if (b->announces < ARRAY_LEN(pause_s)) {
        wait = pause_s[b->announces++] * NS_PER_S;
    }
    b->announce_at = tstamp_after(n->now, rng_jitter(&n->cfg.rng, wait, 200));
    if (b->phase == NODE_ANNOUNCE && stored > 0) {
        phase(n, NODE_ANNOUNCE, stored, 1, QUDAG_OK);
        phase(n, NODE_RELAYS, (uint32_t)relays_count(n->relays), n->cfg.relays_min, QUDAG_OK);
        boot_relay_added(n);
    }
}

static void fetch_more(struct node *n)
{
    struct boot *b = &n->boot;
    struct peer_id id;
    uint8_t key[NODE_RELAY_KEY_MAX];

    while (b->fetching < FETCHES_MAX && relays_next_fetch(n->relays, n->now, &id)) {
        struct node_request r = {.kind = OP_FETCH, .peer = id};
        r.key = (struct slice){key, node_rule_relay_key(key, &id)};
        if (op_new(n, &r) == NULL) {
            relays_fetch_failed(n->relays, &id, n->now);
            break;
        }
        b->fetching++;
    }
    bool busy = b->fetching > 0 && relays_count(n->relays) < n->cfg.relays_min;
    b->fetch_at = tstamp_after(n->now, busy ? FETCH_PAUSE : FETCH_PAUSE_READY);
}

/* Somebody new, who may be a relay: not worth waiting for the next look while relays are lacking. */
void boot_candidate(struct node *n)
{
    struct boot *b = &n->boot;

    if (b->started && b->fetch_at != TSTAMP_NEVER && relays_count(n->relays) < n->cfg.relays_min) {
        b->fetch_at = tstamp_min(b->fetch_at, tstamp_after(n->now, FETCH_PAUSE));
    }
}

/* Descriptors tell the ML-DSA keys of relays before we meet them: pinned as known. */
static void fetched(struct node *n, struct op *op, qudag_err err, const struct kad_result *r)
{
    struct relay_desc *d = mem_alloc(n->mem, sizeof(*d));

    n->boot.fetching--;
    if (err == QUDAG_OK && r != NULL && d != NULL) {
        err = node_rule_fetched(d, &op->req.peer, r->value, wall_now(&n->cfg.clock, n->now));
        if (err == QUDAG_OK) {
            err = relays_add(n->relays, d);
        }
    } else if (err == QUDAG_OK) {
        err = QUDAG_ENOMEM;
    }
    if (err == QUDAG_OK) {
        swarm_pin(n->swarm, &d->peer, d->pq_hash);
        for (size_t i = 0; i < d->n_addrs; i++) {
            if (addr_usable(n, &d->addr[i])) { /* who signs it may say anything */
                swarm_addr_add(n->swarm, &d->peer, &d->addr[i]);
            }
        }
        boot_relay_added(n);
    } else {
        relays_fetch_failed(n->relays, &op->req.peer, n->now);
    }
    mem_free(n->mem, d);
    op_drop(n, op);
}

static void republish(struct node *n)
{
    while (n->n_republish > 0) {
        struct node_request r = {.kind = OP_DARK_PUBLISH, .dark = n->republish[n->n_republish - 1]};
        struct op *op = op_new(n, &r);
        if (op == NULL) {
            return; /* with the next relay */
        }
        op->told = true;
        n->n_republish--;
    }
}

void boot_relay_added(struct node *n)
{
    uint32_t have = (uint32_t)relays_count(n->relays);

    if (n->boot.phase == NODE_RELAYS) {
        phase(n, NODE_RELAYS, have, n->cfg.relays_min, QUDAG_OK);
        if (have >= n->cfg.relays_min) {
            phase(n, NODE_READY, have, table_size(n), QUDAG_OK);
        }
    }
    if (n->boot.phase == NODE_READY && have >= n->cfg.relays_min) {
        republish(n);
    }
}

void boot_op_done(struct node *n, struct op *op, qudag_err err, const struct kad_result *res,
                  tstamp now)
{
    (void)now;
    switch (op->req.kind) {
    case OP_BOOT_DIAL:
        dial_done(n, op, err);
        break;
    case OP_BOOT_LOOKUP:
    case OP_REFRESH:
        lookup_over(n, op, err);
        break;
    case OP_ANNOUNCE:
        announced(n, op, res);
        break;
    case OP_FETCH:
        fetched(n, op, err, res);
        break;
    default:
        op_drop(n, op);
        break;
    }
}

void boot_tick(struct node *n, tstamp now)
{
    struct boot *b = &n->boot;

    if (!b->started) {
        return;
    }
    if (b->phase == NODE_FAILED && b->retry_at <= now) {
        b->retry_at = TSTAMP_NEVER;
        join(n);
    }
    if (b->rejoin_at <= now) {
        rejoin(n);
    }
    if (b->announce_at <= now) {
        announce(n);
    }
    if (b->fetch_at <= now) {
        relays_expire(n->relays, wall_now(&n->cfg.clock, now));
        fetch_more(n);
    }
    if (b->refresh_at <= now) {
        b->refresh_at = tstamp_after(now, REFRESH_EVERY);
        if (table_size(n) == 0 && n->cfg.n_boot > 0) {
            start_dials(n); /* alone again: begin anew */
        } else if (!b->lookup_running) {
            start_lookup(n, OP_REFRESH);
        }
    }
}

tstamp boot_deadline(const struct node *n)
{
    const struct boot *b = &n->boot;
    tstamp at = TSTAMP_NEVER;

    if (!b->started) {
        return at;
    }
    if (b->phase == NODE_FAILED) {
        at = b->retry_at;
    }
    at = tstamp_min(at, b->rejoin_at);
    at = tstamp_min(at, b->announce_at);
    at = tstamp_min(at, b->fetch_at);
    return tstamp_min(at, b->refresh_at);
}
