/*
 * peer_record.h - signed peer records in the DHT: where a peer is, as it says itself (spec/peer-records.md).
 *
 *   "/qudag/peer/" and the bytes of a peer id ─▶ the signed envelope of that peer's record (wire/peer_record.h)
 *
 * The sequence number is a time: the second at which the record was made, by the calendar of who signed it.  So it
 * ends by itself, and whoever keeps an old one cannot make it last.
 */
#ifndef QUDAG_SRC_NODE_PEER_RECORD_H
#define QUDAG_SRC_NODE_PEER_RECORD_H

#include "base/mem.h"
#include "wire/dht_keys.h"
#include "wire/peer_record.h"

#define NODE_PEER_KEY_MAX (sizeof(DHT_PEER_PREFIX) - 1 + PEER_ID_MAX) /* bytes */
#define NODE_PEER_RECORD_MAX 2048                                     /* bytes */
#define NODE_PEER_RECORD_LIFE 7200                                    /* s */
#define NODE_PEER_RECORD_AHEAD 900 /* s that a number may be ahead of our calendar */

/* The key under which the record of |id| is stored; returns its length in bytes. */
size_t node_rule_peer_key(uint8_t dst[NODE_PEER_KEY_MAX], const struct peer_id *id);

/*
 * A record that the very peer of |key| signed and whose time is not over; *expires is lowered to its end.
 * QUDAG_EMALFORMED (no such key), EAUTH, EEXPIRED, ECLOCK (made in the future), and of peer_record_open().
 */
QUDAG_MUST_USE qudag_err node_rule_peer_record(struct peer_record *r, struct slice key,
                                               struct slice value, walltime now, walltime *expires);
/* > 0: |a| is the newer of two records that were accepted for |key|; < 0: |b|; 0: equal, or no memory to tell. */
int node_rule_newer_record(struct mem *mem, struct slice key, struct slice a, struct slice b);

#endif
