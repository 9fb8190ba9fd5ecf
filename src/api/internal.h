/* internal.h - the object behind qudag_node, and conversions. */
#ifndef QUDAG_SRC_API_INTERNAL_H
#define QUDAG_SRC_API_INTERNAL_H

#include <qudag/qudag.h>

#include "crypto/identity.h"
#include "io/io.h"
#include "node/node.h"

#include <string.h>

struct qudag_identity {
    struct identity id;
};

#define API_WHY_LEN 256 /* a sentence of why something is refused, with NUL */
#define API_ADDRS_MAX 16
#define RESULT_PEERS_MAX 64
#define API_STATS_MAX 128

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
    uint64_t *stats; /* API_STATS_MAX values, as the walk that goes on began */
    void *user;
    void (*log)(void *user, const qudag_log_record *rec);
    struct logger logger;
    struct netaddr addr[API_ADDRS_MAX];
    size_t n_addrs;
    struct peer_id self;
    char *strings[2 + NODE_OPEN_NS_MAX]; /* copies the node borrows */
    size_t n_strings, first_ns;          /* the last of them are the open namespaces */
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
    return ref_to_u64(r);
}

static inline struct ref ref_in(uint64_t id)
{
    return ref_from_u64(id);
}

void peer_out(qudag_peer_id *out, const struct peer_id *p);
bool peer_in(struct peer_id *out, const qudag_peer_id *p); /* false: not a peer id */

#if defined(__GNUC__)
#define PRINTF_LIKE(text_at, first_at) __attribute__((format(printf, text_at, first_at)))
#else
#define PRINTF_LIKE(text_at, first_at)
#endif

/* No gap behind the last field, which an older program would leave unset when a field is appended. */
#define API_NO_TAIL(type, last)                                                                    \
    _Static_assert(sizeof(type) == offsetof(type, last) + sizeof(((type *)0)->last),               \
                   "no implicit padding at the end")

/*
 * sized.c.  sized_in: |full| holds our defaults and gets what the program set; QUDAG_EINVAL: its size is not
 * one; QUDAG_EUNSUPPORTED: it sets what we do not know.  sized_out: false: its size is not one.
 */
QUDAG_MUST_USE qudag_err sized_in(void *full, size_t full_size, const void *in);
QUDAG_MUST_USE bool sized_out(void *out, const void *full, size_t full_size);

/* Whether |text| has at most |max| bytes. */
static inline bool text_fits(const char *text, size_t max)
{
    return memchr(text, 0, max + 1) != NULL;
}

/* addr.c: a multiaddr for one use; |why| (may be NULL) gets a sentence that begins with |text|. */
struct pinned_addr {
    struct multiaddr addr;
    struct netaddr net;
    struct peer_id peer;
    uint8_t pq_hash[QUDAG_PQ_HASH_LEN];
    bool has_peer, has_pq;
};
QUDAG_MUST_USE qudag_err addr_read(struct pinned_addr *out, const char *text, qudag_addr_use use,
                                   char *why, size_t why_len);

/* persist.c: the store of the DHT. */
qudag_err persist_open(struct qudag_node *n, const qudag_settings *s, const struct logger *log);
void persist_load(struct qudag_node *n);
qudag_err cb_persist(void *ctx, enum kad_persist_kind kind, const uint8_t *hash,
                     struct slice bytes);

/* optext.c: what a request that ended was, and a sentence about its end. */
qudag_op_kind op_kind_out(const struct node_request *req);
void op_text(const struct qudag_node *n, const struct node_request *req, qudag_err err,
             uint32_t count, char *out, size_t cap);

/* rules.c: namespaces of the program. */
struct api_rules;
bool rules_have(const struct qudag_node *n, struct slice ns);
void rules_free(struct qudag_node *n);
bool namespace_ok(const char *ns); /* settings.c */

/* settings.c: *full is |s| in our size, checked and translated; |why| may be NULL. */
qudag_err settings_read(struct node_config *c, struct netaddr listen[NODE_LISTEN_MAX],
                        size_t *n_listen, qudag_settings *full, const qudag_settings *s, char *why,
                        size_t why_len);

#endif
