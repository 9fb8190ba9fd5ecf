/*
 * hostile.c - nodes that send what no honest node sends, as servers and as clients.
 *
 *   asked by others    a node has one bad habit of answering
 *   a timer            one hostile node after the other asks an honest one, with each kind of bad request in turn
 *
 * Behind both an honest core runs on, so that a hostile node is known, named and asked like every other.
 * All of them come from one network.  Under "/hostile/" everybody keeps records whose validity their first
 * byte says: valid, expired, of the future, or not signed.
 */
#include "sim/sim_int.h"

#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

#define EVERY (200 * NS_PER_MS)
#define ASKS_OURS (UINT64_C(1) << 63) /* cookies of streams opened here; no core makes such */
#define NS "hostile"
#define VALUE_MAX 64
#define KEY_MAX 24
#define OUT_MAX 16384
#define NETWORK 0x42424242u
#define PINGS 450 /* more than one peer may ask at once */
#define PINGS_TOGETHER 300
#define PUTS 120 /* more than one peer may store at once */
#define PUTS_NEW 90

enum ask {
    ASK_OVERSIZED,
    ASK_MALFORMED,
    ASK_CUT,
    ASK_TYPE,
    ASK_FIELD,
    ASK_NO_KEY,
    ASK_NO_RECORD,
    ASK_NAMESPACE,
    ASK_OTHER_KEY,
    ASK_VALUE_SIZE,
    ASK_FORGED,
    ASK_EXPIRED,
    ASK_FUTURE,
    ASK_STALE,
    ASK_PROVIDER_OTHER,
    ASK_PROVIDER_ADDR,
    ASK_AGAIN,
    ASK_FLOOD,
    ASK_FLOOD_TOGETHER,
    ASK_FLOOD_STORES,
    ASK_FLOOD_RECORDS,
    ASKS
};

/* Habits of answering; the last ones can be read, and are useless. */
enum habit {
    HABIT_GARBAGE,
    HABIT_OVERSIZED,
    HABIT_CUT,
    HABIT_OTHER_TYPE,
    HABIT_FORGED,
    HABIT_TWICE,
    HABIT_CROWD,
    HABIT_SELF,
    HABIT_PRIVATE,
    HABIT_SAME,
    HABIT_MANY,
    HABIT_BAD_IDS,
    HABITS
};

/* ---- what everybody keeps ---- */

static qudag_err value_check(void *ctx, struct slice key, struct slice value, walltime now,
                             walltime *expires)
{
    (void)ctx;
    (void)key;
    (void)now;
    (void)expires;
    switch (value.len == 0 ? 0 : value.base[0]) {
    case 'v':
        return QUDAG_OK;
    case 'e':
        return QUDAG_EEXPIRED;
    case 'f':
        return QUDAG_ECLOCK;
    default:
        return QUDAG_EAUTH;
    }
}

/* The second byte is the sequence. */
static int value_select(void *ctx, struct slice key, struct slice a, struct slice b)
{
    (void)ctx;
    (void)key;
    return (a.len > 1 ? a.base[1] : 0) - (b.len > 1 ? b.base[1] : 0);
}

struct kad_validator hostile_validator(void)
{
    return (struct kad_validator){
        .ns = NS, .value_max = VALUE_MAX, .check = value_check, .select = value_select};
}

bool hostile_key(struct slice key)
{
    return key.len > sizeof(NS) && memcmp(key.base + 1, NS "/", sizeof(NS)) == 0;
}

uint64_t hostile_net(const struct sim *s, uint32_t node)
{
    return s->node[node].hostile ? NETWORK : (uint64_t)node + 1;
}

/* ---- bytes ---- */

struct bytes {
    uint8_t b[OUT_MAX];
    struct wr w;
};

static void begin(struct bytes *out)
{
    out->w = wr_init(out->b, sizeof(out->b));
}

static void raw(struct bytes *out, const char *p, size_t len)
{
    wr_slice(&out->w, (struct slice){(const uint8_t *)p, len});
}

static void message(struct bytes *out, const struct kad_msg *m)
{
    uint8_t one[1024];
    size_t len;

    if (kad_msg_encode(one, sizeof(one), &len, m) == QUDAG_OK) {
        wr_slice(&out->w, (struct slice){one, len});
    }
}

static struct slice text_key(uint8_t out[KEY_MAX], const char *ns, uint32_t n)
{
    struct wr w = wr_init(out, KEY_MAX);

