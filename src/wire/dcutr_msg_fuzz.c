/* dcutr_msg_fuzz.c - an accepted message is written, read again and compared. */
#include "base/assert.h"
#include "base/rd.h"
#include "wire/dcutr_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dcutr_msg m, back;
    static uint8_t out[DCUTR_MSG_MAX + 8];
    struct wr w = wr_init(out, sizeof(out));

    if (dcutr_msg_read(&m, (struct slice){data, size}) != QUDAG_OK) {
        return 0;
    }
    ASSERT(m.n_addrs <= DCUTR_ADDRS_MAX);
    ASSERT(dcutr_msg_write(&w, &m) == QUDAG_OK);
    struct rd r = rd_init(wr_done(&w));
    struct slice body = rd_lp(&r, DCUTR_MSG_MAX);
    ASSERT(rd_done(&r) && dcutr_msg_read(&back, body) == QUDAG_OK);
    ASSERT(back.type == m.type && back.n_addrs == m.n_addrs);
    for (size_t i = 0; i < m.n_addrs; i++) {
        ASSERT(multiaddr_eq(&m.addr[i], &back.addr[i]));
    }
    return 0;
}
