/*
 * net.c - links and streams.
 *
 *   open: linked? once the link is up : address known, online, reachable? after a handshake : refused
 *   after a while
 *   message: leaves when the uplink is free, takes the pair's delay and jitter; a lost packet costs a
 *   retransmission, a partition or a dead node swallows it; nothing overtakes within a stream
 */
#include "sim/sim_int.h"

#include "base/assert.h"
#include "sim/links.h"

#include <stdlib.h>

#define PACKET 1200
#define LOST_MAX 6 /* then it comes through; the core has long given up */
#define PTO_SPARE (25 * NS_PER_MS)
#define MEET_AFTER (1 * NS_PER_MS)

void net_init(struct net *net)
{
    *net = (struct net){.free_head = SIM_NONE};
    mem_init(&net->mem, NULL, 0);
    map_init_u64(&net->links, &net->mem, NULL, sizeof(struct sim_link), SIZE_MAX);
}

void net_fini(struct net *net)
{
    free(net->stream);
    map_fini(&net->links);
}

bool net_reaches(const struct sim *s, uint32_t a, uint32_t b)
{
    return !s->net.cut || s->node[a].far == s->node[b].far;
}

/* ---- links ---- */

static uint64_t pair_of(uint32_t a, uint32_t b)
{
    return a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
}

/* Both ends still live the lives in which they made it. */
static bool link_same_lives(const struct sim *s, uint64_t pair, const struct sim_link *l)
{
    return l->epoch_a == s->node[pair >> 32].epoch && l->epoch_b == s->node[(uint32_t)pair].epoch;
}

static bool link_alive(const struct sim *s, uint64_t pair, const struct sim_link *l)
{
    return l->until >= s->world.now && link_same_lives(s, pair, l);
}

static void link_set(struct map *links, uint64_t pair, const struct sim_link *l)
{
    qudag_err err = map_u64_set(links, pair, l);

    ASSERT(err == QUDAG_OK); /* like sim_alloc(), without memory there is no simulation */
}

/* Room for one more: drops dead links, or doubles. */
static void links_make_room(struct sim *s)
{
    struct net *net = &s->net;
    struct map old = net->links;
    const struct sim_link *l;
    size_t cap = 1024;

    if (net->links_room > 0 && old.n < net->links_room) {
        return;
    }
    map_init_u64(&net->links, &net->mem, NULL, sizeof(struct sim_link), SIZE_MAX);
    for (size_t it = 0; (l = map_next_at(&old, &it)) != NULL;) {
        uint64_t pair = map_u64_key(&old, l);
        if (link_alive(s, pair, l)) {
            link_set(&net->links, pair, l);
        }
    }
    map_fini(&old);
    while (cap < 4 * net->links.n) {
        cap *= 2;
    }
    net->links_room = cap / 2;
}

/* Whether they have a link, or make one: *up is when it can be used.  If so it is used now. */
static bool link_use(struct sim *s, uint32_t a, uint32_t b, tstamp *up)
{
    struct sim_link *l = map_u64_at(&s->net.links, pair_of(a, b));

    if (l == NULL || !link_alive(s, pair_of(a, b), l)) {
        return false;
    }
    tstamp until = s->world.now + s->sc->idle;
    *up = l->until > until ? l->until - s->sc->idle : s->world.now; /* link_make() */
    l->until = l->until > until ? l->until : until;
    return true;
}

/* Whether they had a link in these lives, as far as is remembered: then the token and key are known. */
static bool link_was(const struct sim *s, uint32_t a, uint32_t b)
{
    const struct sim_link *l = map_u64_at(&s->net.links, pair_of(a, b));

    return l != NULL && link_same_lives(s, pair_of(a, b), l);
}

static void link_make(struct sim *s, uint32_t a, uint32_t b, tstamp at)
{
    uint64_t pair = pair_of(a, b);
    struct sim_link l = {at + s->sc->idle, s->node[pair >> 32].epoch,
                         s->node[(uint32_t)pair].epoch};

    links_make_room(s);
    link_set(&s->net.links, pair, &l);
}

/* ---- delay ---- */

static uint64_t lost_packets(struct sim *s, uint64_t rtt, size_t len)
{
    uint64_t wait = 0;

    for (size_t at = 0; s->net.loss > 0 && at <= len; at += PACKET) {
        uint64_t pto = rtt + rtt / 2 + PTO_SPARE;
        for (unsigned i = 0; i < LOST_MAX && dice_hit(&s->dice, DICE_LINKS, s->net.loss); i++) {
            wait += pto << i;
        }
    }
    return wait;
}

