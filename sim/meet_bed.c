/* meet_bed.c - see meet_bed.h. */
#include "sim/meet_bed.h"

#include <stdlib.h>
#include <string.h>

struct netaddr bed_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct netaddr){.family = 4, .ip = {a, b, c, d}, .port = port};
}

/* ---- time ---- */

static bool bed_before(const struct bed_event *a, const struct bed_event *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static struct bed_event *bed_push(struct bed *b, enum bed_what what, unsigned side, tstamp at)
{
    struct bed_event *e = calloc(1, sizeof(*e));

    ASSERT(e != NULL);
    *e = (struct bed_event){.at = at, .order = ++b->order, .what = what, .side = side};
    if (b->n == b->cap) {
        b->cap = b->cap == 0 ? 256 : b->cap * 2;
        b->heap = realloc(b->heap, b->cap * sizeof(struct bed_event *));
        ASSERT(b->heap != NULL);
    }
    size_t i = b->n++;
    for (; i > 0 && bed_before(e, b->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        b->heap[i] = b->heap[(i - 1) / 2];
    }
    b->heap[i] = e;
    return e;
}

static struct bed_event *bed_pop(struct bed *b)
{
    struct bed_event *top = b->heap[0], *last = b->heap[--b->n];
    size_t i = 0;

    for (size_t k; (k = 2 * i + 1) < b->n; i = k) {
        k += k + 1 < b->n && bed_before(b->heap[k + 1], b->heap[k]) ? 1 : 0;
        if (!bed_before(b->heap[k], last)) {
            break;
        }
        b->heap[i] = b->heap[k];
    }
    b->heap[i] = last;
    return top;
}

static bool bed_lost(struct bed *b)
{
    return b->loss > 0 && rng_below(&b->rng, 1000) < b->loss;
}

static tstamp bed_later(struct bed *b, uint64_t delay)
{
    return b->now + delay + (b->jitter > 0 ? rng_u64(&b->rng) % b->jitter : 0);
}

/* ---- packets ---- */

static void bed_send(struct bed *b, unsigned side, const struct netaddr *from,
                     const struct netaddr *to, struct slice bytes)
{
    struct bed_side *s = &b->side[side];

    s->sent++;
    if (netaddr_same_ip(to, &b->victim.ip)) {
        b->victim.got++;
    }
    if (s->mute || bed_lost(b)) {
        return;
    }
    struct bed_event *e =
        bed_push(b, s->nat[0] == NULL ? BED_WAN : BED_NAT_OUT, side, bed_later(b, s->lan));
    ASSERT(bytes.len <= sizeof(e->bytes));
    e->from = *from;
    e->to = *to;
    e->len = bytes.len;
    memcpy(e->bytes, bytes.base, bytes.len);
    if (b->same_lan && netaddr_same_ip(to, &b->side[1 - side].inside)) {
        e->what = BED_INSIDE;
        e->side = 1 - side;
    }
}

static struct bed_event *bed_again(struct bed *b, const struct bed_event *e, enum bed_what what,
                                   unsigned side, tstamp at)
{
    struct bed_event *c = bed_push(b, what, side, at);
    tstamp when = c->at;
    uint64_t order = c->order;

    *c = *e;
    c->at = when;
    c->order = order;
    c->what = what;
    c->side = side;
    return c;
}

/* Where |to| leads on the outside: the side, 2: nobody. */
static unsigned bed_owner(const struct bed *b, const struct netaddr *to, unsigned *level);

static void bed_nat_out(struct bed *b, struct bed_event *e)
{
    struct bed_side *s = &b->side[e->side];
    struct netaddr from;

    if (!nat_out(s->nat[e->level], &e->from, &e->to, b->now, &from)) {
        s->no_port++;
        return;
    }
    e->from = from;
    unsigned level, owner = bed_owner(b, &e->to, &level);
    bool here = owner < 2 && b->side[owner].nat[level] == s->nat[e->level];
    if (here) { /* hairpin, of both behind one or of its own */
        bed_again(b, e, BED_NAT_IN, owner, b->now)->level = level;
    } else if (e->level == 0 && s->nat[1] != NULL) {
        bed_again(b, e, BED_NAT_OUT, e->side, b->now)->level = 1;
    } else if (!bed_lost(b)) {
        (void)bed_again(b, e, BED_WAN, e->side, bed_later(b, b->wan));
    }
}

static void bed_wan(struct bed *b, struct bed_event *e)
{
    unsigned level, owner = bed_owner(b, &e->to, &level);

    if (owner == 2) {
        return;
    }
    if (b->side[owner].nat[0] == NULL) {
        if (!bed_lost(b)) {
            (void)bed_again(b, e, BED_INSIDE, owner, bed_later(b, b->side[owner].lan));
        }
        return;
    }
    bed_again(b, e, BED_NAT_IN, owner, b->now)->level = level;
}

/* Through the NAT at |level| of the side, and those further in. */
static void bed_nat_in(struct bed *b, struct bed_event *e)
{
    struct netaddr inside;

    if (!nat_in(b->side[e->side].nat[e->level], &e->from, &e->to, b->now, &inside)) {
        return;
    }
    e->to = inside;
    /* behind a carrier's NAT there are two homes: which of them it is for is in the address */
    unsigned level, owner = bed_owner(b, &inside, &level);
    if (e->level == 1 && owner < 2) {
        bed_again(b, e, BED_NAT_IN, owner, b->now)->level = 0;
        return;
    }
    for (unsigned k = 0; k < 2; k++) {
        if (netaddr_same_ip(&inside, &b->side[k].inside) &&
            b->side[k].nat[0] == b->side[e->side].nat[0] && !bed_lost(b)) {
            (void)bed_again(b, e, BED_INSIDE, k, bed_later(b, b->side[k].lan));
            return;
        }
    }
}

/* ---- the cores ---- */

static struct act bed_act_v[ACTS_ROOM];
static uint8_t bed_act_bytes[ACTS_BYTES_ROOM];

struct acts bed_acts(void)
{
    return (struct acts){.v = bed_act_v,
                         .cap = ACTS_ROOM,
                         .bytes = bed_act_bytes,
                         .bytes_cap = sizeof(bed_act_bytes)};
}

void bed_event_in(struct bed *b, unsigned side, struct ev ev)
{
    ev.peer = &b->side[1 - side].id;
    ev.props = LINK_RELAYED;
    BED_CALL(b, side, meet_ops.event(b->side[side].m, &ev, b->now, &out));
}

static void bed_open(struct bed *b, unsigned side, uint64_t cookie)
{
    static uint32_t gen;
    struct ref strm = {1, ++gen};

    for (unsigned i = 0; i < 2; i++) {
        b->side[i].strm = strm;
        b->side[i].strm_open = true;
    }
    bed_event_in(b, 1 - side, (struct ev){.type = EV_STREAM_OPEN, .strm = strm, .inbound = true});
    bed_event_in(b, side, (struct ev){.type = EV_STREAM_OPEN, .strm = strm, .cookie = cookie});
}

static void bed_stream(struct bed *b, unsigned side, const struct act *a)
{
    if (b->side[side].mute) {
        return;
    }
    struct bed_event *e =
        bed_push(b, BED_STREAM, 1 - side, b->now + b->relay + b->side[0].lan + b->side[1].lan);
    e->cookie = a->type;
    e->strm = a->strm;
    e->len = a->type == ACT_WRITE ? a->data.len : 0;
    ASSERT(e->len <= sizeof(e->bytes));
    if (e->len > 0) {
        memcpy(e->bytes, a->data.base, e->len);
    }
}

/* Where others would see |inside|, asked now. */
struct netaddr bed_external(struct bed *b, unsigned side, struct netaddr inside)
{
    static const struct netaddr stun = {.family = 4, .ip = {198, 18, 0, 9}, .port = 3478};

    for (unsigned i = 0; i < 2 && b->side[side].nat[i] != NULL; i++) {
        struct netaddr from;
        if (!nat_out(b->side[side].nat[i], &inside, &stun, b->now, &from)) {
            return (struct netaddr){.family = 0};
        }
        inside = from;
    }
    return inside;
}

static void bed_dial(struct bed *b, unsigned side)
{
    struct bed_side *s = &b->side[side];
    static const uint8_t hello[] = "Q1";

    if (s->dials == 0 || b->direct_at != 0) {
        return;
    }
    if (--s->dials == 0) {
        BED_CALL(b, side, meet_dialled(s->m, &b->side[1 - side].id, QUDAG_ETIMEOUT, b->now, &out));
        return;
    }
    bed_send(b, side, s->found.local.family == 0 ? &s->inside : &s->found.local, &s->found.remote,
             (struct slice){hello, 2});
    (void)bed_push(b, BED_DIAL, side, b->now + 100 * NS_PER_MS);
}

static void bed_up(struct bed *b, unsigned side, const struct act *a)
{
    struct bed_side *s = &b->side[side];
    const struct meet_packet *p = a->ptr;
    const struct netaddr *gone = a->ptr;

    switch (a->kind) {
    case MEET_UP_ASKED: {
        struct peer_id peer = a->peer;
        if (s->refuses) {
            BED_CALL(b, side, meet_refuse(s->m, &peer, MEET_END_REFUSED, b->now, &out));
        } else {
            BED_CALL(b, side, meet_allow(s->m, &peer, &s->own, b->now, &out));
        }
        break;
    }
    case MEET_UP_SEND:
        bed_send(b, side, p->local.family == 0 ? &s->inside : &p->local, &p->to,
                 (struct slice){p->bytes, p->len});
        break;
    case MEET_UP_SOCKET: {
        struct bed_event *e =
            bed_push(b, BED_SOCKET, side, b->now + (a->n == 0 ? 0 : 2 * (s->lan + b->wan)) + 1);
        e->cookie = a->cookie;
        e->level = (unsigned)a->n;
        break;
    }
    case MEET_UP_CLOSE:
        for (size_t i = 0; i < s->n_socks; i++) {
            s->open[i] = s->open[i] && !netaddr_eq(&s->socks[i], gone);
        }
        break;
    case MEET_UP_FOUND:
        s->found = *(const struct meet_pair *)a->ptr;
        s->found_at = b->now;
        s->dials = 30;
        bed_dial(b, side);
        break;
    case MEET_UP_EXPECT:
        s->expected = *(const struct meet_pair *)a->ptr;
        break;
    case MEET_UP_ENDED:
        s->over = true;
        s->ended = a->err;
        break;
    default:
        ASSERT(false);
    }
}

/* The list is used again while it is carried out: so a copy. */
void bed_apply(struct bed *b, unsigned side, const struct acts *given)
{
    if (given->n == 0) {
        return;
    }
    struct act *v = malloc(given->n * sizeof(*v));
    uint8_t *bytes = malloc(given->bytes_n + 16);
    ASSERT(v != NULL && bytes != NULL);
    size_t n = given->n;
    memcpy(v, given->v, n * sizeof(*v));
    memcpy(bytes, given->bytes, given->bytes_n);
    for (size_t i = 0; i < n; i++) {
        struct act *a = &v[i];
        if (a->data.base != NULL) {
            a->data.base = bytes + (a->data.base - given->bytes);
        }
        if (a->ptr != NULL) {
            a->ptr = bytes + ((const uint8_t *)a->ptr - given->bytes);
        }
        switch (a->type) {
        case ACT_OPEN:
            bed_open(b, side, a->cookie);
            break;
        case ACT_WRITE:
        case ACT_FIN:
        case ACT_RESET:
            bed_stream(b, side, a);
            break;
        case ACT_UP:
            bed_up(b, side, a);
            break;
        default:
            break;
        }
    }
    free(v);
    free(bytes);
}

static void bed_socket(struct bed *b, const struct bed_event *e)
{
    struct bed_side *s = &b->side[e->side];
    struct meet_pair at = {.local = s->inside};
    qudag_err err = s->n_socks < s->sockets_max ? QUDAG_OK : QUDAG_ELIMIT;

    if (err == QUDAG_OK) {
        at.local.port = (uint16_t)(20000 + s->n_socks);
        s->socks[s->n_socks] = at.local;
        s->open[s->n_socks++] = true;
        if (e->level == 1) {
            at.remote = bed_external(b, e->side, at.local);
            err = at.remote.family == 0 ? QUDAG_ETIMEOUT : QUDAG_OK;
        }
    }
    BED_CALL(b, e->side, meet_socket(s->m, e->cookie, err, &at, b->now, &out));
}

static void bed_inside(struct bed *b, struct bed_event *e)
{
    struct bed_side *s = &b->side[e->side];
    struct meet_pair at = {.remote = e->from};

    if (s->mute) {
        return;
    }
    if (e->to.port != BED_MAIN) {
        bool open = false;
        for (size_t i = 0; i < s->n_socks; i++) {
            open = open || (s->open[i] && netaddr_eq(&s->socks[i], &e->to));
        }
        if (!open) {
            return;
        }
        at.local = e->to;
    }
    if (e->len == 2 && e->bytes[0] == 'Q') {
        static const uint8_t answer[] = "Q2";
        /* as a node does it: nobody but who is expected begins at a socket beside the main one */
        if (e->bytes[1] == '1' && at.local.family != 0 &&
            !(netaddr_eq(&s->expected.local, &e->to) &&
              netaddr_eq(&s->expected.remote, &e->from))) {
            return;
        }
        if (e->bytes[1] == '1') {
            bed_send(b, e->side, &e->to, &e->from, (struct slice){answer, 2});
        } else if (b->direct_at == 0) {
            b->direct_at = b->now;
            BED_CALL(b, e->side,
                     meet_dialled(s->m, &b->side[1 - e->side].id, QUDAG_OK, b->now, &out));
        }
        return;
    }
    if (b->tap != NULL) {
        b->tap(b, e);
        s = &b->side[e->side];
        at.remote = e->from;
    }
    BED_CALL(b, e->side,
             (void)meet_packet_in(s->m, &at, (struct slice){e->bytes, e->len}, b->now, &out));
}

static void bed_stream_in(struct bed *b, struct bed_event *e)
{
    struct ev ev = {.type = EV_DATA, .strm = e->strm, .data = {e->bytes, e->len}};

    if (b->side[e->side].mute) {
        return;
    }
    if (e->cookie == ACT_FIN) {
        ev.type = EV_FIN;
    } else if (e->cookie == ACT_RESET) {
        ev.type = EV_RESET;
    }
    bed_event_in(b, e->side, ev);
}

static void bed_happens(struct bed *b, struct bed_event *e)
{
    switch (e->what) {
    case BED_INSIDE:
        bed_inside(b, e);
        break;
    case BED_NAT_OUT:
        bed_nat_out(b, e);
        break;
    case BED_WAN:
        bed_wan(b, e);
        break;
    case BED_NAT_IN:
        bed_nat_in(b, e);
        break;
    case BED_STREAM:
        bed_stream_in(b, e);
        break;
    case BED_SOCKET:
        bed_socket(b, e);
        break;
    case BED_DIAL:
        bed_dial(b, e->side);
        break;
    }
}

static unsigned bed_owner(const struct bed *b, const struct netaddr *to, unsigned *level)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct bed_side *s = &b->side[i];
        *level = s->nat[1] != NULL ? 1 : 0;
        for (unsigned k = 0; k < s->own.n; k++) { /* the last one: outermost address */
            const struct meet_candidate *c = &s->own.v[k];
            if (c->kind == MEET_OBSERVED && netaddr_same_ip(&c->addr, to)) {
                return i;
            }
        }
        if (s->nat[1] != NULL && to->ip[0] == 100 && to->ip[3] == 10 + i) {
            *level = 0;
            return i;
        }
    }
    return 2;
}

