/*
 * peer_record_fuzz.c - whatever is accepted is signed again, opened again and compared.
 *
 * In fuzz builds signatures are not checked, so that what lies behind them is reached.
 */
#include "base/assert.h"
#include "wire/pb.h"
#include "wire/peer_record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secret_ed25519 sk = {{7}};
static struct peer_id self;
static uint8_t valid[PEER_RECORD_MAX];
static size_t valid_len;

static void start(void)
{
    struct peer_record r = {.seq = 300, .n_addrs = 2};
    struct netaddr a = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001};
    struct wr w = wr_init(valid, sizeof(valid));
    uint8_t pk[ED25519_PK_LEN];

    ASSERT(ed25519_public(pk, &sk) == QUDAG_OK);
    peer_id_from_ed25519(&self, pk);
    r.peer = self;
    multiaddr_quic(&r.addr[0], &a, NULL);
    a.family = 6;
    multiaddr_quic(&r.addr[1], &a, &self);
    ASSERT(peer_record_sign(&w, &r, &sk) == QUDAG_OK);
    valid_len = w.len;
}

static void try_one(struct slice in)
{
    static uint8_t out[PEER_RECORD_MAX];
    struct wr w = wr_init(out, sizeof(out));
    static struct peer_record r, back;

    if (peer_record_open(&r, in, &self) != QUDAG_OK) {
        return;
    }
    ASSERT(peer_id_eq(&r.peer, &self) && r.n_addrs <= PEER_RECORD_ADDRS_MAX);
    if (peer_record_sign(&w, &r, &sk) != QUDAG_OK) {
        return; /* ours is longer where theirs left fields out */
    }
    ASSERT(peer_record_open(&back, wr_done(&w), &self) == QUDAG_OK);
    ASSERT(back.seq == r.seq && back.n_addrs == r.n_addrs);
    for (size_t i = 0; i < r.n_addrs; i++) {
        ASSERT(multiaddr_eq(&r.addr[i], &back.addr[i]));
    }
}

/* The input as it is, and as three-byte patches of a valid record. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t patched[PEER_RECORD_MAX];

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
