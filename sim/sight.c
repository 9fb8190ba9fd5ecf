/*
 * sight.c - dark cores over a modelled network, and all that its storers see.
 *
 *   core ─ DARK_UP_PUT, _GET ─▶ a path of core/relays ─ three round trips to build it ─▶ its end asks the DHT
 *     ▲                                                  a few more, then one of the storers' ─▶ struct sight_event
 *     └──────────────────────────────────── the answer goes back over the circuit ◀────────────────┘
 *
 * Round trips belong to pairs of nodes, as everywhere in the simulator, and vary by a fifth or so.
 */
#include "sim/sight.h"

#include "core/relays/relays.h"
#include "crypto/init.h"
#include "node/samples.h"
#include "sim/chance.h"
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#define STORERS 20 /* of each place */
#define PLACES_MAX (SIGHT_SERVICES_MAX * (SIGHT_DAYS_MAX + 2) * DARK_REPLICAS)
#define NODES_MAX (SIGHT_SERVICES_MAX + SIGHT_READERS_MAX)
#define LEARN_EVERY (UINT64_C(12) * 3600 * NS_PER_S)
#define RTT_MEDIAN (80 * NS_PER_MS)
#define RTT_SPREAD 500
#define VARIES 200    /* sigma of one round trip, in thousandths */
#define DHT_STEPS 3   /* round trips of a lookup before the storers' */
#define CLOCK_OFF 300 /* s: clocks are wrong by up to this */

struct place {
    uint8_t key[DARK_KEY_LEN];
    uint32_t service;
    uint8_t day, replica;
    uint32_t storer[STORERS];
    walltime expires; /* of the record; 0: none */
};

struct peer_node {
    struct dark *dark;
    struct relays *relays;
    struct rng_stream stream;
    struct rng rng;
    tstamp tick;                       /* that is queued; TSTAMP_NEVER: none */
    uint32_t asks[SIGHT_SERVICES_MAX]; /* resolutions under way */
    uint32_t exit;                     /* keeps_exit */
};

/* A question on its way to the end of a circuit, then the answer on its way back. */
struct letter {
    bool put, sample, cover;
    uint32_t exit;
    uint64_t cookie, back; /* ns the answer needs */
    qudag_err err;
    uint8_t key[DARK_KEY_LEN];
    uint32_t len;
    uint8_t record[DARK_RECORD_LEN];
};

struct sight {
    struct sight_case c;
    struct world w;
    struct dice dice;
    struct mem mem;
    struct acts acts;
    struct peer_node node[NODES_MAX];
    uint32_t n_nodes;
    struct dark_addr addr[SIGHT_SERVICES_MAX];
    uint64_t slow[SIGHT_SERVICES_MAX];
    struct place place[PLACES_MAX];
    uint8_t record[PLACES_MAX][DARK_RECORD_LEN]; /* what lies there */
    uint32_t n_places;
    struct node_samples samples[SIGHT_RELAYS];
    struct peer_id relay[SIGHT_RELAYS];
    struct sight_event *event;
    size_t n_events, cap_events;
    struct sight_answer *answer;
    size_t n_answers, cap_answers;
};

/* --- the network ----------------------------------------------------------------------------- */

static walltime wall(const struct sight *s)
{
    return SIGHT_START + (walltime)(s->w.now / NS_PER_S);
}

static void relay_desc_of(const struct sight *s, uint32_t i, struct relay_desc *d)
{
    struct netaddr a = {
        .family = 4, .ip = {(uint8_t)(20 + i / 200), (uint8_t)(i % 200), 1, 1}, .port = 4001};

    memset(d, 0, sizeof *d);
    d->peer = s->relay[i];
    d->n_addrs = 1;
    multiaddr_quic(&d->addr[0], &a, NULL);
    d->onion_x[0] = (uint8_t)i;
    d->flags = RELAY_FLAG_GUARD | RELAY_FLAG_GATEWAY;
    d->seq = s->w.now / NS_PER_S + 1;
    d->not_before = wall(s);
    d->expires = wall(s) + 86400;
}

