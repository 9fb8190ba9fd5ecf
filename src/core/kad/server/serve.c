/*
 * serve.c - requests of others: several per stream, answered in order.
 *
 *   request --allowed (limits.c)--> answer              not allowed: stream reset, counted
 *      '--no room in the action list, or the peer does not read--> buffered, answered later
 *
 * A stream holds at most one message limit of unanswered bytes; more is a reset.
 */
#include "core/kad/server/serve.h"

#include "base/assert.h"
#include "core/kad/common/frame.h"

#include <string.h>

#define ANSWER_REST 2048 /* bytes of an answer beside value and peers, our own addresses included */

void kad_serve_init(struct kad_server *s)
{
    map_init_u64(&s->by_strm, s->env->mem, NULL, 0, KAD_INBOUND_MAX);
    list_init(&s->inbounds);
    list_init(&s->ready);
}

struct kad_inbound *kad_serve_find(const struct kad_server *s, struct ref strm)
{
    return map_u64_get(&s->by_strm, ref_to_u64(strm));
}

/* Counts; the stream is to be reset. */
static bool refuse(struct kad_server *s, enum kad_refusal why)
{
    kad_refuse(s->env, why);
    return false;
}

/* What cannot be served yet. */
static bool buffer(struct kad_server *s, struct kad_inbound *in, const uint8_t *p, size_t len)
{
    struct kad_client *c = in->client;

    if (len > KAD_UNREAD_CLIENT - c->buffered || len > KAD_UNREAD_MAX - s->buffered) {
        return refuse(s, KAD_REFUSED_UNREAD);
    }
    qudag_err err = dyn_append(&in->in, p, len);
    if (err != QUDAG_OK) {
        return refuse(s, err == QUDAG_ETOOBIG ? KAD_REFUSED_UNREAD : KAD_REFUSED_NO_MEMORY);
    }
    c->buffered += (uint32_t)len;
    s->buffered += len;
    return true;
}

static void unbuffer(struct kad_server *s, struct kad_inbound *in, size_t len)
{
    ASSERT(len <= in->in.len && len <= in->client->buffered && len <= s->buffered);
    dyn_drop(&in->in, len);
    in->client->buffered -= (uint32_t)len;
    s->buffered -= len;
}

static bool inbound_add(struct kad_server *s, struct kad_inbound *in, tstamp now)
{
    if (kad_env_timer_set(s->env, &in->timer, tstamp_after(now, KAD_INBOUND_IDLE)) != QUDAG_OK) {
        return false;
    }
    if (map_u64_put(&s->by_strm, ref_to_u64(in->strm), in) != QUDAG_OK) {
        heap_del(&s->env->timers, &in->timer.node);
        return false;
    }
    list_push_back(&s->inbounds, &in->node);
    return true;
}

static void serve_close(struct kad_server *s, struct kad_inbound *in)
{
    heap_del(&s->env->timers, &in->timer.node);
    (void)map_u64_del(&s->by_strm, ref_to_u64(in->strm));
    list_del(&in->node);
    list_del(&in->ready);
    unbuffer(s, in, in->in.len);
    dyn_fini(&in->in);
    kad_client_release(&s->limits, in->client);
    mem_free(s->env->mem, in);
}

void kad_serve_open(struct kad_server *s, const struct ev *ev, tstamp now, struct acts *out)
{
    /* The far end of a circuit asks the gateway, which has limits for it (core/gateway): here it has no name. */
    bool nobody = (ev->props & LINK_ANON) != 0 || ev->peer == NULL || ev->peer->len == 0;
    bool lacks = (ev->props & s->env->need) != s->env->need;
    if (!s->env->server || ref_none(ev->strm) || nobody || lacks) {
        acts_reset(out, ev->strm, s->env->server ? QUDAG_EPOLICY : QUDAG_EUNSUPPORTED);
        return;
    }
    if (map_u64_get(&s->by_strm, ref_to_u64(ev->strm)) != NULL) {
        return;
    }
    if (s->by_strm.n >= KAD_INBOUND_MAX) { /* the one silent for longest makes room */
        struct kad_inbound *old = LIST_ENTRY(s->inbounds.next, struct kad_inbound, node);
        acts_reset(out, old->strm, QUDAG_ELIMIT);
        serve_close(s, old);
    }
    struct kad_client *c = kad_client_get(&s->limits, ev->peer, ev->net, now);
    struct kad_inbound *in = c == NULL ? NULL : mem_alloc(s->env->mem, sizeof(*in));
    if (in != NULL) {
        in->strm = ev->strm;
        in->client = c;
        in->timer = (struct kad_timer){.kind = KAD_TIMER_INBOUND, .owner = in};
        dyn_init(&in->in, s->env->mem, KAD_MSG_IN_MAX + 3);
        list_init(&in->node);
        list_init(&in->ready);
        if (inbound_add(s, in, now)) {
            kad_table_fetch(&s->routing->table,
                            c->hash); /* the request comes with the stream, or soon */
            return;
        }
        mem_free(s->env->mem, in);
    }
    if (c != NULL) {
        kad_client_release(&s->limits, c);
    }
    acts_reset(out, ev->strm, QUDAG_ELIMIT);
}

