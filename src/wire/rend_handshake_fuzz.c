/*
 * rend_handshake_fuzz.c - what a caller seals, and handshakes changed on the way.
 *
 * A sealed part that is accepted is written again and is the same, byte for byte.  A handshake is opened only when
 * nothing in it was changed.
 */
#include "base/assert.h"
#include "wire/rend_work.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rend_keys keys;
static struct rend_target target;
static uint8_t valid[REND_HS_LEN], valid_tail[REND_HS_TAIL_LEN];
static bool ready;

static void start(void)
{
    static const uint8_t seed[32] = "rendezvous handshake fuzz";
    static const uint8_t ext[] = {1, 0, 4, 'w', 'o', 'r', 'k', 7, 0, 0};
    const struct slice list = {ext, sizeof ext};
    struct rend_hs_caller caller = {.hs = {.dk = NULL}};
    struct rend_point at = {.relay = {.n_addrs = 0}};
    struct rng_stream stream;

    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    ASSERT(rend_keys_make(&keys, &rng) == QUDAG_OK);
    memcpy(target.x, keys.x, sizeof target.x);
    memcpy(target.k, keys.k, sizeof target.k);
    peer_id_from_ed25519(&at.relay.peer, seed);
    memcpy(at.relay.k, keys.k, sizeof at.relay.k);
    ASSERT(rend_hs_create(&caller, &target, &at, list, &rng, valid) == QUDAG_OK);
    rend_hs_drop(&caller);
    rend_hs_tail_put(valid_tail, &at, list);
    ready = true;
}

static void try_tail(const uint8_t tail[REND_HS_TAIL_LEN])
{
    static uint8_t again[REND_HS_TAIL_LEN];
    struct rend_point at;
    struct slice ext, found;

    if (rend_hs_tail_get(tail, &at, &ext) != QUDAG_OK) {
        return;
    }
    ASSERT(ext.len <= REND_HS_EXT_ROOM);
    for (unsigned type = 0; type < 256; type++) {
        if (rend_ext_find(ext, (uint8_t)type, &found)) {
            ASSERT(type > 0 && type < 128 && found.len <= ext.len - 3);
        }
    }
    struct rend_work work;
    if (rend_work_get(ext, &work) == QUDAG_OK) {
        uint8_t one[REND_WORK_EXT_LEN];
        ASSERT(work.effort > 0);
        rend_work_put(one, &work);
        ASSERT(rend_ext_find(ext, REND_EXT_WORK, &found));
        ASSERT(memcmp(one, found.base - 3, sizeof one) == 0);
    }
    if (ext.len <= REND_HS_EXT_MAX) {
        rend_hs_tail_put(again, &at, ext);
        ASSERT(memcmp(again, tail, sizeof again) == 0);
    }
}

static void try_handshake(const uint8_t handshake[REND_HS_LEN])
{
    const struct rend_hs_own own = {target.addr, target.intro_key, &keys};
    struct rend_hs_asked asked;

    qudag_err err = rend_hs_open(&asked, &own, handshake);
    ASSERT(err == QUDAG_OK || err == QUDAG_EAUTH);
    ASSERT((err == QUDAG_OK) == (memcmp(handshake, valid, sizeof valid) == 0));
    rend_hs_asked_drop(&asked);
}

/* The input as a sealed part; as three-byte patches (position, value) of a valid one; the same of a handshake. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t tail[REND_HS_TAIL_LEN], handshake[REND_HS_LEN];

    if (!ready) {
        start();
    }
    memset(tail, 0, sizeof tail);
    if (size > 0) {
        memcpy(tail, data, size < sizeof tail ? size : sizeof tail);
    }
    try_tail(tail);
    memcpy(tail, valid_tail, sizeof tail);
    memcpy(handshake, valid, sizeof handshake);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        size_t at = (size_t)data[i] << 8 | data[i + 1];
        tail[at % sizeof tail] = data[i + 2];
        handshake[at % sizeof handshake] = data[i + 2];
    }
    try_tail(tail);
    try_handshake(handshake);
    return 0;
}
