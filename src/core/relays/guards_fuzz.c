/*
 * guards_fuzz.c - a file of guards, whatever is in it: refused as a whole, or taken and written again as it was.
 *
 * The checksum is set right, so that what follows it is reached.
 */
#include "core/relays/relays_impl.h"

#include <stdlib.h>
#include <string.h>

#define EPOCH 1800000000

static void must(bool good)
{
    if (!good) {
        abort();
    }
}

static void use(struct relays *r)
{
    struct onion_hop hop[3];
    struct peer_id p;

    relays_settled(r, EPOCH);
    for (unsigned i = 0; i < 8; i++) {
        struct relays_path_want want = {.n = 1 + i % 3};
        qudag_err err = relays_path(r, &want, i * NS_PER_S, hop);
        if (err == QUDAG_OK) {
            must(!peer_id_eq(&hop[0].peer, &r->cfg.self));
            relays_failed(r, &hop[0].peer, i * NS_PER_S);
        }
    }
    (void)relays_guard_stale(r, NS_PER_S, &p);
    relays_expire(r, EPOCH + 40 * 86400, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t in[RELAYS_GUARDS_FILE_MAX], out[RELAYS_GUARDS_FILE_MAX];
    static const uint8_t seed[32] = {7};
    struct rng_stream s;
    struct mem mem;
    struct relays *r;

    if (size > sizeof(in) - RELAYS_SUM_LEN) {
        return 0;
    }
    mem_init(&mem, NULL, 0);
    rng_stream_init(&s, seed);
    struct relays_config cfg = {.mem = &mem, .rng = rng_of_stream(&s), .lab = true};
    must(relays_new(&r, &cfg) == QUDAG_OK);
    if (size > 0) {
        memcpy(in, data, size);
    }
    relays_guards_sum(in + size, (struct slice){in, size});
    struct slice file = {in, size + RELAYS_SUM_LEN};
    if (relays_guards_load(r, file) == QUDAG_OK) {
        size_t len = relays_guards_save(r, out, sizeof(out));
        must(len > 0);
        must(relays_guards_load(r, (struct slice){out, len}) == QUDAG_OK);
        use(r);
    }
    relays_free(r);
    must(mem.used == 0);
    return 0;
}
