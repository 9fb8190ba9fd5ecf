/*
 * testkit_links.h - links made up for tests of the swarm, and what its cores have seen.  Include cmocka.h before.
 */
#ifndef QUDAG_SRC_SWARM_TESTKIT_LINKS_H
#define QUDAG_SRC_SWARM_TESTKIT_LINKS_H

#include "swarm/internal.h"

#include <string.h>

#define LINKS 64
#define EVENTS 256
#define T0 (1000 * NS_PER_S)

struct fake_link {
    struct peer_id peer;
    struct netaddr remote, local;
    uint8_t props;
    bool has_hash, closed;
    uint8_t need; /* what the dial insisted on */
    bool has_pin; /* and which key */
    uint8_t pin[32];
    uint8_t hash[32];
    int64_t next_sid;
    unsigned resets, fins, probed, padded;
    bool completed; /* the peer may count it as up: no dial to be cancelled */
    uint64_t bytes_in;
    tstamp until;
    uint64_t handshake_ns;
    qudag_err reset_err, close_err;
    uint64_t user[300];
    uint16_t unit;  /* of the last stream that was given one */
    size_t unit_at; /* what had been written then */
    uint8_t sent[512];
    size_t sent_n, consumed;
};

struct seen {
    unsigned core;
    struct ev ev;
    struct peer_id peer;
    uint8_t data[64];
};

struct world {
    struct mem mem;
    struct rng_stream stream;
    struct swarm *s;
    struct fake_link link[LINKS];
    uint32_t n_links;
    qudag_err dial_err, open_err, write_err;
    unsigned credit; /* streams that may be opened before open_err holds */
    struct seen seen[EVENTS];
    size_t n_seen;
    unsigned core[2], tp;
    tstamp now;
};

static struct world w;

static inline struct ref ref_of(uint32_t ix)
{
    return (struct ref){ix, 1};
}

static inline bool f_handles(const void *owner, const struct multiaddr *addr)
{
    struct netaddr a;
    (void)owner;

    return multiaddr_to_netaddr(addr, &a) && a.port != 0 && !netaddr_is_unspecified(&a);
}

static inline qudag_err f_dial(void *owner, const struct transport_target *d, tstamp now,
                               struct ref *out)
{
    (void)owner;
    (void)now;
    if (w.dial_err != QUDAG_OK || w.n_links == LINKS) {
        return w.dial_err != QUDAG_OK ? w.dial_err : QUDAG_ELIMIT;
    }
    struct fake_link *l = &w.link[w.n_links];
    memset(l, 0, sizeof *l);
    assert_true(multiaddr_to_netaddr(d->addr, &l->remote));
    l->need = d->need;
    l->has_pin = d->pq_hash != NULL;
    if (l->has_pin) {
        memcpy(l->pin, d->pq_hash, sizeof l->pin);
    }
    if (d->peer != NULL) {
        l->peer = *d->peer;
    }
    *out = ref_of(w.n_links++);
    return QUDAG_OK;
}

static inline qudag_err f_info(const void *owner, struct ref link, struct link_info *out)
{
    const struct fake_link *l = &w.link[link.slot];
    (void)owner;

    memset(out, 0, sizeof *out);
    out->peer = l->peer;
    multiaddr_quic(&out->remote, &l->remote, NULL);
    if (l->local.family != 0) {
        multiaddr_quic(&out->local, &l->local, NULL);
    }
    out->net = netaddr_group(&l->remote);
    out->props = l->props;
    out->has_pq_hash = l->has_hash;
    out->bytes_in = l->bytes_in;
    out->handshake_ns = l->handshake_ns;
    out->until = l->until;
    memcpy(out->pq_hash, l->hash, 32);
    return QUDAG_OK;
}

static inline qudag_err f_open(void *owner, struct ref link, uint64_t user, const char *proto,
                               int64_t *sid)
{
    struct fake_link *l = &w.link[link.slot];
    (void)owner;
    (void)proto;

    if (w.credit > 0) {
        w.credit--;
    } else if (w.open_err != QUDAG_OK) {
        return w.open_err;
    }
    *sid = l->next_sid++;
    l->user[*sid] = user;
    return QUDAG_OK;
}

static inline void f_set_user(void *owner, struct ref link, int64_t sid, uint64_t user)
{
    (void)owner;
    w.link[link.slot].user[sid] = user;
}

static inline qudag_err f_write(void *owner, struct ref link, int64_t sid, struct slice data)
{
    struct fake_link *l = &w.link[link.slot];
    (void)owner;
    (void)sid;

    assert_false(l->closed);
    if (w.write_err == QUDAG_OK && l->sent_n + data.len <= sizeof l->sent && data.len > 0) {
        memcpy(l->sent + l->sent_n, data.base, data.len);
        l->sent_n += data.len;
    }
    return w.write_err;
}

static inline void f_consume(void *owner, struct ref link, int64_t sid, size_t n)
{
    (void)owner;
    (void)sid;
    w.link[link.slot].consumed += n;
}

static inline void f_fin(void *owner, struct ref link, int64_t sid)
{
    (void)owner;
    (void)sid;
    w.link[link.slot].fins++;
}

static inline void f_reset(void *owner, struct ref link, int64_t sid, qudag_err err)
{
    (void)owner;
    (void)sid;
    w.link[link.slot].resets++;
    w.link[link.slot].reset_err = err;
}

static inline void f_close(void *owner, struct ref link, qudag_err err)
{
    (void)owner;
    w.link[link.slot].closed = true;
    w.link[link.slot].close_err = err;
}

static inline void f_set_unit(void *owner, struct ref link, int64_t sid, uint16_t unit)
{
    (void)owner;
    (void)sid;
    w.link[link.slot].unit = unit;
    w.link[link.slot].unit_at = w.link[link.slot].sent_n;
}

static inline bool f_cancel(void *owner, struct ref link)
{
    if (w.link[link.slot].completed) {
        return false;
    }
    f_close(owner, link, QUDAG_ECANCELED);
    return true;
}

static inline void f_probe(void *owner, struct ref link, tstamp now)
{
    (void)owner;
    (void)now;
    assert_false(w.link[link.slot].closed);
    w.link[link.slot].probed++;
}

static inline void f_pad(void *owner, struct ref link, const struct transport_padding *how,
                         tstamp now)
{
    (void)owner;
    (void)now;
    assert_int_equal(how->most_ns, 9);
    w.link[link.slot].padded++;
}

static const struct link_ops f_ops = {f_open,  f_set_user, f_write,    f_consume, f_fin,
                                      f_reset, f_close,    f_set_unit, NULL,      NULL};
static const struct transport f_transport = {.name = "first",
                                             .ops = &f_ops,
                                             .handles = f_handles,
                                             .dial = f_dial,
                                             .cancel = f_cancel,
                                             .probe = f_probe,
                                             .pad = f_pad,
                                             .info = f_info};

#endif
