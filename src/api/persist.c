/* persist.c - between the node and its store on disk. */
#include "api/internal.h"

#include "base/wr.h"
#include "crypto/hash.h"

#include <string.h>

#define MIB (UINT64_C(1024) * 1024)

/*
 * What the quotas can fill, three times over: pages are half full at the least, and a page is written
 * again before the old one is free.
 */
static uint64_t size_max(const qudag_settings *s)
{
    uint64_t things = s->dht_bytes_max + UINT64_C(512) * s->dht_records_max +
                      UINT64_C(1024) * s->dht_providers_max +
                      UINT64_C(1024) * (KAD_VALUE_MAX + 512) + /* our own publications */
                      UINT64_C(65536) * 256;                   /* pins */

    return (3 * things + 16 * MIB) / MIB * MIB;
}

/* What marks the store of this identity.  No secret: who knows a peer's key can tell whether the store is his. */
static void owner_of(uint8_t out[STORE_OWNER_LEN], const struct identity *id)
{
    static const char label[] = "qudag store owner";
    uint8_t bytes[sizeof(label) + sizeof(id->ed_pk)];
    struct wr w = wr_init(bytes, sizeof(bytes));

    wr_bytes(&w, label, sizeof(label));
    wr_bytes(&w, id->ed_pk, sizeof(id->ed_pk));
    sha256(out, wr_done(&w));
}

qudag_err api_persist_open(struct qudag_node *n, const qudag_settings *s, const struct logger *log)
{
    uint8_t owner[STORE_OWNER_LEN];
    struct store_config c = {
        .dir = s->store_dir, .owner = owner, .size_max = size_max(s), .log = *log};
    char why[STORE_WHY_LEN];

    owner_of(owner, &s->identity->id);
    qudag_err err = store_open(&n->store, &c, why);
    if (err != QUDAG_OK) {
        log_event(log, LOG_ERROR, "store.open_failed", LOG_STR("why", why), LOG_ERR(err));
    }
    return err;
}

qudag_err api_persist_put(void *ctx, enum kad_persist_kind kind, const uint8_t *hash,
                          struct slice bytes)
{
    struct qudag_node *n = ctx;

    return store_put(n->store, (uint8_t)kind, hash, bytes);
}

static qudag_err load_one(void *ctx, uint8_t kind, const uint8_t *hash, struct slice bytes)
{
    struct qudag_node *n = ctx;

    return node_dht_restore(n->node, (enum kad_persist_kind)kind, hash, bytes, io_now());
}

void api_persist_load(struct qudag_node *n)
{
    tstamp began = io_now();
    struct kad_stats kad;
    struct store_stats st;

    if (n->store == NULL) {
        return;
    }
    qudag_err err = store_each(n->store, load_one, n); /* a failure is put right by the loop */
    kad_stats_get(node_kad(n->node), &kad);
    store_stats_get(n->store, &st);
    log_event(&n->logger, kad.restore_refused + st.bad_values > 0 ? LOG_WARN : LOG_INFO,
              "store.loaded", LOG_NUM("taken", kad.restored),
              LOG_NUM("dropped", kad.restore_refused), LOG_NUM("damaged", st.bad_values),
              LOG_NUM("bytes", st.size), LOG_NUM("ms", (io_now() - began) / NS_PER_MS),
              LOG_ERR(err));
}

qudag_err qudag_store_check(const char *dir, char *why, size_t why_len)
{
    struct store *s = NULL;
    struct store_config c = {.dir = dir, .look_only = true};
    char text[STORE_WHY_LEN] = "no folder is named";

    qudag_err err = dir == NULL ? QUDAG_EINVAL : store_open(&s, &c, text);
    if (why != NULL && why_len > 0) {
        size_t len = err == QUDAG_OK ? 0 : strlen(text);
        len = len < why_len - 1 ? len : why_len - 1;
        memcpy(why, text, len);
        why[len] = '\0';
    }
    return err;
}