    wr_slice(&w, (struct slice){(const uint8_t *)ns, strlen(ns)});
    for (unsigned i = 0; i < 8; i++) {
        wr_u8(&w, (uint8_t)('a' + (n >> (4 * i) & 15u)));
    }
    return (struct slice){out, w.len};
}

static void put(struct bytes *out, struct slice key, const char *value, size_t len)
{
    struct kad_msg m = {.type = KAD_PUT_VALUE,
                        .key = key,
                        .has_record = true,
                        .rec_key = key,
                        .rec_value = {(const uint8_t *)value, len}};

    message(out, &m);
}

static struct kad_peer_info stranger(struct sim *s, const uint8_t ip[4], uint16_t port)
{
    struct kad_peer_info p = {.n_addrs = 1};
    struct netaddr a = {.family = 4, .port = port};
    uint8_t pk[32] = {0xff, 0xff, 0xff, 0xff};

    for (unsigned i = 4; i < sizeof(pk); i++) {
        pk[i] = (uint8_t)dice_u32(&s->dice, DICE_FAULTS);
    }
    memcpy(a.ip, ip, 4);
    peer_id_from_ed25519(&p.id, pk);
    multiaddr_quic(&p.addr[0], &a, NULL);
    return p;
}

/* ---- as a client ---- */

static void records(struct bytes *out, enum ask ask, uint32_t step)
{
    uint8_t buf[KEY_MAX], other[KEY_MAX];
    struct slice key = text_key(buf, "/" NS "/", step);
    static const char big[VALUE_MAX + 1] = "v";
    struct kad_msg m = {.type = KAD_PUT_VALUE, .key = key};

    switch (ask) {
    case ASK_NO_RECORD:
        message(out, &m);
        break;
    case ASK_NAMESPACE:
        put(out, text_key(buf, "/nowhere/", step), "v1", 2);
        break;
    case ASK_OTHER_KEY:
        m.has_record = true;
        m.rec_key = text_key(other, "/" NS "/", step + 1);
        m.rec_value = (struct slice){(const uint8_t *)"v1", 2};
        message(out, &m);
        break;
    case ASK_VALUE_SIZE:
        put(out, key, big, sizeof(big));
        break;
    case ASK_FORGED:
        put(out, key, "not signed", 10);
        break;
    case ASK_EXPIRED:
        put(out, key, "e1", 2);
        break;
    case ASK_FUTURE:
        put(out, key, "f\xff", 2);
        break;
    case ASK_STALE:
        put(out, key, "v2", 2);
        put(out, key, "v1", 2);
        break;
    case ASK_FLOOD_STORES:
        for (unsigned i = 0; i < PUTS; i++) {
            put(out, key, "v1", 2);
        }
        break;
    default: /* ASK_FLOOD_RECORDS */
        for (uint32_t i = 0; i < PUTS_NEW; i++) {
            put(out, text_key(buf, "/" NS "/", UINT32_C(0x80000000) + step * PUTS_NEW + i), "v1",
                2);
        }
        break;
    }
}

static void providers(struct sim *s, struct bytes *out, enum ask ask, uint32_t node)
{
    struct kad_peer_info p = stranger(s, (const uint8_t[4]){99, 1, 2, 3}, 4001);
    struct kad_msg m = {.type = KAD_ADD_PROVIDER,
                        .key = {(const uint8_t *)"topic", 5},
                        .n_providers = 1,
                        .providers = &p};

    if (ask == ASK_PROVIDER_ADDR) {
        p = stranger(s, (const uint8_t[4]){192, 168, 0, 1}, 4001);
        p.id = s->node[node].id;
    }
    message(out, &m);
}

static void pings(struct bytes *out, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        raw(out, "\x02\x08\x05", 3);
    }
}