/* ---- setting up, and running ---- */

void bed_init(struct bed *b, uint32_t seed)
{
    uint8_t bytes[32] = {(uint8_t)seed, (uint8_t)(seed >> 8), (uint8_t)(seed >> 16), 'm'};

    *b = (struct bed){.wan = 20 * NS_PER_MS, .relay = 30 * NS_PER_MS};
    b->now = NS_PER_S;
    mem_init(&b->mem, NULL, 0);
    rng_stream_init(&b->stream, bytes);
    b->rng = rng_of_stream(&b->stream);
    for (unsigned i = 0; i < 2; i++) {
        struct bed_side *s = &b->side[i];
        uint8_t pk[32] = {(uint8_t)(i + 1)};
        peer_id_from_ed25519(&s->id, pk);
        struct meet_config cfg = {.mem = &b->mem, .rng = b->rng, .self = s->id};
        s->m = meet_new(&cfg);
        ASSERT(s->m != NULL);
        s->inside = bed_ip4(192, 168, (uint8_t)(1 + i), 10, BED_MAIN);
        s->lan = 5 * NS_PER_MS;
        s->sockets_max = BED_SOCKS;
        s->own = (struct meet_own){.ip4 = true, .named = true, .v = s->cand};
    }
}

/* A router at |level| before the side, with that address outside. */
void bed_router(struct bed *b, unsigned side, unsigned level, const struct bed_router *r,
                struct netaddr external)
{
    struct nat_config cfg = {.mem = &b->mem,
                             .rng = b->rng,
                             .external = external,
                             .mapping = r->mapping,
                             .filter = r->filter,
                             .ports = r->ports,
                             .rejects = r->rejects,
                             .hairpin = r->hairpin,
                             .per_host_max = r->per_host_max,
                             .refresh_in = true};
    b->side[side].nat[level] = nat_new(&cfg);
    ASSERT(b->side[side].nat[level] != NULL);
}

