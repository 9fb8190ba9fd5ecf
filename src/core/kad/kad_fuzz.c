/*
 * kad_fuzz.c - bytes become events with a clock.
 *
 * Properties: no report without a request and never two; the action list never overflows; all memory
 * comes back; a served record has passed its validator; every refusal has its reason.
 */
#include "base/assert.h"
#include "base/rd.h"
#include "core/kad/kad_int.h"

#include <stdlib.h>

#define REQUESTS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct act act_v[ACTS_ROOM];
static uint8_t act_bytes[ACTS_BYTES_ROOM];

struct host {
    struct mem mem;
    struct rng_stream rng;
    struct kad *k;
    struct acts out;
    tstamp now;
    uint32_t next_strm;
    size_t n_open; /* cookies of opens not answered yet */
    uint64_t open[64];
    uint8_t state[REQUESTS]; /* by cookie: 1 running, 2 reported */
};

static qudag_err check(void *ctx, struct slice key, struct slice value, walltime now,
                       walltime *expires)
{
    (void)ctx;
    (void)key;
    (void)now;
    if (value.len > 1) {
        *expires -= (walltime)value.base[1] * 1000;
    }
    return value.len > 0 && value.base[0] != '!' ? QUDAG_OK : QUDAG_EAUTH;
}

static int best(void *ctx, struct slice key, struct slice a, struct slice b)
{
    (void)ctx;
    (void)key;
    return (int)a.base[0] - (int)b.base[0];
}

static struct acts *fresh(struct host *h)
{
    h->out = (struct acts){
        .v = act_v, .cap = ACTS_ROOM, .bytes = act_bytes, .bytes_cap = ACTS_BYTES_ROOM};
    return &h->out;
}

static void look(struct host *h)
{
    ASSERT(!h->out.overflow);
    for (size_t i = 0; i < h->out.n; i++) {
        const struct act *a = &act_v[i];
        if (a->type == ACT_OPEN && h->n_open < ARRAY_LEN(h->open)) {
            h->open[h->n_open++] = a->cookie;
        }
        if (a->type == ACT_UP && a->kind == KAD_UP_DONE) {
            const struct kad_result *r = a->ptr;
            ASSERT(a->cookie < REQUESTS && h->state[a->cookie] == 1);
            h->state[a->cookie] = 2;
            ASSERT(r->value.len == 0 || r->value.base[0] != '!');
            ASSERT(r->n_peers <= KAD_PEERS_MAX);
        }
    }
}

static void peer_make(struct kad_peer_info *p, uint8_t n)
{
    struct netaddr a = {.family = 4, .ip = {n, 1, n, 1}, .port = 4001};
    uint8_t pk[32] = {n};

    memset(p, 0, sizeof(*p));
    peer_id_from_ed25519(&p->id, pk);
    p->n_addrs = 1;
    multiaddr_quic(&p->addr[0], &a, NULL);
}

static void request(struct host *h, struct rd *r, unsigned cookie)
{
    static const char *const keys[] = {"/v/a", "/v/b", "/m/a", "/m/b"};
    const char *text = keys[rd_u8(r) % ARRAY_LEN(keys)];
    struct slice key = {(const uint8_t *)text, 4}, value = rd_lp(r, 64);
    struct kad_peer_info p;
    qudag_err err = QUDAG_EINVAL;

    if (cookie >= REQUESTS) {
        return;
    }
    peer_make(&p, rd_u8(r));
    uint8_t how = rd_u8(r);
    struct kad_options opt = {.read = (enum kad_read)(how % 5),
                              .masked = (how & 32) != 0,
                              .republish = (how & 64) != 0,
                              .quorum = (how & 128) != 0 ? how % 32 : 0};
    h->state[cookie] = 1;
    switch (rd_u8(r) % 7) {
    case 0:
        err = kad_find(h->k, cookie, key, h->now, fresh(h));
        break;
    case 1:
        err = kad_find_peer(h->k, cookie, &p.id, h->now, fresh(h));
        break;
    case 2:
        err = kad_put(h->k, cookie, &(struct kad_put_args){key, value, &opt}, h->now, fresh(h));
        break;
    case 3:
        err = kad_get(h->k, cookie, key, how == 0 ? NULL : &opt, h->now, fresh(h));
        break;
    case 4:
        err = kad_provide(h->k, cookie, key, h->now, fresh(h));
        break;
    case 5:
        err = kad_providers(h->k, cookie, key, h->now, fresh(h));
        break;
    default:
        err = kad_bootstrap(h->k, cookie, h->now, fresh(h));
        break;
    }
    if (err != QUDAG_OK) {
        h->state[cookie] = 0;
    }
    look(h);
}

/* A well-formed message, so that what lies behind the decoder is reached. */
static struct slice message(struct rd *r, uint8_t *buf)
{
    static struct kad_peer_info peers[4];
    static const uint8_t digest[KAD_DIGEST_LEN] = {1};
    struct kad_msg m = {.type = (enum kad_type)(rd_u8(r) % 6)};
    size_t len = 0, n = rd_u8(r) % 5;

    m.key = rd_u8(r) % 2 ? (struct slice){(const uint8_t *)"/v/a", 4}
                         : (struct slice){(const uint8_t *)"/m/a", 4};
    for (size_t i = 0; i < n; i++) {
        peer_make(&peers[i], rd_u8(r));
    }
    m.closer = peers;
    m.n_closer = n;
    m.has_record = n != 1;
    m.rec_key = m.key;
    m.rec_value = rd_lp(r, 64);
    m.providers = peers;
    m.n_providers = n / 2;
    m.want_digest = rd_u8(r) % 4 == 0;
    m.has_digest = !m.want_digest && rd_u8(r) % 8 == 0;
    m.digest = m.has_digest ? digest : NULL;
    if (kad_msg_encode(buf, KAD_MSG_MAX, &len, &m) != QUDAG_OK) {
        len = 0;
    }
    return (struct slice){buf, len};
}

