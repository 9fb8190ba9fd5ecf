/* peer_record.c - signed peer records between wire and struct. */
#include "wire/peer_record.h"

#include "wire/envelope.h"
#include "wire/pb.h"

static const struct envelope_kind kind = {"libp2p-peer-record", {0x03, 0x01}};

/* Numbers of fields. */
enum { REC_PEER = 1, REC_SEQ = 2, REC_ADDR_INFO = 3 };
enum { INFO_ADDR = 1 };

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
    uint8_t bytes[PEER_RECORD_MAX];
    struct wr payload = wr_init(bytes, sizeof(bytes));

    payload_put(&payload, r);
    return wr_ok(&payload) ? envelope_seal(w, &kind, wr_done(&payload), sk, &r->peer)
                           : QUDAG_ETOOBIG;
}

/* ------------------------------------------------------------------ opening */

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

qudag_err peer_record_open(struct peer_record *r, struct slice envelope,
                           const struct peer_id *signer)
{
    struct peer_record rec = {.seq = 0};
    struct slice payload;
    qudag_err err = envelope_open(&payload, &kind, envelope, signer);

    if (err == QUDAG_OK) {
        err = payload_read(&rec, payload);
    }
    if (err == QUDAG_OK && !peer_id_eq(&rec.peer, signer)) {
        err = QUDAG_EAUTH;
    }
    if (err == QUDAG_OK) {
        *r = rec;
    }
    return err;
}
