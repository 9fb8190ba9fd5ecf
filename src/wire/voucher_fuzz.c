/*
 * voucher_fuzz.c - whatever is accepted is signed again, opened again and compared.
 *
 * In fuzz builds signatures are not checked, so that what lies behind them is reached.
 */
#include "base/assert.h"
#include "wire/voucher.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secret_ed25519 sk; /* of the seeds: 00 01 .. 1f */
static struct peer_id self;

static void start(void)
{
    uint8_t pk[ED25519_PK_LEN];

    for (size_t i = 0; i < sizeof(sk.seed); i++) {
        sk.seed[i] = (uint8_t)i;
    }
    ASSERT(ed25519_public(pk, &sk) == QUDAG_OK);
    peer_id_from_ed25519(&self, pk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[ENVELOPE_MAX];
    struct wr w = wr_init(out, sizeof(out));
    struct voucher v, back;

    if (self.len == 0) {
        start();
    }
    if (voucher_open(&v, (struct slice){data, size}, &self) != QUDAG_OK) {
        return 0;
    }
    ASSERT(peer_id_eq(&v.relay, &self) && v.peer.len > 0);
    ASSERT(voucher_sign(&w, &v, &sk) == QUDAG_OK);
    ASSERT(voucher_open(&back, wr_done(&w), &self) == QUDAG_OK);
    ASSERT(back.expiration == v.expiration && peer_id_eq(&back.peer, &v.peer));
    return 0;
}
