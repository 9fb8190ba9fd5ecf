/*
 * peer_id.c - peer ids, as bytes and as text.
 *
 *   PublicKey message:  08 <type> 12 <length> <key>           deterministic, both fields present
 *   multihash:          00 <length> <PublicKey message>       up to 42 bytes
 *                       12 20 <SHA-256 of the message>        longer ones
 *   text:               base58(multihash), or multibase(01 72 multihash)
 */
#include "wire/peer_id.h"

#include "base/rd.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "wire/multibase.h"

#include <string.h>

#define MH_IDENTITY 0x00
#define MH_SHA256 0x12
#define CID_V1 1
#define CODEC_LIBP2P_KEY 0x72
#define INLINE_MAX 42        /* bytes of a PublicKey message that is its own hash */
#define KEY_DATA_MAX 8192    /* bytes of a key; RSA-8192 takes about 1100 */
#define PEER_TEXT_IN_MAX 128 /* characters; hex of a CID takes 93 */

enum key_type { KEY_RSA, KEY_ED25519, KEY_SECP256K1, KEY_ECDSA };

_Static_assert(PEER_ID_MAX == 2 + INLINE_MAX, "the longest id is an inlined key");
_Static_assert(KEY_PROTO_ED25519 == 4 + 32, "PublicKey message of an Ed25519 key");

static const uint8_t ed25519_head[4] = {0x08, KEY_ED25519, 0x12, 32};

bool peer_id_eq(const struct peer_id *a, const struct peer_id *b)
{
    return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

int peer_id_cmp(const struct peer_id *a, const struct peer_id *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->b, b->b, n);

    return c != 0 ? c : (int)a->len - (int)b->len;
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

/* SPEC: peer-ids, "deterministic encoding": fields in tag order, both present, nothing else. */
static qudag_err key_proto_check(struct slice key)
{
    struct rd r = rd_init(key);

    if (rd_u8(&r) != 0x08) {
        return QUDAG_EMALFORMED;
    }
    uint64_t type = rd_uvarint(&r);
    if (rd_u8(&r) != 0x12) {
        return QUDAG_EMALFORMED;
    }
    struct slice data = rd_lp(&r, KEY_DATA_MAX);
    if (!rd_done(&r) || data.len == 0) {
        return QUDAG_EMALFORMED;
    }
    switch (type) {
    case KEY_RSA:
    case KEY_ECDSA:
        return QUDAG_OK;
    case KEY_ED25519:
        return data.len == 32 ? QUDAG_OK : QUDAG_EMALFORMED;
    case KEY_SECP256K1:
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
