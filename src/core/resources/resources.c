/* resources.c - accounts of what links use; see resources.h. */
#include "core/resources/resources.h"

#include "base/assert.h"
#include "base/netaddr.h"

#define NODE_SCOPES 3                /* node, inbound, outbound: there from the start */
#define SCOPES_MAX ((size_t)1 << 30) /* links, of which there are limits, bound them */
#define NETWORK_MIN 2                /* places that a network may always have */
#define NETWORK_DIALS_MIN 8          /* dials that may always go to one */
#define LITTLE_PART 512 /* of the node's bytes: a peer that holds so much holds little */
#define PACKED_MAX ((UINT64_C(1) << 24) - 1)

struct res_scope {
    enum res_scope_kind kind;
    uint32_t accounts; /* that lie in it */
    uint64_t key;      /* of a network */
    uint8_t peer[63];
    uint8_t peer_len;
    uint64_t used[RES_WHATS];
    uint32_t proto[2][RES_PROTOS]; /* of a peer: streams in and out; of the node, [1]: dials */
};

struct resources {
    struct mem *mem;
    struct res_scope fixed[NODE_SCOPES];
    struct map nets, wides, peers;
    uint64_t limit[RES_SCOPES][RES_WHATS]; /* 0: none */
    uint32_t reserved[RES_CLASSES], links[RES_CLASSES];
    uint32_t common_max;
    uint32_t dials_caused; /* under way, of others' choice */
    uint64_t refused[RES_SCOPES][RES_WHATS];
    uint64_t returned; /* RES_BYTES */
};

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* A quarter for our own dials, half of it for those that nobody else can cause; a sixteenth for each other class. */
static void share_places(struct resources *r, const struct resources_config *cfg)
{
    uint32_t links = cfg->links_max, sum = 0;

    r->reserved[RES_NAMED] = links / 8;
    r->reserved[RES_CHOSEN] = links / 4 - links / 8;
    r->reserved[RES_NEAR] = least(links / 16, 32);
    r->reserved[RES_BOOTSTRAP] = least(links / 16, 16);
    r->reserved[RES_GUARD] = least(links / 16, 8);
    r->reserved[RES_PROTECTED] = least(links / 16, 32);
    for (unsigned c = 0; c < RES_CLASSES; c++) {
        sum += r->reserved[c];
    }
    r->common_max = links - sum;
    uint64_t net = (uint64_t)r->common_max * cfg->network_share / 100;
    net = net > NETWORK_MIN ? net : NETWORK_MIN;
    bool apart = cfg->network_share < 100;
    r->limit[RES_NETWORK][RES_LINKS] = apart ? net : 0;
    r->limit[RES_WIDE][RES_LINKS] = apart ? 2 * net : 0;
}

/* Silent addresses in one network, which cost nobody anything to name, do not fill the table of dials. */
static void share_dials(struct resources *r, const struct resources_config *cfg)
{
    uint64_t net = cfg->dials_max / 4 > NETWORK_DIALS_MIN ? cfg->dials_max / 4 : NETWORK_DIALS_MIN;
    bool apart = cfg->network_share < 100;

    r->limit[RES_NODE][RES_DIALS] = cfg->dials_max;
    r->limit[RES_NETWORK][RES_DIALS] = apart ? net : 0;
    r->limit[RES_WIDE][RES_DIALS] = apart ? 2 * net : 0;
}

/* Nobody's network pays for handshakes that may be in anybody's name. */
static void share_handshakes(struct resources *r, const struct resources_config *cfg)
{
    bool apart = cfg->network_share < 100;
    uint64_t net = cfg->half_open_max / 3;

    r->limit[RES_NODE][RES_HALF_OPEN] = cfg->half_open_max;
    r->limit[RES_NETWORK][RES_HALF_OPEN] = apart ? net : 0;
    r->limit[RES_WIDE][RES_HALF_OPEN] = apart ? 2 * net : 0;
    r->limit[RES_PEER][RES_HALF_OPEN] = cfg->host_half_open;
    r->limit[RES_NODE][RES_UNPROVEN] = cfg->unproven_max;
    r->limit[RES_PEER][RES_UNPROVEN] = cfg->host_half_open;
}

static void share_bytes(struct resources *r, const struct resources_config *cfg, enum res_what what)
{
    r->limit[RES_NODE][what] = cfg->bytes_max;
    r->limit[RES_NETWORK][what] = cfg->network_share < 100 ? cfg->bytes_max / 2 : 0;
    r->limit[RES_PEER][what] = cfg->bytes_max / 4;
}