/* All descriptors, as they are now. */
static bool learn(struct sight *s, struct peer_node *n)
{
    static struct relay_desc d; /* large */

    for (uint32_t i = 0; i < SIGHT_RELAYS; i++) {
        relay_desc_of(s, i, &d);
        if (relays_add(n->relays, &d) != QUDAG_OK) {
            return false;
        }
    }
    relays_expire(n->relays, wall(s), true);
    return true;
}

/* One round trip between two nodes; relays come first. */
static uint64_t round_trip(struct sight *s, uint32_t a, uint32_t b)
{
    return dice_lognormal(&s->dice, DICE_LINKS, dice_pair(&s->dice, a, b, RTT_MEDIAN, RTT_SPREAD),
                          VARIES);
}

/* The path of a new circuit of node |ix|, not ending at |apart|. */
static bool path_draw(struct sight *s, uint32_t ix, const struct peer_id *apart, uint32_t path[3])
{
    static const struct relays_path_want want = {.n = 3};
    struct peer_node *n = &s->node[ix];
    struct onion_hop hop[3];

    if (relays_path_apart(n->relays, &want, apart, s->w.now, hop) != QUDAG_OK) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        path[i] = hop[i].x[0];
    }
    relays_hops_worked(n->relays, hop, 3, s->w.now);
    if (s->c.keeps_exit) {
        path[2] = n->exit;
        path[2] += peer_id_eq(&s->relay[n->exit], apart) ? 1 : 0;
        path[2] %= SIGHT_RELAYS;
    }
    return true;
}

/* From one end of a circuit to the other and back. */
static uint64_t through(struct sight *s, uint32_t ix, const uint32_t path[3], int hops)
{
    uint64_t t = round_trip(s, SIGHT_RELAYS + ix, path[0]);

    for (int i = 1; i < hops; i++) {
        t += round_trip(s, path[i - 1], path[i]);
    }
    return t;
}

static struct place *place_of(struct sight *s, const uint8_t key[DARK_KEY_LEN])
{
    for (uint32_t i = 0; i < s->n_places; i++) {
        if (memcmp(s->place[i].key, key, DARK_KEY_LEN) == 0) {
            return &s->place[i];
        }
    }
    return NULL;
}

/* How long the end of a circuit takes to ask for a key: a few steps towards it, then the first of three storers. */
static uint64_t dht_takes(struct sight *s, uint32_t exit, const struct place *p)
{
    uint64_t t = 0, first = UINT64_MAX;

    for (int i = 0; i < DHT_STEPS; i++) {
        t += round_trip(s, exit, dice_below(&s->dice, DICE_LINKS, SIGHT_RELAYS));
    }
    for (int i = 0; i < 3; i++) {
        uint32_t r = p == NULL ? dice_below(&s->dice, DICE_LINKS, SIGHT_RELAYS)
                               : p->storer[dice_below(&s->dice, DICE_LINKS, STORERS)];
        uint64_t one = round_trip(s, exit, r);
        first = one < first ? one : first;
    }
    return t + first + (p == NULL ? 0 : s->slow[p->service]);
}

/* --- storers --------------------------------------------------------------------------------- */

static bool lies_at(const struct place *p, uint32_t relay)
{
    for (int i = 0; i < STORERS; i++) {
        if (p->storer[i] == relay) {
            return true;
        }
    }
    return false;
}

