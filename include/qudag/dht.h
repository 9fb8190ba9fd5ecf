/* dht.h - the distributed hash table.  Every request ends in exactly one op_done. */
#ifndef QUDAG_DHT_H
#define QUDAG_DHT_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Keys: "/namespace/..." up to 128 bytes; values up to 8192 bytes, judged by the namespace's rules. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_put(qudag_node *n, qudag_slice key, qudag_slice value,
                                                 qudag_op *op); /* result: peers that stored it */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_get(qudag_node *n, qudag_slice key, qudag_op *op);
/* The peers closest to |key| (any bytes). */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_closest(qudag_node *n, qudag_slice key, qudag_op *op);
/* Addresses of |peer|. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_find_peer(qudag_node *n, const qudag_peer_id *peer,
                                                       qudag_op *op);
/* |content| is hashed: the key is its sha2-256 multihash, as other libp2p nodes expect. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_provide(qudag_node *n, qudag_slice content,
                                                     qudag_op *op);
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dht_providers(qudag_node *n, qudag_slice content,
                                                       qudag_op *op);

typedef struct qudag_dht_record {
    qudag_slice key, value; /* borrowed until the next call on the node */
    int64_t expires;        /* seconds since 1970 */
} qudag_dht_record;
/* What this node stores for the network. */
QUDAG_API bool qudag_dht_record_next(const qudag_node *n, size_t *it, qudag_dht_record *out);
/* The routing table. */
QUDAG_API bool qudag_dht_table_next(const qudag_node *n, size_t *it, qudag_peer_id *peer);

#ifdef __cplusplus
}
#endif
#endif
