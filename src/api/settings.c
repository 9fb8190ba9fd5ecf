/* settings.c - defaults, checks with reasons, translation for the node. */
#include "api/internal.h"

#include <string.h>

void qudag_settings_default(qudag_settings *s, uint32_t size)
{
    qudag_settings d = {.size = size,
                        .pq = QUDAG_PQ_REQUIRE,
                        .security_level = 768,
                        .log_level = QUDAG_LOG_INFO,
                        .memory_max = 256u * 1024 * 1024,
                        .links_max = 1024,
                        .circuits_max = 4096,
                        .idle_timeout = 300 * QUDAG_S,
                        .dht_bytes_max = 32u * 1024 * 1024,
                        .dht_records_max = 4096,
                        .dht_providers_max = 4096,
                        .hops = 3,
                        .relay = true,
                        .dht_server = true};

    if (s != NULL) {
        memset(s, 0, size); /* fields this version does not know yet */
        memcpy(s, &d, size < sizeof(d) ? size : sizeof(d));
    }
}

/* "what: value: problem", cut to fit. */
static qudag_err refuse(char *why, size_t cap, const char *what, const char *value,
                        const char *problem)
{
    const char *part[] = {what, value != NULL ? ": " : "", value != NULL ? value : "", ": ",
                          problem};
    size_t at = 0;

    if (why == NULL || cap == 0) {
        return QUDAG_EINVAL;
    }
    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        for (const char *p = part[i]; *p != '\0' && at + 1 < cap; p++) {
            why[at++] = *p;
        }
    }
    why[at] = '\0';
    return QUDAG_EINVAL;
}

static qudag_err read_listen(struct netaddr *out, size_t *n, const qudag_settings *s, char *why,
                             size_t cap)
{
    static const char *const any[] = {"/ip4/0.0.0.0/udp/0/quic-v1"};
    const char *const *list = s->listen_n > 0 ? s->listen : any;
    size_t count = s->listen_n > 0 ? s->listen_n : 1;

    if (list == NULL) {
        return refuse(why, cap, "listen", NULL, "missing");
    }
    if (count > NODE_LISTEN_MAX) {
        return refuse(why, cap, "listen", NULL, "more than 8 addresses");
    }
    for (size_t i = 0; i < count; i++) {
        struct multiaddr ma;
        if (list[i] == NULL || multiaddr_parse(&ma, list[i]) != QUDAG_OK ||
            !multiaddr_to_netaddr(&ma, &out[i])) {
            return refuse(why, cap, "listen", list[i],
                          "not of the form /ip4/ADDRESS/udp/PORT/quic-v1");
        }
    }
    *n = count;
    return QUDAG_OK;
}

static qudag_err read_bootstrap(struct node_config *c, const qudag_settings *s, char *why,
                                size_t cap)
{
    if (s->bootstrap_n > 0 && s->bootstrap == NULL) {
        return refuse(why, cap, "bootstrap", NULL, "missing");
    }
    if (s->bootstrap_n > NODE_BOOT_MAX) {
        return refuse(why, cap, "bootstrap", NULL, "more than 32 addresses");
    }
    for (size_t i = 0; i < s->bootstrap_n; i++) {
        struct node_boot *b = &c->boot[i];
        struct netaddr net;
        struct peer_id id;
        if (s->bootstrap[i] == NULL ||
            multiaddr_parse_pinned(&b->addr, b->pq_hash, &b->has_pq, s->bootstrap[i]) != QUDAG_OK ||
            !multiaddr_to_netaddr(&b->addr, &net)) {
            return refuse(why, cap, "bootstrap", s->bootstrap[i],
                          "not of the form /ip4/ADDRESS/udp/PORT/quic-v1/p2p/PEERID[#HASH]");
        }
        if (!multiaddr_peer(&b->addr, &id)) {
            return refuse(why, cap, "bootstrap", s->bootstrap[i],
                          "no /p2p/PEERID: whoever answered would be believed");
        }
    }
    c->n_boot = s->bootstrap_n;
    return QUDAG_OK;
}

bool namespace_ok(const char *ns)
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
        return refuse(why, cap, "pq", NULL, "not a policy");
    }
    if ((unsigned)s->cipher > QUDAG_CIPHER_AES256) {
        return refuse(why, cap, "cipher", NULL, "not a cipher");
    }
    if ((unsigned)s->log_level > QUDAG_LOG_DEBUG) {
        return refuse(why, cap, "log_level", NULL, "not a level");
    }
    if (s->mem != NULL && (s->mem->alloc == NULL) != (s->mem->free == NULL)) {
        return refuse(why, cap, "mem", NULL, "needs both alloc and free");
    }
    return QUDAG_OK;
}

