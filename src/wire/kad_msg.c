/*
 * kad_msg.c - Kademlia messages between wire and struct.
 *
 * Decoding borrows: nanopb walks the input once, callbacks note where bytes lie, peers are checked
 * and copied into the caller's arrays.  Encoding sizes the message first and gives up addresses, then
 * peers, until it fits.
 */
#include "wire/kad_msg.h"

#include "wire/pbuf.h"
#include "wire/proto/kad.pb.h"

struct decoder {
    struct kad_msg *m;
    size_t dropped;
};

struct peers_out {
    const struct kad_peer_info *v;
    size_t n;
    size_t addrs_max; /* addresses written of each */
};

/* ------------------------------------------------------------------ decoding */

struct peer_in {
    struct kad_peer_info *info;
    struct slice id;
    size_t dropped;
};

static bool addr_decode(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct peer_in *p = *arg;
    struct slice s;

    (void)field;
    if (!pbuf_borrow(stream, &s)) {
        return false;
    }
    if (p->info->n_addrs < KAD_ADDRS_MAX &&
        multiaddr_from_bytes(&p->info->addr[p->info->n_addrs], s) == QUDAG_OK) {
        p->info->n_addrs++;
    } else {
        p->dropped++;
    }
    return true;
}

/* Reads one peer into |v|[*n] if there is room and it is worth keeping. */
static bool peer_decode(pb_istream_t *stream, struct kad_peer_info *v, size_t *n, size_t *dropped)
{
    struct kad_peer_info spare;
    bool room = v != NULL && *n < KAD_PEERS_MAX;
    struct peer_in in = {.info = room ? &v[*n] : &spare};

    in.info->n_addrs = 0;
    kadpb_Peer pb = kadpb_Peer_init_zero;
    pb.id.funcs.decode = pbuf_decode_slice;
    pb.id.arg = &in.id;
    pb.addrs.funcs.decode = addr_decode;
    pb.addrs.arg = &in;
    if (!pb_decode(stream, kadpb_Peer_fields, &pb)) {
        return false;
    }
    if (room && peer_id_from_bytes(&in.info->id, in.id) == QUDAG_OK) {
        *dropped += in.dropped;
        (*n)++;
    } else {
        (*dropped)++;
    }
    return true;
}

static bool closer_decode(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct decoder *d = *arg;

    (void)field;
    return peer_decode(stream, d->m->closer, &d->m->n_closer, &d->dropped);
}

static bool provider_decode(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct decoder *d = *arg;

    (void)field;
    return peer_decode(stream, d->m->providers, &d->m->n_providers, &d->dropped);
}

static bool record_decode(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct decoder *d = *arg;
    kadpb_Record pb = kadpb_Record_init_zero;

    (void)field;
    pb.key.funcs.decode = pbuf_decode_slice;
    pb.key.arg = &d->m->rec_key;
    pb.value.funcs.decode = pbuf_decode_slice;
    pb.value.arg = &d->m->rec_value;
    pb.time_received.funcs.decode = pbuf_decode_slice;
    pb.time_received.arg = &d->m->rec_time;
    d->m->has_record = true;
    return pb_decode(stream, kadpb_Record_fields, &pb);
}

static bool sizes_are_good(const struct kad_msg *m)
{
    return m->key.len <= KAD_KEY_MAX && m->rec_key.len <= KAD_KEY_MAX &&
           m->rec_value.len <= KAD_VALUE_MAX && m->rec_time.len <= KAD_TIME_MAX;
}

