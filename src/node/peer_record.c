/* peer_record.c - what is accepted as a peer record of the DHT; pure. */
#include "node/peer_record.h"

#include <string.h>

size_t node_rule_peer_key(uint8_t dst[NODE_PEER_KEY_MAX], const struct peer_id *id)
{
    size_t len = sizeof(DHT_PEER_PREFIX) - 1;

    memcpy(dst, DHT_PEER_PREFIX, len);
    memcpy(dst + len, id->b, id->len);
    return len + id->len;
}

static qudag_err open_as(struct peer_record *r, struct slice key, struct slice value)
{
    struct peer_id owner;
    struct slice rest;

    if (!dht_key_under(key, DHT_PEER_PREFIX, &rest) ||
        peer_id_from_bytes(&owner, rest) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    return peer_record_open(r, value, &owner);
}

qudag_err node_rule_peer_record(struct peer_record *r, struct slice key, struct slice value,
                                walltime now, walltime *expires)
{
    qudag_err err = open_as(r, key, value);
    uint64_t wall = now > 0 ? (uint64_t)now : 0;

    if (err != QUDAG_OK) {
        return err;
    }
    if (r->seq > wall && r->seq - wall > NODE_PEER_RECORD_AHEAD) {
        return QUDAG_ECLOCK;
    }
    if (r->seq + NODE_PEER_RECORD_LIFE <= wall) {
        return QUDAG_EEXPIRED;
    }
    walltime end = (walltime)(r->seq + NODE_PEER_RECORD_LIFE);
    *expires = end < *expires ? end : *expires;
    return QUDAG_OK;
}

int node_rule_newer_record(struct mem *mem, struct slice key, struct slice a, struct slice b)
{
    struct peer_record *r = mem_alloc_n(mem, 2, sizeof(*r));
    int newer = 0;

    if (r != NULL) {
        bool has_a = open_as(&r[0], key, a) == QUDAG_OK, has_b = open_as(&r[1], key, b) == QUDAG_OK;
        if (has_a && has_b) {
            newer = r[0].seq > r[1].seq ? 1 : r[0].seq < r[1].seq ? -1 : 0;
        } else {
            newer = (has_a ? 1 : 0) - (has_b ? 1 : 0);
        }
    }
    mem_free(mem, r);
    return newer;
}
