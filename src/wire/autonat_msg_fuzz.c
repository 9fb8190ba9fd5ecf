/* autonat_msg_fuzz.c - an accepted message is written, read again and compared. */
#include "base/assert.h"
#include "base/rd.h"
#include "wire/autonat_msg.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct autonat_msg *a, const struct autonat_msg *b)
{
    bool alike = a->type == b->type && a->n_addrs == b->n_addrs && a->nonce == b->nonce &&
                 a->status == b->status && a->dial == b->dial && a->addr_ix == b->addr_ix &&
                 a->num_bytes == b->num_bytes && a->data.len == b->data.len;

    for (size_t i = 0; alike && i < a->n_addrs; i++) {
        alike = multiaddr_eq(&a->addr[i], &b->addr[i]);
    }
    return alike && (a->data.len == 0 || memcmp(a->data.base, b->data.base, a->data.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct autonat_msg m, back;
    static uint8_t out[AUTONAT_MSG_MAX + 16];
    struct slice in = {data, size};
    struct wr w = wr_init(out, sizeof(out));
    uint64_t nonce, again;

    if (autonat_back_read(&nonce, in) == QUDAG_OK) {
        autonat_back_write(&w, nonce);
        struct rd r = rd_init(wr_done(&w));
        ASSERT(autonat_back_read(&again, rd_lp(&r, AUTONAT_BACK_MAX)) == QUDAG_OK);
        ASSERT(again == nonce && rd_done(&r));
        w = wr_init(out, sizeof(out));
    }
    if (autonat_msg_read(&m, in) != QUDAG_OK) {
        return 0;
    }
    ASSERT(m.n_addrs <= AUTONAT_ADDRS_MAX);
    if (autonat_msg_write(&w, &m) != QUDAG_OK) {
        return 0; /* at the limit, numbers may be written longer than they came */
    }
    struct rd r = rd_init(wr_done(&w));
    struct slice body = rd_lp(&r, AUTONAT_MSG_MAX);
    ASSERT(rd_done(&r) && autonat_msg_read(&back, body) == QUDAG_OK && same(&m, &back));
    return 0;
}