/* True: nothing follows, the stream is finished. */
static bool request(struct sim *s, struct bytes *out, enum ask ask, uint32_t node, uint32_t step)
{
    static const uint8_t long_key[KAD_KEY_MAX + 1] = {'/'};
    const struct kad_msg find = {.type = KAD_FIND_NODE, .key = {long_key, 8}};

    switch (ask) {
    case ASK_OVERSIZED:
        raw(out, "\xff\xff\x7f", 3);
        return false;
    case ASK_MALFORMED:
        raw(out, "\x04\x10\x01\xff\xff", 5);
        return false;
    case ASK_CUT:
        raw(out, "\x20\x08\x04", 3);
        return true;
    case ASK_TYPE:
        raw(out, "\x02\x08\x63", 3);
        return false;
    case ASK_FIELD:
        wr_uvarint(&out->w, sizeof(long_key) + 3);
        wr_u8(&out->w, 0x12);
        wr_lp(&out->w, (struct slice){long_key, sizeof(long_key)});
        return false;
    case ASK_NO_KEY:
        raw(out, "\x02\x08\x04", 3);
        return false;
    case ASK_PROVIDER_OTHER:
    case ASK_PROVIDER_ADDR:
        providers(s, out, ask, node);
        return true;
    case ASK_AGAIN:
        for (unsigned i = 0; i < 5; i++) {
            message(out, &find);
        }
        return true;
    case ASK_FLOOD:
        pings(out, PINGS);
        return true;
    case ASK_FLOOD_TOGETHER:
        pings(out, PINGS_TOGETHER);
        return true;
    default:
        records(out, ask, step);
        return true;
    }
}

static void asked(struct sim *s, const struct sim_event *ev)
{
    static struct bytes out;

    begin(&out);
    bool end =
        request(s, &out, (enum ask)(ev->cookie >> 32 & 0xffu), ev->node, (uint32_t)ev->cookie);
    net_send(s, ev->strm, SIM_DATA, (struct slice){out.b, out.w.len});
    if (end) {
        net_send(s, ev->strm, SIM_FIN, (struct slice){NULL, 0});
    }
}

static void go_to(struct sim *s, uint32_t from, uint32_t to, enum ask ask)
{
    struct act a = {.type = ACT_OPEN,
                    .peer = s->node[to].id,
                    .data = {(const uint8_t *)"", 1}, /* its address is known */
                    .cookie = ASKS_OURS | (uint64_t)ask << 32 | s->hostile_step};

    net_open(s, from, &a);
}

static bool there(const struct sim *s, uint32_t node, bool hostile)
{
    const struct sim_node *nd = &s->node[node];

    return nd->kad != NULL && !nd->nat && nd->hostile == hostile;
}

static bool pick(struct sim *s, bool hostile, uint32_t *node)
{
    for (unsigned i = 0; i < 1000; i++) {
        *node = dice_below(&s->dice, DICE_FAULTS, s->n);
        if (there(s, *node, hostile)) {
            return true;
        }
    }
    return false;
}

static void hostile_again(struct sim *s)
{
    world_push(
        &s->world,
        (struct sim_event){.at = s->world.now + EVERY, .kind = SIM_FAULT, .cookie = HOSTILE_TICK});
}

void hostile_tick(struct sim *s)
{
    enum ask ask = (enum ask)(s->hostile_step % ASKS);
    uint32_t from, to;

    if (!s->hostile) {
        return;
    }
    hostile_again(s);
    s->hostile_step++;
    if (!pick(s, true, &from) || !pick(s, false, &to)) {
        return;
    }
    if (ask == ASK_FLOOD_TOGETHER) {
        for (uint32_t i = 0; i < s->n; i++) {
            if (there(s, i, true)) {
                go_to(s, i, to, ask);
            }
        }
        return;
    }
    if (ask == ASK_FLOOD_RECORDS) { /* always the same two, or no quota would be reached */
        for (from = 0; from < s->n && !there(s, from, true);) {
            from++;
        }
        to = 0;
    }
    if (from < s->n) {
        go_to(s, from, to, ask);
    }
}

void hostile_mark(struct sim *s, const struct sim_fault *f, bool on)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        struct sim_node *nd = &s->node[i];
        nd->hostile = on && i >= s->sc->bootstrap && dice_hit(&s->dice, DICE_FAULTS, f->share);
        nd->habit = (uint8_t)(n % HABITS); /* each in turn: a few nodes show them all */
        nd->colluding = nd->hostile;       /* no honest request is made there */
        n += nd->hostile ? 1 : 0;
    }
    s->hostile = on;
    if (on) {
        hostile_again(s);
    }
}

/* ---- as a server ---- */

static void peer_put(struct bytes *out, const struct kad_peer_info *p)
{
    uint8_t body[KAD_PEER_RAW_MAX];
    size_t len = kad_peer_write(body, p);

    wr_u8(&out->w, 0x42);
    wr_lp(&out->w, (struct slice){body, len});
}

