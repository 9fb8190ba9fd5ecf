/* internal.h - the object behind qudag_node, and conversions. */
#ifndef QUDAG_SRC_API_INTERNAL_H
#define QUDAG_SRC_API_INTERNAL_H

#include <qudag/qudag.h>

#include "api/clients.h"
#include "api/sized.h"
#include "base/histogram.h"
#include "core/relays/diversity.h"
#include "crypto/identity.h"
#include "io/interfaces.h"
#include "io/io.h"
#include "io/resolve.h"
#include "io/router.h"
#include "io/solver.h"
#include "io/upnp.h"
#include "node/allowed.h"
#include "node/node.h"

#include <string.h>

struct qudag_identity {
    struct identity id;
};

#define API_WHY_LEN 384 /* a sentence of why something is refused, with NUL */
#define API_TCP_ADDRS 3 /* of ours, for which addresses of QUIC make room */
#define API_RESULT_PEERS_MAX 64
#define API_STATS_MAX 400

struct api_kept;

/* What the phase callback was told last. */
struct api_phase {
    qudag_phase phase;
    uint32_t a, b;
    qudag_err err;
};

/* A client of the node, see clients.h. */
struct api_client {
    qudag_node *node;
    const qudag_callbacks *cb;
    void (*end)(void *user);
    void *user;
    const char *proto[API_PROTOCOLS_MAX]; /* that it serves */
    size_t n_protos;
    bool ended; /* hears nothing more */
};

