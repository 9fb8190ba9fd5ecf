/*
 * settings.c - defaults, checks with reasons, translation for the node.
 *
 *   program's settings, of its size ─▶ settings_in: ours, of our size ─▶ checks ─▶ struct node_config
 */
#include "api/internal.h"

#include "base/utf8.h"
#include "crypto/hash.h"
#include "node/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

API_NO_TAIL(qudag_settings, nat_pad);
API_NO_TAIL(qudag_limit, help);

/* A numeric setting: where it is and what it may hold. */
struct limit_row {
    const char *name;
    size_t at, width;
    uint64_t min, max, def;
    const char *unit, *help;
};

static const struct limit_row limits[] = {
#define XX(field)                                                                                  \
    {#field,                                                                                       \
     offsetof(qudag_settings, field),                                                              \
     sizeof(((qudag_settings *)0)->field),                                                         \
     QUDAG_LIMIT_MIN(field),                                                                       \
     QUDAG_LIMIT_MAX(field),                                                                       \
     QUDAG_LIMIT_DEFAULT(field),                                                                   \
     QUDAG_LIMIT_UNIT(field),                                                                      \
     QUDAG_LIMIT_HELP(field)},
    QUDAG_LIMITS(XX)
#undef XX
};

/* Units of the field in one unit of the table. */
static uint64_t scale(const struct limit_row *l)
{
    return strcmp(l->unit, "s") == 0 ? QUDAG_S : 1;
}

static uint64_t number_get(const qudag_settings *s, const struct limit_row *l)
{
    const uint8_t *p = (const uint8_t *)s + l->at;
    uint64_t u64 = 0;
    uint32_t u32 = 0;

    if (l->width == sizeof(u64)) {
        memcpy(&u64, p, sizeof(u64));
        return u64;
    }
    if (l->width == sizeof(u32)) {
        memcpy(&u32, p, sizeof(u32));
        return u32;
    }
    return *p;
}

static void number_set(qudag_settings *s, const struct limit_row *l, uint64_t value)
{
    uint8_t *p = (uint8_t *)s + l->at;
    uint32_t u32 = (uint32_t)value;

    if (l->width == sizeof(value)) {
        memcpy(p, &value, sizeof(value));
    } else if (l->width == sizeof(u32)) {
        memcpy(p, &u32, sizeof(u32));
    } else {
        *p = (uint8_t)value;
    }
}

bool qudag_limit_next(size_t *it, qudag_limit *out)
{
    if (it == NULL || out == NULL || *it >= ARRAY_LEN(limits)) {
        return false;
    }
    const struct limit_row *l = &limits[*it];
    const qudag_limit full = {.name = l->name,
                              .min = l->min,
                              .max = l->max,
                              .def = l->def,
                              .unit = l->unit,
                              .help = l->help};
    if (!api_sized_out(out, &full, sizeof(full))) {
        return false;
    }
    (*it)++;
    return true;
}

static void set_defaults(qudag_settings *d)
{
    *d = (qudag_settings){.size = sizeof(*d),
                          .log_level = QUDAG_LOG_INFO,
                          .pq = QUDAG_PQ_REQUIRE,
                          .security_level = 768,
                          .relay = true,
                          .dht_server = true,
                          .circuit_relay = QUDAG_SERVE_AUTO,
                          .dark_hide_cache = true,
                          .port_mapping = true,
                          .padding = QUDAG_PADDING_YES};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        number_set(d, &limits[i], limits[i].def * scale(&limits[i]));
    }
}

void qudag_settings_default(qudag_settings *s, uint32_t size)
{
    qudag_settings d;

    set_defaults(&d);
    d.size = size;
    if (s != NULL) {
        memset(s, 0, size); /* fields this version does not know yet */
        memcpy(s, &d, size < sizeof(d) ? size : sizeof(d));
    }
}

/* "what: problem", cut to fit. */
API_PRINTF_LIKE(4, 5)
static qudag_err refuse(char *why, size_t cap, const char *what, const char *problem, ...)
{
    char text[API_WHY_LEN];
    va_list ap;

    if (why == NULL || cap == 0) {
        return QUDAG_EINVAL;
    }
    va_start(ap, problem);
    (void)vsnprintf(text, sizeof(text), problem, ap);
    va_end(ap);
    (void)snprintf(why, cap, "%s: %s", what, text);
    return QUDAG_EINVAL;
}

