/*
 * identify_msg.c - the Identify message between wire and struct.
 *
 *   Identify   1 public key   2 listen address*   3 protocol*   4 observed address   5 protocol version
 *              6 agent version   8 signed peer record (opaque here: peer_record.h)
 *
 * A sender may split what it says over several messages; merging works on a copy, so a bad message
 * leaves what was known before.
 */
#include "wire/identify_msg.h"

#include "base/utf8.h"
#include "wire/pb.h"

#include <string.h>

/* Numbers of fields. */
enum {
    PUBLIC_KEY = 1,
    LISTEN_ADDR = 2,
    PROTOCOL = 3,
    OBSERVED_ADDR = 4,
    PROTOCOL_VERSION = 5,
    AGENT_VERSION = 6,
    SIGNED_RECORD = 8,
};

/* ------------------------------------------------------------------ decoding */

static void addr_add(struct identify_msg *m, struct slice s)
{
    struct multiaddr a;

    if (m->n_addrs == IDENTIFY_ADDRS_MAX || multiaddr_from_bytes(&a, s) != QUDAG_OK) {
        return;
    }
    for (size_t i = 0; i < m->n_addrs; i++) {
        if (multiaddr_eq(&m->addr[i], &a)) {
            return;
        }
    }
    m->addr[m->n_addrs++] = a;
}

/* False, and |dst| untouched, when |s| is empty, too long or not printable. */
static bool text_set(char dst[IDENTIFY_TEXT_MAX], struct slice s)
{
    if (s.len == 0 || s.len >= IDENTIFY_TEXT_MAX || !utf8_printable(s)) {
        return false;
    }
    memset(dst, 0, IDENTIFY_TEXT_MAX);
    memcpy(dst, s.base, s.len);
    return true;
}

static void proto_add(struct identify_msg *m, struct slice s)
{
    if (m->n_protos == IDENTIFY_PROTOS_MAX || !text_set(m->proto[m->n_protos], s)) {
        return;
    }
    for (size_t i = 0; i < m->n_protos; i++) {
        if (strcmp(m->proto[i], m->proto[m->n_protos]) == 0) {
            memset(m->proto[m->n_protos], 0, IDENTIFY_TEXT_MAX);
            return;
        }
    }
    m->n_protos++;
}

static qudag_err key_set(struct identify_msg *m, struct slice key)
{
    if (key.len == 0) {
        return QUDAG_OK;
    }
    qudag_err err = peer_id_from_key_proto(&m->peer, key);
    if (err != QUDAG_OK) {
        return err;
    }
    m->has_peer = true;
    m->key_len = 0;
    memset(m->key_proto, 0, sizeof(m->key_proto));
    if (key.len <= sizeof(m->key_proto)) {
        m->key_len = (uint8_t)key.len;
        memcpy(m->key_proto, key.base, key.len);
    }
    return QUDAG_OK;
}

static void record_set(struct identify_msg *m, struct slice s)
{
    if (s.len == 0 || s.len > sizeof(m->record)) {
        return;
    }
    memset(m->record, 0, sizeof(m->record));
    memcpy(m->record, s.base, s.len);
    m->record_len = (uint16_t)s.len;
}

/* Fields that are said once; of one given several times the last counts. */
struct singles {
    struct slice key, observed, version, agent, record;
};

static void field_take(struct identify_msg *m, struct singles *one, struct rd *r,
                       const struct pb_field *f)
{
    switch (f->number) {
    case PUBLIC_KEY:
        one->key = pb_bytes(r, f);
        break;
    case LISTEN_ADDR:
        m->has_addrs = true;
        addr_add(m, pb_bytes(r, f));
        break;
    case PROTOCOL:
        m->has_protos = true;
        proto_add(m, pb_bytes(r, f));
        break;
    case OBSERVED_ADDR:
        one->observed = pb_bytes(r, f);
        break;
    case PROTOCOL_VERSION:
        one->version = pb_bytes(r, f);
        break;
    case AGENT_VERSION:
        one->agent = pb_bytes(r, f);
        break;
    case SIGNED_RECORD:
        one->record = pb_bytes(r, f);
        break;
    default:
        break;
    }
}

qudag_err identify_msg_merge(struct identify_msg *m, struct slice in)
{
    struct singles one = {.key = {NULL, 0}};
    struct rd r = rd_init(in);
    struct pb_field f;

    if (in.len > IDENTIFY_IN_MAX) {
        return QUDAG_ETOOBIG;
    }
    struct identify_msg next = *m;
    while (pb_next(&r, &f)) {
        field_take(&next, &one, &r, &f);
    }
    if (!rd_ok(&r)) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = key_set(&next, one.key);
    if (err != QUDAG_OK) {
        return err;
    }
    if (multiaddr_from_bytes(&next.observed, one.observed) == QUDAG_OK) {
        next.has_observed = true;
    }
    (void)text_set(next.protocol_version, one.version);
    (void)text_set(next.agent_version, one.agent);
    record_set(&next, one.record);
    *m = next;
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ encoding */

static struct slice text_slice(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

qudag_err identify_msg_encode(uint8_t *dst, size_t cap, size_t *len, const struct identify_msg *m)
{
    struct wr w = wr_init(dst, cap);

    pb_put_bytes_if_any(&w, PUBLIC_KEY, (struct slice){m->key_proto, m->key_len});
    for (size_t i = 0; i < m->n_addrs; i++) {
        pb_put_bytes_if_any(&w, LISTEN_ADDR, multiaddr_slice(&m->addr[i]));
    }
    for (size_t i = 0; i < m->n_protos; i++) {
        pb_put_bytes(&w, PROTOCOL, text_slice(m->proto[i]));
    }
    if (m->has_observed) {
        pb_put_bytes_if_any(&w, OBSERVED_ADDR, multiaddr_slice(&m->observed));
    }
    pb_put_bytes_if_any(&w, PROTOCOL_VERSION, text_slice(m->protocol_version));
    pb_put_bytes_if_any(&w, AGENT_VERSION, text_slice(m->agent_version));
    pb_put_bytes_if_any(&w, SIGNED_RECORD, (struct slice){m->record, m->record_len});
    pb_delimit(&w);
    if (!wr_ok(&w)) {
        return QUDAG_ETOOBIG;
    }
    *len = w.len;
    return QUDAG_OK;
}
