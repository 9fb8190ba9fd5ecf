/*
 * relay_desc_fuzz.c - an accepted descriptor is encoded by another signer, decoded and compared.
 *
 * In fuzz builds signatures are not checked, so that what lies behind them is reached.
 */
#include "base/assert.h"
#include "wire/relay_desc.h"

#include <string.h>

#define NOW 1700000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct identity signer;
static struct rng_stream stream;
static uint8_t valid[RELAY_DESC_MAX];
static size_t valid_len;

static void fields_compare(const struct relay_desc *a, const struct relay_desc *b)
{
    ASSERT(a->seq == b->seq && a->not_before == b->not_before && a->expires == b->expires);
    ASSERT(a->flags == b->flags && a->n_addrs == b->n_addrs);
    ASSERT(memcmp(a->family, b->family, sizeof(a->family)) == 0);
    ASSERT(memcmp(a->onion_x, b->onion_x, sizeof(a->onion_x)) == 0);
    ASSERT(memcmp(a->onion_k, b->onion_k, sizeof(a->onion_k)) == 0);
    ASSERT(memcmp(a->key_id, b->key_id, sizeof(a->key_id)) == 0);
    for (size_t i = 0; i < a->n_addrs; i++) {
        ASSERT(multiaddr_eq(&a->addr[i], &b->addr[i]));
    }
}

static void start(void)
{
    static const uint8_t seed[32] = "relay descriptor fuzz";
    struct rng rng;
    struct relay_desc d = {.n_addrs = 2, .not_before = NOW, .expires = NOW + 3600, .seq = 7};
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};

    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    ASSERT(identity_generate(&signer, &rng) == QUDAG_OK);
    multiaddr_quic(&d.addr[0], &a, NULL);
    a.family = 6;
    peer_id_from_ed25519(&d.peer, signer.ed_pk);
    multiaddr_quic(&d.addr[1], &a, &d.peer);
    memset(d.family, 1, sizeof(d.family));
    ASSERT(relay_desc_encode(valid, sizeof(valid), &valid_len, &d, &signer, &rng) == QUDAG_OK);
}

static void try_one(struct slice in)
{
    static struct relay_desc d, back;
    static uint8_t out[RELAY_DESC_MAX];
    struct rng rng = rng_of_stream(&stream);
    struct peer_id peer;
    uint64_t seq = 0;
    size_t len = 0;

    bool peeked = relay_desc_peek(in, &peer, &seq) == QUDAG_OK;
    if (relay_desc_decode(&d, in, NOW) != QUDAG_OK) {
        return;
    }
    ASSERT(peeked && peer_id_eq(&peer, &d.peer) && seq == d.seq);
    for (size_t i = 0; i < d.n_addrs; i++) {
        multiaddr_strip_peer(&d.addr[i]); /* names the old signer */
        if (d.addr[i].len == 0 || multiaddr_peer(&d.addr[i], &peer)) {
            return;
        }
    }
    ASSERT(relay_desc_encode(out, sizeof(out), &len, &d, &signer, &rng) == QUDAG_OK);
    ASSERT(len <= in.len);
    ASSERT(relay_desc_decode(&back, (struct slice){out, len}, NOW) == QUDAG_OK);
    fields_compare(&d, &back);
}

/* The input as it is, and as three-byte patches (position, value) of a valid descriptor. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t patched[RELAY_DESC_MAX];

    if (valid_len == 0) {
        start();
    }
    try_one((struct slice){data, size});
    memcpy(patched, valid, valid_len);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        patched[((size_t)data[i] << 8 | data[i + 1]) % valid_len] = data[i + 2];
    }
    try_one((struct slice){patched, valid_len});
    return 0;
}
