/* upgrade.c - the table of links: beginning, bytes in and out, timers, ends.  See upgrade_int.h. */
#include "upgrade/upgrade_int.h"

#include <string.h>

#define LINKS_MAX 1024
#define STREAMS_MAX 512
#define HANDSHAKE_TIMEOUT (10 * NS_PER_S)
#define KEEPALIVE (25 * NS_PER_S)
#define IDLE_TIMEOUT (60 * NS_PER_S)
#define NEVER_YET (TSTAMP_NEVER - 1)
#define REFUSED_LOG_BURST 10

static void defaults(struct upgrade_config *c)
{
    c->links_max = c->links_max == 0 ? LINKS_MAX : c->links_max;
    c->streams_max = c->streams_max == 0 ? STREAMS_MAX : c->streams_max;
    c->handshake_timeout_ns =
        c->handshake_timeout_ns == 0 ? HANDSHAKE_TIMEOUT : c->handshake_timeout_ns;
    c->keepalive_ns = c->keepalive_ns == 0 ? KEEPALIVE : c->keepalive_ns;
    c->idle_timeout_ns = c->idle_timeout_ns == 0 ? IDLE_TIMEOUT : c->idle_timeout_ns;
    if (c->idle_timeout_ns <= c->keepalive_ns) {
        c->keepalive_ns = c->idle_timeout_ns / 2;
    }
}

qudag_err upgrade_new(struct upgrade **out, const struct upgrade_config *cfg, tstamp now)
{
    struct upgrade *u = mem_alloc(cfg->mem, sizeof(*u));

    *out = NULL;
    if (u == NULL) {
        return QUDAG_ENOMEM;
    }
    u->cfg = *cfg;
    defaults(&u->cfg);
    u->now = now;
    slots_init(&u->links, cfg->mem, u->cfg.links_max);
    heap_init(&u->timers, cfg->mem, u->cfg.links_max);
    list_init(&u->busy);
    list_init(&u->work);
    limiter_init(&u->refused_log, 1, REFUSED_LOG_BURST, now);
    u->scratch = mem_alloc(cfg->mem, UPGRADE_RECORD);
    if (u->scratch == NULL) {
        upgrade_free(u);
        return QUDAG_ENOMEM;
    }
    *out = u;
    return QUDAG_OK;
}

static void free_blocks(struct upgrade_link *l)
{
    while (l->blocks != NULL) {
        upgrade_block_drop(l);
    }
}

static void link_free(struct upgrade_link *l)
{
    struct upgrade *u = l->u;

    yamux_free(l->yamux);
    noise_free(l->noise);
    tls_stream_free(l->tls);
    free_blocks(l);
    dyn_fini(&l->out);
    upgrade_account_end(l);
    heap_del(&u->timers, &l->timer);
    list_del(&l->busy);
    list_del(&l->work);
    slots_del(&u->links, l->ref);
    mem_free_wiped(u->cfg.mem, l);
}

void upgrade_set_times(struct upgrade *u, uint64_t handshake_ns, uint64_t keepalive_ns)
{
    struct upgrade_config *c = &u->cfg;

    c->handshake_timeout_ns = handshake_ns != 0 ? handshake_ns : c->handshake_timeout_ns;
    c->keepalive_ns = keepalive_ns != 0 ? keepalive_ns : c->keepalive_ns;
    defaults(c);
}

void upgrade_set_identity(struct upgrade *u, const struct identity *identity)
{
    u->cfg.identity = identity;
}

void upgrade_free(struct upgrade *u)
{
    if (u == NULL) {
        return;
    }
    for (uint32_t i = 0; i < u->links.high; i++) {
        if (slots_at(&u->links, i) != NULL) {
            link_free(slots_at(&u->links, i));
        }
    }
    slots_fini(&u->links);
    heap_fini(&u->timers);
    if (u->spare != NULL) {
        buf_drop(&u->spare->lent);
    }
    mem_free(u->cfg.mem, u->scratch);
    mem_free(u->cfg.mem, u);
}

struct upgrade_link *upgrade_find(const struct upgrade *u, struct ref link)
{
    return slots_get(&u->links, link);
}

void upgrade_mark_work(struct upgrade_link *l)
{
    if (!list_linked(&l->work) && !l->carrier_gone) {
        list_push_back(&l->u->work, &l->work);
    }
}

