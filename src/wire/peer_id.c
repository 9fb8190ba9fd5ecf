/*
 * peer_id.c - peer ids, as bytes and as text.
 *
 *   PublicKey message:  08 <type> 12 <length> <key>           deterministic, both fields present
 *   multihash:          00 <length> <PublicKey message>       up to 42 bytes
 *                       12 20 <SHA-256 of the message>        longer ones
 *   text:               base58(multihash), or multibase(01 72 multihash)
 */
#include "wire/peer_id.h"

#include "base/text.h"
#include "crypto/hash.h"
#include "wire/multibase.h"
#include "wire/pb.h"

#include <string.h>

#define MH_IDENTITY 0x00
#define MH_SHA256 0x12
#define CID_V1 1
#define CODEC_LIBP2P_KEY 0x72
#define INLINE_MAX 42        /* bytes of a PublicKey message that is its own hash */
#define KEY_DATA_MAX 8192    /* bytes of a key; RSA-8192 takes about 1100 */
#define PEER_TEXT_IN_MAX 128 /* characters; hex of a CID takes 93 */

/* Fields of a PublicKey message. */
enum { KEY_TYPE = 1, KEY_DATA = 2 };

_Static_assert(PEER_ID_MAX == 2 + INLINE_MAX, "the longest id is an inlined key");
_Static_assert(KEY_PROTO_ED25519 == 4 + 32, "PublicKey message of an Ed25519 key");

static const uint8_t ed25519_head[4] = {0x08, PEER_KEY_ED25519, 0x12, 32};