static void useless_peers(struct sim *s, struct bytes *out, uint32_t node, uint32_t asker)
{
    static const uint8_t nowhere[][4] = {
        {10, 1, 2, 3}, {192, 168, 1, 1}, {127, 0, 0, 1}, {0, 0, 0, 0}};
    struct kad_peer_info p = stranger(s, (const uint8_t[4]){98, 7, 7, 7}, 4001);

    for (unsigned i = 0; i < 40; i++) {
        switch (s->node[node].habit) {
        case HABIT_CROWD:
            p = stranger(s, (const uint8_t[4]){98, 7, 7, (uint8_t)i}, 4001);
            break;
        case HABIT_SELF:
            p.id = s->node[i % 2 == 0 ? node : asker].id;
            break;
        case HABIT_PRIVATE:
            p = stranger(s, nowhere[i % 4], 4001);
            break;
        case HABIT_MANY:
            p = stranger(s, (const uint8_t[4]){(uint8_t)(100 + i), 7, 7, 7}, 4001);
            peer_put(out, &p);
            break;
        case HABIT_BAD_IDS:
            raw(out, "\x42\x05\x0a\x03\x13\x01\x61", 7);
            continue;
        default: /* HABIT_SAME, HABIT_TWICE */
            break;
        }
        peer_put(out, &p);
    }
}

/* A message of its own, to be given its length. */
static void answer_body(struct sim *s, struct bytes *out, const struct kad_msg *m, uint32_t node,
                        uint32_t asker)
{
    bool other = s->node[node].habit == HABIT_OTHER_TYPE;

    wr_u8(&out->w, 0x08);
    wr_u8(&out->w, other ? KAD_PING : (uint8_t)m->type);
    wr_u8(&out->w, 0x12);
    wr_lp(&out->w, m->key);
    if (s->node[node].habit == HABIT_FORGED && m->type == KAD_GET_VALUE) {
        wr_u8(&out->w, 0x1a);
        wr_uvarint(&out->w, m->key.len + 2 + 8);
        wr_u8(&out->w, 0x0a);
        wr_lp(&out->w, m->key);
        raw(out,
            "\x12\x06"
            "forged",
            8);
    }
    if (s->node[node].habit > HABIT_FORGED) {
        useless_peers(s, out, node, asker);
    }
}

static void answer(struct sim *s, struct ref strm, const struct kad_msg *m, uint32_t node,
                   uint32_t asker)
{
    static struct bytes body, out;
    enum habit habit = (enum habit)s->node[node].habit;

    begin(&out);
    if (habit == HABIT_GARBAGE) {
        raw(&out, "\x05\xff\xff\xff\xff\xff", 6);
    } else if (habit == HABIT_OVERSIZED) {
        raw(&out, "\xff\xff\x7f", 3);
    } else {
        begin(&body);
        answer_body(s, &body, m, node, asker);
        wr_lp(&out.w, (struct slice){body.b, body.w.len});
    }
    struct slice all = {out.b, habit == HABIT_CUT ? out.w.len / 2 : out.w.len};
    net_send(s, strm, SIM_DATA, all);
    if (habit == HABIT_TWICE) {
        net_send(s, strm, SIM_DATA, all);
    }
    net_send(s, strm, SIM_FIN, (struct slice){NULL, 0});
}

static void serve(struct sim *s, const struct sim_event *ev, uint32_t asker)
{
    struct kad_msg m = {.closer = s->closer, .providers = s->providers};
    struct rd r = rd_init((struct slice){ev->data->b, ev->data->len});
    size_t dropped;
    uint64_t len = rd_uvarint(&r);
    struct slice msg = rd_rest(&r);

    if (rd_ok(&r) && msg.len == len && kad_msg_decode(&m, &dropped, msg) == QUDAG_OK &&
        m.type != KAD_ADD_PROVIDER) {
        answer(s, ev->strm, &m, ev->node, asker);
    }
}

bool hostile_event(struct sim *s, const struct sim_event *ev, uint32_t other)
{
    bool asks_us = (ev->strm.slot & 1u) != 0;

    if (ev->kind == SIM_OPENED && (ev->cookie & ASKS_OURS) != 0) {
        asked(s, ev);
        return true;
    }
    if (!s->node[ev->node].hostile || !asks_us) {
        return false;
    }
    if (ev->kind == SIM_DATA) {
        serve(s, ev, other);
    } else if (ev->kind == SIM_FIN || ev->kind == SIM_RESET) {
        net_send(s, ev->strm, SIM_FIN, (struct slice){NULL, 0});
        net_end_close(s, ev->strm);
    }
    return true;
}