static void see(struct sight *s, const struct place *p, const struct letter *l, uint32_t who)
{
    if (s->n_events == s->cap_events) {
        s->cap_events = s->cap_events * 2 + 1024;
        s->event = sim_grow(s->event, s->cap_events, sizeof *s->event);
    }
    struct sight_event *e = &s->event[s->n_events++];
    *e = (struct sight_event){.at = s->w.now,
                              .put = l->put,
                              .service = p->service,
                              .day = p->day,
                              .replica = p->replica,
                              .exit = l->exit,
                              .stores = lies_at(p, l->exit),
                              .who = who,
                              .cover = l->cover};
    if (l->put) {
        for (int i = 0; i < 8; i++) { /* spec/dark.md 3: number, not before, expires */
            e->number = e->number << 8 | l->record[40 + i];
            e->not_before = (walltime)((uint64_t)e->not_before << 8 | l->record[48 + i]);
            e->expires = (walltime)((uint64_t)e->expires << 8 | l->record[56 + i]);
        }
    }
}

/* The index that the end of the circuit tells, which it draws as the daemon does. */
static void sample_draw(struct sight *s, uint32_t exit, const struct rng *rng,
                        uint8_t key[DARK_KEY_LEN])
{
    struct node_samples *m = &s->samples[exit];

    if (m->until <= s->w.now) {
        node_samples_begin(m, tstamp_after(s->w.now, NODE_SAMPLES_LIFE));
        for (uint32_t i = 0; i < s->n_places; i++) {
            const struct place *p = &s->place[i];
            if (p->expires > wall(s) && lies_at(p, exit)) {
                node_samples_offer(m, (struct slice){p->key, DARK_KEY_LEN}, rng);
            }
        }
    }
    node_samples_draw(m, rng, key);
}

/* A question arrives at the storers, who answer. */
static void arrive(struct sight *s, uint32_t ix, struct letter *l)
{
    if (l->sample) {
        sample_draw(s, l->exit, &s->node[ix].rng, l->key);
    }
    struct place *p = place_of(s, l->key);
    l->err = QUDAG_ENOTFOUND;
    if (p != NULL) {
        see(s, p, l, ix);
    }
    if (p != NULL && l->put) {
        memcpy(s->record[p - s->place], l->record, DARK_RECORD_LEN);
        p->expires = s->event[s->n_events - 1].expires;
        l->err = QUDAG_OK;
    } else if (p != NULL && p->expires > wall(s)) {
        l->err = QUDAG_OK;
        l->len = l->sample ? DHT_DARK_INDEX_LEN : DARK_RECORD_LEN;
        memcpy(l->record,
               l->sample ? p->key + (DARK_KEY_LEN - DHT_DARK_INDEX_LEN) : s->record[p - s->place],
               l->len);
    }
    world_push(&s->w, (struct sim_event){.at = tstamp_after(s->w.now, l->back),
                                         .node = ix,
                                         .kind = SIM_DATA,
                                         .data = sim_data_new(l, sizeof *l)});
}

/* --- nodes ----------------------------------------------------------------------------------- */

/* Carries a question of node |ix| to where it is asked. */
static void send_out(struct sight *s, uint32_t ix, const struct act *a, bool cover)
{
    static struct letter l; /* large */
    const struct dark_wanted *wanted = a->ptr;
    uint32_t path[3];

    memset(&l, 0, sizeof l);
    l.cookie = a->cookie;
    l.put = a->kind == DARK_UP_PUT;
    l.sample = !l.put && dht_key_is_sample(wanted->key);
    l.cover = cover || l.sample;
    if (!path_draw(s, ix, &wanted->apart, path)) {
        abort(); /* there are always relays here */
    }
    l.exit = path[2];
    if (!l.sample) {
        memcpy(l.key, wanted->key.base, DARK_KEY_LEN);
    }
    if (l.put) {
        memcpy(l.record, wanted->record.base, DARK_RECORD_LEN);
    }
    uint64_t out = through(s, ix, path, 1) + through(s, ix, path, 2) + through(s, ix, path, 3);
    uint64_t way = through(s, ix, path, 3);
    uint64_t dht = dht_takes(s, l.exit, place_of(s, l.key));
    l.back = dht / 2 + way / 2;
    world_push(&s->w, (struct sim_event){.at = tstamp_after(s->w.now, out + way / 2 + dht / 2),
                                         .node = ix,
                                         .kind = SIM_OPEN,
                                         .data = sim_data_new(&l, sizeof l)});
}

