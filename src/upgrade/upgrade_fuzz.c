/*
 * upgrade_fuzz.c - hostile bytes to either role, in any stage.
 *
 * First byte: role, policy, what went well before; the second: size of the pieces, and whether the byte stream ends.
 */
#include "base/assert.h"
#include "crypto/init.h"
#include "upgrade/upgrade_int.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WALL 1800000000
#define NOW (1000 * NS_PER_S)
#define CARRY 65536

/* What stays: keys and certificates are the same for all inputs. */
struct keys {
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct identity id;
    struct sec *sec;
};

static struct keys keys[2]; /* without post-quantum certificates, which take long to make; with */

struct side {
    struct mem mem;
    struct rng_stream stream;
    struct upgrade *u;
    struct ref link;
    unsigned ups, downs;
    bool dialed, ended;
};

static tstamp now;

static void make_keys(struct keys *k, enum pq_policy pq, uint8_t seed)
{
    uint8_t bytes[32] = {seed};

    if (k->sec != NULL) {
        return;
    }
    mem_init(&k->mem, NULL, 0);
    rng_stream_init(&k->stream, bytes);
    k->rng = rng_of_stream(&k->stream);
    ASSERT(identity_generate(&k->id, &k->rng) == QUDAG_OK);
    const struct sec_config c = {.mem = &k->mem,
                                 .rng = &k->rng,
                                 .identity = &k->id,
                                 .pq = pq,
                                 .level = 768,
                                 .clock = {.base = WALL, .at = NOW}};
    ASSERT(sec_new(&k->sec, &c) == QUDAG_OK);
}

static void make(struct side *s, const struct keys *k, enum pq_policy pq, uint8_t seed)
{
    uint8_t bytes[32] = {seed};

    memset(s, 0, sizeof(*s));
    mem_init(&s->mem, NULL, 0);
    rng_stream_init(&s->stream, bytes);
    const struct upgrade_config c = {.mem = &s->mem,
                                     .rng = rng_of_stream(&s->stream),
                                     .sec = k->sec,
                                     .identity = &k->id,
                                     .pq = pq,
                                     .streams_max = 16};
    ASSERT(upgrade_new(&s->u, &c, now) == QUDAG_OK);
}

static void begin(struct side *s, bool dialer)
{
    static const struct multiaddr none;
    struct transport_target t = {.addr = &none};
    struct upgrade_stream st = {.dialer = dialer, .props = dialer ? 0 : LINK_INBOUND};

    st.target = dialer ? &t : NULL;
    s->dialed = dialer;
    ASSERT(upgrade_begin(s->u, &st, now, &s->link) == QUDAG_OK);
}

/* Answers what comes, in every way there is. */
static void events(struct side *s)
{
    const struct link_ops *ops = &upgrade_link_ops;
    struct link_ev ev;

    while (upgrade_next_event(s->u, &ev)) {
        switch (ev.type) {
        case LINK_UP:
            s->ups++;
            break;
        case LINK_DOWN:
            ASSERT(s->ups == 1 || s->dialed);
            s->downs++;
            break;
        case LINK_STREAM:
            ops->set_user(s->u, ev.link, ev.sid, 5);
            break;
        case LINK_DATA:
            ops->consume(s->u, ev.link, ev.sid, ev.data.len);
            (void)ops->write(s->u, ev.link, ev.sid, ev.data);
            break;
        case LINK_FIN:
            ev.sid % 4 == 1 ? ops->fin(s->u, ev.link, ev.sid)
                            : ops->reset(s->u, ev.link, ev.sid, QUDAG_ELIMIT);
            break;
        case LINK_RESET:
        case LINK_SENT:
        case LINK_STREAMS_OK:
        case LINK_ANSWERED:
        case LINK_PROVEN:
        case LINK_QUIET:
        case LINK_HEARD:
            break;
        }
    }
    ASSERT(s->ups <= 1 && s->downs <= 1);
}

