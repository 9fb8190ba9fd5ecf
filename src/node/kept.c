/* kept.c - see kept.h. */
#include "node/kept.h"

#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

#define VERSION 1

size_t node_kept_write(uint8_t dst[NODE_KEPT_BYTES_MAX], const struct node_keep_wish *w, size_t n)
{
    struct wr out = wr_init(dst, NODE_KEPT_BYTES_MAX);

    wr_u8(&out, VERSION);
    for (size_t i = 0; i < n; i++) {
        wr_u8(&out, w[i].peer.len);
        wr_bytes(&out, w[i].peer.b, w[i].peer.len);
        wr_u8(&out, w[i].addr.len);
        wr_bytes(&out, w[i].addr.b, w[i].addr.len);
        wr_u8(&out, w[i].has_pq ? 1 : 0);
        wr_bytes(&out, w[i].pq_hash, w[i].has_pq ? sizeof(w[i].pq_hash) : 0);
    }
    return wr_ok(&out) ? wr_done(&out).len : 0;
}

static qudag_err read_one(struct node_keep_wish *out, struct rd *r)
{
    *out = (struct node_keep_wish){.has_pq = false};
    struct slice peer = rd_bytes(r, rd_u8(r)), addr = rd_bytes(r, rd_u8(r));
    uint8_t has = rd_u8(r);
    struct slice hash = rd_bytes(r, has == 1 ? sizeof(out->pq_hash) : 0);

    if (!rd_ok(r) || has > 1 || peer_id_from_bytes(&out->peer, peer) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    if (addr.len > 0 && multiaddr_from_bytes(&out->addr, addr) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    out->has_pq = has == 1;
    if (out->has_pq) {
        memcpy(out->pq_hash, hash.base, sizeof(out->pq_hash));
    }
    return QUDAG_OK;
}

qudag_err node_kept_read(struct node_keep_wish *out, size_t *n, struct slice bytes)
{
    struct rd r = rd_init(bytes);
    uint8_t version = rd_u8(&r);
    size_t got = 0;

    *n = 0;
    if (!rd_ok(&r)) {
        return QUDAG_EMALFORMED;
    }
    if (version != VERSION) {
        return QUDAG_EUNSUPPORTED;
    }
    while (!rd_done(&r)) {
        if (got == KEEP_MAX) {
            return QUDAG_ETOOBIG;
        }
        qudag_err err = read_one(&out[got], &r);
        if (err != QUDAG_OK) {
            return err;
        }
        got++;
    }
    *n = got;
    return QUDAG_OK;
}