/* Each refusal is counted once, and in the total it belongs to. */
static void refusals(const struct host *h)
{
    struct kad_stats s;
    uint64_t sum = 0;

    kad_stats_get(h->k, &s);
    for (size_t i = 0; i < KAD_REFUSALS; i++) {
        sum += s.refused[i];
    }
    ASSERT(sum <= s.bad_messages + s.refused_records + s.dropped_peers);
}

static void event(struct host *h, struct rd *r)
{
    static uint8_t buf[KAD_MSG_MAX + 8];
    struct kad_peer_info from;
    struct ev ev = {.type = (enum ev_type)(rd_u8(r) % 8), .peer = &from.id};

    peer_make(&from, rd_u8(r) % 32);
    ev.strm = (struct ref){rd_u8(r) % 64, 1};
    if (ev.type == EV_STREAM_OPEN || ev.type == EV_STREAM_FAIL) {
        ev.inbound = rd_u8(r) % 4 == 0;
        ev.strm.slot = h->next_strm++ % 64;
        ev.net = ev.inbound ? rd_u8(r) % 4 : 0;
        ev.peer = ev.inbound && ev.net == 3 ? NULL : ev.peer; /* somebody anonymous */
        if (!ev.inbound && h->n_open > 0) {
            ev.cookie = h->open[--h->n_open];
        }
    } else if (ev.type == EV_DATA) {
        ev.data = rd_u8(r) % 4 == 0 ? rd_lp(r, 200) : message(r, buf);
    }
    ev.n = rd_u16(r);
    ev.err = ev.n % 2 != 0 ? QUDAG_ECLOSED : QUDAG_OK;
    kad_ops.event(h->k, &ev, h->now, fresh(h));
    look(h);
    refusals(h);
}

/* As after a long life: a full table, and the size of the network known. */
static void grown(struct host *h)
{
    struct kad_peer_info p;

    for (unsigned i = 0; i < 200; i++) {
        peer_make(&p, (uint8_t)i);
        kad_preload(h->k, &p, 50 * NS_PER_MS, h->now);
    }
    h->k->routing.size.space = UINT64_MAX / 200;
    h->k->routing.size.n = 4;
}

static void play(struct host *h, struct rd *r)
{
    struct kad_peer_info p;
    unsigned cookie = 1;

    while (r->left > 0 && rd_ok(r)) {
        switch (rd_u8(r) % 8) {
        case 0:
            h->now += (tstamp)rd_u16(r) * NS_PER_MS;
            break;
        case 1:
            h->now += (tstamp)rd_u8(r) * 600 * NS_PER_S;
            kad_ops.tick(h->k, h->now, fresh(h));
            look(h);
            break;
        case 2:
            request(h, r, cookie++);
            break;
        case 3:
            peer_make(&p, rd_u8(r));
            kad_add_peer(h->k, &p, h->now, fresh(h));
            look(h);
            break;
        case 4:
            kad_cancel(h->k, rd_u8(r), fresh(h));
            look(h);
            break;
        case 5:
            kad_ops.tick(h->k, h->now, fresh(h));
            look(h);
            break;
        default:
            event(h, r);
            break;
        }
    }
    /* Without any answer every request ends. */
    for (unsigned i = 0; i < 40; i++) {
        h->now += 5 * NS_PER_S;
        kad_ops.tick(h->k, h->now, fresh(h));
        look(h);
    }
    for (unsigned i = 0; i < REQUESTS; i++) {
        ASSERT(h->state[i] != 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_init((struct slice){data, size});
    struct host *h = calloc(1, sizeof(*h));

    if (h == NULL) {
        return 0;
    }
    mem_init(&h->mem, NULL, 0);
    rng_stream_init(&h->rng, (const uint8_t[32]){1});
    h->now = NS_PER_S;
    struct kad_config c = {.mem = &h->mem,
                           .rng = rng_of_stream(&h->rng),
                           .clock = {1700000000, 0},
                           .protocol = KAD_PROTOCOL,
                           .n_validators = 2};
    struct kad_peer_info self;
    peer_make(&self, 255);
    c.self = self.id;
    uint8_t flags = rd_u8(&r);
    c.server = (flags & 1) != 0;
    c.lab = (flags & 2) != 0;
    c.records_max = flags & 4 ? 2 : 0;
    c.providers_max = flags & 8 ? 2 : 0;
    if (flags & 32) {
        c.limits.requests = (struct kad_limit){2, 3, 5};
        c.limits.stores = c.limits.records = (struct kad_limit){1, 2, 3};
    }
    c.validator[0] = (struct kad_validator){.ns = "v", .value_max = 100, .check = check};
    c.validator[1] =
        (struct kad_validator){.ns = "m", .value_max = 100, .check = check, .select = best};
    if (flags & 16) {
        h->mem.fail_at = rd_u16(&r);
    }
    if (kad_new(&h->k, &c, h->now) == QUDAG_OK) {
        kad_set_addrs(h->k, self.addr, 1);
        if (flags & 64) {
            grown(h);
        }
        play(h, &r);
        kad_free(h->k);
    }
    ASSERT(h->mem.used == 0);
    free(h);
    return 0;
}
