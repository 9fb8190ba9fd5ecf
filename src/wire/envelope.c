/* envelope.c - signed envelopes between wire and payload. */
#include "wire/envelope.h"

#include "wire/pb.h"

#include <string.h>

/* Numbers of fields. */
enum { ENV_KEY = 1, ENV_TYPE = 2, ENV_PAYLOAD = 3, ENV_SIGNATURE = 5 };

struct envelope {
    struct slice key, type, payload, signature;
};

/* What the signature covers.  SPEC: RFC 0002, "Signature Production / Verification". */
static struct slice signed_bytes(struct wr *w, const struct envelope_kind *kind,
                                 struct slice payload)
{
    wr_lp(w, (struct slice){(const uint8_t *)kind->domain, strlen(kind->domain)});
    wr_lp(w, (struct slice){kind->type, sizeof(kind->type)});
    wr_lp(w, payload);
    return wr_done(w);
}

qudag_err envelope_seal(struct wr *w, const struct envelope_kind *kind, struct slice payload,
                        const struct secret_ed25519 *sk, const struct peer_id *signer)
{
    uint8_t key[KEY_PROTO_ED25519], sig[ED25519_SIG_LEN], covered[ENVELOPE_MAX + 64];
    uint8_t pk[ED25519_PK_LEN], own[ED25519_PK_LEN];
    struct wr all = wr_init(covered, sizeof(covered));
    struct slice signed_over = signed_bytes(&all, kind, payload);
    size_t start = w->len;

    if (!peer_id_ed25519(signer, pk) || ed25519_public(own, sk) != QUDAG_OK ||
        memcmp(pk, own, sizeof(pk)) != 0) {
        return QUDAG_EINVAL;
    }
    if (!wr_ok(&all)) {
        return QUDAG_ETOOBIG;
    }
    qudag_err err = ed25519_sign(sig, sk, signed_over);
    if (err != QUDAG_OK) {
        return err;
    }
    key_proto_ed25519(key, pk);
    pb_put_bytes(w, ENV_KEY, (struct slice){key, sizeof(key)});
    pb_put_bytes(w, ENV_TYPE, (struct slice){kind->type, sizeof(kind->type)});
    pb_put_bytes(w, ENV_PAYLOAD, payload);
    pb_put_bytes(w, ENV_SIGNATURE, (struct slice){sig, sizeof(sig)});
    return wr_ok(w) && w->len - start <= ENVELOPE_MAX ? QUDAG_OK : QUDAG_ETOOBIG;
}

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

static qudag_err envelope_check(const struct envelope *e, const struct envelope_kind *kind,
                                const struct peer_id *signer)
{
    uint8_t covered[ENVELOPE_MAX + 64], pk[ED25519_PK_LEN];
    struct wr w = wr_init(covered, sizeof(covered));
    struct peer_id key_id;

    qudag_err err = peer_id_from_key_proto(&key_id, e->key);
    if (err != QUDAG_OK) {
        return err;
    }
    if (e->type.len != sizeof(kind->type) ||
        memcmp(e->type.base, kind->type, sizeof(kind->type)) != 0) {
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
    return ed25519_verify(pk, e->signature.base, signed_bytes(&w, kind, e->payload));
}

qudag_err envelope_open(struct slice *payload, const struct envelope_kind *kind, struct slice bytes,
                        const struct peer_id *signer)
{
    struct envelope e = {.key = {NULL, 0}};

    if (bytes.len > ENVELOPE_MAX) {
        return QUDAG_ETOOBIG;
    }
    if (!envelope_read(&e, bytes)) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = envelope_check(&e, kind, signer);
    if (err == QUDAG_OK) {
        *payload = e.payload;
    }
    return err;
}