qudag_err resources_new(struct resources **out, const struct resources_config *cfg)
{
    struct resources *r = mem_alloc(cfg->mem, sizeof(*r));

    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    r->mem = cfg->mem;
    for (unsigned i = 0; i < NODE_SCOPES; i++) {
        r->fixed[i].kind = (enum res_scope_kind)i;
    }
    map_init_u64(&r->nets, r->mem, cfg->seed, 0, SCOPES_MAX);
    map_init_u64(&r->wides, r->mem, cfg->seed, 0, SCOPES_MAX);
    map_init(&r->peers, r->mem, cfg->seed, SCOPES_MAX);
    share_places(r, cfg);
    share_dials(r, cfg);
    share_handshakes(r, cfg);
    r->limit[RES_NODE][RES_LINKS] = cfg->links_max;
    r->limit[RES_PEER][RES_LINKS] = RES_LINKS_PER_PEER;
    r->limit[RES_NODE][RES_STREAMS_IN] = cfg->streams_max - cfg->streams_max / 4;
    r->limit[RES_NODE][RES_STREAMS_OUT] = cfg->streams_max - cfg->streams_max / 4;
    share_bytes(r, cfg, RES_BYTES);
    share_bytes(r, cfg, RES_RECEIVED);
    *out = r;
    return QUDAG_OK;
}

void resources_free(struct resources *r)
{
    if (r == NULL) {
        return;
    }
    map_fini(&r->nets);
    map_fini(&r->wides);
    map_fini(&r->peers);
    mem_free(r->mem, r);
}

/* ---- scopes that come and go with their accounts ---- */

static struct res_scope *scope_make(struct resources *r, enum res_scope_kind kind)
{
    struct res_scope *s = mem_alloc(r->mem, sizeof(*s));

    if (s != NULL) {
        s->kind = kind;
    }
    return s;
}

static struct res_scope *net_get(struct resources *r, struct map *m, enum res_scope_kind kind,
                                 uint64_t key)
{
    struct res_scope *s = map_u64_get(m, key);

    if (s == NULL && (s = scope_make(r, kind)) != NULL) {
        s->key = key;
        if (map_u64_put(m, key, s) != QUDAG_OK) {
            mem_free(r->mem, s);
            return NULL;
        }
    }
    return s;
}

static struct slice peer_key(const struct res_scope *s)
{
    return (struct slice){s->peer, s->peer_len};
}

static struct res_scope *peer_get(struct resources *r, struct slice peer)
{
    struct res_scope *s = peer.len > 0 ? map_get(&r->peers, peer) : NULL;

    ASSERT(peer.len <= sizeof s->peer);
    if (s == NULL && (s = scope_make(r, RES_PEER)) != NULL && peer.len > 0) {
        s->peer_len = (uint8_t)peer.len;
        for (size_t i = 0; i < peer.len; i++) {
            s->peer[i] = peer.base[i];
        }
        if (map_put(&r->peers, peer_key(s), s) != QUDAG_OK) {
            mem_free(r->mem, s);
            return NULL;
        }
    }
    return s;
}

static void scope_leave(struct resources *r, struct res_scope *s)
{
    if (s == NULL || s->accounts > 0) {
        return;
    }
    if (s->kind == RES_PEER && s->peer_len > 0) {
        (void)map_del(&r->peers, peer_key(s));
    } else if (s->kind == RES_NETWORK || s->kind == RES_WIDE) {
        (void)map_u64_del(s->kind == RES_WIDE ? &r->wides : &r->nets, s->key);
    }
    mem_free(r->mem, s);
}

#define ACCOUNT_SCOPES 4
static void scopes_of(const struct res_account *a, struct res_scope *out[ACCOUNT_SCOPES])
{
    out[0] = a->dir;
    out[1] = a->wide;
    out[2] = a->net;
    out[3] = a->peer;
}

qudag_err resources_open(struct resources *r, struct res_account *a, const struct res_place *place)
{
    struct res_account n = {.dir = &r->fixed[place->inbound ? RES_INBOUND : RES_OUTBOUND]};
    struct res_scope *in[ACCOUNT_SCOPES];
    uint64_t wide = netaddr_wide_group(place->net);

    ASSERT(a->dir == NULL);
    n.peer = peer_get(r, place->peer);
    bool whole = n.peer != NULL;
    if (place->net != 0) {
        n.wide = net_get(r, &r->wides, RES_WIDE, wide);
        n.net = net_get(r, &r->nets, RES_NETWORK, place->net);
        whole = whole && n.wide != NULL && n.net != NULL;
    }
    scopes_of(&n, in);
    if (!whole) {
        for (unsigned i = 1; i < ACCOUNT_SCOPES; i++) {
            scope_leave(r, in[i]);
        }
        return QUDAG_ENOMEM;
    }
    for (unsigned i = 0; i < ACCOUNT_SCOPES; i++) {
        if (in[i] != NULL) {
            in[i]->accounts++;
        }
    }
    *a = n;
    return QUDAG_OK;
}

