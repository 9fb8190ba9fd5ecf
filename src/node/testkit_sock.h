/* testkit_sock.h - sockets of a node beside the first one, for testkit_net.h. */
#ifndef QUDAG_SRC_NODE_TESTKIT_SOCK_H
#define QUDAG_SRC_NODE_TESTKIT_SOCK_H

#include "node/testkit.h"

static inline qudag_err nt_socket_open(void *ctx, uint8_t family, struct netaddr *local)
{
    struct nt_node *t = ctx;

    if (family != t->addr.family) {
        return QUDAG_EUNSUPPORTED;
    }
    if (t->n_extra == (t->extra_max != 0 ? t->extra_max : NT_EXTRA)) {
        return QUDAG_ELIMIT;
    }
    *local = t->addr;
    local->port = (uint16_t)(40000 + t->extra_ports++);
    t->extra[t->n_extra++] = *local;
    return QUDAG_OK;
}

static inline void nt_socket_close(void *ctx, const struct netaddr *local)
{
    struct nt_node *t = ctx;
    size_t i = 0;

    while (i < t->n_extra && t->extra[i].port != local->port) {
        i++;
    }
    ASSERT(i < t->n_extra);
    t->extra[i] = t->extra[--t->n_extra];
}

/* Whether |a| is one of its sockets. */
static inline bool nt_has(const struct nt_node *t, const struct netaddr *a)
{
    bool has = netaddr_eq(&t->addr, a);

    for (size_t i = 0; i < t->n_extra && !has; i++) {
        has = netaddr_eq(&t->extra[i], a);
    }
    return has;
}

static inline void nt_sent(struct nt_node *t, const struct netaddr *to)
{
    if (t->guarded && !netaddr_eq(&t->sent_to[(t->n_sent_to + NT_SENT_TO - 1) % NT_SENT_TO], to)) {
        t->sent_to[t->n_sent_to++ % NT_SENT_TO] = *to;
    }
}

/* Whether what comes from |from| reaches it. */
static inline bool nt_lets_in(const struct nt_node *t, const struct netaddr *from)
{
    bool in = !t->guarded;

    for (size_t i = 0; i < NT_SENT_TO && i < t->n_sent_to && !in; i++) {
        in = netaddr_eq(&t->sent_to[i], from);
    }
    return in;
}

#endif
