/* voucher.c - reservation vouchers between wire and struct. */
#include "wire/voucher.h"

#include "wire/pb.h"

static const struct envelope_kind kind = {"libp2p-relay-rsvp", {0x03, 0x02}};

/* Numbers of fields. */
enum { VOUCHER_RELAY = 1, VOUCHER_PEER = 2, VOUCHER_EXPIRATION = 3 };

qudag_err voucher_sign(struct wr *w, const struct voucher *v, const struct secret_ed25519 *sk)
{
    uint8_t bytes[2 * PEER_ID_MAX + 32];
    struct wr payload = wr_init(bytes, sizeof(bytes));

    pb_put_bytes(&payload, VOUCHER_RELAY, peer_id_slice(&v->relay));
    pb_put_bytes(&payload, VOUCHER_PEER, peer_id_slice(&v->peer));
    pb_put_varint(&payload, VOUCHER_EXPIRATION, v->expiration);
    return envelope_seal(w, &kind, wr_done(&payload), sk, &v->relay);
}

qudag_err voucher_open(struct voucher *v, struct slice envelope, const struct peer_id *relay)
{
    struct voucher got = {.expiration = 0};
    struct slice payload, by = {NULL, 0}, peer = {NULL, 0};
    struct pb_field f;
    qudag_err err = envelope_open(&payload, &kind, envelope, relay);

    if (err != QUDAG_OK) {
        return err;
    }
    struct rd r = rd_init(payload);
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case VOUCHER_RELAY:
            by = pb_bytes(&r, &f);
            break;
        case VOUCHER_PEER:
            peer = pb_bytes(&r, &f);
            break;
        case VOUCHER_EXPIRATION:
            got.expiration = pb_varint(&r, &f);
            break;
        default:
            break;
        }
    }
    if (!rd_ok(&r) || peer_id_from_bytes(&got.relay, by) != QUDAG_OK ||
        peer_id_from_bytes(&got.peer, peer) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    if (!peer_id_eq(&got.relay, relay)) {
        return QUDAG_EAUTH;
    }
    *v = got;
    return QUDAG_OK;
}