void resources_end(struct resources *r, struct res_account *a)
{
    struct res_scope *in[ACCOUNT_SCOPES];

    if (a->dir == NULL) {
        return;
    }
    for (unsigned w = 0; w < RES_WHATS; w++) {
        while (a->used[w] > 0) {
            uint32_t n = a->used[w] < UINT32_MAX ? (uint32_t)a->used[w] : UINT32_MAX;
            resources_give(r, a, &(struct res_ask){(enum res_what)w, n, RES_PROTOS, 0});
        }
    }
    scopes_of(a, in);
    for (unsigned i = 0; i < ACCOUNT_SCOPES; i++) {
        if (in[i] != NULL) {
            in[i]->accounts--;
        }
    }
    for (unsigned i = 1; i < ACCOUNT_SCOPES; i++) {
        scope_leave(r, in[i]);
    }
    *a = (struct res_account){0};
}

/* ---- asking ---- */

static bool full(const struct resources *r, const struct res_scope *s, enum res_what what,
                 uint64_t n, struct res_refusal *why)
{
    uint64_t limit = s != NULL ? r->limit[s->kind][what] : 0;

    if (limit == 0 || (s->used[what] <= limit && n <= limit - s->used[what])) {
        return false;
    }
    *why = (struct res_refusal){s->kind, what, s->used[what], limit};
    return true;
}

uint32_t resources_common(const struct resources *r, uint32_t *places)
{
    uint32_t n = 0;

    for (unsigned c = 0; c < RES_CLASSES; c++) {
        n += r->links[c] > r->reserved[c] ? r->links[c] - r->reserved[c] : 0;
    }
    *places = r->common_max;
    return n;
}

/* One more link of |class|: a place of its own class, or a common one. */
static bool no_place(const struct resources *r, bool inbound, enum res_class class,
                     struct res_refusal *why)
{
    uint32_t places, n = resources_common(r, &places);

    if (r->links[class] < r->reserved[class] || n < places) {
        return false;
    }
    *why = (struct res_refusal){inbound ? RES_INBOUND : RES_OUTBOUND, RES_LINKS, n, places};
    return true;
}

static bool link_refused(const struct resources *r, bool inbound, const struct res_scope *wide,
                         const struct res_scope *net, enum res_class class, struct res_refusal *why)
{
    if (class == RES_STRANGER &&
        (full(r, net, RES_LINKS, 1, why) || full(r, wide, RES_LINKS, 1, why))) {
        return true;
    }
    return full(r, &r->fixed[RES_NODE], RES_LINKS, 1, why) || no_place(r, inbound, class, why);
}

static uint32_t *proto_of(struct resources *r, const struct res_account *a,
                          const struct res_ask *ask)
{
    if (ask->proto >= RES_PROTOS) {
        return NULL;
    }
    switch (ask->what) {
    case RES_STREAMS_IN:
        return &a->peer->proto[0][ask->proto];
    case RES_STREAMS_OUT:
        return &a->peer->proto[1][ask->proto];
    case RES_DIALS:
        return &r->fixed[RES_NODE].proto[1][ask->proto];
    default:
        return NULL;
    }
}

/* Links of strangers are held against their network, and dials to where others named it; all else always. */
static bool held_by_net(const struct res_account *a, enum res_what what)
{
    switch (what) {
    case RES_LINKS:
        return a->class == RES_STRANGER;
    case RES_DIALS:
        return a->class <= RES_NAMED;
    default:
        return true;
    }
}

static bool dials_caused_full(const struct resources *r, const struct res_account *a, uint32_t n,
                              struct res_refusal *why)
{
    uint64_t all = r->limit[RES_NODE][RES_DIALS], most = all - all / 4;

    if (all == 0 || a->class > RES_NAMED || r->dials_caused + (uint64_t)n <= most) {
        return false;
    }
    *why = (struct res_refusal){RES_OUTBOUND, RES_DIALS, r->dials_caused, most};
    return true;
}