/* One way, from a to b. */
static uint64_t delay(struct sim *s, uint32_t a, uint32_t b, size_t len)
{
    uint64_t rtt = links_rtt(&s->dice, s->sc, a, b), one = links_one_way(&s->dice, s->sc, rtt);

    return one + lost_packets(s, rtt, len);
}

/*
 * Until the DHT of the dialling side may use the link.  As in complete nodes (tests/sim/agree_test.py): two round
 * trips with a stranger, whose long certificate does not fit the first answer, one with a known one.
 */
static uint64_t handshake(struct sim *s, uint32_t from, uint32_t to)
{
    static const uint8_t packets[SIM_TRIPS_MAX][2] = {{2, 4}, {5, 1}, {1, 3}}; /* there and back */
    uint64_t took = 0, trips = s->sc->dial_trips;

    if (trips == 0) {
        trips = link_was(s, from, to) ? 1 : 2;
    }
    for (size_t i = 0; i < trips; i++) {
        took += delay(s, from, to, (size_t)(packets[i][0] - 1) * PACKET);
        took += delay(s, to, from, (size_t)(packets[i][1] - 1) * PACKET);
    }
    return took;
}

/* ---- streams ---- */

struct sim_stream *net_stream(struct sim *s, struct ref strm, unsigned *side)
{
    uint32_t ix = strm.slot / 2;

    if (ix >= s->net.streams || !s->net.stream[ix].used || s->net.stream[ix].gen != strm.gen) {
        return NULL;
    }
    *side = strm.slot & 1u;
    return &s->net.stream[ix];
}

static struct sim_end *end_at(struct sim *s, uint32_t name)
{
    return &s->net.stream[name / 2].end[name & 1u];
}

static void end_link(struct sim *s, uint32_t name)
{
    struct sim_end *e = end_at(s, name);
    uint32_t *head = &s->node[e->node].streams;

    e->prev = SIM_NONE;
    e->next = *head;
    if (*head != SIM_NONE) {
        end_at(s, *head)->prev = name;
    }
    *head = name;
}

static void end_close(struct sim *s, uint32_t name)
{
    struct sim_end *e = end_at(s, name);

    if (!e->open) {
        return;
    }
    e->open = false;
    if (e->prev != SIM_NONE) {
        end_at(s, e->prev)->next = e->next;
    } else {
        s->node[e->node].streams = e->next;
    }
    if (e->next != SIM_NONE) {
        end_at(s, e->next)->prev = e->prev;
    }
    struct sim_stream *st = &s->net.stream[name / 2];
    if (!st->end[0].open && !st->end[1].open) {
        st->used = false;
        st->gen = st->gen == UINT32_MAX ? 1 : st->gen + 1;
        st->next_free = s->net.free_head;
        s->net.free_head = name / 2;
    }
}

static uint32_t stream_new(struct sim *s, uint32_t opener, uint32_t answerer)
{
    struct net *net = &s->net;
    uint32_t ix = net->free_head;

    if (ix != SIM_NONE) {
        net->free_head = net->stream[ix].next_free;
    } else {
        if (net->streams == net->streams_cap) {
            net->streams_cap = net->streams_cap == 0 ? 1024 : net->streams_cap * 2;
            net->stream = sim_grow(net->stream, net->streams_cap, sizeof(*net->stream));
        }
        ix = net->streams++;
        net->stream[ix] = (struct sim_stream){.gen = 1};
    }
    struct sim_stream *st = &net->stream[ix];
    st->used = true;
    st->end[0] = (struct sim_end){.node = opener, .open = true};
    st->end[1] = (struct sim_end){.node = answerer, .open = true};
    end_link(s, 2 * ix);
    end_link(s, 2 * ix + 1);
    return ix;
}

static void push(struct sim *s, uint32_t node, struct sim_event ev)
{
    ev.node = node;
    ev.epoch = s->node[node].epoch;
    world_push(&s->world, ev);
}

/* What identify tells each of the other, once the link stands. */
static void meet(struct sim *s, uint32_t a, uint32_t b, tstamp at)
{
    push(s, a,
         (struct sim_event){
             .at = at, .kind = SIM_MEET, .cookie = (uint64_t)s->node[b].epoch << 32 | b});
}

