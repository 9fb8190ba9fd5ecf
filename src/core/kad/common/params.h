/* params.h - numbers and small types that all rooms of the DHT share (spec/kad.md). */
#ifndef QUDAG_SRC_CORE_KAD_COMMON_PARAMS_H
#define QUDAG_SRC_CORE_KAD_COMMON_PARAMS_H

#include "base/types.h"
#include "crypto/hash.h"

#include <string.h>

#define KAD_K 20
#define KAD_ALPHA_GET 3
#define KAD_ALPHA_FIND 10
#define KAD_PATHS 8         /* disjoint paths of a read that matters ... */
#define KAD_PATH_ANSWERS 3  /* ... and nodes near the key that each must hear */
#define KAD_READ_ANSWERS 16 /* of the 20 nearest, for a quorum read */
#define KAD_CONFIRM 3       /* nodes that must hold the best value */
#define KAD_REQUEST_TIMEOUT (60 * NS_PER_S)
#define KAD_RECORD_LIFE (24 * 3600) /* s */
#define KAD_REPUBLISH (12 * 3600)   /* s, varied by 10 % */

/* How sure a read must be before it is reported. */
enum kad_read {
    KAD_READ_DEFAULT,   /* as the namespace says */
    KAD_READ_FIRST,     /* the first valid value: right where a key has only one */
    KAD_READ_CONFIRMED, /* KAD_CONFIRM nodes hold the best value */
    KAD_READ_QUORUM,    /* KAD_READ_ANSWERS nodes answered, or all near the key */
    KAD_READ_PATHS, /* KAD_PATHS disjoint paths each reached KAD_PATH_ANSWERS nodes near the key */
};

/* What one peer, one network (/24, /48) and all together may; 0: the default. */
struct kad_limit {
    uint32_t peer, network, all;
};

struct kad_limits {
    struct kad_limit requests; /* a second, served; default 200, 400, 5000 */
    struct kad_limit stores;   /* of these PUT_VALUE, ADD_PROVIDER: signatures; 50, 100, 500 */
    struct kad_limit records;  /* an hour, new here; records_max / 8, records_max / 4, no limit */
};

/* What is reported to the owner of the core. */
enum kad_up {
    KAD_UP_DONE = 1, /* cookie, err; ptr: const struct kad_result * */
    KAD_UP_CLOCK,    /* peer, err: it refused what we wanted stored as of a wrong time */
    KAD_UP_PEER,     /* peer: entered the routing table (ptr: const struct kad_peer_info *) */
};

/* What is persisted; on disk: never renumber. */
enum kad_persist_kind {
    KAD_PERSIST_RECORD = 1,
    KAD_PERSIST_PROVIDERS = 2,
    KAD_PERSIST_OWN = 3,
    KAD_PERSIST_ANCHORS = 4, /* kad_anchors(), under a hash of zeros */
    KAD_PERSIST_PIN = 5,     /* of the swarm, which shares the store; never handed to the DHT */
};
#define KAD_PERSIST_MAX 17000 /* bytes of one item */

/* One item to be written; |bytes| empty: it is gone. */
struct kad_change {
    enum kad_persist_kind kind;
    uint8_t hash[SHA256_LEN];
    struct slice bytes; /* borrowed until the core is called again; at most KAD_PERSIST_MAX */
};

#define KAD_ANCHORS_MAX 100
#define KAD_ANCHORS_BYTES (64 * 1024)

static inline bool kad_slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

#endif
