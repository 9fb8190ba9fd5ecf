/* onion_ends.c - statements of nodes that end circuits: signed, written, read, checked. */
#include "wire/onion_ends.h"

#include <string.h>

#define CONTEXT "qudag ends circuits v1"
#define SIGNED_MAX (sizeof CONTEXT + 1 + PEER_ID_MAX + ONION_ENDS_MAX)

/* All but the signature. */
static void put_body(struct wr *w, const struct onion_hop *hop)
{
    wr_bytes(w, hop->pq_hash, sizeof hop->pq_hash);
    wr_u64(w, (uint64_t)hop->ends_until);
    wr_u8(w, hop->n_addrs);
    for (size_t i = 0; i < hop->n_addrs; i++) {
        wr_u8(w, hop->addr[i].len);
        wr_slice(w, multiaddr_slice(&hop->addr[i]));
    }
}

static struct slice signed_part(uint8_t buf[SIGNED_MAX], const struct onion_hop *hop)
{
    struct wr w = wr_init(buf, SIGNED_MAX);

    wr_bytes(&w, CONTEXT, sizeof CONTEXT); /* its NUL ends it */
    wr_u8(&w, hop->peer.len);
    wr_slice(&w, peer_id_slice(&hop->peer));
    put_body(&w, hop);
    return wr_ok(&w) ? wr_done(&w) : (struct slice){NULL, 0};
}

static size_t addrs_len(const struct onion_hop *hop)
{
    size_t len = 0;

    for (size_t i = 0; i < hop->n_addrs && i < ONION_ADDRS_MAX; i++) {
        len += 1u + hop->addr[i].len;
    }
    return len;
}

void onion_ends_fit(struct onion_hop *hop)
{
    while (hop->n_addrs > 0 &&
           (hop->n_addrs > ONION_ADDRS_MAX || addrs_len(hop) > ONION_ENDS_ADDRS_MAX)) {
        hop->n_addrs--;
    }
}

qudag_err onion_ends_sign(struct onion_hop *hop, walltime until, const struct identity *id)
{
    uint8_t buf[SIGNED_MAX], pk[ED25519_PK_LEN];

    onion_ends_fit(hop);
    if (until < 0 || !peer_id_ed25519(&hop->peer, pk) || memcmp(pk, id->ed_pk, sizeof pk) != 0) {
        return QUDAG_EINVAL;
    }
    hop->ends_until = until;
    struct slice msg = signed_part(buf, hop);
    return msg.base == NULL ? QUDAG_EINVAL : ed25519_sign(hop->ends_sig, &id->ed_sk, msg);
}

void onion_ends_put(struct wr *w, const struct onion_hop *hop)
{
    put_body(w, hop);
    wr_bytes(w, hop->ends_sig, sizeof hop->ends_sig);
}

qudag_err onion_ends_get(struct onion_hop *hop, struct slice bytes)
{
    struct rd r = rd_init(bytes);

    rd_copy(&r, hop->pq_hash, sizeof hop->pq_hash);
    uint64_t until = rd_u64(&r);
    hop->n_addrs = rd_u8(&r);
    if (!rd_ok(&r) || until > INT64_MAX || hop->n_addrs > ONION_ADDRS_MAX) {
        return QUDAG_EMALFORMED;
    }
    hop->ends_until = (walltime)until;
    for (uint8_t i = 0; i < hop->n_addrs; i++) {
        struct slice addr = rd_bytes(&r, rd_u8(&r));
        if (!rd_ok(&r) || multiaddr_from_bytes(&hop->addr[i], addr) != QUDAG_OK) {
            return QUDAG_EMALFORMED;
        }
    }
    rd_copy(&r, hop->ends_sig, sizeof hop->ends_sig);
    return rd_done(&r) && addrs_len(hop) <= ONION_ENDS_ADDRS_MAX ? QUDAG_OK : QUDAG_EMALFORMED;
}

qudag_err onion_ends_check(const struct onion_hop *hop, walltime now)
{
    uint8_t buf[SIGNED_MAX], pk[ED25519_PK_LEN];

    if (now < 0 || hop->ends_until - now > ONION_ENDS_LIFE_MAX + ONION_ENDS_SKEW) {
        return QUDAG_ECLOCK;
    }
    if (now - hop->ends_until >= ONION_ENDS_SKEW) {
        return QUDAG_EEXPIRED;
    }
    struct slice msg = signed_part(buf, hop);
    if (msg.base == NULL || !peer_id_ed25519(&hop->peer, pk)) {
        return QUDAG_EAUTH;
    }
    return ed25519_verify(pk, hop->ends_sig, msg) == QUDAG_OK ? QUDAG_OK : QUDAG_EAUTH;
}
