/*
 * serve.c - requests of others: several per stream, answered in order.
 *
 *   request --limits.c: may it?--> answer               if not: stream reset, counted
 *      '--no room in the action list, or the peer does not read--> kept, answered later
 *
 * A stream holds at most one message limit of unanswered bytes; more is a reset.
 */
#include "core/kad/kad_int.h"

#include "base/assert.h"

#include <string.h>

#define ANSWER_REST 2048 /* bytes of an answer beside value and peers, our own addresses included */

/* Counts; the stream is to be reset. */
static bool refuse(struct kad *k, enum kad_refusal why)
{
    kad_refuse(k, why);
    return false;
}

/* Keeps what cannot be served yet. */
static bool keep(struct kad *k, struct kad_inbound *in, const uint8_t *p, size_t len)
{
    struct kad_client *c = in->client;

    if (len > KAD_UNREAD_CLIENT - c->kept || len > KAD_UNREAD_MAX - k->kept) {
        return refuse(k, KAD_REFUSED_UNREAD);
    }
    qudag_err err = dyn_append(&in->in, p, len);
    if (err != QUDAG_OK) {
        return refuse(k, err == QUDAG_ETOOBIG ? KAD_REFUSED_UNREAD : KAD_REFUSED_NO_MEMORY);
    }
    c->kept += (uint32_t)len;
    k->kept += len;
    return true;
}

static void unkeep(struct kad *k, struct kad_inbound *in, size_t len)
{
    ASSERT(len <= in->in.len && len <= in->client->kept && len <= k->kept);
    dyn_drop(&in->in, len);
    in->client->kept -= (uint32_t)len;
    k->kept -= len;
}

static bool inbound_add(struct kad *k, struct kad_inbound *in, tstamp now)
{
    if (kad_timer_set(k, &in->timer, tstamp_after(now, KAD_INBOUND_IDLE)) != QUDAG_OK) {
        return false;
    }
    if (kad_names_add(&k->inbound_by_strm, kad_strm_name(in->strm), in) != QUDAG_OK) {
        heap_del(&k->timers, &in->timer.node);
        return false;
    }
    list_push_back(&k->inbounds, &in->node);
    return true;
}

void kad_serve_open(struct kad *k, const struct ev *ev, tstamp now, struct acts *out)
{
    if (!k->cfg.server || ref_none(ev->strm) || (ev->props & k->cfg.need) != k->cfg.need) {
        acts_reset(out, ev->strm, k->cfg.server ? QUDAG_EPOLICY : QUDAG_EUNSUPPORTED);
        return;
    }
    if (kad_names_get(&k->inbound_by_strm, kad_strm_name(ev->strm)) != NULL) {
        return;
    }
    if (k->inbound_by_strm.n >= KAD_INBOUND_MAX) { /* the one silent for longest makes room */
        struct kad_inbound *old = LIST_ENTRY(k->inbounds.next, struct kad_inbound, node);
        acts_reset(out, old->strm, QUDAG_ELIMIT);
        kad_serve_close(k, old);
    }
    struct kad_client *c = kad_client_get(k, ev->peer, ev->net, now);
    struct kad_inbound *in = c == NULL ? NULL : mem_alloc(k->cfg.mem, sizeof(*in));
    if (in != NULL) {
        in->strm = ev->strm;
        in->client = c;
        in->timer = (struct kad_timer){.kind = KAD_TIMER_INBOUND, .owner = in};
        dyn_init(&in->in, k->cfg.mem, KAD_MSG_IN_MAX + 3);
        list_init(&in->node);
        list_init(&in->ready);
        if (inbound_add(k, in, now)) {
            kad_table_fetch(&k->table, c->hash); /* the request comes with the stream, or soon */
            return;
        }
        mem_free(k->cfg.mem, in);
    }
    if (c != NULL) {
        kad_client_release(k, c);
    }
    acts_reset(out, ev->strm, QUDAG_ELIMIT);
}

void kad_serve_close(struct kad *k, struct kad_inbound *in)
{
    heap_del(&k->timers, &in->timer.node);
    kad_names_del(&k->inbound_by_strm, kad_strm_name(in->strm));
    list_del(&in->node);
    list_del(&in->ready);
    unkeep(k, in, in->in.len);
    dyn_fini(&in->in);
    kad_client_release(k, in->client);
    mem_free(k->cfg.mem, in);
}

void kad_serve_fini(struct kad *k)
{
    LIST_EACH_SAFE(it, tmp, &k->inbounds)
    {
        kad_serve_close(k, LIST_ENTRY(it, struct kad_inbound, node));
    }
    kad_limits_fini(k);
}