/* What the side would know of itself: host, observed, the kind of its outermost translation. */
void bed_learn(struct bed *b, unsigned side, const struct bed_router *r)
{
    struct bed_side *s = &b->side[side];

    s->cand[0] = (struct meet_candidate){.addr = s->inside, .kind = MEET_HOST};
    s->cand[1] =
        (struct meet_candidate){.addr = bed_external(b, side, s->inside), .kind = MEET_OBSERVED};
    s->own.n = 2;
    if (r != NULL) {
        s->own.nat = r->mapping == NAT_INDEPENDENT ? MEET_NAT_INDEPENDENT : MEET_NAT_DEPENDENT;
        s->own.step = r->mapping != NAT_INDEPENDENT && r->ports == NAT_SEQUENTIAL ? 1 : 0;
    }
}

/* Both sides behind one router each. */
void bed_homes(struct bed *b, const struct bed_router *a, const struct bed_router *z)
{
    const struct bed_router *r[2] = {a, z};

    for (unsigned i = 0; i < 2; i++) {
        bed_router(b, i, 0, r[i], bed_ip4(198, 18, (uint8_t)(1 + i), 1, 0));
        bed_learn(b, i, r[i]);
    }
}

void bed_begin(struct bed *b)
{
    qudag_err err = QUDAG_OK;

    for (unsigned i = 0; i < 2; i++) { /* half of what the stream takes, there and back */
        b->side[i].own.rtt = b->relay + b->side[0].lan + b->side[1].lan;
    }
    BED_CALL(b, 0, err = meet_begin(b->side[0].m, &b->side[1].id, &b->side[0].own, b->now, &out));
    ASSERT(err == QUDAG_OK);
}

