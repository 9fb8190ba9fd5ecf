/* peer_record.c - signed peer records between wire and struct. */
#include "wire/peer_record.h"

#include "wire/pb.h"

#include <string.h>

#define DOMAIN "libp2p-peer-record"

static const uint8_t payload_type[2] = {0x03, 0x01};

/* Numbers of fields. */
enum { ENV_KEY = 1, ENV_TYPE = 2, ENV_PAYLOAD = 3, ENV_SIGNATURE = 5 };
enum { REC_PEER = 1, REC_SEQ = 2, REC_ADDR_INFO = 3 };
enum { INFO_ADDR = 1 };

/* What the signature covers.  SPEC: RFC 0002, "Signature Production / Verification". */
static struct slice signed_bytes(struct wr *w, struct slice payload)
{
    wr_lp(w, (struct slice){(const uint8_t *)DOMAIN, sizeof(DOMAIN) - 1});
    wr_lp(w, (struct slice){payload_type, sizeof(payload_type)});
    wr_lp(w, payload);
    return wr_done(w);
}

/* ------------------------------------------------------------------ signing */

static void payload_put(struct wr *w, const struct peer_record *r)
{
    pb_put_bytes(w, REC_PEER, peer_id_slice(&r->peer));
    pb_put_varint(w, REC_SEQ, r->seq);
    for (size_t i = 0; i < r->n_addrs; i++) {
        pb_put_head(w, REC_ADDR_INFO, pb_bytes_len(INFO_ADDR, r->addr[i].len));
        pb_put_bytes(w, INFO_ADDR, multiaddr_slice(&r->addr[i]));
    }
}

qudag_err peer_record_sign(struct wr *w, const struct peer_record *r,
                           const struct secret_ed25519 *sk)
{
    uint8_t key[KEY_PROTO_ED25519], pk[ED25519_PK_LEN], own[ED25519_PK_LEN], sig[ED25519_SIG_LEN];
    uint8_t bytes[PEER_RECORD_MAX], covered[PEER_RECORD_MAX + 64];
    struct wr payload = wr_init(bytes, sizeof(bytes));
    struct wr all = wr_init(covered, sizeof(covered));
    size_t start = w->len;

    if (!peer_id_ed25519(&r->peer, pk) || ed25519_public(own, sk) != QUDAG_OK ||
        memcmp(pk, own, sizeof(pk)) != 0) {
        return QUDAG_EINVAL;
    }
    payload_put(&payload, r);
    struct slice signed_over = signed_bytes(&all, wr_done(&payload));
    if (!wr_ok(&payload) || !wr_ok(&all)) {
        return QUDAG_ETOOBIG;
    }
    qudag_err err = ed25519_sign(sig, sk, signed_over);
    if (err != QUDAG_OK) {
        return err;
    }
    key_proto_ed25519(key, pk);
    pb_put_bytes(w, ENV_KEY, (struct slice){key, sizeof(key)});
    pb_put_bytes(w, ENV_TYPE, (struct slice){payload_type, sizeof(payload_type)});
    pb_put_bytes(w, ENV_PAYLOAD, wr_done(&payload));
    pb_put_bytes(w, ENV_SIGNATURE, (struct slice){sig, sizeof(sig)});
    return wr_ok(w) && w->len - start <= PEER_RECORD_MAX ? QUDAG_OK : QUDAG_ETOOBIG;
}

/* ------------------------------------------------------------------ opening */

struct envelope {
    struct slice key, type, payload, signature;
};

static bool envelope_read(struct envelope *e, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;

    while (pb_next(&r, &f)) {
        switch (f.number) {
        case ENV_KEY:
            e->key = pb_bytes(&r, &f);
            break;
        case ENV_TYPE:
            e->type = pb_bytes(&r, &f);
            break;
        case ENV_PAYLOAD:
            e->payload = pb_bytes(&r, &f);
            break;
        case ENV_SIGNATURE:
            e->signature = pb_bytes(&r, &f);
            break;
        default:
            break;
        }
    }
    return rd_ok(&r);
}

static void addr_take(struct peer_record *rec, struct slice bytes)
{
    struct multiaddr a;

    if (rec->n_addrs == PEER_RECORD_ADDRS_MAX || multiaddr_from_bytes(&a, bytes) != QUDAG_OK) {
        return;
    }
    for (size_t i = 0; i < rec->n_addrs; i++) {
        if (multiaddr_eq(&rec->addr[i], &a)) {
            return;
        }
    }
    rec->addr[rec->n_addrs++] = a;
}

static bool info_read(struct peer_record *rec, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;
    struct slice addr = {NULL, 0};

    while (pb_next(&r, &f)) {
        if (f.number == INFO_ADDR) {
            addr = pb_bytes(&r, &f);
        }
    }
    if (rd_ok(&r)) {
        addr_take(rec, addr);
    }
    return rd_ok(&r);
}

static qudag_err payload_read(struct peer_record *rec, struct slice in)
{
    struct rd r = rd_init(in);
    struct pb_field f;
    struct slice peer = {NULL, 0};
    bool infos = true;

    while (infos && pb_next(&r, &f)) {
        switch (f.number) {
        case REC_PEER:
            peer = pb_bytes(&r, &f);
            break;
        case REC_SEQ:
            rec->seq = pb_varint(&r, &f);
            break;
        case REC_ADDR_INFO:
            infos = info_read(rec, pb_bytes(&r, &f));
            break;
        default:
            break;
        }
    }
    return rd_ok(&r) && infos ? peer_id_from_bytes(&rec->peer, peer) : QUDAG_EMALFORMED;
}

static qudag_err envelope_check(const struct envelope *e, const struct peer_id *signer)
{
    uint8_t covered[PEER_RECORD_MAX + 64], pk[ED25519_PK_LEN];
    struct wr w = wr_init(covered, sizeof(covered));
    struct peer_id key_id;

    qudag_err err = peer_id_from_key_proto(&key_id, e->key);
    if (err != QUDAG_OK) {
        return err;
    }
    if (e->type.len != sizeof(payload_type) ||
        memcmp(e->type.base, payload_type, sizeof(payload_type)) != 0) {
        return QUDAG_EUNSUPPORTED;
    }
    if (!peer_id_eq(&key_id, signer)) {
        return QUDAG_EAUTH;
    }
    if (!peer_id_ed25519(&key_id, pk)) {
        return QUDAG_EUNSUPPORTED;
    }
    if (e->signature.len != ED25519_SIG_LEN) {
        return QUDAG_EAUTH;
    }
    return ed25519_verify(pk, e->signature.base, signed_bytes(&w, e->payload));
}

qudag_err peer_record_open(struct peer_record *r, struct slice envelope,
                           const struct peer_id *signer)
{
    struct peer_record rec = {.seq = 0};
    struct envelope e = {.key = {NULL, 0}};

    if (envelope.len > PEER_RECORD_MAX) {
        return QUDAG_ETOOBIG;
    }
    if (!envelope_read(&e, envelope)) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = envelope_check(&e, signer);
    if (err == QUDAG_OK) {
        err = payload_read(&rec, e.payload);
    }
    if (err == QUDAG_OK && !peer_id_eq(&rec.peer, signer)) {
        err = QUDAG_EAUTH;
    }
    if (err == QUDAG_OK) {
        *r = rec;
    }
    return err;
}