static qudag_err read_listen(struct api_settings *out, char *why, size_t cap)
{
    const qudag_settings *s = &out->full;
    static const char *const any[] = {"/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/udp/0/quic-v1"};
    const char *const *list = s->listen_n > 0 ? s->listen : any;
    size_t count = s->listen_n > 0 ? s->listen_n : ARRAY_LEN(any);

    if (list == NULL) {
        return refuse(why, cap, "listen", "missing");
    }
    if (count > NODE_LISTEN_MAX) {
        return refuse(why, cap, "listen", "more than %d addresses", NODE_LISTEN_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        struct api_addr a;
        char fault[API_WHY_LEN];
        if (api_addr_read(&a, list[i], QUDAG_ADDR_LISTEN, fault, sizeof(fault)) != QUDAG_OK) {
            return refuse(why, cap, "listen", "%s", fault);
        }
        if (a.tcp) {
            out->listen_tcp[out->n_listen_tcp++] = a.net;
        } else {
            out->listen[out->n_listen++] = a.net;
        }
    }
    return QUDAG_OK;
}

/* Outside a lab an address that others cannot reach is refused: they would not take it. */
static qudag_err read_announce(struct api_settings *out, char *why, size_t cap)
{
    const qudag_settings *s = &out->full;

    if (s->announce_n > 0 && s->announce == NULL) {
        return refuse(why, cap, "announce", "missing");
    }
    if (s->announce_n > NODE_LISTEN_MAX) {
        return refuse(why, cap, "announce", "more than %d addresses", NODE_LISTEN_MAX);
    }
    for (size_t i = 0; i < s->announce_n; i++) {
        struct api_addr a;
        char fault[API_WHY_LEN];
        if (api_addr_read(&a, s->announce[i], QUDAG_ADDR_DIAL, fault, sizeof(fault)) != QUDAG_OK) {
            return refuse(why, cap, "announce", "%s", fault);
        }
        if (a.has_peer || a.has_pq) {
            return refuse(why, cap, "announce", "%s: without /p2p and #, which are this node's own",
                          s->announce[i]);
        }
        if (!node_rule_addr(&a.addr, s->lab)) {
            return refuse(why, cap, "announce", "%s: not reachable from the Internet",
                          s->announce[i]);
        }
        out->announce[out->n_announce++] = a.addr;
    }
    return QUDAG_OK;
}

static qudag_err read_bootstrap(struct node_config *c, const qudag_settings *s, char *why,
                                size_t cap)
{
    if (s->bootstrap_n > 0 && s->bootstrap == NULL) {
        return refuse(why, cap, "bootstrap", "missing");
    }
    if (s->bootstrap_n > NODE_BOOT_MAX) {
        return refuse(why, cap, "bootstrap", "more than %d addresses", NODE_BOOT_MAX);
    }
    for (size_t i = 0; i < s->bootstrap_n; i++) {
        struct node_boot *b = &c->boot[i];
        struct api_addr a;
        char fault[API_WHY_LEN];
        if (api_addr_read(&a, s->bootstrap[i], QUDAG_ADDR_BOOTSTRAP, fault, sizeof(fault)) !=
            QUDAG_OK) {
            return refuse(why, cap, "bootstrap", "%s", fault);
        }
        b->addr = a.addr;
        b->has_pq = a.has_pq;
        memcpy(b->pq_hash, a.pq_hash, sizeof(b->pq_hash));
    }
    c->n_boot = s->bootstrap_n;
    return QUDAG_OK;
}

static qudag_err read_keep(struct node_config *c, const qudag_settings *s, char *why, size_t cap)
{
    char fault[API_WHY_LEN];

    if (s->keep_n > 0 && s->keep == NULL) {
        return refuse(why, cap, "keep", "missing");
    }
    if (s->keep_n > KEEP_MAX) {
        return refuse(why, cap, "keep", "more than %d peers", KEEP_MAX);
    }
    for (size_t i = 0; i < s->keep_n; i++) {
        if (api_keep_read(&c->keep[i], s->keep[i], fault, sizeof(fault)) != QUDAG_OK) {
            return refuse(why, cap, "keep", "%s", fault);
        }
    }
    c->n_keep = s->keep_n;
    return QUDAG_OK;
}

static qudag_err read_reserve(struct node_config *c, const qudag_settings *s, char *why, size_t cap)
{
    char fault[API_WHY_LEN];

    if (s->reserve_at_n > 0 && s->reserve_at == NULL) {
        return refuse(why, cap, "reserve_at", "missing");
    }
    if (s->reserve_at_n > RELAYED_RELAYS_MAX) {
        return refuse(why, cap, "reserve_at", "more than %d relays", RELAYED_RELAYS_MAX);
    }
    for (size_t i = 0; i < s->reserve_at_n; i++) {
        if (api_keep_read(&c->circuit_relay.reserve[i], s->reserve_at[i], fault, sizeof(fault)) !=
            QUDAG_OK) {
            return refuse(why, cap, "reserve_at", "%s", fault);
        }
    }
    c->circuit_relay.n_reserve = s->reserve_at_n;
    return QUDAG_OK;
}

/* A node that has no listener for the IP version of any bootstrap peer could never join. */
static qudag_err check_bootstrap_reach(const struct node_config *c, const struct netaddr *listen,
                                       size_t n_listen, char *why, size_t cap)
{
    struct netaddr a = {0};

    for (size_t i = 0; i < c->n_boot; i++) {
        if (!multiaddr_to_netaddr(&c->boot[i].addr, &a)) {
            return QUDAG_OK; /* TCP, whose connections need no listener */
        }
        for (size_t k = 0; k < n_listen; k++) {
            if (listen[k].family == a.family) {
                return QUDAG_OK;
            }
        }
    }
    if (c->n_boot == 0) {
        return QUDAG_OK;
    }
    return refuse(why, cap, "bootstrap",
                  "IPv%d addresses, but no IPv%d listen address, such as /ip%d/%s/udp/0/quic-v1",
                  a.family, a.family, a.family, a.family == 6 ? "::" : "0.0.0.0");
}

bool api_namespace_valid(const char *ns)
{
    size_t len = ns != NULL ? strlen(ns) : 0;

    if (len == 0 || len > QUDAG_NAMESPACE_LEN || strcmp(ns, "pk") == 0 ||
        strncmp(ns, "qudag", 5) == 0) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((ns[i] < 'a' || ns[i] > 'z') && (ns[i] < '0' || ns[i] > '9') && ns[i] != '-') {
            return false;
        }
    }
    return true;
}