void kad_serve_fini(struct kad_server *s)
{
    LIST_EACH_SAFE(it, tmp, &s->inbounds)
    {
        serve_close(s, LIST_ENTRY(it, struct kad_inbound, node));
    }
    kad_limits_fini(&s->limits);
    map_fini(&s->by_strm);
}

/* As packed bytes; when addresses are dropped for lack of room, the message is built again. */
static void closer_put(struct kad_server *s, struct kad_msg *m, struct kad_addrinfo *const *w,
                       size_t n)
{
    struct kad_buffers *buf = s->env->buf;
    size_t len = ANSWER_REST + m->rec_value.len + m->n_providers * KAD_PEER_RAW_MAX;

    for (size_t i = 0; i < n; i++) {
        len += (size_t)w[i]->raw_len + 3;
        buf->raw[i] = (struct kad_peer_raw){kad_addrinfo_id(w[i]), kad_addrinfo_raw(w[i])};
    }
    if (len <= KAD_MSG_MAX) {
        m->raw = buf->raw;
        m->n_raw = n;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        kad_addrinfo_decode(&buf->closer[m->n_closer++], w[i]);
    }
}

/* Closest peers we know, for the answer; ourselves when we are what is looked for. */
static void fill_closer(struct kad_server *s, const struct kad_inbound *in, struct slice key,
                        const uint8_t hash[SHA256_LEN], struct kad_msg *m)
{
    struct kad_addrinfo *w[KAD_K];
    size_t n = kad_table_addrinfos(&s->routing->table, hash, in->client->hash, w);

    m->closer = s->env->buf->closer;
    if (m->type == KAD_FIND_NODE && s->routing->self->info->n_addrs > 0 &&
        kad_slice_eq(key, peer_id_slice(&s->env->self))) {
        kad_contact_decode(&s->env->buf->closer[m->n_closer++], s->routing->self);
        n = n < KAD_K ? n : KAD_K - 1;
    }
    closer_put(s, m, w, n);
}

