/* transfer_msg.c - encoding and decoding of the messages of the transfer protocol. */
#include "app/transfer.h"

#include "base/wipe.h"
#include "crypto/hash.h"

#include <string.h>

#define OFFER_VERSION 1
#define ASK_LEN (2 + 8)
#define OFFER_FIXED (2 + TRANSFER_ID_LEN + 8 + TRANSFER_HASH_LEN + 2)

static uint8_t *put(uint8_t *at, uint64_t v, size_t n)
{
    for (size_t ix = 0; ix < n; ix++) {
        at[ix] = (uint8_t)(v >> (8 * (n - 1 - ix)));
    }
    return at + n;
}

static uint64_t get(const uint8_t *at, size_t n)
{
    uint64_t v = 0;
    for (size_t ix = 0; ix < n; ix++) {
        v = v << 8 | at[ix];
    }
    return v;
}

size_t transfer_encode(uint8_t out[TRANSFER_MSG_MAX], const struct transfer_msg *m)
{
    uint8_t *at = out + 3;
    size_t name_len;
    switch (m->type) {
    case TRANSFER_T_OFFER:
        name_len = strlen(m->offer.name);
        *at++ = OFFER_VERSION;
        *at++ = (uint8_t)m->offer.kind;
        memcpy(at, m->offer.id, TRANSFER_ID_LEN);
        at = put(at + TRANSFER_ID_LEN, m->offer.size, 8);
        memcpy(at, m->offer.hash, TRANSFER_HASH_LEN);
        at = put(at + TRANSFER_HASH_LEN, name_len, 2);
        memcpy(at, m->offer.name, name_len);
        at += name_len;
        break;
    case TRANSFER_T_ASK:
        *at++ = OFFER_VERSION;
        *at++ = (uint8_t)m->offer.kind;
        at = put(at, m->offer.size, 8);
        break;
    case TRANSFER_T_ACCEPT:
    case TRANSFER_T_PROGRESS:
        at = put(at, m->n, 8);
        break;
    case TRANSFER_T_REFUSE:
        at = put(at, m->reason, 2);
        break;
    case TRANSFER_T_DONE:
        at = put(at, m->n, 8);
        memcpy(at, m->hash, TRANSFER_HASH_LEN);
        at += TRANSFER_HASH_LEN;
        break;
    }
    out[0] = (uint8_t)m->type;
    (void)put(out + 1, (uint64_t)(at - out - 3), 2);
    return (size_t)(at - out);
}

static bool offer_in(struct transfer_offer *o, const uint8_t *at, size_t len)
{
    if (len < OFFER_FIXED || at[0] != OFFER_VERSION || at[1] > TRANSFER_FILE) {
        return false;
    }
    o->kind = (enum transfer_kind)at[1];
    memcpy(o->id, at + 2, TRANSFER_ID_LEN);
    at += 2 + TRANSFER_ID_LEN;
    o->size = get(at, 8);
    memcpy(o->hash, at + 8, TRANSFER_HASH_LEN);
    at += 8 + TRANSFER_HASH_LEN;
    size_t name_len = (size_t)get(at, 2);
    if (name_len > TRANSFER_NAME_MAX || len != OFFER_FIXED + name_len ||
        memchr(at + 2, 0, name_len) != NULL || o->size > INT64_MAX) {
        return false;
    }
    memcpy(o->name, at + 2, name_len);
    o->name[name_len] = 0;
    return true;
}

static bool ask_in(struct transfer_offer *o, const uint8_t *at, size_t len)
{
    if (len != ASK_LEN || at[0] != OFFER_VERSION || at[1] > TRANSFER_FILE ||
        get(at + 2, 8) > INT64_MAX) {
        return false;
    }
    o->kind = (enum transfer_kind)at[1];
    o->size = get(at + 2, 8);
    return true;
}

size_t transfer_decode(struct transfer_msg *m, const uint8_t *base, size_t len)
{
    if (len < 3) {
        return 0;
    }
    size_t body = (size_t)get(base + 1, 2);
    if (body > TRANSFER_MSG_MAX - 3 || base[0] < TRANSFER_T_OFFER || base[0] > TRANSFER_T_ASK) {
        return SIZE_MAX;
    }
    if (len < 3 + body) {
        return 0;
    }
    struct transfer_msg found = {.type = (enum transfer_type)base[0]};
    bool ok = false;
    switch (found.type) {
    case TRANSFER_T_OFFER:
        ok = offer_in(&found.offer, base + 3, body);
        break;
    case TRANSFER_T_ASK:
        ok = ask_in(&found.offer, base + 3, body);
        break;
    case TRANSFER_T_ACCEPT:
    case TRANSFER_T_PROGRESS:
        ok = body == 8;
        found.n = ok ? get(base + 3, 8) : 0;
        break;
    case TRANSFER_T_REFUSE:
        ok = body == 2;
        found.reason = ok ? (unsigned)get(base + 3, 2) : 0;
        break;
    case TRANSFER_T_DONE:
        ok = body == 8 + TRANSFER_HASH_LEN;
        if (ok) {
            found.n = get(base + 3, 8);
            memcpy(found.hash, base + 11, TRANSFER_HASH_LEN);
        }
        break;
    }
    if (!ok) {
        return SIZE_MAX;
    }
    *m = found;
    return 3 + body;
}

const char *transfer_reason_text(unsigned reason)
{
    static const char *const text[] = {
        [TRANSFER_OK] = "there is no error",
        [TRANSFER_TOO_LARGE] = "it is larger than the receiver accepts",
        [TRANSFER_INBOX_FULL] = "the receiver's inbox is full",
        [TRANSFER_DISK_FULL] = "the receiver's disk is full",
        [TRANSFER_HASH_DIFFERS] = "the content that arrived does not match the hash in the offer",
        [TRANSFER_BUSY] = "the receiver has too many transfers in progress",
        [TRANSFER_BAD_OFFER] = "the receiver does not understand the offer",
        [TRANSFER_TROUBLE] = "internal error of the receiver",
        [TRANSFER_CLOSED] = "the receiver takes no messages and files",
    };
    return reason < sizeof(text) / sizeof(text[0]) ? text[reason] : "for an unknown reason";
}

void transfer_scope(struct transfer_offer *o, const char *to)
{
    uint8_t both[QUDAG_DARK_TEXT_MAX + TRANSFER_ID_LEN];
    size_t len = strnlen(to, QUDAG_DARK_TEXT_MAX - 1);

    memcpy(both, to, len);
    both[len++] = 0;
    memcpy(both + len, o->id, sizeof(o->id));
    blake3_derive(o->id, sizeof(o->id), "QuDAG transfer id at one dark address v1",
                  (struct slice){both, len + sizeof(o->id)});
    wipe(both, sizeof(both));
}