static qudag_err check_choices(const qudag_settings *s, char *why, size_t cap)
{
    if ((unsigned)s->pq > QUDAG_PQ_OFF) {
        return refuse(why, cap, "pq", "not a policy");
    }
    if ((unsigned)s->cipher > QUDAG_CIPHER_AES256) {
        return refuse(why, cap, "cipher", "not a cipher");
    }
    if ((unsigned)s->padding > QUDAG_PADDING_NO) {
        return refuse(why, cap, "padding", "not a choice");
    }
    if ((unsigned)s->reachable > QUDAG_REACHABLE_NO) {
        return refuse(why, cap, "reachable", "not a choice");
    }
    if ((unsigned)s->circuit_relay > QUDAG_SERVE_AUTO) {
        return refuse(why, cap, "circuit_relay", "not a choice");
    }
    if ((unsigned)s->find_relays > QUDAG_FIND_RELAYS_NO) {
        return refuse(why, cap, "find_relays", "not a choice");
    }
    if ((unsigned)s->meet > QUDAG_MEET_NO) {
        return refuse(why, cap, "meet", "not a choice");
    }
    if ((unsigned)s->log_level > QUDAG_LOG_DEBUG) {
        return refuse(why, cap, "log_level", "not a level");
    }
    if (s->mem != NULL && (s->mem->alloc == NULL) != (s->mem->free == NULL)) {
        return refuse(why, cap, "mem", "needs both alloc and free");
    }
    return QUDAG_OK;
}

static qudag_err check_numbers(const qudag_settings *s, char *why, size_t cap)
{
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        const struct limit_row *l = &limits[i];
        uint64_t value = number_get(s, l), unit = scale(l);
        if (value < l->min * unit || value > l->max * unit) {
            uint64_t shown = value > l->max * unit ? (value - 1) / unit + 1 : value / unit;
            return refuse(why, cap, l->name, "%llu is not within %llu to %llu %s",
                          (unsigned long long)shown, (unsigned long long)l->min,
                          (unsigned long long)l->max, l->unit);
        }
    }
    if (s->security_level != 768 && s->security_level != 1024) {
        return refuse(why, cap, "security_level",
                      s->security_level == 512
                          ? "must be 768 or 1024: no hybrid group has ML-KEM-512, 768 is the least"
                          : "must be 768 or 1024");
    }
    return QUDAG_OK;
}