static void fill_providers(struct kad_server *s, const uint8_t hash[SHA256_LEN], struct kad_msg *m,
                           tstamp now)
{
    struct kad_contact *p[KAD_KEY_PROVIDERS];
    size_t n = kad_store_providers(s->store, hash, kad_env_wall(s->env, now), KAD_KEY_PROVIDERS, p);

    for (size_t i = 0; i < n; i++) {
        kad_contact_decode(&s->env->buf->providers[i], p[i]);
    }
    m->providers = s->env->buf->providers;
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

static bool answer(struct kad_server *s, struct kad_inbound *in, const struct kad_msg *m,
                   struct acts *out)
{
    size_t len = 0;

    if (kad_msg_encode(s->env->buf->bytes, KAD_MSG_MAX, &len, m) != QUDAG_OK) {
        return false;
    }
    in->backlog += len;
    acts_write(out, in->strm, s->env->buf->bytes, len);
    return true;
}

/* The limits come before the signature, which costs a hundred times as much as all the rest. */
static bool serve_put(struct kad_server *s, struct kad_inbound *in, const struct kad_msg *req,
                      const uint8_t hash[SHA256_LEN], tstamp now, struct acts *out)
{
    const struct kad_validator *v = kad_rules_find(s->rules, req->key);
    enum kad_refusal why;

    if (!kad_put_acceptable(req, v, &why)) {
        return refuse(s, why);
    }
    bool news = kad_store_get(s->store, hash, kad_env_wall(s->env, now)) == NULL;
    if (!kad_limits_allow(&s->limits, in->client, KAD_LIMITED_STORES, now) ||
        (news && !kad_limits_allow(&s->limits, in->client, KAD_LIMITED_RECORDS, now))) {
        return false;
    }
    qudag_err err =
        kad_store_accept(s->store, v, req->key, req->rec_value, kad_env_wall(s->env, now));
    if (err != QUDAG_OK) {
        if (news) {
            kad_limits_refund(&s->limits, in->client, KAD_LIMITED_RECORDS);
        }
        in->why = err == QUDAG_ECLOCK || err == QUDAG_EEXPIRED ? err : QUDAG_OK;
        return refuse(s, kad_refusal_of(err));
    }
    struct kad_msg m = {.type = KAD_PUT_VALUE,
                        .key = req->key,
                        .has_record = true,
                        .rec_key = req->key,
                        .rec_value = req->rec_value};
    return answer(s, in, &m, out);
}

static bool provides(const struct kad_server *s, const struct kad_client *c,
                     const uint8_t hash[SHA256_LEN], tstamp now)
{
    struct kad_contact *p[KAD_KEY_PROVIDERS];
    size_t n = kad_store_providers(s->store, hash, kad_env_wall(s->env, now), KAD_KEY_PROVIDERS, p);

    for (size_t i = 0; i < n; i++) {
        if (memcmp(p[i]->hash, c->hash, SHA256_LEN) == 0) {
            return true;
        }
    }
    return false;
}

/* The sender alone may say that it provides, and must say where it is. */
static bool serve_add_provider(struct kad_server *s, struct kad_inbound *in,
                               const struct kad_msg *req, const uint8_t hash[SHA256_LEN],
                               tstamp now)
{
    const struct kad_peer_info *own = NULL;
    enum kad_refusal why;
    uint8_t id_hash[SHA256_LEN];

    for (size_t i = 0; i < req->n_providers && own == NULL; i++) {
        kad_contacts_hash(s->routing, id_hash, peer_id_slice(&req->providers[i].id));
        own = memcmp(id_hash, in->client->hash, SHA256_LEN) == 0 ? &req->providers[i] : NULL;
    }
    if (!kad_provider_acceptable(req->n_providers, own != NULL, &why)) {
        return refuse(s, why);
    }
    bool news = !provides(s, in->client, hash, now);
    if (!kad_limits_allow(&s->limits, in->client, KAD_LIMITED_STORES, now) ||
        (news && !kad_limits_allow(&s->limits, in->client, KAD_LIMITED_RECORDS, now))) {
        return false;
    }
    struct kad_contact *peer = kad_contacts_make(s->routing, own, in->client->hash);
    if (peer == NULL) {
        return refuse(s, KAD_REFUSED_NO_MEMORY);
    }
    walltime wall = kad_env_wall(s->env, now);
    bool reachable = peer->info->n_addrs > 0;
    qudag_err err = reachable
                        ? kad_store_provide(s->store, hash, peer, wall, wall + KAD_RECORD_LIFE)
                        : QUDAG_EINVAL;
    kad_contact_unref(peer);
    if (err != QUDAG_OK) {
        if (news) {
            kad_limits_refund(&s->limits, in->client, KAD_LIMITED_RECORDS);
        }
        return refuse(s, reachable ? kad_refusal_of(err) : KAD_REFUSED_PROVIDER_ADDR);
    }
    return true;
}

static bool serve_get(struct kad_server *s, struct kad_inbound *in, const struct kad_msg *req,
                      const uint8_t hash[SHA256_LEN], tstamp now, struct acts *out)
{
    struct kad_msg m = {.type = req->type, .key = req->key};
    const struct kad_record *r =
        m.type == KAD_GET_VALUE ? kad_store_get(s->store, hash, kad_env_wall(s->env, now)) : NULL;
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
        fill_providers(s, hash, &m, now);
    }
    fill_closer(s, in, req->key, hash, &m);
    return answer(s, in, &m, out);
}

/* False: the stream is to be reset. */
static bool serve(struct kad_server *s, struct kad_inbound *in, struct slice msg, tstamp now,
                  struct acts *out)
{
    struct kad_msg m = {.raw = s->env->buf->raw, .providers = s->env->buf->providers};
    uint8_t hash[SHA256_LEN];
    size_t dropped = 0;