static void answered(struct sight *s, uint32_t ix, const struct act *a)
{
    struct sight_answer *r = &s->answer[a->cookie];

    r->at = s->w.now;
    r->err = a->err;
    r->cached = a->n == 1;
    s->node[ix].asks[r->service]--;
}

/* Whether somebody waits for what lies at |key|. */
static bool wanted_by_user(struct sight *s, uint32_t ix, struct slice key)
{
    const struct place *p = key.len == DARK_KEY_LEN ? place_of(s, key.base) : NULL;

    return p != NULL && (ix < s->c.services || s->node[ix].asks[p->service] > 0);
}

/* Does what node |ix| wants done, and knows when it wants to be called next. */
static void settle(struct sight *s, uint32_t ix)
{
    struct peer_node *n = &s->node[ix];

    for (size_t i = 0; i < s->acts.n; i++) {
        const struct act *a = &s->acts.v[i];
        if (a->kind == DARK_UP_SAVE && a->cookie != 0) {
            dark_saved(n->dark, a->cookie, QUDAG_OK, s->w.now, &s->acts);
        } else if (a->kind == DARK_UP_PUT || a->kind == DARK_UP_GET) {
            const struct dark_wanted *wanted = a->ptr;
            send_out(s, ix, a, !wanted_by_user(s, ix, wanted->key));
        } else if (a->kind == DARK_UP_RESOLVED) {
            answered(s, ix, a);
        }
    }
    if (s->acts.overflow) {
        abort();
    }
    s->acts.n = s->acts.bytes_n = 0;
    tstamp due = dark_deadline(n->dark);
    due = due > s->w.now ? due : s->w.now;
    if (due < n->tick) {
        n->tick = due;
        world_push(&s->w, (struct sim_event){.at = due, .node = ix, .kind = SIM_TICK});
    }
}

static void tick(struct sight *s, uint32_t ix)
{
    struct peer_node *n = &s->node[ix];

    if (n->tick <= s->w.now) {
        n->tick = TSTAMP_NEVER;
        dark_tick(n->dark, s->w.now, &s->acts);
        settle(s, ix);
    }
}

static void come_back(struct sight *s, uint32_t ix, const struct letter *l)
{
    const struct dark_answer ans = {.cookie = l->cookie,
                                    .err = l->err,
                                    .record = {l->record, l->len},
                                    .stored = STORERS,
                                    .exit = s->relay[l->exit]};

    if (l->put) {
        dark_put_done(s->node[ix].dark, &ans, s->w.now, &s->acts);
    } else {
        dark_get_done(s->node[ix].dark, &ans, s->w.now, &s->acts);
    }
    settle(s, ix);
}

/* A user asks: |answer| is where he gets it. */
static void ask(struct sight *s, uint64_t answer)
{
    struct sight_answer *r = &s->answer[answer];
    uint32_t ix = s->c.services + r->reader;
    const struct dark_question q = {answer, &s->addr[r->service], r->user};

    s->node[ix].asks[r->service]++;
    r->asked = s->w.now;
    r->err = dark_resolve(s->node[ix].dark, &q, s->w.now, &s->acts);
    settle(s, ix);
}

static void act_on(struct sight *s, struct sim_event *ev)
{
    static struct letter l; /* large */

    if (ev->data != NULL) {
        memcpy(&l, ev->data->b, sizeof l);
    }
    switch (ev->kind) {
    case SIM_TICK:
        tick(s, ev->node);
        break;
    case SIM_OPEN:
        arrive(s, ev->node, &l);
        break;
    case SIM_DATA:
        come_back(s, ev->node, &l);
        break;
    case SIM_WORK:
        ask(s, ev->cookie);
        break;
    default: /* SIM_JOIN */
        if (!learn(s, &s->node[ev->node])) {
            abort();
        }
        world_push(&s->w, (struct sim_event){.at = tstamp_after(s->w.now, LEARN_EVERY),
                                             .node = ev->node,
                                             .kind = SIM_JOIN});
        break;
    }
    free(ev->data);
}