/* Low mark, high mark and limit of links: each at most the next. */
static qudag_err check_marks(const qudag_settings *s, char *why, size_t cap)
{
    uint32_t high = s->links_high != 0 ? s->links_high : s->links_max - s->links_max / 4;

    if (s->links_high > s->links_max) {
        return refuse(why, cap, "links_high", "%u is more than links_max, %u",
                      (unsigned)s->links_high, (unsigned)s->links_max);
    }
    if (s->links_low > high) {
        return refuse(why, cap, "links_low", "%u is more than links_high, %u",
                      (unsigned)s->links_low, (unsigned)high);
    }
    return QUDAG_OK;
}

static bool printable(const char *text, size_t max)
{
    return api_text_fits(text, max) &&
           utf8_printable((struct slice){(const uint8_t *)text, strlen(text)});
}

static qudag_err check_texts(const qudag_settings *s, char *why, size_t cap)
{
    if (!node_rule_hops(s->hops, s->lab)) {
        return refuse(why, cap, "hops",
                      "one relay would see who asks and what for: at least 2 outside a lab");
    }
    if (s->dht_protocol != NULL && !swarm_proto_valid(s->dht_protocol)) {
        return refuse(why, cap, "dht_protocol",
                      "%.40s: not '/' followed by up to %d printable characters without spaces",
                      s->dht_protocol, QUDAG_PROTOCOL_LEN_MAX - 1);
    }
    if (s->agent != NULL && !printable(s->agent, QUDAG_AGENT_LEN_MAX)) {
        return refuse(why, cap, "agent", "longer than %d bytes, or not printable",
                      QUDAG_AGENT_LEN_MAX);
    }
    if (s->family != NULL && !printable(s->family, QUDAG_FAMILY_LEN_MAX)) {
        return refuse(why, cap, "family", "longer than %d bytes, or not printable",
                      QUDAG_FAMILY_LEN_MAX);
    }
    if (s->open_namespaces_n > 0 && s->open_namespaces == NULL) {
        return refuse(why, cap, "open_namespaces", "missing");
    }
    if (s->open_namespaces_n > NODE_OPEN_NS_MAX) {
        return refuse(why, cap, "open_namespaces", "more than %d names", NODE_OPEN_NS_MAX);
    }
    for (size_t i = 0; i < s->open_namespaces_n; i++) {
        if (!api_namespace_valid(s->open_namespaces[i])) {
            return refuse(why, cap, "open_namespaces",
                          "%.40s: not a free name of up to %d lower-case letters, digits and '-'",
                          s->open_namespaces[i] != NULL ? s->open_namespaces[i] : "NULL",
                          QUDAG_NAMESPACE_LEN);
        }
    }
    return QUDAG_OK;
}

/* The program's settings as ours: what it does not know has its default. */
static qudag_err settings_in(qudag_settings *out, const qudag_settings *s, char *why, size_t cap)
{
    if (s == NULL) {
        return refuse(why, cap, "settings", "missing");
    }
    set_defaults(out);
    qudag_err err = api_sized_in(out, sizeof(*out), s);
    if (err == QUDAG_EINVAL) {
        return refuse(why, cap, "size", "%u: not set; qudag_settings_default() does it", s->size);
    }
    if (err == QUDAG_EUNSUPPORTED) {
        (void)refuse(why, cap, "size",
                     "a setting is used that this version of the library does not know");
        return err;
    }
    if (out->pad != 0) {
        return refuse(why, cap, "pad", "must be zero");
    }
    return QUDAG_OK;
}

static qudag_err check_all(const qudag_settings *s, char *why, size_t cap)
{
    qudag_err err;

    if (s->identity == NULL) {
        return refuse(why, cap, "identity", "missing");
    }
    if ((err = check_choices(s, why, cap)) != QUDAG_OK ||
        (err = check_numbers(s, why, cap)) != QUDAG_OK ||
        (err = check_marks(s, why, cap)) != QUDAG_OK ||
        (err = check_texts(s, why, cap)) != QUDAG_OK) {
        return err;
    }
    if (s->pq == QUDAG_PQ_OFF && s->relay) {
        return refuse(why, cap, "relay", "needs post-quantum links; set relay off or pq on");
    }
    return QUDAG_OK;
}

