/* persist.h - what outlives us, as bytes and back: records, provider records, publications, anchors. */
#ifndef QUDAG_SRC_CORE_KAD_STORAGE_PERSIST_H
#define QUDAG_SRC_CORE_KAD_STORAGE_PERSIST_H

#include "core/kad/routing/contacts.h"
#include "core/kad/storage/republish.h"

/* The room of what is stored, for others and by ourselves. */
struct kad_storage {
    struct kad_env *env;
    struct kad_routing *routing; /* for the contacts of provider records */
    const struct kad_rules *rules;
    struct kad_store store;
    struct kad_publications pubs;
};

/* The next dirty item; false: none.  |out->bytes| is borrowed from the buffers. */
bool kad_persist_next(struct kad_storage *s, struct kad_change *out, tstamp now);
/* Everything counts as dirty. */
void kad_persist_all(struct kad_storage *s);
/* One item read back; see kad_restore(). */
QUDAG_MUST_USE qudag_err kad_persist_restore(struct kad_storage *s, enum kad_persist_kind kind,
                                             const uint8_t hash[SHA256_LEN], struct slice bytes,
                                             tstamp now);
/* Up to KAD_ANCHORS_MAX contacts of the table into |dst|; the length. */
size_t kad_persist_anchors(const struct kad_table *t, uint8_t *dst, size_t cap);
/* Reads them one by one; *at starts at 0; false at the end, or where they make no sense. */
bool kad_persist_anchor_next(struct slice bytes, size_t *at, struct kad_peer_info *out);

#endif