void sight_run(struct sight *s, tstamp until)
{
    struct sim_event ev;

    while (world_pop(&s->w, until, &ev)) {
        act_on(s, &ev);
    }
}

/* --- making ---------------------------------------------------------------------------------- */

static void relays_make(struct sight *s)
{
    for (uint32_t i = 0; i < SIGHT_RELAYS; i++) {
        uint8_t pk[32] = {(uint8_t)i, 0x51};
        peer_id_from_ed25519(&s->relay[i], pk);
    }
}

static bool node_make(struct sight *s, uint32_t ix)
{
    struct peer_node *n = &s->node[ix];
    bool reads = ix >= s->c.services;
    uint8_t pk[32] = {(uint8_t)ix, 0x52}, seed[32];
    struct relays_config rc = {.mem = &s->mem};

    dice_node(&s->dice, "sight", ix, 0, seed);
    rng_stream_init(&n->stream, seed);
    n->rng = rc.rng = rng_of_stream(&n->stream);
    peer_id_from_ed25519(&rc.self, pk);
    n->tick = TSTAMP_NEVER;
    n->exit = rng_below(&n->rng, SIGHT_RELAYS);
    walltime wrong = (walltime)rng_below(&n->rng, 2 * CLOCK_OFF + 1) - CLOCK_OFF;
    struct dark_config dc = {.mem = &s->mem,
                             .rng = n->rng,
                             .clock = {.base = SIGHT_START + wrong},
                             .network = DARK_NET_TEST,
                             .cover_per_hour = reads ? s->c.cover_per_hour : 0,
                             .delay_max_ns = reads ? s->c.delay_max_ns : 0,
                             .show_cache = s->c.show_cache};
    if (dark_new(&n->dark, &dc) != QUDAG_OK || relays_new(&n->relays, &rc) != QUDAG_OK ||
        !learn(s, n)) {
        return false;
    }
    relays_settled(n->relays, wall(s));
    world_push(&s->w, (struct sim_event){
                          .at = tstamp_after(s->w.now, LEARN_EVERY), .node = ix, .kind = SIM_JOIN});
    return true;
}

/* Which relays are nearest to a key: those whose hash together with it is least. */
static void storers_choose(const struct sight *s, struct place *p)
{
    uint64_t best[STORERS];

    memset(best, 0xff, sizeof best);
    for (uint32_t i = 0; i < SIGHT_RELAYS; i++) {
        uint64_t a, d = dice_fixed(&s->dice, i, 0x53);
        memcpy(&a, p->key + 16, sizeof a);
        d ^= a;
        for (int k = 0; k < STORERS; k++) {
            if (d < best[k]) {
                memmove(&best[k + 1], &best[k], sizeof best[0] * (size_t)(STORERS - 1 - k));
                memmove(&p->storer[k + 1], &p->storer[k],
                        sizeof p->storer[0] * (size_t)(STORERS - 1 - k));
                best[k] = d;
                p->storer[k] = i;
                break;
            }
        }
    }
}

static bool places_make(struct sight *s, uint32_t service)
{
    for (uint32_t day = 0; day < s->c.days + 2; day++) {
        for (uint8_t r = 0; r < DARK_REPLICAS; r++) {
            struct place *p = &s->place[s->n_places++];
            const struct dark_place at = {dark_period(SIGHT_START) + day, r};
            p->service = service;
            p->day = (uint8_t)day;
            p->replica = r;
            if (dark_dht_key(p->key, &s->addr[service], &at) != QUDAG_OK) {
                return false;
            }
            storers_choose(s, p);
        }
    }
    return true;
}

