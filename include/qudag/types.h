/* types.h - values that cross the interface, and how its structures grow. */
#ifndef QUDAG_TYPES_H
#define QUDAG_TYPES_H

#include <qudag/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Structures that may grow begin with |size|: the sizeof the structure in the program's header.
 *
 *     qudag_link_info info = QUDAG_INIT(qudag_link_info);
 *     qudag_callbacks cb = {.size = sizeof(cb), .op_done = on_done};
 *
 * A program compiled against an older header passes a smaller size: what it does not know has its default,
 * and is not written.  A program compiled against a newer header passes a larger size: QUDAG_EUNSUPPORTED
 * unless all bytes this library does not know are zero; in structures the library fills they stay as they
 * are.  A size of 0, or one that no version can have (below 8, above 4096, no multiple of 4), is QUDAG_EINVAL.
 * Fields called |pad| must be zero.
 */
#ifdef __cplusplus
#define QUDAG_INIT(type)                                                                           \
    ([] {                                                                                          \
        type qudag_init_ = type();                                                                 \
        qudag_init_.size = static_cast<uint32_t>(sizeof(type));                                    \
        return qudag_init_;                                                                        \
    }())
#else
#define QUDAG_INIT(type)                                                                           \
    {                                                                                              \
        .size = (uint32_t)sizeof(type)                                                             \
    }
#endif

typedef uint64_t qudag_ns; /* a duration or a monotonic instant, nanoseconds */
#define QUDAG_MS ((qudag_ns)1000000)
#define QUDAG_S (1000 * QUDAG_MS)

/* Borrowed bytes; |base| may be NULL where |len| is 0. */
typedef struct qudag_slice {
    const uint8_t *base;
    size_t len;
} qudag_slice;

#define QUDAG_PEER_ID_MAX 44      /* a 42-byte key inlined in its multihash */
#define QUDAG_PEER_ID_TEXT_MAX 64 /* with NUL */
#define QUDAG_PQ_HASH_LEN 32
#define QUDAG_ADDR_TEXT_MAX 384  /* a multiaddr as text, with NUL */
#define QUDAG_DARK_TEXT_MAX 136  /* a dark address as text, with NUL */
#define QUDAG_DARK_LABEL_MAX 32  /* bytes, without NUL */
#define QUDAG_DARK_SECRET_MAX 57 /* text of a client's secret, NUL included */
#define QUDAG_HOPS_MAX 8
#define QUDAG_ISOLATION_MAX 32  /* bytes of an isolation key, see dark.h */
#define QUDAG_DARK_USER_MAX 256 /* bytes of the name of a user, see qudag_dark_resolve_for */

/* A libp2p peer id: |len| bytes of a multihash; those behind it are zero.  |len| 0: nobody. */
typedef struct qudag_peer_id {
    uint8_t len;
    uint8_t bytes[QUDAG_PEER_ID_MAX];
} qudag_peer_id;

/* Handles are values.  Using one after its object died yields QUDAG_ESTALE.  id 0 names nothing. */
typedef struct qudag_stream {
    uint64_t id;
} qudag_stream;
typedef struct qudag_circuit {
    uint64_t id;
} qudag_circuit;
typedef struct qudag_op {
    uint64_t id; /* one pending request */
} qudag_op;

/*
 * The allocator a program may supply; called on the node's thread only.  |alloc| returns memory aligned to
 * 16 bytes, or NULL; |free| takes NULL too.  This structure does not grow.
 */
typedef struct qudag_mem {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *ptr);
} qudag_mem;

typedef enum qudag_log_level {
    QUDAG_LOG_ERROR,
    QUDAG_LOG_WARN,
    QUDAG_LOG_INFO,
    QUDAG_LOG_DEBUG
} qudag_log_level;

/* Who may see a logged field. */
typedef enum qudag_log_class {
    QUDAG_LOG_PUBLIC,    /* may always be printed */
    QUDAG_LOG_NETWORK,   /* addresses and peer ids: only when the operator asks */
    QUDAG_LOG_SENSITIVE, /* circuit ids, dark addresses, timing: never in production */
} qudag_log_class;

typedef struct qudag_log_field {
    const char *name;
    qudag_log_class cls;
    const char *text; /* NULL: the value is |num| */
    int64_t num;
} qudag_log_field;

/* A structured record; borrowed for the duration of the call.  |size| is the library's. */
typedef struct qudag_log_record {
    uint32_t size;
    qudag_log_level level;
    const char *event; /* "kad.query.done" */
    size_t n;
    const qudag_log_field *fields;
} qudag_log_record;

typedef struct qudag_identity qudag_identity;
typedef struct qudag_node qudag_node;

#ifdef __cplusplus
}
#endif
#endif