/* Runs until |until|, or both are done with it. */
void bed_run(struct bed *b, tstamp until)
{
    while (!(b->side[0].over && b->side[1].over)) {
        tstamp next = b->n > 0 ? b->heap[0]->at : TSTAMP_NEVER;
        unsigned who = 2;
        for (unsigned i = 0; i < 2; i++) {
            tstamp due = meet_ops.deadline(b->side[i].m);
            if (!b->side[i].mute && due < next) {
                next = due;
                who = i;
            }
        }
        if (next > until) {
            b->now = until;
            return;
        }
        b->now = next > b->now ? next : b->now;
        if (who < 2) {
            BED_CALL(b, who, meet_ops.tick(b->side[who].m, b->now, &out));
            continue;
        }
        struct bed_event *e = bed_pop(b);
        bed_happens(b, e);
        free(e);
    }
}

struct meet_look bed_look(const struct bed *b, unsigned side)
{
    struct meet_look look = {.why = "none"};

    (void)meet_look(b->side[side].m, &b->side[1 - side].id, &look);
    return look;
}

void bed_free(struct bed *b)
{
    while (b->n > 0) {
        free(bed_pop(b));
    }
    free(b->heap);
    for (unsigned i = 0; i < 2; i++) {
        meet_free(b->side[i].m);
        for (unsigned k = 0; k < 2; k++) {
            if (i == 0 || b->side[i].nat[k] != b->side[0].nat[k]) {
                nat_free(b->side[i].nat[k]);
            }
        }
    }
    ASSERT(b->mem.used == 0);
}