void net_open(struct sim *s, uint32_t from, const struct act *a)
{
    uint32_t to = 0;
    tstamp at = s->world.now;
    bool exists = host_by_id(s, &a->peer, &to), linked = exists && link_use(s, from, to, &at);

    s->rpcs++;
    if (!linked) {
        bool known = a->data.len > 0;
        bool there =
            exists && sim_there(&s->node[to]) && !s->node[to].nat && net_reaches(s, from, to);
        bool standing = exists && known && s->sc->standing != 0;
        if (!standing && (!known || !there)) {
            uint64_t wait = known ? s->sc->dial_timeout : NS_PER_MS;
            s->node[from].dialling++;
            push(s, from,
                 (struct sim_event){.at = at + wait, .kind = SIM_FAIL, .cookie = a->cookie});
            return;
        }
        if (!standing) {
            s->dials++;
            at += handshake(s, from, to);
        }
        link_make(s, from, to, at);
        if (there) {
            meet(s, from, to, at + MEET_AFTER);
            meet(s, to, from, at + delay(s, from, to, 0) + MEET_AFTER);
        }
    }
    uint32_t ix = stream_new(s, from, to);
    struct ref mine = {2 * ix, s->net.stream[ix].gen}, theirs = {2 * ix + 1, mine.gen};
    push(s, from,
         (struct sim_event){.at = at, .kind = SIM_OPENED, .strm = mine, .cookie = a->cookie});
    if (!sim_there(&s->node[to])) {
        end_close(s, theirs.slot); /* it died with the link up: nothing will come back */
    } else if (net_reaches(s, from, to)) {
        tstamp there = at + delay(s, from, to, 0);
        s->net.stream[ix].end[1].last = there;
        push(s, to, (struct sim_event){.at = there, .kind = SIM_OPEN, .strm = theirs});
    }
}

void net_send(struct sim *s, struct ref strm, enum sim_kind kind, struct slice data)
{
    unsigned side;
    struct sim_stream *st = net_stream(s, strm, &side);

    if (st == NULL || !st->end[side].open) {
        return;
    }
    uint32_t from = st->end[side].node, to = st->end[side ^ 1u].node, name = strm.slot;
    struct sim_node *nd = &s->node[from];
    size_t len = kind == SIM_FIN ? 0 : data.len + SIM_MESSAGE_OVERHEAD;
    tstamp leaves = s->world.now;
    s->messages += kind == SIM_DATA;
    s->bytes += len;
    if (s->sc->uplink > 0 && len > 0) {
        leaves = nd->uplink_free > leaves ? nd->uplink_free : leaves;
        leaves += len * NS_PER_S / s->sc->uplink;
        nd->uplink_free = leaves;
        push(s, from,
             (struct sim_event){
                 .at = leaves, .kind = SIM_WRITABLE, .strm = strm, .cookie = data.len});
    }
    leaves += side == 1 && kind == SIM_DATA ? nd->slow : 0;
    struct sim_end *other = &st->end[side ^ 1u];
    if (other->open && net_reaches(s, from, to)) {
        tstamp at = leaves + delay(s, from, to, len);
        at = at < other->last ? other->last : at;
        other->last = at;
        push(s, to,
             (struct sim_event){.at = at,
                                .kind = kind,
                                .strm = {strm.slot ^ 1u, strm.gen},
                                .data =
                                    kind == SIM_DATA ? sim_data_new(data.base, data.len) : NULL});
    }
    st->end[side].fin_sent = st->end[side].fin_sent || kind == SIM_FIN;
    if (kind == SIM_RESET || (st->end[side].fin_sent && st->end[side].fin_seen)) {
        end_close(s, name);
    }
}

void net_end_fin(struct sim *s, struct ref strm)
{
    unsigned side;
    struct sim_stream *st = net_stream(s, strm, &side);

    if (st != NULL) {
        st->end[side].fin_seen = true;
        if (st->end[side].fin_sent) {
            end_close(s, strm.slot);
        }
    }
}

void net_end_close(struct sim *s, struct ref strm)
{
    unsigned side;

    if (net_stream(s, strm, &side) != NULL) {
        end_close(s, strm.slot);
    }
}

void net_leave(struct sim *s, uint32_t node, bool tell)
{
    while (s->node[node].streams != SIM_NONE) {
        uint32_t name = s->node[node].streams;
        struct ref strm = {name, s->net.stream[name / 2].gen};
        if (tell) {
            net_send(s, strm, SIM_RESET, (struct slice){NULL, 0});
        } else {
            end_close(s, name);
        }
        ASSERT(s->node[node].streams != name);
    }
}