void upgrade_mark_busy(struct upgrade_link *l)
{
    if (!list_linked(&l->busy)) {
        list_push_back(&l->u->busy, &l->busy);
    }
}

static tstamp due(const struct upgrade_link *l)
{
    if (l->stage == STAGE_ENDED || !l->up) {
        return l->end_by;
    }
    return tstamp_min(tstamp_min(yamux_deadline(l->yamux), upgrade_quiet_at(l)), NEVER_YET);
}

/* The node is in the heap since the link was made; it only moves forward here, upgrade_tick() looks again. */
void upgrade_set_timer(struct upgrade_link *l)
{
    tstamp at = due(l);

    if (at < l->timer.at) {
        qudag_err err = heap_set(&l->u->timers, &l->timer, at);
        ASSERT(err == QUDAG_OK);
    }
}

static struct upgrade_link *link_new(struct upgrade *u, const struct upgrade_stream *s)
{
    struct upgrade_link *l = mem_alloc(u->cfg.mem, sizeof(*l));

    if (l == NULL) {
        return NULL;
    }
    l->u = u;
    l->cookie = s->cookie;
    l->dialer = s->dialer;
    l->started = u->now;
    l->end_by = tstamp_after(u->now, u->cfg.handshake_timeout_ns);
    l->wish.pq = u->cfg.pq;
    l->info.props = s->props;
    l->info.local = s->local;
    l->info.remote = s->remote;
    l->info.net = s->net;
    multiaddr_strip_peer(&l->info.remote);
    dyn_init(&l->out, u->cfg.mem, UPGRADE_OUT_MAX);
    list_init(&l->busy);
    list_init(&l->work);
    return l;
}

static void set_target(struct upgrade_link *l, const struct transport_target *t)
{
    l->announced = true;
    l->wish.need = t->need;
    l->wish.pinned = t->pq_hash != NULL;
    l->expect = (struct sec_expect){.has_peer = t->peer != NULL,
                                    .has_pq_hash = t->pq_hash != NULL,
                                    .lax = t->lax,
                                    .need = t->need};
    if (t->peer != NULL) {
        l->expect.peer = *t->peer;
    }
    if (t->pq_hash != NULL) {
        memcpy(l->expect.pq_hash, t->pq_hash, sizeof(l->expect.pq_hash));
    }
}

static qudag_err take_place(struct upgrade_link *l)
{
    bool full;
    qudag_err err = upgrade_account_begin(l, &full);
    struct upgrade_link *holder = err == QUDAG_ELIMIT && full ? upgrade_account_holder(l) : NULL;

    if (holder == NULL) {
        return err;
    }
    upgrade_end(holder, QUDAG_ELIMIT, "others wait for the place of this handshake");
    return upgrade_account_begin(l, &full);
}

