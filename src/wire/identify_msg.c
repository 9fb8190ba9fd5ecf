/*
 * identify_msg.c - the Identify message between wire and struct.
 *
 * A sender may split what it says over several messages; merging works on a copy, so a bad message
 * leaves what was known before.
 */
#include "wire/identify_msg.h"

#include "base/utf8.h"
#include "wire/pbuf.h"
#include "wire/proto/identify.pb.h"

#include <string.h>

/* ------------------------------------------------------------------ decoding */

static bool addr_decode(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct identify_msg *m = *arg;
    struct multiaddr a;
    struct slice s;

    (void)field;
    if (!pbuf_borrow(stream, &s)) {
        return false;
    }
    if (m->n_addrs == IDENTIFY_ADDRS_MAX || multiaddr_from_bytes(&a, s) != QUDAG_OK) {
        return true;
    }
    for (size_t i = 0; i < m->n_addrs; i++) {
        if (multiaddr_eq(&m->addr[i], &a)) {
            return true;
        }
    }
    m->addr[m->n_addrs++] = a;
    return true;
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

static bool proto_decode(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct identify_msg *m = *arg;
    struct slice s;

    (void)field;
    if (!pbuf_borrow(stream, &s)) {
        return false;
    }
    if (m->n_protos == IDENTIFY_PROTOS_MAX || !text_set(m->proto[m->n_protos], s)) {
        return true;
    }
    for (size_t i = 0; i < m->n_protos; i++) {
        if (strcmp(m->proto[i], m->proto[m->n_protos]) == 0) {
            memset(m->proto[m->n_protos], 0, IDENTIFY_TEXT_MAX);
            return true;
        }
    }
    m->n_protos++;
    return true;
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

qudag_err identify_msg_merge(struct identify_msg *m, struct slice in)
{
    if (in.len > IDENTIFY_IN_MAX) {
        return QUDAG_ETOOBIG;
    }
    struct identify_msg next = *m;
    struct slice key = {0}, observed = {0}, version = {0}, agent = {0};
    struct pbuf src;
    pb_istream_t stream = pbuf_istream(&src, in);
    idpb_Identify pb = idpb_Identify_init_zero;
    pb.public_key.funcs.decode = pbuf_decode_slice;
    pb.public_key.arg = &key;
    pb.listen_addrs.funcs.decode = addr_decode;
    pb.listen_addrs.arg = &next;
    pb.protocols.funcs.decode = proto_decode;
    pb.protocols.arg = &next;
    pb.observed_addr.funcs.decode = pbuf_decode_slice;
    pb.observed_addr.arg = &observed;
    pb.protocol_version.funcs.decode = pbuf_decode_slice;
    pb.protocol_version.arg = &version;
    pb.agent_version.funcs.decode = pbuf_decode_slice;
    pb.agent_version.arg = &agent;
    if (!pb_decode(&stream, idpb_Identify_fields, &pb)) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = key_set(&next, key);
    if (err != QUDAG_OK) {
        return err;
    }
    if (multiaddr_from_bytes(&next.observed, observed) == QUDAG_OK) {
        next.has_observed = true;
    }
    (void)text_set(next.protocol_version, version);
    (void)text_set(next.agent_version, agent);
    *m = next;
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ encoding */

static bool addrs_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct identify_msg *const *m = *arg;

    for (size_t i = 0; i < (*m)->n_addrs; i++) {
        const struct multiaddr *a = &(*m)->addr[i];
        if (a->len > 0 && !pbuf_put(stream, field, multiaddr_slice(a))) {
            return false;
        }
    }
    return true;
}

static bool protos_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct identify_msg *const *m = *arg;

    for (size_t i = 0; i < (*m)->n_protos; i++) {
        const char *text = (*m)->proto[i];
        if (!pbuf_put(stream, field, (struct slice){(const uint8_t *)text, strlen(text)})) {
            return false;
        }
    }
    return true;
}

static struct slice text_slice(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

qudag_err identify_msg_encode(uint8_t *dst, size_t cap, size_t *len, const struct identify_msg *m)
{
    struct slice key = {m->key_proto, m->key_len};
    struct slice observed = {m->observed.b, m->has_observed ? m->observed.len : 0u};
    struct slice version = text_slice(m->protocol_version);
    struct slice agent = text_slice(m->agent_version);
    idpb_Identify pb = idpb_Identify_init_zero;

    pb.public_key.funcs.encode = pbuf_encode_slice;
    pb.public_key.arg = &key;
    pb.listen_addrs.funcs.encode = addrs_encode;
    pb.listen_addrs.arg = &m;
    pb.protocols.funcs.encode = protos_encode;
    pb.protocols.arg = &m;
    pb.observed_addr.funcs.encode = pbuf_encode_slice;
    pb.observed_addr.arg = &observed;
    pb.protocol_version.funcs.encode = pbuf_encode_slice;
    pb.protocol_version.arg = &version;
    pb.agent_version.funcs.encode = pbuf_encode_slice;
    pb.agent_version.arg = &agent;
    return pbuf_encode(dst, cap, len, idpb_Identify_fields, &pb);
}
