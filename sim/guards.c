/*
 * guards.c - one client of many relays over virtual time: whom does it ever use as its entry?
 *
 *   each step: descriptors are renewed, relays come and go, one circuit is wanted
 *     its first relay is away or denied ─ relays_failed ─ the next try, as in src/node/circuits.c
 *     it is there ─ an entry, hostile or not
 *
 * The share of hostile entries beside what chance alone gives, 1 - (1 - f)^k for k guards, says what the rules of
 * core/relays/guards.h are worth.
 */
#include "sim/guards.h"

#include <string.h>

#define RELAYS_MAX 512
#define EPOCH 1800000000
#define DAY_S 86400
#define DESC_LIFE DAY_S
#define TRIES 5 /* paths for one circuit */
#define HOPS 3

struct client {
    const struct guards_case *c;
    struct relays *r;
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    tstamp now;
    bool hostile[RELAYS_MAX], gone[RELAYS_MAX], denied[RELAYS_MAX];
    bool guard[RELAYS_MAX];          /* used as one: its descriptors may be withheld */
    uint32_t down_until[RELAYS_MAX]; /* s */
    bool hostile_entry, hostile_second;
    uint32_t named;
    uint8_t file[RELAYS_GUARDS_FILE_MAX];
};

static struct peer_id peer_of(uint32_t i)
{
    uint8_t pk[32] = {(uint8_t)i, (uint8_t)(i >> 8), 0x33};
    struct peer_id p;

    peer_id_from_ed25519(&p, pk);
    return p;
}

static uint32_t ix_of(const struct onion_hop *h)
{
    return (uint32_t)h->x[0] << 8 | h->x[1];
}

static uint32_t seconds(const struct client *k)
{
    return (uint32_t)(k->now / NS_PER_S);
}

static bool there(const struct client *k, uint32_t i)
{
    return !k->gone[i] && !k->denied[i] && k->down_until[i] <= seconds(k);
}

/* Where relay |i| is: each in a network of its own. */
static struct netaddr addr_of(uint32_t i)
{
    return (struct netaddr){
        .family = 4, .ip = {(uint8_t)(20 + i / 200), (uint8_t)(i % 200), 1, 1}, .port = 4001};
}

/* The descriptor of relay |i| as it is now. */
static bool learn(struct client *k, uint32_t i)
{
    static struct relay_desc d; /* large */
    struct netaddr a = addr_of(i);

    if (k->gone[i] || (k->c->withheld && k->guard[i])) {
        return true;
    }
    memset(&d, 0, sizeof(d));
    d.peer = peer_of(i);
    d.n_addrs = 1;
    multiaddr_quic(&d.addr[0], &a, NULL);
    d.onion_x[0] = (uint8_t)(i >> 8);
    d.onion_x[1] = (uint8_t)i;
    d.flags = RELAY_FLAG_GUARD | RELAY_FLAG_GATEWAY;
    d.seq = seconds(k) + 1;
    d.not_before = EPOCH + seconds(k);
    d.expires = d.not_before + DESC_LIFE;
    return relays_add(k->r, &d) != QUDAG_ENOMEM;
}

/* The pool is fetched anew, as after a start or each day. */
static bool learn_all(struct client *k)
{
    for (uint32_t i = 0; i < k->c->relays; i++) {
        if (!learn(k, i)) {
            return false;
        }
    }
    relays_expire(k->r, EPOCH + seconds(k), true);
    return true;
}

static bool make(struct client *k)
{
    struct relays_config cfg = {.mem = &k->mem, .rng = k->rng, .self = peer_of(60000)};

    return relays_new(&k->r, &cfg) == QUDAG_OK;
}

/* The program ends and starts again with what it had saved. */
static bool restart(struct client *k)
{
    size_t len = relays_guards_save(k->r, k->file, sizeof(k->file));

    relays_free(k->r);
    k->r = NULL;
    if (!make(k) || relays_guards_load(k->r, (struct slice){k->file, len}) != QUDAG_OK ||
        !learn_all(k)) {
        return false;
    }
    relays_settled(k->r, EPOCH + seconds(k));
    return true;
}

/* Relays go for a day, or for good. */
static void churn(struct client *k)
{
    const struct guards_case *c = k->c;
    uint32_t steps = DAY_S / (c->every_min * 60);

    for (uint32_t i = 0; i < c->relays; i++) {
        if (k->hostile[i]) {
            continue; /* always there */
        }
        if (rng_below(&k->rng, 1000 * steps) < c->down_permille && k->down_until[i] <= seconds(k)) {
            k->down_until[i] = seconds(k) + DAY_S / 2 + rng_below(&k->rng, DAY_S);
        }
        k->gone[i] = k->gone[i] || rng_below(&k->rng, 30 * 1000 * steps) < c->gone_permille;
    }
}

/* A service with addresses in networks of some of the guards that were used. */
static void excluding(struct client *k, struct onion_hop *service)
{
    *service = (struct onion_hop){.peer = peer_of(60001)};
    for (uint32_t i = 0; i < k->c->relays && service->n_addrs < ONION_ADDRS_MAX; i++) {
        if (k->guard[i] && rng_below(&k->rng, 2) == 0) {
            struct netaddr a = addr_of(i);
            multiaddr_quic(&service->addr[service->n_addrs++], &a, NULL);
        }
    }
}

/* The relay whose turn it is. */
static void named(struct client *k, struct onion_hop *relay)
{
    uint32_t i = k->named++ % k->c->relays;
    struct netaddr a = addr_of(i);

    *relay =
        (struct onion_hop){.peer = peer_of(i), .n_addrs = 1, .x = {(uint8_t)(i >> 8), (uint8_t)i}};
    multiaddr_quic(&relay->addr[0], &a, NULL);
}

