/*
 * noise_message.c - handshake messages, token by token (Noise revision 34, section 5.3; e1 and ekem1: the HFS extension
 * as libp2p specs pull request 727 has it).
 */
#include "base/wipe.h"
#include "core/noise/noise_int.h"

#include <string.h>

enum token {
    END,
    E,
    E1,
    EE,
    EKEM1,
    S,
    ES,
    SE,
    PAYLOAD_EMPTY, /* of the first message: nothing of ours goes unencrypted */
    PAYLOAD,
};

static const enum token patterns[][3][8] = {
    [NOISE_XX] = {{E, PAYLOAD_EMPTY}, {E, EE, S, ES, PAYLOAD}, {S, SE, PAYLOAD}},
    [NOISE_XXHFS] = {{E, E1, PAYLOAD_EMPTY}, {E, EE, EKEM1, S, ES, PAYLOAD}, {S, SE, PAYLOAD}},
};

/* A message being written: bytes go to |at|. */
struct out {
    uint8_t *at;
    size_t len, cap;
};

static qudag_err dh(struct noise_handshake *hs, const struct secret_x25519 *sk,
                    const uint8_t pk[X25519_LEN])
{
    uint8_t shared[X25519_LEN];
    qudag_err err = x25519_shared(shared, sk, pk);

    if (err == QUDAG_OK) {
        noise_mix_key(&hs->sym, (struct slice){shared, sizeof(shared)});
    }
    wipe(shared, sizeof(shared));
    return err;
}

/* The Diffie-Hellman tokens name the initiator's key first. */
static qudag_err mix_dh(struct noise *n, enum token t)
{
    struct noise_handshake *hs = n->hs;
    bool own_static = t == (n->cfg.initiator ? SE : ES);
    bool their_static = t == (n->cfg.initiator ? ES : SE);

    return dh(hs, own_static ? &hs->s : &hs->e, their_static ? hs->rs : hs->re);
}

static qudag_err put(struct noise_handshake *hs, struct out *o, struct slice plain)
{
    size_t len = 0;

    if (plain.len + AEAD_TAG_LEN > o->cap - o->len) {
        return QUDAG_ETOOBIG;
    }
    qudag_err err = noise_encrypt(&hs->sym, o->at + o->len, &len, plain);
    o->len += err == QUDAG_OK ? len : 0;
    return err;
}

static qudag_err write_e(struct noise *n, struct out *o)
{
    struct noise_handshake *hs = n->hs;
    qudag_err err = x25519_keypair(&hs->e, hs->e_pub, &n->cfg.rng);

    if (err == QUDAG_OK) {
        memcpy(o->at + o->len, hs->e_pub, X25519_LEN);
        o->len += X25519_LEN;
        noise_mix_hash(&hs->sym, (struct slice){hs->e_pub, X25519_LEN});
    }
    return err;
}

static qudag_err write_e1(struct noise *n, struct out *o)
{
    struct noise_handshake *hs = n->hs;
    qudag_err err = mlkem768_keygen(&hs->kem, hs->kem_ek, &hs->kem_seed, &n->cfg.rng);

    return err != QUDAG_OK ? err : put(hs, o, (struct slice){hs->kem_ek, MLKEM768_EK_LEN});
}

/* First the ciphertext under the key of ee, then the secret into the key. */
static qudag_err write_ekem1(struct noise *n, struct out *o)
{
    struct noise_handshake *hs = n->hs;
    uint8_t ct[MLKEM768_CT_LEN], ss[MLKEM768_SS_LEN];
    qudag_err err = mlkem768_encaps(ct, ss, hs->kem_ek, &n->cfg.rng);

    if (err == QUDAG_OK) {
        err = put(hs, o, (struct slice){ct, sizeof(ct)});
        noise_mix_key(&hs->sym, (struct slice){ss, sizeof(ss)});
    }
    wipe(ss, sizeof(ss));
    return err;
}

static qudag_err write_token(struct noise *n, enum token t, struct out *o)
{
    switch (t) {
    case E:
        return write_e(n, o);
    case E1:
        return write_e1(n, o);
    case EKEM1:
        return write_ekem1(n, o);
    case S:
        return put(n->hs, o, (struct slice){n->hs->s_pub, X25519_LEN});
    case PAYLOAD_EMPTY:
        return put(n->hs, o, (struct slice){NULL, 0});
    case PAYLOAD:
        return put(n->hs, o, dyn_slice(&n->hs->payload));
    case EE:
    case ES:
    case SE:
        return mix_dh(n, t);
    case END:
        break;
    }
    return QUDAG_EINTERNAL;
}