/* As bytes kept ready; when addresses have to be given up for room the message is to be built anew. */
static void closer_put(struct kad *k, struct kad_msg *m, struct kad_who *const *w, size_t n)
{
    struct kad_scratch *s = k->scratch;
    size_t len = ANSWER_REST + m->rec_value.len + m->n_providers * KAD_PEER_RAW_MAX;

    for (size_t i = 0; i < n; i++) {
        len += (size_t)w[i]->raw_len + 3;
        s->raw[i] = (struct kad_peer_raw){kad_who_id(w[i]), kad_who_raw(w[i])};
    }
    if (len <= KAD_MSG_MAX) {
        m->raw = s->raw;
        m->n_raw = n;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        kad_who_fill(&s->closer[m->n_closer++], w[i]);
    }
}

/* Closest peers we know, for the answer; ourselves when we are what is looked for. */
static void fill_closer(struct kad *k, const struct kad_inbound *in, struct slice key,
                        const uint8_t hash[SHA256_LEN], struct kad_msg *m)
{
    struct kad_who *w[KAD_K];
    size_t n = kad_table_whos(&k->table, hash, in->client->hash, w);

    m->closer = k->scratch->closer;
    if (m->type == KAD_FIND_NODE && k->me->who->n_addrs > 0 &&
        slice_eq(key, peer_id_slice(&k->cfg.self))) {
        kad_peer_fill(&k->scratch->closer[m->n_closer++], k->me);
        n = n < KAD_K ? n : KAD_K - 1;
    }
    closer_put(k, m, w, n);
}

static void fill_providers(struct kad *k, const uint8_t hash[SHA256_LEN], struct kad_msg *m,
                           tstamp now)
{
    struct kad_peer *p[KAD_KEY_PROVIDERS];
    size_t n = kad_store_providers(&k->store, hash, kad_wall(k, now), KAD_KEY_PROVIDERS, p);

    for (size_t i = 0; i < n; i++) {
        kad_peer_fill(&k->scratch->providers[i], p[i]);
    }
    m->providers = k->scratch->providers;
    m->n_providers = n;
}

static void put2(uint8_t *dst, unsigned v)
{
    dst[0] = (uint8_t)('0' + v / 10 % 10);
    dst[1] = (uint8_t)('0' + v % 10);
}

/* RFC 3339 in UTC; days to date by the calendar of 400-year eras counted from 1 March. */
static struct slice time_text(uint8_t dst[20], walltime t)
{
    uint64_t s = t < 0 ? 0 : (uint64_t)t;
    uint64_t days = s / 86400 + 719468, era = days / 146097, doe = days % 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    unsigned month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    uint64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);

    memcpy(dst, "0000-00-00T00:00:00Z", 20);
    put2(dst, (unsigned)(year / 100 % 100));
    put2(dst + 2, (unsigned)(year % 100));
    put2(dst + 5, month);
    put2(dst + 8, (unsigned)(doy - (153 * mp + 2) / 5 + 1));
    put2(dst + 11, (unsigned)(s / 3600 % 24));
    put2(dst + 14, (unsigned)(s / 60 % 60));
    put2(dst + 17, (unsigned)(s % 60));
    return (struct slice){dst, 20};
}

static bool answer(struct kad *k, struct kad_inbound *in, const struct kad_msg *m, struct acts *out)
{
    size_t len = 0;

    if (kad_msg_encode(k->scratch->buf, KAD_MSG_MAX, &len, m) != QUDAG_OK) {
        return false;
    }
    in->backlog += len;
    acts_write(out, in->strm, k->scratch->buf, len);
    return true;
}