/* A clean circuit, and its last hop. */
static qudag_err clean(struct client *k, struct onion_hop hop[HOPS])
{
    static const struct relays_path_want stem = {.n = HOPS, .stem = true}, whole = {.n = HOPS};
    static const struct peer_id nobody = {.len = 0};
    struct relays_stem begun = {hop, HOPS - 1};
    qudag_err err = relays_path(k->r, &stem, k->now, hop);

    return err != QUDAG_OK
               ? err
               : relays_path_last(k->r, &whole, &nobody, &begun, k->now, &hop[HOPS - 1]);
}

static qudag_err choose(struct client *k, struct onion_hop hop[HOPS])
{
    struct relays_path_want want = {.n = HOPS};
    struct onion_hop end;

    switch (k->c->ends) {
    case GUARDS_ENDS_CLEAN:
        return clean(k, hop);
    case GUARDS_ENDS_EXCLUDING:
        excluding(k, &end);
        want.service = &end;
        break;
    case GUARDS_ENDS_NAMED:
        named(k, &end);
        want.service = &end;
        want.named = true;
        break;
    case GUARDS_ENDS_OWN:
        break;
    }
    return relays_path(k->r, &want, k->now, hop);
}

/* One path; whether its circuit was built, or there was no guard. */
static qudag_err attempt(struct client *k)
{
    struct onion_hop hop[HOPS];
    qudag_err err = choose(k, hop);

    if (err != QUDAG_OK) {
        return err;
    }
    uint32_t first = ix_of(&hop[0]);
    k->guard[first] = true;
    k->denied[first] = k->denied[first] || (k->c->denied && !k->hostile[first]);
    for (size_t i = 0; i < HOPS; i++) {
        if (!there(k, ix_of(&hop[i]))) {
            relays_hop_failed(k->r, hop, i + 1, k->now);
            return QUDAG_ECIRCUIT;
        }
        k->hostile_entry = k->hostile_entry || k->hostile[first];
        k->hostile_second = k->hostile_second || (i == 1 && k->hostile[ix_of(&hop[1])]);
    }
    relays_hops_worked(k->r, hop, HOPS, k->now);
    return QUDAG_OK;
}

/* Guards that did not answer are dialled meanwhile, as src/node/arrow_guards_circuits.c does. */
static void probe(struct client *k, tstamp until)
{
    static const struct peer_id nobody = {.len = 0};
    struct onion_hop hop;

    for (tstamp t = k->now; t < until; t = tstamp_after(t, 300 * NS_PER_S)) {
        relays_heard(k->r, &nobody, t);
        while (relays_guard_probe(k->r, t, &hop) && !there(k, ix_of(&hop))) {
            relays_failed(k->r, &hop.peer, t);
        }
        relays_heard(k->r, &nobody, t + 1);
    }
}

static bool live(struct client *k, struct guards_figures *out)
{
    const struct guards_case *c = k->c;
    uint32_t steps = c->days * DAY_S / (c->every_min * 60);

    for (uint32_t step = 0; step < steps; step++) {
        tstamp next = tstamp_after(k->now, (uint64_t)c->every_min * 60 * NS_PER_S);
        if (c->restart_every != 0 && step % c->restart_every == c->restart_every - 1) {
            if (!restart(k)) {
                return false;
            }
        } else if (step % 12 == 0 && !learn_all(k)) {
            return false;
        }
        churn(k);
        qudag_err err = QUDAG_ECIRCUIT;
        for (unsigned i = 0; i < TRIES && err == QUDAG_ECIRCUIT; i++) {
            err = attempt(k);
        }
        out->asked++;
        out->failed += err == QUDAG_ENOGUARD ? 1 : 0;
        out->no_path += err == QUDAG_ENORELAYS ? 1 : 0;
        probe(k, next);
        k->now = next;
    }
    return true;
}

static bool one(struct client *k, struct guards_figures *out)
{
    for (uint32_t i = 0; i < k->c->relays; i++) {
        k->hostile[i] = rng_below(&k->rng, 1000) < k->c->hostile_permille;
    }
    if (!make(k) || !learn_all(k)) {
        return false;
    }
    relays_settled(k->r, EPOCH + seconds(k));
    if (!live(k, out)) {
        return false;
    }
    out->clients++;
    out->hostile += k->hostile_entry ? 1 : 0;
    out->second += k->hostile_second ? 1 : 0;
    for (uint32_t i = 0; i < k->c->relays; i++) {
        out->entries += k->guard[i] ? 1 : 0;
    }
    return true;
}

bool guards_run(const struct guards_case *c, uint32_t clients, uint64_t seed,
                struct guards_figures *out)
{
    static struct client k; /* large */
    bool good = c->relays <= RELAYS_MAX;

    *out = (struct guards_figures){0};
    for (uint32_t i = 0; i < clients && good; i++) {
        uint8_t s[32] = {0};
        memset(&k, 0, sizeof(k));
        for (unsigned b = 0; b < 8; b++) {
            s[b] = (uint8_t)(seed >> (8 * b));
            s[8 + b] = b < 4 ? (uint8_t)(i >> (8 * b)) : 0;
        }
        k.c = c;
        k.now = 3600 * NS_PER_S;
        mem_init(&k.mem, NULL, 0);
        rng_stream_init(&k.stream, s);
        k.rng = rng_of_stream(&k.stream);
        good = one(&k, out);
        relays_free(k.r);
    }
    return good;
}
