/* persist_fuzz.c - whatever lay on disk: taken or refused, and never handed out beyond its life. */
#include "core/kad/kad_int.h"

#include <stdlib.h>

static qudag_err check(void *ctx, struct slice key, struct slice value, walltime now,
                       walltime *expires)
{
    (void)ctx;
    (void)key;
    (void)now;
    (void)expires;
    return value.len > 0 ? QUDAG_OK : QUDAG_EAUTH;
}

static void must(bool good)
{
    if (!good) {
        abort();
    }
}

static void restore(struct kad *k, const uint8_t *data, size_t size)
{
    uint8_t hash[SHA256_LEN] = {data[0]};
    enum kad_persist_kind kind = (enum kad_persist_kind)(data[0] % 5);
    struct slice bytes = {data + 1, size - 1};
    struct kad_change c;
    struct kad_peer_info info;
    size_t key_at = kind == KAD_PERSIST_RECORD ? 19 : 12;

    if (kind != KAD_PERSIST_PROVIDERS && bytes.len > key_at) { /* as if the name were right */
        size_t len = (size_t)bytes.base[key_at - 2] << 8 | bytes.base[key_at - 1];
        len = len < bytes.len - key_at ? len : bytes.len - key_at;
        uint8_t named[KAD_PERSIST_MAX];
        named[0] = bytes.base[1] != 0 ? 1 : 0;
        len = len < sizeof(named) - 1 ? len : sizeof(named) - 1;
        memcpy(named + 1, bytes.base + key_at, len);
        sha256(hash, kind == KAD_PERSIST_OWN ? (struct slice){named, 1 + len}
                                             : (struct slice){named + 1, len});
    }
    if (kad_restore(k, kind, hash, bytes, NS_PER_S) == QUDAG_OK) {
        kad_change_all(k);
        must(kad_change_next(k, &c, NS_PER_S));
        must(c.kind == kind && memcmp(c.hash, hash, SHA256_LEN) == 0 && c.bytes.len > 0);
    }
    for (size_t at = 0; kad_anchor_next(bytes, &at, &info);) {
        must(info.n_addrs <= KAD_ADDRS_MAX && info.id.len <= PEER_ID_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mem mem;
    struct rng_stream rng;
    struct kad *k;

    mem_init(&mem, NULL, 0);
    rng_stream_init(&rng, (const uint8_t[32]){3});
    struct kad_config c = {.mem = &mem,
                           .rng = rng_of_stream(&rng),
                           .clock = {1000, 0},
                           .protocol = KAD_PROTOCOL,
                           .lab = true,
                           .report_store = true,
                           .n_validators = 1};
    c.validator[0] = (struct kad_validator){.ns = "v", .value_max = KAD_VALUE_MAX, .check = check};
    peer_id_from_ed25519(&c.self, (const uint8_t[32]){99});
    if (size < 2 || kad_new(&k, &c, 0) != QUDAG_OK) {
        return 0;
    }
    restore(k, data, size);
    kad_free(k);
    must(mem.used == 0);
    return 0;
}