/* Service |ix| has an address from now on, and publishes it. */
static bool publish(struct sight *s, uint32_t ix)
{
    struct peer_node *n = &s->node[ix];
    struct netaddr a = {.family = 4, .ip = {90, (uint8_t)ix, 1, 1}, .port = 4001};
    struct onion_hop self = {.n_addrs = 1};
    uint8_t pk[32] = {(uint8_t)ix, 0x52};
    struct dark_keys k;

    peer_id_from_ed25519(&self.peer, pk);
    multiaddr_quic(&self.addr[0], &a, NULL);
    if (dark_keys_create(&k, DARK_NET_TEST, "", SIGHT_START, &n->rng) != QUDAG_OK) {
        return false;
    }
    s->addr[ix] = k.addr;
    const struct dark_publish_want want = {1, &s->addr[ix], &self, NULL, DARK_PUBLISH_NOW};
    if (dark_own(n->dark, &k) != QUDAG_OK || !places_make(s, ix) ||
        dark_publish(n->dark, &want, s->w.now, &s->acts) != QUDAG_OK) {
        return false;
    }
    settle(s, ix);
    return true;
}

bool sight_new(struct sight **out, const struct sight_case *c, uint64_t seed)
{
    *out = NULL;
    if (c->services > SIGHT_SERVICES_MAX || c->readers > SIGHT_READERS_MAX ||
        c->days > SIGHT_DAYS_MAX || crypto_init() != QUDAG_OK) {
        return false;
    }
    struct sight *s = sim_alloc(1, sizeof *s);
    s->c = *c;
    world_init(&s->w);
    dice_init(&s->dice, seed);
    mem_init(&s->mem, NULL, 0);
    s->acts = (struct acts){.v = sim_alloc(2 * ACTS_ROOM, sizeof(struct act)),
                            .cap = 2 * ACTS_ROOM,
                            .bytes = sim_alloc(2, ACTS_BYTES_ROOM),
                            .bytes_cap = 2 * ACTS_BYTES_ROOM};
    *out = s;
    relays_make(s);
    bool good = true;
    for (; good && s->n_nodes < c->services + c->readers; s->n_nodes++) {
        good = node_make(s, s->n_nodes);
    }
    for (uint32_t i = 0; good && i < c->services; i++) {
        good = publish(s, i);
    }
    for (uint32_t i = 0; good && i < c->readers; i++) {
        settle(s, c->services + i); /* cover lookups begin */
    }
    if (!good) {
        sight_free(s);
        *out = NULL;
    }
    return good;
}

void sight_free(struct sight *s)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        dark_free(s->node[i].dark);
        relays_free(s->node[i].relays);
    }
    world_fini(&s->w);
    free(s->acts.v);
    free(s->acts.bytes);
    free(s->event);
    free(s->answer);
    free(s);
}

/* --- for attackers --------------------------------------------------------------------------- */

void sight_ask(struct sight *s, tstamp at, uint32_t reader, uint32_t service, uint64_t user)
{
    if (s->n_answers == s->cap_answers) {
        s->cap_answers = s->cap_answers * 2 + 1024;
        s->answer = sim_grow(s->answer, s->cap_answers, sizeof *s->answer);
    }
    s->answer[s->n_answers] =
        (struct sight_answer){.reader = reader, .service = service, .user = user};
    world_push(&s->w, (struct sim_event){.at = at, .cookie = s->n_answers++, .kind = SIM_WORK});
}

void sight_slow(struct sight *s, uint32_t service, uint64_t ns)
{
    s->slow[service] = ns;
}

const struct sight_event *sight_events(const struct sight *s, size_t *n)
{
    *n = s->n_events;
    return s->event;
}

const struct sight_answer *sight_answers(const struct sight *s, size_t *n)
{
    *n = s->n_answers;
    return s->answer;
}

uint32_t sight_below(struct sight *s, uint32_t n)
{
    return dice_below(&s->dice, DICE_WORK, n);
}
