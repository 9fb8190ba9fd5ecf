/* dht_keys.h - where in the DHT our records lie: the prefixes of their keys. */
#ifndef QUDAG_SRC_WIRE_DHT_KEYS_H
#define QUDAG_SRC_WIRE_DHT_KEYS_H

#include "base/types.h"

#include <string.h>

#define DHT_RELAY_PREFIX "/qudag/relay/" /* then the bytes of a peer id: its relay descriptor */
#define DHT_DARK_PREFIX                                                                            \
    "/qudag/dark/" /* then an index of DHT_DARK_INDEX_LEN bytes: a dark record */
#define DHT_DARK_INDEX_LEN 32

/* Whether |key| is |prefix| and at least one byte more; those bytes go to |*rest| (NULL allowed). */
static inline bool dht_key_under(struct slice key, const char *prefix, struct slice *rest)
{
    size_t len = strlen(prefix);

    if (key.len <= len || memcmp(key.base, prefix, len) != 0) {
        return false;
    }
    if (rest != NULL) {
        *rest = (struct slice){key.base + len, key.len - len};
    }
    return true;
}

#endif
