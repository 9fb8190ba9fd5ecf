/* dcutr_msg.c - messages of DCUtR between wire and struct. */
#include "wire/dcutr_msg.h"

#include "wire/pb.h"

enum { PUNCH_TYPE = 1, PUNCH_ADDR = 2 };

_Static_assert(DCUTR_ADDRS_MAX *(MULTIADDR_MAX + 4) + 8 <= DCUTR_MSG_MAX, "all of them fit");

qudag_err dcutr_msg_write(struct wr *w, const struct dcutr_msg *m)
{
    uint8_t bytes[DCUTR_MSG_MAX];
    struct wr in = wr_init(bytes, sizeof(bytes));

    pb_put_varint(&in, PUNCH_TYPE, m->type);
    for (size_t i = 0; i < m->n_addrs; i++) {
        pb_put_bytes(&in, PUNCH_ADDR, multiaddr_slice(&m->addr[i]));
    }
    if (!wr_ok(&in)) {
        return QUDAG_ETOOBIG;
    }
    wr_lp(w, wr_done(&in));
    return wr_ok(w) ? QUDAG_OK : QUDAG_ETOOBIG;
}

qudag_err dcutr_msg_read(struct dcutr_msg *m, struct slice in)
{
    struct dcutr_msg got = {.n_addrs = 0};
    struct rd r = rd_init(in);
    struct pb_field f;
    uint64_t type = 0;

    if (in.len > DCUTR_MSG_MAX) {
        return QUDAG_ETOOBIG;
    }
    while (pb_next(&r, &f)) {
        if (f.number == PUNCH_TYPE) {
            type = pb_varint(&r, &f);
        } else if (f.number == PUNCH_ADDR) {
            struct slice a = pb_bytes(&r, &f);
            if (got.n_addrs < DCUTR_ADDRS_MAX &&
                multiaddr_from_bytes(&got.addr[got.n_addrs], a) == QUDAG_OK) {
                got.n_addrs++;
            }
        }
    }
    if (!rd_ok(&r) || (type != DCUTR_CONNECT && type != DCUTR_SYNC)) {
        return QUDAG_EMALFORMED;
    }
    got.type = (enum dcutr_type)type;
    *m = got;
    return QUDAG_OK;
}