qudag_err upgrade_begin(struct upgrade *u, const struct upgrade_stream *s, tstamp now,
                        struct ref *link)
{
    u->now = now;
    struct upgrade_link *l = link_new(u, s);
    if (l == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = slots_add(&u->links, l, &l->ref);
    if (err == QUDAG_OK) {
        err = heap_set(&u->timers, &l->timer, l->end_by);
    }
    if (err == QUDAG_OK) {
        err = take_place(l);
    }
    if (err == QUDAG_OK && s->target != NULL) {
        set_target(l, s->target);
    }
    if (err == QUDAG_OK) {
        err = upgrade_stage_begin(l);
    }
    if (err != QUDAG_OK) {
        link_free(l);
        return err;
    }
    u->stats.half_open++;
    upgrade_mark_work(l);
    *link = l->ref;
    return QUDAG_OK;
}

void upgrade_receive(struct upgrade *u, struct ref link, struct slice in, tstamp now)
{
    struct upgrade_link *l = upgrade_find(u, link);
    const char *text = NULL;

    u->now = now;
    if (l == NULL || l->stage == STAGE_ENDED || l->closing || in.len == 0) {
        return;
    }
    if (l->info.bytes_in == 0 && l->announced) {
        l->answered_due = true;
        upgrade_mark_busy(l);
    }
    l->info.bytes_in += in.len;
    if (upgrade_quiet_heard(l)) {
        upgrade_mark_busy(l);
    }
    u->stats.bytes_in += in.len;
    qudag_err err = upgrade_stage_input(l, in, &text);
    if (err != QUDAG_OK) {
        upgrade_fail(l, err, err == QUDAG_ENOMEM ? "out of memory" : text);
    }
    upgrade_mark_work(l);
}

void upgrade_lost(struct upgrade *u, struct ref link, qudag_err err, tstamp now)
{
    struct upgrade_link *l = upgrade_find(u, link);

    u->now = now;
    if (l == NULL) {
        return;
    }
    if (err != QUDAG_OK) {
        l->carrier_gone = true;
        list_del(&l->work);
        const char *text = err == QUDAG_ELIMIT ? "what carries the link is at its limit"
                                               : "the byte stream below the link broke";
        upgrade_fail(l, err, l->up ? text : NULL);
        (void)upgrade_gone(l);
    } else if (l->going) {
        upgrade_fail(l, QUDAG_ECLOSED, "the peer closed the link");
    } else {
        upgrade_fail(l, QUDAG_ERESET, "the byte stream below the link ended");
    }
}

void upgrade_fail(struct upgrade_link *l, qudag_err err, const char *text)
{
    if (l->stage == STAGE_ENDED || l->closing) {
        return;
    }
    if (l->stage == STAGE_STREAMS && l->up) {
        l->closing = true;
        l->why = err;
        l->why_text = text;
        upgrade_mark_busy(l);
    } else {
        upgrade_end(l, err, text);
    }
}

/* Why a link never came up. */
static void count_failure(struct upgrade_link *l, qudag_err err)
{
    struct upgrade_stats *st = &l->u->stats;

    st->handshakes_failed++;
    st->handshakes_timeout += err == QUDAG_ETIMEOUT ? 1 : 0;
    st->auth_failed += err == QUDAG_EAUTH ? 1 : 0;
    st->policy_refused += err == QUDAG_EPOLICY ? 1 : 0;
    st->pin_refused += err == QUDAG_EAUTH && l->wish.pinned && !l->other_peer ? 1 : 0;
}

/* The last that is said on it, as far as that can be. */
static void say_goodbye(struct upgrade_link *l, qudag_err err)
{
    bool fault = err == QUDAG_EPROTO || err == QUDAG_ELIMIT;

    if (l->carrier_gone || l->unsealed) {
        return;
    }
    if (l->yamux != NULL) {
        yamux_close(l->yamux, fault ? YAMUX_PROTOCOL : YAMUX_NORMAL);
        size_t n = yamux_output(l->yamux, l->u->scratch, UPGRADE_RECORD);
        if (n == 0 || upgrade_put_sealed(l, (struct slice){l->u->scratch, n}) != QUDAG_OK) {
            return;
        }
    }
    if (l->tls != NULL) {
        tls_stream_close(l->tls);
    }
}

void upgrade_end(struct upgrade_link *l, qudag_err err, const char *text)
{
    struct upgrade *u = l->u;

    if (l->stage == STAGE_ENDED) {
        return;
    }
    if (l->up) {
        u->stats.links--;
    } else {
        u->stats.half_open--;
        count_failure(l, err);
    }
    say_goodbye(l, err);
    l->stage = STAGE_ENDED;
    l->why = err;
    l->why_text = text;
    l->answered_due = l->proven_due = l->up_due = false;
    l->down_due = l->announced;
    yamux_free(l->yamux);
    l->yamux = NULL;
    noise_free(l->noise);
    l->noise = NULL;
    upgrade_account_end(l); /* the blocks stay: what was told of them may be in use still */
    l->end_by = tstamp_after(u->now, UPGRADE_LINGER);
    upgrade_set_timer(l);
    upgrade_mark_busy(l);
    upgrade_mark_work(l);
}

bool upgrade_gone(struct upgrade_link *l)
{
    if (l->stage != STAGE_ENDED || !l->carrier_gone || l->down_due) {
        return false;
    }
    link_free(l);
    return true;
}

static bool has_output(const struct upgrade_link *l)
{
    return l->out.len > 0 || (l->tls != NULL && tls_stream_output(l->tls).len > 0) ||
           (l->stage == STAGE_STREAMS && !l->unsealed && yamux_has_output(l->yamux));
}

bool upgrade_next_work(struct upgrade *u, struct ref *link, uint64_t *cookie, bool *ended)
{
    while (!list_empty(&u->work)) {
        struct upgrade_link *l = LIST_ENTRY(u->work.next, struct upgrade_link, work);

        list_del(&l->work);
        if (l->stage == STAGE_ENDED || has_output(l)) {
            l->end_named = l->stage == STAGE_ENDED;
            *link = l->ref;
            *cookie = l->cookie;
            *ended = l->end_named;
            return true;
        }
    }
    return false;
}

qudag_err upgrade_put(struct upgrade_link *l, struct slice in)
{
    return in.len == 0 ? QUDAG_OK : dyn_append(&l->out, in.base, in.len);
}

qudag_err upgrade_put_sealed(struct upgrade_link *l, struct slice plain)
{
    uint8_t frame[MSS_REPLY_MAX + NOISE_OVERHEAD];

    if (l->tls != NULL) {
        return tls_stream_send(l->tls, plain, l->u->now);
    }
    while (plain.len > 0) {
        size_t n = plain.len < MSS_REPLY_MAX ? plain.len : MSS_REPLY_MAX;
        qudag_err err = noise_seal(l->noise, frame, (struct slice){plain.base, n});
        if (err == QUDAG_OK) {
            err = upgrade_put(l, (struct slice){frame, n + NOISE_OVERHEAD});
        }
        if (err != QUDAG_OK) {
            return err;
        }
        plain = slice_rest(plain, n);
    }
    return QUDAG_OK;
}

/* What is sealed and waits. */
static size_t take_waiting(struct upgrade_link *l, uint8_t *dst, size_t cap)
{
    size_t n = l->out.len < cap ? l->out.len : cap;

    if (n > 0) {
        memcpy(dst, l->out.p, n);
        dyn_drop(&l->out, n);
    }
    while (l->tls != NULL && n < cap) {
        struct slice part = tls_stream_output(l->tls);
        size_t k = part.len < cap - n ? part.len : cap - n;

        if (k == 0) {
            break;
        }
        memcpy(dst + n, part.base, k);
        tls_stream_output_sent(l->tls, k);
        n += k;
    }
    return n;
}

/* Seals |plain|, *len bytes of it into |dst| and the rest behind what waits. */
static qudag_err seal_to(struct upgrade_link *l, struct slice plain, struct tls_stream_room dst,
                         size_t *len)
{
    *len = 0;
    if (l->tls != NULL) {
        return tls_stream_send_to(l->tls, plain, dst, len, l->u->now);
    }
    if (dst.cap < plain.len + NOISE_OVERHEAD) {
        return upgrade_put_sealed(l, plain);
    }
    *len = plain.len + NOISE_OVERHEAD;
    return noise_seal(l->noise, dst.base, plain);
}

/* How many bytes of frames are sealed at once: of Noise no more than fit, unless that were very few. */
static size_t seal_size(const struct upgrade_link *l, size_t cap)
{
    if (l->tls != NULL || cap >= UPGRADE_RECORD + NOISE_OVERHEAD) {
        return UPGRADE_RECORD;
    }
    return cap > MSS_REPLY_MAX + NOISE_OVERHEAD ? cap - NOISE_OVERHEAD : MSS_REPLY_MAX;
}

/* Frames of the muxer, sealed: *len bytes of them in |dst|.  False: there are none. */
static bool seal_more(struct upgrade_link *l, struct tls_stream_room dst, size_t *len)
{
    struct upgrade *u = l->u;

    *len = 0;
    if (l->stage != STAGE_STREAMS || l->closing || l->unsealed) {
        return false;
    }
    struct slice plain = yamux_frame(l->yamux, seal_size(l, dst.cap));
    bool lent = plain.len > 0;
    if (!lent) {
        plain = (struct slice){u->scratch, 0};
        plain.len = yamux_output(l->yamux, u->scratch, seal_size(l, dst.cap));
    }
    if (plain.len == 0) {
        return false;
    }
    qudag_err err = seal_to(l, plain, dst, len);
    if (lent) {
        yamux_frame_sent(l->yamux);
    }
    upgrade_account_sync(l);
    upgrade_mark_busy(l);
    if (err != QUDAG_OK) {
        *len = 0;
        l->unsealed = true;
        upgrade_fail(l, err, "nothing can be sealed any more");
    }
    return err == QUDAG_OK;
}

size_t upgrade_output(struct upgrade *u, struct ref link, uint8_t *dst, size_t cap, tstamp now)
{
    struct upgrade_link *l = upgrade_find(u, link);
    size_t n = 0, len;
    bool more = true;

    u->now = now;
    if (l == NULL || cap == 0) {
        return 0;
    }
    while (more && n < cap) {
        n += take_waiting(l, dst + n, cap - n);
        more = n < cap && seal_more(l, (struct tls_stream_room){dst + n, cap - n}, &len);
        n += more ? len : 0;
    }
    l->info.bytes_out += n;
    if (upgrade_quiet_sent(l, n)) {
        upgrade_set_timer(l);
    }
    u->stats.bytes_out += n;
    if (n == 0 && l->end_named) {
        l->carrier_gone = true;
        (void)upgrade_gone(l);
    }
    return n;
}

tstamp upgrade_deadline(const struct upgrade *u)
{
    const struct heap_node *top = heap_top(&u->timers);

    return top == NULL ? TSTAMP_NEVER : top->at;
}

static void on_timer(struct upgrade_link *l)
{
    struct upgrade *u = l->u;

    if (l->stage == STAGE_ENDED) { /* nobody takes its last bytes */
        dyn_fini(&l->out);
        tls_stream_free(l->tls);
        l->tls = NULL;
        l->end_by = NEVER_YET;
        upgrade_mark_work(l);
    } else if (!l->up) {
        upgrade_end(l, QUDAG_ETIMEOUT, "the handshake took too long");
    } else {
        yamux_tick(l->yamux, u->now);
        upgrade_quiet_tick(l);
        upgrade_mark_busy(l);
        upgrade_mark_work(l);
    }
}

void upgrade_tick(struct upgrade *u, tstamp now)
{
    u->now = now;
    for (;;) {
        struct heap_node *top = heap_top(&u->timers);

        if (top == NULL || top->at > now) {
            return;
        }
        struct upgrade_link *l = LIST_ENTRY(top, struct upgrade_link, timer);
        if (due(l) <= now) {
            on_timer(l);
        }
        qudag_err err = heap_set(&u->timers, &l->timer, due(l) > now ? due(l) : now + 1);
        ASSERT(err == QUDAG_OK);
    }
}

bool upgrade_cancel(struct upgrade *u, struct ref link)
{
    struct upgrade_link *l = upgrade_find(u, link);

    if (l != NULL && l->stage > STAGE_NOISE && l->stage != STAGE_ENDED) {
        return false;
    }
    if (l != NULL) {
        upgrade_end(l, QUDAG_ECANCELED, "closed by this side");
    }
    return true;
}

void upgrade_probe(struct upgrade *u, struct ref link, tstamp now)
{
    struct upgrade_link *l = upgrade_find(u, link);

    u->now = now;
    if (l != NULL && l->stage == STAGE_STREAMS && l->up) {
        yamux_probe(l->yamux, UPGRADE_PROBE, now);
        upgrade_set_timer(l);
        upgrade_mark_work(l);
    }
}

qudag_err upgrade_info(const struct upgrade *u, struct ref link, struct link_info *out)
{
    const struct upgrade_link *l = upgrade_find(u, link);

    if (l == NULL || (l->stage == STAGE_ENDED && !l->down_due)) {
        return QUDAG_ESTALE;
    }
    *out = l->info;
    if (l->yamux != NULL) {
        out->rtt_ns = yamux_rtt(l->yamux);
        out->streams = yamux_streams(l->yamux);
    }
    return QUDAG_OK;
}

void upgrade_stats_get(const struct upgrade *u, struct upgrade_stats *out)
{
    *out = u->stats;
}

void upgrade_shutdown(struct upgrade *u, tstamp now)
{
    u->now = now;
    for (uint32_t i = 0; i < u->links.high; i++) {
        struct upgrade_link *l = slots_at(&u->links, i);
        if (l != NULL) {
            upgrade_end(l, QUDAG_ECLOSED, "closed by this side");
        }
    }
}