/* Of bytes an eighth is kept for peers that hold little, so that a few that hold much leave the others a turn. */
static bool bytes_kept(const struct resources *r, const struct res_account *a,
                       const struct res_ask *ask, struct res_refusal *why)
{
    const struct res_scope *in[] = {a->net, a->wide, &r->fixed[RES_NODE]};
    uint64_t little = r->limit[RES_NODE][ask->what] / LITTLE_PART;

    if ((ask->what != RES_BYTES && ask->what != RES_RECEIVED) || a->peer == NULL ||
        a->peer->used[ask->what] + ask->n <= little) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        uint64_t limit = in[i] != NULL ? r->limit[in[i]->kind][ask->what] : 0;
        uint64_t most = limit - limit / 8;
        if (limit != 0 && in[i]->used[ask->what] + ask->n > most) {
            *why = (struct res_refusal){in[i]->kind, ask->what, in[i]->used[ask->what], most};
            return true;
        }
    }
    return false;
}

static bool refused(struct resources *r, const struct res_account *a, const struct res_ask *ask,
                    struct res_refusal *why)
{
    const uint32_t *proto = proto_of(r, a, ask);

    if (full(r, a->peer, ask->what, ask->n, why)) {
        return true;
    }
    if (ask->what == RES_LINKS) {
        return link_refused(r, a->dir->kind == RES_INBOUND, a->wide, a->net, a->class, why);
    }
    if (proto != NULL && ask->most != 0 && (*proto >= ask->most || ask->n > ask->most - *proto)) {
        *why = (struct res_refusal){RES_PROTOCOL, ask->what, *proto, ask->most};
        return true;
    }
    if ((ask->what == RES_DIALS && dials_caused_full(r, a, ask->n, why)) ||
        bytes_kept(r, a, ask, why)) {
        return true;
    }
    if (held_by_net(a, ask->what) &&
        (full(r, a->net, ask->what, ask->n, why) || full(r, a->wide, ask->what, ask->n, why))) {
        return true;
    }
    return full(r, &r->fixed[RES_NODE], ask->what, ask->n, why);
}

static bool counts_in(const struct res_account *a, const struct res_scope *s, enum res_what what)
{
    bool net = s == a->net || s == a->wide;

    return s != NULL && (!net || held_by_net(a, what));
}

/* |n| more, or, |less|, fewer, in every scope of |a|. */
static void move(struct resources *r, struct res_account *a, const struct res_ask *ask, bool less)
{
    struct res_scope *in[ACCOUNT_SCOPES];
    uint64_t n = less ? -(uint64_t)ask->n : ask->n; /* modulo 2^64 */
    uint32_t *proto = proto_of(r, a, ask);

    ASSERT(!less || a->used[ask->what] >= ask->n);
    scopes_of(a, in);
    for (unsigned i = 0; i < ACCOUNT_SCOPES; i++) {
        if (counts_in(a, in[i], ask->what)) {
            in[i]->used[ask->what] += n;
        }
    }
    r->fixed[RES_NODE].used[ask->what] += n;
    a->used[ask->what] += n;
    if (proto != NULL) {
        *proto += (uint32_t)n;
    }
    if (ask->what == RES_LINKS) {
        r->links[a->class] += (uint32_t)n;
    } else if (ask->what == RES_DIALS && a->class <= RES_NAMED) {
        r->dials_caused += (uint32_t)n;
    }
}

qudag_err resources_ask(struct resources *r, struct res_account *a, const struct res_ask *ask,
                        struct res_refusal *why)
{
    if (refused(r, a, ask, why)) {
        resources_refuse(r, why);
        return QUDAG_ELIMIT;
    }
    move(r, a, ask, false);
    return QUDAG_OK;
}

void resources_hand_on(struct resources *r, struct res_account *a, const struct res_ask *ask)
{
    if (ask->n > 0) {
        move(r, a, ask, true);
    }
}

void resources_give(struct resources *r, struct res_account *a, const struct res_ask *ask)
{
    resources_hand_on(r, a, ask);
    r->returned += ask->what == RES_BYTES ? ask->n : 0;
}

bool resources_in_common(const struct resources *r, enum res_class class)
{
    return r->links[class] > r->reserved[class];
}

void resources_class(struct resources *r, struct res_account *a, enum res_class class)
{
    struct res_ask links = {.what = RES_LINKS, .n = (uint32_t)a->used[RES_LINKS]};

    if (a->dir == NULL || class == a->class ||
        (class > a->class && r->links[class] >= r->reserved[class] &&
         !resources_in_common(r, a->class))) {
        return;
    }
    resources_give(r, a, &links);
    a->class = class;
    move(r, a, &links, false);
}

qudag_err resources_room(const struct resources *r, bool inbound, uint64_t net,
                         enum res_class class, struct res_refusal *why)
{
    const struct res_scope *n = net != 0 ? map_u64_get(&r->nets, net) : NULL;
    const struct res_scope *w = net != 0 ? map_u64_get(&r->wides, netaddr_wide_group(net)) : NULL;

