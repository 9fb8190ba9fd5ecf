/* internal.h - the object behind qudag_node, and conversions. */
#ifndef QUDAG_SRC_API_INTERNAL_H
#define QUDAG_SRC_API_INTERNAL_H

#include <qudag/qudag.h>

#include "crypto/identity.h"
#include "io/io.h"
#include "node/node.h"

struct qudag_identity {
    struct identity id;
};

#define API_ADDRS_MAX 16
#define RESULT_PEERS_MAX 64

struct qudag_node {
    struct mem mem;
    struct mem_hooks hooks;
    struct io *io;
    struct node *node;
    struct store *store; /* NULL: nothing on disk */
    bool started;
    size_t n_rules;
    struct api_rules *rules[QUDAG_NAMESPACES_MAX];
    qudag_callbacks cb;
    void *user;
    void (*log)(void *user, const qudag_log_record *rec);
    struct logger logger;
    struct netaddr addr[API_ADDRS_MAX];
    size_t n_addrs;
    struct peer_id self;
    char *strings[2 + NODE_OPEN_NS_MAX]; /* copies the node borrows */
    size_t n_strings;
};

static inline struct slice slice_in(qudag_slice s)
{
    return (struct slice){s.base, s.len};
}

static inline qudag_slice slice_out(struct slice s)
{
    return (qudag_slice){s.base, s.len};
}

static inline uint64_t ref_out(struct ref r)
{
    return (uint64_t)r.gen << 32 | r.slot;
}

static inline struct ref ref_in(uint64_t id)
{
    return (struct ref){.slot = (uint32_t)id, .gen = (uint32_t)(id >> 32)};
}

void peer_out(qudag_peer_id *out, const struct peer_id *p);
bool peer_in(struct peer_id *out, const qudag_peer_id *p); /* false: not a peer id */

/* persist.c: the store of the DHT. */
qudag_err persist_open(struct qudag_node *n, const qudag_settings *s, const struct logger *log);
void persist_load(struct qudag_node *n);
qudag_err cb_persist(void *ctx, enum kad_persist_kind kind, const uint8_t *hash,
                     struct slice bytes);

/* rules.c: namespaces of the program. */
struct api_rules;
void rules_free(struct qudag_node *n);
bool namespace_ok(const char *ns); /* settings.c */

/* settings.c: checks and translates; |why| may be NULL. */
qudag_err settings_read(struct node_config *c, struct netaddr listen[NODE_LISTEN_MAX],
                        size_t *n_listen, const qudag_settings *s, char *why, size_t why_len);

#endif