/* What |s| has to send goes to |to|, or nowhere. */
static bool carry(struct side *s, struct side *to)
{
    static uint8_t buf[CARRY];
    struct ref link;
    uint64_t cookie;
    bool ended, any = false;
    size_t n;

    while (upgrade_next_work(s->u, &link, &cookie, &ended)) {
        while ((n = upgrade_output(s->u, link, buf, sizeof(buf), now)) > 0) {
            any = true;
            if (to != NULL) {
                upgrade_receive(to->u, to->link, (struct slice){buf, n}, now);
                events(to);
            }
        }
        s->ended = s->ended || ended;
    }
    events(s);
    return any;
}

static void feed(struct side *s, struct slice in, size_t piece)
{
    while (in.len > 0 && !s->ended) {
        size_t n = in.len < piece ? in.len : piece;
        upgrade_receive(s->u, s->link, (struct slice){in.base, n}, now);
        events(s);
        (void)carry(s, NULL);
        in = slice_rest(in, n);
    }
}

static void feed_text(struct side *s, const char *text)
{
    feed(s, (struct slice){(const uint8_t *)text, strlen(text)}, CARRY);
}

/* The agreement on a security protocol, as the other side of |s| would have it. */
static void agree(struct side *s, bool tls)
{
    feed_text(s, "\x13/multistream/1.0.0\n");
    if (!tls && s->dialed) {
        feed_text(s, "\x03na\n");
    }
    feed_text(s, tls ? "\x0b/tls/1.0.0\n" : "\x07/noise\n");
}

/* A peer with keys, whose muxer says what the input says. */
static void feed_sealed(struct side *s, struct side *peer, struct slice in, size_t piece)
{
    struct upgrade_link *l = upgrade_find(peer->u, peer->link);

    for (bool any = true; any;) {
        any = carry(s, peer);
        any = carry(peer, s) || any;
    }
    ASSERT(s->ups == 1 && peer->ups == 1);
    while (in.len > 0 && !s->ended && l->stage == STAGE_STREAMS) {
        size_t n = in.len < piece ? in.len : piece;
        ASSERT(upgrade_put_sealed(l, (struct slice){in.base, n}) == QUDAG_OK);
        upgrade_mark_work(l);
        (void)carry(peer, s);
        (void)carry(s, NULL);
        in = slice_rest(in, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct side s, peer;

    if (size < 2) {
        return 0;
    }
    enum pq_policy pq = (data[0] & 2) != 0 ? PQ_REQUIRE : PQ_OFF;
    unsigned before = data[0] >> 2 & 3;
    bool dialer = (data[0] & 1) != 0;
    size_t piece = (size_t)(data[1] & 127) * 8 + 1;
    struct slice in = {data + 2, size - 2};

    if (keys[0].sec == NULL && crypto_init() != QUDAG_OK) {
        return 0;
    }
    make_keys(&keys[0], PQ_OFF, 1);
    make_keys(&keys[1], PQ_REQUIRE, 2);
    now = NOW;
    pq = before == 3 || before == 1 ? PQ_OFF : pq;
    make(&s, &keys[pq == PQ_REQUIRE], pq, 3);
    make(&peer, &keys[0], PQ_OFF, 4);
    begin(&s, dialer);
    if (before == 3) {
        begin(&peer, !dialer);
        struct upgrade_link *l = upgrade_find(dialer ? peer.u : s.u, dialer ? peer.link : s.link);
        l->protos[0] = upgrade_proto_id(UPGRADE_NOISE); /* quick, and the same each time */
        l->proto[0] = UPGRADE_NOISE;
        mss_listen(&l->mss, l->protos, 1);
        feed_sealed(&s, &peer, in, piece);
    } else {
        (void)carry(&s, NULL);
        if (before > 0) {
            agree(&s, before == 2);
        }
        feed(&s, in, piece);
        ASSERT(s.ups == 0); /* nobody here knows a key */
    }
    ASSERT(s.mem.used < 400000);
    if ((data[1] & 128) != 0) {
        upgrade_lost(s.u, s.link, QUDAG_OK, now);
    }
    now += 100 * NS_PER_S;
    upgrade_tick(s.u, now);
    events(&s);
    upgrade_shutdown(s.u, now);
    events(&s);
    (void)carry(&s, NULL);
    ASSERT(s.downs == (s.dialed || s.ups > 0 ? 1u : 0u));
    upgrade_free(s.u);
    upgrade_free(peer.u);
    ASSERT(s.mem.used == 0 && peer.mem.used == 0);
    return 0;
}
