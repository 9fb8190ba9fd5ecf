/* server.c - plain Binding requests of others, answered within limits; second answers after a silence. */
#include "core/stun/stun_int.h"

#include <string.h>

#define ANSWERS_PER_TICK 128 /* of ACTS_ROOM */

void stun_server_init(struct stun *s, tstamp now)
{
    s->key[0] = rng_u64(&s->rng);
    s->key[1] = rng_u64(&s->rng);
    for (size_t i = 0; i < STUN_NETS; i++) {
        limiter_init(&s->net[i], STUN_NET_RATE, STUN_NET_BURST, now);
    }
    limiter_init(&s->all, STUN_ALL_RATE, STUN_ALL_BURST, now);
    heap_init(&s->delayed, s->mem, STUN_DELAYED_MAX);
}

static void owed_free(struct stun *s, struct stun_delayed *d)
{
    heap_del(&s->delayed, &d->timer);
    mem_free(s->mem, d);
}

void stun_server_fini(struct stun *s)
{
    struct heap_node *top;

    while ((top = heap_top(&s->delayed)) != NULL) {
        owed_free(s, LIST_ENTRY(top, struct stun_delayed, timer));
    }
    heap_fini(&s->delayed);
}

void stun_serve(struct stun *s, bool serves)
{
    s->serves = serves;
}

static bool allowed(struct stun *s, const struct netaddr *from, tstamp now)
{
    uint64_t net = netaddr_group(from);
    const struct slice key = {(const uint8_t *)&net, sizeof(net)};
    struct limiter *l = &s->net[siphash24(s->key[0], s->key[1], key) % STUN_NETS];

    if (!s->serves || !limiter_take(l, 1, now)) {
        return false;
    }
    return limiter_take(&s->all, 1, now);
}

/* Second answers that are owed to a network. */
static size_t owed_to(const struct stun *s, uint64_t net)
{
    size_t n = 0;

    for (uint32_t i = 0; i < s->delayed.n; i++) {
        n += LIST_ENTRY(s->delayed.v[i], struct stun_delayed, timer)->net == net ? 1 : 0;
    }
    return n;
}

static bool owe(struct stun *s, const struct stun_packet *p, uint16_t delay_s, tstamp now)
{
    uint64_t net = netaddr_group(&p->to);

    if (owed_to(s, net) >= STUN_DELAYED_MAX / 4) {
        return false;
    }
    struct stun_delayed *d = mem_alloc(s->mem, sizeof(*d));
    if (d == NULL ||
        heap_set(&s->delayed, &d->timer, tstamp_after(now, delay_s * NS_PER_S)) != QUDAG_OK) {
        mem_free(s->mem, d);
        return false;
    }
    d->net = net;
    d->packet = *p;
    return true;
}

static size_t write_answer(struct stun_packet *p, const struct stun_msg *m)
{
    p->len = stun_write(p->bytes, sizeof(p->bytes), m, (struct slice){NULL, 0});
    return p->len;
}

static void send(struct acts *out, const struct stun_packet *p)
{
    struct act *a = p->len > 0 ? acts_up_copy(out, STUN_UP_SEND, p, sizeof(*p)) : NULL;

    if (a != NULL) {
        a->n = 1;
    }
}

void stun_server_answer(struct stun *s, const struct stun_came *d, tstamp now, struct acts *out)
{
    struct stun_packet p = {.local = d->local, .to = d->remote};
    struct stun_msg m = {
        .class = STUN_SUCCESS, .mapped = d->remote, .fingerprint = d->msg->fingerprint};

    if (!allowed(s, &d->remote, now)) {
        s->stats.refused++;
        return;
    }
    memcpy(m.id, d->msg->id, sizeof(m.id));
    if (d->msg->n_unknown > 0) {
        m.class = STUN_ERROR;
        m.mapped = (struct netaddr){0};
        m.error = STUN_UNKNOWN_ATTRIBUTE;
        m.n_unknown = d->msg->n_unknown;
        memcpy(m.unknown, d->msg->unknown, sizeof(m.unknown));
    }
    m.delay_s = m.class == STUN_SUCCESS ? d->msg->delay_s : 0;
    if (m.delay_s != 0 && (!stun_rule_delays(m.delay_s, d->len, write_answer(&p, &m)) ||
                           !owe(s, &p, m.delay_s, now))) {
        m.delay_s = 0; /* as one that does not know of it */
        s->stats.not_now++;
    }
    (void)write_answer(&p, &m);
    s->stats.served++;
    send(out, &p);
}

void stun_server_forget(struct stun *s, const struct netaddr *local)
{
    uint32_t i = 0;

    while (i < s->delayed.n) {
        struct stun_delayed *d = LIST_ENTRY(s->delayed.v[i], struct stun_delayed, timer);
        bool gone = d->packet.local.family != 0 && d->packet.local.family == local->family &&
                    d->packet.local.port == local->port;
        if (gone) {
            owed_free(s, d);
            i = 0; /* the order is another */
        } else {
            i++;
        }
    }
}

void stun_server_tick(struct stun *s, tstamp now, struct acts *out)
{
    struct heap_node *top;
    unsigned n = 0;

    while ((top = heap_top(&s->delayed)) != NULL && top->at <= now && n++ < ANSWERS_PER_TICK) {
        struct stun_delayed *d = LIST_ENTRY(top, struct stun_delayed, timer);
        s->stats.delayed++;
        send(out, &d->packet);
        owed_free(s, d);
    }
}

tstamp stun_server_deadline(const struct stun *s)
{
    const struct heap_node *top = heap_top(&s->delayed);

    return top == NULL ? TSTAMP_NEVER : top->at;
}