static void translate_circuit_relay(struct node_circuit_relay *c, const qudag_settings *s)
{
    c->serve = (enum node_serves)s->circuit_relay;
    c->finds = s->find_relays == QUDAG_FIND_RELAYS_AUTO;
    c->reservations_max = s->circuit_relay_places;
    c->circuits_max = s->circuit_relay_circuits;
    c->limit.duration_s = (uint32_t)(s->circuit_relay_time / QUDAG_S);
    c->limit.data = s->circuit_relay_bytes;
    c->stranger.duration_s = (uint32_t)(s->circuit_relay_stranger_time / QUDAG_S);
    c->stranger.data = s->circuit_relay_stranger_bytes;
    c->rate = s->circuit_relay_rate;
    c->rate_peer = s->circuit_relay_rate_peer;
    c->rate_circuit = s->circuit_relay_rate_circuit;
}

static void translate(struct node_config *c, const qudag_settings *s)
{
    c->identity = &s->identity->id;
    c->pq = (enum pq_policy)s->pq;
    c->level = s->security_level;
    c->cipher = (enum sec_cipher)s->cipher;
    c->links_max = s->links_max;
    c->network_share = s->network_share;
    c->links_high = s->links_high;
    c->links_low = s->links_low;
    c->links_grace_ns = s->links_grace;
    c->circuits_max = s->circuits_max;
    c->streams_per_peer = s->streams_per_peer;
    c->times = (struct node_times){.idle = s->idle_timeout,
                                   .dial = s->dial_timeout,
                                   .handshake = s->handshake_timeout,
                                   .negotiate = s->negotiate_timeout,
                                   .keepalive = s->keepalive,
                                   .query = s->query_timeout,
                                   .build = s->build_timeout};
    c->hops = s->hops;
    c->clean_circuits = s->clean_circuits;
    c->relay = s->relay;
    c->dht_server = s->dht_server;
    c->reachable = (enum node_reachable)s->reachable;
    c->port_mapping = s->port_mapping;
    c->meet = (enum node_meet)s->meet;
    c->lab = s->lab;
    c->small_network = s->small_network;
    c->padding = (enum node_padding)s->padding;
    c->persist = s->store_dir != NULL;
    translate_circuit_relay(&c->circuit_relay, s);
    c->tcp = true;
    c->records_max = s->dht_records_max;
    c->providers_max = s->dht_providers_max;
    c->record_bytes_max = s->dht_bytes_max;
    c->dark_delay_max_ns = s->dark_delay_ms * QUDAG_MS;
    c->dark_dummies = s->dark_dummies;
    c->dark_work_max = s->dark_work_max;
    c->dark_show_cache = !s->dark_hide_cache;
    c->relays_min = s->relays_min != 0 ? s->relays_min : s->hops + 1u;
    if (s->family != NULL && s->family[0] != 0) {
        blake3_derive(c->family, sizeof(c->family), "qudag relay family v1",
                      (struct slice){(const uint8_t *)s->family, strlen(s->family)});
    }
}

qudag_err api_settings_read(struct api_settings *out, const qudag_settings *s, char *why,
                            size_t why_len)
{
    struct node_config *c = &out->config;
    const qudag_settings *full = &out->full;
    qudag_err err;

    memset(out, 0, sizeof(*out));
    if ((err = settings_in(&out->full, s, why, why_len)) != QUDAG_OK ||
        (err = check_all(full, why, why_len)) != QUDAG_OK ||
        (err = read_listen(out, why, why_len)) != QUDAG_OK ||
        (err = read_announce(out, why, why_len)) != QUDAG_OK ||
        (err = read_bootstrap(c, full, why, why_len)) != QUDAG_OK ||
        (err = read_keep(c, full, why, why_len)) != QUDAG_OK ||
        (err = read_reserve(c, full, why, why_len)) != QUDAG_OK ||
        (err = check_bootstrap_reach(c, out->listen, out->n_listen, why, why_len)) != QUDAG_OK) {
        return err;
    }
    translate(c, full);
    return QUDAG_OK;
}

qudag_err qudag_node_check(const qudag_settings *s, char *why, size_t why_len)
{
    struct api_settings *read = calloc(1, sizeof(*read));
    qudag_err err = read == NULL ? QUDAG_ENOMEM : api_settings_read(read, s, why, why_len);

    free(read);
    return err;
}

qudag_err qudag_node_reload(qudag_node *n, const qudag_settings *s, char *why, size_t why_len)
{
    struct api_settings *read = n != NULL ? calloc(1, sizeof(*read)) : NULL;
    qudag_err err = n == NULL      ? QUDAG_EINVAL
                    : read == NULL ? QUDAG_ENOMEM
                                   : api_settings_read(read, s, why, why_len);

    if (err == QUDAG_OK) {
        node_set_times(n->node, &read->config.times);
        node_set_small_network(n->node, read->config.small_network);
    }
    free(read);
    return err;
}