qudag_err noise_message_write(struct noise *n)
{
    uint8_t buf[2 + NOISE_PAYLOAD_MAX + 2048];
    struct out o = {buf + 2, 0, sizeof(buf) - 2};
    qudag_err err = QUDAG_OK;

    for (const enum token *t = patterns[n->cfg.suite][n->message]; *t != END && err == QUDAG_OK;
         t++) {
        err = write_token(n, *t, &o);
    }
    if (err == QUDAG_OK) {
        buf[0] = (uint8_t)(o.len >> 8);
        buf[1] = (uint8_t)o.len;
        n->message++;
        err = dyn_append(&n->pending, buf, 2 + o.len);
    }
    wipe(buf, sizeof(buf));
    return err;
}

/* |len| bytes of the message; too few are an error of the peer's. */
static qudag_err cut(struct slice *in, size_t len, struct slice *out)
{
    if (in->len < len) {
        return QUDAG_EPROTO;
    }
    *out = (struct slice){in->base, len};
    *in = slice_rest(*in, len);
    return QUDAG_OK;
}

/* A part of the message whose plaintext has |len| bytes, to |dst|. */
static qudag_err get(struct noise_handshake *hs, struct slice *in, uint8_t *dst, size_t len)
{
    struct slice part;
    size_t plain = 0;
    uint8_t buf[MLKEM768_EK_LEN + AEAD_TAG_LEN];
    qudag_err err = cut(in, len + (hs->sym.cipher.has_key ? AEAD_TAG_LEN : 0), &part);

    if (err == QUDAG_OK) {
        err = noise_decrypt(&hs->sym, buf, &plain, part);
    }
    if (err == QUDAG_OK) {
        memcpy(dst, buf, len);
    }
    return err;
}

static qudag_err read_e(struct noise_handshake *hs, struct slice *in)
{
    struct slice part;
    qudag_err err = cut(in, X25519_LEN, &part);

    if (err == QUDAG_OK) {
        memcpy(hs->re, part.base, X25519_LEN);
        noise_mix_hash(&hs->sym, part);
    }
    return err;
}

static qudag_err read_e1(struct noise_handshake *hs, struct slice *in)
{
    qudag_err err = get(hs, in, hs->kem_ek, MLKEM768_EK_LEN);

    if (err == QUDAG_OK && mlkem768_check(hs->kem_ek) != QUDAG_OK) {
        err = QUDAG_EPROTO;
    }
    return err;
}

static qudag_err read_ekem1(struct noise_handshake *hs, struct slice *in)
{
    uint8_t ct[MLKEM768_CT_LEN], ss[MLKEM768_SS_LEN];
    qudag_err err = get(hs, in, ct, sizeof(ct));

    if (err == QUDAG_OK) {
        err = mlkem768_decaps(ss, hs->kem, ct);
    }
    if (err == QUDAG_OK) {
        noise_mix_key(&hs->sym, (struct slice){ss, sizeof(ss)});
    }
    wipe(ss, sizeof(ss));
    return err;
}

/* All that is left of the message, opened where it is kept. */
static qudag_err read_payload(struct noise_handshake *hs, struct slice *in)
{
    qudag_err err = dyn_append(&hs->theirs, in->base, in->len);

    *in = (struct slice){NULL, 0};
    if (err != QUDAG_OK) {
        return err;
    }
    return noise_decrypt(&hs->sym, hs->theirs.p, &hs->theirs.len, dyn_slice(&hs->theirs));
}

static qudag_err read_token(struct noise *n, enum token t, struct slice *in)
{
    struct noise_handshake *hs = n->hs;

    switch (t) {
    case E:
        return read_e(hs, in);
    case E1:
        return read_e1(hs, in);
    case EKEM1:
        return read_ekem1(hs, in);
    case S:
        return get(hs, in, hs->rs, X25519_LEN);
    case PAYLOAD_EMPTY: /* bytes there are bound into the hash, and mean nothing */
        noise_mix_hash(&hs->sym, *in);
        *in = (struct slice){NULL, 0};
        return QUDAG_OK;
    case PAYLOAD:
        return read_payload(hs, in);
    case EE:
    case ES:
    case SE:
        return mix_dh(n, t);
    case END:
        break;
    }
    return QUDAG_EINTERNAL;
}

qudag_err noise_message_read(struct noise *n, struct slice in)
{
    qudag_err err = QUDAG_OK;

    for (const enum token *t = patterns[n->cfg.suite][n->message]; *t != END && err == QUDAG_OK;
         t++) {
        err = read_token(n, *t, &in);
    }
    n->message++;
    return err;
}