/* What is cheap is checked first: a signature costs a hundred times as much as all of it. */
static bool serve_put(struct kad *k, struct kad_inbound *in, const struct kad_msg *req,
                      const uint8_t hash[SHA256_LEN], tstamp now, struct acts *out)
{
    const struct kad_validator *v = kad_validator_find(k, req->key);

    if (!req->has_record) {
        return refuse(k, KAD_REFUSED_NO_RECORD);
    }
    if (!slice_eq(req->rec_key, req->key)) {
        return refuse(k, KAD_REFUSED_OTHER_KEY);
    }
    if (v == NULL) {
        return refuse(k, KAD_REFUSED_NAMESPACE);
    }
    if (req->rec_value.len > v->value_max) {
        return refuse(k, KAD_REFUSED_VALUE_SIZE);
    }
    bool news = kad_store_get(&k->store, hash, kad_wall(k, now)) == NULL;
    if (!kad_may(k, in->client, KAD_PACE_STORES, now) ||
        (news && !kad_may(k, in->client, KAD_PACE_RECORDS, now))) {
        return false;
    }
    qudag_err err = kad_keep_value(k, v, req->key, req->rec_value, now);
    if (err != QUDAG_OK) {
        if (news) {
            kad_give_back(k, in->client, KAD_PACE_RECORDS);
        }
        in->why = err == QUDAG_ECLOCK || err == QUDAG_EEXPIRED ? err : QUDAG_OK;
        return refuse(k, kad_refusal_of(err));
    }
    struct kad_msg m = {.type = KAD_PUT_VALUE,
                        .key = req->key,
                        .has_record = true,
                        .rec_key = req->key,
                        .rec_value = req->rec_value};
    return answer(k, in, &m, out);
}

static bool provides(const struct kad *k, const struct kad_client *c,
                     const uint8_t hash[SHA256_LEN], tstamp now)
{
    struct kad_peer *p[KAD_KEY_PROVIDERS];
    size_t n = kad_store_providers(&k->store, hash, kad_wall(k, now), KAD_KEY_PROVIDERS, p);

    for (size_t i = 0; i < n; i++) {
        if (memcmp(p[i]->hash, c->hash, SHA256_LEN) == 0) {
            return true;
        }
    }
    return false;
}

/* The sender alone may say that it provides, and must say where it is. */
static bool serve_add_provider(struct kad *k, struct kad_inbound *in, const struct kad_msg *req,
                               const uint8_t hash[SHA256_LEN], tstamp now)
{
    const struct kad_peer_info *own = NULL;
    uint8_t id_hash[SHA256_LEN];

    for (size_t i = 0; i < req->n_providers && own == NULL && !in->client->anonymous; i++) {
        kad_id_hash(k, id_hash, peer_id_slice(&req->providers[i].id));
        own = memcmp(id_hash, in->client->hash, SHA256_LEN) == 0 ? &req->providers[i] : NULL;
    }
    if (own == NULL) {
        return refuse(k,
                      req->n_providers == 0 ? KAD_REFUSED_NO_RECORD : KAD_REFUSED_PROVIDER_OTHER);
    }
    bool news = !provides(k, in->client, hash, now);
    if (!kad_may(k, in->client, KAD_PACE_STORES, now) ||
        (news && !kad_may(k, in->client, KAD_PACE_RECORDS, now))) {
        return false;
    }
    struct kad_peer *peer = kad_peer_make(k, own, in->client->hash);
    if (peer == NULL) {
        return refuse(k, KAD_REFUSED_NO_MEMORY);
    }
    walltime wall = kad_wall(k, now);
    bool reachable = peer->who->n_addrs > 0;
    qudag_err err = reachable
                        ? kad_store_provide(&k->store, hash, peer, wall, wall + KAD_RECORD_LIFE)
                        : QUDAG_EINVAL;
    kad_peer_unref(peer);
    if (err != QUDAG_OK) {
        if (news) {
            kad_give_back(k, in->client, KAD_PACE_RECORDS);
        }
        return refuse(k, reachable ? kad_refusal_of(err) : KAD_REFUSED_PROVIDER_ADDR);
    }
    return true;
}

static bool serve_get(struct kad *k, struct kad_inbound *in, const struct kad_msg *req,
                      const uint8_t hash[SHA256_LEN], tstamp now, struct acts *out)
{
    struct kad_msg m = {.type = req->type, .key = req->key};
    const struct kad_record *r =
        m.type == KAD_GET_VALUE ? kad_store_get(&k->store, hash, kad_wall(k, now)) : NULL;
    uint8_t text[20];

    if (r != NULL && req->want_digest) {
        m.has_digest = true;
        m.digest = r->digest;
    } else if (r != NULL) {
        m.has_record = true;
        m.rec_key = req->key;
        m.rec_value = (struct slice){r->value, r->value_len};
        m.rec_time = time_text(text, r->received);
    }
    if (req->type == KAD_GET_PROVIDERS) {
        fill_providers(k, hash, &m, now);
    }
    fill_closer(k, in, req->key, hash, &m);
    return answer(k, in, &m, out);
}

/* False: the stream is to be reset. */
static bool serve(struct kad *k, struct kad_inbound *in, struct slice msg, tstamp now,
                  struct acts *out)
{
    struct kad_msg m = {.raw = k->scratch->raw, .providers = k->scratch->providers};
    uint8_t hash[SHA256_LEN];
    size_t dropped = 0;