static qudag_err check_limits(const qudag_settings *s, char *why, size_t cap)
{
    if (s->security_level != 512 && s->security_level != 768 && s->security_level != 1024) {
        return refuse(why, cap, "security_level", NULL, "must be 512, 768 or 1024");
    }
    if (s->hops < 1 || s->hops > QUDAG_HOPS_MAX - 1) {
        return refuse(why, cap, "hops", NULL, "must be 1 to 7");
    }
    if (s->links_max < 8 || s->links_max > 65536) {
        return refuse(why, cap, "links_max", NULL, "must be 8 to 65536");
    }
    if (s->idle_timeout < 5 * QUDAG_S || s->idle_timeout > 3600 * QUDAG_S) {
        return refuse(why, cap, "idle_timeout", NULL, "must be 5 s to 3600 s");
    }
    if (s->memory_max != 0 && s->memory_max < 8u * 1024 * 1024) {
        return refuse(why, cap, "memory_max", NULL, "must be 8 MiB at least");
    }
    if (s->dht_records_max < 16 || s->dht_records_max > 1000000) {
        return refuse(why, cap, "dht_records_max", NULL, "must be 16 to 1000000");
    }
    if (s->dht_providers_max < 16 || s->dht_providers_max > 1000000) {
        return refuse(why, cap, "dht_providers_max", NULL, "must be 16 to 1000000");
    }
    if (s->dht_bytes_max < 65536 || s->dht_bytes_max > (UINT64_C(1) << 36)) {
        return refuse(why, cap, "dht_bytes_max", NULL, "must be 64 KiB to 64 GiB");
    }
    if (s->dht_protocol != NULL && !swarm_proto_valid(s->dht_protocol)) {
        return refuse(why, cap, "dht_protocol", s->dht_protocol,
                      "not '/' and up to 94 printable characters");
    }
    if (s->pq == QUDAG_PQ_OFF && s->relay) {
        return refuse(why, cap, "relay", NULL, "needs post-quantum links; set relay off or pq on");
    }
    if (s->open_namespaces_n > 0 && s->open_namespaces == NULL) {
        return refuse(why, cap, "open_namespaces", NULL, "missing");
    }
    for (size_t i = 0; i < s->open_namespaces_n; i++) {
        if (i >= NODE_OPEN_NS_MAX || !namespace_ok(s->open_namespaces[i])) {
            return refuse(why, cap, "open_namespaces", s->open_namespaces[i],
                          "not a free name of lower-case letters, digits and '-', or over 8 names");
        }
    }
    return QUDAG_OK;
}

qudag_err settings_read(struct node_config *c, struct netaddr listen[NODE_LISTEN_MAX],
                        size_t *n_listen, const qudag_settings *s, char *why, size_t why_len)
{
    qudag_err err;

    memset(c, 0, sizeof(*c));
    if (s == NULL) {
        return refuse(why, why_len, "settings", NULL, "missing");
    }
    if (s->size != sizeof(*s)) {
        return refuse(why, why_len, "size", NULL, "settings of another version of the library");
    }
    if (s->identity == NULL) {
        return refuse(why, why_len, "identity", NULL, "missing");
    }
    if ((err = check_choices(s, why, why_len)) != QUDAG_OK ||
        (err = check_limits(s, why, why_len)) != QUDAG_OK ||
        (err = read_listen(listen, n_listen, s, why, why_len)) != QUDAG_OK ||
        (err = read_bootstrap(c, s, why, why_len)) != QUDAG_OK) {
        return err;
    }
    c->identity = &s->identity->id;
    c->pq = (enum pq_policy)s->pq;
    c->level = s->security_level;
    c->cipher = (enum sec_cipher)s->cipher;
    c->links_max = s->links_max;
    c->circuits_max = s->circuits_max;
    c->idle_timeout_ns = s->idle_timeout;
    c->hops = s->hops;
    c->relay = s->relay;
    c->dht_server = s->dht_server;
    c->lab = s->lab;
    c->persist = s->store_dir != NULL;
    c->records_max = s->dht_records_max;
    c->providers_max = s->dht_providers_max;
    c->record_bytes_max = s->dht_bytes_max;
    c->relays_min = s->relays_min != 0 ? s->relays_min : s->hops + 1u;
    return QUDAG_OK;
}

qudag_err qudag_node_check(const qudag_settings *s, char *why, size_t why_len)
{
    struct node_config c;
    struct netaddr listen[NODE_LISTEN_MAX];
    size_t n;

    return settings_read(&c, listen, &n, s, why, why_len);
}