    s->env->stats.rpcs_in++;
    struct kad_contact *failed = kad_contacts_heard(s->routing, in->client->hash, now);
    if (failed != NULL) {
        s->check(s->ctx, failed, now, out);
    }
    if (!kad_limits_allow(&s->limits, in->client, KAD_LIMITED_REQUESTS, now)) {
        return false;
    }
    qudag_err err = kad_msg_decode(&m, &dropped, msg);
    if (err != QUDAG_OK) {
        return refuse(s, kad_refusal_of_msg(err));
    }
    kad_refuse_n(s->env, KAD_REFUSED_PEER_MANY, dropped);
    if (m.type == KAD_PING) {
        struct kad_msg pong = {.type = KAD_PING};
        return answer(s, in, &pong, out);
    }
    if (m.key.len == 0) {
        return refuse(s, KAD_REFUSED_NO_KEY);
    }
    sha256(hash, m.key);
    switch (m.type) {
    case KAD_PUT_VALUE:
        return serve_put(s, in, &m, hash, now, out);
    case KAD_ADD_PROVIDER:
        return serve_add_provider(s, in, &m, hash, now);
    case KAD_GET_VALUE:
    case KAD_GET_PROVIDERS:
    case KAD_FIND_NODE:
        return serve_get(s, in, &m, hash, now, out);
    case KAD_PING:
        break;
    }
    return refuse(s, KAD_REFUSED_UNKNOWN_TYPE);
}

/* Serves whole messages of |data|; *used tells how far it came.  False: to be reset. */
static bool serve_all(struct kad_server *s, struct kad_inbound *in, struct slice data, size_t *used,
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
            return refuse(s, KAD_REFUSED_OVERSIZED);
        }
        if (in->backlog > KAD_BACKLOG_MAX) {
            return true; /* until the peer has read */
        }
        if (!kad_env_room(s->env, out, 8, KAD_MSG_MAX + 8)) {
            if (!list_linked(&in->ready)) {
                list_push_back(&s->ready, &in->ready);
            }
            s->env->more = true;
            return true;
        }
        if (!serve(s, in, msg, now, out)) {
            return false;
        }
        *used += len;
    }
}

static void serve_end(struct kad_server *s, struct kad_inbound *in, bool good, tstamp now,
                      struct acts *out)
{
    bool waiting = list_linked(&in->ready) || in->backlog > KAD_BACKLOG_MAX;

    if (good && in->fin && !waiting && in->in.len > 0) {
        good = refuse(s, KAD_REFUSED_MALFORMED); /* the rest will not come */
    }
    if (!good) {
        acts_reset(out, in->strm, in->why != QUDAG_OK ? in->why : QUDAG_EREFUSED);
        serve_close(s, in);
        return;
    }
    if (in->fin && !waiting) {
        acts_fin(out, in->strm);
        serve_close(s, in);
        return;
    }
    if (kad_env_timer_set(s->env, &in->timer, tstamp_after(now, KAD_INBOUND_IDLE)) != QUDAG_OK) {
        acts_reset(out, in->strm, QUDAG_ENOMEM);
        serve_close(s, in);
    }
}

static void serve_data(struct kad_server *s, struct kad_inbound *in, struct slice data, tstamp now,
                       struct acts *out)
{
    size_t used = 0;
    bool good;

    list_del(&in->node);
    list_push_back(&s->inbounds, &in->node);
    if (in->in.len > 0) {
        good = buffer(s, in, data.base, data.len) &&
               serve_all(s, in, dyn_slice(&in->in), &used, now, out);
        if (good) {
            unbuffer(s, in, used);
        }
    } else {
        good = serve_all(s, in, data, &used, now, out);
        if (good && used < data.len) {
            good = buffer(s, in, data.base + used, data.len - used);
        }
    }
    serve_end(s, in, good, now, out);
}

void kad_serve_more(struct kad_server *s, struct kad_inbound *in, tstamp now, struct acts *out)
{
    size_t used = 0;

    list_del(&in->ready);
    bool good = serve_all(s, in, dyn_slice(&in->in), &used, now, out);
    if (good) {
        unbuffer(s, in, used);
    }
    serve_end(s, in, good, now, out);
}

void kad_serve_event(struct kad_server *s, struct kad_inbound *in, const struct ev *ev, tstamp now,
                     struct acts *out)
{
    switch (ev->type) {
    case EV_DATA:
        serve_data(s, in, ev->data, now, out);
        break;
    case EV_WRITABLE:
        in->backlog -= ev->n < in->backlog ? ev->n : in->backlog;
        kad_serve_more(s, in, now, out);
        break;
    case EV_FIN:
        in->fin = true;
        kad_serve_more(s, in, now, out);
        break;
    case EV_RESET:
        serve_close(s, in);
        break;
    case EV_PEER_UP:
    case EV_PEER_DOWN:
    case EV_STREAM_OPEN:
    case EV_STREAM_FAIL:
        break;
    }
}

void kad_serve_timer(struct kad_server *s, struct kad_inbound *in, struct acts *out)
{
    acts_reset(out, in->strm, QUDAG_ETIMEOUT);
    serve_close(s, in);
}