    return link_refused(r, inbound, w, n, class, why) ? QUDAG_ELIMIT : QUDAG_OK;
}

void resources_refuse(struct resources *r, const struct res_refusal *why)
{
    r->refused[why->scope][why->what]++;
}

/* ---- looking in ---- */

uint64_t resources_limit(const struct resources *r, enum res_scope_kind scope, enum res_what what)
{
    return r->limit[scope][what];
}

uint64_t resources_used(const struct resources *r, enum res_scope_kind scope, enum res_what what)
{
    return scope < NODE_SCOPES ? r->fixed[scope].used[what] : 0;
}

uint64_t resources_ease(const struct resources *r, const struct res_account *a, enum res_what what)
{
    const struct res_scope *in[] = {a->peer, a->net, a->wide, &r->fixed[RES_NODE]};
    uint64_t least_left = UINT64_MAX;

    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        uint64_t limit = in[i] != NULL ? r->limit[in[i]->kind][what] : 0;
        uint64_t most = limit - limit / 4, used = in[i] != NULL ? in[i]->used[what] : 0;
        uint64_t left = limit == 0 ? UINT64_MAX : used < most ? most - used : 0;
        least_left = left < least_left ? left : least_left;
    }
    return least_left;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Never more than bytes_kept() and refused() let through. */
uint64_t resources_left(const struct resources *r, const struct res_account *a, enum res_what what)
{
    const struct res_scope *in[] = {a->net, a->wide, &r->fixed[RES_NODE], a->peer};
    uint64_t all = UINT64_MAX, unkept = UINT64_MAX;

    if (a->peer == NULL) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        uint64_t limit = in[i] != NULL ? r->limit[in[i]->kind][what] : 0;
        uint64_t used = in[i] != NULL ? in[i]->used[what] : 0;
        uint64_t left = limit != 0 ? minus(limit, used) : UINT64_MAX;
        uint64_t most = limit != 0 ? minus(limit - limit / 8, used) : UINT64_MAX;
        all = left < all ? left : all;
        unkept = most < unkept ? most : unkept;
    }
    uint64_t little = minus(r->limit[RES_NODE][what] / LITTLE_PART, a->peer->used[what]);
    little = little < all ? little : all;
    return little > unkept ? little : unkept;
}

uint64_t resources_returned(const struct resources *r)
{
    return r->returned;
}

uint32_t resources_dials(const struct resources *r, uint8_t core)
{
    return core < RES_PROTOS ? r->fixed[RES_NODE].proto[1][core] : 0;
}

uint64_t resources_crowd(const struct res_account *a)
{
    return a->net != NULL ? a->net->used[RES_LINKS] : 0;
}

uint64_t resources_refused(const struct resources *r, enum res_scope_kind scope, enum res_what what)
{
    return r->refused[scope][what];
}

const char *resources_scope_name(enum res_scope_kind scope)
{
    static const char *const names[RES_SCOPES] = {
        "node", "inbound", "outbound", "wide_network", "network", "peer", "protocol",
    };

    return (unsigned)scope < RES_SCOPES ? names[scope] : "";
}

const char *resources_what_name(enum res_what what)
{
    static const char *const names[RES_WHATS] = {
        "links", "streams_in", "streams_out",        "bytes",
        "dials", "half_open",  "half_open_unproven", "bytes_received",
    };

    return (unsigned)what < RES_WHATS ? names[what] : "";
}

const char *resources_class_name(enum res_class class)
{
    static const char *const names[RES_CLASSES] = {
        "stranger", "named", "chosen", "near", "bootstrap", "guard", "protected",
    };

    return (unsigned)class < RES_CLASSES ? names[class] : "";
}

uint64_t resources_pack(const struct res_refusal *why)
{
    uint64_t used = why->used < PACKED_MAX ? why->used : PACKED_MAX;
    uint64_t limit = why->limit < PACKED_MAX ? why->limit : PACKED_MAX;

    return ((uint64_t)why->scope + 1) << 56 | (uint64_t)why->what << 48 | used << 24 | limit;
}

struct res_refusal resources_unpack(uint64_t word)
{
    unsigned scope = (unsigned)(word >> 56), what = (unsigned)(word >> 48) & 0xff;

    return (struct res_refusal){
        .scope = scope > 0 && scope <= RES_SCOPES ? (enum res_scope_kind)(scope - 1) : RES_NODE,
        .what = what < RES_WHATS ? (enum res_what)what : RES_LINKS,
        .used = word >> 24 & PACKED_MAX,
        .limit = word & PACKED_MAX,
    };
}