qudag_err kad_msg_decode(struct kad_msg *m, size_t *dropped, struct slice in)
{
    if (in.len > KAD_MSG_IN_MAX) {
        return QUDAG_ETOOBIG;
    }
    *m = (struct kad_msg){.closer = m->closer, .providers = m->providers};
    struct decoder d = {.m = m};
    struct pbuf src;
    pb_istream_t stream = pbuf_istream(&src, in);
    kadpb_Message pb = kadpb_Message_init_zero;
    pb.key.funcs.decode = pbuf_decode_slice;
    pb.key.arg = &m->key;
    pb.record.funcs.decode = record_decode;
    pb.record.arg = &d;
    pb.closer.funcs.decode = closer_decode;
    pb.closer.arg = &d;
    pb.providers.funcs.decode = provider_decode;
    pb.providers.arg = &d;

    qudag_err err = QUDAG_OK;
    if (!pb_decode(&stream, kadpb_Message_fields, &pb)) {
        err = QUDAG_EMALFORMED;
    } else if (pb.type > KAD_PING) {
        err = QUDAG_EUNSUPPORTED;
    } else if (!sizes_are_good(m)) {
        err = QUDAG_ETOOBIG;
    }
    if (err != QUDAG_OK) {
        *m = (struct kad_msg){.closer = m->closer, .providers = m->providers};
        return err;
    }
    m->type = (enum kad_type)pb.type; /* zero when it was missing */
    *dropped = d.dropped;
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ encoding */

static bool addrs_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct peers_out *p = *arg; /* one peer */
    size_t n = p->v->n_addrs < p->addrs_max ? p->v->n_addrs : p->addrs_max;

    for (size_t i = 0; i < n; i++) {
        if (p->v->addr[i].len > 0 && !pbuf_put(stream, field, multiaddr_slice(&p->v->addr[i]))) {
            return false;
        }
    }
    return true;
}

static bool peers_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct peers_out *p = *arg;

    for (size_t i = 0; i < p->n; i++) {
        struct peers_out one = {&p->v[i], 1, p->addrs_max};
        struct slice id = peer_id_slice(&p->v[i].id);
        kadpb_Peer pb = kadpb_Peer_init_zero;
        pb.id.funcs.encode = pbuf_encode_slice;
        pb.id.arg = &id;
        pb.addrs.funcs.encode = addrs_encode;
        pb.addrs.arg = &one;
        if (!pb_encode_tag_for_field(stream, field) ||
            !pb_encode_submessage(stream, kadpb_Peer_fields, &pb)) {
            return false;
        }
    }
    return true;
}

static bool record_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct kad_msg *m = *arg;
    struct slice key = m->rec_key, value = m->rec_value, time = m->rec_time;
    kadpb_Record pb = kadpb_Record_init_zero;

    if (!m->has_record) {
        return true;
    }
    pb.key.funcs.encode = pbuf_encode_slice;
    pb.key.arg = &key;
    pb.value.funcs.encode = pbuf_encode_slice;
    pb.value.arg = &value;
    pb.time_received.funcs.encode = pbuf_encode_slice;
    pb.time_received.arg = &time;
    return pb_encode_tag_for_field(stream, field) &&
           pb_encode_submessage(stream, kadpb_Record_fields, &pb);
}

static bool addrs_fit(const struct kad_peer_info *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i].n_addrs > KAD_ADDRS_MAX || v[i].id.len == 0) {
            return false;
        }
    }
    return true;
}

/* Gives up a little; false when nothing is left to give. */
static bool trim(struct peers_out *closer, struct peers_out *providers)
{
    if (closer->addrs_max > 1) {
        closer->addrs_max--;
        providers->addrs_max--;
        return true;
    }
    struct peers_out *longer = closer->n >= providers->n ? closer : providers;
    if (longer->n == 0) {
        return false;
    }
    longer->n--;
    return true;
}

qudag_err kad_msg_encode(uint8_t *dst, size_t cap, size_t *len, const struct kad_msg *m)
{
    if ((unsigned)m->type > KAD_PING || m->n_closer > KAD_PEERS_MAX ||
        m->n_providers > KAD_PEERS_MAX || !sizes_are_good(m) ||
        !addrs_fit(m->closer, m->n_closer) || !addrs_fit(m->providers, m->n_providers)) {
        return QUDAG_EINVAL;
    }
    struct kad_msg copy = *m;
    struct peers_out closer = {m->closer, m->n_closer, KAD_ADDRS_MAX};
    struct peers_out providers = {m->providers, m->n_providers, KAD_ADDRS_MAX};
    kadpb_Message pb = kadpb_Message_init_zero;
    /* Written even when it is zero: some readers insist on it. */
    pb.has_type = true;
    pb.type = (uint32_t)m->type;
    pb.key.funcs.encode = pbuf_encode_slice;
    pb.key.arg = &copy.key;
    pb.record.funcs.encode = record_encode;
    pb.record.arg = &copy;
    pb.closer.funcs.encode = peers_encode;
    pb.closer.arg = &closer;
    pb.providers.funcs.encode = peers_encode;
    pb.providers.arg = &providers;

    for (;;) {
        qudag_err err = pbuf_encode(dst, cap, len, kadpb_Message_fields, &pb);
        if (err != QUDAG_ETOOBIG || !trim(&closer, &providers)) {
            return err;
        }
    }
}