    k->stats.rpcs_in++;
    kad_heard(k, in->client, now, out);
    if (!kad_may(k, in->client, KAD_PACE_REQUESTS, now)) {
        return false;
    }
    qudag_err err = kad_msg_decode(&m, &dropped, msg);
    if (err != QUDAG_OK) {
        return refuse(k, kad_refusal_of_msg(err));
    }
    kad_refuse_n(k, KAD_REFUSED_PEER_MANY, dropped);
    if (m.type == KAD_PING) {
        struct kad_msg pong = {.type = KAD_PING};
        return answer(k, in, &pong, out);
    }
    if (m.key.len == 0) {
        return refuse(k, KAD_REFUSED_NO_KEY);
    }
    sha256(hash, m.key);
    switch (m.type) {
    case KAD_PUT_VALUE:
        return serve_put(k, in, &m, hash, now, out);
    case KAD_ADD_PROVIDER:
        return serve_add_provider(k, in, &m, hash, now);
    case KAD_GET_VALUE:
    case KAD_GET_PROVIDERS:
    case KAD_FIND_NODE:
        return serve_get(k, in, &m, hash, now, out);
    case KAD_PING:
        break;
    }
    return refuse(k, KAD_REFUSED_UNKNOWN_TYPE);
}

/* Serves whole messages of |data|; *used tells how far it came.  False: to be reset. */
static bool serve_all(struct kad *k, struct kad_inbound *in, struct slice data, size_t *used,
                      tstamp now, struct acts *out)
{
    struct slice msg;
    size_t len;

    *used = 0;
    for (;;) {
        if (*used == data.len) {
            return true;
        }
        struct slice rest = {data.base + *used, data.len - *used};
        int got = kad_frame(rest, &msg, &len);
        if (got == 0) {
            return true;
        }
        if (got < 0) {
            return refuse(k, KAD_REFUSED_OVERSIZED);
        }
        if (in->backlog > KAD_BACKLOG_MAX) {
            return true; /* until the peer has read */
        }
        if (!kad_room(k, out, 8, KAD_MSG_MAX + 8)) {
            if (!list_linked(&in->ready)) {
                list_push_back(&k->ready, &in->ready);
            }
            k->more = true;
            return true;
        }
        if (!serve(k, in, msg, now, out)) {
            return false;
        }
        *used += len;
    }
}

static void serve_end(struct kad *k, struct kad_inbound *in, bool good, tstamp now,
                      struct acts *out)
{
    bool waiting = list_linked(&in->ready) || in->backlog > KAD_BACKLOG_MAX;

    if (good && in->fin && !waiting && in->in.len > 0) {
        good = refuse(k, KAD_REFUSED_MALFORMED); /* the rest will not come */
    }
    if (!good) {
        acts_reset(out, in->strm, in->why != QUDAG_OK ? in->why : QUDAG_EREFUSED);
        kad_serve_close(k, in);
        return;
    }
    if (in->fin && !waiting) {
        acts_fin(out, in->strm);
        kad_serve_close(k, in);
        return;
    }
    if (kad_timer_set(k, &in->timer, tstamp_after(now, KAD_INBOUND_IDLE)) != QUDAG_OK) {
        acts_reset(out, in->strm, QUDAG_ENOMEM);
        kad_serve_close(k, in);
    }
}

void kad_serve_data(struct kad *k, struct kad_inbound *in, struct slice data, tstamp now,
                    struct acts *out)
{
    size_t used = 0;
    bool good;

    list_del(&in->node);
    list_push_back(&k->inbounds, &in->node);
    if (in->in.len > 0) {
        good = keep(k, in, data.base, data.len) &&
               serve_all(k, in, dyn_slice(&in->in), &used, now, out);
        if (good) {
            unkeep(k, in, used);
        }
    } else {
        good = serve_all(k, in, data, &used, now, out);
        if (good && used < data.len) {
            good = keep(k, in, data.base + used, data.len - used);
        }
    }
    serve_end(k, in, good, now, out);
}

void kad_serve_more(struct kad *k, struct kad_inbound *in, tstamp now, struct acts *out)
{
    size_t used = 0;

    list_del(&in->ready);
    bool good = serve_all(k, in, dyn_slice(&in->in), &used, now, out);
    if (good) {
        unkeep(k, in, used);
    }
    serve_end(k, in, good, now, out);
}