struct qudag_node {
    struct mem mem;
    struct mem_hooks hooks;
    struct io *io;
    struct node *node;
    struct store *store;     /* NULL: nothing on disk */
    struct solver *solver;   /* from the first proof of work on */
    struct upnp *upnp;       /* from the first question to a router on */
    struct resolve *resolve; /* names; NULL: none was asked for yet */
    bool started;
    bool ending;          /* being freed */
    unsigned in_callback; /* of the program, or being freed: not to be driven */
    struct api_client *client[API_CLIENTS_MAX];
    size_t n_clients;
    struct api_kept **kept; /* API_KEPT_MAX; NULL: nothing was restored for clients */
    size_t n_kept;
    size_t n_rules;
    struct api_rules *rules[QUDAG_NAMESPACES_MAX];
    qudag_callbacks cb;
    uint64_t *stats; /* API_STATS_MAX values, as the walk that goes on began */
    void *user;
    void (*log)(void *user, const qudag_log_record *rec);
    struct logger logger;
    struct multiaddr addr[NODE_LISTEN_MAX]; /* ours, those of QUIC first */
    size_t n_addrs;
    struct netaddr
        source[2]; /* what the kernel sends from by default, IPv4 and IPv6; family 0: not known */
    struct peer_id self;
    struct api_phase said;
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

/* identity.c.  Writes |p| in the form that programs see. */
void api_peer_out(qudag_peer_id *out, const struct peer_id *p);
/* Writes |s| likewise. */
void api_succession_out(qudag_succession *out, const struct succession *s);
/* Reads a peer id of the program (NULL allowed); false: not a peer id, *out is undefined. */
bool api_peer_in(struct peer_id *out, const qudag_peer_id *p);

#if defined(__GNUC__)
#define API_PRINTF_LIKE(text_at, first_at) __attribute__((format(printf, text_at, first_at)))
#else
#define API_PRINTF_LIKE(text_at, first_at)
#endif

/* histograms.c: what |h| says, but for name, help and labels. */
void api_histogram_fill(qudag_histogram *out, enum histogram_scale scale,
                        const struct histogram *h);

/* No gap behind the last field, which an older program would leave unset when a field is appended. */
#define API_NO_TAIL(type, last)                                                                    \
    _Static_assert(sizeof(type) == offsetof(type, last) + sizeof(((type *)0)->last),               \
                   "no implicit padding at the end")

/* Whether |text| has at most |max| bytes. */
static inline bool api_text_fits(const char *text, size_t max)
{
    return memchr(text, 0, max + 1) != NULL;
}

/* clients.c: who hears an event: the program or a client. */
struct api_hearer {
    const qudag_callbacks *cb;
    void *user;
};
/* |c|, or the program where that is NULL.  A client that has ended hears nothing. */
struct api_hearer api_hearer(const qudag_node *n, const struct api_client *c);
/* Who owns the stream |s|; in hooks.stream_closed still known. */
struct api_hearer api_stream_hearer(const qudag_node *n, struct ref s);
/* The client that serves |proto|; NULL: none. */
struct api_client *api_client_serving(const qudag_node *n, const char *proto);
/* Ends all clients: the node is about to be freed. */
void api_clients_end(qudag_node *n);
/* Frees them, once nothing calls back any more. */
void api_clients_free(qudag_node *n);
/* Whether |name| is one under which clients keep things. */
bool api_kept_name(const char *name);
/* Remembers what was kept under |name|.  QUDAG_ESTATE, QUDAG_EMALFORMED (its size), QUDAG_ELIMIT, QUDAG_ENOMEM. */
QUDAG_MUST_USE qudag_err api_kept_add(qudag_node *n, const char *name, qudag_slice bytes);

/* addr.c: a multiaddr taken apart for one use. */
struct api_addr {
    struct multiaddr addr;
    struct netaddr net;
    struct peer_id peer;
    uint8_t pq_hash[QUDAG_PQ_HASH_LEN];
    bool has_peer, has_pq;
    bool tcp; /* |net| is of TCP, else of QUIC */
};
/*
 * Parses |text| (NULL allowed) and checks it for |use|.  On failure |why| (may be NULL) gets a sentence that
 * begins with |text|.  QUDAG_EMALFORMED, QUDAG_EUNSUPPORTED, QUDAG_EINVAL (not fit for |use|).
 */
QUDAG_MUST_USE qudag_err api_addr_read(struct api_addr *out, const char *text, qudag_addr_use use,
                                       char *why, size_t why_len);

/* The text of a direct |addr| with the id of |peer|; false: it is of another kind. */
bool api_addr_text(char text[QUDAG_ADDR_TEXT_MAX], const struct multiaddr *addr,
                   const struct peer_id *peer);

/* reach.c: what qudag_reach_get() says. */
void api_reach(qudag_reach *out, const qudag_node *n);

/* keep.c: a peer id, or a multiaddr with one, of a peer to be kept.  Errors and |why| as of api_addr_read(). */
QUDAG_MUST_USE qudag_err api_keep_read(struct node_keep_wish *out, const char *text, char *why,
                                       size_t why_len);

/* persist.c.  Opens the store of the DHT in s->store_dir; what store_open() returns, which is logged too. */
qudag_err api_persist_open(struct qudag_node *n, const qudag_settings *s, const struct logger *log);
/* Restores what the store holds into the node, before node_start(); nothing without a store. */
void api_persist_load(struct qudag_node *n);
/* node_hooks.persist: queues one thing of the DHT for the next commit; what store_put() returns. */
qudag_err api_persist_put(void *ctx, enum kad_persist_kind kind, const uint8_t *hash,
                          struct slice bytes);

/* optext.c.  The kind of a request as programs know it; 0: none of theirs. */
qudag_op_kind api_op_kind(const struct node_request *req);
/* Who answered a CONNECT that ended with QUDAG_EAUTH instead of the peer in its address; NULL: that is not why. */
const struct peer_id *api_op_found(const struct node_request *req, qudag_err err);
/* A sentence about why joining failed; "" for QUDAG_OK. */
void api_join_text(const struct node_join_why *why, char *out, size_t cap);
/* A sentence about the end of |req|: |err|, and |count| nodes that stored it.  "" for QUDAG_OK. */
/* Whether requests of that kind go over circuits. */
bool api_op_on_circuit(qudag_op_kind kind);
void api_op_text(const struct qudag_node *n, const struct node_request *req, qudag_err err,
                 uint32_t count, char *out, size_t cap);

/* rules.c: namespaces of the program. */
struct api_rules;
/* Whether the program registered rules for the namespace |ns|. */
bool api_rules_have(const struct qudag_node *n, struct slice ns);
/* Frees the rules of all namespaces. */
void api_rules_free(struct qudag_node *n);

/* settings.c: settings of a program, checked and translated. */
struct api_settings {
    qudag_settings full; /* in our size, with our defaults; its pointers are the program's */
    struct node_config config;
    struct netaddr listen[NODE_LISTEN_MAX], listen_tcp[NODE_LISTEN_MAX];
    size_t n_listen, n_listen_tcp;
    struct multiaddr announce[NODE_LISTEN_MAX];
    size_t n_announce;
};
/*
 * Reads |s| (NULL allowed) into |out|; |why| (may be NULL) gets a sentence that begins with the setting that
 * is wrong.  QUDAG_EINVAL, QUDAG_EUNSUPPORTED (set by a newer program).
 */
QUDAG_MUST_USE qudag_err api_settings_read(struct api_settings *out, const qudag_settings *s,
                                           char *why, size_t why_len);
/* Whether |ns| (NULL allowed) may be the name of a namespace of programs. */
bool api_namespace_valid(const char *ns);

#endif
