/* dht_keys.h - where in the DHT our records lie: the prefixes of their keys. */
#ifndef QUDAG_SRC_WIRE_DHT_KEYS_H
#define QUDAG_SRC_WIRE_DHT_KEYS_H

#include "base/types.h"

#include <string.h>

#define DHT_DARK_RECORD_LEN 12288 /* bytes: every dark record has this size (spec/dark.md 3) */

#define DHT_RELAY_PREFIX "/qudag/relay/" /* then the bytes of a peer id: its relay descriptor */
#define DHT_PEER_PREFIX "/qudag/peer/"   /* then the bytes of a peer id: its signed peer record */
#define DHT_DARK_PREFIX                                                                            \
    "/qudag/dark/" /* then an index of DHT_DARK_INDEX_LEN bytes: a dark record */
#define DHT_DARK_INDEX_LEN 32
/* No key of the DHT: what the end of a circuit is asked for by who wants the index of some dark record it stores. */
#define DHT_SAMPLE_KEY "/qudag/sample/"

/* Whether |k| is |prefix| and at least one byte more; those bytes go to |*rest| (NULL allowed). */
static inline bool dht_key_under(struct slice k, const char *prefix, struct slice *rest)
{
    size_t len = strlen(prefix);

    if (k.len <= len || memcmp(k.base, prefix, len) != 0) {
        return false;
    }
    if (rest != NULL) {
        *rest = (struct slice){k.base + len, k.len - len};
    }
    return true;
}

/* Whether |k| is DHT_SAMPLE_KEY. */
static inline bool dht_key_is_sample(struct slice k)
{
    return k.len == sizeof(DHT_SAMPLE_KEY) - 1 && memcmp(k.base, DHT_SAMPLE_KEY, k.len) == 0;
}

#endif
