/* circuit_msg_fuzz.c - an accepted message is written, read again and compared. */
#include "base/assert.h"
#include "base/rd.h"
#include "wire/circuit_msg.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct circuit_msg *a, const struct circuit_msg *b)
{
    bool alike = a->type == b->type && peer_id_eq(&a->peer, &b->peer) && a->status == b->status &&
                 a->limit.data == b->limit.data && a->limit.duration_s == b->limit.duration_s &&
                 a->has_reservation == b->has_reservation && a->expire == b->expire &&
                 a->n_addrs == b->n_addrs && a->voucher.len == b->voucher.len;

    for (size_t i = 0; alike && i < a->n_addrs; i++) {
        alike = multiaddr_eq(&a->addr[i], &b->addr[i]);
    }
    return alike &&
           (a->voucher.len == 0 || memcmp(a->voucher.base, b->voucher.base, a->voucher.len) == 0);
}

/* The first byte says of which protocol the rest is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct circuit_msg m, back;
    static uint8_t out[CIRCUIT_MSG_MAX + 8];
    struct wr w = wr_init(out, sizeof(out));

    if (size == 0) {
        return 0;
    }
    enum circuit_side side = (data[0] & 1) == 0 ? CIRCUIT_HOP : CIRCUIT_STOP;
    if (circuit_msg_read(&m, side, (struct slice){data + 1, size - 1}) != QUDAG_OK) {
        return 0;
    }
    ASSERT(m.n_addrs <= CIRCUIT_ADDRS_MAX && m.voucher.len <= CIRCUIT_VOUCHER_MAX);
    ASSERT(circuit_msg_write(&w, side, &m) == QUDAG_OK);
    struct rd r = rd_init(wr_done(&w));
    struct slice body = rd_lp(&r, CIRCUIT_MSG_MAX);
    ASSERT(rd_done(&r) && circuit_msg_read(&back, side, body) == QUDAG_OK && same(&m, &back));
    ASSERT((circuit_status_err(m.status) == QUDAG_OK) == (m.status == CIRCUIT_OK));
    return 0;
}
