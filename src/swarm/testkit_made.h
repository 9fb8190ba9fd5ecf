/*
 * testkit_made.h - transports made up: quick and steady, a relay's, and one whose links are there on demand.
 * Include cmocka.h before.
 */
#ifndef QUDAG_SRC_SWARM_TESTKIT_MADE_H
#define QUDAG_SRC_SWARM_TESTKIT_MADE_H

#include "swarm/internal.h"

#include <string.h>

#define LINKS 32

struct made_link {
    struct peer_id peer;
    uint8_t props;
    bool closed, completed, full, leaving; /* takes no stream for now, never again */
    qudag_err reset_err;
    int64_t next_sid;
    uint64_t user[16];
    uint8_t sent[256];
    size_t sent_n;
    unsigned resets, probed;
    uint64_t bytes_in;
    char proto[32];
    struct multiaddr at; /* where it leads; len 0: nowhere */
};

/* One transport: dials addresses whose port's protocol is |scheme|. */
struct made {
    const char *scheme; /* as in the text of an address */
    struct made_link link[LINKS];
    uint32_t n;
    unsigned ix;
};

static bool m_handles(const void *owner, const struct multiaddr *addr)
{
    const struct made *m = owner;
    char text[MULTIADDR_TEXT_MAX];

    return multiaddr_text(text, sizeof text, addr) > 0 && strstr(text, m->scheme) != NULL;
}

static qudag_err m_dial(void *owner, const struct transport_target *d, tstamp now, struct ref *out)
{
    struct made *m = owner;

    (void)now;
    assert_true(m_handles(m, d->addr));
    assert_true(m->n < LINKS);
    m->link[m->n].peer = *d->peer;
    m->link[m->n].at = *d->addr;
    *out = (struct ref){m->n++, 1};
    return QUDAG_OK;
}

static void m_close(void *owner, struct ref link, qudag_err err)
{
    struct made *m = owner;

    (void)err;
    m->link[link.slot].closed = true;
}

static bool m_cancel(void *owner, struct ref link)
{
    struct made *m = owner;

    if (m->link[link.slot].completed) {
        return false;
    }
    m_close(owner, link, QUDAG_ECANCELED);
    return true;
}

static qudag_err m_info(const void *owner, struct ref link, struct link_info *out)
{
    const struct made *m = owner;

    memset(out, 0, sizeof *out);
    if (link.slot >= m->n || m->link[link.slot].closed) {
        return QUDAG_ESTALE;
    }
    out->peer = m->link[link.slot].peer;
    out->props = m->link[link.slot].props;
    out->remote = m->link[link.slot].at;
    out->bytes_in = m->link[link.slot].bytes_in;
    out->net = 70 + link.slot;
    out->via = 80 + link.slot;
    return QUDAG_OK;
}

static void m_probe(void *owner, struct ref link, tstamp now)
{
    (void)now;
    ((struct made *)owner)->link[link.slot].probed++;
}

static qudag_err m_open(void *owner, struct ref link, uint64_t user, const char *proto,
                        int64_t *sid)
{
    struct made_link *l = &((struct made *)owner)->link[link.slot];

    if (l->full || l->leaving) {
        return l->leaving ? QUDAG_ESTALE : QUDAG_EAGAIN;
    }
    *sid = l->next_sid++;
    l->user[*sid] = user;
    strncpy(l->proto, proto, sizeof l->proto - 1);
    return QUDAG_OK;
}

static void m_set_user(void *owner, struct ref link, int64_t sid, uint64_t user)
{
    ((struct made *)owner)->link[link.slot].user[sid] = user;
}

static qudag_err m_write(void *owner, struct ref link, int64_t sid, struct slice data)
{
    struct made_link *l = &((struct made *)owner)->link[link.slot];

    (void)sid;
    assert_true(l->sent_n + data.len <= sizeof l->sent);
    memcpy(l->sent + l->sent_n, data.base, data.len);
    l->sent_n += data.len;
    return QUDAG_OK;
}

static void m_consume(void *owner, struct ref link, int64_t sid, size_t n)
{
    (void)owner;
    (void)link;
    (void)sid;
    (void)n;
}

static void m_fin(void *owner, struct ref link, int64_t sid)
{
    m_consume(owner, link, sid, 0);
}

static void m_reset(void *owner, struct ref link, int64_t sid, qudag_err err)
{
    struct made_link *l = &((struct made *)owner)->link[link.slot];

    (void)sid;
    l->resets++;
    l->reset_err = err;
}

static void m_set_unit(void *owner, struct ref link, int64_t sid, uint16_t unit)
{
    (void)unit;
    m_consume(owner, link, sid, 0);
}

static const struct link_ops shaped_ops = {m_open,  m_set_user, m_write,    m_consume, m_fin,
                                           m_reset, m_close,    m_set_unit, NULL,      NULL};
static const struct link_ops m_ops = {m_open,  m_set_user, m_write, m_consume, m_fin,
                                      m_reset, m_close,    NULL,    NULL,      NULL};
static const struct transport quick_transport = {.name = "quick",
                                                 .cost = TRANSPORT_DATAGRAM,
                                                 .ops = &shaped_ops,
                                                 .handles = m_handles,
                                                 .dial = m_dial,
                                                 .cancel = m_cancel,
                                                 .info = m_info};
static const struct transport relay_transport = {.name = "relay",
                                                 .cost = TRANSPORT_RELAYED,
                                                 .ops = &m_ops,
                                                 .handles = m_handles,
                                                 .dial = m_dial,
                                                 .cancel = m_cancel,
                                                 .probe = m_probe,
                                                 .info = m_info};
static const struct transport steady_transport = {.name = "steady",
                                                  .cost = TRANSPORT_STREAM,
                                                  .ops = &m_ops,
                                                  .handles = m_handles,
                                                  .dial = m_dial,
                                                  .cancel = m_cancel,
                                                  .info = m_info};
static const struct transport circ_transport = {
    .name = "circ", .cost = TRANSPORT_RELAYED, .on_demand = true, .ops = &m_ops, .info = m_info};

#endif