bool peer_id_eq(const struct peer_id *a, const struct peer_id *b)
{
    return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

void key_proto_ed25519(uint8_t out[KEY_PROTO_ED25519], const uint8_t pk[32])
{
    memcpy(out, ed25519_head, sizeof(ed25519_head));
    memcpy(out + sizeof(ed25519_head), pk, 32);
}

void peer_id_from_ed25519(struct peer_id *out, const uint8_t pk[32])
{
    *out = (struct peer_id){.len = 2 + KEY_PROTO_ED25519};
    out->b[0] = MH_IDENTITY;
    out->b[1] = KEY_PROTO_ED25519;
    key_proto_ed25519(out->b + 2, pk);
}

/* A field of a PublicKey message that must come now. */
static bool key_field(struct rd *r, struct pb_field *f, uint32_t number)
{
    return pb_next(r, f) && f->number == number;
}

/* SPEC: peer-ids, "deterministic encoding": fields in tag order, both present, minimal, nothing else. */
qudag_err key_proto_read(struct slice key_proto, uint64_t *type, struct slice *data)
{
    struct rd r = rd_init(key_proto);
    struct pb_field t, d;

    if (!key_field(&r, &t, KEY_TYPE) || !key_field(&r, &d, KEY_DATA)) {
        return QUDAG_EMALFORMED;
    }
    uint64_t value = pb_varint(&r, &t);
    struct slice bytes = pb_bytes(&r, &d);
    size_t shortest = 1 + pb_varint_len(value) + pb_bytes_len(KEY_DATA, bytes.len);
    if (!rd_done(&r) || key_proto.len != shortest || bytes.len == 0 || bytes.len > KEY_DATA_MAX) {
        return QUDAG_EMALFORMED;
    }
    *type = value;
    *data = bytes;
    return QUDAG_OK;
}

static qudag_err key_proto_check(struct slice key_proto)
{
    uint64_t type;
    struct slice data;
    qudag_err err = key_proto_read(key_proto, &type, &data);

    if (err != QUDAG_OK) {
        return err;
    }
    switch (type) {
    case PEER_KEY_RSA:
    case PEER_KEY_ECDSA:
        return QUDAG_OK;
    case PEER_KEY_ED25519:
        return data.len == 32 ? QUDAG_OK : QUDAG_EMALFORMED;
    case PEER_KEY_SECP256K1:
        return data.len == 33 ? QUDAG_OK : QUDAG_EMALFORMED;
    default:
        return QUDAG_EUNSUPPORTED;
    }
}

qudag_err peer_id_from_key_proto(struct peer_id *out, struct slice key_proto)
{
    qudag_err err = key_proto_check(key_proto);
    if (err != QUDAG_OK) {
        return err;
    }
    *out = (struct peer_id){0};
    if (key_proto.len <= INLINE_MAX) {
        out->len = (uint8_t)(2 + key_proto.len);
        out->b[0] = MH_IDENTITY;
        out->b[1] = (uint8_t)key_proto.len;
        memcpy(out->b + 2, key_proto.base, key_proto.len);
    } else {
        out->len = 2 + SHA256_LEN;
        out->b[0] = MH_SHA256;
        out->b[1] = SHA256_LEN;
        sha256(out->b + 2, key_proto);
    }
    return QUDAG_OK;
}

bool peer_id_has_key(const struct peer_id *p)
{
    if (p->len < 3) {
        return false;
    }
    struct slice inlined = {p->b + 2, (size_t)p->len - 2};
    return p->b[0] != MH_IDENTITY || key_proto_check(inlined) == QUDAG_OK;
}

bool peer_id_ed25519(const struct peer_id *p, uint8_t pk[32])
{
    if (p->len != 2 + KEY_PROTO_ED25519 || p->b[0] != MH_IDENTITY || p->b[1] != KEY_PROTO_ED25519 ||
        memcmp(p->b + 2, ed25519_head, sizeof(ed25519_head)) != 0) {
        return false;
    }
    memcpy(pk, p->b + 2 + sizeof(ed25519_head), 32);
    return true;
}

qudag_err peer_id_from_bytes(struct peer_id *out, struct slice bytes)
{
    if (bytes.len < 3 || bytes.len > PEER_ID_MAX || bytes.base[1] != bytes.len - 2) {
        return QUDAG_EMALFORMED;
    }
    if (bytes.base[0] != MH_IDENTITY &&
        (bytes.base[0] != MH_SHA256 || bytes.base[1] != SHA256_LEN)) {
        return QUDAG_EMALFORMED;
    }
    *out = (struct peer_id){.len = (uint8_t)bytes.len};
    memcpy(out->b, bytes.base, bytes.len);
    return QUDAG_OK;
}

static qudag_err cid_parse(struct peer_id *out, struct slice text)
{
    uint8_t cid[2 + PEER_ID_MAX];
    size_t len;

    if (multibase_decode(cid, sizeof(cid), &len, text) != QUDAG_OK || len < 2 || cid[0] != CID_V1 ||
        cid[1] != CODEC_LIBP2P_KEY) {
        return QUDAG_EMALFORMED;
    }
    return peer_id_from_bytes(out, (struct slice){cid + 2, len - 2});
}

/* SPEC: peer-ids, "String representation": what starts with 1 or Qm is base58, the rest is a CID. */
qudag_err peer_id_parse(struct peer_id *out, const char *text)
{
    size_t n = 0;

    while (n <= PEER_TEXT_IN_MAX && text[n] != '\0') {
        n++;
    }
    if (n < 2 || n > PEER_TEXT_IN_MAX) {
        return QUDAG_EMALFORMED;
    }
    struct slice s = {(const uint8_t *)text, n};
    if (text[0] != '1' && !(text[0] == 'Q' && text[1] == 'm')) {
        return cid_parse(out, s);
    }
    uint8_t mh[PEER_ID_MAX];
    size_t len;
    if (base58_decode(mh, sizeof(mh), &len, s) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    return peer_id_from_bytes(out, (struct slice){mh, len});
}

size_t peer_id_text(char dst[PEER_ID_TEXT_MAX], const struct peer_id *p)
{
    dst[0] = '\0';
    return p->len == 0 ? 0 : base58_encode(dst, PEER_ID_TEXT_MAX, peer_id_slice(p));
}
